/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The rungs of qmp_shutdown against servers that a real machine would rarely play. */
#include "support/client.h"
#include "support/server.h"

#include <stdio.h>
#include <stdlib.h>

static const char *run_state = "running";
static int obeys_press; /* the press after which the guest goes; 0 never */
static bool answers_quit, refuses_quit, ends_on_quit;
static atomic_int presses, quits, resumed;

static void say_status(peer *peer, const char *command)
{
    char value[96];
    bool running = run_state[0] == 'r';
    snprintf(value, sizeof value, "{\"status\": \"%s\", \"singlestep\": false, \"running\": %s}", run_state, running ? "true" : "false");
    peer_answer(peer, command, value);
}

static void play_machine(peer *peer)
{
    char *command;
    if (!peer_greet(peer))
        return;
    for (; (command = peer_hear(peer)); free(command)) {
        if (is_command(command, "query-status")) {
            say_status(peer, command);
        } else if (is_command(command, "system_powerdown")) {
            peer_say(peer, "{\"event\": \"POWERDOWN\"}\r\n");
            peer_answer(peer, command, "{}");
            if (atomic_fetch_add(&presses, 1) + 1 == obeys_press) {
                peer_say(peer, "{\"event\": \"SHUTDOWN\", \"data\": {\"guest\": true, \"reason\": \"guest-shutdown\"}}\r\n");
                break;
            }
        } else if (is_command(command, "quit")) {
            atomic_fetch_add(&quits, 1);
            if (refuses_quit)
                peer_refuse(peer, command, "{\"class\": \"GenericError\", \"desc\": \"not now\"}");
            else if (answers_quit)
                peer_answer(peer, command, "{}");
            if (ends_on_quit)
                break;
        } else {
            if (is_command(command, "cont"))
                atomic_fetch_add(&resumed, 1);
            peer_answer(peer, command, "{}");
        }
    }
    free(command);
}

static void machine(const char *state, int obeys, bool answers, bool refuses, bool ends)
{
    run_state = state;
    obeys_press = obeys;
    answers_quit = answers;
    refuses_quit = refuses;
    ends_on_quit = ends;
    atomic_store(&presses, 0);
    atomic_store(&quits, 0);
    atomic_store(&resumed, 0);
}

/* Connects, shuts down, checks the status and the result (0 for a failure), and closes. */
static void shut_down(int64_t interval_ms, int64_t grace_ms, bool force, qmp_status expected, int32_t expected_result, int line)
{
    server *server = server_start(play_machine);
    qmp_client *client = connect_to(server_address(server));
    qmp_error *error = NULL;
    int32_t result = 77;
    qmp_status status = qmp_shutdown(client, interval_ms, grace_ms, force, NULL, &result, &error);
    check_status(status, expected, "qmp_shutdown", __FILE__, line);
    check_int(result, expected_result, "the result", __FILE__, line);
    if (status != QMP_OK)
        check_error(error, expected, "qmp_shutdown", __FILE__, line);
    CHECK_INT(atomic_load(&resumed), 0);
    if (status == QMP_OK) { /* the connection ended with the machine */
        CHECK_STATUS(execute(client, "query-status"), QMP_ERR_DISCONNECTED);
        error = NULL;
        result = 77;
        CHECK_STATUS(qmp_shutdown(client, 1000, 1000, true, NULL, &result, &error), QMP_OK);
        CHECK_INT(result, QMP_SHUTDOWN_ALREADY_DOWN);
        qmp_error_free(error);
    } else {
        CHECK_STATUS(execute(client, "query-status"), QMP_OK);
    }
    qmp_close(client);
    server_stop(server);
}

#define SHUT_DOWN(interval, grace, force, status, result) shut_down((interval), (grace), (force), (status), (result), __LINE__)

static void interval_zero_or_forever_presses_once(void)
{
    const int64_t intervals[] = {0, QMP_FOREVER};
    for (int i = 0; i < 2; i++) {
        machine("running", 0, true, false, true);
        SHUT_DOWN(intervals[i], 1000, true, QMP_OK, QMP_SHUTDOWN_FORCED);
        CHECK_INT(atomic_load(&presses), 1);
        CHECK_INT(atomic_load(&quits), 1);
    }
}

static void f78_pressed_again_until_obeyed(void)
{
    machine("running", 5, true, false, true);
    SHUT_DOWN(10, PATIENCE_MS, true, QMP_OK, QMP_SHUTDOWN_GUEST);
    CHECK_INT(atomic_load(&presses), 5);
    CHECK_INT(atomic_load(&quits), 0);
    machine("running", 2, true, false, true);
    SHUT_DOWN(10, QMP_FOREVER, false, QMP_OK, QMP_SHUTDOWN_GUEST);
    CHECK_INT(atomic_load(&presses), 2);
}

static void no_grace_and_force_quits_at_once(void)
{
    machine("running", 1, true, false, true);
    SHUT_DOWN(1000, 0, true, QMP_OK, QMP_SHUTDOWN_FORCED);
    CHECK_INT(atomic_load(&quits), 1);
    CHECK_INT(atomic_load(&presses), 0);
}

static void not_forced_leaves_the_machine_alone(void)
{
    machine("running", 0, true, false, true);
    SHUT_DOWN(100, 1000, false, QMP_ERR_TIMEOUT, 0);
    CHECK_INT(atomic_load(&quits), 0);
    CHECK(atomic_load(&presses) >= 2);
}

static void the_end_answers_quit_too(void)
{
    machine("running", 0, false, false, true);
    SHUT_DOWN(1000, 0, true, QMP_OK, QMP_SHUTDOWN_FORCED);
    CHECK_INT(atomic_load(&quits), 1);
}

static void f83_quit_refused_or_without_effect(void)
{
    machine("running", 0, true, true, false);
    SHUT_DOWN(1000, 0, true, QMP_ERR_COMMAND, 0);
    machine("running", 0, true, false, false);
    SHUT_DOWN(1000, 0, true, QMP_ERR_TIMEOUT, 0);
    CHECK_INT(atomic_load(&quits), 1);
}

static void f82_a_paused_machine_is_neither_pressed_nor_resumed(void)
{
    const char *const states[] = {"paused", "prelaunch", "suspended", "guest-panicked", "inmigrate"};
    for (size_t i = 0; i < sizeof states / sizeof *states; i++) {
        machine(states[i], 0, true, false, true);
        SHUT_DOWN(10, 500, false, QMP_ERR_TIMEOUT, 0);
        CHECK_INT(atomic_load(&presses), 0);
        CHECK_INT(atomic_load(&quits), 0);
        machine(states[i], 0, true, false, true);
        SHUT_DOWN(10, 500, true, QMP_OK, QMP_SHUTDOWN_FORCED);
        CHECK_INT(atomic_load(&presses), 0);
        CHECK_INT(atomic_load(&quits), 1);
    }
}

static void f85_a_guest_already_off(void)
{
    machine("shutdown", 0, true, false, true);
    SHUT_DOWN(100, 1000, true, QMP_OK, QMP_SHUTDOWN_GUEST);
    CHECK_INT(atomic_load(&presses), 0);
    CHECK_INT(atomic_load(&quits), 1);
}

static void plain_quit_ends_without_a_reply(void)
{
    machine("running", 0, false, false, true);
    server *server = server_start(play_machine);
    qmp_client *client = connect_to(server_address(server));
    qmp_error *error = NULL;
    char *reply = NULL;
    CHECK_STATUS(qmp_execute_json(client, "quit", NULL, PATIENCE_MS, NULL, &reply, &error), QMP_OK);
    CHECK_STR(reply, "{}");
    qmp_error_free(error);
    qmp_string_free(reply);
    qmp_close(client);
    server_stop(server);
}

static void status_helpers(void)
{
    const char *const states[] = {"running", "paused"};
    for (int i = 0; i < 2; i++) {
        machine(states[i], 0, true, false, true);
        server *server = server_start(play_machine);
        qmp_client *client = connect_to(server_address(server));
        bool running = i == 1, is_running = i == 1;
        char *status = NULL;
        CHECK_STATUS(qmp_query_status(client, PATIENCE_MS, NULL, &running, &status, NULL), QMP_OK);
        CHECK_STATUS(qmp_is_running(client, PATIENCE_MS, NULL, &is_running, NULL), QMP_OK);
        CHECK_STR(status, states[i]);
        CHECK_INT(running, i == 0);
        CHECK_INT(is_running, i == 0);
        qmp_string_free(status);
        qmp_close(client);
        server_stop(server);
    }
}

int main(void)
{
    RUN(interval_zero_or_forever_presses_once);
    RUN(f78_pressed_again_until_obeyed);
    RUN(no_grace_and_force_quits_at_once);
    RUN(not_forced_leaves_the_machine_alone);
    RUN(the_end_answers_quit_too);
    RUN(f83_quit_refused_or_without_effect);
    RUN(f82_a_paused_machine_is_neither_pressed_nor_resumed);
    RUN(f85_a_guest_already_off);
    RUN(plain_quit_ends_without_a_reply);
    RUN(status_helpers);
    return check_end();
}
