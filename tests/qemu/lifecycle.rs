// SPDX-License-Identifier: MIT OR Apache-2.0
//! Commands, events and the end, as QEMU does them.

use qmp::ffi::*;

use super::support::LONG;
use super::support::qemu::{Qemu, missing};

#[test]
fn quit_succeeds_a_hundred_times() {
    if missing("qemu-system-x86_64") {
        return;
    }
    for round in 0..100 {
        let mut qemu = Qemu::start(&[]);
        let client = qemu.connect().unwrap();
        assert_eq!(client.call("quit").as_deref(), Ok("{}"), "round {round}");
        let events = std::iter::repeat_with(|| client.poll_event(LONG).unwrap());
        // Whoever connects very early hears the start too.
        let shutdown = { events }.find(|event| event.name != "RESUME").unwrap();
        assert_eq!(shutdown.name, "SHUTDOWN");
        assert_eq!(
            shutdown.data.as_deref(),
            Some("{\"guest\": false, \"reason\": \"host-qmp-quit\"}")
        );
        assert_eq!(
            client.poll_event(LONG).unwrap_err().status,
            QMP_ERR_DISCONNECTED
        );
        assert!(qemu.child.wait().unwrap().success());
    }
}

#[test]
fn f70_events_come_before_the_reply_of_the_command_that_caused_them() {
    if missing("qemu-system-x86_64") {
        return;
    }
    let qemu = Qemu::start(&[]);
    let client = qemu.connect().unwrap();
    for round in 0..100 {
        for (command, event) in [("stop", "STOP"), ("cont", "RESUME")] {
            client.call(command).unwrap();
            let seen = client.poll_event(0).unwrap();
            assert_eq!((seen.name.as_str(), seen.lost), (event, 0), "round {round}");
            assert!(seen.seconds > 1_000_000_000 && (0..1_000_000).contains(&seen.microseconds));
        }
    }
}

#[test]
fn a_refused_command_has_qemus_words() {
    if missing("qemu-system-x86_64") {
        return;
    }
    let qemu = Qemu::start(&[]);
    let client = qemu.connect().unwrap();
    let failure = client.call("no-such-command").unwrap_err();
    assert_eq!(failure.kind(), (QMP_ERR_COMMAND, false));
    assert_eq!(failure.class, "CommandNotFound");
    assert_eq!(
        failure.description,
        "The command no-such-command has not been found"
    );
    assert_eq!(failure.command, "no-such-command");
    let failure = client
        .execute("device_del", Some("{\"id\": \"nobody\"}"), LONG)
        .unwrap_err();
    assert_eq!(failure.class, "DeviceNotFound");
}

#[test]
fn f75_a_signal_that_ends_qemu_is_told() {
    if missing("qemu-system-x86_64") {
        return;
    }
    let qemu = Qemu::start(&[]);
    let client = qemu.connect().unwrap();
    qemu.signal(libc::SIGTERM);
    let shutdown = client.poll_event(LONG).unwrap();
    assert_eq!(
        shutdown.data.as_deref(),
        Some("{\"guest\": false, \"reason\": \"host-signal\"}")
    );
    assert_eq!(
        client.poll_event(LONG).unwrap_err().status,
        QMP_ERR_DISCONNECTED
    );
    let client = Qemu::start(&[]).connect().unwrap(); // killed at once
    let notice = client.poll_event(LONG).unwrap_err();
    assert_eq!(notice.status, QMP_ERR_DISCONNECTED);
    assert!(notice.message.contains("unknown"), "{}", notice.message);
}

#[test]
fn f76_resets_and_the_two_ends_of_a_device_are_all_told() {
    if missing("qemu-system-x86_64") {
        return;
    }
    let qemu = Qemu::start_guest("ignores", &["-device", "virtio-rng-pci,id=rng"]);
    let client = qemu.connect().unwrap();
    qemu.wait_until_armed();
    // The guest does not let it go, so it goes when the firmware runs again.
    let arguments = "{\"id\": \"rng\"}";
    client.execute("device_del", Some(arguments), LONG).unwrap();
    let (mut resets, mut deleted) = (0, Vec::new());
    client.call("system_reset").unwrap();
    while resets == 0 || deleted.len() < 2 {
        let event = client.poll_event(LONG).unwrap();
        assert_eq!(event.lost, 0);
        match event.name.as_str() {
            "RESET" => resets += 1,
            "DEVICE_DELETED" => deleted.push(event.data.unwrap()),
            other => panic!("{other}"),
        }
    }
    assert!(deleted[0].contains("/virtio-backend\"") && !deleted[0].contains("\"device\""));
    assert!(deleted[1].contains("\"device\": \"rng\""));
}
