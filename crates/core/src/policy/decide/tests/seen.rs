//! POL-05: what a client was let see decides what it may do afterwards.

use super::*;
use crate::id::SeenLabel;

/// Whoever reads here has seen what is private, and may send nothing from then on.
const FLOW: &str = r#"
@id("reads") @seen("private, internal")
permit (principal, action == Action::"call", resource == Tool::"github__get_issue");
@id("any") permit (principal, action == Action::"call", resource in Risk::"write");
@id("too") @seen("internal, more") permit (principal, action == Action::"call", resource in Risk::"read");
@id("no-sending") @message("Private data stays here.")
forbid (principal, action == Action::"call", resource == Tool::"github__send") when { context.seen.contains("private") };
"#;

fn seen(labels: &[&str], facts: Facts) -> Facts {
    Facts { seen: labels.iter().map(|label| SeenLabel::new(label).expect("label")).collect(), ..facts }
}

fn send() -> Facts {
    facts(Some(tool("send", RiskClass::Write)))
}

fn all() -> Bound {
    bound(&[], &["github:read", "github:write"])
}

#[test]
fn pol_05_who_has_seen_what_is_private_sends_nothing() {
    let rules = rules(FLOW);
    decide(&rules, &send(), all(), call("send")).expect("nothing was seen");
    decide(&rules, &seen(&["internal", "privat"], send()), all(), call("send")).expect("something else was seen");
    let denied = decide(&rules, &seen(&["private"], send()), all(), call("send")).expect_err("private data was seen");
    assert_eq!((denied.why(), ids(denied.rules())), (Why::Seen, vec!["no-sending"]));
    let refusal = denied.refusal();
    assert_eq!(refusal.reason, "policy_denied_seen");
    assert!(refusal.public.contains("Private data stays here."), "{}", refusal.public);
    let elsewhere = facts(Some(tool("save", RiskClass::Write)));
    decide(&rules, &seen(&["private"], elsewhere), all(), call("save")).expect("only what the rule names");
    // The answer without is not that with, in either order.
    decide(&rules, &send(), all(), call("send")).expect("nothing was seen");
    decide(&rules, &seen(&["private"], send()), all(), call("send")).expect_err("private data was seen");
}

#[test]
fn pol_05_every_permit_that_lets_pass_says_what_is_seen() {
    let rules = rules(FLOW);
    let shows = |facts: &Facts, name: &str| {
        let permit = decide(&rules, facts, all(), call(name)).expect("permitted");
        permit.shows().iter().map(|label| label.as_str().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(shows(&get_issue(), "get_issue"), ["internal", "more", "private"], "of both permits, each once");
    assert_eq!(shows(&get_issue(), "get_issue"), ["internal", "more", "private"], "from memory too");
    assert_eq!(shows(&send(), "send"), Vec::<String>::new());
}

#[test]
fn pol_05_what_was_seen_is_asked_for_where_a_rule_reads_it() {
    let rules = rules(FLOW);
    assert!(asks_what_was_seen(&rules, &send(), &all(), &call("send")));
    for (facts, call) in [(get_issue(), call("get_issue")), (send(), call("other")), (send(), other(Method::ToolsList, ""))] {
        assert!(!asks_what_was_seen(&rules, &facts, &all(), &call));
    }
    assert!(!asks_what_was_seen(&super::rules(READ_ALL), &send(), &all(), &call("send")));
}

#[test]
fn pol_05_a_task_of_what_may_send_stops_to_be_fed() {
    let rules = rules(FLOW);
    for method in [Method::TasksGet, Method::TasksUpdate, Method::TasksResult] {
        let update = || other(method, "task-1");
        assert!(asks_what_was_seen(&rules, &send(), &all(), &update()));
        decide(&rules, &send(), all(), update()).expect("nothing was seen");
        let denied = decide(&rules, &seen(&["private"], send()), all(), update()).expect_err("private data was seen");
        assert_eq!(denied.why(), Why::Seen);
    }
    // A rule about arguments does not know those of a task; what was seen counts all the same.
    let both = r#"@id("all") permit (principal, action == Action::"call", resource)
        when { context.arguments has to && context.arguments.to == "me" } unless { context.seen.contains("private") };"#;
    let rules = super::rules(both);
    decide(&rules, &send(), all(), other(Method::TasksUpdate, "task-1")).expect("nothing was seen");
    decide(&rules, &seen(&["private"], send()), all(), other(Method::TasksUpdate, "task-1")).expect_err("private data was seen");
}

/// A forbid about arguments says nothing of a task, whose arguments are not known; one that asks what was seen stands for all of them.
#[test]
fn pol_05_a_forbid_about_arguments_and_what_was_seen_holds_for_tasks() {
    let both = |condition: &str| {
        format!(
            "@id(\"all\") permit (principal, action == Action::\"call\", resource);\n@id(\"no\") forbid (principal, \
             action == Action::\"call\", resource == Tool::\"github__send\") when {{ {condition} }};"
        )
    };
    let rules = rules(&both("context.seen.contains(\"private\") && context.arguments has to && context.arguments.to == \"x\""));
    let update = || other(Method::TasksUpdate, "task-1");
    decide(&rules, &send(), all(), update()).expect("nothing was seen");
    let denied = decide(&rules, &seen(&["private"], send()), all(), update()).expect_err("private data was seen");
    assert_eq!((denied.why(), ids(denied.rules())), (Why::Seen, vec!["no"]));
    let sources = [Source {
        name: "a.cedar".to_owned(),
        text: both("context.seen.contains(\"private\") || (context.arguments has to && context.arguments.to == \"x\")"),
    }];
    let errors = Rules::load(&sources, None).expect_err("cannot be told apart");
    assert!(errors[0].message.contains("a `when` of its own"), "{errors:?}");
}

/// Lists do not change under a client with each thing that it reads.
#[test]
fn pol_05_lists_show_what_could_be_called_by_who_has_seen_nothing() {
    let unless = r#"@id("all") @obligation("screen") permit (principal, action == Action::"call", resource) unless { context.seen.contains("private") };
        @id("every") permit (principal, action == Action::"call", resource in Risk::"write");"#;
    for text in [FLOW, unless] {
        let rules = rules(text);
        for labels in [&[][..], &["private"]] {
            let facts = seen(labels, facts(None));
            assert_eq!(filter::tools(&rules, &facts, &all(), &[tool("send", RiskClass::Write)]), [true], "{labels:?} {text}");
        }
    }
    let only = r#"@id("all") permit (principal, action == Action::"call", resource) unless { context.seen.contains("private") };"#;
    let denied = decide(&rules(only), &seen(&["private"], send()), all(), call("send")).expect_err("private data was seen");
    assert_eq!(denied.why(), Why::Seen, "a permit that does not hold any more is no question of arguments");
}

#[test]
fn pol_05_rules_that_would_not_hold_are_not_loaded() {
    let bad = |text: &str| {
        let sources = [Source { name: "a.cedar".to_owned(), text: text.to_owned() }];
        let errors = Rules::load(&sources, None).expect_err(text);
        errors.first().map(|error| error.message.clone()).unwrap_or_default()
    };
    let permit = |annotation: &str| format!("@id(\"a\") {annotation} permit (principal, action == Action::\"call\", resource);");
    for annotation in ["@seen(\"\")", "@seen(\"Private\")", "@seen(\"a b\")", "@seen(\"a,,b\")", "@seen(\"a,b,c,d,e,f,g,h,i\")", "@seen"] {
        assert!(bad(&permit(annotation)).contains("@seen"), "{annotation}");
    }
    assert!(bad("@id(\"a\") @seen(\"private\") forbid (principal, action == Action::\"call\", resource);").contains("no effect"));
    assert!(bad(&permit("@sees(\"private\")")).contains("unknown annotation"));
    for condition in ["context.seen == \"private\"", "context.seen.contains(1)", "context has saw"] {
        bad(&format!("@id(\"a\") permit (principal, action == Action::\"call\", resource) when {{ {condition} }};"));
    }
    // What stands behind `context.seen` must stand without it, as with arguments.
    let leaning = "@id(\"a\") permit (principal, action == Action::\"call\", resource) \
                   when { context.seen.contains(\"x\") || context.client has agent } when { context.client.agent == \"a\" };";
    assert!(bad(leaning).contains("for lists"), "{}", bad(leaning));
}

#[test]
fn the_rules_of_the_page_about_it_do_what_it_says() {
    let page = include_str!("../../../../../../docs/data-flow.md");
    let text = page.split("```cedar\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a block of rules");
    let rules = rules(text);
    assert_eq!(rules.ids().map(RuleId::as_str).collect::<Vec<_>>(), ["read-crm", "send-mail", "nothing-leaves-after-crm"]);
}
