// SPDX-License-Identifier: MIT OR Apache-2.0
//! What tests of several files need.

use std::time::Duration;

/// Eight times as much takes at most some eight times as long; what is quadratic takes 64 times. The machine may be busy, so it may
/// try often.
pub(super) fn assert_linear(size: usize, time: impl Fn(usize) -> Duration) {
    let tries = (0..20).map(|_| (time(size / 8), time(size)));
    let found: Vec<_> = tries
        .map_while(|(part, full)| (full > part * 24).then_some((part, full)))
        .collect();
    assert!(found.len() < 20, "an eighth, and all of it: {found:?}");
}
