//! TK: codes and refresh tokens, each of use once, to its client alone.

use super::desk::{Browser, CALLBACK, Tokens, VERIFIER, error_of, token_ask};
use super::house::{House, server, within};
use super::speak::modern;
use super::wire::Ask;
use doorward_testkit::lax::Lax;
use doorward_testkit::lax::quirk::{Behaviour, Quirk};
use serde_json::json;
use std::time::Duration;

async fn office() -> (Lax, House, Browser, String) {
    let alpha = Lax::start(Behaviour::plain().with(Quirk::Modern)).await.unwrap();
    let house = House::open(&format!("{}{}", server("alpha", &alpha.url(), ""), server("beta", &alpha.url(), ""))).await;
    house.approve().await;
    let mut browser = Browser::default();
    browser.sign_in(&house).await;
    let client = house.register("Client", &[CALLBACK]).await;
    (alpha, house, browser, client)
}

fn invalid_grant() -> (u16, String) {
    (400, "invalid_grant".to_owned())
}

async fn calls(house: &House, tokens: &Tokens) -> u16 {
    house.ask(modern(&tokens.key(), "alpha", 1, "tools/list", json!({}))).await.status
}

async fn is_dead(house: &House, tokens: &Tokens) -> bool {
    within(Duration::from_secs(5), async || calls(house, tokens).await == 401).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tk_01_a_code_that_comes_again_ends_what_it_gave() {
    let (_alpha, house, mut browser, client) = office().await;
    let code = house.code(&mut browser, &client, "alpha", &["alpha:read"]).await;
    let tokens = Tokens::of(&house.redeem(&client, &code).await);
    assert_eq!(calls(&house, &tokens).await, 200);
    house.shift.by(5);
    assert_eq!(error_of(&house.redeem(&client, &code).await), invalid_grant());
    assert!(is_dead(&house, &tokens).await);
    assert_eq!(error_of(&house.refresh(&client, &tokens.refresh).await), invalid_grant());
    assert_eq!(house.recorded("event", "replayed_grant").len(), 1);
    house.close(&[&code, &tokens.access, &tokens.refresh]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tk_02_and_tk_03_a_code_is_of_its_client_verifier_and_address_and_others_do_not_use_it_up() {
    let (_alpha, house, mut browser, client) = office().await;
    let other = house.register("Other", &[CALLBACK]).await;
    let code = house.code(&mut browser, &client, "alpha", &["alpha:read"]).await;
    let base = [
        ("grant_type", "authorization_code"),
        ("client_id", client.as_str()),
        ("code", code.as_str()),
        ("code_verifier", VERIFIER),
        ("redirect_uri", CALLBACK),
    ];
    let with = |name: &'static str, value: &'static str| {
        let mut fields = base;
        for field in fields.iter_mut().filter(|field| field.0 == name) {
            field.1 = value;
        }
        fields.into_iter().filter(|field| !field.1.is_empty()).collect::<Vec<_>>()
    };
    let long: &'static str =
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    for (attack, fields) in [
        ("no verifier", with("code_verifier", "")),
        ("short verifier", with("code_verifier", "short")),
        ("long verifier", with("code_verifier", long)),
        ("another verifier", with("code_verifier", "EBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXkdBjftJ")),
        ("another address", with("redirect_uri", "http://127.0.0.1:61037/callback")),
        ("no address", with("redirect_uri", "")),
        ("no client", with("client_id", "")),
        ("an unknown client", with("client_id", "dwc_x")),
        ("no code", with("code", "")),
        ("another code", with("code", "dwac_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")),
    ] {
        let reply = house.token_request(&fields).await;
        assert!(matches!(reply.status, 400 | 401), "{attack}: {}", reply.text());
        assert!(!reply.contains("access_token"), "{attack}");
    }
    let fields: Vec<(&str, &str)> =
        base.iter().map(|(name, value)| if *name == "client_id" { (*name, other.as_str()) } else { (*name, *value) }).collect();
    assert_eq!(error_of(&house.token_request(&fields).await), invalid_grant(), "a code of another client");
    let mut fields = base.to_vec();
    fields.push(("resource", "https://evil.test/s/alpha/mcp"));
    assert_eq!(error_of(&house.token_request(&fields).await), (400, "invalid_target".to_owned()));
    let beta = house.resource("beta");
    fields.pop();
    fields.push(("resource", &beta));
    assert_eq!(error_of(&house.token_request(&fields).await), (400, "invalid_target".to_owned()));
    let tokens = Tokens::of(&house.redeem(&client, &code).await);
    assert_eq!(calls(&house, &tokens).await, 200, "none of them used it up or ended it");
    house.close(&[&code]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tk_04_a_code_lives_a_minute() {
    let (_alpha, house, mut browser, client) = office().await;
    let code = house.code(&mut browser, &client, "alpha", &["alpha:read"]).await;
    house.shift.by(58);
    Tokens::of(&house.redeem(&client, &code).await);
    let code = house.code(&mut browser, &client, "alpha", &["alpha:read"]).await;
    house.shift.by(61);
    assert_eq!(error_of(&house.redeem(&client, &code).await), invalid_grant());
    house.close(&[&code]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tk_05_a_refresh_token_that_comes_again_late_ends_its_line() {
    let (_alpha, house, mut browser, client) = office().await;
    let first = house.connected(&mut browser, &client, "alpha", &["alpha:read"]).await;
    let second = Tokens::of(&house.refresh(&client, &first.refresh).await);
    // Within the window the same client gets the same successor: two processes that share a file are one client (AS9).
    let again = Tokens::of(&house.refresh(&client, &first.refresh).await);
    assert_eq!((&again.access, &again.refresh), (&second.access, &second.refresh));
    let third = Tokens::of(&house.refresh(&client, &second.refresh).await);
    assert_ne!(third.refresh, second.refresh);
    assert_eq!(calls(&house, &third).await, 200);
    house.shift.by(31);
    assert_eq!(error_of(&house.refresh(&client, &first.refresh).await), invalid_grant());
    assert!(is_dead(&house, &third).await, "whoever has an old one ends everybody's");
    assert_eq!(error_of(&house.refresh(&client, &third.refresh).await), invalid_grant());
    assert_eq!(house.recorded("event", "replayed_grant").len(), 1);
    house.close(&[&first.refresh, &second.refresh, &third.refresh]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tk_06_fifty_at_once_get_one_successor_and_nobody_is_signed_out() {
    let (_alpha, house, mut browser, client) = office().await;
    // An address has 200 requests at once; crates/store/tests/it/grants.rs goes the other rounds.
    {
        let round = 0;
        let code = house.code(&mut browser, &client, "alpha", &["alpha:read"]).await;
        let fields = [
            ("grant_type", "authorization_code"),
            ("client_id", client.as_str()),
            ("code", code.as_str()),
            ("code_verifier", VERIFIER),
            ("redirect_uri", CALLBACK),
        ];
        let replies = at_once(&house, &token_ask(&fields)).await;
        let won: Vec<_> = replies.iter().filter(|reply| reply.status == 200).collect();
        assert_eq!(won.len(), 1, "round {round}: one redemption");
        assert!(replies.iter().all(|reply| reply.status == 200 || error_of(reply) == invalid_grant()), "round {round}");
        let tokens = Tokens::of(won[0]);
        assert_eq!(calls(&house, &tokens).await, 200, "round {round}: an honest client that asked twice stays signed in");
        let replies =
            at_once(&house, &token_ask(&[("grant_type", "refresh_token"), ("client_id", &client), ("refresh_token", &tokens.refresh)]))
                .await;
        let mut all: Vec<String> = replies.iter().map(|reply| Tokens::of(reply).refresh).collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 1, "round {round}: one successor");
        let next = Tokens::of(&house.refresh(&client, &all[0]).await);
        assert_eq!(calls(&house, &next).await, 200);
    }
    house.close(&[]).await;
}

async fn at_once(house: &House, ask: &Ask) -> Vec<super::wire::Reply> {
    let mut tries = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let (ask, address) = (ask.clone(), house.address);
        tries.spawn(async move { ask.at(address).await });
    }
    tries.join_all().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tk_07_and_tk_08_a_refresh_gives_no_more_than_was_granted_and_to_its_client_only() {
    let (_alpha, house, mut browser, client) = office().await;
    let other = house.register("Other", &[CALLBACK]).await;
    let tokens = house.connected(&mut browser, &client, "alpha", &["alpha:read", "alpha:destructive"]).await;
    assert_eq!(error_of(&house.refresh(&other, &tokens.refresh).await), invalid_grant());
    let beta = house.resource("beta");
    for (more, error) in [
        (("scope", "alpha:read alpha:write"), "invalid_scope"),
        (("scope", "beta:read"), "invalid_scope"),
        (("resource", beta.as_str()), "invalid_target"),
        (("resource", "https://evil.test/"), "invalid_target"),
    ] {
        let reply =
            house.token_request(&[("grant_type", "refresh_token"), ("client_id", &client), ("refresh_token", &tokens.refresh), more]).await;
        assert_eq!(error_of(&reply), (400, error.to_owned()), "{more:?}");
    }
    let narrow = house
        .token_request(&[
            ("grant_type", "refresh_token"),
            ("client_id", &client),
            ("refresh_token", &tokens.refresh),
            ("scope", "alpha:read"),
        ])
        .await;
    let narrow = Tokens::of(&narrow);
    assert_eq!(narrow.scope, "alpha:read");
    let wide = Tokens::of(&house.refresh(&client, &narrow.refresh).await);
    assert_eq!(wide.scope, "alpha:destructive alpha:read", "a narrower token does not narrow the consent");
    // Eight hours were allowed: no successor lives longer, and after them there is none.
    house.shift.by(7 * 3600 + 1800);
    let last = house.refresh(&client, &wide.refresh).await;
    assert!(last.json()["expires_in"].as_u64().unwrap() <= 1800, "{}", last.text());
    let last = Tokens::of(&last);
    house.shift.by(1801);
    assert_eq!(error_of(&house.refresh(&client, &last.refresh).await), invalid_grant());
    // Somebody who may not act gets nothing either.
    let mut browser = Browser::default();
    browser.sign_in(&house).await;
    let tokens = house.connected(&mut browser, &client, "alpha", &["alpha:read"]).await;
    house.store.disable_user(&super::desk::administrator(), house.env.now()).await.unwrap();
    assert_eq!(error_of(&house.refresh(&client, &tokens.refresh).await), invalid_grant());
    assert!(is_dead(&house, &tokens).await);
    house.close(&[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tk_09_a_client_gives_back_its_own_and_nobody_elses() {
    let (_alpha, house, mut browser, client) = office().await;
    let other = house.register("Other", &[CALLBACK]).await;
    let tokens = house.connected(&mut browser, &client, "alpha", &["alpha:read"]).await;
    let revoke = async |client: &str, token: &str, hint: &str| {
        let ask = token_ask(&[("client_id", client), ("token", token), ("token_type_hint", hint)]);
        house.ask(Ask { target: "/oauth/revoke".to_owned(), ..ask }).await.status
    };
    for token in [&tokens.access, &tokens.refresh] {
        assert_eq!(revoke(&other, token, "access_token").await, 200);
    }
    assert_eq!(revoke(&client, "garbage", "refresh_token").await, 200);
    assert_eq!(revoke("dwc_unknown", &tokens.access, "").await, 401);
    assert_eq!(calls(&house, &tokens).await, 200, "nobody else ended it");
    assert_eq!(revoke(&client, &tokens.access, "refresh_token").await, 200, "a wrong hint is only a hint");
    assert!(is_dead(&house, &tokens).await);
    let next = Tokens::of(&house.refresh(&client, &tokens.refresh).await);
    assert_eq!(calls(&house, &next).await, 200);
    assert_eq!(revoke(&client, &next.refresh, "").await, 200);
    assert!(is_dead(&house, &next).await);
    assert_eq!(error_of(&house.refresh(&client, &next.refresh).await), invalid_grant());
    house.close(&[&tokens.access, &next.access]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tk_12_odd_requests_are_refused_in_order() {
    let (_alpha, house, _browser, client) = office().await;
    let good = token_ask(&[("grant_type", "refresh_token"), ("client_id", &client), ("refresh_token", "x")]);
    let raw = |body: &str| Ask { body: body.as_bytes().to_vec(), ..good.clone() };
    for (attack, ask, expected) in [
        ("GET", Ask::new("GET", "/oauth/token"), 405),
        ("json", good.clone().set("Content-Type", "application/json"), 415),
        ("multipart", good.clone().set("Content-Type", "multipart/form-data; boundary=x"), 415),
        ("two media types", good.clone().set("Content-Type", "application/json, application/x-www-form-urlencoded"), 415),
        ("charset", good.clone().set("Content-Type", "application/x-www-form-urlencoded; charset=utf-7"), 415),
        ("query", Ask { target: format!("/oauth/token?client_id={client}"), ..good.clone() }, 400),
        ("large", raw(&format!("a={}", "x".repeat(70_000))), 413),
        ("twice", raw("grant_type=refresh_token&grant_type=authorization_code"), 400),
        ("percent", raw("grant_type=%zz"), 400),
        ("not text", Ask { body: vec![b'a', b'=', 0xff], ..good.clone() }, 400),
        ("nothing", raw(""), 401),
        ("password", raw(&format!("grant_type=password&client_id={client}&username=a&password=b")), 400),
        ("two ways to authenticate", raw(&format!("client_id={client}&client_secret=x")).field("Authorization", "Basic YTpi"), 400),
        ("a secret of a public client", raw(&format!("grant_type=refresh_token&refresh_token=x&client_id={client}&client_secret=x")), 401),
        ("malformed Basic", raw("grant_type=refresh_token").field("Authorization", "Basic !!!"), 401),
        ("Basic without a colon", raw("grant_type=refresh_token").field("Authorization", "Basic YWJj"), 401),
        ("Bearer", raw("grant_type=refresh_token").field("Authorization", "Bearer x"), 401),
        ("two of them", raw("grant_type=refresh_token").field("Authorization", "Basic YTpi").field("Authorization", "Basic YTpi"), 400),
    ] {
        let reply = house.ask(ask).await;
        assert_eq!(reply.status, expected, "{attack}: {}", reply.text());
        assert_eq!(reply.field("cache-control"), Some("no-store"), "{attack}");
        if expected != 405 {
            assert!(reply.json()["error"].is_string(), "{attack}: {}", reply.text());
        }
    }
    house.close(&[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tk_07_a_refresh_asks_again_whether_the_server_is_theirs() {
    let alpha = Lax::start(Behaviour::plain().with(Quirk::Modern)).await.unwrap();
    let house = House::open(&server("alpha", &alpha.url(), "visible_to = [\"group:eng\"]")).await;
    house.approve().await;
    let group = doorward_core::id::GroupName::new("eng").unwrap();
    let (admin, now) = (super::desk::administrator(), house.env.now());
    house.store.put_user(&admin, std::slice::from_ref(&group), now).await.unwrap();
    let mut browser = Browser::default();
    browser.sign_in(&house).await;
    let client = house.register("Client", &[CALLBACK]).await;
    let tokens = house.connected(&mut browser, &client, "alpha", &["alpha:read"]).await;
    let tokens = Tokens::of(&house.refresh(&client, &tokens.refresh).await);
    house.store.change_groups(&admin, &[], &[group], house.env.now()).await.unwrap();
    assert_eq!(error_of(&house.refresh(&client, &tokens.refresh).await), invalid_grant());
    // And is not offered either: like a server that is not there.
    let reply = browser.open(&house, &house.authorize(&client, "alpha", &[])).await;
    let error = super::desk::parameter(reply.field("location").unwrap_or_default(), "error");
    assert_eq!(error.as_deref(), Some("invalid_target"), "{}", reply.text());
    house.close(&[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn az_12_removing_an_application_ends_everything_it_was_given() {
    let (_alpha, house, mut browser, client) = office().await;
    let first = house.connected(&mut browser, &client, "alpha", &["alpha:read"]).await;
    let second = house.connected(&mut browser, &client, "alpha", &["alpha:read", "alpha:destructive"]).await;
    let grants = house.store.list_grants(None, house.env.now()).await.unwrap();
    assert_eq!(grants.len(), 2);
    let me = browser.open(&house, "/me").await;
    let mut form = super::desk::Form::of(&me).without("id").with("id", grants[1].id.as_str()).with("action", "remove-grant");
    form.action = "/me".to_owned();
    assert_eq!(browser.submit(&house, &form).await.status, 200);
    for tokens in [&first, &second] {
        assert!(is_dead(&house, tokens).await);
        assert_eq!(error_of(&house.refresh(&client, &tokens.refresh).await), invalid_grant());
    }
    house.close(&[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn az_06_nobody_is_sent_on_who_has_not_signed_in() {
    let (_alpha, house, _browser, client) = office().await;
    let mut nobody = Browser::default();
    let reply = nobody.open(&house, &house.authorize(&client, "alpha", &[("response_type", "token")])).await;
    assert_eq!(reply.status, 200, "an open redirect for strangers: {:?}", reply.field("location"));
    assert!(reply.contains("Sign in"));
    house.close(&[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_is_blocked_is_over_whatever_it_holds() {
    let (alpha, house, mut browser, client) = office().await;
    let tokens = house.connected(&mut browser, &client, "alpha", &["alpha:read"]).await;
    assert_eq!(calls(&house, &tokens).await, 200);
    let toml = format!("{}\n[clients]\nblock = [\"{client}\"]\n", server("alpha", &alpha.url(), ""));
    let House { gateway, state, store, .. } = house;
    store.close().await;
    assert!(gateway.stop().await);
    let house = House::over(state.taken_over(), &toml, super::house::LAPTOP).await;
    assert_eq!(calls(&house, &tokens).await, 401);
    assert_eq!(error_of(&house.refresh(&client, &tokens.refresh).await).0, 401);
    house.close(&[]).await;
}
