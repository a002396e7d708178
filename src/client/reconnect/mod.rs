// SPDX-License-Identifier: MIT OR Apache-2.0
//! Coming back after the end: a new socket under the same connection. Handles, queues, subscriptions and descriptors stay, ids
//! count on, and nothing that was sent before is sent again.
//!
//! Nothing here waits. A step is taken when its time has come or its descriptor is ready, by the I/O thread or in the caller's
//! loop, and the greeting and the reply to the negotiation are taken up by whoever reads them. A new socket is put in only while
//! both roles are at home, so that their holders never meet another one than they began with.

use std::io;
use std::mem;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use super::connect::fresh_handshake_id;
use super::connection::{Connection, Guard, Link, Outcome, Reader, State, first_framer};
use super::execute::check;
use super::failure::End;
use super::io_thread::{self, Registration};
use super::log::Level;
use super::options::Options;
use super::turns::Aftermath;
use crate::session::backoff::Backoff;
use crate::session::dialect::Opening;
use crate::session::events::{KIND_DISCONNECTED, KIND_RECONNECTED};
use crate::sys::epoll::Interest;
use crate::sys::peer::{self, Credentials};
use crate::sys::poll::{self, Direction};
use crate::sys::sync::Instant;
use crate::transport::{self, Attempt, Listener, Pending, Socket, Target};
use crate::wire::command::{self, Band};
use crate::wire::quote;

/// How long one attempt may take, from the connected socket to the reply to the negotiation.
const ATTEMPT: Duration = Duration::from_secs(10);
/// How long a new peer is left in peace before it is kicked, or asked anew.
const NUDGE: Duration = Duration::from_secs(1);
/// When a role is still out, or accepting fails.
const SOON: Duration = Duration::from_millis(2);

/// Where the next socket comes from.
pub(super) enum Way {
    Dial(Target),
    Accept(Listener),
}

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
    /// The listener's.
    registration: Option<Registration>,
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
    Accepting,
    Handshaking(Handshake),
    /// Given up.
    Over,
}

struct Handshake {
    /// Of the negotiation, or the sync, once it is under way.
    id: Option<u64>,
    until: Instant,
    nudge: Option<Instant>,
    /// What the peer had against it.
    refused: Option<String>,
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
            registration: None,
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
    }

    /// Until the next attempt, if there is to be one.
    fn pause(&self, state: &mut State, after: &mut Aftermath<'_>) {
        let Some(reconnecting) = &mut state.reconnecting else {
            return;
        };
        let now = Instant::now();
        if reconnecting.is_out_of_time() {
            return self.give_up_coming_back(state, after);
        }
        let mut due = None;
        reconnecting.phase = match reconnecting.way {
            Way::Dial(_) => {
                let pause = reconnecting
                    .backoff
                    .pause(reconnecting.attempts, fresh_handshake_id());
                reconnecting.attempts = reconnecting.attempts.saturating_add(1);
                // What the clock cannot hold is never.
                let until = now.checked_add(pause).unwrap_or(now);
                due = Some(until);
                Phase::Pausing { until }
            }
            Way::Accept(_) => Phase::Accepting,
        };
        let end = reconnecting.end_of_all();
        self.set_alarm(state, due.into_iter().chain(end).min(), after);
        if due.is_none() {
            self.listen_again(state, after);
        }
    }

    fn give_up_coming_back(&self, state: &mut State, after: &mut Aftermath<'_>) {
        let Some(reconnecting) = &mut state.reconnecting else {
            return;
        };
        reconnecting.phase = Phase::Over;
        let words = reconnecting.words();
        state.publish_end(&words, false, after);
        after.wakes |= state.asleep(!0);
        state.update_signal();
        self.set_alarm(state, None, after);
        after
            .notes
            .add(Level::Warn, || format!("given up: {words}"));
    }

    fn set_alarm(&self, state: &mut State, at: Option<Instant>, after: &mut Aftermath<'_>) {
        let set = match &state.own_loop {
            Some(own) => own
                .timer
                .set(at.map(|at| at.saturating_duration_since(Instant::now()))),
            None => at.map_or(Ok(()), |at| io_thread::set_alarm(self.weak_self(), at)),
        };
        if let Err(e) = set {
            after
                .notes
                .add(Level::Error, || format!("cannot set a timer: {e}"));
        }
    }

    /// Does what is due. Call without the lock and without a role.
    pub(super) fn tend(&self) {
        let mut after = Aftermath::new(self);
        let mut state = self.state.lock();
        let now = Instant::now();
        let roles_are_home = state.reader.is_some() && state.writer.is_some();
        let Some(reconnecting) = &mut state.reconnecting else {
            return;
        };
        let out_of_time = reconnecting.is_out_of_time();
        let end_of_all = reconnecting.end_of_all();
        match &mut reconnecting.phase {
            Phase::Up | Phase::Over | Phase::Trying => {}
            Phase::Pausing { .. } | Phase::Connecting { .. } | Phase::Accepting if out_of_time => {
                self.give_up_coming_back(&mut state, &mut after);
            }
            Phase::Pausing { until } if now < *until => {
                let due = [Some(*until), end_of_all].into_iter().flatten().min();
                self.set_alarm(&mut state, due, &mut after);
            }
            Phase::Pausing { .. } | Phase::Accepting if !roles_are_home => {
                self.set_alarm(&mut state, now.checked_add(SOON), &mut after);
            }
            Phase::Pausing { .. } => state = self.dial(state, &mut after),
            Phase::Connecting { pending, until, .. } => {
                let ready = poll::wait(
                    pending.as_fd(),
                    Direction::Write,
                    [None; 2],
                    Some(Duration::ZERO),
                );
                let over = now >= *until;
                match ready {
                    Ok(false) if over => {
                        self.fail_attempt(&mut state, "no connection in time", &mut after);
                    }
                    Ok(false) => self.await_pending(&mut state, &mut after),
                    Ok(true) => self.finish_dialling(&mut state, &mut after),
                    Err(e) => self.fail_attempt(&mut state, &e.to_string(), &mut after),
                }
            }
            Phase::Accepting => self.accept(&mut state, &mut after),
            Phase::Handshaking(_) => self.tend_handshake(&mut state, now, &mut after),
        }
        drop(self.flush(state, &mut after));
        after.wake();
        after.tell();
    }

    fn fail_attempt(&self, state: &mut State, why: &str, after: &mut Aftermath<'_>) {
        after.notes.add(Level::Debug, || {
            format!("an attempt to reconnect failed: {why}")
        });
        if let Some(reconnecting) = &mut state.reconnecting {
            why.clone_into(&mut reconnecting.why);
        }
        self.pause(state, after);
    }

    fn dial<'a>(&'a self, mut state: Guard<'a>, after: &mut Aftermath<'_>) -> Guard<'a> {
        let Some(Reconnecting {
            way: Way::Dial(target),
            phase,
            ..
        }) = state.reconnecting.as_deref_mut()
        else {
            return state;
        };
        *phase = Phase::Trying;
        let target = target.clone();
        drop(state);
        let attempt = transport::attempt(&target);
        let mut state = self.state.lock();
        if state.closed {
            return state;
        }
        match attempt {
            Ok(Attempt::Connected(socket)) => self.put_in(&mut state, socket, None, after),
            Ok(Attempt::InProgress(pending)) => {
                let until = Instant::now().checked_add(ATTEMPT);
                match (
                    self.new_registration(&state),
                    until,
                    &mut state.reconnecting,
                ) {
                    (Ok(registration), Some(until), Some(reconnecting)) => {
                        reconnecting.phase = Phase::Connecting {
                            pending,
                            registration,
                            until,
                        };
                        self.await_pending(&mut state, after);
                    }
                    (Err(e), ..) => self.fail_attempt(&mut state, &e.to_string(), after),
                    _ => {}
                }
            }
            Err(e) => self.fail_attempt(&mut state, &e.to_string(), after),
        }
        state
    }

    fn new_registration(&self, state: &State) -> io::Result<Registration> {
        match (&state.own_loop, self.shared_self()) {
            (Some(own), _) => Ok(Registration::own(own.clone())),
            (None, Some(this)) => io_thread::register(&this),
            // It is being dropped.
            (None, None) => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    fn await_pending(&self, state: &mut State, after: &mut Aftermath<'_>) {
        let Some(reconnecting) = state.reconnecting.as_deref_mut() else {
            return;
        };
        let end_of_all = reconnecting.end_of_all();
        let Phase::Connecting {
            pending,
            registration,
            until,
        } = &mut reconnecting.phase
        else {
            return;
        };
        let due = end_of_all.map_or(*until, |end| end.min(*until));
        match registration.arm(pending.as_fd(), WRITE) {
            Ok(()) => self.set_alarm(state, Some(due), after),
            Err(e) => self.fail_attempt(state, &e.to_string(), after),
        }
    }

    fn finish_dialling(&self, state: &mut State, after: &mut Aftermath<'_>) {
        let Some(reconnecting) = state.reconnecting.as_deref_mut() else {
            return;
        };
        match mem::replace(&mut reconnecting.phase, Phase::Trying) {
            Phase::Connecting {
                pending,
                registration,
                ..
            } => match pending.finish() {
                Ok(socket) => self.put_in(state, socket, Some(registration), after),
                Err(e) => self.fail_attempt(state, &e.to_string(), after),
            },
            other => reconnecting.phase = other,
        }
    }

    fn listen_again(&self, state: &mut State, after: &mut Aftermath<'_>) {
        let registered = match &state.reconnecting {
            Some(reconnecting) if reconnecting.registration.is_some() => Ok(None),
            _ => self.new_registration(state).map(Some),
        };
        let armed = registered.and_then(|fresh| match state.reconnecting.as_deref_mut() {
            Some(Reconnecting {
                way: Way::Accept(listener),
                registration,
                ..
            }) => {
                if fresh.is_some() {
                    *registration = fresh;
                }
                registration
                    .as_mut()
                    .map_or(Ok(()), |it| it.arm(listener.as_fd(), READ))
            }
            _ => Ok(()),
        });
        if let Err(e) = armed {
            after.notes.add(Level::Warn, || {
                format!("cannot wait for the VM to connect: {e}")
            });
            self.set_alarm(state, Instant::now().checked_add(NUDGE), after);
        }
    }

    fn accept(&self, state: &mut State, after: &mut Aftermath<'_>) {
        let Some(Reconnecting {
            way: Way::Accept(listener),
            ..
        }) = state.reconnecting.as_deref()
        else {
            return;
        };
        match listener.accept().and_then(Socket::accepted) {
            Ok(socket) => self.put_in(state, socket, None, after),
            Err(e) => {
                if e.kind() != io::ErrorKind::WouldBlock {
                    after
                        .notes
                        .add(Level::Warn, || format!("cannot accept the VM: {e}"));
                    return self.set_alarm(state, Instant::now().checked_add(NUDGE), after);
                }
                let end = state.reconnecting.as_ref().and_then(|it| it.end_of_all());
                self.set_alarm(state, end, after);
                self.listen_again(state, after);
            }
        }
    }

    /// A new socket. Both roles are at home.
    fn put_in(
        &self,
        state: &mut State,
        socket: Socket,
        registration: Option<Registration>,
        after: &mut Aftermath<'_>,
    ) {
        let link: Link = Arc::new(socket);
        if let Err(e) = self.check_peer(&*link) {
            return self.fail_attempt(state, &e.message, after);
        }
        let registration = match registration.map_or_else(|| self.new_registration(state), Ok) {
            Ok(registration) => registration,
            Err(e) => return self.fail_attempt(state, &e.to_string(), after),
        };
        let framer = first_framer(self.dialect, self.max_message_bytes);
        state.reader = Some(Box::new(Reader {
            framer,
            link: link.clone(),
        }));
        state.writer = Some(link.clone());
        state.link = link;
        state.last_end = state.end.take();
        state.blocked = false;
        state.send_error = None;
        state.session.restart(self.dialect);
        state.late.forget();
        state.idle.registration = Some(registration);
        state.idle.armed = None;
        state.idle.watched = false;
        let now = Instant::now();
        let id = match self.dialect.opening {
            Opening::Greeting { .. } => None,
            Opening::Sync { command } => {
                let number = fresh_handshake_id();
                state.session.sync(command, number, number);
                Some(number)
            }
        };
        if let Some(reconnecting) = &mut state.reconnecting {
            let nudge = now.checked_add(NUDGE);
            reconnecting.phase = Phase::Handshaking(Handshake {
                id,
                until: now.checked_add(ATTEMPT).unwrap_or(now),
                nudge,
                refused: None,
            });
            self.set_alarm(state, nudge, after);
        }
        // Whoever waits may read it.
        after.wakes |= state.asleep(!0);
        self.arm(state);
    }

    fn tend_handshake(&self, state: &mut State, now: Instant, after: &mut Aftermath<'_>) {
        let Some(reconnecting) = state.reconnecting.as_deref_mut() else {
            return;
        };
        let Phase::Handshaking(handshake) = &mut reconnecting.phase else {
            return;
        };
        if let Some(words) = handshake.refused.take() {
            return self.finish(state, End::Refused(words), after);
        }
        if now >= handshake.until {
            return self.finish(state, End::Silent(ATTEMPT), after);
        }
        if handshake.nudge.is_some_and(|at| now >= at) {
            handshake.nudge = None;
            match (self.dialect.opening, &reconnecting.way) {
                (Opening::Greeting { .. }, Way::Dial(target)) => transport::kick(target),
                (Opening::Greeting { .. }, Way::Accept(_)) => {}
                (Opening::Sync { command }, _) => {
                    let number = fresh_handshake_id();
                    handshake.id = Some(number);
                    handshake.nudge = now.checked_add(NUDGE);
                    state.session.sync(command, number, number);
                }
            }
        }
        let due = state.due();
        self.set_alarm(state, due, after);
    }

    /// After reading: what a handshake under way needs next. The lock is not held.
    pub(super) fn carry_on_handshake(&self, after: &mut Aftermath<'_>) {
        let mut state = self.state.lock();
        if state.is_handshaking() {
            self.tend_handshake(&mut state, Instant::now(), after);
            drop(self.flush(state, after));
        }
    }

    /// The greeting of a new link.
    pub(super) fn greeted_again(&self, state: &mut State) {
        let Opening::Greeting { negotiation } = self.dialect.opening else {
            return;
        };
        let Some(reconnecting) = &mut state.reconnecting else {
            return;
        };
        let Phase::Handshaking(handshake) = &mut reconnecting.phase else {
            return;
        };
        let offered = state
            .session
            .greeting
            .as_ref()
            .is_some_and(|it| it.offers("oob"));
        let wanted = reconnecting.wants_out_of_band && offered;
        let arguments = check(negotiation, wanted.then_some("{\"enable\": [\"oob\"]}"));
        let id = fresh_handshake_id();
        let bytes = arguments
            .ok()
            .and_then(|it| command::encode(Band::InBand, negotiation, it.as_ref(), id));
        match bytes {
            Some(bytes) => {
                handshake.id = Some(id);
                state.session.pending.submit(id, bytes, id, false);
            }
            None => handshake.refused = Some("no memory".to_owned()),
        }
    }
}

const READ: Interest = Interest {
    read: true,
    write: false,
    end: false,
};
const WRITE: Interest = Interest {
    read: false,
    write: true,
    end: false,
};

impl Reconnecting {
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
        let gone = |it: &Reconnecting| matches!(it.phase, Phase::Over);
        self.closed || (self.end.is_some() && self.reconnecting.as_deref().is_none_or(gone))
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

    /// How that session ended. None: it has not.
    pub(super) fn end_of(&self, epoch: u64) -> Option<&End> {
        if self.epoch == epoch && !self.is_handshaking() {
            self.end.as_ref()
        } else {
            self.end.as_ref().or(self.last_end.as_ref())
        }
    }

    /// When [`Connection::tend`] has something to do without a descriptor telling.
    pub(super) fn due(&self) -> Option<Instant> {
        let reconnecting = self.reconnecting.as_deref()?;
        let due = match &reconnecting.phase {
            Phase::Up | Phase::Trying | Phase::Over => return None,
            Phase::Pausing { until } | Phase::Connecting { until, .. } => Some(*until),
            Phase::Accepting => None,
            Phase::Handshaking(it) => return it.nudge.into_iter().chain([it.until]).min(),
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

    pub(super) fn is_handshake(&self, id: u64) -> bool {
        let Some(Phase::Handshaking(handshake)) = self.reconnecting.as_deref().map(|it| &it.phase)
        else {
            return false;
        };
        handshake.id == Some(id)
    }

    /// The outcome of the negotiation, or the sync.
    pub(super) fn handshake_answered(&mut self, outcome: Outcome, after: &mut Aftermath<'_>) {
        let peer = self.link.peer().map(Peer::of);
        let Some(reconnecting) = self.reconnecting.as_deref_mut() else {
            return;
        };
        let Phase::Handshaking(handshake) = &mut reconnecting.phase else {
            return;
        };
        if outcome.is_err() {
            handshake.refused = Some("it refused the handshake".to_owned());
            return;
        }
        let offered = self
            .session
            .greeting
            .as_ref()
            .is_some_and(|it| it.offers("oob"));
        if reconnecting.wants_out_of_band && offered {
            self.session.pending.allow_out_of_band();
        }
        reconnecting.phase = Phase::Up;
        let down = reconnecting.down.elapsed().as_millis();
        let before = mem::replace(&mut reconnecting.peer, peer);
        let pid = peer.map_or("null".to_owned(), |peer| peer.pid.to_string());
        let another = match (before, peer) {
            (Some(before), Some(peer)) => {
                if before == peer {
                    "false"
                } else {
                    "true"
                }
            }
            _ => "null",
        };
        self.epoch += 1;
        let data = format!(
            "{{\"epoch\": {}, \"pid\": {pid}, \"another-process\": {another}, \"down-ms\": {down}}}",
            self.epoch
        );
        self.publish_own(KIND_RECONNECTED, "RECONNECTED", &data, after);
        after
            .notes
            .add(Level::Info, || format!("connected again: {data}"));
        after.wakes |= self.asleep(!0);
        self.update_signal();
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
