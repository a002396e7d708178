/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Events of a real QEMU: subscribed to, called back with, and waited for together with their commands. */
#include "support/client.h"
#include "support/vm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static vm *the_vm;
static qmp_client *client;

static bool start(void)
{
    the_vm = vm_start(NULL, "-device", "qemu-xhci,id=bus", NULL);
    client = connect_to(vm_address(the_vm));
    return client != NULL;
}

static void stop(void)
{
    qmp_close(client);
    vm_stop(the_vm);
}

static void run(const char *command, const char *arguments)
{
    char *reply = NULL;
    qmp_error *error = NULL;
    if (qmp_execute_json(client, command, arguments, PATIENCE_MS, NULL, &reply, &error) != QMP_OK)
        check_fail(__FILE__, __LINE__, "%s: %s", command, error->message);
    qmp_string_free(reply), qmp_error_free(error);
}

static void stop_and_cont_with_their_events(void)
{
    NEED_QEMU();
    REQUIRE(start());
    for (int i = 0; i < rounds(100); i++)
        for (int half = 0; half < 2; half++) {
            char *reply = NULL;
            qmp_event *event = NULL;
            CHECK_STATUS(qmp_execute_and_wait(client, half ? "cont" : "stop", NULL, half ? "RESUME" : "STOP", NULL, NULL,
                                              PATIENCE_MS, NULL, &reply, &event, NULL),
                         QMP_OK);
            CHECK_STR(reply, "{}");
            CHECK(event && event->seconds > 0);
            qmp_string_free(reply), qmp_event_free(event);
        }
    stop();
}

/* Of several devices, the one that was asked for. */
static void device_del_with_device_deleted(void)
{
    NEED_QEMU();
    REQUIRE(start());
    for (int i = 0; i < 5; i++) {
        char *reply = NULL;
        qmp_event *event = NULL;
        run("device_add", "{\"driver\": \"usb-tablet\", \"id\": \"one\", \"bus\": \"bus.0\"}");
        run("device_add", "{\"driver\": \"usb-mouse\", \"id\": \"other\", \"bus\": \"bus.0\"}");
        run("device_del", "{\"id\": \"other\"}");
        CHECK_STATUS(qmp_execute_and_wait(client, "device_del", "{\"id\": \"one\"}", "DEVICE_DELETED", "device", "\"one\"",
                                          PATIENCE_MS, NULL, &reply, &event, NULL),
                     QMP_OK);
        REQUIRE(event);
        CHECK_HAS(event->data, "\"one\"");
        qmp_string_free(reply), qmp_event_free(event);
        /* The other's came too, and is still to be had. */
        CHECK_STATUS(qmp_wait_event(client, "DEVICE_*", "device", "\"other\"", PATIENCE_MS, NULL, &event, NULL), QMP_OK);
        qmp_event_free(event);
    }
    stop();
}

static void a_job_from_its_start_to_its_end(void)
{
    NEED_QEMU();
    REQUIRE(start());
    qmp_subscription *jobs = NULL;
    char *reply = NULL;
    qmp_event *event = NULL;
    CHECK_STATUS(qmp_subscribe(client, "JOB_*", "id", "\"make\"", 0, &jobs, NULL), QMP_OK);
    CHECK_STATUS(qmp_execute_and_wait(client, "blockdev-create",
                                      "{\"job-id\": \"make\", \"options\": {\"driver\": \"file\", \"filename\": \"disk\", \"size\": 65536}}",
                                      "JOB_STATUS_CHANGE", "status", "\"concluded\"", PATIENCE_MS, NULL, &reply, &event, NULL),
                 QMP_OK);
    qmp_string_free(reply), qmp_event_free(event);
    run("job-dismiss", "{\"id\": \"make\"}");
    const char *const states[] = {"created", "running", "waiting", "pending", "concluded", "null"};
    for (size_t i = 0; i < sizeof states / sizeof *states; i++) {
        char wanted[32];
        REQUIRE(CHECK_STATUS(qmp_subscription_poll(jobs, PATIENCE_MS, NULL, &event, NULL), QMP_OK));
        snprintf(wanted, sizeof wanted, "\"%s\"", states[i]);
        CHECK_HAS(event->data, wanted);
        qmp_event_free(event);
    }
    qmp_subscription_free(jobs);
    stop();
}

struct last_words {
    char names[128];
    atomic_int calls, destroyed;
};

static void note(void *user_data, const qmp_event *event)
{
    struct last_words *words = user_data;
    if (strlen(words->names) + strlen(event->name) + 2 < sizeof words->names)
        strcat(strcat(words->names, event->name), " ");
    atomic_fetch_add(&words->calls, 1);
}

static void count_destroyed(void *user_data)
{
    atomic_fetch_add(&((struct last_words *)user_data)->destroyed, 1);
}

static void callbacks_hear_the_last_words(void)
{
    NEED_QEMU();
    REQUIRE(start());
    struct last_words of_library = {.names = ""}, of_dispatch = {.names = ""};
    qmp_subscription *library = NULL, *dispatch = NULL;
    CHECK_STATUS(qmp_subscribe(client, "STOP,RESUME,SHUTDOWN", NULL, NULL, 0, &library, NULL), QMP_OK);
    CHECK_STATUS(qmp_subscribe(client, "SHUTDOWN", "guest", "false", 0, &dispatch, NULL), QMP_OK);
    CHECK_STATUS(qmp_subscription_set_callback(library, QMP_ON_LIBRARY_THREAD, note, &of_library, count_destroyed, NULL), QMP_OK);
    CHECK_STATUS(qmp_subscription_set_callback(dispatch, QMP_ON_DISPATCH, note, &of_dispatch, count_destroyed, NULL), QMP_OK);
    run("stop", NULL);
    run("cont", NULL);
    run("quit", NULL);
    CHECK_SOON(atomic_load(&of_library.calls) == 4);
    CHECK_STR(of_library.names, "STOP RESUME SHUTDOWN DISCONNECTED ");
    CHECK_INT(of_dispatch.calls, 0);
    CHECK_STATUS(qmp_dispatch(client, NULL), QMP_OK);
    CHECK_STR(of_dispatch.names, "SHUTDOWN DISCONNECTED ");
    qmp_subscription_free(library), qmp_subscription_free(dispatch);
    CHECK_SOON(atomic_load(&of_library.destroyed) == 1);
    CHECK_INT(of_dispatch.destroyed, 1);
    CHECK(vm_wait_exit(the_vm));
    stop();
}

int main(void)
{
    RUN(stop_and_cont_with_their_events);
    RUN(device_del_with_device_deleted);
    RUN(a_job_from_its_start_to_its_end);
    RUN(callbacks_hear_the_last_words);
    return check_end();
}
