// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is checked. A thread that nobody would wake any more is a deadlock to the checker, so that
//! a scenario ends at all shows that everybody is woken.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use shuttle::rand::{Rng, thread_rng};
use shuttle::thread;

use super::{Call, Handle, Stage, at_once, chance, check, forever, join, perhaps_a_clock, submit};
use crate::client::log::{Level, Logger, Sink};
use crate::client::{Cancel, Options, Wait};
use crate::error::Status;
use crate::sys::model;

#[test]
fn f46_f100_each_caller_gets_its_own_reply() {
    check(|| {
        perhaps_a_clock();
        let stage = Stage::open(|server| server.serve());
        let callers = ["a", "b", "c"].map(|name| stage.caller(Call::two(name), &[]));
        join(callers);
        stage.still_works();
        stage.leave();
    });
}

#[test]
fn f47_f87_a_call_may_be_cancelled_or_time_out_at_any_moment() {
    check(|| {
        perhaps_a_clock();
        let stage = Stage::open(|server| server.serve());
        let cancel = Arc::new(Cancel::new());
        let short = Call {
            // Those with more than a receive's own limit do not poll first.
            timeout: Some(Duration::from_millis(if chance(2) { 1 } else { 600 })),
            ..Call::forever("short")
        };
        let cancelled = ["first", "second"].map(|name| Call {
            cancel: Some(cancel.clone()),
            ..Call::forever(name)
        });
        let callers = [
            stage.caller(vec![short], &[Status::Timeout]),
            stage.caller(Vec::from(cancelled), &[Status::Cancelled]),
            stage.caller(Call::two("a"), &[]),
        ];
        let trigger = thread::spawn(move || cancel.trigger());
        join(callers);
        join([trigger]);
        stage.still_works();
        stage.leave();
    });
}

#[test]
fn f87_a_call_without_an_answer_is_cancelled() {
    check(|| {
        let stage = Stage::open(|server| while server.commands().is_some() {});
        let cancel = Arc::new(Cancel::new());
        let callers = ["a", "b"].map(|name| {
            let call = Call {
                cancel: Some(cancel.clone()),
                ..Call::forever(name)
            };
            stage.caller(vec![call], &[Status::Cancelled])
        });
        let trigger = thread::spawn(move || cancel.trigger());
        join(callers);
        join([trigger]);
        stage.leave();
    });
}

#[test]
fn f89_close_ends_all_who_are_inside() {
    check(|| {
        perhaps_a_clock();
        let answers = chance(2);
        let stage = Stage::open(move |server| {
            if answers {
                server.serve();
            } else {
                while server.commands().is_some() {}
            }
        });
        let handle = Handle::of(stage.connection);
        let mut threads = Vec::from(["a", "b"].map(|name| {
            let handle = handle.clone();
            thread::spawn(move || {
                for turn in 0..3 {
                    let Some(connection) = handle.get() else {
                        return;
                    };
                    Call::forever(&format!("{name}{turn}")).make(&connection, &[Status::Closed]);
                    model::call(|| drop(connection));
                }
            })
        }));
        let poller = handle.get().unwrap();
        threads.push(thread::spawn(move || {
            let end = poller.poll_event(&forever()).unwrap_err();
            assert_eq!(end.status, Status::Closed);
            model::call(|| drop(poller));
        }));
        handle.close();
        join(threads);
        // The server saw the end.
        join([stage.server]);
    });
}

#[test]
fn f29_f32_the_peers_end_ends_all() {
    check(|| {
        perhaps_a_clock();
        let commands = thread_rng().gen_range(0..4);
        let stage = Stage::open(move |server| server.serve_some(commands));
        let callers = ["a", "b"].map(|name| stage.caller(Call::two(name), &[Status::Disconnected]));
        if chance(2) {
            let end = stage.connection.poll_event(&forever()).unwrap_err();
            assert_eq!(end.status, Status::Disconnected);
        }
        join(callers);
        stage.leave();
    });
}

#[test]
fn f70_events_keep_wire_order() {
    check(|| {
        perhaps_a_clock();
        const EVENTS: u64 = 4;
        let stage = Stage::open(|server| {
            server.event();
            for _ in 0..2 {
                let commands = server.commands().unwrap();
                server.event();
                server.answer(commands);
            }
            server.event();
            server.serve();
        });
        let caller = stage.caller(Call::two("a"), &[]);
        for number in 1..=EVENTS {
            let event = stage.connection.poll_event(&forever()).unwrap();
            assert_eq!(event.data(), Some(&*number.to_string()));
            assert_eq!((event.sequence, event.lost), (number, 0));
        }
        join([caller]);
        assert!(!stage.connection.event_is_signalled(Duration::ZERO));
        stage.leave();
    });
}

#[test]
fn f70_an_event_before_the_reply_is_there_when_the_call_returns() {
    check(|| {
        perhaps_a_clock();
        let stage = Stage::open(|server| {
            while let Some(commands) = server.commands() {
                server.event();
                server.answer(commands);
            }
        });
        for number in 1..=2 {
            stage.still_works();
            let event = stage.connection.poll_event(&at_once()).unwrap();
            assert_eq!(event.sequence, number);
        }
        stage.leave();
    });
}

#[test]
fn an_event_reaches_who_waits_for_it_while_another_reads() {
    check(|| {
        perhaps_a_clock();
        let stage = Stage::open(|server| {
            let first = server.commands().unwrap();
            server.event();
            let second = server.commands().unwrap();
            server.answer(second);
            server.answer(first);
            server.serve();
        });
        let caller = stage.caller(vec![Call::forever("first")], &[]);
        assert!(stage.connection.poll_event(&forever()).is_ok());
        Call::forever("second").make(&stage.connection, &[]);
        join([caller]);
        stage.leave();
    });
}

#[test]
fn an_idle_connection_is_read_and_its_end_is_noticed() {
    check(|| {
        // The I/O thread takes a connection over when it was quiet for a tick.
        thread::spawn(model::run_clock);
        let idle = || {
            let stage = Stage::open(|server| {
                let commands = server.commands().unwrap();
                server.answer(commands);
                server.event();
            });
            stage.still_works();
            stage.waits_for_the_event_descriptor();
            let mut event = stage.connection.poll_event(&at_once());
            if event.is_ok() {
                stage.waits_for_the_event_descriptor();
                event = stage.connection.poll_event(&at_once());
            }
            assert_eq!(event.unwrap_err().status, Status::Disconnected);
            stage.leave();
        };
        // The second finds the I/O thread asleep, or awake.
        let other = thread::spawn(idle);
        idle();
        join([other]);
    });
}

#[test]
fn a_connection_that_is_made_while_the_io_thread_falls_asleep_is_read() {
    check(|| {
        thread::spawn(model::run_clock);
        // Nothing of this one ever wakes it again.
        let quiet = Stage::open(|server| server.serve());
        let stage = Stage::open(|server| {
            server.event();
            server.serve();
        });
        stage.waits_for_the_event_descriptor();
        assert!(stage.connection.poll_event(&at_once()).is_ok());
        stage.leave();
        quiet.leave();
    });
}

#[test]
fn f34_f100_commands_are_whole_however_little_the_socket_takes() {
    check(|| {
        perhaps_a_clock();
        let stage = Stage::open(|server| server.serve());
        model::hinder_sending();
        let callers = ["a", "b", "c"].map(|name| stage.caller(vec![Call::forever(name)], &[]));
        join(callers);
        stage.still_works();
        stage.leave();
    });
}

#[test]
fn f34_f46_what_is_submitted_leaves_and_is_answered() {
    check(|| {
        perhaps_a_clock();
        let stage = Stage::open(|server| server.serve());
        if chance(2) {
            model::hinder_sending();
        }
        let threads = [
            stage.submitter("a"),
            stage.submitter("b"),
            stage.caller(Call::two("c"), &[]),
        ];
        join(threads);
        stage.still_works();
        stage.leave();
    });
}

#[test]
fn f89_what_was_submitted_before_the_close_has_left() {
    check(|| {
        // Time stands still: a close waits for others as long as it takes.
        let heard = Arc::new(AtomicUsize::new(0));
        let count = heard.clone();
        let stage = Stage::open(move |server| {
            while let Some(commands) = server.commands() {
                let submitted = commands.iter().filter(|it| it.is("mine")).count();
                count.fetch_add(submitted, Ordering::Relaxed);
                server.answer(commands);
            }
        });
        let callers = ["a", "b"].map(|name| stage.caller(Call::two(name), &[Status::Closed]));
        let requests: Vec<_> = (0..3).map(|_| submit(&stage.connection, "mine")).collect();
        stage.connection.close();
        join(callers);
        model::call(|| drop(requests));
        model::call(|| drop(stage.connection));
        join([stage.server]);
        assert_eq!(heard.load(Ordering::Relaxed), 3);
    });
}

#[test]
fn f34_f88_after_a_command_sent_in_part_nothing_follows() {
    check(|| {
        perhaps_a_clock();
        let stage = Stage::open(|server| server.serve());
        model::hinder_sending();
        let cancel = Arc::new(Cancel::new());
        let short = Call {
            timeout: Some(Duration::from_millis(1)),
            ..Call::forever("short")
        };
        let cancelled = Call {
            cancel: Some(cancel.clone()),
            ..Call::forever("cancelled")
        };
        let callers = [
            stage.caller(vec![short], &[Status::Timeout, Status::Disconnected]),
            stage.caller(vec![cancelled], &[Status::Cancelled, Status::Disconnected]),
            stage.caller(vec![Call::forever("a")], &[Status::Disconnected]),
        ];
        let trigger = thread::spawn(move || cancel.trigger());
        join(callers);
        join([trigger]);
        Call::forever("next").make(&stage.connection, &[Status::Disconnected]);
        stage.leave();
    });
}

/// Closes the connection from inside the logger.
struct Closer(Handle);

impl Sink for Closer {
    fn write(&self, _: Level, line: &str) {
        if line.contains("received") && chance(2) {
            self.0.close();
        }
    }
}

#[test]
fn f98_f111_a_logger_may_close_the_connection() {
    check(|| {
        perhaps_a_clock();
        let handle = Handle::default();
        let sink = Arc::new(Closer(handle.clone()));
        let options = Options {
            logger: Some(Logger::new(Level::Trace, sink)),
            ..Options::default()
        };
        let stage = Stage::with(options, |server| {
            server.event();
            server.serve();
        });
        handle.set(stage.connection.clone());
        let callers = ["a", "b"].map(|name| stage.caller(Call::two(name), &[Status::Closed]));
        join(callers);
        handle.close();
        stage.leave();
    });
}

/// Calls on the connection that it logs for.
struct Reentrant(Handle);

impl Sink for Reentrant {
    fn write(&self, _: Level, line: &str) {
        // The line of its own call must not make it call again.
        if line.contains("received") && !line.contains("inner") {
            if let Some(connection) = self.0.get() {
                Call::forever("inner").make(&connection, &[]);
                model::call(|| drop(connection));
            }
        }
    }
}

#[test]
fn f97_f111_a_logger_may_call_back() {
    check(|| {
        perhaps_a_clock();
        let handle = Handle::default();
        let sink = Arc::new(Reentrant(handle.clone()));
        let options = Options {
            logger: Some(Logger::new(Level::Debug, sink)),
            ..Options::default()
        };
        let stage = Stage::with(options, |server| server.serve());
        handle.set(stage.connection.clone());
        let callers = ["a", "b"].map(|name| stage.caller(vec![Call::forever(name)], &[]));
        join(callers);
        handle.close();
        stage.leave();
    });
}

#[test]
fn everything_at_once_ends() {
    check(|| {
        perhaps_a_clock();
        let commands = thread_rng().gen_range(0..8);
        let options = Options {
            // A recorder has a lock of its own.
            record: chance(2).then(|| "/dev/null".into()),
            ..Options::default()
        };
        let stage = Stage::with(options, move |server| {
            server.event();
            server.serve_some(commands);
        });
        if chance(2) {
            model::hinder_sending();
        }
        const ANY: &[Status] = &[
            Status::Timeout,
            Status::Cancelled,
            Status::Closed,
            Status::Disconnected,
        ];
        let cancel = Arc::new(Cancel::new());
        let callers = ["a", "b", "c"].map(|name| {
            let mut calls = Call::two(name);
            for call in &mut calls {
                let limit = Duration::from_millis(if chance(2) { 1 } else { 600 });
                call.timeout = chance(4).then_some(limit);
                call.cancel = chance(4).then(|| cancel.clone());
            }
            stage.caller(calls, ANY)
        });
        let connection = stage.connection.clone();
        let trigger = cancel.clone();
        let ender = thread::spawn(move || {
            trigger.trigger();
            if chance(2) {
                connection.close();
            }
            model::call(|| drop(connection));
        });
        let wait = Wait::new(None, Some(&cancel));
        while stage.connection.poll_event(&wait).is_ok() {}
        join(callers);
        join([ender]);
        stage.leave();
    });
}
