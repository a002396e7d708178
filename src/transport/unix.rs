// SPDX-License-Identifier: MIT OR Apache-2.0
use std::io;
use std::os::fd::AsFd;

use super::Socket;
use crate::sys::socket::{self, UnixName};

pub fn connect_path(path: &[u8]) -> io::Result<Socket> {
    connect(UnixName::Path(path))
}

pub fn connect_abstract(name: &[u8]) -> io::Result<Socket> {
    connect(UnixName::Abstract(name))
}

/// A unix socket connects at once or says `EAGAIN` when the listener's backlog is full.
fn connect(name: UnixName<'_>) -> io::Result<Socket> {
    let fd = socket::open(libc::AF_UNIX)?;
    socket::connect_unix(fd.as_fd(), name)?;
    Socket::connected(fd)
}
