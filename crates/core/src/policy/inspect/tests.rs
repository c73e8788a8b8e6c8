//! What the three measures do with arguments that do not fit and with tokens of others, wherever those stand.

use super::*;
use crate::contract::Contract;
use crate::json::RawJson;
use crate::mcp::call::{Form, RpcId};
use serde_json::{Value, json};
use std::sync::Arc;

const TOKEN: &str = "ghp_012345678901234567890123456789012345";

fn checks(definition: &Value, schemas: Measure, foreign_tokens: Measure) -> Checks {
    let contract = Arc::new(Contract::of(&RawJson::of(definition)));
    Checks { schemas: Some(Promise { contract, measure: schemas }), foreign_tokens, screen: None }
}

fn call(arguments: &Value) -> Call {
    Call::for_tests("t", [0; 32]).with_arguments(RawJson::of(arguments))
}

fn ids(flags: &[Flag]) -> Vec<(&str, &str)> {
    flags.iter().map(|flag| (flag.reason(), flag.detail())).collect()
}

#[test]
fn rpc_12_what_does_not_fit_is_refused_flagged_or_not_looked_at() {
    let definition = json!({ "inputSchema": { "properties": { "n": { "type": "integer" } } } });
    let misfit = call(&json!({ "n": "7" }));
    let with = |measure| inspect(&checks(&definition, measure, Measure::Off), &misfit);
    let (why, flag) = with(Measure::Refuse).expect_err("refused");
    assert_eq!((why, flag.reason(), flag.detail()), (Why::Misfit, "arguments_misfit", "/n (type)"));
    assert_eq!(ids(&with(Measure::Flag).expect("goes on")), [("arguments_misfit", "/n (type)")]);
    assert!(with(Measure::Off).expect("goes on").is_empty());
    assert!(inspect(&checks(&definition, Measure::Refuse, Measure::Refuse), &call(&json!({ "n": 7 }))).expect("fits").is_empty());
}

#[test]
fn rpc_12_what_cannot_be_checked_is_refused_where_it_would_have_to_be() {
    let endless = RawJson::parse(&bytes::Bytes::from_static(br#"{"n":1e999}"#), 8).expect("json");
    let unreadable = Call::for_tests("t", [0; 32]).with_arguments(endless);
    let definition = json!({ "inputSchema": { "properties": { "n": { "type": "integer" } } } });
    let (why, flag) = inspect(&checks(&definition, Measure::Refuse, Measure::Off), &unreadable).expect_err("refused");
    assert_eq!((why, flag.reason()), (Why::Unchecked, "arguments_unchecked"));
    for side in ["inputSchema", "outputSchema"] {
        let definition = json!({ side: { "$ref": "https://evil.example/s" } });
        let (why, flag) = inspect(&checks(&definition, Measure::Refuse, Measure::Off), &call(&json!({}))).expect_err("refused");
        assert_eq!((why, flag.reason()), (Why::Unusable, "schema_unusable"));
        assert_eq!(flag.detail(), format!("{side}: it refers to something outside itself"));
        let flags = inspect(&checks(&definition, Measure::Flag, Measure::Off), &call(&json!({}))).expect("goes on");
        assert_eq!(flags.len(), usize::from(side == "inputSchema"), "of the result its own record tells");
    }
}

#[test]
fn pt_02_a_token_of_another_provider_is_found_wherever_it_stands_in_the_arguments() {
    let escaped = format!("\\u0067hp_{}", TOKEN.strip_prefix("ghp_").expect("prefix"));
    let texts = [
        json!({ "text": TOKEN }).to_string(),
        json!({ "a": [1, { "b": [format!("Authorization: Bearer {TOKEN}\n")] }] }).to_string(),
        json!({ TOKEN: true }).to_string(),
        format!(r#"{{"a":"\"\\","b":"{escaped}"}}"#),
        json!({ "inner": json!({ "token": TOKEN }).to_string() }).to_string(),
    ];
    for text in texts {
        let arguments = RawJson::parse(&bytes::Bytes::from(text.clone()), 16).expect("json");
        let call = Call::for_tests("t", [0; 32]).with_arguments(arguments);
        let with = |measure| inspect(&Checks { schemas: None, foreign_tokens: measure, screen: None }, &call);
        let (why, flag) = with(Measure::Refuse).expect_err("refused");
        assert_eq!((why, flag.reason(), flag.detail()), (Why::ForeignToken, "foreign_token", "a token of github"), "{text}");
        assert_eq!(ids(&with(Measure::Flag).expect("goes on")), [("foreign_token", "a token of github")], "{text}");
        assert!(with(Measure::Off).expect("goes on").is_empty());
    }
    let prompt = call(&json!({ "a": TOKEN })).with_method(Method::PromptsGet, Form::Request(RpcId::Number(1)));
    let (why, _) = inspect(&Checks { schemas: None, foreign_tokens: Measure::Refuse, screen: None }, &prompt).expect_err("of prompts, too");
    assert_eq!(why, Why::ForeignToken);
    let plain = call(&json!({ "text": "a plain text", "key": "dwk_abc" }));
    assert!(inspect(&Checks { schemas: None, foreign_tokens: Measure::Refuse, screen: None }, &plain).expect("plain").is_empty());
}

/// Nanoseconds of one asking, the best of several rounds.
fn nanoseconds(rounds: u32, asked: impl Fn()) -> u128 {
    let round = || {
        let begun = std::time::Instant::now();
        (0..rounds).for_each(|_| asked());
        begun.elapsed().as_nanos() / u128::from(rounds)
    };
    (0..5).map(|_| round()).min().unwrap_or_default()
}

#[test]
#[ignore = "a measurement, not a test"]
#[expect(clippy::print_stdout, reason = "it measures time for a person to read")]
fn measure() {
    let definition = json!({ "inputSchema": { "type": "object", "required": ["owner", "repo", "title"], "additionalProperties": false, "properties": {
        "owner": { "type": "string", "minLength": 1 }, "repo": { "type": "string", "pattern": "^[A-Za-z0-9._-]+$" }, "title": { "type": "string", "maxLength": 200 },
        "body": { "type": "string" }, "labels": { "type": "array", "items": { "type": "string" } }, "milestone": { "type": "integer", "minimum": 1 },
        "state": { "enum": ["open", "closed"] }, "assignees": { "type": "array", "items": { "type": "string" }, "maxItems": 10 } } } });
    let arguments = json!({ "owner": "acme", "repo": "widgets", "title": "The door does not close", "body": "It sticks. ".repeat(35),
        "labels": ["bug", "door"], "milestone": 7, "state": "open", "assignees": ["alice"] });
    let open = json!({ "inputSchema": { "type": "object" } });
    let large = json!({ "owner": "acme", "repo": "widgets", "title": "t", "body": "It sticks. ".repeat(95_000) });
    let compiled = nanoseconds(100, || drop(std::hint::black_box(Contract::of(&RawJson::of(&definition)))));
    println!("compile: {compiled} ns");
    for (what, arguments, rounds) in [("typical", &arguments, 10_000), ("1 MiB", &large, 20)] {
        let call = call(arguments);
        let bytes = RawJson::of(arguments).as_bytes().len();
        for (name, definition, schemas, tokens) in [
            ("off", &definition, Measure::Off, Measure::Off),
            ("schema that says nothing", &open, Measure::Flag, Measure::Off),
            ("schema", &definition, Measure::Flag, Measure::Off),
            ("tokens", &definition, Measure::Off, Measure::Flag),
            ("both", &definition, Measure::Flag, Measure::Flag),
        ] {
            let checks = checks(definition, schemas, tokens);
            let took = nanoseconds(rounds, || drop(std::hint::black_box(inspect(&checks, &call))));
            println!("{what}, {bytes} bytes, {name}: {took} ns");
        }
    }
}
