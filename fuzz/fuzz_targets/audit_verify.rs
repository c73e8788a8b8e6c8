//! The record. Input: a byte that says what is done, then bytes. Arbitrary files are never whole and never a panic; a real
//! chain that was changed is never whole again, not even with every hash made to fit; a torn one goes on where it was whole.
#![no_main]

use aws_lc_rs::digest::{Context, SHA256};
use aws_lc_rs::signature::Ed25519KeyPair;
use doorward_core::audit::chain::{Chain, Digests, WriterId};
use doorward_core::audit::checkpoint::Signer;
use doorward_core::audit::event::{Head, Record};
use doorward_core::audit::outcome::{Class, Notice, Outcome};
use doorward_core::audit::recovery::Found;
use doorward_core::audit::verify::verify;
use doorward_core::blame::{Blame, Refusal, Station, Wire};
use doorward_core::contract::{Contract, Measure, Promise};
use doorward_core::credential::Principal;
use doorward_core::id::{ClientId, CorrelationId, CredentialId, ServerName, ToolName, UserId};
use doorward_core::identity::caller::{self, Audience, Door, Level, Verdict};
use doorward_core::identity::presented::Presented;
use doorward_core::json::RawJson;
use doorward_core::mcp::decode::{self, Body};
use doorward_core::mcp::headers::McpHeaders;
use doorward_core::mcp::version::{Era, Version};
use doorward_core::policy::decide::decide;
use doorward_core::policy::facts::{Checks, Facts, RiskClass, ToolFacts};
use doorward_core::policy::permit::Permit;
use doorward_core::policy::rules::Rules;
use doorward_core::secret::{ApiKey, PlainToken};
use doorward_core::session::{self, Claim, Lifetimes};
use doorward_core::time::Timestamp;
use libfuzzer_sys::fuzz_target;
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

const NOW: Timestamp = Timestamp::from_millis(1_795_496_611_007);

struct Real {
    signer: Signer,
    lines: Vec<Vec<u8>>,
    head: Head,
}

static REAL: LazyLock<Real> = LazyLock::new(real);

fuzz_target!(|data: &[u8]| {
    let Some((&mode, rest)) = data.split_first() else { return };
    let real = &*REAL;
    match mode % 4 {
        0 => arbitrary(rest, real),
        1 => torn(rest, real),
        2 => spliced(rest, real),
        _ => rewritten(rest, real),
    }
});

/// Without the key nobody makes a chain; with the real lines at hand one is whole only where it is the real one's beginning.
fn arbitrary(file: &[u8], real: &Real) {
    let _ = Record::read(file);
    judge(file, real);
}

/// A file that ends anywhere goes on behind its last whole record.
fn torn(rest: &[u8], real: &Real) {
    let [a, b, ..] = rest else { return };
    let whole = real.lines.concat();
    let end = usize::from(u16::from_be_bytes([*a, *b])) % (whole.len() + 1);
    let file = &whole[..end];
    match Chain::resume(file, Digests::None).expect("only the last line is torn") {
        Found::Nothing { torn, .. } => assert_eq!(usize::try_from(torn), Ok(end)),
        Found::Chain(resumed) => {
            assert_eq!(resumed.good + resumed.torn, end as u64);
            let good = usize::try_from(resumed.good).expect("small");
            let (mut chain, mut grown) = (resumed.chain, file[..good].to_vec());
            for open in &resumed.open {
                grown.extend_from_slice(chain.settle_unknown(open, "writer_ended", NOW).bytes());
            }
            grown.extend_from_slice(chain.event(&Notice { reason: "resumed", ..Notice::default() }, NOW).bytes());
            let key = chain.key();
            let head = chain.head();
            let summary = verify(grown.as_slice(), &real.signer.public(), Some(&head)).expect("it goes on");
            assert_eq!((summary.open, summary.head, summary.key), (0, head, key));
        }
    }
}

/// Bytes cut out of the real file and others put in.
fn spliced(rest: &[u8], real: &Real) {
    let [a, b, length, put @ ..] = rest else { return };
    let mut file = real.lines.concat();
    let from = usize::from(u16::from_be_bytes([*a, *b])) % (file.len() + 1);
    let to = (from + usize::from(*length)).min(file.len());
    file.splice(from..to, put.iter().copied());
    judge(&file, real);
}

/// Edits by somebody who makes every hash fit afterwards but has no key: four bytes each.
fn rewritten(rest: &[u8], real: &Real) {
    let mut lines = real.lines.clone();
    for edit in rest.chunks_exact(4).take(8) {
        let [what, line, at, with] = edit else { return };
        if lines.is_empty() {
            return;
        }
        let n = usize::from(*line) % lines.len();
        let other = usize::from(*at) % lines.len();
        match what % 6 {
            0 => drop(lines.remove(n)),
            1 => lines.swap(n, other),
            2 => lines.insert(n, lines[other].clone()),
            3 => lines.truncate(n),
            4 => lines[n] = changed(&lines[n], *at, *with),
            _ => {
                let take = real.lines[usize::from(*at) % real.lines.len()].clone();
                lines[n] = take;
            }
        }
    }
    judge(&lines.concat(), real);
    rechain(&mut lines);
    judge(&lines.concat(), real);
}

/// The one judgement: what verifies is the real chain up to its last seal, and all of it if its head is known.
fn judge(file: &[u8], real: &Real) {
    let key = real.signer.public();
    let anchored = verify(file, &key, Some(&real.head));
    let whole = real.lines.concat();
    if let Ok(summary) = &anchored {
        assert!(file.starts_with(&whole), "an altered chain passed with its head known");
        assert!(summary.records >= real.head.seq);
    } else {
        assert!(file != whole, "the real chain is whole");
    }
    let free = verify(file, &key, None);
    let resumed = Chain::resume(file, Digests::Plain);
    match free {
        Ok(summary) => {
            let sealed = usize::try_from(summary.records - summary.unsealed).expect("small");
            let beginning = file.split_inclusive(|byte| *byte == b'\n').take(sealed);
            assert!(beginning.eq(real.lines.iter().take(sealed)), "something under a seal was altered");
            let Ok(Found::Chain(resumed)) = resumed else { panic!("whole, and cannot go on") };
            assert_eq!((resumed.good, resumed.torn), (file.len() as u64, 0));
            assert_eq!(resumed.chain.head(), summary.head);
            assert_eq!(resumed.open.len() as u64, summary.open);
            assert_eq!(resumed.chain.key(), summary.key);
        }
        Err(bad) => {
            drop(bad.to_string());
            assert!(bad.last_good < bad.line && bad.last_sealed <= bad.last_good);
            if let Err(other) = resumed {
                assert_eq!((other.line, other.why), (bad.line, bad.why), "both name the same record");
            }
        }
    }
}

/// One byte of what a record says, kept printable.
fn changed(line: &[u8], at: u8, with: u8) -> Vec<u8> {
    let mut line = line.to_vec();
    let place = usize::from(at) % line.len().max(1);
    if let Some(byte) = line.get_mut(place).filter(|byte| **byte != b'\n') {
        *byte = b' ' + with % 95;
    }
    line
}

/// Numbers, links and hashes as they would have to be.
fn rechain(lines: &mut [Vec<u8>]) {
    let mut prev = [0; 32];
    for (n, line) in lines.iter_mut().enumerate() {
        let Ok(text) = String::from_utf8(line.clone()) else { return };
        let Some((body, _)) = text.rsplit_once(",\"hash\":\"") else { return };
        let Some((head, _)) = body.rsplit_once("\"prev\":\"") else { return };
        let (Some(from), Some(to)) = (head.find("\"seq\":"), head.find(",\"writer\"")) else { return };
        if from + 6 > to {
            return;
        }
        let body = format!("{}{}{}\"prev\":\"{}\"}}", &head[..from + 6], n + 1, &head[to..], hex(&prev));
        let mut context = Context::new(&SHA256);
        context.update(&prev);
        context.update(body.as_bytes());
        prev.copy_from_slice(context.finish().as_ref());
        *line = format!("{},\"hash\":\"{}\"}}\n", &body[..body.len() - 1], hex(&prev)).into_bytes();
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn signer(seed: u8) -> Signer {
    let pair = Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).expect("a seed");
    Signer::from_pkcs8(pair.to_pkcs8v1().expect("a document").as_ref()).expect("a key")
}

/// A chain with every kind of record: calls, a stream, a refusal, an event, seals, a new key, an open intent, an unsealed end.
fn real() -> Real {
    let (first, second) = (signer(1), signer(2));
    let mut lines = Vec::new();
    let mut put = |line: doorward_core::audit::event::Line| lines.push(line.bytes().to_vec());
    let rules = Rules::laptop().expect("the built-in policy");
    let principal = Principal::new("vault/alice".to_owned());
    let outcome = |class| Outcome { reply_digest: Some([5; 32]), ..Outcome::new(class, Duration::from_millis(3)) };
    let id = |n: u64| CorrelationId::new(Timestamp::from_millis(n), [7; 10]);
    let (mut chain, line) = Chain::begin(WriterId::new("node-1").expect("id"), Digests::Plain, &first, NOW).expect("signed");
    put(line);
    chain.set_policy(Some(rules.version()));
    let (intent, line) = chain.intend(permit(&rules, "read_note"), &principal, id(1), NOW);
    put(line);
    put(chain.settle(intent, &outcome(Class::Completed), NOW).1);
    put(chain.checkpoint(&first, NOW).expect("sealed"));
    let (intent, line) = chain.intend(permit(&rules, "na\u{ef}ve \u{1f4a9}"), &principal, id(2), NOW);
    put(line);
    let (_, ongoing, line) = chain.opened(intent, &outcome(Class::Completed), NOW);
    put(line);
    put(chain.rotate(&first, &second, NOW).expect("sealed"));
    put(chain.event(&Notice { reason: "started", cause: Some("a\n\"b\""), ..Notice::default() }, Timestamp::from_millis(1_000)));
    put(chain.closed(ongoing, &outcome(Class::Cancelled), NOW).1);
    let refusal = Refusal::new(Station::Policy, "policy_denied", Blame::Caller, Wire::Http(403), "no").because("rule no-merge");
    put(chain.refused(&refusal, id(3), NOW).1);
    let (intent, line) = chain.intend(permit(&rules, "write_note"), &principal, id(4), NOW);
    put(line);
    drop(intent);
    put(chain.checkpoint(&second, NOW).expect("sealed"));
    put(chain.event(&Notice { reason: "tick", ..Notice::default() }, NOW));
    let head = chain.head();
    let real = Real { signer: first, lines, head };
    let summary = verify(real.lines.concat().as_slice(), &real.signer.public(), Some(&head)).expect("the real chain is whole");
    assert_eq!((summary.seals, summary.unsealed, summary.open, summary.backward_steps), (4, 1, 1, 1));
    real
}

/// Arguments must have a `note`, and none have.
fn promise() -> Promise {
    let definition = serde_json::json!({"name": "read_note", "inputSchema": {"type": "object", "required": ["note"]}});
    Promise { contract: Arc::new(Contract::of(&RawJson::of(&definition))), measure: Measure::Flag }
}

/// A permit as the corridor gives it: a key that was verified, a session, a decoded call, the built-in policy.
fn permit(rules: &Rules, tool: &str) -> Permit {
    let record = caller::Record {
        credential: CredentialId::new("key-1").expect("id"),
        level: Level::StaticKey,
        user: UserId::new("https://idp.example", "alice").expect("id"),
        groups: Vec::new(),
        client: ClientId::new("key:key-1").expect("id"),
        agent: None,
        audience: Audience::Every,
        granted: BTreeSet::from(["*:read".to_owned()]),
        expires: NOW.after(Duration::from_secs(60)),
        revoked: None,
        user_disabled: false,
        bound: None,
        delegation: None,
    };
    let mut headers = http::HeaderMap::new();
    let bearer = format!("Bearer {}", PlainToken::<ApiKey>::mint(&[1; 32]).reveal());
    headers.insert("authorization", bearer.parse().expect("a header"));
    let presented = Presented::take(&mut headers, None);
    let Verdict::Verified(caller) = caller::verify(&presented, Door::Key, None, Some(caller::Found::Stored(Arc::new(record))), NOW) else {
        panic!("refused")
    };
    let version = Version::V2025_11_25;
    let server = ServerName::new("notes").expect("name");
    let lifetimes = Lifetimes { idle: Duration::from_secs(9), absolute: Duration::from_secs(9) };
    let bound = session::open(caller, &server, Claim::New(version), lifetimes, NOW).expect("bound");
    let body = serde_json::json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": {}}});
    let Ok(Body::One(message)) = decode::read(&body.to_string().into(), 16) else { panic!("a message") };
    let call = decode::decode(Era::Legacy(version), *message, &McpHeaders::default()).expect("a call");
    let facts = Facts {
        tool: Some(ToolFacts { name: ToolName::new(tool).expect("name"), class: RiskClass::Read, approved: true, digest: [0; 32] }),
        visible: true,
        client_verified: false,
        peer: IpAddr::V4(Ipv4Addr::LOCALHOST),
        able: Vec::new(),
        seen: std::collections::BTreeSet::new(),
        now: NOW,
        // The record of a call that was let pass carries a flag, too.
        checks: Checks { schemas: Some(promise()), foreign_tokens: Measure::Off, screen: None },
    };
    decide(rules, &facts, bound, call).expect("permitted")
}
