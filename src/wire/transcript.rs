// SPDX-License-Identifier: MIT OR Apache-2.0
//! Transcripts: a session written down as JSON Lines, one object a line, in the order of the wire.
//!
//! ```text
//! {"transcript": 1, "library": "0.1.0"}   the first line: the format's version, and who wrote it
//! {"ms": 12, "received": {…}}             a message of the VM, the greeting included
//! {"ms": 13, "sent": {…}}                 a command, when its last byte has left
//! {"ms": 14, "garbage": "…"}              what came between messages and is no JSON: its beginning, escaped
//! {"ms": 14, "skipped": "…"}              a message that was not kept: why
//! {"ms": 14, "ended": "…"}                the end of the connection: why. The last line
//! ```
//!
//! `ms` counts from connecting. Messages stand on one line, whole, without blanks between their tokens, and with
//! "<redacted>" in the place of secrets. Everything else in them is verbatim, so whoever compares a message with a
//! recorded one compares its [`Compact`] form. The VM's address is told nowhere.

use std::borrow::Cow;
use std::fmt;

use super::redact::{Compact, is_valid};
use super::string::{cut, decode};
use super::tokens::members;
use super::value::quote;

#[cfg(test)]
mod tests;

/// The version of the format that is written, and the only one that is read.
const VERSION: &str = "1";

/// Why a connection ends that neither the VM nor a fault has ended.
pub const CLOSED: &str = "the connection was closed here";

/// How much of what is no JSON is shown.
const LONGEST_GARBAGE: usize = 256;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line<'a> {
    Start { library: Cow<'a, str> },
    Entry { ms: u64, entry: Entry<'a> },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry<'a> {
    /// JSON text; valid if it is to be written.
    Received(&'a str),
    /// As above.
    Sent(&'a str),
    /// Escaped as by [`slice::escape_ascii`].
    Garbage(Cow<'a, str>),
    Skipped(Cow<'a, str>),
    Ended(Cow<'a, str>),
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Line::Start { library } => {
                let library = quote(library);
                write!(f, "{{\"transcript\": {VERSION}, \"library\": {library}}}")
            }
            Line::Entry { ms, entry } => write!(f, "{{\"ms\": {ms}, {entry}}}"),
        }
    }
}

impl fmt::Display for Entry<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Entry::Received(json) => write!(f, "\"received\": {}", Compact(json)),
            Entry::Sent(json) => write!(f, "\"sent\": {}", Compact(json)),
            Entry::Garbage(shown) => {
                write!(f, "\"garbage\": {}", quote(cut(shown, LONGEST_GARBAGE)))
            }
            Entry::Skipped(why) => write!(f, "\"skipped\": {}", quote(why)),
            Entry::Ended(why) => write!(f, "\"ended\": {}", quote(why)),
        }
    }
}

/// Why a line is none of a transcript's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadLine {
    #[error("it is not a JSON object")]
    NotJson,
    #[error(
        "it is neither {{\"transcript\": …, \"library\": …}} nor {{\"ms\": …}} with one of \"received\", \"sent\", \
         \"garbage\", \"skipped\" and \"ended\""
    )]
    Unknown,
    #[error("it is of version {0} of the format, and only version {VERSION} is known")]
    Version(String),
}

impl<'a> Line<'a> {
    pub fn parse(line: &'a str) -> Result<Line<'a>, BadLine> {
        let [
            transcript,
            library,
            ms,
            received,
            sent,
            garbage,
            skipped,
            ended,
        ] = members(
            line,
            [
                "transcript",
                "library",
                "ms",
                "received",
                "sent",
                "garbage",
                "skipped",
                "ended",
            ],
        );
        check(line, received.or(sent))?;
        if let Some(version) = transcript {
            return match library.and_then(decode) {
                _ if version != VERSION => Err(BadLine::Version(cut(version, 32).to_owned())),
                Some(library) => Ok(Line::Start { library }),
                None => Err(BadLine::Unknown),
            };
        }
        let mut entries = [
            received.map(Entry::Received),
            sent.map(Entry::Sent),
            garbage.and_then(decode).map(Entry::Garbage),
            skipped.and_then(decode).map(Entry::Skipped),
            ended.and_then(decode).map(Entry::Ended),
        ]
        .into_iter()
        .flatten();
        match (
            ms.and_then(|ms| ms.parse().ok()),
            entries.next(),
            entries.next(),
        ) {
            (Some(ms), Some(entry), None) => Ok(Line::Entry { ms, entry }),
            _ => Err(BadLine::Unknown),
        }
    }
}

/// The line is JSON, and so is the message in it. Checked apart: each may be nested as deep as a message may.
fn check(line: &str, message: Option<&str>) -> Result<(), BadLine> {
    let valid = match message {
        Some(message) => {
            let at = message.as_ptr() as usize - line.as_ptr() as usize;
            let (before, after) = (&line[..at], &line[at + message.len()..]);
            is_valid(message) && is_valid(&format!("{before}0{after}"))
        }
        None => is_valid(line),
    };
    if valid && line.trim_start().starts_with('{') {
        Ok(())
    } else {
        Err(BadLine::NotJson)
    }
}
