// SPDX-License-Identifier: MIT OR Apache-2.0
//! Every way in which a connection ends: what had come is delivered, everybody who waits is told.

use std::net::Shutdown;
use std::thread;

use qmp::ffi::*;

use super::connect;
use super::support::LONG;
use super::support::client::Client;
use super::support::hostile::Hostile;

/// Calls and polls after the end say so, again and again, and at once.
fn is_over(client: &Client) {
    for _ in 0..2 {
        // First, for it waits for the end.
        assert_eq!(
            client.poll_event(-1).unwrap_err().status,
            QMP_ERR_DISCONNECTED
        );
        let failure = client.call("later").unwrap_err();
        assert_eq!(failure.kind(), (QMP_ERR_DISCONNECTED, false), "{failure:?}");
    }
}

#[test]
fn f28_an_end_inside_a_message_drops_that_message_alone() {
    let server = Hostile::negotiated(|peer| {
        let command = peer.command();
        peer.send(format!(
            "{{\"event\": \"BEFORE\"}}{{\"return\": 1, \"id\": {}",
            command.id
        ));
    });
    let client = connect(&server);
    let failure = client.call("first").unwrap_err();
    assert_eq!(failure.kind(), (QMP_ERR_DISCONNECTED, true), "{failure:?}");
    assert_eq!(client.event().as_deref(), Ok("BEFORE"));
    is_over(&client);
}

#[test]
fn f29_an_end_without_a_reply_is_told_to_everybody_who_waits() {
    const CALLERS: usize = 4;
    let server = Hostile::negotiated(|peer| {
        for _ in 0..CALLERS {
            peer.command();
        }
        peer.send(
            "{\"event\": \"SHUTDOWN\", \"data\": {\"guest\": false, \"reason\": \"host-signal\"}}",
        );
    });
    let client = connect(&server);
    thread::scope(|scope| {
        for _ in 0..CALLERS {
            scope.spawn(|| {
                let failure = client.call("first").unwrap_err();
                assert_eq!(failure.kind(), (QMP_ERR_DISCONNECTED, true), "{failure:?}");
            });
        }
        scope.spawn(|| {
            assert_eq!(client.event().as_deref(), Ok("SHUTDOWN"));
            assert_eq!(
                client.poll_event(-1).unwrap_err().status,
                QMP_ERR_DISCONNECTED
            );
        });
    });
    is_over(&client);
}

#[test]
fn an_end_while_nobody_calls_is_found_by_the_next_who_does() {
    let server = Hostile::negotiated(|peer| {
        let command = peer.command();
        peer.succeed(&command, "1");
        peer.send("{\"event\": \"SHUTDOWN\"}");
    });
    let client = connect(&server);
    assert_eq!(client.call("first").as_deref(), Ok("1"));
    server.finish();
    assert_eq!(client.event().as_deref(), Ok("SHUTDOWN"));
    let notice = client.poll_event(-1).unwrap_err();
    assert_eq!(notice.status, QMP_ERR_DISCONNECTED, "{notice:?}");
    is_over(&client);
}

#[test]
fn f75_an_end_without_shutdown_says_that_the_cause_is_unknown() {
    let server = Hostile::negotiated(|_| {});
    let client = connect(&server);
    let notice = client.poll_event(-1).unwrap_err();
    assert_eq!(notice.status, QMP_ERR_DISCONNECTED, "{notice:?}");
    assert!(notice.message.contains("unknown"), "{}", notice.message);
    is_over(&client);
}

/// A socket closed with bytes unread resets the connection; what it had sent is still there.
#[test]
fn f30_f31_a_reset_does_not_cost_what_was_sent_before_it() {
    for _ in 0..20 {
        let server = Hostile::negotiated(|peer| {
            peer.chunk = 1;
            let first = peer.command();
            peer.read_piece(1); // the other command has been sent; most of it is never read
            peer.succeed(&first, "1");
            peer.send("{\"event\": \"SHUTDOWN\"}");
        });
        let client = connect(&server);
        let results = thread::scope(|scope| {
            let calls = [
                scope.spawn(|| client.call("a")),
                scope.spawn(|| client.call("b")),
            ];
            calls.map(|call| call.join().unwrap())
        });
        let (answered, lost): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
        assert_eq!((answered.len(), lost.len()), (1, 1));
        assert_eq!(
            lost[0].as_ref().unwrap_err().kind(),
            (QMP_ERR_DISCONNECTED, true)
        );
        assert_eq!(client.event().as_deref(), Ok("SHUTDOWN"));
        is_over(&client);
    }
}

#[test]
fn f32_a_peer_that_ends_its_writing_has_ended() {
    let server = Hostile::negotiated(|peer| {
        peer.command();
        peer.half_close(Shutdown::Write);
        assert!(peer.next_command().is_none());
    });
    let client = connect(&server);
    let failure = client.call("first").unwrap_err();
    assert_eq!(failure.kind(), (QMP_ERR_DISCONNECTED, true), "{failure:?}");
    is_over(&client);
}

#[test]
fn f33_a_peer_that_ends_its_reading_may_still_answer() {
    let (done, client_is_done) = std::sync::mpsc::channel();
    let server = Hostile::negotiated(move |peer| {
        let command = peer.command();
        peer.half_close(Shutdown::Read);
        peer.send("{\"event\": \"BEFORE\"}");
        peer.succeed(&command, "1");
        client_is_done.recv().unwrap();
    });
    let client = connect(&server);
    assert_eq!(client.call("first").as_deref(), Ok("1"));
    let failure = client.call("second").unwrap_err();
    assert_eq!(failure.kind(), (QMP_ERR_DISCONNECTED, false), "{failure:?}");
    assert_eq!(client.event().as_deref(), Ok("BEFORE"));
    done.send(()).unwrap();
    is_over(&client);
}

/// The rest of the command cannot be sent any more, and its reply counts all the same.
#[test]
fn f33_a_reply_delivered_before_the_reading_ended_wins() {
    let big = format!("{{\"text\": \"{}\"}}", "x".repeat(2 << 20));
    for _ in 0..20 {
        let server = Hostile::negotiated(|peer| {
            peer.read_piece(1);
            peer.send("{\"return\": 1, \"id\": 1}");
            peer.half_close(Shutdown::Read);
        });
        let client = connect(&server);
        let reply = client.execute("first", Some(&big), LONG);
        assert_eq!(reply.as_deref(), Ok("1"));
        is_over(&client);
    }
}

#[test]
fn quit_is_answered_by_the_end() {
    let server = Hostile::negotiated(|peer| assert_eq!(peer.command().name, "quit"));
    assert_eq!(connect(&server).call("quit").as_deref(), Ok("{}"));
    let server = Hostile::negotiated(|peer| {
        let command = peer.command();
        peer.send("{\"event\": \"SHUTDOWN\"}");
        peer.succeed(&command, "{\"by\": \"reply\"}");
    });
    let client = connect(&server);
    assert_eq!(client.call("quit").as_deref(), Ok("{\"by\": \"reply\"}"));
    assert_eq!(client.event().as_deref(), Ok("SHUTDOWN"));
    is_over(&client);
}
