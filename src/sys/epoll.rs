// SPDX-License-Identifier: MIT OR Apache-2.0
//! epoll, always one-shot: a descriptor that fired is silent, also about its end, until it is
//! armed again. So a connection that a caller reads itself costs no system call here.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::Duration;

use super::check;

pub struct Epoll(pub(super) OwnedFd);

/// What to wait for. The end of both directions is always reported too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interest {
    pub read: bool,
    pub write: bool,
    /// The end of what the peer sends, with all before it unread.
    pub end: bool,
}

impl Epoll {
    pub fn new() -> io::Result<Epoll> {
        // SAFETY: no pointers; the result is checked and owned by nobody else.
        let fd = check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        // SAFETY: a fresh descriptor that only this value owns.
        Ok(Epoll(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    pub fn add(&self, fd: BorrowedFd<'_>, token: u64, interest: Interest) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_ADD, fd, token, interest)
    }

    pub fn arm(&self, fd: BorrowedFd<'_>, token: u64, interest: Interest) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_MOD, fd, token, interest)
    }

    pub fn remove(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        let none = Interest {
            read: false,
            write: false,
            end: false,
        };
        self.control(libc::EPOLL_CTL_DEL, fd, 0, none)
    }

    fn control(
        &self,
        operation: libc::c_int,
        fd: BorrowedFd<'_>,
        token: u64,
        interest: Interest,
    ) -> io::Result<()> {
        let mut events = libc::EPOLLONESHOT as u32;
        if interest.read {
            events |= libc::EPOLLIN as u32;
        }
        if interest.write {
            events |= libc::EPOLLOUT as u32;
        }
        if interest.end {
            events |= libc::EPOLLRDHUP as u32;
        }
        let mut event = libc::epoll_event { events, u64: token };
        // SAFETY: `event` lives through the call; both descriptors are borrowed and so open.
        let result = unsafe {
            libc::epoll_ctl(
                self.0.as_raw_fd(),
                operation,
                fd.as_raw_fd(),
                &raw mut event,
            )
        };
        check(result).map(drop)
    }

    /// Tokens of what fired, appended to `fired`. An interrupting signal gives none.
    pub fn wait(&self, fired: &mut Vec<u64>, timeout: Option<Duration>) -> io::Result<()> {
        const BATCH: usize = 64;
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; BATCH];
        let millis = timeout.map_or(-1, |t| t.as_millis().min(i32::MAX as u128) as libc::c_int);
        // SAFETY: `events` has room for BATCH entries and lives through the call.
        let result = unsafe {
            libc::epoll_wait(
                self.0.as_raw_fd(),
                events.as_mut_ptr(),
                BATCH as libc::c_int,
                millis,
            )
        };
        match check(result) {
            Ok(n) => {
                fired.extend(events.iter().take(n as usize).map(|e| e.u64));
                Ok(())
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => Ok(()),
            Err(e) => Err(e),
        }
    }
}

/// Readable while one of those in it is ready.
impl AsFd for Epoll {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
