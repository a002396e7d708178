/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Without descriptors a call says RESOURCE; with descriptors again it works again. */
#include "support/client.h"
#include "support/server.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

enum { LIMIT = 256 };

static int taken[LIMIT], count;

static void take_all_descriptors(int but)
{
    int fd;
    while (count < LIMIT && (fd = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0)
        taken[count++] = fd;
    CHECK_INT(errno, EMFILE);
    while (but-- > 0 && count > 0)
        close(taken[--count]);
}

static void give_them_back(void)
{
    while (count > 0)
        close(taken[--count]);
}

/* With none free, one free, two free and so on, until connecting works. */
static void f103_connecting_without_descriptors(void)
{
    server *server = server_start(serve_plainly);
    bool connected = false;
    for (int free_ones = 0; !connected && free_ones < 16; free_ones++) {
        qmp_client *client = (qmp_client *)1;
        qmp_error *error = NULL;
        take_all_descriptors(free_ones);
        /* The server needs one too. Without it the client waits, or is hung up on under valgrind. */
        qmp_status status = qmp_connect(server_address(server), NULL, 1000, NULL, &client, &error);
        give_them_back();
        connected = status == QMP_OK;
        if (connected) {
            CHECK(free_ones > 0);
            CHECK_STATUS(execute(client, "stop"), QMP_OK);
            CHECK_STATUS(qmp_close(client), QMP_OK);
        } else {
            if (free_ones == 0 || (status != QMP_ERR_BUSY && status != QMP_ERR_DISCONNECTED))
                CHECK_STATUS(status, QMP_ERR_RESOURCE);
            CHECK(status != QMP_ERR_RESOURCE || (error && error->os_errno == EMFILE));
            CHECK(client == NULL && error != NULL);
        }
        qmp_error_free(error);
    }
    CHECK(connected);
    server_stop(server);
}

static void f103_a_connection_goes_on_without_descriptors(void)
{
    server *server = server_start(serve_plainly);
    qmp_client *client = connect_to(server_address(server)), *other = NULL;
    qmp_cancel *cancel = qmp_cancel_new();
    qmp_error *error = NULL;
    char *text = NULL;
    REQUIRE(client);
    take_all_descriptors(0);
    for (int i = 0; i < 10; i++) {
        qmp_status status = qmp_execute_json(client, "stop", NULL, PATIENCE_MS, cancel, &text, NULL);
        CHECK(status == QMP_OK || status == QMP_ERR_RESOURCE);
        CHECK_STATUS(execute(client, "stop"), QMP_OK);
        qmp_string_free(text);
        CHECK_ERROR(qmp_connect(server_address(server), NULL, 1000, NULL, &other, &error), QMP_ERR_RESOURCE, error);
    }
    give_them_back();
    CHECK_STATUS(execute(client, "stop"), QMP_OK);
    other = connect_to(server_address(server));
    CHECK_STATUS(execute(other, "stop"), QMP_OK);
    qmp_cancel_free(cancel);
    qmp_close(other);
    qmp_close(client);
    server_stop(server);
}

static void f103_an_event_fd_without_descriptors(void)
{
    server *server = server_start(serve_plainly);
    qmp_client *client = connect_to(server_address(server));
    qmp_error *error = NULL;
    int32_t fd = -1;
    REQUIRE(client);
    take_all_descriptors(0);
    qmp_status status = qmp_event_fd(client, &fd, &error);
    CHECK(status == QMP_OK || status == QMP_ERR_RESOURCE);
    qmp_error_free(error);
    give_them_back();
    CHECK_STATUS(qmp_event_fd(client, &fd, NULL), QMP_OK);
    CHECK(fcntl(fd, F_GETFD) >= 0);
    qmp_close(client);
    server_stop(server);
}

int main(void)
{
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = LIMIT;
    setrlimit(RLIMIT_NOFILE, &limit);
    RUN(f103_connecting_without_descriptors);
    RUN(f103_a_connection_goes_on_without_descriptors);
    RUN(f103_an_event_fd_without_descriptors);
    return check_end();
}
