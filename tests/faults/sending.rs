// SPDX-License-Identifier: MIT OR Apache-2.0
//! A peer that does not read, or reads slowly: deadlines hold, and no command is ever cut in two.

use std::io::Read;
use std::sync::mpsc;
use std::thread;

use qmp::ffi::*;

use super::connect;
use super::support::LONG;
use super::support::hostile::Hostile;

/// Far more than a socket's buffers hold.
fn big() -> String {
    format!("{{\"text\": \"{}\"}}", "x".repeat(2 << 20))
}

#[test]
fn f34_a_command_sent_in_part_ends_the_connection_at_its_deadline() {
    let (done, client_is_done) = mpsc::channel();
    let server = Hostile::negotiated(move |peer| {
        client_is_done.recv().unwrap();
        let mut rest = Vec::new();
        let _ = peer.stream.read_to_end(&mut rest); // a reset is as good an end
        assert!(
            serde_json::from_slice::<serde_json::Value>(&rest).is_err_and(|error| error.is_eof())
        );
    });
    let client = connect(&server);
    assert_eq!(
        client
            .execute("big", Some(&big()), 1000)
            .unwrap_err()
            .status,
        QMP_ERR_TIMEOUT
    );
    let failure = client.call("next").unwrap_err();
    assert_eq!(failure.kind(), (QMP_ERR_DISCONNECTED, false), "{failure:?}");
    done.send(()).unwrap();
}

#[test]
fn f34_a_command_of_which_nothing_was_sent_is_withdrawn() {
    let (started, big_is_on_its_way) = mpsc::channel();
    let (given_up, small_has_given_up) = mpsc::channel();
    let server = Hostile::negotiated(move |peer| {
        peer.read_piece(1);
        started.send(()).unwrap();
        small_has_given_up.recv().unwrap();
        for expected in ["big", "after"] {
            let command = peer.command();
            assert_eq!(command.name, expected);
            peer.succeed(&command, "1");
        }
        peer.wait_for_end();
    });
    let client = connect(&server);
    thread::scope(|scope| {
        scope.spawn(|| {
            assert_eq!(
                client.execute("big", Some(&big()), LONG).as_deref(),
                Ok("1")
            )
        });
        big_is_on_its_way.recv().unwrap();
        for _ in 0..3 {
            let failure = client.execute("small", None, 100).unwrap_err();
            assert_eq!(failure.kind(), (QMP_ERR_TIMEOUT, false), "{failure:?}");
        }
        given_up.send(()).unwrap();
        assert_eq!(client.execute("after", None, LONG).as_deref(), Ok("1"));
    });
}

#[test]
fn f34_callers_behind_a_command_sent_in_part_learn_that_theirs_was_not() {
    let (done, clients_are_done) = mpsc::channel();
    let (started, big_is_on_its_way) = mpsc::channel();
    let server = Hostile::negotiated(move |peer| {
        peer.read_piece(1);
        started.send(()).unwrap();
        clients_are_done.recv().unwrap();
    });
    let client = connect(&server);
    thread::scope(|scope| {
        let cut = scope.spawn(|| {
            client
                .execute("big", Some(&big()), 1000)
                .unwrap_err()
                .status
        });
        big_is_on_its_way.recv().unwrap();
        let behind: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| client.call("small").unwrap_err().kind()))
            .collect();
        assert_eq!(cut.join().unwrap(), QMP_ERR_TIMEOUT);
        for caller in behind {
            assert_eq!(caller.join().unwrap(), (QMP_ERR_DISCONNECTED, false));
        }
    });
    done.send(()).unwrap();
}

#[test]
fn what_comes_is_read_while_a_command_is_being_sent() {
    const EVENTS: usize = 200_000;
    let server = Hostile::negotiated(|peer| {
        peer.send("{\"event\": \"WATCHDOG\", \"data\": {\"action\": \"none\"}}\r\n".repeat(EVENTS));
        peer.answer("1");
    });
    let client = connect(&server);
    assert_eq!(
        client.execute("big", Some(&big()), LONG).as_deref(),
        Ok("1")
    );
    let last = std::iter::from_fn(|| client.poll_event(0).ok())
        .last()
        .unwrap();
    assert_eq!(last.sequence, EVENTS as u64);
}

#[test]
fn f35_a_slow_reader_gets_the_whole_command() {
    let server = Hostile::negotiated(|peer| {
        let mut received = 0;
        while received < 2 << 20 {
            received += peer.read_piece(512);
        }
        peer.answer("1");
    });
    let client = connect(&server);
    assert_eq!(
        client.execute("big", Some(&big()), LONG).as_deref(),
        Ok("1")
    );
}

#[test]
fn f36_a_trickling_reply_does_not_move_the_deadline() {
    let (given_up, call_has_given_up) = mpsc::channel::<()>();
    let server = Hostile::negotiated(move |peer| {
        let command = peer.command();
        peer.send("{\"return\": \"");
        while call_has_given_up.try_recv().is_err() {
            peer.send("x");
            thread::sleep(std::time::Duration::from_millis(10)); // the fault itself
        }
        peer.send(format!("\", \"id\": {}}}", command.id));
        peer.answer("2");
    });
    let client = connect(&server);
    let failure = client.execute("first", None, 500).unwrap_err();
    assert_eq!(failure.kind(), (QMP_ERR_TIMEOUT, true), "{failure:?}");
    given_up.send(()).unwrap();
    assert_eq!(client.call("second").as_deref(), Ok("2"));
}
