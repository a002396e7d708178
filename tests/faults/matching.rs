// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which reply belongs to which call: by id alone, whatever else comes.

use std::collections::HashSet;
use std::sync::Arc;
use std::thread;

use qmp::ffi::*;

use super::support::client::{Cancel, Client, Log, Options};
use super::support::hostile::{Command, Hostile};
use super::support::{LONG, wait_until};
use super::{call_answered_by, connect, with_id};

/// Whatever comes before its own reply, the call gets its own reply, and so does the next one.
fn ignored(stray: &'static str) {
    let server = Hostile::negotiated(move |peer| {
        let command = peer.command();
        peer.send(with_id(stray.as_bytes(), command.id));
        peer.succeed(&command, "1");
        peer.send(with_id(stray.as_bytes(), command.id));
        peer.answer("2");
    });
    let client = connect(&server);
    assert_eq!(client.call("first").as_deref(), Ok("1"), "{stray}");
    assert_eq!(client.call("second").as_deref(), Ok("2"), "{stray}");
}

#[test]
fn f41_unknown_ids_complete_nothing() {
    ignored("{\"return\": 0, \"id\": 999999}");
    ignored("{\"return\": 0, \"id\": 0}");
    ignored("{\"id\": 999999, \"error\": {\"class\": \"GenericError\", \"desc\": \"foreign\"}}");
    ignored("{\"id\": 18446744073709551615, \"return\": 0}");
}

#[test]
fn f45_ids_of_another_type_complete_nothing() {
    for id in [
        "\"ID\"",
        "ID.0",
        "IDe0",
        "-ID",
        "[ID]",
        "{\"id\": ID}",
        "null",
        "true",
        "1e400",
    ] {
        let stray = format!("{{\"return\": 0, \"id\": {id}}}");
        ignored(stray.leak());
        let stray = format!(
            "{{\"id\": {id}, \"error\": {{\"class\": \"GenericError\", \"desc\": \"x\"}}}}"
        );
        ignored(stray.leak());
    }
}

#[test]
fn f43_a_success_without_an_id_completes_nothing() {
    ignored("{\"return\": 0}");
}

#[test]
fn f42_a_second_reply_completes_nothing() {
    let server = Hostile::negotiated(|peer| {
        let first = peer.command();
        peer.succeed(&first, "1");
        peer.succeed(&first, "\"again\"");
        let second = peer.command();
        peer.succeed(&first, "\"and again\"");
        peer.fail(&first, "GenericError", "and again");
        peer.succeed(&second, "2");
    });
    let client = connect(&server);
    assert_eq!(client.call("first").as_deref(), Ok("1"));
    assert_eq!(client.call("second").as_deref(), Ok("2"));
}

#[test]
fn f44_an_error_without_an_id_fails_the_only_call() {
    let failure =
        call_answered_by(r#"{"error": {"class": "GenericError", "desc": "JSON parse error"}}"#)
            .unwrap_err();
    assert_eq!(failure.kind(), (QMP_ERR_COMMAND, false), "{failure:?}");
    assert_eq!(
        (failure.class.as_str(), failure.description.as_str()),
        ("GenericError", "JSON parse error")
    );
}

#[test]
fn f44_further_errors_without_an_id_fail_nothing() {
    let server = Hostile::negotiated(|peer| {
        let anonymous = r#"{"error": {"class": "GenericError", "desc": "JSON parse error"}}"#;
        peer.command();
        peer.send(anonymous.repeat(1000));
        peer.send("{\"event\": \"ALL_SENT\"}");
        peer.answer("2");
    });
    let client = connect(&server);
    assert_eq!(client.call("first").unwrap_err().status, QMP_ERR_COMMAND);
    assert_eq!(client.event().as_deref(), Ok("ALL_SENT"));
    assert_eq!(client.call("second").as_deref(), Ok("2"));
}

#[test]
fn f44_an_error_without_an_id_fails_nobody_when_it_could_be_either() {
    let server = Hostile::negotiated(|peer| {
        let commands = [peer.command(), peer.command()];
        peer.send(r#"{"error": {"class": "GenericError", "desc": "JSON parse error"}}"#);
        for command in &commands {
            peer.succeed(command, &format!("\"{}\"", command.name));
        }
    });
    let client = connect(&server);
    thread::scope(|scope| {
        for name in ["first", "second"] {
            let client = &client;
            scope.spawn(move || assert_eq!(client.call(name), Ok(format!("\"{name}\""))));
        }
    });
}

#[test]
fn f46_replies_come_in_any_order() {
    const CALLS: usize = 16;
    let server = Hostile::negotiated(|peer| {
        let commands: Vec<Command> = (0..CALLS).map(|_| peer.command()).collect();
        for command in commands.iter().rev() {
            peer.succeed(command, &command.arguments["number"].to_string());
        }
    });
    let client = connect(&server);
    thread::scope(|scope| {
        for number in 0..CALLS {
            let client = &client;
            scope.spawn(move || {
                let arguments = format!("{{\"number\": {number}}}");
                assert_eq!(
                    client.execute("count", Some(&arguments), LONG),
                    Ok(number.to_string())
                );
            });
        }
    });
}

#[test]
fn f47_a_late_reply_is_dropped_and_no_id_comes_twice() {
    const ROUNDS: usize = 10;
    let server = Hostile::negotiated(|peer| {
        let mut ids = HashSet::new();
        for _ in 0..ROUNDS {
            let given_up = peer.command();
            let next = peer.command(); // sent when the call before has given up
            peer.succeed(&given_up, "\"late\"");
            peer.succeed(&next, "\"in time\"");
            assert!(
                ids.insert(given_up.id) && ids.insert(next.id),
                "an id came twice"
            );
        }
    });
    let client = connect(&server);
    for _ in 0..ROUNDS {
        let failure = client.execute("slow", None, 100).unwrap_err();
        assert_eq!(failure.kind(), (QMP_ERR_TIMEOUT, true), "{failure:?}");
        assert_eq!(client.call("quick").as_deref(), Ok("\"in time\""));
    }
}

#[test]
fn f100_many_threads_share_a_connection_without_a_mix_up() {
    let server = Hostile::negotiated(|peer| {
        while let Some(command) = peer.next_command() {
            peer.send("{\"event\": \"NOISE\"}");
            peer.succeed(&command, &command.arguments["number"].to_string());
        }
    });
    let client = connect(&server);
    thread::scope(|scope| {
        for thread in 0..8 {
            let client = &client;
            scope.spawn(move || {
                for call in 0..500 {
                    let number = (thread * 1000 + call).to_string();
                    let arguments = format!("{{\"number\": {number}}}");
                    assert_eq!(client.execute("count", Some(&arguments), LONG), Ok(number));
                }
            });
        }
    });
    drop(client);
    server.finish();
}

#[test]
fn f47_the_late_reply_of_a_cancelled_call_is_dropped() {
    let cancel = Arc::new(Cancel::new());
    let token = cancel.clone();
    let server = Hostile::negotiated(move |peer| {
        let given_up = peer.command();
        token.trigger();
        let next = peer.command();
        peer.succeed(&given_up, "\"late\"");
        peer.succeed(&next, "\"in time\"");
        assert!(next.id > given_up.id);
    });
    let client = connect(&server);
    let failure = client
        .execute_until("slow", None, LONG, Some(&cancel))
        .unwrap_err();
    assert_eq!(failure.kind(), (QMP_ERR_CANCELLED, true), "{failure:?}");
    assert_eq!(client.call("quick").as_deref(), Ok("\"in time\""));
}

#[test]
fn f41_f43_f44_f45_f47_what_is_dropped_is_logged() {
    let server = Hostile::negotiated(|peer| {
        let given_up = peer.command();
        let next = peer.command();
        peer.send(r#"{"return": 0, "id": 999999}{"return": 0, "id": "1"}"#);
        peer.send(r#"{"return": 0}{"error": {"class": "GenericError", "desc": "whose?"}}"#);
        peer.succeed(&given_up, "0");
        peer.succeed(&next, "1");
    });
    let (log, address) = (Log::default(), server.address());
    let client =
        Client::connect_logged(&address, Options::default(), LONG, Some(log.logger())).unwrap();
    client.execute("slow", None, 100).unwrap_err();
    assert_eq!(client.call("quick").as_deref(), Ok("1"));
    wait_until("all to be logged", || {
        let dropped = |why| {
            log.lines(QMP_LOG_WARN, &format!("dropped a reply: {why}"))
                .len()
        };
        // Two commands were under way, so the error may be either's.
        (dropped("Foreign"), dropped("Anonymous"), dropped("Late")) == (2, 2, 1)
    });
}
