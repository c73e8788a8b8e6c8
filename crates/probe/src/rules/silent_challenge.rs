//! DW103: a refusal without a challenge, or without the address of the resource metadata.

use super::{LiveRule, Look};
use crate::door::Stop;
use crate::visit::{Access, Visit};
use doorward_scan::{Confidence, Finding, Rule, Severity};
use http::StatusCode;

pub(super) static RULE: LiveRule = LiveRule {
    rule: Rule::live(
        "DW103",
        Severity::Medium,
        "401 does not say how to sign in",
        "Clients then guess where to sign in, and what they guess may belong to somebody else.",
        "answer 401 with WWW-Authenticate: Bearer resource_metadata=\"https://../.well-known/oauth-protected-resource/..\" (RFC 9728 section 5.1)",
    ),
    look: Look::One(|visit| Box::pin(look(visit))),
};

async fn look(visit: &Visit) -> Result<Vec<Finding>, Stop> {
    let known = visit.seen()?;
    let Some(refusal) = &known.refusal else { return Err(Stop::Untried("the server refuses nobody")) };
    let finding = |sure, evidence: &str| Ok(vec![visit.finding(&RULE.rule, sure, "a request without a credential", evidence)]);
    if !refusal.is(StatusCode::UNAUTHORIZED) {
        return finding(Confidence::Medium, &format!("refused with {} instead of 401", refusal.told()));
    }
    if refusal.field("www-authenticate").is_none() {
        return finding(Confidence::High, "401 without WWW-Authenticate (RFC 9110 section 15.5.2)");
    }
    if known.metadata.named.is_some() {
        return Ok(Vec::new());
    }
    match (&known.metadata.resource, &known.metadata.server) {
        // Revisions from 2025-11-25 on let clients look at the well-known address as well.
        (Some(_), _) => finding(Confidence::Low, "no resource_metadata in the challenge, but a document at the well-known address"),
        // Another address of this host is for OAuth; this one lets keys in and names no authorization server of its own.
        (None, Some(_)) if known.access == Access::Keyed => Ok(Vec::new()),
        (None, Some(_)) => finding(Confidence::High, "no resource_metadata in the challenge, and no document at the well-known address"),
        // Where static keys are let in there is nothing to sign in at.
        (None, None) if known.access == Access::Keyed => Ok(Vec::new()),
        (None, None) => finding(Confidence::Medium, "no resource_metadata in the challenge, and no metadata at any well-known address"),
    }
}
