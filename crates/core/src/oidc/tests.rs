//! Hostile metadata, keys, tokens and answers, against a signer of our own and one vector of RFC 8037.

mod logout;

use super::admission::{Admission, NotAdmitted, admit};
use super::answer::{BadAnswer, Tokens};
use super::jose::{Alg, BadToken, Signed, verify};
use super::journey::{BadJourney, JOURNEY_LIFE, Journey, JourneyKey, NotArrived};
use super::keys::{BadKeys, KeySet, NoKey};
use super::provider::{BadMetadata, ClientAuth, Metadata, Naming, Place, address};
use super::token::{Expected, GROUPS, Unvouched, Vouched, vouch};
use crate::id::ProviderName;
use crate::oauth::form::Form;
use crate::secret::Secret;
use crate::time::Timestamp;
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use serde_json::{Value, json};
use std::sync::OnceLock;
use std::time::Duration;

const ISSUER: &str = "https://idp.example";
const NOW: u64 = 1_700_000_000;

fn b64(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// One key for all tests: making one takes a moment.
fn key() -> &'static KeyPair {
    static KEY: OnceLock<KeyPair> = OnceLock::new();
    KEY.get_or_init(|| KeyPair::generate(KeySize::Rsa2048).expect("a key"))
}

/// Modulus and exponent out of the DER of `RSAPublicKey` (RFC 8017, appendix A.1.1): two integers in a sequence.
fn components(key: &KeyPair) -> (Vec<u8>, Vec<u8>) {
    let der = key.public_key().as_ref();
    let (modulus, rest) = integer(&der[4..]);
    (modulus, integer(rest).0)
}

fn integer(der: &[u8]) -> (Vec<u8>, &[u8]) {
    let (length, at) = match der[1] {
        0x82 => (usize::from(der[2]) << 8 | usize::from(der[3]), 4),
        short => (usize::from(short), 2),
    };
    let bytes = &der[at..at + length];
    (bytes.iter().copied().skip_while(|byte| *byte == 0).collect(), &der[at + length..])
}

fn jwk(key: &KeyPair, kid: &str) -> Value {
    let (modulus, exponent) = components(key);
    json!({"kty": "RSA", "kid": kid, "use": "sig", "alg": "RS256", "n": b64(&modulus), "e": b64(&exponent)})
}

fn set(keys: &[Value]) -> KeySet {
    KeySet::parse(&Bytes::from(json!({"keys": keys}).to_string())).expect("keys")
}

fn signed_by(key: &KeyPair, header: &Value, claims: &str) -> String {
    let message = format!("{}.{}", b64(header.to_string().as_bytes()), b64(claims.as_bytes()));
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message.as_bytes(), &mut signature).expect("a signature");
    format!("{message}.{}", b64(&signature))
}

fn token(claims: &Value) -> String {
    signed_by(key(), &json!({"alg": "RS256", "kid": "one", "typ": "JWT"}), &claims.to_string())
}

fn good() -> Value {
    json!({"iss": ISSUER, "aud": "door", "sub": "00u1", "nonce": "n", "iat": NOW, "exp": NOW + 300,
        "groups": ["staff"], "email": "ann@acme.example", "email_verified": true})
}

/// The good claims with some changed, or (null) left out.
fn with(changes: &Value) -> Value {
    let mut claims = good();
    for (name, value) in changes.as_object().expect("an object") {
        match value {
            Value::Null => drop(claims.as_object_mut().expect("an object").remove(name)),
            value => claims[name] = value.clone(),
        }
    }
    claims
}

fn expected() -> Expected<'static> {
    Expected {
        issuer: ISSUER,
        client_id: "door",
        nonce: "n",
        begun: Timestamp::from_millis((NOW - 20) * 1_000),
        access_token: Some("at"),
        leeway: Duration::from_secs(30),
        groups_claim: "groups",
        email_claim: "email",
    }
}

fn signed(claims: &Value) -> Signed {
    verify(&token(claims), &set(&[jwk(key(), "one")]), &[Alg::Rs256]).expect("signed")
}

fn judged(claims: &Value) -> Result<Vouched, Unvouched> {
    vouch(&signed(claims), &expected(), Timestamp::from_millis(NOW * 1_000))
}

#[test]
fn oc_06_only_a_key_of_the_issuer_and_a_configured_algorithm_count() {
    let keys = set(&[jwk(key(), "one")]);
    let claims = good().to_string();
    let whole = token(&good());
    assert_eq!(verify(&whole, &keys, &[Alg::Rs256]).expect("good").alg(), Alg::Rs256);
    let with = |header: Value| verify(&signed_by(key(), &header, &claims), &keys, &[Alg::Rs256]).expect_err("refused");
    for alg in ["none", "None", "NONE", "nOnE", "HS256", "RS256 ", "rs256", "PS256", "ES256", "RS512", ""] {
        assert_eq!(with(json!({"alg": alg, "kid": "one"})), BadToken::Algorithm, "{alg}");
    }
    assert_eq!(with(json!({"kid": "one"})), BadToken::Algorithm);
    assert_eq!(with(json!({"alg": ["RS256"], "kid": "one"})), BadToken::Form);
    for (name, value) in
        [("crit", json!(["b64"])), ("b64", json!(false)), ("zip", json!("DEF")), ("enc", json!("A128GCM")), ("cty", json!("JWT"))]
    {
        assert_eq!(with(json!({"alg": "RS256", "kid": "one", name: value})), BadToken::Extension, "{name}");
    }
    for kind in ["at+jwt", "logout+jwt", "dpop+jwt", "secevent+jwt"] {
        assert_eq!(with(json!({"alg": "RS256", "kid": "one", "typ": kind})), BadToken::Kind, "{kind}");
    }
    for kid in ["two", "../../dev/null", "https://evil.example/jwks", "' OR 1=1 --", "ONE", "one "] {
        assert_eq!(with(json!({"alg": "RS256", "kid": kid})), BadToken::Key(NoKey::Unknown), "{kid}");
    }
    // Keys that a token brings along are nobody's.
    let other = KeyPair::generate(KeySize::Rsa2048).expect("a key");
    for header in [
        json!({"alg": "RS256", "kid": "one", "jwk": jwk(&other, "one")}),
        json!({"alg": "RS256", "kid": "one", "jku": "https://evil.example/jwks", "x5u": "https://evil.example/x"}),
    ] {
        assert_eq!(verify(&signed_by(&other, &header, &claims), &keys, &[Alg::Rs256]).expect_err("refused"), BadToken::Signature);
    }
    // HMAC with the public key as its secret, and no signature at all.
    for secret in [components(key()).0, jwk(key(), "one").to_string().into_bytes()] {
        let message = format!("{}.{}", b64(json!({"alg": "HS256", "kid": "one"}).to_string().as_bytes()), b64(claims.as_bytes()));
        let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &secret), message.as_bytes());
        let forged = format!("{message}.{}", b64(mac.as_ref()));
        assert_eq!(verify(&forged, &keys, &Alg::ALL).expect_err("refused"), BadToken::Algorithm);
        assert_eq!(verify(&forged.replace("HS256", "RS256"), &keys, &Alg::ALL).expect_err("refused"), BadToken::Algorithm);
    }
    let parts: Vec<&str> = whole.split('.').collect();
    let [head, body, signature] = parts.as_slice() else { panic!("three parts") };
    let other_body = b64(with_admin().as_bytes());
    for (bad, why) in [
        (format!("{head}.{body}."), BadToken::Signature),
        (format!("{head}.{body}"), BadToken::Form),
        (format!("{head}.{body}.{signature}.{signature}"), BadToken::Form),
        (format!("{head}.{body}.{}", b64(&URL_SAFE_NO_PAD.decode(signature).expect("base64url")[..250])), BadToken::Signature),
        (format!("{head}.{other_body}.{signature}"), BadToken::Signature),
        (format!("{head}.{body}.{signature}="), BadToken::Form),
        (format!("{head}.{}.{signature}", "A".repeat(17_000)), BadToken::Form),
        (String::new(), BadToken::Form),
        ("..".to_owned(), BadToken::Form),
    ] {
        assert_eq!(verify(&bad, &keys, &[Alg::Rs256]).expect_err("refused"), why, "{bad:.60}");
    }
}

fn with_admin() -> String {
    with(&json!({"groups": ["admins"]})).to_string()
}

#[test]
fn oc_06_a_key_twice_in_header_or_claims_is_no_token() {
    let keys = set(&[jwk(key(), "one")]);
    let twice = good().to_string().replacen("{", "{\"sub\":\"root\",", 1);
    let forged = signed_by(key(), &json!({"alg": "RS256", "kid": "one"}), &twice);
    assert_eq!(verify(&forged, &keys, &[Alg::Rs256]).expect_err("refused"), BadToken::Form);
    let message = format!("{}.{}", b64(br#"{"alg":"RS256","alg":"none","kid":"one"}"#), b64(good().to_string().as_bytes()));
    assert_eq!(verify(&format!("{message}.AAAA"), &keys, &[Alg::Rs256]).expect_err("refused"), BadToken::Form);
    for claims in ["[]", "\"x\"", "null", "{} {}", ""] {
        let forged = signed_by(key(), &json!({"alg": "RS256", "kid": "one"}), claims);
        assert_eq!(verify(&forged, &keys, &[Alg::Rs256]).expect_err("refused"), BadToken::Form, "{claims}");
    }
}

#[test]
fn oc_06_which_key_is_meant_is_never_guessed() {
    let other = KeyPair::generate(KeySize::Rsa2048).expect("a key");
    let no_kid = signed_by(key(), &json!({"alg": "RS256"}), &good().to_string());
    let kid = token(&good());
    let two_with_one_id = set(&[jwk(key(), "one"), jwk(&other, "one")]);
    assert_eq!(verify(&kid, &two_with_one_id, &[Alg::Rs256]).expect_err("refused"), BadToken::Key(NoKey::Ambiguous));
    let two = set(&[jwk(key(), "one"), jwk(&other, "two")]);
    assert_eq!(verify(&no_kid, &two, &[Alg::Rs256]).expect_err("refused"), BadToken::Key(NoKey::Ambiguous));
    assert!(verify(&no_kid, &set(&[jwk(key(), "one")]), &[Alg::Rs256]).is_ok(), "one key alone needs no id");
    assert!(verify(&kid, &two, &[Alg::Rs256]).is_ok());
    // The id of another key: the signature is not that key's.
    let named = signed_by(key(), &json!({"alg": "RS256", "kid": "two"}), &good().to_string());
    assert_eq!(verify(&named, &two, &[Alg::Rs256]).expect_err("refused"), BadToken::Signature);
}

#[test]
fn oc_06_other_algorithms_and_their_keys() {
    // RFC 8037, appendix A.4: another implementation made this signature.
    let ed = set(&[json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"})]);
    let message = b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
    let signature = "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
    let key = ed.key(Alg::EdDsa, None).expect("the key");
    let bytes = URL_SAFE_NO_PAD.decode(signature).expect("base64url");
    assert!(key.verifies(Alg::EdDsa, message, &bytes));
    assert!(!key.verifies(Alg::EdDsa, b"other", &bytes) && !key.verifies(Alg::Es256, message, &bytes));

    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key");
    let point = pair.public_key().as_ref();
    let ec = set(&[json!({"kty": "EC", "crv": "P-256", "kid": "ec", "x": b64(&point[1..33]), "y": b64(&point[33..])})]);
    let message = format!("{}.{}", b64(br#"{"alg":"ES256","kid":"ec"}"#), b64(good().to_string().as_bytes()));
    let signature = pair.sign(&SystemRandom::new(), message.as_bytes()).expect("a signature");
    let whole = format!("{message}.{}", b64(signature.as_ref()));
    assert!(verify(&whole, &ec, &[Alg::Es256]).is_ok());
    assert_eq!(verify(&whole, &ec, &[Alg::Rs256]).expect_err("refused"), BadToken::Algorithm);
    for bad in [vec![0; 64], vec![0; 63], Vec::new()] {
        assert_eq!(verify(&format!("{message}.{}", b64(&bad)), &ec, &[Alg::Es256]).expect_err("refused"), BadToken::Signature);
    }
}

#[test]
fn flt_08_a_set_without_a_usable_key_is_no_set() {
    let read = |text: String| KeySet::parse(&Bytes::from(text)).expect_err("refused");
    for text in ["", "[]", "{}", "{\"keys\":{}}", "{\"keys\":[", "<html>", "{\"keys\":[],\"keys\":[]}"] {
        assert_eq!(read(text.to_owned()), BadKeys::Form, "{text}");
    }
    let one = jwk(key(), "one");
    let changed = |name: &str, value: Value| {
        let mut key = one.clone();
        key[name] = value;
        key
    };
    for useless in [
        json!({"kty": "oct", "kid": "one", "k": "c2VjcmV0"}),
        changed("use", json!("enc")),
        changed("use", json!(["sig"])),
        changed("key_ops", json!(["sign"])),
        changed("alg", json!("HS256")),
        changed("alg", json!("ES256")),
        changed("kty", json!("EC")),
        changed("n", json!("AQAB")),
        changed("kid", json!(1)),
        json!({"kty": "OKP", "crv": "X25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}),
        json!({"kty": "EC", "crv": "P-256", "x": "AQ", "y": "AQ"}),
        json!("text"),
    ] {
        assert_eq!(read(json!({"keys": [useless]}).to_string()), BadKeys::Empty, "{useless}");
    }
    assert_eq!(read(json!({"keys": []}).to_string()), BadKeys::Empty);
    assert_eq!(read(json!({"keys": vec![one.clone(); 101]}).to_string()), BadKeys::TooMany);
    assert_eq!(read(json!({"keys": [one, {"kty": "RSA", "d": "AQ"}]}).to_string()), BadKeys::Private);
    assert_eq!(set(&[jwk(key(), "one"), json!({"kty": "oct", "k": "AA"})]).count(), 1, "what is of no use is left out");
}

#[test]
fn oc_06_a_token_is_for_us_in_this_sign_in_and_now() {
    let vouched = judged(&good()).expect("good");
    assert_eq!((vouched.user().issuer(), vouched.user().subject()), (ISSUER, "00u1"));
    assert_eq!(vouched.groups().iter().map(crate::id::GroupName::as_str).collect::<Vec<_>>(), ["staff"]);
    for (changes, why) in [
        (json!({"iss": "https://idp.example/"}), Unvouched::Issuer),
        (json!({"iss": "https://IDP.example"}), Unvouched::Issuer),
        (json!({"iss": null}), Unvouched::Issuer),
        (json!({"aud": "other"}), Unvouched::Audience),
        (json!({"aud": null}), Unvouched::Audience),
        (json!({"aud": []}), Unvouched::Audience),
        (json!({"aud": "door2"}), Unvouched::Audience),
        (json!({"aud": ["door", "other"]}), Unvouched::Audience),
        (json!({"aud": {"door": 1}}), Unvouched::Audience),
        (json!({"azp": "other"}), Unvouched::Audience),
        (json!({"exp": null}), Unvouched::Times),
        (json!({"exp": "1800000000"}), Unvouched::Times),
        (json!({"exp": -1}), Unvouched::Times),
        (json!({"iat": null}), Unvouched::Times),
        (json!({"iat": true}), Unvouched::Times),
        (json!({"nbf": "x"}), Unvouched::Times),
        (json!({"exp": NOW - 30}), Unvouched::Expired),
        (json!({"iat": NOW + 31}), Unvouched::Early),
        (json!({"nbf": NOW + 31}), Unvouched::Early),
        (json!({"iat": NOW - 51}), Unvouched::Old),
        (json!({"nonce": null}), Unvouched::Nonce),
        (json!({"nonce": "N"}), Unvouched::Nonce),
        (json!({"nonce": ["n"]}), Unvouched::Nonce),
        (json!({"sub": null}), Unvouched::Subject),
        (json!({"sub": ""}), Unvouched::Subject),
        (json!({"sub": ["00u1"]}), Unvouched::Subject),
        (json!({"sub": "a\u{0}b"}), Unvouched::Subject),
        (json!({"sub": "x".repeat(256)}), Unvouched::Subject),
        (json!({"at_hash": "AAAA"}), Unvouched::AccessToken),
        (json!({"at_hash": 5}), Unvouched::AccessToken),
    ] {
        assert_eq!(judged(&with(&changes)).expect_err("refused"), why, "{changes}");
    }
    let huge = token(&good()).replacen(&b64(good().to_string().as_bytes()), "e30", 1);
    assert!(verify(&huge, &set(&[jwk(key(), "one")]), &[Alg::Rs256]).is_err());
    let text = good().to_string().replace(&format!("\"exp\":{}", NOW + 300), "\"exp\":1e30");
    let signed = verify(&signed_by(key(), &json!({"alg": "RS256", "kid": "one"}), &text), &set(&[jwk(key(), "one")]), &[Alg::Rs256]);
    assert_eq!(vouch(&signed.expect("signed"), &expected(), Timestamp::from_millis(NOW * 1_000)).expect_err("refused"), Unvouched::Times);
    for fine in [
        json!({"aud": ["door"], "azp": "door"}),
        json!({"exp": NOW - 29, "iat": NOW - 50}),
        json!({"iat": NOW + 30, "nbf": NOW + 30}),
        json!({"iat": 1_700_000_000.5}),
        json!({"at_hash": Alg::Rs256.half_digest("at")}),
    ] {
        assert!(judged(&with(&fine)).is_ok(), "{fine}");
    }
}

#[test]
fn oc_06_groups_are_read_whole_or_not_at_all() {
    let groups =
        |changes: Value| judged(&with(&changes)).map(|vouched| vouched.groups().iter().map(ToString::to_string).collect::<Vec<_>>());
    // One text is one group with that name: nobody becomes an administrator by a comma.
    assert_eq!(groups(json!({"groups": "staff,admins"})).expect("one"), ["staff,admins"]);
    assert_eq!(groups(json!({"groups": null})).expect("none"), Vec::<String>::new());
    assert_eq!(groups(json!({"groups": []})).expect("none"), Vec::<String>::new());
    for bad in [json!(["staff", 5]), json!(["staff", ["admins"]]), json!({"admins": true}), json!([""]), json!(["a\nb"]), json!(7)] {
        assert_eq!(groups(json!({"groups": bad})).expect_err("refused"), Unvouched::Groups);
    }
    let many: Vec<String> = (0..=GROUPS).map(|number| number.to_string()).collect();
    assert_eq!(groups(json!({"groups": many})).expect_err("refused"), Unvouched::TooManyGroups);
    for elsewhere in [json!({"groups": null, "_claim_names": {"groups": "src1"}}), json!({"groups": null, "hasgroups": true})] {
        assert_eq!(groups(elsewhere).expect_err("refused"), Unvouched::TooManyGroups);
    }
}

#[test]
fn oc_06_userinfo_of_somebody_else_counts_for_nothing() {
    let without = || judged(&with(&json!({"groups": null, "email": null}))).expect("vouched");
    assert!(without().lacks_something() && !judged(&good()).expect("vouched").lacks_something());
    let told = |text: &str| without().completed(&Bytes::from(text.to_owned()), &expected());
    for bad in [r#"{"sub":"other","groups":["admins"]}"#, r#"{"groups":["admins"]}"#, r#"{"sub":"00u1","sub":"00u1"}"#, "x", "[]"] {
        assert_eq!(told(bad).expect_err("refused"), Unvouched::UserInfo, "{bad}");
    }
    assert_eq!(told(r#"{"sub":"00u1","groups":[1]}"#).expect_err("refused"), Unvouched::Groups);
    let full = told(r#"{"sub":"00u1","groups":["staff"],"email":"ann@acme.example","email_verified":true}"#).expect("told");
    assert_eq!((full.groups().len(), full.email().and_then(|email| email.verified_domain())), (1, Some("acme.example".to_owned())));
    // `email_verified` speaks of `email`: another claim may be a name that its owner chose.
    let chosen = Expected { email_claim: "preferred_username", ..expected() };
    let text = r#"{"sub":"00u1","preferred_username":"ann@acme.example","email_verified":true}"#;
    let named = without().completed(&Bytes::from(text.to_owned()), &chosen).expect("told");
    assert_eq!(named.email().and_then(|email| email.verified_domain()), None);
    // What the token said is not overruled.
    let kept = judged(&with(&json!({"email": null}))).expect("vouched");
    let kept = kept.completed(&Bytes::from(r#"{"sub":"00u1","groups":["admins"]}"#), &expected()).expect("told");
    assert_eq!(kept.groups().iter().map(crate::id::GroupName::as_str).collect::<Vec<_>>(), ["staff"]);
}

#[test]
fn ui_05_only_whom_every_condition_names_comes_in() {
    let admission = Admission { email_domains: vec!["acme.example".to_owned()], groups: Vec::new() };
    let tried = |changes: Value| admit(&judged(&with(&changes)).expect("vouched"), &[], &admission).map(|one| one.user().to_string());
    assert_eq!(tried(json!({})).expect("in"), "https://idp.example/00u1");
    assert_eq!(tried(json!({"email": "Ann@ACME.Example"})).expect("in, whatever the case"), "https://idp.example/00u1");
    for changes in [
        json!({"email_verified": false}),
        json!({"email_verified": null}),
        json!({"email_verified": "true"}),
        json!({"email_verified": 1}),
        json!({"email": null}),
        json!({"email": "ann@evil.example"}),
        json!({"email": "ann@acme.example.evil.example"}),
        json!({"email": "ann@sub.acme.example"}),
        json!({"email": "ann@xacme.example"}),
        json!({"email": "ann@evil.example@acme.example"}),
        json!({"email": "\"ann@evil.example\"@acme.example"}),
        json!({"email": "ann@acme.example."}),
        json!({"email": "ann@\u{ff41}cme.example"}),
        json!({"email": "ann@acme.exa\u{200b}mple"}),
        json!({"email": "ann@ac\u{43c}e.example"}),
        json!({"email": "ann@acme\u{3002}example"}),
        json!({"email": "ann@evil.example\u{0}@acme.example"}),
        json!({"email": "@acme.example"}),
        json!({"email": "<x@evil.example> ann@acme.example"}),
        json!({"email": ["ann@acme.example"]}),
    ] {
        assert_eq!(tried(changes.clone()).expect_err("refused"), NotAdmitted::Email, "{changes}");
    }
    let staff = Admission { email_domains: Vec::new(), groups: vec![crate::id::GroupName::new("staff").expect("group")] };
    for (groups, fits) in [(json!(["x", "staff"]), true), (json!(["Staff"]), false), (json!("staff,x"), false), (json!([]), false)] {
        let outcome = admit(&judged(&with(&json!({"groups": groups}))).expect("vouched"), &[], &staff);
        assert_eq!(outcome.map_err(|why| why == NotAdmitted::Group).err(), (!fits).then_some(true), "{groups}");
    }
    // Google: the account's own domain, never that of its address.
    let hosted = ["acme.example".to_owned()];
    for (hd, fits) in
        [(json!("acme.example"), true), (json!("evil.example"), false), (json!(null), false), (json!(["acme.example"]), false)]
    {
        let outcome = admit(&judged(&with(&json!({"hd": hd}))).expect("vouched"), &hosted, &Admission::default());
        assert_eq!(outcome.is_ok(), fits, "{hd}");
    }
}

fn metadata() -> Value {
    json!({"issuer": ISSUER, "authorization_endpoint": "https://idp.example/auth", "token_endpoint": "https://idp.example/token",
        "jwks_uri": "https://keys.example/jwks", "response_types_supported": ["code"],
        "id_token_signing_alg_values_supported": ["RS256"], "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": ["client_secret_post"], "authorization_response_iss_parameter_supported": true})
}

fn described(issuer: &str, changes: &Value) -> Result<Metadata, BadMetadata> {
    let mut whole = metadata();
    for (name, value) in changes.as_object().expect("an object") {
        match value {
            Value::Null => drop(whole.as_object_mut().expect("an object").remove(name)),
            value => whole[name] = value.clone(),
        }
    }
    Metadata::parse(&Bytes::from(whole.to_string()), issuer, &[Alg::Rs256])
}

#[test]
fn oc_04_metadata_is_of_its_issuer_and_leads_only_where_it_may() {
    let good = described(ISSUER, &json!({})).expect("good");
    assert_eq!(
        (good.auth, good.naming, good.token.place, good.keys.place),
        (ClientAuth::Post, Naming::Promised, Place::Issuer, Place::Elsewhere)
    );
    assert_eq!(address("https://idp.example/realm/"), "https://idp.example/realm/.well-known/openid-configuration");
    for issuer in ["https://idp.example/", "https://IDP.example", "http://idp.example", "https://idp.example:443", "https://evil.example"] {
        assert_eq!(described(ISSUER, &json!({"issuer": issuer})).expect_err("refused"), BadMetadata::Issuer, "{issuer}");
    }
    assert_eq!(described(ISSUER, &json!({"issuer": null})).expect_err("refused"), BadMetadata::Issuer);
    for member in ["authorization_endpoint", "token_endpoint", "jwks_uri"] {
        for bad in [
            json!(null),
            json!("http://idp.example/x"),
            json!("http://169.254.169.254/x"),
            json!("javascript:alert(1)"),
            json!("data:,x"),
            json!("file:///etc/passwd"),
            json!("https://user:pw@idp.example/x"),
            json!("https://idp.example/x#f"),
            json!("https://idp.example/x y"),
            json!("//idp.example/x"),
            json!("/x"),
            json!(""),
            json!(["https://idp.example/x"]),
        ] {
            assert_eq!(described(ISSUER, &json!({member: bad})).expect_err("refused"), BadMetadata::Member(member), "{member} {bad}");
        }
    }
    for (changes, why) in [
        (json!({"code_challenge_methods_supported": ["plain"]}), BadMetadata::Unsupported("PKCE with S256")),
        (json!({"code_challenge_methods_supported": []}), BadMetadata::Unsupported("PKCE with S256")),
        (json!({"response_types_supported": ["id_token"]}), BadMetadata::Unsupported("response_type=code")),
        (json!({"id_token_signing_alg_values_supported": ["none", "HS256"]}), BadMetadata::Algorithms),
        (json!({"token_endpoint_auth_methods_supported": ["none"]}), BadMetadata::Unsupported("client_secret_basic or client_secret_post")),
        (
            json!({"authorization_response_iss_parameter_supported": "true"}),
            BadMetadata::Member("authorization_response_iss_parameter_supported"),
        ),
        (json!({"response_types_supported": "code"}), BadMetadata::Member("response_types_supported")),
    ] {
        assert_eq!(described(ISSUER, &changes).expect_err("refused"), why, "{changes}");
    }
    assert_eq!(described(ISSUER, &json!({"token_endpoint_auth_methods_supported": null})).expect("good").auth, ClientAuth::Basic);
    // http only where the issuer itself is on this computer.
    let here = "http://127.0.0.1:9000";
    let all = json!({"issuer": here, "authorization_endpoint": "http://127.0.0.1:9000/a", "token_endpoint": "http://127.0.0.1:9000/t", "jwks_uri": "http://127.0.0.1:9000/j"});
    assert!(described(here, &all).is_ok());
    let mut elsewhere = all;
    elsewhere["token_endpoint"] = json!("http://127.0.0.1:9001/t");
    assert_eq!(described(here, &elsewhere).expect_err("refused"), BadMetadata::Member("token_endpoint"));
}

#[test]
fn oc_05_an_answer_of_the_token_endpoint_is_read_strictly() {
    let read = |text: &str| Tokens::parse(&Bytes::from(text.to_owned()));
    let good =
        read(r#"{"access_token":"at","token_type":"bEaReR","expires_in":"3600","id_token":"a.b.c","refresh_token":"rt"}"#).expect("good");
    assert_eq!((good.id_token(), good.access_token()), ("a.b.c", Some("at")));
    assert!(!format!("{good:?}").contains("a.b"));
    for (text, why) in [
        ("<html>", BadAnswer::Form),
        ("[]", BadAnswer::Form),
        (r#"{"id_token":"a","id_token":"b","token_type":"Bearer"}"#, BadAnswer::Form),
        (r#"{"error":"invalid_grant","error_description":"x"}"#, BadAnswer::Refused("invalid_grant".to_owned())),
        (r#"{"error":"<script>","id_token":"a"}"#, BadAnswer::Refused(String::new())),
        (r#"{"id_token":"a"}"#, BadAnswer::Type),
        (r#"{"id_token":"a","token_type":"mac"}"#, BadAnswer::Type),
        (r#"{"token_type":"Bearer","access_token":"at"}"#, BadAnswer::NoIdToken),
        (r#"{"token_type":"Bearer","id_token":""}"#, BadAnswer::NoIdToken),
        (r#"{"token_type":"Bearer","id_token":["a"]}"#, BadAnswer::NoIdToken),
        (r#"{"token_type":"Bearer","id_token":"a","access_token":"x\r\nSet-Cookie: y"}"#, BadAnswer::AccessToken),
        (r#"{"token_type":"Bearer","id_token":"a","access_token":5}"#, BadAnswer::AccessToken),
    ] {
        assert_eq!(read(text).expect_err("refused"), why, "{text}");
    }
}

fn journey(waiting: Option<&str>) -> Journey {
    let name = ProviderName::new("okta").expect("name");
    Journey::begin(name, ISSUER.to_owned(), &[[1; 32], [2; 32], [3; 32]], waiting, Timestamp::from_millis(1_000))
}

#[test]
fn oc_03_an_answer_belongs_to_its_browser_provider_and_sign_in() {
    let key = JourneyKey::derive(&Secret::new([7; 32])).expect("key");
    let sealed = key.seal(&journey(Some("ticket")), [9; 12]).expect("sealed");
    let late = Timestamp::from_millis(1_000).after(JOURNEY_LIFE);
    assert!(key.open(&sealed, late).is_ok());
    assert_eq!(key.open(&sealed, late.after(Duration::from_millis(1))).expect_err("too old"), BadJourney);
    assert!(JourneyKey::derive(&Secret::new([8; 32])).expect("key").open(&sealed, late).is_err(), "another installation");
    let (before, after) = sealed.split_at(20);
    let other = if after.starts_with('A') { "B" } else { "A" };
    assert!(key.open(&format!("{before}{other}{}", after.split_at(1).1), late).is_err());
    let (okta, evil) = (ProviderName::new("okta").expect("name"), ProviderName::new("evil").expect("name"));
    let state = b64(&[1; 32]);
    let come = |provider: &ProviderName, issuer: &str, query: &str, names_itself: bool| {
        let form = Form::parse(query).expect("a form");
        key.open(&sealed, late).expect("open").arrive(provider, issuer, &form, if names_itself { Naming::Promised } else { Naming::Open })
    };
    let arrived = come(&okta, ISSUER, &format!("state={state}&code=c"), false).expect("arrived");
    assert_eq!((arrived.code(), arrived.verifier(), arrived.journey().nonce()), ("c", b64(&[3; 32]).as_str(), b64(&[2; 32]).as_str()));
    assert!(arrived.leads_to("ticket") && !arrived.leads_to("another ticket"));
    assert!(
        !key.open(&key.seal(&journey(None), [1; 12]).expect("sealed"), late)
            .expect("open")
            .arrive(&okta, ISSUER, &Form::parse(&format!("state={state}&code=c")).expect("form"), Naming::Open)
            .expect("arrived")
            .leads_to("")
    );
    for (provider, issuer, query, names_itself, why) in [
        (&okta, ISSUER, "code=c".to_owned(), false, NotArrived::Other),
        (&okta, ISSUER, format!("state={}&code=c", b64(&[4; 32])), false, NotArrived::Other),
        (&evil, ISSUER, format!("state={state}&code=c"), false, NotArrived::Other),
        (&okta, "https://moved.example", format!("state={state}&code=c"), false, NotArrived::Other),
        (&okta, ISSUER, format!("state={state}&code=c"), true, NotArrived::Issuer),
        (&okta, ISSUER, format!("state={state}&code=c&iss=https%3A%2F%2Fevil.example"), false, NotArrived::Issuer),
        (&okta, ISSUER, format!("state={state}&code=c&iss=https%3A%2F%2Fidp.example%2F"), true, NotArrived::Issuer),
        (&okta, ISSUER, format!("state={state}&error=access_denied&iss=https%3A%2F%2Fevil.example"), false, NotArrived::Issuer),
        (&okta, ISSUER, format!("state={state}&error=access_denied&code=c"), false, NotArrived::Refused("access_denied".to_owned())),
        (&okta, ISSUER, format!("state={state}&error=%3Cscript%3E"), false, NotArrived::Refused(String::new())),
        (&okta, ISSUER, format!("state={state}"), false, NotArrived::NoCode),
        (&okta, ISSUER, format!("state={state}&code=a%0Ab"), false, NotArrived::NoCode),
    ] {
        assert_eq!(come(provider, issuer, &query, names_itself).expect_err("refused"), why, "{query}");
    }
    assert!(come(&okta, ISSUER, &format!("state={state}&code=c&iss=https%3A%2F%2Fidp.example"), true).is_ok());
    assert_eq!(
        (Journey::short(&state), Journey::short("x"), Journey::short(&format!("{}\n", state.split_at(42).0))),
        (Some("AQEBAQEB"), None, None)
    );
    assert!(!format!("{:?}", journey(None)).contains(&b64(&[3; 32])));
}
