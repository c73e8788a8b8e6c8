//! Strictness, and agreement with another parser.

use super::*;
use proptest::prelude::*;

fn parse(text: &str) -> Result<RawJson, Fault> {
    RawJson::parse(&Bytes::copy_from_slice(text.as_bytes()), 128)
}

#[test]
fn rpc_01_duplicate_keys_are_refused_at_every_level_and_after_unescaping() {
    for text in [r#"{"name":1,"name":2}"#, r#"{"name":1,"n\u0061me":2}"#, r#"[{"a":{"b":1,"b":1}}]"#] {
        assert!(matches!(parse(text), Err(Fault::DuplicateKey(_))), "{text}");
    }
    let many: Vec<String> = (0..100).map(|n| format!("\"k{n}\":0")).collect();
    assert!(parse(&format!("{{{}}}", many.join(","))).is_ok());
    for again in [3, 20, 99] {
        let text = format!("{{{},\"k{again}\":1}}", many.join(","));
        assert!(matches!(parse(&text), Err(Fault::DuplicateKey(_))), "k{again}");
    }
}

#[test]
fn rpc_01_one_document_and_no_byte_order_mark() {
    for text in ["", " ", "{} {}", "{}x", "\u{feff}{}", "[1,]", "{\"a\":1,}", "01", "+1", "1.", ".5", "NaN", "'a'", "tru", "\"a"] {
        assert!(matches!(parse(text), Err(Fault::Syntax(_))), "{text:?}");
    }
}

#[test]
fn rpc_02_bad_text_is_refused() {
    assert_eq!(RawJson::parse(&Bytes::from_static(b"\"\xff\""), 8), Err(Fault::NotUtf8));
    assert_eq!(RawJson::parse(&Bytes::from_static(b"\"\xc0\xaf\""), 8), Err(Fault::NotUtf8));
    for text in [r#""\ud800""#, r#""\udc00""#, r#""\ud800\u0041""#, r#""\ud800x""#] {
        assert!(matches!(parse(text), Err(Fault::LoneSurrogate(_))), "{text}");
    }
    assert!(parse(r#""\ud83d\ude00""#).is_ok());
    assert!(parse("\"a\nb\"").is_err());
}

#[test]
fn rpc_03_depth_is_bounded_whatever_is_configured() {
    for open in ["[", "{\"a\":"] {
        assert_eq!(parse(&open.repeat(100_000)), Err(Fault::TooDeep), "{open}");
    }
    assert!(parse(&format!("{}{}", "[".repeat(128), "]".repeat(128))).is_ok());
    assert_eq!(parse(&format!("{}{}", "[".repeat(129), "]".repeat(129))), Err(Fault::TooDeep));
    assert!(parse("[[],[],[]]").is_ok(), "siblings do not add up");
    let deep = Bytes::from("[".repeat(100_000));
    assert_eq!(RawJson::parse(&deep, usize::MAX), Err(Fault::TooDeep));
}

#[test]
fn rpc_01_a_key_with_nul_is_refused() {
    for text in [r#"{"\u0000":1}"#, r#"[{"na\u0000me":1}]"#] {
        assert!(matches!(parse(text), Err(Fault::NulInKey(_))), "{text}");
    }
    assert!(parse(r#"{"a":"\u0000"}"#).is_ok(), "in a value it is content");
}

#[test]
fn members_are_found_by_their_exact_name_and_kept_byte_for_byte() {
    let whole = parse(r#" {"Name":1, "n\u0061me" : 1234567890123456789012 } "#).expect("valid");
    assert_eq!(whole.member("name").expect("present").as_bytes(), b"1234567890123456789012");
    assert!(whole.member("NAME").is_none());
    assert!(parse("[1]").expect("valid").members().is_none());
}

proptest! {
    #[test]
    fn whatever_passes_means_the_same_to_serde_json(text in "[\\[\\]{}:,\"a-c0-2\\\\u.e tfn-]{0,24}") {
        let bytes = Bytes::from(text.clone());
        if let Ok(raw) = RawJson::parse(&bytes, 64) {
            let theirs: Result<serde_json::Value, _> = serde_json::from_slice(raw.as_bytes());
            // Numbers beyond f64 are syntax to us and an error to serde_json.
            prop_assert!(theirs.as_ref().is_ok_and(|value| serde_json::from_str::<serde_json::Value>(&text).is_ok_and(|whole| whole == *value))
                || theirs.is_err_and(|error| error.to_string().contains("number out of range")));
        }
    }

    /// Members and elements are found by skipping what was passed before: they must be where another parser has them.
    #[test]
    fn what_is_taken_apart_and_put_together_is_the_same(value in any_value(), space in "[ \t\r\n]{0,2}") {
        let compact = value.to_string();
        let spaced = serde_json::to_string_pretty(&value).expect("writes").replace("\n", &format!("\n{space}"));
        for text in [compact, spaced, format!("{space}{value}{space}")] {
            prop_assert_eq!(&rebuilt(&parse(&text).expect("strict")), &value, "{}", text);
        }
    }

    #[test]
    fn keys_alike_are_found_at_every_level_as_by_folding_each(keys in prop::collection::vec("[aAsSkK\u{17f}\u{212a}b]{1,2}", 1..24)) {
        let mut distinct = keys.clone();
        distinct.sort_unstable();
        distinct.dedup();
        let members: Vec<String> = distinct.iter().map(|key| format!("\"{key}\":0")).collect();
        let text = format!("[{{\"x\":{{{}}}}}]", members.join(","));
        let mut folded: Vec<String> = distinct.iter().map(|key| key.chars().map(folded).collect()).collect();
        folded.sort_unstable();
        folded.dedup();
        prop_assert_eq!(parse(&text).expect("strict").has_keys_alike(), folded.len() < distinct.len(), "{}", text);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _verdict = RawJson::parse(&Bytes::from(bytes), 64);
    }
}

fn any_value() -> impl Strategy<Value = serde_json::Value> {
    let text = "[a\\\\\"{}\\[\\],:/ \u{e9}\u{1f600}\n]{0,6}";
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i32>().prop_map(Into::into),
        text.prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 24, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Into::into),
            prop::collection::btree_map(text, inner, 0..5).prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
        ]
    })
}

fn rebuilt(raw: &RawJson) -> serde_json::Value {
    if let Some(members) = raw.members() {
        for (key, value) in &members {
            assert_eq!(raw.member(key).as_ref(), Some(value));
        }
        return serde_json::Value::Object(members.iter().map(|(key, value)| (key.clone(), rebuilt(value))).collect());
    }
    if let Some(elements) = raw.elements() {
        return elements.iter().map(rebuilt).collect();
    }
    raw.to_value().expect("a number that fits")
}

#[test]
fn the_canonical_form_ignores_order_space_and_escapes_but_no_digit() {
    let digest = |text: &str| parse(text).expect("valid").canonical_digest();
    assert_eq!(digest(r#"{"b":[1, {"d":"\u0041"}],"a":true}"#), digest(r#"{ "a" : true, "b":[1,{"d":"A"}] }"#));
    assert_ne!(digest("9007199254740993"), digest("9007199254740992"));
    assert_ne!(digest(r#"{"a":1,"b":2}"#), digest(r#"{"a":2,"b":1}"#));
    assert_ne!(digest(r#"["a","b"]"#), digest(r#"["b","a"]"#));
}

#[test]
fn pol_02_any_change_of_content_is_another_digest() {
    let base = serde_json::json!({"name": "query", "description": "Reads.", "inputSchema": {"type": "object"}});
    let same = serde_json::json!({"inputSchema": {"type": "object"}, "description": "Reads.", "name": "query"});
    let digest_of = |definition: &serde_json::Value| RawJson::of(definition).canonical_digest();
    let digest = digest_of(&base);
    assert_eq!(digest, digest_of(&same), "member order is not content");
    for (key, value) in [
        ("description", serde_json::json!("Reads.\u{200b}")),
        ("title", serde_json::json!("Query")),
        ("annotations", serde_json::json!({"readOnlyHint": true})),
        ("outputSchema", serde_json::json!({})),
        ("inputSchema", serde_json::json!({"type": "object", "x-mcp-header": "A"})),
    ] {
        let mut changed = base.clone();
        changed[key] = value;
        assert_ne!(digest, digest_of(&changed), "{key}");
    }
}

proptest! {
    #[test]
    fn what_is_written_reads_back_the_same(key in "\\PC{0,12}", text in any::<String>()) {
        let mut out = write::ObjectWriter::with_capacity(0);
        out.text(&key, &text).integer("\u{1}n", -5);
        let written = out.finish();
        let read: serde_json::Value = serde_json::from_slice(written.as_bytes()).expect("valid");
        prop_assert_eq!(read.get(&key).and_then(|value| value.as_str()), Some(text.as_str()));
        prop_assert_eq!(RawJson::parse(written.bytes(), 4).expect("strict").member(&key).and_then(|v| v.as_text().map(String::from)), Some(text));
    }
}
