// SPDX-License-Identifier: MIT OR Apache-2.0
//! Bytes to frames, by the structure of JSON and never by lines. Each byte is looked at once, however the stream is cut.

use std::ops::Range;

pub use super::object::{Member, Object};
use super::scan::{self, Scanner, Step};
use super::skim::Skimmer;

#[cfg(test)]
mod tests;

/// The deepest nesting accepted: QEMU's own limit.
pub const MAX_DEPTH: usize = scan::DEEPEST;

/// Room for at least one read.
const READ: usize = 16 << 10;
/// What the buffer may hold beyond one message of the largest size.
const SLACK: usize = 64 << 10;
/// The largest step in which the buffer grows by and by.
const STEP: usize = 256 << 10;
/// How much of the bytes between messages is shown when they are no JSON.
const SHOWN: usize = 64;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub bytes: usize,
    pub depth: usize,
}

/// A limit that a message passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    Bytes { limit: usize },
    Depth { limit: usize },
}

/// Why a message cannot be passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    Refused(Refusal),
    NotJson,
    NotUtf8,
}

#[derive(Debug)]
pub enum Frame<'a> {
    Message(Object<'a>),
    /// A top-level array or scalar.
    Other,
    /// A limit was passed just now. The rest of that message is skipped; `Broken` follows when it ends.
    Refused {
        refusal: Refusal,
        /// What was seen of the message shows that it is no reply.
        is_event: bool,
    },
    /// The end of a message that was refused or is not JSON, with its id where one could be picked up.
    Broken {
        id: Option<u64>,
        reason: Fault,
    },
    /// The first of the bytes between messages that are no JSON; none, when a message or the blanks before it do not end.
    /// The stream cannot be followed any further.
    Garbage(&'a [u8]),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no memory for the receive buffer")]
pub struct OutOfMemory;

#[derive(Clone, Copy)]
enum State {
    Between {
        blanks: usize,
    },
    Message,
    Skipping(Fault),
    /// The blanks were refused; nothing can follow.
    Endless,
    Failed,
}

/// A frame before it borrows from the buffer.
enum Found {
    Value(Range<usize>),
    Refused { refusal: Refusal, is_event: bool },
    Broken { id: Option<u64>, reason: Fault },
    Garbage(Range<usize>),
}

pub struct Framer {
    limits: Limits,
    buffer: Vec<u8>,
    /// What stands before this position is done with.
    start: usize,
    state: State,
    scanner: Scanner,
    skimmer: Skimmer,
    max_skimmed: u64,
    objects_only: bool,
    restarts: bool,
}

impl Framer {
    pub fn new(limits: Limits) -> Framer {
        let depth = limits.depth.min(MAX_DEPTH);
        let mut framer = Framer {
            limits: Limits { depth, ..limits },
            buffer: Vec::new(),
            start: 0,
            state: State::Between { blanks: 0 },
            scanner: Scanner::new(depth),
            skimmer: Skimmer::new(),
            max_skimmed: 0,
            objects_only: false,
            restarts: false,
        };
        framer.set_max_bytes(limits.bytes);
        framer
    }

    pub fn set_max_bytes(&mut self, bytes: usize) {
        self.limits.bytes = bytes;
        self.max_skimmed = (bytes as u64).saturating_mul(16).max(1 << 30);
    }

    /// Until the peer is known to speak JSON, a value that is no object is garbage too.
    pub fn set_objects_only(&mut self, only: bool) {
        self.objects_only = only;
    }

    /// Until the peer is known to be in step, 0xFF starts afresh wherever it stands: it is no part of any JSON. What
    /// stands before the last one received so far is dropped.
    pub fn set_restarts(&mut self, restarts: bool) {
        self.restarts = restarts;
    }

    /// Where received bytes are appended, with room for at least one read. Take every frame before asking again.
    pub fn buffer(&mut self) -> Result<&mut Vec<u8>, OutOfMemory> {
        // Once for each message, by then at the front. Else a stream of them would touch all of a large buffer.
        self.buffer.drain(..self.start);
        self.start = 0;
        let held = self.buffer.len();
        if self.buffer.capacity() - held < READ {
            // Geometric, so that a large message needs few reads and is copied a bounded number of times.
            let most = self.limits.bytes.saturating_add(SLACK).max(held + READ);
            let step = if held == 0 {
                READ
            } else {
                (2 * held + READ).next_power_of_two().min(most)
            };
            // Then room for the largest message at once: what is not touched costs nothing, while a copy would
            // need the size of the message again.
            let wanted = if step > STEP { most } else { step };
            self.buffer
                .try_reserve_exact(wanted - held)
                .or_else(|_| self.buffer.try_reserve_exact(step - held))
                .map_err(|_| OutOfMemory)?;
        }
        Ok(&mut self.buffer)
    }

    /// The next thing found in the bytes so far. None: more bytes are needed.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Option<Frame<'_>> {
        Some(match self.find()? {
            Found::Value(span) => match std::str::from_utf8(&self.buffer[span.clone()]) {
                Ok(text) if text.starts_with('{') => {
                    Frame::Message(Object::new(text, self.scanner.spans()))
                }
                Ok(_) => Frame::Other,
                Err(_) => Frame::Broken {
                    id: self.id_of(span),
                    reason: Fault::NotUtf8,
                },
            },
            Found::Refused { refusal, is_event } => Frame::Refused { refusal, is_event },
            Found::Broken { id, reason } => Frame::Broken { id, reason },
            Found::Garbage(span) => Frame::Garbage(&self.buffer[span]),
        })
    }

    /// After `Garbage` that is not empty: passes over what was received of it, up to the next object.
    pub fn resume(&mut self) {
        let rest = &self.buffer[self.start..];
        self.start += memchr::memchr(b'{', rest).unwrap_or(rest.len());
        self.state = State::Between { blanks: 0 };
    }

    /// A part of a message is held or being skipped.
    pub fn is_mid_message(&self) -> bool {
        match self.state {
            State::Between { .. } => self.start < self.buffer.len(),
            State::Message | State::Skipping(_) => true,
            State::Endless | State::Failed => false,
        }
    }

    /// Nothing is held, and the next byte begins a message: a new framer would do.
    pub fn is_at_rest(&self) -> bool {
        matches!(self.state, State::Between { .. }) && self.start == self.buffer.len()
    }

    /// Gives the memory back if nothing is held: idle connections cost little.
    pub fn release(&mut self) {
        if self.start == self.buffer.len() {
            self.drop_buffer();
        }
    }

    /// Gives back only what a large message needed.
    pub fn release_large(&mut self) {
        if self.buffer.capacity() > SLACK {
            self.release();
        }
    }

    fn drop_buffer(&mut self) {
        self.buffer = Vec::new();
        self.start = 0;
    }

    fn find(&mut self) -> Option<Found> {
        if self.restarts {
            self.restart();
        }
        match self.state {
            State::Between { blanks } => self.begin(blanks),
            State::Message => self.message(),
            State::Skipping(reason) => self.skip(reason),
            State::Endless => Some(self.fail(0)),
            State::Failed => {
                self.drop_buffer();
                None
            }
        }
    }

    fn restart(&mut self) {
        if let Some(at) = memchr::memrchr(0xff, &self.buffer[self.start..]) {
            self.start += at + 1;
            self.state = State::Between { blanks: 0 };
        }
    }

    /// Between messages: blanks, byte order marks, and the 0xFF that a guest agent sends to mark a fresh start.
    fn begin(&mut self, mut blanks: usize) -> Option<Found> {
        while let Some(rest @ &[byte, ..]) = self.buffer.get(self.start..) {
            let skipped = match byte {
                b' ' | b'\t' | b'\r' | b'\n' | 0xff => 1,
                b'[' | b'"' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n' if self.objects_only => {
                    return Some(self.fail(SHOWN));
                }
                b'{' | b'[' | b'"' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n' => {
                    self.scanner.reset();
                    self.state = State::Message;
                    return self.message();
                }
                _ if rest.starts_with(BYTE_ORDER_MARK) => BYTE_ORDER_MARK.len(),
                _ if BYTE_ORDER_MARK.starts_with(rest) => break,
                _ => return Some(self.fail(SHOWN)),
            };
            self.start += skipped;
            blanks += skipped;
            if blanks > self.limits.bytes {
                self.state = State::Endless;
                return Some(Found::Refused {
                    refusal: Refusal::Bytes {
                        limit: self.limits.bytes,
                    },
                    is_event: false,
                });
            }
        }
        self.state = State::Between { blanks };
        None
    }

    fn message(&mut self) -> Option<Found> {
        let text = &self.buffer[self.start..];
        let structured = matches!(text.first(), Some(b'{' | b'['));
        let step = self.scanner.scan(text);
        let seen = match step {
            Step::More => text.len(),
            Step::Done(end) => end,
            Step::Bad(at) | Step::TooDeep(at) => at + 1,
        };
        if seen > self.limits.bytes {
            return Some(self.refuse(Refusal::Bytes {
                limit: self.limits.bytes,
            }));
        }
        match step {
            Step::More => None,
            Step::Done(end) => {
                self.state = State::Between { blanks: 0 };
                self.start += end;
                Some(Found::Value(self.start - end..self.start))
            }
            Step::TooDeep(_) => Some(self.refuse(Refusal::Depth {
                limit: self.limits.depth,
            })),
            Step::Bad(_) if structured => {
                self.skip_from_here(Fault::NotJson);
                self.skip(Fault::NotJson)
            }
            // A scalar has no structure by which its end could be found.
            Step::Bad(_) => Some(self.fail(SHOWN)),
        }
    }

    fn refuse(&mut self, refusal: Refusal) -> Found {
        let is_event = self.scanner.has_seen(Member::Event);
        self.skip_from_here(Fault::Refused(refusal));
        Found::Refused { refusal, is_event }
    }

    fn skip_from_here(&mut self, reason: Fault) {
        self.skimmer = Skimmer::new();
        self.state = State::Skipping(reason);
    }

    fn skip(&mut self, reason: Fault) -> Option<Found> {
        let Some(end) = self.skimmer.feed(&self.buffer[self.start..]) else {
            self.start = self.buffer.len();
            if self.buffer.capacity() > SLACK {
                self.drop_buffer();
            }
            return (self.skimmer.skimmed() > self.max_skimmed).then(|| self.fail(0));
        };
        self.start += end;
        self.state = State::Between { blanks: 0 };
        Some(Found::Broken {
            id: self.skimmer.id(),
            reason,
        })
    }

    fn fail(&mut self, shown: usize) -> Found {
        self.state = State::Failed;
        Found::Garbage(self.start..self.buffer.len().min(self.start + shown))
    }

    fn id_of(&self, span: Range<usize>) -> Option<u64> {
        let mut skimmer = Skimmer::new();
        skimmer.feed(&self.buffer[span]);
        skimmer.id()
    }
}
