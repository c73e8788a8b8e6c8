//! RS-11, SES-06: what an administrator does by the command line while the gateway serves: a client that is blocked is out with everything
//! that it was given, a session that is ended takes its streams with it, and both are on the record.

use super::desk::{Browser, CALLBACK, Form, Tokens, error_of, token_ask};
use super::house::{House, server, within};
use super::speak::{legacy, listen, modern};
use super::wire::Ask;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use doorward_core::id::{ClientId, CredentialId, UserId};
use doorward_core::oauth::device::GRANT_TYPE;
use doorward_core::secret::sha256;
use doorward_store::{Block, Ended, Ending, OnRecord};
use doorward_testkit::fixture::Era;
use doorward_testkit::fixture::door::Running;
use doorward_testkit::lax::Lax;
use doorward_testkit::lax::quirk::{Behaviour, Quirk};
use serde_json::json;
use std::time::Duration;

const BOUND: Duration = Duration::from_secs(5);
const SECRET: &str = "correct-horse-battery-staple-0123";
const CLI: &str = "doorward-cli";

async fn block(house: &House, id: &str, named: bool) {
    let client = named.then(|| ClientId::new(id).unwrap());
    let reason = Some("it phishes".to_owned());
    let new = Block { digest: sha256(id.as_bytes()), client, reason, since: house.env.now() };
    assert!(house.store.block_client(&new, OnRecord::Later).await.unwrap());
}

async fn lists(house: &House, tokens: &Tokens) -> u16 {
    house.ask(modern(&tokens.key(), "alpha", 1, "tools/list", json!({}))).await.status
}

fn invalid_client() -> (u16, String) {
    (401, "invalid_client".to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rs_11_a_blocked_client_is_out_in_time_with_all_it_was_given_and_comes_back() {
    let fixture = Running::start(Era::Dual, 0).await.unwrap();
    let house = House::open(&server("alpha", &fixture.url(), "")).await;
    house.approve().await;
    let mut browser = Browser::default();
    browser.sign_in(&house).await;
    let (bad, good) = (house.register("Bad", &[CALLBACK]).await, house.register("Good", &[CALLBACK]).await);
    let honest = house.connected(&mut browser, &good, "alpha", &["alpha:read"]).await;
    let code = house.code(&mut browser, &bad, "alpha", &["alpha:read"]).await;
    let tokens = house.connected(&mut browser, &bad, "alpha", &["alpha:read"]).await;
    let page = browser.open(&house, &house.authorize(&bad, "alpha", &[])).await;
    assert_eq!(page.status, 200, "the question is open");
    let key = tokens.key();
    let session = house.session(&key, "alpha").await;
    let mut get = house.flow(listen(&key, "alpha", &session)).await;
    let heard = json!({ "notifications": { "toolsListChanged": true } });
    let mut subscription = house.flow(modern(&key, "alpha", 3, "subscriptions/listen", heard)).await;
    assert_eq!((get.status, subscription.status, lists(&house, &tokens).await), (200, 200, 200));

    block(&house, &bad, true).await;
    // What is given is judged at once, whichever replica is asked.
    assert_eq!(error_of(&house.refresh(&bad, &tokens.refresh).await), invalid_client());
    assert_eq!(error_of(&house.redeem(&bad, &code).await), invalid_client());
    assert!(house.recorded("event", "client_blocked").len() >= 2, "the record has the reason, the client does not");
    let form = Form::of(&page).with("decision", "allow").with("duration", "8h").with("grant", "alpha:read");
    house.read_the_page();
    let refused = browser.submit(&house, &form).await;
    assert!(refused.status == 403 && refused.contains("may not ask here"), "{}", refused.text());
    let refused = browser.open(&house, &house.authorize(&bad, "alpha", &[])).await;
    assert_eq!(refused.status, 403, "{}", refused.text());
    assert!(within(BOUND, async || lists(&house, &tokens).await == 401).await);
    assert_eq!(house.last_reason(), "client_blocked");
    for (flow, what) in [(&mut get, "get"), (&mut subscription, "subscription")] {
        tokio::time::timeout(BOUND, flow.rest()).await.unwrap_or_else(|_| panic!("{what} goes on"));
    }
    let ended = || house.records().into_iter().filter(|record| record["kind"] == "closed" && record["reason"] == "client_blocked").count();
    assert!(within(BOUND, async || ended() == 2).await);
    assert_eq!(house.ask(listen(&key, "alpha", &session)).await.status, 401, "no way back");
    assert!(within(BOUND, async || house.recorded("event", "client_block_set").len() == 1).await, "and who reads the record knows why");
    let noted = house.recorded("event", "client_block_set")[0].clone();
    assert!(noted.to_string().contains("it phishes"), "{noted}");
    assert_eq!(lists(&house, &honest).await, 200, "another client of the same person goes on");
    assert_eq!(error_of(&house.redeem("dwc_nobody", &code).await), invalid_client(), "the client is told no more than whoever is nobody");

    let digest = sha256(bad.as_bytes());
    assert!(house.store.unblock_client(&digest, OnRecord::Later, house.env.now()).await.unwrap());
    assert!(within(BOUND, async || lists(&house, &tokens).await == 200).await, "nothing was taken from it");
    assert_eq!(house.ask(legacy(&key, "alpha", &session, 4, "tools/list", json!({}))).await.status, 200, "nor its session");
    Tokens::of(&house.refresh(&bad, &tokens.refresh).await);
    assert!(within(BOUND, async || house.recorded("event", "client_block_lifted").len() == 1).await);
    house.close(&[&tokens.access, &tokens.refresh, &session]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rs_11_clients_without_consents_and_programs_without_a_browser_are_blocked_by_a_digest_too() {
    let alpha = Lax::start(Behaviour::plain().with(Quirk::Modern)).await.unwrap();
    let client = format!(
        "[[clients.static]]\nid = \"nightly\"\nauth = {{ kind = \"secret\", secret = \"plain:{SECRET}\" }}\nscopes = [\"alpha:read\"]\n"
    );
    let house = House::open(&format!("{}{client}", server("alpha", &alpha.url(), ""))).await;
    house.approve().await;
    let basic = format!("Basic {}", STANDARD.encode(format!("nightly:{SECRET}")));
    let own = || token_ask(&[("grant_type", "client_credentials")]).field("Authorization", &basic);
    let issued = house.ask(own()).await;
    assert_eq!(issued.status, 200, "{}", issued.text());
    let text = issued.json()["access_token"].as_str().unwrap().to_owned();
    let user = UserId::new("client", "nightly").unwrap();
    let key = super::house::Key { text, id: CredentialId::new("own").unwrap(), user, path: "/s" };
    let call = || modern(&key, "alpha", 1, "tools/list", json!({}));
    assert_eq!(house.ask(call()).await.status, 200);
    let resource = house.resource("alpha");
    let device = || Ask { target: "/oauth/device".to_owned(), ..token_ask(&[("client_id", CLI), ("resource", &resource)]) };
    let asked = house.ask(device()).await;
    assert_eq!(asked.status, 200, "{}", asked.text());
    let device_code = asked.json()["device_code"].as_str().unwrap().to_owned();
    for id in ["nightly", CLI] {
        block(&house, id, false).await;
    }
    assert_eq!(error_of(&house.ask(own()).await), invalid_client());
    assert_eq!(error_of(&house.ask(device()).await), invalid_client());
    house.shift.by(5);
    let poll = [("grant_type", GRANT_TYPE), ("client_id", CLI), ("device_code", device_code.as_str())];
    assert_eq!(error_of(&house.token_request(&poll).await), invalid_client(), "not even how its request stands");
    assert!(within(BOUND, async || house.ask(call()).await.status == 401).await);
    assert_eq!(house.last_reason(), "client_blocked");
    let token = [("token", key.text.as_str())];
    let told = Ask { target: "/oauth/introspect".to_owned(), ..token_ask(&token).field("Authorization", &basic) };
    assert_eq!(error_of(&house.ask(told).await), invalid_client());
    house.close(&[&key.text, &device_code]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rs_11_a_static_key_is_no_client_and_goes_on() {
    let alpha = Lax::start(Behaviour::plain().with(Quirk::Modern)).await.unwrap();
    let house = House::open(&server("alpha", &alpha.url(), "")).await;
    house.approve().await;
    let key = house.full("alice").await;
    block(&house, &format!("key:{}", key.id), true).await;
    house.heard_of(house.store.epoch().await.unwrap()).await;
    assert_eq!(house.ask(modern(&key, "alpha", 1, "tools/list", json!({}))).await.status, 200, "keys are revoked");
    house.close(&[&key.text]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ses_06_a_session_that_an_administrator_ends_takes_its_streams_with_it() {
    let lax = Lax::start(Behaviour::plain().with(Quirk::Modern)).await.unwrap();
    let house = House::open(&server("alpha", &lax.url(), "")).await;
    house.approve().await;
    let (alice, bob) = (house.full("alice").await, house.full("bob").await);
    let (first, second) = (house.session(&alice, "alpha").await, house.session(&alice, "alpha").await);
    let bobs = house.session(&bob, "alpha").await;
    let mut streams = Vec::new();
    for (key, session) in [(&alice, &first), (&alice, &second), (&bob, &bobs)] {
        let flow = house.flow(listen(key, "alpha", session)).await;
        assert_eq!(flow.status, 200);
        streams.push(flow);
    }
    let ping = async |key, session: &str| house.ask(legacy(key, "alpha", session, 7, "ping", json!({}))).await.status;
    let digest = sha256(first.as_bytes());
    let ended = house.store.end_from_outside(Ending::Session(&digest), OnRecord::Later, house.env.now()).await.unwrap();
    assert_eq!(ended, Ended { sessions: 1, browsers: 0 });
    tokio::time::timeout(BOUND, streams[0].rest()).await.expect("its stream ends");
    assert_eq!(ping(&alice, &first).await, 404);
    assert_eq!((ping(&alice, &second).await, ping(&bob, &bobs).await), (200, 200), "the others go on");
    let closed = || house.records().into_iter().filter(|record| record["kind"] == "closed").count();
    assert!(within(BOUND, async || closed() == 1).await);
    let closing = house.records().into_iter().find(|record| record["kind"] == "closed").unwrap();
    assert_eq!((closing["reason"].as_str(), closing["class"].as_str()), (Some("session_ended"), Some("refused")));
    house.store.end_from_outside(Ending::Of(&alice.user), OnRecord::Later, house.env.now()).await.unwrap();
    tokio::time::timeout(BOUND, streams[1].rest()).await.expect("and so does the other");
    assert_eq!((ping(&alice, &second).await, ping(&bob, &bobs).await), (404, 200));
    assert!(within(BOUND, async || house.recorded("event", "sessions_ended").len() == 2).await);
    let text = std::fs::read_to_string(house.state.path().join("audit.jsonl")).unwrap();
    assert!(!text.contains(&first) && !text.contains(&second));
    house.close(&[&alice.text, &first, &second, &bobs]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_deeds_than_are_read_at_once_are_all_recorded_at_once() {
    let lax = Lax::start(Behaviour::plain()).await.unwrap();
    let house = House::open(&server("alpha", &lax.url(), "")).await;
    for number in 0..150 {
        block(&house, &format!("https://app.test/{number}.json"), true).await;
    }
    let recorded = || house.recorded("event", "client_block_set").len();
    assert!(within(BOUND, async || recorded() == 150).await, "{}", recorded());
    house.close(&[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ses_06_a_browser_that_an_administrator_signs_out_is_signed_out() {
    let lax = Lax::start(Behaviour::plain().with(Quirk::Modern)).await.unwrap();
    let house = House::open(&server("alpha", &lax.url(), "")).await;
    let mut browser = Browser::default();
    browser.sign_in(&house).await;
    assert!(browser.open(&house, "/me").await.contains("Signed-in browsers"));
    let listed = house.store.list_browsers(None, house.env.now()).await.unwrap();
    let ended = house.store.end_from_outside(Ending::Browser(&listed[0].id), OnRecord::Later, house.env.now()).await.unwrap();
    assert_eq!(ended, Ended { sessions: 0, browsers: 1 });
    assert!(!browser.open(&house, "/me").await.contains("Signed-in browsers"), "nobody is signed in");
    assert!(house.store.list_browsers(None, house.env.now()).await.unwrap().is_empty());
    house.close(&[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_done_while_no_gateway_ran_is_recorded_by_the_next() {
    let lax = Lax::start(Behaviour::plain().with(Quirk::Modern)).await.unwrap();
    let toml = server("alpha", &lax.url(), "");
    let house = House::open(&toml).await;
    house.gateway.stop().await;
    block(&house, "https://app.test/c.json", true).await;
    house.store.close().await;
    let state = house.state.taken_over();
    let next = House::over(state, &toml, super::house::LAPTOP).await;
    assert!(within(BOUND, async || next.recorded("event", "client_block_set").len() == 1).await);
    assert!(within(BOUND, async || next.store.deeds().await.unwrap().is_empty()).await, "once");
    next.close(&[]).await;
}
