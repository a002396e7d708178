// SPDX-License-Identifier: MIT OR Apache-2.0

use std::io;
use std::os::fd::BorrowedFd;
use std::time::Duration;

pub use real::*;

use super::{check, model};

#[path = "../poll.rs"]
mod real;

pub fn wait(
    fd: BorrowedFd<'_>,
    direction: Direction,
    wake: Option<BorrowedFd<'_>>,
    timeout: Option<Duration>,
) -> io::Result<bool> {
    let look = || real::wait(fd, direction, wake, Some(Duration::ZERO));
    let ready = model::call(look)?;
    if ready || timeout == Some(Duration::ZERO) {
        return Ok(ready);
    }
    let events = match direction {
        Direction::Read => libc::POLLIN,
        Direction::Write => libc::POLLOUT,
    };
    let wake = wake.map(|wake| model::wanted(wake, libc::POLLIN));
    let fds = [Some(model::wanted(fd, events)), wake];
    model::wait_for(fds.into_iter().flatten().collect(), timeout);
    look()
}
