/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A peer that stops reading, or dribbles, costs its callers their time limit and no more. */
#include "support/client.h"
#include "support/server.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

enum { HUGE = 16 * 1024 * 1024 };

static atomic_bool stuck, done;

/* Greets and then reads nothing, but tells when much is waiting to be read. */
static void stop_reading(peer *peer)
{
    int unread = 0;
    if (!peer_greet(peer))
        return;
    while (unread < 65536 && ioctl(peer_fd(peer), FIONREAD, &unread) == 0 && !atomic_load(&done))
        nap();
    atomic_store(&stuck, true);
    wait_for(&done);
}

/* Never finishes what it says. */
static void dribble(peer *peer)
{
    char *command;
    if (!peer_greet(peer) || !(command = peer_hear(peer)))
        return;
    free(command);
    peer_say(peer, "{\"return\": \"");
    while (!atomic_load(&done)) {
        peer_say(peer, "x");
        nap();
    }
}

static char *huge_arguments(void)
{
    char *arguments = malloc(HUGE + 16);
    strcpy(arguments, "{\"a\":\"");
    memset(arguments + 6, 'x', HUGE);
    strcpy(arguments + 6 + HUGE, "\"}");
    return arguments;
}

static void *execute_behind(void *client)
{
    qmp_error *error = NULL;
    char *reply = (char *)1;
    CHECK(wait_for(&stuck));
    qmp_status status = qmp_execute_json(client, "behind", NULL, 1000, NULL, &reply, &error);
    /* It waits for its turn to write: not a byte of it is sent, so its outcome is known. */
    CHECK(error && !error->outcome_unknown);
    CHECK(status == QMP_ERR_TIMEOUT || status == QMP_ERR_DISCONNECTED);
    CHECK(reply == NULL);
    qmp_error_free(error);
    return NULL;
}

static void f34_a_command_stuck_half_way(void)
{
    server *server = server_start(stop_reading);
    qmp_client *client = connect_to(server_address(server));
    qmp_error *error = NULL;
    pthread_t behind[4];
    char *arguments = huge_arguments(), *reply = (char *)1;
    atomic_store(&done, false);
    REQUIRE(client);
    for (int i = 0; i < 4; i++)
        pthread_create(&behind[i], NULL, execute_behind, client);
    int64_t start = now_ms();
    qmp_status status = qmp_execute_json(client, "huge", arguments, 1000, NULL, &reply, &error);
    CHECK(now_ms() - start >= 1000);
    CHECK_ERROR(status, QMP_ERR_TIMEOUT, error);
    CHECK(reply == NULL);
    for (int i = 0; i < 4; i++)
        pthread_join(behind[i], NULL);
    /* Another command behind half a command would be read as its end: there is no going on. */
    CHECK_STATUS(execute(client, "next"), QMP_ERR_DISCONNECTED);
    qmp_close(client);
    atomic_store(&done, true);
    free(arguments);
    server_stop(server);
}

static void f36_a_reply_that_never_ends(void)
{
    server *server = server_start(dribble);
    qmp_client *client = connect_to(server_address(server));
    qmp_error *error = NULL;
    char *reply = (char *)1;
    atomic_store(&done, false);
    REQUIRE(client);
    int64_t start = now_ms();
    CHECK_ERROR(qmp_execute_json(client, "stop", NULL, 1000, NULL, &reply, &error), QMP_ERR_TIMEOUT, error);
    CHECK(now_ms() - start >= 1000 && now_ms() - start < PATIENCE_MS);
    CHECK(reply == NULL);
    atomic_store(&done, true);
    qmp_close(client);
    server_stop(server);
}

int main(void)
{
    RUN(f34_a_command_stuck_half_way);
    RUN(f36_a_reply_that_never_ends);
    return check_end();
}
