//! DW116: an answer to nonsense holds a stack trace or paths of the server.

use super::{LiveRule, Look};
use crate::ask::Ask;
use crate::door::Stop;
use crate::visit::{Access, Visit};
use doorward_scan::{Confidence, Finding, Rule, Severity};
use serde_json::json;

pub(super) static RULE: LiveRule = LiveRule {
    rule: Rule::live(
        "DW116",
        Severity::Medium,
        "Errors tell about the inside",
        "They tell an attacker what runs there, in which version and where, and sometimes hold secrets.",
        "answer with an error code and a sentence; keep the trace for the log",
    ),
    look: Look::One(|visit| Box::pin(look(visit))),
};

/// What stands in traces and in nothing else that a server says.
const TRACES: [(&str, &str); 14] = [
    ("Traceback (most recent call last)", "a trace of Python"),
    ("site-packages/", "a path of Python packages"),
    ("node_modules/", "a path of Node packages"),
    ("node:internal/", "a trace of Node"),
    ("at async ", "a trace of JavaScript"),
    ("goroutine ", "a trace of Go"),
    ("runtime/panic.go", "a trace of Go"),
    ("panicked at ", "a panic of Rust"),
    ("stack backtrace:", "a trace of Rust"),
    ("java.lang.", "a trace of Java"),
    ("at System.", "a trace of .NET"),
    ("SQLSTATE[", "an error of a database"),
    ("/home/", "a path of a home directory"),
    ("/usr/src/app", "a path inside a container"),
];

async fn look(visit: &Visit) -> Result<Vec<Finding>, Stop> {
    let key = if visit.seen()?.access == Access::Locked { None } else { visit.identity()? };
    let mut found = Vec::new();
    for (subject, ask) in nonsense(visit) {
        let reply = visit.send(ask.by(key)).await?;
        let text = reply.text();
        // What was found is named; what it says is not shown, since it may be a secret.
        if let Some((_, what)) = TRACES.iter().find(|(mark, _)| text.contains(mark)) {
            let evidence = format!("{what} in the answer ({})", reply.told());
            found.push(visit.finding(&RULE.rule, Confidence::High, subject, evidence));
        }
    }
    Ok(found)
}

/// Requests that make no sense and call nothing.
fn nonsense(visit: &Visit) -> [(&'static str, Ask); 8] {
    let url = || visit.url.clone();
    let broken = |body: &[u8]| {
        let mut ask = Ask::message(url(), &json!({}));
        ask.body = body.to_vec();
        ask
    };
    let request = |method: serde_json::Value, params: serde_json::Value| {
        Ask::message(url(), &json!({"jsonrpc": "2.0", "id": visit.id(), "method": method, "params": params}))
    };
    let legacy = |method: &str| Ask::legacy(url(), &visit.id(), method, &json!({"a": [null]}));
    [
        ("broken JSON", broken(b"{\"jsonrpc\": \"2.0\", ")),
        ("bytes that are no text", broken(b"\xff\xfe\x00[[[")),
        ("a method that is no text", request(json!({"a": []}), json!(7))),
        ("an initialize of wrong types", request(json!("initialize"), json!({"protocolVersion": 7, "clientInfo": "x"}))),
        ("a revision that never was", legacy("tools/list").field("mcp-protocol-version", "1999-01-01")),
        ("an unknown method", legacy("doorward/nonsense")),
        ("a session that never was", legacy("tools/list").field("mcp-session-id", "%00../nonsense")),
        ("an accept that is none", legacy("tools/list").field("accept", "%")),
    ]
}
