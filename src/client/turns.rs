// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who reads and who writes. A thread that waits takes the reader role if it is free, so that a
//! lone caller reads its own reply: one receive, no thread to wake. Others sleep until
//! their reply was read for them or the role is handed to them. When nobody is left the I/O
//! thread takes over.

use std::mem;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use super::batch::Batch;
use super::callbacks::Job;
use super::connection::{Connection, Guard, Outcome, State};
use super::failure::End;
use super::log::Notes;
use super::reader::Reader;
use super::reconnect::Reconnecting;
use super::wait::{Stop, Wait};
use crate::sys::eventfd::EventFd;
use crate::sys::poll::Direction;
use crate::transport::{self, RECEIVE_WAIT, Target};
use crate::wire::transcript::Entry;

/// What follows from a step under the lock and must happen after it: threads to wake, lines to log,
/// the last line of a transcript.
pub(super) struct Aftermath<'a> {
    /// The marks to wake.
    pub wakes: u32,
    pub notes: Notes<'a>,
    /// How the connection ended just now, for its transcript.
    pub ended: Option<String>,
    pub jobs: Vec<Job>,
    /// With what they know the request by whose outcome has come.
    pub batches: Vec<(Arc<Batch>, u64)>,
    /// To be closed: that may take its time.
    pub descriptors: Vec<OwnedFd>,
    /// Commands whose replies came after their calls gave up.
    pub late: Vec<(String, Outcome)>,
    /// A VM that may be stuck in its start.
    pub kick: Option<Target>,
    /// What is left of coming back: a listener's file goes with it.
    pub given_up: Option<Box<Reconnecting>>,
    connection: &'a Connection,
}

/// How often a sleeping caller tries to send what the socket did not take, where the I/O thread does not.
const BETWEEN_SENDS: Duration = Duration::from_millis(10);

impl<'a> Aftermath<'a> {
    pub fn new(connection: &'a Connection) -> Aftermath<'a> {
        Aftermath {
            wakes: 0,
            notes: Notes::new(&connection.log),
            ended: None,
            jobs: Vec::new(),
            batches: Vec::new(),
            descriptors: Vec::new(),
            late: Vec::new(),
            kick: None,
            given_up: None,
            connection,
        }
    }

    /// The caller's functions are to be called.
    fn has_to_tell(&self) -> bool {
        !self.notes.is_empty() || !self.late.is_empty()
    }

    /// Calls the caller's functions: call without the lock and without a role.
    pub fn tell(&mut self) {
        if !self.has_to_tell() {
            return;
        }
        self.notes.write();
        for (command, outcome) in self.late.drain(..) {
            self.connection.tell_late(&command, outcome);
        }
    }

    /// Call without the lock.
    pub fn wake(&mut self) {
        let nothing = self.wakes == 0
            && self.ended.is_none()
            && self.descriptors.is_empty()
            && self.batches.is_empty()
            && self.jobs.is_empty()
            && self.kick.is_none()
            && self.given_up.is_none();
        if !nothing {
            self.wake_them();
        }
    }

    #[inline(never)]
    fn wake_them(&mut self) {
        if let Some(ended) = self.ended.take() {
            let entry = || Entry::Ended(ended.into());
            self.connection.record(&mut self.notes, entry);
        }
        self.connection.word.wake(mem::take(&mut self.wakes));
        self.descriptors.clear();
        drop(self.given_up.take());
        if let Some(target) = self.kick.take() {
            transport::kick(&target);
        }
        for (batch, tag) in self.batches.drain(..) {
            batch.finished(tag);
        }
        if !self.jobs.is_empty() {
            if let Some(connection) = self.connection.shared_self() {
                connection.post(self.jobs.drain(..));
            }
        }
    }
}

impl Drop for Aftermath<'_> {
    fn drop(&mut self) {
        self.wake();
    }
}

/// The reader role. Dropped, it goes back, also when the stack unwinds.
pub(super) struct Reading<'a> {
    pub connection: &'a Connection,
    pub role: Option<Reader>,
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        if let Some(role) = self.role.take() {
            let mut state = self.connection.state.lock();
            state.reader = Some(role);
            let next = self.connection.hand_over(&mut state);
            drop(state);
            self.connection.word.wake(next);
        }
    }
}

impl Reading<'_> {
    pub fn give_back(&mut self, state: &mut State) {
        if let Some(role) = self.role.take() {
            state.reader = Some(role);
        }
    }
}

impl Connection {
    /// Waits until `found` finds something in the state, which wins over every reason to stop.
    /// `marks`: what to be woken by.
    pub(super) fn wait<R>(
        &self,
        wait: &Wait<'_>,
        marks: u32,
        mut found: impl FnMut(&mut State) -> Option<R>,
    ) -> Result<R, Stop> {
        let mut what = None;
        self.wait_for(wait, marks, &mut |state| {
            what = found(state);
            what.is_some()
        })?;
        what.ok_or(Stop::Closed) // never: it was found
    }

    /// One for all that is waited for: it is large.
    fn wait_for(
        &self,
        wait: &Wait<'_>,
        marks: u32,
        found: &mut dyn FnMut(&mut State) -> bool,
    ) -> Result<(), Stop> {
        let _watch = wait.watch(&self.word, marks);
        self.send_deferred();
        let mut after = Aftermath::new(self);
        let mut reading = Reading {
            connection: self,
            role: None,
        };
        // Nobody else does while the caller's loop stands still. Nor does anybody send what the socket did not take.
        let tends = self.options.own_loop && self.options.reconnect.is_some();
        let mut last_look = false;
        let mut state = self.state.lock();
        let result = loop {
            state = self.send_on(state, &mut after);
            let looked = self.word.look();
            if found(&mut state) {
                break Ok(());
            }
            if state.is_over() {
                break Err(Stop::Closed);
            }
            if wait.is_cancelled() {
                break Err(Stop::Cancelled);
            }
            let remaining = wait.deadline.remaining();
            if remaining == Some(Duration::ZERO) {
                if last_look {
                    break Err(Stop::Timeout);
                }
                last_look = true;
            }
            let sends = self.options.own_loop && state.blocked;
            let mut step = match tends {
                true => wait.at_most(state.patience()),
                false => *wait,
            };
            if state.is_ended() {
                // Another link may follow.
                reading.give_back(&mut state);
            } else if reading.role.is_none() {
                reading.role = state.take_reader();
            }
            let Some(reader) = &mut reading.role else {
                if sends {
                    step = step.at_most(BETWEEN_SENDS);
                }
                state = self.park(state, looked, marks, step.deadline.remaining());
                if tends {
                    drop(state);
                    self.tend();
                    state = self.state.lock();
                }
                continue;
            };
            self.clear_nudge(&mut state);
            drop(state);
            let direction = match sends {
                true => Direction::Both,
                false => Direction::Read,
            };
            // Nothing but the socket itself, or its shutdown, can end the wait: no poll is needed.
            let plain = !self.shared
                && !tends
                && !sends
                && wait.is_plain()
                && remaining.is_none_or(|left| left >= RECEIVE_WAIT);
            let ready = plain
                || match step.ready(reader.link.as_fd(), direction) {
                    Ok(ready) => ready,
                    Err(e) => {
                        state = self.state.lock();
                        break Err(e.into());
                    }
                };
            if ready {
                self.receive(reader, plain, &mut after);
            }
            after.wake();
            if tends || after.has_to_tell() {
                // They may call back on this connection, so the role goes first.
                drop(reading.role.take().map(|role| Reading {
                    connection: self,
                    role: Some(role),
                }));
                after.tell();
                if tends {
                    self.tend();
                }
            }
            state = self.state.lock();
        };
        reading.give_back(&mut state);
        let next = self.hand_over(&mut state);
        drop(state);
        self.word.wake(next);
        result
    }

    /// Waits like [`Connection::wait`] for what another thread may put an end to, which has to
    /// call [`Connection::nudge`].
    pub(super) fn wait_nudged<R>(
        &self,
        wait: &Wait<'_>,
        marks: u32,
        found: impl FnMut(&mut State) -> Option<R>,
    ) -> Result<R, Stop> {
        let nudge = match self.nudge.get() {
            Some(nudge) => nudge,
            None => {
                let made = EventFd::new()?;
                self.nudge.get_or_init(|| made)
            }
        };
        self.wait(&wait.until(nudge.as_fd()), marks, found)
    }

    /// Has those who wait under these marks look again, wherever they wait.
    pub(super) fn nudge(&self, state: &mut State, marks: u32, after: &mut Aftermath<'_>) {
        after.wakes |= state.asleep(marks);
        if let Some(nudge) = self.nudge.get().filter(|_| state.reader.is_none()) {
            nudge.set();
            state.nudged = true;
        }
    }

    /// By the reader, who has just looked.
    fn clear_nudge(&self, state: &mut State) {
        if mem::take(&mut state.nudged) {
            if let Some(nudge) = self.nudge.get() {
                nudge.clear();
            }
        }
    }

    pub(super) fn park<'a>(
        &'a self,
        mut state: Guard<'a>,
        looked: u32,
        marks: u32,
        time: Option<Duration>,
    ) -> Guard<'a> {
        state.parked.push(marks);
        drop(state);
        self.word.sleep(looked, marks, time);
        let mut state = self.state.lock();
        // Of equal marks it is all the same which goes.
        if let Some(at) = state.parked.iter().position(|parked| *parked == marks) {
            state.parked.swap_remove(at);
        }
        state
    }

    /// Sees to it that somebody reads: a sleeping caller, whose marks are given and must be woken
    /// without the lock, or else the I/O thread.
    pub(super) fn hand_over(&self, state: &mut State) -> u32 {
        if state.reader.is_none() || state.is_ended() {
            return 0;
        }
        if let Some(next) = state.parked.first() {
            return *next;
        }
        if !state.idle.watched {
            self.arm(state);
        }
        if let Some(reader) = &mut state.reader {
            reader.release_large();
        }
        0
    }

    /// Makes the I/O thread wait for what the connection needs.
    pub(super) fn arm(&self, state: &mut State) {
        let wanted = state.wanted_interest();
        if state.idle.armed == Some(wanted) {
            return;
        }
        let Some(registration) = &mut state.idle.registration else {
            return;
        };
        match registration.arm(state.link.as_fd(), wanted) {
            Ok(()) => state.idle.armed = Some(wanted),
            Err(e) => {
                // Nobody would read it: better that its callers know.
                let mut after = Aftermath::new(self);
                let errno = e.raw_os_error().unwrap_or(libc::EIO);
                self.finish(state, End::Failed(errno), &mut after);
            }
        }
    }
}

impl State {
    fn take_reader(&mut self) -> Option<Reader> {
        let reader = self.reader.take();
        self.idle.activity += u64::from(reader.is_some());
        reader
    }
}
