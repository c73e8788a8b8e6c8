//! OC, AZ: accounts that people have at the servers behind the gateway. Each is one person's, made in one browser, and used for nobody else.

use super::desk::{Browser, CALLBACK, Form, Tokens, administrator, other, parameter, sent_to, signed_in};
use super::house::{House, Key, canary, server, within};
use super::speak::{initialize, legacy_call, modern, modern_as, modern_call, text};
use super::wire::Reply;
use doorward_core::id::{ServerName, UserId};
use doorward_testkit::third_party::protected::Protected;
use doorward_testkit::third_party::{Fault, Iss, ThirdParty};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// A provider, a server that takes its tokens, and a gateway before it.
struct Street {
    provider: ThirdParty,
    linear: Protected,
    house: House,
}

fn linear_name() -> ServerName {
    ServerName::new("linear").unwrap()
}

impl Street {
    async fn new() -> Self {
        Self::with("").await
    }

    /// With more in the table of the credential.
    async fn with(more: &str) -> Self {
        let provider = ThirdParty::start().await.unwrap();
        let linear = Protected::start(&provider).await.unwrap();
        let credential = format!("title = \"Linear\"\ncredential = {{ kind = \"oauth\", issuer = \"{}\"{more} }}", provider.issuer());
        let house = House::open(&server("linear", &linear.url(), &credential)).await;
        Self { provider, linear, house }
    }

    /// The browser leaves for the provider: the address that it is sent to.
    async fn leave(&self, browser: &mut Browser) -> String {
        let page = browser.open(&self.house, "/connect/linear").await;
        assert_eq!(page.status, 200, "{}", page.text());
        let left = browser.submit(&self.house, &Form::of(&page).with("action", "connect")).await;
        assert_eq!(left.status, 200, "{}", left.text());
        sent_to(&left)
    }

    fn path<'a>(&self, address: &'a str) -> &'a str {
        address.strip_prefix(&format!("http://{}", self.house.address)).unwrap_or_else(|| panic!("{address} is not ours"))
    }

    /// From the provider back to the gateway, as `account`.
    async fn come_back(&self, browser: &mut Browser, address: &str, account: &str) -> Reply {
        let back = self.provider.approve(address, account);
        browser.open(&self.house, self.path(&back)).await
    }

    async fn connect(&self, browser: &mut Browser, account: &str) {
        let address = self.leave(browser).await;
        let done = self.come_back(browser, &address, account).await;
        assert!(done.status == 200 && done.contains("Connected."), "{} {}", done.status, done.text());
    }

    /// Connected as the administrator, with the tools approved.
    async fn connected(&self) -> (Browser, Key) {
        let mut browser = signed_in(&self.house).await;
        self.connect(&mut browser, "alicel").await;
        self.house.approve().await;
        (browser, self.house.full("admin").await)
    }

    async fn whoami(&self, key: &Key) -> Reply {
        self.house.ask(modern_call(key, "linear", 1, "whoami", json!({}))).await
    }

    async fn is_connected(&self, user: &UserId) -> bool {
        self.house.store.is_connected(user, &linear_name()).await.unwrap()
    }
}

fn reason(reply: &Reply) -> Value {
    reply.json()["error"]["data"]["reason"].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_is_connected_used_renewed_and_taken_back() {
    let street = Street::new().await;
    let house = &street.house;
    let key = house.full("admin").await;
    // Nobody is connected: how to, in the words that the client can show. Never our own 401.
    let told = street.whoami(&key).await;
    let page = format!("http://{}/connect/linear", house.address);
    assert!(told.status == 200 && told.json()["result"]["isError"] == true && text(&told).contains(&page), "{}", told.text());
    let asked = modern_as(&key, "linear", 1, "tools/call", json!({"name": "whoami", "arguments": {}}), json!({"elicitation": {"url": {}}}));
    let told = house.ask(asked.clone()).await.json();
    assert_eq!(told["result"]["resultType"], "input_required");
    let question = &told["result"]["inputRequests"]["doorward-connect"];
    assert_eq!((&question["method"], &question["params"]["mode"]), (&json!("elicitation/create"), &json!("url")));
    assert_eq!(question["params"]["url"], page);
    let told = house.ask(modern(&key, "linear", 1, "tools/list", json!({}))).await;
    assert_eq!((told.status, reason(&told)), (200, json!("account_not_connected")));
    let told = house.ask(initialize(&key, "linear", "2025-11-25", json!({"elicitation": {"url": {}}}))).await;
    assert_eq!((told.status, reason(&told)), (200, json!("account_not_connected")), "{}", told.text());
    assert!(street.linear.authorizations().is_empty(), "nothing went there");

    let (mut browser, key) = street.connected().await;
    assert_eq!(street.provider.counts().registrations, 1, "a client of this connection alone");
    let told = street.whoami(&key).await;
    assert!(text(&told).contains("alicel"), "{}", told.text());
    let call = house.records().into_iter().rfind(|record| record["kind"] == "outcome").unwrap();
    assert!(call.to_string().contains("(linear)"), "{call}");
    for reason in ["account_connecting", "account_connected"] {
        assert_eq!(house.recorded("event", reason).len(), 1, "{reason}");
    }
    // Its hour is over: renewed once, by whoever needs it first.
    street.provider.age();
    house.shift.by(3_580);
    let told = street.whoami(&key).await;
    assert!(text(&told).contains("alicel"), "{}", told.text());
    assert_eq!((street.provider.counts().refreshes, street.provider.counts().reuses), (1, 0));
    assert_eq!(house.recorded("event", "credential_renewed").len(), 1);
    let me = browser.open(house, "/me").await;
    assert!(me.contains("Accounts behind them") && me.contains("works"), "{}", me.text());
    // Taken back: dead at once here, and soon at its provider.
    let page = browser.open(house, "/connect/linear").await;
    let done = browser.submit(house, &Form::of(&page).with("action", "disconnect")).await;
    assert!(done.contains("Disconnected."), "{}", done.text());
    let dead = within(Duration::from_secs(5), async || text(&street.whoami(&key).await).contains("is not connected"));
    assert!(dead.await, "OC-09: an account that was taken back is still used");
    let seen = street.linear.authorizations().len();
    assert!(within(Duration::from_secs(5), async || street.provider.renewable("alicel") == 0).await, "the provider was not told");
    assert!(within(Duration::from_secs(5), async || house.recorded("event", "account_revoked").len() == 1).await);
    street.whoami(&key).await;
    assert_eq!(street.linear.authorizations().len(), seen);
    let secrets: Vec<String> =
        street.linear.authorizations().iter().filter_map(|value| value.split(' ').nth(1).map(str::to_owned)).collect();
    let Street { house, .. } = street;
    house.close(&secrets.iter().map(String::as_str).collect::<Vec<_>>()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn oc_01_a_connection_ends_with_who_began_it_or_not_at_all() {
    let street = Street::new().await;
    let house = &street.house;
    let mut alice = signed_in(house).await;
    let mut mallory = other(house, "mallory").await;
    // The address of the gateway that mallory sends her is her own page: nothing of his is in it.
    let page = alice.open(house, "/connect/linear").await;
    assert!(page.contains("admin") && !page.contains("mallory"), "{}", page.text());
    // The address of the provider, with his state: she is known there, and comes back with a code of hers.
    let address = street.leave(&mut mallory).await;
    let back = street.provider.approve(&address, "alicel");
    let told = alice.open(house, street.path(&back)).await;
    assert_eq!(told.status, 400, "{}", told.text());
    // Even with his cookies in her browser.
    for (name, value) in mallory.jar.iter().filter(|(name, _)| name.starts_with("__Host-dw_connect_")) {
        alice.jar.insert(name.clone(), value.clone());
    }
    let told = alice.open(house, street.path(&back)).await;
    assert_eq!(told.status, 400, "{}", told.text());
    let refused = house.recorded("event", "account_refused").pop().unwrap().to_string();
    assert!(
        refused.contains("admin") && refused.contains("mallory") && refused.contains("other_user"),
        "both are on the record: {refused}"
    );
    // Nor does it end in another session of his own.
    let mut elsewhere = other(house, "mallory").await;
    for (name, value) in mallory.jar.iter().filter(|(name, _)| name.starts_with("__Host-dw_connect_")) {
        elsewhere.jar.insert(name.clone(), value.clone());
    }
    assert_eq!(elsewhere.open(house, street.path(&back)).await.status, 400);
    let nobody =
        Browser { jar: mallory.jar.iter().filter(|(name, _)| !name.contains("session")).map(|(n, v)| (n.clone(), v.clone())).collect() };
    assert_eq!(nobody.clone().open(house, street.path(&back)).await.status, 400);
    assert_eq!(street.provider.counts().exchanges, 0, "no code was given away");
    for user in [administrator(), UserId::new("local", "mallory").unwrap()] {
        assert!(!street.is_connected(&user).await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn oc_02_an_answer_of_another_provider_is_none() {
    let street = Street::new().await;
    let mut browser = signed_in(&street.house).await;
    for iss in [Iss::Missing, Iss::Other(format!("{}/", street.provider.issuer())), Iss::Other("https://evil.example".to_owned())] {
        street.provider.behave(|manners| manners.iss = iss.clone());
        let address = street.leave(&mut browser).await;
        let told = street.come_back(&mut browser, &address, "alicel").await;
        assert_eq!(told.status, 502, "{iss:?} {}", told.text());
    }
    // Nothing that an answer of somebody else says is shown.
    street.provider.behave(|manners| manners.iss = Iss::Right);
    let address = street.leave(&mut browser).await;
    let state = parameter(&address, "state").unwrap();
    let phish = format!("/connect/linear/callback?error=access_denied&error_description=Call+0900&iss=https://evil.example&state={state}");
    let told = browser.open(&street.house, &phish).await;
    assert!(told.status == 502 && !told.contains("0900"), "{}", told.text());
    assert_eq!(street.provider.counts().exchanges, 0);
    assert!(!street.is_connected(&administrator()).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn oc_03_az_03_an_answer_counts_at_its_own_address_once_and_in_time() {
    let provider = ThirdParty::start().await.unwrap();
    let (one, two) = (Protected::start(&provider).await.unwrap(), Protected::start(&provider).await.unwrap());
    let credential = format!("credential = {{ kind = \"oauth\", issuer = \"{}\" }}", provider.issuer());
    let house = House::open(&format!("{}{}", server("linear", &one.url(), &credential), server("other", &two.url(), &credential))).await;
    let street = Street { provider, linear: one, house };
    let house = &street.house;
    let mut browser = signed_in(house).await;
    // Before anything was begun, and with a state of one's own.
    let looked = browser.open(house, "/connect/linear").await;
    assert!(!looked.fields.iter().any(|(name, value)| name == "set-cookie" && value.contains("dw_connect")), "a look begins nothing");
    for state in ["", "state=", "state=abc", &format!("state={}", "A".repeat(43))] {
        let told = browser.open(house, &format!("/connect/linear/callback?code=x&{state}")).await;
        assert_eq!(told.status, 400, "{state}");
    }
    let address = street.leave(&mut browser).await;
    assert!(parameter(&address, "redirect_uri").unwrap().ends_with("/connect/linear/callback"));
    let back = street.provider.approve(&address, "alicel");
    let path = street.path(&back).to_owned();
    // At the address of another connection.
    let told = browser.clone().open(house, &path.replace("/connect/linear/", "/connect/other/")).await;
    assert_eq!(told.status, 400, "{}", told.text());
    assert_eq!(street.provider.counts().exchanges, 0);
    let mut again = browser.clone();
    assert_eq!(browser.open(house, &path).await.status, 200);
    assert_eq!(again.open(house, &path).await.status, 400, "the second time");
    assert_eq!(street.provider.counts().exchanges, 1);
    let address = street.leave(&mut browser).await;
    let back = street.provider.approve(&address, "alicel");
    house.shift.by(640);
    assert_eq!(browser.open(house, street.path(&back)).await.status, 400, "after ten minutes");
    assert_eq!(street.provider.counts().exchanges, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn oc_04_metadata_that_lies_leads_nowhere() {
    let street = Street::new().await;
    let mut browser = signed_in(&street.house).await;
    let lies = [
        json!({"issuer": "https://evil.example"}),
        json!({"issuer": format!("{}/", street.provider.issuer())}),
        json!({"code_challenge_methods_supported": null}),
        json!({"code_challenge_methods_supported": ["plain"]}),
        json!({"token_endpoint": "http://10.0.0.1/token"}),
        json!({"token_endpoint": "javascript:alert(1)"}),
        json!({"authorization_endpoint": "data:text/html,x"}),
        json!({"registration_endpoint": "http://169.254.169.254/register"}),
        json!({"token_endpoint": format!("http://user:pass@{}/token", "127.0.0.1")}),
    ];
    for lie in lies {
        street.provider.behave(|manners| manners.metadata = lie.clone());
        let page = browser.open(&street.house, "/connect/linear").await;
        let told = browser.submit(&street.house, &Form::of(&page).with("action", "connect")).await;
        assert_eq!(told.status, 502, "{lie} {}", told.text());
    }
    assert_eq!(street.provider.counts().registrations, 0);
    // Without an issuer that the administrator wrote, a server leads to nothing on this machine (SSRF-03).
    let house = House::open(&server("linear", &street.linear.url(), "credential = { kind = \"oauth\" }")).await;
    street.provider.mend();
    let heard = street.provider.paths().len();
    let mut browser = signed_in(&house).await;
    let page = browser.open(&house, "/connect/linear").await;
    let told = browser.submit(&house, &Form::of(&page).with("action", "connect")).await;
    assert_eq!(told.status, 502, "{}", told.text());
    assert_eq!(street.provider.paths().len(), heard, "the provider was asked");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn oc_05_hostile_tokens_are_not_kept() {
    let street = Street::new().await;
    let mut browser = signed_in(&street.house).await;
    let answers = [
        json!({"token_type": "mac"}),
        json!({"token_type": null}),
        json!({"access_token": "a\r\nX-Evil: 1"}),
        json!({"access_token": "a b"}),
        json!({"access_token": ""}),
        json!({"access_token": "é"}),
        json!({"access_token": "a".repeat(20_000)}),
        json!({"expires_in": -1}),
        json!({"expires_in": 0}),
        json!({"expires_in": "soon"}),
        json!({"error": "invalid_grant"}),
    ];
    for answer in answers {
        street.provider.behave(|manners| manners.tokens = answer.clone());
        let address = street.leave(&mut browser).await;
        let told = street.come_back(&mut browser, &address, "alicel").await;
        assert_eq!(told.status, 502, "{answer} {}", told.text());
    }
    street.provider.mend();
    for fault in [
        Fault::Page,
        Fault::Leads(street.linear.url()),
        Fault::Twice,
        Fault::Status(500),
        Fault::Lost,
        Fault::Deaf,
        Fault::Says(200, format!("{{\"token_type\":\"Bearer\",\"access_token\":\"{}\"}}", "a".repeat(400_000))),
    ] {
        street.provider.fault_once("/token", fault.clone());
        let address = street.leave(&mut browser).await;
        let told = street.come_back(&mut browser, &address, "alicel").await;
        assert_eq!(told.status, 502, "{fault:?} {}", told.text());
    }
    assert!(!street.is_connected(&administrator()).await);
    // What is only unusual is taken: letter case, numbers as text, no end, and more than was asked for, which is on the record.
    street.provider.behave(|manners| manners.tokens = json!({"token_type": "bEaReR", "expires_in": "3600", "scope": "read write admin"}));
    street.connect(&mut browser, "alicel").await;
    let wider = street.house.recorded("event", "account_wider").pop().unwrap().to_string();
    assert!(wider.contains("admin"), "{wider}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn oc_07_fifty_callers_spend_one_refresh_token() {
    let street = Arc::new(Street::new().await);
    let (_browser, key) = street.connected().await;
    for round in 1..=3_usize {
        street.provider.age();
        street.house.shift.by(3_580);
        let mut calls = Vec::new();
        for _ in 0..50 {
            let (street, key) = (Arc::clone(&street), key.clone());
            calls.push(tokio::spawn(async move { text(&street.whoami(&key).await).contains("alicel") }));
        }
        for call in calls {
            assert!(call.await.unwrap(), "round {round}");
        }
        let counts = street.provider.counts();
        assert_eq!((counts.refreshes, counts.reuses), (round, 0));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn oc_08_a_grant_that_is_gone_is_told_apart_from_a_provider_that_is_away() {
    let street = Street::new().await;
    let (_browser, key) = street.connected().await;
    let house = &street.house;
    // Away: the grant stays, and nobody is sent to connect anew.
    for fault in [Fault::Status(500), Fault::Status(503), Fault::Deaf, Fault::Page, Fault::TooMany(1)] {
        street.provider.age();
        house.shift.by(3_580);
        street.provider.fault("/token", fault.clone());
        let told = street.whoami(&key).await;
        assert_eq!(told.json()["result"]["isError"], true, "{fault:?} {}", told.text());
        assert!(!text(&told).contains("/connect/"), "{fault:?} {}", text(&told));
        assert!(street.is_connected(&administrator()).await, "{fault:?}");
        street.provider.mend();
        house.shift.by(40);
        let told = street.whoami(&key).await;
        assert!(text(&told).contains("alicel"), "{fault:?}: mended without a restart: {}", told.text());
    }
    // Gone: told once, with the page, and the provider is left alone.
    street.provider.withdraw("alicel");
    house.shift.by(3_580);
    let before = street.provider.heard("/token").len();
    for _ in 0..20 {
        let told = street.whoami(&key).await;
        assert!(text(&told).contains("has to be connected again") && text(&told).contains("/connect/linear"), "{}", told.text());
    }
    assert_eq!(street.provider.heard("/token").len(), before + 1);
    assert_eq!(house.recorded("event", "connection_over").len(), 1);
    // Hours have gone by: the browser signs in anew.
    let mut browser = signed_in(house).await;
    let me = browser.open(house, "/me").await;
    assert!(me.contains("sign-in needed"), "{}", me.text());
    street.connect(&mut browser, "alicel").await;
    assert!(text(&street.whoami(&key).await).contains("alicel"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn oc_08_a_token_that_the_server_refuses_early_is_renewed_once() {
    let street = Street::new().await;
    let (_browser, key) = street.connected().await;
    assert!(text(&street.whoami(&key).await).contains("alicel"));
    street.provider.age();
    street.house.shift.by(120);
    let told = street.whoami(&key).await;
    assert!(text(&told).contains("alicel"), "{}", told.text());
    assert_eq!(street.provider.counts().refreshes, 1);
    // A server that takes no token at all is no reason to renew each time.
    street.linear.behave(|habits| habits.is_shut = true);
    street.house.shift.by(120);
    for _ in 0..10 {
        let told = street.whoami(&key).await;
        assert!(!text(&told).contains("alicel"), "{}", told.text());
    }
    assert!(street.provider.counts().refreshes <= 2, "{:?}", street.provider.counts());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn az_01_our_own_page_stands_before_a_third_party_that_asks_nobody() {
    let provider = ThirdParty::start().await.unwrap();
    let linear = Protected::start(&provider).await.unwrap();
    let toml = format!("credential = {{ kind = \"oauth\", issuer = \"{}\", client_id = \"shared\" }}", provider.issuer());
    let house = House::open(&server("linear", &linear.url(), &toml)).await;
    provider.client("shared", None, &[&format!("http://{}/connect/linear/callback", house.address)]);
    let street = Street { provider, linear, house };
    let (mut alice, _) = street.connected().await;
    // Another client, in the browser that is connected and known at the provider: it is asked for on our page, and goes nowhere.
    let evil = street.house.register("Ceve", &[CALLBACK]).await;
    let page = alice.open(&street.house, &street.house.authorize(&evil, "linear", &[])).await;
    assert!(page.status == 200 && page.contains("Ceve") && page.contains("127.0.0.1:61036"), "{}", page.text());
    assert!(page.contains("account at"), "which account it would act with: {}", page.text());
    assert!(!page.contains("http-equiv") && !page.contains(street.provider.issuer()), "no third party before the person said so");
    let declined = alice.submit(&street.house, &Form::of(&page).with("decision", "cancel")).await;
    assert!(!sent_to(&declined).contains("code="), "{}", declined.text());
    assert_eq!(street.house.recorded("event", "consent_declined").len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn az_02_what_is_allowed_waits_for_the_account_and_goes_on_in_the_same_browser() {
    let street = Street::new().await;
    let house = &street.house;
    let mut alice = signed_in(house).await;
    let client = house.register("Claude Code", &[CALLBACK]).await;
    let page = alice.open(house, &house.authorize(&client, "linear", &[])).await;
    assert!(page.contains("not connected yet"), "{}", page.text());
    let asked = format!("/oauth/consent?txn={}", Form::of(&page).value("txn"));
    let allowed = house.allow(&mut alice, &page, &["linear:read"]).await;
    assert_eq!((allowed.status, allowed.field("location")), (303, Some("/connect/linear")), "{}", allowed.text());
    // Who goes back before the account is there is asked again: a look gives nothing away.
    let back = alice.open(house, &asked).await;
    assert!(back.status == 200 && back.contains("name=\"decision\"") && !back.contains("code=dwac_"), "{}", back.text());
    assert!(house.recorded("event", "consent_given").is_empty());
    let page = alice.open(house, "/connect/linear").await;
    assert!(page.contains("waits until you have connected") && page.contains("Claude Code"), "{}", page.text());
    // In another browser, with another person: their own page, and nothing waits.
    let mut mallory = other(house, "mallory").await;
    let theirs = mallory.open(house, "/connect/linear").await;
    assert!(!theirs.contains("waits until"), "{}", theirs.text());
    let left = alice.submit(house, &Form::of(&page).with("action", "connect")).await;
    let address = sent_to(&left);
    let back = street.provider.approve(&address, "alicel");
    assert_eq!(mallory.open(house, street.path(&back)).await.status, 400, "AZ-02");
    let done = alice.open(house, street.path(&back)).await;
    assert_eq!(done.status, 303, "{}", done.text());
    let left = alice.open(house, done.field("location").unwrap()).await;
    let code = parameter(&sent_to(&left), "code").unwrap_or_else(|| panic!("{}", left.text()));
    house.approve().await;
    let tokens = Tokens::of(&house.redeem(&client, &code).await);
    assert!(text(&house.ask(modern_call(&tokens.key(), "linear", 1, "whoami", json!({}))).await).contains("alicel"));
    assert_eq!(house.recorded("event", "consent_given").len(), 1);
    // The yes counted once.
    let again = alice.open(house, done.field("location").unwrap()).await;
    assert!(!again.contains("code=dwac_"), "{}", again.text());
    // Skipped: the answer comes all the same, and the first call asks for the account.
    let mut bob = other(house, "bob").await;
    let page = bob.open(house, &house.authorize(&client, "linear", &[])).await;
    house.allow(&mut bob, &page, &["linear:read"]).await;
    let page = bob.open(house, "/connect/linear").await;
    let skipped = bob.submit(house, &Form::of(&page).with("action", "skip")).await;
    assert_eq!(skipped.status, 303, "{}", skipped.text());
    let left = bob.open(house, skipped.field("location").unwrap()).await;
    let tokens = Tokens::of(&house.redeem(&client, &parameter(&sent_to(&left), "code").unwrap()).await);
    let told = house.ask(modern_call(&tokens.key(), "linear", 1, "whoami", json!({}))).await;
    assert!(text(&told).contains("is not connected"), "{}", told.text());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pt_04_two_people_never_share_an_account() {
    let street = Street::new().await;
    let (_alice, admin) = street.connected().await;
    let mut bob = other(&street.house, "bob").await;
    let bobs = street.house.full("bob").await;
    let told = street.whoami(&bobs).await;
    assert!(text(&told).contains("is not connected"), "{}", told.text());
    street.connect(&mut bob, "bobl").await;
    let (one, two) = (text(&street.whoami(&admin).await), text(&street.whoami(&bobs).await));
    assert!(one.contains("alicel") && !one.contains("bobl") && two.contains("bobl") && !two.contains("alicel"), "{one} {two}");
    assert_eq!(street.provider.counts().registrations, 2, "each with a client of their own");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn vlt_06_a_key_of_ones_own_goes_in_and_never_comes_out() {
    let provider = ThirdParty::start().await.unwrap();
    let linear = Protected::start(&provider).await.unwrap();
    let credential = "credential = { kind = \"user-secret\", name = \"Authorization\", help_url = \"https://linear.example/keys\" }";
    let house = House::open(&server("linear", &linear.url(), credential)).await;
    let mut browser = signed_in(&house).await;
    let secret = canary("key");
    let page = browser.open(&house, "/connect/linear").await;
    assert!(page.contains("https://linear.example/keys") && page.contains("autocomplete=\"off\""), "{}", page.text());
    let form = Form::of(&page);
    for bad in ["", " ", "two words", "line\r\nbreak", "é", &"a".repeat(5_000)] {
        let told = browser.submit(&house, &form.clone().with("action", "enter").with("secret", bad)).await;
        assert!(told.contains("This is no key") && (bad.trim().is_empty() || !told.contains(bad)), "{bad:?} {}", told.text());
    }
    let told = browser.submit(&house, &form.with("action", "enter").with("secret", &secret)).await;
    assert!(told.contains("Kept.") && !told.contains(&secret), "{}", told.text());
    let me = browser.open(&house, "/me").await;
    assert!(me.contains("works") && !me.contains(&secret));
    // It goes to its server, in the form that was configured, and nowhere else; which does not know it.
    let key = house.full("admin").await;
    let told = house.ask(modern_call(&key, "linear", 1, "whoami", json!({}))).await;
    assert!(text(&told).contains("has to be connected again"), "{}", told.text());
    assert!(linear.authorizations().iter().any(|value| *value == format!("Bearer {secret}")));
    // What its server does not take the pages do not call good, and it is sent no more.
    let me = browser.open(&house, "/me").await;
    assert!(me.contains("sign-in needed"), "{}", me.text());
    let sent = linear.authorizations().len();
    house.ask(modern_call(&key, "linear", 1, "whoami", json!({}))).await;
    assert_eq!(linear.authorizations().len(), sent);
    house.close(&[&secret]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn oc_08_a_client_that_its_provider_forgot_is_registered_anew() {
    let street = Street::new().await;
    let (_browser, key) = street.connected().await;
    street.provider.age();
    street.house.shift.by(3_595);
    street.provider.fault("/token", Fault::InvalidClient);
    let told = street.whoami(&key).await;
    assert!(text(&told).contains("has to be connected again"), "{}", told.text());
    street.provider.mend();
    let mut browser = signed_in(&street.house).await;
    street.connect(&mut browser, "alicel").await;
    assert_eq!(street.provider.counts().registrations, 2, "the old client is of no use");
    assert!(text(&street.whoami(&key).await).contains("alicel"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn oc_08_a_client_that_the_administrator_wrote_is_their_business() {
    let provider = ThirdParty::start().await.unwrap();
    let linear = Protected::start(&provider).await.unwrap();
    let toml = format!("credential = {{ kind = \"oauth\", issuer = \"{}\", client_id = \"shared\" }}", provider.issuer());
    let house = House::open(&server("linear", &linear.url(), &toml)).await;
    provider.client("shared", None, &[&format!("http://{}/connect/linear/callback", house.address)]);
    let street = Street { provider, linear, house };
    let (_browser, key) = street.connected().await;
    street.provider.age();
    street.house.shift.by(3_595);
    street.provider.fault("/token", Fault::InvalidClient);
    for _ in 0..10 {
        let told = street.whoami(&key).await;
        assert!(text(&told).contains("administrator") && !text(&told).contains("/connect/"), "{}", told.text());
    }
    assert_eq!(street.house.recorded("event", "upstream_client_refused").len(), 1, "once, and not for each call");
    assert!(street.is_connected(&administrator()).await);
    street.provider.mend();
    street.house.shift.by(40);
    assert!(text(&street.whoami(&key).await).contains("alicel"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn oc_10_what_the_account_may_not_do_is_no_reason_to_connect_anew() {
    let street = Street::with(", scopes = [\"read\"]").await;
    let (_browser, key) = street.connected().await;
    street.house.shift.by(120);
    for _ in 0..5 {
        let told = street.house.ask(modern_call(&key, "linear", 1, "change", json!({}))).await;
        assert!(told.status == 200 && told.contains("does not let the account"), "{}", told.text());
    }
    assert_eq!((street.provider.counts().refreshes, street.provider.counts().registrations), (0, 1), "nothing widens by itself");
    assert!(text(&street.whoami(&key).await).contains("alicel"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn oc_09_another_account_ends_what_was_begun_with_the_first() {
    let street = Street::new().await;
    let (mut browser, key) = street.connected().await;
    let session = street.house.session(&key, "linear").await;
    let ask = || legacy_call(&key, "linear", &session, 1, "whoami", json!({}));
    assert!(text(&street.house.ask(ask()).await).contains("alicel"));
    street.connect(&mut browser, "otherl").await;
    let ended = within(Duration::from_secs(5), async || street.house.ask(ask()).await.status == 404);
    assert!(ended.await, "a session of one account went on with another");
    assert!(text(&street.whoami(&key).await).contains("otherl"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pt_04_what_was_entered_for_one_address_is_sent_to_no_other() {
    let provider = ThirdParty::start().await.unwrap();
    let (linear, evil) = (Protected::start(&provider).await.unwrap(), Protected::start(&provider).await.unwrap());
    let credential = "credential = { kind = \"user-secret\", name = \"Authorization\" }";
    let house = House::open(&server("linear", &linear.url(), credential)).await;
    let mut browser = signed_in(&house).await;
    let page = browser.open(&house, "/connect/linear").await;
    browser.submit(&house, &Form::of(&page).with("action", "enter").with("secret", "a-key-of-one-address")).await;
    let key = house.full("admin").await;
    house.ask(modern_call(&key, "linear", 1, "whoami", json!({}))).await;
    assert!(!linear.authorizations().is_empty());
    // The same server is configured at another address.
    let state = house.state.taken_over();
    house.close(&[]).await;
    let house = House::over(state, &server("linear", &evil.url(), credential), super::house::LAPTOP).await;
    let told = house.ask(modern_call(&key, "linear", 1, "whoami", json!({}))).await;
    assert!(text(&told).contains("has to be connected again"), "{}", told.text());
    assert!(evil.authorizations().iter().all(String::is_empty), "{:?}", evil.authorizations());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn oc_05_a_token_whose_end_nobody_says_is_good_until_its_server_says_otherwise() {
    let street = Street::new().await;
    street.provider.behave(|manners| {
        manners.expires = Value::Null;
        manners.tokens = json!({"refresh_token": null});
    });
    let (_browser, key) = street.connected().await;
    street.house.shift.by(2 * 86_400);
    let told = street.whoami(&street.house.full("admin").await).await;
    assert!(text(&told).contains("alicel"), "{}", told.text());
    street.provider.withdraw("alicel");
    let told = street.whoami(&street.house.full("admin").await).await;
    assert!(text(&told).contains("has to be connected again"), "{}", told.text());
    assert_eq!(street.house.recorded("event", "connection_over").len(), 1);
    drop(key);
}
