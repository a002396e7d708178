// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a connection means: which command a reply belongs to, which events wait, how far the
//! handshake is. Pure: no clock, no socket, no thread. `W` is whatever the client wants back when
//! a command's reply has come.

pub mod dialect;
pub mod events;
pub mod handshake;
pub mod pending;
pub mod power;

use dialect::Dialect;
use events::EventQueue;
use handshake::Greeting;
use pending::Pending;
use power::{Power, Shutdown};

use crate::wire::message::EventView;

pub struct Session<W> {
    pub dialect: &'static Dialect,
    /// None until the VM has greeted.
    pub greeting: Option<Greeting>,
    pub pending: Pending<W>,
    pub events: EventQueue,
    pub power: Power,
    pub ignored: Ignored,
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
    pub fn new(dialect: &'static Dialect, events: EventQueue) -> Session<W> {
        Session {
            dialect,
            greeting: None,
            pending: Pending::new(),
            events,
            power: Power::default(),
            ignored: Ignored::default(),
        }
    }

    /// `shutdown`: what the event says if it is a SHUTDOWN.
    pub fn receive_event(&mut self, event: &EventView<'_>, shutdown: Option<Shutdown>) {
        if let Some(shutdown) = shutdown {
            self.power.observe(shutdown);
        }
        self.events.push(event);
    }
}
