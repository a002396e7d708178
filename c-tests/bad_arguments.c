/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What is not a command is refused before a byte is sent. */
#include "support/client.h"
#include "support/server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static server *the_server;
static qmp_client *client;
static atomic_int commands;
static atomic_size_t command_bytes;

static atomic_int foreign_ids; /* commands whose own id is not a plain number */

static void count_commands(peer *peer)
{
    char *command;
    if (!peer_greet(peer))
        return;
    while ((command = peer_hear(peer))) {
        atomic_fetch_add(&commands, 1);
        atomic_fetch_add(&command_bytes, strlen(command));
        char id[32] = "";
        if (!command_id(command, id, sizeof id) || strspn(id, "0123456789") != strlen(id) || atoi(id) >= 4711)
            atomic_fetch_add(&foreign_ids, 1);
        peer_answer(peer, command, "{}");
        free(command);
    }
}

static void refused(const char *command, const char *arguments, int line)
{
    qmp_error *error = NULL;
    char *reply = (char *)1;
    qmp_status status = qmp_execute_json(client, command, arguments, 1000, NULL, &reply, &error);
    if (status != QMP_ERR_INVALID_ARGUMENT)
        check_fail(__FILE__, line, "expected QMP_ERR_INVALID_ARGUMENT, actual %s", qmp_status_name(status));
    if (status != QMP_OK)
        check_error(error, QMP_ERR_INVALID_ARGUMENT, "the call", __FILE__, line);
    CHECK(status == QMP_OK || reply == NULL);
    if (status == QMP_OK)
        qmp_string_free(reply);
}

#define REFUSED(command, arguments) refused((command), (arguments), __LINE__)

static void f93_arguments_that_are_no_object(void)
{
    const char *const texts[] = {
        "", " ", "{", "}", "{]", "[]", "[1]", "1", "null", "true", "\"text\"", "nonsense", "{} {}", "{}x", "{},",
        "{}\n{}", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{a:1}", "{'a':1}", "{\"a\":01}", "{\"a\":+1}", "{\"a\":.5}",
        "{\"a\":1.}", "{\"a\":1e}", "{\"a\":inf}", "{\"a\":NaN}", "{\"a\":0x10}", "{\"a\":tru}", "{\"a\":\"b}",
        "{\"a\":\"\\x\"}", "{\"a\":\"\\u12g4\"}", "{\"a\":\"line\nbreak\"}", "{\"a\":\"tab\tstop\"}", "/* */ {}",
        "\xef\xbb\xbf{}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        qmp_error *error = NULL;
        char *reply = (char *)1;
        qmp_status status = qmp_execute_json(client, "stop", texts[i], 1000, NULL, &reply, &error);
        if (status != QMP_ERR_INVALID_ARGUMENT || reply)
            check_fail(__FILE__, __LINE__, "arguments %s: expected QMP_ERR_INVALID_ARGUMENT, actual %s", texts[i],
                       qmp_status_name(status));
        qmp_error_free(error);
    }
}

static void f93_lone_surrogates(void)
{
    REFUSED("stop", "{\"a\":\"\\ud800\"}");
    REFUSED("stop", "{\"a\":\"\\udc00\"}");
    REFUSED("stop", "{\"a\":\"\\ud800x\"}");
    REFUSED("stop", "{\"\\ud800\":1}");
}

static void f93_duplicate_members(void)
{
    REFUSED("stop", "{\"a\":1,\"a\":2}");
}

static void f92_bytes_that_are_no_utf8(void)
{
    REFUSED("st\xffop", NULL);
    REFUSED("\xc0\x80", NULL);
    REFUSED("stop", "{\"a\":\"\xff\"}");
    REFUSED("stop", "{\"a\":\"\xed\xa0\x80\"}");
    REFUSED("stop", "{\"a\":\"\xc3\"}");
    REFUSED("stop", "{\"\xf8\":1}");
}

static void f96_names_that_are_no_command(void)
{
    REFUSED("", NULL);
    REFUSED("st\"op", NULL);
    REFUSED("stop\",\"arguments\":{\"x\":\"", NULL);
    REFUSED("st\\op", NULL);
    REFUSED("stop\n", NULL);
    REFUSED("st\top", NULL);
    REFUSED("\x01stop", NULL);
}

static char *nested(size_t depth, bool closed)
{
    /* {"a":[[[…]]]} counts as depth in all. */
    char *text = malloc(2 * depth + 16);
    size_t at = (size_t)sprintf(text, "{\"a\":");
    memset(text + at, '[', depth - 1);
    at += depth - 1;
    if (closed) {
        memset(text + at, ']', depth - 1);
        at += depth - 1;
        text[at++] = '}';
    }
    text[at] = '\0';
    return text;
}

static void f95_nesting(void)
{
    const size_t depths[] = {1001, 1024, 5000, 1000000};
    for (size_t i = 0; i < sizeof depths / sizeof *depths; i++)
        for (int closed = 0; closed <= 1; closed++) {
            char *text = nested(depths[i], closed);
            REFUSED("stop", text);
            free(text);
        }
}

/* An object of one byte more than 64 MiB. */
static void f95_more_than_64_mib(void)
{
    const size_t limit = 64 * 1024 * 1024;
    char *text = malloc(limit + 2);
    memset(text, 'x', limit + 1);
    memcpy(text, "{\"a\":\"", 6);
    memcpy(text + limit - 1, "\"}", 3);
    REFUSED("stop", text);
    free(text);
}

static void f86_timeouts_below_forever(void)
{
    qmp_error *error = NULL;
    qmp_client *made = NULL;
    qmp_event *event = NULL;
    char *text = NULL;
    bool flag = false;
    int32_t result = 0;
    const int64_t wrong[] = {-3, -5, INT64_MIN};
    for (size_t i = 0; i < 3; i++) {
        int64_t ms = wrong[i];
        CHECK_ERROR(qmp_connect(server_address(the_server), NULL, ms, NULL, &made, &error), QMP_ERR_INVALID_ARGUMENT, error);
        CHECK_ERROR(qmp_execute_json(client, "stop", NULL, ms, NULL, &text, &error), QMP_ERR_INVALID_ARGUMENT, error);
        CHECK_ERROR(qmp_poll_event(client, ms, NULL, &event, &error), QMP_ERR_INVALID_ARGUMENT, error);
        CHECK_ERROR(qmp_query_status(client, ms, NULL, &flag, &text, &error), QMP_ERR_INVALID_ARGUMENT, error);
        CHECK_ERROR(qmp_is_running(client, ms, NULL, &flag, &error), QMP_ERR_INVALID_ARGUMENT, error);
        CHECK_ERROR(qmp_shutdown(client, ms, 1000, true, NULL, &result, &error), QMP_ERR_INVALID_ARGUMENT, error);
        CHECK_ERROR(qmp_shutdown(client, 1000, ms, true, NULL, &result, &error), QMP_ERR_INVALID_ARGUMENT, error);
    }
}

static void ignore(void *user_data, int32_t level, const char *message)
{
    (void)user_data, (void)level, (void)message;
}

static void options_out_of_range(void)
{
    qmp_options *options = qmp_options_new();
    CHECK_STATUS(qmp_options_set_max_message_bytes(options, 0), QMP_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(qmp_options_set_event_capacity(options, 0), QMP_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(qmp_options_set_log(options, 0, ignore, NULL, NULL), QMP_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(qmp_options_set_log(options, 6, ignore, NULL, NULL), QMP_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(qmp_options_set_log(options, QMP_LOG_INFO, NULL, NULL, NULL), QMP_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(qmp_options_set_log(options, -1, ignore, NULL, NULL), QMP_ERR_INVALID_ARGUMENT);
    qmp_options_free(options);
}

static void f92_f93_f95_f96_nothing_was_sent(void)
{
    size_t before = server_heard(the_server);
    CHECK_INT(atomic_load(&commands), 0);
    CHECK_STATUS(execute(client, "stop"), QMP_OK);
    CHECK_INT(atomic_load(&commands), 1);
    CHECK_INT(server_heard(the_server) - before, atomic_load(&command_bytes));
    CHECK_INT(server_clients(the_server), 1);
}

static void f94_f95_depth_1000_and_newlines_are_fine(void)
{
    char *text = nested(1000, true);
    char *reply = NULL;
    qmp_error *error = NULL;
    CHECK_STATUS(qmp_execute_json(client, "stop", text, PATIENCE_MS, NULL, &reply, &error), QMP_OK);
    qmp_error_free(error);
    qmp_string_free(reply);
    free(text);
    size_t before = server_heard(the_server), bytes = atomic_load(&command_bytes);
    CHECK_STATUS(qmp_execute_json(client, "stop", " {\r\n \"a\" : [ 1 ,\n2 ] }\n", PATIENCE_MS, NULL, &reply, NULL), QMP_OK);
    qmp_string_free(reply);
    /* Sent compact: the object without its blanks, and no newline at the end. */
    size_t sent = server_heard(the_server) - before;
    CHECK_INT(sent, atomic_load(&command_bytes) - bytes);
    CHECK(sent <= strlen("{\"execute\":\"stop\",\"arguments\":{\"a\":[1,2]},\"id\":9999}"));
}

/* Arguments may have a member of that name; the command's id is the library's. */
static void f96_an_id_in_the_arguments_is_not_the_commands(void)
{
    char *reply = NULL;
    CHECK_STATUS(qmp_execute_json(client, "stop", "{\"id\": 4711}", PATIENCE_MS, NULL, &reply, NULL), QMP_OK);
    qmp_string_free(reply);
    CHECK_STATUS(qmp_execute_json(client, "stop", "{\"a\": {\"id\": \"mine\"}}", PATIENCE_MS, NULL, &reply, NULL), QMP_OK);
    qmp_string_free(reply);
    CHECK_INT(atomic_load(&foreign_ids), 0);
}

int main(void)
{
    the_server = server_start(count_commands);
    client = connect_to(server_address(the_server));
    if (!client)
        return 1;
    RUN(f93_arguments_that_are_no_object);
    RUN(f93_lone_surrogates);
    RUN(f93_duplicate_members);
    RUN(f92_bytes_that_are_no_utf8);
    RUN(f96_names_that_are_no_command);
    RUN(f95_nesting);
    RUN(f95_more_than_64_mib);
    RUN(f86_timeouts_below_forever);
    RUN(options_out_of_range);
    RUN(f92_f93_f95_f96_nothing_was_sent);
    RUN(f94_f95_depth_1000_and_newlines_are_fine);
    RUN(f96_an_id_in_the_arguments_is_not_the_commands);
    qmp_close(client);
    server_stop(the_server);
    return check_end();
}
