// SPDX-License-Identifier: MIT OR Apache-2.0
//! The C ABI: thin, one file per section of the header, in the header's order.
#![allow(unsafe_code)]

pub mod gate;
pub mod handle;

pub mod status;

pub mod error;

pub mod cancel;

pub mod options;

pub mod connect;

pub mod command;

pub mod event;

pub mod vm;

#[cfg(feature = "mock")]
pub mod mock;

#[cfg(feature = "mock")]
pub mod mock_script;

#[cfg(feature = "mock")]
pub mod mock_check;

pub use cancel::*;
pub use command::*;
pub use connect::*;
pub use error::{qmp_error, qmp_error_free, qmp_string_free};
pub use event::*;
#[cfg(feature = "mock")]
pub use mock::*;
#[cfg(feature = "mock")]
pub use mock_check::*;
#[cfg(feature = "mock")]
pub use mock_script::*;
pub use options::*;
pub use status::*;
pub use vm::*;
