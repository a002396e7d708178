/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Replies that are odd, foreign, late, huge or broken reach nobody who did not ask for them. */
#include "support/client.h"
#include "support/server.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

enum { LIMIT = 64 * 1024 };

static atomic_bool resetting;

static void say_big(peer *peer, const char *command, size_t bytes)
{
    char id[32], *text = malloc(bytes + 64);
    command_id(command, id, sizeof id);
    size_t length = (size_t)sprintf(text, "{\"return\": \"");
    memset(text + length, 'x', bytes);
    length += bytes;
    length += (size_t)sprintf(text + length, "\", \"id\": %s}\r\n", id);
    peer_say_bytes(peer, text, length);
    free(text);
}

static void say_deep(peer *peer, const char *command, size_t depth)
{
    char id[32], *text = malloc(2 * depth + 64);
    command_id(command, id, sizeof id);
    size_t length = (size_t)sprintf(text, "{\"return\": ");
    memset(text + length, '[', depth);
    memset(text + length + depth, ']', depth);
    length += 2 * depth;
    length += (size_t)sprintf(text + length, ", \"id\": %s}", id);
    peer_say_bytes(peer, text, length);
    free(text);
}

static void answer_oddly(peer *peer)
{
    char *command, id[32], text[512];
    if (!peer_greet(peer))
        return;
    for (; (command = peer_hear(peer)); free(command)) {
        if (is_command(command, "strangers")) {
            peer_say(peer, "{\"return\": 1, \"id\": 987654}{\"return\": 2, \"id\": \"text\"}{\"return\": 3, \"id\": null}"
                           "{\"return\": 4}{\"return\": 5, \"id\": {\"a\": 1}}{\"return\": 6, \"id\": -1}");
            peer_answer(peer, command, "\"mine\"");
            peer_answer(peer, command, "\"again\"");
        } else if (is_command(command, "types")) {
            CHECK(command_id(command, id, sizeof id));
            snprintf(text, sizeof text, "{\"return\": 1, \"id\": \"%s\"}{\"return\": 2, \"id\": %s.5}{\"return\": 3, \"id\": [%s]}", id, id, id);
            peer_say(peer, text);
            peer_answer(peer, command, "\"mine\"");
        } else if (is_command(command, "anonymous")) {
            peer_say(peer, "{\"error\": {\"class\": \"GenericError\", \"desc\": \"JSON parse error\"}}\r\n");
        } else if (is_command(command, "both")) {
            CHECK(command_id(command, id, sizeof id));
            snprintf(text, sizeof text, "{\"return\": {}, \"error\": {\"class\": \"X\", \"desc\": \"y\"}, \"id\": %s}", id);
            peer_say(peer, text);
        } else if (is_command(command, "neither")) {
            CHECK(command_id(command, id, sizeof id));
            snprintf(text, sizeof text, "{\"id\": %s}", id);
            peer_say(peer, text);
        } else if (is_command(command, "infinite")) {
            peer_answer(peer, command, "{\"a\": inf}");
        } else if (is_command(command, "invalid-utf8")) {
            peer_answer(peer, command, "\"\xff\"");
        } else if (is_command(command, "no-objects")) {
            peer_say(peer, "[1, {\"return\": 1}] \"text\" 12 null\r\n\r\n true {\"event\": 5}{}");
            peer_answer(peer, command, "\"mine\"");
        } else if (is_command(command, "big")) {
            say_big(peer, command, 4 * LIMIT);
        } else if (is_command(command, "deep")) {
            say_deep(peer, command, 1000000);
        } else if (is_command(command, "fits")) {
            say_big(peer, command, LIMIT / 2);
        } else if (is_command(command, "garbage")) {
            peer_say(peer, "what is this?\r\n");
        } else if (is_command(command, "half")) {
            peer_say(peer, "{\"event\": \"BEFORE\"}{\"return\": {\"a\"");
            peer_half_close(peer);
        } else if (is_command(command, "reset")) {
            /* Closing a unix socket with a byte unread resets it. */
            int unread = 0;
            atomic_store(&resetting, true);
            while (unread == 0 && ioctl(peer_fd(peer), FIONREAD, &unread) == 0)
                nap();
            peer_answer(peer, command, "\"the last word\"");
            free(command);
            return;
        } else if (is_command(command, "echo")) {
            char *value = strstr(command, "\"value\":");
            CHECK(value && strlen(value) > 8);
            peer_answer(peer, command, "{\"digits\": 1234567890123456789012345678901234567890, \"e\": 1e400, \"nul\": \"a\\u0000b\", \"lone\": \"\\ud800\"}");
        } else {
            peer_answer(peer, command, "\"mine\"");
        }
    }
}

static server *the_server;

static void gives(qmp_client *client, const char *command, const char *expected, int line)
{
    char *reply = NULL;
    qmp_error *error = NULL;
    qmp_status status = qmp_execute_json(client, command, NULL, PATIENCE_MS, NULL, &reply, &error);
    if (status != QMP_OK)
        check_fail(__FILE__, line, "%s: %s", command, error ? error->message : qmp_status_name(status));
    else
        check_str(reply, expected, command, __FILE__, line);
    qmp_error_free(error);
    qmp_string_free(reply);
}

static void fails(qmp_client *client, const char *command, qmp_status expected, int line)
{
    char *reply = (char *)1;
    qmp_error *error = NULL;
    check_status(qmp_execute_json(client, command, NULL, PATIENCE_MS, NULL, &reply, &error), expected, command, __FILE__, line);
    check_error(error, expected, command, __FILE__, line);
    if (reply)
        check_fail(__FILE__, line, "%s: a reply was given", command);
}

#define GIVES(command, expected) gives(client, (command), (expected), __LINE__)
#define FAILS(command, status) fails(client, (command), (status), __LINE__)

static void f41_f42_f43_f45_f53_f56_foreign_replies_are_dropped(void)
{
    qmp_client *client = connect_to(server_address(the_server));
    REQUIRE(client);
    GIVES("strangers", "\"mine\"");
    GIVES("plain", "\"mine\"");
    GIVES("types", "\"mine\"");
    GIVES("no-objects", "\"mine\"");
    GIVES("plain", "\"mine\"");
    qmp_close(client);
}

static void f44_f49_f52_f65_broken_replies_fail_their_own_call(void)
{
    qmp_client *client = connect_to(server_address(the_server));
    REQUIRE(client);
    FAILS("anonymous", QMP_ERR_COMMAND);
    GIVES("plain", "\"mine\"");
    FAILS("both", QMP_ERR_PROTOCOL);
    FAILS("neither", QMP_ERR_PROTOCOL);
    GIVES("plain", "\"mine\"");
    FAILS("infinite", QMP_ERR_PROTOCOL);
    GIVES("plain", "\"mine\"");
    FAILS("invalid-utf8", QMP_ERR_PROTOCOL);
    GIVES("plain", "\"mine\"");
    qmp_close(client);
}

static void f51_f66_f67_numbers_and_escapes_are_verbatim(void)
{
    qmp_client *client = connect_to(server_address(the_server));
    char *reply = NULL;
    REQUIRE(client);
    CHECK_STATUS(qmp_execute_json(client, "echo", "{\"value\":18446744073709551616}", PATIENCE_MS, NULL, &reply, NULL), QMP_OK);
    CHECK_STR(reply, "{\"digits\": 1234567890123456789012345678901234567890, \"e\": 1e400, \"nul\": \"a\\u0000b\", \"lone\": \"\\ud800\"}");
    qmp_string_free(reply);
    qmp_close(client);
}

static void f62_a_reply_over_the_limit(void)
{
    qmp_client *client = NULL;
    qmp_options *options = qmp_options_new();
    char *reply = NULL;
    CHECK_STATUS(qmp_options_set_max_message_bytes(options, LIMIT), QMP_OK);
    CHECK_STATUS(qmp_connect(server_address(the_server), options, PATIENCE_MS, NULL, &client, NULL), QMP_OK);
    qmp_options_free(options);
    REQUIRE(client);
    for (int i = 0; i < 3; i++) {
        FAILS("big", QMP_ERR_TOO_LARGE);
        GIVES("plain", "\"mine\"");
        CHECK_STATUS(qmp_execute_json(client, "fits", NULL, PATIENCE_MS, NULL, &reply, NULL), QMP_OK);
        CHECK_INT(reply ? strlen(reply) : 0, LIMIT / 2 + 2);
        qmp_string_free(reply);
        reply = NULL;
    }
    qmp_close(client);
}

static void *ask_for_depth(void *client)
{
    FAILS("deep", QMP_ERR_TOO_LARGE);
    GIVES("plain", "\"mine\"");
    return NULL;
}

/* However deep a message is, it takes no stack. */
static void f60_a_million_levels_on_a_small_stack(void)
{
    qmp_client *client = connect_to(server_address(the_server));
    pthread_attr_t small;
    pthread_t thread;
    REQUIRE(client);
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 64 * 1024);
    CHECK_INT(pthread_create(&thread, &small, ask_for_depth, client), 0);
    pthread_join(thread, NULL);
    pthread_attr_destroy(&small);
    qmp_close(client);
}

static void f57_garbage_ends_the_connection(void)
{
    qmp_client *client = connect_to(server_address(the_server));
    REQUIRE(client);
    FAILS("garbage", QMP_ERR_PROTOCOL);
    FAILS("plain", QMP_ERR_DISCONNECTED);
    qmp_close(client);
}

static void f28_f32_an_end_inside_a_message(void)
{
    qmp_client *client = connect_to(server_address(the_server));
    qmp_event *event;
    REQUIRE(client);
    FAILS("half", QMP_ERR_DISCONNECTED);
    event = next_event(client, "BEFORE");
    CHECK(event != NULL);
    qmp_event_free(event);
    FAILS("plain", QMP_ERR_DISCONNECTED);
    qmp_close(client);
}

static void *call_unread(void *client)
{
    CHECK(wait_for(&resetting));
    FAILS("plain", QMP_ERR_DISCONNECTED);
    return NULL;
}

static void f30_f31_the_last_word_before_a_reset(void)
{
    qmp_client *client = connect_to(server_address(the_server));
    pthread_t other;
    REQUIRE(client);
    pthread_create(&other, NULL, call_unread, client);
    GIVES("reset", "\"the last word\"");
    pthread_join(other, NULL);
    FAILS("plain", QMP_ERR_DISCONNECTED);
    qmp_close(client);
}

int main(void)
{
    the_server = server_start(answer_oddly);
    RUN(f41_f42_f43_f45_f53_f56_foreign_replies_are_dropped);
    RUN(f44_f49_f52_f65_broken_replies_fail_their_own_call);
    RUN(f51_f66_f67_numbers_and_escapes_are_verbatim);
    RUN(f62_a_reply_over_the_limit);
    RUN(f60_a_million_levels_on_a_small_stack);
    RUN(f57_garbage_ends_the_connection);
    RUN(f28_f32_an_end_inside_a_message);
    RUN(f30_f31_the_last_word_before_a_reset);
    server_stop(the_server);
    return check_end();
}
