/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The measure is VmHWM, the most memory that was resident: all that the machine had to give, the
 * allocator's part and copies made while a buffer grew included. It can be set back, which the peak
 * of getrusage cannot, and mallinfo2 knows no peak. The kernel keeps it in parts, one for each CPU,
 * and sums them up loosely, so a process that is measured stays on one CPU.
 */
#include "memory.h"

#include "check.h"
#include "file.h"

#include <malloc.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static bool any_failed;

void memory_run(const char *name, void (*test)(void))
{
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        check_run(name, test);
        exit(check_end());
    }
    any_failed |= waitpid(child, &status, 0) != child || status != 0;
}

int memory_end(void)
{
    return any_failed;
}

struct remote {
    pid_t pid;
    int stop; /* a byte ends the child */
    char address[128];
};

static void serve(server_script *script, int address, int stop)
{
    char end;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    server *server = server_start(script);
    if (write(address, server_address(server), strlen(server_address(server)) + 1) < 0)
        _exit(1);
    if (read(stop, &end, 1) == 1)
        server_stop(server);
    _exit(0);
}

remote *remote_start(server_script *script)
{
    remote *remote = calloc(1, sizeof *remote);
    int address[2], stop[2];
    if (pipe(address) != 0 || pipe(stop) != 0 || (remote->pid = fork()) < 0)
        abort();
    if (remote->pid == 0) {
        close(stop[1]);
        serve(script, address[1], stop[0]);
    }
    close(address[1]);
    close(stop[0]);
    remote->stop = stop[1];
    if (read(address[0], remote->address, sizeof remote->address) <= 0)
        abort();
    close(address[0]);
    return remote;
}

const char *remote_address(const remote *remote)
{
    return remote->address;
}

void remote_stop(remote *remote)
{
    if (write(remote->stop, "", 1) == 1)
        waitpid(remote->pid, NULL, 0);
    close(remote->stop);
    free(remote);
}

static long marked;

/* In bytes, of a line like "VmHWM:   1234 kB". */
static long peak(void)
{
    char *status = file_text("/proc/self/status");
    const char *line = status ? strstr(status, "VmHWM:") : NULL;
    long kib = line ? strtol(line + strlen("VmHWM:"), NULL, 10) : 0;
    free(status);
    return kib * 1024;
}

static void stay_on_this_cpu(void)
{
    cpu_set_t here;
    int cpu = sched_getcpu();
    CPU_ZERO(&here);
    CPU_SET(cpu, &here);
    if (cpu < 0 || sched_setaffinity(0, sizeof here, &here) != 0)
        perror("sched_setaffinity");
}

bool memory_mark(void)
{
    FILE *peaks = fopen("/proc/self/clear_refs", "w");
    if (!peaks)
        return false;
    stay_on_this_cpu();
    /* Nor is it the library's choice to be given two MiB where it touches a byte. */
    prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
    /* What was freed and kept would be used again, and not be counted. */
    malloc_trim(0);
    bool cleared = fputs("5", peaks) >= 0;
    cleared &= fclose(peaks) == 0;
    marked = peak();
    return cleared && marked > 0;
}

void memory_check(double most, const char *what, ...)
{
    char text[256];
    double grown = (double)(peak() - marked);
    va_list arguments;
    va_start(arguments, what);
    vsnprintf(text, sizeof text, what, arguments);
    va_end(arguments);
    printf("memory: %s grew %.1f MiB%s\n", text, grown / MIB, memory_is_countable() ? "" : ", tools included");
    if (memory_is_countable() && grown > most)
        check_fail(__FILE__, __LINE__, "%s: at most %.1f MiB were allowed", text, most / MIB);
}

int64_t soak_ms(void)
{
    const char *seconds = getenv("SOAK_SECONDS");
    return seconds && *seconds ? strtoll(seconds, NULL, 10) * 1000 : 1000;
}
