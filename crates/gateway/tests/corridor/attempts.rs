//! Where clients stop on their way, as the page of their person and the list of the administrator say it (P23); what strangers can put there.

use super::desk::{Browser, CALLBACK, Form, Tokens, VERIFIER, error_of, other, signed_in};
use super::house::{House, server};
use super::speak::{modern, modern_call};
use super::wire::{Ask, Reply};
use doorward_core::id::{ServerName, UserId};
use doorward_core::oauth::attempt::{Mark, Standing, Step};
use doorward_store::Attempt;
use doorward_testkit::lax::Lax;
use doorward_testkit::lax::quirk::{Behaviour, Quirk};
use serde_json::json;
use std::time::Duration;

async fn office() -> (Lax, House) {
    let alpha = Lax::start(Behaviour::plain().with(Quirk::Modern)).await.unwrap();
    let house = House::open(&format!("{}{}", server("alpha", &alpha.url(), ""), server("beta", &alpha.url(), ""))).await;
    house.approve().await;
    (alpha, house)
}

/// Every attempt, as the command line reads them.
async fn all(house: &House) -> Vec<Attempt> {
    house.gateway.settle_attempts().await;
    house.store.list_attempts(None).await.unwrap()
}

/// The only one.
async fn only(house: &House) -> Attempt {
    let all = all(house).await;
    let [one] = all.as_slice() else { panic!("{all:#?}") };
    one.clone()
}

fn steps(attempt: &Attempt) -> Vec<Step> {
    attempt.way.marks().iter().map(Mark::step).collect()
}

/// The page of the only attempt, as its person sees it from where `/me` links to it.
async fn page(house: &House, browser: &mut Browser) -> Reply {
    // The page itself waits a second and no longer, which may be too short for a machine that runs every test at once.
    house.gateway.settle_attempts().await;
    let me = browser.open(house, "/me").await.text();
    let id = me.split("href=\"/me/attempts/").nth(1).unwrap_or_else(|| panic!("{me}")).split('"').next().unwrap();
    let page = browser.open(house, &format!("/me/attempts/{id}")).await;
    assert_eq!(page.status, 200, "{}", page.text());
    page
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_registers_and_goes_no_further_is_seen_by_the_administrator_alone() {
    let (_alpha, house) = office().await;
    let client = house.register("Stuck", &[CALLBACK]).await;
    let one = only(&house).await;
    assert_eq!((one.user.as_ref(), one.client.as_ref().unwrap().as_str(), one.name.as_deref()), (None, client.as_str(), Some("Stuck")));
    assert_eq!(
        (steps(&one), one.peer.as_deref(), one.identity.as_deref()),
        (vec![Step::Registration], Some("127.0.0.1"), Some("self-claimed"))
    );
    let now = house.env.now();
    assert_eq!(one.way.standing(now), Standing::Waiting(Step::Request), "it may be on its way");
    assert_eq!(one.way.standing(now.after(Duration::from_secs(120))), Standing::Stopped(Step::Request, None));
    let mut browser = signed_in(&house).await;
    assert!(!browser.open(&house, "/me").await.contains("Connection attempts"));
    assert_eq!(browser.open(&house, &format!("/me/attempts/{}", one.id)).await.status, 404, "nobody's is nobody's");
    // One that cannot register has no id, and is noted by its address.
    let refused = json!({"client_name": "Bad", "redirect_uris": ["javascript:alert(1)"]});
    assert_eq!(house.ask(Ask::post("/oauth/register", refused.to_string())).await.status, 400);
    let all = all(&house).await;
    let bad = all.iter().find(|attempt| attempt.client.is_none()).expect("the one that could not");
    assert_eq!(bad.way.standing(now), Standing::Stopped(Step::Registration, Some("invalid_redirect_uri")));
    house.close(&[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_waits_for_a_sign_in_is_nobodys_until_somebody_signs_in() {
    let (_alpha, house) = office().await;
    // As clients find out: refused, and told where to look.
    assert_eq!(house.ask(Ask::post("/s/alpha/mcp", "{}")).await.status, 401);
    assert_eq!(house.ask(Ask::new("GET", "/.well-known/oauth-protected-resource/s/alpha/mcp")).await.status, 200);
    let client = house.register("Client", &[CALLBACK]).await;
    let mut browser = Browser::default();
    browser.open(&house, &house.authorize(&client, "alpha", &[])).await;
    let waiting = only(&house).await;
    assert_eq!(waiting.user, None);
    let seen = [Step::Challenge, Step::Metadata, Step::Registration, Step::Known, Step::Request];
    // Who is nobody yet may not know of the server: that somebody at their address asked for it waits until they may.
    assert_eq!(steps(&waiting), seen[2..]);
    assert_eq!(waiting.way.standing(house.env.now().after(Duration::from_secs(700))), Standing::Stopped(Step::SignIn, None));
    let back = browser.sign_in(&house).await;
    browser.open(&house, back.field("location").unwrap()).await;
    let theirs = only(&house).await;
    assert_eq!((theirs.user.as_ref().map(UserId::subject), theirs.peer.as_deref()), (Some("admin"), None));
    assert_eq!(steps(&theirs), [&seen[..], &[Step::SignIn, Step::Question]].concat());
    let page = page(&house, &mut browser).await;
    for text in ["“Client”", "says so itself", "it may have been another application", "Nobody has decided", "under way"] {
        let text = text.trim_matches(['“', '”']);
        assert!(page.contains(text), "{text}: {}", page.text());
    }
    // Another server's metadata is no step of this one, and ten minutes later nothing is.
    house.shift.by(601);
    let late = house.register("Late", &[CALLBACK]).await;
    browser.open(&house, &house.authorize(&late, "alpha", &[])).await;
    let late = all(&house).await.into_iter().find(|attempt| attempt.name.as_deref() == Some("Late")).unwrap();
    assert_eq!(steps(&late), [Step::Registration, Step::Known, Step::Request, Step::SignIn, Step::Question]);
    house.close(&[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_says_that_nobody_decided_and_that_it_was_declined() {
    let (_alpha, house) = office().await;
    let client = house.register("Client", &[CALLBACK]).await;
    let mut browser = signed_in(&house).await;
    let question = browser.open(&house, &house.authorize(&client, "alpha", &[])).await;
    house.shift.by(660);
    let stopped = page(&house, &mut browser).await;
    assert!(
        stopped.contains("stopped") && stopped.contains("nobody decided") && stopped.contains("decide on the page"),
        "{}",
        stopped.text()
    );
    house.shift.by(-650);
    browser.submit(&house, &Form::of(&question).with("decision", "cancel")).await;
    let declined = page(&house, &mut browser).await;
    assert!(declined.contains("declined") && declined.contains("consent_declined"), "{}", declined.text());
    assert_eq!(only(&house).await.way.standing(house.env.now()), Standing::Declined);
    house.close(&[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_says_that_a_code_was_not_fetched_and_why_it_gave_nothing() {
    let (_alpha, house) = office().await;
    let client = house.register("Claude Code (alpha)", &[CALLBACK]).await;
    let mut browser = signed_in(&house).await;
    let code = house.code(&mut browser, &client, "alpha", &["alpha:read"]).await;
    house.shift.by(20);
    let wrong = [
        ("grant_type", "authorization_code"),
        ("client_id", client.as_str()),
        ("code", code.as_str()),
        ("code_verifier", "EBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXkdBjftJ"),
        ("redirect_uri", CALLBACK),
    ];
    let way = only(&house).await.way;
    assert_eq!(way.standing(house.env.now()), Standing::Waiting(Step::Token));
    assert_eq!(way.standing(house.env.now().after(Duration::from_secs(90))), Standing::Stopped(Step::Token, None));
    assert_eq!(error_of(&house.token_request(&wrong).await), (400, "invalid_grant".to_owned()));
    let refused = page(&house, &mut browser).await;
    for text in
        ["It got no tokens", "foreign_grant", "another verifier", "In Claude Code, /mcp signs in again", "The answer was sent to it"]
    {
        assert!(refused.contains(text), "{text}: {}", refused.text());
    }
    Tokens::of(&house.redeem(&client, &code).await);
    assert!(page(&house, &mut browser).await.contains("It has not made a call"), "the same client, better");
    // A code of nobody's is nobody's attempt, whoever is named with it.
    let made_up = [wrong[0], wrong[1], ("code", "dwac_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"), wrong[3], wrong[4]];
    house.token_request(&made_up).await;
    let before = page(&house, &mut browser).await;
    assert!(!before.contains("mistyped_code") && !before.contains("unknown_grant"), "{}", before.text());
    let all = all(&house).await;
    let claim = all.iter().find(|attempt| attempt.user.is_none()).expect("nobody's");
    assert!(
        matches!(claim.way.standing(house.env.now()), Standing::Stopped(Step::Token, Some("mistyped_code" | "unknown_grant"))),
        "{claim:?}"
    );
    house.close(&[&code, VERIFIER]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_says_that_no_call_came_that_one_was_refused_and_that_one_was_let_in() {
    let (_alpha, house) = office().await;
    let client = house.register("Client", &[CALLBACK]).await;
    let mut browser = signed_in(&house).await;
    let tokens = house.connected(&mut browser, &client, "alpha", &["alpha:read"]).await;
    house.shift.by(120);
    let silent = page(&house, &mut browser).await;
    assert!(silent.contains("stopped") && silent.contains("has made no call with them"), "{}", silent.text());
    // At the wrong server, then at the right one.
    assert_eq!(house.ask(modern(&tokens.key(), "beta", 1, "tools/list", json!({}))).await.status, 401);
    let wrong = page(&house, &mut browser).await;
    assert!(wrong.contains("wrong_audience") && wrong.contains("sign-in of its own"), "{}", wrong.text());
    assert_eq!(house.ask(modern(&tokens.key(), "alpha", 1, "tools/list", json!({}))).await.status, 200);
    let arrived = page(&house, &mut browser).await;
    assert!(arrived.contains("connected") && !arrived.contains("What you can do"), "{}", arrived.text());
    // What the consent does not hold.
    let pins = house.store.pins(&ServerName::new("alpha").unwrap()).await.unwrap();
    let tool = pins.iter().find(|pin| pin.class.as_str() != "read").expect("a tool that changes things").tool.to_string();
    assert_eq!(house.ask(modern_call(&tokens.key(), "alpha", 1, &tool, json!({}))).await.status, 403);
    let lacking = page(&house, &mut browser).await;
    assert!(lacking.contains("not_granted") && lacking.contains("connected"), "{}", lacking.text());
    assert!(!lacking.contains("What you can do"), "a refusal that did its work is no reason to allow more: {}", lacking.text());
    // Other refusals after the first call are no steps, and repeats take nothing.
    let before = only(&house).await;
    for _ in 0..20 {
        house.ask(modern_call(&tokens.key(), "alpha", 1, &tool, json!({}))).await;
        house.ask(modern(&tokens.key(), "beta", 1, "tools/list", json!({}))).await;
        house.ask(modern(&tokens.key(), "alpha", 1, "tools/list", json!({}))).await;
    }
    assert_eq!(only(&house).await, before);
    let seen = [Step::Registration, Step::Known, Step::Request, Step::SignIn, Step::Question, Step::Decision, Step::Answer, Step::Token];
    assert_eq!(steps(&before), [&seen[..], &[Step::Call, Step::Call, Step::Call]].concat());
    house.close(&[&tokens.access, &tokens.refresh]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_with_a_request_is_told_to_whoever_was_signed_in() {
    let (_alpha, house) = office().await;
    let client = house.register("Client", &[CALLBACK]).await;
    let mut browser = signed_in(&house).await;
    for (address, reason, text) in [
        (house.authorize("dwc_nobody", "alpha", &[]), "unknown_client", "add it anew"),
        (
            house.authorize(&client, "alpha", &[("redirect_uri", "http://127.0.0.1:1/other")]),
            "bad_redirect_uri",
            "nothing was sent anywhere",
        ),
        (house.authorize(&client, "alpha", &[("resource", "")]), "invalid_target", "did not say which server"),
        (house.authorize(&client, "alpha", &[("code_challenge", "")]), "invalid_request", "PKCE"),
    ] {
        house.shift.by(1);
        browser.open(&house, &address).await;
        let page = page(&house, &mut browser).await;
        assert!(page.contains(reason) && page.contains(text), "{reason}: {}", page.text());
    }
    house.close(&[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rs_05_another_persons_attempt_looks_like_none() {
    let (_alpha, house) = office().await;
    let client = house.register("Secret project", &[CALLBACK]).await;
    let mut alice = signed_in(&house).await;
    alice.open(&house, &house.authorize(&client, "alpha", &[])).await;
    let id = only(&house).await.id;
    let mut bob = other(&house, "bob").await;
    let body = |reply: &Reply| {
        let text = reply.text();
        let (before, after) = text.split_once("Number of this page").expect("a number");
        format!("{before}{}", after.split_once("</code>").expect("its end").1)
    };
    let theirs = bob.open(&house, &format!("/me/attempts/{id}")).await;
    let none = bob.open(&house, &format!("/me/attempts/{}", "0".repeat(24))).await;
    assert_eq!((theirs.status, none.status), (404, 404));
    assert_eq!(body(&theirs), body(&none), "one answer");
    assert!(!bob.open(&house, "/me").await.contains("Secret project"));
    assert_eq!(alice.open(&house, &format!("/me/attempts/{id}")).await.status, 200);
    // Whoever is nobody is asked to sign in, and is shown nothing.
    let stranger = Browser::default().open(&house, &format!("/me/attempts/{id}")).await;
    assert!(stranger.contains("Sign in") && !stranger.contains("Secret"), "{}", stranger.text());
    assert_eq!(bob.send(&house, Ask::post(&format!("/me/attempts/{id}"), "")).await.status, 405);
    // The request of another browser is no step of whoever is given its address (AZ-02).
    let mut mallory = Browser::default();
    mallory.open(&house, &house.authorize(&client, "alpha", &[("state", "planted")])).await;
    let txn = mallory.jar.get("__Host-dw_waiting").expect("a request that waits").clone();
    assert_eq!(bob.open(&house, &format!("/oauth/consent?txn={txn}")).await.status, 400);
    assert!(!bob.open(&house, "/me").await.contains("Connection attempts"));
    // Nor is what one of two people did in the same browser that of the other.
    let shared = alice.open(&house, &house.authorize(&client, "beta", &[])).await;
    alice.submit(&house, &Form::of(&shared).with("decision", "other-user")).await;
    let link = house.gateway.new_link(&UserId::new("local", "bob").unwrap()).await.unwrap();
    let setup = alice.open(&house, "/setup").await;
    let back = alice.submit(&house, &Form::of(&setup).with("code", link.reveal())).await;
    assert_eq!(back.status, 303);
    alice.open(&house, back.field("location").unwrap()).await;
    let all = all(&house).await;
    let of = |name: &str| all.iter().filter(|attempt| attempt.user.as_ref().is_some_and(|user| user.subject() == name)).count();
    assert_eq!((of("admin"), of("bob")), (2, 1), "{all:#?}");
    house.close(&[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_who_ask_without_end_fill_nothing() {
    let (_alpha, house) = office().await;
    let mut browser = signed_in(&house).await;
    let client = house.register("Mine", &[CALLBACK]).await;
    browser.open(&house, &house.authorize(&client, "alpha", &[])).await;
    for n in 0..150 {
        let mut stranger = Browser::default();
        stranger.open(&house, &house.authorize(&client, "alpha", &[("state", &n.to_string())])).await;
        let claimed = format!("dwc_{n}{}", "x".repeat(900));
        house.token_request(&[("grant_type", "authorization_code"), ("client_id", &claimed), ("code", "dwac_x")]).await;
        house.ask(Ask::post(&format!("/s/nope{n}/mcp"), "{}")).await;
    }
    let all = all(&house).await;
    let nobodys = all.iter().filter(|attempt| attempt.user.is_none()).count();
    assert!((1..=20).contains(&nobodys), "{nobodys}");
    assert_eq!(all.len() - nobodys, 1, "who is somebody keeps theirs");
    let kept: usize = all.iter().map(|attempt| attempt.client.as_ref().map_or(0, |client| client.as_str().len())).sum();
    assert!(kept < 25 * 1024, "{kept} bytes of ids");
    house.close(&[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ui_03_a_name_with_markup_and_escapes_stays_a_name() {
    let (_alpha, house) = office().await;
    let mut browser = signed_in(&house).await;
    for name in ["<script>alert(1)</script>", "\u{202e}evil\u{1b}[31m", "\"><img src=x onerror=alert(1)>", &"long ".repeat(40)] {
        let body = json!({"client_name": name, "redirect_uris": [CALLBACK], "token_endpoint_auth_method": "none"});
        let reply = house.ask(Ask::post("/oauth/register", body.to_string())).await;
        if reply.status != 201 {
            continue;
        }
        let client = reply.json()["client_id"].as_str().unwrap().to_owned();
        house.shift.by(1);
        browser.open(&house, &house.authorize(&client, "alpha", &[])).await;
        for shown in [browser.open(&house, "/me").await, page(&house, &mut browser).await] {
            let text = shown.text();
            assert!(
                !text.contains("<script") && !text.contains("<img") && !text.contains('\u{202e}') && !text.contains('\u{1b}'),
                "{text}"
            );
            assert!(!text.contains(&"long ".repeat(13)), "sixty characters");
        }
    }
    for attempt in all(&house).await {
        assert!(attempt.name.is_none_or(|name| name.chars().count() <= 60 && !name.contains(char::is_control)));
    }
    house.close(&[]).await;
}
