// SPDX-License-Identifier: MIT OR Apache-2.0
//! A token that ends every call that was given it. It stays triggered.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};

use super::lock::Lock;
use crate::sys::eventfd::EventFd;
use crate::sys::futex::SleepWord;
use crate::sys::sync::AtomicBool;

pub struct Cancel {
    triggered: AtomicBool,
    /// Made when first polled.
    descriptor: OnceLock<EventFd>,
    /// Calls that use the token now. Also the lock under which it is triggered and its
    /// descriptor made, so that neither misses the other.
    watchers: Lock<Vec<Sleeper>>,
}

/// Where a call sleeps, and under which marks.
#[derive(Clone)]
pub struct Sleeper {
    pub word: Arc<SleepWord>,
    pub marks: u32,
}

impl Default for Cancel {
    fn default() -> Self {
        Cancel::new()
    }
}

impl Cancel {
    pub fn new() -> Cancel {
        Cancel {
            triggered: AtomicBool::new(false),
            descriptor: OnceLock::new(),
            watchers: Lock::new(Vec::new()),
        }
    }

    pub fn trigger(&self) {
        let watchers = self.watchers.lock();
        self.triggered.store(true, Ordering::Release);
        if let Some(descriptor) = self.descriptor.get() {
            descriptor.set();
        }
        for sleeper in watchers.iter() {
            sleeper.word.wake(sleeper.marks);
        }
    }

    pub fn is_triggered(&self) -> bool {
        self.triggered.load(Ordering::Acquire)
    }

    /// Readable once the token is triggered.
    pub fn descriptor(&self) -> io::Result<BorrowedFd<'_>> {
        if let Some(made) = self.descriptor.get() {
            return Ok(made.as_fd());
        }
        let _watchers = self.watchers.lock();
        if self.descriptor.get().is_none() {
            let fresh = EventFd::new()?;
            if self.is_triggered() {
                fresh.set();
            }
            let _ = self.descriptor.set(fresh);
        }
        match self.descriptor.get() {
            Some(made) => Ok(made.as_fd()),
            None => Err(io::Error::from_raw_os_error(libc::EIO)),
        }
    }

    /// Wakes the sleeper when the token is triggered, as long as the guard lives. To miss nothing,
    /// look at the word before asking whether the token is triggered.
    pub fn watch(&self, sleeper: Sleeper) -> Watch<'_> {
        self.watchers.lock().push(sleeper.clone());
        Watch {
            cancel: self,
            sleeper,
        }
    }
}

pub struct Watch<'a> {
    cancel: &'a Cancel,
    sleeper: Sleeper,
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        let mut watchers = self.cancel.watchers.lock();
        let same = |other: &Sleeper| {
            Arc::ptr_eq(&other.word, &self.sleeper.word) && other.marks == self.sleeper.marks
        };
        // Of equal ones it is all the same which goes.
        if let Some(at) = watchers.iter().position(same) {
            watchers.swap_remove(at);
        }
    }
}
