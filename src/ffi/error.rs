// SPDX-License-Identifier: MIT OR Apache-2.0
//! Errors, and freeing what the library hands out.
#![allow(non_camel_case_types)]

use std::ffi::{CString, c_char};
use std::ptr;

use super::gate;
use super::status::qmp_status;
use crate::error::Error;
use crate::sys::text::Text;

/// What a failed call tells. Read-only; free it with qmp_error_free. Later versions may add members
/// at the end. Since 0.1.
#[repr(C)]
pub struct qmp_error {
    /// The same code that the call returned.
    pub status: qmp_status,
    /// The errno of the system call that failed, or 0.
    pub os_errno: i32,
    /// The command may have been executed: it was sent and no answer came. Look at the VM's state
    /// before sending it again.
    pub outcome_unknown: bool,
    /// What was attempted, where, with which limit, and what to do next, for a person to read.
    /// Never NULL. Holds no arguments of commands.
    pub message: *const c_char,
    /// The command's name, or NULL if no command is concerned.
    pub command: *const c_char,
    /// With QMP_ERR_COMMAND: the error class as the VM sent it ("CommandNotFound", "GenericError",
    /// …), empty if it sent none. Else NULL. Here and in the description a NUL stands as \u0000,
    /// and text with half a surrogate pair as it was sent, in quotes.
    pub error_class: *const c_char,
    /// With QMP_ERR_COMMAND: the VM's description. Else NULL.
    pub description: *const c_char,
}

/// A `qmp_error` and the texts that it points to.
#[repr(C)]
struct ErrorBlock {
    public: qmp_error,
    texts: [Option<CString>; 4],
}

pub fn into_c(error: Error) -> *mut qmp_error {
    let (class, description) = match error.answer {
        Some(answer) => (Some(answer.class), Some(answer.description)),
        None => (None, None),
    };
    let texts = [
        Some(c_string(error.message)),
        error.command.map(|name| c_string(name.into_string())),
        class.map(c_string),
        description.map(c_string),
    ];
    let public = qmp_error {
        status: error.status as qmp_status,
        os_errno: error.os_errno,
        outcome_unknown: error.outcome_unknown,
        message: ptr::null(),
        command: ptr::null(),
        error_class: ptr::null(),
        description: ptr::null(),
    };
    let mut block = Box::new(ErrorBlock { public, texts });
    // The texts have come to rest: now they can be pointed to.
    let [message, command, error_class, description] = block
        .texts
        .each_ref()
        .map(|text| text.as_ref().map_or(ptr::null(), |text| text.as_ptr()));
    block.public.message = message;
    block.public.command = command;
    block.public.error_class = error_class;
    block.public.description = description;
    // The block begins with its public part, so a pointer to one is a pointer to the other.
    Box::into_raw(block).cast()
}

/// Texts of a VM may hold anything; a C string must not end early.
pub fn c_string(text: String) -> CString {
    CString::new(text).unwrap_or_else(|bad| {
        let bytes: Vec<u8> = bad.into_vec();
        let shown = String::from_utf8_lossy(&bytes).replace('\0', "\\0");
        CString::new(shown).unwrap_or_default()
    })
}

/// Frees a string that a function of this library gave to the caller. NULL does nothing.
///
/// Any thread. Since 0.1.
///
/// # Safety
/// The string came from this library and has not been freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qmp_string_free(string: *mut c_char) {
    // SAFETY: the caller's promise.
    unsafe { Text::free(string) };
}

/// Frees an error. NULL does nothing.
///
/// Any thread. Since 0.1.
///
/// # Safety
/// The error came from this library and has not been freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qmp_error_free(error: *mut qmp_error) {
    if error.is_null() {
        return;
    }
    gate::quietly(|| {
        // SAFETY: the caller's promise; every error is the head of an ErrorBlock from `into_c`.
        drop(unsafe { Box::from_raw(error.cast::<ErrorBlock>()) });
        Ok(())
    });
}
