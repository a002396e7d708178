// SPDX-License-Identifier: MIT OR Apache-2.0
//! A recorded session, played back: the same requests get the same replies and events.

use std::path::Path;

use super::command::Command;
use crate::error::{Error, Result, Status};

pub(super) struct Replay {
    greeting: String,
}

impl Replay {
    pub(super) fn read(path: &Path) -> Result<Replay> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| Error::os("read the transcript", &error))?;
        Ok(Replay { greeting: text })
    }

    pub(super) fn begin(&mut self) -> Vec<String> {
        vec![self.greeting.clone()]
    }

    pub(super) fn answer(&mut self, _command: &Command) -> Vec<String> {
        Vec::new()
    }
    pub(super) fn has_ended(&self) -> bool {
        false
    }
    pub(super) fn outcome(&self) -> Option<Result<()>> {
        None
    }
    pub(super) fn missing(&self) -> Error {
        Error::new(Status::Timeout, "")
    }
}
