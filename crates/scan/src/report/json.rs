//! The report for programs, and baselines, which are such reports of an earlier day.

use super::{Looked, Report};
use crate::finding::{Finding, Site};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// The version of the document.
const VERSION: u64 = 1;

/// A file that is no baseline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a report of `doorward scan --json`, version 1")]
pub struct BadBaseline;

impl Report {
    /// The report as one document, `"v": 1`.
    #[must_use]
    pub fn json(&self) -> Map<String, Value> {
        let problems: Vec<Value> = self
            .problems
            .iter()
            .map(|problem| json!({"id": problem.id, "file": problem.file, "line": problem.at.map(|at| at.line), "column": problem.at.map(|at| at.column), "message": problem.meaning}))
            .collect();
        let counts: Map<String, Value> =
            self.counts().into_iter().map(|(severity, count)| (severity.name().to_owned(), count.into())).collect();
        let document = json!({
            "v": VERSION,
            "tool": {"name": "doorward scan", "version": env!("CARGO_PKG_VERSION")},
            "summary": {
                "grade": if self.looked() == Looked::Nowhere { Value::Null } else { self.grade().letter().into() },
                "complete": self.hidden() == 0,
                "files": self.files,
                "servers": self.servers,
                "clients": self.clients,
                "asked": self.asked.iter().map(|asked| json!({"url": asked.url, "requests": asked.requests, "addresses": asked.addresses})).collect::<Vec<_>>(),
                "findings": counts,
                "left_out": self.suppressed,
            },
            "findings": self.findings.iter().map(finding).collect::<Vec<_>>(),
            "problems": problems,
            "not_covered": self.not_covered(),
        });
        if let Value::Object(members) = document { members } else { Map::new() }
    }

    /// The fingerprints that a baseline holds: the text of an earlier [`Report::json`].
    ///
    /// # Errors
    /// [`BadBaseline`] if it is something else.
    pub fn baseline(text: &str) -> Result<BTreeSet<String>, BadBaseline> {
        let document: Value = serde_json::from_str(text).map_err(|_| BadBaseline)?;
        if document.get("v").and_then(Value::as_u64) != Some(VERSION) {
            return Err(BadBaseline);
        }
        let findings = document.get("findings").and_then(Value::as_array).ok_or(BadBaseline)?;
        findings.iter().map(|finding| finding.get("fingerprint").and_then(Value::as_str).map(str::to_owned).ok_or(BadBaseline)).collect()
    }
}

fn finding(finding: &Finding) -> Value {
    json!({
        "id": finding.id(),
        "severity": finding.severity().name(),
        "confidence": finding.confidence.name(),
        "title": finding.rule.title,
        "file": finding.place.file,
        "line": finding.place.at.map(|at| at.line),
        "column": finding.place.at.map(|at| at.column),
        "subject": finding.subject,
        "evidence": finding.evidence,
        "why": finding.rule.why,
        "fix": finding.fix,
        "help": finding.rule.help_uri(),
        "also": finding.also.iter().map(site).collect::<Vec<_>>(),
        "fingerprint": finding.fingerprint(),
    })
}

fn site(site: &Site) -> Value {
    json!({"file": site.file, "line": site.at.map(|at| at.line), "column": site.at.map(|at| at.column)})
}
