// SPDX-License-Identifier: MIT OR Apache-2.0
//! Values as raw text: taking valid JSON apart, comparing it, and writing strings.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::string::decode;
use super::tokens::Tokens;

/// What a valid object or array holds, in order: each value's raw text, and its name in an object.
/// Nothing for any other value, and no name where one cannot be decoded.
pub fn children(text: &str) -> Vec<(Cow<'_, str>, &str)> {
    let mut found = Vec::new();
    let mut name = Cow::Borrowed("");
    let (mut depth, mut start) = (0usize, 0);
    for token in Tokens::of(text) {
        match token.text {
            "{" | "[" => {
                depth += 1;
                if depth == 2 {
                    start = token.at;
                }
                continue;
            }
            "}" | "]" => depth = depth.saturating_sub(1),
            ":" | "," => continue,
            raw if depth == 1 && token.is_name => {
                name = decode(raw).unwrap_or_default();
                continue;
            }
            _ => start = if depth == 1 { token.at } else { start },
        }
        if depth == 1 {
            if let Some(value) = text.get(start..token.at + token.text.len()) {
                found.push((std::mem::take(&mut name), value));
            }
        }
    }
    found
}

/// Both texts are valid JSON and say the same: members in any order, strings however escaped, numbers digit by digit. A wanted
/// value that is `any` matches whatever there is.
pub fn same(actual: &str, wanted: &str, any: &dyn Fn(&str) -> bool) -> bool {
    matches(actual, wanted, false, any)
}

/// Like [`same`], but objects of `actual` may have members that those of `wanted` have not.
pub fn covers(actual: &str, wanted: &str) -> bool {
    matches(actual, wanted, true, &|_| false)
}

fn matches(actual: &str, wanted: &str, more: bool, any: &dyn Fn(&str) -> bool) -> bool {
    if any(wanted) {
        return true;
    }
    match (actual.as_bytes().first(), wanted.as_bytes().first()) {
        (Some(b'{'), Some(b'{')) => {
            let (actual, wanted) = (children(actual), children(wanted));
            (more || actual.len() == wanted.len())
                && wanted.iter().all(|(name, wanted)| {
                    let found = actual.iter().find(|(other, _)| other == name);
                    found.is_some_and(|(_, value)| matches(value, wanted, more, any))
                })
        }
        (Some(b'['), Some(b'[')) => {
            let (actual, wanted) = (children(actual), children(wanted));
            actual.len() == wanted.len()
                && actual
                    .iter()
                    .zip(&wanted)
                    .all(|((_, actual), (_, wanted))| matches(actual, wanted, more, any))
        }
        (Some(b'"'), Some(b'"')) => actual == wanted || decode(actual) == decode(wanted),
        _ => actual == wanted,
    }
}

/// A JSON string that says `text`.
pub fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for char in text.chars() {
        match char {
            '"' | '\\' => quoted.extend(['\\', char]),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            ..' ' => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(char)); // a String takes everything
            }
            _ => quoted.push(char),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_objects_and_arrays_apart() {
        let object = r#"{"a": {"b": [1]}, "\u0062" : "x,]", "c":[ ], "d": -1e3}"#;
        let found = children(object);
        let plain: Vec<_> = found
            .iter()
            .map(|(name, value)| (&**name, *value))
            .collect();
        let expected = [
            ("a", r#"{"b": [1]}"#),
            ("b", r#""x,]""#),
            ("c", "[ ]"),
            ("d", "-1e3"),
        ];
        assert_eq!(plain, expected);
        let values: Vec<_> = children(r#"[1, [2, {"x": 3}], null]"#)
            .into_iter()
            .map(|(_, value)| value)
            .collect();
        assert_eq!(values, ["1", r#"[2, {"x": 3}]"#, "null"]);
        assert!(children("7").is_empty() && children("{}").is_empty());
    }

    #[test]
    fn compares_what_is_said_and_not_how() {
        let long = r#"{"a": [1, "\u0041"], "b": {"c": null}}"#;
        let none = |_: &str| false;
        assert!(same(long, r#"{"b":{"c":null},"a":[1,"A"]}"#, &none));
        for other in [
            r#"{"a": [1, "A"]}"#,
            r#"{"a": ["A", 1], "b": {"c": null}}"#,
            r#"{"a": [1, "A"], "b": {"c": 0}}"#,
            "1",
        ] {
            assert!(!same(long, other, &none), "{other}");
            assert!(!same(other, long, &none), "{other}");
        }
        assert!(covers(long, r#"{"b": {}}"#));
        assert!(!covers(r#"{"b": {}}"#, long));
        assert!(same(r#"{"a": 7}"#, r#"{"a": "*"}"#, &|raw| raw == "\"*\""));
    }

    #[test]
    fn quotes_so_that_decoding_gives_the_text_back() {
        for text in ["", "plain", "a\"b\\c", "\0\u{1f}\n\r\t", "Grüße 🦀"] {
            assert_eq!(decode(&quote(text)).as_deref(), Some(text));
        }
    }
}
