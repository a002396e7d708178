/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A program that the host starts inherits no descriptor of the library. */
#include "support/client.h"
#include "support/server.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char *self;

/* As the new program: what it inherited beside the standard streams, a line each. */
static int list_descriptors(void)
{
    DIR *directory = opendir("/proc/self/fd");
    for (struct dirent *entry; (entry = readdir(directory));) {
        int fd = atoi(entry->d_name);
        char target[256] = "";
        if (fd > STDERR_FILENO && fd != dirfd(directory) &&
            readlinkat(dirfd(directory), entry->d_name, target, sizeof target - 1) > 0)
            printf("%d %s\n", fd, target);
    }
    closedir(directory);
    return 0;
}

/* What a new program inherits, to be freed. */
static char *inherited(void)
{
    char *text = calloc(1, 65536);
    size_t length = 0;
    int status = 0, ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return text;
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDOUT_FILENO);
        execl(self, self, "list", (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    for (ssize_t got; (got = read(ends[0], text + length, 65535 - length)) > 0;)
        length += (size_t)got;
    close(ends[0]);
    CHECK(child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status));
    CHECK_INT(WEXITSTATUS(status), 0);
    return text;
}

static void f102_nothing_is_inherited(void)
{
    char *before = inherited(), *now, given[32];
    server *server = server_start(serve_plainly), *tcp = server_start_tcp(serve_plainly);
    int fd = server_connect(tcp);
    int32_t event_fd;
    CHECK_INT(fcntl(fd, F_SETFD, 0), 0);
    now = inherited();
    CHECK(strcmp(now, before) != 0); /* what is not closed is seen */
    free(now);

    snprintf(given, sizeof given, "fd:%d", fd);
    qmp_client *clients[] = {connect_to(server_address(server)), connect_to(server_address(tcp)), connect_to(given)};
    qmp_cancel *cancel = qmp_cancel_new();
    qmp_event *event = NULL;
    for (int i = 0; i < 3; i++) {
        CHECK_STATUS(execute(clients[i], "stop"), QMP_OK);
        CHECK_STATUS(qmp_event_fd(clients[i], &event_fd, NULL), QMP_OK);
        CHECK_STATUS(qmp_poll_event(clients[i], 10, cancel, &event, NULL), QMP_ERR_TIMEOUT);
    }
    now = inherited();
    CHECK_STR(now, before);
    free(now);
    for (int i = 0; i < 3; i++)
        qmp_close(clients[i]);
    qmp_cancel_free(cancel);
    server_stop(server);
    server_stop(tcp);
    free(before);
}

struct maker {
    const char *address;
    atomic_bool *done;
};

static void *keep_making_descriptors(void *data)
{
    struct maker *maker = data;
    while (!atomic_load(maker->done)) {
        qmp_client *client = connect_to(maker->address);
        qmp_cancel *cancel = qmp_cancel_new();
        qmp_event *event = NULL;
        int32_t fd;
        CHECK_STATUS(qmp_event_fd(client, &fd, NULL), QMP_OK);
        CHECK_STATUS(qmp_poll_event(client, 1, cancel, &event, NULL), QMP_ERR_TIMEOUT);
        CHECK_STATUS(qmp_close(client), QMP_OK);
        qmp_cancel_free(cancel);
    }
    return NULL;
}

/* There is no moment between making a descriptor and marking it. */
static void f102_nor_while_other_threads_connect(void)
{
    server *server = server_start(serve_plainly), *tcp = server_start_tcp(serve_plainly);
    atomic_bool done = false;
    struct maker makers[] = {{server_address(server), &done}, {server_address(tcp), &done}};
    pthread_t threads[4];
    char *before = inherited();
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, keep_making_descriptors, &makers[i % 2]);
    for (int round = 0; round < rounds(100); round++) {
        char *now = inherited();
        CHECK_STR(now, before);
        free(now);
    }
    atomic_store(&done, true);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    free(before);
    server_stop(server);
    server_stop(tcp);
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "list") == 0)
        return list_descriptors();
    self = realpath(argv[0], NULL);
    RUN(f102_nothing_is_inherited);
    RUN(f102_nor_while_other_threads_connect);
    free(self);
    return check_end();
}
