/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* How to test your own VM manager without QEMU: cc test_your_manager.c -lqmp && ./a.out */
#include <qmp.h>
#include <stdio.h>
#include <stdlib.h>

/* The code to be tested: backs up a VM that is paused meanwhile, and goes on in any case. */
static qmp_status back_up(const char *address)
{
    qmp_client *vm;
    char *reply = NULL;
    qmp_status status = qmp_connect(address, NULL, 2000, NULL, &vm, NULL);
    if (status != QMP_OK)
        return status;
    status = qmp_execute_json(vm, "stop", NULL, 2000, NULL, &reply, NULL);
    qmp_string_free(reply);
    if (status == QMP_OK) {
        status = qmp_execute_json(vm, "drive-backup", "{\"device\": \"disk0\"}", 200, NULL, &reply, NULL);
        qmp_string_free(reply);
    }
    qmp_execute_json(vm, "cont", NULL, 2000, NULL, &reply, NULL);
    qmp_string_free(reply);
    qmp_close(vm);
    return status;
}

static qmp_error *error;

static void must(qmp_status got, qmp_status wanted, const char *what)
{
    if (got == wanted)
        return;
    fprintf(stderr, "%s: %s instead of %s%s%s\n", what, qmp_status_name(got), qmp_status_name(wanted),
            error ? ": " : "", error ? error->message : "");
    exit(1);
}

int main(void)
{
    const char *commands = "[\"stop\", {\"execute\": \"drive-backup\", \"arguments\": {\"device\": \"disk0\"}}, \"cont\"]";
    qmp_mock *mock;
    char *address;
    must(qmp_mock_start(NULL, &mock, &error), QMP_OK, "start");
    must(qmp_mock_address(mock, &address, &error), QMP_OK, "address");
    must(qmp_mock_reply(mock, "drive-backup", "{}", 1, &error), QMP_OK, "script");
    must(qmp_mock_reply_error(mock, "drive-backup", "GenericError", "disk full", 1, &error), QMP_OK, "script");

    must(back_up(address), QMP_OK, "a backup that works");
    must(qmp_mock_expect(mock, commands, 2000, &error), QMP_OK, "its commands");
    must(back_up(address), QMP_ERR_COMMAND, "a backup that is refused");
    must(qmp_mock_expect(mock, commands, 2000, &error), QMP_OK, "its commands: the VM goes on");
    must(qmp_mock_fault(mock, "drive-backup", "silent", 0, 1, &error), QMP_OK, "script");
    must(back_up(address), QMP_ERR_TIMEOUT, "a backup that is never answered");
    must(qmp_mock_expect(mock, commands, 2000, &error), QMP_OK, "its commands: the VM goes on");
    qmp_string_free(address);
    return qmp_mock_stop(mock) == QMP_OK ? 0 : 1;
}
