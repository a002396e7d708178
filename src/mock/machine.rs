// SPDX-License-Identifier: MIT OR Apache-2.0
//! The virtual machine: what a command and the guest do to it, and what is said about it. No socket in sight.
//!
//! The orders of events and replies were observed on QEMU 7.2.

use std::time::Duration;

use super::command::Command;
use super::message::{Answer, Event};
use crate::wire::{children, decode, quote};

/// What the guest does when the power button is pressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guest {
    Honours,
    Ignores,
    /// Only from the n-th press on.
    HonoursPress(u32),
    HonoursAfter(Duration),
    Reboots,
    Panics,
}

/// Outlives its connections, as a virtual machine does.
pub(super) struct Machine {
    pub(super) version: (u32, u32, u32),
    pub(super) package: String,
    /// JSON text of an array.
    pub(super) capabilities: String,
    pub(super) name: Option<String>,
    pub(super) state: String,
    pub(super) guest: Guest,
    /// As with -no-shutdown: the guest's end is not QEMU's.
    pub(super) stays: bool,
    presses: u32,
    /// The power button was pressed while the machine was paused: the guest sees it when it goes on.
    pressed: bool,
}

/// What comes of a command, in the order in which clients see it.
pub(super) struct Outcome {
    pub(super) before: Vec<Event>,
    pub(super) answer: Answer,
    pub(super) after: Vec<Event>,
    /// The machine ends with it.
    pub(super) ends: bool,
    /// The guest does it later.
    pub(super) later: Option<Duration>,
}

/// Commands without arguments, whether they are allowed before the machine is set up, and out of band.
const COMMANDS: [(&str, bool, bool); 12] = [
    ("query-status", true, false),
    ("query-version", true, false),
    ("query-name", true, false),
    ("query-commands", true, false),
    ("query-qmp-schema", true, false),
    ("query-yank", true, true),
    ("stop", false, false),
    ("cont", false, false),
    ("system_reset", false, false),
    ("system_wakeup", false, false),
    ("system_powerdown", false, false),
    ("quit", true, false),
];

const EVENTS: [&str; 8] = [
    "SHUTDOWN",
    "POWERDOWN",
    "RESET",
    "STOP",
    "RESUME",
    "SUSPEND",
    "WAKEUP",
    "GUEST_PANICKED",
];

/// All of them, as QEMU spells them.
pub(super) const STATES: [&str; 16] = [
    "running",
    "paused",
    "prelaunch",
    "preconfig",
    "inmigrate",
    "postmigrate",
    "finish-migrate",
    "restore-vm",
    "save-vm",
    "shutdown",
    "suspended",
    "watchdog",
    "guest-panicked",
    "internal-error",
    "io-error",
    "debug",
];

impl Machine {
    pub(super) fn new() -> Machine {
        Machine {
            version: (7, 2, 22),
            package: "libqmp mock".into(),
            capabilities: "[\"oob\"]".into(),
            name: None,
            state: "running".into(),
            guest: Guest::Honours,
            stays: false,
            presses: 0,
            pressed: false,
        }
    }

    /// JSON text.
    pub(super) fn version(&self) -> String {
        let (major, minor, micro) = self.version;
        let package = quote(&self.package);
        format!(
            "{{\"qemu\": {{\"micro\": {micro}, \"minor\": {minor}, \"major\": {major}}}, \"package\": {package}}}"
        )
    }

    fn is_running(&self) -> bool {
        self.state == "running"
    }

    /// `scripted`: the names of further commands, which somebody else answers.
    pub(super) fn execute(&mut self, command: &Command, scripted: &[String]) -> Outcome {
        let Some((_, in_preconfig, out_of_band)) =
            COMMANDS.iter().find(|(name, _, _)| *name == command.name)
        else {
            return Outcome::error(
                "CommandNotFound",
                format!("The command {} has not been found", command.name),
            );
        };
        let name = &command.name;
        if command.is_out_of_band && !out_of_band {
            return Outcome::error(
                "GenericError",
                format!("The command {name} does not support OOB"),
            );
        }
        if self.state == "preconfig" && !in_preconfig {
            return Outcome::error(
                "GenericError",
                format!(
                    "The command '{name}' is permitted only after machine initialization has completed"
                ),
            );
        }
        if let Some((unexpected, _)) = children(&command.arguments).first() {
            return Outcome::error(
                "GenericError",
                format!("Parameter '{unexpected}' is unexpected"),
            );
        }
        match name.as_str() {
            "query-version" => Outcome::value(self.version()),
            "query-name" => Outcome::value(match &self.name {
                Some(name) => format!("{{\"name\": {}}}", quote(name)),
                None => "{}".into(),
            }),
            "query-status" => Outcome::value(format!(
                "{{\"status\": {}, \"singlestep\": false, \"running\": {}}}",
                quote(match self.state.as_str() {
                    "preconfig" => "prelaunch", // so QEMU calls it too
                    state => state,
                }),
                self.is_running()
            )),
            "query-commands" => Outcome::value(list(
                known(scripted).map(|(name, _)| format!("{{\"name\": {}}}", quote(name))),
            )),
            "query-qmp-schema" => Outcome::value(schema(scripted)),
            "query-yank" => Outcome::value("[]".into()),
            "stop" => self.stop(),
            "cont" => self.go_on(),
            "system_reset" => {
                self.pressed = false;
                if !["running", "inmigrate", "finish-migrate"].contains(&&*self.state) {
                    self.state = "prelaunch".into();
                }
                Outcome::ok_after(event(
                    "RESET",
                    r#"{"guest": false, "reason": "host-qmp-system-reset"}"#,
                ))
            }
            "system_wakeup" if self.state == "suspended" => {
                self.state = "running".into();
                Outcome::ok_after(Event::new("WAKEUP", None))
            }
            "system_wakeup" => Outcome::error(
                "GenericError",
                "Unable to wake up: guest is not in suspended state",
            ),
            "system_powerdown" => self.press(),
            _ => Outcome {
                ends: true,
                ..Outcome::ok_after(event(
                    "SHUTDOWN",
                    r#"{"guest": false, "reason": "host-qmp-quit"}"#,
                ))
            },
        }
    }

    fn stop(&mut self) -> Outcome {
        if !self.is_running() {
            return Outcome::value("{}".into());
        }
        self.state = "paused".into();
        Outcome::ok_after(Event::new("STOP", None))
    }

    fn go_on(&mut self) -> Outcome {
        match self.state.as_str() {
            "shutdown" | "internal-error" => {
                return Outcome::error("GenericError", "Resetting the Virtual Machine is required");
            }
            "finish-migrate" => {
                return Outcome::error("GenericError", "Migration is not finalized yet");
            }
            "running" | "suspended" | "inmigrate" => return Outcome::value("{}".into()),
            _ => self.state = "running".into(),
        }
        let mut outcome = Outcome::ok_after(Event::new("RESUME", None));
        if std::mem::take(&mut self.pressed) {
            self.react(&mut outcome);
        }
        outcome
    }

    fn press(&mut self) -> Outcome {
        let mut outcome = Outcome::ok_after(Event::new("POWERDOWN", None));
        match self.state.as_str() {
            "running" => self.react(&mut outcome),
            "paused" => self.pressed = true,
            // Before its start and after its end nothing in the guest can see the button.
            _ => {}
        }
        outcome
    }

    fn react(&mut self, outcome: &mut Outcome) {
        self.presses += 1;
        match self.guest {
            Guest::Ignores => {}
            Guest::HonoursPress(wanted) if self.presses < wanted => {}
            Guest::HonoursAfter(time) => outcome.later = Some(time),
            Guest::Honours | Guest::HonoursPress(_) => {
                (outcome.after, outcome.ends) = self.power_off("guest-shutdown");
            }
            Guest::Reboots => {
                let reset = event("RESET", r#"{"guest": true, "reason": "guest-reset"}"#);
                outcome.after.push(reset);
            }
            Guest::Panics if self.stays => {
                self.state = "guest-panicked".into();
                let panicked = event("GUEST_PANICKED", r#"{"action": "pause"}"#);
                outcome.after.extend([panicked, Event::new("STOP", None)]);
            }
            Guest::Panics => {
                let (mut after, ends) = self.power_off("guest-panic");
                after.insert(0, event("GUEST_PANICKED", r#"{"action": "poweroff"}"#));
                (outcome.after, outcome.ends) = (after, ends);
            }
        }
    }

    /// The guest ends itself. True: and QEMU with it.
    pub(super) fn power_off(&mut self, reason: &str) -> (Vec<Event>, bool) {
        let mut said = vec![event(
            "SHUTDOWN",
            &format!("{{\"guest\": true, \"reason\": \"{reason}\"}}"),
        )];
        if self.stays {
            said.push(Event::new("STOP", None));
            self.state = "shutdown".into();
        }
        (said, !self.stays)
    }

    /// A guest that wanted to obey later does so now, if it still runs.
    pub(super) fn obey(&mut self) -> Option<(Vec<Event>, bool)> {
        self.is_running().then(|| self.power_off("guest-shutdown"))
    }
}

fn event(name: &str, data: &str) -> Event {
    Event::new(name, Some(data))
}

/// Names, and whether they are allowed out of band.
fn known(scripted: &[String]) -> impl Iterator<Item = (&str, bool)> {
    let own = COMMANDS.iter().map(|(name, _, oob)| (*name, *oob));
    let is_own = |name: &&String| COMMANDS.iter().any(|(own, _, _)| own == name);
    let further = scripted.iter().filter(move |name| !is_own(name));
    own.chain([("qmp_capabilities", false)])
        .chain(further.map(|name| (name.as_str(), true)))
}

fn schema(scripted: &[String]) -> String {
    let empty = "{\"name\": \"0\", \"members\": [], \"meta-type\": \"object\"}".to_owned();
    let any = "{\"name\": \"1\", \"meta-type\": \"builtin\", \"json-type\": \"value\"}".to_owned();
    let commands = known(scripted).map(|(name, oob)| {
        let oob = if oob { "\"allow-oob\": true, " } else { "" };
        let name = quote(name);
        format!(
            "{{\"name\": {name}, \"ret-type\": \"1\", {oob}\"meta-type\": \"command\", \"arg-type\": \"0\"}}"
        )
    });
    let events = EVENTS.iter().map(|name| {
        format!("{{\"name\": \"{name}\", \"meta-type\": \"event\", \"arg-type\": \"0\"}}")
    });
    list(commands.chain(events).chain([empty, any]))
}

fn list(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(", "))
}

/// What the capabilities of a negotiation come to: whether out-of-band is on, or the one that was not offered.
pub(super) fn negotiate(arguments: &str, offered: &str) -> Result<bool, String> {
    let offered: Vec<_> = children(offered)
        .into_iter()
        .map(|(_, raw)| decode(raw))
        .collect();
    let mut oob = false;
    for (name, value) in children(arguments) {
        if name != "enable" {
            return Err(format!("Parameter '{name}' is unexpected"));
        }
        let invalid = |what, wanted| {
            Err(format!(
                "Invalid parameter type for '{what}', expected: {wanted}"
            ))
        };
        if !value.starts_with('[') {
            return invalid("enable".to_owned(), "array");
        }
        for (at, (_, raw)) in children(value).into_iter().enumerate() {
            if !raw.starts_with('"') {
                return invalid(format!("enable[{at}]"), "string");
            }
            let capability = decode(raw);
            if capability.is_none() || !offered.contains(&capability) {
                let shown = capability.unwrap_or(raw.into());
                return Err(format!("Parameter 'null' does not accept value '{shown}'"));
            }
            oob |= capability.as_deref() == Some("oob");
        }
    }
    Ok(oob)
}

impl Outcome {
    pub(super) fn of(answer: Answer) -> Outcome {
        Outcome {
            before: Vec::new(),
            answer,
            after: Vec::new(),
            ends: false,
            later: None,
        }
    }

    fn value(value: String) -> Outcome {
        Outcome::of(Answer::Return(value))
    }

    fn error(class: &str, description: impl Into<String>) -> Outcome {
        Outcome::of(Answer::error(class, description))
    }

    fn ok_after(event: Event) -> Outcome {
        Outcome {
            before: vec![event],
            ..Outcome::of(Answer::ok())
        }
    }
}
