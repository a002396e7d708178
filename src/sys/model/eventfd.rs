// SPDX-License-Identifier: MIT OR Apache-2.0

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use super::{check, model};

#[path = "../eventfd.rs"]
mod real;

#[derive(Debug)]
pub struct EventFd(real::EventFd);

impl EventFd {
    pub fn new() -> io::Result<EventFd> {
        real::EventFd::new().map(EventFd)
    }

    pub fn set(&self) {
        model::call(|| self.0.set());
    }

    pub fn clear(&self) {
        model::call(|| self.0.clear());
    }
}

impl AsFd for EventFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
