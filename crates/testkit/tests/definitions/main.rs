#![cfg(test)]
//! POL-03: how many poisoned definitions the screen finds, and how many honest ones it suspects.
//!
//! The corpus is of our own wording, one definition a line (`crates/testkit/corpus/definitions`). The rules were tuned with `poisoned` and
//! `benign`. `held-out-poisoned` and `held-out-benign` were written after the rules were frozen: their shares are the honest
//! ones, told in docs/screening.md, and the rules may not be tuned with them.

use bytes::Bytes;
use doorward_core::json::RawJson;
use doorward_core::screen::Searcher;
use doorward_core::screen::definition::{Judgement, judge};

/// The definitions of a file, with what is thought of each.
fn judged(searcher: &Searcher, text: &'static str) -> Vec<(String, Judgement)> {
    let read = |line: &'static str| {
        let json = RawJson::parse(&Bytes::from_static(line.as_bytes()), 64).expect("a definition");
        let name = json.member("name").and_then(|name| name.as_text().map(std::borrow::Cow::into_owned)).expect("a name");
        let judgement = judge(searcher, &json);
        (name, judgement)
    };
    text.lines().map(read).collect()
}

/// How many are high, of how many, and the names of the others or of these.
fn share(of: &[(String, Judgement)]) -> (usize, usize) {
    (of.iter().filter(|(_, judgement)| judgement.is_high()).count(), of.len())
}

fn told(of: &[(String, Judgement)], high: &[bool]) -> Vec<String> {
    let of = of.iter().filter(|(_, judgement)| high.contains(&judgement.is_high()));
    of.map(|(name, judgement)| format!("{name}: {}", judgement.rules().join(", "))).collect()
}

fn missed(poisoned: &[(String, Judgement)], benign: &[(String, Judgement)]) -> String {
    let (missed, wrongly) = (told(poisoned, &[false]), told(benign, &[true]));
    format!("missed:\n{}\nsuspected:\n{}", missed.join("\n"), wrongly.join("\n"))
}

#[test]
fn pol_03_poisoned_definitions_are_high_and_honest_ones_are_not() {
    let searcher = Searcher::new().expect("rules");
    let poisoned = judged(&searcher, include_str!("../../corpus/definitions/poisoned.jsonl"));
    let benign = judged(&searcher, include_str!("../../corpus/definitions/benign.jsonl"));
    let why = missed(&poisoned, &benign);
    let ((found, of), (suspected, all)) = (share(&poisoned), share(&benign));
    assert!(found * 100 >= of * 95 && suspected * 100 <= all * 2, "{found} of {of}, {suspected} of {all}: {why}");
}

#[test]
fn pol_03_definitions_that_no_rule_was_tuned_with() {
    let searcher = Searcher::new().expect("rules");
    let poisoned = judged(&searcher, include_str!("../../corpus/definitions/held-out-poisoned.jsonl"));
    let benign = judged(&searcher, include_str!("../../corpus/definitions/held-out-benign.jsonl"));
    let ((found, of), (suspected, all)) = (share(&poisoned), share(&benign));
    // What the documentation says, no more: who makes it better writes new ones.
    assert!(found * 2 >= of && suspected * 100 <= all * 2, "{found} of {of}, {suspected} of {all}: {}", missed(&poisoned, &benign));
}
