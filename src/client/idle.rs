// SPDX-License-Identifier: MIT OR Apache-2.0
//! The I/O thread's part: its turn at a connection that nobody reads, and its look at one that somebody does.

use std::collections::VecDeque;
use std::mem;
use std::time::Duration;

use super::connection::{Connection, State};
use super::turns::{Aftermath, Reading};

/// How a turn of the I/O thread left the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Served {
    /// Read, and armed again.
    Idle,
    /// A caller reads it; look again at the next tick.
    Busy { activity: u64 },
}

/// How a tick found a connection that was busy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Watched {
    /// Calls come and go.
    Busy { activity: u64 },
    /// One caller has been reading all the time.
    Held,
    /// Quiet and armed, or ended: no need to look again.
    Done,
}

/// A flood is read in batches, between which others get their turn.
const READS_PER_TURN: usize = 8;

impl Connection {
    /// The I/O thread's turn: the descriptor was armed and fired.
    pub(super) fn serve(&self) -> Served {
        if self.options.reconnect.is_some() {
            self.tend();
        }
        let mut after = Aftermath::new(self);
        let mut reading = Reading {
            connection: self,
            role: None,
        };
        let mut state = self.state.lock();
        if !self.options.own_loop {
            state.idle.armed = None;
        }
        if state.blocked && !state.is_ended() {
            state.blocked = false;
            state = self.flush(state, &mut after);
        }
        let activity = state.idle.activity;
        if !state.is_ended() {
            reading.role = state.reader.take();
        }
        // Whoever calls often reads by himself, as a rule.
        let lively = activity - mem::replace(&mut state.idle.seen, activity) > 1;
        let busy =
            (reading.role.is_none() || lively && state.watchers.is_empty()) && !state.is_ended();
        state.idle.watched |= busy && !self.options.own_loop;
        drop(state);
        if let Some(reader) = &mut reading.role {
            for _ in 0..READS_PER_TURN {
                if !self.receive(reader, false, &mut after) {
                    break;
                }
            }
            reader.release();
        }
        after.wake();
        let mut state = self.state.lock();
        reading.give_back(&mut state);
        state.trim();
        let next = self.hand_over(&mut state);
        drop(state);
        self.word.wake(next);
        after.tell();
        if busy {
            Served::Busy { activity }
        } else {
            Served::Idle
        }
    }

    /// The I/O thread's look at a connection that was busy `activity` ago.
    pub(super) fn look(&self, activity: u64, patience_over: bool) -> Watched {
        let mut after = Aftermath::new(self);
        let mut state = self.state.lock();
        if state.deferred {
            state = self.flush(state, &mut after);
        }
        // Under the same lock: what is deferred from now on finds that nobody looks.
        let watched = self.look_at(&mut state, activity, patience_over);
        drop(state);
        after.wake();
        after.tell();
        watched
    }

    fn look_at(&self, state: &mut State, activity: u64, patience_over: bool) -> Watched {
        if state.is_ended() {
            return Watched::Done;
        }
        if state.idle.activity != activity {
            return Watched::Busy {
                activity: state.idle.activity,
            };
        }
        if state.reader.is_none() && !patience_over {
            return Watched::Held;
        }
        state.idle.watched = false;
        state.trim();
        if let Some(reader) = &mut state.reader {
            reader.release();
            self.arm(state);
        }
        // Else whoever reads now arms it in the end.
        Watched::Done
    }

    /// How often the I/O thread looks at a busy connection: the longest that an event can wait
    /// after a burst of calls, when nobody calls any more.
    pub(super) const TICK: Duration = Duration::from_millis(5);
}

impl State {
    /// The I/O thread looks after it from its next tick on.
    pub(super) fn have_watched(&mut self) {
        let idle = &mut self.idle;
        if let Some(registration) = idle.registration.as_ref().filter(|_| !idle.watched) {
            idle.watched = registration.watch(idle.activity);
        }
    }

    /// An idle connection keeps nothing for the next message. Of many connections each is idle most of the time, and what it
    /// kept would be cold when it is used again.
    pub(super) fn trim(&mut self) {
        self.session.trim();
        for subscription in &mut self.subscriptions {
            subscription.trim();
        }
        if self.done.is_empty() {
            self.done = VecDeque::new();
        }
        if self.parked.is_empty() {
            self.parked = Vec::new();
        }
    }
}
