// SPDX-License-Identifier: MIT OR Apache-2.0
#ifndef BENCH_H
#define BENCH_H

#include <qmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/un.h>

enum { TIMEOUT_MS = 20000 }; // of every call that has one

// A QMP server's socket, and the bytes the library was seen to send there: the floor sends the same.
typedef struct target {
    pid_t pid;
    char path[108];
    char handshake[256];
    char request[256];
} target;

// One way of talking to a target: the floor's or the library's. All three end the process on any failure.
typedef struct side {
    void *(*open)(const target *target); // connected and negotiated
    void (*call)(void *connection);      // one command and its reply
    void (*close)(void *connection);
} side;

// The least that C can do: blocking send and recv, nothing looked at.
extern const side floor_exchange;
// The same, but the reply is framed by JSON structure, checked as UTF-8, and copied into a malloc'd string.
extern const side floor_framed;
// Many callers on one connection: a mutex to send, one reader thread, a futex to wake each caller.
extern const side floor_threads;
extern const side library_status;
extern const side library_schema;
// events.c: a call is a command before whose reply EVENTS events come. The floor counts lines.
enum { EVENTS = 1000 };
char *events_text(void);
extern const side floor_lines, library_dropped, library_polled;
// pipelined.c: a call is a batch of so many commands. The floor sends it at once, and counts the lines that come.
extern const side floor_batched_64, floor_batched_256;
extern const side library_pipelined_64, library_pipelined_256;

// floor.c: what the floors share
typedef struct connection {
    int fd;
    size_t length, id, id_end; // of `request`, and of the decimal id in it
    char request[288];
} connection;
int unix_connect(const char *path); // -1 where nobody listens
void *floor_open(const target *target); // a connection
void floor_close(void *connection);
void floor_connect(connection *connection, const target *target);
void floor_send(connection *connection);     // sends the request, then counts its id up
void floor_count_up(connection *connection); // makes the next request
void floor_disconnect(connection *connection);

// framing.c
typedef struct framing {
    int depth;
    bool in_string, escaped;
} framing;
bool framing_ends(framing *framing, const char *bytes, size_t length);
bool utf8_valid(const unsigned char *bytes, size_t length);

// library.c
void require(qmp_status status, qmp_error *error); // success
void *library_open(const target *target);
void library_close(void *client);
char *library_fetch_schema(const target *target);

#define GREETING                                                                                                       \
    "{\"QMP\": {\"version\": {\"qemu\": {\"micro\": 22, \"minor\": 2, \"major\": 7}, \"package\": \"bench\"}, "       \
    "\"capabilities\": [\"oob\"]}}\r\n"

// fleet.c: a process that is as many VMs as clients connect; `events`: each tells of one every second
pid_t fleet_start(const char *path, bool events);

// idle.c: resident bytes for each of 10,000 idle connections, all of which answer and close
double idle_bytes(const char *path);

// scale.c: 1000 VMs, each with an event and a query a second
typedef struct scale {
    double cpu; // microseconds of the manager's in a second for each VM
    double p99; // of the time from a query to its reply, in microseconds
} scale;
scale scale_of(bool library, const char *path);

// server.c: a process that answers every command with `body`, at once
typedef struct manner {
    bool one_by_one;    // each reply leaves by itself, as QEMU's do; else those to commands that came together leave together
    const char *before; // is sent before each batch of replies; may be NULL
} manner;
target *server_start(const char *path, const char *body, manner manner);
struct sockaddr_un unix_address(const char *path);

// qemu.c: a real QEMU with a QMP socket at `path`; 0 where none is installed
pid_t qemu_start(const char *path);
void qemu_stop(pid_t pid);

// rounds.c: microseconds per call of one round, on a connection of its own
typedef double round_fn(const side *side, const target *target, int calls);
double median_of_calls(const side *side, const target *target, int calls);
double median_of_connects(const side *side, const target *target, int calls);
double mean_of_threads(const side *side, const target *target, int calls);

// syscalls.c: counted over all threads of a fresh process. What the other threads do goes by the clock, not by calls.
typedef struct syscalls {
    double per_call, others_per_ms;
} syscalls;
syscalls syscalls_count(const side *side, const target *target);

// stats.c
double now_us(void);
double cpu_us(pid_t other); // spent so far by this process and by the other one
double quantile(double *values, int count, double q); // sorts `values`
_Noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
