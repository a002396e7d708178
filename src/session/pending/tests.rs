// SPDX-License-Identifier: MIT OR Apache-2.0
use super::*;

fn submit(pending: &mut Pending<&'static str>, who: &'static str) -> u64 {
    let id = pending.next_id();
    pending.submit(id, who.as_bytes().to_vec(), who, who == "quit");
    id
}

fn send_all(pending: &mut Pending<&'static str>) {
    while let Some(mut out) = pending.take_output() {
        let all = out.rest().len();
        assert!(out.advance(all));
        pending.output_sent(&out);
    }
}

#[test]
fn replies_are_matched_in_any_order_and_once() {
    let mut pending = Pending::new();
    let (a, b) = (submit(&mut pending, "a"), submit(&mut pending, "b"));
    assert_eq!((a, b), (1, 2));
    send_all(&mut pending);
    assert_eq!(pending.reply(Id::Ours(b)), Ok("b"));
    assert_eq!(pending.reply(Id::Ours(a)), Ok("a"));
    assert_eq!(pending.reply(Id::Ours(a)), Err(Unmatched::Foreign));
    assert_eq!(pending.reply(Id::Ours(77)), Err(Unmatched::Foreign));
    assert_eq!(pending.reply(Id::Foreign), Err(Unmatched::Foreign));
    assert_eq!(pending.reply(Id::Absent), Err(Unmatched::Anonymous));
}

#[test]
fn a_reply_to_what_was_not_sent_is_foreign() {
    let mut pending = Pending::new();
    let id = submit(&mut pending, "a");
    assert_eq!(pending.reply(Id::Ours(id)), Err(Unmatched::Foreign));
    assert_eq!(pending.error_reply(Id::Absent), Err(Unmatched::Anonymous));
    send_all(&mut pending);
    assert_eq!(pending.reply(Id::Ours(id)), Ok("a"));
}

#[test]
fn an_error_without_id_needs_exactly_one_command_under_way() {
    let mut pending = Pending::new();
    assert_eq!(pending.error_reply(Id::Absent), Err(Unmatched::Anonymous));
    submit(&mut pending, "a");
    send_all(&mut pending);
    submit(&mut pending, "unsent");
    assert_eq!(pending.error_reply(Id::Absent), Ok("a"));
    send_all(&mut pending);
    submit(&mut pending, "b");
    send_all(&mut pending);
    assert_eq!(pending.error_reply(Id::Absent), Err(Unmatched::Anonymous));
}

#[test]
fn a_late_reply_is_known_and_an_abandoned_command_still_counts_as_under_way() {
    let mut pending = Pending::new();
    let a = submit(&mut pending, "a");
    send_all(&mut pending);
    assert_eq!(pending.abandon(a), Some(Abandoned::Unknown));
    assert_eq!(pending.abandon(a), None);
    let b = submit(&mut pending, "b");
    send_all(&mut pending);
    assert_eq!(pending.error_reply(Id::Absent), Err(Unmatched::Anonymous));
    assert_eq!(pending.reply(Id::Ours(a)), Err(Unmatched::Late(a)));
    assert_eq!(pending.reply(Id::Ours(a)), Err(Unmatched::Foreign));
    assert_eq!(pending.reply(Id::Ours(b)), Ok("b"));
    assert_eq!(pending.abandoned, 0);
}

#[test]
fn what_was_not_sent_is_withdrawn() {
    let mut pending = Pending::new();
    let a = submit(&mut pending, "a");
    let b = submit(&mut pending, "b");
    assert_eq!(pending.abandon(a), Some(Abandoned::Withdrawn));
    let out = pending.take_output().unwrap();
    assert_eq!((out.id, out.rest()), (b, b"b".as_slice()));
    assert!(!pending.has_output());
}

#[test]
fn a_command_partly_sent_is_torn_when_its_call_gives_up() {
    let mut pending = Pending::new();
    let a = submit(&mut pending, "abc");
    let mut out = pending.take_output().unwrap();
    assert!(!out.advance(1));
    assert_eq!(pending.output_blocked(out), Ok(()));
    assert_eq!(pending.abandon(a), Some(Abandoned::Torn));

    let mut pending = Pending::new();
    let a = submit(&mut pending, "abc");
    let mut out = pending.take_output().unwrap();
    assert_eq!(pending.abandon(a), Some(Abandoned::Unknown));
    assert!(!out.advance(1));
    assert_eq!(pending.output_blocked(out), Err(Abandoned::Torn));
}

#[test]
fn a_command_given_up_in_the_writers_hands_and_not_begun_never_was() {
    let mut pending = Pending::new();
    let a = submit(&mut pending, "abc");
    let out = pending.take_output().unwrap();
    assert_eq!(pending.abandon(a), Some(Abandoned::Unknown));
    assert_eq!(pending.output_blocked(out), Ok(()));
    assert!(!pending.has_output() && pending.waiting.is_empty());
    assert_eq!(pending.abandoned, 0);
}

#[test]
fn blocked_output_goes_first_again() {
    let mut pending = Pending::new();
    let a = submit(&mut pending, "abc");
    submit(&mut pending, "b");
    let out = pending.take_output().unwrap();
    assert_eq!(pending.output_blocked(out), Ok(()));
    assert_eq!(pending.reply(Id::Ours(a)), Err(Unmatched::Foreign));
    assert_eq!(pending.take_output().unwrap().rest(), b"abc");
}

#[test]
fn the_end_tells_what_became_of_each_command() {
    let mut pending = Pending::new();
    submit(&mut pending, "sent");
    submit(&mut pending, "quit");
    send_all(&mut pending);
    submit(&mut pending, "unsent");
    let ended: Vec<_> = pending.end().collect();
    assert_eq!(
        ended,
        [
            ("sent", Fate::Unknown),
            ("quit", Fate::Done),
            ("unsent", Fate::NeverSent)
        ]
    );
    assert!(!pending.has_output());
}

#[test]
fn commands_that_are_never_answered_cost_bounded_memory() {
    let mut pending = Pending::new();
    for _ in 0..3 * MAX_ABANDONED {
        let id = submit(&mut pending, "a");
        send_all(&mut pending);
        assert_eq!(pending.abandon(id), Some(Abandoned::Unknown));
    }
    assert_eq!(pending.waiting.len(), MAX_ABANDONED);
    assert_eq!(pending.reply(Id::Ours(1)), Err(Unmatched::Foreign));
    let newest = pending.last_id;
    assert_eq!(
        pending.reply(Id::Ours(newest)),
        Err(Unmatched::Late(newest))
    );
}

#[test]
fn an_oversized_reply_fails_the_only_command_and_its_end_is_late() {
    let mut pending = Pending::new();
    let a = submit(&mut pending, "a");
    send_all(&mut pending);
    assert_eq!(pending.give_up_only_one(), Some("a"));
    assert_eq!(pending.give_up_only_one(), None);
    assert_eq!(pending.reply(Id::Ours(a)), Err(Unmatched::Late(a)));
}
