/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A thousand connections at once: all work, and none has a thread of its own. */
#include "support/client.h"
#include "support/server.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { HANDLES = 1000 };

static void name_of(const char *thread, char *name, size_t size)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/task/%.16s/comm", thread);
    FILE *file = fopen(path, "r");
    if (!file || !fgets(name, (int)size, file))
        *name = '\0';
    if (file)
        fclose(file);
}

/* The library's threads have names; the test's and its server's have the program's. */
static int named_threads(void)
{
    char ours[32], name[32];
    int named = 0;
    FILE *comm = fopen("/proc/self/comm", "r");
    CHECK(comm && fgets(ours, sizeof ours, comm));
    fclose(comm);
    DIR *tasks = opendir("/proc/self/task");
    for (struct dirent *task; (task = readdir(tasks));) {
        if (task->d_name[0] == '.')
            continue;
        name_of(task->d_name, name, sizeof name);
        if (*name && strcmp(name, ours) != 0)
            named++;
    }
    closedir(tasks);
    return named;
}

static void f107_a_thousand_handles(void)
{
    int count = rounds(HANDLES);
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max < 8192 ? limit.rlim_max : 8192;
    if (limit.rlim_cur < (rlim_t)(3 * count + 64))
        SKIP("the hard limit of open files is too low");
    setrlimit(RLIMIT_NOFILE, &limit);

    server *server = server_start(serve_ticking);
    qmp_client **clients = calloc((size_t)count, sizeof *clients);
    qmp_event *event = NULL;
    for (int i = 0; i < count; i++)
        CHECK((clients[i] = connect_to(server_address(server))) != NULL);
    for (int i = 0; i < count; i++)
        CHECK_STATUS(execute(clients[i], "stop"), QMP_OK);
    CHECK(named_threads() <= 1);
    for (int i = count - 1; i >= 0; i--) {
        CHECK_STATUS(qmp_poll_event(clients[i], PATIENCE_MS, NULL, &event, NULL), QMP_OK);
        qmp_event_free(event);
    }
    for (int i = 0; i < count; i++)
        CHECK_STATUS(qmp_close(clients[i]), QMP_OK);
    CHECK_SOON(server_open(server) == 0);
    free(clients);
    server_stop(server);
}

int main(void)
{
    RUN(f107_a_thousand_handles);
    return check_end();
}
