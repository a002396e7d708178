// SPDX-License-Identifier: MIT OR Apache-2.0
//! One connection: its bytes in, its steps out, and what it has agreed on. Never waits.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use super::command::{self, Command, Misunderstood};
use super::script::Treatment;
use super::step::Step;
use crate::sys::epoll::Interest;
use crate::sys::fork::Before;
use crate::sys::socket;
use crate::wire::framing::{Frame, Framer, Limits, MAX_DEPTH};

/// QEMU's own limit for one token.
const MAX_COMMAND_BYTES: usize = 64 << 20;
/// QEMU's queue of commands, where out-of-band is on; without it the next is read when the one before is done.
const QUEUE: usize = 8;
/// What is read or sent for one connection before the others have their turn.
const SHARE: usize = 1 << 20;
/// Who leaves so much unread is not listened to.
const MAX_OUTPUT: usize = 1 << 14;
/// How often a slow reader reads, unless that is more than a byte each time.
const PACE: Duration = Duration::from_millis(10);

pub(super) struct Link {
    fd: OwnedFd,
    /// It was accepted.
    before: Before,
    framer: Framer,
    pub(super) inbox: VecDeque<Result<Command, Misunderstood>>,
    /// The command that is being executed, as far as the script lets it.
    pub(super) current: Option<Current>,
    pub(super) negotiated: bool,
    pub(super) oob: bool,
    output: VecDeque<Step>,
    /// How much of the first step has gone out.
    sent: usize,
    /// Nothing goes out before.
    next_output: Option<Instant>,
    flood: Option<Flood>,
    /// So many of the peer's bytes are understood and still in the socket.
    kept: usize,
    /// The peer's bytes are left alone.
    deaf: bool,
    /// The mock has ended its reading.
    shut: bool,
    pace: Option<Pace>,
    pub(super) closed: bool,
    full: bool,
}

pub(super) struct Current {
    pub(super) command: Command,
    pub(super) treatment: Treatment,
    /// None: never.
    pub(super) due: Option<Instant>,
}

struct Flood {
    unit: Vec<u8>,
    left: Option<u64>,
}

struct Pace {
    bytes_per_second: u64,
    next: Instant,
}

impl Link {
    pub(super) fn new(fd: OwnedFd, before: Before) -> Link {
        Link {
            fd,
            before,
            framer: Framer::new(Limits {
                bytes: MAX_COMMAND_BYTES,
                depth: MAX_DEPTH,
            }),
            inbox: VecDeque::new(),
            current: None,
            negotiated: false,
            oob: false,
            output: VecDeque::new(),
            sent: 0,
            next_output: None,
            flood: None,
            kept: 0,
            deaf: false,
            shut: false,
            pace: None,
            closed: false,
            full: false,
        }
    }

    pub(super) fn push(&mut self, steps: impl IntoIterator<Item = Step>) {
        self.output.extend(steps);
    }

    fn wants_input(&self) -> bool {
        let room = if self.oob { QUEUE } else { 1 };
        let held = self.inbox.len() + usize::from(self.current.is_some());
        let heard = self.output.len() < MAX_OUTPUT;
        !self.deaf && !self.closed && held < room && heard
    }

    /// What to wait for.
    pub(super) fn wants(&self) -> Interest {
        let read = self.wants_input() && self.pace.is_none();
        let write = self.full;
        let never = |current: &Current| current.due.is_none();
        // Who is not read for ever would leave unnoticed over TCP. Having ended its reading, the mock would notice itself.
        let left_unread = self.deaf || self.current.as_ref().is_some_and(never);
        let end = left_unread && !read && !write && !self.shut;
        Interest { read, write, end }
    }

    /// When something is to be done without the peer.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let current = self.current.as_ref().and_then(|current| current.due);
        let pace = self.pace.as_ref().map(|pace| pace.next);
        let pace = pace.filter(|_| self.wants_input());
        [current, self.next_output, pace]
            .into_iter()
            .flatten()
            .min()
    }

    /// Reads what is there, as far as there is room for it, and gives the number of bytes. `keep`: leaves the bytes in the socket
    /// until `take_kept`.
    pub(super) fn read(&mut self, now: Instant, keep: bool) -> usize {
        if !self.wants_input() {
            return 0;
        }
        let mut share = SHARE;
        if let Some(pace) = &mut self.pace {
            if pace.next > now {
                return 0;
            }
            let one_byte = Duration::from_secs(1) / pace.bytes_per_second.clamp(1, 1 << 20) as u32;
            pace.next = now + PACE.max(one_byte);
            share = (pace.bytes_per_second / 100).max(1) as usize;
        }
        self.take_kept();
        let mut total = 0;
        while total < share && self.wants_input() {
            match self.read_piece(share - total, keep) {
                Ok(0) => self.closed = true,
                Ok(count) => {
                    total += count;
                    self.kept = if keep { count } else { 0 };
                    self.understand();
                    if keep {
                        return total;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) => self.closed = true,
            }
        }
        total
    }

    fn read_piece(&mut self, most: usize, keep: bool) -> io::Result<usize> {
        let buffer = self
            .framer
            .buffer()
            .map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory))?;
        let fd = self.fd.as_fd();
        let receive = |into: &mut Vec<u8>| match keep {
            true => socket::peek(fd, into),
            false => socket::receive(fd, into, false),
        };
        if most >= 16384 {
            return receive(buffer);
        }
        let mut piece = Vec::with_capacity(most);
        let count = receive(&mut piece)?;
        buffer.extend_from_slice(&piece);
        Ok(count)
    }

    /// Takes the bytes that `read` kept.
    pub(super) fn take_kept(&mut self) {
        while self.kept > 0 {
            let mut scratch = Vec::with_capacity(self.kept.min(65536));
            match socket::receive(self.fd.as_fd(), &mut scratch, false) {
                Ok(taken) if taken > 0 => self.kept -= taken.min(self.kept),
                _ => self.kept = 0,
            }
        }
    }

    /// The next command that does not wait for the one that is executed.
    pub(super) fn next_out_of_band(&mut self) -> Option<Command> {
        let is_one = |item: &Result<Command, _>| item.as_ref().is_ok_and(|it| it.is_out_of_band);
        let at = self.inbox.iter().position(is_one)?;
        self.inbox.remove(at)?.ok()
    }

    fn understand(&mut self) {
        while let Some(frame) = self.framer.next() {
            let said = match frame {
                Frame::Message(object) => command::parse(object.text, self.oob),
                Frame::Other => Err(Misunderstood::new("QMP input must be a JSON object")),
                Frame::Refused { .. } => continue, // answered at its end
                Frame::Broken { .. } => Err(Misunderstood::new("JSON parse error")),
                Frame::Garbage([]) => {
                    self.closed = true;
                    return;
                }
                Frame::Garbage(_) => {
                    self.framer.resume();
                    Err(Misunderstood::new("JSON parse error"))
                }
            };
            self.inbox.push_back(said);
        }
        self.framer.release();
    }

    /// Does the steps, as far as the socket takes them.
    pub(super) fn flush(&mut self, now: Instant) {
        self.full = false;
        let mut share = SHARE;
        while !self.closed && self.next_output.is_none_or(|due| due <= now) {
            self.next_output = None;
            let Some(step) = self.output.front_mut() else {
                if self.flood() {
                    continue;
                }
                return;
            };
            let (bytes, pause) = match step {
                Step::Bytes(bytes) => (&bytes[self.sent..], None),
                Step::Repeat { times: Some(0), .. } => (&[][..], None),
                Step::Repeat { unit, .. } => (&unit[self.sent..], None),
                Step::Drip { bytes, pause } => {
                    let end = (self.sent + 1).min(bytes.len());
                    (&bytes[self.sent..end], Some(*pause))
                }
                _ => {
                    self.act(now);
                    continue;
                }
            };
            if bytes.is_empty() {
                self.finish_step();
                continue;
            }
            if share == 0 {
                self.full = true; // and comes back at once
                return;
            }
            match socket::send(self.fd.as_fd(), bytes) {
                Ok(count) => {
                    self.sent += count;
                    share = share.saturating_sub(count);
                    self.next_output = pause
                        .filter(|pause| !pause.is_zero())
                        .map(|pause| now + pause);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.full = true;
                    return;
                }
                // Who has left or does not listen misses it, and may still be heard.
                Err(_) => {
                    self.flood = None;
                    self.output.pop_front();
                    self.sent = 0;
                }
            }
        }
    }

    /// The flood's next part; false when there is none.
    fn flood(&mut self) -> bool {
        const PART: u64 = 64;
        let Some(flood) = &mut self.flood else {
            return false;
        };
        let times = flood.left.map_or(PART, |left| left.min(PART));
        if let Some(left) = &mut flood.left {
            *left -= times;
        }
        let unit = flood.unit.clone();
        if flood.left == Some(0) {
            self.flood = None;
        }
        let times = Some(times);
        self.output.push_back(Step::Repeat { unit, times });
        true
    }

    /// All bytes of the first step are out.
    fn finish_step(&mut self) {
        self.sent = 0;
        match self.output.front_mut() {
            Some(Step::Repeat { times: None, .. }) => {}
            Some(Step::Repeat {
                times: Some(times), ..
            }) if *times > 1 => *times -= 1,
            _ => drop(self.output.pop_front()),
        }
    }

    fn act(&mut self, now: Instant) {
        let fd = self.fd.as_fd();
        match self.output.pop_front() {
            Some(Step::Pause(time)) => {
                const FOR_EVER: Duration = Duration::from_secs(1 << 32);
                self.next_output = Some(now + time.unwrap_or(FOR_EVER).min(FOR_EVER));
            }
            Some(Step::Flood { unit, times: left }) => self.flood = Some(Flood { unit, left }),
            Some(Step::EndWriting) => socket::shutdown_half(fd, true),
            Some(Step::EndReading) => {
                socket::shutdown_half(fd, false);
                (self.deaf, self.shut) = (true, true);
            }
            Some(Step::StopReading) => self.deaf = true,
            Some(Step::SlowReading(bytes_per_second)) => {
                self.pace = Some(Pace {
                    bytes_per_second,
                    next: now,
                });
            }
            Some(Step::Reset) => {
                let _ = socket::reset_when_closed(fd); // over a unix socket what is unread does it
                self.closed = true;
            }
            _ => self.closed = true,
        }
    }
}

impl Drop for Link {
    /// A child that was forked meanwhile has a copy, which would keep the connection open.
    fn drop(&mut self) {
        if self.before.has_forked_since() {
            socket::shutdown(self.fd.as_fd());
        }
    }
}

impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
