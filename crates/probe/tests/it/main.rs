//! The live auditor as a whole: servers with one flaw each, a right one, and servers that attack it, all on loopback.
#![cfg(test)]

mod flaws;
mod hostile;
mod house;
mod tls;

use doorward_core::secret::Secret;
use doorward_probe::{Limits, Request, Server, probe};
use doorward_scan::{Color, Report};
use doorward_testkit::flawed::{FOREIGN, LEAKED, OWN, SECOND};
use serde_json::Value;
use std::collections::BTreeMap;

/// A request about these servers, with all three credentials.
fn request(urls: &[String]) -> Request {
    let server = |url: &String| {
        let token = |text: &str| Some(Secret::new(text.to_owned()));
        Server { url: url.parse().expect("an address"), own: token(OWN), second: token(SECOND), foreign: token(FOREIGN) }
    };
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    Request {
        servers: urls.iter().map(server).collect(),
        allowed: Vec::new(),
        upstream: None,
        extra_ca: Vec::new(),
        names: vec!["own".to_owned()],
        now: u64::try_from(now.as_millis()).expect("no such time"),
        pins: BTreeMap::new(),
        limits: Limits { samples: 24, guesses: 1000, ..Limits::default() },
        seed: [7; 32],
    }
}

/// The same without credentials.
fn bare(urls: &[String]) -> Request {
    let mut request = request(urls);
    for server in &mut request.servers {
        (server.own, server.second, server.foreign) = (None, None, None);
    }
    request
}

async fn report(request: &Request) -> Report {
    let live = probe(request).await.expect("a request that can be made");
    assert!(!format!("{live:?}").contains(OWN), "no Debug shows a credential");
    Report::of_servers(None, live)
}

/// Every form in which a report can be seen; none may hold a credential, a canary or a session id.
fn all_forms(report: &Report) -> String {
    let json = Value::Object(report.json());
    let all = format!("{}\n{json}\n{}\n{}\n{report:?}", report.text(100, Color::Plain), report.sarif(), report.html());
    for secret in [OWN, SECOND, FOREIGN, LEAKED, "dwcanary-"] {
        assert!(!all.contains(secret), "a report shows {secret}");
    }
    all
}

/// Findings as `rule confidence subject: evidence`, without what differs from run to run.
fn found(report: &Report) -> Vec<String> {
    let json = report.json();
    let text = |finding: &Value, key: &str| finding[key].as_str().unwrap_or_default().to_owned();
    let findings = json["findings"].as_array().expect("findings").iter();
    findings
        .map(|one| format!("{} {} {}: {}", text(one, "id"), text(one, "confidence"), text(one, "subject"), text(one, "evidence")))
        .collect()
}

fn ids(report: &Report) -> Vec<&'static str> {
    let mut ids: Vec<&'static str> = report.findings().iter().map(doorward_scan::Finding::id).collect();
    ids.dedup();
    ids
}

/// Without the ports of this run.
fn plain(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((front, back)) = rest.split_once("127.0.0.1:") {
        out.push_str(front);
        out.push_str("127.0.0.1:");
        out.push_str(if back.starts_with("33418") { "33418" } else { "PORT" });
        rest = back.trim_start_matches(|c: char| c.is_ascii_digit());
    }
    out + rest
}
