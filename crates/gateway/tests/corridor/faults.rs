//! FLT: a server that hangs, drips or floods costs its own callers an error and nobody else anything.

use super::house::{House, Key, server, within};
use super::speak::{legacy, legacy_call, modern, modern_call};
use super::wire::Line;
use doorward_testkit::lax::Lax;
use doorward_testkit::lax::quirk::{Answer, Behaviour, Quirk};
use serde_json::json;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;

fn modern_lax() -> Behaviour {
    Behaviour::plain().with(Quirk::Modern)
}

/// `count` calls of a healthy server on one connection; the longest and the middle one.
async fn healthy(address: SocketAddr, key: &Key, count: usize) -> (Duration, Duration) {
    let mut line = Line::open(address).await;
    let mut times = Vec::new();
    for n in 0..count {
        let begun = Instant::now();
        let reply = line.ask(&modern_call(key, "good", n, "echo", json!({ "n": n }))).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        times.push(begun.elapsed());
    }
    times.sort();
    (times[times.len() - 1], times[times.len() / 2])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flt_04_hung_dripping_and_flooding_servers_leave_healthy_ones_alone() {
    let good = Lax::start(modern_lax()).await.unwrap();
    let never = Lax::start(modern_lax().with(Quirk::Answer(Answer::Never))).await.unwrap();
    let drip = Lax::start(modern_lax().with(Quirk::Answer(Answer::Slow))).await.unwrap();
    let endless = Lax::start(modern_lax().with(Quirk::Answer(Answer::NoNewline))).await.unwrap();
    let flood = Lax::start(modern_lax().with(Quirk::Answer(Answer::Flood))).await.unwrap();
    let huge = Lax::start(modern_lax().with(Quirk::Answer(Answer::HugeResult))).await.unwrap();
    let toml = [
        server("good", &good.url(), ""),
        server("never", &never.url(), "timeout = \"3s\""),
        server("drip", &drip.url(), "timeout = \"3s\""),
        server("endless", &endless.url(), "timeout = \"3s\""),
        server("flood", &flood.url(), "timeout = \"3s\""),
        server("huge", &huge.url(), "timeout = \"3s\""),
        "[limits]\nper_user = \"60000000/m\"\nstreams_per_user = 1000\nstream_messages = \"5000/s\"\n".to_owned(),
    ]
    .concat();
    let house = House::open(&toml).await;
    house.approve().await;
    let (alice, mallory) = (house.full("alice").await, house.full("mallory").await);
    let (_, quiet) = healthy(house.address, &alice, 100).await;
    let mut bad = tokio::task::JoinSet::new();
    for name in ["never", "drip", "endless", "flood", "huge"] {
        for n in 0..8 {
            let (ask, address) = (modern_call(&mallory, name, n, "echo", json!({})), house.address);
            bad.spawn(async move {
                let begun = Instant::now();
                let reply = ask.at(address).await;
                (name, reply, begun.elapsed())
            });
        }
    }
    let (worst, busy) = healthy(house.address, &alice, 100).await;
    assert!(busy < quiet * 20 + Duration::from_millis(50), "the middle one: {busy:?} after {quiet:?}");
    assert!(worst < Duration::from_secs(3), "the longest one: {worst:?}");
    for (name, reply, took) in bad.join_all().await {
        assert!(took < Duration::from_secs(15), "{name}: {took:?}");
        let json = reply.json();
        assert!(json.get("error").is_some() || json.get("result").is_some(), "{name}: {} {:.200}", reply.status, reply.text());
        assert!(reply.body.len() < 2 << 20, "{name}: {}", reply.body.len());
        assert!(name == "flood" || json.get("error").is_some() || json["result"]["isError"] == true, "{name}: {:.200}", reply.text());
    }
    house.close(&[&alice.text]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flt_04_many_callers_of_a_hung_server_all_end_at_once() {
    // Takes connections and says nothing, from the first byte on: not even its catalogue can be read.
    let mute = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp", mute.local_addr().unwrap());
    let held = tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((stream, _)) = mute.accept().await {
            open.push(stream);
        }
    });
    let good = Lax::start(modern_lax()).await.unwrap();
    let house = House::open(&format!("{}{}", server("mute", &url, "timeout = \"2s\""), server("good", &good.url(), ""))).await;
    let epoch_of_good = async {
        let alice = house.full("alice").await;
        house.approve_only(|server, _| server == "good").await;
        alice
    };
    let alice = epoch_of_good.await;
    let mut calls = tokio::task::JoinSet::new();
    for n in 0..40 {
        let (ask, address) = (modern_call(&alice, "mute", n, "echo", json!({})), house.address);
        calls.spawn(async move {
            let begun = Instant::now();
            (ask.at(address).await, begun.elapsed())
        });
    }
    let (worst, _) = healthy(house.address, &alice, 50).await;
    assert!(worst < Duration::from_secs(2), "{worst:?}");
    for (reply, took) in calls.join_all().await {
        assert!(took < Duration::from_secs(12), "nobody waits for those before: {took:?}");
        assert_eq!(reply.code().1, -32603, "{}", reply.text());
    }
    held.abort();
    house.close(&[&alice.text]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flt_04_a_server_that_keeps_talking_does_not_outlive_the_longest_call() {
    let lax = Lax::start(modern_lax()).await.unwrap();
    let limits = "[limits]\nper_user = \"60000000/m\"\ncall_timeout = \"2s\"\n";
    let house = House::open(&format!("{}{limits}", server("alpha", &lax.url(), ""))).await;
    house.approve().await;
    let alice = house.full("alice").await;
    let session = house.session(&alice, "alpha").await;
    let params = json!({ "name": "slow", "arguments": { "count": 600, "ms": 50 }, "_meta": { "progressToken": 1 } });
    for ask in
        [modern(&alice, "alpha", 1, "tools/call", params.clone()), legacy(&alice, "alpha", &session, 1, "tools/call", params.clone())]
    {
        let begun = Instant::now();
        let mut flow = house.flow(ask).await;
        let mut last = json!(null);
        while let Some(message) = flow.message().await {
            last = message;
        }
        assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
        assert_eq!(last["error"]["code"], -32603, "{last}");
    }
    house.close(&[&alice.text]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flt_04_clients_that_hang_up_leave_nothing_behind() {
    let lax = Lax::start(modern_lax()).await.unwrap();
    let house = House::open(&server("alpha", &lax.url(), "")).await;
    house.approve().await;
    let alice = house.full("alice").await;
    let session = house.session(&alice, "alpha").await;
    let steps = json!({ "count": 100, "ms": 50 });
    for n in 0..30 {
        for ask in
            [modern_call(&alice, "alpha", n, "slow", steps.clone()), legacy_call(&alice, "alpha", &session, n, "slow", steps.clone())]
        {
            let mut line = Line::open(house.address).await;
            line.write(&ask.bytes(&house.address.to_string())).await;
            drop(line);
        }
    }
    // Modern calls end with their client; each has its outcome in any case.
    let settled = within(Duration::from_secs(20), async || {
        let records = house.records();
        let count = |kind: &str| records.iter().filter(|record| record["kind"] == kind).count();
        count("intent") > 0 && count("intent") == count("outcome") + count("closed")
    });
    assert!(settled.await, "every call has its end");
    assert_eq!(house.ask(modern_call(&alice, "alpha", 1, "echo", json!({}))).await.status, 200);
    house.close(&[&alice.text]).await;
}

#[tokio::test]
async fn flt_04_a_server_that_is_gone_is_left_alone_until_one_call_finds_it() {
    let lax = Lax::start(modern_lax()).await.unwrap();
    let address = lax.addr();
    // Long enough that nothing but the calls themselves asks for the catalogue.
    let house = House::open(&server("alpha", &lax.url(), "")).await;
    house.approve().await;
    let (alice, bob) = (house.full("alice").await, house.full("bob").await);
    let call = |key: &Key| modern_call(key, "alpha", 1, "echo", json!({ "text": "x" }));
    assert_eq!(house.ask(call(&alice)).await.status, 200);
    drop(lax);
    let gone = within(Duration::from_secs(5), async || tokio::net::TcpStream::connect(address).await.is_err());
    assert!(gone.await, "nobody listens there any more");
    // It is found out by whoever calls, and after five of them nobody waits for it.
    let resting = within(Duration::from_secs(5), async || house.ask(call(&bob)).await.status == 503);
    assert!(resting.await);
    for key in [&alice, &bob] {
        let reply = house.ask(call(key)).await;
        assert_eq!(reply.status, 503, "{}", reply.text());
        let wait: u64 = reply.field("retry-after").and_then(|wait| wait.parse().ok()).expect("a time");
        assert!((1..=6).contains(&wait), "{wait}");
        assert_eq!(
            house.records().into_iter().rfind(|record| record["kind"] == "outcome").expect("on the record")["reason"],
            "upstream_resting"
        );
    }
    // It comes up again; nobody asks it before its rest is over, then one call finds it for all.
    let lax = Lax::start_on(address.port(), modern_lax()).await.unwrap();
    let serving = tokio::spawn(async move { lax.serve().await });
    assert_eq!(house.ask(call(&alice)).await.status, 503);
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(5)).await;
    tokio::time::resume();
    for key in [&alice, &bob] {
        let reply = house.ask(call(key)).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
    }
    serving.abort();
    house.close(&[&alice.text]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flt_04_a_flood_of_messages_is_passed_on_at_its_pace() {
    let lax = Lax::start(modern_lax()).await.unwrap();
    let limits = "[limits]\nper_user = \"60000000/m\"\nstream_messages = \"100/s\"\n";
    let house = House::open(&format!("{}{limits}", server("alpha", &lax.url(), ""))).await;
    house.approve().await;
    let alice = house.full("alice").await;
    let begun = Instant::now();
    let params = json!({ "name": "slow", "arguments": { "count": 600, "ms": 0 }, "_meta": { "progressToken": 1 } });
    let mut flow = house.flow(modern(&alice, "alpha", 1, "tools/call", params)).await;
    for _ in 0..250 {
        assert!(flow.message().await.is_some());
    }
    // A hundred at once, a hundred and fifty after them; a slow machine only takes longer.
    assert!(begun.elapsed() >= Duration::from_millis(1_400), "{:?}", begun.elapsed());
    drop(flow);
    house.close(&[&alice.text]).await;
}
