/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Eight threads ask a real QEMU while another floods it with stop and cont: no answer goes astray. */
#include "support/client.h"
#include "support/vm.h"

#include <pthread.h>
#include <stdio.h>

enum { THREADS = 8, CALLS = 500 };

static qmp_client *client;
static atomic_bool done;
static atomic_int floods;

static void *ask(void *data)
{
    int thread = *(int *)data;
    for (int i = 0; i < rounds(CALLS); i++) {
        char arguments[64], expected[32], *reply = NULL;
        snprintf(arguments, sizeof arguments, "{\"command-line\":\"print %d\"}", thread * 1000 + i);
        snprintf(expected, sizeof expected, "\"%#x\\r\\n\"", (unsigned)(thread * 1000 + i));
        CHECK_STATUS(qmp_execute_json(client, "human-monitor-command", arguments, PATIENCE_MS, NULL, &reply, NULL), QMP_OK);
        CHECK_STR(reply, expected);
        qmp_string_free(reply);
    }
    return NULL;
}

static void *flood(void *data)
{
    (void)data;
    while (!atomic_load(&done)) {
        CHECK_STATUS(execute(client, "stop"), QMP_OK);
        CHECK_STATUS(execute(client, "cont"), QMP_OK);
        atomic_fetch_add(&floods, 1);
    }
    return NULL;
}

static void f100_no_answer_goes_astray(void)
{
    NEED_QEMU();
    vm *vm = vm_start(NULL, NULL);
    pthread_t threads[THREADS], flooder;
    int names[THREADS];
    client = connect_to(vm_address(vm));
    REQUIRE(client);
    pthread_create(&flooder, NULL, flood, NULL);
    for (int i = 0; i < THREADS; i++) {
        names[i] = i;
        pthread_create(&threads[i], NULL, ask, &names[i]);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    atomic_store(&done, true);
    pthread_join(flooder, NULL);

    /* Every event of the flood was delivered or, where more came than fit, counted. */
    qmp_event *event = NULL;
    uint64_t last = 0;
    while (qmp_poll_event(client, 0, NULL, &event, NULL) == QMP_OK) {
        CHECK_INT(event->sequence, last + event->lost + 1);
        CHECK_STR(event->name, event->sequence % 2 ? "STOP" : "RESUME");
        last = event->sequence;
        qmp_event_free(event);
    }
    CHECK_INT(last, 2 * atomic_load(&floods));
    qmp_close(client);
    vm_stop(vm);
}

int main(void)
{
    RUN(f100_no_answer_goes_astray);
    return check_end();
}
