// SPDX-License-Identifier: MIT OR Apache-2.0
//! Opening a connection to a guest agent, which may not run yet.
//!
//! QEMU takes the connection whether or not the agent runs, and keeps what is sent until the guest
//! opens its port. A sync can get lost all the same, when the guest reboots or its agent starts
//! anew, so it is repeated; at doubling intervals, for an agent that comes late executes them all.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::connect::fresh_handshake_id;
use super::connection::{Connection, EVENTS};
use super::failure::Failure;
use super::log::Level;
use super::turns::Aftermath;
use super::wait::{Stop, Wait};
use crate::error::{Error, Result, Status};

const FIRST_INTERVAL: Duration = Duration::from_secs(1);

impl Connection {
    pub(super) fn sync(&self, command: &str, wait: &Wait<'_>) -> Result<()> {
        let mut interval = FIRST_INTERVAL;
        loop {
            if let Some(stop) = wait.stop() {
                return Err(self.no_answer(stop, wait));
            }
            self.send_sync(command);
            // No other command is under way.
            match self.wait(&wait.at_most(interval), EVENTS, |state| {
                state.done.pop_back()
            }) {
                Ok((_, Ok(_))) => return Ok(()),
                Ok((_, Err(failure))) => return Err(self.not_synced(command, failure)),
                Err(Stop::Timeout) => interval *= 2,
                Err(stop) => return Err(self.no_answer(stop, wait)),
            }
        }
    }

    fn send_sync(&self, command: &str) {
        let number = fresh_handshake_id();
        if self.log.takes(Level::Trace) {
            let line = format!("sending 0xFF and {command} with number {number}");
            self.log.write(Level::Trace, &line);
        }
        let mut after = Aftermath::new(self);
        let mut state = self.state.lock();
        state.session.sync(command, number, number);
        // The I/O thread does not know this connection yet, so what was not taken is tried again here.
        state.blocked = false;
        drop(self.flush(state, &mut after));
        after.wake();
        after.tell();
    }

    fn not_synced(&self, command: &str, failure: Failure) -> Error {
        let end = self.state.lock().end.clone();
        match end {
            Some(end) => self.ended_before_handshake(&end),
            // No command of the caller's is concerned.
            None => self
                .failed(command, failure, None)
                .with_outcome_unknown(false),
        }
    }

    fn no_answer(&self, stop: Stop, wait: &Wait<'_>) -> Error {
        let at = format!("connect to {}", self.address);
        if stop != Stop::Timeout {
            return self.early(&at, stop, wait, "the guest agent had not answered yet");
        }
        let limit = wait.deadline.words();
        let why = match self.owner() {
            Some((owner, true)) => format!("{owner} is stopped; send it SIGCONT"),
            _ if self.heard.load(Ordering::Relaxed) => {
                "what came instead was meant for others, or is no guest agent's".to_owned()
            }
            _ => "it may not run in the guest, or not yet, or serve another client".to_owned(),
        };
        Error::new(
            Status::Timeout,
            format!("{at}: connected, but no guest agent answered within {limit}: {why}"),
        )
    }
}
