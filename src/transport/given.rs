// SPDX-License-Identifier: MIT OR Apache-2.0
use std::io;

use super::Socket;
use crate::sys::socket;

/// Takes over a connected descriptor that the caller gives away.
pub fn adopt(fd: i32) -> io::Result<Socket> {
    Socket::connected(socket::adopt(fd)?)
}
