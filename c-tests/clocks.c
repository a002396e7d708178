/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The wall clock may jump as it likes: the library never asks for it. */
#include "support/client.h"
#include "support/server.h"

#include <dlfcn.h>
#include <linux/futex.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>

enum { LIMIT_MS = 1000, WAITS = 8, DAY = 24 * 60 * 60 };

static atomic_int steady, wall; /* how often each kind of clock was asked for or waited by */

/* A day forward, a day back. */
static time_t jump(void)
{
    return atomic_fetch_add(&wall, 1) % 2 ? DAY : -DAY;
}

/* The library finds these functions in place of the system's. ISO C has no cast for dlsym. */
#define REAL(type, name)                                                                           \
    static type;                                                                                   \
    do                                                                                             \
        if (!real)                                                                                 \
            *(void **)&real = dlsym(RTLD_NEXT, name);                                              \
    while (0)

int clock_gettime(clockid_t clock, struct timespec *now)
{
    REAL(int (*real)(clockid_t, struct timespec *), "clock_gettime");
    int result = real(clock, now);
    if (clock == CLOCK_MONOTONIC || clock == CLOCK_MONOTONIC_COARSE || clock == CLOCK_BOOTTIME)
        atomic_fetch_add(&steady, 1);
    else
        now->tv_sec += jump();
    return result;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
    REAL(int (*real)(struct timeval *, void *), "gettimeofday");
    int result = real(now, zone);
    now->tv_sec += jump();
    return result;
}

time_t time(time_t *now)
{
    REAL(time_t (*real)(time_t *), "time");
    time_t result = real(NULL) + jump();
    if (now)
        *now = result;
    return result;
}

/* Futexes are waited for through this one. */
long syscall(long number, ...)
{
    REAL(long (*real)(long, ...), "syscall");
    long a[6];
    va_list rest;
    va_start(rest, number);
    for (int i = 0; i < 6; i++)
        a[i] = va_arg(rest, long);
    va_end(rest);
    if (number == SYS_futex && (a[1] & FUTEX_CLOCK_REALTIME))
        atomic_fetch_add(&wall, 1);
    return real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

static void serve_a_deaf_guest(peer *peer)
{
    char *command;
    if (!peer_greet(peer))
        return;
    while ((command = peer_hear(peer))) {
        if (!is_command(command, "never"))
            peer_answer(peer, command, "{\"status\": \"running\", \"running\": true}");
        free(command);
    }
}

static void the_jumps_are_seen(void)
{
    struct timespec now, later;
    struct timeval of_day;
    clock_gettime(CLOCK_REALTIME, &now);
    clock_gettime(CLOCK_REALTIME, &later);
    CHECK(later.tv_sec - now.tv_sec > DAY);
    gettimeofday(&of_day, NULL);
    CHECK_INT(atomic_load(&wall), 3);
    CHECK(time(NULL) > of_day.tv_sec + DAY);
    CHECK_INT(atomic_exchange(&wall, 0), 4);
}

static void f106_waits_keep_their_limits_though_the_clock_jumps(void)
{
    server *server = server_start(serve_a_deaf_guest), *quiet = server_start(peer_wait_end);
    qmp_client *client = connect_to(server_address(server)), *made = NULL;
    qmp_options *options = qmp_options_new();
    qmp_cancel *cancel = qmp_cancel_new();
    qmp_event *event = NULL;
    qmp_error *error = NULL;
    char *text = NULL;
    int32_t result = 0;
    CHECK_STATUS(qmp_options_set_wait_for_socket(options, true), QMP_OK);
    the_jumps_are_seen();
    int asked = atomic_load(&steady);
    int64_t start = now_ms();

    CHECK_ERROR(qmp_connect("/nowhere/at/all", options, LIMIT_MS, NULL, &made, &error), QMP_ERR_NOT_FOUND, error);
    CHECK_ERROR(qmp_connect(server_address(quiet), NULL, LIMIT_MS, NULL, &made, &error), QMP_ERR_BUSY, error);
    for (int i = 0; i < 2; i++) {
        qmp_cancel *token = i == 0 ? NULL : cancel; /* with which a call waits in another way */
        CHECK_ERROR(qmp_execute_json(client, "never", NULL, LIMIT_MS, token, &text, &error), QMP_ERR_TIMEOUT, error);
        CHECK_ERROR(qmp_poll_event(client, LIMIT_MS, token, &event, &error), QMP_ERR_TIMEOUT, error);
        CHECK_ERROR(qmp_shutdown(client, 100, LIMIT_MS, false, token, &result, &error), QMP_ERR_TIMEOUT, error);
    }

    CHECK(now_ms() - start >= WAITS * LIMIT_MS);
    CHECK(now_ms() - start < WAITS * LIMIT_MS + PATIENCE_MS / 2);
    CHECK(atomic_load(&steady) > asked + WAITS); /* the library does come through here */
    CHECK_INT(atomic_load(&wall), 0);
    qmp_cancel_free(cancel);
    qmp_options_free(options);
    CHECK_STATUS(qmp_close(client), QMP_OK);
    server_stop(server);
    server_stop(quiet);
}

int main(void)
{
    RUN(f106_waits_keep_their_limits_though_the_clock_jumps);
    return check_end();
}
