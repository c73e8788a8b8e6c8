//! FLT-07: two processes over one database whose clocks disagree. The clock of B is Debian's libfaketime; timers stay real.

use super::client::Client;
use super::replicas::Pair;
use super::within;
use serde_json::json;
use std::path::PathBuf;
use std::time::Duration;

/// Variables that move the wall clock of a process, if this machine can.
fn hands(offset: &str) -> Option<Vec<(&'static str, String)>> {
    let places = std::fs::read_dir("/usr/lib").ok()?.flatten().map(|entry| entry.path().join("faketime/libfaketimeMT.so.1"));
    let library: PathBuf = places.into_iter().find(|path| path.exists())?;
    let library = library.display().to_string();
    Some(vec![("LD_PRELOAD", library), ("DONT_FAKE_MONOTONIC", "1".to_owned()), ("FAKETIME", offset.to_owned())])
}

async fn apart(offset: &str) -> Option<(Pair, Vec<(&'static str, String)>)> {
    let Some(hands) = hands(offset) else {
        eprintln!("not tested: needs libfaketime");
        return None;
    };
    let pair = Pair::open_with("", |command| {
        command.envs(hands.clone());
    });
    pair.await.map(|pair| (pair, hands))
}

/// Asks for a state at one replica; the request that uses it.
fn asked(client: &Client) -> serde_json::Value {
    let asked = client.call("ask", json!({ "message": "m" }));
    let state = asked.result()["requestState"].as_str().unwrap_or_else(|| panic!("a state: {asked:?}")).to_owned();
    json!({
        "name": "ask", "arguments": { "message": "m" }, "requestState": state,
        "inputResponses": { "name": { "action": "accept", "content": { "name": "alice" } } },
    })
}

/// Everything that replicas share holds in both directions.
fn holds(pair: &Pair, offset: &str) {
    let alice = pair.user("alice");
    for (here, there) in [(0, 1), (1, 0)] {
        // Sessions that one opened and the other serves, again and again.
        let session = alice[here].session();
        for client in [&alice[there], &alice[here], &alice[there]] {
            let reply = client.legacy(&session, "tools/call", json!({ "name": "echo", "arguments": { "text": "x" } }));
            assert!(reply.is_good(), "{offset}, opened at {here}: {reply:?}");
        }
        // What counts once counts once.
        let answer = asked(&alice[here]);
        pair.lax.forget();
        assert!(alice[there].modern("tools/call", answer.clone()).is_good(), "{offset}, asked at {here}");
        for client in &alice {
            assert_eq!(client.modern("tools/call", answer.clone()).code(), -32602, "{offset}, used already");
        }
        assert_eq!(pair.lax.seen_method("tools/call").len(), 1);
        // Over at one is over at the other.
        assert_eq!(alice[there].end(&session).status / 100, 2);
        assert!(within(Duration::from_secs(6), || alice[here].legacy(&session, "ping", json!({})).status == 404), "{offset}");
    }
    pair.revoke("alice");
    for client in &alice {
        assert!(
            within(Duration::from_secs(5), || client.call("echo", json!({})).status == 401),
            "{offset}: revoked whatever the clock says"
        );
    }
}

fn alarms(pair: &Pair) -> [usize; 2] {
    pair.houses.each_ref().map(|house| house.record().lines().filter(|line| line.contains("\"reason\":\"clock_skew\"")).count())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flt_07_replicas_half_a_minute_apart_do_not_even_notice() {
    for offset in ["+30s", "-30s"] {
        let Some((pair, _)) = apart(offset).await else { return };
        holds(&pair, offset);
        assert_eq!(alarms(&pair), [0, 0]);
        pair.close();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flt_07_replicas_five_minutes_apart_hold_what_they_share_and_say_so() {
    for (offset, told) in [("+300s", "ahead of the clock of the database"), ("-300s", "behind the clock of the database")] {
        let Some((pair, hands)) = apart(offset).await else { return };
        holds(&pair, offset);
        assert_eq!(alarms(&pair), [0, 1], "the one that is wrong says so, on the record");
        assert!(pair.houses[1].record().lines().any(|line| line.contains("clock_skew") && line.contains(told)));
        let hands: Vec<(&str, &str)> = hands.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let said = pair.houses[1].run_with(&["doctor", "--offline"], hands);
        assert!(said.exit != 0 && said.out.contains("shared clock") && said.out.contains(told), "{said}");
        let said = pair.houses[0].run(&["doctor", "--offline"]);
        assert!(said.out.contains("shared clock") && !said.out.contains("disagree"), "{said}");
        pair.close();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flt_07_a_replica_hours_apart_refuses_clearly_and_revives_nothing() {
    let Some((pair, _)) = apart("+2h").await else { return };
    let alice = pair.user("alice");
    let session = alice[0].session();
    let answer = asked(&alice[0]);
    assert_eq!(alice[1].modern("tools/call", answer.clone()).code(), -32602, "over by its clock");
    assert!(alice[0].modern("tools/call", answer.clone()).is_good(), "not by A's");
    assert_eq!(alice[1].modern("tools/call", answer.clone()).code(), -32602);
    assert_eq!(alice[0].modern("tools/call", answer).code(), -32602, "used");
    assert_eq!(alice[1].legacy(&session, "ping", json!({})).status, 404, "idle for two hours, as it seems");
    assert!(within(Duration::from_secs(6), || alice[0].legacy(&session, "ping", json!({})).status == 404), "over is over everywhere");
    assert_eq!(alarms(&pair), [0, 1]);
    pair.close();
}
