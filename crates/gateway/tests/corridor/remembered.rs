//! AZ-10: an earlier yes is remembered, and stands for a new one only where nothing is left to decide.

use super::desk::{Browser, CALLBACK, Form, VERIFIER, administrator, parameter, sent_to};
use super::house::{House, server};
use super::wire::{Ask, Reply};
use doorward_testkit::lax::Lax;
use doorward_testkit::lax::quirk::{Behaviour, Quirk};

const PORTAL: &str = "https://portal.example/cb";

/// `portal` need not ask again; `other`, alike in everything else, must.
const CLIENTS: &str = r#"
[clients]
skip_consent = ["portal", "local"]
[[clients.static]]
id = "portal"
name = "Portal"
redirect_uris = ["https://portal.example/cb", "https://portal.example/second"]
[[clients.static]]
id = "other"
redirect_uris = ["https://portal.example/cb"]
[[clients.static]]
id = "local"
redirect_uris = ["http://127.0.0.1:61036/callback"]
"#;

struct Desk {
    _alpha: Lax,
    house: House,
    browser: Browser,
}

/// A class of `alpha` besides reading, and a tool of it.
const WIDE: &str = "alpha:destructive";

impl Desk {
    async fn open() -> Self {
        let alpha = Lax::start(Behaviour::plain().with(Quirk::Modern)).await.unwrap();
        let house = House::open(&format!("{CLIENTS}{}", server("alpha", &alpha.url(), ""))).await;
        house.approve_only(|_, tool| ["echo", "ask"].contains(&tool)).await;
        let mut browser = Browser::default();
        browser.sign_in(&house).await;
        Self { _alpha: alpha, house, browser }
    }

    fn target(&self, client: &str, changes: &[(&str, &str)]) -> String {
        let all: Vec<(&str, &str)> = [("redirect_uri", PORTAL)].iter().chain(changes).copied().collect();
        self.house.authorize(client, "alpha", &all)
    }

    async fn ask(&mut self, client: &str, changes: &[(&str, &str)]) -> Reply {
        let target = self.target(client, changes);
        self.browser.open(&self.house, &target).await
    }

    async fn led(&mut self, sites: &[&str]) -> Reply {
        let mut ask = Ask::new("GET", &self.target("portal", &[])).field("Sec-Fetch-Mode", "navigate").field("Sec-Fetch-Dest", "document");
        for site in sites {
            ask = ask.field("Sec-Fetch-Site", site);
        }
        self.browser.send(&self.house, ask).await
    }

    async fn allow(&mut self, client: &str, changes: &[(&str, &str)], ticks: &[&str]) -> String {
        let page = self.ask(client, changes).await;
        sent_to(&self.house.allow(&mut self.browser, &page, ticks).await)
    }
}

/// The code, if the browser was sent on without a question.
fn sent_on(reply: &Reply) -> Option<String> {
    let address = reply.field("location").filter(|_| reply.status == 303)?;
    assert!(address.starts_with("https://portal.example/"), "{address}");
    parameter(address, "code")
}

fn is_question(reply: &Reply) -> bool {
    reply.status == 200 && reply.contains("value=\"allow\"") && !reply.contains("dwac_")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn az_10_an_earlier_yes_counts_for_an_assured_client_and_nothing_else() {
    let mut desk = Desk::open().await;
    for client in ["portal", "other"] {
        let first = desk.ask(client, &[]).await;
        assert!(is_question(&first) && !first.contains("You allowed this"), "{client}: {}", first.text());
        assert!(desk.allow(client, &[], &["alpha:read"]).await.contains("code=dwac_"));
    }
    let code = sent_on(&desk.ask("portal", &[]).await).expect("the same again, typed or opened by a program");
    let fields = [
        ("grant_type", "authorization_code"),
        ("client_id", "portal"),
        ("code", &code),
        ("code_verifier", VERIFIER),
        ("redirect_uri", PORTAL),
    ];
    let given = desk.house.token_request(&fields).await;
    assert_eq!((given.status, given.json()["scope"].as_str()), (200, Some("alpha:read")), "{}", given.text());
    assert_eq!(desk.house.recorded("event", "consent_remembered").len(), 1);
    assert!(sent_on(&desk.ask("portal", &[("prompt", "none")]).await).is_some());
    assert!(sent_on(&desk.led(&["same-origin"]).await).is_some());
    // A picture or a frame of whatever page is no visit.
    for (mode, dest) in [("no-cors", "image"), ("navigate", "iframe"), ("navigate", ""), ("", "document")] {
        let ask = Ask::new("GET", &desk.target("portal", &[])).field("Sec-Fetch-Site", "none");
        let ask = ask.field("Sec-Fetch-Mode", mode).field("Sec-Fetch-Dest", dest);
        assert!(is_question(&desk.browser.send(&desk.house, ask).await), "{mode} {dest}");
    }
    for sites in [&["cross-site"][..], &["same-site"], &[], &["none", "cross-site"], &["NONE"], &[""]] {
        assert!(is_question(&desk.led(sites).await), "{sites:?}");
    }
    let elsewhere = desk.ask("other", &[]).await;
    assert!(is_question(&elsewhere) && elsewhere.contains("You allowed this on"), "{}", elsewhere.text());
    for changes in [
        [("prompt", "consent")],
        [("redirect_uri", "https://portal.example/second")],
        [("scope", "alpha:read alpha:destructive")],
        [("scope", "alpha:destructive")],
        [("scope", "beta:read")],
    ] {
        assert!(is_question(&desk.ask("portal", &changes).await), "{changes:?}");
    }
    let silent = desk.house.authorize("portal", "alpha", &[("redirect_uri", PORTAL), ("prompt", "none"), ("scope", WIDE)]);
    let silent = desk.browser.open(&desk.house, &silent).await;
    assert_eq!(parameter(silent.field("location").unwrap(), "error").as_deref(), Some("consent_required"));
    // Eight hours were chosen.
    desk.house.shift.by(7 * 3600);
    let mut late = Desk { browser: Browser::default(), ..desk };
    late.browser.sign_in(&late.house).await;
    assert!(sent_on(&late.ask("portal", &[]).await).is_some());
    late.house.shift.by(3600 + 60);
    late.browser.sign_in(&late.house).await;
    let over = late.ask("portal", &[]).await;
    assert!(is_question(&over) && over.contains("What is different now"), "{}", over.text());
    late.house.close(&[&code]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn az_10_nobody_is_asked_silently_who_came_from_elsewhere_and_signed_in_here() {
    let mut desk = Desk::open().await;
    desk.allow("portal", &[], &["alpha:read"]).await;
    desk.browser = Browser::default();
    let waits = desk.led(&["cross-site"]).await;
    assert!(waits.contains("Sign in"), "{}", waits.text());
    let back = desk.browser.sign_in(&desk.house).await;
    let page = desk.browser.open(&desk.house, back.field("location").unwrap()).await;
    assert!(is_question(&page), "{}", page.text());
    // By itself: after the sign-in there is nothing left to ask.
    desk.browser = Browser::default();
    desk.led(&["none"]).await;
    let back = desk.browser.sign_in(&desk.house).await;
    assert!(sent_on(&desk.browser.open(&desk.house, back.field("location").unwrap()).await).is_some());
    desk.house.close(&[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn az_10_an_answer_to_this_computer_is_never_silent() {
    let mut desk = Desk::open().await;
    desk.allow("local", &[("redirect_uri", CALLBACK)], &["alpha:read"]).await;
    assert!(is_question(&desk.ask("local", &[("redirect_uri", CALLBACK)]).await));
    desk.house.close(&[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn az_10_what_is_new_since_is_asked_and_said() {
    let mut desk = Desk::open().await;
    let both = [("scope", "alpha:read alpha:destructive")];
    desk.allow("portal", &both, &["alpha:read", WIDE]).await;
    assert!(sent_on(&desk.ask("portal", &both).await).is_some());
    // The administrator approves more tools of the class.
    desk.house.approve().await;
    let page = desk.ask("portal", &both).await;
    assert!(is_question(&page) && page.contains("What is different now") && page.contains("slow"), "{}", page.text());
    assert!(is_question(&desk.ask("portal", &[]).await), "also where only reading is asked for: the earlier yes was to less");
    // Said again, it counts again.
    desk.allow("portal", &both, &["alpha:read", WIDE]).await;
    assert!(sent_on(&desk.ask("portal", &both).await).is_some());
    assert!(sent_on(&desk.ask("portal", &[]).await).is_some(), "less than before");
    assert!(sent_on(&desk.ask("portal", &both).await).is_some(), "the silent answer to less changed nothing");
    // Taken back, it is as if it had never been.
    for grant in desk.house.store.list_grants(Some(&administrator()), desk.house.env.now()).await.unwrap() {
        desk.house.store.revoke_grant(&grant.id, doorward_store::Owner::User(&administrator()), desk.house.env.now()).await.unwrap();
    }
    let page = desk.ask("portal", &both).await;
    assert!(is_question(&page) && !page.contains("What is different now") && !page.contains("You allowed this on"), "{}", page.text());
    assert!(Form::of(&page).value("txn").len() > 10);
    desk.house.close(&[]).await;
}
