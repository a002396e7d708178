// SPDX-License-Identifier: MIT OR Apache-2.0
//! Waiting for a VM that connects to us.

use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;

use super::connect::shake_hands;
use super::connection::Connection;
use super::options::Options;
use super::reconnect::Way;
use super::resolve::{self, Unresolved};
use super::wait::{Stop, Wait};
use crate::error::{Error, Result, Status};
use crate::sys::fork::Before;
use crate::sys::poll::Direction;
use crate::transport::{Address, Listener, Socket, Target};

/// The first VM that comes. With `options.reconnect` it may come again.
pub fn listen(address: &[u8], options: &Arc<Options>, wait: &Wait<'_>) -> Result<Arc<Connection>> {
    let address = Address::parse(address)?;
    let attempted = format!("listen on {address}");
    wait.prepare().map_err(|e| Error::os(&attempted, &e))?;
    let before = Before::now();
    let listener = open(&address, options, wait)?;
    let socket = accept(&listener, &attempted, wait)?;
    let connection = shake_hands(socket, None, before, address.to_string(), options, wait)?;
    if let Some(backoff) = options.reconnect {
        connection.come_back(Way::Accept(listener), backoff, options);
    }
    Ok(connection)
}

fn open(address: &Address, options: &Arc<Options>, wait: &Wait<'_>) -> Result<Listener> {
    let attempted = format!("listen on {address}");
    let target = match address {
        Address::Resolved(Target::Descriptor(_)) => {
            return Err(Error::invalid(format!(
                "{attempted}: want a path, abstract:NAME or tcp:HOST:PORT"
            )));
        }
        Address::Resolved(target) => target.clone(),
        Address::Named { .. } if options.own_loop => {
            return Err(Error::new(
                Status::Unsupported,
                format!("{attempted}: looking a name up needs a thread, and the options want none"),
            ));
        }
        Address::Named { host, port } => match resolve::resolve(host, *port, wait) {
            Ok(found) => found.first().map(|to| Target::Tcp(*to)).ok_or_else(|| {
                Error::new(
                    Status::NotFound,
                    format!("{attempted}: the name has no address"),
                )
            })?,
            Err(Unresolved::Stopped(stop)) => return Err(stopped(&attempted, stop, wait)),
            Err(Unresolved::NoThread(e) | Unresolved::Failed(e)) => {
                return Err(Error::os(&attempted, &e));
            }
        },
    };
    Listener::at(&target).map_err(|e| {
        let mut error = Error::os(&attempted, &e);
        if e.raw_os_error() == Some(libc::EADDRINUSE) {
            error.status = Status::Busy;
            error.message += "; somebody listens there, or it is no socket";
        }
        error
    })
}

fn accept(listener: &Listener, attempted: &str, wait: &Wait<'_>) -> Result<Socket> {
    loop {
        match listener.accept().and_then(Socket::accepted) {
            Ok(socket) => return Ok(socket),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
            // It came and went.
            Err(e) if e.raw_os_error() == Some(libc::ECONNABORTED) => {}
            Err(e) => return Err(Error::os(attempted, &e)),
        }
        if let Some(stop) = wait.stop() {
            return Err(stopped(attempted, stop, wait));
        }
        wait.ready(listener.as_fd(), Direction::Read)
            .map_err(|e| Error::os(attempted, &e))?;
    }
}

fn stopped(attempted: &str, stop: Stop, wait: &Wait<'_>) -> Error {
    match stop {
        Stop::Cancelled => Error::new(Status::Cancelled, format!("{attempted}: cancelled")),
        _ => Error::new(
            Status::Timeout,
            format!(
                "{attempted}: no VM connected within {}",
                wait.deadline.words()
            ),
        ),
    }
}
