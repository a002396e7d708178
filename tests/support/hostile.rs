// SPDX-License-Identifier: MIT OR Apache-2.0
//! A server that does what a test says, however wrong, to the first client that connects.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;

use super::Folder;

pub const GREETING: &str = r#"{"QMP": {"version": {"qemu": {"micro": 22, "minor": 2, "major": 7}, "package": "hostile"}, "capabilities": ["oob"]}}"#;

/// What qemu-ga says to the mark.
pub const STRAY_MARK: &str =
    "{\"error\": {\"class\": \"GenericError\", \"desc\": \"JSON parse error, stray '\\uFFFD'\"}}\n";

pub struct Hostile {
    folder: Folder,
    thread: Option<JoinHandle<()>>,
}

impl Hostile {
    /// Runs `script` with the first client; its connection ends with the script.
    pub fn start(script: impl FnOnce(&mut Peer) + Send + 'static) -> Hostile {
        let folder = Folder::new();
        let listener = UnixListener::bind(folder.join("qmp")).unwrap();
        let thread = std::thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let limit = Some(Duration::from_millis(super::LONG as u64));
            stream.set_read_timeout(limit).unwrap();
            stream.set_write_timeout(limit).unwrap();
            script(&mut Peer {
                stream,
                chunk: 65536,
                received: Vec::new(),
            });
        });
        Hostile {
            folder,
            thread: Some(thread),
        }
    }

    /// As `start`, after an orderly greeting and negotiation.
    pub fn negotiated(script: impl FnOnce(&mut Peer) + Send + 'static) -> Hostile {
        Hostile::start(|peer| {
            peer.negotiate();
            script(peer);
        })
    }

    /// As `start`, of a guest agent that has answered the sync.
    pub fn synced(script: impl FnOnce(&mut Peer) + Send + 'static) -> Hostile {
        Hostile::start(|peer| {
            let sync = peer.sync();
            peer.answer_sync(&sync);
            script(peer);
        })
    }

    pub fn address(&self) -> String {
        self.folder.join("qmp").to_str().unwrap().to_owned()
    }

    /// Waits for the script's end; what failed in it fails here.
    pub fn finish(mut self) {
        self.join();
    }

    fn join(&mut self) {
        if let Some(Err(panic)) = self.thread.take().map(JoinHandle::join) {
            std::panic::resume_unwind(panic);
        }
    }
}

impl Drop for Hostile {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.join();
        }
    }
}

/// The server's end of the connection.
pub struct Peer {
    pub stream: UnixStream,
    /// How many bytes `command` receives at once; with 1 it leaves what follows its command in the socket.
    pub chunk: usize,
    received: Vec<u8>,
}

pub struct Command {
    pub name: String,
    pub id: u64,
    pub arguments: Value,
}

impl Peer {
    pub fn send(&mut self, message: impl AsRef<[u8]>) {
        self.stream.write_all(message.as_ref()).unwrap();
    }

    /// Sends as much as the client takes before it leaves, and says how much that was.
    pub fn send_until_refused(&mut self, chunk: &[u8], total: usize) -> usize {
        let mut sent = 0;
        while sent < total {
            match self.stream.write(chunk) {
                Ok(count) => sent += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        sent
    }

    pub fn negotiate(&mut self) {
        self.send(format!("{GREETING}\r\n"));
        self.accept_capabilities();
    }

    pub fn accept_capabilities(&mut self) {
        let command = self.command();
        assert_eq!(command.name, "qmp_capabilities");
        self.succeed(&command, "{}");
    }

    /// The next sync to a guest agent, behind its mark.
    pub fn sync(&mut self) -> Command {
        while self.received.is_empty() {
            assert_ne!(self.read_piece(1), 0, "the client left");
        }
        assert_eq!(self.received.remove(0), 0xff);
        let sync = self.command();
        assert_eq!(sync.name, "guest-sync-delimited");
        assert_eq!(sync.arguments["id"], sync.id);
        sync
    }

    /// As qemu-ga does: first a complaint about the mark, which has no id, then its own mark.
    pub fn answer_sync(&mut self, sync: &Command) {
        self.send(STRAY_MARK);
        self.send(b"\xff");
        self.succeed(sync, &sync.id.to_string());
    }

    /// The next command; panics when the connection ends first.
    pub fn command(&mut self) -> Command {
        self.next_command().expect("the client left")
    }

    /// The next command, or None when the connection has ended.
    pub fn next_command(&mut self) -> Option<Command> {
        loop {
            let mut values =
                serde_json::Deserializer::from_slice(&self.received).into_iter::<Value>();
            match values.next() {
                Some(Ok(command)) => {
                    let rest = values.byte_offset();
                    self.received.drain(..rest);
                    return Some(Command {
                        name: command["execute"].as_str().expect("no command").to_owned(),
                        id: command["id"].as_u64().expect("no id"),
                        arguments: command["arguments"].clone(),
                    });
                }
                Some(Err(error)) if !error.is_eof() => panic!("the client sent no JSON: {error}"),
                _ => {}
            }
            // More and more at a time, or a large command would be looked at too often.
            if self.read_piece(self.chunk.max(self.chunk * (self.received.len() / 65536))) == 0 {
                return None;
            }
        }
    }

    /// The first byte that comes within this time, if one does.
    pub fn next_within(&mut self, time: Duration) -> Option<u8> {
        let limit = self.stream.read_timeout().unwrap();
        self.stream.set_read_timeout(Some(time)).unwrap();
        let mut byte = [0];
        let read = self.stream.read(&mut byte);
        self.stream.set_read_timeout(limit).unwrap();
        (read.unwrap_or(0) == 1).then_some(byte[0])
    }

    /// Receives up to `size` bytes of the next command; 0 when the connection has ended.
    pub fn read_piece(&mut self, size: usize) -> usize {
        let mut chunk = vec![0; size];
        match self.stream.read(&mut chunk) {
            Ok(count) => {
                self.received.extend_from_slice(&chunk[..count]);
                count
            }
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => 0,
            Err(error) => panic!("nothing came: {error}"),
        }
    }

    pub fn succeed(&mut self, command: &Command, value: &str) {
        self.send(format!(
            "{{\"return\": {value}, \"id\": {}}}\r\n",
            command.id
        ));
    }

    pub fn fail(&mut self, command: &Command, class: &str, description: &str) {
        let id = command.id;
        self.send(format!(
            "{{\"id\": {id}, \"error\": {{\"class\": \"{class}\", \"desc\": \"{description}\"}}}}\r\n"
        ));
    }

    /// Answers one command whose reply a test is about.
    pub fn answer(&mut self, value: &str) {
        let command = self.command();
        self.succeed(&command, value);
    }

    /// Answers every command with its own name until the client leaves.
    pub fn echo(&mut self) {
        while let Some(command) = self.next_command() {
            self.succeed(&command, &format!("\"{}\"", command.name));
        }
    }

    /// Until the client leaves; nothing more may come from it.
    pub fn wait_for_end(&mut self) {
        if let Some(command) = self.next_command() {
            panic!("{} came instead of the end", command.name);
        }
        assert!(
            self.received.is_empty(),
            "a piece of a command came instead of the end"
        );
    }

    pub fn half_close(&mut self, how: Shutdown) {
        self.stream.shutdown(how).unwrap();
    }
}
