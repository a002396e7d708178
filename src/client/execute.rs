// SPDX-License-Identifier: MIT OR Apache-2.0
//! One command and its reply.

use super::connection::{Connection, State, mark_of};
use super::failure::End;
use super::log::Level;
use super::turns::Aftermath;
use super::wait::{Stop, Wait};
use crate::error::{Error, Result, Status};
use crate::session::pending::Abandoned;
use crate::sys::text::Text;
use crate::wire::command::{self, Arguments, BadArguments, Band};
use crate::wire::redact::redact;

impl Connection {
    /// The raw text of the reply's `return`. A command whose deadline has passed already, or whose
    /// token is triggered, is not sent.
    pub fn execute(&self, name: &str, arguments: Option<&str>, wait: &Wait<'_>) -> Result<Text> {
        command::check_name(name).map_err(|bad| {
            Error::invalid(format!("\"{}\": {bad}", excerpt(name))).with_command(name)
        })?;
        let arguments = arguments
            .map(Arguments::parse)
            .transpose()
            .map_err(|bad| unsendable(name, bad))?;
        let id = self.submit(name, arguments.as_ref(), None, wait)?;
        self.reply(name, id, wait)
    }

    /// Queues the command and sends what the socket takes. `id`: None for the next number.
    pub(super) fn submit(
        &self,
        name: &str,
        arguments: Option<&Arguments>,
        id: Option<u64>,
        wait: &Wait<'_>,
    ) -> Result<u64> {
        let mut state = self.state.lock();
        self.open_for(&state, name)?;
        if let Some(stop) = wait.stop() {
            return Err(self.stopped(name, stop, None, wait));
        }
        if let Err(e) = wait.prepare() {
            // Found out before anything is sent.
            return Err(self.stopped(name, e.into(), None, wait));
        }
        let id = id.unwrap_or_else(|| state.session.pending.next_id());
        drop(state);

        // Large arguments are copied, and a slow logger is called, without the lock.
        let bytes = command::encode(Band::InBand, name, arguments, id)
            .ok_or_else(|| unsendable(name, BadArguments::NoMemory))?;
        if self.log.takes(Level::Trace) {
            let text = String::from_utf8_lossy(&bytes);
            let line = format!("sending {}", redact(&text));
            self.log.write(Level::Trace, &line);
        }
        let mut after = Aftermath::new(self);
        let mut state = self.state.lock();
        self.open_for(&state, name)?;
        let farewell = self.dialect.is_farewell(name);
        state.session.pending.submit(id, bytes, id, farewell);
        drop(self.flush(state, &mut after));
        after.wake();
        after.notes.write();
        Ok(id)
    }

    /// The connection takes commands.
    fn open_for(&self, state: &State, name: &str) -> Result<()> {
        let error = match &state.end {
            _ if state.closed => self.closed(name),
            Some(end) => self.ended(name, end),
            None => return Ok(()),
        };
        Err(error.with_command(name))
    }

    /// Waits for the reply to a submitted command.
    pub(super) fn reply(&self, name: &str, id: u64, wait: &Wait<'_>) -> Result<Text> {
        match self.wait(wait, mark_of(id), |state| state.take_outcome(id)) {
            Ok(Ok(reply)) => Ok(reply),
            Ok(Err(failure)) => {
                let end = self.state.lock().end.clone();
                Err(self.failed(name, failure, end.as_ref()))
            }
            Err(stop) => self.give_up(name, id, stop, wait),
        }
    }

    /// The wait ended without a reply. One that came in this very moment counts all the same.
    fn give_up(&self, name: &str, id: u64, stop: Stop, wait: &Wait<'_>) -> Result<Text> {
        let mut after = Aftermath::new(self);
        let mut state = self.state.lock();
        if let Some(outcome) = state.take_outcome(id) {
            let end = state.end.clone();
            drop(state);
            return outcome.map_err(|failure| self.failed(name, failure, end.as_ref()));
        }
        let abandoned = state.session.pending.abandon(id);
        if abandoned == Some(Abandoned::Torn) {
            self.finish(&mut state, End::Torn, &mut after);
        }
        drop(state);
        after.wake();
        after.notes.write();
        let error = self.stopped(name, stop, abandoned, wait);
        if error.status == Status::Timeout {
            self.log.write(Level::Info, &error.message);
        }
        Err(error)
    }
}

fn unsendable(name: &str, bad: BadArguments) -> Error {
    let mut error = Error::invalid(format!("{name}: {bad}")).with_command(name);
    if bad == BadArguments::NoMemory {
        error.status = Status::Resource;
        error = error.with_errno(libc::ENOMEM);
    }
    error
}

/// A bad name, fit to be shown.
fn excerpt(name: &str) -> String {
    let mut shown: String = name.chars().take(32).collect();
    if shown.len() < name.len() {
        shown.push('…');
    }
    shown.escape_debug().to_string()
}
