// SPDX-License-Identifier: MIT OR Apache-2.0
//! Connecting while QEMU starts, is busy, stopped, or gone.

use std::time::{Duration, Instant};

use qmp::ffi::*;

use super::support::client::{Client, Options};
use super::support::qemu::{Qemu, missing};
use super::support::{LONG, wait_until};

const WAITING: Options = Options {
    max_message_bytes: None,
    event_capacity: None,
    wait_for_socket: true,
};

#[test]
fn f11_connecting_the_moment_the_socket_appears_succeeds() {
    if missing("qemu-system-x86_64") {
        return;
    }
    for round in 0..50 {
        let qemu = Qemu::start(&[]);
        wait_until("the socket", || qemu.socket().exists());
        let started = Instant::now();
        // bind comes before listen, so the first attempt may be refused: waiting covers that.
        let client = Client::connect_with(&qemu.address(), WAITING, LONG);
        let client = client.unwrap_or_else(|failure| panic!("round {round}: {failure:?}"));
        assert_eq!(client.call("query-status").map(|_| ()), Ok(()));
        assert!(
            started.elapsed() < Duration::from_secs(5),
            "round {round}: {:?}",
            started.elapsed()
        );
    }
}

#[test]
fn f1_waiting_covers_the_whole_start() {
    if missing("qemu-system-x86_64") {
        return;
    }
    let qemu = Qemu::start(&[]);
    assert_eq!(
        qemu.connect().unwrap().query_status(),
        Ok((true, "running".to_owned()))
    );
}

#[test]
fn f12_a_qemu_that_dies_while_starting_is_told_from_one_that_is_missing() {
    if missing("qemu-system-x86_64") {
        return;
    }
    // It listens before it looks at its devices. On a slow day the moment in between is missed.
    let told = (0..10).any(|_| {
        let qemu = Qemu::start(&["-device", "no-such-device"]);
        let connected = Client::connect_with(&qemu.address(), WAITING, 2000);
        let failure = connected.err().expect("connected");
        match failure.status {
            QMP_ERR_NOT_FOUND | QMP_ERR_REFUSED => false,
            status => {
                assert_eq!(status, QMP_ERR_DISCONNECTED, "{failure:?}");
                assert!(
                    failure.message.contains("before the handshake"),
                    "{failure:?}"
                );
                true
            }
        }
    });
    assert!(told, "it was never met alive");
}

#[test]
fn f8_a_full_backlog_ends_at_the_deadline() {
    if missing("qemu-system-x86_64") {
        return;
    }
    let qemu = Qemu::start(&[]);
    let first = qemu.connect().unwrap();
    let others: Vec<_> = std::thread::scope(|scope| {
        let connecting: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    Client::connect(&qemu.address(), 1000)
                        .err()
                        .expect("connected")
                })
            })
            .collect();
        connecting
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    for failure in others {
        assert!(
            [QMP_ERR_BUSY, QMP_ERR_TIMEOUT].contains(&failure.status),
            "{failure:?}"
        );
    }
    assert_eq!(first.query_status(), Ok((true, "running".to_owned())));
}

#[test]
fn a_client_in_the_queue_is_served_when_the_first_leaves() {
    if missing("qemu-system-x86_64") {
        return;
    }
    let qemu = Qemu::start(&[]);
    let first = qemu.connect().unwrap();
    std::thread::scope(|scope| {
        let second = scope.spawn(|| {
            Client::connect(&qemu.address(), LONG)
                .unwrap()
                .call("query-version")
        });
        assert!(first.call("query-version").is_ok());
        drop(first);
        assert!(second.join().unwrap().is_ok());
    });
}

#[test]
fn f10_a_stopped_qemu_is_named() {
    if missing("qemu-system-x86_64") {
        return;
    }
    let qemu = Qemu::start(&[]);
    drop(qemu.connect().unwrap());
    qemu.signal(libc::SIGSTOP);
    let failure = Client::connect(&qemu.address(), 1000)
        .err()
        .expect("connected");
    assert!(
        [QMP_ERR_TIMEOUT, QMP_ERR_BUSY].contains(&failure.status),
        "{failure:?}"
    );
    assert!(failure.message.contains("stopped"), "{}", failure.message);
    qemu.signal(libc::SIGCONT);
    assert_eq!(
        qemu.connect().unwrap().query_status(),
        Ok((true, "running".to_owned()))
    );
}

#[test]
fn f13_a_restart_on_the_same_socket_is_another_connection() {
    if missing("qemu-system-x86_64") {
        return;
    }
    let mut qemu = Qemu::start(&[]);
    for _ in 0..3 {
        let client = qemu.connect().unwrap();
        assert!(client.call("query-version").is_ok());
        qemu = qemu.restart();
        assert_eq!(
            client.call("query-version").unwrap_err().status,
            QMP_ERR_DISCONNECTED
        );
        assert_eq!(
            client.poll_event(LONG).unwrap_err().status,
            QMP_ERR_DISCONNECTED
        );
    }
    // Killed, it left its socket behind.
    qemu.child.kill().unwrap();
    qemu.child.wait().unwrap();
    assert_eq!(
        Client::connect(&qemu.address(), LONG)
            .err()
            .expect("connected")
            .status,
        QMP_ERR_REFUSED
    );
    let failure = Client::connect_with(&qemu.address(), WAITING, 500)
        .err()
        .expect("connected");
    assert!(
        [QMP_ERR_REFUSED, QMP_ERR_TIMEOUT].contains(&failure.status),
        "{failure:?}"
    );
}
