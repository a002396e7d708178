/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A client that the caller's loop drives: no thread is started, one descriptor tells all, nothing waits. */
#include "support/client.h"

#include <dirent.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static qmp_error *error;

static int threads(void)
{
    int count = 0;
    DIR *tasks = opendir("/proc/self/task");
    for (struct dirent *task; (task = readdir(tasks));)
        count += task->d_name[0] != '.';
    closedir(tasks);
    return count;
}

struct vm {
    qmp_mock *mock;
    qmp_client *client;
    int fd;
};

static struct vm started(void)
{
    struct vm vm = {NULL, NULL, -1};
    char *address = NULL;
    qmp_options *options = qmp_options_new();
    CHECK_STATUS(qmp_options_set_own_loop(options, true), QMP_OK);
    CHECK_STATUS(qmp_mock_start(NULL, &vm.mock, &error), QMP_OK);
    CHECK_STATUS(qmp_mock_address(vm.mock, &address, &error), QMP_OK);
    CHECK_STATUS(qmp_connect(address, options, PATIENCE_MS, NULL, &vm.client, &error), QMP_OK);
    CHECK_STATUS(qmp_fd(vm.client, &vm.fd, &error), QMP_OK);
    qmp_options_free(options);
    qmp_string_free(address);
    return vm;
}

static void stopped(struct vm *vm)
{
    CHECK_STATUS(qmp_close(vm->client), QMP_OK);
    CHECK_STATUS(qmp_mock_stop(vm->mock), QMP_OK);
}

static bool is_readable(int fd, int timeout_ms)
{
    struct pollfd one = {.fd = fd, .events = POLLIN};
    return poll(&one, 1, timeout_ms) == 1;
}

/* Reads until the descriptor is quiet. */
static qmp_status process(struct vm *vm)
{
    qmp_status status = QMP_OK;
    while (status == QMP_OK && is_readable(vm->fd, 0))
        status = qmp_process(vm->client, NULL);
    return status;
}

static void no_thread_is_started(void)
{
    qmp_mock *warm = NULL; /* the mock has a thread of its own */
    CHECK_STATUS(qmp_mock_start(NULL, &warm, &error), QMP_OK);
    int before = threads();
    struct vm vm = started();
    char *reply = NULL;
    CHECK_STATUS(qmp_execute_json(vm.client, "query-name", NULL, PATIENCE_MS, NULL, &reply, &error), QMP_OK);
    CHECK_STR(reply, "{}");
    qmp_string_free(reply);
    CHECK_STATUS(qmp_process(vm.client, &error), QMP_OK);
    CHECK_INT(threads(), before);
    stopped(&vm);
    CHECK_STATUS(qmp_mock_stop(warm), QMP_OK);
}

static void events_and_replies_come_by_processing(void)
{
    struct vm vm = started();
    qmp_event *event = NULL;
    qmp_request *request = NULL;
    char *reply = NULL;
    CHECK_STATUS(process(&vm), QMP_OK);
    CHECK(!is_readable(vm.fd, 0));
    CHECK_STATUS(qmp_mock_emit(vm.mock, "TICK", NULL, &error), QMP_OK);
    CHECK(is_readable(vm.fd, PATIENCE_MS));
    CHECK_STATUS(process(&vm), QMP_OK);
    CHECK_STATUS(qmp_poll_event(vm.client, 0, NULL, &event, &error), QMP_OK);
    CHECK_STR(event ? event->name : "", "TICK");
    qmp_event_free(event);
    CHECK(!is_readable(vm.fd, 0));

    CHECK_STATUS(qmp_submit_json(vm.client, "query-name", NULL, false, &request, &error), QMP_OK);
    while (qmp_request_wait(request, 0, NULL, &reply, NULL) == QMP_ERR_TIMEOUT && is_readable(vm.fd, PATIENCE_MS))
        CHECK_STATUS(qmp_process(vm.client, &error), QMP_OK);
    CHECK_STR(reply ? reply : "", "{}");
    qmp_string_free(reply);
    qmp_request_free(request);
    stopped(&vm);
}

static int called;

static void count_call(void *user_data, const qmp_event *event)
{
    (void)user_data, (void)event;
    called++;
}

static void callbacks_run_while_processing(void)
{
    struct vm vm = started();
    qmp_subscription *ticks = NULL;
    called = 0;
    CHECK_STATUS(qmp_subscribe(vm.client, "TICK", NULL, NULL, 0, &ticks, &error), QMP_OK);
    CHECK_ERROR(qmp_subscription_set_callback(ticks, QMP_ON_LIBRARY_THREAD, count_call, NULL, NULL, &error),
                QMP_ERR_INVALID_ARGUMENT, error);
    CHECK_STATUS(qmp_subscription_set_callback(ticks, QMP_ON_DISPATCH, count_call, NULL, NULL, &error), QMP_OK);
    CHECK_STATUS(qmp_mock_emit(vm.mock, "TICK", NULL, &error), QMP_OK);
    CHECK_STATUS(qmp_mock_emit(vm.mock, "TICK", NULL, &error), QMP_OK);
    while (called < 2 && is_readable(vm.fd, PATIENCE_MS))
        CHECK_STATUS(qmp_process(vm.client, &error), QMP_OK);
    CHECK_INT(called, 2);
    CHECK(!is_readable(vm.fd, 0));
    qmp_subscription_free(ticks);
    stopped(&vm);
}

static void the_end_is_seen(void)
{
    struct vm vm = started();
    qmp_event *event = NULL;
    CHECK_STATUS(qmp_mock_disconnect(vm.mock, &error), QMP_OK);
    qmp_status status = QMP_OK;
    while (status == QMP_OK && is_readable(vm.fd, PATIENCE_MS))
        status = qmp_process(vm.client, NULL);
    CHECK_INT(status, QMP_ERR_DISCONNECTED);
    CHECK(is_readable(vm.fd, 0));
    CHECK_ERROR(qmp_process(vm.client, &error), QMP_ERR_DISCONNECTED, error);
    CHECK_ERROR(qmp_poll_event(vm.client, 0, NULL, &event, &error), QMP_ERR_DISCONNECTED, error);
    stopped(&vm);
}

/* More than a socket takes: the descriptor tells when the rest can go. */
static void a_large_command_leaves_piece_by_piece(void)
{
    struct vm vm = started();
    size_t size = 4 << 20;
    char *arguments = malloc(size), *reply = NULL;
    qmp_request *request = NULL;
    snprintf(arguments, 16, "{\"a\": \"");
    memset(arguments + 7, 'x', size - 10);
    memcpy(arguments + size - 3, "\"}", 3);
    CHECK_STATUS(qmp_mock_reply(vm.mock, "swallow", "17", 1, &error), QMP_OK);
    CHECK_STATUS(qmp_submit_json(vm.client, "swallow", arguments, false, &request, &error), QMP_OK);
    qmp_status status;
    while ((status = qmp_request_wait(request, 0, NULL, &reply, NULL)) == QMP_ERR_TIMEOUT &&
           is_readable(vm.fd, PATIENCE_MS))
        CHECK_STATUS(qmp_process(vm.client, &error), QMP_OK);
    CHECK_INT(status, QMP_OK);
    CHECK_STR(reply ? reply : "", "17");
    qmp_string_free(reply);
    qmp_request_free(request);
    free(arguments);
    stopped(&vm);
}

static void is_refused_where_it_makes_no_sense(void)
{
    struct vm vm = started();
    char *address = NULL;
    int fd = 77;
    qmp_client *other = NULL;
    CHECK_STATUS(qmp_mock_set_clients(vm.mock, 2, &error), QMP_OK);
    CHECK_STATUS(qmp_mock_address(vm.mock, &address, &error), QMP_OK);
    CHECK_STATUS(qmp_connect(address, NULL, PATIENCE_MS, NULL, &other, &error), QMP_OK);
    CHECK_ERROR(qmp_fd(other, &fd, &error), QMP_ERR_INVALID_ARGUMENT, error);
    CHECK_INT(fd, 0);
    CHECK_ERROR(qmp_process(other, &error), QMP_ERR_INVALID_ARGUMENT, error);
    CHECK_STATUS(qmp_close(other), QMP_OK);
    qmp_options *options = qmp_options_new();
    CHECK_STATUS(qmp_options_set_own_loop(options, true), QMP_OK);
    CHECK_ERROR(qmp_connect("tcp:localhost:1", options, 1000, NULL, &other, &error), QMP_ERR_UNSUPPORTED, error);
    qmp_options_free(options);
    qmp_string_free(address);
    stopped(&vm);
}

int main(void)
{
    RUN(no_thread_is_started);
    RUN(events_and_replies_come_by_processing);
    RUN(callbacks_run_while_processing);
    RUN(the_end_is_seen);
    RUN(a_large_command_leaves_piece_by_piece);
    RUN(is_refused_where_it_makes_no_sense);
    return check_end();
}
