// SPDX-License-Identifier: MIT OR Apache-2.0
//! How bytes reach a VM and come back. Nothing here waits: that is the client's business.

pub mod address;
mod given;
mod listener;
pub mod memory;
mod socket;
mod tcp;
mod unix;

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

pub use address::Address;
pub use listener::Listener;
pub use socket::Socket;
pub use tcp::Pending;

use crate::sys::peer::Credentials;
pub use crate::sys::socket::MOST_RECEIVED;

/// How long a receive that waits does so at most. One time for all, so that it is set only once;
/// a longer wait is several receives, and a shorter one polls first.
pub const RECEIVE_WAIT: Duration = Duration::from_millis(500);

/// A connected byte stream. Sending and receiving take what can be had at once and say
/// `WouldBlock` when that is nothing; the descriptor tells when to try again.
pub trait Transport: AsFd + Send + Sync {
    /// How many of the bytes were taken.
    fn send(&self, bytes: &[u8]) -> io::Result<usize>;
    /// As `send`, with a descriptor that goes with the first byte.
    fn send_with(&self, bytes: &[u8], descriptor: BorrowedFd<'_>) -> io::Result<usize>;
    /// Whether descriptors can go along.
    fn passes_descriptors(&self) -> bool;
    /// Appends to the vector's spare capacity, at most [`MOST_RECEIVED`]; 0 is the end. `waits`:
    /// for [`RECEIVE_WAIT`], a signal, or the shutdown by another thread.
    fn receive(&self, into: &mut Vec<u8>, waits: bool) -> io::Result<usize>;
    /// Ends both directions and wakes whoever waits for the descriptor or in it.
    fn shutdown(&self);
    /// Who made the listening socket, where the kernel knows.
    fn peer(&self) -> Option<Credentials>;
}

/// Where one attempt to connect goes: an address whose host name, if any, has been resolved.
#[derive(Clone, Debug)]
pub enum Target {
    Path(Vec<u8>),
    Abstract(Vec<u8>),
    Tcp(SocketAddr),
    Descriptor(i32),
}

/// An attempt to connect.
pub enum Attempt {
    Connected(Socket),
    /// When its descriptor gets writable, [`Pending::finish`] tells how it went.
    InProgress(Pending),
}

pub fn attempt(target: &Target) -> io::Result<Attempt> {
    match target {
        Target::Path(path) => unix::connect_path(path).map(Attempt::Connected),
        Target::Abstract(name) => unix::connect_abstract(name).map(Attempt::Connected),
        Target::Tcp(to) => tcp::connect(to),
        Target::Descriptor(fd) => given::adopt(*fd).map(Attempt::Connected),
    }
}

/// A second connection, closed at once. QEMU may sit in `accept` of its listener with everything
/// else blocked when a client came in the very moment of its start; this frees it.
pub fn kick(target: &Target) {
    if !matches!(target, Target::Descriptor(_)) {
        drop(attempt(target));
    }
}
