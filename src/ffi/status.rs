// SPDX-License-Identifier: MIT OR Apache-2.0
//! Status codes and the version.
#![allow(non_camel_case_types)]

use std::ffi::{CStr, c_char};

/// How a call went: QMP_OK, or one of the QMP_ERR_ codes. The codes never change their meaning;
/// later versions may add some. Since 0.1.
pub type qmp_status = i32;

/// Success.
pub const QMP_OK: qmp_status = 0;
/// An argument is NULL, not UTF-8, not JSON, out of range, or otherwise not what it must be.
/// Nothing was sent.
pub const QMP_ERR_INVALID_ARGUMENT: qmp_status = -1;
/// The handle was closed or freed, is of another type, or never was one.
pub const QMP_ERR_INVALID_HANDLE: qmp_status = -2;
/// There is nothing at this address.
pub const QMP_ERR_NOT_FOUND: qmp_status = -3;
/// The system does not let this user connect.
pub const QMP_ERR_PERMISSION: qmp_status = -4;
/// Nobody listens at this address.
pub const QMP_ERR_REFUSED: qmp_status = -5;
/// Connected, but not one byte came: another client holds the monitor.
pub const QMP_ERR_BUSY: qmp_status = -6;
/// The time is over. Look at outcome_unknown before doing it again.
pub const QMP_ERR_TIMEOUT: qmp_status = -7;
/// The call's qmp_cancel was triggered.
pub const QMP_ERR_CANCELLED: qmp_status = -8;
/// The client was closed while the call was under way.
pub const QMP_ERR_CLOSED: qmp_status = -9;
/// The connection to the VM has ended.
pub const QMP_ERR_DISCONNECTED: qmp_status = -10;
/// The peer sent something that is not QMP.
pub const QMP_ERR_PROTOCOL: qmp_status = -11;
/// What the peer sent is over a limit.
pub const QMP_ERR_TOO_LARGE: qmp_status = -12;
/// The VM answered with an error: see error_class and description.
pub const QMP_ERR_COMMAND: qmp_status = -13;
/// This VM, or this build of the library, cannot do that.
pub const QMP_ERR_UNSUPPORTED: qmp_status = -14;
/// Memory, descriptors or threads are short.
pub const QMP_ERR_RESOURCE: qmp_status = -15;
/// The handle belongs to the process that this one was forked from.
pub const QMP_ERR_FORKED: qmp_status = -16;
/// A system call failed: see os_errno.
pub const QMP_ERR_IO: qmp_status = -17;
/// A bug in the library.
pub const QMP_ERR_INTERNAL: qmp_status = -18;

/// As a timeout: wait for ever.
pub const QMP_FOREVER: i64 = -1;

/// As the timeout of a command: as long as the built-in table gives that command, or what
/// qmp_options_set_timeout has set over it. Only where a function says so.
///
/// The table: 5 s, for QEMU answers from what it knows. 30 s: query-block*,
/// query-named-block-nodes, screendump, quit. 60 s, for these open, flush and drain images, plug
/// devices, or hide anything: blockdev-*, block_*, block-*, drive-*, nbd-server-*, transaction,
/// device_*, netdev_*, object-*, chardev-*, migrate*, savevm-*, query-savevm,
/// human-monitor-command, guest-exec*. 3 min: guest-fsfreeze-thaw. 10 min: guest-fstrim. 1 h, for
/// these wait for a guest's file systems, write all of its memory, or wait for the last round of a
/// migration: guest-fsfreeze-freeze*, dump-guest-memory, query-migrate.
pub const QMP_DEFAULT_TIMEOUT: i64 = -2;

/// The version of the library that runs, as text: "0.1.0".
///
/// Returns a static string. Never fails. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub extern "C" fn qmp_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

/// The version of the library that runs, as a number that grows: 0xMMmmpp, so 0x000100 for 0.1.0.
///
/// Never fails. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub extern "C" fn qmp_version_number() -> u32 {
    const MAJOR: u32 = decimal(env!("CARGO_PKG_VERSION_MAJOR"));
    const MINOR: u32 = decimal(env!("CARGO_PKG_VERSION_MINOR"));
    const PATCH: u32 = decimal(env!("CARGO_PKG_VERSION_PATCH"));
    MAJOR << 16 | MINOR << 8 | PATCH
}

const fn decimal(text: &str) -> u32 {
    match u32::from_str_radix(text, 10) {
        Ok(number) => number,
        Err(_) => panic!("a version has numbers"),
    }
}

/// The name of a status code, as in the header: "QMP_ERR_TIMEOUT".
///
/// Returns a static string; "QMP_ERR_UNKNOWN" for a code that this version does not know.
/// Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub extern "C" fn qmp_status_name(status: qmp_status) -> *const c_char {
    describe(status).0.as_ptr()
}

/// What a status code means, in a few words. The message of a qmp_error says more.
///
/// Returns a static string, also for a code that this version does not know. Any thread.
/// Since 0.1.
#[unsafe(no_mangle)]
pub extern "C" fn qmp_status_text(status: qmp_status) -> *const c_char {
    describe(status).1.as_ptr()
}

fn describe(status: qmp_status) -> (&'static CStr, &'static CStr) {
    match status {
        QMP_OK => (c"QMP_OK", c"success"),
        QMP_ERR_INVALID_ARGUMENT => (c"QMP_ERR_INVALID_ARGUMENT", c"invalid argument"),
        QMP_ERR_INVALID_HANDLE => (c"QMP_ERR_INVALID_HANDLE", c"invalid handle"),
        QMP_ERR_NOT_FOUND => (c"QMP_ERR_NOT_FOUND", c"nothing at this address"),
        QMP_ERR_PERMISSION => (c"QMP_ERR_PERMISSION", c"permission denied"),
        QMP_ERR_REFUSED => (c"QMP_ERR_REFUSED", c"connection refused"),
        QMP_ERR_BUSY => (c"QMP_ERR_BUSY", c"the monitor serves another client"),
        QMP_ERR_TIMEOUT => (c"QMP_ERR_TIMEOUT", c"timed out"),
        QMP_ERR_CANCELLED => (c"QMP_ERR_CANCELLED", c"cancelled"),
        QMP_ERR_CLOSED => (c"QMP_ERR_CLOSED", c"the client was closed"),
        QMP_ERR_DISCONNECTED => (c"QMP_ERR_DISCONNECTED", c"the connection ended"),
        QMP_ERR_PROTOCOL => (
            c"QMP_ERR_PROTOCOL",
            c"the peer does not follow the protocol",
        ),
        QMP_ERR_TOO_LARGE => (c"QMP_ERR_TOO_LARGE", c"over a limit"),
        QMP_ERR_COMMAND => (c"QMP_ERR_COMMAND", c"the VM answered with an error"),
        QMP_ERR_UNSUPPORTED => (c"QMP_ERR_UNSUPPORTED", c"not supported"),
        QMP_ERR_RESOURCE => (
            c"QMP_ERR_RESOURCE",
            c"out of memory, descriptors or threads",
        ),
        QMP_ERR_FORKED => (
            c"QMP_ERR_FORKED",
            c"the handle belongs to the parent process",
        ),
        QMP_ERR_IO => (c"QMP_ERR_IO", c"a system call failed"),
        QMP_ERR_INTERNAL => (c"QMP_ERR_INTERNAL", c"a bug in the library"),
        _ => (c"QMP_ERR_UNKNOWN", c"unknown status"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Status;

    #[test]
    fn the_numbers_of_the_library_and_of_the_header_are_the_same() {
        let pairs = [
            (Status::InvalidArgument, QMP_ERR_INVALID_ARGUMENT),
            (Status::InvalidHandle, QMP_ERR_INVALID_HANDLE),
            (Status::NotFound, QMP_ERR_NOT_FOUND),
            (Status::Permission, QMP_ERR_PERMISSION),
            (Status::Refused, QMP_ERR_REFUSED),
            (Status::Busy, QMP_ERR_BUSY),
            (Status::Timeout, QMP_ERR_TIMEOUT),
            (Status::Cancelled, QMP_ERR_CANCELLED),
            (Status::Closed, QMP_ERR_CLOSED),
            (Status::Disconnected, QMP_ERR_DISCONNECTED),
            (Status::Protocol, QMP_ERR_PROTOCOL),
            (Status::TooLarge, QMP_ERR_TOO_LARGE),
            (Status::Command, QMP_ERR_COMMAND),
            (Status::Unsupported, QMP_ERR_UNSUPPORTED),
            (Status::Resource, QMP_ERR_RESOURCE),
            (Status::Forked, QMP_ERR_FORKED),
            (Status::Io, QMP_ERR_IO),
            (Status::Internal, QMP_ERR_INTERNAL),
        ];
        for (i, (status, code)) in pairs.into_iter().enumerate() {
            assert_eq!(status as qmp_status, code);
            assert_eq!(code, -(i as qmp_status) - 1);
        }
    }
}
