/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* An address that cannot be one is refused before any system call. */
#include "support/client.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* From now on this process may do no more than use memory and end: anything else kills it. */
static void allow_no_system_calls(void)
{
    const int allowed[] = {SYS_exit_group, SYS_brk, SYS_mmap, SYS_munmap, SYS_mprotect, SYS_madvise, SYS_futex,
                           SYS_getrandom};
    enum { COUNT = sizeof allowed / sizeof *allowed };
    struct sock_filter code[2 * COUNT + 2] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr))};
    for (int i = 0; i < COUNT; i++) {
        code[2 * i + 1] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)allowed[i], 0, 1);
        code[2 * i + 2] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    }
    code[2 * COUNT + 1] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
    struct sock_fprog program = {.len = 2 * COUNT + 2, .filter = code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
        _exit(99);
}

/* How connecting went in a process without system calls, as waitpid tells it. */
static int connect_without_system_calls(const char *path)
{
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        qmp_client *client = NULL;
        qmp_error *error = NULL;
        allow_no_system_calls();
        qmp_status given = qmp_connect(path, NULL, 1000, NULL, &client, &error);
        _exit(given == QMP_ERR_INVALID_ARGUMENT && error && !client ? 0 : 1);
    }
    CHECK_INT(waitpid(child, &status, 0), child);
    return status;
}

static void f6_f7_refused_before_any_system_call(void)
{
    char path[109] = "/";
    if (is_instrumented())
        SKIP("what watches the program makes system calls of its own");
    memset(path + 1, 'x', sizeof path - 2);
    int status = connect_without_system_calls(path);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 99)
        SKIP("the kernel has no seccomp");
    CHECK_INT(status, 0);
    CHECK_INT(connect_without_system_calls(""), 0);
    CHECK_INT(connect_without_system_calls("unix:"), 0);
    /* One byte less is looked for, which shows that looking would be seen. */
    path[107] = '\0';
    status = connect_without_system_calls(path);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
}

int main(void)
{
    RUN(f6_f7_refused_before_any_system_call);
    return check_end();
}
