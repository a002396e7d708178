/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "mocked.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

bool mocked_start(struct mocked *vm)
{
    *vm = (struct mocked){NULL, NULL};
    CHECK_STATUS(qmp_mock_start(NULL, &vm->mock, NULL), QMP_OK);
    CHECK_STATUS(qmp_mock_set_clients(vm->mock, 2, NULL), QMP_OK);
    vm->client = mocked_client(vm);
    return vm->client != NULL;
}

void mocked_stop(struct mocked *vm)
{
    qmp_close(vm->client);
    CHECK_STATUS(qmp_mock_stop(vm->mock), QMP_OK);
}

qmp_client *mocked_client(const struct mocked *vm)
{
    char *address = NULL;
    CHECK_STATUS(qmp_mock_address(vm->mock, &address, NULL), QMP_OK);
    qmp_client *client = connect_to(address);
    qmp_string_free(address);
    return client;
}

void mocked_emit(const struct mocked *vm, const char *name, const char *data)
{
    CHECK_STATUS(qmp_mock_emit(vm->mock, name, data, NULL), QMP_OK);
    CHECK_STATUS(execute(vm->client, "query-name"), QMP_OK);
}

qmp_subscription *subscribe(qmp_client *client, const char *events, uint64_t capacity)
{
    qmp_subscription *subscription = NULL;
    CHECK_STATUS(qmp_subscribe(client, events, NULL, NULL, capacity, &subscription, NULL), QMP_OK);
    return subscription;
}

const char *events_of(qmp_subscription *subscription)
{
    static char names[4096];
    size_t length = 0;
    qmp_event *event = NULL;
    *names = '\0';
    while (qmp_subscription_poll(subscription, 0, NULL, &event, NULL) == QMP_OK) {
        if (length + strlen(event->name) + 2 < sizeof names)
            length += (size_t)snprintf(names + length, sizeof names - length, "%s%s", length ? " " : "", event->name);
        qmp_event_free(event);
    }
    return names;
}

bool readable(int fd, int wait_ms)
{
    struct pollfd poller = {.fd = fd, .events = POLLIN};
    return poll(&poller, 1, wait_ms) == 1 && (poller.revents & POLLIN);
}
