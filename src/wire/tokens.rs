// SPDX-License-Identifier: MIT OR Apache-2.0
//! The tokens of JSON text that is known to be valid.

use super::scan::is_blank;
use super::string;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token<'a> {
    /// Where it stands in the text.
    pub at: usize,
    pub text: &'a str,
    /// A string that names a member.
    pub is_name: bool,
}

pub struct Tokens<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Tokens<'a> {
    pub fn of(text: &'a str) -> Tokens<'a> {
        Tokens { text, at: 0 }
    }

    fn skip_blanks(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        while bytes.get(self.at).copied().is_some_and(is_blank) {
            self.at += 1;
        }
        bytes.get(self.at).copied()
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        let first = self.skip_blanks()?;
        let at = self.at;
        let rest = &self.text.as_bytes()[at..];
        let length = match first {
            b'{' | b'}' | b'[' | b']' | b':' | b',' => 1,
            b'"' => string_length(rest),
            _ => rest
                .iter()
                .position(|&byte| is_blank(byte) || b",]}".contains(&byte))
                .unwrap_or(rest.len()),
        };
        self.at += length;
        let text = self.text.get(at..self.at)?;
        Some(Token {
            at,
            text,
            is_name: first == b'"' && self.skip_blanks() == Some(b':'),
        })
    }
}

/// `rest` begins with the opening quote; the closing one counts.
fn string_length(rest: &[u8]) -> usize {
    let mut at = 1;
    while let Some(plain) = rest
        .get(at..)
        .and_then(|rest| memchr::memchr2(b'"', b'\\', rest))
    {
        at += plain + 1;
        if rest[at - 1] == b'"' {
            return at;
        }
        at += 1;
    }
    rest.len()
}

/// The raw values of some members of a valid object, None where it has them not or is no object. Of a member that occurs
/// more than once, the last one counts.
pub fn members<'a, const N: usize>(object: &'a str, names: [&str; N]) -> [Option<&'a str>; N] {
    let mut found = [None; N];
    let mut depth = 0usize;
    // Which of the names was read last, and where its value began.
    let mut wanted = None;
    let mut start = 0;
    for token in Tokens::of(object) {
        let end = token.at + token.text.len();
        match token.text {
            "{" | "[" => {
                if depth == 1 {
                    start = token.at;
                }
                depth += 1;
                if depth > 1 || token.text == "{" {
                    continue;
                }
                return found;
            }
            "}" | "]" => depth = depth.saturating_sub(1),
            ":" | "," => continue,
            name if token.is_name => {
                if depth == 1 {
                    let name = string::decode(name);
                    wanted = names
                        .iter()
                        .position(|wanted| name.as_deref() == Some(wanted));
                }
                continue;
            }
            _ if depth == 1 => start = token.at,
            _ => continue,
        }
        if depth == 1 {
            if let Some(at) = wanted.take() {
                found[at] = object.get(start..end);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_members_of_the_top_level_only() {
        let object =
            r#"{"x": {"a": 1}, "a" : [{"b": 2}], "\u0062": "no", "b": -1.5, "c": true, "a": {}}"#;
        assert_eq!(
            members(object, ["a", "b", "c", "d"]),
            [Some("{}"), Some("-1.5"), Some("true"), None]
        );
        assert_eq!(members(r#"{"\u0061": "x"}"#, ["a"]), [Some(r#""x""#)]);
        for no_object in ["[1, {\"a\": 1}]", "1", "\"a\"", ""] {
            assert_eq!(members(no_object, ["a"]), [None], "{no_object}");
        }
    }

    #[test]
    fn tells_names_from_values() {
        let text = r#" {"a" : "\"b", "c":[-1.5e3 , true,{}],"d\\":""} "#;
        let tokens: Vec<_> = Tokens::of(text).collect();
        let texts: Vec<_> = tokens.iter().map(|token| token.text).collect();
        let expected = [
            "{", r#""a""#, ":", r#""\"b""#, ",", r#""c""#, ":", "[", "-1.5e3", ",", "true", ",",
            "{", "}", "]", ",", r#""d\\""#, ":", r#""""#, "}",
        ];
        assert_eq!(texts, expected);
        let names: Vec<_> = tokens
            .iter()
            .filter(|token| token.is_name)
            .map(|token| token.text)
            .collect();
        assert_eq!(names, [r#""a""#, r#""c""#, r#""d\\""#]);
        assert!(
            tokens
                .iter()
                .all(|token| text[token.at..].starts_with(token.text))
        );
    }
}
