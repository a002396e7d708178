/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Every way in which an address leads nowhere has its own status. */
#include "support/client.h"
#include "support/directory.h"
#include "support/server.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
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
    qmp_status status = qmp_connect(address, NULL, PATIENCE_MS, NULL, &client, &error);
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

static void nothing_there(void)
{
    FAILS(in_directory("missing"), QMP_ERR_NOT_FOUND, ENOENT);
    FAILS("/nowhere/at/all", QMP_ERR_NOT_FOUND, ENOENT);
    CHECK_INT(symlink("missing", in_directory("dangling")), 0);
    FAILS(in_directory("dangling"), QMP_ERR_NOT_FOUND, ENOENT);
}

static void no_socket(void)
{
    close(open(in_directory("file"), O_CREAT | O_WRONLY, 0600));
    FAILS(in_directory("file"), QMP_ERR_REFUSED, ECONNREFUSED);
    FAILS(directory, QMP_ERR_REFUSED, ECONNREFUSED);
    CHECK_INT(mkfifo(in_directory("fifo"), 0600), 0);
    FAILS(in_directory("fifo"), QMP_ERR_REFUSED, ECONNREFUSED);
}

static void the_message_names_what_the_path_is(void)
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

static void not_a_stream(void)
{
    int datagram = bound_socket(SOCK_DGRAM, in_directory("datagram"));
    FAILS(in_directory("datagram"), QMP_ERR_PROTOCOL, EPROTOTYPE);
    int packets = bound_socket(SOCK_SEQPACKET, in_directory("packets"));
    listen(packets, 1);
    FAILS(in_directory("packets"), QMP_ERR_PROTOCOL, EPROTOTYPE);
    close(datagram);
    close(packets);
}

static void nobody_listens(void)
{
    close(bound_socket(SOCK_STREAM, in_directory("stale")));
    FAILS(in_directory("stale"), QMP_ERR_REFUSED, ECONNREFUSED);
}

static void path_lengths(void)
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

static void no_address(void)
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

static void tcp_refused(void)
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

static void no_permission(void)
{
    if (geteuid() != 0)
        SKIP("only root can try as another user");
    server *server = server_start(serve_plainly);
    int status = 0;
    CHECK_INT(chmod(server_directory(server), 0711), 0);
    CHECK_INT(chmod(server_address(server) + strlen("unix:"), 0600), 0);
    pid_t child = fork();
    if (child == 0) {
        qmp_client *client = NULL;
        qmp_error *error = NULL;
        qmp_options *options = qmp_options_new();
        qmp_options_set_wait_for_socket(options, true); /* which does not help */
        if (setgid(65534) != 0 || setuid(65534) != 0)
            _exit(1);
        if (qmp_connect(server_address(server), options, PATIENCE_MS, NULL, &client, &error) != QMP_ERR_PERMISSION)
            _exit(2);
        if (!error || error->os_errno != EACCES)
            _exit(3);
        qmp_error_free(error);
        qmp_options_free(options);
        _exit(0);
    }
    CHECK_INT(waitpid(child, &status, 0), child);
    CHECK(WIFEXITED(status));
    CHECK_INT(WEXITSTATUS(status), 0);
    server_stop(server);
}

static void *connect_waiting(void *data)
{
    *(qmp_client **)data = connect_to(in_directory("later"));
    return NULL;
}

static void a_socket_that_comes_later(void)
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

static void waiting_for_a_socket_ends_too(void)
{
    qmp_client *client = NULL;
    qmp_error *error = NULL;
    qmp_options *options = qmp_options_new();
    CHECK_STATUS(qmp_options_set_wait_for_socket(options, true), QMP_OK);
    int64_t start = now_ms();
    qmp_status status = qmp_connect(in_directory("missing"), options, 1000, NULL, &client, &error);
    CHECK(status == QMP_ERR_NOT_FOUND || status == QMP_ERR_TIMEOUT);
    CHECK(now_ms() - start >= 1000);
    qmp_error_free(error);
    qmp_options_free(options);
}

int main(void)
{
    directory_make(directory, sizeof directory);
    RUN(no_permission); /* first: it forks */
    RUN(nothing_there);
    RUN(no_socket);
    RUN(the_message_names_what_the_path_is);
    RUN(not_a_stream);
    RUN(nobody_listens);
    RUN(path_lengths);
    RUN(no_address);
    RUN(tcp_refused);
    RUN(a_socket_that_comes_later);
    RUN(waiting_for_a_socket_ends_too);
    directory_remove(directory);
    return check_end();
}
