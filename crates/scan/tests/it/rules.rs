//! One fixture for each rule, `tests/rules/dw001.toml`: what is wrong, with a snapshot of the whole output, and the same made
//! right, which the rule must not find.

use crate::stage::{Planted, Stage, all_forms, os};
use doorward_scan::{Color, RULES};
use serde::Deserialize;
use std::path::Path;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fixture {
    os: Option<String>,
    bad: Vec<Planted>,
    good: Vec<Planted>,
}

fn staged(fixture: &Fixture, files: &[Planted]) -> Stage {
    let mut stage = Stage::new();
    stage.os = os(fixture.os.as_deref());
    for file in files {
        stage.plant(file);
    }
    stage
}

#[test]
fn scn_01_every_rule_finds_what_is_wrong_and_not_what_is_right() {
    for rule in RULES {
        let name = rule.id.to_ascii_lowercase();
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/rules/{name}.toml"));
        let text = std::fs::read_to_string(&path).unwrap_or_else(|_| panic!("{} has no fixture", rule.id));
        let fixture: Fixture = toml::from_str(&text).unwrap_or_else(|fault| panic!("{name}: {fault}"));

        let bad = staged(&fixture, &fixture.bad);
        let report = bad.scan();
        assert!(report.findings().iter().any(|finding| finding.id() == rule.id), "{} does not find its own fixture", rule.id);
        bad.assert_no_secret_in(&all_forms(&report), rule.id);
        insta::with_settings!({snapshot_path => "../rules/snapshots", prepend_module_to_snapshot => false, description => rule.title}, {
            insta::assert_snapshot!(name.as_str(), bad.plain(&report.text(100, Color::Plain)));
        });

        let good = staged(&fixture, &fixture.good);
        let found: Vec<String> =
            good.scan().findings().iter().filter(|finding| finding.id() == rule.id).map(|finding| format!("{finding:?}")).collect();
        assert!(found.is_empty(), "{} finds what is right: {found:#?}", rule.id);
    }
}

#[test]
fn the_same_files_give_the_same_report() {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rules/dw041.toml")).expect("fixture");
    let fixture: Fixture = toml::from_str(&text).expect("reads");
    let stage = staged(&fixture, &fixture.bad);
    let first = all_forms(&stage.scan());
    for _ in 0..5 {
        assert_eq!(first, all_forms(&stage.scan()));
    }
}
