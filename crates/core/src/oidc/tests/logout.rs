//! UI-05: hostile logout tokens. None of them is more than a text.

use super::{ISSUER, NOW, expected as of_sign_in, good as id_token, jwk, key, set, signed_by};
use crate::oidc::jose::{Alg, BadToken, Signed, verify, verify_as};
use crate::oidc::keys::NoKey;
use crate::oidc::logout::{Expected, KIND, LoggedOut, NotLoggedOut, OLDEST, ProviderSession, kinds, log_out};
use crate::oidc::token::{Unvouched, vouch};
use crate::time::Timestamp;
use serde_json::{Value, json};
use std::time::Duration;

const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

fn good() -> Value {
    json!({"iss": ISSUER, "aud": "door", "iat": NOW, "exp": NOW + 120, "jti": "j1", "sub": "00u1", "sid": "s1", "events": {EVENT: {}}})
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

fn typed(kind: &str, claims: &str) -> String {
    signed_by(key(), &json!({"alg": "RS256", "kid": "one", "typ": kind}), claims)
}

fn held(token: &str) -> Result<Signed, BadToken> {
    verify_as(token, &set(&[jwk(key(), "one")]), &[Alg::Rs256], kinds(token))
}

fn told_at(claims: &str, at: u64) -> Result<LoggedOut, NotLoggedOut> {
    let expected = Expected { issuer: ISSUER, client_id: "door", leeway: Duration::from_secs(30) };
    log_out(&held(&typed(KIND, claims)).expect("signed"), &expected, Timestamp::from_millis(at * 1_000))
}

fn told(claims: &Value) -> Result<LoggedOut, NotLoggedOut> {
    told_at(&claims.to_string(), NOW)
}

#[test]
fn ui_05_a_logout_token_says_who_and_out_of_what() {
    let both = told(&good()).expect("good");
    assert_eq!((both.issuer(), both.user().map(ToString::to_string)), (ISSUER, Some(format!("{ISSUER}/00u1"))));
    assert_eq!(both.session(), ProviderSession::of(ISSUER, "s1").as_ref());
    let person = told(&with(&json!({"sid": null}))).expect("good");
    assert!(person.user().is_some() && person.session().is_none());
    let session = told(&with(&json!({"sub": null}))).expect("good");
    assert!(session.user().is_none() && session.session().is_some());
    // One name in two issuers is two sessions, and nothing of either can be moved into the other.
    assert_ne!(ProviderSession::of(ISSUER, "s1"), ProviderSession::of("https://other.example", "s1"));
    assert_ne!(ProviderSession::of("https://a.example", "b"), ProviderSession::of("https://a.exampl", "eb"));
    assert_ne!(both.session().map(ProviderSession::as_bytes), Some(both.once().0));
    // What is not understood besides is passed over (section 2.4).
    for fine in [
        json!({"aud": ["door"]}),
        json!({"toe": NOW, "x": [1]}),
        json!({"iat": NOW - 329, "exp": NOW - 29}),
        json!({"iat": NOW + 30}),
        json!({"events": {EVENT: {"x": 1}}}),
    ] {
        assert!(told(&with(&fine)).is_ok(), "{fine}");
    }
}

#[test]
fn ui_05_a_logout_token_that_is_wrong_in_one_thing_is_none() {
    let long = "x".repeat(1_025);
    for (changes, why) in [
        (json!({"iss": null}), NotLoggedOut::Claims(Unvouched::Issuer)),
        (json!({"iss": "https://evil.example"}), NotLoggedOut::Claims(Unvouched::Issuer)),
        (json!({"iss": format!("{ISSUER}/")}), NotLoggedOut::Claims(Unvouched::Issuer)),
        (json!({"iss": [ISSUER]}), NotLoggedOut::Claims(Unvouched::Issuer)),
        (json!({"aud": null}), NotLoggedOut::Claims(Unvouched::Audience)),
        (json!({"aud": "another"}), NotLoggedOut::Claims(Unvouched::Audience)),
        (json!({"aud": ["door", "another"]}), NotLoggedOut::Claims(Unvouched::Audience)),
        (json!({"aud": []}), NotLoggedOut::Claims(Unvouched::Audience)),
        (json!({"aud": {"door": 1}}), NotLoggedOut::Claims(Unvouched::Audience)),
        (json!({"azp": "another"}), NotLoggedOut::Claims(Unvouched::Audience)),
        (json!({"exp": null}), NotLoggedOut::Claims(Unvouched::Times)),
        (json!({"iat": null}), NotLoggedOut::Claims(Unvouched::Times)),
        (json!({"iat": NOW.to_string()}), NotLoggedOut::Claims(Unvouched::Times)),
        (json!({"exp": -1}), NotLoggedOut::Claims(Unvouched::Times)),
        (json!({"nbf": "soon"}), NotLoggedOut::Claims(Unvouched::Times)),
        (json!({"exp": NOW - 30}), NotLoggedOut::Claims(Unvouched::Expired)),
        (json!({"iat": NOW + 31, "exp": NOW + 60}), NotLoggedOut::Claims(Unvouched::Early)),
        (json!({"nbf": NOW + 31}), NotLoggedOut::Claims(Unvouched::Early)),
        // Whatever its end: an old one is an old one.
        (json!({"iat": NOW - 330}), NotLoggedOut::Old),
        (json!({"iat": 1, "exp": 999_999_999_999_u64}), NotLoggedOut::Old),
        (json!({"events": null}), NotLoggedOut::Event),
        (json!({"events": EVENT}), NotLoggedOut::Event),
        (json!({"events": [EVENT]}), NotLoggedOut::Event),
        (json!({"events": {}}), NotLoggedOut::Event),
        (json!({"events": {EVENT: "{}"}}), NotLoggedOut::Event),
        (json!({"events": {EVENT: null}}), NotLoggedOut::Event),
        (json!({"events": {EVENT: []}}), NotLoggedOut::Event),
        (json!({"events": {EVENT: true}}), NotLoggedOut::Event),
        (json!({"events": {"http://schemas.openid.net/event/backchannel-logout/": {}}}), NotLoggedOut::Event),
        (json!({"events": {"https://schemas.openid.net/event/backchannel-logout": {}}}), NotLoggedOut::Event),
        (json!({"events": {"urn:example:logout": {}}}), NotLoggedOut::Event),
        (json!({"events": {EVENT: {}, "urn:example:other": {}}}), NotLoggedOut::Event),
        (json!({"nonce": "n"}), NotLoggedOut::Nonce),
        (json!({"nonce": ""}), NotLoggedOut::Nonce),
        (json!({"nonce": 0}), NotLoggedOut::Nonce),
        (json!({"sub": null, "sid": null}), NotLoggedOut::Nobody),
        (json!({"sub": ""}), NotLoggedOut::Claims(Unvouched::Subject)),
        (json!({"sub": 7}), NotLoggedOut::Claims(Unvouched::Subject)),
        (json!({"sub": ["00u1"]}), NotLoggedOut::Claims(Unvouched::Subject)),
        (json!({"sid": ""}), NotLoggedOut::Session),
        (json!({"sid": 7}), NotLoggedOut::Session),
        (json!({"sid": ["s1"]}), NotLoggedOut::Session),
        (json!({"sid": long}), NotLoggedOut::Session),
        (json!({"jti": null}), NotLoggedOut::Id),
        (json!({"jti": ""}), NotLoggedOut::Id),
        (json!({"jti": 7}), NotLoggedOut::Id),
        (json!({"jti": "x".repeat(256)}), NotLoggedOut::Id),
    ] {
        assert_eq!(told(&with(&changes)).expect_err("refused"), why, "{changes}");
    }
    // Null is a value, too.
    let literal = good().to_string().replacen('{', "{\"nonce\":null,", 1);
    assert_eq!(told_at(&literal, NOW).expect_err("refused"), NotLoggedOut::Nonce);
    // A member that stands there twice: which one counts is not guessed.
    for twice in ["nonce\":\"n\",\"nonce", "sub\":\"other\",\"sub", "sid\":\"other\",\"sid", "events\":{},\"events"] {
        let claims = good().to_string().replacen('{', &format!("{{\"{twice}\":\"x\","), 1);
        assert_eq!(held(&typed(KIND, &claims)).expect_err("refused"), BadToken::Form, "{twice}");
    }
    let inner = with(&json!({"events": null})).to_string();
    let inner = inner.replacen('{', &format!("{{\"events\":{{\"{EVENT}\":{{}},\"{EVENT}\":{{}}}},"), 1);
    assert_eq!(held(&typed(KIND, &inner)).expect_err("refused"), BadToken::Form);
}

#[test]
fn ui_05_no_claim_can_be_of_another_kind() {
    let strange = [json!(0), json!(-1), json!(1.5e300), json!(true), json!(""), json!("\u{0}"), json!([]), json!({}), json!([[]])];
    for name in ["iss", "aud", "iat", "exp", "jti", "sub", "sid", "events"] {
        for value in &strange {
            let one = with(&json!({name: value}));
            // A session and an id are any text: they are digests from here on. A person is one that can be written.
            let is_text = matches!(name, "sid" | "jti") && value.as_str().is_some_and(|text| !text.is_empty());
            assert_eq!(told(&one).is_ok(), is_text, "{one}");
        }
    }
}

#[test]
fn ui_05_an_id_token_is_no_logout_token_nor_the_other_way_round() {
    let claims = good().to_string();
    for fine in [KIND, "Logout+JWT", "application/logout+jwt"] {
        assert!(held(&typed(fine, &claims)).is_ok(), "{fine}");
    }
    assert!(held(&signed_by(key(), &json!({"alg": "RS256", "kid": "one"}), &claims)).is_ok(), "typ may be left out");
    for kind in ["JWT", "at+jwt", "secevent+jwt", "oauth-id-jag+jwt", "dpop+jwt", "logout+jwt ", "logout", "", "*"] {
        assert_eq!(held(&typed(kind, &claims)).expect_err("refused"), BadToken::Kind, "{kind:?}");
    }
    for typ in [json!(5), json!(null), json!([KIND])] {
        let token = signed_by(key(), &json!({"alg": "RS256", "kid": "one", "typ": typ}), &claims);
        assert_eq!(held(&token).expect_err("refused"), BadToken::Form, "{typ}");
    }
    // The ID token of this very person, whatever its `typ`.
    let mut id = id_token();
    for (name, value) in [("jti", json!("j1")), ("sid", json!("s1"))] {
        id[name] = value;
    }
    assert_eq!(told(&id).expect_err("refused"), NotLoggedOut::Event);
    id["events"] = json!({EVENT: {}});
    assert_eq!(told(&id).expect_err("refused"), NotLoggedOut::Nonce);
    // And a logout token signs nobody in: by its `typ`, and without one by the nonce that it does not have.
    let keys = set(&[jwk(key(), "one")]);
    assert_eq!(verify(&typed(KIND, &claims), &keys, &[Alg::Rs256]).expect_err("refused"), BadToken::Kind);
    let bare = signed_by(key(), &json!({"alg": "RS256", "kid": "one"}), &claims);
    let signed = verify(&bare, &keys, &[Alg::Rs256]).expect("signed");
    assert_eq!(vouch(&signed, &of_sign_in(), Timestamp::from_millis(NOW * 1_000)).expect_err("refused"), Unvouched::Nonce);
}

#[test]
fn ui_05_only_a_key_of_the_issuer_logs_anybody_out() {
    let claims = good().to_string();
    let other = aws_lc_rs::rsa::KeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).expect("a key");
    for (token, why) in [
        (signed_by(&other, &json!({"alg": "RS256", "kid": "one", "typ": KIND}), &claims), BadToken::Signature),
        (signed_by(&other, &json!({"alg": "RS256", "kid": "one", "typ": KIND, "jwk": jwk(&other, "one")}), &claims), BadToken::Signature),
        (signed_by(key(), &json!({"alg": "RS256", "kid": "two", "typ": KIND}), &claims), BadToken::Key(NoKey::Unknown)),
        (signed_by(key(), &json!({"alg": "none", "kid": "one", "typ": KIND}), &claims), BadToken::Algorithm),
        (signed_by(key(), &json!({"alg": "HS256", "kid": "one", "typ": KIND}), &claims), BadToken::Algorithm),
        (signed_by(key(), &json!({"alg": "ES256", "kid": "one", "typ": KIND}), &claims), BadToken::Algorithm),
        (signed_by(key(), &json!({"kid": "one", "typ": KIND}), &claims), BadToken::Algorithm),
        (signed_by(key(), &json!({"alg": "RS256", "kid": "one", "typ": KIND, "crit": ["exp"]}), &claims), BadToken::Extension),
        (signed_by(key(), &json!({"alg": "RS256", "kid": "one", "typ": KIND, "enc": "A128GCM"}), &claims), BadToken::Extension),
    ] {
        assert_eq!(held(&token).expect_err("refused"), why, "{token:.80}");
    }
    let whole = typed(KIND, &claims);
    for bad in [whole.trim_end_matches(|byte: char| byte != '.').to_owned(), format!("{whole}.x"), format!(" {whole}"), String::new()] {
        assert!(held(&bad).is_err(), "{bad:.80}");
    }
}

#[test]
fn ui_05_a_logout_token_is_remembered_as_long_as_it_would_be_believed() {
    let leeway = 30;
    for (changes, until) in [
        (json!({}), NOW + 120 + leeway),
        (json!({"exp": NOW + OLDEST.as_secs() + 9_999}), NOW + OLDEST.as_secs() + leeway),
        (json!({"iat": NOW - 200, "exp": 999_999_999_999_u64}), NOW + 100 + leeway),
    ] {
        let claims = with(&changes);
        let one = told(&claims).expect("good");
        assert_eq!(one.once().1, Timestamp::from_millis(until * 1_000), "{changes}");
        // Not one second longer than that.
        assert!(told_at(&claims.to_string(), until - 1).is_ok() && told_at(&claims.to_string(), until).is_err(), "{changes}");
    }
    let name = |changes: Value| *told(&with(&changes)).expect("good").once().0;
    assert_eq!(name(json!({})), name(json!({"sub": "another", "iat": NOW - 5})), "the id alone names it");
    assert_ne!(name(json!({})), name(json!({"jti": "j2"})));
}
