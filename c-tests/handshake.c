/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What may come instead of, before and inside a greeting. */
#include "support/client.h"
#include "support/server.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char *opening; /* what the server says first */

static void say_opening(peer *peer)
{
    peer_say(peer, opening);
    peer_wait_end(peer);
}

static void say_opening_and_end(peer *peer)
{
    peer_say(peer, opening);
}

/* Connects once to a server with this script; the message must name what it met. */
static void fails(server_script *script, const char *says, int64_t timeout_ms, qmp_status expected, const char *named, int line)
{
    opening = says;
    server *server = server_start(script);
    qmp_client *client = (qmp_client *)1;
    qmp_error *error = NULL;
    qmp_status status = qmp_connect(server_address(server), NULL, timeout_ms, NULL, &client, &error);
    if (status != expected || client)
        check_fail(__FILE__, line, "expected %s, actual %s (%s)", qmp_status_name(expected), qmp_status_name(status),
                   error ? error->message : "no error");
    if (named && error)
        check_has(error->message, named, "the message", __FILE__, line);
    if (status)
        check_error(error, expected, "connecting", __FILE__, line);
    else
        qmp_close(client);
    server_stop(server);
}

#define FAILS(script, says, ms, status) fails((script), (says), (ms), (status), NULL, __LINE__)
#define FAILS_NAMING(says, named) fails(say_opening, (says), PATIENCE_MS, QMP_ERR_PROTOCOL, (named), __LINE__)

static void f9_silence_is_busy(void)
{
    FAILS(say_opening, "", 1000, QMP_ERR_BUSY);
}

static void f16_other_protocols(void)
{
    FAILS_NAMING("HTTP/1.1 400 Bad Request\r\nServer: x\r\n\r\n<html>", "HTTP");
    FAILS_NAMING("QEMU 7.2.22 monitor - type 'help' for more information\r\n(qemu) ", "HMP");
    FAILS_NAMING("\x15\x03\x01", "TLS");
    FAILS_NAMING("SSH-2.0-OpenSSH_9.2\r\n", "SSH-2.0");
}

static void f17_json_that_is_no_greeting(void)
{
    FAILS(say_opening, "{\"return\": {}}\r\n{\"hello\": 1}\r\n[1, 2]\r\n", 1500, QMP_ERR_PROTOCOL);
}

static void f26_an_end_too_early(void)
{
    FAILS(say_opening_and_end, "", PATIENCE_MS, QMP_ERR_DISCONNECTED);
    FAILS(say_opening_and_end, "{\"QMP\": {\"version\"", PATIENCE_MS, QMP_ERR_DISCONNECTED);
    FAILS(say_opening_and_end, "{\"QMP\": {\"version\": {}, \"capabilities\": []}}", PATIENCE_MS, QMP_ERR_DISCONNECTED);
}

static void refuse_negotiation(peer *peer)
{
    peer_say(peer, "{\"QMP\": {\"version\": {}, \"capabilities\": []}}\r\n");
    char *command = peer_hear(peer);
    if (command)
        peer_refuse(peer, command, "{\"class\": \"GenericError\", \"desc\": \"not today\"}");
    free(command);
    peer_wait_end(peer);
}

static void f27_negotiation_refused_or_never_answered(void)
{
    FAILS(refuse_negotiation, NULL, PATIENCE_MS, QMP_ERR_COMMAND);
    FAILS(say_opening, "{\"QMP\": {\"version\": {}, \"capabilities\": []}}", 1000, QMP_ERR_TIMEOUT);
}

static void endless_greeting(peer *peer)
{
    static char blanks[65536];
    memset(blanks, 'x', sizeof blanks);
    peer_say(peer, "{\"QMP\": {\"version\": {\"package\": \"");
    for (int i = 0; i < 32; i++)
        peer_say_bytes(peer, blanks, sizeof blanks);
    peer_wait_end(peer);
}

static void f21_a_greeting_over_the_limit(void)
{
    server *server = server_start(endless_greeting);
    qmp_options *options = qmp_options_new();
    qmp_client *client = NULL;
    qmp_error *error = NULL;
    CHECK_STATUS(qmp_options_set_max_message_bytes(options, 1024 * 1024), QMP_OK);
    CHECK_ERROR(qmp_connect(server_address(server), options, PATIENCE_MS, NULL, &client, &error), QMP_ERR_TOO_LARGE, error);
    qmp_options_free(options);
    server_stop(server);
}

static void (*say_greeting)(peer *peer, const char *greeting);

static void greet_oddly(peer *peer)
{
    say_greeting(peer, opening);
    char *command;
    for (bool negotiated = false; (command = peer_hear(peer)); negotiated = true) {
        if (!negotiated) {
            CHECK(is_command(command, "qmp_capabilities"));
            /* An event and a stranger's late reply may come first. */
            peer_say(peer, "{\"event\": \"SECOND\"}{\"return\": {}, \"id\": 1}{\"return\": {}}");
        }
        peer_answer(peer, command, "{}");
        free(command);
    }
}

static void say_at_once(peer *peer, const char *greeting)
{
    peer_say(peer, greeting);
}

static void say_byte_by_byte(peer *peer, const char *greeting)
{
    for (; *greeting; greeting++)
        peer_say_bytes(peer, greeting, 1);
}

static void succeeds(const char *greeting, void (*say)(peer *, const char *), int line)
{
    opening = greeting;
    say_greeting = say;
    server *server = server_start(greet_oddly);
    qmp_client *client = NULL;
    qmp_error *error = NULL;
    qmp_event *event = NULL;
    if (qmp_connect(server_address(server), NULL, PATIENCE_MS, NULL, &client, &error) == QMP_OK) {
        CHECK_STATUS(execute(client, "stop"), QMP_OK);
        if (strstr(greeting, "FIRST")) {
            event = next_event(client, "FIRST");
            qmp_event_free(event);
        }
        event = next_event(client, "SECOND");
        qmp_event_free(event);
        qmp_close(client);
    } else {
        check_fail(__FILE__, line, "connecting: %s", error ? error->message : "no error");
        qmp_error_free(error);
    }
    server_stop(server);
}

#define SUCCEEDS(greeting, say) succeeds((greeting), (say), __LINE__)

static void f18_f19_f20_f22_f23_f24_f25_greetings_of_any_shape(void)
{
    const char *const greetings[] = {
        "{\"QMP\": {\"version\": {\"qemu\": {\"micro\": 22, \"minor\": 2, \"major\": 7}}, \"capabilities\": [\"oob\"]}}",
        "{\r\n    \"QMP\": {\r\n        \"version\": {\r\n        },\r\n        \"capabilities\": [\r\n        ]\r\n    }\r\n}\r\n",
        "{\"QMP\":{}}",
        "{\"QMP\": {\"capabilities\": [\"oob\", \"future\", 1, {}]}, \"more\": [1, 2]}\n",
        "{\"event\": \"FIRST\"}{\"QMP\": {\"version\": {}, \"capabilities\": []}}",
        "\r\n\r\n  {\"QMP\": {\"version\": {}, \"capabilities\": []}}{\"QMP\": {\"version\": {}, \"capabilities\": []}}",
    };
    for (size_t i = 0; i < sizeof greetings / sizeof *greetings; i++) {
        SUCCEEDS(greetings[i], say_at_once);
        SUCCEEDS(greetings[i], say_byte_by_byte);
    }
}

static void the_greeting_is_kept_verbatim(void)
{
    const char *greeting = "{\"QMP\": {\"version\": {\"package\":\"\\u00e4 {\", \"qemu\": {\"major\": 18446744073709551615}}}}";
    opening = greeting;
    say_greeting = say_at_once;
    server *server = server_start(greet_oddly);
    qmp_client *client = connect_to(server_address(server));
    char *text = NULL;
    REQUIRE(client);
    CHECK_STATUS(qmp_greeting_json(client, &text, NULL), QMP_OK);
    CHECK_HAS(text, "{\"version\": {\"package\":\"\\u00e4 {\", \"qemu\": {\"major\": 18446744073709551615}}}");
    qmp_string_free(text);
    qmp_close(client);
    server_stop(server);
}

static void over_tcp(void)
{
    server *server = server_start_tcp(serve_plainly);
    char by_name[64];
    snprintf(by_name, sizeof by_name, "tcp:localhost%s", strrchr(server_address(server), ':'));
    const char *const addresses[] = {server_address(server), by_name};
    for (int i = 0; i < 2; i++) {
        qmp_client *client = connect_to(addresses[i]);
        REQUIRE(client);
        CHECK_STATUS(execute(client, "stop"), QMP_OK);
        qmp_close(client);
    }
    server_stop(server);
}

/* "fd:N" takes over a descriptor that is already connected, and closes it. */
static void f112_over_a_given_descriptor(void)
{
    server *server = server_start_tcp(serve_plainly);
    char address[32];
    qmp_client *client = NULL;
    qmp_error *error = NULL;
    int fd = server_connect(server);
    snprintf(address, sizeof address, "fd:%d", fd);
    CHECK_STATUS(qmp_connect(address, NULL, PATIENCE_MS, NULL, &client, &error), QMP_OK);
    qmp_error_free(error);
    CHECK_STATUS(execute(client, "stop"), QMP_OK);
    CHECK_STATUS(qmp_close(client), QMP_OK);
    CHECK_SOON(fcntl(fd, F_GETFD) < 0);
    CHECK_SOON(server_open(server) == 0);
    server_stop(server);
}

int main(void)
{
    RUN(f9_silence_is_busy);
    RUN(f16_other_protocols);
    RUN(f17_json_that_is_no_greeting);
    RUN(f26_an_end_too_early);
    RUN(f27_negotiation_refused_or_never_answered);
    RUN(f21_a_greeting_over_the_limit);
    RUN(f18_f19_f20_f22_f23_f24_f25_greetings_of_any_shape);
    RUN(the_greeting_is_kept_verbatim);
    RUN(over_tcp);
    RUN(f112_over_a_given_descriptor);
    return check_end();
}
