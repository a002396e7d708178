// SPDX-License-Identifier: MIT OR Apache-2.0
//! A word in which threads sleep under marks: one system call wakes all that sleep under any of a
//! set of marks, and nobody else.

use std::ptr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

#[derive(Debug, Default)]
pub struct SleepWord(AtomicU32);

impl SleepWord {
    /// What to give to [`SleepWord::sleep`]: look first, then check that there is a reason to sleep.
    /// Whatever is woken after the look is not slept through.
    pub fn look(&self) -> u32 {
        self.0.load(Ordering::SeqCst)
    }

    /// Sleeps unless somebody was woken since the look. Ends when one of the marks is woken, when
    /// the time is over, by a signal, or for no reason.
    pub fn sleep(&self, looked: u32, marks: u32, time: Option<Duration>) {
        let until = time.and_then(from_now);
        // SAFETY: the word lives through the call; `until` is null or lives through it too.
        unsafe {
            libc::syscall(
                libc::SYS_futex,
                self.0.as_ptr(),
                libc::FUTEX_WAIT_BITSET | libc::FUTEX_PRIVATE_FLAG,
                looked,
                until.as_ref().map_or(ptr::null(), ptr::from_ref),
                ptr::null::<u32>(),
                marks,
            )
        };
    }

    pub fn wake(&self, marks: u32) {
        if marks == 0 {
            return;
        }
        self.0.fetch_add(1, Ordering::SeqCst);
        // SAFETY: the word lives through the call.
        unsafe {
            libc::syscall(
                libc::SYS_futex,
                self.0.as_ptr(),
                libc::FUTEX_WAKE_BITSET | libc::FUTEX_PRIVATE_FLAG,
                i32::MAX,
                ptr::null::<libc::timespec>(),
                ptr::null::<u32>(),
                marks,
            )
        };
    }
}

/// A point of the monotonic clock; None: beyond it.
fn from_now(time: Duration) -> Option<libc::timespec> {
    let mut now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `now` is writable; the clock exists everywhere.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
    let nanos = now.tv_nsec + libc::c_long::from(time.subsec_nanos());
    let seconds = libc::time_t::try_from(time.as_secs()).ok()?;
    Some(libc::timespec {
        tv_sec: now
            .tv_sec
            .checked_add(seconds)?
            .checked_add(nanos / 1_000_000_000)?,
        tv_nsec: nanos % 1_000_000_000,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::thread;
    use std::time::Instant;

    use super::*;

    const LONG: Option<Duration> = Some(Duration::from_secs(3600));

    #[test]
    fn what_is_woken_after_the_look_is_not_slept_through() {
        let word = SleepWord::default();
        let looked = word.look();
        word.wake(1);
        word.sleep(looked, 2, LONG);
        word.sleep(looked, 2, None);
    }

    #[test]
    fn a_mark_wakes_who_sleeps_under_it() {
        let word = Arc::new(SleepWord::default());
        let (theirs, looked) = (word.clone(), word.look());
        let sleeper = thread::spawn(move || theirs.sleep(looked, 0b10, LONG));
        while !sleeper.is_finished() {
            word.wake(0b110);
            thread::yield_now();
        }
        sleeper.join().unwrap();
    }

    #[test]
    fn a_sleep_ends_in_time() {
        let word = SleepWord::default();
        let begun = Instant::now();
        word.sleep(word.look(), 1, Some(Duration::from_millis(20)));
        assert!(begun.elapsed() < Duration::from_secs(3600));
        word.sleep(word.look(), 1, Some(Duration::ZERO));
        assert!(from_now(Duration::MAX).is_none());
    }
}
