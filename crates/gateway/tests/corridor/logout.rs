//! UI-01, UI-05, TK-07: somebody signs out at their identity provider. Whom it names is signed out here; a text that only looks like one
//! does nothing.

use super::desk::{Browser, CALLBACK, Tokens, error_of, sent_to};
use super::house::{House, server, within};
use super::providers::idp;
use super::speak::{modern_call, text};
use super::wire::{Ask, Reply};
use doorward_core::oauth::form::encoded;
use doorward_testkit::lax::Lax;
use doorward_testkit::lax::quirk::{Behaviour, Quirk};
use doorward_testkit::provider::{CLIENT, Provider, SECRET, Signature};
use serde_json::{Value, json};
use std::time::Duration;

const PATH: &str = "/login/okta/logout";

fn logout(path: &str, token: &str) -> Ask {
    Ask { body: format!("logout_token={}", encoded(token)).into_bytes(), ..Ask::new("POST", path) }
        .field("Content-Type", "application/x-www-form-urlencoded")
}

impl House {
    async fn log_out(&self, token: &str) -> Reply {
        self.ask(logout(PATH, token)).await
    }

    fn logouts_refused(&self) -> Vec<String> {
        let records = self.recorded("event", "logout_refused");
        records.iter().map(|record| record["cause"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// Of whom something ended, and how much.
    fn logged_out(&self) -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let records = self.recorded("event", "signed_out_by_provider");
        records.iter().map(|record| (text(&record["user"]["sub"]), text(&record["cause"]))).collect()
    }
}

/// A browser in which somebody is signed in through this session.
async fn through(house: &House, provider: &Provider, subject: &str, sid: Option<&str>) -> Browser {
    provider.behave(|manners| manners.claims = sid.map_or_else(|| json!({}), |sid| json!({"sid": sid})));
    let mut browser = Browser::default();
    assert_eq!(browser.sign_in_at(house, "okta", provider, subject).await.status, 303);
    browser
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ui_01_whoever_signs_out_at_the_provider_is_signed_out_here() {
    let provider = Provider::start().await.unwrap();
    let house = House::open(&idp("okta", &provider, "")).await;
    let mut laptop = through(&house, &provider, "ann", Some("session-of-the-laptop")).await;
    let mut phone = through(&house, &provider, "ann", Some("session-of-the-phone")).await;
    let mut bob = through(&house, &provider, "bob", Some("session-of-bob")).await;
    let mut admin = super::desk::signed_in(&house).await;
    let documents = provider.asked("/jwks");
    // One session: that browser, at its next page, and no other.
    let token = provider.logout_token(&json!({"sub": "ann", "sid": "session-of-the-laptop"}));
    let reply = house.log_out(&token).await;
    assert_eq!((reply.status, reply.field("cache-control"), reply.text().as_str()), (200, Some("no-store"), "{}"));
    assert!(reply.field("set-cookie").is_none() && reply.field("access-control-allow-origin").is_none());
    assert!(!laptop.is_signed_in(&house).await);
    assert!(phone.is_signed_in(&house).await && bob.is_signed_in(&house).await && admin.is_signed_in(&house).await);
    // The session alone.
    assert_eq!(house.log_out(&provider.logout_token(&json!({"sid": "session-of-bob"}))).await.status, 200);
    assert!(!bob.is_signed_in(&house).await && phone.is_signed_in(&house).await);
    // The person alone: wherever they are, also through a session that nobody knows.
    let mut tablet = through(&house, &provider, "ann", None).await;
    assert_eq!(house.log_out(&provider.logout_token(&json!({"sub": "ann"}))).await.status, 200);
    assert!(!phone.is_signed_in(&house).await && !tablet.is_signed_in(&house).await && admin.is_signed_in(&house).await);
    let at = |sign_ins: u32| format!("sign-ins: {sign_ins}, consents: 0, tokens: 0 at okta");
    assert_eq!(house.logged_out(), [("ann".to_owned(), at(1)), ("bob".to_owned(), at(1)), ("ann".to_owned(), at(2))]);
    // Whoever is not signed in is signed out already: that is no failure, and nothing to record. So is a person of this installation.
    let before = house.records().len();
    for claims in [json!({"sub": "ann"}), json!({"sid": "session-of-bob"}), json!({"sub": "admin"}), json!({"sub": "nobody"})] {
        assert_eq!(house.log_out(&provider.logout_token(&claims)).await.status, 200, "{claims}");
    }
    assert_eq!(house.records().len(), before);
    assert!(admin.is_signed_in(&house).await);
    // They come back as they please.
    assert!(through(&house, &provider, "ann", Some("session-of-the-laptop")).await.is_signed_in(&house).await);
    // A token without `typ` is one, too; and keys that are known are not asked for.
    let bare = provider.logout_claims(&json!({"sub": "ann"}));
    assert_eq!(house.log_out(&provider.signed_kind("application/logout+jwt", &bare)).await.status, 200);
    assert_eq!(provider.asked("/jwks"), documents);
    house.close(&[SECRET, &token, "session-of-the", "access-0"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ui_05_what_only_looks_like_a_logout_signs_nobody_out() {
    let (provider, evil) = (Provider::start().await.unwrap(), Provider::start().await.unwrap());
    let house = House::open(&format!("{}{}", idp("okta", &provider, ""), idp("evil", &evil, ""))).await;
    let mut ann = through(&house, &provider, "ann", Some("s1")).await;
    let now = provider.logout_claims(&json!({}))["iat"].as_u64().unwrap();
    let event = "http://schemas.openid.net/event/backchannel-logout";
    let mut expected = Vec::new();
    // Signed by the provider, and wrong in one thing.
    for (claims, why) in [
        (json!({"aud": "another-client"}), "wrong_audience"),
        (json!({"aud": [CLIENT, "another"]}), "wrong_audience"),
        (json!({"aud": null}), "wrong_audience"),
        (json!({"iss": evil.issuer()}), "wrong_issuer"),
        (json!({"iss": format!("{}/", provider.issuer())}), "wrong_issuer"),
        (json!({"iat": now - 3_600}), "too_old"),
        (json!({"iat": now - 3_600, "exp": now - 3_480}), "expired"),
        (json!({"iat": now + 3_600, "exp": now + 3_720}), "not_yet_valid"),
        (json!({"exp": null}), "missing_claim"),
        (json!({"iat": null}), "missing_claim"),
        (json!({"jti": null}), "no_token_id"),
        (json!({"events": null}), "no_logout_event"),
        (json!({"events": {}}), "no_logout_event"),
        (json!({"events": {event: "x"}}), "no_logout_event"),
        (json!({"events": {event: {}, "urn:example:x": {}}}), "no_logout_event"),
        (json!({"nonce": "n"}), "nonce_not_allowed"),
        (json!({"sub": null, "sid": null}), "nobody_named"),
        (json!({"sub": ["ann"]}), "no_subject"),
        (json!({"sid": 1}), "bad_session"),
    ] {
        let mut changes = json!({"sub": "ann", "sid": "s1"});
        for (name, value) in claims.as_object().unwrap() {
            changes[name] = value.clone();
        }
        let reply = house.log_out(&provider.logout_token(&changes)).await;
        assert_eq!(error_of(&reply), (400, "invalid_request".to_owned()), "{claims}: {}", reply.text());
        assert_eq!(reply.field("cache-control"), Some("no-store"));
        expected.push(format!("{why} at okta"));
    }
    // Of another kind, or signed otherwise: the ID token of this person among them.
    let claims = provider.logout_claims(&json!({"sub": "ann", "sid": "s1"}));
    let id_token = json!({"iss": provider.issuer(), "aud": CLIENT, "sub": "ann", "sid": "s1", "nonce": "n", "iat": now, "exp": now + 300});
    for (token, why) in [
        (provider.signed_kind("JWT", &claims), "bad_token"),
        (provider.signed_kind("at+jwt", &claims), "bad_token"),
        (provider.signed_kind("oauth-id-jag+jwt", &claims), "bad_token"),
        (provider.signed(&id_token), "bad_token"),
        (provider.signed_kind("logout+jwt", &id_token), "no_logout_event"),
        (provider.signed_as(Signature::None, &claims), "bad_alg"),
        (provider.signed_as(Signature::PublicKeyAsSecret, &claims), "bad_alg"),
        (provider.signed_as(Signature::OwnKey, &claims), "bad_signature"),
        // Another provider has a key of the same name.
        (evil.signed_kind("logout+jwt", &claims), "bad_signature"),
        ("a.b.c".to_owned(), "bad_token"),
        (String::new(), "malformed_logout"),
        ("x".repeat(16_000), "bad_token"),
        ("x".repeat(20_000), "malformed_logout"),
    ] {
        let reply = house.log_out(&token).await;
        assert_eq!(error_of(&reply), (400, "invalid_request".to_owned()), "{why}: {}", reply.text());
        expected.push(format!("{why} at okta"));
    }
    // By a key that nobody has seen, which may be a new one: the provider is not told "never".
    let reply = house.log_out(&provider.signed_as(Signature::ForeignId, &claims)).await;
    assert_eq!(error_of(&reply), (503, "temporarily_unavailable".to_owned()), "{}", reply.text());
    expected.push("unknown_key at okta".to_owned());
    // To the address of the other provider, and the other one's word about this one's people.
    let token = provider.signed_kind("logout+jwt", &claims);
    assert_eq!(error_of(&house.ask(logout("/login/evil/logout", &token)).await).0, 400);
    let foreign = evil.logout_token(&json!({"sub": "ann", "sid": "s1"}));
    assert_eq!(house.ask(logout("/login/evil/logout", &foreign)).await.status, 200, "its own people, of whom nobody is here");
    expected.push("bad_signature at evil".to_owned());
    assert_eq!(house.logouts_refused(), expected);
    assert!(house.logged_out().is_empty() && ann.is_signed_in(&house).await);
    // And a logout token signs nobody in.
    for kind in ["logout+jwt", "JWT"] {
        let tokens = json!({"token_type": "Bearer", "id_token": provider.signed_kind(kind, &claims)}).to_string();
        provider.behave(|manners| manners.tokens = Some((200, tokens)));
        let mut browser = Browser::default();
        assert_eq!(browser.sign_in_at(&house, "okta", &provider, "mallory").await.status, 502);
        assert!(!browser.is_signed_in(&house).await);
    }
    house.close(&[SECRET, &token, &foreign]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ui_05_a_logout_counts_once_and_is_a_form_of_a_provider() {
    let provider = Provider::start().await.unwrap();
    let quiet = Provider::start().await.unwrap();
    let house = House::open(&format!("{}{}", idp("okta", &provider, ""), idp("quiet", &quiet, "logout = \"none\""))).await;
    let mut ann = through(&house, &provider, "ann", Some("s1")).await;
    let token = provider.logout_token(&json!({"sub": "ann"}));
    // Not as a form of one parameter, and nowhere but in the body: whatever it is, it is not taken.
    let form = |body: String| Ask { body: body.into_bytes(), ..logout(PATH, "") };
    let whole = format!("logout_token={}", encoded(&token));
    for ask in [
        Ask { body: json!({"logout_token": token}).to_string().into_bytes(), ..Ask::post(PATH, "") },
        Ask { body: whole.clone().into_bytes(), ..Ask::new("POST", PATH) },
        form(format!("{whole}&{whole}")),
        form(format!("token={}", encoded(&token))),
        form(String::new()),
        form("%zz".to_owned()),
        Ask { body: Vec::new(), ..logout(&format!("{PATH}?{whole}"), "") },
        Ask { body: whole.clone().into_bytes(), ..logout(&format!("{PATH}?x=y"), "") },
    ] {
        let reply = house.ask(ask).await;
        assert_eq!(error_of(&reply), (400, "invalid_request".to_owned()), "{}", reply.text());
    }
    assert!(house.logouts_refused().iter().all(|why| why == "malformed_logout at okta"), "{:?}", house.logouts_refused());
    for verb in ["GET", "HEAD", "PUT", "DELETE"] {
        let reply = house.ask(Ask::new(verb, PATH)).await;
        assert_eq!((reply.status, reply.field("allow")), (405, Some("POST")), "{verb}");
    }
    // A page of another site that got hold of one: browsers say where they come from.
    assert_eq!(house.ask(logout(PATH, &token).field("Origin", "https://evil.example")).await.status, 403);
    // Where it is not wanted, where there is no such provider, and below: nothing is there.
    for path in ["/login/quiet/logout", "/login/nosuch/logout", "/login/okta/logout/", "/login/okta/logout/x", "/login//logout"] {
        assert_eq!(house.ask(logout(path, &token)).await.status, 404, "{path}");
    }
    assert_eq!(quiet.asked("/jwks"), 0);
    assert!(ann.is_signed_in(&house).await);
    // Once; whoever brings it again, at once or later, ends nothing of who came back meanwhile.
    assert_eq!(house.log_out(&token).await.status, 200);
    assert!(!ann.is_signed_in(&house).await);
    let mut again = through(&house, &provider, "ann", Some("s1")).await;
    for _ in 0..2 {
        assert_eq!(error_of(&house.log_out(&token).await), (400, "invalid_request".to_owned()));
    }
    house.shift.by(149);
    assert_eq!(house.log_out(&token).await.status, 400);
    assert!(again.is_signed_in(&house).await);
    assert_eq!((house.logged_out().len(), house.logouts_refused().last().map(String::as_str)), (1, Some("replayed at okta")));
    house.close(&[SECRET, &token]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ui_05_a_sign_in_that_was_under_way_does_not_survive_the_logout() {
    let provider = Provider::start().await.unwrap();
    let house = House::open(&idp("okta", &provider, "")).await;
    for (number, claims) in [json!({"sub": "ann"}), json!({"sid": "s1"}), json!({"sub": "ann", "sid": "s1"})].into_iter().enumerate() {
        provider.behave(|manners| manners.claims = json!({"sid": "s1"}));
        let mut ann = Browser::default();
        let callback = provider.sign_in(&sent_to(&ann.choose(&house, "okta").await), "ann");
        assert_eq!(house.log_out(&provider.logout_token(&claims)).await.status, 200);
        // The provider still gives tokens for the code that it gave out before.
        let page = ann.back(&house, &callback).await;
        assert_eq!(page.status, 400, "{claims}: {}", page.text());
        assert!(page.contains("does not go on here") && !ann.is_signed_in(&house).await, "{claims}");
        assert_eq!(
            (provider.asked("/token"), house.sign_ins_refused().last().map(String::as_str)),
            (2 * number + 1, Some("signed_out_meanwhile"))
        );
        // Begun again, it is another one.
        assert!(through(&house, &provider, "ann", Some("s1")).await.is_signed_in(&house).await);
    }
    house.close(&[SECRET]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ui_05_strangers_make_nobody_ask_for_keys_and_fill_no_record() {
    let provider = Provider::start().await.unwrap();
    let house = House::open(&idp("okta", &provider, "")).await;
    // Nobody ever signed in: the first asks for the keys, and nobody does after that, whatever name of a key they think of.
    let claims = provider.logout_claims(&json!({"sub": "ann"}));
    let forged = provider.signed_as(Signature::ForeignId, &claims);
    let mut statuses = Vec::new();
    for _ in 0..400 {
        statuses.push(house.log_out(&forged).await.status);
    }
    assert!(provider.asked("/jwks") <= 2 && provider.asked("/.well-known/openid-configuration") == 1, "{}", provider.asked("/jwks"));
    // As many as an address may fail, and no more of them are on the record.
    let refused = statuses.iter().filter(|status| **status == 503).count();
    assert!(statuses.contains(&429) && statuses.iter().all(|status| [503, 429].contains(status)));
    assert_eq!(house.logouts_refused().len(), refused);
    // Who is right is heard nevertheless.
    assert_eq!(house.log_out(&provider.logout_token(&json!({"sub": "ann"}))).await.status, 200);
    // The provider is away: nobody knows, and it may try again with the same token.
    let other = Provider::start().await.unwrap();
    let house_of_other = House::open(&idp("okta", &other, "")).await;
    other.behave(|manners| manners.down = Some(500));
    let token = other.logout_token(&json!({"sub": "ann"}));
    for _ in 0..5 {
        let reply = house_of_other.log_out(&token).await;
        assert_eq!(error_of(&reply), (503, "temporarily_unavailable".to_owned()), "{}", reply.text());
        assert_eq!(reply.field("retry-after"), Some("30"));
    }
    assert_eq!(other.asked("/.well-known/openid-configuration"), 1);
    other.behave_well();
    house_of_other.shift.by(11);
    assert_eq!(house_of_other.log_out(&token).await.status, 200);
    house_of_other.close(&[SECRET, &token]).await;
    house.close(&[SECRET, &forged]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tk_07_a_session_that_ends_at_the_provider_ends_what_the_configuration_says() {
    for (setting, stays) in [("", true), ("logout = \"backchannel-revoke\"", false)] {
        let provider = Provider::start().await.unwrap();
        let alpha = Lax::start(Behaviour::plain().with(Quirk::Modern)).await.unwrap();
        let servers = server("alpha", &alpha.url(), "");
        let house = House::open(&format!("{servers}{}", idp("okta", &provider, setting))).await;
        house.approve().await;
        let client = house.register("Claude Code", &[CALLBACK]).await;
        let mut ann = through(&house, &provider, "ann", Some("s1")).await;
        let mut bob = through(&house, &provider, "bob", Some("s2")).await;
        let tokens = house.connected(&mut ann, &client, "alpha", &["alpha:read"]).await;
        let of_bob = house.connected(&mut bob, &client, "alpha", &["alpha:read"]).await;
        // A session that nobody has here names nobody, and what its person allowed may have to be taken back by hand.
        assert_eq!(house.log_out(&provider.logout_token(&json!({"sid": "s9"}))).await.status, 200);
        assert_eq!(house.recorded("event", "logout_reached_nobody").len(), usize::from(!stays));
        // A code that was not redeemed yet is as good as a token.
        let code = house.code(&mut ann, &client, "alpha", &["alpha:read"]).await;
        let call = async |tokens: &Tokens| house.ask(modern_call(&tokens.key(), "alpha", 1, "echo", json!({ "a": 1 }))).await;
        assert!(text(&call(&tokens).await).contains('1'));
        let reply = house.log_out(&provider.logout_token(&json!({"sub": "ann", "sid": "s1"}))).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        assert!(!ann.is_signed_in(&house).await, "{setting}");
        if stays {
            // What she allowed has an end of its own: the application goes on without her browser.
            assert!(text(&call(&tokens).await).contains('1'));
            Tokens::of(&house.redeem(&client, &code).await);
            Tokens::of(&house.refresh(&client, &tokens.refresh).await);
            assert_eq!(house.logged_out(), [("ann".to_owned(), "sign-ins: 1, consents: 0, tokens: 0 at okta".to_owned())]);
        } else {
            assert_eq!(error_of(&house.refresh(&client, &tokens.refresh).await), (400, "invalid_grant".to_owned()));
            assert_eq!(error_of(&house.redeem(&client, &code).await), (400, "invalid_grant".to_owned()));
            let gone = within(Duration::from_secs(5), async || call(&tokens).await.status == 401);
            assert!(gone.await, "a token that was taken back is served");
            assert_eq!(house.logged_out(), [("ann".to_owned(), "sign-ins: 1, consents: 2, tokens: 1 at okta".to_owned())]);
        }
        // Somebody else's are theirs.
        assert!(text(&call(&of_bob).await).contains('1') && bob.is_signed_in(&house).await);
        Tokens::of(&house.refresh(&client, &of_bob.refresh).await);
        drop(alpha);
        house.close(&[SECRET, &tokens.access]).await;
    }
}
