/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Where no thread can be made a call says RESOURCE; where one can be again it works again. */
#include "support/child.h"
#include "support/client.h"
#include "support/server.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NOBODY_ELSE = 61234 }; /* a user without processes: the limit counts them all */

static void limit_threads(rlim_t most)
{
    struct rlimit limit;
    getrlimit(RLIMIT_NPROC, &limit);
    limit.rlim_cur = most;
    CHECK_INT(setrlimit(RLIMIT_NPROC, &limit), 0);
}

static void expect_no_thread(const char *to)
{
    for (int i = 0; i < 3; i++) {
        qmp_client *client = (qmp_client *)1;
        qmp_error *error = NULL;
        qmp_status status = qmp_connect(to, NULL, PATIENCE_MS, NULL, &client, &error);
        CHECK(client == NULL);
        CHECK_INT(error ? error->os_errno : 0, EAGAIN);
        CHECK_ERROR(status, QMP_ERR_RESOURCE, error);
    }
}

static const char *address;
static char by_name[64]; /* a TCP address for which a thread has to ask the resolver */

/* As a user who may have one thread, and then more. */
static void connect_without_threads(void)
{
    REQUIRE(setgid(NOBODY_ELSE) == 0 && setuid(NOBODY_ELSE) == 0);
    int descriptors = count_descriptors();
    limit_threads(1);
    expect_no_thread(address); /* not the I/O thread, */
    expect_no_thread(by_name); /* nor one for the resolver */
    CHECK_INT(count_descriptors(), descriptors);

    limit_threads(16);
    qmp_client *client = connect_to(address), *named = connect_to(by_name);
    CHECK_STATUS(execute(client, "stop"), QMP_OK);
    CHECK_STATUS(execute(named, "stop"), QMP_OK);

    /* The I/O thread is there: a connection over a path needs no other. */
    limit_threads(1);
    expect_no_thread(by_name);
    qmp_client *second = connect_to(address);
    CHECK_STATUS(execute(second, "stop"), QMP_OK);
    CHECK_STATUS(qmp_close(second), QMP_OK);
    CHECK_STATUS(qmp_close(named), QMP_OK);
    CHECK_STATUS(qmp_close(client), QMP_OK);
    CHECK_SOON(count_threads() == 2);
}

static void f104_connecting_without_threads(void)
{
    if (geteuid() != 0)
        SKIP("only root can become a user who has a limit");
    server *server = server_start(serve_plainly), *tcp = server_start_tcp(serve_plainly);
    address = server_address(server);
    snprintf(by_name, sizeof by_name, "tcp:localhost%s", strrchr(server_address(tcp), ':'));
    CHECK_INT(chmod(server_directory(server), 0711), 0);
    CHECK_INT(chmod(address + strlen("unix:"), 0666), 0);
    run_in_child(connect_without_threads);
    server_stop(server);
    server_stop(tcp);
}

int main(void)
{
    RUN(f104_connecting_without_threads);
    return check_end();
}
