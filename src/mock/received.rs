// SPDX-License-Identifier: MIT OR Apache-2.0
//! The commands that came, and whether they are those that a test expected.

use super::command::Command;
use crate::error::{Error, Result, Status};
use crate::wire::{Arguments, children, covers, decode, quote, redact};

#[derive(Default)]
pub(super) struct Received {
    /// Names and arguments, without the negotiations.
    commands: Vec<(String, String)>,
    /// How many of them were expected already.
    expected: usize,
}

/// One command that a test expects.
pub(super) struct Expected {
    name: String,
    /// Members that the arguments have at least.
    arguments: Option<String>,
}

impl Received {
    pub(super) fn add(&mut self, command: &Command) {
        if command.name != "qmp_capabilities" {
            self.commands
                .push((command.name.clone(), command.arguments.clone()));
        }
    }

    pub(super) fn count(&self, name: &str) -> u64 {
        let count = self.commands.iter().filter(|(other, _)| other == name);
        count.count() as u64
    }

    /// JSON text of an array.
    pub(super) fn json(&self) -> String {
        let commands: Vec<_> = self.commands.iter().map(shown).collect();
        format!("[{}]", commands.join(", "))
    }

    /// None: so far as they came they are those, but there are not enough yet.
    pub(super) fn meets(&mut self, expected: &[Expected]) -> Option<Result<()>> {
        let came = self.commands.get(self.expected..).unwrap_or_default();
        if expected.is_empty() && !came.is_empty() {
            return Some(Err(mismatch("nothing", 1, &redact(&shown(&came[0])), came)));
        }
        for (at, (expected, came_here)) in expected.iter().zip(came).enumerate() {
            if !expected.is_met_by(came_here) {
                let came_here = redact(&shown(came_here));
                return Some(Err(mismatch(&expected.shown(), at + 1, &came_here, came)));
            }
        }
        if came.len() < expected.len() {
            return None;
        }
        self.expected += expected.len();
        Some(Ok(()))
    }

    /// Why there are not enough.
    pub(super) fn missing(&self, expected: &[Expected]) -> Error {
        let came = self.commands.get(self.expected..).unwrap_or_default();
        let next = expected.get(came.len()).map(Expected::shown);
        Error::new(
            Status::Timeout,
            format!(
                "{} of {} expected commands came in time; {} did not{}",
                came.len(),
                expected.len(),
                next.unwrap_or_default(),
                names(came)
            ),
        )
    }
}

impl Expected {
    /// A JSON array of names, or of objects with "execute" and "arguments".
    pub(super) fn parse(json: &str) -> Result<Vec<Expected>> {
        let bad = || {
            Error::invalid(
                "commands_json: want an array of command names and of objects like \
                 {\"execute\": \"stop\", \"arguments\": {}}",
            )
        };
        // There is one parser of whole objects; it refuses what is no JSON.
        let wrapped = Arguments::parse(&format!("{{\"a\": {json}}}")).map_err(|_| bad())?;
        let [array] = crate::wire::members(wrapped.as_str(), ["a"]);
        let array = array
            .filter(|array| array.starts_with('['))
            .ok_or_else(bad)?;
        let one = |raw: &str| {
            if let Some(name) = decode(raw) {
                return Some(Expected {
                    name: name.into_owned(),
                    arguments: None,
                });
            }
            let [name, arguments] = crate::wire::members(raw, ["execute", "arguments"]);
            let known = |name: &str| name == "execute" || name == "arguments";
            let odd = children(raw).iter().any(|(name, _)| !known(name));
            let arguments = arguments.map(str::to_owned);
            let is_object = arguments.as_ref().is_none_or(|text| text.starts_with('{'));
            (is_object && !odd).then_some(())?;
            Some(Expected {
                name: decode(name?)?.into_owned(),
                arguments,
            })
        };
        let items = children(array).into_iter();
        items.map(|(_, raw)| one(raw).ok_or_else(bad)).collect()
    }

    fn is_met_by(&self, (name, arguments): &(String, String)) -> bool {
        let wanted = self.arguments.as_deref().unwrap_or("{}");
        *name == self.name && covers(arguments, wanted)
    }

    fn shown(&self) -> String {
        let arguments = self.arguments.as_deref().unwrap_or("{}");
        redact(&shown(&(self.name.clone(), arguments.to_owned())))
    }
}

fn shown((name, arguments): &(String, String)) -> String {
    let name = quote(name);
    match children(arguments).is_empty() {
        true => format!("{{\"execute\": {name}}}"),
        false => format!("{{\"execute\": {name}, \"arguments\": {arguments}}}"),
    }
}

fn mismatch(expected: &str, number: usize, came: &str, all: &[(String, String)]) -> Error {
    Error::new(
        Status::Protocol,
        format!(
            "command {number} should have been {expected}, and {came} came instead{}",
            names(all)
        ),
    )
}

fn names(commands: &[(String, String)]) -> String {
    let names: Vec<_> = commands.iter().map(|(name, _)| name.as_str()).collect();
    match names.is_empty() {
        true => "; nothing has come".into(),
        false => format!("; what has come: {}", names.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(commands: &[(&str, &str)]) -> Received {
        let mut received = Received::default();
        for (name, arguments) in commands {
            received.add(&Command {
                name: (*name).into(),
                arguments: (*arguments).into(),
                id: None,
                is_out_of_band: false,
            });
        }
        received
    }

    fn meets(received: &mut Received, json: &str) -> Option<std::result::Result<(), String>> {
        let expected = Expected::parse(json).unwrap();
        let outcome = received.meets(&expected)?;
        Some(outcome.map_err(|error| error.message))
    }

    #[test]
    fn what_was_expected_is_done_with() {
        let mut got = received(&[("stop", "{}"), ("device_add", r#"{"id":"a","bus":"b"}"#)]);
        assert_eq!(meets(&mut got, r#"["stop"]"#), Some(Ok(())));
        let with_id = r#"[{"execute": "device_add", "arguments": {"id": "a"}}]"#;
        assert_eq!(meets(&mut got, with_id), Some(Ok(())));
        assert_eq!(meets(&mut got, "[]"), Some(Ok(())));
        assert_eq!(meets(&mut got, r#"["cont"]"#), None);
        let missing = got.missing(&Expected::parse(r#"["cont"]"#).unwrap());
        assert_eq!(missing.status, Status::Timeout);
        assert!(missing.message.contains("cont"), "{missing}");
    }

    #[test]
    fn a_difference_says_what_came_instead() {
        let mut got = received(&[("stop", "{}"), ("quit", "{}")]);
        let told = meets(&mut got, r#"["stop", "cont"]"#).unwrap().unwrap_err();
        for part in ["command 2", "\"cont\"", "\"quit\"", "stop, quit"] {
            assert!(told.contains(part), "{told}");
        }
        assert!(meets(&mut got, "[]").unwrap().is_err());
        let secret = r#"{"password":"hunter2"}"#;
        let mut got = received(&[("set_password", secret)]);
        let told = meets(&mut got, r#"["stop"]"#).unwrap().unwrap_err();
        assert!(!told.contains("hunter2"), "{told}");
    }

    #[test]
    fn what_is_no_list_of_commands_is_refused() {
        for json in [
            "",
            "{}",
            "[1]",
            "[",
            r#"[{"execute": 1}]"#,
            r#"[{"execute": "a", "args": {}}]"#,
        ] {
            assert!(Expected::parse(json).is_err(), "{json}");
        }
    }
}
