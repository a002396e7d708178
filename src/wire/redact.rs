// SPDX-License-Identifier: MIT OR Apache-2.0
//! Messages without the secrets in them: short for the TRACE log, whole for transcripts.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use super::scan::{BLANKS, DEEPEST, Scanner, Step};
use super::string;
use super::tokens::Tokens;

const LARGEST: usize = 1 << 20;
const LONGEST: usize = 4096;

/// Stands for a secret.
const GONE: &str = "\"<redacted>\"";

/// A copy of a message with the values of passwords, keys and the like replaced. Only its size, when it is very large or no JSON.
pub fn redact(json: &str) -> String {
    let size = json.len();
    let secrets = if size <= LARGEST && is_valid(json) {
        secrets(json)
    } else {
        None
    };
    let Some(secrets) = secrets else {
        return format!("<{size} bytes>");
    };
    let mut copy = String::with_capacity(size);
    let mut done = 0;
    for secret in secrets {
        // A secret may hold others.
        if secret.start >= done {
            copy.push_str(&json[done..secret.start]);
            copy.push_str(GONE);
            done = secret.end;
        }
    }
    copy.push_str(&json[done..]);
    // A log line is one line. In valid JSON a line only ends where a blank may stand.
    let mut copy = copy.replace(['\r', '\n', '\t'], " ");
    if copy.len() > LONGEST {
        copy.truncate(string::cut(&copy, LONGEST).len());
        copy.push_str(&format!("… ({size} bytes)"));
    }
    copy
}

/// Valid JSON text, shown whole and on one line: without its secrets, and without the blanks between its tokens.
pub struct Compact<'a>(pub &'a str);

impl fmt::Display for Compact<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(secrets) = secrets(self.0) else {
            // Rather nothing than a secret.
            return f.write_str(GONE);
        };
        let mut secrets = secrets.into_iter().peekable();
        for token in Tokens::of(self.0) {
            // A secret may hold others, which end no later.
            while secrets.next_if(|secret| secret.end <= token.at).is_some() {}
            match secrets.peek() {
                Some(secret) if secret.start < token.at => {}
                Some(secret) if secret.start == token.at => f.write_str(GONE)?,
                _ => f.write_str(token.text)?,
            }
        }
        Ok(())
    }
}

pub(super) fn is_valid(json: &str) -> bool {
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
    /// The values of "data", the secret itself where this describes a secret object. Before QEMU 6.0 it stood in "props".
    data: Vec<Range<usize>>,
    is_secret: bool,
}

/// Where the values stand that nobody should read, by their beginning. None: no memory, whose need the peer decides.
fn secrets(json: &str) -> Option<Vec<Range<usize>>> {
    let mut found = Vec::new();
    let mut levels: Vec<Level> = Vec::new();
    for token in Tokens::of(json) {
        let end = token.at + token.text.len();
        found.try_reserve(2).ok()?;
        let value = match token.text {
            "{" | "[" => {
                levels.push(Level {
                    start: token.at,
                    name: Cow::Borrowed(""),
                    data: Vec::new(),
                    is_secret: false,
                });
                continue;
            }
            "," | ":" => continue,
            "}" | "]" => {
                let Some(level) = levels.pop() else { break };
                if level.is_secret {
                    found.extend(level.data);
                } else if let Some(outer) = levels.last_mut().filter(|outer| outer.name == "props")
                {
                    outer.data.extend(level.data);
                }
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
            "data" => level.data.push(value),
            "qom-type" => level.is_secret |= text_of(&json[value]).starts_with("secret"),
            "command-line" if tells_secret(&text_of(&json[value.clone()])) => found.push(value),
            name if is_secret(name) => found.push(value),
            _ => {}
        }
    }
    found.sort_unstable_by_key(|secret| secret.start);
    Some(found)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_holds_no_secret_stays_verbatim() {
        for text in [
            r#"{"execute": "query-status","id":1}"#,
            r#"{"return":[1e400, 123456789012345678901234567890, "\ud800"], "keyid": 1, "monkey": 2, "data": "d"}"#,
            r#"{"execute":"human-monitor-command","arguments":{"command-line":"info status"}}"#,
            r#"{"arguments":{"qom-type":"rng-random","data":"visible"}}"#,
            "{}",
        ] {
            assert_eq!(redact(text), text);
        }
    }

    #[test]
    fn a_log_line_is_one_line() {
        assert_eq!(redact("{\r\n\t\"a\\n\": 1\r\n}"), "{   \"a\\n\": 1  }");
    }

    #[test]
    fn secret_members_lose_their_values() {
        for name in [
            "password",
            "NEW-PassWord",
            "user_passwd",
            "passphrase",
            "key-secret",
            "key",
            "keys",
            "tls-key",
            "api_KEY",
            "k\\u0065y",
        ] {
            for value in [
                "\"hunter2\"",
                "[{\"a\":\"hunter2\"}]",
                "{\"password\":\"hunter2\"}",
                "-1.5",
            ] {
                let text = |value| format!("{{\"a\": [{{\"{name}\" : {value}, \"b\": 1}}]}}");
                assert_eq!(redact(&text(value)), text(GONE));
            }
        }
    }

    #[test]
    fn the_data_of_a_secret_object_is_hidden_wherever_its_type_stands() {
        for (before, after) in [
            ("\"qom-type\":\"secret\",", ""),
            ("", ",\"qom-type\": \"secret_keyring\""),
        ] {
            let text = |value| {
                format!(
                    "{{\"arguments\":{{{before}\"id\":\"s\",\"data\":{value}{after}}},\"data\":1}}"
                )
            };
            assert_eq!(redact(&text("\"hunter2\"")), text(GONE));
        }
    }

    #[test]
    fn the_data_of_a_secret_object_is_hidden_in_older_forms_and_each_time() {
        let text = |value| {
            format!(
                "{{\"qom-type\":\"secret\",\"data\":{value},\"props\":{{\"data\":{value}}},\"data\":{value}}}"
            )
        };
        assert_eq!(redact(&text("\"hunter2\"")), text(GONE));
        let visible = r#"{"props":{"data":"visible"},"qom-type":"rng-random"}"#;
        assert_eq!(redact(visible), visible);
    }

    #[test]
    fn command_lines_that_tell_a_secret_are_hidden() {
        for line in [
            "set_password vnc hunter2",
            "object_add SECRET,id=a,data=hunter2",
            "change vnc p\\u0061ssword",
        ] {
            let text = |value: &str| format!("{{\"arguments\":{{\"command-line\":{value}}}}}");
            assert_eq!(redact(&text(&format!("\"{line}\""))), text(GONE));
        }
    }

    #[test]
    fn what_is_no_json_or_very_large_shows_its_size_alone() {
        assert_eq!(redact("{\"password\": hunter2}"), "<21 bytes>");
        assert_eq!(redact("{\"password\": \"hun"), "<17 bytes>");
        assert_eq!(redact("{} {\"password\":1}"), "<17 bytes>");
        assert_eq!(redact(""), "<0 bytes>");
        assert_eq!(
            redact(&format!("\"{}\"", "x".repeat(LARGEST))),
            format!("<{} bytes>", LARGEST + 2)
        );
    }

    #[test]
    fn long_messages_are_cut_after_redaction() {
        let text = format!("[{{\"key\": \"{}\"}}]", "x".repeat(LONGEST));
        assert_eq!(redact(&text), format!("[{{\"key\": {GONE}}}]"));
        let text = format!("\"{}\"", "é".repeat(LONGEST));
        let cut = format!(
            "\"{}… ({} bytes)",
            "é".repeat((LONGEST - 1) / 2),
            text.len()
        );
        assert_eq!(redact(&text), cut);
    }
}
