//! DW101: the server shows its tools to whoever asks.

use super::{LiveRule, Look};
use crate::door::Stop;
use crate::visit::{Access, Visit};
use doorward_scan::{Confidence, Finding, Rule, Severity};

pub(super) static RULE: LiveRule = LiveRule {
    rule: Rule::live(
        "DW101",
        Severity::High,
        "Answers without a credential",
        "Whoever reaches the address can use every tool; on this computer that is every program and, without a check of Origin, every web page.",
        "require a token (MCP authorization), or put the server behind the gateway",
    ),
    look: Look::One(|visit| Box::pin(look(visit))),
};

async fn look(visit: &Visit) -> Result<Vec<Finding>, Stop> {
    let known = visit.seen()?;
    if known.access != Access::Open {
        return Ok(Vec::new());
    }
    let plural = if known.tools.len() == 1 { "" } else { "s" };
    let evidence = format!("tools/list was answered without a credential: {} tool{plural}", known.tools.len());
    Ok(vec![visit.finding(&RULE.rule, Confidence::High, "no credential", evidence)])
}
