//! DW030: tools run without a question: `trust: true`, lists of approved tools, `*`, a whole client told not to ask.

use super::Rule;
use crate::estate::Estate;
use crate::finding::{Confidence, Finding, Severity};
use crate::server::{Approval, Reach};

pub(super) static RULE: Rule = Rule {
    id: "DW030",
    severity: Severity::Medium,
    title: "Confirmations are off",
    why: "A text that the agent reads, in an issue or on a page, can make it call these tools before anybody sees it.",
    fix: "take the setting out, or let only tools through that read; the gateway can ask for the rest",
    check,
};

fn check(estate: &Estate) -> Vec<Finding> {
    let mut found = Vec::new();
    for document in &estate.documents {
        for approval in &document.approvals {
            found.push(Finding::new(&RULE, Confidence::High, document.site(approval.at), document.owner(), told(approval)));
        }
        for server in &document.servers {
            for approval in &server.approvals {
                let confidence = if approval.reach == Reach::All { Confidence::High } else { Confidence::Medium };
                found.push(Finding::new(&RULE, confidence, document.site(approval.at), document.subject(server), told(approval)));
            }
        }
    }
    found
}

fn told(approval: &Approval) -> String {
    match approval.reach {
        Reach::All => format!("{}: every tool runs without a question", approval.path),
        Reach::Some(1) => format!("{}: 1 tool runs without a question", approval.path),
        Reach::Some(count) => format!("{}: {count} tools run without a question", approval.path),
    }
}
