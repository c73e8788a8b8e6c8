//! What a certificate has to say, and what it may say and is not believed. The table of names comes first.

use super::*;
use crate::id::ProviderName;
use crate::identity::attested::{Unattested, attest_peer};
use crate::identity::caller::Level;
use crate::identity::issuer::{Carrier, Demand, Forms, IssuerKind, IssuerRule, SubjectPattern, Truth, Wanted};
use crate::oauth::scope::Scope;
use proptest::prelude::*;
use rcgen::{BasicConstraints, CertificateParams, CustomExtension, DnType, IsCa, KeyPair, KeyUsagePurpose, SanType, date_time_ymd};
use std::time::Duration;

const TD: &str = "spiffe://prod.acme.example";
const RUNNER: &str = "spiffe://prod.acme.example/ns/agents/sa/runner";
const DAY: Duration = Duration::from_secs(86_400);

/// 2026-06-01 at noon.
fn noon() -> Timestamp {
    Timestamp::from_millis(1_780_315_200_000)
}

fn params(uris: &[&str]) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.subject_alt_names = uris.iter().map(|uri| SanType::URI((*uri).try_into().expect("ASCII"))).collect();
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.not_before = date_time_ymd(2026, 6, 1);
    params.not_after = date_time_ymd(2026, 6, 2);
    params
}

fn der(params: &CertificateParams) -> Vec<u8> {
    params.self_signed(&KeyPair::generate().expect("a key")).expect("a certificate").der().to_vec()
}

fn id(params: &CertificateParams) -> Result<String, BadSvid> {
    read(&der(params)).map(|svid| svid.id)
}

fn rule() -> IssuerRule {
    IssuerRule {
        name: ProviderName::new("mesh").expect("name"),
        kind: IssuerKind::Spiffe,
        issuers: vec![TD.to_owned()],
        algs: Vec::new(),
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
        max_lifetime: DAY,
        forms: Forms::Certificates,
        scopes: ["alpha:read", "beta:write"].into_iter().filter_map(Scope::parse).collect(),
    }
}

fn why(params: &CertificateParams, rule: &IssuerRule, now: Timestamp) -> Option<Unattested> {
    attest_peer(&PeerCertificate::of_handshake(&der(params)), rule, now).err()
}

#[test]
fn rs_10_there_is_one_way_to_write_an_id() {
    for good in [RUNNER, "spiffe://td/a", "spiffe://td/A-b_c.d/...", "spiffe://1_2.3-4/x"] {
        assert_eq!(id(&params(&[good])).as_deref(), Ok(good));
    }
    let long = format!("{TD}/{}", "x".repeat(LONGEST - TD.len() - 1));
    assert_eq!(domain(&long), Some(TD));
    for bad in [
        "",
        "spiffe://",
        "spiffe:///path",
        "spiffe://prod.acme.example",
        "spiffe://prod.acme.example/",
        "spiffe://prod.acme.example/a/",
        "spiffe://prod.acme.example//a",
        "spiffe://prod.acme.example/./a",
        "spiffe://prod.acme.example/../a",
        "spiffe://prod.acme.example/a/..",
        "spiffe://prod.acme.example/%61",
        "spiffe://prod.acme.example/a%2fb",
        "spiffe://prod.acme.example/a%00",
        "spiffe://prod.acme.example/a b",
        "spiffe://prod.acme.example/a\\b",
        "spiffe://prod.acme.example/a\nb",
        "spiffe://prod.acme.example/a\0",
        "spiffe://prod.acme.example/a?b",
        "spiffe://prod.acme.example/a#b",
        "spiffe://prod.acme.example:443/a",
        "spiffe://user@prod.acme.example/a",
        "spiffe://PROD.acme.example/a",
        "SPIFFE://prod.acme.example/a",
        "spiffe:/prod.acme.example/a",
        " spiffe://prod.acme.example/a",
        "ftp://prod.acme.example/a",
        "https://prod.acme.example/a",
        "prod.acme.example/a",
        &format!("{long}x"),
        &format!("spiffe://{}/a", "d".repeat(LONGEST_DOMAIN + 1)),
    ] {
        assert_eq!(id(&params(&[bad])), Err(BadSvid::Name), "{bad:?}");
    }
}

#[test]
fn rs_10_a_certificate_names_one_workload_and_nothing_else_of_it_counts() {
    assert_eq!(id(&params(&[])), Err(BadSvid::Name), "no names");
    assert_eq!(id(&params(&[RUNNER, "spiffe://prod.acme.example/ns/admin"])), Err(BadSvid::Name), "two");
    assert_eq!(id(&params(&[RUNNER, RUNNER])), Err(BadSvid::Name), "the same twice");
    assert_eq!(id(&params(&["https://prod.acme.example/", RUNNER])), Err(BadSvid::Name), "another one first");
    assert_eq!(id(&params(&[RUNNER, "https://prod.acme.example/"])), Err(BadSvid::Name), "another one behind");
    let mut dns = params(&[]);
    dns.subject_alt_names = vec![SanType::DnsName("prod.acme.example".try_into().expect("ASCII"))];
    dns.distinguished_name.push(DnType::CommonName, RUNNER);
    assert_eq!(id(&dns), Err(BadSvid::Name), "the subject is not asked");
    let mut beside = params(&[RUNNER]);
    beside.subject_alt_names.insert(0, SanType::DnsName("admin.acme.example".try_into().expect("ASCII")));
    assert_eq!(id(&beside).as_deref(), Ok(RUNNER), "DNS names beside it mean nothing");
    // A name that is no text: [6] with a byte that is not ASCII, beside a good one.
    let mut broken = params(&[]);
    let name = [&[0x86, u8::try_from(RUNNER.len()).expect("short")], RUNNER.as_bytes(), &[0x86, 1, 0xff]].concat();
    let names = [&[0x30, u8::try_from(name.len()).expect("short")], name.as_slice()].concat();
    broken.custom_extensions = vec![CustomExtension::from_oid_content(&[2, 5, 29, 17], names.clone())];
    assert_eq!(id(&broken), Err(BadSvid::Form));
    // The extension twice.
    let mut twice = params(&["spiffe://prod.acme.example/ns/admin"]);
    twice.custom_extensions = vec![CustomExtension::from_oid_content(&[2, 5, 29, 17], names)];
    assert_eq!(id(&twice), Err(BadSvid::Form));
}

#[test]
fn rs_10_authorities_and_keys_for_something_else_are_nobody() {
    let mut authority = params(&[RUNNER]);
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    assert_eq!(id(&authority), Err(BadSvid::Use));
    let mut plain = params(&[RUNNER]);
    plain.is_ca = IsCa::ExplicitNoCa;
    assert_eq!(id(&plain).as_deref(), Ok(RUNNER));
    for usages in [
        vec![],
        vec![KeyUsagePurpose::KeyEncipherment],
        vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyCertSign],
        vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::CrlSign],
    ] {
        let mut other = params(&[RUNNER]);
        other.key_usages.clone_from(&usages);
        assert_eq!(id(&other), Err(BadSvid::Use), "{usages:?}");
    }
    // Basic constraints that cannot be read are not "no authority".
    let mut odd = params(&[RUNNER]);
    odd.custom_extensions = vec![CustomExtension::from_oid_content(&[2, 5, 29, 19], vec![0x04, 0x00])];
    assert_eq!(id(&odd), Err(BadSvid::Form));
}

#[test]
fn rs_10_a_certificate_is_held_against_the_rule_of_its_trust_domain() {
    let runner = params(&[RUNNER]);
    let found = attest_peer(&PeerCertificate::of_handshake(&der(&runner)), &rule(), noon()).expect("somebody");
    assert_eq!((found.user().issuer(), found.user().subject(), found.client().as_str()), (TD, RUNNER, "idp:mesh"));
    assert_eq!(found.granted().iter().map(String::as_str).collect::<Vec<_>>(), ["alpha:read", "beta:write"]);
    assert!(found.token().starts_with("certificate sha256:") && found.token().len() == 19 + 64, "{}", found.token());
    let found = std::sync::Arc::new(found).standing(Vec::new(), crate::identity::caller::Standing::Good);
    let end = Timestamp::from_millis(1_780_358_400_000);
    assert_eq!((found.record().level, found.record().expires), (Level::Cloud, end));

    let pattern = |text: &str| vec![SubjectPattern::parse(text).expect("a pattern")];
    let demand = |wanted| vec![Demand { claim: "a".to_owned(), wanted }];
    let hour = Duration::from_secs(3_600);
    for (what, rule, expected) in [
        ("one that fits", IssuerRule { subjects: pattern("spiffe://prod.acme.example/ns/agents/sa/*"), ..rule() }, None),
        ("others", IssuerRule { subjects: pattern("spiffe://prod.acme.example/ns/other/**"), ..rule() }, Some(Unattested::Subject)),
        ("another trust domain", IssuerRule { issuers: vec!["spiffe://prod.acme".to_owned()], ..rule() }, Some(Unattested::Issuer)),
        ("tokens alone", IssuerRule { forms: Forms::Tokens, ..rule() }, Some(Unattested::Issuer)),
        ("no trust domain", IssuerRule { kind: IssuerKind::Jwt, ..rule() }, Some(Unattested::Issuer)),
        ("a claim", IssuerRule { require: demand(Wanted::Is(Truth::False)), ..rule() }, Some(Unattested::Demand)),
        ("groups", IssuerRule { groups_claim: Some("groups".to_owned()), ..rule() }, Some(Unattested::Groups)),
        ("short lives", IssuerRule { max_lifetime: hour, ..rule() }, Some(Unattested::TooLong)),
        ("a life that begins early", IssuerRule { max_lifetime: DAY - Duration::from_secs(300), ..rule() }, None),
        ("one too early", IssuerRule { max_lifetime: DAY - Duration::from_secs(301), ..rule() }, Some(Unattested::TooLong)),
        ("new ones", IssuerRule { max_age: Some(hour), ..rule() }, Some(Unattested::Old)),
    ] {
        assert_eq!(why(&runner, &rule, noon()), expected, "{what}");
    }
    let moment = Duration::from_millis(1);
    assert_eq!(why(&runner, &rule(), end.before(moment)), None);
    assert_eq!(why(&runner, &rule(), end), Some(Unattested::Expired), "no leeway at the end");
    let start = Timestamp::from_millis(1_780_272_000_000);
    assert_eq!(why(&runner, &rule(), start.before(Duration::from_secs(30))), None);
    assert_eq!(why(&runner, &rule(), start.before(Duration::from_secs(31))), Some(Unattested::Early));
    assert_eq!(why(&params(&["spiffe://evil.test/ns/agents/sa/runner"]), &rule(), noon()), Some(Unattested::Issuer));
    let long = format!("{TD}/{}", "x".repeat(300));
    assert_eq!(why(&params(&[&long]), &rule(), noon()), Some(Unattested::Subject), "longer than ids of users");
    assert_eq!(why(&params(&[]), &rule(), noon()), Some(Unattested::Certificate(BadSvid::Name)));
    for (bad, reason) in [(BadSvid::Form, "bad_certificate"), (BadSvid::Use, "certificate_not_for_this"), (BadSvid::Name, "no_spiffe_id")] {
        assert_eq!(Unattested::Certificate(bad).reason(), reason);
    }
}

#[test]
fn a_certificate_that_is_cut_or_goes_on_is_none() {
    let whole = der(&params(&[RUNNER]));
    for end in 0..whole.len() {
        assert!(matches!(read(&whole[..end]), Err(BadSvid::Form)), "{end}");
    }
    assert!(matches!(read(&[whole.as_slice(), &[0]].concat()), Err(BadSvid::Form)));
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(at in 0_usize..600, byte in any::<u8>(), rest in proptest::collection::vec(any::<u8>(), 0..64)) {
        let mut bytes = der(&params(&[RUNNER]));
        let length = bytes.len();
        bytes[at % length] = byte;
        let _changed = read(&bytes);
        let _any = read(&rest);
    }
}
