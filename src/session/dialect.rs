// SPDX-License-Identifier: MIT OR Apache-2.0
//! What differs between the protocol's dialects, as data.

#[derive(Debug)]
pub struct Dialect {
    /// Who answers, for messages.
    pub peer: &'static str,
    pub opening: Opening,
    /// Commands whose success can be that the connection ends without a reply.
    pub farewells: &'static [&'static str],
    /// What it means that a command was sent and has no answer.
    unanswered: &'static str,
    /// The same for a farewell.
    farewell_unanswered: &'static str,
}

#[derive(Clone, Copy, Debug)]
pub enum Opening {
    /// The server greets. Then this is sent, and until it is answered every other command is
    /// refused.
    Greeting { negotiation: &'static str },
    /// The server is silent, and may have half a command of an earlier client in its parser. This
    /// is sent, and what comes before its answer is meant for others.
    Sync { command: &'static str },
}

/// A VM's monitor.
pub static QMP: Dialect = Dialect {
    peer: "the VM",
    opening: Opening::Greeting {
        negotiation: "qmp_capabilities",
    },
    farewells: &["quit"],
    unanswered: QMP_UNANSWERED,
    farewell_unanswered: QMP_UNANSWERED,
};

const QMP_UNANSWERED: &str = "it was sent, so it may have been executed: look at the VM's state \
                              before sending it again";

/// The QEMU guest agent, behind a serial port of the VM.
pub static GUEST_AGENT: Dialect = Dialect {
    peer: "the guest agent",
    opening: Opening::Sync {
        command: "guest-sync-delimited",
    },
    farewells: &[
        "guest-shutdown",
        "guest-suspend-disk",
        "guest-suspend-ram",
        "guest-suspend-hybrid",
    ],
    unanswered: "it was sent, and the guest agent may still run it: look at the guest's state \
                 before sending it again",
    farewell_unanswered: "it was sent, and it is normal that the guest agent never answers it: \
                          whether the guest obeys is seen at the VM's monitor",
};

impl Dialect {
    pub fn is_farewell(&self, command: &str) -> bool {
        self.farewells.contains(&command)
    }

    /// The other side is a VM, which has events and a run state.
    pub fn is_monitor(&self) -> bool {
        matches!(self.opening, Opening::Greeting { .. })
    }

    /// What it means that this command was sent and has no answer.
    pub fn unanswered(&self, command: &str) -> &'static str {
        if self.is_farewell(command) {
            self.farewell_unanswered
        } else {
            self.unanswered
        }
    }
}
