//! FLT: more than can be served, and everybody at once. Bounds, not speed: figures are the business of `bench/`.

use super::house::{House, Key, LAPTOP, server, within};
use super::speak::{end, initialize, legacy, modern, modern_call};
use super::wire::Ask;
use doorward_testkit::lax::Lax;
use doorward_testkit::lax::quirk::{Answer, Behaviour, Quirk};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;

fn modern_lax() -> Behaviour {
    Behaviour::plain().with(Quirk::Modern)
}

/// Status and time of a request that may find the door closed: 0 for a connection that ended without an answer.
async fn tried(ask: Ask, address: SocketAddr) -> (u16, Duration) {
    let begun = Instant::now();
    let answered = async {
        let mut line = TcpStream::connect(address).await.ok()?;
        let ask = ask.set("Connection", "close");
        line.write_all(&ask.bytes(&address.to_string())).await.ok();
        let mut answer = Vec::new();
        line.read_to_end(&mut answer).await.ok();
        String::from_utf8_lossy(&answer).split(' ').nth(1)?.parse().ok()
    };
    let status = tokio::time::timeout(Duration::from_secs(30), answered).await.expect("an end in time");
    (status.unwrap_or(0), begun.elapsed())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flt_11_beyond_its_limits_it_refuses_early_and_is_well_afterwards() {
    let lax = Lax::start(modern_lax()).await.unwrap();
    let limits = "[limits]\nconnections = 20\nper_user = \"60000000/m\"\n";
    let house = House::open(&format!("{}{limits}", server("alpha", &lax.url(), ""))).await;
    house.approve().await;
    let alice = house.full("alice").await;
    let other = house.full("bob").await;
    assert_eq!(house.ask(modern_call(&alice, "alpha", 1, "echo", json!({}))).await.status, 200);
    lax.forget();
    let mut all = JoinSet::new();
    for n in 0..200 {
        all.spawn(tried(modern_call(&alice, "alpha", n, "slow", json!({ "count": 4, "ms": 100 })), house.address));
    }
    // Who is to be shut out is shut out meanwhile: the store needs no connection here.
    let epoch = house.store.epoch().await.unwrap();
    house.store.revoke_api_key(&other.id, house.env.now()).await.unwrap();
    tokio::time::timeout(Duration::from_secs(3), house.heard_of(epoch + 1)).await.expect("revocations are heard of under load");
    let replies = all.join_all().await;
    let (served, refused): (Vec<_>, Vec<_>) = replies.into_iter().partition(|(status, _)| *status == 200);
    assert!(served.len() >= 20, "{}", served.len());
    assert!(refused.iter().all(|(status, _)| matches!(status, 0 | 503)), "{refused:?}");
    assert!(refused.len() >= 100, "ten times too many: {}", refused.len());
    let slowest = refused.iter().map(|(_, took)| *took).max().unwrap();
    assert!(slowest < Duration::from_secs(3), "refused early: {slowest:?}");
    assert_eq!(lax.seen_method("tools/call").len(), served.len(), "what was refused had no effect");
    let recovered = within(Duration::from_secs(10), async || {
        let (status, took) = tried(modern_call(&alice, "alpha", 1, "echo", json!({})), house.address).await;
        status == 200 && took < Duration::from_secs(1)
    });
    assert!(recovered.await);
    assert_eq!(tried(Ask::new("GET", "/readyz"), house.address).await.0, 200);
    // Knocking does not fill the record.
    assert!(house.recorded("event", "turned_away").len() <= 61, "{}", house.recorded("event", "turned_away").len());
    assert_eq!(house.ask(modern_call(&other, "alpha", 1, "echo", json!({}))).await.status, 401);
    house.close(&[&alice.text]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flt_12_everybody_who_comes_back_at_once_is_served_from_one_reading() {
    let lax = Lax::start(modern_lax()).await.unwrap();
    let toml = server("alpha", &lax.url(), "");
    let house = House::open(&toml).await;
    house.approve().await;
    let mut keys = Vec::new();
    for n in 0..20 {
        keys.push(house.full(&format!("user{n}")).await);
    }
    let House { gateway, state, store, .. } = house;
    store.close().await;
    assert!(gateway.stop().await);
    // The same state again: nothing is cached, everybody is at the door.
    let again = House::over(state.taken_over(), &toml, LAPTOP).await;
    lax.forget();
    let mut all = JoinSet::new();
    for n in 0..400 {
        let key = &keys[n % keys.len()];
        let ask = match n % 3 {
            0 => modern(key, "alpha", n, "tools/list", json!({})),
            1 => super::speak::initialize(key, "alpha", "2025-11-25", json!({})),
            _ => modern_call(key, "alpha", n, "echo", json!({ "n": n })),
        };
        all.spawn(tried(ask, again.address));
    }
    let replies = all.join_all().await;
    assert!(replies.iter().all(|(status, _)| *status == 200), "{replies:?}");
    let slowest = replies.iter().map(|(_, took)| *took).max().unwrap();
    assert!(slowest < Duration::from_secs(10), "{slowest:?}");
    assert_eq!(lax.seen_method("tools/list").len(), 1, "one reads for all");
    again.close(&[&keys[0].text]).await;
}

/// All of a request but the last byte, which is given back.
async fn almost(ask: &Ask, address: SocketAddr) -> (TcpStream, u8) {
    let mut bytes = ask.clone().set("Connection", "close").bytes(&address.to_string());
    let last = bytes.pop().expect("a body");
    let mut line = TcpStream::connect(address).await.expect("connected");
    // A refusal may come before everything is written.
    line.write_all(&bytes).await.ok();
    (line, last)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flt_06_bodies_that_do_not_end_do_not_fill_the_memory() {
    let lax = Lax::start(modern_lax()).await.unwrap();
    let house = House::over_listening(&server("alpha", &lax.url(), ""), "max_body = \"128KiB\"").await;
    house.approve().await;
    let (alice, bob) = (house.full("alice").await, house.full("bob").await);
    let mut many = vec![alice.clone()];
    for n in 0..4 {
        many.push(house.full(&format!("user{n}")).await);
    }
    lax.forget();
    let large = |n: usize| modern_call(&many[n % many.len()], "alpha", n, "echo", json!({ "text": "x".repeat(120_000) }));
    let mut waiting = Vec::new();
    for n in 0..100 {
        waiting.push(almost(&large(n), house.address).await);
    }
    // Room for 64 of the largest: some have to go, at once and not after their time.
    let turned_away = async || tried(large(1000), house.address).await.0 == 503;
    assert!(within(Duration::from_secs(10), turned_away).await);
    assert_eq!(house.ask(modern_call(&bob, "alpha", 1, "echo", json!({}))).await.status, 200, "small ones always fit");
    let (mut served, mut refused) = (0, 0);
    for (mut line, last) in waiting {
        line.write_all(&[last]).await.ok();
        let mut answer = String::new();
        line.read_to_string(&mut answer).await.ok();
        match answer.get(9..12) {
            Some("200") => served += 1,
            // A reset may take the answer of who was still writing.
            Some("503" | "429") | None => refused += 1,
            other => panic!("{other:?}: {answer}"),
        }
    }
    assert!((60..=85).contains(&served), "{served} fitted, {refused} did not");
    assert_eq!(lax.seen_method("tools/call").len(), served + 1, "what was refused had no effect");
    assert!(!house.recorded("refused", "no_room").is_empty());
    assert_eq!(house.ask(large(2000)).await.status, 200, "the room comes back");
    house.close(&[&alice.text, &bob.text]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flt_06_one_caller_does_not_hold_the_room_of_large_bodies() {
    let lax = Lax::start(modern_lax()).await.unwrap();
    let house = House::over_listening(&server("alpha", &lax.url(), ""), "max_body = \"128KiB\"").await;
    house.approve().await;
    let (alice, bob) = (house.full("alice").await, house.full("bob").await);
    // Two keys are one caller.
    let keys = [alice.clone(), house.full("alice").await];
    lax.forget();
    let large = |key: &Key, n: usize| modern_call(key, "alpha", n, "echo", json!({ "text": "x".repeat(120_000) }));
    let mut waiting = Vec::new();
    for n in 0..100 {
        waiting.push(almost(&large(&keys[n % 2], n), house.address).await);
    }
    // Her share is full, and she is told so, while it is held as long as a body may take.
    let turned_away = async || tried(large(&alice, 1000), house.address).await.0 == 429;
    assert!(within(Duration::from_secs(10), turned_away).await);
    for n in 0..10 {
        let (status, took) = tried(large(&bob, n), house.address).await;
        assert!(status == 200 && took < Duration::from_secs(5), "{status} after {took:?}");
    }
    assert_eq!(house.ask(modern_call(&alice, "alpha", 1, "echo", json!({}))).await.status, 200, "small ones of hers always fit");
    let refused = house.recorded("refused", "too_much_at_once");
    assert!(refused.len() >= 80 && refused[0]["blame"] == "caller", "{}", refused.len());
    assert!(house.recorded("refused", "no_room").is_empty(), "nobody else notices");
    drop(waiting);
    let back = async || tried(large(&alice, 2000), house.address).await.0 == 200;
    assert!(within(Duration::from_secs(10), back).await, "it comes back");
    house.close(&[&alice.text, &bob.text]).await;
}

/// A server with large answers, which nobody looks into and no rate bounds.
async fn large_answers(behaviour: Behaviour) -> (Lax, House) {
    let lax = Lax::start(behaviour).await.unwrap();
    let house = House::open(&format!(
        "{}[limits]\nper_user = \"60000000/m\"\n",
        server("alpha", &lax.url(), "screening = { secrets = \"off\", personal = \"off\", injection = \"off\" }")
    ))
    .await;
    house.approve().await;
    (lax, house)
}

/// Asks and takes the status alone: what follows stays where it is.
async fn unread(ask: &Ask, address: SocketAddr) -> (TcpStream, u16) {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4096).expect("a small window");
    let mut line = socket.connect(address).await.expect("connected");
    line.write_all(&ask.bytes(&address.to_string())).await.expect("written");
    let mut status = [0; 12];
    tokio::time::timeout(Duration::from_secs(30), line.read_exact(&mut status)).await.expect("in time").expect("a status");
    let status = std::str::from_utf8(&status[9..]).expect("a number").parse().expect("a number");
    (line, status)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flt_06_answers_that_nobody_reads_do_not_fill_the_memory() {
    let (_lax, house) = large_answers(modern_lax().with(Quirk::Answer(Answer::LargeResult))).await;
    let (alice, bob) = (house.full("alice").await, house.full("bob").await);
    let ask = |key: &Key, n| modern_call(key, "alpha", n, "echo", json!({}));
    let session = house.session(&alice, "alpha").await;
    let first = house.ask(ask(&alice, 0)).await;
    assert!(first.body.len() > 900_000, "{}", String::from_utf8_lossy(&first.body[..first.body.len().min(300)]));
    let mut lines = Vec::new();
    let refused = loop {
        let (line, status) = unread(&ask(&alice, lines.len()), house.address).await;
        if status != 200 {
            break status;
        }
        lines.push(line);
        assert!(lines.len() < 60, "they are all in memory");
    };
    assert_eq!((refused, house.last_reason()), (429, "answers_unread".to_owned()));
    assert!(lines.len() >= 12, "a few at once are nothing unusual: {}", lines.len());
    // What takes something back is no request for more.
    let cancelled = json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": 1 } });
    let taken_back = Ask { body: cancelled.to_string().into_bytes(), ..legacy(&alice, "alpha", &session, 1, "ping", json!({})) };
    assert_eq!(tried(taken_back, house.address).await.0, 202);
    assert_eq!(tried(end(&alice, "alpha", &session), house.address).await.0, 204);
    // Everybody else is served, and she is again once she has read or gone.
    assert_eq!(tried(ask(&bob, 1), house.address).await.0, 200);
    lines.truncate(lines.len() / 2);
    let served = within(Duration::from_secs(10), async || tried(ask(&alice, 1), house.address).await.0 == 200);
    assert!(served.await, "{}", house.last_reason());
    drop(lines);
    house.close(&[&alice.text]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flt_06_a_burst_of_large_events_waits_at_its_server() {
    let (_lax, house) = large_answers(modern_lax().with(Quirk::Answer(Answer::LargeEvent))).await;
    let alice = house.full("alice").await;
    let first = house.ask(modern_call(&alice, "alpha", 0, "echo", json!({}))).await;
    assert!(first.body.len() > 900_000, "{}", String::from_utf8_lossy(&first.body[..first.body.len().min(300)]));
    // All at once, before any of them has an answer that is not read: nothing is a reason to refuse one.
    let mut asked = JoinSet::new();
    for n in 0..60 {
        let (ask, address) = (modern_call(&alice, "alpha", n, "echo", json!({})), house.address);
        asked.spawn(async move { unread(&ask, address).await });
    }
    let mut lines = Vec::new();
    while let Ok(Some(answered)) = tokio::time::timeout(Duration::from_secs(3), asked.join_next()).await {
        lines.push(answered.expect("a status"));
    }
    let served = lines.iter().filter(|(_, status)| *status == 200).count();
    assert!((8..=24).contains(&served), "{served} are in memory");
    asked.shutdown().await;
    drop(lines);
    let again = async || tried(modern_call(&alice, "alpha", 1, "echo", json!({})), house.address).await.0 == 200;
    assert!(within(Duration::from_secs(10), again).await, "{}", house.last_reason());
    house.close(&[&alice.text]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flt_06_a_batch_gathers_no_more_than_its_part() {
    let (lax, house) = large_answers(Behaviour::plain().with(Quirk::Answer(Answer::LargeResult))).await;
    let alice = house.full("alice").await;
    let opened = house.ask(initialize(&alice, "alpha", "2025-03-26", json!({}))).await;
    let session = opened.field("mcp-session-id").expect("a session").to_owned();
    let call = |id: u32| json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": { "name": "echo", "arguments": {} } });
    let batch = |count: u32| {
        let ask = legacy(&alice, "alpha", &session, 1, "ping", json!({})).set("MCP-Protocol-Version", "2025-03-26");
        Ask { body: Value::from((1..=count).map(call).collect::<Vec<_>>()).to_string().into_bytes(), ..ask }
    };
    lax.forget();
    let reply = house.ask(batch(20)).await;
    let answers = reply.json();
    let answers = answers.as_array().expect("an array");
    assert_eq!(answers.len(), 20, "each request has its answer");
    let done = answers.iter().filter(|answer| answer["result"].is_object()).count();
    assert!((2..=3).contains(&done), "{done}");
    assert_eq!(lax.seen_method("tools/call").len(), done, "what is refused was not done");
    let last = &answers[19];
    assert!(last["id"] == 20 && last["error"]["message"].as_str().is_some_and(|text| text.contains("by itself")), "{last}");
    assert_eq!(house.last_reason(), "batch_too_large");
    // Whole batches that nobody reads are as bounded.
    let mut lines = Vec::new();
    let refused = loop {
        let (line, status) = unread(&batch(20), house.address).await;
        if status != 200 {
            break status;
        }
        lines.push(line);
        assert!(lines.len() < 60, "they are all in memory");
    };
    assert_eq!((refused, house.last_reason()), (429, "answers_unread".to_owned()));
    drop(lines);
    house.close(&[&alice.text]).await;
}
