// SPDX-License-Identifier: MIT OR Apache-2.0
//! Waiting for descriptors.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;
use std::time::Duration;

use super::check;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    Read,
    Write,
    Both,
}

/// Waits until the first descriptor is ready, or one of the others is readable, or the time is
/// over. True: the first is ready, or has ended. A signal ends the wait early: callers look at
/// their own deadline and come back.
pub fn wait(
    fd: BorrowedFd<'_>,
    direction: Direction,
    wakes: [Option<BorrowedFd<'_>>; 2],
    timeout: Option<Duration>,
) -> io::Result<bool> {
    let entry = |fd: i32, events| libc::pollfd {
        fd,
        events,
        revents: 0,
    };
    let events = match direction {
        Direction::Read => libc::POLLIN,
        Direction::Write => libc::POLLOUT,
        Direction::Both => libc::POLLIN | libc::POLLOUT,
    };
    // A negative number is passed over.
    let [one, other] = wakes.map(|wake| entry(wake.map_or(-1, |fd| fd.as_raw_fd()), libc::POLLIN));
    let mut fds = [entry(fd.as_raw_fd(), events), one, other];
    let limit = timeout.map(|t| libc::timespec {
        tv_sec: t.as_secs().min(i32::MAX as u64) as libc::time_t,
        tv_nsec: libc::c_long::from(t.subsec_nanos()),
    });
    // SAFETY: `fds` has as many entries as are said, `limit` is null or lives through the call, and
    // the signal mask is left alone.
    let result = unsafe {
        libc::ppoll(
            fds.as_mut_ptr(),
            fds.len() as libc::nfds_t,
            limit.as_ref().map_or(ptr::null(), ptr::from_ref),
            ptr::null(),
        )
    };
    match check(result) {
        Ok(_) => Ok(fds[0].revents != 0),
        Err(e) if e.kind() == io::ErrorKind::Interrupted => Ok(false),
        Err(e) => Err(e),
    }
}
