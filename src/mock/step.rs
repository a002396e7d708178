// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a connection has still to do: bytes to send, and worse.

use std::time::Duration;

#[derive(Debug)]
pub(super) enum Step {
    Bytes(Vec<u8>),
    /// So many times; None: until the client has left.
    Repeat {
        unit: Vec<u8>,
        times: Option<u64>,
    },
    /// One byte at a time, with this pause after each.
    Drip {
        bytes: Vec<u8>,
        pause: Duration,
    },
    /// Nothing goes out for so long; None: ever again.
    Pause(Option<Duration>),
    /// From now on whenever nothing else is to be sent: so many units in all, or without end.
    Flood {
        unit: Vec<u8>,
        times: Option<u64>,
    },
    EndWriting,
    EndReading,
    StopReading,
    /// From now on so many bytes a second.
    SlowReading(u64),
    Close,
    /// Closed with something unread, where there is something, so that the client reads a reset.
    Reset,
}

impl Step {
    pub(super) fn text(text: impl Into<String>) -> Step {
        Step::Bytes(text.into().into_bytes())
    }

    /// So many bytes of one kind.
    pub(super) fn fill(byte: u8, count: u64) -> [Step; 2] {
        const UNIT: u64 = 65536;
        let unit = vec![byte; UNIT as usize];
        let rest = vec![byte; (count % UNIT) as usize];
        let times = Some(count / UNIT);
        [Step::Repeat { unit, times }, Step::Bytes(rest)]
    }

    pub(super) fn endless(text: &str) -> Step {
        Step::Repeat {
            unit: text.repeat((65536 / text.len().max(1)).max(1)).into_bytes(),
            times: None,
        }
    }
}
