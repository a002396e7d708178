// SPDX-License-Identifier: MIT OR Apache-2.0
//! The one thread of the library. It reads idle connections, so that events are collected and the
//! end is noticed while nobody calls, and sends what a full socket did not take.
//!
//! Callers never tell it that they read a connection themselves. It looks at a new connection, and
//! at one that had a reader when it fired, at every tick, and arms it when it is quiet: connecting
//! and a connection in steady use cost no epoll system call at all.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicU64, Ordering, fence};
use std::sync::{Arc, Weak};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender};

use super::alarms::Alarms;
use super::connection::Connection;
use super::idle::{Served, Watched};
use super::lock::Lock;
use super::own_loop::{self, OwnLoop};
use crate::sys::epoll::{Epoll, Interest};
use crate::sys::eventfd::EventFd;
use crate::sys::fork::PerProcess;
use crate::sys::sync::{AtomicBool, Instant};
use crate::sys::thread;

/// After so many ticks with one and the same reader the I/O thread stops looking; the reader arms
/// the connection when it leaves.
const PATIENCE: u32 = 4;

/// The thread is woken for its mail only when this much has piled up.
const MAIL_LIMIT: usize = 256;

const WAKE: u64 = 0;

enum Mail {
    /// A connection that is watched from now on.
    Add(u64, Weak<Connection>),
    /// One whose activity was that, and which is to be looked at again.
    Watch(u64, u64),
    Remove(u64),
    /// When a connection has something to do, if not before.
    Alarm(Weak<Connection>, Option<Instant>),
}

struct IoThread {
    epoll: Epoll,
    wake: EventFd,
    mail: Sender<Mail>,
    next_token: AtomicU64,
    /// It wakes up by itself within a tick, and reads its mail then.
    ticking: AtomicBool,
}

static THREAD: PerProcess<Lock<Option<Arc<IoThread>>>> = PerProcess::new(|| Lock::new(None));

/// A connection's place at the I/O thread; dropping it gives the place up. The descriptor leaves
/// the epoll set when it is closed, or by [`Registration::remove`].
pub struct Registration {
    place: Place,
    /// The descriptor is in the epoll set.
    added: bool,
}

enum Place {
    Thread(Arc<IoThread>, u64),
    /// The caller's loop.
    Own(Arc<OwnLoop>),
}

/// The connection is watched from now on, and must know it.
pub fn register(connection: &Arc<Connection>) -> io::Result<Registration> {
    let thread = running()?;
    let token = thread.next_token.fetch_add(1, Ordering::Relaxed);
    thread.post_now(Mail::Add(token, Arc::downgrade(connection)));
    Ok(Registration {
        place: Place::Thread(thread, token),
        added: false,
    })
}

/// Has [`Connection::tend`] called at that time, and no more at the one that was set before. It may be called for less.
pub fn set_alarm(connection: Weak<Connection>, at: Option<Instant>) -> io::Result<()> {
    running()?.post_now(Mail::Alarm(connection, at));
    Ok(())
}

impl Registration {
    pub(super) fn own(own: Arc<OwnLoop>) -> Registration {
        Registration {
            place: Place::Own(own),
            added: false,
        }
    }

    pub fn arm(&mut self, fd: BorrowedFd<'_>, interest: Interest) -> io::Result<()> {
        let (epoll, token) = self.place.epoll();
        if self.added {
            return epoll.arm(fd, token, interest);
        }
        epoll.add(fd, token, interest)?;
        self.added = true;
        Ok(())
    }

    /// Has the connection, whose activity is that, looked at at the next tick. False: the caller's loop does that.
    pub fn watch(&self, activity: u64) -> bool {
        match &self.place {
            Place::Thread(thread, token) => {
                thread.post_now(Mail::Watch(*token, activity));
                true
            }
            Place::Own(_) => false,
        }
    }

    /// For a descriptor that stays open, here or in a forked child.
    pub fn remove(&self, fd: BorrowedFd<'_>) {
        if self.added {
            let _ = self.place.epoll().0.remove(fd);
        }
    }
}

impl Place {
    fn epoll(&self) -> (&Epoll, u64) {
        match self {
            Place::Thread(thread, token) => (&thread.epoll, *token),
            Place::Own(own) => (&own.epoll, own_loop::SOCKET),
        }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        if let Place::Thread(thread, token) = &self.place {
            thread.post(Mail::Remove(*token));
        }
    }
}

fn running() -> io::Result<Arc<IoThread>> {
    let mut slot = THREAD.get().lock();
    if let Some(thread) = &*slot {
        return Ok(thread.clone());
    }
    let (mail, inbox) = crossbeam_channel::unbounded();
    let thread = Arc::new(IoThread {
        epoll: Epoll::new()?,
        wake: EventFd::new()?,
        mail,
        next_token: AtomicU64::new(WAKE + 1),
        ticking: AtomicBool::new(false),
    });
    thread.epoll.add(thread.wake.as_fd(), WAKE, READ)?;
    let its = thread.clone();
    thread::spawn("qmp-io", move || Loop::new(its, inbox).run())?;
    *slot = Some(thread.clone());
    Ok(thread)
}

const READ: Interest = Interest {
    read: true,
    write: false,
    end: false,
};

impl IoThread {
    fn post(&self, mail: Mail) {
        // The receiver lives as long as the process.
        let _ = self.mail.send(mail);
        if self.mail.len() >= MAIL_LIMIT {
            self.wake.set();
        }
    }

    /// For what cannot wait for longer than a tick.
    fn post_now(&self, mail: Mail) {
        self.post(mail);
        fence(Ordering::SeqCst);
        if !self.ticking.load(Ordering::SeqCst) {
            self.wake.set();
        }
    }
}

/// A connection that is new, or had a reader when it fired.
struct Busy {
    token: u64,
    activity: u64,
    ticks: u32,
}

struct Loop {
    thread: Arc<IoThread>,
    inbox: Receiver<Mail>,
    connections: HashMap<u64, Weak<Connection>>,
    busy: Vec<Busy>,
    alarms: Alarms<Connection>,
}

impl Loop {
    fn new(thread: Arc<IoThread>, inbox: Receiver<Mail>) -> Loop {
        Loop {
            thread,
            inbox,
            connections: HashMap::new(),
            busy: Vec::new(),
            alarms: Alarms::new(),
        }
    }

    fn run(mut self) {
        let mut fired = Vec::new();
        let mut last_look = Instant::now();
        loop {
            let tick = self.next_tick();
            let timeout = self.until_alarm().into_iter().chain(tick).min();
            if self.thread.epoll.wait(&mut fired, timeout).is_err() {
                // Only a broken program (a closed descriptor that is not its own) gets here.
                return;
            }
            self.read_mail();
            for token in fired.drain(..) {
                self.serve(token);
            }
            if !self.busy.is_empty() && last_look.elapsed() >= Connection::TICK {
                self.look();
                last_look = Instant::now();
            }
            self.ring();
        }
    }

    /// None: nothing to look at. Then whoever sends mail that cannot wait wakes this thread.
    fn next_tick(&mut self) -> Option<Duration> {
        if self.busy.is_empty() {
            self.thread.ticking.store(false, Ordering::SeqCst);
            fence(Ordering::SeqCst);
            // What was sent before that could be seen.
            self.read_mail();
        }
        if self.busy.is_empty() {
            return None;
        }
        self.thread.ticking.store(true, Ordering::SeqCst);
        Some(Connection::TICK)
    }

    fn read_mail(&mut self) {
        while let Ok(mail) = self.inbox.try_recv() {
            match mail {
                Mail::Add(token, connection) => {
                    self.connections.insert(token, connection);
                    self.busy.push(Busy {
                        token,
                        activity: 0,
                        ticks: 0,
                    });
                }
                Mail::Watch(token, activity) => self.watch(token, activity),
                Mail::Remove(token) => {
                    self.connections.remove(&token);
                }
                Mail::Alarm(connection, at) => self.alarms.set(connection, at),
            }
        }
    }

    /// Rounded up to what epoll counts in.
    fn until_alarm(&self) -> Option<Duration> {
        let left = self
            .alarms
            .next()?
            .saturating_duration_since(Instant::now());
        Some(match left {
            Duration::ZERO => left,
            _ => left + Duration::from_millis(1),
        })
    }

    fn ring(&mut self) {
        let now = Instant::now();
        while let Some(connection) = self.alarms.pop(now) {
            if let Some(connection) = connection.upgrade() {
                // As in `serve`.
                let _ = panic::catch_unwind(AssertUnwindSafe(|| connection.tend()));
            }
        }
    }

    fn serve(&mut self, token: u64) {
        if token == WAKE {
            self.thread.wake.clear();
            let _ = self.thread.epoll.arm(self.thread.wake.as_fd(), WAKE, READ);
            return;
        }
        let Some(connection) = self.connections.get(&token).and_then(Weak::upgrade) else {
            return;
        };
        // A bug met on one connection must not cost the others their reader.
        let served = panic::catch_unwind(AssertUnwindSafe(|| connection.serve()));
        if let Served::Busy { activity } = served.unwrap_or(Served::Busy { activity: 0 }) {
            self.watch(token, activity);
        }
    }

    /// It may be watched already: a socket that was full fires for its own sake.
    fn watch(&mut self, token: u64, activity: u64) {
        self.busy.retain(|busy| busy.token != token);
        self.busy.push(Busy {
            token,
            activity,
            ticks: 0,
        });
    }

    fn look(&mut self) {
        let connections = &self.connections;
        self.busy.retain_mut(|busy| {
            let Some(connection) = connections.get(&busy.token).and_then(Weak::upgrade) else {
                return false;
            };
            let patience_over = busy.ticks >= PATIENCE;
            let look = AssertUnwindSafe(|| connection.look(busy.activity, patience_over));
            match panic::catch_unwind(look).unwrap_or(Watched::Done) {
                Watched::Busy { activity } => {
                    busy.activity = activity;
                    busy.ticks = 0;
                    true
                }
                Watched::Held => {
                    busy.ticks += 1;
                    true
                }
                Watched::Done => false,
            }
        });
    }
}
