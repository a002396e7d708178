// SPDX-License-Identifier: MIT OR Apache-2.0
//! JSON strings: from their raw text, quotes included, to what they say.

use std::borrow::Cow;

/// The decoded string; borrowed unless it has escapes. None: no string, or lone surrogates, which Unicode text cannot hold.
pub fn decode(raw: &str) -> Option<Cow<'_, str>> {
    let inner = raw.strip_prefix('"')?.strip_suffix('"')?;
    if memchr::memchr(b'\\', inner.as_bytes()).is_none() {
        return Some(Cow::Borrowed(inner));
    }
    serde_json::from_str(raw).ok().map(Cow::Owned)
}

/// The longest text of a peer's that is shown to a person.
const LONGEST: usize = 16 << 10;

/// Text for a person and for a C string, which a NUL would cut short: NUL is written as its escape, what cannot be decoded
/// stays raw, and what is very long is cut.
pub fn readable(raw: &str) -> String {
    let mut end = raw.len().min(LONGEST);
    while !raw.is_char_boundary(end) {
        end -= 1;
    }
    if end < raw.len() {
        return format!("{}…", &raw[..end]);
    }
    match decode(raw) {
        Some(text) => text.replace('\0', "\\u0000"),
        None => raw.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_strings_are_borrowed() {
        assert!(matches!(decode(r#""a b""#), Some(Cow::Borrowed("a b"))));
        assert!(matches!(decode(r#""""#), Some(Cow::Borrowed(""))));
    }

    #[test]
    fn escapes_are_decoded() {
        assert_eq!(decode(r#""\u0069\ud83d\ude00\n\\""#).unwrap(), "i😀\n\\");
    }

    #[test]
    fn no_string_and_lone_surrogates_are_refused() {
        for raw in ["1", "{}", "\"", r#""\ud800""#, r#""\udc00x""#] {
            assert_eq!(decode(raw), None, "{raw}");
        }
    }

    #[test]
    fn readable_text_holds_no_nul() {
        assert_eq!(readable(r#""a\u0000b""#), r"a\u0000b");
        assert_eq!(readable(r#""\ud800""#), r#""\ud800""#);
        assert_eq!(readable("12"), "12");
    }

    #[test]
    fn readable_text_is_bounded() {
        let long = format!("\"{}\"", "é".repeat(LONGEST));
        assert!(readable(&long).len() <= LONGEST + "…".len());
    }
}
