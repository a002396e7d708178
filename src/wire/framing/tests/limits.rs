// SPDX-License-Identifier: MIT OR Apache-2.0
use std::time::{Duration, Instant};

use super::*;
use crate::wire::testing::assert_linear;

/// The frames of one endless or very long message, fed in pieces until something is found.
fn feed_until_found(framer: &mut Framer, piece: &[u8], most: usize) -> (usize, Vec<String>) {
    for count in 1..=most {
        let found = feed(framer, piece);
        if !found.is_empty() {
            return (count, found);
        }
    }
    panic!("nothing found in {most} pieces");
}

fn elapsed(run: impl FnOnce()) -> Duration {
    let start = Instant::now();
    run();
    start.elapsed()
}

#[test]
fn the_limit_is_exact() {
    let text = format!("{{\"id\":7,\"a\":\"{}\"}}", "x".repeat(100));
    let limit = text.len();
    let refused = [
        format!("refused Bytes {{ limit: {} }}", limit - 1),
        format!("broken Some(7) Refused(Bytes {{ limit: {} }})", limit - 1),
    ];
    assert_eq!(frames(limit, text.as_bytes()), [format!("message {text}")]);
    assert_eq!(frames(limit - 1, text.as_bytes()), refused);
    assert_eq!(
        frames(3, b"123 1234 \"ab\" true "),
        [
            "other",
            "refused Bytes { limit: 3 }",
            "broken None Refused(Bytes { limit: 3 })",
            "refused Bytes { limit: 3 }",
            "broken None Refused(Bytes { limit: 3 })",
            "refused Bytes { limit: 3 }",
            "broken None Refused(Bytes { limit: 3 })",
        ]
    );
}

#[test]
fn f62_f63_a_refused_message_costs_bounded_memory_and_the_next_one_is_fine() {
    let limit = 4 * MIB;
    let mut framer = framer(limit);
    assert!(feed(&mut framer, b"{\"return\": \"").is_empty());
    let piece = [b'x'; 64 << 10];
    let (count, found) = feed_until_found(&mut framer, &piece, 65);
    assert_eq!(found, [format!("refused Bytes {{ limit: {limit} }}")]);
    assert_eq!(count, 64);
    for _ in 0..1600 {
        assert!(feed(&mut framer, &piece).is_empty());
        assert!(framer.is_mid_message());
        assert!(framer.buffer.capacity() <= 2 * SLACK);
    }
    let found = feed(&mut framer, b"\", \"id\": 12}\r\n{\"id\": 13}");
    assert_eq!(
        found,
        [
            format!("broken Some(12) Refused(Bytes {{ limit: {limit} }})"),
            "message {\"id\": 13}".into()
        ]
    );
}

#[test]
fn f21_f62_the_buffer_never_grows_far_beyond_the_limit() {
    let limit = 3 * MIB;
    let mut framer = framer(limit);
    let text = format!("{{\"a\":\"{}\"}}", "x".repeat(limit - 8));
    assert_eq!(text.len(), limit);
    let mut growths = 0;
    let mut capacity = 0;
    for round in 0..2 {
        // The first half of the next message stands behind the last one.
        let mut found = 0;
        for piece in text.as_bytes().chunks(10_000) {
            found += feed(&mut framer, piece).len();
            growths += usize::from(framer.buffer.capacity() != capacity);
            capacity = framer.buffer.capacity();
            assert!(capacity <= limit + SLACK);
        }
        assert_eq!(found, 1, "round {round}");
    }
    assert!(growths <= 8, "{growths} growths");
}

/// Growing may copy, and then needs what is held twice.
#[test]
fn f62_a_large_message_is_not_copied() {
    let mut framer = framer(64 * MIB);
    let mut capacity = 0;
    assert!(feed(&mut framer, b"\"").is_empty());
    for _ in 0..2 * MIB / 10_000 {
        let held = framer.buffer.len();
        assert!(feed(&mut framer, &[b'x'; 10_000]).is_empty());
        if framer.buffer.capacity() != capacity {
            assert!(held <= STEP, "{held} bytes were held");
            capacity = framer.buffer.capacity();
        }
    }
    assert_eq!(capacity, 64 * MIB + SLACK);
}

/// Messages that follow each other use the same part of a large buffer.
#[test]
fn f71_a_stream_of_messages_stays_at_the_front() {
    let mut framer = framer(64 * MIB);
    let stream = format!("{{\"a\":\"{}\"}}", "x".repeat(MIB)).repeat(4);
    let mut found = 0;
    for piece in stream.as_bytes().chunks(100_000) {
        let buffer = framer.buffer().unwrap();
        assert!(buffer.len() <= MIB + 100_000, "{}", buffer.len());
        buffer.extend_from_slice(piece);
        while framer.next().is_some() {
            found += 1;
        }
    }
    assert_eq!(found, 4);
}

/// Where there is no room for the largest message there may be enough for this one.
#[test]
fn a_limit_beyond_all_memory_is_no_hindrance() {
    let mut framer = framer(usize::MAX);
    let text = format!("\"{}\"", "x".repeat(3 * MIB));
    assert_eq!(feed(&mut framer, text.as_bytes()), ["other"]);
    assert!(framer.buffer.capacity() <= 16 * MIB);
}

#[test]
fn memory_is_given_back_when_nothing_is_held() {
    let mut framer = framer(MIB);
    assert!(feed(&mut framer, b"{").is_empty());
    framer.release();
    assert_eq!(feed(&mut framer, b"} "), ["message {}"]);
    framer.release();
    assert_eq!(framer.buffer.capacity(), 0);
    assert_eq!(feed(&mut framer, b"{}"), ["message {}"]);
}

#[test]
fn f63_endless_blanks_are_refused_and_not_kept() {
    let mut framer = framer(MIB);
    let blanks = [b'\n'; 16 << 10];
    let (count, found) = feed_until_found(&mut framer, &blanks, 70);
    assert_eq!(
        found,
        [
            format!("refused Bytes {{ limit: {MIB} }}"),
            "garbage ".into()
        ]
    );
    assert_eq!(count, 65);
    assert!(framer.buffer.capacity() <= SLACK);
}

#[test]
fn a_message_that_never_ends_is_given_up() {
    let mut framer = framer(1000);
    framer.max_skimmed = 100_000;
    assert_eq!(
        feed(&mut framer, &[b'['; 1001]),
        ["refused Bytes { limit: 1000 }"]
    );
    let (count, found) = feed_until_found(&mut framer, &[b'['; 1000], 200);
    assert_eq!(found, ["garbage "]);
    assert_eq!(count, 99);
    assert!(feed(&mut framer, b"]").is_empty());
}

#[test]
fn the_most_skimmed_follows_the_limit() {
    assert_eq!(framer(MIB).max_skimmed, 1 << 30);
    assert_eq!(framer(1 << 30).max_skimmed, 1 << 34);
    assert_eq!(framer(usize::MAX).max_skimmed, u64::MAX);
}

#[test]
fn f60_a_million_levels_need_no_stack() {
    let run = || {
        let mut framer = framer(64 * MIB);
        let mut found = feed(&mut framer, b"{\"id\": 3, \"return\": ");
        for piece in [b"[", b"]"] {
            for _ in 0..1000 {
                found.extend(feed(&mut framer, &piece.repeat(1000)));
            }
        }
        assert_eq!(found, ["refused Depth { limit: 1024 }"]);
        assert_eq!(
            feed(&mut framer, b"}"),
            ["broken Some(3) Refused(Depth { limit: 1024 })"]
        );
        let level = "[".repeat(MAX_DEPTH) + &"]".repeat(MAX_DEPTH);
        assert_eq!(feed(&mut framer, level.as_bytes()), ["other"]);
        assert_eq!(feed(&mut framer, format!("[{level}]").as_bytes()).len(), 2);
    };
    let thread = std::thread::Builder::new()
        .stack_size(64 << 10)
        .spawn(run)
        .unwrap();
    thread.join().unwrap();
}

#[test]
fn f63_long_messages_take_linear_time_byte_by_byte() {
    let time = |size: usize| {
        let text = format!(
            "{{\"a\": \"{}\", \"b\": {}}}",
            "x".repeat(size),
            "1".repeat(size)
        );
        elapsed(|| {
            let mut framer = framer(64 * MIB);
            let found: usize = text
                .as_bytes()
                .chunks(1)
                .map(|byte| feed(&mut framer, byte).len())
                .sum();
            assert_eq!(found, 1);
        })
    };
    assert_linear(50_000, time);
}

#[test]
fn f64_many_members_and_many_messages_take_linear_time() {
    let time = |count: usize| {
        let keys: Vec<_> = (0..count)
            .map(|key| format!("\"key{key}\":{key}"))
            .collect();
        let messages = format!("{{{}}}{}", keys.join(","), "{}".repeat(count));
        elapsed(|| assert_eq!(frames(64 * MIB, messages.as_bytes()).len(), count + 1))
    };
    assert_linear(200_000, time);
}

/// Closed or not, and however far beyond the limits.
#[test]
fn f60_f63_what_is_skipped_takes_linear_time() {
    for (open, close) in [("[", "]"), ("[", ""), ("{\"a\":", ""), ("\"x\",", "")] {
        assert_linear(400_000, |count| {
            let text = format!("{{\"a\": [{}{}", open.repeat(count), close.repeat(count));
            elapsed(|| {
                let mut framer = framer(1000);
                let pieces = text.as_bytes().chunks(4096);
                let found: usize = pieces.map(|piece| feed(&mut framer, piece).len()).sum();
                assert_eq!(found, 1);
            })
        });
    }
}
