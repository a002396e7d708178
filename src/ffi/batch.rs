// SPDX-License-Identifier: MIT OR Apache-2.0
//! Batches: many requests waited for together.
#![allow(non_camel_case_types)]

use std::ptr;
use std::sync::Arc;

use super::cancel::qmp_cancel;
use super::error::qmp_error;
use super::gate::{self, Out, gate};
use super::handle::{self, handle};
use super::request::qmp_request;
use super::status::qmp_status;
use crate::client::Wait;
use crate::client::batch::Batch;

/// A handle to requests that are waited for together, of one client or of several. Any thread.
/// Since 0.1.
pub struct qmp_batch {
    _private: [u8; 0],
}
handle!(qmp_batch, Batch, Batch);

/// Makes an empty batch.
///
/// Returns a handle to be freed with qmp_batch_free, or NULL when memory or handles are short.
/// Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub extern "C" fn qmp_batch_new() -> *mut qmp_batch {
    gate::or_null(|| handle::insert(Arc::new(Batch::default())))
}

/// Frees a batch. The requests in it go on; calls that wait for it return QMP_ERR_CLOSED. NULL and a stale handle do nothing.
///
/// Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub extern "C" fn qmp_batch_free(batch: *mut qmp_batch) {
    gate::quietly(|| handle::remove(batch).map(|batch| batch.close()));
}

/// Puts a request into a batch. Its handle stays the caller's. It leaves the batch when qmp_batch_next
/// gives it, when it is cancelled or freed, or when its outcome is taken.
///
/// batch: where to. request: which, put into one batch, once. error: gets the error; may be NULL.
///
/// Returns QMP_OK; QMP_ERR_INVALID_ARGUMENT: also if the request's outcome was given already or has a
/// callback, or it was put into a batch; QMP_ERR_CANCELLED; QMP_ERR_INVALID_HANDLE; QMP_ERR_FORKED. Any thread, callbacks too.
/// Since 0.1.
///
/// # Safety
/// error may be written, or is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qmp_batch_add(
    batch: *mut qmp_batch,
    request: *mut qmp_request,
    error: *mut *mut qmp_error,
) -> qmp_status {
    // SAFETY: the caller's promise.
    unsafe {
        gate(error, || {
            let under_way = handle::get(request)?;
            handle::get(batch)?.add(&under_way, request.addr() as u64)
        })
    }
}

/// Gives the next request of a batch whose outcome has come. It leaves the batch; qmp_request_wait
/// gives its outcome at once.
///
/// batch: which. timeout_ms: how long to wait for one, or QMP_FOREVER. cancel: ends the wait; may be
/// NULL. request: gets the request's own handle, which is freed once as ever. error: gets the error;
/// may be NULL.
///
/// Returns QMP_OK; QMP_ERR_TIMEOUT; QMP_ERR_CANCELLED; QMP_ERR_NOT_FOUND: there is no request in it;
/// QMP_ERR_CLOSED: it is freed meanwhile; QMP_ERR_INVALID_ARGUMENT; QMP_ERR_INVALID_HANDLE; QMP_ERR_FORKED. Any thread. Since 0.1.
///
/// # Safety
/// The pointers that are not handles may be written, or are NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qmp_batch_next(
    batch: *mut qmp_batch,
    timeout_ms: i64,
    cancel: *mut qmp_cancel,
    request: *mut *mut qmp_request,
    error: *mut *mut qmp_error,
) -> qmp_status {
    // SAFETY: the caller's promise.
    unsafe {
        gate(error, || {
            let out = Out::new(request, ptr::null_mut(), "request").required()?;
            let batch = handle::get(batch)?;
            let cancel = handle::get_optional(cancel)?;
            let timeout = gate::timeout(timeout_ms, "timeout_ms")?;
            let number = batch.next(&Wait::new(timeout, cancel.as_deref()))?;
            out.give(ptr::without_provenance_mut(number as usize));
            Ok(())
        })
    }
}

/// Gives a descriptor that is readable while qmp_batch_next has a request to give.
///
/// Use it as that of qmp_event_fd. It belongs to the batch.
///
/// batch: which. fd: gets the descriptor, 0 on failure. error: gets the error; may be NULL.
///
/// Returns QMP_OK; QMP_ERR_RESOURCE; QMP_ERR_INVALID_ARGUMENT; QMP_ERR_INVALID_HANDLE;
/// QMP_ERR_FORKED. Any thread. Since 0.1.
///
/// # Safety
/// The pointers that are not handles may be written, or are NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qmp_batch_fd(
    batch: *mut qmp_batch,
    fd: *mut i32,
    error: *mut *mut qmp_error,
) -> qmp_status {
    // SAFETY: the caller's promise.
    unsafe {
        gate(error, || {
            let fd = Out::new(fd, 0, "fd").required()?;
            fd.give(handle::get(batch)?.descriptor()?);
            Ok(())
        })
    }
}
