// SPDX-License-Identifier: MIT OR Apache-2.0
//! Connections to VMs: the only room with threads and waiting.

pub mod cancel;
mod connect;
pub mod connection;
mod events;
mod execute;
mod failure;
mod io_thread;
mod lock;
pub mod log;
#[cfg(all(test, model))]
mod model;
pub mod options;
mod receive;
mod record;
mod resolve;
mod shutdown;
mod status;
mod sync;
#[cfg(test)]
mod tests;
mod turns;
pub mod wait;

pub use cancel::Cancel;
pub use connect::connect;
pub use connection::Connection;
pub use options::Options;
pub use shutdown::{ShutdownPlan, ShutdownResult};
pub use status::RunState;
pub use wait::Wait;
