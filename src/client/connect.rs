// SPDX-License-Identifier: MIT OR Apache-2.0
//! Connecting: one deadline over the socket, the greeting and the negotiation.

use std::collections::hash_map::RandomState;
use std::fs;
use std::hash::BuildHasher;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::connection::{Connection, EVENTS, State, mark_of};
use super::execute::{Call, check};
use super::log::Level;
use super::options::Options;
use super::reconnect::Way;
use super::record::Recorder;
use super::resolve::{self, Unresolved};
use super::wait::{Stop, Wait};
use crate::error::{Error, Result, Status};
use crate::session::dialect::Opening;
use crate::session::handshake::{Greeting, handshake_id};
use crate::sys::fork::Before;
use crate::sys::poll::Direction;
use crate::transport::{self, Address, Attempt, Socket, Target};

/// Pauses between attempts grow from the first to the second.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// How long a greeted client waits for the negotiation's reply before it kicks.
const BEFORE_KICK: Duration = Duration::from_secs(1);

pub fn connect(address: &[u8], options: &Arc<Options>, wait: &Wait<'_>) -> Result<Arc<Connection>> {
    let address = Address::parse(address)?;
    wait.prepare()
        .map_err(|e| Error::os(&format!("connect to {address}"), &e))?;
    if options.own_loop && matches!(address, Address::Named { .. }) {
        return Err(Error::new(
            Status::Unsupported,
            format!(
                "connect to {address}: looking a name up needs a thread, and the options want none"
            ),
        ));
    }
    let before = Before::now();
    if options.reconnect.is_some() && matches!(address, Address::Resolved(Target::Descriptor(_))) {
        return Err(Error::invalid(format!(
            "connect to {address}: a descriptor that was given leads to one VM once; the options want to reconnect"
        )));
    }
    let (socket, target) = open(&address, options, wait)?;
    let connection = shake_hands(
        socket,
        Some(&target),
        before,
        address.to_string(),
        options,
        wait,
    )?;
    if let Some(backoff) = options.reconnect {
        connection.come_back(Way::Dial(target), backoff, options);
    }
    Ok(connection)
}

/// From a connected socket to a VM that answers. `target`: None if it was the VM that connected.
pub(super) fn shake_hands(
    socket: Socket,
    target: Option<&Target>,
    before: Before,
    address: String,
    options: &Arc<Options>,
    wait: &Wait<'_>,
) -> Result<Arc<Connection>> {
    // Others may have copies of the socket.
    let given = matches!(target, Some(Target::Descriptor(_)));
    let recorder = Recorder::begin(options)?;
    let connection = Connection::new(socket, given, before, address, options, recorder);
    let link = connection.state.lock().link.clone();
    connection.check_peer(&*link)?;
    match options.dialect.opening {
        Opening::Greeting { negotiation } => {
            connection.greet(wait)?;
            connection.negotiate(negotiation, target, wait)?;
        }
        Opening::Sync { command } => connection.sync(command, wait)?,
    }
    connection.register()?;
    if connection.log.takes(Level::Info) {
        let line = format!(
            "connected: {}{}",
            connection.version(),
            connection.peer_in_words()
        );
        connection.log.write(Level::Info, &line);
    }
    Ok(connection)
}

/// The connected socket, trying again for as long as that makes sense.
fn open(address: &Address, options: &Arc<Options>, wait: &Wait<'_>) -> Result<(Socket, Target)> {
    let mut pause = FIRST_PAUSE;
    loop {
        let error = match attempt(address, wait) {
            Ok(opened) => return Ok(opened),
            Err(Unresolved::Stopped(stop)) => return Err(stopped(address, stop, wait, None)),
            Err(Unresolved::NoThread(error)) => {
                let attempted = format!("start a thread to look up {address}");
                return Err(Error::os(&attempted, &error));
            }
            Err(Unresolved::Failed(error)) => error,
        };
        if !worth_another_try(&error, address, options) {
            return Err(refused(address, &error));
        }
        wait.sleep(pause);
        if let Some(stop) = wait.stop() {
            return Err(stopped(address, stop, wait, Some(&error)));
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// One attempt at each of the addresses that the name stands for.
fn attempt(
    address: &Address,
    wait: &Wait<'_>,
) -> std::result::Result<(Socket, Target), Unresolved> {
    let targets = match address {
        Address::Resolved(target) => vec![target.clone()],
        Address::Named { host, port } => resolve::resolve(host, *port, wait)?
            .into_iter()
            .map(Target::Tcp)
            .collect(),
    };
    let mut last = io::Error::from_raw_os_error(libc::ENOENT);
    for (done, target) in targets.iter().enumerate() {
        // Each address gets its share of the time: the first may lead nowhere.
        let share = match wait.deadline.remaining() {
            Some(left) => wait.at_most(left / (targets.len() - done) as u32),
            None => *wait,
        };
        match attempt_one(target, &share) {
            Ok(socket) => return Ok((socket, target.clone())),
            Err(Unresolved::Failed(error)) => last = error,
            Err(Unresolved::Stopped(Stop::Timeout)) if wait.stop().is_none() => {
                last = io::Error::from_raw_os_error(libc::ETIMEDOUT);
            }
            Err(stopped) => return Err(stopped),
        }
    }
    Err(Unresolved::Failed(last))
}

fn attempt_one(target: &Target, wait: &Wait<'_>) -> std::result::Result<Socket, Unresolved> {
    let pending = match transport::attempt(target).map_err(Unresolved::Failed)? {
        Attempt::Connected(socket) => return Ok(socket),
        Attempt::InProgress(pending) => pending,
    };
    loop {
        let ready = wait
            .ready(pending.as_fd(), Direction::Write)
            .map_err(Unresolved::Failed)?;
        if ready {
            return pending.finish().map_err(Unresolved::Failed);
        }
        if let Some(stop) = wait.stop() {
            return Err(Unresolved::Stopped(stop));
        }
    }
}

fn worth_another_try(error: &io::Error, address: &Address, options: &Arc<Options>) -> bool {
    match error.raw_os_error() {
        // A unix socket's backlog is full: other clients wait in line.
        Some(libc::EAGAIN) => matches!(
            address,
            Address::Resolved(Target::Path(_) | Target::Abstract(_))
        ),
        Some(libc::ENOENT) => options.wait_for_socket && !matches!(address, Address::Named { .. }),
        Some(libc::ECONNREFUSED) => options.wait_for_socket && kind_of_file(address).is_none(),
        _ => false,
    }
}

fn refused(address: &Address, error: &io::Error) -> Error {
    let attempted = format!("connect to {address}");
    if matches!(address, Address::Named { .. }) && error.raw_os_error().is_none() {
        // The resolver's own kind of error.
        return Error::new(Status::NotFound, format!("cannot {attempted}: {error}"));
    }
    let mut failed = Error::os(&attempted, error);
    let hint = match (error.raw_os_error(), address) {
        (Some(libc::ENOENT), Address::Resolved(_)) => {
            "is the VM started, and its socket at this path? To wait for it set wait_for_socket"
        }
        (Some(libc::ECONNREFUSED), _) => kind_of_file(address)
            .unwrap_or("nobody listens there: a VM that was killed leaves its socket file behind"),
        (Some(libc::EACCES), _) => "run as a user who may write to the socket",
        (Some(libc::EPROTOTYPE), Address::Resolved(Target::Descriptor(_))) => {
            failed.status = Status::InvalidArgument;
            "want a connected stream socket; the descriptor is still yours"
        }
        (Some(libc::EPROTOTYPE), _) => "it is a socket, but no stream socket",
        (Some(libc::EBADF | libc::ENOTSOCK), Address::Resolved(Target::Descriptor(_))) => {
            failed.status = Status::InvalidArgument;
            "want the number of an open, connected stream socket; nothing was taken over"
        }
        (Some(libc::EMFILE | libc::ENFILE), _) => "close descriptors or raise RLIMIT_NOFILE",
        _ => return failed,
    };
    failed.message = format!("{}; {hint}", failed.message);
    failed
}

/// What a path is that is no socket.
fn kind_of_file(address: &Address) -> Option<&'static str> {
    let Address::Resolved(Target::Path(path)) = address else {
        return None;
    };
    let path = Path::new(std::ffi::OsStr::from_bytes(path));
    let kind = fs::metadata(path).ok()?.file_type();
    if kind.is_socket() {
        None
    } else if kind.is_dir() {
        Some("the path is a directory, not a socket")
    } else if kind.is_fifo() {
        Some("the path is a fifo, not a socket")
    } else if kind.is_file() {
        Some("the path is a regular file, not a socket")
    } else {
        Some("the path is a device, not a socket")
    }
}

fn stopped(address: &Address, stop: Stop, wait: &Wait<'_>, last: Option<&io::Error>) -> Error {
    let limit = wait.deadline.words();
    match (stop, last) {
        (Stop::Cancelled, _) => Error::new(
            Status::Cancelled,
            format!("connect to {address}: cancelled"),
        ),
        (_, Some(last)) if last.raw_os_error() == Some(libc::EAGAIN) => Error::new(
            Status::Busy,
            format!(
                "connect to {address}: its queue of clients was full for {limit}: a monitor \
                 serves one client at a time"
            ),
        )
        .with_errno(libc::EAGAIN),
        (_, Some(last)) => {
            let mut error = refused(address, last);
            error.message = format!("{} (tried for {limit})", error.message);
            error
        }
        (_, None) => Error::new(
            Status::Timeout,
            format!("connect to {address}: no connection within {limit}"),
        ),
    }
}

pub(super) fn fresh_handshake_id() -> u64 {
    handshake_id(random())
}

/// The process belongs to it: a forked child goes on with its parent's random numbers.
pub(super) fn random() -> u64 {
    RandomState::new().hash_one(std::process::id())
}

impl Connection {
    pub(super) fn greet(&self, wait: &Wait<'_>) -> Result<()> {
        let greeted = self.wait(wait, EVENTS, |state| {
            // The end first: what came before it was no greeting.
            if let Some(end) = &state.end {
                return Some(Err(end.clone()));
            }
            state.session.greeting.is_some().then_some(Ok(()))
        });
        match greeted {
            Ok(Ok(())) => Ok(()),
            Ok(Err(end)) => Err(self.ended_before_handshake(&end)),
            Err(Stop::Timeout) => Err(self.silent(wait)),
            Err(stop) => Err(self.early(
                &format!("connect to {}", self.address),
                stop,
                wait,
                "there was no greeting yet",
            )),
        }
    }

    fn negotiate(&self, name: &str, target: Option<&Target>, wait: &Wait<'_>) -> Result<()> {
        let id = fresh_handshake_id();
        let patience = match wait.deadline.remaining() {
            Some(left) => BEFORE_KICK.min(left / 2),
            None => BEFORE_KICK,
        };
        let answered = |state: &mut State| state.has_outcome(id).then_some(());
        let mut kicked = false;
        let mut call = Call::new(name, None);
        call.id = Some(id);
        let oob = self.options.out_of_band && self.offers("oob");
        if oob {
            call.arguments = check(name, Some("{\"enable\": [\"oob\"]}"))?;
        }
        let negotiated = self.submit(&mut call, wait).and_then(|id| {
            if self.wait(&wait.at_most(patience), mark_of(id), answered) == Err(Stop::Timeout) {
                kicked = true;
                if let Some(target) = target {
                    transport::kick(target);
                }
            }
            self.reply(name, id, wait)
        });
        let Err(error) = negotiated else {
            if oob {
                let mut state = self.state.lock();
                state.session.pending.allow_out_of_band();
            }
            return Ok(());
        };
        let end = self.state.lock().end.clone();
        let at = format!("connect to {}", self.address);
        Err(match (error.status, end) {
            (Status::Command, _) => error,
            (_, Some(end)) => self.ended_before_handshake(&end),
            (Status::Timeout, None) => Error::new(
                Status::Timeout,
                format!(
                    "{at}: it greeted, but did not answer {name} within {}{}: QEMU is stopped, or \
                     busy with something long",
                    wait.deadline.words(),
                    if kicked { ", though woken" } else { "" }
                ),
            ),
            (Status::Cancelled, None) => Error::new(
                Status::Cancelled,
                format!("{at}: cancelled during the negotiation"),
            ),
            // No command of the caller's is concerned.
            (_, None) => Error {
                command: None,
                outcome_unknown: false,
                ..error
            },
        })
    }

    /// Nothing that is a greeting came. Without a single byte the monitor has not taken us as its
    /// client.
    fn silent(&self, wait: &Wait<'_>) -> Error {
        let limit = wait.deadline.words();
        let at = format!("connect to {}", self.address);
        if self.heard.load(Ordering::Relaxed) {
            return Error::new(
                Status::Timeout,
                format!("{at}: a greeting began, but did not end within {limit}"),
            );
        }
        match self.owner() {
            Some((owner, true)) => Error::new(
                Status::Timeout,
                format!("{at}: no greeting within {limit}: {owner} is stopped; send it SIGCONT"),
            ),
            owner => {
                let who = owner.map(|(owner, _)| format!(" The socket belongs to {owner}."));
                Error::new(
                    Status::Busy,
                    format!(
                        "{at}: connected, but not one byte came within {limit}: another client \
                         holds the monitor, which serves one at a time, or QEMU is stopped, or \
                         this is a guest agent's socket, which needs its own dialect.{}",
                        who.unwrap_or_default()
                    ),
                )
            }
        }
    }

    fn offers(&self, capability: &str) -> bool {
        let state = self.state.lock();
        let greeting = state.session.greeting.as_ref();
        greeting.is_some_and(|greeting| greeting.offers(capability))
    }

    fn version(&self) -> String {
        if !self.options.dialect.is_monitor() {
            return self.options.dialect.peer.to_owned();
        }
        let state = self.state.lock();
        match state.session.greeting.as_ref().and_then(Greeting::version) {
            Some(version) => format!(
                "QEMU {}.{}.{} {}",
                version.major, version.minor, version.micro, version.package
            ),
            None => "QEMU of unknown version".to_owned(),
        }
    }
}
