// SPDX-License-Identifier: MIT OR Apache-2.0

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

pub use real::*;

use super::{check, model};

#[path = "../epoll.rs"]
mod real;

pub struct Epoll(real::Epoll);

impl Epoll {
    pub fn new() -> io::Result<Epoll> {
        real::Epoll::new().map(Epoll)
    }

    pub fn add(&self, fd: BorrowedFd<'_>, token: u64, interest: Interest) -> io::Result<()> {
        model::call(|| self.0.add(fd, token, interest))
    }

    pub fn arm(&self, fd: BorrowedFd<'_>, token: u64, interest: Interest) -> io::Result<()> {
        model::call(|| self.0.arm(fd, token, interest))
    }

    pub fn remove(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        model::call(|| self.0.remove(fd))
    }

    /// An error is the end of the I/O thread.
    pub fn wait(&self, fired: &mut Vec<u64>, timeout: Option<Duration>) -> io::Result<()> {
        // The thread may have closed something since it was here.
        model::call(|| ());
        if model::is_over() {
            return Err(io::ErrorKind::Other.into());
        }
        model::wait_for(vec![model::wanted(self.0.0.as_fd(), libc::POLLIN)], timeout);
        self.0.wait(fired, Some(Duration::ZERO))
    }
}

impl AsFd for Epoll {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
