// SPDX-License-Identifier: MIT OR Apache-2.0
//! What holds for every transcript, every order of replies and every command. The cases are made up, and the same each time.

mod commands;
mod json;
mod orders;
#[path = "../support/mod.rs"]
mod support;
mod transcripts;

use proptest::test_runner::{Config, RngSeed};

fn cases(cases: u32) -> Config {
    Config {
        cases,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(0x9e37_79b9_7f4a_7c15),
        ..Config::default()
    }
}
