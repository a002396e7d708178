// SPDX-License-Identifier: MIT OR Apache-2.0
//! Random numbers from the kernel.

/// A number that no earlier client of the same VM is likely to have used.
pub fn number() -> u64 {
    let mut bytes = [0u8; 8];
    // SAFETY: eight writable bytes.
    let got = unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), 0) };
    if got == bytes.len() as isize {
        return u64::from_ne_bytes(bytes);
    }
    // A kernel without getrandom: the hasher's own keys are random enough to be unique.
    use std::hash::{BuildHasher, Hasher};
    std::collections::hash_map::RandomState::new()
        .build_hasher()
        .finish()
}
