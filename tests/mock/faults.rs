// SPDX-License-Identifier: MIT OR Apache-2.0
//! Every fault of the mock, by its name, at every place where it may be: what a caller sees of it.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use qmp::ffi::*;
use qmp::mock::{Mock, faults_json};
use serde_json::Value;

use super::support::client::{Client, Failure, Options};
use super::support::{LONG, wait_until};

/// What a call meets whose greeting or reply has a fault.
#[derive(Clone, Copy, Debug)]
enum Fate {
    /// Nothing amiss; the connection goes on.
    Fine,
    /// This status, and the connection goes on.
    Fails(i32),
    /// This status, and the connection has ended.
    Ends(i32),
    /// Success, and then the connection ends.
    LastReply,
    /// Time runs out, and the connection goes on.
    Silence,
    /// Time runs out: nothing comes any more.
    Stuck,
}

use Fate::*;

const GREETINGS: &[(&str, u64, Fate)] = &[
    ("bytewise", 0, Fine),
    ("slow-loris", 1, Fine),
    ("pretty", 0, Fine),
    ("no-newline", 0, Fine),
    ("blank-lines", 0, Fine),
    ("bom", 0, Fine),
    ("ff", 0, Fine),
    ("garbage", 0, Fails(QMP_ERR_PROTOCOL)),
    ("array", 0, Fails(QMP_ERR_PROTOCOL)),
    ("scalar", 0, Fails(QMP_ERR_PROTOCOL)),
    ("http", 0, Fails(QMP_ERR_PROTOCOL)),
    ("hmp", 0, Fails(QMP_ERR_PROTOCOL)),
    ("tls", 0, Fails(QMP_ERR_PROTOCOL)),
    ("not-qmp", 0, Fails(QMP_ERR_PROTOCOL)),
    ("silent", 0, Fails(QMP_ERR_BUSY)),
    ("twice", 0, Fine),
    ("event-first", 0, Fine),
    ("huge", 32 << 20, Fails(QMP_ERR_TOO_LARGE)),
    ("endless-string", 0, Fails(QMP_ERR_TOO_LARGE)),
    ("endless-blanks", 0, Fails(QMP_ERR_TOO_LARGE)),
    ("deep", 0, Fine),
    ("bottomless", 0, Fails(QMP_ERR_TOO_LARGE)),
    ("many-keys", 20_000, Fine),
    ("big-number", 0, Fine),
    ("not-json", 0, Fails(QMP_ERR_PROTOCOL)),
    ("bad-utf8", 0, Fails(QMP_ERR_PROTOCOL)),
    ("raw-surrogate", 0, Fails(QMP_ERR_PROTOCOL)),
    ("raw-nul", 0, Fails(QMP_ERR_PROTOCOL)),
    ("lone-surrogate", 0, Fine),
    ("escaped-nul", 0, Fine),
    ("unknown-members", 0, Fine),
    ("duplicate-keys", 0, Fine),
    ("cut", 0, Fails(QMP_ERR_DISCONNECTED)),
    ("close", 0, Fails(QMP_ERR_DISCONNECTED)),
    ("reset", 0, Fails(QMP_ERR_DISCONNECTED)),
    ("close-after", 0, Fails(QMP_ERR_DISCONNECTED)),
    ("reset-after", 0, Fails(QMP_ERR_DISCONNECTED)),
    ("half-close", 0, Fails(QMP_ERR_DISCONNECTED)),
    ("half-close-reading", 0, Fails(QMP_ERR_DISCONNECTED)),
    ("stop-reading", 0, Fails(QMP_ERR_TIMEOUT)),
    ("slow-reading", 0, Fine),
    ("flood", 1000, Fine),
    ("no-version", 0, Fine),
    ("odd-capabilities", 0, Fine),
];

const REPLIES: &[(&str, u64, Fate)] = &[
    ("bytewise", 0, Fine),
    ("slow-loris", 1, Fine),
    ("pretty", 0, Fine),
    ("no-newline", 0, Fine),
    ("blank-lines", 0, Fine),
    ("bom", 0, Fine),
    ("ff", 0, Fine),
    ("garbage", 0, Ends(QMP_ERR_PROTOCOL)),
    ("array", 0, Fine),
    ("scalar", 0, Fine),
    ("http", 0, Ends(QMP_ERR_PROTOCOL)),
    ("hmp", 0, Ends(QMP_ERR_PROTOCOL)),
    ("tls", 0, Ends(QMP_ERR_PROTOCOL)),
    ("not-qmp", 0, Silence),
    ("silent", 0, Silence),
    ("twice", 0, Fine),
    ("event-first", 0, Fine),
    ("huge", 1 << 20, Fine),
    ("huge", 0, Fails(QMP_ERR_TOO_LARGE)),
    ("endless-string", 0, Fails(QMP_ERR_TOO_LARGE)),
    ("endless-blanks", 0, Fails(QMP_ERR_TOO_LARGE)),
    ("deep", 0, Fine),
    ("deep", 1_000_000, Fails(QMP_ERR_TOO_LARGE)),
    ("bottomless", 0, Fails(QMP_ERR_TOO_LARGE)),
    ("many-keys", 0, Fine),
    ("big-number", 0, Fine),
    ("not-json", 0, Fails(QMP_ERR_PROTOCOL)),
    ("bad-utf8", 0, Fails(QMP_ERR_PROTOCOL)),
    ("raw-surrogate", 0, Fails(QMP_ERR_PROTOCOL)),
    ("raw-nul", 0, Fails(QMP_ERR_PROTOCOL)),
    ("lone-surrogate", 0, Fine),
    ("escaped-nul", 0, Fine),
    ("unknown-members", 0, Fine),
    ("duplicate-keys", 0, Fine),
    ("cut", 0, Ends(QMP_ERR_DISCONNECTED)),
    ("close", 0, Ends(QMP_ERR_DISCONNECTED)),
    ("reset", 0, Ends(QMP_ERR_DISCONNECTED)),
    ("close-after", 0, LastReply),
    ("reset-after", 0, LastReply),
    ("half-close", 0, LastReply),
    ("half-close-reading", 0, Stuck),
    ("stop-reading", 0, Stuck),
    ("slow-reading", 0, Fine),
    ("flood", 0, Fine),
    ("reordered", 1, Fine),
    ("unknown-id", 0, Silence),
    ("text-id", 0, Silence),
    ("no-id", 0, Silence),
    ("stray-first", 0, Fine),
    ("error-without-id", 0, Fails(QMP_ERR_COMMAND)),
    ("both", 0, Fails(QMP_ERR_PROTOCOL)),
    ("neither", 0, Fails(QMP_ERR_PROTOCOL)),
    ("unknown-class", 0, Fails(QMP_ERR_COMMAND)),
    ("no-class", 0, Fails(QMP_ERR_COMMAND)),
    ("error-as-string", 0, Fails(QMP_ERR_COMMAND)),
];

/// Whether the event with the fault is heard.
const EVENTS: &[(&str, u64, bool)] = &[
    ("bytewise", 0, true),
    ("slow-loris", 1, true),
    ("pretty", 0, true),
    ("no-newline", 0, true),
    ("blank-lines", 0, true),
    ("bom", 0, true),
    ("ff", 0, true),
    ("garbage", 0, false),
    ("array", 0, true),
    ("scalar", 0, true),
    ("http", 0, false),
    ("hmp", 0, false),
    ("tls", 0, false),
    ("not-qmp", 0, false),
    ("silent", 0, false),
    ("twice", 0, true),
    ("event-first", 0, true),
    ("huge", 1 << 20, true),
    ("huge", 0, false),
    ("endless-string", 0, false),
    ("endless-blanks", 0, false),
    ("deep", 0, true),
    ("bottomless", 0, false),
    ("many-keys", 0, true),
    ("big-number", 0, true),
    ("not-json", 0, false),
    ("bad-utf8", 0, false),
    ("raw-surrogate", 0, false),
    ("raw-nul", 0, false),
    ("lone-surrogate", 0, true),
    ("escaped-nul", 0, true),
    ("unknown-members", 0, true),
    ("duplicate-keys", 0, true),
    ("cut", 0, false),
    ("close", 0, false),
    ("reset", 0, false),
    ("close-after", 0, true),
    ("reset-after", 0, true),
    ("half-close", 0, true),
    ("half-close-reading", 0, true),
    ("stop-reading", 0, true),
    ("slow-reading", 0, true),
    ("flood", 100, true),
    ("no-timestamp", 0, true),
    ("odd-timestamp", 0, true),
    ("no-data", 0, true),
    ("odd-name", 0, false),
    ("event-with-id", 0, true),
];

/// Long enough for what comes, when nothing is to come.
const SHORT: i64 = 1000;

#[test]
fn every_fault_of_a_greeting_is_met() {
    every_one_is_listed("greeting", GREETINGS.iter().map(|row| row.0));
    for (fault, amount, fate) in GREETINGS {
        let mock = Mock::start_temporary().unwrap();
        mock.fault("greeting", fault, *amount, Some(1)).unwrap();
        let begun = Instant::now();
        let connected = connect(&mock, time_for(*fate));
        match (fate, connected) {
            (Fine, Ok(client)) => assert_eq!(client.call("stop").as_deref(), Ok("{}"), "{fault}"),
            (Fails(status), Err(failure)) => {
                assert_eq!(failure.status, *status, "{fault}: {failure:?}")
            }
            (_, Ok(_)) => panic!("{fault}: connected"),
            (_, Err(failure)) => panic!("{fault}: {failure:?}"),
        }
        assert!(
            begun.elapsed() < Duration::from_millis(LONG as u64),
            "{fault}"
        );
    }
}

#[test]
fn every_fault_of_a_reply_is_met() {
    every_one_is_listed("reply", REPLIES.iter().map(|row| row.0));
    for (fault, amount, fate) in REPLIES {
        let mock = Mock::start_temporary().unwrap();
        let client = connect(&mock, LONG).unwrap();
        mock.fault("query-name", fault, *amount, Some(1)).unwrap();
        let outcome = client.execute("query-name", None, time_for(*fate));
        let status = outcome
            .as_ref()
            .map_or_else(|failure| failure.status, |_| QMP_OK);
        let expected = match fate {
            Fine | LastReply => QMP_OK,
            Fails(status) | Ends(status) => *status,
            Silence => QMP_ERR_TIMEOUT,
            Stuck => QMP_OK,
        };
        assert_eq!(status, expected, "{fault} {amount}: {outcome:?}");
        // What never ends cannot be followed by a reply.
        let endless = fault.ends_with("less") || fault.starts_with("endless");
        let time = if endless { SHORT } else { time_for(*fate) };
        let next = client.execute("query-name", None, time);
        match fate {
            Stuck => assert!(next.is_err(), "{fault}: {next:?}"),
            _ if endless => assert!(next.is_err(), "{fault}: {next:?}"),
            Fine | Fails(_) | Silence => assert_eq!(next.as_deref(), Ok("{}"), "{fault} {amount}"),
            Ends(_) | LastReply => {
                assert_eq!(
                    next.map_err(|failure| failure.status),
                    Err(QMP_ERR_DISCONNECTED),
                    "{fault}"
                );
            }
        }
    }
}

#[test]
fn every_fault_of_an_event_is_met() {
    every_one_is_listed("event", EVENTS.iter().map(|row| row.0));
    for (fault, amount, heard) in EVENTS {
        let mock = Mock::start_temporary().unwrap();
        let client = connect(&mock, LONG).unwrap();
        mock.fault("event", fault, *amount, Some(1)).unwrap();
        mock.emit("VERY_SPECIAL", None).unwrap();
        // A fault that ends everything is over when this is.
        let after = client.execute("query-name", None, SHORT);
        let mut events = Vec::new();
        while let Ok(event) = client.poll_event(0) {
            events.push(event.name);
        }
        let is_there = events.iter().any(|name| name == "VERY_SPECIAL");
        assert_eq!(is_there, *heard, "{fault}: {events:?}, then {after:?}");
    }
}

#[test]
fn a_reset_is_one_and_an_end_is_one() {
    for (address, fault) in [("tcp:127.0.0.1:0", "reset"), ("tcp:[::1]:0", "reset")] {
        let mock = Mock::start(address.as_bytes()).unwrap();
        let client = connect(&mock, LONG).unwrap();
        mock.fault("stop", fault, 0, Some(1)).unwrap();
        let failure = client.call("stop").unwrap_err();
        assert_eq!(failure.status, QMP_ERR_DISCONNECTED);
        assert_eq!(failure.os_errno, libc::ECONNRESET, "{failure:?}");
    }
    let mock = Mock::start_temporary().unwrap();
    for (fault, errno) in [("reset", libc::ECONNRESET), ("close", 0)] {
        let client = connect(&mock, LONG).unwrap();
        mock.fault("stop", fault, 0, Some(1)).unwrap();
        assert_eq!(client.call("stop").unwrap_err().os_errno, errno, "{fault}");
    }
}

#[test]
fn replies_can_change_places() {
    let mock = Mock::start_temporary().unwrap();
    let client = connect(&mock, LONG).unwrap();
    mock.fault("query-*", "reordered", 2, Some(2)).unwrap();
    std::thread::scope(|scope| {
        let first = scope.spawn(|| client.call("query-name"));
        wait_until("the first command", || mock.count("query-name") == 1);
        let second = scope.spawn(|| client.call("query-status"));
        assert_eq!(first.join().unwrap().as_deref(), Ok("{}"));
        assert!(second.join().unwrap().unwrap().contains("running"));
    });
}

fn connect(mock: &Mock, timeout_ms: i64) -> Result<Client, Failure> {
    let address = std::str::from_utf8(mock.address()).unwrap();
    let options = Options {
        max_message_bytes: Some(8 << 20),
        ..Options::default()
    };
    Client::connect_with(address, options, timeout_ms)
}

fn time_for(fate: Fate) -> i64 {
    match fate {
        Silence | Stuck | Fails(QMP_ERR_BUSY | QMP_ERR_TIMEOUT) => SHORT,
        _ => LONG,
    }
}

/// The tables above have every fault that the mock has at a place.
fn every_one_is_listed<'a>(place: &str, tested: impl Iterator<Item = &'a str>) {
    let all: Value = serde_json::from_str(&faults_json()).unwrap();
    let here = |fault: &&Value| {
        fault["places"]
            .as_array()
            .unwrap()
            .iter()
            .any(|at| at == place)
    };
    let all: BTreeSet<&str> = all
        .as_array()
        .unwrap()
        .iter()
        .filter(here)
        .map(|fault| fault["fault"].as_str().unwrap())
        .collect();
    assert_eq!(tested.collect::<BTreeSet<_>>(), all);
}
