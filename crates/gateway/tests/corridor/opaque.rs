//! Opaque access tokens of Google: whoever Google says, for a client of ours, at `/k/...` alone. Nobody else, and the token goes nowhere (RS-03, PT-01, FLT-08, FLT-12).

use super::house::{Directory, House, Key, LAPTOP, server};
use super::speak::{initialize, modern, modern_call};
use super::wire::{Ask, Reply};
use doorward_core::id::{CredentialId, UserId};
use doorward_testkit::lax::Lax;
use doorward_testkit::lax::quirk::{Behaviour, Quirk};
use doorward_testkit::provider::Provider;
use serde_json::{Value, json};
use std::time::Duration;

const OURS: &str = "1234-ours.apps.googleusercontent.com";
const ACCOUNT: &str = "agent-1@prod.iam.gserviceaccount.com";
const ASKED: &str = "/tokeninfo";

struct Works {
    alpha: Lax,
    house: House,
    google: Provider,
}

/// Tokens of Google count for our client alone: of service accounts, and of people of a domain. Another table is for people one by one.
async fn works(patience: Duration, more: &str) -> Works {
    let alpha = Lax::start(Behaviour::plain().with(Quirk::Modern)).await.unwrap();
    let google = Provider::start().await.expect("a provider");
    let toml = format!(
        r#"
        {}{}
        [idp.google]
        kind = "google-access-token"
        danger_accept_google_access_tokens = true
        client_ids = ["{OURS}", "112233"]
        tokeninfo = "{}{ASKED}"
        {more}
        scopes = ["alpha:read"]
        "#,
        server("alpha", &alpha.url(), ""),
        server("beta", &alpha.url(), ""),
        google.issuer(),
    );
    let house = House::built(Directory::new(), &toml, LAPTOP, ("", patience)).await;
    house.approve().await;
    Works { alpha, house, google }
}

async fn usual() -> Works {
    let counts = "service_accounts = [\"agent-*@prod.iam.gserviceaccount.com\"]\ndomains = [\"acme.example\"]";
    works(Duration::from_secs(5), counts).await
}

/// Tokens of one length, as Google makes them.
fn opaque(name: &str) -> String {
    format!("ya29.a0{name:-<40}")
}

fn key(token: &str) -> Key {
    let (id, user) = (CredentialId::new("opaque").expect("id"), UserId::new("local", "nobody").expect("user"));
    Key { text: token.to_owned(), id, user, path: "/k" }
}

impl Works {
    fn now(&self) -> u64 {
        self.house.env.now().as_millis() / 1_000
    }

    /// What Google says of a person of the domain, with something changed.
    fn said(&self, changes: &Value) -> Value {
        let mut said = json!({
            "azp": OURS, "aud": OURS, "sub": "42", "scope": "openid https://www.googleapis.com/auth/userinfo.email",
            "exp": (self.now() + 3_000).to_string(), "expires_in": "3000", "email": "Ann@acme.example", "email_verified": "true",
            "access_type": "online", "hd": "acme.example",
        });
        for (name, value) in changes.as_object().expect("an object") {
            said[name] = value.clone();
        }
        said.as_object_mut().expect("an object").retain(|_, value| !value.is_null());
        said
    }

    async fn lists(&self, token: &str, server: &str) -> Reply {
        self.house.ask(modern(&key(token), server, 1, "tools/list", json!({}))).await
    }

    fn asked(&self) -> usize {
        self.google.asked(ASKED)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pt_01_google_says_whose_a_token_is_and_nobody_else_learns_of_it() {
    let works = usual().await;
    let (ann, agent) = (opaque("ann"), opaque("agent"));
    works.google.tells(&ann, works.said(&json!({})));
    works.google.tells(&agent, works.said(&json!({"aud": "112233", "azp": "112233", "sub": "112233", "email": ACCOUNT, "hd": null})));
    let call = |token: &str| modern_call(&key(token), "alpha", 1, "echo", json!({"text": "hello"}));
    for (token, sub, client, level) in [(&ann, "42", OURS, "cloud"), (&agent, "112233", "112233", "impersonation")] {
        for _ in 0..3 {
            assert_eq!(works.house.ask(call(token)).await.status, 200);
        }
        let intent = works.house.records().into_iter().rfind(|record| record["kind"] == "intent").expect("an intent");
        assert_eq!(intent["user"], json!({"iss": "https://accounts.google.com", "sub": sub}), "{intent}");
        assert_eq!(
            (intent["client"].as_str(), intent["level"].as_str()),
            (Some(format!("idp:google/{client}").as_str()), Some(level)),
            "{intent}"
        );
    }
    assert_eq!(works.asked(), 2, "once for each token");
    let accepted = works.house.recorded("event", "identity_accepted");
    assert_eq!(accepted.len(), 2);
    for event in &accepted {
        let cause = event["cause"].as_str().expect("a cause");
        assert!(cause.starts_with("google access token sha256:") && cause.contains("(passthrough risk)"), "{cause}");
    }
    // Only what the table gives, and only here: no session at the other door, no grant, not another server.
    assert_eq!(works.lists(&ann, "beta").await.status, 401);
    let there = Key { path: "/s", ..key(&ann) };
    assert_eq!(works.house.ask(modern(&there, "alpha", 1, "tools/list", json!({}))).await.status, 401);
    let grant = [("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"), ("assertion", ann.as_str())];
    assert_eq!(works.house.token_request(&grant).await.status, 400);
    assert_eq!(works.asked(), 2, "and nobody was asked for that");
    let seen = format!("{:?}", works.alpha.seen_method("tools/call"));
    assert!(!seen.contains("ya29.") && !seen.contains(&ann), "{seen}");
    works.house.close(&[&ann, &agent, "ya29."]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rs_03_what_google_does_not_say_makes_nobody_somebody() {
    let works = usual().await;
    let now = works.now();
    let cases = [
        (
            "of another client",
            json!({"aud": "evil.apps.googleusercontent.com", "azp": "evil.apps.googleusercontent.com"}),
            "wrong_audience",
        ),
        ("held by another client", json!({"azp": "evil.apps.googleusercontent.com"}), "wrong_audience"),
        ("of a client whose name begins alike", json!({"aud": format!("{OURS}.evil.example")}), "wrong_audience"),
        ("of two clients", json!({"aud": [OURS, "evil"]}), "wrong_audience"),
        ("of no client", json!({"aud": null}), "wrong_audience"),
        ("held by a number", json!({"azp": 5}), "wrong_audience"),
        ("over", json!({"exp": (now - 1).to_string()}), "expired_credential"),
        ("over since just now", json!({"exp": now.to_string()}), "expired_credential"),
        ("without an end", json!({"exp": null}), "missing_claim"),
        ("with another end", json!({"exp": now + 3_000}), "missing_claim"),
        ("with a long end", json!({"exp": "9".repeat(40)}), "missing_claim"),
        ("with a negative end", json!({"exp": "-1"}), "missing_claim"),
        ("for years", json!({"exp": (now + 90_000).to_string()}), "lifetime_too_long"),
        ("of an address that is not verified", json!({"email_verified": "false"}), "email_not_verified"),
        ("of a truth that is none", json!({"email_verified": true}), "email_not_verified"),
        ("of a loud truth", json!({"email_verified": "TRUE"}), "email_not_verified"),
        ("of a truth with room", json!({"email_verified": " true"}), "email_not_verified"),
        ("of a number", json!({"email_verified": "1"}), "email_not_verified"),
        ("of no truth", json!({"email_verified": null}), "email_not_verified"),
        ("of no address", json!({"email": null}), "email_not_verified"),
        ("of nobody", json!({"sub": null}), "subject_not_allowed"),
        ("of an empty name", json!({"sub": ""}), "subject_not_allowed"),
        ("of a number as a name", json!({"sub": 42}), "subject_not_allowed"),
        ("of another domain", json!({"hd": "evil.example"}), "domain_not_allowed"),
        ("of an address alone", json!({"hd": null}), "domain_not_allowed"),
        ("of another account", json!({"email": "agent-1@evil.iam.gserviceaccount.com"}), "service_account_not_allowed"),
        ("of an account of a domain", json!({"email": "x@prod.iam.gserviceaccount.com"}), "service_account_not_allowed"),
    ];
    for (number, (what, changes, reason)) in cases.into_iter().enumerate() {
        let token = opaque(&format!("case{number}"));
        works.google.tells(&token, works.said(&changes));
        let reply = works.lists(&token, "alpha").await;
        assert_eq!((reply.status, works.house.last_reason().as_str()), (401, reason), "{what}: {}", reply.text());
        assert!(!reply.contains("Google") && !reply.contains("client"), "{what}: {}", reply.text());
    }
    // What Google does not know, and what does not look like one of its tokens: about that nobody is asked.
    let unknown = opaque("unknown");
    assert_eq!((works.lists(&unknown, "alpha").await.status, works.house.last_reason().as_str()), (401, "token_not_known"));
    let asked = works.asked();
    for other in [
        "ya29.short",
        "ya29.a0with%20a-percent-sign-in-its-middle",
        &format!("ya29.{}", "a".repeat(2_100)),
        "ya30.a0aaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    ] {
        assert_eq!(works.lists(other, "alpha").await.status, 401, "{other:.40}");
    }
    let twice = modern(&key(&unknown), "alpha", 1, "tools/list", json!({})).field("Authorization", "Bearer x");
    assert_eq!(works.house.ask(twice).await.status, 400);
    for query in [format!("access_token={unknown}"), format!("x={unknown}")] {
        let ask = modern(&key(&unknown), "alpha", 1, "tools/list", json!({})).without("Authorization");
        let reply = works.house.ask(Ask { target: format!("/k/alpha/mcp?{query}"), ..ask }).await;
        assert_eq!((reply.status, works.house.last_reason().as_str()), (400, "credential_in_query"), "{}", reply.text());
    }
    assert_eq!(works.asked(), asked);
    assert!(works.house.recorded("event", "identity_accepted").is_empty());
    works.house.close(&["ya29."]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flt_08_where_google_cannot_be_asked_nobody_knows() {
    let works = usual().await;
    let mut number = 0;
    let good = || works.said(&json!({}));
    let away = Lax::start(Behaviour::plain()).await.unwrap().url();
    let text = |said: &str| Some((200, "application/json", said.to_owned()));
    let twice = format!("{},\"email_verified\":\"true\"}}", good().to_string().trim_end_matches('}'));
    for (what, manners) in [
        ("an error", Some((500, "application/json", "{}".to_owned()))),
        ("too many questions", Some((429, "application/json", "{}".to_owned()))),
        ("not for us", Some((403, "application/json", "{\"error\":\"invalid_token\"}".to_owned()))),
        ("a page of somebody in between", Some((400, "text/html", "<title>proxy</title>".to_owned()))),
        ("a page", Some((200, "text/html", "<title>sign in</title>".to_owned()))),
        ("garbage", text("{")),
        ("a list", text("[]")),
        ("everything twice", text(&twice)),
        ("far too much", text(&format!("{{\"aud\":\"{}\"}}", "x".repeat(300_000)))),
        ("a way elsewhere", None),
        ("no end", None),
    ] {
        works.google.behave(|all| {
            all.tokeninfo = manners.clone();
            all.endless = what == "no end";
            all.elsewhere = (what == "a way elsewhere").then(|| away.clone());
        });
        number += 1;
        let token = opaque(&format!("away{number}"));
        works.google.tells(&token, good());
        let reply = works.lists(&token, "alpha").await;
        assert_eq!((reply.status, works.house.last_reason().as_str()), (503, "keys_unavailable"), "{what}: {}", reply.text());
        assert_eq!(reply.field("retry-after"), Some("10"), "{what}");
        // Itself again, it is not asked at once about the same token; then it is.
        works.google.behave_well();
        let asked = works.asked();
        assert_eq!((works.lists(&token, "alpha").await.status, works.asked()), (503, asked), "{what}");
        works.house.shift.by(11);
        let reply = works.lists(&token, "alpha").await;
        assert_eq!((reply.status, works.asked()), (200, asked + 1), "{what}: {}", reply.text());
    }
    works.house.close(&["ya29."]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flt_08_a_slow_google_holds_up_nobody_else_and_is_left_alone() {
    let works = works(Duration::from_millis(300), "domains = [\"acme.example\"]").await;
    let (ann, bob, carol) = (opaque("ann"), opaque("bob"), opaque("carol"));
    for token in [&ann, &bob, &carol] {
        works.google.tells(token, works.said(&json!({})));
    }
    assert_eq!(works.lists(&ann, "alpha").await.status, 200);
    works.google.behave(|manners| manners.silent = &[ASKED]);
    let all = tokio::join!(works.lists(&bob, "alpha"), works.lists(&bob, "alpha"), works.lists(&bob, "alpha"), works.lists(&ann, "alpha"));
    assert_eq!([all.0.status, all.1.status, all.2.status, all.3.status], [503, 503, 503, 200]);
    assert_eq!(works.asked(), 2, "one question for all who show the same token");
    assert_eq!((works.lists(&carol, "alpha").await.status, works.asked()), (503, 2), "left alone for a while");
    works.google.behave_well();
    works.house.shift.by(11);
    assert_eq!(works.lists(&carol, "alpha").await.status, 200);
    works.house.close(&["ya29."]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rs_03_what_google_said_counts_for_a_minute_and_no_longer_than_the_token() {
    let works = usual().await;
    let (ann, short) = (opaque("ann"), opaque("short"));
    works.google.tells(&ann, works.said(&json!({})));
    works.google.tells(&short, works.said(&json!({"exp": (works.now() + 30).to_string(), "sub": "43"})));
    let all = tokio::join!(works.lists(&ann, "alpha"), works.lists(&ann, "alpha"), works.lists(&ann, "alpha"), works.lists(&ann, "alpha"));
    assert_eq!([all.0.status, all.1.status, all.2.status, all.3.status], [200; 4]);
    assert_eq!(works.asked(), 1, "one flight");
    let opened = works.house.ask(initialize(&key(&short), "alpha", "2025-11-25", json!({}))).await;
    assert_eq!((opened.status, works.asked()), (200, 2));
    works.house.shift.by(31);
    assert_eq!((works.lists(&short, "alpha").await.status, works.house.last_reason().as_str()), (401, "expired_credential"), "its own end");
    assert_eq!((works.lists(&ann, "alpha").await.status, works.asked()), (200, 2));
    // Taken back at Google: within a minute, and what is remembered of a caller here.
    works.google.tells(&ann, Value::Null);
    works.google.behave(|manners| manners.tokeninfo = Some((400, "application/json", "{\"error\":\"invalid_token\"}".to_owned())));
    works.house.shift.by(61);
    let gone = super::house::within(Duration::from_secs(8), async || works.lists(&ann, "alpha").await.status == 401).await;
    assert!(gone && works.house.last_reason() == "token_not_known");
    let asked = works.asked();
    for _ in 0..5 {
        assert_eq!(works.lists(&ann, "alpha").await.status, 401);
    }
    assert_eq!(works.asked(), asked, "a refusal is remembered, too");
    works.house.close(&["ya29."]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flt_12_a_flood_of_tokens_that_nobody_has_is_not_passed_on() {
    let works = usual().await;
    let ann = opaque("ann");
    works.google.tells(&ann, works.said(&json!({})));
    assert_eq!(works.lists(&ann, "alpha").await.status, 200);
    let mut statuses = Vec::new();
    for number in 0..150 {
        statuses.push(works.lists(&opaque(&format!("flood{number}")), "alpha").await.status);
    }
    let turned: Vec<&u16> = statuses.iter().filter(|status| **status == 429).collect();
    assert!(turned.len() >= 60, "{statuses:?}");
    assert!(statuses.iter().all(|status| [401, 429].contains(status)) && works.asked() < 100, "{}", works.asked());
    // Whoever is known goes on, from the same address.
    assert_eq!(works.lists(&ann, "alpha").await.status, 200);
    works.house.close(&["ya29."]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rs_03_people_can_be_named_one_by_one() {
    let works = works(Duration::from_secs(5), "subject_pattern = [\"42\"]").await;
    let own = json!({"hd": null});
    for (name, changes, status) in [
        ("ann", own.clone(), 200),
        ("bob", json!({"hd": null, "sub": "421"}), 401),
        ("agent", json!({"hd": null, "email": ACCOUNT}), 401),
        ("nobody", json!({"hd": null, "email_verified": null}), 401),
    ] {
        let token = opaque(name);
        works.google.tells(&token, works.said(&changes));
        assert_eq!(works.lists(&token, "alpha").await.status, status, "{name}");
    }
    // Here who it is: disabled, whatever Google says.
    let user = UserId::new("https://accounts.google.com", "42").expect("user");
    works.house.store.disable_user(&user, works.house.env.now()).await.expect("disabled");
    let out = super::house::within(Duration::from_secs(5), async || works.lists(&opaque("ann"), "alpha").await.status == 401).await;
    assert!(out && works.house.last_reason() == "user_disabled");
    works.house.close(&["ya29."]).await;
}
