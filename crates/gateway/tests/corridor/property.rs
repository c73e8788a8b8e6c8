//! The property behind PT-01: whatever a request carries, nothing of the caller's own comes out at the other side, and
//! nothing of it is kept.
//!
//! `DOORWARD_TEST_REQUESTS` says how many requests are generated (5,000 unless it says otherwise), `DOORWARD_TEST_SEED`
//! repeats a run.

use super::house::{House, Key, canary, secretly, server};
use super::passthrough::ALLOWED;
use super::speak::MODERN;
use super::wire::{Ask, Line, find};
use doorward_testkit::lax::Lax;
use doorward_testkit::lax::quirk::{Behaviour, Quirk};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// SplitMix64 (Steele, Lea, Flood 2014): enough for choices, and the same everywhere.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.roll() % n as u64).unwrap_or(0)
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }
}

const NAMES: [&str; 40] = [
    "Authorization",
    "Proxy-Authorization",
    "Cookie",
    "DPoP",
    "X-Api-Key",
    "X-Auth-Token",
    "X-Access-Token",
    "X-GitHub-Token",
    "X-Goog-Api-Key",
    "X-Amz-Security-Token",
    "X-Forwarded-Access-Token",
    "X-Auth-Request-Access-Token",
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "X-Forwarded-User",
    "Forwarded",
    "X-Real-IP",
    "X-Client-Cert",
    "Via",
    "Referer",
    "User-Agent",
    "From",
    "Traceparent",
    "Tracestate",
    "Baggage",
    "X-Request-Id",
    "Cache-Control",
    "If-None-Match",
    "Range",
    "Upgrade-Insecure-Requests",
    "Last-Event-ID",
    "Mcp-Session-Id",
    "Mcp-Param-Secret",
    "Mcp-Other",
    "X_Api_Key",
    "Accept-Language",
    "Priority",
    "Sec-Fetch-Site",
    "X-HTTP-Method-Override",
    "Api-Key",
];

/// Three servers, what their callers hold, and the words that must stay inside.
struct Ground {
    keys: Vec<Key>,
    sessions: Vec<String>,
    word: String,
}

/// One generated request. Everything that must not pass carries `word`; `arguments` may pass, they are the call itself.
fn generate(dice: &mut Dice, ground: &Ground, n: usize) -> Ask {
    let word = format!("{}-{n}", ground.word);
    let at = dice.below(ground.keys.len());
    let key = &ground.keys[at];
    let name = *dice.pick(&["alpha", "beta", "alpha", "beta", "nowhere"]);
    let tool = *dice.pick(&["echo", "echo", "mirrored", "nothing"]);
    let (method, params) = match dice.below(12) {
        0 => ("tools/list", json!({})),
        1 => ("server/discover", json!({})),
        2 => ("ping", json!({})),
        3 => ("resources/read", json!({ "uri": "file:///a" })),
        4 => ("prompts/get", json!({ "name": "greet" })),
        5 => ("tasks/get", json!({ "taskId": word })),
        6 => ("tools/list", json!({ "cursor": word })),
        7 => ("tools/call", json!({ "name": tool, "arguments": { "a": n }, "requestState": word })),
        _ => ("tools/call", json!({ "name": tool, "arguments": { "a": n } })),
    };
    let legacy = dice.one_in(2);
    let mut params = params;
    let mut meta = json!({});
    if !legacy {
        meta["io.modelcontextprotocol/protocolVersion"] = MODERN.into();
        meta["io.modelcontextprotocol/clientCapabilities"] = json!({ word.as_str(): {}, "extensions": { word.as_str(): {} } });
        meta["io.modelcontextprotocol/clientInfo"] = json!({ "name": word, "version": word });
    }
    for inner in
        ["progressToken", "traceparent", "io.modelcontextprotocol/secret", "baggage", "com.modelcontextprotocol/x", "dev.mcp/token"]
    {
        if dice.one_in(2) {
            meta[inner] = word.as_str().into();
        }
    }
    if !legacy || dice.one_in(2) {
        params["_meta"] = meta;
    }
    let mut message = json!({ "jsonrpc": "2.0", "id": word, "method": method, "params": params });
    for extra in ["token", "auth", "authorization", "x"] {
        if dice.one_in(3) {
            message[extra] = word.as_str().into();
        }
    }
    let body = match dice.below(25) {
        0 => format!("{message}{word}"),
        1 => format!("[{message}]"),
        2 => format!("{{\"{word}\":"),
        _ => message.to_string(),
    };
    let mut ask = Ask::post(&key.path(name), body);
    match dice.below(12) {
        0 => {}
        1 => ask = ask.field("Authorization", &format!("Bearer {word}")),
        2 => ask = ask.field("Authorization", &format!("Basic {word}")),
        3 => ask = ask.bearer(&key.text).field("Authorization", &format!("Bearer {word}")),
        _ => ask = ask.bearer(&key.text),
    }
    if legacy {
        let session = if dice.one_in(8) { word.clone() } else { ground.sessions[at * 2 + usize::from(name != "alpha")].clone() };
        ask = ask.field("Mcp-Session-Id", &session).field("MCP-Protocol-Version", "2025-11-25");
    } else {
        ask = ask.field("MCP-Protocol-Version", MODERN).field("Mcp-Method", method);
        let target = ["name", "uri", "taskId"].iter().find_map(|member| params_of(&message, member));
        if let Some(target) = target {
            ask = ask.field("Mcp-Name", &target);
        }
    }
    for _ in 0..dice.below(8) {
        let name = *dice.pick(&NAMES);
        if !(name == "Mcp-Session-Id" && legacy) && name != "Authorization" && name != "Mcp-Param-Secret" {
            ask = ask.field(name, &format!("{word}{}", dice.roll()));
        }
    }
    if dice.one_in(6) {
        ask.target = format!("{}?{}={word}", ask.target, dice.pick(&["access_token", "q", "token", "sessionId", "a"]));
    }
    ask
}

fn params_of(message: &Value, member: &str) -> Option<String> {
    message.pointer(&format!("/params/{member}")).and_then(Value::as_str).map(str::to_owned)
}

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pt_01_nothing_of_a_callers_own_passes_or_stays_whatever_is_sent() {
    let secret = canary("upstream-secret-");
    let (one, two) = (
        Lax::start(Behaviour::plain().with(Quirk::Modern)).await.unwrap(),
        Lax::start(Behaviour::plain().with(Quirk::Modern)).await.unwrap(),
    );
    let house = House::open(&format!("{}{}", secretly("alpha", &one.url(), &secret), server("beta", &two.url(), ""))).await;
    house.approve().await;
    let mut keys = vec![house.full("alice").await, house.full("bob").await];
    keys.push(house.token("carol", "client", &[], &["*:read", "*:destructive"], Duration::from_secs(24 * 3600)).await);
    let mut sessions = Vec::new();
    for key in &keys {
        for name in ["alpha", "beta"] {
            sessions.push(house.session(key, name).await);
        }
    }
    let ground = std::sync::Arc::new(Ground { keys, sessions, word: canary("inbound-") });
    let all = usize::try_from(number("DOORWARD_TEST_REQUESTS", 5_000)).unwrap();
    let seed = number("DOORWARD_TEST_SEED", u64::from_be_bytes(house.env.bytes().unwrap()));
    eprintln!("{all} requests of seed {seed}");
    let begun = Instant::now();
    let (mut sent, mut passed, mut upstream) = (0, 0, 0);
    // In rounds, so that neither the recorder nor the oracle grows with the whole.
    const WORKERS: usize = 4;
    const ROUND: usize = 1_000;
    while sent < all {
        let round = ROUND.min(all - sent);
        let mut working = tokio::task::JoinSet::new();
        for worker in 0..WORKERS {
            let (ground, address, first) = (std::sync::Arc::clone(&ground), house.address, sent);
            working.spawn(async move {
                let mut line = Line::open(address).await;
                let mut good = 0;
                for n in (first + worker..first + round).step_by(WORKERS) {
                    let mut dice = Dice(seed ^ (n as u64).wrapping_mul(0x2545_f491_4f6c_dd1d));
                    let reply = line.ask(&generate(&mut dice, &ground, n)).await;
                    assert!(reply.status < 500, "{n}: {} {}", reply.status, reply.text());
                    assert!(!reply.contains("upstream-secret-"), "{n}: {}", reply.text());
                    good += usize::from(reply.status == 200);
                    if reply.field("connection").is_some_and(|value| value.eq_ignore_ascii_case("close")) {
                        line = Line::open(address).await;
                    }
                }
                good
            });
        }
        passed += working.join_all().await.into_iter().sum::<usize>();
        for (lax, own) in [(&one, Some(format!("Bearer {secret}"))), (&two, None)] {
            for heard in lax.seen() {
                upstream += 1;
                assert!(!heard.contains(&ground.word), "seed {seed}: {}", String::from_utf8_lossy(&heard.wire));
                assert!(ground.keys.iter().all(|key| !heard.contains(&key.text)), "seed {seed}");
                assert!(ground.sessions.iter().all(|session| !heard.contains(session)), "seed {seed}");
                assert_eq!(heard.field("authorization").map(str::to_owned), own, "seed {seed}");
                let foreign = heard.fields.iter().find(|(field, _)| !ALLOWED.contains(&field.to_ascii_lowercase().as_str()));
                assert!(foreign.is_none(), "seed {seed}: {foreign:?}");
            }
            lax.forget();
        }
        sent += round;
    }
    assert!(upstream * 10 > all, "enough of it was passed on to mean something: {upstream} of {all}");
    eprintln!("{all} requests, {passed} answered with 200, {upstream} upstream requests, in {:?}", begun.elapsed());
    // Names of what was asked are on the record, and ids of tasks and methods may be such: those are not credentials. The
    // generated words stand in no tool or prompt name, so none may be there but as the target of a task.
    let text = std::fs::read(house.state.path().join("audit.jsonl")).unwrap();
    for line in text.split(|byte| *byte == b'\n').filter(|line| find(line, ground.word.as_bytes()).is_some()) {
        let record: Value = serde_json::from_slice(line).unwrap();
        assert!(record["method"].as_str().is_some_and(|method| method.starts_with("tasks/")), "{record}");
    }
    let mut canaries = vec![secret.as_str()];
    canaries.extend(ground.keys.iter().map(|key| key.text.as_str()));
    canaries.extend(ground.sessions.iter().map(String::as_str));
    house.kept_nothing_of(&[&ground.word], &["audit.jsonl"]);
    house.close(&canaries).await;
}
