//! SES and T16: sessions and streams belong to those who opened them. Tasks and states: files of their own.

use super::house::{House, Key, canary, server, within};
use super::session_ids::is_far;
use super::speak::{MODERN, end, initialize, legacy, legacy_call, listen, modern, modern_as, modern_call, said, text};
use super::wire::Line;
use doorward_testkit::fixture::Era;
use doorward_testkit::fixture::door::Running;
use doorward_testkit::lax::Lax;
use doorward_testkit::lax::quirk::{Behaviour, Quirk};
use serde_json::{Value, json};
use std::collections::HashSet;
use std::time::Duration;

pub(crate) async fn lax(behaviour: Behaviour) -> (Lax, House) {
    let lax = Lax::start(behaviour).await.unwrap();
    let house = House::open(&server("alpha", &lax.url(), "")).await;
    house.approve().await;
    lax.forget();
    (lax, house)
}

pub(crate) fn modern_lax() -> Behaviour {
    Behaviour::plain().with(Quirk::Modern)
}

pub(crate) fn asks() -> Value {
    json!({ "elicitation": {} })
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
