/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A request gets its own reply, once, whoever asks for it, and ends with its client. */
#include "support/requests.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 256 };

static atomic_int to_hear;

/* Hears so many commands, then answers the last first, each with its arguments' "n". */
static void answer_backwards(peer *peer)
{
    char *commands[MOST];
    int count = 0;
    if (!peer_greet(peer))
        return;
    while (count < atomic_load(&to_hear) && (commands[count] = peer_hear(peer)))
        count++;
    while (count-- > 0) {
        const char *n = strstr(commands[count], "\"n\":");
        char value[16] = "null";
        if (n)
            sscanf(n, "\"n\":%15[0-9]", value);
        peer_answer(peer, commands[count], value);
        free(commands[count]);
    }
    peer_wait_end(peer);
}

static void pipeline(int count)
{
    atomic_store(&to_hear, count);
    server *server = server_start(answer_backwards);
    qmp_client *client = connect_to(server_address(server));
    qmp_request *requests[MOST] = {0};
    for (int i = 0; i < count; i++) {
        char arguments[32];
        snprintf(arguments, sizeof arguments, "{\"n\": %d}", i);
        CHECK_STATUS(qmp_submit_json(client, "count", arguments, false, &requests[i], NULL), QMP_OK);
    }
    for (int i = 0; i < count; i++) {
        char *reply = NULL, wanted[16];
        snprintf(wanted, sizeof wanted, "%d", i);
        CHECK_STATUS(qmp_request_wait(requests[i], PATIENCE_MS, NULL, &reply, NULL), QMP_OK);
        CHECK_STR(reply, wanted);
        qmp_string_free(reply);
        qmp_request_free(requests[i]);
    }
    qmp_close(client);
    server_stop(server);
}

static void f46_of_64_each_gets_its_own_reply(void)
{
    pipeline(64);
}

static void f46_of_256_each_gets_its_own_reply(void)
{
    pipeline(256);
}

static void an_outcome_is_given_once(void)
{
    server *server = start_holding();
    qmp_client *client = connect_to(server_address(server));
    qmp_request *request = submit(client, "one");
    qmp_error *error = NULL;
    char *reply = (char *)1;
    qmp_status status = qmp_request_wait(request, 0, NULL, &reply, &error);
    CHECK(error && !error->outcome_unknown && !reply);
    CHECK_ERROR(status, QMP_ERR_TIMEOUT, error);
    qmp_cancel *cancel = qmp_cancel_new();
    CHECK_STATUS(qmp_cancel_trigger(cancel), QMP_OK);
    CHECK_ERROR(qmp_request_wait(request, QMP_FOREVER, cancel, &reply, &error), QMP_ERR_CANCELLED, error);
    qmp_cancel_free(cancel);
    atomic_store(&answer_now, true);
    CHECK_STATUS(qmp_request_wait(request, PATIENCE_MS, NULL, &reply, NULL), QMP_OK);
    CHECK_STR(reply, "\"one\"");
    qmp_string_free(reply);
    CHECK_ERROR(qmp_request_wait(request, PATIENCE_MS, NULL, &reply, &error), QMP_ERR_INVALID_ARGUMENT, error);
    qmp_request_free(request);
    qmp_close(client);
    server_stop(server);
}

static void *wait_long(void *request)
{
    return (void *)(intptr_t)outcome_of(request, QMP_FOREVER);
}

static qmp_status joined(pthread_t thread)
{
    void *status;
    pthread_join(thread, &status);
    return (qmp_status)(intptr_t)status;
}

static void of_two_threads_one_gets_the_outcome(void)
{
    for (int i = 0; i < rounds(100); i++) {
        server *server = start_holding();
        qmp_client *client = connect_to(server_address(server));
        qmp_request *request = submit(client, "one");
        pthread_t other;
        pthread_create(&other, NULL, wait_long, request);
        atomic_store(&answer_now, true);
        qmp_status mine = outcome_of(request, PATIENCE_MS), others = joined(other);
        CHECK((mine == QMP_OK) != (others == QMP_OK));
        CHECK(mine == QMP_ERR_INVALID_ARGUMENT || others == QMP_ERR_INVALID_ARGUMENT);
        qmp_request_free(request);
        qmp_close(client);
        server_stop(server);
    }
}

static void *wait_with_token(void *request)
{
    qmp_cancel *cancel = qmp_cancel_new();
    char *reply = NULL;
    qmp_status status = qmp_request_wait(request, QMP_FOREVER, cancel, &reply, NULL);
    qmp_cancel_free(cancel);
    return (void *)(intptr_t)status;
}

/* A thread that waits for ever is told when another one gives the request up, frees it, or has a callback take it. */
static void f87_who_waits_is_told(void)
{
    void *(*const ways[])(void *) = {wait_long, wait_with_token};
    for (int way = 0; way < 2; way++)
        for (int what = 0; what < 3; what++) {
            const qmp_status wanted[] = {QMP_ERR_CANCELLED, QMP_ERR_CLOSED, QMP_ERR_INVALID_ARGUMENT};
            server *server = start_holding();
            qmp_client *client = connect_to(server_address(server));
            qmp_request *request = submit(client, "one");
            struct told told = {0};
            pthread_t waiter, another;
            int32_t outcome = 0;
            pthread_create(&waiter, NULL, ways[way], request);
            pthread_create(&another, NULL, ways[way], request);
            CHECK_SOON(atomic_load(&commands_heard) == 1);
            if (what == 0) {
                CHECK_STATUS(qmp_request_cancel(request, &outcome, NULL), QMP_OK);
                CHECK_INT(outcome, QMP_REQUEST_UNKNOWN);
            } else if (what == 1) {
                qmp_request_free(request);
            } else {
                CHECK_STATUS(qmp_request_set_callback(request, QMP_ON_LIBRARY_THREAD, tell, &told, forget, NULL), QMP_OK);
            }
            qmp_status first = joined(waiter), second = joined(another);
            /* The thread may have begun to wait only after the handle went. */
            CHECK(first == wanted[what] || (what == 1 && first == QMP_ERR_INVALID_HANDLE));
            CHECK(second == wanted[what] || (what == 1 && second == QMP_ERR_INVALID_HANDLE));
            atomic_store(&answer_now, true);
            if (what == 2)
                CHECK_SOON(atomic_load(&told.destroyed) == 1);
            CHECK_INT(atomic_load(&told.calls), what == 2);
            qmp_request_free(request);
            qmp_close(client);
            server_stop(server);
        }
}

static void what_came_can_still_be_had(void)
{
    server *server = start_holding();
    qmp_client *client = connect_to(server_address(server));
    qmp_request *request = submit(client, "one");
    int32_t outcome = 0;
    qmp_error *error = NULL;
    atomic_store(&answer_now, true);
    CHECK_STATUS(execute(client, "two"), QMP_OK); /* answered after the first */
    CHECK_STATUS(qmp_request_cancel(request, &outcome, NULL), QMP_OK);
    CHECK_INT(outcome, QMP_REQUEST_TOO_LATE);
    CHECK_STATUS(outcome_of(request, 0), QMP_OK);
    CHECK_ERROR(qmp_request_cancel(request, &outcome, &error), QMP_ERR_INVALID_ARGUMENT, error);
    CHECK_INT(outcome, 0);
    qmp_request_free(request);
    qmp_close(client);
    server_stop(server);
}

/* Reads nothing more once the session is open. */
static void stop_reading(peer *peer)
{
    if (peer_greet(peer))
        wait_for(&answer_now);
}

static void f34_cancelling_tells_what_became_of_it(void)
{
    enum { LARGE = 4 << 20 };
    char *arguments = malloc(LARGE + 32);
    int length = sprintf(arguments, "{\"a\": \"");
    memset(arguments + length, 'a', LARGE);
    strcpy(arguments + length + LARGE, "\"}");
    atomic_store(&answer_now, false);
    server *server = server_start(stop_reading);
    qmp_client *client = connect_to(server_address(server));
    qmp_request *torn = NULL, *withdrawn = NULL, *last = NULL;
    qmp_error *error = NULL;
    char *reply = NULL;
    int32_t outcome = 0;
    CHECK_STATUS(qmp_submit_json(client, "large", arguments, false, &torn, NULL), QMP_OK);
    withdrawn = submit(client, "withdrawn");
    last = submit(client, "last");
    CHECK_STATUS(qmp_request_cancel(withdrawn, &outcome, NULL), QMP_OK);
    CHECK_INT(outcome, QMP_REQUEST_WITHDRAWN);
    CHECK_ERROR(qmp_request_wait(withdrawn, PATIENCE_MS, NULL, &reply, &error), QMP_ERR_CANCELLED, error);
    CHECK_ERROR(qmp_request_cancel(withdrawn, &outcome, &error), QMP_ERR_CANCELLED, error);
    CHECK_STATUS(outcome_of(last, 0), QMP_ERR_TIMEOUT);
    /* Out in part: the rest can never follow. */
    CHECK_STATUS(qmp_request_cancel(torn, &outcome, NULL), QMP_OK);
    CHECK_INT(outcome, QMP_REQUEST_UNKNOWN);
    qmp_status status = qmp_request_wait(last, PATIENCE_MS, NULL, &reply, &error);
    CHECK(error && !error->outcome_unknown);
    CHECK_ERROR(status, QMP_ERR_DISCONNECTED, error);
    qmp_request_free(torn);
    qmp_request_free(withdrawn);
    qmp_request_free(last);
    qmp_close(client);
    atomic_store(&answer_now, true);
    server_stop(server);
    free(arguments);
}

static void f89_close_ends_each(void)
{
    enum { EACH = 3, WAYS = 4 };
    server *server = start_holding();
    qmp_client *client = connect_to(server_address(server));
    qmp_request *requests[WAYS * EACH];
    struct told told[WAYS * EACH] = {0};
    qmp_error *error = NULL;
    for (int i = 0; i < WAYS * EACH; i++) {
        int32_t place = i % WAYS == 1 ? QMP_ON_DISPATCH : QMP_ON_LIBRARY_THREAD;
        requests[i] = submit(client, "one");
        if (i % WAYS > 0)
            CHECK_STATUS(qmp_request_set_callback(requests[i], place, tell, &told[i], forget, NULL), QMP_OK);
        if (i % WAYS == 3)
            qmp_request_free(requests[i]);
    }
    CHECK_STATUS(qmp_close(client), QMP_OK);
    for (int i = 0; i < WAYS * EACH; i++) {
        char *reply = NULL;
        if (i % WAYS == 0) {
            qmp_status status = qmp_request_wait(requests[i], QMP_FOREVER, NULL, &reply, &error);
            CHECK(error && error->outcome_unknown);
            CHECK_ERROR(status, QMP_ERR_CLOSED, error);
        } else {
            CHECK_SOON(atomic_load(&told[i].destroyed) == 1);
            CHECK_INT(atomic_load(&told[i].calls), 1);
            CHECK_STATUS(atomic_load(&told[i].status), QMP_ERR_CLOSED);
        }
        qmp_request_free(requests[i]);
    }
    server_stop(server);
}

static void after_the_close_a_callback_comes_all_the_same(void)
{
    server *server = start_holding();
    qmp_client *client = connect_to(server_address(server));
    struct told told[2] = {0};
    for (int i = 0; i < 2; i++) {
        int32_t place = i ? QMP_ON_DISPATCH : QMP_ON_LIBRARY_THREAD;
        qmp_client *mine = i ? client : connect_to(server_address(server));
        qmp_request *request = submit(mine, "hold");
        CHECK_STATUS(qmp_close(mine), QMP_OK);
        CHECK_STATUS(qmp_request_set_callback(request, place, tell, &told[i], forget, NULL), QMP_OK);
        CHECK_SOON(atomic_load(&told[i].destroyed) == 1);
        CHECK_INT(atomic_load(&told[i].calls), 1);
        CHECK_STATUS(atomic_load(&told[i].status), QMP_ERR_CLOSED);
        qmp_request_free(request);
    }
    server_stop(server);
}

static void hear_and_go(peer *peer)
{
    if (peer_greet(peer))
        free(peer_hear(peer));
}

static void f29_the_end_of_the_connection_ends_each(void)
{
    server *server = server_start(hear_and_go);
    qmp_client *client = connect_to(server_address(server));
    qmp_request *request = submit(client, "one");
    qmp_error *error = NULL;
    char *reply = NULL;
    qmp_status status = qmp_request_wait(request, PATIENCE_MS, NULL, &reply, &error);
    CHECK(error && error->outcome_unknown);
    CHECK_STR(error ? error->command : NULL, "one");
    CHECK_ERROR(status, QMP_ERR_DISCONNECTED, error);
    qmp_request_free(request);
    request = (qmp_request *)1;
    CHECK_ERROR(qmp_submit_json(client, "one", NULL, false, &request, &error), QMP_ERR_DISCONNECTED, error);
    CHECK(request == NULL);
    qmp_close(client);
    server_stop(server);
}

static void a_callback_comes_once(void)
{
    enum { COUNT = 200 };
    server *server = start_holding();
    qmp_client *client = connect_to(server_address(server));
    struct told *told = calloc(COUNT, sizeof *told);
    atomic_store(&answer_now, true);
    for (int i = 0; i < COUNT; i++) {
        char name[16];
        snprintf(name, sizeof name, "c%d", i);
        qmp_request *request = submit(client, name);
        if (i % 4 == 0) /* it has come already */
            CHECK_STATUS(execute(client, "other"), QMP_OK);
        CHECK_STATUS(qmp_request_set_callback(request, QMP_ON_LIBRARY_THREAD, tell, &told[i], forget, NULL), QMP_OK);
        CHECK_STATUS(qmp_request_set_callback(request, QMP_ON_LIBRARY_THREAD, tell, &told[i], NULL, NULL), QMP_ERR_INVALID_ARGUMENT);
        CHECK_STATUS(outcome_of(request, 0), QMP_ERR_INVALID_ARGUMENT);
        qmp_request_free(request);
    }
    for (int i = 0; i < COUNT; i++) {
        char wanted[16];
        snprintf(wanted, sizeof wanted, "\"c%d\"", i);
        CHECK_SOON(atomic_load(&told[i].destroyed) == 1);
        CHECK_INT(atomic_load(&told[i].calls), 1);
        CHECK_STR(told[i].reply, wanted);
    }
    free(told);
    qmp_close(client);
    server_stop(server);
}

static void a_callback_of_the_callers_loop(void)
{
    server *server = start_holding();
    qmp_client *client = connect_to(server_address(server));
    struct told told = {0};
    int32_t fd = -1;
    CHECK_STATUS(qmp_dispatch_fd(client, &fd, NULL), QMP_OK);
    qmp_request *request = submit(client, "one");
    CHECK_STATUS(qmp_request_set_callback(request, QMP_ON_DISPATCH, tell, &told, forget, NULL), QMP_OK);
    qmp_request_free(request);
    CHECK(!is_readable(fd, 0));
    CHECK_STATUS(qmp_dispatch(client, NULL), QMP_OK);
    CHECK_INT(atomic_load(&told.calls), 0);
    atomic_store(&answer_now, true);
    CHECK(is_readable(fd, PATIENCE_MS));
    CHECK_INT(atomic_load(&told.calls), 0);
    CHECK_STATUS(qmp_dispatch(client, NULL), QMP_OK);
    CHECK_INT(atomic_load(&told.calls), 1);
    CHECK_INT(atomic_load(&told.destroyed), 1);
    CHECK_STR(told.reply, "\"one\"");
    CHECK(!is_readable(fd, 0));
    qmp_close(client);
    server_stop(server);
}

static void a_refused_callback_is_destroyed(void)
{
    server *server = start_holding();
    qmp_client *client = connect_to(server_address(server));
    qmp_request *request = submit(client, "one");
    struct told told = {0};
    CHECK_STATUS(qmp_request_set_callback(request, 77, tell, &told, forget, NULL), QMP_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(qmp_request_set_callback(request, QMP_ON_DISPATCH, NULL, &told, forget, NULL), QMP_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(qmp_request_set_callback(NULL, QMP_ON_DISPATCH, tell, &told, forget, NULL), NULL_HANDLE);
    qmp_request_free(request);
    CHECK_STATUS(qmp_request_set_callback(request, QMP_ON_DISPATCH, tell, &told, forget, NULL), QMP_ERR_INVALID_HANDLE);
    CHECK_INT(atomic_load(&told.destroyed), 4);
    CHECK_INT(atomic_load(&told.calls), 0);
    qmp_close(client);
    atomic_store(&answer_now, true);
    server_stop(server);
}

int main(void)
{
    RUN(f46_of_64_each_gets_its_own_reply);
    RUN(f46_of_256_each_gets_its_own_reply);
    RUN(an_outcome_is_given_once);
    RUN(of_two_threads_one_gets_the_outcome);
    RUN(f87_who_waits_is_told);
    RUN(what_came_can_still_be_had);
    RUN(f34_cancelling_tells_what_became_of_it);
    RUN(f89_close_ends_each);
    RUN(after_the_close_a_callback_comes_all_the_same);
    RUN(f29_the_end_of_the_connection_ends_each);
    RUN(a_callback_comes_once);
    RUN(a_callback_of_the_callers_loop);
    RUN(a_refused_callback_is_destroyed);
    return check_end();
}
