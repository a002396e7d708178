// SPDX-License-Identifier: MIT OR Apache-2.0
//! Events and the bounded queue they wait in.

use std::collections::VecDeque;
use std::mem;
use std::ops::Range;

use crate::wire::message::EventView;

#[cfg(test)]
mod tests;

/// The VM sent it.
pub const KIND_VM: i32 = 0;
/// The library's own: the connection has ended.
pub const KIND_DISCONNECTED: i32 = 1;
/// The library's own: there is a connection again.
pub const KIND_RECONNECTED: i32 = 2;

/// An event. Its texts stand in one piece of memory, each followed by a NUL, so that
/// they can be shown to C where they are.
#[derive(Debug)]
pub struct Event {
    /// [`KIND_VM`], or one of the library's own.
    pub kind: i32,
    texts: Box<str>,
    json: Range<usize>,
    name: Range<usize>,
    data: Option<Range<usize>>,
    /// Seconds and microseconds of the VM's wall clock; -1 and -1 where it did not say.
    pub timestamp: (i64, i64),
    /// Counts the events of a connection from 1, lost ones included.
    pub sequence: u64,
    /// How many were lost right before this one.
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

/// What makes room for what: the oldest of the lowest goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Importance {
    Ordinary,
    /// A manager that misses it loses track of the VM.
    Important,
    /// It may be the last that is heard.
    Vital,
}

const LEVELS: usize = 3;

fn importance(view: &EventView<'_>) -> Importance {
    match &*view.name {
        "SHUTDOWN" | "GUEST_PANICKED" => Importance::Vital,
        "STOP"
        | "RESUME"
        | "RESET"
        | "DEVICE_DELETED"
        | "BLOCK_JOB_COMPLETED"
        | "BLOCK_JOB_CANCELLED" => Importance::Important,
        "JOB_STATUS_CHANGE"
            if view.data.is_some_and(|data| {
                data.contains("\"concluded\"") || data.contains("\"null\"")
            }) =>
        {
            Importance::Important
        }
        _ => Importance::Ordinary,
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoMemory;

/// Events in wire order. When there are too many the oldest of the least important makes room.
#[derive(Debug)]
pub struct EventQueue {
    /// By importance. None: as long as nothing comes.
    rings: Option<Box<[Ring; LEVELS]>>,
    capacity: usize,
    bytes: usize,
    last_received: u64,
    /// How many were lost since the last event that is still there: the next one tells.
    lost: u64,
}

impl EventQueue {
    /// At most `capacity` events that together need at most `bytes`. Half of these are for the
    /// ordinary ones: neither a flood of them nor their size pushes the others out.
    pub fn new(capacity: usize, bytes: usize) -> EventQueue {
        EventQueue {
            rings: None,
            capacity,
            bytes,
            last_received: 0,
            lost: 0,
        }
    }

    pub fn len(&self) -> usize {
        self.rings().map(|ring| ring.entries.len()).sum()
    }

    fn rings(&self) -> impl Iterator<Item = &Ring> {
        self.rings.iter().flat_map(|rings| rings.iter())
    }

    fn made_rings(&mut self) -> &mut [Ring; LEVELS] {
        let quarter = self.bytes / 4;
        let most = [self.bytes - 2 * quarter, quarter, quarter];
        self.rings
            .get_or_insert_with(|| Box::new(most.map(Ring::new)))
    }

    /// Gives back what an empty queue keeps for the next event.
    pub fn trim(&mut self) {
        if self.is_empty() {
            self.rings = None;
        }
    }

    pub fn is_empty(&self) -> bool {
        self.rings().all(|ring| ring.entries.is_empty())
    }

    /// One that is too large, or for which memory is short, is lost.
    pub fn push(&mut self, view: &EventView<'_>) {
        self.push_as(KIND_VM, importance(view), view);
    }

    /// An event of the library's own.
    pub fn push_own(&mut self, kind: i32, view: &EventView<'_>) {
        self.push_as(kind, Importance::Vital, view);
    }

    fn push_as(&mut self, kind: i32, importance: Importance, view: &EventView<'_>) {
        self.last_received += 1;
        let sequence = self.last_received;
        let level = importance as usize;
        let cost = Ring::cost_of(view);
        while self.made_rings()[level].is_too_full_for(cost) {
            self.lose_oldest_of(level);
        }
        let lost = self.lost;
        match self.made_rings()[level].push(kind, view, sequence, lost) {
            Ok(()) => self.lost = 0,
            Err(NoRoom) => self.lost += 1,
        }
        while self.len() > self.capacity {
            let lowest = self.rings().position(|ring| !ring.entries.is_empty());
            self.lose_oldest_of(lowest.unwrap_or_default());
        }
    }

    /// The event that came after it tells.
    fn lose_oldest_of(&mut self, level: usize) {
        let Some(rings) = &mut self.rings else {
            return;
        };
        let Some(gone) = rings[level].pop() else {
            return;
        };
        let next_of = |ring: &Ring| {
            let at = ring.entries.partition_point(|e| e.sequence < gone.sequence);
            ring.entries.get(at).map(|next| (next.sequence, at))
        };
        let nexts = rings.iter().enumerate();
        let next = nexts.filter_map(|(ring, all)| next_of(all).map(|(s, at)| (s, ring, at)));
        let lost = match next.min() {
            Some((_, ring, at)) => &mut rings[ring].entries[at].lost,
            None => &mut self.lost,
        };
        *lost += gone.lost + 1;
    }

    /// The oldest event. It stays where it is when there is no memory to hand it out.
    pub fn take(&mut self) -> Result<Option<Event>, NoMemory> {
        let first = |ring: &&mut Ring| ring.entries.front().map_or(u64::MAX, |e| e.sequence);
        let rings = self.rings.iter_mut().flat_map(|rings| rings.iter_mut());
        let Some(ring) = rings.min_by_key(first) else {
            return Ok(None);
        };
        let event = ring.copy(0)?;
        ring.pop();
        ring.give_back();
        Ok(event)
    }

    /// The oldest event that is `wanted`. Those before it stay.
    pub fn take_where(
        &mut self,
        wanted: &dyn Fn(&EventView<'_>) -> bool,
    ) -> Result<Option<Event>, NoMemory> {
        let Some(rings) = &mut self.rings else {
            return Ok(None);
        };
        let mut found: Option<(usize, usize, u64)> = None;
        for (level, ring) in rings.iter_mut().enumerate() {
            if let Some((at, sequence)) = ring.position(wanted) {
                if found.is_none_or(|(_, _, other)| sequence < other) {
                    found = Some((level, at, sequence));
                }
            }
        }
        let Some((level, at, _)) = found else {
            return Ok(None);
        };
        let ring = &mut rings[level];
        let event = ring.copy(at)?;
        ring.remove(at);
        ring.give_back();
        Ok(event)
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
    kind: i32,
    /// How long its texts are, and where its JSON ends in them, and where its data stands.
    length: usize,
    json: usize,
    data: Option<Range<usize>>,
    timestamp: (i64, i64),
    sequence: u64,
    lost: u64,
}

/// An event is too large, or memory is short.
struct NoRoom;

impl Ring {
    fn new(most: usize) -> Ring {
        Ring {
            entries: VecDeque::new(),
            texts: VecDeque::new(),
            most,
        }
    }

    fn cost_of(view: &EventView<'_>) -> usize {
        mem::size_of::<Entry>() + length(view)
    }

    /// Something in it has to go for one of this cost.
    fn is_too_full_for(&self, cost: usize) -> bool {
        let held = self.entries.len() * mem::size_of::<Entry>() + self.texts.len();
        // Making room for one that is too large by itself would cost all the others.
        cost <= self.most && held + cost > self.most
    }

    fn push(
        &mut self,
        kind: i32,
        view: &EventView<'_>,
        sequence: u64,
        lost: u64,
    ) -> Result<(), NoRoom> {
        let length = length(view);
        if Ring::cost_of(view) > self.most || self.reserve(length).is_none() {
            return Err(NoRoom);
        }
        for text in [view.json, &view.name] {
            self.texts.extend(text.as_bytes());
            self.texts.push_back(0);
        }
        self.entries.push_back(Entry {
            kind,
            length,
            json: view.json.len(),
            data: view.data.and_then(|data| place(view.json, data)),
            timestamp: view.timestamp.unwrap_or((-1, -1)),
            sequence,
            lost,
        });
        Ok(())
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

    /// Drops the oldest event.
    fn pop(&mut self) -> Option<Entry> {
        let entry = self.entries.pop_front()?;
        self.texts.drain(..entry.length);
        Some(entry)
    }

    /// The first that is wanted, and its sequence.
    fn position(&mut self, wanted: &dyn Fn(&EventView<'_>) -> bool) -> Option<(usize, u64)> {
        let mut rest: &[u8] = self.texts.make_contiguous();
        for (at, entry) in self.entries.iter().enumerate() {
            let (texts, others) = rest.split_at(entry.length);
            rest = others;
            // It was text when it came.
            let texts = std::str::from_utf8(texts).unwrap_or_default();
            let text = |range: Range<usize>| texts.get(range).unwrap_or_default();
            let view = EventView {
                name: text(entry.json + 1..entry.length - 1).into(),
                json: text(0..entry.json),
                data: entry.data.clone().map(text),
                timestamp: Some(entry.timestamp),
            };
            if entry.kind == KIND_VM && wanted(&view) {
                return Some((at, entry.sequence));
            }
        }
        None
    }

    fn remove(&mut self, at: usize) {
        let start = self.start(at);
        if let Some(entry) = self.entries.remove(at) {
            self.texts.drain(start..start + entry.length);
        }
    }

    /// Where the texts of an entry begin.
    fn start(&self, at: usize) -> usize {
        self.entries.iter().take(at).map(|entry| entry.length).sum()
    }

    /// A copy of an event.
    fn copy(&self, at: usize) -> Result<Option<Event>, NoMemory> {
        let Some(entry) = self.entries.get(at) else {
            return Ok(None);
        };
        let data = entry.data.clone().unwrap_or_default();
        let mut texts = Vec::new();
        texts
            .try_reserve_exact(entry.length + data.len() + 1)
            .map_err(|_| NoMemory)?;
        let start = self.start(at);
        texts.extend(self.texts.range(start..start + entry.length));
        texts.extend_from_within(data.clone());
        texts.push(0);
        Ok(Some(Event {
            kind: entry.kind,
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
            lost: entry.lost,
        }))
    }

    fn give_back(&mut self) {
        if self.entries.is_empty() && self.texts.capacity() > KEPT {
            self.entries = VecDeque::new();
            self.texts = VecDeque::new();
        }
    }
}

/// Of the texts that are kept: JSON and name, each ended by a NUL.
fn length(view: &EventView<'_>) -> usize {
    view.json.len() + 1 + view.name.len() + 1
}

/// Where a part of a text stands in it. None: it is no part of it.
fn place(text: &str, part: &str) -> Option<Range<usize>> {
    let start = (part.as_ptr() as usize).checked_sub(text.as_ptr() as usize)?;
    let range = start..start.checked_add(part.len())?;
    (text.get(range.clone()) == Some(part)).then_some(range)
}
