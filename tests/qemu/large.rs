// SPDX-License-Identifier: MIT OR Apache-2.0
//! Large replies, large commands and pretty printing, as QEMU makes them.

use std::time::{Duration, Instant};

use qmp::ffi::*;
use serde_json::Value;

use super::support::LONG;
use super::support::client::Options;
use super::support::qemu::{Qemu, missing};

/// 7.6 MB of text on one line.
const DUMP: &str = "{\"command-line\": \"xp /1000000xb 0\"}";

fn parse(reply: &str) -> Value {
    serde_json::from_str(reply).unwrap()
}

#[test]
fn f22_pretty_printing_changes_nothing() {
    if missing("qemu-system-x86_64") {
        return;
    }
    let qemu = Qemu::start_with_monitor("pretty=on");
    let client = qemu.connect().unwrap();
    assert!(client.greeting().unwrap().contains("\r\n    "));
    assert_eq!(client.query_status(), Ok((true, "running".to_owned())));
    client.call("stop").unwrap();
    assert_eq!(client.event().as_deref(), Ok("STOP"));
    assert_eq!(client.query_status(), Ok((false, "paused".to_owned())));
    assert!(
        parse(&client.call("query-qmp-schema").unwrap())
            .as_array()
            .unwrap()
            .len()
            > 100
    );
}

#[test]
fn the_whole_schema_comes_as_qemu_says_it() {
    if missing("qemu-system-x86_64") {
        return;
    }
    let qemu = Qemu::start(&[]);
    let client = qemu.connect().unwrap();
    let schema = client.call("query-qmp-schema").unwrap();
    assert!(
        schema.len() > 100_000 && schema.starts_with("[{\""),
        "{} bytes",
        schema.len()
    );
    let schema = parse(&schema);
    let commands = schema
        .as_array()
        .unwrap()
        .iter()
        .filter(|entry| entry["meta-type"] == "command");
    let names: Vec<&str> = commands
        .map(|command| command["name"].as_str().unwrap())
        .collect();
    assert!(names.contains(&"query-status") && names.contains(&"quit"));
}

#[test]
fn f61_a_memory_dump_of_megabytes_comes_whole() {
    if missing("qemu-system-x86_64") {
        return;
    }
    let qemu = Qemu::start(&[]);
    let client = qemu.connect().unwrap();
    let dump = client
        .execute("human-monitor-command", Some(DUMP), LONG)
        .unwrap();
    assert!(dump.len() > 7_000_000, "{} bytes", dump.len());
    let text = parse(&dump);
    let text = text.as_str().unwrap();
    assert_eq!(text.matches("0x").count(), 1_000_000);
    assert!(
        text.contains("00000000000f4240") || text.contains("00000000000f4238"),
        "its end is missing"
    );
}

#[test]
fn f62_a_reply_over_the_limit_leaves_the_connection_usable() {
    if missing("qemu-system-x86_64") {
        return;
    }
    let qemu = Qemu::start(&[]);
    let options = Options {
        max_message_bytes: Some(1 << 20),
        ..Options::default()
    };
    let client = qemu.connect_with(options).unwrap();
    for _ in 0..3 {
        let failure = client
            .execute("human-monitor-command", Some(DUMP), LONG)
            .unwrap_err();
        assert_eq!(failure.status, QMP_ERR_TOO_LARGE, "{failure:?}");
        assert_eq!(client.query_status(), Ok((true, "running".to_owned())));
    }
}

/// QEMU reads its monitor byte by byte: only the caller's deadline may end such a command.
#[test]
fn f35_a_megabyte_of_arguments_arrives() {
    if missing("qemu-system-x86_64") {
        return;
    }
    let qemu = Qemu::start(&[]);
    let client = qemu.connect().unwrap();
    let arguments = format!(
        "{{\"path\": \"/{}\", \"property\": \"type\"}}",
        "x".repeat(1_000_000)
    );
    let failure = client
        .execute("qom-get", Some(&arguments), 4 * LONG)
        .unwrap_err();
    assert_eq!(failure.kind(), (QMP_ERR_COMMAND, false), "{failure:.200?}");
    assert_eq!(failure.class, "DeviceNotFound");
    assert!(failure.description.contains("xxxx") && failure.description.len() > 1_000_000);
    assert!(!failure.message.is_empty());
    assert_eq!(client.query_status(), Ok((true, "running".to_owned())));
}

#[test]
fn f35_the_deadline_ends_a_command_that_goes_slowly() {
    if missing("qemu-system-x86_64") {
        return;
    }
    let qemu = Qemu::start(&[]);
    let client = qemu.connect().unwrap();
    let arguments = format!(
        "{{\"path\": \"/{}\", \"property\": \"type\"}}",
        "x".repeat(8_000_000)
    );
    let started = Instant::now();
    let failure = client
        .execute("qom-get", Some(&arguments), 1000)
        .unwrap_err();
    assert_eq!(failure.kind(), (QMP_ERR_TIMEOUT, false), "{failure:.200?}");
    assert!(started.elapsed() < Duration::from_millis(LONG as u64 / 2));
    // Its rest would have been the next command's beginning.
    assert_eq!(
        client.query_status().unwrap_err().status,
        QMP_ERR_DISCONNECTED
    );
    drop(client);
    assert_eq!(
        qemu.connect().unwrap().query_status(),
        Ok((true, "running".to_owned()))
    );
}

#[test]
fn f58_the_human_monitors_errors_are_its_text() {
    if missing("qemu-system-x86_64") {
        return;
    }
    let qemu = Qemu::start(&[]);
    let client = qemu.connect().unwrap();
    let arguments = "{\"command-line\": \"no-such-thing\"}";
    let text = client
        .execute("human-monitor-command", Some(arguments), LONG)
        .unwrap();
    assert!(text.contains("unknown command"), "{text}");
}
