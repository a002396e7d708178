/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The event descriptor is readable exactly while an event, or the end, is waiting. */
#include "support/client.h"
#include "support/server.h"

#include <poll.h>
#include <stdlib.h>

static atomic_int ticks_wanted;
static atomic_bool end_wanted;

/* Says events unasked, as a machine does. */
static void tick(peer *peer)
{
    if (!peer_greet(peer))
        return;
    while (!atomic_load(&end_wanted)) {
        while (atomic_load(&ticks_wanted) > 0) {
            atomic_fetch_sub(&ticks_wanted, 1);
            peer_say(peer, "{\"event\": \"TICK\"}\r\n");
        }
        nap();
    }
}

static void answer_with_events(peer *peer)
{
    char *command;
    if (!peer_greet(peer))
        return;
    while ((command = peer_hear(peer))) {
        peer_say(peer, "{\"event\": \"ONE\"}{\"event\": \"TWO\"}");
        peer_answer(peer, command, "{}");
        free(command);
    }
}

static bool readable(int fd, int wait_ms)
{
    struct pollfd poller = {.fd = fd, .events = POLLIN};
    return poll(&poller, 1, wait_ms) == 1 && (poller.revents & POLLIN);
}

static void it_wakes_for_events_and_for_the_end(void)
{
    server *server = server_start(tick);
    qmp_client *client = connect_to(server_address(server));
    qmp_event *event = NULL;
    qmp_error *error = NULL;
    int32_t fd = -1, again = -1;
    REQUIRE(client);
    CHECK_STATUS(qmp_event_fd(client, &fd, NULL), QMP_OK);
    CHECK_STATUS(qmp_event_fd(client, &again, NULL), QMP_OK);
    CHECK_INT(again, fd);
    CHECK(!readable(fd, 0));
    for (int round = 0; round < 20; round++) {
        atomic_store(&ticks_wanted, 3);
        for (int i = 0; i < 3; i++) {
            CHECK(readable(fd, PATIENCE_MS));
            CHECK_STATUS(qmp_poll_event(client, 0, NULL, &event, NULL), QMP_OK);
            qmp_event_free(event);
        }
        CHECK(!readable(fd, 0));
        CHECK_ERROR(qmp_poll_event(client, 0, NULL, &event, &error), QMP_ERR_TIMEOUT, error);
    }
    atomic_store(&end_wanted, true);
    CHECK(readable(fd, PATIENCE_MS));
    for (int i = 0; i < 3; i++) {
        CHECK_ERROR(qmp_poll_event(client, 0, NULL, &event, &error), QMP_ERR_DISCONNECTED, error);
        CHECK(readable(fd, 0));
    }
    qmp_close(client);
    server_stop(server);
}

static void it_stays_readable_until_the_queue_is_empty(void)
{
    server *server = server_start(answer_with_events);
    qmp_client *client = connect_to(server_address(server));
    qmp_event *event = NULL;
    int32_t fd = -1;
    REQUIRE(client);
    /* Asked for after the events came: they count too. */
    CHECK_STATUS(execute(client, "stop"), QMP_OK);
    CHECK_STATUS(qmp_event_fd(client, &fd, NULL), QMP_OK);
    for (int left = 2; left > 0; left--) {
        CHECK(readable(fd, 0));
        CHECK(readable(fd, 0)); /* asking does not clear it */
        CHECK_STATUS(qmp_poll_event(client, 0, NULL, &event, NULL), QMP_OK);
        qmp_event_free(event);
    }
    CHECK(!readable(fd, 0));
    CHECK_STATUS(execute(client, "stop"), QMP_OK);
    CHECK(readable(fd, 0)); /* at the latest when the call that caused them returns */
    qmp_close(client);
    server_stop(server);
}

int main(void)
{
    RUN(it_wakes_for_events_and_for_the_end);
    RUN(it_stays_readable_until_the_queue_is_empty);
    return check_end();
}
