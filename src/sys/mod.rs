// SPDX-License-Identifier: MIT OR Apache-2.0
//! The operating system: every system call of the library, and with `ffi` the only `unsafe`.
//! What is Linux-only stays here.
#![allow(unsafe_code)]

pub mod environment;
pub mod epoll;
pub mod eventfd;
pub mod fork;
pub mod futex;
pub mod peer;
pub mod poll;
pub mod socket;
pub mod text;
pub mod thread;

use std::io;

/// The result of a system call that answers -1 and sets errno.
fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}
