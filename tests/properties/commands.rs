// SPDX-License-Identifier: MIT OR Apache-2.0
//! Commands say on the wire what the caller said, and in the log no secret.

use proptest::prelude::*;
use qmp::transport::Address;
use qmp::wire::{Arguments, Band, encode, redact};
use serde_json::Value;

use super::cases;
use super::json::{blanks, compact, object, value};

proptest! {
    #![proptest_config(cases(500))]

    #[test]
    fn arguments_arrive_as_they_were_said(object in object(), before in blanks(), after in blanks(), id: u64) {
        let said = before + &object + &after;
        let arguments = match Arguments::parse(&said) {
            Ok(arguments) => arguments,
            Err(bad) => panic!("{bad}: {said}"),
        };
        let sent = String::from_utf8(encode(Band::InBand, "a-command", Some(&arguments), id).unwrap()).unwrap();
        prop_assert!(!sent.contains(['\r', '\n']));
        prop_assert_eq!(
            &sent,
            &format!("{{\"execute\":\"a-command\",\"arguments\":{},\"id\":{id}}}", compact(&object))
        );
        let command: Value = serde_json::from_str(&sent).unwrap();
        prop_assert_eq!(&command["arguments"], &serde_json::from_str::<Value>(&object).unwrap());
        prop_assert_eq!(command["id"].as_u64(), Some(id));
    }

    #[test]
    fn cut_or_followed_by_anything_arguments_are_refused(object in object(), cut in 0.0..1.0, more in "[^ \t\r\n]") {
        let mut at = (object.len() as f64 * cut) as usize;
        while !object.is_char_boundary(at) {
            at -= 1;
        }
        prop_assert!(Arguments::parse(&object[..at]).is_err());
        prop_assert!(Arguments::parse(&(object + &more)).is_err());
    }

    #[test]
    fn the_log_tells_no_secret_and_all_else(
        before in value(),
        name in "(new-)?(password|passwd|passphrase|secret)|keys?|[a-z]{1,3}[-_]key",
        secret in prop_oneof![
            Just("\"WORD\"".to_owned()),
            value().prop_map(|value| format!("[{value}, {{\"x\": \"WORD\"}}]")),
        ],
        after in value(),
    ) {
        prop_assume!(![&before, &after].iter().any(|text| text.contains("key")));
        let message = |secret: &str| {
            format!("{{\"return\": [{before}, {{\"{name}\" : {secret}, \"b\": {after}}}]}}")
        };
        let expected = message("\"<redacted>\"").replace(['\r', '\n', '\t'], " ");
        prop_assert_eq!(redact(&message(&secret)), expected);
    }

    #[test]
    fn an_address_is_read_as_it_is_shown(text in prop_oneof![
        "(unix:|abstract:)?[a-zA-Z0-9/._:-]{1,106}",
        "tcp:([0-9]{1,3}\\.){3}[0-9]{1,3}:[0-9]{1,5}",
        "tcp:\\[[0-9a-f:]{2,9}(%[a-z0-9]{1,4})?\\]:[1-9][0-9]{0,3}",
        "tcp:[a-z.-]{1,9}:[1-9][0-9]{0,3}",
        "fd:[0-9]{1,11}",
    ]) {
        if let Ok(address) = Address::parse(text.as_bytes()) {
            let shown = address.to_string();
            let again = Address::parse(shown.as_bytes()).map(|again| again.to_string());
            prop_assert_eq!(again.map_err(|error| error.message), Ok(shown));
        }
    }
}
