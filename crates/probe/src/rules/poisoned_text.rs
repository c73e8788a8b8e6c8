//! DW201: a name, description, schema or instruction with characters that nobody sees, or with orders to the model.

use super::{LiveRule, Look};
use crate::door::Stop;
use crate::visit::Visit;
use crate::words::{Poison, poison, texts};
use doorward_scan::{Confidence, Finding, Rule, Severity};
use serde_json::Value;
use std::collections::BTreeSet;

pub(super) static RULE: LiveRule = LiveRule {
    rule: Rule::live(
        "DW201",
        Severity::High,
        "Tool texts hold what is hidden, or orders",
        "Models read these texts as if their user had written them, and people do not see them.",
        "do not use the server; whoever runs it takes the text out, and behind the gateway a tool is seen before it is approved",
    ),
    look: Look::One(|visit| Box::pin(look(visit))),
};

/// More findings tell nothing new.
const MOST: usize = 50;

async fn look(visit: &Visit) -> Result<Vec<Finding>, Stop> {
    let known = visit.seen()?;
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    let instructions = known.instructions.iter().map(|text| ("the server".to_owned(), "instructions", text.as_str()));
    let tools = known.tools.iter().chain(&known.again).flat_map(|tool| {
        let name = tool.get("name").and_then(Value::as_str).unwrap_or("without a name");
        let mut inside = Vec::new();
        texts(tool, &mut inside);
        inside.into_iter().map(move |(key, text)| (format!("tool {name}"), key, text))
    });
    for (subject, key, text) in instructions.chain(tools) {
        for poison in poison(text) {
            let (sure, evidence) = match poison {
                Poison::Hidden(count, first) => {
                    (Confidence::High, format!("{key}: hidden characters ({count}), the first is U+{:04X}", u32::from(first)))
                }
                Poison::Order(words, meaning) => (Confidence::Medium, format!("{key}: {meaning} (\"{words}\")")),
            };
            if found.len() < MOST && seen.insert((subject.clone(), evidence.clone())) {
                found.push(visit.finding(&RULE.rule, sure, &subject, evidence));
            }
        }
    }
    Ok(found)
}
