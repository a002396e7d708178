// SPDX-License-Identifier: MIT OR Apache-2.0
//! Connections to VMs: the only room with threads and waiting.

mod alarms;
pub mod batch;
mod by_id;
pub mod callbacks;
pub mod cancel;
mod connect;
pub mod connection;
mod events;
mod execute;
mod failure;
mod follow;
mod idle;
mod io_thread;
pub mod late;
mod listen;
mod lock;
pub mod log;
#[cfg(all(test, model))]
mod model;
pub mod options;
mod own_loop;
mod peer;
mod reader;
mod receive;
mod reconnect;
mod record;
pub mod requests;
mod resolve;
mod sending;
mod shutdown;
mod signal;
mod status;
pub mod subscriptions;
mod sync;
#[cfg(test)]
mod tests;
pub mod timeouts;
mod turns;
pub mod wait;

pub use cancel::Cancel;
pub use connect::connect;
pub use connection::Connection;
pub use listen::listen;
pub use options::Options;
pub use requests::{Cancelled, Request};
pub use shutdown::{ShutdownPlan, ShutdownResult};
pub use status::RunState;
pub use wait::Wait;

pub use crate::wire::Band;
