// SPDX-License-Identifier: MIT OR Apache-2.0
use std::borrow::Cow;

use super::*;

fn view<'a>(name: &'a str, json: &'a str) -> EventView<'a> {
    EventView {
        name: Cow::Borrowed(name),
        json,
        data: None,
        timestamp: Some((5, 6)),
    }
}

const JSON: &str = "{\"event\": \"X\"}";

/// What `view(name, JSON)` costs, for a name of one letter.
const COST: usize = mem::size_of::<Entry>() + JSON.len() + 1 + 1 + 1;

fn push(queue: &mut EventQueue, names: &[&str]) {
    for name in names {
        queue.push(&view(name, JSON));
    }
}

/// Name, sequence and how many were lost of each that is left.
fn take_all(queue: &mut EventQueue) -> Vec<(String, u64, u64)> {
    std::iter::from_fn(|| queue.take().unwrap())
        .map(|event| (event.name().to_owned(), event.sequence, event.lost))
        .collect()
}

fn taken(name: &str, sequence: u64, lost: u64) -> (String, u64, u64) {
    (name.to_owned(), sequence, lost)
}

#[test]
fn texts_are_kept_apart() {
    let json = "{\"event\": \"STOP\", \"data\": {\"é\": 1}}";
    let mut queue = EventQueue::new(1, 1 << 20);
    queue.push(&EventView {
        data: Some(&json[26..json.len() - 1]),
        ..view("STOP", json)
    });
    let event = queue.take().unwrap().unwrap();
    assert_eq!(event.name(), "STOP");
    assert_eq!(event.json(), json);
    assert_eq!(event.data(), Some("{\"é\": 1}"));
    let with_nul = format!("{json}\0");
    assert_eq!(
        event.c_texts(),
        ("STOP\0", Some("{\"é\": 1}\0"), &*with_nul)
    );
    assert_eq!(event.timestamp, (5, 6));

    queue.push(&EventView {
        timestamp: None,
        ..view("A", JSON)
    });
    let event = queue.take().unwrap().unwrap();
    assert_eq!((event.data(), event.c_texts().1), (None, None));
    assert_eq!(event.timestamp, (-1, -1));
}

#[test]
fn f71_the_oldest_unimportant_event_is_lost_first_and_counted() {
    let mut queue = EventQueue::new(3, usize::MAX);
    push(&mut queue, &["SHUTDOWN", "A", "B", "C", "D"]);
    assert_eq!(
        take_all(&mut queue),
        [taken("SHUTDOWN", 1, 0), taken("C", 4, 2), taken("D", 5, 0)]
    );
}

#[test]
fn f71_important_events_are_lost_when_there_is_nothing_else() {
    let mut queue = EventQueue::new(2, usize::MAX);
    push(&mut queue, &["STOP", "STOP", "STOP", "ORDINARY"]);
    assert_eq!(
        take_all(&mut queue),
        [taken("STOP", 2, 1), taken("STOP", 3, 0)]
    );
    push(&mut queue, &["ORDINARY"]);
    assert_eq!(take_all(&mut queue), [taken("ORDINARY", 5, 1)]);
}

#[test]
fn f71_bytes_are_bounded_too() {
    let mut queue = EventQueue::new(100, 4 * (COST + "STO".len()));
    push(&mut queue, &["STOP", "A", "B", "C", "D"]);
    assert_eq!(
        take_all(&mut queue),
        [taken("STOP", 1, 0), taken("C", 4, 2), taken("D", 5, 0)]
    );
}

#[test]
fn an_event_that_is_too_large_by_itself_costs_no_other() {
    let mut queue = EventQueue::new(100, 2 * COST);
    push(&mut queue, &["A", "TOO-LARGE", "STOP"]);
    assert_eq!(take_all(&mut queue), [taken("A", 1, 0)]);
    push(&mut queue, &["B"]);
    assert_eq!(take_all(&mut queue), [taken("B", 4, 2)]);
}

/// Whatever the sizes: the memory stays within the bound, and what is kept is what came.
#[test]
fn f71_a_flood_takes_no_more_memory_than_allowed() {
    let most = 100_000;
    let mut queue = EventQueue::new(1000, 2 * most);
    let json = |n: usize| {
        format!(
            "{{\"event\": \"é\", \"data\": \"{}\"}}",
            "é".repeat(n * n % 7001)
        )
    };
    let rounds = if cfg!(miri) { 50 } else { 5000 };
    for n in 0..rounds {
        queue.push(&view("A", &json(n)));
        let ring = &queue.made_rings()[0];
        assert!(ring.texts.capacity() <= most);
        assert!(ring.texts.len() + ring.entries.len() * mem::size_of::<Entry>() <= most);
        if n % 3 == 0 {
            let event = queue.take().unwrap().unwrap();
            assert_eq!(event.json(), json(event.sequence as usize - 1));
        }
    }
    let mut last = 0;
    while let Some(event) = queue.take().unwrap() {
        assert_eq!(event.json(), json(event.sequence as usize - 1));
        last = event.sequence;
    }
    assert_eq!(last, rounds as u64);
    assert_eq!(queue.made_rings()[0].texts.capacity(), 0);
}

#[test]
fn f71_what_may_be_the_last_word_outlives_a_flood_of_the_important() {
    let mut queue = EventQueue::new(3, usize::MAX);
    push(
        &mut queue,
        &["SHUTDOWN", "STOP", "RESUME", "STOP", "RESUME"],
    );
    assert_eq!(
        take_all(&mut queue),
        [
            taken("SHUTDOWN", 1, 0),
            taken("STOP", 4, 2),
            taken("RESUME", 5, 0)
        ]
    );
}

#[test]
fn a_concluded_job_is_important_and_a_running_one_is_not() {
    let job = |data| {
        importance(&EventView {
            data: Some(data),
            ..view("JOB_STATUS_CHANGE", JSON)
        })
    };
    assert_eq!(job("{\"status\": \"concluded\"}"), Importance::Important);
    assert_eq!(job("{\"status\": \"running\"}"), Importance::Ordinary);
}

#[test]
fn one_may_be_taken_before_those_ahead_of_it() {
    let mut queue = EventQueue::new(100, 1 << 20);
    push(&mut queue, &["A", "STOP", "B", "A", "B", "C"]);
    let mut take = |name: &str| {
        let wanted = |view: &EventView<'_>| view.name == name;
        let event = queue.take_where(&wanted).unwrap()?;
        assert_eq!(event.json(), JSON);
        Some((event.sequence, event.lost))
    };
    assert_eq!(take("B"), Some((3, 0)));
    assert_eq!(take("B"), Some((5, 0)));
    assert_eq!(take("STOP"), Some((2, 0)));
    assert_eq!(take("STOP"), None);
    // What was taken early was not lost.
    assert_eq!(
        take_all(&mut queue),
        [taken("A", 1, 0), taken("A", 4, 0), taken("C", 6, 0)]
    );
}

#[test]
fn what_was_lost_is_told_once_by_the_event_behind_it() {
    let mut queue = EventQueue::new(3, 1 << 20);
    push(&mut queue, &["STOP", "A", "B", "C", "D", "E"]);
    // A, B and C made room.
    let wanted = |view: &EventView<'_>| view.name == "E";
    assert_eq!(queue.take_where(&wanted).unwrap().unwrap().lost, 0);
    push(&mut queue, &["F", "G"]);
    assert_eq!(
        take_all(&mut queue),
        [taken("STOP", 1, 0), taken("F", 7, 4), taken("G", 8, 0)]
    );
    // Nothing is left to tell of it but the next that comes.
    let mut queue = EventQueue::new(1, 1 << 20);
    push(&mut queue, &["STOP", "A", "B"]);
    assert_eq!(take_all(&mut queue), [taken("STOP", 1, 0)]);
    push(&mut queue, &["C"]);
    assert_eq!(take_all(&mut queue), [taken("C", 4, 2)]);
}

#[test]
fn the_librarys_own_events_stand_in_line() {
    let mut queue = EventQueue::new(100, 1 << 20);
    push(&mut queue, &["A"]);
    queue.push_own(KIND_DISCONNECTED, &view("DISCONNECTED", JSON));
    let kinds: Vec<_> = std::iter::from_fn(|| queue.take().unwrap())
        .map(|event| (event.kind, event.name().to_owned()))
        .collect();
    assert_eq!(
        kinds,
        [
            (KIND_VM, "A".to_owned()),
            (KIND_DISCONNECTED, "DISCONNECTED".to_owned())
        ]
    );
}
