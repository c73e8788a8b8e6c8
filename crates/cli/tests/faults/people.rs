//! RS-08: somebody is taken out by the command, while a gateway runs.

use super::client::Client;
use super::house::House;
use super::within;
use doorward_testkit::lax::Lax;
use doorward_testkit::lax::quirk::{Behaviour, Quirk};
use serde_json::{Value, json};
use std::io::Read as _;
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rs_08_a_user_who_is_disabled_by_the_command_is_out_in_time_and_comes_back() {
    let lax = Lax::start(Behaviour::plain().with(Quirk::Modern)).await.expect("an upstream");
    let house = House::new(&lax.url());
    let gateway = house.serve();
    let key =
        |user: &str| Client::new(&gateway.url, &house.run(&["apikey", "create", "--user", user, "--grant", "read,write,destructive"]).out);
    let (alice, second, bob) = (key("alice"), key("alice"), key("bob"));
    let echo = |client: &Client| client.call("echo", json!({ "text": "x" })).status;
    assert_eq!([&alice, &second, &bob].map(echo), [200; 3]);
    let session = alice.session();
    let mut stream = alice.stream(&session);
    let said = house.run(&["user", "disable", "alcie"]);
    assert!(said.exit == 2 && said.err.contains("there is no such user"), "{said}");
    assert_eq!(echo(&alice), 200, "nobody was");
    let said = house.run(&["user", "disable", "alice"]);
    let disabled = Instant::now();
    assert!(said.exit == 0 && said.err.contains("local/alice is disabled"), "{said}");
    for client in [&alice, &second] {
        assert!(within(Duration::from_secs(5).saturating_sub(disabled.elapsed()), || echo(client) == 401), "every key of hers");
    }
    lax.forget();
    assert_eq!(alice.legacy(&session, "tools/call", json!({ "name": "echo" })).status, 401);
    assert_eq!((echo(&second), echo(&bob)), (401, 200));
    assert_eq!(lax.seen_method("tools/call").len(), 1, "bob's");
    let mut rest = String::new();
    stream.read_to_string(&mut rest).expect("the stream ends");
    assert!(disabled.elapsed() < Duration::from_secs(30), "{:?}", disabled.elapsed());
    // A key that is made meanwhile opens nothing.
    let late = key("alice");
    assert_eq!(echo(&late), 401);
    let listed: Value = serde_json::from_str(&house.run(&["user", "list", "--json"]).out).expect("JSON");
    let disabled: Vec<bool> = listed["users"].as_array().expect("users").iter().map(|user| user["disabled"].is_string()).collect();
    assert_eq!(disabled, [true, false], "{listed}");
    assert!(house.run(&["user", "list"]).out.contains("local/alice  disabled since 20"));
    for _ in 0..2 {
        let said = house.run(&["user", "enable", "alice"]);
        assert!(said.exit == 0 && said.err.contains("local/alice may act again"), "{said}");
    }
    for client in [&alice, &late] {
        assert!(within(Duration::from_secs(5), || echo(client) == 200), "she is back");
    }
    assert_eq!(house.run(&["user", "enable", "alcie"]).exit, 2);
    gateway.stop();
    let record = house.record();
    assert!(record.contains("user_disabled"), "the record says why");
}
