// SPDX-License-Identifier: MIT OR Apache-2.0
//! A client in the caller's own loop, without a thread of the library.

use super::connect::qmp_client;
use super::error::qmp_error;
use super::gate::{Out, gate};
use super::handle;
use super::status::qmp_status;

/// Gives the descriptor of a client that the caller's loop drives: while it is readable, call
/// qmp_process. It is the same for the client's whole life, and everything is in it: what the VM
/// sends, what it did not take yet, the end, and the timers of a client that comes back.
///
/// Wait for it with poll, epoll, select, or a loop's library; do not read from it. It belongs to the
/// client: take it out of your loop before qmp_close.
///
/// client: which; its options had qmp_options_set_own_loop. fd: gets the descriptor, 0 on failure.
/// error: gets the error; may be NULL.
///
/// Returns QMP_OK; QMP_ERR_INVALID_ARGUMENT: also if the library's thread drives it; QMP_ERR_CLOSED;
/// QMP_ERR_INVALID_HANDLE; QMP_ERR_FORKED. Any thread. Since 0.1.
///
/// # Safety
/// The pointers that are not handles may be written, or are NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qmp_fd(
    client: *mut qmp_client,
    fd: *mut i32,
    error: *mut *mut qmp_error,
) -> qmp_status {
    // SAFETY: the caller's promise.
    unsafe {
        gate(error, || {
            let fd = Out::new(fd, 0, "fd").required()?;
            fd.give(handle::get(client)?.loop_descriptor()?);
            Ok(())
        })
    }
}

/// Does what there is to do for a client that the caller's loop drives: reads what came, sends what
/// waits to be sent, tries to come back if that is due, and runs the callbacks set with
/// QMP_ON_DISPATCH. It never waits. Then poll events, requests and batches with a timeout of 0.
///
/// client: which; its options had qmp_options_set_own_loop. error: gets the error; may be NULL.
///
/// Returns QMP_OK, also if there was nothing to do; QMP_ERR_DISCONNECTED: the connection has ended for good,
/// take the descriptor out of your loop; QMP_ERR_INVALID_ARGUMENT: also if the library's thread drives
/// it; QMP_ERR_CLOSED; QMP_ERR_INVALID_HANDLE; QMP_ERR_FORKED. Any thread, callbacks too. Since 0.1.
///
/// # Safety
/// error may be written, or is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qmp_process(
    client: *mut qmp_client,
    error: *mut *mut qmp_error,
) -> qmp_status {
    // SAFETY: the caller's promise.
    unsafe { gate(error, || handle::get(client)?.process()) }
}
