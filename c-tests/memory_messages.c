/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Messages over the limit, and such as do not end, cost no more memory than the limit and 1 MiB. */
#include "support/client.h"
#include "support/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LARGE = 100 * 1000 * 1000, GREETING_LIMIT = 1 << 20, DEFAULT_LIMIT = 64 << 20 };

static void say_many(peer *peer, char byte, size_t count)
{
    char piece[65536];
    memset(piece, byte, sizeof piece);
    for (; count > sizeof piece; count -= sizeof piece)
        peer_say_bytes(peer, piece, sizeof piece);
    peer_say_bytes(peer, piece, count);
}

/* To the client's end. */
static void say_for_ever(peer *peer, const char *start, char byte)
{
    char piece[65536];
    memset(piece, byte, sizeof piece);
    peer_say(peer, start);
    while (peer_say_bytes(peer, piece, sizeof piece)) {
    }
}

static void serve_large(peer *peer)
{
    char *command, id[32];
    if (!peer_greet(peer))
        return;
    while ((command = peer_hear(peer))) {
        if (is_command(command, "stop")) {
            peer_answer(peer, command, "{}");
        } else if (command_id(command, id, sizeof id)) {
            peer_say(peer, "{\"return\": \"");
            say_many(peer, 'x', (size_t)rounds(LARGE));
            peer_say(peer, "\", \"id\": ");
            peer_say(peer, id);
            peer_say(peer, "}\r\n");
        }
        free(command);
    }
}

static void serve_an_endless_line(peer *peer)
{
    if (peer_greet(peer)) {
        free(peer_hear(peer));
        say_for_ever(peer, "{\"return\": \"", 'x');
    }
}

static void serve_endless_blanks(peer *peer)
{
    if (peer_greet(peer)) {
        free(peer_hear(peer));
        say_for_ever(peer, "", ' ');
    }
}

static void greet_for_ever(peer *peer)
{
    say_for_ever(peer, "{\"QMP\": {\"version\": \"", 'x');
}

static void greet_with_blanks(peer *peer)
{
    say_for_ever(peer, "", '\n');
}

static qmp_client *connect_with_limit(const remote *remote, uint64_t limit)
{
    qmp_client *client = NULL;
    qmp_options *options = qmp_options_new();
    if (limit != DEFAULT_LIMIT)
        CHECK_STATUS(qmp_options_set_max_message_bytes(options, limit), QMP_OK);
    CHECK_STATUS(qmp_connect(remote_address(remote), options, PATIENCE_MS, NULL, &client, NULL), QMP_OK);
    qmp_options_free(options);
    return client;
}

#define MEASURE()                                                                                  \
    do {                                                                                           \
        if (!memory_mark())                                                                        \
            SKIP("the kernel does not count peaks");                                               \
    } while (0)

/* Of the limits, the one that tools can bear. */
static uint64_t large_limit(void)
{
    return memory_is_countable() ? DEFAULT_LIMIT : DEFAULT_LIMIT / 16;
}

static void refuse(uint64_t limit)
{
    remote *large = remote_start(serve_large);
    qmp_client *client = connect_with_limit(large, limit);
    MEASURE();
    CHECK_STATUS(execute(client, "query-large"), QMP_ERR_TOO_LARGE);
    CHECK_STATUS(execute(client, "stop"), QMP_OK); /* what was left has been skipped */
    memory_check((double)limit + MIB, "refusing %d MB at a limit of %d MiB", rounds(LARGE) / 1000000,
                 (int)(limit >> 20));
    qmp_close(client);
    remote_stop(large);
}

static void f62_a_reply_of_100_mb_at_the_default_limit(void)
{
    refuse(large_limit());
}

static void f62_a_reply_of_100_mb_at_a_limit_of_1_mib(void)
{
    refuse(1 << 20);
}

/* The call ends at the limit, the connection when the message is 16 times as long and 1 GiB. */
static void f63_a_line_without_an_end(void)
{
    remote *endless = remote_start(serve_an_endless_line);
    qmp_client *client = connect_with_limit(endless, large_limit());
    qmp_event *event;
    MEASURE();
    CHECK_STATUS(execute(client, "stop"), QMP_ERR_TOO_LARGE);
    if (memory_is_countable())
        CHECK_STATUS(qmp_poll_event(client, PATIENCE_MS, NULL, &event, NULL), QMP_ERR_DISCONNECTED);
    memory_check((double)large_limit() + MIB, "a line without an end at a limit of %d MiB", (int)(large_limit() >> 20));
    qmp_close(client);
    remote_stop(endless);
}

static void f63_blanks_without_an_end(void)
{
    remote *endless = remote_start(serve_endless_blanks);
    qmp_client *client = connect_with_limit(endless, large_limit());
    qmp_event *event;
    MEASURE();
    CHECK_STATUS(execute(client, "stop"), QMP_ERR_TOO_LARGE);
    CHECK_STATUS(qmp_poll_event(client, PATIENCE_MS, NULL, &event, NULL), QMP_ERR_DISCONNECTED);
    memory_check(MIB, "blanks without an end");
    qmp_close(client);
    remote_stop(endless);
}

static void refuse_greeting(server_script *script, const char *what)
{
    remote *endless = remote_start(script);
    qmp_client *client = NULL;
    MEASURE();
    CHECK_STATUS(qmp_connect(remote_address(endless), NULL, PATIENCE_MS, NULL, &client, NULL), QMP_ERR_TOO_LARGE);
    memory_check(GREETING_LIMIT + MIB, "%s at a limit of 1 MiB", what);
    remote_stop(endless);
}

static void f21_f63_a_greeting_without_an_end(void)
{
    refuse_greeting(greet_for_ever, "a greeting without an end");
}

static void f21_f63_blanks_without_an_end_for_a_greeting(void)
{
    refuse_greeting(greet_with_blanks, "blanks without an end for a greeting");
}

int main(void)
{
    RUN_ALONE(f21_f63_a_greeting_without_an_end);
    RUN_ALONE(f21_f63_blanks_without_an_end_for_a_greeting);
    RUN_ALONE(f62_a_reply_of_100_mb_at_a_limit_of_1_mib);
    RUN_ALONE(f62_a_reply_of_100_mb_at_the_default_limit);
    RUN_ALONE(f63_a_line_without_an_end);
    RUN_ALONE(f63_blanks_without_an_end);
    return memory_end();
}
