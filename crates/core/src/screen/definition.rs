//! Whether the definition of a tool tells a model what to do, instead of what the tool does (POL-03).
//!
//! Judged before anybody approves it, and again by a running gateway, so that a newer rule looks at what an older one let pass.
//! Signs add up: an honest definition may talk of passwords, files and instructions, but not of all of it at once.

use super::rules::{HIGH, Rule, Subject};
use super::search::{Asked, Searcher};
use crate::json::RawJson;
use crate::json::leaves::Leaf;
use std::collections::{BTreeMap, BTreeSet};

/// What was found in a definition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Judgement {
    findings: Vec<Finding>,
    is_high: bool,
}

/// One sign, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// Stable id of the rule.
    pub rule: &'static str,
    /// The keys that lead to it, from the outside: text of the server.
    pub place: String,
}

/// As much as signs in several texts of one definition must say together.
const HIGH_TOGETHER: u32 = 12;
/// Places that are named of one rule: each rule has one at least, however much stands in front of it.
const MOST_PLACES: usize = 8;

/// Judges a definition: name, title, description, annotations and every text of its schemas, keys among them; and the texts one
/// behind the other, as a model reads them.
#[must_use]
pub fn judge(searcher: &Searcher, definition: &RawJson) -> Judgement {
    let mut places = BTreeMap::<&'static str, BTreeSet<String>>::new();
    let mut all = Weights::default();
    let mut is_high = false;
    let (mut whole, mut ends) = (String::new(), Vec::new());
    let mut name = |rule: &Rule, place: &str| {
        let known = places.entry(rule.id).or_default();
        if known.len() < MOST_PLACES {
            known.insert(place.to_owned());
        }
    };
    let read = definition.leaves(|leaf| {
        let place = leaf.trail.iter().map(AsRef::as_ref).collect::<Vec<&str>>().join("/");
        let mut here = Weights::default();
        for found in searcher.find(&leaf.text, Asked::Signs) {
            if weight(found.rule) > 0 {
                here.add(found.rule);
                all.add(found.rule);
                name(found.rule, &place);
            }
        }
        is_high |= here.sum() >= u32::from(HIGH);
        if leaf.leaf == Leaf::Text && !is_heading(&place, &leaf.text) {
            whole.push_str(&leaf.text);
            whole.push(' ');
            ends.push((whole.len(), place));
        }
    });
    // What no text says alone: by the rules that need no other.
    for found in searcher.find(&whole, Asked::Signs).into_iter().filter(|found| weight(found.rule) >= u32::from(HIGH)) {
        if !all.has(found.rule) {
            is_high = true;
            let place = ends.iter().find(|(end, _)| *end > found.span.start).map_or("", |(_, place)| place.as_str());
            name(found.rule, place);
        }
    }
    is_high |= all.sum() >= HIGH_TOGETHER || read.is_none();
    let findings = places.into_iter().flat_map(|(rule, places)| places.into_iter().map(move |place| Finding { rule, place })).collect();
    Judgement { findings, is_high }
}

/// The name or the short title of a tool is no beginning of the sentence behind it: "Print Environment Tool" does not print what its
/// description goes on to say.
fn is_heading(place: &str, text: &str) -> bool {
    matches!(place, "name" | "title" | "annotations/title") && text.split_whitespace().count() <= 5
}

/// What each rule says that was found: the most, where rules have one name.
#[derive(Default)]
struct Weights(BTreeMap<&'static str, u32>);

impl Weights {
    fn add(&mut self, rule: &Rule) {
        let known = self.0.entry(rule.id).or_default();
        *known = weight(rule).max(*known);
    }

    fn has(&self, rule: &Rule) -> bool {
        self.0.contains_key(rule.id)
    }

    fn sum(&self) -> u32 {
        self.0.values().sum()
    }
}

fn weight(rule: &Rule) -> u32 {
    match rule.subject {
        // A key in a definition is somebody's mistake at best.
        Subject::Credential => u32::from(HIGH),
        Subject::Personal => 0,
        Subject::Injection => u32::from(rule.weight),
    }
}

impl Judgement {
    /// Whether nobody should call the tool before a person has looked at the findings.
    #[must_use]
    pub const fn is_high(&self) -> bool {
        self.is_high
    }

    /// What was found, also where it is not enough to be high.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// The ids of the rules, each once, in their order.
    #[must_use]
    pub fn rules(&self) -> Vec<&'static str> {
        let mut rules: Vec<&'static str> = self.findings.iter().map(|finding| finding.rule).collect();
        rules.dedup();
        rules
    }
}
