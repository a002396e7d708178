// SPDX-License-Identifier: MIT OR Apache-2.0
//! The other end of an address: where clients are accepted.

use std::ffi::OsStr;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{SocketAddr as UnixAddr, UnixListener};
use std::path::{Path, PathBuf};

use super::Target;
use crate::sys::socket;

/// Never waits. Dropping it removes the file of its socket.
pub enum Listener {
    Unix(UnixListener, Option<PathBuf>),
    Tcp(TcpListener),
}

impl Listener {
    /// Where a VM is to connect to. The file of a socket on which nobody listens any more is replaced.
    pub fn at(target: &Target) -> io::Result<Listener> {
        let no_address = || io::Error::from_raw_os_error(libc::EOPNOTSUPP);
        match target {
            Target::Path(path) => {
                let path = Path::new(OsStr::from_bytes(path));
                match Listener::at_path(path) {
                    Err(e) if is_left_behind(&e, target) => {
                        std::fs::remove_file(path)?;
                        Listener::at_path(path)
                    }
                    other => other,
                }
            }
            Target::Abstract(name) => Listener::at_abstract(name),
            Target::Tcp(to) => Listener::at_tcp(*to),
            Target::Descriptor(_) => Err(no_address()),
        }
    }

    /// The path must not exist yet.
    pub fn at_path(path: &Path) -> io::Result<Listener> {
        let listener = UnixListener::bind(path)?;
        listener.set_nonblocking(true)?;
        // The working directory may change.
        let path = std::path::absolute(path)?;
        Ok(Listener::Unix(listener, Some(path)))
    }

    pub fn at_abstract(name: &[u8]) -> io::Result<Listener> {
        let listener = UnixListener::bind_addr(&UnixAddr::from_abstract_name(name)?)?;
        listener.set_nonblocking(true)?;
        Ok(Listener::Unix(listener, None))
    }

    /// Port 0 is any free one.
    pub fn at_tcp(to: SocketAddr) -> io::Result<Listener> {
        let listener = TcpListener::bind(to)?;
        listener.set_nonblocking(true)?;
        Ok(Listener::Tcp(listener))
    }

    /// The address that a client connects to.
    pub fn address(&self) -> io::Result<Vec<u8>> {
        match self {
            Listener::Unix(_, Some(path)) => Ok(path.as_os_str().as_bytes().to_vec()),
            Listener::Unix(listener, None) => {
                let address = listener.local_addr()?;
                let name = address.as_abstract_name().unwrap_or_default();
                Ok([b"abstract:", name].concat())
            }
            Listener::Tcp(listener) => Ok(format!("tcp:{}", listener.local_addr()?).into_bytes()),
        }
    }

    /// `WouldBlock` when nobody wants in.
    pub fn accept(&self) -> io::Result<OwnedFd> {
        match self {
            Listener::Unix(listener, _) => listener.accept().map(|(client, _)| client.into()),
            Listener::Tcp(listener) => {
                let client: OwnedFd = listener.accept()?.0.into();
                let _ = socket::set_no_delay(client.as_fd()); // it only makes haste
                Ok(client)
            }
        }
    }
}

/// Only a socket refuses; what is no socket stays.
fn is_left_behind(error: &io::Error, target: &Target) -> bool {
    let Target::Path(path) = target else {
        return false;
    };
    let path = Path::new(OsStr::from_bytes(path));
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|it| it.file_type().is_socket());
    let refused = |e: io::Error| e.raw_os_error() == Some(libc::ECONNREFUSED);
    error.raw_os_error() == Some(libc::EADDRINUSE)
        && is_socket
        && super::attempt(target).is_err_and(refused)
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Listener::Unix(listener, _) => listener.as_fd(),
            Listener::Tcp(listener) => listener.as_fd(),
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // A forked child may have a copy, where nobody would ever be accepted.
        socket::shutdown(self.as_fd());
        if let Listener::Unix(_, Some(path)) = self {
            let _ = std::fs::remove_file(path); // someone may have tidied up before
        }
    }
}
