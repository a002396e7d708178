// SPDX-License-Identifier: MIT OR Apache-2.0
//! The one gate between C and Rust: panics, errors, pointers and texts become each other's here.

use std::ffi::{CStr, c_char};
use std::panic::{self, AssertUnwindSafe};
use std::ptr::{self, NonNull};
use std::time::Duration;

use super::error::{self, qmp_error};
use super::status::{QMP_DEFAULT_TIMEOUT, QMP_FOREVER, QMP_OK, qmp_status};
use crate::client::timeouts::Timeouts;
use crate::error::{Error, Result, Status};

/// Runs the body of an exported function.
///
/// # Safety
/// `error` is NULL or may be written.
pub unsafe fn gate(error: *mut *mut qmp_error, body: impl FnOnce() -> Result<()>) -> qmp_status {
    if !error.is_null() {
        // SAFETY: the caller's promise.
        unsafe { error.write(ptr::null_mut()) };
    }
    match guard(body) {
        Ok(()) => QMP_OK,
        // SAFETY: the caller's promise.
        Err(failure) => unsafe { tell(error, failure) },
    }
}

/// # Safety
/// As for [`gate`].
#[cold]
#[inline(never)]
unsafe fn tell(error: *mut *mut qmp_error, failure: Error) -> qmp_status {
    let status = failure.status as qmp_status;
    if !error.is_null() {
        // SAFETY: the caller's promise.
        unsafe { error.write(error::into_c(failure)) };
    }
    status
}

/// For functions that cannot tell of a failure.
pub fn quietly(body: impl FnOnce() -> Result<()>) {
    let _ = guard(body);
}

/// For functions that give a handle or NULL.
pub fn or_null<T>(body: impl FnOnce() -> Result<*mut T>) -> *mut T {
    let mut made = ptr::null_mut();
    quietly(|| {
        made = body()?;
        Ok(())
    });
    made
}

fn guard(body: impl FnOnce() -> Result<()>) -> Result<()> {
    panic::catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|_| Err(a_bug()))
}

#[cold]
#[inline(never)]
fn a_bug() -> Error {
    Error::new(
        Status::Internal,
        "a bug in libqmp, please report it: a panic was caught",
    )
}

/// Where an output goes. It holds nothing until something is given to it.
pub struct Out<T>(Option<NonNull<T>>, &'static str);

impl<T> Out<T> {
    /// Clears the output at once, so that every failure leaves it so.
    ///
    /// # Safety
    /// `pointer` is NULL or may be written as long as the value lives.
    pub unsafe fn new(pointer: *mut T, nothing: T, name: &'static str) -> Out<T> {
        let place = NonNull::new(pointer);
        if let Some(place) = place {
            // SAFETY: the caller's promise.
            unsafe { place.write(nothing) };
        }
        Out(place, name)
    }

    /// Refuses a NULL.
    pub fn required(self) -> Result<Out<T>> {
        match self.0 {
            Some(_) => Ok(self),
            None => Err(Error::invalid(format!("{} is NULL", self.1))),
        }
    }

    pub fn give(&self, value: T) {
        if let Some(place) = self.0 {
            // SAFETY: the promise made to `new`.
            unsafe { place.write(value) };
        }
    }
}

/// # Safety
/// `text` is NULL or a NUL-terminated string that nobody changes while the result is used.
pub unsafe fn bytes<'a>(text: *const c_char, name: &str) -> Result<&'a [u8]> {
    // SAFETY: the caller's promise.
    let bytes = unsafe { optional_bytes(text) };
    bytes.ok_or_else(|| Error::invalid(format!("{name} is NULL")))
}

/// # Safety
/// As for [`bytes`].
pub unsafe fn optional_bytes<'a>(text: *const c_char) -> Option<&'a [u8]> {
    // SAFETY: the caller's promise, and it is not NULL.
    (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) }.to_bytes())
}

/// # Safety
/// As for [`bytes`].
pub unsafe fn text<'a>(text: *const c_char, name: &str) -> Result<&'a str> {
    // SAFETY: the caller's promise.
    let bytes = unsafe { bytes(text, name) }?;
    std::str::from_utf8(bytes).map_err(|e| {
        Error::invalid(format!(
            "{name} is not UTF-8, from byte {} on",
            e.valid_up_to()
        ))
    })
}

/// Like [`text`], for one that may be NULL.
///
/// # Safety
/// As for [`bytes`].
pub unsafe fn optional_text<'a>(given: *const c_char, name: &str) -> Result<Option<&'a str>> {
    if given.is_null() {
        return Ok(None);
    }
    // SAFETY: the caller's promise.
    unsafe { text(given, name) }.map(Some)
}

/// As [`timeout`], for a command: `QMP_DEFAULT_TIMEOUT` is what the table has for it.
pub fn limit(milliseconds: i64, command: &str, table: &Timeouts) -> Result<Option<Duration>> {
    if milliseconds == QMP_DEFAULT_TIMEOUT {
        return Ok(table.of(command));
    }
    timeout(milliseconds, "timeout_ms")
}

/// Milliseconds to a time, or `QMP_FOREVER` to none.
pub fn timeout(milliseconds: i64, name: &str) -> Result<Option<Duration>> {
    match u64::try_from(milliseconds) {
        Ok(milliseconds) => Ok(Some(Duration::from_millis(milliseconds))),
        Err(_) if milliseconds == QMP_FOREVER => Ok(None),
        Err(_) => Err(Error::invalid(format!(
            "{name} is {milliseconds}: want milliseconds, or -1 for ever"
        ))),
    }
}
