// SPDX-License-Identifier: MIT OR Apache-2.0
//! From the first byte to the reply to qmp_capabilities: what is accepted, what is refused, and how.

use std::net::Shutdown;
use std::time::{Duration, Instant};

use qmp::ffi::*;

use super::connect;
use super::support::client::{Client, Failure, Log, Options};
use super::support::hostile::{GREETING, Hostile, Peer};
use super::support::{LONG, wait_until};

fn refused(script: impl FnOnce(&mut Peer) + Send + 'static) -> Failure {
    refused_within(LONG, script)
}

fn refused_within(timeout_ms: i64, script: impl FnOnce(&mut Peer) + Send + 'static) -> Failure {
    let server = Hostile::start(script);
    Client::connect(&server.address(), timeout_ms)
        .err()
        .expect("connected")
}

/// A client that got through. It is dropped before its server, whose script ends with the connection.
struct Accepted {
    client: Client,
    _server: Hostile,
}

impl std::ops::Deref for Accepted {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

/// The handshake succeeds, and the connection works.
fn accepted(script: impl FnOnce(&mut Peer) + Send + 'static) -> Accepted {
    let server = Hostile::start(|peer| {
        script(peer);
        peer.echo();
    });
    let client = connect(&server);
    assert_eq!(
        client.call("query-status").as_deref(),
        Ok("\"query-status\"")
    );
    Accepted {
        client,
        _server: server,
    }
}

#[test]
fn f16_strangers_are_refused_at_once_and_named() {
    let strangers: [(&[u8], &str); 5] = [
        (b"HTTP/1.1 400 Bad Request\r\nServer: x\r\n\r\n", "HTTP"),
        (
            b"QEMU 7.2.22 monitor - type 'help' for more information\r\n",
            "HMP",
        ),
        (b"\x15\x03\x01\x00\x02\x02\x28", "TLS"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "SSH"),
        (b"RFB 003.008\n", "VNC"),
    ];
    for (opening, name) in strangers {
        let said = [opening, &[b'!'; 1000]].concat();
        let (shown, too_much) = (said[..64].escape_ascii(), said[..65].escape_ascii());
        let (shown, too_much) = (shown.to_string(), too_much.to_string());
        let started = Instant::now();
        let failure = refused(move |peer| {
            peer.send(said);
            peer.wait_for_end();
        });
        assert!(started.elapsed() < Duration::from_millis(LONG as u64 / 2));
        assert_eq!(failure.kind(), (QMP_ERR_PROTOCOL, false), "{failure:?}");
        let message = failure.message;
        assert!(
            message.contains(name) && message.contains(&shown),
            "{message}"
        );
        assert!(!message.contains(&too_much), "{message}");
    }
}

#[test]
fn f65_a_greeting_that_is_no_utf8_is_refused() {
    let failure = refused(|peer| {
        peer.send(b"{\"QMP\": {\"version\": \"\xff\"}}");
        peer.wait_for_end();
    });
    assert_eq!(failure.kind(), (QMP_ERR_PROTOCOL, false), "{failure:?}");
}

#[test]
fn f17_json_that_is_no_greeting_is_refused_at_once() {
    for message in [
        "{\"return\": {}}",
        "{\"hello\": \"world\"}",
        "{\"QMP\": 1}",
        "[1]",
        "\"text\" ",
        "17 ",
    ] {
        let failure = refused(move |peer| {
            peer.send(message);
            peer.wait_for_end();
        });
        assert_eq!(
            failure.kind(),
            (QMP_ERR_PROTOCOL, false),
            "{message}: {failure:?}"
        );
    }
}

#[test]
fn f17_a_greeting_behind_something_else_is_too_late() {
    let failure = refused(|peer| {
        peer.send(format!("{{\"return\": {{}}}}\r\n{GREETING}\r\n"));
        peer.wait_for_end();
    });
    assert_eq!(failure.kind(), (QMP_ERR_PROTOCOL, false), "{failure:?}");
}

#[test]
fn f18_a_version_that_is_not_told_is_unknown() {
    let server = Hostile::start(|peer| {
        peer.send("{\"QMP\": {}}");
        peer.accept_capabilities();
        peer.wait_for_end();
    });
    let (log, address) = (Log::default(), server.address());
    let logger = Some(log.logger());
    drop(Client::connect_logged(&address, Options::default(), LONG, logger).unwrap());
    assert_eq!(log.lines(QMP_LOG_INFO, "unknown version").len(), 1);
}

#[test]
fn f18_f19_a_greeting_without_version_or_with_odd_capabilities_is_accepted() {
    let greetings = [
        r#"{"QMP": {}}"#,
        r#"{"QMP": {"version": null, "capabilities": "oob"}}"#,
        r#"{"QMP": {"capabilities": ["oob", "teleport", {"a": 1}, 3], "news": 1}, "more": true}"#,
    ];
    for greeting in greetings {
        let client = accepted(move |peer| {
            peer.send(greeting);
            peer.accept_capabilities();
        });
        assert_eq!(client.greeting().unwrap(), greeting);
    }
}

#[test]
fn f20_f22_f23_a_greeting_may_come_byte_by_byte_pretty_printed_and_without_a_newline() {
    accepted(|peer| {
        for byte in GREETING.as_bytes() {
            peer.send([*byte]);
        }
        peer.accept_capabilities();
    });
    accepted(|peer| {
        let greeting: serde_json::Value = serde_json::from_str(GREETING).unwrap();
        peer.send(
            serde_json::to_string_pretty(&greeting)
                .unwrap()
                .replace('\n', "\r\n"),
        );
        peer.accept_capabilities();
    });
    accepted(|peer| {
        peer.send(format!("\r\n \t\n{GREETING}"));
        peer.accept_capabilities();
    });
}

#[test]
fn f21_a_huge_greeting_is_refused_before_it_is_kept() {
    let server = Hostile::start(|peer| {
        peer.send("{\"QMP\": {\"version\": \"");
        let sent = peer.send_until_refused(&[b'x'; 65536], 32 << 20);
        assert!(sent < 4 << 20, "{sent} bytes were taken");
    });
    let failure = Client::connect(&server.address(), LONG)
        .err()
        .expect("connected");
    assert_eq!(failure.kind(), (QMP_ERR_TOO_LARGE, false), "{failure:?}");
    assert!(failure.message.contains("1048576 bytes"), "{failure:?}");
}

#[test]
fn f24_events_during_the_handshake_are_kept_in_order() {
    let client = accepted(|peer| {
        peer.send("{\"event\": \"EARLY\"}\r\n");
        peer.send(GREETING);
        let command = peer.command();
        peer.send("{\"event\": \"LATER\", \"data\": {\"a\": 1}}");
        peer.succeed(&command, "{}");
    });
    let early = client.poll_event(0).unwrap();
    let later = client.poll_event(0).unwrap();
    assert_eq!(
        (early.name.as_str(), early.sequence, early.lost),
        ("EARLY", 1, 0)
    );
    assert_eq!(
        (later.name.as_str(), later.sequence, later.lost),
        ("LATER", 2, 0)
    );
    assert_eq!(later.data.as_deref(), Some("{\"a\": 1}"));
}

#[test]
fn f25_a_second_greeting_is_logged_and_no_reply() {
    let server = Hostile::start(|peer| {
        peer.send(format!("{GREETING}{GREETING}"));
        peer.accept_capabilities();
        let command = peer.command();
        peer.send(GREETING.replace("hostile", "second"));
        peer.succeed(&command, "1");
    });
    let (log, address) = (Log::default(), server.address());
    let client =
        Client::connect_logged(&address, Options::default(), LONG, Some(log.logger())).unwrap();
    assert_eq!(client.call("query-status").as_deref(), Ok("1"));
    assert_eq!(client.greeting().unwrap(), GREETING);
    wait_until("both to be logged", || {
        log.lines(QMP_LOG_WARN, "a second greeting").len() == 2
    });
}

#[test]
fn the_handshake_takes_only_its_own_reply() {
    accepted(|peer| {
        peer.send("{\"return\": {\"of\": \"an earlier client\"}, \"id\": 1}\r\n");
        peer.send(GREETING);
        let command = peer.command();
        peer.send("{\"return\": {}, \"id\": 1}{\"return\": {}}");
        peer.send("{\"id\": 2, \"error\": {\"class\": \"GenericError\", \"desc\": \"of an earlier client\"}}");
        peer.succeed(&command, "{}");
    });
}

#[test]
fn f12_f26_an_end_during_the_handshake_says_so() {
    let endings: [fn(&mut Peer); 4] = [
        |_| {},
        |peer| peer.send(&GREETING[..40]),
        |peer| {
            peer.send(GREETING);
            peer.command();
        },
        |peer| {
            peer.send(&GREETING[..40]);
            peer.half_close(Shutdown::Write);
            assert!(peer.next_command().is_none());
        },
    ];
    for script in endings {
        let failure = refused(script);
        assert_eq!(failure.status, QMP_ERR_DISCONNECTED, "{failure:?}");
        assert!(failure.message.contains("handshake"), "{}", failure.message);
    }
}

#[test]
fn f27_a_refused_negotiation_keeps_its_reason() {
    let failure = refused(|peer| {
        peer.send(GREETING);
        let command = peer.command();
        peer.fail(&command, "GenericError", "not today");
        peer.wait_for_end();
    });
    assert_eq!(failure.kind(), (QMP_ERR_COMMAND, false), "{failure:?}");
    assert_eq!(
        (failure.class.as_str(), failure.description.as_str()),
        ("GenericError", "not today")
    );
    assert_eq!(failure.command, "qmp_capabilities");
}

#[test]
fn f27_a_negotiation_without_an_answer_ends_at_the_deadline() {
    let failure = refused_within(1500, |peer| {
        peer.send(GREETING);
        peer.command();
        peer.wait_for_end();
    });
    assert_eq!(failure.status, QMP_ERR_TIMEOUT, "{failure:?}");
}

#[test]
fn f36_a_trickling_greeting_does_not_move_the_deadline() {
    let started = Instant::now();
    let failure = refused_within(1000, |peer| {
        for byte in GREETING.as_bytes().iter().cycle() {
            std::thread::sleep(Duration::from_millis(20)); // the fault itself: one byte now and then
            if peer.send_until_refused(&[if *byte == b'}' { b' ' } else { *byte }], 1) == 0 {
                break;
            }
        }
    });
    assert_eq!(failure.status, QMP_ERR_TIMEOUT, "{failure:?}");
    assert!(
        started.elapsed() < Duration::from_secs(5),
        "{:?}",
        started.elapsed()
    );
}
