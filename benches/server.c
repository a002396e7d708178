// SPDX-License-Identifier: MIT OR Apache-2.0
#include "bench.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { REQUESTS = 65536, MOST_AT_ONCE = 512, ID_ROOM = 64 };

typedef struct answers {
    char *text; // the replies of one batch; the head of the first always stands there already
    size_t head, used;
} answers;

static answers answers_new(const char *body)
{
    answers a = { .head = strlen(body) + strlen("{\"return\": , \"id\": ") };
    a.text = malloc(MOST_AT_ONCE * (a.head + ID_ROOM));
    if (!a.text)
        die("no memory for replies");
    sprintf(a.text, "{\"return\": %s, \"id\": ", body);
    return a;
}

static void send_all(int fd, const char *bytes, size_t length)
{
    while (length) {
        ssize_t sent = send(fd, bytes, length, MSG_NOSIGNAL);
        if (sent < 0)
            return; // the client went away: the next recv ends this connection
        bytes += sent;
        length -= (size_t)sent;
    }
}

// Answers each command in `requests` with its own id. A command has one "id" member; those of a batch arrive whole, as
// long as the socket takes the batch at once.
static void answer(int fd, answers *a, const manner *manner, const char *requests, size_t length)
{
    const char *at = requests, *end = requests + length;
    a->used = 0;
    for (const char *line = manner->before, *after; line && *line; line = after) {
        after = manner->one_by_one ? strchr(line, '\n') + 1 : line + strlen(line);
        send_all(fd, line, (size_t)(after - line));
    }
    while ((at = memmem(at, (size_t)(end - at), "\"id\":", 5))) {
        at += 5;
        size_t id = strcspn(at, ",}");
        if (a->used)
            memcpy(a->text + a->used, a->text, a->head);
        a->used += a->head;
        memcpy(a->text + a->used, at, id);
        memcpy(a->text + a->used + id, "}\r\n", 3);
        a->used += id + 3;
        at += id;
        if (manner->one_by_one) {
            send_all(fd, a->text, a->used);
            a->used = 0;
        }
    }
    send_all(fd, a->text, a->used);
}

static void serve(int fd, target *seen, const manner *manner, answers *handshake, answers *commands)
{
    static char requests[REQUESTS + 1];
    // As QEMU waits. In a blocking recv it would be woken, for nothing, by each reply that the client takes: a switch
    // of processes that no QEMU makes, and that only one of the two sides may meet.
    struct pollfd arrival = { .fd = fd, .events = POLLIN };
    send_all(fd, GREETING, strlen(GREETING));
    for (int turn = 0;; turn++) {
        poll(&arrival, 1, -1);
        ssize_t got = recv(fd, requests, REQUESTS, 0);
        if (got <= 0)
            return;
        requests[got] = '\0';
        char *record = turn == 0 ? seen->handshake : seen->request;
        if (turn < 2 && !record[0] && (size_t)got < sizeof seen->request)
            memcpy(record, requests, (size_t)got);
        answer(fd, turn == 0 ? handshake : commands, turn == 0 ? &(struct manner){ 0 } : manner, requests, (size_t)got);
    }
}

struct sockaddr_un unix_address(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    return address;
}

target *server_start(const char *path, const char *body, manner manner)
{
    struct sockaddr_un address = unix_address(path);
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 8))
        die("cannot listen on %s", path);
    target *seen = mmap(NULL, sizeof *seen, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (seen == MAP_FAILED)
        die("no memory for a server");
    snprintf(seen->path, sizeof seen->path, "%s", path);

    pid_t pid = fork();
    if (pid < 0)
        die("cannot start a server");
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        answers handshake = answers_new("{}"), commands = answers_new(body);
        for (int fd; (fd = accept(listener, NULL, NULL)) >= 0; close(fd))
            serve(fd, seen, &manner, &handshake, &commands);
        _exit(1);
    }
    seen->pid = pid;
    close(listener);
    return seen;
}
