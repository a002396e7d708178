// SPDX-License-Identifier: MIT OR Apache-2.0
// Many commands under way at once: a call is a batch of them, submitted and then collected.
#include "bench.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { MOST = 256 };

// A reply in a line: its copy is found by its id.
static void take_reply(char **copies, unsigned long first, int depth, const char *line, size_t length)
{
    const char *id = memmem(line, length, "\"id\": ", 6);
    unsigned long place = id ? strtoul(id + 6, NULL, 10) - first : MOST;
    if (place >= (unsigned long)depth || copies[place] || !(copies[place] = malloc(length + 1)))
        die("a reply to nothing, or no memory for it");
    memcpy(copies[place], line, length);
    copies[place][length] = '\0';
}

// One send for all; then lines are read, each is matched by its id and copied.
static void floor_batch(connection *c, int depth)
{
    static char commands[MOST * sizeof c->request];
    static char replies[1 << 18];
    char *copies[MOST] = { 0 };
    unsigned long first = strtoul(c->request + c->id, NULL, 10);
    size_t length = 0;
    for (int i = 0; i < depth; i++) {
        memcpy(commands + length, c->request, c->length);
        length += c->length;
        floor_count_up(c);
    }
    for (size_t sent = 0; sent < length;) {
        ssize_t taken = send(c->fd, commands + sent, length - sent, MSG_NOSIGNAL);
        if (taken < 0)
            die("cannot send a batch");
        sent += (size_t)taken;
    }
    size_t held = 0;
    for (int lines = 0; lines < depth;) {
        ssize_t got = recv(c->fd, replies + held, sizeof replies - held, 0);
        if (got <= 0)
            die("the replies did not come");
        held += (size_t)got;
        char *line = replies, *end;
        for (; (end = memchr(line, '\n', (size_t)(replies + held - line))); line = end + 1, lines++)
            take_reply(copies, first, depth, line, (size_t)(end - line));
        held = (size_t)(replies + held - line);
        memmove(replies, line, held);
    }
    for (int i = 0; i < depth; i++)
        free(copies[i]);
}

static void library_batch(qmp_client *client, int depth)
{
    qmp_request *requests[MOST];
    qmp_error *error = NULL;
    for (int i = 0; i < depth; i++)
        require(qmp_submit_json(client, "query-status", NULL, false, &requests[i], &error), error);
    for (int i = 0; i < depth; i++) {
        char *reply;
        require(qmp_request_wait(requests[i], TIMEOUT_MS, NULL, &reply, &error), error);
        qmp_string_free(reply);
        qmp_request_free(requests[i]);
    }
}

static void floor_64(void *opened)
{
    floor_batch(opened, 64);
}

static void floor_256(void *opened)
{
    floor_batch(opened, 256);
}

static void library_64(void *client)
{
    library_batch(client, 64);
}

static void library_256(void *client)
{
    library_batch(client, 256);
}

const side floor_batched_64 = { floor_open, floor_64, floor_close };
const side floor_batched_256 = { floor_open, floor_256, floor_close };
const side library_pipelined_64 = { library_open, library_64, library_close };
const side library_pipelined_256 = { library_open, library_256, library_close };
