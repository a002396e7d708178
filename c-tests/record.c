/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A recorded session is what the wire saw, in its order, and recording never costs a call. */
#include "support/client.h"
#include "support/directory.h"
#include "support/file.h"
#include "support/server.h"
#include "support/vm.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char directory[64], path[128];

static qmp_options *recording_to(const char *file)
{
    qmp_options *options = qmp_options_new();
    snprintf(path, sizeof path, "%s/%s", directory, file);
    CHECK_STATUS(qmp_options_set_record(options, path), QMP_OK);
    return options;
}

static qmp_client *record_from(const char *address, qmp_options *options)
{
    qmp_client *client = NULL;
    CHECK_STATUS(qmp_connect(address, options, PATIENCE_MS, NULL, &client, NULL), QMP_OK);
    return client;
}

/* The next line of a transcript without its time, which never runs backwards. */
static char *next_line(char **rest, long long *ms)
{
    long long now = -1;
    int start = 0;
    char *line = strsep(rest, "\n");
    if (!line || sscanf(line, "{\"ms\": %lld, %n", &now, &start) != 1 || start == 0)
        return line;
    CHECK(now >= *ms);
    *ms = now;
    return line + start;
}

/* Checks what follows the first line, up to a NULL; "…" at the end of a line stands for any rest. */
static void check_transcript(const char *file, const char *const *lines)
{
    long long ms = 0;
    char *text = file_text(file), *rest = text, *line;
    CHECK(text != NULL);
    CHECK_STR(next_line(&rest, &ms), "{\"transcript\": 1, \"library\": \"" VERSION "\"}");
    for (; *lines; lines++) {
        size_t same = strlen(*lines) - strlen("…");
        line = next_line(&rest, &ms);
        if (!line || strcmp(*lines + same, "…") != 0 || strncmp(line, *lines, same) != 0)
            CHECK_STR(line, *lines);
    }
    CHECK_STR(next_line(&rest, &ms), "");
    CHECK(rest == NULL);
    free(text);
}

#define GREETED                                                                                    \
    "\"received\": {\"QMP\":{\"version\":{\"qemu\":{\"micro\":0,\"minor\":2,\"major\":7},"          \
    "\"package\":\"scripted\"},\"capabilities\":[\"oob\"]}}}",                                     \
    "\"sent\": {\"execute\":\"qmp_capabilities\",\"id\":…", "\"received\": {\"return\":{},\"id\":…"
#define CLOSED "\"ended\": \"the connection was closed here\"}"

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
    check_transcript(path, (const char *const[]){
        GREETED,
        "\"sent\": {\"execute\":\"stop\",\"id\":1}}",
        "\"received\": {\"event\":\"STOP\",\"data\":{\"text\":\"a  b\\n\"}}}",
        "\"received\": {\"return\":{\"password\":\"<redacted>\",\"digits\":123456789012345678901234567890},\"id\":1}}",
        "\"sent\": {\"execute\":\"object-add\",\"arguments\":{\"qom-type\":\"secret\",\"data\":\"<redacted>\","
        "\"id\":\"s\"},\"id\":2}}",
        "\"received\": {\"error\":{\"class\":\"GenericError\",\"desc\":\"no\"},\"id\":2}}",
        CLOSED, NULL});
    CHECK(stat(path, &status) == 0 && (status.st_mode & 07777) == 0600);

    /* The next session begins the file anew, and with NULL there is none. */
    client = record_from(server_address(server), options);
    qmp_close(client);
    check_transcript(path, (const char *const[]){GREETED, CLOSED, NULL});
    CHECK_STATUS(qmp_options_set_record(options, NULL), QMP_OK);
    CHECK_INT(unlink(path), 0);
    client = record_from(server_address(server), options);
    qmp_close(client);
    CHECK(access(path, F_OK) != 0);
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
    check_transcript(path, (const char *const[]){
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
    check_transcript(path, (const char *const[]){"\"garbage\": \"HTTP/1.1 400 Bad Request…",
                                                 "\"ended\": \"the peer does not speak QMP, it is an HTTP server…", NULL});
    server_stop(server);
    server = server_start(serve_nothing);
    CHECK_STATUS(qmp_connect(server_address(server), options, 50, NULL, &client, NULL), QMP_ERR_BUSY);
    check_transcript(path, (const char *const[]){CLOSED, NULL});
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
    check_transcript(path, (const char *const[]){GREETED, "\"sent\": {\"execute\":\"stop\",\"id\":1}}",
                                                 "\"received\": {\"return\":{},\"id\":1}}",
                                                 "\"ended\": \"the VM ended the connection\"}", NULL});
    qmp_options_free(options);
    server_stop(server);
}

static atomic_bool read_on;

static void serve_when_told(peer *peer)
{
    if (!peer_greet(peer))
        return;
    wait_for(&read_on);
    peer_wait_end(peer);
}

/* What was not sent whole was never executed. */
static void a_command_that_did_not_leave_is_not_in_it(void)
{
    enum { LARGE = 4 << 20 };
    server *server = server_start(serve_when_told);
    qmp_options *options = recording_to("torn");
    qmp_client *client = record_from(server_address(server), options);
    char *arguments = malloc(LARGE), *reply;
    int start = snprintf(arguments, LARGE, "{\"a\":\"");
    atomic_store(&read_on, false);
    memset(arguments + start, 'x', (size_t)(LARGE - start - 3));
    strcpy(arguments + LARGE - 3, "\"}");
    CHECK_STATUS(qmp_execute_json(client, "stop", arguments, 50, NULL, &reply, NULL), QMP_ERR_TIMEOUT);
    atomic_store(&read_on, true);
    qmp_close(client);
    check_transcript(path, (const char *const[]){GREETED, "\"ended\": \"the connection was closed because a command…", NULL});
    free(arguments);
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
    char *text = file_text(path), *rest = text, *line;
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

static void cannot_be_opened(const char *file, const char *address, qmp_status expected)
{
    qmp_options *options = recording_to(file);
    qmp_client *client = (qmp_client *)1;
    qmp_error *error = NULL;
    CHECK_STATUS(qmp_connect(address, options, PATIENCE_MS, NULL, &client, &error), expected);
    CHECK(client == NULL);
    CHECK_HAS(error ? error->message : NULL, path);
    qmp_error_free(error);
    qmp_options_free(options);
}

/* In a child, with the rights of somebody else if we are root; 0: it is. */
static int is_locked_out(const char *address)
{
    qmp_options *options = recording_to("locked/file");
    qmp_client *client;
    qmp_error *error = NULL;
    if (geteuid() == 0 && (setresgid(65534, 65534, 65534) != 0 || setresuid(65534, 65534, 65534) != 0))
        return 2;
    if (qmp_connect(address, options, PATIENCE_MS, NULL, &client, &error) != QMP_ERR_PERMISSION)
        return 3;
    return strstr(error->message, path) ? 0 : 4;
}

static void a_file_that_cannot_be_opened_fails_connecting(void)
{
    server *server = server_start_tcp(serve_plainly);
    const char *address = server_address(server);
    char given[32], locked[128];
    int fd = server_connect(server), status = 0;

    cannot_be_opened("missing/file", address, QMP_ERR_NOT_FOUND);
    cannot_be_opened(".", address, QMP_ERR_IO);
    snprintf(given, sizeof given, "fd:%d", fd);
    cannot_be_opened("missing/file", given, QMP_ERR_NOT_FOUND);
    CHECK(fcntl(fd, F_GETFD) == -1 && errno == EBADF); /* taken over, as the header says */

    /* Neither waits for a reader, nor dies with it. */
    snprintf(path, sizeof path, "%s/fifo", directory);
    CHECK_INT(mkfifo(path, 0600), 0);
    cannot_be_opened("fifo", address, QMP_ERR_IO);
    fd = open(path, O_RDONLY | O_NONBLOCK);
    cannot_be_opened("fifo", address, QMP_ERR_IO);
    close(fd);

    snprintf(locked, sizeof locked, "%s/locked", directory);
    CHECK_INT(mkdir(locked, 0), 0);
    pid_t child = fork();
    if (child == 0)
        _exit(is_locked_out(address));
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status));
    CHECK_INT(WEXITSTATUS(status), 0);
    CHECK_SOON(server_open(server) == 0);
    server_stop(server);
}

struct warnings {
    atomic_int count;
    char text[256];
};

static void count_warnings(void *user_data, int32_t level, const char *message)
{
    struct warnings *warnings = user_data;
    if (level == QMP_LOG_WARN && atomic_fetch_add(&warnings->count, 1) == 0)
        snprintf(warnings->text, sizeof warnings->text, "%s", message);
}

/* A limit on the size of files does what a full disk does. */
static void a_full_disk_ends_the_recording_alone(void)
{
    enum { MOST = 4096 };
    struct warnings warnings = {0};
    struct rlimit before, full;
    struct stat status;
    server *server = server_start(serve_ticking);
    qmp_options *options = recording_to("full");
    CHECK_STATUS(qmp_options_set_log(options, QMP_LOG_WARN, count_warnings, &warnings, NULL), QMP_OK);
    qmp_client *client = record_from(server_address(server), options);
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    bool all = true;
    CHECK_INT(getrlimit(RLIMIT_FSIZE, &before), 0);
    full = before;
    full.rlim_cur = MOST;
    CHECK_INT(setrlimit(RLIMIT_FSIZE, &full), 0);
    for (int i = 0; i < 100; i++)
        all &= execute(client, "stop") == QMP_OK;
    CHECK_INT(setrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, handler);
    CHECK(all);
    CHECK_STATUS(execute(client, "stop"), QMP_OK);
    CHECK_INT(atomic_load(&warnings.count), 1);
    CHECK_HAS(warnings.text, "recording");
    CHECK(stat(path, &status) == 0 && status.st_size == MOST);
    qmp_close(client);
    qmp_options_free(options);

    /* On a device that is full from the start there is nothing to begin with. */
    options = qmp_options_new();
    CHECK_STATUS(qmp_options_set_record(options, "/dev/full"), QMP_OK);
    CHECK_STATUS(qmp_connect(server_address(server), options, PATIENCE_MS, NULL, &client, NULL), QMP_ERR_RESOURCE);
    qmp_options_free(options);
    server_stop(server);
}

static bool is_recorded(pid_t pid, int number)
{
    char name[256];
    snprintf(name, sizeof name, "%s/all/qmp-%d-%d.jsonl", directory, (int)pid, number);
    return access(name, F_OK) == 0;
}

static void the_environment_records_every_client(void)
{
    char all[128];
    int status = 0;
    server *server = server_start(serve_plainly);
    qmp_options *options = recording_to("chosen");
    snprintf(all, sizeof all, "%s/all", directory);
    CHECK_INT(mkdir(all, 0700), 0);
    setenv("QMP_RECORD", all, 1);
    for (int number = 1; number <= 2; number++) {
        qmp_close(record_from(server_address(server), NULL));
        CHECK(is_recorded(getpid(), number));
    }
    /* A path of its own wins. */
    qmp_close(record_from(server_address(server), options));
    check_transcript(path, (const char *const[]){GREETED, CLOSED, NULL});
    CHECK(!is_recorded(getpid(), 3));

    pid_t child = fork();
    if (child == 0) {
        qmp_client *client = NULL;
        qmp_connect(server_address(server), NULL, PATIENCE_MS, NULL, &client, NULL);
        _exit(qmp_close(client) == QMP_OK && is_recorded(getpid(), 1) ? 0 : 1);
    }
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status));
    CHECK_INT(WEXITSTATUS(status), 0);

    setenv("QMP_RECORD", "", 1);
    qmp_close(record_from(server_address(server), NULL));
    unsetenv("QMP_RECORD");
    qmp_close(record_from(server_address(server), NULL));
    CHECK(!is_recorded(getpid(), 3));
    directory_remove(all);
    qmp_options_free(options);
    server_stop(server);
}

static void what_is_no_path_is_refused(void)
{
    qmp_options *options = qmp_options_new();
    CHECK_STATUS(qmp_options_set_record(NULL, "/tmp"), NULL_HANDLE);
    CHECK_STATUS(qmp_options_set_record(options, ""), QMP_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(qmp_options_set_record(options, "/\xff"), QMP_OK); /* paths are bytes */
    CHECK_STATUS(qmp_options_set_record(options, NULL), QMP_OK);
    qmp_options_free(options);
    CHECK_STATUS(qmp_options_set_record(options, "/tmp"), QMP_ERR_INVALID_HANDLE);
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

    char *text = file_text(kept ? kept : path), *at = text;
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
    directory_make(directory, sizeof directory);
    RUN(the_session_stands_in_the_file);
    RUN(what_is_no_message_is_shown);
    RUN(a_handshake_that_fails_is_recorded);
    RUN(the_vms_end_is_recorded);
    RUN(a_command_that_did_not_leave_is_not_in_it);
    RUN(every_command_stands_before_its_reply);
    RUN(a_file_that_cannot_be_opened_fails_connecting);
    RUN(a_full_disk_ends_the_recording_alone);
    RUN(the_environment_records_every_client);
    RUN(what_is_no_path_is_refused);
    RUN(a_session_with_a_real_vm);
    directory_remove(directory);
    return check_end();
}
