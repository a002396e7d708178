// SPDX-License-Identifier: MIT OR Apache-2.0
//! Stream sockets. Nothing here blocks unasked, raises SIGPIPE, or leaves a descriptor open across exec.

use std::ffi::c_int;
use std::io;
use std::mem;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

use super::check;

/// Longest path of a unix socket, without its terminating NUL.
pub const MAX_UNIX_PATH: usize = 107;

/// A unix address: a path in the file system or a name in the abstract namespace.
#[derive(Clone, Copy, Debug)]
pub enum UnixName<'a> {
    Path(&'a [u8]),
    Abstract(&'a [u8]),
}

pub fn open(family: c_int) -> io::Result<OwnedFd> {
    let kind = libc::SOCK_STREAM | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: no pointers; the result is checked.
    let fd = check(unsafe { libc::socket(family, kind, 0) })?;
    // SAFETY: a fresh descriptor that only this value owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// `EAGAIN`: the listener's backlog is full.
pub fn connect_unix(fd: BorrowedFd<'_>, name: UnixName<'_>) -> io::Result<()> {
    // SAFETY: all zeroes is a valid sockaddr_un.
    let mut address: libc::sockaddr_un = unsafe { mem::zeroed() };
    address.sun_family = libc::AF_UNIX as libc::sa_family_t;
    let (bytes, start) = match name {
        UnixName::Path(path) => (path, 0),
        UnixName::Abstract(name) => (name, 1),
    };
    if bytes.is_empty() || bytes.len() > MAX_UNIX_PATH - start {
        return Err(io::Error::from_raw_os_error(libc::ENAMETOOLONG));
    }
    for (to, from) in address.sun_path[start..].iter_mut().zip(bytes) {
        *to = *from as libc::c_char;
    }
    let header = mem::offset_of!(libc::sockaddr_un, sun_path);
    let size = match name {
        UnixName::Path(_) => header + bytes.len() + 1,
        UnixName::Abstract(_) => header + 1 + bytes.len(),
    };
    // SAFETY: `address` is initialised for at least `size` bytes.
    unsafe { connect(fd, (&raw const address).cast(), size) }
}

/// `EINPROGRESS`: wait until it is writable, then ask [`pending_error`].
pub fn connect_tcp(fd: BorrowedFd<'_>, to: &SocketAddr) -> io::Result<()> {
    match to {
        SocketAddr::V4(v4) => {
            let address = libc::sockaddr_in {
                sin_family: libc::AF_INET as libc::sa_family_t,
                sin_port: v4.port().to_be(),
                sin_addr: libc::in_addr {
                    s_addr: u32::from_ne_bytes(v4.ip().octets()),
                },
                sin_zero: [0; 8],
            };
            // SAFETY: a whole sockaddr_in.
            unsafe { connect(fd, (&raw const address).cast(), mem::size_of_val(&address)) }
        }
        SocketAddr::V6(v6) => {
            let address = libc::sockaddr_in6 {
                sin6_family: libc::AF_INET6 as libc::sa_family_t,
                sin6_port: v6.port().to_be(),
                sin6_flowinfo: v6.flowinfo(),
                sin6_addr: libc::in6_addr {
                    s6_addr: v6.ip().octets(),
                },
                sin6_scope_id: v6.scope_id(),
            };
            // SAFETY: a whole sockaddr_in6.
            unsafe { connect(fd, (&raw const address).cast(), mem::size_of_val(&address)) }
        }
    }
}

/// # Safety
/// `address` points to `size` initialised bytes.
unsafe fn connect(
    fd: BorrowedFd<'_>,
    address: *const libc::sockaddr,
    size: usize,
) -> io::Result<()> {
    loop {
        // SAFETY: the caller's promise.
        let result = unsafe { libc::connect(fd.as_raw_fd(), address, size as libc::socklen_t) };
        match check(result) {
            // Interrupted before it began (a non-blocking connect does not wait): again.
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            other => return other.map(drop),
        }
    }
}

/// SO_ERROR, which reading clears: how a connect that was in progress ended.
pub fn pending_error(fd: BorrowedFd<'_>) -> io::Result<()> {
    match option(fd, libc::SO_ERROR)? {
        0 => Ok(()),
        errno => Err(io::Error::from_raw_os_error(errno)),
    }
}

fn option(fd: BorrowedFd<'_>, name: c_int) -> io::Result<c_int> {
    let mut value: c_int = 0;
    let mut size = mem::size_of::<c_int>() as libc::socklen_t;
    // SAFETY: `value` is as large as `size` says, and both live through the call.
    check(unsafe {
        libc::getsockopt(
            fd.as_raw_fd(),
            libc::SOL_SOCKET,
            name,
            (&raw mut value).cast(),
            &raw mut size,
        )
    })?;
    Ok(value)
}

/// Small commands leave at once.
pub fn set_no_delay(fd: BorrowedFd<'_>) -> io::Result<()> {
    let on: c_int = 1;
    // SAFETY: `on` is an int, as the option wants.
    check(unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_NODELAY,
            (&raw const on).cast(),
            mem::size_of::<c_int>() as libc::socklen_t,
        )
    })
    .map(drop)
}

/// Takes over a descriptor of the caller's, if it is an open stream socket; else it stays the
/// caller's.
pub fn adopt(fd: RawFd) -> io::Result<OwnedFd> {
    if fd < 0 {
        return Err(io::Error::from_raw_os_error(libc::EBADF));
    }
    // SAFETY: only looks at the number; an unopened one is answered with EBADF.
    let flags = check(unsafe { libc::fcntl(fd, libc::F_GETFD) })?;
    // SAFETY: open, as the call above showed; borrowed only within this function.
    let borrowed = unsafe { BorrowedFd::borrow_raw(fd) };
    if option(borrowed, libc::SO_TYPE)? != libc::SOCK_STREAM
        || option(borrowed, libc::SO_ACCEPTCONN)? != 0
    {
        return Err(io::Error::from_raw_os_error(libc::EPROTOTYPE));
    }
    // SAFETY: sets a flag of an open descriptor.
    check(unsafe { libc::fcntl(fd, libc::F_SETFD, flags | libc::FD_CLOEXEC) })?;
    // SAFETY: open, and the caller gives it away.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Takes over any open descriptor of the caller's; else it stays the caller's.
pub fn take(fd: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: only looks at the number; an unopened one is answered with EBADF.
    check(unsafe { libc::fcntl(fd, libc::F_GETFD) })?;
    // SAFETY: open, and the caller gives it away.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Sends what the socket takes at once.
pub fn send(fd: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
    let flags = libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT;
    loop {
        // SAFETY: `bytes` is readable for its length.
        let sent = unsafe { libc::send(fd.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), flags) };
        if sent >= 0 {
            return Ok(sent as usize);
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

/// Sends what the socket takes at once, and with its first byte a descriptor; nothing of either when it takes nothing.
pub fn send_with(
    fd: BorrowedFd<'_>,
    bytes: &[u8],
    descriptor: BorrowedFd<'_>,
) -> io::Result<usize> {
    const SIZE: usize = mem::size_of::<c_int>();
    /// As aligned as the header in it.
    #[repr(C, align(8))]
    struct Control([u8; 64]);
    let mut control = Control([0; 64]);
    let mut part = libc::iovec {
        iov_base: bytes.as_ptr().cast_mut().cast(),
        iov_len: bytes.len(),
    };
    // SAFETY: all zeroes is a valid msghdr: no name, no parts, no control.
    let mut message: libc::msghdr = unsafe { mem::zeroed() };
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    message.msg_control = (&raw mut control).cast();
    // SAFETY: computes a size; one descriptor with its header needs far less than 64 bytes.
    message.msg_controllen = unsafe { libc::CMSG_SPACE(SIZE as u32) } as _;
    // SAFETY: the control buffer lives, is aligned, and has room for one header with one descriptor.
    unsafe {
        let header = libc::CMSG_FIRSTHDR(&raw const message);
        (*header).cmsg_level = libc::SOL_SOCKET;
        (*header).cmsg_type = libc::SCM_RIGHTS;
        (*header).cmsg_len = libc::CMSG_LEN(SIZE as u32) as _;
        let number: c_int = descriptor.as_raw_fd();
        libc::CMSG_DATA(header)
            .cast::<c_int>()
            .write_unaligned(number);
    }
    loop {
        let flags = libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT;
        // SAFETY: `message` and all that it points to live through the call, and are only read.
        let sent = unsafe { libc::sendmsg(fd.as_raw_fd(), &raw const message, flags) };
        if sent >= 0 {
            return Ok(sent as usize);
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

pub fn is_unix(fd: BorrowedFd<'_>) -> bool {
    option(fd, libc::SO_DOMAIN).is_ok_and(|domain| domain == libc::AF_UNIX)
}

/// The most that one receive takes. While it lasts the peer may send on: with room for more it
/// would fill all of that, and what has come would wait for the end.
pub const MOST_RECEIVED: usize = 256 << 10;

/// Appends what is there to the vector's spare room; 0 is the end of the stream. Descriptors that
/// the peer passes along are closed by the kernel, since no room for them is given.
///
/// `waits`: for the time that [`set_receive_wait`] set; a signal may end that early. With nothing
/// to be had the error is `WouldBlock`.
pub fn receive(fd: BorrowedFd<'_>, into: &mut Vec<u8>, waits: bool) -> io::Result<usize> {
    receive_with(fd, into, if waits { 0 } else { libc::MSG_DONTWAIT })
}

/// Like [`receive`], without waiting, but what is read stays there to be received.
pub fn peek(fd: BorrowedFd<'_>, into: &mut Vec<u8>) -> io::Result<usize> {
    receive_with(fd, into, libc::MSG_DONTWAIT | libc::MSG_PEEK)
}

fn receive_with(fd: BorrowedFd<'_>, into: &mut Vec<u8>, flags: c_int) -> io::Result<usize> {
    loop {
        let spare = into.spare_capacity_mut();
        let length = spare.len().min(MOST_RECEIVED);
        // SAFETY: `spare` is writable for its length.
        let got = unsafe { libc::recv(fd.as_raw_fd(), spare.as_mut_ptr().cast(), length, flags) };
        if got >= 0 {
            // SAFETY: the kernel initialised `got` bytes of the spare room.
            unsafe { into.set_len(into.len() + got as usize) };
            return Ok(got as usize);
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
        if flags & libc::MSG_DONTWAIT == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
    }
}

/// How long a receive that waits does so at most. Sends do not wait, by their flag.
pub fn set_receive_wait(fd: BorrowedFd<'_>, time: Duration) -> io::Result<()> {
    let off: c_int = 0;
    // SAFETY: `off` is an int, as the request wants: the descriptor blocks from now on.
    check(unsafe { libc::ioctl(fd.as_raw_fd(), libc::FIONBIO, &raw const off) })?;
    let limit = libc::timeval {
        tv_sec: time.as_secs() as libc::time_t,
        tv_usec: libc::suseconds_t::from(time.subsec_micros()),
    };
    // SAFETY: `limit` is a timeval, as the option wants.
    check(unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_RCVTIMEO,
            (&raw const limit).cast(),
            mem::size_of::<libc::timeval>() as libc::socklen_t,
        )
    })
    .map(drop)
}

/// Closing it will reset the connection, where it is one over TCP.
pub fn reset_when_closed(fd: BorrowedFd<'_>) -> io::Result<()> {
    let at_once = libc::linger {
        l_onoff: 1,
        l_linger: 0,
    };
    // SAFETY: `at_once` is a linger, as the option wants.
    check(unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_LINGER,
            (&raw const at_once).cast(),
            mem::size_of::<libc::linger>() as libc::socklen_t,
        )
    })
    .map(drop)
}

/// A TCP connect to a local port of the range for clients may meet itself when nobody listens.
pub fn is_connected_to_itself(fd: BorrowedFd<'_>) -> bool {
    let name =
        |get: unsafe extern "C" fn(c_int, *mut libc::sockaddr, *mut libc::socklen_t) -> c_int| {
            let mut bytes = [0u8; mem::size_of::<libc::sockaddr_in6>()];
            let mut size = bytes.len() as libc::socklen_t;
            // SAFETY: `bytes` is writable for `size`, and any bytes make an array of bytes.
            let result = unsafe { get(fd.as_raw_fd(), bytes.as_mut_ptr().cast(), &raw mut size) };
            (result == 0).then_some(bytes)
        };
    let ours = name(libc::getsockname);
    ours.is_some() && ours == name(libc::getpeername)
}

/// Ends one direction: for writing the peer reads the end, for reading it can send no more.
pub fn shutdown_half(fd: BorrowedFd<'_>, writing: bool) {
    let how = if writing {
        libc::SHUT_WR
    } else {
        libc::SHUT_RD
    };
    // SAFETY: no pointers. It fails only if the connection ended already.
    unsafe { libc::shutdown(fd.as_raw_fd(), how) };
}

/// Ends both directions, which wakes every thread that waits for the socket, here and at the peer.
pub fn shutdown(fd: BorrowedFd<'_>) {
    // SAFETY: no pointers. It fails only if the connection ended already.
    unsafe { libc::shutdown(fd.as_raw_fd(), libc::SHUT_RDWR) };
}
