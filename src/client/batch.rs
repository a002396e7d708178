// SPDX-License-Identifier: MIT OR Apache-2.0
//! Many requests, of one client or of several, waited for together.

use std::collections::{HashSet, VecDeque};
use std::mem;
use std::sync::{Arc, Weak};

use super::connection::Connection;
use super::lock::Lock;
use super::requests::Request;
use super::signal::Signal;
use super::wait::{Stop, Wait};
use crate::error::{Error, Result, Status};
use crate::sys::futex::SleepWord;

pub struct Batch {
    state: Lock<State>,
    word: Arc<SleepWord>,
}

#[derive(Default)]
struct State {
    /// What callers know the requests by that are in it.
    members: HashSet<u64>,
    /// Theirs, since somebody waited last.
    connections: Vec<Weak<Connection>>,
    /// Those whose outcome has come.
    done: VecDeque<u64>,
    closed: bool,
    signal: Signal,
}

/// One mark is enough: each batch has a word of its own.
const MARK: u32 = 1;

impl Default for Batch {
    fn default() -> Batch {
        Batch {
            state: Lock::new(State::default()),
            word: Arc::default(),
        }
    }
}

impl Batch {
    /// `tag`: what [`Batch::next`] gives when the outcome has come.
    pub fn add(self: &Arc<Self>, request: &Request, tag: u64) -> Result<()> {
        request.join(self, tag)
    }

    pub(super) fn expect(&self, tag: u64, on: &Arc<Connection>) {
        let mut state = self.state.lock();
        state.members.insert(tag);
        let last = state.connections.last().map(Weak::as_ptr);
        if last != Some(Arc::as_ptr(on)) {
            state.connections.push(Arc::downgrade(on));
        }
    }

    /// What was submitted and waits for company goes now, since somebody waits for it.
    fn send_deferred(&self) {
        let connections = mem::take(&mut self.state.lock().connections);
        for connection in connections.iter().filter_map(Weak::upgrade) {
            connection.send_deferred();
        }
    }

    /// The outcome has come.
    pub(super) fn finished(&self, tag: u64) {
        let mut state = self.state.lock();
        if state.members.contains(&tag) {
            state.done.push_back(tag);
            state.signal.show(true);
        }
        drop(state);
        self.word.wake(MARK);
    }

    /// The request leaves: nobody can have its outcome any more.
    pub(super) fn forget(&self, tag: u64) {
        let mut state = self.state.lock();
        if !state.members.remove(&tag) {
            return;
        }
        state.done.retain(|done| *done != tag);
        let more = !state.done.is_empty();
        state.signal.show(more);
        drop(state);
        self.word.wake(MARK);
    }

    /// Whoever waits is told. The requests go on.
    pub fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        // They know the batch, so it must not know them.
        state.members.clear();
        state.done.clear();
        drop(state);
        self.word.wake(MARK);
    }

    /// The next request, by its tag, whose outcome has come.
    pub fn next(&self, wait: &Wait<'_>) -> Result<u64> {
        let _watch = wait.watch(&self.word, MARK);
        self.send_deferred();
        loop {
            let looked = self.word.look();
            let mut state = self.state.lock();
            if state.closed {
                return Err(Error::new(Status::Closed, "the batch was freed"));
            }
            if let Some(tag) = state.done.pop_front() {
                state.members.remove(&tag);
                let more = !state.done.is_empty();
                state.signal.show(more);
                return Ok(tag);
            }
            if state.members.is_empty() {
                return Err(Error::new(Status::NotFound, "the batch has no request"));
            }
            drop(state);
            match wait.stop() {
                Some(Stop::Cancelled) => {
                    let words = "waiting for a batch was cancelled";
                    return Err(Error::new(Status::Cancelled, words));
                }
                Some(_) => {
                    let limit = wait.deadline.words();
                    let words = format!("no request of the batch was answered within {limit}");
                    return Err(Error::new(Status::Timeout, words));
                }
                None => {}
            }
            self.word.sleep(looked, MARK, wait.deadline.remaining());
        }
    }

    /// A descriptor that is readable while [`Batch::next`] would not wait.
    pub fn descriptor(&self) -> Result<i32> {
        let mut state = self.state.lock();
        let wanted = !state.done.is_empty();
        state.signal.descriptor(wanted)
    }
}
