/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A scripted QMP server: every connection runs the script in a thread of its own. */
#ifndef SERVER_H
#define SERVER_H

#include <stdbool.h>
#include <stddef.h>

typedef struct server server;
typedef struct peer peer;
typedef void server_script(peer *peer);

server *server_start(server_script *script); /* on a unix socket in a fresh directory */
server *server_start_tcp(server_script *script);
const char *server_address(const server *server);
const char *server_directory(const server *server);
bool server_dial(server *server, const char *address); /* one more connection, to whoever listens there; false: nobody does */
int server_connect(const server *server); /* a descriptor connected to a TCP server */
size_t server_heard(server *server);   /* bytes received on all connections */
size_t server_receives(server *server); /* in so many pieces */
int server_clients(server *server);    /* connections accepted */
int server_open(server *server);       /* connections whose script still runs */
void server_stop(server *server);      /* ends the connections, waits for the scripts */

bool peer_greet(peer *peer);                          /* greeting and negotiation */
void peer_say(peer *peer, const char *text);
bool peer_say_bytes(peer *peer, const void *bytes, size_t length); /* false: the client is gone */
bool peer_is_asked(peer *peer);                       /* a command has come, or a part of one */
char *peer_hear(peer *peer);                          /* the next command, to be freed; NULL at the end */
void peer_answer(peer *peer, const char *command, const char *value); /* {"return": value, "id": …} */
void peer_refuse(peer *peer, const char *command, const char *error); /* {"error": error, "id": …} */
void peer_close(peer *peer);
void peer_half_close(peer *peer);                     /* no more is said, hearing goes on */
void peer_wait_end(peer *peer);                       /* until the client is gone */
int peer_fd(const peer *peer);

bool is_command(const char *command, const char *name);
bool command_id(const char *command, char *id, size_t size); /* the raw value of "id" */

/* Answers every command with {}: a server without surprises. */
void serve_plainly(peer *peer);
void serve_ticking(peer *peer); /* as above, with an event TICK before each reply */

#endif
