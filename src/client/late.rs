// SPDX-License-Identifier: MIT OR Apache-2.0
//! Late replies: to commands whose calls had given up. They are dropped, unless somebody wants to see them.

use std::collections::VecDeque;
use std::sync::Arc;

use super::callbacks::Callback;
use super::connection::{Connection, Outcome, State};
use crate::error::Result;
use crate::sys::text::Text;

/// Is given a command's name and what came of it.
pub type LateReply = Arc<dyn Callback<(String, Result<Text>)>>;

/// As many as the session remembers.
const MOST: usize = crate::session::pending::MAX_ABANDONED;

/// The names of the commands that were given up, while their replies may come.
pub(super) struct Expected {
    /// None: nobody wants to know.
    names: Option<Box<Names>>,
}

#[derive(Default)]
struct Names(VecDeque<(u64, String)>);

impl Expected {
    pub fn new(wanted: bool) -> Expected {
        Expected {
            names: wanted.then(Box::default),
        }
    }

    pub fn forget(&mut self) {
        if let Some(names) = &mut self.names {
            names.0.clear();
        }
    }

    pub fn take(&mut self, id: u64) -> Option<String> {
        let names = self.names.as_mut()?;
        let at = names.0.iter().position(|(other, _)| *other == id)?;
        names.0.remove(at).map(|(_, name)| name)
    }
}

impl State {
    pub(super) fn expect_late(&mut self, id: u64, name: &str) {
        if let Some(names) = &mut self.late.names {
            if names.0.len() == MOST {
                names.0.pop_front();
            }
            names.0.push_back((id, name.to_owned()));
        }
    }
}

impl Connection {
    /// Call without the lock and without a role.
    pub(super) fn tell_late(&self, command: &str, outcome: Outcome) {
        if let Some(hook) = &self.options.late_reply {
            let told = self.told(command, outcome, None);
            hook.call((command.to_owned(), told));
        }
    }
}
