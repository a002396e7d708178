// SPDX-License-Identifier: MIT OR Apache-2.0
//! Host names. The system's resolver blocks for as long as it likes and cannot be told to stop,
//! so it runs on a thread of its own, which is left behind when the call is due to end.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::thread;

use super::lock::Lock;
use super::wait::{Stop, Wait};

type Answer = io::Result<Vec<SocketAddr>>;

pub enum Unresolved {
    NoThread(io::Error),
    Stopped(Stop),
    Failed(io::Error),
}

pub fn resolve(host: &str, port: u16, wait: &Wait<'_>) -> Result<Vec<SocketAddr>, Unresolved> {
    let slot: Arc<Lock<Option<Answer>>> = Arc::new(Lock::new(None));
    let _watch = wait.cancel.map(|cancel| cancel.watch());
    let (theirs, host, caller) = (slot.clone(), host.to_owned(), thread::current());
    crate::sys::thread::spawn("qmp-resolve", move || {
        let answer = (host.as_str(), port).to_socket_addrs();
        *theirs.lock() = Some(answer.map(Iterator::collect));
        caller.unpark();
    })
    .map_err(Unresolved::NoThread)?;
    loop {
        if let Some(answer) = slot.lock().take() {
            return answer.map_err(Unresolved::Failed);
        }
        if let Some(stop) = wait.stop() {
            return Err(Unresolved::Stopped(stop));
        }
        match wait.deadline.remaining() {
            Some(time) => thread::park_timeout(time),
            None => thread::park(),
        }
    }
}
