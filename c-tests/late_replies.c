/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A late reply is nobody's, but who asked to see late replies sees it, once, with its command's name. */
#include "support/requests.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct {
    atomic_int calls, destroyed;
    char text[256]; /* "command status reply;" of each */
} seen;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* several threads may tell */

static void see(void *user_data, const char *command, qmp_status status, const char *reply_json, const qmp_error *error)
{
    pthread_mutex_lock(&lock);
    size_t length = strlen(seen.text);
    CHECK(user_data == &seen && (error != NULL) == (status != QMP_OK));
    snprintf(seen.text + length, sizeof seen.text - length, "%s %s %s;", command, qmp_status_name(status), reply_json ? reply_json : error->error_class);
    pthread_mutex_unlock(&lock);
    atomic_fetch_add(&seen.calls, 1);
}

static void unsee(void *user_data)
{
    CHECK(user_data == &seen);
    atomic_fetch_add(&seen.destroyed, 1);
}

static qmp_client *connect_seeing(const char *address)
{
    qmp_client *client = NULL;
    qmp_options *options = qmp_options_new();
    atomic_store(&seen.calls, 0);
    atomic_store(&seen.destroyed, 0);
    seen.text[0] = 0;
    CHECK_STATUS(qmp_options_set_late_reply(options, see, &seen, unsee), QMP_OK);
    CHECK_STATUS(qmp_connect(address, options, PATIENCE_MS, NULL, &client, NULL), QMP_OK);
    qmp_options_free(options);
    CHECK_INT(atomic_load(&seen.destroyed), 0);
    return client;
}

static void f47_each_way_of_giving_up_shows(void)
{
    server *server = start_holding();
    qmp_client *client = connect_seeing(server_address(server));
    qmp_request *cancelled = submit(client, "cancelled"), *freed = submit(client, "freed"), *kept = submit(client, "kept");
    char *reply = NULL;
    int32_t outcome = 0;
    CHECK_STATUS(qmp_execute_json(client, "overdue", NULL, 20, NULL, &reply, NULL), QMP_ERR_TIMEOUT);
    CHECK_STATUS(qmp_request_cancel(cancelled, &outcome, NULL), QMP_OK);
    CHECK_INT(outcome, QMP_REQUEST_UNKNOWN);
    qmp_request_free(freed);
    atomic_store(&answer_now, true);
    CHECK_STATUS(outcome_of(kept, PATIENCE_MS), QMP_OK);
    CHECK_STATUS(execute(client, "last"), QMP_OK);
    CHECK_SOON(atomic_load(&seen.calls) == 3);
    CHECK_HAS(seen.text, "cancelled QMP_OK \"cancelled\";");
    CHECK_HAS(seen.text, "freed QMP_OK \"freed\";");
    CHECK_HAS(seen.text, "overdue QMP_OK \"overdue\";");
    qmp_request_free(cancelled);
    qmp_request_free(kept);
    qmp_close(client);
    server_stop(server);
    CHECK_SOON(atomic_load(&seen.destroyed) == 1);
    CHECK_INT(atomic_load(&seen.calls), 3);
}

static void refuse_late(peer *peer)
{
    char *command, *first;
    if (!peer_greet(peer) || !(first = peer_hear(peer)))
        return;
    while ((command = peer_hear(peer))) {
        if (is_command(command, "now"))
            peer_refuse(peer, first, "{\"class\": \"GenericError\", \"desc\": \"no\"}");
        peer_answer(peer, command, "{}");
        free(command);
    }
    free(first);
}

static void f47_a_late_error_shows_too(void)
{
    server *server = server_start(refuse_late);
    qmp_client *client = connect_seeing(server_address(server));
    char *reply = NULL;
    qmp_request *request = submit(client, "refused");
    CHECK_STATUS(outcome_of(request, 0), QMP_ERR_TIMEOUT); /* not given up yet */
    CHECK_INT(atomic_load(&seen.calls), 0);
    qmp_request_free(request);
    CHECK_STATUS(qmp_execute_json(client, "now", NULL, PATIENCE_MS, NULL, &reply, NULL), QMP_OK);
    qmp_string_free(reply);
    CHECK_SOON(atomic_load(&seen.calls) == 1);
    CHECK_STR(seen.text, "refused QMP_ERR_COMMAND GenericError;");
    qmp_close(client);
    server_stop(server);
    CHECK_SOON(atomic_load(&seen.destroyed) == 1);
}

static void a_refused_or_replaced_hook_is_destroyed(void)
{
    qmp_options *options = qmp_options_new();
    atomic_store(&seen.destroyed, 0);
    CHECK_STATUS(qmp_options_set_late_reply(options, NULL, &seen, unsee), QMP_ERR_INVALID_ARGUMENT);
    CHECK_INT(atomic_load(&seen.destroyed), 1);
    CHECK_STATUS(qmp_options_set_late_reply(NULL, see, &seen, unsee), NULL_HANDLE);
    CHECK_INT(atomic_load(&seen.destroyed), 2);
    CHECK_STATUS(qmp_options_set_late_reply(options, see, &seen, unsee), QMP_OK);
    CHECK_STATUS(qmp_options_set_late_reply(options, see, &seen, unsee), QMP_OK);
    CHECK_INT(atomic_load(&seen.destroyed), 3);
    qmp_options_free(options);
    CHECK_INT(atomic_load(&seen.destroyed), 4);
}

int main(void)
{
    RUN(f47_each_way_of_giving_up_shows);
    RUN(f47_a_late_error_shows_too);
    RUN(a_refused_or_replaced_hook_is_destroyed);
    return check_end();
}
