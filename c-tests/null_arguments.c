/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* NULL for each pointer of each function gives a status, and outputs are cleared. */
#include "support/client.h"
#include "support/server.h"


static qmp_client *client;

static void null_handles(void)
{
    bool flag = true;
    char *text = (char *)1;
    int32_t number = 77;
    qmp_event *event = (qmp_event *)1;
    qmp_error *error = NULL;

    CHECK_STATUS(qmp_cancel_trigger(NULL), NULL_HANDLE);
    CHECK_STATUS(qmp_options_set_max_message_bytes(NULL, 4096), NULL_HANDLE);
    CHECK_STATUS(qmp_options_set_event_capacity(NULL, 16), NULL_HANDLE);
    CHECK_STATUS(qmp_options_set_wait_for_socket(NULL, true), NULL_HANDLE);
    CHECK_STATUS(qmp_options_set_log(NULL, QMP_LOG_INFO, NULL, NULL, NULL), NULL_HANDLE);

    CHECK_ERROR(qmp_execute_json(NULL, "stop", NULL, 1000, NULL, &text, &error), NULL_HANDLE, error);
    CHECK(text == NULL);
    CHECK_ERROR(qmp_poll_event(NULL, 1000, NULL, &event, &error), NULL_HANDLE, error);
    CHECK(event == NULL);
    CHECK_ERROR(qmp_event_fd(NULL, &number, &error), NULL_HANDLE, error);
    CHECK_INT(number, 0);
    text = (char *)1;
    CHECK_ERROR(qmp_query_status(NULL, 1000, NULL, &flag, &text, &error), NULL_HANDLE, error);
    CHECK(!flag && text == NULL);
    flag = true;
    CHECK_ERROR(qmp_is_running(NULL, 1000, NULL, &flag, &error), NULL_HANDLE, error);
    CHECK(!flag);
    text = (char *)1;
    CHECK_ERROR(qmp_greeting_json(NULL, &text, &error), NULL_HANDLE, error);
    CHECK(text == NULL);
    number = 77;
    CHECK_ERROR(qmp_shutdown(NULL, 1000, 1000, true, NULL, &number, &error), NULL_HANDLE, error);
    CHECK_INT(number, 0);
}

static void null_inputs(void)
{
    qmp_error *error = NULL;
    qmp_client *made = (qmp_client *)1;
    char *text = (char *)1;

    CHECK_ERROR(qmp_connect(NULL, NULL, 1000, NULL, &made, &error), QMP_ERR_INVALID_ARGUMENT, error);
    CHECK(made == NULL);
    CHECK_ERROR(qmp_execute_json(client, NULL, NULL, 1000, NULL, &text, &error), QMP_ERR_INVALID_ARGUMENT, error);
    CHECK(text == NULL);
}

static void null_outputs(void)
{
    qmp_error *error = NULL;
    bool flag = true;
    char *text = (char *)1;

    CHECK_ERROR(qmp_connect("/nowhere", NULL, 1000, NULL, NULL, &error), QMP_ERR_INVALID_ARGUMENT, error);
    CHECK_ERROR(qmp_execute_json(client, "stop", NULL, 1000, NULL, NULL, &error), QMP_ERR_INVALID_ARGUMENT, error);
    CHECK_ERROR(qmp_poll_event(client, 0, NULL, NULL, &error), QMP_ERR_INVALID_ARGUMENT, error);
    CHECK_ERROR(qmp_event_fd(client, NULL, &error), QMP_ERR_INVALID_ARGUMENT, error);
    CHECK_ERROR(qmp_query_status(client, 1000, NULL, NULL, &text, &error), QMP_ERR_INVALID_ARGUMENT, error);
    CHECK(text == NULL);
    CHECK_ERROR(qmp_query_status(client, 1000, NULL, &flag, NULL, &error), QMP_ERR_INVALID_ARGUMENT, error);
    CHECK(!flag);
    CHECK_ERROR(qmp_is_running(client, 1000, NULL, NULL, &error), QMP_ERR_INVALID_ARGUMENT, error);
    CHECK_ERROR(qmp_greeting_json(client, NULL, &error), QMP_ERR_INVALID_ARGUMENT, error);
    CHECK_ERROR(qmp_shutdown(client, 1000, 0, false, NULL, NULL, &error), QMP_ERR_INVALID_ARGUMENT, error);
}

static void the_error_may_always_be_null(void)
{
    bool flag;
    char *text;
    int32_t number;
    qmp_event *event;
    qmp_client *made;

    CHECK_STATUS(qmp_connect(NULL, NULL, 1000, NULL, &made, NULL), QMP_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(qmp_connect("/nowhere/at/all", NULL, 1000, NULL, &made, NULL), QMP_ERR_NOT_FOUND);
    CHECK_STATUS(qmp_execute_json(NULL, "stop", NULL, 1000, NULL, &text, NULL), NULL_HANDLE);
    CHECK_STATUS(qmp_poll_event(NULL, 1000, NULL, &event, NULL), NULL_HANDLE);
    CHECK_STATUS(qmp_event_fd(NULL, &number, NULL), NULL_HANDLE);
    CHECK_STATUS(qmp_query_status(NULL, 1000, NULL, &flag, &text, NULL), NULL_HANDLE);
    CHECK_STATUS(qmp_is_running(NULL, 1000, NULL, &flag, NULL), NULL_HANDLE);
    CHECK_STATUS(qmp_greeting_json(NULL, &text, NULL), NULL_HANDLE);
    CHECK_STATUS(qmp_shutdown(NULL, 1000, 1000, true, NULL, &number, NULL), NULL_HANDLE);
}

static void the_optional_may_be_null(void)
{
    char *text = NULL;
    CHECK_STATUS(qmp_execute_json(client, "stop", NULL, PATIENCE_MS, NULL, &text, NULL), QMP_OK);
    CHECK_STR(text, "{}");
    qmp_string_free(text);
}

int main(void)
{
    server *server = server_start(serve_plainly);
    client = connect_to(server_address(server));
    size_t heard = server_heard(server);
    RUN(null_handles);
    RUN(null_inputs);
    RUN(null_outputs);
    RUN(the_error_may_always_be_null);
    if (server_heard(server) != heard)
        check_fail(__FILE__, __LINE__, "a refused call sent something");
    RUN(the_optional_may_be_null);
    qmp_close(client);
    server_stop(server);
    return check_end();
}
