use super::*;

fn load(text: &str) -> Result<Rules, Vec<PolicyError>> {
    Rules::load(&[Source { name: "a.cedar".to_owned(), text: text.to_owned() }], None)
}

#[test]
fn the_built_in_policy_loads() {
    let rules = Rules::laptop().unwrap_or_else(|errors| panic!("{errors:#?}"));
    assert_eq!(rules.len(), 6);
}

#[test]
fn arguments_are_typed_by_their_use() {
    let rules = load(
        r#"@id("a") permit (principal, action == Action::"call", resource) when { context.arguments has repo && context.arguments.repo like "acme/*" };"#,
    )
    .unwrap_or_else(|errors| panic!("{errors:#?}"));
    assert_eq!(rules.len(), 1);
}
