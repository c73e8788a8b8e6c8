//! Each flaw is found, by its rule and no other; a right server is clean, and nothing is left behind on either.

use crate::{all_forms, bare, found, ids, plain, report, request};
use doorward_scan::{Color, Grade};
use doorward_testkit::flawed::{Flaw, serve};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;

/// The rules that are due for a flaw.
fn due(flaw: Flaw) -> &'static [&'static str] {
    match flaw {
        Flaw::NoCredential => &["DW101"],
        Flaw::AnyToken | Flaw::UncheckedJwt | Flaw::ForeignAudience => &["DW102"],
        Flaw::SilentChallenge | Flaw::NoChallenge => &["DW103"],
        Flaw::WrongResource | Flaw::NoMetadata | Flaw::WrongIssuer | Flaw::NoPkce | Flaw::PlainPkce | Flaw::UncheckedPkce | Flaw::NoIss => {
            &["DW104"]
        }
        Flaw::OpenRegistration | Flaw::LooseRedirect | Flaw::WildcardRedirect => &["DW105"],
        Flaw::CountedSessions | Flaw::ShortSessions | Flaw::TimedSessions | Flaw::RepeatedSessions => &["DW106"],
        Flaw::HashedCounter | Flaw::HashedTime | Flaw::HashedUser | Flaw::HashedProcess | Flaw::NamedUuid => &["DW106"],
        Flaw::SharedSession | Flaw::NakedSession => &["DW107"],
        Flaw::AnyOrigin | Flaw::AnyHost => &["DW108"],
        Flaw::OpenCors => &["DW109"],
        Flaw::WildcardScope | Flaw::ManyScopes => &["DW110"],
        Flaw::NoConsent => &["DW111"],
        Flaw::ForeignEvents => &["DW112"],
        Flaw::TokenInUrl => &["DW114"],
        Flaw::UndyingSession => &["DW115"],
        Flaw::StackTrace => &["DW116"],
        Flaw::HeaderMismatch => &["DW117"],
        Flaw::Passthrough | Flaw::PassthroughOfResources => &["DW118"],
        Flaw::HiddenText | Flaw::OrderingText | Flaw::OrderingInstructions => &["DW201"],
        Flaw::ChangingTools => &["DW202"],
        Flaw::Shadowing => &["DW203"],
    }
}

/// A port of this computer that was free a moment ago.
fn free() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port")
}

#[tokio::test]
async fn scn_01_every_flaw_is_found_by_its_rule_and_no_other() {
    let mut by_rule: BTreeMap<&str, String> = BTreeMap::new();
    let mut faults = String::new();
    let right = serve(None, None).await.expect("a server");
    for flaw in Flaw::ALL {
        let upstream = matches!(flaw, Flaw::Passthrough | Flaw::PassthroughOfResources).then(free);
        let server = serve(Some(flaw), upstream).await.expect("a server");
        let beside = (flaw == Flaw::Shadowing).then(|| right.url());
        let urls: Vec<String> = std::iter::once(server.url()).chain(beside).collect();
        let mut request = request(&urls);
        request.upstream = upstream;
        if matches!(flaw, Flaw::HashedCounter | Flaw::HashedTime | Flaw::HashedUser | Flaw::HashedProcess | Flaw::NamedUuid) {
            request.limits.guesses = 600_000;
        }
        let report = report(&request).await;
        all_forms(&report);
        if ids(&report) != due(flaw) {
            let _ = writeln!(faults, "{flaw:?}: due {:?}, found {:#?}\n{}", due(flaw), found(&report), report.text(100, Color::Plain));
        }
        assert_eq!(server.traces().calls, 0, "{flaw:?}: a tool was called");
        // Which of two servers comes first depends on their ports.
        let mut lines: Vec<String> = found(&report).iter().map(|line| plain(line)).collect();
        lines.sort();
        for line in lines {
            let id = due(flaw).first().expect("a rule");
            let _ = writeln!(by_rule.entry(id).or_default(), "{flaw:?}: {line}");
        }
    }
    assert!(faults.is_empty(), "{faults}");
    for (id, text) in by_rule {
        insta::with_settings!({snapshot_path => "../rules/snapshots", prepend_module_to_snapshot => false}, {
            insta::assert_snapshot!(id.to_ascii_lowercase(), text);
        });
    }
}

#[tokio::test]
async fn scn_01_a_right_server_is_clean_and_nothing_is_left_there() {
    let server = serve(None, None).await.expect("a server");
    let first = report(&request(&[server.url()])).await;
    assert_eq!(found(&first), Vec::<String>::new());
    assert_eq!(first.grade(), Grade::A);
    assert_eq!(first.unread(), 0, "{}", first.text(100, Color::Plain));
    let traces = server.traces();
    assert_eq!((traces.calls, traces.sessions, traces.clients), (0, 0, 0));
    assert!(traces.requests > 60 && traces.requests < 200, "{traces:?}");
    all_forms(&first);
    insta::assert_snapshot!("clean", plain(&first.text(100, Color::Plain)).replace(&format!("{} requests", traces.requests), "N requests"));
}

#[tokio::test]
async fn scn_01_who_has_no_credential_is_told_what_was_not_tried() {
    let server = serve(None, None).await.expect("a server");
    let report = report(&bare(&[server.url()])).await;
    assert_eq!(found(&report), Vec::<String>::new());
    let text = report.text(200, Color::Plain);
    assert!(text.contains("DW106: it wants a credential that the server accepts: --probe-token"), "{text}");
    assert_eq!(report.unread(), 0, "what was not given does not make a gate fail");
}

#[tokio::test]
async fn the_same_server_gives_the_same_report() {
    let server = serve(Some(Flaw::AnyOrigin), None).await.expect("a server");
    let first = report(&request(&[server.url()])).await;
    let second = report(&request(&[server.url()])).await;
    assert_eq!(all_forms(&first), all_forms(&second));
    let mut json = Value::Object(first.json());
    for finding in json["findings"].as_array_mut().expect("findings") {
        // It is made of the port, among others.
        finding["fingerprint"] = "FINGERPRINT".into();
    }
    insta::assert_snapshot!("json", plain(&serde_json::to_string_pretty(&json).expect("text")));
    let sarif = first.sarif();
    let run = &sarif["runs"][0];
    assert_eq!(run["tool"]["driver"]["rules"].as_array().map(Vec::len), Some(doorward_probe::RULES.len()));
    let result = &run["results"][0];
    assert_eq!(result["ruleId"], "DW108");
    let index = usize::try_from(result["ruleIndex"].as_u64().expect("a place")).expect("small");
    assert_eq!(run["tool"]["driver"]["rules"][index]["id"], "DW108");
    assert_eq!(result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"], server.url().as_str());
}
