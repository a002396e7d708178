/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "check.h"

#include "footprint.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static atomic_int failures; /* of the case that runs; its threads count too */
static const char *skipped;
static bool any_failed;

/* Tables that grew keep their room; what leaks in a hundred rounds is more. */
enum { BYTES_KEPT = 512 * 1024 };

/* Threads end, and peers close, a moment after what made them do so. */
static void check_footprint(struct footprint before)
{
    struct footprint now;
    int64_t deadline = now_ms() + PATIENCE_MS;
    do
        now = footprint_take();
    while ((now.descriptors > before.descriptors || now.threads > before.threads ||
            now.bytes > before.bytes + BYTES_KEPT) &&
           now_ms() < deadline && (nap(), true));
    CHECK(now.descriptors <= before.descriptors);
    CHECK(now.threads <= before.threads);
    CHECK(now.bytes <= before.bytes + BYTES_KEPT);
}

void check_run(const char *name, void (*test)(void))
{
    struct footprint before = footprint_take();
    atomic_store(&failures, 0);
    skipped = NULL;
    test();
    check_footprint(before);
    if (atomic_load(&failures) > 0) {
        any_failed = true;
        printf("FAIL %s\n", name);
    } else if (skipped) {
        printf("skip %s: %s\n", name, skipped);
    } else {
        printf("ok %s\n", name);
    }
    fflush(stdout);
}

void check_skip(const char *reason)
{
    skipped = reason;
}

void check_fail(const char *file, int line, const char *format, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    atomic_fetch_add(&failures, 1);
    printf("# %s:%d: %s\n", file, line, text);
    fflush(stdout);
}

bool check_true(bool holds, const char *text, const char *file, int line)
{
    if (!holds)
        check_fail(file, line, "does not hold: %s", text);
    return holds;
}

bool check_int(long long actual, long long expected, const char *text, const char *file, int line)
{
    if (actual != expected)
        check_fail(file, line, "%s: expected %lld, actual %lld", text, expected, actual);
    return actual == expected;
}

bool check_str(const char *actual, const char *expected, const char *text, const char *file, int line)
{
    bool same = actual && expected ? strcmp(actual, expected) == 0 : actual == expected;
    if (!same)
        check_fail(file, line, "%s: expected %s, actual %s", text, expected ? expected : "NULL",
                   actual ? actual : "NULL");
    return same;
}

bool check_has(const char *text, const char *part, const char *name, const char *file, int line)
{
    bool found = text && strstr(text, part);
    if (!found)
        check_fail(file, line, "%s: expected to contain \"%s\", actual %s", name, part, text ? text : "NULL");
    return found;
}

bool check_failed(void)
{
    return atomic_load(&failures) > 0;
}

int check_end(void)
{
    return any_failed;
}

int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void nap(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

static bool is_set(const char *variable)
{
    const char *value = getenv(variable);
    return value && *value;
}

bool is_instrumented(void)
{
    return is_set("VALGRIND") || is_set("SANITIZE");
}

int rounds(int many)
{
    return is_instrumented() ? (many + 9) / 10 : many;
}

bool memory_is_countable(void)
{
    return !is_instrumented();
}

bool wait_for(atomic_bool *flag)
{
    int64_t deadline = now_ms() + PATIENCE_MS;
    while (!atomic_load(flag) && now_ms() < deadline)
        nap();
    return atomic_load(flag);
}
