// SPDX-License-Identifier: MIT OR Apache-2.0
//! From the queue of commands to the socket. One thread at a time has the writer role.
//!
//! A blocking call sends at once. What is submitted without waiting leaves at once too if nothing is under way; else it waits
//! for company, for QEMU would not look at it before it has answered the others: whoever waits, or reads a reply, sends it, or
//! else the I/O thread at its next tick. So a burst of commands costs a system call or two.

use std::io;
use std::iter;
use std::mem;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::connection::{Connection, EVENTS, Guard, State};
use super::failure::End;
use super::log::Notes;
use super::record::Recorder;
use super::turns::Aftermath;
use super::wait::Deadline;
use crate::session::pending::{Abandoned, Outgoing};
use crate::transport::Transport;
use crate::wire::transcript::Entry;

/// Commands leave together up to so many bytes.
const MOST_TOGETHER: usize = 64 << 10;
/// So many do not wait any longer.
const MOST_DEFERRED: usize = 256;
/// How long a close waits for a thread that sends.
const MOST_LEAVING: Duration = Duration::from_millis(50);

/// Commands that leave together.
struct Sending {
    first: Outgoing,
    more: Vec<Outgoing>,
    /// The bytes of all, where there are several, and how many have left.
    joined: Vec<u8>,
    left: usize,
}

impl Sending {
    fn rest(&self) -> &[u8] {
        if self.more.is_empty() {
            self.first.rest()
        } else {
            &self.joined[self.left..]
        }
    }

    /// So many bytes have left. `whole`: is shown each command that has left with them.
    fn advance(&mut self, mut sent: usize, mut whole: impl FnMut(&Outgoing)) {
        self.left += sent;
        for out in iter::once(&mut self.first).chain(&mut self.more) {
            let part = out.rest().len().min(sent);
            sent -= part;
            if part > 0 && out.advance(part) {
                whole(out);
            }
        }
    }
}

impl Connection {
    /// Sends what is queued, unless another thread is at it already. What the socket does not take
    /// at once is left to the I/O thread.
    pub(super) fn flush<'a>(
        &'a self,
        mut state: Guard<'a>,
        after: &mut Aftermath<'_>,
    ) -> Guard<'a> {
        if mem::take(&mut state.deferred) {
            self.has_deferred.store(false, Ordering::Relaxed);
            state.update_dispatch();
        }
        if state.blocked || state.is_ended() {
            return state;
        }
        let Some(link) = state.writer.take() else {
            return state;
        };
        while let Some((mut sending, mut descriptor)) = state.take_sending() {
            drop(state);
            let sent = self.send(&*link, &mut sending, &mut descriptor, &mut after.notes);
            state = self.state.lock();
            if let Err(e) = sent {
                self.stop_sending(&mut state, sending, descriptor, &e, after);
                break;
            }
            for out in iter::once(&sending.first).chain(&sending.more) {
                state.session.pending.output_sent(out);
            }
        }
        state.writer = Some(link);
        if state.leaving {
            after.wakes |= state.asleep(EVENTS);
        }
        state
    }

    /// For those who wait while the caller's loop, which would do it, stands still.
    pub(super) fn send_on<'a>(
        &'a self,
        mut state: Guard<'a>,
        after: &mut Aftermath<'_>,
    ) -> Guard<'a> {
        if !self.options.own_loop || !state.blocked || state.is_ended() {
            return state;
        }
        state.blocked = false;
        drop(self.flush(state, after));
        after.wake();
        self.state.lock()
    }

    /// For `close`: what was submitted before it has left, as far as the socket took it, also where another thread is at it.
    pub(super) fn send_last<'a>(&'a self, after: &mut Aftermath<'_>) -> Guard<'a> {
        let mut state = self.flush(self.state.lock(), after);
        if state.writer.is_some() {
            return state;
        }
        let until = Deadline::after(Some(MOST_LEAVING));
        while state.writer.is_none() && !state.is_ended() && !until.passed() {
            state.leaving = true;
            let looked = self.word.look();
            state = self.park(state, looked, EVENTS, until.remaining());
        }
        state
    }

    /// Sends all of it.
    fn send(
        &self,
        link: &dyn Transport,
        sending: &mut Sending,
        descriptor: &mut Option<OwnedFd>,
        notes: &mut Notes<'_>,
    ) -> io::Result<()> {
        while !sending.rest().is_empty() {
            // Held while sending, so that whatever a command brings about is recorded after it.
            let mut pen = self.recorder.as_deref().map(Recorder::pen);
            let sent = match descriptor {
                None => link.send(sending.rest())?,
                Some(carried) => {
                    let sent = link.send_with(sending.rest(), carried.as_fd())?;
                    // It left with the first byte, and never does so again.
                    *descriptor = None;
                    sent
                }
            };
            sending.advance(sent, |out| {
                if let Some(pen) = &mut pen {
                    pen.note(Entry::Sent(out.text()), notes);
                }
            });
        }
        Ok(())
    }

    /// The socket takes no more, for now or at all.
    fn stop_sending(
        &self,
        state: &mut State,
        sending: Sending,
        descriptor: Option<OwnedFd>,
        error: &io::Error,
        after: &mut Aftermath<'_>,
    ) {
        let carrier = sending.first.id();
        let mut torn = false;
        // Backwards, so that the first is the next again.
        for out in iter::once(sending.first).chain(sending.more).rev() {
            if out.rest().is_empty() {
                state.session.pending.output_sent(&out);
            } else {
                torn |= state.session.pending.output_blocked(out) == Err(Abandoned::Torn);
            }
        }
        match descriptor {
            Some(kept) if state.session.pending.is_awaited(carrier) => {
                state.descriptors.push((carrier, kept));
            }
            gone => after.descriptors.extend(gone),
        }
        if torn {
            self.finish(state, End::Torn, after);
        } else if error.kind() == io::ErrorKind::WouldBlock {
            state.blocked = true;
            self.arm(state);
        } else {
            // What has been received is still read, and a reply in it wins; then the
            // end of the stream is found.
            state.blocked = true;
            state.send_error = error.raw_os_error();
            state.link.shutdown();
        }
    }

    /// Sends what is queued, or has it wait for company.
    pub(super) fn send_soon<'a>(
        &'a self,
        mut state: Guard<'a>,
        after: &mut Aftermath<'_>,
    ) -> Guard<'a> {
        let pending = &state.session.pending;
        if !pending.is_under_way() || pending.queued() >= MOST_DEFERRED {
            state = self.flush(state, after);
        } else if !mem::replace(&mut state.deferred, true) {
            self.has_deferred.store(true, Ordering::Relaxed);
            state.update_dispatch();
        }
        // Nobody may ever wait for it.
        state.have_watched();
        state
    }

    /// For those who wait for what may have been deferred. Call without the lock.
    pub(super) fn send_deferred(&self) {
        if self.has_deferred.load(Ordering::Relaxed) {
            let mut after = Aftermath::new(self);
            drop(self.flush(self.state.lock(), &mut after));
            after.wake();
            after.tell();
        }
    }
}

impl State {
    /// The next commands, and what goes with the first byte of the first.
    fn take_sending(&mut self) -> Option<(Sending, Option<OwnedFd>)> {
        let first = self.session.pending.take_output()?;
        let mut sending = Sending {
            first,
            more: Vec::new(),
            joined: Vec::new(),
            left: 0,
        };
        let pending = &mut self.session.pending;
        // Most leave alone. One with a descriptor does not follow others.
        let alone = self
            .descriptors
            .iter()
            .all(|(id, _)| *id == sending.first.id());
        let may_join = alone && pending.has_output() && sending.first.rest().len() < MOST_TOGETHER;
        if may_join && sending.joined.try_reserve(MOST_TOGETHER).is_ok() {
            sending.joined.extend_from_slice(sending.first.rest());
            while let Some(next) = pending.take_output_within(MOST_TOGETHER - sending.joined.len())
            {
                sending.joined.extend_from_slice(next.rest());
                sending.more.push(next);
            }
        }
        let descriptor = self.take_descriptor(sending.first.id());
        Some((sending, descriptor))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::pending::Pending;

    #[test]
    fn joined_commands_are_whole_in_their_order_however_little_leaves_at_once() {
        for step in 1..=9 {
            let mut pending = Pending::new();
            for bytes in ["abc", "de", "fghi"] {
                let id = pending.next_id();
                pending.submit(id, bytes.into(), (), false);
            }
            let first = pending.take_output().unwrap();
            let mut sending = Sending {
                first,
                more: iter::from_fn(|| pending.take_output()).collect(),
                joined: b"abcdefghi".to_vec(),
                left: 0,
            };
            let (mut left, mut whole) = (Vec::new(), Vec::new());
            while !sending.rest().is_empty() {
                let sent = sending.rest().len().min(step);
                left.extend_from_slice(&sending.rest()[..sent]);
                sending.advance(sent, |out| whole.push((out.id(), left.len())));
            }
            assert_eq!(left, b"abcdefghi");
            let until = [3, 5, 9].map(|end: usize| end.next_multiple_of(step).min(9));
            assert_eq!(whole, [(1, until[0]), (2, until[1]), (3, until[2])]);
        }
    }
}
