// SPDX-License-Identifier: MIT OR Apache-2.0
//! The strict scanner: validates one JSON value while finding its end, in one resumable pass with a constant stack.

use super::string;

/// The deepest nesting that a scanner can follow.
pub const DEEPEST: usize = 1024;

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

    fn named(name: &[u8]) -> Option<Member> {
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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Valid so far, and not finished.
    More,
    /// The value ends before this position.
    Done(usize),
    /// The byte at this position cannot stand here.
    Bad(usize),
    /// The bracket at this position opens one level too many.
    TooDeep(usize),
}

#[derive(Clone, Copy, Debug)]
enum State {
    Value,
    FirstElement,
    FirstKey,
    Key,
    Colon,
    AfterValue,
    String,
    Escape,
    Hex(u8),
    Literal(&'static [u8]),
    Minus,
    Zero,
    Digits,
    Point,
    Fraction,
    Exponent,
    ExponentSign,
    ExponentDigits,
}

pub struct Scanner {
    state: State,
    at: usize,
    depth: usize,
    max_depth: usize,
    /// One bit for each open level: is it an object?
    objects: [u64; DEEPEST / 64],
    in_key: bool,
    escaped_key: bool,
    key_start: usize,
    value_start: usize,
    member: Option<Member>,
    spans: Spans,
}

impl Scanner {
    pub fn new(max_depth: usize) -> Scanner {
        Scanner {
            state: State::Value,
            at: 0,
            depth: 0,
            max_depth: max_depth.min(DEEPEST),
            objects: [0; DEEPEST / 64],
            in_key: false,
            escaped_key: false,
            key_start: 0,
            value_start: 0,
            member: None,
            spans: [(0, 0); Member::COUNT],
        }
    }

    /// Ready for the next value.
    pub fn reset(&mut self) {
        self.state = State::Value;
        self.at = 0;
        self.depth = 0;
        self.member = None;
        self.spans = [(0, 0); Member::COUNT];
    }

    pub(super) fn spans(&self) -> Spans {
        self.spans
    }

    /// Goes on where the last call stopped, until one that does not give More. `text` is the value from its first byte,
    /// longer with each call.
    pub fn scan(&mut self, text: &[u8]) -> Step {
        let mut at = self.at;
        let mut state = self.state;
        let mut depth = self.depth;
        let mut in_object = depth > 0 && self.is_object(depth - 1);
        while let Some(&byte) = text.get(at) {
            match state {
                State::Value | State::FirstElement => {
                    if is_blank(byte) {
                        at += 1;
                        continue;
                    }
                    if depth == 1 {
                        self.value_start = at;
                    }
                    match byte {
                        b'"' => {
                            self.in_key = false;
                            state = State::String;
                        }
                        b'{' | b'[' => {
                            if depth == self.max_depth {
                                return Step::TooDeep(at);
                            }
                            in_object = byte == b'{';
                            self.set_object(depth, in_object);
                            depth += 1;
                            state = if in_object {
                                State::FirstKey
                            } else {
                                State::FirstElement
                            };
                        }
                        b'1'..=b'9' => state = State::Digits,
                        b'0' => state = State::Zero,
                        b'-' => state = State::Minus,
                        b't' => state = State::Literal(b"rue"),
                        b'f' => state = State::Literal(b"alse"),
                        b'n' => state = State::Literal(b"ull"),
                        // After `[` only: a comma leads to Value.
                        b']' if matches!(state, State::FirstElement) => {
                            state = State::AfterValue;
                            continue;
                        }
                        _ => return Step::Bad(at),
                    }
                    at += 1;
                }
                State::String => {
                    at = plain_end(text, at);
                    match text.get(at) {
                        None => break,
                        Some(b'"') => at += 1,
                        Some(b'\\') => {
                            at += 1;
                            state = State::Escape;
                            continue;
                        }
                        Some(_) => return Step::Bad(at),
                    }
                    if self.in_key {
                        if depth == 1 {
                            self.name_member(&text[self.key_start..at]);
                        }
                        state = State::Colon;
                    } else {
                        if depth <= 1 && self.end_value(depth, at) {
                            return Step::Done(at);
                        }
                        state = State::AfterValue;
                    }
                }
                State::Colon => match byte {
                    b':' => {
                        at = after_space(text, at + 1);
                        state = State::Value;
                    }
                    _ if is_blank(byte) => at += 1,
                    _ => return Step::Bad(at),
                },
                State::AfterValue => match byte {
                    b',' => {
                        at = after_space(text, at + 1);
                        state = if in_object { State::Key } else { State::Value };
                    }
                    b'}' | b']' if in_object == (byte == b'}') => {
                        at += 1;
                        depth -= 1;
                        if depth <= 1 && self.end_value(depth, at) {
                            return Step::Done(at);
                        }
                        in_object = self.is_object(depth - 1);
                    }
                    _ if is_blank(byte) => at += 1,
                    _ => return Step::Bad(at),
                },
                State::Key | State::FirstKey => match byte {
                    b'"' => {
                        self.in_key = true;
                        self.escaped_key = false;
                        self.key_start = at;
                        at += 1;
                        state = State::String;
                    }
                    b'}' if matches!(state, State::FirstKey) => state = State::AfterValue,
                    _ if is_blank(byte) => at += 1,
                    _ => return Step::Bad(at),
                },
                State::Escape => {
                    state = match byte {
                        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => State::String,
                        b'u' => State::Hex(4),
                        _ => return Step::Bad(at),
                    };
                    self.escaped_key = true;
                    at += 1;
                }
                State::Hex(left) => {
                    if !byte.is_ascii_hexdigit() {
                        return Step::Bad(at);
                    }
                    at += 1;
                    state = if left == 1 {
                        State::String
                    } else {
                        State::Hex(left - 1)
                    };
                }
                State::Literal(rest) => {
                    let Some((_, rest)) = rest.split_first().filter(|(first, _)| **first == byte)
                    else {
                        return Step::Bad(at);
                    };
                    at += 1;
                    state = State::Literal(rest);
                    if rest.is_empty() {
                        if depth <= 1 && self.end_value(depth, at) {
                            return Step::Done(at);
                        }
                        state = State::AfterValue;
                    }
                }
                State::Minus | State::Point | State::Exponent | State::ExponentSign => {
                    state = match (state, byte) {
                        (State::Minus, b'0') => State::Zero,
                        (State::Minus, b'1'..=b'9') => State::Digits,
                        (State::Point, b'0'..=b'9') => State::Fraction,
                        (State::Exponent, b'+' | b'-') => State::ExponentSign,
                        (State::Exponent | State::ExponentSign, b'0'..=b'9') => {
                            State::ExponentDigits
                        }
                        _ => return Step::Bad(at),
                    };
                    at += 1;
                }
                State::Zero | State::Digits | State::Fraction | State::ExponentDigits => {
                    if !matches!(state, State::Zero) {
                        at = digits_end(text, at);
                    }
                    state = match (state, text.get(at)) {
                        (_, None) => break,
                        (State::Zero | State::Digits, Some(b'.')) => State::Point,
                        (State::Zero | State::Digits | State::Fraction, Some(b'e' | b'E')) => {
                            State::Exponent
                        }
                        _ => {
                            if depth <= 1 && self.end_value(depth, at) {
                                return Step::Done(at);
                            }
                            state = State::AfterValue;
                            continue;
                        }
                    };
                    at += 1;
                }
            }
        }
        self.at = at;
        self.state = state;
        self.depth = depth;
        Step::More
    }

    /// A value at depth 0 or 1 ends before `at`. True: it is the whole value.
    fn end_value(&mut self, depth: usize, at: usize) -> bool {
        if let Some(member) = self.member.filter(|_| depth == 1) {
            self.spans[member as usize] = (self.value_start, at);
            self.member = None;
        }
        depth == 0
    }

    /// `raw` is the name of a top-level member, quotes included.
    fn name_member(&mut self, raw: &[u8]) {
        self.member = if self.escaped_key {
            let name = std::str::from_utf8(raw).ok().and_then(string::decode);
            name.and_then(|name| Member::named(name.as_bytes()))
        } else {
            Member::named(&raw[1..raw.len() - 1])
        };
    }

    fn is_object(&self, level: usize) -> bool {
        self.objects[level / 64] >> (level % 64) & 1 == 1
    }

    fn set_object(&mut self, level: usize, object: bool) {
        let bit = 1 << (level % 64);
        let word = &mut self.objects[level / 64];
        *word = if object { *word | bit } else { *word & !bit };
    }
}

/// JSON's whitespace.
pub(super) const BLANKS: [char; 4] = [' ', '\t', '\r', '\n'];

pub(super) fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// QEMU puts one space after each colon and comma.
fn after_space(text: &[u8], at: usize) -> usize {
    if text.get(at) == Some(&b' ') {
        at + 1
    } else {
        at
    }
}

fn digits_end(text: &[u8], mut at: usize) -> usize {
    while text.get(at).is_some_and(u8::is_ascii_digit) {
        at += 1;
    }
    at
}

/// The first quote, backslash or control character from `at` on, or the end of the text.
fn plain_end(text: &[u8], mut at: usize) -> usize {
    while let Some((first, rest)) = text
        .get(at..)
        .and_then(|rest| rest.split_first_chunk::<8>())
    {
        let Some(second) = rest.first_chunk::<8>() else {
            break;
        };
        // Both words at once: most strings end within 16 bytes, and a branch on their length would be mispredicted.
        let (first, second) = (specials(*first), specials(*second));
        if first | second != 0 {
            let (word, base) = if first != 0 {
                (first, at)
            } else {
                (second, at + 8)
            };
            return base + word.trailing_zeros() as usize / 8;
        }
        at += 16;
    }
    while text
        .get(at)
        .is_some_and(|&byte| byte >= 0x20 && byte != b'"' && byte != b'\\')
    {
        at += 1;
    }
    at
}

/// The lowest set bit is the top bit of the first byte that is a quote, a backslash or a control character; 0: there is none.
fn specials(chunk: [u8; 8]) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let word = u64::from_le_bytes(chunk);
    // A quote, 0x22, becomes 0x20, so that one comparison with 0x21 finds it and all below 0x20. Borrows only reach upwards.
    let low = word ^ (ONES * 0x02);
    let backslash = word ^ (ONES * 0x5c);
    ((low.wrapping_sub(ONES * 0x21) & !low) | (backslash.wrapping_sub(ONES) & !backslash))
        & (ONES * 0x80)
}
