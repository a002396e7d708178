// SPDX-License-Identifier: MIT OR Apache-2.0
//! Two connected ends within this process, for tests.

use std::io;
use std::os::unix::net::UnixStream;

use super::Socket;

/// A transport and the server's end of it.
pub fn pair() -> io::Result<(Socket, UnixStream)> {
    let (ours, theirs) = UnixStream::pair()?;
    Ok((Socket::connected(ours.into())?, theirs))
}
