//! DW202: the same list, asked for twice, gives another definition.

use super::{LiveRule, Look};
use crate::door::Stop;
use crate::visit::Visit;
use doorward_core::secret::sha256;
use doorward_scan::{Confidence, Finding, Rule, Severity};
use serde_json::Value;
use std::collections::BTreeMap;

pub(super) static RULE: LiveRule = LiveRule {
    rule: Rule::live(
        "DW202",
        Severity::High,
        "A tool changed between two lists",
        "What a user agreed to is not what the model is told a moment later.",
        "do not use the server; behind the gateway a changed definition is neither listed nor called",
    ),
    look: Look::One(|visit| Box::pin(look(visit))),
};

/// More findings tell nothing new.
const MOST: usize = 20;

async fn look(visit: &Visit) -> Result<Vec<Finding>, Stop> {
    let known = visit.seen()?;
    let (before, after) = (digests(&known.tools), digests(&known.again));
    let changed = before.iter().filter(|(name, digest)| after.get(*name).is_some_and(|now| now != *digest)).take(MOST);
    let finding = |name: &str| visit.finding(&RULE.rule, Confidence::High, &format!("tool {name}"), "its definition changed");
    Ok(changed.map(|(name, _)| finding(name)).collect())
}

/// By name; of two tools with one name the last counts.
fn digests(tools: &[Value]) -> BTreeMap<&str, [u8; 32]> {
    tools.iter().filter_map(|tool| Some((tool.get("name")?.as_str()?, sha256(tool.to_string().as_bytes())))).collect()
}
