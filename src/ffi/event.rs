// SPDX-License-Identifier: MIT OR Apache-2.0
//! Events: what the VM reports by itself.
#![allow(non_camel_case_types)]

use std::ffi::c_char;
use std::ptr;

use super::cancel::qmp_cancel;
use super::connect::qmp_client;
use super::error::qmp_error;
use super::gate::{self, Out, gate};
use super::handle;
use super::status::qmp_status;
use crate::client::Wait;
use crate::error::{Error, Result};
use crate::session::events::Event;
use crate::session::filter::Filter;

/// A kind of event: the VM sent it. The library's own kinds have other numbers; expect unknown
/// ones.
pub const QMP_EVENT_VM: i32 = 0;
/// A kind of event: the library's own, "DISCONNECTED". The connection has ended. Its data has "cause", a
/// text, "epoch", the number of the session, and "reconnecting": if that is false, no other event follows.
/// Subscriptions get it, once for each end, and so does the client's own queue if it is one that comes back
/// (qmp_options_set_reconnect).
pub const QMP_EVENT_DISCONNECTED: i32 = 1;
/// A kind of event: the library's own, "RECONNECTED". There is a session again: see
/// qmp_options_set_reconnect for its data.
pub const QMP_EVENT_RECONNECTED: i32 = 2;

/// An event. Read-only; free it with qmp_event_free. Later versions may add members at the end.
/// Since 0.1.
#[repr(C)]
pub struct qmp_event {
    /// QMP_EVENT_VM, or a kind of the library's own.
    pub kind: i32,
    /// "SHUTDOWN", "STOP", … Newer QEMU adds names. Never NULL.
    pub name: *const c_char,
    /// The event's "data" as the VM sent it, JSON text; NULL if it has none.
    pub data: *const c_char,
    /// The whole event as the VM sent it, JSON text. Never NULL.
    pub json: *const c_char,
    /// The VM's wall clock: seconds since 1970, and microseconds. Both -1 if it did not say.
    pub seconds: i64,
    pub microseconds: i64,
    /// Counts the events of a connection from 1, or those of a subscription that fit its filter,
    /// lost ones included.
    pub sequence: u64,
    /// How many events were lost right before this one, because the queue was full.
    pub lost: u64,
}

/// A `qmp_event` and the event that it points into.
#[repr(C)]
struct EventBlock {
    public: qmp_event,
    event: Event,
}

pub(super) fn into_c(event: Event) -> *mut qmp_event {
    let public = qmp_event {
        kind: event.kind,
        name: ptr::null(),
        data: ptr::null(),
        json: ptr::null(),
        seconds: event.timestamp.0,
        microseconds: event.timestamp.1,
        sequence: event.sequence,
        lost: event.lost,
    };
    let mut block = Box::new(EventBlock { public, event });
    // The event has come to rest: now its texts can be pointed to.
    let (name, data, json) = block.event.c_texts();
    let (name, json) = (name.as_ptr().cast(), json.as_ptr().cast());
    let data = data.map_or(ptr::null(), |data| data.as_ptr().cast());
    block.public.name = name;
    block.public.data = data;
    block.public.json = json;
    // The block begins with its public part, so a pointer to one is a pointer to the other.
    Box::into_raw(block).cast()
}

/// Frees an event. NULL does nothing.
///
/// Any thread. Since 0.1.
///
/// # Safety
/// The event came from this library and has not been freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qmp_event_free(event: *mut qmp_event) {
    if event.is_null() {
        return;
    }
    gate::quietly(|| {
        // SAFETY: the caller's promise; every event is the head of an EventBlock from `into_c`.
        drop(unsafe { Box::from_raw(event.cast::<EventBlock>()) });
        Ok(())
    });
}

/// Gives the oldest event that has not been handed out.
///
/// Events wait in a queue from the moment they are received, in the VM's order, and before the
/// reply of the command that caused them. The queue is bounded (qmp_options_set_event_capacity);
/// when it is full the oldest event is lost, and SHUTDOWN, STOP, RESUME, RESET, GUEST_PANICKED,
/// DEVICE_DELETED and the completion of jobs last. What was received before the connection ended
/// can still be polled. Each event is given to one caller. One whose name is no string, or none that
/// C could hold, is dropped.
///
/// client: where from. timeout_ms: how long to wait for one; with 0 what has arrived is looked at.
/// cancel: ends the wait; may be NULL. event: gets the event, to be freed with qmp_event_free.
/// error: gets the error; may be NULL.
///
/// Returns QMP_OK; QMP_ERR_TIMEOUT: none came; QMP_ERR_DISCONNECTED: the connection ended and the
/// queue is empty, the message says how the VM ended as far as is known; QMP_ERR_CANCELLED;
/// QMP_ERR_CLOSED; QMP_ERR_INVALID_ARGUMENT; QMP_ERR_INVALID_HANDLE; QMP_ERR_FORKED;
/// QMP_ERR_RESOURCE. Any thread. Since 0.1.
///
/// # Safety
/// The pointers that are not handles may be written, or are NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qmp_poll_event(
    client: *mut qmp_client,
    timeout_ms: i64,
    cancel: *mut qmp_cancel,
    event: *mut *mut qmp_event,
    error: *mut *mut qmp_error,
) -> qmp_status {
    // SAFETY: the caller's promise.
    unsafe {
        gate(error, || {
            let event = Out::new(event, ptr::null_mut(), "event").required()?;
            let client = handle::get(client)?;
            let cancel = handle::get_optional(cancel)?;
            let timeout = gate::timeout(timeout_ms, "timeout_ms")?;
            let found = client.poll_event(&Wait::new(timeout, cancel.as_deref()))?;
            event.give(into_c(found));
            Ok(())
        })
    }
}

/// Gives a descriptor for the caller's own loop: it is readable while qmp_poll_event would not
/// wait, because an event is there or because the connection has ended.
///
/// Wait for it with poll, epoll or select, and call qmp_poll_event with timeout 0 for as long as
/// that returns QMP_OK. After QMP_ERR_DISCONNECTED stop watching it: it stays readable. Do not
/// read from it. It belongs to the client: take it out of your loop before qmp_close, after which
/// the system may give its number to another file. Asking again gives the same descriptor.
///
/// client: whose events. fd: gets the descriptor, 0 on failure. error: gets the error; may be
/// NULL.
///
/// Returns QMP_OK; QMP_ERR_RESOURCE; QMP_ERR_CLOSED; QMP_ERR_INVALID_ARGUMENT;
/// QMP_ERR_INVALID_HANDLE; QMP_ERR_FORKED. Any thread. Since 0.1.
///
/// # Safety
/// The pointers that are not handles may be written, or are NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qmp_event_fd(
    client: *mut qmp_client,
    fd: *mut i32,
    error: *mut *mut qmp_error,
) -> qmp_status {
    // SAFETY: the caller's promise.
    unsafe {
        gate(error, || {
            let fd = Out::new(fd, 0, "fd").required()?;
            fd.give(handle::get(client)?.event_descriptor()?);
            Ok(())
        })
    }
}

/// Gives the oldest event of a certain kind that has not been handed out, or waits for it. It may
/// have come before the call. Other events stay where they are, for qmp_poll_event.
///
/// client: where from. events, member, value_json: which event, or NULL, as in qmp_subscribe.
/// timeout_ms, cancel, event, error: as in qmp_poll_event.
///
/// Returns what qmp_poll_event returns. Any thread. Since 0.1.
///
/// # Safety
/// The strings are NUL-terminated or NULL; the other pointers that are not handles may be written,
/// or are NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qmp_wait_event(
    client: *mut qmp_client,
    events: *const c_char,
    member: *const c_char,
    value_json: *const c_char,
    timeout_ms: i64,
    cancel: *mut qmp_cancel,
    event: *mut *mut qmp_event,
    error: *mut *mut qmp_error,
) -> qmp_status {
    // SAFETY: the caller's promise.
    unsafe {
        gate(error, || {
            let event = Out::new(event, ptr::null_mut(), "event").required()?;
            let client = handle::get(client)?;
            let filter = filter(events, member, value_json)?;
            let cancel = handle::get_optional(cancel)?;
            let timeout = gate::timeout(timeout_ms, "timeout_ms")?;
            let found = client.wait_event(&filter, &Wait::new(timeout, cancel.as_deref()))?;
            event.give(into_c(found));
            Ok(())
        })
    }
}

/// Sends a command, and waits for its reply and for an event that it brings about, under one limit.
/// The event is looked for from the moment of sending, so none is missed.
///
/// command, cancel: as in qmp_execute_json. arguments_json: the same; may be NULL. events, member,
/// value_json: which event, or NULL, as in qmp_subscribe. timeout_ms: for both together. reply_json: gets the reply, to be freed with
/// qmp_string_free. event: gets the event, to be freed with qmp_event_free. error: gets the error;
/// may be NULL. qmp_poll_event gives the event too.
///
/// Returns QMP_OK; what qmp_execute_json returns, where the command failed; where it was answered and
/// the event did not follow, QMP_ERR_TIMEOUT, QMP_ERR_CANCELLED or QMP_ERR_DISCONNECTED with
/// outcome_unknown true. Any thread. Since 0.1.
///
/// # Safety
/// The strings are NUL-terminated or NULL; the other pointers that are not handles may be written,
/// or are NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qmp_execute_and_wait(
    client: *mut qmp_client,
    command: *const c_char,
    arguments_json: *const c_char,
    events: *const c_char,
    member: *const c_char,
    value_json: *const c_char,
    timeout_ms: i64,
    cancel: *mut qmp_cancel,
    reply_json: *mut *mut c_char,
    event: *mut *mut qmp_event,
    error: *mut *mut qmp_error,
) -> qmp_status {
    // SAFETY: the caller's promise.
    unsafe {
        gate(error, || {
            let reply_out = Out::new(reply_json, ptr::null_mut(), "reply_json");
            let event_out = Out::new(event, ptr::null_mut(), "event");
            let (reply_out, event_out) = (reply_out.required()?, event_out.required()?);
            let client = handle::get(client)?;
            let command = gate::text(command, "command")?;
            let arguments = gate::optional_text(arguments_json, "arguments_json")?;
            let filter = filter(events, member, value_json)?;
            let cancel = handle::get_optional(cancel)?;
            let timeout = gate::limit(timeout_ms, command, &client.options.timeouts)?;
            let wait = Wait::new(timeout, cancel.as_deref());
            let (reply, found) = client.execute_and_wait(command, arguments, filter, &wait)?;
            reply_out.give(reply.into_raw());
            event_out.give(into_c(found));
            Ok(())
        })
    }
}

/// A filter of C's.
///
/// # Safety
/// The strings are NUL-terminated or NULL.
pub(super) unsafe fn filter(
    events: *const c_char,
    member: *const c_char,
    value_json: *const c_char,
) -> Result<Filter> {
    // SAFETY: the caller's promise.
    let (events, member, value) = unsafe {
        (
            gate::optional_text(events, "events")?,
            gate::optional_text(member, "member")?,
            gate::optional_text(value_json, "value_json")?,
        )
    };
    let member = match (member, value) {
        (Some(member), Some(value)) => Some((member, value)),
        (None, None) => None,
        _ => return Err(Error::invalid("member and value_json go together")),
    };
    Filter::parse(events, member).map_err(|bad| Error::invalid(bad.to_string()))
}
