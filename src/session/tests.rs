// SPDX-License-Identifier: MIT OR Apache-2.0
use super::dialect::{GUEST_AGENT, QMP};
use super::*;

const FIRST: u64 = 1 << 52;
const SECOND: u64 = FIRST + 1;

fn session(dialect: &Dialect) -> Session<char> {
    Session::new(dialect, EventQueue::new(1, 1))
}

/// Sends what is queued.
fn sent(session: &mut Session<char>) -> Vec<u8> {
    let out = session.pending.take_output().unwrap();
    session.pending.output_sent(&out);
    out.rest().to_vec()
}

fn returned(session: &mut Session<char>, id: u64, value: u64) -> Result<char, Unmatched> {
    session.receive_return(Id::Ours(id), &value.to_string())
}

#[test]
fn a_sync_is_a_mark_and_a_command_that_gives_its_number_back() {
    let mut agent = session(&GUEST_AGENT);
    agent.sync("guest-sync-delimited", 7, 'a');
    let out = agent.pending.take_output().unwrap();
    let command = "{\"execute\":\"guest-sync-delimited\",\"arguments\":{\"id\":7},\"id\":7}";
    assert_eq!(out.rest(), [b"\xff", command.as_bytes()].concat());
    assert_eq!(out.text(), command);
}

#[test]
fn only_the_answer_to_the_last_sync_opens_the_session() {
    let mut agent = session(&GUEST_AGENT);
    assert_eq!(agent.stage, Stage::Syncing(None));
    agent.sync("sync", FIRST, 'a');
    sent(&mut agent);
    agent.sync("sync", SECOND, 'b');
    sent(&mut agent);
    for (id, value) in [(FIRST, FIRST), (1, SECOND), (SECOND, FIRST)] {
        assert_eq!(returned(&mut agent, id, value), Err(Unmatched::Foreign));
    }
    assert_eq!(
        agent.receive_error(Id::Absent),
        Err(Unmatched::Anonymous),
        "about the mark"
    );
    assert_eq!(agent.stage, Stage::Syncing(Some(SECOND)));
    assert_eq!(returned(&mut agent, SECOND, SECOND), Ok('b'));
    assert_eq!(agent.stage, Stage::Open);
    assert_eq!(
        returned(&mut agent, SECOND, SECOND),
        Err(Unmatched::Foreign)
    );
}

#[test]
fn a_sync_waits_until_the_one_before_is_out() {
    let mut agent = session(&GUEST_AGENT);
    agent.sync("sync", FIRST, 'a');
    agent.sync("sync", SECOND, 'b');
    sent(&mut agent);
    assert!(!agent.pending.has_output());
    assert_eq!(returned(&mut agent, FIRST, FIRST), Ok('a'));
}

#[test]
fn an_answer_without_an_id_is_known_as_one() {
    let mut agent = session(&GUEST_AGENT);
    assert!(!agent.is_sync_answer("0"));
    agent.sync("sync", FIRST, 'a');
    assert!(agent.is_sync_answer(&FIRST.to_string()));
    assert!(!agent.is_sync_answer("{}"));
}

#[test]
fn an_error_with_the_syncs_id_is_its_answer() {
    let mut agent = session(&GUEST_AGENT);
    agent.sync("sync", FIRST, 'a');
    sent(&mut agent);
    assert_eq!(agent.receive_error(Id::Ours(FIRST)), Ok('a'));
}

#[test]
fn a_monitor_is_open_once_it_has_greeted() {
    let mut monitor = session(&QMP);
    assert_eq!(monitor.stage, Stage::Greeting);
    monitor.receive_greeting(Greeting {
        json: "{\"QMP\": {}}".into(),
    });
    assert_eq!(monitor.stage, Stage::Open);
    monitor.pending.submit(1, b"{}".to_vec(), 'a', false);
    sent(&mut monitor);
    assert_eq!(monitor.receive_error(Id::Absent), Ok('a'));
}
