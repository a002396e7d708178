// SPDX-License-Identifier: MIT OR Apache-2.0
//! QEMU ends in the middle of things: what it had said is delivered, and nobody waits for the rest.

use std::thread;
use std::time::{Duration, Instant};

use qmp::ffi::*;

use super::support::qemu::{Qemu, has_unread, missing};
use super::support::{LONG, wait_until};

/// Bytes that QEMU leaves unread reset the connection; what it had sent is still there.
#[test]
fn f30_f31_a_reset_costs_nothing_that_was_sent_before_it() {
    if missing("qemu-system-x86_64") {
        return;
    }
    let unread = format!(
        "{{\"path\": \"/{}\", \"property\": \"type\"}}",
        "x".repeat(50_000)
    );
    let mut qemu = Qemu::start(&[]);
    let (client, socket) = qemu.connect_given();
    qemu.freeze();
    thread::scope(|scope| {
        let last = scope.spawn(|| client.call("query-version"));
        wait_until("the command to be sent", || has_unread(&socket));
        let sent = [("quit", None), ("qom-get", Some(&*unread))];
        for (command, arguments) in sent {
            let failure = client.execute(command, arguments, 100).unwrap_err();
            assert_eq!(failure.kind(), (QMP_ERR_TIMEOUT, true), "{failure:?}");
        }
        qemu.signal(libc::SIGCONT);
        assert!(last.join().unwrap().unwrap().contains("\"qemu\""));
    });
    assert_eq!(client.event().as_deref(), Ok("SHUTDOWN"));
    let end = client.poll_event(LONG).unwrap_err();
    assert_eq!(end.status, QMP_ERR_DISCONNECTED, "{end:?}");
    assert_eq!(end.os_errno, libc::ECONNRESET, "{end:?}");
    assert_eq!(
        client.call("query-version").unwrap_err().kind(),
        (QMP_ERR_DISCONNECTED, false)
    );
    assert!(qemu.child.wait().unwrap().success());
}

#[test]
fn f38_a_killed_qemu_ends_every_call_at_once() {
    if missing("qemu-system-x86_64") {
        return;
    }
    for _ in 0..5 {
        let mut qemu = Qemu::start(&[]);
        let client = qemu.connect().unwrap();
        let call = || loop {
            if let Err(failure) = client.execute("query-status", None, -1) {
                return failure.status;
            }
        };
        thread::scope(|scope| {
            let callers: Vec<_> = (0..4).map(|_| scope.spawn(call)).collect();
            let poller = scope.spawn(|| client.poll_event(-1).unwrap_err().status);
            qemu.kill();
            let killed = Instant::now();
            for caller in callers {
                assert_eq!(caller.join().unwrap(), QMP_ERR_DISCONNECTED);
            }
            assert_eq!(poller.join().unwrap(), QMP_ERR_DISCONNECTED);
            assert!(killed.elapsed() < Duration::from_secs(2));
        });
    }
}

/// The guest goes down at a press; QEMU leaves those without an answer that are under way then.
#[test]
fn f48_a_command_executed_and_not_answered_has_an_unknown_outcome() {
    if missing("qemu-system-x86_64") {
        return;
    }
    const PRESSING: usize = 8;
    let unanswered = (0..20).any(|_| {
        let qemu = Qemu::start_guest("honours", &[]);
        drop(qemu.connect().unwrap());
        qemu.wait_until_armed();
        let client = qemu.connect().unwrap();
        let press_to_the_end = || {
            std::iter::repeat_with(|| client.call("system_powerdown"))
                .find_map(Result::err)
                .unwrap()
        };
        let failures: Vec<_> = thread::scope(|scope| {
            let pressing: Vec<_> = (0..PRESSING)
                .map(|_| scope.spawn(press_to_the_end))
                .collect();
            let ended = pressing.into_iter().map(|presses| presses.join().unwrap());
            ended.collect()
        });
        let names: Vec<_> = std::iter::from_fn(|| client.event().ok()).collect();
        assert_eq!(names.last().map(String::as_str), Some("SHUTDOWN"));
        assert!(
            failures
                .iter()
                .all(|failure| failure.status == QMP_ERR_DISCONNECTED)
        );
        failures.iter().any(|failure| failure.outcome_unknown)
    });
    assert!(unanswered, "every press was answered");
}
