// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a client said, and what QEMU says to what it does not understand.

use super::message::Answer;
use crate::wire::{children, decode};

#[derive(Clone, Debug)]
pub(super) struct Command {
    pub(super) name: String,
    /// JSON text of an object.
    pub(super) arguments: String,
    /// JSON text.
    pub(super) id: Option<String>,
    pub(super) is_out_of_band: bool,
}

/// A message that is no command, with its id where it had one.
#[derive(Clone, Debug)]
pub(super) struct Misunderstood {
    pub(super) id: Option<String>,
    pub(super) answer: Answer,
}

impl Misunderstood {
    pub(super) fn new(description: impl Into<String>) -> Misunderstood {
        Misunderstood {
            id: None,
            answer: Answer::generic(description),
        }
    }
}

/// Understands a JSON object. `oob`: out-of-band commands were negotiated.
pub(super) fn parse(object: &str, oob: bool) -> Result<Command, Misunderstood> {
    let members = children(object);
    let value = |wanted: &str| {
        let found = members.iter().rev().find(|(name, _)| name == wanted);
        found.map(|(_, value)| *value)
    };
    let id = value("id").map(str::to_owned);
    let refuse = |description: String| Misunderstood {
        id: id.clone(),
        answer: Answer::generic(description),
    };
    for (at, (name, value)) in members.iter().enumerate() {
        if members[..at].iter().any(|(other, _)| other == name) {
            return Err(Misunderstood::new("JSON parse error, duplicate key"));
        }
        match &**name {
            "exec-oob" if !oob => {
                return Err(refuse("QMP input member 'exec-oob' is unexpected".into()));
            }
            "execute" | "exec-oob" if !value.starts_with('"') => {
                return Err(refuse(format!(
                    "QMP input member '{name}' must be a string"
                )));
            }
            "arguments" if !value.starts_with('{') => {
                return Err(refuse(
                    "QMP input member 'arguments' must be an object".into(),
                ));
            }
            "execute" | "exec-oob" | "arguments" | "id" => {}
            _ => return Err(refuse(format!("QMP input member '{name}' is unexpected"))),
        }
    }
    let (name, is_out_of_band) = match (value("execute"), value("exec-oob")) {
        (Some(_), Some(_)) => {
            return Err(refuse(
                "QMP input member 'exec-oob' clashes with 'execute'".into(),
            ));
        }
        (Some(name), None) => (name, false),
        (None, Some(name)) => (name, true),
        (None, None) => return Err(refuse("QMP input lacks member 'execute'".into())),
    };
    let name = decode(name).ok_or_else(|| Misunderstood::new("JSON parse error"))?;
    Ok(Command {
        name: name.into_owned(),
        arguments: value("arguments").unwrap_or("{}").to_owned(),
        id: id.clone(),
        is_out_of_band,
    })
}
