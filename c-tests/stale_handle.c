/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A handle that is stale, foreign, of another kind or garbage is told apart, in every function. */
#include "support/client.h"
#include "support/server.h"


static server *the_server;

static void not_a_client(void *handle)
{
    qmp_client *client = handle;
    qmp_error *error = NULL;
    qmp_event *event = (qmp_event *)1;
    char *text = (char *)1;
    bool flag = true;
    int32_t number = 77;
    CHECK_ERROR(qmp_execute_json(client, "stop", NULL, 1000, NULL, &text, &error), QMP_ERR_INVALID_HANDLE, error);
    CHECK_ERROR(qmp_poll_event(client, 1000, NULL, &event, &error), QMP_ERR_INVALID_HANDLE, error);
    CHECK_ERROR(qmp_event_fd(client, &number, &error), QMP_ERR_INVALID_HANDLE, error);
    CHECK_INT(number, 0);
    CHECK_ERROR(qmp_query_status(client, 1000, NULL, &flag, &text, &error), QMP_ERR_INVALID_HANDLE, error);
    CHECK_ERROR(qmp_is_running(client, 1000, NULL, &flag, &error), QMP_ERR_INVALID_HANDLE, error);
    CHECK_ERROR(qmp_greeting_json(client, &text, &error), QMP_ERR_INVALID_HANDLE, error);
    CHECK_ERROR(qmp_shutdown(client, 1000, 1000, true, NULL, &number, &error), QMP_ERR_INVALID_HANDLE, error);
    CHECK_STATUS(qmp_close(client), QMP_ERR_INVALID_HANDLE);
    CHECK(!event && !text && !flag && !number);
}

static void not_a_cancel(void *handle)
{
    qmp_cancel *cancel = handle;
    qmp_client *made = (qmp_client *)1;
    qmp_error *error = NULL;
    CHECK_STATUS(qmp_cancel_trigger(cancel), QMP_ERR_INVALID_HANDLE);
    CHECK_ERROR(qmp_connect(server_address(the_server), NULL, 1000, cancel, &made, &error), QMP_ERR_INVALID_HANDLE, error);
    CHECK(!made);
    qmp_cancel_free(cancel);

    qmp_client *client = connect_to(server_address(the_server));
    size_t heard = server_heard(the_server);
    qmp_event *event = NULL;
    char *text = NULL;
    bool flag = false;
    int32_t result = 0;
    CHECK_ERROR(qmp_execute_json(client, "stop", NULL, 1000, cancel, &text, &error), QMP_ERR_INVALID_HANDLE, error);
    CHECK_ERROR(qmp_poll_event(client, 1000, cancel, &event, &error), QMP_ERR_INVALID_HANDLE, error);
    CHECK_ERROR(qmp_query_status(client, 1000, cancel, &flag, &text, &error), QMP_ERR_INVALID_HANDLE, error);
    CHECK_ERROR(qmp_is_running(client, 1000, cancel, &flag, &error), QMP_ERR_INVALID_HANDLE, error);
    CHECK_ERROR(qmp_shutdown(client, 1000, 1000, true, cancel, &result, &error), QMP_ERR_INVALID_HANDLE, error);
    CHECK_INT(server_heard(the_server), heard);
    qmp_close(client);
}

static void ignore(void *user_data, int32_t level, const char *message)
{
    (void)user_data, (void)level, (void)message;
}

static void not_options(void *handle)
{
    qmp_options *options = handle;
    qmp_client *made = (qmp_client *)1;
    qmp_error *error = NULL;
    CHECK_STATUS(qmp_options_set_max_message_bytes(options, 4096), QMP_ERR_INVALID_HANDLE);
    CHECK_STATUS(qmp_options_set_event_capacity(options, 16), QMP_ERR_INVALID_HANDLE);
    CHECK_STATUS(qmp_options_set_wait_for_socket(options, true), QMP_ERR_INVALID_HANDLE);
    CHECK_STATUS(qmp_options_set_log(options, QMP_LOG_INFO, ignore, NULL, NULL), QMP_ERR_INVALID_HANDLE);
    CHECK_ERROR(qmp_connect(server_address(the_server), options, 1000, NULL, &made, &error), QMP_ERR_INVALID_HANDLE, error);
    CHECK(!made);
    qmp_options_free(options);
}

static void garbage(void)
{
    static char memory[64];
    const uintptr_t values[] = {1, 2, 0xdeadbeef, 0x100000001, UINTPTR_MAX, UINTPTR_MAX - 1, 1ULL << 63, (uintptr_t)memory};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        not_a_client((void *)values[i]);
        not_a_cancel((void *)values[i]);
        not_options((void *)values[i]);
    }
}

static void another_kind(void)
{
    qmp_client *client = connect_to(server_address(the_server));
    qmp_cancel *cancel = qmp_cancel_new();
    qmp_options *options = qmp_options_new();
    REQUIRE(client && cancel && options);
    not_a_client(cancel);
    not_a_client(options);
    not_a_cancel(client);
    not_a_cancel(options);
    not_options(client);
    not_options(cancel);
    /* None of that touched the handles themselves. */
    CHECK_STATUS(execute(client, "stop"), QMP_OK);
    CHECK_STATUS(qmp_cancel_trigger(cancel), QMP_OK);
    CHECK_STATUS(qmp_options_set_event_capacity(options, 16), QMP_OK);
    CHECK_STATUS(qmp_close(client), QMP_OK);
    qmp_cancel_free(cancel);
    qmp_options_free(options);
}

static void after_close(void)
{
    qmp_client *client = connect_to(server_address(the_server));
    qmp_cancel *cancel = qmp_cancel_new();
    qmp_options *options = qmp_options_new();
    CHECK_STATUS(qmp_close(client), QMP_OK);
    qmp_cancel_free(cancel);
    qmp_options_free(options);
    not_a_client(client);
    not_a_cancel(cancel);
    not_options(options);
}

static void a_reused_slot(void)
{
    qmp_client *old = connect_to(server_address(the_server));
    qmp_cancel *old_cancel = qmp_cancel_new();
    qmp_options *old_options = qmp_options_new();
    qmp_close(old);
    qmp_cancel_free(old_cancel);
    qmp_options_free(old_options);

    qmp_client *client = connect_to(server_address(the_server));
    qmp_cancel *cancel = qmp_cancel_new();
    qmp_options *options = qmp_options_new();
    CHECK(client != old && cancel != old_cancel && options != old_options);
    not_a_client(old);
    not_a_cancel(old_cancel);
    not_options(old_options);
    CHECK_STATUS(execute(client, "stop"), QMP_OK);
    qmp_close(client);
    qmp_cancel_free(cancel);
    qmp_options_free(options);
}

static void options_and_cancel_may_go_before_the_client(void)
{
    qmp_client *client = NULL;
    qmp_cancel *cancel = qmp_cancel_new();
    qmp_options *options = qmp_options_new();
    CHECK_STATUS(qmp_connect(server_address(the_server), options, PATIENCE_MS, cancel, &client, NULL), QMP_OK);
    qmp_options_free(options);
    CHECK_STATUS(qmp_cancel_trigger(cancel), QMP_OK);
    qmp_cancel_free(cancel);
    CHECK_STATUS(execute(client, "stop"), QMP_OK);
    CHECK_STATUS(qmp_close(client), QMP_OK);
}

int main(void)
{
    the_server = server_start(serve_plainly);
    RUN(garbage);
    RUN(another_kind);
    RUN(after_close);
    RUN(a_reused_slot);
    RUN(options_and_cancel_may_go_before_the_client);
    server_stop(the_server);
    return check_end();
}
