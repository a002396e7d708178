/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A child's calls on its parent's handle give FORKED, and the parent's connection goes on. */
#include "support/client.h"
#include "support/server.h"

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static qmp_client *client;

/* The number of the first call that did not say FORKED, or 0. */
static int call_everything(void)
{
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
    return 0;
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
    server *server = server_start(serve_plainly);
    client = connect_to(server_address(server));
    REQUIRE(client);
    CHECK_STATUS(execute(client, "stop"), QMP_OK);
    size_t before = server_heard(server);
    CHECK_INT(call_everything_in_a_child(), 0);
    CHECK_INT(server_heard(server), before);
    for (int i = 0; i < 10; i++)
        CHECK_STATUS(execute(client, "stop"), QMP_OK);
    CHECK_STATUS(qmp_close(client), QMP_OK);
    server_stop(server);
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
    server *server = server_start(serve_plainly);
    pthread_t threads[4];
    atomic_bool done = false;
    client = connect_to(server_address(server));
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
    server_stop(server);
}

int main(void)
{
    RUN(the_child_is_told_and_the_parent_goes_on);
    RUN(a_fork_in_the_middle_of_calls);
    return check_end();
}
