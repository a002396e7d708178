// SPDX-License-Identifier: MIT OR Apache-2.0
#include "bench.h"

#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CALLS = 2000 };

static void make_calls(const side *side, const target *target, int calls)
{
    ptrace(PTRACE_TRACEME, 0, NULL, NULL);
    raise(SIGSTOP);
    void *connection = side->open(target);
    while (calls-- > 0)
        side->call(connection);
    side->close(connection);
    _exit(0);
}

// All syscalls, of all threads, of a process that connects, makes `calls` calls and closes.
static long count(const side *side, const target *target, int calls)
{
    int status;
    pid_t child = fork();
    if (child == 0)
        make_calls(side, target, calls);
    if (child < 0 || waitpid(child, &status, 0) != child || !WIFSTOPPED(status) ||
        ptrace(PTRACE_SETOPTIONS, child, NULL, PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_EXITKILL))
        die("cannot trace a process");

    long stops = 0; // two to a syscall: one on the way in, one on the way out
    for (pid_t pid = child;;) {
        ptrace(PTRACE_SYSCALL, pid, NULL, NULL);
        do
            if ((pid = waitpid(-1, &status, __WALL)) < 0)
                die("lost the traced process");
        while (pid != child && !WIFSTOPPED(status));
        if (!WIFSTOPPED(status))
            break;
        stops += WSTOPSIG(status) == (SIGTRAP | 0x80);
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        die("the traced process failed");
    return stops / 2;
}

// The difference of two runs: what connecting and closing cost falls out.
double syscalls_per_call(const side *side, const target *target)
{
    long once = count(side, target, CALLS);
    return (double)(count(side, target, 2 * CALLS) - once) / CALLS;
}
