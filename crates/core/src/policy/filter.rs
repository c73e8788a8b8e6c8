//! The same decision over the entries of a list: listed is what is callable with some arguments.
//!
//! The result depends on the caller's credential, the server, the facts and [`Rules::version`]; a cache keyed by these may
//! keep it until the catalogue or an approval changes, and only if no rule reads the time. Lists are private to their caller.

use super::decide::who;
use super::facts::{Facts, ToolFacts};
use super::judge::is_listed;
use super::request::{Alike, Asker, What};
use super::rules::Rules;
use crate::session::Bound;

/// Which tools of `bound`'s server the caller may see; one answer per entry, in order. `facts.tool` is not looked at.
#[must_use]
pub fn tools(rules: &Rules, facts: &Facts, bound: &Bound, tools: &[ToolFacts]) -> Vec<bool> {
    if !facts.visible {
        return vec![false; tools.len()];
    }
    let asker = Asker::new(rules, who(facts, bound));
    let mut alike = Alike::new();
    tools
        .iter()
        .map(|tool| tool.approved && is_listed(&asker, What::Tool { name: tool.name.as_str(), class: tool.class }, &facts.able, &mut alike))
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
    let mut alike = Alike::new();
    names.iter().map(|name| is_listed(&asker, what(name.as_ref()), &facts.able, &mut alike)).collect()
}
