// SPDX-License-Identifier: MIT OR Apache-2.0
//! The one error type. Every room speaks it; `ffi` turns it into a `qmp_error`.

use std::io;

/// What went wrong, as C sees it. The numbers are part of the ABI and never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i32)]
pub enum Status {
    InvalidArgument = -1,
    InvalidHandle = -2,
    NotFound = -3,
    Permission = -4,
    Refused = -5,
    Busy = -6,
    Timeout = -7,
    Cancelled = -8,
    Closed = -9,
    Disconnected = -10,
    Protocol = -11,
    TooLarge = -12,
    Command = -13,
    Unsupported = -14,
    Resource = -15,
    Forked = -16,
    Io = -17,
    Internal = -18,
}

impl Status {
    /// The status that an error of the OS means when nothing more is known.
    pub fn of_errno(errno: i32) -> Status {
        match errno {
            libc::ENOENT | libc::ENOTDIR => Status::NotFound,
            libc::EACCES | libc::EPERM => Status::Permission,
            libc::ECONNREFUSED => Status::Refused,
            libc::ETIMEDOUT => Status::Timeout,
            libc::EPROTOTYPE | libc::EPROTONOSUPPORT => Status::Protocol,
            libc::ECONNRESET | libc::EPIPE | libc::ENOTCONN => Status::Disconnected,
            // EAGAIN: no thread could be made.
            libc::EMFILE
            | libc::ENFILE
            | libc::ENOMEM
            | libc::ENOBUFS
            | libc::ENOSPC
            | libc::EAGAIN => Status::Resource,
            _ => Status::Io,
        }
    }
}

/// What the VM said when it answered a command with an error. Both texts are as it sent them,
/// empty where it sent none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    pub class: String,
    pub description: String,
}

/// A failure: what was attempted, where, with which limit, and what to do next.
/// Never holds a command's arguments.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    pub status: Status,
    pub message: String,
    /// 0 where no system call failed.
    pub os_errno: i32,
    /// The command may have been executed: it was sent, and no answer came.
    pub outcome_unknown: bool,
    pub command: Option<Box<str>>,
    pub answer: Option<Box<Answer>>,
}

pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub fn new(status: Status, message: impl Into<String>) -> Error {
        Error::of(status, message.into())
    }

    /// Errors are rare and made in many places: one copy of this is enough.
    #[cold]
    #[inline(never)]
    fn of(status: Status, message: String) -> Error {
        Error {
            status,
            message,
            os_errno: 0,
            outcome_unknown: false,
            command: None,
            answer: None,
        }
    }

    pub fn invalid(message: impl Into<String>) -> Error {
        Error::new(Status::InvalidArgument, message)
    }

    /// A failed system call. `attempted` completes "cannot …".
    #[cold]
    pub fn os(attempted: &str, error: &io::Error) -> Error {
        let errno = error.raw_os_error().unwrap_or(0);
        Error {
            os_errno: errno,
            ..Error::new(
                Status::of_errno(errno),
                format!("cannot {attempted}: {error}"),
            )
        }
    }

    pub fn with_errno(mut self, errno: i32) -> Error {
        self.os_errno = errno;
        self
    }

    #[cold]
    #[inline(never)]
    pub fn with_command(mut self, command: &str) -> Error {
        self.command = Some(command.into());
        self
    }

    pub fn with_outcome_unknown(mut self, unknown: bool) -> Error {
        self.outcome_unknown = unknown;
        self
    }
}
