/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A cancel token ends every call that uses it, and none of what they leave behind goes astray. */
#include "support/client.h"
#include "support/server.h"

#include <pthread.h>
#include <stdlib.h>

static atomic_int heard;
static atomic_bool answer_now;

/* Answers the first command only when told to, all later ones at once. */
static void answer_the_first_late(peer *peer)
{
    char *command;
    if (!peer_greet(peer))
        return;
    while ((command = peer_hear(peer))) {
        if (atomic_fetch_add(&heard, 1) == 0 && !wait_for(&answer_now))
            return;
        peer_answer(peer, command, is_command(command, "first") ? "\"first\"" : "\"second\"");
        free(command);
    }
}

static void *trigger_when_heard(void *data)
{
    CHECK_SOON(atomic_load(&heard) > 0);
    CHECK_STATUS(qmp_cancel_trigger(data), QMP_OK);
    return NULL;
}

static void f87_before_the_call(void)
{
    server *server = server_start(serve_plainly);
    qmp_client *client = connect_to(server_address(server)), *made = (qmp_client *)1;
    qmp_cancel *cancel = qmp_cancel_new();
    qmp_error *error = NULL;
    qmp_event *event = (qmp_event *)1;
    char *text = (char *)1;
    bool flag = true;
    int32_t result = 77;
    size_t before = server_heard(server);
    CHECK_STATUS(qmp_cancel_trigger(cancel), QMP_OK);
    CHECK_STATUS(qmp_cancel_trigger(cancel), QMP_OK);
    CHECK_ERROR(qmp_connect(server_address(server), NULL, QMP_FOREVER, cancel, &made, &error), QMP_ERR_CANCELLED, error);
    CHECK(made == NULL);
    qmp_status status = qmp_execute_json(client, "stop", NULL, QMP_FOREVER, cancel, &text, &error);
    CHECK(error && !error->outcome_unknown);
    CHECK_ERROR(status, QMP_ERR_CANCELLED, error);
    CHECK_ERROR(qmp_poll_event(client, QMP_FOREVER, cancel, &event, &error), QMP_ERR_CANCELLED, error);
    CHECK_ERROR(qmp_query_status(client, QMP_FOREVER, cancel, &flag, &text, &error), QMP_ERR_CANCELLED, error);
    CHECK_ERROR(qmp_is_running(client, QMP_FOREVER, cancel, &flag, &error), QMP_ERR_CANCELLED, error);
    CHECK_ERROR(qmp_shutdown(client, QMP_FOREVER, QMP_FOREVER, false, cancel, &result, &error), QMP_ERR_CANCELLED, error);
    CHECK(!text && !event && !flag && !result);
    CHECK_INT(server_heard(server), before);
    CHECK_STATUS(execute(client, "stop"), QMP_OK);
    qmp_cancel_free(cancel);
    qmp_close(client);
    server_stop(server);
}

static void f47_f87_while_a_command_waits(void)
{
    server *server = server_start(answer_the_first_late);
    qmp_client *client = connect_to(server_address(server));
    qmp_cancel *cancel = qmp_cancel_new();
    qmp_error *error = NULL;
    char *text = (char *)1;
    pthread_t trigger;
    atomic_store(&heard, 0);
    atomic_store(&answer_now, false);
    pthread_create(&trigger, NULL, trigger_when_heard, cancel);
    qmp_status status = qmp_execute_json(client, "first", NULL, QMP_FOREVER, cancel, &text, &error);
    CHECK(error && error->outcome_unknown);
    CHECK_ERROR(status, QMP_ERR_CANCELLED, error);
    CHECK(text == NULL);
    pthread_join(trigger, NULL);

    /* The late answer is not the next call's. */
    atomic_store(&answer_now, true);
    CHECK_STATUS(qmp_execute_json(client, "second", NULL, PATIENCE_MS, NULL, &text, NULL), QMP_OK);
    CHECK_STR(text, "\"second\"");
    qmp_string_free(text);
    qmp_cancel_free(cancel);
    qmp_close(client);
    server_stop(server);
}

static void *poll_cancelled(void *data)
{
    void **both = data;
    qmp_event *event = (qmp_event *)1;
    qmp_error *error = NULL;
    CHECK_ERROR(qmp_poll_event(both[0], QMP_FOREVER, both[1], &event, &error), QMP_ERR_CANCELLED, error);
    CHECK(event == NULL);
    return NULL;
}

static void f87_one_token_ends_many_calls(void)
{
    server *server = server_start(serve_plainly);
    qmp_client *client = connect_to(server_address(server));
    qmp_cancel *cancel = qmp_cancel_new();
    void *both[] = {client, cancel};
    pthread_t threads[8];
    for (int i = 0; i < 8; i++)
        pthread_create(&threads[i], NULL, poll_cancelled, both);
    CHECK_STATUS(execute(client, "stop"), QMP_OK);
    CHECK_STATUS(qmp_cancel_trigger(cancel), QMP_OK);
    for (int i = 0; i < 8; i++)
        pthread_join(threads[i], NULL);
    CHECK_STATUS(execute(client, "stop"), QMP_OK);
    qmp_cancel_free(cancel);
    qmp_close(client);
    server_stop(server);
}

/* A machine that runs for ever. */
static void ignore_presses(peer *peer)
{
    char *command;
    if (!peer_greet(peer))
        return;
    while ((command = peer_hear(peer))) {
        if (is_command(command, "system_powerdown"))
            atomic_fetch_add(&heard, 1);
        peer_answer(peer, command, "{\"status\": \"running\", \"running\": true}");
        free(command);
    }
}

static void f87_while_a_guest_goes_down(void)
{
    server *server = server_start(ignore_presses);
    qmp_client *client = connect_to(server_address(server));
    qmp_cancel *cancel = qmp_cancel_new();
    qmp_error *error = NULL;
    pthread_t trigger;
    int32_t result = 77;
    atomic_store(&heard, 0);
    pthread_create(&trigger, NULL, trigger_when_heard, cancel);
    CHECK_ERROR(qmp_shutdown(client, 10, QMP_FOREVER, true, cancel, &result, &error), QMP_ERR_CANCELLED, error);
    CHECK_INT(result, 0);
    pthread_join(trigger, NULL);
    CHECK_STATUS(execute(client, "query-status"), QMP_OK); /* it was not forced */
    qmp_cancel_free(cancel);
    qmp_close(client);
    server_stop(server);
}

int main(void)
{
    RUN(f87_before_the_call);
    RUN(f47_f87_while_a_command_waits);
    RUN(f87_while_a_guest_goes_down);
    RUN(f87_one_token_ends_many_calls);
    return check_end();
}
