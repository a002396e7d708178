/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A caller may leave a command's limit to the library, which goes by the command's name. */
#include "support/requests.h"

/* The limit that a call had, as its error tells it. */
static void check_limit(qmp_client *client, const char *command, const char *limit)
{
    char *reply = NULL;
    qmp_error *error = NULL;
    qmp_status status = qmp_execute_json(client, command, NULL, QMP_DEFAULT_TIMEOUT, NULL, &reply, &error);
    CHECK_HAS(error ? error->message : NULL, limit);
    CHECK_ERROR(status, QMP_ERR_TIMEOUT, error);
}

static void what_was_set_for_the_name_holds(void)
{
    server *server = start_holding();
    qmp_options *options = qmp_options_new();
    qmp_client *client = NULL;
    char *reply = NULL;
    qmp_error *error = NULL;
    CHECK_STATUS(qmp_options_set_timeout(options, "block*", 12), QMP_OK);
    CHECK_STATUS(qmp_options_set_timeout(options, "*", 99), QMP_OK);
    CHECK_STATUS(qmp_options_set_timeout(options, "*", 11), QMP_OK); /* instead of the one before */
    CHECK_STATUS(qmp_options_set_timeout(options, "blockdev-add", 13), QMP_OK);
    CHECK_STATUS(qmp_connect(server_address(server), options, PATIENCE_MS, NULL, &client, NULL), QMP_OK);
    qmp_options_free(options);
    check_limit(client, "query-status", "11 ms");
    check_limit(client, "query-migrate", "11 ms"); /* over the built-in table too */
    check_limit(client, "block_resize", "12 ms");
    check_limit(client, "blockdev-add", "13 ms");
    CHECK_ERROR(qmp_execute_fd_json(client, "getfd", NULL, -1, QMP_DEFAULT_TIMEOUT, NULL, &reply, &error), QMP_ERR_INVALID_ARGUMENT, error);
    qmp_close(client);
    atomic_store(&answer_now, true);
    server_stop(server);
}

static void what_was_set_for_ever_is_answered_in_the_end(void)
{
    server *server = start_holding();
    qmp_options *options = qmp_options_new();
    qmp_client *client = NULL;
    char *reply = NULL;
    CHECK_STATUS(qmp_options_set_timeout(options, "*", 11), QMP_OK);
    CHECK_STATUS(qmp_options_set_timeout(options, "slow", QMP_FOREVER), QMP_OK);
    CHECK_STATUS(qmp_connect(server_address(server), options, PATIENCE_MS, NULL, &client, NULL), QMP_OK);
    qmp_options_free(options);
    check_limit(client, "fast", "11 ms");
    atomic_store(&answer_now, true);
    CHECK_STATUS(qmp_execute_json(client, "slow", NULL, QMP_DEFAULT_TIMEOUT, NULL, &reply, NULL), QMP_OK);
    CHECK_STR(reply, "\"slow\"");
    qmp_string_free(reply);
    qmp_close(client);
    server_stop(server);
}

static void elsewhere_it_is_no_limit(void)
{
    server *server = server_start(serve_plainly);
    qmp_client *client = connect_to(server_address(server)), *made = NULL;
    qmp_request *request = submit(client, "one");
    qmp_event *event = NULL;
    qmp_options *options = qmp_options_new();
    CHECK_STATUS(qmp_connect(server_address(server), NULL, QMP_DEFAULT_TIMEOUT, NULL, &made, NULL), QMP_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(qmp_poll_event(client, QMP_DEFAULT_TIMEOUT, NULL, &event, NULL), QMP_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(outcome_of(request, QMP_DEFAULT_TIMEOUT), QMP_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(qmp_options_set_timeout(options, "*", QMP_DEFAULT_TIMEOUT), QMP_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(qmp_options_set_timeout(options, NULL, 11), QMP_ERR_INVALID_ARGUMENT);
    qmp_options_free(options);
    qmp_request_free(request);
    qmp_close(client);
    server_stop(server);
}

int main(void)
{
    RUN(what_was_set_for_the_name_holds);
    RUN(what_was_set_for_ever_is_answered_in_the_end);
    RUN(elsewhere_it_is_no_limit);
    return check_end();
}
