// SPDX-License-Identifier: MIT OR Apache-2.0
//! Pending: their ids, the bytes still to be sent, and who waits for which reply.

use std::collections::VecDeque;

use super::handshake::MARK;
use crate::wire::message::Id;

/// Pending whose calls gave up are remembered, so that their late replies are known as such, but
/// not without end: a VM that never answers must not cost memory for ever.
pub const MAX_ABANDONED: usize = 1024;

/// QEMU runs one in-band command and queues seven behind it. With one more it stops reading altogether, and no out-of-band command
/// could overtake.
pub const MOST_IN_BAND: usize = 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    /// No byte has left.
    Queued,
    /// A writer has it, or the socket took a part of it.
    Started,
    Sent,
}

#[derive(Debug)]
struct Command<W> {
    id: u64,
    progress: Progress,
    /// None: the call gave up.
    waiter: Option<W>,
    /// Nobody wants its reply, but it goes all the same.
    disowned: bool,
    farewell: bool,
    out_of_band: bool,
}

/// A command's bytes on their way out.
#[derive(Debug, PartialEq, Eq)]
pub struct Outgoing {
    id: u64,
    bytes: Vec<u8>,
    written: usize,
    out_of_band: bool,
}

impl Outgoing {
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The whole command, without a mark before it.
    pub fn text(&self) -> &str {
        let command = self.bytes.strip_prefix(&[MARK]).unwrap_or(&self.bytes);
        std::str::from_utf8(command).unwrap_or_default()
    }

    pub fn rest(&self) -> &[u8] {
        &self.bytes[self.written..]
    }

    /// True: nothing is left.
    pub fn advance(&mut self, sent: usize) -> bool {
        self.written += sent;
        self.written >= self.bytes.len()
    }
}

/// Why a reply completes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unmatched {
    /// Its id was never given out, has been answered, or is not one of ours.
    Foreign,
    /// The call of the command with this id had given up.
    Late(u64),
    /// It has no id, and belongs to no command for certain.
    Anonymous,
}

impl Unmatched {
    /// A reply with this id, which nobody waits for.
    pub fn of(id: Id) -> Unmatched {
        match id {
            Id::Absent => Unmatched::Anonymous,
            _ => Unmatched::Foreign,
        }
    }
}

/// What giving up on a command came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Abandoned {
    /// No byte of it was sent, and none will be.
    Withdrawn,
    /// It was sent: it may be executed, and its reply may still come.
    Unknown,
    /// A part of it was sent. What follows on this connection would be read as its rest.
    Torn,
}

/// How the end of the connection found a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    NeverSent,
    /// It may have been executed.
    Unknown,
    /// The end of the connection is what it asked for.
    Done,
}

/// Ids count up from 1, so the queue is sorted by them and is searched by halving.
#[derive(Debug)]
pub struct Pending<W> {
    waiting: VecDeque<Command<W>>,
    output: VecDeque<Outgoing>,
    last_id: u64,
    abandoned: usize,
    /// Out-of-band commands were negotiated.
    two_bands: bool,
}

impl<W> Default for Pending<W> {
    fn default() -> Self {
        Pending::new()
    }
}

impl<W> Pending<W> {
    pub fn new() -> Pending<W> {
        Pending {
            waiting: VecDeque::new(),
            output: VecDeque::new(),
            last_id: 0,
            abandoned: 0,
            two_bands: false,
        }
    }

    /// Gives back what is kept for the next commands.
    pub fn trim(&mut self) {
        if self.waiting.is_empty() {
            self.waiting = VecDeque::new();
        }
        if self.output.is_empty() {
            self.output = VecDeque::new();
        }
    }

    /// All have ended; what was negotiated is void.
    pub fn restart(&mut self) {
        *self = Pending {
            last_id: self.last_id,
            ..Pending::new()
        };
    }

    /// Out-of-band commands may be sent, and overtake the others, of which from now on only so many as that allows are under way.
    pub fn allow_out_of_band(&mut self) {
        self.two_bands = true;
    }

    pub fn has_out_of_band(&self) -> bool {
        self.two_bands
    }

    /// Something waits to be sent until a reply has come.
    pub fn is_held_back(&self) -> bool {
        self.two_bands && !self.output.is_empty()
    }

    /// An id that no other command of this connection has or will have.
    pub fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// `farewell`: the end of the connection is this command's success.
    pub fn submit(&mut self, id: u64, bytes: Vec<u8>, waiter: W, farewell: bool) {
        self.add(id, bytes, waiter, farewell, false);
    }

    pub fn submit_out_of_band(&mut self, id: u64, bytes: Vec<u8>, waiter: W) {
        self.add(id, bytes, waiter, false, true);
    }

    fn add(&mut self, id: u64, bytes: Vec<u8>, waiter: W, farewell: bool, out_of_band: bool) {
        let at = match self.waiting.back() {
            Some(last) if last.id > id => self.waiting.partition_point(|other| other.id < id),
            _ => self.waiting.len(),
        };
        let command = Command {
            id,
            progress: Progress::Queued,
            waiter: Some(waiter),
            disowned: false,
            farewell,
            out_of_band,
        };
        self.waiting.insert(at, command);
        self.output.push_back(Outgoing {
            id,
            bytes,
            written: 0,
            out_of_band,
        });
    }

    /// Somebody waits for the reply to this command, and it can still come.
    pub fn is_awaited(&self, id: u64) -> bool {
        self.position(id)
            .is_some_and(|at| self.waiting[at].waiter.is_some())
    }

    /// The first of those that wait for a reply has begun to be sent.
    pub fn is_under_way(&self) -> bool {
        let first = self.waiting.front();
        first.is_some_and(|command| command.progress != Progress::Queued)
    }

    /// How many are still to be sent.
    pub fn queued(&self) -> usize {
        self.output.len()
    }

    pub fn has_output(&self) -> bool {
        !self.output.is_empty()
    }

    /// The next bytes to send. Whoever takes them sends them before anybody sends others.
    pub fn take_output(&mut self) -> Option<Outgoing> {
        self.take_output_within(usize::MAX)
    }

    /// The same, if they are no more than that.
    pub fn take_output_within(&mut self, most: usize) -> Option<Outgoing> {
        let at = match self.two_bands {
            false => 0,
            true => self.next_of_both()?,
        };
        if self.output.get(at)?.rest().len() > most {
            return None;
        }
        let next = self.output.remove(at)?;
        self.set_progress(next.id, Progress::Started);
        Some(next)
    }

    /// With both bands: the first that may go. What has begun goes on, and out-of-band commands go before the others.
    fn next_of_both(&self) -> Option<usize> {
        if self.output.front().is_some_and(|out| out.written > 0) {
            return Some(0);
        }
        let overtaking = self.output.iter().position(|out| out.out_of_band);
        overtaking.or_else(|| {
            let under_way = |command: &&Command<W>| {
                command.progress != Progress::Queued && !command.out_of_band
            };
            let count = self.waiting.iter().filter(under_way).count();
            (count < MOST_IN_BAND && !self.output.is_empty()).then_some(0)
        })
    }

    /// They were all sent.
    pub fn output_sent(&mut self, done: &Outgoing) {
        self.set_progress(done.id, Progress::Sent);
    }

    /// The socket takes no more for now. `Torn`: the call gave up meanwhile.
    pub fn output_blocked(&mut self, rest: Outgoing) -> Result<(), Abandoned> {
        let position = self.position(rest.id);
        let abandoned = position.is_none_or(|at| {
            let command = &self.waiting[at];
            command.waiter.is_none() && !command.disowned
        });
        if rest.written > 0 {
            self.output.push_front(rest);
            return if abandoned {
                Err(Abandoned::Torn)
            } else {
                Ok(())
            };
        }
        if abandoned {
            // Nobody waits for it and nothing of it was sent: it never was.
            if let Some(at) = position {
                self.waiting.remove(at);
                self.abandoned -= 1;
            }
            return Ok(());
        }
        self.set_progress(rest.id, Progress::Queued);
        self.output.push_front(rest);
        Ok(())
    }

    /// Who waits for the reply that carries this id.
    pub fn reply(&mut self, id: Id) -> Result<W, Unmatched> {
        let Id::Ours(id) = id else {
            return Err(Unmatched::of(id));
        };
        match self.position(id) {
            // A reply to what was not sent is a guess.
            Some(at) if self.waiting[at].progress != Progress::Queued => self.complete(at),
            _ => Err(Unmatched::Foreign),
        }
    }

    /// Who is meant by an error reply. QEMU leaves the id out when it could not parse the command,
    /// so one without an id belongs to the only command that is under way, if there is only one.
    pub fn error_reply(&mut self, id: Id) -> Result<W, Unmatched> {
        match id {
            Id::Absent => self.only_one(),
            _ => self.reply(id),
        }
    }

    /// The waiter of the only command under way, which this completes.
    pub fn only_one(&mut self) -> Result<W, Unmatched> {
        let mut under_way =
            (0..self.waiting.len()).filter(|at| self.waiting[*at].progress != Progress::Queued);
        match (under_way.next(), under_way.next()) {
            (Some(at), None) => self.complete(at),
            _ => Err(Unmatched::Anonymous),
        }
    }

    /// Like [`Pending::only_one`], but the command stays under way: its reply is still to come,
    /// and will be late.
    pub fn give_up_only_one(&mut self) -> Option<W> {
        let mut under_way = self
            .waiting
            .iter_mut()
            .filter(|command| command.progress != Progress::Queued);
        match (under_way.next(), under_way.next()) {
            (Some(command), None) => {
                let waiter = command.waiter.take()?;
                self.note_abandoned();
                Some(waiter)
            }
            _ => None,
        }
    }

    /// The call gives up. None: its reply has been delivered, or the connection has ended.
    pub fn abandon(&mut self, id: u64) -> Option<Abandoned> {
        let at = self.position(id)?;
        let queued = self.output.iter().position(|out| out.id == id);
        match queued {
            Some(out) if self.output[out].written == 0 => {
                self.output.remove(out);
                self.waiting.remove(at);
                Some(Abandoned::Withdrawn)
            }
            _ => {
                self.waiting[at].waiter.take()?;
                self.note_abandoned();
                Some(match queued {
                    Some(_) => Abandoned::Torn,
                    None => Abandoned::Unknown,
                })
            }
        }
    }

    /// Nobody wants the reply any more, but the command goes its way, as far as it has come. False: its reply has been
    /// delivered, or the connection has ended.
    pub fn disown(&mut self, id: u64) -> bool {
        let Some(at) = self.position(id) else {
            return false;
        };
        let command = &mut self.waiting[at];
        if command.waiter.take().is_none() {
            return false;
        }
        command.disowned = true;
        self.note_abandoned();
        true
    }

    /// The connection has ended: everybody who waits, and what became of their commands.
    pub fn end(&mut self) -> impl Iterator<Item = (W, Fate)> {
        self.output.clear();
        self.abandoned = 0;
        std::mem::take(&mut self.waiting)
            .into_iter()
            .filter_map(|command| {
                let fate = match command.progress {
                    Progress::Queued => Fate::NeverSent,
                    _ if command.farewell => Fate::Done,
                    _ => Fate::Unknown,
                };
                command.waiter.map(|waiter| (waiter, fate))
            })
    }

    fn position(&self, id: u64) -> Option<usize> {
        // As a rule there are no gaps.
        let guess = id.checked_sub(self.waiting.front()?.id)?;
        if let Ok(guess) = usize::try_from(guess) {
            if self
                .waiting
                .get(guess)
                .is_some_and(|command| command.id == id)
            {
                return Some(guess);
            }
        }
        let at = self.waiting.partition_point(|command| command.id < id);
        (self.waiting.get(at)?.id == id).then_some(at)
    }

    fn set_progress(&mut self, id: u64, progress: Progress) {
        if let Some(at) = self.position(id) {
            self.waiting[at].progress = progress;
        }
    }

    fn complete(&mut self, at: usize) -> Result<W, Unmatched> {
        let done = match at {
            0 => self.waiting.pop_front(), // as a rule
            _ => self.waiting.remove(at),
        };
        match done {
            Some(Command {
                waiter: Some(waiter),
                ..
            }) => Ok(waiter),
            Some(Command { id, .. }) => {
                self.abandoned -= 1;
                Err(Unmatched::Late(id))
            }
            None => Err(Unmatched::Foreign),
        }
    }

    fn note_abandoned(&mut self) {
        self.abandoned += 1;
        if self.abandoned > MAX_ABANDONED {
            // What was not sent yet has its reply still before it.
            let mut begun = self
                .waiting
                .iter()
                .take_while(|c| c.progress != Progress::Queued);
            let oldest = begun.position(|c| c.waiter.is_none() && c.progress == Progress::Sent);
            if let Some(at) = oldest {
                self.waiting.remove(at);
                self.abandoned -= 1;
            }
        }
    }
}

#[cfg(test)]
mod tests;
