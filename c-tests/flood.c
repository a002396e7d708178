/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A million events that nobody polls: the socket is drained, memory stays bounded, replies arrive. */
#include "support/client.h"
#include "support/server.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { EVENTS = 1000000, BATCH = 100 };

static atomic_bool flooded;

static const char event_text[] = "{\"timestamp\": {\"seconds\": 1, \"microseconds\": 2}, \"event\": \"TICK\", \"data\": {\"n\": 1}}\r\n";

/* Floods, and answers in between. */
static void flood(peer *peer)
{
    char *batch = calloc(BATCH, sizeof event_text);
    struct pollfd commands = {.fd = peer_fd(peer), .events = POLLIN};
    char *command;
    for (int i = 0; i < BATCH; i++)
        strcat(batch, event_text);
    CHECK(peer_greet(peer));
    for (int i = 0; i < rounds(EVENTS) / BATCH; i++) {
        peer_say(peer, batch);
        if (poll(&commands, 1, 0) == 1 && (command = peer_hear(peer))) {
            peer_answer(peer, command, "{}");
            free(command);
        }
    }
    free(batch);
    atomic_store(&flooded, true);
    while ((command = peer_hear(peer))) {
        peer_answer(peer, command, "{}");
        free(command);
    }
}

static long resident_bytes(void)
{
    long size = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    CHECK(file && fscanf(file, "%ld %ld", &size, &resident) == 2);
    if (file)
        fclose(file);
    return resident * sysconf(_SC_PAGESIZE);
}

static void memory_is_bounded(long before)
{
    if (memory_is_countable())
        CHECK(resident_bytes() - before < 16 * 1024 * 1024);
}

static void count_events(qmp_client *client)
{
    qmp_event *event = NULL;
    uint64_t last = 0, delivered = 0;
    while (qmp_poll_event(client, 0, NULL, &event, NULL) == QMP_OK) {
        CHECK_INT(event->sequence, last + event->lost + 1);
        last = event->sequence;
        delivered++;
        qmp_event_free(event);
    }
    CHECK_INT(last, rounds(EVENTS));
    CHECK_INT(delivered, 4096);
}

static void f71_while_nobody_calls(void)
{
    atomic_store(&flooded, false);
    server *server = server_start(flood);
    qmp_client *client = connect_to(server_address(server));
    REQUIRE(client);
    long before = resident_bytes();
    CHECK(wait_for(&flooded));
    memory_is_bounded(before);
    CHECK_STATUS(execute(client, "stop"), QMP_OK);
    count_events(client);
    qmp_close(client);
    server_stop(server);
}

static void f71_while_somebody_calls(void)
{
    atomic_store(&flooded, false);
    server *server = server_start(flood);
    qmp_client *client = connect_to(server_address(server));
    int calls = 0;
    REQUIRE(client);
    long before = resident_bytes();
    do {
        CHECK_STATUS(execute(client, "stop"), QMP_OK);
        calls++;
    } while (!atomic_load(&flooded));
    memory_is_bounded(before);
    CHECK(calls > 10);
    CHECK_STATUS(execute(client, "stop"), QMP_OK);
    count_events(client);
    qmp_close(client);
    server_stop(server);
}

int main(void)
{
    RUN(f71_while_nobody_calls);
    RUN(f71_while_somebody_calls);
    return check_end();
}
