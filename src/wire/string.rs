// SPDX-License-Identifier: MIT OR Apache-2.0
//! JSON strings: from their raw text, quotes included, to what they say.

use std::borrow::Cow;

/// The decoded string; borrowed unless it has escapes. None: no string, lone surrogates, which Unicode text cannot hold, or
/// no memory.
pub fn decode(raw: &str) -> Option<Cow<'_, str>> {
    let inner = raw.strip_prefix('"')?.strip_suffix('"')?;
    if memchr::memchr(b'\\', inner.as_bytes()).is_none() {
        return Some(Cow::Borrowed(inner));
    }
    unescape(inner).map(Cow::Owned)
}

/// Hand-written because a general parser brings its numbers along, and with them a tenth of the library's size.
fn unescape(mut rest: &str) -> Option<String> {
    let mut text = String::new();
    text.try_reserve_exact(rest.len()).ok()?;
    while let Some((plain, escaped)) = rest.split_once('\\') {
        text.push_str(plain);
        let mut chars = escaped.chars();
        text.push(match chars.next()? {
            char @ ('"' | '\\' | '/') => char,
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => {
                let (point, after) = code_point(chars.as_str())?;
                chars = after.chars();
                point
            }
            _ => return None,
        });
        rest = chars.as_str();
    }
    text.push_str(rest);
    Some(text)
}

/// The character whose four hexadecimal digits come first, with those of the other half of its pair if it is one, and the
/// rest. None for half a pair.
fn code_point(text: &str) -> Option<(char, &str)> {
    let unit = |text: &str| u32::from_str_radix(text.get(..4)?, 16).ok();
    let (first, rest) = (unit(text)?, text.get(4..)?);
    if !(0xd800..0xdc00).contains(&first) {
        return Some((char::from_u32(first)?, rest));
    }
    let rest = rest.strip_prefix("\\u")?;
    let second = unit(rest).filter(|second| (0xdc00..0xe000).contains(second))?;
    let point = 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00);
    Some((char::from_u32(point)?, rest.get(4..)?))
}

/// The longest text of a peer's that is told. QEMU repeats arguments of a MiB in its errors.
const LONGEST: usize = 4 << 20;

/// At most so many bytes of a text, and whole characters.
pub fn cut(text: &str, most: usize) -> &str {
    let mut end = text.len().min(most);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Text for a person and for a C string, which a NUL would cut short: NUL is written as its escape, what cannot be decoded
/// stays raw, and what is very long is cut.
pub fn readable(raw: &str) -> String {
    let shown = cut(raw, LONGEST);
    if shown.len() < raw.len() {
        return format!("{shown}…");
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
    fn agrees_with_another_parser() {
        for raw in [
            r#""\"\\\/\b\f\n\r\t""#,
            r#""\u0000\u001F\uffff\uD7FF\uE000é""#,
            r#""\ud800\udc00\uDBFF\uDFFF""#,
            r#""\ud800\ud800\udc00""#,
            r#""\udc00\ud800""#,
            r#""\ud800""#,
            r#""\ud800x""#,
            r#""\ud800\n""#,
        ] {
            let theirs: Option<String> = serde_json::from_str(raw).ok();
            assert_eq!(decode(raw).map(Cow::into_owned), theirs, "{raw}");
        }
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
