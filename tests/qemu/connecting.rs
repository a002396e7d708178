// SPDX-License-Identifier: MIT OR Apache-2.0
//! Connecting while QEMU starts, is busy, stopped, or gone.

use std::thread;
use std::time::{Duration, Instant};

use qmp::ffi::*;

use super::support::client::{Client, Failure, Log, Options};
use super::support::qemu::{Qemu, has_unread, missing};
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
    let started = Instant::now();
    let others: Vec<_> = thread::scope(|scope| {
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
    assert!(started.elapsed() < Duration::from_millis(LONG as u64 / 2));
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
    thread::scope(|scope| {
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
fn f9_a_monitor_held_by_another_client_is_busy() {
    if missing("qemu-system-x86_64") {
        return;
    }
    let qemu = Qemu::start(&[]);
    let first = qemu.connect().unwrap();
    let started = Instant::now();
    let failure = Client::connect(&qemu.address(), 1000)
        .err()
        .expect("connected");
    assert!(started.elapsed() >= Duration::from_secs(1));
    assert_eq!(failure.kind(), (QMP_ERR_BUSY, false), "{failure:?}");
    let process = format!("process {} (qemu-system", qemu.child.id());
    for part in ["another client", "QEMU is stopped", "guest agent", &process] {
        assert!(failure.message.contains(part), "{}", failure.message);
    }
    assert_eq!(first.query_status(), Ok((true, "running".to_owned())));
}

#[test]
fn f10_a_stopped_qemu_is_named() {
    if missing("qemu-system-x86_64") {
        return;
    }
    let qemu = Qemu::start(&[]);
    drop(qemu.connect().unwrap());
    qemu.freeze();
    let failure = Client::connect(&qemu.address(), 1000)
        .err()
        .expect("connected");
    assert_eq!(failure.kind(), (QMP_ERR_TIMEOUT, false), "{failure:?}");
    let process = format!("process {} (qemu-system", qemu.child.id());
    for part in [&process, "is stopped", "SIGCONT"] {
        assert!(failure.message.contains(part), "{}", failure.message);
    }
    qemu.signal(libc::SIGCONT);
    assert_eq!(
        qemu.connect().unwrap().query_status(),
        Ok((true, "running".to_owned()))
    );
}

#[test]
fn f5_a_killed_qemu_leaves_a_socket_that_is_refused() {
    if missing("qemu-system-x86_64") {
        return;
    }
    let mut qemu = Qemu::start(&[]);
    drop(qemu.connect().unwrap());
    qemu.kill();
    let address = qemu.address();
    let started = Instant::now();
    let refused = |connected: Result<Client, Failure>| {
        let failure = connected.err().expect("connected");
        assert_eq!(failure.kind(), (QMP_ERR_REFUSED, false), "{failure:?}");
    };
    refused(Client::connect(&address, LONG));
    refused(Client::connect_with(&address, WAITING, 500));
    assert!(started.elapsed() < Duration::from_millis(LONG as u64 / 2));
}

#[test]
fn f13_a_restart_ends_what_was_in_flight_and_repeats_nothing() {
    if missing("qemu-system-x86_64") {
        return;
    }
    let mut qemu = Qemu::start(&[]);
    for _ in 0..3 {
        let (client, socket) = qemu.connect_given();
        assert!(client.call("query-version").is_ok());
        qemu.freeze();
        let address = qemu.address();
        let again = thread::scope(|scope| {
            let in_flight = scope.spawn(|| client.call("stop"));
            wait_until("the command to be sent", || has_unread(&socket));
            qemu.kill();
            let failure = in_flight.join().unwrap().unwrap_err();
            assert_eq!(failure.kind(), (QMP_ERR_DISCONNECTED, true), "{failure:?}");
            // Asked to wait, it tries until the next one is there.
            let again = scope.spawn(|| Client::connect_with(&address, WAITING, LONG).unwrap());
            qemu.restart();
            again.join().unwrap()
        });
        assert_eq!(again.query_status(), Ok((true, "running".to_owned())));
        assert_eq!(again.poll_event(0).unwrap_err().status, QMP_ERR_TIMEOUT);
        // The former client has no part in it.
        let failure = client.call("query-version").unwrap_err();
        assert_eq!(failure.kind(), (QMP_ERR_DISCONNECTED, false));
        let notice = client.poll_event(LONG).unwrap_err();
        assert_eq!(notice.status, QMP_ERR_DISCONNECTED);
    }
}

#[test]
fn f14_another_process_on_the_path_is_told_and_met_only_when_asked_for() {
    if missing("qemu-system-x86_64") {
        return;
    }
    let first = Qemu::start(&[]);
    let connect = || {
        let log = Log::default();
        let logger = Some(log.logger());
        let client = Client::connect_logged(&first.address(), WAITING, LONG, logger).unwrap();
        (client, log)
    };
    let is_told = |log: &Log, qemu: &Qemu| {
        let process = format!("process {} (qemu-system", qemu.child.id());
        assert_eq!(log.lines(QMP_LOG_INFO, &process).len(), 1);
    };
    let (client, log) = connect();
    is_told(&log, &first);
    let stolen = format!("unix:{},server=on,wait=off", first.address());
    let second = Qemu::start(&["-qmp", &stolen]);
    drop(second.connect().unwrap()); // it has taken the path
    client.call("stop").unwrap();
    let (other, log) = connect();
    is_told(&log, &second);
    assert_eq!(other.query_status(), Ok((true, "running".to_owned())));
    assert_eq!(client.query_status(), Ok((false, "paused".to_owned())));
    drop(first);
    assert_eq!(client.event().as_deref(), Ok("STOP"));
    assert_eq!(
        client.poll_event(LONG).unwrap_err().status,
        QMP_ERR_DISCONNECTED
    );
    assert_eq!(
        client.query_status().unwrap_err().status,
        QMP_ERR_DISCONNECTED
    );
    assert!(other.call("query-version").is_ok());
}
