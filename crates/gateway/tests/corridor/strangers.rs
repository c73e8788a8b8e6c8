//! UI: what clients, providers, third parties and browsers say of themselves is text on every page; and where somebody is signed in.

use super::desk::{Browser, CALLBACK, Form, sent_to};
use super::house::{House, server};
use super::providers::idp;
use super::wire::{Ask, Reply};
use doorward_testkit::provider::Provider;
use doorward_testkit::third_party::ThirdParty;
use doorward_testkit::third_party::protected::Protected;
use serde_json::json;

/// Without a space, which no scope holds, and each able to leave its place if it were not text.
const TEXTS: [&str; 5] = [
    "<script>window.hit=1</script>",
    "<img/src=x/onerror=window.hit=1>",
    "\"><script>window.hit=1</script>",
    "'onmouseover='window.hit=1",
    "</title><script>window.hit=1</script>",
];

async fn open_as(browser: &mut Browser, house: &House, path: &str, program: &str) -> Reply {
    let ask = Ask::new("GET", path).field("Sec-Fetch-Site", "none").field("Sec-Fetch-Mode", "navigate").field("User-Agent", program);
    browser.send(house, ask).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ui_03_what_clients_providers_and_browsers_say_is_text() {
    for text in TEXTS {
        let provider = Provider::start().await.unwrap();
        let third = ThirdParty::start().await.unwrap();
        let linear = Protected::start(&third).await.unwrap();
        let credential = format!("credential = {{ kind = \"oauth\", issuer = \"{}\" }}", third.issuer());
        let toml = format!(
            "{}{}[login]\nadmins = [\"user:okta/ann\"]\n",
            server("linear", &linear.url(), &credential),
            idp("okta", &provider, "")
        );
        let house = House::open(&toml).await;
        provider.behave(|manners| manners.claims = json!({"email": format!("{text}@acme.example"), "groups": [text]}));
        // A quote is in no scope: an answer with one is refused.
        let scope = if text.contains('"') { "read".to_owned() } else { format!("read {text}") };
        third.behave(|manners| manners.tokens = json!({ "scope": scope }));
        // Signed in by a program that calls itself so, at a provider that says so.
        let mut browser = Browser::default();
        let left = browser.choose(&house, "okta").await;
        let back = provider.sign_in(&sent_to(&left), "ann");
        let path = back.strip_prefix(&format!("http://{}", house.address)).unwrap().to_owned();
        let arrived = Ask::new("GET", &path).field("Sec-Fetch-Site", "cross-site").field("User-Agent", text);
        let arrived = browser.send(&house, arrived).await;
        assert_eq!(arrived.status, 303, "{text}: {}", arrived.text());
        // A third party that allows what it likes, and a client with that name.
        let page = browser.open(&house, "/connect/linear").await;
        let left = browser.submit(&house, &Form::of(&page).with("action", "connect")).await;
        let back = third.approve(&sent_to(&left), "ann");
        let connected = browser.open(&house, back.strip_prefix(&format!("http://{}", house.address)).unwrap()).await;
        assert_eq!(connected.status, 200, "{text}: {}", connected.text());
        let client = house.register(text, &[CALLBACK]).await;
        let consent = browser.open(&house, &house.authorize(&client, "linear", &[])).await;
        let refused = browser.open(&house, &format!("/login/okta/callback?error={text}&error_description={text}&state=x")).await;
        let mut seen = vec![connected, consent, refused];
        for path in [
            "/",
            "/me",
            "/connect/linear",
            "/admin",
            "/admin/people",
            "/admin/clients",
            "/admin/attempts",
            "/admin/record",
            "/admin/servers",
        ] {
            let page = open_as(&mut browser, &house, path, text).await;
            assert_eq!(page.status, 200, "{path}");
            seen.push(page);
        }
        for page in seen {
            let shown = page.text();
            assert!(
                !shown.contains("<script>window") && !shown.contains("<img/src") && !shown.contains("'onmouseover='"),
                "{text}: {shown}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ui_01_a_sign_in_goes_on_in_another_program_and_is_seen_and_ended_from_there() {
    let provider = Provider::start().await.unwrap();
    let house = House::open(&idp("okta", &provider, "")).await;
    let mut first = Browser::default();
    first.sign_in_at(&house, "okta", &provider, "ann").await;
    // The same cookie in another program, as after an update: the sign-in is bound to the cookie, not to what a browser says of itself.
    let page = open_as(&mut first, &house, "/me", "Another/2.0").await;
    assert!(page.contains("Signed-in browsers") && page.contains("ann@acme.example"), "{}", page.text());
    // From a browser of its own, the first is seen and ended.
    let mut second = Browser::default();
    second.sign_in_at(&house, "okta", &provider, "ann").await;
    let me = second.open(&house, "/me").await;
    assert!(me.text().matches("Signed in</dt>").count() == 2, "{}", me.text());
    let mut form = Form::of(&me);
    form.action = "/me".to_owned();
    let done = second.submit(&house, &form.without("id").with("action", "sign-out-everywhere")).await;
    assert_eq!(done.status, 303, "{}", done.text());
    for browser in [&mut first, &mut second] {
        assert!(!browser.is_signed_in(&house).await);
    }
}
