// SPDX-License-Identifier: MIT OR Apache-2.0
//! Settings of a client: what it tells besides replies and events.
#![allow(non_camel_case_types)]

use std::ffi::{OsStr, c_char, c_void};
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use super::error::{c_string, qmp_error};
use super::gate;
use super::options::{qmp_options, set};
use super::request::late_reply;
use super::status::qmp_status;
use crate::client::log::{Level, Logger, Sink};
use crate::error::Error;

/// A log level: something is broken.
pub const QMP_LOG_ERROR: i32 = 1;
/// A log level: the peer did something odd, which was dropped.
pub const QMP_LOG_WARN: i32 = 2;
/// A log level: connections made, calls that timed out.
pub const QMP_LOG_INFO: i32 = 3;
/// A log level: how connections end.
pub const QMP_LOG_DEBUG: i32 = 4;
/// A log level: every message. Passwords, secrets and keys are replaced by "<redacted>".
pub const QMP_LOG_TRACE: i32 = 5;

/// A logger. It may be called from any thread, from several at once, and may call any function of
/// this library. It may run on the library's own thread, which has a stack of 1 MiB and on which
/// all idle connections of the process wait meanwhile. message is a line without a newline, valid
/// during the call. It must not unwind (no C++ exception, no longjmp, no pthread_exit). Since 0.1.
pub type qmp_log_fn =
    Option<unsafe extern "C" fn(user_data: *mut c_void, level: i32, message: *const c_char)>;

/// A function that is told of a late reply: the name of its command, and what the command came to:
/// status and, on QMP_OK, reply_json, else error; the other is NULL. All are valid during the call.
/// The same holds as for qmp_log_fn: it may be called from any thread, from several at once, may call
/// any function of this library, and must not unwind. Since 0.1.
pub type qmp_late_reply_fn = Option<
    unsafe extern "C" fn(
        user_data: *mut c_void,
        command: *const c_char,
        status: qmp_status,
        reply_json: *const c_char,
        error: *const qmp_error,
    ),
>;

/// A logger of C's and its user_data, which is destroyed with it.
struct CSink {
    function: qmp_log_fn,
    user_data: *mut c_void,
    destroy: Option<unsafe extern "C" fn(user_data: *mut c_void)>,
}

// SAFETY: the header tells that both functions are called from any thread.
unsafe impl Send for CSink {}
// SAFETY: as above, and from several at once.
unsafe impl Sync for CSink {}

impl Sink for CSink {
    fn write(&self, level: Level, line: &str) {
        if let Some(function) = self.function {
            let line = c_string(line.to_owned());
            // SAFETY: the header's contract for loggers; `line` lives through the call.
            unsafe { function(self.user_data, level as i32, line.as_ptr()) };
        }
    }
}

impl Drop for CSink {
    fn drop(&mut self) {
        if let Some(destroy) = self.destroy {
            // SAFETY: the header's contract; dropping happens once.
            unsafe { destroy(self.user_data) };
        }
    }
}

/// Sets the logger of the clients made with these settings. There is none by default, and the
/// library never writes to the standard streams, except to tell of a bug in itself.
///
/// level: the least important lines wanted, QMP_LOG_ERROR to QMP_LOG_TRACE. function: the logger.
/// user_data: passed to it; may be NULL. It must live until destroy is called, which may be after
/// qmp_close has returned. destroy: called with user_data exactly once, when neither the settings
/// nor a client needs it any more, on whatever thread that is; may be NULL. It is called also when
/// this function fails.
///
/// Returns QMP_OK; QMP_ERR_INVALID_ARGUMENT: function is NULL or level is unknown;
/// QMP_ERR_INVALID_HANDLE; QMP_ERR_FORKED. Any thread. Since 0.1.
///
/// # Safety
/// The functions keep to the rules above.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qmp_options_set_log(
    options: *mut qmp_options,
    level: i32,
    function: qmp_log_fn,
    user_data: *mut c_void,
    destroy: Option<unsafe extern "C" fn(user_data: *mut c_void)>,
) -> qmp_status {
    // Made first: whatever fails, it is dropped once.
    let mut sink = Some(Arc::new(CSink {
        function,
        user_data,
        destroy,
    }));
    let mut former = None;
    let status = set(options, |options| {
        if function.is_none() {
            return Err(Error::invalid("function is NULL"));
        }
        let level = Level::of(level)
            .ok_or_else(|| Error::invalid(format!("level is {level}: want 1 to 5")))?;
        if let Some(sink) = sink.take() {
            former = options.logger.replace(Logger::new(level, sink));
        }
        Ok(())
    });
    // A destroy function is called here, without a lock: the former logger's, or the refused one's.
    drop((former, sink));
    status
}

/// Sets a function that is told of late replies: those to commands whose call gave up after sending,
/// or whose request was cancelled or freed. There is none by default, and they are dropped.
///
/// function: is called once for each, without a lock, by the thread that read it, which may be any,
/// and the library's own. The last 1024 such commands of a client are remembered. user_data: given to
/// it; may be NULL. destroy: called with user_data exactly once, as that of qmp_options_set_log; may
/// be NULL.
///
/// Returns QMP_OK; QMP_ERR_INVALID_ARGUMENT: function is NULL; QMP_ERR_INVALID_HANDLE;
/// QMP_ERR_FORKED. Any thread. Since 0.1.
///
/// # Safety
/// The functions keep to the rules above.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qmp_options_set_late_reply(
    options: *mut qmp_options,
    function: qmp_late_reply_fn,
    user_data: *mut c_void,
    destroy: Option<unsafe extern "C" fn(user_data: *mut c_void)>,
) -> qmp_status {
    // Made first: whatever fails, it is dropped once.
    let mut hook = Some(late_reply(function, user_data, destroy));
    let mut former = None;
    let status = set(options, |options| {
        if function.is_none() {
            return Err(Error::invalid("function is NULL"));
        }
        if let Some(hook) = hook.take() {
            former = options.late_reply.replace(hook);
        }
        Ok(())
    });
    drop((former, hook)); // without a lock
    status
}

/// Sets a file to which the session of a client made with these settings is recorded: to see what
/// was said, or to replay it without the VM. Default NULL: none.
///
/// path: bytes; NULL for none. The file is made by qmp_connect once the socket is open, for its owner
/// alone (mode 0600); one that is there is emptied and keeps its mode. Each client needs a file of
/// its own. A file that cannot be opened fails qmp_connect: QMP_ERR_NOT_FOUND, QMP_ERR_PERMISSION,
/// QMP_ERR_RESOURCE or QMP_ERR_IO, and the message names the path. One that cannot be written later
/// (the disk is full) ends the recording with a line of the log at QMP_LOG_WARN, and no call fails.
///
/// The transcript is JSON Lines, one object a line, in the order of the wire, so a command stands
/// before its reply; a line is written before the call returns that it concerns:
///
///   {"transcript": 1, "library": "0.1.0"}   the first line: the version of this format
///   {"ms": 12, "received": {…}}             a message of the VM, the greeting included
///   {"ms": 13, "sent": {…}}                 a command, once it has left whole
///   {"ms": 14, "garbage": "…"}              what came and is no JSON: its beginning, escaped
///   {"ms": 14, "skipped": "…"}              a message that was not kept, too large perhaps: why
///   {"ms": 14, "ended": "…"}                the last line: why the connection ended
///
/// ms: milliseconds since connecting. Messages are whole, without blanks between tokens. Passwords,
/// secrets and keys are replaced by "<redacted>", as in the log; everything else that was said stands
/// there.
///
/// The environment variable QMP_RECORD, if it is not empty, names a directory: clients without a
/// path of their own record to the file qmp-PID-N.jsonl there, N counting the clients of the process
/// from 1. It is read by qmp_connect, and ignored where the process has more rights than its user
/// (setuid).
///
/// Returns QMP_OK; QMP_ERR_INVALID_ARGUMENT: options is NULL or path is empty;
/// QMP_ERR_INVALID_HANDLE; QMP_ERR_FORKED. Any thread. Since 0.1.
///
/// # Safety
/// path is a NUL-terminated string or NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qmp_options_set_record(
    options: *mut qmp_options,
    path: *const c_char,
) -> qmp_status {
    set(options, |options| {
        // SAFETY: the caller's promise.
        let path = unsafe { gate::optional_bytes(path) };
        if path.is_some_and(<[u8]>::is_empty) {
            return Err(Error::invalid("path is empty"));
        }
        options.record = path.map(|path| OsStr::from_bytes(path).into());
        Ok(())
    })
}
