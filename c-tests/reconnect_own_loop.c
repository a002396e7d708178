/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A client that comes back in the caller's loop: by its one descriptor and qmp_process alone, without a thread. */
#include "support/mocked.h"
#include "support/returning.h"

static qmp_error *error;

static qmp_options *driven(void)
{
    qmp_options *options = returning();
    CHECK_STATUS(qmp_options_set_own_loop(options, true), QMP_OK);
    return options;
}

static bool started(struct mocked *vm, const char *at, int32_t *fd)
{
    char *address = NULL;
    *vm = (struct mocked){NULL, NULL};
    CHECK_STATUS(qmp_mock_start(at, &vm->mock, NULL), QMP_OK);
    CHECK_STATUS(qmp_mock_address(vm->mock, &address, NULL), QMP_OK);
    vm->client = connect_with(driven(), address);
    qmp_string_free(address);
    CHECK_STATUS(qmp_fd(vm->client, fd, NULL), QMP_OK);
    return vm->client != NULL;
}

/* Processes until an event of this kind has come. */
static bool process_until(qmp_client *client, int32_t fd, int32_t kind)
{
    int32_t came = -1;
    while (came != kind) {
        qmp_event *event = NULL;
        if (qmp_poll_event(client, 0, NULL, &event, NULL) == QMP_OK) {
            came = event->kind;
            qmp_event_free(event);
        } else if (!readable(fd, PATIENCE_MS) || qmp_process(client, NULL) != QMP_OK) {
            return false;
        }
    }
    return true;
}

/* After so long at most there is nothing to be done any more, for longer than any timer of a handshake. */
static bool rests(qmp_client *client, int32_t fd)
{
    for (int i = 0; i < 100 && readable(fd, 0); i++)
        CHECK_STATUS(qmp_process(client, NULL), QMP_OK);
    return !readable(fd, 1500);
}

static void f13_it_comes_back_by_processing_alone(void)
{
    const char *places[] = {NULL, "tcp:127.0.0.1:0"};
    for (int place = 0; place < 2; place++) {
        struct mocked vm;
        int32_t fd, same;
        REQUIRE(started(&vm, places[place], &fd));
        int threads = count_threads(), descriptors = count_descriptors();
        for (int i = 0; i < 5; i++) {
            CHECK_STATUS(qmp_mock_disconnect(vm.mock, NULL), QMP_OK);
            CHECK(process_until(vm.client, fd, QMP_EVENT_DISCONNECTED));
            CHECK(process_until(vm.client, fd, QMP_EVENT_RECONNECTED));
            CHECK_STATUS(qmp_mock_emit(vm.mock, "TICK", NULL, NULL), QMP_OK);
            CHECK(process_until(vm.client, fd, QMP_EVENT_VM));
            CHECK_STATUS(execute(vm.client, "query-name"), QMP_OK);
        }
        CHECK_STATUS(qmp_fd(vm.client, &same, NULL), QMP_OK);
        CHECK_INT(same, fd);
        CHECK_INT(count_threads(), threads);
        CHECK_INT(count_descriptors(), descriptors);
        CHECK(rests(vm.client, fd));
        mocked_stop(&vm);
    }
}

static void blocking_calls_bring_it_back_too(void)
{
    struct mocked vm;
    struct under_way calls[3];
    int32_t fd;
    REQUIRE(started(&vm, NULL, &fd));
    for (int i = 0; i < 5; i++) {
        CHECK_STATUS(qmp_mock_disconnect(vm.mock, NULL), QMP_OK);
        CHECK_RETURN(vm.client);
        CHECK_STATUS(qmp_mock_disconnect(vm.mock, NULL), QMP_OK);
        CHECK_OWN(vm.client, QMP_EVENT_DISCONNECTED, "\"reconnecting\": true");
        for (int j = 0; j < 3; j++)
            call_begin(&calls[j], vm.client, "query-name", PATIENCE_MS, NULL);
        for (int j = 0; j < 3; j++)
            CHECK_STATUS(call_end(&calls[j]), QMP_OK);
        CHECK_OWN(vm.client, QMP_EVENT_RECONNECTED, "\"epoch\"");
    }
    CHECK(rests(vm.client, fd));
    mocked_stop(&vm);
}

static void f13_its_calls_end_while_it_is_down(void)
{
    struct mocked vm;
    int32_t fd;
    char *reply = NULL;
    REQUIRE(started(&vm, NULL, &fd));
    CHECK_STATUS(qmp_mock_stop(vm.mock), QMP_OK);
    CHECK(process_until(vm.client, fd, QMP_EVENT_DISCONNECTED));
    CHECK_ERROR(qmp_execute_json(vm.client, "stop", NULL, 30, NULL, &reply, &error), QMP_ERR_DISCONNECTED, error);
    /* Not more often than it has attempts to make. */
    int processed = 0;
    for (int64_t end = now_ms() + 1000; now_ms() < end; processed++) {
        if (readable(fd, 1000))
            CHECK_STATUS(qmp_process(vm.client, NULL), QMP_OK);
    }
    CHECK(processed > 1 && processed < 500);
    CHECK_STATUS(qmp_close(vm.client), QMP_OK);
}

static void f13_it_gives_up(void)
{
    struct mocked vm;
    char *address = NULL;
    int32_t fd;
    CHECK_STATUS(qmp_mock_start(NULL, &vm.mock, NULL), QMP_OK);
    CHECK_STATUS(qmp_mock_address(vm.mock, &address, NULL), QMP_OK);
    qmp_options *options = driven();
    CHECK_STATUS(qmp_options_set_reconnect(options, 5, 1, 5, 0, 30), QMP_OK);
    vm.client = connect_with(options, address);
    CHECK_STATUS(qmp_fd(vm.client, &fd, NULL), QMP_OK);
    CHECK_STATUS(qmp_mock_stop(vm.mock), QMP_OK);
    qmp_status status = QMP_OK;
    while (status == QMP_OK && readable(fd, PATIENCE_MS))
        status = qmp_process(vm.client, NULL);
    CHECK_STATUS(status, QMP_ERR_DISCONNECTED);
    CHECK_OWN(vm.client, QMP_EVENT_DISCONNECTED, "\"reconnecting\": true");
    CHECK_OWN(vm.client, QMP_EVENT_DISCONNECTED, "\"reconnecting\": false");
    CHECK_STATUS(qmp_close(vm.client), QMP_OK);
    qmp_string_free(address);
}

int main(void)
{
    RUN(f13_it_comes_back_by_processing_alone);
    RUN(blocking_calls_bring_it_back_too);
    RUN(f13_its_calls_end_while_it_is_down);
    RUN(f13_it_gives_up);
    return check_end();
}
