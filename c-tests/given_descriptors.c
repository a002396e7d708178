/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Descriptors that a VM or the caller gives away are closed, whatever happens. */
#include "support/client.h"
#include "support/server.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PASSED = 3 };

static int kept[PASSED]; /* writing ends of the pipes whose reading ends were passed */

/* Sends text with the reading ends of fresh pipes. */
static void say_with_descriptors(peer *peer, const char *text)
{
    int passed[PASSED];
    for (int i = 0; i < PASSED; i++) {
        int ends[2];
        CHECK_INT(pipe2(ends, O_CLOEXEC), 0);
        passed[i] = ends[0];
        kept[i] = ends[1];
    }
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof passed)];
    } control = {0};
    struct iovec data = {.iov_base = (char *)text, .iov_len = strlen(text)};
    struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
    control.header.cmsg_level = SOL_SOCKET;
    control.header.cmsg_type = SCM_RIGHTS;
    control.header.cmsg_len = CMSG_LEN(sizeof passed);
    memcpy(CMSG_DATA(&control.header), passed, sizeof passed);
    CHECK_INT(sendmsg(peer_fd(peer), &message, MSG_NOSIGNAL), strlen(text));
    for (int i = 0; i < PASSED; i++)
        close(passed[i]);
}

static void pass_descriptors(peer *peer)
{
    char *command, id[32], text[64];
    if (!peer_greet(peer))
        return;
    for (; (command = peer_hear(peer)); free(command)) {
        if (is_command(command, "pass")) {
            CHECK(command_id(command, id, sizeof id));
            snprintf(text, sizeof text, "{\"return\": {}, \"id\": %s}", id);
            say_with_descriptors(peer, text);
        } else if (is_command(command, "pass-with-event")) {
            say_with_descriptors(peer, "{\"event\": \"PASSED\"}");
            peer_answer(peer, command, "{}");
        } else {
            peer_answer(peer, command, "{}");
        }
    }
}

/* A pipe that nobody can read from any more is broken. */
static void passed_ones_are_closed(void)
{
    for (int i = 0; i < PASSED; i++) {
        struct pollfd end = {.fd = kept[i]};
        CHECK_INT(poll(&end, 1, PATIENCE_MS), 1);
        CHECK(end.revents & POLLERR);
        close(kept[i]);
    }
}

static void f112_what_the_vm_passes_is_closed(void)
{
    server *server = server_start(pass_descriptors);
    qmp_client *client = connect_to(server_address(server));
    REQUIRE(client);
    int before = count_descriptors();
    for (int round = 0; round < rounds(100); round++) {
        CHECK_STATUS(execute(client, "pass"), QMP_OK);
        passed_ones_are_closed();
        CHECK_STATUS(execute(client, "pass-with-event"), QMP_OK);
        passed_ones_are_closed();
    }
    CHECK_INT(count_descriptors(), before);
    CHECK_STATUS(qmp_close(client), QMP_OK);
    server_stop(server);
}

static qmp_status connect_over(int fd, qmp_cancel *cancel, int64_t timeout_ms)
{
    char address[32];
    qmp_client *client = (qmp_client *)1;
    qmp_error *error = NULL;
    snprintf(address, sizeof address, "fd:%d", fd);
    qmp_status status = qmp_connect(address, NULL, timeout_ms, cancel, &client, &error);
    check_error(error, status, address, __FILE__, __LINE__);
    CHECK(client == NULL);
    return status;
}

static bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

static void say_nonsense(peer *peer)
{
    peer_say(peer, "SSH-2.0-OpenSSH_9.2\r\n");
    peer_wait_end(peer);
}

static void f112_a_given_one_is_closed_when_connecting_fails(void)
{
    server *silent = server_start_tcp(peer_wait_end), *strange = server_start_tcp(say_nonsense);
    qmp_cancel *cancel = qmp_cancel_new();
    int fd = server_connect(silent);
    CHECK_STATUS(connect_over(fd, NULL, 1000), QMP_ERR_BUSY);
    CHECK(!is_open(fd));
    fd = server_connect(strange);
    CHECK_STATUS(connect_over(fd, NULL, PATIENCE_MS), QMP_ERR_PROTOCOL);
    CHECK(!is_open(fd));
    fd = server_connect(silent);
    CHECK_STATUS(qmp_cancel_trigger(cancel), QMP_OK);
    CHECK_STATUS(connect_over(fd, cancel, QMP_FOREVER), QMP_ERR_CANCELLED);
    CHECK(!is_open(fd));
    CHECK_SOON(server_open(silent) == 0 && server_open(strange) == 0);
    qmp_cancel_free(cancel);
    server_stop(silent);
    server_stop(strange);
}

/* What could not be taken over is still the caller's, unharmed. */
static void f112_a_wrong_one_stays_the_callers(void)
{
    server *server = server_start_tcp(serve_plainly);
    int fd = server_connect(server), ends[2];
    CHECK_INT(pipe2(ends, O_CLOEXEC), 0);
    CHECK_STATUS(connect_over(ends[0], NULL, 1000), QMP_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(connect_over(fd, (qmp_cancel *)1, 1000), QMP_ERR_INVALID_HANDLE);
    CHECK_STATUS(connect_over(fd, NULL, -2), QMP_ERR_INVALID_ARGUMENT);
    CHECK(is_open(ends[0]) && is_open(fd));
    close(ends[0]);
    close(ends[1]);
    CHECK_STATUS(connect_over(ends[0], NULL, 1000), QMP_ERR_INVALID_ARGUMENT);
    close(fd);
    server_stop(server);
}

int main(void)
{
    RUN(f112_what_the_vm_passes_is_closed);
    RUN(f112_a_given_one_is_closed_when_connecting_fails);
    RUN(f112_a_wrong_one_stays_the_callers);
    return check_end();
}
