//! DEV: programs without a browser (RFC 8628). What one of them is given, a person has allowed who was told from where it was asked; and
//! nobody finds a code, fetches for another, or fetches twice.

use super::desk::{Browser, CALLBACK, Form, Tokens, administrator, document, error_of, other, signed_in, token_ask};
use super::house::{House, LAPTOP, server, within};
use super::speak::{modern, modern_call, text};
use super::wire::{Ask, Reply};
use doorward_core::oauth::device::GRANT_TYPE;
use doorward_core::oauth::form::encoded;
use doorward_store::Owner;
use doorward_testkit::lax::Lax;
use doorward_testkit::lax::quirk::{Behaviour, Quirk};
use serde_json::json;
use std::time::Duration;
use tokio::task::JoinSet;

const CLI: &str = "doorward-cli";
const SECRET: &str = "a-secret-of-thirty-two-characters";
const ANY: &str = "[clients]\ndevice_grant = \"any\"\n";

/// What a program was answered.
struct Device {
    code: String,
    user_code: String,
}

async fn office(clients: &str) -> (Lax, House) {
    let alpha = Lax::start(Behaviour::plain().with(Quirk::Modern)).await.unwrap();
    let servers = format!(
        "{}{}{}",
        server("alpha", &alpha.url(), ""),
        server("beta", &alpha.url(), ""),
        server("hidden", &alpha.url(), "visible_to = [\"user:local/root\"]")
    );
    let house = House::open(&format!("{servers}{clients}")).await;
    house.approve().await;
    alpha.forget();
    (alpha, house)
}

fn device_ask(fields: &[(&str, &str)]) -> Ask {
    Ask { target: "/oauth/device".to_owned(), ..token_ask(fields) }
}

impl Device {
    async fn of(house: &House, client: &str, server: &str) -> Self {
        let (resource, scope) = (house.resource(server), format!("{server}:read"));
        let fields = [("client_id", client), ("resource", resource.as_str()), ("scope", scope.as_str())];
        Self::told(&house.ask(device_ask(&fields)).await)
    }

    fn told(reply: &Reply) -> Self {
        assert_eq!(reply.status, 200, "{}", reply.text());
        let json = reply.json();
        let text = |name: &str| json[name].as_str().unwrap_or_else(|| panic!("no {name} in {json}")).to_owned();
        Self { code: text("device_code"), user_code: text("user_code") }
    }

    async fn poll(&self, house: &House, client: &str) -> Reply {
        house.token_request(&poll_fields(client, &self.code)).await
    }

    /// The same, as soon as it may be asked again.
    async fn next_poll(&self, house: &House, client: &str) -> Reply {
        house.shift.by(5);
        self.poll(house, client).await
    }
}

fn poll_fields<'a>(client: &'a str, code: &'a str) -> [(&'static str, &'a str); 3] {
    [("grant_type", GRANT_TYPE), ("client_id", client), ("device_code", code)]
}

/// Types a code, as a person does who opened `/device`.
async fn typed(house: &House, browser: &mut Browser, code: &str) -> Reply {
    let page = browser.open(house, "/device").await;
    assert_eq!(page.status, 200, "{}", page.text());
    browser.submit(house, &Form::of(&page).with("user_code", code)).await
}

/// A decision about the question, with what is ticked.
async fn decide(house: &House, browser: &mut Browser, page: &Reply, fields: &[(&str, &str)]) -> Reply {
    let mut form = Form::of(page).with("duration", "8h");
    for (name, value) in fields {
        form = form.with(name, value);
    }
    house.read_the_page();
    browser.submit(house, &form).await
}

const YES: [(&str, &str); 3] = [("decision", "allow"), ("device", "mine"), ("grant", "alpha:read")];

/// A device that somebody has just said yes to.
async fn allowed(house: &House, browser: &mut Browser, client: &str) -> Device {
    let device = Device::of(house, client, "alpha").await;
    let page = typed(house, browser, &device.user_code).await;
    let done = decide(house, browser, &page, &YES).await;
    assert!(done.status == 200 && done.contains("Your device goes on"), "{}", done.text());
    device
}

async fn named(house: &House, name: &str, grants: &[&str]) -> String {
    let body = json!({"client_name": name, "redirect_uris": [CALLBACK], "token_endpoint_auth_method": "none", "grant_types": grants});
    let reply = house.ask(Ask::post("/oauth/register", body.to_string())).await;
    assert_eq!(reply.status, 201, "{}", reply.text());
    reply.json()["client_id"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_goes_from_nothing_to_a_call_and_back() {
    let (_alpha, house) = office("").await;
    let found = document(&house, "/.well-known/oauth-authorization-server").await;
    assert_eq!(found["device_authorization_endpoint"], format!("http://{}/oauth/device", house.address));
    assert!(found["grant_types_supported"].to_string().contains(GRANT_TYPE));
    let reply = house
        .ask(device_ask(&[("client_id", CLI), ("resource", &house.resource("alpha")), ("scope", "alpha:read alpha:write openid")]))
        .await;
    let (json, device) = (reply.json(), Device::told(&reply));
    assert_eq!(reply.field("cache-control"), Some("no-store"));
    assert_eq!((json["expires_in"].as_u64(), json["interval"].as_u64()), (Some(600), Some(5)));
    assert_eq!(json["verification_uri"], format!("http://{}/device", house.address));
    let complete = format!("http://{}/device?user_code={}", house.address, device.user_code);
    assert_eq!(json["verification_uri_complete"], complete);
    assert!(device.code.starts_with("dwdc_") && device.user_code.len() == 9, "{} {}", device.code, device.user_code);
    assert_eq!(error_of(&device.poll(&house, CLI).await), (400, "authorization_pending".to_owned()));
    // Nobody is signed in: the code waits with the address, and nothing of the request is shown.
    let mut browser = Browser::default();
    let path = format!("/device?user_code={}", device.user_code);
    let page = browser.open(&house, &path).await;
    assert!(page.contains("Sign in") && !page.contains("Doorward command line"), "{}", page.text());
    let back = browser.sign_in(&house).await;
    let page = browser.open(&house, back.field("location").unwrap()).await;
    assert_eq!((page.status, page.field("location")), (303, Some(path.as_str())));
    let page = browser.open(&house, &path).await;
    assert!(page.contains(&format!("value=\"{}\"", device.user_code)) && page.contains("Only go on if you started this yourself"));
    let page = browser.submit(&house, &Form::of(&page).with("user_code", &device.user_code.to_lowercase().replace('-', " "))).await;
    for shown in
        ["Doorward command line", "Not proven", "127.0.0.1", "just now", &device.user_code, "Only go on if you started this yourself"]
    {
        assert!(page.contains(shown), "{shown} in {}", page.text());
    }
    let ticked = page.text().split("<input").filter(|input| input.contains("name=\"grant\"") && input.contains(" checked")).count();
    assert_eq!(ticked, 1, "only reading is ticked beforehand");
    let done = decide(&house, &mut browser, &page, &YES).await;
    assert!(done.contains("Your device goes on by itself") && !done.contains("dwdc_"), "{}", done.text());
    let tokens = Tokens::of(&device.poll(&house, CLI).await);
    assert_eq!(tokens.scope, "alpha:read");
    assert!(text(&house.ask(modern_call(&tokens.key(), "alpha", 1, "echo", json!({ "a": 1 }))).await).contains('1'));
    assert_eq!(house.ask(modern(&tokens.key(), "beta", 1, "tools/list", json!({}))).await.status, 401, "for its server alone");
    let next = Tokens::of(&house.refresh(CLI, &tokens.refresh).await);
    for reason in ["device_requested", "consent_shown", "consent_given", "tokens_issued", "tokens_refreshed"] {
        assert_eq!(house.recorded("event", reason).len(), 1, "{reason}");
    }
    assert!(house.recorded("event", "consent_given")[0].to_string().contains("answer to device_"));
    assert!(browser.open(&house, "/me").await.contains("answers go to <code>device</code>"), "listed where it can be taken back");
    // Taken back: dead at once.
    for grant in house.store.list_grants(Some(&administrator()), house.env.now()).await.unwrap() {
        house.store.revoke_grant(&grant.id, Owner::User(&administrator()), house.env.now()).await.unwrap();
    }
    let dead =
        within(Duration::from_secs(5), async || house.ask(modern(&next.key(), "alpha", 1, "tools/list", json!({}))).await.status == 401);
    assert!(dead.await);
    assert_eq!(error_of(&house.refresh(CLI, &next.refresh).await), (400, "invalid_grant".to_owned()));
    let code = device.user_code.replace('-', "");
    house.close(&[&device.code, &device.user_code, &code, &tokens.access, &tokens.refresh, &next.access]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dev_01_a_person_who_is_led_there_decides_nothing_by_a_link() {
    let (_alpha, house) = office("").await;
    let mut browser = signed_in(&house).await;
    let device = Device::of(&house, CLI, "alpha").await;
    let path = format!("/device?user_code={}", device.user_code);
    // Any number of openings, by link, from another site and by HEAD, ask for nothing and answer nothing.
    for ask in
        [Ask::new("GET", &path), Ask::new("HEAD", &path), Ask::new("GET", &format!("{path}&decision=allow&device=mine&grant=alpha:read"))]
    {
        for site in ["none", "cross-site", "same-origin"] {
            let page = browser.send(&house, ask.clone().field("Sec-Fetch-Site", site)).await;
            assert!(page.status == 200 && !page.contains("Doorward command line") && !page.contains("http-equiv"), "{}", page.text());
        }
    }
    assert_eq!(house.recorded("event", "consent_shown").len(), 0);
    assert_eq!(error_of(&device.poll(&house, CLI).await).1, "authorization_pending");
    // A form of another site reaches neither the question nor an answer.
    let page = browser.open(&house, &path).await;
    let form = Form::of(&page).with("user_code", &device.user_code);
    for (site, origin) in [("cross-site", "null"), ("same-site", "null"), ("none", "null")] {
        let reply = browser.send(&house, form.ask().field("Sec-Fetch-Site", site).field("Origin", origin)).await;
        assert_eq!(reply.status, 403, "{site}");
    }
    let forged = browser.submit(&house, &form.clone().without("csrf").with("csrf", "1.AAAA")).await;
    assert_eq!(forged.status, 403);
    assert_eq!(house.recorded("event", "forged_form").len(), 3);
    // The right form shows the question; a yes without the tick that it is one's own device is none.
    let page = browser.submit(&house, &form).await;
    let again = decide(&house, &mut browser, &page, &[("decision", "allow"), ("grant", "alpha:read")]).await;
    assert!(again.contains("One tick is missing") && again.contains("name=\"decision\""), "{}", again.text());
    for other in ["", "understood", "yes"] {
        let again = decide(&house, &mut browser, &page, &[("decision", "allow"), ("device", other), ("grant", "alpha:read")]).await;
        assert!(again.contains("One tick is missing"), "{other}");
    }
    // Too quick is no decision either.
    let quick = typed(&house, &mut browser, &device.user_code).await;
    let mut form = Form::of(&quick).with("duration", "8h");
    for (name, value) in YES {
        form = form.with(name, value);
    }
    assert!(browser.submit(&house, &form).await.contains("too quick"));
    // And a consent that was given once makes no second one silent.
    let done = decide(&house, &mut browser, &page, &YES).await;
    assert!(done.contains("Your device goes on"));
    let second = Device::of(&house, CLI, "alpha").await;
    let page = typed(&house, &mut browser, &second.user_code).await;
    assert!(page.contains("name=\"decision\"") && page.contains("Only go on if"), "{}", page.text());
    assert_eq!(error_of(&second.poll(&house, CLI).await).1, "authorization_pending");
    house.close(&[&device.code]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dev_02_codes_are_not_found_by_trying() {
    let (_alpha, house) = office("").await;
    let mut browser = signed_in(&house).await;
    let device = Device::of(&house, CLI, "alpha").await;
    // Unknown, mistyped, decided and expired are one answer.
    let sentence = "This code is not valid: mistyped, used before, or older than ten minutes.";
    let page = typed(&house, &mut browser, &device.user_code).await;
    decide(&house, &mut browser, &page, &[("decision", "cancel")]).await;
    let late = Device::of(&house, CLI, "alpha").await;
    house.shift.by(601);
    let mut bodies = Vec::new();
    for code in ["BBBB-BBBB", "not a code", &device.user_code, &late.user_code, ""] {
        let reply = typed(&house, &mut browser, code).await;
        assert!(reply.status == 403 && reply.contains(sentence), "{code}: {}", reply.text());
        let text = reply.text();
        bodies.push(text.split("name=\"csrf\"").next().unwrap().to_owned() + text.split("Eight letters").nth(1).unwrap());
    }
    assert!(bodies.windows(2).all(|pair| pair[0] == pair[1]));
    assert_eq!(house.recorded("event", "device_code_refused").len(), 5);
    // One person has ten tries, right or wrong.
    let right = Device::of(&house, CLI, "alpha").await;
    let mut statuses = Vec::new();
    for _ in 0..6 {
        statuses.push(typed(&house, &mut browser, "BBBB-BBBC").await.status);
    }
    assert_eq!(statuses.iter().filter(|status| **status == 429).count(), 2, "{statuses:?}");
    assert_eq!(typed(&house, &mut browser, &right.user_code).await.status, 429, "not even the right one");
    assert_eq!(house.recorded("event", "device_codes_tried").len(), 3);
    // Somebody else still has theirs.
    let mut bob = other(&house, "bob").await;
    assert_eq!(typed(&house, &mut bob, &right.user_code).await.status, 200);
    // Nobody who is not signed in tries any.
    let mut nobody = Browser::default();
    let page = browser.open(&house, "/device").await;
    let reply = nobody.submit(&house, &Form::of(&page).with("user_code", &right.user_code)).await;
    assert!(reply.contains("Sign in") && !reply.contains("Doorward command line"));
    house.close(&[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn dev_03_one_family_of_tokens_for_its_client_alone() {
    let (_alpha, house) = office(ANY).await;
    let mut browser = signed_in(&house).await;
    let (ours, eve) =
        (named(&house, "Ours", &["authorization_code", GRANT_TYPE]).await, named(&house, "Eve", &["authorization_code", GRANT_TYPE]).await);
    let device = allowed(&house, &mut browser, &ours).await;
    for other in [eve.as_str(), CLI] {
        assert_eq!(error_of(&device.poll(&house, other).await), (400, "invalid_grant".to_owned()), "another client");
    }
    let beta = house.resource("beta");
    let mut fields = poll_fields(&ours, &device.code).to_vec();
    fields.push(("resource", &beta));
    assert_eq!(error_of(&house.token_request(&fields).await), (400, "invalid_target".to_owned()), "another server");
    assert_eq!(house.recorded("event", "foreign_grant").len(), 2);
    // Fifty at once are one: each is given the same, for the answer of any of them may be lost.
    let (mut all, address) = (JoinSet::new(), house.address);
    for _ in 0..50 {
        let ask = token_ask(&poll_fields(&ours, &device.code));
        all.spawn(async move { ask.at(address).await });
    }
    let replies = all.join_all().await;
    let served: Vec<Tokens> = replies.iter().filter(|reply| reply.status == 200).map(Tokens::of).collect();
    assert_eq!(served.len(), 50);
    assert!(served.iter().all(|tokens| tokens.access == served[0].access && tokens.refresh == served[0].refresh), "one line of tokens");
    assert_eq!((house.recorded("event", "tokens_issued").len(), house.recorded("event", "tokens_repeated").len()), (1, 49));
    assert_eq!(house.store.list_grants(None, house.env.now()).await.unwrap().len(), 1);
    let list = || house.ask(modern(&served[0].key(), "alpha", 1, "tools/list", json!({})));
    assert_eq!(list().await.status, 200, "who came at the same moment took nothing back");
    // Later the same code is a theft: what it gave is taken back.
    house.shift.by(31);
    assert_eq!(error_of(&device.poll(&house, &ours).await), (400, "invalid_grant".to_owned()));
    assert_eq!(house.recorded("event", "consent_ended_by_replay").len(), 1);
    assert!(within(Duration::from_secs(5), async || list().await.status == 401).await);
    house.close(&[&device.code, &served[0].access]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dev_04_polls_keep_their_pace_and_end_with_the_decision_or_the_time() {
    let (_alpha, house) = office("").await;
    let mut browser = signed_in(&house).await;
    let device = Device::of(&house, CLI, "alpha").await;
    let told = |reply: Reply| error_of(&reply).1;
    assert_eq!(told(device.poll(&house, CLI).await), "authorization_pending");
    assert_eq!(told(device.poll(&house, CLI).await), "slow_down");
    assert_eq!(told(device.next_poll(&house, CLI).await), "slow_down", "five seconds are too soon now");
    house.shift.by(15);
    assert_eq!(told(device.poll(&house, CLI).await), "authorization_pending", "fifteen are enough");
    house.shift.by(10);
    assert_eq!(told(device.poll(&house, CLI).await), "slow_down");
    // The answer is there at once, whatever the pace, and a no is told as one.
    let page = typed(&house, &mut browser, &device.user_code).await;
    let done = decide(&house, &mut browser, &page, &[("decision", "cancel")]).await;
    assert!(done.contains("Not allowed"), "{}", done.text());
    assert_eq!(error_of(&device.poll(&house, CLI).await), (400, "access_denied".to_owned()));
    assert_eq!(error_of(&device.poll(&house, CLI).await), (400, "access_denied".to_owned()));
    // Nothing ticked, and reported: the same.
    for fields in [vec![("decision", "allow"), ("device", "mine")], vec![("decision", "report")]] {
        let device = Device::of(&house, CLI, "alpha").await;
        let page = typed(&house, &mut browser, &device.user_code).await;
        assert!(decide(&house, &mut browser, &page, &fields).await.contains("Not allowed"));
        assert_eq!(told(device.poll(&house, CLI).await), "access_denied");
    }
    assert_eq!((house.recorded("event", "consent_declined").len(), house.recorded("event", "consent_reported").len()), (2, 1));
    // Too late: to fetch, and to decide.
    let (late, never) = (allowed(&house, &mut browser, CLI).await, Device::of(&house, CLI, "alpha").await);
    let page = typed(&house, &mut browser, &never.user_code).await;
    house.shift.by(599);
    let reply = decide(&house, &mut browser, &page, &YES).await;
    assert!(matches!(reply.status, 400 | 409), "{}", reply.text());
    assert_eq!(told(late.poll(&house, CLI).await), "expired_token");
    assert_eq!(told(never.poll(&house, CLI).await), "expired_token");
    // An hour later they are gone.
    let code = doorward_core::secret::TokenHash::of(&never.code).unwrap();
    assert!(house.store.grant_of_device(&code).await.unwrap().is_none());
    let now = house.env.now().after(Duration::from_secs(3_700));
    let lifetimes = doorward_core::session::Lifetimes { idle: Duration::from_secs(3600), absolute: Duration::from_secs(86_400) };
    assert!(house.store.sweep(now, lifetimes).await.unwrap().codes >= 5);
    house.shift.by(3_700);
    assert_eq!(told(never.poll(&house, CLI).await), "invalid_grant");
    house.close(&[&device.code, &late.code]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dev_04_who_asks_without_end_is_held_up() {
    let (_alpha, house) = office("").await;
    let resource = house.resource("alpha");
    let fields = [("client_id", CLI), ("resource", resource.as_str())];
    let mut statuses = Vec::new();
    for _ in 0..14 {
        statuses.push(house.ask(device_ask(&fields)).await.status);
    }
    assert!(statuses.iter().take(10).all(|status| *status == 200), "{statuses:?}");
    assert!(statuses.iter().skip(11).all(|status| *status == 429), "{statuses:?}");
    assert!(!house.recorded("event", "device_rate").is_empty());
    house.close(&[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dev_05_the_decision_is_of_one_browser_person_and_time() {
    let (_alpha, house) = office("").await;
    let mut browser = signed_in(&house).await;
    let device = Device::of(&house, CLI, "alpha").await;
    let page = typed(&house, &mut browser, &device.user_code).await;
    let mut form = Form::of(&page).with("duration", "8h");
    for (name, value) in YES {
        form = form.with(name, value);
    }
    house.read_the_page();
    // Another browser of another person, with this form: it began elsewhere.
    let mut bob = other(&house, "bob").await;
    assert!(bob.submit(&house, &form).await.contains("began in another browser"));
    // The same browser, in which somebody else signed in meanwhile: the form was not theirs.
    let mut swapped = browser.clone();
    swapped.jar.insert("__Host-dw_session".to_owned(), bob.jar["__Host-dw_session"].clone());
    assert_eq!(swapped.submit(&house, &form).await.status, 403);
    // A token of the page before, a ticket that was altered, a form from elsewhere.
    let before = browser.open(&house, "/device").await;
    for bad in [
        form.clone().without("csrf").with("csrf", Form::of(&before).value("csrf")),
        form.clone().without("txn").with("txn", &form.value("txn").replace('A', "B")),
        form.clone().with("grant", "beta:read"),
        form.clone().with("grant", "hidden:read"),
    ] {
        let reply = browser.submit(&house, &bad).await;
        assert!(!reply.contains("Your device goes on"), "{}", reply.text());
    }
    let elsewhere = browser.send(&house, form.ask().field("Sec-Fetch-Site", "cross-site").field("Origin", "null")).await;
    assert_eq!(elsewhere.status, 403);
    assert_eq!(error_of(&device.poll(&house, CLI).await).1, "authorization_pending", "nothing of that decided");
    // Two people at the question: the first decides.
    let theirs = typed(&house, &mut bob, &device.user_code).await;
    let mut kept = browser.clone();
    assert!(browser.submit(&house, &form).await.contains("Your device goes on"));
    let flow: Vec<String> = kept.jar.keys().filter(|name| name.starts_with("__Host-dw_flow_")).cloned().collect();
    assert!(!flow.is_empty() && !browser.jar.contains_key(&flow[0]), "the browser forgets the request");
    for replay in [&mut browser.clone(), &mut kept] {
        assert!(!replay.submit(&house, &form).await.contains("Your device goes on"), "the form again");
    }
    let late = decide(&house, &mut bob, &theirs, &YES).await;
    assert!(late.status == 409 && late.contains("decided before"), "{}", late.text());
    let denied = decide(&house, &mut bob, &theirs, &[("decision", "cancel")]).await;
    assert_ne!(denied.status, 200, "nor is it taken back by a no");
    assert_eq!(Tokens::of(&device.poll(&house, CLI).await).scope, "alpha:read");
    let grants = house.store.list_grants(None, house.env.now()).await.unwrap();
    assert_eq!(grants.iter().map(|grant| grant.user.clone()).collect::<Vec<_>>(), [administrator()], "one grant, of whoever decided");
    // A ticket of nobody's decision: what waits for a sign-in is no question.
    let mut nobody = Browser::default();
    let page = nobody.open(&house, "/device").await;
    let txn = nobody.jar["__Host-dw_waiting"].clone();
    assert!(page.contains("Sign in"));
    let forged =
        Form { action: "/oauth/consent".to_owned(), fields: vec![("txn".to_owned(), txn), ("decision".to_owned(), "allow".to_owned())] };
    assert!(!matches!(browser.submit(&house, &forged).await.status, 200 | 303));
    house.close(&[&device.code]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dev_06_between_the_yes_and_the_fetch_everything_is_decided_anew() {
    let (_alpha, house) = office("").await;
    let mut browser = signed_in(&house).await;
    // The person takes it back before it was fetched; or may not act any more.
    let device = allowed(&house, &mut browser, CLI).await;
    let id = house.store.list_grants(None, house.env.now()).await.unwrap()[0].id.clone();
    house.store.revoke_grant(&id, Owner::User(&administrator()), house.env.now()).await.unwrap();
    assert_eq!(error_of(&device.poll(&house, CLI).await), (400, "invalid_grant".to_owned()));
    let device = allowed(&house, &mut browser, CLI).await;
    house.store.disable_user(&administrator(), house.env.now()).await.unwrap();
    assert_eq!(error_of(&device.poll(&house, CLI).await), (400, "invalid_grant".to_owned()));
    // Whoever is disabled decides nothing.
    let device = Device::of(&house, CLI, "alpha").await;
    let page = typed(&house, &mut browser, &device.user_code).await;
    assert!(!page.contains("name=\"decision\""), "{}", page.text());
    house.store.enable_user(&administrator(), house.env.now()).await.unwrap();
    // A server that is not theirs looks like one that is not there, before and after the code.
    let mut told = Vec::new();
    for server in ["hidden", "nothing-of-that-name"] {
        let device = Device::of(&house, CLI, server).await;
        let page = typed(&house, &mut browser, &device.user_code).await;
        assert_eq!(page.status, 403, "{}", page.text());
        told.push(page.text().split("correlation").next().unwrap().split("<code").next().unwrap().to_owned());
        assert_eq!(error_of(&device.poll(&house, CLI).await).1, "authorization_pending");
    }
    assert_eq!(told[0], told[1]);
    let waiting = allowed(&house, &mut browser, CLI).await;
    // Another start, that blocks the client, hides the server, or offers the grant to nobody: what was allowed is not fetched.
    let alpha = server("alpha", &_alpha.url(), "");
    let hidden = server("alpha", &_alpha.url(), "visible_to = [\"user:local/root\"]");
    let mut state = house.state.taken_over();
    house.close(&[&waiting.code]).await;
    for (toml, error) in [
        (format!("{alpha}[clients]\nblock = [\"{CLI}\"]\n"), (401, "invalid_client")),
        (format!("{alpha}[clients]\ndevice_grant = \"off\"\n"), (400, "unsupported_grant_type")),
        (format!("{alpha}[[clients.static]]\nid = \"{CLI}\"\nredirect_uris = [\"{CALLBACK}\"]\n"), (400, "unauthorized_client")),
        (hidden, (400, "invalid_grant")),
    ] {
        let house = House::over(state, &toml, LAPTOP).await;
        assert_eq!(error_of(&waiting.poll(&house, CLI).await), (error.0, error.1.to_owned()), "{toml}");
        if toml.contains("off") {
            let found = document(&house, "/.well-known/oauth-authorization-server").await;
            assert!(found.get("device_authorization_endpoint").is_none() && !found.to_string().contains("device_code"));
            assert_eq!(house.ask(Ask::new("GET", "/device")).await.status, 404);
        }
        state = house.state.taken_over();
        house.close(&[]).await;
    }
    // It is in the store: another process gives what was allowed before it began.
    let house = House::over(state, &alpha, LAPTOP).await;
    assert_eq!(Tokens::of(&waiting.poll(&house, CLI).await).scope, "alpha:read");
    house.close(&[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dev_07_a_device_code_opens_nothing_else_and_only_clients_with_the_grant_ask() {
    let portal = format!(
        "[[clients.static]]\nid = \"portal\"\nauth = {{ kind = \"secret\", secret = \"plain:{SECRET}\" }}\ndevice_grant = true\n\
         [[clients.static]]\nid = \"plain\"\nredirect_uris = [\"{CALLBACK}\"]\n"
    );
    let (_alpha, house) = office(&portal).await;
    let mut browser = signed_in(&house).await;
    let device = allowed(&house, &mut browser, CLI).await;
    let mut key = house.full("alice").await;
    for path in ["/s", "/k"] {
        (key.text, key.path) = (device.code.clone(), path);
        assert_eq!(house.ask(modern(&key, "alpha", 1, "tools/list", json!({}))).await.status, 401);
        (key.text, key.path) = (device.user_code.clone(), path);
        assert_eq!(house.ask(modern(&key, "alpha", 1, "tools/list", json!({}))).await.status, 401);
    }
    let with = |target: &str, fields: &[(&str, &str)]| Ask { target: target.to_owned(), ..token_ask(fields) };
    let portal = [("client_id", "portal"), ("client_secret", SECRET), ("token", device.code.as_str())];
    let basic = {
        use base64::Engine as _;
        format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("portal:{SECRET}")))
    };
    let told = house.ask(with("/oauth/introspect", &portal[2..]).field("Authorization", &basic)).await;
    assert_eq!((told.status, told.json()["active"].as_bool()), (200, Some(false)));
    let revoked = house.ask(with("/oauth/revoke", &[("client_id", CLI), ("token", &device.code)])).await;
    assert_eq!(revoked.status, 200, "answered alike, and nothing happens");
    for (kind, name) in [("authorization_code", "code"), ("refresh_token", "refresh_token")] {
        let fields = [("grant_type", kind), ("client_id", CLI), (name, device.code.as_str()), ("code_verifier", super::desk::VERIFIER)];
        assert_eq!(error_of(&house.token_request(&fields).await), (400, "invalid_grant".to_owned()));
    }
    for bad in ["", "dwdc_short", &device.user_code, &device.code.replace("dwdc_", "dwac_")] {
        let reply = house.token_request(&poll_fields(CLI, bad)).await;
        assert!(reply.status == 400 && matches!(error_of(&reply).1.as_str(), "invalid_grant" | "invalid_request"), "{bad}");
    }
    assert_eq!(Tokens::of(&device.poll(&house, CLI).await).scope, "alpha:read", "and it still is what it was");
    // Who may ask.
    let alpha = house.resource("alpha");
    let body = json!({"redirect_uris": [CALLBACK], "grant_types": ["authorization_code", GRANT_TYPE]});
    let answer = house.ask(Ask::post("/oauth/register", body.to_string())).await.json();
    assert_eq!(answer["grant_types"], json!(["authorization_code", "refresh_token"]), "what holds here, not what was asked");
    let plain = named(&house, "Named", &["authorization_code", GRANT_TYPE]).await;
    let unnamed = house.register("Unnamed", &[CALLBACK]).await;
    for (client, error) in [
        ("plain", (400, "unauthorized_client")),
        (plain.as_str(), (400, "unauthorized_client")),
        (unnamed.as_str(), (400, "unauthorized_client")),
        ("nobody", (401, "invalid_client")),
        ("portal", (401, "invalid_client")),
    ] {
        let reply = house.ask(device_ask(&[("client_id", client), ("resource", &alpha)])).await;
        assert_eq!(error_of(&reply), (error.0, error.1.to_owned()), "{client}");
    }
    let proven = house.ask(device_ask(&[("resource", &alpha)]).field("Authorization", &basic)).await;
    let proven = Device::told(&proven);
    let page = typed(&house, &mut browser, &proven.user_code).await;
    assert!(page.contains("Approved by your administrator") && page.contains("Only go on if you started this yourself"), "{}", page.text());
    house.close(&[&device.code, SECRET]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dev_07_what_is_asked_is_as_exact_as_elsewhere() {
    let (_alpha, house) = office("").await;
    let alpha = house.resource("alpha");
    for resource in ["", &format!("{alpha}/"), &alpha.replace("/s/", "/k/"), "https://other.example/s/alpha/mcp", &alpha.to_uppercase()] {
        let reply = house.ask(device_ask(&[("client_id", CLI), ("resource", resource)])).await;
        assert_eq!(error_of(&reply), (400, "invalid_target".to_owned()), "{resource}");
    }
    let good = device_ask(&[("client_id", CLI), ("resource", &alpha)]);
    for (ask, status) in [
        (Ask { target: "/oauth/device?x=1".to_owned(), ..good.clone() }, 400),
        (Ask::new("GET", "/oauth/device"), 405),
        (good.clone().set("Content-Type", "application/json"), 415),
        (Ask { body: format!("client_id={CLI}&client_id={CLI}&resource={}", encoded(&alpha)).into_bytes(), ..good.clone() }, 400),
        (good.clone().field("Origin", "https://evil.example"), 403),
    ] {
        assert_eq!(house.ask(ask.clone()).await.status, status, "{ask:?}");
    }
    assert_eq!(house.recorded("event", "device_requested").len(), 0);
    house.close(&[]).await;
}
