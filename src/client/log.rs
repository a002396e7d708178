// SPDX-License-Identifier: MIT OR Apache-2.0
//! The injected logger. Lines are collected while roles are held and written when they are not,
//! so that a logger may be slow, call back into the library, or close the connection.

use std::sync::Arc;

use super::options::Options;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(i32)]
pub enum Level {
    Error = 1,
    Warn = 2,
    Info = 3,
    Debug = 4,
    Trace = 5,
}

impl Level {
    pub fn of(number: i32) -> Option<Level> {
        [
            Level::Error,
            Level::Warn,
            Level::Info,
            Level::Debug,
            Level::Trace,
        ]
        .into_iter()
        .find(|level| *level as i32 == number)
    }
}

pub trait Sink: Send + Sync {
    fn write(&self, level: Level, line: &str);
}

#[derive(Clone)]
pub struct Logger {
    level: Level,
    sink: Arc<dyn Sink>,
}

impl Logger {
    /// Takes lines of `level` and worse.
    pub fn new(level: Level, sink: Arc<dyn Sink>) -> Logger {
        Logger { level, sink }
    }
}

/// The logger of a connection, or none.
pub struct Log {
    options: Arc<Options>,
    /// Begins every line: the connection's address.
    origin: Arc<str>,
}

impl Log {
    pub fn new(options: Arc<Options>, origin: Arc<str>) -> Log {
        Log { options, origin }
    }

    pub fn takes(&self, level: Level) -> bool {
        self.options
            .logger
            .as_ref()
            .is_some_and(|log| level <= log.level)
    }

    /// Call with no lock and no role held.
    pub fn write(&self, level: Level, line: &str) {
        if let Some(log) = self
            .options
            .logger
            .as_ref()
            .filter(|log| level <= log.level)
        {
            log.sink.write(level, &format!("{}: {line}", self.origin));
        }
    }
}

/// Lines that wait until they can be written.
pub struct Notes<'a> {
    log: &'a Log,
    lines: Vec<(Level, String)>,
}

impl<'a> Notes<'a> {
    pub fn new(log: &'a Log) -> Notes<'a> {
        Notes {
            log,
            lines: Vec::new(),
        }
    }

    pub fn add(&mut self, level: Level, line: impl FnOnce() -> String) {
        if self.log.takes(level) {
            self.lines.push((level, line()));
        }
    }

    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    pub fn write(&mut self) {
        for (level, line) in self.lines.drain(..) {
            self.log.write(level, &line);
        }
    }
}
