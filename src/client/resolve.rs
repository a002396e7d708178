// SPDX-License-Identifier: MIT OR Apache-2.0
//! Host names. The system's resolver blocks for as long as it likes and cannot be told to stop,
//! so it runs on a thread of its own, which is left behind when the call is due to end.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;

use super::lock::Lock;
use super::wait::{Stop, Wait};
use crate::sys::futex::SleepWord;

type Answer = io::Result<Vec<SocketAddr>>;

pub enum Unresolved {
    NoThread(io::Error),
    Stopped(Stop),
    Failed(io::Error),
}

pub fn resolve(host: &str, port: u16, wait: &Wait<'_>) -> Result<Vec<SocketAddr>, Unresolved> {
    let slot: Arc<Lock<Option<Answer>>> = Arc::new(Lock::new(None));
    let word = Arc::new(SleepWord::default());
    let _watch = wait.watch(&word, 1);
    let (theirs, host, caller) = (slot.clone(), host.to_owned(), word.clone());
    crate::sys::thread::spawn("qmp-resolve", move || {
        let answer = (host.as_str(), port).to_socket_addrs();
        *theirs.lock() = Some(answer.map(Iterator::collect));
        caller.wake(1);
    })
    .map_err(Unresolved::NoThread)?;
    loop {
        let looked = word.look();
        if let Some(answer) = slot.lock().take() {
            return answer.map_err(Unresolved::Failed);
        }
        if let Some(stop) = wait.stop() {
            return Err(Unresolved::Stopped(stop));
        }
        word.sleep(looked, 1, wait.deadline.remaining());
    }
}
