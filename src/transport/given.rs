// SPDX-License-Identifier: MIT OR Apache-2.0
use std::io;

use super::Socket;
use crate::sys::socket;

/// Takes over a connected descriptor that the caller gives away. Others may share it, so its mode is
/// left alone.
pub fn adopt(fd: i32) -> io::Result<Socket> {
    socket::adopt(fd).map(Socket::shared)
}
