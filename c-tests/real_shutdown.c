/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The shutdown ladder on a real QEMU, with guests of every temper. */
#include "support/client.h"
#include "support/vm.h"

#include <stdlib.h>

/* A guest that listens to its power button, and a client of its machine. */
struct machine {
    vm *vm;
    qmp_client *client;
};

static bool boot(struct machine *machine, vm *vm)
{
    machine->vm = vm;
    machine->client = connect_to(vm_address(vm));
    return CHECK(machine->client) && CHECK(vm_wait_armed(vm));
}

static void shut_down(struct machine *machine, int64_t interval_ms, int64_t grace_ms, bool force, qmp_status expected,
                      int32_t expected_result, int line)
{
    qmp_error *error = NULL;
    int32_t result = 77;
    qmp_status status = qmp_shutdown(machine->client, interval_ms, grace_ms, force, NULL, &result, &error);
    if (status != expected)
        check_fail(__FILE__, line, "expected %s, actual %s (%s)", qmp_status_name(expected), qmp_status_name(status),
                   error ? error->message : "no error");
    check_int(result, expected_result, "the result", __FILE__, line);
    qmp_error_free(error);
}

#define SHUT_DOWN(interval, grace, force, status, result)                                          \
    shut_down(&machine, (interval), (grace), (force), (status), (result), __LINE__)

static void reason_is(struct machine *machine, const char *reason)
{
    qmp_event *event = next_event(machine->client, "SHUTDOWN");
    CHECK_HAS(event ? event->data : NULL, reason);
    qmp_event_free(event);
}

/* The machine is gone: calls say so, and another shutdown has nothing to do. */
static void is_gone(struct machine *machine)
{
    CHECK(vm_wait_exit(machine->vm));
    CHECK_STATUS(execute(machine->client, "query-status"), QMP_ERR_DISCONNECTED);
    shut_down(machine, 1000, 1000, true, QMP_OK, QMP_SHUTDOWN_ALREADY_DOWN, __LINE__);
}

static void end(struct machine *machine)
{
    qmp_close(machine->client);
    vm_stop(machine->vm);
}

static void a_guest_that_obeys(void)
{
    NEED_QEMU();
    struct machine machine;
    REQUIRE(boot(&machine, vm_start("honours", NULL)));
    SHUT_DOWN(1000, PATIENCE_MS, true, QMP_OK, QMP_SHUTDOWN_GUEST);
    reason_is(&machine, "guest-shutdown");
    is_gone(&machine);
    end(&machine);
}

static void f78_pressed_before_it_listens(void)
{
    NEED_QEMU();
    struct machine machine = {.vm = vm_start("honours", NULL)};
    machine.client = connect_to(vm_address(machine.vm));
    REQUIRE(machine.client);
    SHUT_DOWN(50, PATIENCE_MS, false, QMP_OK, QMP_SHUTDOWN_GUEST);
    is_gone(&machine);
    end(&machine);
}

static void f79_a_guest_that_ignores(void)
{
    NEED_QEMU();
    struct machine machine;
    REQUIRE(boot(&machine, vm_start("ignores", NULL)));
    SHUT_DOWN(300, 1000, false, QMP_ERR_TIMEOUT, 0);
    CHECK_STATUS(execute(machine.client, "query-status"), QMP_OK);
    int64_t start = now_ms();
    SHUT_DOWN(300, 1000, true, QMP_OK, QMP_SHUTDOWN_FORCED);
    CHECK(now_ms() - start >= 1000);
    reason_is(&machine, "host-qmp-quit");
    is_gone(&machine);
    end(&machine);
}

static void f78_a_guest_that_obeys_the_second_press(void)
{
    NEED_QEMU();
    struct machine machine;
    REQUIRE(boot(&machine, vm_start("second", NULL)));
    SHUT_DOWN(0, 1000, false, QMP_ERR_TIMEOUT, 0);
    end(&machine);
    REQUIRE(boot(&machine, vm_start("second", NULL)));
    SHUT_DOWN(500, PATIENCE_MS, true, QMP_OK, QMP_SHUTDOWN_GUEST);
    is_gone(&machine);
    end(&machine);
}

static void f80_a_guest_that_takes_its_time(void)
{
    NEED_QEMU();
    struct machine machine;
    REQUIRE(boot(&machine, vm_start("late", NULL)));
    int64_t start = now_ms();
    SHUT_DOWN(1000, 5000, true, QMP_OK, QMP_SHUTDOWN_GUEST);
    CHECK(now_ms() - start >= 2000);
    reason_is(&machine, "guest-shutdown");
    is_gone(&machine);
    end(&machine);
}

static void f74_qemu_stays_under_no_shutdown(void)
{
    NEED_QEMU();
    struct machine machine;
    REQUIRE(boot(&machine, vm_start("honours", "-no-shutdown", NULL)));
    char *status = NULL;
    bool running = true;
    SHUT_DOWN(1000, PATIENCE_MS, false, QMP_OK, QMP_SHUTDOWN_GUEST);
    CHECK_STATUS(qmp_query_status(machine.client, PATIENCE_MS, NULL, &running, &status, NULL), QMP_OK);
    CHECK_STR(status, "shutdown");
    CHECK(!running);
    qmp_string_free(status);
    SHUT_DOWN(1000, PATIENCE_MS, true, QMP_OK, QMP_SHUTDOWN_GUEST);
    is_gone(&machine);
    end(&machine);

    REQUIRE(boot(&machine, vm_start("honours", "-no-shutdown", NULL)));
    SHUT_DOWN(1000, PATIENCE_MS, true, QMP_OK, QMP_SHUTDOWN_GUEST);
    is_gone(&machine);
    end(&machine);
}

static void f82_a_paused_guest(void)
{
    NEED_QEMU();
    struct machine machine;
    bool running = true;
    REQUIRE(boot(&machine, vm_start("honours", NULL)));
    CHECK_STATUS(execute(machine.client, "stop"), QMP_OK);
    SHUT_DOWN(100, 1000, false, QMP_ERR_TIMEOUT, 0);
    CHECK_STATUS(qmp_is_running(machine.client, PATIENCE_MS, NULL, &running, NULL), QMP_OK);
    CHECK(!running);
    /* It was not even pressed: once it runs, it goes on running. */
    CHECK_STATUS(execute(machine.client, "cont"), QMP_OK);
    qmp_event_free(next_event(machine.client, "RESUME"));
    qmp_event *event = NULL;
    CHECK_STATUS(qmp_poll_event(machine.client, 1000, NULL, &event, NULL), QMP_ERR_TIMEOUT);
    CHECK_STATUS(execute(machine.client, "stop"), QMP_OK);
    SHUT_DOWN(100, 1000, true, QMP_OK, QMP_SHUTDOWN_FORCED);
    is_gone(&machine);
    end(&machine);
}

static void f82_a_guest_that_never_started(void)
{
    NEED_QEMU();
    struct machine machine = {.vm = vm_start("honours", "-S", NULL)};
    machine.client = connect_to(vm_address(machine.vm));
    REQUIRE(machine.client);
    SHUT_DOWN(100, 1000, false, QMP_ERR_TIMEOUT, 0);
    SHUT_DOWN(100, 0, true, QMP_OK, QMP_SHUTDOWN_FORCED);
    is_gone(&machine);
    end(&machine);
}

static void f85_already_gone(void)
{
    NEED_QEMU();
    struct machine machine;
    REQUIRE(boot(&machine, vm_start("honours", NULL)));
    vm_kill(machine.vm);
    SHUT_DOWN(1000, 1000, true, QMP_OK, QMP_SHUTDOWN_ALREADY_DOWN);
    SHUT_DOWN(1000, 1000, false, QMP_OK, QMP_SHUTDOWN_ALREADY_DOWN);
    end(&machine);
}

static void f84_a_guest_that_resets(void)
{
    NEED_QEMU();
    struct machine machine;
    REQUIRE(boot(&machine, vm_start("resets", "-no-reboot", NULL)));
    SHUT_DOWN(1000, PATIENCE_MS, true, QMP_OK, QMP_SHUTDOWN_GUEST);
    reason_is(&machine, "guest-reset");
    is_gone(&machine);
    end(&machine);

    /* Rebooting is no shutdown. */
    REQUIRE(boot(&machine, vm_start("resets", NULL)));
    SHUT_DOWN(0, 1000, true, QMP_OK, QMP_SHUTDOWN_FORCED);
    is_gone(&machine);
    end(&machine);
}

static void f84_a_guest_that_panics(void)
{
    NEED_QEMU();
    struct machine machine;
    REQUIRE(boot(&machine, vm_start("panics", "-device", "pvpanic", NULL)));
    SHUT_DOWN(1000, PATIENCE_MS, true, QMP_OK, QMP_SHUTDOWN_GUEST);
    reason_is(&machine, "guest-panic");
    is_gone(&machine);
    end(&machine);
}

static void f82_a_guest_that_suspends(void)
{
    NEED_QEMU();
    struct machine machine;
    REQUIRE(boot(&machine, vm_start("suspends", NULL)));
    SHUT_DOWN(0, 1000, false, QMP_ERR_TIMEOUT, 0);
    SHUT_DOWN(0, 1000, true, QMP_OK, QMP_SHUTDOWN_FORCED);
    is_gone(&machine);
    end(&machine);
}

int main(void)
{
    RUN(a_guest_that_obeys);
    RUN(f78_pressed_before_it_listens);
    RUN(f79_a_guest_that_ignores);
    RUN(f78_a_guest_that_obeys_the_second_press);
    RUN(f80_a_guest_that_takes_its_time);
    RUN(f74_qemu_stays_under_no_shutdown);
    RUN(f82_a_paused_guest);
    RUN(f82_a_guest_that_never_started);
    RUN(f85_already_gone);
    RUN(f84_a_guest_that_resets);
    RUN(f84_a_guest_that_panics);
    RUN(f82_a_guest_that_suspends);
    return check_end();
}
