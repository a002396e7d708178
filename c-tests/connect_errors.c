/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Every way in which an address leads nowhere has its own status. */
#include "support/client.h"
#include "support/directory.h"
#include "support/server.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static char directory[64];

static const char *in_directory(const char *name)
{
    static _Thread_local char path[128];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    return path;
}

static int bound_socket(int type, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
    /* 107 bytes and the NUL fill sun_path. */
    memcpy(address.sun_path, path, strlen(path) + 1);
    CHECK_INT(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static void fails(const char *address, qmp_status expected, int expected_errno, int line)
{
    qmp_client *client = (qmp_client *)1;
    qmp_error *error = NULL;
    int64_t start = now_ms();
    qmp_status status = qmp_connect(address, NULL, PATIENCE_MS, NULL, &client, &error);
    if (now_ms() - start >= PATIENCE_MS / 2)
        check_fail(__FILE__, line, "%s: that was tried again", address);
    if (status != expected || client || !error || error->os_errno != expected_errno)
        check_fail(__FILE__, line, "%s: expected %s with errno %d, actual %s with errno %d (%s)", address,
                   qmp_status_name(expected), expected_errno, qmp_status_name(status), error ? error->os_errno : 0,
                   error ? error->message : "no error");
    /* Without its scheme, as a message may spell that differently. */
    const char *named = strncmp(address, "tcp:", 4) == 0 ? address + 4 : address;
    if (error && expected != QMP_ERR_INVALID_ARGUMENT)
        check_has(error->message, named, "the message", __FILE__, line);
    qmp_error_free(error);
    if (!status)
        qmp_close(client);
}

#define FAILS(address, status, os_errno) fails((address), (status), (os_errno), __LINE__)

static void f1_nothing_there(void)
{
    FAILS(in_directory("missing"), QMP_ERR_NOT_FOUND, ENOENT);
    FAILS("/nowhere/at/all", QMP_ERR_NOT_FOUND, ENOENT);
    CHECK_INT(symlink("missing", in_directory("dangling")), 0);
    FAILS(in_directory("dangling"), QMP_ERR_NOT_FOUND, ENOENT);
}

static void f2_no_socket(void)
{
    close(open(in_directory("file"), O_CREAT | O_WRONLY, 0600));
    FAILS(in_directory("file"), QMP_ERR_REFUSED, ECONNREFUSED);
    FAILS(directory, QMP_ERR_REFUSED, ECONNREFUSED);
    CHECK_INT(mkfifo(in_directory("fifo"), 0600), 0);
    FAILS(in_directory("fifo"), QMP_ERR_REFUSED, ECONNREFUSED);
}

static void f2_the_message_names_what_the_path_is(void)
{
    const char *const parts[][2] = {{"file", "file"}, {"fifo", "fifo"}, {"", "director"}};
    for (size_t i = 0; i < 3; i++) {
        qmp_client *client = NULL;
        qmp_error *error = NULL;
        qmp_connect(in_directory(parts[i][0]), NULL, PATIENCE_MS, NULL, &client, &error);
        REQUIRE(error);
        char *message = strdup(error->message), *at;
        while ((at = strstr(message, directory))) /* the path itself names nothing */
            memset(at, ' ', strcspn(at, " \":,"));
        for (char *letter = message; *letter; letter++)
            if (*letter >= 'A' && *letter <= 'Z')
                *letter += 'a' - 'A';
        CHECK_HAS(message, parts[i][1]);
        free(message);
        qmp_error_free(error);
    }
}

static void f3_not_a_stream(void)
{
    int datagram = bound_socket(SOCK_DGRAM, in_directory("datagram"));
    FAILS(in_directory("datagram"), QMP_ERR_PROTOCOL, EPROTOTYPE);
    int packets = bound_socket(SOCK_SEQPACKET, in_directory("packets"));
    listen(packets, 1);
    FAILS(in_directory("packets"), QMP_ERR_PROTOCOL, EPROTOTYPE);
    close(datagram);
    close(packets);
}

static void f5_nobody_listens(void)
{
    close(bound_socket(SOCK_STREAM, in_directory("stale")));
    FAILS(in_directory("stale"), QMP_ERR_REFUSED, ECONNREFUSED);
}

static void f6_path_lengths(void)
{
    char path[200];
    int length = snprintf(path, sizeof path, "%s/", directory);
    memset(path + length, 'x', sizeof path - (size_t)length);
    path[108] = '\0';
    FAILS(path, QMP_ERR_INVALID_ARGUMENT, 0);
    path[108] = 'x';
    path[199] = '\0';
    FAILS(path, QMP_ERR_INVALID_ARGUMENT, 0);

    /* 107 bytes are the most that fit: such a path is looked up, and works. */
    path[107] = '\0';
    FAILS(path, QMP_ERR_NOT_FOUND, ENOENT);
    int listener = bound_socket(SOCK_STREAM, path);
    FAILS(path, QMP_ERR_REFUSED, ECONNREFUSED);
    CHECK_INT(listen(listener, 1), 0);
    qmp_client *client = NULL;
    qmp_error *error = NULL;
    CHECK_ERROR(qmp_connect(path, NULL, 1000, NULL, &client, &error), QMP_ERR_BUSY, error);
    close(listener);
}

static void f7_no_address(void)
{
    const char *const addresses[] = {
        "", "unix:", "tcp:", "tcp:localhost", "tcp::4444", "tcp:localhost:", "tcp:localhost:port", "tcp:localhost:0",
        "tcp:localhost:65536", "tcp:localhost:-1", "tcp:[::1:4444", "tcp:[::1]", "fd:", "fd:x", "fd:-1", "fd:1x",
        "fd:99999999999", "tcp:\xff:1",
    };
    for (size_t i = 0; i < sizeof addresses / sizeof *addresses; i++) {
        qmp_client *client = (qmp_client *)1;
        qmp_error *error = NULL;
        qmp_status status = qmp_connect(addresses[i], NULL, 1000, NULL, &client, &error);
        if (status != QMP_ERR_INVALID_ARGUMENT || client)
            check_fail(__FILE__, __LINE__, "\"%s\": expected QMP_ERR_INVALID_ARGUMENT, actual %s", addresses[i],
                       qmp_status_name(status));
        qmp_error_free(error);
    }
}

/* An abstract name is one only after "abstract:"; a path is never read as one. */
static void f7_abstract_names_have_their_own_form(void)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    char bare[32], tagged[64], address[80];
    snprintf(bare, sizeof bare, "qmp-test-%d", (int)getpid());
    memcpy(name.sun_path + 1, bare, strlen(bare));
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(bare));
    CHECK_INT(bind(listener, (struct sockaddr *)&name, length), 0);
    CHECK_INT(listen(listener, 1), 0);
    FAILS(bare, QMP_ERR_NOT_FOUND, ENOENT);
    snprintf(tagged, sizeof tagged, "@%s", bare);
    FAILS(tagged, QMP_ERR_NOT_FOUND, ENOENT);
    snprintf(address, sizeof address, "unix:%s", tagged);
    FAILS(address, QMP_ERR_NOT_FOUND, ENOENT);

    qmp_client *client = NULL;
    qmp_error *error = NULL;
    snprintf(address, sizeof address, "abstract:%s", bare);
    CHECK_ERROR(qmp_connect(address, NULL, 1000, NULL, &client, &error), QMP_ERR_BUSY, error);
    close(listener);
    FAILS(address, QMP_ERR_REFUSED, ECONNREFUSED);
}

static void f15_tcp_refused(void)
{
    /* A port that was bound a moment ago and is listened on by nobody. */
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    char text[64];
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_INT(bind(fd, (struct sockaddr *)&address, length), 0);
    CHECK_INT(getsockname(fd, (struct sockaddr *)&address, &length), 0);
    snprintf(text, sizeof text, "tcp:127.0.0.1:%d", ntohs(address.sin_port));
    FAILS(text, QMP_ERR_REFUSED, ECONNREFUSED);
    close(fd);
}

/* A listener whose backlog is full drops what arrives, as a filter does. */
static void f15_tcp_filtered(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    qmp_client *client = (qmp_client *)1;
    qmp_error *error = NULL;
    char text[64];
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), clients[8];
    CHECK_INT(bind(listener, (struct sockaddr *)&address, length), 0);
    CHECK_INT(listen(listener, 0), 0);
    CHECK_INT(getsockname(listener, (struct sockaddr *)&address, &length), 0);
    for (int i = 0; i < 8; i++) {
        clients[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        connect(clients[i], (struct sockaddr *)&address, length);
    }
    snprintf(text, sizeof text, "tcp:127.0.0.1:%d", ntohs(address.sin_port));
    int64_t start = now_ms();
    CHECK_ERROR(qmp_connect(text, NULL, 1000, NULL, &client, &error), QMP_ERR_TIMEOUT, error);
    CHECK(now_ms() - start >= 1000 && now_ms() - start < PATIENCE_MS / 2);
    CHECK(client == NULL);
    for (int i = 0; i < 8; i++)
        close(clients[i]);
    close(listener);
}

static void *connect_waiting(void *data)
{
    *(qmp_client **)data = connect_to(in_directory("later"));
    return NULL;
}

static void f1_a_socket_that_comes_later(void)
{
    pthread_t thread;
    qmp_client *client = NULL;
    pthread_create(&thread, NULL, connect_waiting, &client);
    server *server = server_start(serve_plainly);
    CHECK_INT(rename(server_address(server) + strlen("unix:"), in_directory("later")), 0);
    pthread_join(thread, NULL);
    REQUIRE(client);
    CHECK_STATUS(execute(client, "stop"), QMP_OK);
    qmp_close(client);
    server_stop(server);
}

static void f1_f5_waiting_for_a_socket_ends_too(void)
{
    qmp_client *client = NULL;
    qmp_error *error = NULL;
    qmp_options *options = qmp_options_new();
    CHECK_STATUS(qmp_options_set_wait_for_socket(options, true), QMP_OK);
    int64_t start = now_ms();
    CHECK_ERROR(qmp_connect(in_directory("missing"), options, 1000, NULL, &client, &error), QMP_ERR_NOT_FOUND, error);
    CHECK(now_ms() - start >= 1000 && now_ms() - start < PATIENCE_MS / 2);
    /* The socket file that a killed VM leaves. */
    start = now_ms();
    CHECK_ERROR(qmp_connect(in_directory("stale"), options, 1000, NULL, &client, &error), QMP_ERR_REFUSED, error);
    CHECK(now_ms() - start >= 1000 && now_ms() - start < PATIENCE_MS / 2);
    qmp_options_free(options);
}

int main(void)
{
    directory_make(directory, sizeof directory);
    RUN(f1_nothing_there);
    RUN(f2_no_socket);
    RUN(f2_the_message_names_what_the_path_is);
    RUN(f3_not_a_stream);
    RUN(f5_nobody_listens);
    RUN(f6_path_lengths);
    RUN(f7_no_address);
    RUN(f7_abstract_names_have_their_own_form);
    RUN(f15_tcp_refused);
    RUN(f15_tcp_filtered);
    RUN(f1_a_socket_that_comes_later);
    RUN(f1_f5_waiting_for_a_socket_ends_too);
    directory_remove(directory);
    return check_end();
}
