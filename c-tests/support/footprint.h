/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What the process holds. Every case must leave as much of it behind as it found: check_run looks. */
#ifndef FOOTPRINT_H
#define FOOTPRINT_H

#include <stddef.h>

/* Without the library's own threads and their descriptors, which stay once they are there. */
struct footprint {
    int descriptors, threads;
    size_t bytes; /* of malloc, in use; 0 where that cannot be known */
};

struct footprint footprint_take(void);
int count_descriptors(void); /* all of them */
int count_threads(void);

#endif
