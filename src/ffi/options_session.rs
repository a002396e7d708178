// SPDX-License-Identifier: MIT OR Apache-2.0
//! Settings of a client: how it is driven, what its session may do, how it comes back.

use std::ffi::c_char;
use std::time::Duration;

use super::gate;
use super::options::{qmp_options, set};
use super::status::qmp_status;
use crate::error::Error;
use crate::session::backoff::Backoff;

/// Sets whether out-of-band commands are wanted (qmp_execute_oob_json): the capability "oob" is
/// enabled if the VM offers it. Default false.
///
/// So that these can always overtake, at most 8 other commands are under way at the VM then; more
/// wait here, in their order.
///
/// Returns QMP_OK; QMP_ERR_INVALID_ARGUMENT for NULL; QMP_ERR_INVALID_HANDLE; QMP_ERR_FORKED.
/// Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub extern "C" fn qmp_options_set_out_of_band(
    options: *mut qmp_options,
    wanted: bool,
) -> qmp_status {
    set(options, |options| {
        options.out_of_band = wanted;
        Ok(())
    })
}

/// Sets whether the caller's own loop drives the client, and no thread of the library: with qmp_fd
/// and qmp_process. Default false.
///
/// The library starts no thread for such a client at all, so a host name cannot be looked up for it,
/// and its callbacks are of the kind QMP_ON_DISPATCH. Calls that wait work as ever; between them
/// nothing is read unless qmp_process is called.
///
/// Returns QMP_OK; QMP_ERR_INVALID_ARGUMENT for NULL; QMP_ERR_INVALID_HANDLE; QMP_ERR_FORKED.
/// Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub extern "C" fn qmp_options_set_own_loop(options: *mut qmp_options, wanted: bool) -> qmp_status {
    set(options, |options| {
        options.own_loop = wanted;
        Ok(())
    })
}

/// Sets how long a command may take whose caller passes QMP_DEFAULT_TIMEOUT, over the built-in table.
/// A command's own name counts before patterns, and a longer pattern before a shorter one.
///
/// command: a name, or a pattern in which "*" is any text. timeout_ms: milliseconds, or QMP_FOREVER.
///
/// Returns QMP_OK; QMP_ERR_INVALID_ARGUMENT; QMP_ERR_INVALID_HANDLE; QMP_ERR_FORKED. Any thread.
/// Since 0.1.
///
/// # Safety
/// command is a NUL-terminated string or NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qmp_options_set_timeout(
    options: *mut qmp_options,
    command: *const c_char,
    timeout_ms: i64,
) -> qmp_status {
    set(options, |options| {
        // SAFETY: the caller's promise.
        let command = unsafe { gate::text(command, "command") }?;
        let limit = gate::timeout(timeout_ms, "timeout_ms")?;
        options.timeouts.set(command, limit);
        Ok(())
    })
}

/// Sets which process, of which user, has to be the one that made the socket. Connecting to another
/// one fails with QMP_ERR_PERMISSION, before anything is sent. Default: whoever it is.
///
/// pid: a process, or -1 for any. uid: a user, or -1 for any.
///
/// Returns QMP_OK; QMP_ERR_INVALID_ARGUMENT; QMP_ERR_INVALID_HANDLE; QMP_ERR_FORKED. Any thread.
/// Since 0.1.
#[unsafe(no_mangle)]
pub extern "C" fn qmp_options_set_expected_peer(
    options: *mut qmp_options,
    pid: i64,
    uid: i64,
) -> qmp_status {
    set(options, |options| {
        let bad = |name: &str, value: i64| {
            Error::invalid(format!("{name} is {value}: want a number, or -1 for any"))
        };
        options.expected_pid = match pid {
            -1 => None,
            _ => Some(
                i32::try_from(pid)
                    .ok()
                    .filter(|pid| *pid > 0)
                    .ok_or_else(|| bad("pid", pid))?,
            ),
        };
        options.expected_uid = match uid {
            -1 => None,
            _ => Some(u32::try_from(uid).map_err(|_| bad("uid", uid))?),
        };
        Ok(())
    })
}

/// Sets that clients made with these settings come back by themselves when their connection has ended,
/// and how long they pause before each attempt. Default: the first end is the last.
///
/// The handle, its descriptors, subscriptions and queued events stay. The client tells of it with events
/// of the library's own, in its own queue and in every subscription:
///
///   QMP_EVENT_DISCONNECTED, name "DISCONNECTED",
///     data {"cause": "…", "epoch": 1, "reconnecting": true}
///     the session has ended; with "reconnecting": false, no attempt will follow: total_ms is over
///   QMP_EVENT_RECONNECTED, name "RECONNECTED",
///     data {"epoch": 2, "pid": 1234, "another-process": true, "down-ms": 57}
///     there is a session again. epoch counts the client's sessions from 1. pid is the process at the
///     other end, and another-process whether it is not the one of the last session; both are null
///     where the system does not tell (TCP). down-ms: for so long nobody heard the VM, and the events of
///     that time are lost: ask for the state.
///
/// What was under way when the connection ended fails with QMP_ERR_DISCONNECTED (qmp_execute_json tells
/// how much is known of its outcome), and is never sent again; see qmp_options_set_retry_queries. Calls made
/// meanwhile wait for the next session, within their timeouts; if there is none by then they return
/// QMP_ERR_DISCONNECTED, and nothing was sent. qmp_submit_json does not wait and fails at once.
/// qmp_shutdown and qmp_execute_and_wait stay with the session in which they began. Polls go on.
///
/// An attempt goes to the address that the first connection was made to; a host's name is not looked up
/// again. It takes 10 s at most. With qmp_options_set_expected_peer another peer is refused, and tried
/// again. Descriptors (fd:N) cannot be connected to again. A recording (qmp_options_set_record) has the
/// first session alone. Events behind QMP_EVENT_DISCONNECTED are the next peer's; what it sends before
/// its session is open comes before QMP_EVENT_RECONNECTED. Between two sessions qmp_peer and
/// qmp_greeting_json tell of the last peer, or of the one that is being tried.
///
/// first_ms: the pause before the first attempt, in milliseconds; 0 turns reconnecting off, and the rest does
/// not matter. factor: by which each pause is longer than the one before it, 1 to 100. cap_ms: the
/// longest pause, first_ms at least. jitter: up to this part of a pause is left out, at random, so that not
/// all clients of a host come at once, 0 to 1. total_ms: when to give up, counted from the end of a
/// session, also while an attempt is under way; or QMP_FOREVER.
///
/// Returns QMP_OK; QMP_ERR_INVALID_ARGUMENT; QMP_ERR_INVALID_HANDLE; QMP_ERR_FORKED. Any thread.
/// Since 0.1.
#[unsafe(no_mangle)]
pub extern "C" fn qmp_options_set_reconnect(
    options: *mut qmp_options,
    first_ms: i64,
    factor: f64,
    cap_ms: i64,
    jitter: f64,
    total_ms: i64,
) -> qmp_status {
    set(options, |options| {
        if first_ms == 0 {
            options.reconnect = None;
            return Ok(());
        }
        let ms = |value: i64, name: &str, least: i64| match u64::try_from(value) {
            Ok(ms) if value >= least => Ok(Duration::from_millis(ms)),
            _ => Err(Error::invalid(format!(
                "{name} is {value}: want {least} or more"
            ))),
        };
        if !(1.0..=100.0).contains(&factor) {
            return Err(Error::invalid("factor is out of bounds: want 1 to 100"));
        }
        if !(0.0..=1.0).contains(&jitter) {
            return Err(Error::invalid("jitter is out of bounds: want 0 to 1"));
        }
        options.reconnect = Some(Backoff {
            first: ms(first_ms, "first_ms", 1)?,
            factor,
            cap: ms(cap_ms, "cap_ms", first_ms)?,
            jitter,
            total: gate::timeout(total_ms, "total_ms")?,
        });
        Ok(())
    })
}

/// Sets whether a "query-" command whose session ended before its reply came is sent again in the next
/// one, within its timeout. Default false. Only blocking calls do so (qmp_execute_json and what is built on
/// it), on clients that come back (qmp_options_set_reconnect). Nothing else is ever sent twice.
///
/// Returns QMP_OK; QMP_ERR_INVALID_ARGUMENT for NULL; QMP_ERR_INVALID_HANDLE; QMP_ERR_FORKED.
/// Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub extern "C" fn qmp_options_set_retry_queries(
    options: *mut qmp_options,
    wanted: bool,
) -> qmp_status {
    set(options, |options| {
        options.retry_queries = wanted;
        Ok(())
    })
}
