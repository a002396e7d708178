// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a QEMU says, in its own spelling and order of members.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::wire::quote;

/// One message before it goes out, in the parts that faults are made of.
#[derive(Clone, Debug)]
pub(super) enum Message {
    Greeting {
        version: String,
        capabilities: String,
    },
    /// The id is raw text; a command without one is answered without one.
    Reply {
        id: Option<String>,
        answer: Answer,
    },
    Event(Event),
}

/// What a command is answered. The value is JSON text.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Answer {
    Return(String),
    Error { class: String, description: String },
}

#[derive(Clone, Debug)]
pub(super) struct Event {
    pub(super) name: String,
    /// JSON text.
    pub(super) data: Option<String>,
}

impl Event {
    pub(super) fn new(name: &str, data: Option<&str>) -> Event {
        Event {
            name: name.to_owned(),
            data: data.map(str::to_owned),
        }
    }
}

impl Answer {
    pub(super) fn ok() -> Answer {
        Answer::Return("{}".into())
    }

    pub(super) fn error(class: &str, description: impl Into<String>) -> Answer {
        Answer::Error {
            class: class.to_owned(),
            description: description.into(),
        }
    }

    pub(super) fn generic(description: impl Into<String>) -> Answer {
        Answer::error("GenericError", description)
    }
}

impl Message {
    /// Without the line's end.
    pub(super) fn text(&self) -> String {
        match self {
            Message::Greeting {
                version,
                capabilities,
            } => {
                format!("{{\"QMP\": {{\"version\": {version}, \"capabilities\": {capabilities}}}}}")
            }
            Message::Reply { id, answer } => match answer {
                Answer::Return(value) => with_id_after(&format!("\"return\": {value}"), id),
                Answer::Error { class, description } => with_id_before(
                    id,
                    &format!(
                        "\"error\": {{\"class\": {}, \"desc\": {}}}",
                        quote(class),
                        quote(description)
                    ),
                ),
            },
            Message::Event(event) => {
                let data = event
                    .data
                    .as_ref()
                    .map(|data| format!(", \"data\": {data}"))
                    .unwrap_or_default();
                format!(
                    "{{{}, \"event\": {}{data}}}",
                    timestamp(),
                    quote(&event.name)
                )
            }
        }
    }

    /// The text before and after a place where any JSON value may stand: the reply's value, a member of the event's data, a
    /// further member of the greeting.
    pub(super) fn around(&self) -> (String, String) {
        const HERE: &str = "\u{1}";
        let marked = match self {
            Message::Greeting {
                version,
                capabilities,
            } => format!(
                "{{\"QMP\": {{\"version\": {version}, \"capabilities\": {capabilities}, \"more\": {HERE}}}}}"
            ),
            Message::Reply { id, .. } => with_id_after(&format!("\"return\": {HERE}"), id),
            Message::Event(Event { name, .. }) => {
                let data = format!("{{\"more\": {HERE}}}");
                Message::Event(Event::new(name, Some(&data))).text()
            }
        };
        match marked.split_once(HERE) {
            Some((before, after)) => (before.to_owned(), after.to_owned()),
            None => (marked, String::new()),
        }
    }
}

/// `"timestamp": …` of now.
pub(super) fn timestamp() -> String {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    format!(
        "\"timestamp\": {{\"seconds\": {}, \"microseconds\": {}}}",
        now.as_secs(),
        now.subsec_micros()
    )
}

/// A reply of these members, with the id where QEMU puts it on success.
pub(super) fn with_id_after(members: &str, id: &Option<String>) -> String {
    match id {
        Some(id) => format!("{{{members}, \"id\": {id}}}"),
        None => format!("{{{members}}}"),
    }
}

/// A reply of these members, with the id where QEMU puts it on failure.
pub(super) fn with_id_before(id: &Option<String>, members: &str) -> String {
    match id {
        Some(id) => format!("{{\"id\": {id}, {members}}}"),
        None => format!("{{{members}}}"),
    }
}
