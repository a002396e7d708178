// SPDX-License-Identifier: MIT OR Apache-2.0
//! Settings of a client.
#![allow(non_camel_case_types)]

use std::sync::{Arc, Mutex, PoisonError};

use super::gate::{self, gate};
use super::handle::{self, handle};
use super::status::qmp_status;
use crate::client::Options;
use crate::error::{Error, Result};
use crate::session::dialect;

/// A handle to settings. Any thread. Since 0.1.
pub struct qmp_options {
    _private: [u8; 0],
}

/// Clients share what they were made with; what is set later is for later ones.
pub type SharedOptions = Mutex<Arc<Options>>;
handle!(qmp_options, Options, SharedOptions);

/// Makes settings, all at their defaults.
///
/// Returns a handle to be freed with qmp_options_free, or NULL when memory or handles are short.
/// Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub extern "C" fn qmp_options_new() -> *mut qmp_options {
    gate::or_null(|| handle::insert(Arc::new(Mutex::default())))
}

/// Frees settings. Clients that were made with them keep theirs. NULL and a stale handle do
/// nothing.
///
/// Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub extern "C" fn qmp_options_free(options: *mut qmp_options) {
    gate::quietly(|| handle::remove(options).map(drop));
}

/// Sets the size that one message of the VM may have, in bytes. Default 64 MiB, which is what QEMU
/// itself takes. Memory that a peer can claim is bounded by a small multiple of it.
///
/// A larger reply fails its call with QMP_ERR_TOO_LARGE as soon as the limit is passed, if it is
/// the only call under way, or else when the reply's id was seen; the rest of the message is
/// skipped and the connection stays usable, unless that does not end: more than 16 times the limit,
/// and more than 1 GiB, end the connection. The greeting may have 1 MiB at most, whatever this
/// limit is.
///
/// bytes: at least 1. Returns QMP_OK; QMP_ERR_INVALID_ARGUMENT; QMP_ERR_INVALID_HANDLE;
/// QMP_ERR_FORKED. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub extern "C" fn qmp_options_set_max_message_bytes(
    options: *mut qmp_options,
    bytes: u64,
) -> qmp_status {
    set(options, |options| {
        options.max_message_bytes = positive(bytes, "bytes")?;
        Ok(())
    })
}

/// Sets how many events wait at most until they are polled. Default 4096. Together they also need
/// no more memory than the largest message may, or 4 MiB if that is more; half of it is for those
/// that are lost last, see qmp_poll_event.
///
/// events: at least 1. Returns QMP_OK; QMP_ERR_INVALID_ARGUMENT; QMP_ERR_INVALID_HANDLE;
/// QMP_ERR_FORKED. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub extern "C" fn qmp_options_set_event_capacity(
    options: *mut qmp_options,
    events: u64,
) -> qmp_status {
    set(options, |options| {
        options.event_capacity = positive(events, "events")?;
        Ok(())
    })
}

/// Sets whether connecting waits for a socket that is not there yet, or on which nobody listens,
/// until the time is over. Default false: that fails at once.
///
/// Returns QMP_OK; QMP_ERR_INVALID_ARGUMENT for NULL; QMP_ERR_INVALID_HANDLE; QMP_ERR_FORKED.
/// Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub extern "C" fn qmp_options_set_wait_for_socket(
    options: *mut qmp_options,
    wait: bool,
) -> qmp_status {
    set(options, |options| {
        options.wait_for_socket = wait;
        Ok(())
    })
}

/// A dialect: QMP, as a VM's monitor speaks it.
pub const QMP_DIALECT_QMP: i32 = 0;
/// A dialect: the QEMU guest agent's (qemu-ga).
pub const QMP_DIALECT_GUEST_AGENT: i32 = 1;

/// Sets what is spoken at the address: QMP_DIALECT_QMP (the default) or QMP_DIALECT_GUEST_AGENT.
///
/// The guest agent's socket is that of a serial port of the VM, behind which qemu-ga runs inside
/// the guest. An agent does not greet: qmp_connect sends it the byte 0xFF and the command
/// "guest-sync-delimited" with a random number, and ignores whatever comes before the answer with
/// that number, such as replies to an earlier client and errors about what it left behind. Without
/// an answer it does so again after 1, 2, 4, … seconds, each time with another number; only the
/// last one's answer counts. QEMU takes the connection whether or not an agent runs, so an absent
/// one is told by QMP_ERR_TIMEOUT: give the guest the time that it needs to start. No command is
/// sent before the agent has answered.
///
/// Then qmp_execute_json works as with QMP, with the agent's commands ("guest-ping", …). One that
/// timed out may still be run by the agent, outcome_unknown is true; the client stays usable, the
/// late reply is recognised and dropped. The agent never answers "guest-shutdown",
/// "guest-suspend-disk", "guest-suspend-ram" and "guest-suspend-hybrid" when they succeed: their
/// calls succeed with "{}" when the connection ends, and give QMP_ERR_TIMEOUT with outcome_unknown
/// if it stays; look at the VM's monitor. When the agent is stopped inside the guest the connection
/// does not end, and calls time out.
///
/// There are no events, so qmp_poll_event gives the end only. qmp_greeting_json, qmp_query_status,
/// qmp_is_running and qmp_shutdown are a monitor's and return QMP_ERR_UNSUPPORTED.
///
/// Returns QMP_OK; QMP_ERR_INVALID_ARGUMENT: NULL, or an unknown dialect; QMP_ERR_INVALID_HANDLE;
/// QMP_ERR_FORKED. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub extern "C" fn qmp_options_set_dialect(options: *mut qmp_options, dialect: i32) -> qmp_status {
    set(options, |options| {
        options.dialect = match dialect {
            QMP_DIALECT_QMP => &dialect::QMP,
            QMP_DIALECT_GUEST_AGENT => &dialect::GUEST_AGENT,
            _ => return Err(Error::invalid(format!("dialect is {dialect}: want 0 or 1"))),
        };
        Ok(())
    })
}

pub(super) fn set(
    options: *mut qmp_options,
    change: impl FnOnce(&mut Options) -> Result<()>,
) -> qmp_status {
    // SAFETY: NULL is allowed.
    unsafe {
        gate(std::ptr::null_mut(), || {
            let options = handle::get(options)?;
            let mut options = options.lock().unwrap_or_else(PoisonError::into_inner);
            change(Arc::make_mut(&mut options))
        })
    }
}

fn positive(number: u64, name: &str) -> Result<usize> {
    match usize::try_from(number) {
        Ok(0) => Err(Error::invalid(format!("{name} is 0"))),
        Ok(number) => Ok(number),
        Err(_) => Ok(usize::MAX),
    }
}
