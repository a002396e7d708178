// SPDX-License-Identifier: MIT OR Apache-2.0
//! Events and the bounded queue they wait in.

use std::collections::VecDeque;
use std::ops::Range;

use crate::wire::message::EventView;

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
    /// None: out of memory.
    pub fn copy(view: &EventView<'_>) -> Option<Event> {
        let parts = [Some(view.json), Some(&*view.name), view.data];
        let size = parts.iter().flatten().map(|part| part.len() + 1).sum();
        let mut texts = String::new();
        texts.try_reserve_exact(size).ok()?;
        let mut append = |part: &str| {
            let start = texts.len();
            texts.push_str(part);
            texts.push('\0');
            start..start + part.len()
        };
        let json = append(view.json);
        let name = append(&view.name);
        let data = view.data.map(&mut append);
        Some(Event {
            texts: texts.into_boxed_str(),
            json,
            name,
            data,
            timestamp: view.timestamp.unwrap_or((-1, -1)),
            sequence: 0,
            lost: 0,
        })
    }

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

    fn cost(&self) -> usize {
        self.texts.len() + size_of::<Event>()
    }

    /// Whether a manager that misses this one loses track of the VM.
    fn is_important(&self) -> bool {
        match self.name() {
            "SHUTDOWN"
            | "STOP"
            | "RESUME"
            | "RESET"
            | "GUEST_PANICKED"
            | "DEVICE_DELETED"
            | "BLOCK_JOB_COMPLETED"
            | "BLOCK_JOB_CANCELLED" => true,
            "JOB_STATUS_CHANGE" => self
                .data()
                .is_some_and(|data| data.contains("\"concluded\"") || data.contains("\"null\"")),
            _ => false,
        }
    }
}

/// Events in wire order. When it is full the oldest unimportant event makes room, and an important
/// one only if there is no other.
#[derive(Debug)]
pub struct EventQueue {
    ordinary: VecDeque<Event>,
    important: VecDeque<Event>,
    bytes: usize,
    capacity: usize,
    capacity_bytes: usize,
    last_received: u64,
    last_taken: u64,
}

impl EventQueue {
    /// At most `capacity` events that together need at most `capacity_bytes`.
    pub fn new(capacity: usize, capacity_bytes: usize) -> EventQueue {
        EventQueue {
            ordinary: VecDeque::new(),
            important: VecDeque::new(),
            bytes: 0,
            capacity,
            capacity_bytes,
            last_received: 0,
            last_taken: 0,
        }
    }

    pub fn len(&self) -> usize {
        self.ordinary.len() + self.important.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// An event came that could not be kept, for want of memory.
    pub fn count_lost(&mut self) {
        self.last_received += 1;
    }

    pub fn push(&mut self, mut event: Event) {
        self.last_received += 1;
        event.sequence = self.last_received;
        if event.cost() > self.capacity_bytes {
            // Making room for it would cost all the others.
            return;
        }
        self.bytes += event.cost();
        if event.is_important() {
            self.important.push_back(event);
        } else {
            self.ordinary.push_back(event);
        }
        while self.len() > self.capacity || self.bytes > self.capacity_bytes {
            let Some(lost) = self
                .ordinary
                .pop_front()
                .or_else(|| self.important.pop_front())
            else {
                break;
            };
            self.bytes -= lost.cost();
        }
    }

    /// The oldest event.
    pub fn take(&mut self) -> Option<Event> {
        let from = match (self.ordinary.front(), self.important.front()) {
            (Some(a), Some(b)) if b.sequence < a.sequence => &mut self.important,
            (None, _) => &mut self.important,
            _ => &mut self.ordinary,
        };
        let mut event = from.pop_front()?;
        if from.is_empty() {
            // A burst's memory is not kept for a quiet time.
            from.shrink_to(64);
        }
        self.bytes -= event.cost();
        event.lost = event.sequence - self.last_taken - 1;
        self.last_taken = event.sequence;
        Some(event)
    }

    pub fn clear(&mut self) {
        self.ordinary.clear();
        self.important.clear();
        self.bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;

    fn event(name: &'static str, data: Option<&'static str>) -> Event {
        Event::copy(&EventView {
            name: Cow::Borrowed(name),
            json: "{\"event\": \"X\"}",
            data,
            timestamp: Some((5, 6)),
        })
        .unwrap()
    }

    #[test]
    fn texts_are_kept_apart() {
        let event = event("STOP", Some("{\"a\": 1}"));
        assert_eq!(event.name(), "STOP");
        assert_eq!(event.json(), "{\"event\": \"X\"}");
        assert_eq!(event.data(), Some("{\"a\": 1}"));
        assert_eq!(
            event.c_texts(),
            ("STOP\0", Some("{\"a\": 1}\0"), "{\"event\": \"X\"}\0")
        );
        assert_eq!(event.timestamp, (5, 6));
    }

    #[test]
    fn the_oldest_unimportant_event_is_lost_first_and_counted() {
        let mut queue = EventQueue::new(3, usize::MAX);
        for name in ["SHUTDOWN", "A", "B", "C", "D"] {
            queue.push(event(name, None));
        }
        let taken: Vec<_> = std::iter::from_fn(|| queue.take())
            .map(|e| (e.name().to_owned(), e.sequence, e.lost))
            .collect();
        assert_eq!(
            taken,
            [
                ("SHUTDOWN".to_owned(), 1, 0),
                ("C".to_owned(), 4, 2),
                ("D".to_owned(), 5, 0)
            ]
        );
    }

    #[test]
    fn f71_important_events_are_lost_when_there_is_nothing_else() {
        let mut queue = EventQueue::new(2, usize::MAX);
        for _ in 0..3 {
            queue.push(event("STOP", None));
        }
        queue.push(event("ORDINARY", None));
        let taken: Vec<_> = std::iter::from_fn(|| queue.take())
            .map(|e| (e.sequence, e.lost))
            .collect();
        assert_eq!(taken, [(2, 1), (3, 0)]);
        queue.push(event("ORDINARY", None));
        let last = queue.take().unwrap();
        assert_eq!((last.sequence, last.lost), (5, 1));
    }

    #[test]
    fn f71_bytes_are_bounded_too() {
        let cost = event("A", None).cost();
        let mut queue = EventQueue::new(100, 2 * cost);
        for _ in 0..5 {
            queue.push(event("A", None));
        }
        assert_eq!(queue.len(), 2);
        assert!(queue.take().is_some() && queue.take().is_some() && queue.take().is_none());
        assert_eq!(queue.bytes, 0);
    }

    #[test]
    fn an_event_that_is_too_large_by_itself_costs_no_other() {
        let cost = event("SHUTDOWN", None).cost();
        let mut queue = EventQueue::new(100, cost);
        queue.push(event("STOP", None));
        queue.push(event("SHUTDOWN", Some("{\"guest\": true}")));
        assert_eq!(queue.take().unwrap().name(), "STOP");
        queue.push(event("STOP", None));
        assert_eq!(queue.take().unwrap().lost, 1);
    }

    #[test]
    fn a_concluded_job_is_important_and_a_running_one_is_not() {
        let job = |status| event("JOB_STATUS_CHANGE", Some(status));
        assert!(job("{\"status\": \"concluded\"}").is_important());
        assert!(!job("{\"status\": \"running\"}").is_important());
    }
}
