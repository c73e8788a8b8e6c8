//! RPC-08: what hostile servers answer, and how fast they say that everything has changed.

use super::house::{House, server};
use super::messages::modern_lax;
use super::speak::{legacy_call, listen, modern_call};
use doorward_testkit::lax::Lax;
use doorward_testkit::lax::quirk::{ANSWERS, Answer, Quirk};
use serde_json::json;
use std::time::Duration;

/// What no client may see of a hostile answer.
const MARKS: [&str; 6] = ["evil-session", "evil.test", "second", "<script>", "Set-Cookie", "987654321"];

async fn hostile(answer: Answer, name: &str) {
    let bad = Lax::start(modern_lax().with(Quirk::Answer(answer))).await.unwrap();
    let good = Lax::start(modern_lax()).await.unwrap();
    // What is said is the matter here, not how fast.
    let limits = "[limits]\nper_user = \"60000000/m\"\nstream_messages = \"20000/s\"\n";
    let servers = [server("alpha", &bad.url(), "timeout = \"2s\""), server("beta", &good.url(), "")].concat();
    let house = House::open(&format!("{servers}{limits}")).await;
    house.approve().await;
    let (alice, bob) = (house.full("alice").await, house.full("bob").await);
    let session = house.session(&alice, "alpha").await;
    let asks = [
        modern_call(&alice, "alpha", 1, "echo", json!({})),
        legacy_call(&alice, "alpha", &session, 2, "echo", json!({})),
        modern_call(&alice, "alpha", 3, "echo", json!({})).set("Accept", "application/json"),
    ];
    for ask in asks {
        let begun = std::time::Instant::now();
        let reply = house.ask(ask).await;
        assert!(begun.elapsed() < Duration::from_secs(12), "{name}: {:?}", begun.elapsed());
        let json = reply.json();
        assert_eq!(json["jsonrpc"], "2.0", "{name}: a clean message: {} {:.300}", reply.status, reply.text());
        assert!(json["id"].is_number(), "{name}: {json}");
        assert!(json.get("result").is_some() != json.get("error").is_some(), "{name}");
        assert!(reply.body.len() < 2 << 20, "{name}: {}", reply.body.len());
        for mark in MARKS {
            let fine = mark == "second" && !matches!(answer, Answer::Twice);
            assert!(fine || !reply.contains(mark), "{name}: {mark} in {:.500}", reply.text());
        }
        assert!(!reply.text().lines().any(|line| line.starts_with("event:") && line != "event: message"), "{name}: framed anew");
        assert!(!reply.text().lines().any(|line| line.starts_with("retry: 1") && line.len() < 9), "{name}");
    }
    assert_eq!(house.ask(modern_call(&bob, "beta", 1, "echo", json!({}))).await.status, 200, "{name}: bob is unaffected");
    house.close(&[&alice.text]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rpc_08_whatever_a_server_answers_the_client_gets_one_clean_message() {
    // Two at a time: some of them only end at a time limit.
    let mut running = tokio::task::JoinSet::new();
    for (name, answer) in ANSWERS {
        running.spawn(hostile(*answer, name));
        if running.len() >= 3 {
            running.join_next().await.unwrap().unwrap();
        }
    }
    while let Some(done) = running.join_next().await {
        done.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rpc_08_a_storm_of_changes_reaches_nobody_as_a_storm() {
    let lax = Lax::start(modern_lax().with(Quirk::Storm(5_000))).await.unwrap();
    let house = House::open(&server("alpha", &lax.url(), "")).await;
    house.approve().await;
    let (alice, bob) = (house.full("alice").await, house.full("bob").await);
    let session = house.session(&alice, "alpha").await;
    let mut stream = house.flow(listen(&alice, "alpha", &session)).await;
    assert_eq!(stream.message().await.unwrap()["method"], "notifications/tools/list_changed");
    for n in 0..20 {
        assert_eq!(house.ask(modern_call(&bob, "alpha", n, "echo", json!({}))).await.status, 200);
    }
    assert!(lax.seen_method("tools/list").len() < 60, "reading again is bounded: {}", lax.seen_method("tools/list").len());
    house.close(&[&alice.text]).await;
}
