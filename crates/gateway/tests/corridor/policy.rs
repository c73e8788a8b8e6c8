//! POL: nothing is allowed until it is, nothing changes unnoticed, and everybody has a budget of their own.

use super::house::{House, Key, server, within};
use super::speak::{legacy, legacy_call, modern, modern_call, text};
use super::wire::Ask;
use doorward_core::policy::rules::{Rules, Source};
use doorward_testkit::lax::Lax;
use doorward_testkit::lax::quirk::{Behaviour, Change, Quirk};
use serde_json::{Value, json};
use std::time::Duration;

fn modern_lax() -> Behaviour {
    Behaviour::plain().with(Quirk::Modern)
}

async fn tools(house: &House, key: &Key, server: &str) -> Vec<String> {
    let result = house.ask(modern(key, server, 1, "tools/list", json!({}))).await.result();
    result["tools"].as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
}

fn is_refused(reply: &super::wire::Reply) -> bool {
    let json = reply.json();
    json.get("error").is_some() || json["result"]["isError"] == true || matches!(reply.status, 403 | 404)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pol_01_nothing_is_allowed_until_somebody_allowed_it() {
    let lax = Lax::start(modern_lax().with(Quirk::Pages(20))).await.unwrap();
    let house = House::open(&server("alpha", &lax.url(), "")).await;
    let alice = house.full("alice").await;
    let session = house.session(&alice, "alpha").await;
    assert!(tools(&house, &alice, "alpha").await.is_empty(), "nothing is approved, nothing is listed");
    for tool in ["echo", "page_tool_0001", "unknown"] {
        for ask in [modern_call(&alice, "alpha", 1, tool, json!({})), legacy_call(&alice, "alpha", &session, 1, tool, json!({}))] {
            assert!(is_refused(&house.ask(ask).await), "{tool}");
        }
    }
    assert!(lax.seen_method("tools/call").is_empty());
    house.approve_only(|_, tool| tool == "echo").await;
    assert_eq!(tools(&house, &alice, "alpha").await, ["echo"]);
    assert!(text(&house.ask(modern_call(&alice, "alpha", 1, "echo", json!({ "a": 1 }))).await).contains('1'));
    assert!(is_refused(&house.ask(modern_call(&alice, "alpha", 1, "reflect", json!({}))).await));
    assert_eq!(house.last_reason(), "tool_quarantined");
    house.close(&[&alice.text]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pol_01_a_forbid_wins_in_any_order_and_no_rules_mean_nothing() {
    let permit = r#"@id("all") permit (principal, action, resource);"#;
    let forbid = r#"@id("no-echo") forbid (principal, action == Action::"call", resource == Tool::"alpha__echo");"#;
    for rules in [format!("{permit}\n{forbid}"), format!("{forbid}\n{permit}")] {
        let lax = Lax::start(modern_lax()).await.unwrap();
        let house = House::ruled(&server("alpha", &lax.url(), ""), &rules).await;
        house.approve().await;
        let alice = house.full("alice").await;
        lax.forget();
        assert!(is_refused(&house.ask(modern_call(&alice, "alpha", 1, "echo", json!({}))).await));
        assert!(house.refused()["rules"].to_string().contains("no-echo"), "{}", house.refused());
        assert!(!tools(&house, &alice, "alpha").await.contains(&"echo".to_owned()));
        assert!(!is_refused(&house.ask(modern_call(&alice, "alpha", 1, "slow", json!({ "count": 0 }))).await));
        assert_eq!(lax.seen_method("tools/call").len(), 1);
        house.close(&[&alice.text]).await;
    }
    let lax = Lax::start(modern_lax()).await.unwrap();
    let house = House::ruled(&server("alpha", &lax.url(), ""), "// nothing").await;
    house.approve().await;
    let alice = house.full("alice").await;
    lax.forget();
    for (method, params) in [("server/discover", json!({})), ("tools/list", json!({})), ("tools/call", json!({ "name": "echo" }))] {
        assert!(is_refused(&house.ask(modern(&alice, "alpha", 1, method, params)).await), "{method}");
    }
    assert!(lax.seen().iter().all(|heard| !matches!(heard.json()["method"].as_str(), Some("tools/call"))));
    house.close(&[&alice.text]).await;
    for bad in [
        r#"@id("a") permit (principal, action, resource) when { context.nonsense == 1 };"#,
        r#"@id("a") permit (principal, action == Action::"cal", resource);"#,
        r#"@id("a") permit (principal, action, resource"#,
        r#"permit (principal, action, resource);"#,
    ] {
        assert!(Rules::load(&[Source { name: "bad.cedar".to_owned(), text: bad.to_owned() }], None).is_err(), "{bad}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pol_02_a_changed_definition_is_refused_until_it_is_approved_again() {
    for change in
        [Change::Description, Change::Schema, Change::Annotations, Change::Title, Change::OutputSchema, Change::Header, Change::Invisible]
    {
        // Lists one and two are those of the approval (both eras), three and four those of the first use.
        let lax = Lax::start(modern_lax().with(Quirk::Rug(change, 5, None))).await.unwrap();
        let house = House::open(&server("alpha", &lax.url(), "")).await;
        house.approve().await;
        let (alice, bob) = (house.full("alice").await, house.full("bob").await);
        let session = house.session(&alice, "alpha").await;
        let calls = |key: &Key| [modern_call(key, "alpha", 1, "echo", json!({ "text": "x" }))];
        assert!(!is_refused(&house.ask(calls(&alice)[0].clone()).await), "{change:?}");
        let old = legacy_call(&alice, "alpha", &session, 1, "echo", json!({ "text": "x" }));
        assert!(!is_refused(&house.ask(old.clone()).await), "{change:?}");
        // The server says that its list changed: on a stream of a session, as servers do.
        let stream = house.flow(super::speak::listen(&alice, "alpha", &session)).await;
        assert_eq!(stream.status, 200);
        lax.push(json!({ "jsonrpc": "2.0", "method": "notifications/tools/list_changed" }));
        let refused = within(Duration::from_secs(5), async || is_refused(&house.ask(calls(&alice)[0].clone()).await));
        assert!(refused.await, "{change:?}");
        let sent = lax.seen_method("tools/call").len();
        for ask in calls(&alice).into_iter().chain(calls(&bob)).chain([old]) {
            assert!(is_refused(&house.ask(ask).await), "{change:?}: for everybody, in both eras");
            assert_eq!(house.last_reason(), "tool_quarantined", "{change:?}");
        }
        assert!(!tools(&house, &alice, "alpha").await.contains(&"echo".to_owned()), "{change:?}");
        assert!(!is_refused(&house.ask(modern_call(&alice, "alpha", 1, "slow", json!({ "count": 0 }))).await), "{change:?}: others stay");
        assert_eq!(lax.seen_method("tools/call").len(), sent + 1, "{change:?}");
        // Having been shown what the changed description looks like (POL-03).
        house.approve_having_seen(|_, _| true, &["sign-precondition", "sign-private-file", "sign-read-private-file"]).await;
        let mut again = calls(&alice)[0].clone();
        if change == Change::Header {
            again = again.field("Mcp-Param-Text", "x");
        }
        assert!(!is_refused(&house.ask(again).await), "{change:?}: approved anew");
        house.close(&[&alice.text]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pol_02_an_added_tool_is_not_approved_by_its_company() {
    let lax = Lax::start(modern_lax().with(Quirk::Rug(Change::Adds, 3, None))).await.unwrap();
    let house = House::open(&server("alpha", &lax.url(), "")).await;
    house.approve().await;
    let alice = house.full("alice").await;
    assert!(!tools(&house, &alice, "alpha").await.contains(&"newcomer".to_owned()));
    assert!(is_refused(&house.ask(modern_call(&alice, "alpha", 1, "newcomer", json!({}))).await));
    assert!(!is_refused(&house.ask(modern_call(&alice, "alpha", 1, "echo", json!({}))).await));
    assert!(lax.seen_method("tools/call").len() == 1);
    house.close(&[&alice.text]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pol_02_a_change_between_list_and_call_or_back_again_opens_nothing() {
    // Approved at lists 1 and 2; list 3 (the first use) is changed, from list 4 on it is as it was.
    let lax = Lax::start(modern_lax().with(Quirk::Rug(Change::Description, 3, Some(3)))).await.unwrap();
    let house = House::open(&server("alpha", &lax.url(), "")).await;
    house.approve().await;
    let alice = house.full("alice").await;
    let call = || modern_call(&alice, "alpha", 1, "echo", json!({ "text": "x" }));
    assert!(is_refused(&house.ask(call()).await), "changed between approval and use");
    assert!(lax.seen_method("tools/call").is_empty());
    let shown = house.ask(modern(&alice, "alpha", 1, "tools/list", json!({}))).await;
    assert!(!shown.contains("id_ed25519"), "the poisoned text reaches nobody");
    let session = house.session(&alice, "alpha").await;
    let _stream = house.flow(super::speak::listen(&alice, "alpha", &session)).await;
    lax.push(json!({ "jsonrpc": "2.0", "method": "notifications/tools/list_changed" }));
    let back = within(Duration::from_secs(5), async || !is_refused(&house.ask(call()).await));
    assert!(back.await, "what is as it was approved is approved");
    // Nobody sees a list of the server's own: with definitions for some callers only, all see what was approved.
    let divergent = Lax::start(modern_lax().with(Quirk::Rug(Change::ForSome, 1, None))).await.unwrap();
    let other = House::open(&server("alpha", &divergent.url(), "")).await;
    other.approve().await;
    for user in ["alice", "bob", "mallory"] {
        let key = other.full(user).await;
        let reply = other.ask(modern(&key, "alpha", 1, "tools/list", json!({}))).await;
        assert!(!reply.contains("id_ed25519"), "{user}");
    }
    let lists = divergent.seen_method("tools/list");
    assert!(lists.len() <= 4, "one reader for all: {}", lists.len());
    house.close(&[&alice.text]).await;
    other.close(&[]).await;
}

#[tokio::test]
async fn pol_02_a_change_that_nobody_told_of_is_found_within_a_minute() {
    // Lists one and two are those of the approval, three the first use; from the next one on it is another tool.
    let lax = Lax::start(modern_lax().with(Quirk::Rug(Change::Description, 4, None))).await.unwrap();
    let house = House::open(&server("alpha", &lax.url(), "")).await;
    house.approve().await;
    let (alice, bob) = (house.full("alice").await, house.full("bob").await);
    let call = |key: &Key| modern_call(key, "alpha", 1, "echo", json!({ "text": "x" }));
    assert!(!is_refused(&house.ask(call(&alice)).await));
    let read = lax.seen_method("tools/list").len();
    assert!(!is_refused(&house.ask(call(&bob)).await), "the listing is kept meanwhile");
    assert_eq!(lax.seen_method("tools/list").len(), read);
    // Only the clock of the runtime moves; nothing was said, no list was asked for.
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(61)).await;
    tokio::time::resume();
    let sent = lax.seen_method("tools/call").len();
    for key in [&alice, &bob] {
        assert!(is_refused(&house.ask(call(key)).await));
        assert_eq!(house.last_reason(), "tool_quarantined");
    }
    assert_eq!(lax.seen_method("tools/call").len(), sent);
    house.close(&[&alice.text]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pol_07_the_limit_of_a_tool_holds_over_keys_eras_and_batches() {
    let lax = Lax::start(modern_lax()).await.unwrap();
    let limits = "[limits]\nper_user = \"60000000/m\"\nsessions_per_user = 100\nper_tool = { \"alpha__echo\" = \"10/h\" }\n";
    let house = House::open(&format!("{}{limits}", server("alpha", &lax.url(), ""))).await;
    house.approve().await;
    let (one, two) = (house.full("alice").await, house.full("alice").await);
    let token = house.token("alice", "client", &[], &["*:read", "*:destructive"], Duration::from_secs(3600)).await;
    lax.forget();
    for n in 0..30 {
        let key = [&one, &two, &token][n % 3];
        let session = house.session(key, "alpha").await;
        house.ask(legacy_call(key, "alpha", &session, n, "echo", json!({ "n": n }))).await;
        house.ask(modern_call(key, "alpha", n, "echo", json!({ "n": n }))).await;
    }
    assert_eq!(lax.seen_method("tools/call").len(), 10);
    let reply = house.ask(modern_call(&one, "alpha", 1, "echo", json!({}))).await;
    assert_eq!((reply.status, house.last_reason().as_str()), (429, "rate_limited"), "{}", reply.text());
    assert!(!is_refused(&house.ask(modern_call(&one, "alpha", 1, "slow", json!({ "count": 0 }))).await), "another tool is another matter");
    let bob = house.full("bob").await;
    assert!(!is_refused(&house.ask(modern_call(&bob, "alpha", 1, "echo", json!({}))).await), "and so is bob");
    house.close(&[&one.text]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pol_07_a_budget_is_one_users_whatever_the_request_says() {
    let lax = Lax::start(modern_lax()).await.unwrap();
    let limits = "[limits]\nper_user = \"30/h\"\n";
    let house = House::open(&format!("{}{limits}", server("alpha", &lax.url(), ""))).await;
    house.approve().await;
    let (one, two) = (house.full("alice").await, house.full("alice").await);
    let token = house.token("alice", "client", &[], &["*:read", "*:destructive"], Duration::from_secs(3600)).await;
    let bob = house.full("bob").await;
    lax.forget();
    let mut passed = 0;
    for n in 0..60 {
        let key = [&one, &two, &token][n % 3];
        let ask = modern_call(key, "alpha", n, "echo", json!({ "n": n }));
        let ask = ask.field("X-Forwarded-For", &format!("10.0.0.{n}")).field("X-Real-IP", "1.2.3.4").field("User-Agent", &n.to_string());
        let reply = house.ask(ask).await;
        match reply.status {
            200 => passed += 1,
            429 => assert!(reply.field("retry-after").is_some_and(|wait| wait.parse::<u64>().is_ok()), "{:?}", reply.fields),
            other => panic!("{other}: {}", reply.text()),
        }
    }
    assert_eq!(passed, 30);
    assert_eq!(lax.seen_method("tools/call").len(), 30);
    assert!(!house.recorded("refused", "rate_limited").is_empty());
    assert_eq!(house.ask(modern_call(&bob, "alpha", 1, "echo", json!({}))).await.status, 200, "bob has his own");
    // Not by opening a session, listing or other spellings either.
    let asks: Vec<Ask> = vec![
        super::speak::initialize(&one, "alpha", "2025-11-25", json!({})),
        modern(&one, "alpha", 1, "tools/list", json!({})),
        modern_call(&one, "alpha", 1, "Echo", json!({})),
        modern_call(&one, "alpha", 1, "echo ", json!({})),
    ];
    for ask in asks {
        assert_eq!(house.ask(ask).await.status, 429);
    }
    house.close(&[&one.text, &two.text, &token.text]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pol_07_the_limit_of_a_tool_does_not_tell_that_there_is_one() {
    let lax = Lax::start(modern_lax()).await.unwrap();
    let limits = "[limits]\nper_user = \"60000/m\"\nper_tool = { \"alpha__echo\" = \"2/h\", \"alpha__ghost\" = \"2/h\" }\n";
    let rules = r#"@id("use") permit (principal, action == Action::"use", resource);
@id("hers") permit (principal, action == Action::"call", resource) when { principal.subject == "alice" };"#;
    let house = House::ruled(&format!("{}{limits}", server("alpha", &lax.url(), "")), rules).await;
    house.approve().await;
    let (full, none) = (house.full("alice").await, house.full("bob").await);
    // Nor do headers that a tool wants, which are not sent here.
    for tool in ["echo", "ghost", "mirrored"] {
        let unknown = house.ask(modern_call(&none, "alpha", 1, "nothing", json!({}))).await;
        for n in 0..5 {
            let reply = house.ask(modern_call(&none, "alpha", 1, tool, json!({ "n": n }))).await;
            assert_eq!(reply.text(), unknown.text().replace("nothing", tool), "{tool}: like any that is not there");
        }
    }
    let mut seen = Vec::new();
    for n in 0..3 {
        seen.push(house.ask(modern_call(&full, "alpha", n, "echo", json!({}))).await.status);
    }
    assert_eq!(seen, [200, 200, 429], "the budget is for calls that are allowed");
    house.close(&[&full.text, &none.text]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pol_07_a_batch_is_as_many_requests_as_it_has() {
    let lax = Lax::start(Behaviour::plain()).await.unwrap();
    let house = House::open(&format!("{}[limits]\nper_user = \"20/h\"\n", server("alpha", &lax.url(), ""))).await;
    house.approve().await;
    let alice = house.full("alice").await;
    let opened = house.ask(super::speak::initialize(&alice, "alpha", "2025-03-26", json!({}))).await;
    let session = opened.field("mcp-session-id").expect("a session").to_owned();
    lax.forget();
    let batch: Vec<Value> = (1..=15)
        .map(|id| json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": { "name": "echo", "arguments": { "n": id } } }))
        .collect();
    let mut done = 0;
    for round in 0..3 {
        let ask = legacy(&alice, "alpha", &session, 1, "ping", json!({})).set("MCP-Protocol-Version", "2025-03-26");
        let reply = house.ask(Ask { body: Value::from(batch.clone()).to_string().into_bytes(), ..ask }).await;
        if round == 2 {
            assert_eq!(reply.status, 429, "the batch itself is one too many");
            continue;
        }
        let answers = reply.json();
        let answers = answers.as_array().expect("an array");
        let ids: Vec<_> = answers.iter().map(|answer| answer["id"].as_i64()).collect();
        assert_eq!(ids, (1..=15).map(Some).collect::<Vec<_>>(), "each request has its answer");
        for answer in answers {
            let text = answer["error"]["message"].as_str();
            assert!(answer["result"].is_object() || text.is_some_and(|text| text.contains("Too many requests")), "{answer}");
            done += usize::from(answer["result"].is_object());
        }
    }
    assert_eq!(done, 19);
    assert_eq!(lax.seen_method("tools/call").len(), 19, "one was initialize");
    house.close(&[&alice.text]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rpc_01_and_ses_12_no_other_form_of_a_request_escapes_the_rules() {
    let lax = Lax::start(modern_lax()).await.unwrap();
    let rules = r#"
        @id("all") permit (principal, action, resource);
        @id("no-private") forbid (principal, action == Action::"read", resource) when { resource.uri like "file:///private/*" };
        @id("no-etc") forbid (principal, action == Action::"call", resource)
        when { context.arguments has target && context.arguments.target has path && context.arguments.target.path like "/etc/*" };
    "#;
    let house = House::ruled(&server("alpha", &lax.url(), ""), rules).await;
    house.approve().await;
    let alice = house.full("alice").await;
    lax.forget();
    for arguments in [
        json!({ "target": { "path": "/ok", "Path": "/etc/shadow" } }),
        json!({ "target": { "Path": "/etc/shadow" } }),
        json!({ "Target": { "path": "/etc/shadow" } }),
    ] {
        assert!(is_refused(&house.ask(modern_call(&alice, "alpha", 1, "echo", arguments.clone())).await), "{arguments}");
    }
    let secret = "file:///private/a";
    for heard in [
        json!({ "resourceSubscriptions": secret }),
        json!({ "ResourceSubscriptions": [secret] }),
        json!({ "taskIds": "task-1" }),
        json!({ "resourceSubscriptions": [[secret]] }),
    ] {
        let reply = house.ask(modern(&alice, "alpha", 1, "subscriptions/listen", json!({ "notifications": heard }))).await;
        assert_eq!(reply.code().1, -32602, "{heard}: {}", reply.text());
    }
    let reference = json!({ "type": "ref/resource", "uri": "{+u}", "Uri": "file:///private/{x}" });
    let complete = json!({ "ref": reference, "argument": { "name": "x", "value": "" } });
    assert!(is_refused(&house.ask(modern(&alice, "alpha", 1, "completion/complete", complete)).await));
    for method in ["tools/call", "subscriptions/listen", "completion/complete"] {
        assert!(lax.seen_method(method).is_empty(), "{method}: {:?}", lax.seen_method(method));
    }
    let shown = house.ask(modern(&alice, "alpha", 1, "resources/templates/list", json!({}))).await.result();
    assert_eq!(shown["resourceTemplates"], json!([{ "uriTemplate": "file:///public/{name}", "name": "public" }]));
    house.close(&[&alice.text]).await;
}
