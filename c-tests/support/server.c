/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "server.h"

#include "check.h"
#include "directory.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define GREETING                                                                                   \
    "{\"QMP\": {\"version\": {\"qemu\": {\"micro\": 0, \"minor\": 2, \"major\": 7}, "               \
    "\"package\": \"scripted\"}, \"capabilities\": [\"oob\"]}}\r\n"

struct peer {
    struct server *server;
    struct peer *next;
    pthread_t thread;
    int fd;
    char *held; /* received, not yet heard */
    size_t length, capacity;
};

struct server {
    server_script *script;
    char directory[64];
    char address[128];
    int listener;
    pthread_t accepter;
    pthread_mutex_t lock; /* over the list and its descriptors */
    struct peer *peers;
    atomic_size_t heard, receives;
    atomic_int clients, open;
};

static void *run_script(void *data)
{
    peer *peer = data;
    peer->server->script(peer);
    free(peer->held);
    peer_close(peer);
    atomic_fetch_sub(&peer->server->open, 1);
    return NULL;
}

static void begin(server *server, int fd)
{
    pthread_attr_t small;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 256 * 1024);
    peer *peer = calloc(1, sizeof *peer);
    peer->server = server;
    peer->fd = fd;
    pthread_mutex_lock(&server->lock);
    peer->next = server->peers;
    server->peers = peer;
    atomic_fetch_add(&server->open, 1);
    atomic_fetch_add(&server->clients, 1);
    if (pthread_create(&peer->thread, &small, run_script, peer) != 0)
        abort();
    pthread_mutex_unlock(&server->lock);
    pthread_attr_destroy(&small);
}

static void *accept_clients(void *data)
{
    server *server = data;
    for (;;) {
        int fd = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0) {
            if (errno == EINTR || errno == EMFILE || errno == ECONNABORTED) {
                nap();
                continue;
            }
            break; /* server_stop shut the listener down */
        }
        begin(server, fd);
    }
    return NULL;
}

bool server_dial(server *server, const char *address)
{
    struct sockaddr_un local = {.sun_family = AF_UNIX};
    struct sockaddr_in remote = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr *to = (struct sockaddr *)&local;
    socklen_t length = sizeof local;
    if (strncmp(address, "unix:", 5) == 0) {
        snprintf(local.sun_path, sizeof local.sun_path, "%s", address + 5);
    } else if (strncmp(address, "abstract:", 9) == 0) {
        snprintf(local.sun_path + 1, sizeof local.sun_path - 1, "%s", address + 9);
        length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(address + 9));
    } else {
        remote.sin_port = htons((uint16_t)atoi(strrchr(address, ':') + 1));
        to = (struct sockaddr *)&remote;
        length = sizeof remote;
    }
    int fd = socket(to->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, to, length) != 0) {
        close(fd);
        return false;
    }
    begin(server, fd);
    return true;
}

static server *start(server *server, const struct sockaddr *address, socklen_t length)
{
    pthread_mutex_init(&server->lock, NULL);
    if (bind(server->listener, address, length) != 0 || listen(server->listener, 1024) != 0 ||
        pthread_create(&server->accepter, NULL, accept_clients, server) != 0) {
        perror("server_start");
        abort();
    }
    return server;
}

server *server_start(server_script *script)
{
    server *server = calloc(1, sizeof *server);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    server->script = script;
    directory_make(server->directory, sizeof server->directory);
    snprintf(server->address, sizeof server->address, "unix:%s/qmp", server->directory);
    snprintf(address.sun_path, sizeof address.sun_path, "%s/qmp", server->directory);
    server->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return start(server, (struct sockaddr *)&address, sizeof address);
}

server *server_start_tcp(server_script *script)
{
    server *server = calloc(1, sizeof *server);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    server->script = script;
    server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    start(server, (struct sockaddr *)&address, length);
    getsockname(server->listener, (struct sockaddr *)&address, &length);
    snprintf(server->address, sizeof server->address, "tcp:127.0.0.1:%d", ntohs(address.sin_port));
    return server;
}

const char *server_address(const server *server)
{
    return server->address;
}

const char *server_directory(const server *server)
{
    return server->directory;
}

int server_connect(const server *server)
{
    struct sockaddr_in address;
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (getsockname(server->listener, (struct sockaddr *)&address, &length) != 0 ||
        connect(fd, (struct sockaddr *)&address, length) != 0)
        perror("server_connect");
    return fd;
}

size_t server_heard(server *server)
{
    return atomic_load(&server->heard);
}

size_t server_receives(server *server)
{
    return atomic_load(&server->receives);
}

int server_clients(server *server)
{
    return atomic_load(&server->clients);
}

int server_open(server *server)
{
    return atomic_load(&server->open);
}

void server_stop(server *server)
{
    shutdown(server->listener, SHUT_RDWR);
    pthread_join(server->accepter, NULL);
    close(server->listener);
    pthread_mutex_lock(&server->lock);
    for (peer *peer = server->peers; peer; peer = peer->next)
        if (peer->fd >= 0)
            shutdown(peer->fd, SHUT_RDWR);
    pthread_mutex_unlock(&server->lock);
    while (server->peers) {
        peer *peer = server->peers;
        server->peers = peer->next;
        pthread_join(peer->thread, NULL);
        free(peer);
    }
    if (server->directory[0])
        directory_remove(server->directory);
    pthread_mutex_destroy(&server->lock);
    free(server);
}

bool peer_greet(peer *peer)
{
    peer_say(peer, GREETING);
    char *command = peer_hear(peer);
    bool negotiated = command && is_command(command, "qmp_capabilities");
    if (negotiated)
        peer_answer(peer, command, "{}");
    free(command);
    return negotiated;
}

bool peer_say_bytes(peer *peer, const void *bytes, size_t length)
{
    const char *at = bytes;
    while (length > 0) {
        ssize_t sent = send(peer->fd, at, length, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0)
            return false;
        at += sent;
        length -= (size_t)sent;
    }
    return true;
}

void peer_say(peer *peer, const char *text)
{
    peer_say_bytes(peer, text, strlen(text));
}

/* The length of the first whole object in what is held, or 0. */
static size_t object_length(const char *text, size_t length)
{
    size_t depth = 0;
    bool quoted = false;
    for (size_t i = 0; i < length; i++) {
        if (quoted) {
            if (text[i] == '\\')
                i++;
            else if (text[i] == '"')
                quoted = false;
        } else if (text[i] == '"') {
            quoted = true;
        } else if (text[i] == '{' || text[i] == '[') {
            depth++;
        } else if ((text[i] == '}' || text[i] == ']') && --depth == 0) {
            return i + 1;
        }
    }
    return 0;
}

/* Receives into what is held; false at the end. */
static bool receive(peer *peer)
{
    if (peer->capacity - peer->length < 65536)
        peer->held = realloc(peer->held, peer->capacity = peer->capacity * 2 + 65536);
    ssize_t got;
    do
        got = recv(peer->fd, peer->held + peer->length, peer->capacity - peer->length, 0);
    while (got < 0 && errno == EINTR);
    if (got <= 0)
        return false;
    peer->length += (size_t)got;
    atomic_fetch_add(&peer->server->heard, (size_t)got);
    atomic_fetch_add(&peer->server->receives, 1);
    return true;
}

bool peer_is_asked(peer *peer)
{
    struct pollfd more = {.fd = peer->fd, .events = POLLIN};
    return object_length(peer->held, peer->length) > 0 || poll(&more, 1, 0) == 1;
}

char *peer_hear(peer *peer)
{
    size_t whole;
    while ((whole = object_length(peer->held, peer->length)) == 0)
        if (!receive(peer))
            return NULL;
    char *command = strndup(peer->held, whole);
    peer->length -= whole;
    memmove(peer->held, peer->held + whole, peer->length);
    return command;
}

bool is_command(const char *command, const char *name)
{
    char member[128];
    snprintf(member, sizeof member, "\"execute\":\"%s\"", name);
    return strstr(command, member) != NULL;
}

bool command_id(const char *command, char *id, size_t size)
{
    size_t depth = 0;
    bool quoted = false;
    for (const char *at = command; *at; at++) {
        if (quoted) {
            if (*at == '\\')
                at++;
            else if (*at == '"')
                quoted = false;
        } else if (depth == 1 && strncmp(at, "\"id\":", 5) == 0) {
            const char *value = at + 5;
            size_t length = *value == '"' ? strcspn(value + 1, "\"") + 2 : strcspn(value, ",}");
            snprintf(id, size, "%.*s", (int)length, value);
            return true;
        } else if (*at == '"') {
            quoted = true;
        } else if (*at == '{' || *at == '[') {
            depth++;
        } else if (*at == '}' || *at == ']') {
            depth--;
        }
    }
    return false;
}

static void reply(peer *peer, const char *command, const char *kind, const char *value)
{
    char id[128];
    if (!command_id(command, id, sizeof id))
        snprintf(id, sizeof id, "null");
    size_t size = strlen(value) + 192;
    char *text = malloc(size);
    snprintf(text, size, "{\"%s\": %s, \"id\": %s}\r\n", kind, value, id);
    peer_say(peer, text);
    free(text);
}

void peer_answer(peer *peer, const char *command, const char *value)
{
    reply(peer, command, "return", value);
}

void peer_refuse(peer *peer, const char *command, const char *error)
{
    reply(peer, command, "error", error);
}

void peer_close(peer *peer)
{
    pthread_mutex_lock(&peer->server->lock);
    if (peer->fd >= 0)
        close(peer->fd);
    peer->fd = -1;
    pthread_mutex_unlock(&peer->server->lock);
}

void peer_half_close(peer *peer)
{
    shutdown(peer->fd, SHUT_WR);
}

void peer_wait_end(peer *peer)
{
    while (receive(peer))
        peer->length = 0;
}

int peer_fd(const peer *peer)
{
    return peer->fd;
}

void serve_plainly(peer *peer)
{
    char *command;
    if (!peer_greet(peer))
        return;
    while ((command = peer_hear(peer))) {
        peer_answer(peer, command, "{}");
        free(command);
    }
}

void serve_ticking(peer *peer)
{
    char *command;
    if (!peer_greet(peer))
        return;
    while ((command = peer_hear(peer))) {
        peer_say(peer, "{\"event\": \"TICK\"}");
        peer_answer(peer, command, "{}");
        free(command);
    }
}
