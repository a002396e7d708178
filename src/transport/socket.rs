// SPDX-License-Identifier: MIT OR Apache-2.0
//! The transport over any stream socket.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::{RECEIVE_WAIT, Transport};
use crate::sys::peer::{self, Credentials};
use crate::sys::socket;

/// A connected stream socket.
pub struct Socket(OwnedFd);

impl Socket {
    /// One that others may have a copy of: it must not be asked to wait.
    pub(super) fn shared(fd: OwnedFd) -> Socket {
        Socket(fd)
    }

    /// One that a [`super::Listener`] has accepted.
    pub fn accepted(fd: OwnedFd) -> io::Result<Socket> {
        Socket::connected(fd)
    }

    pub(super) fn connected(fd: OwnedFd) -> io::Result<Socket> {
        socket::set_receive_wait(fd.as_fd(), RECEIVE_WAIT)?;
        Ok(Socket(fd))
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Transport for Socket {
    fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        socket::send(self.as_fd(), bytes)
    }

    fn send_with(&self, bytes: &[u8], descriptor: BorrowedFd<'_>) -> io::Result<usize> {
        socket::send_with(self.as_fd(), bytes, descriptor)
    }

    fn passes_descriptors(&self) -> bool {
        socket::is_unix(self.as_fd())
    }

    fn receive(&self, into: &mut Vec<u8>, waits: bool) -> io::Result<usize> {
        socket::receive(self.as_fd(), into, waits)
    }

    fn shutdown(&self) {
        socket::shutdown(self.as_fd());
    }

    fn peer(&self) -> Option<Credentials> {
        // TCP sockets answer with pid 0.
        peer::credentials(self.as_fd())
            .ok()
            .filter(|found| found.pid > 0)
    }
}
