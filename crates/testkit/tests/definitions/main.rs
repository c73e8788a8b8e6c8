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

/// Sets that others published are not kept here. `DOORWARD_DEFINITIONS=poisoned.jsonl:honest.jsonl cargo test ... -- --nocapture` measures
/// one, by where each definition came from (a member `source`, up to its first `:`); `DOORWARD_SHOW=low` or `high` shows those as well.
#[test]
#[expect(clippy::print_stdout, reason = "a measurement, which somebody asked for")]
fn definitions_of_others() {
    let Ok(files) = std::env::var("DOORWARD_DEFINITIONS") else { return };
    let searcher = Searcher::new().expect("rules");
    for file in files.split(':') {
        let text: &'static str = std::fs::read_to_string(file).expect(file).leak();
        let mut by_source: std::collections::BTreeMap<String, (usize, usize)> = std::collections::BTreeMap::new();
        for (line, (_, judgement)) in text.lines().zip(judged(&searcher, text)) {
            let json = RawJson::parse(&Bytes::from_static(line.as_bytes()), 64).expect("a definition");
            let source = json.member("source").and_then(|source| source.as_text().map(std::borrow::Cow::into_owned)).unwrap_or_default();
            let entry = by_source.entry(source.split(':').next().unwrap_or_default().to_owned()).or_default();
            entry.0 += usize::from(judgement.is_high());
            if std::env::var("DOORWARD_SHOW").is_ok_and(|show| (show == "high") == judgement.is_high()) {
                println!("## {source} [{}]\n{line}", judgement.rules().join(", "));
            }
            entry.1 += 1;
        }
        let (high, all) = by_source.values().fold((0, 0), |sum, (high, all)| (sum.0 + high, sum.1 + all));
        println!("{file}: {high} of {all} are high");
        for (source, (high, all)) in by_source {
            println!("  {high:>4} of {all:>4}  {source}");
        }
    }
}
