// SPDX-License-Identifier: MIT OR Apache-2.0
//! Bytes to frames to messages: however the bytes are cut they mean the same, what passes is JSON and within the limits, and
//! what is JSON and within the limits passes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use oracle::Members;
use qmp::session::events::EventQueue;
use qmp::session::handshake::Greeting;
use qmp::session::power::Shutdown;
use qmp::wire::{Fault, Frame, Framer, Id, Limits, MAX_DEPTH, Member, Message, Object, Refusal};
use serde_json::value::RawValue;

#[derive(Debug, PartialEq)]
enum Seen {
    Message(String),
    Other,
    Refused(Refusal),
    Broken(Option<u64>, Fault),
    Garbage(Vec<u8>),
}

fuzz_target!(|bytes: &[u8]| {
    for limits in [(1 << 20, MAX_DEPTH), (48, 5)] {
        let limits = Limits {
            bytes: limits.0,
            depth: limits.1,
        };
        let whole = frames(bytes, limits, std::iter::repeat(bytes.len()));
        let bytewise = frames(bytes, limits, std::iter::repeat(1));
        let pieces = frames(bytes, limits, oracle::sizes(bytes));
        assert_same(&whole, &bytewise);
        assert_same(&whole, &pieces);
        assert_like_serde(bytes, limits, &whole.0);
    }
});

fn frames(
    mut bytes: &[u8],
    limits: Limits,
    mut sizes: impl Iterator<Item = usize>,
) -> (Vec<Seen>, bool) {
    let mut framer = Framer::new(limits);
    let mut seen = Vec::new();
    while !bytes.is_empty() {
        let buffer = framer.buffer().unwrap();
        assert!(buffer.capacity() <= limits.bytes + (80 << 10), "bounded");
        let room = buffer.capacity() - buffer.len();
        let size = sizes.next().unwrap().min(room).min(bytes.len());
        let (piece, rest) = bytes.split_at(size);
        buffer.extend_from_slice(piece);
        bytes = rest;
        while let Some(frame) = framer.next() {
            seen.push(match frame {
                Frame::Message(object) => {
                    assert!(object.text.len() <= limits.bytes);
                    assert!(oracle::depth(object.text) <= limits.depth);
                    check_message(&object);
                    Seen::Message(object.text.to_owned())
                }
                Frame::Other => Seen::Other,
                Frame::Refused { refusal, .. } => Seen::Refused(refusal),
                Frame::Broken { id, reason } => Seen::Broken(id, reason),
                Frame::Garbage(bytes) => Seen::Garbage(bytes.to_owned()),
            });
        }
    }
    (seen, framer.is_mid_message())
}

/// Of garbage, only what has come is shown.
fn assert_same(whole: &(Vec<Seen>, bool), cut: &(Vec<Seen>, bool)) {
    assert_eq!(whole.1, cut.1, "in a message or not");
    match (whole.0.split_last(), cut.0.split_last()) {
        (Some((Seen::Garbage(all), before)), Some((Seen::Garbage(some), theirs))) => {
            assert!(all.starts_with(some));
            assert_eq!(before, theirs);
        }
        _ => assert_eq!(whole.0, cut.0),
    }
}

/// As long as serde_json reads values in the stream, so does the framer.
fn assert_like_serde(bytes: &[u8], limits: Limits, seen: &[Seen]) {
    // A scalar at the very end may go on.
    let Some(end) = bytes.iter().rposition(|byte| b" \t\r\n]}\"".contains(byte)) else {
        return;
    };
    let mut theirs = serde_json::Deserializer::from_slice(&bytes[..=end]).into_iter::<&RawValue>();
    let mut ours = seen.iter();
    loop {
        let before = theirs.byte_offset();
        let Some(Ok(value)) = theirs.next() else {
            return;
        };
        let text = value.get();
        let blanks = theirs.byte_offset() - before - text.len();
        match ours.next() {
            Some(Seen::Message(message)) => assert_eq!(message, text),
            Some(Seen::Other) => assert!(!text.starts_with('{')),
            Some(Seen::Refused(Refusal::Bytes { .. })) if blanks > limits.bytes => return,
            Some(Seen::Refused(refusal)) => {
                match refusal {
                    Refusal::Bytes { limit } => assert!(text.len() > *limit),
                    Refusal::Depth { limit } => assert!(oracle::depth(text) > *limit),
                }
                let Some(Seen::Broken(id, reason)) = ours.next() else {
                    panic!("the end of what was refused is missing");
                };
                assert_eq!(*reason, Fault::Refused(*refusal));
                assert_eq!(*id, id_of(text), "{text}");
            }
            other => panic!("{other:?} for {text:?}"),
        }
    }
}

/// The id of valid JSON, as far as it is one of ours.
fn id_of(text: &str) -> Option<u64> {
    // What the skimmer cannot decode it does not take for "id".
    if !text.starts_with('{') {
        return None;
    }
    let Some(members) = Members::of(text) else {
        return skipped_id(text);
    };
    members.get("id")?.parse().ok()
}

/// The same where a name is half of a surrogate pair, which serde_json does not read.
fn skipped_id(text: &str) -> Option<u64> {
    let mut framer = Framer::new(Limits {
        bytes: text.len(),
        depth: MAX_DEPTH,
    });
    framer.buffer().unwrap().extend_from_slice(text.as_bytes());
    match framer.next()? {
        Frame::Message(object) => object.member(Member::Id)?.parse().ok(),
        _ => None,
    }
}

fn check_message(object: &Object) {
    let message = Message::classify(object);
    if let Message::Event(view) = &message {
        let mut queue = EventQueue::new(1, usize::MAX);
        queue.push(view);
        let event = queue.take().unwrap().unwrap();
        let (name, data, json) = event.c_texts();
        assert!(!name[..name.len() - 1].contains('\0'));
        assert_eq!(json.strip_suffix('\0'), Some(object.text));
        assert_eq!(data.is_some(), view.data.is_some());
        Shutdown::of(view);
    }
    if let Message::Greeting { .. } = message {
        let json = object.text.into();
        Greeting { json }.version();
    }
    let Some(members) = Members::of(object.text) else {
        assert!(oracle::value(object.text.as_bytes()).is_some());
        return;
    };
    for (name, member) in [
        ("QMP", Member::Qmp),
        ("return", Member::Return),
        ("error", Member::Error),
        ("event", Member::Event),
        ("data", Member::Data),
        ("timestamp", Member::Timestamp),
        ("id", Member::Id),
    ] {
        assert_eq!(object.member(member), members.get(name), "{name}");
    }
    check_meaning(&message, &members);
}

fn check_meaning(message: &Message, members: &Members) {
    let string = |raw: &str| serde_json::from_str::<String>(raw).ok();
    let id = match members.get("id").map(serde_json::from_str::<u64>) {
        None => Id::Absent,
        Some(Ok(id)) => Id::Ours(id),
        Some(Err(_)) => Id::Foreign,
    };
    let both = (members.get("return"), members.get("error"));
    match (message, members.get("event"), both) {
        (Message::Event(view), Some(raw), _) => {
            assert_eq!(string(raw).as_deref(), Some(&*view.name));
            assert_eq!(view.data, members.get("data"));
            let timestamp = members.get("timestamp").and_then(timestamp);
            assert_eq!(view.timestamp, timestamp);
        }
        (Message::OddEvent, Some(raw), _) => {
            assert!(string(raw).is_none_or(|name| name.contains('\0')));
        }
        (Message::Return { id: ours, value }, None, (Some(raw), None)) => {
            assert_eq!((*ours, *value), (id, raw));
        }
        (Message::Error { id: ours, error }, None, (None, Some(raw))) => {
            assert_eq!(*ours, id);
            let told = Members::of(raw);
            let class = told.as_ref().and_then(|told| told.get("class"));
            if let Some(class) = class.and_then(string) {
                assert_eq!(error.class, class.replace('\0', "\\u0000"));
            }
            assert!(!error.class.contains('\0') && !error.description.contains('\0'));
        }
        (Message::Contradictory { id: ours }, None, (Some(_), Some(_))) => assert_eq!(*ours, id),
        (Message::Greeting { qmp }, None, (None, None)) => {
            assert_eq!(Some(*qmp), members.get("QMP"));
            assert!(qmp.starts_with('{'));
        }
        (Message::Contradictory { id: ours }, None, (None, None)) => {
            assert!(*ours == id && id != Id::Absent);
        }
        (Message::Unknown, None, (None, None)) => assert_eq!(id, Id::Absent),
        other => panic!("{other:?}"),
    }
}

fn timestamp(raw: &str) -> Option<(i64, i64)> {
    let members = Members::of(raw)?;
    let number = |name| members.get(name)?.parse().ok();
    Some((number("seconds")?, number("microseconds")?))
}
