/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The header compiles alone, twice, as C99 and as C++; its numbers and layouts are the ABI. */
#include <qmp.h>
#include <qmp.h>

#include <stddef.h>

#define ABI(name, condition) typedef char abi_##name[(condition) ? 1 : -1]

ABI(ok, QMP_OK == 0);
ABI(invalid_argument, QMP_ERR_INVALID_ARGUMENT == -1);
ABI(invalid_handle, QMP_ERR_INVALID_HANDLE == -2);
ABI(not_found, QMP_ERR_NOT_FOUND == -3);
ABI(permission, QMP_ERR_PERMISSION == -4);
ABI(refused, QMP_ERR_REFUSED == -5);
ABI(busy, QMP_ERR_BUSY == -6);
ABI(timeout, QMP_ERR_TIMEOUT == -7);
ABI(cancelled, QMP_ERR_CANCELLED == -8);
ABI(closed, QMP_ERR_CLOSED == -9);
ABI(disconnected, QMP_ERR_DISCONNECTED == -10);
ABI(protocol, QMP_ERR_PROTOCOL == -11);
ABI(too_large, QMP_ERR_TOO_LARGE == -12);
ABI(command, QMP_ERR_COMMAND == -13);
ABI(unsupported, QMP_ERR_UNSUPPORTED == -14);
ABI(resource, QMP_ERR_RESOURCE == -15);
ABI(forked, QMP_ERR_FORKED == -16);
ABI(io, QMP_ERR_IO == -17);
ABI(internal, QMP_ERR_INTERNAL == -18);
ABI(forever, QMP_FOREVER == -1);
ABI(event_vm, QMP_EVENT_VM == 0);
ABI(log_error, QMP_LOG_ERROR == 1);
ABI(log_trace, QMP_LOG_TRACE == 5);
ABI(shutdown_guest, QMP_SHUTDOWN_GUEST == 1);
ABI(shutdown_forced, QMP_SHUTDOWN_FORCED == 2);
ABI(shutdown_already_down, QMP_SHUTDOWN_ALREADY_DOWN == 3);

ABI(status_size, sizeof(qmp_status) == 4);
ABI(error_os_errno, offsetof(qmp_error, os_errno) == 4);
ABI(error_outcome_unknown, offsetof(qmp_error, outcome_unknown) == 8);
ABI(error_message, offsetof(qmp_error, message) == 16);
ABI(error_command, offsetof(qmp_error, command) == 24);
ABI(error_error_class, offsetof(qmp_error, error_class) == 32);
ABI(error_description, offsetof(qmp_error, description) == 40);
ABI(event_name, offsetof(qmp_event, name) == 8);
ABI(event_data, offsetof(qmp_event, data) == 16);
ABI(event_json, offsetof(qmp_event, json) == 24);
ABI(event_seconds, offsetof(qmp_event, seconds) == 32);
ABI(event_microseconds, offsetof(qmp_event, microseconds) == 40);
ABI(event_sequence, offsetof(qmp_event, sequence) == 48);
ABI(event_lost, offsetof(qmp_event, lost) == 56);

int main(void)
{
    qmp_client *client;
    return qmp_connect("", 0, 0, 0, &client, 0) == QMP_ERR_INVALID_ARGUMENT ? 0 : 1;
}
