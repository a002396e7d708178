/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A program that the host starts inherits no descriptor of the library. */
#include "support/client.h"
#include "support/server.h"

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char *self;

static int descriptors_of_a_new_program(void)
{
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        execl(self, self, "count", (char *)NULL);
        _exit(255);
    }
    if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status))
        return -1;
    return WEXITSTATUS(status);
}

static void nothing_is_inherited(void)
{
    int before = descriptors_of_a_new_program();
    server *server = server_start(serve_plainly), *tcp = server_start_tcp(serve_plainly);
    qmp_client *client = connect_to(server_address(server)), *other = connect_to(server_address(tcp));
    qmp_cancel *cancel = qmp_cancel_new();
    qmp_event *event = NULL;
    int32_t fd;
    REQUIRE(client && other);
    CHECK(before >= 0 && before < 255);
    CHECK_STATUS(execute(client, "stop"), QMP_OK);
    CHECK_STATUS(execute(other, "stop"), QMP_OK);
    CHECK_STATUS(qmp_event_fd(client, &fd, NULL), QMP_OK);
    CHECK_STATUS(qmp_poll_event(client, 10, cancel, &event, NULL), QMP_ERR_TIMEOUT);
    CHECK_INT(descriptors_of_a_new_program(), before);
    qmp_cancel_free(cancel);
    qmp_close(client);
    qmp_close(other);
    server_stop(server);
    server_stop(tcp);
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "count") == 0)
        return count_descriptors();
    self = realpath(argv[0], NULL);
    RUN(nothing_is_inherited);
    free(self);
    return check_end();
}
