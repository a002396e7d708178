/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A VM that connects to us: where we listen, who may come, and that it comes back. */
#include "support/directory.h"
#include "support/mocked.h"
#include "support/returning.h"
#include "support/server.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static qmp_error *error;
static char directory[64], address[96], *path = address + sizeof "unix:" - 1;
static server *vms; /* does not listen for these: its VMs dial */

static void begin(server_script *script)
{
    directory_make(directory, sizeof directory);
    snprintf(address, sizeof address, "unix:%s/manager", directory);
    vms = server_start(script);
}

static void end(void)
{
    server_stop(vms);
    directory_remove(directory);
}

/* Once there is somebody who listens. */
static void *dial(void *to)
{
    int64_t deadline = now_ms() + PATIENCE_MS;
    bool dialled;
    while (!(dialled = server_dial(vms, to)) && now_ms() < deadline)
        nap();
    CHECK(dialled);
    return NULL;
}

/* With a VM that dials there. Frees the options. */
static qmp_status listened(const char *at, qmp_options *options, int64_t timeout_ms, qmp_client **client)
{
    pthread_t dialler;
    pthread_create(&dialler, NULL, dial, (void *)(size_t)at);
    qmp_status status = qmp_listen(at, options, timeout_ms, NULL, client, &error);
    pthread_join(dialler, NULL);
    qmp_options_free(options);
    return status;
}

static bool is_there(const char *file)
{
    return access(file, F_OK) == 0;
}

static void a_vm_comes_and_its_place_is_given_up(void)
{
    begin(serve_ticking);
    qmp_client *client = NULL;
    CHECK_STATUS(listened(address, NULL, PATIENCE_MS, &client), QMP_OK);
    REQUIRE(client);
    CHECK(!is_there(path));
    CHECK_STATUS(execute(client, "query-name"), QMP_OK);
    qmp_event_free(next_event(client, "TICK"));
    int32_t pid;
    uint32_t uid;
    CHECK_STATUS(qmp_peer(client, &pid, &uid, NULL), QMP_OK);
    CHECK_INT(pid, getpid());
    CHECK_STATUS(qmp_close(client), QMP_OK);
    end();
}

static void other_kinds_of_places(void)
{
    begin(serve_plainly);
    char abstract[64], tcp[64];
    server *other = server_start_tcp(serve_plainly); /* has a port that is free once it has stopped */
    snprintf(tcp, sizeof tcp, "%s", server_address(other));
    int32_t refused = qmp_listen(tcp, NULL, 0, NULL, &(qmp_client *){NULL}, &error);
    CHECK_ERROR(refused, QMP_ERR_BUSY, error);
    server_stop(other);
    snprintf(abstract, sizeof abstract, "abstract:qmp-listen-%d", (int)getpid());
    const char *places[] = {abstract, tcp};
    for (int i = 0; i < 2; i++) {
        qmp_client *client = NULL;
        CHECK_STATUS(listened(places[i], NULL, PATIENCE_MS, &client), QMP_OK);
        CHECK_STATUS(execute(client, "query-name"), QMP_OK);
        CHECK_STATUS(qmp_close(client), QMP_OK);
    }
    end();
}

static int bound(bool listens)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    snprintf(at.sun_path, sizeof at.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(bind(fd, (struct sockaddr *)&at, sizeof at) == 0);
    CHECK(!listens || listen(fd, 4) == 0);
    return fd;
}

static void f5_what_is_left_behind_is_replaced(void)
{
    begin(serve_plainly);
    qmp_client *client = NULL;
    close(bound(true));
    CHECK(is_there(path));
    CHECK_STATUS(listened(address, NULL, PATIENCE_MS, &client), QMP_OK);
    CHECK_STATUS(execute(client, "query-name"), QMP_OK);
    CHECK_STATUS(qmp_close(client), QMP_OK);
    CHECK(!is_there(path));
    end();
}

static void what_is_in_use_stays(void)
{
    begin(serve_plainly);
    qmp_client *client = (qmp_client *)1;
    for (int listens = 0; listens <= 1; listens++) {
        int other = bound(listens);
        CHECK_ERROR(qmp_listen(address, NULL, QMP_FOREVER, NULL, &client, &error), QMP_ERR_BUSY, error);
        CHECK(client == NULL && is_there(path));
        /* Whoever listens there has not noticed. */
        CHECK(!listens || !readable(other, 0));
        close(other);
        unlink(path);
    }
    int file = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    CHECK(file >= 0 && write(file, "kept", 4) == 4);
    close(file);
    CHECK_ERROR(qmp_listen(address, NULL, QMP_FOREVER, NULL, &client, &error), QMP_ERR_BUSY, error);
    file = open(path, O_RDONLY | O_CLOEXEC);
    char text[8] = "";
    CHECK(read(file, text, sizeof text - 1) == 4);
    CHECK_STR(text, "kept");
    close(file);
    end();
}

/* Two managers on one path: the first is not disturbed by the second. */
static void *listen_first(void *client)
{
    CHECK_STATUS(qmp_listen(address, NULL, PATIENCE_MS, NULL, client, NULL), QMP_OK);
    return NULL;
}

static void the_first_who_listens_gets_the_vm(void)
{
    begin(serve_plainly);
    pthread_t first;
    qmp_client *client = NULL, *other = NULL;
    pthread_create(&first, NULL, listen_first, &client);
    CHECK_SOON(is_there(path));
    for (int i = 0; i < 20; i++)
        CHECK_ERROR(qmp_listen(address, NULL, QMP_FOREVER, NULL, &other, &error), QMP_ERR_BUSY, error);
    dial(address);
    pthread_join(first, NULL);
    CHECK_STATUS(execute(client, "query-name"), QMP_OK);
    CHECK_STATUS(qmp_close(client), QMP_OK);
    end();
}

static void *trigger(void *cancel)
{
    CHECK_SOON(is_there(path));
    CHECK_STATUS(qmp_cancel_trigger(cancel), QMP_OK);
    return NULL;
}

static void nobody_comes(void)
{
    begin(serve_plainly);
    qmp_client *client = NULL;
    qmp_cancel *cancel = qmp_cancel_new();
    pthread_t thread;
    for (int64_t timeout_ms = 0; timeout_ms <= 20; timeout_ms += 20)
        CHECK_ERROR(qmp_listen(address, NULL, timeout_ms, NULL, &client, &error), QMP_ERR_TIMEOUT, error);
    pthread_create(&thread, NULL, trigger, cancel);
    CHECK_ERROR(qmp_listen(address, NULL, QMP_FOREVER, cancel, &client, &error), QMP_ERR_CANCELLED, error);
    pthread_join(thread, NULL);
    CHECK(!is_there(path));
    qmp_cancel_free(cancel);
    CHECK_ERROR(qmp_listen("fd:0", NULL, 0, NULL, &client, &error), QMP_ERR_INVALID_ARGUMENT, error);
    CHECK_ERROR(qmp_listen("/no/such/directory/x", NULL, 0, NULL, &client, &error), QMP_ERR_NOT_FOUND, error);
    end();
}

static void serve_http(peer *peer)
{
    peer_say(peer, "HTTP/1.1 200 OK\r\n\r\n");
    peer_wait_end(peer);
}

static void f14_f16_a_stranger_comes(void)
{
    qmp_client *client = NULL;
    begin(serve_http);
    CHECK_ERROR(listened(address, NULL, PATIENCE_MS, &client), QMP_ERR_PROTOCOL, error);
    CHECK(!is_there(path));
    qmp_options *options = qmp_options_new();
    CHECK_STATUS(qmp_options_set_expected_peer(options, getppid(), -1), QMP_OK);
    CHECK_ERROR(listened(address, options, PATIENCE_MS, &client), QMP_ERR_PERMISSION, error);
    end();
    begin(serve_in_silence);
    CHECK_ERROR(listened(address, NULL, 1000, &client), QMP_ERR_BUSY, error);
    CHECK(!is_there(path));
    end();
}

/* Each leaves after its first command; every other one is no VM. */
static void serve_one_command(peer *peer)
{
    if (server_clients(vms) % 2 == 0) {
        peer_say(peer, "SSH-2.0-dropbear\r\n");
        return;
    }
    if (!peer_greet(peer))
        return;
    char *command = peer_hear(peer);
    if (command)
        peer_answer(peer, command, "{}");
    free(command);
}

static void f13_it_comes_back(void)
{
    qmp_client *client = NULL;
    begin(serve_one_command);
    CHECK_STATUS(listened(address, returning(), PATIENCE_MS, &client), QMP_OK);
    REQUIRE(client);
    CHECK(is_there(path));
    struct footprint before = footprint_take();
    for (int i = 0; i < 10; i++) {
        CHECK_STATUS(execute(client, "query-name"), QMP_OK);
        CHECK_OWN(client, QMP_EVENT_DISCONNECTED, "\"reconnecting\": true");
        for (int j = 0; j < 2; j++) { /* the first of them is the stranger */
            CHECK(server_dial(vms, address));
            CHECK_SOON(j == 1 || server_open(vms) == 0);
        }
        CHECK_OWN(client, QMP_EVENT_RECONNECTED, "\"another-process\": false");
    }
    CHECK_SOON(footprint_take().descriptors == before.descriptors);
    CHECK_STATUS(qmp_close(client), QMP_OK);
    CHECK(!is_there(path));
    end();
}

static void f13_it_gives_its_place_up_when_it_gives_up(void)
{
    qmp_client *client = NULL;
    qmp_event *event = NULL;
    begin(serve_one_command);
    qmp_options *options = qmp_options_new();
    CHECK_STATUS(qmp_options_set_reconnect(options, 1, 1, 1, 0, 50), QMP_OK);
    CHECK_STATUS(listened(address, options, PATIENCE_MS, &client), QMP_OK);
    CHECK_STATUS(execute(client, "query-name"), QMP_OK);
    CHECK_OWN(client, QMP_EVENT_DISCONNECTED, "\"reconnecting\": true");
    CHECK_OWN(client, QMP_EVENT_DISCONNECTED, "\"reconnecting\": false");
    CHECK_ERROR(qmp_poll_event(client, QMP_FOREVER, NULL, &event, &error), QMP_ERR_DISCONNECTED, error);
    CHECK_SOON(!is_there(path));
    CHECK_STATUS(qmp_close(client), QMP_OK);
    end();
}

static void f89_it_is_closed_while_it_listens(void)
{
    struct under_way call;
    qmp_client *client = NULL;
    begin(serve_one_command);
    CHECK_STATUS(listened(address, returning(), PATIENCE_MS, &client), QMP_OK);
    CHECK_STATUS(execute(client, "query-name"), QMP_OK);
    CHECK_OWN(client, QMP_EVENT_DISCONNECTED, "\"reconnecting\": true");
    call_begin(&call, client, "stop", QMP_FOREVER, NULL);
    CHECK_STATUS(qmp_close(client), QMP_OK);
    qmp_status status = call_end(&call);
    CHECK(status == QMP_ERR_CLOSED || status == QMP_ERR_INVALID_HANDLE);
    CHECK(!is_there(path));
    end();
}

/* Who dials while a VM is there waits in line, and does not keep the caller's loop busy. */
static void the_callers_loop_rests_while_a_vm_is_there(void)
{
    qmp_client *client = NULL;
    int32_t fd;
    begin(serve_one_command);
    qmp_options *options = returning();
    CHECK_STATUS(qmp_options_set_own_loop(options, true), QMP_OK);
    int threads = count_threads();
    CHECK_STATUS(listened(address, options, PATIENCE_MS, &client), QMP_OK);
    REQUIRE(client);
    CHECK_STATUS(qmp_fd(client, &fd, NULL), QMP_OK);
    CHECK_STATUS(execute(client, "query-name"), QMP_OK);
    CHECK_OWN(client, QMP_EVENT_DISCONNECTED, "\"reconnecting\": true");
    CHECK(server_dial(vms, address)); /* no VM */
    CHECK_SOON(server_open(vms) == 0);
    CHECK(server_dial(vms, address));
    qmp_event *event = NULL;
    while (!event && readable(fd, PATIENCE_MS)) {
        CHECK_STATUS(qmp_process(client, NULL), QMP_OK);
        qmp_poll_event(client, 0, NULL, &event, NULL);
    }
    CHECK_INT(event ? event->kind : -1, QMP_EVENT_RECONNECTED);
    qmp_event_free(event);
    CHECK(server_dial(vms, address)); /* has to wait */
    for (int i = 0; i < 100 && readable(fd, 0); i++)
        CHECK_STATUS(qmp_process(client, NULL), QMP_OK);
    CHECK(!readable(fd, 1500));
    CHECK_SOON(count_threads() <= threads + 1); /* the VM's */
    CHECK_STATUS(qmp_close(client), QMP_OK);
    end();
}

int main(void)
{
    RUN(a_vm_comes_and_its_place_is_given_up);
    RUN(other_kinds_of_places);
    RUN(f5_what_is_left_behind_is_replaced);
    RUN(what_is_in_use_stays);
    RUN(the_first_who_listens_gets_the_vm);
    RUN(nobody_comes);
    RUN(f14_f16_a_stranger_comes);
    RUN(f13_it_comes_back);
    RUN(f13_it_gives_its_place_up_when_it_gives_up);
    RUN(f89_it_is_closed_while_it_listens);
    RUN(the_callers_loop_rests_while_a_vm_is_there);
    return check_end();
}
