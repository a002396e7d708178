// SPDX-License-Identifier: MIT OR Apache-2.0
//! A descriptor for the caller's own loop. Made when it is first asked for.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

use crate::error::{Error, Result};
use crate::sys::eventfd::EventFd;

#[derive(Debug, Default)]
pub struct Signal {
    descriptor: Option<EventFd>,
    is_set: bool,
}

impl Signal {
    /// Its owner keeps it. `wanted`: whether it is readable for now.
    pub fn descriptor(&mut self, wanted: bool) -> Result<i32> {
        let made = self.made();
        let made = made.map_err(|e| Error::os("make an event descriptor", &e))?;
        let number = made.as_fd().as_raw_fd();
        self.show(wanted);
        Ok(number)
    }

    /// The descriptor itself, made if need be.
    pub fn made(&mut self) -> io::Result<&EventFd> {
        if self.descriptor.is_none() {
            self.descriptor = Some(EventFd::new()?);
        }
        self.descriptor.as_ref().ok_or(io::ErrorKind::Other.into())
    }

    /// Costs a system call only when something changes, and somebody looks.
    pub fn show(&mut self, wanted: bool) {
        let Some(descriptor) = self.descriptor.as_ref().filter(|_| wanted != self.is_set) else {
            return;
        };
        if wanted {
            descriptor.set();
        } else {
            descriptor.clear();
        }
        self.is_set = wanted;
    }

    #[cfg(test)]
    pub fn copy(&self) -> std::os::fd::OwnedFd {
        let descriptor = self.descriptor.as_ref().unwrap();
        descriptor.as_fd().try_clone_to_owned().unwrap()
    }
}
