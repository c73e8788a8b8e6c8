//! DW060: `danger_..` or `plain:` in a configuration of Doorward: a check that is off, or a secret in the file. The gateway
//! names both at each start; here an auditor sees them without one.

use super::Rule;
use crate::document::{Node, Position};
use crate::estate::{Document, Estate, Kind};
use crate::finding::{Confidence, Finding, Severity};

pub(super) static RULE: Rule = Rule {
    id: "DW060",
    severity: Severity::Medium,
    title: "Dangerous setting of the gateway",
    why: "A setting whose name says danger takes a protection away from everybody; a plain: value is a secret in a file.",
    fix: "take danger_.. out; keep the secret elsewhere: env:NAME, file:/path or cred:NAME",
    check,
};

fn check(estate: &Estate) -> Vec<Finding> {
    let mut found = Vec::new();
    for document in estate.documents.iter().filter(|document| matches!(document.kind, Kind::Doorward)) {
        walk(document, &document.root, "", &mut found);
        document.root.leaves("", &mut |path, _, text, at| {
            if text.peek().starts_with("plain:") {
                found.push(finding(document, at, format!("{path} = plain:...")));
            }
        });
    }
    found
}

fn walk(document: &Document, node: &Node, path: &str, found: &mut Vec<Finding>) {
    for member in node.members() {
        let path = if path.is_empty() { member.key.clone() } else { format!("{path}.{}", member.key) };
        if member.key.starts_with("danger_") && member.node.truth() != Some(false) {
            found.push(finding(document, member.at, path.clone()));
        }
        walk(document, &member.node, &path, found);
    }
    for item in node.items() {
        walk(document, item, path, found);
    }
}

fn finding(document: &Document, at: Position, evidence: String) -> Finding {
    Finding::new(&RULE, Confidence::High, document.site(at), document.owner(), evidence)
}
