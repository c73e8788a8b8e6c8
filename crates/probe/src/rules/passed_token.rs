//! DW118: a token that was given to the server arrives at its upstream.

use super::{LiveRule, Look};
use crate::ask::Key;
use crate::door::Stop;
use crate::visit::Visit;
use doorward_scan::{Confidence, Finding, Rule, Severity};

pub(super) static RULE: LiveRule = LiveRule {
    rule: Rule::live(
        "DW118",
        Severity::High,
        "Passes the token of its caller on",
        "The upstream cannot tell who is asking, and whoever runs it can act at the server as its users.",
        "never forward a token: get one of one's own for the upstream (MCP authorization, token passthrough is forbidden)",
    ),
    look: Look::One(|visit| Box::pin(look(visit))),
};

async fn look(visit: &Visit) -> Result<Vec<Finding>, Stop> {
    let Some(upstream) = &visit.upstream else {
        return Err(Stop::Untried("it wants a server whose upstream is this program: --probe-upstream ADDRESS"));
    };
    let canary = format!("dwcanary-{}", visit.word("upstream"));
    let mut found = Vec::new();
    if let Some(key) = Key::canary(&canary) {
        visit.hide(&canary);
        visit.lets_in(Some(&key)).await?;
        if upstream.saw(&canary) {
            found.push(visit.finding(&RULE.rule, Confidence::High, "a token made up of random letters", "it arrived at the upstream"));
        }
    }
    if let Some(own) = &visit.keys.own {
        visit.lets_in(Some(own)).await?;
        if upstream.saw(&own.hidden()) {
            found.push(visit.finding(&RULE.rule, Confidence::High, "the credential that was given", "it arrived at the upstream"));
        }
    }
    if found.is_empty() && !upstream.saw_anything() {
        return Err(Stop::Untried("nothing arrived at the upstream without a call of a tool"));
    }
    Ok(found)
}
