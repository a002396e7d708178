/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What 0, a limit, FOREVER and the largest number of milliseconds mean. */
#include "support/client.h"
#include "support/server.h"

#include <stdlib.h>

static atomic_int heard;
static atomic_bool answer_late;

static void serve_slowly(peer *peer)
{
    char *command;
    if (!peer_greet(peer))
        return;
    while ((command = peer_hear(peer))) {
        atomic_fetch_add(&heard, 1);
        if (is_command(command, "late")) {
            if (!wait_for(&answer_late))
                return;
        }
        if (is_command(command, "say-events"))
            peer_say(peer, "{\"event\": \"ONE\"}{\"event\": \"TWO\"}\r\n{\"event\": \"THREE\"}");
        peer_answer(peer, command, is_command(command, "late") ? "\"late\"" : "{}");
        free(command);
    }
}

static void f86_zero_sends_nothing(void)
{
    server *server = server_start(serve_slowly);
    qmp_client *client = connect_to(server_address(server));
    qmp_error *error = NULL;
    char *text = (char *)1;
    bool flag = true;
    size_t before = server_heard(server);
    atomic_store(&heard, 0);
    qmp_status status = qmp_execute_json(client, "stop", NULL, 0, NULL, &text, &error);
    CHECK(error && !error->outcome_unknown);
    CHECK_ERROR(status, QMP_ERR_TIMEOUT, error);
    CHECK_ERROR(qmp_query_status(client, 0, NULL, &flag, &text, &error), QMP_ERR_TIMEOUT, error);
    CHECK_ERROR(qmp_is_running(client, 0, NULL, &flag, &error), QMP_ERR_TIMEOUT, error);
    CHECK(!text && !flag);
    CHECK_STATUS(execute(client, "stop"), QMP_OK);
    CHECK_INT(atomic_load(&heard), 1);
    CHECK(server_heard(server) - before < 40); /* one command's bytes */
    qmp_close(client);
    server_stop(server);
}

static void f86_zero_reads_the_events_that_are_there(void)
{
    server *server = server_start(serve_slowly);
    qmp_client *client = connect_to(server_address(server));
    const char *const names[] = {"ONE", "TWO", "THREE"};
    qmp_event *event = NULL;
    qmp_error *error = NULL;
    CHECK_ERROR(qmp_poll_event(client, 0, NULL, &event, &error), QMP_ERR_TIMEOUT, error);
    CHECK(event == NULL);
    CHECK_STATUS(execute(client, "say-events"), QMP_OK);
    for (int i = 0; i < 3; i++) {
        REQUIRE(CHECK_STATUS(qmp_poll_event(client, 0, NULL, &event, NULL), QMP_OK));
        CHECK_STR(event->name, names[i]);
        qmp_event_free(event);
    }
    CHECK_ERROR(qmp_poll_event(client, 0, NULL, &event, &error), QMP_ERR_TIMEOUT, error);
    qmp_close(client);
    server_stop(server);
}

static void f47_f86_a_limit_is_kept_and_the_late_reply_dropped(void)
{
    server *server = server_start(serve_slowly);
    qmp_client *client = connect_to(server_address(server));
    qmp_error *error = NULL;
    qmp_event *event = NULL;
    char *text = (char *)1;
    atomic_store(&answer_late, false);

    int64_t start = now_ms();
    qmp_status status = qmp_execute_json(client, "late", NULL, 1000, NULL, &text, &error);
    CHECK(now_ms() - start >= 1000);
    CHECK(error && error->outcome_unknown);
    CHECK_STR(error ? error->command : NULL, "late");
    CHECK_ERROR(status, QMP_ERR_TIMEOUT, error);
    CHECK(text == NULL);

    start = now_ms();
    CHECK_ERROR(qmp_poll_event(client, 1000, NULL, &event, &error), QMP_ERR_TIMEOUT, error);
    CHECK(now_ms() - start >= 1000);

    atomic_store(&answer_late, true);
    CHECK_STATUS(qmp_execute_json(client, "next", NULL, PATIENCE_MS, NULL, &text, NULL), QMP_OK);
    CHECK_STR(text, "{}");
    qmp_string_free(text);
    qmp_close(client);
    server_stop(server);
}

static void f86_the_largest_limits_are_fine(void)
{
    server *server = server_start(serve_slowly);
    const int64_t limits[] = {QMP_FOREVER, INT64_MAX, INT64_MAX - 1, INT64_MAX / 1000, INT32_MAX};
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        qmp_client *client = NULL;
        qmp_event *event = NULL;
        char *text = NULL;
        CHECK_STATUS(qmp_connect(server_address(server), NULL, limits[i], NULL, &client, NULL), QMP_OK);
        CHECK_STATUS(qmp_execute_json(client, "say-events", NULL, limits[i], NULL, &text, NULL), QMP_OK);
        qmp_string_free(text);
        CHECK_STATUS(qmp_poll_event(client, limits[i], NULL, &event, NULL), QMP_OK);
        qmp_event_free(event);
        qmp_close(client);
    }
    server_stop(server);
}

int main(void)
{
    RUN(f86_zero_sends_nothing);
    RUN(f86_zero_reads_the_events_that_are_there);
    RUN(f47_f86_a_limit_is_kept_and_the_late_reply_dropped);
    RUN(f86_the_largest_limits_are_fine);
    return check_end();
}
