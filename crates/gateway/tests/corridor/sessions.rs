//! SES and T16: sessions, streams, tasks and states belong to those who opened them.

use super::house::{House, Key, canary, secretly, server, within};
use super::speak::{MODERN, end, initialize, legacy, legacy_call, listen, modern, modern_as, modern_call, said, text};
use super::wire::{Ask, Line};
use doorward_core::id::{ServerName, ToolName};
use doorward_testkit::fixture::Era;
use doorward_testkit::fixture::door::Running;
use doorward_testkit::lax::Lax;
use doorward_testkit::lax::quirk::{Behaviour, Quirk};
use serde_json::{Value, json};
use std::collections::HashSet;
use std::time::Duration;

async fn lax(behaviour: Behaviour) -> (Lax, House) {
    let lax = Lax::start(behaviour).await.unwrap();
    let house = House::open(&server("alpha", &lax.url(), "")).await;
    house.approve().await;
    lax.forget();
    (lax, house)
}

fn modern_lax() -> Behaviour {
    Behaviour::plain().with(Quirk::Modern)
}

fn asks() -> Value {
    json!({ "elicitation": {} })
}

fn count(name: &str, otherwise: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// Ids of sessions that four clients of two users open at once, a row for each client.
async fn many_ids(house: &House, all: usize) -> Vec<Vec<String>> {
    let users = [house.full("alice").await, house.full("bob").await];
    let mut working = Vec::new();
    for worker in 0..4 {
        let ask = initialize(&users[worker % 2], "alpha", "2025-11-25", json!({}));
        let address = house.address;
        working.push(tokio::spawn(async move {
            let mut line = Line::open(address).await;
            let mut ids = Vec::new();
            for _ in 0..all / 4 {
                ids.push(line.ask(&ask).await.field("mcp-session-id").expect("a session").to_owned());
            }
            ids
        }));
    }
    let mut ids = Vec::new();
    for work in working {
        ids.push(work.await.unwrap());
    }
    ids
}

/// Seven standard deviations from half of `n`: one false alarm in 390 billion, and there are fifty thousand questions.
#[expect(clippy::cast_precision_loss, reason = "small counts")]
fn is_far(count: usize, n: usize) -> bool {
    (count as f64 - n as f64 / 2.0).abs() > 7.0 * (n as f64 / 4.0).sqrt()
}

/// How many bits of two rows of ids differ, pair by pair, and of how many.
fn differing<'a>(one: impl Iterator<Item = &'a Vec<u8>>, two: impl Iterator<Item = &'a Vec<u8>>) -> (usize, usize) {
    let mut sum = (0, 0);
    for (a, b) in one.zip(two) {
        sum.0 += a.iter().zip(b).map(|(a, b)| (a ^ b).count_ones() as usize).sum::<usize>();
        sum.1 += a.len() * 8;
    }
    sum
}

fn bit(id: &[u8], at: usize) -> bool {
    id[at / 8] >> (at % 8) & 1 == 1
}

/// What a generator with a fault in it would show: a bit that leans, a byte that is favoured, runs, bits that follow the clock or
/// the one before, beginnings in common.
#[expect(clippy::cast_precision_loss, reason = "small counts")]
fn look_random(row: &[Vec<u8>]) {
    let n = row.len();
    for at in 0..256 {
        assert!(!is_far(row.iter().filter(|id| bit(id, at)).count(), n), "bit {at} is as often set as not");
        let turns = row.windows(2).filter(|pair| bit(&pair[0], at) != bit(&pair[1], at)).count();
        assert!(!is_far(turns, n - 1), "bit {at} does not follow the id before");
        // With a clock in it, early and late ids differ: the halves of the run are alike.
        let early = row[..n / 2].iter().filter(|id| bit(id, at)).count();
        assert!(!is_far(early, n / 2), "bit {at} does not follow the time");
    }
    let stream: Vec<u8> = row.concat();
    let bits: Vec<bool> = stream.iter().flat_map(|byte| (0..8).map(move |at| byte >> at & 1 == 1)).collect();
    for lag in [1, 2, 7, 8, 16, 31, 32, 64, 128, 255] {
        let turns = bits.iter().zip(&bits[lag..]).filter(|(a, b)| a != b).count();
        assert!(!is_far(turns, bits.len() - lag), "bits that are {lag} apart know nothing of each other");
    }
    let mut counts = [0_usize; 256];
    stream.iter().for_each(|byte| counts[usize::from(*byte)] += 1);
    let expected = stream.len() as f64 / 256.0;
    let chi: f64 = counts.iter().map(|count| (*count as f64 - expected).powi(2) / expected).sum();
    // 255 degrees of freedom: mean 255, deviation 22.6. Too even is as suspicious as too uneven.
    assert!((120.0..392.0).contains(&chi), "no byte is favoured: {chi}");
    let rising = row.windows(2).filter(|pair| pair[0] < pair[1]).count();
    assert!(!is_far(rising, n - 1), "ids do not rise with time");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ses_01_ids_are_random_and_nowhere_kept() {
    let lax = Lax::start(Behaviour::plain()).await.unwrap();
    let limits = "[limits]\nper_user = \"60000000/m\"\nsessions = 40000\nsessions_per_user = 20000\n";
    let open = || House::open(format!("{}{limits}", server("alpha", &lax.url(), "")).leak());
    let (house, other) = (open().await, open().await);
    let all = count("DOORWARD_TEST_SESSIONS", 1_000);
    // Two gateways at the same time.
    let (ids, ids_there) = tokio::join!(many_ids(&house, all), many_ids(&other, all));
    let flat: Vec<&String> = ids.iter().chain(&ids_there).flatten().collect();
    use base64::Engine as _;
    let decode = |id: &String| {
        assert!(id.bytes().all(|byte| (0x21..=0x7e).contains(&byte)), "{id}");
        let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(id).expect("base64url");
        assert_eq!(bytes.len(), 32, "256 bits");
        bytes
    };
    let rows: Vec<Vec<Vec<u8>>> = ids.iter().chain(&ids_there).map(|row| row.iter().map(decode).collect()).collect();
    for row in &rows {
        look_random(row);
    }
    for (of, gateway) in [("here", &rows[..4]), ("there", &rows[4..])] {
        look_random(&gateway.concat());
        let (alike, n) = differing(gateway[0].iter(), gateway[1].iter());
        assert!(!is_far(alike, n), "{of}: ids of two users at one time have nothing in common");
        let (alike, n) = differing(gateway[0].iter(), gateway[2].iter());
        assert!(!is_far(alike, n), "{of}: nor have those of one");
    }
    let together: Vec<Vec<u8>> = rows.concat();
    for one in 0..256 {
        let of_one: Vec<bool> = together.iter().map(|id| bit(id, one)).collect();
        for other in one + 1..256 {
            let unlike = together.iter().zip(&of_one).filter(|(id, of_one)| bit(id, other) != **of_one).count();
            assert!(!is_far(unlike, together.len()), "bit {other} does not follow bit {one}");
        }
    }
    let (alike, n) = differing(rows[..4].iter().flatten(), rows[4..].iter().flatten());
    assert!(!is_far(alike, n), "nor those of two gateways");
    let mut sorted: Vec<&Vec<u8>> = rows.iter().flatten().collect();
    sorted.sort();
    let common = |a: &[u8], b: &[u8]| a.iter().zip(b).take_while(|(a, b)| a == b).count();
    let longest = sorted.windows(2).map(|pair| common(pair[0], pair[1])).max().unwrap();
    assert!(longest < 8, "no two begin alike, and none comes twice: {longest} bytes");
    let shown: Vec<&str> = flat.iter().take(50).map(|id| id.as_str()).collect();
    assert!(shown.iter().all(|id| !lax.saw(id)), "an id of ours is not the upstream's business");
    let last = (*flat.last().unwrap()).clone();
    let mut canaries = shown;
    canaries.push(&last);
    house.close(&canaries).await;
    other.close(&canaries).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ses_02_a_stolen_session_id_takes_as_long_as_a_random_one() {
    let (_lax, house) = lax(Behaviour::plain()).await;
    let (alice, mallory) = (house.full("alice").await, house.full("mallory").await);
    let stolen = house.session(&alice, "alpha").await;
    // Which of a pair was faster, not by how much: what else the machine does hits both alike.
    for attempt in ["ping", "tools/list"] {
        let (mut line, mut faster) = (Line::open(house.address).await, 0);
        let pairs = 400;
        for n in 0..pairs {
            if n % 50 == 0 {
                // Hers is in use all the time: as well known here as it can be.
                assert_eq!(house.ask(legacy(&alice, "alpha", &stolen, 1, "ping", json!({}))).await.status, 200);
            }
            let random = canary("x");
            let mut took = [Duration::ZERO; 2];
            // Whoever comes second finds everything warm: they take turns.
            for turn in 0..2 {
                let which = (turn + n) % 2;
                let id = if which == 0 { stolen.as_str() } else { random.as_str() };
                let begun = std::time::Instant::now();
                let reply = line.ask(&legacy(&mallory, "alpha", id, 1, attempt, json!({}))).await;
                took[which] = begun.elapsed();
                assert_eq!(reply.status, 404);
            }
            faster += usize::from(took[0] < took[1]);
        }
        assert!(!is_far(faster, pairs), "{attempt}: the stolen one was faster {faster} times of {pairs}");
    }
    house.close(&[&stolen]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ses_02_the_record_names_the_owner_of_a_stolen_session_however_long_it_rested() {
    let (_lax, house) = lax(Behaviour::plain()).await;
    let (alice, mallory) = (house.full("alice").await, house.full("mallory").await);
    let stolen = house.session(&alice, "alpha").await;
    // For longer than a record is believed without asking the store again.
    let window = doorward_gateway::live::FRESH + Duration::from_millis(500);
    let unnamed = within(window, async || {
        assert_eq!(house.ask(legacy(&mallory, "alpha", &stolen, 1, "ping", json!({}))).await.status, 404);
        let refused = house.refused();
        assert_eq!((&refused["reason"], &refused["user"]["sub"]), (&json!("unknown_session"), &json!("mallory")));
        !refused["cause"].to_string().contains("alice")
    });
    assert!(!unnamed.await, "{}", house.refused());
    house.close(&[&stolen]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ses_02_a_stolen_session_id_is_like_a_random_one() {
    let one = Lax::start(modern_lax()).await.unwrap();
    let house = House::open(&format!("{}{}", server("alpha", &one.url(), ""), server("beta", &one.url(), ""))).await;
    house.approve().await;
    let alice = house.full("alice").await;
    let stolen = house.session_as(&alice, "alpha", asks()).await;
    let mut stream = house.flow(listen(&alice, "alpha", &stolen)).await;
    assert_eq!(stream.status, 200);
    one.forget();
    let thieves = [
        (house.full("mallory").await, "alpha", 404),
        (house.full("alice").await, "alpha", 404), // the same person with another credential
        (alice.clone(), "beta", 404),
    ];
    for (thief, server, status) in &thieves {
        let random = canary("x");
        let pairs = |id: &str| {
            vec![
                legacy(thief, server, id, 1, "ping", json!({})),
                legacy(thief, server, id, 1, "tools/list", json!({})),
                legacy_call(thief, server, id, 1, "echo", json!({ "text": "x" })),
                said(thief, server, id, &json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": 1 } })),
                said(thief, server, id, &json!({ "jsonrpc": "2.0", "id": "q-1", "result": {} })),
                listen(thief, server, id),
                listen(thief, server, id).field("Last-Event-ID", "x-1"),
                end(thief, server, id),
            ]
        };
        for (with, without) in pairs(&stolen).into_iter().zip(pairs(&random)) {
            let (with, without) = (house.ask(with).await, house.ask(without).await);
            assert_eq!(with.status, *status);
            assert_eq!((with.status, with.text()), (without.status, without.text()), "no oracle");
        }
        let mismatch = house.records().into_iter().rfind(|record| record["cause"].to_string().contains("the session belongs to"));
        let mismatch = mismatch.expect("the attempt names both");
        assert_eq!(mismatch["reason"], "unknown_session");
        assert!(mismatch["cause"].to_string().contains("alice"), "{mismatch}");
    }
    let nobody = listen(&alice, "alpha", &stolen).without("authorization");
    assert_eq!(house.ask(nobody).await.status, 401);
    assert!(one.seen().is_empty(), "{:?}", one.seen());
    // Hers works on: the call, the stream, the session.
    assert!(text(&house.ask(legacy_call(&alice, "alpha", &stolen, 1, "echo", json!({ "text": "mine" }))).await).contains("mine"));
    one.push(json!({ "jsonrpc": "2.0", "method": "notifications/resources/list_changed" }));
    assert_eq!(stream.message().await.unwrap()["method"], "notifications/resources/list_changed");
    assert_eq!(house.ask(end(&alice, "alpha", &stolen)).await.status, 204);
    assert_eq!(house.ask(legacy(&alice, "alpha", &stolen, 1, "ping", json!({}))).await.status, 404);
    let texts: Vec<String> = thieves.iter().map(|(key, ..)| key.text.clone()).collect();
    house.close(&[&stolen, &alice.text, &texts[0]]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ses_03_and_t16_only_the_asked_may_answer_and_only_once() {
    let (lax, house) = lax(Behaviour::plain()).await;
    let (alice, mallory) = (house.full("alice").await, house.full("mallory").await);
    let session = house.session_as(&alice, "alpha", asks()).await;
    let other = house.session_as(&alice, "alpha", asks()).await;
    let foreign = house.session_as(&mallory, "alpha", asks()).await;
    let mut flow = house.flow(legacy_call(&alice, "alpha", &session, 7, "ask", json!({}))).await;
    let question = flow.message().await.expect("the question");
    let id = question["id"].clone();
    assert_ne!(id, "ask-1", "the upstream's predictable id is not shown");
    let evil = |id: &Value| json!({ "jsonrpc": "2.0", "id": id, "result": { "action": "accept", "content": { "name": "evil" } } });
    lax.forget();
    let answers = |message: &Value| {
        vec![
            (said(&mallory, "alpha", &foreign, message), 202), // into her own session
            (said(&mallory, "alpha", &session, message), 404), // into alice's
            (said(&mallory, "alpha", "", message), 404),
            (said(&mallory, "alpha", &foreign, message).without("mcp-session-id"), 400), // never "the only active session"
            (said(&alice, "alpha", &other, message), 202),                               // another session of hers
        ]
    };
    for id in [id.clone(), json!("ask-1"), json!(1), json!("q-1")] {
        for (ask, status) in answers(&evil(&id)) {
            assert_eq!(house.ask(ask).await.status, status, "{id}");
        }
    }
    let mut by_query = said(&mallory, "alpha", &foreign, &evil(&id)).without("mcp-session-id");
    by_query.target = format!("{}?sessionId={session}", by_query.target);
    assert_eq!(house.ask(by_query).await.status, 400);
    for note in [
        json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": { "progressToken": 7, "progress": 1, "message": "evil" } }),
        json!({ "jsonrpc": "2.0", "method": "notifications/tasks/status", "params": { "taskId": "task-1", "status": "evil" } }),
        json!({ "jsonrpc": "2.0", "method": "notifications/message", "params": { "level": "error", "data": "evil" } }),
        json!({ "jsonrpc": "2.0", "method": "notifications/elicitation/complete", "params": { "elicitationId": "evil" } }),
        json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": 7 } }),
    ] {
        assert_eq!(house.ask(said(&mallory, "alpha", &foreign, &note)).await.status, 202);
        assert_eq!(house.ask(said(&mallory, "alpha", &session, &note)).await.status, 404);
    }
    assert!(lax.seen().is_empty(), "nothing of it was passed on: {:?}", lax.seen());
    let mine = json!({ "jsonrpc": "2.0", "id": id, "result": { "action": "accept", "content": { "name": "alice" } } });
    assert_eq!(house.ask(said(&alice, "alpha", &session, &mine)).await.status, 202);
    let answer = flow.message().await.expect("the result");
    assert_eq!(answer["id"], 7);
    assert!(answer.to_string().contains("alice") && !answer.to_string().contains("evil"), "{answer}");
    assert!(flow.message().await.is_none());
    lax.forget();
    assert_eq!(house.ask(said(&alice, "alpha", &session, &evil(&id))).await.status, 202, "a used id is dropped");
    assert!(lax.seen().is_empty());
    house.close(&[&alice.text, &mallory.text, &session]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ses_04_a_server_stream_is_not_taken_over() {
    let (lax, house) = lax(Behaviour::plain()).await;
    let (alice, mallory) = (house.full("alice").await, house.full("mallory").await);
    let session = house.session(&alice, "alpha").await;
    let mut first = house.flow(listen(&alice, "alpha", &session)).await;
    assert_eq!(first.status, 200);
    assert_eq!(house.ask(listen(&mallory, "alpha", &session)).await.status, 404);
    assert_eq!(house.ask(listen(&alice, "alpha", &session)).await.status, 409);
    assert_eq!(house.ask(listen(&mallory, "alpha", "").without("mcp-session-id")).await.status, 400);
    for number in 0..3 {
        lax.push(json!({ "jsonrpc": "2.0", "method": "notifications/message", "params": { "level": "info", "data": number } }));
    }
    for number in 0..3 {
        assert_eq!(first.message().await.unwrap()["params"]["data"], number, "each once and in order");
    }
    drop(first);
    let again = within(Duration::from_secs(5), async || {
        let flow = house.flow(listen(&alice, "alpha", &session)).await;
        flow.status == 200
    });
    assert!(again.await, "after she left she may come back");
    house.close(&[&alice.text, &mallory.text, &session]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ses_04_a_stream_that_was_left_gives_its_place_back() {
    let lax = Lax::start(Behaviour::plain()).await.unwrap();
    let house = House::open(&format!("{}[limits]\nstreams_per_user = 2\n", server("alpha", &lax.url(), ""))).await;
    house.approve().await;
    let alice = house.full("alice").await;
    for _ in 0..3 {
        let session = house.session(&alice, "alpha").await;
        for _ in 0..3 {
            let opened = within(Duration::from_secs(5), async || house.flow(listen(&alice, "alpha", &session)).await.status == 200);
            assert!(opened.await, "each of them was left by its client");
        }
        assert_eq!(house.ask(end(&alice, "alpha", &session)).await.status, 204);
    }
    house.close(&[&alice.text]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ses_05_event_ids_open_nothing_of_others() {
    let (lax, house) = lax(Behaviour::plain()).await;
    let (alice, mallory) = (house.full("alice").await, house.full("mallory").await);
    let session = house.session(&alice, "alpha").await;
    let (other, foreign) = (house.session(&alice, "alpha").await, house.session(&mallory, "alpha").await);
    let mut stream = house.flow(listen(&alice, "alpha", &session)).await;
    let secret = canary("event-");
    let mut ids = Vec::new();
    while ids.len() < 5 {
        lax.push(json!({ "jsonrpc": "2.0", "method": "notifications/message", "params": { "level": "info", "data": secret } }));
        loop {
            let event = stream.event().await.expect("an event");
            if let Some(id) = event.id {
                ids.push(id);
            }
            if event.data.is_some_and(|data| data.contains(&secret)) {
                break;
            }
        }
    }
    drop(stream);
    let last = ids.last().unwrap().clone();
    let stem = last.rsplit_once('-').unwrap().0.to_owned();
    let resume = |key: &Key, session: &str, id: &str| listen(key, "alpha", session).field("Last-Event-ID", id);
    for id in ids.iter().chain(&[format!("{stem}-0"), format!("{stem}-1"), stem.clone(), "1".to_owned(), "0-1".to_owned()]) {
        for (key, of, status) in [(&mallory, &foreign, 400), (&mallory, &session, 404), (&alice, &other, 400)] {
            let reply = house.ask(resume(key, of, id)).await;
            assert_eq!(reply.status, status, "{id}");
            assert!(!reply.contains(&secret));
        }
    }
    for id in [
        format!("{stem}-999999"),
        format!("{stem}-18446744073709551615"),
        format!("{stem}-99999999999999999999999"),
        format!("{stem}-+1"),
        format!("{stem}--1"),
        format!(" {stem}-1x"),
        "A".repeat(300),
        "A".repeat(8000),
    ] {
        let reply = house.flow(resume(&alice, &session, &id)).await;
        assert_eq!(reply.status, 400, "{id:.40}");
    }
    assert_eq!(house.ask(resume(&alice, &session, &"A".repeat(40_000))).await.status, 431);
    let twice = resume(&alice, &session, &last).field("Last-Event-ID", &last);
    assert_eq!(house.ask(twice).await.status, 400);
    // Her own event opens her own stream behind it.
    let back = within(Duration::from_secs(5), async || {
        let mut flow = house.flow(resume(&alice, &session, &ids[ids.len() - 2])).await;
        flow.status == 200 && flow.message().await.is_some_and(|message| message["params"]["data"] == secret.as_str())
    });
    assert!(back.await);
    house.close(&[&alice.text, &session, &secret]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ses_06_a_revocation_ends_every_kind_of_stream() {
    let slow = Lax::start(modern_lax()).await.unwrap();
    let fixture = Running::start(Era::Dual, 0).await.unwrap();
    let house = House::open(&format!("{}{}", server("alpha", &slow.url(), ""), server("beta", &fixture.url(), ""))).await;
    house.approve().await;
    let steps = json!({ "count": 600, "ms": 100 });
    let with_progress = json!({ "name": "slow", "arguments": steps, "_meta": { "progressToken": "p" } });
    let heard = json!({ "notifications": { "toolsListChanged": true } });
    for how in ["revoked", "disabled", "withdrawn", "expired"] {
        let alice = house.key_until(how, &[], &["*:read", "*:write", "*:destructive"], Duration::from_secs(3600)).await;
        let session = house.session(&alice, "alpha").await;
        let mut get = house.flow(listen(&alice, "alpha", &session)).await;
        let mut call = house.flow(legacy(&alice, "alpha", &session, 1, "tools/call", with_progress.clone())).await;
        let mut modern_call = house.flow(modern(&alice, "alpha", 2, "tools/call", with_progress.clone())).await;
        let mut subscription = house.flow(modern(&alice, "beta", 3, "subscriptions/listen", heard.clone())).await;
        for (flow, what) in [(&get, "get"), (&call, "call"), (&modern_call, "modern call"), (&subscription, "subscription")] {
            assert_eq!(flow.status, 200, "{what}");
        }
        assert_eq!(call.message().await.unwrap()["method"], "notifications/progress");
        assert_eq!(modern_call.message().await.unwrap()["method"], "notifications/progress");
        let now = house.env.now();
        let name = doorward_core::id::ServerName::new("alpha").unwrap();
        match how {
            "revoked" => assert!(house.store.revoke_api_key(&alice.id, now).await.unwrap()),
            "disabled" => house.store.disable_user(&alice.user, now).await.unwrap(),
            "withdrawn" => assert!(house.store.withdraw(&name, None, now).await.unwrap() > 0),
            _ => house.shift.by(3601),
        }
        let bound = Duration::from_secs(if how == "expired" { 12 } else { 5 });
        for (flow, what) in [(&mut call, "call"), (&mut modern_call, "modern call")] {
            tokio::time::timeout(bound, flow.rest()).await.unwrap_or_else(|_| panic!("{how}: {what} goes on"));
        }
        if how == "withdrawn" {
            house.approve().await;
            continue;
        }
        for (flow, what) in [(&mut get, "get"), (&mut subscription, "subscription")] {
            tokio::time::timeout(bound, flow.rest()).await.unwrap_or_else(|_| panic!("{how}: {what} goes on"));
        }
        for ask in [listen(&alice, "alpha", &session), modern(&alice, "beta", 4, "subscriptions/listen", heard.clone())] {
            assert_eq!(house.ask(ask).await.status, 401, "{how}: no way back");
        }
    }
    let closed: Vec<Value> = house.records().into_iter().filter(|record| record["kind"] == "closed").collect();
    for reason in ["revoked_credential", "user_disabled", "no_longer_permitted", "expired_credential"] {
        assert!(closed.iter().any(|record| record["reason"] == reason), "{reason}: {closed:#?}");
    }
    house.close(&[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ses_06_a_call_without_a_stream_gives_its_result_to_nobody_whose_right_ended() {
    let (lax, house) = lax(modern_lax()).await;
    for (how, reason) in [("revoked", "revoked_credential"), ("disabled", "user_disabled"), ("withdrawn", "no_longer_permitted")] {
        let alice = house.full(how).await;
        let name = doorward_core::id::ServerName::new("alpha").unwrap();
        let call = modern_call(&alice, "alpha", 1, "slow", json!({ "count": 80, "ms": 100 })).set("Accept", "application/json");
        lax.forget();
        let revoke = async {
            assert!(within(Duration::from_secs(5), async || !lax.seen_method("tools/call").is_empty()).await, "{how}: it runs");
            let now = house.env.now();
            match how {
                "revoked" => assert!(house.store.revoke_api_key(&alice.id, now).await.unwrap()),
                "disabled" => house.store.disable_user(&alice.user, now).await.unwrap(),
                _ => assert!(house.store.withdraw(&name, None, now).await.unwrap() > 0),
            }
        };
        let (reply, ()) = tokio::join!(house.ask(call), revoke);
        assert_eq!(reply.status, if how == "withdrawn" { 200 } else { 401 }, "{how}: {}", reply.text());
        assert!(!reply.contains("\"result\""), "{how}: {}", reply.text());
        let outcomes: Vec<Value> = house.records().into_iter().filter(|record| record["kind"] == "outcome").collect();
        assert_eq!(outcomes.last().unwrap()["reason"], reason, "{how}");
    }
    house.close(&[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ses_07_sessions_have_a_cap_and_an_end() {
    let lax = Lax::start(Behaviour::plain()).await.unwrap();
    let limits = "[limits]\nper_user = \"60000000/m\"\nsessions_per_user = 5\nstreams_per_user = 2\n";
    let house = House::open(&format!("{}{limits}", server("alpha", &lax.url(), ""))).await;
    let (alice, bob) = (house.full("alice").await, house.full("bob").await);
    let mut sessions = Vec::new();
    for _ in 0..5 {
        sessions.push(house.session(&alice, "alpha").await);
    }
    // Another key of hers does not give her more.
    let second = house.full("alice").await;
    for key in [&alice, &second] {
        for _ in 0..10 {
            let reply = house.ask(initialize(key, "alpha", "2025-11-25", json!({}))).await;
            assert_eq!(reply.status, 429, "{}", reply.text());
            assert!(reply.field("mcp-session-id").is_none());
            assert!(reply.field("retry-after").is_some());
        }
    }
    let refused = house.records().into_iter().rfind(|record| record["reason"] == "too_many_sessions").expect("on the record");
    assert_eq!(refused["blame"], "caller");
    house.session(&bob, "alpha").await;
    // What was opened upstream for a session that was refused is ended there.
    let opened = lax.seen_method("initialize").len();
    let ended = within(Duration::from_secs(5), async || lax.seen().iter().filter(|heard| heard.method == "DELETE").count() >= opened - 6);
    assert!(ended.await, "upstream sessions are released");
    // Streams too.
    let (one, two) = (house.flow(listen(&alice, "alpha", &sessions[0])).await, house.flow(listen(&alice, "alpha", &sessions[1])).await);
    assert_eq!((one.status, two.status), (200, 200));
    assert_eq!(house.ask(listen(&alice, "alpha", &sessions[2])).await.status, 429);
    drop((one, two));
    // An ended session makes room; an idle one is over.
    assert_eq!(house.ask(end(&alice, "alpha", &sessions[0])).await.status, 204);
    house.session(&alice, "alpha").await;
    house.shift.by(3601);
    assert_eq!(house.ask(legacy(&alice, "alpha", &sessions[1], 1, "ping", json!({}))).await.status, 404);
    house.close(&[&alice.text]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ses_07_everybody_together_has_a_cap_that_no_single_user_reaches() {
    let lax = Lax::start(Behaviour::plain()).await.unwrap();
    let limits = "[limits]\nper_user = \"60000000/m\"\nsessions = 5\nsessions_per_user = 3\n";
    let house = House::open(&format!("{}{limits}", server("alpha", &lax.url(), ""))).await;
    let (alice, bob, carol) = (house.full("alice").await, house.full("bob").await, house.full("carol").await);
    let open = |key| house.ask(initialize(key, "alpha", "2025-11-25", json!({})));
    let first = house.session(&alice, "alpha").await;
    for _ in 0..2 {
        house.session(&alice, "alpha").await;
    }
    assert_eq!(open(&alice).await.status, 429, "her own cap");
    for _ in 0..2 {
        house.session(&bob, "alpha").await;
    }
    for key in [&bob, &carol] {
        for _ in 0..5 {
            let reply = open(key).await;
            assert_eq!(reply.status, 503, "{}", reply.text());
            assert!(reply.field("mcp-session-id").is_none());
            assert_eq!(reply.field("retry-after"), Some("60"));
        }
    }
    assert_eq!(open(&alice).await.status, 429, "what is her own fault is told as such");
    let refused = house.records().into_iter().rfind(|record| record["reason"] == "sessions_full").expect("on the record");
    assert_eq!(refused["blame"], "us");
    // What was opened upstream for a session that was refused is ended there.
    let opened = lax.seen_method("initialize").len();
    let ended = within(Duration::from_secs(5), async || lax.seen().iter().filter(|heard| heard.method == "DELETE").count() >= opened - 6);
    assert!(ended.await, "upstream sessions are released");
    // Whoever has one goes on, stateless requests need none, and an end makes room.
    assert_eq!(house.ask(legacy(&alice, "alpha", &first, 1, "ping", json!({}))).await.status, 200);
    assert_eq!(house.ask(end(&alice, "alpha", &first)).await.status, 204);
    house.session(&carol, "alpha").await;
    house.close(&[&alice.text]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ses_08_the_modern_era_knows_no_sessions() {
    let (lax, house) = lax(modern_lax()).await;
    let (alice, mallory) = (house.full("alice").await, house.full("mallory").await);
    let session = house.session(&alice, "alpha").await;
    lax.forget();
    for id in [session.as_str(), "made-up", ""] {
        let ask = modern_call(&mallory, "alpha", 1, "echo", json!({ "text": "x" }));
        let reply = house.ask(ask.field("Mcp-Session-Id", id).field("Last-Event-ID", "a-1")).await;
        assert_eq!(reply.status, 200, "{id}: {}", reply.text());
        assert!(reply.field("mcp-session-id").is_none(), "none is minted or echoed");
    }
    assert!(lax.seen().iter().all(|heard| heard.field("mcp-session-id").is_none() && heard.field("last-event-id").is_none()));
    let intent = house.records().into_iter().rfind(|record| record["kind"] == "intent").unwrap();
    assert_eq!((&intent["user"]["sub"], &intent["session"]), (&json!("mallory"), &Value::Null), "identity comes from the key alone");
    for ask in [listen(&alice, "alpha", &session), end(&alice, "alpha", &session)] {
        let reply = house.ask(ask.field("MCP-Protocol-Version", MODERN)).await;
        assert_eq!((reply.status, reply.field("allow")), (405, Some("POST")));
    }
    assert_eq!(house.ask(legacy(&alice, "alpha", &session, 1, "ping", json!({}))).await.status, 200, "it was not ended");
    house.close(&[&session]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ses_09_tasks_belong_to_who_started_them() {
    let (lax, house) = lax(modern_lax()).await;
    let (alice, mallory) = (house.full("alice").await, house.full("mallory").await);
    let another = house.full("alice").await;
    let able = json!({ "extensions": { "io.modelcontextprotocol/tasks": {} } });
    let start = |key: &Key| modern_as(key, "alpha", 1, "tools/call", json!({ "name": "task", "arguments": {} }), able.clone());
    let task = house.ask(start(&alice)).await.result()["taskId"].as_str().expect("a task").to_owned();
    assert!(task.starts_with("t-") && task.len() >= 40 && !task.contains("task-"), "{task}");
    let about =
        |key: &Key, method: &str, id: &str| modern_as(key, "alpha", 2, method, json!({ "taskId": id, "inputResponses": {} }), able.clone());
    lax.forget();
    let unknown = house.ask(about(&mallory, "tasks/get", "t-unknown")).await;
    for key in [&mallory, &another] {
        for method in ["tasks/get", "tasks/update", "tasks/cancel"] {
            for id in [task.as_str(), "task-1", "task-2", ""] {
                let reply = house.ask(about(key, method, id)).await;
                assert_eq!((reply.status, reply.text()), (unknown.status, unknown.text()), "{method} {id}: no oracle");
            }
        }
    }
    for id in ["task-1", "task-2", "T-1"] {
        assert_eq!(house.ask(about(&alice, "tasks/get", id)).await.text(), unknown.text(), "ids of the upstream mean nothing");
    }
    assert!(lax.seen().is_empty(), "{:?}", lax.seen());
    let nobody = about(&alice, "tasks/get", &task).without("authorization");
    assert_eq!(house.ask(nobody).await.status, 401);
    let mine = house.ask(about(&alice, "tasks/get", &task)).await;
    assert_eq!(mine.result()["taskId"], task.as_str());
    assert!(!mine.contains("task-1"), "{}", mine.text());
    assert_eq!(lax.seen_method("tasks/get")[0].json()["params"]["taskId"], "task-1");
    // The same client in other hands, and the same hands in another client.
    let hour = Duration::from_secs(3600);
    let grants = ["*:read", "*:write", "*:destructive"];
    let (hers, theirs) = (house.token("alice", "c-1", &[], &grants, hour).await, house.token("mallory", "c-1", &[], &grants, hour).await);
    let elsewhere = house.token("alice", "c-2", &[], &grants, hour).await;
    let of_token = house.ask(start(&hers)).await.result()["taskId"].as_str().expect("a task").to_owned();
    lax.forget();
    for key in [&theirs, &elsewhere, &alice, &mallory] {
        for method in ["tasks/get", "tasks/update", "tasks/cancel"] {
            let reply = house.ask(about(key, method, &of_token)).await;
            assert_eq!((reply.status, reply.text()), (unknown.status, unknown.text()), "{method}: no oracle");
        }
    }
    // Nor through a session, where tasks are spoken of in the words of 2025-11-25.
    let (session, own) = (house.session(&mallory, "alpha").await, house.session(&alice, "alpha").await);
    lax.forget();
    for (key, session) in [(&mallory, &session), (&alice, &own)] {
        for method in ["tasks/get", "tasks/result", "tasks/cancel", "tasks/update", "tasks/list"] {
            for id in [of_token.as_str(), "task-1", "task-2"] {
                let reply = house.ask(legacy(key, "alpha", session, 1, method, json!({ "taskId": id }))).await;
                // She may list what she began with this very key, and that alone.
                let listed = reply.json()["result"]["tasks"].as_array().cloned().unwrap_or_default();
                let own = listed.iter().all(|one| one["taskId"] == task.as_str() && key.id == alice.id);
                assert!(own && !reply.contains(&of_token), "{method} {id}: {}", reply.text());
                assert!(method == "tasks/list" || reply.code().1 != 0, "{method} {id}: {}", reply.text());
            }
        }
    }
    assert!(lax.seen().iter().all(|heard| !heard.contains("taskId")), "{:?}", lax.seen());
    assert_eq!(house.ask(about(&hers, "tasks/get", &of_token)).await.result()["taskId"], of_token.as_str());
    // Not in a subscription either: what is not hers is left out of what the server hears.
    let listen = json!({ "notifications": { "taskIds": [task, "task-1"] } });
    house.ask(modern_as(&mallory, "alpha", 3, "subscriptions/listen", listen, able.clone())).await;
    let heard = lax.seen_method("subscriptions/listen");
    assert!(heard.iter().all(|heard| !heard.contains("task-1") && !heard.contains(&task)), "{heard:?}");
    house.close(&[&alice.text, &mallory.text]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ses_09_a_tool_that_was_withdrawn_gives_nothing_of_its_tasks_either() {
    let (lax, house) = lax(modern_lax()).await;
    let alice = house.full("alice").await;
    let able = json!({ "extensions": { "io.modelcontextprotocol/tasks": {} } });
    let ask = |method: &str, params: Value| modern_as(&alice, "alpha", 1, method, params, able.clone());
    let reply = house.ask(ask("tools/call", json!({ "name": "task", "arguments": {} }))).await;
    let task = reply.result()["taskId"].as_str().expect("a task").to_owned();
    let about = |method: &str| ask(method, json!({ "taskId": task, "inputResponses": {} }));
    assert!(house.ask(about("tasks/get")).await.contains("belongs to"), "as long as the tool is approved");
    let unknown = house.ask(ask("tasks/get", json!({ "taskId": "t-unknown" }))).await;

    let (server, tool) = (ServerName::new("alpha").unwrap(), ToolName::new("task").unwrap());
    assert_eq!(house.store.withdraw(&server, Some(&tool), house.env.now()).await.unwrap(), 1);
    house.heard_of(house.store.epoch().await.unwrap()).await;
    lax.forget();
    for method in ["tasks/get", "tasks/update"] {
        let reply = house.ask(about(method)).await;
        assert_eq!((reply.status, reply.text()), (unknown.status, unknown.text()), "{method}");
    }
    let listen = json!({ "notifications": { "taskIds": [task] } });
    house.ask(ask("subscriptions/listen", listen)).await;
    assert!(lax.seen().iter().all(|seen| !seen.contains("task-1")), "{:?}", lax.seen());
    // What runs may still be stopped by whoever started it.
    house.ask(about("tasks/cancel")).await;
    assert_eq!(lax.seen_method("tasks/cancel").len(), 1);
    house.close(&[&alice.text]).await;
}

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ses_11_undeclared_questions_end_at_the_gateway() {
    let legacy_server = Lax::start(Behaviour::plain().with(Quirk::AsksUnasked)).await.unwrap();
    let modern_server = Lax::start(modern_lax()).await.unwrap();
    let by_request = Lax::start(modern_lax().with(Quirk::AsksByRequest)).await.unwrap();
    let denied = Lax::start(Behaviour::plain().with(Quirk::AsksUnasked)).await.unwrap();
    let house = House::open(&format!(
        "{}{}{}{}",
        server("alpha", &legacy_server.url(), ""),
        server("beta", &modern_server.url(), ""),
        server("gamma", &by_request.url(), "timeout = \"2s\""),
        server("delta", &denied.url(), "elicitation = \"deny\"\nsampling = \"deny\"")
    ))
    .await;
    house.approve().await;
    let alice = house.full("alice").await;
    // Nothing declared; and everything declared where the administrator denies it.
    let declares = json!({ "elicitation": { "form": {}, "url": {} }, "sampling": {} });
    for (name, lax, capabilities) in [("alpha", &legacy_server, json!({})), ("delta", &denied, declares)] {
        let session = house.session_as(&alice, name, capabilities).await;
        let mut get = house.flow(listen(&alice, name, &session)).await;
        let reply = house.ask(legacy_call(&alice, name, &session, 1, "echo", json!({ "text": "x" }))).await;
        assert!(text(&reply).contains('x'), "{}", reply.text());
        for word in ["sampling/createMessage", "elicitation/create", "roots/list", "secrets", "password"] {
            assert!(!reply.contains(word), "{name}: {word}");
        }
        // Each of the three questions, on both streams, was answered with an error by the gateway.
        let refused =
            within(Duration::from_secs(5), async || lax.seen().iter().filter(|heard| heard.json().get("error").is_some()).count() >= 6);
        assert!(refused.await, "{name}: {:?}", lax.seen().iter().map(|heard| heard.json()).collect::<Vec<_>>());
        // One record for each of the two streams, not one for each question: nobody fills the disk by asking.
        let noted = house.recorded("event", "undeclared_question");
        let of_this: Vec<&Value> = noted.iter().filter(|record| record["server"] == name).collect();
        assert_eq!(of_this.len(), 2, "{name}: {noted:?}");
        assert!(of_this.iter().all(|record| record["user"]["sub"] == "alice"), "{noted:?}");
        lax.push(json!({ "jsonrpc": "2.0", "method": "notifications/message", "params": { "level": "info", "data": "end" } }));
        assert_eq!(get.message().await.unwrap()["params"]["data"], "end", "{name}: nothing came before");
    }
    let reply = house.ask(modern_call(&alice, "beta", 1, "ask", json!({}))).await;
    assert_eq!(reply.code(), (400, -32021), "{}", reply.text());
    assert!(!reply.contains("requestState") && !reply.contains("Your name"));
    let outcome = house.records().into_iter().rfind(|record| record["kind"] == "outcome").unwrap();
    assert_eq!(outcome["reason"], "undeclared_question", "{outcome}");
    // A modern server must not ask by request, whatever was declared.
    let params = json!({ "name": "ask", "arguments": {} });
    let mut flow = house.flow(modern_as(&alice, "gamma", 1, "tools/call", params, asks())).await;
    let rest = flow.rest().await;
    assert!(!rest.contains("elicitation/create"), "{rest}");
    house.close(&[&alice.text]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ses_12_subscriptions_only_for_what_may_be_read() {
    let lax = Lax::start(modern_lax()).await.unwrap();
    let rules = r#"
        @id("use") permit (principal, action == Action::"use", resource);
        @id("public") permit (principal, action == Action::"read", resource) when { resource.uri like "file:///public/*" };
    "#;
    let house = House::ruled(&server("alpha", &lax.url(), ""), rules).await;
    house.approve().await;
    let alice = house.full("alice").await;
    let session = house.session(&alice, "alpha").await;
    lax.forget();
    for uri in ["file:///private/b", "file:///public/../private/b", "file:///public/%2e%2e/private/b", "FILE:///public/x"] {
        for method in ["resources/subscribe", "resources/unsubscribe", "resources/read"] {
            let reply = house.ask(legacy(&alice, "alpha", &session, 1, method, json!({ "uri": uri }))).await;
            assert!(reply.json().get("result").is_none(), "{method} {uri}: {}", reply.text());
        }
    }
    assert!(lax.seen().is_empty(), "{:?}", lax.seen());
    let uris = ["file:///public/a", "file:///private/b", "file:///public/../private/c"];
    let listens = json!({ "notifications": { "resourceSubscriptions": uris } });
    let told = house.ask(modern(&alice, "alpha", "sub", "subscriptions/listen", listens)).await;
    let heard = lax.seen_method("subscriptions/listen");
    assert_eq!(heard[0].json()["params"]["notifications"], json!({ "resourceSubscriptions": ["file:///public/a"] }));
    assert!(told.contains("file:///public/a") && !told.contains("file:///private/"), "{}", told.text());
    // Two users, one server, one id each of the same text: each hears under the own id, its type kept, and of the own only.
    let bob = house.full("bob").await;
    let of = |key: &Key, id: Value, uri: &str| {
        modern(key, "alpha", id, "subscriptions/listen", json!({ "notifications": { "resourceSubscriptions": [uri] } }))
    };
    lax.forget();
    let (hers, his) = tokio::join!(
        house.ask(of(&alice, json!("sub"), "file:///public/of-alice")),
        house.ask(of(&bob, json!("sub"), "file:///public/of-bob"))
    );
    assert!(hers.contains("of-alice") && !hers.contains("of-bob"), "{}", hers.text());
    assert!(his.contains("of-bob") && !his.contains("of-alice"), "{}", his.text());
    let ids: HashSet<String> = lax.seen_method("subscriptions/listen").iter().map(|heard| heard.json()["id"].to_string()).collect();
    assert_eq!(ids.len(), 2, "an id of ours for each towards the server");
    assert!(!lax.saw("\"sub\""), "the clients' own ids stay here");
    // A template and a list of lists are no resources.
    for uri in ["file:///public/{name}", "file:///{+path}", "*", "", "file:///public/a\u{0}"] {
        lax.forget();
        house.ask(of(&alice, json!(9), uri)).await;
        let heard = lax.seen_method("subscriptions/listen");
        let passed = heard.iter().any(|heard| heard.contains("{+path}") || heard.contains("\"*\""));
        assert!(!passed, "{uri}: only what a rule permits by its name: {heard:?}");
    }
    lax.forget();
    let many: Vec<String> = (0..5_000).map(|n| format!("file:///public/{n}")).collect();
    house.ask(modern(&alice, "alpha", "sub", "subscriptions/listen", json!({ "notifications": { "resourceSubscriptions": many } }))).await;
    let heard = lax.seen_method("subscriptions/listen");
    assert!(heard[0].json()["params"]["notifications"]["resourceSubscriptions"].as_array().unwrap().len() <= 1_000);
    house.close(&[&alice.text]).await;
}
