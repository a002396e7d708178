// SPDX-License-Identifier: MIT OR Apache-2.0
//! How long commands may take whose callers leave that to the library.

use std::time::Duration;

use crate::wire::pattern::matches;

/// Pattern, seconds. Names of their own come before patterns, and longer patterns before shorter ones.
const BUILT_IN: &[(&str, u64)] = &[
    // They wait until the guest's file systems are quiet, or have been trimmed.
    ("guest-fsfreeze-freeze*", 3600),
    ("guest-fsfreeze-thaw", 180),
    ("guest-fstrim", 600),
    ("guest-exec*", 60),
    // The whole of the guest's memory is written.
    ("dump-guest-memory", 3600),
    // May wait for a main loop that is busy with the last round of a migration.
    ("query-migrate", 3600),
    ("migrate*", 60),
    ("query-savevm", 60),
    ("savevm-*", 60),
    // Open, flush and drain images, which may be remote.
    ("blockdev-*", 60),
    ("block_*", 60),
    ("block-*", 60),
    ("drive-*", 60),
    ("nbd-server-*", 60),
    ("transaction", 60),
    ("query-named-block-nodes", 30),
    ("query-block*", 30),
    // Hotplug: opens devices of the host and asks the guest.
    ("device_*", 60),
    ("netdev_*", 60),
    ("object-*", 60),
    ("chardev-*", 60),
    // Anything may hide behind it.
    ("human-monitor-command", 60),
    ("screendump", 30),
    ("quit", 30),
];

/// Everything else: QEMU answers from what it knows, in milliseconds unless its main loop is busy.
const OTHERS: Duration = Duration::from_secs(5);

/// The built-in table and what the user has set over it.
#[derive(Clone, Debug, Default)]
pub struct Timeouts {
    /// Pattern, and None for no limit.
    set: Vec<(Box<str>, Option<Duration>)>,
}

impl Timeouts {
    /// Goes before everything that was there. None: no limit.
    pub fn set(&mut self, pattern: &str, limit: Option<Duration>) {
        self.set.retain(|(other, _)| **other != *pattern);
        self.set.push((pattern.into(), limit));
    }

    pub fn of(&self, command: &str) -> Option<Duration> {
        let set = self.set.iter().map(|(pattern, limit)| (&**pattern, *limit));
        let built_in = BUILT_IN
            .iter()
            .map(|(pattern, seconds)| (*pattern, Some(Duration::from_secs(*seconds))));
        best(set, command)
            .or_else(|| best(built_in, command))
            .unwrap_or(Some(OTHERS))
    }
}

/// The name itself, or else the longest pattern.
fn best<'a>(
    table: impl Iterator<Item = (&'a str, Option<Duration>)>,
    command: &str,
) -> Option<Option<Duration>> {
    table
        .filter(|(pattern, _)| matches(pattern, command))
        .max_by_key(|(pattern, _)| (*pattern == command, pattern.len()))
        .map(|(_, limit)| limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_long_gets_long() {
        let timeouts = Timeouts::default();
        let seconds = |command: &str| timeouts.of(command).map(|limit| limit.as_secs());
        assert_eq!(seconds("query-status"), Some(5));
        assert_eq!(seconds("query-migrate"), Some(3600));
        assert_eq!(seconds("blockdev-add"), Some(60));
        assert_eq!(seconds("device_del"), Some(60));
        assert_eq!(seconds("guest-fsfreeze-freeze"), Some(3600));
        assert_eq!(seconds("guest-fsfreeze-freeze-list"), Some(3600));
    }

    #[test]
    fn what_is_set_goes_before_what_is_built_in() {
        let mut timeouts = Timeouts::default();
        let second = |count| Some(Duration::from_secs(count));
        timeouts.set("*", second(1));
        timeouts.set("block*", second(2));
        timeouts.set("blockdev-add", None);
        assert_eq!(timeouts.of("query-migrate"), second(1));
        assert_eq!(timeouts.of("blockdev-del"), second(2));
        assert_eq!(timeouts.of("blockdev-add"), None);
        timeouts.set("blockdev-add", second(3));
        assert_eq!(timeouts.of("blockdev-add"), second(3));
    }
}
