// SPDX-License-Identifier: MIT OR Apache-2.0
//! The strict scanner: validates one JSON value while finding its end, in one resumable pass with a constant stack.

use super::object::{Member, Spans};
use super::string;

#[cfg(test)]
mod tests;

/// The deepest nesting that a scanner can follow.
pub const DEEPEST: usize = 1024;

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

/// What is expected next, or what the scan stands in. In the order in which an object brings them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    FirstKey,
    Key,
    KeyString,
    Colon,
    FirstElement,
    Value,
    ValueString,
    Escape,
    Hex,
    Literal,
    Minus,
    Zero,
    Digits,
    Point,
    Fraction,
    Exponent,
    ExponentSign,
    ExponentDigits,
    AfterValue,
}

pub struct Scanner {
    state: State,
    at: usize,
    depth: usize,
    max_depth: usize,
    /// One bit for each open level: is it an object?
    objects: [u64; DEEPEST / 64],
    /// The state that an escape leads back to.
    in_string: State,
    hex_digits: u8,
    literal: &'static [u8],
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
            in_string: State::ValueString,
            hex_digits: 0,
            literal: b"",
            escaped_key: false,
            key_start: 0,
            value_start: 0,
            member: None,
            spans: Spans::default(),
        }
    }

    /// Ready for the next value.
    pub fn reset(&mut self) {
        self.state = State::Value;
        self.at = 0;
        self.depth = 0;
        self.member = None;
        self.spans = Spans::default();
    }

    /// Whether the value of this member has begun, or ended.
    pub(super) fn has_seen(&self, member: Member) -> bool {
        self.member == Some(member) || self.spans[member as usize].1 > 0
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
        // One round takes a whole member: each step falls through to the one that usually follows.
        loop {
            if matches!(state, State::Key | State::FirstKey) {
                at = blanks_end(text, at);
                match text.get(at) {
                    None => break,
                    Some(b'"') => {
                        self.escaped_key = false;
                        self.key_start = at;
                        at += 1;
                        state = State::KeyString;
                    }
                    Some(b'}') if state == State::FirstKey => state = State::AfterValue,
                    Some(_) => return Step::Bad(at),
                }
            }
            if state == State::KeyString {
                at = plain_end(text, at);
                match text.get(at) {
                    None => break,
                    Some(b'"') => {
                        at += 1;
                        if depth == 1 {
                            self.name_member(&text[self.key_start..at]);
                        }
                        state = State::Colon;
                    }
                    Some(b'\\') => {
                        at += 1;
                        self.escaped_key = true;
                        self.in_string = state;
                        state = State::Escape;
                    }
                    Some(_) => return Step::Bad(at),
                }
            }
            if state == State::Colon {
                at = blanks_end(text, at);
                match text.get(at) {
                    None => break,
                    Some(b':') => {
                        at += 1;
                        state = State::Value;
                    }
                    Some(_) => return Step::Bad(at),
                }
            }
            if matches!(state, State::Value | State::FirstElement) {
                at = blanks_end(text, at);
                let Some(&byte) = text.get(at) else { break };
                if depth == 1 {
                    self.value_start = at;
                }
                at += 1;
                match byte {
                    b'"' => state = State::ValueString,
                    b'{' | b'[' => {
                        if depth == self.max_depth {
                            return Step::TooDeep(at - 1);
                        }
                        in_object = byte == b'{';
                        self.set_object(depth, in_object);
                        depth += 1;
                        state = if in_object {
                            State::FirstKey
                        } else {
                            State::FirstElement
                        };
                        continue;
                    }
                    b'1'..=b'9' => state = State::Digits,
                    b'0' => state = State::Zero,
                    b'-' => state = State::Minus,
                    b't' | b'f' | b'n' => {
                        self.literal = match byte {
                            b't' => b"rue",
                            b'f' => b"alse",
                            _ => b"ull",
                        };
                        if text[at..].starts_with(self.literal) {
                            at += self.literal.len();
                            if depth <= 1 && self.end_value(depth, at) {
                                return Step::Done(at);
                            }
                            state = State::AfterValue;
                        } else {
                            state = State::Literal;
                        }
                    }
                    b']' if state == State::FirstElement => {
                        at -= 1;
                        state = State::AfterValue;
                    }
                    _ => return Step::Bad(at - 1),
                }
            }
            if state == State::ValueString {
                at = plain_end(text, at);
                match text.get(at) {
                    None => break,
                    Some(b'"') => {
                        at += 1;
                        if depth <= 1 && self.end_value(depth, at) {
                            return Step::Done(at);
                        }
                        state = State::AfterValue;
                    }
                    Some(b'\\') => {
                        at += 1;
                        self.in_string = state;
                        state = State::Escape;
                    }
                    Some(_) => return Step::Bad(at),
                }
            }
            if matches!(
                state,
                State::Digits | State::Zero | State::Fraction | State::ExponentDigits
            ) {
                if state != State::Zero {
                    at = digits_end(text, at);
                }
                match text.get(at) {
                    None => break,
                    Some(b'.') if matches!(state, State::Zero | State::Digits) => {
                        state = State::Point
                    }
                    Some(b'e' | b'E') if state != State::ExponentDigits => state = State::Exponent,
                    Some(_) => {
                        if depth <= 1 && self.end_value(depth, at) {
                            return Step::Done(at);
                        }
                        state = State::AfterValue;
                    }
                }
                if state != State::AfterValue {
                    at += 1;
                }
            }
            if state != State::AfterValue {
                let Some(&byte) = text.get(at) else { break };
                match self.turn(state, byte) {
                    Some(next) => state = next,
                    None => return Step::Bad(at),
                }
                at += 1;
                if state == State::AfterValue && depth <= 1 && self.end_value(depth, at) {
                    return Step::Done(at);
                }
                continue;
            }
            state = loop {
                at = blanks_end(text, at);
                match text.get(at) {
                    None => break State::AfterValue,
                    Some(b',') => {
                        at += 1;
                        break if in_object { State::Key } else { State::Value };
                    }
                    Some(&byte @ (b'}' | b']')) if in_object == (byte == b'}') => {
                        at += 1;
                        depth -= 1;
                        if depth <= 1 && self.end_value(depth, at) {
                            return Step::Done(at);
                        }
                        in_object = self.is_object(depth - 1);
                    }
                    Some(_) => return Step::Bad(at),
                }
            };
            if state == State::AfterValue {
                break;
            }
        }
        self.at = at;
        self.state = state;
        self.depth = depth;
        Step::More
    }

    /// The state after a byte inside an escape, a literal, or the part of a number where a digit is due.
    fn turn(&mut self, state: State, byte: u8) -> Option<State> {
        match (state, byte) {
            (State::Escape, b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                Some(self.in_string)
            }
            (State::Escape, b'u') => {
                self.hex_digits = 4;
                Some(State::Hex)
            }
            (State::Hex, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                self.hex_digits -= 1;
                Some(if self.hex_digits == 0 {
                    self.in_string
                } else {
                    State::Hex
                })
            }
            (State::Literal, _) => {
                let (&first, rest) = self.literal.split_first()?;
                self.literal = rest;
                let next = if rest.is_empty() {
                    State::AfterValue
                } else {
                    State::Literal
                };
                (byte == first).then_some(next)
            }
            (State::Minus, b'0') => Some(State::Zero),
            (State::Minus, b'1'..=b'9') => Some(State::Digits),
            (State::Point, b'0'..=b'9') => Some(State::Fraction),
            (State::Exponent, b'+' | b'-') => Some(State::ExponentSign),
            (State::Exponent | State::ExponentSign, b'0'..=b'9') => Some(State::ExponentDigits),
            _ => None,
        }
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

fn blanks_end(text: &[u8], mut at: usize) -> usize {
    while text.get(at).copied().is_some_and(is_blank) {
        at += 1;
    }
    at
}

fn digits_end(text: &[u8], mut at: usize) -> usize {
    while text.get(at).is_some_and(u8::is_ascii_digit) {
        at += 1;
    }
    at
}

/// The first quote, backslash or control character from `at` on, or the end of the text.
fn plain_end(text: &[u8], mut at: usize) -> usize {
    while let Some(chunk) = text.get(at..).and_then(|rest| rest.first_chunk()) {
        let found = specials(*chunk);
        if found != 0 {
            return at + found.trailing_zeros() as usize / 8;
        }
        at += 8;
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
