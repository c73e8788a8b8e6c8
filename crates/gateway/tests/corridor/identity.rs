//! RS: who is calling, and what a credential opens.

use super::house::{House, Key, canary, secretly, server, within};
use super::speak::{MODERN, end, initialize, legacy, legacy_call, listen, modern, modern_call, said, text};
use super::wire::{Ask, Line};
use doorward_gateway::listen::route::ROUTES;
use doorward_testkit::lax::Lax;
use doorward_testkit::lax::quirk::{Behaviour, Quirk};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const HOUR: Duration = Duration::from_secs(3600);

async fn two_servers() -> (Lax, Lax, House) {
    let alpha = Lax::start(Behaviour::plain().with(Quirk::Modern)).await.unwrap();
    let beta = Lax::start(Behaviour::plain().with(Quirk::Modern)).await.unwrap();
    let house = House::open(&format!("{}{}", server("alpha", &alpha.url(), ""), server("beta", &beta.url(), ""))).await;
    house.approve().await;
    alpha.forget();
    beta.forget();
    (alpha, beta, house)
}

/// Every request that the protocol knows, in both eras, as a client with no session or a made-up one would send it.
fn everything(key: &Key, server: &str, session: &str) -> Vec<(String, Ask)> {
    let mut all = Vec::new();
    for (method, params) in [
        ("server/discover", json!({})),
        ("tools/list", json!({})),
        ("tools/call", json!({ "name": "echo", "arguments": {} })),
        ("prompts/list", json!({})),
        ("prompts/get", json!({ "name": "greet" })),
        ("resources/list", json!({})),
        ("resources/templates/list", json!({})),
        ("resources/read", json!({ "uri": "file:///a" })),
        ("completion/complete", json!({ "ref": { "type": "ref/prompt", "name": "greet" }, "argument": { "name": "a", "value": "b" } })),
        ("subscriptions/listen", json!({ "notifications": { "toolsListChanged": true } })),
        ("tasks/get", json!({ "taskId": "task-1" })),
        ("tasks/update", json!({ "taskId": "task-1" })),
        ("tasks/cancel", json!({ "taskId": "task-1" })),
    ] {
        all.push((format!("modern {method}"), modern(key, server, 1, method, params.clone())));
        all.push((format!("legacy {method}"), legacy(key, server, session, 1, method, params)));
    }
    for method in ["ping", "resources/subscribe", "resources/unsubscribe", "logging/setLevel", "tasks/list", "tasks/result"] {
        let params = json!({ "uri": "file:///a", "level": "info", "taskId": "task-1" });
        all.push((format!("legacy {method}"), legacy(key, server, session, 1, method, params)));
    }
    for method in ["notifications/initialized", "notifications/cancelled", "notifications/progress", "notifications/roots/list_changed"] {
        let note = json!({ "jsonrpc": "2.0", "method": method, "params": { "requestId": 1, "progressToken": 1, "progress": 1 } });
        all.push((method.to_owned(), said(key, server, session, &note)));
    }
    all.push(("an answer".to_owned(), said(key, server, session, &json!({ "jsonrpc": "2.0", "id": "q-1", "result": {} }))));
    all.push(("initialize".to_owned(), initialize(key, server, "2025-11-25", json!({}))));
    all.push(("GET".to_owned(), listen(key, server, session)));
    all.push(("DELETE".to_owned(), end(key, server, session)));
    for verb in ["PUT", "PATCH", "HEAD", "OPTIONS"] {
        all.push((verb.to_owned(), Ask::new(verb, &key.path(server)).bearer(&key.text)));
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rs_every_route_that_is_not_public_refuses_without_a_credential() {
    // Some at a time: an address that asks for more has to wait, and that answer would hide all others.
    let mut refused = 0;
    for some in ROUTES.chunks(16) {
        refused += refused_of(some).await;
    }
    assert_eq!(refused, 4 * 2 * 4, "four routes, two names, four verbs");
}

/// How many requests the corridor refused.
async fn refused_of(routes: &[(&str, bool)]) -> usize {
    let (alpha, beta, house) = two_servers().await;
    let before = house.recorded("refused", "no_credential").len();
    let mut refused = 0;
    for (route, public) in routes {
        for name in ["alpha", "nosuch"] {
            let path = route.replace("{server}", name).replace("{idp}", name).replace("{position}", "1");
            for verb in ["GET", "POST", "DELETE", "HEAD"] {
                let ask = if verb == "POST" {
                    Ask::post(&path, json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {} }).to_string())
                } else {
                    Ask::new(verb, &path)
                };
                let reply = house.ask(ask).await;
                let challenge = reply.field("www-authenticate").map(str::to_owned);
                assert_ne!(reply.status, 429, "{verb} {path}: nothing was looked at");
                if *public {
                    assert_ne!(reply.status, 401, "{verb} {path}");
                    assert_eq!(challenge, None, "{verb} {path}");
                    continue;
                }
                if path.starts_with("/api/") {
                    // No token opens it, so none is asked for.
                    assert!([401, 405].contains(&reply.status), "{verb} {path}: {}", reply.text());
                    assert_eq!(challenge.as_deref(), (reply.status == 401).then_some("Doorward-Sign-In"), "{verb} {path}");
                    continue;
                }
                refused += 1;
                assert_eq!(reply.status, 401, "{verb} {path}: {}", reply.text());
                let challenge = challenge.unwrap_or_else(|| panic!("{verb} {path}: no challenge"));
                assert!(challenge.starts_with("Bearer"), "{verb} {path}: {challenge}");
                assert!(!challenge.contains("error="), "nothing was presented, {verb} {path}: {challenge}");
                let metadata = format!("/.well-known/oauth-protected-resource{path}\"");
                assert_eq!(challenge.contains("resource_metadata="), path.starts_with("/s/"), "{verb} {path}: {challenge}");
                assert_eq!(challenge.contains(&metadata), path.starts_with("/s/"), "{verb} {path}: {challenge}");
            }
        }
    }
    assert_eq!(house.recorded("refused", "no_credential").len() - before, refused, "each is on the record");
    assert!(alpha.seen().is_empty() && beta.seen().is_empty(), "nothing reached a server");
    house.close(&[]).await;
    refused
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rs_01_a_token_for_another_resource_opens_nothing() {
    let (alpha, beta, house) = two_servers().await;
    let token = house.token("alice", "client-1", &["beta"], &["beta:read", "alpha:read"], HOUR).await;
    for (what, ask) in everything(&token, "alpha", "made-up") {
        let reply = house.ask(ask).await;
        assert_eq!(reply.status, 401, "{what}: {}", reply.text());
        let challenge = reply.field("www-authenticate").expect("a challenge").to_owned();
        assert!(challenge.contains("error=\"invalid_token\""), "{what}: {challenge}");
        assert!(challenge.contains("/.well-known/oauth-protected-resource/s/alpha/mcp\""), "{what}: {challenge}");
        assert_eq!(house.last_reason(), "wrong_audience", "{what}");
        assert_eq!(house.refused()["server"], "alpha", "{what}");
    }
    assert!(alpha.seen().is_empty(), "nothing reached the other resource");
    // The same token is good where it belongs, and on no static-key route.
    assert_eq!(house.ask(modern(&token, "beta", 1, "tools/list", json!({}))).await.status, 200);
    let wrong = Key { path: "/k", ..token.clone() };
    let reply = house.ask(modern(&wrong, "beta", 1, "tools/list", json!({}))).await;
    assert_eq!((reply.status, house.last_reason().as_str()), (401, "wrong_door"));
    assert!(!reply.field("www-authenticate").expect("challenge").contains("resource_metadata"), "static routes never advertise OAuth");
    // A key on the OAuth routes neither.
    let key = house.full("alice").await;
    let reply = house.ask(modern(&Key { path: "/s", ..key.clone() }, "beta", 1, "tools/list", json!({}))).await;
    assert_eq!((reply.status, house.last_reason().as_str()), (401, "wrong_door"));
    drop(beta);
    house.close(&[&token.text, &key.text]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rs_04_a_bad_credential_never_becomes_somebody() {
    let (alpha, _beta, house) = two_servers().await;
    let key = house.full("alice").await;
    let short = house.key_until("alice", &[], &["*:read"], Duration::from_secs(10)).await;
    let token = house.token("alice", "client-1", &["alpha"], &["alpha:read"], HOUR).await;
    let list = || modern(&key, "alpha", 1, "tools/list", json!({})).without("authorization");
    house.shift.by(60);
    let expired = format!("Bearer {}", short.text);
    for (value, reason) in [
        ("Bearer", "malformed_credential"),
        ("Bearer ", "malformed_credential"),
        ("Bearer  ", "malformed_credential"),
        ("", "malformed_credential"),
        ("Bearer a b", "malformed_credential"),
        ("Bearer garbage", "unknown_credential"),
        ("Bearer null", "unknown_credential"),
        ("Bearer undefined", "unknown_credential"),
        ("Bearer dwk_AAAA", "mistyped_credential"),
        (expired.as_str(), "expired_credential"),
        ("Digest username=alice", "other_scheme"),
        ("Negotiate YII=", "other_scheme"),
        ("alice", "malformed_credential"),
    ] {
        let reply = house.ask(list().field("Authorization", value)).await;
        assert_eq!(reply.status, 401, "{value:?}: {}", reply.text());
        assert!(reply.field("www-authenticate").expect("challenge").contains("error=\"invalid_token\""), "{value:?}");
        assert_eq!(house.last_reason(), reason, "{value:?}");
        // Of what is ours and counts no more the record tells whose it is; nobody is taken for them.
        let said = house.refused();
        let whose = if value == expired { Some(key.user.subject()) } else { None };
        assert_eq!((said["user"]["sub"].as_str(), said["credential"].is_null()), (whose, whose.is_none()), "{value:?}");
    }
    // Basic with a good key inside is no Bearer.
    use base64::Engine as _;
    let basic = base64::engine::general_purpose::STANDARD.encode(format!("alice:{}", key.text));
    assert_eq!(house.ask(list().field("Authorization", &format!("Basic {basic}"))).await.status, 401);
    // The scheme may be written in lower case (RFC 9110 section 11.1): the same identity, not another.
    assert_eq!(house.ask(list().field("Authorization", &format!("bearer {}", key.text))).await.status, 200);
    // Two credentials are 400, whichever is good, in one header name or across query and header.
    for ask in [
        list().field("Authorization", &format!("Bearer {}", key.text)).field("Authorization", &format!("Bearer {}", key.text)),
        list().field("Authorization", "Bearer garbage").field("Authorization", &format!("Bearer {}", key.text)),
        list().field("Authorization", &format!("Bearer {}", key.text)).field("authorization", &format!("Bearer {}", token.text)),
    ] {
        let reply = house.ask(ask).await;
        assert_eq!((reply.status, house.last_reason().as_str()), (400, "several_credentials"));
    }
    let joined = list().field("Authorization", &format!("Bearer {}, Bearer {}", key.text, key.text));
    assert_eq!(house.ask(joined).await.status, 401, "a joined list is not a token");
    // Nothing at all: 401 without an error attribute, and a cookie is nothing.
    for ask in [list(), list().field("Cookie", &format!("session={}", key.text)), list().field("X-Forwarded-User", "alice")] {
        let reply = house.ask(ask).await;
        assert_eq!(reply.status, 401);
        assert!(!reply.field("www-authenticate").expect("challenge").contains("error"), "no credential, no error attribute");
        assert_eq!(house.last_reason(), "no_credential");
    }
    assert!(alpha.seen().iter().all(|heard| !heard.contains("garbage")));
    house.close(&[&key.text, &short.text, &token.text, &basic]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rs_05_every_method_asks_whether_this_server_is_theirs() {
    let alpha = Lax::start(Behaviour::plain().with(Quirk::Modern)).await.unwrap();
    let hidden = "visible_to = [\"user:local/alice\"]";
    let house = House::open(&format!("{}{}", server("alpha", &alpha.url(), hidden), server("beta", &alpha.url(), ""))).await;
    house.approve().await;
    let alice = house.full("alice").await;
    let session = house.session(&alice, "alpha").await;
    alpha.forget();
    // Bob's key is for beta only: the credential refuses. Mallory's is for every server: visibility refuses.
    let bob = house.key("bob", &["beta"], &["beta:read"]).await;
    let mallory = house.full("mallory").await;
    for (what, ask) in everything(&bob, "alpha", &session) {
        let reply = house.ask(ask).await;
        assert_eq!(reply.status, 401, "{what}: {}", reply.text());
        assert_eq!(house.last_reason(), "wrong_audience", "{what}");
    }
    for (what, ask) in everything(&mallory, "alpha", &session) {
        let before = house.records().len();
        let reply = house.ask(ask).await;
        let unknown = reply.status == 404 || reply.status == 405;
        assert!(unknown, "{what}: {} {}", reply.status, reply.text());
        let new = house.records().split_off(before);
        assert!(new.iter().any(|record| record["kind"] == "refused" && record["user"]["sub"] == "mallory"), "{what}: {new:?}");
        assert!(new.iter().all(|record| record["kind"] != "intent"), "{what}");
    }
    assert!(alpha.seen().is_empty(), "{:?}", alpha.seen());
    // And a server that does not exist looks the same.
    for (what, ask) in everything(&mallory, "nowhere", &session) {
        assert!(matches!(house.ask(ask).await.status, 404 | 405), "{what}");
    }
    assert_eq!(house.ask(legacy(&alice, "alpha", &session, 1, "ping", json!({}))).await.status, 200, "alice is unaffected");
    house.close(&[&alice.text, &bob.text, &mallory.text, &session]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rs_05_the_servers_that_exist_and_those_that_do_not_answer_alike() {
    let alpha = Lax::start(Behaviour::plain().with(Quirk::Modern)).await.unwrap();
    let house = House::open(&server("alpha", &alpha.url(), "visible_to = [\"user:local/alice\"]")).await;
    house.approve().await;
    let mallory = house.full("mallory").await;
    for ((what, hidden), (_, absent)) in everything(&mallory, "alpha", "x").into_iter().zip(everything(&mallory, "nowhere", "x")) {
        let (hidden, absent) = (house.ask(hidden).await, house.ask(absent).await);
        assert_eq!((hidden.status, hidden.text()), (absent.status, absent.text()), "{what}: no oracle");
    }
    house.close(&[&mallory.text]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rs_06_scopes_and_arguments_are_enforced_for_each_tool() {
    let alpha = Lax::start(Behaviour::plain().with(Quirk::Modern)).await.unwrap();
    let rules = r#"
        @id("use") permit (principal, action == Action::"use", resource);
        @id("echo-in-acme") permit (principal, action == Action::"call", resource == Tool::"alpha__echo")
        when { context.arguments has text && context.arguments.text like "acme/*" };
        @id("others") permit (principal, action == Action::"call", resource in Risk::"destructive");
    "#;
    let more = "tools = { read = [\"echo\"], destructive = [\"reflect\"] }";
    let house = House::ruled(&server("alpha", &alpha.url(), more), rules).await;
    house.approve().await;
    let reader = house.key("alice", &["alpha"], &["alpha:read"]).await;
    let session = house.session(&reader, "alpha").await;
    alpha.forget();
    let call = |tool: &str, arguments: Value| {
        [modern_call(&reader, "alpha", 1, tool, arguments.clone()), legacy_call(&reader, "alpha", &session, 1, tool, arguments)]
    };
    for ask in call("reflect", json!({})) {
        let reply = house.ask(ask).await;
        assert!(reply.status == 403 || reply.text().contains("isError\":true"), "{} {}", reply.status, reply.text());
        assert_eq!(house.last_reason(), "not_granted");
        assert_eq!(house.refused()["decision"], "deny");
    }
    for arguments in [
        json!({ "text": "other/x" }),
        json!({ "text": "acme/../other/x" }),
        json!({ "text": ["acme/x"] }),
        json!({ "text": "acme\u{2215}x" }),
        json!({ "text": "Acme/x" }),
        json!({ "text": " acme/x" }),
        json!({ "text": null }),
        json!({ "text": { "like": "acme/x" } }),
        json!({ "TEXT": "acme/x" }),
        json!({}),
    ] {
        for ask in call("echo", arguments.clone()) {
            let reply = house.ask(ask).await;
            assert!(reply.json().get("result").is_none_or(|result| result["isError"] == true), "{arguments}: {}", reply.text());
            let refused = house.refused();
            assert_eq!(refused["name"], "echo", "{arguments}");
            let reason = refused["reason"].as_str().unwrap_or_default().to_owned();
            assert!(reason.starts_with("policy_denied") || reason == "argument_type" || reason == "policy_fault", "{arguments}: {reason}");
        }
    }
    assert!(alpha.seen_method("tools/call").is_empty(), "nothing refused was sent");
    for ask in call("echo", json!({ "text": "acme/x" })) {
        assert!(text(&house.ask(ask).await).contains("acme/x"));
    }
    let permitted = house.records().into_iter().rfind(|record| record["kind"] == "intent").unwrap();
    assert!(permitted["rules"].to_string().contains("echo-in-acme"), "{permitted}");
    house.close(&[&reader.text, &session]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rs_07_a_revocation_by_another_process_counts_within_five_seconds() {
    let (_alpha, _beta, house) = two_servers().await;
    let key = house.full("alice").await;
    let token = house.token("alice", "client-1", &["alpha"], &["alpha:read"], HOUR).await;
    let bob = house.full("bob").await;
    for key in [&key, &token, &bob] {
        assert_eq!(house.ask(modern(key, "alpha", 1, "tools/list", json!({}))).await.status, 200, "hot in the cache");
    }
    assert!(house.store.revoke_api_key(&key.id, house.env.now()).await.unwrap());
    assert!(house.store.revoke_access_token(&token.id, house.env.now()).await.unwrap());
    for key in [&key, &token] {
        let denied =
            within(Duration::from_secs(5), async || house.ask(modern(key, "alpha", 1, "tools/list", json!({}))).await.status == 401);
        assert!(denied.await, "denied within the bound");
        assert_eq!(house.last_reason(), "revoked_credential");
        for _ in 0..20 {
            assert_eq!(house.ask(modern(key, "alpha", 1, "tools/list", json!({}))).await.status, 401, "and stays denied");
        }
    }
    assert_eq!(house.ask(modern(&bob, "alpha", 1, "tools/list", json!({}))).await.status, 200, "bob is unaffected");
    house.close(&[&key.text, &token.text, &bob.text]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rs_08_a_disabled_user_is_out_on_every_credential_and_comes_back() {
    let (alpha, _beta, house) = two_servers().await;
    let (key, token) = (house.full("alice").await, house.token("alice", "c", &["alpha"], &["alpha:read"], HOUR).await);
    let session = house.session(&key, "alpha").await;
    let mut stream = house.flow(listen(&key, "alpha", &session)).await;
    assert_eq!(stream.status, 200);
    house.store.disable_user(&key.user, house.env.now()).await.unwrap();
    for key in [&key, &token] {
        let out = within(Duration::from_secs(5), async || house.ask(modern(key, "alpha", 1, "tools/list", json!({}))).await.status == 401);
        assert!(out.await);
        assert_eq!(house.last_reason(), "user_disabled");
    }
    assert_eq!(house.ask(legacy(&key, "alpha", &session, 1, "ping", json!({}))).await.status, 401);
    tokio::time::timeout(Duration::from_secs(5), stream.rest()).await.expect("the stream ends within the bound");
    alpha.push(json!({ "jsonrpc": "2.0", "method": "notifications/tools/list_changed" }));
    assert!(house.store.enable_user(&key.user, house.env.now()).await.unwrap());
    let back = within(Duration::from_secs(5), async || house.ask(modern(&key, "alpha", 1, "tools/list", json!({}))).await.status == 200);
    assert!(back.await);
    house.close(&[&key.text, &token.text, &session]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rs_08_a_group_taken_away_takes_the_server_with_it() {
    let alpha = Lax::start(Behaviour::plain().with(Quirk::Modern)).await.unwrap();
    let house = House::open(&server("alpha", &alpha.url(), "visible_to = [\"group:eng\"]")).await;
    house.approve().await;
    let key = house.full("alice").await;
    let eng = doorward_core::id::GroupName::new("eng").unwrap();
    house.store.put_user(&key.user, &[eng], house.env.now()).await.unwrap();
    house.heard_of(house.store.epoch().await.unwrap()).await;
    let session = house.session(&key, "alpha").await;
    let mut get = house.flow(listen(&key, "alpha", &session)).await;
    let subscribe = modern(&key, "alpha", 1, "subscriptions/listen", json!({ "notifications": { "toolsListChanged": true } }));
    assert_eq!(get.status, 200);
    house.store.put_user(&key.user, &[], house.env.now()).await.unwrap();
    let gone = within(Duration::from_secs(5), async || house.ask(modern(&key, "alpha", 1, "tools/list", json!({}))).await.status == 404);
    assert!(gone.await, "the server is gone for her");
    tokio::time::timeout(Duration::from_secs(5), get.rest()).await.expect("and so is the stream");
    assert_eq!(house.ask(subscribe).await.status, 404);
    house.close(&[&key.text, &session]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rs_09_api_keys_are_kept_as_digests_and_open_only_what_they_name() {
    let up = canary("upstream-secret-");
    let alpha = Lax::start(Behaviour::plain().with(Quirk::Modern)).await.unwrap();
    let beta = Lax::start(Behaviour::plain().with(Quirk::Modern)).await.unwrap();
    let house = House::open(&format!("{}{}", secretly("alpha", &alpha.url(), &up), server("beta", &beta.url(), ""))).await;
    house.approve().await;
    beta.forget();
    let key = house.key("alice", &["alpha"], &["alpha:read"]).await;
    let list = |server: &str, text: &str| modern(&Key { text: text.to_owned(), ..key.clone() }, server, 1, "tools/list", json!({}));
    assert_eq!(house.ask(list("alpha", &key.text)).await.status, 200);
    let infos = house.store.list_api_keys(None).await.unwrap();
    assert!(infos.iter().any(|info| info.id == key.id && info.last_used.is_some()), "last use is recorded");
    assert_eq!(house.ask(list("beta", &key.text)).await.status, 401, "scoped to alpha");
    // One changed character is caught by the checksum, before the store is asked.
    for at in [4, 20, key.text.len() - 1] {
        let mut bytes = key.text.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        assert_eq!(house.ask(list("alpha", &String::from_utf8(bytes).unwrap())).await.status, 401);
        assert_eq!(house.last_reason(), "mistyped_credential");
    }
    // Never from the query, under any name or encoding.
    let encoded: String = key.text.bytes().map(|byte| format!("%{byte:02x}")).collect();
    for query in [
        format!("access_token={}", key.text),
        format!("ACCESS_TOKEN={}", key.text),
        format!("x={}", key.text),
        format!("x={encoded}"),
        format!("access%5Ftoken={}", key.text),
        format!("q=1;token={}", key.text),
        key.text.clone(),
    ] {
        for with in [true, false] {
            let mut ask = list("alpha", &key.text);
            ask.target = format!("{}?{query}", ask.target);
            let reply = house.ask(if with { ask } else { ask.without("authorization") }).await;
            assert_eq!(reply.status, 400, "{query} {with}: {}", reply.text());
            assert!(!reply.contains(&key.text), "{query}");
        }
    }
    let cookie = list("alpha", "x").without("authorization").field("Cookie", &format!("key={}", key.text));
    assert_eq!(house.ask(cookie).await.status, 401);
    // Rotation with overlap: the new one works before the old one ends.
    let next = house.key("alice", &["alpha"], &["alpha:read"]).await;
    assert_eq!(house.ask(list("alpha", &next.text)).await.status, 200);
    assert_eq!(house.ask(list("alpha", &key.text)).await.status, 200);
    house.store.revoke_api_key(&key.id, house.env.now()).await.unwrap();
    let epoch = house.store.epoch().await.unwrap();
    house.heard_of(epoch).await;
    assert_eq!(house.ask(list("alpha", &key.text)).await.status, 401);
    assert_eq!(house.ask(list("alpha", &next.text)).await.status, 200);
    house.shift.by(31 * 24 * 3600);
    assert_eq!(house.ask(list("alpha", &next.text)).await.status, 401, "expired");
    assert_eq!(house.last_reason(), "expired_credential");
    assert!(beta.seen().is_empty());
    assert!(!alpha.saw(&key.text) && !alpha.saw(&encoded));
    house.close(&[&key.text, &next.text, &encoded, &up]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn std_09_loopback_is_no_credential() {
    let (alpha, _beta, house) = two_servers().await;
    let key = house.full("alice").await;
    for (what, ask) in everything(&key, "alpha", "x") {
        let reply = house.ask(ask.without("authorization")).await;
        assert_eq!(reply.status, 401, "{what}");
    }
    // A page in a browser that rebinds its name to this address.
    let list = modern(&key, "alpha", 1, "tools/list", json!({}));
    for host in ["evil.test", "evil.test:80", "127.0.0.1", "localhost.evil.test"] {
        assert_eq!(house.ask(list.clone().field("Host", host)).await.status, 403, "{host}");
    }
    for origin in ["http://evil.test", "null", "http://127.0.0.1.evil.test"] {
        assert_eq!(house.ask(list.clone().field("Origin", origin)).await.status, 403, "{origin}");
    }
    assert!(alpha.seen().is_empty());
    let by_default = doorward_core::config::load::load(doorward_core::config::load::Inputs::default()).unwrap().config;
    assert_eq!(by_default.listen.address.to_string(), "127.0.0.1:8417");
    assert_eq!(list.field("X", MODERN).at(house.address).await.status, 200);
    house.close(&[&key.text]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rs_05_the_joined_endpoint_is_not_served_yet_and_says_so_to_those_who_may_ask() {
    let (alpha, _beta, house) = two_servers().await;
    let key = house.full("alice").await;
    let token = house.token("alice", "client", &[], &["*:read"], HOUR).await;
    for (path, key) in [("/k/mcp", &key), ("/mcp", &token)] {
        let ask = Ask { target: path.to_owned(), ..modern(key, "alpha", 1, "tools/list", json!({})) };
        assert_eq!(house.ask(ask.clone()).await.status, 404, "{path}");
        let stranger = house.ask(ask.without("authorization")).await;
        assert_eq!(stranger.status, 401, "{path}");
        let challenge = stranger.field("www-authenticate").unwrap().to_owned();
        assert!(!challenge.contains("resource_metadata"), "{path} names a document that is not there: {challenge}");
    }
    assert!(alpha.seen().is_empty());
    house.close(&[&key.text, &token.text]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lim_nobody_is_a_stranger_because_the_store_is_away() {
    let (alpha, _beta, house) = two_servers().await;
    let alice = house.full("alice").await;
    house.gateway.store().close().await;
    let mut line = Line::open(house.address).await;
    for n in 0..400 {
        let reply = line.ask(&modern(&alice, "alpha", n, "tools/list", json!({}))).await;
        assert_eq!(reply.status, 503, "request {n}: {}", reply.text());
    }
    assert!(alpha.seen().is_empty());
    // Whoever they are, they do not fill the record meanwhile.
    let records = house.recorded("refused", "store_unavailable").len();
    assert!((100..=330).contains(&records), "a burst of 200, and 600 a minute: {records}");
    house.close(&[&alice.text]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lim_refused_credentials_are_limited_by_address_and_do_not_fill_the_record() {
    let (alpha, _beta, house) = two_servers().await;
    let alice = house.full("alice").await;
    let bogus = Key { text: "bogus".to_owned(), ..alice.clone() };
    let mut line = Line::open(house.address).await;
    let (mut limited, mut judged, begun) = (0, 0, Instant::now());
    for n in 0..2_000 {
        let reply = line.ask(&modern(&bogus, "alpha", n, "tools/list", json!({})).field("X-Api-Key", "ghp_0123456789")).await;
        match reply.status {
            401 => judged += 1,
            429 => {
                limited += 1;
                assert!(reply.field("retry-after").is_some() && reply.field("www-authenticate").is_none(), "{}", reply.text());
            }
            status => panic!("{status}: {}", reply.text()),
        }
        if limited > 100 {
            break;
        }
    }
    assert!(limited > 100, "beyond the burst they are turned away");
    // A burst of 200, and 600 a minute come back while this runs, however long that takes.
    let most = 200 + 10 * (begun.elapsed().as_secs() + 1);
    assert!(judged <= most, "{judged} were looked at, {most} may be");
    let refused = house.recorded("refused", "unknown_credential").len();
    assert_eq!(house.recorded("event", "foreign_credential").len(), refused, "what was not judged leaves no record of its own");
    assert!(house.recorded("event", "turned_away").len() <= 61, "recorded in sum");
    // Whoever is somebody is served all the same.
    assert_eq!(house.ask(modern(&alice, "alpha", 1, "tools/list", json!({}))).await.status, 200);
    drop(alpha);
    house.close(&[&alice.text]).await;
}
