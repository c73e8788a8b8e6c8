//! What the record says of each way to fail: an administrator reads the reason there, and the client gets its status (docs/http-status.md).
//! Reasons that a case of the catalogue provokes stand with that case.

use super::house::{House, Key, server, within};
use super::scripted::{Asked, Scripted, tool, whole};
use super::speak::{MODERN, end, initialize, legacy, legacy_call, listen, modern, modern_call, said};
use super::wire::Ask;
use doorward_testkit::lax::Lax;
use doorward_testkit::lax::quirk::{Answer, Behaviour, Quirk};
use serde_json::{Value, json};
use std::time::Duration;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_client_does_wrong_is_named_in_the_record() {
    let lax = Lax::start(Behaviour::plain().with(Quirk::Modern)).await.unwrap();
    let house = House::over_listening(&server("alpha", &lax.url(), ""), "max_body = \"64KiB\"").await;
    house.approve().await;
    let alice = house.full("alice").await;
    let session = house.session(&alice, "alpha").await;
    let raw = |body: &str| Ask::post(&alice.path("alpha"), body).bearer(&alice.text);
    let new = |body: Value| raw(&body.to_string()).field("MCP-Protocol-Version", MODERN);
    let ping = || legacy(&alice, "alpha", &session, 1, "ping", json!({}));
    let task = |method: &str| modern(&alice, "alpha", 1, method, json!({ "taskId": "none" }));
    let meta = json!({ "io.modelcontextprotocol/protocolVersion": "2031-01-01", "io.modelcontextprotocol/clientCapabilities": {} });
    let later = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": { "_meta": meta } });
    let later = raw(&later.to_string()).field("MCP-Protocol-Version", "2031-01-01").field("Mcp-Method", "tools/list");
    let cases: Vec<(&str, u16, Ask)> = vec![
        ("method_not_allowed", 405, Ask::new("PUT", &alice.path("alpha")).bearer(&alice.text)),
        ("media_type", 415, ping().set("Content-Type", "text/plain")),
        ("not_acceptable", 406, ping().set("Accept", "text/html")),
        ("not_acceptable", 406, listen(&alice, "alpha", &session).set("Accept", "application/json")),
        ("body_too_large", 413, ping().set("Content-Length", "70000")),
        ("not_json", 400, raw("{")),
        ("not_json_rpc", 400, raw(r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#)),
        (
            "not_json_rpc",
            400,
            new(json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": [] })).field("Mcp-Method", "tools/call"),
        ),
        ("bad_params", 200, legacy(&alice, "alpha", &session, 1, "tools/call", json!({}))),
        (
            "bad_meta",
            400,
            new(json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {} })).field("Mcp-Method", "tools/list"),
        ),
        ("unknown_method", 404, modern(&alice, "alpha", 1, "tools/destroy", json!({}))),
        ("unknown_method", 200, legacy(&alice, "alpha", &session, 1, "tools/destroy", json!({}))),
        ("header_mismatch", 400, modern_call(&alice, "alpha", 1, "echo", json!({})).set("Mcp-Name", "add")),
        ("version_header", 400, ping().field("MCP-Protocol-Version", "2025-11-25")),
        ("version_mismatch", 400, modern(&alice, "alpha", 1, "tools/list", json!({})).set("MCP-Protocol-Version", "2025-11-25")),
        ("unsupported_version", 400, later),
        ("answer_in_modern", 400, new(json!({ "jsonrpc": "2.0", "id": 1, "result": {} }))),
        ("missing_capability", 400, task("tasks/get")),
        ("no_session", 400, ping().without("Mcp-Session-Id")),
        ("bad_cursor", 200, legacy(&alice, "alpha", &session, 1, "tools/list", json!({ "cursor": "of-nobody" }))),
        ("credential_in_query", 400, Ask::post(&format!("{}?access_token={}", alice.path("alpha"), alice.text), "{}")),
    ];
    let mut wrong = Vec::new();
    for (reason, status, ask) in cases {
        let before = house.records().len();
        let reply = house.ask(ask).await;
        let said = (house.last_reason(), reply.status);
        if said != (reason.to_owned(), status) || house.records().len() == before {
            wrong.push(format!("{reason} {status}: {said:?} {}", reply.text()));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(lax.seen_method("tools/call").is_empty(), "none of it reached the server");
    house.close(&[&alice.text, &session]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_session_does_not_allow_is_named_in_the_record() {
    let lax = Lax::start(Behaviour::plain().with(Quirk::Answer(Answer::Never))).await.unwrap();
    let limits = "[limits]\nstreams_per_user = 2\n";
    let house = House::open(&format!("{}{limits}", server("alpha", &lax.url(), "timeout = \"60s\""))).await;
    house.approve().await;
    let (alice, bob) = (house.full("alice").await, house.full("bob").await);
    let (session, other) = (house.session(&alice, "alpha").await, house.session(&alice, "alpha").await);
    let first = house.flow(listen(&alice, "alpha", &session)).await;
    assert_eq!(first.status, 200);
    assert_eq!(house.ask(listen(&alice, "alpha", &session)).await.status, 409);
    assert_eq!(house.last_reason_of_calls(), "stream_taken");
    assert_eq!(house.ask(listen(&alice, "alpha", &session).field("Last-Event-ID", "of-nobody")).await.status, 400);
    assert_eq!(house.last_reason_of_calls(), "unknown_event");
    let second = house.flow(listen(&alice, "alpha", &other)).await;
    assert_eq!(second.status, 200);
    let third = house.session(&alice, "alpha").await;
    assert_eq!(house.ask(listen(&alice, "alpha", &third)).await.status, 429);
    assert_eq!(house.last_reason_of_calls(), "too_many_streams");
    // An id stands for one request at a time, or a cancellation would not know which.
    let of_bob = house.session(&bob, "alpha").await;
    let (ask, address) = (legacy_call(&bob, "alpha", &of_bob, 7, "echo", json!({})), house.address);
    let waiting = tokio::spawn(async move { ask.at(address).await });
    assert!(within(Duration::from_secs(5), async || lax.seen_method("tools/call").len() == 1).await);
    assert_eq!(house.ask(legacy_call(&bob, "alpha", &of_bob, 7, "echo", json!({}))).await.status, 400);
    assert_eq!(house.last_reason_of_calls(), "id_in_use");
    waiting.abort();
    drop((first, second));
    house.close(&[&alice.text, &bob.text, &session]).await;
}

/// A server that answers as `answer` says, or else plainly.
async fn answering(answer: impl Fn(&Asked) -> Option<Vec<u8>> + Send + Sync + 'static) -> Scripted {
    let tools = json!([tool("echo")]);
    Scripted::at_once(move |asked| answer(asked).unwrap_or_else(|| whole(&asked.plainly(&tools).unwrap_or_default()))).await
}

fn status(line: &str) -> Vec<u8> {
    format!("HTTP/1.1 {line}\r\nContent-Length: 0\r\n\r\n").into_bytes()
}

/// A house before a server that answers calls, and what has no body, with these bytes.
async fn before(of_calls: Vec<u8>) -> (Scripted, House, Key) {
    let scripted = answering(move |asked| (asked.method() == "tools/call").then(|| of_calls.clone())).await;
    let limits = "[limits]\nper_user = \"60000000/m\"\nresult_bytes = \"64KiB\"\n";
    let house = House::open(&format!("{}{limits}", server("alpha", &scripted.url(), "timeout = \"5s\""))).await;
    house.approve().await;
    let alice = house.full("alice").await;
    (scripted, house, alice)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_server_does_wrong_is_named_in_the_record() {
    let text = "x".repeat(200_000);
    let large = json!({ "jsonrpc": "2.0", "id": 0, "result": { "resultType": "complete", "content": [{ "type": "text", "text": text }] } });
    let half =
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 500\r\nConnection: close\r\n\r\n{\"jsonrpc\"".to_vec();
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("upstream_credential", status("401 Unauthorized")),
        ("upstream_denied", status("403 Forbidden")),
        ("upstream_overloaded", status("429 Too Many Requests")),
        ("upstream_status", status("418 I'm a teapot")),
        ("upstream_redirect", b"HTTP/1.1 307 X\r\nLocation: http://evil.test/\r\nContent-Length: 0\r\n\r\n".to_vec()),
        ("upstream_bad_reply", whole(&json!({ "jsonrpc": "1.0", "id": 1 }))),
        ("upstream_too_much", whole(&large)),
        ("upstream_unreachable", half),
    ];
    for (reason, bytes) in cases {
        let shown = String::from_utf8_lossy(bytes.get(..40).unwrap_or(&bytes)).into_owned();
        let (_server, house, alice) = before(bytes).await;
        let reply = house.ask(modern_call(&alice, "alpha", 1, "echo", json!({}))).await;
        assert_eq!(house.last_reason_of_calls(), reason, "{shown}: {}", reply.text());
        let (status, code) = reply.code();
        assert_eq!((status, code), (200, -32603), "{shown}: never the caller's fault");
        assert_eq!(reply.json()["error"]["data"]["reason"], reason, "{shown}");
        house.close(&[&alice.text]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_a_stream_or_an_era_is_named_in_the_record() {
    // Speaks sessions only, has no stream, and takes the id of a session away.
    let scripted = answering(|asked| match (asked.verb.as_str(), asked.method().as_str()) {
        ("GET", _) => Some(status("405 Method Not Allowed")),
        (_, "server/discover") => Some(status("400 Bad Request")),
        _ => None,
    })
    .await;
    let house = House::open(&server("alpha", &scripted.url(), "")).await;
    house.approve().await;
    let alice = house.full("alice").await;
    let session = house.session(&alice, "alpha").await;
    assert_eq!(house.ask(listen(&alice, "alpha", &session)).await.status, 405);
    assert_eq!(house.last_reason_of_calls(), "no_server_stream");
    let reply = house.ask(modern_call(&alice, "alpha", 1, "echo", json!({}))).await;
    assert_eq!((house.last_reason().as_str(), reply.code()), ("no_common_era", (400, -32022)), "{}", reply.text());
    assert_eq!(house.ask(end(&alice, "alpha", &session)).await.status, 204);
    house.close(&[&alice.text, &session]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_its_server_lost_for_good_is_named_in_the_record() {
    let lost = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let now = std::sync::Arc::clone(&lost);
    let scripted = answering(move |asked| {
        let gone = now.load(std::sync::atomic::Ordering::SeqCst);
        (gone && asked.method() == "tools/call").then(|| status("404 Not Found"))
    })
    .await;
    let house = House::open(&server("alpha", &scripted.url(), "")).await;
    house.approve().await;
    let alice = house.full("alice").await;
    let session = house.session(&alice, "alpha").await;
    lost.store(true, std::sync::atomic::Ordering::SeqCst);
    let reply = house.ask(legacy_call(&alice, "alpha", &session, 1, "echo", json!({}))).await;
    assert_eq!((house.last_reason_of_calls().as_str(), reply.status), ("upstream_session_lost", 404), "{}", reply.text());
    // The client begins anew, as its protocol says, and its old id is nobody's.
    lost.store(false, std::sync::atomic::Ordering::SeqCst);
    let reply = house.ask(said(&alice, "alpha", &session, &json!({ "jsonrpc": "2.0", "id": 2, "method": "ping" }))).await;
    assert_eq!((house.last_reason().as_str(), reply.status), ("unknown_session", 404));
    assert_eq!(house.ask(initialize(&alice, "alpha", "2025-11-25", json!({}))).await.status, 200);
    assert!(within(Duration::from_secs(5), async || house.recorded("outcome", "upstream_session_lost").len() == 1).await);
    house.close(&[&alice.text, &session]).await;
}
