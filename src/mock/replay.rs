// SPDX-License-Identifier: MIT OR Apache-2.0
//! A recorded session, played back: the same requests get the same replies and events.

use std::path::Path;

use super::command::Command;
use super::message::{Answer, Message};
use crate::error::{Error, Result, Status};
use crate::wire::transcript::{CLOSED, Entry, Line};
use crate::wire::{children, decode, members, quote, redact, same};

pub(super) struct Replay {
    entries: Vec<Recorded>,
    /// The first difference.
    difference: Option<String>,
}

struct Recorded {
    /// Its line in the transcript, from 1.
    line: usize,
    said: Said,
    done: bool,
}

enum Said {
    Request(Request),
    /// A reply to the request of this recorded id, raw text.
    Reply {
        id: String,
        text: String,
    },
    /// An event, the greeting.
    Message(String),
    End,
}

struct Request {
    name: String,
    arguments: String,
    /// Raw text.
    recorded_id: String,
    /// The id under which it came, raw text.
    id: Option<String>,
}

impl Replay {
    pub(super) fn read(path: &Path) -> Result<Replay> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| Error::os(&format!("read the transcript {path:?}"), &error))?;
        Replay::parse(&text)
    }

    fn parse(text: &str) -> Result<Replay> {
        let mut entries = Vec::new();
        for (at, text) in text.lines().enumerate() {
            let line = at + 1;
            let bad = |why: &dyn std::fmt::Display| {
                Error::new(
                    Status::Protocol,
                    format!("line {line} of the transcript cannot be replayed: {why}"),
                )
            };
            let entry = match (at, Line::parse(text).map_err(|why| bad(&why))?) {
                (0, Line::Start { .. }) => continue,
                (0, _) => return Err(bad(&"a transcript begins with {\"transcript\": …}")),
                (_, Line::Start { .. }) => return Err(bad(&"another transcript begins")),
                (_, Line::Entry { entry, .. }) => entry,
            };
            let said = match entry {
                Entry::Sent(text) => Said::Request(
                    Request::parse(text).ok_or_else(|| bad(&"what was sent is no command"))?,
                ),
                Entry::Received(text) => match members(text, ["id", "event"]) {
                    [Some(id), None] => Said::Reply {
                        id: id.to_owned(),
                        text: text.to_owned(),
                    },
                    _ => Said::Message(text.to_owned()),
                },
                Entry::Ended(why) if why == CLOSED => continue, // the VM was there for more
                Entry::Ended(_) => Said::End,
                Entry::Garbage(_) | Entry::Skipped(_) => {
                    return Err(bad(&"only a part of what was received is there"));
                }
            };
            let done = false;
            entries.push(Recorded { line, said, done });
        }
        Ok(Replay {
            entries,
            difference: None,
        })
    }

    /// A new connection: from the beginning. Gives what the client hears before it has said anything.
    pub(super) fn begin(&mut self) -> Vec<String> {
        for entry in &mut self.entries {
            entry.done = false;
            if let Said::Request(request) = &mut entry.said {
                request.id = None;
            }
        }
        self.difference = None;
        self.next()
    }

    /// What the client hears to a command.
    pub(super) fn answer(&mut self, command: &Command) -> Vec<String> {
        if self.difference.is_none() {
            self.difference = self.compare(command);
        }
        match &self.difference {
            None => self.next(),
            Some(difference) => {
                let reply = Message::Reply {
                    id: command.id.clone(),
                    answer: Answer::generic(difference.clone()),
                };
                vec![reply.text()]
            }
        }
    }

    /// Takes the command for the next request of the recording, or says how they differ.
    fn compare(&mut self, command: &Command) -> Option<String> {
        let came = shown(&command.name, &redact(&command.arguments));
        let Some((line, request)) = self.next_request() else {
            return Some(format!("the transcript is at its end, and {came} came"));
        };
        if !request.is(command) {
            let wanted = shown(&request.name, &request.arguments);
            return Some(format!(
                "line {line} of the transcript has {wanted}, and {came} came"
            ));
        }
        request.id = Some(command.id.clone().unwrap_or_default());
        let entry = self.entries.iter_mut().find(|entry| entry.line == line)?;
        entry.done = true;
        None
    }

    fn next_request(&mut self) -> Option<(usize, &mut Request)> {
        let mut entries = self.entries.iter_mut();
        entries.find_map(|entry| match &mut entry.said {
            Said::Request(request) if !entry.done => Some((entry.line, request)),
            _ => None,
        })
    }

    /// All that may be said now: what stands before the next request, and behind it the replies to requests that have come. Those
    /// were made together when the session was recorded, and may come one after the other now.
    fn next(&mut self) -> Vec<String> {
        let ids: Vec<(String, String)> = self
            .entries
            .iter()
            .filter_map(|entry| match &entry.said {
                Said::Request(request) => Some((request.recorded_id.clone(), request.id.clone()?)),
                _ => None,
            })
            .collect();
        let mut said = Vec::new();
        let mut waits = false;
        for entry in &mut self.entries {
            if entry.done {
                continue;
            }
            match &entry.said {
                Said::Request(_) => waits = true,
                Said::Reply { id, text } => {
                    let Some((_, actual)) = ids.iter().find(|(recorded, _)| recorded == id) else {
                        // To a request of another session; or to one that has still to come.
                        if !waits {
                            said.push(text.clone());
                            entry.done = true;
                        }
                        continue;
                    };
                    said.push(with_id(text, id, actual));
                    entry.done = true;
                }
                Said::Message(text) if !waits => {
                    said.push(text.clone());
                    entry.done = true;
                }
                Said::End if !waits => entry.done = true,
                Said::Message(_) | Said::End => {}
            }
        }
        said
    }

    /// The recorded connection's end was reached.
    pub(super) fn has_ended(&self) -> bool {
        let mut ends = self
            .entries
            .iter()
            .filter(|entry| matches!(entry.said, Said::End));
        ends.any(|end| end.done)
    }

    /// None: more is to come.
    pub(super) fn outcome(&self) -> Option<Result<()>> {
        if let Some(difference) = &self.difference {
            return Some(Err(Error::new(Status::Protocol, difference.clone())));
        }
        let is_open = |entry: &Recorded| matches!(entry.said, Said::Request(_)) && !entry.done;
        (!self.entries.iter().any(is_open)).then_some(Ok(()))
    }

    /// What has not come in time.
    pub(super) fn missing(&self) -> Error {
        let next = self.entries.iter().find_map(|entry| match &entry.said {
            Said::Request(request) if !entry.done => Some((entry.line, request)),
            _ => None,
        });
        let (line, wanted) = match next {
            Some((line, request)) => (line, shown(&request.name, &request.arguments)),
            None => (0, "nothing".into()),
        };
        Error::new(
            Status::Timeout,
            format!("line {line} of the transcript has {wanted}, which did not come in time"),
        )
    }
}

impl Request {
    fn parse(text: &str) -> Option<Request> {
        let [in_band, out_of_band, arguments, id] =
            members(text, ["execute", "exec-oob", "arguments", "id"]);
        Some(Request {
            name: decode(in_band.or(out_of_band)?)?.into_owned(),
            arguments: arguments.unwrap_or("{}").to_owned(),
            recorded_id: id.unwrap_or_default().to_owned(),
            id: None,
        })
    }

    fn is(&self, command: &Command) -> bool {
        let redacted = |wanted: &str| wanted == "\"<redacted>\"";
        self.name == command.name && same(&command.arguments, &self.arguments, &redacted)
    }
}

fn shown(name: &str, arguments: &str) -> String {
    match children(arguments).is_empty() {
        true => name.to_owned(),
        false => format!("{name} {arguments}"),
    }
}

/// A recorded reply under the id of today, or without one if that is empty.
fn with_id(text: &str, recorded: &str, actual: &str) -> String {
    if actual.is_empty() {
        let others = children(text).into_iter().filter(|(name, _)| name != "id");
        let others: Vec<_> = others
            .map(|(name, value)| format!("{}: {value}", quote(&name)))
            .collect();
        return format!("{{{}}}", others.join(", "));
    }
    let [found] = members(text, ["id"]);
    let at = found.map_or(0, |id| id.as_ptr() as usize - text.as_ptr() as usize);
    match (text.get(..at), text.get(at + recorded.len()..)) {
        (Some(before), Some(after)) if found.is_some() => format!("{before}{actual}{after}"),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SESSION: &str = r#"{"transcript": 1, "library": "0.1.0"}
{"ms": 0, "received": {"QMP":{}}}
{"ms": 0, "sent": {"execute":"a","arguments":{"x":1,"key":"<redacted>"},"id":7}}
{"ms": 0, "sent": {"execute":"b","id":8}}
{"ms": 0, "received": {"event":"E"}}
{"ms": 0, "received": {"return":{"id":7},"id":7}}
{"ms": 0, "received": {"return":2,"id":8}}
{"ms": 0, "ended": "it did"}
"#;

    fn command(name: &str, arguments: &str, id: &str) -> Command {
        Command {
            name: name.into(),
            arguments: arguments.into(),
            id: Some(id.into()),
            is_out_of_band: false,
        }
    }

    #[test]
    fn the_same_requests_get_the_same_answers() {
        let mut replay = Replay::parse(SESSION).unwrap();
        assert_eq!(replay.begin(), [r#"{"QMP":{}}"#]);
        // Two that were made together; the client of today waits for the first.
        let first = command("a", r#"{"key": "anything", "x": 1}"#, "100");
        assert_eq!(replay.answer(&first), [r#"{"return":{"id":7},"id":100}"#]);
        assert!(replay.outcome().is_none() && !replay.has_ended());
        assert!(replay.missing().message.contains("line 4"));
        let said = replay.answer(&command("b", "{}", "101"));
        assert_eq!(said, [r#"{"event":"E"}"#, r#"{"return":2,"id":101}"#]);
        assert!(replay.outcome().unwrap().is_ok() && replay.has_ended());
    }

    #[test]
    fn a_request_without_an_id_is_answered_without_one() {
        let mut replay = Replay::parse(SESSION).unwrap();
        replay.begin();
        let mut first = command("a", r#"{"key": "anything", "x": 1}"#, "");
        first.id = None;
        assert_eq!(replay.answer(&first), [r#"{"return": {"id":7}}"#]);
    }

    #[test]
    fn the_client_that_was_recorded_may_have_left_first() {
        let session = SESSION.replace("it did", CLOSED);
        let mut replay = Replay::parse(&session).unwrap();
        replay.begin();
        replay.answer(&command("a", r#"{"key": "anything", "x": 1}"#, "1"));
        replay.answer(&command("b", "{}", "2"));
        assert!(replay.outcome().unwrap().is_ok() && !replay.has_ended());
        let said = replay.answer(&command("c", "{}", "3")).concat();
        assert!(said.contains("at its end"), "{said}");
    }

    #[test]
    fn a_request_that_differs_is_told() {
        let mut replay = Replay::parse(SESSION).unwrap();
        replay.begin();
        let other = command("a", r#"{"x": 2, "key": "hunter2"}"#, "1");
        let said = replay.answer(&other).concat();
        let failure = replay.outcome().unwrap().unwrap_err();
        assert_eq!(failure.status, Status::Protocol);
        for part in ["line 3", "\"x\":1", "\"x\": 2"] {
            assert!(failure.message.contains(part), "{failure}");
        }
        assert!(said.contains("GenericError") && !said.contains("hunter2"));
        // It stays so until the next connection.
        assert!(
            replay
                .answer(&command("b", "{}", "2"))
                .concat()
                .contains("line 3")
        );
        replay.begin();
        assert!(replay.outcome().is_none());
    }

    #[test]
    fn what_is_no_transcript_is_refused_with_its_line() {
        for (text, line) in [
            ("{}", "line 1"),
            ("{\"transcript\": 1, \"library\": \"\"}\nnonsense", "line 2"),
            ("{\"ms\": 0, \"ended\": \"\"}", "line 1"),
        ] {
            let failure = Replay::parse(text).err().unwrap();
            assert!(failure.message.contains(line), "{failure}");
        }
    }
}
