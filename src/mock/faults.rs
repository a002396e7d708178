// SPDX-License-Identifier: MIT OR Apache-2.0
//! The faults by name: what goes out in place of a message.

use std::time::Duration;

use super::message::{Answer, Event, Message, timestamp, with_id_after, with_id_before};
use super::step::Step;
use crate::wire::quote;

const GREETING: u8 = 1;
const REPLY: u8 = 2;
const EVENT: u8 = 4;
const ANY: u8 = GREETING | REPLY | EVENT;

/// Where a fault may be put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Greeting,
    Reply,
    Event,
}

/// A fault of the table below, with its amount.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fault {
    kind: &'static Kind,
    amount: u64,
}

/// How a fault changes the messages and steps of one place.
type Apply = fn(&Message, u64) -> Vec<Step>;

#[derive(Debug)]
struct Kind {
    name: &'static str,
    places: u8,
    /// What the amount is when the user gave 0; 0 where there is none.
    amount: u64,
    what: &'static str,
    apply: Apply,
}

macro_rules! kinds {
    ($($name:literal $places:expr, $amount:literal, $what:literal, $apply:expr;)*) => {
        &[$(Kind { name: $name, places: $places, amount: $amount, what: $what, apply: $apply }),*]
    };
}

static KINDS: &[Kind] = kinds! {
    "bytewise" ANY, 0, "byte by byte", |m, _| drip(m, Duration::ZERO);
    "slow-loris" ANY, 100, "byte by byte, with a pause of so many ms after each", |m, ms| drip(m, Duration::from_millis(ms));
    "pretty" ANY, 0, "spread over many lines", |m, _| line(pretty(&m.text()));
    "no-newline" ANY, 0, "without a newline", |m, _| vec![Step::text(m.text())];
    "blank-lines" ANY, 3, "after so many blank lines", |m, n| line("\r\n".repeat(count(n)) + &m.text());
    "bom" ANY, 0, "after a byte order mark", |m, _| line(format!("\u{feff}{}", m.text()));
    "ff" ANY, 0, "after a byte 0xFF", |m, _| bytes(b"\xff", m);
    "garbage" ANY, 0, "after bytes that are no JSON", |m, _| bytes(b"%$#! 7f\x01\n", m);
    "array" ANY, 0, "after an array, which is no message", |m, _| line(format!("[1, {{}}]\r\n{}", m.text()));
    "scalar" ANY, 0, "after a number, which is no message", |m, _| line(format!("17\r\n{}", m.text()));
    "http" ANY, 0, "an HTTP answer instead", |_, _| line("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n".into());
    "hmp" ANY, 0, "the human monitor's banner instead", |_, _| line("QEMU 7.2.22 monitor - type 'help' for more information\r\n(qemu) ".into());
    "tls" ANY, 0, "a TLS alert instead", |_, _| vec![Step::Bytes(b"\x15\x03\x01\x00\x02\x02\x46".to_vec())];
    "not-qmp" ANY, 0, "JSON of another protocol instead", |_, _| line("{\"jsonrpc\": \"2.0\", \"method\": \"hello\"}".into());
    "silent" ANY, 0, "nothing; the command is executed", |_, _| Vec::new();
    "twice" ANY, 2, "so many times", |m, n| line(vec![m.text(); count(n)].join("\r\n"));
    "event-first" ANY, 1, "after so many events", |m, n| line(events(n) + &m.text());
    "huge" ANY, 100_000_000, "with a string of so many bytes in it", |m, n| around(m, b"\"", Step::fill(b'x', n), b"\"");
    "endless-string" ANY, 0, "a string that never ends", |m, _| unended(m, "\"", Step::endless("x"));
    "endless-blanks" ANY, 0, "blanks that never end in the midst", |m, _| unended(m, "", Step::endless(" "));
    "deep" ANY, 1000, "with so many arrays in each other", |m, n| around(m, b"", nested(n), b"");
    "bottomless" ANY, 1_000_000, "with so many arrays in each other that are not closed", |m, n| {
        let [opening, rest] = Step::fill(b'[', n);
        vec![Step::text(m.around().0), opening, rest]
    };
    "many-keys" ANY, 200_000, "with an object of so many members", |m, n| around(m, b"{", [Step::text(members(n))], b"}");
    "big-number" ANY, 400, "with a number of so many digits", |m, n| around(m, b"", Step::fill(b'7', n), b"");
    "not-json" ANY, 0, "with the word inf for a value", |m, _| value(m, b"inf");
    "bad-utf8" ANY, 0, "with bytes that are no UTF-8", |m, _| value(m, b"\"\xc3\x28\xff\"");
    "raw-surrogate" ANY, 0, "with a surrogate in UTF-8", |m, _| value(m, b"\"\xed\xa0\x80\"");
    "raw-nul" ANY, 0, "with a NUL byte", |m, _| value(m, b"\"a\0b\"");
    "lone-surrogate" ANY, 0, "with the escape of half a surrogate pair", |m, _| value(m, b"\"\\ud800\"");
    "escaped-nul" ANY, 0, "with the escape of a NUL in a string", |m, _| value(m, b"\"admin\\u0000x\"");
    "unknown-members" ANY, 0, "with a member that nobody knows", |m, _| line(m.text().replacen('{', "{\"x-new\": [{\"return\": 1}], ", 1));
    "duplicate-keys" ANY, 0, "with a member of the same name before each", |m, _| line(duplicated(m));
    "cut" ANY, 0, "cut after so many bytes, or in its midst, then the end", |m, n| cut(m, n);
    "close" ANY, 0, "the end of the connection instead; the command is executed", |_, _| vec![Step::Close];
    "reset" ANY, 0, "a reset of the connection instead; the command is executed", |_, _| vec![Step::Reset];
    "close-after" ANY, 0, "then the end of the connection", |m, _| then(m, Step::Close);
    "reset-after" ANY, 0, "then a reset of the connection", |m, _| then(m, Step::Reset);
    "half-close" ANY, 0, "then the mock ends its writing, and goes on reading", |m, _| then(m, Step::EndWriting);
    "half-close-reading" ANY, 0, "then the mock ends its reading, and goes on writing", |m, _| then(m, Step::EndReading);
    "stop-reading" ANY, 0, "then the mock reads no more", |m, _| then(m, Step::StopReading);
    "slow-reading" ANY, 200_000, "then the mock reads so many bytes a second", |m, n| then(m, Step::SlowReading(n));
    "flood" ANY, 0, "then so many events, or without end", |m, n| flood(m, n);
    "no-version" GREETING, 0, "without a version", |_, _| line("{\"QMP\": {\"capabilities\": []}}".into());
    "odd-capabilities" GREETING, 0, "with capabilities that are unknown or no strings", |m, _| odd_capabilities(m);
    "reordered" REPLY, 2, "kept until there are so many, which then go out last first", |m, _| line(m.text());
    "unknown-id" REPLY, 0, "with an id that was never sent", |m, _| other_id(m, "987654321");
    "text-id" REPLY, 0, "with its id as a string", |m, _| other_id(m, &quote(&id_of(m)));
    "no-id" REPLY, 0, "without its id", |m, _| without_id(m);
    "stray-first" REPLY, 0, "after a reply with an id that was never sent", |m, _| stray_first(m);
    "error-without-id" REPLY, 1, "so many errors without an id instead", |_, n| line(errors(n));
    "both" REPLY, 0, "with a return and an error", |m, _| line(both(m));
    "neither" REPLY, 0, "with neither a return nor an error", |m, _| line(format!("{{\"id\": {}}}", id_of(m)));
    "unknown-class" REPLY, 0, "an error of a class that nobody knows", |m, _| failed(m, "{\"class\": \"Unheard\", \"desc\": \"of a new class\"}");
    "no-class" REPLY, 0, "an error without a class", |m, _| failed(m, "{\"desc\": \"of no class\"}");
    "error-as-string" REPLY, 0, "an error that is a string", |m, _| failed(m, "\"just a string\"");
    "no-timestamp" EVENT, 0, "without a timestamp", |m, _| line(event(m, "", "\"event\": NAME, \"data\": {}"));
    "no-data" EVENT, 0, "without data", |m, _| line(event(m, &timestamp(), ", \"event\": NAME"));
    "odd-timestamp" EVENT, 0, "with a timestamp of -1", |m, _| line(event(m, "\"timestamp\": {\"seconds\": -1, \"microseconds\": -1}", ", \"event\": NAME"));
    "odd-name" EVENT, 0, "with a name that is no string", |m, _| line(event(m, &timestamp(), ", \"event\": 17"));
    "event-with-id" EVENT, 1, "with an id", |m, n| line(event(m, &timestamp(), &format!(", \"event\": NAME, \"id\": {n}")));
};

impl Fault {
    /// The fault of that name, 0 being its usual amount; None if there is none, or not at that place.
    pub(super) fn named(name: &str, place: Place, amount: u64) -> Option<Fault> {
        let place = match place {
            Place::Greeting => GREETING,
            Place::Reply => REPLY,
            Place::Event => EVENT,
        };
        let kind = KINDS.iter().find(|kind| kind.name == name)?;
        let amount = if amount == 0 { kind.amount } else { amount };
        (kind.places & place != 0).then_some(Fault { kind, amount })
    }

    pub(super) fn resets(self) -> bool {
        self.kind.name.starts_with("reset")
    }

    /// How many replies are kept and go out in reverse.
    pub(super) fn reorders(self) -> Option<u64> {
        (self.kind.name == "reordered").then_some(self.amount)
    }

    pub(super) fn apply(self, message: &Message) -> Vec<Step> {
        (self.kind.apply)(message, self.amount)
    }
}

/// A message as it should be.
pub(super) fn sound(message: &Message) -> Vec<Step> {
    line(message.text())
}

/// All faults, as JSON text.
pub(super) fn catalogue() -> String {
    let entries = KINDS.iter().map(|kind| {
        let places = [
            (GREETING, "\"greeting\""),
            (REPLY, "\"reply\""),
            (EVENT, "\"event\""),
        ];
        let places: Vec<_> = places
            .iter()
            .filter(|(bit, _)| kind.places & bit != 0)
            .map(|(_, name)| *name)
            .collect();
        format!(
            "{{\"fault\": \"{}\", \"places\": [{}], \"amount\": {}, \"what\": {}}}",
            kind.name,
            places.join(", "),
            kind.amount,
            quote(kind.what)
        )
    });
    format!("[{}]", entries.collect::<Vec<_>>().join(",\n "))
}

fn line(text: String) -> Vec<Step> {
    vec![Step::text(text + "\r\n")]
}

fn bytes(before: &[u8], message: &Message) -> Vec<Step> {
    let text = [before, message.text().as_bytes(), b"\r\n"].concat();
    vec![Step::Bytes(text)]
}

fn count(amount: u64) -> usize {
    usize::try_from(amount).unwrap_or(usize::MAX).min(1 << 20)
}

fn drip(message: &Message, pause: Duration) -> Vec<Step> {
    let bytes = (message.text() + "\r\n").into_bytes();
    vec![Step::Drip { bytes, pause }]
}

fn then(message: &Message, step: Step) -> Vec<Step> {
    let mut steps = sound(message);
    steps.push(step);
    steps
}

/// The message with a value in it, in pieces.
fn around(
    message: &Message,
    opening: &[u8],
    middle: impl IntoIterator<Item = Step>,
    closing: &[u8],
) -> Vec<Step> {
    let (before, after) = message.around();
    let mut steps = vec![Step::Bytes([before.as_bytes(), opening].concat())];
    steps.extend(middle);
    steps.push(Step::Bytes([closing, after.as_bytes(), b"\r\n"].concat()));
    steps
}

fn value(message: &Message, value: &[u8]) -> Vec<Step> {
    around(message, value, [], b"")
}

fn unended(message: &Message, opening: &str, endless: Step) -> Vec<Step> {
    vec![Step::text(message.around().0 + opening), endless]
}

fn nested(depth: u64) -> Vec<Step> {
    let ([open, rest], [close, last]) = (Step::fill(b'[', depth), Step::fill(b']', depth));
    vec![open, rest, close, last]
}

fn members(count_: u64) -> String {
    let members: Vec<_> = (0..count(count_))
        .map(|n| format!("\"k{n}\": {n}"))
        .collect();
    members.join(", ")
}

fn cut(message: &Message, at: u64) -> Vec<Step> {
    let mut text = message.text().into_bytes();
    let half = text.len() / 2;
    text.truncate(if at == 0 { half } else { count(at) });
    vec![Step::Bytes(text), Step::Close]
}

fn events(count_: u64) -> String {
    let tick = Message::Event(Event::new("MOCK_TICK", Some("{\"pad\": \"0123456789\"}"))).text();
    (tick + "\r\n").repeat(count(count_))
}

fn flood(message: &Message, count_: u64) -> Vec<Step> {
    let unit = events(1).into_bytes();
    let times = (count_ > 0).then_some(count_);
    then(message, Step::Flood { unit, times })
}

fn id_of(message: &Message) -> String {
    match message {
        Message::Reply { id: Some(id), .. } => id.clone(),
        _ => "null".into(),
    }
}

fn other_id(message: &Message, id: &str) -> Vec<Step> {
    let mut message = message.clone();
    if let Message::Reply { id: own, .. } = &mut message {
        *own = Some(id.to_owned());
    }
    sound(&message)
}

fn without_id(message: &Message) -> Vec<Step> {
    let mut message = message.clone();
    if let Message::Reply { id, .. } = &mut message {
        *id = None;
    }
    sound(&message)
}

fn stray_first(message: &Message) -> Vec<Step> {
    let stray = Message::Reply {
        id: Some("987654321".into()),
        answer: Answer::Return("\"for somebody else\"".into()),
    };
    [sound(&stray), sound(message)]
        .into_iter()
        .flatten()
        .collect()
}

fn errors(count_: u64) -> String {
    let error = "{\"error\": {\"class\": \"GenericError\", \"desc\": \"JSON parse error\"}}";
    vec![error; count(count_)].join("\r\n")
}

fn both(message: &Message) -> String {
    let members = "\"return\": {}, \"error\": {\"class\": \"GenericError\", \"desc\": \"both\"}";
    with_id_after(members, &Some(id_of(message)))
}

fn failed(message: &Message, error: &str) -> Vec<Step> {
    line(with_id_before(
        &Some(id_of(message)),
        &format!("\"error\": {error}"),
    ))
}

fn odd_capabilities(message: &Message) -> Vec<Step> {
    let mut message = message.clone();
    if let Message::Greeting { capabilities, .. } = &mut message {
        *capabilities = "[\"oob\", \"x-new\", 17, {\"name\": null}]".into();
    }
    sound(&message)
}

/// Every member once more before itself, with another value.
fn duplicated(message: &Message) -> String {
    let text = message.text();
    let names = crate::wire::children(&text);
    let doubled = names.iter().map(|(name, value)| {
        let name = quote(name);
        format!("{name}: \"not this one\", {name}: {value}")
    });
    format!("{{{}}}", doubled.collect::<Vec<_>>().join(", "))
}

/// An event made of these parts; NAME stands for its name.
fn event(message: &Message, timestamp: &str, rest: &str) -> String {
    let name = match message {
        Message::Event(event) => quote(&event.name),
        _ => "\"MOCK\"".into(),
    };
    format!("{{{timestamp}{}}}", rest.replacen("NAME", &name, 1))
}

/// As QEMU writes it with pretty=on.
fn pretty(text: &str) -> String {
    let mut out = String::with_capacity(2 * text.len());
    let mut depth = 0usize;
    let (mut in_string, mut escaped) = (false, false);
    let mut chars = text.chars().peekable();
    while let Some(char) = chars.next() {
        if in_string {
            out.push(char);
            in_string = escaped || char != '"';
            escaped = !escaped && char == '\\';
            continue;
        }
        match char {
            '{' | '[' => {
                out.push(char);
                if matches!(chars.peek(), Some('}' | ']')) {
                    continue;
                }
                depth += 1;
                new_line(&mut out, depth);
            }
            '}' | ']' => {
                if !out.ends_with(['{', '[']) {
                    depth = depth.saturating_sub(1);
                    new_line(&mut out, depth);
                }
                out.push(char);
            }
            ',' => {
                out.push(char);
                new_line(&mut out, depth);
                while chars.peek() == Some(&' ') {
                    chars.next();
                }
            }
            _ => {
                in_string = char == '"';
                out.push(char);
            }
        }
    }
    out
}

fn new_line(out: &mut String, depth: usize) {
    out.push_str("\r\n");
    out.push_str(&"    ".repeat(depth));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pretty_is_the_same_on_more_lines() {
        let text = r#"{"a": {"b": [1, {}, []], "c": "x{\"],"}, "d": 1}"#;
        let spread = pretty(text);
        assert!(spread.lines().count() > 5, "{spread}");
        assert!(crate::wire::same(&spread, text, &|_| false), "{spread}");
    }

    #[test]
    fn every_fault_has_its_own_name_and_is_listed() {
        let listed = catalogue();
        assert_eq!(crate::wire::children(&listed).len(), KINDS.len());
        for kind in KINDS {
            let same = KINDS.iter().filter(|other| other.name == kind.name).count();
            assert_eq!(same, 1, "{}", kind.name);
        }
    }

    #[test]
    fn a_fault_is_refused_at_places_that_are_not_its_own() {
        assert!(Fault::named("no-version", Place::Greeting, 0).is_some());
        assert!(Fault::named("no-version", Place::Reply, 0).is_none());
        assert!(Fault::named("no such fault", Place::Reply, 0).is_none());
    }
}
