//! DW110: a scope that means everything, or more scopes than anybody reads.

use super::{LiveRule, Look};
use crate::door::Stop;
use crate::metadata::{Document, parameter};
use crate::visit::Visit;
use doorward_scan::{Confidence, Finding, Rule, Severity};

pub(super) static RULE: LiveRule = LiveRule {
    rule: Rule::live(
        "DW110",
        Severity::Medium,
        "Scopes are wide, or a whole catalogue",
        "Clients ask for what the metadata lists, people agree to it, and a stolen token then opens everything.",
        "list the least that is needed to begin, and ask for more where a call needs it (403 insufficient_scope)",
    ),
    look: Look::One(|visit| Box::pin(look(visit))),
};

/// More than these are a catalogue.
const MANY: usize = 20;
/// Scopes that mean everything.
const WIDE: [&str; 8] =
    ["*", "all", "admin", "root", "full_access", "full-access", "superuser", "https://www.googleapis.com/auth/cloud-platform"];

async fn look(visit: &Visit) -> Result<Vec<Finding>, Stop> {
    let known = visit.seen()?;
    let metadata = &known.metadata;
    let challenge = known.refusal.as_ref().and_then(|refusal| parameter(refusal, "scope")).unwrap_or_default();
    let mut found = Vec::new();
    for (subject, scopes, many) in [
        ("protected resource metadata", listed(metadata.resource.as_ref()), Confidence::High),
        ("challenge", challenge.split_whitespace().collect(), Confidence::High),
        // An authorization server of many resources may well have many.
        ("authorization server metadata", listed(metadata.server.as_ref()), Confidence::Low),
    ] {
        let wide = scopes.iter().find(|scope| WIDE.contains(*scope) || scope.ends_with(":*") || scope.ends_with(".*"));
        if let Some(scope) = wide {
            found.push(visit.finding(&RULE.rule, Confidence::High, subject, format!("the scope {scope}")));
        } else if scopes.len() > MANY {
            found.push(visit.finding(&RULE.rule, many, subject, format!("{} scopes", scopes.len())));
        }
    }
    Ok(found)
}

fn listed(document: Option<&Document>) -> Vec<&str> {
    document.and_then(|document| document.list("scopes_supported")).unwrap_or_default()
}
