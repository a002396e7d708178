/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "returning.h"

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
