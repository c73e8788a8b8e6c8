//! DW203: two servers offer a tool of one name, names that look alike, or the text of one server speaks of a tool of another.

use super::{LiveRule, Look};
use crate::visit::Visit;
use crate::words::{plain, skeleton, texts};
use doorward_scan::{Confidence, Finding, Rule, Severity};
use serde_json::Value;
use std::collections::BTreeMap;

pub(super) static RULE: LiveRule = LiveRule {
    rule: Rule::live(
        "DW203",
        Severity::Medium,
        "Tools of servers get in each other's way",
        "A model takes one for the other, or follows what one server says about the tools of another.",
        "use the servers apart, or behind the gateway, where each tool has the name of its server in front",
    ),
    look: Look::All(look),
};

/// More findings tell nothing new.
const MOST: usize = 50;
/// A shorter name is also a word.
const TELLING: usize = 8;

fn look(visits: &[Visit]) -> Vec<Finding> {
    let mut found = Vec::new();
    // Each name by how it looks, with the first server that has it.
    let mut seen: BTreeMap<String, (&Visit, &str)> = BTreeMap::new();
    for visit in visits {
        for name in names(visit) {
            let (other, known) = *seen.entry(skeleton(name)).or_insert((visit, name));
            let finding = |sure, evidence: String| visit.finding(&RULE.rule, sure, &format!("tool {name}"), evidence);
            if std::ptr::eq(other, visit) {
                if known != name {
                    found.push(finding(Confidence::Medium, format!("{known} of the same server looks like it")));
                }
            } else if known == name {
                found.push(finding(Confidence::High, format!("{} has a tool of the same name", other.shown())));
            } else {
                found.push(finding(Confidence::High, format!("{known} of {} looks like it", other.shown())));
            }
        }
        for other in visits.iter().filter(|other| !std::ptr::eq(*other, visit)) {
            mentions(visit, other, &mut found);
        }
    }
    found.truncate(MOST);
    found
}

/// Where a text of one server speaks of a tool of another.
fn mentions(visit: &Visit, other: &Visit, found: &mut Vec<Finding>) {
    let own: Vec<&str> = names(visit).collect();
    let telling = |name: &&str| name.len() >= TELLING && name.contains(['_', '-']) && !own.contains(name);
    let foreign: Vec<String> = names(other).filter(telling).map(str::to_lowercase).collect();
    for tool in visit.known().into_iter().flat_map(|known| &known.tools) {
        let name = tool.get("name").and_then(Value::as_str).unwrap_or_default();
        let mut inside = Vec::new();
        texts(tool, &mut inside);
        let words: Vec<String> = inside.iter().map(|(_, text)| plain(text)).collect();
        let Some(known) = foreign.iter().find(|known| words.iter().any(|text| text.contains(known.as_str()))) else { continue };
        let evidence = format!("its text speaks of {known} of {}", other.shown());
        found.push(visit.finding(&RULE.rule, Confidence::Medium, &format!("tool {name}"), evidence));
        if found.len() >= MOST {
            return;
        }
    }
}

fn names(visit: &Visit) -> impl Iterator<Item = &str> {
    let tools = visit.known().into_iter().flat_map(|known| &known.tools);
    tools.filter_map(|tool| tool.get("name")?.as_str())
}
