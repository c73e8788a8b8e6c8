//! SES-06 and FLT: what runs while a right ends, a client leaves or a client reads slowly: it ends too, and is told whole.

use super::house::{House, Key, server, within};
use super::scripted::{Scripted, events, open_events, tool, whole};
use super::speak::{legacy, legacy_call, listen, modern_as, modern_call};
use super::wire::{Ask, Line};
use doorward_core::id::{ServerName, ToolName};
use doorward_testkit::lax::Lax;
use doorward_testkit::lax::quirk::{Behaviour, Quirk};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Counts the calls that a server lost with their connection.
struct Left(Arc<AtomicUsize>);

impl Drop for Left {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// A server of both eras that answers everything but calls, and how many of those lost their connection.
async fn mute() -> (Scripted, Arc<AtomicUsize>) {
    let left: Arc<AtomicUsize> = Arc::default();
    let counter = Arc::clone(&left);
    let scripted = Scripted::start(move |asked| {
        let counter = Arc::clone(&counter);
        Box::pin(async move {
            if asked.method() == "tools/call" {
                let _left = Left(counter);
                std::future::pending::<()>().await;
            }
            whole(&asked.plainly(&json!([tool("wait")])).unwrap_or_default())
        })
    });
    (scripted.await, left)
}

async fn waits(house: &House, key: &Key, era: &str) -> Ask {
    if era == "modern" {
        return modern_call(key, "alpha", 1, "wait", json!({}));
    }
    let session = house.session(key, "alpha").await;
    legacy_call(key, "alpha", &session, 1, "wait", json!({}))
}

/// A call that is ready to be sent to a server that will not answer it.
struct Waiting {
    scripted: Scripted,
    left: Arc<AtomicUsize>,
    house: House,
    alice: Key,
    ask: Ask,
}

impl Waiting {
    async fn on_a_mute_server(era: &str) -> Self {
        let (scripted, left) = mute().await;
        let house = House::open(&server("alpha", &scripted.url(), "timeout = \"60s\"")).await;
        house.approve().await;
        let alice = house.full("alice").await;
        let ask = waits(&house, &alice, era).await;
        Self { scripted, left, house, alice, ask }
    }
}

/// The server hears that its call is off, in the way of its era.
async fn called_off(scripted: &Scripted, left: &AtomicUsize, era: &str) {
    let heard = within(Duration::from_secs(5), async || match era {
        "modern" => left.load(Ordering::SeqCst) > 0,
        _ => !scripted.calls("notifications/cancelled").is_empty(),
    });
    assert!(heard.await, "{era}: the server hears of it");
    if era == "legacy" {
        let told = scripted.calls("notifications/cancelled");
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!(told[0].json()["params"]["requestId"], scripted.calls("tools/call")[0].json()["id"]);
    }
}

fn ends(house: &House, kind: &str) -> Vec<Value> {
    house.records().into_iter().filter(|record| record["kind"] == kind).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ses_06_a_revocation_ends_the_wait_for_a_server_that_has_said_nothing() {
    for era in ["modern", "legacy"] {
        let Waiting { scripted, left, house, alice, ask } = Waiting::on_a_mute_server(era).await;
        let revoke = async {
            assert!(within(Duration::from_secs(5), async || !scripted.calls("tools/call").is_empty()).await, "{era}: it runs");
            assert!(house.store.revoke_api_key(&alice.id, house.env.now()).await.unwrap());
        };
        let (reply, ()) = tokio::join!(tokio::time::timeout(Duration::from_secs(10), house.ask(ask)), revoke);
        let reply = reply.unwrap_or_else(|_| panic!("{era}: the call goes on"));
        assert_eq!(reply.status, 401, "{era}: {}", reply.text());
        called_off(&scripted, &left, era).await;
        assert_eq!(ends(&house, "outcome").last().unwrap()["reason"], "revoked_credential", "{era}");
        house.close(&[&alice.text]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flt_04_a_client_that_hangs_up_ends_the_wait_for_a_server_that_has_said_nothing() {
    for era in ["modern", "legacy"] {
        let Waiting { scripted, left, house, alice, ask } = Waiting::on_a_mute_server(era).await;
        let mut line = Line::open(house.address).await;
        line.write(&ask.bytes(&house.address.to_string())).await;
        assert!(within(Duration::from_secs(5), async || !scripted.calls("tools/call").is_empty()).await, "{era}: it runs");
        drop(line);
        called_off(&scripted, &left, era).await;
        let recorded = within(Duration::from_secs(5), async || {
            ends(&house, "outcome").last().is_some_and(|last| last["class"] == "cancelled" && last["reason"] == "cancelled")
        });
        assert!(recorded.await, "{era}: {:?}", ends(&house, "outcome"));
        house.close(&[&alice.text]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ses_06_a_stream_that_a_revocation_ended_is_called_off_at_its_server() {
    let scripted = Scripted::at_once(|asked| {
        let message = asked.json();
        if asked.method() != "tools/call" {
            return whole(&asked.plainly(&json!([tool("wait")])).unwrap_or_default());
        }
        let token = &message["params"]["_meta"]["progressToken"];
        let params = json!({ "progressToken": token, "progress": 1 });
        open_events(&[json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": params })])
    })
    .await;
    let house = House::open(&server("alpha", &scripted.url(), "timeout = \"60s\"")).await;
    house.approve().await;
    let alice = house.full("alice").await;
    let session = house.session(&alice, "alpha").await;
    let params = json!({ "name": "wait", "arguments": {}, "_meta": { "progressToken": "p" } });
    let mut flow = house.flow(legacy(&alice, "alpha", &session, 1, "tools/call", params)).await;
    assert!(flow.message().await.is_some());
    // The rules and not the key: a session that goes with its key is said goodbye to as a whole.
    let name = ServerName::new("alpha").unwrap();
    assert_eq!(house.store.withdraw(&name, None, house.env.now()).await.unwrap(), 1);
    tokio::time::timeout(Duration::from_secs(8), flow.rest()).await.expect("the stream goes on");
    called_off(&scripted, &AtomicUsize::new(0), "legacy").await;
    house.close(&[&alice.text]).await;
}

// On one thread, so that nobody reads while the burst is passed on in one go.
#[tokio::test]
async fn flt_04_a_burst_reaches_a_healthy_reader_whole_and_in_order() {
    const BURST: usize = 480;
    let scripted = Scripted::at_once(|asked| {
        let message = asked.json();
        if asked.method() != "tools/call" {
            return whole(&asked.plainly(&json!([tool("burst")])).unwrap_or_default());
        }
        let token = &message["params"]["_meta"]["progressToken"];
        let progress = |n: usize| {
            json!({ "jsonrpc": "2.0", "method": "notifications/progress",
            "params": { "progressToken": token, "progress": n } })
        };
        let mut all: Vec<Value> = (1..=BURST).map(progress).collect();
        all.push(json!({ "jsonrpc": "2.0", "id": message["id"], "result": { "content": [] } }));
        events(&all)
    })
    .await;
    let house = House::open(&server("alpha", &scripted.url(), "")).await;
    house.approve().await;
    let alice = house.full("alice").await;
    let session = house.session(&alice, "alpha").await;
    for id in 1..=5 {
        let params = json!({ "name": "burst", "arguments": {}, "_meta": { "progressToken": "p" } });
        let mut flow = house.flow(legacy(&alice, "alpha", &session, id, "tools/call", params)).await;
        let mut heard = Vec::new();
        let mut last = Value::Null;
        while let Some(message) = flow.message().await {
            heard.extend(message["params"]["progress"].as_u64());
            last = message;
        }
        assert_eq!(heard, (1..=BURST as u64).collect::<Vec<_>>(), "call {id}");
        assert_eq!(last["id"], id, "{last}");
        // One second has room for so many notifications of one call.
        let closed = within(Duration::from_secs(5), async || ends(&house, "closed").len() == usize::try_from(id).unwrap());
        assert!(closed.await);
        assert_eq!(ends(&house, "closed").last().unwrap()["class"], "completed");
    }
    house.close(&[&alice.text]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ses_09_a_subscription_ends_with_the_tool_of_its_task() {
    let scripted = Scripted::at_once(|asked| {
        let message = asked.json();
        let task = json!({ "taskId": "up-1", "status": "working", "createdAt": "2026-01-01T00:00:00Z",
            "lastUpdatedAt": "2026-01-01T00:00:00Z", "ttlMs": 600_000 });
        match asked.method().as_str() {
            "tools/call" => {
                let mut result = task;
                result["resultType"] = "task".into();
                whole(&json!({ "jsonrpc": "2.0", "id": message["id"], "result": result }))
            }
            "subscriptions/listen" => {
                let mut params = task;
                params["_meta"] = json!({ "io.modelcontextprotocol/subscriptionId": message["id"] });
                open_events(&[json!({ "jsonrpc": "2.0", "method": "notifications/tasks", "params": params })])
            }
            _ => whole(&asked.plainly(&json!([tool("work"), tool("other")])).unwrap_or_default()),
        }
    })
    .await;
    let house = House::open(&server("alpha", &scripted.url(), "")).await;
    house.approve().await;
    let alice = house.full("alice").await;
    let able = json!({ "extensions": { "io.modelcontextprotocol/tasks": {} } });
    let start = |name: &str| modern_as(&alice, "alpha", 1, "tools/call", json!({ "name": name, "arguments": {} }), able.clone());
    let work = house.ask(start("work")).await.result()["taskId"].as_str().expect("a task").to_owned();
    let hears = json!({ "notifications": { "taskIds": [work] } });
    let mut flow = house.flow(modern_as(&alice, "alpha", 2, "subscriptions/listen", hears, able.clone())).await;
    assert_eq!(flow.message().await.expect("its task")["params"]["taskId"], work.as_str());
    let (name, work) = (ServerName::new("alpha").unwrap(), ToolName::new("work").unwrap());
    let withdraw = async |tool: &str| house.store.withdraw(&name, Some(&ToolName::new(tool).unwrap()), house.env.now()).await.unwrap();
    assert_eq!(withdraw("other").await, 1);
    house.heard_of(house.store.epoch().await.unwrap()).await;
    let early = tokio::time::timeout(Duration::from_secs(2), flow.message()).await;
    assert!(early.is_err(), "another tool is no matter of this stream: {early:?}");
    assert_eq!(withdraw(work.as_str()).await, 1);
    tokio::time::timeout(Duration::from_secs(8), flow.rest()).await.expect("the subscription goes on");
    let closed = within(Duration::from_secs(5), async || !ends(&house, "closed").is_empty());
    assert!(closed.await);
    assert_eq!(ends(&house, "closed")[0]["reason"], "no_longer_permitted");
    house.close(&[&alice.text]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ses_07_a_session_that_ended_by_age_ends_its_streams() {
    let lax = Lax::start(Behaviour::plain().with(Quirk::Modern)).await.unwrap();
    let house = House::open(&server("alpha", &lax.url(), "")).await;
    house.approve().await;
    let alice = house.full("alice").await;
    let session = house.session(&alice, "alpha").await;
    let mut get = house.flow(listen(&alice, "alpha", &session)).await;
    assert_eq!(get.status, 200);
    house.shift.by(24 * 3600 + 1);
    tokio::time::timeout(Duration::from_secs(15), get.rest()).await.expect("the stream ends");
    assert!(within(Duration::from_secs(5), async || ends(&house, "closed").len() == 1).await);
    assert_eq!(ends(&house, "closed")[0]["reason"], "session_ended");
    house.close(&[&alice.text]).await;
}
