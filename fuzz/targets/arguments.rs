// SPDX-License-Identifier: MIT OR Apache-2.0
//! Arguments: what is sent says what the caller said, on one line, and what is refused is refused for a reason.
#![no_main]

use libfuzzer_sys::fuzz_target;
use oracle::Members;
use qmp::wire::{Arguments, BadArguments, Band, check_name, encode};
use serde_json::Value;

const DEEPEST: usize = 1000;

fuzz_target!(|text: &str| {
    let theirs = oracle::value(text.as_bytes());
    match Arguments::parse(text) {
        Ok(arguments) => {
            let theirs = theirs.expect("valid JSON");
            let sent = encode(Band::InBand, "a-command", Some(&arguments), 17).unwrap();
            let sent = std::str::from_utf8(&sent).unwrap();
            assert!(!sent.contains(['\r', '\n']));
            let compact = oracle::without_blanks(theirs);
            let expected =
                format!("{{\"execute\":\"a-command\",\"arguments\":{compact},\"id\":17}}");
            assert_eq!(sent, expected);
            // serde_json has a limit of depth, and one for numbers.
            if let Ok(value) = serde_json::from_str::<Value>(theirs) {
                let command: Value = serde_json::from_str(sent).unwrap();
                assert_eq!(command["arguments"], value);
            }
            assert!(oracle::depth(theirs) <= DEEPEST);
            assert!(!has_duplicates(theirs));
            // Compact text stays as it is.
            let again = Arguments::parse(&compact);
            assert!(again.is_ok_and(|again| again == arguments));
        }
        Err(BadArguments::NotAnObject) => {
            let first = text.trim_start_matches([' ', '\t', '\r', '\n']);
            assert!(!first.starts_with('{'));
        }
        Err(
            BadArguments::NotJson { at }
            | BadArguments::Unfinished { at }
            | BadArguments::TextAfterEnd { at },
        ) => {
            assert!(at <= text.len());
            assert_eq!(theirs, None);
        }
        Err(BadArguments::TooDeep { at }) => {
            assert!(at < text.len());
            assert!(theirs.is_none_or(|json| oracle::depth(json) > DEEPEST));
        }
        Err(BadArguments::Duplicate { at }) => {
            assert!(text[at..].starts_with('"'));
            assert!(has_duplicates(theirs.expect("valid JSON")));
        }
        Err(BadArguments::LoneSurrogate { at }) => {
            assert!(text[at..].starts_with("\\u"));
            assert!(serde_json::from_str::<Value>(text).is_err());
        }
        Err(BadArguments::Noncharacter { at }) => {
            assert!(text.is_char_boundary(at));
            assert!(theirs.is_some());
        }
        Err(BadArguments::TooLarge | BadArguments::TooManyTokens | BadArguments::NoMemory) => {
            panic!("{} bytes", text.len());
        }
    }
    if check_name(text).is_ok() {
        let sent = encode(Band::OutOfBand, text, None, u64::MAX).unwrap();
        let command: Value = serde_json::from_slice(&sent).unwrap();
        assert_eq!(command["exec-oob"], text);
        assert_eq!(command["id"], u64::MAX);
    }
});

/// Of names that Unicode text can hold.
fn has_duplicates(json: &str) -> bool {
    if let Some(Members(mut members)) = Members::of(json) {
        if members.iter().any(|(_, value)| has_duplicates(value)) {
            return true;
        }
        members.sort_unstable();
        members.windows(2).any(|pair| pair[0].0 == pair[1].0)
    } else {
        let elements = oracle::elements(json).unwrap_or_default();
        elements.into_iter().any(has_duplicates)
    }
}
