// SPDX-License-Identifier: MIT OR Apache-2.0
//! A client for the QEMU Machine Protocol, as a C library. What C sees is [`ffi`]; this is the map
//! of the house. Each room imports only rooms to its left:
//!
//! ```text
//! error ← wire ← session ← client ← ffi
//! error ← sys ← transport ← client          mock → wire, transport, sys ffi → client, mock, error
//! ```
//!
//! The Rust items are public for the tests and may change at any time; the C ABI does not.
#![deny(unsafe_code)]
#![deny(unsafe_op_in_unsafe_fn)]
#![warn(clippy::undocumented_unsafe_blocks)]

pub mod client;
pub mod error;
pub mod ffi;
#[cfg(feature = "mock")]
pub mod mock;
pub mod session;
pub mod sys;
pub mod transport;
pub mod wire;
