//! The tidy test: the house rules that a compiler does not check, read off the text of the workspace.
//!
//! `cargo test -p doorward-testkit --test tidy` prints `file:line: rule: what to do`. `DOORWARD_BLESS=1` rewrites what is
//! generated (`docs/attack-coverage.md`, the edge graph in `ARCHITECTURE.md`), nothing else. Exceptions stand in
//! `exceptions.toml`, places that may call something guarded in `sites.toml`, promised numbers in `promises.toml`,
//! the attack cases in `cases.toml`.
#![cfg(test)]
#![expect(clippy::string_slice, reason = "positions come from searches in the same text; a panic here is a failed test")]

mod coverage;
mod described;
mod edges;
mod finding;
mod form;
mod fresh;
mod papers;
mod planted;
mod rust;
mod sites;
mod tree;

use finding::{EXCEPTIONS, Finding, exceptions, excused};
use std::fs;
use tree::{Tree, WORKSPACE, root};

/// Fails with one line for each finding.
fn tidy(rule: &'static str, findings: &[Finding]) {
    let left = excused(rule, findings, &exceptions(WORKSPACE.text(EXCEPTIONS)));
    let lines: Vec<String> = left.iter().map(ToString::to_string).collect();
    assert!(lines.is_empty(), "{rule}:\n{}\n", lines.join("\n"));
}

fn guarded(rule: &'static str, tree: &Tree) -> Vec<Finding> {
    sites::judge(tree, rule, &sites::list(tree.text(sites::SITES)))
}

fn promised() -> fresh::Promises {
    fresh::promises(WORKSPACE.text(fresh::PROMISES))
}

/// Compares `path` with `fresh`, or writes it when asked to bless.
fn same(rule: &'static str, path: &str, fresh: &str) {
    if std::env::var_os("DOORWARD_BLESS").is_some_and(|wish| wish == "1") {
        if WORKSPACE.text(path) != fresh {
            fs::write(root().join(path), fresh).expect("written");
        }
        return;
    }
    let old = WORKSPACE.text(path);
    let line = old.lines().zip(fresh.lines()).take_while(|(old, new)| old == new).count() + 1;
    assert!(
        old == fresh,
        "{path}:{line}: {rule}: not what the code says now; run this test with DOORWARD_BLESS=1 and look at the difference"
    );
}

#[test]
fn t01_crate_edges() {
    tidy("T1", &edges::crates(&WORKSPACE));
}

#[test]
fn t02_room_edges() {
    tidy("T2", &edges::rooms(&WORKSPACE));
}

#[test]
fn t02_the_graph_in_the_architecture_document_is_the_one_in_the_code() {
    let (begin, end) = ("<!-- rooms: begin -->\n", "<!-- rooms: end -->");
    let paper = "ARCHITECTURE.md";
    let text = WORKSPACE.text(paper);
    let (front, rest) = text.split_once(begin).unwrap_or_else(|| panic!("{paper}: T2: keep the mark {begin}"));
    let (_, back) = rest.split_once(end).unwrap_or_else(|| panic!("{paper}: T2: keep the mark {end}"));
    same("T2", paper, &format!("{front}{begin}{}{end}{back}", edges::graph(&WORKSPACE)));
}

#[test]
fn t03_sizes() {
    tidy("T3", &form::sizes(&WORKSPACE));
}

#[test]
fn t04_makers_and_exposed_secrets() {
    tidy("T4", &guarded("T4", &WORKSPACE));
}

#[test]
fn t05_doors_to_the_world() {
    tidy("T5", &guarded("T5", &WORKSPACE));
}

#[test]
fn t06_sql_and_migrations() {
    tidy("T6", &[sites::sql(&WORKSPACE), fresh::migrations(&WORKSPACE, &promised())].concat());
}

#[test]
fn t07_documents_name_what_exists() {
    tidy("T7", &[papers::papers(&WORKSPACE), papers::index(&WORKSPACE), papers::reasons(&WORKSPACE)].concat());
}

#[test]
fn t08_packages() {
    tidy("T8", &[fresh::packages(&WORKSPACE, &promised()), fresh::doubles(&WORKSPACE)].concat());
}

#[test]
fn t09_forms() {
    tidy("T9", &form::forms(&WORKSPACE));
}

#[test]
fn t10_generated_files() {
    tidy("T10", &fresh::generated(&WORKSPACE, &promised()));
}

#[test]
fn t11_public_routes() {
    tidy("T11", &fresh::routes(&WORKSPACE, &promised()));
}

#[test]
fn t12_names() {
    tidy("T12", &form::names(&WORKSPACE));
}

#[test]
fn t13_the_description_of_the_oauth_api() {
    tidy("T13", &described::described(&WORKSPACE, &promised()));
}

#[test]
fn attack_coverage_is_what_the_tests_say() {
    let cases = coverage::cases(WORKSPACE.text(coverage::CASES));
    let findings = coverage::faults(&WORKSPACE, &cases);
    let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
    assert!(lines.is_empty(), "\n{}\n", lines.join("\n"));
    same("coverage", coverage::REPORT, &coverage::report(&WORKSPACE, &cases));
}

#[test]
fn exceptions_name_rules_that_exist() {
    let known: Vec<String> = (1..=13).map(|number| format!("T{number}")).collect();
    for exception in exceptions(WORKSPACE.text(EXCEPTIONS)) {
        assert!(known.contains(&exception.rule), "{EXCEPTIONS}: there is no rule {}", exception.rule);
    }
    for guarded in sites::list(WORKSPACE.text(sites::SITES)) {
        assert!(["T4", "T5"].contains(&guarded.rule.as_str()), "{}: {} has no list of sites", sites::SITES, guarded.rule);
    }
}
