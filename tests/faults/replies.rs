// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a reply may hold: any JSON goes to the caller as it came, everything else becomes that call's error.

use qmp::ffi::*;

use super::support::LONG;
use super::support::client::{Client, Log, Options};
use super::support::hostile::Hostile;
use super::{call_answered_by, connect, with_id};

/// The call fails as a protocol error, alone: the next message is fine.
fn spoils_only_its_call(reply: &'static [u8]) {
    let server = Hostile::negotiated(move |peer| {
        let command = peer.command();
        peer.send(with_id(reply, command.id));
        peer.send("{\"event\": \"AFTER\"}");
        peer.answer("2");
    });
    let client = connect(&server);
    let failure = client.call("first").unwrap_err();
    let shown = String::from_utf8_lossy(reply);
    assert_eq!(failure.status, QMP_ERR_PROTOCOL, "{shown}: {failure:?}");
    assert_eq!(failure.command, "first");
    assert_eq!(client.event().as_deref(), Ok("AFTER"), "{shown}");
    assert_eq!(client.call("second").as_deref(), Ok("2"), "{shown}");
}

#[test]
fn f51_f54_f66_f67_any_json_is_passed_on_as_it_came() {
    let digits = "1234567890".repeat(40);
    let values = [
        "{}",
        "[]",
        "null",
        "true",
        "\"\"",
        "0",
        "-0",
        "1E+2",
        "18446744073709551615",
        "-9223372036854775808",
        r#"{"b": [1,  2 ], "a" : {"\u00e9\/": "\ud83d\ude00 \u0000 \ud800"}, "a": 3}"#,
        "\"raw: \u{e9} \u{1f600} \u{7f}\"",
        &digits,
    ];
    for value in values {
        let reply = format!("{{\"return\": {value} ,\r\n \"id\": ID}}");
        assert_eq!(call_answered_by(reply).as_deref(), Ok(value));
    }
}

#[test]
fn f55_members_come_in_any_order_and_unknown_ones_are_ignored() {
    let replies = [
        r#"{"id": ID, "return": 7}"#,
        r#"{"news": {"return": 8, "id": 0}, "return": 7, "warnings": ["error"], "id": ID, "more": null}"#,
        r#"{"\u0069d": ID, "retur\u006e": 7}"#,
    ];
    for reply in replies {
        assert_eq!(call_answered_by(reply).as_deref(), Ok("7"), "{reply}");
    }
}

#[test]
fn f54_of_a_member_given_twice_the_last_one_counts() {
    assert_eq!(
        call_answered_by(r#"{"return": 1, "id": 0, "return": 2, "id": ID}"#).as_deref(),
        Ok("2")
    );
}

#[test]
fn f53_f56_f69_messages_need_no_lines() {
    let replies = [
        "{\"event\": \"A\"}{\"return\": 7, \"id\": ID}{\"event\": \"B\"}",
        "\r\n\r\n \t {\"return\": 7, \"id\": ID}",
        "{\n  \"return\": 7,\n  \"id\": ID\n}\n",
        "\u{feff}{\"return\": 7, \"id\": ID}",
        "[1, {\"return\": 8, \"id\": ID}] \"return\" 17 null {\"return\": 7, \"id\": ID}",
    ];
    for reply in replies {
        assert_eq!(call_answered_by(reply).as_deref(), Ok("7"), "{reply:?}");
    }
    assert_eq!(
        call_answered_by(b"\xff{\"return\": 7, \"id\": ID}").as_deref(),
        Ok("7")
    );
}

#[test]
fn a_reply_may_come_byte_by_byte() {
    let server = Hostile::negotiated(|peer| {
        let command = peer.command();
        for byte in with_id(
            br#"{"return": {"a": [1, "\u0041\\"]}, "id": ID}"#,
            command.id,
        ) {
            peer.send([byte]);
        }
        peer.wait_for_end();
    });
    assert_eq!(
        connect(&server).call("query-status").as_deref(),
        Ok(r#"{"a": [1, "\u0041\\"]}"#)
    );
}

#[test]
fn f50_f66_f67_an_error_of_any_shape_is_the_commands_error() {
    let cases = [
        (
            r#"{"class": "DeviceNotFound", "desc": "no such device"}"#,
            "DeviceNotFound",
            "no such device",
        ),
        (
            r#"{"class": "NewInQemu12", "desc": "\u00e9"}"#,
            "NewInQemu12",
            "\u{e9}",
        ),
        (r#"{"desc": "no class"}"#, "", "no class"),
        (r#"{"class": 5, "desc": "odd class"}"#, "", "odd class"),
        (r#""a string""#, "", "a string"),
        (r#"[1]"#, "", "[1]"),
        (
            r#"{"class": "\ud800", "desc": "\udc00"}"#,
            r#""\ud800""#,
            r#""\udc00""#,
        ),
        (
            r#"{"class": "GenericError", "desc": "admin\u0000x"}"#,
            "GenericError",
            "admin\\u0000x",
        ),
    ];
    for (error, class, description) in cases {
        let reply = format!("{{\"id\": ID, \"error\": {error}}}");
        let failure = call_answered_by(&reply).unwrap_err();
        assert_eq!(
            failure.kind(),
            (QMP_ERR_COMMAND, false),
            "{error}: {failure:?}"
        );
        assert_eq!(
            (failure.class.as_str(), failure.description.as_str()),
            (class, description)
        );
        assert_eq!(failure.command, "query-status");
    }
    let failure = call_answered_by("{\"id\": ID, \"error\": {}}").unwrap_err();
    assert_eq!(
        (failure.status, failure.class.as_str()),
        (QMP_ERR_COMMAND, "")
    );
}

#[test]
fn f49_a_reply_that_contradicts_itself_spoils_only_its_call() {
    spoils_only_its_call(
        br#"{"return": {}, "error": {"class": "GenericError", "desc": "x"}, "id": ID}"#,
    );
    spoils_only_its_call(br#"{"id": ID}"#);
}

#[test]
fn f52_f65_f68_a_reply_that_is_no_json_spoils_only_its_call() {
    let replies: &[&[u8]] = &[
        br#"{"return": inf, "id": ID}"#,
        br#"{"return": {"a": [-nan]}, "id": ID}"#,
        br#"{"id": ID, "return": {"a": 1,}}"#,
        br#"{"id": ID, "return": [01]}"#,
        b"{\"return\": \"\xc3\x28\", \"id\": ID}",
        b"{\"return\": \"\xed\xa0\x80\", \"id\": ID}",
        b"{\"id\": ID, \"return\": \"\xff\"}",
        b"{\"id\": ID, \"return\": \"a\0b\"}",
        b"{\"id\": ID, \0\"return\": 1}",
        b"{\"id\": ID, \"return\": \"a\nb\"}",
    ];
    for reply in replies {
        spoils_only_its_call(reply);
    }
}

#[test]
fn f57_f68_garbage_between_messages_ends_the_connection() {
    for garbage in ["nonsense", "}", "{\"event\": \"A\"}\0", "tru ", ","] {
        let server = Hostile::negotiated(move |peer| {
            peer.command();
            peer.send("{\"event\": \"BEFORE\"}");
            peer.send(garbage);
            peer.wait_for_end();
        });
        let client = connect(&server);
        let failure = client.call("first").unwrap_err();
        assert_eq!(
            failure.kind(),
            (QMP_ERR_PROTOCOL, true),
            "{garbage}: {failure:?}"
        );
        assert_eq!(client.event().as_deref(), Ok("BEFORE"));
        assert_eq!(
            client.call("second").unwrap_err().kind(),
            (QMP_ERR_DISCONNECTED, false),
            "{garbage}"
        );
    }
}

/// Every text that the library hands out is checked to be UTF-8 on its way here.
#[test]
fn f65_nothing_that_is_no_utf8_reaches_the_caller() {
    let server = Hostile::negotiated(|peer| {
        let command = peer.command();
        peer.send(
            b"{\"event\": \"A\xff\"}{\"event\": \"B\", \"data\": \"\xc3\x28\"}{\"event\": \"C\"}",
        );
        let error = b"{\"id\": ID, \"error\": {\"class\": \"\xed\xa0\x80\", \"desc\": \"\xff\"}}";
        peer.send(with_id(error, command.id));
        peer.answer("2");
        peer.command();
        peer.send(b"\xfe\xfd\xc3");
        peer.wait_for_end();
    });
    let (log, address) = (Log::default(), server.address());
    let client =
        Client::connect_logged(&address, Options::default(), LONG, Some(log.logger())).unwrap();
    assert_eq!(client.call("first").unwrap_err().status, QMP_ERR_PROTOCOL);
    assert_eq!(client.event().as_deref(), Ok("C"));
    assert_eq!(client.call("second").as_deref(), Ok("2"));
    let garbage = client.call("third").unwrap_err();
    assert_eq!(garbage.status, QMP_ERR_PROTOCOL);
    assert!(garbage.message.contains(r"\xfe\xfd\xc3"), "{garbage:?}");
    assert_eq!(log.lines(QMP_LOG_WARN, "NotUtf8").len(), 2);
}

#[test]
fn f66_f67_a_name_that_c_could_not_hold_is_an_error_or_dropped() {
    let server = Hostile::negotiated(|peer| {
        peer.send(r#"{"event": "A\u0000B"}{"event": "\ud800"}{"event": "C"}"#);
        for state in [r"admin\u0000x", r"\udc00", "running"] {
            peer.answer(&format!("{{\"running\": true, \"status\": \"{state}\"}}"));
        }
    });
    let client = connect(&server);
    assert_eq!(client.event().as_deref(), Ok("C"));
    for _ in 0..2 {
        let failure = client.query_status().unwrap_err();
        assert_eq!(failure.status, QMP_ERR_PROTOCOL, "{failure:?}");
    }
    assert_eq!(client.query_status(), Ok((true, "running".to_owned())));
}
