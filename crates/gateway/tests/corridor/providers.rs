//! OC, UI, FLT: people sign in at an identity provider, right or hostile. Nobody comes in by what a provider did not prove.

use super::desk::{Browser, CALLBACK, Form, Tokens, error_of, sent_to};
use super::house::{House, server, within};
use super::speak::{modern, modern_call, text};
use super::wire::{Ask, Reply};
use doorward_core::id::{GroupName, UserId};
use doorward_core::oauth::form::encoded;
use doorward_testkit::lax::Lax;
use doorward_testkit::lax::quirk::{Behaviour, Quirk};
use doorward_testkit::provider::{CLIENT, Keys, Provider, SECRET, Signature};
use serde_json::json;
use std::time::Duration;

/// The table of a provider.
pub(super) fn idp(name: &str, provider: &Provider, more: &str) -> String {
    format!("[idp.{name}]\nissuer = \"{}\"\nclient_id = \"{CLIENT}\"\nclient_secret = \"plain:{SECRET}\"\n{more}\n", provider.issuer())
}

async fn with_one(more: &str) -> (Provider, House) {
    let provider = Provider::start().await.unwrap();
    let house = House::open(&format!("{}{more}", idp("okta", &provider, ""))).await;
    (provider, house)
}

impl Browser {
    /// Chooses a provider on the page: where the browser is sent.
    pub(super) async fn choose(&mut self, house: &House, name: &str) -> Reply {
        let page = self.open(house, "/login").await;
        assert!(page.contains(&format!("Continue with {name}")), "{}", page.text());
        self.leave(house, &page, name).await
    }

    pub(super) async fn leave(&mut self, house: &House, page: &Reply, name: &str) -> Reply {
        let form = Form { action: format!("/login/{name}"), ..Form::of(page) };
        self.submit(house, &form).await
    }

    /// Comes back from another site.
    pub(super) async fn back(&mut self, house: &House, address: &str) -> Reply {
        let path = address.strip_prefix(&format!("http://{}", house.address)).unwrap_or(address);
        self.send(house, Ask::new("GET", path).field("Sec-Fetch-Site", "cross-site").field("Sec-Fetch-Mode", "navigate")).await
    }

    /// All the way.
    pub(super) async fn sign_in_at(&mut self, house: &House, name: &str, provider: &Provider, subject: &str) -> Reply {
        let left = self.choose(house, name).await;
        assert_eq!(left.status, 200, "{}", left.text());
        self.back(house, &provider.sign_in(&sent_to(&left), subject)).await
    }

    pub(super) async fn is_signed_in(&mut self, house: &House) -> bool {
        let page = self.open(house, "/me").await;
        assert_eq!(page.status, 200, "{}", page.text());
        !page.contains("<h1>Sign in</h1>")
    }
}

impl House {
    /// Why sign-ins were refused, in order.
    pub(super) fn sign_ins_refused(&self) -> Vec<String> {
        let records = self.recorded("event", "sign_in_refused");
        records.iter().map(|record| record["cause"].as_str().unwrap_or_default().to_owned()).collect()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ui_05_a_person_signs_in_at_a_provider_and_decides_about_an_application() {
    let provider = Provider::start().await.unwrap();
    let alpha = Lax::start(Behaviour::plain().with(Quirk::Modern)).await.unwrap();
    let servers = server("alpha", &alpha.url(), "visible_to = [\"group:staff\"]");
    let house = House::open(&format!("{servers}{}[login]\nadmins = [\"user:okta/ann\"]\n", idp("okta", &provider, ""))).await;
    house.approve().await;
    let client = house.register("Claude Code", &[CALLBACK]).await;
    let mut browser = Browser::default();
    let page = browser.open(&house, &house.authorize(&client, "alpha", &[])).await;
    assert!(page.contains("Continue with okta") && !page.contains("admin-link"), "{}", page.text());
    assert_eq!(provider.asked("/.well-known/openid-configuration"), 0, "nobody asked for it yet");
    let left = browser.leave(&house, &page, "okta").await;
    assert_eq!(left.status, 200, "a redirect after a form is stopped by browsers");
    let address = sent_to(&left);
    assert!(!address.contains("txn") && !address.contains("code_verifier"), "{address}");
    let back = browser.back(&house, &provider.sign_in(&address, "ann")).await;
    assert_eq!(back.status, 303, "{}", back.text());
    // The target is the request that waits, never an address that somebody gave.
    let consent = browser.open(&house, back.field("location").unwrap()).await;
    assert!(consent.contains("Claude Code") && consent.contains("ann@acme.example"), "{}", consent.text());
    let address = sent_to(&house.allow(&mut browser, &consent, &["alpha:read"]).await);
    let code = super::desk::parameter(&address, "code").unwrap();
    let tokens = Tokens::of(&house.redeem(&client, &code).await);
    assert!(text(&house.ask(modern_call(&tokens.key(), "alpha", 1, "echo", json!({ "a": 1 }))).await).contains('1'));
    let users = house.store.list_users().await.unwrap();
    let ann = users.iter().find(|info| info.user.subject() == "ann").unwrap();
    assert_eq!((ann.user.issuer(), ann.email.as_deref()), (provider.issuer().as_str(), Some("ann@acme.example")));
    assert_eq!(house.recorded("event", "signed_in").len(), 1);
    assert!(!browser.jar.keys().any(|name| name.starts_with("__Host-dw_login_")), "{:?}", browser.jar.keys());
    // Whoever administers is signed out after half an hour without use.
    house.shift.by(31 * 60);
    assert!(!browser.is_signed_in(&house).await);

    // What a group gave is gone at the next sign-in that no longer names it, for tokens too.
    provider.behave(|manners| {
        manners.claims = json!({"groups": ["guests"]});
        manners.ahead = 31 * 60;
    });
    let back = Browser::default().sign_in_at(&house, "okta", &provider, "ann").await;
    assert_eq!(back.status, 303, "{}", back.text());
    let gone =
        within(Duration::from_secs(5), async || house.ask(modern(&tokens.key(), "alpha", 1, "tools/list", json!({}))).await.status != 200);
    assert!(gone.await, "a lost group still gives");
    assert_eq!(error_of(&house.refresh(&client, &tokens.refresh).await), (400, "invalid_grant".to_owned()));
    drop(alpha);
    house.close(&[SECRET, "access-0", "access-1", &tokens.access]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn oc_06_nobody_comes_in_by_a_token_that_proves_nothing() {
    let (provider, house) = with_one("").await;
    let far = 4_000_000_000_u64;
    let cases = [
        (json!({"aud": "another-client"}), Signature::Right, "wrong_audience"),
        (json!({"aud": [CLIENT, "another"]}), Signature::Right, "wrong_audience"),
        (json!({"azp": "another"}), Signature::Right, "wrong_audience"),
        (json!({"iss": "https://evil.example"}), Signature::Right, "wrong_issuer"),
        (json!({"nonce": "of-another"}), Signature::Right, "wrong_nonce"),
        (json!({"nonce": null}), Signature::Right, "wrong_nonce"),
        (json!({"exp": 1}), Signature::Right, "expired"),
        (json!({"exp": "soon"}), Signature::Right, "missing_claim"),
        (json!({"iat": far, "exp": far + 1}), Signature::Right, "not_yet_valid"),
        (json!({"iat": 1}), Signature::Right, "too_old"),
        (json!({"sub": null}), Signature::Right, "no_subject"),
        (json!({"sub": ""}), Signature::Right, "no_subject"),
        (json!({"at_hash": "AAAA"}), Signature::Right, "wrong_at_hash"),
        (json!({"groups": [["staff"]]}), Signature::Right, "bad_groups"),
        (json!({"groups": null, "hasgroups": true}), Signature::Right, "too_many_groups"),
        (json!({"groups": (0..1_001).map(|n| n.to_string()).collect::<Vec<_>>()}), Signature::Right, "too_many_groups"),
        (json!({}), Signature::None, "bad_alg"),
        (json!({}), Signature::PublicKeyAsSecret, "bad_alg"),
        (json!({}), Signature::ForeignKey, "bad_signature"),
        (json!({}), Signature::OwnKey, "bad_signature"),
        (json!({}), Signature::ForeignId, "bad_key"),
    ];
    for (at, (claims, signed, why)) in cases.iter().enumerate() {
        provider.behave(|manners| (manners.claims, manners.signed) = (claims.clone(), *signed));
        let mut browser = Browser::default();
        let page = browser.sign_in_at(&house, "okta", &provider, "mallory").await;
        assert_eq!(page.status, 502, "{claims} {signed:?}: {}", page.text());
        assert!(page.contains("cannot be believed") && page.field("content-security-policy").is_some());
        assert!(!browser.jar.contains_key("__Host-dw_session") && !browser.is_signed_in(&house).await, "{claims} {signed:?}");
        assert_eq!(house.sign_ins_refused().get(at).map(String::as_str), Some(format!("{why} at okta").as_str()), "{claims} {signed:?}");
    }
    assert!(house.store.list_users().await.unwrap().is_empty(), "nobody was vouched for");
    // Unknown keys made the set be read once more, not each time.
    assert!(provider.asked("/jwks") <= 2, "{}", provider.asked("/jwks"));
    provider.behave_well();
    assert_eq!(Browser::default().sign_in_at(&house, "okta", &provider, "ann").await.status, 303);
    house.close(&[SECRET, "access-0"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn oc_03_an_answer_counts_once_in_the_browser_that_left_and_for_its_provider() {
    let (okta, evil) = (Provider::start().await.unwrap(), Provider::start().await.unwrap());
    let house = House::open(&format!("{}{}", idp("okta", &okta, ""), idp("evil", &evil, ""))).await;
    let mut victim = Browser::default();
    let callback = okta.sign_in(&sent_to(&victim.choose(&house, "okta").await), "ann");
    // In another browser, with and without a sign-in of its own under way.
    let mut other = Browser::default();
    for page in [other.back(&house, &callback).await, {
        let _left = other.choose(&house, "okta").await;
        other.back(&house, &callback).await
    }] {
        assert_eq!(page.status, 400, "{}", page.text());
        assert!(page.contains("does not go on here") && !other.jar.contains_key("__Host-dw_session"));
    }
    // At the address of the other provider: the code is given to neither (mix-up).
    let mixed = victim.clone().back(&house, &callback.replace("/login/okta/", "/login/evil/")).await;
    assert_eq!(mixed.status, 502, "{}", mixed.text());
    assert_eq!((okta.asked("/token"), evil.asked("/token")), (0, 0));
    // The code of the attacker, put into the victim's answer: it belongs to another verifier.
    let mut mallory = Browser::default();
    let own = okta.sign_in(&sent_to(&mallory.choose(&house, "okta").await), "mallory");
    let code = encoded(&okta.code_of(&own));
    let mut victim_again = Browser::default();
    let answer = okta.sign_in(&sent_to(&victim_again.choose(&house, "okta").await), "ann");
    let injected = answer.replace(&encoded(&okta.code_of(&answer)), &code);
    assert_ne!(injected, answer);
    let page = victim_again.back(&house, &injected).await;
    assert_eq!(page.status, 502, "{}", page.text());
    assert!(!page.contains("canary-of-the-provider") && !victim_again.is_signed_in(&house).await);
    // Once: the same answer again signs nobody in, whatever cookies are kept.
    let kept = victim.clone();
    assert_eq!(victim.back(&house, &callback).await.status, 303);
    let again = kept.clone().back(&house, &callback).await;
    assert_eq!(again.status, 400, "{}", again.text());
    assert_eq!(okta.asked("/token"), 2);
    assert!(house.sign_ins_refused().contains(&"replayed at okta".to_owned()), "{:?}", house.sign_ins_refused());
    // Parameters twice, none, or of a sign-in that nobody began.
    for query in ["", "state=x&code=c", &format!("state={}&code=c", "A".repeat(43)), "state=a&state=b", "error=access_denied"] {
        assert_eq!(victim.back(&house, &format!("/login/okta/callback?{query}")).await.status, 400, "{query}");
    }
    for path in ["/login/nosuch", "/login/nosuch/callback?state=x"] {
        assert_eq!(victim.open(&house, path).await.status, 404, "{path}");
    }
    // Ten minutes.
    let mut late = Browser::default();
    let callback = okta.sign_in(&sent_to(&late.choose(&house, "okta").await), "ann");
    house.shift.by(601);
    assert_eq!(late.back(&house, &callback).await.status, 400);
    house.close(&[SECRET]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn oc_02_a_provider_that_names_itself_names_itself_rightly() {
    let (provider, house) = with_one("").await;
    provider.behave(|manners| manners.metadata = json!({"authorization_response_iss_parameter_supported": true}));
    for (iss, is_in) in [
        (None, false),
        (Some("https://evil.example".to_owned()), false),
        (Some(format!("{}/", provider.issuer())), false),
        (Some(provider.issuer()), true),
    ] {
        provider.behave(|manners| manners.iss.clone_from(&iss));
        let asked = provider.asked("/token");
        let mut browser = Browser::default();
        let page = browser.sign_in_at(&house, "okta", &provider, "ann").await;
        assert_eq!(page.status == 303, is_in, "{iss:?}: {}", page.text());
        assert_eq!(provider.asked("/token") > asked, is_in, "{iss:?}: the code goes nowhere on a mismatch");
    }
    // What an error says is ours to word, and that of somebody else is not shown at all.
    for (error, words) in [("access_denied", "You were not signed in"), ("%3Cscript%3Ealert(1)%3C/script%3E", "You were not signed in")] {
        let mut browser = Browser::default();
        let address = sent_to(&browser.choose(&house, "okta").await);
        let state = encoded(&super::desk::parameter(&address, "state").unwrap());
        let iss = encoded(&provider.issuer());
        let query = format!("state={state}&error={error}&error_description=canary+call+555&iss={iss}");
        let page = browser.back(&house, &format!("/login/okta/callback?{query}")).await;
        assert_eq!(page.status, 403, "{}", page.text());
        assert!(page.contains(words) && !page.contains("canary") && !page.contains("<script"), "{}", page.text());
    }
    house.close(&[SECRET, "canary+call", "canary call"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn oc_04_hostile_metadata_and_keys_lead_nowhere() {
    let elsewhere = Provider::start().await.unwrap();
    for (what, why) in [
        (json!({"issuer": "https://evil.example"}), "bad_metadata"),
        (json!({"issuer": null}), "bad_metadata"),
        (json!({"token_endpoint": format!("{}/token", elsewhere.issuer())}), "bad_metadata"),
        (json!({"jwks_uri": "http://169.254.169.254/latest/meta-data"}), "bad_metadata"),
        (json!({"authorization_endpoint": "javascript:alert(1)"}), "bad_metadata"),
        (json!({"code_challenge_methods_supported": ["plain"]}), "bad_metadata"),
        (json!({"id_token_signing_alg_values_supported": ["HS256"]}), "bad_metadata"),
    ] {
        let (provider, house) = with_one("").await;
        provider.behave(|manners| manners.metadata = what.clone());
        let page = Browser::default().choose(&house, "okta").await;
        assert_eq!(page.status, 503, "{what}: {}", page.text());
        assert_eq!(house.sign_ins_refused(), [format!("{why} at okta")], "{what}");
        house.close(&[SECRET]).await;
    }
    // https on another host is allowed where the provider says so; a private or local address is not.
    let (provider, house) = with_one("").await;
    provider
        .behave(|manners| manners.metadata = json!({"token_endpoint": "https://127.0.0.1:1/token", "jwks_uri": "https://10.0.0.1/jwks"}));
    let page = Browser::default().sign_in_at(&house, "okta", &provider, "ann").await;
    assert_eq!((page.status, house.sign_ins_refused()), (503, vec!["provider_unreachable at okta".to_owned()]), "{}", page.text());
    house.close(&[SECRET]).await;
    // A redirect is not followed, an endless answer not read to its end, another status and another media type no answer.
    for (change, why) in [(0, "provider_redirects"), (1, "provider_too_large"), (2, "provider_failed"), (3, "bad_metadata")] {
        let (provider, house) = with_one("").await;
        provider.behave(|manners| match change {
            0 => manners.elsewhere = Some(format!("{}/.well-known/openid-configuration", elsewhere.issuer())),
            1 => manners.endless = true,
            2 => manners.down = Some(500),
            _ => manners.metadata = json!({"token_endpoint": ["x"]}),
        });
        let page = Browser::default().choose(&house, "okta").await;
        assert_eq!((page.status, house.sign_ins_refused()), (503, vec![format!("{why} at okta")]), "{}", page.text());
        house.close(&[SECRET]).await;
    }
    assert_eq!(elsewhere.asked("/.well-known/openid-configuration") + elsewhere.asked("/token"), 0);
    // Two keys with one id: which one is meant is not guessed.
    let (provider, house) = with_one("").await;
    provider.behave(|manners| manners.keys = Keys::TwoWithOneId);
    assert_eq!(Browser::default().sign_in_at(&house, "okta", &provider, "ann").await.status, 502);
    assert_eq!(house.sign_ins_refused(), ["bad_key at okta"]);
    house.close(&[SECRET]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn oc_05_hostile_answers_to_a_code_sign_nobody_in() {
    let (provider, house) = with_one("").await;
    for (status, answer, expected) in [
        (400, r#"{"error":"invalid_client"}"#.to_owned(), 502),
        (400, r#"{"error":"<b>x</b>","error_description":"y"}"#.to_owned(), 502),
        (200, r#"{"error":"server_error"}"#.to_owned(), 502),
        (200, "<html>".to_owned(), 503),
        (200, r#"{"token_type":"mac","id_token":"a.b.c"}"#.to_owned(), 503),
        (200, r#"{"token_type":"Bearer"}"#.to_owned(), 503),
        (200, r#"{"token_type":"Bearer","id_token":"a.b.c"}"#.to_owned(), 502),
        (200, format!(r#"{{"token_type":"Bearer","id_token":"{}"}}"#, "x".repeat(300_000)), 503),
        (200, format!(r#"{{"token_type":"Bearer","id_token":"{}"}}"#, "x".repeat(20_000)), 503),
        (302, "{}".to_owned(), 503),
        (500, "{}".to_owned(), 503),
    ] {
        provider.behave(|manners| manners.tokens = Some((status, answer.clone())));
        let mut browser = Browser::default();
        let page = browser.sign_in_at(&house, "okta", &provider, "ann").await;
        assert_eq!(page.status, expected, "{status} {answer:.60}: {}", page.text());
        assert!(!browser.is_signed_in(&house).await);
    }
    // Userinfo of somebody else, and one that fails: groups that nobody knows are not "none".
    provider.behave(|manners| {
        manners.tokens = None;
        manners.claims = json!({"groups": null});
        manners.userinfo = json!({"sub": "somebody-else", "groups": ["admins"]});
    });
    assert_eq!(Browser::default().sign_in_at(&house, "okta", &provider, "ann").await.status, 502);
    provider.behave(|manners| manners.userinfo = json!(null));
    assert_eq!(Browser::default().sign_in_at(&house, "okta", &provider, "ann").await.status, 503);
    provider.behave(|manners| manners.userinfo = json!({"groups": ["readers"]}));
    assert_eq!(Browser::default().sign_in_at(&house, "okta", &provider, "ann").await.status, 303);
    let users = house.store.list_users().await.unwrap();
    assert_eq!(users.first().map(|ann| ann.groups.clone()), Some(vec![GroupName::new("readers").unwrap()]));
    house.close(&[SECRET]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flt_08_keys_rotate_and_providers_go_away() {
    let (provider, house) = with_one("").await;
    // Away before anybody came: the gateway serves, says so, and asks no more than once in ten seconds.
    provider.behave(|manners| manners.down = Some(503));
    assert!(house.gateway.is_ready());
    for _ in 0..5 {
        let page = Browser::default().choose(&house, "okta").await;
        assert_eq!(page.status, 503);
        assert!(page.contains("cannot be reached"), "{}", page.text());
    }
    assert_eq!(provider.asked("/.well-known/openid-configuration"), 1);
    provider.behave_well();
    let mut clock = 0;
    let mut later = |seconds: i64| {
        house.shift.by(seconds);
        clock += seconds;
        provider.behave(|manners| manners.ahead = clock);
    };
    later(11);
    let mut ann = Browser::default();
    assert_eq!(ann.sign_in_at(&house, "okta", &provider, "ann").await.status, 303);
    let (documents, keys) = (provider.asked("/.well-known/openid-configuration"), provider.asked("/jwks"));
    // Twenty at once need nothing new.
    for number in 0..20 {
        assert_eq!(Browser::default().sign_in_at(&house, "okta", &provider, &format!("user-{number}")).await.status, 303);
    }
    assert_eq!((provider.asked("/.well-known/openid-configuration"), provider.asked("/jwks")), (documents, keys));
    // A new key is found, once.
    provider.rotate().unwrap();
    later(31);
    assert_eq!(Browser::default().sign_in_at(&house, "okta", &provider, "ann").await.status, 303);
    assert_eq!(provider.asked("/jwks"), keys + 1);
    // Ids that nobody has do not make it be asked each time.
    provider.behave(|manners| manners.signed = Signature::ForeignId);
    for _ in 0..20 {
        assert_eq!(Browser::default().sign_in_at(&house, "okta", &provider, "ann").await.status, 502);
    }
    assert_eq!(provider.asked("/jwks"), keys + 1);
    provider.behave(|manners| manners.signed = Signature::Right);
    // Its keys are gone or garbage, hours later: the last good ones count, for a day.
    for wrong in [Keys::Page, Keys::None] {
        later(2 * 3_600);
        provider.behave(|manners| manners.keys = wrong);
        assert_eq!(Browser::default().sign_in_at(&house, "okta", &provider, "ann").await.status, 303, "{wrong:?}");
    }
    later(24 * 3_600);
    let page = Browser::default().sign_in_at(&house, "okta", &provider, "ann").await;
    assert_eq!(page.status, 503, "{}", page.text());
    assert_eq!(house.sign_ins_refused().last().map(String::as_str), Some("keys_unavailable at okta"));
    provider.behave_well();
    later(11);
    let mut bob = Browser::default();
    assert_eq!(bob.sign_in_at(&house, "okta", &provider, "bob").await.status, 303);
    // A set that shows a private key: whoever read it can sign, and what was good before is not good any more.
    later(2 * 3_600);
    provider.behave(|manners| manners.keys = Keys::WithPrivate);
    assert_eq!(Browser::default().sign_in_at(&house, "okta", &provider, "ann").await.status, 503);
    assert_eq!(house.sign_ins_refused().last().map(String::as_str), Some("keys_unavailable at okta"));
    later(5);
    provider.behave(|manners| manners.down = Some(503));
    assert_eq!(Browser::default().sign_in_at(&house, "okta", &provider, "ann").await.status, 503, "no word but this one is remembered");
    provider.behave_well();
    later(11);
    assert_eq!(bob.sign_in_at(&house, "okta", &provider, "bob").await.status, 303);
    // It goes away in the middle: whoever is signed in stays so, whoever comes back is told.
    let mut carol = Browser::default();
    let callback = provider.sign_in(&sent_to(&carol.choose(&house, "okta").await), "carol");
    provider.behave(|manners| manners.down = Some(502));
    let page = carol.back(&house, &callback).await;
    assert_eq!(page.status, 503, "{}", page.text());
    assert!(page.contains("Whoever is signed in already stays so"));
    assert!(bob.is_signed_in(&house).await && !carol.is_signed_in(&house).await);
    house.close(&[SECRET]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flt_07_clocks_may_be_half_a_minute_apart_and_no_more() {
    let (provider, house) = with_one("").await;
    // The gateway's clock runs on while the tests run: a few seconds of room.
    for (ahead, is_in) in [(-25, true), (20, true), (-60, false), (60, false), (-7_200, false), (7_200, false)] {
        provider.behave(|manners| manners.ahead = ahead);
        let page = Browser::default().sign_in_at(&house, "okta", &provider, "ann").await;
        assert_eq!(page.status == 303, is_in, "{ahead}: {}", page.text());
        assert_eq!(page.contains("one of the two clocks has to be set right"), !is_in, "{ahead}: {}", page.text());
    }
    let reasons = house.sign_ins_refused();
    assert_eq!(reasons, ["too_old at okta", "not_yet_valid at okta", "expired at okta", "not_yet_valid at okta"]);
    house.close(&[SECRET]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ui_05_only_those_who_may_come_in_do_and_only_as_long() {
    let login = "[login]\nallowed_email_domains = [\"acme.example\"]\nallowed_groups = [\"staff\"]\nsession = \"2h\"\n";
    let (provider, house) = with_one(login).await;
    for (claims, why) in [
        (json!({"email_verified": false}), "email_not_allowed"),
        (json!({"email_verified": "true"}), "email_not_allowed"),
        (json!({"email": "ann@evil.example"}), "email_not_allowed"),
        (json!({"email": "ann@acme.example@evil.example"}), "email_not_allowed"),
        (json!({"email": "ann@\u{ff41}cme.example"}), "email_not_allowed"),
        (json!({"groups": "staff,admins"}), "group_not_allowed"),
        (json!({"groups": []}), "group_not_allowed"),
    ] {
        provider.behave(|manners| manners.claims = claims.clone());
        let mut browser = Browser::default();
        let page = browser.sign_in_at(&house, "okta", &provider, "ann").await;
        assert_eq!(page.status, 403, "{claims}: {}", page.text());
        assert_eq!(house.sign_ins_refused().last(), Some(&format!("{why} at okta")), "{claims}");
        assert!(!browser.is_signed_in(&house).await);
    }
    assert!(house.store.list_users().await.unwrap().is_empty(), "who may not come in leaves nothing");
    provider.behave(|manners| manners.claims = json!({"email": "Ann@ACME.example"}));
    let mut ann = Browser::default();
    assert_eq!(ann.sign_in_at(&house, "okta", &provider, "ann").await.status, 303);
    // AZ-13: a new value each time, the one before is dead, and one that was planted counts for nothing.
    let before = ann.clone();
    ann.jar.insert("__Host-dw_session".to_owned(), format!("dww_{}", "A".repeat(43)));
    let left = {
        let mut nobody = ann.clone();
        nobody.jar.remove("__Host-dw_session");
        let left = nobody.choose(&house, "okta").await;
        ann.jar.extend(nobody.jar);
        left
    };
    assert_eq!(ann.back(&house, &provider.sign_in(&sent_to(&left), "ann")).await.status, 303);
    assert_ne!(ann.jar["__Host-dw_session"], before.jar["__Host-dw_session"]);
    assert!(ann.is_signed_in(&house).await);
    // The group that let her in is lost: this browser is nobody at the next page, though it never came back to the provider.
    provider.behave(|manners| manners.claims = json!({"groups": ["guests"]}));
    assert_eq!(Browser::default().sign_in_at(&house, "okta", &provider, "ann").await.status, 403);
    assert!(!ann.is_signed_in(&house).await);
    // Disabled here: the provider's word does not help, and what it says is recorded nevertheless.
    provider.behave(|manners| manners.claims = json!({}));
    let user = UserId::new(&provider.issuer(), "ann").unwrap();
    house.store.disable_user(&user, house.env.now()).await.unwrap();
    let page = Browser::default().sign_in_at(&house, "okta", &provider, "ann").await;
    assert_eq!((page.status, house.sign_ins_refused().pop()), (403, Some("user_disabled at okta".to_owned())), "{}", page.text());
    house.close(&[SECRET]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ui_05_people_of_a_provider_that_is_no_longer_configured_are_nobody() {
    let provider = Provider::start().await.unwrap();
    let alpha = Lax::start(Behaviour::plain().with(Quirk::Modern)).await.unwrap();
    let servers = server("alpha", &alpha.url(), "");
    let house = House::open(&format!("{servers}{}", idp("okta", &provider, ""))).await;
    house.approve().await;
    let client = house.register("Claude Code", &[CALLBACK]).await;
    let mut ann = Browser::default();
    assert_eq!(ann.sign_in_at(&house, "okta", &provider, "ann").await.status, 303);
    let tokens = house.connected(&mut ann, &client, "alpha", &["alpha:read"]).await;
    let House { gateway, state, store, .. } = house;
    store.close().await;
    assert!(gateway.stop().await);
    let house = House::over(state.taken_over(), &servers, super::house::LAPTOP).await;
    assert!(!ann.is_signed_in(&house).await);
    assert_eq!(error_of(&house.refresh(&client, &tokens.refresh).await), (400, "invalid_grant".to_owned()));
    assert_eq!(ann.open(&house, "/login/okta/callback?state=x&code=y").await.status, 404);
    // Whoever has a terminal here comes in nevertheless.
    assert_eq!(Browser::default().sign_in(&house).await.status, 303);
    house.close(&[SECRET, &tokens.refresh]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ui_02_a_sign_in_begins_on_a_page_of_ours() {
    let (provider, house) = with_one("").await;
    let mut browser = Browser::default();
    let page = browser.open(&house, "/login").await;
    let form = Form { action: "/login/okta".to_owned(), ..Form::of(&page) };
    for (site, origin) in [("cross-site", "https://evil.example"), ("same-site", "null"), ("none", "null")] {
        let reply = browser.send(&house, form.ask().field("Sec-Fetch-Site", site).field("Origin", origin)).await;
        assert_eq!(reply.status, 403, "{site}: {}", reply.text());
    }
    let reply = browser.submit(&house, &form.clone().without("csrf")).await;
    assert!(reply.contains("open for too long"), "{}", reply.text());
    assert_eq!(browser.open(&house, "/login/okta").await.status, 303, "an address begins nothing");
    assert_eq!(provider.asked("/.well-known/openid-configuration"), 0);
    // A target of somebody else's making is none: neither a ticket nor an address.
    let left = browser.submit(&house, &form.clone().with("txn", "https://evil.example").with("next", "//evil.example")).await;
    let back = browser.back(&house, &provider.sign_in(&sent_to(&left), "ann")).await;
    assert_eq!((back.status, back.field("location")), (303, Some("/")));
    for name in ["content-security-policy", "x-frame-options", "referrer-policy"] {
        assert!(left.field(name).is_some(), "{name}");
    }
    assert_eq!(left.field("cache-control"), Some("no-store"));
    house.close(&[SECRET]).await;
}
