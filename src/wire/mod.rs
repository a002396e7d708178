// SPDX-License-Identifier: MIT OR Apache-2.0
//! Bytes to messages and commands to bytes. Pure: no clock, no socket, no thread.

pub mod command;
pub mod framing;
pub mod message;
mod object;
pub mod redact;
mod scan;
mod skim;
mod string;
#[cfg(test)]
mod testing;
mod tokens;
pub mod transcript;
mod value;

pub use command::{Arguments, BadArguments, BadCommand, Band, check_name, encode};
pub use framing::{Fault, Frame, Framer, Limits, MAX_DEPTH, Member, Object, OutOfMemory, Refusal};
pub use message::{ErrorBody, EventView, Id, Message, Version};
pub use redact::{Compact, redact};
pub use string::{cut, decode, readable};
pub use tokens::members;
pub use value::{children, covers, quote, same};
