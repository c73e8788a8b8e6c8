//! The corpus: configurations written for this project, one file of cases for each group of clients. Each case says what
//! should be found. Precision and recall are reported for each rule; a case where nothing is wrong must stay without a finding.

use crate::stage::{Planted, Stage, all_forms, os};
use doorward_scan::RULES;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    case: Vec<Case>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    /// What it is about.
    about: String,
    os: Option<String>,
    path: String,
    text: String,
    mode: Option<String>,
    #[serde(default)]
    tracked: bool,
    #[serde(default)]
    more: Vec<Planted>,
    /// Every finding that is due, once for each.
    #[serde(default)]
    expect: Vec<String>,
    /// Those of them that are known not to be found: an honest gap.
    #[serde(default)]
    missed: Vec<String>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Score {
    right: usize,
    wrong: usize,
    missed: usize,
}

/// The least that there is.
const CASES: usize = 120;

fn cases() -> Vec<(String, Case)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .expect("corpus")
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "toml"))
        .collect();
    files.sort();
    let read = |path: &Path| -> Group {
        toml::from_str(&std::fs::read_to_string(path).expect("text")).unwrap_or_else(|fault| panic!("{}: {fault}", path.display()))
    };
    files
        .iter()
        .flat_map(|path| {
            read(path)
                .case
                .into_iter()
                .map(|case| (path.file_stem().unwrap_or_default().to_string_lossy().into_owned(), case))
                .collect::<Vec<_>>()
        })
        .collect()
}

fn counted<'a>(ids: impl Iterator<Item = &'a str>) -> BTreeMap<&'a str, usize> {
    let mut counts = BTreeMap::new();
    for id in ids {
        *counts.entry(id).or_default() += 1;
    }
    counts
}

#[test]
#[expect(clippy::print_stdout, reason = "the table is what whoever runs this test with --nocapture wants to see")]
fn scn_01_the_corpus_is_judged_as_it_is_labelled() {
    let cases = cases();
    let mut scores: BTreeMap<&str, Score> = RULES.iter().map(|rule| (rule.id, Score::default())).collect();
    let mut faults = String::new();
    let mut files = 0;
    let mut good = 0;
    for (group, case) in &cases {
        let mut stage = Stage::new();
        stage.os = os(case.os.as_deref());
        let main =
            Planted { path: case.path.clone(), text: case.text.clone(), mode: case.mode.clone(), tracked: case.tracked, above: None };
        for file in std::iter::once(&main).chain(&case.more) {
            stage.plant(file);
            files += 1;
        }
        let report = stage.scan();
        stage.assert_no_secret_in(&all_forms(&report), &case.about);
        assert_eq!(report.problems(), 0, "{group}: {}: {}", case.about, report.text(100, doorward_scan::Color::Plain));
        assert!(report.json()["summary"]["files"].as_u64() > Some(0), "{group}: {}: it was not read", case.about);
        let due = counted(case.expect.iter().map(String::as_str));
        let gap = counted(case.missed.iter().map(String::as_str));
        let found = counted(report.findings().iter().map(doorward_scan::Finding::id));
        good += usize::from(due.is_empty());
        for rule in RULES {
            let count = |of: &BTreeMap<&str, usize>| of.get(rule.id).copied().unwrap_or(0);
            let (due, found, gap) = (count(&due), count(&found), count(&gap));
            let score = scores.entry(rule.id).or_default();
            score.right += due.min(found);
            score.wrong += found.saturating_sub(due);
            score.missed += due.saturating_sub(found);
            if found > due || due - found != gap {
                let _ = writeln!(faults, "{group}: {}: {}: due {due}, found {found}, known to be missed {gap}", case.about, rule.id);
            }
        }
    }
    let table = table(&scores, cases.len(), files, good);
    println!("{table}");
    assert!(faults.is_empty(), "\n{faults}");
    assert!(cases.len() >= CASES, "{} cases", cases.len());
    insta::with_settings!({snapshot_path => "../corpus", prepend_module_to_snapshot => false}, {
        insta::assert_snapshot!("scores", table);
    });
}

fn table(scores: &BTreeMap<&str, Score>, cases: usize, files: usize, good: usize) -> String {
    let mut out =
        format!("{cases} configurations ({files} files), {good} with nothing wrong\n\nrule   right  wrong  missed  precision  recall\n");
    let percent = |part: usize, whole: usize| if whole == 0 { "-".to_owned() } else { format!("{:.3}", ratio(part, whole)) };
    let mut all = Score::default();
    for (id, score) in scores {
        all = Score { right: all.right + score.right, wrong: all.wrong + score.wrong, missed: all.missed + score.missed };
        let _ = writeln!(
            out,
            "{id}  {:>5}  {:>5}  {:>6}  {:>9}  {:>6}",
            score.right,
            score.wrong,
            score.missed,
            percent(score.right, score.right + score.wrong),
            percent(score.right, score.right + score.missed)
        );
    }
    let _ = writeln!(
        out,
        "all    {:>5}  {:>5}  {:>6}  {:>9}  {:>6}",
        all.right,
        all.wrong,
        all.missed,
        percent(all.right, all.right + all.wrong),
        percent(all.right, all.right + all.missed)
    );
    out
}

fn ratio(part: usize, whole: usize) -> f64 {
    f64::from(u32::try_from(part).unwrap_or(u32::MAX)) / f64::from(u32::try_from(whole).unwrap_or(u32::MAX))
}
