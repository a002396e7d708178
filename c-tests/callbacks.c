/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Callbacks get a subscription's events, in order and one at a time, and their data is destroyed exactly once. */
#include "support/mocked.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

static struct mocked vm;

/* What a callback saw. */
struct seen {
    atomic_int calls, ends, destroyed;
    atomic_int inside; /* of calls at the moment */
    atomic_bool wrong; /* two at once, out of order, or after the end or destroy */
    char names[256];
    pthread_t thread;
    uint64_t last;
};

static void see(void *user_data, const qmp_event *event)
{
    struct seen *seen = user_data;
    if (atomic_fetch_add(&seen->inside, 1) != 0 || event->sequence <= seen->last || atomic_load(&seen->ends) != 0 ||
        atomic_load(&seen->destroyed) != 0)
        atomic_store(&seen->wrong, true);
    seen->last = event->sequence;
    seen->thread = pthread_self();
    if (strlen(seen->names) + strlen(event->name) + 2 < sizeof seen->names)
        strcat(strcat(seen->names, event->name), " ");
    atomic_fetch_sub(&seen->inside, 1);
    if (event->kind == QMP_EVENT_DISCONNECTED)
        atomic_fetch_add(&seen->ends, 1);
    atomic_fetch_add(&seen->calls, 1);
}

static void count_destroyed(void *user_data)
{
    struct seen *seen = user_data;
    if (atomic_load(&seen->inside) != 0)
        atomic_store(&seen->wrong, true);
    atomic_fetch_add(&seen->destroyed, 1);
}

static void call_back(qmp_subscription *subscription, int32_t place, qmp_event_fn function, void *user_data)
{
    CHECK_STATUS(qmp_subscription_set_callback(subscription, place, function, user_data, count_destroyed, NULL), QMP_OK);
}

static void on_the_librarys_thread(void)
{
    struct seen seen = {.last = 0}, other = {.last = 0};
    char thread[16] = "";
    REQUIRE(mocked_start(&vm));
    qmp_subscription *all = subscribe(vm.client, NULL, 0), *some = subscribe(vm.client, "B*", 0);
    mocked_emit(&vm, "A", NULL); /* before there is a callback: it gets that too */
    call_back(all, QMP_ON_LIBRARY_THREAD, see, &seen);
    call_back(some, QMP_ON_LIBRARY_THREAD, see, &other);
    CHECK_SOON(atomic_load(&seen.calls) == 1);
    CHECK_STATUS(qmp_mock_emit(vm.mock, "B", NULL, NULL), QMP_OK); /* while nobody calls */
    CHECK_SOON(atomic_load(&seen.calls) == 2);
    pthread_getname_np(seen.thread, thread, sizeof thread);
    CHECK_STR(thread, "qmp-callbacks");
    mocked_emit(&vm, "C", NULL);
    CHECK_STATUS(qmp_mock_disconnect(vm.mock, NULL), QMP_OK);
    CHECK_SOON(atomic_load(&seen.ends) == 1 && atomic_load(&other.ends) == 1);
    CHECK_STR(seen.names, "A B C DISCONNECTED ");
    CHECK_STR(other.names, "B DISCONNECTED ");
    CHECK_INT(seen.destroyed, 0);
    qmp_subscription_free(all), qmp_subscription_free(some);
    CHECK_SOON(atomic_load(&seen.destroyed) == 1 && atomic_load(&other.destroyed) == 1);
    CHECK(!seen.wrong && !other.wrong);
    mocked_stop(&vm);
}

static void by_dispatch(void)
{
    struct seen seen = {.last = 0}, other = {.last = 0};
    int32_t fd = 0, again = 0;
    REQUIRE(mocked_start(&vm));
    qmp_subscription *all = subscribe(vm.client, NULL, 0), *some = subscribe(vm.client, "B*", 0);
    CHECK_STATUS(qmp_dispatch(vm.client, NULL), QMP_OK); /* nothing to do is fine */
    CHECK_STATUS(qmp_dispatch_fd(vm.client, &fd, NULL), QMP_OK);
    mocked_emit(&vm, "A", NULL);
    CHECK(!readable(fd, 0)); /* nobody has a callback */
    call_back(all, QMP_ON_DISPATCH, see, &seen);
    call_back(some, QMP_ON_DISPATCH, see, &other);
    CHECK(readable(fd, 0));
    CHECK_STATUS(qmp_dispatch(vm.client, NULL), QMP_OK);
    CHECK(!readable(fd, 0));
    CHECK_STR(seen.names, "A ");
    for (int round = 0; round < 10; round++) {
        CHECK_STATUS(qmp_mock_emit(vm.mock, "B", NULL, NULL), QMP_OK); /* while nobody calls */
        CHECK(readable(fd, PATIENCE_MS));
        mocked_emit(&vm, "B", NULL);
        CHECK(readable(fd, 0));
        CHECK_INT(seen.calls, 1 + 2 * round); /* not before it is dispatched */
        CHECK_STATUS(qmp_dispatch(vm.client, NULL), QMP_OK);
        CHECK_INT(seen.calls, 3 + 2 * round);
        CHECK_INT(other.calls, 2 + 2 * round);
        CHECK(!readable(fd, 0));
    }
    CHECK_STATUS(qmp_dispatch_fd(vm.client, &again, NULL), QMP_OK);
    CHECK_INT(again, fd);
    mocked_emit(&vm, "A", NULL);
    CHECK(readable(fd, 0));
    qmp_subscription_free(all); /* with what it had to do */
    CHECK_INT(seen.destroyed, 1);
    CHECK(!readable(fd, 0));
    CHECK_STATUS(qmp_mock_disconnect(vm.mock, NULL), QMP_OK);
    CHECK(readable(fd, PATIENCE_MS));
    CHECK_STATUS(qmp_dispatch(vm.client, NULL), QMP_OK);
    CHECK_INT(other.ends, 1);
    CHECK(!readable(fd, 0));
    CHECK(pthread_equal(other.thread, pthread_self()));
    CHECK(!seen.wrong && !other.wrong);
    qmp_subscription_free(some);
    CHECK_INT(other.destroyed, 1);
    mocked_stop(&vm);
}

static void it_is_set_once_and_for_good(void)
{
    struct seen seen = {.last = 0}, other = {.last = 0};
    qmp_error *error = NULL;
    qmp_event *event = NULL;
    REQUIRE(mocked_start(&vm));
    qmp_subscription *subscription = subscribe(vm.client, NULL, 0);
    call_back(subscription, QMP_ON_DISPATCH, see, &seen);
    CHECK_ERROR(qmp_subscription_poll(subscription, 0, NULL, &event, &error), QMP_ERR_INVALID_ARGUMENT, error);
    CHECK_ERROR(qmp_subscription_set_callback(subscription, QMP_ON_DISPATCH, see, &other, count_destroyed, &error),
                QMP_ERR_INVALID_ARGUMENT, error);
    CHECK_INT(other.destroyed, 1);
    mocked_emit(&vm, "A", NULL);
    CHECK_STATUS(qmp_dispatch(vm.client, NULL), QMP_OK);
    CHECK_INT(seen.calls, 1);
    CHECK_INT(other.calls, 0);
    CHECK_INT(seen.destroyed, 0);
    qmp_subscription_free(subscription);
    CHECK_INT(seen.destroyed, 1);
    mocked_stop(&vm);
}

static atomic_bool hesitating, go_on;

static void hesitate(void *user_data, const qmp_event *event)
{
    if (!atomic_exchange(&hesitating, true))
        CHECK(wait_for(&go_on));
    see(user_data, event);
}

static void *dispatch_until_over(void *over)
{
    while (!atomic_load((atomic_bool *)over)) {
        CHECK_STATUS(qmp_dispatch(vm.client, NULL), QMP_OK);
        nap();
    }
    return NULL;
}

static void replies_come_while_it_hesitates(int32_t place)
{
    struct seen seen = {.last = 0};
    pthread_t thread;
    atomic_bool over = false;
    REQUIRE(mocked_start(&vm));
    qmp_subscription *slow = subscribe(vm.client, "A", 0), *polled = subscribe(vm.client, "A", 0);
    qmp_client *other = mocked_client(&vm);
    atomic_store(&hesitating, false);
    atomic_store(&go_on, false);
    call_back(slow, place, hesitate, &seen);
    pthread_create(&thread, NULL, dispatch_until_over, &over);
    mocked_emit(&vm, "A", NULL);
    CHECK(wait_for(&hesitating));
    for (int i = 0; i < 20; i++) {
        mocked_emit(&vm, "A", NULL);
        CHECK_STATUS(execute(other, "query-name"), QMP_OK);
        CHECK_STR(events_of(polled), i ? "A" : "A A");
    }
    CHECK_INT(seen.calls, 0);
    atomic_store(&go_on, true);
    CHECK_SOON(atomic_load(&seen.calls) == 21);
    CHECK(!seen.wrong);
    atomic_store(&over, true);
    pthread_join(thread, NULL);
    qmp_close(other);
    qmp_subscription_free(slow), qmp_subscription_free(polled);
    CHECK_SOON(atomic_load(&seen.destroyed) == 1);
    mocked_stop(&vm);
}

static void f77_a_slow_one_on_the_librarys_thread_delays_no_reply(void)
{
    replies_come_while_it_hesitates(QMP_ON_LIBRARY_THREAD);
}

static void f77_nor_a_slow_one_by_dispatch(void)
{
    replies_come_while_it_hesitates(QMP_ON_DISPATCH);
}

static void call_everything(void *user_data, const qmp_event *event)
{
    struct seen nested = {.last = 0};
    qmp_event *polled = NULL;
    int32_t fd = 0;
    if (event->kind == QMP_EVENT_VM) {
        qmp_client *other = mocked_client(&vm);
        qmp_subscription *fresh = subscribe(vm.client, "C", 0);
        qmp_subscription *of_other = subscribe(other, NULL, 0);
        call_back(of_other, QMP_ON_LIBRARY_THREAD, see, &nested);
        CHECK_STATUS(execute(other, "query-name"), QMP_OK);
        mocked_emit(&vm, "C", NULL);
        CHECK_STR(events_of(fresh), "C");
        CHECK_STATUS(qmp_wait_event(vm.client, "C", NULL, NULL, PATIENCE_MS, NULL, &polled, NULL), QMP_OK);
        qmp_event_free(polled);
        CHECK_STATUS(qmp_dispatch_fd(vm.client, &fd, NULL), QMP_OK);
        CHECK_STATUS(qmp_dispatch(vm.client, NULL), QMP_OK); /* not itself again */
        qmp_subscription_free(fresh);
        CHECK_STATUS(qmp_close(other), QMP_OK);
        CHECK_SOON(atomic_load(&nested.destroyed) == 1);
        qmp_subscription_free(of_other);
    }
    see(user_data, event);
}

static void f97_it_may_call(void)
{
    const int32_t places[] = {QMP_ON_DISPATCH, QMP_ON_LIBRARY_THREAD};
    for (int i = 0; i < 2; i++) {
        struct seen seen = {.last = 0};
        REQUIRE(mocked_start(&vm));
        CHECK_STATUS(qmp_mock_set_clients(vm.mock, 8, NULL), QMP_OK);
        qmp_subscription *subscription = subscribe(vm.client, "A", 0);
        call_back(subscription, places[i], call_everything, &seen);
        for (int round = 1; round <= 5; round++) {
            mocked_emit(&vm, "A", NULL);
            CHECK_STATUS(qmp_dispatch(vm.client, NULL), QMP_OK);
            CHECK_SOON(atomic_load(&seen.calls) == round);
        }
        CHECK(!seen.wrong);
        qmp_subscription_free(subscription);
        CHECK_SOON(atomic_load(&seen.destroyed) == 1);
        mocked_stop(&vm);
    }
}

static qmp_subscription *own;
static void (*leave)(void);

static void close_the_client(void)
{
    CHECK_STATUS(qmp_close(vm.client), QMP_OK);
    CHECK_STATUS(execute(vm.client, "query-name"), QMP_ERR_INVALID_HANDLE);
}

static void free_the_subscription(void)
{
    qmp_subscription_free(own);
}

static void close_and_free(void)
{
    close_the_client();
    free_the_subscription();
}

static void leave_and_see(void *user_data, const qmp_event *event)
{
    struct seen *seen = user_data;
    leave();
    CHECK_INT(seen->destroyed, 0); /* not while it runs */
    CHECK_STR(event->name, "A");   /* still there */
    see(user_data, event);
}

static void leaving_from_inside(void (*way)(void))
{
    const int32_t places[] = {QMP_ON_DISPATCH, QMP_ON_LIBRARY_THREAD};
    for (int i = 0; i < 2; i++) {
        struct seen seen = {.last = 0};
        REQUIRE(mocked_start(&vm));
        own = subscribe(vm.client, "A", 0);
        leave = way;
        mocked_emit(&vm, "A", NULL);
        mocked_emit(&vm, "A", NULL); /* never told */
        call_back(own, places[i], leave_and_see, &seen);
        if (places[i] == QMP_ON_DISPATCH)
            CHECK_STATUS(qmp_dispatch(vm.client, NULL), QMP_OK);
        CHECK_SOON(atomic_load(&seen.destroyed) == 1);
        qmp_subscription_free(own);
        CHECK_INT(seen.calls, 1);
        CHECK_INT(seen.destroyed, 1);
        CHECK(!seen.wrong);
        mocked_stop(&vm);
    }
}

static void f98_it_may_close_the_client(void)
{
    leaving_from_inside(close_the_client);
    leaving_from_inside(close_and_free);
}

static void f98_it_may_free_its_own_subscription(void)
{
    leaving_from_inside(free_the_subscription);
}

static void execute_when_destroyed(void *user_data)
{
    CHECK_STATUS(execute(vm.client, "query-name"), *(qmp_status *)user_data);
    qmp_subscription_free(own);
}

static void f97_destroy_may_call(void)
{
    qmp_status open = QMP_OK, gone = QMP_ERR_INVALID_HANDLE;
    REQUIRE(mocked_start(&vm));
    own = subscribe(vm.client, "A", 0);
    CHECK_STATUS(qmp_subscription_set_callback(own, QMP_ON_DISPATCH, see, &open, execute_when_destroyed, NULL), QMP_OK);
    qmp_subscription_free(own);
    own = subscribe(vm.client, "A", 0);
    CHECK_STATUS(qmp_subscription_set_callback(own, QMP_ON_LIBRARY_THREAD, see, &gone, execute_when_destroyed, NULL), QMP_OK);
    CHECK_STATUS(qmp_close(vm.client), QMP_OK);
    mocked_stop(&vm);
}

static void a_call_that_fails_destroys_at_once(void)
{
    struct seen seen = {.last = 0};
    qmp_error *error = NULL;
    int destroyed = 0;
    REQUIRE(mocked_start(&vm));
    qmp_subscription *subscription = subscribe(vm.client, NULL, 0), *freed = subscribe(vm.client, NULL, 0);
    qmp_subscription_free(freed);
    const struct {
        qmp_subscription *subscription;
        int32_t place;
        qmp_event_fn function;
        qmp_status status;
    } calls[] = {
        {NULL, QMP_ON_DISPATCH, see, NULL_HANDLE},
        {freed, QMP_ON_DISPATCH, see, QMP_ERR_INVALID_HANDLE},
        {(qmp_subscription *)vm.client, QMP_ON_DISPATCH, see, QMP_ERR_INVALID_HANDLE},
        {subscription, 2, see, QMP_ERR_INVALID_ARGUMENT},
        {subscription, -1, see, QMP_ERR_INVALID_ARGUMENT},
        {subscription, QMP_ON_LIBRARY_THREAD, NULL, QMP_ERR_INVALID_ARGUMENT},
    };
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        CHECK_ERROR(qmp_subscription_set_callback(calls[i].subscription, calls[i].place, calls[i].function, &seen,
                                                  count_destroyed, &error),
                    calls[i].status, error);
        CHECK_INT(seen.destroyed, ++destroyed);
    }
    CHECK_STATUS(qmp_subscription_set_callback(subscription, 2, see, NULL, NULL, NULL), QMP_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(qmp_close(vm.client), QMP_OK);
    CHECK_ERROR(qmp_subscription_set_callback(subscription, QMP_ON_DISPATCH, see, &seen, count_destroyed, &error),
                QMP_ERR_CLOSED, error);
    CHECK_INT(seen.destroyed, ++destroyed);
    qmp_subscription_free(subscription);
    CHECK_INT(seen.destroyed, destroyed);
    CHECK_INT(seen.calls, 0);
    mocked_stop(&vm);
}

static void closing_the_client_destroys(void)
{
    struct seen seen[2] = {{.last = 0}, {.last = 0}};
    qmp_subscription *subscriptions[2];
    REQUIRE(mocked_start(&vm));
    for (int i = 0; i < 2; i++) {
        subscriptions[i] = subscribe(vm.client, "A", 0);
        call_back(subscriptions[i], i ? QMP_ON_DISPATCH : QMP_ON_LIBRARY_THREAD, see, &seen[i]);
    }
    CHECK_STATUS(qmp_close(vm.client), QMP_OK);
    for (int i = 0; i < 2; i++) {
        CHECK_INT(seen[i].destroyed, 1);
        qmp_subscription_free(subscriptions[i]);
        CHECK_INT(seen[i].destroyed, 1);
        CHECK_INT(seen[i].calls, 0);
    }
    mocked_stop(&vm);
}

static void after_closing_in_a_call_it_ends_and_is_destroyed(void)
{
    struct seen seen = {.last = 0};
    REQUIRE(mocked_start(&vm));
    qmp_subscription *subscription = subscribe(vm.client, "A", 0);
    atomic_store(&hesitating, false);
    atomic_store(&go_on, false);
    call_back(subscription, QMP_ON_LIBRARY_THREAD, hesitate, &seen);
    mocked_emit(&vm, "A", NULL);
    mocked_emit(&vm, "A", NULL);
    CHECK(wait_for(&hesitating));
    CHECK_STATUS(qmp_close(vm.client), QMP_OK);
    qmp_subscription_free(subscription);
    CHECK_INT(seen.destroyed, 0);
    atomic_store(&go_on, true);
    CHECK_SOON(atomic_load(&seen.destroyed) == 1);
    CHECK_INT(seen.calls, 1);
    CHECK(!seen.wrong);
    mocked_stop(&vm);
}

static atomic_bool flooding;

/* Each event brings about two more: the queue is never empty again. */
static void bring_about_two(void *user_data, const qmp_event *event)
{
    see(user_data, event);
    if (event->kind == QMP_EVENT_VM && atomic_load(&flooding)) {
        CHECK_STATUS(qmp_mock_emit(vm.mock, event->name, NULL, NULL), QMP_OK);
        mocked_emit(&vm, event->name, NULL);
    }
}

static void a_flood_leaves_the_others_their_turn(void)
{
    struct seen flood = {.last = 0}, quiet = {.last = 0}, others = {.last = 0};
    REQUIRE(mocked_start(&vm));
    qmp_client *other = mocked_client(&vm);
    qmp_subscription *first = subscribe(vm.client, "A", 0), *second = subscribe(vm.client, "B", 0), *third = subscribe(other, "B", 0);
    atomic_store(&flooding, true);
    call_back(first, QMP_ON_LIBRARY_THREAD, bring_about_two, &flood);
    call_back(second, QMP_ON_LIBRARY_THREAD, see, &quiet);
    call_back(third, QMP_ON_LIBRARY_THREAD, see, &others);
    mocked_emit(&vm, "A", NULL);
    for (int round = 1; round <= 5; round++) {
        mocked_emit(&vm, "B", NULL);
        CHECK_SOON(atomic_load(&quiet.calls) == round && atomic_load(&others.calls) == round);
    }
    CHECK(atomic_load(&flood.calls) > 64);
    CHECK_STATUS(qmp_close(other), QMP_OK);
    qmp_subscription_free(first), qmp_subscription_free(second), qmp_subscription_free(third);
    CHECK_SOON(atomic_load(&flood.destroyed) == 1);
    CHECK(!flood.wrong && !quiet.wrong && !others.wrong);
    mocked_stop(&vm);
}

static void dispatching_a_flood_ends(void)
{
    struct seen flood[2] = {{.last = 0}, {.last = 0}}, quiet = {.last = 0};
    int32_t fd = 0;
    REQUIRE(mocked_start(&vm));
    qmp_subscription *floods[] = {subscribe(vm.client, "A", 0), subscribe(vm.client, "A", 0)}, *last = subscribe(vm.client, "B", 0);
    CHECK_STATUS(qmp_dispatch_fd(vm.client, &fd, NULL), QMP_OK);
    atomic_store(&flooding, true);
    for (int i = 0; i < 2; i++)
        call_back(floods[i], QMP_ON_DISPATCH, bring_about_two, &flood[i]);
    call_back(last, QMP_ON_DISPATCH, see, &quiet);
    mocked_emit(&vm, "A", NULL);
    for (int round = 1; round <= 3; round++) {
        mocked_emit(&vm, "B", NULL);
        CHECK(readable(fd, 0));
        CHECK_STATUS(qmp_dispatch(vm.client, NULL), QMP_OK);
        CHECK_INT(quiet.calls, round);
        CHECK_INT(flood[0].calls, 64 * round);
        CHECK_INT(flood[1].calls, 64 * round);
        CHECK(readable(fd, 0));
    }
    atomic_store(&flooding, false);
    while (readable(fd, 0))
        CHECK_STATUS(qmp_dispatch(vm.client, NULL), QMP_OK);
    CHECK(!flood[0].wrong && !flood[1].wrong && !quiet.wrong);
    qmp_subscription_free(floods[0]), qmp_subscription_free(floods[1]), qmp_subscription_free(last);
    mocked_stop(&vm);
}

static void threads_that_dispatch_keep_the_order(void)
{
    enum { SUBSCRIPTIONS = 4, THREADS = 3 };
    struct seen seen[SUBSCRIPTIONS] = {{.last = 0}};
    qmp_subscription *subscriptions[SUBSCRIPTIONS];
    pthread_t threads[THREADS];
    atomic_bool over = false;
    int many = rounds(3000);
    REQUIRE(mocked_start(&vm));
    for (int i = 0; i < SUBSCRIPTIONS; i++) {
        subscriptions[i] = subscribe(vm.client, NULL, 0);
        call_back(subscriptions[i], QMP_ON_DISPATCH, see, &seen[i]);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, dispatch_until_over, &over);
    for (int i = 0; i < many; i++) {
        CHECK_STATUS(qmp_mock_emit(vm.mock, "A", NULL, NULL), QMP_OK);
        if (i % 100 == 0)
            CHECK_STATUS(qmp_dispatch(vm.client, NULL), QMP_OK);
    }
    for (int i = 0; i < SUBSCRIPTIONS; i++) {
        CHECK_SOON(atomic_load(&seen[i].calls) == many);
        CHECK(!seen[i].wrong);
    }
    atomic_store(&over, true);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < SUBSCRIPTIONS; i++) {
        qmp_subscription_free(subscriptions[i]);
        CHECK_INT(seen[i].destroyed, 1);
    }
    mocked_stop(&vm);
}

static void *emit_until_over(void *over)
{
    while (!atomic_load((atomic_bool *)over))
        CHECK_STATUS(qmp_mock_emit(vm.mock, "A", NULL, NULL), QMP_OK);
    return NULL;
}

/* Freed, or its client closed, at any moment of a stream of events. */
static void leaving_races_with_callbacks(void)
{
    atomic_bool over = false;
    pthread_t thread;
    REQUIRE(mocked_start(&vm));
    CHECK_STATUS(qmp_mock_set_clients(vm.mock, 8, NULL), QMP_OK);
    pthread_create(&thread, NULL, emit_until_over, &over);
    for (int round = 0; round < rounds(300); round++) {
        struct seen seen = {.last = 0};
        qmp_client *client = mocked_client(&vm);
        qmp_subscription *subscription = subscribe(client, NULL, 0);
        call_back(subscription, round % 2 ? QMP_ON_LIBRARY_THREAD : QMP_ON_DISPATCH, see, &seen);
        if (round % 4 < 2)
            CHECK_SOON(qmp_dispatch(client, NULL) == QMP_OK && atomic_load(&seen.calls) > round % 8);
        if (round % 3 == 0)
            qmp_subscription_free(subscription);
        CHECK_STATUS(qmp_close(client), QMP_OK);
        CHECK_SOON(atomic_load(&seen.destroyed) == 1);
        qmp_subscription_free(subscription);
        CHECK_INT(seen.destroyed, 1);
        CHECK(!seen.wrong);
    }
    atomic_store(&over, true);
    pthread_join(thread, NULL);
    mocked_stop(&vm);
}

int main(void)
{
    RUN(on_the_librarys_thread);
    RUN(by_dispatch);
    RUN(it_is_set_once_and_for_good);
    RUN(f77_a_slow_one_on_the_librarys_thread_delays_no_reply);
    RUN(f77_nor_a_slow_one_by_dispatch);
    RUN(f97_it_may_call);
    RUN(f98_it_may_close_the_client);
    RUN(f98_it_may_free_its_own_subscription);
    RUN(f97_destroy_may_call);
    RUN(a_call_that_fails_destroys_at_once);
    RUN(closing_the_client_destroys);
    RUN(after_closing_in_a_call_it_ends_and_is_destroyed);
    RUN(a_flood_leaves_the_others_their_turn);
    RUN(dispatching_a_flood_ends);
    RUN(threads_that_dispatch_keep_the_order);
    RUN(leaving_races_with_callbacks);
    return check_end();
}
