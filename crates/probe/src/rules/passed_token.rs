//! DW118: a token that was given to the server arrives at its upstream.

use super::{LiveRule, Look};
use crate::ask::{Ask, Key};
use crate::door::Stop;
use crate::visit::{Does, Visit};
use doorward_scan::{Confidence, Finding, Rule, Severity};
use serde_json::json;

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

/// Lists besides that of tools.
const LISTS: [&str; 3] = ["resources/list", "resources/templates/list", "prompts/list"];

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
        lists(visit, own).await?;
        if upstream.saw(&own.hidden()) {
            found.push(visit.finding(&RULE.rule, Confidence::High, "the credential that was given", "it arrived at the upstream"));
        }
    }
    if found.is_empty() && !upstream.saw_anything() {
        return Err(Stop::Untried("nothing arrived at the upstream without a call of a tool"));
    }
    Ok(found)
}

/// What else a server may ask its upstream for, without an effect: everything that can be listed.
async fn lists(visit: &Visit, own: &Key) -> Result<(), Stop> {
    let known = visit.seen()?;
    if known.modern == Does::Yes {
        for method in LISTS {
            visit.modern(Some(own), method).await?;
        }
    }
    if known.legacy == Does::Yes {
        let session = visit.open(Some(own)).await?;
        for method in LISTS {
            let ask = Ask::legacy(visit.url.clone(), &visit.id(), method, &json!({}));
            visit.send(ask.by(Some(own)).in_session(session.id.as_deref())).await?;
        }
        visit.close(&session).await?;
    }
    Ok(())
}
