// SPDX-License-Identifier: MIT OR Apache-2.0
// What an idle connection costs, with ten thousand of them open at once.
#include "bench.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { IDLE_VMS = 10000, OTHER_DESCRIPTORS = 100, QUIET_MS = 500 };

static long resident_bytes(void)
{
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (!file || fscanf(file, "%*d %ld", &pages) != 1)
        die("cannot read the memory in use");
    fclose(file);
    return pages * sysconf(_SC_PAGESIZE);
}

static void allow_descriptors(void)
{
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur >= IDLE_VMS + OTHER_DESCRIPTORS)
        return;
    limit.rlim_cur = IDLE_VMS + OTHER_DESCRIPTORS;
    if (limit.rlim_max < limit.rlim_cur)
        limit.rlim_max = limit.rlim_cur;
    if (setrlimit(RLIMIT_NOFILE, &limit))
        die("cannot have %d descriptors", IDLE_VMS + OTHER_DESCRIPTORS);
}

static void connect_to_all(qmp_client **clients, int count, const char *path)
{
    for (int i = 0; i < count; i++)
        if (qmp_connect(path, NULL, TIMEOUT_MS, NULL, &clients[i], NULL) != QMP_OK)
            die("cannot connect to VM %d", i);
}

static int open_descriptors(void)
{
    int count = 0;
    for (int fd = 0; fd < IDLE_VMS + OTHER_DESCRIPTORS; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

double idle_bytes(const char *path)
{
    static qmp_client *clients[IDLE_VMS], *first[OTHER_DESCRIPTORS / 10];
    const struct timespec quiet = { .tv_nsec = QUIET_MS * 1000000L };
    allow_descriptors();
    memset(clients, 0, sizeof clients);
    // What every process with the library has once is not counted.
    connect_to_all(first, OTHER_DESCRIPTORS / 10, path);
    nanosleep(&quiet, NULL);
    int descriptors = open_descriptors();
    long before = resident_bytes();
    connect_to_all(clients, IDLE_VMS, path);
    nanosleep(&quiet, NULL);
    double each = (double)(resident_bytes() - before) / IDLE_VMS;
    for (int i = 0; i < IDLE_VMS; i++) {
        bool running = false;
        if (i % 1000 == 0 && (qmp_is_running(clients[i], TIMEOUT_MS, NULL, &running, NULL) != QMP_OK || !running))
            die("VM %d does not answer", i);
    }
    for (int i = 0; i < IDLE_VMS; i++)
        if (qmp_close(clients[i]) != QMP_OK)
            die("cannot close client %d", i);
    if (open_descriptors() != descriptors)
        die("%d descriptors were open before, now %d are", descriptors, open_descriptors());
    for (int i = 0; i < OTHER_DESCRIPTORS / 10; i++)
        qmp_close(first[i]);
    return each;
}
