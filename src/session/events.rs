// SPDX-License-Identifier: MIT OR Apache-2.0
//! Events and the bounded queue they wait in.

use std::collections::VecDeque;
use std::mem;
use std::ops::Range;

use crate::wire::message::EventView;

#[cfg(test)]
mod tests;

/// An event of the VM. Its texts stand in one piece of memory, each followed by a NUL, so that
/// they can be shown to C where they are.
#[derive(Debug)]
pub struct Event {
    texts: Box<str>,
    json: Range<usize>,
    name: Range<usize>,
    data: Option<Range<usize>>,
    /// Seconds and microseconds of the VM's wall clock; -1 and -1 where it did not say.
    pub timestamp: (i64, i64),
    /// Counts the events of a connection from 1, lost ones included.
    pub sequence: u64,
    /// How many were lost between the event handed out before this one and this one.
    pub lost: u64,
}

impl Event {
    pub fn json(&self) -> &str {
        &self.texts[self.json.clone()]
    }

    pub fn name(&self) -> &str {
        &self.texts[self.name.clone()]
    }

    /// Verbatim JSON; None where the event has none.
    pub fn data(&self) -> Option<&str> {
        self.data.clone().map(|range| &self.texts[range])
    }

    /// Name, data and JSON, each with the NUL that ends it.
    pub fn c_texts(&self) -> (&str, Option<&str>, &str) {
        let with_nul = |range: &Range<usize>| &self.texts[range.start..=range.end];
        (
            with_nul(&self.name),
            self.data.as_ref().map(with_nul),
            with_nul(&self.json),
        )
    }
}

/// Whether a manager that misses this event loses track of the VM.
fn is_important(view: &EventView<'_>) -> bool {
    match &*view.name {
        "SHUTDOWN"
        | "STOP"
        | "RESUME"
        | "RESET"
        | "GUEST_PANICKED"
        | "DEVICE_DELETED"
        | "BLOCK_JOB_COMPLETED"
        | "BLOCK_JOB_CANCELLED" => true,
        "JOB_STATUS_CHANGE" => view
            .data
            .is_some_and(|data| data.contains("\"concluded\"") || data.contains("\"null\"")),
        _ => false,
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoMemory;

/// Events in wire order. When there are too many the oldest unimportant one makes room, and an
/// important one only if there is no other.
#[derive(Debug)]
pub struct EventQueue {
    ordinary: Ring,
    important: Ring,
    capacity: usize,
    last_received: u64,
    last_taken: u64,
}

impl EventQueue {
    /// At most `capacity` events that together need at most `bytes`. Half of these are for the
    /// important ones: neither a flood of the others nor their size pushes them out.
    pub fn new(capacity: usize, bytes: usize) -> EventQueue {
        EventQueue {
            ordinary: Ring::new(bytes - bytes / 2),
            important: Ring::new(bytes / 2),
            capacity,
            last_received: 0,
            last_taken: 0,
        }
    }

    pub fn len(&self) -> usize {
        self.ordinary.entries.len() + self.important.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// One that is too large, or for which memory is short, is lost.
    pub fn push(&mut self, view: &EventView<'_>) {
        self.last_received += 1;
        let ring = if is_important(view) {
            &mut self.important
        } else {
            &mut self.ordinary
        };
        ring.push(view, self.last_received);
        while self.len() > self.capacity && (self.ordinary.pop() || self.important.pop()) {}
    }

    /// The oldest event. It stays where it is when there is no memory to hand it out.
    pub fn take(&mut self) -> Result<Option<Event>, NoMemory> {
        let sequence = |ring: &Ring| ring.entries.front().map(|entry| entry.sequence);
        let ring = match (sequence(&self.ordinary), sequence(&self.important)) {
            (Some(a), Some(b)) if b < a => &mut self.important,
            (None, _) => &mut self.important,
            _ => &mut self.ordinary,
        };
        let Some(mut event) = ring.front()? else {
            return Ok(None);
        };
        ring.pop();
        ring.give_back();
        event.lost = event.sequence - self.last_taken - 1;
        self.last_taken = event.sequence;
        Ok(Some(event))
    }
}

/// What a burst needed is not kept for a quiet time.
const KEPT: usize = 4096;

/// Events one behind the other in memory of the queue's own. Were each to have its own from
/// `malloc`, which keeps the memory of threads apart, every thread that reads for a while could
/// cost as much as the whole queue.
#[derive(Debug)]
struct Ring {
    entries: VecDeque<Entry>,
    /// JSON and name of each, ended by NULs.
    texts: VecDeque<u8>,
    most: usize,
}

#[derive(Debug)]
struct Entry {
    /// How long its texts are, and where its JSON ends in them, and where its data stands.
    length: usize,
    json: usize,
    data: Option<Range<usize>>,
    timestamp: (i64, i64),
    sequence: u64,
}

impl Ring {
    fn new(most: usize) -> Ring {
        Ring {
            entries: VecDeque::new(),
            texts: VecDeque::new(),
            most,
        }
    }

    fn push(&mut self, view: &EventView<'_>, sequence: u64) {
        let json = view.json.len();
        let length = json + 1 + view.name.len() + 1;
        let cost = |entries: usize, texts: usize| entries * mem::size_of::<Entry>() + texts;
        if cost(1, length) > self.most {
            // Making room for it would cost all the others.
            return;
        }
        while cost(self.entries.len() + 1, self.texts.len() + length) > self.most {
            self.pop();
        }
        if self.reserve(length).is_none() {
            return;
        }
        for text in [view.json, &view.name] {
            self.texts.extend(text.as_bytes());
            self.texts.push_back(0);
        }
        self.entries.push_back(Entry {
            length,
            json,
            data: view.data.and_then(|data| place(view.json, data)),
            timestamp: view.timestamp.unwrap_or((-1, -1)),
            sequence,
        });
    }

    /// Room for one more event. It doubles, but not beyond what may ever be needed.
    fn reserve(&mut self, length: usize) -> Option<()> {
        let held = self.texts.len();
        if self.texts.capacity() - held < length {
            let wanted = (2 * self.texts.capacity()).clamp(held + length, self.most);
            self.texts.try_reserve_exact(wanted - held).ok()?;
        }
        self.entries.try_reserve(1).ok()
    }

    /// Drops the oldest event. False: there is none.
    fn pop(&mut self) -> bool {
        let Some(entry) = self.entries.pop_front() else {
            return false;
        };
        self.texts.drain(..entry.length);
        true
    }

    /// A copy of the oldest event.
    fn front(&self) -> Result<Option<Event>, NoMemory> {
        let Some(entry) = self.entries.front() else {
            return Ok(None);
        };
        let data = entry.data.clone().unwrap_or_default();
        let mut texts = Vec::new();
        texts
            .try_reserve_exact(entry.length + data.len() + 1)
            .map_err(|_| NoMemory)?;
        let (first, second) = self.texts.as_slices();
        let first = &first[..entry.length.min(first.len())];
        texts.extend_from_slice(first);
        texts.extend_from_slice(&second[..entry.length - first.len()]);
        texts.extend_from_within(data.clone());
        texts.push(0);
        Ok(Some(Event {
            // It was text when it came.
            texts: String::from_utf8(texts).unwrap_or_default().into(),
            json: 0..entry.json,
            name: entry.json + 1..entry.length - 1,
            data: entry
                .data
                .as_ref()
                .map(|data| entry.length..entry.length + data.len()),
            timestamp: entry.timestamp,
            sequence: entry.sequence,
            lost: 0,
        }))
    }

    fn give_back(&mut self) {
        if self.entries.is_empty() && self.texts.capacity() > KEPT {
            self.entries = VecDeque::new();
            self.texts = VecDeque::new();
        }
    }
}

/// Where a part of a text stands in it. None: it is no part of it.
fn place(text: &str, part: &str) -> Option<Range<usize>> {
    let start = (part.as_ptr() as usize).checked_sub(text.as_ptr() as usize)?;
    let range = start..start.checked_add(part.len())?;
    (text.get(range.clone()) == Some(part)).then_some(range)
}
