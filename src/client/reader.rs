// SPDX-License-Identifier: MIT OR Apache-2.0
//! The reader role: the right to receive from a link, with what has been received of a message.

use std::io;

use super::connection::Link;
use crate::session::dialect::{Dialect, Opening};
use crate::session::handshake::{MAX_GREETING_BYTES, MAX_SYNC_BYTES};
use crate::transport::MOST_RECEIVED;
use crate::wire::framing::{Framer, Limits, MAX_DEPTH, OutOfMemory};

pub(super) struct Reader {
    /// None: at rest. An idle connection costs little.
    framer: Option<Box<Framer>>,
    pub link: Link,
    max_message_bytes: usize,
    /// The handshake is done with.
    opened: bool,
}

impl Reader {
    /// Until the handshake is done the peer may be anything.
    pub fn first(link: Link, dialect: &Dialect, max_message_bytes: usize) -> Reader {
        let (bytes, restarts) = match dialect.opening {
            Opening::Greeting { .. } => (max_message_bytes.min(MAX_GREETING_BYTES), false),
            Opening::Sync { .. } => (MAX_SYNC_BYTES, true),
        };
        let mut framer = Framer::new(limits(bytes));
        framer.set_objects_only(true);
        framer.set_restarts(restarts);
        Reader {
            framer: Some(Box::new(framer)),
            link,
            max_message_bytes,
            opened: false,
        }
    }

    pub fn framer(&mut self) -> &mut Framer {
        let limits = limits(self.max_message_bytes);
        self.framer
            .get_or_insert_with(|| Box::new(Framer::new(limits)))
    }

    /// Reads once. Gives how many bytes came, 0 at the end, and whether there may be more to read at once.
    pub fn read(&mut self, waits: bool) -> Result<io::Result<(usize, bool)>, OutOfMemory> {
        let limits = limits(self.max_message_bytes);
        let framer = self
            .framer
            .get_or_insert_with(|| Box::new(Framer::new(limits)));
        let buffer = framer.buffer()?;
        let room = buffer.capacity() - buffer.len();
        let received = self.link.receive(buffer, waits);
        Ok(received.map(|length| (length, length >= room.min(MOST_RECEIVED))))
    }

    /// The peer is known from now on.
    pub fn open(&mut self) {
        self.opened = true;
        let bytes = self.max_message_bytes;
        let framer = self.framer();
        framer.set_max_bytes(bytes);
        framer.set_objects_only(false);
        framer.set_restarts(false);
    }

    /// Gives the memory back if nothing is held.
    pub fn release(&mut self) {
        if let Some(framer) = &mut self.framer {
            if self.opened && framer.is_at_rest() {
                self.framer = None;
            } else {
                framer.release();
            }
        }
    }

    /// Gives back only what a large message needed.
    pub fn release_large(&mut self) {
        if let Some(framer) = &mut self.framer {
            framer.release_large();
        }
    }
}

fn limits(bytes: usize) -> Limits {
    Limits {
        bytes,
        depth: MAX_DEPTH,
    }
}
