//! Answers of token endpoints, and what is kept of them.

use super::{NOW, REDIRECT, SERVER, arrived, b64, client, server, texts, with};
use crate::connection::client::Auth;
use crate::connection::given::{BadGiven, Given, LONGEST_LIFE, LONGEST_TOKEN, Term};
use crate::connection::held::{Held, LONGEST_LABEL, Parts, label};
use crate::connection::request::{OtherClient, TokenRequest, exchange, refresh, revoke};
use crate::credential::Age;
use crate::oauth::form::Form;
use crate::time::Timestamp;
use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::time::Duration;

fn answer() -> Value {
    json!({"access_token": "at-hidden", "token_type": "Bearer", "expires_in": 3600, "refresh_token": "rt-hidden", "scope": "read write"})
}

fn read(text: &str) -> Result<Given, BadGiven> {
    Given::parse(&Bytes::from(text.to_owned()), &texts(&["read", "write"]), NOW)
}

fn given(changes: &Value) -> Result<Given, BadGiven> {
    read(&with(answer(), changes).to_string())
}

fn held(changes: &Value) -> Held {
    let parts = Parts {
        origin: "https://mcp.example".to_owned(),
        resource: SERVER.to_owned(),
        server: server(),
        client: client(Some("cs hidden: 1%")),
        label: label("ann@acme.example"),
        connected: NOW,
    };
    Held::connect(parts, given(changes).expect("given"))
}

#[test]
fn oc_05_an_answer_for_a_connection_is_read_strictly() {
    let good = given(&json!({"token_type": "bEaReR"})).expect("good");
    assert!(good.is_renewable() && good.wider.is_empty() && good.missing.is_empty());
    assert_eq!((good.term, good.expires), (Term::Said, NOW.after(Duration::from_secs(3_600))));
    assert!(!format!("{good:?}").contains("hidden"));
    for (changes, why) in [
        (json!({"token_type": null}), BadGiven::Type),
        (json!({"token_type": "mac"}), BadGiven::Type),
        (json!({"token_type": "DPoP"}), BadGiven::Type),
        (json!({"token_type": ["Bearer"]}), BadGiven::Type),
        (json!({"access_token": null}), BadGiven::Token),
        (json!({"access_token": ""}), BadGiven::Token),
        (json!({"access_token": 5}), BadGiven::Token),
        (json!({"access_token": "a\r\nSet-Cookie: x"}), BadGiven::Token),
        (json!({"access_token": "a b"}), BadGiven::Token),
        (json!({"access_token": "\u{e9}"}), BadGiven::Token),
        (json!({"access_token": "a\u{0}"}), BadGiven::Token),
        (json!({"access_token": "a".repeat(LONGEST_TOKEN + 1)}), BadGiven::Token),
        (json!({"access_token": "a".repeat(1024 * 1024)}), BadGiven::Token),
        (json!({"refresh_token": ""}), BadGiven::Token),
        (json!({"refresh_token": "a\n"}), BadGiven::Token),
        (json!({"refresh_token": {}}), BadGiven::Token),
        (json!({"scope": ["read"]}), BadGiven::Form),
        (json!({"scope": "re\"ad"}), BadGiven::Form),
        (json!({"scope": "read\nwrite"}), BadGiven::Form),
        (json!({"error": "invalid_grant"}), BadGiven::Refused("invalid_grant".to_owned())),
        (json!({"error": "<script>"}), BadGiven::Refused(String::new())),
        (json!({"error": null}), BadGiven::Refused(String::new())),
    ] {
        // A null here would be a member that is left out.
        let text = if changes == json!({"error": null}) {
            answer().to_string().replacen('{', r#"{"error":null,"#, 1)
        } else {
            with(answer(), &changes).to_string()
        };
        let found = read(&text).expect_err("refused");
        assert_eq!(found, why, "{changes}");
        assert!(!format!("{found:?} {found}").contains("hidden"));
    }
    for text in [
        "",
        "<html>ok</html>",
        "[]",
        "\"x\"",
        r#"{"access_token":"a","access_token":"b","token_type":"Bearer"}"#,
        r#"{"access_token":"a","token_type":"Bearer","expires_in":NaN}"#,
    ] {
        assert_eq!(read(text).expect_err("refused"), BadGiven::Form, "{text}");
    }
    assert!(given(&json!({"access_token": "a".repeat(LONGEST_TOKEN), "refresh_token": null, "id_token": "x", "more": [1]})).is_ok());
}

#[test]
fn oc_05_the_end_of_a_token_is_believed_within_reason() {
    let life = |text: &str| {
        read(&format!(r#"{{"access_token":"a","token_type":"Bearer","expires_in":{text}}}"#))
            .map(|given| (given.expires.since(NOW), given.term))
    };
    for (text, seconds) in [("3600", 3_600), ("\"3600\"", 3_600), ("1", 1), ("0.25", 1), ("3.6e3", 3_600)] {
        assert_eq!(life(text).expect("good"), (Duration::from_secs(seconds), Term::Said), "{text}");
    }
    for text in ["1e18", "999999999999999999999999", "\"1e300\"", "7776001", "1e39"] {
        assert_eq!(life(text).expect("clamped"), (LONGEST_LIFE, Term::Said), "{text}");
    }
    for text in ["0", "-1", "-0", "\"0\"", "\"-3600\"", "-1e18", "0e5"] {
        assert_eq!(life(text).expect_err("over"), BadGiven::Expired, "{text}");
    }
    for text in ["\"\"", "\"soon\"", "\"NaN\"", "\"inf\"", "\"-inf\"", "\"3600s\"", "\" 3600\"", "true", "[3600]", "{}"] {
        assert_eq!(life(text).expect_err("no number"), BadGiven::Form, "{text}");
    }
    assert_eq!(life("null").expect("assumed"), (Duration::from_secs(3_600), Term::Assumed));
    assert_eq!(given(&json!({"expires_in": null})).expect("assumed").term, Term::Assumed);
}

#[test]
fn oc_05_what_was_granted_is_held_against_what_was_asked() {
    let granted = |scope: Value| given(&json!({"scope": scope})).map(|given| (given.scopes, given.wider, given.missing)).expect("good");
    assert_eq!(granted(json!(null)), (texts(&["read", "write"]), vec![], vec![]));
    assert_eq!(granted(json!("write read read")), (texts(&["write", "read"]), vec![], vec![]));
    assert_eq!(granted(json!("read,write")), (texts(&["read", "write"]), vec![], vec![]), "as GitHub says it");
    assert_eq!(granted(json!("read")), (texts(&["read"]), vec![], texts(&["write"])));
    assert_eq!(granted(json!("read write delete_repo")), (texts(&["read", "write", "delete_repo"]), texts(&["delete_repo"]), vec![]));
    assert_eq!(granted(json!("")), (vec![], vec![], texts(&["read", "write"])));
    let all = Given::parse(&Bytes::from(answer().to_string()), &[], NOW).expect("good");
    assert!(all.wider.is_empty() && all.scopes == texts(&["read", "write"]), "who asked for nothing let the other side choose");
    let wide: Vec<String> = (0..1_001).map(|number| number.to_string()).collect();
    assert_eq!(given(&json!({"scope": wide.join(" ")})).expect_err("refused"), BadGiven::Form);
}

#[test]
fn oc_05_errors_say_whom_they_concern() {
    for (code, terminal, client) in [
        ("invalid_grant", true, false),
        ("bad_refresh_token", true, false),
        ("invalid_client", false, true),
        ("unauthorized_client", false, true),
        ("temporarily_unavailable", false, false),
        ("invalid_request", false, false),
    ] {
        let found = given(&json!({"error": code})).expect_err("refused");
        assert_eq!((found.is_terminal(), found.is_client()), (terminal, client), "{code}");
    }
    assert!(!BadGiven::Form.is_terminal() && !BadGiven::Expired.is_terminal() && !BadGiven::Refused(String::new()).is_terminal());
}

#[test]
fn a_connection_is_kept_whole_and_prints_nothing_secret() {
    for one in [held(&json!({})), held(&json!({"refresh_token": null, "expires_in": null, "access_token": "a\\\"'<&>"}))] {
        let text = one.to_bytes().expect("written");
        let back = Held::from_bytes(&text).expect("read");
        assert_eq!(*back.to_bytes().expect("written"), *text);
        assert_eq!(
            (back.scopes(), back.expires(), back.renewed_at(), back.term()),
            (one.scopes(), one.expires(), one.renewed_at(), one.term())
        );
        assert_eq!((back.access().expose(), back.is_renewable()), (one.access().expose(), one.is_renewable()));
        assert_eq!(
            (&back.parts().server, &back.parts().origin, back.parts().label.as_deref()),
            (&server(), &one.parts().origin, Some("ann@acme.example"))
        );
        let printed = format!("{one:?}");
        assert!(!printed.contains("hidden") && !printed.contains("a\\\\"), "{printed}");
    }
    let whole = String::from_utf8(held(&json!({})).to_bytes().expect("written").to_vec()).expect("text");
    for bad in [
        String::new(),
        "{}".to_owned(),
        whole.replacen("\"v\":1", "\"v\":2", 1),
        whole.replacen("{\"v\":1", "{\"v\":1,\"v\":1", 1),
        whole.replacen("{\"v\":1", "{\"v\":1,\"x\":1", 1),
        whole.replacen("at-hidden", "", 1),
        whole.replacen("at-hidden", "a\\nb", 1),
        whole.replacen("rt-hidden", "", 1),
        whole.replacen("client:1", "client 1", 1),
        format!("{whole}x"),
        whole.chars().take(whole.len() / 2).collect(),
    ] {
        assert!(Held::from_bytes(bad.as_bytes()).is_err(), "{bad}");
    }
    assert!(Held::from_bytes(&vec![b' '; 1024 * 1024 + 1]).is_err());
}

#[test]
fn a_refresh_token_stays_where_none_comes() {
    let later = NOW.after(Duration::from_secs(100));
    let again =
        |changes: &Value| Given::parse(&Bytes::from(with(answer(), changes).to_string()), &texts(&["read", "write"]), later).expect("good");
    let kept = held(&json!({})).renewed(again(&json!({"access_token": "second", "refresh_token": null, "scope": "read"})));
    assert_eq!((kept.access().expose().as_str(), kept.scopes(), kept.renewed_at()), ("second", texts(&["read"]).as_slice(), later));
    assert!(body(&refresh(&kept).expect("renewable")).get("refresh_token") == Some("rt-hidden"));
    let rotated = held(&json!({})).renewed(again(&json!({"refresh_token": "next"})));
    assert_eq!(body(&refresh(&rotated).expect("renewable")).get("refresh_token"), Some("next"));
    assert_eq!(rotated.parts().connected, NOW);
    assert!(refresh(&held(&json!({"refresh_token": null}))).is_none());
}

#[test]
fn a_token_is_renewed_before_its_end_and_not_used_after_it() {
    let at = |life: u64, left_ms: u64| {
        let one = held(&json!({"expires_in": life}));
        one.age(Timestamp::from_millis(one.expires().as_millis() - left_ms))
    };
    for (life, left, wanted) in [
        (3_600, 3_600_000, Age::Good),
        (3_600, 225_001, Age::Good),
        (3_600, 225_000, Age::Renew),
        (3_600, 10_000, Age::Renew),
        (3_600, 9_999, Age::Over),
        (3_600, 0, Age::Over),
        // The last third.
        (300, 100_001, Age::Good),
        (300, 100_000, Age::Renew),
        (300, 9_999, Age::Over),
        (450, 225_000, Age::Renew),
        (6, 2_001, Age::Good),
        (6, 2_000, Age::Renew),
        (6, 999, Age::Over),
        (1, 1_000, Age::Good),
        (1, 0, Age::Over),
    ] {
        assert_eq!(at(life, left), wanted, "{life} s, {left} ms left");
    }
    let one = held(&json!({}));
    assert_eq!(one.age(one.expires().after(Duration::from_secs(1))), Age::Over);
    assert_eq!(one.age(Timestamp::from_millis(0)), Age::Good, "a clock that stepped back");
}

#[test]
fn a_label_is_one_plain_line() {
    assert_eq!(label("  Ann \u{202e}Lee\r\n\u{200b}").as_deref(), Some("Ann Lee"));
    for nothing in ["", " \t\n", "\u{202e}\u{feff}", "\u{e0041}"] {
        assert_eq!(label(nothing), None, "{nothing:?}");
    }
    assert_eq!(label(&"\u{e9}".repeat(500)).map(|text| text.chars().count()), Some(LONGEST_LABEL));
}

fn body(request: &TokenRequest) -> Form {
    Form::parse(request.body().expose()).expect("each once")
}

#[test]
fn requests_say_who_asks_and_for_what() {
    let with_secret = client(Some("cs hidden: 1%"));
    let code = exchange(&arrived(), &with_secret).expect("its client");
    let form = body(&code);
    for (name, value) in [
        ("grant_type", "authorization_code"),
        ("code", "the code"),
        ("redirect_uri", REDIRECT),
        ("code_verifier", b64(3).as_str()),
        ("resource", SERVER),
    ] {
        assert_eq!(form.get(name), Some(value), "{name}");
    }
    assert_eq!((form.get("client_id"), form.get("client_secret")), (None, None), "one way to prove itself, not two");
    // RFC 6749 section 2.3.1: encoded before they are joined.
    assert_eq!(code.authorization().expect("a header").expose(), "Basic Y2xpZW50JTNBMTpjcyUyMGhpZGRlbiUzQSUyMDElMjU=");
    let mut posting = with_secret.clone();
    posting.auth = Auth::Post;
    let post = exchange(&arrived(), &posting).expect("its client");
    assert_eq!((body(&post).get("client_id"), body(&post).get("client_secret")), (Some("client:1"), Some("cs hidden: 1%")));
    assert!(post.authorization().is_none());
    let public = exchange(&arrived(), &client(None)).expect("its client");
    assert_eq!(
        (body(&public).get("client_id"), body(&public).get("client_secret"), public.authorization().is_none()),
        (Some("client:1"), None, true)
    );
    let mut other = with_secret;
    other.id = "client:2".to_owned();
    assert_eq!(exchange(&arrived(), &other).expect_err("refused"), OtherClient);
    let again = refresh(&held(&json!({}))).expect("renewable");
    assert_eq!(again.names().collect::<Vec<_>>(), ["grant_type", "refresh_token", "resource"]);
    let ends = revoke(&held(&json!({})));
    let ends: Vec<_> =
        ends.iter().map(|one| (body(one).get("token").map(str::to_owned), body(one).get("token_type_hint").map(str::to_owned))).collect();
    let both = [("rt-hidden", "refresh_token"), ("at-hidden", "access_token")];
    assert_eq!(ends, both.map(|(token, hint)| (Some(token.to_owned()), Some(hint.to_owned()))));
    assert_eq!(revoke(&held(&json!({"refresh_token": null}))).len(), 1);
    let printed = format!("{code:?} {again:?} {post:?}");
    assert!(!printed.contains("hidden") && !printed.contains("the code") && !printed.contains("Basic"), "{printed}");
}

proptest! {
    /// Any text: an answer or a reason, and never a token that a header would not hold.
    #[test]
    fn oc_05_answers_of_any_text_are_judged(token in "\\PC{0,20}|[ -~\\r\\n\\t]{0,20}", life in any::<f64>(), scope in "[ -~]{0,30}") {
        let value = json!({"access_token": token, "token_type": "Bearer", "expires_in": life, "scope": scope});
        if let Ok(good) = Given::parse(&Bytes::from(value.to_string()), &[], NOW) {
            let life = good.expires.since(NOW);
            prop_assert!(life >= Duration::from_secs(1) && life <= LONGEST_LIFE);
            prop_assert!(!token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic()));
            prop_assert!(good.scopes.iter().all(|scope| !scope.is_empty() && scope.bytes().all(|byte| byte.is_ascii_graphic())));
        }
    }

    /// A token never becomes fresher as time goes by.
    #[test]
    fn freshness_only_falls(life in 1_u64..8_000_000, one in 0_u64..8_000_000_000, other in 0_u64..8_000_000_000) {
        let kept = held(&json!({"expires_in": life}));
        let rank = |ms: u64| match kept.age(NOW.after(Duration::from_millis(ms))) {
            Age::Good => 2,
            Age::Renew => 1,
            Age::Over => 0,
        };
        prop_assert!(rank(one.min(other)) >= rank(one.max(other)));
        prop_assert_eq!(rank(0), 2);
    }
}
