// SPDX-License-Identifier: MIT OR Apache-2.0
//! In whatever order replies come, cut anywhere and with anything between them, each reaches the call that it answers.

use std::thread;

use proptest::collection::vec;
use proptest::prelude::*;

use qmp::ffi::{QMP_ERR_COMMAND, QMP_ERR_PROTOCOL};

use super::cases;
use super::support::LONG;
use super::support::client::Client;
use super::support::hostile::{Command, Hostile};

/// What the server does with one of the commands that wait for it.
#[derive(Clone, Copy, Debug)]
enum Way {
    Succeed,
    Fail,
    Break,
    /// Answers twice.
    Repeat,
}

fn reply(way: Way, command: &Command) -> String {
    let Command { name, id, .. } = command;
    let success = format!("{{\"return\": \"{name}\", \"id\": {id}}}\r\n");
    match way {
        Way::Succeed => success,
        Way::Fail => {
            format!("{{\"id\": {id}, \"error\": {{\"class\": \"{name}\", \"desc\": \"no\"}}}}")
        }
        Way::Break => format!("{{\"return\": nan, \"id\": {id}}}\n"),
        Way::Repeat => success.clone() + &success,
    }
}

const BETWEEN: [&str; 6] = [
    "",
    "{\"event\": \"STOP\"}\r\n",
    "{\"return\": \"nobody's\", \"id\": 99999}",
    "{\"return\": \"nobody's\"}\r\n",
    "{\"return\": \"nobody's\", \"id\": \"1\"}",
    "[{\"return\": \"nobody's\", \"id\": 2}]",
];

fn way() -> impl Strategy<Value = Way> {
    prop_oneof![
        3 => Just(Way::Succeed),
        1 => Just(Way::Fail),
        1 => Just(Way::Break),
        1 => Just(Way::Repeat),
    ]
}

/// What is done with each command, which comes before it, and an order of them.
fn plan() -> impl Strategy<Value = (Vec<(Way, &'static str)>, Vec<usize>)> {
    vec((way(), prop::sample::select(&BETWEEN[..])), 1..9).prop_flat_map(|steps| {
        let order: Vec<usize> = (0..steps.len()).collect();
        (Just(steps), Just(order).prop_shuffle())
    })
}

fn name_of(number: usize) -> String {
    format!("command-{number}")
}

proptest! {
    #![proptest_config(cases(60))]

    #[test]
    fn every_call_gets_its_own_reply((steps, order) in plan(), sizes in vec(1usize..60, 1..9)) {
        let theirs = steps.clone();
        let server = Hostile::negotiated(move |peer| {
            let waiting: Vec<Command> = order.iter().map(|_| peer.command()).collect();
            let mut text = String::new();
            for number in order {
                let (way, between) = theirs[number];
                let command = waiting.iter().find(|command| command.name == name_of(number));
                text += between;
                text += &reply(way, command.expect("each was sent"));
            }
            // Nothing behind it: the client leaves when it has it.
            text += "{\"event\": \"END\"}";
            let mut rest = text.as_str();
            for size in sizes.into_iter().cycle() {
                let (piece, more) = rest.split_at(size.min(rest.len()));
                peer.send(piece);
                rest = more;
                if rest.is_empty() {
                    break;
                }
            }
            peer.wait_for_end();
        });
        let client = Client::connect(&server.address(), LONG).unwrap();
        let results: Vec<_> = thread::scope(|scope| {
            let client = &client;
            let call = |number| scope.spawn(move || client.call(&name_of(number)));
            let calls: Vec<_> = (0..steps.len()).map(call).collect();
            calls.into_iter().map(|call| call.join().unwrap()).collect()
        });
        for (number, (way, _)) in steps.iter().enumerate() {
            let (name, result) = (name_of(number), &results[number]);
            match way {
                Way::Succeed | Way::Repeat => {
                    prop_assert_eq!(result.as_ref(), Ok(&format!("\"{name}\"")));
                }
                Way::Fail => {
                    let failure = result.as_ref().unwrap_err();
                    prop_assert_eq!((failure.status, &failure.class), (QMP_ERR_COMMAND, &name));
                }
                Way::Break => {
                    let failure = result.as_ref().unwrap_err();
                    prop_assert_eq!((failure.status, &failure.command), (QMP_ERR_PROTOCOL, &name));
                }
            }
        }
        let events = std::iter::repeat_with(|| client.event().unwrap());
        let stops = events.take_while(|event| event != "END").count();
        let expected = steps.iter().filter(|(_, between)| between.contains("STOP")).count();
        prop_assert_eq!(stops, expected);
        drop(client);
        server.finish();
    }
}
