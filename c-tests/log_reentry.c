/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A callback may call the library, close its own connection, or take its time: nobody waits for it. */
#include "support/client.h"
#include "support/server.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static server *the_server;
static _Atomic(qmp_client *) client; /* logs; NULL while the callback is to do nothing */
static atomic_bool provoke_now;      /* the server says something odd when nobody calls */
static atomic_bool inside, go_on;
static atomic_int calls, closes, callbacks;

/* After "provoke" an answer that belongs to no call comes, when it is wanted. */
static void serve_oddly(peer *peer)
{
    char *command;
    if (!peer_greet(peer))
        return;
    while ((command = peer_hear(peer))) {
        bool odd = is_command(command, "provoke");
        peer_answer(peer, command, "{}");
        free(command);
        if (odd && wait_for(&provoke_now))
            peer_say(peer, "{\"return\": 1, \"id\": 987654}");
    }
}

static void connect_logging(int32_t level, qmp_log_fn function)
{
    qmp_options *options = qmp_options_new();
    qmp_client *made = NULL;
    the_server = server_start(serve_oddly);
    client = NULL;
    atomic_store(&provoke_now, false);
    atomic_store(&inside, false);
    atomic_store(&go_on, false);
    atomic_store(&calls, 0);
    atomic_store(&closes, 0);
    CHECK_STATUS(qmp_options_set_log(options, level, function, NULL, NULL), QMP_OK);
    CHECK_STATUS(qmp_connect(server_address(the_server), options, PATIENCE_MS, NULL, &made, NULL), QMP_OK);
    qmp_options_free(options);
    client = made;
}

static void close_all(void)
{
    CHECK_STATUS(qmp_close(client), QMP_OK);
    server_stop(the_server);
}

/* Makes the library's own thread log a line: nobody calls when the odd answer comes. */
static void provoke(void)
{
    CHECK_STATUS(execute(client, "provoke"), QMP_OK);
    atomic_store(&provoke_now, true);
}

static bool on_the_librarys_thread(void)
{
    char name[16] = "";
    pthread_getname_np(pthread_self(), name, sizeof name);
    return strcmp(name, "qmp-io") == 0;
}

static void call_everything(qmp_client *logging)
{
    qmp_client *other = connect_to(server_address(the_server));
    qmp_event *event = NULL;
    char *greeting = NULL;
    CHECK_STATUS(execute(logging, "stop"), QMP_OK);
    CHECK_STATUS(qmp_greeting_json(logging, &greeting, NULL), QMP_OK);
    CHECK_STATUS(qmp_poll_event(logging, 0, NULL, &event, NULL), QMP_ERR_TIMEOUT);
    CHECK_STATUS(execute(other, "stop"), QMP_OK);
    CHECK_STATUS(qmp_close(other), QMP_OK);
    qmp_string_free(greeting);
    atomic_fetch_add(&calls, 1);
}

static void log_and_call(void *user_data, int32_t level, const char *message)
{
    (void)user_data, (void)level, (void)message;
    static _Thread_local bool nested;
    atomic_fetch_add(&callbacks, 1);
    qmp_client *logging = client;
    if (!nested && logging) {
        nested = true;
        call_everything(logging);
        nested = false;
    }
    atomic_fetch_sub(&callbacks, 1);
}

/* No lock is held while the callback runs: it may call the library, even on the same handle. */
static void f97_f111_the_callback_may_call(void)
{
    connect_logging(QMP_LOG_TRACE, log_and_call);
    REQUIRE(client);
    for (int i = 0; i < 10; i++)
        CHECK_STATUS(execute(client, "stop"), QMP_OK);
    CHECK(atomic_load(&calls) >= 10);
    qmp_client *last = client;
    client = NULL;
    /* The library's thread logs what it received for a call, and may be at it still. */
    CHECK_SOON(atomic_load(&callbacks) == 0);
    CHECK_STATUS(qmp_close(last), QMP_OK);
    server_stop(the_server);
}

static void log_and_call_on_its_thread(void *user_data, int32_t level, const char *message)
{
    (void)user_data, (void)level, (void)message;
    if (on_the_librarys_thread())
        call_everything(client);
}

static void f97_f111_also_on_the_librarys_own_thread(void)
{
    connect_logging(QMP_LOG_WARN, log_and_call_on_its_thread);
    REQUIRE(client);
    provoke();
    CHECK_SOON(atomic_load(&calls) == 1);
    CHECK_STATUS(execute(client, "stop"), QMP_OK);
    close_all();
}

static void log_and_close(void *user_data, int32_t level, const char *message)
{
    (void)user_data, (void)level, (void)message;
    if (client && qmp_close(client) == QMP_OK) {
        /* The VM is free for the next client, though the call has not returned. */
        CHECK_SOON(server_open(the_server) == 0);
        atomic_fetch_add(&closes, 1);
    }
}

static void f98_the_callback_may_close(void)
{
    connect_logging(QMP_LOG_TRACE, log_and_close);
    REQUIRE(client);
    /* The call that logs ends with what its own callback did to it. */
    CHECK_STATUS(execute(client, "stop"), QMP_ERR_CLOSED);
    CHECK_SOON(atomic_load(&closes) == 1);
    CHECK_STATUS(qmp_close(client), QMP_ERR_INVALID_HANDLE);
    server_stop(the_server);
}

static void log_and_close_on_its_thread(void *user_data, int32_t level, const char *message)
{
    if (on_the_librarys_thread())
        log_and_close(user_data, level, message);
}

static void f98_also_on_the_librarys_own_thread(void)
{
    connect_logging(QMP_LOG_WARN, log_and_close_on_its_thread);
    REQUIRE(client);
    provoke();
    CHECK_SOON(atomic_load(&closes) == 1);
    CHECK_STATUS(execute(client, "stop"), QMP_ERR_INVALID_HANDLE);
    server_stop(the_server);
}

static void log_slowly(void *user_data, int32_t level, const char *message)
{
    (void)user_data, (void)level, (void)message;
    if (client && !atomic_exchange(&inside, true))
        CHECK(wait_for(&go_on));
}

static void *execute_once(void *data)
{
    (void)data;
    CHECK_STATUS(execute(client, "stop"), QMP_OK);
    atomic_fetch_add(&calls, 1);
    return NULL;
}

/* While the callback hesitates on one thread, others call as if it were not there. */
static void others_go_on(void)
{
    qmp_client *other = connect_to(server_address(the_server));
    qmp_event *event = NULL;
    int32_t fd;
    CHECK(wait_for(&inside));
    for (int i = 0; i < 10; i++) {
        CHECK_STATUS(execute(client, "stop"), QMP_OK);
        CHECK_STATUS(execute(other, "stop"), QMP_OK);
    }
    CHECK_STATUS(qmp_poll_event(client, 1, NULL, &event, NULL), QMP_ERR_TIMEOUT);
    CHECK_STATUS(qmp_event_fd(client, &fd, NULL), QMP_OK);
    CHECK_STATUS(qmp_close(other), QMP_OK);
    CHECK(!atomic_load(&go_on));
}

static void f111_a_slow_callback_holds_nobody_up(void)
{
    pthread_t thread;
    connect_logging(QMP_LOG_TRACE, log_slowly);
    REQUIRE(client);
    pthread_create(&thread, NULL, execute_once, NULL);
    others_go_on();
    CHECK_INT(atomic_load(&calls), 0);
    atomic_store(&go_on, true);
    pthread_join(thread, NULL);
    CHECK_INT(atomic_load(&calls), 1);
    close_all();
}

static void f111_nor_on_the_librarys_own_thread(void)
{
    connect_logging(QMP_LOG_WARN, log_slowly);
    REQUIRE(client);
    provoke();
    others_go_on();
    atomic_store(&go_on, true);
    close_all();
}

static void change_options(void *options)
{
    CHECK_STATUS(qmp_options_set_event_capacity(options, 16), QMP_OK);
}

static void ignore(void *user_data, int32_t level, const char *message)
{
    (void)user_data, (void)level, (void)message;
}

/* Nor is a lock held while the data is destroyed, whether the logger was set, replaced or refused. */
static void f97_destroy_may_call(void)
{
    qmp_options *options = qmp_options_new();
    CHECK_STATUS(qmp_options_set_log(options, QMP_LOG_INFO, ignore, options, change_options), QMP_OK);
    CHECK_STATUS(qmp_options_set_log(options, QMP_LOG_INFO, ignore, options, change_options), QMP_OK);
    CHECK_STATUS(qmp_options_set_log(options, 99, ignore, options, change_options), QMP_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(qmp_options_set_log(options, QMP_LOG_INFO, NULL, options, change_options), QMP_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(qmp_options_set_log(options, QMP_LOG_INFO, ignore, NULL, NULL), QMP_OK);
    qmp_options_free(options);
}

/* The header says of callbacks in general, and with each type of one, that they must not unwind. */
static void f99_the_header_says_that_callbacks_must_not_unwind(void)
{
    char line[512], comment[8192] = "";
    int types = 0, general = 0;
    FILE *header = fopen(HEADER, "r");
    REQUIRE(header);
    while (fgets(line, sizeof line, header)) {
        if (strstr(line, "/**") || strstr(line, "/*\n"))
            *comment = '\0';
        if (strstr(line, "Callbacks come as"))
            general++;
        if (strlen(comment) + strlen(line) < sizeof comment)
            strcat(comment, line);
        if (strstr(line, "*/") && strstr(comment, "Callbacks come as"))
            CHECK_HAS(comment, "must not unwind");
        if (strncmp(line, "typedef", 7) == 0 && strstr(line, "_fn)(")) {
            types++;
            CHECK_HAS(comment, "must not unwind");
        }
    }
    fclose(header);
    CHECK(types >= 1);
    CHECK_INT(general, 1);
}

int main(void)
{
    RUN(f97_f111_the_callback_may_call);
    RUN(f97_f111_also_on_the_librarys_own_thread);
    RUN(f98_the_callback_may_close);
    RUN(f98_also_on_the_librarys_own_thread);
    RUN(f111_a_slow_callback_holds_nobody_up);
    RUN(f111_nor_on_the_librarys_own_thread);
    RUN(f97_destroy_may_call);
    RUN(f99_the_header_says_that_callbacks_must_not_unwind);
    return check_end();
}
