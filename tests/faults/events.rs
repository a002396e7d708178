// SPDX-License-Identifier: MIT OR Apache-2.0
//! Events: in wire order, bounded, with every loss counted, and never in the way of a reply.

use std::io::Write;
use std::thread;

use qmp::ffi::*;

use super::support::LONG;
use super::support::client::{Client, Event, Options};
use super::support::hostile::Hostile;
use super::{call_answered_by, connect};

fn connect_with_capacity(server: &Hostile, events: u64) -> Client {
    let options = Options {
        event_capacity: Some(events),
        ..Options::default()
    };
    Client::connect_with(&server.address(), options, LONG).unwrap()
}

/// All that wait at this moment.
fn drain(client: &Client) -> Vec<Event> {
    std::iter::from_fn(|| client.poll_event(0).ok()).collect()
}

#[test]
fn f70_an_event_before_a_reply_is_there_when_the_call_returns() {
    let server = Hostile::negotiated(|peer| {
        while let Some(command) = peer.next_command() {
            peer.send(
                "{\"timestamp\": {\"seconds\": 12, \"microseconds\": 34}, \"event\": \"STOP\"}\r\n\
                 {\"event\": \"RESUME\", \"data\": {\"a\":  1}, \"id\": 1, \"news\": null}\r\n",
            );
            peer.succeed(&command, "{}");
        }
    });
    let client = connect(&server);
    assert_eq!(client.poll_event(0).unwrap_err().status, QMP_ERR_TIMEOUT);
    for round in 0..100 {
        client.call("stop").unwrap();
        let (stop, resume) = (client.poll_event(0).unwrap(), client.poll_event(0).unwrap());
        assert_eq!(
            (stop.kind, stop.name.as_str(), stop.data),
            (QMP_EVENT_VM, "STOP", None)
        );
        assert_eq!((stop.seconds, stop.microseconds), (12, 34));
        assert_eq!((stop.sequence, stop.lost), (2 * round + 1, 0));
        assert_eq!(
            resume.json,
            r#"{"event": "RESUME", "data": {"a":  1}, "id": 1, "news": null}"#
        );
        assert_eq!(
            (resume.name.as_str(), resume.data.as_deref()),
            ("RESUME", Some("{\"a\":  1}"))
        );
        assert_eq!(
            (resume.seconds, resume.microseconds, resume.sequence),
            (-1, -1, 2 * round + 2)
        );
    }
    assert_eq!(client.poll_event(0).unwrap_err().status, QMP_ERR_TIMEOUT);
}

#[test]
fn f72_odd_events_are_skipped_or_delivered_as_they_are() {
    let server = Hostile::negotiated(|peer| {
        peer.send("{\"event\": 5}{\"event\": null, \"data\": {}}{\"event\": [\"STOP\"]}");
        peer.send("{\"event\": \"A\", \"data\": 7, \"timestamp\": \"noon\"}");
        peer.send("{\"event\": \"B\", \"timestamp\": {\"seconds\": -1, \"microseconds\": -1}, \"data\": null}");
        peer.send("{\"event\": \"\", \"return\": 1, \"id\": 1}");
        peer.answer("1");
    });
    let client = connect(&server);
    assert_eq!(client.call("first").as_deref(), Ok("1"));
    let seen: Vec<_> = drain(&client)
        .into_iter()
        .map(|event| (event.name, event.data, event.seconds, event.sequence))
        .collect();
    let data = |text: &str| Some(text.to_owned());
    assert_eq!(
        seen,
        [
            ("A".to_owned(), data("7"), -1, 1),
            ("B".to_owned(), data("null"), -1, 2),
            (String::new(), None, -1, 3)
        ]
    );
}

#[test]
fn f71_an_overflow_is_counted_and_bounded() {
    const EVENTS: u64 = 100_000;
    const CAPACITY: u64 = 16;
    let server = Hostile::negotiated(|peer| {
        peer.send("{\"event\": \"WATCHDOG\"}\r\n".repeat(EVENTS as usize));
        peer.answer("1");
    });
    let client = connect_with_capacity(&server, CAPACITY);
    assert_eq!(client.call("first").as_deref(), Ok("1"));
    let kept = drain(&client);
    assert_eq!(kept.len() as u64, CAPACITY);
    assert_eq!(kept[0].lost, EVENTS - CAPACITY);
    for (place, event) in (1..).zip(&kept) {
        assert_eq!(event.sequence, EVENTS - CAPACITY + place);
    }
    assert!(kept[1..].iter().all(|event| event.lost == 0));
}

#[test]
fn f71_what_a_manager_lives_by_is_the_last_to_go() {
    const EVENTS: u64 = 10_000;
    let server = Hostile::negotiated(|peer| {
        peer.send("{\"event\": \"STOP\"}{\"event\": \"RESUME\"}");
        peer.send("{\"event\": \"GUEST_PANICKED\"}");
        peer.send("{\"event\": \"JOB_STATUS_CHANGE\", \"data\": {\"status\": \"concluded\", \"id\": \"j\"}}");
        peer.send("{\"event\": \"BLOCK_JOB_COMPLETED\"}");
        peer.send("{\"event\": \"SHUTDOWN\"}");
        peer.send("{\"event\": \"RTC_CHANGE\"}\r\n".repeat(EVENTS as usize));
        peer.answer("1");
    });
    let client = connect_with_capacity(&server, 8);
    assert_eq!(client.call("first").as_deref(), Ok("1"));
    let kept = drain(&client);
    let names: Vec<&str> = kept.iter().map(|event| event.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "STOP",
            "RESUME",
            "GUEST_PANICKED",
            "JOB_STATUS_CHANGE",
            "BLOCK_JOB_COMPLETED",
            "SHUTDOWN",
            "RTC_CHANGE",
            "RTC_CHANGE"
        ]
    );
    let lost: u64 = kept.iter().map(|event| event.lost).sum();
    assert_eq!(lost + kept.len() as u64, EVENTS + 6);
}

#[test]
fn f71_an_endless_flood_delays_no_reply_and_no_deadline() {
    let server = Hostile::negotiated(|peer| {
        let mut flooding = peer.stream.try_clone().unwrap();
        let flood = thread::spawn(move || {
            // Small enough that the kernel takes them whole: replies fall between them.
            let events =
                "{\"event\": \"WATCHDOG\", \"data\": {\"action\": \"none\"}}\r\n".repeat(16);
            while flooding.write_all(events.as_bytes()).is_ok() {}
        });
        while let Some(command) = peer.next_command() {
            if command.name != "unanswered" {
                peer.succeed(&command, &format!("\"{}\"", command.name));
            }
        }
        flood.join().unwrap();
    });
    let client = connect_with_capacity(&server, 64);
    for call in 0..100 {
        let name = format!("call-{call}");
        assert_eq!(client.call(&name), Ok(format!("\"{name}\"")));
        if call % 20 == 0 {
            assert_eq!(
                client.execute("unanswered", None, 50).unwrap_err().kind(),
                (QMP_ERR_TIMEOUT, true)
            );
        }
    }
    assert!(client.poll_event(LONG).unwrap().sequence > 0);
}

#[test]
fn f71_events_come_while_nobody_calls() {
    const EVENTS: usize = 100_000;
    let server = Hostile::negotiated(|peer| {
        peer.send("{\"event\": \"WATCHDOG\"}\r\n".repeat(EVENTS)); // more than the socket holds
        peer.send("{\"event\": \"SHUTDOWN\"}");
    });
    let client = connect_with_capacity(&server, 16);
    server.finish(); // all of it has been taken from the socket, and nobody has called
    let events: Vec<Event> = std::iter::from_fn(|| client.poll_event(LONG).ok()).collect();
    let lost: u64 = events.iter().map(|event| event.lost).sum();
    assert_eq!(lost + events.len() as u64, EVENTS as u64 + 1);
    assert_eq!(
        events.last().map(|event| event.name.as_str()),
        Some("SHUTDOWN")
    );
}

#[test]
fn f74_a_shutdown_event_alone_ends_nothing() {
    let server = Hostile::negotiated(|peer| {
        peer.send("{\"event\": \"SHUTDOWN\", \"data\": {\"guest\": true, \"reason\": \"guest-shutdown\"}}");
        peer.answer("1");
        peer.answer("2");
    });
    let client = connect(&server);
    assert_eq!(client.event().as_deref(), Ok("SHUTDOWN"));
    assert_eq!(client.call("first").as_deref(), Ok("1"));
    assert_eq!(client.call("second").as_deref(), Ok("2"));
}

#[test]
fn f73_an_event_with_an_id_is_no_reply() {
    let reply = "{\"event\": \"A\", \"id\": ID}{\"event\": \"B\", \"return\": 1, \"id\": ID}{\"return\": 2, \"id\": ID}";
    assert_eq!(call_answered_by(reply).as_deref(), Ok("2"));
}

/// One reset may be told several times, and a device's end once for its insides and once for itself.
#[test]
fn f76_events_that_repeat_are_all_delivered() {
    let deleted = [
        r#"{"path": "/machine/peripheral/r/virtio-backend"}"#,
        r#"{"device": "r", "path": "/machine/peripheral/r"}"#,
    ];
    let server = Hostile::negotiated(move |peer| {
        peer.send(r#"{"event": "RESET", "data": {"guest": true}}"#.repeat(4));
        for data in deleted {
            peer.send(format!(
                "{{\"event\": \"DEVICE_DELETED\", \"data\": {data}}}"
            ));
        }
        peer.send("{\"event\": \"RTC_CHANGE\"}".repeat(10_000));
        peer.answer("1");
    });
    let client = connect_with_capacity(&server, 8);
    assert_eq!(client.call("first").as_deref(), Ok("1"));
    let kept = drain(&client);
    assert!(kept[..4].iter().all(|event| event.name == "RESET"));
    let data: Vec<_> = kept[4..6]
        .iter()
        .map(|event| event.data.as_deref())
        .collect();
    assert_eq!(data, deleted.map(Some));
    assert!(kept[..6].iter().all(|event| event.lost == 0));
}
