//! What rulings cost, and which are remembered.

use super::*;

#[test]
fn a_thousand_rules_cost_what_three_cost() {
    let mut text = String::from(READ_ALL);
    for at in 0..1000 {
        let scope = match at % 4 {
            0 => format!("principal, action == Action::\"call\", resource == Tool::\"github__t{at}\""),
            1 => format!("principal in Group::\"g{at}\", action == Action::\"call\", resource in Server::\"github\""),
            2 => format!("principal, action == Action::\"call\", resource in Server::\"s{at}\""),
            _ => format!("principal == User::\"local/u{at}\", action, resource"),
        };
        writeln!(text, "@id(\"r{at}\") permit ({scope}) when {{ context.needs like \"*:read\" }};").expect("a String takes everything");
    }
    let text = text.replace("action, resource)", "action in [Action::\"call\", Action::\"read\"], resource)");
    let rules = rules(&text);
    let bound = bound(&["g1", "g2"], &["github:read"]);
    let facts = facts(None);
    let asker = Asker::new(&rules, who(&facts, &bound));
    let ruling = asker.ask(What::Tool { name: "t4", class: RiskClass::Read }, View::Call(None), Grants::Held);
    assert_eq!((rules.len(), ruling.evaluated, ruling.permits.len()), (1001, 3, 3));
    let nothing = asker.ask(What::Server, View::Call(None), Grants::Held);
    assert_eq!(nothing.evaluated, 0);
}

/// Prints what decisions cost; run with `--release -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement, not a test"]
#[expect(clippy::print_stdout, reason = "it measures time for a person to read")]
fn measure() {
    let mut text = format!("{READ_ALL}{ACME}\n@id(\"use\") permit (principal, action == Action::\"use\", resource);");
    for at in 0..1000 {
        writeln!(text, "@id(\"r{at}\") permit (principal in Group::\"g{}\", action == Action::\"call\", resource == Tool::\"github__t{at}\") when {{ context.granted.contains(context.needs) }};", at % 20).expect("a String takes everything");
    }
    let few: String = text.lines().take(12).collect::<Vec<_>>().join("\n");
    for (name, text) in [("12 lines", &few), ("1,003 rules", &text)] {
        let start = std::time::Instant::now();
        let rules = rules(text);
        println!("{name}: load {:?}", start.elapsed());
        let groups = ["eng", "g1", "g2", "g3"];
        let bound = bound(&groups, &["github:read", "*:write"]);
        let tools: Vec<ToolFacts> = (0..100).map(|at| tool(&format!("t{at}"), RiskClass::Read)).collect();
        let facts = facts(None);
        let asker = Asker::new(&rules, who(&facts, &bound));
        let time = |what: &str, runs: u32, run: &dyn Fn()| {
            let start = std::time::Instant::now();
            (0..runs).for_each(|_| run());
            println!("{name}: {what} {:?}", start.elapsed() / runs);
        };
        let ask = |tool: &str, arguments: Option<&RawJson>| {
            let asker = Asker::new(&rules, who(&facts, &bound));
            let ruling = asker.ask(What::Tool { name: tool, class: RiskClass::Read }, View::Call(arguments), Grants::Held);
            assert!(ruling.allows());
        };
        let arguments = json(&serde_json::json!({"repo": "acme/x", "number": 5, "body": "x".repeat(400)}));
        time("call", 20_000, &|| ask("t5", None));
        time("call with an argument", 20_000, &|| ask("get_issue", Some(&arguments)));
        time("use", 20_000, &|| drop(asker.ask(What::Server, View::Call(None), Grants::Held)));
        time("unsliced", 50, &|| drop(asker.ask_unsliced(What::Tool { name: "t5", class: RiskClass::Read })));
        time("list of 100", 200, &|| drop(filter::tools(&rules, &facts, &bound, &tools)));
        let others: Vec<ToolFacts> = (0..100).map(|at| tool(&format!("x{at}"), RiskClass::Read)).collect();
        time("list of 100 unnamed", 200, &|| drop(filter::tools(&rules, &facts, &bound, &others)));
    }
}

#[test]
fn a_ruling_is_remembered_for_exactly_the_same_question_only() {
    let rules = rules(
        r#"
        @id("tools") permit (principal, action == Action::"call", resource in Risk::"read");
        @id("bob") forbid (principal == User::"local/bob", action == Action::"call", resource);
        @id("secret") forbid (principal, action == Action::"call", resource) when { resource.name == "secret" };
        @id("granted") forbid (principal, action == Action::"call", resource) when { !context.granted.contains("github:read") };
        @id("old") forbid (principal, action == Action::"call", resource) when { context.session.era == "legacy" };
        @id("agent") forbid (principal, action == Action::"call", resource) when { context.client has agent };
        @id("group") forbid (principal in Group::"guests", action == Action::"call", resource);
        @id("far") forbid (principal, action == Action::"call", resource) unless { context.network.peer.isLoopback() };
        "#,
    );
    let read = ["github:read"];
    let asks = |bound: &Bound, name: &str, class: RiskClass, peer: IpAddr| {
        let facts = Facts { peer, ..facts(None) };
        let asker = Asker::new(&rules, who(&facts, bound));
        let what = What::Tool { name, class };
        let first = asker.ask(what, View::Call(None), Grants::Held);
        let again = asker.ask(what, View::Call(None), Grants::Held);
        let whole = asker.ask_unsliced(what);
        assert_eq!((&first.permits, &first.forbids), (&again.permits, &again.forbids));
        // Cedar names no permits where a forbid decides.
        assert_eq!((first.allows(), &first.forbids), (whole.allows(), &whole.forbids));
        first.allows()
    };
    let home = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let alice = bound(&[], &read);
    assert!(asks(&alice, "list", RiskClass::Read, home));
    assert!(!asks(&alice, "secret", RiskClass::Read, home));
    assert!(!asks(&alice, "list", RiskClass::Write, home));
    assert!(!asks(&alice, "list", RiskClass::Read, "192.0.2.1".parse().expect("address")));
    assert!(!asks(&bound(&[], &[]), "list", RiskClass::Read, home));
    assert!(!asks(&bound(&["guests"], &read), "list", RiskClass::Read, home));
    assert!(!asks(&bound_as(caller("bob", &[], &read), Claim::PerRequest), "list", RiskClass::Read, home));
    assert!(!asks(&bound_as(caller("alice", &[], &read), Claim::New(Version::V2025_11_25)), "list", RiskClass::Read, home));
    assert!(asks(&alice, "list", RiskClass::Read, home));
}

#[test]
fn what_depends_on_time_or_arguments_is_decided_each_time() {
    let rules = rules(
        r#"
        @id("until") permit (principal, action == Action::"call", resource in Risk::"read")
        when { context.now < datetime("2026-11-24T10:00:00Z") };
        @id("size") permit (principal, action == Action::"call", resource in Risk::"write")
        when { context.arguments has n && context.arguments.n < 5 };
        "#,
    );
    let bound = bound(&[], &["github:read", "github:write"]);
    let at = |text: &str| {
        let now = text.parse::<jiff::Timestamp>().expect("time").as_millisecond();
        let facts = Facts { now: Timestamp::from_millis(u64::try_from(now).expect("after 1970")), ..facts(None) };
        let asker = Asker::new(&rules, who(&facts, &bound));
        asker.ask(What::Tool { name: "list", class: RiskClass::Read }, View::Call(None), Grants::Held).allows()
    };
    assert!(at("2026-11-24T09:59:59Z"));
    assert!(!at("2026-11-24T10:00:00Z"));
    let facts = facts(None);
    let asker = Asker::new(&rules, who(&facts, &bound));
    let with = |n: u32| {
        let arguments = RawJson::parse(&Bytes::from(format!(r#"{{"n":{n}}}"#)), 8).expect("arguments");
        asker.ask(What::Tool { name: "put", class: RiskClass::Write }, View::Call(Some(&arguments)), Grants::Held).allows()
    };
    assert!(with(4));
    assert!(!with(6));
}
