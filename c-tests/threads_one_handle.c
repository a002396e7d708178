/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Many threads call on one handle: every one gets its own answer, whole and in any order. */
#include "support/client.h"
#include "support/server.h"

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { THREADS = 8, CALLS = 500 };

static qmp_client *client;
static atomic_int answered;

static void answer_with_arguments(peer *peer, char *command)
{
    char *arguments = strstr(command, "\"arguments\":");
    char id[32];
    CHECK(arguments && command_id(command, id, sizeof id));
    if (arguments) {
        arguments += strlen("\"arguments\":");
        char *value = strndup(arguments, strcspn(arguments, "}") + 1);
        peer_answer(peer, command, value);
        free(value);
    }
    peer_say(peer, "{\"event\": \"TICK\", \"data\": {}}\r\n");
    free(command);
}

/* Keeps every command back until another one came, so that answers overtake each other. */
static void answer_out_of_order(peer *peer)
{
    char *kept = NULL, *command;
    if (!peer_greet(peer))
        return;
    while ((command = peer_hear(peer))) {
        if (kept)
            answer_with_arguments(peer, kept);
        kept = command;
        struct pollfd more = {.fd = peer_fd(peer), .events = POLLIN};
        if (poll(&more, 1, 1) == 0) {
            answer_with_arguments(peer, kept);
            kept = NULL;
        }
    }
    free(kept);
}

static void *call(void *data)
{
    int thread = *(int *)data;
    for (int i = 0; i < rounds(CALLS); i++) {
        char arguments[64], expected[64], *reply = NULL;
        qmp_error *error = NULL;
        snprintf(arguments, sizeof arguments, "{ \"thread\": %d, \"call\": %d }", thread, i);
        snprintf(expected, sizeof expected, "{\"thread\":%d,\"call\":%d}", thread, i);
        CHECK_STATUS(qmp_execute_json(client, "echo", arguments, PATIENCE_MS, NULL, &reply, &error), QMP_OK);
        CHECK_STR(reply, expected);
        qmp_string_free(reply);
        qmp_error_free(error);
        atomic_fetch_add(&answered, 1);
    }
    return NULL;
}

static void *read_events(void *data)
{
    atomic_bool *done = data;
    uint64_t last = 0;
    while (!atomic_load(done)) {
        qmp_event *event = NULL;
        if (qmp_poll_event(client, 10, NULL, &event, NULL) != QMP_OK)
            continue;
        CHECK_INT(event->sequence, last + event->lost + 1);
        last = event->sequence;
        qmp_event_free(event);
    }
    return NULL;
}

static void f46_f100_every_thread_gets_its_own_answer(void)
{
    server *server = server_start(answer_out_of_order);
    pthread_t threads[THREADS], reader;
    int names[THREADS];
    atomic_bool done = false;
    client = connect_to(server_address(server));
    REQUIRE(client);
    pthread_create(&reader, NULL, read_events, &done);
    for (int i = 0; i < THREADS; i++) {
        names[i] = i;
        pthread_create(&threads[i], NULL, call, &names[i]);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    atomic_store(&done, true);
    pthread_join(reader, NULL);
    CHECK_INT(atomic_load(&answered), THREADS * rounds(CALLS));
    qmp_close(client);
    server_stop(server);
}

int main(void)
{
    RUN(f46_f100_every_thread_gets_its_own_answer);
    return check_end();
}
