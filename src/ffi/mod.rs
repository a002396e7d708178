// SPDX-License-Identifier: MIT OR Apache-2.0
//! The C ABI: thin, one file per section of the header, in the header's order.
#![allow(unsafe_code)]

pub mod gate;
pub mod handle;

pub mod status;

pub mod error;

pub mod cancel;

pub mod options;

pub mod options_session;

pub mod options_log;

pub mod connect;

pub mod command;

pub mod event;

pub mod subscription;

pub mod request;

pub mod batch;

pub mod own_loop;

pub mod vm;

#[cfg(feature = "mock")]
pub mod mock;

#[cfg(feature = "mock")]
pub mod mock_script;

#[cfg(feature = "mock")]
pub mod mock_check;

pub use batch::*;
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
pub use options_log::*;
pub use options_session::*;
pub use own_loop::*;
pub use request::*;
pub use status::*;
pub use subscription::*;
pub use vm::*;
