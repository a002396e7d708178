// SPDX-License-Identifier: MIT OR Apache-2.0
//! Threads of the library: named, with small stacks, and deaf to every signal, so that a host's
//! handlers run on the host's own threads.

use std::io;
use std::mem::MaybeUninit;
use std::ptr;
use std::thread;

/// Most of it is never touched. The C library takes a program's static thread-local storage out of
/// it, which can be hundreds of KiB, and users' loggers run on it.
const STACK: usize = 1024 * 1024;

pub fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let mut all = MaybeUninit::<libc::sigset_t>::uninit();
    let mut before = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: both sets are writable; sigfillset initialises `all` before it is read. A new thread
    // inherits the mask, so the mask is set around its creation and put back.
    unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr());
    }
    let spawned = thread::Builder::new()
        .name(name.to_owned())
        .stack_size(STACK)
        .spawn(body);
    // SAFETY: `before` was filled in by the call above, which cannot fail with a valid `how`.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), ptr::null_mut()) };
    spawned.map(drop)
}
