//! FLT-03: a database that is slow, silent, cut off, read-only, emptied or half open. Nobody is served without it, everybody is answered
//! within a bound, and it goes on by itself.

use super::client::{Client, Reply};
use super::house::{Gateway, House};
use super::postgres::Database;
use super::proxy::{Mode, Proxy};
use super::within;
use doorward_testkit::lax::Lax;
use doorward_testkit::lax::quirk::{Behaviour, Quirk};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A gateway whose database is behind a proxy.
struct Stage {
    house: House,
    gateway: Gateway,
    lax: Lax,
    proxy: Proxy,
    database: Database,
}

/// The longest that anybody waits: for a part of a budget, for a connection, and for an answer on it.
const BOUND: Duration = Duration::from_secs(17);

impl Stage {
    async fn open() -> Option<Self> {
        let database = Database::new()?;
        let proxy = Proxy::start(database.address());
        let lax = Lax::start(Behaviour::plain().with(Quirk::Modern)).await.expect("an upstream");
        let house = House::empty();
        let toml = format!(
            "[listen]\naddress = \"127.0.0.1:0\"\n[store]\nurl = \"{}\"\n[limits]\nper_user = \"600000/m\"\nsessions = 20000\nsessions_per_user = 10000\n\
             [server.fixture]\nurl = \"{}\"\n",
            database.url_at(&proxy.address),
            lax.url()
        );
        house.file("doorward.toml", &toml);
        let gateway = house.serve();
        lax.forget();
        Some(Self { house, gateway, lax, proxy, database })
    }

    /// Somebody whom the gateway has not looked up yet.
    fn stranger(&self, name: &str) -> Client {
        let said = self.house.run(&["apikey", "create", "--user", name, "--label", name, "--grant", "read,write,destructive"]);
        assert_eq!(said.exit, 0, "{said}");
        Client::new(&self.gateway.url, &said.out)
    }

    fn effects(&self) -> usize {
        self.lax.seen_method("tools/call").len()
    }

    fn close(self) {
        self.gateway.stop();
        let said = self.house.run(&["audit", "verify", "--json"]);
        assert!(said.exit == 0 && said.out.contains("\"ok\":true"), "{said}");
    }
}

/// Many at once.
fn all(clients: &[Client], act: impl Fn(&Client) -> Reply + Send + Sync + 'static) -> Vec<Reply> {
    let act = Arc::new(act);
    let at_once: Vec<JoinHandle<Reply>> = clients
        .iter()
        .cloned()
        .map(|client| {
            let act = Arc::clone(&act);
            std::thread::spawn(move || act(&client))
        })
        .collect();
    at_once.into_iter().map(|one| one.join().expect("answered")).collect()
}

fn echo(client: &Client) -> Reply {
    client.call("echo", json!({ "text": "x" }))
}

/// Nobody is served without the database, everybody is answered, and it goes on by itself.
async fn closes_and_comes_back(mode: Mode) {
    let Some(stage) = Stage::open().await else { return };
    let known = stage.stranger("known");
    let strangers: Vec<Client> = (0..6).map(|n| stage.stranger(&format!("stranger{n}"))).collect();
    assert!(echo(&known).is_good());
    stage.proxy.set(mode);
    let opened = stage.proxy.opened();
    stage.lax.forget();
    for reply in all(&strangers, echo) {
        assert!(reply.status == 503 && reply.took < BOUND, "{reply:?}");
        assert!(!reply.body.contains("127.0.0.1") && !reply.body.contains("sql"), "{reply:?}");
    }
    // Whom it knew is believed for five seconds, no longer.
    assert!(within(Duration::from_secs(8), || echo(&known).status == 503));
    let health = Instant::now();
    assert_eq!((known.get("/healthz"), known.get("/readyz")), (200, 503));
    assert!(health.elapsed() < Duration::from_secs(1), "{:?}", health.elapsed());
    stage.lax.forget();
    for reply in all(&strangers, Client::initialize) {
        assert!(reply.status == 503 && reply.took < BOUND, "{reply:?}");
    }
    assert_eq!(stage.effects(), 0, "nothing happens for nobody");
    assert!(stage.proxy.opened() - opened < 200, "{} connections", stage.proxy.opened() - opened);
    stage.proxy.set(Mode::Pass);
    assert!(within(Duration::from_secs(15), || echo(&known).is_good() && known.get("/readyz") == 200), "not back");
    for reply in all(&strangers, echo) {
        assert!(reply.is_good() && reply.took < BOUND, "{reply:?}");
    }
    assert!(within(BOUND, || stage.proxy.open() <= 20), "{} connections are open", stage.proxy.open());
    stage.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flt_03_cut_off_from_its_database_nobody_is_served_and_it_comes_back() {
    closes_and_comes_back(Mode::Cut).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flt_03_with_a_silent_database_nobody_is_served_and_it_comes_back() {
    closes_and_comes_back(Mode::Silent).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flt_03_with_a_dripping_database_nobody_is_served_and_it_comes_back() {
    closes_and_comes_back(Mode::Drip).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flt_03_a_slow_database_makes_everything_slow_and_nothing_wrong() {
    let Some(stage) = Stage::open().await else { return };
    let strangers: Vec<Client> = (0..12).map(|n| stage.stranger(&format!("slow{n}"))).collect();
    // Each way: with the first, a call waits for several answers; with the second, nobody waits for even one.
    for (wait, works) in [(Duration::from_millis(150), true), (Duration::from_secs(5), false)] {
        stage.proxy.set(Mode::Slow(wait));
        stage.lax.forget();
        let (whom, old) = if works { strangers.split_at(6) } else { (&strangers[6..], &strangers[..6]) };
        let asked = std::thread::spawn({
            let whom = whom.to_vec();
            move || all(&whom, echo)
        });
        let health = Instant::now();
        assert_eq!(old[0].get("/healthz"), 200);
        assert!(health.elapsed() < Duration::from_secs(1), "{:?}", health.elapsed());
        for reply in asked.join().expect("answered") {
            assert!(reply.took < BOUND && if works { reply.is_good() } else { reply.status == 503 }, "{wait:?}: {reply:?}");
        }
        assert_eq!(stage.effects(), if works { 6 } else { 0 });
    }
    stage.proxy.set(Mode::Pass);
    assert!(within(Duration::from_secs(10), || all(&strangers, echo).iter().all(Reply::is_good)));
    stage.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flt_03_connections_that_nobody_answers_any_more_hold_nobody_up() {
    let Some(stage) = Stage::open().await else { return };
    let workers: Vec<Client> = (0..8).map(|n| stage.stranger(&format!("worker{n}"))).collect();
    let (halt, outages) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
    let loads: Vec<JoinHandle<Duration>> = workers
        .iter()
        .cloned()
        .map(|client| {
            let (halt, outages) = (Arc::clone(&halt), Arc::clone(&outages));
            std::thread::spawn(move || {
                let (mut longest, begun) = (Duration::ZERO, Instant::now());
                while !halt.load(Ordering::SeqCst) && begun.elapsed() < Duration::from_secs(90) {
                    // Opening a session is a transaction: some of them are under way whenever the connections are forgotten.
                    let before = outages.load(Ordering::SeqCst);
                    let reply = client.initialize();
                    assert!(matches!(reply.status, 200 | 503), "{reply:?}");
                    // Whoever is under way when the next one begins waits for both.
                    let met = 1 + outages.load(Ordering::SeqCst) - before;
                    longest = longest.max(reply.took / met);
                }
                longest
            })
        })
        .collect();
    for _ in 0..3 {
        assert!(within(Duration::from_secs(20), || workers[0].initialize().status == 200), "it works again");
        outages.fetch_add(1, Ordering::SeqCst);
        stage.proxy.forget();
    }
    assert!(within(Duration::from_secs(30), || workers[0].initialize().status == 200), "the old connections are given up");
    halt.store(true, Ordering::SeqCst);
    for load in loads {
        let longest = load.join().expect("each was answered");
        assert!(longest < BOUND, "somebody waited {longest:?}");
    }
    assert!(within(Duration::from_secs(10), || workers[0].get("/readyz") == 200));
    assert!(stage.proxy.opened() < 200, "{} connections", stage.proxy.opened());
    let stopping = Instant::now();
    stage.close();
    assert!(stopping.elapsed() < Duration::from_secs(15), "what was forgotten holds up no end: {:?}", stopping.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flt_03_a_read_only_or_emptied_database_opens_nothing() {
    let Some(stage) = Stage::open().await else { return };
    let alice = stage.stranger("alice");
    let session = alice.session();
    let state = || alice.call("ask", json!({ "message": "m" })).result()["requestState"].as_str().expect("a state").to_owned();
    let retry = |state: &str| {
        alice.modern(
            "tools/call",
            json!({
                "name": "ask", "arguments": { "message": "m" }, "requestState": state,
                "inputResponses": { "name": { "action": "accept", "content": { "name": "alice" } } },
            }),
        )
    };
    let kept = state();
    let name = &stage.database.name;
    // As after a failover to a standby: what reads works, what must count once does not.
    stage.database.manage(&format!("ALTER DATABASE {name} SET default_transaction_read_only = on"));
    stage.proxy.set(Mode::Cut);
    stage.proxy.set(Mode::Pass);
    assert!(within(Duration::from_secs(10), || alice.get("/readyz") == 200));
    stage.lax.forget();
    let reply = retry(&kept);
    assert_eq!((reply.status, stage.effects()), (503, 0), "{reply:?}");
    assert!(echo(&alice).is_good() && alice.legacy(&session, "ping", json!({})).status == 200, "what only reads goes on");
    stage.database.manage(&format!("ALTER DATABASE {name} SET default_transaction_read_only = off"));
    stage.proxy.set(Mode::Cut);
    stage.proxy.set(Mode::Pass);
    assert!(within(Duration::from_secs(10), || retry(&kept).is_good()), "the state was not lost");
    assert_eq!(retry(&kept).code(), -32602, "nor does it work twice");
    // A replica without anything in it: no key, no approval, no session counts.
    stage.database.run("TRUNCATE api_keys, sessions, pins, consumed");
    stage.lax.forget();
    assert!(within(Duration::from_secs(6), || matches!(echo(&alice).status, 401 | 503)));
    assert!(matches!(alice.legacy(&session, "tools/call", json!({ "name": "echo" })).status, 401 | 404 | 503));
    let effects = stage.effects();
    assert!(within(Duration::from_secs(6), || echo(&alice).status == 401));
    assert!(effects <= 130 && stage.effects() == effects, "nothing more once it was noticed");
    stage.close();
}

/// A file is for one gateway, which believes that nobody else who serves changes it.
#[test]
fn flt_09_two_gateways_do_not_serve_over_one_file() {
    let houses = [House::empty(), House::empty()];
    let database = houses[0].path("shared.db");
    for house in &houses {
        house.file("doorward.toml", &format!("[listen]\naddress = \"127.0.0.1:0\"\n[store]\nurl = \"sqlite:{}\"\n", database.display()));
    }
    let first = houses[0].listen_with(|_| ());
    let key = std::fs::read(houses[0].path("state/store-key")).expect("the key of the store");
    std::fs::write(houses[1].file("state/store-key", ""), key).expect("written");
    let second = houses[1].run(&["serve"]);
    assert!(second.exit == 4 && second.to_string().contains("another gateway serves over"), "{second}");
    assert_eq!(houses[0].run(&["user", "list"]).exit, 0, "commands work beside it");
    first.stop();
    let again = houses[1].listen_with(|_| ());
    again.stop();
}
