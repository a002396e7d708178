// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a caller gets wrong is refused before a byte is sent; what is only laid out oddly is sent compact.

use qmp::ffi::*;
use qmp::mock::Mock;

use super::connect;
use super::support::LONG;
use super::support::client::Client;
use super::support::hostile::Hostile;

#[test]
fn f86_f93_f95_bad_arguments_never_reach_the_vm() {
    let mock = Mock::start_temporary().unwrap();
    let client = Client::connect(mock.path().to_str().unwrap(), LONG).unwrap();
    let before = mock.bytes_received();
    let deep = format!("{{\"a\": {}{}}}", "[".repeat(1001), "]".repeat(1001));
    let arguments = [
        "",
        " ",
        "{",
        "}",
        "[]",
        "[{}]",
        "\"{}\"",
        "null",
        "{} {}",
        "{}x",
        "{},",
        "{\"a\": 1,}",
        "{'a': 1}",
        "{\"a\": 01}",
        "{\"a\": inf}",
        "{\"a\": \"\\ud800\"}",
        "{\"a\": \"\\x\"}",
        "{\"a\": \"\u{1}\"}",
        "{\"a\": 1, \"a\": 2}",
        "{\"password\": \"hunter2\"",
        &deep,
    ];
    for text in arguments {
        let failure = client
            .execute("query-status", Some(text), LONG)
            .unwrap_err();
        assert_eq!(
            failure.kind(),
            (QMP_ERR_INVALID_ARGUMENT, false),
            "{text:.80}: {failure:?}"
        );
        assert!(!failure.message.contains("hunter2"), "{}", failure.message);
    }
    for name in ["", "query status", "a\"", "a\n", "a\u{1}", "\u{e9}", "a\\"] {
        let failure = client.execute(name, None, LONG).unwrap_err();
        assert_eq!(
            failure.kind(),
            (QMP_ERR_INVALID_ARGUMENT, false),
            "{name:?}: {failure:?}"
        );
    }
    assert_eq!(
        client.execute("stop", None, 0).unwrap_err().kind(),
        (QMP_ERR_TIMEOUT, false)
    );
    assert_eq!(
        client.execute("stop", None, -3).unwrap_err().status,
        QMP_ERR_INVALID_ARGUMENT
    );
    // A call that does arrive shows that the mock would have counted the others.
    assert_eq!(client.query_status(), Ok((true, "running".to_owned())));
    mock.expect(r#"["query-status"]"#, None).unwrap();
    assert!(mock.bytes_received() - before < 64);
}

#[test]
fn f94_f96_arguments_are_sent_compact_and_unchanged() {
    let server = Hostile::negotiated(|peer| {
        let mut text = Vec::new();
        while !text.ends_with(b"}") || serde_json::from_slice::<serde_json::Value>(&text).is_err() {
            let mut byte = [0];
            std::io::Read::read_exact(&mut peer.stream, &mut byte).unwrap();
            text.push(byte[0]);
        }
        let sent = String::from_utf8(text).unwrap();
        let arguments = r#"{"id":99,"execute":"quit","text":"a  b\u0000\n","number":1.50e+2,"list":[1,{}],"big":18446744073709551616}"#;
        assert_eq!(
            sent,
            format!("{{\"execute\":\"echo\",\"arguments\":{arguments},\"id\":1}}")
        );
        peer.send("{\"return\": 1, \"id\": 1}");
        peer.wait_for_end();
    });
    let spread = "\r\n{ \"id\": 99, \"execute\": \"quit\",\"text\" : \"a  b\\u0000\\n\",\n\t\"number\": 1.50e+2, \"list\": [ 1, { } ],\
                  \"big\":18446744073709551616 }\n";
    assert_eq!(
        connect(&server)
            .execute("echo", Some(spread), LONG)
            .as_deref(),
        Ok("1")
    );
}
