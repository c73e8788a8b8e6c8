//! Answers as they are, and as nobody should send them.

use super::*;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proptest::prelude::*;
use serde_json::{Value, json};

const START: Timestamp = Timestamp::from_millis(1_795_000_000_000);

fn times() -> Times {
    Times { started: START, now: START.after(Duration::from_secs(3)) }
}

fn answer(status: u16, body: impl Into<Bytes>) -> Answer {
    Answer { host: "oauth2.googleapis.com".to_owned(), status, media: Media::Json, flavor: Flavor::Google, after: None, body: body.into() }
}

fn said(body: &Value) -> Answer {
    answer(200, body.to_string())
}

fn why(answer: &Answer) -> Why {
    answer.access_token(times()).map(|_| ()).expect_err("refused").why().clone()
}

fn jwt(claims: &Value) -> String {
    format!("{}.{}.{}", URL_SAFE_NO_PAD.encode("{}"), URL_SAFE_NO_PAD.encode(claims.to_string()), URL_SAFE_NO_PAD.encode("x"))
}

#[test]
fn cld_04_the_end_of_a_token_counts_from_the_start_of_the_request() {
    let of =
        |expires_in: Value| said(&json!({"access_token": "t", "token_type": "Bearer", "expires_in": expires_in})).access_token(times());
    for (expires_in, seconds) in [
        (json!(3_599), 3_599),
        (json!("3599"), 3_599),
        (json!(3_599.9), 3_599),
        (json!("60.0"), 60),
        (json!(u64::MAX), 43_200),
        (json!("9".repeat(300)), 43_200),
    ] {
        let token = of(expires_in.clone()).expect("a token");
        assert_eq!((token.expires, token.life), (START.after(Duration::from_secs(seconds)), Life::Told), "{expires_in}");
    }
    for expires_in in [json!(0), json!("0"), json!(-1), json!("-3600"), json!(13)] {
        assert_eq!(
            of(expires_in.clone()).expect_err("ended").why(),
            &Why::Expired,
            "{expires_in}: three seconds went by, ten must be left"
        );
    }
    for expires_in in [json!("soon"), json!(true), json!([3600]), json!({}), json!("1e9"), json!(1e30), json!(""), json!("-"), json!("٣")]
    {
        assert!(matches!(of(expires_in.clone()).expect_err("no number").why(), Why::Form(_)), "{expires_in}");
    }
    let token = of(json!(null)).expect("a token");
    assert_eq!((token.expires, token.life), (START.after(ASSUMED_LIFE), Life::Assumed), "not said");
}

#[test]
fn cld_04_an_absolute_end_in_the_past_is_an_error_and_no_panic() {
    let of = |time: Value| said(&json!({"accessToken": "t", "expireTime": time})).impersonated(times());
    let end = of(json!("2026-11-18T11:06:52Z")).expect_err("ended");
    assert_eq!(end.why(), &Why::Expired);
    let good =
        jiff::Timestamp::from_millisecond(i64::try_from(START.after(Duration::from_secs(600)).as_millis()).expect("fits")).expect("a time");
    assert_eq!(of(json!(good.to_string())).expect("a token").expires, START.after(Duration::from_secs(600)));
    let offset = of(json!("2026-11-24T00:00:00+23:00"));
    assert!(offset.is_ok() || offset.is_err_and(|trouble| trouble.why() == &Why::Expired), "an offset is a time as well");
    assert_eq!(of(json!("9000-01-01T00:00:00Z")).expect("clamped").expires, START.after(LONGEST_LIFE));
    for bad in [json!("never"), json!(0), json!(""), json!("1969-12-31T23:59:59Z"), json!("2026-13-01T00:00:00Z"), json!(null)] {
        assert!(of(bad.clone()).is_err_and(|trouble| matches!(trouble.why(), Why::Form(_))), "{bad}");
    }
}

#[test]
fn tokens_that_no_header_can_carry_are_refused() {
    let long = "a".repeat(LONGEST_TOKEN + 1);
    for token in ["", "a b", "a\nb", "a\r\nX-Evil: 1", "tök", "a\u{0}b", long.as_str()] {
        let answer = said(&json!({"access_token": token, "token_type": "Bearer", "expires_in": 3600}));
        assert!(matches!(why(&answer), Why::Token(_)), "{token:?}");
    }
    for kind in ["mac", "DPoP", "N_A", "bearer "] {
        let answer = said(&json!({"access_token": "t", "token_type": kind, "expires_in": 3600}));
        assert_eq!(why(&answer), Why::Token("token_type is not Bearer"), "{kind}");
    }
    assert!(said(&json!({"access_token": "t", "token_type": "bEaReR", "expires_in": 3600})).access_token(times()).is_ok());
}

#[test]
fn what_is_missing_or_of_another_kind_is_named_and_not_repeated() {
    let whole = json!({"access_token": "ya29.canary", "token_type": "Bearer", "expires_in": 3600, "scope": "a b"});
    assert_eq!(said(&whole).access_token(times()).expect("a token").scopes, Some(vec!["a".to_owned(), "b".to_owned()]));
    for member in ["access_token", "token_type", "scope"] {
        for wrong in [json!(1), json!([]), json!({}), json!(true)] {
            let mut changed = whole.clone();
            changed[member] = wrong.clone();
            let trouble = said(&changed).access_token(times()).expect_err("refused");
            assert!(matches!(trouble.why(), Why::Form(_)), "{member} {wrong}");
            assert!(!trouble.to_string().contains("canary"));
        }
    }
    for member in ["access_token", "token_type"] {
        let mut changed = whole.clone();
        changed.as_object_mut().expect("object").remove(member);
        assert!(matches!(why(&said(&changed)), Why::Form(_)), "{member}");
    }
}

#[test]
fn pages_doubled_members_and_errors_with_200_are_no_tokens() {
    let token = r#"{"access_token":"t","token_type":"Bearer","expires_in":3600}"#;
    let mut page = answer(200, "<html>sign in</html>");
    page.media = Media::Other;
    assert_eq!(why(&page), Why::MediaType);
    let mut undeclared = answer(200, token);
    undeclared.media = Media::Other;
    assert_eq!(why(&undeclared), Why::MediaType);
    let malformed = Why::Form("it is not one JSON object, with each member once");
    for body in [
        "",
        "null",
        "[]",
        "\"t\"",
        "{",
        "{\"access_token\":\"t\"",
        r#"{"access_token":"a","access_token":"b","token_type":"Bearer"}"#,
        r#"{"access_token":"a","access\u005ftoken":"b","token_type":"Bearer"}"#,
        "\u{feff}{}",
    ] {
        assert_eq!(why(&answer(200, body.to_owned())), malformed, "{body}");
    }
    assert_eq!(why(&answer(200, vec![0xff, 0xfe])), malformed);
    let mixed = json!({"access_token": "t", "token_type": "Bearer", "expires_in": 1, "error": "invalid_grant"});
    assert_eq!(why(&said(&mixed)), Why::Refused { status: 200, code: "invalid_grant".to_owned(), reason: String::new(), after: None });
    for status in [201, 202, 204, 206] {
        assert!(matches!(why(&answer(status, token)), Why::Refused { .. }), "{status}");
    }
    assert_eq!(why(&answer(302, token)), Why::Redirects(302));
}

#[test]
fn errors_carry_words_and_never_the_body() {
    let iam = json!({"error": {
        "code": 403, "message": "Permission denied for ya29.canary", "status": "PERMISSION_DENIED",
        "details": [{"@type": "x"}, {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "IAM_PERMISSION_DENIED"}],
    }});
    let trouble = answer(403, iam.to_string()).impersonated(times()).expect_err("refused");
    assert_eq!(trouble.to_string(), "oauth2.googleapis.com: it refuses with status 403 (PERMISSION_DENIED, IAM_PERMISSION_DENIED)");
    let oauth = json!({"error": "invalid_grant", "error_description": "canary", "error_subtype": "invalid_rapt"});
    let trouble = answer(400, oauth.to_string()).access_token(times()).expect_err("refused");
    assert_eq!(trouble.to_string(), "oauth2.googleapis.com: it refuses with status 400 (invalid_grant, invalid_rapt)");
    assert!(trouble.help().is_some_and(|help| help.contains("gcloud auth application-default login")));
    for body in
        ["canary", "{\"error\":\"ca nary\"}", "{\"error\":{\"status\":\"canary!\"}}", "{\"error\":[\"canary\"]}", "<html>canary</html>"]
    {
        let trouble = answer(500, body).access_token(times()).expect_err("refused");
        assert_eq!(trouble.to_string(), "oauth2.googleapis.com: it refuses with status 500", "{body}");
        assert!(!format!("{trouble:?}").contains("canary"));
    }
    let mut later = answer(429, "{}");
    later.after = Some(Duration::from_secs(7));
    assert_eq!(why(&later), Why::Refused { status: 429, code: String::new(), reason: String::new(), after: later.after });
}

#[test]
fn cld_03_only_what_says_that_it_is_the_metadata_server_is_believed() {
    let token = json!({"access_token": "t", "token_type": "Bearer", "expires_in": 3600});
    let mut plain = said(&token);
    assert!(plain.metadata_token(times()).is_ok());
    plain.flavor = Flavor::None;
    assert_eq!(plain.metadata_token(times()).expect_err("refused").why(), &Why::Flavor);
    assert_eq!(plain.metadata_email().expect_err("refused").why(), &Why::Flavor);
    assert_eq!(plain.metadata_identity("a", times()).expect_err("refused").why(), &Why::Flavor);
    assert_eq!(
        answer(200, "a@b.iam.gserviceaccount.com\n").metadata_email().map(|account| account.to_string()),
        Ok("a@b.iam.gserviceaccount.com".to_owned())
    );
    for bad in ["", "<html>", "a", "a@b.c x"] {
        assert!(answer(200, bad).metadata_email().is_err(), "{bad}");
    }
    assert!(answer(404, "not found").metadata_email().is_err_and(|trouble| trouble.is_denial()));
}

#[test]
fn an_id_token_is_for_whom_it_was_asked_for_and_has_an_end() {
    let end = START.as_millis() / 1_000 + 3_600;
    let of = |claims: &Value| said(&json!({"token": jwt(claims)})).id_token("token", "https://a.run.app", times());
    let good = of(&json!({"aud": "https://a.run.app", "exp": end})).expect("a token");
    assert_eq!(good.expires, START.after(Duration::from_secs(3_600)));
    assert!(of(&json!({"aud": ["https://a.run.app"], "exp": end})).is_ok());
    for aud in
        [json!("https://b.run.app"), json!(["https://a.run.app", "https://b.run.app"]), json!([]), json!(null), json!("https://a.run.app/")]
    {
        let trouble = of(&json!({"aud": aud, "exp": end})).expect_err("refused");
        assert_eq!(trouble.why(), &Why::Token("it is for somebody else"), "{aud}");
    }
    assert_eq!(of(&json!({"aud": "https://a.run.app", "exp": end - 3_600})).expect_err("ended").why(), &Why::Expired);
    for exp in [json!(null), json!("soon"), json!(-1), json!(1e30)] {
        assert_eq!(of(&json!({"aud": "https://a.run.app", "exp": exp})).expect_err("no end").why(), &Why::Token("it has no end"), "{exp}");
    }
    for text in ["x", "a.b.c", "..", "a.b", &format!("{}.x", jwt(&json!({"aud": "https://a.run.app", "exp": end})))] {
        let trouble = said(&json!({"token": text})).id_token("token", "https://a.run.app", times()).expect_err("refused");
        assert_eq!(trouble.why(), &Why::Token("it is no JWT"), "{text}");
    }
}

#[test]
fn assertions_and_rotated_refresh_tokens_are_read_as_strictly() {
    assert!(said(&json!({"keyId": "k", "signedJwt": "a.b.c"})).signed_jwt().is_ok());
    assert!(said(&json!({"keyId": "k"})).signed_jwt().is_err());
    assert!(said(&json!({"signedJwt": "a b"})).signed_jwt().is_err());
    assert!(said(&json!({"refresh_token": "r"})).next_refresh_token().is_ok_and(|next| next.is_some()));
    assert!(said(&json!({})).next_refresh_token().is_ok_and(|next| next.is_none()));
    for bad in [json!(1), json!(""), json!("a b")] {
        assert!(said(&json!({"refresh_token": bad})).next_refresh_token().is_err());
    }
}

#[test]
fn nothing_is_printed_of_answers_and_tokens() {
    let answer = said(&json!({"access_token": "canary", "token_type": "Bearer", "expires_in": 3600}));
    let token = answer.access_token(times()).expect("a token");
    assert!(!format!("{answer:?} {token:?}").contains("canary"));
}

proptest! {
    /// Whatever the bytes are: no panic, and no error repeats them.
    #[test]
    fn no_body_gets_into_an_error(status in 200u16..600, body in "\\PC{0,200}") {
        let canary = format!("{body}canary-value");
        let answer = answer(status, canary);
        let all = [
            answer.access_token(times()).map(|_| ()),
            answer.impersonated(times()).map(|_| ()),
            answer.id_token("token", "a", times()).map(|_| ()),
            answer.metadata_identity("a", times()).map(|_| ()),
            answer.metadata_email().map(|_| ()),
            answer.signed_jwt().map(|_| ()),
        ];
        for trouble in all.into_iter().filter_map(Result::err) {
            let shown = format!("{trouble} {trouble:?}");
            prop_assert!(!shown.contains("canary-value"), "{}", shown);
        }
    }

    /// An end that is believed is never further away than twelve hours, and never nearer than ten seconds.
    #[test]
    fn ends_are_within_bounds(expires_in in any::<i128>(), late in 0u64..100_000) {
        let answer = answer(200, format!(r#"{{"access_token":"t","token_type":"Bearer","expires_in":{expires_in}}}"#));
        let times = Times { started: START, now: START.after(Duration::from_secs(late)) };
        if let Ok(token) = answer.access_token(times) {
            prop_assert!(token.expires > times.now.after(LEAST_LEFT) && token.expires <= START.after(LONGEST_LIFE));
        }
    }
}
