// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which events a consumer wants.

use crate::wire::message::EventView;
use crate::wire::pattern::matches;
use crate::wire::{members, one_value, same};

/// Names or patterns, and perhaps a member of the data with the value that it must have.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// None: every name.
    names: Vec<Box<str>>,
    member: Option<(Box<str>, Box<str>)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadFilter {
    #[error("events: want names like SHUTDOWN or patterns like JOB_*, with commas between them")]
    Names,
    #[error("value_json is not one JSON value")]
    Value,
}

impl Filter {
    /// `names`: with commas between them; None is all.
    pub fn parse(names: Option<&str>, member: Option<(&str, &str)>) -> Result<Filter, BadFilter> {
        let is_name = |name: &&str| {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.*".contains(&byte);
            !name.is_empty() && name.bytes().all(plain)
        };
        let names = match names {
            None => Vec::new(),
            Some(names) => names
                .split(',')
                .map(|name| {
                    let name = Some(name.trim()).filter(is_name);
                    name.map(Box::from).ok_or(BadFilter::Names)
                })
                .collect::<Result<_, _>>()?,
        };
        let member = match member {
            None => None,
            Some((name, value)) => {
                let value = one_value(value).map_err(|_| BadFilter::Value)?;
                Some((name.into(), value.into()))
            }
        };
        Ok(Filter { names, member })
    }

    pub fn takes(&self, view: &EventView<'_>) -> bool {
        let named = self.names.is_empty()
            || self
                .names
                .iter()
                .any(|pattern| matches(pattern, &view.name));
        named
            && self.member.as_ref().is_none_or(|(name, wanted)| {
                let [value] = members(view.data.unwrap_or_default(), [name]);
                value.is_some_and(|value| same(value, wanted, &|_| false))
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn takes(filter: &Filter, name: &str, data: Option<&str>) -> bool {
        filter.takes(&EventView {
            name: name.into(),
            json: "{}",
            data,
            timestamp: None,
        })
    }

    #[test]
    fn names_and_patterns_choose() {
        let all = Filter::parse(None, None).unwrap();
        assert!(takes(&all, "ANY", None));
        let some = Filter::parse(Some("STOP, JOB_*,*_READY"), None).unwrap();
        for name in ["STOP", "JOB_STATUS_CHANGE", "BLOCK_JOB_READY"] {
            assert!(takes(&some, name, None), "{name}");
        }
        assert!(!takes(&some, "RESUME", None));
        for bad in ["", "STOP,", "A B", "é"] {
            assert_eq!(Filter::parse(Some(bad), None).err(), Some(BadFilter::Names));
        }
    }

    #[test]
    fn a_member_must_have_its_value() {
        let filter = Filter::parse(Some("DEVICE_*"), Some(("device", " \"net\\u0030\" "))).unwrap();
        assert!(takes(
            &filter,
            "DEVICE_DELETED",
            Some(r#"{"path": "/x", "device": "net0"}"#)
        ));
        assert!(!takes(
            &filter,
            "DEVICE_DELETED",
            Some(r#"{"device": "net1"}"#)
        ));
        assert!(!takes(
            &filter,
            "DEVICE_DELETED",
            Some(r#"{"path": "net0"}"#)
        ));
        assert!(!takes(&filter, "DEVICE_DELETED", None));
        assert!(!takes(&filter, "STOP", Some(r#"{"device": "net0"}"#)));
        for bad in ["", "{", "1 2", "x"] {
            assert_eq!(
                Filter::parse(None, Some(("a", bad))).err(),
                Some(BadFilter::Value)
            );
        }
    }
}
