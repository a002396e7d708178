// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who listens at the other end, as far as the kernel tells.

use std::fs;
use std::io;
use std::mem;
use std::os::fd::{AsRawFd, BorrowedFd};

use super::check;

/// The process that made the listening socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credentials {
    pub pid: i32,
    pub uid: u32,
}

/// SO_PEERCRED of a unix socket.
pub fn credentials(fd: BorrowedFd<'_>) -> io::Result<Credentials> {
    let mut found = libc::ucred {
        pid: 0,
        uid: 0,
        gid: 0,
    };
    let mut size = mem::size_of::<libc::ucred>() as libc::socklen_t;
    // SAFETY: `found` is as large as `size` says, and both live through the call.
    check(unsafe {
        libc::getsockopt(
            fd.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut found).cast(),
            &raw mut size,
        )
    })?;
    Ok(Credentials {
        pid: found.pid,
        uid: found.uid,
    })
}

/// What /proc says about a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    pub name: String,
    /// By SIGSTOP or a debugger.
    pub stopped: bool,
    /// When it began, by the kernel's clock: another process that has its number later began later.
    pub started: u64,
}

pub fn process(pid: i32) -> Option<Process> {
    // "PID (NAME) STATE …": the name may itself hold parentheses and spaces.
    let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
    let stat = String::from_utf8_lossy(&stat);
    let (head, tail) = stat.rsplit_once(") ")?;
    let (_, name) = head.split_once('(')?;
    Some(Process {
        // A process names itself as it likes.
        name: name.escape_debug().to_string(),
        stopped: tail.starts_with(['T', 't']),
        // The 22nd field of all, see proc(5).
        started: tail.split(' ').nth(22 - 3)?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_runs_and_has_a_name() {
        let me = process(std::process::id() as i32).unwrap();
        assert!(!me.name.is_empty());
        assert!(!me.stopped);
        assert!(process(1).is_none_or(|first| first.started <= me.started));
        assert_eq!(process(-5), None);
    }
}
