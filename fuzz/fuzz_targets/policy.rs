//! Policies. Input: Cedar text, test cases in TOML, a schema, with `---` between them. Loads or gives faults with a place in
//! the text; what loads is the same set every time and answers every question.
#![no_main]

use doorward_core::policy::cases::TestCase;
use doorward_core::policy::rules::{Rules, Source};
use doorward_core::time::Timestamp;
use doorward_fuzz::sections;
use libfuzzer_sys::fuzz_target;
use std::collections::BTreeSet;
use std::sync::LazyLock;

const NOW: Timestamp = Timestamp::from_millis(1_795_496_611_007);
/// A question for each kind of thing, with arguments of every type.
const QUESTIONS: &str = include_str!("policy_questions.toml");

static CASES: LazyLock<Vec<TestCase>> = LazyLock::new(|| TestCase::read(QUESTIONS, NOW).expect("good cases"));

fuzz_target!(|data: &[u8]| {
    let parts = sections(data);
    let text = |at: usize| parts.get(at).and_then(|part| std::str::from_utf8(part).ok());
    let Some(policy) = text(0) else { return };
    let sources = [Source { name: "fuzz.cedar".to_owned(), text: policy.to_owned() }];
    let own = text(1).and_then(|cases| TestCase::read(cases, NOW).ok()).unwrap_or_default();
    let rules = match Rules::load(&sources, text(2)) {
        Ok(rules) => rules,
        Err(errors) => {
            assert!(!errors.is_empty(), "refused without a reason");
            for error in errors {
                drop(error.to_string());
                if error.file == "fuzz.cedar" {
                    let line = policy.split('\n').nth(error.line.wrapping_sub(1)).unwrap_or_else(|| panic!("no line {}", error.line));
                    assert!((1..=line.chars().count() + 1).contains(&error.column), "no column {} in line {}", error.column, error.line);
                }
            }
            return;
        }
    };
    let ids: BTreeSet<&str> = rules.ids().map(|id| id.as_str()).collect();
    assert_eq!(ids.len(), rules.len(), "each rule has an id of its own");
    // Loading is slow; some inputs are loaded twice.
    let again = (data.len() % 8 == 0).then(|| Rules::load(&sources, text(2)).expect("loaded before"));
    let again = again.as_ref().unwrap_or(&rules);
    assert_eq!(again.version(), rules.version());
    for case in CASES.iter().chain(own.iter().take(4)) {
        let (first, second) = (case.run(&rules), case.run(again));
        drop(first.explanation.to_string());
        assert_eq!(first.differences, second.differences, "the same rules, the same decision");
        if rules.is_empty() {
            assert!(first.explanation.denied.is_some(), "no rules, no permission");
        }
    }
});
