// SPDX-License-Identifier: MIT OR Apache-2.0
//! qemu-storage-daemon speaks the same protocol and has no VM.

use qmp::ffi::*;

use super::support::LONG;
use super::support::qemu::{Qemu, missing};

#[test]
fn the_storage_daemon_connects_and_quits() {
    if missing("qemu-storage-daemon") {
        return;
    }
    let mut daemon = Qemu::start_storage_daemon();
    let client = daemon.connect().unwrap();
    assert_eq!(client.call("query-block-jobs").as_deref(), Ok("[]"));
    let failure = client.query_status().unwrap_err();
    assert_eq!(
        (failure.status, failure.class.as_str()),
        (QMP_ERR_COMMAND, "CommandNotFound")
    );
    assert_eq!(client.call("quit").as_deref(), Ok("{}"));
    assert_eq!(
        client.poll_event(LONG).unwrap_err().status,
        QMP_ERR_DISCONNECTED
    );
    assert!(daemon.child.wait().unwrap().success());
}
