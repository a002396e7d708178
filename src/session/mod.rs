// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a connection means: which command a reply belongs to, which events wait, how far the
//! handshake is. Pure: no clock, no socket, no thread. `W` is whatever the client wants back when
//! a command's reply has come.

pub mod backoff;
pub mod dialect;
pub mod events;
pub mod filter;
pub mod handshake;
pub mod pending;
pub mod power;

use dialect::Dialect;
use events::EventQueue;
use handshake::{Greeting, Stage};
use pending::{Pending, Unmatched};
use power::{Power, Shutdown};

use crate::wire::message::{EventView, Id};

pub struct Session<W> {
    pub stage: Stage,
    /// None until the VM has greeted.
    pub greeting: Option<Greeting>,
    pub pending: Pending<W>,
    pub events: EventQueue,
    pub power: Power,
    /// None: nothing, as in most sessions.
    ignored: Option<Box<Ignored>>,
}

/// What came and belonged to nothing: never fatal, always counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ignored {
    /// Replies with an id that was never given out, has been answered, or is of another type.
    pub foreign_replies: u64,
    /// Replies to commands whose call had given up.
    pub late_replies: u64,
    /// Replies without an id that could not be matched.
    pub anonymous_replies: u64,
    /// Greetings after the first.
    pub greetings: u64,
    /// Events whose name is no string.
    pub odd_events: u64,
    /// JSON that is no message, arrays and scalars included.
    pub non_messages: u64,
    /// Messages that are not JSON, or over a limit, and belong to no command.
    pub broken_messages: u64,
}

impl<W> Session<W> {
    pub fn new(dialect: &Dialect, events: EventQueue) -> Session<W> {
        Session {
            stage: Stage::first(dialect),
            greeting: None,
            pending: Pending::new(),
            events,
            power: Power::default(),
            ignored: None,
        }
    }

    /// A new peer takes the last one's place. Ids count on, so that no reply to the last one's commands can be taken for one of
    /// the new one's.
    pub fn restart(&mut self, dialect: &Dialect) {
        self.stage = Stage::first(dialect);
        self.pending.restart();
    }

    pub fn ignored(&mut self) -> &mut Ignored {
        self.ignored.get_or_insert_default()
    }

    /// Gives back what is kept for the next command or event.
    pub fn trim(&mut self) {
        self.pending.trim();
        self.events.trim();
    }

    /// `shutdown`: what the event says if it is a SHUTDOWN.
    pub fn receive_event(&mut self, event: &EventView<'_>, shutdown: Option<Shutdown>) {
        if let Some(shutdown) = shutdown {
            self.power.observe(shutdown);
        }
        self.events.push(event);
    }

    pub fn receive_greeting(&mut self, greeting: Greeting) {
        self.greeting = Some(greeting);
        self.stage = Stage::Open;
    }

    /// Starts a sync, over again if there was one. Only the answer to the last one counts: the
    /// agent works in order, so everything that the others bring about has come by then, its
    /// complaints about their marks included, which have no id. False: the one before is still on its
    /// way out, and stays the last.
    pub fn sync(&mut self, command: &str, number: u64, waiter: W) -> bool {
        if self.pending.has_output() {
            return false;
        }
        drop(self.pending.end());
        self.stage = Stage::Syncing(Some(number));
        let bytes = handshake::sync_bytes(command, number);
        self.pending.submit(number, bytes, waiter, false);
        true
    }

    /// Who is meant by a `return`.
    pub fn receive_return(&mut self, id: Id, value: &str) -> Result<W, Unmatched> {
        if matches!(self.stage, Stage::Syncing(_)) && !self.is_sync_answer(value) {
            return Err(Unmatched::of(id));
        }
        let waiter = self.pending.reply(id)?;
        self.stage = Stage::Open;
        Ok(waiter)
    }

    /// Who is meant by an error.
    pub fn receive_error(&mut self, id: Id) -> Result<W, Unmatched> {
        match (self.stage, id) {
            // About the mark, or what stood before it.
            (Stage::Syncing(_), Id::Absent) => Err(Unmatched::Anonymous),
            _ => self.pending.error_reply(id),
        }
    }

    /// The value is what the sync under way asked for.
    pub fn is_sync_answer(&self, value: &str) -> bool {
        matches!(self.stage, Stage::Syncing(Some(number)) if value.parse() == Ok(number))
    }
}

#[cfg(test)]
mod tests;
