// SPDX-License-Identifier: MIT OR Apache-2.0
use super::*;

mod limits;

const MIB: usize = 1 << 20;

/// A frame in words, owned.
fn describe(frame: Frame) -> String {
    match frame {
        Frame::Message(object) => format!("message {}", object.text),
        Frame::Other => "other".into(),
        Frame::Refused { refusal, .. } => format!("refused {refusal:?}"),
        Frame::Broken { id, reason } => format!("broken {id:?} {reason:?}"),
        Frame::Garbage(bytes) => format!("garbage {}", bytes.escape_ascii()),
    }
}

fn framer(bytes: usize) -> Framer {
    Framer::new(Limits {
        bytes,
        depth: MAX_DEPTH,
    })
}

fn feed(framer: &mut Framer, bytes: &[u8]) -> Vec<String> {
    let buffer = framer.buffer().unwrap();
    assert!(buffer.capacity() - buffer.len() >= READ);
    buffer.extend_from_slice(bytes);
    std::iter::from_fn(|| framer.next().map(describe)).collect()
}

fn frames(bytes: usize, text: &[u8]) -> Vec<String> {
    feed(&mut framer(bytes), text)
}

/// The 0xFF before a guest agent's answer to a sync ends what was begun for somebody else.
#[test]
fn a_mark_starts_afresh_wherever_it_stands_while_that_is_wanted() {
    for left_over in [
        &b""[..],
        b"{\"return\": {\"out-data\": \"aGVs",
        b"bG8=\"}, \"id\": 3}\n",
        b"{\"id\": 1}garbage {",
        b"{\"return\": inf",
        b"{\"return\": \"0123456789012345678901234567890123456789012345678901234567890123456789",
        b"                                                                              ",
        b"\xff\xff{\"return\": \xff",
        b"\xef\xbb",
    ] {
        let text = [left_over, b"\xff{\"return\": 7}\n{\"last\""].concat();
        for piece in [1, 7, text.len()] {
            let mut framer = framer(64);
            framer.set_objects_only(true);
            framer.set_restarts(true);
            let pieces = text
                .chunks(piece)
                .flat_map(|piece| feed(&mut framer, piece));
            let last = pieces.last().unwrap();
            assert_eq!(last, "message {\"return\": 7}", "{}", text.escape_ascii());
            framer.set_restarts(false);
            assert_eq!(feed(&mut framer, b": \"\xff\"}{}").len(), 2);
        }
    }
}

fn mixed() -> Vec<u8> {
    [
        &b"\xef\xbb\xbf{\"QMP\": {\"version\": {\"qemu\": {\"micro\": 22, \"minor\": 2, \"major\": 7}}, \"capabilities\": [\"oob\"]}}\r\n"[..],
        b"{\"return\": {}, \"id\": 1}{\"return\": \"}{\\\"\\\\\", \"id\": 2}\r\n\r\n\t ",
        b"{\n    \"return\": [\n        1,\n        -2.5e3\n    ]\n}\r\n\xff{\"event\": \"STOP\"}\n",
        b"[1, {\"id\": 2}] 12 \"}\" true null -0.5{\"return\": inf, \"id\": 3}\r\n",
        b"{\"id\": 4, \"return\": \"\xc3\x28\"}{\"id\": 5, \"return\": \"\xed\xa0\x80\"} [\"\xff\"]",
        b"{\"return\": \"a\nb\\\"\", \"id\": 6} {\"return\": \"\\ud800\\u0000\", \"id\": 7}",
        b"{\"long\": \"0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789\", \"id\": 8}",
        b"[[[[[[[[{\"id\": 9}]]]]]]]] {\"id\": 10, \"deep\": [[[[[[[{\"}\": \"]\"}]]]]]]]}",
        b"[1,,2] {\"\xc3\xa9\": \"\xf0\x9f\x98\x80\", \"error\": {\"class\": \"GenericError\"}} {\"last\": 1}HTTP/1.1 200 OK",
    ]
    .concat()
}

fn mixed_framer() -> Framer {
    Framer::new(Limits {
        bytes: 120,
        depth: 8,
    })
}

fn mixed_frames() -> Vec<String> {
    feed(&mut mixed_framer(), &mixed())
}

/// The same frames; of garbage, only what had come is shown.
fn assert_same(found: &[String], cut: &str) {
    let expected = mixed_frames();
    let (last, rest) = found.split_last().unwrap();
    assert_eq!(rest, &expected[..expected.len() - 1], "{cut}");
    assert!(
        last.len() > "garbage ".len() && expected.last().unwrap().starts_with(last),
        "{cut}: {last}"
    );
}

#[test]
fn finds_every_frame_of_a_mixed_transcript() {
    let expected = [
        r#"message {"QMP": {"version": {"qemu": {"micro": 22, "minor": 2, "major": 7}}, "capabilities": ["oob"]}}"#,
        r#"message {"return": {}, "id": 1}"#,
        r#"message {"return": "}{\"\\", "id": 2}"#,
        "message {\n    \"return\": [\n        1,\n        -2.5e3\n    ]\n}",
        r#"message {"event": "STOP"}"#,
        "other",
        "other",
        "other",
        "other",
        "other",
        "other",
        "broken Some(3) NotJson",
        "broken Some(4) NotUtf8",
        "broken Some(5) NotUtf8",
        "broken None NotUtf8",
        "broken Some(6) NotJson",
        r#"message {"return": "\ud800\u0000", "id": 7}"#,
        "refused Bytes { limit: 120 }",
        "broken Some(8) Refused(Bytes { limit: 120 })",
        "refused Depth { limit: 8 }",
        "broken None Refused(Depth { limit: 8 })",
        "refused Depth { limit: 8 }",
        "broken Some(10) Refused(Depth { limit: 8 })",
        "broken None NotJson",
        r#"message {"é": "😀", "error": {"class": "GenericError"}}"#,
        r#"message {"last": 1}"#,
        "garbage HTTP/1.1 200 OK",
    ];
    assert_eq!(mixed_frames(), expected);
}

#[test]
fn every_split_in_two_gives_the_same_frames() {
    let text = mixed();
    // Under Miri each byte takes its time.
    for cut in (0..=text.len()).step_by(if cfg!(miri) { 97 } else { 1 }) {
        let mut framer = mixed_framer();
        let mut found = feed(&mut framer, &text[..cut]);
        found.extend(feed(&mut framer, &text[cut..]));
        assert_same(&found, &format!("cut at {cut}"));
    }
}

#[test]
fn byte_by_byte_and_in_pieces_by_chance_gives_the_same_frames() {
    let text = mixed();
    let mut framer = mixed_framer();
    let found: Vec<_> = text
        .iter()
        .flat_map(|byte| feed(&mut framer, &[*byte]))
        .collect();
    assert_same(&found, "byte by byte");
    let mut seed = 0x9e37_79b9_7f4a_7c15u64;
    for round in 0..if cfg!(miri) { 1 } else { 200 } {
        let mut framer = mixed_framer();
        let mut found = Vec::new();
        let mut rest = &text[..];
        while !rest.is_empty() {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let (piece, next) = rest.split_at(rest.len().min(1 + (seed >> 33) as usize % 60));
            found.extend(feed(&mut framer, piece));
            rest = next;
        }
        assert_same(&found, &format!("round {round}"));
    }
}

#[test]
fn an_object_ends_at_its_closing_brace_at_once() {
    let mut framer = framer(MIB);
    assert!(feed(&mut framer, b"{\"return\": {}").is_empty());
    assert!(framer.is_mid_message());
    assert_eq!(feed(&mut framer, b"}"), [r#"message {"return": {}}"#]);
    assert!(!framer.is_mid_message());
}

#[test]
fn what_cannot_begin_a_value_is_garbage_and_the_end() {
    for (text, shown) in [
        (&b" \r\nQEMU 7.2 monitor"[..], "QEMU 7.2 monitor"),
        (
            b"\x15\x03\x01\x00\x02\x02\x16",
            "\\x15\\x03\\x01\\x00\\x02\\x02\\x16",
        ),
        (b"\0{}", "\\x00{}"),
        (b"nope {}", "nope {}"),
        (b"-x", "-x"),
        (b"\"a\nb\" {}", "\\\"a\\nb\\\" {}"),
        (b"}", "}"),
        (b"\xef\xbb{", "\\xef\\xbb{"),
        (b"\xfe", "\\xfe"),
    ] {
        let mut framer = framer(MIB);
        assert_eq!(feed(&mut framer, text), [format!("garbage {shown}")]);
        assert!(!framer.is_mid_message());
        assert!(feed(&mut framer, b"{\"return\": {}}").is_empty());
    }
    let found = frames(MIB, &b"x".repeat(1000));
    assert_eq!(found, [format!("garbage {}", "x".repeat(SHOWN))]);
}

#[test]
fn marks_before_a_message_are_skipped() {
    let mut framer = framer(MIB);
    assert_eq!(feed(&mut framer, b"\xff\xff{}"), ["message {}"]);
    assert!(feed(&mut framer, b" \xef\xbb").is_empty());
    assert!(framer.is_mid_message());
    assert_eq!(feed(&mut framer, b"\xbf \xff{}"), ["message {}"]);
}

#[test]
fn what_qemu_says_of_its_schema_passes_verbatim() {
    let entries = concat!(
        r#"{"name": "query-status", "ret-type": "1", "meta-type": "command", "arg-type": "0"}, "#,
        r#"{"name": "SHUTDOWN", "meta-type": "event", "arg-type": "2"}, "#,
        r#"{"name": "1", "members": [{"name": "running", "type": "bool"}, {"name": "x", "default": null, "type": "str"}], "#,
        r#""meta-type": "object"}, "#,
    );
    let text = format!(
        "{{\"return\": [{}{{}}], \"id\": 18446744073709551615}}",
        entries.repeat(800)
    );
    assert!(text.len() > 200_000);
    let mut framer = framer(64 * MIB);
    let mut value = String::new();
    for piece in text.as_bytes().chunks(4096) {
        framer.buffer().unwrap().extend_from_slice(piece);
        while let Some(frame) = framer.next() {
            let Frame::Message(object) = frame else {
                panic!("{}", describe(frame))
            };
            assert_eq!(object.text, text);
            assert_eq!(object.member(Member::Id), Some("18446744073709551615"));
            value = object.member(Member::Return).unwrap().to_owned();
        }
    }
    assert_eq!(value, text[11..text.len() - 29]);
}
