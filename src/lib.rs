// SPDX-License-Identifier: MIT OR Apache-2.0
pub mod error;
#[cfg(feature = "mock")]
pub mod mock;
pub mod wire;
