// SPDX-License-Identifier: MIT OR Apache-2.0
//! The mock's virtual machine: what a command does to it and what is said about it. No socket in sight.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::value::RawValue;

const VERSION: &str =
    r#"{"qemu": {"micro": 22, "minor": 2, "major": 7}, "package": "libqmp mock"}"#;

/// What a client is told first.
pub(super) fn greeting() -> String {
    format!("{{\"QMP\": {{\"version\": {VERSION}, \"capabilities\": [\"oob\"]}}}}\r\n")
}

/// Outlives its connections, as a virtual machine does.
pub(super) struct Machine {
    running: bool,
    /// The power button was pressed while the machine was paused: the guest sees it when it goes on.
    pressed: bool,
}

/// What one connection has agreed on.
#[derive(Default)]
pub(super) struct Conversation {
    negotiated: bool,
}

/// One command's consequences, in the order in which the client sees them.
pub(super) struct Turn {
    pub(super) command: Option<String>,
    pub(super) output: String,
    pub(super) ended: bool,
    id: Option<String>,
}

impl Machine {
    pub(super) fn new() -> Machine {
        Machine {
            running: true,
            pressed: false,
        }
    }

    pub(super) fn take_turn(&mut self, conversation: &mut Conversation, text: &str) -> Turn {
        let Ok(members) = serde_json::from_str::<BTreeMap<String, &RawValue>>(text) else {
            return Turn::misunderstood("JSON parse error");
        };
        let mut turn = Turn::new(members.get("id").map(|id| id.get().to_owned()));
        match command(&members) {
            Ok((name, arguments)) => {
                self.execute(conversation, &mut turn, &name, arguments);
                turn.command = Some(name);
            }
            Err(description) => turn.fail("GenericError", &description),
        }
        turn
    }

    fn execute(
        &mut self,
        conversation: &mut Conversation,
        turn: &mut Turn,
        name: &str,
        arguments: &str,
    ) {
        match name {
            "qmp_capabilities" if conversation.negotiated => {
                turn.fail(
                    "CommandNotFound",
                    "Capabilities negotiation is already complete, command ignored",
                );
            }
            "qmp_capabilities" => match unknown_capability(arguments) {
                Some(unknown) => turn.fail(
                    "GenericError",
                    &format!("Parameter 'null' does not accept value '{unknown}'"),
                ),
                None => {
                    conversation.negotiated = true;
                    turn.succeed("{}");
                }
            },
            _ if !conversation.negotiated => {
                turn.fail(
                    "CommandNotFound",
                    "Expecting capabilities negotiation with 'qmp_capabilities'",
                );
            }
            "query-version" => turn.succeed(VERSION),
            "query-status" => {
                let status = if self.running { "running" } else { "paused" };
                let running = self.running;
                turn.succeed(&format!(
                    "{{\"status\": \"{status}\", \"singlestep\": false, \"running\": {running}}}"
                ));
            }
            "stop" => {
                if std::mem::replace(&mut self.running, false) {
                    turn.event("STOP", None);
                }
                turn.succeed("{}");
            }
            "cont" => {
                if !std::mem::replace(&mut self.running, true) {
                    turn.event("RESUME", None);
                }
                turn.succeed("{}");
                if self.pressed {
                    turn.guest_powers_off();
                }
            }
            "system_powerdown" => {
                turn.event("POWERDOWN", None);
                turn.succeed("{}");
                if self.running {
                    turn.guest_powers_off();
                } else {
                    self.pressed = true;
                }
            }
            "quit" => {
                turn.event(
                    "SHUTDOWN",
                    Some(r#"{"guest": false, "reason": "host-qmp-quit"}"#),
                );
                turn.succeed("{}");
                turn.ended = true;
            }
            _ => turn.fail(
                "CommandNotFound",
                &format!("The command {name} has not been found"),
            ),
        }
    }
}

impl Turn {
    fn new(id: Option<String>) -> Turn {
        Turn {
            command: None,
            output: String::new(),
            ended: false,
            id,
        }
    }

    /// What came is no command, so there is no id to answer to.
    pub(super) fn misunderstood(description: &str) -> Turn {
        let mut turn = Turn::new(None);
        turn.fail("GenericError", description);
        turn
    }

    fn succeed(&mut self, value: &str) {
        let id = self
            .id
            .as_ref()
            .map(|id| format!(", \"id\": {id}"))
            .unwrap_or_default();
        self.say(format_args!("{{\"return\": {value}{id}}}"));
    }

    fn fail(&mut self, class: &str, description: &str) {
        let id = self
            .id
            .as_ref()
            .map(|id| format!("\"id\": {id}, "))
            .unwrap_or_default();
        let description = serde_json::Value::from(description);
        self.say(format_args!(
            "{{{id}\"error\": {{\"class\": \"{class}\", \"desc\": {description}}}}}"
        ));
    }

    fn event(&mut self, name: &str, data: Option<&str>) {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let (seconds, microseconds) = (now.as_secs(), now.subsec_micros());
        let data = data
            .map(|data| format!(", \"data\": {data}"))
            .unwrap_or_default();
        self.say(format_args!(
            "{{\"timestamp\": {{\"seconds\": {seconds}, \"microseconds\": {microseconds}}}, \
             \"event\": \"{name}\"{data}}}"
        ));
    }

    fn guest_powers_off(&mut self) {
        self.event(
            "SHUTDOWN",
            Some(r#"{"guest": true, "reason": "guest-shutdown"}"#),
        );
        self.ended = true;
    }

    fn say(&mut self, message: std::fmt::Arguments<'_>) {
        let _ = write!(self.output, "{message}\r\n"); // a String takes everything
    }
}

/// The command's name and its arguments as text, or what QEMU says to a message that is no command.
fn command<'a>(members: &BTreeMap<String, &'a RawValue>) -> Result<(String, &'a str), String> {
    for (name, value) in members {
        match name.as_str() {
            "execute" if !value.get().starts_with('"') => {
                return Err("QMP input member 'execute' must be a string".into());
            }
            "arguments" if !value.get().starts_with('{') => {
                return Err("QMP input member 'arguments' must be an object".into());
            }
            "execute" | "arguments" | "id" => {}
            _ => return Err(format!("QMP input member '{name}' is unexpected")),
        }
    }
    let name = members
        .get("execute")
        .and_then(|name| serde_json::from_str(name.get()).ok());
    let name = name.ok_or("QMP input lacks member 'execute'")?;
    Ok((
        name,
        members
            .get("arguments")
            .map_or("{}", |arguments| arguments.get()),
    ))
}

fn unknown_capability(arguments: &str) -> Option<String> {
    let arguments: serde_json::Value = serde_json::from_str(arguments).ok()?;
    let enable = arguments.get("enable")?.as_array()?;
    enable
        .iter()
        .find(|capability| *capability != "oob")
        .map(|capability| match capability.as_str() {
            Some(name) => name.to_owned(),
            None => capability.to_string(),
        })
}
