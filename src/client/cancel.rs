// SPDX-License-Identifier: MIT OR Apache-2.0
//! A token that ends every call that was given it. It stays triggered.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, Thread, ThreadId};

use super::lock::Lock;
use crate::sys::eventfd::EventFd;

pub struct Cancel {
    triggered: AtomicBool,
    /// Made when first polled.
    descriptor: OnceLock<EventFd>,
    /// Calls that use the token now. Also the lock under which it is triggered and its
    /// descriptor made, so that neither misses the other.
    watchers: Lock<Vec<Thread>>,
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
        for thread in watchers.iter() {
            thread.unpark();
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

    /// Unparks this thread when the token is triggered, as long as the guard lives.
    pub fn watch(&self) -> Watch<'_> {
        let thread = thread::current();
        let id = thread.id();
        self.watchers.lock().push(thread);
        Watch { cancel: self, id }
    }
}

pub struct Watch<'a> {
    cancel: &'a Cancel,
    id: ThreadId,
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        let mut watchers = self.cancel.watchers.lock();
        // A re-entering call of the same thread watches too; which entry goes is all the same.
        if let Some(at) = watchers.iter().position(|thread| thread.id() == self.id) {
            watchers.swap_remove(at);
        }
    }
}
