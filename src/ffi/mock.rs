// SPDX-License-Identifier: MIT OR Apache-2.0
//! A mock VM, for tests without QEMU: starting it, and what it is.
#![allow(non_camel_case_types)]

use std::ffi::c_char;
use std::ptr;
use std::sync::Arc;
use std::time::Duration;

use super::connect::copied;
use super::error::qmp_error;
use super::gate::{self, Out, gate};
use super::handle::{self, handle};
use super::status::qmp_status;
use crate::error::{Error, Result};
use crate::mock::{Guest, Mock};

/// A handle to a mock: a small VM that speaks QMP on a socket and has no machine behind it. Any
/// thread. Since 0.1.
///
/// Without further words it behaves as QEMU 7.2 does: it greets, wants its capabilities negotiated,
/// knows query-status, query-version, query-name, query-commands, query-qmp-schema, query-yank,
/// stop, cont, system_reset, system_wakeup, system_powerdown and quit, sends the events that QEMU
/// sends and in its order, and answers anything else with CommandNotFound. One thread serves all
/// mocks of a process; a mock costs a few descriptors and KiB, so thousands can be had.
///
/// This part of the library is for tests. A distribution may leave it out (cargo's feature "mock"):
/// then the library has none of the functions qmp_mock_*.
pub struct qmp_mock {
    _private: [u8; 0],
}
handle!(qmp_mock, Mock, Mock);

/// For times and the like: always, without end.
pub const QMP_ALWAYS: i32 = -1;

/// What the mock's guest does when the power button is pressed: it powers off. The default.
pub const QMP_GUEST_HONOURS: i32 = 0;
/// What the mock's guest does when the power button is pressed: nothing.
pub const QMP_GUEST_IGNORES: i32 = 1;
/// What the mock's guest does when the power button is pressed: it powers off at the n-th press.
pub const QMP_GUEST_HONOURS_PRESS: i32 = 2;
/// What the mock's guest does when the power button is pressed: it powers off after so many
/// milliseconds.
pub const QMP_GUEST_HONOURS_LATE: i32 = 3;
/// What the mock's guest does when the power button is pressed: it reboots.
pub const QMP_GUEST_REBOOTS: i32 = 4;
/// What the mock's guest does when the power button is pressed: it panics.
pub const QMP_GUEST_PANICS: i32 = 5;

/// Starts a mock, and listens for clients.
///
/// address: as in qmp_connect, "/PATH" or "unix:PATH" where nothing is yet, "abstract:NAME", or
/// "tcp:127.0.0.1:PORT" and "tcp:[::1]:PORT", port 0 being any free one; NULL for a fresh path in
/// $TMPDIR, or in /tmp where that is not set, not absolute, not UTF-8 or too long. mock: gets a handle, to be stopped with qmp_mock_stop. error: gets
/// the error; may be NULL.
///
/// Returns QMP_OK; QMP_ERR_BUSY: the path or port is in use; QMP_ERR_NOT_FOUND: its directory is
/// not there; QMP_ERR_PERMISSION; QMP_ERR_INVALID_ARGUMENT; QMP_ERR_RESOURCE; QMP_ERR_IO. Any
/// thread. Since 0.1.
///
/// # Safety
/// address is a NUL-terminated string or NULL; mock and error may be written, or are NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qmp_mock_start(
    address: *const c_char,
    mock: *mut *mut qmp_mock,
    error: *mut *mut qmp_error,
) -> qmp_status {
    // SAFETY: the caller's promise.
    unsafe {
        gate(error, || {
            let mock = Out::new(mock, ptr::null_mut(), "mock").required()?;
            let started = match address.is_null() {
                true => Mock::start_temporary()?,
                false => Mock::start(gate::bytes(address, "address")?)?,
            };
            mock.give(handle::insert(Arc::new(started))?);
            Ok(())
        })
    }
}

/// Stops a mock and frees its handle. Its connections end without a farewell, as if QEMU were
/// killed, and the file of its socket is removed. Calls that wait for what it receives end with
/// QMP_ERR_TIMEOUT.
///
/// Returns QMP_OK; QMP_ERR_INVALID_ARGUMENT for NULL; QMP_ERR_INVALID_HANDLE; QMP_ERR_FORKED: the
/// parent's mock goes on untouched. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub extern "C" fn qmp_mock_stop(mock: *mut qmp_mock) -> qmp_status {
    // SAFETY: NULL is allowed.
    unsafe {
        gate(ptr::null_mut(), || {
            handle::remove(mock)?.stop();
            Ok(())
        })
    }
}

/// Gives the address that clients connect to.
///
/// address: gets a string for qmp_connect, to be freed with qmp_string_free. error: gets the error;
/// may be NULL.
///
/// Returns QMP_OK; QMP_ERR_INVALID_ARGUMENT; QMP_ERR_INVALID_HANDLE; QMP_ERR_FORKED;
/// QMP_ERR_RESOURCE. Any thread. Since 0.1.
///
/// # Safety
/// The pointers that are not handles may be written, or are NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qmp_mock_address(
    mock: *mut qmp_mock,
    address: *mut *mut c_char,
    error: *mut *mut qmp_error,
) -> qmp_status {
    // SAFETY: the caller's promise.
    unsafe {
        gate(error, || {
            let out = Out::new(address, ptr::null_mut(), "address").required()?;
            let mock = handle::get(mock)?;
            // Only a path that is no UTF-8 is not.
            let text = std::str::from_utf8(mock.address())
                .map_err(|_| Error::invalid("the mock's path is not UTF-8"))?;
            out.give(copied(text)?.into_raw());
            Ok(())
        })
    }
}

/// Sets what the mock says its version is, in the greeting and to query-version. Default 7.2.22 and
/// "libqmp mock".
///
/// package: may be NULL for none. error: gets the error; may be NULL.
///
/// Returns QMP_OK; QMP_ERR_INVALID_ARGUMENT; QMP_ERR_INVALID_HANDLE; QMP_ERR_FORKED. Any thread.
/// Since 0.1.
///
/// # Safety
/// package is a NUL-terminated string or NULL; error may be written, or is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qmp_mock_set_version(
    mock: *mut qmp_mock,
    major: u32,
    minor: u32,
    micro: u32,
    package: *const c_char,
    error: *mut *mut qmp_error,
) -> qmp_status {
    // SAFETY: the caller's promise.
    unsafe {
        gate(error, || {
            let package = gate::optional_text(package, "package")?.unwrap_or_default();
            handle::get(mock)?.set_version(major, minor, micro, package);
            Ok(())
        })
    }
}

/// Sets the capabilities of the greeting, which are those that a client may enable. Default
/// ["oob"].
///
/// capabilities_json: a JSON array. error: gets the error; may be NULL.
///
/// Returns QMP_OK; QMP_ERR_INVALID_ARGUMENT; QMP_ERR_INVALID_HANDLE; QMP_ERR_FORKED. Any thread.
/// Since 0.1.
///
/// # Safety
/// capabilities_json is a NUL-terminated string or NULL; error may be written, or is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qmp_mock_set_capabilities(
    mock: *mut qmp_mock,
    capabilities_json: *const c_char,
    error: *mut *mut qmp_error,
) -> qmp_status {
    // SAFETY: the caller's promise.
    unsafe {
        gate(error, || {
            let json = gate::text(capabilities_json, "capabilities_json")?;
            handle::get(mock)?.set_capabilities(json)
        })
    }
}

/// Sets the answer to query-name. Default none.
///
/// name: may be NULL for none. error: gets the error; may be NULL.
///
/// Returns QMP_OK; QMP_ERR_INVALID_ARGUMENT; QMP_ERR_INVALID_HANDLE; QMP_ERR_FORKED. Any thread.
/// Since 0.1.
///
/// # Safety
/// name is a NUL-terminated string or NULL; error may be written, or is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qmp_mock_set_name(
    mock: *mut qmp_mock,
    name: *const c_char,
    error: *mut *mut qmp_error,
) -> qmp_status {
    // SAFETY: the caller's promise.
    unsafe {
        gate(error, || {
            let name = gate::optional_text(name, "name")?;
            handle::get(mock)?.set_name(name);
            Ok(())
        })
    }
}

/// Sets the mock's run state, without any event. Default "running".
///
/// run_state: one of QEMU's: "running", "paused", "prelaunch", "preconfig", "inmigrate",
/// "postmigrate", "finish-migrate", "restore-vm", "save-vm", "shutdown", "suspended", "watchdog",
/// "guest-panicked", "internal-error", "io-error", "debug". As in QEMU, query-status calls "preconfig"
/// "prelaunch". error: gets the error; may be NULL.
///
/// Returns QMP_OK; QMP_ERR_INVALID_ARGUMENT; QMP_ERR_INVALID_HANDLE; QMP_ERR_FORKED. Any thread.
/// Since 0.1.
///
/// # Safety
/// run_state is a NUL-terminated string or NULL; error may be written, or is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qmp_mock_set_run_state(
    mock: *mut qmp_mock,
    run_state: *const c_char,
    error: *mut *mut qmp_error,
) -> qmp_status {
    // SAFETY: the caller's promise.
    unsafe {
        gate(error, || {
            let state = gate::text(run_state, "run_state")?;
            handle::get(mock)?.set_state(state)
        })
    }
}

/// Sets what the guest does when the power button is pressed.
///
/// behaviour: QMP_GUEST_HONOURS, which is the default, or another. amount: the number of the press
/// for QMP_GUEST_HONOURS_PRESS, milliseconds for QMP_GUEST_HONOURS_LATE, else without meaning.
/// error: gets the error; may be NULL.
///
/// Returns QMP_OK; QMP_ERR_INVALID_ARGUMENT; QMP_ERR_INVALID_HANDLE; QMP_ERR_FORKED. Any thread.
/// Since 0.1.
///
/// # Safety
/// error may be written, or is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qmp_mock_set_guest(
    mock: *mut qmp_mock,
    behaviour: i32,
    amount: u64,
    error: *mut *mut qmp_error,
) -> qmp_status {
    // SAFETY: the caller's promise.
    unsafe {
        gate(error, || {
            let guest = match behaviour {
                QMP_GUEST_HONOURS => Guest::Honours,
                QMP_GUEST_IGNORES => Guest::Ignores,
                QMP_GUEST_HONOURS_PRESS => {
                    Guest::HonoursPress(u32::try_from(amount).unwrap_or(u32::MAX))
                }
                QMP_GUEST_HONOURS_LATE => Guest::HonoursAfter(Duration::from_millis(amount)),
                QMP_GUEST_REBOOTS => Guest::Reboots,
                QMP_GUEST_PANICS => Guest::Panics,
                _ => {
                    return Err(Error::invalid(format!(
                        "behaviour is {behaviour}, which is no QMP_GUEST_…"
                    )));
                }
            };
            handle::get(mock)?.set_guest(guest);
            Ok(())
        })
    }
}

/// Sets whether the mock stays when its guest has gone down, as QEMU does with -no-shutdown: then
/// it sends SHUTDOWN and STOP, and its run state is "shutdown"; or, when it panicked, GUEST_PANICKED
/// and STOP, and its run state is "guest-panicked". Default false: the mock ends.
///
/// error: gets the error; may be NULL.
///
/// Returns QMP_OK; QMP_ERR_INVALID_ARGUMENT; QMP_ERR_INVALID_HANDLE; QMP_ERR_FORKED. Any thread.
/// Since 0.1.
///
/// # Safety
/// error may be written, or is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qmp_mock_set_no_shutdown(
    mock: *mut qmp_mock,
    no_shutdown: bool,
    error: *mut *mut qmp_error,
) -> qmp_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(mock, error, |mock| {
            mock.set_no_shutdown(no_shutdown);
            Ok(())
        })
    }
}

/// Sets how many clients are served at once. Default 1, as with QEMU's sockets: the next can connect
/// and hears nothing until the first has left. All clients are of the one VM, and each that has
/// negotiated hears all events.
///
/// clients: at least 1. error: gets the error; may be NULL.
///
/// Returns QMP_OK; QMP_ERR_INVALID_ARGUMENT; QMP_ERR_INVALID_HANDLE; QMP_ERR_FORKED. Any thread.
/// Since 0.1.
///
/// # Safety
/// error may be written, or is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qmp_mock_set_clients(
    mock: *mut qmp_mock,
    clients: u32,
    error: *mut *mut qmp_error,
) -> qmp_status {
    // SAFETY: the caller's promise.
    unsafe { with(mock, error, |mock| mock.set_clients(clients)) }
}

/// A function of one mock, with nothing but values.
///
/// # Safety
/// `error` is NULL or may be written.
pub(super) unsafe fn with(
    mock: *mut qmp_mock,
    error: *mut *mut qmp_error,
    body: impl FnOnce(&Mock) -> Result<()>,
) -> qmp_status {
    // SAFETY: the caller's promise.
    unsafe { gate(error, || body(&*handle::get(mock)?)) }
}
