// SPDX-License-Identifier: MIT OR Apache-2.0

use std::io;

pub fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> io::Result<()> {
    shuttle::thread::Builder::new()
        .name(name.to_owned())
        .spawn(body)
        .map(drop)
}
