/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A client that comes back: what it tells, what stays, and that nothing is sent twice. */
#include "support/directory.h"
#include "support/file.h"
#include "support/mocked.h"
#include "support/requests.h"
#include "support/returning.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static qmp_error *error;

static bool started(struct mocked *vm, qmp_options *options)
{
    char *address = NULL;
    *vm = (struct mocked){NULL, NULL};
    CHECK_STATUS(qmp_mock_start(NULL, &vm->mock, NULL), QMP_OK);
    CHECK_STATUS(qmp_mock_address(vm->mock, &address, NULL), QMP_OK);
    vm->client = connect_with(options, address);
    qmp_string_free(address);
    return vm->client != NULL;
}

/* It knows the command, and does this to its first replies. */
static void teach(const struct mocked *vm, const char *command, const char *fault, int32_t times)
{
    CHECK_STATUS(qmp_mock_reply(vm->mock, command, "{}", QMP_ALWAYS, NULL), QMP_OK);
    if (fault)
        CHECK_STATUS(qmp_mock_fault(vm->mock, command, fault, 0, times, NULL), QMP_OK);
}

static uint64_t received(const struct mocked *vm, const char *command)
{
    uint64_t count = 0;
    CHECK_STATUS(qmp_mock_count(vm->mock, command, &count, NULL), QMP_OK);
    return count;
}

static void f13_f14_it_comes_back_and_says_so(void)
{
    struct mocked vm;
    REQUIRE(started(&vm, returning()));
    qmp_subscription *ticks = subscribe(vm.client, "TICK", 0);
    int32_t before, after, pid;
    uint32_t uid;
    char same[64];
    snprintf(same, sizeof same, "\"pid\": %d, \"another-process\": false, \"down-ms\": ", (int)getpid());
    CHECK_STATUS(qmp_event_fd(vm.client, &before, NULL), QMP_OK);
    CHECK(!readable(before, 0));
    for (int epoch = 1; epoch <= 3; epoch++) {
        char ended[64], begun[64];
        snprintf(ended, sizeof ended, "\"epoch\": %d, \"reconnecting\": true}", epoch);
        snprintf(begun, sizeof begun, "{\"epoch\": %d, ", epoch + 1);
        CHECK_STATUS(qmp_mock_disconnect(vm.mock, NULL), QMP_OK);
        CHECK(readable(before, PATIENCE_MS));
        CHECK_OWN(vm.client, QMP_EVENT_DISCONNECTED, ended);
        CHECK_OWN(vm.client, QMP_EVENT_RECONNECTED, begun);
        CHECK_OWN_OF(ticks, QMP_EVENT_DISCONNECTED, ended);
        CHECK_OWN_OF(ticks, QMP_EVENT_RECONNECTED, same);
        CHECK(!readable(before, 0));
        CHECK_STATUS(qmp_mock_emit(vm.mock, "TICK", NULL, NULL), QMP_OK);
        CHECK(readable(before, PATIENCE_MS));
        qmp_event_free(next_event(vm.client, "TICK"));
        CHECK_STR(events_of(ticks), "TICK");
    }
    CHECK_STATUS(qmp_event_fd(vm.client, &after, NULL), QMP_OK);
    CHECK_INT(after, before);
    CHECK_STATUS(qmp_peer(vm.client, &pid, &uid, NULL), QMP_OK);
    CHECK_INT(pid, getpid());
    qmp_subscription_free(ticks);
    mocked_stop(&vm);
}

static void f13_f29_what_was_under_way_is_not_sent_again(void)
{
    struct mocked vm;
    struct under_way calls[2];
    const char *commands[] = {"device_add", "query-block"};
    REQUIRE(started(&vm, returning()));
    for (int i = 0; i < 2; i++) {
        teach(&vm, commands[i], "silent", 1);
        call_begin(&calls[i], vm.client, commands[i], PATIENCE_MS, NULL);
    }
    for (int i = 0; i < 2; i++)
        CHECK_SOON(received(&vm, commands[i]) == 1);
    CHECK_STATUS(qmp_mock_disconnect(vm.mock, NULL), QMP_OK);
    for (int i = 0; i < 2; i++) {
        CHECK_STATUS(call_end(&calls[i]), QMP_ERR_DISCONNECTED);
        CHECK(calls[i].outcome_unknown);
    }
    CHECK_RETURN(vm.client);
    CHECK_STATUS(execute(vm.client, "query-name"), QMP_OK);
    for (int i = 0; i < 2; i++)
        CHECK_INT(received(&vm, commands[i]), 1);
    mocked_stop(&vm);
}

static void f13_queries_are_asked_again_when_that_is_wanted(void)
{
    struct mocked vm;
    qmp_options *options = returning();
    qmp_request *request = NULL;
    CHECK_STATUS(qmp_options_set_retry_queries(options, true), QMP_OK);
    REQUIRE(started(&vm, options));
    for (int round = 0; round < 3; round++) {
        teach(&vm, "query-block", "close", 2);
        CHECK_STATUS(execute(vm.client, "query-block"), QMP_OK);
        CHECK_INT(received(&vm, "query-block"), 3 * (round + 1));
    }
    teach(&vm, "device_add", "close", 1);
    CHECK_STATUS(execute(vm.client, "device_add"), QMP_ERR_DISCONNECTED);
    CHECK_STATUS(execute(vm.client, "query-name"), QMP_OK);
    CHECK_INT(received(&vm, "device_add"), 1);
    /* Nor what nobody waits for in a call. */
    teach(&vm, "query-pci", "close", 1);
    CHECK_STATUS(qmp_submit_json(vm.client, "query-pci", NULL, false, &request, NULL), QMP_OK);
    CHECK_STATUS(outcome_of(request, PATIENCE_MS), QMP_ERR_DISCONNECTED);
    qmp_request_free(request);
    CHECK_STATUS(execute(vm.client, "query-name"), QMP_OK);
    CHECK_INT(received(&vm, "query-pci"), 1);
    mocked_stop(&vm);
}

static void requests_in_flight_end_with_their_session(void)
{
    struct mocked vm;
    struct told told = {0};
    int fd;
    REQUIRE(started(&vm, returning()));
    teach(&vm, "hold", "silent", 3);
    qmp_request *waited = submit(vm.client, "hold"), *batched = submit(vm.client, "hold"), *called = submit(vm.client, "hold");
    qmp_batch *batch = qmp_batch_new();
    CHECK_STATUS(qmp_batch_add(batch, batched, NULL), QMP_OK);
    CHECK_STATUS(qmp_batch_fd(batch, &fd, NULL), QMP_OK);
    CHECK_STATUS(qmp_request_set_callback(called, QMP_ON_LIBRARY_THREAD, tell, &told, forget, NULL), QMP_OK);
    CHECK_SOON(received(&vm, "hold") == 3);
    CHECK_STATUS(qmp_mock_disconnect(vm.mock, NULL), QMP_OK);
    CHECK(readable(fd, PATIENCE_MS));
    CHECK_RETURN(vm.client);
    CHECK_STATUS(outcome_of(waited, PATIENCE_MS), QMP_ERR_DISCONNECTED);
    CHECK_STATUS(outcome_of(batched, PATIENCE_MS), QMP_ERR_DISCONNECTED);
    CHECK_SOON(atomic_load(&told.destroyed) == 1);
    CHECK_INT(atomic_load(&told.calls), 1);
    CHECK_STATUS(atomic_load(&told.status), QMP_ERR_DISCONNECTED);
    CHECK_INT(received(&vm, "hold"), 3);
    qmp_request_free(waited);
    qmp_request_free(batched);
    qmp_request_free(called);
    qmp_batch_free(batch);
    mocked_stop(&vm);
}

struct counted {
    atomic_int disconnected, reconnected, destroyed;
};

static void count_event(void *user_data, const qmp_event *event)
{
    struct counted *counted = user_data;
    atomic_fetch_add(&counted->disconnected, event->kind == QMP_EVENT_DISCONNECTED);
    atomic_fetch_add(&counted->reconnected, event->kind == QMP_EVENT_RECONNECTED);
}

static void count_end(void *user_data)
{
    struct counted *counted = user_data;
    atomic_fetch_add(&counted->destroyed, 1);
}

static void callbacks_are_told_of_both(void)
{
    struct mocked vm;
    struct counted counted[2] = {0};
    const int32_t places[] = {QMP_ON_LIBRARY_THREAD, QMP_ON_DISPATCH};
    qmp_subscription *subscriptions[2];
    int32_t fd;
    REQUIRE(started(&vm, returning()));
    CHECK_STATUS(qmp_dispatch_fd(vm.client, &fd, NULL), QMP_OK);
    for (int i = 0; i < 2; i++) {
        subscriptions[i] = subscribe(vm.client, "TICK", 0);
        CHECK_STATUS(qmp_subscription_set_callback(subscriptions[i], places[i], count_event, &counted[i], count_end, NULL), QMP_OK);
    }
    CHECK_STATUS(qmp_mock_disconnect(vm.mock, NULL), QMP_OK);
    CHECK_SOON(atomic_load(&counted[0].reconnected) == 1);
    CHECK_INT(atomic_load(&counted[0].disconnected), 1);
    while (atomic_load(&counted[1].reconnected) == 0 && readable(fd, PATIENCE_MS))
        CHECK_STATUS(qmp_dispatch(vm.client, NULL), QMP_OK);
    CHECK_INT(atomic_load(&counted[1].disconnected), 1);
    CHECK_INT(atomic_load(&counted[1].reconnected), 1);
    for (int i = 0; i < 2; i++) {
        qmp_subscription_free(subscriptions[i]);
        CHECK_SOON(atomic_load(&counted[i].destroyed) == 1);
    }
    mocked_stop(&vm);
}

/* A command and its event are of one session; any other wait goes on. */
static void f13_waits_for_events_across_the_end(void)
{
    struct mocked vm;
    char *reply = NULL;
    qmp_event *event = NULL;
    REQUIRE(started(&vm, returning()));
    teach(&vm, "device_del", "close-after", 1);
    CHECK_STATUS(qmp_mock_reply_event(vm.mock, "query-name", true, "DEVICE_DELETED", NULL, 1, NULL), QMP_OK);
    qmp_status status = qmp_execute_and_wait(vm.client, "device_del", NULL, "DEVICE_DELETED", NULL, NULL, PATIENCE_MS, NULL,
                                             &reply, &event, &error);
    CHECK(!error || error->outcome_unknown);
    CHECK_ERROR(status, QMP_ERR_DISCONNECTED, error);
    CHECK_STATUS(execute(vm.client, "query-name"), QMP_OK);
    CHECK_STATUS(qmp_wait_event(vm.client, "DEVICE_DELETED", NULL, NULL, PATIENCE_MS, NULL, &event, &error), QMP_OK);
    CHECK_STR(event ? event->name : "", "DEVICE_DELETED");
    qmp_event_free(event);
    CHECK_RETURN(vm.client);
    CHECK_INT(received(&vm, "device_del"), 1);
    mocked_stop(&vm);
}

static void out_of_band_is_negotiated_anew(void)
{
    struct mocked vm;
    char *reply = NULL;
    qmp_options *options = returning();
    CHECK_STATUS(qmp_options_set_out_of_band(options, true), QMP_OK);
    REQUIRE(started(&vm, options));
    for (int i = 0; i < 2; i++) {
        CHECK_STATUS(qmp_execute_oob_json(vm.client, "query-yank", NULL, PATIENCE_MS, NULL, &reply, NULL), QMP_OK);
        qmp_string_free(reply);
        if (i == 1)
            CHECK_STATUS(qmp_mock_set_capabilities(vm.mock, "[]", NULL), QMP_OK);
        CHECK_STATUS(qmp_mock_disconnect(vm.mock, NULL), QMP_OK);
        CHECK_RETURN(vm.client);
    }
    CHECK_ERROR(qmp_execute_oob_json(vm.client, "query-yank", NULL, PATIENCE_MS, NULL, &reply, &error), QMP_ERR_UNSUPPORTED,
                error);
    CHECK_STATUS(execute(vm.client, "query-name"), QMP_OK);
    mocked_stop(&vm);
}

static atomic_int syncs;

/* Leaves after its first command. */
static void serve_as_agent(peer *peer)
{
    char *command, id[64];
    while ((command = peer_hear(peer)) && is_command(command, "guest-sync-delimited")) {
        atomic_fetch_add(&syncs, 1);
        CHECK(command_id(command, id, sizeof id));
        peer_say(peer, "{\"return\": 17, \"id\": 1}\n\xff");
        peer_answer(peer, command, id);
        free(command);
    }
    if (command)
        peer_answer(peer, command, "{}");
    free(command);
}

static void f114_a_guest_agent_is_synced_anew(void)
{
    qmp_options *options = returning();
    server *server = server_start(serve_as_agent);
    CHECK_STATUS(qmp_options_set_dialect(options, QMP_DIALECT_GUEST_AGENT), QMP_OK);
    atomic_store(&syncs, 0);
    qmp_client *client = connect_with(options, server_address(server));
    REQUIRE(client);
    for (int i = 1; i <= 3; i++) {
        CHECK_STATUS(execute(client, "guest-ping"), QMP_OK);
        CHECK_RETURN(client);
    }
    CHECK_INT(atomic_load(&syncs), 4);
    CHECK_STATUS(qmp_close(client), QMP_OK);
    server_stop(server);
}

static void a_recording_has_the_first_session(void)
{
    struct mocked vm;
    char directory[64], path[96];
    directory_make(directory, sizeof directory);
    snprintf(path, sizeof path, "%s/session", directory);
    qmp_options *options = returning();
    CHECK_STATUS(qmp_options_set_record(options, path), QMP_OK);
    REQUIRE(started(&vm, options));
    CHECK_STATUS(execute(vm.client, "query-first"), QMP_ERR_COMMAND);
    CHECK_STATUS(qmp_mock_disconnect(vm.mock, NULL), QMP_OK);
    CHECK_RETURN(vm.client);
    char *before = file_text(path);
    CHECK_STATUS(execute(vm.client, "query-second"), QMP_ERR_COMMAND);
    mocked_stop(&vm);
    char *after = file_text(path);
    CHECK_HAS(after, "query-first");
    CHECK_STR(after, before);
    free(before);
    free(after);
    directory_remove(directory);
}

static void f13_a_hundred_times_leave_nothing_behind(void)
{
    struct mocked vm;
    struct footprint before, after;
    REQUIRE(started(&vm, returning()));
    int32_t fd;
    CHECK_STATUS(qmp_event_fd(vm.client, &fd, NULL), QMP_OK);
    for (int i = 0; i < 100; i++) {
        CHECK_STATUS(qmp_mock_disconnect(vm.mock, NULL), QMP_OK);
        CHECK_RETURN(vm.client);
        CHECK_STATUS(execute(vm.client, "query-name"), QMP_OK);
        if (i == 0)
            before = footprint_take();
    }
    after = footprint_take();
    CHECK_INT(after.descriptors, before.descriptors);
    CHECK_INT(after.threads, before.threads);
    mocked_stop(&vm);
}

static void pauses_are_checked(void)
{
    qmp_options *options = qmp_options_new();
    const struct {
        int64_t first;
        double factor;
        int64_t cap;
        double jitter;
        int64_t total;
        qmp_status status;
    } cases[] = {
        {1, 1, 1, 0, 0, QMP_OK},
        {1, 100, INT64_MAX, 1, INT64_MAX, QMP_OK},
        {INT64_MAX, 1, INT64_MAX, 1, QMP_FOREVER, QMP_OK},
        {0, -1, -1, -1, -7, QMP_OK}, /* off */
        {-1, 1, 1, 0, 0, QMP_ERR_INVALID_ARGUMENT},
        {2, 1, 1, 0, 0, QMP_ERR_INVALID_ARGUMENT},
        {1, 0.99, 1, 0, 0, QMP_ERR_INVALID_ARGUMENT},
        {1, 100.1, 1, 0, 0, QMP_ERR_INVALID_ARGUMENT},
        {1, 0.0 / 0.0, 1, 0, 0, QMP_ERR_INVALID_ARGUMENT},
        {1, 1, 1, -0.1, 0, QMP_ERR_INVALID_ARGUMENT},
        {1, 1, 1, 1.1, 0, QMP_ERR_INVALID_ARGUMENT},
        {1, 1, 1, 0.0 / 0.0, 0, QMP_ERR_INVALID_ARGUMENT},
        {1, 1, 1, 0, -2, QMP_ERR_INVALID_ARGUMENT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        CHECK_STATUS(qmp_options_set_reconnect(options, cases[i].first, cases[i].factor, cases[i].cap, cases[i].jitter,
                                               cases[i].total), cases[i].status);
    /* What is given leads to one VM once. */
    qmp_client *client = NULL;
    CHECK_STATUS(qmp_options_set_reconnect(options, 1, 1, 1, 0, QMP_FOREVER), QMP_OK);
    CHECK_ERROR(qmp_connect("fd:0", options, 0, NULL, &client, &error), QMP_ERR_INVALID_ARGUMENT, error);
    qmp_options_free(options);
}

int main(void)
{
    RUN(f13_f14_it_comes_back_and_says_so);
    RUN(f13_f29_what_was_under_way_is_not_sent_again);
    RUN(f13_queries_are_asked_again_when_that_is_wanted);
    RUN(requests_in_flight_end_with_their_session);
    RUN(callbacks_are_told_of_both);
    RUN(f13_waits_for_events_across_the_end);
    RUN(out_of_band_is_negotiated_anew);
    RUN(f114_a_guest_agent_is_synced_anew);
    RUN(a_recording_has_the_first_session);
    RUN(f13_a_hundred_times_leave_nothing_behind);
    RUN(pauses_are_checked);
    return check_end();
}
