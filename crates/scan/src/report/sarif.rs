//! SARIF 2.1.0 (OASIS), as code scanning reads it.

use super::Report;
use crate::document::Position;
use crate::finding::{Confidence, Finding, Severity};
use crate::rules::Rule;
use serde_json::{Value, json};
use std::fmt::Write as _;

impl Report {
    /// The report as one SARIF log.
    #[must_use]
    pub fn sarif(&self) -> Value {
        let notes: Vec<Value> = self
            .problems
            .iter()
            .map(|problem| {
                json!({
                    "level": "warning",
                    "descriptor": {"id": problem.id},
                    "message": {"text": problem.meaning},
                    "locations": [location(&problem.file, problem.at.or(Some(Position::START)))],
                })
            })
            .collect();
        json!({
            "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
            "version": "2.1.0",
            "runs": [{
                "tool": {"driver": {
                    "name": "doorward scan",
                    "semanticVersion": env!("CARGO_PKG_VERSION"),
                    "informationUri": "https://github.com/doorward/doorward",
                    "rules": self.rules.iter().map(|rule| described(rule)).collect::<Vec<_>>(),
                }},
                "columnKind": "unicodeCodePoints",
                "originalUriBaseIds": {"HOME": {"description": {"text": "the home directory of the user"}}},
                "invocations": [{"executionSuccessful": true, "toolExecutionNotifications": notes}],
                "results": self.findings.iter().map(|finding| result(finding, &self.rules)).collect::<Vec<_>>(),
            }],
        })
    }
}

const fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::High => "error",
        Severity::Medium => "warning",
        Severity::Low | Severity::Info => "note",
    }
}

/// How GitHub orders findings.
const fn security_severity(severity: Severity) -> &'static str {
    match severity {
        Severity::High => "8.0",
        Severity::Medium => "5.5",
        Severity::Low => "3.0",
        Severity::Info => "0.5",
    }
}

fn described(rule: &Rule) -> Value {
    json!({
        "id": rule.id,
        "shortDescription": {"text": rule.title},
        "fullDescription": {"text": rule.why},
        "help": {"text": rule.fix},
        "helpUri": rule.help_uri(),
        "defaultConfiguration": {"level": level(rule.severity)},
        "properties": {"tags": ["security", "mcp"], "security-severity": security_severity(rule.severity)},
    })
}

fn result(finding: &Finding, rules: &[&'static Rule]) -> Value {
    let text = format!("{}: {} ({}). Fix: {}", finding.rule.title, finding.evidence, finding.subject, finding.fix);
    let related: Vec<Value> = finding.also.iter().map(|site| location(&site.file, site.at)).collect();
    let rank = match finding.confidence {
        Confidence::High => 90.0,
        Confidence::Medium => 60.0,
        Confidence::Low => 30.0,
    };
    json!({
        "ruleId": finding.id(),
        "ruleIndex": rules.iter().position(|rule| rule.id == finding.id()),
        "level": level(finding.severity()),
        "rank": rank,
        "message": {"text": text},
        "locations": [location(&finding.place.file, finding.place.at)],
        "relatedLocations": related,
        "partialFingerprints": {"doorwardFinding/v1": finding.fingerprint()},
    })
}

fn location(file: &str, at: Option<Position>) -> Value {
    if file.starts_with("https://") || file.starts_with("http://") {
        return json!({"physicalLocation": {"artifactLocation": {"uri": file}}});
    }
    let at = at.unwrap_or(Position::START);
    let artifact = match file.strip_prefix("~/") {
        Some(rest) => json!({"uri": encoded(rest), "uriBaseId": "HOME"}),
        None if file.starts_with('/') => json!({"uri": format!("file://{}", encoded(file))}),
        None => json!({"uri": encoded(file)}),
    };
    json!({"physicalLocation": {"artifactLocation": artifact, "region": {"startLine": at.line, "startColumn": at.column}}})
}

/// A path as the path of a URI (RFC 3986 section 3.3).
fn encoded(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'-' | b'_' | b'.' | b'~') {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}
