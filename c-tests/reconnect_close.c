/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A client that comes back is closed: wherever it is on its way, by whomever. */
#include "support/mocked.h"
#include "support/returning.h"

#include <string.h>

/* Each way out: in a pause, before a silent one, over TCP, on the way up. */
static void f89_it_is_closed_in_every_phase(void)
{
    struct under_way call;
    for (int phase = 0; phase < 4; phase++) {
        qmp_client *client;
        server *(*start)(server_script *) = phase == 2 ? server_start_tcp : server_start;
        switch (phase) {
        case 0:
            client = left_alone(returning_until(QMP_FOREVER, HOUR_MS));
            break;
        case 1:
        case 2:
            client = left_to(serve_in_silence, returning(), start);
            CHECK_SOON(server_clients(the_server) == 2);
            break;
        default:
            client = left_to(serve_plainly, returning(), start);
        }
        REQUIRE(client);
        call_begin(&call, client, "hold", QMP_FOREVER, NULL);
        CHECK_STATUS(qmp_close(client), QMP_OK);
        qmp_status ended = call_end(&call);
        CHECK(ended == QMP_ERR_CLOSED || ended == QMP_ERR_INVALID_HANDLE || (ended == QMP_OK && phase == 3));
        if (phase > 0)
            server_stop(the_server);
    }
    forget_place();
}

static atomic_bool closed;
static qmp_client *crowded;
static atomic_int calls;

static void *call_until_closed(void *data)
{
    qmp_status status = QMP_OK;
    while (status == QMP_OK || status == QMP_ERR_DISCONNECTED || status == QMP_ERR_TIMEOUT) {
        qmp_event *event = NULL;
        status = data ? qmp_poll_event(crowded, 5, NULL, &event, NULL) : execute(crowded, "query-name");
        qmp_event_free(event);
        atomic_fetch_add(&calls, 1);
    }
    CHECK(status == QMP_ERR_CLOSED || status == QMP_ERR_INVALID_HANDLE);
    return NULL;
}

static void *disconnect_until_closed(void *mock)
{
    while (!atomic_load(&closed)) {
        CHECK_STATUS(qmp_mock_disconnect(mock, NULL), QMP_OK);
        nap();
    }
    return NULL;
}

static void f13_f89_it_is_closed_among_comings_and_goings(void)
{
    for (int round = 0; round < rounds(60); round++) {
        qmp_mock *vm = vm_begins();
        qmp_options *options = returning();
        pthread_t threads[6];
        CHECK_STATUS(qmp_options_set_reconnect(options, 1, 1, 1, 0.5, QMP_FOREVER), QMP_OK);
        CHECK_STATUS(qmp_options_set_own_loop(options, round % 3 == 0), QMP_OK);
        crowded = connect_with(options, returning_address);
        REQUIRE(crowded);
        atomic_store(&closed, false);
        atomic_store(&calls, 0);
        for (int i = 0; i < 5; i++)
            pthread_create(&threads[i], NULL, call_until_closed, i == 0 ? (void *)vm : NULL);
        pthread_create(&threads[5], NULL, disconnect_until_closed, vm);
        CHECK_SOON(atomic_load(&calls) > 10 * (round % 7));
        CHECK_STATUS(qmp_close(crowded), QMP_OK);
        atomic_store(&closed, true);
        for (int i = 0; i < 6; i++)
            pthread_join(threads[i], NULL);
        CHECK_STATUS(qmp_mock_stop(vm), QMP_OK);
    }
    forget_place();
}

static qmp_client *to_close;

static void close_when_told(void *user_data, const qmp_event *event)
{
    if (event->kind == *(const int32_t *)user_data && !atomic_exchange(&closed, true))
        CHECK_STATUS(qmp_close(to_close), QMP_OK);
}

static void f98_it_is_closed_from_its_callback(void)
{
    for (int32_t kind = QMP_EVENT_DISCONNECTED; kind <= QMP_EVENT_RECONNECTED; kind++) {
        qmp_mock *vm = vm_begins();
        to_close = connect_returning(returning_address);
        REQUIRE(to_close);
        atomic_store(&closed, false);
        qmp_subscription *subscription = subscribe(to_close, "TICK", 0);
        CHECK_STATUS(qmp_subscription_set_callback(subscription, QMP_ON_LIBRARY_THREAD, close_when_told, &kind, NULL, NULL), QMP_OK);
        CHECK_STATUS(qmp_mock_disconnect(vm, NULL), QMP_OK);
        CHECK_SOON(atomic_load(&closed));
        qmp_subscription_free(subscription);
        CHECK_STATUS(qmp_mock_stop(vm), QMP_OK);
    }
    forget_place();
}

static void close_at_an_attempt(void *user_data, int32_t level, const char *message)
{
    (void)user_data, (void)level;
    if (strstr(message, "an attempt to reconnect failed") && !atomic_exchange(&closed, true))
        CHECK_STATUS(qmp_close(to_close), QMP_OK);
}

static void f98_f111_it_is_closed_from_its_logger(void)
{
    qmp_options *options = returning();
    CHECK_STATUS(qmp_options_set_log(options, QMP_LOG_DEBUG, close_at_an_attempt, NULL, NULL), QMP_OK);
    atomic_store(&closed, true); /* not yet */
    qmp_mock *vm = vm_begins();
    to_close = connect_with(options, returning_address);
    REQUIRE(to_close);
    atomic_store(&closed, false);
    CHECK_STATUS(qmp_mock_stop(vm), QMP_OK);
    CHECK_SOON(atomic_load(&closed));
    forget_place();
}

int main(void)
{
    RUN(f89_it_is_closed_in_every_phase);
    RUN(f13_f89_it_is_closed_among_comings_and_goings);
    RUN(f98_it_is_closed_from_its_callback);
    RUN(f98_f111_it_is_closed_from_its_logger);
    return check_end();
}
