/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Events come in the order of the wire, verbatim, numbered, and what is lost is counted. */
#include "support/client.h"
#include "support/server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void say_events(peer *peer)
{
    char *command, event[64];
    if (!peer_greet(peer))
        return;
    while ((command = peer_hear(peer))) {
        if (is_command(command, "odd")) {
            peer_say(peer, "{\"timestamp\": {\"seconds\": -1, \"microseconds\": -1}, \"event\": \"A\", \"data\": {\"n\": 1e3}}\r\n");
            peer_say(peer, "{\"event\": \"B\", \"more\": [\"\\u0000\"]}");
            peer_say(peer, "{\"id\": 1, \"event\": \"C\", \"timestamp\": {\"seconds\": 1700000000, \"microseconds\": 999999}}");
        } else if (is_command(command, "hundred")) {
            for (int i = 0; i < 100; i++) {
                snprintf(event, sizeof event, "{\"event\": \"TICK\", \"data\": {\"n\": %d}}\r\n", i);
                peer_say(peer, event);
            }
        } else if (is_command(command, "end")) {
            peer_say(peer, "{\"event\": \"SHUTDOWN\"}{\"event\": \"LAST\"}");
            free(command);
            return;
        }
        peer_answer(peer, command, "{}");
        free(command);
    }
}

static qmp_client *connect_with_capacity(server *server, uint64_t capacity)
{
    qmp_client *client = NULL;
    qmp_options *options = qmp_options_new();
    CHECK_STATUS(qmp_options_set_event_capacity(options, capacity), QMP_OK);
    CHECK_STATUS(qmp_connect(server_address(server), options, PATIENCE_MS, NULL, &client, NULL), QMP_OK);
    qmp_options_free(options);
    return client;
}

static void f72_f73_fields_are_verbatim(void)
{
    server *server = server_start(say_events);
    qmp_client *client = connect_to(server_address(server));
    REQUIRE(client);
    CHECK_STATUS(execute(client, "odd"), QMP_OK);
    qmp_event *event = next_event(client, "A");
    REQUIRE(event);
    CHECK_INT(event->kind, QMP_EVENT_VM);
    CHECK_STR(event->data, "{\"n\": 1e3}");
    CHECK_STR(event->json, "{\"timestamp\": {\"seconds\": -1, \"microseconds\": -1}, \"event\": \"A\", \"data\": {\"n\": 1e3}}");
    CHECK_INT(event->seconds, -1);
    CHECK_INT(event->microseconds, -1);
    CHECK_INT(event->sequence, 1);
    CHECK_INT(event->lost, 0);
    qmp_event_free(event);

    event = next_event(client, "B");
    REQUIRE(event);
    CHECK_STR(event->json, "{\"event\": \"B\", \"more\": [\"\\u0000\"]}");
    CHECK(!event->data || strcmp(event->data, "{}") == 0);
    CHECK_INT(event->sequence, 2);
    qmp_event_free(event);

    event = next_event(client, "C"); /* an id makes it no reply */
    REQUIRE(event);
    CHECK_INT(event->seconds, 1700000000);
    CHECK_INT(event->microseconds, 999999);
    CHECK_INT(event->sequence, 3);
    qmp_event_free(event);
    qmp_close(client);
    server_stop(server);
}

static void f70_the_order_of_the_wire(void)
{
    server *server = server_start(say_events);
    qmp_client *client = connect_to(server_address(server));
    char data[32];
    REQUIRE(client);
    CHECK_STATUS(execute(client, "hundred"), QMP_OK);
    for (int i = 0; i < 100; i++) {
        qmp_event *event = NULL;
        REQUIRE(CHECK_STATUS(qmp_poll_event(client, 0, NULL, &event, NULL), QMP_OK));
        snprintf(data, sizeof data, "{\"n\": %d}", i);
        CHECK_STR(event->data, data);
        CHECK_INT(event->sequence, i + 1);
        qmp_event_free(event);
    }
    qmp_close(client);
    server_stop(server);
}

static void f71_what_does_not_fit_is_lost_and_counted(void)
{
    server *server = server_start(say_events);
    qmp_client *client = connect_with_capacity(server, 10);
    uint64_t delivered = 0, lost = 0, last = 0;
    qmp_event *event = NULL;
    REQUIRE(client);
    CHECK_STATUS(execute(client, "hundred"), QMP_OK);
    while (qmp_poll_event(client, 0, NULL, &event, NULL) == QMP_OK) {
        delivered++;
        lost += event->lost;
        CHECK_INT(event->sequence, last + event->lost + 1);
        last = event->sequence;
        qmp_event_free(event);
    }
    CHECK_INT(delivered, 10);
    /* What was lost after the last one delivered is told by the next one. */
    CHECK_STATUS(execute(client, "odd"), QMP_OK);
    event = next_event(client, "A");
    REQUIRE(event);
    CHECK_INT(event->sequence, 101);
    CHECK_INT(lost + event->lost, 90);
    qmp_event_free(event);
    qmp_close(client);
    server_stop(server);
}

static void f71_important_events_are_kept_longest(void)
{
    server *server = server_start(say_events);
    qmp_client *client = connect_with_capacity(server, 4);
    char *reply = NULL;
    qmp_event *event = NULL;
    qmp_error *error = NULL;
    REQUIRE(client);
    CHECK_STATUS(execute(client, "hundred"), QMP_OK);
    CHECK_STATUS(qmp_execute_json(client, "end", NULL, PATIENCE_MS, NULL, &reply, NULL), QMP_ERR_DISCONNECTED);
    event = next_event(client, "SHUTDOWN");
    CHECK(event != NULL);
    qmp_event_free(event);
    while (qmp_poll_event(client, 0, NULL, &event, NULL) == QMP_OK)
        qmp_event_free(event);
    CHECK_ERROR(qmp_poll_event(client, QMP_FOREVER, NULL, &event, &error), QMP_ERR_DISCONNECTED, error);
    qmp_close(client);
    server_stop(server);
}

static void the_queue_survives_the_end(void)
{
    server *server = server_start(say_events);
    qmp_client *client = connect_to(server_address(server));
    char *reply = NULL;
    qmp_event *event = NULL;
    qmp_error *error = NULL;
    REQUIRE(client);
    CHECK_STATUS(qmp_execute_json(client, "end", NULL, PATIENCE_MS, NULL, &reply, NULL), QMP_ERR_DISCONNECTED);
    CHECK_STATUS(qmp_poll_event(client, 0, NULL, &event, NULL), QMP_OK);
    CHECK_STR(event->name, "SHUTDOWN");
    qmp_event_free(event);
    CHECK_STATUS(qmp_poll_event(client, 0, NULL, &event, NULL), QMP_OK);
    CHECK_STR(event->name, "LAST");
    qmp_event_free(event);
    for (int i = 0; i < 3; i++)
        CHECK_ERROR(qmp_poll_event(client, QMP_FOREVER, NULL, &event, &error), QMP_ERR_DISCONNECTED, error);
    qmp_close(client);
    server_stop(server);
}

int main(void)
{
    RUN(f72_f73_fields_are_verbatim);
    RUN(f70_the_order_of_the_wire);
    RUN(f71_what_does_not_fit_is_lost_and_counted);
    RUN(f71_important_events_are_kept_longest);
    RUN(the_queue_survives_the_end);
    return check_end();
}
