//! Two processes over one database: what counts once counts once, what ends here ends there.

use super::client::{Client, Reply};
use super::house::{Gateway, House};
use super::postgres::Database;
use super::proxy::{Mode, Proxy};
use super::within;
use doorward_testkit::lax::Lax;
use doorward_testkit::lax::quirk::{Behaviour, Quirk};
use serde_json::{Value, json};
use std::io::Read as _;
use std::process::Command;
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

/// Replicas A and B with their own state and records, one database and one key of the store.
pub(super) struct Pair {
    pub(super) houses: [House; 2],
    gateways: [Gateway; 2],
    pub(super) lax: Lax,
    /// Between B and the database.
    proxy: Proxy,
    // Last: the gateways are gone before their database is.
    _database: Database,
}

const SECONDS_5: Duration = Duration::from_secs(5);

impl Pair {
    async fn open(more: &str) -> Option<Self> {
        Self::open_with(more, |_| ()).await
    }

    /// With something more for B.
    pub(super) async fn open_with(more: &str, for_b: impl FnOnce(&mut Command)) -> Option<Self> {
        let database = Database::new()?;
        let lax = Lax::start(Behaviour::plain().with(Quirk::Modern)).await.expect("an upstream");
        let houses = [House::empty(), House::empty()];
        let proxy = Proxy::start(database.address());
        for (house, url) in houses.iter().zip([database.url(), database.url_at(&proxy.address)]) {
            let toml = format!(
                "[listen]\naddress = \"127.0.0.1:0\"\n[store]\nurl = \"{url}\"\n[server.fixture]\nurl = \"{}\"\n{more}\n",
                lax.url()
            );
            house.file("doorward.toml", &toml);
        }
        // What A approves and issues counts at B, and nothing was approved at B.
        let first = houses[0].serve();
        let key = std::fs::read(houses[0].path("state/store-key")).expect("the key of the store");
        house_key(&houses[1], &key);
        let second = houses[1].listen_with(for_b);
        lax.forget();
        Some(Self { houses, gateways: [first, second], lax, proxy, _database: database })
    }

    /// A key of a user, as clients of A and of B.
    pub(super) fn user(&self, name: &str) -> [Client; 2] {
        let said = self.houses[0].run(&["apikey", "create", "--user", name, "--label", name, "--grant", "read,write,destructive"]);
        assert_eq!(said.exit, 0, "{said}");
        [0, 1].map(|at: usize| Client::new(&self.gateways[at].url, &said.out))
    }

    /// At A.
    pub(super) fn revoke(&self, label: &str) {
        let listed = self.houses[0].run(&["apikey", "list", "--json"]).out;
        let keys: Value = serde_json::from_str(&listed).unwrap_or_else(|error| panic!("{error}: {listed}"));
        let all = keys["keys"].as_array().unwrap_or_else(|| panic!("{keys}"));
        let id = all.iter().find(|key| key["label"] == label).expect("a key")["id"].as_str().expect("an id");
        let said = self.houses[0].run(&["apikey", "revoke", id]);
        assert_eq!(said.exit, 0, "{said}");
    }

    /// Each replica's record is a whole one.
    pub(super) fn close(self) {
        let [first, second] = self.gateways;
        first.stop();
        second.stop();
        for house in &self.houses {
            let said = house.run(&["audit", "verify"]);
            assert!(said.exit == 0 && said.out.contains("the chain is whole"), "{said}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ses_06_a_session_that_is_ended_by_the_command_beside_one_replica_ends_at_the_other() {
    let Some(pair) = Pair::open("").await else { return };
    let [_, at_b] = pair.user("alice");
    let session = at_b.session();
    let mut stream = at_b.stream(&session);
    let listed = pair.houses[0].run(&["sessions", "list"]);
    assert!(listed.out.starts_with("session_") && listed.out.contains("local/alice  fixture"), "{listed}");
    let id = listed.out.split_whitespace().next().expect("an id").to_owned();
    let said = pair.houses[0].run(&["sessions", "end", &id]);
    let ended = Instant::now();
    assert!(said.exit == 0 && said.err.contains("1 session and 0 sign-ins ended"), "{said}");
    let mut rest = String::new();
    stream.read_to_string(&mut rest).expect("the stream ends");
    assert!(ended.elapsed() < SECONDS_5, "{:?}", ended.elapsed());
    assert!(within(SECONDS_5.saturating_sub(ended.elapsed()), || at_b.legacy(&session, "ping", json!({})).status == 404));
    let recorded = || pair.houses.iter().any(|house| house.record().contains("sessions_ended"));
    assert!(within(SECONDS_5, recorded));
    pair.close();
}

/// The state directory of a replica, with the key that an administrator brought.
fn house_key(house: &House, key: &[u8]) {
    let path = house.file("state/store-key", "");
    std::fs::write(path, key).expect("written");
}

/// All at once, half of them at each replica.
fn race(clients: &[Client; 2], act: impl Fn(&Client) -> Reply + Send + Sync + 'static) -> Vec<Reply> {
    const RACERS: usize = 12;
    let (start, act) = (Arc::new(Barrier::new(RACERS)), Arc::new(act));
    let racers: Vec<_> = (0..RACERS)
        .map(|n| {
            let (start, act, client) = (Arc::clone(&start), Arc::clone(&act), clients[n % 2].clone());
            std::thread::spawn(move || {
                start.wait();
                act(&client)
            })
        })
        .collect();
    racers.into_iter().map(|racer| racer.join().expect("no panic")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flt_09_a_state_raced_at_two_replicas_is_used_once() {
    let Some(pair) = Pair::open("").await else { return };
    let (alice, bob) = (pair.user("alice"), pair.user("bob"));
    for round in 0..8 {
        let asked = alice[round % 2].call("ask", json!({ "message": "m" }));
        let state = asked.result()["requestState"].as_str().expect("a state").to_owned();
        pair.lax.forget();
        let answer = json!({
            "name": "ask", "arguments": { "message": "m" }, "requestState": state,
            "inputResponses": { "name": { "action": "accept", "content": { "name": "alice" } } },
        });
        assert_eq!(bob[round % 2].modern("tools/call", answer.clone()).code(), -32602, "it is hers at both");
        let again = answer.clone();
        let replies = race(&alice, move |client| client.modern("tools/call", answer.clone()));
        let won = replies.iter().filter(|reply| reply.is_good()).count();
        assert_eq!(won, 1, "round {round}: {replies:?}");
        assert!(replies.iter().all(|reply| reply.is_good() || reply.code() == -32602), "{replies:?}");
        assert_eq!(pair.lax.seen_method("tools/call").len(), 1, "and it had one effect");
        for client in &alice {
            assert_eq!(client.modern("tools/call", again.clone()).code(), -32602, "nor later");
        }
    }
    pair.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flt_09_the_cap_on_sessions_holds_over_two_replicas() {
    let Some(pair) = Pair::open("[limits]\nsessions_per_user = 5\n").await else { return };
    let alice = pair.user("alice");
    let replies = race(&alice, Client::initialize);
    let opened = replies.iter().filter(|reply| reply.field("mcp-session-id").is_some()).count();
    assert_eq!(opened, 5, "{replies:?}");
    assert!(replies.iter().all(|reply| reply.status != 500), "{replies:?}");
    pair.close();
}

/// Calls in turn at both, until both refuse; how many were answered.
fn exhausted(clients: &[Client; 2], most: usize, act: impl Fn(&Client) -> Reply) -> usize {
    let (mut good, mut refused) = (0, 0);
    for turn in 0..most * 2 + 40 {
        let reply = act(&clients[turn % 2]);
        match reply.status {
            200 if reply.is_good() => good += 1,
            429 => {
                refused += 1;
                assert!(reply.field("retry-after").is_some_and(|wait| wait.parse().is_ok_and(|wait: u64| wait > 60)), "{reply:?}");
            }
            _ => panic!("{reply:?}"),
        }
    }
    assert!(refused >= 40, "{good} and {refused}");
    good
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pol_07_budgets_are_those_of_all_replicas_together() {
    let limits = "[limits]\nper_user = \"128/h\"\nper_tool = { \"fixture__echo\" = \"10/h\" }\n";
    let Some(pair) = Pair::open(limits).await else { return };
    let (alice, bob) = (pair.user("alice"), pair.user("bob"));
    let echo = |client: &Client| client.call("echo", json!({ "text": "x" }));
    assert_eq!(exhausted(&alice, 10, echo), 10, "one by one, whichever replica is asked");
    assert_eq!(pair.lax.seen_method("tools/call").len(), 10, "and no more had an effect");
    assert!(bob.iter().all(|client| client.call("echo", json!({ "text": "x" })).is_good()), "bob has his own");
    // Of hers 60 are gone. A session, or another key, gives her no more.
    let another = pair.user("alice");
    let left = exhausted(&another, 128 - 60, |client| client.modern("tools/list", json!({})));
    assert!((128 - 60 - 4..=128 - 60).contains(&left), "a replica may keep a lease of four: {left}");
    for client in alice.iter().chain(&another) {
        assert_eq!(client.initialize().status, 429);
    }
    let refused = pair.houses.each_ref().map(|house| house.record().contains("rate_limited"));
    assert_eq!(refused, [true, true], "on the record of each");
    pair.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pol_07_a_replica_without_its_database_keeps_its_own_limits() {
    let Some(pair) = Pair::open("[limits]\nper_tool = { \"fixture__echo\" = \"10/h\" }\n").await else { return };
    let alice = pair.user("alice");
    for client in &alice {
        assert!(client.call("echo", json!({ "text": "x" })).is_good());
    }
    pair.proxy.set(Mode::Cut);
    // B believes what it read for five seconds, and counts by itself so long; afterwards it knows nobody.
    let replies: Vec<Reply> = (0..30).map(|_| alice[1].call("echo", json!({ "text": "x" }))).collect();
    assert!(replies.iter().all(|reply| matches!(reply.status, 200 | 429 | 503)), "{replies:?}");
    assert!(replies.iter().filter(|reply| reply.is_good()).count() < 10, "its own limit: {replies:?}");
    assert!(alice[0].call("echo", json!({ "text": "x" })).is_good(), "A goes on");
    pair.proxy.set(Mode::Pass);
    pair.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ses_02_a_session_of_one_replica_is_its_owners_at_the_other() {
    let Some(pair) = Pair::open("").await else { return };
    let (alice, bob) = (pair.user("alice"), pair.user("bob"));
    let session = alice[0].session();
    let echo = json!({ "name": "echo", "arguments": { "text": "x" } });
    for client in &alice {
        let reply = client.legacy(&session, "tools/call", echo.clone());
        assert!(reply.is_good(), "served at both: {reply:?}");
    }
    let upstream: Vec<_> =
        pair.lax.seen_method("tools/call").iter().map(|heard| heard.field("mcp-session-id").map(str::to_owned)).collect();
    assert!(upstream.len() == 2 && upstream[0].is_some() && upstream[0] == upstream[1], "one session of the server: {upstream:?}");
    for client in &bob {
        assert_eq!(client.legacy(&session, "tools/call", echo.clone()).status, 404, "and nobody else's");
        assert_eq!(client.end(&session).status, 404);
    }
    let task = alice[0].call("task", json!({})).result()["taskId"].as_str().expect("a task").to_owned();
    let about = |client: &Client| client.modern("tasks/get", json!({ "taskId": task }));
    assert_eq!(about(&alice[1]).result()["taskId"], task.as_str(), "a task, too");
    assert_eq!((about(&bob[0]).code(), about(&bob[1]).code()), (-32602, -32602));
    let mut stream = alice[1].stream(&session);
    // Ended at one, ended at the other: what B believes of a session it asks the database for again within five seconds.
    assert_eq!(alice[0].end(&session).status / 100, 2);
    assert_eq!(alice[0].legacy(&session, "ping", json!({})).status, 404);
    let gone = within(SECONDS_5 + Duration::from_secs(1), || alice[1].legacy(&session, "ping", json!({})).status == 404);
    assert!(gone, "a session that was ended at A is served at B");
    pair.lax.forget();
    assert_eq!(alice[1].legacy(&session, "tools/call", echo).status, 404);
    assert!(pair.lax.seen_method("tools/call").is_empty());
    // Nothing tells B; its stream looks every ten seconds.
    stream.get_ref().set_read_timeout(Some(Duration::from_secs(15))).expect("a limit");
    std::io::Read::read_to_end(&mut stream, &mut Vec::new()).expect("the stream at B ends");
    pair.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flt_10_a_revocation_at_one_replica_counts_at_the_other_within_five_seconds() {
    let Some(pair) = Pair::open("").await else { return };
    let (alice, bob) = (pair.user("alice"), pair.user("bob"));
    let session = alice[1].session();
    let mut stream = alice[1].stream(&session);
    for client in alice.iter().chain(&bob) {
        assert!(client.call("echo", json!({ "text": "x" })).is_good());
    }
    pair.revoke("alice");
    let revoked = Instant::now();
    for client in &alice {
        assert!(within(SECONDS_5.saturating_sub(revoked.elapsed()), || client.call("echo", json!({})).status == 401));
    }
    assert!(revoked.elapsed() < SECONDS_5, "{:?}", revoked.elapsed());
    pair.lax.forget();
    for client in &alice {
        assert_eq!(client.call("echo", json!({})).status, 401, "and stays");
        assert_eq!(client.legacy(&session, "tools/call", json!({ "name": "echo" })).status, 401);
    }
    assert!(pair.lax.seen_method("tools/call").is_empty());
    let mut rest = String::new();
    std::io::Read::read_to_string(&mut stream, &mut rest).expect("the stream ends");
    assert!(revoked.elapsed() < Duration::from_secs(30), "{:?}", revoked.elapsed());
    assert!(bob.iter().all(|client| client.call("echo", json!({ "text": "x" })).is_good()), "others go on");
    pair.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flt_10_a_replica_that_is_cut_off_serves_nobody_and_then_knows_what_it_missed() {
    let Some(pair) = Pair::open("").await else { return };
    let (alice, bob) = (pair.user("alice"), pair.user("bob"));
    let asked = bob[1].call("ask", json!({ "message": "m" }));
    let state = asked.result()["requestState"].as_str().expect("a state").to_owned();
    let answer = json!({
        "name": "ask", "arguments": { "message": "m" }, "requestState": state,
        "inputResponses": { "name": { "action": "accept", "content": { "name": "bob" } } },
    });
    for client in alice.iter().chain(&bob) {
        assert!(client.call("echo", json!({ "text": "x" })).is_good());
    }
    pair.proxy.set(Mode::Cut);
    let cut = Instant::now();
    pair.revoke("alice");
    assert!(within(SECONDS_5, || alice[0].call("echo", json!({})).status == 401));
    assert_eq!(bob[1].modern("tools/call", answer.clone()).status, 503, "what counts once is not used without the database");
    assert!(bob[0].modern("tools/call", answer.clone()).is_good(), "A goes on");
    // What B read before is believed five seconds, whatever happens elsewhere.
    for client in [&alice[1], &bob[1]] {
        assert!(within(Duration::from_secs(8).saturating_sub(cut.elapsed()), || client.call("echo", json!({})).status == 503));
        assert_eq!(client.initialize().status, 503);
    }
    pair.lax.forget();
    assert!(within(Duration::from_secs(2), || alice[1].call("echo", json!({})).status == 503 && bob[1].get("/readyz") == 503));
    assert!(pair.lax.seen_method("tools/call").is_empty());
    pair.proxy.set(Mode::Pass);
    let healed = within(SECONDS_5 * 2, || {
        let status = alice[1].call("echo", json!({})).status;
        assert!(matches!(status, 401 | 503), "she was revoked meanwhile: {status}");
        status == 401 && bob[1].call("echo", json!({ "text": "x" })).is_good()
    });
    assert!(healed);
    assert_eq!(bob[1].modern("tools/call", answer).code(), -32602, "used at A");
    pair.close();
}
