// SPDX-License-Identifier: MIT OR Apache-2.0
//! Subscriptions: several consumers of one client's events, and callbacks.
#![allow(non_camel_case_types)]

use std::ffi::{c_char, c_void};
use std::ptr;
use std::sync::Arc;

use super::cancel::qmp_cancel;
use super::connect::qmp_client;
use super::error::qmp_error;
use super::event::{filter, into_c, qmp_event, qmp_event_free};
use super::gate::{self, Out, gate};
use super::handle::{self, handle};
use super::status::qmp_status;
use crate::client::callbacks::{Callback, Place};
use crate::client::{Connection, Wait};
use crate::error::{Error, Result};
use crate::session::events::Event;

/// A handle to a consumer of events, with a queue of its own. Any thread. Since 0.1.
pub struct qmp_subscription {
    _private: [u8; 0],
}

/// A connection's subscription, which ends with its handle.
pub struct Subscribed {
    connection: Arc<Connection>,
    id: u64,
}
handle!(qmp_subscription, Subscription, Subscribed);

impl Drop for Subscribed {
    fn drop(&mut self) {
        self.connection.unsubscribe(self.id);
    }
}

/// Where a callback runs: on a thread of the library's own, on which the callbacks of all clients
/// of the process run one after the other.
pub const QMP_ON_LIBRARY_THREAD: i32 = 0;
/// Where a callback runs: on the thread that calls qmp_dispatch.
pub const QMP_ON_DISPATCH: i32 = 1;

/// A callback for events. event is valid during the call. It may call any function of this library,
/// free its own subscription and close its client. It must not unwind (no C++ exception, no
/// longjmp, no pthread_exit). A slow one delays other callbacks, and never a reply. Since 0.1.
pub type qmp_event_fn =
    Option<unsafe extern "C" fn(user_data: *mut c_void, event: *const qmp_event)>;

struct CCallback {
    function: qmp_event_fn,
    owner: Owner,
}

impl Callback<Event> for CCallback {
    fn call(&self, event: Event) {
        let event = into_c(event);
        if let Some(function) = self.function {
            // SAFETY: the header's contract for callbacks; `event` lives through the call.
            unsafe { function(self.owner.user_data, event) };
        }
        // SAFETY: made above, and freed once.
        unsafe { qmp_event_free(event) };
    }
}

/// A callback's user_data, destroyed when nobody can call any more.
pub(super) struct Owner {
    pub(super) user_data: *mut c_void,
    pub(super) destroy: Option<unsafe extern "C" fn(user_data: *mut c_void)>,
}

// SAFETY: the header tells that callbacks and destroy are called from other threads.
unsafe impl Send for Owner {}
// SAFETY: as above; no two calls of one callback run at once.
unsafe impl Sync for Owner {}

impl Drop for Owner {
    fn drop(&mut self) {
        if let Some(destroy) = self.destroy {
            // SAFETY: the header's contract; dropping happens once.
            unsafe { destroy(self.user_data) };
        }
    }
}

/// Subscribes to the events that come from now on and fit a filter. They wait in a queue of their
/// own; a subscription that is made before a command is sent sees every event of that command. Other
/// subscriptions and qmp_poll_event see the events too.
///
/// client: whose events. events: names like "SHUTDOWN" and patterns like "JOB_*", in which "*" is
/// any text, with commas between them; NULL for all. member, value_json: a member of the event's
/// data, and the JSON value that it must have ("device" and "\"net0\""); both NULL for whatever it
/// is. capacity: how many events wait at most, 0 for the 4096 of the default; when the queue is full
/// the oldest of the least important is lost, as in qmp_poll_event, and counted in the next event's
/// member lost. Together they need no more memory than the largest message may, or 4 MiB if that is
/// more. subscription: gets a handle, to be freed with qmp_subscription_free. error: gets the error;
/// may be NULL.
///
/// When the connection ends, each subscription gets one event of the kind QMP_EVENT_DISCONNECTED,
/// behind all others and whatever its filter is. Where the client comes back, it goes on, and gets
/// QMP_EVENT_RECONNECTED too.
///
/// Returns QMP_OK; QMP_ERR_DISCONNECTED: the connection has ended; QMP_ERR_CLOSED;
/// QMP_ERR_INVALID_ARGUMENT; QMP_ERR_INVALID_HANDLE; QMP_ERR_RESOURCE; QMP_ERR_FORKED. Any thread,
/// callbacks too. Since 0.1.
///
/// # Safety
/// The strings are NUL-terminated or NULL; the other pointers that are not handles may be written,
/// or are NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qmp_subscribe(
    client: *mut qmp_client,
    events: *const c_char,
    member: *const c_char,
    value_json: *const c_char,
    capacity: u64,
    subscription: *mut *mut qmp_subscription,
    error: *mut *mut qmp_error,
) -> qmp_status {
    // SAFETY: the caller's promise.
    unsafe {
        gate(error, || {
            let out = Out::new(subscription, ptr::null_mut(), "subscription").required()?;
            let connection = handle::get(client)?;
            let filter = filter(events, member, value_json)?;
            let capacity = match capacity {
                0 => 4096,
                _ => usize::try_from(capacity).unwrap_or(usize::MAX),
            };
            let id = connection.subscribe(filter, capacity)?;
            let subscribed = Arc::new(Subscribed { connection, id });
            out.give(handle::insert(subscribed)?);
            Ok(())
        })
    }
}

/// Ends a subscription and frees its handle, before or after its client is closed; its events are
/// gone. A call that polls it ends with QMP_ERR_CLOSED. A callback that runs at the moment runs to
/// its end, and destroy runs after it. NULL and a stale handle do nothing.
///
/// Any thread, callbacks too. Since 0.1.
#[unsafe(no_mangle)]
pub extern "C" fn qmp_subscription_free(subscription: *mut qmp_subscription) {
    gate::quietly(|| {
        let subscribed = handle::remove(subscription)?;
        subscribed.connection.unsubscribe(subscribed.id);
        Ok(())
    });
}

/// Gives the oldest event of a subscription.
///
/// subscription: whose. timeout_ms, cancel, event, error: as in qmp_poll_event.
///
/// Returns QMP_OK; QMP_ERR_TIMEOUT: none came; QMP_ERR_DISCONNECTED: the connection ended, and all
/// that came was given out; QMP_ERR_CLOSED: the client was closed, or the subscription freed;
/// QMP_ERR_CANCELLED; QMP_ERR_INVALID_ARGUMENT: also if a callback gets the events;
/// QMP_ERR_INVALID_HANDLE; QMP_ERR_FORKED; QMP_ERR_RESOURCE. Any thread. Since 0.1.
///
/// # Safety
/// The pointers that are not handles may be written, or are NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qmp_subscription_poll(
    subscription: *mut qmp_subscription,
    timeout_ms: i64,
    cancel: *mut qmp_cancel,
    event: *mut *mut qmp_event,
    error: *mut *mut qmp_error,
) -> qmp_status {
    // SAFETY: the caller's promise.
    unsafe {
        gate(error, || {
            let event = Out::new(event, ptr::null_mut(), "event").required()?;
            let subscribed = handle::get(subscription)?;
            let cancel = handle::get_optional(cancel)?;
            let timeout = gate::timeout(timeout_ms, "timeout_ms")?;
            let wait = Wait::new(timeout, cancel.as_deref());
            let found = subscribed
                .connection
                .poll_subscription(subscribed.id, &wait)?;
            event.give(into_c(found));
            Ok(())
        })
    }
}

/// Gives a descriptor that is readable while qmp_subscription_poll would not wait.
///
/// Use it as that of qmp_event_fd. It belongs to the subscription: take it out of your loop before
/// qmp_subscription_free. Once the client is closed it stays readable.
///
/// subscription: whose. fd: gets the descriptor, 0 on failure. error: gets the error; may be NULL.
///
/// Returns QMP_OK; QMP_ERR_RESOURCE; QMP_ERR_CLOSED; QMP_ERR_INVALID_ARGUMENT;
/// QMP_ERR_INVALID_HANDLE; QMP_ERR_FORKED. Any thread. Since 0.1.
///
/// # Safety
/// The pointers that are not handles may be written, or are NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qmp_subscription_fd(
    subscription: *mut qmp_subscription,
    fd: *mut i32,
    error: *mut *mut qmp_error,
) -> qmp_status {
    // SAFETY: the caller's promise.
    unsafe {
        gate(error, || {
            let fd = Out::new(fd, 0, "fd").required()?;
            let subscribed = handle::get(subscription)?;
            fd.give(
                subscribed
                    .connection
                    .subscription_descriptor(subscribed.id)?,
            );
            Ok(())
        })
    }
}

/// Has a function called with each event of a subscription, those that wait already included, in
/// their order and never two at once. Once, for good: nobody can poll it any more, and a call that
/// does ends with QMP_ERR_INVALID_ARGUMENT. After 64 events in a row other subscriptions have
/// their turn.
///
/// subscription: whose. place: QMP_ON_LIBRARY_THREAD or QMP_ON_DISPATCH. function: what is called.
/// user_data: given to it; may be NULL. destroy: called with user_data exactly once, when the
/// function will not be called any more, or when this call fails; may be NULL. error: gets the error;
/// may be NULL.
///
/// Returns QMP_OK; QMP_ERR_INVALID_ARGUMENT: also if it has a callback already; QMP_ERR_CLOSED;
/// QMP_ERR_INVALID_HANDLE; QMP_ERR_RESOURCE; QMP_ERR_FORKED. Any thread, callbacks too. Since 0.1.
///
/// # Safety
/// The functions may be called with user_data from any thread; error may be written, or is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qmp_subscription_set_callback(
    subscription: *mut qmp_subscription,
    place: i32,
    function: qmp_event_fn,
    user_data: *mut c_void,
    destroy: Option<unsafe extern "C" fn(user_data: *mut c_void)>,
    error: *mut *mut qmp_error,
) -> qmp_status {
    let owner = Owner { user_data, destroy };
    // SAFETY: the caller's promise.
    unsafe {
        gate(error, || {
            let callback = CCallback { function, owner };
            let subscribed = handle::get(subscription)?;
            let place = place_of(place)?;
            if function.is_none() {
                return Err(Error::invalid("function is NULL"));
            }
            let connection = &subscribed.connection;
            connection.attach(subscribed.id, place, Arc::new(callback))
        })
    }
}

/// Runs the callbacks of a client that wait for it, on the calling thread: those that were set with
/// QMP_ON_DISPATCH. It never waits for more, and leaves what comes meanwhile to the next call.
///
/// client: whose. error: gets the error; may be NULL.
///
/// Returns QMP_OK, also if there was nothing to do; QMP_ERR_CLOSED; QMP_ERR_INVALID_ARGUMENT;
/// QMP_ERR_INVALID_HANDLE; QMP_ERR_FORKED. Any thread, callbacks too. Since 0.1.
///
/// # Safety
/// error may be written, or is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qmp_dispatch(
    client: *mut qmp_client,
    error: *mut *mut qmp_error,
) -> qmp_status {
    // SAFETY: the caller's promise.
    unsafe { gate(error, || handle::get(client)?.dispatch()) }
}

/// Gives a descriptor that is readable while qmp_dispatch has something to do.
///
/// Use it as that of qmp_event_fd. It belongs to the client.
///
/// client: whose. fd: gets the descriptor, 0 on failure. error: gets the error; may be NULL.
///
/// Returns QMP_OK; QMP_ERR_RESOURCE; QMP_ERR_CLOSED; QMP_ERR_INVALID_ARGUMENT;
/// QMP_ERR_INVALID_HANDLE; QMP_ERR_FORKED. Any thread. Since 0.1.
///
/// # Safety
/// The pointers that are not handles may be written, or are NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qmp_dispatch_fd(
    client: *mut qmp_client,
    fd: *mut i32,
    error: *mut *mut qmp_error,
) -> qmp_status {
    // SAFETY: the caller's promise.
    unsafe {
        gate(error, || {
            let fd = Out::new(fd, 0, "fd").required()?;
            fd.give(handle::get(client)?.dispatch_descriptor()?);
            Ok(())
        })
    }
}

pub(super) fn place_of(place: i32) -> Result<Place> {
    match place {
        QMP_ON_LIBRARY_THREAD => Ok(Place::Library),
        QMP_ON_DISPATCH => Ok(Place::Dispatch),
        _ => Err(Error::invalid(format!(
            "place is {place}: want QMP_ON_LIBRARY_THREAD or QMP_ON_DISPATCH"
        ))),
    }
}
