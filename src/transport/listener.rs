// SPDX-License-Identifier: MIT OR Apache-2.0
//! The other end of an address: where clients are accepted.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::{SocketAddr as UnixAddr, UnixDatagram, UnixListener};
use std::path::{Path, PathBuf};

use super::Target;
use crate::sys::socket;

/// Never waits. Dropping it removes the file of its socket.
pub enum Listener {
    Unix(UnixListener, Option<SocketFile>),
    Tcp(TcpListener),
}

pub struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

impl SocketFile {
    fn identity(path: &Path) -> io::Result<(u64, u64)> {
        let file = fs::symlink_metadata(path)?;
        Ok((file.dev(), file.ino()))
    }

    /// Another may have taken its place: QEMU does not ask.
    fn remove(&self) {
        if SocketFile::identity(&self.path).is_ok_and(|found| found == self.identity) {
            let _ = fs::remove_file(&self.path); // someone may have tidied up before
        }
    }
}

impl Listener {
    /// Where a VM is to connect to. The file of a socket on which nobody listens any more is replaced.
    pub fn at(target: &Target) -> io::Result<Listener> {
        let no_address = || io::Error::from_raw_os_error(libc::EOPNOTSUPP);
        match target {
            Target::Path(path) => {
                let path = Path::new(OsStr::from_bytes(path));
                match Listener::at_path(path) {
                    Err(e)
                        if e.raw_os_error() == Some(libc::EADDRINUSE) && is_left_behind(path) =>
                    {
                        fs::remove_file(path)?;
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
        let identity = SocketFile::identity(&path)?;
        Ok(Listener::Unix(
            listener,
            Some(SocketFile { path, identity }),
        ))
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
            Listener::Unix(_, Some(file)) => Ok(file.path.as_os_str().as_bytes().to_vec()),
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

/// Whoever listens there does not notice that a datagram was to be sent to a stream socket.
fn is_left_behind(path: &Path) -> bool {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|it| it.file_type().is_socket());
    let asked = UnixDatagram::unbound().and_then(|probe| probe.connect(path));
    is_socket && asked.is_err_and(|e| e.raw_os_error() == Some(libc::ECONNREFUSED))
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
        if let Listener::Unix(_, Some(file)) = self {
            file.remove();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("qmp-{name}-{}", std::process::id()));
        let _ = fs::remove_file(&path);
        path
    }

    fn at(path: &Path) -> io::Result<Listener> {
        Listener::at(&Target::Path(path.as_os_str().as_bytes().to_vec()))
    }

    #[test]
    fn what_is_left_behind_is_replaced_and_whoever_listens_is_not_disturbed() {
        let path = path("listener");
        drop(UnixListener::bind(&path).unwrap());
        let listener = at(&path).unwrap();
        let taken = at(&path).err().and_then(|e| e.raw_os_error());
        assert_eq!(taken, Some(libc::EADDRINUSE));
        let nobody = listener.accept().unwrap_err();
        assert_eq!(nobody.kind(), io::ErrorKind::WouldBlock);
        drop(listener);
        assert!(!path.exists());
        fs::write(&path, "a file").unwrap();
        assert!(at(&path).is_err());
        fs::remove_file(&path).unwrap();
    }

    #[test]
    fn anothers_socket_file_stays() {
        let path = path("stolen");
        let listener = at(&path).unwrap();
        fs::remove_file(&path).unwrap();
        let other = UnixListener::bind(&path).unwrap();
        drop(listener);
        assert!(path.exists());
        drop(other);
        fs::remove_file(&path).unwrap();
    }
}
