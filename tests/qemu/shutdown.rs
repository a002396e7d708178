// SPDX-License-Identifier: MIT OR Apache-2.0
//! The shutdown ladder and guests of every temper.

use std::time::{Duration, Instant};

use qmp::ffi::*;

use super::support::client::Client;
use super::support::qemu::{Qemu, missing};
use super::support::{LONG, wait_until};

/// A guest that listens to its button, and a client of its machine.
fn boot(temper: &str, arguments: &[&str]) -> (Qemu, Client) {
    let qemu = Qemu::start_guest(temper, arguments);
    let client = qemu.connect().unwrap();
    qemu.wait_until_armed();
    (qemu, client)
}

/// All events until the connection ends.
fn events(client: &Client) -> Vec<(String, String)> {
    let next = || client.poll_event(LONG).ok();
    let told = |event: super::support::client::Event| (event.name, event.data.unwrap_or_default());
    std::iter::from_fn(next).map(told).collect()
}

/// The data of the first SHUTDOWN.
fn shutdown_of(events: &[(String, String)]) -> &str {
    let found = events.iter().find(|(name, _)| name == "SHUTDOWN");
    &found.expect("no SHUTDOWN").1
}

fn presses(events: &[(String, String)]) -> usize {
    events
        .iter()
        .filter(|(name, _)| name == "POWERDOWN")
        .count()
}

#[test]
fn f78_a_press_before_the_guest_listens_is_repeated() {
    if missing("qemu-system-x86_64") {
        return;
    }
    // On a slow day it may listen already.
    let repeated = (0..10).any(|_| {
        let mut qemu = Qemu::start_guest("honours", &["-S"]);
        let client = qemu.connect().unwrap();
        client.call("cont").unwrap();
        assert_eq!(client.shutdown(20, LONG, false), Ok(QMP_SHUTDOWN_GUEST));
        assert!(qemu.child.wait().unwrap().success());
        presses(&events(&client)) > 1
    });
    assert!(repeated, "no press came too early");
}

#[test]
fn f79_a_guest_that_ignores_the_button_is_pressed_to_the_end_and_told_to_quit() {
    if missing("qemu-system-x86_64") {
        return;
    }
    let (mut qemu, client) = boot("ignores", &[]);
    let failure = client.shutdown(200, 1000, false).unwrap_err();
    assert_eq!(failure.status, QMP_ERR_TIMEOUT, "{failure:?}");
    assert_eq!(client.query_status(), Ok((true, "running".to_owned())));
    let started = Instant::now();
    assert_eq!(client.shutdown(200, 1000, true), Ok(QMP_SHUTDOWN_FORCED));
    assert!(started.elapsed() >= Duration::from_secs(1));
    let events = events(&client);
    assert!(presses(&events) >= 4, "{events:?}");
    let reason = "{\"guest\": false, \"reason\": \"host-qmp-quit\"}";
    assert_eq!(shutdown_of(&events), reason);
    assert!(qemu.child.wait().unwrap().success());
}

#[test]
fn f80_a_guest_that_takes_three_seconds_gets_them() {
    if missing("qemu-system-x86_64") {
        return;
    }
    let (_qemu, client) = boot("late", &[]);
    let started = Instant::now();
    assert_eq!(client.shutdown(1000, LONG, true), Ok(QMP_SHUTDOWN_GUEST));
    assert!(started.elapsed() >= Duration::from_secs(2));
    let reason = "{\"guest\": true, \"reason\": \"guest-shutdown\"}";
    assert_eq!(shutdown_of(&events(&client)), reason);
}

/// The guest dies some milliseconds after the press, which is when the grace time ends.
#[test]
fn f81_whoever_wins_the_race_between_guest_and_quit_it_is_a_success() {
    if missing("qemu-system-x86_64") {
        return;
    }
    for grace in [1, 2, 4, 6, 8, 12, 20, 50] {
        let (_qemu, client) = boot("honours", &[]);
        let how = client.shutdown(1000, grace, true);
        let events = events(&client);
        let expected = match shutdown_of(&events) {
            "{\"guest\": true, \"reason\": \"guest-shutdown\"}" => QMP_SHUTDOWN_GUEST,
            "{\"guest\": false, \"reason\": \"host-qmp-quit\"}" => QMP_SHUTDOWN_FORCED,
            other => panic!("{other}"),
        };
        assert_eq!(how, Ok(expected), "{grace} ms: {events:?}");
    }
}

#[test]
fn f82_a_guest_that_does_not_run_is_left_as_it_is() {
    if missing("qemu-system-x86_64") {
        return;
    }
    let paused = boot("honours", &[]);
    paused.1.call("stop").unwrap();
    let prelaunch = Qemu::start_guest("honours", &["-S"]);
    let client = prelaunch.connect().unwrap();
    let suspended = boot("suspends", &[]);
    suspended.1.call("system_powerdown").unwrap();
    let panicked = boot("panics", &["-device", "pvpanic", "-action", "panic=pause"]);
    panicked.1.call("system_powerdown").unwrap();
    for ((_qemu, client), state) in [
        (paused, "paused"),
        ((prelaunch, client), "prelaunch"),
        (suspended, "suspended"),
        (panicked, "guest-panicked"),
    ] {
        wait_until(state, || client.query_status().unwrap().1 == state);
        while client.poll_event(0).is_ok() {}
        let failure = client.shutdown(50, 300, false).unwrap_err();
        assert_eq!(failure.status, QMP_ERR_TIMEOUT, "{failure:?}");
        assert!(failure.message.contains(state), "{}", failure.message);
        assert_eq!(client.query_status(), Ok((false, state.to_owned())));
        assert_eq!(client.shutdown(50, 300, true), Ok(QMP_SHUTDOWN_FORCED));
        // Neither pressed nor resumed.
        let names: Vec<_> = events(&client).into_iter().map(|event| event.0).collect();
        assert_eq!(names, ["SHUTDOWN"], "{state}");
    }
}

/// It reads the command only when it is continued, and then ends by itself: nobody killed it.
#[test]
fn f83_a_quit_without_effect_is_told_and_no_process_is_signalled() {
    if missing("qemu-system-x86_64") {
        return;
    }
    let mut qemu = Qemu::start(&[]);
    let client = qemu.connect().unwrap();
    qemu.freeze();
    let failure = client.shutdown(1000, 0, true).unwrap_err();
    assert_eq!(failure.kind(), (QMP_ERR_TIMEOUT, true), "{failure:?}");
    assert_eq!(failure.command, "quit");
    qemu.signal(libc::SIGCONT);
    let reason = "{\"guest\": false, \"reason\": \"host-qmp-quit\"}";
    assert_eq!(shutdown_of(&events(&client)), reason);
    assert!(qemu.child.wait().unwrap().success());
}

#[test]
fn f84_a_reset_or_a_panic_that_ends_qemu_is_the_guests_doing() {
    if missing("qemu-system-x86_64") {
        return;
    }
    for (temper, arguments, reason) in [
        ("resets", &["-no-reboot"][..], "guest-reset"),
        (
            "panics",
            &["-no-reboot", "-device", "pvpanic"],
            "guest-panic",
        ),
    ] {
        let (_qemu, client) = boot(temper, arguments);
        assert_eq!(client.shutdown(1000, LONG, true), Ok(QMP_SHUTDOWN_GUEST));
        let verbatim = format!("{{\"guest\": true, \"reason\": \"{reason}\"}}");
        assert_eq!(shutdown_of(&events(&client)), verbatim);
    }
}

#[test]
fn f85_a_vm_that_is_gone_is_already_down() {
    if missing("qemu-system-x86_64") {
        return;
    }
    let (mut qemu, client) = boot("honours", &[]);
    qemu.kill();
    for force in [true, false, true] {
        assert_eq!(
            client.shutdown(100, 1000, force),
            Ok(QMP_SHUTDOWN_ALREADY_DOWN)
        );
    }
}

#[test]
fn f74_a_guest_may_be_down_and_qemu_up() {
    if missing("qemu-system-x86_64") {
        return;
    }
    let (mut qemu, client) = boot("honours", &["-no-shutdown"]);
    for _ in 0..2 {
        assert_eq!(client.shutdown(1000, LONG, false), Ok(QMP_SHUTDOWN_GUEST));
        assert_eq!(client.query_status(), Ok((false, "shutdown".to_owned())));
    }
    assert_eq!(client.shutdown(1000, LONG, true), Ok(QMP_SHUTDOWN_GUEST));
    let reason = "{\"guest\": true, \"reason\": \"guest-shutdown\"}";
    assert_eq!(shutdown_of(&events(&client)), reason);
    assert!(qemu.child.wait().unwrap().success());
}
