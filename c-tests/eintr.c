/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A storm of signals, a thousand a second and without SA_RESTART, disturbs no call. */
#include "support/client.h"
#include "support/server.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

static atomic_int signals;

static void count_signal(int number)
{
    (void)number;
    atomic_fetch_add(&signals, 1);
}

static void serve_in_pieces(peer *peer)
{
    char *command;
    if (!peer_greet(peer))
        return;
    while ((command = peer_hear(peer))) {
        if (!is_command(command, "never")) {
            peer_say(peer, "{\"event\": \"TICK\"}\r\n{\"ret");
            nap();
            nap();
            char id[32], rest[64] = "urn\": {}, \"id\": ";
            CHECK(command_id(command, id, sizeof id));
            strcat(strcat(rest, id), "}");
            peer_say(peer, rest);
        }
        free(command);
    }
}

static void f40_calls_go_on_and_deadlines_hold(void)
{
    server *server = server_start(serve_in_pieces), *quiet = server_start(peer_wait_end);
    struct sigaction action = {.sa_handler = count_signal};
    struct itimerval storm = {.it_interval.tv_usec = 1000, .it_value.tv_usec = 1000}, calm = {0};
    qmp_error *error = NULL;
    qmp_event *event = NULL;
    char *text = NULL;
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &storm, NULL);

    for (int i = 0; i < rounds(20); i++) {
        qmp_client *client = connect_to(server_address(server));
        for (int call = 0; call < 20; call++) {
            CHECK_STATUS(execute(client, "stop"), QMP_OK);
            CHECK_STATUS(qmp_poll_event(client, PATIENCE_MS, NULL, &event, NULL), QMP_OK);
            qmp_event_free(event);
        }
        CHECK_STATUS(qmp_close(client), QMP_OK);
    }

    /* With a token a call waits in another way than without. */
    qmp_client *client = connect_to(server_address(server)), *made = NULL;
    qmp_cancel *cancel = qmp_cancel_new();
    int64_t start = now_ms();
    CHECK_ERROR(qmp_execute_json(client, "never", NULL, 1500, NULL, &text, &error), QMP_ERR_TIMEOUT, error);
    CHECK_ERROR(qmp_poll_event(client, 1500, NULL, &event, &error), QMP_ERR_TIMEOUT, error);
    CHECK_ERROR(qmp_execute_json(client, "never", NULL, 1500, cancel, &text, &error), QMP_ERR_TIMEOUT, error);
    CHECK_ERROR(qmp_poll_event(client, 1500, cancel, &event, &error), QMP_ERR_TIMEOUT, error);
    CHECK_ERROR(qmp_connect(server_address(quiet), NULL, 1500, NULL, &made, &error), QMP_ERR_BUSY, error);
    CHECK(now_ms() - start >= 5 * 1500);
    CHECK(now_ms() - start < 5 * 1500 + PATIENCE_MS / 2);
    CHECK_STATUS(execute(client, "stop"), QMP_OK);
    CHECK_STATUS(qmp_close(client), QMP_OK);

    setitimer(ITIMER_REAL, &calm, NULL);
    CHECK(atomic_load(&signals) > 100);
    qmp_cancel_free(cancel);
    server_stop(server);
    server_stop(quiet);
}

int main(void)
{
    RUN(f40_calls_go_on_and_deadlines_hold);
    return check_end();
}
