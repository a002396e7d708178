/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Where memory is limited, what is large costs the call that sends or asks for it, never the process. */
#include "support/child.h"
#include "support/client.h"
#include "support/server.h"

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { MIB = 1024 * 1024, LARGEST = 48 * MIB, ROOM = 24 * MIB };

static server *the_server;
static char *text; /* LARGEST bytes, made before the limit */

/* Says as much as the command asks for: within the limit for messages, but not within the process's memory. */
static void serve_largely(peer *peer)
{
    char *command, id[32], end[64];
    if (!peer_greet(peer))
        return;
    for (; (command = peer_hear(peer)); free(command)) {
        const char *wanted = strstr(command, "\"bytes\":");
        size_t bytes = wanted ? strtoul(wanted + strlen("\"bytes\":"), NULL, 10) : 0;
        if (is_command(command, "reply")) {
            CHECK(command_id(command, id, sizeof id));
            snprintf(end, sizeof end, "\", \"id\": %s}", id);
            peer_say(peer, "{\"return\": \"");
            peer_say_bytes(peer, text, bytes);
            peer_say(peer, end);
            continue;
        }
        if (bytes > 0) {
            peer_say(peer, "{\"event\": \"LARGE\", \"data\": {\"text\": \"");
            peer_say_bytes(peer, text, bytes);
            peer_say(peer, "\"}}");
        }
        peer_answer(peer, command, "{}");
    }
}

static void limit_memory(rlim_t bytes)
{
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    CHECK(file && fscanf(file, "%ld", &pages) == 1);
    if (file)
        fclose(file);
    struct rlimit limit;
    getrlimit(RLIMIT_AS, &limit);
    limit.rlim_cur = bytes == RLIM_INFINITY ? limit.rlim_max : (rlim_t)(pages * sysconf(_SC_PAGESIZE)) + bytes;
    CHECK_INT(setrlimit(RLIMIT_AS, &limit), 0);
}

static qmp_status ask(qmp_client *client, const char *command, size_t bytes)
{
    char arguments[64], *reply = NULL;
    qmp_error *error = NULL;
    snprintf(arguments, sizeof arguments, "{\"bytes\": %zu}", bytes);
    qmp_status status = qmp_execute_json(client, command, arguments, PATIENCE_MS, NULL, &reply, &error);
    if (status == QMP_OK)
        CHECK(reply && (strcmp(reply, "{}") == 0 || strlen(reply) == bytes + 2));
    else
        CHECK(reply == NULL && error != NULL);
    qmp_string_free(reply);
    qmp_error_free(error);
    return status;
}

/*
 * A reply fails for want of memory. The next call works if what failed was its copy; if it was the
 * memory to receive at all, the connection has ended and another can be made.
 */
static bool fits(qmp_client **client, const char *command, size_t bytes)
{
    qmp_status status = ask(*client, command, bytes), after = execute(*client, "stop");
    CHECK(status == QMP_OK || status == QMP_ERR_RESOURCE || status == QMP_ERR_TOO_LARGE);
    CHECK(after == QMP_OK || (status != QMP_OK && after == QMP_ERR_DISCONNECTED));
    if (after != QMP_OK) {
        CHECK_STATUS(qmp_close(*client), QMP_OK);
        *client = connect_to(server_address(the_server));
    }
    return status == QMP_OK;
}

static void in_a_small_process(void)
{
    qmp_client *client = connect_to(server_address(the_server));
    REQUIRE(client);
    limit_memory(ROOM);
    for (int i = 0; i < 3; i++) {
        CHECK(fits(&client, "reply", 1 * MIB));
        CHECK(fits(&client, "event", 1 * MIB));
        for (size_t bytes = 2 * MIB; bytes < LARGEST; bytes += 2 * MIB) {
            fits(&client, "reply", bytes);
            fits(&client, "event", bytes);
        }
        CHECK(!fits(&client, "reply", LARGEST));
        CHECK(!fits(&client, "event", LARGEST));
    }
    limit_memory(RLIM_INFINITY);
    CHECK(fits(&client, "reply", LARGEST));
    CHECK_STATUS(qmp_close(client), QMP_OK);
}

/* An object of about so many bytes, with as many members as it likes to have. */
static char *arguments_of(size_t bytes, bool one_member)
{
    char *arguments = malloc(bytes + 64), *at = arguments;
    at += sprintf(at, "{\"a\":\"x");
    if (one_member) {
        memset(at, 'x', bytes);
        at += bytes;
    } else {
        for (unsigned member = 0; at < arguments + bytes; member++)
            at += sprintf(at, "\",\"%x\":\"", member);
    }
    strcpy(at, "\"}");
    return arguments;
}

static char *one_large, *many_small;

/* What is not sent for want of memory has no unknown outcome, and the connection goes on. */
static void refuses(qmp_client *client, const char *arguments)
{
    char *reply = NULL;
    qmp_error *error = NULL;
    qmp_status status = qmp_execute_json(client, "stop", arguments, PATIENCE_MS, NULL, &reply, &error);
    CHECK(error && !error->outcome_unknown && error->os_errno == ENOMEM);
    CHECK_ERROR(status, QMP_ERR_RESOURCE, error);
    CHECK_STATUS(execute(client, "stop"), QMP_OK);
}

static void send_from_a_small_process(void)
{
    qmp_client *client = connect_to(server_address(the_server));
    REQUIRE(client);
    limit_memory(ROOM);
    for (int i = 0; i < 3; i++) {
        refuses(client, one_large);
        refuses(client, many_small);
    }
    CHECK_STATUS(qmp_close(client), QMP_OK);
}

static void f105_large_arguments_in_a_small_process(void)
{
    if (is_instrumented())
        SKIP("what watches the program needs much memory itself");
    one_large = arguments_of(LARGEST, true);
    many_small = arguments_of(12 * MIB, false);
    the_server = server_start(serve_largely);
    run_in_child(send_from_a_small_process);
    server_stop(the_server);
    free(one_large);
    free(many_small);
}

static void f105_a_large_reply_in_a_small_process(void)
{
    if (is_instrumented())
        SKIP("what watches the program needs much memory itself");
    text = malloc(LARGEST);
    memset(text, 'x', LARGEST);
    the_server = server_start(serve_largely);
    run_in_child(in_a_small_process); /* the server stays outside the limit */
    server_stop(the_server);
    free(text);
}

int main(void)
{
    /* Each further arena has 64 MiB of address space, which a limit that is set later does not take away. */
    mallopt(M_ARENA_MAX, 1);
    RUN(f105_large_arguments_in_a_small_process);
    RUN(f105_a_large_reply_in_a_small_process);
    return check_end();
}
