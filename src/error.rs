// SPDX-License-Identifier: MIT OR Apache-2.0
//! The one error type. Every room speaks it; `ffi` turns it into a `qmp_error`.

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
