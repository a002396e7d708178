// SPDX-License-Identifier: MIT OR Apache-2.0
//! Events, polled.

use super::connection::{Connection, EVENTS};
use super::failure::End;
use super::wait::Wait;
use crate::error::Result;
use crate::session::events::Event;

impl Connection {
    /// The oldest event. What was received before the connection ended can still be polled.
    pub fn poll_event(&self, wait: &Wait<'_>) -> Result<Event> {
        let what = "an event";
        let found = self.wait(wait, EVENTS, |state| {
            if state.closed {
                return None;
            }
            if let Some(event) = state.session.events.take() {
                state.update_signal();
                return Some(Ok(event));
            }
            let end = state.end.as_ref()?;
            Some(Err((end.clone(), state.session.power.words())))
        });
        match found {
            Ok(Ok(event)) => Ok(event),
            Ok(Err((end, power))) => Err(self.no_more_events(&end, &power)),
            Err(stop) => Err(self.early(
                &format!("{what} from {}", self.address),
                stop,
                wait,
                "none came",
            )),
        }
    }

    fn no_more_events(&self, end: &End, power: &str) -> crate::error::Error {
        let mut error = self.ended("no more events", end);
        if self.dialect.is_monitor() {
            error.message = format!("{} ({power})", error.message);
        }
        error
    }
}
