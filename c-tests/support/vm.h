/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A real QEMU under test. It dies with the test. */
#ifndef VM_H
#define VM_H

#include <stdbool.h>
#include <sys/types.h>

typedef struct vm vm;

/* Skips the case where QEMU is missing, or fails it where QMP_REQUIRE_QEMU=1 says it must be there. */
#define NEED_QEMU() NEED(vm_possible(), "no qemu-system-x86_64 or no guest image")
#define NEED_STORAGE_DAEMON() NEED(vm_storage_daemon_possible(), "no qemu-storage-daemon")
#define NEED(possible, lack)                                                                       \
    do {                                                                                           \
        if (!(possible)) {                                                                         \
            CHECK(!vm_required());                                                                 \
            SKIP(lack);                                                                            \
        }                                                                                          \
    } while (0)
bool vm_possible(void);
bool vm_storage_daemon_possible(void);
bool vm_required(void);

/*
 * The guest is an image of tests/guest, or NULL for none; further arguments up to a NULL.
 * The VM's directory is the working directory of QEMU.
 */
vm *vm_start(const char *guest, ...) __attribute__((sentinel));
void vm_start_again(vm *vm, ...) __attribute__((sentinel)); /* killed, if it still runs, and started at the same place */
vm *vm_start_storage_daemon(void);
bool vm_wait_armed(vm *vm);    /* the guest listens to the power button */
bool vm_wait_exit(vm *vm);     /* the process is gone */
void vm_kill(vm *vm);          /* SIGKILL, and waits */
void vm_freeze(vm *vm);        /* SIGSTOP, and waits until it has stopped */
void vm_thaw(vm *vm);
const char *vm_address(const vm *vm);
const char *vm_directory(const vm *vm);
pid_t vm_pid(const vm *vm);
void vm_stop(vm *vm);          /* kills what still runs and cleans up */

#endif
