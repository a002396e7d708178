// SPDX-License-Identifier: MIT OR Apache-2.0
//! From bytes to whom they concern. Runs in the thread that has the reader role.

use std::io;
use std::sync::atomic::Ordering;

use super::connection::{Connection, EVENTS, Outcome, State, mark_of};
use super::failure::{End, Failure, over};
use super::log::Level;
use super::reader::Reader;
use super::turns::Aftermath;
use crate::session::handshake::{Greeting, Stage};
use crate::session::pending::Unmatched;
use crate::session::power::Shutdown;
use crate::sys::text::Text;
use crate::wire::framing::{Fault, Frame, Object};
use crate::wire::message::{EventView, Id, Message};
use crate::wire::redact::redact;
use crate::wire::transcript::Entry;

impl Connection {
    /// Reads once and hands out all that is complete. True: there may be more to read at once.
    /// `waits`: for something to read, as long as the transport does.
    pub(super) fn receive(
        &self,
        reader: &mut Reader,
        waits: bool,
        after: &mut Aftermath<'_>,
    ) -> bool {
        let Ok(received) = reader.read(waits) else {
            self.finish_now(End::NoMemory, after);
            return false;
        };
        let full = match received {
            Ok((0, _)) => {
                let mid_message = reader.framer().is_mid_message();
                let end = match self.state.lock().send_error {
                    Some(errno) => End::Failed(errno),
                    None => End::Eof { mid_message },
                };
                self.finish_now(end, after);
                return false;
            }
            Ok((_, full)) => {
                self.heard.store(true, Ordering::Relaxed);
                full
            }
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => return false,
            Err(e) => {
                self.finish_now(End::Failed(e.raw_os_error().unwrap_or(libc::EIO)), after);
                return false;
            }
        };
        while let Some(frame) = reader.framer().next() {
            if let Frame::Garbage(bytes) = frame {
                if !bytes.is_empty() {
                    let shown = || Entry::Garbage(bytes.escape_ascii().to_string().into());
                    self.record(&mut after.notes, shown);
                }
                let Some(end) = self.end_by_garbage(bytes) else {
                    continue;
                };
                self.finish_now(end, after);
                return false;
            }
            if self.frame(frame, after) {
                reader.open();
            }
        }
        self.send_held_back(after);
        if self.options.reconnect.is_some() {
            self.carry_on_handshake(after);
        }
        full
    }

    /// Replies have come, so that commands may go which waited for them.
    fn send_held_back(&self, after: &mut Aftermath<'_>) {
        let deferred = self.has_deferred.load(Ordering::Relaxed);
        if self.options.out_of_band || deferred {
            let state = self.state.lock();
            if deferred || state.session.pending.is_held_back() {
                drop(self.flush(state, after));
            }
        }
    }

    fn finish_now(&self, end: End, after: &mut Aftermath<'_>) {
        after
            .notes
            .add(Level::Debug, || format!("the connection ends: {end:?}"));
        let mut state = self.state.lock();
        self.finish(&mut state, end, after);
    }

    /// None: it may be the tail of a reply to somebody else, and what is ours is marked.
    fn end_by_garbage(&self, bytes: &[u8]) -> Option<End> {
        match self.state.lock().session.stage {
            Stage::Greeting => Some(End::not_qmp(bytes)),
            Stage::Syncing(_) => None,
            Stage::Open => Some(End::garbage(bytes)),
        }
    }

    /// True: this opened the session.
    fn frame(&self, frame: Frame<'_>, after: &mut Aftermath<'_>) -> bool {
        match frame {
            Frame::Message(object) => {
                after
                    .notes
                    .add(Level::Trace, || format!("received {}", redact(object.text)));
                self.record(&mut after.notes, || Entry::Received(object.text));
                return self.message(&object, after);
            }
            Frame::Other => {
                let what = "JSON that is no object";
                self.record(&mut after.notes, || Entry::Skipped(what.into()));
                let mut state = self.state.lock();
                state.session.ignored().non_messages += 1;
                self.before_greeting(&mut state, || End::no_message(what), after);
            }
            Frame::Refused { refusal, is_event } => {
                after
                    .notes
                    .add(Level::Warn, || format!("skipping a message: {refusal:?}"));
                self.record(&mut after.notes, || Entry::Skipped(over(refusal).into()));
                let mut state = self.state.lock();
                match state.session.stage {
                    Stage::Greeting => {
                        let end = End::GreetingTooLarge(refusal);
                        self.finish(&mut state, end, after);
                    }
                    Stage::Open if !is_event => {
                        if let Some(id) = state.session.pending.give_up_only_one() {
                            let failure = Failure::Broken(Fault::Refused(refusal));
                            state.complete(id, Err(failure), after);
                        }
                    }
                    _ => {}
                }
            }
            Frame::Broken { id, reason } => {
                if let Some(what) = broken(reason) {
                    self.record(&mut after.notes, || Entry::Skipped(what.into()));
                }
                let mut state = self.state.lock();
                let id = id.map_or(Id::Absent, Id::Ours);
                match state.session.pending.reply(id) {
                    Err(Unmatched::Anonymous) => {
                        state.session.ignored().broken_messages += 1;
                        after
                            .notes
                            .add(Level::Warn, || format!("dropped a message: {reason:?}"));
                    }
                    matched => state.settle_reply(matched, Err(Failure::Broken(reason)), after),
                }
                self.before_greeting(&mut state, || End::no_message("a broken message"), after);
            }
            // The caller of this function deals with it.
            Frame::Garbage(_) => {}
        }
        false
    }

    fn message(&self, object: &Object<'_>, after: &mut Aftermath<'_>) -> bool {
        let too_early = || End::not_qmp(object.text.as_bytes());
        match Message::classify(object) {
            // Copies are made before the lock is taken: their size is the peer's choice.
            Message::Return { id, value } => {
                let outcome = Text::copy(value).ok_or(Failure::NoMemory);
                let mut state = self.state.lock();
                if id == Id::Absent && state.session.is_sync_answer(value) {
                    self.finish(&mut state, End::NoIds, after);
                } else if !self.reply_before_greeting(&mut state, id, too_early, after) {
                    let opening = state.session.stage != Stage::Open;
                    let matched = state.session.receive_return(id, value);
                    state.settle_reply(matched, outcome, after);
                    return opening && state.session.stage == Stage::Open;
                }
            }
            Message::Error { id, error } => {
                let mut state = self.state.lock();
                if !self.reply_before_greeting(&mut state, id, too_early, after) {
                    let matched = state.session.receive_error(id);
                    state.settle_reply(matched, Err(Failure::Answer(error)), after);
                }
            }
            Message::Contradictory { id } => {
                let mut state = self.state.lock();
                if !self.reply_before_greeting(&mut state, id, too_early, after) {
                    let matched = state.session.pending.reply(id);
                    state.settle_reply(matched, Err(Failure::Contradictory), after);
                }
            }
            Message::Event(view) if self.options.dialect.is_monitor() => self.event(&view, after),
            Message::Event(_) => self.state.lock().session.ignored().non_messages += 1,
            Message::Greeting { .. } => {
                let mut state = self.state.lock();
                match state.session.stage {
                    Stage::Greeting => {
                        state.session.receive_greeting(Greeting {
                            json: object.text.into(),
                        });
                        self.greeted_again(&mut state);
                        return true;
                    }
                    Stage::Syncing(_) => self.finish(&mut state, End::Monitor, after),
                    Stage::Open => {
                        state.session.ignored().greetings += 1;
                        after
                            .notes
                            .add(Level::Warn, || "a second greeting".to_owned());
                    }
                }
            }
            Message::OddEvent => {
                self.state.lock().session.ignored().odd_events += 1;
                after
                    .notes
                    .add(Level::Warn, || "dropped an event without a name".to_owned());
            }
            Message::Unknown => {
                let mut state = self.state.lock();
                state.session.ignored().non_messages += 1;
                self.before_greeting(&mut state, too_early, after);
            }
        }
        false
    }

    fn event(&self, view: &EventView<'_>, after: &mut Aftermath<'_>) {
        let shutdown = Shutdown::of(view);
        let mut state = self.state.lock();
        if state.is_ended() {
            // By another thread: what comes behind DISCONNECTED is of the next session.
            return;
        }
        state.session.receive_event(view, shutdown);
        state.publish(view, after);
        state.update_signal();
        after.wakes |= state.asleep(EVENTS);
    }

    /// A reply before the greeting ends the connection, unless it has an id: then it is meant for
    /// the monitor's former client.
    fn reply_before_greeting(
        &self,
        state: &mut State,
        id: Id,
        end: impl FnOnce() -> End,
        after: &mut Aftermath<'_>,
    ) -> bool {
        id == Id::Absent && self.before_greeting(state, end, after)
    }

    /// Before the greeting nothing but events may come. True: something did, and the connection
    /// ends.
    fn before_greeting(
        &self,
        state: &mut State,
        end: impl FnOnce() -> End,
        after: &mut Aftermath<'_>,
    ) -> bool {
        let too_early = state.session.stage == Stage::Greeting;
        if too_early {
            self.finish(state, end(), after);
        }
        too_early
    }
}

impl State {
    fn settle_reply(
        &mut self,
        matched: Result<u64, Unmatched>,
        outcome: Outcome,
        after: &mut Aftermath<'_>,
    ) {
        match matched {
            Ok(id) => return self.complete(id, outcome, after),
            Err(Unmatched::Foreign) => self.session.ignored().foreign_replies += 1,
            Err(Unmatched::Late(id)) => {
                self.session.ignored().late_replies += 1;
                let name = self.late.take(id);
                after.late.extend(name.map(|name| (name, outcome)));
            }
            Err(Unmatched::Anonymous) => self.session.ignored().anonymous_replies += 1,
        }
        if let Err(why) = matched {
            after
                .notes
                .add(Level::Warn, || format!("dropped a reply: {why:?}"));
        }
    }

    fn complete(&mut self, id: u64, outcome: Outcome, after: &mut Aftermath<'_>) {
        if self.is_handshake(id) {
            return self.handshake_answered(outcome, after);
        }
        self.add_outcome(id, outcome);
        self.tell_watchers(id, after);
        after.wakes |= self.asleep(mark_of(id));
    }
}

/// What a message is that cannot be passed on. None: that was told when it was refused.
fn broken(reason: Fault) -> Option<&'static str> {
    match reason {
        Fault::Refused(_) => None,
        Fault::NotJson => Some("a message that is no JSON"),
        Fault::NotUtf8 => Some("a message that is no UTF-8"),
    }
}
