// SPDX-License-Identifier: MIT OR Apache-2.0
//! Connecting and closing.
#![allow(non_camel_case_types)]

use std::ffi::c_char;
use std::ptr;
use std::sync::{Arc, PoisonError};

use super::cancel::qmp_cancel;
use super::error::qmp_error;
use super::gate::{self, Out, gate};
use super::handle::{self, handle};
use super::options::qmp_options;
use super::status::qmp_status;
use crate::client::{self, Connection, Options, Wait};
use crate::error::{Error, Result, Status};
use crate::sys::fork::PerProcess;
use crate::sys::text::Text;

/// A handle to the connection to one VM, or to its guest agent. Any number of threads may use it at
/// once. Since 0.1.
pub struct qmp_client {
    _private: [u8; 0],
}
handle!(qmp_client, Client, Connection);

/// Connects to a VM's monitor: opens the socket, reads the greeting and negotiates capabilities.
/// When it returns QMP_OK the VM answers. For a guest agent see qmp_options_set_dialect.
///
/// A client stays with the VM that it connected to: when that ends the client is at its end too,
/// and whoever listens on the same path afterwards is met by another qmp_connect only, unless
/// qmp_options_set_reconnect says otherwise. The logger is told the process behind each connection.
///
/// address: "/PATH" or "unix:PATH", a unix socket, the path at most 107 bytes; "abstract:NAME", one
/// in the abstract namespace; "tcp:HOST:PORT" with a name, an IPv4 address or an IPv6 address in
/// brackets; "fd:N", a connected stream socket of the caller's, see below. options: settings,
/// copied; NULL for the defaults. timeout_ms: one limit over everything, or QMP_FOREVER. cancel:
/// ends the call; may be NULL. client: gets a handle, to be closed with qmp_close. error: gets the
/// error; may be NULL.
///
/// With "fd:N" the library takes the descriptor over and closes it, also when the call fails: do
/// not use or close it again. Only after QMP_ERR_INVALID_ARGUMENT, QMP_ERR_INVALID_HANDLE and
/// QMP_ERR_FORKED it is still the caller's.
///
/// Returns QMP_OK; QMP_ERR_NOT_FOUND: no such socket or host; QMP_ERR_REFUSED: nobody listens, or
/// the path is no socket; QMP_ERR_PERMISSION; QMP_ERR_BUSY: connected, but not one byte came, or
/// the queue of clients was full: a monitor serves one client at a time; QMP_ERR_TIMEOUT: no
/// greeting or no answer in time, or not one byte came and the peer is seen to be stopped;
/// QMP_ERR_DISCONNECTED: the VM ended during the handshake; QMP_ERR_PROTOCOL: something else than
/// QMP is there, the message names it if it can; QMP_ERR_TOO_LARGE; QMP_ERR_COMMAND: the
/// negotiation was refused; QMP_ERR_UNSUPPORTED: a guest agent that does not give ids back, because
/// it is too old; QMP_ERR_CANCELLED;
/// QMP_ERR_INVALID_ARGUMENT; QMP_ERR_INVALID_HANDLE; QMP_ERR_RESOURCE; QMP_ERR_FORKED; QMP_ERR_IO.
/// Any thread. Since 0.1.
///
/// # Safety
/// address is a NUL-terminated string or NULL; the other pointers that are not handles may be
/// written, or are NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qmp_connect(
    address: *const c_char,
    options: *const qmp_options,
    timeout_ms: i64,
    cancel: *mut qmp_cancel,
    client: *mut *mut qmp_client,
    error: *mut *mut qmp_error,
) -> qmp_status {
    // SAFETY: the caller's promise.
    unsafe {
        gate(error, || {
            let client = Out::new(client, ptr::null_mut(), "client").required()?;
            let address = gate::bytes(address, "address")?;
            let options = settings(options)?;
            let cancel = handle::get_optional(cancel)?;
            let timeout = gate::timeout(timeout_ms, "timeout_ms")?;
            let wait = Wait::new(timeout, cancel.as_deref());
            let connection = client::connect(address, &options, &wait)?;
            client.give(handle::insert(connection)?);
            Ok(())
        })
    }
}

/// Waits for a VM that connects to us, as QEMU does with a monitor on -chardev
/// socket,…,server=off,reconnect=1.
///
/// address: where to listen, in qmp_connect's forms, but for fd:N: "/path" or "unix:/path", with the
/// permissions that the umask leaves; "abstract:NAME"; "tcp:HOST:PORT". A socket file that is there and on which
/// nobody listens any more is replaced. options: settings, copied; NULL for the defaults. timeout_ms, cancel,
/// client, error: as with qmp_connect; the time counts for the VM to come and for the handshake.
///
/// The first that connects is the VM. With qmp_options_set_reconnect the client listens on as long as it
/// lives, and takes the next VM that comes when the connection has ended; the pauses do not matter then,
/// total_ms does; whoever comes meanwhile waits in line. The address is given up, and its file removed, when the
/// client is closed or gives up, and without qmp_options_set_reconnect once a VM has come.
///
/// Returns what qmp_connect does, and QMP_ERR_TIMEOUT: no VM came; QMP_ERR_BUSY: somebody else listens
/// there, or what is there is no socket; QMP_ERR_PERMISSION: the socket may not be made there. Any thread. Since 0.1.
///
/// # Safety
/// address is a NUL-terminated string or NULL; the pointers that are not handles may be written, or
/// are NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qmp_listen(
    address: *const c_char,
    options: *const qmp_options,
    timeout_ms: i64,
    cancel: *mut qmp_cancel,
    client: *mut *mut qmp_client,
    error: *mut *mut qmp_error,
) -> qmp_status {
    // SAFETY: the caller's promise.
    unsafe {
        gate(error, || {
            let client = Out::new(client, ptr::null_mut(), "client").required()?;
            let address = gate::bytes(address, "address")?;
            let options = settings(options)?;
            let cancel = handle::get_optional(cancel)?;
            let timeout = gate::timeout(timeout_ms, "timeout_ms")?;
            let wait = Wait::new(timeout, cancel.as_deref());
            let connection = client::listen(address, &options, &wait)?;
            client.give(handle::insert(connection)?);
            Ok(())
        })
    }
}

/// Shared by all clients that were made without settings.
static DEFAULTS: PerProcess<Arc<Options>> = PerProcess::new(Arc::default);

fn settings(options: *const qmp_options) -> Result<Arc<Options>> {
    Ok(match handle::get_optional(options)? {
        Some(options) => options
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone(),
        None => DEFAULTS.get().clone(),
    })
}

/// Closes a connection and frees its handle. The VM goes on.
///
/// Calls that other threads have under way on the client return QMP_ERR_CLOSED; calls that begin
/// afterwards return QMP_ERR_INVALID_HANDLE. Commands that were submitted before have left, as far as
/// the VM takes them at once. Events that were not polled are gone.
///
/// Returns QMP_OK; QMP_ERR_INVALID_ARGUMENT for NULL; QMP_ERR_INVALID_HANDLE, so closing twice is
/// safe; QMP_ERR_FORKED: the parent's connection goes on untouched. Any thread, callbacks too.
/// Since 0.1.
#[unsafe(no_mangle)]
pub extern "C" fn qmp_close(client: *mut qmp_client) -> qmp_status {
    // SAFETY: NULL is allowed.
    unsafe {
        gate(ptr::null_mut(), || {
            handle::remove(client)?.close();
            Ok(())
        })
    }
}

/// Gives the VM's greeting as it was sent: {"QMP": {"version": …, "capabilities": …}}.
///
/// client: whose. greeting_json: gets a string, to be freed with qmp_string_free. error: gets the
/// error; may be NULL. It does not ask the VM, and works after the connection ended too.
///
/// Returns QMP_OK; QMP_ERR_UNSUPPORTED: a guest agent does not greet; QMP_ERR_CLOSED;
/// QMP_ERR_INVALID_ARGUMENT; QMP_ERR_INVALID_HANDLE; QMP_ERR_FORKED; QMP_ERR_RESOURCE. Any thread.
/// Since 0.1.
///
/// # Safety
/// The pointers that are not handles may be written, or are NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qmp_greeting_json(
    client: *mut qmp_client,
    greeting_json: *mut *mut c_char,
    error: *mut *mut qmp_error,
) -> qmp_status {
    // SAFETY: the caller's promise.
    unsafe {
        gate(error, || {
            let out = Out::new(greeting_json, ptr::null_mut(), "greeting_json").required()?;
            let greeting = handle::get(client)?.greeting()?;
            out.give(copied(&greeting)?.into_raw());
            Ok(())
        })
    }
}

/// Gives the process that made the VM's socket, and its user, as the kernel tells them.
///
/// client: whose. pid, uid: get the numbers. error: gets the error; may be NULL.
///
/// Returns QMP_OK; QMP_ERR_UNSUPPORTED: it is no unix socket; QMP_ERR_CLOSED;
/// QMP_ERR_INVALID_ARGUMENT; QMP_ERR_INVALID_HANDLE; QMP_ERR_FORKED. Any thread. Since 0.1.
///
/// # Safety
/// The pointers that are not handles may be written, or are NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qmp_peer(
    client: *mut qmp_client,
    pid: *mut i32,
    uid: *mut u32,
    error: *mut *mut qmp_error,
) -> qmp_status {
    // SAFETY: the caller's promise.
    unsafe {
        gate(error, || {
            let (pid, uid) = (Out::new(pid, 0, "pid"), Out::new(uid, 0, "uid"));
            let (pid, uid) = (pid.required()?, uid.required()?);
            let peer = handle::get(client)?.peer()?;
            pid.give(peer.0);
            uid.give(peer.1);
            Ok(())
        })
    }
}

/// A text for C.
pub(super) fn copied(text: &str) -> Result<Text> {
    Text::copy(text).ok_or_else(|| {
        Error::new(Status::Resource, "no memory for the result").with_errno(libc::ENOMEM)
    })
}
