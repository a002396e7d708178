/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A mock VM with a client, and subscriptions to its events. */
#ifndef MOCKED_H
#define MOCKED_H

#include "client.h"

struct mocked {
    qmp_mock *mock;
    qmp_client *client;
};

bool mocked_start(struct mocked *vm);
void mocked_stop(struct mocked *vm); /* what is not closed yet */

qmp_client *mocked_client(const struct mocked *vm);                             /* another one */
void mocked_emit(const struct mocked *vm, const char *name, const char *data); /* received when this returns */

qmp_subscription *subscribe(qmp_client *client, const char *events, uint64_t capacity);
const char *events_of(qmp_subscription *subscription); /* takes all: "STOP RESUME", valid until the next call */
bool readable(int fd, int wait_ms);

#endif
