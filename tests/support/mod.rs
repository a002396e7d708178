// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the tests share. They use the library as C does: through its exported functions.
#![allow(dead_code)] // no test uses all of it

pub mod client;
pub mod hostile;
pub mod qemu;
pub mod serial;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Longer than anything takes that works: a test that waits this long has failed.
pub const LONG: i64 = 30_000;

/// A directory of its own, removed with all that is in it.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Folder {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("libqmp-{}-{count}", std::process::id()));
        // Left by an earlier process that had the same number, and died.
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir(&path).unwrap();
        Folder(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Waits for something that no call tells of.
pub fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_millis(LONG as u64);
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}
