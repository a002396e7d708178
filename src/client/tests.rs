// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who reads and who writes, against a server in this process.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use super::connect::shake_hands;
use super::{Connection, Options, Wait};
use crate::error::Status;
use crate::session::Ignored;
use crate::sys::fork::Before;
use crate::transport::{Target, memory};
use crate::wire::framing::{Frame, Framer, Limits, MAX_DEPTH};
use crate::wire::members;

const LONG: Duration = Duration::from_secs(30);

fn long() -> Wait<'static> {
    Wait::new(Some(LONG), None)
}

struct Server {
    stream: UnixStream,
    framer: Framer,
}

impl Server {
    fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).unwrap();
    }

    /// The next command's name and id; None at the end.
    fn command(&mut self) -> Option<(String, String)> {
        loop {
            if let Some(Frame::Message(object)) = self.framer.next() {
                let [name, id] = members(object.text, ["execute", "id"]);
                return Some((name.unwrap().to_owned(), id.unwrap().to_owned()));
            }
            let mut piece = [0; 4096];
            let got = self.stream.read(&mut piece).unwrap();
            if got == 0 {
                return None;
            }
            self.framer
                .buffer()
                .unwrap()
                .extend_from_slice(&piece[..got]);
        }
    }

    fn answer(&mut self, id: &str, value: &str) {
        self.send(&format!("{{\"return\": {value}, \"id\": {id}}}\r\n"));
    }
}

/// A connection whose server runs `script` once hands are shaken.
fn connected(script: impl FnOnce(&mut Server) + Send + 'static) -> Arc<Connection> {
    let (ours, stream) = memory::pair().unwrap();
    thread::spawn(move || {
        let limits = Limits {
            bytes: 1 << 26,
            depth: MAX_DEPTH,
        };
        let framer = Framer::new(limits);
        let mut server = Server { stream, framer };
        server.send("{\"QMP\": {}}\r\n");
        let (_, id) = server.command().unwrap();
        server.answer(&id, "{}");
        script(&mut server);
    });
    let target = Target::Path(b"memory".to_vec());
    let (before, options) = (Before::now(), Arc::new(Options::default()));
    let address = "memory".to_owned();
    shake_hands(ours, Some(&target), before, address, &options, &long()).unwrap()
}

/// Answers every command with its own id.
fn echo_ids(server: &mut Server) {
    while let Some((_, id)) = server.command() {
        server.answer(&id, &id);
    }
}

#[test]
fn every_thread_gets_its_own_reply() {
    let connection = connected(echo_ids);
    let mut all: Vec<u64> = thread::scope(|scope| {
        let callers: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    let reply = || connection.execute("x", None, &long()).unwrap();
                    (0..500)
                        .map(|_| reply().as_str().parse::<u64>().unwrap())
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        callers
            .into_iter()
            .flat_map(|caller| {
                let ids = caller.join().unwrap();
                assert!(ids.is_sorted());
                ids
            })
            .collect()
    });
    all.sort_unstable();
    assert_eq!(all, (1..=4000).collect::<Vec<_>>());
}

#[test]
fn the_reader_role_is_handed_on() {
    let (answer_now, asked) = mpsc::channel::<()>();
    let connection = connected(move |server| {
        let (first, second) = (server.command().unwrap(), server.command().unwrap());
        // The one who reads leaves with its reply while the other still waits.
        server.answer(&first.1, "1");
        asked.recv().unwrap();
        server.answer(&second.1, "2");
        assert_eq!(server.command(), None);
    });
    thread::scope(|scope| {
        let call = || {
            connection
                .execute("x", None, &long())
                .unwrap()
                .as_str()
                .to_owned()
        };
        let (done, first_done) = mpsc::channel();
        for _ in 0..2 {
            let done = done.clone();
            scope.spawn(move || done.send(call()).unwrap());
        }
        assert_eq!(first_done.recv_timeout(LONG).unwrap(), "1");
        answer_now.send(()).unwrap();
        assert_eq!(first_done.recv_timeout(LONG).unwrap(), "2");
    });
    connection.close();
}

#[test]
fn an_idle_connection_is_read_and_its_end_is_noticed() {
    let (go_on, asked) = mpsc::channel::<()>();
    let connection = connected(move |server| {
        asked.recv().unwrap();
        server.send("{\"event\": \"STOP\"}");
        asked.recv().unwrap();
    });
    let readable = |time| connection.event_is_signalled(time);
    assert!(!readable(Duration::ZERO));
    go_on.send(()).unwrap();
    assert!(readable(LONG));
    let now = Wait::new(Some(Duration::ZERO), None);
    assert_eq!(connection.poll_event(&now).unwrap().name(), "STOP");
    assert!(!readable(Duration::ZERO));
    go_on.send(()).unwrap();
    assert!(readable(LONG));
    let end = connection.poll_event(&now).unwrap_err();
    assert_eq!(end.status, Status::Disconnected);
}

#[test]
fn what_the_socket_does_not_take_at_once_is_sent_while_nobody_calls() {
    let connection = connected(echo_ids);
    let large = format!("{{\"a\": \"{}\"}}", "x".repeat(4 << 20));
    let reply = connection.execute("x", Some(&large), &long()).unwrap();
    assert_eq!(reply.as_str(), "1");
    let reply = connection.execute("x", None, &long()).unwrap();
    assert_eq!(reply.as_str(), "2");
}

/// What belongs to nothing is counted, each under its own name.
#[test]
fn f25_f41_f42_f43_f44_f45_f47_f53_f65_f72_what_is_dropped_is_counted() {
    let connection = connected(|server| {
        let (_, given_up) = server.command().unwrap();
        let (_, next) = server.command().unwrap();
        server.send(r#"{"return": 0, "id": 999999}{"return": 0, "id": "1"}"#);
        server.send(r#"{"return": 0}{"error": {"desc": "whose?"}}"#);
        server.answer(&given_up, "0");
        server.answer(&given_up, "0");
        server.send(r#"{"QMP": {}}{"event": 5}{"event": "A\u0000"}[1] 17 {"hello": 1}"#);
        server.send(r#"{"event": inf}"#);
        server.answer(&next, "1");
        assert_eq!(server.command(), None);
    });
    let now = Wait::new(Some(Duration::from_millis(100)), None);
    let late = connection.execute("slow", None, &now).unwrap_err();
    assert_eq!(late.status, Status::Timeout);
    let reply = connection.execute("x", None, &long()).unwrap();
    assert_eq!(reply.as_str(), "1");
    let expected = Ignored {
        foreign_replies: 3,
        late_replies: 1,
        anonymous_replies: 2,
        greetings: 1,
        odd_events: 2,
        non_messages: 3,
        broken_messages: 1,
    };
    assert_eq!(*connection.state.lock().session.ignored(), expected);
    connection.close();
}
