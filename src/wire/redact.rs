// SPDX-License-Identifier: MIT OR Apache-2.0
//! Messages for the TRACE log: verbatim, without the secrets in them, and short.

use std::borrow::Cow;
use std::ops::Range;

use super::scan::{BLANKS, DEEPEST, Scanner, Step};
use super::string;
use super::tokens::Tokens;

const LARGEST: usize = 1 << 20;
const LONGEST: usize = 4096;

/// A copy of a message with the values of passwords, keys and the like replaced. Only its size, when it is very large or no JSON.
pub fn redact(json: &str) -> String {
    let size = json.len();
    if size > LARGEST || !is_valid(json) {
        return format!("<{size} bytes>");
    }
    let mut copy = String::with_capacity(size);
    let mut done = 0;
    for secret in secrets(json) {
        // A secret may hold others.
        if secret.start >= done {
            copy.push_str(&json[done..secret.start]);
            copy.push_str("\"<redacted>\"");
            done = secret.end;
        }
    }
    copy.push_str(&json[done..]);
    if copy.len() > LONGEST {
        let end = (0..=LONGEST)
            .rev()
            .find(|&end| copy.is_char_boundary(end))
            .unwrap_or(0);
        copy.truncate(end);
        copy.push_str(&format!("… ({size} bytes)"));
    }
    copy
}

fn is_valid(json: &str) -> bool {
    match Scanner::new(DEEPEST).scan(json.as_bytes()) {
        Step::Done(end) => json[end..].trim_start_matches(BLANKS).is_empty(),
        _ => false,
    }
}

/// An open object or array.
struct Level<'a> {
    start: usize,
    /// The name of the member whose value comes next or is open.
    name: Cow<'a, str>,
    /// The value of "data", the secret itself where this describes a secret object.
    data: Option<Range<usize>>,
    is_secret: bool,
}

/// Where the values stand that nobody should read, by their beginning.
fn secrets(json: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut levels: Vec<Level> = Vec::new();
    for token in Tokens::of(json) {
        let end = token.at + token.text.len();
        let value = match token.text {
            "{" | "[" => {
                levels.push(Level {
                    start: token.at,
                    name: Cow::Borrowed(""),
                    data: None,
                    is_secret: false,
                });
                continue;
            }
            "," | ":" => continue,
            "}" | "]" => {
                let Some(level) = levels.pop() else { break };
                found.extend(level.data.filter(|_| level.is_secret));
                level.start..end
            }
            name if token.is_name => {
                if let Some(level) = levels.last_mut() {
                    level.name = text_of(name);
                }
                continue;
            }
            _ => token.at..end,
        };
        let Some(level) = levels.last_mut() else {
            break;
        };
        match level.name.to_ascii_lowercase().as_str() {
            "data" => level.data = Some(value),
            "qom-type" => level.is_secret |= text_of(&json[value]).starts_with("secret"),
            "command-line" if tells_secret(&text_of(&json[value.clone()])) => found.push(value),
            name if is_secret(name) => found.push(value),
            _ => {}
        }
    }
    found.sort_by_key(|secret| secret.start);
    found
}

fn text_of(raw: &str) -> Cow<'_, str> {
    string::decode(raw).unwrap_or(Cow::Borrowed(raw))
}

fn is_secret(name: &str) -> bool {
    ["password", "passwd", "passphrase", "secret"]
        .iter()
        .any(|word| name.contains(word))
        || matches!(name, "key" | "keys")
        || name.ends_with("-key")
        || name.ends_with("_key")
}

/// A command line of the human monitor.
fn tells_secret(line: &str) -> bool {
    let line = line.to_ascii_lowercase();
    line.contains("passw") || line.contains("secret")
}
