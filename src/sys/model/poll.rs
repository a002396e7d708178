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
    wakes: [Option<BorrowedFd<'_>>; 2],
    timeout: Option<Duration>,
) -> io::Result<bool> {
    let look = || real::wait(fd, direction, wakes, Some(Duration::ZERO));
    let ready = model::call(look)?;
    if ready || timeout == Some(Duration::ZERO) {
        return Ok(ready);
    }
    let events = match direction {
        Direction::Read => libc::POLLIN,
        Direction::Write => libc::POLLOUT,
        Direction::Both => libc::POLLIN | libc::POLLOUT,
    };
    let wakes = wakes.into_iter().flatten();
    let mut fds = vec![model::wanted(fd, events)];
    fds.extend(wakes.map(|wake| model::wanted(wake, libc::POLLIN)));
    model::wait_for(fds, timeout);
    look()
}
