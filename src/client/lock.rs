// SPDX-License-Identifier: MIT OR Apache-2.0
//! A mutex that a panic elsewhere does not take away. The state it guards is kept whole by short
//! critical sections; a panic is caught at the ABI and told as `QMP_ERR_INTERNAL`.

use std::sync::PoisonError;

use crate::sys::sync::{Mutex, MutexGuard};

#[derive(Default)]
pub struct Lock<T>(Mutex<T>);

impl<T> Lock<T> {
    pub const fn new(value: T) -> Lock<T> {
        Lock(Mutex::new(value))
    }

    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
