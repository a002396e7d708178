// SPDX-License-Identifier: MIT OR Apache-2.0
//! Commands, their replies, and everything that comes between: a server that answers in any order, or oddly, streams that are
//! cut anywhere, callers that give up at any time. A model beside the session holds that each reply reaches the caller whose
//! command it answers and no other, that every caller gets one outcome, and that no command is sent as part of another.
#![no_main]

use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;
use qmp::session::Session;
use qmp::session::dialect::QMP;
use qmp::session::events::EventQueue;
use qmp::session::pending::{Abandoned, Fate, Unmatched};
use qmp::wire::{Band, Frame, Framer, Id, Limits, MAX_DEPTH, Member, Message, Object, encode};

const MAX_BYTES: usize = 300;
const MAX_EVENTS: usize = 3;
/// Fewer than the session remembers of commands whose callers gave up.
const MAX_STEPS: usize = 600;

fuzz_target!(|bytes: &[u8]| {
    let mut world = World::new();
    for step in bytes.chunks_exact(2).take(MAX_STEPS) {
        world.step(step[0], step[1]);
        if world.torn {
            break;
        }
    }
    world.end();
});

/// Where a command's bytes are.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Place {
    Queue,
    Writer,
    Gone,
}

/// What the model knows of a command.
#[derive(Debug)]
struct Command {
    bytes: Vec<u8>,
    place: Place,
    sent: usize,
    farewell: bool,
    deadline: u64,
    /// Its caller has no outcome yet.
    waits: bool,
    /// A reply to it may still come.
    is_open: bool,
}

impl Command {
    fn is_under_way(&self) -> bool {
        self.is_open && (self.place != Place::Queue || self.sent > 0)
    }
}

struct World {
    session: Session<u64>,
    framer: Framer,
    commands: BTreeMap<u64, Command>,
    server: Framer,
    /// Ids in the order in which the server has read them.
    received: Vec<u64>,
    /// What the server has sent and the client has not read.
    stream: Vec<u8>,
    now: u64,
    /// How many events have come, and the number of the last one taken.
    events: (u64, u64),
    torn: bool,
}

impl World {
    fn new() -> World {
        let framer = |bytes| {
            Framer::new(Limits {
                bytes,
                depth: MAX_DEPTH,
            })
        };
        World {
            session: Session::new(&QMP, EventQueue::new(MAX_EVENTS, 1 << 20)),
            framer: framer(MAX_BYTES),
            commands: BTreeMap::new(),
            server: framer(1 << 10),
            received: Vec::new(),
            stream: Vec::new(),
            now: 0,
            events: (0, 0),
            torn: false,
        }
    }

    fn step(&mut self, what: u8, how: u8) {
        match what % 16 {
            0 | 1 => self.submit(how),
            2 => self.send(usize::from(how), None),
            3 => self.send(usize::from(how % 32), Some((how >> 5, what))),
            4..=8 => self.answer(what % 16, how),
            9 => self.guess(u64::from(how)),
            10 => self.say(how),
            11 | 12 => self.deliver(1 + usize::from(how)),
            13 => self.give_up(how),
            14 => self.pass(u64::from(how)),
            _ => self.take_event(),
        }
    }

    fn submit(&mut self, how: u8) {
        let id = self.session.pending.next_id();
        let bytes = encode(Band::InBand, "a", None, id).unwrap();
        let farewell = how % 8 == 7;
        self.session.pending.submit(id, bytes.clone(), id, farewell);
        let command = Command {
            bytes,
            place: Place::Queue,
            sent: 0,
            farewell,
            deadline: self.now + u64::from(how),
            waits: true,
            is_open: true,
        };
        assert!(self.commands.insert(id, command).is_none(), "an id again");
    }

    /// The socket takes so many bytes. `meanwhile`: what happens while a command is with the writer.
    fn send(&mut self, mut room: usize, mut meanwhile: Option<(u8, u8)>) {
        while let Some(mut out) = self.session.pending.take_output() {
            let id = self.id_of_output(out.rest());
            self.command(id).place = Place::Writer;
            if let Some((what, how)) = meanwhile.take() {
                match what {
                    0 => self.submit(how),
                    1 => self.deliver(usize::from(how)),
                    2 => self.guess(id),
                    3 => self.pass(u64::from(how)),
                    _ => self.abandon(id),
                }
            }
            let size = out.rest().len().min(room);
            room -= size;
            self.receive(&out.rest()[..size]);
            self.command(id).sent += size;
            if out.advance(size) {
                self.session.pending.output_sent(&out);
                self.command(id).place = Place::Gone;
                continue;
            }
            let blocked = self.session.pending.output_blocked(out);
            let command = self.command(id);
            command.place = Place::Queue;
            let expected = match (command.waits, command.sent) {
                (true, _) => Ok(()),
                (false, 0) => {
                    command.place = Place::Gone;
                    command.is_open = false;
                    Ok(())
                }
                (false, _) => Err(Abandoned::Torn),
            };
            assert_eq!(blocked, expected);
            self.torn |= blocked.is_err();
            return;
        }
    }

    /// Each command has its id in it, so that its bytes are like no other's; its rest, too, ends with the id.
    fn id_of_output(&self, rest: &[u8]) -> u64 {
        let mut those = self.commands.iter().filter(|(_, command)| {
            command.place == Place::Queue && command.bytes[command.sent..] == *rest
        });
        let (id, _) = those.next().expect("it is to be sent, and was not sent");
        *id
    }

    /// The server reads: whole commands, each one once, in the order of their ids.
    fn receive(&mut self, piece: &[u8]) {
        self.server.buffer().unwrap().extend_from_slice(piece);
        while let Some(frame) = self.server.next() {
            let Frame::Message(object) = frame else {
                panic!("{frame:?} is no command");
            };
            let id = object.member(Member::Id).unwrap().parse().unwrap();
            assert_eq!(object.text.as_bytes(), self.commands[&id].bytes);
            assert!(self.received.last().is_none_or(|last| *last < id));
            self.received.push(id);
        }
    }

    /// The server answers a command that it has read, perhaps not for the first time.
    fn answer(&mut self, way: u8, which: u8) {
        let Some(at) = usize::from(which).checked_rem(self.received.len()) else {
            return;
        };
        let id = self.received[at];
        let long = "x".repeat(MAX_BYTES);
        let text = match way {
            4 => format!("{{\"return\": {{\"to\": {id}}}, \"id\": {id}}}\r\n"),
            5 => format!("{{\"id\": {id}, \"error\": {{\"class\": \"C\", \"desc\": \"{id}\"}}}}"),
            6 => format!("{{\"return\": inf, \"error\": \"}}\", \"id\": {id}}} "),
            7 => format!("{{\"return\": \"{long}\", \"id\": {id}}}\n"),
            _ => format!("{{\"error\": 1, \"return\": {id}, \"id\": {id}}}\n"),
        };
        self.stream.extend_from_slice(text.as_bytes());
    }

    /// The server answers what it may not have read, or what there is not.
    fn guess(&mut self, id: u64) {
        let text = format!("{{\"return\": {{}}, \"id\": {id}}}");
        self.stream.extend_from_slice(text.as_bytes());
    }

    /// The server says something that answers no command by its id.
    fn say(&mut self, what: u8) {
        let long = "x".repeat(MAX_BYTES);
        let text = match what % 12 {
            0 => "{\"event\": \"STOP\"}\n",
            1 | 2 => "{\"event\": \"RTC_CHANGE\", \"data\": {\"id\": 1}, \"id\": 1}\r\n",
            3 => &format!("{{\"event\": \"A\", \"data\": \"{long}\"}}"),
            4 => "{\"return\": 1}",
            5 | 6 => "{\"error\": {\"desc\": \"for somebody\"}}",
            7 => "{\"return\": 1, \"id\": \"1\"} {\"return\": 1, \"id\": 1.0} {\"id\": 2e0}",
            8 => "[{\"id\": 1, \"return\": 1}] 17 \"{\"",
            9 => "{\"id\": 1 2, \"return\": 1}{\"return\": 1, \"id\": 01}",
            10 => &format!("[\"{long}\"]"),
            _ => "{\"QMP\": {}} {\"event\": 1} {}",
        };
        self.stream.extend_from_slice(text.as_bytes());
    }

    /// The client receives so many bytes.
    fn deliver(&mut self, most: usize) {
        let rest = self.stream.split_off(most.min(self.stream.len()));
        let piece = std::mem::replace(&mut self.stream, rest);
        self.framer.buffer().unwrap().extend_from_slice(&piece);
        while let Some(frame) = self.framer.next() {
            let (commands, session) = (&mut self.commands, &mut self.session);
            match frame {
                Frame::Message(object) => match Message::classify(&object) {
                    Message::Event(view) => {
                        self.events.0 += 1;
                        session.receive_event(&view, None);
                    }
                    message => reply(session, commands, &message, &object),
                },
                Frame::Refused { is_event, .. } => {
                    if !is_event {
                        let expected = only_one(commands).filter(|id| commands[id].waits);
                        assert_eq!(session.pending.give_up_only_one(), expected);
                        if let Some(command) = expected.and_then(|id| commands.get_mut(&id)) {
                            command.waits = false;
                        }
                    }
                }
                Frame::Broken { id, .. } => {
                    let matched = session.pending.reply(id.map_or(Id::Absent, Id::Ours));
                    assert_eq!(matched, expected(commands, id, Unmatched::Anonymous));
                }
                Frame::Other => {}
                Frame::Garbage(bytes) => panic!("{}", bytes.escape_ascii()),
            }
        }
    }

    /// One of the callers that wait gives up.
    fn give_up(&mut self, which: u8) {
        let waiting: Vec<u64> = self.waiting(|_| true);
        if let Some(at) = usize::from(which).checked_rem(waiting.len()) {
            self.abandon(waiting[at]);
        }
    }

    /// Time passes.
    fn pass(&mut self, time: u64) {
        self.now += time;
        let now = self.now;
        for id in self.waiting(|command| command.deadline <= now) {
            self.abandon(id);
        }
    }

    fn abandon(&mut self, id: u64) {
        let command = self.commands.get_mut(&id).unwrap();
        let expected = match (command.place, command.sent) {
            _ if !command.is_open || !command.waits => None,
            (Place::Queue, 0) => Some(Abandoned::Withdrawn),
            (Place::Queue, _) => Some(Abandoned::Torn),
            _ => Some(Abandoned::Unknown),
        };
        assert_eq!(self.session.pending.abandon(id), expected);
        command.waits = false;
        self.torn |= expected == Some(Abandoned::Torn);
        if expected == Some(Abandoned::Withdrawn) {
            command.is_open = false;
            command.place = Place::Gone;
        }
    }

    fn take_event(&mut self) {
        assert!(self.session.events.len() <= MAX_EVENTS);
        let Some(event) = self.session.events.take().unwrap() else {
            return;
        };
        assert_eq!(event.sequence, self.events.1 + event.lost + 1);
        assert!(event.sequence <= self.events.0);
        self.events.1 = event.sequence;
    }

    /// The connection ends: whoever still waits is told, once.
    fn end(mut self) {
        let fates: Vec<_> = self.session.pending.end().collect();
        let expected: Vec<_> = self
            .waiting(|_| true)
            .into_iter()
            .map(|id| {
                let command = &self.commands[&id];
                (
                    id,
                    match command.is_under_way() {
                        false => Fate::NeverSent,
                        true if command.farewell => Fate::Done,
                        true => Fate::Unknown,
                    },
                )
            })
            .collect();
        assert_eq!(fates, expected);
        assert!(!self.session.pending.has_output());
        while !self.session.events.is_empty() {
            self.take_event();
        }
        assert_eq!(self.session.pending.end().count(), 0);
    }

    fn command(&mut self, id: u64) -> &mut Command {
        self.commands.get_mut(&id).unwrap()
    }

    fn waiting(&self, which: impl Fn(&Command) -> bool) -> Vec<u64> {
        let those = self.commands.iter().filter(|(_, c)| c.waits && which(c));
        those.map(|(id, _)| *id).collect()
    }
}

type Commands = BTreeMap<u64, Command>;

fn reply(session: &mut Session<u64>, commands: &mut Commands, message: &Message, object: &Object) {
    let (id, matched, unmatched) = match message {
        Message::Return { id, .. } | Message::Contradictory { id } => {
            (*id, session.pending.reply(*id), None)
        }
        Message::Error { id, .. } => (*id, session.pending.error_reply(*id), only_one(commands)),
        _ => return,
    };
    let (id, why) = match id {
        Id::Ours(id) => (Some(id), Unmatched::Foreign),
        Id::Absent => (unmatched, Unmatched::Anonymous),
        Id::Foreign => (None, Unmatched::Foreign),
    };
    assert_eq!(matched, expected(commands, id, why), "{}", object.text);
}

/// Who gets the reply to a command, which then is done with. `otherwise`: it answers none.
fn expected(
    commands: &mut Commands,
    id: Option<u64>,
    otherwise: Unmatched,
) -> Result<u64, Unmatched> {
    let id = id.ok_or(otherwise)?;
    let under_way = commands.get_mut(&id).filter(|c| c.is_under_way());
    let command = under_way.ok_or(Unmatched::Foreign)?;
    command.is_open = false;
    let waited = std::mem::take(&mut command.waits);
    if waited {
        Ok(id)
    } else {
        Err(Unmatched::Late(id))
    }
}

/// The only command that the server may be at, if it is only one.
fn only_one(commands: &Commands) -> Option<u64> {
    let mut those = commands.iter().filter(|(_, c)| c.is_under_way());
    match (those.next(), those.next()) {
        (Some((id, _)), None) => Some(*id),
        _ => None,
    }
}
