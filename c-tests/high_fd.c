/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Descriptors above 1023, which select() could not hold, are like any other. */
#include "support/client.h"
#include "support/server.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

enum { HIGH = 1100 };

static void f107_everything_works_up_there(void)
{
    struct rlimit limit;
    int low[HIGH], count = 0, fd;
    getrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_max < 2 * HIGH)
        SKIP("the hard limit of open files is too low");
    limit.rlim_cur = 2 * HIGH;
    setrlimit(RLIMIT_NOFILE, &limit);
    while (count < HIGH && (fd = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0) {
        low[count++] = fd;
        if (fd > HIGH)
            break;
    }
    server *server = server_start(serve_ticking);
    qmp_client *client = connect_to(server_address(server));
    qmp_event *event = NULL;
    int32_t event_fd = 0;
    REQUIRE(client);
    CHECK_STATUS(qmp_event_fd(client, &event_fd, NULL), QMP_OK);
    CHECK(event_fd > 1023);
    for (int i = 0; i < 10; i++) {
        CHECK_STATUS(execute(client, "stop"), QMP_OK);
        CHECK_STATUS(qmp_poll_event(client, PATIENCE_MS, NULL, &event, NULL), QMP_OK);
        qmp_event_free(event);
    }
    CHECK_STATUS(qmp_close(client), QMP_OK);
    while (count > 0)
        close(low[--count]);
    server_stop(server);
}

int main(void)
{
    RUN(f107_everything_works_up_there);
    return check_end();
}
