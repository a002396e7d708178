/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Requests, and a server that answers when it is told to. */
#ifndef REQUESTS_H
#define REQUESTS_H

#include "client.h"
#include "server.h"

qmp_request *submit(qmp_client *client, const char *command); /* NULL is a failure already told */
qmp_status outcome_of(qmp_request *request, int64_t timeout_ms); /* waits; the reply is dropped */
bool is_readable(int fd, int64_t timeout_ms);

/* Answers each command with its own name once `answer_now` is set; "hold" is never answered. */
extern atomic_bool answer_now;
extern atomic_int commands_heard;
void serve_when_told(peer *peer);
server *start_holding(void); /* with both at their beginnings */

/* What a callback was told. */
struct told {
    atomic_int calls, destroyed;
    _Atomic(qmp_status) status;
    char reply[64];
};
void tell(void *user_data, qmp_status status, const char *reply_json, const qmp_error *error);
void forget(void *user_data);

#endif
