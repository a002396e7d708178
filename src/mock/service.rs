// SPDX-License-Identifier: MIT OR Apache-2.0
//! The one thread that serves all mocks of a process, started with the first. A mock costs its descriptors and its state.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::os::fd::AsFd;
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender};

use super::Shared;
use crate::sys::epoll::{Epoll, Interest};
use crate::sys::eventfd::EventFd;
use crate::sys::fork::PerProcess;
use crate::sys::thread;

/// Where a mock's number stands in a token; below it the number of its connection.
const MOCK: u32 = 32;
const WAKE: u64 = 0;

enum Mail {
    Add(u64, Weak<Shared>),
    Turn(u64),
    Remove(u64),
}

pub(super) struct Service {
    epoll: Epoll,
    wake: EventFd,
    mail: Sender<Mail>,
    next_mock: AtomicU64,
}

static SERVICE: PerProcess<Mutex<Option<Arc<Service>>>> = PerProcess::new(|| Mutex::new(None));

pub(super) fn running() -> io::Result<Arc<Service>> {
    let mut slot = SERVICE.get().lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(service) = &*slot {
        return Ok(Arc::clone(service));
    }
    let (mail, inbox) = crossbeam_channel::unbounded();
    let service = Arc::new(Service {
        epoll: Epoll::new()?,
        wake: EventFd::new()?,
        mail,
        next_mock: AtomicU64::new(1),
    });
    service.epoll.add(service.wake.as_fd(), WAKE, READ)?;
    let its = Arc::clone(&service);
    thread::spawn("qmp-mock", move || Loop::new(its, inbox).run())?;
    *slot = Some(Arc::clone(&service));
    Ok(service)
}

const READ: Interest = Interest {
    read: true,
    write: false,
    end: false,
};

impl Service {
    pub(super) fn add(&self, mock: &Arc<Shared>) -> u64 {
        let number = self.next_mock.fetch_add(1, Ordering::Relaxed);
        self.post(Mail::Add(number, Arc::downgrade(mock)));
        number
    }

    /// Something was changed that the mock may have to act on.
    pub(super) fn turn(&self, number: u64) {
        self.post(Mail::Turn(number));
    }

    pub(super) fn remove(&self, number: u64) {
        self.post(Mail::Remove(number));
    }

    fn post(&self, mail: Mail) {
        let _ = self.mail.send(mail); // the receiver lives as long as the process
        self.wake.set();
    }
}

struct Loop {
    service: Arc<Service>,
    inbox: Receiver<Mail>,
    mocks: HashMap<u64, Served>,
    /// One entry a mock at most.
    due: BTreeSet<(Instant, u64)>,
}

struct Served {
    mock: Weak<Shared>,
    due: Option<Instant>,
}

impl Loop {
    fn new(service: Arc<Service>, inbox: Receiver<Mail>) -> Loop {
        Loop {
            service,
            inbox,
            mocks: HashMap::new(),
            due: BTreeSet::new(),
        }
    }

    fn run(mut self) {
        let mut fired = Vec::new();
        loop {
            let next = self.due.first().map(|(due, _)| *due);
            // Not before it is due: the kernel counts whole milliseconds.
            let timeout = next.map(|due| {
                due.saturating_duration_since(Instant::now()) + std::time::Duration::from_millis(1)
            });
            if self.service.epoll.wait(&mut fired, timeout).is_err() {
                return; // only a broken program, which closed what is not its own, gets here
            }
            let mut turns: BTreeMap<u64, Vec<u32>> = BTreeMap::new();
            for token in fired.drain(..) {
                match token {
                    WAKE => {
                        self.service.wake.clear();
                        let _ = self
                            .service
                            .epoll
                            .arm(self.service.wake.as_fd(), WAKE, READ);
                    }
                    _ => turns.entry(token >> MOCK).or_default().push(token as u32),
                }
            }
            while let Ok(mail) = self.inbox.try_recv() {
                match mail {
                    Mail::Add(number, mock) => {
                        self.mocks.insert(number, Served { mock, due: None });
                        turns.entry(number).or_default();
                    }
                    Mail::Turn(number) => {
                        turns.entry(number).or_default();
                    }
                    Mail::Remove(number) => {
                        self.set_due(number, None);
                        self.mocks.remove(&number);
                    }
                }
            }
            let now = Instant::now();
            for (_, number) in self.due.iter().take_while(|(due, _)| *due <= now) {
                turns.entry(*number).or_default();
            }
            for (number, fired) in turns {
                self.take_turn(number, &fired, now);
            }
        }
    }

    fn take_turn(&mut self, number: u64, fired: &[u32], now: Instant) {
        let served = self.mocks.get(&number);
        let Some(mock) = served.and_then(|served| served.mock.upgrade()) else {
            return self.set_due(number, None);
        };
        let token = |link: u32| number << MOCK | u64::from(link);
        let epoll = &self.service.epoll;
        // A bug met in one mock must not cost the others their service.
        let next = panic::catch_unwind(AssertUnwindSafe(|| {
            let mut state = mock.lock();
            let next = state.turn(now, fired, epoll, token);
            drop(state);
            mock.changed.notify_all();
            next
        }));
        self.set_due(number, next.unwrap_or_default());
    }

    fn set_due(&mut self, number: u64, due: Option<Instant>) {
        let Some(served) = self.mocks.get_mut(&number) else {
            return;
        };
        if let Some(before) = std::mem::replace(&mut served.due, due) {
            self.due.remove(&(before, number));
        }
        self.due.extend(due.map(|due| (due, number)));
    }
}
