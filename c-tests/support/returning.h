/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Clients that come back, and calls that are under way meanwhile. */
#ifndef RETURNING_H
#define RETURNING_H

#include "client.h"

#include <pthread.h>

/* Short pauses, for ever. */
qmp_options *returning(void);
qmp_client *connect_with(qmp_options *options, const char *address); /* frees the options; NULL is a failure already told */
qmp_client *connect_returning(const char *address);

/* The next event that is not the VM's is of this kind, and has this in its data. */
#define CHECK_OWN(client, kind, part) check_own((client), NULL, (kind), (part), __FILE__, __LINE__)
#define CHECK_OWN_OF(subscription, kind, part) check_own(NULL, (subscription), (kind), (part), __FILE__, __LINE__)
bool check_own(qmp_client *client, qmp_subscription *subscription, int32_t kind, const char *part, const char *file, int line);

/* From one session to the next. */
#define CHECK_RETURN(client)                                                                       \
    do {                                                                                           \
        CHECK_OWN(client, QMP_EVENT_DISCONNECTED, "\"reconnecting\": true");                       \
        CHECK_OWN(client, QMP_EVENT_RECONNECTED, "\"epoch\"");                                     \
    } while (0)

/* A blocking call in a thread of its own. */
struct under_way {
    qmp_client *client;
    const char *command;
    int64_t timeout_ms;
    qmp_cancel *cancel;
    pthread_t thread;
    qmp_status status;
    bool outcome_unknown;
    atomic_bool over;
};
void call_begin(struct under_way *call, qmp_client *client, const char *command, int64_t timeout_ms, qmp_cancel *cancel);
qmp_status call_end(struct under_way *call); /* waits for it */

#endif
