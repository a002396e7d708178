// SPDX-License-Identifier: MIT OR Apache-2.0
// How fast events are taken in: the library against a reader that looks for newlines alone.
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

// 200 bytes, newline included; so QEMU tells of a job.
#define EVENT                                                                                                          \
    "{\"timestamp\": {\"seconds\": 1700000000, \"microseconds\": 123456}, \"event\": \"BLOCK_JOB_READY\", "            \
    "\"data\": {\"device\": \"drive-disk0\", \"len\": 10737418240, \"offset\": 10737418240, \"speed\": 0, "            \
    "\"type\": \"mirror\"}}\r\n"

char *events_text(void)
{
    char *text = malloc(EVENTS * strlen(EVENT) + 1), *end = text;
    if (!text)
        die("no memory for events");
    for (int i = 0; i < EVENTS; i++)
        end = stpcpy(end, EVENT);
    return text;
}

static void count_lines(void *opened)
{
    static char text[1 << 16];
    connection *c = opened;
    floor_send(c);
    for (int lines = 0; lines < EVENTS + 1;) {
        ssize_t got = recv(c->fd, text, sizeof text, 0);
        if (got <= 0)
            die("the events did not come");
        for (char *at = text; (at = memchr(at, '\n', (size_t)(text + got - at))); at++)
            lines++;
    }
}

static void *open_with_capacity(const target *target, uint64_t events)
{
    qmp_options *options = qmp_options_new();
    qmp_client *client;
    if (qmp_options_set_event_capacity(options, events) != QMP_OK ||
        qmp_connect(target->path, options, TIMEOUT_MS, NULL, &client, NULL) != QMP_OK)
        die("cannot connect");
    qmp_options_free(options);
    return client;
}

// All but the last are classified and dropped.
static void *open_for_one(const target *target)
{
    return open_with_capacity(target, 1);
}

static void *open_for_all(const target *target)
{
    return open_with_capacity(target, EVENTS);
}

static void poll_all(void *client)
{
    library_status.call(client);
    for (int i = 0; i < EVENTS; i++) {
        qmp_event *event;
        if (qmp_poll_event(client, TIMEOUT_MS, NULL, &event, NULL) != QMP_OK || event->lost)
            die("an event is missing");
        qmp_event_free(event);
    }
}

static void ask(void *client)
{
    library_status.call(client);
}

const side floor_lines = { floor_open, count_lines, floor_close };
const side library_dropped = { open_for_one, ask, library_close };
const side library_polled = { open_for_all, poll_all, library_close };
