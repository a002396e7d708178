// SPDX-License-Identifier: MIT OR Apache-2.0
//! The mock's socket: accepts one client after the other and carries bytes between it and the machine.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::machine::{self, Conversation, Machine, Turn};
use crate::wire::framing::{Frame, Framer, Limits, MAX_DEPTH};

/// QEMU's own limit for one token.
const MAX_COMMAND_BYTES: usize = 64 << 20;

#[derive(Default)]
pub(super) struct Server {
    state: Mutex<State>,
    ended: Condvar,
    /// Held while a message goes out, so that none is cut by another.
    output: Mutex<()>,
}

#[derive(Default)]
struct State {
    /// For `stop` to shut down; gone when the service has ended.
    listener: Option<UnixListener>,
    client: Option<Arc<UnixStream>>,
    stopping: bool,
    ended: bool,
    bytes: u64,
    commands: Vec<String>,
}

impl Server {
    pub(super) fn new(listener: &UnixListener) -> io::Result<Server> {
        let server = Server::default();
        server.state().listener = Some(listener.try_clone()?);
        Ok(server)
    }

    /// Serves until the machine has ended or `stop` is called.
    pub(super) fn run(&self, listener: &UnixListener) {
        let mut machine = Machine::new();
        while let Ok((client, _)) = listener.accept() {
            let client = Arc::new(client);
            {
                let mut state = self.state();
                if state.stopping {
                    break;
                }
                state.client = Some(Arc::clone(&client));
            }
            let ended = self.converse(&client, &mut machine).unwrap_or(false);
            self.state().client = None;
            if ended {
                break;
            }
        }
    }

    /// Lets go of the listener, so that clients still in its queue learn of the end, and wakes whoever waits.
    pub(super) fn finish(&self) {
        let mut state = self.state();
        state.listener = None;
        state.ended = true;
        self.ended.notify_all();
    }

    pub(super) fn wait(&self) {
        let mut state = self.state();
        while !state.ended {
            state = self
                .ended
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Wakes the serving thread wherever it waits: in accept, recv or send.
    pub(super) fn stop(&self) {
        let mut state = self.state();
        state.stopping = true;
        if let Some(client) = &state.client {
            let _ = client.shutdown(Shutdown::Both); // it may have left already
        }
        if let Some(listener) = state.listener.take() {
            // std can shut down streams only; the kernel takes a listener too and ends its accept.
            let _ = UnixStream::from(OwnedFd::from(listener)).shutdown(Shutdown::Both);
        }
    }

    pub(super) fn send(&self, messages: &str) -> io::Result<()> {
        let client = self.state().client.clone();
        let _whole = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        client.map_or(Ok(()), |client| (&*client).write_all(messages.as_bytes()))
    }

    pub(super) fn bytes_received(&self) -> u64 {
        self.state().bytes
    }

    pub(super) fn commands_received(&self) -> Vec<String> {
        self.state().commands.clone()
    }

    /// One connection, from greeting to end; true when the machine ended with it.
    fn converse(&self, mut client: &UnixStream, machine: &mut Machine) -> io::Result<bool> {
        let mut framer = Framer::new(Limits {
            bytes: MAX_COMMAND_BYTES,
            depth: MAX_DEPTH,
        });
        let mut conversation = Conversation::default();
        let mut chunk = [0; 4096];
        self.send(&machine::greeting())?;
        loop {
            let received = client.read(&mut chunk)?;
            if received == 0 {
                return Ok(false);
            }
            self.state().bytes += received as u64;
            let buffer = framer.buffer().map_err(|_| io::ErrorKind::OutOfMemory)?;
            buffer.extend_from_slice(&chunk[..received]);
            while let Some(frame) = framer.next() {
                let turn = match frame {
                    Frame::Message(command) => machine.take_turn(&mut conversation, command.text),
                    Frame::Other => Turn::misunderstood("QMP input must be a JSON object"),
                    Frame::Refused { .. } => continue, // answered at its end
                    Frame::Broken { .. } => Turn::misunderstood("JSON parse error"),
                    Frame::Garbage(_) => return Err(io::ErrorKind::InvalidData.into()),
                };
                self.state().commands.extend(turn.command);
                self.send(&turn.output)?;
                if turn.ended {
                    return Ok(true);
                }
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
