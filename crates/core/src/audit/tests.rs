//! What records hold, and how a chain is written and picked up.

use super::chain::{Chain, DigestKey, Digests, WriterId};
use super::checkpoint::Signer;
use super::event::{Head, Kind, Line, MAX_LINE, MAX_TEXT, Record, hex};
use super::intent::Intent;
use super::outcome::{Class, Notice, Outcome};
use super::recovery::Found;
use super::verify::{FirstBad, Summary, Why, verify};
use crate::blame::{Blame, Known, Refusal, Station, Wire};
use crate::contract::Contract;
use crate::credential::Principal;
use crate::flag::{Flag, Half};
use crate::id::{AgentLabel, ClientId, CorrelationId, CredentialId, RuleId, ServerName, UserId};
use crate::identity::caller::{Audience, Caller, Door, Level, Record as Credential, Verdict};
use crate::identity::presented::Presented;
use crate::json::RawJson;
use crate::mcp::call::Call;
use crate::mcp::version::Version;
use crate::policy::permit::Permit;
use crate::secret::{ApiKey, PlainToken, Secret, sha256};
use crate::session::{self, Claim, Lifetimes, Stored};
use crate::time::Timestamp;
use aws_lc_rs::signature::Ed25519KeyPair;
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

pub(super) const NOW: Timestamp = Timestamp::from_millis(1_795_496_611_007);

/// A file in memory.
pub(super) struct Writer {
    pub(super) chain: Chain,
    pub(super) signer: Signer,
    pub(super) file: Vec<u8>,
}

impl Writer {
    pub(super) fn new(digests: Digests) -> Self {
        let signer = signer();
        let writer = WriterId::new("node-1").expect("id");
        let (chain, line) = Chain::begin(writer, digests, &signer, NOW).expect("signed");
        Self { chain, signer, file: line.bytes().to_vec() }
    }

    pub(super) fn put(&mut self, line: &Line) -> Value {
        assert!(line.bytes().ends_with(b"\"}\n"));
        self.file.extend_from_slice(line.bytes());
        serde_json::from_slice(line.bytes()).expect("json")
    }

    pub(super) fn intend(&mut self, name: &str, n: u64) -> Intent {
        let (intent, line) = self.chain.intend(permit(name), &Principal::new("vault/alice".into()), id(n), NOW);
        self.put(&line);
        intent
    }

    fn last(&self) -> Value {
        let text = std::str::from_utf8(&self.file).expect("text");
        serde_json::from_str(text.lines().last().expect("a line")).expect("json")
    }

    pub(super) fn call(&mut self, name: &str, n: u64) {
        let intent = self.intend(name, n);
        let (_, line) = self.chain.settle(intent, &Outcome::new(Class::Completed, Duration::from_millis(3)), NOW);
        self.put(&line);
    }

    pub(super) fn seal(&mut self) {
        let line = self.chain.checkpoint(&self.signer, NOW).expect("sealed");
        self.put(&line);
    }

    pub(super) fn verify(&self) -> Result<Summary, FirstBad> {
        verify(self.file.as_slice(), &self.signer.public(), None)
    }
}

pub(super) fn signer() -> Signer {
    let document = Ed25519KeyPair::generate().expect("key").to_pkcs8v1().expect("document");
    Signer::from_pkcs8(document.as_ref()).expect("key")
}

pub(super) fn id(n: u64) -> CorrelationId {
    CorrelationId::new(Timestamp::from_millis(n), [7; 10])
}

fn caller() -> Caller {
    let record = Credential {
        credential: CredentialId::new("key-1").expect("id"),
        level: Level::StaticKey,
        user: UserId::new("https://idp.example", "alice").expect("id"),
        groups: Vec::new(),
        client: ClientId::new("key:key-1").expect("id"),
        agent: Some(AgentLabel::new("ci bot").expect("id")),
        audience: Audience::Every,
        granted: BTreeSet::new(),
        expires: NOW.after(Duration::from_secs(60)),
        revoked: None,
        user_disabled: false,
        bound: None,
        delegation: None,
    };
    let presented = Presented::bearer(Secret::new(PlainToken::<ApiKey>::mint(&[1; 32]).reveal().to_owned()));
    let Verdict::Verified(caller) =
        crate::identity::caller::verify(&presented, Door::Key, None, Some(crate::identity::caller::Found::Stored(Arc::new(record))), NOW)
    else {
        panic!("refused")
    };
    caller
}

pub(super) fn permit(name: &str) -> Permit {
    let server = ServerName::new("notes").expect("name");
    let stored = Stored {
        digest: [9; 32],
        user: caller().user().clone(),
        client: caller().client().clone(),
        credential: caller().credential().clone(),
        server: server.clone(),
        version: Version::V2025_11_25,
        capabilities: "{}".into(),
        upstream_id: None,
        upstream_version: Version::V2025_11_25,
        log_level: None,
        created: NOW,
        used: NOW,
    };
    let lifetimes = Lifetimes { idle: Duration::from_secs(9), absolute: Duration::from_secs(9) };
    let bound = session::open(caller(), &server, Claim::Existing(Some(stored.into())), lifetimes, NOW).expect("bound");
    Permit::for_tests(bound, Call::for_tests(name, sha256(b"{}")), vec![RuleId::new("engineering-read").expect("id")])
}

fn denied(method: &str, name: &str, private: &str) -> Refusal {
    Refusal::new(Station::Policy, "policy_denied", Blame::Caller, Wire::Http(403), "no").because(private).knowing(Known {
        method: Some(method.into()),
        name: Some(name.into()),
        digest: Some(sha256(b"{}")),
        rule: Some("no-merge".into()),
        ..permit(name).bound().known()
    })
}

#[test]
fn a_client_id_that_is_too_long_is_told_by_the_digest_that_blocks_it() {
    let (short, long) = ("https://app.test/c.json".to_owned(), format!("dwc_{}", "A".repeat(1_000)));
    for (id, kept) in [
        (&short, short.clone()),
        (&long, format!("{}[sha256:{}]", long.get(..MAX_TEXT / 2).expect("ASCII"), hex(&sha256(long.as_bytes())))),
    ] {
        let client = ClientId::new(id).expect("id");
        let mut writer = Writer::new(Digests::None);
        let line = writer.chain.event(&Notice { reason: "note", client: Some(&client), ..Notice::default() }, NOW);
        assert_eq!(writer.put(&line)["client"], Value::from(kept.as_str()));
        assert!(kept.len() <= MAX_TEXT);
        assert!(crate::oauth::admission::Blocked::parse(kept.split(['[', ']']).nth(1).unwrap_or(&kept)).is_ok());
    }
}

#[test]
fn aud_01_an_intent_and_its_outcome_say_who_what_where_as_whom_by_which_rule_and_how_it_ended() {
    let mut writer = Writer::new(Digests::Plain);
    writer.chain.set_policy(Some(Arc::from("p-17")));
    let (intent, line) = writer.chain.intend(permit("read_note"), &Principal::new("vault/alice".into()), id(1), NOW);
    let said = writer.put(&line);
    for (field, value) in [
        ("kind", "intent"),
        ("time", "2026-11-24T05:03:31.007Z"),
        ("writer", "node-1"),
        ("client", "key:key-1"),
        ("agent", "ci bot"),
        ("level", "static-key"),
        ("credential", "key-1"),
        ("server", "notes"),
        ("era", "2025-11-25"),
        ("method", "tools/call"),
        ("name", "read_note"),
        ("policy", "p-17"),
        ("principal", "vault/alice"),
        ("decision", "permit"),
    ] {
        assert_eq!(said[field], value, "{field}");
    }
    assert_eq!(said["user"], serde_json::json!({"iss": "https://idp.example", "sub": "alice"}));
    assert_eq!(said["rules"], serde_json::json!(["engineering-read"]));
    assert_eq!(said["id"], id(1).to_string());
    assert_eq!(said["session"].as_str().map(str::len), Some(16));
    assert_eq!(said["digest"].as_str().map(str::len), Some(64));

    let output = RawJson::of(&serde_json::json!({ "outputSchema": { "type": "string" } }));
    let outcome = Outcome {
        principal: Some(Principal::new("sa-7".into())),
        blame: Some(Blame::Upstream),
        reason: Some("upstream_hung"),
        flags: Flag::of(Half::Result, &Contract::of(&output).structured(&RawJson::integer(7))).into_iter().collect(),
        private: Some("no bytes".into()),
        reply_digest: Some([1; 32]),
        ..Outcome::new(Class::TimedOut, Duration::from_millis(30_000))
    };
    let seq = intent.seq();
    let (receipt, line) = writer.chain.settle(intent, &outcome, NOW);
    let said = writer.put(&line);
    assert_eq!(receipt.seq(), line.seq());
    assert_eq!((said["intent"].as_u64(), said["latency_ms"].as_u64()), (Some(seq), Some(30_000)));
    for (field, value) in
        [("class", "timed_out"), ("blame", "upstream"), ("principal", "sa-7"), ("cause", "no bytes; / (type)"), ("kind", "outcome")]
    {
        assert_eq!(said[field], value, "{field}");
    }
    assert_eq!(said["flags"], serde_json::json!(["result_misfit"]));
    assert_eq!(said["reply"].as_str().map(str::len), Some(64));
    assert_eq!(writer.verify().expect("whole").open, 0);
}

#[test]
fn aud_01_a_refusal_has_the_same_fields_as_a_success() {
    let mut writer = Writer::new(Digests::Plain);
    let intent = writer.intend("merge", 1);
    let intended = writer.last();
    let (_, line) = writer.chain.settle(intent, &Outcome::new(Class::Completed, Duration::ZERO), NOW);
    writer.put(&line);
    let (_, line) = writer.chain.refused(&denied("tools/call", "merge", "rule 4"), id(2), NOW);
    let said = writer.put(&line);
    for (field, value) in intended.as_object().expect("a record").iter().filter(|(_, value)| !value.is_null()) {
        match field.as_str() {
            // Nobody acts downstream.
            "principal" => assert!(said[field].is_null(), "{field}"),
            "id" | "kind" | "seq" | "prev" | "hash" | "decision" | "rules" => assert!(!said[field].is_null(), "{field}"),
            _ => assert_eq!(said[field], *value, "{field}"),
        }
    }
    for field in
        ["user", "client", "agent", "level", "credential", "session", "era", "name", "class", "blame", "station", "reason", "cause"]
    {
        assert!(!said[field].is_null(), "{field}");
    }
    assert_eq!((said["decision"].as_str(), said["station"].as_str()), (Some("deny"), Some("policy")));
    let unknown = Refusal::new(Station::Identify, "no_credential", Blame::Caller, Wire::Http(401), "no");
    let (_, line) = writer.chain.refused(&unknown, id(3), NOW);
    assert_eq!(writer.put(&line)["decision"], "refuse");
    writer.verify().expect("whole");
}

#[test]
fn aud_01_a_stream_stays_open_until_it_is_closed() {
    let mut writer = Writer::new(Digests::Plain);
    let intent = writer.intend("watch", 1);
    let outcome = Outcome::new(Class::Completed, Duration::ZERO);
    let (_, ongoing, line) = writer.chain.opened(intent, &outcome, NOW);
    writer.put(&line);
    assert_eq!(ongoing.intent().permit().call().target(), Some("watch"));
    assert_eq!(writer.verify().expect("whole").open, 1);
    let (_, line) = writer.chain.closed(ongoing, &Outcome::new(Class::Cancelled, Duration::ZERO), NOW);
    writer.put(&line);
    assert_eq!(writer.verify().expect("whole").open, 0);
}

#[test]
fn aud_04_one_record_is_one_line_of_printable_ascii() {
    let hostile = [
        "a\nb".to_owned(),
        "a\r\n{\"v\":1,\"seq\":2}".to_owned(),
        "\",\"decision\":\"permit\",\"x\":\"".to_owned(),
        "\u{1b}[2J\u{1b}]0;x\u{7}".to_owned(),
        "abc\u{202e}txt.exe\u{2066}\u{200b}\u{feff}".to_owned(),
        "nul\0\u{7f}\u{85}\u{2028}\u{2029}".to_owned(),
        "x".repeat(1 << 20),
        "\u{1f600}".repeat(1 << 18),
        "\u{1}".repeat(1 << 20),
        String::from_utf8_lossy(b"\xff\xfe\xc0\xaf").into_owned(),
    ];
    let mut writer = Writer::new(Digests::Plain);
    for (n, text) in hostile.iter().enumerate() {
        let before = writer.file.len();
        let (_, refused) = writer.chain.refused(&denied(text, text, text), id(4), NOW);
        let said = writer.put(&refused);
        let (intent, line) = writer.chain.intend(permit(text), &Principal::new(text.clone()), id(5), NOW);
        writer.put(&line);
        let outcome = Outcome { private: Some(text.clone()), ..Outcome::new(Class::ToolError, Duration::ZERO) };
        let (_, line) = writer.chain.settle(intent, &outcome, NOW);
        writer.put(&line);
        let line = writer.chain.event(&Notice { reason: "note", cause: Some(text), ..Notice::default() }, NOW);
        writer.put(&line);
        let written = &writer.file[before..];
        assert_eq!(written.iter().filter(|b| **b == b'\n').count(), 4, "case {n}");
        assert!(written.iter().all(|b| matches!(b, b' '..=b'~' | b'\n')), "case {n}");
        assert!(refused.bytes().len() < MAX_LINE / 4, "case {n}");
        let kept = said["name"].as_str().expect("text");
        assert!(kept.len() <= MAX_TEXT, "case {n}");
        if text.len() <= MAX_TEXT {
            assert_eq!(kept, text, "what is short is kept, escaped");
        } else {
            assert!(kept.ends_with(" bytes]"), "case {n}");
        }
        assert_eq!(said["decision"], "deny");
    }
    writer.verify().expect("whole");
}

#[test]
fn aud_05_digests_are_keyed_plain_or_absent() {
    let digest = |digests| {
        let mut writer = Writer::new(digests);
        let (_, line) = writer.chain.refused(&denied("tools/call", "x", ""), id(1), NOW);
        writer.put(&line)["digest"].as_str().map(str::to_owned)
    };
    let (none, plain) = (digest(Digests::None), digest(Digests::Plain).expect("digest"));
    let keyed = digest(Digests::Keyed(DigestKey::new(&[1; 32]))).expect("digest");
    let other = digest(Digests::Keyed(DigestKey::new(&[2; 32]))).expect("digest");
    assert!(none.is_none());
    assert!(plain != keyed && keyed != other);
    assert_eq!(keyed, digest(Digests::Keyed(DigestKey::new(&[1; 32]))).expect("digest"), "correlates under one key");
}

#[test]
fn aud_07_a_clock_that_steps_back_is_noted_and_the_order_stands() {
    let mut writer = Writer::new(Digests::Plain);
    let day = 86_400_000;
    for (n, ms) in [day, 0, 2 * day, 1, 2].into_iter().enumerate() {
        let now = Timestamp::from_millis(NOW.as_millis() - day + ms);
        let line = writer.chain.event(&Notice { reason: "tick", ..Notice::default() }, now);
        let said = writer.put(&line);
        assert_eq!(said["seq"].as_u64(), Some(n as u64 + 2));
        assert!(said["time"].as_str().expect("time").ends_with('Z'));
        assert_eq!(said["skew_ms"].as_u64().is_some(), n == 1 || n == 3, "step {n}");
    }
    assert_eq!(writer.verify().expect("whole").backward_steps, 2);
}

#[test]
fn aud_07_a_step_back_over_a_restart_is_noted_too() {
    let writer = Writer::new(Digests::Plain);
    let Ok(Found::Chain(mut found)) = Chain::resume(writer.file.as_slice(), Digests::Plain) else { panic!("no chain") };
    let line = found.chain.event(&Notice { reason: "tick", ..Notice::default() }, Timestamp::from_millis(NOW.as_millis() - 5));
    assert_eq!(Record::read(line.bytes().strip_suffix(b"\n").expect("line")).expect("record").0.skew_ms, Some(5));
}

#[test]
fn a_failed_write_leaves_the_chain_as_it_was() {
    let mut writer = Writer::new(Digests::Plain);
    writer.call("a", 1);
    let tip = writer.chain.tip();
    let (_, lost) = writer.chain.intend(permit("b"), &Principal::new("p".into()), id(2), NOW);
    writer.chain.roll_back(tip);
    let (_, again) = writer.chain.refused(&denied("m", "n", "p"), id(3), NOW);
    assert_eq!(lost.seq(), again.seq());
    writer.put(&again);
    writer.seal();
    assert_eq!(writer.verify().expect("whole").unsealed, 0);
}

#[test]
fn resume_finds_the_last_good_record_at_every_length_of_a_torn_line() {
    let mut writer = Writer::new(Digests::Plain);
    writer.call("a", 1);
    let kept = writer.intend("b", 2).seq();
    let good = writer.file.len();
    writer.call("c", 3);
    let last = good + writer.file[good..].iter().position(|b| *b == b'\n').expect("line");
    for end in good..=last {
        let Ok(Found::Chain(found)) = Chain::resume(&writer.file[..end], Digests::Plain) else { panic!("no chain at {end}") };
        assert_eq!((found.good, found.torn), (good as u64, (end - good) as u64));
        assert_eq!(found.open.iter().map(super::intent::OpenIntent::seq).collect::<Vec<_>>(), [kept]);
    }
    let first = writer.file.iter().position(|b| *b == b'\n').expect("line");
    let Ok(Found::Nothing { torn, .. }) = Chain::resume(&writer.file[..first], Digests::Plain) else { panic!("a chain") };
    assert_eq!(torn, first as u64);
}

#[test]
fn a_resumed_chain_settles_what_was_open_and_verifies() {
    let mut writer = Writer::new(Digests::Plain);
    writer.call("a", 1);
    writer.intend("lost", 2);
    writer.file.extend_from_slice(b"{\"v\":1,\"seq\":");
    let Ok(Found::Chain(found)) = Chain::resume(writer.file.as_slice(), Digests::Plain) else { panic!("no chain") };
    writer.file.truncate(usize::try_from(found.good).expect("small"));
    writer.chain = found.chain;
    assert_eq!(found.open.len(), 1);
    for open in &found.open {
        let line = writer.chain.settle_unknown(open, "writer_ended", NOW);
        let said = writer.put(&line);
        assert_eq!((said["class"].as_str(), said["id"].as_str()), (Some("unknown"), Some(id(2).to_string().as_str())));
    }
    writer.seal();
    let summary = writer.verify().expect("whole");
    assert_eq!((summary.open, summary.unsealed), (0, 0));
    assert_eq!(summary.head, writer.chain.head());
}

#[test]
fn resume_refuses_a_file_that_was_altered_in_the_middle() {
    let mut writer = Writer::new(Digests::Plain);
    writer.call("a", 1);
    writer.call("b", 2);
    let at = writer.file.len() / 2;
    writer.file[at] ^= 1;
    assert!(Chain::resume(writer.file.as_slice(), Digests::Plain).is_err());
}

#[test]
fn keys_follow_one_another_and_either_proves_the_chain() {
    let mut writer = Writer::new(Digests::Plain);
    writer.call("a", 1);
    let (first, second) = (writer.signer.public(), signer());
    let line = writer.chain.rotate(&writer.signer, &second, NOW).expect("rotated");
    writer.put(&line);
    assert!(writer.chain.checkpoint(&writer.signer, NOW).is_err(), "the old key is done");
    writer.signer = second;
    writer.call("b", 2);
    writer.seal();
    assert_eq!(writer.verify().expect("by the new key").unsealed, 0);
    let summary = verify(writer.file.as_slice(), &first, None).expect("by the old key");
    assert_eq!((summary.unsealed, summary.key), (0, writer.signer.public()));
    let bad = verify(writer.file.as_slice(), &signer().public(), None).expect_err("another key");
    assert_eq!(bad.why, Why::OtherKey);
}

#[test]
fn aud_03_a_past_of_somebody_else_is_not_handed_over_to_a_key_that_did_not_take_it() {
    // Without the key of the gateway: a chain of one's own, which at its end names that key as the next.
    let mut forged = Writer::new(Digests::Plain);
    forged.call("forged", 1);
    let gateway = signer();
    let line = forged.chain.seal(Record::new(Kind::Key), &forged.signer, Some(gateway.public()), NOW).expect("sealed");
    forged.put(&line);
    for key in [gateway.public(), forged.signer.public()] {
        let bad = verify(forged.file.as_slice(), &key, None).expect_err("nobody took it over");
        assert_eq!(bad.why, Why::BadSeal);
    }
    assert!(Chain::resume(forged.file.as_slice(), Digests::Plain).is_err(), "and no gateway goes on behind it");
    // Nor by what the key once took over at another place.
    let mut other = Writer::new(Digests::Plain);
    other.call("b", 2);
    let line = other.chain.rotate(&other.signer, &gateway, NOW).expect("rotated");
    let taken = Record::read(line.bytes().strip_suffix(b"\n").expect("a line")).expect("a record").0.accept;
    let mut forged = Writer::new(Digests::Plain);
    forged.call("forged", 1);
    let record = Record { accept: taken, ..Record::new(Kind::Key) };
    let line = forged.chain.seal(record, &forged.signer, Some(gateway.public()), NOW).expect("sealed");
    forged.put(&line);
    assert!(Chain::resume(forged.file.as_slice(), Digests::Plain).is_err());
}

#[test]
fn heads_are_text_and_back() {
    let head = Head { seq: 7, hash: [0xab; 32] };
    assert_eq!(head.to_string().parse(), Ok(head));
    for bad in ["", "7", "7:", "7:AB", ":", "x:00"] {
        assert!(bad.parse::<Head>().is_err(), "{bad}");
    }
}
