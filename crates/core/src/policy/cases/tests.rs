//! Cases of a policy test file: what they expect against what the decision says.

use super::*;
use crate::policy::rules::Source;

const POLICY: &str = r#"
@id("read") permit (principal in Group::"eng", action == Action::"call", resource in Risk::"read");
@id("acme") @obligation("screen") permit (principal, action == Action::"call", resource == Tool::"github__get_issue")
when { context.arguments has repo && context.arguments.repo like "acme/*" };
@id("no-merge") forbid (principal, action == Action::"call", resource == Tool::"github__merge");
"#;

const TESTS: &str = r#"
[[test]]
name = "in acme"
given = { user = "bob", tool = "github__get_issue", granted = ["github:read"], arguments = { repo = "acme/x" } }
expect = { decision = "allow", rule = "acme", obligations = ["screen"] }
[[test]]
name = "elsewhere"
given = { user = "bob", tool = "github__get_issue", granted = ["github:read"], arguments = { repo = "other/x" } }
expect = { decision = "deny", rule = "no-rule" }
[[test]]
name = "no merge"
given = { user = "bob", groups = ["eng"], server = "github", tool = "merge", granted = ["*:read"] }
expect = { decision = "deny", rule = "no-merge" }
[[test]]
name = "not granted"
given = { user = "https://id/bob", groups = ["eng"], tool = "github__x" }
expect = { decision = "deny", rule = "not-granted" }
[[test]]
name = "wrong on purpose"
given = { user = "bob", groups = ["eng"], tool = "github__x", granted = ["github:read"] }
expect = { decision = "deny", rule = "read" }
"#;

#[test]
fn expectations_are_compared_with_the_decision() {
    let rules = Rules::load(&[Source { name: "a.cedar".to_owned(), text: POLICY.to_owned() }], None).expect("loads");
    let cases = TestCase::read(TESTS, Timestamp::from_millis(1_795_496_611_007)).expect("reads");
    let results: Vec<TestResult> = cases.iter().map(|case| case.run(&rules)).collect();
    for result in results.iter().take(4) {
        assert!(result.differences.is_empty(), "{}: {:?}\n{}", result.name, result.differences, result.explanation);
    }
    assert_eq!(results[4].differences, ["expected deny, got allow"]);
}

#[test]
fn senseless_tests_are_refused_with_their_name() {
    for (given, expected) in [
        (r#"{ user = "bob", tool = "x" }"#, "<server>__<tool>"),
        (r#"{ user = "bob", tool = "a__x", clas = "read" }"#, "clas"),
        (r#"{ user = "bob", tool = "a__x", class = "harmless" }"#, "class"),
        (r#"{ user = "bob", tool = "a__x", prompt = "y" }"#, "one of"),
        (r#"{ user = "", tool = "a__x" }"#, "user"),
        (r#"{ user = "bob", tool = "a__x", now = "noon" }"#, "now"),
    ] {
        let text = format!("[[test]]\nname = \"t1\"\ngiven = {given}\nexpect = {{ decision = \"allow\" }}\n");
        let error = TestCase::read(&text, Timestamp::from_millis(0)).expect_err(given).to_string();
        assert!(error.contains(expected), "{given}: {error}");
    }
}
