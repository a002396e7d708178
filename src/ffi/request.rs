// SPDX-License-Identifier: MIT OR Apache-2.0
//! Requests: commands submitted without waiting.
#![allow(non_camel_case_types)]

use std::ffi::{c_char, c_void};
use std::ptr;
use std::sync::Arc;

use super::cancel::qmp_cancel;
use super::connect::qmp_client;
use super::error::{self, qmp_error, qmp_error_free};
use super::gate::{self, Out, gate};
use super::handle::{self, handle};
use super::options_log::qmp_late_reply_fn;
use super::status::{QMP_OK, qmp_status};
use super::subscription::{Owner, place_of};
use crate::client::callbacks::Callback;
use crate::client::late::LateReply;
use crate::client::{Band, Request, Wait};
use crate::error::{Error, Result};
use crate::sys::text::Text;

/// A handle to a command under way. Any thread. Since 0.1.
pub struct qmp_request {
    _private: [u8; 0],
}
handle!(qmp_request, Request, Request);

/// How cancelling a request went: nothing of the command was sent, and nothing will be.
pub const QMP_REQUEST_WITHDRAWN: i32 = 1;
/// How cancelling a request went: the command was sent, so it may be executed all the same.
pub const QMP_REQUEST_UNKNOWN: i32 = 2;
/// How cancelling a request went: its outcome had come already, and can still be had.
pub const QMP_REQUEST_TOO_LATE: i32 = 3;

/// A callback for a request's outcome: status and, on QMP_OK, reply_json, else error; the other is
/// NULL. Both are valid during the call. It must not unwind, and may call any function of this
/// library, as a qmp_event_fn. Since 0.1.
pub type qmp_reply_fn = Option<
    unsafe extern "C" fn(
        user_data: *mut c_void,
        status: qmp_status,
        reply_json: *const c_char,
        error: *const qmp_error,
    ),
>;

struct CCallback<F> {
    function: F,
    owner: Owner,
}

impl Callback<Result<Text>> for CCallback<qmp_reply_fn> {
    fn call(&self, outcome: Result<Text>) {
        if let Some(function) = self.function {
            // SAFETY: the header's contract for callbacks; what they are given lives through the call.
            show(outcome, |status, reply, error| unsafe {
                function(self.owner.user_data, status, reply, error);
            });
        }
    }
}

impl Callback<(String, Result<Text>)> for CCallback<qmp_late_reply_fn> {
    fn call(&self, (command, outcome): (String, Result<Text>)) {
        if let Some(function) = self.function {
            let command = error::c_string(command);
            // SAFETY: as above.
            show(outcome, |status, reply, error| unsafe {
                function(self.owner.user_data, command.as_ptr(), status, reply, error);
            });
        }
    }
}

/// Lends an outcome to C.
fn show(outcome: Result<Text>, to: impl FnOnce(qmp_status, *const c_char, *const qmp_error)) {
    match outcome {
        Ok(reply) => to(QMP_OK, reply.as_ptr(), ptr::null()),
        Err(failure) => {
            let status = failure.status as qmp_status;
            let error = error::into_c(failure);
            to(status, ptr::null(), error);
            // SAFETY: it was made here, and is freed once.
            unsafe { qmp_error_free(error) };
        }
    }
}

pub(super) fn late_reply(
    function: qmp_late_reply_fn,
    user_data: *mut c_void,
    destroy: Option<unsafe extern "C" fn(user_data: *mut c_void)>,
) -> LateReply {
    let owner = Owner { user_data, destroy };
    Arc::new(CCallback { function, owner })
}

/// Sends a command without waiting for its reply. Any number may be under way; each is matched with
/// its own reply.
///
/// It leaves at once if nothing is under way. Else it waits for others, with which it leaves in one write,
/// for the VM works in order and would not look at it yet: until somebody waits for a reply of the client's or
/// one comes, or else for 5 ms or so; in the caller's own loop until qmp_process.
///
/// client: where to. command: its name. arguments_json: a JSON object, or NULL for none. out_of_band: as in qmp_execute_oob_json;
/// such a command leaves at once. request: gets a handle, to be freed with qmp_request_free. error: gets the error; may be NULL.
///
/// Returns QMP_OK; QMP_ERR_DISCONNECTED; QMP_ERR_CLOSED; QMP_ERR_UNSUPPORTED: out-of-band was not
/// negotiated; QMP_ERR_INVALID_ARGUMENT; QMP_ERR_INVALID_HANDLE; QMP_ERR_RESOURCE; QMP_ERR_FORKED.
/// Any thread, callbacks too. Since 0.1.
///
/// # Safety
/// The strings are NUL-terminated or NULL; the other pointers that are not handles may be written,
/// or are NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qmp_submit_json(
    client: *mut qmp_client,
    command: *const c_char,
    arguments_json: *const c_char,
    out_of_band: bool,
    request: *mut *mut qmp_request,
    error: *mut *mut qmp_error,
) -> qmp_status {
    // SAFETY: the caller's promise.
    unsafe {
        gate(error, || {
            let out = Out::new(request, ptr::null_mut(), "request").required()?;
            let client = handle::get(client)?;
            let command = gate::text(command, "command")?;
            let arguments = gate::optional_text(arguments_json, "arguments_json")?;
            let band = match out_of_band {
                true => Band::OutOfBand,
                false => Band::InBand,
            };
            let submitted = client.request(band, command, arguments)?;
            out.give(handle::insert(Arc::new(submitted))?);
            Ok(())
        })
    }
}

/// Waits for a request's outcome, and gives it, once. When the time is over the command stays under
/// way, and can be waited for again; with timeout_ms 0 this polls.
///
/// request: which. timeout_ms: how long to wait, or QMP_FOREVER. cancel: ends the wait, and not the
/// command; may be NULL. reply_json: gets the reply, to be freed with qmp_string_free. error: gets
/// the error; may be NULL.
///
/// Of several threads that wait one gets the outcome. A wait ends when another thread gives the request up or
/// frees it.
///
/// Returns what qmp_execute_json returns; QMP_ERR_TIMEOUT and QMP_ERR_CANCELLED, with outcome_unknown
/// false: it is still under way; QMP_ERR_CANCELLED also after qmp_request_cancel; QMP_ERR_CLOSED also
/// when the request is freed meanwhile; QMP_ERR_INVALID_ARGUMENT: also if the outcome was given
/// already, or a callback gets it. Any thread. Since 0.1.
///
/// # Safety
/// The pointers that are not handles may be written, or are NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qmp_request_wait(
    request: *mut qmp_request,
    timeout_ms: i64,
    cancel: *mut qmp_cancel,
    reply_json: *mut *mut c_char,
    error: *mut *mut qmp_error,
) -> qmp_status {
    // SAFETY: the caller's promise.
    unsafe {
        gate(error, || {
            let out = Out::new(reply_json, ptr::null_mut(), "reply_json").required()?;
            let request = handle::get(request)?;
            let cancel = handle::get_optional(cancel)?;
            let timeout = gate::timeout(timeout_ms, "timeout_ms")?;
            let reply = match request.take() {
                Some(outcome) => outcome?,
                None => request.wait(&Wait::new(timeout, cancel.as_deref()))?,
            };
            out.give(reply.into_raw());
            Ok(())
        })
    }
}

/// Gives a request up, as far as that can be, and says how far.
///
/// One that still waits to leave with others is withdrawn, and the VM never sees it.
///
/// request: which. It stays to be freed. outcome: gets QMP_REQUEST_WITHDRAWN, QMP_REQUEST_UNKNOWN or
/// QMP_REQUEST_TOO_LATE. error: gets the error; may be NULL. A command that is out in part ends the
/// connection, since the next would be read as its rest.
///
/// Returns QMP_OK; QMP_ERR_CANCELLED: it was already; QMP_ERR_INVALID_ARGUMENT: also if its outcome
/// was given already, or a callback gets it; QMP_ERR_INVALID_HANDLE; QMP_ERR_FORKED. Any thread,
/// callbacks too. Since 0.1.
///
/// # Safety
/// The pointers that are not handles may be written, or are NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qmp_request_cancel(
    request: *mut qmp_request,
    outcome: *mut i32,
    error: *mut *mut qmp_error,
) -> qmp_status {
    // SAFETY: the caller's promise.
    unsafe {
        gate(error, || {
            let out = Out::new(outcome, 0, "outcome").required()?;
            out.give(handle::get(request)?.cancel()? as i32);
            Ok(())
        })
    }
}

/// Has a function called with a request's outcome, exactly once; also if it has come already. The
/// handle may be freed at once: the callback comes all the same. When the client is closed it is
/// called with QMP_ERR_CLOSED; with QMP_ON_DISPATCH by qmp_close itself, or, if the client is closed
/// already, by this function.
///
/// request: which. place: QMP_ON_LIBRARY_THREAD, or QMP_ON_DISPATCH with the request's client.
/// function: what is called. user_data: given to it; may be NULL. destroy: called with user_data
/// exactly once, when the function will not be called any more, also if this fails; may be NULL.
/// error: gets the error; may be NULL.
///
/// Returns QMP_OK; QMP_ERR_INVALID_ARGUMENT: also if the outcome was given already or has a callback,
/// or the request is in a batch; QMP_ERR_CANCELLED; QMP_ERR_INVALID_HANDLE; QMP_ERR_RESOURCE; QMP_ERR_FORKED. Any thread, callbacks
/// too. Since 0.1.
///
/// # Safety
/// The functions may be called with user_data from any thread; error may be written, or is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qmp_request_set_callback(
    request: *mut qmp_request,
    place: i32,
    function: qmp_reply_fn,
    user_data: *mut c_void,
    destroy: Option<unsafe extern "C" fn(user_data: *mut c_void)>,
    error: *mut *mut qmp_error,
) -> qmp_status {
    let owner = Owner { user_data, destroy };
    // SAFETY: the caller's promise.
    unsafe {
        gate(error, || {
            let callback = CCallback { function, owner };
            let request = handle::get(request)?;
            let place = place_of(place)?;
            if function.is_none() {
                return Err(Error::invalid("function is NULL"));
            }
            request.attach(place, Arc::new(callback))
        })
    }
}

/// Frees a request. A command that is still under way goes its way, and its reply is a late one, unless a
/// callback waits for it; to have it withdrawn if that can be, call qmp_request_cancel before. NULL and a stale
/// handle do nothing.
///
/// Any thread, callbacks too. Since 0.1.
#[unsafe(no_mangle)]
pub extern "C" fn qmp_request_free(request: *mut qmp_request) {
    gate::quietly(|| handle::remove(request).map(|request| request.free()));
}
