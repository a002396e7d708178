// SPDX-License-Identifier: MIT OR Apache-2.0
//! A framed JSON object, and the members of it that have a meaning.

/// Top-level members of a message that have a meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Member {
    Qmp,
    Return,
    Error,
    Event,
    Data,
    Timestamp,
    Id,
}

impl Member {
    const COUNT: usize = 7;

    pub(super) fn named(name: &[u8]) -> Option<Member> {
        match name {
            b"return" => Some(Member::Return),
            b"id" => Some(Member::Id),
            b"event" => Some(Member::Event),
            b"data" => Some(Member::Data),
            b"timestamp" => Some(Member::Timestamp),
            b"error" => Some(Member::Error),
            b"QMP" => Some(Member::Qmp),
            _ => None,
        }
    }
}

/// Where the known members' values stand, from the start of the message. An end of 0 means absent.
pub(super) type Spans = [(usize, usize); Member::COUNT];

/// A complete, valid JSON object. Of a member that occurs more than once, the last one counts.
#[derive(Clone, Copy, Debug)]
pub struct Object<'a> {
    pub text: &'a str,
    spans: Spans,
}

impl<'a> Object<'a> {
    pub(super) fn new(text: &'a str, spans: Spans) -> Object<'a> {
        Object { text, spans }
    }

    /// The raw text of a top-level member's value.
    pub fn member(&self, member: Member) -> Option<&'a str> {
        let (start, end) = self.spans[member as usize];
        if end == 0 {
            return None;
        }
        self.text.get(start..end)
    }
}
