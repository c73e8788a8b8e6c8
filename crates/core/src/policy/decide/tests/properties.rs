//! Rules of any kind: lists and calls agree, and slices change nothing.

use super::*;

fn any_rule() -> impl Strategy<Value = String> {
    let effect = prop_oneof![3 => Just("permit"), 1 => Just("forbid")];
    let principal = prop::sample::select(vec![
        "principal",
        "principal == User::\"local/alice\"",
        "principal in Group::\"eng\"",
        "principal in Group::\"ops\"",
        "principal is User",
        "principal is User in Group::\"eng\"",
        "principal == User::\"local/bob\"",
    ]);
    let resource = prop::sample::select(vec![
        "resource",
        "resource in Risk::\"read\"",
        "resource in Risk::\"write\"",
        "resource in Server::\"github\"",
        "resource in Server::\"linear\"",
        "resource == Tool::\"github__a\"",
        "resource in Tool::\"github__b\"",
        "resource is Tool in Server::\"github\"",
        "resource is Tool",
    ]);
    let condition = prop::sample::select(vec![
        "",
        "when { resource.name like \"a*\" }",
        "unless { context.granted.contains(\"github:write\") }",
        "when { context.granted.contains(context.needs) }",
        "unless { resource in Risk::\"destructive\" }",
        "when { context.client.verified }",
    ]);
    let obligation = prop::sample::select(vec!["", "", "", "@obligation(\"approve\")"]);
    (effect, principal, resource, condition, obligation).prop_map(|(effect, principal, resource, condition, obligation)| {
        let obligation = if effect == "permit" { obligation } else { "" };
        format!("{obligation} {effect} ({principal}, action == Action::\"call\", {resource}) {condition};")
    })
}

fn numbered(rules: &[String]) -> String {
    rules.iter().enumerate().fold(String::new(), |mut text, (at, rule)| {
        writeln!(text, "@id(\"r{at}\") {rule}").expect("a String takes everything");
        text
    })
}

fn catalogue() -> Vec<ToolFacts> {
    use RiskClass::{Destructive, Read, Write};
    let mut tools: Vec<ToolFacts> = [("a", Read), ("b", Write), ("ab", Read), ("c", Destructive), ("d", Write), ("e", Read)]
        .map(|(name, class)| tool(name, class))
        .into();
    tools[5].approved = false;
    tools
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn rpc_09_listed_is_callable(
        texts in prop::collection::vec(any_rule(), 0..8),
        granted in prop::sample::subsequence(vec!["github:read", "*:write", "github:destructive"], 0..=3),
        groups in prop::sample::subsequence(vec!["eng", "ops"], 0..=2),
    ) {
        let rules = rules(&numbered(&texts));
        let tools = catalogue();
        let listed = filter::tools(&rules, &facts(None), &bound(&groups, &granted), &tools);
        for (tool, listed) in tools.into_iter().zip(listed) {
            let name = tool.name.to_string();
            let outcome = decide(&rules, &facts(Some(tool)), bound(&groups, &granted), call(&name));
            prop_assert_eq!(outcome.is_ok(), listed, "{}: {:?}\n{}", name, outcome, numbered(&texts));
        }
    }

    #[test]
    fn rpc_09_what_is_callable_with_arguments_is_listed(texts in prop::collection::vec(any_rule(), 0..6), n in 0..4_i64, forbid in any::<bool>()) {
        let effect = if forbid { "forbid" } else { "permit" };
        let mut texts = texts;
        texts.push(format!("{effect} (principal, action == Action::\"call\", resource) when {{ resource.name != \"d\" && context.arguments has n && context.arguments.n > 1 }};"));
        let rules = rules(&numbered(&texts));
        let granted = ["github:read", "*:write"];
        let tools = catalogue();
        let listed = filter::tools(&rules, &facts(None), &bound(&["eng"], &granted), &tools);
        for (tool, listed) in tools.into_iter().zip(listed) {
            let name = tool.name.to_string();
            let call = with(&name, &serde_json::json!({"n": n}));
            let outcome = decide(&rules, &facts(Some(tool)), bound(&["eng"], &granted), call);
            prop_assert!(listed || outcome.is_err(), "{} {}\n{}", name, n, numbered(&texts));
        }
    }

    #[test]
    fn slices_never_change_a_decision(texts in prop::collection::vec(any_rule(), 0..10), groups in prop::sample::subsequence(vec!["eng", "ops"], 0..=2)) {
        let rules = rules(&numbered(&texts));
        let bound = bound(&groups, &["github:read"]);
        let facts = facts(None);
let asker = Asker::new(&rules, who(&facts, &bound));
        for tool in catalogue() {
            let what = What::Tool { name: tool.name.as_str(), class: tool.class };
            let sliced = asker.ask(what, View::Call(None), Grants::Held);
            let whole = asker.ask_unsliced(what);
            prop_assert_eq!(&sliced.forbids, &whole.forbids, "{}", numbered(&texts));
            // Cedar names the permits only where no forbid holds.
            prop_assert!(!whole.forbids.is_empty() || sliced.permits == whole.permits, "{}", numbered(&texts));
            prop_assert_eq!(sliced.allows(), whole.allows());
            prop_assert!(sliced.evaluated <= whole.evaluated);
        }
    }
}
