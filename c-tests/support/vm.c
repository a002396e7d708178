/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "vm.h"

#include "check.h"
#include "directory.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MAX_ARGUMENTS = 64 };

struct vm {
    pid_t pid; /* 0 once it was waited for */
    int serial;
    char directory[64];
    char address[128];
};

static const char *qemu(void)
{
    const char *named = getenv("QEMU");
    return named ? named : "qemu-system-x86_64";
}

static const char *guests(void)
{
    const char *named = getenv("QMP_GUESTS");
    return named ? named : GUESTS;
}

static bool runnable(const char *program)
{
    if (strchr(program, '/'))
        return access(program, X_OK) == 0;
    char *path = strdup(getenv("PATH") ? getenv("PATH") : "/usr/bin:/bin");
    bool found = false;
    char *rest = path;
    for (char *part; !found && (part = strsep(&rest, ":"));) {
        char candidate[4096];
        snprintf(candidate, sizeof candidate, "%s/%s", part, program);
        found = access(candidate, X_OK) == 0;
    }
    free(path);
    return found;
}

bool vm_storage_daemon_possible(void)
{
    return runnable("qemu-storage-daemon");
}

bool vm_possible(void)
{
    char image[4096];
    snprintf(image, sizeof image, "%s/honours.img", guests());
    return runnable(qemu()) && access(image, R_OK) == 0;
}

bool vm_required(void)
{
    const char *required = getenv("QMP_REQUIRE_QEMU");
    return required && strcmp(required, "1") == 0;
}

static void run(const char *directory, int serial, const char *const *arguments)
{
    int null = open("/dev/null", O_RDONLY);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (chdir(directory) != 0 || dup2(null, STDIN_FILENO) < 0 || dup2(serial, STDOUT_FILENO) < 0)
        _exit(126);
    execvp(arguments[0], (char *const *)arguments);
    _exit(127);
}

/* A VM with a directory, a socket to be and nothing that runs. */
static vm *prepare(void)
{
    vm *vm = calloc(1, sizeof *vm);
    directory_make(vm->directory, sizeof vm->directory);
    snprintf(vm->address, sizeof vm->address, "unix:%s/qmp", vm->directory);
    return vm;
}

static void launch(vm *vm, const char *const *arguments)
{
    int serial[2];
    if (pipe2(serial, O_CLOEXEC) != 0 || (vm->pid = fork()) < 0) {
        perror("vm_start");
        abort();
    }
    if (vm->pid == 0)
        run(vm->directory, serial[1], arguments);
    close(serial[1]);
    vm->serial = serial[0];
}

static void launch_qemu(vm *vm, const char *guest, va_list more)
{
    char drive[4096];
    const char *arguments[MAX_ARGUMENTS] = {
        qemu(), "-M", "pc", "-accel", "tcg", "-m", "32", "-nodefaults", "-display", "none",
        "-qmp", "unix:qmp,server=on,wait=off", "-chardev", "stdio,id=serial,signal=off", "-serial", "chardev:serial",
    };
    size_t count = 16;
    if (guest) {
        snprintf(drive, sizeof drive, "file=%s/%s.img,format=raw,if=ide,snapshot=on", guests(), guest);
        arguments[count++] = "-drive";
        arguments[count++] = drive;
    }
    for (const char *argument; (argument = va_arg(more, const char *)) && count < MAX_ARGUMENTS - 1;)
        arguments[count++] = argument;
    launch(vm, arguments);
}

vm *vm_start(const char *guest, ...)
{
    vm *vm = prepare();
    va_list more;
    va_start(more, guest);
    launch_qemu(vm, guest, more);
    va_end(more);
    return vm;
}

void vm_start_again(vm *vm, ...)
{
    va_list more;
    vm_kill(vm);
    close(vm->serial);
    va_start(more, vm);
    launch_qemu(vm, NULL, more);
    va_end(more);
}

vm *vm_start_storage_daemon(void)
{
    vm *vm = prepare();
    launch(vm, (const char *const[]){"qemu-storage-daemon", "--chardev", "socket,id=qmp,path=qmp,server=on,wait=off",
                                     "--monitor", "chardev=qmp", NULL});
    return vm;
}

bool vm_wait_armed(vm *vm)
{
    struct pollfd serial = {.fd = vm->serial, .events = POLLIN};
    char byte = 0;
    while (poll(&serial, 1, PATIENCE_MS) > 0 && read(vm->serial, &byte, 1) == 1)
        if (byte == 'A')
            return true;
    return false;
}

bool vm_wait_exit(vm *vm)
{
    int64_t deadline = now_ms() + PATIENCE_MS;
    while (vm->pid != 0 && now_ms() < deadline) {
        if (waitpid(vm->pid, NULL, WNOHANG) == vm->pid)
            vm->pid = 0;
        else
            nap();
    }
    return vm->pid == 0;
}

void vm_kill(vm *vm)
{
    if (vm->pid == 0)
        return;
    kill(vm->pid, SIGKILL);
    waitpid(vm->pid, NULL, 0);
    vm->pid = 0;
}

void vm_freeze(vm *vm)
{
    kill(vm->pid, SIGSTOP);
    waitpid(vm->pid, NULL, WUNTRACED);
}

void vm_thaw(vm *vm)
{
    kill(vm->pid, SIGCONT);
}

const char *vm_address(const vm *vm)
{
    return vm->address;
}

const char *vm_directory(const vm *vm)
{
    return vm->directory;
}

pid_t vm_pid(const vm *vm)
{
    return vm->pid;
}

void vm_stop(vm *vm)
{
    vm_kill(vm);
    close(vm->serial);
    directory_remove(vm->directory);
    free(vm);
}
