// SPDX-License-Identifier: MIT OR Apache-2.0
//! One mock: its machine, its script and its connections. Whoever holds its lock moves it on; nothing here waits.

mod execute;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use super::link::{Current, Link};
use super::machine::Machine;
use super::message::Event;
use super::received::Received;
use super::replay::Replay;
use super::script::Script;
use super::step::Step;
use crate::sys::epoll::{Epoll, Interest};
use crate::sys::fork::Before;
use crate::transport::Listener;

/// Longer waits are for ever.
const LONGEST: Duration = Duration::from_secs(1 << 32);
/// How many bytes of commands of one connection are executed before the others have their turn.
const SHARE: usize = 1 << 16;
/// How long nobody is accepted when there was no descriptor or memory left for it.
const SHORTAGE: Duration = Duration::from_millis(100);

pub(super) struct State {
    pub(super) machine: Machine,
    pub(super) script: Script,
    pub(super) received: Received,
    pub(super) replay: Option<Replay>,
    /// All bytes that clients have sent so far.
    pub(super) bytes: u64,
    /// How many clients are served at once; the kernel keeps the next waiting.
    pub(super) most_clients: usize,
    /// The machine or the mock has ended.
    pub(super) ended: bool,
    listener: Option<Listener>,
    listening: bool,
    /// Nobody is accepted before.
    accepts_at: Option<Instant>,
    links: BTreeMap<u32, Served>,
    next_link: u32,
    /// Connections that got something to do.
    touched: BTreeSet<u32>,
    /// Commands whose client left while they were executed. Whoever is there when they end gets the reply, as with QEMU.
    orphans: Vec<Current>,
    /// When the guest will obey the power button.
    guest_obeys: Option<Instant>,
    /// Replies that wait for others to go out before them.
    held: Vec<(u32, Vec<Step>)>,
}

struct Served {
    link: Link,
    /// In the epoll set.
    added: bool,
}

/// The part of an epoll token that tells the connections of a mock apart; this one is none.
pub(super) const LISTENER: u32 = 0;

impl State {
    pub(super) fn new(listener: Listener) -> State {
        State {
            machine: Machine::new(),
            script: Script::default(),
            received: Received::default(),
            replay: None,
            bytes: 0,
            most_clients: 1,
            ended: false,
            listener: Some(listener),
            listening: false,
            accepts_at: None,
            links: BTreeMap::new(),
            next_link: LISTENER + 1,
            touched: BTreeSet::new(),
            orphans: Vec::new(),
            guest_obeys: None,
            held: Vec::new(),
        }
    }

    /// Everything is over at once, as if QEMU were killed.
    pub(super) fn kill(&mut self) {
        self.ended = true;
        self.listener = None;
        self.links.clear();
    }

    /// Nothing can come any more.
    pub(super) fn is_over(&self) -> bool {
        self.ended && self.links.is_empty()
    }

    /// The connections end once they have sent what they have to; the machine goes on.
    pub(super) fn disconnect(&mut self) {
        for (id, served) in &mut self.links {
            served.link.push([Step::Close]);
            self.touched.insert(*id);
        }
    }

    /// To every client that negotiated.
    pub(super) fn send(&mut self, text: &str) {
        self.broadcast(None, |_| vec![Step::text(text)]);
    }

    pub(super) fn emit(&mut self, event: Event) {
        self.emit_from(None, event);
    }

    /// Does what can be done. `fired`: the connections that the kernel named. Gives the time when there is more to do.
    pub(super) fn turn(
        &mut self,
        now: Instant,
        fired: &[u32],
        epoll: &Epoll,
        token: impl Fn(u32) -> u64,
    ) -> Option<Instant> {
        for id in fired {
            // Armed for nothing, it can only have fired for its end.
            if let Some(Served { link, .. }) = self.links.get_mut(id) {
                let wants = link.wants();
                link.closed |= !wants.read && !wants.write;
            }
        }
        self.touched.extend(fired);
        if fired.contains(&LISTENER) {
            self.listening = false;
        }
        let due = |served: &Served| served.link.next_due().is_some_and(|due| due <= now);
        let links = self.links.iter();
        let due: Vec<u32> = links
            .filter(|(_, served)| due(served))
            .map(|(id, _)| *id)
            .collect();
        self.touched.extend(due);
        self.obey(now);
        self.finish_orphans(now);
        let mut worked = BTreeSet::new();
        loop {
            self.accept(now);
            let Some(id) = self.touched.pop_first() else {
                break;
            };
            self.work(id, now);
            worked.insert(id);
        }
        for id in worked {
            self.arm(id, epoll, token(id));
        }
        self.listen(epoll, token(LISTENER), now);
        let links = self
            .links
            .values()
            .filter_map(|served| served.link.next_due());
        let orphans = self.orphans.iter().filter_map(|orphan| orphan.due);
        let others = [self.guest_obeys, self.accepts_at];
        let others = others.into_iter().flatten();
        links.chain(orphans).chain(others).min()
    }

    fn accept(&mut self, now: Instant) {
        if self.accepts_at.is_some_and(|at| at > now) {
            return;
        }
        self.accepts_at = None;
        while self.links.len() < self.most_clients {
            let before = Before::now();
            let client = match self.listener.as_ref().map(Listener::accept) {
                None => return,
                Some(Ok(client)) => client,
                Some(Err(error)) => {
                    match error.kind() {
                        io::ErrorKind::WouldBlock => return,
                        io::ErrorKind::ConnectionAborted => continue, // and the next
                        // Whoever waits would be reported again at once, and for ever.
                        _ => self.accepts_at = Some(now + SHORTAGE),
                    }
                    return;
                }
            };
            let id = self.next_link;
            self.next_link = self.next_link.checked_add(1).unwrap_or(LISTENER + 1);
            let link = Link::new(client, before);
            self.links.insert(id, Served { link, added: false });
            self.greet(id);
        }
    }

    /// Reads, executes and sends for one connection until it would have to wait.
    fn work(&mut self, id: u32, now: Instant) {
        let mut share = SHARE;
        loop {
            let keep = self.script.may_reset();
            let Some(Served { link, .. }) = self.links.get_mut(&id) else {
                return;
            };
            let read = link.read(now, keep);
            self.bytes += read as u64;
            let executed = self.execute(id, now);
            let Some(Served { link, .. }) = self.links.get_mut(&id) else {
                return;
            };
            link.flush(now);
            if link.closed {
                break;
            }
            if link.current.is_none() {
                link.take_kept();
            }
            share = share.saturating_sub(read);
            // With more to read it is back at once.
            if (read == 0 && !executed) || share == 0 {
                return;
            }
        }
        self.held.retain(|(link, _)| *link != id);
        if let Some(Served { mut link, .. }) = self.links.remove(&id) {
            let current = link.current.take();
            self.orphans.extend(current.filter(|it| it.due.is_some()));
        }
    }

    fn arm(&mut self, id: u32, epoll: &Epoll, token: u64) {
        let Some(served) = self.links.get_mut(&id) else {
            return;
        };
        let interest = served.link.wants();
        let armed = match served.added {
            true => epoll.arm(served.link.as_fd(), token, interest),
            false => epoll.add(served.link.as_fd(), token, interest),
        };
        served.added = true;
        if armed.is_err() {
            self.links.remove(&id);
        }
    }

    fn listen(&mut self, epoll: &Epoll, token: u64, now: Instant) {
        let waits = self.accepts_at.is_some_and(|at| at > now);
        if self.listening || waits || self.links.len() >= self.most_clients {
            return;
        }
        let Some(listener) = &self.listener else {
            return;
        };
        let interest = Interest {
            read: true,
            write: false,
            end: false,
        };
        // The first time it is not there yet.
        let armed = match epoll.arm(listener.as_fd(), token, interest) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                epoll.add(listener.as_fd(), token, interest)
            }
            armed => armed,
        };
        self.listening = armed.is_ok();
    }
}
