// SPDX-License-Identifier: MIT OR Apache-2.0
//! The model check of the reader role, the slots and the close (`make model`): the client as it
//! is, its I/O thread included, under a checker that chooses who runs next. `sys/model` says what
//! is swapped for that.
//!
//! MODEL_ITERATIONS runs of each scenario under each kind of schedule, beginning with MODEL_SEED.
//! A failure prints its schedule; MODEL_REPLAY with that, and the test's name, runs it again.

mod scenarios;
mod server;

use std::env;
use std::sync::Arc;
use std::time::Duration;

use shuttle::rand::{Rng, thread_rng};
use shuttle::scheduler::{PctScheduler, RandomScheduler, ReplayScheduler, Scheduler};
use shuttle::thread::{self, JoinHandle};
use shuttle::{Config, MaxSteps, Runner};

use self::server::Server;
use super::lock::Lock;
use super::record::Recorder;
use super::{Band, Cancel, Connection, Options, Request, Wait};
use crate::error::Status;
use crate::sys::fork::Before;
use crate::sys::model;
use crate::transport::memory;

fn number(name: &str, otherwise: u64) -> u64 {
    env::var(name).map_or(otherwise, |given| given.parse().unwrap())
}

/// Runs a scenario under many schedules. Random ones switch threads all the time; the others
/// (probabilistic concurrency testing) do so at a few points, which finds what needs one thread
/// to be far ahead of the others.
fn check(scenario: fn()) {
    if let Ok(schedule) = env::var("MODEL_REPLAY") {
        run(ReplayScheduler::new_from_encoded(schedule.trim()), scenario);
        return;
    }
    let iterations = number("MODEL_ITERATIONS", 4000) as usize;
    let seed = number("MODEL_SEED", 1);
    run(RandomScheduler::new_from_seed(seed, iterations), scenario);
    for depth in [2, 4] {
        let schedules = PctScheduler::new_from_seed(seed, depth, iterations);
        run(schedules, scenario);
    }
}

fn run(schedules: impl Scheduler + 'static, scenario: fn()) {
    let mut config = Config::new();
    config.stack_size = 256 << 10;
    // More is a loop without an end.
    config.max_steps = MaxSteps::FailAfter(50_000);
    config.silence_warnings = true;
    Runner::new(schedules, config).run(move || {
        scenario();
        model::end();
    });
}

fn chance(one_in: u32) -> bool {
    thread_rng().gen_ratio(1, one_in)
}

fn forever() -> Wait<'static> {
    Wait::new(None, None)
}

fn at_once() -> Wait<'static> {
    Wait::new(Some(Duration::ZERO), None)
}

/// A connection that the I/O thread knows, and its server's thread.
struct Stage {
    connection: Arc<Connection>,
    server: JoinHandle<()>,
}

impl Stage {
    /// The server runs `script` once it has greeted. There is no negotiation: its id is random,
    /// and a schedule could not be run again.
    fn open(script: impl FnOnce(&mut Server) + Send + 'static) -> Stage {
        Stage::with(Options::default(), script)
    }

    fn with(options: Options, script: impl FnOnce(&mut Server) + Send + 'static) -> Stage {
        let (socket, stream) = memory::pair().unwrap();
        let server = thread::spawn(move || {
            let mut server = Server::new(stream);
            server.send("{\"QMP\": {}}");
            script(&mut server);
            model::call(|| drop(server));
        });
        // A shared socket is polled before every receive.
        let (shared, address) = (chance(2), "model".to_owned());
        let options = Arc::new(options);
        let recorder = Recorder::begin(&options).unwrap();
        let connection =
            Connection::new(socket, shared, Before::now(), address, &options, recorder);
        connection.greet(&forever()).unwrap();
        connection.register().unwrap();
        Stage { connection, server }
    }

    /// A thread that makes calls, each of which ends in its own reply or in one of these ways.
    fn caller(&self, calls: Vec<Call>, failures: &'static [Status]) -> JoinHandle<()> {
        let connection = self.connection.clone();
        thread::spawn(move || {
            for call in &calls {
                call.make(&connection, failures);
            }
            model::call(|| drop(connection));
        })
    }

    /// A thread that submits commands, frees some, and waits for the others in any order.
    fn submitter(&self, name: &'static str) -> JoinHandle<()> {
        let connection = self.connection.clone();
        thread::spawn(move || {
            let submit = |number| submit(&connection, &format!("{name}{number}"));
            let mut requests: Vec<_> = (0..3).map(submit).collect();
            while !requests.is_empty() {
                let request = requests.swap_remove(thread_rng().gen_range(0..requests.len()));
                if !chance(4) {
                    let reply = request.wait(&forever()).unwrap();
                    assert_eq!(reply.as_str(), format!("\"{}\"", request.command()));
                }
            }
            model::call(|| drop(connection));
        })
    }

    /// With nobody inside nothing is left behind.
    fn is_at_rest(&self) {
        let state = self.connection.state.lock();
        // A close by a logger may still be about to wake up.
        let closing = state.leaving && !state.closed;
        assert!(closing || state.parked.is_empty(), "{:?}", state.parked);
        assert!(state.done.is_empty(), "{:?}", state.done);
    }

    /// The next call works: somebody reads, and nobody kept the role.
    fn still_works(&self) {
        Call::forever("next").make(&self.connection, &[]);
    }

    fn waits_for_the_event_descriptor(&self) {
        // A signal ends the wait early.
        while !self.connection.event_is_signalled(None) {}
    }

    /// For a server that waits for the end.
    fn leave(self) {
        self.is_at_rest();
        model::call(|| drop(self.connection));
        self.server.join().unwrap();
    }
}

/// One call, and how long it waits.
struct Call {
    name: String,
    timeout: Option<Duration>,
    cancel: Option<Arc<Cancel>>,
}

impl Call {
    fn forever(name: &str) -> Call {
        Call {
            name: name.to_owned(),
            timeout: None,
            cancel: None,
        }
    }

    fn two(name: &str) -> Vec<Call> {
        let names = [name.to_owned(), name.to_uppercase()];
        Vec::from(names.map(|name| Call::forever(&name)))
    }

    fn wait(&self) -> Wait<'_> {
        Wait::new(self.timeout, self.cancel.as_deref())
    }

    fn make(&self, connection: &Connection, failures: &[Status]) {
        match connection.execute(&self.name, None, &self.wait()) {
            Ok(reply) => assert_eq!(reply.as_str(), format!("\"{}\"", self.name)),
            Err(error) => {
                assert!(failures.contains(&error.status), "{error:?}");
                if error.message.contains("sent in part") {
                    assert!(connection.state.lock().is_ended());
                }
            }
        }
    }
}

/// What C holds: a connection that is there until somebody closes it.
#[derive(Clone, Default)]
struct Handle(Arc<Lock<Option<Arc<Connection>>>>);

impl Handle {
    fn of(connection: Arc<Connection>) -> Handle {
        let handle = Handle::default();
        handle.set(connection);
        handle
    }

    fn set(&self, connection: Arc<Connection>) {
        *self.0.lock() = Some(connection);
    }

    fn get(&self) -> Option<Arc<Connection>> {
        self.0.lock().clone()
    }

    fn close(&self) {
        let taken = self.0.lock().take();
        if let Some(connection) = taken {
            connection.close();
            model::call(|| drop(connection));
        }
    }
}

fn submit(connection: &Arc<Connection>, name: &str) -> Request {
    connection.request(Band::InBand, name, None).unwrap()
}

fn join(threads: impl IntoIterator<Item = JoinHandle<()>>) {
    for thread in threads {
        thread.join().unwrap();
    }
}

/// In half of the runs time stands still: then no limit of a wait makes up for a wake-up that was
/// forgotten.
fn perhaps_a_clock() {
    if chance(2) {
        thread::spawn(model::run_clock);
    }
}
