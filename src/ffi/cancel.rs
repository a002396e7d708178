// SPDX-License-Identifier: MIT OR Apache-2.0
//! Cancelling calls.
#![allow(non_camel_case_types)]

use std::sync::Arc;

use super::gate::{self, gate};
use super::handle::{self, handle};
use super::status::qmp_status;
use crate::client::Cancel;

/// A handle to a token that ends calls from outside. Any thread. Since 0.1.
pub struct qmp_cancel {
    _private: [u8; 0],
}
handle!(qmp_cancel, Cancel, Cancel);

/// Makes a token. It can be given to any number of calls, on any number of clients.
///
/// Returns a handle to be freed with qmp_cancel_free, or NULL when memory or handles are short.
/// Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub extern "C" fn qmp_cancel_new() -> *mut qmp_cancel {
    gate::or_null(|| handle::insert(Arc::new(Cancel::new())))
}

/// Triggers a token: every call that uses it ends with QMP_ERR_CANCELLED, now and later. A token
/// stays triggered; for another call make another.
///
/// Returns QMP_OK, also if it was triggered already; QMP_ERR_INVALID_ARGUMENT for NULL;
/// QMP_ERR_INVALID_HANDLE; QMP_ERR_FORKED. Any thread, callbacks too; not a signal handler.
/// Since 0.1.
#[unsafe(no_mangle)]
pub extern "C" fn qmp_cancel_trigger(cancel: *mut qmp_cancel) -> qmp_status {
    // SAFETY: NULL is allowed.
    unsafe {
        gate(std::ptr::null_mut(), || {
            handle::get(cancel)?.trigger();
            Ok(())
        })
    }
}

/// Frees a token without triggering it. Calls that use it go on. NULL and a stale handle do
/// nothing.
///
/// Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub extern "C" fn qmp_cancel_free(cancel: *mut qmp_cancel) {
    gate::quietly(|| handle::remove(cancel).map(drop));
}
