/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A child's calls on its parent's handle give FORKED, and the parent's connection goes on. */
#include "support/client.h"
#include "support/server.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static server *the_server;
static qmp_client *client;
static qmp_cancel *cancel;
static qmp_options *options;

/* The number of the first call that did not give what a child must get, or 0. */
static int call_everything(void)
{
    qmp_client *own;
    bool flag;
    char *text;
    int32_t number;
    qmp_event *event;
    if (qmp_execute_json(client, "stop", NULL, 1000, NULL, &text, NULL) != QMP_ERR_FORKED)
        return 1;
    if (qmp_poll_event(client, 1000, NULL, &event, NULL) != QMP_ERR_FORKED)
        return 2;
    if (qmp_event_fd(client, &number, NULL) != QMP_ERR_FORKED)
        return 3;
    if (qmp_query_status(client, 1000, NULL, &flag, &text, NULL) != QMP_ERR_FORKED)
        return 4;
    if (qmp_is_running(client, 1000, NULL, &flag, NULL) != QMP_ERR_FORKED)
        return 5;
    if (qmp_greeting_json(client, &text, NULL) != QMP_ERR_FORKED)
        return 6;
    if (qmp_shutdown(client, 1000, 1000, true, NULL, &number, NULL) != QMP_ERR_FORKED)
        return 7;
    if (qmp_close(client) != QMP_ERR_FORKED)
        return 8;
    if (qmp_cancel_trigger(cancel) != QMP_ERR_FORKED)
        return 9;
    if (qmp_options_set_event_capacity(options, 1) != QMP_ERR_FORKED)
        return 10;
    if (qmp_connect(server_address(the_server), options, 1000, NULL, &own, NULL) != QMP_ERR_FORKED)
        return 11;

    /* A connection of its own works as in any process. */
    if (qmp_connect(server_address(the_server), NULL, PATIENCE_MS, NULL, &own, NULL) != QMP_OK)
        return 12;
    if (execute(own, "stop") != QMP_OK)
        return 13;
    if (qmp_close(own) != QMP_OK)
        return 14;
    if (qmp_close(client) != QMP_ERR_FORKED)
        return 15;
    return 0;
}

static atomic_int parents; /* commands on the first connection */

static void count_by_connection(peer *peer)
{
    char *command;
    bool first = server_clients(the_server) == 1;
    if (!peer_greet(peer))
        return;
    while ((command = peer_hear(peer))) {
        if (first)
            atomic_fetch_add(&parents, 1);
        peer_answer(peer, command, "{}");
        free(command);
    }
}

/*
 * What the calls gave in a child. It does not exit but kills itself: valgrind would report as lost
 * what the parent's threads, which the child does not have, had on their stacks.
 */
static int call_everything_in_a_child(void)
{
    int status = 0, result = -1, ends[2];
    if (pipe(ends) != 0)
        return -1;
    pid_t child = fork();
    if (child == 0) {
        result = call_everything();
        if (write(ends[1], &result, sizeof result) == sizeof result)
            kill(getpid(), SIGKILL);
        _exit(1);
    }
    close(ends[1]);
    if (child < 0 || waitpid(child, &status, 0) != child || read(ends[0], &result, sizeof result) != sizeof result)
        result = -1;
    close(ends[0]);
    return result;
}

static void the_child_is_told_and_the_parent_goes_on(void)
{
    client = connect_to(server_address(the_server));
    REQUIRE(client);
    CHECK_STATUS(execute(client, "stop"), QMP_OK);
    CHECK_INT(atomic_load(&parents), 1);
    CHECK_INT(call_everything_in_a_child(), 0);
    CHECK_INT(atomic_load(&parents), 1);
    for (int i = 0; i < 10; i++)
        CHECK_STATUS(execute(client, "stop"), QMP_OK);
    CHECK_STATUS(qmp_close(client), QMP_OK);
}

static void *keep_calling(void *data)
{
    while (!atomic_load((atomic_bool *)data))
        CHECK_STATUS(execute(client, "stop"), QMP_OK);
    return NULL;
}

/* A fork while other threads hold the library's locks must not hang the child. */
static void a_fork_in_the_middle_of_calls(void)
{
    pthread_t threads[4];
    atomic_bool done = false;
#ifdef __SANITIZE_ADDRESS__
    SKIP("the sanitizer's own malloc hangs in a child of a process with threads");
#endif
    client = connect_to(server_address(the_server));
    REQUIRE(client);
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, keep_calling, &done);
    for (int i = 0; i < rounds(50); i++)
        CHECK_INT(call_everything_in_a_child(), 0);
    atomic_store(&done, true);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    CHECK_STATUS(execute(client, "stop"), QMP_OK);
    CHECK_STATUS(qmp_close(client), QMP_OK);
}

int main(void)
{
    the_server = server_start(count_by_connection);
    cancel = qmp_cancel_new();
    options = qmp_options_new();
    RUN(the_child_is_told_and_the_parent_goes_on);
    RUN(a_fork_in_the_middle_of_calls);
    qmp_cancel_free(cancel);
    qmp_options_free(options);
    server_stop(the_server);
    return check_end();
}
