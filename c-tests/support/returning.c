/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "returning.h"

#include "directory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

qmp_options *returning(void)
{
    qmp_options *options = qmp_options_new();
    CHECK_STATUS(qmp_options_set_reconnect(options, 2, 2, 40, 0.5, QMP_FOREVER), QMP_OK);
    CHECK_STATUS(qmp_options_set_wait_for_socket(options, true), QMP_OK);
    return options;
}

qmp_client *connect_with(qmp_options *options, const char *address)
{
    qmp_client *client = NULL;
    qmp_error *error = NULL;
    if (qmp_connect(address, options, PATIENCE_MS, NULL, &client, &error) != QMP_OK)
        check_fail(__FILE__, __LINE__, "connecting to %s: %s", address, error ? error->message : "no error given");
    qmp_error_free(error);
    qmp_options_free(options);
    return client;
}

qmp_client *connect_returning(const char *address)
{
    return connect_with(returning(), address);
}

bool check_own(qmp_client *client, qmp_subscription *subscription, int32_t kind, const char *part, const char *file, int line)
{
    int64_t deadline = now_ms() + PATIENCE_MS;
    for (;;) {
        qmp_event *event = NULL;
        int64_t left = deadline - now_ms();
        qmp_status status = client ? qmp_poll_event(client, left > 0 ? left : 0, NULL, &event, NULL)
                                   : qmp_subscription_poll(subscription, left > 0 ? left : 0, NULL, &event, NULL);
        if (status != QMP_OK) {
            check_fail(file, line, "no event of kind %d: %s", (int)kind, qmp_status_name(status));
            return false;
        }
        if (event->kind != QMP_EVENT_VM) {
            const char *name = kind == QMP_EVENT_RECONNECTED ? "RECONNECTED" : "DISCONNECTED";
            bool holds = event->kind == kind && strcmp(event->name, name) == 0 && strstr(event->data, part);
            if (!holds)
                check_fail(file, line, "expected %s with %s, actual %s", name, part, event->json);
            qmp_event_free(event);
            return holds;
        }
        qmp_event_free(event);
    }
}

static void *make_call(void *data)
{
    struct under_way *call = data;
    char *reply = NULL;
    qmp_error *error = NULL;
    call->status = qmp_execute_json(call->client, call->command, NULL, call->timeout_ms, call->cancel, &reply, &error);
    call->outcome_unknown = error && error->outcome_unknown;
    qmp_string_free(reply);
    qmp_error_free(error);
    atomic_store(&call->over, true);
    return NULL;
}

void call_begin(struct under_way *call, qmp_client *client, const char *command, int64_t timeout_ms, qmp_cancel *cancel)
{
    *call = (struct under_way){.client = client, .command = command, .timeout_ms = timeout_ms, .cancel = cancel};
    pthread_create(&call->thread, NULL, make_call, call);
}

qmp_status call_end(struct under_way *call)
{
    CHECK_SOON(atomic_load(&call->over));
    pthread_join(call->thread, NULL);
    return call->status;
}

char returning_address[96];
static char directory[64];

qmp_mock *vm_begins(void)
{
    qmp_mock *mock = NULL;
    if (!*directory)
        directory_make(directory, sizeof directory);
    snprintf(returning_address, sizeof returning_address, "unix:%s/qmp", directory);
    CHECK_STATUS(qmp_mock_start(returning_address, &mock, NULL), QMP_OK);
    return mock;
}

void forget_place(void)
{
    directory_remove(directory);
    *directory = '\0';
}

qmp_client *left_alone(qmp_options *options)
{
    qmp_mock *vm = vm_begins();
    qmp_client *client = connect_with(options, returning_address);
    CHECK_STATUS(qmp_mock_stop(vm), QMP_OK);
    CHECK_OWN(client, QMP_EVENT_DISCONNECTED, "\"reconnecting\": true");
    return client;
}

server *_Atomic the_server;
static server_script *then_serve;

static void serve_one_command_first(peer *peer)
{
    if (server_clients(the_server) > 1) {
        then_serve(peer);
        return;
    }
    if (!peer_greet(peer))
        return;
    char *command = peer_hear(peer);
    if (command)
        peer_answer(peer, command, "{}");
    free(command);
}

qmp_client *left_to(server_script *next, qmp_options *options, server *(*start)(server_script *))
{
    then_serve = next;
    the_server = start(serve_one_command_first);
    qmp_client *client = connect_with(options, server_address(the_server));
    CHECK_STATUS(execute(client, "query-name"), QMP_OK);
    CHECK_OWN(client, QMP_EVENT_DISCONNECTED, "\"reconnecting\": true");
    return client;
}

void serve_in_silence(peer *peer)
{
    peer_wait_end(peer);
}

qmp_options *returning_until(int64_t total_ms, int64_t first_ms)
{
    qmp_options *options = returning();
    CHECK_STATUS(qmp_options_set_reconnect(options, first_ms, 1, first_ms, 0, total_ms), QMP_OK);
    return options;
}
