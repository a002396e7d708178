/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A child's calls on its parent's handle give FORKED, and the parent's connection goes on. */
#include "support/child.h"
#include "support/functions.h"
#include "support/server.h"

#include <pthread.h>

static server *the_server; /* has the parent's connection alone */
static struct handles parents;

static void every_function_says_forked(void)
{
    for (const struct function *function = functions; function->name; function++)
        for (int i = 0; i < function->count; i++)
            if (function->parameters[i].handle)
                expect(function, 1u << i, handle_of(&parents, function->parameters[i].handle), QMP_ERR_FORKED);
}

static void in_the_child(void)
{
    /* Connections of its own work as in any process; they make the other arguments sound. */
    sound = (struct handles){.address = sound.address};
    sound_renew();
    every_function_says_forked();
    sound_check();
    CHECK_STATUS(qmp_mock_stop(sound.mock), QMP_OK); /* leaves no socket behind */
    CHECK_STATUS(qmp_close(sound.client), QMP_OK);
    CHECK_STATUS(qmp_close(parents.client), QMP_ERR_FORKED);
}

static void connect_the_parent(void)
{
    parents.client = connect_to(server_address(the_server));
    parents.options = qmp_options_new();
    parents.cancel = qmp_cancel_new();
    CHECK_STATUS(qmp_mock_start(NULL, &parents.mock, NULL), QMP_OK);
    CHECK_STATUS(qmp_subscribe(parents.client, NULL, NULL, NULL, 0, &parents.subscription, NULL), QMP_OK);
    CHECK_STATUS(qmp_submit_json(parents.client, "stop", NULL, false, &parents.request, NULL), QMP_OK);
    parents.batch = qmp_batch_new();
}

static void close_the_parent(void)
{
    CHECK_STATUS(qmp_cancel_trigger(parents.cancel), QMP_OK);
    CHECK_STATUS(qmp_options_set_event_capacity(parents.options, 16), QMP_OK);
    CHECK_STATUS(qmp_close(parents.client), QMP_OK);
    CHECK_STATUS(qmp_mock_stop(parents.mock), QMP_OK);
    qmp_subscription_free(parents.subscription);
    qmp_request_free(parents.request);
    qmp_batch_free(parents.batch);
    qmp_cancel_free(parents.cancel);
    qmp_options_free(parents.options);
}

static void f101_the_child_is_told_and_the_parent_goes_on(void)
{
    connect_the_parent();
    REQUIRE(parents.client);
    CHECK_STATUS(execute(parents.client, "stop"), QMP_OK);
    size_t heard = server_heard(the_server);
    run_in_child(in_the_child);
    CHECK_INT(server_heard(the_server), heard);
    CHECK_INT(server_open(the_server), 1);
    for (int i = 0; i < 10; i++)
        CHECK_STATUS(execute(parents.client, "stop"), QMP_OK);
    close_the_parent();
}

static void *keep_calling(void *data)
{
    while (!atomic_load((atomic_bool *)data))
        CHECK_STATUS(execute(parents.client, "stop"), QMP_OK);
    return NULL;
}

/* A fork while other threads hold the library's locks must not hang the child. */
static void f101_a_fork_in_the_middle_of_calls(void)
{
    pthread_t threads[4];
    atomic_bool done = false;
#ifdef __SANITIZE_ADDRESS__
    SKIP("the sanitizer's own malloc hangs in a child of a process with threads");
#endif
    connect_the_parent();
    REQUIRE(parents.client);
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, keep_calling, &done);
    for (int i = 0; i < rounds(50); i++)
        run_in_child(in_the_child);
    atomic_store(&done, true);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    CHECK_STATUS(execute(parents.client, "stop"), QMP_OK);
    close_the_parent();
}

static atomic_int called, destroyed;

static void count_call(void *user_data, const qmp_event *event)
{
    (void)user_data, (void)event;
    atomic_fetch_add(&called, 1);
}

static void count_destroyed(void *user_data)
{
    (void)user_data;
    atomic_fetch_add(&destroyed, 1);
}

static void call_back_once(qmp_client *client, qmp_subscription *subscription, int before)
{
    CHECK_STATUS(qmp_subscription_set_callback(subscription, QMP_ON_LIBRARY_THREAD, count_call, NULL, count_destroyed, NULL), QMP_OK);
    CHECK_STATUS(execute(client, "stop"), QMP_OK);
    CHECK_SOON(atomic_load(&called) > before);
}

static void call_back_in_the_child(void)
{
    int before = atomic_load(&called);
    CHECK_STATUS(qmp_subscription_set_callback(parents.subscription, QMP_ON_LIBRARY_THREAD, count_call, NULL, count_destroyed, NULL),
                 QMP_ERR_FORKED);
    CHECK_INT(destroyed, 1); /* that call's own data */
    qmp_subscription_free(parents.subscription);
    CHECK_INT(destroyed, 1);
    sound = (struct handles){.address = sound.address};
    sound_renew();
    call_back_once(sound.client, sound.subscription, before);
    CHECK_STATUS(qmp_mock_stop(sound.mock), QMP_OK);
    CHECK_STATUS(qmp_close(sound.client), QMP_OK);
    CHECK_SOON(atomic_load(&destroyed) == 2);
}

static void f101_a_child_has_callbacks_of_its_own(void)
{
    qmp_client *client = connect_to(sound.address);
    REQUIRE(client);
    CHECK_STATUS(qmp_subscribe(client, NULL, NULL, NULL, 0, &parents.subscription, NULL), QMP_OK);
    call_back_once(client, parents.subscription, 0);
    run_in_child(call_back_in_the_child);
    int before = atomic_load(&called);
    CHECK_STATUS(execute(client, "stop"), QMP_OK);
    CHECK_SOON(atomic_load(&called) > before);
    CHECK_STATUS(qmp_close(client), QMP_OK);
    CHECK_SOON(atomic_load(&destroyed) == 1);
    qmp_subscription_free(parents.subscription);
    CHECK_INT(destroyed, 1);
}

int main(void)
{
    the_server = server_start(serve_plainly);
    sound_start();
    RUN(f101_the_child_is_told_and_the_parent_goes_on);
    RUN(f101_a_fork_in_the_middle_of_calls);
    RUN(f101_a_child_has_callbacks_of_its_own);
    sound_stop();
    server_stop(the_server);
    return check_end();
}
