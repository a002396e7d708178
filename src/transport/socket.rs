// SPDX-License-Identifier: MIT OR Apache-2.0
//! The transport over any stream socket.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::Transport;
use crate::sys;
use crate::sys::peer::Credentials;

pub struct Socket(OwnedFd);

impl Socket {
    pub(super) fn new(fd: OwnedFd) -> Socket {
        Socket(fd)
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Transport for Socket {
    fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        sys::socket::send(self.as_fd(), bytes)
    }

    fn receive(&self, into: &mut Vec<u8>) -> io::Result<usize> {
        sys::socket::receive(self.as_fd(), into)
    }

    fn shutdown(&self) {
        sys::socket::shutdown(self.as_fd());
    }

    fn peer(&self) -> Option<Credentials> {
        // TCP sockets answer with pid 0.
        sys::peer::credentials(self.as_fd())
            .ok()
            .filter(|found| found.pid > 0)
    }
}
