/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* How much memory a process needs at most, while a hostile server in a process of its own does its worst. */
#ifndef MEMORY_H
#define MEMORY_H

#include "server.h"

#include <stdbool.h>
#include <stdint.h>

#define MIB (1024.0 * 1024.0)

/* Runs a case in a process of its own, so that nothing is left in it by another one. */
#define RUN_ALONE(name) memory_run(#name, name)
void memory_run(const char *name, void (*test)(void));
int memory_end(void); /* the exit status of the program */

typedef struct remote remote;

/* A server in a child of this process: started first, while this process has no threads. */
remote *remote_start(server_script *script);
const char *remote_address(const remote *remote);
void remote_stop(remote *remote);

/* Peaks are counted from here. False: the kernel does not count them. */
bool memory_mark(void);

/* Prints "memory: WHAT grew N MiB": the peak since the mark. Fails if that is more than `most` bytes. */
void memory_check(double most, const char *what, ...) __attribute__((format(printf, 2, 3)));

/* How long a flood lasts: SOAK_SECONDS, or one second. */
int64_t soak_ms(void);

#endif
