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

/// The server is there for a group, one of its tools for another; alice and bob are in both, and alice leaves.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rs_08_who_leaves_a_group_loses_what_it_gave_on_live_keys_and_streams_in_time() {
    let lax = Lax::start(Behaviour::plain().with(Quirk::Modern)).await.expect("an upstream");
    let house = House::empty();
    let server = format!("[server.fixture]\nurl = \"{}\"\nvisible_to = [\"group:eng\"]\n", lax.url());
    house.file("doorward.toml", &format!("[listen]\naddress = \"127.0.0.1:0\"\n\n[policy]\nfiles = [\"policies/*.cedar\"]\n\n{server}"));
    let rules = "@id(\"eng\") permit (principal in Group::\"eng\", action, resource in Server::\"fixture\");\n\
                 @id(\"leads\") forbid (principal, action, resource == Tool::\"fixture__echo\")\n\
                 unless { principal in Group::\"leads\" };\n";
    house.file("policies/rules.cedar", rules);
    let gateway = house.serve();
    let key = |user: &str| {
        let groups = ["--group", "eng", "--group", "leads", "--group", "staff"];
        let said = house.run(&[&["apikey", "create", "--user", user, "--grant", "read,write,destructive"], groups.as_slice()].concat());
        Client::new(&gateway.url, &said.out)
    };
    let (alice, second, bob) = (key("alice"), key("alice"), key("bob"));
    let echo = |client: &Client| client.call("echo", json!({ "text": "x" })).is_good();
    let listed = |client: &Client| client.modern("tools/list", json!({})).body.contains("\"echo\"");
    assert_eq!([&alice, &second, &bob].map(|client| (echo(client), listed(client))), [(true, true); 3]);
    let groups = |arguments: &[&str]| house.run(&[&["user", "groups"], arguments].concat());
    for (wrong, says) in [
        (["alcie", "--remove", "leads"].as_slice(), "there is no such user"),
        (&["alice", "--add", "x", "--remove", "x"], "added and removed"),
        (&["alcie", "--add", "leads"], "doorward apikey create --user NAME makes one"),
        (&["alice", "--add", ""], "\"\" is no name of a group"),
        (&["alice", "--add", "fine", "--add", "b\nd"], "\"b\\u{a}d\" is no name of a group"),
    ] {
        let said = groups(wrong);
        assert!(said.exit == 2 && said.err.contains(says), "{said}");
    }
    // A key is no way to change them, neither to take away nor to give; the same ones in another order are no change.
    let keys = || house.run(&["apikey", "list", "--json"]).out.matches("\"id\"").count();
    let before = keys();
    for wanted in [["--group", "eng"].as_slice(), &["--group", "eng", "--group", "leads", "--group", "staff", "--group", "admins"]] {
        let said = house.run(&[&["apikey", "create", "--user", "alice"], wanted].concat());
        assert!(said.exit == 2 && said.err.contains("in other groups than these") && said.out.is_empty(), "{said}");
    }
    assert_eq!((groups(&["alice"]).out.as_str(), keys()), ("eng\nleads\nstaff\n", before), "nothing changed, and no key was made");
    let same = ["--group", "staff", "--group", "leads", "--group", "eng"];
    let said = house.run(&[&["apikey", "create", "--user", "alice"], same.as_slice()].concat());
    assert_eq!(said.exit, 0, "{said}");
    assert!(echo(&alice), "nobody left anything");
    // One group less: one tool less, in calls and lists, on every key, at once.
    let said = groups(&["alice", "--remove", "leads"]);
    let left = Instant::now();
    assert!(said.exit == 0 && said.out == "eng\nstaff\n" && said.err.contains("within 5 s"), "{said}");
    for client in [&alice, &second] {
        assert!(within(Duration::from_secs(5).saturating_sub(left.elapsed()), || !echo(client)), "every key of hers");
        assert!(!listed(client), "what she may not call she does not see");
    }
    assert!(echo(&bob) && listed(&bob));
    // The other group: the server is not there any more, neither for calls nor for what is open.
    let session = alice.session();
    let mut stream = alice.stream(&session);
    let said = groups(&["alice", "--remove", "eng"]);
    let left = Instant::now();
    assert_eq!((said.exit, said.out.as_str()), (0, "staff\n"), "{said}");
    let list = |client: &Client| client.modern("tools/list", json!({})).status;
    for client in [&alice, &second] {
        assert!(within(Duration::from_secs(5).saturating_sub(left.elapsed()), || list(client) == 404), "every key of hers");
    }
    lax.forget();
    assert_eq!(alice.legacy(&session, "tools/call", json!({ "name": "echo" })).status, 404);
    assert_eq!(alice.initialize().status, 404, "no new session either");
    let mut rest = String::new();
    stream.read_to_string(&mut rest).expect("the stream ends");
    assert!(left.elapsed() < Duration::from_secs(30), "{:?}", left.elapsed());
    assert_eq!((lax.seen_method("tools/call").len(), echo(&bob)), (0, true));
    // A key that is made meanwhile brings no groups of its own, and who is put back is back.
    let said = house.run(&["apikey", "create", "--user", "alice", "--grant", "read,write,destructive"]);
    let late = Client::new(&gateway.url, &said.out);
    assert_eq!(list(&late), 404);
    let said = groups(&["alice", "--add", "eng", "--add", "leads", "--json"]);
    let document: Value = serde_json::from_str(&said.out).expect("JSON");
    assert_eq!(document["groups"], json!(["eng", "leads", "staff"]), "{said}");
    for client in [&alice, &late] {
        assert!(within(Duration::from_secs(5), || echo(client)), "she is back");
    }
    gateway.stop();
}
