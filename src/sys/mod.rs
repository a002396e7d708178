// SPDX-License-Identifier: MIT OR Apache-2.0
//! The operating system: every system call of the library, and with `ffi` the only `unsafe`.
//! What is Linux-only stays here.
#![allow(unsafe_code)]

pub mod environment;
// Where `model` is set, the checker stands in for what makes threads wait: see `model`.
#[cfg_attr(all(test, model), path = "model/epoll.rs")]
pub mod epoll;
#[cfg_attr(all(test, model), path = "model/eventfd.rs")]
pub mod eventfd;
#[cfg_attr(all(test, model), path = "model/fork.rs")]
pub mod fork;
#[cfg_attr(all(test, model), path = "model/futex.rs")]
pub mod futex;
#[cfg(all(test, model))]
pub mod model;
pub mod peer;
#[cfg_attr(all(test, model), path = "model/poll.rs")]
pub mod poll;
#[cfg_attr(all(test, model), path = "model/socket.rs")]
pub mod socket;
#[cfg_attr(all(test, model), path = "model/sync.rs")]
pub mod sync;
pub mod text;
#[cfg_attr(all(test, model), path = "model/thread.rs")]
pub mod thread;
pub mod timerfd;

use std::io;

/// The result of a system call that answers -1 and sets errno.
fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}
