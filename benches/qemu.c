// SPDX-License-Identifier: MIT OR Apache-2.0
#include "bench.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define QEMU "qemu-system-x86_64"

static bool listens(const char *path)
{
    int fd = unix_connect(path);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

pid_t qemu_start(const char *path)
{
    if (system("command -v " QEMU " >/dev/null") != 0)
        return 0;
    char monitor[160];
    snprintf(monitor, sizeof monitor, "unix:%s,server=on,wait=off", path);
    pid_t pid = fork();
    if (pid < 0)
        die("cannot start %s", QEMU);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        execlp(QEMU, QEMU, "-accel", "tcg", "-machine", "none", "-nodefaults", "-display", "none", "-qmp", monitor,
               (char *)NULL);
        _exit(127);
    }
    const struct timespec pause = { .tv_nsec = 10000000 };
    for (double deadline = now_us() + 20e6; !listens(path); nanosleep(&pause, NULL))
        if (waitpid(pid, NULL, WNOHANG) != 0 || now_us() > deadline)
            die("%s did not open %s", QEMU, path);
    return pid;
}

void qemu_stop(pid_t pid)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}
