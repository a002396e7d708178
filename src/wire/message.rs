// SPDX-License-Identifier: MIT OR Apache-2.0
//! A framed object to what it means. Payloads stay raw text, exactly as QEMU sent them.

use std::borrow::Cow;

use super::object::{Member, Object};
use super::string::{decode, readable};
use super::tokens::members;

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
    /// A part of `json`.
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
        let [class, description] = members(raw, ["class", "desc"]);
        ErrorBody {
            class: class
                .filter(|raw| raw.starts_with('"'))
                .map(readable)
                .unwrap_or_default(),
            description: readable(description.unwrap_or(raw)),
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
        let [Some(version)] = members(qmp, ["version"]) else {
            return None;
        };
        let [Some(qemu), package] = members(version, ["qemu", "package"]) else {
            return None;
        };
        let [major, minor, micro] = members(qemu, ["major", "minor", "micro"]);
        Some(Version {
            major: major?.parse().ok()?,
            minor: minor?.parse().ok()?,
            micro: micro?.parse().ok()?,
            package: package
                .filter(|raw| raw.starts_with('"'))
                .map(readable)
                .unwrap_or_default(),
        })
    }
}

fn timestamp(raw: &str) -> Option<(i64, i64)> {
    usual_timestamp(raw).or_else(|| {
        let [seconds, microseconds] = members(raw, ["seconds", "microseconds"]);
        Some((seconds?.parse().ok()?, microseconds?.parse().ok()?))
    })
}

/// As QEMU writes it: this runs for each event.
fn usual_timestamp(raw: &str) -> Option<(i64, i64)> {
    let rest = raw.strip_prefix("{\"seconds\": ")?;
    let comma = memchr::memchr(b',', rest.as_bytes())?;
    let (seconds, rest) = rest.split_at(comma);
    let microseconds = rest
        .strip_prefix(", \"microseconds\": ")?
        .strip_suffix('}')?;
    Some((seconds.parse().ok()?, microseconds.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::framing::{Frame, Framer, Limits, MAX_DEPTH};

    /// What a message is, in words.
    fn told(text: &str) -> String {
        let mut framer = Framer::new(Limits {
            bytes: 1 << 20,
            depth: MAX_DEPTH,
        });
        framer.buffer().unwrap().extend_from_slice(text.as_bytes());
        match framer.next() {
            Some(Frame::Message(object)) => format!("{:?}", Message::classify(&object)),
            other => panic!("{other:?}"),
        }
    }

    fn error(raw: &str) -> (String, String) {
        let ErrorBody { class, description } = ErrorBody::parse(raw);
        (class, description)
    }

    #[test]
    fn replies_are_told_by_return_or_error() {
        assert_eq!(
            told(r#"{"return": {}, "id": 1}"#),
            r#"Return { id: Ours(1), value: "{}" }"#
        );
        assert_eq!(
            told(r#"{"return": null}"#),
            r#"Return { id: Absent, value: "null" }"#
        );
        assert_eq!(
            told(r#"{"id": 7, "error": {"class": "GenericError", "desc": "no"}}"#),
            r#"Error { id: Ours(7), error: ErrorBody { class: "GenericError", description: "no" } }"#
        );
        assert_eq!(
            told(r#"{"QMP": {}, "return": 1, "new": 2}"#),
            r#"Return { id: Absent, value: "1" }"#
        );
    }

    #[test]
    fn a_value_passes_verbatim() {
        let digits = "1234567890".repeat(40);
        let value = format!("[{digits},  -1e3, \"\\ud800\\u0000\"]");
        let text = format!("{{\"return\":{value},\"id\":2}}");
        assert_eq!(
            told(&text),
            format!("Return {{ id: Ours(2), value: {value:?} }}")
        );
    }

    #[test]
    fn only_plain_integers_are_our_ids() {
        for (raw, id) in [
            ("0", "Ours(0)"),
            ("18446744073709551615", "Ours(18446744073709551615)"),
            ("18446744073709551616", "Foreign"),
            ("-0", "Foreign"),
            ("-1", "Foreign"),
            ("1.0", "Foreign"),
            ("1e3", "Foreign"),
            ("\"1\"", "Foreign"),
            ("null", "Foreign"),
            ("[1]", "Foreign"),
        ] {
            let told = told(&format!("{{\"id\": {raw}, \"return\": 1}}"));
            assert_eq!(told, format!("Return {{ id: {id}, value: \"1\" }}"));
        }
        assert_eq!(
            told(r#"{"id": 1, "return": 1, "\u0069d": 2}"#),
            r#"Return { id: Ours(2), value: "1" }"#
        );
    }

    #[test]
    fn both_or_neither_contradict() {
        assert_eq!(
            told(r#"{"return": 1, "error": 2, "id": 3}"#),
            "Contradictory { id: Ours(3) }"
        );
        assert_eq!(
            told(r#"{"return": 1, "error": 2}"#),
            "Contradictory { id: Absent }"
        );
        assert_eq!(told(r#"{"id": "x"}"#), "Contradictory { id: Foreign }");
    }

    #[test]
    fn a_greeting_is_an_object_named_qmp() {
        assert_eq!(
            told(r#"{"QMP": {"version": {}}}"#),
            r#"Greeting { qmp: "{\"version\": {}}" }"#
        );
        assert_eq!(told(r#"{"QMP": 1}"#), "Unknown");
        assert_eq!(told("{}"), "Unknown");
    }

    #[test]
    fn events_come_before_all_else() {
        let text =
            r#"{"timestamp": {"seconds": 1795360670, "microseconds": 254616}, "event": "RESUME"}"#;
        let view = |data, timestamp: &str, text| {
            format!(
                "Event(EventView {{ name: \"RESUME\", json: {text:?}, data: {data}, timestamp: {timestamp} }})"
            )
        };
        assert_eq!(told(text), view("None", "Some((1795360670, 254616))", text));
        let text = r#"{"id": 1, "return": 2, "event": "\u0052ESUME", "data": {"a": [1]}}"#;
        assert_eq!(told(text), view(r#"Some("{\"a\": [1]}")"#, "None", text));
        for name in ["1", "null", "{}", r#""A\u0000B""#, r#""\ud800""#] {
            assert_eq!(told(&format!("{{\"event\": {name}}}")), "OddEvent");
        }
    }

    #[test]
    fn timestamps_of_any_shape_are_read() {
        for (raw, expected) in [
            (r#"{"seconds": 1, "microseconds": 2}"#, Some((1, 2))),
            (r#"{"seconds": -1, "microseconds": -1}"#, Some((-1, -1))),
            (r#"{"microseconds":2,"seconds":1}"#, Some((1, 2))),
            (
                "{\n \"seconds\" : 1,\r\n \"microseconds\" :\t2\n}",
                Some((1, 2)),
            ),
            (
                r#"{"seconds": 1, "new": {}, "microseconds": 2}"#,
                Some((1, 2)),
            ),
            (r#"{"seconds": 1.5, "microseconds": 2}"#, None),
            (
                r#"{"seconds": 99999999999999999999, "microseconds": 2}"#,
                None,
            ),
            (r#"{"seconds": 1}"#, None),
            ("[1, 2]", None),
            ("7", None),
        ] {
            assert_eq!(timestamp(raw), expected, "{raw}");
        }
    }

    #[test]
    fn errors_of_any_shape_are_read() {
        let pair = |class: &str, description: &str| (class.to_owned(), description.to_owned());
        assert_eq!(
            error(r#"{"class": "X\u0000", "desc": "a\"\u0000b", "new": 1}"#),
            pair("X\\u0000", "a\"\\u0000b")
        );
        assert_eq!(error(r#"{"class": 1, "desc": "a"}"#), pair("", "a"));
        assert_eq!(error(r#"{"desc": "\ud800"}"#), pair("", r#""\ud800""#));
        assert_eq!(error(r#"{"class": "C"}"#), pair("C", r#"{"class": "C"}"#));
        assert_eq!(error(r#"{"class": "C", "desc": [1]}"#), pair("C", "[1]"));
        assert_eq!(error(r#""text\n""#), pair("", "text\n"));
        assert_eq!(error("[1]"), pair("", "[1]"));
    }

    #[test]
    fn versions_are_read_where_there_is_one() {
        let qmp = r#"{"version": {"qemu": {"micro": 22, "minor": 2, "major": 7}, "package": "Debian"}, "capabilities": []}"#;
        let version = Version {
            major: 7,
            minor: 2,
            micro: 22,
            package: "Debian".into(),
        };
        assert_eq!(Version::parse(qmp), Some(version));
        for qmp in [
            "{}",
            r#"{"version": "7"}"#,
            r#"{"version": {"qemu": {"major": 7}}}"#,
            "[",
        ] {
            assert_eq!(Version::parse(qmp), None);
        }
    }
}
