// SPDX-License-Identifier: MIT OR Apache-2.0
//! The lenient skimmer: follows the structure of a message that is refused or broken, in constant memory, and picks up its id.

use super::scan::is_blank;
use super::string;

/// The longest way to write "id": both letters as `\uXXXX`, and the quotes.
const LONGEST_KEY: usize = 14;

#[derive(Clone, Copy)]
enum Place {
    Start,
    Outside,
    String,
    Escape,
    /// A number or a bare word at top level.
    Word,
}

/// How far the top-level member "id" is found. Only looked at on depth 1.
#[derive(Clone, Copy)]
enum Hunt {
    /// Nothing to be found before the next comma.
    Idle,
    /// The next string is a member's name.
    Key,
    Name {
        length: usize,
    },
    Colon,
    Value,
    Digits(u64),
    /// Blanks after the digits.
    Number(u64),
}

pub struct Skimmer {
    place: Place,
    depth: u64,
    in_object: bool,
    hunt: Hunt,
    key: [u8; LONGEST_KEY],
    id: Option<u64>,
    skimmed: u64,
}

impl Skimmer {
    pub fn new() -> Skimmer {
        Skimmer {
            place: Place::Start,
            depth: 0,
            in_object: false,
            hunt: Hunt::Idle,
            key: [0; LONGEST_KEY],
            id: None,
            skimmed: 0,
        }
    }

    /// The value of the top-level member "id", if it is a plain decimal integer. Of several, the last one counts.
    pub fn id(&self) -> Option<u64> {
        self.id
    }

    /// How many bytes were fed so far.
    pub fn skimmed(&self) -> u64 {
        self.skimmed
    }

    /// Takes the next piece of the message. Some: the message ends after so many bytes of it.
    pub fn feed(&mut self, piece: &[u8]) -> Option<usize> {
        let end = self.follow(piece);
        self.skimmed += end.unwrap_or(piece.len()) as u64;
        end
    }

    fn follow(&mut self, piece: &[u8]) -> Option<usize> {
        let mut at = 0;
        while let Some(&byte) = piece.get(at) {
            match self.place {
                Place::Start => {
                    self.place = match byte {
                        b'{' | b'[' => Place::Outside,
                        b'"' => Place::String,
                        _ => Place::Word,
                    };
                    self.depth = u64::from(matches!(byte, b'{' | b'['));
                    self.in_object = byte == b'{';
                    self.separated();
                }
                Place::String => match memchr::memchr2(b'"', b'\\', &piece[at..]) {
                    None => {
                        self.keep(&piece[at..]);
                        return None;
                    }
                    Some(plain) => {
                        self.keep(&piece[at..=at + plain]);
                        at += plain;
                        if piece[at] == b'\\' {
                            self.place = Place::Escape;
                        } else if self.depth == 0 {
                            return Some(at + 1);
                        } else {
                            self.place = Place::Outside;
                            self.named();
                        }
                    }
                },
                Place::Escape => {
                    self.keep(&[byte]);
                    self.place = Place::String;
                }
                Place::Word
                    if byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.') => {}
                Place::Word => return Some(at),
                Place::Outside if self.depth == 1 => {
                    if self.on_top(byte) {
                        return Some(at + 1);
                    }
                }
                Place::Outside => match byte {
                    b'"' => self.place = Place::String,
                    b'{' | b'[' => self.depth += 1,
                    b'}' | b']' => self.depth -= 1,
                    _ => {}
                },
            }
            at += 1;
        }
        None
    }

    /// A byte on depth 1, outside of strings. True: it ends the message.
    fn on_top(&mut self, byte: u8) -> bool {
        match byte {
            b'"' => {
                self.place = Place::String;
                self.hunt = match self.hunt {
                    Hunt::Key => Hunt::Name { length: 0 },
                    _ => Hunt::Idle,
                };
                self.keep(b"\"");
            }
            b'{' | b'[' => {
                self.depth += 1;
                self.hunt = Hunt::Idle;
            }
            b',' | b'}' | b']' => {
                if let Hunt::Digits(id) | Hunt::Number(id) = self.hunt {
                    self.id = Some(id);
                }
                self.separated();
                if byte != b',' {
                    self.depth = 0;
                    return true;
                }
            }
            _ => {
                self.hunt = match self.hunt {
                    Hunt::Colon if byte == b':' => Hunt::Value,
                    Hunt::Digits(id) if is_blank(byte) => Hunt::Number(id),
                    same if is_blank(byte) => same,
                    Hunt::Value if byte.is_ascii_digit() => Hunt::Digits(u64::from(byte - b'0')),
                    Hunt::Digits(id) if byte.is_ascii_digit() && id > 0 => {
                        let next = id
                            .checked_mul(10)
                            .and_then(|id| id.checked_add(u64::from(byte - b'0')));
                        next.map_or(Hunt::Idle, Hunt::Digits)
                    }
                    _ => Hunt::Idle,
                };
            }
        }
        false
    }

    /// After the opening bracket or a comma on depth 1.
    fn separated(&mut self) {
        self.hunt = if self.in_object {
            Hunt::Key
        } else {
            Hunt::Idle
        };
    }

    /// Keeps what may be the name "id".
    fn keep(&mut self, bytes: &[u8]) {
        if let Hunt::Name { length } = &mut self.hunt {
            match self.key.get_mut(*length..*length + bytes.len()) {
                Some(room) => {
                    room.copy_from_slice(bytes);
                    *length += bytes.len();
                }
                None => self.hunt = Hunt::Idle,
            }
        }
    }

    /// After the closing quote of a string inside the message.
    fn named(&mut self) {
        if let Hunt::Name { length } = self.hunt {
            let name = std::str::from_utf8(&self.key[..length])
                .ok()
                .and_then(string::decode);
            if name.as_deref() == Some("id") {
                self.id = None;
                self.hunt = Hunt::Colon;
            } else {
                self.hunt = Hunt::Idle;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The id and the length of the message, fed whole and byte by byte.
    fn skim(text: &[u8]) -> (Option<u64>, Option<usize>) {
        let mut whole = Skimmer::new();
        let end = whole.feed(text);
        let mut bytewise = Skimmer::new();
        let stop = text
            .iter()
            .position(|byte| bytewise.feed(&[*byte]).is_some());
        if !text.starts_with(b"1") {
            assert_eq!(end, stop.map(|at| at + 1));
        }
        assert_eq!(whole.id(), bytewise.id());
        (whole.id(), end)
    }

    fn id(text: &str) -> Option<u64> {
        let (id, end) = skim(text.as_bytes());
        assert_eq!(end, Some(text.len()), "{text}");
        id
    }

    #[test]
    fn finds_the_id_wherever_it_stands() {
        assert_eq!(id(r#"{"id":7,"return":inf}"#), Some(7));
        assert_eq!(
            id(r#"{"return": [1, {"id": 9}, "}"], "id" : 18446744073709551615 }"#),
            Some(u64::MAX)
        );
        assert_eq!(id(r#"{"\u0069d":0}"#), Some(0));
        assert_eq!(id(r#"{"a":"\"","\u0069\u0064": 3}"#), Some(3));
        assert_eq!(id(r#"{"id":1,"id":2}"#), Some(2));
    }

    #[test]
    fn takes_no_other_id() {
        for text in [
            r#"{"id":18446744073709551616}"#,
            r#"{"id":007}"#,
            r#"{"id":-1}"#,
            r#"{"id":1.5}"#,
            r#"{"id":1 2}"#,
            r#"{"id":"7"}"#,
            r#"{"id":[7]}"#,
            r#"{"id":7,"id":null}"#,
            r#"{"x":{"id":7}}"#,
            r#"{"x":"id","y":7}"#,
            r#"{"identity_of_something":7}"#,
            r#"["id",7]"#,
            r#"["id":7]"#,
        ] {
            assert_eq!(id(text), None, "{text}");
        }
    }

    #[test]
    fn ends_with_the_structure() {
        assert_eq!(skim(b"{\"a\": \"}\\\"\xff\n\", nan: [}}\"\"").1, Some(23));
        assert_eq!(skim(b"\"a\\\"{\" 1").1, Some(6));
        assert_eq!(skim(b"123 ").1, Some(3));
        assert_eq!(skim(b"{\"a\": [1, 2}").1, None);
    }

    #[test]
    fn counts_what_it_skims() {
        let mut skimmer = Skimmer::new();
        assert_eq!(skimmer.feed(b"{\"a\":"), None);
        assert_eq!(skimmer.feed(b"1} {"), Some(2));
        assert_eq!(skimmer.skimmed(), 7);
    }
}
