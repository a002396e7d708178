/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A recorded session is what the wire saw, in its order. */
#include "support/file.h"
#include "support/recording.h"
#include "support/server.h"
#include "support/vm.h"

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void serve_a_session(peer *peer)
{
    char *command;
    if (!peer_greet(peer))
        return;
    while ((command = peer_hear(peer))) {
        if (is_command(command, "stop")) {
            peer_say(peer, "{\r\n    \"event\": \"STOP\",\r\n    \"data\": {\"text\": \"a  b\\n\"}\r\n}");
            peer_answer(peer, command, "{\"password\": [\"hunter1\"], \"digits\": 123456789012345678901234567890}");
        } else {
            peer_refuse(peer, command, "{\"class\": \"GenericError\", \"desc\": \"no\"}");
        }
        free(command);
    }
}

static void the_session_stands_in_the_file(void)
{
    struct stat status;
    server *server = server_start(serve_a_session);
    qmp_options *options = recording_to("session");
    qmp_client *client = record_from(server_address(server), options);
    char *reply;
    CHECK_STATUS(execute(client, "stop"), QMP_OK);
    CHECK_STATUS(qmp_execute_json(client, "object-add",
                                  "{ \"qom-type\": \"secret\", \"data\": \"hunter2\", \"id\": \"s\" }", PATIENCE_MS, NULL,
                                  &reply, NULL),
                 QMP_ERR_COMMAND);
    CHECK_STATUS(qmp_close(client), QMP_OK);
    check_transcript((const char *const[]){
        GREETED,
        "\"sent\": {\"execute\":\"stop\",\"id\":1}}",
        "\"received\": {\"event\":\"STOP\",\"data\":{\"text\":\"a  b\\n\"}}}",
        "\"received\": {\"return\":{\"password\":\"<redacted>\",\"digits\":123456789012345678901234567890},\"id\":1}}",
        "\"sent\": {\"execute\":\"object-add\",\"arguments\":{\"qom-type\":\"secret\",\"data\":\"<redacted>\","
        "\"id\":\"s\"},\"id\":2}}",
        "\"received\": {\"error\":{\"class\":\"GenericError\",\"desc\":\"no\"},\"id\":2}}",
        CLOSED, NULL});
    CHECK(stat(transcript, &status) == 0 && (status.st_mode & 07777) == 0600);

    /* The next session begins the file anew, and with NULL there is none. */
    client = record_from(server_address(server), options);
    qmp_close(client);
    check_transcript((const char *const[]){GREETED, CLOSED, NULL});
    CHECK_STATUS(qmp_options_set_record(options, NULL), QMP_OK);
    CHECK_INT(unlink(transcript), 0);
    client = record_from(server_address(server), options);
    qmp_close(client);
    CHECK(access(transcript, F_OK) != 0);
    qmp_options_free(options);
    server_stop(server);
}

enum { LIMIT = 1000 };

static void serve_oddly(peer *peer)
{
    char large[2 * LIMIT];
    memset(large, 'x', sizeof large);
    if (!peer_greet(peer))
        return;
    peer_say(peer, "{\"event\": inf}[1]{\"event\": \"\xff\"}{\"event\": \"");
    peer_say_bytes(peer, large, sizeof large);
    peer_say(peer, "\"}{\"event\": \"A\"} \xfe\"rubbish");
    peer_wait_end(peer);
}

static void what_is_no_message_is_shown(void)
{
    server *server = server_start(serve_oddly);
    qmp_options *options = recording_to("odd");
    CHECK_STATUS(qmp_options_set_max_message_bytes(options, LIMIT), QMP_OK);
    qmp_client *client = record_from(server_address(server), options);
    qmp_event *event = NULL;
    CHECK_STATUS(qmp_poll_event(client, PATIENCE_MS, NULL, &event, NULL), QMP_OK);
    qmp_event_free(event);
    CHECK_STATUS(qmp_poll_event(client, PATIENCE_MS, NULL, &event, NULL), QMP_ERR_DISCONNECTED);
    qmp_close(client);
    check_transcript((const char *const[]){
        GREETED,
        "\"skipped\": \"a message that is no JSON\"}",
        "\"skipped\": \"JSON that is no object\"}",
        "\"skipped\": \"a message that is no UTF-8\"}",
        "\"skipped\": \"larger than the limit of 1000 bytes\"}",
        "\"received\": {\"event\":\"A\"}}",
        "\"garbage\": \"\\\\xfe\\\\\\\"rubbish\"}",
        "\"ended\": \"the peer sent \\\"\\\\xfe\\\\\\\"rubbish\\\", which is no JSON\"}", NULL});
    qmp_options_free(options);
    server_stop(server);
}

static void serve_the_web(peer *peer)
{
    peer_say(peer, "HTTP/1.1 400 Bad Request\r\n\r\n");
    peer_wait_end(peer);
}

static void serve_nothing(peer *peer)
{
    peer_wait_end(peer);
}

static void a_handshake_that_fails_is_recorded(void)
{
    qmp_client *client = NULL;
    server *server = server_start(serve_the_web);
    qmp_options *options = recording_to("web");
    CHECK_STATUS(qmp_connect(server_address(server), options, PATIENCE_MS, NULL, &client, NULL), QMP_ERR_PROTOCOL);
    check_transcript((const char *const[]){"\"garbage\": \"HTTP/1.1 400 Bad Request…",
                                                 "\"ended\": \"the peer does not speak QMP, it is an HTTP server…", NULL});
    server_stop(server);
    server = server_start(serve_nothing);
    CHECK_STATUS(qmp_connect(server_address(server), options, 50, NULL, &client, NULL), QMP_ERR_BUSY);
    check_transcript((const char *const[]){CLOSED, NULL});
    qmp_options_free(options);
    server_stop(server);
}

static void serve_until_stop(peer *peer)
{
    char *command;
    if (peer_greet(peer) && (command = peer_hear(peer))) {
        peer_answer(peer, command, "{}");
        free(command);
    }
}

static void the_vms_end_is_recorded(void)
{
    server *server = server_start(serve_until_stop);
    qmp_options *options = recording_to("end");
    qmp_client *client = record_from(server_address(server), options);
    qmp_event *event;
    CHECK_STATUS(execute(client, "stop"), QMP_OK);
    CHECK_STATUS(qmp_poll_event(client, PATIENCE_MS, NULL, &event, NULL), QMP_ERR_DISCONNECTED);
    qmp_close(client);
    check_transcript((const char *const[]){GREETED, "\"sent\": {\"execute\":\"stop\",\"id\":1}}",
                                                 "\"received\": {\"return\":{},\"id\":1}}",
                                                 "\"ended\": \"the VM ended the connection\"}", NULL});
    qmp_options_free(options);
    server_stop(server);
}

static qmp_cancel *cancel;
static atomic_bool torn;

/* Reads nothing after the handshake, and has the call given up when a part of its command is there. */
static void serve_in_part(peer *peer)
{
    struct pollfd command = {.fd = peer_fd(peer), .events = POLLIN};
    if (!peer_greet(peer))
        return;
    CHECK(poll(&command, 1, PATIENCE_MS) == 1);
    CHECK_STATUS(qmp_cancel_trigger(cancel), QMP_OK);
    wait_for(&torn);
}

/* What was not sent whole was never executed. */
static void a_command_sent_in_part_is_not_in_it(void)
{
    enum { LARGE = 4 << 20 };
    server *server = server_start(serve_in_part);
    qmp_options *options = recording_to("torn");
    char *arguments = malloc(LARGE), *reply;
    int start = snprintf(arguments, LARGE, "{\"a\":\"");
    memset(arguments + start, 'x', (size_t)(LARGE - start - 3));
    strcpy(arguments + LARGE - 3, "\"}");
    cancel = qmp_cancel_new();
    qmp_client *client = record_from(server_address(server), options);
    CHECK_STATUS(qmp_execute_json(client, "stop", arguments, PATIENCE_MS, cancel, &reply, NULL), QMP_ERR_CANCELLED);
    atomic_store(&torn, true);
    qmp_close(client);
    check_transcript((const char *const[]){GREETED, "\"ended\": \"the connection was closed because a command…", NULL});
    free(arguments);
    qmp_cancel_free(cancel);
    qmp_options_free(options);
    server_stop(server);
}

enum { THREADS = 8, CALLS = 200 };

static void *call_often(void *client)
{
    for (int i = 0; i < rounds(CALLS); i++)
        CHECK_STATUS(execute(client, "stop"), QMP_OK);
    return NULL;
}

static void every_command_stands_before_its_reply(void)
{
    server *server = server_start(serve_ticking);
    qmp_options *options = recording_to("threads");
    qmp_client *client = record_from(server_address(server), options);
    pthread_t threads[THREADS];
    const int calls = THREADS * rounds(CALLS);
    char *sent = calloc((size_t)calls + 1, 1);
    for (int i = 0; i < THREADS; i++)
        CHECK_INT(pthread_create(&threads[i], NULL, call_often, client), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    qmp_close(client);

    long long ms = 0;
    int id, events = 0, replies = 0;
    char *text = file_text(transcript), *rest = text, *line;
    for (int i = 0; i < 4; i++)
        next_line(&rest, &ms);
    while ((line = next_line(&rest, &ms)) && *line) {
        if (sscanf(line, "\"sent\": {\"execute\":\"stop\",\"id\":%d}}", &id) == 1) {
            CHECK(id <= calls && !sent[id]);
            sent[id] = 1;
        } else if (sscanf(line, "\"received\": {\"return\":{},\"id\":%d}}", &id) == 1) {
            replies++;
            CHECK(id <= calls && sent[id]);
            CHECK_INT(events, replies); /* one comes before each */
        } else if (strcmp(line, "\"received\": {\"event\":\"TICK\"}}") == 0) {
            events++;
        } else {
            CHECK_STR(line, CLOSED);
        }
    }
    CHECK_INT(replies, calls);
    free(sent);
    free(text);
    qmp_options_free(options);
    server_stop(server);
}

static void say(qmp_client *client, const char *command, const char *arguments, qmp_status expected)
{
    char *reply = NULL;
    CHECK_STATUS(qmp_execute_json(client, command, arguments, PATIENCE_MS, NULL, &reply, NULL), expected);
    qmp_string_free(reply);
}

/* TRANSCRIPT=file keeps the transcript: tests/transcripts holds one. */
static void a_session_with_a_real_vm(void)
{
    NEED_QEMU();
    vm *vm = vm_start(NULL, NULL);
    const char *kept = getenv("TRANSCRIPT");
    qmp_options *options = recording_to("real");
    CHECK_STATUS(qmp_options_set_wait_for_socket(options, true), QMP_OK);
    if (kept)
        CHECK_STATUS(qmp_options_set_record(options, kept), QMP_OK);
    qmp_client *client = record_from(vm_address(vm), options);
    qmp_event *event;
    say(client, "query-status", NULL, QMP_OK);
    say(client, "query-version", NULL, QMP_OK);
    say(client, "stop", NULL, QMP_OK);
    say(client, "query-status", NULL, QMP_OK);
    say(client, "cont", NULL, QMP_OK);
    say(client, "object-add", "{\"qom-type\": \"secret\", \"id\": \"s0\", \"data\": \"hunter2\"}", QMP_OK);
    say(client, "device_del", "{\"id\": \"no-such-device\"}", QMP_ERR_COMMAND);
    say(client, "no-such-command", NULL, QMP_ERR_COMMAND);
    say(client, "query-commands", NULL, QMP_OK);
    say(client, "human-monitor-command", "{\"command-line\": \"info status\"}", QMP_OK);
    say(client, "quit", NULL, QMP_OK);
    while (qmp_poll_event(client, PATIENCE_MS, NULL, &event, NULL) == QMP_OK)
        qmp_event_free(event);
    qmp_close(client);
    qmp_options_free(options);
    vm_stop(vm);

    char *text = file_text(kept ? kept : transcript), *at = text;
    const char *const in_order[] = {
        "\"received\": {\"QMP\":", "\"sent\": {\"execute\":\"qmp_capabilities\"", "\"sent\": {\"execute\":\"stop\"",
        "\"event\":\"STOP\"", "\"received\": {\"return\":", "\"sent\": {\"execute\":\"cont\"", "\"event\":\"RESUME\"",
        "\"sent\": {\"execute\":\"object-add\"", "\"data\":\"<redacted>\"", "\"class\":\"DeviceNotFound\"",
        "\"class\":\"CommandNotFound\"", "\"name\":\"query-commands\"", "VM status: running", "\"event\":\"SHUTDOWN\"",
        "\"ended\": \"",
    };
    for (size_t i = 0; at && i < sizeof in_order / sizeof *in_order; i++) {
        at = strstr(at, in_order[i]);
        CHECK_HAS(at, in_order[i]);
    }
    CHECK(text && !strstr(text, "hunter"));
    free(text);
}

int main(void)
{
    recordings_make();
    RUN(the_session_stands_in_the_file);
    RUN(what_is_no_message_is_shown);
    RUN(a_handshake_that_fails_is_recorded);
    RUN(the_vms_end_is_recorded);
    RUN(a_command_sent_in_part_is_not_in_it);
    RUN(every_command_stands_before_its_reply);
    RUN(a_session_with_a_real_vm);
    recordings_remove();
    return check_end();
}
