// SPDX-License-Identifier: MIT OR Apache-2.0

use std::path::PathBuf;

use super::log::Logger;
use crate::session::dialect::{self, Dialect};

/// Settings of a connection, copied when it is made.
#[derive(Clone)]
pub struct Options {
    pub max_message_bytes: usize,
    pub event_capacity: usize,
    pub wait_for_socket: bool,
    pub dialect: &'static Dialect,
    pub logger: Option<Logger>,
    /// Where the session is recorded to.
    pub record: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            // The largest token that QEMU itself takes.
            max_message_bytes: 64 * 1024 * 1024,
            event_capacity: 4096,
            wait_for_socket: false,
            dialect: &dialect::QMP,
            logger: None,
            record: None,
        }
    }
}
