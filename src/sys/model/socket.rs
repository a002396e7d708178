// SPDX-License-Identifier: MIT OR Apache-2.0

use std::io;
use std::os::fd::BorrowedFd;

pub use real::*;
use shuttle::rand::{Rng, thread_rng};

use super::{check, model};

#[path = "../socket.rs"]
mod real;

pub fn send(fd: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
    model::call(|| {
        let mut taken = bytes.len();
        if model::is_sending_hindered() && thread_rng().gen_bool(0.5) {
            taken = thread_rng().gen_range(0..=bytes.len());
        }
        match taken {
            0 => Err(io::ErrorKind::WouldBlock.into()),
            taken => real::send(fd, &bytes[..taken]),
        }
    })
}

/// May give less than there is.
pub fn receive(fd: BorrowedFd<'_>, into: &mut Vec<u8>, waits: bool) -> io::Result<usize> {
    let mut piece = Vec::with_capacity(into.capacity() - into.len());
    if thread_rng().gen_ratio(1, 4) {
        piece = Vec::with_capacity(thread_rng().gen_range(1..=32.min(piece.capacity())));
    }
    let mut look = || real::receive(fd, &mut piece, false);
    let mut got = model::call(&mut look);
    if waits && matches!(&got, Err(e) if e.kind() == io::ErrorKind::WouldBlock) {
        model::wait_for(vec![model::wanted(fd, libc::POLLIN)], None);
        got = look();
    }
    into.extend_from_slice(&piece);
    got
}

pub fn shutdown(fd: BorrowedFd<'_>) {
    model::call(|| real::shutdown(fd));
}
