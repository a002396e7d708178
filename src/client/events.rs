// SPDX-License-Identifier: MIT OR Apache-2.0
//! Events, polled.

use super::connection::{Connection, EVENTS};
use super::failure::End;
use super::wait::Wait;
use crate::error::{Error, Result, Status};
use crate::session::events::{Event, NoMemory};

impl Connection {
    /// The oldest event. What was received before the connection ended can still be polled.
    pub fn poll_event(&self, wait: &Wait<'_>) -> Result<Event> {
        let what = "an event";
        let found = self.wait(wait, EVENTS, |state| {
            if state.closed {
                return None;
            }
            match state.session.events.take() {
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
        match found {
            Ok(found) => found,
            Err(stop) => Err(self.early(
                &format!("{what} from {}", self.address),
                stop,
                wait,
                "none came",
            )),
        }
    }

    pub(super) fn no_more_events(&self, end: &End, power: &str) -> Error {
        let mut error = self.ended("no more events", end);
        if self.options.dialect.is_monitor() {
            error.message = format!("{} ({power})", error.message);
        }
        error
    }

    pub(super) fn no_memory_for_an_event(&self) -> Error {
        let address = &self.address;
        Error::new(
            Status::Resource,
            format!("an event from {address}: no memory for it; it can still be polled"),
        )
        .with_errno(libc::ENOMEM)
    }
}
