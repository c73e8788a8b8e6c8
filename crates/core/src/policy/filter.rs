//! The same decision over the entries of a list: listed is what is callable with some arguments.
//!
//! The result depends on the caller's credential, the server, the facts and [`Rules::version`]; a cache keyed by these may
//! keep it until the catalogue or an approval changes, and only if no rule reads the time. Lists are private to their caller.

use super::decide::who;
use super::facts::{Facts, RiskClass, ToolFacts};
use super::judge::{Approval, is_listed};
use super::request::{Asker, What};
use super::rules::Rules;
use crate::session::Bound;
use std::collections::HashMap;

/// Which tools of `bound`'s server the caller may see; one answer per entry, in order. `facts.tool` is not looked at.
#[must_use]
pub fn tools(rules: &Rules, facts: &Facts, bound: &Bound, tools: &[ToolFacts]) -> Vec<bool> {
    if !facts.visible {
        return vec![false; tools.len()];
    }
    let asker = Asker::new(rules, who(facts, bound));
    let mut alike: HashMap<RiskClass, bool> = HashMap::new();
    tools
        .iter()
        .map(|tool| {
            let what = What::Tool { name: tool.name.as_str(), class: tool.class };
            if !tool.approved {
                false
            } else if asker.is_uniform(what) {
                *alike.entry(tool.class).or_insert_with(|| is_listed(&asker, what, Approval::Stands, &facts.able))
            } else {
                is_listed(&asker, what, Approval::Stands, &facts.able)
            }
        })
        .collect()
}

/// Which prompts the caller may see.
#[must_use]
pub fn prompts<N: AsRef<str>>(rules: &Rules, facts: &Facts, bound: &Bound, names: &[N]) -> Vec<bool> {
    each(rules, facts, bound, names, |name| What::Prompt { name })
}

/// Which resources, or resource templates by their text, the caller may see.
#[must_use]
pub fn resources<N: AsRef<str>>(rules: &Rules, facts: &Facts, bound: &Bound, uris: &[N]) -> Vec<bool> {
    each(rules, facts, bound, uris, |uri| What::Resource { uri })
}

fn each<N: AsRef<str>>(rules: &Rules, facts: &Facts, bound: &Bound, names: &[N], what: impl Fn(&str) -> What<'_>) -> Vec<bool> {
    if !facts.visible {
        return vec![false; names.len()];
    }
    let asker = Asker::new(rules, who(facts, bound));
    names.iter().map(|name| is_listed(&asker, what(name.as_ref()), Approval::Stands, &facts.able)).collect()
}
