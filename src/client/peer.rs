// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who is at the other end, and who should be.

use super::connection::Connection;
use crate::error::{Error, Result, Status};
use crate::sys::peer;
use crate::transport::Transport;

impl Connection {
    /// Process and user at the other end, where the system tells.
    pub fn peer(&self) -> Result<(i32, u32)> {
        if self.state.lock().closed {
            return Err(self.closed("the peer"));
        }
        let peer = self.state.lock().link.peer();
        let peer = peer.ok_or_else(|| self.unknown_peer("the peer"))?;
        Ok((peer.pid, peer.uid))
    }

    /// Before a byte is sent: it may be a stranger.
    pub(super) fn check_peer(&self, link: &dyn Transport) -> Result<()> {
        let (pid, uid) = (self.options.expected_pid, self.options.expected_uid);
        if pid.is_none() && uid.is_none() {
            return Ok(());
        }
        let at = format!("connect to {}", self.address);
        let peer = link.peer();
        let peer = peer.ok_or_else(|| self.unknown_peer(&at))?;
        if pid.is_none_or(|pid| pid == peer.pid) && uid.is_none_or(|uid| uid == peer.uid) {
            return Ok(());
        }
        Err(Error::new(
            Status::Permission,
            format!(
                "{at}: process {} of user {} listens there, who is not the one that the options want",
                peer.pid, peer.uid
            ),
        ))
    }

    /// The process that the socket belongs to, in words, and whether it is stopped.
    pub(super) fn owner(&self) -> Option<(String, bool)> {
        let pid = self.state.lock().link.peer()?.pid;
        let process = peer::process(pid)?;
        Some((format!("process {pid} ({})", process.name), process.stopped))
    }

    /// Whose socket it is: on one path another VM may listen by now.
    pub(super) fn peer_in_words(&self) -> String {
        let Some(peer) = self.state.lock().link.peer() else {
            return String::new();
        };
        match peer::process(peer.pid) {
            Some(process) => format!(", process {} ({})", peer.pid, process.name),
            None => format!(", process {}", peer.pid),
        }
    }

    fn unknown_peer(&self, what: &str) -> Error {
        Error::new(
            Status::Unsupported,
            format!(
                "{what}: the system tells who is at {} only for unix sockets",
                self.address
            ),
        )
    }
}
