//! DW117: a request whose headers say something else than its body is answered.

use super::{LiveRule, Look};
use crate::ask::{Ask, LEGACY};
use crate::door::Stop;
use crate::visit::{Does, Visit};
use doorward_scan::{Confidence, Finding, Rule, Severity};
use serde_json::json;

pub(super) static RULE: LiveRule = LiveRule {
    rule: Rule::live(
        "DW117",
        Severity::Medium,
        "Headers and body may differ",
        "Whatever decides by the headers, a proxy or a rate limit, lets through what the body then does.",
        "compare Mcp-Method, Mcp-Name and MCP-Protocol-Version with the body, and refuse with 400 and -32020",
    ),
    look: Look::One(|visit| Box::pin(look(visit))),
};

async fn look(visit: &Visit) -> Result<Vec<Finding>, Stop> {
    let key = visit.identity()?;
    if visit.seen()?.modern == Does::No {
        return Err(Stop::Untried("the server does not speak 2026-07-28"));
    }
    let ask = |id: &str| Ask::modern(visit.url.clone(), id, "tools/list", json!({})).by(key);
    if visit.send(ask(&visit.id())).await?.result().is_none() {
        return Err(Stop::Untried("the server does not list its tools"));
    }
    let mut found = Vec::new();
    for (subject, ask) in [
        ("Mcp-Method", ask(&visit.id()).field("mcp-method", "server/discover")),
        ("MCP-Protocol-Version", ask(&visit.id()).field("mcp-protocol-version", LEGACY)),
    ] {
        if visit.send(ask).await?.result().is_some() {
            let evidence = "tools/list was answered although the header says something else";
            found.push(visit.finding(&RULE.rule, Confidence::High, subject, evidence));
        }
    }
    Ok(found)
}
