// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the events say about the guest's power, kept apart from the queue: whoever polls events
//! does not take this from whoever shuts the VM down.

use super::events::Event;

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

#[derive(Debug, Default)]
pub struct Power {
    /// How many SHUTDOWN events have come.
    pub shutdowns: u64,
    pub last: Option<Shutdown>,
}

impl Power {
    pub fn observe(&mut self, event: &Event) {
        if event.name() != "SHUTDOWN" {
            return;
        }
        let data: serde_json::Value = event
            .data()
            .and_then(|data| serde_json::from_str(data).ok())
            .unwrap_or_default();
        let reason = data["reason"].as_str().unwrap_or_default();
        self.shutdowns += 1;
        self.last = Some(Shutdown {
            by_guest: data["guest"].as_bool().unwrap_or(false),
            reason: reason.chars().take(MAX_REASON).collect(),
        });
    }
}
