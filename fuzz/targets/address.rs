// SPDX-License-Identifier: MIT OR Apache-2.0
//! Addresses: every text is one or is refused, and one that is shown is read back as the same.
#![no_main]

use std::net::SocketAddr;

use libfuzzer_sys::fuzz_target;
use qmp::error::Status;
use qmp::transport::{Address, Target};

fuzz_target!(|bytes: &[u8]| {
    let address = match Address::parse(bytes) {
        Ok(address) => address,
        Err(error) => {
            assert_eq!(error.status, Status::InvalidArgument);
            assert!(!error.message.contains('\0'));
            assert!(is_refused_for_a_reason(bytes));
            return;
        }
    };
    match &address {
        Address::Resolved(Target::Path(name)) => {
            assert!(bytes.ends_with(name) && (1..108).contains(&name.len()) && !name.contains(&0));
        }
        Address::Resolved(Target::Abstract(name)) => {
            assert!(bytes.ends_with(name) && (1..107).contains(&name.len()) && !name.contains(&0));
        }
        Address::Resolved(Target::Tcp(to)) => assert_ne!(to.port(), 0),
        Address::Resolved(Target::Descriptor(fd)) => assert!(*fd >= 0),
        Address::Named { host, port } => {
            assert!(!host.is_empty() && !host.contains('\0') && *port > 0);
        }
    }
    // Odd bytes of a path are shown escaped.
    let shown = address.to_string();
    assert!(!shown.contains('\0'));
    let plain = |byte: &u8| matches!(byte, b' '..=b'~') && !b"\\'\"".contains(byte);
    if bytes.iter().all(plain) {
        let again = Address::parse(shown.as_bytes()).expect("what is shown is an address");
        assert_eq!(again.to_string(), shown);
    }
});

/// As far as another parser tells.
fn is_refused_for_a_reason(bytes: &[u8]) -> bool {
    let socket = |rest: &[u8]| {
        let text = std::str::from_utf8(rest).ok()?;
        text.parse::<SocketAddr>().ok()
    };
    if let Some(rest) = bytes.strip_prefix(b"tcp:") {
        return socket(rest).is_none_or(|to| to.port() == 0);
    }
    if let Some(rest) = bytes.strip_prefix(b"fd:") {
        let number = std::str::from_utf8(rest).map(str::parse::<i32>);
        return !matches!(number, Ok(Ok(0..))) || rest.starts_with(b"+") || rest.starts_with(b"-");
    }
    let (name, most) = match bytes.strip_prefix(b"abstract:") {
        Some(name) => (name, 106),
        None => (bytes.strip_prefix(b"unix:").unwrap_or(bytes), 107),
    };
    name.is_empty() || name.len() > most || name.contains(&0)
}
