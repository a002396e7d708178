// SPDX-License-Identifier: MIT OR Apache-2.0
//! JSON text of every kind.

use proptest::collection::vec;
use proptest::prelude::*;

/// Insignificant whitespace, mostly none.
pub fn blanks() -> impl Strategy<Value = String> {
    prop_oneof![4 => Just(String::new()), 1 => "[ \t\r\n]{1,3}"]
}

pub fn number() -> impl Strategy<Value = String> {
    "-?(0|[1-9][0-9]{0,25})(\\.[0-9]{1,5})?([eE][+-]?[0-9]{1,2})?"
}

/// A string, quotes included, that is Unicode text and holds no noncharacter.
pub fn string() -> impl Strategy<Value = String> {
    let pieces = "([ !#-\\[\\]-~é€😀\u{7f}]|\\\\[\"\\\\/bfnrt]|\\\\u[0-9abcABC][0-9a-fA-F]{3}|\\\\ud83d\\\\uDE00){0,8}";
    pieces.prop_map(|text| format!("\"{text}\""))
}

pub fn value() -> impl Strategy<Value = String> {
    let scalar = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        Just("false".to_owned()),
        number(),
        string(),
    ];
    scalar.prop_recursive(5, 24, 4, |inner| {
        prop_oneof![
            (vec((inner.clone(), blanks()), 0..4)).prop_map(|elements| {
                let elements: Vec<_> = elements
                    .into_iter()
                    .map(|(value, blanks)| blanks.clone() + &value + &blanks)
                    .collect();
                format!("[{}]", elements.join(","))
            }),
            object_of(inner),
        ]
    })
}

pub fn object() -> impl Strategy<Value = String> {
    object_of(value())
}

/// Names that a message has, and others; none twice.
fn object_of(value: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    let name = prop_oneof![
        "[a-z]{1,3}",
        "id|return|error|event|data|QMP",
        "\\\\u00[67][0-9a]"
    ];
    vec((name, value, blanks()), 0..4).prop_map(|members| {
        let members: Vec<_> = members
            .into_iter()
            .enumerate()
            .map(|(at, (name, value, blanks))| {
                // The first is as it was made, so that it can be one that means something.
                let number = if at == 0 {
                    String::new()
                } else {
                    at.to_string()
                };
                format!("{blanks}\"{name}{number}\"{blanks}:{blanks}{value}{blanks}")
            })
            .collect();
        format!("{{{}}}", members.join(","))
    })
}

/// The text without its insignificant whitespace.
pub fn compact(json: &str) -> String {
    let (mut in_string, mut escaped) = (false, false);
    let significant = json.chars().filter(|char| {
        if in_string {
            in_string = escaped || *char != '"';
            escaped = !escaped && *char == '\\';
            return true;
        }
        in_string = *char == '"';
        !" \t\r\n".contains(*char)
    });
    significant.collect()
}
