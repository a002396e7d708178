// SPDX-License-Identifier: MIT OR Apache-2.0
//! Coming back after the end: a new socket under the same connection. Handles, queues, subscriptions and descriptors stay, ids
//! count on, and nothing that was sent before is sent again.
//!
//! Nothing here waits. A step is taken when its time has come or its descriptor is ready, by the I/O thread or in the caller's
//! loop, and the greeting and the reply to the negotiation are taken up by whoever reads them. A new socket is put in only while
//! both roles are at home, so that their holders never meet another one than they began with.

mod attempt;
mod handshake;

use std::mem;
use std::os::fd::AsFd;
use std::time::Duration;

use super::connect::random;
use super::connection::{Connection, State};
use super::failure::End;
use super::io_thread::{self, Registration};
use super::log::Level;
use super::options::Options;
use super::turns::Aftermath;
use crate::session::backoff::Backoff;
use crate::session::events::KIND_DISCONNECTED;
use crate::session::power::Power;
use crate::sys::peer::{self, Credentials};
use crate::sys::sync::Instant;
use crate::transport::{Listener, Pending, Target};
use crate::wire::quote;

use handshake::Handshake;

/// When a role is still out.
const SOON: Duration = Duration::from_millis(2);

/// Where the next socket comes from.
pub(super) enum Way {
    Dial(Target),
    Accept(Listener),
}

/// Of a connection that comes back, until it has given up.
pub(super) struct Reconnecting {
    way: Way,
    backoff: Backoff,
    phase: Phase,
    attempts: u32,
    /// Since the end of the last session.
    down: Instant,
    /// What the last attempt failed with.
    why: String,
    /// Of the last session.
    peer: Option<Peer>,
    wants_out_of_band: bool,
    /// As it is set.
    alarm: Option<Instant>,
}

enum Phase {
    Up,
    Pausing {
        until: Instant,
    },
    /// A thread has left the lock to try.
    Trying,
    Connecting {
        pending: Pending,
        registration: Registration,
        until: Instant,
    },
    /// The listener is looked at when it is ready, if it is registered, and at a certain time.
    Accepting {
        registration: Option<Registration>,
        again: Option<Instant>,
    },
    Handshaking(Handshake),
}

/// A process has its number to itself only while it lives.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Peer {
    pid: i32,
    started: Option<u64>,
}

impl Peer {
    fn of(credentials: Credentials) -> Peer {
        let pid = credentials.pid;
        let started = peer::process(pid).map(|process| process.started);
        Peer { pid, started }
    }
}

/// The session before the link of the moment.
pub(super) struct Last {
    end: End,
    power: Power,
}

/// None of the times here is too far ahead for the clock.
fn after(now: Instant, time: Duration) -> Instant {
    now.checked_add(time).unwrap_or(now)
}

impl Connection {
    /// From now on the connection comes back.
    pub(super) fn come_back(&self, way: Way, backoff: Backoff, options: &Options) {
        let mut after = Aftermath::new(self);
        let mut state = self.state.lock();
        let peer = state.link.peer().map(Peer::of);
        state.reconnecting = Some(Box::new(Reconnecting {
            way,
            backoff,
            phase: Phase::Up,
            attempts: 0,
            down: Instant::now(),
            why: String::new(),
            peer,
            wants_out_of_band: options.out_of_band,
            alarm: None,
        }));
        if let Some(end) = state.end.clone() {
            // It has ended already.
            self.begin_coming_back(&mut state, &end, &mut after);
        }
        drop(state);
        after.wake();
        after.tell();
    }

    /// The link has ended, just now.
    pub(super) fn begin_coming_back(
        &self,
        state: &mut State,
        end: &End,
        after: &mut Aftermath<'_>,
    ) {
        let Some(reconnecting) = &mut state.reconnecting else {
            return;
        };
        match &reconnecting.phase {
            Phase::Up => {
                reconnecting.down = Instant::now();
                reconnecting.attempts = 0;
                reconnecting.why = String::new();
                state.publish_end(&end.words(), true, after);
            }
            Phase::Handshaking(_) => reconnecting.why = end.words(),
            _ => return,
        }
        self.pause(state, after);
        self.update_alarm(state, after);
    }

    /// Until the next attempt, if there is to be one.
    fn pause(&self, state: &mut State, aftermath: &mut Aftermath<'_>) {
        let Some(reconnecting) = &mut state.reconnecting else {
            return;
        };
        if reconnecting.is_out_of_time() {
            return self.give_up_coming_back(state, aftermath);
        }
        let now = Instant::now();
        let phase = match reconnecting.way {
            Way::Dial(_) => {
                let pause = reconnecting.backoff.pause(reconnecting.attempts, random());
                reconnecting.attempts = reconnecting.attempts.saturating_add(1);
                Phase::Pausing {
                    until: after(now, pause),
                }
            }
            Way::Accept(_) => Phase::Accepting {
                registration: None,
                again: Some(now),
            },
        };
        reconnecting.enter(phase);
    }

    fn give_up_coming_back(&self, state: &mut State, after: &mut Aftermath<'_>) {
        let Some(reconnecting) = &state.reconnecting else {
            return;
        };
        let words = reconnecting.words();
        state.publish_end(&words, false, after);
        after.given_up = self.stop_coming_back(state, after);
        after.wakes |= state.asleep(!0);
        state.update_signal();
        after
            .notes
            .add(Level::Warn, || format!("given up: {words}"));
    }

    /// What is left of it is to be dropped without the lock.
    pub(super) fn stop_coming_back(
        &self,
        state: &mut State,
        after: &mut Aftermath<'_>,
    ) -> Option<Box<Reconnecting>> {
        state.reconnecting.as_mut()?.enter(Phase::Trying);
        self.update_alarm(state, after);
        state.reconnecting.take()
    }

    /// Sets it to when something is due, if that has changed.
    fn update_alarm(&self, state: &mut State, after: &mut Aftermath<'_>) {
        let due = state.due();
        let Some(reconnecting) = state.reconnecting.as_deref_mut() else {
            return;
        };
        if reconnecting.alarm == due && due.is_none_or(|at| Instant::now() < at) {
            return;
        }
        reconnecting.alarm = due;
        let left = |at: Instant| at.saturating_duration_since(Instant::now());
        let set = match &state.own_loop {
            Some(own) => own.set_timer(due.map(left)),
            None => io_thread::set_alarm(self.weak_self(), due),
        };
        if let Err(e) = set {
            after
                .notes
                .add(Level::Error, || format!("cannot set a timer: {e}"));
        }
    }

    /// Does what is due. Call without the lock and without a role.
    pub(super) fn tend(&self) {
        let mut aftermath = Aftermath::new(self);
        let mut state = self.state.lock();
        let roles_are_home = state.reader.is_some() && state.writer.is_some();
        let Some(reconnecting) = state.reconnecting.as_deref_mut() else {
            return;
        };
        let now = Instant::now();
        let out_of_time = reconnecting.is_out_of_time();
        match &mut reconnecting.phase {
            Phase::Up | Phase::Trying => {}
            Phase::Handshaking(_) => self.tend_handshake(&mut state, now, &mut aftermath),
            _ if out_of_time => self.give_up_coming_back(&mut state, &mut aftermath),
            Phase::Pausing { until } if now < *until => {}
            Phase::Pausing { until } if !roles_are_home => *until = after(now, SOON),
            Phase::Pausing { .. } => state = self.dial(state, &mut aftermath),
            Phase::Connecting { .. } => self.look_at_pending(&mut state, now, &mut aftermath),
            Phase::Accepting { again, .. } if !roles_are_home => *again = Some(after(now, SOON)),
            Phase::Accepting { .. } => self.accept(&mut state, now, &mut aftermath),
        }
        self.update_alarm(&mut state, &mut aftermath);
        drop(self.flush(state, &mut aftermath));
        aftermath.wake();
        aftermath.tell();
    }
}

impl Reconnecting {
    fn enter(&mut self, phase: Phase) {
        match (mem::replace(&mut self.phase, phase), &self.way) {
            (
                Phase::Connecting {
                    pending,
                    registration,
                    ..
                },
                _,
            ) => registration.remove(pending.as_fd()),
            (
                Phase::Accepting {
                    registration: Some(registration),
                    ..
                },
                Way::Accept(listener),
            ) => registration.remove(listener.as_fd()),
            _ => {}
        }
    }

    fn end_of_all(&self) -> Option<Instant> {
        self.backoff
            .total
            .and_then(|total| self.down.checked_add(total))
    }

    fn is_out_of_time(&self) -> bool {
        self.backoff
            .total
            .is_some_and(|total| self.down.elapsed() >= total)
    }

    fn words(&self) -> String {
        let ms = self.down.elapsed().as_millis();
        match self.why.as_str() {
            "" => format!("no connection for {ms} ms"),
            why => format!("no connection for {ms} ms, at last because: {why}"),
        }
    }
}

impl State {
    /// Nothing more can come: no link, and no other one will be.
    pub(super) fn is_over(&self) -> bool {
        self.closed || (self.end.is_some() && self.reconnecting.is_none())
    }

    /// There is a session: commands can be sent.
    pub(super) fn is_up(&self) -> bool {
        let up = |it: &Reconnecting| matches!(it.phase, Phase::Up);
        self.end.is_none() && self.reconnecting.as_deref().is_none_or(up)
    }

    pub(super) fn is_handshaking(&self) -> bool {
        let handshaking = |it: &Reconnecting| matches!(it.phase, Phase::Handshaking(_));
        self.reconnecting.as_deref().is_some_and(handshaking)
    }

    /// A new link takes the place of the one that ended.
    fn keep_last(&mut self) {
        if let Some(end) = self.end.take() {
            let (end, power) = (*end, mem::take(&mut self.session.power));
            self.last = Some(Box::new(Last { end, power }));
        }
    }

    /// An end that counts as its session's own, for an attempt that comes to nothing is no session.
    pub(super) fn set_end(&mut self, end: End) {
        self.end = Some(Box::new(end));
        if self.is_handshaking() {
            if let Some(last) = self.last.take() {
                self.session.power = last.power;
                self.end = Some(Box::new(last.end));
            }
        }
    }

    fn is_session(&self, epoch: u64) -> bool {
        self.epoch == epoch && !self.is_handshaking()
    }

    /// How that session ended. None: it has not.
    pub(super) fn end_of(&self, epoch: u64) -> Option<&End> {
        if self.is_session(epoch) {
            self.end.as_deref()
        } else {
            self.latest_end()
        }
    }

    /// How the last session that has ended did.
    pub(super) fn latest_end(&self) -> Option<&End> {
        let last = self.last.as_ref().map(|last| &last.end);
        self.end.as_deref().or(last)
    }

    pub(super) fn power_of(&self, epoch: u64) -> &Power {
        match &self.last {
            Some(last) if !self.is_session(epoch) => &last.power,
            _ => &self.session.power,
        }
    }

    /// When [`Connection::tend`] has something to do without a descriptor telling.
    fn due(&self) -> Option<Instant> {
        let reconnecting = self.reconnecting.as_deref()?;
        let due = match &reconnecting.phase {
            Phase::Up | Phase::Trying => return None,
            Phase::Handshaking(handshake) => return Some(handshake.due()),
            Phase::Pausing { until } | Phase::Connecting { until, .. } => Some(*until),
            Phase::Accepting { again, .. } => *again,
        };
        due.into_iter().chain(reconnecting.end_of_all()).min()
    }

    /// How long a caller may wait before it looks whether something is due, where nobody else does.
    pub(super) fn patience(&self) -> Duration {
        const BETWEEN_LOOKS: Duration = Duration::from_millis(10);
        const NEVER: Duration = Duration::from_secs(3600);
        if self.end.is_some() {
            return BETWEEN_LOOKS;
        }
        let now = Instant::now();
        self.due()
            .map_or(NEVER, |at| at.saturating_duration_since(now))
    }

    /// Why there is no session just now.
    pub(super) fn why_down(&self) -> String {
        let reconnecting = self.reconnecting.as_deref().map(Reconnecting::words);
        reconnecting.unwrap_or_default()
    }

    /// The connection's end is told to every subscription, and to the client's own queue, if it lives on.
    pub(super) fn publish_end(&mut self, cause: &str, comes_back: bool, after: &mut Aftermath<'_>) {
        let data = format!(
            "{{\"cause\": {}, \"epoch\": {}, \"reconnecting\": {comes_back}}}",
            quote(cause),
            self.epoch
        );
        self.publish_own(KIND_DISCONNECTED, "DISCONNECTED", &data, after);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chance_spreads_the_pauses_over_what_jitter_allows() {
        let backoff = Backoff {
            first: Duration::from_secs(100),
            factor: 1.0,
            cap: Duration::from_secs(100),
            jitter: 1.0,
            total: None,
        };
        let pauses: Vec<_> = (0..64).map(|_| backoff.pause(0, random())).collect();
        let half = Duration::from_secs(50);
        assert!(pauses.iter().any(|pause| *pause < half), "{pauses:?}");
        assert!(pauses.iter().any(|pause| *pause > half), "{pauses:?}");
    }
}
