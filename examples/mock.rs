// SPDX-License-Identifier: MIT OR Apache-2.0
//! A QMP server without a virtual machine: `cargo run --example mock -- SOCKET`.
//! Serves until the machine is powered down or told to quit, or its standard input ends.

use std::os::unix::ffi::OsStrExt;
use std::process::ExitCode;
use std::sync::Arc;

use qmp::mock::Mock;

fn main() -> ExitCode {
    let Some(path) = std::env::args_os().nth(1) else {
        eprintln!("usage: mock SOCKET");
        return ExitCode::from(2);
    };
    let mock = match Mock::start(path.as_bytes()) {
        Ok(mock) => Arc::new(mock),
        Err(error) => {
            eprintln!("mock: {}: {error}", path.to_string_lossy());
            return ExitCode::FAILURE;
        }
    };
    let parent = Arc::clone(&mock);
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink()); // an unreadable input has ended too
        parent.stop();
    });
    mock.wait();
    ExitCode::SUCCESS
}
