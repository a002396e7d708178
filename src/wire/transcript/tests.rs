// SPDX-License-Identifier: MIT OR Apache-2.0

use super::*;

fn entry(entry: Entry) -> Line {
    Line::Entry { ms: 12, entry }
}

/// A line as it is written, and what it says when it is read again.
const LINES: &[(&str, Line<'static>)] = &[
    (
        r#"{"transcript": 1, "library": "0.1.0"}"#,
        Line::Start {
            library: Cow::Borrowed("0.1.0"),
        },
    ),
    (
        r#"{"ms": 0, "received": {"QMP":{"version":{}}}}"#,
        Line::Entry {
            ms: 0,
            entry: Entry::Received(r#"{"QMP":{"version":{}}}"#),
        },
    ),
    (
        r#"{"ms": 18446744073709551615, "sent": {"execute":"stop","id":1}}"#,
        Line::Entry {
            ms: u64::MAX,
            entry: Entry::Sent(r#"{"execute":"stop","id":1}"#),
        },
    ),
    (
        r#"{"ms": 1, "garbage": "\\xff\\\"\\r\\n"}"#,
        Line::Entry {
            ms: 1,
            entry: Entry::Garbage(Cow::Borrowed(r#"\xff\"\r\n"#)),
        },
    ),
    (
        r#"{"ms": 1, "skipped": "larger than the limit of 64 bytes"}"#,
        Line::Entry {
            ms: 1,
            entry: Entry::Skipped(Cow::Borrowed("larger than the limit of 64 bytes")),
        },
    ),
    (
        r#"{"ms": 2, "ended": "\"é\" \u0000\u001f\n\\"}"#,
        Line::Entry {
            ms: 2,
            entry: Entry::Ended(Cow::Borrowed("\"é\" \0\u{1f}\n\\")),
        },
    ),
];

#[test]
fn what_is_written_can_be_read() {
    for (text, line) in LINES {
        assert_eq!(line.to_string(), *text);
        assert_eq!(Line::parse(text).as_ref(), Ok(line), "{text}");
        assert!(!text.contains('\n'));
        serde_json::from_str::<serde_json::Value>(text).unwrap();
    }
}

#[test]
fn a_message_stands_on_one_line_and_is_verbatim_otherwise() {
    let message =
        "{\r\n    \"return\" : [ 1e400 , 123456789012345678901234567890,\t\"a \\n b\", {} ]\r\n}";
    assert_eq!(
        entry(Entry::Received(message)).to_string(),
        r#"{"ms": 12, "received": {"return":[1e400,123456789012345678901234567890,"a \n b",{}]}}"#
    );
}

#[test]
fn f110_secrets_are_left_out() {
    for (message, shown) in [
        (
            r#"{"execute":"object-add","arguments":{"data": {"key": 1, "x": 2}, "id":"s", "qom-type":"secret"},"id":3}"#,
            r#"{"execute":"object-add","arguments":{"data":"<redacted>","id":"s","qom-type":"secret"},"id":3}"#,
        ),
        (
            r#"[{"password": [1, {"passphrase": "hunter2"}], "next": 2}, {"key": -1.5}]"#,
            r#"[{"password":"<redacted>","next":2},{"key":"<redacted>"}]"#,
        ),
    ] {
        assert_eq!(
            entry(Entry::Sent(message)).to_string(),
            format!("{{\"ms\": 12, \"sent\": {shown}}}")
        );
    }
}

#[test]
fn large_messages_stay_whole() {
    let message = format!("{{\"return\":\"{}\"}}", "x".repeat(3 << 20));
    let written = entry(Entry::Received(&message)).to_string();
    assert_eq!(
        Line::parse(&written),
        Ok(entry(Entry::Received(message.as_str())))
    );
}

#[test]
fn garbage_is_cut() {
    let long = "é".repeat(LONGEST_GARBAGE);
    let written = entry(Entry::Garbage(long.into())).to_string();
    assert_eq!(
        Line::parse(&written),
        Ok(entry(Entry::Garbage(
            "é".repeat(LONGEST_GARBAGE / 2).into()
        )))
    );
}

/// A line is one level deeper than the message in it.
#[test]
fn the_deepest_message_can_be_read() {
    let deepest = crate::wire::MAX_DEPTH;
    let message = "[".repeat(deepest) + &"]".repeat(deepest);
    let written = entry(Entry::Received(&message)).to_string();
    assert_eq!(
        Line::parse(&written),
        Ok(entry(Entry::Received(message.as_str())))
    );
}

#[test]
fn lines_may_be_written_by_hand() {
    assert_eq!(
        Line::parse(
            " {\"sent\" : {\"execute\": \"stop\"}, \"note\": [{\"sent\": 1}],\"ms\":12 }\r\n"
        ),
        Ok(entry(Entry::Sent("{\"execute\": \"stop\"}")))
    );
    assert_eq!(
        Line::parse("{\"library\": \"\\u0061\", \"transcript\": 1}"),
        Ok(Line::Start {
            library: "a".into()
        })
    );
}

#[test]
fn other_lines_are_refused() {
    for no_json in [
        "",
        "stop",
        "[]",
        "1",
        "{\"ms\": 1, \"sent\": {}",
        "{\"ms\": 1 \"sent\": {}}",
        "{\"ms\": 1, \"sent\": {\"a\"}}",
        "{\"ms\": 1, \"received\": inf}",
        "{\"ms\": 1, \"sent\": {}} {}",
        "{\"ms\": 01, \"sent\": {}}",
    ] {
        assert_eq!(Line::parse(no_json), Err(BadLine::NotJson), "{no_json}");
    }
    for unknown in [
        "{}",
        "{\"ms\": 1}",
        "{\"sent\": {}}",
        "{\"ms\": -1, \"sent\": {}}",
        "{\"ms\": 1.5, \"sent\": {}}",
        "{\"ms\": \"1\", \"sent\": {}}",
        "{\"ms\": 1, \"sent\": {}, \"received\": {}}",
        "{\"ms\": 1, \"sent\": {}, \"ended\": \"\"}",
        "{\"ms\": 1, \"ended\": {}}",
        "{\"ms\": 1, \"garbage\": 1}",
        "{\"transcript\": 1}",
        "{\"transcript\": 1, \"library\": 2}",
    ] {
        assert_eq!(Line::parse(unknown), Err(BadLine::Unknown), "{unknown}");
    }
    for version in ["2", "\"1\"", "1.0"] {
        let line = format!("{{\"transcript\": {version}, \"library\": \"9\"}}");
        assert_eq!(Line::parse(&line), Err(BadLine::Version(version.into())));
    }
}

#[test]
fn a_session_with_a_real_vm_can_be_read() {
    let text = include_str!("../../../tests/transcripts/qemu-7.2.jsonl");
    let lines: Vec<_> = text
        .lines()
        .map(|line| Line::parse(line).unwrap())
        .collect();
    assert!(matches!(lines[0], Line::Start { .. }));
    assert!(matches!(
        &lines[1],
        Line::Entry { entry: Entry::Received(json), .. } if json.starts_with("{\"QMP\":")
    ));
    assert!(matches!(
        lines.last(),
        Some(Line::Entry {
            entry: Entry::Ended(_),
            ..
        })
    ));
    for (line, text) in lines.iter().zip(text.lines()) {
        assert_eq!(line.to_string(), text);
    }
}
