/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Connects to a virtual machine, stops and continues it, and shuts it down. Usage: demo ADDRESS */
#include <qmp.h>
#include <stdio.h>
#include <stdlib.h>

/* What went wrong is in the error: print it and give up. */
static void check(qmp_status status, qmp_error *error)
{
    if (status == QMP_OK)
        return;
    fprintf(stderr, "demo: %s\n", error ? error->message : qmp_status_text(status));
    qmp_error_free(error);
    exit(1);
}

static void execute(qmp_client *vm, const char *command)
{
    char *reply;
    qmp_error *error = NULL;
    check(qmp_execute_json(vm, command, NULL, 10000, NULL, &reply, &error), error);
    printf("%-18s %s\n", command, reply);
    qmp_string_free(reply);
}

/* Events are in the queue when the command that caused them returns. */
static void print_events(qmp_client *vm)
{
    qmp_event *event;
    while (qmp_poll_event(vm, 0, NULL, &event, NULL) == QMP_OK) {
        printf("  event %-10s %s\n", event->name, event->data ? event->data : "");
        qmp_event_free(event);
    }
}

int main(int argc, char **argv)
{
    qmp_client *vm;
    qmp_error *error = NULL;
    if (argc != 2) {
        fprintf(stderr, "usage: demo ADDRESS\n");
        return 2;
    }

    /* The machine may still be starting: wait for its socket. */
    qmp_options *options = qmp_options_new();
    qmp_options_set_wait_for_socket(options, true);
    check(qmp_connect(argv[1], options, 10000, NULL, &vm, &error), error);
    qmp_options_free(options);

    char *text;
    check(qmp_greeting_json(vm, &text, &error), error);
    printf("connected to       %s\n", text);
    qmp_string_free(text);

    bool running;
    check(qmp_query_status(vm, 10000, NULL, &running, &text, &error), error);
    printf("status             %s\n", text);
    qmp_string_free(text);

    execute(vm, "stop");
    print_events(vm);
    execute(vm, "cont");
    print_events(vm);

    if (qmp_execute_json(vm, "make-coffee", NULL, 10000, NULL, &text, &error) == QMP_ERR_COMMAND)
        printf("%-18s %s: %s\n", error->command, error->error_class, error->description);
    else
        check(QMP_ERR_INTERNAL, error);
    qmp_error_free(error);
    error = NULL;

    /* Press the power button every half second for ten seconds, then pull the plug. */
    int32_t result;
    check(qmp_shutdown(vm, 500, 10000, true, NULL, &result, &error), error);
    printf("shutdown           %s\n", result == QMP_SHUTDOWN_GUEST ? "the guest went by itself" : "forced");
    print_events(vm);
    qmp_close(vm);
    return 0;
}
