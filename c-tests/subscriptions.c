/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Several consumers of one client's events: each gets what it asked for, in a queue of its own, and the end. */
#include "support/mocked.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

static struct mocked vm;

static void names_and_patterns_choose(void)
{
    REQUIRE(mocked_start(&vm));
    qmp_subscription *all = subscribe(vm.client, NULL, 0), *one = subscribe(vm.client, "STOP", 0);
    qmp_subscription *some = subscribe(vm.client, "JOB_*, STOP", 0), *ends = subscribe(vm.client, "*_COMPLETED", 0);
    mocked_emit(&vm, "STOP", NULL);
    mocked_emit(&vm, "JOB_STATUS_CHANGE", "{\"id\": \"j\"}");
    mocked_emit(&vm, "STOPPED", NULL);
    mocked_emit(&vm, "BLOCK_JOB_COMPLETED", NULL);
    CHECK_STR(events_of(all), "STOP JOB_STATUS_CHANGE STOPPED BLOCK_JOB_COMPLETED");
    CHECK_STR(events_of(one), "STOP");
    CHECK_STR(events_of(some), "STOP JOB_STATUS_CHANGE");
    CHECK_STR(events_of(ends), "BLOCK_JOB_COMPLETED");
    qmp_event_free(next_event(vm.client, "BLOCK_JOB_COMPLETED")); /* that has them too */
    qmp_subscription_free(all), qmp_subscription_free(one), qmp_subscription_free(some), qmp_subscription_free(ends);
    mocked_stop(&vm);
}

static void a_member_must_have_its_value(void)
{
    qmp_subscription *text = NULL, *number = NULL;
    qmp_event *event = NULL;
    REQUIRE(mocked_start(&vm));
    CHECK_STATUS(qmp_subscribe(vm.client, "DEVICE_*", "device", "\"net0\"", 0, &text, NULL), QMP_OK);
    CHECK_STATUS(qmp_subscribe(vm.client, NULL, "n", " 7 ", 0, &number, NULL), QMP_OK);
    mocked_emit(&vm, "DEVICE_DELETED", "{\"path\": \"/net0\"}");
    mocked_emit(&vm, "DEVICE_DELETED", "{\"device\": \"net1\", \"n\": 7}");
    mocked_emit(&vm, "DEVICE_DELETED", "{\"device\": {\"device\": \"net0\"}}");
    mocked_emit(&vm, "DEVICE_DELETED", "{\"path\": \"/net0\", \"device\": \"net0\", \"n\": \"7\"}");
    mocked_emit(&vm, "STOP", NULL);
    CHECK_STATUS(qmp_subscription_poll(text, 0, NULL, &event, NULL), QMP_OK);
    CHECK_HAS(event->data, "\"device\":\"net0\",\"n\":\"7\"");
    CHECK_INT(event->sequence, 1);
    CHECK_INT(event->lost, 0);
    qmp_event_free(event);
    CHECK_STR(events_of(text), "");
    CHECK_STATUS(qmp_subscription_poll(number, 0, NULL, &event, NULL), QMP_OK);
    CHECK_HAS(event->data, "net1");
    qmp_event_free(event);
    CHECK_STR(events_of(number), "");
    qmp_subscription_free(text), qmp_subscription_free(number);
    mocked_stop(&vm);
}

static void what_is_no_filter_is_refused(void)
{
    const char *const names[] = {"", ",", "STOP,", "A B", "\xc3\xa9", "\xff"}, *const values[] = {"", "{", "1 2", "x", "\xff"};
    qmp_error *error = NULL;
    REQUIRE(mocked_start(&vm));
    qmp_subscription *made = (qmp_subscription *)1;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        CHECK_ERROR(qmp_subscribe(vm.client, names[i], NULL, NULL, 0, &made, &error), QMP_ERR_INVALID_ARGUMENT, error);
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        CHECK_ERROR(qmp_subscribe(vm.client, NULL, "a", values[i], 0, &made, &error), QMP_ERR_INVALID_ARGUMENT, error);
    CHECK_ERROR(qmp_subscribe(vm.client, NULL, "a", NULL, 0, &made, &error), QMP_ERR_INVALID_ARGUMENT, error);
    CHECK_ERROR(qmp_subscribe(vm.client, NULL, NULL, "1", 0, &made, &error), QMP_ERR_INVALID_ARGUMENT, error);
    CHECK(made == NULL);
    mocked_stop(&vm);
}

/* Takes all; each event's sequence follows from the one before it and what was lost between them. */
static void count(qmp_subscription *subscription, uint64_t *delivered, uint64_t *lost)
{
    qmp_event *event = NULL;
    uint64_t last = *delivered + *lost;
    while (qmp_subscription_poll(subscription, 0, NULL, &event, NULL) == QMP_OK) {
        CHECK_INT(event->sequence, last + event->lost + 1);
        last = event->sequence;
        *delivered += 1;
        *lost += event->lost;
        qmp_event_free(event);
    }
}

static void each_loses_and_counts_its_own(void)
{
    REQUIRE(mocked_start(&vm));
    qmp_subscription *small = subscribe(vm.client, "TICK", 3), *large = subscribe(vm.client, "T*", 0);
    uint64_t of_small[2] = {0, 0}, of_large[2] = {0, 0};
    for (int i = 0; i < 10; i++)
        mocked_emit(&vm, "TICK", NULL);
    count(small, &of_small[0], &of_small[1]);
    CHECK_INT(of_small[0], 3);
    CHECK_INT(of_small[1], 7);
    for (int i = 0; i < 5; i++)
        mocked_emit(&vm, "TICK", NULL);
    count(small, &of_small[0], &of_small[1]);
    CHECK_INT(of_small[0], 6);
    CHECK_INT(of_small[1], 9);
    count(large, &of_large[0], &of_large[1]);
    CHECK_INT(of_large[0], 15);
    CHECK_INT(of_large[1], 0);
    qmp_subscription_free(small), qmp_subscription_free(large);
    mocked_stop(&vm);
}

static void f71_a_flood_of_the_important_does_not_push_out_the_vital(void)
{
    REQUIRE(mocked_start(&vm));
    qmp_subscription *subscription = subscribe(vm.client, NULL, 4);
    mocked_emit(&vm, "SHUTDOWN", "{\"guest\": true}");
    for (int i = 0; i < 100; i++) {
        CHECK_STATUS(qmp_mock_emit(vm.mock, "STOP", NULL, NULL), QMP_OK);
        mocked_emit(&vm, "RESUME", NULL);
    }
    mocked_emit(&vm, "TICK", NULL); /* that makes room for itself alone */
    CHECK_STR(events_of(subscription), "SHUTDOWN RESUME STOP RESUME");
    qmp_subscription_free(subscription);
    mocked_stop(&vm);
}

static void one_made_before_a_command_sees_all_its_events(void)
{
    REQUIRE(mocked_start(&vm));
    CHECK_STATUS(qmp_mock_reply_event(vm.mock, "query-version", true, "BEFORE", NULL, 1000, NULL), QMP_OK);
    for (int i = 0; i < rounds(100); i++) {
        qmp_subscription *subscription = subscribe(vm.client, NULL, 0);
        CHECK_STATUS(execute(vm.client, "query-version"), QMP_OK);
        CHECK_STR(events_of(subscription), "BEFORE"); /* there when the call returns */
        qmp_subscription_free(subscription);
    }
    mocked_stop(&vm);
}

static void the_end_is_told_once_to_each(void)
{
    qmp_event *event = NULL;
    qmp_error *error = NULL;
    qmp_subscription *none = NULL;
    REQUIRE(mocked_start(&vm));
    qmp_subscription *each[] = {subscribe(vm.client, "SHUTDOWN", 0), subscribe(vm.client, "NEVER", 0), subscribe(vm.client, NULL, 1)};
    mocked_emit(&vm, "SHUTDOWN", NULL);
    CHECK_STATUS(qmp_mock_disconnect(vm.mock, NULL), QMP_OK);
    for (int i = 0; i < 3; i++) {
        int32_t fd = 0;
        if (i == 0) {
            CHECK_STATUS(qmp_subscription_poll(each[i], PATIENCE_MS, NULL, &event, NULL), QMP_OK);
            CHECK_STR(event->name, "SHUTDOWN");
            qmp_event_free(event);
        }
        CHECK_STATUS(qmp_subscription_fd(each[i], &fd, NULL), QMP_OK);
        CHECK(readable(fd, PATIENCE_MS));
        REQUIRE(CHECK_STATUS(qmp_subscription_poll(each[i], PATIENCE_MS, NULL, &event, NULL), QMP_OK));
        if (strcmp(event->name, "SHUTDOWN") == 0) { /* the queue of one event: the end takes its place */
            qmp_event_free(event);
            CHECK_STATUS(qmp_subscription_poll(each[i], PATIENCE_MS, NULL, &event, NULL), QMP_OK);
        }
        CHECK_INT(event->kind, QMP_EVENT_DISCONNECTED);
        CHECK_STR(event->name, "DISCONNECTED");
        CHECK_HAS(event->data, "{\"cause\": \"");
        CHECK_HAS(event->json, event->data);
        qmp_event_free(event);
        for (int again = 0; again < 2; again++) {
            CHECK_ERROR(qmp_subscription_poll(each[i], QMP_FOREVER, NULL, &event, &error), QMP_ERR_DISCONNECTED, error);
            CHECK(readable(fd, 0));
        }
    }
    CHECK_ERROR(qmp_subscribe(vm.client, NULL, NULL, NULL, 0, &none, &error), QMP_ERR_DISCONNECTED, error);
    for (int i = 0; i < 3; i++)
        qmp_subscription_free(each[i]);
    mocked_stop(&vm);
}

static void its_descriptor_is_readable_while_a_poll_would_not_wait(void)
{
    qmp_event *event = NULL;
    qmp_error *error = NULL;
    int32_t fd = 0, again = 0;
    REQUIRE(mocked_start(&vm));
    qmp_subscription *ticks = subscribe(vm.client, "TICK", 0), *late = subscribe(vm.client, "TICK", 0);
    CHECK_STATUS(qmp_subscription_fd(ticks, &fd, NULL), QMP_OK);
    CHECK_STATUS(qmp_subscription_fd(ticks, &again, NULL), QMP_OK);
    CHECK_INT(again, fd);
    mocked_emit(&vm, "STOP", NULL);
    CHECK(!readable(fd, 0)); /* that is for others */
    for (int round = 0; round < 10; round++) {
        CHECK_STATUS(qmp_mock_emit(vm.mock, "TICK", NULL, NULL), QMP_OK); /* while nobody calls */
        CHECK(readable(fd, PATIENCE_MS));
        mocked_emit(&vm, "TICK", NULL);
        for (int left = 2; left > 0; left--) {
            CHECK(readable(fd, 0));
            CHECK_STATUS(qmp_subscription_poll(ticks, 0, NULL, &event, NULL), QMP_OK);
            qmp_event_free(event);
        }
        CHECK(!readable(fd, 0));
        CHECK_ERROR(qmp_subscription_poll(ticks, 0, NULL, &event, &error), QMP_ERR_TIMEOUT, error);
    }
    /* Asked for after the events came. */
    CHECK_STATUS(qmp_subscription_fd(late, &again, NULL), QMP_OK);
    CHECK(again != fd);
    CHECK(readable(again, 0));
    /* Still a loop's to watch when the client is closed. */
    CHECK_STATUS(qmp_close(vm.client), QMP_OK);
    CHECK(readable(fd, 0));
    CHECK_ERROR(qmp_subscription_poll(ticks, 0, NULL, &event, &error), QMP_ERR_CLOSED, error);
    CHECK_ERROR(qmp_subscription_poll(late, QMP_FOREVER, NULL, &event, &error), QMP_ERR_CLOSED, error);
    CHECK_ERROR(qmp_subscription_fd(late, &again, &error), QMP_ERR_CLOSED, error);
    qmp_subscription_free(ticks), qmp_subscription_free(late);
    mocked_stop(&vm);
}

static qmp_subscription *polled;
static qmp_cancel *with_cancel;
static atomic_int begun;

static void *poll_for_ever(void *expected)
{
    qmp_event *event = (qmp_event *)1;
    qmp_error *error = NULL;
    atomic_fetch_add(&begun, 1);
    qmp_status status = qmp_subscription_poll(polled, QMP_FOREVER, with_cancel, &event, &error);
    /* It may have come too late to begin. */
    if (status != QMP_ERR_INVALID_HANDLE)
        CHECK_STATUS(status, *(qmp_status *)expected);
    CHECK(event == NULL);
    qmp_error_free(error);
    return NULL;
}

static void ignore(void *user_data, const qmp_event *event)
{
    (void)user_data, (void)event;
}

/* One of the pollers reads the socket, the others sleep; with a token they wait otherwise. */
static void a_poll_ends_with_its_subscription(void)
{
    enum { WAYS = 4, POLLERS = 3 };
    qmp_status expected[WAYS] = {QMP_ERR_CLOSED, QMP_ERR_INVALID_ARGUMENT, QMP_ERR_CLOSED, QMP_ERR_CANCELLED};
    int many = rounds(30);
    int64_t ending = 0;
    for (int round = 0; round < WAYS * 2 * many; round++) {
        pthread_t threads[POLLERS];
        int way = round % WAYS;
        REQUIRE(mocked_start(&vm));
        polled = subscribe(vm.client, "NEVER", 0);
        with_cancel = way == 3 || round / WAYS % 2 ? qmp_cancel_new() : NULL;
        atomic_store(&begun, 0);
        for (int i = 0; i < POLLERS; i++)
            pthread_create(&threads[i], NULL, poll_for_ever, &expected[way]);
        CHECK_SOON(atomic_load(&begun) == POLLERS);
        nap(); /* most of them wait by now */
        int64_t start = now_ms();
        if (way == 0)
            qmp_subscription_free(polled);
        else if (way == 1)
            CHECK_STATUS(qmp_subscription_set_callback(polled, QMP_ON_DISPATCH, ignore, NULL, NULL, NULL), QMP_OK);
        else if (way == 2)
            CHECK_STATUS(qmp_close(vm.client), QMP_OK);
        else
            CHECK_STATUS(qmp_cancel_trigger(with_cancel), QMP_OK);
        for (int i = 0; i < POLLERS; i++)
            pthread_join(threads[i], NULL);
        ending += now_ms() - start;
        qmp_cancel_free(with_cancel);
        qmp_subscription_free(polled);
        mocked_stop(&vm);
    }
    /* On average, as one time says little on a busy machine. */
    CHECK(ending <= 1000 + 100 * WAYS * 2 * many);
}

static atomic_bool over;

static void *come_and_go(void *data)
{
    (void)data;
    while (!atomic_load(&over)) {
        qmp_subscription *subscription = subscribe(vm.client, "TICK", 2);
        qmp_event *event = NULL;
        int32_t fd = 0;
        CHECK_STATUS(qmp_subscription_fd(subscription, &fd, NULL), QMP_OK);
        CHECK_STATUS(qmp_subscription_poll(subscription, PATIENCE_MS, NULL, &event, NULL), QMP_OK);
        CHECK(event && strcmp(event->name, "TICK") == 0);
        qmp_event_free(event);
        qmp_subscription_free(subscription);
    }
    return NULL;
}

static void many_come_and_go_in_a_stream_of_events(void)
{
    pthread_t threads[4];
    REQUIRE(mocked_start(&vm));
    CHECK_STATUS(execute(vm.client, "query-name"), QMP_OK);
    /* The first poll makes the one by which the client can be woken from all of them. */
    qmp_subscription *first = subscribe(vm.client, "TICK", 2);
    CHECK_STATUS(qmp_subscription_poll(first, 0, NULL, &(qmp_event *){NULL}, NULL), QMP_ERR_TIMEOUT);
    qmp_subscription_free(first);
    int before = count_descriptors();
    atomic_store(&over, false);
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, come_and_go, NULL);
    for (int i = 0; i < rounds(2000); i++)
        mocked_emit(&vm, i % 2 ? "TICK" : "TOCK", NULL);
    atomic_store(&over, true);
    mocked_emit(&vm, "TICK", NULL);
    for (int i = 0; i < 4; i++) {
        /* Whoever subscribed after the last tick waits for one more. */
        CHECK_STATUS(qmp_mock_emit(vm.mock, "TICK", NULL, NULL), QMP_OK);
        while (pthread_tryjoin_np(threads[i], NULL) != 0)
            mocked_emit(&vm, "TICK", NULL);
    }
    CHECK_INT(count_descriptors(), before);
    mocked_stop(&vm);
}

int main(void)
{
    RUN(names_and_patterns_choose);
    RUN(a_member_must_have_its_value);
    RUN(what_is_no_filter_is_refused);
    RUN(each_loses_and_counts_its_own);
    RUN(f71_a_flood_of_the_important_does_not_push_out_the_vital);
    RUN(one_made_before_a_command_sees_all_its_events);
    RUN(the_end_is_told_once_to_each);
    RUN(its_descriptor_is_readable_while_a_poll_would_not_wait);
    RUN(a_poll_ends_with_its_subscription);
    RUN(many_come_and_go_in_a_stream_of_events);
    return check_end();
}
