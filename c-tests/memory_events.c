/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A flood of events that nobody polls, for a second, or for SOAK_SECONDS: memory stays within the
 * documented bound, what is lost is counted, and replies come in time all the while.
 */
#include "support/client.h"
#include "support/memory.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { BATCH = 2 << 20, CALLERS = 8, IN_TIME_MS = 5000 };

static atomic_size_t *sent; /* bytes, shared with the server */

static size_t write_event(char *at, size_t size, const char *name)
{
    size_t start = (size_t)sprintf(at, "{\"event\": \"%s\", \"data\": {\"n\": \"", name);
    memset(at + start, 'x', size - start - 5);
    memcpy(at + size - 5, "\"}}\r\n", 5);
    return size;
}

/* Events of these sizes, up to a 0, without a pause, and answers in between. Every so many are important. */
static void flood(peer *peer, const size_t *sizes, size_t important)
{
    char *batch = malloc(BATCH), *command;
    size_t length = 0, count = 0;
    while (sizes[count])
        count++;
    for (size_t i = 0; length + sizes[i % count] <= BATCH; i++)
        length += write_event(batch + length, sizes[i % count], i % important == 1 ? "STOP" : "TICK");
    if (peer_greet(peer)) {
        while (peer_say_bytes(peer, batch, length)) {
            atomic_fetch_add(sent, length);
            while (peer_is_asked(peer) && (command = peer_hear(peer))) {
                peer_answer(peer, command, "{}");
                free(command);
            }
        }
    }
    free(batch);
}

static void flood_with_small_ones(peer *peer)
{
    flood(peer, (const size_t[]){128, 0}, 1);
}

static void flood_with_large_ones(peer *peer)
{
    flood(peer, (const size_t[]){60000, 0}, 1);
}

static void flood_with_all_sizes(peer *peer)
{
    flood(peer, (const size_t[]){100, 60000, 5000, 400000, 1000, 20000, 0}, 4);
}

struct caller {
    pthread_t thread;
    qmp_client *client;
    int64_t end, worst; /* the time until when it calls, and how long the slowest of its calls took */
    int calls;
};

static void *call_until_end(void *data)
{
    struct caller *caller = data;
    for (int64_t begun; (begun = now_ms()) < caller->end; caller->calls++) {
        if (!CHECK_STATUS(execute(caller->client, "query-status"), QMP_OK))
            break;
        if (now_ms() - begun > caller->worst)
            caller->worst = now_ms() - begun;
    }
    return NULL;
}

/* What is left in the queue, in order and with the lost ones counted. */
static void count_events(qmp_client *client, uint64_t *last, uint64_t *lost)
{
    qmp_event *event;
    for (int i = 0; i < 1000; i++) {
        REQUIRE(CHECK_STATUS(qmp_poll_event(client, PATIENCE_MS, NULL, &event, NULL), QMP_OK));
        CHECK(event->sequence == *last + event->lost + 1);
        *last = event->sequence;
        *lost += event->lost;
        qmp_event_free(event);
    }
}

/* queue: the bytes that the header allows the queue. The rest is for the receive buffer, and for nine threads. */
static void drown(server_script *script, uint64_t limit, double queue, const char *what)
{
    sent = mmap(NULL, sizeof *sent, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    REQUIRE(sent != MAP_FAILED);
    remote *remote = remote_start(script);
    qmp_client *client = NULL;
    qmp_options *options = qmp_options_new();
    uint64_t last = 0, lost = 0;
    int64_t worst = 0, half = soak_ms() / 2;
    CHECK_STATUS(qmp_options_set_max_message_bytes(options, limit), QMP_OK);
    if (!memory_mark())
        SKIP("the kernel does not count peaks");
    CHECK_STATUS(qmp_connect(remote_address(remote), options, PATIENCE_MS, NULL, &client, NULL), QMP_OK);
    qmp_options_free(options);
    REQUIRE(client);

    int64_t begun = now_ms();
    while (now_ms() < begun + half)
        nap(); /* nobody calls: the library's own thread reads */
    struct caller callers[CALLERS];
    int calls = 0;
    for (int i = 0; i < CALLERS; i++) {
        callers[i] = (struct caller){.client = client, .end = begun + 2 * half};
        CHECK_INT(pthread_create(&callers[i].thread, NULL, call_until_end, &callers[i]), 0);
    }
    for (int i = 0; i < CALLERS; i++) {
        pthread_join(callers[i].thread, NULL);
        calls += callers[i].calls;
        if (callers[i].worst > worst)
            worst = callers[i].worst;
    }
    CHECK_SOON((double)atomic_load(sent) > 3 * queue); /* on a slow machine it is not full yet */
    memory_check(queue + 4 * MIB, "a flood of %s events for %.1f s", what, (double)(now_ms() - begun) / 1000);
    count_events(client, &last, &lost);
    printf("flood: of %llu %s events %llu were lost, %d replies came meanwhile, the slowest took %lld ms\n",
           (unsigned long long)last, what, (unsigned long long)lost, calls, (long long)worst);
    CHECK(lost > 0);
    CHECK(calls > 0);
    CHECK(worst < IN_TIME_MS);
    qmp_close(client);
    remote_stop(remote);
}

/* These are bounded by their number, 4096, and are kept with half a KiB each. */
static void f71_small_events(void)
{
    drown(flood_with_small_ones, 64 << 20, 2 * MIB, "small");
}

/* These by the size of all, which is that of the largest message, or 4 MiB if that is more. */
static void f71_large_events(void)
{
    drown(flood_with_large_ones, 64 << 20, 64 * MIB, "large");
}

static void f71_large_events_at_a_low_limit(void)
{
    drown(flood_with_large_ones, 1 << 20, 4 * MIB, "large (at a low limit)");
}

static void f71_events_of_all_sizes(void)
{
    drown(flood_with_all_sizes, 64 << 20, 64 * MIB, "small and large");
}

static void f71_events_of_all_sizes_at_a_low_limit(void)
{
    drown(flood_with_all_sizes, 1 << 20, 4 * MIB, "small and large (at a low limit)");
}

int main(void)
{
    RUN_ALONE(f71_small_events);
    RUN_ALONE(f71_large_events_at_a_low_limit);
    RUN_ALONE(f71_events_of_all_sizes_at_a_low_limit);
    if (memory_is_countable()) { /* tools take minutes to fill 64 MiB */
        RUN_ALONE(f71_large_events);
        RUN_ALONE(f71_events_of_all_sizes);
    }
    return memory_end();
}
