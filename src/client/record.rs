// SPDX-License-Identifier: MIT OR Apache-2.0
//! Recording a session as it is seen on the wire. A connection that is not recorded has none of
//! this: not a lock, not an allocation, not a system call.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use super::connection::Connection;
use super::lock::Lock;
use super::log::{Level, Notes};
use super::options::Options;
use crate::error::{Error, Result};
use crate::sys::environment;
use crate::sys::fork::PerProcess;
use crate::sys::sync::MutexGuard;
use crate::wire::transcript::{CLOSED, Entry, Line};

/// Names a directory: every client of the process records its session to a file of its own there.
const DIRECTORY: &std::ffi::CStr = c"QMP_RECORD";

/// The transcript of one connection.
pub(super) struct Recorder {
    begun: Instant,
    /// None: the transcript is complete, or could not be written.
    file: Lock<Option<BufWriter<File>>>,
}

/// The right to write the next line, until it is dropped.
pub(super) struct Pen<'a> {
    begun: Instant,
    file: MutexGuard<'a, Option<BufWriter<File>>>,
}

impl Recorder {
    /// None: nobody has asked for one.
    pub fn begin(options: &Options) -> Result<Option<Recorder>> {
        let Some(path) = options.record.clone().or_else(from_environment) else {
            return Ok(None);
        };
        let cannot = |e| Error::os(&format!("record to {}", path.display()), &e);
        let mut file = BufWriter::new(create(&path).map_err(cannot)?);
        let library = env!("CARGO_PKG_VERSION").into();
        writeln!(file, "{}", Line::Start { library })
            .and_then(|()| file.flush())
            .map_err(cannot)?;
        Ok(Some(Recorder {
            begun: Instant::now(),
            file: Lock::new(Some(file)),
        }))
    }

    pub(super) fn pen(&self) -> Pen<'_> {
        Pen {
            begun: self.begun,
            file: self.file.lock(),
        }
    }
}

impl Pen<'_> {
    /// Nothing follows the end, or a failure.
    fn write(&mut self, entry: Entry<'_>) -> io::Result<()> {
        let Some(file) = &mut *self.file else {
            return Ok(());
        };
        let last = matches!(entry, Entry::Ended(_));
        let ms = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        let line = Line::Entry { ms, entry };
        let written = writeln!(file, "{line}").and_then(|()| file.flush());
        if last || written.is_err() {
            *self.file = None;
        }
        written
    }

    pub(super) fn note(&mut self, entry: Entry<'_>, notes: &mut Notes<'_>) {
        if let Err(e) = self.write(entry) {
            notes.add(Level::Warn, || format!("the recording ends here: {e}"));
        }
    }
}

impl Drop for Recorder {
    /// For connections that are dropped without being closed: the handshake failed.
    fn drop(&mut self) {
        let _ = self.pen().write(Entry::Ended(CLOSED.into()));
    }
}

fn create(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        // What is no regular file must not make the call wait, or become the terminal that
        // controls the process.
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(path)?;
    if file.metadata()?.file_type().is_fifo() {
        // SIGPIPE would come when its reader goes.
        return Err(io::Error::other("want a file, not a pipe"));
    }
    Ok(file)
}

fn from_environment() -> Option<PathBuf> {
    static NEXT: PerProcess<AtomicU64> = PerProcess::new(|| AtomicU64::new(1));
    let directory = PathBuf::from(environment::variable(DIRECTORY)?);
    let number = NEXT.get().fetch_add(1, Ordering::Relaxed);
    Some(directory.join(format!("qmp-{}-{number}.jsonl", process::id())))
}

impl Connection {
    /// Call without the state's lock.
    pub(super) fn record<'e>(&self, notes: &mut Notes<'_>, entry: impl FnOnce() -> Entry<'e>) {
        if let Some(recorder) = &self.recorder {
            recorder.pen().note(entry(), notes);
        }
    }
}
