// SPDX-License-Identifier: MIT OR Apache-2.0
//! What failed, and how it is told: what was attempted, where, with which limit, what to do next.
//! Never with a command's arguments.

use std::io;
use std::time::Duration;

use super::connection::Connection;
use super::wait::{Stop, Wait};
use crate::error::{Answer, Error, Status};
use crate::session::handshake::name_of_stranger;
use crate::session::pending::{Abandoned, Fate};
use crate::wire::cut;
use crate::wire::framing::{Fault, Refusal};
use crate::wire::message::ErrorBody;

/// Why a connection ended.
#[derive(Clone, Debug)]
pub enum End {
    Eof {
        mid_message: bool,
    },
    /// A system call failed, with this errno. A reset is as good as an end of file.
    Failed(i32),
    /// What came between messages and is no JSON, escaped.
    Garbage(String),
    /// A message, or the blanks before one, did not end.
    Endless,
    /// Before the greeting came something that is none: what.
    NotQmp(String),
    GreetingTooLarge(Refusal),
    /// A monitor greeted where a guest agent was expected.
    Monitor,
    /// The guest agent answered the sync without the command's id.
    NoIds,
    /// A command was partly sent when its call gave up.
    Torn,
    NoMemory,
    /// A VM that came back refused to negotiate.
    Refused(String),
    /// A VM that came back did not answer within this time.
    Silent(Duration),
}

/// As much of the VM's own words stands in a message; the whole is in the error beside it.
const SHOWN: usize = 1024;

impl End {
    /// At most this many bytes of a stranger's are shown.
    const EXCERPT: usize = 64;

    pub fn garbage(bytes: &[u8]) -> End {
        if bytes.is_empty() {
            End::Endless
        } else {
            End::Garbage(Self::excerpt(bytes))
        }
    }

    pub fn not_qmp(bytes: &[u8]) -> End {
        let shown = Self::excerpt(bytes);
        End::NotQmp(match name_of_stranger(bytes) {
            Some(name) => format!("it is {name}: it sent {shown}"),
            None => format!("it sent {shown}"),
        })
    }

    pub fn no_message(what: &str) -> End {
        End::NotQmp(format!("it sent {what}"))
    }

    fn excerpt(bytes: &[u8]) -> String {
        let shown = &bytes[..bytes.len().min(Self::EXCERPT)];
        format!("\"{}\"", shown.escape_ascii())
    }

    /// The peer ended it by itself, so a command that asked for that has succeeded.
    pub fn is_the_peers(&self) -> bool {
        matches!(
            self,
            End::Eof { .. } | End::Failed(libc::ECONNRESET | libc::EPIPE)
        )
    }

    /// What calls that waited are told; later ones are told `Disconnected`.
    fn status(&self) -> Status {
        match self {
            End::Eof { .. } | End::Failed(_) | End::Torn | End::Silent(_) => Status::Disconnected,
            End::Garbage(_) | End::NotQmp(_) | End::Monitor | End::Refused(_) => Status::Protocol,
            End::NoIds => Status::Unsupported,
            End::Endless | End::GreetingTooLarge(_) => Status::TooLarge,
            End::NoMemory => Status::Resource,
        }
    }

    fn errno(&self) -> i32 {
        match self {
            End::Failed(errno) => *errno,
            End::NoMemory => libc::ENOMEM,
            _ => 0,
        }
    }

    pub(super) fn words(&self) -> String {
        match self {
            End::Eof { mid_message: false } => "the VM ended the connection".to_owned(),
            End::Eof { mid_message: true } => {
                "the connection ended in the middle of a message".to_owned()
            }
            End::Failed(errno) => {
                format!(
                    "the connection broke: {}",
                    io::Error::from_raw_os_error(*errno)
                )
            }
            End::Garbage(shown) => format!("the peer sent {shown}, which is no JSON"),
            End::Endless => "the peer sent a message without an end".to_owned(),
            End::NotQmp(shown) => format!("the peer does not speak QMP, {shown}"),
            End::GreetingTooLarge(refusal) => format!("the greeting is {}", over(*refusal)),
            End::Monitor => {
                "this is a QMP monitor, not a guest agent: use QMP's dialect".to_owned()
            }
            End::NoIds => {
                "the guest agent does not give ids back, as old ones do not: update it".to_owned()
            }
            End::Torn => {
                "the connection was closed because a command had been sent in part when its call \
                 gave up, and the next would have been read as its rest"
                    .to_owned()
            }
            End::NoMemory => "no memory for what the peer sent".to_owned(),
            End::Refused(why) => why.clone(),
            End::Silent(limit) => format!(
                "connected, but no answer within {} ms: another client may hold the monitor",
                limit.as_millis()
            ),
        }
    }
}

/// Why a command has no result.
#[derive(Debug)]
pub enum Failure {
    Answer(ErrorBody),
    Broken(Fault),
    /// Both or neither of `return` and `error`.
    Contradictory,
    Ended(Fate),
    Closed(Fate),
    NoMemory,
}

pub(super) fn over(refusal: Refusal) -> String {
    match refusal {
        Refusal::Bytes { limit } => format!("larger than the limit of {limit} bytes"),
        Refusal::Depth { limit } => format!("nested deeper than {limit} levels"),
    }
}

impl Connection {
    /// What `command` failed with.
    pub(super) fn failed(&self, command: &str, failure: Failure, end: Option<&End>) -> Error {
        let at = format!("{command} on {}", self.address);
        let unseen = matches!(
            failure,
            Failure::Broken(_) | Failure::Contradictory | Failure::NoMemory
        );
        let error = match failure {
            Failure::Answer(body) => {
                let mut error = Error::new(
                    Status::Command,
                    format!(
                        "{at}: {} answered {}: {}",
                        self.options.dialect.peer,
                        cut(&body.class, SHOWN),
                        cut(&body.description, SHOWN)
                    ),
                );
                error.answer = Some(Box::new(Answer {
                    class: body.class,
                    description: body.description,
                }));
                error
            }
            Failure::Broken(Fault::Refused(refusal)) => Error::new(
                Status::TooLarge,
                format!(
                    "{at}: the reply is {}; it is skipped and the connection stays usable. Raise \
                     the limit, or ask for less",
                    over(refusal)
                ),
            ),
            Failure::Broken(Fault::NotJson) => {
                Error::new(Status::Protocol, format!("{at}: the reply is not JSON"))
            }
            Failure::Broken(Fault::NotUtf8) => {
                Error::new(Status::Protocol, format!("{at}: the reply is not UTF-8"))
            }
            Failure::Contradictory => Error::new(
                Status::Protocol,
                format!("{at}: the reply has both or neither of \"return\" and \"error\""),
            ),
            Failure::Ended(fate) => {
                let (status, errno, words) = match end {
                    Some(end) => (end.status(), end.errno(), end.words()),
                    None => (Status::Disconnected, 0, "the connection ended".to_owned()),
                };
                let unknown = fate != Fate::NeverSent;
                let then = self.what_became(command, unknown);
                Error::new(status, format!("{at}: {words}; {then}"))
                    .with_errno(errno)
                    .with_outcome_unknown(unknown)
            }
            Failure::Closed(fate) => {
                let unknown = fate != Fate::NeverSent;
                let then = self.what_became(command, unknown);
                Error::new(
                    Status::Closed,
                    format!("{at}: the connection was closed here; {then}"),
                )
                .with_outcome_unknown(unknown)
            }
            Failure::NoMemory => Error::new(
                Status::Resource,
                format!("{at}: no memory for the reply; the connection stays usable"),
            )
            .with_errno(libc::ENOMEM),
        };
        // A reply came, but whether it told of success or failure was not seen.
        let unknown = unseen || error.outcome_unknown;
        error.with_command(command).with_outcome_unknown(unknown)
    }

    fn what_became(&self, command: &str, sent: bool) -> &'static str {
        if sent {
            self.options.dialect.unanswered(command)
        } else {
            "it was not sent"
        }
    }

    /// `command` ended early: `abandoned` tells how far it had come, None that it was not begun.
    pub(super) fn stopped(
        &self,
        command: &str,
        stop: Stop,
        abandoned: Option<Abandoned>,
        wait: &Wait<'_>,
    ) -> Error {
        // What was sent in part was never executed: QEMU acts at the closing brace.
        let unknown = abandoned == Some(Abandoned::Unknown);
        let then = match abandoned {
            Some(Abandoned::Unknown) => self.options.dialect.unanswered(command),
            Some(Abandoned::Torn) => {
                "it was sent in part and not executed, and the connection had to be closed: connect \
                 again"
            }
            _ => "it was not sent",
        };
        self.early(&format!("{command} on {}", self.address), stop, wait, then)
            .with_command(command)
            .with_outcome_unknown(unknown)
    }

    /// A wait that is no command's ended early.
    pub(super) fn early(&self, what: &str, stop: Stop, wait: &Wait<'_>, then: &str) -> Error {
        match stop {
            Stop::Timeout => Error::new(
                Status::Timeout,
                format!("{what}: nothing within {}; {then}", wait.deadline.words()),
            ),
            Stop::Cancelled => Error::new(Status::Cancelled, format!("{what}: cancelled; {then}")),
            Stop::Closed => self.closed(what),
            Stop::Failed(errno) => {
                let cause = io::Error::from_raw_os_error(errno);
                let mut error = Error::os("wait for the VM", &cause);
                error.message = format!("{what}: {}; {then}", error.message);
                error
            }
        }
    }

    pub(super) fn closed(&self, what: &str) -> Error {
        Error::new(
            Status::Closed,
            format!("{what}: the connection to {} was closed here", self.address),
        )
    }

    /// For calls that found the connection at its end.
    pub(super) fn ended(&self, what: &str, end: &End) -> Error {
        Error::new(
            Status::Disconnected,
            format!("{what}: no connection to {}: {}", self.address, end.words()),
        )
        .with_errno(end.errno())
    }

    /// For calls that found no session on a connection that comes back.
    pub(super) fn not_back(&self, what: &str, why: &str) -> Error {
        let address = &self.address;
        Error::new(
            Status::Disconnected,
            format!(
                "{what}: no connection to {address}, which is to come back: {why}; nothing was sent"
            ),
        )
    }

    /// For the handshake, where the end says what the peer is.
    pub(super) fn ended_before_handshake(&self, end: &End) -> Error {
        Error::new(
            end.status(),
            format!(
                "connect to {}: {} before the handshake was done",
                self.address,
                end.words()
            ),
        )
        .with_errno(end.errno())
    }
}
