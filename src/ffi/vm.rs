// SPDX-License-Identifier: MIT OR Apache-2.0
//! The VM's state, and shutting it down.

use std::ffi::c_char;
use std::ptr;

use super::cancel::qmp_cancel;
use super::connect::{copied, qmp_client};
use super::error::qmp_error;
use super::gate::{self, Out, gate};
use super::handle;
use super::status::qmp_status;
use crate::client::{RunState, ShutdownPlan, Wait};
use crate::error::Result;

/// How a shutdown went: the guest went down by itself, be it by a reset or a panic under -no-reboot.
pub const QMP_SHUTDOWN_GUEST: i32 = 1;
/// How a shutdown went: the VM was ended from the host's side, by this call or by somebody else.
pub const QMP_SHUTDOWN_FORCED: i32 = 2;
/// How a shutdown went: the VM was gone before the call did anything.
pub const QMP_SHUTDOWN_ALREADY_DOWN: i32 = 3;

/// Asks the VM for its run state (the command "query-status").
///
/// client: which VM. timeout_ms, cancel: as in qmp_execute_json. running: gets whether the virtual
/// CPUs run. status: gets the state's name as the VM sent it ("running", "paused", "shutdown", …;
/// newer QEMU adds some), to be freed with qmp_string_free. error: gets the error; may be NULL.
///
/// Returns what qmp_execute_json returns; QMP_ERR_PROTOCOL also if the reply has no such members, or
/// if the state is no text that a C string can hold: one with \u0000 or half a surrogate pair;
/// QMP_ERR_UNSUPPORTED: this is a guest agent's client. Any thread. Since 0.1.
///
/// # Safety
/// The pointers that are not handles may be written, or are NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qmp_query_status(
    client: *mut qmp_client,
    timeout_ms: i64,
    cancel: *mut qmp_cancel,
    running: *mut bool,
    status: *mut *mut c_char,
    error: *mut *mut qmp_error,
) -> qmp_status {
    // SAFETY: the caller's promise.
    unsafe {
        gate(error, || {
            let running = Out::new(running, false, "running");
            let status = Out::new(status, ptr::null_mut(), "status");
            let (running, status) = (running.required()?, status.required()?);
            let state = query(client, timeout_ms, cancel)?;
            let text = copied(&state.status)?;
            running.give(state.running);
            status.give(text.into_raw());
            Ok(())
        })
    }
}

/// Asks the VM whether its virtual CPUs run.
///
/// client: which VM. timeout_ms, cancel: as in qmp_execute_json. running: gets the answer, false on
/// failure. error: gets the error; may be NULL.
///
/// Returns what qmp_query_status returns. Any thread. Since 0.1.
///
/// # Safety
/// The pointers that are not handles may be written, or are NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qmp_is_running(
    client: *mut qmp_client,
    timeout_ms: i64,
    cancel: *mut qmp_cancel,
    running: *mut bool,
    error: *mut *mut qmp_error,
) -> qmp_status {
    // SAFETY: the caller's promise.
    unsafe {
        gate(error, || {
            let running = Out::new(running, false, "running").required()?;
            running.give(query(client, timeout_ms, cancel)?.running);
            Ok(())
        })
    }
}

fn query(client: *mut qmp_client, timeout_ms: i64, cancel: *mut qmp_cancel) -> Result<RunState> {
    let client = handle::get(client)?;
    let cancel = handle::get_optional(cancel)?;
    let timeout = gate::limit(timeout_ms, "query-status", &client.options.timeouts)?;
    client.query_status(&Wait::new(timeout, cancel.as_deref()))
}

/// Shuts the VM down: presses its power button, again at intervals, and ends QEMU at last if that
/// is wanted.
///
/// A press means no more than that the button was pressed: before the guest listens it is lost, so
/// it is repeated until SHUTDOWN comes, the connection ends, or the grace time is over. Only a
/// guest whose state is "running" is pressed. A paused one is not: the press would be kept and
/// strike when somebody resumes it; nor is it ever resumed. If somebody else resumes it within the
/// grace time it is pressed then. A guest in the state "guest-panicked" or "internal-error" cannot
/// react, so its grace time ends at once. After the grace time, if force is true, "quit" is sent,
/// and QEMU has 5 s to end. Under -no-shutdown QEMU stays when the guest is off: that counts as
/// QMP_SHUTDOWN_GUEST, and QEMU is told to quit if force is true. No process is ever signalled.
/// Events stay in the queue for qmp_poll_event.
///
/// client: which VM. press_interval_ms: time between presses; 0 or QMP_FOREVER for one press only.
/// graceful_timeout_ms: the grace time; with 0 the button is not pressed; QMP_FOREVER waits for
/// ever. force: whether to end QEMU when the guest did not go down. cancel: ends the call; may be
/// NULL. result: gets a QMP_SHUTDOWN_ code, 0 on failure. error: gets the error; may be NULL.
///
/// Returns QMP_OK; without force QMP_ERR_TIMEOUT: the guest is still up, and the message says in
/// which state; with force QMP_ERR_TIMEOUT: QEMU did not end within 5 s, outcome_unknown is true;
/// with force QMP_ERR_COMMAND: QEMU refused to quit; QMP_ERR_DISCONNECTED: the connection ended
/// after a press without SHUTDOWN (QEMU was killed, perhaps), so how is unknown;
/// QMP_ERR_CANCELLED; QMP_ERR_CLOSED; QMP_ERR_UNSUPPORTED: this is a guest agent's client;
/// QMP_ERR_INVALID_ARGUMENT; QMP_ERR_INVALID_HANDLE; QMP_ERR_FORKED; QMP_ERR_RESOURCE. When the VM
/// is gone already it is a success, QMP_SHUTDOWN_ALREADY_DOWN. The connection ends with the VM;
/// calls then give QMP_ERR_DISCONNECTED, and the client is still to be closed. Any thread.
/// Since 0.1.
///
/// # Safety
/// The pointers that are not handles may be written, or are NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qmp_shutdown(
    client: *mut qmp_client,
    press_interval_ms: i64,
    graceful_timeout_ms: i64,
    force: bool,
    cancel: *mut qmp_cancel,
    result: *mut i32,
    error: *mut *mut qmp_error,
) -> qmp_status {
    // SAFETY: the caller's promise.
    unsafe {
        gate(error, || {
            let result = Out::new(result, 0, "result").required()?;
            let client = handle::get(client)?;
            let cancel = handle::get_optional(cancel)?;
            let interval = gate::timeout(press_interval_ms, "press_interval_ms")?;
            let plan = ShutdownPlan {
                press_interval: interval.filter(|interval| !interval.is_zero()),
                grace: gate::timeout(graceful_timeout_ms, "graceful_timeout_ms")?,
                force,
            };
            result.give(client.shut_down(plan, cancel.as_deref())? as i32);
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::ShutdownResult;

    #[test]
    fn the_numbers_of_the_library_and_of_the_header_are_the_same() {
        assert_eq!(QMP_SHUTDOWN_GUEST, ShutdownResult::Guest as i32);
        assert_eq!(QMP_SHUTDOWN_FORCED, ShutdownResult::Forced as i32);
        assert_eq!(
            QMP_SHUTDOWN_ALREADY_DOWN,
            ShutdownResult::AlreadyDown as i32
        );
    }
}
