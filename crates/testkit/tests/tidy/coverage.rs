//! Which attack cases are covered by which tests: read from the names of the tests, judged in `cases.toml`.
//!
//! A test counts for a case by the front of its name (`ses_02_...`), in Rust, Python and shell, or by a heading of the
//! documentation that its `compile_fail` example stands under. Tests of the hostile fixture prove nothing and do not count.

use crate::finding::Finding;
use crate::tree::Tree;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The cases.
pub(crate) const CASES: &str = "crates/testkit/tests/tidy/cases.toml";
/// What is written from them.
pub(crate) const REPORT: &str = "docs/attack-coverage.md";

/// An area of the catalogue.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Area {
    pub id: String,
    pub title: String,
    pub case: Vec<Case>,
}

/// One case and how far it is covered.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    pub id: String,
    pub title: String,
    /// Why its tests cover it whole, from the wire to the effect.
    pub covered: Option<String>,
    /// What its tests leave open.
    pub open: Option<String>,
    /// Why Doorward has nothing that this could attack; what refuses the attempt.
    pub not_offered: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    area: Vec<Area>,
}

/// Tests by case id: file, then names.
pub(crate) type Tests = BTreeMap<String, BTreeMap<String, Vec<String>>>;

/// The cases of this text.
pub(crate) fn cases(text: &str) -> Vec<Area> {
    toml::from_str::<File>(text).unwrap_or_else(|fault| panic!("{CASES}: {fault}")).area
}

/// What the list says that the tests do not bear out.
pub(crate) fn faults(tree: &Tree, areas: &[Area]) -> Vec<Finding> {
    let tests = tests(tree, areas);
    let mut found = Vec::new();
    for case in areas.iter().flat_map(|area| &area.case) {
        let tested = tests.contains_key(&case.id);
        let say = |advice: String| Finding::whole(CASES, "coverage", advice);
        match (&case.covered, &case.open, &case.not_offered) {
            (Some(_), None, None) if !tested => found.push(say(format!("{} is called covered and no test names it", case.id))),
            (None, None, None) if tested => {
                found.push(say(format!("{} has tests: say in `open` what they leave open, or in `covered` why nothing", case.id)))
            }
            (Some(_), None, None) | (None, _, None) | (None, None, Some(_)) => {}
            _ => found.push(say(format!("{}: only one of covered, open and not_offered", case.id))),
        }
    }
    for (id, files) in &tests {
        if !areas.iter().flat_map(|area| &area.case).any(|case| case.id == *id) {
            let file = files.keys().next().map_or("", String::as_str);
            found.push(Finding::whole(file, "coverage", format!("a test names {id}, and {CASES} has no such case")));
        }
    }
    found
}

/// The document.
pub(crate) fn report(tree: &Tree, areas: &[Area]) -> String {
    let tests = tests(tree, areas);
    let mut text = String::from(HEAD);
    let count = |state: &str| areas.iter().flat_map(|area| &area.case).filter(|case| case.state(&tests) == state).count();
    let _fits = writeln!(text, "| {} |\n|{}", STATES.join(" | "), "--:|".repeat(STATES.len()));
    let _fits = writeln!(text, "| {} |", STATES.map(|state| count(state).to_string()).join(" | "));
    for area in areas {
        let _fits = writeln!(
            text,
            "\n## {}: {}\n\n| case | what is tried | state | why, or what is open |\n|---|---|---|---|",
            area.id, area.title
        );
        for case in &area.case {
            let note = [&case.covered, &case.open, &case.not_offered].into_iter().flatten().next().map_or("", String::as_str);
            let _fits = writeln!(text, "| {} | {} | {} | {} |", case.id, case.title, case.state(&tests), note);
        }
        let named: Vec<_> = area.case.iter().filter_map(|case| Some((&case.id, tests.get(&case.id)?))).collect();
        if !named.is_empty() {
            text.push_str("\nTests:\n\n");
        }
        for (id, files) in named {
            for (file, names) in files {
                let _fits = writeln!(text, "- {id} `{file}`: {}", names.join(", "));
            }
        }
    }
    text
}

const STATES: [&str; 4] = ["covered", "partly", "not yet", "not offered"];

const HEAD: &str = "# Attack coverage

Written by the tidy test from the names of the tests and from `crates/testkit/tests/tidy/cases.toml`; do not edit. To renew it:
`DOORWARD_BLESS=1 cargo test -p doorward-testkit --test tidy`.

A case is *covered* when its tests attack it as a peer would, from the wire to the effect, in every part; *partly* when they
show a part of it, often below the wire; *not yet* when no test names it; *not offered* when Doorward has nothing that the
attack could aim at and refuses the attempt.

";

impl Case {
    fn state(&self, tests: &Tests) -> &'static str {
        match (&self.covered, &self.not_offered) {
            (Some(_), _) => "covered",
            (_, Some(_)) => "not offered",
            _ if tests.contains_key(&self.id) => "partly",
            _ => "not yet",
        }
    }
}

/// Every test that names a case of these areas.
pub(crate) fn tests(tree: &Tree, areas: &[Area]) -> Tests {
    let mut found = Tests::new();
    let ids: Vec<&str> = areas.iter().map(|area| area.id.as_str()).collect();
    let mut see = |id: String, path: &str, name: &str| {
        let names = found.entry(id).or_default().entry(path.to_owned()).or_default();
        if !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    };
    for (path, source) in tree.rust.iter().filter(|(path, _)| !path.starts_with("crates/testkit/src/") && !path.contains("/tidy/")) {
        for function in source.functions() {
            let name = function.head.split("fn ").nth(1).unwrap_or_default().split(['(', '<']).next().unwrap_or_default();
            for id in ids_of(name, &ids).into_iter().filter(|_| source.is_test(function.line)) {
                see(id, path, name);
            }
        }
        let doubted = source.lines.iter().any(|line| line.contains("```compile_fail"));
        for heading in
            source.lines.iter().filter(|line| doubted && (line.trim_start().starts_with("//! #") || line.trim_start().starts_with("/// #")))
        {
            let words = heading.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '-');
            for id in words.flat_map(|word| ids_of(&format!("{}_", word.to_ascii_lowercase().replace('-', "_")), &ids)) {
                see(id, path, "does not compile");
            }
        }
    }
    for (path, text) in tree.texts.iter().filter(|(path, _)| path.ends_with(".py") || path.ends_with(".sh") || path.starts_with("scripts/"))
    {
        for line in text.lines() {
            let line = line.trim_start();
            let name =
                line.strip_prefix("async ").unwrap_or(line).strip_prefix("def ").or_else(|| line.strip_suffix("() {")).unwrap_or_default();
            let name = name.split('(').next().unwrap_or_default();
            for id in ids_of(name.trim_start_matches("test_"), &ids) {
                see(id, path, name);
            }
        }
        let file = path.rsplit('/').next().unwrap_or_default().replace('-', "_");
        for id in ids_of(file.trim_start_matches("test_"), &ids) {
            see(id, path, "the whole script");
        }
    }
    found
}

/// The cases that a name begins with: one, or several with `_and_` between them.
fn ids_of(name: &str, areas: &[&str]) -> Vec<String> {
    let (mut found, mut parts) = (Vec::new(), name.split('_'));
    while let (Some(area), Some(number), Some(next)) = (parts.next(), parts.next(), parts.next()) {
        let area = area.to_ascii_uppercase();
        if !areas.contains(&area.as_str()) || number.len() != 2 || !number.bytes().all(|byte| byte.is_ascii_digit()) {
            break;
        }
        found.push(format!("{area}-{number}"));
        if next != "and" {
            break;
        }
    }
    found
}
