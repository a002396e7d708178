/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A descriptor goes to the VM with its command, and is closed here exactly once, whatever happens. */
#include "support/requests.h"
#include "support/vm.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LARGE = 4 << 20 };

/* A pipe, of which one end is given away: the other one tells when nobody has that any more. */
struct gift {
    int given, kept;
};

static struct gift wrap(void)
{
    int ends[2] = {-1, -1};
    CHECK_INT(pipe2(ends, O_CLOEXEC), 0);
    return (struct gift){.given = ends[1], .kept = ends[0]};
}

static bool has_gone(struct gift gift)
{
    struct pollfd end = {.fd = gift.kept};
    return poll(&end, 1, 0) != 0;
}

/* Waits until every copy of the given end is closed. */
static void check_gone(struct gift gift)
{
    char byte;
    struct pollfd end = {.fd = gift.kept};
    if (CHECK(poll(&end, 1, PATIENCE_MS) == 1 && (end.revents & POLLHUP)))
        CHECK_INT(read(gift.kept, &byte, 1), 0);
    CHECK_INT(fcntl(gift.given, F_GETFD), -1);
    close(gift.kept);
}

static qmp_status pass(qmp_client *client, const char *command, const char *arguments, int given, int64_t timeout_ms, qmp_error **error)
{
    char *reply = NULL;
    qmp_status status = qmp_execute_fd_json(client, command, arguments, given, timeout_ms, NULL, &reply, error);
    qmp_string_free(reply);
    return status;
}

static void f112_a_real_qemu_gets_and_closes_it(void)
{
    NEED_QEMU();
    vm *vm = vm_start(NULL, NULL);
    qmp_client *client = connect_to(vm_address(vm));
    char *reply = NULL;
    REQUIRE(client);
    for (int i = 0; i < 5; i++) {
        struct gift gift = wrap();
        CHECK_STATUS(pass(client, "getfd", "{\"fdname\": \"pipe\"}", gift.given, PATIENCE_MS, NULL), QMP_OK);
        CHECK_INT(fcntl(gift.given, F_GETFD), -1);
        CHECK(!has_gone(gift)); /* QEMU has it */
        CHECK_STATUS(qmp_execute_json(client, "closefd", "{\"fdname\": \"pipe\"}", PATIENCE_MS, NULL, &reply, NULL), QMP_OK);
        qmp_string_free(reply);
        check_gone(gift);
    }
    struct gift gift = wrap();
    CHECK_STATUS(pass(client, "add-fd", "{\"fdset-id\": 7}", gift.given, PATIENCE_MS, NULL), QMP_OK);
    CHECK_STATUS(qmp_execute_json(client, "query-fdsets", NULL, PATIENCE_MS, NULL, &reply, NULL), QMP_OK);
    CHECK_HAS(reply, "\"fdset-id\": 7");
    qmp_string_free(reply);
    CHECK_STATUS(qmp_execute_json(client, "remove-fd", "{\"fdset-id\": 7}", PATIENCE_MS, NULL, &reply, NULL), QMP_OK);
    qmp_string_free(reply);
    check_gone(gift);
    /* A command that QEMU refuses, and one for which it has no use. */
    qmp_error *error = NULL;
    gift = wrap();
    CHECK_ERROR(pass(client, "no-such-command", NULL, gift.given, PATIENCE_MS, &error), QMP_ERR_COMMAND, error);
    CHECK_STATUS(execute(client, "quit"), QMP_OK);
    qmp_close(client);
    vm_stop(vm);
    check_gone(gift);
}

struct giver {
    qmp_client *client;
    struct gift gift;
    char arguments[32];
};

static void *give_among_others(void *data)
{
    struct giver *giver = data;
    qmp_request *others[4];
    for (int i = 0; i < 4; i++)
        others[i] = submit(giver->client, "query-version");
    CHECK_STATUS(pass(giver->client, "getfd", giver->arguments, giver->gift.given, PATIENCE_MS, NULL), QMP_OK);
    for (int i = 0; i < 4; i++) {
        CHECK_STATUS(outcome_of(others[i], PATIENCE_MS), QMP_OK);
        qmp_request_free(others[i]);
    }
    return NULL;
}

/* What leaves together keeps each descriptor with its own command. */
static void f100_f112_among_others_each_goes_with_its_own_command(void)
{
    enum { GIVERS = 4 };
    NEED_QEMU();
    vm *vm = vm_start(NULL, NULL);
    qmp_client *client = connect_to(vm_address(vm));
    REQUIRE(client);
    qmp_request *first = submit(client, "query-version"); /* whatever is made for a wait is there then */
    CHECK_STATUS(outcome_of(first, PATIENCE_MS), QMP_OK);
    qmp_request_free(first);
    for (int round = 0; round < rounds(20) && !check_failed(); round++) {
        struct giver givers[GIVERS];
        pthread_t threads[GIVERS];
        /* All before any is given away, so that no number comes twice. */
        for (int i = 0; i < GIVERS; i++)
            givers[i] = (struct giver){.client = client, .gift = wrap()};
        for (int i = 0; i < GIVERS; i++) {
            snprintf(givers[i].arguments, sizeof givers[i].arguments, "{\"fdname\": \"p%d\"}", i);
            pthread_create(&threads[i], NULL, give_among_others, &givers[i]);
        }
        for (int i = 0; i < GIVERS; i++)
            pthread_join(threads[i], NULL);
        for (int i = 0; i < GIVERS; i++) {
            char *reply = NULL;
            CHECK(!has_gone(givers[i].gift));
            CHECK_STATUS(qmp_execute_json(client, "closefd", givers[i].arguments, PATIENCE_MS, NULL, &reply, NULL), QMP_OK);
            qmp_string_free(reply);
            check_gone(givers[i].gift);
        }
    }
    qmp_close(client);
    vm_stop(vm);
}

static void f112_a_wrong_call_leaves_it_to_the_caller(void)
{
    server *server = start_holding();
    qmp_client *client = connect_to(server_address(server));
    struct gift gift = wrap();
    size_t heard = server_heard(server);
    char *reply = NULL;
    CHECK_STATUS(pass(NULL, "getfd", NULL, gift.given, PATIENCE_MS, NULL), NULL_HANDLE);
    CHECK_STATUS(pass((qmp_client *)77, "getfd", NULL, gift.given, PATIENCE_MS, NULL), QMP_ERR_INVALID_HANDLE);
    CHECK_STATUS(pass(client, NULL, NULL, gift.given, PATIENCE_MS, NULL), QMP_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(pass(client, "get fd", NULL, gift.given, PATIENCE_MS, NULL), QMP_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(pass(client, "getfd", "[]", gift.given, PATIENCE_MS, NULL), QMP_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(pass(client, "getfd", NULL, gift.given, -3, NULL), QMP_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(pass(client, "getfd", NULL, -1, PATIENCE_MS, NULL), QMP_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(pass(client, "getfd", NULL, 100000, PATIENCE_MS, NULL), QMP_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(qmp_execute_fd_json(client, "getfd", NULL, gift.given, PATIENCE_MS, (qmp_cancel *)77, &reply, NULL), QMP_ERR_INVALID_HANDLE);
    CHECK_STATUS(qmp_execute_fd_json(client, "getfd", NULL, gift.given, PATIENCE_MS, NULL, NULL, NULL), QMP_ERR_INVALID_ARGUMENT);
    CHECK_INT(server_heard(server), heard);
    CHECK(fcntl(gift.given, F_GETFD) >= 0);
    close(gift.given);
    check_gone(gift);
    qmp_close(client);
    atomic_store(&answer_now, true);
    server_stop(server);
}

static void f112_it_is_closed_when_nothing_is_sent(void)
{
    server *server = start_holding();
    qmp_client *client = connect_to(server_address(server));
    struct gift gift = wrap();
    size_t heard = server_heard(server);
    qmp_error *error = NULL;
    CHECK_ERROR(pass(client, "getfd", NULL, gift.given, 0, &error), QMP_ERR_TIMEOUT, error);
    check_gone(gift);
    CHECK_INT(server_heard(server), heard);
    server_stop(server);
    CHECK_STATUS(execute(client, "ping"), QMP_ERR_DISCONNECTED);
    gift = wrap();
    CHECK_ERROR(pass(client, "getfd", NULL, gift.given, PATIENCE_MS, &error), QMP_ERR_DISCONNECTED, error);
    check_gone(gift);
    qmp_close(client);
}

static void f112_only_a_unix_socket_carries_it(void)
{
    server *server = server_start_tcp(serve_plainly);
    qmp_client *client = connect_to(server_address(server));
    struct gift gift = wrap();
    size_t heard = server_heard(server);
    qmp_error *error = NULL;
    CHECK_ERROR(pass(client, "getfd", NULL, gift.given, PATIENCE_MS, &error), QMP_ERR_UNSUPPORTED, error);
    check_gone(gift);
    CHECK_INT(server_heard(server), heard);
    CHECK_STATUS(execute(client, "ping"), QMP_OK);
    qmp_close(client);
    server_stop(server);
}

static atomic_bool read_on;
static atomic_int received, first_bytes;

/* Greets, waits until told to, then takes bytes and descriptors, and counts in how many messages descriptors came. */
static void take_slowly(peer *peer)
{
    static char bytes[1 << 16];
    if (!peer_greet(peer) || !wait_for(&read_on))
        return;
    size_t taken = 0;
    char *all = malloc(LARGE * 2);
    for (;;) {
        union {
            struct cmsghdr header;
            char room[CMSG_SPACE(8 * sizeof(int))];
        } control;
        struct iovec data = {.iov_base = bytes, .iov_len = sizeof bytes};
        struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = control.room, .msg_controllen = sizeof control.room};
        ssize_t got = recvmsg(peer_fd(peer), &message, MSG_CMSG_CLOEXEC);
        if (got <= 0)
            break;
        for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
            int count = (int)((header->cmsg_len - CMSG_LEN(0)) / sizeof(int));
            for (int i = 0; i < count; i++) {
                int fd;
                memcpy(&fd, CMSG_DATA(header) + (size_t)i * sizeof fd, sizeof fd);
                close(fd);
            }
            atomic_fetch_add(&received, count);
            /* It is the command's first byte that it comes with. */
            if (got > 0 && strncmp(bytes, "{\"execute\":\"getfd\"", 18) == 0)
                atomic_fetch_add(&first_bytes, 1);
        }
        memcpy(all + taken, bytes, (size_t)got);
        taken += (size_t)got;
        all[taken] = 0;
        if (all[taken - 1] == '}' && strstr(all, "getfd")) {
            char *getfd = strstr(all, "{\"execute\":\"getfd\"");
            peer_answer(peer, getfd, "{}");
            break;
        }
    }
    free(all);
    peer_wait_end(peer);
}

static char *large_arguments(void)
{
    char *arguments = malloc(LARGE + 32);
    int length = sprintf(arguments, "{\"a\": \"");
    memset(arguments + length, 'a', LARGE);
    strcpy(arguments + length + LARGE, "\"}");
    return arguments;
}

/* The command is far larger than the socket's buffer. */
static void f112_it_goes_once_with_the_first_byte(void)
{
    atomic_store(&read_on, true);
    atomic_store(&received, 0);
    atomic_store(&first_bytes, 0);
    server *server = server_start(take_slowly);
    qmp_client *client = connect_to(server_address(server));
    char *arguments = large_arguments();
    struct gift gift = wrap();
    CHECK_STATUS(pass(client, "getfd", arguments, gift.given, PATIENCE_MS, NULL), QMP_OK);
    check_gone(gift);
    CHECK_INT(atomic_load(&received), 1);
    CHECK_INT(atomic_load(&first_bytes), 1);
    free(arguments);
    qmp_close(client);
    server_stop(server);
}

/* The socket is full, so the command waits here, and its descriptor with it. */
static void f34_f112_it_is_closed_when_its_command_is_withdrawn(void)
{
    for (int closing = 0; closing < 2; closing++) {
        atomic_store(&read_on, false);
        atomic_store(&received, 0);
        server *server = server_start(take_slowly);
        qmp_client *client = connect_to(server_address(server));
        qmp_request *large = NULL;
        qmp_error *error = NULL;
        char *arguments = large_arguments();
        struct gift gift = wrap();
        CHECK_STATUS(qmp_submit_json(client, "large", arguments, false, &large, NULL), QMP_OK);
        qmp_status status = pass(client, "getfd", NULL, gift.given, 20, &error);
        CHECK(error && !error->outcome_unknown);
        CHECK_ERROR(status, QMP_ERR_TIMEOUT, error);
        check_gone(gift);
        if (closing)
            qmp_close(client);
        qmp_request_free(large); /* out in part: the connection ends */
        qmp_close(client);
        atomic_store(&read_on, true);
        server_stop(server);
        CHECK_INT(atomic_load(&received), 0);
        free(arguments);
    }
}

int main(void)
{
    RUN(f112_a_real_qemu_gets_and_closes_it);
    RUN(f100_f112_among_others_each_goes_with_its_own_command);
    RUN(f112_a_wrong_call_leaves_it_to_the_caller);
    RUN(f112_it_is_closed_when_nothing_is_sent);
    RUN(f112_only_a_unix_socket_carries_it);
    RUN(f112_it_goes_once_with_the_first_byte);
    RUN(f34_f112_it_is_closed_when_its_command_is_withdrawn);
    return check_end();
}
