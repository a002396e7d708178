/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Clients that come back, and calls that are under way meanwhile. */
#ifndef RETURNING_H
#define RETURNING_H

#include "client.h"
#include "server.h"

#include <pthread.h>

/* Short pauses, for ever. */
qmp_options *returning(void);
qmp_options *returning_until(int64_t total_ms, int64_t pause_ms);
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

/* A place where VMs come and go. */
extern char returning_address[96];
qmp_mock *vm_begins(void);
void forget_place(void);
qmp_client *left_alone(qmp_options *options); /* its VM has gone, and it has seen that; frees the options */

/* A VM that leaves after its first command; who connects after that is served as the case likes. */
extern server *_Atomic the_server;
qmp_client *left_to(server_script *next, qmp_options *options, server *(*start)(server_script *));
void serve_in_silence(peer *peer);

enum { HOUR_MS = 3600 * 1000 };

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
