//! Schemas and values as a hostile server and a hostile caller write them; what fits, what does not, and what is not begun.

use super::*;
use proptest::prelude::*;
use serde_json::json;

fn contract(input: &Value) -> Contract {
    Contract::of(&RawJson::of(&json!({ "name": "t", "inputSchema": input })))
}

fn raw(text: &str) -> RawJson {
    RawJson::parse(&bytes::Bytes::from(text.to_owned()), 512).expect("json")
}

fn fit(input: &Value, arguments: &Value) -> Fit {
    contract(input).arguments(Some(&RawJson::of(arguments)))
}

fn misfit(fit: Fit) -> String {
    match fit {
        Fit::Misfit(misfit) => misfit.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn rpc_12_a_misfit_names_its_place_and_no_value() {
    let schema = json!({ "type": "object", "required": ["title"], "additionalProperties": false, "properties": {
        "title": { "type": "string", "maxLength": 10 },
        "count": { "type": "integer", "minimum": 1 },
        "state": { "enum": ["open", "closed"] },
        "labels": { "type": "array", "items": { "type": "string", "pattern": "^[a-z]+$" } },
        "deep": { "type": "object", "additionalProperties": { "type": "boolean" } },
    } });
    assert_eq!(fit(&schema, &json!({ "title": "a", "count": 1, "state": "open", "labels": ["x"], "deep": { "k": true } })), Fit::Fits);
    for (arguments, place) in [
        (json!({}), "/title (required)"),
        (json!({ "title": 7 }), "/title (type)"),
        (json!({ "title": "s3cr3t".repeat(20) }), "/title (maxLength)"),
        (json!({ "title": "a", "count": 0 }), "/count (minimum)"),
        (json!({ "title": "a", "count": 1.5 }), "/count (type)"),
        (json!({ "title": "a", "state": "s3cr3t" }), "/state (enum)"),
        (json!({ "title": "a", "labels": ["x", "S3CR3T"] }), "/labels/1 (pattern)"),
        (json!({ "title": "a", "s3cr3t": 1 }), "/ (additionalProperties)"),
        (json!({ "title": "a", "__proto__": {} }), "/ (additionalProperties)"),
        (json!({ "title": "a", "deep": { "s3cr3t": 1 } }), "/deep/* (type)"),
    ] {
        assert_eq!(misfit(fit(&schema, &arguments)), place, "{arguments}");
    }
    assert_eq!(misfit(contract(&schema).arguments(None)), "/title (required)", "absent arguments are an empty object");
}

#[test]
fn rpc_12_a_definition_that_says_nothing_costs_nothing() {
    for schema in [json!(true), json!({}), json!({ "type": "object" }), json!({ "type": "object", "properties": {}, "title": "T" })] {
        let contract = contract(&schema);
        assert!(matches!(contract.arguments, Side::Silent), "{schema}");
    }
    assert!(matches!(Contract::of(&raw(r#"{"name":"t"}"#)).arguments, Side::Silent));
    for schema in [json!(false), json!({ "type": "string" }), json!({ "additionalProperties": false }), json!({ "type": ["object"] })] {
        assert!(!matches!(contract(&schema).arguments, Side::Silent), "{schema}");
    }
}

#[test]
fn rpc_12_schemas_that_cannot_be_used_say_so_and_never_panic() {
    let long = format!("^({})$", "a".repeat(300_000));
    let deep = (0..60).fold(json!({ "type": "string" }), |inner, _| json!({ "properties": { "a": inner } }));
    let mut wide = json!({ "$defs": { "d0": { "type": "string" } } });
    for n in 1..40 {
        let below = format!("#/$defs/d{}", n - 1);
        wide["$defs"][format!("d{n}")] = json!({ "anyOf": [{ "$ref": below }, { "$ref": below }] });
    }
    wide["properties"] = json!({ "a": { "$ref": "#/$defs/d39" } });
    let mut chain = json!({ "$defs": { "d0": { "type": "string" } }, "$ref": "#/$defs/d4999" });
    for n in 1..5000 {
        chain["$defs"][format!("d{n}")] = json!({ "$ref": format!("#/$defs/d{}", n - 1) });
    }
    // Each of twelve leads to all the others in place: who follows every way that does not repeat itself goes 11! ways.
    let mut knot = json!({ "$defs": {}, "properties": { "a": { "$ref": "#/$defs/n0" } } });
    for n in 0..12 {
        let others: Vec<Value> = (0..12).filter(|other| *other != n).map(|n| json!({ "$ref": format!("#/$defs/n{n}") })).collect();
        knot["$defs"][format!("n{n}")] = json!({ "anyOf": others });
    }
    for (schema, why) in [
        (json!({ "$ref": "#" }), Unusable::TooInvolved),
        (json!({ "properties": { "a": { "not": { "$ref": "#/properties/a" } } } }), Unusable::TooInvolved),
        (knot, Unusable::TooInvolved),
        (json!({ "$ref": "https://evil.example/schema.json" }), Unusable::Reference),
        (json!({ "$ref": "file:///etc/passwd" }), Unusable::Reference),
        (json!({ "properties": { "a": { "$ref": "other.json#/x" } } }), Unusable::Reference),
        (json!({ "$ref": "#/nowhere" }), Unusable::Reference),
        (json!({ "$ref": 7 }), Unusable::Reference),
        (json!({ "properties": { "a": { "$id": "https://x.example/y" } } }), Unusable::Reference),
        (json!({ "$schema": "https://evil.example/draft" }), Unusable::Invalid),
        (json!({ "type": "obejct" }), Unusable::Invalid),
        (json!({ "properties": [] }), Unusable::Invalid),
        (json!(7), Unusable::Invalid),
        // Patterns that need to take back what they read, or a machine of more than a mebibyte.
        (json!({ "properties": { "a": { "pattern": "(?=a)b" } } }), Unusable::Invalid),
        (json!({ "properties": { "a": { "pattern": r"(a)\1" } } }), Unusable::Invalid),
        (json!({ "properties": { "a": { "pattern": "((a{100}){100}){100}" } } }), Unusable::Invalid),
        (json!({ "properties": { "a": { "pattern": "(" } } }), Unusable::Invalid),
        (json!({ "pattern": long }), Unusable::TooLarge),
        (deep, Unusable::TooInvolved),
        (wide, Unusable::TooInvolved),
        (chain, Unusable::TooInvolved),
    ] {
        let contract = contract(&schema);
        assert_eq!(contract.unusable(), [("inputSchema", why)], "{}", schema.to_string().chars().take(200).collect::<String>());
        assert_eq!(contract.arguments(None), Fit::Unusable(why));
    }
    let both = Contract::of(&raw(r#"{"inputSchema":{"$ref":"x"},"outputSchema":{"type":"no"}}"#));
    assert_eq!(both.unusable(), [("inputSchema", Unusable::Reference), ("outputSchema", Unusable::Invalid)]);
}

#[test]
fn rpc_12_drafts_anchors_and_the_fixture_of_the_conformance_suite_compile() {
    let suite = json!({ "$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object",
        "$defs": { "address": { "$anchor": "addressDef", "type": "object", "properties": { "street": { "type": "string" } } } },
        "properties": { "address": { "$ref": "#/$defs/address" }, "other": { "$ref": "#addressDef" },
            "contactMethod": { "enum": ["phone", "email"] }, "phone": { "type": "string" }, "email": { "type": "string" } },
        "allOf": [{ "anyOf": [{ "required": ["phone"] }, { "required": ["email"] }] }],
        "if": { "properties": { "contactMethod": { "const": "phone" } }, "required": ["contactMethod"] },
        "then": { "required": ["phone"] }, "else": { "required": ["email"] }, "additionalProperties": false });
    assert_eq!(fit(&suite, &json!({ "contactMethod": "phone", "phone": "1", "address": { "street": "a" } })), Fit::Fits);
    assert_eq!(misfit(fit(&suite, &json!({ "email": "e", "other": { "street": 1 } }))), "/other/street (type)");
    assert_eq!(misfit(fit(&suite, &json!({ "contactMethod": "phone", "email": "e" }))), "/phone (required)");
    let drafts = [
        "http://json-schema.org/draft-07/schema#",
        "http://json-schema.org/draft-04/schema#",
        "https://json-schema.org/draft/2019-09/schema",
    ];
    for draft in drafts {
        let schema = json!({ "$schema": draft, "type": "object", "definitions": { "n": { "type": "number" } },
            "properties": { "a": { "$ref": "#/definitions/n" }, "$ref": { "type": "string" } } });
        assert_eq!(fit(&schema, &json!({ "a": 1, "$ref": "x" })), Fit::Fits, "{draft}");
        assert_eq!(misfit(fit(&schema, &json!({ "a": "x" }))), "/a (type)", "{draft}");
    }
    let data = json!({ "properties": { "a": { "const": { "$ref": "nowhere" }, "default": { "$id": "x" } } } });
    assert_eq!(fit(&data, &json!({ "a": { "$ref": "nowhere" } })), Fit::Fits, "data is no schema");
}

#[test]
fn rpc_12_what_refers_to_itself_is_checked_without_exponential_work() {
    // Each level asks the same of the next one twice: 2^100 questions for who does not remember.
    let twice = json!({ "$ref": "#/$defs/n", "$defs": { "n": { "type": "object",
        "allOf": [{ "properties": { "a": { "$ref": "#/$defs/n" } } }, { "properties": { "a": { "$ref": "#/$defs/n" } } }],
        "anyOf": [{ "properties": { "a": { "$ref": "#/$defs/n" } } }, { "properties": { "a": { "$ref": "#/$defs/n" } } }] } } });
    let nest = |end: &str| raw(&format!("{}{end}{}", "{\"a\":".repeat(100), "}".repeat(100)));
    let contract = contract(&twice);
    assert_eq!(contract.arguments(Some(&nest("{}"))), Fit::Fits);
    assert_eq!(misfit(contract.arguments(Some(&nest("1")))), "/ (schema)");
    let unevaluated = json!({ "$ref": "#/$defs/n", "$defs": { "n": { "type": "object",
        "anyOf": [{ "properties": { "a": { "$ref": "#/$defs/n" } } }, { "properties": { "a": { "$ref": "#/$defs/n" } } }],
        "unevaluatedProperties": false } } });
    let contract = self::contract(&unevaluated);
    assert_eq!(contract.arguments(Some(&nest("{}"))), Fit::Fits);
    assert_eq!(misfit(contract.arguments(Some(&nest("{\"b\":1}")))), "/ (schema)");
}

/// What weighs nothing as data is a schema for a reference that leads there.
#[test]
fn rpc_12_schemas_hidden_in_data_are_weighed_where_references_reach_them() {
    for hidden in ["default", "const", "examples", "enum"] {
        let link = |n: usize| json!({ "allOf": [{ "$ref": format!("#/{hidden}/0/a{n}") }, { "$ref": format!("#/{hidden}/0/a{n}") }] });
        let mut links: serde_json::Map<String, Value> = (0..34).map(|n| (format!("a{n}"), link(n + 1))).collect();
        links.insert("a34".to_owned(), json!({ "type": "object" }));
        let schema = json!({ hidden: [links], "properties": { "x": { "$ref": format!("#/{hidden}/0/a0") } } });
        assert_eq!(contract(&schema).unusable(), [("inputSchema", Unusable::TooInvolved)], "{hidden}");
    }
    let down = json!({ "$ref": "#/default/n" });
    let twice = json!([{ "properties": { "a": down } }, { "properties": { "a": down } }]);
    let hidden = json!({ "default": { "n": { "allOf": twice } }, "$ref": "#/default/n" });
    let nest = raw(&format!("{}{{}}{}", "{\"a\":".repeat(60), "}".repeat(60)));
    assert_eq!(contract(&hidden).arguments(Some(&nest)), Fit::Fits, "in bounded time");
    // Draft 4 writes `id`, which moves where references start from.
    let moved = json!({ "$schema": "http://json-schema.org/draft-04/schema#",
        "properties": { "a": { "id": "http://x.example/", "$ref": "#/definitions/n" } }, "definitions": { "n": {} } });
    assert_eq!(contract(&moved).unusable(), [("inputSchema", Unusable::Reference)]);
    assert_eq!(fit(&json!({ "properties": { "id": { "type": "string" } } }), &json!({ "id": "x" })), Fit::Fits, "a name is no keyword");
}

#[test]
fn rpc_12_a_deep_value_does_not_exhaust_the_stack() {
    // As many levels inside of one another as are allowed, on a thread with the stack of a test, and one more.
    for (applied, fits) in [(15, true), (40, false)] {
        let down = json!({ "properties": { "a": { "$ref": "#/$defs/n" } } });
        let tower = (0..applied).fold(down, |inner, _| json!({ "allOf": [inner] }));
        let contract = contract(&json!({ "$ref": "#/$defs/n", "$defs": { "n": tower } }));
        assert_eq!(contract.unusable(), []);
        let deep = raw(&format!("{}{{}}{}", "{\"a\":".repeat(110), "}".repeat(110)));
        let expected = if fits { Fit::Fits } else { Fit::Unchecked(Unchecked::TooCostly) };
        assert_eq!(contract.arguments(Some(&deep)), expected, "{applied}");
    }
}

#[test]
fn rpc_12_arguments_that_would_cost_too_much_are_not_checked() {
    let schema = json!({ "type": "object", "properties": { "a": { "items": { "type": "integer" } } } });
    let many = |count: usize| raw(&format!("{{\"a\":[0{}]}}", ",0".repeat(count)));
    let contract = contract(&schema);
    assert_eq!(contract.arguments(Some(&many(90_000))), Fit::Fits);
    assert_eq!(contract.arguments(Some(&many(110_000))), Fit::Unchecked(Unchecked::TooBroad));
    let text = raw(&format!(r#"{{"a":"{}"}}"#, r#"\",,"#.repeat(200_000)));
    assert_eq!(contract.arguments(Some(&text)), Fit::Fits, "commas in a text are no values");
    assert_eq!(contract.arguments(Some(&raw(r#"{"a":[1e999]}"#))), Fit::Unchecked(Unchecked::Unreadable));
    let deep = raw(&format!("{{\"b\":{}{}}}", "[".repeat(200), "]".repeat(200)));
    assert_eq!(contract.arguments(Some(&deep)), Fit::Unchecked(Unchecked::Unreadable));
    let parts: Vec<Value> = (0..3000).map(|n| json!({ "required": [format!("p{n}")] })).collect();
    let heavy = self::contract(&json!({ "not": { "anyOf": parts } }));
    assert_eq!(heavy.arguments(Some(&raw(r#"{"a":1}"#))), Fit::Fits);
    assert_eq!(heavy.arguments(Some(&many(10_000))), Fit::Unchecked(Unchecked::TooCostly));
}

#[test]
fn rpc_08_a_result_is_held_against_the_output_schema() {
    let contract = Contract::of(&raw(r#"{"outputSchema":{"type":"object","properties":{"n":{"type":"integer"}},"required":["n"]}}"#));
    assert_eq!(contract.structured(&raw(r#"{"n":1}"#)), Fit::Fits);
    assert_eq!(misfit(contract.structured(&raw(r#"{"n":"1"}"#))), "/n (type)");
    assert_eq!(misfit(contract.structured(&raw("null"))), "/ (type)");
    assert_eq!(misfit(contract.unstructured()), "/ (absent)");
    let silent = Contract::of(&raw(r#"{"inputSchema":{"type":"object"}}"#));
    assert_eq!((silent.structured(&raw("7")), silent.unstructured()), (Fit::Fits, Fit::Fits));
}

#[test]
fn rpc_08_a_finished_result_must_have_what_was_promised() {
    let contract = Contract::of(&raw(r#"{"outputSchema":{"type":"object","properties":{"n":{"type":"integer"}}}}"#));
    let legacy = |version| Era::Legacy(version);
    let latest = legacy(Version::V2025_11_25);
    let (bad, good) = (r#""structuredContent":{"n":"x"}"#, r#""structuredContent":{"n":1}"#);
    for (method, era, result, fits) in [
        (Method::ToolsCall, latest, format!("{{{good}}}"), true),
        (Method::ToolsCall, latest, format!("{{{bad}}}"), false),
        (Method::ToolsCall, latest, r#"{"content":[]}"#.into(), false),
        (Method::ToolsCall, legacy(Version::V2025_06_18), r#"{"content":[]}"#.into(), false),
        (Method::ToolsCall, legacy(Version::V2025_03_26), r#"{"content":[]}"#.into(), true),
        (Method::ToolsCall, legacy(Version::V2025_03_26), format!("{{{bad}}}"), false),
        (Method::ToolsCall, latest, r#"{"content":[],"isError":true}"#.into(), true),
        (Method::ToolsCall, latest, r#"{"content":[],"isError":"true"}"#.into(), false),
        (Method::ToolsCall, latest, format!(r#"{{"isError":true,{bad}}}"#), false),
        (Method::ToolsCall, latest, r#"{"task":{"taskId":"1"}}"#.into(), true),
        (Method::ToolsCall, latest, format!(r#"{{"task":{{"taskId":"1"}},{bad}}}"#), false),
        (Method::ToolsCall, Era::Modern, r#"{"resultType":"complete"}"#.into(), false),
        (Method::ToolsCall, Era::Modern, r#"{"resultType":"input_required"}"#.into(), true),
        (Method::ToolsCall, Era::Modern, r#"{"resultType":"task","taskId":"1"}"#.into(), true),
        (Method::ToolsCall, Era::Modern, format!(r#"{{"resultType":"task","taskId":"1",{bad}}}"#), false),
        (Method::TasksResult, latest, format!("{{{bad}}}"), false),
        (Method::TasksGet, Era::Modern, r#"{"status":"working"}"#.into(), true),
        (Method::TasksGet, Era::Modern, format!(r#"{{"status":"completed","result":{{{bad}}}}}"#), false),
        (Method::TasksGet, Era::Modern, format!(r#"{{"status":"completed","result":{{{good}}}}}"#), true),
        (Method::ResourcesRead, Era::Modern, format!("{{{bad}}}"), true),
    ] {
        let fit = contract.result(method, era, &raw(&result));
        assert_eq!(fit == Fit::Fits, fits, "{method:?} {era:?} {result}: {fit:?}");
    }
}

/// Anything that looks like a schema: known keywords with values of every kind, references that lead round in circles among them.
fn any_schema() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[a-c#/$()*+?\\\\]{0,6}".prop_map(Value::from),
        select(&["#", "#/$defs/a", "#/$defs/b", "#a", "#/properties/a", "object", "string", "integer"]).prop_map(Value::from),
        Just(Value::Null),
    ];
    let keys = [
        "$ref",
        "$defs",
        "properties",
        "a",
        "b",
        "items",
        "allOf",
        "anyOf",
        "oneOf",
        "not",
        "if",
        "then",
        "type",
        "enum",
        "const",
        "pattern",
        "required",
        "additionalProperties",
        "patternProperties",
        "$anchor",
        "$id",
        "$schema",
        "$dynamicRef",
        "unevaluatedProperties",
        "dependentSchemas",
        "propertyNames",
        "contains",
        "maxLength",
        "minimum",
        "multipleOf",
        "uniqueItems",
        "prefixItems",
    ];
    leaf.prop_recursive(4, 48, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((select(&keys), inner), 0..5)
                .prop_map(|members| Value::Object(members.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())),
        ]
    })
}

fn select(from: &[&'static str]) -> impl Strategy<Value = &'static str> + use<> {
    prop::sample::select(from.to_vec())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn rpc_12_no_schema_and_no_value_make_it_panic(schema in any_schema(), value in any_schema()) {
        let contract = Contract::of(&RawJson::of(&json!({ "inputSchema": schema, "outputSchema": schema })));
        let value = RawJson::of(&value);
        let (arguments, result) = (contract.arguments(Some(&value)), contract.structured(&value));
        // The same schema says the same of both halves, but that one which every object fits is not asked about arguments.
        prop_assert!(arguments == result || matches!(contract.arguments, Side::Silent));
    }
}
