/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A user who may not connect is told so at once. */
#include "support/client.h"
#include "support/server.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* As another user; the number of the first thing that is not as it must be. */
static int be_refused(const char *address)
{
    qmp_client *client = NULL;
    qmp_error *error = NULL;
    qmp_options *options = qmp_options_new();
    int64_t start = now_ms();
    qmp_options_set_wait_for_socket(options, true); /* which does not help */
    if (setgid(65534) != 0 || setuid(65534) != 0)
        return 1;
    if (qmp_connect(address, options, PATIENCE_MS, NULL, &client, &error) != QMP_ERR_PERMISSION)
        return 2;
    if (!error || error->os_errno != EACCES)
        return 3;
    if (now_ms() - start >= PATIENCE_MS / 2)
        return 4; /* tried again */
    qmp_error_free(error);
    qmp_options_free(options);
    return 0;
}

static void expect_no_permission(const char *address)
{
    int status = 0;
    pid_t child = fork();
    if (child == 0)
        _exit(be_refused(address));
    CHECK_INT(waitpid(child, &status, 0), child);
    CHECK(WIFEXITED(status));
    CHECK_INT(WEXITSTATUS(status), 0);
}

static void f4_no_permission(void)
{
    if (geteuid() != 0)
        SKIP("only root can try as another user");
    server *server = server_start(serve_plainly);
    CHECK_INT(chmod(server_directory(server), 0711), 0);
    CHECK_INT(chmod(server_address(server) + strlen("unix:"), 0600), 0);
    expect_no_permission(server_address(server));
    /* A directory that may not be searched. */
    CHECK_INT(chmod(server_address(server) + strlen("unix:"), 0666), 0);
    CHECK_INT(chmod(server_directory(server), 0700), 0);
    expect_no_permission(server_address(server));
    CHECK_INT(server_clients(server), 0);
    server_stop(server);
}

int main(void)
{
    RUN(f4_no_permission);
    return check_end();
}
