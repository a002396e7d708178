// SPDX-License-Identifier: MIT OR Apache-2.0
use serde_json::value::RawValue;

use super::*;

/// One call, every byte at hand.
fn whole(text: &[u8]) -> Step {
    Scanner::new(DEEPEST).scan(text)
}

/// One call for each byte, as from the slowest of peers.
fn bytewise(text: &[u8]) -> Step {
    let mut scanner = Scanner::new(DEEPEST);
    let mut steps = (0..=text.len()).map(|seen| scanner.scan(&text[..seen]));
    steps.find(|step| *step != Step::More).unwrap_or(Step::More)
}

fn both(text: &[u8]) -> Step {
    let step = whole(text);
    assert_eq!(step, bytewise(text), "{}", text.escape_ascii());
    step
}

#[test]
fn ends_at_the_last_byte_of_a_value() {
    for text in [
        "{}",
        "[]",
        " \t\r\n{ }",
        r#"{"a":1}"#,
        r#"{ "a" : [ ] , "b" : { } }"#,
        "[\n  1,\n  -0,\n  0.5,\n  1e3,\n  1E-3,\n  1.5e+30\n]",
        r#"[true,false,null,"",[[]],{"":{}}]"#,
        r#"{"a":"\"\\\/\b\f\n\r\t\u00e9\uD83D\ude00\ud800"}"#,
        "[\"\x7f é 😀 }]\"]",
        "\"scalar\"",
        "true",
        "null",
    ] {
        let more = format!("{text}}} {text}");
        assert_eq!(both(more.as_bytes()), Step::Done(text.len()), "{text}");
    }
}

#[test]
fn points_at_the_byte_that_cannot_stand_there() {
    for text in [
        "{^a:1}",
        "{\"a\"^}",
        "{\"a\" ^1}",
        "{\"a\":^}",
        "{\"a\":1,^}",
        "{\"a\":1^]",
        "{\"a\":1 ^\"b\":2}",
        "{^,}",
        "{^1:2}",
        "[^,1]",
        "[1,^]",
        "[1^}",
        "[1 ^2]",
        "[^+1]",
        "[^.5]",
        "[0^1]",
        "[1.^]",
        "[1.^e3]",
        "[1e^]",
        "[1e+^]",
        "[1.5^.5]",
        "[-^]",
        "[-^a]",
        "[0^x1]",
        "[^inf]",
        "[n^an]",
        "[tru^]",
        "[nul^L]",
        "[^True]",
        "[\"\\^x\"]",
        "[\"\\u12^g4\"]",
        "[\"a^\nb\"]",
        "[\"^\x1f\"]",
        "[\"long enough for a word^\x01\"]",
        "[^'a']",
        "[^/*x*/1]",
        "[^\u{e9}]",
        "[\"a\"^\"b\"]",
    ] {
        let at = text.find('^').unwrap();
        let text = text.replacen('^', "", 1);
        assert_eq!(both(text.as_bytes()), Step::Bad(at), "{text}");
    }
    assert_eq!(both(b"[\"\0\"]"), Step::Bad(2));
    assert_eq!(both(b"{\0}"), Step::Bad(1));
}

#[test]
fn a_number_on_its_own_ends_at_what_cannot_belong_to_it() {
    for text in ["12 ", "-1.5e3\n", "0{", "7,"] {
        assert_eq!(both(text.as_bytes()), Step::Done(text.len() - 1), "{text}");
    }
    assert_eq!(both(b"12"), Step::More);
}

#[test]
fn follows_the_depth_allowed_and_no_more() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let nested = |depth: usize| format!("{}1{}", open.repeat(depth), close.repeat(depth));
        let deepest = nested(DEEPEST);
        assert_eq!(both(deepest.as_bytes()), Step::Done(deepest.len()));
        let too_deep = nested(DEEPEST + 1);
        assert_eq!(
            both(too_deep.as_bytes()),
            Step::TooDeep(open.len() * DEEPEST)
        );
        assert_eq!(
            Scanner::new(3).scan(nested(3).as_bytes()),
            Step::Done(nested(3).len())
        );
        assert_eq!(
            Scanner::new(3).scan(nested(4).as_bytes()),
            Step::TooDeep(open.len() * 3)
        );
    }
    // The kind of each level is remembered when the level is entered again.
    assert_eq!(both(b"[{},[{\"a\":[]}],{}]"), Step::Done(18));
    assert_eq!(both(b"[{\"a\":[}]]"), Step::Bad(7));
}

#[test]
fn knows_top_level_members_only() {
    let text =
        r#"{"data": {"id": 1, "event": 2}, "x": [{"id": 3}], "\u0065vent" : "E" ,"QMP":{},"Id":4}"#;
    let mut scanner = Scanner::new(DEEPEST);
    assert_eq!(scanner.scan(text.as_bytes()), Step::Done(text.len()));
    let spans = scanner.spans();
    let value = |member: Member| &text[spans[member as usize].0..spans[member as usize].1];
    assert_eq!(value(Member::Data), r#"{"id": 1, "event": 2}"#);
    assert_eq!(value(Member::Event), r#""E""#);
    assert_eq!(value(Member::Qmp), "{}");
    assert_eq!(spans[Member::Id as usize], (0, 0));
    assert_eq!(spans[Member::Return as usize], (0, 0));
    scanner.reset();
    assert_eq!(scanner.scan(b"[\"id\",1,{\"id\":2}]"), Step::Done(17));
    assert_eq!(scanner.spans(), Spans::default());
}

/// Another parser is the judge of texts that chance makes from the alphabet of JSON.
#[test]
fn agrees_with_another_parser() {
    let pieces = [
        "{",
        "}",
        "[",
        "]",
        ":",
        ",",
        "\"",
        "\\",
        "\"a\"",
        "\"id\":",
        "1",
        "0",
        "-",
        ".",
        "e",
        "+",
        "true",
        "null",
        "fals",
        "e",
        " ",
        "\n",
        "\\u00e9",
        "\\ud800",
        "é",
        "\t",
        "12.5e-7",
        "{\"a\":[",
        "]}",
        "\x0b",
        "abcdefghijk",
    ];
    let mut seed = 0x2545_f491_4f6c_dd1du64;
    let mut chance = |below: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed % below as u64) as usize
    };
    let mut valid = 0;
    let texts = if cfg!(miri) { 300 } else { 30_000 };
    for _ in 0..texts {
        let count = 1 + chance(8);
        let text: String = (0..count).map(|_| pieces[chance(pieces.len())]).collect();
        // The blank at the end lets a number end.
        let text = format!("{text} ");
        let ours = match whole(text.as_bytes()) {
            Step::Done(end) => text[end..].trim_matches(BLANKS).is_empty(),
            _ => false,
        };
        let theirs = serde_json::from_str::<&RawValue>(&text).is_ok();
        assert_eq!(ours, theirs, "{text:?}");
        valid += usize::from(ours);
    }
    assert!(valid > texts / 60, "only {valid} of the texts were valid");
}
