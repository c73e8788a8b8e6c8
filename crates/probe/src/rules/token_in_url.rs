//! DW114: a token in the query of the address counts.

use super::{LiveRule, Look};
use crate::ask::Ask;
use crate::door::Stop;
use crate::metadata::parameter;
use crate::visit::{Access, Visit};
use doorward_scan::{Confidence, Finding, Rule, Severity};
use http::StatusCode;

pub(super) static RULE: LiveRule = LiveRule {
    rule: Rule::live(
        "DW114",
        Severity::Medium,
        "Reads tokens out of the address",
        "Addresses stand in logs, histories and referrers, and the tokens in them with them.",
        "take tokens from the Authorization header alone (RFC 9700 section 4.3.2)",
    ),
    look: Look::One(|visit| Box::pin(look(visit))),
};

async fn look(visit: &Visit) -> Result<Vec<Finding>, Stop> {
    let known = visit.seen()?;
    if known.access == Access::Open {
        return Err(Stop::Untried("the server asks for no credential"));
    }
    let refusal = known.refusal.as_ref().filter(|refusal| refusal.is(StatusCode::UNAUTHORIZED));
    if refusal.is_none_or(|refusal| parameter(refusal, "error").is_some()) {
        return Err(Stop::Untried("the server does not tell a missing token from a wrong one"));
    }
    // A canary alone: what is written into an address stays in the logs of the server. Who reads it says that it is wrong.
    for name in ["access_token", "token", "api_key"] {
        let mut url = visit.url.clone();
        url.query_pairs_mut().append_pair(name, &format!("dwcanary-{}", visit.word("url")));
        let reply = visit.send(Ask::initialize(url, &visit.id())).await?;
        if reply.result().is_some() {
            return Ok(vec![visit.finding(&RULE.rule, Confidence::High, name, "any token in the address is let in")]);
        }
        let judged = parameter(&reply, "error").or_else(|| reply.is(StatusCode::FORBIDDEN).then(|| reply.told()));
        if let Some(error) = judged {
            let evidence = format!("a wrong token in the address is judged: {error}");
            return Ok(vec![visit.finding(&RULE.rule, Confidence::Medium, name, evidence)]);
        }
    }
    Ok(Vec::new())
}
