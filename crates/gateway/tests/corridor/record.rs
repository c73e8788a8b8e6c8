//! AUD: what is on the record, what never is, and what a hostile text does to it.

use super::house::{Directory, House, LAPTOP, canary, secretly, server, within};
use super::speak::{end, initialize, legacy, legacy_call, modern, modern_as, modern_call};
use super::wire::{Ask, Line};
use doorward_testkit::lax::Lax;
use doorward_testkit::lax::quirk::{Answer, Behaviour, Quirk};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::time::Duration;

fn modern_lax() -> Behaviour {
    Behaviour::plain().with(Quirk::Modern)
}

/// The fields that a record with this reason must have, by how far its request came.
fn owed(reason: &str) -> Vec<&'static str> {
    let mut fields = vec!["server", "decision"];
    if reason != "no_credential" {
        fields.extend(["user", "client", "level", "credential"]);
        let early = ["server_not_visible", "unknown_server", "not_json", "rate_limited", "expired_credential", "unknown_session"];
        if !early.contains(&reason) {
            fields.extend(["era", "method"]);
        }
    }
    fields
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn aud_01_each_of_twenty_ends_has_a_complete_record() {
    let secret = canary("upstream-secret-");
    let good = Lax::start(modern_lax()).await.unwrap();
    let never = Lax::start(modern_lax().with(Quirk::Answer(Answer::Never))).await.unwrap();
    let html = Lax::start(modern_lax().with(Quirk::Answer(Answer::Html))).await.unwrap();
    let away = Lax::start(modern_lax().with(Quirk::Redirect(307, "http://evil.test/".to_owned()))).await.unwrap();
    let toml = [
        secretly("alpha", &good.url(), &secret),
        server("never", &never.url(), "timeout = \"1s\""),
        server("html", &html.url(), ""),
        server("away", &away.url(), ""),
        server("hidden", &good.url(), "visible_to = [\"user:local/root\"]"),
        server("gone", "http://127.0.0.1:9/mcp", ""),
        "[limits]\nper_user = \"100/h\"\n".to_owned(),
    ]
    .concat();
    let house = House::open(&toml).await;
    house.approve_only(|_, tool| tool != "task").await;
    let alice = house.full("alice").await;
    let reader = house.key("alice", &["alpha"], &["alpha:read"]).await;
    let expired = house.key_until("alice", &[], &["*:read"], Duration::from_millis(1)).await;
    let session = house.session(&alice, "alpha").await;
    // One who has used up what they may do, and one who hung up.
    let busy = house.full("busy").await;
    for n in 0..100 {
        house.ask(modern(&busy, "alpha", n, "ping", json!({}))).await;
    }
    let mut line = Line::open(house.address).await;
    let slow = modern_call(&alice, "alpha", 7, "slow", json!({ "count": 100, "ms": 50 }));
    line.write(&slow.bytes(&house.address.to_string())).await;
    let sent = within(Duration::from_secs(5), async || good.seen_method("tools/call").iter().any(|heard| heard.contains("slow")));
    assert!(sent.await);
    drop(line);
    let gone = |record: &Value| record["class"] == "cancelled" && !record["latency_ms"].is_null() && !record["intent"].is_null();
    let noted = within(Duration::from_secs(5), async || house.records().iter().any(gone));
    assert!(noted.await, "a call whose client hung up: {:#?}", house.records().last());
    let call = |server: &str, tool: &str, arguments: Value| modern_call(&alice, server, 1, tool, arguments);
    let state = json!({ "name": "ask", "arguments": {}, "requestState": "stolen" });
    // Name, request, what kind of record says so, its reason or class.
    let cases: Vec<(&str, Ask, &str, &str)> = vec![
        ("success", call("alpha", "echo", json!({ "text": "x" })), "outcome", "completed"),
        ("legacy success", legacy_call(&alice, "alpha", &session, 1, "echo", json!({})), "outcome", "completed"),
        ("rpc error", call("alpha", "reflect", json!({ "as": "error" })), "outcome", "own_credential_in_reply"),
        ("screened", call("alpha", "reflect", json!({})), "outcome", "own_credential_in_reply"),
        ("timeout", call("never", "echo", json!({})).set("Accept", "application/json"), "outcome", "upstream_timeout"),
        ("garbage", call("html", "echo", json!({})), "outcome", "upstream_status"),
        ("redirect", call("away", "echo", json!({})), "outcome", "upstream_redirect"),
        ("unreachable", modern(&alice, "gone", 1, "resources/list", json!({})), "outcome", "upstream_unreachable"),
        ("undeclared", call("alpha", "ask", json!({})), "outcome", "undeclared_question"),
        ("not granted", modern_call(&reader, "alpha", 1, "reflect", json!({})), "refused", "not_granted"),
        ("quarantined", call("alpha", "task", json!({})), "refused", "tool_quarantined"),
        ("unknown tool", call("alpha", "nothing", json!({})), "refused", "unknown_target"),
        ("hidden", call("hidden", "echo", json!({})), "refused", "server_not_visible"),
        ("nowhere", call("nowhere", "echo", json!({})), "refused", "unknown_server"),
        ("no credential", call("alpha", "echo", json!({})).without("authorization"), "refused", "no_credential"),
        ("expired", modern_call(&expired, "alpha", 1, "echo", json!({})), "refused", "expired_credential"),
        ("foreign session", legacy(&alice, "alpha", "x", 1, "ping", json!({})), "refused", "unknown_session"),
        ("stolen state", modern(&alice, "alpha", 1, "tools/call", state), "refused", "bad_request_state"),
        ("bad json", Ask::post("/k/alpha/mcp", "{").bearer(&alice.text), "refused", "not_json"),
        ("mismatch", call("alpha", "echo", json!({})).set("Mcp-Name", "x"), "refused", "header_mismatch"),
        ("end", end(&alice, "alpha", &session), "outcome", "completed"),
        ("over the rate", modern_call(&busy, "alpha", 1, "echo", json!({})), "refused", "rate_limited"),
    ];
    for (what, ask, kind, word) in cases {
        let before = house.records().len();
        house.ask(ask).await;
        let new = house.records().split_off(before);
        let record = new.iter().find(|record| record["kind"] == kind && (record["reason"] == word || record["class"] == word));
        let record = record.unwrap_or_else(|| panic!("{what}: no {kind} {word} in {new:#?}"));
        let intent = new.iter().find(|other| other["kind"] == "intent" && other["id"] == record["id"]);
        let said = |field: &str| !record[field].is_null() || intent.is_some_and(|intent| !intent[field].is_null());
        for field in ["time", "id", "seq", "writer", "prev", "hash"] {
            assert!(!record[field].is_null(), "{what}: {field} of {record}");
        }
        assert!(record["time"].as_str().unwrap().ends_with('Z'), "{what}: UTC");
        for field in owed(word) {
            assert!(said(field), "{what}: {field} of {record} with {intent:?}");
        }
        if kind == "outcome" {
            let intent = intent.expect("an intent before it");
            for field in ["policy", "principal", "era", "level", "credential"] {
                assert!(!intent[field].is_null(), "{what}: {field} of {intent}");
            }
            assert!(!record["latency_ms"].is_null() && !record["class"].is_null(), "{what}: {record}");
            assert_eq!(record["intent"], intent["seq"], "{what}");
        } else {
            assert!(!record["station"].is_null() && !record["blame"].is_null(), "{what}: {record}");
        }
    }
    let intents: Vec<Value> = house.records().into_iter().filter(|record| record["kind"] == "intent").collect();
    assert!(intents.iter().filter(|record| record["server"] == "alpha").all(|record| record["principal"].to_string().contains("shared")));
    assert!(intents.iter().any(|record| record["session"].is_string()), "the session, hashed");
    house.close(&[&alice.text, &reader.text, &expired.text, &secret, &session]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn aud_04_no_text_breaks_a_line_of_the_record() {
    let lax = Lax::start(modern_lax()).await.unwrap();
    let house = House::open(&server("alpha", &lax.url(), "")).await;
    house.approve().await;
    let nasty = [
        "a\nb",
        "a\r\nb",
        "{\"kind\":\"outcome\"}",
        "\u{1b}[2J\u{1b}]0;evil\u{7}",
        "\u{202e}live\u{2066}",
        "\u{2028}x\u{2029}",
        "a\\nb\"",
        "<script>alert(1)</script>",
    ];
    for user in nasty {
        // Names with control characters are no user names; others are kept as text.
        let Ok(_) = doorward_core::id::UserId::new("local", user) else { continue };
        let key = house.full(user).await;
        house.ask(modern_call(&key, "alpha", 1, "echo", json!({}))).await;
    }
    let alice = house.full("alice").await;
    let session = house.session(&alice, "alpha").await;
    let long = "\u{202e}\u{1b}".repeat(100_000);
    for text in nasty.iter().copied().chain([long.as_str()]) {
        for ask in [
            legacy_call(&alice, "alpha", &session, 1, text, json!({ text: text })),
            legacy(&alice, "alpha", &session, text, "tools/call", json!({ "name": "echo", "arguments": { "text": text } })),
            legacy(&alice, "alpha", &session, 1, text, json!({})),
            legacy(&alice, "alpha", &session, 1, "resources/read", json!({ "uri": text })),
            legacy(&alice, "alpha", &session, 1, "prompts/get", json!({ "name": text })),
            initialize(&alice, "alpha", text, json!({ text: {} })),
        ] {
            house.ask(ask).await;
        }
    }
    let bytes = std::fs::read(house.state.path().join("audit.jsonl")).unwrap();
    assert!(bytes.iter().all(|byte| *byte == b'\n' || (b' '..=b'~').contains(byte)), "every byte is printable or ends a line");
    let longest = bytes.split(|byte| *byte == b'\n').map(<[u8]>::len).max().unwrap();
    assert!(longest < 4096, "{longest}");
    assert_eq!(house.records().len(), bytes.iter().filter(|byte| **byte == b'\n').count(), "one record a line");
    house.close(&[&alice.text]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn aud_05_arguments_and_secrets_are_not_on_the_record() {
    let lax = Lax::start(modern_lax()).await.unwrap();
    let (up, argument, answer) = (canary("upstream-secret-"), canary("argument-"), canary("answer-"));
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let house = House::over_listening(&secretly("alpha", &lax.url(), &up), &format!("metrics = \"{free}\"")).await;
    house.approve().await;
    let alice = house.full("alice").await;
    let session = house.session_as(&alice, "alpha", json!({ "elicitation": {} })).await;
    for ask in [
        modern_call(&alice, "alpha", 1, "echo", json!({ "password": argument })),
        legacy_call(&alice, "alpha", &session, 2, "echo", json!({ "password": argument })),
        modern_call(&alice, "alpha", 3, "reflect", json!({ "as": "error", "word": argument })),
        modern_as(
            &alice,
            "alpha",
            4,
            "tools/call",
            json!({ "name": "ask", "arguments": { "message": argument } }),
            json!({ "elicitation": {} }),
        ),
        modern_call(&alice, "alpha", 5, "nothing", json!({ "password": argument })),
        modern(
            &alice,
            "alpha",
            6,
            "tools/call",
            json!({ "name": "ask", "requestState": argument, "inputResponses": { "a": { "b": answer } } }),
        ),
        legacy(
            &alice,
            "alpha",
            &session,
            7,
            "completion/complete",
            json!({
            "ref": { "type": "ref/prompt", "name": "greet" }, "argument": { "name": "a", "value": argument } }),
        ),
        Ask::post("/k/alpha/mcp", format!("{{\"{argument}\"")).bearer(&alice.text),
    ] {
        house.ask(ask).await;
    }
    let metrics = house.config.listen.metrics.expect("an address");
    let shown = Ask::new("GET", "/metrics").at(metrics).await;
    assert!(shown.status == 200 && shown.contains("doorward"), "{}", shown.text());
    for word in [up.as_str(), &argument, &answer, &alice.text, &session, "alice"] {
        assert!(!shown.contains(word), "{word} is in the metrics");
    }
    // Digests are keyed: the same arguments in another installation have another digest.
    let other = House::open(&secretly("alpha", &lax.url(), &up)).await;
    other.approve().await;
    let bob = other.full("alice").await;
    other.ask(modern_call(&bob, "alpha", 1, "echo", json!({ "password": argument }))).await;
    let digest = |house: &House| {
        let call = house.records().into_iter().find(|record| record["kind"] == "intent" && record["name"] == "echo").unwrap();
        call["digest"].as_str().expect("a digest").to_owned()
    };
    assert_ne!(digest(&house), digest(&other));
    let canaries = [up.as_str(), &argument, &answer, &alice.text, &session];
    house.close(&canaries).await;
    other.close(&canaries).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn aud_07_a_clock_that_steps_back_resurrects_nothing_and_is_recorded() {
    let lax = Lax::start(modern_lax()).await.unwrap();
    let toml = server("alpha", &lax.url(), "");
    let house = House::open(&toml).await;
    house.approve().await;
    let alice = house.full("alice").await;
    let session = house.session(&alice, "alpha").await;
    let call = || modern_call(&alice, "alpha", 1, "echo", json!({}));
    for step in [-24 * 3600, 24 * 3600, -3600, 1, -1, 3600] {
        house.shift.by(step);
        let reply = house.ask(call()).await;
        assert_eq!(reply.status, 200, "{step}: {}", reply.text());
        let reply = house.ask(legacy(&alice, "alpha", &session, 1, "ping", json!({}))).await;
        assert_eq!(reply.status, 200, "{step}: a session outlives a step of the clock: {}", reply.text());
    }
    let records = house.records();
    let sequence: Vec<u64> = records.iter().map(|record| record["seq"].as_u64().unwrap()).collect();
    assert!(sequence.windows(2).all(|pair| pair[1] == pair[0] + 1), "without gaps");
    assert!(records.iter().any(|record| record["skew_ms"].as_u64().is_some_and(|skew| skew > 80_000_000)), "the step is on the record");
    // A revoked key stays revoked when the clock goes back behind its revocation.
    house.store.revoke_api_key(&alice.id, house.env.now()).await.unwrap();
    house.shift.by(-2 * 24 * 3600);
    let out = within(Duration::from_secs(5), async || house.ask(call()).await.status == 401);
    assert!(out.await);
    let summary = house.close(&[&alice.text]).await;
    assert!(summary.backward_steps >= 3, "{summary:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn aud_01_ids_name_one_request_each_and_a_restart_goes_on() {
    let lax = Lax::start(modern_lax()).await.unwrap();
    let toml = server("alpha", &lax.url(), "");
    let house = House::open(&toml).await;
    house.approve().await;
    let alice = house.full("alice").await;
    for n in 0..20 {
        house.ask(modern_call(&alice, "alpha", n, "echo", json!({}))).await;
    }
    let mut by_id: HashMap<String, Vec<String>> = HashMap::new();
    for record in house.records() {
        if let Some(id) = record["id"].as_str() {
            by_id.entry(id.to_owned()).or_default().push(record["kind"].as_str().unwrap().to_owned());
        }
    }
    assert!(by_id.values().all(|kinds| kinds.as_slice() == ["intent", "outcome"]), "{by_id:?}");
    assert_eq!(by_id.len(), 20);
    let before = house.records().len();
    let House { gateway, state, store, .. } = house;
    store.close().await;
    assert!(gateway.stop().await);
    let kept = Directory::new();
    for entry in std::fs::read_dir(state.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            std::fs::copy(&path, kept.path().join(path.file_name().unwrap())).unwrap();
        }
    }
    let again = House::over(kept, &toml, LAPTOP).await;
    assert_eq!(again.ask(modern_call(&alice, "alpha", 1, "echo", json!({}))).await.status, 200, "keys and approvals are kept");
    assert!(again.records().len() > before);
    again.close(&[&alice.text]).await;
}
