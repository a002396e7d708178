// SPDX-License-Identifier: MIT OR Apache-2.0
//! One mock: its machine, its script and its connections. Whoever holds its lock moves it on; nothing here waits.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use super::command::{Command, Misunderstood};
use super::faults;
use super::link::{Current, Link};
use super::machine::{self, Machine, Outcome};
use super::message::{Answer, Event, Message};
use super::received::Received;
use super::replay::Replay;
use super::script::{EVENT, GREETING, NEGOTIATION, Script, Treatment};
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

    fn greet(&mut self, id: u32) {
        if let Some(replay) = &mut self.replay {
            let said = replay.begin();
            let ended = replay.has_ended();
            self.say(Some(id), said);
            if ended {
                self.end();
            }
            return;
        }
        let greeting = Message::Greeting {
            version: self.machine.version(),
            capabilities: self.machine.capabilities.clone(),
        };
        let treatment = self.script.take(GREETING);
        self.push(Some(id), treatment.delay.map(Step::Pause));
        for event in treatment.before {
            self.push(Some(id), faults::sound(&Message::Event(event)));
        }
        self.push(Some(id), steps(&greeting, treatment.fault));
        for event in treatment.after {
            self.push(Some(id), faults::sound(&Message::Event(event)));
        }
    }

    fn say(&mut self, link: Option<u32>, messages: Vec<String>) {
        for text in messages {
            self.push(link, [Step::text(text + "\r\n")]);
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

    /// The commands that came, as far as none has to wait. True: there were some.
    fn execute(&mut self, id: u32, now: Instant) -> bool {
        let mut some = false;
        while let Some(Served { link, .. }) = self.links.get_mut(&id) {
            if let Some(current) = link.current.take() {
                if current.due.is_none_or(|due| due > now) {
                    link.current = Some(current);
                    let Some(command) = link.next_out_of_band() else {
                        return some;
                    };
                    self.received.add(&command);
                    let treatment = self.script.take(&command.name);
                    self.perform(Some(id), command, treatment, now);
                    some = true;
                    continue;
                }
                self.perform(Some(id), current.command, current.treatment, now);
                continue;
            }
            match link.inbox.pop_front() {
                None => return some,
                Some(Ok(command)) => self.begin(id, command, now),
                Some(Err(Misunderstood { id: of, answer })) => {
                    link.push(faults::sound(&Message::Reply { id: of, answer }));
                }
            }
            some = true;
        }
        some
    }

    fn begin(&mut self, id: u32, command: Command, now: Instant) {
        self.received.add(&command);
        let negotiated = self
            .links
            .get(&id)
            .is_some_and(|served| served.link.negotiated);
        let treatment = match negotiated || command.name == NEGOTIATION {
            true => self.script.take(&command.name),
            false => Treatment::default(), // refused, whatever the script has for it
        };
        match treatment.delay {
            None => self.perform(Some(id), command, treatment, now),
            Some(time) => {
                let due = time.filter(|time| *time < LONGEST).map(|time| now + time);
                if let Some(Served { link, .. }) = self.links.get_mut(&id) {
                    link.current = Some(Current {
                        command,
                        treatment,
                        due,
                    });
                }
            }
        }
    }

    /// `link`: whose command it is; None when that client has left.
    fn perform(&mut self, link: Option<u32>, command: Command, treatment: Treatment, now: Instant) {
        if let Some(replay) = &mut self.replay {
            let said = replay.answer(&command);
            let ended = replay.has_ended();
            self.say(link, said);
            if ended {
                self.end();
            }
            return;
        }
        let outcome = self.outcome(link, &command, treatment.answer);
        for event in outcome.before.into_iter().chain(treatment.before) {
            self.emit_from(link, event);
        }
        let reply = Message::Reply {
            id: command.id,
            answer: outcome.answer,
        };
        let reply = steps(&reply, treatment.fault);
        match treatment.fault.and_then(|fault| fault.reorders()) {
            Some(count) => {
                self.held.extend(link.map(|link| (link, reply)));
                if self.held.len() as u64 >= count {
                    while let Some((link, reply)) = self.held.pop() {
                        self.push(Some(link), reply);
                    }
                }
            }
            None => self.push(link, reply),
        }
        for event in outcome.after.into_iter().chain(treatment.after) {
            self.emit_from(link, event);
        }
        if let Some(time) = outcome.later {
            self.guest_obeys.get_or_insert(now + time.min(LONGEST)); // further presses change nothing
        }
        if outcome.ends {
            self.end();
        }
    }

    fn outcome(
        &mut self,
        link: Option<u32>,
        command: &Command,
        scripted: Option<Answer>,
    ) -> Outcome {
        let link = link
            .and_then(|id| self.links.get_mut(&id))
            .map(|served| &mut served.link);
        if let Some(answer) = scripted {
            return Outcome::of(answer);
        }
        let negotiated = link.as_ref().is_none_or(|link| link.negotiated);
        match (command.name.as_str(), negotiated) {
            ("qmp_capabilities", true) => Outcome::of(Answer::error(
                "CommandNotFound",
                "Capabilities negotiation is already complete, command ignored",
            )),
            ("qmp_capabilities", false) => {
                match machine::negotiate(&command.arguments, &self.machine.capabilities) {
                    Ok(oob) => {
                        if let Some(link) = link {
                            (link.negotiated, link.oob) = (true, oob);
                        }
                        Outcome::of(Answer::ok())
                    }
                    Err(description) => Outcome::of(Answer::generic(description)),
                }
            }
            (_, false) => Outcome::of(Answer::error(
                "CommandNotFound",
                "Expecting capabilities negotiation with 'qmp_capabilities'",
            )),
            (_, true) => self.machine.execute(command, &self.script.commands()),
        }
    }

    fn finish_orphans(&mut self, now: Instant) {
        let is_due = |orphan: &Current| orphan.due.is_some_and(|due| due <= now);
        while let Some(at) = self.orphans.iter().position(is_due) {
            let orphan = self.orphans.swap_remove(at);
            let heir = self.links.keys().next().copied();
            self.perform(heir, orphan.command, orphan.treatment, now);
        }
    }

    fn obey(&mut self, now: Instant) {
        if self.guest_obeys.is_some_and(|due| due <= now) {
            self.guest_obeys = None;
            if let Some((events, ends)) = self.machine.obey() {
                for event in events {
                    self.emit(event);
                }
                if ends {
                    self.end();
                }
            }
        }
    }

    /// What is on its way still goes out.
    fn end(&mut self) {
        self.ended = true;
        self.listener = None;
        self.disconnect();
    }

    /// `link` hears it even before it has negotiated.
    fn emit_from(&mut self, link: Option<u32>, event: Event) {
        let fault = self.script.take(EVENT).fault;
        let message = Message::Event(event);
        self.broadcast(link, |_| steps(&message, fault));
    }

    fn broadcast(&mut self, link: Option<u32>, make: impl Fn(u32) -> Vec<Step>) {
        for (id, served) in &mut self.links {
            if served.link.negotiated || link == Some(*id) {
                served.link.push(make(*id));
                self.touched.insert(*id);
            }
        }
    }

    fn push(&mut self, link: Option<u32>, steps: impl IntoIterator<Item = Step>) {
        if let Some((id, served)) = link.and_then(|id| Some((id, self.links.get_mut(&id)?))) {
            served.link.push(steps);
            self.touched.insert(id);
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

fn steps(message: &Message, fault: Option<faults::Fault>) -> Vec<Step> {
    match fault {
        Some(fault) => fault.apply(message),
        None => faults::sound(message),
    }
}
