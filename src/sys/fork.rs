// SPDX-License-Identifier: MIT OR Apache-2.0
//! Knowing that this process is a child that `fork` made. The child has the parent's memory but
//! none of its threads, and locks may be held by threads that do not exist: nothing the parent
//! made may be touched.

use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, Ordering};

static GENERATION: AtomicU32 = AtomicU32::new(0);

/// Odd while a fork is under way.
static FORKS: AtomicU32 = AtomicU32::new(0);

extern "C" fn begin_or_end() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}

extern "C" fn in_child() {
    GENERATION.fetch_add(1, Ordering::Relaxed);
    begin_or_end();
}

fn register() {
    // Not a Once: a fork in the midst of one would leave the child waiting for it.
    static REGISTERED: AtomicBool = AtomicBool::new(false);
    if !REGISTERED.load(Ordering::Relaxed) && !REGISTERED.swap(true, Ordering::Relaxed) {
        // SAFETY: the handlers only add to atomics, which is safe in a forked child, and the
        // library is linked with `-z nodelete`, so its code outlives every fork. If memory is
        // short and registering fails, forks go unnoticed; nothing else depends on it.
        unsafe { libc::pthread_atfork(Some(begin_or_end), Some(begin_or_end), Some(in_child)) };
    }
}

/// A moment, to ask later whether descriptors of that time may have been copied by a fork.
#[derive(Clone, Copy, Debug)]
pub struct Before(u32);

impl Before {
    pub fn now() -> Before {
        register();
        Before(FORKS.load(Ordering::Relaxed))
    }

    pub fn has_forked_since(self) -> bool {
        let now = FORKS.load(Ordering::Relaxed);
        now != self.0 || now % 2 == 1
    }
}

/// How many forks lie between the first process that used the library and this one. A handler
/// counts, so that asking costs no system call.
pub fn generation() -> u32 {
    register();
    GENERATION.load(Ordering::Relaxed)
}

/// State of one process, made when first needed. A forked child gets its own; the parent's copy in
/// it is left alone for ever.
pub struct PerProcess<T: 'static> {
    current: AtomicPtr<Made<T>>,
    make: fn() -> T,
}

struct Made<T> {
    generation: u32,
    value: T,
}

impl<T: Send + Sync> PerProcess<T> {
    pub const fn new(make: fn() -> T) -> PerProcess<T> {
        PerProcess {
            current: AtomicPtr::new(ptr::null_mut()),
            make,
        }
    }

    pub fn get(&self) -> &'static T {
        let generation = generation();
        let found = self.current.load(Ordering::Acquire);
        // SAFETY: a pointer stored here came from `Box::leak` below and is never freed.
        let made = unsafe { found.as_ref() };
        if let Some(made) = made.filter(|made| made.generation == generation) {
            return &made.value;
        }
        let fresh = Box::into_raw(Box::new(Made {
            generation,
            value: (self.make)(),
        }));
        match self
            .current
            .compare_exchange(found, fresh, Ordering::AcqRel, Ordering::Acquire)
        {
            // SAFETY: `fresh` is leaked on purpose: it is reachable through `current` for ever.
            Ok(_) => unsafe { &(*fresh).value },
            Err(winner) => {
                // SAFETY: `fresh` was not published, so this thread alone owns it; `winner` was
                // published by another thread of this generation and is never freed.
                unsafe {
                    drop(Box::from_raw(fresh));
                    &(*winner).value
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn threads_that_come_first_together_get_the_same() {
        static STATE: PerProcess<Vec<u32>> = PerProcess::new(|| vec![1, 2, 3]);
        let found = thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| STATE.get())).collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .collect::<Vec<_>>()
        });
        for state in found {
            assert!(ptr::eq(state, STATE.get()));
            assert_eq!(*state, [1, 2, 3]);
        }
    }
}
