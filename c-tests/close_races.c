/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A handle may be closed while other threads are in a call on it. */
#include "support/client.h"
#include "support/server.h"

#include <pthread.h>
#include <stdlib.h>

enum { THREADS = 8, ROUNDS = 1000 };

static qmp_client *client;
static atomic_int calls, heard, closed, invalid;

static qmp_status poll_once(void)
{
    qmp_event *event = NULL;
    qmp_status status = qmp_poll_event(client, 1, NULL, &event, NULL);
    qmp_event_free(event);
    return status == QMP_ERR_TIMEOUT ? QMP_OK : status;
}

static qmp_status ask_state(void)
{
    bool running;
    char *state = NULL;
    qmp_status status = qmp_query_status(client, QMP_FOREVER, NULL, &running, &state, NULL);
    qmp_string_free(state);
    return status == QMP_ERR_PROTOCOL ? QMP_OK : status; /* the server knows no states */
}

static qmp_status ask_locally(void)
{
    int32_t fd;
    char *greeting = NULL;
    qmp_status status = qmp_event_fd(client, &fd, NULL);
    if (status != QMP_OK)
        return status;
    status = qmp_greeting_json(client, &greeting, NULL);
    qmp_string_free(greeting);
    return status;
}

static void *call_until_closed(void *data)
{
    for (int i = *(int *)data;; i++) {
        qmp_status status = i % 4 == 0 ? poll_once() : i % 4 == 1 ? ask_state() : i % 4 == 2 ? ask_locally() : execute(client, "stop");
        if (status != QMP_OK) {
            CHECK(status == QMP_ERR_CLOSED || status == QMP_ERR_INVALID_HANDLE);
            return NULL;
        }
        atomic_fetch_add(&calls, 1);
    }
}

static void f89_closing_ends_running_callers(void)
{
    server *server = server_start(serve_ticking);
    int64_t closing = 0;
    for (int round = 0; round < rounds(ROUNDS); round++) {
        pthread_t threads[THREADS];
        int first[THREADS];
        client = connect_to(server_address(server));
        REQUIRE(client);
        atomic_store(&calls, 0);
        for (int i = 0; i < THREADS; i++) {
            first[i] = i;
            pthread_create(&threads[i], NULL, call_until_closed, &first[i]);
        }
        /* Closed before the first call, and after many. */
        CHECK_SOON(atomic_load(&calls) >= round % 16);
        int64_t start = now_ms();
        CHECK_STATUS(qmp_close(client), QMP_OK);
        for (int i = 0; i < THREADS; i++)
            pthread_join(threads[i], NULL);
        closing += now_ms() - start;
        CHECK_STATUS(execute(client, "stop"), QMP_ERR_INVALID_HANDLE);
    }
    CHECK(closing <= 1000 + 100 * rounds(ROUNDS));
    CHECK_SOON(server_open(server) == 0);
    server_stop(server);
}

static void only_hear(peer *peer)
{
    char *command;
    if (!peer_greet(peer))
        return;
    while ((command = peer_hear(peer))) {
        atomic_fetch_add(&heard, 1);
        free(command);
    }
}

static void *wait_for_reply(void *data)
{
    (void)data;
    char *reply = (char *)1;
    qmp_error *error = NULL;
    CHECK_ERROR(qmp_execute_json(client, "stop", NULL, QMP_FOREVER, NULL, &reply, &error), QMP_ERR_CLOSED, error);
    CHECK(reply == NULL);
    return NULL;
}

static void *wait_for_event(void *data)
{
    (void)data;
    qmp_event *event = (qmp_event *)1;
    qmp_error *error = NULL;
    qmp_status status = qmp_poll_event(client, QMP_FOREVER, NULL, &event, &error);
    CHECK(status == QMP_ERR_CLOSED || status == QMP_ERR_INVALID_HANDLE);
    CHECK(event == NULL);
    qmp_error_free(error);
    return NULL;
}

static void f89_closing_ends_waiting_callers(void)
{
    server *server = server_start(only_hear);
    pthread_t callers[THREADS], readers[THREADS];
    int64_t closing = 0;
    for (int round = 0; round < rounds(100); round++) {
        client = connect_to(server_address(server));
        REQUIRE(client);
        atomic_store(&heard, 0);
        for (int i = 0; i < THREADS; i++) {
            pthread_create(&callers[i], NULL, wait_for_reply, NULL);
            pthread_create(&readers[i], NULL, wait_for_event, NULL);
        }
        CHECK_SOON(atomic_load(&heard) == THREADS);
        int64_t start = now_ms();
        CHECK_STATUS(qmp_close(client), QMP_OK);
        for (int i = 0; i < THREADS; i++) {
            pthread_join(callers[i], NULL);
            pthread_join(readers[i], NULL);
        }
        closing += now_ms() - start;
    }
    /* On average, as one time says little on a busy machine. */
    CHECK(closing <= 1000 + 100 * rounds(100));
    server_stop(server);
}

static void *close_it(void *data)
{
    (void)data;
    qmp_status status = qmp_close(client);
    atomic_fetch_add(status == QMP_OK ? &closed : &invalid, 1);
    CHECK(status == QMP_OK || status == QMP_ERR_INVALID_HANDLE);
    return NULL;
}

static void f90_of_many_closers_one_wins(void)
{
    server *server = server_start(serve_plainly);
    for (int round = 0; round < rounds(200); round++) {
        pthread_t threads[THREADS];
        client = connect_to(server_address(server));
        atomic_store(&closed, 0);
        atomic_store(&invalid, 0);
        for (int i = 0; i < THREADS; i++)
            pthread_create(&threads[i], NULL, close_it, NULL);
        for (int i = 0; i < THREADS; i++)
            pthread_join(threads[i], NULL);
        CHECK_INT(atomic_load(&closed), 1);
        CHECK_INT(atomic_load(&invalid), THREADS - 1);
    }
    server_stop(server);
}

static void nothing_is_left_open(void)
{
    server *server = server_start(serve_plainly);
    qmp_close(connect_to(server_address(server))); /* starts what the process keeps */
    CHECK_SOON(server_open(server) == 0);
    int before = count_descriptors();
    for (int round = 0; round < rounds(100); round++) {
        client = connect_to(server_address(server));
        int32_t fd;
        CHECK_STATUS(qmp_event_fd(client, &fd, NULL), QMP_OK);
        CHECK_STATUS(execute(client, "stop"), QMP_OK);
        qmp_close(client);
    }
    CHECK_SOON(server_open(server) == 0);
    CHECK_SOON(count_descriptors() <= before);
    server_stop(server);
}

int main(void)
{
    RUN(f89_closing_ends_running_callers);
    RUN(f89_closing_ends_waiting_callers);
    RUN(f90_of_many_closers_one_wins);
    RUN(nothing_is_left_open);
    return check_end();
}
