/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "requests.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

atomic_bool answer_now;
atomic_int commands_heard;

qmp_request *submit(qmp_client *client, const char *command)
{
    qmp_request *request = NULL;
    CHECK_STATUS(qmp_submit_json(client, command, NULL, false, &request, NULL), QMP_OK);
    return request;
}

qmp_status outcome_of(qmp_request *request, int64_t timeout_ms)
{
    char *reply = NULL;
    qmp_status status = qmp_request_wait(request, timeout_ms, NULL, &reply, NULL);
    qmp_string_free(reply);
    return status;
}

bool is_readable(int fd, int64_t timeout_ms)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    return poll(&poll_fd, 1, (int)timeout_ms) == 1 && (poll_fd.revents & POLLIN);
}

void serve_when_told(peer *peer)
{
    char *command, name[64], value[80];
    if (!peer_greet(peer))
        return;
    for (; (command = peer_hear(peer)); free(command)) {
        atomic_fetch_add(&commands_heard, 1);
        if (is_command(command, "hold"))
            continue;
        if (!wait_for(&answer_now)) {
            free(command);
            return;
        }
        const char *execute = strstr(command, "\":\"");
        if (execute && sscanf(execute, "\":\"%60[^\"]", name) == 1) {
            snprintf(value, sizeof value, "\"%s\"", name);
            peer_answer(peer, command, value);
        }
    }
}

server *start_holding(void)
{
    atomic_store(&answer_now, false);
    atomic_store(&commands_heard, 0);
    return server_start(serve_when_told);
}

void tell(void *user_data, qmp_status status, const char *reply_json, const qmp_error *error)
{
    struct told *told = user_data;
    CHECK((status == QMP_OK) == (reply_json != NULL) && (status == QMP_OK) == (error == NULL));
    CHECK(!error || error->status == status);
    snprintf(told->reply, sizeof told->reply, "%s", reply_json ? reply_json : "");
    atomic_store(&told->status, status);
    atomic_fetch_add(&told->calls, 1);
}

void forget(void *user_data)
{
    struct told *told = user_data;
    atomic_fetch_add(&told->destroyed, 1);
}
