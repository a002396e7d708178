// SPDX-License-Identifier: MIT OR Apache-2.0
//! Shutting a VM down: the power button, again at intervals, then `quit`.
//!
//! A press before the guest listens to its button is lost, so it is repeated. One that the guest
//! cannot see because it is paused would be kept and strike later, so only a running guest is
//! pressed; and it is never resumed. SHUTDOWN may come without the end (`-no-shutdown`), and the
//! end without SHUTDOWN (a kill), so both are watched.

use std::time::Duration;

use super::cancel::Cancel;
use super::connection::{Connection, EVENTS, State};
use super::failure::End;
use super::wait::{Stop, Wait};
use crate::error::{Error, Result, Status};

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
    /// A VM that comes back on the same connection is another one, or none of this call's business.
    session: u64,
    /// SHUTDOWN events before the call, and those of them that were the guest's doing.
    before: (u64, u64),
    presses: u32,
    /// A press or the quit was sent and not answered, or quit was and QEMU has not ended yet.
    unanswered: bool,
    quit_sent: bool,
}

impl Connection {
    pub fn shut_down(&self, plan: ShutdownPlan, cancel: Option<&Cancel>) -> Result<ShutdownResult> {
        self.needs_monitor("shutdown")?;
        let state = self.state.lock();
        if state.closed {
            return Err(self.closed("shutdown"));
        }
        match &state.end {
            Some(end) if end.is_the_peers() => return Ok(ShutdownResult::AlreadyDown),
            Some(end) => return Err(self.given_up(end)),
            None => {}
        }
        let power = &state.session.power;
        let before = (power.shutdowns, power.by_guest);
        let session = state.epoch;
        drop(state);
        let ladder = Ladder {
            connection: self,
            plan,
            cancel,
            session,
            before,
            presses: 0,
            unanswered: false,
            quit_sent: false,
        };
        ladder.climb()
    }

    /// The connection ended from our side: that tells nothing about the VM.
    fn given_up(&self, end: &End) -> Error {
        let mut error = self.ended("shutdown", end);
        error.message = format!("{}; the VM may run: connect again", error.message);
        error
    }
}

impl<'a> Ladder<'a> {
    fn wait(&self, timeout: Option<Duration>) -> Wait<'a> {
        Wait::new(timeout, self.cancel).within(self.session)
    }

    fn climb(mut self) -> Result<ShutdownResult> {
        let grace = self.wait(self.plan.grace);
        match self.persuade(&grace)? {
            Grace::Ended => self.result(),
            Grace::GuestOff => {
                // Decided before our own quit brings a SHUTDOWN of its own.
                let how = self.seen().unwrap_or(ShutdownResult::Guest);
                if self.is_still_up()? && self.plan.force {
                    self.quit()?;
                }
                Ok(how)
            }
            Grace::Over(why) if !self.plan.force => Err(Error::new(
                Status::Timeout,
                format!(
                    "shutdown of {}: {why}; within {} {}, and the VM is left as it is",
                    self.connection.address,
                    grace.deadline.words(),
                    self.done()
                ),
            )
            .with_outcome_unknown(self.unanswered)),
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
        let now = self.wait(Some(Duration::ZERO));
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
                Err(error) => {
                    // It may have been pressed all the same.
                    self.presses += u32::from(error.outcome_unknown);
                    self.unanswered |= error.outcome_unknown;
                    self.excuse(error, |error| {
                        Round::NotPressed(format!("the button could not be pressed ({error})"))
                    })
                }
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
        let (before, session) = (self.before, self.session);
        let found = self.connection.wait(wait, EVENTS, |state| {
            if state.end_of(session).is_some() {
                Some(Grace::Ended)
            } else if state.session.power.shutdowns > before.0 {
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
        let wait = self.wait(Some(END));
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
        let wait = self.wait(Some(END));
        let answer = self.connection.execute("quit", None, &wait);
        self.quit_sent = match &answer {
            Ok(_) => true,
            Err(error) => error.outcome_unknown,
        };
        self.unanswered |= self.quit_sent;
        match answer {
            Ok(_) => {}
            // What became of it is looked at afterwards.
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
        let ended = |state: &mut State| state.end_of(self.session).cloned();
        match self.connection.wait(wait, EVENTS, ended) {
            Ok(end) if end.is_the_peers() => Ok(true),
            Ok(end) => Err(self.connection.given_up(&end).with_outcome_unknown(true)),
            Err(Stop::Timeout) => Ok(false),
            Err(stop) => Err(self.early(stop, wait)),
        }
    }

    /// The connection has ended: what that means.
    fn result(&self) -> Result<ShutdownResult> {
        let end = self.connection.state.lock().end_of(self.session).cloned();
        if let Some(end) = end.as_ref().filter(|end| !end.is_the_peers()) {
            let tried = self.presses > 0 || self.quit_sent;
            return Err(self.connection.given_up(end).with_outcome_unknown(tried));
        }
        match self.seen() {
            Some(how) => Ok(how),
            None if self.quit_sent => Ok(ShutdownResult::Forced),
            None if self.presses == 0 => Ok(ShutdownResult::AlreadyDown),
            None => {
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

    /// What the SHUTDOWN events since the call began tell. The guest's own comes first: what we
    /// force afterwards is QEMU.
    fn seen(&self) -> Option<ShutdownResult> {
        let state = self.connection.state.lock();
        let power = state.power_of(self.session);
        if power.by_guest > self.before.1 {
            Some(ShutdownResult::Guest)
        } else if power.shutdowns > self.before.0 {
            Some(ShutdownResult::Forced)
        } else {
            None
        }
    }

    /// What the call has done, for messages.
    fn done(&self) -> String {
        let mut done = format!("the button was pressed {} times", self.presses);
        if self.quit_sent {
            done += " and quit was sent";
        } else if self.unanswered {
            done += ", the last time without an answer: it may take effect yet";
        }
        done
    }

    fn early(&self, stop: Stop, wait: &Wait<'_>) -> Error {
        let what = format!("shutdown of {}", self.connection.address);
        self.connection
            .early(&what, stop, wait, &self.done())
            .with_outcome_unknown(self.unanswered)
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
