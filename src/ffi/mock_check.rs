// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a mock received, and sessions played back.

use std::ffi::{OsStr, c_char};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;

use super::connect::copied;
use super::error::qmp_error;
use super::gate::{self, Out, gate};
use super::handle;
use super::mock::{qmp_mock, with};
use super::status::qmp_status;

/// Gives the commands that the mock has received, from all clients and in their order, without the
/// negotiations.
///
/// commands_json: gets a JSON array of {"execute": …, "arguments": …}, to be freed with
/// qmp_string_free. error: gets the error; may be NULL.
///
/// Returns QMP_OK; QMP_ERR_INVALID_ARGUMENT; QMP_ERR_INVALID_HANDLE; QMP_ERR_FORKED;
/// QMP_ERR_RESOURCE. Any thread. Since 0.1.
///
/// # Safety
/// The pointers that are not handles may be written, or are NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qmp_mock_received_json(
    mock: *mut qmp_mock,
    commands_json: *mut *mut c_char,
    error: *mut *mut qmp_error,
) -> qmp_status {
    // SAFETY: the caller's promise.
    unsafe {
        gate(error, || {
            let out = Out::new(commands_json, ptr::null_mut(), "commands_json").required()?;
            let json = handle::get(mock)?.received_json();
            out.give(copied(&json)?.into_raw());
            Ok(())
        })
    }
}

/// Gives how often the mock has received a command.
///
/// command: its name; negotiations ("qmp_capabilities") are not counted. count: gets the number. error: gets the error; may be NULL.
///
/// Returns QMP_OK; QMP_ERR_INVALID_ARGUMENT; QMP_ERR_INVALID_HANDLE; QMP_ERR_FORKED. Any thread.
/// Since 0.1.
///
/// # Safety
/// command is a NUL-terminated string or NULL; count and error may be written, or are NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qmp_mock_count(
    mock: *mut qmp_mock,
    command: *const c_char,
    count: *mut u64,
    error: *mut *mut qmp_error,
) -> qmp_status {
    // SAFETY: the caller's promise.
    unsafe {
        gate(error, || {
            let out = Out::new(count, 0, "count").required()?;
            let command = gate::text(command, "command")?;
            out.give(handle::get(mock)?.count(command));
            Ok(())
        })
    }
}

/// Gives how many bytes clients have sent, negotiations included: to show that a call sent nothing.
///
/// bytes: gets the number. error: gets the error; may be NULL.
///
/// Returns QMP_OK; QMP_ERR_INVALID_ARGUMENT; QMP_ERR_INVALID_HANDLE; QMP_ERR_FORKED. Any thread.
/// Since 0.1.
///
/// # Safety
/// bytes and error may be written, or are NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qmp_mock_bytes_received(
    mock: *mut qmp_mock,
    bytes: *mut u64,
    error: *mut *mut qmp_error,
) -> qmp_status {
    // SAFETY: the caller's promise.
    unsafe {
        gate(error, || {
            let out = Out::new(bytes, 0, "bytes").required()?;
            out.give(handle::get(mock)?.bytes_received());
            Ok(())
        })
    }
}

/// Waits until the mock has received some commands, in this order and nothing between them. The
/// first call counts from the mock's start, each further one from where the last that succeeded
/// ended. What comes behind them is left to the next call.
///
/// commands_json: a JSON array. An element is a command's name, or {"execute": name, "arguments":
/// {…}}, where the command may have further arguments. [] does not wait: it holds if nothing more has
/// come so far. timeout_ms: how long to wait, or QMP_FOREVER. error: gets the error; may be NULL.
///
/// Returns QMP_OK; QMP_ERR_PROTOCOL: another command came, and the message says which; QMP_ERR_TIMEOUT:
/// not all have come, and the message says which is missing; QMP_ERR_INVALID_ARGUMENT;
/// QMP_ERR_INVALID_HANDLE; QMP_ERR_FORKED. Any thread. Since 0.1.
///
/// # Safety
/// commands_json is a NUL-terminated string or NULL; error may be written, or is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qmp_mock_expect(
    mock: *mut qmp_mock,
    commands_json: *const c_char,
    timeout_ms: i64,
    error: *mut *mut qmp_error,
) -> qmp_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(mock, error, |mock| {
            let commands = gate::text(commands_json, "commands_json")?;
            let timeout = gate::timeout(timeout_ms, "timeout_ms")?;
            mock.expect(commands, timeout)
        })
    }
}

/// Plays a recorded session back, from the next connection on: the same greeting, and to the same
/// requests the same replies and events, in place of anything else that the mock would say. When the
/// recording ends, so does the mock, if it was the VM or a fault that ended the recorded connection.
/// Each new connection begins at the recording's beginning.
///
/// A request is the same if its command is and its arguments say the same; ids are translated, and
/// where the recording has "<redacted>" any value is the same. A request that differs is answered with
/// a GenericError that shows the difference, and so is every one after it.
///
/// path: a transcript, as qmp_options_set_record writes it. error: gets the error; may be NULL.
///
/// Returns QMP_OK; QMP_ERR_NOT_FOUND; QMP_ERR_PERMISSION; QMP_ERR_IO; QMP_ERR_PROTOCOL: it is no
/// transcript, and the message says which line; QMP_ERR_INVALID_ARGUMENT; QMP_ERR_INVALID_HANDLE;
/// QMP_ERR_FORKED. Any thread. Since 0.1.
///
/// # Safety
/// path is a NUL-terminated string or NULL; error may be written, or is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qmp_mock_replay(
    mock: *mut qmp_mock,
    path: *const c_char,
    error: *mut *mut qmp_error,
) -> qmp_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(mock, error, |mock| {
            let path = gate::bytes(path, "path")?;
            mock.replay(Path::new(OsStr::from_bytes(path)))
        })
    }
}

/// Waits until every request of the recording that is played back has come.
///
/// timeout_ms: how long, or QMP_FOREVER. error: gets the error; may be NULL.
///
/// Returns QMP_OK; QMP_ERR_PROTOCOL: a request differed, and the message shows how; QMP_ERR_TIMEOUT:
/// some have not come, and the message shows the next; QMP_ERR_INVALID_ARGUMENT: also if nothing is
/// played back; QMP_ERR_INVALID_HANDLE; QMP_ERR_FORKED. Any thread. Since 0.1.
///
/// # Safety
/// error may be written, or is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qmp_mock_check_replay(
    mock: *mut qmp_mock,
    timeout_ms: i64,
    error: *mut *mut qmp_error,
) -> qmp_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(mock, error, |mock| {
            mock.check_replay(gate::timeout(timeout_ms, "timeout_ms")?)
        })
    }
}
