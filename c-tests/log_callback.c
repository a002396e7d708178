/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The log callback gets what its level asks for, no secrets, and its data is destroyed exactly once. */
#include "support/client.h"
#include "support/server.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct log {
    pthread_mutex_t lock;
    char *text;
    size_t length;
    int lines, lowest, highest, destroyed;
};

static void log_line(void *user_data, int32_t level, const char *message)
{
    struct log *log = user_data;
    pthread_mutex_lock(&log->lock);
    size_t length = strlen(message);
    log->text = realloc(log->text, log->length + length + 2);
    memcpy(log->text + log->length, message, length);
    log->length += length;
    log->text[log->length++] = '\n';
    log->text[log->length] = '\0';
    log->lines++;
    if (log->lowest == 0 || level < log->lowest)
        log->lowest = level;
    if (level > log->highest)
        log->highest = level;
    pthread_mutex_unlock(&log->lock);
}

static void log_destroy(void *user_data)
{
    struct log *log = user_data;
    pthread_mutex_lock(&log->lock);
    log->destroyed++;
    pthread_mutex_unlock(&log->lock);
}

static int destroyed(struct log *log)
{
    pthread_mutex_lock(&log->lock);
    int count = log->destroyed;
    pthread_mutex_unlock(&log->lock);
    return count;
}

/* Says the arguments back, as an event and as the reply. */
static void serve_indiscreetly(peer *peer)
{
    char *command, *arguments;
    if (!peer_greet(peer))
        return;
    for (; (command = peer_hear(peer)); free(command)) {
        if (!(arguments = strstr(command, "\"arguments\":"))) {
            peer_answer(peer, command, "{}");
            continue;
        }
        char *value = strdup(arguments + strlen("\"arguments\":")), *id = strstr(value, ",\"id\":");
        while (id && strstr(id + 1, ",\"id\":"))
            id = strstr(id + 1, ",\"id\":");
        REQUIRE(id);
        *id = '\0';
        peer_say(peer, "{\"event\": \"SAID\", \"data\": ");
        peer_say(peer, value);
        peer_say(peer, "}");
        peer_answer(peer, command, value);
        free(value);
    }
}

static void talk(server *server, qmp_options *options)
{
    qmp_client *client = NULL;
    char *reply = NULL;
    CHECK_STATUS(qmp_connect(server_address(server), options, PATIENCE_MS, NULL, &client, NULL), QMP_OK);
    CHECK_STATUS(qmp_execute_json(client, "set_password",
                                  "{\"protocol\":\"vnc\",\"password\":\"hunter2\",\"secret\":\"hunter3\","
                                  "\"nested\":[{\"key\":\"hunter4\",\"visible\":\"seen-at-trace\"}]}",
                                  PATIENCE_MS, NULL, &reply, NULL),
                 QMP_OK);
    qmp_string_free(reply);
    CHECK_STATUS(qmp_execute_json(client, "object-add", "{\"qom-type\":\"secret\",\"id\":\"s0\",\"data\":\"hunter5\"}",
                                  PATIENCE_MS, NULL, &reply, NULL),
                 QMP_OK);
    qmp_string_free(reply);
    qmp_close(client);
}

static void at_level(int32_t level)
{
    server *server = server_start(serve_indiscreetly);
    struct log log = {.lock = PTHREAD_MUTEX_INITIALIZER};
    qmp_options *options = qmp_options_new();
    CHECK_STATUS(qmp_options_set_log(options, level, log_line, &log, log_destroy), QMP_OK);
    talk(server, options);
    qmp_options_free(options);
    CHECK_SOON(destroyed(&log) == 1);
    CHECK(log.highest <= level);
    CHECK(log.lines == 0 || log.lowest >= QMP_LOG_ERROR);
    if (log.text) {
        CHECK(!strstr(log.text, "hunter"));
        if (level < QMP_LOG_TRACE)
            CHECK(!strstr(log.text, "seen-at-trace"));
    }
    if (level == QMP_LOG_TRACE) {
        CHECK_HAS(log.text, "set_password");
        CHECK_HAS(log.text, "seen-at-trace");
        CHECK_HAS(log.text, "SAID");
    }
    free(log.text);
    server_stop(server);
}

static void f110_every_level_keeps_to_itself(void)
{
    for (int32_t level = QMP_LOG_ERROR; level <= QMP_LOG_TRACE; level++)
        at_level(level);
}

static void destroyed_exactly_once(void)
{
    server *server = server_start(serve_plainly);
    struct log log = {.lock = PTHREAD_MUTEX_INITIALIZER}, second = log, failed = log;
    qmp_options *options = qmp_options_new();
    qmp_client *client = NULL;

    /* Replaced, and freed with the options. */
    CHECK_STATUS(qmp_options_set_log(options, QMP_LOG_DEBUG, log_line, &log, log_destroy), QMP_OK);
    CHECK_STATUS(qmp_options_set_log(options, QMP_LOG_DEBUG, log_line, &second, log_destroy), QMP_OK);
    CHECK_SOON(destroyed(&log) == 1);
    CHECK_INT(destroyed(&second), 0);

    /* Kept alive by a connection that outlives the options. */
    CHECK_STATUS(qmp_connect(server_address(server), options, PATIENCE_MS, NULL, &client, NULL), QMP_OK);
    qmp_options_free(options);
    CHECK_INT(destroyed(&second), 0);
    CHECK_STATUS(execute(client, "stop"), QMP_OK);
    CHECK_STATUS(qmp_close(client), QMP_OK);
    CHECK_SOON(destroyed(&second) == 1);
    CHECK_INT(destroyed(&log), 1);

    /* Also when it could not be set. */
    CHECK_STATUS(qmp_options_set_log(options, QMP_LOG_DEBUG, log_line, &failed, log_destroy), QMP_ERR_INVALID_HANDLE);
    CHECK_INT(destroyed(&failed), 1);
    options = qmp_options_new();
    CHECK_STATUS(qmp_options_set_log(options, 99, log_line, &failed, log_destroy), QMP_ERR_INVALID_ARGUMENT);
    CHECK_INT(destroyed(&failed), 2);
    qmp_options_free(options);
    free(log.text);
    free(second.text);
    free(failed.text);
    server_stop(server);
}

int main(void)
{
    RUN(f110_every_level_keeps_to_itself);
    RUN(destroyed_exactly_once);
    return check_end();
}
