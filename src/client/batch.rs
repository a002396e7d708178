// SPDX-License-Identifier: MIT OR Apache-2.0
//! Many requests, of one client or of several, waited for together.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

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
    /// What callers know the requests by that have no outcome yet.
    under_way: HashSet<u64>,
    done: VecDeque<u64>,
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
        self.state.lock().under_way.insert(tag);
        let joined = request.join(self, tag);
        if joined.is_err() {
            self.state.lock().under_way.remove(&tag);
        }
        joined
    }

    /// Call without a connection's lock.
    pub(super) fn finished(&self, tag: u64) {
        let mut state = self.state.lock();
        if state.under_way.remove(&tag) {
            state.done.push_back(tag);
            state.signal.show(true);
        }
        drop(state);
        self.word.wake(MARK);
    }

    /// A request that will not have an outcome any more.
    pub(super) fn forget(&self, tag: u64) {
        self.state.lock().under_way.remove(&tag);
        self.word.wake(MARK);
    }

    /// The next request, by its tag, whose outcome has come.
    pub fn next(&self, wait: &Wait<'_>) -> Result<u64> {
        let _watch = wait.watch(&self.word, MARK);
        loop {
            let looked = self.word.look();
            let mut state = self.state.lock();
            if let Some(tag) = state.done.pop_front() {
                let more = !state.done.is_empty();
                state.signal.show(more);
                return Ok(tag);
            }
            if state.under_way.is_empty() {
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
