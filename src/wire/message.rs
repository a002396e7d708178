// SPDX-License-Identifier: MIT OR Apache-2.0
//! A framed object to what it means. Payloads stay raw text, exactly as QEMU sent them.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::Value;
use serde_json::value::RawValue;

use super::scan::{Member, Object};
use super::string::{decode, readable};

/// The id of a reply. Ours are plain decimal integers; a peer may echo anything else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Id {
    Absent,
    Ours(u64),
    Foreign,
}

#[derive(Debug)]
pub enum Message<'a> {
    /// The raw value of "QMP", an object.
    Greeting {
        qmp: &'a str,
    },
    /// The raw text of any JSON value.
    Return {
        id: Id,
        value: &'a str,
    },
    Error {
        id: Id,
        error: ErrorBody,
    },
    Event(EventView<'a>),
    /// Both or neither of return and error.
    Contradictory {
        id: Id,
    },
    /// An event whose name is no text that a C string could hold.
    OddEvent,
    Unknown,
}

/// What QEMU says of a failed command. Neither text holds a NUL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorBody {
    /// Verbatim; empty if there is none.
    pub class: String,
    pub description: String,
}

#[derive(Clone, Debug)]
pub struct EventView<'a> {
    pub name: Cow<'a, str>,
    /// The whole event.
    pub json: &'a str,
    pub data: Option<&'a str>,
    /// Seconds and microseconds, both -1 where QEMU could not tell; None when absent or odd.
    pub timestamp: Option<(i64, i64)>,
}

impl<'a> Message<'a> {
    pub fn classify(object: &Object<'a>) -> Message<'a> {
        let member = |member| object.member(member);
        if let Some(name) = member(Member::Event) {
            return match decode(name).filter(|name| !name.contains('\0')) {
                Some(name) => Message::Event(EventView {
                    name,
                    json: object.text,
                    data: member(Member::Data),
                    timestamp: member(Member::Timestamp).and_then(timestamp),
                }),
                None => Message::OddEvent,
            };
        }
        let id = match member(Member::Id) {
            None => Id::Absent,
            // In valid JSON, only a canonical non-negative integer passes for a u64.
            Some(raw) => raw.parse().map_or(Id::Foreign, Id::Ours),
        };
        match (member(Member::Return), member(Member::Error)) {
            (Some(value), None) => Message::Return { id, value },
            (None, Some(raw)) => Message::Error {
                id,
                error: ErrorBody::parse(raw),
            },
            (Some(_), Some(_)) => Message::Contradictory { id },
            (None, None) => match member(Member::Qmp) {
                Some(qmp) if qmp.starts_with('{') => Message::Greeting { qmp },
                _ if id != Id::Absent => Message::Contradictory { id },
                _ => Message::Unknown,
            },
        }
    }
}

impl ErrorBody {
    fn parse(raw: &str) -> ErrorBody {
        let members = members(raw);
        let text = |name| {
            members
                .as_ref()
                .and_then(|members| members.get(name))
                .map(|raw| raw.get())
        };
        ErrorBody {
            class: text("class")
                .filter(|raw| raw.starts_with('"'))
                .map(readable)
                .unwrap_or_default(),
            description: readable(text("desc").unwrap_or(raw)),
        }
    }
}

/// The version in a greeting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    pub major: u64,
    pub minor: u64,
    pub micro: u64,
    /// What the distribution calls it; often empty.
    pub package: String,
}

impl Version {
    /// `qmp` is the greeting's value of "QMP".
    pub fn parse(qmp: &str) -> Option<Version> {
        let greeting: Value = serde_json::from_str(qmp).ok()?;
        let version = greeting.get("version")?;
        let number = |name| version.get("qemu")?.get(name)?.as_u64();
        Some(Version {
            major: number("major")?,
            minor: number("minor")?,
            micro: number("micro")?,
            package: version
                .get("package")
                .and_then(Value::as_str)
                .unwrap_or_default()
                .replace('\0', "\\u0000"),
        })
    }
}

fn members(raw: &str) -> Option<BTreeMap<String, &RawValue>> {
    serde_json::from_str(raw).ok()
}

fn timestamp(raw: &str) -> Option<(i64, i64)> {
    usual_timestamp(raw).or_else(|| {
        let members = members(raw)?;
        let number = |name| members.get(name)?.get().parse().ok();
        Some((number("seconds")?, number("microseconds")?))
    })
}

/// As QEMU writes it: this runs for each event.
fn usual_timestamp(raw: &str) -> Option<(i64, i64)> {
    let inner = raw.strip_prefix('{')?.strip_suffix('}')?;
    let (seconds, microseconds) = inner.split_once(',')?;
    let seconds = seconds.trim().strip_prefix("\"seconds\":")?;
    let microseconds = microseconds.trim().strip_prefix("\"microseconds\":")?;
    Some((
        seconds.trim().parse().ok()?,
        microseconds.trim().parse().ok()?,
    ))
}
