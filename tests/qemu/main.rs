// SPDX-License-Identifier: MIT OR Apache-2.0
//! The client and real QEMU.

#[path = "../support/mod.rs"]
mod support;

mod agent;
mod connecting;
mod dying;
mod large;
mod lifecycle;
mod shutdown;
mod siblings;
mod stopped;
mod threads;
