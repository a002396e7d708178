// SPDX-License-Identifier: MIT OR Apache-2.0
//! Times at which connections have something to do: one for each at most.

use std::collections::{BTreeMap, HashMap};
use std::sync::Weak;

use crate::sys::sync::Instant;

/// An allocation has its address to itself while there is a `Weak`.
pub(super) struct Alarms<T> {
    queue: BTreeMap<(Instant, usize), Weak<T>>,
    times: HashMap<usize, Instant>,
}

impl<T> Alarms<T> {
    pub fn new() -> Alarms<T> {
        Alarms {
            queue: BTreeMap::new(),
            times: HashMap::new(),
        }
    }

    /// In the place of the one that was set before. None: none.
    pub fn set(&mut self, whose: Weak<T>, at: Option<Instant>) {
        let key = whose.as_ptr() as usize;
        let before = match at {
            Some(at) => self.times.insert(key, at),
            None => self.times.remove(&key),
        };
        if let Some(before) = before {
            self.queue.remove(&(before, key));
        }
        if let Some(at) = at {
            self.queue.insert((at, key), whose);
        }
    }

    pub fn next(&self) -> Option<Instant> {
        let ((at, _), _) = self.queue.first_key_value()?;
        Some(*at)
    }

    /// One whose time has come.
    pub fn pop(&mut self, now: Instant) -> Option<Weak<T>> {
        let first = self.queue.first_entry()?;
        let (at, key) = *first.key();
        if now < at {
            return None;
        }
        self.times.remove(&key);
        Some(first.remove())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;

    #[test]
    fn each_has_one_and_the_nearest_rings_first() {
        let now = Instant::now();
        let [soon, later, last] = [1, 2, 3].map(|s| now.checked_add(Duration::from_secs(s)));
        let (a, b) = (Arc::new('a'), Arc::new('b'));
        let mut alarms = Alarms::new();
        for at in [later, soon, last] {
            alarms.set(Arc::downgrade(&a), at);
        }
        alarms.set(Arc::downgrade(&b), later);
        assert_eq!(alarms.next(), later);
        assert!(alarms.pop(now).is_none());
        let end = last.unwrap();
        let rung: Vec<char> = std::iter::from_fn(|| alarms.pop(end))
            .map(|whose| *whose.upgrade().unwrap())
            .collect();
        assert_eq!(rung, ['b', 'a']);
    }

    #[test]
    fn what_is_unset_leaves_nothing_behind() {
        let whose = Arc::new(());
        let mut alarms = Alarms::new();
        alarms.set(Arc::downgrade(&whose), Some(Instant::now()));
        alarms.set(Arc::downgrade(&whose), None);
        assert_eq!(alarms.next(), None);
        assert_eq!(Arc::weak_count(&whose), 0);
        assert!(alarms.times.is_empty());
    }
}
