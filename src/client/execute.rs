// SPDX-License-Identifier: MIT OR Apache-2.0
//! One command and its reply.

use std::os::fd::OwnedFd;

use super::connection::{Connection, EVENTS, State, mark_of};
use super::failure::End;
use super::log::Level;
use super::turns::Aftermath;
use super::wait::{Stop, Wait};
use crate::error::{Error, Result, Status};
use crate::session::pending::Abandoned;
use crate::sys::text::Text;
use crate::wire::command::{self, Arguments, BadArguments, Band};
use crate::wire::redact::redact;

/// Arguments of up to so many bytes are copied with the lock held.
const SMALL: usize = 4096;

impl Connection {
    /// The raw text of the reply's `return`. A command whose deadline has passed already, or whose
    /// token is triggered, is not sent.
    pub fn execute(&self, name: &str, arguments: Option<&str>, wait: &Wait<'_>) -> Result<Text> {
        self.run(Call::new(name, check(name, arguments)?), wait)
    }

    /// Like [`Connection::execute`], past everything that is queued.
    pub fn execute_out_of_band(
        &self,
        name: &str,
        arguments: Option<&str>,
        wait: &Wait<'_>,
    ) -> Result<Text> {
        let mut call = Call::new(name, check(name, arguments)?);
        call.band = Band::OutOfBand;
        self.run(call, wait)
    }

    /// A checked command, to be executed with a descriptor.
    pub fn call<'a>(&self, name: &'a str, arguments: Option<&str>) -> Result<Call<'a>> {
        Ok(Call::new(name, check(name, arguments)?))
    }

    /// Like [`Connection::execute`], with a descriptor for the VM, which is closed here in any case.
    pub fn execute_with(
        &self,
        mut call: Call<'_>,
        descriptor: OwnedFd,
        wait: &Wait<'_>,
    ) -> Result<Text> {
        call.descriptor = Some(descriptor);
        self.run(call, wait)
    }

    fn run(&self, mut call: Call<'_>, wait: &Wait<'_>) -> Result<Text> {
        let may_wait = self.options.reconnect.is_some() && wait.session.is_none();
        loop {
            if may_wait {
                self.await_session(call.name, wait)?;
            }
            let ended = |e: &Error| may_wait && e.status == Status::Disconnected;
            let id = match self.submit(&mut call, wait) {
                Ok(id) => id,
                // Between the two; nothing of the command was sent.
                Err(e) if ended(&e) => continue,
                Err(e) => return Err(e),
            };
            match self.reply(call.name, id, wait) {
                Err(e) if ended(&e) && self.may_repeat(&call) => {}
                answered => return answered,
            }
        }
    }

    /// What only asks may be asked again.
    fn may_repeat(&self, call: &Call<'_>) -> bool {
        self.options.retry_queries && call.name.starts_with("query-") && call.descriptor.is_none()
    }

    /// Waits until there is a session, or never will be.
    pub(super) fn await_session(&self, what: &str, wait: &Wait<'_>) -> Result<u64> {
        let state = self.state.lock();
        if state.is_up() && !state.closed {
            return Ok(state.epoch);
        }
        drop(state);
        let up = |state: &mut State| state.is_up().then_some(state.epoch);
        match self.wait(wait, EVENTS, up) {
            Ok(epoch) => Ok(epoch),
            Err(Stop::Timeout | Stop::Closed) => {
                let state = self.state.lock();
                self.open_for(&state, what).map(|()| state.epoch)
            }
            Err(stop) => Err(self.stopped(what, stop, None, wait)),
        }
    }

    /// Queues the command and sends what the socket takes.
    pub(super) fn submit(&self, call: &mut Call<'_>, wait: &Wait<'_>) -> Result<u64> {
        let Call { band, name, id, .. } = *call;
        let mut state = self.state.lock();
        self.open_within(&state, name, wait)?;
        if call.descriptor.is_some() && !state.link.passes_descriptors() {
            return Err(Error::new(
                Status::Unsupported,
                format!(
                    "{name} on {}: only a unix socket carries descriptors",
                    self.address
                ),
            )
            .with_command(name));
        }
        if let Some(stop) = wait.stop() {
            return Err(self.stopped(name, stop, None, wait));
        }
        if let Err(e) = wait.prepare() {
            // Found out before anything is sent.
            return Err(self.stopped(name, e.into(), None, wait));
        }
        let id = id.unwrap_or_else(|| state.session.pending.next_id());
        // Large arguments are copied, and a slow logger is called, without the lock.
        let logged = self.log.takes(Level::Trace);
        let large = call
            .arguments
            .as_ref()
            .is_some_and(|it| it.as_str().len() > SMALL);
        let relock = logged || large;
        let mut held = Some(state).filter(|_| !relock);
        let bytes = command::encode(band, name, call.arguments.as_ref(), id)
            .ok_or_else(|| unsendable(name, BadArguments::NoMemory))?;
        if logged {
            let text = String::from_utf8_lossy(&bytes);
            let line = format!("sending {}", redact(&text));
            self.log.write(Level::Trace, &line);
        }
        let mut after = Aftermath::new(self);
        let mut state = match held.take() {
            Some(state) => state,
            None => {
                let state = self.state.lock();
                self.open_within(&state, name, wait)?;
                state
            }
        };
        if band == Band::OutOfBand && !state.session.pending.has_out_of_band() {
            return Err(self.no_out_of_band(name));
        }
        let farewell = self.options.dialect.is_farewell(name);
        let pending = &mut state.session.pending;
        match band {
            Band::InBand => pending.submit(id, bytes, id, farewell),
            Band::OutOfBand => pending.submit_out_of_band(id, bytes, id),
        }
        if let Some(descriptor) = call.descriptor.take() {
            state.descriptors.push((id, descriptor));
        }
        state = if call.is_waited_for || band == Band::OutOfBand {
            self.flush(state, &mut after)
        } else {
            self.send_soon(state, &mut after)
        };
        drop(state);
        after.wake();
        after.tell();
        Ok(id)
    }

    fn no_out_of_band(&self, name: &str) -> Error {
        let at = format!("{name} on {}", self.address);
        Error::new(
            Status::Unsupported,
            format!(
                "{at}: out-of-band commands were not negotiated: set it in the options; the VM has to \
                 offer it"
            ),
        )
        .with_command(name)
    }

    /// The connection takes commands.
    fn open_for(&self, state: &State, name: &str) -> Result<()> {
        let error = match &state.end {
            _ if state.closed => self.closed(name),
            Some(end) if state.is_over() => self.ended(name, end),
            _ if state.is_up() => return Ok(()),
            _ => self.not_back(name, &state.why_down()),
        };
        Err(error.with_command(name))
    }

    /// And it is the session that is meant.
    fn open_within(&self, state: &State, name: &str, wait: &Wait<'_>) -> Result<()> {
        self.open_for(state, name)?;
        match state.latest_end() {
            Some(end) if wait.session.is_some_and(|session| session != state.epoch) => {
                Err(self.ended(name, end).with_command(name))
            }
            _ => Ok(()),
        }
    }

    /// Waits for the reply to a submitted command.
    pub(super) fn reply(&self, name: &str, id: u64, wait: &Wait<'_>) -> Result<Text> {
        match self.wait(wait, mark_of(id), |state| state.take_outcome(id)) {
            Ok(Ok(reply)) => Ok(reply),
            Ok(Err(failure)) => {
                let end = self.state.lock().latest_end().cloned();
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
            let end = state.latest_end().cloned();
            drop(state);
            return outcome.map_err(|failure| self.failed(name, failure, end.as_ref()));
        }
        let abandoned = self.abandon(&mut state, id, name, &mut after);
        drop(state);
        after.wake();
        after.tell();
        let error = self.stopped(name, stop, abandoned, wait);
        if error.status == Status::Timeout {
            self.log.write(Level::Info, &error.message);
        }
        Err(error)
    }

    /// Nobody waits for the command any more.
    pub(super) fn abandon(
        &self,
        state: &mut State,
        id: u64,
        name: &str,
        after: &mut Aftermath<'_>,
    ) -> Option<Abandoned> {
        let abandoned = state.session.pending.abandon(id);
        match abandoned {
            Some(Abandoned::Torn) => self.finish(state, End::Torn, after),
            Some(Abandoned::Unknown) => state.expect_late(id, name),
            _ => {}
        }
        after.descriptors.extend(state.take_descriptor(id));
        abandoned
    }
}

/// One command, on its way to be sent.
pub struct Call<'a> {
    pub(super) band: Band,
    pub(super) name: &'a str,
    pub(super) arguments: Option<Arguments>,
    /// None: the next number.
    pub(super) id: Option<u64>,
    pub(super) descriptor: Option<OwnedFd>,
    /// Somebody will, at once.
    pub(super) is_waited_for: bool,
}

impl<'a> Call<'a> {
    pub(super) fn new(name: &'a str, arguments: Option<Arguments>) -> Call<'a> {
        Call {
            band: Band::InBand,
            name,
            arguments,
            id: None,
            descriptor: None,
            is_waited_for: true,
        }
    }
}

/// What a caller wants to send, or what is wrong with it.
pub(super) fn check(name: &str, arguments: Option<&str>) -> Result<Option<Arguments>> {
    command::check_name(name).map_err(|bad| {
        Error::invalid(format!("\"{}\": {bad}", excerpt(name))).with_command(name)
    })?;
    let arguments = arguments.map(Arguments::parse).transpose();
    arguments.map_err(|bad| unsendable(name, bad))
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
