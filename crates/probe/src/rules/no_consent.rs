//! DW111: an authorization of a client that was registered a moment ago goes on to a third party, or is granted, without a page.

use super::{LiveRule, Look};
use crate::door::Stop;
use crate::registration::{Challenge, REDIRECT, answered, authorize, leads_to};
use crate::visit::Visit;
use doorward_scan::{Confidence, Finding, Rule, Severity};

pub(super) static RULE: LiveRule = LiveRule {
    rule: Rule::live(
        "DW111",
        Severity::High,
        "A new client is sent on without a question",
        "Where a proxy has one client at the third party, whose consent is remembered, an attacker's client gets the code of a user who clicked a link.",
        "show a page with name and address of the client before anybody is sent on (MCP security best practices, confused deputy)",
    ),
    look: Look::One(|visit| Box::pin(look(visit))),
};

async fn look(visit: &Visit) -> Result<Vec<Finding>, Stop> {
    let Some(client) = visit.client().await? else {
        return Err(Stop::Untried("the authorization server registers nobody by itself"));
    };
    let Some(reply) = authorize(visit, client, REDIRECT, Challenge::S256).await? else {
        return Err(Stop::Untried("the authorization endpoint is not to be asked"));
    };
    let finding = |sure, evidence: String| Ok(vec![visit.finding(&RULE.rule, sure, "authorization endpoint", evidence)]);
    if answered(&reply, REDIRECT, "code").is_some() {
        return finding(Confidence::High, "a code was given to a new client without a page and without a user".to_owned());
    }
    let own = visit.seen()?.metadata.server.as_ref().and_then(|server| server.address("authorization_endpoint"));
    let Some(own) = own else { return Ok(Vec::new()) };
    let third = leads_to(&reply, &own).filter(|to| to.host() != own.host() && !to.as_str().starts_with(REDIRECT));
    // Whether its own page comes after that of the third party cannot be seen from here.
    match third.filter(|to| to.query_pairs().any(|(name, _)| name == "client_id")) {
        Some(to) => finding(Confidence::Medium, format!("a new client is sent on to {} without a page", to.host_str().unwrap_or_default())),
        None => Ok(Vec::new()),
    }
}
