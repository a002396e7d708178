/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A test program is a list of cases. Each case prints one line: "ok", "FAIL" or "skip". */
#ifndef CHECK_H
#define CHECK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RUN(name) check_run(#name, name)
#define CHECK(condition) check_true((condition), #condition, __FILE__, __LINE__)
#define CHECK_INT(actual, expected) check_int((actual), (expected), #actual, __FILE__, __LINE__)
#define CHECK_STR(actual, expected) check_str((actual), (expected), #actual, __FILE__, __LINE__)
#define CHECK_HAS(text, part) check_has((text), (part), #text, __FILE__, __LINE__)

/* Ends the case when what follows would make no sense. */
#define REQUIRE(condition)                                                                         \
    do {                                                                                           \
        if (!CHECK(condition))                                                                     \
            return;                                                                                \
    } while (0)

/* Waits until the condition holds, for as long as PATIENCE_MS. */
#define CHECK_SOON(condition)                                                                      \
    do {                                                                                           \
        int64_t deadline_ = now_ms() + PATIENCE_MS;                                                \
        while (!(condition) && now_ms() < deadline_)                                               \
            nap();                                                                                 \
        CHECK(condition);                                                                          \
    } while (0)

#define SKIP(reason)                                                                               \
    do {                                                                                           \
        check_skip(reason);                                                                        \
        return;                                                                                    \
    } while (0)

/* How long a test waits for what must come: long, for loaded machines and valgrind. */
enum { PATIENCE_MS = 30000 };

void check_run(const char *name, void (*test)(void));
void check_skip(const char *reason);
bool check_true(bool holds, const char *text, const char *file, int line);
bool check_int(long long actual, long long expected, const char *text, const char *file, int line);
bool check_str(const char *actual, const char *expected, const char *text, const char *file, int line);
bool check_has(const char *text, const char *part, const char *name, const char *file, int line);
void check_fail(const char *file, int line, const char *format, ...) __attribute__((format(printf, 3, 4)));
bool check_failed(void); /* the case that runs has failed already */
int check_end(void); /* the exit status of the program */

int64_t now_ms(void); /* monotonic */
void nap(void);       /* one step of waiting for a condition */
bool is_instrumented(void); /* valgrind or sanitizers watch: what they do themselves counts too */
int rounds(int many); /* a tenth under valgrind and sanitizers */
bool memory_is_countable(void); /* they keep what is freed */
bool wait_for(atomic_bool *flag); /* false: nobody set it */

#endif
