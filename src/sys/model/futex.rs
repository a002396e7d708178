// SPDX-License-Identifier: MIT OR Apache-2.0

use std::ptr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::model::{self, On};

#[derive(Debug, Default)]
pub struct SleepWord(AtomicU32);

impl SleepWord {
    pub fn look(&self) -> u32 {
        model::step();
        self.0.load(Ordering::SeqCst)
    }

    pub fn sleep(&self, looked: u32, marks: u32, time: Option<Duration>) {
        model::step();
        if self.0.load(Ordering::SeqCst) == looked {
            let address = ptr::from_ref(self).addr();
            model::sleep(On::Word { address, marks }, time);
        }
    }

    pub fn wake(&self, marks: u32) {
        if marks == 0 {
            return;
        }
        model::step();
        self.0.fetch_add(1, Ordering::SeqCst);
        model::step();
        let word = ptr::from_ref(self).addr();
        model::wake(|on| {
            matches!(on, On::Word { address, marks: theirs }
                if *address == word && theirs & marks != 0)
        });
    }
}
