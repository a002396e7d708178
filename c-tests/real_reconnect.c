/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A real QEMU that is killed and started again, under a client that comes back. */
#include "support/mocked.h"
#include "support/returning.h"
#include "support/vm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { THREADS = 8 };

static qmp_client *client;
static atomic_bool over;
static atomic_int running; /* the VM of the moment is called by this number */
static atomic_int answered[THREADS];

/* Each kind of call knows what only its own reply can be. */
static bool is_mine(int thread, int call, const char *reply, int *name)
{
    char expected[64];
    int seen;
    switch (thread % 4) {
    case 0: /* no VM that was gone when the call began */
        if (sscanf(reply, "{\"name\": \"vm-%d\"}", &seen) != 1 || seen < *name || seen > atomic_load(&running))
            return false;
        *name = seen;
        return true;
    case 1:
        snprintf(expected, sizeof expected, "\"%#x\\r\\n\"", (unsigned)(thread << 20 | call));
        return strcmp(reply, expected) == 0;
    case 2:
        return strstr(reply, "\"running\": true") && strstr(reply, "\"status\"");
    default:
        return reply[0] == '[' && strstr(reply, "\"peripheral-anon\"");
    }
}

static void *keep_calling(void *data)
{
    int thread = (int)(intptr_t)data, name = 0;
    const char *commands[] = {"query-name", "human-monitor-command", "query-status", "qom-list"};
    for (int call = 1; !atomic_load(&over); call++) {
        char arguments[64] = "{}", *reply = NULL;
        qmp_error *error = NULL;
        if (thread % 4 == 1)
            snprintf(arguments, sizeof arguments, "{\"command-line\":\"print %d\"}", thread << 20 | call);
        if (thread % 4 == 3)
            snprintf(arguments, sizeof arguments, "{\"path\":\"/machine\"}");
        qmp_status status = qmp_execute_json(client, commands[thread % 4], arguments, PATIENCE_MS, NULL, &reply, &error);
        if (status != QMP_OK)
            CHECK_ERROR(status, QMP_ERR_DISCONNECTED, error);
        else if (is_mine(thread, call, reply, &name))
            atomic_fetch_add(&answered[thread], 1);
        else
            check_fail(__FILE__, __LINE__, "thread %d got %s", thread, reply);
        qmp_string_free(reply);
    }
    return NULL;
}

static bool all_are_answered(void)
{
    for (int i = 0; i < THREADS; i++)
        if (atomic_load(&answered[i]) == 0)
            return false;
    return true;
}

/* From one VM to the next, with the calls going on. */
static void restart(vm *vm, qmp_subscription *subscription, int epoch, const char *const *more)
{
    char name[32], ended[64], begun[96];
    int32_t pid = 0;
    uint32_t uid;
    snprintf(name, sizeof name, "vm-%d", epoch);
    vm_kill(vm);
    atomic_store(&running, epoch);
    vm_start_again(vm, "-name", name, more[0], more[1], more[2], more[3], NULL);
    snprintf(ended, sizeof ended, "\"epoch\": %d, \"reconnecting\": true}", epoch - 1);
    snprintf(begun, sizeof begun, "{\"epoch\": %d, \"pid\": %d, \"another-process\": true, ", epoch, (int)vm_pid(vm));
    CHECK_OWN(client, QMP_EVENT_DISCONNECTED, ended);
    CHECK_OWN_OF(subscription, QMP_EVENT_DISCONNECTED, ended);
    CHECK_OWN(client, QMP_EVENT_RECONNECTED, begun);
    CHECK_OWN_OF(subscription, QMP_EVENT_RECONNECTED, begun);
    CHECK_STATUS(qmp_peer(client, &pid, &uid, NULL), QMP_OK);
    CHECK_INT(pid, vm_pid(vm));
    for (int i = 0; i < THREADS; i++)
        atomic_store(&answered[i], 0);
    CHECK_SOON(all_are_answered());
}

static const char *const nothing_more[4];

static void restart_under_calls(vm *vm, int times, const char *const *more)
{
    pthread_t threads[THREADS];
    int32_t before, after;
    qmp_subscription *subscription = subscribe(client, "STOP", 0);
    CHECK_STATUS(qmp_event_fd(client, &before, NULL), QMP_OK);
    atomic_store(&over, false);
    for (intptr_t i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, keep_calling, (void *)i);
    for (int epoch = 2; epoch <= times + 1 && !check_failed(); epoch++)
        restart(vm, subscription, epoch, more);
    atomic_store(&over, true);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    CHECK_STR(events_of(subscription), "");
    CHECK_STATUS(execute(client, "stop"), QMP_OK);
    CHECK_STR(events_of(subscription), "STOP");
    CHECK_STATUS(qmp_event_fd(client, &after, NULL), QMP_OK);
    CHECK_INT(after, before);
    CHECK(readable(before, 0));
    qmp_event_free(next_event(client, "STOP"));
    qmp_subscription_free(subscription);
}

static void f13_f14_killed_and_started_twenty_times_under_eight_threads(void)
{
    NEED_QEMU();
    atomic_store(&running, 1);
    vm *vm = vm_start(NULL, "-name", "vm-1", NULL);
    client = connect_returning(vm_address(vm));
    REQUIRE(client);
    restart_under_calls(vm, rounds(20), nothing_more);
    CHECK_STATUS(qmp_close(client), QMP_OK);
    vm_stop(vm);
}

/* The command was sent in part, so the connection is of no use any more; QEMU is. */
static void f14_f34_the_same_process_is_known_again(void)
{
    NEED_QEMU();
    vm *vm = vm_start(NULL, NULL);
    enum { SIZE = 2 << 20 };
    char same[96], *arguments = malloc(SIZE), *reply = NULL;
    qmp_error *error = NULL;
    snprintf(same, sizeof same, "{\"epoch\": 2, \"pid\": %d, \"another-process\": false, ", (int)vm_pid(vm));
    client = connect_returning(vm_address(vm));
    REQUIRE(client);
    snprintf(arguments, 24, "{\"command-line\": \"");
    memset(arguments + 18, 'x', SIZE - 21);
    memcpy(arguments + SIZE - 3, "\"}", 3);
    bool torn = false;
    for (int64_t timeout_ms = 50; !torn && !check_failed(); timeout_ms *= 2) {
        qmp_status status = qmp_execute_json(client, "human-monitor-command", arguments, timeout_ms, NULL, &reply, &error);
        torn = error && strstr(error->message, "sent in part");
        CHECK_ERROR(status, QMP_ERR_TIMEOUT, error);
    }
    CHECK_OWN(client, QMP_EVENT_DISCONNECTED, "\"epoch\": 1");
    CHECK_OWN(client, QMP_EVENT_RECONNECTED, same);
    CHECK_STATUS(execute(client, "query-status"), QMP_OK);
    CHECK_STATUS(qmp_close(client), QMP_OK);
    free(arguments);
    vm_stop(vm);
}

static void f13_f14_one_that_dials_is_killed_and_started(void)
{
    NEED_QEMU();
    const char *const dials[] = {"-chardev", "socket,id=manager,path=manager,server=off,reconnect=1", "-mon",
                                 "chardev=manager,mode=control"};
    char address[128];
    qmp_error *error = NULL;
    atomic_store(&running, 1);
    vm *vm = vm_start(NULL, "-name", "vm-1", dials[0], dials[1], dials[2], dials[3], NULL);
    snprintf(address, sizeof address, "unix:%s/manager", vm_directory(vm));
    qmp_options *options = returning();
    /* It calls again and again whoever listens there now. */
    for (int i = 0; i < 2; i++) {
        CHECK_STATUS(qmp_listen(address, i == 0 ? NULL : options, PATIENCE_MS, NULL, &client, &error), QMP_OK);
        CHECK_STATUS(execute(client, "query-status"), QMP_OK);
        if (i == 0)
            CHECK_STATUS(qmp_close(client), QMP_OK);
    }
    restart_under_calls(vm, 3, dials);
    CHECK_STATUS(qmp_close(client), QMP_OK);
    qmp_options_free(options);
    vm_stop(vm);
}

int main(void)
{
    RUN(f13_f14_killed_and_started_twenty_times_under_eight_threads);
    RUN(f14_f34_the_same_process_is_known_again);
    RUN(f13_f14_one_that_dials_is_killed_and_started);
    return check_end();
}
