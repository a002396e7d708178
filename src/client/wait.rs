// SPDX-License-Identifier: MIT OR Apache-2.0
//! How long a call may take, and what may end it early. Monotonic time only.

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::Duration;

use super::cancel::{Cancel, Sleeper, Watch};
use crate::sys::futex::SleepWord;
use crate::sys::poll::{self, Direction};
use crate::sys::sync::Instant;

/// A point in time, or never.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    at: Option<Instant>,
    /// What the caller asked for, for messages.
    limit: Option<Duration>,
}

impl Deadline {
    /// None: never. So is what lies too far ahead for the clock.
    pub fn after(limit: Option<Duration>) -> Deadline {
        let at = limit.and_then(|limit| Instant::now().checked_add(limit));
        Deadline { at, limit }
    }

    /// None: for ever.
    pub fn remaining(&self) -> Option<Duration> {
        self.at
            .map(|at| at.saturating_duration_since(Instant::now()))
    }

    pub fn passed(&self) -> bool {
        self.remaining() == Some(Duration::ZERO)
    }

    /// The caller's limit in words.
    pub fn words(&self) -> String {
        match self.limit {
            Some(limit) => format!("{} ms", limit.as_millis()),
            None => "no limit".to_owned(),
        }
    }
}

/// Why a wait ended without what it waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    Timeout,
    Cancelled,
    Closed,
    /// A system call of the waiting itself failed, with this errno.
    Failed(i32),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Stop {
        Stop::Failed(error.raw_os_error().unwrap_or(libc::EIO))
    }
}

/// What bounds one call.
#[derive(Clone, Copy)]
pub struct Wait<'a> {
    pub deadline: Deadline,
    pub cancel: Option<&'a Cancel>,
    /// Commands are for this session of the connection alone; else for any that comes.
    pub(super) session: Option<u64>,
    /// Readable when there may be a reason to look again.
    interrupt: Option<BorrowedFd<'a>>,
}

impl<'a> Wait<'a> {
    pub fn new(timeout: Option<Duration>, cancel: Option<&'a Cancel>) -> Wait<'a> {
        Wait {
            deadline: Deadline::after(timeout),
            cancel,
            session: None,
            interrupt: None,
        }
    }

    /// The same, for what belongs together: it goes to this session or nowhere.
    pub(super) fn within(&self, session: u64) -> Wait<'a> {
        Wait {
            session: Some(session),
            ..*self
        }
    }

    /// The same, but it looks again when this is readable.
    pub fn until(&self, interrupt: BorrowedFd<'a>) -> Wait<'a> {
        Wait {
            interrupt: Some(interrupt),
            ..*self
        }
    }

    /// Nothing but time, and what is waited for, ends the wait.
    pub fn is_plain(&self) -> bool {
        self.cancel.is_none() && self.interrupt.is_none()
    }

    /// The same, but until the nearer of its own deadline and `timeout` from now.
    pub fn at_most(&self, timeout: Duration) -> Wait<'a> {
        match self.deadline.remaining() {
            Some(remaining) if remaining <= timeout => *self,
            _ => Wait {
                deadline: Deadline::after(Some(timeout)),
                ..*self
            },
        }
    }

    /// The end of the call, if it is due.
    pub fn stop(&self) -> Option<Stop> {
        if self.is_cancelled() {
            Some(Stop::Cancelled)
        } else if self.deadline.passed() {
            Some(Stop::Timeout)
        } else {
            None
        }
    }

    pub fn is_cancelled(&self) -> bool {
        self.cancel.is_some_and(Cancel::is_triggered)
    }

    /// Gets what waiting will need, so that it cannot fail for want of it later.
    pub fn prepare(&self) -> io::Result<()> {
        match self.cancel {
            Some(cancel) => cancel.descriptor().map(drop),
            None => Ok(()),
        }
    }

    /// Waits for a descriptor. False: the call is due to end, or a signal came; ask [`Wait::stop`].
    pub fn ready(&self, fd: BorrowedFd<'_>, direction: Direction) -> io::Result<bool> {
        let wakes = [
            self.cancel.map(Cancel::descriptor).transpose()?,
            self.interrupt,
        ];
        poll::wait(fd, direction, wakes, self.deadline.remaining())
    }

    /// Has the token, if there is one, wake a sleeper.
    pub fn watch(&self, word: &Arc<SleepWord>, marks: u32) -> Option<Watch<'a>> {
        self.cancel.map(|cancel| {
            let word = word.clone();
            cancel.watch(Sleeper { word, marks })
        })
    }

    /// Lets the time pass, less of it if the call is due to end.
    pub fn sleep(&self, time: Duration) {
        let until = Deadline::after(Some(time));
        let word = Arc::new(SleepWord::default());
        let _watch = self.watch(&word, 1);
        loop {
            let looked = word.look();
            if self.stop().is_some() || until.passed() {
                return;
            }
            let times = [until.remaining(), self.deadline.remaining()];
            word.sleep(looked, 1, times.into_iter().flatten().min());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_beyond_the_clock_is_never() {
        let deadline = Deadline::after(Some(Duration::MAX));
        assert_eq!(deadline.remaining(), None);
        assert!(!deadline.passed());
        assert!(Deadline::after(Some(Duration::ZERO)).passed());
    }

    #[test]
    fn the_nearer_deadline_counts() {
        let wait = Wait::new(Some(Duration::from_secs(100)), None);
        let near = wait.at_most(Duration::from_secs(1)).deadline.remaining();
        assert!(near.is_some_and(|left| left <= Duration::from_secs(1)));
        let far = wait.at_most(Duration::from_secs(1000)).deadline.remaining();
        assert!(far.is_some_and(|left| left <= Duration::from_secs(100)));
    }

    #[test]
    fn a_cancelled_sleep_ends() {
        let cancel = Cancel::new();
        cancel.trigger();
        let wait = Wait::new(None, Some(&cancel));
        wait.sleep(Duration::from_secs(3600));
        assert_eq!(wait.stop(), Some(Stop::Cancelled));
    }
}
