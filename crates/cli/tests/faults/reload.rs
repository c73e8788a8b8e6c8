//! What changes under a running program: files that break, signals, and a log that nobody takes.

use super::client::Client;
use super::house::{Gateway, House};
use super::within;
use doorward_testkit::lax::Lax;
use doorward_testkit::lax::quirk::{Behaviour, Quirk};
use serde_json::json;
use std::fs::OpenOptions;
use std::net::TcpListener;
use std::process::Stdio;
use std::time::Duration;

const RULES: &str = r#"
@id("all") permit (principal, action, resource);
@id("no-slow") forbid (principal, action == Action::"call", resource == Tool::"fixture__slow");
"#;

async fn lax() -> Lax {
    Lax::start(Behaviour::plain().with(Quirk::Modern)).await.expect("an upstream")
}

fn user(house: &House, url: &str) -> Client {
    Client::new(url, &house.run(&["apikey", "create", "--grant", "read,write,destructive"]).out)
}

/// A start that must fail: what it said, in time.
fn refused(house: &House) -> String {
    let mut child = house.command(&["serve"]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("started");
    let ended = within(Duration::from_secs(10), || child.try_wait().expect("asked").is_some());
    child.kill().ok();
    let output = child.wait_with_output().expect("ended");
    assert!(ended && output.status.code() == Some(3), "{output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pol_01_rules_that_break_change_nothing_and_start_nothing() {
    let lax = lax().await;
    let house = House::empty();
    let toml =
        format!("[listen]\naddress = \"127.0.0.1:0\"\n[policy]\nfiles = [\"rules/*.cedar\"]\n[server.fixture]\nurl = \"{}\"\n", lax.url());
    house.file("doorward.toml", &toml);
    house.file("rules/a.cedar", RULES);
    let gateway = house.serve();
    let alice = user(&house, &gateway.url);
    let holds = |what: &str| {
        assert!(alice.call("echo", json!({ "text": what })).is_good(), "{what}");
        assert!(!alice.call("slow", json!({ "count": 0 })).is_good(), "{what}");
    };
    holds("as started");
    lax.forget();
    let broken = [
        "@id(\"all\") permit (principal, action, resource",
        "permit (principal, action, resource);",
        "@id(\"a\") permit (principal, action == Action::\"cal\", resource);",
        "@id(\"a\") permit (principal, action, resource) when { context.nonsense == 1 };",
        "\u{feff}@id(\"a\") permit (principal, action, resource) when { principal.x };",
    ];
    for text in broken {
        house.file("rules/a.cedar", text);
        gateway.signal("-HUP");
        holds(text);
    }
    // Nor do looser rules count, or none, without a start that says so.
    for text in ["@id(\"all\") permit (principal, action, resource);", ""] {
        house.file("rules/a.cedar", text);
        gateway.signal("-HUP");
        holds(text);
    }
    gateway.stop();
    assert!(lax.seen_method("tools/call").iter().all(|heard| heard.json()["params"]["name"] == "echo"));
    for text in broken {
        house.file("rules/a.cedar", text);
        assert!(refused(&house).contains("a.cedar"), "{text}: the file is named");
    }
    // Without any rule it starts, and nothing is allowed.
    house.file("rules/a.cedar", "// nothing\n");
    let gateway = house.listen();
    let alice = Client::new(&gateway.url, &alice.key);
    assert!(!alice.call("echo", json!({})).is_good() && !alice.modern("tools/list", json!({})).is_good());
    gateway.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flt_13_a_configuration_that_breaks_stops_no_running_gateway_and_starts_none() {
    let lax = lax().await;
    let house = House::new(&lax.url());
    let gateway = house.serve();
    let alice = user(&house, &gateway.url);
    let good = std::fs::read_to_string(house.path("doorward.toml")).expect("a file");
    let broken = [
        ("nam = 1\n", "nam"),
        ("[listen\n", "doorward.toml"),
        ("[listen]\naddress = \"0.0.0.0:0\"\n", "address"),
        ("[server.fixture]\nurl = \"http://mcp.example.com/mcp\"\n", "url"),
        ("[listen]\naddress = 1\n", "address"),
    ];
    for (text, word) in broken {
        house.file("doorward.toml", text);
        gateway.signal("-HUP");
        assert!(alice.call("echo", json!({ "text": "x" })).is_good(), "{text}");
        // Another one would refuse for the text, before it sees that this one runs.
        assert!(refused(&house).contains(word), "{text}");
        assert_eq!(house.run(&["config", "check"]).exit, 3, "{text}: the check says the same");
    }
    let large = format!("{good}\n# {}\n", "x".repeat(11 << 20));
    house.file("doorward.toml", &large);
    gateway.signal("-HUP");
    assert!(alice.call("echo", json!({ "text": "x" })).is_good());
    house.file("doorward.toml", &good);
    gateway.stop();
    house.listen().stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flt_02_a_log_that_nobody_takes_stops_nothing() {
    let lax = lax().await;
    for log in ["full", "closed"] {
        let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port").port();
        let house = House::empty();
        let url = format!("http://127.0.0.1:{port}");
        let toml = format!(
            "[listen]\naddress = \"127.0.0.1:{port}\"\n[telemetry]\nlevel = \"debug\"\n[server.fixture]\nurl = \"{}\"\n",
            lax.url()
        );
        house.file("doorward.toml", &toml);
        assert_eq!(house.run(&["server", "approve", "fixture", "--all"]).exit, 0);
        let alice = user(&house, &url);
        let mut command = house.command(&["serve"]);
        let full = || Stdio::from(OpenOptions::new().write(true).open("/dev/full").expect("a full device"));
        let mut child = match log {
            "full" => command.stdout(full()).stderr(full()).spawn().expect("started"),
            _ => command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("started"),
        };
        // Whoever read it is gone.
        drop((child.stdout.take(), child.stderr.take()));
        let gateway = Gateway::adopted(child, url);
        assert!(within(Duration::from_secs(10), || std::net::TcpStream::connect(&alice.address).is_ok()), "{log}: it starts");
        for n in 0..50 {
            let reply = alice.call("echo", json!({ "text": n.to_string() }));
            assert!(reply.is_good(), "{log}: {reply:?}");
            assert_eq!(Client { key: "dwk_wrong".to_owned(), ..alice.clone() }.call("echo", json!({})).status, 401, "{log}");
        }
        gateway.signal("-HUP");
        let session = alice.session();
        assert_eq!(alice.legacy(&session, "ping", json!({})).status, 200, "{log}");
        assert_eq!((alice.get("/healthz"), alice.get("/readyz")), (200, 200), "{log}");
        gateway.stop();
        let said = house.run(&["audit", "verify", "--json"]);
        assert!(said.exit == 0 && said.out.contains("\"open\":0"), "{log}: {said}");
    }
}
