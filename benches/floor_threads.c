// SPDX-License-Identifier: MIT OR Apache-2.0
// Many callers on one connection, the common way: one thread reads and wakes each caller with a futex. A caller waits
// no longer than its deadline, as the library's callers do.
#include "bench.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { IN_FLIGHT = 64, BUFFER = 65536 };
enum { RUNNING, SLEEPING, ANSWERED };

typedef struct waiter {
    atomic_int state;
    char *reply;
} waiter;

typedef struct shared {
    connection connection;
    pthread_t reader;
    pthread_mutex_t sending;
    // By id. Ids are given in the order of sending and answered in that order, so those in flight are neighbours.
    waiter *waiting[IN_FLIGHT];
} shared;

static long futex(atomic_int *word, int operation, int value, const struct timespec *timeout)
{
    return syscall(SYS_futex, word, operation, value, timeout, NULL, 0);
}

static void answer(shared *s, const char *line, size_t length)
{
    const char *id = memrchr(line, ':', length);
    if (!id)
        die("a reply without id");
    waiter *w = s->waiting[strtoul(id + 1, NULL, 10) % IN_FLIGHT];
    w->reply = malloc(length + 1);
    if (!w->reply)
        die("no memory for a reply");
    memcpy(w->reply, line, length);
    w->reply[length] = '\0';
    if (atomic_exchange(&w->state, ANSWERED) == SLEEPING)
        futex(&w->state, FUTEX_WAKE_PRIVATE, 1, NULL);
}

static void *read_replies(void *opened)
{
    shared *s = opened;
    char *buffer = malloc(BUFFER);
    size_t held = 0;
    ssize_t got;
    while (buffer && (got = recv(s->connection.fd, buffer + held, BUFFER - held, 0)) > 0) {
        char *line = buffer, *end = buffer + held + got;
        for (char *newline; (newline = memchr(line, '\n', (size_t)(end - line))); line = newline + 1)
            answer(s, line, (size_t)(newline - line));
        held = (size_t)(end - line);
        memmove(buffer, line, held);
    }
    free(buffer);
    return NULL;
}

static void *open_shared(const target *target)
{
    shared *s = calloc(1, sizeof *s);
    if (!s)
        die("no memory for a connection");
    floor_connect(&s->connection, target);
    pthread_mutex_init(&s->sending, NULL);
    if (pthread_create(&s->reader, NULL, read_replies, s))
        die("cannot start the reader thread");
    return s;
}

static void call_shared(void *opened)
{
    shared *s = opened;
    waiter w = { .state = RUNNING };
    pthread_mutex_lock(&s->sending);
    s->waiting[strtoul(s->connection.request + s->connection.id, NULL, 10) % IN_FLIGHT] = &w;
    floor_send(&s->connection);
    pthread_mutex_unlock(&s->sending);

    const struct timespec timeout = { .tv_sec = TIMEOUT_MS / 1000 };
    int running = RUNNING;
    if (atomic_compare_exchange_strong(&w.state, &running, SLEEPING))
        while (atomic_load(&w.state) != ANSWERED)
            if (futex(&w.state, FUTEX_WAIT_PRIVATE, SLEEPING, &timeout) && errno == ETIMEDOUT)
                die("no reply in time");
    free(w.reply);
}

static void close_shared(void *opened)
{
    shared *s = opened;
    shutdown(s->connection.fd, SHUT_RDWR);
    pthread_join(s->reader, NULL);
    floor_disconnect(&s->connection);
    pthread_mutex_destroy(&s->sending);
    free(s);
}

const side floor_threads = { open_shared, call_shared, close_shared };
