//! What loads, what does not, and what is said about it (POL-01).

use super::super::depth;
use super::*;

fn source(name: &str, text: &str) -> Source {
    Source { name: name.to_owned(), text: text.to_owned() }
}

fn load(text: &str) -> Result<Rules, Vec<PolicyError>> {
    Rules::load(&[source("a.cedar", text)], None)
}

fn refused(text: &str) -> Vec<PolicyError> {
    load(text).map(|rules| panic!("loaded {rules:?}: {text}")).unwrap_or_else(|errors| errors)
}

const CALL: &str = r#"permit (principal, action == Action::"call", resource)"#;

#[test]
fn the_built_in_policy_loads() {
    let rules = Rules::laptop().unwrap_or_else(|errors| panic!("{errors:#?}"));
    assert_eq!(rules.len(), 6);
    assert!(Rules::laptop_text().contains("laptop-write-granted"));
}

#[test]
fn pol_01_a_broken_policy_never_loads() {
    for (text, expected) in [
        (format!("@id(\"a\") {CALL} when {{ context.client.verifed }};"), "verifed"),
        (format!("@id(\"a\") {CALL} when {{ context.level == 1 }};"), "types"),
        (r#"@id("a") permit (principal in Grup::"x", action, resource);"#.to_owned(), "Grup"),
        (r#"@id("a") permit (principal, action == Action::"cal", resource);"#.to_owned(), "cal"),
        (r#"@id("a") permit (principal, action == Action::"call", resource in Risk::"wirte");"#.to_owned(), "wirte"),
        (
            r#"@id("a") permit (principal, action == Action::"call", resource in Group::"x");"#.to_owned(),
            "unable to find an applicable action",
        ),
        (format!("@id(\"a\") {CALL} when {{ context.client.agent == \"x\" }};"), "agent"),
        (format!("@id(\"a\") {CALL}"), "unexpected"),
        (format!("{CALL};"), "no @id"),
        (format!("@id(\"\") {CALL};"), "@id is empty"),
        (format!("@id(\"not-granted\") {CALL};"), "reserved"),
        (format!("@id(\"a\") @oblgation(\"approve\") {CALL};"), "unknown annotation `@oblgation`"),
        (format!("@id(\"a\") @obligation(\"aprove\") {CALL};"), "unknown obligation `aprove`"),
        (format!("@id(\"a\") @obligation {CALL};"), "unknown obligation"),
        (format!("@id(\"a\") @message(\"\") {CALL};"), "@message"),
        (r#"@id("a") @obligation("approve") forbid (principal, action, resource);"#.to_owned(), "forbid"),
        (r#"@id("a") permit (principal == ?principal, action, resource);"#.to_owned(), "templates"),
        (r#"@id("a") permit (principal, action == Action::"read", resource) when { context.arguments has x };"#.to_owned(), "arguments"),
    ] {
        let errors = refused(&text);
        let all = errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
        assert!(all.contains(expected), "{text}\n{all}");
    }
}

#[test]
fn pol_01_all_faults_of_all_files_are_named_with_their_places() {
    let a = format!("// first\n\n  {CALL};\n@id(\"x\") {CALL};\n");
    let b = format!("@id(\"x\") {CALL};\n@id(\"y\")\n{CALL}\nwhen {{ context.client.nam == \"z\" }};");
    let broken = "@id(\"z\")\npermit (principal";
    let errors = Rules::load(&[source("a.cedar", &a), source("b.cedar", &b), source("c.cedar", broken)], None).expect_err("broken");
    let places: Vec<(&str, usize)> = errors.iter().map(|error| (error.file.as_str(), error.line)).collect();
    assert_eq!(places, [("a.cedar", 3), ("b.cedar", 1), ("b.cedar", 4), ("c.cedar", 2)], "{errors:#?}");
    assert_eq!(errors[0].column, 3, "{errors:#?}");
    assert!(errors[1].message.contains("a.cedar:4"), "{errors:#?}");
    assert!(errors[2].message.contains("rule `y`"), "{errors:#?}");
}

#[test]
fn pol_01_an_empty_set_loads_and_holds_nothing() {
    assert!(Rules::load(&[], None).expect("loads").is_empty());
    assert!(load("// nothing\n").expect("loads").is_empty());
}

#[test]
fn rs_06_arguments_are_typed_by_their_use_or_refused() {
    let condition = |text: &str| format!("@id(\"a\") {CALL} when {{ {text} }};");
    for good in [
        r#"context.arguments has repo && context.arguments.repo like "acme/*""#,
        r#"context.arguments has n && context.arguments.n > 5 && context.arguments.n != 9"#,
        r#"context.arguments has tags && context.arguments.tags.contains("x")"#,
        r#"context.arguments has repo && ["a", "b"].contains(context.arguments.repo)"#,
        r#"context.arguments has deep && context.arguments.deep has x && context.arguments.deep.x == true"#,
        r#"context.arguments has deep.x && !context.arguments.deep.x"#,
        r#"context.arguments has owner && context.arguments.owner == principal.subject"#,
        r#"context.arguments has scope && context.granted.contains(context.arguments.scope)"#,
        r#"context.arguments has tags && context.arguments.tags.isEmpty()"#,
        r#"!(context.arguments has force)"#,
        r#"context.arguments has a && (if context.arguments.a then true else false)"#,
    ] {
        load(&condition(good)).unwrap_or_else(|errors| panic!("{good}: {errors:#?}"));
    }
    for (bad, expected) in [
        (r#"context.arguments.repo like "acme/*""#, "repo"),
        (r#"context.arguments has a && context.arguments.a == context.arguments.b"#, "cannot be told"),
        (r#"context.arguments has a && context.arguments.a == "x" && context.arguments.a > 1"#, "two different types"),
        (r#"context.arguments == {}"#, "as a whole"),
        (r#"context == {}"#, "as a whole"),
        (r#"context has arguments"#, "as a whole"),
        (r#"[context.arguments].contains({})"#, "as a whole"),
        (r#"context.arguments has t && datetime(context.arguments.t) < context.now"#, "cannot be told"),
        (r#"context.arguments has u && context.arguments.u == principal"#, "cannot be told"),
    ] {
        let errors = refused(&condition(bad));
        assert!(errors.iter().any(|error| error.message.contains(expected)), "{bad}: {errors:#?}");
    }
}

#[test]
fn a_guard_hidden_among_conditions_on_arguments_is_refused() {
    let split = r#"when { (context.client has agent && context.arguments has x) && context.client.agent == "bot" };"#;
    load(&format!("@id(\"a\") {CALL} {split}")).expect("each operand of a chain stands alone");
    let hidden = r#"when { (if context.client has agent then context.arguments has x else false) && context.client has agent && context.client.agent == "b" };"#;
    load(&format!("@id(\"a\") {CALL} {hidden}")).expect("its own guard");
    let lost = r#"when { !(context.arguments has x || !(context.client has agent)) && context.client.agent == "b" };"#;
    let errors = load(&format!("@id(\"a\") {CALL} {lost}")).map_or_else(|errors| errors, |_| Vec::new());
    assert!(errors.iter().any(|error| error.message.contains("agent")), "{errors:#?}");
}

#[test]
fn an_administrators_schema_narrows_what_can_be_written() {
    let schema = Rules::schema_text().replace("entity Group;", "entity Group enum [\"engineering\"];");
    let text = |group: &str| {
        format!(
            "@id(\"a\") permit (principal in Group::\"{group}\", action == Action::\"call\", resource) when {{ context.arguments has x && context.arguments.x == 1 }};"
        )
    };
    let load = |text: String, schema: &str| Rules::load(&[source("a.cedar", &text)], Some(schema));
    load(text("engineering"), &schema).expect("known group");
    let errors = load(text("enginering"), &schema).expect_err("mistyped group");
    assert!(errors.iter().any(|error| error.message.contains("enginering")), "{errors:#?}");
    assert!(load(text("engineering"), "entity User;").is_err());
    assert!(load(text("engineering"), "nonsense").is_err());
}

#[test]
fn the_version_changes_with_every_text() {
    let version = |texts: &[&str]| {
        let sources: Vec<Source> = texts.iter().map(|text| source("a", text)).collect();
        Rules::load(&sources, None).expect("loads").version()
    };
    let base = version(&["// a", "// b"]);
    assert_eq!(base.len(), 16);
    assert_eq!(base, version(&["// a", "// b"]));
    for other in [&["// a", "// c"][..], &["// a"], &["// a// b", ""], &["", "// a// b"]] {
        assert_ne!(base, version(other), "{other:?}");
    }
    assert_ne!(Rules::laptop().expect("loads").version(), base);
}

/// On a thread of 2 MiB, as the workers of the gateway have.
fn load_on_a_small_stack(text: String) -> Result<Rules, Vec<PolicyError>> {
    let small = std::thread::Builder::new().stack_size(2 << 20);
    small.spawn(move || load(&text)).and_then(|thread| thread.join().map_err(|_| std::io::Error::other("panicked"))).expect("a thread")
}

#[test]
fn pol_01_a_rule_of_any_depth_loads_or_is_refused_with_its_place() {
    type Deep = fn(usize) -> String;
    let forms: [Deep; 9] = [
        |n| format!("{}true{}", "(".repeat(n), ")".repeat(n)),
        |n| format!("true{}", " && true".repeat(n)),
        |n| format!("false{}", " || context.level == \"static-key\"".repeat(n)),
        |n| format!("1{} == 1", " + 1".repeat(n)),
        |n| format!("context{} == 1", ".a".repeat(n)),
        |n| format!("context.arguments has a{}", ".a".repeat(n)),
        |n| format!("{}true{}", "if true then ".repeat(n), " else true".repeat(n)),
        |n| format!("{}1{} == 1", "[".repeat(n), "]".repeat(n)),
        |n| format!("{}1{} == 1", "{a: ".repeat(n), "}".repeat(n)),
    ];
    for (form, deep) in forms.iter().enumerate() {
        let rule = |n: usize| format!("@id(\"a\") {CALL}\nwhen {{ {} }};", deep(n));
        // Whether the largest that passes is a good rule is another matter: it is read whole, and nothing overflows.
        let largest = (1..=depth::LIMIT).rev().find(|n| depth::unreadable(&rule(*n)).is_none()).expect("one level passes");
        let _read = load_on_a_small_stack(rule(largest));
        for n in [largest + 1, 100_000] {
            let errors =
                load_on_a_small_stack(rule(n)).map(|rules| panic!("form {form} loaded: {rules:?}")).unwrap_or_else(|errors| errors);
            assert!(errors.iter().all(|error| error.message.contains("nested deeper than 250") && error.line == 2), "{errors:?}");
        }
    }
}
