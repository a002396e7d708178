// SPDX-License-Identifier: MIT OR Apache-2.0
//! Commands submitted without waiting, and what comes of them.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};

use super::batch::Batch;
use super::by_id::ById;
use super::callbacks::{Callback, Job, Place};
use super::connection::{Connection, Outcome, State, mark_of};
use super::execute::{Call, check};
use super::failure::End;
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
    /// Set with the connection's lock held.
    over: OnceLock<Over>,
    /// The batch that it was put into, and what that knows it by.
    batch: OnceLock<(Arc<Batch>, u64)>,
}

impl Watchers {
    /// None: nobody does.
    fn get(&mut self) -> Option<&mut Watching> {
        self.0.as_deref_mut()
    }

    fn made(&mut self) -> &mut Watching {
        self.0.get_or_insert_default()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0
            .as_deref()
            .is_none_or(|it| it.callbacks.is_empty() && it.batches.is_empty())
    }

    fn has_callback(&self, id: u64) -> bool {
        self.0
            .as_deref()
            .is_some_and(|it| it.callbacks.get(id).is_some())
    }
}

/// How a request ended without its outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Over {
    Taken,
    Cancelled,
    Freed,
}

/// Why its outcome cannot be had.
enum Lost {
    Over(Over),
    /// It goes to a callback.
    Called,
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

/// Who wants to know when a request's outcome has come. None: nobody, as in most connections.
#[derive(Default)]
pub(super) struct Watchers(Option<Box<Watching>>);

#[derive(Default)]
struct Watching {
    callbacks: ById<Waiting>,
    /// Their outcomes have come, and the caller's thread has to be told of them.
    dispatchable: VecDeque<u64>,
    /// With what they know the request by.
    batches: ById<(Arc<Batch>, u64)>,
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
        call.is_waited_for = false;
        let id = self.submit(&mut call, &Wait::new(None, None))?;
        Ok(Request {
            connection: self.clone(),
            id,
            name: name.to_owned(),
            over: OnceLock::new(),
            batch: OnceLock::new(),
        })
    }

    /// Hands a request's outcome to its callback, once and without the lock.
    pub(super) fn call_requester(&self, id: u64) {
        let mut state = self.state.lock();
        state.update_dispatch();
        let Some(outcome) = state.take_outcome(id) else {
            return;
        };
        let end = state.latest_end().cloned();
        let waiting = state.watchers.get().and_then(|it| it.callbacks.remove(id));
        drop(state);
        if let Some(waiting) = waiting {
            waiting
                .callback
                .call(self.told(&waiting.name, outcome, end.as_ref()));
        }
    }

    /// Nobody may read for it: the I/O thread does from now on.
    pub(super) fn engage(&self, state: &mut State) {
        state.idle.watched = false;
        if state.reader.is_some() {
            self.arm(state);
        }
    }

    pub(super) fn next_request_to_dispatch(&self) -> Option<u64> {
        let mut state = self.state.lock();
        state.watchers.get()?.dispatchable.pop_front()
    }

    /// After the end nobody dispatches any more: what still waits for it is called here.
    pub(super) fn call_last_requesters(&self) {
        while let Some(id) = self.next_request_to_dispatch() {
            self.call_requester(id);
        }
    }

    pub(super) fn told(&self, name: &str, outcome: Outcome, end: Option<&End>) -> Result<Text> {
        outcome.map_err(|failure| self.failed(name, failure, end))
    }
}

impl Request {
    pub fn command(&self) -> &str {
        &self.name
    }

    /// The outcome, if it has come.
    pub fn take(&self) -> Option<Result<Text>> {
        let connection = &self.connection;
        let mut state = connection.state.lock();
        if self.over.get().is_some() || state.watchers.has_callback(self.id) {
            return None;
        }
        let outcome = self.take_from(&mut state)?;
        let end = state.latest_end().filter(|_| outcome.is_err()).cloned();
        drop(state);
        self.leave_batch();
        Some(connection.told(&self.name, outcome, end.as_ref()))
    }

    fn take_from(&self, state: &mut State) -> Option<Outcome> {
        let outcome = state.take_outcome(self.id)?;
        let _ = self.over.set(Over::Taken); // it was open
        Some(outcome)
    }

    /// The outcome, once it has come. A wait that ends early leaves the command under way.
    pub fn wait(&self, wait: &Wait<'_>) -> Result<Text> {
        let connection = &self.connection;
        let outcome = connection.wait_nudged(wait, mark_of(self.id), |state| {
            if let Some(lost) = self.lost(state) {
                return Some(Err(self.why(&lost)));
            }
            let outcome = self.take_from(state)?;
            Some(Ok((outcome, state.latest_end().cloned())))
        });
        match outcome {
            Ok(taken) => {
                let (outcome, end) = taken?;
                self.leave_batch();
                connection.told(&self.name, outcome, end.as_ref())
            }
            Err(stop) => Err(self.not_yet(stop, wait)),
        }
    }

    /// Gives the command up, as far as that can be.
    pub fn cancel(&self) -> Result<Cancelled> {
        let mut after = Aftermath::new(&self.connection);
        let mut state = self.connection.state.lock();
        self.is_open(&state)?;
        if state.has_outcome(self.id) {
            return Ok(Cancelled::TooLate);
        }
        self.end(&mut state, Over::Cancelled, &mut after);
        let connection = &self.connection;
        let abandoned = connection.abandon(&mut state, self.id, &self.name, &mut after);
        drop(state);
        self.leave_batch();
        after.wake();
        after.tell();
        Ok(match abandoned {
            Some(Abandoned::Withdrawn) => Cancelled::Withdrawn,
            _ => Cancelled::Unknown,
        })
    }

    /// The request is done with: whoever waits for it is told, and an outcome that has come goes. The command goes
    /// its way: it was submitted to be executed.
    pub fn free(&self) {
        if self.over.get().is_some() {
            return;
        }
        let mut after = Aftermath::new(&self.connection);
        let mut state = self.connection.state.lock();
        if self.lost(&state).is_some() {
            return;
        }
        let unwanted = state.take_outcome(self.id);
        self.end(&mut state, Over::Freed, &mut after);
        if state.session.pending.disown(self.id) {
            state.expect_late(self.id, &self.name);
        }
        drop(state);
        drop(unwanted);
        self.leave_batch();
        after.wake();
        after.tell();
    }

    fn end(&self, state: &mut State, over: Over, after: &mut Aftermath<'_>) {
        let _ = self.over.set(over); // a request ends once: it was open
        if let Some(watching) = state.watchers.get() {
            watching.batches.remove(self.id);
        }
        self.connection.nudge(state, mark_of(self.id), after);
    }

    /// Has the outcome given to a callback. Nobody can wait for it any more.
    pub fn attach(&self, place: Place, callback: Arc<dyn Callback<Result<Text>>>) -> Result<()> {
        if place == Place::Library {
            self.connection.refuse_if_driven()?;
            super::callbacks::start()
                .map_err(|e| Error::os("start the library's callback thread", &e))?;
        }
        let connection = &self.connection;
        let mut after = Aftermath::new(connection);
        let mut state = connection.state.lock();
        self.is_open(&state)?;
        if self.batch.get().is_some() {
            return Err(Error::invalid(format!("{} is in a batch", self.name)));
        }
        let waiting = Waiting {
            name: self.name.clone(),
            place,
            callback,
        };
        state.watchers.made().callbacks.insert(self.id, waiting);
        connection.engage(&mut state);
        if state.has_outcome(self.id) {
            state.tell_watchers(self.id, &mut after);
        }
        connection.nudge(&mut state, mark_of(self.id), &mut after);
        let closed = state.closed;
        drop(state);
        if closed {
            connection.call_last_requesters();
        }
        Ok(())
    }

    /// The batch learns when the outcome has come.
    pub(super) fn join(&self, batch: &Arc<Batch>, tag: u64) -> Result<()> {
        if self.batch.set((batch.clone(), tag)).is_err() {
            return Err(Error::invalid(format!(
                "{} was put into a batch already",
                self.name
            )));
        }
        batch.expect(tag, &self.connection);
        let mut after = Aftermath::new(&self.connection);
        let mut state = self.connection.state.lock();
        if let Err(e) = self.is_open(&state) {
            drop(state);
            batch.forget(tag);
            return Err(e);
        }
        state
            .watchers
            .made()
            .batches
            .insert(self.id, (batch.clone(), tag));
        self.connection.engage(&mut state);
        if state.has_outcome(self.id) {
            state.tell_watchers(self.id, &mut after);
        }
        Ok(())
    }

    fn leave_batch(&self) {
        if let Some((batch, tag)) = self.batch.get() {
            batch.forget(*tag);
        }
    }

    /// None: its outcome can still be had.
    fn lost(&self, state: &State) -> Option<Lost> {
        if let Some(over) = self.over.get() {
            return Some(Lost::Over(*over));
        }
        if state.watchers.has_callback(self.id) {
            return Some(Lost::Called);
        }
        let there = state.session.pending.is_awaited(self.id) || state.has_outcome(self.id);
        (!there).then_some(Lost::Over(Over::Taken))
    }

    fn is_open(&self, state: &State) -> Result<()> {
        self.lost(state).map_or(Ok(()), |lost| Err(self.why(&lost)))
    }

    #[cold]
    fn why(&self, lost: &Lost) -> Error {
        let name = &self.name;
        match lost {
            Lost::Over(Over::Cancelled) => Error::new(
                Status::Cancelled,
                format!("{name}: the request was cancelled"),
            ),
            Lost::Over(Over::Freed) => {
                Error::new(Status::Closed, format!("{name}: the request was freed"))
            }
            Lost::Called => Error::invalid(format!("the outcome of {name} goes to its callback")),
            Lost::Over(Over::Taken) => {
                Error::invalid(format!("the outcome of {name} was taken already"))
            }
        }
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
        self.free();
    }
}

impl State {
    /// The outcome of this command has come.
    pub(super) fn tell_watchers(&mut self, id: u64, after: &mut Aftermath<'_>) {
        let Some(watching) = self.watchers.get() else {
            return;
        };
        after.batches.extend(watching.batches.remove(id));
        match watching.callbacks.get(id).map(|waiting| waiting.place) {
            Some(Place::Library) => after.jobs.push(Job::Request(id)),
            Some(Place::Dispatch) => {
                watching.dispatchable.push_back(id);
                self.update_dispatch();
            }
            None => {}
        }
    }

    pub(super) fn requests_to_dispatch(&self) -> usize {
        let watching = self.watchers.0.as_deref();
        watching.map_or(0, |it| it.dispatchable.len())
    }
}
