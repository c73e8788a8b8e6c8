//! Clients that act for themselves and prove who they are: secrets, signed assertions, introspection (REG-04, TK-09, TK-11).

use super::desk::{Browser, CALLBACK, document, error_of, token_ask};
use super::house::{Directory, House, Key, server, within};
use super::speak::{legacy, modern, modern_call};
use super::wire::{Ask, Reply};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use doorward_core::id::{CredentialId, ServerName, UserId};
use doorward_core::oauth::form::encoded;
use doorward_testkit::lax::Lax;
use doorward_testkit::lax::quirk::{Behaviour, Quirk};
use doorward_testkit::provider::Signature;
use doorward_testkit::provider::sign::Signer;
use serde_json::{Value, json};
use std::time::Duration;

const SECRET: &str = "correct-horse-battery-staple-0123";
const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// A house with two servers and the clients of this file: `nightly` has a secret and may read and write alpha, `signer` signs and may
/// read both, `portal` has a secret and acts for people alone.
async fn works() -> (Lax, House, Signer) {
    let alpha = Lax::start(Behaviour::plain().with(Quirk::Modern)).await.unwrap();
    let (state, signer) = (Directory::new(), Signer::new("one").expect("a key"));
    std::fs::write(state.path().join("signer.jwks"), json!({"keys": [signer.jwk()]}).to_string()).expect("written");
    let clients = format!(
        r#"
        [[clients.static]]
        id = "nightly"
        auth = {{ kind = "secret", secret = "plain:{SECRET}" }}
        scopes = ["alpha:read", "alpha:destructive"]
        [[clients.static]]
        id = "signer"
        auth = {{ kind = "private_key_jwt", jwks = "signer.jwks" }}
        scopes = ["alpha:read", "beta:read"]
        redirect_uris = ["{CALLBACK}"]
        [[clients.static]]
        id = "portal"
        auth = {{ kind = "secret", secret = "plain:{SECRET}", method = "post" }}
        redirect_uris = ["{CALLBACK}"]
        "#
    );
    let toml = format!("{}{}{clients}", server("alpha", &alpha.url(), ""), server("beta", &alpha.url(), ""));
    let house = House::over(state, &toml, super::house::LAPTOP).await;
    house.approve().await;
    (alpha, house, signer)
}

fn basic(id: &str, secret: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{}:{}", encoded(id), encoded(secret))))
}

async fn as_nightly(house: &House, fields: &[(&str, &str)]) -> Reply {
    let mut all = vec![("grant_type", "client_credentials")];
    all.extend(fields);
    house.ask(token_ask(&all).field("Authorization", &basic("nightly", SECRET))).await
}

/// What an assertion of `signer` claims now.
fn claims(house: &House, jti: &str) -> Value {
    let now = house.env.now().as_millis() / 1_000;
    let issuer = format!("http://{}", house.address);
    json!({"iss": "signer", "sub": "signer", "aud": issuer, "iat": now, "exp": now + 60, "jti": jti})
}

async fn asserting(house: &House, assertion: &str, fields: &[(&str, &str)]) -> Reply {
    let mut all = vec![("grant_type", "client_credentials"), ("client_assertion_type", TYPE), ("client_assertion", assertion)];
    all.extend(fields);
    house.token_request(&all).await
}

fn own_key(reply: &Reply, client: &str) -> Key {
    assert_eq!(reply.status, 200, "{}", reply.text());
    let json = reply.json();
    assert!(json.get("refresh_token").is_none(), "a machine has its secret");
    let text = json["access_token"].as_str().expect("a token").to_owned();
    Key { text, id: CredentialId::new("own").expect("id"), user: UserId::new("client", client).expect("user"), path: "/s" }
}

async fn lists(house: &House, key: &Key, server: &str) -> u16 {
    house.ask(modern(key, server, 1, "tools/list", json!({}))).await.status
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tk_11_a_client_acts_for_itself_with_what_the_configuration_gives_it() {
    let (alpha, house, _) = works().await;
    let reply = as_nightly(&house, &[]).await;
    assert_eq!(reply.json()["scope"], "alpha:destructive alpha:read", "one server: it need not be named");
    assert_eq!(reply.json()["expires_in"], 3_600);
    let key = own_key(&reply, "nightly");
    let called = house.ask(modern_call(&key, "alpha", 1, "echo", json!({"text": "by night"}))).await;
    assert_eq!(called.status, 200, "{}", called.text());
    assert_eq!(lists(&house, &key, "beta").await, 401, "one audience");
    let records = house.records();
    let intent = records.iter().rfind(|record| record["kind"] == "intent").expect("an intent");
    assert_eq!(intent["user"], json!({"iss": "client", "sub": "nightly"}), "its own kind of user: {intent}");
    assert_eq!(house.recorded("event", "own_token_issued").len(), 1);
    let narrow = own_key(&as_nightly(&house, &[("scope", "alpha:read")]).await, "nightly");
    let pins = house.store.pins(&ServerName::new("alpha").expect("name")).await.expect("pins");
    let tool = pins.iter().find(|pin| pin.class.as_str() == "destructive").expect("a tool that can delete").tool.to_string();
    let refused = house.ask(modern_call(&narrow, "alpha", 1, &tool, json!({}))).await;
    assert_eq!(refused.status, 403, "{}", refused.text());
    assert_eq!(alpha.seen_method("tools/call").len(), 1);
    house.close(&[SECRET, &key.text, &narrow.text]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tk_11_nobody_else_gets_anything_without_a_person() {
    let (_alpha, house, signer) = works().await;
    let public = house.register("Public", &[CALLBACK]).await;
    let body = json!({"client_name": "Confidential", "redirect_uris": [CALLBACK]});
    let registered = house.ask(Ask::post("/oauth/register", body.to_string())).await.json();
    let (own, secret) = (registered["client_id"].as_str().expect("id"), registered["client_secret"].as_str().expect("secret"));
    let grant = ("grant_type", "client_credentials");
    let unauthorized = (400, "unauthorized_client".to_owned());
    assert_eq!(error_of(&house.token_request(&[grant, ("client_id", &public)]).await), unauthorized);
    assert_eq!(error_of(&house.ask(token_ask(&[grant]).field("Authorization", &basic(own, secret))).await), unauthorized);
    let portal = [grant, ("client_id", "portal"), ("client_secret", SECRET)];
    assert_eq!(error_of(&house.token_request(&portal).await), unauthorized, "for people alone");
    for (attack, fields, wanted) in [
        ("more than it has", vec![("scope", "alpha:read alpha:write")], "invalid_scope"),
        ("another server's", vec![("scope", "beta:read")], "invalid_scope"),
        ("words of nobody", vec![("scope", "everything")], "invalid_scope"),
        ("a misspelt one beside a right one", vec![("scope", "alpha:read alpha:reed")], "invalid_scope"),
        ("nothing it has there", vec![("resource", "beta")], "invalid_target"),
        ("another server's, named", vec![("resource", "beta"), ("scope", "beta:read")], "invalid_scope"),
        ("an address of somebody else", vec![("resource", "https://evil.test/s/alpha/mcp")], "invalid_target"),
    ] {
        let beta = house.resource("beta");
        let fields: Vec<(&str, &str)> =
            fields.into_iter().map(|(name, value)| if value == "beta" { (name, beta.as_str()) } else { (name, value) }).collect();
        let reply = as_nightly(&house, &fields).await;
        assert_eq!(error_of(&reply), (400, wanted.to_owned()), "{attack}: {}", reply.text());
    }
    // With access to several servers it has to say which.
    let assertion = signer.sign(Signature::Right, &claims(&house, "a"));
    let reply = asserting(&house, &assertion, &[]).await;
    assert_eq!(error_of(&reply), (400, "invalid_target".to_owned()), "{}", reply.text());
    house.close(&[SECRET]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tk_11_an_administrator_stops_a_machine_at_once() {
    let (alpha, house, _) = works().await;
    let key = own_key(&as_nightly(&house, &[]).await, "nightly");
    assert_eq!(lists(&house, &key, "alpha").await, 200);
    house.store.disable_user(&UserId::new("client", "nightly").expect("user"), house.env.now()).await.expect("disabled");
    assert!(within(Duration::from_secs(5), async || lists(&house, &key, "alpha").await != 200).await);
    assert_eq!(error_of(&as_nightly(&house, &[]).await), (400, "invalid_grant".to_owned()));
    // A configuration that gives less takes what it gave, from the next start on: a token carries no more than that.
    let nightly = |scopes: &str| {
        let auth = format!("auth = {{ kind = \"secret\", secret = \"plain:{SECRET}\" }}");
        format!("{}[[clients.static]]\nid = \"nightly\"\n{auth}\nscopes = {scopes}\n", server("alpha", &alpha.url(), ""))
    };
    let mut state = house.state.taken_over();
    house.close(&[]).await;
    for (scopes, status) in [(r#"["alpha:read", "alpha:destructive"]"#, 200), (r#"["alpha:read"]"#, 401), (r#"["alpha:destructive"]"#, 401)]
    {
        let house = House::over(state, &nightly(scopes), super::house::LAPTOP).await;
        house.store.enable_user(&UserId::new("client", "nightly").expect("user"), house.env.now()).await.expect("enabled");
        assert_eq!(lists(&house, &key, "alpha").await, status, "{scopes}");
        state = house.state.taken_over();
        house.close(&[SECRET, &key.text]).await;
    }
    let house = House::over(state, &server("alpha", &alpha.url(), ""), super::house::LAPTOP).await;
    assert_eq!(lists(&house, &key, "alpha").await, 401, "the client is not there any more");
    house.close(&[SECRET, &key.text]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reg_04_an_assertion_shows_its_client_once_for_us_and_for_minutes() {
    let (_alpha, house, signer) = works().await;
    let resource = house.resource("alpha");
    let fields = [("resource", resource.as_str())];
    let good = signer.sign(Signature::Right, &claims(&house, "first"));
    let key = own_key(&asserting(&house, &good, &fields).await, "signer");
    assert_eq!(lists(&house, &key, "alpha").await, 200);
    let invalid = (401, "invalid_client".to_owned());
    assert_eq!(error_of(&asserting(&house, &good, &fields).await), invalid, "a second time");
    assert_eq!(house.recorded("event", "replayed_assertion").len(), 1);
    let endpoint = format!("http://{}/oauth/token", house.address);
    let mut older = claims(&house, "second");
    older["aud"] = json!([endpoint]);
    own_key(&asserting(&house, &signer.sign(Signature::Right, &older), &fields).await, "signer");
    let last_reason = || house.records().last().expect("a record")["reason"].as_str().unwrap_or_default().to_owned();
    for (how, reason) in [
        (Signature::None, "assertion_algorithm"),
        (Signature::PublicKeyAsSecret, "assertion_algorithm"),
        (Signature::ForeignKey, "assertion_signature"),
        (Signature::ForeignId, "assertion_key"),
        (Signature::OwnKey, "assertion_signature"),
    ] {
        let reply = asserting(&house, &signer.sign(how, &claims(&house, &format!("{how:?}"))), &fields).await;
        assert_eq!(error_of(&reply), invalid, "{how:?}: {}", reply.text());
        assert_eq!(last_reason(), reason, "{how:?}");
    }
    let now = house.env.now().as_millis() / 1_000;
    let issuer = format!("http://{}", house.address);
    for (attack, name, value, reason) in [
        ("of another client", "iss", json!("nightly"), "assertion_client"),
        ("about another client", "sub", json!("nightly"), "other_authentication"),
        ("for somebody else", "aud", json!("https://evil.test"), "assertion_audience"),
        ("for us and somebody else", "aud", json!([issuer, "https://evil.test"]), "assertion_audience"),
        ("for us with a slash", "aud", json!(format!("{issuer}/")), "assertion_audience"),
        ("for nobody", "aud", Value::Null, "assertion_audience"),
        ("that has ended", "exp", json!(now - 31), "assertion_expired"),
        ("for a day", "exp", json!(now + 86_400), "assertion_too_long"),
        ("without end", "exp", Value::Null, "assertion_times"),
        ("with an end that is a text", "exp", json!((now + 60).to_string()), "assertion_times"),
        ("of the future", "iat", json!(now + 120), "assertion_early"),
        ("that counts later", "nbf", json!(now + 120), "assertion_early"),
        ("without a name", "jti", Value::Null, "assertion_id"),
        ("with an empty name", "jti", json!(""), "assertion_id"),
        ("with a name too long", "jti", json!("j".repeat(256)), "assertion_id"),
    ] {
        let mut claims = claims(&house, attack);
        if value.is_null() {
            claims.as_object_mut().expect("claims").remove(name);
        } else {
            claims[name] = value;
        }
        let reply = asserting(&house, &signer.sign(Signature::Right, &claims), &fields).await;
        assert_eq!(error_of(&reply), invalid, "{attack}: {}", reply.text());
        assert_eq!(last_reason(), reason, "{attack}");
    }
    house.close(&[SECRET, &good, &key.text]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reg_04_the_registered_way_is_the_only_one_and_two_ways_are_none() {
    let (_alpha, house, signer) = works().await;
    let invalid = (401, "invalid_client".to_owned());
    let malformed = (400, "invalid_request".to_owned());
    let grant = ("grant_type", "client_credentials");
    let next = |jti: &str| signer.sign(Signature::Right, &claims(&house, jti));
    let posted = [grant, ("client_id", "nightly"), ("client_secret", SECRET)];
    assert_eq!(error_of(&house.token_request(&posted).await), invalid, "a secret in the body of one that sends it in a header");
    assert_eq!(error_of(&house.token_request(&[grant, ("client_id", "nightly")]).await), invalid, "nothing");
    assert_eq!(error_of(&house.token_request(&[grant, ("client_id", "signer")]).await), invalid, "nothing of one that signs");
    let secret = [grant, ("client_id", "signer"), ("client_secret", SECRET)];
    assert_eq!(error_of(&house.token_request(&secret).await), invalid, "a secret of one that signs");
    let both = house.ask(token_ask(&posted).field("Authorization", &basic("nightly", SECRET))).await;
    assert_eq!(error_of(&both), malformed);
    let (assertion, kind) = (next("x"), ("client_assertion_type", TYPE));
    let signed = [grant, kind, ("client_assertion", assertion.as_str())];
    let both = house.ask(token_ask(&signed).field("Authorization", &basic("nightly", SECRET))).await;
    assert_eq!(error_of(&both), malformed, "an assertion and a header");
    assert_eq!(error_of(&asserting(&house, &assertion, &[("client_secret", SECRET)]).await), malformed);
    assert_eq!(error_of(&asserting(&house, &assertion, &[("client_id", "nightly")]).await), malformed, "another name beside it");
    assert_eq!(error_of(&house.token_request(&[grant, ("client_assertion", &assertion)]).await), malformed, "of no type");
    let saml =
        [grant, ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"), ("client_assertion", &assertion)];
    assert_eq!(error_of(&house.token_request(&saml).await), invalid);
    for text in ["", "a", "a.b.c", "..", &"a".repeat(20_000)] {
        let reply = asserting(&house, text, &[]).await;
        assert!(matches!(reply.status, 400 | 401 | 413), "{}: {}", text.len(), reply.text());
    }
    // None of that used it up.
    let alpha = house.resource("alpha");
    own_key(&asserting(&house, &assertion, &[("resource", &alpha)]).await, "signer");
    let malformed = house.ask(token_ask(&[grant]).field("Authorization", "Basic !!!")).await;
    assert_eq!((malformed.status, malformed.field("www-authenticate")), (401, Some("Basic realm=\"doorward\"")));
    house.close(&[SECRET, &assertion]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reg_04_a_client_that_signs_redeems_for_people_with_assertions_alone() {
    let (_alpha, house, signer) = works().await;
    let mut browser = Browser::default();
    browser.sign_in(&house).await;
    let code = house.code(&mut browser, "signer", "alpha", &["alpha:read"]).await;
    let fields = [
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
        ("code_verifier", super::desk::VERIFIER),
        ("redirect_uri", CALLBACK),
    ];
    let mut bare = fields.to_vec();
    bare.push(("client_id", "signer"));
    assert_eq!(error_of(&house.token_request(&bare).await), (401, "invalid_client".to_owned()), "and the code is not used up");
    let assertion = signer.sign(Signature::Right, &claims(&house, "code"));
    let mut signed = fields.to_vec();
    signed.extend([("client_assertion_type", TYPE), ("client_assertion", assertion.as_str())]);
    let tokens = super::desk::Tokens::of(&house.token_request(&signed).await);
    assert_eq!(lists(&house, &tokens.key(), "alpha").await, 200);
    house.close(&[&code, &assertion, &tokens.refresh]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tk_09_introspection_tells_a_client_of_its_own_tokens_and_nobody_of_others() {
    let (_alpha, house, signer) = works().await;
    let key = own_key(&as_nightly(&house, &[]).await, "nightly");
    let ask = async |headers: Option<String>, fields: &[(&str, &str)]| {
        let ask = Ask { target: "/oauth/introspect".to_owned(), ..token_ask(fields) };
        house
            .ask(match headers {
                Some(value) => ask.field("Authorization", &value),
                None => ask,
            })
            .await
    };
    let nightly = || Some(basic("nightly", SECRET));
    let token = [("token", key.text.as_str()), ("token_type_hint", "refresh_token")];
    let told = ask(nightly(), &token).await.json();
    let root = format!("http://{}", house.address);
    let exp = told["exp"].as_u64().expect("exp");
    assert_eq!(
        told,
        json!({"active": true, "iss": root, "client_id": "nightly", "sub": "nightly", "aud": [house.resource("alpha")],
            "scope": "alpha:destructive alpha:read", "exp": exp, "token_type": "Bearer"})
    );
    assert_eq!(document(&house, "/.well-known/oauth-authorization-server").await["issuer"], told["iss"]);
    let inactive = json!({"active": false});
    let portal = [("token", key.text.as_str()), ("client_id", "portal"), ("client_secret", SECRET)];
    assert_eq!(ask(None, &portal).await.json(), inactive, "of another client");
    for unknown in ["x", "dwat_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "ghp_x", SECRET] {
        assert_eq!(ask(nightly(), &[("token", unknown)]).await.json(), inactive, "{unknown}");
    }
    let public = house.register("Public", &[CALLBACK]).await;
    for (who, fields) in [
        ("nobody", vec![("token", key.text.as_str())]),
        ("a public client", vec![("token", key.text.as_str()), ("client_id", public.as_str())]),
        ("a wrong secret", vec![("token", key.text.as_str()), ("client_id", "portal"), ("client_secret", "wrong")]),
    ] {
        let reply = ask(None, &fields).await;
        assert_eq!(error_of(&reply), (401, "invalid_client".to_owned()), "{who}");
    }
    assert_eq!(ask(nightly(), &[]).await.status, 400);
    assert_eq!(house.ask(Ask::new("GET", "/oauth/introspect")).await.status, 405);
    // What is given back is not active, and what ran out neither.
    let revoke = Ask { target: "/oauth/revoke".to_owned(), ..token_ask(&token) };
    assert_eq!(house.ask(revoke.field("Authorization", &basic("nightly", SECRET))).await.status, 200);
    assert_eq!(ask(nightly(), &token).await.json(), inactive);
    assert!(within(Duration::from_secs(5), async || lists(&house, &key, "alpha").await == 401).await);
    let second = own_key(&as_nightly(&house, &[]).await, "nightly");
    house.shift.by(3_601);
    assert_eq!(ask(nightly(), &[("token", &second.text)]).await.json(), inactive);
    drop(signer);
    house.close(&[SECRET, &key.text]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn disc_01_what_clients_can_do_is_said_and_nothing_else() {
    let (_alpha, house, _) = works().await;
    let said = document(&house, "/.well-known/oauth-authorization-server").await;
    let device = "urn:ietf:params:oauth:grant-type:device_code";
    assert_eq!(said["grant_types_supported"], json!(["authorization_code", "refresh_token", "client_credentials", device]));
    let methods = json!(["none", "client_secret_basic", "client_secret_post", "private_key_jwt"]);
    assert_eq!(said["token_endpoint_auth_methods_supported"], methods);
    assert_eq!(said["introspection_endpoint"], format!("http://{}/oauth/introspect", house.address));
    assert_eq!(
        said["introspection_endpoint_auth_methods_supported"],
        json!(["client_secret_basic", "client_secret_post", "private_key_jwt"])
    );
    let algorithms = said["token_endpoint_auth_signing_alg_values_supported"].as_array().expect("algorithms").clone();
    assert!(algorithms.contains(&json!("ES256")) && !algorithms.contains(&json!("none")) && !algorithms.contains(&json!("HS256")));
    house.close(&[]).await;
    let toml = "[clients]\nmetadata_documents = \"off\"\ndevice_grant = \"off\"\n";
    let house = House::open(toml).await;
    let said = document(&house, "/.well-known/oauth-authorization-server").await;
    assert_eq!(said["grant_types_supported"], json!(["authorization_code", "refresh_token"]));
    assert_eq!(said["token_endpoint_auth_methods_supported"], json!(["none", "client_secret_basic", "client_secret_post"]));
    assert!(said.get("token_endpoint_auth_signing_alg_values_supported").is_none());
    house.close(&[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reg_04_a_client_that_signs_without_end_takes_no_room_from_others() {
    let (_alpha, house, signer) = works().await;
    let resource = house.resource("alpha");
    let fields = [("resource", resource.as_str())];
    let mut answers = std::collections::BTreeMap::new();
    for turn in 0..5_000 {
        let assertion = signer.sign(Signature::Right, &claims(&house, &format!("jti {turn}")));
        *answers.entry(asserting(&house, &assertion, &fields).await.status).or_insert(0) += 1;
        if answers.contains_key(&429) {
            break;
        }
    }
    assert!(answers.contains_key(&429), "{answers:?}");
    assert_eq!(house.records().last().expect("a record")["reason"], "too_many_assertions");
    assert_eq!(as_nightly(&house, &[]).await.status, 200, "another client goes on");
    house.close(&[SECRET]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reg_04_keys_that_cannot_be_read_are_our_fault_and_fill_no_record() {
    let auth = "auth = { kind = \"private_key_jwt\", jwks = \"https://127.0.0.1/jwks.json\" }";
    let client = format!("[[clients.static]]\nid = \"signer\"\n{auth}\nscopes = [\"alpha:read\"]\n");
    let house = House::open(&format!("{}{client}", server("alpha", "http://127.0.0.1:9/mcp", ""))).await;
    let signer = Signer::new("one").expect("a key");
    let mut answers = std::collections::BTreeMap::new();
    for turn in 0..260 {
        let assertion = signer.sign(Signature::Right, &claims(&house, &turn.to_string()));
        *answers.entry(asserting(&house, &assertion, &[]).await.status).or_insert(0) += 1;
    }
    assert_eq!(answers.keys().copied().collect::<Vec<_>>(), [429, 503], "{answers:?}");
    let told = house.recorded("event", "keys_unavailable").len();
    assert!((1..=220).contains(&told), "{told}");
    house.close(&[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tk_11_a_secret_that_could_be_guessed_opens_nothing_by_itself() {
    let client = |secret: &str| {
        let auth = format!("auth = {{ kind = \"secret\", secret = \"plain:{secret}\" }}");
        format!("{}[[clients.static]]\nid = \"short\"\n{auth}\nscopes = [\"alpha:read\"]\n", server("alpha", "http://127.0.0.1:9/mcp", ""))
    };
    House::open(&client(SECRET)).await.close(&[SECRET]).await;
    let short = client("hunter2");
    let refused = tokio::spawn(async move { drop(House::open(&short).await) }).await.expect_err("refused at start").into_panic();
    let told = refused.downcast_ref::<String>().expect("a text");
    assert!(told.contains("the secret of the client short is shorter than 32 characters") && !told.contains("hunter2"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ses_06_a_session_of_a_machine_goes_on_with_its_next_token_and_is_nobody_elses() {
    let alpha = Lax::start(Behaviour::plain()).await.unwrap();
    let auth = format!("auth = {{ kind = \"secret\", secret = \"plain:{SECRET}\" }}");
    let machine = |id: &str| format!("[[clients.static]]\nid = \"{id}\"\n{auth}\nscopes = [\"alpha:read\"]\n");
    let servers = server("alpha", &alpha.url(), "");
    let toml = format!("{servers}{}{}[tokens]\naccess = \"60s\"\n", machine("nightly"), machine("daily"));
    let house = House::open(&toml).await;
    house.approve().await;
    let first = own_key(&as_nightly(&house, &[]).await, "nightly");
    let session = house.session(&first, "alpha").await;
    let listed = async |key: &Key| house.ask(legacy(key, "alpha", &session, 1, "tools/list", json!({}))).await.status;
    assert_eq!(listed(&first).await, 200);
    house.shift.by(50);
    let second = own_key(&as_nightly(&house, &[]).await, "nightly");
    house.shift.by(20);
    assert_eq!(listed(&first).await, 401, "over");
    assert_eq!(listed(&second).await, 200, "the next token of the same client");
    let daily = house.ask(token_ask(&[("grant_type", "client_credentials")]).field("Authorization", &basic("daily", SECRET))).await;
    assert_eq!(listed(&own_key(&daily, "daily")).await, 404, "another client, as if there were no such session");
    house.close(&[SECRET]).await;
}

/// Two clients that act for themselves: `nightly` is the agent `label`.
fn labelled(alpha: &Lax, label: &str) -> String {
    let fixed = |id: &str| {
        format!(
            "[[clients.static]]\nid = \"{id}\"\nauth = {{ kind = \"secret\", secret = \"plain:{SECRET}\" }}\nscopes = [\"alpha:read\"]\n"
        )
    };
    let more = "visible_to = [\"agent:etl\", \"agent:reports\"]";
    format!("{}[clients.agents]\nnightly = \"{label}\"\n{}{}", server("alpha", &alpha.url(), more), fixed("nightly"), fixed("other"))
}

/// Only the agent `etl` may call.
const FOR_ETL: &str = r#"
    @id("use") permit (principal, action == Action::"use", resource);
    @id("etl") permit (principal, action == Action::"call", resource) when { context.client has agent && context.client.agent == "etl" };
"#;

async fn token_of(house: &House, client: &str) -> Reply {
    let fields = [("grant_type", "client_credentials"), ("scope", "alpha:read")];
    house.ask(token_ask(&fields).field("Authorization", &basic(client, SECRET))).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pol_a_client_has_the_label_that_the_administrator_gave_its_agent_and_no_other_has() {
    let alpha = Lax::start(Behaviour::plain().with(Quirk::Modern)).await.unwrap();
    let house = House::over(Directory::new(), &labelled(&alpha, "etl"), FOR_ETL).await;
    house.approve().await;
    // Nobody else sees the server, whatever they call themselves.
    assert_eq!(error_of(&token_of(&house, "other").await), (400, "invalid_target".to_owned()));
    let token = token_of(&house, "nightly").await.json()["access_token"].as_str().unwrap().to_owned();
    let call = |house: &House| {
        let key =
            Key { text: token.clone(), id: CredentialId::new("x").unwrap(), user: UserId::new("client", "nightly").unwrap(), path: "/s" };
        let ask = modern_call(&key, "alpha", 1, "echo", json!({ "a": 1 })).field("X-Agent", "etl");
        let address = house.address;
        async move { super::wire::Line::open(address).await.ask(&ask).await }
    };
    let answer = call(&house).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(answer.json().get("result").is_some(), "{}", answer.text());
    let intent = house.records().into_iter().rfind(|record| record["kind"] == "intent").unwrap();
    assert_eq!((&intent["agent"], &intent["client"]), (&json!("etl"), &json!("nightly")));
    // The label is what the configuration says now, not what it said when the token was made.
    let House { gateway, state, store, .. } = house;
    store.close().await;
    assert!(gateway.stop().await);
    let house = House::over(state.taken_over(), &labelled(&alpha, "reports"), FOR_ETL).await;
    let answer = call(&house).await;
    assert!(answer.json().get("result").is_none_or(|result| result["isError"] == true), "{}", answer.text());
    assert_eq!(house.refused()["agent"], "reports", "{}", house.refused());
    house.close(&[&token]).await;
}
