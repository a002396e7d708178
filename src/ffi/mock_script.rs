// SPDX-License-Identifier: MIT OR Apache-2.0
//! A mock's script: what it answers, when, and which faults it has.
//
// A rule is for a command's name, for a pattern, which is a name's beginning with "*" at its end, or for a place.

use std::ffi::c_char;
use std::ptr;

use super::connect::copied;
use super::error::qmp_error;
use super::gate::{self, Out, gate};
use super::mock::{QMP_ALWAYS, qmp_mock, with};
use super::status::qmp_status;
use crate::error::{Error, Result};
use crate::mock;

/// Answers a command with a value, in place of what the mock would do: nothing happens to its state
/// and no event is sent. The command's name then stands in query-commands too.
///
/// The oldest answer that is not used up counts; when none is left, the mock's own behaviour does.
/// Before a client has negotiated, its commands are refused as by QEMU, whatever the script has for
/// them.
///
/// command: a name, or the beginning of names with "*" at its end; "*" is every command but the
/// negotiation ("qmp_capabilities"). value_json: what "return" is to be, any JSON value. times: for
/// so many commands, or QMP_ALWAYS. error: gets the error; may be NULL.
///
/// Returns QMP_OK; QMP_ERR_INVALID_ARGUMENT; QMP_ERR_INVALID_HANDLE; QMP_ERR_FORKED. Any thread.
/// Since 0.1.
///
/// # Safety
/// The strings are NUL-terminated or NULL; error may be written, or is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qmp_mock_reply(
    mock: *mut qmp_mock,
    command: *const c_char,
    value_json: *const c_char,
    times: i32,
    error: *mut *mut qmp_error,
) -> qmp_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(mock, error, |mock| {
            let command = gate::text(command, "command")?;
            let value = gate::text(value_json, "value_json")?;
            mock.reply(command, value, times_of(times)?)
        })
    }
}

/// Answers a command with an error, in place of what the mock would do.
///
/// command, times: as in qmp_mock_reply. error_class: "GenericError", "DeviceNotFound", … or any
/// other. description: the error's text. error: gets the error; may be NULL.
///
/// Returns QMP_OK; QMP_ERR_INVALID_ARGUMENT; QMP_ERR_INVALID_HANDLE; QMP_ERR_FORKED. Any thread.
/// Since 0.1.
///
/// # Safety
/// The strings are NUL-terminated or NULL; error may be written, or is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qmp_mock_reply_error(
    mock: *mut qmp_mock,
    command: *const c_char,
    error_class: *const c_char,
    description: *const c_char,
    times: i32,
    error: *mut *mut qmp_error,
) -> qmp_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(mock, error, |mock| {
            let command = gate::text(command, "command")?;
            let class = gate::text(error_class, "error_class")?;
            let description = gate::text(description, "description")?;
            mock.reply_error(command, class, description, times_of(times)?)
        })
    }
}

/// Sends an event right before or after the reply to a command, beside the mock's own.
///
/// command: as in qmp_mock_reply, or "greeting". before: before the reply, else after it. event: its
/// name. data_json: its data, a JSON object; may be NULL for none. times: as in qmp_mock_reply.
/// error: gets the error; may be NULL.
///
/// Returns QMP_OK; QMP_ERR_INVALID_ARGUMENT; QMP_ERR_INVALID_HANDLE; QMP_ERR_FORKED. Any thread.
/// Since 0.1.
///
/// # Safety
/// The strings are NUL-terminated or NULL; error may be written, or is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qmp_mock_reply_event(
    mock: *mut qmp_mock,
    command: *const c_char,
    before: bool,
    event: *const c_char,
    data_json: *const c_char,
    times: i32,
    error: *mut *mut qmp_error,
) -> qmp_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(mock, error, |mock| {
            let command = gate::text(command, "command")?;
            let event = gate::text(event, "event")?;
            let data = gate::optional_text(data_json, "data_json")?;
            mock.reply_event(command, before, event, data, times_of(times)?)
        })
    }
}

/// Lets a command take its time. As with QEMU, the commands behind it wait, but events and commands
/// out of band do not, and when its client leaves meanwhile, the reply goes to whoever is connected
/// then. Unlike QEMU's, other clients' commands do not wait.
///
/// command, times: as in qmp_mock_reply, or "greeting". delay_ms: milliseconds, or QMP_FOREVER: it
/// is never executed. error: gets the error; may be NULL.
///
/// Returns QMP_OK; QMP_ERR_INVALID_ARGUMENT; QMP_ERR_INVALID_HANDLE; QMP_ERR_FORKED. Any thread.
/// Since 0.1.
///
/// # Safety
/// command is a NUL-terminated string or NULL; error may be written, or is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qmp_mock_delay(
    mock: *mut qmp_mock,
    command: *const c_char,
    delay_ms: i64,
    times: i32,
    error: *mut *mut qmp_error,
) -> qmp_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(mock, error, |mock| {
            let command = gate::text(command, "command")?;
            let delay = gate::timeout(delay_ms, "delay_ms")?;
            mock.delay(command, delay, times_of(times)?)
        })
    }
}

/// Puts a fault into what the mock sends. Of several the oldest that is not used up counts.
///
/// place: "greeting", for a connection from its beginning; "event", for an event; or a command as in
/// qmp_mock_reply, for its reply. "qmp_capabilities" is the negotiation. fault: its name. amount: how
/// much, or 0 for the usual; the table gives the usual amounts in parentheses. twice,
/// blank-lines, event-first, many-keys and error-without-id go up to 1048576. times: as in
/// qmp_mock_reply. error: gets the error; may be NULL.
///
/// How it is sent: bytewise; slow-loris (100 ms after each byte); pretty; no-newline; blank-lines
/// (3); bom; ff, a byte 0xFF before it; twice (2 times); event-first (1 event); cut (half), then the
/// end. What is before it: garbage; array; scalar. What is there instead: http; hmp; tls; not-qmp;
/// silent; close; reset. What is in it: huge (100000000 bytes); endless-string; endless-blanks; deep
/// (1000); bottomless (1000000, not closed); many-keys (200000); big-number (400 digits); not-json;
/// bad-utf8; raw-surrogate; raw-nul; lone-surrogate; escaped-nul; unknown-members; duplicate-keys.
/// What follows it: close-after; reset-after; half-close; half-close-reading; stop-reading;
/// slow-reading (200000 bytes/s); flood (events without end).
/// A greeting: no-version; odd-capabilities. A reply: reordered (2 are kept and sent last first);
/// unknown-id; text-id; no-id; stray-first, a reply with an unknown id before it; error-without-id (1
/// instead); both, return and error; neither; unknown-class; no-class; error-as-string. An event:
/// no-timestamp; odd-timestamp; no-data; odd-name; event-with-id (1).
/// Over a unix socket a peer reads a reset only where it has sent something that was not read: reset
/// leaves the command unread.
///
/// Returns QMP_OK; QMP_ERR_INVALID_ARGUMENT: also where there is no such fault at that place;
/// QMP_ERR_INVALID_HANDLE; QMP_ERR_FORKED. Any thread. Since 0.1.
///
/// # Safety
/// The strings are NUL-terminated or NULL; error may be written, or is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qmp_mock_fault(
    mock: *mut qmp_mock,
    place: *const c_char,
    fault: *const c_char,
    amount: u64,
    times: i32,
    error: *mut *mut qmp_error,
) -> qmp_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(mock, error, |mock| {
            let place = gate::text(place, "place")?;
            let fault = gate::text(fault, "fault")?;
            mock.fault(place, fault, amount, times_of(times)?)
        })
    }
}

/// Gives all faults, for a test that tries every one.
///
/// faults_json: gets a JSON array of {"fault": name, "places": ["greeting", "reply", "event"], as far
/// as they apply, "amount": the usual one, "what": in words}, to be freed with qmp_string_free.
/// error: gets the error; may be NULL.
///
/// Returns QMP_OK; QMP_ERR_INVALID_ARGUMENT; QMP_ERR_RESOURCE. Any thread. Since 0.1.
///
/// # Safety
/// faults_json and error may be written, or are NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qmp_mock_faults_json(
    faults_json: *mut *mut c_char,
    error: *mut *mut qmp_error,
) -> qmp_status {
    // SAFETY: the caller's promise.
    unsafe {
        gate(error, || {
            let out = Out::new(faults_json, ptr::null_mut(), "faults_json").required()?;
            out.give(copied(&mock::faults_json())?.into_raw());
            Ok(())
        })
    }
}

/// Forgets the whole script: answers, events, delays and faults that were not used yet.
///
/// error: gets the error; may be NULL.
///
/// Returns QMP_OK; QMP_ERR_INVALID_ARGUMENT; QMP_ERR_INVALID_HANDLE; QMP_ERR_FORKED. Any thread.
/// Since 0.1.
///
/// # Safety
/// error may be written, or is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qmp_mock_clear(
    mock: *mut qmp_mock,
    error: *mut *mut qmp_error,
) -> qmp_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(mock, error, |mock| {
            mock.clear();
            Ok(())
        })
    }
}

/// Sends an event now, to every client that has negotiated. Nobody else ever hears of it, as with
/// QEMU.
///
/// event: its name. data_json: its data, a JSON object; may be NULL for none. error: gets the error;
/// may be NULL.
///
/// Returns QMP_OK; QMP_ERR_INVALID_ARGUMENT; QMP_ERR_INVALID_HANDLE; QMP_ERR_FORKED. Any thread.
/// Since 0.1.
///
/// # Safety
/// The strings are NUL-terminated or NULL; error may be written, or is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qmp_mock_emit(
    mock: *mut qmp_mock,
    event: *const c_char,
    data_json: *const c_char,
    error: *mut *mut qmp_error,
) -> qmp_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(mock, error, |mock| {
            let event = gate::text(event, "event")?;
            let data = gate::optional_text(data_json, "data_json")?;
            mock.emit(event, data)
        })
    }
}

/// Sends a text as it is, to every client that has negotiated: for faults that have no name.
///
/// text: nothing is added to it, no newline either. error: gets the error; may be NULL.
///
/// Returns QMP_OK; QMP_ERR_INVALID_ARGUMENT; QMP_ERR_INVALID_HANDLE; QMP_ERR_FORKED. Any thread.
/// Since 0.1.
///
/// # Safety
/// text is a NUL-terminated string or NULL; error may be written, or is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qmp_mock_send(
    mock: *mut qmp_mock,
    text: *const c_char,
    error: *mut *mut qmp_error,
) -> qmp_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(mock, error, |mock| {
            mock.send(gate::text(text, "text")?);
            Ok(())
        })
    }
}

/// Ends the connections of the moment once all that was to be sent is sent. The mock goes on and can
/// be connected to again.
///
/// error: gets the error; may be NULL.
///
/// Returns QMP_OK; QMP_ERR_INVALID_ARGUMENT; QMP_ERR_INVALID_HANDLE; QMP_ERR_FORKED. Any thread.
/// Since 0.1.
///
/// # Safety
/// error may be written, or is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qmp_mock_disconnect(
    mock: *mut qmp_mock,
    error: *mut *mut qmp_error,
) -> qmp_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(mock, error, |mock| {
            mock.disconnect();
            Ok(())
        })
    }
}

/// None: always.
fn times_of(times: i32) -> Result<Option<u32>> {
    match u32::try_from(times) {
        Ok(times @ 1..) => Ok(Some(times)),
        _ if times == QMP_ALWAYS => Ok(None),
        _ => Err(Error::invalid(format!(
            "times is {times}: want at least 1, or -1 for always"
        ))),
    }
}
