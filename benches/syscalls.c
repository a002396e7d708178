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

typedef struct tally {
    long caller, others; // stops, two to a syscall: on the way in, and on the way out
    double us;
} tally;

// The syscalls of a process that connects, makes `calls` calls and closes.
static tally count(const side *side, const target *target, int calls)
{
    int status;
    pid_t child = fork();
    if (child == 0)
        make_calls(side, target, calls);
    if (child < 0 || waitpid(child, &status, 0) != child || !WIFSTOPPED(status) ||
        ptrace(PTRACE_SETOPTIONS, child, NULL, PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_EXITKILL))
        die("cannot trace a process");

    tally stops = { .us = -now_us() };
    for (pid_t pid = child;;) {
        ptrace(PTRACE_SYSCALL, pid, NULL, NULL);
        do
            if ((pid = waitpid(-1, &status, __WALL)) < 0)
                die("lost the traced process");
        while (pid != child && !WIFSTOPPED(status));
        if (!WIFSTOPPED(status))
            break;
        if (WSTOPSIG(status) == (SIGTRAP | 0x80))
            *(pid == child ? &stops.caller : &stops.others) += 1;
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        die("the traced process failed");
    stops.us += now_us();
    return stops;
}

// The difference of two runs: what connecting and closing cost falls out.
syscalls syscalls_count(const side *side, const target *target)
{
    tally once = count(side, target, CALLS), twice = count(side, target, 2 * CALLS);
    return (syscalls){
        .per_call = (double)(twice.caller - once.caller) / 2 / CALLS,
        .others_per_ms = (double)(twice.others - once.others) / 2 / (twice.us - once.us) * 1e3,
    };
}
