// SPDX-License-Identifier: MIT OR Apache-2.0
//! How far a connection is, its opening messages, and how what comes instead of a greeting is named.

use super::dialect::{Dialect, Opening};
use crate::wire::members;
use crate::wire::message::Version;

/// Greetings are a few hundred bytes. Until one has come the peer may be anything, so it is held
/// to less than the limit for messages.
pub const MAX_GREETING_BYTES: usize = 1024 * 1024;

/// The answer to a sync has less than a hundred bytes; more is not kept until it has come.
pub const MAX_SYNC_BYTES: usize = 64 * 1024;

/// What a guest agent takes for a fresh start, and sends before its answer to a sync. It is no part
/// of any JSON.
pub const MARK: u8 = 0xff;

/// How far the handshake is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Nothing but events may come before the greeting.
    Greeting,
    /// Whatever comes is meant for others, up to the answer to the sync of this number. None: it is
    /// not sent yet.
    Syncing(Option<u64>),
    /// What comes is meant for us.
    Open,
}

impl Stage {
    pub fn first(dialect: &Dialect) -> Stage {
        match dialect.opening {
            Opening::Greeting { .. } => Stage::Greeting,
            Opening::Sync { .. } => Stage::Syncing(None),
        }
    }
}

/// The bytes of a sync: the mark, which ends what an earlier client left in the agent's parser, and
/// a command that gives its number back.
pub fn sync_bytes(command: &str, number: u64) -> Vec<u8> {
    let mut bytes = vec![MARK];
    bytes.extend_from_slice(
        format!("{{\"execute\":\"{command}\",\"arguments\":{{\"id\":{number}}},\"id\":{number}}}")
            .as_bytes(),
    );
    bytes
}

/// The id of the handshake's command. It alone is random: a command that an earlier client left
/// running answers whoever is connected when it ends, and its id must not look like ours. It is
/// above every id that counting reaches and below 2^53, which every JSON reader keeps exact.
pub fn handshake_id(random: u64) -> u64 {
    (1 << 52) | (random >> 12)
}

#[derive(Clone, Debug)]
pub struct Greeting {
    /// The whole message as it was sent.
    pub json: Box<str>,
}

impl Greeting {
    /// None where the greeting does not say.
    pub fn version(&self) -> Option<Version> {
        let [qmp] = members(&self.json, ["QMP"]);
        Version::parse(qmp?)
    }
}

/// What a peer is that does not speak QMP, judged by the first bytes it sends.
pub fn name_of_stranger(first: &[u8]) -> Option<&'static str> {
    let starts = |prefix: &[u8]| first.starts_with(prefix);
    if starts(b"HTTP/") {
        Some("an HTTP server")
    } else if starts(b"QEMU ") || starts(b"(qemu)") {
        Some("QEMU's human monitor (HMP): start QEMU with -qmp, or with mode=control")
    } else if starts(&[0x15, 0x03]) || starts(&[0x16, 0x03]) {
        Some("a TLS server")
    } else if starts(b"SSH-") {
        Some("an SSH server")
    } else if starts(b"RFB ") {
        Some("a VNC server")
    } else if starts(b"REDQ") {
        Some("a SPICE server")
    } else if first.first() == Some(&0xFF)
        || first.first().is_some_and(|b| (0xFB..=0xFE).contains(b))
    {
        Some("a telnet server: add telnet=off to QEMU's socket")
    } else if starts(b"220 ") || starts(b"220-") {
        Some("a mail or FTP server")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_handshake_id_is_out_of_the_way_and_exact() {
        for random in [0, 1, u64::MAX] {
            let id = handshake_id(random);
            assert!((1 << 52..1 << 53).contains(&id), "{id}");
        }
        assert_ne!(handshake_id(1 << 12), handshake_id(2 << 12));
    }

    #[test]
    fn strangers_are_named() {
        assert_eq!(name_of_stranger(b"HTTP/1.1 400"), Some("an HTTP server"));
        assert!(
            name_of_stranger(b"QEMU 7.2.22 monitor")
                .unwrap()
                .contains("HMP")
        );
        assert_eq!(
            name_of_stranger(b"\x15\x03\x01\0\x02"),
            Some("a TLS server")
        );
        assert_eq!(name_of_stranger(b"hello"), None);
        assert_eq!(name_of_stranger(b""), None);
    }
}
