// SPDX-License-Identifier: MIT OR Apache-2.0
//! Patterns of names: `*` stands for any text, everything else for itself.

pub fn matches(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else {
        return false;
    };
    let Some(last) = parts.next_back() else {
        return rest.is_empty();
    };
    for part in parts {
        // The earliest place leaves most to those behind it.
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_star_is_any_text() {
        for (pattern, name) in [
            ("STOP", "STOP"),
            ("*", ""),
            ("*", "STOP"),
            ("JOB_*", "JOB_STATUS_CHANGE"),
            ("JOB_*", "JOB_"),
            ("*_COMPLETED", "BLOCK_JOB_COMPLETED"),
            ("B*K*D", "BLOCK_JOB_COMPLETED"),
            ("a*a", "aa"),
            ("**", "x"),
        ] {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("STOP", "STOPPED"),
            ("STOP", "stop"),
            ("", "STOP"),
            ("JOB_*", "BLOCK_JOB_READY"),
            ("*_COMPLETED", "BLOCK_JOB_COMPLETED_"),
            ("a*a", "a"),
            ("a*b*a", "aba_"),
        ] {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn many_stars_take_no_longer() {
        let pattern = "a*".repeat(5000) + "b";
        assert!(!matches(&pattern, &"a".repeat(100_000)));
    }
}
