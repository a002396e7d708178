/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The examples of VMs in other people's loops hear every event, and end with the VM. */
#include "support/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static qmp_error *error;

static void watches(const char *loop)
{
    char program[512], line[64];
    qmp_mock *mock = NULL;
    char *address = NULL;
    int ends[2];
    snprintf(program, sizeof program, "%s/loop_%s", OUT, loop);
    if (access(program, X_OK) != 0)
        SKIP("its loop's library is missing");
    CHECK_STATUS(qmp_mock_start(NULL, &mock, &error), QMP_OK);
    CHECK_STATUS(qmp_mock_address(mock, &address, &error), QMP_OK);
    REQUIRE(pipe(ends) == 0);
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDOUT_FILENO);
        execl(program, program, address, (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    FILE *said = fdopen(ends[0], "r");
    CHECK(fgets(line, sizeof line, said) && strcmp(line, "watching\n") == 0);
    CHECK_STATUS(qmp_mock_emit(mock, "FIRST", NULL, &error), QMP_OK);
    CHECK_STATUS(qmp_mock_emit(mock, "SECOND", NULL, &error), QMP_OK);
    CHECK_STATUS(qmp_mock_disconnect(mock, &error), QMP_OK);
    CHECK(fgets(line, sizeof line, said) && strcmp(line, "FIRST\n") == 0);
    CHECK(fgets(line, sizeof line, said) && strcmp(line, "SECOND\n") == 0);
    CHECK(!fgets(line, sizeof line, said));
    fclose(said);
    int status = -1;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK_INT(status, 0);
    qmp_string_free(address);
    CHECK_STATUS(qmp_mock_stop(mock), QMP_OK);
}

static void plain_epoll(void)
{
    watches("epoll");
}

static void glibs_main_loop(void)
{
    watches("glib");
}

static void libuvs_loop(void)
{
    watches("libuv");
}

int main(void)
{
    RUN(plain_epoll);
    RUN(glibs_main_loop);
    RUN(libuvs_loop);
    return check_end();
}
