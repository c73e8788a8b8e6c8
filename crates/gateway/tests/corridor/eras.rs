//! T4, T10, T12: the same bytes in the wrong era, pages of lists, and servers that change their era.

use super::house::{House, canary, server, within};
use super::speak::{MODERN, initialize, legacy, legacy_call, listen, modern, modern_call, said, text};
use super::wire::Ask;
use doorward_testkit::fixture::Era;
use doorward_testkit::fixture::door::Running;
use doorward_testkit::lax::Lax;
use doorward_testkit::lax::quirk::{Behaviour, Quirk};
use serde_json::{Value, json};
use std::time::Duration;

/// A request whose `_meta` and header name these versions.
fn versions(key: &super::house::Key, meta: Option<&str>, header: Option<&str>, method: &str, mut params: Value) -> Ask {
    if let Some(version) = meta {
        params["_meta"] = json!({ "io.modelcontextprotocol/protocolVersion": version, "io.modelcontextprotocol/clientCapabilities": {} });
    }
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
    let mut ask = Ask::post(&key.path("alpha"), body.to_string()).bearer(&key.text).field("Mcp-Method", method);
    if method == "tools/call" {
        ask = ask.field("Mcp-Name", "echo");
    }
    match header {
        Some(version) => ask.field("MCP-Protocol-Version", version),
        None => ask,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t4_each_row_of_the_desync_table_in_front_of_servers_of_every_era() {
    // In front of a lax server that would serve anything, of a well-behaved one of both eras, and of one era each.
    let lax = Lax::start(Behaviour::plain().with(Quirk::Modern).with(Quirk::EchoesVersion)).await.unwrap();
    let (dual, new, old) = (
        Running::start(Era::Dual, 0).await.unwrap(),
        Running::start(Era::Modern, 0).await.unwrap(),
        Running::start(Era::Legacy, 0).await.unwrap(),
    );
    for (what, url) in [("lax", lax.url()), ("dual", dual.url()), ("modern", new.url()), ("legacy", old.url())] {
        let house = House::open(&server("alpha", &url, "")).await;
        house.approve().await;
        lax.forget();
        let alice = house.full("alice").await;
        for (meta, header, method, params, expected) in [
            (Some("2025-11-25"), Some("2025-11-25"), "tools/list", json!({}), (400, -32022)),
            (Some("2025-11-25"), Some("2025-11-25"), "tools/call", json!({ "name": "echo" }), (400, -32022)),
            (Some("2025-11-25"), None, "tools/list", json!({}), (400, -32020)),
            (Some(MODERN), None, "tools/list", json!({}), (400, -32020)),
            (Some(MODERN), None, "tools/call", json!({ "name": "echo" }), (400, -32020)),
            (Some(MODERN), Some("2025-11-25"), "tools/call", json!({ "name": "echo" }), (400, -32020)),
            (Some("2025-11-25"), Some(MODERN), "tools/call", json!({ "name": "echo" }), (400, -32020)),
            (Some("2030-01-01"), Some("2030-01-01"), "tools/list", json!({}), (400, -32022)),
            (Some(""), Some(""), "tools/list", json!({}), (400, -32022)),
            (None, Some("1999-01-01"), "tools/list", json!({}), (400, -32022)),
            (None, Some("2024-11-05"), "tools/list", json!({}), (400, -32022)),
            (None, Some("garbage"), "tools/list", json!({}), (400, -32022)),
            (None, Some(MODERN), "initialize", json!({ "protocolVersion": "2025-11-25", "capabilities": {} }), (400, -32020)),
            (None, Some(MODERN), "initialize", json!({ "protocolVersion": MODERN, "capabilities": {} }), (400, -32020)),
            (None, Some("2025-06-18"), "initialize", json!({ "protocolVersion": "2025-11-25", "capabilities": {} }), (400, -32600)),
            (None, Some(MODERN), "tools/call", json!({ "name": "echo" }), (400, -32602)),
            (None, None, "tools/list", json!({}), (400, -32600)),
            (None, None, "tools/call", json!({ "name": "echo" }), (400, -32600)),
            (None, Some("2025-11-25"), "server/discover", json!({}), (400, -32600)),
        ] {
            let reply = house.ask(versions(&alice, meta, header, method, params)).await;
            assert_eq!(reply.code(), expected, "{what}: {meta:?} {header:?} {method}: {}", reply.text());
            assert!(reply.field("mcp-session-id").is_none());
        }
        // One header, two values; and one value with a list in it.
        for ask in [
            versions(&alice, Some(MODERN), Some(MODERN), "tools/call", json!({ "name": "echo" })).field("mcp-protocol-version", MODERN),
            versions(&alice, Some(MODERN), Some(MODERN), "tools/call", json!({ "name": "echo" }))
                .field("mcp-protocol-version", "2025-11-25"),
            versions(&alice, Some(MODERN), Some("2026-07-28, 2025-11-25"), "tools/call", json!({ "name": "echo" })),
        ] {
            assert_eq!(house.ask(ask).await.code(), (400, -32020), "{what}");
        }
        assert!(lax.seen().is_empty(), "{what}: none of it was passed on: {:?}", lax.seen());
        assert_eq!(house.ask(legacy(&alice, "alpha", "unknown", 1, "tools/list", json!({}))).await.status, 404, "{what}");
        assert_eq!(house.ask(listen(&alice, "alpha", "x").field("MCP-Protocol-Version", MODERN)).await.status, 405, "{what}");
        // Unknown versions are answered with the newest that has sessions, never echoed.
        let reply = house.ask(initialize(&alice, "alpha", "2030-01-01", json!({}))).await;
        if what != "modern" {
            assert_eq!(reply.result()["protocolVersion"], "2025-11-25", "{what}");
        } else {
            assert_eq!(reply.code(), (400, -32022), "{what}: {}", reply.text());
        }
        let discover = house.ask(modern(&alice, "alpha", 1, "server/discover", json!({}))).await;
        if what == "legacy" {
            assert_eq!(discover.code(), (400, -32022), "{what}: {}", discover.text());
        } else {
            assert_eq!(discover.result()["supportedVersions"], json!([MODERN]), "{what}");
        }
        house.close(&[&alice.text]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t4_what_goes_upstream_is_of_the_era_that_was_decided() {
    let lax = Lax::start(Behaviour::plain().with(Quirk::Modern)).await.unwrap();
    let house = House::open(&server("alpha", &lax.url(), "")).await;
    house.approve().await;
    let alice = house.full("alice").await;
    let session = house.session(&alice, "alpha").await;
    lax.forget();
    // A legacy message that carries modern decoration, and the other way round.
    let params = json!({ "name": "echo", "arguments": {}, "requestState": "user=bob", "inputResponses": { "a": {} },
        "_meta": { "io.modelcontextprotocol/clientCapabilities": { "sampling": {} }, "io.modelcontextprotocol/logLevel": "debug" } });
    let ask = legacy(&alice, "alpha", &session, 1, "tools/call", params);
    let reply = house.ask(ask.field("Mcp-Method", "tools/list").field("Mcp-Name", "reflect")).await;
    let heard = lax.seen_method("tools/call");
    for one in &heard {
        for word in ["requestState", "user=bob", "clientCapabilities", "logLevel", "sampling"] {
            assert!(!one.contains(word), "{word}: {}", String::from_utf8_lossy(&one.wire));
        }
        assert!(one.field("mcp-method").is_none() && one.field("mcp-name").is_none());
        assert_eq!(one.field("mcp-session-id").map(|id| id.starts_with("lax-")), Some(true));
    }
    assert!(reply.status == 200, "{}", reply.text());
    lax.forget();
    let params = json!({ "name": "echo", "arguments": {}, "task": { "ttl": 1 } });
    house.ask(modern(&alice, "alpha", 1, "tools/call", params).field("Mcp-Session-Id", &session)).await;
    for one in lax.seen_method("tools/call") {
        assert_eq!(one.field("mcp-protocol-version"), Some(MODERN));
        assert!(one.field("mcp-session-id").is_none());
    }
    house.close(&[&alice.text, &session]).await;
}

async fn pages(house: &House, mut ask: impl FnMut(Value) -> Ask) -> Vec<String> {
    let (mut names, mut params) = (Vec::new(), json!({}));
    for _ in 0..200 {
        let result = house.ask(ask(params)).await.result();
        let tools = result["tools"].as_array().expect("tools").clone();
        names.extend(tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()));
        match result.get("nextCursor").and_then(Value::as_str) {
            None => return names,
            Some(cursor) => params = json!({ "cursor": cursor }),
        }
    }
    panic!("the list does not end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t10_a_thousand_tools_with_an_empty_page_and_an_empty_cursor() {
    let lax = Lax::start(Behaviour::plain().with(Quirk::Modern).with(Quirk::Pages(1000))).await.unwrap();
    let more = "tools = { deny = [\"page_tool_01*\", \"page_tool_02*\", \"page_tool_03*\"] }";
    let house = House::open(&format!("{}{}", server("alpha", &lax.url(), ""), server("beta", &lax.url(), more))).await;
    house.approve().await;
    let alice = house.full("alice").await;
    for (name, expected) in [("alpha", 1006), ("beta", 706)] {
        let session = house.session(&alice, name).await;
        let modern = pages(&house, |params| modern(&alice, name, 1, "tools/list", params)).await;
        let legacy = pages(&house, |params| legacy(&alice, name, &session, 1, "tools/list", params)).await;
        let mut distinct = modern.clone();
        distinct.sort();
        distinct.dedup();
        assert_eq!((modern.len(), distinct.len()), (expected, expected), "{name}: each once");
        assert_eq!(modern, legacy, "{name}");
        assert!(!modern.iter().any(|tool| name == "beta" && tool.starts_with("page_tool_02")), "whole pages are hidden");
    }
    house.close(&[&alice.text]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t10_a_list_without_an_end_is_an_error_and_costs_nobody_else() {
    let endless = Lax::start(Behaviour::plain().with(Quirk::Modern).with(Quirk::EndlessPages)).await.unwrap();
    let good = Lax::start(Behaviour::plain().with(Quirk::Modern)).await.unwrap();
    let house = House::open(&format!("{}{}", server("alpha", &endless.url(), ""), server("beta", &good.url(), ""))).await;
    house.approve().await;
    let alice = house.full("alice").await;
    let reply = house.ask(modern(&alice, "alpha", 1, "tools/list", json!({}))).await;
    assert_eq!(reply.code().1, -32603, "never a short list: {}", reply.text());
    assert!(endless.seen().len() < 500, "bounded: {}", endless.seen().len());
    assert_eq!(house.ask(modern_call(&alice, "beta", 1, "echo", json!({ "text": "x" }))).await.status, 200);
    house.close(&[&alice.text]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t12_a_server_that_changes_its_era_is_found_out_and_never_misunderstood() {
    let port = {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        free.local_addr().unwrap().port()
    };
    let old = Lax::start_on(port, Behaviour::plain()).await.unwrap();
    let house = House::open(&server("alpha", &old.url(), "")).await;
    house.approve().await;
    let alice = house.full("alice").await;
    let session = house.session(&alice, "alpha").await;
    assert_eq!(house.ask(legacy_call(&alice, "alpha", &session, 1, "echo", json!({ "text": "one" }))).await.status, 200);
    let before = house.ask(modern_call(&alice, "alpha", 1, "echo", json!({ "text": "one" }))).await;
    assert_eq!(before.code(), (400, -32022), "{}", before.text());
    assert!(old.seen_method("tools/call").iter().all(|heard| heard.field("mcp-protocol-version") == Some("2025-11-25")));
    drop(old);
    // The same address, upgraded, with sessions open. What was approved stays approved: the definitions are the same.
    let mut upgraded = None;
    let up = within(Duration::from_secs(10), async || {
        upgraded = Lax::start_on(port, Behaviour::plain().with(Quirk::Modern)).await.ok();
        upgraded.is_some()
    });
    assert!(up.await);
    let new = upgraded.unwrap();
    let secret = canary("word-");
    let reply = house.ask(legacy_call(&alice, "alpha", &session, 2, "echo", json!({ "text": secret }))).await;
    assert_eq!(reply.status, 200, "the session goes on in its own era: {}", reply.text());
    for heard in new.seen() {
        let modern = heard.field("mcp-protocol-version") == Some(MODERN);
        assert_eq!(modern, heard.contains("io.modelcontextprotocol/protocolVersion"), "header and body agree about the era");
    }
    house.close(&[&alice.text, &secret]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t12_a_server_may_be_bound_to_one_era() {
    let lax = Lax::start(Behaviour::plain().with(Quirk::Modern)).await.unwrap();
    let house =
        House::open(&format!("{}{}", server("alpha", &lax.url(), "era = \"2025\""), server("beta", &lax.url(), "era = \"2026\""))).await;
    house.approve().await;
    let alice = house.full("alice").await;
    let session = house.session(&alice, "alpha").await;
    assert!(text(&house.ask(legacy_call(&alice, "alpha", &session, 1, "echo", json!({ "text": "x" }))).await).contains('x'));
    assert!(text(&house.ask(modern_call(&alice, "beta", 1, "echo", json!({ "text": "x" }))).await).contains('x'));
    assert_eq!(house.ask(modern_call(&alice, "alpha", 1, "echo", json!({ "text": "x" }))).await.code(), (400, -32022));
    assert_eq!(house.ask(initialize(&alice, "beta", "2025-11-25", json!({}))).await.code(), (400, -32022));
    let note = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
    assert_eq!(house.ask(said(&alice, "beta", &session, &note)).await.status, 404, "a session of one server is none of another");
    house.close(&[&alice.text, &session]).await;
}
