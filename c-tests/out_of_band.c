/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* An out-of-band command overtakes all that was submitted before it, here and in QEMU. */
#include "support/requests.h"
#include "support/vm.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static qmp_client *connect_out_of_band(const char *address)
{
    qmp_client *client = NULL;
    qmp_options *options = qmp_options_new();
    CHECK_STATUS(qmp_options_set_out_of_band(options, true), QMP_OK);
    CHECK_STATUS(qmp_options_set_wait_for_socket(options, true), QMP_OK);
    CHECK_STATUS(qmp_connect(address, options, PATIENCE_MS, NULL, &client, NULL), QMP_OK);
    qmp_options_free(options);
    return client;
}

static void f46_it_overtakes_slow_commands_on_a_real_qemu(void)
{
    enum { SLOW = 50 };
    NEED_QEMU();
    vm *vm = vm_start(NULL, NULL);
    qmp_client *client = connect_out_of_band(vm_address(vm));
    qmp_request *slow[SLOW];
    char *reply = NULL;
    REQUIRE(client);
    CHECK_STATUS(execute(client, "query-qmp-schema"), QMP_OK); /* whatever it does only once */
    int64_t begin = now_ms();
    for (int i = 0; i < SLOW; i++)
        slow[i] = submit(client, "query-qmp-schema");
    CHECK_STATUS(qmp_execute_oob_json(client, "query-yank", NULL, PATIENCE_MS, NULL, &reply, NULL), QMP_OK);
    int64_t overtaken = now_ms() - begin;
    CHECK(reply && reply[0] == '[');
    qmp_string_free(reply);
    CHECK_STATUS(outcome_of(slow[SLOW - 1], 0), QMP_ERR_TIMEOUT);
    for (int i = 0; i < SLOW; i++) {
        CHECK_STATUS(qmp_request_wait(slow[i], PATIENCE_MS, NULL, &reply, NULL), QMP_OK);
        CHECK(reply && strlen(reply) > 100000);
        qmp_string_free(reply);
        qmp_request_free(slow[i]);
    }
    int64_t whole = now_ms() - begin;
    printf("# out of band after %lld ms, %d commands in %lld ms\n", (long long)overtaken, SLOW, (long long)whole);
    CHECK(overtaken * 4 <= whole);
    qmp_close(client);
    vm_stop(vm);
}

static void what_qemu_does_not_take_out_of_band_it_refuses(void)
{
    NEED_QEMU();
    vm *vm = vm_start(NULL, NULL);
    qmp_client *client = connect_out_of_band(vm_address(vm));
    qmp_error *error = NULL;
    char *reply = NULL;
    CHECK_ERROR(qmp_execute_oob_json(client, "query-status", NULL, PATIENCE_MS, NULL, &reply, &error), QMP_ERR_COMMAND, error);
    CHECK_STATUS(execute(client, "query-status"), QMP_OK);
    qmp_close(client);
    vm_stop(vm);
}

static atomic_int in_band_heard, most_under_way;
static atomic_bool go_on;

/* Answers out-of-band commands at once, others once told to, and counts how many of those wait for their reply. */
static void count_under_way(peer *peer)
{
    char *command, *waiting[64];
    int count = 0;
    if (!peer_greet(peer))
        return;
    while ((command = peer_hear(peer))) {
        if (strstr(command, "\"exec-oob\"")) {
            peer_answer(peer, command, "\"overtook\"");
            free(command);
            continue;
        }
        waiting[count++] = command;
        atomic_fetch_add(&in_band_heard, 1);
        if (count > atomic_load(&most_under_way))
            atomic_store(&most_under_way, count);
        if (atomic_load(&go_on) || count == 64)
            while (count > 0) {
                peer_answer(peer, waiting[--count], "{}");
                free(waiting[count]);
            }
    }
    while (count > 0)
        free(waiting[--count]);
}

static server *start_counting(void)
{
    atomic_store(&in_band_heard, 0);
    atomic_store(&most_under_way, 0);
    atomic_store(&go_on, false);
    return server_start(count_under_way);
}

static void only_eight_are_under_way(void)
{
    enum { COUNT = 30, MOST = 8 };
    server *server = start_counting();
    qmp_client *client = connect_out_of_band(server_address(server));
    qmp_request *requests[COUNT];
    char *reply = NULL;
    int32_t outcome = 0;
    for (int i = 0; i < COUNT; i++)
        requests[i] = submit(client, "slow");
    CHECK_SOON(atomic_load(&in_band_heard) == MOST);
    CHECK_STATUS(qmp_execute_oob_json(client, "query-yank", NULL, PATIENCE_MS, NULL, &reply, NULL), QMP_OK);
    CHECK_STR(reply, "\"overtook\"");
    qmp_string_free(reply);
    qmp_request *overtaking = NULL;
    CHECK_STATUS(qmp_submit_json(client, "query-yank", NULL, true, &overtaking, NULL), QMP_OK);
    CHECK_STATUS(outcome_of(overtaking, PATIENCE_MS), QMP_OK);
    qmp_request_free(overtaking);
    CHECK_INT(atomic_load(&in_band_heard), MOST);
    /* What waits here was not sent, and a call that gives up says so. */
    qmp_error *error = NULL;
    CHECK_STATUS(qmp_request_cancel(requests[COUNT - 1], &outcome, NULL), QMP_OK);
    CHECK_INT(outcome, QMP_REQUEST_WITHDRAWN);
    qmp_status status = qmp_execute_json(client, "slow", NULL, 10, NULL, &reply, &error);
    CHECK(error && !error->outcome_unknown);
    CHECK_ERROR(status, QMP_ERR_TIMEOUT, error);
    CHECK_STATUS(qmp_request_cancel(requests[0], &outcome, NULL), QMP_OK);
    CHECK_INT(outcome, QMP_REQUEST_UNKNOWN);
    qmp_close(client);
    for (int i = 0; i < COUNT; i++) {
        if (i > 0 && i < COUNT - 1) {
            status = qmp_request_wait(requests[i], 0, NULL, &reply, &error);
            CHECK_INT(error && error->outcome_unknown, i < MOST);
            CHECK_ERROR(status, QMP_ERR_CLOSED, error);
        }
        qmp_request_free(requests[i]);
    }
    server_stop(server);
}

/* Nobody calls meanwhile: the library's thread reads the replies and sends the next. */
static void what_waits_is_sent_when_replies_come(void)
{
    enum { COUNT = 100 };
    server *server = start_counting();
    qmp_client *client = connect_out_of_band(server_address(server));
    qmp_batch *batch = qmp_batch_new();
    qmp_request *next = NULL;
    atomic_store(&go_on, true);
    for (int i = 0; i < COUNT; i++)
        CHECK_STATUS(qmp_batch_add(batch, submit(client, "slow"), NULL), QMP_OK);
    for (int i = 0; i < COUNT; i++) {
        CHECK_STATUS(qmp_batch_next(batch, PATIENCE_MS, NULL, &next, NULL), QMP_OK);
        CHECK_STATUS(outcome_of(next, 0), QMP_OK);
        qmp_request_free(next);
    }
    CHECK(atomic_load(&most_under_way) <= 8);
    CHECK_INT(atomic_load(&in_band_heard), COUNT);
    qmp_batch_free(batch);
    qmp_close(client);
    server_stop(server);
}

static void without_the_option_it_is_refused(void)
{
    server *server = start_counting();
    qmp_client *client = connect_to(server_address(server));
    size_t heard = server_heard(server);
    qmp_error *error = NULL;
    char *reply = (char *)1;
    qmp_request *request = (qmp_request *)1;
    CHECK_ERROR(qmp_execute_oob_json(client, "query-yank", NULL, PATIENCE_MS, NULL, &reply, &error), QMP_ERR_UNSUPPORTED, error);
    CHECK_ERROR(qmp_submit_json(client, "query-yank", NULL, true, &request, &error), QMP_ERR_UNSUPPORTED, error);
    CHECK(!reply && !request);
    CHECK_INT(server_heard(server), heard);
    qmp_close(client);
    server_stop(server);
}

static void a_vm_that_does_not_offer_it_works_without(void)
{
    qmp_mock *mock = NULL;
    qmp_error *error = NULL;
    char *address = NULL, *reply = NULL, *commands = NULL;
    CHECK_STATUS(qmp_mock_start(NULL, &mock, NULL), QMP_OK);
    CHECK_STATUS(qmp_mock_set_capabilities(mock, "[]", NULL), QMP_OK);
    CHECK_STATUS(qmp_mock_address(mock, &address, NULL), QMP_OK);
    qmp_client *client = connect_out_of_band(address);
    CHECK_ERROR(qmp_execute_oob_json(client, "query-yank", NULL, PATIENCE_MS, NULL, &reply, &error), QMP_ERR_UNSUPPORTED, error);
    CHECK_STATUS(execute(client, "query-status"), QMP_OK);
    CHECK_STATUS(qmp_mock_received_json(mock, &commands, NULL), QMP_OK);
    CHECK(commands && !strstr(commands, "oob"));
    qmp_string_free(commands);
    qmp_string_free(address);
    qmp_close(client);
    qmp_mock_stop(mock);
}

int main(void)
{
    RUN(f46_it_overtakes_slow_commands_on_a_real_qemu);
    RUN(what_qemu_does_not_take_out_of_band_it_refuses);
    RUN(only_eight_are_under_way);
    RUN(what_waits_is_sent_when_replies_come);
    RUN(without_the_option_it_is_refused);
    RUN(a_vm_that_does_not_offer_it_works_without);
    return check_end();
}
