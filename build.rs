// SPDX-License-Identifier: MIT OR Apache-2.0
//! What cargo does not do for a C library: give it a SONAME, and keep it loaded.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let major = env!("CARGO_PKG_VERSION_MAJOR");
    println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libqmp.so.{major}");
    // The I/O thread runs the library's code: dlclose must not take it away.
    println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
}
