// SPDX-License-Identifier: MIT OR Apache-2.0
//! A logger that takes its time holds up nobody but the thread that it runs on.

use std::sync::{Mutex, mpsc};
use std::thread;
use std::time::Duration;

use super::connect;
use super::support::LONG;
use super::support::client::{Client, Logger, Options};
use super::support::hostile::Hostile;

const STRAY: &str = "{\"return\": 0, \"id\": 999999}";

/// Enters with the first reply that is dropped, and stays until it is let go.
fn stuck() -> (Logger, mpsc::Receiver<()>, mpsc::Sender<()>) {
    let (entered, has_entered) = mpsc::channel();
    let (let_go, may_go) = mpsc::channel::<()>();
    let once = Mutex::new(Some((entered, may_go)));
    let logger = move |_: i32, line: &str| {
        if line.contains("dropped a reply") {
            let first = once.lock().unwrap().take();
            if let Some((entered, may_go)) = first {
                entered.send(()).unwrap();
                let _ = may_go.recv_timeout(Duration::from_millis(LONG as u64));
            }
        }
    };
    (Box::new(logger), has_entered, let_go)
}

fn wait_for(channel: &mpsc::Receiver<()>) {
    channel
        .recv_timeout(Duration::from_millis(LONG as u64))
        .unwrap();
}

#[test]
fn f77_f111_a_logger_stuck_in_a_call_delays_no_other_call() {
    let server = Hostile::negotiated(|peer| {
        let command = peer.command();
        peer.send(STRAY);
        peer.succeed(&command, "1");
        peer.echo();
    });
    let (logger, has_entered, let_go) = stuck();
    let (address, options) = (server.address(), Options::default());
    let client = Client::connect_logged(&address, options, LONG, Some(logger)).unwrap();
    thread::scope(|scope| {
        let first = scope.spawn(|| client.call("first"));
        wait_for(&has_entered);
        for _ in 0..100 {
            assert_eq!(client.call("other").as_deref(), Ok("\"other\""));
        }
        let_go.send(()).unwrap();
        assert_eq!(first.join().unwrap().as_deref(), Ok("1"));
    });
}

/// The library's own thread is the one that is held up here.
#[test]
fn f77_f111_a_logger_stuck_while_nobody_calls_delays_no_call() {
    let (connected, has_connected) = mpsc::channel();
    let server = Hostile::negotiated(move |peer| {
        wait_for(&has_connected);
        peer.send(STRAY);
        peer.echo();
    });
    let other = Hostile::negotiated(|peer| peer.echo());
    let (logger, has_entered, let_go) = stuck();
    let (address, options) = (server.address(), Options::default());
    let client = Client::connect_logged(&address, options, LONG, Some(logger)).unwrap();
    connected.send(()).unwrap();
    wait_for(&has_entered);
    let second = connect(&other);
    for _ in 0..100 {
        assert_eq!(client.call("a").as_deref(), Ok("\"a\""));
        assert_eq!(second.call("b").as_deref(), Ok("\"b\""));
    }
    let_go.send(()).unwrap();
}
