// SPDX-License-Identifier: MIT OR Apache-2.0
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;

use super::{Attempt, Socket};
use crate::sys::socket;

pub fn connect(to: &SocketAddr) -> io::Result<Attempt> {
    let family = if to.is_ipv4() {
        libc::AF_INET
    } else {
        libc::AF_INET6
    };
    let fd = socket::open(family)?;
    socket::set_no_delay(fd.as_fd())?;
    match socket::connect_tcp(fd.as_fd(), to) {
        Ok(()) => Ok(Attempt::Connected(Socket::new(fd))),
        Err(e) if e.raw_os_error() == Some(libc::EINPROGRESS) => {
            Ok(Attempt::InProgress(Socket::new(fd)))
        }
        Err(e) => Err(e),
    }
}
