//! One meaning for every message, or a refusal (RPC-01, RPC-04 to RPC-06).

use super::*;
use crate::blame::Wire;

fn raw(text: &str) -> RawJson {
    RawJson::parse(&Bytes::copy_from_slice(text.as_bytes()), 64).expect("json")
}

fn modern(method: &str, params: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":"a","method":"{method}","params":{{{params}"_meta":{{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{{}},"vendor.example/x":1,"dev.mcp/y":2,"traceparent":"t"}}}}}}"#
    )
}

fn headers(method: &str, name: Option<&str>) -> McpHeaders {
    let name = name.map_or(Single::Absent, |name| Single::Once(name.to_owned()));
    McpHeaders { method: Single::Once(method.to_owned()), name, ..McpHeaders::default() }
}

fn code(result: Result<Call, Refusal>) -> (u16, i32) {
    match result.expect_err("refused").wire {
        Wire::Rpc { status, code, .. } => (status, code),
        other => panic!("{other:?}"),
    }
}

fn decoded(era: Era, text: &str, headers: &McpHeaders) -> Result<Call, Refusal> {
    message(&raw(text)).and_then(|message| decode(era, message, headers))
}

#[test]
fn a_modern_tool_call_has_every_part_typed() {
    let text = modern("tools/call", r#""name":"greet","arguments":{"a":1},"requestState":"s","inputResponses":{"k":{}},"#);
    let call = decoded(Era::Modern, &text, &headers("tools/call", Some("greet"))).expect("valid");
    assert_eq!((call.method(), call.target()), (Method::ToolsCall, Some("greet")));
    assert_eq!(call.arguments().expect("arguments").as_bytes(), br#"{"a":1}"#);
    assert_eq!(call.request_state(), Some("s"));
    assert_eq!(call.vendor_meta().expect("vendor").as_bytes(), br#"{"vendor.example/x":1}"#, "D19: protocol and trace keys are not copied");
    assert_eq!(call.params().iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>(), ["name", "arguments"]);
    assert_eq!(call.rpc_id().as_deref(), Some("\"a\""));
}

#[test]
fn rpc_01_variants_of_known_keys_are_refused() {
    for (params, outer) in [
        (r#""name":"greet","Name":"secretTool","#, ""),
        (r#""name":"greet","NAME":"secretTool","#, ""),
        (r#""name":"greet","Arguments":{},"#, ""),
        (r#""name":"greet","arguments":{},"task\u017f":1,"tas\u212a":{},"#, ""),
        (r#""name":"greet","#, r#""Method":"tools/list","#),
        (r#""name":"greet","#, r#""PARAMS":{},"#),
    ] {
        let text = modern("tools/call", params).replacen('{', &format!("{{{outer}"), 1);
        assert_eq!(code(decoded(Era::Modern, &text, &headers("tools/call", Some("greet")))), (400, INVALID_REQUEST), "{text}");
    }
    let fullwidth = modern("tools/call", r#""name":"greet","ｎame":"secretTool","#);
    let call = decoded(Era::Modern, &fullwidth, &headers("tools/call", Some("greet"))).expect("an unrelated key");
    assert_eq!(call.target(), Some("greet"), "never promoted");
    for arguments in [
        r#"{"path":"a","Path":"b"}"#,
        r#"{"target":{"path":"/ok","Path":"/etc/shadow"}}"#,
        r#"{"list":[1,[{"deep":{"tas\u212a":1,"task":2}}]]}"#,
        r#"{"\u00e4":1,"\u00c4":2}"#,
    ] {
        let text = modern("tools/call", &format!(r#""name":"greet","arguments":{arguments},"#));
        assert_eq!(code(decoded(Era::Modern, &text, &headers("tools/call", Some("greet")))), (400, INVALID_REQUEST), "{arguments}");
    }
    let apart = modern("tools/call", r#""name":"greet","arguments":{"a":{"Path":1},"b":{"path":2}},"#);
    assert!(decoded(Era::Modern, &apart, &headers("tools/call", Some("greet"))).is_ok(), "keys of two objects");
}

#[test]
fn rpc_01_variants_inside_the_parts_of_the_protocol_are_refused() {
    for (method, params) in [
        ("completion/complete", r#""ref":{"type":"ref/resource","uri":"{+u}","Uri":"secret://{x}"},"argument":{"name":"a","value":""},"#),
        ("completion/complete", r#""ref":{"type":"ref/prompt","name":"p","URI":"secret://{x}"},"argument":{"name":"a","value":""},"#),
        ("completion/complete", r#""ref":{"type":"ref/prompt","name":"p"},"argument":{"name":"a","Value":""},"#),
    ] {
        assert_eq!(code(decoded(Era::Modern, &modern(method, params), &headers(method, None))), (400, INVALID_REQUEST), "{params}");
    }
}

#[test]
fn rpc_01_meta_keys_of_the_protocol_are_not_copied_in_any_case() {
    let text = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"greet","_meta":{"IO.ModelContextProtocol/protocolVersion":"1","ProgressToken":5,"TraceParent":"t","to\u212aen":1,"vendor.example/X":1}}}"#;
    let call = decoded(Era::Modern, text, &headers("tools/call", Some("greet"))).expect("valid");
    assert_eq!(call.vendor_meta().expect("vendor").as_bytes(), br#"{"vendor.example/X":1}"#);
    assert!(call.progress_token().is_none());
}

#[test]
fn ses_12_a_subscription_is_of_known_members_of_their_types() {
    let listen = |heard: &str| {
        let text = modern("subscriptions/listen", &format!(r#""notifications":{heard},"#));
        decoded(Era::Modern, &text, &headers("subscriptions/listen", None))
    };
    for bad in [
        r#"{"resourceSubscriptions":"secret://a"}"#,
        r#"{"resourceSubscriptions":{"0":"secret://a"}}"#,
        r#"{"resourceSubscriptions":["a",["secret://a"]]}"#,
        r#"{"ResourceSubscriptions":["secret://a"]}"#,
        r#"{"taskIds":"t"}"#,
        r#"{"taskIds":[1]}"#,
        r#"{"tas\u212aIds":["t"]}"#,
        r#"{"toolsListChanged":1}"#,
        "[]",
    ] {
        assert_eq!(code(listen(bad)), (200, INVALID_PARAMS), "{bad}");
    }
    let call = listen(r#"{"toolsListChanged":true,"other":["secret://a"],"resourceSubscriptions":["a"],"taskIds":[]}"#).expect("valid");
    let heard = call.params().iter().find(|(key, _)| key == "notifications").map(|(_, value)| value.as_bytes());
    assert_eq!(heard, Some(br#"{"toolsListChanged":true,"resourceSubscriptions":["a"],"taskIds":[]}"#.as_slice()), "nothing unknown");
}

#[test]
fn rpc_05_mirrored_headers_must_equal_the_body() {
    let text = modern("tools/call", r#""name":"greet","#);
    let with = |headers: McpHeaders| code(decoded(Era::Modern, &text, &headers));
    let good = headers("tools/call", Some("greet"));
    assert!(decoded(Era::Modern, &text, &good).is_ok());
    assert!(decoded(Era::Modern, &text, &headers("tools/call", Some("=?base64?Z3JlZXQ=?="))).is_ok());
    for bad in [
        headers("tools/call", Some("secretTool")),
        headers("tools/call", None),
        headers("tools/list", Some("greet")),
        headers("Tools/Call", Some("greet")),
        headers("tools/call", Some("Greet")),
        headers("tools/call", Some("=?base64?c2VjcmV0VG9vbA==?=")),
        headers("tools/call", Some("=?base64?Z3JlZXQ?=")),
        headers("tools/call", Some("=?BASE64?Z3JlZXQ=?=")),
        McpHeaders { name: Single::Unusable, ..good.clone() },
        McpHeaders { method: Single::Unusable, ..good.clone() },
        McpHeaders { params: vec![("a".into(), "1".into()), ("a".into(), "1".into())], ..good.clone() },
        McpHeaders { params: vec![("a".into(), "=?base64?!?=".into())], ..good.clone() },
    ] {
        assert_eq!(with(bad.clone()), (400, HEADER_MISMATCH), "{bad:?}");
    }
}

#[test]
fn rpc_06_only_listed_methods_in_their_era_and_only_as_requests() {
    let legacy = Era::Legacy(Version::V2025_11_25);
    for method in ["x/y", "rpc.discover", "Tools/Call", "tools/call ", "tools//call", "sampling/createMessage", "roots/list"] {
        let text = modern(method, "");
        assert_eq!(code(decoded(Era::Modern, &text, &headers(method, None))), (404, METHOD_NOT_FOUND), "{method}");
        assert_eq!(code(decoded(legacy, &text, &McpHeaders::default())), (200, METHOD_NOT_FOUND), "{method}");
    }
    for removed in ["initialize", "ping", "logging/setLevel", "resources/subscribe", "tasks/list", "tasks/result"] {
        assert_eq!(code(decoded(Era::Modern, &modern(removed, ""), &headers(removed, None))), (404, METHOD_NOT_FOUND), "{removed}");
    }
    assert_eq!(
        code(decoded(Era::Legacy(Version::V2025_06_18), &modern("tasks/list", ""), &McpHeaders::default())),
        (200, METHOD_NOT_FOUND)
    );
    let note = r#"{"jsonrpc":"2.0","method":"tools/call","params":{"name":"greet"}}"#;
    assert_eq!(decoded(legacy, note, &McpHeaders::default()).expect("accepted").method(), Method::OtherNotification);
}

#[test]
fn shapes_that_are_not_json_rpc_are_refused_and_the_id_is_echoed_where_it_can_be() {
    for text in [
        "1",
        "[]",
        "{}",
        r#"{"jsonrpc":"1.0","id":1,"method":"x"}"#,
        r#"{"jsonrpc":"2.0","id":null,"method":"x"}"#,
        r#"{"jsonrpc":"2.0","id":1.5,"method":"x"}"#,
        r#"{"jsonrpc":"2.0","id":{},"method":"x"}"#,
        r#"{"jsonrpc":"2.0","id":9007199254740993,"method":"x"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"x","result":{}}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":{},"error":{}}"#,
        r#"{"jsonrpc":"2.0","id":1}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":5}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"x","params":[]}"#,
    ] {
        let refusal = message(&raw(text)).expect_err(text);
        assert!(matches!(refusal.wire, Wire::Rpc { status: 400, code: INVALID_REQUEST, .. }), "{text}");
    }
    assert_eq!(message(&raw(r#"{"jsonrpc":"2.0","id":7,"method":5}"#)).expect_err("bad").known.rpc_id.as_deref(), Some("7"));
    assert!(matches!(read(&Bytes::from_static(b"[1]"), 8), Ok(Body::Batch(_))));
    assert!(matches!(read(&Bytes::from_static(b"{"), 8).expect_err("bad").wire, Wire::Rpc { code: PARSE, .. }));
}

#[test]
fn ses_10_input_responses_must_be_objects() {
    for bad in [r#""inputResponses":null,"#, r#""inputResponses":{"k":1},"#, r#""requestState":5,"#] {
        let text = modern("tools/call", &format!(r#""name":"greet",{bad}"#));
        assert_eq!(code(decoded(Era::Modern, &text, &headers("tools/call", Some("greet")))), (200, INVALID_PARAMS), "{bad}");
    }
}

#[test]
fn the_digest_covers_name_and_arguments_and_nothing_else() {
    let digest =
        |params: &str| *decoded(Era::Modern, &modern("tools/call", params), &headers("tools/call", Some("greet"))).expect("valid").digest();
    let base = digest(r#""name":"greet","arguments":{"a":1,"b":[2]},"#);
    assert_eq!(base, digest(r#""arguments":{"b":[2],"a":1},"name":"greet","requestState":"x","inputResponses":{},"#));
    assert_ne!(base, digest(r#""name":"greet","arguments":{"a":1,"b":[3]},"#));
    assert_ne!(base, digest(r#""name":"greet","#));
}
