// SPDX-License-Identifier: MIT OR Apache-2.0
use std::time::{Duration, Instant};

use super::*;
use crate::wire::testing::assert_linear;

fn compact(text: &str) -> String {
    Arguments::parse(text)
        .unwrap_or_else(|error| panic!("{text}: {error}"))
        .0
}

fn refused(text: &str) -> BadArguments {
    match Arguments::parse(text) {
        Err(error) => error,
        Ok(_) => panic!("accepted: {text}"),
    }
}

#[test]
fn commands_are_compact() {
    let text = |band, arguments| {
        String::from_utf8(encode(band, "query-block", arguments, 12).unwrap()).unwrap()
    };
    assert_eq!(
        text(Band::InBand, None),
        r#"{"execute":"query-block","id":12}"#
    );
    let arguments = Arguments::parse(" { \"a b\" : [ 1 , 2 ] }\n").unwrap();
    let expected = r#"{"exec-oob":"query-block","arguments":{"a b":[1,2]},"id":12}"#;
    assert_eq!(text(Band::OutOfBand, Some(&arguments)), expected);
}

#[test]
fn names_are_plain() {
    let longest = "x".repeat(256);
    for name in [
        "query-status",
        "x-debug_1",
        "__com.redhat_drive",
        "0",
        &longest,
    ] {
        assert_eq!(check_name(name), Ok(()), "{name}");
    }
    let too_long = "x".repeat(257);
    for name in [
        "", " ", "a b", "a\"", "a\\", "a\n", "a\0", "é", "a/b", &too_long,
    ] {
        assert_eq!(check_name(name), Err(BadCommand), "{name:?}");
    }
}

#[test]
fn only_whitespace_is_dropped() {
    let digits = "123456789012345678901234567890".repeat(10);
    for (text, expected) in [
        ("{}", "{}".to_owned()),
        ("\r\n\t { \n } ", "{}".to_owned()),
        (
            "{\"a\" :\t\" x \\n\" ,\"b\":[ ]\n,\"c\": {\"d\":null } }",
            "{\"a\":\" x \\n\",\"b\":[],\"c\":{\"d\":null}}".to_owned(),
        ),
        (
            &format!("{{\"n\": [-0, 1E+2, 1.50, {digits}]}}"),
            format!("{{\"n\":[-0,1E+2,1.50,{digits}]}}"),
        ),
        (
            "{\"\\u0041\": \"\\/\\ud83d\\ude00\\u0000é😀\\\\ud800\"}",
            "{\"\\u0041\":\"\\/\\ud83d\\ude00\\u0000é😀\\\\ud800\"}".to_owned(),
        ),
    ] {
        assert_eq!(compact(text), expected);
    }
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    use BadArguments::*;
    for (text, expected) in [
        ("", NotAnObject),
        (" \n", NotAnObject),
        ("[1]", NotAnObject),
        ("null", NotAnObject),
        ("secret", NotAnObject),
        ("\u{feff}{}", NotAnObject),
        ("{'a':1}", NotJson { at: 1 }),
        ("{\"a\":1,}", NotJson { at: 7 }),
        ("{\"a\":01}", NotJson { at: 6 }),
        ("{\"a\":%d}", NotJson { at: 5 }),
        ("{\"a\":\"\t\"}", NotJson { at: 6 }),
        ("{\"a\":inf}", NotJson { at: 5 }),
        ("{\"a\":1", Unfinished { at: 6 }),
        ("{\"a\":\"", Unfinished { at: 6 }),
        ("{} {}", TextAfterEnd { at: 3 }),
        (" {}\n x", TextAfterEnd { at: 5 }),
        ("{}\0", TextAfterEnd { at: 2 }),
        (r#"{"a":"\ud800"}"#, LoneSurrogate { at: 6 }),
        (r#"{"a":"é\uDBFFx"}"#, LoneSurrogate { at: 8 }),
        (r#"{"a":"\ud800\u0041"}"#, LoneSurrogate { at: 6 }),
        (r#"{"a":"\\\udc00"}"#, LoneSurrogate { at: 8 }),
        (r#"{"\udc00":1}"#, LoneSurrogate { at: 2 }),
        (r#"{"a":1, "a":2}"#, Duplicate { at: 8 }),
        (r#"{"a":1,"\u0061":2}"#, Duplicate { at: 7 }),
        (r#"{"x":[{"":1,"b":{"":2},"":3}]}"#, Duplicate { at: 23 }),
    ] {
        assert_eq!(refused(text), expected, "{text:?}");
    }
}

#[test]
fn noncharacters_are_refused_as_qemu_does() {
    for (char, escaped) in [
        ('\u{fdd0}', r"\ufdd0"),
        ('\u{fdef}', r"\uFDEF"),
        ('\u{fffe}', r"\ufffe"),
        ('\u{ffff}', r"\uffff"),
        ('\u{1fffe}', r"\ud83f\udffe"),
        ('\u{10ffff}', r"\udbff\udfff"),
    ] {
        for text in [char.to_string(), escaped.to_owned()] {
            assert_eq!(
                refused(&format!("{{\"a\":\"{text}\"}}")),
                BadArguments::Noncharacter { at: 6 }
            );
        }
    }
    for text in [
        "\u{fdcf}",
        "\u{fdf0}",
        "\u{fffd}",
        "\u{10fffd}",
        r"\ufffd\ufdcf\udbff\udffd",
        "\u{7f}\u{80}\u{feff}",
    ] {
        assert_eq!(
            compact(&format!("{{\"a\":\"{text}\"}}")),
            format!("{{\"a\":\"{text}\"}}")
        );
    }
}

#[test]
fn equal_names_in_different_objects_are_no_duplicates() {
    let text = r#"{"a":{"a":{"a":1}},"b":[{"a":1},{"a":2}],"A":{},"a\u0000":1,"a\u0000b":2}"#;
    assert_eq!(compact(text), text);
}

#[test]
fn depth_is_limited() {
    let nested = |depth: usize| {
        format!(
            "{{\"a\":{}{}}}",
            "[".repeat(depth - 1),
            "]".repeat(depth - 1)
        )
    };
    assert_eq!(compact(&nested(MAX_DEPTH)), nested(MAX_DEPTH));
    assert_eq!(
        refused(&nested(MAX_DEPTH + 1)),
        BadArguments::TooDeep {
            at: 5 + MAX_DEPTH - 1
        }
    );
    assert_eq!(
        refused(&"{\"a\":".repeat(1_000_000)),
        BadArguments::TooDeep { at: 5 * MAX_DEPTH }
    );
}

#[test]
fn bytes_and_tokens_are_limited_without_the_whitespace() {
    let text = r#"{ "a" : [ 1 , "x" ] }"#;
    let (bytes, tokens) = (13, 9);
    let parse =
        |bytes, tokens| Arguments::parse_within(text, bytes, tokens).map(|arguments| arguments.0);
    assert_eq!(parse(bytes, tokens).as_deref(), Ok(r#"{"a":[1,"x"]}"#));
    assert_eq!(parse(bytes - 1, tokens), Err(BadArguments::TooLarge));
    assert_eq!(parse(bytes, tokens - 1), Err(BadArguments::TooManyTokens));
}

#[test]
fn refusals_quote_nothing_and_say_where() {
    let text = r#"{"password":"hunter2" "x"}"#;
    let said = refused(text).to_string();
    assert_eq!(said, "the arguments are not valid JSON at byte 22");
    assert_eq!(
        BadArguments::TooDeep { at: 1 }.to_string(),
        "the arguments are nested deeper than 1000 levels at byte 1"
    );
}

#[test]
fn many_names_take_linear_time() {
    let time = |count: usize| -> Duration {
        let names: Vec<_> = (0..count)
            .map(|name| format!("\"name{name}\":{name}"))
            .collect();
        let text = format!("{{{}}}", names.join(","));
        let start = Instant::now();
        assert_eq!(compact(&text).len(), text.len());
        start.elapsed()
    };
    assert_linear(40_000, time);
}
