// SPDX-License-Identifier: MIT OR Apache-2.0
//! What threads share besides descriptors. One place, so that the model check can put its own here.

pub use std::sync::atomic::AtomicBool;
pub use std::sync::{Mutex, MutexGuard};
pub use std::time::Instant;
