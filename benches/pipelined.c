// SPDX-License-Identifier: MIT OR Apache-2.0
// Many commands under way at once: a call is a batch of them, submitted and then collected.
#include "bench.h"

#include <qmp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { MOST = 256 };

typedef struct batched {
    connection connection;
    char commands[MOST * sizeof(((connection *)0)->request)];
} batched;

static void *floor_open(const target *target)
{
    batched *b = malloc(sizeof *b);
    if (!b)
        die("no memory for a connection");
    floor_connect(&b->connection, target);
    return b;
}

static void floor_close(void *opened)
{
    floor_disconnect(&((batched *)opened)->connection);
    free(opened);
}

// One send for all; then as many lines are awaited, and nothing in them is looked at.
static void floor_batch(batched *b, int depth)
{
    static char replies[1 << 18];
    connection *c = &b->connection;
    size_t length = 0;
    for (int i = 0; i < depth; i++) {
        memcpy(b->commands + length, c->request, c->length);
        length += c->length;
        floor_count_up(c);
    }
    for (size_t sent = 0; sent < length;) {
        ssize_t taken = send(c->fd, b->commands + sent, length - sent, MSG_NOSIGNAL);
        if (taken < 0)
            die("cannot send a batch");
        sent += (size_t)taken;
    }
    for (int lines = 0; lines < depth;) {
        ssize_t got = recv(c->fd, replies, sizeof replies, 0);
        if (got <= 0)
            die("the replies did not come");
        for (char *at = replies; (at = memchr(at, '\n', (size_t)(replies + got - at))); at++)
            lines++;
    }
}

static void require(qmp_status status, qmp_error *error)
{
    if (status != QMP_OK)
        die("%s: %s", qmp_status_name(status), error ? error->message : "");
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
