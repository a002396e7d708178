/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Connect to a real QEMU, ask, stop, continue, see the events, quit. */
#include "support/client.h"
#include "support/vm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void a_whole_life(void)
{
    NEED_QEMU();
    vm *vm = vm_start(NULL, NULL);
    qmp_client *client = connect_to(vm_address(vm));
    qmp_error *error = NULL;
    qmp_event *event;
    char *text = NULL;
    bool running = false;
    REQUIRE(client);

    CHECK_STATUS(qmp_greeting_json(client, &text, NULL), QMP_OK);
    CHECK_HAS(text, "\"major\"");
    qmp_string_free(text);
    CHECK_STATUS(qmp_query_status(client, PATIENCE_MS, NULL, &running, &text, NULL), QMP_OK);
    CHECK(running);
    CHECK_STR(text, "running");
    qmp_string_free(text);

    /* The event is there when the command that caused it returns. */
    CHECK_STATUS(execute(client, "stop"), QMP_OK);
    CHECK_STATUS(qmp_poll_event(client, 0, NULL, &event, NULL), QMP_OK);
    CHECK_STR(event ? event->name : NULL, "STOP");
    CHECK(event && event->seconds > 0);
    qmp_event_free(event);
    CHECK_STATUS(qmp_is_running(client, PATIENCE_MS, NULL, &running, NULL), QMP_OK);
    CHECK(!running);
    CHECK_STATUS(execute(client, "cont"), QMP_OK);
    event = next_event(client, "RESUME");
    CHECK_INT(event ? event->sequence : 0, 2);
    qmp_event_free(event);

    qmp_status status = qmp_execute_json(client, "no-such-command", NULL, PATIENCE_MS, NULL, &text, &error);
    CHECK_STR(error ? error->error_class : NULL, "CommandNotFound");
    CHECK_ERROR(status, QMP_ERR_COMMAND, error);

    CHECK_STATUS(qmp_execute_json(client, "query-qmp-schema", NULL, PATIENCE_MS, NULL, &text, NULL), QMP_OK);
    CHECK(text && strlen(text) > 100000 && text[0] == '[' && text[strlen(text) - 1] == ']');
    qmp_string_free(text);

    CHECK_STATUS(execute(client, "quit"), QMP_OK);
    event = next_event(client, "SHUTDOWN");
    CHECK_HAS(event ? event->data : NULL, "host-qmp-quit");
    qmp_event_free(event);
    CHECK_ERROR(qmp_poll_event(client, PATIENCE_MS, NULL, &event, &error), QMP_ERR_DISCONNECTED, error);
    CHECK_STATUS(execute(client, "query-status"), QMP_ERR_DISCONNECTED);
    CHECK(vm_wait_exit(vm));
    CHECK_STATUS(qmp_close(client), QMP_OK);
    vm_stop(vm);
}

static void quit_always_succeeds(void)
{
    NEED_QEMU();
    for (int i = 0; i < rounds(100); i++) {
        vm *vm = vm_start(NULL, NULL);
        qmp_client *client = connect_to(vm_address(vm));
        qmp_error *error = NULL;
        char *reply = NULL;
        REQUIRE(client);
        if (qmp_execute_json(client, "quit", NULL, PATIENCE_MS, NULL, &reply, &error) != QMP_OK)
            check_fail(__FILE__, __LINE__, "round %d: %s", i, error ? error->message : "no error");
        CHECK_STR(reply, "{}");
        qmp_string_free(reply);
        qmp_error_free(error);
        qmp_close(client);
        CHECK(vm_wait_exit(vm));
        vm_stop(vm);
    }
}

static void large_messages(void)
{
    NEED_QEMU();
    vm *vm = vm_start(NULL, NULL);
    qmp_client *client = connect_to(vm_address(vm));
    char *reply = NULL;
    REQUIRE(client);
    CHECK_STATUS(qmp_execute_json(client, "human-monitor-command", "{\"command-line\":\"xp /1000000xb 0\"}", PATIENCE_MS,
                                  NULL, &reply, NULL), QMP_OK);
    CHECK(reply && strlen(reply) > 7000000);
    qmp_string_free(reply);

    /* QEMU reads a byte at a time: a megabyte takes it seconds. */
    size_t bytes = (size_t)rounds(1000000);
    char *arguments = malloc(bytes + 64);
    strcpy(arguments, "{\"command-line\":\"print 7 ");
    size_t length = strlen(arguments);
    memset(arguments + length, ' ', bytes);
    strcpy(arguments + length + bytes, "\"}");
    CHECK_STATUS(qmp_execute_json(client, "human-monitor-command", arguments, 2 * PATIENCE_MS, NULL, &reply, NULL), QMP_OK);
    CHECK_STR(reply, "\"0x7\\r\\n\"");
    qmp_string_free(reply);
    free(arguments);
    qmp_close(client);
    vm_stop(vm);
}

static void f62_a_reply_over_the_limit(void)
{
    NEED_QEMU();
    vm *vm = vm_start(NULL, NULL);
    qmp_options *options = qmp_options_new();
    qmp_client *client = NULL;
    qmp_error *error = NULL;
    char *reply = NULL;
    qmp_options_set_max_message_bytes(options, 1024 * 1024);
    qmp_options_set_wait_for_socket(options, true);
    CHECK_STATUS(qmp_connect(vm_address(vm), options, PATIENCE_MS, NULL, &client, NULL), QMP_OK);
    qmp_options_free(options);
    REQUIRE(client);
    CHECK_ERROR(qmp_execute_json(client, "human-monitor-command", "{\"command-line\":\"xp /1000000xb 0\"}", PATIENCE_MS,
                                 NULL, &reply, &error), QMP_ERR_TOO_LARGE, error);
    CHECK_STATUS(execute(client, "query-status"), QMP_OK);
    qmp_close(client);
    vm_stop(vm);
}

static void f11_the_moment_the_socket_appears(void)
{
    NEED_QEMU();
    for (int i = 0; i < rounds(50); i++) {
        vm *vm = vm_start(NULL, NULL);
        qmp_options *options = qmp_options_new();
        qmp_client *client = NULL;
        qmp_error *error = NULL;
        qmp_options_set_wait_for_socket(options, true);
        if (qmp_connect(vm_address(vm), options, PATIENCE_MS, NULL, &client, &error) != QMP_OK)
            check_fail(__FILE__, __LINE__, "round %d: %s", i, error ? error->message : "no error");
        CHECK_STATUS(execute(client, "query-status"), QMP_OK);
        qmp_error_free(error);
        qmp_options_free(options);
        qmp_close(client);
        vm_stop(vm);
    }
}

static void f22_pretty_printed(void)
{
    NEED_QEMU();
    vm *vm = vm_start(NULL, "-chardev", "socket,id=pretty,path=pretty,server=on,wait=off", "-mon",
                      "chardev=pretty,mode=control,pretty=on", NULL);
    char address[128], *greeting = NULL;
    snprintf(address, sizeof address, "%s/pretty", vm_directory(vm));
    qmp_client *client = connect_to(address);
    REQUIRE(client);
    CHECK_STATUS(qmp_greeting_json(client, &greeting, NULL), QMP_OK);
    CHECK_HAS(greeting, "\n");
    qmp_string_free(greeting);
    for (int i = 0; i < 20; i++) {
        CHECK_STATUS(execute(client, i % 2 ? "cont" : "stop"), QMP_OK);
        qmp_event_free(next_event(client, i % 2 ? "RESUME" : "STOP"));
    }
    qmp_close(client);
    vm_stop(vm);
}

/* The same protocol without a machine: no status, and an end without SHUTDOWN. */
static void the_storage_daemon(void)
{
    NEED_STORAGE_DAEMON();
    vm *vm = vm_start_storage_daemon();
    qmp_client *client = connect_to(vm_address(vm));
    qmp_error *error = NULL;
    qmp_event *event = NULL;
    char *status = NULL;
    bool running;
    REQUIRE(client);
    CHECK_ERROR(qmp_query_status(client, PATIENCE_MS, NULL, &running, &status, &error), QMP_ERR_COMMAND, error);
    CHECK_STATUS(execute(client, "query-version"), QMP_OK);
    CHECK_STATUS(execute(client, "quit"), QMP_OK);
    CHECK_ERROR(qmp_poll_event(client, PATIENCE_MS, NULL, &event, &error), QMP_ERR_DISCONNECTED, error);
    CHECK(vm_wait_exit(vm));
    qmp_close(client);
    vm_stop(vm);
}

int main(void)
{
    RUN(a_whole_life);
    RUN(quit_always_succeeds);
    RUN(large_messages);
    RUN(f62_a_reply_over_the_limit);
    RUN(f11_the_moment_the_socket_appears);
    RUN(f22_pretty_printed);
    RUN(the_storage_daemon);
    return check_end();
}
