// SPDX-License-Identifier: MIT OR Apache-2.0
//! The library neither raises signals nor handles any. On its own, since signals concern the whole process.

use std::net::Shutdown;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;

use qmp::ffi::*;

mod support;
use support::LONG;
use support::client::Client;
use support::hostile::Hostile;

static RAISED: AtomicU32 = AtomicU32::new(0);

extern "C" fn count(_: i32) {
    RAISED.fetch_add(1, Ordering::Relaxed);
}

/// The signals that this process ignores or handles.
fn handled() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let lines = status
        .lines()
        .filter(|line| line.starts_with("SigIgn") || line.starts_with("SigCgt"));
    lines.collect()
}

#[test]
fn f39_a_peer_that_does_not_read_raises_no_signal_and_none_is_handled() {
    // The test harness ignores this signal; here it would be noticed.
    unsafe { libc::signal(libc::SIGPIPE, count as *const () as libc::sighandler_t) };
    let before = handled();
    let (closed, has_closed) = mpsc::channel();
    let (done, client_is_done) = mpsc::channel();
    let server = Hostile::negotiated(move |peer| {
        peer.half_close(Shutdown::Read);
        closed.send(()).unwrap();
        client_is_done.recv().unwrap();
    });
    let client = Client::connect(&server.address(), LONG).unwrap();
    has_closed.recv().unwrap();
    let failure = client.call("stop").unwrap_err();
    assert_eq!(failure.kind(), (QMP_ERR_DISCONNECTED, false), "{failure:?}");
    assert_eq!(failure.os_errno, libc::EPIPE);
    done.send(()).unwrap();
    drop(client);
    assert_eq!(RAISED.load(Ordering::Relaxed), 0);
    assert_eq!(handled(), before);
}
