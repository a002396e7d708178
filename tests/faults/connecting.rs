// SPDX-License-Identifier: MIT OR Apache-2.0
//! Waiting for a socket that is not there yet, and not waiting when nobody asked for it.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::fd::IntoRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use qmp::ffi::*;
use qmp::mock::Mock;

use super::support::client::{Client, Options};
use super::support::hostile::{GREETING, Hostile};
use super::support::{Folder, LONG};

const WAITING: Options = Options {
    max_message_bytes: None,
    event_capacity: None,
    wait_for_socket: true,
};

fn failure(connected: Result<Client, super::support::client::Failure>) -> i32 {
    connected.err().expect("connected").status
}

/// Without being asked connecting gives up at once, asked it tries to the end of its time, and it
/// succeeds when the VM starts.
fn gives_up_or_waits_as_asked(path: &Path, reason: i32) {
    let address = path.to_str().unwrap();
    assert_eq!(failure(Client::connect(address, LONG)), reason);
    let started = Instant::now();
    assert_eq!(failure(Client::connect_with(address, WAITING, 200)), reason);
    assert!(started.elapsed() >= Duration::from_millis(200));
    thread::scope(|scope| {
        let client = scope.spawn(|| Client::connect_with(address, WAITING, LONG).unwrap());
        let _ = std::fs::remove_file(path);
        let mock = Mock::start(path.as_os_str().as_bytes()).unwrap();
        let status = client.join().unwrap().query_status();
        assert_eq!(status, Ok((true, "running".to_owned())));
        drop(mock);
    });
}

#[test]
fn f1_a_socket_that_comes_late_is_waited_for() {
    let folder = Folder::new();
    gives_up_or_waits_as_asked(&folder.join("qmp"), QMP_ERR_NOT_FOUND);
}

#[test]
fn f5_a_socket_left_behind_is_refused_or_waited_for_as_asked() {
    let folder = Folder::new();
    let path = folder.join("qmp");
    drop(UnixListener::bind(&path).unwrap());
    gives_up_or_waits_as_asked(&path, QMP_ERR_REFUSED);
}

#[test]
fn f2_waiting_does_not_help_where_no_socket_can_come() {
    let folder = Folder::new();
    std::fs::write(folder.join("file"), "").unwrap();
    let address = folder.join("file").to_str().unwrap().to_owned();
    let started = Instant::now();
    assert_eq!(
        failure(Client::connect_with(&address, WAITING, LONG)),
        QMP_ERR_REFUSED
    );
    assert!(started.elapsed() < Duration::from_millis(LONG as u64 / 2));
}

#[test]
fn f11_a_monitor_that_stands_still_at_its_start_is_kicked_once() {
    let folder = Folder::new();
    let path = folder.join("qmp");
    let listener = UnixListener::bind(&path).unwrap();
    let server = thread::spawn(move || {
        let (mut first, _) = listener.accept().unwrap();
        first.write_all(GREETING.as_bytes()).unwrap();
        // QEMU's main thread sits in accept, and nothing goes on before somebody comes.
        let (mut second, _) = listener.accept().unwrap();
        assert_eq!(second.read(&mut [0]).unwrap(), 0);
        let mut command = [0; 4096];
        let got = first.read(&mut command).unwrap();
        let command: serde_json::Value = serde_json::from_slice(&command[..got]).unwrap();
        let reply = format!("{{\"return\": {{}}, \"id\": {}}}", command["id"]);
        first.write_all(reply.as_bytes()).unwrap();
        assert_eq!(first.read(&mut [0]).unwrap(), 0);
        listener.set_nonblocking(true).unwrap();
        assert!(listener.accept().is_err(), "kicked more than once");
    });
    drop(Client::connect(path.to_str().unwrap(), LONG).unwrap());
    server.join().unwrap();
}

/// A connection over a given descriptor, and the caller's own copy of it.
fn given(server: &Hostile) -> (Client, UnixStream) {
    let stream = UnixStream::connect(server.address()).unwrap();
    let copy = stream.try_clone().unwrap();
    let address = format!("fd:{}", stream.into_raw_fd());
    (Client::connect(&address, LONG).unwrap(), copy)
}

#[test]
fn a_copy_of_a_given_descriptor_does_not_keep_the_vm() {
    let server = Hostile::negotiated(|peer| peer.wait_for_end());
    let (client, copy) = given(&server);
    drop(client);
    server.finish();
    drop(copy);
}

#[test]
fn a_copy_that_changes_the_mode_does_not_stretch_a_call() {
    let server = Hostile::negotiated(|peer| peer.wait_for_end());
    let (client, copy) = given(&server);
    copy.set_read_timeout(None).unwrap();
    let started = Instant::now();
    let failure = client.poll_event(1000).expect_err("an event");
    assert_eq!(failure.status, QMP_ERR_TIMEOUT);
    assert!(started.elapsed() < Duration::from_secs(10));
}

#[test]
fn f9_f10_f17_silence_is_busy_and_the_message_says_what_it_may_be() {
    // They accept and say nothing; so does a guest agent.
    let folder = Folder::new();
    let path = folder.join("qmp").to_str().unwrap().to_owned();
    let _unix = UnixListener::bind(&path).unwrap();
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let here = format!("process {} (", std::process::id());
    for (address, peer_is_known) in [
        (path, true),
        (format!("tcp:{}", tcp.local_addr().unwrap()), false),
    ] {
        let failure = Client::connect(&address, 200).err().expect("connected");
        assert_eq!(failure.kind(), (QMP_ERR_BUSY, false), "{failure:?}");
        for cause in ["another client", "QEMU is stopped", "guest agent"] {
            assert!(failure.message.contains(cause), "{}", failure.message);
        }
        assert_eq!(
            failure.message.contains(&here),
            peer_is_known,
            "{}",
            failure.message
        );
    }
}

#[test]
fn f9_who_has_said_a_byte_is_not_busy() {
    let server = Hostile::start(|peer| {
        peer.send("{");
        peer.wait_for_end();
    });
    let connected = Client::connect(&server.address(), 200);
    assert_eq!(failure(connected), QMP_ERR_TIMEOUT);
}
