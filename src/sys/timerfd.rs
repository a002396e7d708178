// SPDX-License-Identifier: MIT OR Apache-2.0
//! A descriptor that gets readable when a time is over.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;
use std::time::Duration;

use super::check;

pub struct TimerFd(OwnedFd);

impl TimerFd {
    pub fn new() -> io::Result<TimerFd> {
        let flags = libc::TFD_CLOEXEC | libc::TFD_NONBLOCK;
        // SAFETY: no pointers; the result is checked.
        let fd = check(unsafe { libc::timerfd_create(libc::CLOCK_MONOTONIC, flags) })?;
        // SAFETY: a fresh descriptor that only this value owns.
        Ok(TimerFd(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Readable after this time, and not before. None: not any more.
    pub fn set(&self, after: Option<Duration>) -> io::Result<()> {
        // All zeroes would mean never.
        let after = after.map_or(Duration::ZERO, |time| time.max(Duration::from_nanos(1)));
        let zero = libc::timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        let setting = libc::itimerspec {
            it_interval: zero,
            it_value: libc::timespec {
                tv_sec: after.as_secs().min(i32::MAX as u64) as libc::time_t,
                tv_nsec: libc::c_long::from(after.subsec_nanos()),
            },
        };
        // SAFETY: `setting` lives through the call; the old one is not asked for.
        check(unsafe {
            libc::timerfd_settime(self.0.as_raw_fd(), 0, &raw const setting, ptr::null_mut())
        })
        .map(drop)
    }
}

impl AsFd for TimerFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::poll::{self, Direction};

    #[test]
    fn it_is_readable_once_the_time_is_over() {
        let timer = TimerFd::new().unwrap();
        let ready = |time| poll::wait(timer.as_fd(), Direction::Read, [None, None], time).unwrap();
        assert!(!ready(Some(Duration::ZERO)));
        timer.set(Some(Duration::from_millis(1))).unwrap();
        assert!(ready(None));
        timer.set(None).unwrap();
        assert!(!ready(Some(Duration::ZERO)));
    }
}
