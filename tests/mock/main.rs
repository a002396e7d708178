// SPDX-License-Identifier: MIT OR Apache-2.0
//! The mock says what QEMU says.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use qmp::ffi::QMP_SHUTDOWN_GUEST;
use qmp::mock::Mock;
use serde_json::{Value, json};

#[path = "../support/mod.rs"]
mod support;

mod endure;
mod faults;
mod script;

use support::client::Client;
use support::qemu::{Qemu, missing};
use support::{LONG, wait_until};

/// Every command of the mock, and every way to misuse it that QEMU answers in its own words.
const CONVERSATION: &[&str] = &[
    r#"{"execute":"query-status","id":{"a":[1,2]}}"#,
    r#"{"execute":"qmp_capabilities","arguments":{"enable":["oob","nonsense"]},"id":1}"#,
    r#"{"execute":"qmp_capabilities","arguments":{"enable":["oob"]},"id":"text"}"#,
    r#"{"execute":"qmp_capabilities","id":null}"#,
    r#"{"execute":"query-version"}"#,
    r#"{"execute":"query-status","id":[]}"#,
    r#"{"execute":"stop","id":1}{"execute":"stop","id":2}"#,
    r#"{"execute":"query-status","id":3}"#,
    r#"{"execute":"system_powerdown","id":4}"#,
    "{\r\n  \"execute\": \"query-status\",\r\n  \"id\": -1\r\n}\r\n",
    r#"{"execute":"no\"such","id":5}"#,
    r#"{"execute":1,"id":6}"#,
    r#"{"execute":"query-status","arguments":[],"id":7}"#,
    r#"{"id":8}"#,
    r#"{"id":9,"exec":"query-status"}"#,
    "[1]",
    "17 ",
    r#"{"execute":"quit","id":10}"#,
];

#[test]
fn the_mock_talks_like_qemu() {
    if missing("qemu-system-x86_64") {
        return;
    }
    let qemu = Qemu::start(&[]);
    wait_until("QEMU's monitor", || {
        UnixStream::connect(qemu.socket()).is_ok()
    });
    let mock = Mock::start_temporary().unwrap();
    assert_eq!(talk(mock.path()), talk(&qemu.socket()));
}

#[test]
fn pressing_the_button_ends_the_machine() {
    let mock = Mock::start_temporary().unwrap();
    let mut client = Raw::connect(&mock);
    client.say(r#"{"execute":"system_powerdown"}"#);
    assert_eq!(client.hear()["event"], "POWERDOWN");
    assert_eq!(client.hear(), json!({"return": {}}));
    assert_eq!(
        client.hear()["data"],
        json!({"guest": true, "reason": "guest-shutdown"})
    );
    assert_eq!(client.0.read_to_string(&mut String::new()).unwrap(), 0);
    mock.wait();
    assert!(!mock.path().exists());
}

#[test]
fn a_paused_machine_sees_the_button_when_it_goes_on() {
    let mock = Mock::start_temporary().unwrap();
    let mut client = Raw::connect(&mock);
    client.say(r#"{"execute":"stop"}{"execute":"system_powerdown"}{"execute":"cont"}"#);
    let heard: Vec<Value> = (0..7).map(|_| client.hear()["event"].take()).collect();
    let reply = Value::Null;
    let expected = [
        json!("STOP"),
        reply.clone(),
        json!("POWERDOWN"),
        reply.clone(),
        json!("RESUME"),
        reply,
    ];
    assert_eq!(
        (&heard[..6], &heard[6]),
        (&expected[..], &json!("SHUTDOWN"))
    );
}

#[test]
fn the_machine_outlives_its_clients_and_serves_one_at_a_time() {
    let mock = Mock::start_temporary().unwrap();
    let mut first = Raw::connect(&mock);
    first.say(r#"{"execute":"stop"}"#);
    assert_eq!(first.hear()["event"], "STOP");
    let mut second = BufReader::new(UnixStream::connect(mock.path()).unwrap());
    second
        .get_ref()
        .set_read_timeout(Some(Duration::from_millis(50)))
        .unwrap();
    assert!(
        second.read_line(&mut String::new()).is_err(),
        "greeted while another client is served"
    );
    drop(first);
    second.get_ref().set_read_timeout(None).unwrap();
    let mut second = Raw(second);
    assert_eq!(second.hear()["QMP"]["version"]["qemu"]["major"], 7);
    second.say(r#"{"execute":"qmp_capabilities"}{"execute":"query-status"}"#);
    second.hear();
    assert_eq!(second.hear()["return"]["status"], "paused");
}

#[test]
fn it_counts_what_it_receives_and_sends_what_it_is_told() {
    let mock = Mock::start_temporary().unwrap();
    let mut client = Raw::connect(&mock);
    let before = mock.bytes_received();
    client.say(r#"{"execute":"nonsense"}"#);
    client.hear();
    assert_eq!(mock.bytes_received() - before, 22);
    assert_eq!(mock.received_json(), r#"[{"execute": "nonsense"}]"#);
    mock.send("{\"event\": \"WATCHDOG\"}\n");
    assert_eq!(client.hear(), json!({"event": "WATCHDOG"}));
}

#[test]
fn stopping_it_ends_every_connection() {
    let mock = Mock::start_temporary().unwrap();
    let mut served = Raw::connect(&mock);
    let mut queued = UnixStream::connect(mock.path()).unwrap();
    mock.stop();
    assert_eq!(served.0.read_to_string(&mut String::new()).unwrap(), 0);
    assert!(matches!(queued.read(&mut [0]), Ok(0) | Err(_)));
    assert!(!mock.path().exists());
    mock.stop();
}

#[test]
fn the_library_takes_it_for_a_vm() {
    let mock = Mock::start_temporary().unwrap();
    let client = Client::connect(mock.path().to_str().unwrap(), LONG).unwrap();
    assert_eq!(client.query_status(), Ok((true, "running".to_owned())));
    for (command, event) in [("stop", "STOP"), ("cont", "RESUME")] {
        assert_eq!(client.call(command).as_deref(), Ok("{}"));
        assert_eq!(client.event().as_deref(), Ok(event));
    }
    mock.emit("WATCHDOG", None).unwrap();
    assert_eq!(client.event().as_deref(), Ok("WATCHDOG"));
    assert_eq!(
        client.call("nonsense").unwrap_err().class,
        "CommandNotFound"
    );
    assert_eq!(client.shutdown(1000, LONG, true), Ok(QMP_SHUTDOWN_GUEST));
    mock.wait();
}

/// All that a server says to the conversation, without what differs from run to run.
fn talk(socket: &std::path::Path) -> Vec<Value> {
    let mut client = BufReader::new(UnixStream::connect(socket).unwrap());
    client
        .get_ref()
        .set_read_timeout(Some(Duration::from_millis(LONG as u64)))
        .unwrap();
    let mut said = Vec::new();
    for command in CONVERSATION {
        client.get_ref().write_all(command.as_bytes()).unwrap();
    }
    let mut line = String::new();
    while client.read_line(&mut line).is_ok_and(|length| length > 0) {
        assert!(line.ends_with("\r\n"), "{line:?}");
        let mut message: Value = serde_json::from_str(&line).unwrap();
        for pointer in ["/QMP/version/package", "/return/package"] {
            message.pointer_mut(pointer).map(Value::take);
        }
        for unit in ["seconds", "microseconds"] {
            if let Some(time) = message.pointer_mut(&format!("/timestamp/{unit}")) {
                assert!(time.take().is_u64());
            }
        }
        said.push(message);
        line.clear();
    }
    assert!(said.len() > CONVERSATION.len(), "only {said:?}");
    said
}

/// A negotiated connection, line by line.
struct Raw(BufReader<UnixStream>);

impl Raw {
    fn connect(mock: &Mock) -> Raw {
        let mut client = Raw(BufReader::new(UnixStream::connect(mock.path()).unwrap()));
        client.say(r#"{"execute":"qmp_capabilities"}"#);
        client.hear();
        client.hear();
        client
    }

    fn say(&self, text: &str) {
        self.0.get_ref().write_all(text.as_bytes()).unwrap();
    }

    fn hear(&mut self) -> Value {
        let time = Some(Duration::from_millis(LONG as u64));
        self.0.get_ref().set_read_timeout(time).unwrap();
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }
}
