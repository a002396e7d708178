// SPDX-License-Identifier: MIT OR Apache-2.0
//! The log: a secret never survives, and what is no secret does. Each `@` of the input stands for a word to look for.
#![no_main]

use libfuzzer_sys::fuzz_target;
use oracle::Members;
use qmp::wire::redact;

const WORD: &str = "hunter2hunter2";

fuzz_target!(|text: &str| {
    let text = text.replace('@', WORD);
    let shown = redact(&text);
    assert!(!shown.contains(['\r', '\n']));
    match oracle::value(text.as_bytes()) {
        None => assert!(!shown.contains(WORD), "{shown}"),
        Some(json) => {
            let Some(visible) = visible(json, false, false) else {
                return;
            };
            let found = shown.matches(WORD).count();
            // A long message is cut.
            let whole = shown.len() < 4096;
            assert!(
                found == visible || (!whole && found < visible),
                "{found} instead of {visible}: {shown}"
            );
        }
    }
});

/// How often the word stands where it is no secret. None: a name is no Unicode text. `in_secret_object`: this is the part of a
/// secret object that holds its data.
fn visible(json: &str, hidden: bool, in_secret_object: bool) -> Option<usize> {
    if hidden {
        return Some(0);
    }
    match json.as_bytes().first() {
        Some(b'{') => {
            let Members(members) = Members::of(json)?;
            let named = members.iter().map(|(name, _)| name.matches(WORD).count());
            let named: usize = named.sum();
            let is_secret_object = members.iter().any(|(name, value)| {
                name.eq_ignore_ascii_case("qom-type") && text_of(value).starts_with("secret")
            });
            let values = members.iter().map(|(name, value)| {
                let is_inside = name == "props" && (is_secret_object || in_secret_object);
                let name = name.to_ascii_lowercase();
                let hidden = is_secret_name(&name)
                    || (name == "data" && (is_secret_object || in_secret_object))
                    || (name == "command-line" && is_secret_line(value));
                visible(value, hidden, is_inside)
            });
            Some(named + values.sum::<Option<usize>>()?)
        }
        Some(b'[') => {
            let elements = oracle::elements(json)?;
            elements
                .into_iter()
                .map(|value| visible(value, false, false))
                .sum()
        }
        _ => Some(json.matches(WORD).count()),
    }
}

fn text_of(raw: &str) -> String {
    serde_json::from_str(raw).unwrap_or_else(|_| raw.to_owned())
}

fn is_secret_name(name: &str) -> bool {
    let words = ["password", "passwd", "passphrase", "secret"];
    words.iter().any(|word| name.contains(word))
        || ["key", "keys"].contains(&name)
        || ["-key", "_key"].iter().any(|end| name.ends_with(end))
}

fn is_secret_line(raw: &str) -> bool {
    let line = text_of(raw).to_ascii_lowercase();
    line.contains("passw") || line.contains("secret")
}
