// SPDX-License-Identifier: MIT OR Apache-2.0
//! However a transcript is cut, it says the same.

use proptest::collection::vec;
use proptest::prelude::*;
use qmp::wire::{Fault, Frame, Framer, Id, Limits, MAX_DEPTH, Message};

use super::cases;
use super::json::{blanks, object, string, value};

/// What QEMU was recorded to say: short replies, events, errors of every kind, and everything on many lines.
const RECORDED: [&[u8]; 3] = [
    include_bytes!("../../fuzz/corpus/framing/qemu-7.2"),
    include_bytes!("../../fuzz/corpus/framing/qemu-7.2-pretty"),
    include_bytes!("../../fuzz/corpus/framing/qemu-7.2-schema"),
];

const MAX_BYTES: usize = 400;

/// What a piece of a transcript means.
#[derive(Clone, Debug, PartialEq)]
enum Heard {
    Return(u64, String),
    Error(u64, String),
    Event(String),
    NoMessage,
    Broken(Option<u64>),
    TooLarge,
}

/// A piece of a transcript, and what it means.
fn said() -> impl Strategy<Value = (String, Vec<Heard>)> {
    let one = |text, heard| (text, vec![heard]);
    prop_oneof![
        4 => (any::<u64>(), value()).prop_map(move |(id, value)| {
            let text = format!("{{\"return\":{value},\"id\": {id}}}");
            match text.len() {
                0..=MAX_BYTES => one(text, Heard::Return(id, value)),
                _ => (text, vec![Heard::TooLarge, Heard::Broken(Some(id))]),
            }
        }),
        2 => (any::<u64>(), "[A-Z][a-z]{1,9}").prop_map(move |(id, class)| {
            one(
                format!("{{ \"id\" : {id}, \"error\": {{\"class\": \"{class}\", \"desc\": \"}}\"}} }}"),
                Heard::Error(id, class),
            )
        }),
        2 => ("[A-Z_]{1,9}", string()).prop_map(move |(name, data)| {
            one(format!("{{\"data\": {data}, \"event\": \"{name}\", \"id\": 1}}"), Heard::Event(name))
        }),
        1 => any::<u64>().prop_map(move |id| {
            one(format!("{{\"return\": inf, \"id\": {id}}}"), Heard::Broken(Some(id)))
        }),
        1 => any::<u64>().prop_map(move |id| {
            let long = "x".repeat(MAX_BYTES);
            (
                format!("{{\"\\u0069d\": {id}, \"return\": \"{long}\"}}"),
                vec![Heard::TooLarge, Heard::Broken(Some(id))],
            )
        }),
        1 => object().prop_map(move |object| one(format!("[{object}, \"]\"]"), Heard::NoMessage))
            .prop_filter("within the limit", |(text, _)| text.len() <= MAX_BYTES),
    ]
}

fn heard(
    mut transcript: &[u8],
    max_bytes: usize,
    mut sizes: impl Iterator<Item = usize>,
) -> Vec<Heard> {
    let mut framer = Framer::new(Limits {
        bytes: max_bytes,
        depth: MAX_DEPTH,
    });
    let mut heard = Vec::new();
    while !transcript.is_empty() {
        let buffer = framer.buffer().unwrap();
        let room = buffer.capacity() - buffer.len();
        let size = sizes.next().unwrap().clamp(1, room.min(transcript.len()));
        let (piece, rest) = transcript.split_at(size);
        buffer.extend_from_slice(piece);
        transcript = rest;
        while let Some(frame) = framer.next() {
            heard.push(meaning(frame));
        }
    }
    assert!(!framer.is_mid_message());
    heard
}

fn meaning(frame: Frame) -> Heard {
    match frame {
        Frame::Message(object) => match Message::classify(&object) {
            Message::Return {
                id: Id::Ours(id),
                value,
            } => Heard::Return(id, value.to_owned()),
            Message::Error {
                id: Id::Ours(id),
                error,
            } => Heard::Error(id, error.class),
            Message::Event(view) => Heard::Event(view.name.into_owned()),
            _ => Heard::NoMessage,
        },
        Frame::Other => Heard::NoMessage,
        Frame::Broken { id, reason } => {
            assert!(matches!(reason, Fault::NotJson | Fault::Refused(_)));
            Heard::Broken(id)
        }
        Frame::Refused { .. } => Heard::TooLarge,
        Frame::Garbage(bytes) => panic!("{}", bytes.escape_ascii()),
    }
}

proptest! {
    #![proptest_config(cases(400))]

    #[test]
    fn a_transcript_means_what_was_said_however_it_is_cut(
        said in vec((said(), blanks()), 0..12),
        sizes in vec(1usize..40, 1..20),
    ) {
        let transcript: String = said.iter().map(|((text, _), blanks)| text.clone() + blanks).collect();
        let expected: Vec<Heard> = said.into_iter().flat_map(|((_, heard), _)| heard).collect();
        let sizes = sizes.into_iter().cycle();
        prop_assert_eq!(&heard(transcript.as_bytes(), MAX_BYTES, sizes), &expected);
    }

    #[test]
    fn what_qemu_said_means_the_same_however_it_is_cut(
        which in 0..RECORDED.len(),
        sizes in vec(1usize..200, 1..20),
    ) {
        let whole = heard(RECORDED[which], 1 << 20, std::iter::repeat(usize::MAX));
        prop_assert!(whole.len() >= 3);
        prop_assert_eq!(heard(RECORDED[which], 1 << 20, sizes.into_iter().cycle()), whole);
    }
}
