/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What nearly every case does with the library. */
#ifndef CLIENT_H
#define CLIENT_H

#include "check.h"
#include "footprint.h"

#include <qmp.h>

/* What NULL gives where a handle must be. */
#define NULL_HANDLE QMP_ERR_INVALID_ARGUMENT

#define CHECK_STATUS(actual, expected) check_status((actual), (expected), #actual, __FILE__, __LINE__)

/* Checks the status and the error that must come with it, which it frees. */
#define CHECK_ERROR(actual, expected, error)                                                       \
    do {                                                                                           \
        check_status((actual), (expected), #actual, __FILE__, __LINE__);                           \
        check_error((error), (expected), #actual, __FILE__, __LINE__);                             \
        (error) = NULL;                                                                            \
    } while (0)

bool check_status(qmp_status actual, qmp_status expected, const char *text, const char *file, int line);
void check_error(qmp_error *error, qmp_status expected, const char *text, const char *file, int line);

qmp_client *connect_to(const char *address); /* waits for the socket; NULL is a failure already told */
qmp_status execute(qmp_client *client, const char *command); /* the reply is dropped */
qmp_event *next_event(qmp_client *client, const char *name); /* skips others; NULL: it did not come */

#endif
