// SPDX-License-Identifier: MIT OR Apache-2.0
//! The guest agent's dialect: a silent start, a sync, and commands that are never answered.

use std::hash::RandomState;
use std::ptr;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use qmp::ffi::*;

use super::support::LONG;
use super::support::client::{Client, Failure};
use super::support::hostile::{GREETING, Hostile, Peer, STRAY_MARK};

const FAREWELLS: [&str; 4] = [
    "guest-shutdown",
    "guest-suspend-disk",
    "guest-suspend-ram",
    "guest-suspend-hybrid",
];

fn connect(server: &Hostile) -> Client {
    Client::connect_agent(&server.address(), LONG).unwrap()
}

fn refused(timeout_ms: i64, script: impl FnOnce(&mut Peer) + Send + 'static) -> Failure {
    let server = Hostile::start(script);
    Client::connect_agent(&server.address(), timeout_ms)
        .err()
        .expect("connected")
}

/// Whatever comes before the answer to the sync, connecting succeeds, and the first call gets its
/// own reply. The script gets the sync and is followed by its answer.
fn cured(noise: impl FnOnce(&mut Peer) + Send + 'static) {
    let server = Hostile::start(|peer| {
        let sync = peer.sync();
        noise(peer);
        peer.answer_sync(&sync);
        peer.echo();
    });
    let client = connect(&server);
    assert_eq!(client.call("guest-ping").as_deref(), Ok("\"guest-ping\""));
}

#[test]
fn f113_an_absent_agent_is_a_timeout() {
    let failure = refused(300, |peer| {
        peer.sync();
        peer.wait_for_end();
    });
    assert_eq!(failure.kind(), (QMP_ERR_TIMEOUT, false), "{failure:?}");
    assert!(failure.message.contains("may not run in the guest"));
    let started = Instant::now();
    let failure = refused(0, |peer| peer.wait_for_end());
    assert_eq!(failure.kind(), (QMP_ERR_TIMEOUT, false), "{failure:?}");
    assert!(started.elapsed() < Duration::from_secs(10));
}

#[test]
fn f113_noise_without_an_answer_is_a_timeout_at_the_deadline() {
    let started = Instant::now();
    let failure = refused(1000, |peer| {
        peer.sync();
        peer.send_until_refused("{\"return\": {}, \"id\": 1} login: ".as_bytes(), usize::MAX);
    });
    assert_eq!(failure.kind(), (QMP_ERR_TIMEOUT, false), "{failure:?}");
    assert!(failure.message.contains("meant for others"), "{failure:?}");
    assert!(started.elapsed() < Duration::from_secs(10));
}

/// An agent that starts late finds all syncs, complains about each mark and answers each.
#[test]
fn f113_f114_a_late_agent_is_asked_again_and_its_last_answer_counts() {
    let server = Hostile::start(|peer| {
        let (first, second) = (peer.sync(), peer.sync());
        assert_ne!(first.id, second.id);
        peer.answer_sync(&first);
        assert_eq!(
            peer.next_within(Duration::from_millis(100)),
            None,
            "opened too early"
        );
        peer.answer_sync(&second);
        peer.echo();
    });
    let client = connect(&server);
    assert_eq!(client.call("guest-ping").as_deref(), Ok("\"guest-ping\""));
}

#[test]
fn f114_replies_to_a_former_client_are_ignored() {
    cured(|peer| peer.send("{\"return\": {\"of\": \"a former client\"}, \"id\": 1}\n"));
    cured(|peer| {
        peer.send("{\"id\": 1, \"error\": {\"class\": \"GenericError\", \"desc\": \"x\"}}\n")
    });
    cured(|peer| peer.send(b"\xff{\"return\": 4503599627370497, \"id\": 4503599627370497}\n"));
    cured(|peer| peer.send("{\"return\": {\"count\": 5, \"buf-b64\": \"aGVs"));
    cured(|peer| peer.send("bG8=\"}, \"id\": 1}\n{\"return\": {}, \"id\": 2}\n"));
    cured(|peer| peer.send("[1] 2 {\"return\": inf, \"id\": 1} {} \u{feff}"));
}

#[test]
fn f114_a_former_clients_large_reply_is_ignored() {
    let large = format!("{{\"return\": \"{}\", \"id\": 1}}\n", "x".repeat(8 << 20));
    let tail = large[4 << 20..].to_owned();
    cured(move |peer| peer.send(large));
    cured(move |peer| peer.send(tail));
}

#[test]
fn f114_the_sync_may_come_byte_by_byte() {
    let server = Hostile::start(|peer| {
        let sync = peer.sync();
        for byte in b"{\"return\": {}}\n\xff\xff" {
            peer.send([*byte]);
        }
        for byte in format!("{{\"return\": {}, \"id\": {}}}\n", sync.id, sync.id).bytes() {
            peer.send([byte]);
        }
        peer.echo();
    });
    assert!(connect(&server).call("guest-ping").is_ok());
}

#[test]
fn f115_errors_before_the_answer_are_ignored() {
    cured(|peer| peer.send(STRAY_MARK));
    cured(|peer| peer.send([b"\xff", STRAY_MARK.as_bytes()].concat()));
    cured(|peer| peer.send(STRAY_MARK.repeat(1026)));
}

#[test]
fn f116_the_end_answers_the_commands_that_never_answer() {
    for command in FAREWELLS {
        let server = Hostile::synced(move |peer| assert_eq!(peer.command().name, command));
        let client = connect(&server);
        assert_eq!(client.call(command).as_deref(), Ok("{}"), "{command}");
        let end = client.poll_event(LONG).unwrap_err();
        assert_eq!(end.status, QMP_ERR_DISCONNECTED);
    }
    let server = Hostile::synced(|peer| assert_eq!(peer.command().name, "guest-ping"));
    let failure = connect(&server).call("guest-ping").unwrap_err();
    assert_eq!(failure.kind(), (QMP_ERR_DISCONNECTED, true), "{failure:?}");
}

#[test]
fn f116_without_the_end_it_is_normal_that_they_are_not_answered() {
    for command in FAREWELLS {
        let server = Hostile::synced(move |peer| {
            assert_eq!(peer.command().name, command);
            peer.echo();
        });
        let client = connect(&server);
        let failure = client.execute(command, None, 100).unwrap_err();
        assert_eq!(failure.kind(), (QMP_ERR_TIMEOUT, true), "{failure:?}");
        assert!(failure.message.contains("normal"), "{}", failure.message);
        // After a suspension the guest goes on.
        assert_eq!(client.call("guest-ping").as_deref(), Ok("\"guest-ping\""));
    }
}

#[test]
fn f116_refused_they_are_answered() {
    let server = Hostile::synced(|peer| {
        let command = peer.command();
        peer.fail(&command, "GenericError", "not today");
        peer.wait_for_end();
    });
    let failure = connect(&server).call("guest-suspend-ram").unwrap_err();
    assert_eq!(failure.kind(), (QMP_ERR_COMMAND, false), "{failure:?}");
    assert!(failure.message.contains("guest agent"), "{failure:?}");
}

#[test]
fn f117_a_command_that_timed_out_may_still_run_and_its_reply_is_dropped() {
    let (given_up, call_has_given_up) = mpsc::channel();
    let server = Hostile::synced(move |peer| {
        let late = peer.command();
        call_has_given_up.recv().unwrap();
        let next = peer.command();
        peer.succeed(&late, "\"late\"");
        peer.succeed(&next, "\"next\"");
        peer.wait_for_end();
    });
    let client = connect(&server);
    let failure = client.execute("guest-exec", None, 100).unwrap_err();
    assert_eq!(failure.kind(), (QMP_ERR_TIMEOUT, true), "{failure:?}");
    assert!(
        failure.message.contains("may still run"),
        "{}",
        failure.message
    );
    given_up.send(()).unwrap();
    assert_eq!(client.call("guest-ping").as_deref(), Ok("\"next\""));
}

#[test]
fn f69_marks_and_byte_order_marks_before_replies_are_skipped() {
    let server = Hostile::synced(|peer| {
        for front in [&b"\xff"[..], b"\xff\xff\n", b"\xef\xbb\xbf"] {
            let command = peer.command();
            peer.send(front);
            peer.succeed(&command, "1");
        }
    });
    let client = connect(&server);
    for _ in 0..3 {
        assert_eq!(client.call("guest-ping").as_deref(), Ok("1"));
    }
}

#[test]
fn a_monitor_in_the_agents_place_is_named_at_once() {
    let failure = refused(LONG, |peer| {
        peer.send(GREETING);
        peer.sync();
        peer.wait_for_end();
    });
    assert_eq!(failure.kind(), (QMP_ERR_PROTOCOL, false), "{failure:?}");
    assert!(failure.message.contains("QMP monitor"), "{failure:?}");
}

#[test]
fn an_agent_that_gives_no_ids_back_is_named_at_once() {
    let failure = refused(LONG, |peer| {
        let sync = peer.sync();
        peer.send([b"\xff", format!("{{\"return\": {}}}\n", sync.id).as_bytes()].concat());
        peer.wait_for_end();
    });
    assert_eq!(failure.kind(), (QMP_ERR_UNSUPPORTED, false), "{failure:?}");
    assert!(failure.message.contains("ids"), "{failure:?}");
}

#[test]
fn a_refused_sync_keeps_its_reason() {
    let failure = refused(LONG, |peer| {
        let sync = peer.sync();
        peer.fail(&sync, "CommandNotFound", "disabled");
        peer.wait_for_end();
    });
    assert_eq!(failure.kind(), (QMP_ERR_COMMAND, false), "{failure:?}");
    assert_eq!(failure.class, "CommandNotFound");
    assert_eq!(failure.command, "guest-sync-delimited");
}

#[test]
fn an_end_during_the_sync_says_so() {
    let failure = refused(LONG, |peer| drop(peer.sync()));
    assert_eq!(failure.kind(), (QMP_ERR_DISCONNECTED, false), "{failure:?}");
    assert!(failure.message.contains("handshake"), "{failure:?}");
}

#[test]
fn a_sync_is_cancelled_at_once() {
    let (asked, sync_was_sent) = mpsc::channel();
    let server = Hostile::start(move |peer| {
        peer.sync();
        asked.send(()).unwrap();
        peer.wait_for_end();
    });
    let address = std::ffi::CString::new(server.address()).unwrap();
    unsafe {
        let (options, cancel) = (qmp_options_new(), qmp_cancel_new());
        assert_eq!(
            qmp_options_set_dialect(options, QMP_DIALECT_GUEST_AGENT),
            QMP_OK
        );
        let token = cancel as usize;
        let trigger = std::thread::spawn(move || {
            sync_was_sent.recv().unwrap();
            qmp_cancel_trigger(token as *mut qmp_cancel)
        });
        let mut client = ptr::null_mut();
        let status = qmp_connect(
            address.as_ptr(),
            options,
            QMP_FOREVER,
            cancel,
            &mut client,
            ptr::null_mut(),
        );
        assert_eq!((status, client), (QMP_ERR_CANCELLED, ptr::null_mut()));
        assert_eq!(trigger.join().unwrap(), QMP_OK);
        qmp_cancel_free(cancel);
        qmp_options_free(options);
    }
}

/// What is a monitor's is not even sent, and of events there is only the end.
#[test]
fn what_only_a_monitor_knows_is_unsupported() {
    let (asked, all_was_tried) = mpsc::channel();
    let server = Hostile::synced(move |peer| {
        peer.send("{\"event\": \"STOP\"}\n");
        peer.answer("{}");
        all_was_tried.recv().unwrap();
    });
    let client = connect(&server);
    assert_eq!(client.call("guest-ping").as_deref(), Ok("{}"));
    let failures = [
        client.query_status().unwrap_err(),
        client.shutdown(1000, 1000, true).unwrap_err(),
        client.greeting().unwrap_err(),
    ];
    for failure in failures {
        assert_eq!(failure.kind(), (QMP_ERR_UNSUPPORTED, false), "{failure:?}");
        assert!(failure.message.contains("monitor"), "{failure:?}");
    }
    assert_eq!(client.poll_event(0).unwrap_err().status, QMP_ERR_TIMEOUT);
    asked.send(()).unwrap();
    let end = client.poll_event(LONG).unwrap_err();
    assert_eq!(end.status, QMP_ERR_DISCONNECTED, "{end:?}");
    assert_eq!(
        client.shutdown(0, 0, false).unwrap_err().status,
        QMP_ERR_UNSUPPORTED
    );
}

#[test]
fn unknown_dialects_are_refused() {
    let options = qmp_options_new();
    for dialect in [QMP_DIALECT_GUEST_AGENT, QMP_DIALECT_QMP] {
        assert_eq!(qmp_options_set_dialect(options, dialect), QMP_OK);
    }
    for dialect in [-1, 2, i32::MAX] {
        let status = qmp_options_set_dialect(options, dialect);
        assert_eq!(status, QMP_ERR_INVALID_ARGUMENT);
    }
    qmp_options_free(options);
    let status = qmp_options_set_dialect(options, QMP_DIALECT_QMP);
    assert_eq!(status, QMP_ERR_INVALID_HANDLE);
}

/// A reply to the parent's sync must not pass for the answer to its child's.
#[test]
fn a_forked_child_has_other_numbers_than_its_parent() {
    let (numbers, numbers_came) = mpsc::channel();
    let servers = [numbers.clone(), numbers].map(|numbers| {
        Hostile::start(move |peer| {
            let sync = peer.sync();
            numbers.send(sync.id).unwrap();
            peer.answer_sync(&sync);
            peer.wait_for_end();
        })
    });
    let _ = RandomState::new(); // a thread's random numbers begin with its first
    let child = unsafe { libc::fork() };
    if child == 0 {
        let connected = Client::connect_agent(&servers[0].address(), LONG);
        unsafe { libc::_exit(i32::from(connected.is_err())) };
    }
    drop(connect(&servers[1]));
    let mut status = -1;
    unsafe { libc::waitpid(child, &mut status, 0) };
    assert_eq!(status, 0);
    assert_ne!(numbers_came.recv().unwrap(), numbers_came.recv().unwrap());
}
