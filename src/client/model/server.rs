// SPDX-License-Identifier: MIT OR Apache-2.0
//! The VM's side: it answers every command with the command's name, as far as its script lets it.

use std::collections::HashSet;
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

use shuttle::rand::{Rng, thread_rng};

use super::chance;
use crate::sys::{model, socket};
use crate::wire::{Frame, Framer, Limits, MAX_DEPTH, members};

pub struct Server {
    stream: UnixStream,
    framer: Framer,
    /// The ids of all commands so far.
    seen: HashSet<String>,
    events: u32,
}

pub struct Command {
    name: String,
    id: String,
}

impl Command {
    pub fn is(&self, name: &str) -> bool {
        self.name == format!("\"{name}\"")
    }
}

impl Server {
    pub fn new(stream: UnixStream) -> Server {
        let limits = Limits {
            bytes: 1 << 16,
            depth: MAX_DEPTH,
        };
        Server {
            stream,
            framer: Framer::new(limits),
            seen: HashSet::new(),
            events: 0,
        }
    }

    /// In one piece or in two. The other side may be gone.
    pub fn send(&mut self, text: &str) {
        let cut = if chance(4) {
            thread_rng().gen_range(0..text.len())
        } else {
            0
        };
        for part in [&text[..cut], &text[cut..]] {
            if !part.is_empty() {
                let _ = model::call(|| self.stream.write_all(part.as_bytes()));
            }
        }
    }

    /// The commands that are there, at least one; None at the end of the connection. Whatever is
    /// no whole command was spliced together from several.
    pub fn commands(&mut self) -> Option<Vec<Command>> {
        let mut commands = Vec::new();
        loop {
            while let Some(frame) = self.framer.next() {
                let Frame::Message(object) = frame else {
                    panic!("no command: {frame:?}");
                };
                let [name, id] = members(object.text, ["execute", "id"]);
                let (name, id) = (name.unwrap().to_owned(), id.unwrap().to_owned());
                assert!(self.seen.insert(id.clone()), "a second {id}");
                commands.push(Command { name, id });
            }
            if !commands.is_empty() {
                return Some(commands);
            }
            let buffer = self.framer.buffer().unwrap();
            match socket::receive(self.stream.as_fd(), buffer, true) {
                Ok(1..) => {}
                Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => {}
                _ => return None,
            }
        }
    }

    /// In any order.
    pub fn answer(&mut self, mut commands: Vec<Command>) {
        while !commands.is_empty() {
            let any = thread_rng().gen_range(0..commands.len());
            let Command { name, id } = commands.swap_remove(any);
            self.send(&format!("{{\"return\": {name}, \"id\": {id}}}"));
        }
    }

    pub fn event(&mut self) {
        self.events += 1;
        let number = self.events;
        self.send(&format!("{{\"event\": \"E\", \"data\": {number}}}"));
    }

    /// Answers until the end.
    pub fn serve(&mut self) {
        while let Some(commands) = self.commands() {
            self.answer(commands);
        }
    }

    /// Answers so many commands, or a few more, and ends, perhaps in mid-message.
    pub fn serve_some(&mut self, commands: usize) {
        while self.seen.len() < commands {
            let Some(commands) = self.commands() else {
                return;
            };
            self.answer(commands);
        }
        if chance(2) {
            self.send("{\"return\": ");
        }
    }
}
