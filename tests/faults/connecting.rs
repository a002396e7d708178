// SPDX-License-Identifier: MIT OR Apache-2.0
//! Waiting for a socket that is not there yet, and not waiting when nobody asked for it.

use std::os::unix::net::UnixListener;
use std::thread;
use std::time::{Duration, Instant};

use qmp::ffi::*;
use qmp::mock::Mock;

use super::support::client::{Client, Options};
use super::support::{Folder, LONG};

const WAITING: Options = Options {
    max_message_bytes: None,
    event_capacity: None,
    wait_for_socket: true,
};

fn failure(connected: Result<Client, super::support::client::Failure>) -> i32 {
    connected.err().expect("connected").status
}

#[test]
fn a_socket_that_comes_late_is_waited_for() {
    let folder = Folder::new();
    let path = folder.join("qmp");
    let address = path.to_str().unwrap();
    assert_eq!(failure(Client::connect(address, LONG)), QMP_ERR_NOT_FOUND);
    thread::scope(|scope| {
        let client = scope.spawn(|| Client::connect_with(address, WAITING, LONG).unwrap());
        thread::sleep(Duration::from_millis(100)); // early or late, it must be found
        let mock = Mock::start(&path).unwrap();
        assert_eq!(
            client.join().unwrap().query_status(),
            Ok((true, "running".to_owned()))
        );
        drop(mock);
    });
}

#[test]
fn a_socket_left_behind_is_refused_or_waited_for_as_asked() {
    let folder = Folder::new();
    let path = folder.join("qmp");
    let address = path.to_str().unwrap();
    drop(UnixListener::bind(&path).unwrap());
    assert_eq!(failure(Client::connect(address, LONG)), QMP_ERR_REFUSED);
    let started = Instant::now();
    let waited = failure(Client::connect_with(address, WAITING, 200));
    assert!(
        [QMP_ERR_REFUSED, QMP_ERR_TIMEOUT].contains(&waited),
        "{waited}"
    );
    assert!(started.elapsed() >= Duration::from_millis(200));
    thread::scope(|scope| {
        let client = scope.spawn(|| Client::connect_with(address, WAITING, LONG).unwrap());
        thread::sleep(Duration::from_millis(100)); // as above
        std::fs::remove_file(&path).unwrap();
        let mock = Mock::start(&path).unwrap();
        assert_eq!(
            client.join().unwrap().query_status(),
            Ok((true, "running".to_owned()))
        );
        drop(mock);
    });
}

#[test]
fn waiting_does_not_help_where_no_socket_can_come() {
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
