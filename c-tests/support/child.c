/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "child.h"

#include "check.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

/*
 * The child does not exit but kills itself: valgrind would report as lost what the parent's
 * threads, which the child does not have, had on their stacks.
 */
void run_in_child(void (*body)(void))
{
    int status = 0, ends[2];
    bool failed = true;
    REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
    pid_t child = fork();
    if (child == 0) {
        body();
        failed = check_failed();
        if (write(ends[1], &failed, sizeof failed) == sizeof failed)
            kill(getpid(), SIGKILL);
        _exit(1);
    }
    close(ends[1]);
    CHECK(child > 0 && read(ends[0], &failed, sizeof failed) == sizeof failed && !failed);
    CHECK_INT(waitpid(child, &status, 0), child);
    close(ends[0]);
}
