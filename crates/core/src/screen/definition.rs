//! Whether the definition of a tool tells a model what to do, instead of what the tool does (POL-03).
//!
//! Judged before anybody approves it, and again by a running gateway, so that a newer rule looks at what an older one let pass.
//! Signs add up: an honest definition may talk of passwords, files and instructions, but not of all of it at once.

use super::rules::{HIGH, Rule, Subject};
use super::search::{Asked, Searcher};
use crate::json::RawJson;
use std::collections::BTreeMap;

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
/// Places that are named.
const MOST_FINDINGS: usize = 64;

/// Judges a definition: name, title, description, annotations and every text of its schemas, keys among them.
#[must_use]
pub fn judge(searcher: &Searcher, definition: &RawJson) -> Judgement {
    let mut findings = Vec::new();
    let mut all = BTreeMap::<&'static str, u32>::new();
    let mut is_high = false;
    let read = definition.leaves(|leaf| {
        let mut here = BTreeMap::<&'static str, u32>::new();
        for found in searcher.find(&leaf.text, Asked::Signs) {
            let weight = weight(found.rule);
            if weight == 0 {
                continue;
            }
            here.insert(found.rule.id, weight);
            if findings.len() < MOST_FINDINGS {
                let place = leaf.trail.iter().map(AsRef::as_ref).collect::<Vec<&str>>().join("/");
                findings.push(Finding { rule: found.rule.id, place });
            }
        }
        is_high |= here.values().sum::<u32>() >= u32::from(HIGH);
        all.extend(here);
    });
    is_high |= all.values().sum::<u32>() >= HIGH_TOGETHER || read.is_none();
    findings.sort();
    findings.dedup();
    Judgement { findings, is_high }
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
