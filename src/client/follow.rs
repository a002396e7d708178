// SPDX-License-Identifier: MIT OR Apache-2.0
//! Waiting for a certain event: one that may have come already, or one that a command brings about.

use super::connection::{Connection, EVENTS};
use super::wait::Wait;
use crate::error::{Error, Result, Status};
use crate::session::events::{Event, KIND_VM, NoMemory};
use crate::session::filter::Filter;
use crate::sys::text::Text;

/// As many as may come before anybody looks: the first of them is wanted.
const CAPACITY: usize = 4096;

impl Connection {
    /// The oldest event in the queue that the filter takes, or the next that comes. The others stay
    /// where they are.
    pub fn wait_event(&self, filter: &Filter, wait: &Wait<'_>) -> Result<Event> {
        let found = self.wait(wait, EVENTS, |state| {
            if state.closed {
                return None;
            }
            match state.session.events.take_where(&|view| filter.takes(view)) {
                Ok(Some(event)) => {
                    state.update_signal();
                    Some(Ok(event))
                }
                Ok(None) => {
                    let end = state.end.as_ref().filter(|_| state.is_over())?;
                    Some(Err(self.no_more_events(end, &state.session.power.words())))
                }
                Err(NoMemory) => Some(Err(self.no_memory_for_an_event())),
            }
        });
        found.unwrap_or_else(|stop| {
            let attempted = format!("a certain event from {}", self.address);
            Err(self.early(&attempted, stop, wait, "it did not come"))
        })
    }

    /// A command's reply, and the first event from its sending on that the filter takes.
    pub fn execute_and_wait(
        &self,
        name: &str,
        arguments: Option<&str>,
        filter: Filter,
        wait: &Wait<'_>,
    ) -> Result<(Text, Event)> {
        // Command and event are of one session.
        let session = self.await_session(name, wait)?;
        let subscription = self.subscribe(filter, CAPACITY)?;
        let _gone = Unsubscribe(self, subscription);
        let reply = self.execute(name, arguments, &wait.within(session))?;
        let event = self.poll_subscription(subscription, wait);
        match event {
            Ok(event) if event.kind == KIND_VM => Ok((reply, event)),
            Ok(_) => Err(self.unfollowed(name, Status::Disconnected, "the connection ended")),
            Err(error) => Err(self.unfollowed(name, error.status, &error.message)),
        }
    }

    fn unfollowed(&self, name: &str, status: Status, why: &str) -> Error {
        let at = format!("{name} on {}", self.address);
        Error::new(
            status,
            format!("{at}: it was answered, but the event did not follow: {why}"),
        )
        .with_command(name)
        .with_outcome_unknown(true)
    }
}

struct Unsubscribe<'a>(&'a Connection, u64);

impl Drop for Unsubscribe<'_> {
    fn drop(&mut self) {
        self.0.unsubscribe(self.1);
    }
}
