//! FLT-05: many who only wait. That all hear, and that nothing of them stays; memory is measured by `bench/run`.

use super::client::Client;
use super::house::{Gateway, House};
use super::within;
use doorward_testkit::lax::Lax;
use doorward_testkit::lax::quirk::Behaviour;
use serde_json::json;
use std::io::BufRead as _;
use std::time::{Duration, Instant};

const MANY: usize = 300;

fn descriptors(gateway: &Gateway) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", gateway.id())).expect("it runs").count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flt_05_many_idle_streams_all_hear_and_leave_nothing_behind() {
    let lax = Lax::start(Behaviour::plain()).await.expect("an upstream");
    let house = House::empty();
    let limits = "[limits]\nper_user = \"600000/m\"\nstreams_per_user = 1000\nsessions_per_user = 1000\n";
    house.file("doorward.toml", &format!("[listen]\naddress = \"127.0.0.1:0\"\n[server.fixture]\nurl = \"{}\"\n{limits}", lax.url()));
    let gateway = house.serve();
    if std::fs::read_dir(format!("/proc/{}/fd", gateway.id())).is_err() {
        // A gateway hides from its own user (STD-04); only root can count what it holds.
        return eprintln!("not tested: needs root");
    }
    let alice = Client::new(&gateway.url, &house.run(&["apikey", "create", "--grant", "read"]).out);
    let warm = alice.session();
    drop(alice.stream(&warm));
    alice.end(&warm);
    let before = descriptors(&gateway);
    let sessions: Vec<String> = (0..MANY).map(|_| alice.session()).collect();
    let mut open: Vec<_> = sessions.iter().map(|session| alice.stream(session)).collect();
    let held = descriptors(&gateway) - before;
    assert!((MANY * 2 - 20..=MANY * 2 + 20).contains(&held), "one connection to each client and one to the server: {held}");
    lax.push(json!({ "jsonrpc": "2.0", "method": "notifications/tools/list_changed" }));
    let begun = Instant::now();
    for stream in &mut open {
        let mut lines = stream.lines().map_while(Result::ok);
        assert!(lines.any(|line| line.starts_with("data: ") && line.contains("list_changed")), "each hears of it");
    }
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    // They go without a word. What is open to the server waits with the session: its client may come back.
    drop(open);
    assert!(within(Duration::from_secs(20), || descriptors(&gateway) <= before + MANY + 20), "{}", descriptors(&gateway));
    assert_eq!(alice.legacy(&sessions[0], "ping", json!({})).status, 200, "others are served meanwhile");
    for session in &sessions {
        assert_eq!(alice.end(session).status / 100, 2);
    }
    assert!(within(Duration::from_secs(20), || descriptors(&gateway) <= before + 20), "{} and {before}", descriptors(&gateway));
    let closed = || house.record().lines().filter(|line| line.contains("\"kind\":\"closed\"")).count();
    assert!(within(Duration::from_secs(10), || closed() >= MANY), "each end is on the record: {}", closed());
    gateway.stop();
    let said = house.run(&["audit", "verify", "--json"]);
    assert!(said.exit == 0 && said.out.contains("\"open\":0"), "{said}");
}
