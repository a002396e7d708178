// SPDX-License-Identifier: MIT OR Apache-2.0
//! What belongs to commands, by their ids.

use std::collections::VecDeque;

/// By the ids of commands, which count up: what is added goes to the end, as a rule, and what is done leaves near the beginning.
pub(super) struct ById<T>(VecDeque<(u64, T)>);

impl<T> Default for ById<T> {
    fn default() -> ById<T> {
        ById(VecDeque::new())
    }
}

impl<T> ById<T> {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn position(&self, id: u64) -> Result<usize, usize> {
        self.0.binary_search_by_key(&id, |(id, _)| *id)
    }

    pub fn get(&self, id: u64) -> Option<&T> {
        let at = self.position(id).ok()?;
        self.0.get(at).map(|(_, it)| it)
    }

    pub fn insert(&mut self, id: u64, it: T) {
        match self.position(id) {
            Ok(at) => self.0[at].1 = it,
            Err(at) => self.0.insert(at, (id, it)),
        }
    }

    pub fn remove(&mut self, id: u64) -> Option<T> {
        let at = self.position(id).ok()?;
        self.0.remove(at).map(|(_, it)| it)
    }
}
