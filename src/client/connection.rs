// SPDX-License-Identifier: MIT OR Apache-2.0
//! A connection and its state: everything that the threads which call on it share.
//!
//! There is one lock, `state`, held for short steps: never across a system call that could wait,
//! a callback, or another lock. What needs the socket for longer is a role, which one thread
//! holds: the reader owns the framer, the writer sets `writing`. See `turns`.

use std::collections::VecDeque;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock, Weak};

use super::failure::{End, Failure};
use super::io_thread::{self, Registration};
use super::late::Expected;
use super::lock::Lock;
use super::log::Log;
use super::options::Options;
use super::own_loop::OwnLoop;
use super::reader::Reader;
use super::reconnect::{Last, Reconnecting};
use super::record::Recorder;
use super::requests::Watchers;
use super::signal::Signal;
use super::subscriptions::Subscription;
use super::turns::Aftermath;
use crate::error::{self, Error};
use crate::session::Session;
use crate::session::events::EventQueue;
use crate::session::pending::Fate;
use crate::sys::epoll::Interest;
use crate::sys::eventfd::EventFd;
use crate::sys::fork::Before;
use crate::sys::futex::SleepWord;
use crate::sys::sync::MutexGuard;
use crate::sys::text::Text;
use crate::transport::{Socket, Transport};
use crate::wire::transcript::{CLOSED, Entry};

/// A low limit for messages does not make the queue of events forget.
const LEAST_EVENT_BYTES: usize = 4 << 20;

/// How a command ended: the raw text of its `return`, or why there is none.
pub type Outcome = Result<Text, Failure>;

pub struct Connection {
    /// Itself, for the threads that work for it.
    this: Weak<Connection>,
    /// For messages.
    pub(super) address: Arc<str>,
    pub(super) log: Log,
    pub(super) recorder: Option<Box<Recorder>>,
    pub options: Arc<Options>,
    /// The socket was given: others may have copies of it and change its mode.
    pub(super) shared: bool,
    before: Before,
    /// As the state has it: read without the lock.
    pub(super) has_deferred: AtomicBool,
    /// A byte has come.
    pub(super) heard: AtomicBool,
    /// Where callers sleep.
    pub(super) word: Arc<SleepWord>,
    /// Wakes the reader where it waits for the socket. Made when first needed.
    pub(super) nudge: OnceLock<EventFd>,
    pub(super) state: Lock<State>,
}

pub(super) type Guard<'a> = MutexGuard<'a, State>;

/// The marks under which threads sleep while another one reads: one for whoever waits for an event
/// or the end, the others for callers by the ids of their commands.
pub(super) const EVENTS: u32 = 1 << 31;

pub(super) fn mark_of(id: u64) -> u32 {
    1 << (id % 31)
}

pub(super) type Link = Arc<dyn Transport>;

pub struct State {
    /// What waits for a reply is the id of its command.
    pub session: Session<u64>,
    /// The connected socket, or what was left of it when it ended.
    pub(super) link: Link,
    /// The reader role: there while nobody reads.
    pub(super) reader: Option<Reader>,
    /// The writer role: there while nobody writes.
    pub(super) writer: Option<Link>,
    /// The errno that sending failed with: what is left is to read what has come.
    pub(super) send_error: Option<i32>,
    /// Something is queued that waits for company.
    pub(super) deferred: bool,
    /// The socket takes no more; the I/O thread sends the rest when it does.
    pub(super) blocked: bool,
    /// `nudge` is set.
    pub(super) nudged: bool,
    /// The marks of those who sleep while another one reads.
    pub(super) parked: Vec<u32>,
    /// What goes with the first byte of a command that is still to be sent.
    pub(super) descriptors: Vec<(u64, OwnedFd)>,
    /// Outcomes that their callers have not picked up yet, by their ids.
    pub(super) done: VecDeque<(u64, Outcome)>,
    /// Commands whose late replies somebody wants to see.
    pub(super) late: Expected,
    /// Of the link. Another may follow.
    pub(super) end: Option<Box<End>>,
    pub(super) last: Option<Box<Last>>,
    /// Counts the sessions of the connection from 1.
    pub(super) epoch: u64,
    pub(super) reconnecting: Option<Box<Reconnecting>>,
    /// By `close`: every call ends.
    pub(super) closed: bool,
    /// `close` sleeps until the writer role is at home.
    pub(super) leaving: bool,
    pub(super) idle: Idle,
    /// What `qmp_poll_event` looks at.
    signal: Signal,
    pub(super) subscriptions: Vec<Subscription>,
    pub(super) last_subscription: u64,
    pub(super) watchers: Watchers,
    pub(super) dispatch_signal: Signal,
    pub(super) own_loop: Option<Arc<OwnLoop>>,
    /// In the caller's loop: [`Connection::process`] is at it.
    pub(super) processed: bool,
    /// In the caller's loop: there is something to do that the socket does not tell.
    pub(super) work: Signal,
}

/// What the I/O thread does for the connection while no caller reads.
pub(super) struct Idle {
    pub registration: Option<Registration>,
    /// What it waits for. None: nothing, it fired or was never armed.
    pub armed: Option<Interest>,
    /// The I/O thread looks at this connection at every tick, and arms it when it is quiet.
    pub watched: bool,
    /// How often the reader role was taken, and how often when the I/O thread looked last.
    pub activity: u64,
    pub seen: u64,
}

impl Connection {
    /// `shared`: others may have copies of the socket. `before`: a moment before it was opened.
    pub(super) fn new(
        socket: Socket,
        shared: bool,
        before: Before,
        address: String,
        options: &Arc<Options>,
        recorder: Option<Recorder>,
    ) -> Arc<Connection> {
        let link: Link = Arc::new(socket);
        let events = EventQueue::new(
            options.event_capacity,
            options.max_message_bytes.max(LEAST_EVENT_BYTES),
        );
        let address: Arc<str> = address.into();
        Arc::new_cyclic(|this| Connection {
            this: this.clone(),
            log: Log::new(options.clone(), address.clone()),
            recorder: recorder.map(Box::new),
            address,
            options: options.clone(),
            shared,
            before,
            has_deferred: AtomicBool::new(false),
            heard: AtomicBool::new(false),
            word: Arc::default(),
            nudge: OnceLock::new(),
            state: Lock::new(State {
                session: Session::new(options.dialect, events),
                reader: Some(Reader::first(
                    link.clone(),
                    options.dialect,
                    options.max_message_bytes,
                )),
                writer: Some(link.clone()),
                link,
                deferred: false,
                blocked: false,
                send_error: None,
                nudged: false,
                parked: Vec::new(),
                descriptors: Vec::new(),
                done: VecDeque::new(),
                late: Expected::new(options.late_reply.is_some()),
                end: None,
                last: None,
                epoch: 1,
                reconnecting: None,
                closed: false,
                leaving: false,
                idle: Idle {
                    registration: None,
                    armed: None,
                    watched: false,
                    activity: 0,
                    seen: 0,
                },
                signal: Signal::default(),
                subscriptions: Vec::new(),
                last_subscription: 0,
                watchers: Watchers::default(),
                dispatch_signal: Signal::default(),
                own_loop: None,
                processed: false,
                work: Signal::default(),
            }),
        })
    }

    /// From here on the I/O thread reads whatever comes while nobody calls.
    pub(super) fn register(self: &Arc<Self>) -> error::Result<()> {
        if self.options.own_loop {
            return self.begin_own_loop();
        }
        let mut state = self.state.lock();
        if state.end.is_some() {
            // Its end would be reported for ever.
            return Ok(());
        }
        let registration = io_thread::register(self)
            .map_err(|e| Error::os("start the library's I/O thread", &e))?;
        state.idle.registration = Some(registration);
        state.idle.watched = true;
        if let Some(reader) = &mut state.reader {
            reader.release();
        }
        Ok(())
    }

    /// The end of the link: whoever waits is told, what was received stays readable.
    pub(super) fn finish(&self, state: &mut State, end: End, after: &mut Aftermath<'_>) {
        if state.end.is_some() {
            return;
        }
        let farewell_counts = end.is_the_peers();
        if self.recorder.is_some() && !state.closed {
            after.ended = Some(end.words());
        }
        if state.reconnecting.is_none() {
            state.publish_end(&end.words(), false, after);
        }
        state.set_end(end.clone());
        self.settle(state, after, |fate| match fate {
            Fate::Done if farewell_counts => None,
            Fate::Done => Some(Failure::Ended(Fate::Unknown)),
            other => Some(Failure::Ended(other)),
        });
        self.let_go(state);
        if !state.closed {
            self.begin_coming_back(state, &end, after);
        }
    }

    /// Ends every call on the connection, now and later.
    pub fn close(self: &Arc<Self>) {
        let mut after = Aftermath::new(self);
        let mut state = self.send_last(&mut after);
        state.closed = true;
        // With nobody inside, be it in a logger, and no copy anywhere, closing the descriptor, which
        // the last owner does, does it all. New owners cannot come: the handle is gone.
        let busy = Arc::strong_count(self) > 1;
        let copied = self.shared || self.before.has_forked_since();
        self.settle(&mut state, &mut after, |fate| Some(Failure::Closed(fate)));
        if busy || copied {
            self.let_go(&mut state);
        }
        state.idle.registration = None;
        let end = state.end.as_ref().filter(|_| self.recorder.is_some());
        let ended = end.map_or(CLOSED.into(), |end| end.words().into());
        let listener = self.stop_coming_back(&mut state, &mut after);
        let callbacks: Vec<_> = state
            .subscriptions
            .iter_mut()
            .map(Subscription::close)
            .collect();
        state.update_signal();
        drop(state);
        after.wake();
        drop(callbacks); // their owners may do anything when they go
        drop(listener);
        self.record(&mut after.notes, || Entry::Ended(ended));
        after.tell();
        self.call_last_requesters();
    }

    /// Ends the socket, which wakes the threads that wait in it, and the I/O thread's interest.
    fn let_go(&self, state: &mut State) {
        if let Some(registration) = state.idle.registration.take() {
            registration.remove(state.link.as_fd());
        }
        state.link.shutdown();
    }

    /// Gives each waiting command its outcome; no failure: a success without a reply.
    fn settle(
        &self,
        state: &mut State,
        after: &mut Aftermath<'_>,
        failure: impl Fn(Fate) -> Option<Failure>,
    ) {
        let ended: Vec<_> = state.session.pending.end().collect();
        for (id, fate) in ended {
            if state.is_handshake(id) {
                continue;
            }
            let outcome = match failure(fate) {
                Some(failure) => Err(failure),
                None => Text::copy("{}").ok_or(Failure::NoMemory),
            };
            state.add_outcome(id, outcome);
            state.tell_watchers(id, after);
        }
        let unsent = state
            .descriptors
            .drain(..)
            .map(|(_, descriptor)| descriptor);
        after.descriptors.extend(unsent);
        after.wakes |= state.asleep(!0);
        state.update_signal();
    }

    /// A descriptor that is readable while a call for an event would not wait.
    pub fn event_descriptor(&self) -> error::Result<i32> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(self.closed("the event descriptor"));
        }
        let wanted = state.wants_poll();
        state.signal.descriptor(wanted)
    }

    /// What the events of one queue may need together.
    pub(super) fn event_bytes(&self) -> usize {
        self.options.max_message_bytes.max(LEAST_EVENT_BYTES)
    }

    pub(super) fn weak_self(&self) -> Weak<Connection> {
        self.this.clone()
    }

    pub(super) fn shared_self(&self) -> Option<Arc<Connection>> {
        self.this.upgrade()
    }
}

#[cfg(test)]
impl Connection {
    /// Whether the event descriptor gets readable within this time, None for ever.
    pub(super) fn event_is_signalled(&self, time: impl Into<Option<std::time::Duration>>) -> bool {
        self.event_descriptor().unwrap();
        let copy = self.state.lock().signal.copy();
        crate::sys::poll::wait(
            copy.as_fd(),
            crate::sys::poll::Direction::Read,
            [None, None],
            time.into(),
        )
        .unwrap()
    }
}

impl State {
    fn wants_poll(&self) -> bool {
        !self.session.events.is_empty() || self.is_over()
    }

    /// Keeps the event descriptors readable exactly while an event, or the end, is there to be
    /// polled. Costs a system call only when that changes.
    pub(super) fn update_signal(&mut self) {
        let wanted = self.wants_poll();
        self.signal.show(wanted);
        self.update_subscribers();
        self.update_dispatch();
    }

    /// What the I/O thread has to wait for while nobody reads.
    pub(super) fn wanted_interest(&self) -> Interest {
        Interest {
            read: self.reader.is_some(),
            write: self.blocked,
            end: false,
        }
    }

    pub(super) fn take_outcome(&mut self, id: u64) -> Option<Outcome> {
        let taken = match self.place_of_outcome(id)? {
            0 => self.done.pop_front(),
            at => self.done.remove(at),
        };
        taken.map(|(_, outcome)| outcome)
    }

    pub(super) fn add_outcome(&mut self, id: u64, outcome: Outcome) {
        match self.done.back() {
            Some((last, _)) if *last > id => {
                let at = self.done.partition_point(|(done, _)| *done < id);
                self.done.insert(at, (id, outcome));
            }
            _ => self.done.push_back((id, outcome)),
        }
    }

    fn place_of_outcome(&self, id: u64) -> Option<usize> {
        // As a rule it is the first that has come.
        if self.done.front()?.0 == id {
            return Some(0);
        }
        let at = self.done.partition_point(|(done, _)| *done < id);
        (self.done.get(at)?.0 == id).then_some(at)
    }

    pub(super) fn take_descriptor(&mut self, id: u64) -> Option<OwnedFd> {
        let at = self
            .descriptors
            .iter()
            .position(|(other, _)| *other == id)?;
        Some(self.descriptors.swap_remove(at).1)
    }

    pub(super) fn has_outcome(&self, id: u64) -> bool {
        self.place_of_outcome(id).is_some()
    }

    /// Of these marks, those under which somebody sleeps. Whoever is awake looks by itself.
    pub(super) fn asleep(&self, marks: u32) -> u32 {
        self.parked.iter().fold(0, |all, parked| all | parked) & marks
    }

    pub(super) fn is_ended(&self) -> bool {
        self.closed || self.end.is_some()
    }
}
