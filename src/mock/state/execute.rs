// SPDX-License-Identifier: MIT OR Apache-2.0
//! What comes of a command, and what is said about it to whom.

use std::time::Instant;

use super::super::command::{Command, Misunderstood};
use super::super::faults::{self, Fault};
use super::super::link::Current;
use super::super::machine::{self, Outcome};
use super::super::message::{Answer, Event, Message};
use super::super::script::{EVENT, GREETING, NEGOTIATION, Treatment};
use super::super::step::Step;
use super::{LONGEST, Served, State};

impl State {
    pub(super) fn greet(&mut self, id: u32) {
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

    /// The commands that came, as far as none has to wait. True: there were some.
    pub(super) fn execute(&mut self, id: u32, now: Instant) -> bool {
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

    pub(super) fn finish_orphans(&mut self, now: Instant) {
        let is_due = |orphan: &Current| orphan.due.is_some_and(|due| due <= now);
        while let Some(at) = self.orphans.iter().position(is_due) {
            let orphan = self.orphans.swap_remove(at);
            let heir = self.links.keys().next().copied();
            self.perform(heir, orphan.command, orphan.treatment, now);
        }
    }

    pub(super) fn obey(&mut self, now: Instant) {
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
    pub(super) fn emit_from(&mut self, link: Option<u32>, event: Event) {
        let fault = self.script.take(EVENT).fault;
        let message = Message::Event(event);
        self.broadcast(link, |_| steps(&message, fault));
    }

    pub(super) fn broadcast(&mut self, link: Option<u32>, make: impl Fn(u32) -> Vec<Step>) {
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
}

fn steps(message: &Message, fault: Option<Fault>) -> Vec<Step> {
    match fault {
        Some(fault) => fault.apply(message),
        None => faults::sound(message),
    }
}
