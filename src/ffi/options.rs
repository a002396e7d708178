// SPDX-License-Identifier: MIT OR Apache-2.0
//! Settings of a connection, and its logger.
#![allow(non_camel_case_types)]

use std::ffi::{OsStr, c_char, c_void};
use std::os::unix::ffi::OsStrExt;
use std::sync::{Arc, Mutex, PoisonError};

use super::error::{c_string, qmp_error};
use super::gate::{self, gate};
use super::handle::{self, handle};
use super::request::late_reply;
use super::status::qmp_status;
use crate::client::Options;
use crate::client::log::{Level, Logger, Sink};
use crate::error::{Error, Result};
use crate::session::dialect;

/// A handle to settings. Any thread. Since 0.1.
pub struct qmp_options {
    _private: [u8; 0],
}

pub type SharedOptions = Mutex<Options>;
handle!(qmp_options, Options, SharedOptions);

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

/// Makes settings, all at their defaults.
///
/// Returns a handle to be freed with qmp_options_free, or NULL when memory or handles are short.
/// Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub extern "C" fn qmp_options_new() -> *mut qmp_options {
    gate::or_null(|| handle::insert(Arc::new(Mutex::new(Options::default()))))
}

/// Frees settings. Clients that were made with them keep theirs. NULL and a stale handle do
/// nothing.
///
/// Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub extern "C" fn qmp_options_free(options: *mut qmp_options) {
    gate::quietly(|| handle::remove(options).map(drop));
}

/// Sets the size that one message of the VM may have, in bytes. Default 64 MiB, which is what QEMU
/// itself takes. Memory that a peer can claim is bounded by a small multiple of it.
///
/// A larger reply fails its call with QMP_ERR_TOO_LARGE as soon as the limit is passed, if it is
/// the only call under way, or else when the reply's id was seen; the rest of the message is
/// skipped and the connection stays usable, unless that does not end: more than 16 times the limit,
/// and more than 1 GiB, end the connection. The greeting may have 1 MiB at most, whatever this
/// limit is.
///
/// bytes: at least 1. Returns QMP_OK; QMP_ERR_INVALID_ARGUMENT; QMP_ERR_INVALID_HANDLE;
/// QMP_ERR_FORKED. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub extern "C" fn qmp_options_set_max_message_bytes(
    options: *mut qmp_options,
    bytes: u64,
) -> qmp_status {
    set(options, |options| {
        options.max_message_bytes = positive(bytes, "bytes")?;
        Ok(())
    })
}

/// Sets how many events wait at most until they are polled. Default 4096. Together they also need
/// no more memory than the largest message may, or 4 MiB if that is more; half of it is for those
/// that are lost last, see qmp_poll_event.
///
/// events: at least 1. Returns QMP_OK; QMP_ERR_INVALID_ARGUMENT; QMP_ERR_INVALID_HANDLE;
/// QMP_ERR_FORKED. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub extern "C" fn qmp_options_set_event_capacity(
    options: *mut qmp_options,
    events: u64,
) -> qmp_status {
    set(options, |options| {
        options.event_capacity = positive(events, "events")?;
        Ok(())
    })
}

/// Sets whether out-of-band commands are wanted (qmp_execute_oob_json): the capability "oob" is
/// enabled if the VM offers it. Default false.
///
/// So that these can always overtake, at most 8 other commands are under way at the VM then; more
/// wait here, in their order.
///
/// Returns QMP_OK; QMP_ERR_INVALID_ARGUMENT for NULL; QMP_ERR_INVALID_HANDLE; QMP_ERR_FORKED.
/// Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub extern "C" fn qmp_options_set_out_of_band(
    options: *mut qmp_options,
    wanted: bool,
) -> qmp_status {
    set(options, |options| {
        options.out_of_band = wanted;
        Ok(())
    })
}

/// Sets whether the caller's own loop drives the client, and no thread of the library: with qmp_fd
/// and qmp_process. Default false.
///
/// The library starts no thread for such a client at all, so a host name cannot be looked up for it,
/// and its callbacks are of the kind QMP_ON_DISPATCH. Calls that wait work as ever; between them
/// nothing is read unless qmp_process is called.
///
/// Returns QMP_OK; QMP_ERR_INVALID_ARGUMENT for NULL; QMP_ERR_INVALID_HANDLE; QMP_ERR_FORKED.
/// Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub extern "C" fn qmp_options_set_own_loop(options: *mut qmp_options, wanted: bool) -> qmp_status {
    set(options, |options| {
        options.own_loop = wanted;
        Ok(())
    })
}

/// Sets how long a command may take whose caller passes QMP_DEFAULT_TIMEOUT, over the built-in table.
/// A command's own name counts before patterns, and a longer pattern before a shorter one.
///
/// command: a name, or a pattern in which "*" is any text. timeout_ms: milliseconds, or QMP_FOREVER.
///
/// Returns QMP_OK; QMP_ERR_INVALID_ARGUMENT; QMP_ERR_INVALID_HANDLE; QMP_ERR_FORKED. Any thread.
/// Since 0.1.
///
/// # Safety
/// command is a NUL-terminated string or NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qmp_options_set_timeout(
    options: *mut qmp_options,
    command: *const c_char,
    timeout_ms: i64,
) -> qmp_status {
    set(options, |options| {
        // SAFETY: the caller's promise.
        let command = unsafe { gate::text(command, "command") }?;
        let limit = gate::timeout(timeout_ms, "timeout_ms")?;
        options.timeouts.set(command, limit);
        Ok(())
    })
}

/// Sets which process, of which user, has to be the one that made the socket. Connecting to another
/// one fails with QMP_ERR_PERMISSION, before anything is sent. Default: whoever it is.
///
/// pid: a process, or -1 for any. uid: a user, or -1 for any.
///
/// Returns QMP_OK; QMP_ERR_INVALID_ARGUMENT; QMP_ERR_INVALID_HANDLE; QMP_ERR_FORKED. Any thread.
/// Since 0.1.
#[unsafe(no_mangle)]
pub extern "C" fn qmp_options_set_expected_peer(
    options: *mut qmp_options,
    pid: i64,
    uid: i64,
) -> qmp_status {
    set(options, |options| {
        let bad = |name: &str, value: i64| {
            Error::invalid(format!("{name} is {value}: want a number, or -1 for any"))
        };
        options.expected_pid = match pid {
            -1 => None,
            _ => Some(
                i32::try_from(pid)
                    .ok()
                    .filter(|pid| *pid > 0)
                    .ok_or_else(|| bad("pid", pid))?,
            ),
        };
        options.expected_uid = match uid {
            -1 => None,
            _ => Some(u32::try_from(uid).map_err(|_| bad("uid", uid))?),
        };
        Ok(())
    })
}

/// Sets whether connecting waits for a socket that is not there yet, or on which nobody listens,
/// until the time is over. Default false: that fails at once.
///
/// Returns QMP_OK; QMP_ERR_INVALID_ARGUMENT for NULL; QMP_ERR_INVALID_HANDLE; QMP_ERR_FORKED.
/// Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub extern "C" fn qmp_options_set_wait_for_socket(
    options: *mut qmp_options,
    wait: bool,
) -> qmp_status {
    set(options, |options| {
        options.wait_for_socket = wait;
        Ok(())
    })
}

/// A dialect: QMP, as a VM's monitor speaks it.
pub const QMP_DIALECT_QMP: i32 = 0;
/// A dialect: the QEMU guest agent's (qemu-ga).
pub const QMP_DIALECT_GUEST_AGENT: i32 = 1;

/// Sets what is spoken at the address: QMP_DIALECT_QMP (the default) or QMP_DIALECT_GUEST_AGENT.
///
/// The guest agent's socket is that of a serial port of the VM, behind which qemu-ga runs inside
/// the guest. An agent does not greet: qmp_connect sends it the byte 0xFF and the command
/// "guest-sync-delimited" with a random number, and ignores whatever comes before the answer with
/// that number, such as replies to an earlier client and errors about what it left behind. Without
/// an answer it does so again after 1, 2, 4, … seconds, each time with another number; only the
/// last one's answer counts. QEMU takes the connection whether or not an agent runs, so an absent
/// one is told by QMP_ERR_TIMEOUT: give the guest the time that it needs to start. No command is
/// sent before the agent has answered.
///
/// Then qmp_execute_json works as with QMP, with the agent's commands ("guest-ping", …). One that
/// timed out may still be run by the agent, outcome_unknown is true; the client stays usable, the
/// late reply is recognised and dropped. The agent never answers "guest-shutdown",
/// "guest-suspend-disk", "guest-suspend-ram" and "guest-suspend-hybrid" when they succeed: their
/// calls succeed with "{}" when the connection ends, and give QMP_ERR_TIMEOUT with outcome_unknown
/// if it stays; look at the VM's monitor. When the agent is stopped inside the guest the connection
/// does not end, and calls time out.
///
/// There are no events, so qmp_poll_event gives the end only. qmp_greeting_json, qmp_query_status,
/// qmp_is_running and qmp_shutdown are a monitor's and return QMP_ERR_UNSUPPORTED.
///
/// Returns QMP_OK; QMP_ERR_INVALID_ARGUMENT: NULL, or an unknown dialect; QMP_ERR_INVALID_HANDLE;
/// QMP_ERR_FORKED. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub extern "C" fn qmp_options_set_dialect(options: *mut qmp_options, dialect: i32) -> qmp_status {
    set(options, |options| {
        options.dialect = match dialect {
            QMP_DIALECT_QMP => &dialect::QMP,
            QMP_DIALECT_GUEST_AGENT => &dialect::GUEST_AGENT,
            _ => return Err(Error::invalid(format!("dialect is {dialect}: want 0 or 1"))),
        };
        Ok(())
    })
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

fn set(options: *mut qmp_options, change: impl FnOnce(&mut Options) -> Result<()>) -> qmp_status {
    // SAFETY: NULL is allowed.
    unsafe {
        gate(std::ptr::null_mut(), || {
            let options = handle::get(options)?;
            let mut options = options.lock().unwrap_or_else(PoisonError::into_inner);
            change(&mut options)
        })
    }
}

fn positive(number: u64, name: &str) -> Result<usize> {
    match usize::try_from(number) {
        Ok(0) => Err(Error::invalid(format!("{name} is 0"))),
        Ok(number) => Ok(number),
        Err(_) => Ok(usize::MAX),
    }
}
