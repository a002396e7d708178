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

enum { BATCH = 256 << 10, CALLERS = 8, IN_TIME_MS = 5000 };

static remote *small, *large;

/* Events of this size without a pause, and answers in between. */
static void flood(peer *peer, size_t size)
{
    char *event = malloc(size + 1), *batch = malloc(BATCH + 1), *command;
    size_t length = 0, start = (size_t)sprintf(event, "{\"event\": \"TICK\", \"data\": {\"n\": \"");
    memset(event + start, 'x', size - start - 5);
    strcpy(event + size - 5, "\"}}\r\n");
    for (; length + size <= BATCH; length += size)
        memcpy(batch + length, event, size);
    if (peer_greet(peer)) {
        while (peer_say_bytes(peer, batch, length)) {
            while (peer_is_asked(peer) && (command = peer_hear(peer))) {
                peer_answer(peer, command, "{}");
                free(command);
            }
        }
    }
    free(event);
    free(batch);
}

static void flood_with_small_ones(peer *peer)
{
    flood(peer, 128);
}

static void flood_with_large_ones(peer *peer)
{
    flood(peer, 60000);
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

/* most: what the header promises for the queue, the largest message, and 1 MiB. */
static void drown(const remote *remote, uint64_t limit, double most, const char *what)
{
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
    memory_check(most, "a flood of %s events for %.1f s", what, (double)(now_ms() - begun) / 1000);
    count_events(client, &last, &lost);
    printf("flood: of %llu %s events %llu were lost, %d replies came meanwhile, the last to come took %lld ms\n",
           (unsigned long long)last, what, (unsigned long long)lost, calls, (long long)worst);
    CHECK(lost > 0);
    CHECK(calls > 0);
    CHECK(worst < IN_TIME_MS);
    qmp_close(client);
}

/* The number of events is what bounds these: 4096, of some hundred bytes with what is kept beside them. */
static void f71_small_events(void)
{
    drown(small, 64 << 20, 4 * MIB, "small");
}

/* And the size of all bounds these: that of the largest message, or 4 MiB if that is more. */
static void f71_large_events(void)
{
    drown(large, 64 << 20, 64 * MIB + 64 * MIB + MIB, "large");
}

static void f71_large_events_at_a_low_limit(void)
{
    drown(large, 1 << 20, 4 * MIB + 1 * MIB + MIB, "large, at a low limit,");
}

int main(void)
{
    small = remote_start(flood_with_small_ones);
    large = remote_start(flood_with_large_ones);
    RUN(f71_small_events);
    RUN(f71_large_events_at_a_low_limit);
    RUN(f71_large_events);
    remote_stop(small);
    remote_stop(large);
    return check_end();
}
