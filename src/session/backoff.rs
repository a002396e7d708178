// SPDX-License-Identifier: MIT OR Apache-2.0
//! How long to wait before each attempt to reconnect.

use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Backoff {
    /// Before the first attempt.
    pub first: Duration,
    /// By which each pause is longer than the one before it; at least 1.
    pub factor: f64,
    /// No pause is longer.
    pub cap: Duration,
    /// Up to this part of a pause is left out, at random, so that the clients of one host do not come
    /// all at once; 0 to 1.
    pub jitter: f64,
    /// From the end of the connection on. None: for ever.
    pub total: Option<Duration>,
}

const SHORTEST: Duration = Duration::from_millis(1);

impl Backoff {
    /// The pause before an attempt, which `attempts` others preceded. `random`: any number.
    pub fn pause(&self, attempts: u32, random: u64) -> Duration {
        let exponent = i32::try_from(attempts).unwrap_or(i32::MAX);
        let grown = self.first.as_secs_f64() * self.factor.powi(exponent);
        let whole = grown.min(self.cap.as_secs_f64());
        // 32 bits are fine enough, and f64 holds them all.
        let part = f64::from((random >> 32) as u32) / f64::from(u32::MAX);
        let pause = Duration::try_from_secs_f64(whole * (1.0 - self.jitter * part));
        pause.unwrap_or(self.cap).max(SHORTEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKOFF: Backoff = Backoff {
        first: Duration::from_millis(10),
        factor: 2.0,
        cap: Duration::from_millis(100),
        jitter: 0.0,
        total: None,
    };

    #[test]
    fn pauses_grow_up_to_the_cap() {
        let pauses = [0, 1, 2, 3, 4, 5, 1000, u32::MAX].map(|n| BACKOFF.pause(n, 7).as_millis());
        assert_eq!(pauses, [10, 20, 40, 80, 100, 100, 100, 100]);
    }

    #[test]
    fn jitter_only_shortens() {
        let half = Backoff {
            jitter: 0.5,
            ..BACKOFF
        };
        assert_eq!(half.pause(0, 0), Duration::from_millis(10));
        assert_eq!(half.pause(0, u64::MAX), Duration::from_millis(5));
        let all = Backoff {
            jitter: 1.0,
            ..BACKOFF
        };
        assert_eq!(all.pause(9, u64::MAX), SHORTEST);
    }
}
