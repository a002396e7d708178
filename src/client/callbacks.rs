// SPDX-License-Identifier: MIT OR Apache-2.0
//! Callbacks: on the library's one thread for them, or on the caller's own. A slow one delays other callbacks alone.

use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, Weak};

use crossbeam_channel::{Receiver, Sender};

use super::connection::{Connection, State};
use super::lock::Lock;
use crate::error::Result;
use crate::sys::fork::PerProcess;
use crate::sys::thread;

/// What is called with a `T`. Dropped when it will never be called again.
pub trait Callback<T>: Send + Sync {
    fn call(&self, with: T);
}

/// Where callbacks run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// On the library's thread.
    Library,
    /// In [`Connection::dispatch`].
    Dispatch,
}

/// Whom to call back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Job {
    Subscription(u64),
    /// The command of this id has its outcome.
    Request(u64),
}

/// A request is called back also when its connection is gone; what waits for events is not.
enum Post {
    Event(Weak<Connection>, Job),
    Last(Arc<Connection>, Job),
}

static THREAD: PerProcess<Lock<Option<Sender<Post>>>> = PerProcess::new(|| Lock::new(None));

/// Sees to it that the library's thread is there.
pub(super) fn start() -> io::Result<()> {
    let mut slot = THREAD.get().lock();
    if slot.is_none() {
        let (sender, inbox) = crossbeam_channel::unbounded();
        thread::spawn("qmp-callbacks", move || run(&inbox))?;
        *slot = Some(sender);
    }
    Ok(())
}

fn run(inbox: &Receiver<Post>) {
    for post in inbox {
        let (connection, job) = match post {
            Post::Event(connection, job) => (connection.upgrade(), job),
            Post::Last(connection, job) => (Some(connection), job),
        };
        if let Some(connection) = connection {
            // A bug met in one must not cost the others their callbacks.
            let _ = panic::catch_unwind(AssertUnwindSafe(|| connection.call_back(job)));
        }
    }
}

impl Connection {
    /// Has the library's thread do these jobs. Call without the lock.
    pub(super) fn post(self: &Arc<Self>, jobs: impl Iterator<Item = Job>) {
        let slot = THREAD.get().lock();
        if let Some(sender) = &*slot {
            for job in jobs {
                let post = match job {
                    Job::Subscription(_) => Post::Event(Arc::downgrade(self), job),
                    Job::Request(_) => Post::Last(self.clone(), job),
                };
                let _ = sender.send(post); // the thread lives as long as the process
            }
        }
    }

    fn call_back(&self, job: Job) {
        match job {
            Job::Subscription(id) => self.call_subscriber(id),
            Job::Request(id) => self.call_requester(id),
        }
    }

    /// Runs the callbacks that wait for it now, on this thread. Those that come meanwhile may never
    /// end.
    pub fn dispatch(&self) -> Result<()> {
        let state = self.state.lock();
        if state.closed {
            return Err(self.closed("dispatching"));
        }
        let requests = state.requests_to_dispatch();
        let subscriptions: Vec<u64> = state.to_dispatch().collect();
        drop(state);
        for _ in 0..requests {
            if let Some(id) = self.next_request_to_dispatch() {
                self.call_requester(id);
            }
        }
        for id in subscriptions {
            self.dispatch_subscriber(id);
        }
        Ok(())
    }

    /// A descriptor that is readable while [`Connection::dispatch`] has something to do.
    pub fn dispatch_descriptor(&self) -> Result<i32> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(self.closed("the dispatch descriptor"));
        }
        let wanted = state.awaits_dispatch();
        state.dispatch_signal.descriptor(wanted)
    }
}

impl State {
    fn awaits_dispatch(&self) -> bool {
        self.to_dispatch().next().is_some() || self.requests_to_dispatch() > 0
    }

    pub(super) fn update_dispatch(&mut self) {
        let wanted = self.awaits_dispatch();
        self.dispatch_signal.show(wanted);
        let over = self.is_over();
        // While it is processed it will be dealt with anyway.
        self.work
            .show((wanted || over || self.deferred) && !self.processed);
    }
}
