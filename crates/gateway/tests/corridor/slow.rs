//! FLT-08: an identity provider that takes questions and answers none. Whoever needs it is told so in time, and nobody else waits.

use super::desk::{Browser, CALLBACK, sent_to};
use super::house::{House, server, within};
use super::providers::idp;
use super::speak::{modern_call, text};
use super::wire::Ask;
use doorward_core::oauth::form::encoded;
use doorward_testkit::lax::Lax;
use doorward_testkit::lax::quirk::{Behaviour, Quirk};
use doorward_testkit::provider::{Provider, SECRET, Signature};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

const METADATA: &str = "/.well-known/openid-configuration";
const ALL: &[&str] = &[METADATA, "/jwks", "/token", "/userinfo"];
/// Longer than any of these tests: what returns has not waited for the provider.
const FOREVER: Duration = Duration::from_secs(600);

/// Waits until a path of a provider was asked for so often.
async fn asked(provider: &Provider, path: &str, times: usize) {
    let came = within(Duration::from_secs(30), async || provider.asked(path) >= times);
    assert!(came.await, "{path} was asked for {} times", provider.asked(path));
}

fn logout(token: &str) -> Ask {
    Ask { body: format!("logout_token={}", encoded(token)).into_bytes(), ..Ask::new("POST", "/login/okta/logout") }
        .field("Content-Type", "application/x-www-form-urlencoded")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flt_08_a_provider_that_is_slow_fails_a_sign_in_cleanly() {
    let provider = Provider::start().await.unwrap();
    let house = House::waiting(&idp("okta", &provider, ""), Duration::from_secs(2)).await;
    // From the beginning: a page says so, and while it rests whoever comes is told at once.
    provider.behave(|manners| manners.silent = ALL);
    for _ in 0..3 {
        let page = Browser::default().choose(&house, "okta").await;
        assert_eq!(page.status, 503, "{}", page.text());
        assert!(page.contains("cannot be reached") && page.contains("Whoever is signed in already stays so"), "{}", page.text());
    }
    assert_eq!(provider.asked(METADATA), 1, "asked once, not by everybody");
    house.shift.by(11);
    // In the middle: the code is given away once, and nobody is signed in.
    provider.behave(|manners| {
        manners.ahead = 11;
        manners.silent = &["/token"];
    });
    let mut ann = Browser::default();
    let callback = provider.sign_in(&sent_to(&ann.choose(&house, "okta").await), "ann");
    let page = ann.back(&house, &callback).await;
    assert_eq!(page.status, 503, "{}", page.text());
    assert!(!ann.is_signed_in(&house).await);
    assert_eq!(house.sign_ins_refused(), ["provider_unreachable at okta"; 4]);
    provider.behave(|manners| manners.silent = &[]);
    assert_eq!(Browser::default().sign_in_at(&house, "okta", &provider, "ann").await.status, 303);
    house.close(&[SECRET]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flt_08_a_provider_that_is_slow_holds_up_nobody_else() {
    let (slow, good) = (Provider::start().await.unwrap(), Provider::start().await.unwrap());
    let alpha = Lax::start(Behaviour::plain().with(Quirk::Modern)).await.unwrap();
    let config = format!("{}{}{}", server("alpha", &alpha.url(), ""), idp("okta", &slow, ""), idp("good", &good, ""));
    let house = Arc::new(House::waiting(&config, FOREVER).await);
    house.approve().await;
    let client = house.register("Claude Code", &[CALLBACK]).await;
    slow.behave(|manners| manners.silent = ALL);
    let waits: Vec<_> = (0..8)
        .map(|_| {
            let house = Arc::clone(&house);
            tokio::spawn(async move { Browser::default().choose(&house, "okta").await.status })
        })
        .collect();
    asked(&slow, METADATA, 1).await;
    // Somebody signs in elsewhere, decides, and their application works.
    let mut bob = Browser::default();
    assert_eq!(bob.sign_in_at(&house, "good", &good, "bob").await.status, 303);
    let tokens = house.connected(&mut bob, &client, "alpha", &["alpha:read"]).await;
    let call = async || text(&house.ask(modern_call(&tokens.key(), "alpha", 1, "echo", json!({ "a": 1 }))).await);
    assert!(call().await.contains('1'));
    assert!(waits.iter().all(|wait| !wait.is_finished()), "they wait still");
    assert_eq!(slow.asked(METADATA), 1, "eight wait for one answer");
    slow.behave(|manners| manners.silent = &[]);
    for wait in waits {
        assert_eq!(wait.await.unwrap(), 200);
    }
    // Its keys were read; then it is slow again, and somebody whose token names a key that nobody has makes it be asked for others.
    let mut ann = Browser::default();
    assert_eq!(ann.sign_in_at(&house, "okta", &slow, "ann").await.status, 303);
    let keys = slow.asked("/jwks");
    house.shift.by(31);
    slow.behave(|manners| {
        manners.ahead = 31;
        manners.silent = ALL;
    });
    let forged = slow.signed_as(Signature::ForeignId, &slow.logout_claims(&json!({"sub": "ann"})));
    let waits = tokio::spawn({
        let (house, forged) = (Arc::clone(&house), forged.clone());
        async move { house.ask(logout(&forged)).await.status }
    });
    asked(&slow, "/jwks", keys + 1).await;
    // Meanwhile the keys that are known are as good as before, and so is everybody who is here.
    assert!(ann.is_signed_in(&house).await && call().await.contains('1'));
    assert_eq!(Browser::default().choose(&house, "okta").await.status, 200, "what it says of itself is known");
    assert_eq!(house.ask(logout(&slow.logout_token(&json!({"sub": "ann"})))).await.status, 200);
    assert!(!ann.is_signed_in(&house).await && !waits.is_finished());
    // Also when what is known is due to be read anew: one asks, and the others go on with it.
    house.shift.by(3_700);
    slow.behave(|manners| manners.ahead = 3_731);
    assert_eq!(Browser::default().choose(&house, "okta").await.status, 200);
    assert_eq!(house.ask(logout(&slow.logout_token(&json!({"sub": "ann"})))).await.status, 200);
    assert!(!waits.is_finished());
    slow.behave(|manners| manners.silent = &[]);
    assert_eq!(waits.await.unwrap(), 503, "it may be a new one still");
    drop(alpha);
    Arc::into_inner(house).unwrap().close(&[SECRET, &forged]).await;
}
