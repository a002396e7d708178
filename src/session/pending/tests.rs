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

fn submit_out_of_band(pending: &mut Pending<&'static str>, who: &'static str) -> u64 {
    let id = pending.next_id();
    pending.submit_out_of_band(id, who.as_bytes().to_vec(), who);
    id
}

/// What may go now, in its order, and is then under way.
fn sent(pending: &mut Pending<&'static str>) -> Vec<u64> {
    let mut ids = Vec::new();
    while let Some(out) = pending.take_output() {
        pending.output_sent(&out);
        ids.push(out.id);
    }
    ids
}

#[test]
fn with_two_bands_eight_are_under_way_in_order_and_out_of_band_overtakes() {
    let mut pending = Pending::new();
    pending.allow_out_of_band();
    let ids: Vec<_> = (0..12).map(|_| submit(&mut pending, "in")).collect();
    assert_eq!(sent(&mut pending), ids[..MOST_IN_BAND]);
    assert!(pending.is_held_back());
    let overtaking = [(); 2].map(|()| submit_out_of_band(&mut pending, "out"));
    assert_eq!(sent(&mut pending), overtaking);
    // Out-of-band replies make no room, others do.
    assert_eq!(pending.reply(Id::Ours(overtaking[0])), Ok("out"));
    assert!(sent(&mut pending).is_empty());
    assert_eq!(pending.reply(Id::Ours(ids[2])), Ok("in"));
    assert_eq!(pending.reply(Id::Ours(ids[0])), Ok("in"));
    assert_eq!(sent(&mut pending), ids[8..10]);
    // One that was given up still stands in the VM's queue.
    assert_eq!(pending.abandon(ids[1]), Some(Abandoned::Unknown));
    assert!(sent(&mut pending).is_empty());
    assert_eq!(pending.abandon(ids[10]), Some(Abandoned::Withdrawn));
    assert_eq!(
        pending.reply(Id::Ours(ids[1])),
        Err(Unmatched::Late(ids[1]))
    );
    assert_eq!(sent(&mut pending), ids[11..]);
    assert!(!pending.is_held_back());
}

#[test]
fn what_has_begun_goes_on_before_anything_overtakes() {
    let mut pending = Pending::new();
    pending.allow_out_of_band();
    let ids = ["abc", "def"].map(|who| submit(&mut pending, who));
    let (mut begun, unsent) = (
        pending.take_output().unwrap(),
        pending.take_output().unwrap(),
    );
    assert!(!begun.advance(1));
    // Backwards, as the writer gives them back.
    assert_eq!(pending.output_blocked(unsent), Ok(()));
    assert_eq!(pending.output_blocked(begun), Ok(()));
    let overtaking = submit_out_of_band(&mut pending, "out");
    assert_eq!(sent(&mut pending), [ids[0], overtaking, ids[1]]);
}

#[test]
fn no_more_is_taken_than_there_is_room_for() {
    let mut pending = Pending::new();
    let a = submit(&mut pending, "abc");
    submit(&mut pending, "d");
    assert_eq!(pending.take_output_within(2), None);
    assert_eq!(pending.abandon(a), Some(Abandoned::Withdrawn));
    let out = pending.take_output_within(2).unwrap();
    assert_eq!(out.rest(), b"d");
    assert_eq!(pending.take_output_within(2), None);
}

#[test]
fn a_disowned_command_goes_its_way() {
    let mut pending = Pending::new();
    let ids = ["abc", "def", "ghi"].map(|who| submit(&mut pending, who));
    assert!(pending.disown(ids[2]));
    assert!(!pending.disown(ids[2]));
    // In a writer's hands, begun and not begun: neither is torn or dropped.
    let (mut begun, unsent) = (
        pending.take_output().unwrap(),
        pending.take_output().unwrap(),
    );
    assert!(pending.disown(ids[0]) && pending.disown(ids[1]));
    assert!(!begun.advance(1));
    assert_eq!(pending.output_blocked(unsent), Ok(()));
    assert_eq!(pending.output_blocked(begun), Ok(()));
    assert_eq!(sent(&mut pending), ids);
    for id in ids {
        assert_eq!(pending.reply(Id::Ours(id)), Err(Unmatched::Late(id)));
        assert!(!pending.disown(id));
    }
    assert_eq!(pending.abandoned, 0);
}

#[test]
fn what_is_still_to_be_sent_is_not_forgotten_however_much_was_disowned() {
    let mut pending = Pending::new();
    let ids: Vec<_> = (0..=MAX_ABANDONED as u64)
        .map(|_| submit(&mut pending, "x"))
        .collect();
    assert!(ids.iter().all(|id| pending.disown(*id)));
    assert_eq!(sent(&mut pending), ids);
    assert_eq!(
        pending.reply(Id::Ours(ids[0])),
        Err(Unmatched::Late(ids[0]))
    );
}

#[test]
fn commands_are_found_where_others_are_gone_between_them() {
    let mut pending = Pending::new();
    let ids: Vec<_> = (0..6).map(|_| submit(&mut pending, "x")).collect();
    assert!(pending.is_awaited(ids[5]) && !pending.is_under_way());
    assert_eq!(sent(&mut pending), ids);
    assert!(pending.is_under_way());
    for gone in [1, 2, 0] {
        assert_eq!(pending.reply(Id::Ours(ids[gone])), Ok("x"));
    }
    for (at, id) in ids.iter().enumerate() {
        assert_eq!(pending.is_awaited(*id), at > 2, "{at}");
    }
    assert_eq!(pending.reply(Id::Ours(ids[4])), Ok("x"));
    assert!(pending.is_awaited(ids[5]) && !pending.is_awaited(ids[5] + 1));
}

#[test]
fn after_a_restart_ids_count_on_and_nothing_else_is_left() {
    let mut pending = Pending::new();
    pending.allow_out_of_band();
    let last = submit(&mut pending, "a");
    drop(pending.end());
    pending.restart();
    assert!(!pending.has_out_of_band() && !pending.is_awaited(last) && !pending.has_output());
    assert_eq!(submit(&mut pending, "b"), last + 1);
}
