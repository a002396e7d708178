// SPDX-License-Identifier: MIT OR Apache-2.0

pub use real::*;
use shuttle::lazy_static::Lazy;

// What of it is not used here.
#[allow(dead_code)]
#[path = "../fork.rs"]
mod real;

/// Each run of the checker is a process of its own.
pub struct PerProcess<T: Sync + 'static>(Lazy<T>);

impl<T: Sync> PerProcess<T> {
    pub const fn new(make: fn() -> T) -> PerProcess<T> {
        PerProcess(Lazy::new(make))
    }

    pub fn get(&'static self) -> &'static T {
        self.0.get()
    }
}
