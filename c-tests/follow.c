/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A certain event can be waited for, alone or with the command that brings it about. */
#include "support/mocked.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

static struct mocked vm;
static qmp_error *error;

static qmp_event *wait_event(const char *events, int64_t timeout_ms)
{
    qmp_event *event = NULL;
    CHECK_STATUS(qmp_wait_event(vm.client, events, NULL, NULL, timeout_ms, NULL, &event, NULL), QMP_OK);
    return event;
}

static void check_next(const char *name, uint64_t sequence, uint64_t lost)
{
    qmp_event *event = NULL;
    REQUIRE(CHECK_STATUS(qmp_poll_event(vm.client, 0, NULL, &event, NULL), QMP_OK));
    CHECK_STR(event->name, name);
    CHECK_INT(event->sequence, sequence);
    CHECK_INT(event->lost, lost);
    qmp_event_free(event);
}

static void what_came_already_is_found_and_the_rest_stays(void)
{
    qmp_event *event = NULL;
    int32_t fd = 0;
    REQUIRE(mocked_start(&vm));
    CHECK_STATUS(qmp_event_fd(vm.client, &fd, NULL), QMP_OK);
    mocked_emit(&vm, "A", "{\"n\": 1}");
    mocked_emit(&vm, "STOP", NULL);
    mocked_emit(&vm, "A", "{\"n\": 2}");
    mocked_emit(&vm, "B", NULL);
    CHECK_STATUS(qmp_wait_event(vm.client, "A", "n", "2", 0, NULL, &event, NULL), QMP_OK);
    REQUIRE(event);
    CHECK_STR(event->data, "{\"n\":2}");
    CHECK_INT(event->sequence, 3);
    CHECK_INT(event->lost, 0);
    qmp_event_free(event);
    CHECK_ERROR(qmp_wait_event(vm.client, "A", "n", "2", 0, NULL, &event, &error), QMP_ERR_TIMEOUT, error);
    event = wait_event("ST*", QMP_FOREVER);
    CHECK(event && strcmp(event->name, "STOP") == 0);
    qmp_event_free(event);
    check_next("A", 1, 0);
    CHECK(readable(fd, 0));
    check_next("B", 4, 0); /* what was taken was not lost */
    CHECK(!readable(fd, 0));
    mocked_emit(&vm, "C", NULL);
    qmp_event_free(wait_event("C", 0));
    CHECK(!readable(fd, 0));
    mocked_stop(&vm);
}

static void what_was_lost_is_told_once(void)
{
    qmp_options *options = qmp_options_new();
    char *address = NULL;
    REQUIRE(mocked_start(&vm));
    qmp_close(vm.client);
    CHECK_STATUS(qmp_options_set_event_capacity(options, 4), QMP_OK);
    CHECK_STATUS(qmp_mock_address(vm.mock, &address, NULL), QMP_OK);
    CHECK_STATUS(qmp_connect(address, options, PATIENCE_MS, NULL, &vm.client, NULL), QMP_OK);
    qmp_string_free(address);
    qmp_options_free(options);
    mocked_emit(&vm, "STOP", NULL);
    for (int i = 0; i < 8; i++)
        mocked_emit(&vm, "TICK", NULL); /* 2 to 9, of which 2 to 6 are lost */
    qmp_event *event = wait_event("TICK", 0);
    REQUIRE(event);
    CHECK_INT(event->sequence, 7);
    CHECK_INT(event->lost, 5);
    qmp_event_free(event);
    check_next("STOP", 1, 0);
    check_next("TICK", 8, 0);
    check_next("TICK", 9, 0);
    mocked_stop(&vm);
}

static void *emit_late(void *data)
{
    (void)data;
    for (int i = 0; i < 5; i++)
        nap();
    CHECK_STATUS(qmp_mock_emit(vm.mock, "OTHER", NULL, NULL), QMP_OK);
    CHECK_STATUS(qmp_mock_emit(vm.mock, "LATE", NULL, NULL), QMP_OK);
    return NULL;
}

static void what_has_not_come_is_waited_for(void)
{
    pthread_t thread;
    qmp_event *event = (qmp_event *)1;
    REQUIRE(mocked_start(&vm));
    pthread_create(&thread, NULL, emit_late, NULL);
    qmp_event_free(wait_event("LATE", PATIENCE_MS));
    pthread_join(thread, NULL);
    check_next("OTHER", 1, 0);
    CHECK_ERROR(qmp_wait_event(vm.client, "LATE", NULL, NULL, 20, NULL, &event, &error), QMP_ERR_TIMEOUT, error);
    CHECK(event == NULL);
    qmp_cancel *cancel = qmp_cancel_new();
    CHECK_STATUS(qmp_cancel_trigger(cancel), QMP_OK);
    CHECK_ERROR(qmp_wait_event(vm.client, "LATE", NULL, NULL, QMP_FOREVER, cancel, &event, &error), QMP_ERR_CANCELLED, error);
    qmp_cancel_free(cancel);
    CHECK_ERROR(qmp_wait_event(vm.client, "BAD NAME", NULL, NULL, 0, NULL, &event, &error), QMP_ERR_INVALID_ARGUMENT, error);
    /* What came before the end is found after it. */
    mocked_emit(&vm, "LATE", NULL);
    CHECK_STATUS(qmp_mock_disconnect(vm.mock, NULL), QMP_OK);
    CHECK_ERROR(qmp_wait_event(vm.client, "NEVER", NULL, NULL, PATIENCE_MS, NULL, &event, &error), QMP_ERR_DISCONNECTED, error);
    qmp_event_free(wait_event("LATE", 0));
    mocked_stop(&vm);
}

static atomic_int found;

static void *wait_for_one(void *name)
{
    qmp_event *event = wait_event(name, PATIENCE_MS);
    CHECK(event && strcmp(event->name, name) == 0);
    qmp_event_free(event);
    atomic_fetch_add(&found, 1);
    return NULL;
}

static void threads_wait_for_different_events(void)
{
    static char names[8][4] = {"E0", "E1", "E2", "E3", "E4", "E5", "E6", "E7"};
    for (int round = 0; round < rounds(50); round++) {
        pthread_t threads[8];
        REQUIRE(mocked_start(&vm));
        for (int i = 0; i < 8; i++)
            pthread_create(&threads[i], NULL, wait_for_one, names[i]);
        for (int i = 7; i >= 0; i--)
            CHECK_STATUS(qmp_mock_emit(vm.mock, names[i], NULL, NULL), QMP_OK);
        for (int i = 0; i < 8; i++)
            pthread_join(threads[i], NULL);
        mocked_stop(&vm);
    }
}

static qmp_status follow(const char *member, const char *value, int64_t timeout_ms, qmp_cancel *cancel, char **reply,
                         qmp_event **event)
{
    *reply = (char *)1, *event = (qmp_event *)1;
    return qmp_execute_and_wait(vm.client, "query-version", NULL, "DONE", member, value, timeout_ms, cancel, reply, event, &error);
}

static void a_command_and_its_event(void)
{
    char *reply = NULL;
    qmp_event *event = NULL;
    REQUIRE(mocked_start(&vm));
    mocked_emit(&vm, "DONE", "{\"of\": \"somebody else\"}"); /* before the command: not its own */
    CHECK_STATUS(qmp_mock_reply(vm.mock, "query-version", "7", 1000, NULL), QMP_OK);
    CHECK_STATUS(qmp_mock_reply_event(vm.mock, "query-version", true, "DONE", "{\"of\": 1}", 1000, NULL), QMP_OK);
    CHECK_STATUS(follow(NULL, NULL, PATIENCE_MS, NULL, &reply, &event), QMP_OK);
    CHECK_STR(reply, "7");
    CHECK_STR(event->data, "{\"of\":1}");
    qmp_string_free(reply), qmp_event_free(event);
    /* Others see it as well. */
    check_next("DONE", 1, 0);
    check_next("DONE", 2, 0);

    CHECK_STATUS(qmp_mock_reply_event(vm.mock, "query-version", false, "DONE", "{\"of\": 2}", 1000, NULL), QMP_OK);
    CHECK_STATUS(follow("of", "2", PATIENCE_MS, NULL, &reply, &event), QMP_OK);
    CHECK_STR(event->data, "{\"of\":2}");
    qmp_string_free(reply), qmp_event_free(event);
    mocked_stop(&vm);
}

static void a_command_that_fails_has_no_event(void)
{
    char *reply = NULL;
    qmp_event *event = NULL;
    REQUIRE(mocked_start(&vm));
    CHECK_STATUS(qmp_mock_reply_error(vm.mock, "query-version", "GenericError", "no", 1, NULL), QMP_OK);
    CHECK_STATUS(qmp_mock_reply_event(vm.mock, "query-version", true, "DONE", NULL, 1, NULL), QMP_OK);
    qmp_status status = follow(NULL, NULL, PATIENCE_MS, NULL, &reply, &event);
    CHECK_STR(error->description, "no");
    CHECK_ERROR(status, QMP_ERR_COMMAND, error);
    CHECK(!reply && !event);
    CHECK_ERROR(follow(NULL, NULL, 0, NULL, &reply, &event), QMP_ERR_TIMEOUT, error);
    CHECK_ERROR(follow("of", NULL, PATIENCE_MS, NULL, &reply, &event), QMP_ERR_INVALID_ARGUMENT, error);
    uint64_t count = 0;
    CHECK_STATUS(qmp_mock_count(vm.mock, "query-version", &count, NULL), QMP_OK);
    CHECK_INT(count, 1); /* the others were not sent */
    mocked_stop(&vm);
}

/* The reply uses up most of the time, and the event gets the rest only. */
static void both_are_under_one_limit(void)
{
    char *reply = NULL;
    qmp_event *event = NULL;
    REQUIRE(mocked_start(&vm));
    CHECK_STATUS(qmp_mock_delay(vm.mock, "query-version", 2000, 1, NULL), QMP_OK);
    int64_t start = now_ms();
    qmp_status status = follow(NULL, NULL, 3000, NULL, &reply, &event);
    int64_t took = now_ms() - start;
    CHECK(error && error->outcome_unknown);
    CHECK_HAS(error ? error->message : "", "it was answered");
    CHECK_STR(error ? error->command : "", "query-version");
    CHECK_ERROR(status, QMP_ERR_TIMEOUT, error);
    CHECK(!reply && !event);
    CHECK(took >= 2990 && took < 4900);
    mocked_stop(&vm);
}

static void *cancel_later(void *cancel)
{
    CHECK_STATUS(qmp_mock_expect(vm.mock, "[\"query-version\"]", PATIENCE_MS, NULL), QMP_OK);
    CHECK_STATUS(qmp_cancel_trigger(cancel), QMP_OK);
    return NULL;
}

static void *disconnect_later(void *data)
{
    (void)data;
    CHECK_STATUS(qmp_mock_expect(vm.mock, "[\"query-version\"]", PATIENCE_MS, NULL), QMP_OK);
    CHECK_STATUS(qmp_mock_disconnect(vm.mock, NULL), QMP_OK);
    return NULL;
}

static void *close_later(void *data)
{
    (void)data;
    CHECK_STATUS(qmp_mock_expect(vm.mock, "[\"query-version\"]", PATIENCE_MS, NULL), QMP_OK);
    CHECK_STATUS(qmp_close(vm.client), QMP_OK);
    return NULL;
}

static void what_ends_the_wait_is_told(void)
{
    const struct {
        void *(*by)(void *data);
        qmp_status status;
    } ways[] = {{cancel_later, QMP_ERR_CANCELLED}, {disconnect_later, QMP_ERR_DISCONNECTED}, {close_later, QMP_ERR_CLOSED}};
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        char *reply = NULL;
        qmp_event *event = NULL;
        pthread_t thread;
        REQUIRE(mocked_start(&vm));
        qmp_cancel *cancel = qmp_cancel_new();
        pthread_create(&thread, NULL, ways[i].by, cancel);
        qmp_status status = follow(NULL, NULL, QMP_FOREVER, cancel, &reply, &event);
        CHECK(error && error->outcome_unknown);
        CHECK_ERROR(status, ways[i].status, error);
        CHECK(!reply && !event);
        pthread_join(thread, NULL);
        qmp_cancel_free(cancel);
        mocked_stop(&vm);
    }
}

int main(void)
{
    RUN(what_came_already_is_found_and_the_rest_stays);
    RUN(what_was_lost_is_told_once);
    RUN(what_has_not_come_is_waited_for);
    RUN(threads_wait_for_different_events);
    RUN(a_command_and_its_event);
    RUN(a_command_that_fails_has_no_event);
    RUN(both_are_under_one_limit);
    RUN(what_ends_the_wait_is_told);
    return check_end();
}
