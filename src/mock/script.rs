// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the user wants instead of, or beside, the machine's own behaviour.

use std::time::Duration;

use super::faults::Fault;
use super::message::{Answer, Event};

/// A place that is no command: the greeting of a connection, an event.
pub(super) const GREETING: &str = "greeting";
pub(super) const EVENT: &str = "event";
pub(super) const NEGOTIATION: &str = "qmp_capabilities";

#[derive(Clone, Debug)]
pub(super) enum Effect {
    Answer(Answer),
    /// None: for ever.
    Delay(Option<Duration>),
    Before(Event),
    After(Event),
    Fault(Fault),
}

struct Rule {
    /// A command, a prefix of commands with `*` at its end, or one of the places above.
    place: String,
    /// None: always.
    times: Option<u32>,
    effect: Effect,
}

#[derive(Default)]
pub(super) struct Script {
    rules: Vec<Rule>,
}

/// All that applies to one command, greeting or event.
#[derive(Default)]
pub(super) struct Treatment {
    pub(super) answer: Option<Answer>,
    pub(super) delay: Option<Option<Duration>>,
    pub(super) before: Vec<Event>,
    pub(super) after: Vec<Event>,
    pub(super) fault: Option<Fault>,
}

impl Script {
    pub(super) fn add(&mut self, place: &str, times: Option<u32>, effect: Effect) {
        self.rules.push(Rule {
            place: place.to_owned(),
            times,
            effect,
        });
    }

    pub(super) fn clear(&mut self) {
        self.rules.clear();
    }

    /// Uses up one time of the oldest answer, the oldest delay and the oldest fault, and of every event.
    pub(super) fn take(&mut self, place: &str) -> Treatment {
        let mut taken = Treatment::default();
        for rule in &mut self.rules {
            if !matches(&rule.place, place) {
                continue;
            }
            match &rule.effect {
                Effect::Answer(_) if taken.answer.is_some() => continue,
                Effect::Delay(_) if taken.delay.is_some() => continue,
                Effect::Fault(_) if taken.fault.is_some() => continue,
                Effect::Answer(answer) => taken.answer = Some(answer.clone()),
                Effect::Delay(time) => taken.delay = Some(*time),
                Effect::Before(event) => taken.before.push(event.clone()),
                Effect::After(event) => taken.after.push(event.clone()),
                Effect::Fault(fault) => taken.fault = Some(*fault),
            }
            if let Some(times) = &mut rule.times {
                *times -= 1;
            }
        }
        self.rules.retain(|rule| rule.times != Some(0));
        taken
    }

    /// The names of the commands that have an answer here.
    pub(super) fn commands(&self) -> Vec<String> {
        let mut names = Vec::new();
        for rule in &self.rules {
            let is_name = matches!(rule.effect, Effect::Answer(_)) && !rule.place.ends_with('*');
            if is_name && !names.contains(&rule.place) {
                names.push(rule.place.clone());
            }
        }
        names
    }

    /// Some fault needs the client's bytes left unread.
    pub(super) fn may_reset(&self) -> bool {
        self.rules
            .iter()
            .any(|rule| matches!(rule.effect, Effect::Fault(fault) if fault.resets()))
    }
}

/// Patterns mean commands in use, and neither the negotiation nor another place.
fn matches(pattern: &str, place: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => {
            ![GREETING, EVENT, NEGOTIATION].contains(&place) && place.starts_with(prefix)
        }
        None => pattern == place,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(script: &mut Script, place: &str) -> Option<String> {
        match script.take(place).answer? {
            Answer::Return(value) => Some(value),
            Answer::Error { class, .. } => Some(class),
        }
    }

    #[test]
    fn answers_are_used_up_in_their_order() {
        let mut script = Script::default();
        let value = |text: &str| Effect::Answer(Answer::Return(text.into()));
        script.add("a", Some(2), value("1"));
        script.add("a", Some(1), Effect::Answer(Answer::error("X", "")));
        script.add("*", None, value("2"));
        let got: Vec<_> = (0..5).map(|_| answered(&mut script, "a")).collect();
        let expected = ["1", "1", "X", "2", "2"].map(|text| Some(text.to_owned()));
        assert_eq!(got, expected);
        assert_eq!(answered(&mut script, NEGOTIATION), None);
        assert_eq!(answered(&mut script, EVENT), None);
    }

    #[test]
    fn patterns_are_prefixes() {
        assert!(matches("query-*", "query-status") && matches("*", "stop"));
        assert!(!matches("query-*", "stop") && !matches("stop", "stopped"));
    }

    #[test]
    fn events_and_delays_come_together() {
        let mut script = Script::default();
        let event = Event::new("E", None);
        script.add("a", Some(1), Effect::Before(event.clone()));
        script.add("a", Some(1), Effect::Before(event.clone()));
        script.add("a", Some(2), Effect::After(event));
        script.add("a", Some(1), Effect::Delay(None));
        let first = script.take("a");
        assert_eq!((first.before.len(), first.after.len()), (2, 1));
        assert_eq!(first.delay, Some(None));
        let second = script.take("a");
        assert_eq!((second.before.len(), second.after.len()), (0, 1));
        assert!(second.delay.is_none() && script.rules.is_empty());
    }
}
