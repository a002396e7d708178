// SPDX-License-Identifier: MIT OR Apache-2.0
//! The client against a server that does everything wrong that a server can.

#[path = "../support/mod.rs"]
mod support;

mod agent;
mod callers;
mod connecting;
mod ending;
mod events;
mod handshake;
mod json;
mod logging;
mod matching;
mod replies;
mod sending;
mod shutdown;

use support::LONG;
use support::client::{Client, Failure};
use support::hostile::Hostile;

fn connect(server: &Hostile) -> Client {
    Client::connect(&server.address(), LONG).unwrap()
}

/// One call to a server that sends `reply`, in which ID stands for the call's own id.
fn call_answered_by(reply: impl AsRef<[u8]>) -> Result<String, Failure> {
    let reply = reply.as_ref().to_vec();
    let server = Hostile::negotiated(move |peer| {
        let command = peer.command();
        peer.send(with_id(&reply, command.id));
        peer.wait_for_end();
    });
    connect(&server).call("query-status")
}

fn with_id(text: &[u8], id: u64) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.windows(2).position(|pair| pair == b"ID") {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(id.to_string().as_bytes());
        rest = &rest[at + 2..];
    }
    out.extend_from_slice(rest);
    out
}
