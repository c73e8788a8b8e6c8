//! SES-06 and FLT: what runs while a right ends, a client leaves or a client reads slowly: it ends too, and is told whole.

use super::house::{House, Key, server, within};
use super::scripted::{Scripted, tool, whole};
use super::speak::{legacy_call, modern_call};
use super::wire::{Ask, Line};
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
        let (scripted, left) = mute().await;
        let house = House::open(&server("alpha", &scripted.url(), "timeout = \"60s\"")).await;
        house.approve().await;
        let alice = house.full("alice").await;
        let ask = waits(&house, &alice, era).await;
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
        let (scripted, left) = mute().await;
        let house = House::open(&server("alpha", &scripted.url(), "timeout = \"60s\"")).await;
        house.approve().await;
        let alice = house.full("alice").await;
        let ask = waits(&house, &alice, era).await;
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
