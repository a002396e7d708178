/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Wherever a call waits, its token ends it at once. */
#include "support/client.h"
#include "support/directory.h"
#include "support/server.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { HUGE = 16 * 1024 * 1024, BUDGET_US = 1000000 };

static qmp_client *client;
static const char *address;
static char *huge_arguments;
static atomic_bool release; /* ends whatever holds a call up on the server's side */
static atomic_int arrived;  /* counts what tells that a call has come to where it waits */

struct attempt {
    qmp_status (*call)(qmp_cancel *cancel, qmp_error **error);
    qmp_cancel *cancel;
    bool outcome_unknown;
    int64_t ended_us;
};

static int64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void *attempt(void *data)
{
    struct attempt *attempt = data;
    qmp_error *error = NULL;
    qmp_status status = attempt->call(attempt->cancel, &error);
    attempt->ended_us = now_us();
    attempt->outcome_unknown = error && error->outcome_unknown;
    CHECK_ERROR(status, QMP_ERR_CANCELLED, error);
    return NULL;
}

static void begin(pthread_t *thread, struct attempt *one)
{
    one->cancel = qmp_cancel_new();
    pthread_create(thread, NULL, attempt, one);
}

/* How long the call lasts after its cancelling, in microseconds. */
static int64_t end(pthread_t thread, struct attempt *one)
{
    int64_t triggered = now_us();
    CHECK_STATUS(qmp_cancel_trigger(one->cancel), QMP_OK);
    pthread_join(thread, NULL);
    qmp_cancel_free(one->cancel);
    return one->ended_us - triggered;
}

/*
 * Cancels the call again and again: each time when it has arrived, or, where that cannot be seen
 * (expected is 0), after pauses of different lengths. Together the calls have a second, which they
 * would not keep if a wait had to run out first.
 */
static void cancelled(qmp_status (*call)(qmp_cancel *, qmp_error **), int expected, bool outcome_unknown)
{
    int64_t sum = 0;
    int count = rounds(10);
    for (int round = 0; round < count; round++) {
        struct attempt one = {.call = call};
        pthread_t thread;
        atomic_store(&arrived, 0);
        begin(&thread, &one);
        CHECK_SOON(atomic_load(&arrived) >= expected);
        for (int i = 0; i < round; i++)
            nap();
        sum += end(thread, &one);
        CHECK_INT(one.outcome_unknown, outcome_unknown);
    }
    printf("# cancelled after %d us on average\n", (int)(sum / count));
    CHECK(sum < BUDGET_US);
}

static qmp_status connect_with(const qmp_options *options, qmp_cancel *cancel, qmp_error **error)
{
    qmp_client *made = (qmp_client *)1;
    qmp_status status = qmp_connect(address, options, QMP_FOREVER, cancel, &made, error);
    CHECK(made == NULL);
    return status;
}

static qmp_status connecting(qmp_cancel *cancel, qmp_error **error)
{
    return connect_with(NULL, cancel, error);
}

static qmp_status connecting_patiently(qmp_cancel *cancel, qmp_error **error)
{
    qmp_options *options = qmp_options_new();
    CHECK_STATUS(qmp_options_set_wait_for_socket(options, true), QMP_OK);
    qmp_status status = connect_with(options, cancel, error);
    qmp_options_free(options);
    return status;
}

static qmp_status executing(const char *command, const char *arguments, qmp_cancel *cancel, qmp_error **error)
{
    char *reply = (char *)1;
    qmp_status status = qmp_execute_json(client, command, arguments, QMP_FOREVER, cancel, &reply, error);
    CHECK(reply == NULL);
    return status;
}

static qmp_status waiting_for_a_reply(qmp_cancel *cancel, qmp_error **error)
{
    return executing("never", NULL, cancel, error);
}

static qmp_status sending(qmp_cancel *cancel, qmp_error **error)
{
    return executing("huge", huge_arguments, cancel, error);
}

static qmp_status waiting_to_send(qmp_cancel *cancel, qmp_error **error)
{
    return executing("behind", NULL, cancel, error);
}

static qmp_status polling(qmp_cancel *cancel, qmp_error **error)
{
    qmp_event *event = (qmp_event *)1;
    qmp_status status = qmp_poll_event(client, QMP_FOREVER, cancel, &event, error);
    CHECK(event == NULL);
    return status;
}

static qmp_status shutting_down(qmp_cancel *cancel, qmp_error **error)
{
    int32_t result = 77;
    qmp_status status = qmp_shutdown(client, 10, QMP_FOREVER, false, cancel, &result, error);
    CHECK_INT(result, 0);
    return status;
}

static qmp_status quitting(qmp_cancel *cancel, qmp_error **error)
{
    int32_t result = 77;
    qmp_status status = qmp_shutdown(client, 0, 0, true, cancel, &result, error);
    CHECK_INT(result, 0);
    return status;
}

/* The kernel takes no more clients: a unix socket says so, TCP says nothing, as behind a filter. */
static void fill(int family, const struct sockaddr *to, socklen_t length)
{
    int listener = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0), clients[16];
    struct sockaddr_storage bound;
    socklen_t size = sizeof bound;
    CHECK_INT(bind(listener, to, length), 0);
    CHECK_INT(listen(listener, 0), 0);
    CHECK_INT(getsockname(listener, (struct sockaddr *)&bound, &size), 0);
    for (int i = 0; i < 16; i++) {
        clients[i] = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        connect(clients[i], (struct sockaddr *)&bound, size);
    }
    char tcp[64];
    if (family == AF_INET) {
        snprintf(tcp, sizeof tcp, "tcp:127.0.0.1:%d", ntohs(((struct sockaddr_in *)&bound)->sin_port));
        address = tcp;
    }
    cancelled(connecting, 0, false);
    for (int i = 0; i < 16; i++)
        close(clients[i]);
    close(listener);
}

static void f87_while_the_backlog_is_full(void)
{
    char directory[64];
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    directory_make(directory, sizeof directory);
    snprintf(to.sun_path, sizeof to.sun_path, "%s/full", directory);
    address = to.sun_path;
    fill(AF_UNIX, (struct sockaddr *)&to, sizeof to);
    directory_remove(directory);
}

static void f87_while_tcp_is_not_answered(void)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    fill(AF_INET, (struct sockaddr *)&to, sizeof to);
}

/* The library's resolver, too, finds this one in place of the system's. */
int getaddrinfo(const char *restrict node, const char *restrict service, const struct addrinfo *restrict hints,
                struct addrinfo **restrict found)
{
    (void)node, (void)service, (void)hints, (void)found;
    atomic_fetch_add(&arrived, 1);
    wait_for(&release);
    return EAI_AGAIN;
}

static void f87_while_a_name_is_looked_up(void)
{
    address = "tcp:slow.example:4444";
    atomic_store(&release, false);
    cancelled(connecting, 1, false);
    atomic_store(&release, true);
}

static void f87_while_waiting_for_the_socket(void)
{
    address = "/nowhere/at/all";
    cancelled(connecting_patiently, 0, false);
}

static void silent(peer *peer)
{
    atomic_fetch_add(&arrived, 1);
    peer_wait_end(peer);
}

static void f87_while_waiting_for_the_greeting(void)
{
    server *server = server_start(silent);
    address = server_address(server);
    cancelled(connecting, 1, false);
    server_stop(server);
}

static void only_greet(peer *peer)
{
    peer_say(peer, "{\"QMP\": {\"version\": {}, \"capabilities\": []}}");
    free(peer_hear(peer));
    atomic_fetch_add(&arrived, 1);
    peer_wait_end(peer);
}

static void f87_during_the_negotiation(void)
{
    server *server = server_start(only_greet);
    address = server_address(server);
    cancelled(connecting, 1, false);
    server_stop(server);
}

/* A running guest that ignores everything; "never" and "quit" have no effect. */
static void run_for_ever(peer *peer)
{
    char *command;
    if (!peer_greet(peer))
        return;
    while ((command = peer_hear(peer))) {
        bool counts = is_command(command, "system_powerdown") || is_command(command, "quit") || is_command(command, "never");
        if (!is_command(command, "never"))
            peer_answer(peer, command, "{\"status\": \"running\", \"running\": true}");
        if (counts)
            atomic_fetch_add(&arrived, 1);
        free(command);
    }
}

/* The connection goes on after each. */
static void on_a_connection(qmp_status (*call)(qmp_cancel *, qmp_error **), int expected, bool outcome_unknown)
{
    server *server = server_start(run_for_ever);
    client = connect_to(server_address(server));
    REQUIRE(client);
    cancelled(call, expected, outcome_unknown);
    CHECK_STATUS(execute(client, "stop"), QMP_OK);
    CHECK_STATUS(qmp_close(client), QMP_OK);
    server_stop(server);
}

static void f87_while_waiting_for_a_reply(void)
{
    on_a_connection(waiting_for_a_reply, 1, true);
}

static void f87_while_polling_for_an_event(void)
{
    on_a_connection(polling, 0, false);
}

static void f87_while_the_guest_is_to_go_down(void)
{
    on_a_connection(shutting_down, 2, false);
}

static void f87_while_qemu_is_to_end(void)
{
    on_a_connection(quitting, 1, true);
}

/* One call reads for all: cancelled is one that it reads for, then the reader itself. */
static void f87_while_another_call_reads(void)
{
    server *server = server_start(run_for_ever);
    struct attempt reader = {.call = waiting_for_a_reply};
    pthread_t thread;
    client = connect_to(server_address(server));
    REQUIRE(client);
    atomic_store(&arrived, 0);
    begin(&thread, &reader);
    CHECK_SOON(atomic_load(&arrived) == 1);
    cancelled(waiting_for_a_reply, 1, true);
    cancelled(polling, 0, false);
    CHECK(end(thread, &reader) < BUDGET_US);
    CHECK_STATUS(execute(client, "stop"), QMP_OK);
    CHECK_STATUS(qmp_close(client), QMP_OK);
    server_stop(server);
}

/* Greets and reads no more until released; then all that came must be the part of one command. */
static void stop_reading(peer *peer)
{
    int unread = 0;
    if (!peer_greet(peer))
        return;
    while (unread < 65536 && ioctl(peer_fd(peer), FIONREAD, &unread) == 0 && !atomic_load(&release))
        nap();
    atomic_fetch_add(&arrived, 1);
    wait_for(&release);
    char *command = peer_hear(peer);
    CHECK(command == NULL);
    free(command);
    atomic_fetch_add(&arrived, 1);
}

static void make_huge_arguments(void)
{
    huge_arguments = malloc(HUGE + 16);
    strcpy(huge_arguments, "{\"a\":\"");
    memset(huge_arguments + 6, 'x', HUGE);
    strcpy(huge_arguments + 6 + HUGE, "\"}");
}

static void f34_f88_while_a_command_is_sent_in_part(void)
{
    make_huge_arguments();
    server *server = server_start(stop_reading);
    struct attempt partly = {.call = sending};
    pthread_t thread;
    atomic_store(&release, false);
    atomic_store(&arrived, 0);
    client = connect_to(server_address(server));
    REQUIRE(client);
    begin(&thread, &partly);
    CHECK_SOON(atomic_load(&arrived) == 1);
    /* Others wait for their turn; what they never began to send is withdrawn. */
    cancelled(waiting_to_send, 0, false);
    size_t heard = server_heard(server);
    CHECK(end(thread, &partly) < BUDGET_US);
    CHECK(!partly.outcome_unknown); /* half a command is not executed */
    CHECK_STATUS(execute(client, "next"), QMP_ERR_DISCONNECTED);
    atomic_store(&arrived, 0);
    atomic_store(&release, true);
    CHECK_SOON(atomic_load(&arrived) == 1);
    size_t sent = server_heard(server) - heard;
    CHECK(sent >= 65536 && sent < HUGE);
    CHECK_STATUS(qmp_close(client), QMP_OK);
    server_stop(server);
    free(huge_arguments);
}

int main(void)
{
    RUN(f87_while_the_backlog_is_full);
    RUN(f87_while_tcp_is_not_answered);
    RUN(f87_while_a_name_is_looked_up);
    RUN(f87_while_waiting_for_the_socket);
    RUN(f87_while_waiting_for_the_greeting);
    RUN(f87_during_the_negotiation);
    RUN(f87_while_waiting_for_a_reply);
    RUN(f87_while_polling_for_an_event);
    RUN(f87_while_another_call_reads);
    RUN(f87_while_the_guest_is_to_go_down);
    RUN(f87_while_qemu_is_to_end);
    RUN(f34_f88_while_a_command_is_sent_in_part);
    return check_end();
}
