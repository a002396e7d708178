// SPDX-License-Identifier: MIT OR Apache-2.0
#include "bench.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { REPLY = 1 << 20 };
static char reply[REPLY];

static void receive_line(int fd)
{
    ssize_t got = recv(fd, reply, REPLY, 0);
    if (got <= 0 || reply[got - 1] != '\n')
        die("the server sent no whole line");
}

int unix_connect(const char *path)
{
    struct sockaddr_un address = unix_address(path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    close(fd);
    return -1;
}

void floor_connect(connection *c, const target *target)
{
    c->fd = unix_connect(target->path);
    if (c->fd < 0)
        die("cannot connect to %s", target->path);
    receive_line(c->fd);
    size_t length = strlen(target->handshake);
    if (send(c->fd, target->handshake, length, MSG_NOSIGNAL) != (ssize_t)length)
        die("cannot send the handshake");
    receive_line(c->fd);

    const char *id = strstr(target->request, "\"id\":");
    if (!target->handshake[0] || !id || !isdigit((unsigned char)id[5]))
        die("the library sent no integer id: '%s'", target->request);
    c->length = strlen(target->request);
    c->id = (size_t)(id + 5 - target->request);
    c->id_end = c->id + strspn(id + 5, "0123456789");
    memcpy(c->request, target->request, c->length);
}

// In place: the message grows with its id exactly when the library's does, and QEMU's time goes by the byte.
void floor_count_up(connection *c)
{
    for (size_t digit = c->id_end; digit-- > c->id;) {
        if (c->request[digit] != '9') {
            c->request[digit]++;
            return;
        }
        c->request[digit] = '0';
    }
    memmove(c->request + c->id + 1, c->request + c->id, c->length - c->id);
    c->request[c->id] = '1';
    c->id_end++;
    c->length++;
}

void floor_send(connection *c)
{
    if (send(c->fd, c->request, c->length, MSG_NOSIGNAL) != (ssize_t)c->length)
        die("cannot send a request");
    floor_count_up(c);
}

void floor_disconnect(connection *c)
{
    close(c->fd);
}

void *floor_open(const target *target)
{
    connection *c = malloc(sizeof *c);
    if (!c)
        die("no memory for a connection");
    floor_connect(c, target);
    return c;
}

void floor_close(void *opened)
{
    floor_disconnect(opened);
    free(opened);
}

static void exchange(void *opened)
{
    connection *c = opened;
    floor_send(c);
    receive_line(c->fd);
}

static void exchange_framed(void *opened)
{
    connection *c = opened;
    framing framing = { 0 };
    size_t length = 0;
    ssize_t got;
    floor_send(c);
    do {
        got = recv(c->fd, reply + length, REPLY - length, 0);
        if (got <= 0)
            die("the reply did not end");
        length += (size_t)got;
    } while (!framing_ends(&framing, reply + length - got, (size_t)got));

    char *copy = utf8_valid((unsigned char *)reply, length) ? malloc(length + 1) : NULL;
    if (!copy)
        die("the reply is no UTF-8, or there is no memory for it");
    memcpy(copy, reply, length);
    copy[length] = '\0';
    free(copy);
}

const side floor_exchange = { floor_open, exchange, floor_close };
const side floor_framed = { floor_open, exchange_framed, floor_close };
