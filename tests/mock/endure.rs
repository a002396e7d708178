// SPDX-License-Identifier: MIT OR Apache-2.0
//! Clients that come, go and send as they like, and the one thread that serves them all.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use qmp::mock::{Guest, Mock};
use serde_json::{Value, json};

use super::support::{Folder, LONG, wait_until};
use super::{Raw, script::connected};

#[test]
fn a_flood_that_nobody_takes_is_over() {
    let mock = Mock::start_temporary().unwrap();
    mock.fault("query-name", "flood", 0, Some(1)).unwrap();
    mock.delay("stop", None, Some(1)).unwrap();
    let client = Raw::connect(&mock);
    client.say(r#"{"execute":"query-name"}{"execute":"stop"}"#);
    wait_until("the last command", || mock.count("stop") == 1);
    drop(client);
    let other = Mock::start_temporary().unwrap();
    assert_eq!(connected(&other).call("query-name").as_deref(), Ok("{}"));
    assert_eq!(connected(&mock).call("query-name").as_deref(), Ok("{}"));
}

#[test]
fn a_client_that_never_pauses_does_not_keep_the_others_waiting() {
    let mock = Mock::start_temporary().unwrap();
    let client = Raw::connect(&mock).0.into_inner();
    let mut sink = client.try_clone().unwrap();
    let reader = thread::spawn(move || while sink.read(&mut [0; 65536]).is_ok_and(|n| n > 0) {});
    let writer = thread::spawn(move || {
        let commands = r#"{"execute":"query-qmp-schema"}"#.repeat(1000);
        while (&client).write_all(commands.as_bytes()).is_ok() {}
    });
    wait_until("some", || mock.count("query-qmp-schema") > 1000);
    let (done, ended) = mpsc::channel();
    thread::spawn(move || {
        let other = Mock::start_temporary().unwrap();
        let answer = connected(&other).call("query-name");
        mock.stop();
        done.send(answer).unwrap();
    });
    let answer = ended.recv_timeout(Duration::from_millis(2 * LONG as u64));
    assert_eq!(answer.unwrap().as_deref(), Ok("{}"));
    reader.join().unwrap();
    writer.join().unwrap();
}

#[test]
fn who_is_never_read_may_leave_over_tcp() {
    let mock = Mock::start(b"tcp:127.0.0.1:0").unwrap();
    mock.delay("stop", None, Some(1)).unwrap();
    mock.fault("cont", "stop-reading", 0, Some(1)).unwrap();
    for command in ["stop", "cont"] {
        let client = connected(&mock);
        let _ = client.execute(command, None, 50);
        assert_eq!(mock.count(command), 1);
        drop(client);
    }
    assert_eq!(connected(&mock).call("query-name").as_deref(), Ok("{}"));
}

#[test]
fn what_is_no_json_is_answered_and_no_more() {
    let mock = Mock::start_temporary().unwrap();
    let mut client = Raw::connect(&mock);
    for text in [
        "foo\n",
        "%% ",
        "]}\n",
        r#"{"execute":}"#,
        r#"{"execute":"stop","execute":"stop"}"#,
        "tru{\"execute\":\"query-name\",}",
    ] {
        client.say(text);
        client.say(r#"{"execute":"query-name","id":1}"#);
        while client.hear() != json!({"return": {}, "id": 1}) {}
    }
    assert_eq!(mock.count("stop"), 0);
}

#[test]
fn a_delayed_reset_is_one_too() {
    let mock = Mock::start_temporary().unwrap();
    let client = connected(&mock);
    mock.delay("stop", Some(Duration::from_millis(20)), Some(1))
        .unwrap();
    mock.fault("stop", "reset", 0, Some(1)).unwrap();
    assert_eq!(client.call("stop").unwrap_err().os_errno, libc::ECONNRESET);
}

#[test]
fn a_slow_reader_that_may_reset_reads_all() {
    let mock = Mock::start_temporary().unwrap();
    let mut client = Raw::connect(&mock);
    mock.fault("stop", "slow-reading", 5000, Some(1)).unwrap();
    mock.fault("cont", "reset", 0, Some(1)).unwrap();
    client.say(r#"{"execute":"stop"}"#);
    client.hear();
    client.hear();
    client.say(&r#"{"execute":"query-name"}"#.repeat(50));
    for _ in 0..50 {
        assert_eq!(client.hear(), json!({"return": {}}));
    }
}

#[test]
fn a_reply_that_was_kept_leaves_with_its_client() {
    let mock = Mock::start_temporary().unwrap();
    mock.fault("query-name", "reordered", 2, None).unwrap();
    let first = Raw::connect(&mock);
    first.say(r#"{"execute":"query-name"}"#);
    wait_until("the first", || mock.count("query-name") == 1);
    drop(first);
    let mut second = Raw::connect(&mock);
    second.say(r#"{"execute":"query-name","id":1}{"execute":"query-name","id":2}"#);
    assert_eq!(
        (second.hear()["id"].take(), second.hear()["id"].take()),
        (2.into(), 1.into())
    );
}

#[test]
fn the_script_is_for_who_has_negotiated() {
    let mock = Mock::start_temporary().unwrap();
    mock.reply("query-*", "7", Some(1)).unwrap();
    let stream = UnixStream::connect(mock.path()).unwrap();
    let mut client = Raw(std::io::BufReader::new(stream));
    client.hear();
    client.say(r#"{"execute":"query-name"}"#);
    assert_eq!(client.hear()["error"]["class"], "CommandNotFound");
    client.say(r#"{"execute":"qmp_capabilities"}{"execute":"query-name"}"#);
    client.hear();
    assert_eq!(client.hear(), json!({"return": 7}));
}

#[test]
fn out_of_band_overtakes() {
    let mock = Mock::start_temporary().unwrap();
    mock.delay("stop", None, None).unwrap();
    let stream = UnixStream::connect(mock.path()).unwrap();
    let mut client = Raw(std::io::BufReader::new(stream));
    client.say(r#"{"execute":"qmp_capabilities","arguments":{"enable":["oob"]}}"#);
    client.hear();
    client.hear();
    client.say(
        r#"{"execute":"stop","id":1}{"execute":"cont","id":2}{"exec-oob":"query-yank","id":3}"#,
    );
    assert_eq!(client.hear(), json!({"return": [], "id": 3}));
}

#[test]
fn a_guest_that_panics_is_kept_with_no_shutdown() {
    let mock = Mock::start_temporary().unwrap();
    mock.set_guest(Guest::Panics);
    mock.set_no_shutdown(true);
    let mut client = Raw::connect(&mock);
    client.say(r#"{"execute":"system_powerdown"}"#);
    let seen: Vec<Value> = (0..4).map(|_| client.hear()).collect();
    assert_eq!(seen[2]["data"]["action"], "pause");
    assert_eq!(seen[3]["event"], "STOP");
    client.say(r#"{"execute":"query-status"}"#);
    assert_eq!(client.hear()["return"]["status"], "guest-panicked");
}

#[test]
fn a_recording_without_requests_ends_too() {
    let folder = Folder::new();
    let path = folder.join("greeting.jsonl");
    let text = concat!(
        "{\"transcript\": 1, \"library\": \"0.1.0\"}\n",
        "{\"ms\": 0, \"received\": {\"QMP\": {}}}\n",
        "{\"ms\": 1, \"ended\": \"the VM ended the connection\"}\n"
    );
    std::fs::write(&path, text).unwrap();
    let mock = Mock::start_temporary().unwrap();
    mock.replay(&path).unwrap();
    let mut client = UnixStream::connect(mock.path()).unwrap();
    client
        .set_read_timeout(Some(Duration::from_millis(LONG as u64)))
        .unwrap();
    let mut heard = String::new();
    client.read_to_string(&mut heard).unwrap();
    assert_eq!(heard, "{\"QMP\":{}}\r\n".replace(":{", ": {"));
}

#[test]
fn what_nobody_would_hear_is_refused() {
    let mock = Mock::start_temporary().unwrap();
    assert!(mock.reply("greeting", "1", None).is_err());
    assert!(mock.reply("event", "1", None).is_err());
    assert!(mock.delay("event", None, None).is_err());
    assert!(mock.reply_event("event", true, "E", None, None).is_err());
    assert!(mock.delay("greeting", None, None).is_ok());
}
