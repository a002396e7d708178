// SPDX-License-Identifier: MIT OR Apache-2.0
//! The exported functions in Rust's clothes: outputs are taken over, freed, and checked to be empty on failure.

use std::ffi::{CStr, CString, c_char, c_void};
use std::ptr;
use std::sync::{Arc, Mutex};

use qmp::ffi::*;

pub struct Client(*mut qmp_client);

// Every function may be called from any thread.
unsafe impl Send for Client {}
unsafe impl Sync for Client {}

#[derive(Clone, Copy, Default)]
pub struct Options {
    pub max_message_bytes: Option<u64>,
    pub event_capacity: Option<u64>,
    pub wait_for_socket: bool,
}

/// Is called with each log line's level and text.
pub type Logger = Box<dyn Fn(i32, &str) + Send + Sync>;

/// Log lines, kept.
#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<Vec<(i32, String)>>>);

impl Log {
    /// One that keeps what it gets here.
    pub fn logger(&self) -> Logger {
        let log = self.clone();
        Box::new(move |level, line| log.0.lock().unwrap().push((level, line.to_owned())))
    }

    /// The lines of a level that hold a text.
    pub fn lines(&self, level: i32, text: &str) -> Vec<String> {
        let lines = self.0.lock().unwrap();
        let wanted = lines
            .iter()
            .filter(|(at, line)| *at == level && line.contains(text));
        wanted.map(|(_, line)| line.clone()).collect()
    }
}

/// A token; every call with it ends when it is triggered.
pub struct Cancel(*mut qmp_cancel);

// Every function may be called from any thread.
unsafe impl Send for Cancel {}
unsafe impl Sync for Cancel {}

impl Cancel {
    pub fn new() -> Cancel {
        Cancel(qmp_cancel_new())
    }

    pub fn trigger(&self) {
        assert_eq!(qmp_cancel_trigger(self.0), QMP_OK);
    }
}

impl Drop for Cancel {
    fn drop(&mut self) {
        qmp_cancel_free(self.0);
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    pub status: i32,
    pub os_errno: i32,
    pub outcome_unknown: bool,
    pub message: String,
    pub command: String,
    pub class: String,
    pub description: String,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    pub kind: i32,
    pub name: String,
    pub data: Option<String>,
    pub json: String,
    pub seconds: i64,
    pub microseconds: i64,
    pub sequence: u64,
    pub lost: u64,
}

impl Client {
    pub fn connect(address: &str, timeout_ms: i64) -> Result<Client, Failure> {
        Client::connect_with(address, Options::default(), timeout_ms)
    }

    pub fn connect_with(
        address: &str,
        wanted: Options,
        timeout_ms: i64,
    ) -> Result<Client, Failure> {
        Client::connect_logged(address, wanted, timeout_ms, None)
    }

    /// With a logger, which gets every line.
    pub fn connect_logged(
        address: &str,
        wanted: Options,
        timeout_ms: i64,
        logger: Option<Logger>,
    ) -> Result<Client, Failure> {
        Client::connect_set(address, timeout_ms, |options| {
            if let Some(bytes) = wanted.max_message_bytes {
                assert_eq!(qmp_options_set_max_message_bytes(options, bytes), QMP_OK);
            }
            if let Some(events) = wanted.event_capacity {
                assert_eq!(qmp_options_set_event_capacity(options, events), QMP_OK);
            }
            assert_eq!(
                qmp_options_set_wait_for_socket(options, wanted.wait_for_socket),
                QMP_OK
            );
            if let Some(logger) = logger {
                let data = Box::into_raw(Box::new(logger)).cast();
                let (level, destroy) = (QMP_LOG_TRACE, Some(forget as _));
                let status =
                    unsafe { qmp_options_set_log(options, level, Some(write), data, destroy) };
                assert_eq!(status, QMP_OK);
            }
        })
    }

    /// To a guest agent, whose socket is waited for.
    pub fn connect_agent(address: &str, timeout_ms: i64) -> Result<Client, Failure> {
        Client::connect_set(address, timeout_ms, |options| {
            let dialect = QMP_DIALECT_GUEST_AGENT;
            assert_eq!(qmp_options_set_dialect(options, dialect), QMP_OK);
            assert_eq!(qmp_options_set_wait_for_socket(options, true), QMP_OK);
        })
    }

    fn connect_set(
        address: &str,
        timeout_ms: i64,
        set: impl FnOnce(*mut qmp_options),
    ) -> Result<Client, Failure> {
        let address = CString::new(address).unwrap();
        let (mut client, mut error) = (ptr::null_mut(), ptr::null_mut());
        unsafe {
            let options = qmp_options_new();
            set(options);
            let cancel = ptr::null_mut();
            let status = qmp_connect(
                address.as_ptr(),
                options,
                timeout_ms,
                cancel,
                &mut client,
                &mut error,
            );
            qmp_options_free(options);
            outcome(status, error, !client.is_null()).map(|()| Client(client))
        }
    }

    pub fn execute(
        &self,
        command: &str,
        arguments: Option<&str>,
        timeout_ms: i64,
    ) -> Result<String, Failure> {
        self.execute_until(command, arguments, timeout_ms, None)
    }

    pub fn execute_until(
        &self,
        command: &str,
        arguments: Option<&str>,
        timeout_ms: i64,
        cancel: Option<&Cancel>,
    ) -> Result<String, Failure> {
        let command = CString::new(command).unwrap();
        let arguments = arguments.map(|text| CString::new(text).unwrap());
        let arguments = arguments.as_ref().map_or(ptr::null(), |text| text.as_ptr());
        let cancel = cancel.map_or(ptr::null_mut(), |cancel| cancel.0);
        let (mut reply, mut error) = (ptr::null_mut(), ptr::null_mut());
        unsafe {
            let status = qmp_execute_json(
                self.0,
                command.as_ptr(),
                arguments,
                timeout_ms,
                cancel,
                &mut reply,
                &mut error,
            );
            outcome(status, error, !reply.is_null()).map(|()| take_string(reply))
        }
    }

    /// A command without arguments and with all the time it needs.
    pub fn call(&self, command: &str) -> Result<String, Failure> {
        self.execute(command, None, super::LONG)
    }

    pub fn poll_event(&self, timeout_ms: i64) -> Result<Event, Failure> {
        let (mut event, mut error) = (ptr::null_mut(), ptr::null_mut());
        unsafe {
            let status =
                qmp_poll_event(self.0, timeout_ms, ptr::null_mut(), &mut event, &mut error);
            outcome(status, error, !event.is_null())?;
            let seen = &*event;
            let taken = Event {
                kind: seen.kind,
                name: text(seen.name),
                data: (!seen.data.is_null()).then(|| text(seen.data)),
                json: text(seen.json),
                seconds: seen.seconds,
                microseconds: seen.microseconds,
                sequence: seen.sequence,
                lost: seen.lost,
            };
            qmp_event_free(event);
            Ok(taken)
        }
    }

    /// The next event's name.
    pub fn event(&self) -> Result<String, Failure> {
        self.poll_event(super::LONG).map(|event| event.name)
    }

    pub fn greeting(&self) -> Result<String, Failure> {
        let (mut greeting, mut error) = (ptr::null_mut(), ptr::null_mut());
        unsafe {
            let status = qmp_greeting_json(self.0, &mut greeting, &mut error);
            outcome(status, error, !greeting.is_null()).map(|()| take_string(greeting))
        }
    }

    pub fn query_status(&self) -> Result<(bool, String), Failure> {
        let (mut running, mut status, mut error) = (false, ptr::null_mut(), ptr::null_mut());
        unsafe {
            let code = qmp_query_status(
                self.0,
                super::LONG,
                ptr::null_mut(),
                &mut running,
                &mut status,
                &mut error,
            );
            outcome(code, error, !status.is_null()).map(|()| (running, take_string(status)))
        }
    }

    pub fn shutdown(
        &self,
        press_interval_ms: i64,
        grace_ms: i64,
        force: bool,
    ) -> Result<i32, Failure> {
        let (mut result, mut error) = (0, ptr::null_mut());
        unsafe {
            let cancel = ptr::null_mut();
            let status = qmp_shutdown(
                self.0,
                press_interval_ms,
                grace_ms,
                force,
                cancel,
                &mut result,
                &mut error,
            );
            outcome(status, error, result != 0).map(|()| result)
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let status = qmp_close(self.0);
        if !std::thread::panicking() {
            assert_eq!(status, QMP_OK);
        }
    }
}

impl Failure {
    /// Short enough for comparisons: the status, and whether the outcome is unknown.
    pub fn kind(&self) -> (i32, bool) {
        (self.status, self.outcome_unknown)
    }
}

/// A call's status with its error; `written` tells whether the call wrote its output.
unsafe fn outcome(status: qmp_status, error: *mut qmp_error, written: bool) -> Result<(), Failure> {
    if status == QMP_OK {
        assert!(error.is_null(), "an error came with success");
        assert!(written, "success without its output");
        return Ok(());
    }
    assert!(!error.is_null(), "status {status} without an error");
    assert!(!written, "status {status} with an output");
    unsafe {
        let seen = &*error;
        let failure = Failure {
            status: seen.status,
            os_errno: seen.os_errno,
            outcome_unknown: seen.outcome_unknown,
            message: text(seen.message),
            command: text(seen.command),
            class: text(seen.error_class),
            description: text(seen.description),
        };
        qmp_error_free(error);
        assert_eq!(failure.status, status);
        assert!(
            !failure.message.is_empty(),
            "status {status} without a message"
        );
        Err(failure)
    }
}

unsafe extern "C" fn write(logger: *mut c_void, level: i32, message: *const c_char) {
    let (logger, line) = unsafe { (&*logger.cast::<Logger>(), text(message)) };
    logger(level, &line);
}

unsafe extern "C" fn forget(logger: *mut c_void) {
    drop(unsafe { Box::from_raw(logger.cast::<Logger>()) });
}

unsafe fn take_string(string: *mut c_char) -> String {
    let taken = unsafe { text(string) };
    unsafe { qmp_string_free(string) };
    taken
}

/// NULL counts as empty.
unsafe fn text(string: *const c_char) -> String {
    if string.is_null() {
        return String::new();
    }
    unsafe { CStr::from_ptr(string) }
        .to_str()
        .expect("not UTF-8")
        .to_owned()
}
