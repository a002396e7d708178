/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Commands that are submitted leave together, in their order, and each of them leaves, whether or not anybody waits. */
#include "support/requests.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Waits for no answer, so that the others are submitted while it is under way. */
#define FIRST "hold"

enum { MOST = 512 };

static atomic_int next_number, out_of_order;

/* Hears "c0", "c1" and so on in this order, and answers each when it is told to. */
static void count(peer *peer)
{
    char *waiting[MOST], *command = NULL;
    int held = 0, number;
    if (!peer_greet(peer))
        return;
    for (bool more = true; more;) {
        if (peer_is_asked(peer)) {
            more = (command = peer_hear(peer)) != NULL;
            if (!more || is_command(command, FIRST)) {
                free(command);
                continue;
            }
            waiting[held++] = command;
            if (sscanf(command, "{\"execute\":\"c%d\"", &number) != 1 || number != atomic_load(&next_number))
                atomic_store(&out_of_order, true);
            atomic_fetch_add(&next_number, 1);
        } else if (held > 0 && atomic_load(&answer_now)) {
            for (int i = 0; i < held; i++) {
                peer_answer(peer, waiting[i], "{}");
                free(waiting[i]);
            }
            held = 0;
        } else {
            nap();
        }
    }
    while (held > 0)
        free(waiting[--held]);
}

static server *start_counting(void)
{
    atomic_store(&answer_now, false);
    atomic_store(&next_number, 0);
    atomic_store(&out_of_order, false);
    return server_start(count);
}

static qmp_request *submit_number(qmp_client *client, int number)
{
    char name[16];
    snprintf(name, sizeof name, "c%d", number);
    return submit(client, name);
}

static qmp_client *connect_own_loop(const char *address, int *fd)
{
    qmp_client *client = NULL;
    qmp_options *options = qmp_options_new();
    CHECK_STATUS(qmp_options_set_own_loop(options, true), QMP_OK);
    CHECK_STATUS(qmp_connect(address, options, PATIENCE_MS, NULL, &client, NULL), QMP_OK);
    CHECK_STATUS(qmp_fd(client, fd, NULL), QMP_OK);
    qmp_options_free(options);
    return client;
}

static void a_burst_leaves_in_few_pieces_and_in_order(void)
{
    enum { COUNT = 200 };
    server *server = start_counting();
    qmp_client *client = connect_to(server_address(server));
    qmp_request *first = submit(client, FIRST), *requests[COUNT];
    size_t before = server_receives(server);
    for (int i = 0; i < COUNT; i++)
        requests[i] = submit_number(client, i);
    atomic_store(&answer_now, true);
    CHECK_STATUS(outcome_of(requests[COUNT - 1], PATIENCE_MS), QMP_OK);
    CHECK_INT(atomic_load(&next_number), COUNT);
    CHECK(!atomic_load(&out_of_order));
    if (!is_instrumented())
        CHECK(server_receives(server) - before <= COUNT / 4);
    for (int i = 0; i < COUNT; i++)
        qmp_request_free(requests[i]);
    qmp_request_free(first);
    qmp_close(client);
    server_stop(server);
}

/* In the caller's own loop nothing happens in between: it is one piece. */
static void in_the_callers_loop_they_leave_with_the_next_turn(void)
{
    enum { COUNT = 200 };
    int fd = -1;
    server *server = start_counting();
    qmp_client *client = connect_own_loop(server_address(server), &fd);
    qmp_request *first = submit(client, FIRST), *requests[COUNT];
    CHECK_STATUS(qmp_process(client, NULL), QMP_OK);
    CHECK(!is_readable(fd, 0));
    size_t sent = server_receives(server) + 1;
    for (int i = 0; i < COUNT; i++)
        requests[i] = submit_number(client, i);
    CHECK(is_readable(fd, 0));
    CHECK_INT(atomic_load(&next_number), 0);
    CHECK_STATUS(qmp_process(client, NULL), QMP_OK);
    /* Nothing is left to be done. */
    CHECK(!is_readable(fd, 0));
    CHECK_SOON(atomic_load(&next_number) == COUNT);
    CHECK(!atomic_load(&out_of_order));
    CHECK(server_receives(server) <= sent + 1);
    atomic_store(&answer_now, true);
    for (int i = 0; i < COUNT; i++) {
        CHECK_STATUS(outcome_of(requests[i], PATIENCE_MS), QMP_OK);
        qmp_request_free(requests[i]);
    }
    qmp_request_free(first);
    qmp_close(client);
    server_stop(server);
}

/* Also when the thread of the library is about to send the ones before. */
static void nobody_has_to_wait_for_them(void)
{
    server *server = start_counting();
    qmp_client *client = connect_to(server_address(server));
    qmp_request *requests[MOST], *first = submit(client, FIRST);
    int number = 0;
    for (int i = 0; i < rounds(100) && !check_failed(); i++) {
        int begin = number;
        for (int more = i % 4; more >= 0; more--, number++)
            requests[number] = submit_number(client, number);
        CHECK_SOON(atomic_load(&next_number) == number);
        for (; begin < number; begin++)
            qmp_request_free(requests[begin]);
    }
    CHECK(!atomic_load(&out_of_order));
    qmp_request_free(first);
    qmp_close(client);
    server_stop(server);
}

static void what_is_freed_at_once_is_sent_all_the_same(void)
{
    for (int round = 0; round < rounds(50) && !check_failed(); round++) {
        server *server = start_counting();
        qmp_client *client = connect_to(server_address(server));
        qmp_request_free(submit(client, FIRST));
        for (int i = 0; i < MOST; i++)
            qmp_request_free(submit_number(client, i));
        if (round % 2)
            CHECK_STATUS(qmp_close(client), QMP_OK);
        CHECK_SOON(atomic_load(&next_number) == MOST);
        CHECK(!atomic_load(&out_of_order));
        qmp_close(client);
        server_stop(server);
    }
}

static void what_was_submitted_before_the_close_is_sent(void)
{
    for (int round = 0; round < rounds(100) && !check_failed(); round++) {
        enum { COUNT = 20 };
        int fd = -1;
        server *server = start_counting();
        qmp_client *client = round % 2 ? connect_to(server_address(server)) : connect_own_loop(server_address(server), &fd);
        qmp_request *requests[COUNT], *first = submit(client, FIRST);
        for (int i = 0; i < COUNT; i++)
            requests[i] = submit_number(client, i);
        CHECK_STATUS(qmp_close(client), QMP_OK);
        for (int i = 0; i < COUNT; i++) {
            qmp_error *error = NULL;
            char *reply = NULL;
            qmp_status status = qmp_request_wait(requests[i], 0, NULL, &reply, &error);
            CHECK(error && error->outcome_unknown);
            CHECK_ERROR(status, QMP_ERR_CLOSED, error);
            qmp_request_free(requests[i]);
        }
        qmp_request_free(first);
        CHECK_SOON(atomic_load(&next_number) == COUNT);
        CHECK(!atomic_load(&out_of_order));
        server_stop(server);
    }
}

static void what_waits_for_company_can_be_withdrawn(void)
{
    int fd = -1;
    int32_t outcome = 0;
    server *server = start_counting();
    qmp_client *client = connect_own_loop(server_address(server), &fd);
    qmp_request *first = submit(client, FIRST), *gone = submit(client, "gone"), *stays = submit_number(client, 0);
    CHECK_STATUS(qmp_request_cancel(gone, &outcome, NULL), QMP_OK);
    CHECK_INT(outcome, QMP_REQUEST_WITHDRAWN);
    atomic_store(&answer_now, true);
    CHECK_STATUS(outcome_of(stays, PATIENCE_MS), QMP_OK);
    CHECK_STATUS(qmp_request_cancel(first, &outcome, NULL), QMP_OK);
    CHECK_INT(outcome, QMP_REQUEST_UNKNOWN);
    CHECK(!atomic_load(&out_of_order)); /* nothing but "c0" was heard */
    qmp_request_free(first);
    qmp_request_free(gone);
    qmp_request_free(stays);
    qmp_close(client);
    server_stop(server);
}

/* It is told withdrawn exactly if the VM never hears of it, whoever sends in this moment. */
static void cancelling_says_the_truth(void)
{
    int heard = 0, withdrawn = 0;
    server *server = start_counting();
    qmp_client *client = connect_to(server_address(server));
    qmp_request_free(submit(client, FIRST));
    for (int i = 0; i < MOST && heard < MOST / 2; i++) {
        int32_t outcome = 0;
        qmp_request *request = submit_number(client, heard);
        CHECK_STATUS(qmp_request_cancel(request, &outcome, NULL), QMP_OK);
        qmp_request_free(request);
        if (outcome == QMP_REQUEST_WITHDRAWN)
            withdrawn++;
        else
            heard++;
    }
    qmp_request *last = submit_number(client, heard);
    atomic_store(&answer_now, true);
    CHECK_STATUS(outcome_of(last, PATIENCE_MS), QMP_OK);
    CHECK_INT(atomic_load(&next_number), heard + 1);
    CHECK(!atomic_load(&out_of_order));
    CHECK(withdrawn > 0);
    qmp_request_free(last);
    qmp_close(client);
    server_stop(server);
}

static void *next_of(void *batch)
{
    qmp_request *next = NULL;
    CHECK_STATUS(qmp_batch_next(batch, PATIENCE_MS, NULL, &next, NULL), QMP_OK);
    return next;
}

static void a_batch_that_is_waited_for_sends_what_is_added(void)
{
    server *server = start_counting();
    qmp_client *client = connect_to(server_address(server));
    qmp_batch *batch = qmp_batch_new();
    qmp_request *first = submit(client, FIRST), *requests[8];
    pthread_t waiter;
    void *next = NULL;
    CHECK_STATUS(qmp_batch_add(batch, first, NULL), QMP_OK);
    pthread_create(&waiter, NULL, next_of, batch);
    for (int i = 0; i < 8; i++) {
        requests[i] = submit_number(client, i);
        CHECK_STATUS(qmp_batch_add(batch, requests[i], NULL), QMP_OK);
        CHECK_SOON(atomic_load(&next_number) == i + 1);
    }
    atomic_store(&answer_now, true);
    pthread_join(waiter, &next);
    CHECK(next == requests[0]);
    for (int i = 0; i < 8; i++)
        qmp_request_free(requests[i]);
    qmp_request_free(first);
    qmp_batch_free(batch);
    qmp_close(client);
    server_stop(server);
}

static void a_callback_comes_without_anybody_waiting(void)
{
    server *server = start_counting();
    qmp_client *client = connect_to(server_address(server));
    struct told told[8] = {0};
    qmp_request_free(submit(client, FIRST));
    atomic_store(&answer_now, true);
    for (int i = 0; i < 8; i++) {
        qmp_request *request = submit_number(client, i);
        CHECK_STATUS(qmp_request_set_callback(request, QMP_ON_LIBRARY_THREAD, tell, &told[i], forget, NULL), QMP_OK);
        qmp_request_free(request);
    }
    for (int i = 0; i < 8; i++) {
        CHECK_SOON(atomic_load(&told[i].destroyed) == 1);
        CHECK_STATUS(atomic_load(&told[i].status), QMP_OK);
    }
    CHECK(!atomic_load(&out_of_order));
    qmp_close(client);
    server_stop(server);
}

/* Of what the socket takes only in pieces nothing is lost, doubled or torn, and the freed ones go along. */
static void f34_large_and_small_ones_keep_their_order(void)
{
    enum { COUNT = 60, LARGE = 200000 };
    char *arguments = malloc(LARGE + 32);
    int length = sprintf(arguments, "{\"a\": \"");
    memset(arguments + length, 'a', LARGE);
    strcpy(arguments + length + LARGE, "\"}");
    server *server = start_counting();
    qmp_client *client = connect_to(server_address(server));
    qmp_request *last = NULL;
    qmp_request_free(submit(client, FIRST));
    for (int i = 0; i < COUNT; i++) {
        char name[16];
        snprintf(name, sizeof name, "c%d", i);
        qmp_request_free(last);
        CHECK_STATUS(qmp_submit_json(client, name, i % 3 ? NULL : arguments, false, &last, NULL), QMP_OK);
    }
    atomic_store(&answer_now, true);
    CHECK_STATUS(outcome_of(last, PATIENCE_MS), QMP_OK);
    CHECK_INT(atomic_load(&next_number), COUNT);
    CHECK(!atomic_load(&out_of_order));
    qmp_request_free(last);
    qmp_close(client);
    server_stop(server);
    free(arguments);
}

/* The caller's loop stands still meanwhile, so the call itself sends what the socket did not take at first. */
static void f35_a_call_in_the_callers_loop_sends_all_of_it(void)
{
    enum { LARGE = 4 << 20 };
    int fd = -1;
    char *reply = NULL, *arguments = malloc(LARGE + 32);
    int length = sprintf(arguments, "{\"a\": \"");
    memset(arguments + length, 'a', LARGE);
    strcpy(arguments + length + LARGE, "\"}");
    server *server = start_counting();
    qmp_client *client = connect_own_loop(server_address(server), &fd);
    qmp_cancel *cancel = qmp_cancel_new();
    atomic_store(&answer_now, true);
    CHECK_STATUS(qmp_execute_json(client, "c0", arguments, PATIENCE_MS, NULL, &reply, NULL), QMP_OK);
    qmp_string_free(reply);
    CHECK_STATUS(qmp_execute_json(client, "c1", arguments, PATIENCE_MS, cancel, &reply, NULL), QMP_OK);
    qmp_string_free(reply);
    CHECK_STATUS(qmp_process(client, NULL), QMP_OK);
    CHECK(!is_readable(fd, 0));
    CHECK_INT(atomic_load(&next_number), 2);
    qmp_cancel_free(cancel);
    qmp_close(client);
    server_stop(server);
    free(arguments);
}

int main(void)
{
    RUN(a_burst_leaves_in_few_pieces_and_in_order);
    RUN(in_the_callers_loop_they_leave_with_the_next_turn);
    RUN(nobody_has_to_wait_for_them);
    RUN(what_is_freed_at_once_is_sent_all_the_same);
    RUN(what_was_submitted_before_the_close_is_sent);
    RUN(what_waits_for_company_can_be_withdrawn);
    RUN(cancelling_says_the_truth);
    RUN(a_batch_that_is_waited_for_sends_what_is_added);
    RUN(a_callback_comes_without_anybody_waiting);
    RUN(f34_large_and_small_ones_keep_their_order);
    RUN(f35_a_call_in_the_callers_loop_sends_all_of_it);
    return check_end();
}
