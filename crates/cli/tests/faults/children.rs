//! Real children behind the real program (STD): which run at all, what they are given, whose they are, and what their ends cost.
#![expect(clippy::needless_pass_by_value, reason = "callers write the JSON in place")]

use super::client::{Client, Reply};
use super::house::{Gateway, House};
use super::within;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::{Duration, Instant};

const FAMILY: &str = include_str!("family.py");

/// A gateway before the family of servers in `family.py`.
struct Stage {
    house: House,
    gateway: Gateway,
    script: String,
}

impl Stage {
    fn open(more: &str) -> Self {
        let house = House::empty();
        let script = house.file("family.py", FAMILY).display().to_string();
        let command = format!("[server.fixture]\ncommand = [\"/usr/bin/python3\", \"{script}\"]\ntimeout = \"8s\"\n{more}\n");
        house.file("doorward.toml", &format!("[listen]\naddress = \"127.0.0.1:0\"\n{command}"));
        let said = house.run(&["server", "approve", "fixture", "--command", "--all"]);
        assert_eq!(said.exit, 0, "{said}");
        let gateway = house.listen();
        Self { house, gateway, script }
    }

    fn user(&self, name: &str) -> Client {
        let said = self.house.run(&["apikey", "create", "--user", name, "--label", name, "--grant", "read"]);
        assert_eq!(said.exit, 0, "{said}");
        Client::new(&self.gateway.url, &said.out)
    }
}

/// How many processes have this text in their arguments; the launcher has it neither before nor after.
fn running(text: &str) -> usize {
    let processes = std::fs::read_dir("/proc").expect("processes").filter_map(Result::ok);
    let arguments = processes.map(|process| std::fs::read(process.path().join("cmdline")).unwrap_or_default());
    arguments.filter(|arguments| String::from_utf8_lossy(arguments).contains(text)).count()
}

fn ask(client: &Client, session: &str, tool: &str, arguments: Value) -> Reply {
    client.legacy(session, "tools/call", json!({ "name": tool, "arguments": arguments }))
}

fn text(reply: &Reply) -> String {
    reply.result().pointer("/content/0/text").and_then(Value::as_str).unwrap_or_default().to_owned()
}

#[test]
fn std_01_no_request_leads_to_a_process_that_nobody_approved() {
    let house = House::empty();
    let ran = |name: &str| -> PathBuf { house.path(name) };
    let touch = |name: &str| format!("command = [\"/usr/bin/touch\", \"{}\"]", ran(name).display());
    let configured = |line: &str| format!("[listen]\naddress = \"127.0.0.1:0\"\n[server.fixture]\n{line}\n");
    house.file("doorward.toml", &configured(&touch("ran")));
    let key = house.run(&["apikey", "create", "--grant", "read,write,destructive"]).out;
    let try_all = |gateway: &Gateway| {
        let client = Client::new(&gateway.url, &key);
        let other = json!({ "command": ["/usr/bin/touch", ran("asked")], "args": [ran("asked")], "env": { "PATH": "/" }, "cwd": "/" });
        let meta = json!({ "name": "x", "arguments": other, "_meta": other, "command": ran("asked"), "env": {} });
        for method in ["tools/call", "tools/list", "server/discover", "server/add", "config/import", "test_connection"] {
            assert!(!client.modern(method, meta.clone()).is_good(), "{method}");
        }
        assert!(!client.initialize().is_good());
        for path in
            ["/admin/fixture", "/api/v1/servers", "/api/v1/changes", "/servers", "/api/servers/test", "/k/fixture/mcp/test", "/mcp.json"]
        {
            let reply = client.get(path);
            assert!(matches!(reply, 401 | 404 | 405), "{path}: {reply}");
        }
        assert!(!ran("ran").exists() && !ran("asked").exists() && !ran("other").exists());
    };
    let gateway = house.listen();
    try_all(&gateway);
    gateway.stop();
    // Approved is one command, not the server: with another argument it is as it was.
    house.run(&["server", "approve", "fixture", "--command"]);
    std::fs::remove_file(ran("ran")).expect("it ran once it was approved");
    house.file("doorward.toml", &configured(&touch("other")));
    let gateway = house.listen();
    try_all(&gateway);
    gateway.stop();
    house.file("doorward.toml", &configured(&format!("{}\nenv = {{ LD_PRELOAD = \"plain:/x.so\" }}", touch("ran"))));
    let gateway = house.listen();
    try_all(&gateway);
    gateway.stop();
    // The approved one runs, and stood on the record before.
    house.file("doorward.toml", &configured(&touch("ran")));
    let gateway = house.listen();
    let client = Client::new(&gateway.url, &key);
    client.initialize();
    assert!(within(Duration::from_secs(5), || ran("ran").exists()));
    assert!(house.record().lines().any(|line| line.contains("\"intent\"") && line.contains("initialize")), "{}", house.record());
    gateway.stop();
}

#[test]
fn std_03_a_child_of_a_busy_gateway_has_nothing_of_it() {
    let house = House::empty();
    let script = house.file("family.py", FAMILY).display().to_string();
    let command = format!("[server.fixture]\ncommand = [\"/usr/bin/python3\", \"{script}\"]\nenv = {{ OWN = \"env:OWN_SOURCE\" }}\n");
    let other = "[server.other]\nurl = \"http://127.0.0.1:9/mcp\"\n\
                 credential = { kind = \"header\", name = \"X-Key\", value = \"env:OTHER_SOURCE\" }\n";
    house.file("doorward.toml", &format!("[listen]\naddress = \"127.0.0.1:0\"\n{command}{other}"));
    let secrets = [("OWN_SOURCE", "canary-of-its-own"), ("OTHER_SOURCE", "canary-of-another"), ("AWS_SECRET_ACCESS_KEY", "canary-aws")];
    let approved = house.command(&["server", "approve", "fixture", "--command", "--all"]).envs(secrets).output().expect("ran");
    assert!(approved.status.success(), "{}", String::from_utf8_lossy(&approved.stderr));
    let gateway = house.listen_with(|command| {
        command.envs(secrets).env("LD_LIBRARY_PATH", "/canary-path").env("PYTHONPATH", "/canary-path");
    });
    let alice = Client::new(&gateway.url, &house.run_with(&["apikey", "create"], secrets).out);
    // Sockets and sessions of others are open, files of the state directory are, too.
    let sessions: Vec<String> = (0..8).map(|_| alice.session()).collect();
    let open: Vec<_> = (0..40).map(|_| std::net::TcpStream::connect(&alice.address).expect("connected")).collect();
    let seen = text(&ask(&alice, &sessions[0], "look", json!({})));
    let seen: Value = serde_json::from_str(&seen).unwrap_or_else(|error| panic!("{error}: {seen}"));
    let env = seen["env"].as_object().expect("an environment");
    let mut names: Vec<&str> = env.keys().map(String::as_str).filter(|name| *name != "LC_CTYPE").collect();
    names.sort_unstable();
    assert_eq!(names, ["HOME", "LANG", "OWN", "PATH", "TMPDIR", "TZ"]);
    let given = |name: &str| env[name].as_str().expect("a text").chars().rev().collect::<String>();
    assert_eq!(given("OWN"), "canary-of-its-own");
    assert_eq!(given("PATH"), "/usr/local/bin:/usr/bin:/bin");
    let all = format!("{seen}{}", env.keys().map(|name| given(name)).collect::<String>());
    for word in ["canary-of-another", "canary-aws", "canary-path", alice.key.as_str()] {
        assert!(!all.contains(word), "{word}: {all}");
    }
    assert_eq!(seen["fds"], json!(["0", "1", "2"]));
    let own = house.path("state").display().to_string();
    for place in ["cwd", "tmp"] {
        assert!(seen[place].as_str().is_some_and(|path| path.starts_with(&own) && path != own), "{place}: {seen}");
    }
    assert!(!seen["parent"].as_str().expect("a text").contains("canary") && !seen["argv"].as_str().expect("a text").contains("canary"));
    drop(open);
    gateway.stop();
}

#[test]
fn std_05_what_one_user_leaves_with_a_server_no_other_finds() {
    let stage = Stage::open("");
    let (alice, bob) = (stage.user("alice"), stage.user("bob"));
    let word = "of-alice-alone";
    let session = alice.session();
    assert_eq!(text(&ask(&alice, &session, "remember", json!({ "word": word }))), "kept");
    assert!(text(&ask(&alice, &session, "recall", json!({}))).contains(word), "she finds it");
    assert_eq!(text(&alice.call("remember", json!({ "word": word }))), "kept");
    assert!(text(&alice.call("recall", json!({}))).contains(word), "without a session, too");
    let his = bob.session();
    for reply in [ask(&bob, &his, "recall", json!({})), bob.call("recall", json!({}))] {
        assert_eq!(text(&reply), "", "neither in memory nor in a directory");
    }
    let pid = |reply: Reply| serde_json::from_str::<Value>(&text(&reply)).expect("JSON")["pid"].clone();
    let pids = [pid(alice.call("look", json!({}))), pid(bob.call("look", json!({}))), pid(ask(&bob, &his, "look", json!({})))];
    assert!(pids[0] != pids[1] && pids[1] != pids[2], "{pids:?}");
    assert_eq!(pid(bob.call("look", json!({}))), pids[1], "one for each, not one for each call");
    // When a session ends its directory goes, and the next one begins with nothing.
    assert_eq!(alice.end(&session).status / 100, 2);
    assert_eq!(text(&ask(&alice, &alice.session(), "recall", json!({}))), "");
    stage.gateway.stop();
    assert_eq!(running(&stage.script), 0);
}

#[test]
fn std_06_calls_in_flight_fail_once_and_others_go_on() {
    let stage = Stage::open("");
    let (alice, bob) = (stage.user("alice"), stage.user("bob"));
    let his = bob.session();
    for end in ["die", "half"] {
        let session = alice.session();
        let hanging: Vec<_> = (0..4)
            .map(|_| {
                let (alice, session) = (alice.clone(), session.clone());
                std::thread::spawn(move || ask(&alice, &session, "hang", json!({})))
            })
            .collect();
        // By its own word: a call that is on record may not have reached it yet, and is then told that the session is gone.
        assert!(within(Duration::from_secs(10), || text(&ask(&alice, &session, "hanging", json!({}))) == "4"));
        let begun = Instant::now();
        let last = ask(&alice, &session, end, json!({}));
        for reply in hanging.into_iter().map(|one| one.join().expect("answered")).chain([last]) {
            assert_eq!((reply.status, reply.code()), (200, -32603), "{end}: {reply:?}");
            assert_eq!(reply.body.matches("\"jsonrpc\"").count(), 1, "{end}: once: {reply:?}");
        }
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
        assert_eq!(text(&ask(&bob, &his, "recall", json!({}))), "", "his own process lives");
        assert!(text(&ask(&alice, &alice.session(), "garbage", json!({}))).contains("after garbage"), "and she may begin anew");
    }
    let twice = ask(&bob, &his, "twice", json!({}));
    assert!(text(&twice) == "once" && !twice.body.contains("again"), "{twice:?}");
    let flood = ask(&bob, &his, "flood", json!({}));
    assert_eq!(text(&flood), "after the flood");
    assert!(flood.body.len() < 8 << 20, "{}", flood.body.len());
    // One that stops reading is given up; whoever waits is told, and the others are served meanwhile.
    let (deaf, session) = (alice.clone(), alice.session());
    let waiting = std::thread::spawn(move || ask(&deaf, &session, "deaf", json!({})));
    for _ in 0..20 {
        assert_eq!(bob.legacy(&his, "ping", json!({})).status, 200);
    }
    let reply = waiting.join().expect("answered");
    assert!(reply.code() == -32603 && reply.took < Duration::from_secs(16), "{reply:?}");
    stage.gateway.stop();
    let said = stage.house.run(&["audit", "verify", "--json"]);
    assert!(said.exit == 0 && said.out.contains("\"open\":0"), "{said}");
}

#[test]
fn std_07_the_processes_of_a_revoked_key_end_with_it() {
    let stage = Stage::open("");
    let (alice, bob) = (stage.user("alice"), stage.user("bob"));
    let (hers, his) = (alice.session(), bob.session());
    assert!(alice.call("recall", json!({})).is_good() && ask(&alice, &hers, "recall", json!({})).is_good());
    assert_eq!(running(&stage.script), 3);
    let listed: Value = serde_json::from_str(&stage.house.run(&["apikey", "list", "--json"]).out).expect("JSON");
    let id = listed["keys"].as_array().expect("keys").iter().find(|key| key["label"] == "alice").expect("hers")["id"].clone();
    assert_eq!(stage.house.run(&["apikey", "revoke", id.as_str().expect("an id")]).exit, 0);
    assert!(within(Duration::from_secs(10), || running(&stage.script) == 1), "{} run", running(&stage.script));
    assert!(ask(&bob, &his, "recall", json!({})).is_good(), "his is another");
    stage.gateway.stop();
    assert_eq!(running(&stage.script), 0);
}

#[test]
fn std_01_a_program_that_changed_runs_no_definition_that_nobody_approved() {
    let stage = Stage::open("");
    let (alice, bob) = (stage.user("alice"), stage.user("bob"));
    let old = alice.session();
    assert!(ask(&alice, &old, "recall", json!({})).is_good());
    // The same command, the same tools by name: another definition of each from the next start on.
    let same = "tool = {\"inputSchema\"";
    assert!(FAMILY.contains(same));
    stage.house.file("family.py", &FAMILY.replace(same, "tool = {\"description\": \"another\", \"inputSchema\""));
    let new = alice.session();
    for reply in [ask(&alice, &new, "remember", json!({ "word": "planted" })), bob.call("remember", json!({ "word": "planted" }))] {
        assert!(!reply.is_good() && !reply.body.contains("kept"), "{reply:?}");
    }
    assert!(stage.house.record().contains("\"definition_changed\""), "the first of them found out");
    let listed = alice.legacy(&new, "tools/list", json!({}));
    assert!(!listed.body.contains("remember"), "nor is it offered: {listed:?}");
    // Approved, it runs, in processes that define it so: the one from before goes on with what it was.
    assert_eq!(stage.house.run(&["server", "approve", "fixture", "--all"]).exit, 0);
    assert!(within(Duration::from_secs(5), || ask(&alice, &new, "recall", json!({})).is_good()));
    assert!(bob.call("recall", json!({})).is_good());
    let reply = ask(&alice, &old, "recall", json!({}));
    assert!(!reply.is_good(), "its definition is not the one that was approved: {reply:?}");
    stage.gateway.stop();
}

#[test]
fn std_01_a_command_that_was_withdrawn_answers_nobody_and_ends() {
    let stage = Stage::open("");
    let alice = stage.user("alice");
    let session = alice.session();
    assert!(ask(&alice, &session, "recall", json!({})).is_good() && alice.call("recall", json!({})).is_good());
    assert_eq!(running(&stage.script), 2);
    assert_eq!(stage.house.run(&["server", "withdraw", "fixture"]).exit, 0);
    for reply in [alice.legacy(&session, "resources/list", json!({})), alice.modern("resources/list", json!({}))] {
        assert_eq!(reply.json()["error"]["data"]["reason"], "launch_not_approved", "{reply:?}");
    }
    assert!(within(Duration::from_secs(10), || running(&stage.script) == 0), "{} run", running(&stage.script));
    stage.gateway.stop();
}
