/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "client.h"

#include <stdio.h>
#include <string.h>

bool check_status(qmp_status actual, qmp_status expected, const char *text, const char *file, int line)
{
    if (actual != expected)
        check_fail(file, line, "%s: expected %s, actual %s", text, qmp_status_name(expected),
                   qmp_status_name(actual));
    return actual == expected;
}

void check_error(qmp_error *error, qmp_status expected, const char *text, const char *file, int line)
{
    if (!error) {
        check_fail(file, line, "%s: no error was given", text);
        return;
    }
    if (error->status != expected)
        check_fail(file, line, "%s: the error says %s (%s), expected %s", text,
                   qmp_status_name(error->status), error->message, qmp_status_name(expected));
    if (!error->message || !*error->message)
        check_fail(file, line, "%s: the error has no message", text);
    qmp_error_free(error);
}

qmp_client *connect_to(const char *address)
{
    qmp_client *client = NULL;
    qmp_error *error = NULL;
    qmp_options *options = qmp_options_new();
    qmp_options_set_wait_for_socket(options, true);
    if (qmp_connect(address, options, PATIENCE_MS, NULL, &client, &error) != QMP_OK)
        check_fail(__FILE__, __LINE__, "connecting to %s: %s", address, error ? error->message : "no error given");
    qmp_error_free(error);
    qmp_options_free(options);
    return client;
}

qmp_status execute(qmp_client *client, const char *command)
{
    char *reply = NULL;
    qmp_status status = qmp_execute_json(client, command, NULL, PATIENCE_MS, NULL, &reply, NULL);
    qmp_string_free(reply);
    return status;
}

qmp_event *next_event(qmp_client *client, const char *name)
{
    qmp_event *event = NULL;
    int64_t deadline = now_ms() + PATIENCE_MS;
    while (now_ms() < deadline && qmp_poll_event(client, deadline - now_ms(), NULL, &event, NULL) == QMP_OK) {
        if (strcmp(event->name, name) == 0)
            return event;
        qmp_event_free(event);
    }
    check_fail(__FILE__, __LINE__, "event %s did not come", name);
    return NULL;
}
