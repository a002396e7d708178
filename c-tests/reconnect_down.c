/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A client that comes back, while there is no session: its calls, its end, and whom it meets instead of the VM. */
#include "support/child.h"
#include "support/mocked.h"
#include "support/returning.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static qmp_error *error;

static void f13_calls_wait_for_the_next_session(void)
{
    struct under_way forever, cancelled;
    qmp_cancel *cancel = qmp_cancel_new();
    qmp_client *client = left_alone(returning());
    qmp_request *request = NULL;
    qmp_event *event = NULL;
    char *reply = NULL, *greeting = NULL;
    int32_t result, pid;
    uint32_t uid;
    REQUIRE(client);
    for (int64_t timeout_ms = 0; timeout_ms <= 20; timeout_ms += 20) {
        qmp_status status = qmp_execute_json(client, "stop", NULL, timeout_ms, NULL, &reply, &error);
        CHECK(error && !error->outcome_unknown);
        CHECK_ERROR(status, QMP_ERR_DISCONNECTED, error);
        CHECK_ERROR(qmp_poll_event(client, timeout_ms, NULL, &event, &error), QMP_ERR_TIMEOUT, error);
    }
    CHECK_ERROR(qmp_submit_json(client, "stop", NULL, false, &request, &error), QMP_ERR_DISCONNECTED, error);
    CHECK_STATUS(qmp_shutdown(client, 10, 10, true, NULL, &result, NULL), QMP_OK);
    CHECK_INT(result, QMP_SHUTDOWN_ALREADY_DOWN);
    CHECK_STATUS(qmp_greeting_json(client, &greeting, NULL), QMP_OK);
    CHECK_STATUS(qmp_peer(client, &pid, &uid, NULL), QMP_OK);
    CHECK_INT(pid, getpid());
    qmp_string_free(greeting);
    qmp_subscription *ticks = subscribe(client, "TICK", 0);

    call_begin(&cancelled, client, "stop", QMP_FOREVER, cancel);
    call_begin(&forever, client, "query-name", QMP_FOREVER, NULL);
    CHECK_STATUS(qmp_cancel_trigger(cancel), QMP_OK);
    CHECK_STATUS(call_end(&cancelled), QMP_ERR_CANCELLED);
    CHECK(!cancelled.outcome_unknown && !atomic_load(&forever.over));
    qmp_mock *vm = vm_begins();
    uint64_t count = 7;
    CHECK_STATUS(call_end(&forever), QMP_OK);
    CHECK_OWN_OF(ticks, QMP_EVENT_RECONNECTED, "\"epoch\": 2");
    CHECK_STATUS(qmp_mock_count(vm, "stop", &count, NULL), QMP_OK);
    CHECK_INT(count, 0);
    qmp_subscription_free(ticks);
    qmp_cancel_free(cancel);
    CHECK_STATUS(qmp_close(client), QMP_OK);
    CHECK_STATUS(qmp_mock_stop(vm), QMP_OK);
    forget_place();
}

/* Whatever else may sit on the path, one after another, and then a VM. */
static void serve_strangely(peer *peer)
{
    char *command = NULL;
    switch (server_clients(the_server)) {
    case 2:
        peer_say(peer, "HTTP/1.1 400 Bad Request\r\n\r\n");
        break;
    case 3: /* ends inside the greeting */
        peer_say(peer, "{\"QMP\": {\"version\": ");
        break;
    case 4: /* ends inside the negotiation */
        peer_say(peer, "{\"QMP\": {\"capabilities\": []}}");
        command = peer_hear(peer);
        break;
    case 5:
        peer_say(peer, "{\"QMP\": {\"capabilities\": []}}");
        command = peer_hear(peer);
        peer_refuse(peer, command, "{\"class\": \"GenericError\", \"desc\": \"not you\"}");
        peer_wait_end(peer);
        break;
    case 6: /* is down, and says so to whom it should not matter */
        peer_say(peer, "{\"event\": \"SHUTDOWN\", \"data\": {\"guest\": true, \"reason\": \"guest-shutdown\"}}");
        peer_say(peer, "{\"return\": {}}");
        break;
    default:
        serve_plainly(peer);
    }
    free(command);
}

static void f14_f16_f26_f27_strangers_are_left_again(void)
{
    int32_t result = 0;
    qmp_client *client = left_to(serve_strangely, returning(), server_start);
    REQUIRE(client);
    for (int seen = 2; seen <= 6; seen++) {
        CHECK_SOON(server_clients(the_server) > seen);
        if (seen == 6)
            break;
        /* It is the VM that has gone, whoever was met since. */
        CHECK_STATUS(qmp_shutdown(client, 10, 10, true, NULL, &result, NULL), QMP_OK);
        CHECK_INT(result, QMP_SHUTDOWN_ALREADY_DOWN);
    }
    CHECK_OWN(client, QMP_EVENT_RECONNECTED, "\"epoch\": 2");
    CHECK_STATUS(execute(client, "query-name"), QMP_OK);
    CHECK_STATUS(qmp_close(client), QMP_OK);
    server_stop(the_server);
}

static void f9_a_silent_one_holds_nobody_up(void)
{
    struct under_way call;
    qmp_event *event = NULL;
    qmp_client *client = left_to(serve_in_silence, returning(), server_start);
    REQUIRE(client);
    CHECK_SOON(server_clients(the_server) == 2);
    call_begin(&call, client, "stop", 30, NULL);
    CHECK_STATUS(call_end(&call), QMP_ERR_DISCONNECTED);
    CHECK(!call.outcome_unknown);
    CHECK_ERROR(qmp_poll_event(client, 10, NULL, &event, &error), QMP_ERR_TIMEOUT, error);
    CHECK_STATUS(qmp_close(client), QMP_OK);
    server_stop(the_server);
}

/* Listens on the path in a process of its own, until a client came and left. Gives how many bytes it heard. */
static int stranger_hears(void)
{
    int told[2];
    char heard = -1;
    if (pipe(told) != 0)
        return -1;
    pid_t child = fork();
    if (child == 0) {
        struct sockaddr_un at = {.sun_family = AF_UNIX};
        char bytes[16];
        snprintf(at.sun_path, sizeof at.sun_path, "%s", returning_address + strlen("unix:"));
        int listener = socket(AF_UNIX, SOCK_STREAM, 0);
        if (bind(listener, (struct sockaddr *)&at, sizeof at) != 0 || listen(listener, 4) != 0)
            _exit(1);
        heard = (char)read(accept(listener, NULL, NULL), bytes, sizeof bytes);
        unlink(at.sun_path);
        _exit(write(told[1], &heard, 1) != 1);
    }
    close(told[1]);
    CHECK(read(told[0], &heard, 1) == 1);
    close(told[0]);
    CHECK_INT(waitpid(child, NULL, 0), child);
    return heard;
}

static void f14_a_stranger_hears_nothing(void)
{
    qmp_options *options = returning();
    CHECK_STATUS(qmp_options_set_expected_peer(options, getpid(), -1), QMP_OK);
    qmp_client *client = left_alone(options);
    REQUIRE(client);
    CHECK_INT(stranger_hears(), 0);
    qmp_mock *vm = vm_begins();
    CHECK_OWN(client, QMP_EVENT_RECONNECTED, "\"another-process\": false");
    CHECK_STATUS(qmp_close(client), QMP_OK);
    CHECK_STATUS(qmp_mock_stop(vm), QMP_OK);
    forget_place();
}

static void check_given_up(qmp_client *client, struct under_way *call)
{
    qmp_event *event = NULL;
    qmp_subscription *late = NULL;
    char *reply = NULL;
    int32_t fd;
    CHECK_STATUS(call_end(call), QMP_ERR_DISCONNECTED);
    CHECK_STATUS(qmp_event_fd(client, &fd, NULL), QMP_OK);
    CHECK_OWN(client, QMP_EVENT_DISCONNECTED, "\"reconnecting\": false");
    CHECK(readable(fd, 0));
    CHECK_ERROR(qmp_poll_event(client, QMP_FOREVER, NULL, &event, &error), QMP_ERR_DISCONNECTED, error);
    CHECK_ERROR(qmp_execute_json(client, "stop", NULL, QMP_FOREVER, NULL, &reply, &error), QMP_ERR_DISCONNECTED, error);
    CHECK_ERROR(qmp_subscribe(client, NULL, NULL, NULL, 0, &late, &error), QMP_ERR_DISCONNECTED, error);
    CHECK_STATUS(qmp_close(client), QMP_OK);
}

static void f13_it_gives_up_in_a_pause(void)
{
    struct under_way call;
    for (int64_t first_ms = 1; first_ms <= HOUR_MS; first_ms += HOUR_MS - 1) {
        qmp_client *client = left_alone(returning_until(30, first_ms));
        REQUIRE(client);
        call_begin(&call, client, "stop", QMP_FOREVER, NULL);
        check_given_up(client, &call);
    }
    forget_place();
}

static void f13_it_gives_up_on_a_silent_one(void)
{
    struct under_way call;
    qmp_client *client = left_to(serve_in_silence, returning_until(200, 1), server_start);
    REQUIRE(client);
    call_begin(&call, client, "stop", QMP_FOREVER, NULL);
    check_given_up(client, &call);
    CHECK_INT(server_clients(the_server), 2);
    server_stop(the_server);
}

static void f13_f103_it_comes_back_when_descriptors_are_there_again(void)
{
    struct rlimit before, none;
    qmp_client *client = left_alone(returning());
    REQUIRE(client);
    qmp_mock *vm = vm_begins();
    CHECK_OWN(client, QMP_EVENT_RECONNECTED, "\"epoch\": 2");
    CHECK_STATUS(execute(client, "query-name"), QMP_OK);
    getrlimit(RLIMIT_NOFILE, &before);
    none = before;
    none.rlim_cur = 3; /* all that are open are above */
    setrlimit(RLIMIT_NOFILE, &none);
    CHECK_STATUS(qmp_mock_disconnect(vm, NULL), QMP_OK);
    CHECK_OWN(client, QMP_EVENT_DISCONNECTED, "\"epoch\": 2");
    CHECK_STATUS(qmp_execute_json(client, "stop", NULL, 50, NULL, &(char *){NULL}, NULL), QMP_ERR_DISCONNECTED);
    setrlimit(RLIMIT_NOFILE, &before);
    CHECK_OWN(client, QMP_EVENT_RECONNECTED, "\"epoch\": 3");
    CHECK_STATUS(execute(client, "query-name"), QMP_OK);
    CHECK_STATUS(qmp_close(client), QMP_OK);
    CHECK_STATUS(qmp_mock_stop(vm), QMP_OK);
    forget_place();
}

static qmp_client *parents;

static void use_the_parents(void)
{
    char *reply = NULL;
    CHECK_ERROR(qmp_execute_json(parents, "stop", NULL, QMP_FOREVER, NULL, &reply, &error), QMP_ERR_FORKED, error);
    CHECK_STATUS(qmp_close(parents), QMP_ERR_FORKED);
}

static void f101_a_fork_meanwhile(void)
{
    parents = left_alone(returning());
    REQUIRE(parents);
    run_in_child(use_the_parents);
    qmp_mock *vm = vm_begins();
    CHECK_OWN(parents, QMP_EVENT_RECONNECTED, "\"epoch\": 2");
    CHECK_STATUS(execute(parents, "query-name"), QMP_OK);
    CHECK_STATUS(qmp_close(parents), QMP_OK);
    CHECK_STATUS(qmp_mock_stop(vm), QMP_OK);
    forget_place();
}

struct ladder {
    qmp_client *client;
    int32_t result;
    qmp_status status;
    bool outcome_unknown;
};

static void *climb(void *data)
{
    struct ladder *ladder = data;
    ladder->status = qmp_shutdown(ladder->client, 10, PATIENCE_MS, true, NULL, &ladder->result, &error);
    ladder->outcome_unknown = error && error->outcome_unknown;
    return NULL;
}

/* A VM that is shut down and comes back is not the one that was meant. */
static void f13_the_next_vm_is_neither_pressed_nor_told_to_quit(void)
{
    qmp_mock *vm = vm_begins();
    struct ladder ladder = {.client = connect_returning(returning_address)};
    uint64_t count = 7;
    pthread_t thread;
    REQUIRE(ladder.client);
    CHECK_STATUS(qmp_mock_set_guest(vm, QMP_GUEST_IGNORES, 0, NULL), QMP_OK);
    CHECK_STATUS(qmp_mock_fault(vm, "system_powerdown", "close-after", 0, 1, NULL), QMP_OK);
    pthread_create(&thread, NULL, climb, &ladder);
    pthread_join(thread, NULL);
    CHECK(ladder.outcome_unknown);
    CHECK_ERROR(ladder.status, QMP_ERR_DISCONNECTED, error);
    CHECK_RETURN(ladder.client);
    CHECK_STATUS(qmp_mock_count(vm, "system_powerdown", &count, NULL), QMP_OK);
    CHECK_INT(count, 1);
    CHECK_STATUS(qmp_mock_count(vm, "quit", &count, NULL), QMP_OK);
    CHECK_INT(count, 0);

    /* Asked for again, it is this VM's turn; it goes, and so do all that follow it until it is closed. */
    ladder.status = qmp_shutdown(ladder.client, 10, 20, true, NULL, &ladder.result, NULL);
    CHECK_STATUS(ladder.status, QMP_OK);
    CHECK_INT(ladder.result, QMP_SHUTDOWN_FORCED);
    CHECK_STATUS(qmp_close(ladder.client), QMP_OK);
    CHECK_STATUS(qmp_mock_stop(vm), QMP_OK);
    forget_place();
}

int main(void)
{
    RUN(f13_calls_wait_for_the_next_session);
    RUN(f14_f16_f26_f27_strangers_are_left_again);
    RUN(f9_a_silent_one_holds_nobody_up);
    RUN(f14_a_stranger_hears_nothing);
    RUN(f13_it_gives_up_in_a_pause);
    RUN(f13_it_gives_up_on_a_silent_one);
    RUN(f13_f103_it_comes_back_when_descriptors_are_there_again);
    RUN(f101_a_fork_meanwhile);
    RUN(f13_the_next_vm_is_neither_pressed_nor_told_to_quit);
    return check_end();
}
