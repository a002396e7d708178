// SPDX-License-Identifier: MIT OR Apache-2.0
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::{Attempt, Socket};
use crate::sys::socket;

/// A connect that is under way.
pub struct Pending(OwnedFd);

pub fn connect(to: &SocketAddr) -> io::Result<Attempt> {
    let family = if to.is_ipv4() {
        libc::AF_INET
    } else {
        libc::AF_INET6
    };
    let fd = socket::open(family)?;
    socket::set_no_delay(fd.as_fd())?;
    match socket::connect_tcp(fd.as_fd(), to) {
        Ok(()) => Pending(fd).finish().map(Attempt::Connected),
        Err(e) if e.raw_os_error() == Some(libc::EINPROGRESS) => {
            Ok(Attempt::InProgress(Pending(fd)))
        }
        Err(e) => Err(e),
    }
}

impl Pending {
    pub fn finish(self) -> io::Result<Socket> {
        socket::pending_error(self.as_fd())?;
        if socket::is_connected_to_itself(self.as_fd()) {
            return Err(io::Error::from_raw_os_error(libc::ECONNREFUSED));
        }
        Socket::connected(self.0)
    }
}

impl AsFd for Pending {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
