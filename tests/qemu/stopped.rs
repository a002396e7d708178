// SPDX-License-Identifier: MIT OR Apache-2.0
//! A QEMU that stands still: the call ends in time, and afterwards everything is in its place.

use qmp::ffi::*;

use super::support::LONG;
use super::support::qemu::{Qemu, missing};

#[test]
fn f37_f47_after_a_stop_every_call_gets_its_own_reply() {
    if missing("qemu-system-x86_64") {
        return;
    }
    let qemu = Qemu::start(&[]);
    let client = qemu.connect().unwrap();
    let print = |number: u32, timeout_ms| {
        let arguments = format!("{{\"command-line\": \"print /d {number}\"}}");
        client.execute("human-monitor-command", Some(&arguments), timeout_ms)
    };
    for round in 0..50 {
        qemu.signal(libc::SIGSTOP);
        let failure = print(2 * round, 50).unwrap_err();
        assert_eq!(
            failure.kind(),
            (QMP_ERR_TIMEOUT, true),
            "round {round}: {failure:?}"
        );
        qemu.signal(libc::SIGCONT);
        assert_eq!(
            print(2 * round + 1, LONG),
            Ok(format!("\"{}\\r\\n\"", 2 * round + 1))
        );
    }
}
