/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A batch gives each of its requests once, when its outcome has come, and shows on its descriptor that it can. */
#include "support/requests.h"

#include <pthread.h>

enum { CLIENTS = 3, EACH = 10 };

static void requests_of_several_clients(void)
{
    server *server = start_holding();
    qmp_client *clients[CLIENTS];
    qmp_request *requests[CLIENTS * EACH], *next = NULL;
    bool given[CLIENTS * EACH] = {0};
    qmp_batch *batch = qmp_batch_new();
    qmp_error *error = NULL;
    int32_t fd = -1;
    CHECK_STATUS(qmp_batch_fd(batch, &fd, NULL), QMP_OK);
    CHECK_ERROR(qmp_batch_next(batch, PATIENCE_MS, NULL, &next, &error), QMP_ERR_NOT_FOUND, error);
    for (int i = 0; i < CLIENTS; i++)
        clients[i] = connect_to(server_address(server));
    for (int i = 0; i < CLIENTS * EACH; i++) {
        requests[i] = submit(clients[i % CLIENTS], "one");
        CHECK_STATUS(qmp_batch_add(batch, requests[i], NULL), QMP_OK);
    }
    CHECK(!is_readable(fd, 0));
    CHECK_ERROR(qmp_batch_next(batch, 0, NULL, &next, &error), QMP_ERR_TIMEOUT, error);
    CHECK_ERROR(qmp_batch_next(batch, 10, NULL, &next, &error), QMP_ERR_TIMEOUT, error);
    atomic_store(&answer_now, true);
    /* Nobody calls: the library's thread reads. */
    CHECK(is_readable(fd, PATIENCE_MS));
    for (int i = 0; i < CLIENTS * EACH; i++) {
        CHECK_STATUS(qmp_batch_next(batch, PATIENCE_MS, NULL, &next, NULL), QMP_OK);
        int which = 0;
        while (which < CLIENTS * EACH && requests[which] != next)
            which++;
        REQUIRE(which < CLIENTS * EACH && !given[which]);
        given[which] = true;
        CHECK_STATUS(outcome_of(next, 0), QMP_OK);
        qmp_request_free(next);
    }
    CHECK(!is_readable(fd, 0));
    CHECK_ERROR(qmp_batch_next(batch, PATIENCE_MS, NULL, &next, &error), QMP_ERR_NOT_FOUND, error);
    CHECK(next == NULL);
    qmp_batch_free(batch);
    for (int i = 0; i < CLIENTS; i++)
        qmp_close(clients[i]);
    server_stop(server);
}

/* Between calls that keep the connection busy, the library's thread does not read it. A reply shows all the same. */
static void the_descriptor_shows_replies_after_busy_times(void)
{
    server *server = start_holding();
    qmp_client *client = connect_to(server_address(server));
    atomic_store(&answer_now, true);
    for (int i = 0; i < 20; i++) {
        qmp_batch *batch = qmp_batch_new();
        qmp_request *next = NULL;
        int32_t fd = -1;
        CHECK_STATUS(qmp_batch_fd(batch, &fd, NULL), QMP_OK);
        for (int busy = 0; busy < 50; busy++)
            CHECK_STATUS(execute(client, "busy"), QMP_OK);
        qmp_request *request = submit(client, "one");
        CHECK_STATUS(qmp_batch_add(batch, request, NULL), QMP_OK);
        CHECK(is_readable(fd, PATIENCE_MS));
        CHECK_STATUS(qmp_batch_next(batch, 0, NULL, &next, NULL), QMP_OK);
        CHECK(next == request);
        qmp_request_free(request);
        qmp_batch_free(batch);
    }
    qmp_close(client);
    server_stop(server);
}

static void requests_that_end_otherwise_leave(void)
{
    server *server = start_holding();
    qmp_client *client = connect_to(server_address(server));
    qmp_batch *batch = qmp_batch_new();
    qmp_request *freed = submit(client, "one"), *taken = submit(client, "two"), *given = submit(client, "three");
    qmp_request *cancelled = submit(client, "hold"), *abandoned = submit(client, "hold"), *next = NULL;
    qmp_request *all[] = {freed, taken, given, cancelled, abandoned};
    int32_t fd = -1, outcome = 0;
    CHECK_STATUS(qmp_batch_fd(batch, &fd, NULL), QMP_OK);
    for (int i = 0; i < 5; i++)
        CHECK_STATUS(qmp_batch_add(batch, all[i], NULL), QMP_OK);
    atomic_store(&answer_now, true);
    CHECK_STATUS(execute(client, "four"), QMP_OK); /* those before are answered */
    CHECK(is_readable(fd, 0));
    CHECK_STATUS(qmp_request_cancel(given, &outcome, NULL), QMP_OK);
    CHECK_INT(outcome, QMP_REQUEST_TOO_LATE);
    qmp_request_free(freed);
    CHECK_STATUS(outcome_of(taken, 0), QMP_OK);
    CHECK_STATUS(qmp_request_cancel(cancelled, &outcome, NULL), QMP_OK);
    CHECK_STATUS(qmp_batch_next(batch, 0, NULL, &next, NULL), QMP_OK);
    CHECK(next == given);
    CHECK(!is_readable(fd, 0));
    CHECK_STATUS(qmp_batch_next(batch, 0, NULL, &next, NULL), QMP_ERR_TIMEOUT);
    qmp_request_free(abandoned);
    CHECK_STATUS(qmp_batch_next(batch, 0, NULL, &next, NULL), QMP_ERR_NOT_FOUND);
    qmp_request_free(taken);
    qmp_request_free(given);
    qmp_request_free(cancelled);
    qmp_batch_free(batch);
    qmp_close(client);
    server_stop(server);
}

static void a_request_is_put_into_one_batch_once(void)
{
    server *server = start_holding();
    qmp_client *client = connect_to(server_address(server));
    qmp_batch *batch = qmp_batch_new(), *other = qmp_batch_new();
    qmp_request *request = submit(client, "one"), *next = NULL;
    struct told told = {0};
    qmp_error *error = NULL;
    CHECK_STATUS(qmp_batch_add(batch, request, NULL), QMP_OK);
    CHECK_ERROR(qmp_batch_add(batch, request, &error), QMP_ERR_INVALID_ARGUMENT, error);
    CHECK_ERROR(qmp_batch_add(other, request, &error), QMP_ERR_INVALID_ARGUMENT, error);
    CHECK_STATUS(qmp_batch_next(other, 0, NULL, &next, NULL), QMP_ERR_NOT_FOUND);
    CHECK_ERROR(qmp_request_set_callback(request, QMP_ON_LIBRARY_THREAD, tell, &told, forget, &error), QMP_ERR_INVALID_ARGUMENT, error);
    CHECK_INT(atomic_load(&told.destroyed), 1);
    atomic_store(&answer_now, true);
    CHECK_STATUS(qmp_batch_next(batch, PATIENCE_MS, NULL, &next, NULL), QMP_OK);
    CHECK_STATUS(qmp_batch_next(batch, 0, NULL, &next, NULL), QMP_ERR_NOT_FOUND);
    CHECK_STATUS(outcome_of(request, 0), QMP_OK);
    qmp_request_free(request);

    request = submit(client, "one");
    CHECK_STATUS(qmp_request_set_callback(request, QMP_ON_DISPATCH, tell, &told, NULL, NULL), QMP_OK);
    CHECK_ERROR(qmp_batch_add(batch, request, &error), QMP_ERR_INVALID_ARGUMENT, error);
    CHECK_STATUS(qmp_batch_next(batch, 0, NULL, &next, NULL), QMP_ERR_NOT_FOUND);
    qmp_request_free(request);
    qmp_batch_free(batch);
    qmp_batch_free(other);
    qmp_close(client);
    server_stop(server);
}

static void *next_of(void *batch)
{
    qmp_request *next = NULL;
    return (void *)(intptr_t)qmp_batch_next(batch, QMP_FOREVER, NULL, &next, NULL);
}

static void f89_who_waits_is_told_that_it_is_freed(void)
{
    server *server = start_holding();
    qmp_client *client = connect_to(server_address(server));
    qmp_batch *batch = qmp_batch_new();
    qmp_request *request = submit(client, "hold");
    pthread_t waiter;
    void *status;
    CHECK_STATUS(qmp_batch_add(batch, request, NULL), QMP_OK);
    pthread_create(&waiter, NULL, next_of, batch);
    CHECK_SOON(atomic_load(&commands_heard) == 1);
    qmp_batch_free(batch);
    pthread_join(waiter, &status);
    CHECK((qmp_status)(intptr_t)status == QMP_ERR_CLOSED || (qmp_status)(intptr_t)status == QMP_ERR_INVALID_HANDLE);
    CHECK_STATUS(outcome_of(request, 0), QMP_ERR_TIMEOUT); /* it goes on */
    qmp_request_free(request);
    qmp_close(client);
    server_stop(server);
}

static void *trigger(void *cancel)
{
    CHECK_SOON(atomic_load(&commands_heard) == 1);
    CHECK_STATUS(qmp_cancel_trigger(cancel), QMP_OK);
    return NULL;
}

static void f87_cancelled_while_it_waits(void)
{
    server *server = start_holding();
    qmp_client *client = connect_to(server_address(server));
    qmp_batch *batch = qmp_batch_new();
    qmp_request *request = submit(client, "hold"), *next = NULL;
    qmp_cancel *cancel = qmp_cancel_new();
    qmp_error *error = NULL;
    pthread_t other;
    CHECK_STATUS(qmp_batch_add(batch, request, NULL), QMP_OK);
    pthread_create(&other, NULL, trigger, cancel);
    CHECK_ERROR(qmp_batch_next(batch, QMP_FOREVER, cancel, &next, &error), QMP_ERR_CANCELLED, error);
    pthread_join(other, NULL);
    qmp_cancel_free(cancel);
    /* A close is an outcome too. */
    qmp_close(client);
    CHECK_STATUS(qmp_batch_next(batch, PATIENCE_MS, NULL, &next, NULL), QMP_OK);
    CHECK_STATUS(outcome_of(next, 0), QMP_ERR_CLOSED);
    qmp_request_free(request);
    qmp_batch_free(batch);
    server_stop(server);
}

int main(void)
{
    RUN(requests_of_several_clients);
    RUN(the_descriptor_shows_replies_after_busy_times);
    RUN(requests_that_end_otherwise_leave);
    RUN(a_request_is_put_into_one_batch_once);
    RUN(f89_who_waits_is_told_that_it_is_freed);
    RUN(f87_cancelled_while_it_waits);
    return check_end();
}
