// SPDX-License-Identifier: MIT OR Apache-2.0
//! The environment, where it can be trusted.

use std::ffi::{CStr, OsStr, OsString, c_char};
use std::os::unix::ffi::OsStrExt;

unsafe extern "C" {
    fn secure_getenv(name: *const c_char) -> *const c_char;
}

/// None: it is not set, or empty, or this is a process with more rights than who started it.
pub fn variable(name: &CStr) -> Option<OsString> {
    // SAFETY: `name` ends with a NUL. The value is copied at once; like every reader of the
    // environment this relies on nobody changing it meanwhile.
    let value = unsafe {
        let value = secure_getenv(name.as_ptr());
        if value.is_null() {
            return None;
        }
        CStr::from_ptr(value)
    };
    let value = OsStr::from_bytes(value.to_bytes());
    (!value.is_empty()).then(|| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_is_found() {
        assert_eq!(variable(c"PATH"), std::env::var_os("PATH"));
        assert_eq!(variable(c"QMP_NO_SUCH_VARIABLE"), None);
    }
}
