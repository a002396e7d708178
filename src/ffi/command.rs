// SPDX-License-Identifier: MIT OR Apache-2.0
//! Commands.

use std::ffi::c_char;
use std::ptr;

use super::cancel::qmp_cancel;
use super::connect::qmp_client;
use super::error::qmp_error;
use super::gate::{self, Out, gate};
use super::handle;
use super::status::qmp_status;
use crate::client::Wait;
use crate::error::Error;
use crate::sys::socket;

/// Sends a command and waits for its reply.
///
/// Any number of threads may have commands under way on one client; each gets its own reply. A
/// command is sent whole or not at all: one whose time is over while a part of it is out ends the
/// connection. Nothing is ever sent twice.
///
/// client: where to. command: its name, like "query-status": ASCII letters, digits, '-', '_' and
/// '.'. arguments_json: a JSON object in UTF-8, or NULL for none. It is checked before anything is
/// sent: nested at most 1000 deep, at most 64 MiB, no name twice in one object. timeout_ms: how
/// long the call may take, or QMP_DEFAULT_TIMEOUT; with 0 nothing is sent. cancel: ends the call; may be NULL. reply_json:
/// gets the value of the reply's "return", JSON text as the VM sent it ("{}" when it is empty), to
/// be freed with qmp_string_free. error: gets the error; may be NULL.
///
/// Text of the human monitor ("human-monitor-command") is a success for QMP also when it says that
/// something failed. A reply with both or neither of "return" and "error" is a protocol error; of
/// a member that comes twice the last one counts; an error without an id fails the command that is
/// under way, if it is the only one. When the VM ends before its reply to "quit" is out, that is a success: "{}".
///
/// Returns QMP_OK; QMP_ERR_COMMAND: the VM answered with an error, see error_class and description;
/// QMP_ERR_TIMEOUT; QMP_ERR_CANCELLED; QMP_ERR_DISCONNECTED: the connection ended; QMP_ERR_CLOSED;
/// QMP_ERR_TOO_LARGE: the reply is over the limit, the connection stays usable; QMP_ERR_PROTOCOL:
/// the reply is not JSON, or the peer lost its way; with each of these outcome_unknown tells
/// whether the command may have been executed; QMP_ERR_INVALID_ARGUMENT: nothing was sent;
/// QMP_ERR_INVALID_HANDLE; QMP_ERR_FORKED; QMP_ERR_RESOURCE: memory is short, and where it was too
/// short to receive the reply at all the connection has ended. Any thread. Since 0.1.
///
/// # Safety
/// The strings are NUL-terminated or NULL; the other pointers that are not handles may be written,
/// or are NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qmp_execute_json(
    client: *mut qmp_client,
    command: *const c_char,
    arguments_json: *const c_char,
    timeout_ms: i64,
    cancel: *mut qmp_cancel,
    reply_json: *mut *mut c_char,
    error: *mut *mut qmp_error,
) -> qmp_status {
    // SAFETY: the caller's promise.
    unsafe {
        gate(error, || {
            let out = Out::new(reply_json, ptr::null_mut(), "reply_json").required()?;
            let client = handle::get(client)?;
            let command = gate::text(command, "command")?;
            let arguments = gate::optional_text(arguments_json, "arguments_json")?;
            let cancel = handle::get_optional(cancel)?;
            let timeout = gate::limit(timeout_ms, command, &client.options.timeouts)?;
            let wait = Wait::new(timeout, cancel.as_deref());
            let reply = client.execute(command, arguments, &wait)?;
            out.give(reply.into_raw());
            Ok(())
        })
    }
}

/// Sends a command out of band: it overtakes the commands that wait for their turn, and is executed
/// while another one runs.
///
/// client: where to. command: its name. arguments_json: a JSON object, or NULL for none. Needs
/// qmp_options_set_out_of_band, and a command that QEMU allows out of band: "migrate-recover",
/// "migrate-pause", "yank", "query-yank"; others are refused by the VM. Everything else is as in
/// qmp_execute_json.
///
/// Returns what qmp_execute_json returns; QMP_ERR_UNSUPPORTED: out-of-band was not negotiated, and
/// nothing was sent. Any thread. Since 0.1.
///
/// # Safety
/// As for qmp_execute_json.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qmp_execute_oob_json(
    client: *mut qmp_client,
    command: *const c_char,
    arguments_json: *const c_char,
    timeout_ms: i64,
    cancel: *mut qmp_cancel,
    reply_json: *mut *mut c_char,
    error: *mut *mut qmp_error,
) -> qmp_status {
    // SAFETY: the caller's promise.
    unsafe {
        gate(error, || {
            let out = Out::new(reply_json, ptr::null_mut(), "reply_json").required()?;
            let client = handle::get(client)?;
            let command = gate::text(command, "command")?;
            let arguments = gate::optional_text(arguments_json, "arguments_json")?;
            let cancel = handle::get_optional(cancel)?;
            let timeout = gate::limit(timeout_ms, command, &client.options.timeouts)?;
            let wait = Wait::new(timeout, cancel.as_deref());
            let reply = client.execute_out_of_band(command, arguments, &wait)?;
            out.give(reply.into_raw());
            Ok(())
        })
    }
}

/// Sends a command with a file descriptor for the VM: "getfd", "add-fd" and the like. Both arrive
/// together, the descriptor with the command's first byte.
///
/// The descriptor belongs to the library from then on, whatever happens, and is closed; the VM has a
/// copy of its own if the command was sent. Only after QMP_ERR_INVALID_ARGUMENT,
/// QMP_ERR_INVALID_HANDLE and QMP_ERR_FORKED it is still the caller's.
///
/// client: where to. command: its name. arguments_json: a JSON object, or NULL for none. descriptor:
/// an open one. Everything else is as in qmp_execute_json.
///
/// Returns what qmp_execute_json returns; QMP_ERR_UNSUPPORTED: the connection is none over a unix
/// socket, and nothing was sent. Any thread. Since 0.1.
///
/// # Safety
/// As for qmp_execute_json; nobody else uses the descriptor any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qmp_execute_fd_json(
    client: *mut qmp_client,
    command: *const c_char,
    arguments_json: *const c_char,
    descriptor: i32,
    timeout_ms: i64,
    cancel: *mut qmp_cancel,
    reply_json: *mut *mut c_char,
    error: *mut *mut qmp_error,
) -> qmp_status {
    // SAFETY: the caller's promise.
    unsafe {
        gate(error, || {
            let out = Out::new(reply_json, ptr::null_mut(), "reply_json").required()?;
            let client = handle::get(client)?;
            let command = gate::text(command, "command")?;
            let arguments = gate::optional_text(arguments_json, "arguments_json")?;
            let cancel = handle::get_optional(cancel)?;
            let timeout = gate::limit(timeout_ms, command, &client.options.timeouts)?;
            let call = client.call(command, arguments)?;
            // Last: from here on it is the library's.
            let descriptor = socket::take(descriptor)
                .map_err(|_| Error::invalid(format!("descriptor {descriptor} is not open")))?;
            let wait = Wait::new(timeout, cancel.as_deref());
            let reply = client.execute_with(call, descriptor, &wait)?;
            out.give(reply.into_raw());
            Ok(())
        })
    }
}
