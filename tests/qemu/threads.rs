// SPDX-License-Identifier: MIT OR Apache-2.0
//! Many threads on one handle, with events in between: nobody gets another's reply.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::support::LONG;
use super::support::client::Options;
use super::support::qemu::{Qemu, missing};

const THREADS: usize = 8;
const CALLS: usize = 500;

/// Ends the flood, also when a call fails.
struct Finished<'a>(&'a AtomicBool);

impl Drop for Finished<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn f100_no_reply_is_mixed_up_during_a_flood_of_events() {
    if missing("qemu-system-x86_64") {
        return;
    }
    let qemu = Qemu::start(&[]);
    let options = Options {
        event_capacity: Some(1 << 20),
        ..Options::default()
    };
    let client = qemu.connect_with(options).unwrap();
    let done = AtomicBool::new(false);
    let flips = thread::scope(|scope| {
        let flood = scope.spawn(|| {
            let mut flips = 0;
            while !done.load(Ordering::Relaxed) {
                client.call("stop").unwrap();
                client.call("cont").unwrap();
                flips += 1;
            }
            flips
        });
        let finished = Finished(&done);
        thread::scope(|scope| {
            for thread in 0..THREADS {
                let client = &client;
                scope.spawn(move || {
                    for call in 0..CALLS {
                        let number = thread * CALLS + call;
                        let arguments = format!("{{\"command-line\": \"print /d {number}\"}}");
                        let reply = client.execute("human-monitor-command", Some(&arguments), LONG);
                        assert_eq!(reply, Ok(format!("\"{number}\\r\\n\"")));
                    }
                });
            }
        });
        drop(finished);
        flood.join().unwrap()
    });
    let events: Vec<_> = std::iter::from_fn(|| client.poll_event(0).ok()).collect();
    assert_eq!(events.len(), 2 * flips);
    for (place, event) in events.iter().enumerate() {
        assert_eq!(event.name, if place % 2 == 0 { "STOP" } else { "RESUME" });
        assert_eq!((event.sequence, event.lost), (place as u64 + 1, 0));
    }
}
