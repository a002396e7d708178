// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the events say about the guest's power, kept apart from the queue: whoever polls events
//! does not take this from whoever shuts the VM down.

use crate::wire::message::EventView;
use crate::wire::{members, readable};

/// Reasons are short words; a longer one is not worth the memory.
const MAX_REASON: usize = 64;

/// A SHUTDOWN event: the guest stopped running for good. The end of QEMU may follow, or not
/// (`-no-shutdown`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shutdown {
    /// The guest did it, rather than the host.
    pub by_guest: bool,
    /// As sent: guest-shutdown, host-qmp-quit, host-signal, … ; empty where QEMU did not say.
    pub reason: String,
}

impl Shutdown {
    /// None: the event is another.
    pub fn of(event: &EventView<'_>) -> Option<Shutdown> {
        if event.name != "SHUTDOWN" {
            return None;
        }
        let [guest, reason] = members(event.data.unwrap_or_default(), ["guest", "reason"]);
        let reason = reason.map(readable).unwrap_or_default();
        Some(Shutdown {
            by_guest: guest == Some("true"),
            reason: reason.trim_matches('"').chars().take(MAX_REASON).collect(),
        })
    }
}

#[derive(Debug, Default)]
pub struct Power {
    /// How many SHUTDOWN events have come.
    pub shutdowns: u64,
    /// How many of them were the guest's doing.
    pub by_guest: u64,
    pub last: Option<Box<Shutdown>>,
}

impl Power {
    pub fn observe(&mut self, shutdown: Shutdown) {
        self.shutdowns += 1;
        self.by_guest += u64::from(shutdown.by_guest);
        self.last = Some(Box::new(shutdown));
    }

    /// What is known of the VM's end.
    pub fn words(&self) -> String {
        match &self.last {
            Some(shutdown) => format!(
                "after SHUTDOWN by the {}, reason \"{}\"",
                if shutdown.by_guest { "guest" } else { "host" },
                shutdown.reason
            ),
            None => "without SHUTDOWN: the cause is unknown".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;

    fn of(name: &'static str, data: Option<&str>) -> Option<Shutdown> {
        Shutdown::of(&EventView {
            name: Cow::Borrowed(name),
            json: "{}",
            data,
            timestamp: None,
        })
    }

    #[test]
    fn a_shutdown_tells_whose_and_why() {
        let shutdown = of(
            "SHUTDOWN",
            Some(r#"{"guest": true, "reason": "guest-shutdown"}"#),
        );
        let shutdown = shutdown.unwrap();
        assert!(shutdown.by_guest);
        assert_eq!(shutdown.reason, "guest-shutdown");
        assert_eq!(of("STOP", None), None);
    }

    #[test]
    fn an_odd_one_is_the_hosts_and_its_reason_is_bounded() {
        let odd = of("SHUTDOWN", None).unwrap();
        assert_eq!((odd.by_guest, odd.reason.as_str()), (false, ""));
        let long = format!(r#"{{"guest": 1, "reason": "{}"}}"#, "x".repeat(100_000));
        let long = Shutdown::of(&EventView {
            name: Cow::Borrowed("SHUTDOWN"),
            json: "{}",
            data: Some(&long),
            timestamp: None,
        })
        .unwrap();
        assert!(!long.by_guest);
        assert_eq!(long.reason.len(), MAX_REASON);
    }
}
