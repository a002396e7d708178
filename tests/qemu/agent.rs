// SPDX-License-Identifier: MIT OR Apache-2.0
//! The client and a real guest agent, which runs on this very machine. It is sent nothing that changes anything.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::thread;

use qmp::ffi::*;
use serde_json::Value;

use super::support::client::Client;
use super::support::qemu::{Qemu, missing};
use super::support::serial::SerialPort;
use super::support::{LONG, wait_until};

const PING: &[u8] = b"{\"execute\":\"guest-ping\",\"id\":1}";

fn connect(address: &str) -> Client {
    Client::connect_agent(address, LONG).unwrap()
}

/// The agent answers, each call with its own reply.
fn works(client: &Client) {
    assert_eq!(client.call("guest-ping").as_deref(), Ok("{}"));
    let info: Value = serde_json::from_str(&client.call("guest-info").unwrap()).unwrap();
    assert!(info["version"].is_string(), "{info}");
    let arguments = Some("{\"path\": \"/bin/true\"}");
    let started = client.execute("guest-exec", arguments, LONG).unwrap();
    assert!(started.starts_with("{\"pid\": "), "{started}");
}

#[test]
fn an_agent_answers_as_often_as_it_is_connected_to() {
    if missing("qemu-ga") {
        return;
    }
    let agent = Qemu::start_agent();
    for _ in 0..20 {
        let client = connect(&agent.address());
        works(&client);
        let failure = client.call("query-status").unwrap_err();
        assert_eq!(failure.kind(), (QMP_ERR_COMMAND, false), "{failure:?}");
        assert_eq!(failure.class, "CommandNotFound");
    }
}

#[test]
fn f17_an_agent_is_silent_to_qmp_and_named_among_the_causes() {
    if missing("qemu-ga") {
        return;
    }
    let agent = Qemu::start_agent();
    drop(connect(&agent.address())); // it listens
    let failure = Client::connect(&agent.address(), 300)
        .err()
        .expect("connected");
    assert_eq!(failure.kind(), (QMP_ERR_BUSY, false), "{failure:?}");
    for word in ["guest agent", "(qemu-ga)"] {
        assert!(failure.message.contains(word), "{failure:?}");
    }
}

#[test]
fn f113_a_stopped_agent_is_named() {
    if missing("qemu-ga") {
        return;
    }
    let agent = Qemu::start_agent();
    drop(connect(&agent.address()));
    agent.signal(libc::SIGSTOP);
    let failure = Client::connect_agent(&agent.address(), 300)
        .err()
        .expect("connected");
    agent.signal(libc::SIGCONT);
    assert_eq!(failure.kind(), (QMP_ERR_TIMEOUT, false), "{failure:?}");
    assert!(failure.message.contains("stopped"), "{failure:?}");
    works(&connect(&agent.address()));
}

#[test]
fn f113_an_agent_that_starts_late_is_waited_for() {
    if missing("qemu-ga") {
        return;
    }
    let port = SerialPort::new();
    let failure = Client::connect_agent(&port.address(), 300)
        .err()
        .expect("connected");
    assert_eq!(failure.kind(), (QMP_ERR_TIMEOUT, false), "{failure:?}");
    assert!(failure.message.contains("may not run in the guest"));
    // That sync waits for the agent too, and so does what comes now.
    let sync = port.forwarded();
    thread::scope(|scope| {
        let client = scope.spawn(|| connect(&port.address()));
        wait_until("two more syncs", || port.forwarded() >= 3 * sync);
        let _agent = Qemu::start_agent_at(&port.device);
        works(&client.join().unwrap());
    });
}

#[test]
fn f114_half_a_command_of_a_former_client_is_cured() {
    if missing("qemu-ga") {
        return;
    }
    let agent = Qemu::start_agent();
    drop(connect(&agent.address()));
    let halves = [
        "{\"execute\":\"guest-pi",
        "{\"execute\":\"guest-ping\",\"arguments\":{\"a\":[1,",
        "{\"execute\":\"a\\",
        "{\"execute\":\"a\\u00",
        "{\"execute\":\"guest-ping\"",
        "[[[[",
        "-",
        "}",
    ];
    for half in halves {
        // Stopped, so that its complaint finds the former client gone: one unread would reset the
        // socket, and end the agent.
        agent.signal(libc::SIGSTOP);
        let mut former = UnixStream::connect(agent.address()).unwrap();
        former.write_all(half.as_bytes()).unwrap();
        drop(former);
        agent.signal(libc::SIGCONT);
        works(&connect(&agent.address()));
    }
}

#[test]
fn f114_f115_a_reply_to_a_former_client_is_not_ours() {
    if missing("qemu-ga") {
        return;
    }
    let port = SerialPort::new();
    let agent = Qemu::start_agent_at(&port.device);
    drop(connect(&port.address()));
    for left_behind in [
        PING,
        b"{\"execute\":}",
        b"{\"execute\":\"guest-ping\",\"id\":1}{\"a",
    ] {
        // Stopped, so that it answers when the former client has left for certain.
        agent.signal(libc::SIGSTOP);
        let before = port.forwarded();
        let mut former = UnixStream::connect(port.address()).unwrap();
        former.write_all(left_behind).unwrap();
        drop(former);
        wait_until("the command", || port.forwarded() > before);
        agent.signal(libc::SIGCONT);
        wait_until("its reply", || port.has_more());
        let client = connect(&port.address());
        // Its first id is that of the former client's command, too.
        let info = client.call("guest-info").unwrap();
        assert!(info.contains("version"), "{info}");
        works(&client);
    }
}

#[test]
fn f117_a_command_that_timed_out_is_run_when_the_agent_goes_on() {
    if missing("qemu-ga") {
        return;
    }
    let port = SerialPort::new();
    let agent = Qemu::start_agent_at(&port.device);
    let mut client = connect(&port.address());
    for round in 0..10 {
        agent.signal(libc::SIGSTOP);
        let failure = client.execute("guest-get-time", None, 50).unwrap_err();
        assert_eq!(failure.kind(), (QMP_ERR_TIMEOUT, true), "{failure:?}");
        assert!(failure.message.contains("may still run"), "{failure:?}");
        let next = round % 2 == 0;
        if next {
            // Its late reply comes to the next client.
            drop(client);
            agent.signal(libc::SIGCONT);
            wait_until("the late reply", || port.has_more());
            client = connect(&port.address());
        } else {
            agent.signal(libc::SIGCONT);
        }
        works(&client);
    }
}

#[test]
fn an_agent_that_ends_on_a_socket_ends_the_connection() {
    if missing("qemu-ga") {
        return;
    }
    let agent = Qemu::start_agent();
    let client = connect(&agent.address());
    drop(agent);
    let end = client.poll_event(LONG).unwrap_err();
    assert_eq!(end.status, QMP_ERR_DISCONNECTED, "{end:?}");
    let failure = client.call("guest-ping").unwrap_err();
    assert_eq!(failure.kind(), (QMP_ERR_DISCONNECTED, false), "{failure:?}");
}
