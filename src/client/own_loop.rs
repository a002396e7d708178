// SPDX-License-Identifier: MIT OR Apache-2.0
//! A client that the caller's own loop drives: one descriptor to wait for, one function to call. No thread.

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;
use std::time::Duration;

use super::connection::Connection;
use super::io_thread::Registration;
use super::signal::Signal;
use crate::error::{Error, Result};
use crate::sys::epoll::{Epoll, Interest};
use crate::sys::timerfd::TimerFd;

/// Nobody ever waits in the epoll itself: as a descriptor in the caller's loop it tells whether one of those in it is ready.
pub(super) struct OwnLoop {
    pub(super) epoll: Epoll,
    /// When the next attempt to reconnect is due, if there are any.
    timer: Option<TimerFd>,
}

/// What the epoll calls the socket, and the signal that there is something to do without it.
pub(super) const SOCKET: u64 = 0;
const WORK: u64 = 1;
const TIMER: u64 = 2;

impl OwnLoop {
    /// With `work` in it.
    pub(super) fn new(work: &mut Signal, reconnects: bool) -> io::Result<Arc<OwnLoop>> {
        let epoll = Epoll::new()?;
        let read = Interest {
            read: true,
            write: false,
            end: false,
        };
        epoll.add(work.made()?.as_fd(), WORK, read)?;
        let timer = reconnects.then(TimerFd::new).transpose()?;
        if let Some(timer) = &timer {
            epoll.add(timer.as_fd(), TIMER, read)?;
        }
        Ok(Arc::new(OwnLoop { epoll, timer }))
    }

    pub(super) fn set_timer(&self, after: Option<Duration>) -> io::Result<()> {
        match &self.timer {
            Some(timer) => timer.set(after),
            None => Ok(()),
        }
    }
}

impl Connection {
    pub(super) fn begin_own_loop(&self) -> Result<()> {
        let mut state = self.state.lock();
        let own = OwnLoop::new(&mut state.work, self.options.reconnect.is_some())
            .map_err(|e| Error::os("make a descriptor for the caller's loop", &e))?;
        state.own_loop = Some(own.clone());
        if state.end.is_none() {
            state.idle.registration = Some(Registration::own(own));
            self.arm(&mut state);
        }
        state.update_signal();
        Ok(())
    }

    pub(super) fn refuse_if_driven(&self) -> Result<()> {
        match self.options.own_loop {
            false => Ok(()),
            true => Err(Error::invalid(
                "the caller's loop drives this client, so its callbacks are of the kind QMP_ON_DISPATCH",
            )),
        }
    }

    /// A descriptor that is readable while [`Connection::process`] has something to do.
    pub fn loop_descriptor(&self) -> Result<i32> {
        let state = self.state.lock();
        if state.closed {
            return Err(self.closed("the descriptor"));
        }
        match &state.own_loop {
            Some(own) => Ok(own.epoll.as_fd().as_raw_fd()),
            None => Err(not_driven()),
        }
    }

    /// Reads what came, sends what waits, and calls the callbacks that wait for a dispatch. Never waits.
    pub fn process(&self) -> Result<()> {
        if !self.options.own_loop {
            return Err(not_driven());
        }
        let mut state = self.state.lock();
        if state.closed {
            return Err(self.closed("processing"));
        }
        // In two threads at once, or in a callback of its own, the first to end shows what is left.
        state.processed = true;
        drop(state);
        self.send_deferred();
        self.serve();
        let dispatched = self.dispatch();
        let mut state = self.state.lock();
        state.processed = false;
        state.update_dispatch();
        dispatched?;
        match &state.end {
            _ if state.closed => Ok(()), // by a callback
            Some(end) if state.is_over() => Err(self.ended("processing", end)),
            _ => Ok(()),
        }
    }
}

fn not_driven() -> Error {
    Error::invalid(
        "the library's own thread drives this client: connect with qmp_options_set_own_loop",
    )
}
