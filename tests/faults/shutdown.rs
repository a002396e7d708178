// SPDX-License-Identifier: MIT OR Apache-2.0
//! The shutdown ladder against VMs that do not play along: nothing is guessed, nothing is done that was not
//! asked for, and how it failed can be told.

use std::sync::{Arc, Mutex};
use std::thread;

use qmp::ffi::*;

use super::connect;
use super::support::client::Client;
use super::support::hostile::{Command, Hostile, Peer};

const BY_GUEST: &str =
    "{\"event\": \"SHUTDOWN\", \"data\": {\"guest\": true, \"reason\": \"guest-shutdown\"}}";

/// A VM that answers `query-status` with `status` and leaves every other command to `act`, which tells
/// whether the VM goes on.
struct Vm {
    server: Hostile,
    commands: Arc<Mutex<Vec<String>>>,
}

impl Vm {
    fn start(
        status: &'static str,
        mut act: impl FnMut(&mut Peer, &Command) -> bool + Send + 'static,
    ) -> Vm {
        let commands = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&commands);
        let server = Hostile::negotiated(move |peer| {
            while let Some(command) = peer.next_command() {
                if command.name == "query-status" {
                    let running = status == "running";
                    peer.succeed(
                        &command,
                        &format!("{{\"status\": \"{status}\", \"running\": {running}}}"),
                    );
                    continue;
                }
                heard.lock().unwrap().push(command.name.clone());
                if !act(peer, &command) {
                    break;
                }
            }
        });
        Vm { server, commands }
    }

    fn connect(&self) -> Client {
        connect(&self.server)
    }

    /// What it was told besides `query-status`.
    fn commands(self) -> Vec<String> {
        self.server.finish();
        Arc::into_inner(self.commands)
            .unwrap()
            .into_inner()
            .unwrap()
    }
}

fn succeed(peer: &mut Peer, command: &Command) -> bool {
    peer.succeed(command, "{}");
    true
}

#[test]
fn f83_a_refused_quit_is_told_with_its_reason() {
    let vm = Vm::start("running", |peer, command| {
        match command.name.as_str() {
            "quit" => peer.fail(command, "GenericError", "not today"),
            _ => peer.succeed(command, "{}"),
        }
        true
    });
    let client = vm.connect();
    let failure = client.shutdown(1000, 200, true).unwrap_err();
    assert_eq!(failure.status, QMP_ERR_COMMAND, "{failure:?}");
    assert_eq!(
        (failure.command.as_str(), failure.description.as_str()),
        ("quit", "not today")
    );
    assert_eq!(client.query_status(), Ok((true, "running".to_owned())));
    drop(client);
    assert_eq!(vm.commands(), ["system_powerdown", "quit"]);
}

#[test]
fn f83_an_accepted_quit_without_an_end_is_another_error() {
    let vm = Vm::start("running", succeed);
    let client = vm.connect();
    let failure = client.shutdown(1000, 0, true).unwrap_err();
    assert_eq!(failure.status, QMP_ERR_TIMEOUT, "{failure:?}");
    assert!(failure.message.contains("quit"), "{}", failure.message);
    assert_eq!(client.query_status(), Ok((true, "running".to_owned())));
    drop(client);
    assert_eq!(vm.commands().last().map(String::as_str), Some("quit"));
}

#[test]
fn f79_without_force_a_deaf_guest_is_only_pressed() {
    let vm = Vm::start("running", succeed);
    let client = vm.connect();
    let failure = client.shutdown(100, 1000, false).unwrap_err();
    assert_eq!(failure.status, QMP_ERR_TIMEOUT, "{failure:?}");
    assert_eq!(client.query_status(), Ok((true, "running".to_owned())));
    drop(client);
    let commands = vm.commands();
    assert!(commands.len() > 1, "pressed {} times", commands.len());
    assert!(
        commands.iter().all(|command| command == "system_powerdown"),
        "{commands:?}"
    );
}

/// Neither pressed nor resumed; forced, it is told to quit.
#[test]
fn f82_a_guest_that_does_not_run_is_left_as_it_is() {
    for status in ["paused", "prelaunch", "suspended", "inmigrate"] {
        let vm = Vm::start(status, |peer, command| {
            peer.succeed(command, "{}");
            command.name != "quit"
        });
        let client = vm.connect();
        let failure = client.shutdown(50, 300, false).unwrap_err();
        assert_eq!(failure.status, QMP_ERR_TIMEOUT);
        assert!(failure.message.contains(status), "{}", failure.message);
        assert_eq!(client.shutdown(50, 300, true), Ok(QMP_SHUTDOWN_FORCED));
        drop(client);
        assert_eq!(vm.commands(), ["quit"]);
    }
}

/// It cannot react, so its grace time, which would be longer than the test, is not waited for.
#[test]
fn f82_a_guest_that_cannot_react_is_not_waited_for() {
    for status in ["guest-panicked", "internal-error"] {
        let vm = Vm::start(status, |peer, command| {
            peer.succeed(command, "{}");
            command.name != "quit"
        });
        let client = vm.connect();
        assert_eq!(client.shutdown(50, -1, true), Ok(QMP_SHUTDOWN_FORCED));
        drop(client);
        assert_eq!(vm.commands(), ["quit"]);
    }
}

#[test]
fn f48_a_press_without_an_answer_is_no_failure() {
    let vm = Vm::start("running", |peer, _| {
        peer.send("{\"event\": \"POWERDOWN\"}");
        peer.send(BY_GUEST);
        false
    });
    let client = vm.connect();
    assert_eq!(client.shutdown(1000, 20_000, true), Ok(QMP_SHUTDOWN_GUEST));
    drop(client);
    assert_eq!(vm.commands(), ["system_powerdown"]);
}

#[test]
fn f81_a_guest_that_goes_down_as_quit_is_sent_went_by_itself() {
    let vm = Vm::start("running", |peer, command| {
        if command.name == "quit" {
            peer.send(BY_GUEST);
            return false;
        }
        succeed(peer, command)
    });
    let client = vm.connect();
    assert_eq!(client.shutdown(1000, 100, true), Ok(QMP_SHUTDOWN_GUEST));
}

#[test]
fn whoever_polls_events_takes_nothing_from_the_shutdown() {
    let vm = Vm::start("running", |peer, command| {
        peer.send("{\"event\": \"POWERDOWN\"}");
        peer.succeed(command, "{}");
        peer.send(BY_GUEST);
        false
    });
    let client = vm.connect();
    thread::scope(|scope| {
        let polled = scope.spawn(|| std::iter::from_fn(|| client.event().ok()).collect::<Vec<_>>());
        assert_eq!(client.shutdown(1000, 20_000, true), Ok(QMP_SHUTDOWN_GUEST));
        assert_eq!(polled.join().unwrap(), ["POWERDOWN", "SHUTDOWN"]);
    });
}

#[test]
fn an_old_shutdown_event_does_not_count_for_a_guest_that_runs() {
    let vm = Vm::start("running", |peer, command| match command.name.as_str() {
        "first" => {
            peer.send(BY_GUEST);
            succeed(peer, command)
        }
        _ => succeed(peer, command),
    });
    let client = vm.connect();
    client.call("first").unwrap();
    assert_eq!(
        client.shutdown(1000, 200, false).unwrap_err().status,
        QMP_ERR_TIMEOUT
    );
}

#[test]
fn f85_a_vm_that_is_gone_is_already_down() {
    let vm = Vm::start("running", |_, _| false);
    let client = vm.connect();
    client.call("end").unwrap_err();
    for _ in 0..2 {
        assert_eq!(
            client.shutdown(100, 1000, true),
            Ok(QMP_SHUTDOWN_ALREADY_DOWN)
        );
    }
}

#[test]
fn f75_an_end_without_shutdown_after_a_press_is_no_certain_success() {
    let vm = Vm::start("running", |_, _| false);
    let client = vm.connect();
    let failure = client.shutdown(1000, 20_000, true).unwrap_err();
    assert_eq!(failure.kind(), (QMP_ERR_DISCONNECTED, true), "{failure:?}");
}
