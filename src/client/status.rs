// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the VM says of itself.

use super::connection::Connection;
use super::wait::Wait;
use crate::error::{Error, Result, Status};
use crate::wire::{decode, members};

/// States have short names; a longer one is none.
const LONGEST_NAME: usize = 1024;

/// The reply to `query-status`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunState {
    /// Virtual CPUs run.
    pub running: bool,
    /// As sent: running, paused, shutdown, prelaunch, … ; newer QEMU adds names.
    pub status: String,
}

impl Connection {
    pub fn query_status(&self, wait: &Wait<'_>) -> Result<RunState> {
        self.needs_monitor("query-status")?;
        let reply = self.execute("query-status", None, wait)?;
        let [running, status] = members(reply.as_str(), ["running", "status"]);
        // A NUL would cut it short in C, and half a surrogate pair is no text.
        let status = status
            .filter(|raw| raw.len() <= LONGEST_NAME)
            .and_then(decode)
            .filter(|name| !name.contains('\0'));
        match (running, status) {
            (Some(running @ ("true" | "false")), Some(status)) => Ok(RunState {
                running: running == "true",
                status: status.into_owned(),
            }),
            _ => Err(Error::new(
                Status::Protocol,
                format!(
                    "query-status on {}: the reply does not tell \"running\" and \"status\"",
                    self.address
                ),
            )
            .with_command("query-status")),
        }
    }

    /// The whole greeting as the VM sent it.
    pub fn greeting(&self) -> Result<String> {
        self.needs_monitor("the greeting")?;
        let state = self.state.lock();
        if state.closed {
            return Err(self.closed("the greeting"));
        }
        let greeting = state.session.greeting.as_ref();
        greeting
            .map(|greeting| greeting.json.to_string())
            .ok_or_else(|| Error::new(Status::Unsupported, "this VM did not greet"))
    }

    /// For what only a VM can tell or do.
    pub(super) fn needs_monitor(&self, what: &str) -> Result<()> {
        if self.options.dialect.is_monitor() {
            return Ok(());
        }
        Err(Error::new(
            Status::Unsupported,
            format!(
                "{what}: {} is {}'s connection, which knows nothing of the VM: use a client of the \
                 VM's monitor",
                self.address, self.options.dialect.peer
            ),
        ))
    }
}
