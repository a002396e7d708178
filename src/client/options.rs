// SPDX-License-Identifier: MIT OR Apache-2.0

use std::path::PathBuf;

use super::late::LateReply;
use super::log::Logger;
use super::timeouts::Timeouts;
use crate::session::backoff::Backoff;
use crate::session::dialect::{self, Dialect};

/// Settings of a connection, copied when it is made.
#[derive(Clone)]
pub struct Options {
    pub max_message_bytes: usize,
    pub event_capacity: usize,
    pub wait_for_socket: bool,
    pub out_of_band: bool,
    pub own_loop: bool,
    /// None: the first end is the last.
    pub reconnect: Option<Backoff>,
    pub retry_queries: bool,
    pub timeouts: Timeouts,
    /// Who has to listen at the other end: process and user.
    pub expected_pid: Option<i32>,
    pub expected_uid: Option<u32>,
    pub dialect: &'static Dialect,
    pub logger: Option<Logger>,
    pub late_reply: Option<LateReply>,
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
            out_of_band: false,
            own_loop: false,
            reconnect: None,
            retry_queries: false,
            timeouts: Timeouts::default(),
            expected_pid: None,
            expected_uid: None,
            dialect: &dialect::QMP,
            logger: None,
            late_reply: None,
            record: None,
        }
    }
}
