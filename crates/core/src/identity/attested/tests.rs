//! What claims have to say, apart from signatures: those are tested with keys over sockets (`corridor/attested.rs`).

use super::*;
use crate::id::ProviderName;
use crate::identity::issuer::{Forms, SubjectPattern};
use crate::oauth::scope::Scope;
use serde_json::{Value, json};

const NOW: Timestamp = Timestamp::from_millis(1_000_000_000);
const ROOT: &str = "https://mcp.acme.example";

fn rule() -> IssuerRule {
    IssuerRule {
        name: ProviderName::new("cluster").expect("name"),
        kind: IssuerKind::Jwt,
        issuers: vec!["https://issuer.example".to_owned()],
        algs: vec![jose::Alg::Rs256],
        types: Vec::new(),
        audience: Vec::new(),
        carrier: Carrier::Authorization,
        require: Vec::new(),
        subjects: Vec::new(),
        service_accounts: Vec::new(),
        clients: Vec::new(),
        domains: Vec::new(),
        groups_claim: None,
        leeway: Duration::from_secs(30),
        max_age: None,
        max_lifetime: Duration::from_secs(3_600),
        forms: Forms::Tokens,
        scopes: ["alpha:read", "beta:write"].into_iter().filter_map(Scope::parse).collect(),
    }
}

fn claims(value: &Value) -> RawJson {
    RawJson::parse(&Bytes::from(value.to_string()), DEPTH).expect("claims")
}

#[test]
fn rs_03_what_is_demanded_is_found_by_name_and_by_way() {
    let claims = claims(&json!({
        "tid": "acme", "roles": ["a", "b"], "admin": true, "kubernetes.io": {"namespace": "agents"},
        "https://sts.amazonaws.com/": {"aws_account": "1"}, "/odd": "x", "n": 1, "nothing": null,
    }));
    let text = |text: &str| Wanted::OneOf(vec![text.to_owned()]);
    let like = |text: &str| Wanted::Like(SubjectPattern::parse(text).expect("pattern"));
    for (claim, wanted, expected) in [
        ("tid", text("acme"), true),
        ("tid", text("acm"), false),
        ("tid", text("ACME"), false),
        ("roles", text("b"), true),
        ("roles", text("a b"), false),
        ("admin", Wanted::Is(Truth::True), true),
        ("admin", Wanted::Is(Truth::False), false),
        ("admin", text("true"), false),
        ("/kubernetes.io/namespace", text("agents"), true),
        ("/https:~1~1sts.amazonaws.com~1/aws_account", text("1"), true),
        ("/kubernetes.io", text("agents"), false),
        ("/kubernetes.io/namespace/x", text("agents"), false),
        ("/roles/0", text("a"), false),
        ("n", text("1"), false),
        ("nothing", text(""), false),
        ("missing", text(""), false),
        ("tid", like("ac*"), true),
        ("tid", like("*x"), false),
    ] {
        assert_eq!(says(&claims, claim, &wanted), expected, "{claim} {wanted:?}");
    }
}

#[test]
fn rs_03_an_audience_is_ours_alone() {
    let own = |name: &str| format!("{ROOT}/k/{name}/mcp");
    let servers = |value: Value, rule: &IssuerRule, purpose| {
        let found = audience(&claims(&json!({ "aud": value })), rule, purpose);
        found.map(|servers| servers.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
    };
    let call = Purpose::Call(ROOT);
    assert_eq!(servers(json!(own("alpha")), &rule(), call), Ok("alpha".to_owned()));
    assert_eq!(servers(json!([own("alpha"), own("beta")]), &rule(), call), Ok("alpha beta".to_owned()));
    assert_eq!(servers(json!(ROOT), &rule(), Purpose::Grant(ROOT)), Ok("alpha beta".to_owned()));
    let named = IssuerRule { audience: vec!["app".to_owned(), "old-app".to_owned()], ..rule() };
    assert_eq!(servers(json!("app"), &named, call), Ok("alpha beta".to_owned()));
    for (value, rule, purpose) in [
        (json!(ROOT), rule(), call),
        (json!(own("alpha")), rule(), Purpose::Grant(ROOT)),
        (json!(own("gamma")), rule(), call),
        (json!([own("alpha"), "other"]), rule(), call),
        (json!([]), rule(), call),
        (json!(null), rule(), call),
        (json!(own("alpha")), named.clone(), call),
        (json!(["app", "other"]), named, call),
    ] {
        assert_eq!(servers(value.clone(), &rule, purpose), Err(Unattested::Audience), "{value}");
    }
}

#[test]
fn rs_03_times_count_with_what_clocks_may_differ() {
    let at = NOW.as_millis() / 1_000;
    let until = |value: Value, rule: &IssuerRule| times(&claims(&value), rule, NOW).map(|end| end.as_millis() / 1_000);
    assert_eq!(until(json!({"exp": at + 60, "iat": at}), &rule()), Ok(at + 90), "as long as its clock may be behind");
    assert_eq!(until(json!({"exp": at - 29, "iat": at - 60}), &rule()), Ok(at + 1));
    assert_eq!(until(json!({"exp": at + 60}), &rule()), Ok(at + 90), "a JWT-SVID need not say when it was made");
    let young = IssuerRule { max_age: Some(Duration::from_secs(300)), ..rule() };
    for (value, rule, expected) in [
        (json!({"exp": at - 30, "iat": at - 60}), rule(), Unattested::Expired),
        (json!({"exp": at + 3_631, "iat": at}), rule(), Unattested::TooLong),
        (json!({"exp": at + 3_631}), rule(), Unattested::TooLong),
        (json!({"exp": at + 60, "iat": at + 31}), rule(), Unattested::Early),
        (json!({"exp": at + 60, "nbf": at + 31}), rule(), Unattested::Early),
        (json!({"exp": at + 60, "iat": at - 331}), young.clone(), Unattested::Old),
        (json!({"exp": at + 60}), young, Unattested::Claim),
        (json!({"exp": at + 60, "iat": "now"}), rule(), Unattested::Claim),
        (json!({"iat": at}), rule(), Unattested::Claim),
    ] {
        assert_eq!(until(value.clone(), &rule), Err(expected), "{value}");
    }
}

#[test]
fn the_client_that_an_issuer_names_is_no_client_of_ours() {
    let of = |value: Value| client(&claims(&value), &rule()).map(|id| id.to_string());
    assert_eq!(of(json!({})), Some("idp:cluster".to_owned()));
    assert_eq!(of(json!({"azp": "app"})), Some("idp:cluster/app".to_owned()));
    assert_eq!(of(json!({"appid": "app", "client_id": "other"})), Some("idp:cluster/app".to_owned()));
    assert_eq!(of(json!({"azp": "a b"})), Some("idp:cluster".to_owned()), "not plain");
}

#[test]
fn rs_02_a_trust_domain_that_counts_by_certificates_alone_has_no_tokens() {
    let body = URL_SAFE_NO_PAD.encode(json!({"sub": "spiffe://td/a"}).to_string());
    let token = format!("eyJhbGciOiJSUzI1NiJ9.{body}.c2ln");
    let presented = Presented::bearer(crate::secret::Secret::new(token.clone()));
    let mesh = |forms| IssuerRule { kind: IssuerKind::Spiffe, issuers: vec!["spiffe://td".to_owned()], forms, ..rule() };
    for (forms, expected) in [(Forms::Tokens, true), (Forms::Both, true), (Forms::Certificates, false)] {
        let rules = [mesh(forms)];
        assert_eq!(meant(&presented, &rules).expect("one").is_some(), expected, "{forms:?}");
        assert_eq!(meant_by(&token, &rules).is_some(), expected, "{forms:?}");
    }
}
