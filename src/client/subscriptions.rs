// SPDX-License-Identifier: MIT OR Apache-2.0
//! Several consumers of one connection's events, each with its own filter, queue and descriptor.

use std::sync::Arc;

use super::callbacks::{Callback, Job, Place};
use super::connection::{Connection, EVENTS, State};
use super::signal::Signal;
use super::turns::Aftermath;
use super::wait::Wait;
use crate::error::{Error, Result, Status};
use crate::session::events::{Event, EventQueue, NoMemory};
use crate::session::filter::Filter;
use crate::wire::message::EventView;

pub(super) struct Subscription {
    id: u64,
    filter: Filter,
    queue: EventQueue,
    signal: Signal,
    callback: Option<Attached>,
}

/// A callback takes the events instead of polls.
struct Attached {
    callback: Arc<dyn Callback<Event>>,
    place: Place,
    /// A job for it is under way or being done, so there is no second.
    busy: bool,
}

/// So many events, and it is the others' turn.
const EVENTS_PER_TURN: usize = 64;

impl Connection {
    /// Events that come from now on. Gives the subscription's number.
    pub fn subscribe(&self, filter: Filter, capacity: usize) -> Result<u64> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(self.closed("a subscription"));
        }
        if let Some(end) = state.end.as_ref().filter(|_| state.is_over()) {
            return Err(self.ended("a subscription", end));
        }
        state.last_subscription += 1;
        let id = state.last_subscription;
        state.subscriptions.push(Subscription {
            id,
            filter,
            queue: EventQueue::new(capacity, self.event_bytes()),
            signal: Signal::default(),
            callback: None,
        });
        Ok(id)
    }

    pub fn unsubscribe(&self, id: u64) {
        let mut after = Aftermath::new(self);
        let mut state = self.state.lock();
        let at = state.subscriptions.iter().position(|other| other.id == id);
        let gone = at.map(|at| state.subscriptions.swap_remove(at));
        self.nudge(&mut state, EVENTS, &mut after);
        state.update_signal();
        drop(state);
        drop(gone); // a callback's owner may do anything when it goes
    }

    pub fn poll_subscription(&self, id: u64, wait: &Wait<'_>) -> Result<Event> {
        let found = self.wait_nudged(wait, EVENTS, |state| {
            if state.closed {
                return None;
            }
            let taken = match state.subscription(id) {
                Some(subscription) if subscription.callback.is_some() => {
                    return Some(Err(Error::invalid(
                        "the subscription's events go to its callback",
                    )));
                }
                Some(subscription) => subscription.queue.take(),
                None => return Some(Err(unsubscribed())),
            };
            let open = !state.is_over();
            match taken {
                Ok(None) if open => None,
                Ok(None) => {
                    let end = state.end.as_ref()?;
                    Some(Err(self.no_more_events(end, &state.session.power.words())))
                }
                Ok(Some(event)) => {
                    state.update_signal();
                    Some(Ok(event))
                }
                Err(NoMemory) => Some(Err(self.no_memory_for_an_event())),
            }
        });
        found.unwrap_or_else(|stop| {
            Err(self.early(
                &format!("an event from {}", self.address),
                stop,
                wait,
                "none came",
            ))
        })
    }

    pub fn subscription_descriptor(&self, id: u64) -> Result<i32> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(self.closed("the subscription's descriptor"));
        }
        let over = state.is_over();
        let subscription = state.subscription(id).ok_or_else(unsubscribed)?;
        let wanted = over || !subscription.queue.is_empty();
        subscription.signal.descriptor(wanted)
    }

    /// Gives the subscription's events to a callback, those too that have come already.
    pub fn attach(
        self: &Arc<Self>,
        id: u64,
        place: Place,
        callback: Arc<dyn Callback<Event>>,
    ) -> Result<()> {
        if place == Place::Library {
            self.refuse_if_driven()?;
            super::callbacks::start()
                .map_err(|e| Error::os("start the library's callback thread", &e))?;
        }
        let mut after = Aftermath::new(self);
        let mut state = self.state.lock();
        if state.closed {
            return Err(self.closed("the subscription's callback"));
        }
        let subscription = state.subscription(id).ok_or_else(unsubscribed)?;
        if subscription.callback.is_some() {
            return Err(Error::invalid("the subscription has a callback already"));
        }
        subscription.callback = Some(Attached {
            callback,
            place,
            busy: false,
        });
        subscription.call(&mut after);
        self.nudge(&mut state, EVENTS, &mut after);
        state.update_signal();
        Ok(())
    }

    /// Calls back for what has come, event by event and without the lock. After a turn's worth it
    /// is for others to be called first.
    pub(super) fn call_subscriber(&self, id: u64) {
        let mut after = Aftermath::new(self);
        for called in 0..=EVENTS_PER_TURN {
            let mut state = self.state.lock();
            let subscription = state.subscription(id);
            let next = subscription.and_then(|it| it.next_call(called, &mut after));
            state.update_signal();
            drop(state);
            match next {
                Some((callback, event)) => callback.call(event),
                None => return,
            }
        }
    }

    /// Calls back on this thread, unless another one does or nothing is left to do.
    pub(super) fn dispatch_subscriber(&self, id: u64) {
        let mut state = self.state.lock();
        let due = state.subscription(id).filter(|it| it.awaits_dispatch());
        let Some(attached) = due.and_then(|it| it.callback.as_mut()) else {
            return;
        };
        attached.busy = true;
        drop(state);
        self.call_subscriber(id);
    }
}

impl Subscription {
    fn awaits_dispatch(&self) -> bool {
        let waits = |a: &Attached| a.place == Place::Dispatch && !a.busy;
        self.callback.as_ref().is_some_and(waits) && !self.queue.is_empty()
    }

    /// The next call of a turn. None: the turn is over.
    fn next_call(
        &mut self,
        called: usize,
        after: &mut Aftermath<'_>,
    ) -> Option<(Arc<dyn Callback<Event>>, Event)> {
        let attached = self.callback.as_mut()?;
        if called < EVENTS_PER_TURN {
            // When memory is short it goes on with the next event that comes.
            if let Ok(Some(event)) = self.queue.take() {
                return Some((attached.callback.clone(), event));
            }
            attached.busy = false;
        } else {
            attached.busy = false;
            self.call(after);
        }
        None
    }

    pub(super) fn trim(&mut self) {
        self.queue.trim();
    }

    /// Nothing comes any more. The descriptor stays as long as the handle.
    pub(super) fn close(&mut self) -> Option<impl Sized + use<>> {
        self.queue = EventQueue::new(0, 0);
        self.callback.take()
    }

    /// Has the library's thread call, if it is to and does not already.
    fn call(&mut self, after: &mut Aftermath<'_>) {
        let Some(attached) = &mut self.callback else {
            return;
        };
        if attached.place == Place::Library && !attached.busy && !self.queue.is_empty() {
            attached.busy = true;
            after.jobs.push(Job::Subscription(self.id));
        }
    }
}

impl State {
    pub(super) fn publish(&mut self, view: &EventView<'_>, after: &mut Aftermath<'_>) {
        for subscription in &mut self.subscriptions {
            if subscription.filter.takes(view) {
                subscription.queue.push(view);
                subscription.call(after);
            }
        }
    }

    /// An event of the library's own, for every subscription, whatever its filter. The client's own queue has it too where the
    /// connection lives on after its end; else polling tells.
    pub(super) fn publish_own(
        &mut self,
        kind: i32,
        name: &str,
        data: &str,
        after: &mut Aftermath<'_>,
    ) {
        let json = format!("{{\"event\": \"{name}\", \"data\": {data}}}");
        let at = json.len() - 1 - data.len();
        let view = EventView {
            name: name.into(),
            json: &json,
            data: json.get(at..json.len() - 1),
            timestamp: None,
        };
        for subscription in &mut self.subscriptions {
            subscription.queue.push_own(kind, &view);
            subscription.call(after);
        }
        if self.reconnecting.is_some() {
            self.session.events.push_own(kind, &view);
            after.wakes |= self.asleep(EVENTS);
        }
        self.update_signal();
    }

    fn subscription(&mut self, id: u64) -> Option<&mut Subscription> {
        let mut all = self.subscriptions.iter_mut();
        all.find(|subscription| subscription.id == id)
    }

    pub(super) fn to_dispatch(&self) -> impl Iterator<Item = u64> {
        let due = self.subscriptions.iter().filter(|it| it.awaits_dispatch());
        due.map(|it| it.id)
    }

    /// The subscriptions' part of [`State::update_signal`].
    pub(super) fn update_subscribers(&mut self) {
        let over = self.is_over();
        for subscription in &mut self.subscriptions {
            let wanted = over || !subscription.queue.is_empty();
            subscription.signal.show(wanted);
        }
    }
}

fn unsubscribed() -> Error {
    Error::new(Status::Closed, "the subscription was freed meanwhile")
}
