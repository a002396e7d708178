// SPDX-License-Identifier: MIT OR Apache-2.0
//! The world of the model check (`make model`). Under `--cfg model` every call that makes a thread
//! wait, or that may end another's waiting, comes here. The checker chooses at each of them who
//! runs next, and a thread that waits is blocked in its eyes: one that nobody would ever wake is a
//! deadlock, which it reports. Descriptors are the kernel's own; only the waiting for them is not.
//!
//! Time stands still unless the clock runs. The clock passes the nearest limit of a sleeper
//! whenever the checker lets it, so that a wait with a limit may end at any moment. Memory has one
//! order for all threads: whether a fence is missing is not found here.

use std::collections::VecDeque;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use shuttle::rand::{Rng, thread_rng};
use shuttle::sync::mpsc::{Sender, channel};
use shuttle::thread;

/// How often the clock ends a wait that has no limit, as a signal or a socket's own limit does. So
/// few that they do not make up for a forgotten wake-up, and that they do not go on for ever.
const SIGNALS: u32 = 3;

/// What a thread sleeps on.
pub enum On {
    Word {
        address: usize,
        marks: u32,
    },
    Descriptors(Vec<libc::pollfd>),
    /// The clock: until somebody sleeps with a limit.
    Limits,
}

struct Sleeper {
    on: On,
    until: Option<Duration>,
    wake: Sender<()>,
}

#[derive(Default)]
struct World {
    now: Duration,
    sleepers: VecDeque<Sleeper>,
    ticking: bool,
    signals: u32,
    hindered: bool,
    over: bool,
}

shuttle::lazy_static! {
    static ref WORLD: Mutex<World> = Mutex::default();
}

/// Never held at a point where another thread may run.
fn world() -> MutexGuard<'static, World> {
    let world: &'static Mutex<World> = &WORLD;
    world.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A point where another thread may run.
pub fn step() {
    thread::sleep(Duration::ZERO);
}

/// A system call, and what follows from it for those who wait for descriptors.
pub fn call<R>(call: impl FnOnce() -> R) -> R {
    step();
    let result = call();
    wake(|on| matches!(on, On::Descriptors(fds) if is_ready(fds)));
    result
}

pub fn wanted(fd: BorrowedFd<'_>, events: i16) -> libc::pollfd {
    libc::pollfd {
        fd: fd.as_raw_fd(),
        events,
        revents: 0,
    }
}

fn is_ready(fds: &[libc::pollfd]) -> bool {
    let mut fds = fds.to_vec();
    // SAFETY: `fds` is as long as it says; it does not wait.
    unsafe { libc::poll(fds.as_mut_ptr(), fds.len() as libc::nfds_t, 0) > 0 }
}

/// Sleeps until one of the descriptors is ready, or for `limit`, or for no reason.
pub fn wait_for(fds: Vec<libc::pollfd>, limit: Option<Duration>) {
    if !is_ready(&fds) {
        sleep(On::Descriptors(fds), limit);
    }
}

/// Nobody runs between the caller's last look and its sleep.
pub fn sleep(on: On, limit: Option<Duration>) {
    let (wake, woken) = channel();
    let mut world = world();
    if world.over || limit == Some(Duration::ZERO) {
        return;
    }
    let mut until = limit.map(|limit| world.now.saturating_add(limit));
    let eternal = until.is_none() && !matches!(on, On::Limits);
    if eternal && world.ticking && world.signals < SIGNALS && thread_rng().gen_ratio(1, 4) {
        world.signals += 1;
        until = Some(world.now);
    }
    world.sleepers.push_back(Sleeper { on, until, wake });
    drop(world);
    if until.is_some() {
        self::wake(|on| matches!(on, On::Limits));
    }
    let _ = woken.recv();
}

/// Wakes the sleepers that this is true for.
pub fn wake(whom: impl Fn(&On) -> bool) {
    wake_sleepers(|sleeper| whom(&sleeper.on));
}

fn wake_sleepers(whom: impl Fn(&Sleeper) -> bool) {
    let mut world = world();
    let all = std::mem::take(&mut world.sleepers);
    let (woken, others) = all.into_iter().partition::<VecDeque<_>, _>(whom);
    world.sleepers = others;
    drop(world);
    for sleeper in woken {
        let _ = sleeper.wake.send(());
    }
}

pub fn now() -> Duration {
    world().now
}

/// Lets time pass, until the end. For a thread of its own.
pub fn run_clock() {
    world().ticking = true;
    loop {
        step();
        let mut world = world();
        if world.over {
            return;
        }
        let nearest = world.sleepers.iter().filter_map(|one| one.until).min();
        let Some(nearest) = nearest else {
            drop(world);
            sleep(On::Limits, None);
            continue;
        };
        world.now = world.now.max(nearest);
        drop(world);
        wake_sleepers(|one| one.until == Some(nearest));
    }
}

/// From now on a socket may take but a part, or nothing at once.
pub fn hinder_sending() {
    world().hindered = true;
}

pub fn is_sending_hindered() -> bool {
    world().hindered
}

/// The library's own threads, which otherwise live as long as the process, end.
pub fn end() {
    world().over = true;
    wake_sleepers(|_| true);
}

pub fn is_over() -> bool {
    world().over
}
