// SPDX-License-Identifier: MIT OR Apache-2.0
//! Shutting a VM down: the power button, again at intervals, then `quit`.
//!
//! A press before the guest listens to its button is lost, so it is repeated. One that the guest
//! cannot see because it is paused would be kept and strike later, so only a running guest is
//! pressed; and it is never resumed. SHUTDOWN may come without the end (`-no-shutdown`), and the
//! end without SHUTDOWN (a kill), so both are watched.

use std::time::Duration;

use super::cancel::Cancel;
use super::connection::{Connection, State};
use super::failure::End;
use super::wait::{Stop, Wait};
use crate::error::{Error, Result, Status};
use crate::session::power::Shutdown;

/// How long QEMU may take to end once it was told to, or once its guest is off.
const END: Duration = Duration::from_secs(5);

/// How often a guest that cannot be pressed yet is looked at.
const LOOK: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug)]
pub struct ShutdownPlan {
    /// None: the button is pressed once.
    pub press_interval: Option<Duration>,
    /// None: for ever.
    pub grace: Option<Duration>,
    /// `quit` when the grace time is over.
    pub force: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum ShutdownResult {
    /// The guest went down by itself.
    Guest = 1,
    /// QEMU was ended from the host's side, by this call or another.
    Forced = 2,
    /// There was no VM any more.
    AlreadyDown = 3,
}

/// What the grace time came to.
enum Grace {
    /// The guest is off; QEMU may be there still.
    GuestOff,
    /// The connection ended.
    Ended,
    /// The guest is up. Why waiting on makes no sense.
    Over(String),
}

/// One call, and what it has done.
struct Ladder<'a> {
    connection: &'a Connection,
    plan: ShutdownPlan,
    cancel: Option<&'a Cancel>,
    /// SHUTDOWN events before the call.
    before: u64,
    presses: u32,
    quit_sent: bool,
}

impl Connection {
    pub fn shut_down(&self, plan: ShutdownPlan, cancel: Option<&Cancel>) -> Result<ShutdownResult> {
        let state = self.state.lock();
        if state.closed {
            return Err(self.closed("shutdown"));
        }
        if state.end.is_some() {
            return Ok(ShutdownResult::AlreadyDown);
        }
        let before = state.session.power.shutdowns;
        drop(state);
        let ladder = Ladder {
            connection: self,
            plan,
            cancel,
            before,
            presses: 0,
            quit_sent: false,
        };
        ladder.climb()
    }
}

impl Ladder<'_> {
    fn climb(mut self) -> Result<ShutdownResult> {
        let grace = Wait::new(self.plan.grace, self.cancel);
        match self.persuade(&grace)? {
            Grace::Ended => self.result(),
            Grace::GuestOff => {
                let up = self.is_still_up()?;
                if up && self.plan.force {
                    self.quit()?;
                }
                Ok(match self.seen() {
                    Some(shutdown) if !shutdown.by_guest => ShutdownResult::Forced,
                    _ => ShutdownResult::Guest,
                })
            }
            Grace::Over(why) if !self.plan.force => Err(Error::new(
                Status::Timeout,
                format!(
                    "shutdown of {}: {why}; the button was pressed {} times within {}, and the VM \
                     is left as it is",
                    self.connection.address,
                    self.presses,
                    grace.deadline.words()
                ),
            )),
            Grace::Over(_) => {
                self.quit()?;
                self.result()
            }
        }
    }

    /// Presses until the guest is off or the time is over.
    fn persuade(&mut self, grace: &Wait<'_>) -> Result<Grace> {
        let mut why = "the guest did not go down".to_owned();
        while !grace.deadline.passed() {
            match self.round(grace)? {
                Round::Pressed => why = "the guest did not go down".to_owned(),
                Round::NotPressed(because) => why = because,
                Round::Hopeless(because) => return Ok(Grace::Over(because)),
                Round::Off => return Ok(Grace::GuestOff),
                Round::TimeOver => break,
            }
            let pressed = self.presses > 0;
            let pause = match self.plan.press_interval {
                Some(interval) if pressed => grace.at_most(interval),
                Some(interval) => grace.at_most(interval.min(LOOK)),
                None if pressed => *grace,
                None => grace.at_most(LOOK),
            };
            if let Some(down) = self.watch(&pause)? {
                return Ok(down);
            }
            if pressed && self.plan.press_interval.is_none() {
                break;
            }
        }
        // What has come meanwhile is read before anything is forced.
        let now = Wait::new(Some(Duration::ZERO), self.cancel);
        Ok(self.watch(&now)?.unwrap_or(Grace::Over(why)))
    }

    /// Asks for the run state, and presses if that can do something.
    fn round(&mut self, grace: &Wait<'_>) -> Result<Round> {
        let asked = self.connection.query_status(grace);
        let state = match asked {
            Ok(state) => state,
            Err(error) => {
                return self.excuse(error, |error| {
                    Round::Hopeless(format!("it cannot be asked for its state ({error})"))
                });
            }
        };
        match state.status.as_str() {
            "shutdown" => Ok(Round::Off),
            "guest-panicked" | "internal-error" => Ok(Round::Hopeless(format!(
                "the guest cannot react, its state is {}",
                state.status
            ))),
            _ if state.running => match self.connection.execute("system_powerdown", None, grace) {
                Ok(_) => {
                    self.presses += 1;
                    Ok(Round::Pressed)
                }
                Err(error) => self.excuse(error, |error| {
                    Round::NotPressed(format!("the button could not be pressed ({error})"))
                }),
            },
            other => Ok(Round::NotPressed(format!(
                "the guest does not run, its state is {other}: resume it, or force"
            ))),
        }
    }

    /// What a failed command means for the ladder; `answered`: if the VM refused it.
    fn excuse(&self, error: Error, answered: impl FnOnce(&Error) -> Round) -> Result<Round> {
        match error.status {
            // The watching that follows sees the end.
            Status::Disconnected => Ok(Round::NotPressed("the connection ended".to_owned())),
            Status::Timeout => Ok(Round::TimeOver),
            Status::Command | Status::Protocol | Status::TooLarge => Ok(answered(&error)),
            _ => Err(error),
        }
    }

    /// Waits for SHUTDOWN or the end. None: neither came in time.
    fn watch(&self, wait: &Wait<'_>) -> Result<Option<Grace>> {
        let before = self.before;
        let found = self.connection.wait(wait, true, |state| {
            if state.end.is_some() {
                Some(Grace::Ended)
            } else if state.session.power.shutdowns > before {
                Some(Grace::GuestOff)
            } else {
                None
            }
        });
        match found {
            Ok(down) => Ok(Some(down)),
            Err(Stop::Timeout) => Ok(None),
            Err(stop) => Err(self.early(stop, wait)),
        }
    }

    /// The guest is off: whether QEMU stays all the same, as it does under `-no-shutdown`. Only
    /// then it still answers.
    fn is_still_up(&self) -> Result<bool> {
        let wait = Wait::new(Some(END), self.cancel);
        match self.connection.query_status(&wait) {
            Ok(state) if state.status == "shutdown" => Ok(true),
            Ok(_) => Ok(!self.wait_for_end(&wait)?),
            Err(error) => match error.status {
                Status::Disconnected => Ok(false),
                Status::Cancelled | Status::Closed => Err(error),
                _ => Ok(!self.wait_for_end(&wait)?),
            },
        }
    }

    fn quit(&mut self) -> Result<()> {
        let wait = Wait::new(Some(END), self.cancel);
        self.quit_sent = true;
        match self.connection.execute("quit", None, &wait) {
            Ok(_) => {}
            Err(error) if error.status == Status::Disconnected => return Ok(()),
            Err(mut error) => {
                error.message = format!("the VM could not be forced down: {}", error.message);
                return Err(error);
            }
        }
        if self.wait_for_end(&wait)? {
            return Ok(());
        }
        Err(Error::new(
            Status::Timeout,
            format!(
                "shutdown of {}: QEMU accepted quit, but is still there after {} s; no process \
                 was signalled",
                self.connection.address,
                END.as_secs()
            ),
        )
        .with_command("quit")
        .with_outcome_unknown(true))
    }

    /// False: the time is over first.
    fn wait_for_end(&self, wait: &Wait<'_>) -> Result<bool> {
        let ended = |state: &mut State| state.end.is_some().then_some(());
        match self.connection.wait(wait, false, ended) {
            Ok(()) => Ok(true),
            Err(Stop::Timeout) => Ok(false),
            Err(stop) => Err(self.early(stop, wait)),
        }
    }

    /// The connection has ended: what that means.
    fn result(&self) -> Result<ShutdownResult> {
        match self.seen() {
            Some(shutdown) if shutdown.by_guest => Ok(ShutdownResult::Guest),
            Some(_) => Ok(ShutdownResult::Forced),
            None if self.quit_sent => Ok(ShutdownResult::Forced),
            None if self.presses == 0 => Ok(ShutdownResult::AlreadyDown),
            None => {
                let end = self.connection.state.lock().end.clone();
                let end = end.unwrap_or(End::Eof { mid_message: false });
                let mut error = self.connection.ended("shutdown", &end);
                error.message = format!(
                    "{} without SHUTDOWN, so whether the guest went down cleanly is unknown",
                    error.message
                );
                Err(error.with_outcome_unknown(true))
            }
        }
    }

    /// The last SHUTDOWN since the call began.
    fn seen(&self) -> Option<Shutdown> {
        let state = self.connection.state.lock();
        let power = &state.session.power;
        power.last.clone().filter(|_| power.shutdowns > self.before)
    }

    fn early(&self, stop: Stop, wait: &Wait<'_>) -> Error {
        let what = format!("shutdown of {}", self.connection.address);
        let then = format!("the button was pressed {} times", self.presses);
        self.connection.early(&what, stop, wait, &then)
    }
}

enum Round {
    Pressed,
    NotPressed(String),
    /// No press can help.
    Hopeless(String),
    Off,
    TimeOver,
}
