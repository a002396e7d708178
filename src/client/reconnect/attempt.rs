// SPDX-License-Identifier: MIT OR Apache-2.0
//! From no link to a new one: dialling or accepting.

use std::io;
use std::mem;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use super::handshake::{ATTEMPT, Handshake, NUDGE};
use super::{Phase, Reconnecting, Way, after};
use crate::client::connection::{Connection, Guard, Link, State};
use crate::client::io_thread::{self, Registration};
use crate::client::log::Level;
use crate::client::own_loop::OwnLoop;
use crate::client::reader::Reader;
use crate::client::turns::Aftermath;
use crate::sys::epoll::Interest;
use crate::sys::poll::{self, Direction};
use crate::sys::sync::Instant;
use crate::transport::{self, Attempt, Pending, Socket};

const READ: Interest = Interest {
    read: true,
    write: false,
    end: false,
};
const WRITE: Interest = Interest {
    read: false,
    write: true,
    end: false,
};

impl Connection {
    fn fail_attempt(&self, state: &mut State, why: &str, aftermath: &mut Aftermath<'_>) {
        aftermath.notes.add(Level::Debug, || {
            format!("an attempt to reconnect failed: {why}")
        });
        if let Some(reconnecting) = &mut state.reconnecting {
            why.clone_into(&mut reconnecting.why);
        }
        self.pause(state, aftermath);
    }

    pub(super) fn dial<'a>(
        &'a self,
        mut state: Guard<'a>,
        aftermath: &mut Aftermath<'_>,
    ) -> Guard<'a> {
        let Some(Reconnecting {
            way: Way::Dial(target),
            phase,
            ..
        }) = state.reconnecting.as_deref_mut()
        else {
            return state;
        };
        *phase = Phase::Trying;
        let target = target.clone();
        drop(state);
        let attempt = transport::attempt(&target);
        let mut state = self.state.lock();
        if state.closed {
            return state;
        }
        match attempt {
            Ok(Attempt::Connected(socket)) => self.put_in(&mut state, socket, None, aftermath),
            Ok(Attempt::InProgress(pending)) => self.await_pending(&mut state, pending, aftermath),
            Err(e) => self.fail_attempt(&mut state, &e.to_string(), aftermath),
        }
        state
    }

    fn registration(&self, own: Option<&Arc<OwnLoop>>) -> io::Result<Registration> {
        match (own, self.shared_self()) {
            (Some(own), _) => Ok(Registration::own(own.clone())),
            (None, Some(this)) => io_thread::register(&this),
            // It is being dropped.
            (None, None) => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    fn await_pending(&self, state: &mut State, pending: Pending, aftermath: &mut Aftermath<'_>) {
        let armed = self
            .registration(state.own_loop.as_ref())
            .and_then(|mut it| it.arm(pending.as_fd(), WRITE).map(|()| it));
        match (armed, &mut state.reconnecting) {
            (Ok(registration), Some(reconnecting)) => reconnecting.enter(Phase::Connecting {
                pending,
                registration,
                until: after(Instant::now(), ATTEMPT),
            }),
            (Err(e), _) => self.fail_attempt(state, &e.to_string(), aftermath),
            (Ok(_), None) => {}
        }
    }

    pub(super) fn look_at_pending(
        &self,
        state: &mut State,
        now: Instant,
        aftermath: &mut Aftermath<'_>,
    ) {
        let Some(Phase::Connecting {
            pending,
            registration,
            until,
        }) = state.reconnecting.as_deref_mut().map(|it| &mut it.phase)
        else {
            return;
        };
        let at_once = Some(Duration::ZERO);
        let ready = poll::wait(pending.as_fd(), Direction::Write, [None; 2], at_once);
        let failed = match ready {
            Ok(true) => return self.finish_dialling(state, aftermath),
            Ok(false) if now < *until => registration.arm(pending.as_fd(), WRITE),
            Ok(false) => Err(io::ErrorKind::TimedOut.into()),
            Err(e) => Err(e),
        };
        if let Err(e) = failed {
            self.fail_attempt(state, &e.to_string(), aftermath);
        }
    }

    fn finish_dialling(&self, state: &mut State, aftermath: &mut Aftermath<'_>) {
        let Some(reconnecting) = state.reconnecting.as_deref_mut() else {
            return;
        };
        match mem::replace(&mut reconnecting.phase, Phase::Trying) {
            Phase::Connecting {
                pending,
                registration,
                ..
            } => match pending.finish() {
                Ok(socket) => self.put_in(state, socket, Some(registration), aftermath),
                Err(e) => self.fail_attempt(state, &e.to_string(), aftermath),
            },
            other => reconnecting.phase = other,
        }
    }

    pub(super) fn accept(&self, state: &mut State, now: Instant, aftermath: &mut Aftermath<'_>) {
        let own = state.own_loop.clone();
        let Some(reconnecting) = state.reconnecting.as_deref_mut() else {
            return;
        };
        let Way::Accept(listener) = &reconnecting.way else {
            return;
        };
        let Phase::Accepting {
            registration,
            again,
        } = &mut reconnecting.phase
        else {
            return;
        };
        *again = None;
        let failed = match listener.accept().and_then(Socket::accepted) {
            Ok(socket) => return self.put_in(state, socket, None, aftermath),
            // Nobody is there, or it came and went.
            Err(e) if matches!(e.raw_os_error(), Some(libc::EAGAIN | libc::ECONNABORTED)) => {
                let registered = match registration {
                    Some(_) => Ok(()),
                    None => self
                        .registration(own.as_ref())
                        .map(|it| *registration = Some(it)),
                };
                registered.and_then(|()| match registration {
                    Some(registration) => registration.arm(listener.as_fd(), READ),
                    None => Ok(()),
                })
            }
            Err(e) => Err(e),
        };
        if let Err(e) = failed {
            aftermath
                .notes
                .add(Level::Warn, || format!("cannot accept the VM for now: {e}"));
            // Without the registration: who waits there would be reported all the time.
            reconnecting.enter(Phase::Accepting {
                registration: None,
                again: Some(after(now, NUDGE)),
            });
        }
    }

    /// A new socket. Both roles are at home.
    fn put_in(
        &self,
        state: &mut State,
        socket: Socket,
        registration: Option<Registration>,
        aftermath: &mut Aftermath<'_>,
    ) {
        let link: Link = Arc::new(socket);
        if let Err(e) = self.check_peer(&*link) {
            return self.fail_attempt(state, &e.message, aftermath);
        }
        let own = state.own_loop.as_ref();
        let registration = match registration.map_or_else(|| self.registration(own), Ok) {
            Ok(registration) => registration,
            Err(e) => return self.fail_attempt(state, &e.to_string(), aftermath),
        };
        state.reader = Some(Reader::first(
            link.clone(),
            self.options.dialect,
            self.options.max_message_bytes,
        ));
        state.writer = Some(link.clone());
        state.link = link;
        state.keep_last();
        state.blocked = false;
        state.send_error = None;
        state.session.restart(self.options.dialect);
        state.late.forget();
        state.idle.registration = Some(registration);
        state.idle.armed = None;
        state.idle.watched = false;
        let now = Instant::now();
        let handshake = Handshake::begin(state, self.options.dialect, now);
        if let Some(reconnecting) = &mut state.reconnecting {
            reconnecting.enter(Phase::Handshaking(handshake));
        }
        // Whoever waits may read it.
        aftermath.wakes |= state.asleep(!0);
        self.arm(state);
    }
}
