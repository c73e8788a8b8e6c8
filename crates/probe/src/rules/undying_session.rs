//! DW115: a session that was ended is used again.

use super::{LiveRule, Look};
use crate::door::Stop;
use crate::visit::{Does, Visit};
use doorward_scan::{Confidence, Finding, Rule, Severity};

pub(super) static RULE: LiveRule = LiveRule {
    rule: Rule::live(
        "DW115",
        Severity::Medium,
        "A session works after its end",
        "Who ends a session believes that its id is worth nothing any more.",
        "forget a session at DELETE, and answer its id with 404",
    ),
    look: Look::One(|visit| Box::pin(look(visit))),
};

async fn look(visit: &Visit) -> Result<Vec<Finding>, Stop> {
    let key = visit.with_sessions()?;
    let session = visit.open(key).await?;
    let Some(id) = session.id.clone() else { return Err(Stop::Untried("the server gives no session ids")) };
    let takes_any = visit.takes_any_session(key).await?;
    let ended = visit.close(&session).await?;
    if takes_any == Does::Yes {
        return Err(Stop::Untried("the server takes any session id, so that ids mean nothing"));
    }
    if !ended.is_success() {
        return Err(Stop::Untried("the server lets nobody end a session"));
    }
    let evidence = format!("tools/list was answered after DELETE, which had been answered with {}", ended.told());
    let works = visit.list(key, Some(&id)).await?.result().is_some();
    Ok(if works { vec![visit.finding(&RULE.rule, Confidence::High, "Mcp-Session-Id", evidence)] } else { Vec::new() })
}
