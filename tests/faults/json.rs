// SPDX-License-Identifier: MIT OR Apache-2.0
//! How much a peer may send: limits cost one call, not the connection, and nothing costs more than it sends.

use std::thread;

use qmp::ffi::*;

use super::support::LONG;
use super::support::client::{Client, Options};
use super::support::hostile::{Command, Hostile, Peer};
use super::{call_answered_by, connect};

const LIMIT: u64 = 1 << 20;

fn connect_with_limit(server: &Hostile) -> Client {
    let options = Options {
        max_message_bytes: Some(LIMIT),
        ..Options::default()
    };
    Client::connect_with(&server.address(), options, LONG).unwrap()
}

/// A reply of exactly `size` bytes.
fn reply_of(command: &Command, size: usize) -> String {
    let frame = format!("{{\"return\": \"\", \"id\": {}}}", command.id);
    let padding = "x".repeat(size - frame.len());
    frame.replace("\"\"", &format!("\"{padding}\""))
}

/// The first call is refused as too large, the second gets its own reply.
fn too_large(script: impl FnOnce(&mut Peer, &Command) + Send + 'static) {
    let server = Hostile::negotiated(|peer| {
        let command = peer.command();
        script(peer, &command);
        peer.answer("2");
    });
    let client = connect_with_limit(&server);
    let failure = client.call("first").unwrap_err();
    assert_eq!(failure.status, QMP_ERR_TOO_LARGE, "{failure:?}");
    assert_eq!(client.call("second").as_deref(), Ok("2"));
}

#[test]
fn f61_a_large_reply_is_fine() {
    let value = format!("\"{}\"", "x".repeat(1_000_000));
    assert_eq!(
        call_answered_by(format!("{{\"return\": {value}, \"id\": ID}}")),
        Ok(value)
    );
}

#[test]
fn f64_many_members_are_fine() {
    let members: Vec<String> = (0..200_000).map(|n| format!("\"{n}\": {n}")).collect();
    let value = format!("{{{}}}", members.join(", "));
    assert_eq!(
        call_answered_by(format!("{{\"return\": {value}, \"id\": ID}}")),
        Ok(value)
    );
}

#[test]
fn f62_the_limit_is_exact() {
    let server = Hostile::negotiated(|peer| {
        for size in [LIMIT, LIMIT + 1, LIMIT] {
            let command = peer.command();
            let reply = reply_of(&command, size as usize);
            peer.send(reply);
        }
        peer.wait_for_end();
    });
    let client = connect_with_limit(&server);
    assert!(
        client
            .call("at the limit".replace(' ', "-").as_str())
            .is_ok()
    );
    assert_eq!(
        client.call("over-it").unwrap_err().status,
        QMP_ERR_TOO_LARGE
    );
    assert!(client.call("at-the-limit").is_ok());
}

#[test]
fn f62_a_reply_over_the_limit_fails_its_call_alone() {
    too_large(|peer, command| peer.send(reply_of(command, 32 << 20)));
}

#[test]
fn f62_a_reply_over_the_default_limit_fails_its_call_alone() {
    let server = Hostile::negotiated(|peer| {
        let command = peer.command();
        peer.send("{\"return\": \"");
        for _ in 0..100 {
            peer.send(vec![b'x'; 1 << 20]);
        }
        peer.send(format!("\", \"id\": {}}}", command.id));
        peer.answer("2");
    });
    let client = connect(&server);
    assert_eq!(client.call("first").unwrap_err().status, QMP_ERR_TOO_LARGE);
    assert_eq!(client.call("second").as_deref(), Ok("2"));
}

#[test]
fn f62_f63_the_call_is_told_before_the_message_ends() {
    let server = Hostile::negotiated(|peer| {
        peer.command();
        peer.send("{\"return\": \"");
        peer.send_until_refused(&[b'x'; 4096], 2 * LIMIT as usize);
        peer.wait_for_end();
    });
    let failure = connect_with_limit(&server).call("first").unwrap_err();
    assert_eq!(failure.status, QMP_ERR_TOO_LARGE, "{failure:?}");
}

#[test]
fn f62_of_two_calls_the_one_is_told_whose_id_the_message_has() {
    let server = Hostile::negotiated(|peer| {
        let (first, second) = (peer.command(), peer.command());
        let (large, small) = if first.name == "large" {
            (first, second)
        } else {
            (second, first)
        };
        let reply = reply_of(&large, 2 * LIMIT as usize);
        peer.send(reply);
        peer.succeed(&small, "7");
        peer.wait_for_end();
    });
    let client = connect_with_limit(&server);
    thread::scope(|scope| {
        scope.spawn(|| assert_eq!(client.call("large").unwrap_err().status, QMP_ERR_TOO_LARGE));
        scope.spawn(|| assert_eq!(client.call("small").as_deref(), Ok("7")));
    });
}

#[test]
fn f62_an_event_over_the_limit_is_skipped() {
    let server = Hostile::negotiated(|peer| {
        let command = peer.command();
        let padding = "x".repeat(LIMIT as usize);
        peer.send("{\"event\": \"BEFORE\"}");
        peer.succeed(&command, "1");
        peer.send(format!(
            "{{\"event\": \"HUGE\", \"data\": \"{padding}\"}}{{\"event\": \"AFTER\"}}"
        ));
        peer.answer("2");
    });
    let client = connect_with_limit(&server);
    assert_eq!(client.call("first").as_deref(), Ok("1"));
    assert_eq!(client.event().as_deref(), Ok("BEFORE"));
    assert_eq!(client.event().as_deref(), Ok("AFTER"));
    assert_eq!(client.call("second").as_deref(), Ok("2"));
}

#[test]
fn f59_nesting_as_deep_as_qemu_takes_is_fine() {
    let value = "[".repeat(1000) + &"]".repeat(1000);
    assert_eq!(
        call_answered_by(format!("{{\"return\": {value}, \"id\": ID}}")),
        Ok(value)
    );
}

#[test]
fn f60_a_million_brackets_are_too_many() {
    too_large(|peer, command| {
        let value = "[".repeat(1_000_000) + &"]".repeat(1_000_000);
        peer.succeed(command, &value);
    });
    let server = Hostile::negotiated(|peer| {
        peer.command();
        peer.send("{\"a\": ");
        peer.send_until_refused(&[b'['; 4096], 1_000_000);
        peer.wait_for_end();
    });
    assert_eq!(
        connect(&server).call("first").unwrap_err().status,
        QMP_ERR_TOO_LARGE
    );
}

#[test]
fn f63_endless_blanks_end_the_connection() {
    let server = Hostile::negotiated(|peer| {
        peer.command();
        let sent = peer.send_until_refused(&[b' '; 65536], 64 << 20);
        assert!(sent < 8 << 20, "{sent} bytes were taken");
    });
    let client = connect_with_limit(&server);
    assert_eq!(client.call("first").unwrap_err().status, QMP_ERR_TOO_LARGE);
    assert_eq!(
        client.call("second").unwrap_err().status,
        QMP_ERR_DISCONNECTED
    );
}

/// However deep a message is, the caller's stack does not matter.
#[test]
fn f60_a_million_levels_on_a_stack_of_64_kib() {
    for closing in ["]", ""] {
        let server = Hostile::negotiated(move |peer| {
            let command = peer.command();
            peer.send(format!("{{\"id\": {}, \"return\": ", command.id));
            peer.send_until_refused(&[b'['; 1000], 1_000_000);
            if !closing.is_empty() {
                peer.send(closing.repeat(1_000_000) + "}");
                peer.answer("2");
            }
            peer.wait_for_end();
        });
        let client = connect(&server);
        let call = move || {
            let failure = client.call("first").unwrap_err();
            assert_eq!(failure.status, QMP_ERR_TOO_LARGE, "{failure:?}");
            if !closing.is_empty() {
                assert_eq!(client.call("second").as_deref(), Ok("2"));
            }
        };
        let small = thread::Builder::new().stack_size(64 << 10);
        small.spawn(call).unwrap().join().unwrap();
    }
}
