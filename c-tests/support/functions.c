/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "functions.h"

#include "directory.h"
#include "server.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct handles sound;
static server *the_server;
static char directory[64], transcript[96], place[96];
static pthread_t dialler;
static atomic_bool dials;
static qmp_request *batched;
static int handed_over = -1; /* the descriptor of the call that runs */

/* An event is there from the start and comes with each command, the guest runs, and quit ends it. */
static void serve_soundly(peer *peer)
{
    char *command;
    bool quit = false;
    if (!peer_greet(peer))
        return;
    peer_say(peer, "{\"event\": \"TICK\"}");
    while (!quit && (command = peer_hear(peer))) {
        quit = is_command(command, "quit");
        peer_say(peer, "{\"event\": \"TICK\"}");
        peer_answer(peer, command, is_command(command, "query-status") ? "{\"status\": \"running\", \"running\": true}" : "{}");
        free(command);
    }
}

/* As a VM does that connects to its manager. */
static void *dial(void *data)
{
    while (atomic_load(&dials))
        if (!server_dial(the_server, place))
            nap();
    return data;
}

void *handle_of(const struct handles *handles, const struct handle_kind *kind)
{
    return *(void *const *)((const char *)handles + kind->offset);
}

void sound_start(void)
{
    directory_make(directory, sizeof directory);
    snprintf(transcript, sizeof transcript, "%s/transcript", directory);
    FILE *file = fopen(transcript, "w");
    CHECK(file && fputs("{\"transcript\": 1, \"library\": \"0.1.0\"}\n", file) > 0 && fclose(file) == 0);
    the_server = server_start(serve_soundly);
    snprintf(place, sizeof place, "unix:%s/place", directory);
    atomic_store(&dials, true);
    CHECK(pthread_create(&dialler, NULL, dial, NULL) == 0);
    sound.address = server_address(the_server);
    sound_renew();
    sound_check(); /* a token's descriptor is made when it is first used */
}

void sound_free(void)
{
    qmp_subscription_free(sound.subscription);
    qmp_batch_free(sound.batch);
    qmp_request_free(batched);
    qmp_request_free(sound.request);
    qmp_close(sound.client);
    qmp_close(sound.driven);
    qmp_options_free(sound.options);
    qmp_cancel_free(sound.cancel);
    qmp_mock_stop(sound.mock);
    sound = (struct handles){.address = sound.address};
}

void sound_renew(void)
{
    sound_free();
    qmp_options *own_loop = qmp_options_new();
    CHECK_STATUS(qmp_options_set_own_loop(own_loop, true), QMP_OK);
    CHECK_STATUS(qmp_connect(sound.address, own_loop, PATIENCE_MS, NULL, &sound.driven, NULL), QMP_OK);
    qmp_options_free(own_loop);
    sound.options = qmp_options_new();
    CHECK_STATUS(qmp_options_set_out_of_band(sound.options, true), QMP_OK);
    CHECK_STATUS(qmp_connect(sound.address, sound.options, PATIENCE_MS, NULL, &sound.client, NULL), QMP_OK);
    CHECK_STATUS(qmp_subscribe(sound.client, NULL, NULL, NULL, 0, &sound.subscription, NULL), QMP_OK);
    CHECK_STATUS(qmp_submit_json(sound.client, "stop", NULL, false, &sound.request, NULL), QMP_OK);
    CHECK_STATUS(qmp_submit_json(sound.client, "stop", NULL, false, &batched, NULL), QMP_OK);
    sound.batch = qmp_batch_new();
    CHECK_STATUS(qmp_batch_add(sound.batch, batched, NULL), QMP_OK);
    sound.cancel = qmp_cancel_new();
    CHECK_STATUS(qmp_mock_start(NULL, &sound.mock, NULL), QMP_OK);
    CHECK_STATUS(qmp_mock_replay(sound.mock, transcript, NULL), QMP_OK);
    CHECK_STATUS(execute(sound.client, "stop"), QMP_OK); /* its event is there, and all was heard */
    CHECK(sound.client && sound.options && sound.cancel && sound.mock);
    CHECK(sound.subscription && sound.request && sound.batch);
}

void sound_check(void)
{
    qmp_client *client = NULL;
    CHECK_STATUS(execute(sound.client, "stop"), QMP_OK);
    CHECK_STATUS(qmp_connect(sound.address, sound.options, PATIENCE_MS, sound.cancel, &client, NULL), QMP_OK);
    CHECK_STATUS(qmp_close(client), QMP_OK);
    CHECK_STATUS(qmp_mock_check_replay(sound.mock, 0, NULL), QMP_OK);
}

void sound_stop(void)
{
    CHECK_STATUS(qmp_close(sound.client), QMP_OK);
    CHECK_STATUS(qmp_mock_stop(sound.mock), QMP_OK);
    sound_free(); /* stale handles do no harm */
    atomic_store(&dials, false);
    pthread_join(dialler, NULL);
    server_stop(the_server);
    directory_remove(directory);
}

size_t sound_heard(void)
{
    return server_heard(the_server);
}

const char *sound_place(void)
{
    return place;
}

const char *sound_path(void)
{
    return transcript;
}

char *sound_string(void)
{
    char *string = NULL;
    CHECK_STATUS(qmp_greeting_json(sound.client, &string, NULL), QMP_OK);
    return string;
}

qmp_error *sound_error(void)
{
    qmp_error *error = NULL;
    CHECK_STATUS(qmp_greeting_json(NULL, NULL, &error), QMP_ERR_INVALID_ARGUMENT);
    return error;
}

qmp_event *sound_event(void)
{
    qmp_event *event = NULL;
    CHECK_STATUS(qmp_poll_event(sound.client, PATIENCE_MS, NULL, &event, NULL), QMP_OK);
    return event;
}

void ignore_line(void *user_data, int32_t level, const char *message)
{
    (void)user_data, (void)level, (void)message;
}

void ignore_event(void *user_data, const qmp_event *event)
{
    (void)user_data, (void)event;
}

void ignore_reply(void *user_data, qmp_status status, const char *reply_json, const qmp_error *error)
{
    (void)user_data, (void)status, (void)reply_json, (void)error;
}

void ignore_late_reply(void *user_data, const char *command, qmp_status status, const char *reply_json, const qmp_error *error)
{
    (void)user_data, (void)command, (void)status, (void)reply_json, (void)error;
}

int sound_descriptor(void)
{
    return handed_over = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

void ignore_data(void *user_data)
{
    (void)user_data;
}

static void fail(const struct call *call, const char *what, const char *actual)
{
    char names[256] = "";
    size_t length = 0;
    for (int i = 0; i < call->function->count; i++)
        if (EXCHANGED(i))
            length += (size_t)snprintf(names + length, sizeof names - length, " %s", call->function->parameters[i].name);
    check_fail(__FILE__, __LINE__, "%s with %p for%s: %s%s", call->function->name, call->with,
               *names ? names : " nothing", what, actual);
}

void call_output(struct call *call, int parameter, bool cleared)
{
    if (call->status != QMP_OK && !EXCHANGED(parameter) && !cleared) {
        fail(call, "an output is not cleared: ", call->function->parameters[parameter].name);
    }
}

void call_error(struct call *call, int parameter, qmp_error *error)
{
    if (EXCHANGED(parameter))
        return;
    if (call->status == QMP_OK && error)
        fail(call, "an error came with success", "");
    else if (call->status != QMP_OK && (error == (qmp_error *)JUNK || !error))
        fail(call, "no error was given", "");
    else if (error && error->status != call->status)
        fail(call, "the error says ", qmp_status_name(error->status));
    else
        qmp_error_free(error);
}

void expect(const struct function *function, unsigned exchanged, void *with, qmp_status expected)
{
    struct call call = {function, exchanged, with, QMP_OK};
    size_t heard = sound_heard();
    function->call(&call);
    if (handed_over >= 0 && (call.status == QMP_ERR_INVALID_ARGUMENT || call.status == QMP_ERR_INVALID_HANDLE))
        close(handed_over); /* it stayed the caller's */
    handed_over = -1;
    if (!function->returns_status)
        return;
    if (call.status != expected)
        fail(&call, "gave ", qmp_status_name(call.status));
    if (expected != QMP_OK && sound_heard() != heard)
        fail(&call, "sent something", "");
}
