//! Token exchange (RFC 8693): an agent acts for a person with a token of its own, for one that another client was given (TK-10).

use super::desk::{Browser, CALLBACK, Tokens, document, error_of, token_ask};
use super::house::{Directory, House, Key, server, within};
use super::speak::{modern, modern_call};
use super::wire::{Ask, Reply};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use doorward_core::id::{CredentialId, ServerName, UserId};
use doorward_core::secret::sha256;
use doorward_store::{Block, OnRecord};
use doorward_testkit::lax::Lax;
use doorward_testkit::lax::quirk::{Behaviour, Quirk};
use doorward_testkit::prover::Prover;
use serde_json::{Value, json};
use std::time::Duration;

const SECRET: &str = "correct-horse-battery-staple-0123";
const GRANT: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS: &str = "urn:ietf:params:oauth:token-type:access_token";

/// People allow `app`; `agent` may exchange what `app` and `nightly` have, `worker` what `agent` has, and `other` nothing of `app`.
async fn works() -> (Lax, House, Browser) {
    let alpha = Lax::start(Behaviour::plain().with(Quirk::Modern)).await.unwrap();
    let house = House::over(Directory::new(), &configured(&alpha, "", "\"app\", \"nightly\""), super::house::LAPTOP).await;
    house.approve().await;
    let mut browser = Browser::default();
    browser.sign_in(&house).await;
    (alpha, house, browser)
}

fn configured(alpha: &Lax, clients: &str, of_agent: &str) -> String {
    let exchanging = |id: &str, from: &str| {
        format!(
            "[[clients.static]]\nid = \"{id}\"\nauth = {{ kind = \"secret\", secret = \"plain:{SECRET}\" }}\nexchange_from = [{from}]\n"
        )
    };
    let fixed = format!(
        "[[clients.static]]\nid = \"app\"\nredirect_uris = [\"{CALLBACK}\"]\n{}scopes = [\"alpha:read\"]\n{}{}{}",
        exchanging("agent", of_agent),
        exchanging("worker", "\"agent\", \"worker\""),
        exchanging("other", "\"nightly\""),
        format_args!(
            "[[clients.static]]\nid = \"nightly\"\nauth = {{ kind = \"secret\", secret = \"plain:{SECRET}\" }}\nscopes = [\"alpha:read\"]\n"
        ),
    );
    format!("{clients}{}{}{fixed}", server("alpha", &alpha.url(), ""), server("beta", &alpha.url(), ""))
}

fn basic(id: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{id}:{SECRET}")))
}

async fn exchange(house: &House, client: &str, subject: &str, fields: &[(&str, &str)]) -> Reply {
    let mut all = vec![("grant_type", GRANT), ("subject_token", subject), ("subject_token_type", ACCESS)];
    all.retain(|(name, _)| !fields.iter().any(|(other, _)| other == name));
    all.extend(fields.iter().filter(|(_, value)| !value.is_empty()));
    house.ask(token_ask(&all).field("Authorization", &basic(client))).await
}

fn key_of(reply: &Reply) -> Key {
    assert_eq!(reply.status, 200, "{}", reply.text());
    let text = reply.json()["access_token"].as_str().expect("a token").to_owned();
    Key { text, id: CredentialId::new("any").expect("id"), user: UserId::new("local", "owner").expect("user"), path: "/s" }
}

async fn allowed(house: &House, browser: &mut Browser, scopes: &[&str]) -> Tokens {
    let code = house.code(browser, "app", "alpha", scopes).await;
    Tokens::of(&house.redeem("app", &code).await)
}

async fn lists(house: &House, key: &Key, server: &str) -> u16 {
    house.ask(modern(key, server, 1, "tools/list", json!({}))).await.status
}

async fn is_dead(house: &House, key: &Key) -> bool {
    within(Duration::from_secs(5), async || lists(house, key, "alpha").await == 401).await
}

/// A request of another endpoint for tokens.
fn ask_at(target: &str, fields: &[(&str, &str)]) -> Ask {
    Ask { target: target.to_owned(), ..token_ask(fields) }
}

fn last_event(house: &House) -> String {
    let last = house.records().into_iter().rfind(|record| record["kind"] == "event").unwrap_or_default();
    last["reason"].as_str().unwrap_or_default().to_owned()
}

fn unfit() -> (u16, String) {
    (400, "invalid_request".to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tk_10_an_agent_acts_for_a_person_and_the_record_names_everybody() {
    let (_alpha, house, mut browser) = works().await;
    let root = format!("http://{}", house.address);
    let metadata = document(&house, "/.well-known/oauth-authorization-server").await;
    assert!(metadata["grant_types_supported"].as_array().is_some_and(|all| all.iter().any(|grant| grant == GRANT)));
    let tokens = allowed(&house, &mut browser, &["alpha:read", "alpha:destructive"]).await;
    house.shift.by(600);

    let resource = format!("{root}/s/alpha/mcp");
    let reply =
        exchange(&house, "agent", &tokens.access, &[("scope", "alpha:read"), ("resource", &resource), ("audience", &resource)]).await;
    let json = reply.json();
    assert_eq!(json["issued_token_type"], ACCESS);
    assert_eq!(json["token_type"], "Bearer");
    assert_eq!(json["scope"], "alpha:read");
    let left = json["expires_in"].as_u64().expect("seconds");
    assert!((2_940..=3_000).contains(&left), "no longer than what it was exchanged for: {left}");
    assert!(json.get("refresh_token").is_none());
    let agent = key_of(&reply);
    assert_eq!(lists(&house, &agent, "alpha").await, 200);
    assert_eq!(lists(&house, &agent, "beta").await, 401, "one server");
    let pins = house.store.pins(&ServerName::new("alpha").expect("name")).await.expect("pins");
    let tool = pins.iter().find(|pin| pin.class.as_str() == "destructive").expect("a tool that changes things").tool.to_string();
    let called = house.ask(modern_call(&agent, "alpha", 2, &tool, json!({}))).await;
    assert_eq!(called.status, 403, "what was not asked for is not there");

    let worker = key_of(&exchange(&house, "worker", &agent.text, &[]).await);
    assert_eq!(lists(&house, &worker, "alpha").await, 200);
    let ask = ask_at("/oauth/introspect", &[("token", &worker.text)]).field("Authorization", &basic("worker"));
    let told = house.ask(ask).await.json();
    assert_eq!(told["client_id"], "worker");
    assert_eq!(told["act"], json!({"sub": "worker", "client_id": "worker", "act": {"sub": "agent", "client_id": "agent"}}));
    assert!(told.get("sub").is_none());

    let records = house.recorded("event", "token_exchanged");
    assert_eq!(records.iter().map(|record| record["client"].as_str().unwrap()).collect::<Vec<_>>(), ["agent", "worker"]);
    let cause = records[1]["cause"].as_str().expect("a cause");
    assert!(cause.starts_with("exc_") && cause.contains(" for exc_") && cause.ends_with(" of app, agent"), "{cause}");
    let calls: Vec<Value> =
        house.records().into_iter().filter(|record| record["client"] == "worker" && record["kind"] == "intent").collect();
    let last = calls.last().expect("a call");
    assert_eq!((&last["user"]["sub"], &last["via"]), (&json!("admin"), &json!(["app", "agent"])));
    house.close(&[&tokens.access, &agent.text, &worker.text]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tk_10_nothing_is_bought_with_what_is_no_good_or_not_for_this_client() {
    let (_alpha, house, mut browser) = works().await;
    let root = format!("http://{}", house.address);
    let tokens = allowed(&house, &mut browser, &["alpha:read"]).await;
    let access = tokens.access.as_str();
    let refused = async |client: &str, subject: &str, fields: &[(&str, &str)]| error_of(&exchange(&house, client, subject, fields).await);

    assert_eq!(refused("other", access, &[]).await, unfit(), "of another client than those that it is for");
    assert_eq!(last_event(&house), "exchange_not_allowed");
    let told = house.recorded("event", "exchange_refused");
    let cause = told[0]["cause"].as_str().expect("a cause");
    assert_eq!((&told[0]["user"]["sub"], &told[0]["client"]), (&json!("admin"), &json!("other")), "whose token it was that it showed");
    assert!(cause.ends_with("of app"), "{cause}");
    assert_eq!(refused("nightly", access, &[]).await, (400, "unauthorized_client".to_owned()));
    let anonymous = [("grant_type", GRANT), ("client_id", "app"), ("subject_token", access), ("subject_token_type", ACCESS)];
    assert_eq!(error_of(&house.token_request(&anonymous).await), (400, "unauthorized_client".to_owned()), "whoever proves nothing");
    let own = house.ask(token_ask(&[("grant_type", "client_credentials")]).field("Authorization", &basic("agent"))).await;
    let own = key_of(&own).text;
    assert_eq!(refused("agent", &own, &[]).await, unfit(), "its own is not of a client that it may exchange");
    assert_eq!(refused("agent", "eyJhbGciOiJub25lIn0.e30.", &[]).await, unfit());
    assert_eq!(refused("agent", &tokens.refresh, &[]).await, unfit());
    for kind in ["urn:ietf:params:oauth:token-type:jwt", "urn:ietf:params:oauth:token-type:refresh_token", "access_token"] {
        assert_eq!(refused("agent", access, &[("subject_token_type", kind)]).await, unfit(), "{kind}");
    }
    assert_eq!(refused("agent", access, &[("subject_token_type", "")]).await, unfit());
    assert_eq!(refused("agent", access, &[("requested_token_type", "urn:ietf:params:oauth:token-type:jwt")]).await, unfit());

    assert_eq!(refused("agent", access, &[("scope", "alpha:read alpha:write")]).await, (400, "invalid_scope".to_owned()));
    assert_eq!(refused("agent", access, &[("scope", "beta:read")]).await, (400, "invalid_scope".to_owned()));
    for other in [format!("{root}/s/beta/mcp"), format!("{root}/s/alpha/mcp/"), "https://elsewhere.example/".to_owned()] {
        assert_eq!(refused("agent", access, &[("resource", &other)]).await, (400, "invalid_target".to_owned()), "{other}");
        assert_eq!(refused("agent", access, &[("audience", &other)]).await, (400, "invalid_target".to_owned()), "{other}");
    }
    let here = format!("{root}/s/alpha/mcp");
    let both = [("resource", here.as_str()), ("audience", "https://elsewhere.example/")];
    assert_eq!(refused("agent", access, &both).await, (400, "invalid_target".to_owned()));

    let actor = |token: &'static str| [("actor_token", token), ("actor_token_type", ACCESS)];
    assert_eq!(refused("agent", access, &actor(access.to_owned().leak())).await, unfit(), "somebody else's is no actor");
    assert_eq!(last_event(&house), "other_actor");
    assert_eq!(refused("agent", access, &[("actor_token", &own)]).await, unfit(), "without its type");
    assert_eq!(exchange(&house, "agent", access, &actor(own.clone().leak())).await.status, 200, "its own is");

    house.shift.by(3_601);
    assert_eq!(refused("agent", access, &[]).await, unfit());
    assert_eq!(last_event(&house), "expired_credential");
    house.close(&[access, &own]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tk_10_a_chain_has_an_end() {
    let (_alpha, house, mut browser) = works().await;
    let tokens = allowed(&house, &mut browser, &["alpha:read"]).await;
    let mut last = key_of(&exchange(&house, "agent", &tokens.access, &[]).await).text;
    for _ in 0..3 {
        last = key_of(&exchange(&house, "worker", &last, &[]).await).text;
    }
    assert_eq!(error_of(&exchange(&house, "worker", &last, &[]).await), unfit());
    assert_eq!(last_event(&house), "too_many_actors");
    house.close(&[&last]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tk_10_what_was_exchanged_ends_with_what_it_came_from() {
    let (_alpha, house, mut browser) = works().await;
    // By the client that gives its token back, by the one in the middle, and by the end of the consent.
    for ending in ["access", "middle", "refresh"] {
        let tokens = allowed(&house, &mut browser, &["alpha:read"]).await;
        let agent = key_of(&exchange(&house, "agent", &tokens.access, &[]).await);
        let worker = key_of(&exchange(&house, "worker", &agent.text, &[]).await);
        assert_eq!(lists(&house, &worker, "alpha").await, 200);
        match ending {
            "access" => {
                assert_eq!(house.ask(ask_at("/oauth/revoke", &[("client_id", "app"), ("token", &tokens.access)])).await.status, 200)
            }
            "refresh" => {
                assert_eq!(house.ask(ask_at("/oauth/revoke", &[("client_id", "app"), ("token", &tokens.refresh)])).await.status, 200)
            }
            _ => {
                let ask = ask_at("/oauth/revoke", &[("token", &agent.text)]).field("Authorization", &basic("agent"));
                assert_eq!(house.ask(ask).await.status, 200);
            }
        }
        assert!(is_dead(&house, &worker).await, "{ending}");
        assert!(is_dead(&house, &agent).await, "{ending}");
        assert_eq!(error_of(&exchange(&house, "worker", &agent.text, &[]).await), unfit(), "{ending}");
    }
    house.close(&[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tk_10_whoever_is_blocked_passes_nothing_on() {
    let (_alpha, house, mut browser) = works().await;
    let tokens = allowed(&house, &mut browser, &["alpha:read"]).await;
    let agent = key_of(&exchange(&house, "agent", &tokens.access, &[]).await);
    let worker = key_of(&exchange(&house, "worker", &agent.text, &[]).await);
    assert_eq!(lists(&house, &worker, "alpha").await, 200);
    for blocked in ["app", "agent"] {
        let digest = sha256(blocked.as_bytes());
        let block = Block { digest, client: None, reason: None, since: house.env.now() };
        assert!(house.store.block_client(&block, OnRecord::Later).await.expect("blocked"));
        assert!(is_dead(&house, &worker).await, "{blocked}");
        assert_ne!(exchange(&house, "worker", &agent.text, &[]).await.status, 200, "{blocked}");
        let ask = ask_at("/oauth/introspect", &[("token", &worker.text)]).field("Authorization", &basic("worker"));
        assert_eq!(house.ask(ask).await.json(), json!({"active": false}), "{blocked}");
        assert!(house.store.unblock_client(&digest, OnRecord::Later, house.env.now()).await.expect("let in"));
        assert!(within(Duration::from_secs(8), async || lists(&house, &worker, "alpha").await == 200).await, "{blocked}");
    }
    house.close(&[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tk_10_a_bound_token_is_of_no_use_without_its_key_and_a_new_one_may_be_bound() {
    let (_alpha, house, mut browser) = works().await;
    let prover = Prover::new().expect("a key");
    let tokens = allowed(&house, &mut browser, &["alpha:read"]).await;
    let fields = [("grant_type", GRANT), ("subject_token", tokens.access.as_str()), ("subject_token_type", ACCESS)];
    let proof = |nonce: &str| {
        let second = house.env.now().as_millis() / 1_000;
        let mut claims = prover.claims("POST", &format!("http://{}/oauth/token", house.address), second);
        claims["nonce"] = json!(nonce);
        prover.sign(&prover.header(), &claims)
    };
    let ask = |proof: &str| token_ask(&fields).field("Authorization", &basic("agent")).field("DPoP", proof);
    let first = house.ask(ask(&proof(""))).await;
    assert_eq!(error_of(&first), (400, "use_dpop_nonce".to_owned()));
    let proof = proof(first.field("dpop-nonce").expect("a nonce"));
    let reply = house.ask(ask(&proof)).await;
    assert_eq!(reply.json()["token_type"], "DPoP");
    let bound = key_of(&reply);
    assert_eq!(lists(&house, &bound, "alpha").await, 401, "without the key");
    assert_eq!(error_of(&house.ask(ask(&proof)).await), (400, "invalid_dpop_proof".to_owned()), "a proof counts once");
    assert_eq!(error_of(&exchange(&house, "worker", &bound.text, &[]).await), unfit());
    assert_eq!(last_event(&house), "bound_token_as_bearer");
    house.close(&[&bound.text]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tk_10_a_machine_that_is_disabled_acts_for_nobody() {
    let (_alpha, house, mut browser) = works().await;
    let tokens = allowed(&house, &mut browser, &["alpha:read"]).await;
    let own = house.ask(token_ask(&[("grant_type", "client_credentials")]).field("Authorization", &basic("agent"))).await;
    let own = key_of(&own);
    let agent = key_of(&exchange(&house, "agent", &tokens.access, &[]).await);
    assert_eq!(lists(&house, &agent, "alpha").await, 200);
    let machine = UserId::new("client", "agent").expect("user");
    house.store.disable_user(&machine, house.env.now()).await.expect("disabled");
    assert!(is_dead(&house, &own).await && is_dead(&house, &agent).await);
    assert_eq!(error_of(&exchange(&house, "agent", &tokens.access, &[]).await), unfit());
    assert_eq!(lists(&house, &tokens.key(), "alpha").await, 200, "the application goes on");
    house.close(&[&tokens.access, &agent.text]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tk_10_what_the_configuration_takes_back_is_gone() {
    let (alpha, house, mut browser) = works().await;
    let tokens = allowed(&house, &mut browser, &["alpha:read"]).await;
    let agent = key_of(&exchange(&house, "agent", &tokens.access, &[]).await);
    let worker = key_of(&exchange(&house, "worker", &agent.text, &[]).await);
    let mut house = house;
    let all = "\"app\", \"nightly\"";
    for (clients, of_agent, status) in [
        ("", all, 200),
        ("", "\"nightly\"", 401),
        ("[clients]\nrequire_dpop = [\"app\"]\n", all, 401),
        ("[clients]\nblock = [\"app\"]\n", all, 401),
        ("", all, 200),
    ] {
        house.gateway.stop().await;
        house.store.close().await;
        let state = house.state.taken_over();
        house = House::over(state, &configured(&alpha, clients, of_agent), super::house::LAPTOP).await;
        assert_eq!(lists(&house, &agent, "alpha").await, status, "{clients} {of_agent}");
        assert_eq!(lists(&house, &worker, "alpha").await, status, "the end of the chain: {clients} {of_agent}");
        assert_eq!(exchange(&house, "worker", &agent.text, &[]).await.status == 200, status == 200, "{clients} {of_agent}");
        if clients.contains("require_dpop") {
            assert_eq!(error_of(&exchange(&house, "agent", &tokens.access, &[]).await), unfit(), "bearer, where it has to be bound");
        }
    }
    house.close(&[&agent.text, &worker.text]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tk_10_a_server_is_there_for_every_hand_that_a_token_went_through() {
    let (alpha, house, mut browser) = works().await;
    let tokens = allowed(&house, &mut browser, &["alpha:read"]).await;
    let agent = key_of(&exchange(&house, "agent", &tokens.access, &[]).await);
    let worker = key_of(&exchange(&house, "worker", &agent.text, &[]).await);
    let mut house = house;
    let labels = "[clients.agents]\napp = \"desk\"\nagent = \"etl\"\nworker = \"etl\"\n";
    // Who sees it; whether the application does with its token, the agent with what it got for that, and the worker with what it got for that.
    for (visible_to, seen) in [
        (r#""client:app", "client:agent", "client:worker""#, [true, true, true]),
        (r#""client:app", "client:agent""#, [true, true, false]),
        (r#""client:agent", "client:worker""#, [false, false, false]),
        (r#""client:app", "client:worker""#, [true, false, false]),
        (r#""agent:desk""#, [true, false, false]),
        (r#""agent:etl""#, [false, false, false]),
        (r#""agent:desk", "agent:etl""#, [true, true, true]),
    ] {
        house.gateway.stop().await;
        house.store.close().await;
        let toml =
            configured(&alpha, labels, "\"app\"").replacen("[server.alpha]", &format!("[server.alpha]\nvisible_to = [{visible_to}]"), 1);
        house = House::over(house.state.taken_over(), &toml, super::house::LAPTOP).await;
        for (number, (key, is_there)) in [tokens.key(), agent.clone(), worker.clone()].iter().zip(seen).enumerate() {
            assert_eq!(lists(&house, key, "alpha").await, if is_there { 200 } else { 404 }, "{visible_to}: {number}");
        }
    }
    house.close(&[&tokens.access, &agent.text, &worker.text]).await;
}
