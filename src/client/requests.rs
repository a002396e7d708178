// SPDX-License-Identifier: MIT OR Apache-2.0
//! Commands submitted without waiting, and what comes of them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::batch::Batch;
use super::callbacks::{Callback, Job, Place};
use super::connection::{Connection, Outcome, State, mark_of};
use super::execute::{Call, check};
use super::failure::End;
use super::lock::Lock;
use super::turns::Aftermath;
use super::wait::{Stop, Wait};
use crate::error::{Error, Result, Status};
use crate::session::pending::Abandoned;
use crate::sys::text::Text;
use crate::wire::command::Band;

/// One command under way. Dropped, it gives the command up, unless a callback waits for it.
pub struct Request {
    connection: Arc<Connection>,
    id: u64,
    name: String,
    /// Whoever asks for the outcome gets it once.
    stage: Lock<Stage>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    UnderWay,
    /// A callback gets the outcome.
    Promised,
    Taken,
    Cancelled,
}

/// What cancelling a request came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Cancelled {
    /// Nothing of it was sent, and nothing will be.
    Withdrawn = 1,
    /// It was sent: it may be executed all the same.
    Unknown = 2,
    /// Its outcome had come already, and can still be taken.
    TooLate = 3,
}

/// Who wants to know when a request's outcome has come.
#[derive(Default)]
pub(super) struct Watchers {
    callbacks: BTreeMap<u64, Waiting>,
    /// Their outcomes have come, and the caller's thread has to be told of them.
    dispatchable: VecDeque<u64>,
    /// With what they know the request by.
    batches: BTreeMap<u64, (Arc<Batch>, u64)>,
}

struct Waiting {
    name: String,
    place: Place,
    callback: Arc<dyn Callback<Result<Text>>>,
}

impl Connection {
    /// Sends a command, as far as the socket takes it now, and the rest when it does.
    pub fn request(
        self: &Arc<Self>,
        band: Band,
        name: &str,
        arguments: Option<&str>,
    ) -> Result<Request> {
        let mut call = Call::new(name, check(name, arguments)?);
        call.band = band;
        let id = self.submit(call, &Wait::new(None, None))?;
        let mut state = self.state.lock();
        // Nobody may ever wait for it: the I/O thread reads from now on.
        state.idle.watched = false;
        if state.reader.is_some() {
            self.arm(&mut state);
        }
        drop(state);
        Ok(Request {
            connection: self.clone(),
            id,
            name: name.to_owned(),
            stage: Lock::new(Stage::UnderWay),
        })
    }

    /// Hands a request's outcome to its callback, once and without the lock.
    pub(super) fn call_requester(&self, id: u64) {
        let mut state = self.state.lock();
        state.update_dispatch();
        let Some(outcome) = state.take_outcome(id) else {
            return;
        };
        let end = state.end.clone();
        let waiting = state.watchers.callbacks.remove(&id);
        drop(state);
        if let Some(waiting) = waiting {
            waiting
                .callback
                .call(self.told(&waiting.name, outcome, end.as_ref()));
        }
    }

    pub(super) fn next_request_to_dispatch(&self) -> Option<u64> {
        let mut state = self.state.lock();
        state.watchers.dispatchable.pop_front()
    }

    fn told(&self, name: &str, outcome: Outcome, end: Option<&End>) -> Result<Text> {
        outcome.map_err(|failure| self.failed(name, failure, end))
    }
}

impl Request {
    pub fn command(&self) -> &str {
        &self.name
    }

    /// The outcome, once it has come. A wait that ends early leaves the command under way.
    pub fn wait(&self, wait: &Wait<'_>) -> Result<Text> {
        self.is_open()?;
        let connection = &self.connection;
        let id = self.id;
        let outcome = connection.wait(wait, mark_of(id), |state| {
            let end = state.end.clone();
            let outcome = state.take_outcome(id).map(|outcome| Some((outcome, end)));
            // Somebody else took it.
            outcome.or_else(|| (!state.session.pending.is_awaited(id)).then_some(None))
        });
        match outcome {
            Ok(Some((outcome, end))) => {
                *self.stage.lock() = Stage::Taken;
                connection.told(&self.name, outcome, end.as_ref())
            }
            Ok(None) => {
                self.is_open()?;
                Err(self.taken())
            }
            Err(stop) => Err(self.not_yet(stop, wait)),
        }
    }

    /// Gives the command up, as far as that can be.
    pub fn cancel(&self) -> Result<Cancelled> {
        self.is_open()?;
        let connection = &self.connection;
        let mut after = Aftermath::new(connection);
        let mut state = connection.state.lock();
        if state.has_outcome(self.id) {
            return Ok(Cancelled::TooLate);
        }
        let abandoned = state.session.pending.abandon(self.id);
        if abandoned == Some(Abandoned::Torn) {
            connection.finish(&mut state, End::Torn, &mut after);
        }
        let watchers = state.watchers.forget(self.id);
        drop(state);
        *self.stage.lock() = Stage::Cancelled;
        if let (_, Some((batch, tag))) = watchers {
            batch.forget(tag);
        }
        Ok(match abandoned {
            Some(Abandoned::Withdrawn) => Cancelled::Withdrawn,
            _ => Cancelled::Unknown,
        })
    }

    /// Has the outcome given to a callback. Nobody can wait for it any more.
    pub fn attach(&self, place: Place, callback: Arc<dyn Callback<Result<Text>>>) -> Result<()> {
        self.is_open()?;
        if place == Place::Library {
            self.connection.refuse_if_driven()?;
            super::callbacks::start()
                .map_err(|e| Error::os("start the library's callback thread", &e))?;
        }
        *self.stage.lock() = Stage::Promised;
        let connection = &self.connection;
        let mut after = Aftermath::new(connection);
        let mut state = connection.state.lock();
        let waiting = Waiting {
            name: self.name.clone(),
            place,
            callback,
        };
        state.watchers.callbacks.insert(self.id, waiting);
        if state.has_outcome(self.id) {
            state.tell_watchers(self.id, &mut after);
        }
        Ok(())
    }

    /// The batch learns when the outcome has come.
    pub(super) fn join(&self, batch: &Arc<Batch>, tag: u64) -> Result<()> {
        self.is_open()?;
        let mut after = Aftermath::new(&self.connection);
        let mut state = self.connection.state.lock();
        state.watchers.batches.insert(self.id, (batch.clone(), tag));
        if state.has_outcome(self.id) {
            state.tell_watchers(self.id, &mut after);
        }
        Ok(())
    }

    fn is_open(&self) -> Result<()> {
        let stage = *self.stage.lock();
        match stage {
            Stage::UnderWay => Ok(()),
            Stage::Promised => Err(Error::invalid(format!(
                "the outcome of {} goes to its callback",
                self.name
            ))),
            Stage::Taken => Err(self.taken()),
            Stage::Cancelled => Err(Error::new(
                Status::Cancelled,
                format!("{}: the request was cancelled", self.name),
            )),
        }
    }

    fn taken(&self) -> Error {
        Error::invalid(format!("the outcome of {} was taken already", self.name))
    }

    fn not_yet(&self, stop: Stop, wait: &Wait<'_>) -> Error {
        let connection = &self.connection;
        let attempted = format!("the reply to {} from {}", self.name, connection.address);
        connection
            .early(&attempted, stop, wait, "it is still under way")
            .with_command(&self.name)
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        if *self.stage.lock() == Stage::UnderWay && matches!(self.cancel(), Ok(Cancelled::TooLate))
        {
            let mut state = self.connection.state.lock();
            drop(state.take_outcome(self.id));
        }
    }
}

impl Watchers {
    /// What the lock is not to be held for when it goes.
    fn forget(&mut self, id: u64) -> (Option<Waiting>, Option<(Arc<Batch>, u64)>) {
        (self.callbacks.remove(&id), self.batches.remove(&id))
    }
}

impl State {
    /// The outcome of this command has come.
    pub(super) fn tell_watchers(&mut self, id: u64, after: &mut Aftermath<'_>) {
        after.batches.extend(self.watchers.batches.remove(&id));
        match self
            .watchers
            .callbacks
            .get(&id)
            .map(|waiting| waiting.place)
        {
            Some(Place::Library) => after.jobs.push(Job::Request(id)),
            Some(Place::Dispatch) => {
                self.watchers.dispatchable.push_back(id);
                self.update_dispatch();
            }
            None => {}
        }
    }

    pub(super) fn requests_to_dispatch(&self) -> usize {
        self.watchers.dispatchable.len()
    }
}
