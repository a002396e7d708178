// SPDX-License-Identifier: MIT OR Apache-2.0
//! A small QEMU for tests: it speaks QMP and has no machine behind it, and does wrong on demand.
//!
//! `service` moves all mocks of a process on one thread; a mock is a `state`: its `machine`, which decides what commands mean, its
//! `script` of what the user wants instead, `faults` among it, its `link`s to clients, and what it `received`. `replay` plays a
//! recorded session back.

mod command;
mod faults;
mod link;
mod machine;
mod message;
mod place;
mod received;
mod replay;
mod script;
mod service;
mod state;
mod step;

use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

pub use machine::Guest;

use crate::error::{Error, Result};
use crate::transport::Listener;
use crate::wire::{Arguments, check_name, children};
use faults::{Fault, Place};
use message::{Answer, Event};
use received::Expected;
use replay::Replay;
use script::{EVENT, Effect, GREETING};
use service::Service;
use state::State;

/// A running mock. Dropping it ends the service and removes the socket.
pub struct Mock {
    shared: Arc<Shared>,
    service: Arc<Service>,
    number: u64,
    address: Vec<u8>,
}

struct Shared {
    state: Mutex<State>,
    /// After every turn.
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Mock {
    /// Listens on `address`, in the forms that clients use: a path that does not exist yet, an abstract name, or TCP on a loopback
    /// address, with port 0 for any.
    pub fn start(address: &[u8]) -> Result<Mock> {
        Mock::serve(place::listen(address)?)
    }

    /// Listens on a fresh path among the temporary files.
    pub fn start_temporary() -> Result<Mock> {
        Mock::serve(place::listen_temporary()?)
    }

    fn serve(listener: Listener) -> Result<Mock> {
        let address = listener
            .address()
            .map_err(|error| place::cannot_listen(&error))?;
        let service = service::running().map_err(|error| Error::os("start a mock", &error))?;
        let shared = Arc::new(Shared {
            state: Mutex::new(State::new(listener)),
            changed: Condvar::new(),
        });
        let number = service.add(&shared);
        Ok(Mock {
            shared,
            service,
            number,
            address,
        })
    }

    /// What a client connects to.
    pub fn address(&self) -> &[u8] {
        &self.address
    }

    /// The path of its socket, where it has one.
    pub fn path(&self) -> &Path {
        Path::new(std::ffi::OsStr::from_bytes(&self.address))
    }

    /// Ends the service as if QEMU were killed: no farewell.
    pub fn stop(&self) {
        self.shared.lock().kill();
        self.service.remove(self.number);
        self.shared.changed.notify_all();
    }

    /// Waits until the machine has ended or `stop` was called.
    pub fn wait(&self) {
        self.wait_until(None, |state| state.ended.then_some(()));
    }

    pub fn set_version(&self, major: u32, minor: u32, micro: u32, package: &str) {
        let mut state = self.shared.lock();
        state.machine.version = (major, minor, micro);
        state.machine.package = package.to_owned();
    }

    /// `json`: an array.
    pub fn set_capabilities(&self, json: &str) -> Result<()> {
        let json = value(json, "capabilities_json")?;
        if !json.starts_with('[') {
            return Err(Error::invalid("capabilities_json is no array"));
        }
        self.shared.lock().machine.capabilities = json;
        Ok(())
    }

    pub fn set_name(&self, name: Option<&str>) {
        self.shared.lock().machine.name = name.map(str::to_owned);
    }

    /// The run state, without any event.
    pub fn set_state(&self, state: &str) -> Result<()> {
        if !machine::STATES.contains(&state) {
            return Err(Error::invalid(format!(
                "run_state is none of QEMU's: {}",
                machine::STATES.join(", ")
            )));
        }
        self.shared.lock().machine.state = state.to_owned();
        Ok(())
    }

    pub fn set_guest(&self, guest: Guest) {
        self.shared.lock().machine.guest = guest;
    }

    /// As with -no-shutdown.
    pub fn set_no_shutdown(&self, stays: bool) {
        self.shared.lock().machine.stays = stays;
    }

    pub fn set_clients(&self, most: u32) -> Result<()> {
        if most == 0 {
            return Err(Error::invalid("clients is 0"));
        }
        self.shared.lock().most_clients = most as usize;
        self.service.turn(self.number);
        Ok(())
    }

    /// `times`: None is always.
    pub fn reply(&self, command: &str, json: &str, times: Option<u32>) -> Result<()> {
        let answer = Answer::Return(value(json, "value_json")?);
        self.script(command, times, Effect::Answer(answer))
    }

    pub fn reply_error(
        &self,
        command: &str,
        class: &str,
        description: &str,
        times: Option<u32>,
    ) -> Result<()> {
        let answer = Answer::error(class, description);
        self.script(command, times, Effect::Answer(answer))
    }

    pub fn reply_event(
        &self,
        command: &str,
        before: bool,
        name: &str,
        data: Option<&str>,
        times: Option<u32>,
    ) -> Result<()> {
        let event = event(name, data)?;
        self.script(
            command,
            times,
            match before {
                true => Effect::Before(event),
                false => Effect::After(event),
            },
        )
    }

    /// `delay`: None is for ever.
    pub fn delay(&self, command: &str, delay: Option<Duration>, times: Option<u32>) -> Result<()> {
        self.script(command, times, Effect::Delay(delay))
    }

    /// `amount` 0: the fault's usual one.
    pub fn fault(&self, at: &str, fault: &str, amount: u64, times: Option<u32>) -> Result<()> {
        let place = match at {
            GREETING => Place::Greeting,
            EVENT => Place::Event,
            _ => Place::Reply,
        };
        let fault = Fault::named(fault, place, amount).ok_or_else(|| {
            Error::invalid(format!(
                "there is no fault of the name {fault:?} for {at}: qmp_mock_faults_json lists them"
            ))
        })?;
        self.script(at, times, Effect::Fault(fault))
    }

    pub fn clear(&self) {
        self.shared.lock().script.clear();
    }

    fn script(&self, place: &str, times: Option<u32>, effect: Effect) -> Result<()> {
        let name = place.strip_suffix('*').unwrap_or(place);
        if place != "*" && check_name(name).is_err() {
            return Err(Error::invalid("command is no name of a command"));
        }
        let heard = match effect {
            Effect::Answer(_) => ![GREETING, EVENT].contains(&place),
            Effect::Fault(_) => true,
            Effect::Delay(_) | Effect::Before(_) | Effect::After(_) => place != EVENT,
        };
        if !heard {
            return Err(Error::invalid(format!(
                "command is {place:?}, which is none"
            )));
        }
        if times == Some(0) {
            return Err(Error::invalid("times is 0"));
        }
        self.shared.lock().script.add(place, times, effect);
        Ok(())
    }

    /// Every client that negotiated hears it; nobody else does, as with QEMU.
    pub fn emit(&self, name: &str, data: Option<&str>) -> Result<()> {
        let event = event(name, data)?;
        self.shared.lock().emit(event);
        self.service.turn(self.number);
        Ok(())
    }

    /// Sends a text as it is.
    pub fn send(&self, text: &str) {
        self.shared.lock().send(text);
        self.service.turn(self.number);
    }

    /// Ends the connections of the moment.
    pub fn disconnect(&self) {
        self.shared.lock().disconnect();
        self.service.turn(self.number);
    }

    /// All bytes that clients have sent so far.
    pub fn bytes_received(&self) -> u64 {
        self.shared.lock().bytes
    }

    /// The commands that clients have sent so far, without the negotiations, as JSON text of an array.
    pub fn received_json(&self) -> String {
        self.shared.lock().received.json()
    }

    /// How often a command was received.
    pub fn count(&self, command: &str) -> u64 {
        self.shared.lock().received.count(command)
    }

    /// Waits until the commands came that `json` lists, from where the last expectation ended.
    pub fn expect(&self, json: &str, timeout: Option<Duration>) -> Result<()> {
        let expected = Expected::parse(json)?;
        let met = self.wait_until(timeout, |state| {
            let met = state.received.meets(&expected);
            met.or_else(|| {
                state
                    .is_over()
                    .then(|| Err(state.received.missing(&expected)))
            })
        });
        met.unwrap_or_else(|| {
            let received = &mut self.shared.lock().received;
            let at_last = received.meets(&expected);
            at_last.unwrap_or_else(|| Err(received.missing(&expected)))
        })
    }

    /// Plays a transcript from the next connection on.
    pub fn replay(&self, path: &Path) -> Result<()> {
        let replay = Replay::read(path)?;
        self.shared.lock().replay = Some(replay);
        Ok(())
    }

    /// Waits until the transcript was played to its end.
    pub fn check_replay(&self, timeout: Option<Duration>) -> Result<()> {
        let outcome = self.wait_until(timeout, |state| match &state.replay {
            Some(replay) => {
                let outcome = replay.outcome();
                outcome.or_else(|| state.is_over().then(|| Err(replay.missing())))
            }
            None => Some(Err(Error::invalid("no transcript is replayed"))),
        });
        outcome.unwrap_or_else(|| match &self.shared.lock().replay {
            Some(replay) => replay.outcome().unwrap_or_else(|| Err(replay.missing())),
            None => Ok(()),
        })
    }

    /// None: the time was over.
    fn wait_until<T>(
        &self,
        timeout: Option<Duration>,
        mut is: impl FnMut(&mut State) -> Option<T>,
    ) -> Option<T> {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut state = self.shared.lock();
        loop {
            if let Some(found) = is(&mut state) {
                return Some(found);
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                return None;
            }
            let changed = &self.shared.changed;
            state = match left {
                Some(left) => changed
                    .wait_timeout(state, left)
                    .map_or_else(|poisoned| poisoned.into_inner().0, |(state, _)| state),
                None => changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }
}

impl Drop for Mock {
    fn drop(&mut self) {
        self.stop();
    }
}

/// All faults there are, as JSON text.
pub fn faults_json() -> String {
    faults::catalogue()
}

/// The text of one JSON value, on one line.
fn value(json: &str, name: &str) -> Result<String> {
    // There is one parser of whole objects; it refuses what is no JSON.
    let wrapped = Arguments::parse(&format!("{{\"a\": {json}}}"))
        .map_err(|error| Error::invalid(format!("{name}: {error}")))?;
    match children(wrapped.as_str()).as_slice() {
        [(_, value)] => Ok((*value).to_owned()),
        _ => Err(Error::invalid(format!("{name} is not one JSON value"))),
    }
}

fn event(name: &str, data: Option<&str>) -> Result<Event> {
    let data = data.map(|data| value(data, "data_json")).transpose()?;
    if data.as_ref().is_some_and(|data| !data.starts_with('{')) {
        return Err(Error::invalid("data_json is no object"));
    }
    Ok(Event::new(name, data.as_deref()))
}
