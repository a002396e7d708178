// SPDX-License-Identifier: MIT OR Apache-2.0
#include "bench.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

// As the Makefile's variable says.
static const char *qemu(void)
{
    const char *chosen = getenv("QEMU");
    return chosen ? chosen : "qemu-system-x86_64";
}

static bool listens(const char *path)
{
    int fd = unix_connect(path);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

pid_t qemu_start(const char *path)
{
    char monitor[160], search[160];
    snprintf(search, sizeof search, "command -v '%s' >/dev/null", qemu());
    if (system(search) != 0)
        return 0;
    snprintf(monitor, sizeof monitor, "unix:%s,server=on,wait=off", path);
    pid_t pid = fork();
    if (pid < 0)
        die("cannot start %s", qemu());
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        execlp(qemu(), qemu(), "-accel", "tcg", "-machine", "none", "-nodefaults", "-display", "none", "-qmp", monitor,
               (char *)NULL);
        _exit(127);
    }
    const struct timespec pause = { .tv_nsec = 10000000 };
    for (double deadline = now_us() + 20e6; !listens(path); nanosleep(&pause, NULL))
        if (waitpid(pid, NULL, WNOHANG) != 0 || now_us() > deadline)
            die("%s did not open %s", qemu(), path);
    return pid;
}

void qemu_stop(pid_t pid)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}
