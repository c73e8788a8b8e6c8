//! The strict JSON reader against serde_json: what it takes means the same to both, what it refuses it refuses for its
//! own reasons alone; one digest for one content, however it is written.
#![no_main]

use bytes::Bytes;
use doorward_core::json::{Fault, RawJson};
use doorward_fuzz::{rewritten, value_of};
use libfuzzer_sys::fuzz_target;

/// serde_json stops at 128 levels by itself.
const DEPTH: usize = 100;

fuzz_target!(|data: &[u8]| {
    let bytes = Bytes::copy_from_slice(data);
    let theirs = serde_json::from_slice::<serde_json::Value>(data);
    let ours = match RawJson::parse(&bytes, DEPTH) {
        Ok(ours) => ours,
        Err(fault) => {
            if theirs.is_ok() {
                let own = matches!(fault, Fault::DuplicateKey(_) | Fault::NulInKey(_) | Fault::TooDeep);
                assert!(own, "{fault} where serde_json sees no fault");
            }
            return;
        }
    };
    // Every depth below refuses or gives the same value; none panics.
    for depth in [0, 1, 4, usize::MAX] {
        match RawJson::parse(&bytes, depth) {
            Ok(again) => assert_eq!(again, ours),
            Err(fault) => assert_eq!(fault, Fault::TooDeep),
        }
    }
    match (&theirs, value_of(&ours)) {
        (Ok(theirs), Some(mine)) => assert_eq!(*theirs, mine),
        (Err(error), None) => assert!(error.to_string().contains("number out of range"), "{error}"),
        (theirs, mine) => panic!("serde_json: {theirs:?}, strict reader: {mine:?}"),
    }
    assert_eq!(ours.to_value().ok(), theirs.ok());

    let mut canonical = Vec::new();
    ours.canonical(&mut canonical);
    let parsed = RawJson::parse(&Bytes::from(canonical.clone()), DEPTH).expect("the canonical form is strict JSON");
    let mut again = Vec::new();
    parsed.canonical(&mut again);
    assert_eq!(canonical, again, "the canonical form of the canonical form");

    let mut other = String::new();
    rewritten(&ours, &mut other);
    let other = RawJson::parse(&Bytes::from(other), DEPTH).expect("rewritten JSON is strict JSON");
    assert_eq!(other.canonical_digest(), ours.canonical_digest(), "white space, order and escapes");

    // Where numbers are plain integers, RFC 8785 says the same.
    if let Some(value) = value_of(&ours).filter(only_plain_integers) {
        if !other.as_bytes().windows(2).any(|pair| pair == b"-0") {
            assert_eq!(canonical, serde_json_canonicalizer::to_vec(&value).expect("RFC 8785"));
        }
    }
});

fn only_plain_integers(value: &serde_json::Value) -> bool {
    match value {
        serde_json::Value::Number(number) => number.as_i64().is_some_and(|n| n.unsigned_abs() < 1 << 53),
        serde_json::Value::Array(values) => values.iter().all(only_plain_integers),
        serde_json::Value::Object(members) => members.values().all(only_plain_integers),
        _ => true,
    }
}
