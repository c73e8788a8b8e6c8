//! RPC: one meaning for every message, whatever it looks like, in both directions.

use super::house::{House, Key, canary, server, within};
use super::speak::{MODERN, initialize, legacy, legacy_call, listen, modern, modern_call, said, text};
use super::wire::{Ask, Line, Reply};
use doorward_testkit::lax::Lax;
use doorward_testkit::lax::quirk::{Behaviour, Quirk};
use serde_json::{Value, json};
use std::time::Duration;

pub(crate) fn modern_lax() -> Behaviour {
    Behaviour::plain().with(Quirk::Modern)
}

/// Rules that allow `echo` and `mirrored` and nothing else of what is approved.
const ONLY_ECHO: &str = r#"
    @id("use") permit (principal, action == Action::"use", resource);
    @id("echo") permit (principal, action == Action::"call", resource == Tool::"alpha__echo");
    @id("mirrored") permit (principal, action == Action::"call", resource == Tool::"alpha__mirrored");
"#;

async fn only_echo() -> (Lax, House, Key, String) {
    let lax = Lax::start(modern_lax()).await.unwrap();
    let house = House::ruled(&server("alpha", &lax.url(), ""), ONLY_ECHO).await;
    house.approve().await;
    let alice = house.full("alice").await;
    let session = house.session(&alice, "alpha").await;
    lax.forget();
    (lax, house, alice, session)
}

fn raw_modern(key: &Key, body: impl Into<Vec<u8>>) -> Ask {
    let ask = Ask::post(&key.path("alpha"), body).bearer(&key.text).field("MCP-Protocol-Version", MODERN);
    ask.field("Mcp-Method", "tools/call").field("Mcp-Name", "echo")
}

fn raw_legacy(key: &Key, session: &str, body: impl Into<Vec<u8>>) -> Ask {
    let ask = Ask::post(&key.path("alpha"), body).bearer(&key.text);
    ask.field("MCP-Protocol-Version", "2025-11-25").field("Mcp-Session-Id", session)
}

const META: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rpc_01_a_message_has_one_reading_or_none() {
    let (lax, house, alice, session) = only_echo().await;
    let call = |params: &str| format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{{params}{META}}}}}"#);
    let refused = [
        call(r#""name":"echo","Name":"reflect","#),
        call(r#""Name":"reflect","name":"echo","#),
        call(r#""name":"echo","name":"reflect","#),
        call(r#""name":"reflect","name":"echo","#),
        call(r#""name":"echo","n\u0061me":"reflect","#),
        call(r#""n\u0061me":"reflect","name":"echo","#),
        call(r#""name":"echo","arguments":{},"arguments":{"a":1},"#),
        call(r#""name":"echo","arguments":{},"Arguments":{"a":1},"#),
        call(r#""name":"echo","argument\u017f":{"a":1},"#),
        call(r#""name":"echo","arguments":{"a":1,"a":2},"#),
        call(r#""name":"echo","arguments":{"a":{"b":1,"b":2}},"#),
        call(r#""name":"echo","arguments":{"path":1,"Path":2},"#),
        call(&format!(r#""name":"echo",{META},"#)),
        call(r#""name":"echo","_META":{},"#),
        call(r#""name":"echo","\u0000":1,"#),
        call(r#""name":"echo","name\u0000":"reflect","#),
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"echo",{META}}},"params":{{"name":"reflect"}}}}"#),
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","Method":"tools/list","params":{{"name":"echo",{META}}}}}"#),
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","method":"tools/list","params":{{"name":"echo",{META}}}}}"#),
        format!(r#"{{"jsonrpc":"2.0","id":1,"id":2,"method":"tools/call","params":{{"name":"echo",{META}}}}}"#),
        format!(r#"{{"jsonrpc":"2.0","jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"echo",{META}}}}}"#),
        format!(r#"{{"jsonrpc":"2.0","ID":1,"id":1,"method":"tools/call","params":{{"name":"echo",{META}}}}}"#),
        format!("\u{feff}{}", call(r#""name":"echo","#)),
        format!("{}{}", call(r#""name":"echo","#), call(r#""name":"reflect","#)),
        format!("{}\n{}", call(r#""name":"echo","#), call(r#""name":"reflect","#)),
        format!("{} x", call(r#""name":"echo","#)),
        format!("/* c */{}", call(r#""name":"echo","#)),
        call(r#""name":"echo","#).replace("\"2.0\"", "\"1.0\""),
        call(r#""name":"echo","#).replace("\"2.0\"", "2.0"),
        call(r#""name":"echo","#).replace("\"id\":1", "\"id\":null"),
        call(r#""name":"echo","#).replace("\"id\":1", "\"id\":1.5"),
        call(r#""name":"echo","#).replace("\"id\":1", "\"id\":[1]"),
        call(r#""name":"echo","#).replace("\"id\":1", "\"id\":{}"),
        call(r#""name":"echo","#).replace("\"id\":1", "\"id\":99999999999999999999"),
        call(r#""name":"echo","#).replace("\"id\":1", "\"id\":01"),
        call(r#""name":"echo","#).replace("\"tools/call\"", "[\"tools/call\"]"),
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":["echo"]}"#.to_owned(),
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","result":{{}},"params":{{"name":"echo",{META}}}}}"#),
        "null".to_owned(),
        "\"tools/call\"".to_owned(),
        "1".to_owned(),
        String::new(),
        "{}".to_owned(),
    ];
    for body in refused {
        for ask in [raw_modern(&alice, body.clone()), raw_legacy(&alice, &session, body.clone())] {
            let reply = house.ask(ask).await;
            let (status, code) = reply.code();
            assert_eq!(status, 400, "{body}: {}", reply.text());
            assert!(matches!(code, -32600 | -32602 | -32700 | -32020), "{body}: {}", reply.text());
        }
    }
    assert!(lax.seen().is_empty(), "{:?}", lax.seen());
    // What only looks like a known key is no known key: it is passed as data or dropped, and `name` decides.
    let odd =
        call("\"name\":\"echo\",\"\u{ff4e}ame\":\"reflect\",\"arguments\":{\"__proto__\":{\"name\":\"reflect\"},\"name\":\"reflect\"},");
    let reply = house.ask(raw_modern(&alice, odd)).await;
    assert!(text(&reply).contains("reflect"), "echo answers its arguments: {}", reply.text());
    for heard in lax.seen_method("tools/call") {
        assert_eq!(heard.json()["params"]["name"], "echo");
    }
    house.close(&[&alice.text]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rpc_02_bytes_that_are_no_text_are_refused() {
    let (lax, house, alice, session) = only_echo().await;
    let body = |name: &[u8]| {
        let mut out = br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":""#.to_vec();
        out.extend(name);
        out.extend(format!(r#"",{META}}}}}"#).bytes());
        out
    };
    let utf16: Vec<u8> = String::from_utf8(body(b"echo")).unwrap().encode_utf16().flat_map(u16::to_le_bytes).collect();
    for bytes in [
        body(b"echo\xff"),
        body(b"\xc0\xaf"),
        body(b"\xe0\x80\xaf"),
        body(b"\xed\xa0\x80"),
        body(b"\xf8\x88\x80\x80\x80"),
        body(br"\ud800"),
        body(br"\udc00\ud800"),
        body(br"echo\ud83d"),
        body(b"ec\0ho"),
        body(b"ec\nho"),
        body(br"\u00"),
        utf16,
        b"\xff\xfe{".to_vec(),
        b"+AHs-".to_vec(),
    ] {
        for ask in [raw_modern(&alice, bytes.clone()), raw_legacy(&alice, &session, bytes.clone())] {
            let reply = house.ask(ask).await;
            assert_eq!(reply.status, 400, "{:?}: {}", String::from_utf8_lossy(&bytes), reply.text());
        }
    }
    for media in [
        "application/json; charset=latin1",
        "application/json; charset=utf-16",
        "application/json; charset=utf-7",
        "application/json;charset=\"iso-8859-1\"",
    ] {
        assert_eq!(house.ask(raw_modern(&alice, body(b"echo")).set("Content-Type", media)).await.status, 415, "{media}");
    }
    assert!(lax.seen().is_empty());
    for media in ["application/json; charset=utf-8", "application/json;charset=UTF-8", "Application/JSON"] {
        assert_eq!(house.ask(raw_modern(&alice, body(b"echo")).set("Content-Type", media)).await.status, 200, "{media}");
    }
    house.close(&[&alice.text]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rpc_03_size_depth_and_breadth_are_bounded_and_nobody_parses_for_strangers() {
    let (lax, house, alice, session) = only_echo().await;
    let deep = |open: &str, close: &str, n: usize| format!("{}{}{}", open.repeat(n), "1", close.repeat(n));
    let in_arguments = |value: &str| {
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"echo","arguments":{{"a":{value}}},{META}}}}}"#)
    };
    let wide = format!("{{{}}}", (0..200_000).map(|n| format!("\"k{n}\":1")).collect::<Vec<_>>().join(","));
    let bodies = [
        ("[", deep("[", "]", 100_000)),
        ("{", deep("{\"a\":", "}", 100_000)),
        ("deep arguments", in_arguments(&deep("[", "]", 200))),
        ("half open", "[".repeat(500_000)),
        ("white space", format!("{}{{", " ".repeat(3 << 20))),
        ("a number", in_arguments(&"9".repeat(5 << 20))),
        ("a string", in_arguments(&format!("\"{}\"", "a".repeat(5 << 20)))),
        ("a name", in_arguments("1").replace("\"echo\"", &format!("\"{}\"", "e".repeat(100_000)))),
        ("keys", in_arguments(&wide.repeat(3))),
    ];
    for (what, body) in &bodies {
        for ask in [raw_modern(&alice, body.clone()), raw_legacy(&alice, &session, body.clone())] {
            let stranger = house.ask(ask.clone().without("authorization")).await;
            assert_eq!(stranger.status, 401, "{what}: a stranger's body is not read");
            let begun = std::time::Instant::now();
            let reply = house.ask(ask).await;
            let refused = matches!(reply.status, 400 | 413) || reply.code().1 != 0 || reply.json()["result"]["isError"] == true;
            assert!(refused, "{what}: {} {:.300}", reply.status, reply.text());
            assert!(begun.elapsed() < Duration::from_secs(5), "{what}: {:?}", begun.elapsed());
        }
    }
    for coding in ["gzip", "br", "zstd", "deflate", "gzip, gzip", "x"] {
        let reply = house.ask(raw_modern(&alice, in_arguments("1")).field("Content-Encoding", coding)).await;
        assert!(matches!(reply.status, 400 | 415), "{coding}: {}", reply.status);
    }
    // Chunked: the length is not said beforehand, the limit counts all the same.
    let mut line = Line::open(house.address).await;
    let ask = raw_modern(&alice, Vec::new()).field("Transfer-Encoding", "chunked");
    line.write(&ask.bytes(&house.address.to_string())).await;
    for _ in 0..6 {
        line.write(format!("100000\r\n{}\r\n", "a".repeat(1 << 20)).as_bytes()).await;
    }
    assert_eq!(line.reply(false).await.status, 413);
    assert!(lax.seen().is_empty());
    assert_eq!(house.ask(modern_call(&alice, "alpha", 1, "echo", json!({ "a": "fine" }))).await.status, 200);
    house.close(&[&alice.text]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rpc_04_batches_exist_in_one_revision_and_each_element_is_decided_alone() {
    let (lax, house, alice, session) = only_echo().await;
    let call =
        |id: u32, tool: &str| json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": { "name": tool, "arguments": {} } });
    let note = json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": { "progressToken": 1, "progress": 1 } });
    let init =
        json!({ "jsonrpc": "2.0", "id": 9, "method": "initialize", "params": { "protocolVersion": "2025-03-26", "capabilities": {} } });
    let nested = json!([[call(1, "echo")]]);
    let opened = house.ask(initialize(&alice, "alpha", "2025-06-18", json!({}))).await;
    let middle = opened.field("mcp-session-id").expect("a session").to_owned();
    lax.forget();
    for body in [json!([call(1, "echo"), call(2, "echo")]), json!([]), json!([1]), json!([call(1, "echo")]), nested.clone()] {
        let in_middle = raw_legacy(&alice, &middle, body.to_string()).set("MCP-Protocol-Version", "2025-06-18");
        let disguised = raw_legacy(&alice, &session, body.to_string()).set("MCP-Protocol-Version", "2025-03-26");
        for ask in [raw_modern(&alice, body.to_string()), raw_legacy(&alice, &session, body.to_string()), in_middle, disguised] {
            let reply = house.ask(ask).await;
            assert_eq!(reply.status, 400, "{body}: {}", reply.text());
        }
    }
    assert!(lax.seen().is_empty());
    let opened = house.ask(initialize(&alice, "alpha", "2025-03-26", json!({}))).await;
    let old = opened.field("mcp-session-id").expect("a session").to_owned();
    let in_old = |body: &Value| raw_legacy(&alice, &old, body.to_string()).set("MCP-Protocol-Version", "2025-03-26");
    lax.forget();
    let before = house.records().len();
    let reply = house.ask(in_old(&json!([call(1, "echo"), call(2, "reflect"), note]))).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let answers = reply.json();
    assert_eq!(answers.as_array().expect("an array").len(), 2, "{answers}");
    assert!(answers[0]["result"].is_object() && answers[0]["id"] == 1, "{answers}");
    assert!(answers[1]["id"] == 2 && (answers[1]["error"].is_object() || answers[1]["result"]["isError"] == true), "{answers}");
    let sent = lax.seen_method("tools/call");
    assert_eq!((sent.len(), &sent[0].json()["params"]["name"]), (1, &json!("echo")), "what was denied was not sent");
    let records = house.records().split_off(before);
    assert_eq!(records.iter().filter(|record| record["kind"] == "intent").count(), 2, "each has its record");
    assert_eq!(records.iter().filter(|record| record["kind"] == "refused").count(), 1);
    lax.forget();
    let many = Value::from((0..10_000).map(|id| call(id, "echo")).collect::<Vec<_>>());
    for body in [many, nested, json!([]), json!([init.clone()]), json!([call(1, "echo"), call(1, "echo")])] {
        let reply = house.ask(in_old(&body)).await;
        let refused = matches!(reply.status, 400 | 413);
        assert!(refused, "{}: {}", reply.status, reply.text());
    }
    let sessions = reply.field("mcp-session-id");
    assert!(sessions.is_none(), "a batch opens no session");
    assert!(lax.seen_method("tools/call").is_empty(), "{:?}", lax.seen_method("tools/call").len());
    house.close(&[&alice.text]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rpc_05_headers_that_do_not_mirror_the_body_are_refused_before_a_server_that_would_not_care() {
    let (lax, house, alice, _session) = only_echo().await;
    use base64::Engine as _;
    let coded = |text: &str| format!("=?base64?{}?=", base64::engine::general_purpose::STANDARD.encode(text));
    let call = || modern_call(&alice, "alpha", 1, "echo", json!({}));
    let region = |value: Value| modern_call(&alice, "alpha", 1, "mirrored", json!({ "region": value }));
    let bad = vec![
        ("another name", call().set("Mcp-Name", "reflect")),
        ("body names another", modern_call(&alice, "alpha", 1, "reflect", json!({})).set("Mcp-Name", "echo")),
        ("no name", call().without("Mcp-Name")),
        ("empty name", call().set("Mcp-Name", "")),
        ("coded other", call().set("Mcp-Name", &coded("reflect"))),
        ("broken base64", call().set("Mcp-Name", "=?base64?ZWNobw?=")),
        ("spaced base64", call().set("Mcp-Name", "=?base64?ZWNo bw==?=")),
        ("loud sentinel", call().set("Mcp-Name", &coded("echo").to_uppercase())),
        ("loud name", call().set("Mcp-Name", "Echo")),
        ("twice", call().field("Mcp-Name", "echo")),
        ("a list", call().set("Mcp-Name", "echo, reflect")),
        ("no method", call().without("Mcp-Method")),
        ("another method", call().set("Mcp-Method", "tools/list")),
        ("loud method", call().set("Mcp-Method", "Tools/Call")),
        ("two methods", call().field("Mcp-Method", "tools/call")),
        ("other version", call().set("MCP-Protocol-Version", "2025-11-25")),
        ("no mirror", region(json!("eu"))),
        ("other mirror", region(json!("eu")).field("Mcp-Param-Region", "us")),
        ("case of mirror", region(json!("eu")).field("Mcp-Param-Region", "EU")),
        ("two mirrors", region(json!("eu")).field("Mcp-Param-Region", "eu").field("mcp-param-region", "eu")),
        ("mirror of nothing", modern_call(&alice, "alpha", 1, "mirrored", json!({})).field("Mcp-Param-Region", "eu")),
        ("mirror of null", region(Value::Null).field("Mcp-Param-Region", "null")),
        ("broken mirror", region(json!("eu")).field("Mcp-Param-Region", "=?base64?!!?=")),
    ];
    for (what, ask) in bad {
        let reply = house.ask(ask).await;
        assert_eq!(reply.code(), (400, -32020), "{what}: {}", reply.text());
    }
    // Obsolete folding never arrives as one value.
    let folded = String::from_utf8(call().without("Mcp-Name").bytes(&house.address.to_string())).unwrap();
    let folded = folded.replace("Mcp-Method: tools/call\r\n", "Mcp-Method: tools/call\r\nMcp-Name: ec\r\n ho\r\n");
    let mut line = Line::open(house.address).await;
    line.write(folded.as_bytes()).await;
    assert_eq!(line.reply(false).await.status, 400);
    assert!(lax.seen_method("tools/call").is_empty());
    for (what, ask) in [
        ("coded", call().set("Mcp-Name", &coded("echo"))),
        ("spaces around", call().set("Mcp-Name", "  echo\t")),
        ("mirror", region(json!("eu")).field("Mcp-Param-Region", "eu")),
        ("coded mirror", region(json!("é")).field("MCP-PARAM-REGION", &coded("é"))),
        ("unknown mirror", call().field("Mcp-Param-Other", "x")),
    ] {
        assert_eq!(house.ask(ask).await.status, 200, "{what}");
    }
    for heard in lax.seen_method("tools/call") {
        let name = heard.json()["params"]["name"].as_str().unwrap().to_owned();
        assert_eq!(heard.field("mcp-name"), Some(name.as_str()));
        assert_eq!(heard.fields.iter().filter(|(field, _)| field.eq_ignore_ascii_case("mcp-name")).count(), 1);
    }
    house.close(&[&alice.text]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rpc_06_methods_exist_by_their_exact_name_and_in_their_era() {
    let (lax, house, alice, session) = only_echo().await;
    for method in [
        "sampling/createMessage",
        "roots/list",
        "elicitation/create",
        "rpc.discover",
        "x/y",
        "Tools/Call",
        "TOOLS/CALL",
        "tools/call ",
        " tools/call",
        "tools//call",
        "tools/call/",
        "tools/call\u{200b}",
        "tools/ca\u{13a}l",
        "tools.call",
        "<end-session>",
        "<answer>",
        "<open-stream>",
        "admin/list",
    ] {
        let params = json!({ "name": "echo", "arguments": {} });
        let mirrored = modern(&alice, "alpha", 1, method, params.clone());
        let mirrored = if method.is_ascii() { mirrored } else { mirrored.set("Mcp-Method", "x") };
        let reply = house.ask(mirrored).await;
        assert!(matches!(reply.code(), (404, -32601) | (400, -32600)), "modern {method}: {} {}", reply.status, reply.text());
        let reply = house.ask(legacy(&alice, "alpha", &session, 1, method, params)).await;
        assert!(matches!(reply.code(), (200, -32601) | (400, -32600)), "legacy {method}: {} {}", reply.status, reply.text());
    }
    for method in ["initialize", "ping", "logging/setLevel", "resources/subscribe", "tasks/list", "tasks/result"] {
        let reply = house.ask(modern(&alice, "alpha", 1, method, json!({ "uri": "a", "level": "info", "taskId": "t" }))).await;
        assert_eq!(reply.code(), (404, -32601), "modern {method}: {}", reply.text());
    }
    for method in ["server/discover", "subscriptions/listen", "tasks/update"] {
        let reply = house.ask(legacy(&alice, "alpha", &session, 1, method, json!({ "notifications": {}, "taskId": "t" }))).await;
        assert_eq!(reply.code(), (200, -32601), "legacy {method}: {}", reply.text());
    }
    // Policy allows tools only: what is read or prompted for is not there.
    for (method, params) in [
        ("resources/read", json!({ "uri": "file:///a" })),
        ("prompts/get", json!({ "name": "greet" })),
        ("completion/complete", json!({ "ref": { "type": "ref/prompt", "name": "greet" }, "argument": { "name": "a", "value": "b" } })),
    ] {
        for ask in [modern(&alice, "alpha", 1, method, params.clone()), legacy(&alice, "alpha", &session, 1, method, params.clone())] {
            let reply = house.ask(ask).await;
            assert!(reply.json().get("error").is_some(), "{method}: {}", reply.text());
        }
    }
    // A request without an id is a notification without effect.
    for method in ["tools/call", "initialize", "resources/read", "tools/list", "logging/setLevel", "notifications/unknown", "x/y"] {
        let params = json!({ "name": "echo", "arguments": {}, "uri": "file:///a", "level": "debug", "protocolVersion": "2025-11-25" });
        let body = json!({ "jsonrpc": "2.0", "method": method, "params": params });
        assert_eq!(house.ask(said(&alice, "alpha", &session, &body)).await.status, 202, "{method}");
        let mut with_meta = body.clone();
        with_meta["params"]["_meta"] = serde_json::from_str::<Value>(&format!("{{{META}}}")).unwrap()["_meta"].clone();
        let reply = house.ask(raw_modern(&alice, with_meta.to_string()).set("Mcp-Method", method)).await;
        assert!(matches!(reply.status, 202 | 400), "{method}: {}", reply.status);
    }
    assert!(lax.seen().is_empty(), "{:?}", lax.seen().iter().map(|heard| heard.json()).collect::<Vec<_>>());
    house.close(&[&alice.text]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rpc_07_ids_tokens_and_cancellations_are_each_callers_own() {
    let lax = Lax::start(modern_lax()).await.unwrap();
    let house = House::open(&server("alpha", &lax.url(), "")).await;
    house.approve().await;
    let (alice, bob) = (house.full("alice").await, house.full("bob").await);
    let (of_alice, of_bob) = (house.session(&alice, "alpha").await, house.session(&bob, "alpha").await);
    let slow = json!({ "name": "slow", "arguments": { "count": 20, "ms": 50 }, "_meta": { "progressToken": "same" } });
    let start = |key: &Key, session: &str| legacy(key, "alpha", session, 1, "tools/call", slow.clone());
    let mut hers = house.flow(start(&alice, &of_alice)).await;
    let mut his = house.flow(start(&bob, &of_bob)).await;
    let sent = lax.seen_method("tools/call");
    assert_ne!(sent[0].json()["id"], sent[1].json()["id"], "each has an id of ours");
    assert_ne!(sent[0].json()["params"]["_meta"]["progressToken"], sent[1].json()["params"]["_meta"]["progressToken"]);
    assert!(!lax.saw("\"same\""));
    // Alice cancels "1": hers. Ids that are not hers do nothing.
    let cancel = |id: Value| json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": id } });
    for id in [sent[1].json()["id"].clone(), sent[0].json()["id"].clone(), json!("1"), json!(2)] {
        assert_eq!(house.ask(said(&alice, "alpha", &of_alice, &cancel(id))).await.status, 202);
    }
    assert!(lax.seen_method("notifications/cancelled").is_empty());
    assert_eq!(house.ask(said(&alice, "alpha", &of_alice, &cancel(json!(1)))).await.status, 202);
    let cancelled = lax.seen_method("notifications/cancelled");
    assert_eq!(cancelled.len(), 1);
    hers.rest().await;
    let mut progress = 0;
    let done = loop {
        let message = his.message().await.expect("bob's call goes on");
        if message.get("result").is_some() {
            break message;
        }
        assert_eq!(message["params"]["progressToken"], "same");
        progress += 1;
    };
    assert_eq!((done["id"].clone(), progress), (json!(1), 20));
    // An id in use is not taken twice in one session.
    let again = json!({ "name": "slow", "arguments": { "count": 10, "ms": 50 }, "_meta": { "progressToken": "p" } });
    let first = house.flow(legacy(&bob, "alpha", &of_bob, 5, "tools/call", again.clone())).await;
    assert_eq!(first.status, 200);
    let second = house.ask(legacy(&bob, "alpha", &of_bob, 5, "tools/call", again)).await;
    assert!(second.code().1 != 0, "{}", second.text());
    house.close(&[&alice.text, &bob.text]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rpc_09_lists_show_what_is_theirs_and_cursors_belong_to_one() {
    let lax = Lax::start(modern_lax().with(Quirk::Pages(250))).await.unwrap();
    let rules = r#"
        @id("use") permit (principal, action == Action::"use", resource);
        @id("alice") permit (principal == User::"local/alice", action == Action::"call", resource);
        @id("bob") permit (principal == User::"local/bob", action == Action::"call", resource == Tool::"alpha__echo");
    "#;
    let house = House::ruled(&format!("{}{}", server("alpha", &lax.url(), ""), server("beta", &lax.url(), "")), rules).await;
    house.approve().await;
    let (alice, bob) = (house.full("alice").await, house.full("bob").await);
    let (second, session) = (house.full("alice").await, house.session(&alice, "alpha").await);
    let list = |key: &Key, server: &str, params: Value| modern(key, server, 1, "tools/list", params);
    let whole = house.ask(list(&bob, "alpha", json!({}))).await;
    assert_eq!(whole.result()["tools"].as_array().unwrap().len(), 1);
    assert!(!whole.contains("page_tool") && !whole.contains("nextCursor"), "not even that there is more");
    let cursor = house.ask(list(&alice, "alpha", json!({}))).await.result()["nextCursor"].as_str().expect("more").to_owned();
    assert!(!cursor.contains("page_tool"));
    let mut bad = vec![
        ("bob", list(&bob, "alpha", json!({ "cursor": cursor }))),
        ("another key", list(&second, "alpha", json!({ "cursor": cursor }))),
        ("another server", list(&alice, "beta", json!({ "cursor": cursor }))),
        ("another list", modern(&alice, "alpha", 1, "prompts/list", json!({ "cursor": cursor }))),
        ("as a state", modern(&alice, "alpha", 1, "tools/call", json!({ "name": "echo", "requestState": cursor })).field("X", "y")),
        ("sql", list(&alice, "alpha", json!({ "cursor": "' OR 1=1 --" }))),
        ("json", list(&alice, "alpha", json!({ "cursor": "{\"after\":\"\"}" }))),
        ("empty", list(&alice, "alpha", json!({ "cursor": "" }))),
        ("a number", list(&alice, "alpha", json!({ "cursor": 1 }))),
        ("null", list(&alice, "alpha", json!({ "cursor": null }))),
        ("huge", list(&alice, "alpha", json!({ "cursor": "A".repeat(100_000) }))),
        ("legacy", legacy(&alice, "alpha", &session, 1, "tools/list", json!({ "cursor": "x" }))),
    ];
    for at in [0, 6, 12, cursor.len() / 2, cursor.len() - 2] {
        let mut bytes = cursor.clone().into_bytes();
        bytes[at] ^= 1;
        bad.push(("flipped", list(&alice, "alpha", json!({ "cursor": String::from_utf8_lossy(&bytes) }))));
    }
    for (what, ask) in bad {
        let reply = house.ask(ask).await;
        assert!(reply.code().1 == -32602, "{what}: {} {:.300}", reply.status, reply.text());
        assert!(!reply.contains("page_tool"), "{what}");
    }
    for limit in [json!(0), json!(-1), json!(1_000_000_000), json!("x")] {
        let reply = house.ask(list(&alice, "alpha", json!({ "limit": limit, "pageSize": limit }))).await;
        assert_eq!(reply.result()["tools"].as_array().unwrap().len(), 100, "{limit}");
    }
    assert_eq!(house.ask(list(&alice, "alpha", json!({ "cursor": cursor }))).await.status, 200);
    // What completes is asked of the rules, too: nothing is hinted at, and no server asked.
    lax.forget();
    for reference in [
        json!({ "type": "ref/prompt", "name": "hidden" }),
        json!({ "type": "ref/resource", "uri": "file:///private/{name}" }),
        json!({ "type": "ref/tool", "name": "page_tool_0001" }),
    ] {
        for value in ["", "page_tool", "secret"] {
            let params = json!({ "ref": reference, "argument": { "name": "name", "value": value } });
            let of_bob = house.ask(modern(&bob, "alpha", 1, "completion/complete", params)).await;
            assert!(of_bob.json().get("result").is_none() && !of_bob.contains("page_tool_0"), "{reference}: {}", of_bob.text());
        }
    }
    assert!(lax.seen_method("completion/complete").is_empty());
    // A hidden tool and one that does not exist: the same words, in both eras.
    let of_bob = house.session(&bob, "alpha").await;
    let shape = |reply: &Reply, tool: &str| reply.text().replace(tool, "TOOL");
    for ask in [
        |key: &Key, _: &str, tool: &str| modern_call(key, "alpha", 1, tool, json!({})),
        |key: &Key, session: &str, tool: &str| legacy_call(key, "alpha", session, 1, tool, json!({})),
    ] {
        let hidden = house.ask(ask(&bob, &of_bob, "page_tool_0001")).await;
        let absent = house.ask(ask(&bob, &of_bob, "page_tool_9999")).await;
        assert_eq!((hidden.status, shape(&hidden, "page_tool_0001")), (absent.status, shape(&absent, "page_tool_9999")));
    }
    house.close(&[&alice.text, &cursor]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rpc_10_only_what_a_browser_cannot_send_by_itself_is_read() {
    let (lax, house, alice, session) = only_echo().await;
    let call = || modern_call(&alice, "alpha", 1, "echo", json!({}));
    for media in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/json-seq",
        "application/jsonx",
        "text/json",
        "application/xml",
        "",
        "application/json, text/plain",
        "text/plain; application/json",
    ] {
        assert_eq!(house.ask(call().set("Content-Type", media)).await.status, 415, "{media}");
    }
    assert_eq!(house.ask(call().without("Content-Type")).await.status, 415);
    let twice = house.ask(call().field("Content-Type", "text/plain")).await;
    assert!(matches!(twice.status, 400 | 415), "{}", twice.status);
    for accept in ["text/html", "image/*", "application/xml", "application/jsonx"] {
        assert_eq!(house.ask(call().set("Accept", accept)).await.status, 406, "{accept}");
    }
    assert!(lax.seen().is_empty());
    for accept in ["*/*", "application/json", "application/json, text/event-stream", "text/event-stream, application/json;q=0.5"] {
        assert_eq!(house.ask(call().set("Accept", accept)).await.status, 200, "{accept}");
    }
    assert_eq!(house.ask(call().without("Accept")).await.status, 200);
    lax.forget();
    for verb in ["PUT", "PATCH", "TRACE", "CONNECT", "HEAD", "OPTIONS", "PROPFIND", "post", "Post"] {
        let ask = Ask { verb: verb.to_owned(), body: Vec::new(), ..call() };
        let reply = house.ask(ask.without("Content-Type")).await;
        assert!(matches!(reply.status, 400 | 405 | 501), "{verb}: {}", reply.status);
        assert!(reply.field("access-control-allow-origin").is_none());
        assert!(!reply.contains(&alice.text), "{verb}: TRACE repeats nothing");
    }
    for origin in ["https://evil.test", "null"] {
        let preflight = Ask::new("OPTIONS", "/k/alpha/mcp").field("Origin", origin).field("Access-Control-Request-Method", "POST");
        let reply = house.ask(preflight).await;
        assert_eq!(reply.status, 403, "{origin}");
        assert!(reply.field("access-control-allow-origin").is_none());
    }
    let tunnel = Ask { target: house.address.to_string(), ..Ask::new("CONNECT", "") };
    let reply = house.ask(tunnel.bearer(&alice.text)).await;
    assert!(matches!(reply.status, 400..=405), "no tunnel: {}", reply.status);
    let json_only = listen(&alice, "alpha", &session).set("Accept", "application/json");
    assert_eq!(house.ask(json_only).await.status, 406);
    assert!(lax.seen().is_empty());
    house.close(&[&alice.text]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rpc_12_arguments_are_passed_as_they_are_and_checked_where_a_rule_reads_them() {
    // Strict validation against the approved schema is not offered; the catalogue then demands: forwarded unchanged. What a
    // rule reads has the type that the rule uses, or the call is refused.
    let lax = Lax::start(modern_lax()).await.unwrap();
    let rules = r#"
        @id("use") permit (principal, action == Action::"use", resource);
        @id("echo") permit (principal, action == Action::"call", resource == Tool::"alpha__echo");
        @id("small") forbid (principal, action == Action::"call", resource == Tool::"alpha__echo")
        when { context.arguments has n && context.arguments.n > 10 };
    "#;
    let house = House::ruled(&server("alpha", &lax.url(), ""), rules).await;
    house.approve().await;
    let alice = house.full("alice").await;
    lax.forget();
    let call = |arguments: Value| modern_call(&alice, "alpha", 1, "echo", arguments);
    for arguments in
        [json!({ "n": 11 }), json!({ "n": "11" }), json!({ "n": [11] }), json!({ "n": 10.5 }), json!({ "n": null }), json!({ "n": true })]
    {
        let reply = house.ask(call(arguments.clone())).await;
        assert!(reply.json()["result"]["isError"] == true || reply.code().1 != 0, "{arguments}: {}", reply.text());
    }
    for arguments in ["[]", "\"x\"", "1", "null"] {
        let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"echo","arguments":{arguments},{META}}}}}"#);
        let reply = house.ask(raw_modern(&alice, body)).await;
        assert_eq!(reply.code().1, -32602, "{arguments}: {}", reply.text());
    }
    assert!(lax.seen_method("tools/call").is_empty());
    let word = canary("word-");
    for arguments in [
        r#"{"n":10,"extra":{"__proto__":{"a":1},"constructor":{"prototype":{}}}}"#.to_owned(),
        r#"{"big":123456789012345678901234567890.5e10,"text":"\u0041\ud83d\ude00"}"#.to_owned(),
        format!(r#"{{"text":"{word}{}"}}"#, "x".repeat(500_000)),
    ] {
        lax.forget();
        let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"echo","arguments":{arguments},{META}}}}}"#);
        assert_eq!(house.ask(raw_modern(&alice, body)).await.status, 200);
        let heard = lax.seen_method("tools/call");
        let expected: Value = serde_json::from_str(&arguments).unwrap();
        assert_eq!(heard[0].json()["params"]["arguments"], expected, "unchanged");
        assert!(heard[0].contains("123456789012345678901234567890.5e10") || !arguments.contains("big"), "digit by digit");
    }
    let settled = within(Duration::from_secs(5), async || house.records().iter().filter(|record| record["kind"] == "outcome").count() >= 3);
    assert!(settled.await);
    house.close(&[&alice.text, &word]).await;
}
