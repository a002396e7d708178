/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A real QEMU that is killed, stopped or already taken. */
#include "support/client.h"
#include "support/vm.h"

#include <pthread.h>
#include <stdio.h>

enum { THREADS = 8 };

static qmp_client *client;
static atomic_int calls;

static void *call_until_dead(void *data)
{
    (void)data;
    for (;;) {
        qmp_error *error = NULL;
        char *reply = NULL;
        qmp_status status = qmp_execute_json(client, "query-status", NULL, QMP_FOREVER, NULL, &reply, &error);
        qmp_string_free(reply);
        if (status != QMP_OK) {
            CHECK_ERROR(status, QMP_ERR_DISCONNECTED, error);
            return NULL;
        }
        atomic_fetch_add(&calls, 1);
    }
}

static void *poll_until_dead(void *data)
{
    (void)data;
    qmp_event *event = NULL;
    qmp_error *error = NULL;
    qmp_status status;
    /* Firmware may have something to say before. */
    while ((status = qmp_poll_event(client, QMP_FOREVER, NULL, &event, &error)) == QMP_OK)
        qmp_event_free(event);
    CHECK_ERROR(status, QMP_ERR_DISCONNECTED, error);
    return NULL;
}

static void f38_killed_in_the_middle_of_calls(void)
{
    NEED_QEMU();
    for (int round = 0; round < 5; round++) {
        vm *vm = vm_start(NULL, NULL);
        pthread_t threads[THREADS], reader;
        client = connect_to(vm_address(vm));
        REQUIRE(client);
        atomic_store(&calls, 0);
        for (int i = 0; i < THREADS; i++)
            pthread_create(&threads[i], NULL, call_until_dead, NULL);
        pthread_create(&reader, NULL, poll_until_dead, NULL);
        CHECK_SOON(atomic_load(&calls) > 10);
        vm_kill(vm);
        for (int i = 0; i < THREADS; i++)
            pthread_join(threads[i], NULL);
        pthread_join(reader, NULL);
        CHECK_STATUS(qmp_close(client), QMP_OK);

        /* The socket file is still there, and nobody behind it. */
        qmp_error *error = NULL;
        CHECK_ERROR(qmp_connect(vm_address(vm), NULL, PATIENCE_MS, NULL, &client, &error), QMP_ERR_REFUSED, error);
        vm_stop(vm);
    }
}

static void f37_stopped_and_continued(void)
{
    NEED_QEMU();
    vm *vm = vm_start(NULL, NULL);
    client = connect_to(vm_address(vm));
    REQUIRE(client);
    for (int round = 0; round < rounds(50); round++) {
        qmp_error *error = NULL;
        char *reply = NULL, arguments[64], expected[32];
        vm_freeze(vm);
        CHECK_ERROR(qmp_execute_json(client, "query-name", NULL, 20, NULL, &reply, &error), QMP_ERR_TIMEOUT, error);
        vm_thaw(vm);
        snprintf(arguments, sizeof arguments, "{\"command-line\":\"print %d\"}", round);
        snprintf(expected, sizeof expected, "\"%#x\\r\\n\"", (unsigned)round);
        CHECK_STATUS(qmp_execute_json(client, "human-monitor-command", arguments, PATIENCE_MS, NULL, &reply, NULL), QMP_OK);
        CHECK_STR(reply, expected);
        qmp_string_free(reply);
    }
    qmp_close(client);
    vm_stop(vm);
}

static void f10_connecting_to_a_stopped_one(void)
{
    NEED_QEMU();
    vm *vm = vm_start(NULL, NULL);
    qmp_error *error = NULL;
    qmp_client *made = NULL;
    qmp_close(connect_to(vm_address(vm)));
    vm_freeze(vm);
    CHECK_ERROR(qmp_connect(vm_address(vm), NULL, 1000, NULL, &made, &error), QMP_ERR_TIMEOUT, error);
    vm_thaw(vm);
    made = connect_to(vm_address(vm));
    CHECK_STATUS(execute(made, "query-status"), QMP_OK);
    qmp_close(made);
    vm_stop(vm);
}

static void f9_a_second_client_is_busy(void)
{
    NEED_QEMU();
    vm *vm = vm_start(NULL, NULL);
    qmp_error *error = NULL;
    qmp_client *second = NULL;
    client = connect_to(vm_address(vm));
    REQUIRE(client);
    for (int i = 0; i < 3; i++) {
        CHECK_ERROR(qmp_connect(vm_address(vm), NULL, 1000, NULL, &second, &error), QMP_ERR_BUSY, error);
        CHECK_STATUS(execute(client, "query-status"), QMP_OK);
    }
    qmp_close(client);
    second = connect_to(vm_address(vm));
    CHECK_STATUS(execute(second, "query-status"), QMP_OK);
    qmp_close(second);
    vm_stop(vm);
}

static void f12_one_that_dies_while_starting(void)
{
    NEED_QEMU();
    for (int i = 0; i < 5; i++) {
        vm *vm = vm_start(NULL, "-device", "no-such-device", NULL);
        qmp_options *options = qmp_options_new();
        qmp_client *made = NULL;
        qmp_error *error = NULL;
        qmp_options_set_wait_for_socket(options, true);
        /* Depending on the moment there is a socket or not; never a connection, never a hang. */
        qmp_status status = qmp_connect(vm_address(vm), options, 2000, NULL, &made, &error);
        CHECK(status == QMP_ERR_DISCONNECTED || status == QMP_ERR_NOT_FOUND || status == QMP_ERR_REFUSED ||
              status == QMP_ERR_TIMEOUT);
        CHECK(made == NULL);
        qmp_error_free(error);
        qmp_options_free(options);
        CHECK(vm_wait_exit(vm));
        vm_stop(vm);
    }
}

int main(void)
{
    RUN(f38_killed_in_the_middle_of_calls);
    RUN(f37_stopped_and_continued);
    RUN(f10_connecting_to_a_stopped_one);
    RUN(f9_a_second_client_is_busy);
    RUN(f12_one_that_dies_while_starting);
    return check_end();
}
