//! SES-10: a state of a question belongs to who was asked, for one request, once.

use super::house::{House, Key, canary, secretly, server};
use super::sessions::{asks, modern_lax};
use super::speak::{modern, modern_as};
use super::wire::Ask;
use doorward_testkit::lax::Lax;
use serde_json::{Value, json};
use std::time::Duration;

/// A state for `text`, as alice got it.
async fn state(house: &House, key: &Key, server: &str, message: &str) -> String {
    let params = json!({ "name": "ask", "arguments": { "message": message } });
    let reply = house.ask(modern_as(key, server, 1, "tools/call", params, asks())).await;
    reply.result()["requestState"].as_str().expect("a state").to_owned()
}

fn retry(key: &Key, server: &str, id: impl Into<Value>, tool: &str, message: &str, state: &str) -> Ask {
    let params = json!({
        "name": tool, "arguments": { "message": message }, "requestState": state,
        "inputResponses": { "name": { "action": "accept", "content": { "name": "alice" } } },
    });
    modern_as(key, server, id, "tools/call", params, asks())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ses_10_a_state_works_once_and_only_for_its_own_request() {
    let secret = canary("upstream-secret-");
    let one = Lax::start(modern_lax()).await.unwrap();
    let two = Lax::start(modern_lax()).await.unwrap();
    let house = House::open(&format!("{}{}", secretly("alpha", &one.url(), &secret), server("beta", &two.url(), ""))).await;
    house.approve().await;
    let (alice, bob) = (house.full("alice").await, house.full("bob").await);
    let (second, token) =
        (house.full("alice").await, house.token("alice", "client", &[], &["*:read", "*:destructive"], Duration::from_secs(3600)).await);
    let sealed = state(&house, &alice, "alpha", "m").await;
    assert!(!sealed.contains("user=") && !sealed.contains(&secret), "{sealed}");
    let foreign = state(&house, &alice, "beta", "m").await;
    one.forget();
    two.forget();
    let flipped = |at: usize| {
        let mut bytes = sealed.clone().into_bytes();
        let at = at.min(bytes.len() - 1);
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        String::from_utf8(bytes).unwrap()
    };
    let mut attempts = vec![
        ("of beta", retry(&alice, "alpha", 2, "ask", "m", &foreign)),
        ("at beta", retry(&alice, "beta", 2, "ask", "m", &sealed)),
        ("bob", retry(&bob, "alpha", 2, "ask", "m", &sealed)),
        ("her other key", retry(&second, "alpha", 2, "ask", "m", &sealed)),
        ("her client", retry(&token, "alpha", 2, "ask", "m", &sealed)),
        ("other arguments", retry(&alice, "alpha", 2, "ask", "M", &sealed)),
        ("another tool", retry(&alice, "alpha", 2, "echo", "m", &sealed)),
        ("in clear", retry(&alice, "alpha", 2, "ask", "m", "user=bob")),
        ("empty", retry(&alice, "alpha", 2, "ask", "m", "")),
        ("longer", retry(&alice, "alpha", 2, "ask", "m", &format!("{sealed}A"))),
        ("doubled", retry(&alice, "alpha", 2, "ask", "m", &format!("{sealed}{sealed}"))),
        ("a cursor", modern(&alice, "alpha", 2, "tools/list", json!({ "cursor": sealed }))),
    ];
    for at in [0, 3, 5, 10, 14, 30, 60, sealed.len() / 2, sealed.len() - 1] {
        attempts.push(("flipped", retry(&alice, "alpha", 2, "ask", "m", &flipped(at))));
        attempts.push(("cut", retry(&alice, "alpha", 2, "ask", "m", sealed.get(..at).unwrap())));
    }
    for (what, ask) in attempts {
        let reply = house.ask(ask).await;
        assert_eq!(reply.code().1, -32602, "{what}: {} {}", reply.status, reply.text());
    }
    assert!(one.seen().is_empty() && two.seen().is_empty(), "no upstream was asked");
    // Now it is used: twenty at once, one wins.
    let mut racing = tokio::task::JoinSet::new();
    for id in 0..20 {
        let (ask, address) = (retry(&alice, "alpha", id, "ask", "m", &sealed), house.address);
        racing.spawn(async move { ask.at(address).await });
    }
    let replies = racing.join_all().await;
    let won: Vec<_> = replies.iter().filter(|reply| reply.json().get("result").is_some()).collect();
    assert_eq!(won.len(), 1, "exactly one");
    // This upstream says in its answer what the state was: its own credential. The screen holds that back.
    assert!(!won[0].contains(&secret), "{}", won[0].text());
    assert!(replies.iter().filter(|reply| reply.code().1 == -32602).count() == 19);
    let calls = one.seen_method("tools/call");
    assert_eq!(calls.len(), 1, "exactly one upstream request");
    assert_eq!(calls[0].json()["params"]["requestState"], format!("user=Bearer {secret}"), "byte for byte its own");
    assert_eq!(house.ask(retry(&alice, "alpha", 3, "ask", "m", &sealed)).await.code().1, -32602, "and never again");
    assert_eq!(house.last_reason(), "used_request_state");
    // Too late.
    let late = state(&house, &alice, "alpha", "m").await;
    one.forget();
    house.shift.by(601);
    assert_eq!(house.ask(retry(&alice, "alpha", 4, "ask", "m", &late)).await.code().1, -32602);
    assert!(one.seen().is_empty());
    // Answers without a state are passed on as such; the server decides, and gets no state.
    let params = json!({ "name": "ask", "arguments": { "message": "m" }, "inputResponses": { "name": { "action": "accept" } } });
    house.ask(modern_as(&alice, "alpha", 5, "tools/call", params, asks())).await;
    assert!(one.seen_method("tools/call").iter().all(|heard| heard.json()["params"].get("requestState").is_none()));
    house.close(&[&alice.text, &secret, &sealed]).await;
}
