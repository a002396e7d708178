// SPDX-License-Identifier: MIT OR Apache-2.0
//! Commands to bytes. QEMU answers what it cannot parse with errors that carry no id, so nothing of the kind leaves here.

use super::scan::{BLANKS, Scanner, Step};
use super::string;
use super::tokens::{Token, Tokens};

#[cfg(test)]
mod tests;

/// QEMU allows 1024 for the whole command.
const MAX_DEPTH: usize = 1000;
/// QEMU's limits for a whole command are 64 MiB and 2 Mi tokens; these leave room for what stands around the arguments.
const MAX_BYTES: usize = (64 << 20) - 1024;
const MAX_TOKENS: usize = (2 << 20) - 16;
const MAX_NAME: usize = 256;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Band {
    InBand,
    OutOfBand,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a command's name has 1 to 256 ASCII letters, digits, '-', '_' and '.'")]
pub struct BadCommand;

/// Why arguments are not sent. The texts quote nothing of them: they may hold secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadArguments {
    #[error("the arguments must be a JSON object")]
    NotAnObject,
    #[error("the arguments are not valid JSON at byte {at}")]
    NotJson { at: usize },
    #[error("the arguments end at byte {at}, inside the JSON object")]
    Unfinished { at: usize },
    #[error("there is text after the end of the arguments, at byte {at}")]
    TextAfterEnd { at: usize },
    #[error("the arguments are nested deeper than {MAX_DEPTH} levels at byte {at}")]
    TooDeep { at: usize },
    #[error("the arguments are larger than {MAX_BYTES} bytes, the most that QEMU takes")]
    TooLarge,
    #[error("the arguments have more than {MAX_TOKENS} tokens, the most that QEMU takes")]
    TooManyTokens,
    #[error("half of a surrogate pair stands alone in the arguments at byte {at}")]
    LoneSurrogate { at: usize },
    #[error("the arguments contain a Unicode noncharacter, which QEMU does not take, at byte {at}")]
    Noncharacter { at: usize },
    #[error("there is no memory for a copy of the arguments; nothing was sent")]
    NoMemory,
    #[error("a member's name occurs twice in one object of the arguments, at byte {at}")]
    Duplicate { at: usize },
}

/// The compact bytes of a command. No newline: QEMU acts at the closing brace, and a byte that it has not read turns the
/// end of the connection into a reset. None: out of memory.
pub fn encode(band: Band, name: &str, arguments: Option<&Arguments>, id: u64) -> Option<Vec<u8>> {
    let verb = match band {
        Band::InBand => "execute",
        Band::OutOfBand => "exec-oob",
    };
    let mut digits = [0; 20];
    let id = decimal(id, &mut digits);
    let arguments = arguments.map(Arguments::as_str);
    let parts = [
        "{\"",
        verb,
        "\":\"",
        name,
        "\"",
        if arguments.is_some() {
            ",\"arguments\":"
        } else {
            ""
        },
        arguments.unwrap_or_default(),
        ",\"id\":",
        id,
        "}",
    ];
    let mut bytes = Vec::new();
    let size = parts.iter().map(|part| part.len()).sum();
    bytes.try_reserve_exact(size).ok()?;
    for part in parts {
        bytes.extend_from_slice(part.as_bytes());
    }
    Some(bytes)
}

/// Without an allocation: there is one for each command already.
fn decimal(mut number: u64, digits: &mut [u8; 20]) -> &str {
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return std::str::from_utf8(&digits[start..]).unwrap_or_default();
        }
    }
}

pub fn check_name(name: &str) -> Result<(), BadCommand> {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(known) {
        Ok(())
    } else {
        Err(BadCommand)
    }
}

/// A command's arguments: validated, without insignificant whitespace, everything else verbatim. No Debug: there may be secrets.
#[derive(Clone, PartialEq, Eq)]
pub struct Arguments(String);

impl Arguments {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn parse(text: &str) -> Result<Arguments, BadArguments> {
        Arguments::parse_within(text, MAX_BYTES, MAX_TOKENS)
    }

    fn parse_within(
        text: &str,
        max_bytes: usize,
        max_tokens: usize,
    ) -> Result<Arguments, BadArguments> {
        let object = validate(text)?;
        let no_memory = |_| BadArguments::NoMemory;
        let mut compact = String::new();
        compact
            .try_reserve_exact(object.len().min(max_bytes))
            .map_err(no_memory)?;
        let mut names = Vec::new();
        // Each bracket has its number, by which the names of one object stay apart from those of another.
        let mut brackets = 0u32;
        let mut open = Vec::new();
        for (count, token) in Tokens::of(object).enumerate() {
            if count == max_tokens {
                return Err(BadArguments::TooManyTokens);
            }
            if compact.len() + token.text.len() > max_bytes {
                return Err(BadArguments::TooLarge);
            }
            compact.push_str(token.text);
            match token.text.as_bytes().first() {
                Some(b'{' | b'[') => {
                    brackets += 1;
                    open.push(brackets);
                }
                Some(b'}' | b']') => {
                    open.pop();
                }
                Some(b'"') => {
                    check_string(&token)?;
                    if token.is_name {
                        names.try_reserve(1).map_err(no_memory)?;
                        names.push((open.last().copied(), string::decode(token.text), token.at));
                    }
                }
                _ => {}
            }
        }
        // Equal names of one object now stand side by side.
        names.sort_unstable();
        match names
            .windows(2)
            .find(|pair| (pair[0].0, &pair[0].1) == (pair[1].0, &pair[1].1))
        {
            Some(pair) => Err(BadArguments::Duplicate { at: pair[1].2 }),
            None => Ok(Arguments(compact)),
        }
    }
}

/// The text up to the end of the one object in it.
fn validate(text: &str) -> Result<&str, BadArguments> {
    if !text.trim_start_matches(BLANKS).starts_with('{') {
        return Err(BadArguments::NotAnObject);
    }
    match Scanner::new(MAX_DEPTH).scan(text.as_bytes()) {
        Step::Done(end) => {
            let (object, rest) = text.split_at(end);
            let after = rest.trim_start_matches(BLANKS);
            if after.is_empty() {
                Ok(object)
            } else {
                Err(BadArguments::TextAfterEnd {
                    at: text.len() - after.len(),
                })
            }
        }
        Step::More => Err(BadArguments::Unfinished { at: text.len() }),
        Step::Bad(at) => Err(BadArguments::NotJson { at }),
        Step::TooDeep(at) => Err(BadArguments::TooDeep { at }),
    }
}

/// QEMU rejects lone surrogates and noncharacters, raw or escaped.
fn check_string(token: &Token) -> Result<(), BadArguments> {
    let raw = token.text;
    if raw.is_ascii() && memchr::memchr(b'\\', raw.as_bytes()).is_none() {
        return Ok(());
    }
    let unit = |at: usize| {
        let digits = raw.get(at..)?.strip_prefix("\\u")?.get(..4)?;
        u32::from_str_radix(digits, 16).ok()
    };
    let mut at = 0;
    while let Some(char) = raw.get(at..).and_then(|rest| rest.chars().next()) {
        let (point, length) = match (unit(at), char) {
            (Some(high @ 0xd800..0xdc00), _) => match unit(at + 6) {
                Some(low @ 0xdc00..0xe000) => {
                    (0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00), 12)
                }
                _ => return Err(BadArguments::LoneSurrogate { at: token.at + at }),
            },
            (Some(0xdc00..0xe000), _) => {
                return Err(BadArguments::LoneSurrogate { at: token.at + at });
            }
            (Some(point), _) => (point, 6),
            (None, '\\') => (0, 2),
            (None, char) => (u32::from(char), char.len_utf8()),
        };
        if point & 0xfffe == 0xfffe || (0xfdd0..0xfdf0).contains(&point) {
            return Err(BadArguments::Noncharacter { at: token.at + at });
        }
        at += length;
    }
    Ok(())
}
