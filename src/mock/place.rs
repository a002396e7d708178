// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where a mock listens.

use std::io;
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::{Error, Result, Status};
use crate::sys::environment;
use crate::sys::socket::MAX_UNIX_PATH;
use crate::transport::{Address, Listener, Target};

pub(super) fn listen_temporary() -> Result<Listener> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    loop {
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("libqmp-mock-{}-{count}", std::process::id());
        match Listener::at_path(&temporary(&name)) {
            // Left by a process of the same number.
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
            listener => return listener.map_err(|error| cannot_listen(&error)),
        }
    }
}

pub(super) fn listen(address: &[u8]) -> Result<Listener> {
    let tcp = address.strip_prefix(b"tcp:").map(|rest| {
        let at = std::str::from_utf8(rest).ok()?.parse::<SocketAddr>().ok()?;
        at.ip().is_loopback().then_some(at)
    });
    let listener = match tcp {
        Some(Some(at)) => Listener::at_tcp(at),
        Some(None) => {
            return Err(Error::invalid(
                "a mock listens on loopback only: want tcp:127.0.0.1:PORT or tcp:[::1]:PORT",
            ));
        }
        None => match Address::parse(address)? {
            Address::Resolved(Target::Path(path)) => {
                Listener::at_path(Path::new(std::ffi::OsStr::from_bytes(&path)))
            }
            Address::Resolved(Target::Abstract(name)) => Listener::at_abstract(&name),
            _ => return Err(Error::invalid("a mock cannot listen on a descriptor")),
        },
    };
    listener.map_err(|error| cannot_listen(&error))
}

pub(super) fn cannot_listen(error: &io::Error) -> Error {
    let mut failure = Error::os("listen for a mock's clients", error);
    if error.kind() == io::ErrorKind::AddrInUse {
        failure.status = Status::Busy;
    }
    failure
}

/// A path in TMPDIR, where that is of use for sockets.
fn temporary(name: &str) -> PathBuf {
    let chosen = environment::variable(c"TMPDIR").map(|directory| Path::new(&directory).join(name));
    let is_fit = |path: &PathBuf| {
        let fits = path
            .to_str()
            .is_some_and(|text| text.len() <= MAX_UNIX_PATH);
        path.is_absolute() && fits
    };
    chosen
        .filter(is_fit)
        .unwrap_or_else(|| Path::new("/tmp").join(name))
}
