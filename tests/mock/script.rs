// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the mock does on request, seen through the library.

use qmp::ffi::*;
use qmp::mock::{Guest, Mock};
use serde_json::{Value, json};
use std::time::Duration;

use super::support::client::Client;
use super::support::qemu::{Qemu, missing};
use super::support::{LONG, wait_until};

fn started() -> (Mock, Client) {
    let mock = Mock::start_temporary().unwrap();
    let client = connected(&mock);
    (mock, client)
}

pub fn connected(mock: &Mock) -> Client {
    Client::connect(std::str::from_utf8(mock.address()).unwrap(), LONG).unwrap()
}

/// Names of the events that have come, without waiting.
fn events(client: &Client) -> Vec<String> {
    let mut names = Vec::new();
    while let Ok(event) = client.poll_event(0) {
        names.push(event.name);
    }
    names
}

#[test]
fn it_is_the_vm_that_one_sets_it_to_be() {
    let mock = Mock::start_temporary().unwrap();
    mock.set_version(10, 1, 0, "tested");
    mock.set_capabilities(r#"["oob", "x-new"]"#).unwrap();
    mock.set_name(Some("web \"1\""));
    mock.set_state("inmigrate").unwrap();
    assert!(mock.set_state("no such").is_err() && mock.set_capabilities("{}").is_err());
    let client = connected(&mock);
    let greeting: Value = serde_json::from_str(&client.greeting().unwrap()).unwrap();
    assert_eq!(greeting["QMP"]["version"]["qemu"]["major"], 10);
    assert_eq!(greeting["QMP"]["capabilities"], json!(["oob", "x-new"]));
    let name: Value = serde_json::from_str(&client.call("query-name").unwrap()).unwrap();
    assert_eq!(name, json!({"name": "web \"1\""}));
    assert_eq!(client.query_status(), Ok((false, "inmigrate".into())));
}

#[test]
fn answers_come_in_order_and_as_often_as_wanted() {
    let (mock, client) = started();
    mock.reply("query-block", r#"[{"device": "a"}]"#, Some(2))
        .unwrap();
    mock.reply_error("query-block", "DeviceNotFound", "gone \"now\"", Some(1))
        .unwrap();
    for _ in 0..2 {
        let reply: Value = serde_json::from_str(&client.call("query-block").unwrap()).unwrap();
        assert_eq!(reply, json!([{"device": "a"}]));
    }
    let failure = client.call("query-block").unwrap_err();
    assert_eq!(
        (failure.class.as_str(), failure.description.as_str()),
        ("DeviceNotFound", "gone \"now\"")
    );
    assert_eq!(
        client.call("query-block").unwrap_err().class,
        "CommandNotFound"
    );
    mock.reply("query-block", "7", None).unwrap();
    assert!(
        client
            .call("query-commands")
            .unwrap()
            .contains("query-block")
    );
    assert!(
        client
            .call("query-qmp-schema")
            .unwrap()
            .contains("query-block")
    );
    mock.clear();
    assert!(client.call("query-block").is_err());
    assert_eq!(mock.count("query-block"), 5);
    for bad in ["", "{", "1 2", "1, \"b\": 2"] {
        assert!(mock.reply("stop", bad, None).is_err(), "{bad}");
    }
}

#[test]
fn events_stand_before_and_after_a_reply() {
    let (mock, client) = started();
    let data = r#"{"id": "j", "status": "created"}"#;
    mock.reply_event("job", true, "JOB_STATUS_CHANGE", Some(data), Some(1))
        .unwrap();
    mock.reply_event("job", false, "AFTERWARDS", None, Some(1))
        .unwrap();
    mock.reply("job", "{}", Some(1)).unwrap();
    assert_eq!(client.call("job").as_deref(), Ok("{}"));
    let event = client.poll_event(0).unwrap();
    assert_eq!(event.name, "JOB_STATUS_CHANGE");
    let told: Value = serde_json::from_str(event.data.as_deref().unwrap()).unwrap();
    assert_eq!(told["status"], "created");
    assert_eq!(client.event().as_deref(), Ok("AFTERWARDS"));
    mock.emit("BLOCK_JOB_READY", Some("{}")).unwrap();
    assert_eq!(client.event().as_deref(), Ok("BLOCK_JOB_READY"));
    assert!(mock.emit("E", Some("[]")).is_err());
}

#[test]
fn a_slow_command_holds_up_those_behind_it_but_no_event() {
    let (mock, client) = started();
    mock.delay("stop", None, Some(1)).unwrap();
    assert_eq!(
        client.execute("stop", None, 200).unwrap_err().status,
        QMP_ERR_TIMEOUT
    );
    mock.emit("MEANWHILE", None).unwrap();
    assert_eq!(client.event().as_deref(), Ok("MEANWHILE"));
    assert_eq!(
        client.execute("query-name", None, 200).unwrap_err().status,
        QMP_ERR_TIMEOUT
    );
    drop(client);
    let client = connected(&mock);
    mock.delay("query-name", Some(Duration::from_millis(50)), Some(1))
        .unwrap();
    assert_eq!(client.call("query-name").as_deref(), Ok("{}"));
}

#[test]
fn a_reply_may_reach_the_next_client() {
    let (mock, client) = started();
    mock.delay("query-name", Some(Duration::from_millis(300)), Some(1))
        .unwrap();
    assert!(client.execute("query-name", None, 50).is_err());
    drop(client);
    // The reply that is not its own is dropped.
    let client = connected(&mock);
    wait_until("the stray reply", || {
        client.query_status() == Ok((true, "running".into()))
    });
}

#[test]
fn guests_are_of_all_kinds() {
    let shut = |guest, stays| {
        let mock = Mock::start_temporary().unwrap();
        mock.set_guest(guest);
        mock.set_no_shutdown(stays);
        let client = connected(&mock);
        let outcome = client.shutdown(20, 500, true);
        (
            outcome.unwrap(),
            mock.count("system_powerdown"),
            events(&client),
        )
    };
    let (result, presses, seen) = shut(Guest::Honours, false);
    assert_eq!((result, presses), (QMP_SHUTDOWN_GUEST, 1));
    assert_eq!(seen, ["POWERDOWN", "SHUTDOWN"]);
    let (result, presses, _) = shut(Guest::Ignores, false);
    assert!(result == QMP_SHUTDOWN_FORCED && presses > 1);
    let (result, presses, _) = shut(Guest::HonoursPress(3), false);
    assert_eq!((result, presses), (QMP_SHUTDOWN_GUEST, 3));
    let (result, _, _) = shut(Guest::HonoursAfter(Duration::from_millis(100)), false);
    assert_eq!(result, QMP_SHUTDOWN_GUEST);
    let (result, _, seen) = shut(Guest::Reboots, false);
    assert!(result == QMP_SHUTDOWN_FORCED && seen.contains(&"RESET".to_owned()));
    let (result, _, seen) = shut(Guest::Panics, false);
    assert_eq!(result, QMP_SHUTDOWN_GUEST);
    assert_eq!(seen, ["POWERDOWN", "GUEST_PANICKED", "SHUTDOWN"]);
    let (result, _, seen) = shut(Guest::Honours, true);
    assert_eq!(result, QMP_SHUTDOWN_GUEST);
    assert_eq!(seen, ["POWERDOWN", "SHUTDOWN", "STOP", "SHUTDOWN"]);
}

#[test]
fn what_came_is_told_in_order() {
    let (mock, client) = started();
    client.call("stop").unwrap();
    client
        .execute("device_add", Some(r#"{"id": "a", "driver": "b"}"#), LONG)
        .unwrap_err();
    mock.expect(
        r#"["stop", {"execute": "device_add", "arguments": {"id": "a"}}]"#,
        None,
    )
    .unwrap();
    mock.expect("[]", Some(Duration::ZERO)).unwrap();
    client.call("cont").unwrap();
    let failure = mock.expect(r#"["quit"]"#, None).unwrap_err();
    assert!(failure.message.contains("\"cont\""), "{failure}");
    let missing = mock.expect(r#"["cont", "quit"]"#, Some(Duration::from_millis(20)));
    assert!(missing.unwrap_err().message.contains("\"quit\""));
    let all: Value = serde_json::from_str(&mock.received_json()).unwrap();
    assert_eq!(all.as_array().unwrap().len(), 3);
    assert_eq!(all[1]["arguments"]["driver"], "b");
    mock.stop();
    let over = mock.expect(r#"["cont", "quit"]"#, None).unwrap_err();
    assert!(over.message.contains("\"quit\""), "{over}");
}

#[test]
fn many_clients_may_share_it() {
    let mock = Mock::start_temporary().unwrap();
    mock.set_clients(50).unwrap();
    let clients: Vec<Client> = (0..50).map(|_| connected(&mock)).collect();
    assert_eq!(clients[0].call("stop").as_deref(), Ok("{}"));
    for client in &clients {
        assert_eq!(client.event().as_deref(), Ok("STOP"));
        assert_eq!(client.query_status(), Ok((false, "paused".into())));
    }
    mock.disconnect();
    for client in &clients {
        assert_eq!(
            client.poll_event(LONG).unwrap_err().status,
            QMP_ERR_DISCONNECTED
        );
    }
    drop(clients);
    assert_eq!(connected(&mock).call("query-name").as_deref(), Ok("{}"));
}

#[test]
fn a_thousand_mocks_cost_one_thread_and_one_descriptor_each() {
    let threads = || std::fs::read_dir("/proc/self/task").unwrap().count();
    let first = Mock::start_temporary().unwrap();
    drop(connected(&first));
    let before = threads();
    let mocks: Vec<Mock> = (0..900)
        .map(|_| Mock::start(b"tcp:127.0.0.1:0").unwrap())
        .collect();
    // Tests beside this one come and go.
    assert!(
        threads() < before + 100,
        "{before} threads, then {}",
        threads()
    );
    for mock in mocks.iter().step_by(100) {
        assert_eq!(connected(mock).call("query-name").as_deref(), Ok("{}"));
    }
}

#[test]
fn a_recorded_session_is_played_back() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/transcripts/qemu-7.2.jsonl"
    );
    let transcript = std::fs::read_to_string(path).unwrap();
    let lines = transcript
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let mock = Mock::start_temporary().unwrap();
    mock.replay(path.as_ref()).unwrap();
    let client = connected(&mock);
    let mut events = Vec::new();
    let mut waiting = None;
    for line in lines {
        if line["sent"]["execute"].is_string() && line["sent"]["execute"] != "qmp_capabilities" {
            let arguments = match &line["sent"]["arguments"] {
                Value::Null => None,
                arguments => Some(arguments.to_string().replace("<redacted>", "anything")),
            };
            let name = line["sent"]["execute"].as_str().unwrap();
            waiting = Some((name.to_owned(), arguments));
        } else if let Some(name) = line["received"]["event"].as_str() {
            events.push(name.to_owned());
        } else if line["received"]["id"] != Value::Null {
            let Some((name, arguments)) = waiting.take() else {
                continue;
            };
            match client.execute(&name, arguments.as_deref(), LONG) {
                Ok(reply) => {
                    let reply: Value = serde_json::from_str(&reply).unwrap();
                    assert_eq!(reply, line["received"]["return"], "{name}");
                }
                Err(failure) => {
                    assert_eq!(
                        failure.class, line["received"]["error"]["class"],
                        "{failure:?}"
                    );
                    assert_eq!(failure.description, line["received"]["error"]["desc"]);
                }
            }
        }
    }
    mock.check_replay(None).unwrap();
    for name in events {
        assert_eq!(client.event(), Ok(name));
    }
    assert_eq!(
        client.poll_event(LONG).unwrap_err().status,
        QMP_ERR_DISCONNECTED
    );
}

#[test]
fn a_replay_tells_what_differs() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/transcripts/qemu-7.2.jsonl"
    );
    let mock = Mock::start_temporary().unwrap();
    assert!(mock.check_replay(None).is_err());
    mock.replay(path.as_ref()).unwrap();
    let client = connected(&mock);
    let failure = client.call("quit").unwrap_err();
    assert!(failure.description.contains("line"), "{failure:?}");
    let told = mock.check_replay(None).unwrap_err();
    assert!(
        told.message.contains("query-status") && told.message.contains("quit"),
        "{told}"
    );
    assert!(mock.replay("/no/such/file".as_ref()).is_err());
}

/// Commands whose events the guest of a real QEMU does not add to.
const LIVES: &[(&[&str], &[&str])] = &[
    (
        &["-S", "-name", "vm"],
        &[
            "query-name",
            "query-status",
            "system_powerdown",
            "cont",
            "cont",
            "query-status",
            "stop",
            "system_reset",
            "query-status",
            "system_wakeup",
            "quit",
        ],
    ),
    (
        &["-no-shutdown"],
        &[
            "stop",
            "stop",
            "cont",
            "system_reset",
            "query-status",
            "quit",
        ],
    ),
    (
        &["-incoming", "defer"],
        &[
            "query-status",
            "cont",
            "query-status",
            "system_reset",
            "stop",
            "query-status",
            "quit",
        ],
    ),
    (
        &["-preconfig"],
        &[
            "query-status",
            "stop",
            "system_powerdown",
            "query-name",
            "quit",
        ],
    ),
];

#[test]
fn it_lives_and_dies_as_qemu_does() {
    if missing("qemu-system-x86_64") {
        return;
    }
    for (options, commands) in LIVES {
        let qemu = Qemu::start(options);
        let mock = Mock::start_temporary().unwrap();
        if options.contains(&"-name") {
            mock.set_name(Some("vm"));
        }
        match options[0] {
            "-S" => mock.set_state("prelaunch").unwrap(),
            "-incoming" => mock.set_state("inmigrate").unwrap(),
            "-preconfig" => mock.set_state("preconfig").unwrap(),
            _ => mock.set_no_shutdown(true),
        }
        let expected = life(&qemu.connect().unwrap(), commands);
        assert_eq!(life(&connected(&mock), commands), expected, "{options:?}");
    }
}

fn life(client: &Client, commands: &[&str]) -> Vec<String> {
    let mut seen = Vec::new();
    for command in commands {
        let reply = client.call(command);
        seen.extend(events(client));
        seen.push(match reply {
            Ok(reply) => serde_json::from_str::<Value>(&reply).unwrap().to_string(),
            Err(failure) => format!("{}: {}", failure.class, failure.description),
        });
    }
    seen
}
