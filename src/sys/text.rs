// SPDX-License-Identifier: MIT OR Apache-2.0
//! Text that C frees.

use std::ffi::{CStr, c_char};
use std::fmt;
use std::mem::ManuallyDrop;
use std::ptr::NonNull;

/// A NUL-terminated copy of a text in memory from `malloc`. Making one can fail, since the peer
/// decides how large it is. C's `free` does not care whether the text was changed meanwhile.
pub struct Text(NonNull<c_char>);

// SAFETY: the memory is owned and nothing else points to it.
unsafe impl Send for Text {}
// SAFETY: a shared reference gives no access to the memory.
unsafe impl Sync for Text {}

impl Text {
    /// None: out of memory.
    pub fn copy(text: &str) -> Option<Text> {
        // SAFETY: malloc takes any size; str lengths are below isize::MAX, so + 1 cannot wrap.
        let memory = unsafe { libc::malloc(text.len() + 1) };
        let start = NonNull::new(memory.cast::<u8>())?;
        // SAFETY: `start` has room for the text and its terminator and overlaps nothing.
        unsafe {
            start.copy_from_nonoverlapping(NonNull::from(text.as_bytes()).cast(), text.len());
            start.add(text.len()).write(0);
        }
        Some(Text(start.cast()))
    }

    pub fn as_str(&self) -> &str {
        // SAFETY: NUL-terminated by `copy`, and owned by this value.
        let text = unsafe { CStr::from_ptr(self.0.as_ptr()) };
        // Cut short, at a byte of ASCII, only where the text itself held a NUL.
        text.to_str().unwrap_or_default()
    }

    pub fn as_ptr(&self) -> *const c_char {
        self.0.as_ptr()
    }

    /// The caller owns the memory and frees it with [`Text::free`].
    pub fn into_raw(self) -> *mut c_char {
        ManuallyDrop::new(self).0.as_ptr()
    }

    /// # Safety
    /// `text` is NULL or came from [`Text::into_raw`], and is not used again.
    pub unsafe fn free(text: *mut c_char) {
        // SAFETY: the caller's promise; free takes NULL.
        unsafe { libc::free(text.cast()) }
    }
}

impl Drop for Text {
    fn drop(&mut self) {
        // SAFETY: from malloc, and owned by this value alone.
        unsafe { libc::free(self.0.as_ptr().cast()) }
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Text")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_the_callers_to_change_and_to_free() {
        for text in ["", "é", "a text"] {
            let copy = Text::copy(text).unwrap();
            assert_eq!(copy.as_str(), text);
            let raw = copy.into_raw();
            // SAFETY: the memory holds the text and a NUL, and is freed once.
            unsafe {
                raw.write(0);
                Text::free(raw);
                Text::free(std::ptr::null_mut());
            }
        }
        assert_eq!(Text::copy("a\0b").unwrap().as_str(), "a");
    }
}
