//! TK-13: tokens that are bound to a key, and proofs of it, at the token endpoint and at servers (RFC 9449).

use super::desk::{Browser, CALLBACK, VERIFIER, administrator, document, error_of, parameter, sent_to, token_ask};
use super::house::{House, Key, server};
use super::speak::{end, legacy, listen, modern, modern_call};
use super::wire::{Ask, Reply};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use doorward_core::id::{CredentialId, ServerName, UserId};
use doorward_core::oauth::form::encoded;
use doorward_testkit::lax::Lax;
use doorward_testkit::lax::quirk::{Behaviour, Quirk};
use doorward_testkit::prover::Prover;
use doorward_testkit::provider::Signature;
use doorward_testkit::provider::sign::Signer;
use serde_json::{Value, json};

const SECRET: &str = "correct-horse-battery-staple-0123";
const PATH: &str = "/s/alpha/mcp";
const HOUR: std::time::Duration = std::time::Duration::from_secs(3600);

/// A house with two servers and a client that acts for itself; `more` says what it wants of proofs.
async fn office(more: &str) -> (Lax, House) {
    let alpha = Lax::start(Behaviour::plain().with(Quirk::Modern)).await.unwrap();
    let machine = format!(
        "[[clients.static]]\nid = \"nightly\"\nauth = {{ kind = \"secret\", secret = \"plain:{SECRET}\" }}\nscopes = [\"alpha:read\"]\n"
    );
    let servers = format!("{}{}", server("alpha", &alpha.url(), ""), server("beta", &alpha.url(), ""));
    let house = House::open(&format!("{more}\n{servers}{machine}")).await;
    house.approve().await;
    (alpha, house)
}

/// A client with its key, and the nonce that it was given last.
struct Holder<'a> {
    house: &'a House,
    prover: Prover,
    nonce: String,
}

impl<'a> Holder<'a> {
    /// With a key of its own, and a nonce as every client gets its first.
    async fn new(house: &'a House) -> Self {
        let mut holder = Self { house, prover: Prover::new().expect("a key"), nonce: String::new() };
        let reply = house.ask(holder.at_token(token_ask(&[("grant_type", "client_credentials")]).field("Authorization", &nightly()))).await;
        assert_eq!(error_of(&reply), (400, "use_dpop_nonce".to_owned()));
        holder.nonce = reply.field("dpop-nonce").expect("a nonce").to_owned();
        holder
    }

    fn second(&self) -> u64 {
        self.house.env.now().as_millis() / 1_000
    }

    fn claims(&self, method: &str, path: &str, token: Option<&str>) -> Value {
        let mut claims = self.prover.claims(method, &format!("http://{}{path}", self.house.address), self.second());
        claims["nonce"] = json!(self.nonce);
        if let Some(token) = token {
            claims["ath"] = json!(Prover::digest_of(token));
        }
        claims
    }

    fn proof(&self, method: &str, path: &str, token: Option<&str>) -> String {
        self.prover.sign(&self.prover.header(), &self.claims(method, path, token))
    }

    /// A token request with a proof.
    fn at_token(&self, ask: Ask) -> Ask {
        ask.field("DPoP", &self.proof("POST", "/oauth/token", None))
    }

    async fn token(&self, fields: &[(&str, &str)]) -> Reply {
        self.house.ask(self.at_token(token_ask(fields))).await
    }

    /// A request at a server with a proof.
    fn holding(&self, ask: Ask, token: &str) -> Ask {
        let (verb, path) = (ask.verb.clone(), ask.target.clone());
        ask.set("Authorization", &format!("DPoP {token}")).field("DPoP", &self.proof(&verb, &path, Some(token)))
    }

    async fn lists(&self, token: &str) -> Reply {
        self.house.ask(self.holding(list(token), token)).await
    }

    /// A consent for a code that is bound to the key, and its tokens.
    async fn connected(&self, browser: &mut Browser, client: &str) -> Bound {
        let code = code(self.house, browser, client, &[("dpop_jkt", &self.prover.thumbprint())]).await;
        Bound::of(&self.token(&redemption(client, &code)).await)
    }
}

/// Tokens as they are given to who proved a key.
struct Bound {
    access: String,
    refresh: Option<String>,
}

impl Bound {
    fn of(reply: &Reply) -> Self {
        assert_eq!(reply.status, 200, "{}", reply.text());
        let json = reply.json();
        assert_eq!(json["token_type"], "DPoP");
        assert!(reply.field("dpop-nonce").is_some(), "the next nonce comes with it");
        let text = |name: &str| json[name].as_str().map(str::to_owned);
        Self { access: text("access_token").expect("a token"), refresh: text("refresh_token") }
    }
}

fn nightly() -> String {
    format!("Basic {}", STANDARD.encode(format!("nightly:{}", encoded(SECRET))))
}

fn list(token: &str) -> Ask {
    modern(&key(token), "alpha", 1, "tools/list", json!({}))
}

fn key(token: &str) -> Key {
    Key { text: token.to_owned(), id: CredentialId::new("grant").expect("id"), user: administrator(), path: "/s" }
}

fn redemption<'a>(client: &'a str, code: &'a str) -> [(&'static str, &'a str); 5] {
    [("grant_type", "authorization_code"), ("client_id", client), ("code", code), ("code_verifier", VERIFIER), ("redirect_uri", CALLBACK)]
}

async fn code(house: &House, browser: &mut Browser, client: &str, changes: &[(&str, &str)]) -> String {
    let page = browser.open(house, &house.authorize(client, "alpha", changes)).await;
    let address = sent_to(&house.allow(browser, &page, &["alpha:read"]).await);
    parameter(&address, "code").unwrap_or_else(|| panic!("no code in {address}"))
}

fn challenge(reply: &Reply) -> String {
    reply.field("www-authenticate").unwrap_or_else(|| panic!("no challenge: {}", reply.text())).to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tk_13_a_bound_token_is_of_use_to_the_holder_of_its_key_alone() {
    let (_alpha, house) = office("").await;
    let holder = Holder::new(&house).await;
    let mut browser = Browser::default();
    browser.sign_in(&house).await;
    let client = house.register("Client", &[CALLBACK]).await;
    let bound = holder.connected(&mut browser, &client).await;
    let issued = house.recorded("event", "tokens_issued").pop().expect("on record");
    assert!(issued["cause"].as_str().expect("a cause").ends_with(&format!("bound to the key {}", holder.prover.thumbprint())), "{issued}");
    // As bearer: to whoever found it, it is nothing; with a proof beside it, too.
    for ask in [list(&bound.access), list(&bound.access).field("DPoP", &holder.proof("POST", PATH, Some(&bound.access)))] {
        let reply = house.ask(ask).await;
        assert_eq!((reply.status, house.last_reason().as_str()), (401, "bound_token_as_bearer"));
        let challenge = challenge(&reply);
        assert!(challenge.starts_with("DPoP ") && challenge.contains("error=\"invalid_token\""), "{challenge}");
        assert!(challenge.contains("algs=\"ES256 EdDSA PS256 RS256\"") && challenge.contains("resource_metadata=\""), "{challenge}");
    }
    let reply = holder.lists(&bound.access).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(reply.field("dpop-nonce"), Some(holder.nonce.as_str()));
    let intent = house.records().into_iter().rfind(|record| record["kind"] == "intent").expect("a call");
    assert_eq!((intent["proof"].as_str(), intent["level"].as_str()), (Some("dpop"), Some("oauth")));
    // A token that is bound to nothing is no token of this scheme, and a key of the other door neither.
    let plain = house.token("alice", "other", &["alpha"], &["alpha:read"], HOUR).await;
    assert_eq!((holder.lists(&plain.text).await.status, house.last_reason().as_str()), (401, "unbound_token_as_dpop"));
    assert_eq!(house.ask(list(&plain.text)).await.status, 200, "and good as it is");
    let static_key = house.full("alice").await;
    let ask = modern(&static_key, "alpha", 1, "tools/list", json!({}));
    let reply = house.ask(holder.holding(ask, &static_key.text)).await;
    assert_eq!((reply.status, house.last_reason().as_str()), (401, "other_scheme"));
    assert!(challenge(&reply).starts_with("Bearer") && reply.field("dpop-nonce").is_none(), "proofs mean nothing at the door of keys");
    // A scope that was not granted is told in the scheme of the token.
    let pins = house.store.pins(&ServerName::new("alpha").expect("a name")).await.expect("pins");
    let tool = pins.iter().find(|pin| pin.class.as_str() != "read").expect("a tool that changes things").tool.to_string();
    let reply = house.ask(holder.holding(modern_call(&key(&bound.access), "alpha", 1, &tool, json!({})), &bound.access)).await;
    assert_eq!(reply.status, 403, "{}", reply.text());
    assert!(challenge(&reply).starts_with("DPoP ") && challenge(&reply).contains("insufficient_scope"), "{}", challenge(&reply));
    drop(holder);
    house.close(&[&bound.access, bound.refresh.as_deref().expect("a refresh token")]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tk_13_a_proof_is_for_one_request_of_one_token_now() {
    let (alpha, house) = office("").await;
    let holder = Holder::new(&house).await;
    let mut browser = Browser::default();
    browser.sign_in(&house).await;
    let client = house.register("Client", &[CALLBACK]).await;
    let token = holder.connected(&mut browser, &client).await.access;
    let other = Prover::new().expect("a key");
    let base = || holder.claims("POST", PATH, Some(&token));
    let changed = |name: &str, value: Value| {
        let mut claims = base();
        claims[name] = value;
        holder.prover.sign(&holder.prover.header(), &claims)
    };
    let headed = |name: &str, value: Value| {
        let mut header = holder.prover.header();
        header[name] = value;
        holder.prover.sign(&header, &base())
    };
    let own_jwk = |name: &str, value: Value| {
        let mut jwk = holder.prover.jwk();
        jwk[name] = value;
        headed("jwk", jwk)
    };
    let (second, root) = (holder.second(), format!("http://{}", house.address));
    let signer = Signer::new("one").expect("a key");
    let whole = holder.proof("POST", PATH, Some(&token));
    let parts: Vec<&str> = whole.split('.').collect();
    let json_form = json!({"protected": parts[0], "payload": parts[1], "signature": parts[2]}).to_string();
    let cases: Vec<(&str, &str, String)> = vec![
        ("another method", "dpop_method", changed("htm", json!("GET"))),
        ("another server", "dpop_address", changed("htu", json!(format!("{root}/s/beta/mcp")))),
        ("the token endpoint", "dpop_address", changed("htu", json!(format!("{root}/oauth/token")))),
        ("what Host could say", "dpop_address", changed("htu", json!(format!("http://evil.test{PATH}")))),
        ("a query", "dpop_address", changed("htu", json!(format!("{root}{PATH}?a=b")))),
        ("five minutes old", "dpop_time", changed("iat", json!(second - 300))),
        ("of the future", "dpop_time", changed("iat", json!(second + 300))),
        ("no time", "dpop_time", changed("iat", json!("now"))),
        ("no id", "dpop_id", changed("jti", json!(""))),
        ("another token", "dpop_token", changed("ath", json!(Prover::digest_of("dwat_other")))),
        ("no nonce", "dpop_nonce", changed("nonce", Value::Null)),
        ("a foreign nonce", "dpop_nonce", changed("nonce", json!("eyJ7S_zG.eyJH0-Z.HX4w-7v"))),
        ("another key", "dpop_other_key", other.sign(&other.header(), &base())),
        ("another key's signature", "dpop_signature", other.sign(&holder.prover.header(), &base())),
        ("none", "dpop_algorithm", headed("alg", json!("none"))),
        ("HS256", "dpop_algorithm", headed("alg", json!("HS256"))),
        ("a key of another type", "dpop_key", headed("alg", json!("RS256"))),
        ("an RSA key with ES256", "dpop_key", headed("jwk", signer.jwk())),
        ("no key", "dpop_key", headed("jwk", Value::Null)),
        ("a private key", "dpop_private_key", own_jwk("d", json!("AAAA"))),
        ("crit", "dpop_malformed", headed("crit", json!(["exp"]))),
        ("another kind of token", "dpop_malformed", headed("typ", json!("JWT"))),
        ("an assertion", "dpop_malformed", signer.sign(Signature::Right, &base())),
        ("the JSON serialisation", "dpop_malformed", json_form),
        ("twice in one header", "dpop_malformed", format!("{whole}, {whole}")),
        ("too large", "dpop_malformed", changed("jti", json!("x".repeat(9_000)))),
        ("empty", "dpop_malformed", String::new()),
    ];
    let ask = || list(&token).set("Authorization", &format!("DPoP {token}"));
    for (what, reason, proof) in cases {
        let reply = house.ask(ask().field("DPoP", &proof)).await;
        assert_eq!((reply.status, house.last_reason().as_str()), (401, reason), "{what}: {}", reply.text());
        let error = match reason {
            "dpop_nonce" => "use_dpop_nonce",
            "dpop_other_key" => "invalid_token",
            _ => "invalid_dpop_proof",
        };
        let challenge = challenge(&reply);
        assert!(
            challenge.starts_with("DPoP resource_metadata=\"") && challenge.contains(&format!("error=\"{error}\"")),
            "{what}: {challenge}"
        );
        assert_eq!(reply.field("dpop-nonce"), Some(holder.nonce.as_str()), "{what}");
        assert!(reply.field("cache-control").is_some_and(|value| value.contains("no-store")), "{what}");
    }
    assert_eq!((house.ask(ask()).await.status, house.last_reason().as_str()), (401, "dpop_missing"));
    let twice = ask().field("DPoP", &holder.proof("POST", PATH, Some(&token))).field("DPoP", &holder.proof("POST", PATH, Some(&token)));
    assert_eq!((house.ask(twice).await.status, house.last_reason().as_str()), (401, "dpop_several"));
    // What is good counts once: also for the same request, byte for byte.
    let good = ask().field("DPoP", &whole);
    assert_eq!(house.ask(good.clone()).await.status, 200, "nothing before used it up");
    let reply = house.ask(good).await;
    assert_eq!((reply.status, house.last_reason().as_str()), (401, "dpop_replayed"));
    // Proofs do not go on to the server.
    assert!(alpha.seen().iter().all(|seen| !format!("{seen:?}").to_ascii_lowercase().contains("dpop")));
    drop(holder);
    house.close(&[&token]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tk_13_a_nonce_is_good_for_minutes_and_its_successor_comes_with_each_answer() {
    let (_alpha, house) = office("").await;
    let mut holder = Holder::new(&house).await;
    let token = machine(&holder).await;
    assert_eq!(holder.lists(&token).await.status, 200);
    house.shift.by(300);
    let reply = holder.lists(&token).await;
    assert_eq!(reply.status, 200, "the one before still counts");
    let next = reply.field("dpop-nonce").expect("a nonce").to_owned();
    assert_ne!(next, holder.nonce);
    house.shift.by(300);
    let reply = holder.lists(&token).await;
    assert_eq!((reply.status, house.last_reason().as_str()), (401, "dpop_nonce"));
    holder.nonce = reply.field("dpop-nonce").expect("a nonce").to_owned();
    assert_eq!(holder.lists(&token).await.status, 200, "once more with what was handed out");
    // One that was made before its time is no good then: without the nonce of that time there is none.
    let early = holder.claims("POST", PATH, Some(&token));
    house.shift.by(1_200);
    let mut claims = early;
    claims["iat"] = json!(holder.second());
    let proof = holder.prover.sign(&holder.prover.header(), &claims);
    let reply = house.ask(list(&token).set("Authorization", &format!("DPoP {token}")).field("DPoP", &proof)).await;
    assert_eq!((reply.status, house.last_reason().as_str()), (401, "dpop_nonce"));
    drop(holder);
    house.close(&[&token, SECRET]).await;
}

/// A token of `nightly`, for itself and bound.
async fn machine(holder: &Holder<'_>) -> String {
    let ask = token_ask(&[("grant_type", "client_credentials")]).field("Authorization", &nightly());
    let bound = Bound::of(&holder.house.ask(holder.at_token(ask)).await);
    assert!(bound.refresh.is_none());
    bound.access
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tk_13_a_code_is_of_the_key_that_it_was_asked_for_with_and_a_refresh_token_of_that_of_its_consent() {
    let (_alpha, house) = office("").await;
    let (holder, thief) = (Holder::new(&house).await, Holder::new(&house).await);
    let mut browser = Browser::default();
    browser.sign_in(&house).await;
    let client = house.register("Client", &[CALLBACK]).await;
    let bad = browser.open(&house, &house.authorize(&client, "alpha", &[("dpop_jkt", "AAAA")])).await;
    assert_eq!(parameter(bad.field("location").unwrap_or_default(), "error").as_deref(), Some("invalid_request"), "{}", bad.text());
    let code = code(&house, &mut browser, &client, &[("dpop_jkt", &holder.prover.thumbprint())]).await;
    let grant = (400, "invalid_grant".to_owned());
    assert_eq!(error_of(&house.token_request(&redemption(&client, &code)).await), grant, "without a proof");
    assert_eq!(error_of(&thief.token(&redemption(&client, &code)).await), grant, "with another key");
    assert_eq!(house.recorded("event", "dpop_other_key").len(), 2);
    // Proofs are for this endpoint, under both of its names, and once.
    let wrong = token_ask(&redemption(&client, &code)).field("DPoP", &holder.proof("POST", PATH, None));
    assert_eq!(error_of(&house.ask(wrong).await), (400, "invalid_dpop_proof".to_owned()));
    let twice = holder.at_token(holder.at_token(token_ask(&redemption(&client, &code))));
    assert_eq!(error_of(&house.ask(twice).await), (400, "invalid_dpop_proof".to_owned()));
    let ask = Ask { target: "/token".to_owned(), ..token_ask(&redemption(&client, &code)) };
    let used = holder.proof("POST", "/token", None);
    let tokens = Bound::of(&house.ask(ask.field("DPoP", &used)).await);
    let first = tokens.refresh.expect("a refresh token");
    let fields = [("grant_type", "refresh_token"), ("client_id", client.as_str()), ("refresh_token", first.as_str())];
    assert_eq!(error_of(&house.token_request(&fields).await), (400, "invalid_dpop_proof".to_owned()), "without a proof");
    assert_eq!(error_of(&thief.token(&fields).await), grant, "with another key");
    let reply = house.ask(token_ask(&fields).field("DPoP", &used)).await;
    assert_eq!((error_of(&reply).1.as_str(), house.recorded("event", "dpop_replayed").len()), ("invalid_dpop_proof", 1), "a used proof");
    let next = Bound::of(&holder.token(&fields).await);
    assert_eq!(holder.lists(&next.access).await.status, 200, "nobody ended anything");
    assert_eq!(thief.lists(&next.access).await.status, 401);
    drop((holder, thief));
    house.close(&[&code, &first, &next.access]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tk_13_who_must_bind_is_given_nothing_else() {
    let (_alpha, house) = office("[clients]\nrequire_dpop = [\"nightly\"]").await;
    let holder = Holder::new(&house).await;
    let missing = (400, "invalid_dpop_proof".to_owned());
    let plain = || token_ask(&[("grant_type", "client_credentials")]).field("Authorization", &nightly());
    assert_eq!(error_of(&house.ask(plain()).await), missing, "a client of the configuration");
    assert_eq!(holder.lists(&machine(&holder).await).await.status, 200);
    // What it had before the administrator wanted that.
    let old = house.token("alice", "nightly", &["alpha"], &["alpha:read"], HOUR).await;
    let reply = house.ask(list(&old.text)).await;
    assert_eq!((reply.status, house.last_reason().as_str()), (401, "token_not_bound"));
    assert!(challenge(&reply).starts_with("DPoP "));
    // A client that says so of itself (RFC 9449 section 5.2).
    let body = json!({"client_name": "Careful", "redirect_uris": [CALLBACK], "token_endpoint_auth_method": "none", "dpop_bound_access_tokens": true});
    let made = house.ask(Ask::post("/oauth/register", body.to_string())).await.json();
    assert_eq!(made["dpop_bound_access_tokens"], true);
    let careful = made["client_id"].as_str().expect("an id").to_owned();
    let mut browser = Browser::default();
    browser.sign_in(&house).await;
    let code = code(&house, &mut browser, &careful, &[]).await;
    assert_eq!(error_of(&house.token_request(&redemption(&careful, &code)).await), missing);
    let tokens = Bound::of(&holder.token(&redemption(&careful, &code)).await);
    assert_eq!(holder.lists(&tokens.access).await.status, 200);
    let odd = json!({"client_name": "Odd", "redirect_uris": [CALLBACK], "dpop_bound_access_tokens": "yes"});
    assert_eq!(house.ask(Ask::post("/oauth/register", odd.to_string())).await.status, 400);
    // Everybody else goes on as before.
    let client = house.register("Client", &[CALLBACK]).await;
    assert_eq!(house.connected(&mut browser, &client, "alpha", &["alpha:read"]).await.scope, "alpha:read");
    drop(holder);
    house.close(&[SECRET]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tk_13_where_it_is_required_nothing_else_counts_and_where_it_is_off_nothing_is_said_of_it() {
    let (_alpha, house) = office("[tokens]\ndpop = \"required\"").await;
    let algorithms = json!(["ES256", "EdDSA", "PS256", "RS256"]);
    let said = document(&house, "/.well-known/oauth-authorization-server").await;
    assert_eq!(said["dpop_signing_alg_values_supported"], algorithms);
    let resource = document(&house, &format!("/.well-known/oauth-protected-resource{PATH}")).await;
    assert_eq!(
        (&resource["dpop_bound_access_tokens_required"], &resource["dpop_signing_alg_values_supported"]),
        (&json!(true), &algorithms)
    );
    let holder = Holder::new(&house).await;
    assert_eq!(holder.lists(&machine(&holder).await).await.status, 200);
    let plain = || token_ask(&[("grant_type", "client_credentials")]).field("Authorization", &nightly());
    assert_eq!(error_of(&house.ask(plain()).await), (400, "invalid_dpop_proof".to_owned()));
    let old = house.token("alice", "other", &["alpha"], &["alpha:read"], HOUR).await;
    assert_eq!((house.ask(list(&old.text)).await.status, house.last_reason().as_str()), (401, "token_not_bound"));
    let nothing = house.ask(list(&old.text).without("Authorization")).await;
    let told = challenge(&nothing);
    assert!(told.starts_with("DPoP resource_metadata=\"") && told.contains("algs=\"ES256") && !told.contains("error="), "{told}");
    let static_key = house.full("alice").await;
    assert_eq!(house.ask(modern(&static_key, "alpha", 1, "tools/list", json!({}))).await.status, 200, "keys have no part in it");
    drop(holder);
    house.close(&[SECRET]).await;

    let (_alpha, house) = office("").await;
    let resource = document(&house, &format!("/.well-known/oauth-protected-resource{PATH}")).await;
    assert_eq!((resource.get("dpop_bound_access_tokens_required"), &resource["dpop_signing_alg_values_supported"]), (None, &algorithms));
    house.close(&[]).await;

    let (_alpha, house) = office("[tokens]\ndpop = \"off\"").await;
    for path in ["/.well-known/oauth-authorization-server".to_owned(), format!("/.well-known/oauth-protected-resource{PATH}")] {
        assert!(!document(&house, &path).await.to_string().contains("dpop"), "{path}");
    }
    let prover = Prover::new().expect("a key");
    let reply = house.ask(plain().field("DPoP", &prover.sign(&prover.header(), &json!({})))).await;
    assert_eq!((reply.status, &reply.json()["token_type"], reply.field("dpop-nonce")), (200, &json!("Bearer"), None), "not looked at");
    let token = reply.json()["access_token"].as_str().expect("a token").to_owned();
    let reply = house.ask(list(&token).set("Authorization", &format!("DPoP {token}"))).await;
    assert_eq!((reply.status, house.last_reason().as_str()), (401, "other_scheme"));
    assert!(challenge(&reply).starts_with("Bearer") && reply.field("dpop-nonce").is_none());
    // A client that binds its tokens is given none that it could not bind.
    let mut browser = Browser::default();
    browser.sign_in(&house).await;
    let body = json!({"client_name": "Careful", "redirect_uris": [CALLBACK], "token_endpoint_auth_method": "none", "dpop_bound_access_tokens": true});
    let made = house.ask(Ask::post("/oauth/register", body.to_string())).await.json();
    let careful = made["client_id"].as_str().expect("an id").to_owned();
    let code = code(&house, &mut browser, &careful, &[("dpop_jkt", &prover.thumbprint())]).await;
    assert_eq!(error_of(&house.token_request(&redemption(&careful, &code)).await).0, 400);
    let client = house.register("Client", &[CALLBACK]).await;
    let code = self::code(&house, &mut browser, &client, &[("dpop_jkt", &prover.thumbprint())]).await;
    assert_eq!(house.redeem(&client, &code).await.status, 200, "and what others say of it is not understood");
    house.close(&[SECRET]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tk_13_a_session_that_began_with_a_key_does_not_go_on_without_it() {
    let (_alpha, house) = office("").await;
    let (holder, other) = (Holder::new(&house).await, Holder::new(&house).await);
    let token = machine(&holder).await;
    let plain = house.ask(token_ask(&[("grant_type", "client_credentials")]).field("Authorization", &nightly())).await;
    let plain = plain.json()["access_token"].as_str().expect("a token").to_owned();
    let user = UserId::new("client", "nightly").expect("user");
    let as_key = |text: &str| Key { user: user.clone(), ..key(text) };
    let begin = super::speak::initialize(&as_key(&token), "alpha", "2025-11-25", json!({}));
    let reply = house.ask(holder.holding(begin, &token)).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let session = reply.field("mcp-session-id").expect("a session").to_owned();
    let ping = |token: &str| legacy(&as_key(token), "alpha", &session, 1, "ping", json!({}));
    assert_eq!(house.ask(holder.holding(ping(&token), &token)).await.status, 200);
    let next = machine(&holder).await;
    assert_eq!(house.ask(holder.holding(ping(&next), &next)).await.status, 200, "the next token of the same key");
    assert_eq!(house.ask(ping(&plain)).await.status, 404, "the same client with its secret alone");
    let theirs = machine(&other).await;
    assert_eq!(house.ask(other.holding(ping(&theirs), &theirs)).await.status, 404, "the same client with another key");
    // Each request has a proof of its own method.
    let stream = holder.holding(listen(&as_key(&token), "alpha", &session), &token).flow(house.address).await;
    assert_eq!(stream.status, 200);
    drop(stream);
    let wrong = end(&as_key(&token), "alpha", &session).set("Authorization", &format!("DPoP {token}"));
    let wrong = wrong.field("DPoP", &holder.proof("POST", PATH, Some(&token)));
    assert_eq!((house.ask(wrong).await.status, house.last_reason().as_str()), (401, "dpop_method"));
    assert!(house.ask(holder.holding(end(&as_key(&token), "alpha", &session), &token)).await.status < 300);
    let odd = holder.holding(Ask::new("PUT", PATH).bearer(&token), &token);
    assert_eq!((house.ask(odd).await.status, house.last_reason().as_str()), (401, "dpop_method"), "a method that is none here");
    drop((holder, other));
    house.close(&[&token, &next, SECRET]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tk_13_introspection_says_to_which_key_a_token_is_bound() {
    let (_alpha, house) = office("").await;
    let holder = Holder::new(&house).await;
    let token = machine(&holder).await;
    let ask = Ask { target: "/oauth/introspect".to_owned(), ..token_ask(&[("token", &token)]) };
    let told = house.ask(ask.field("Authorization", &nightly())).await.json();
    assert_eq!((&told["active"], &told["token_type"]), (&json!(true), &json!("DPoP")));
    assert_eq!(told["cnf"], json!({"jkt": holder.prover.thumbprint()}));
    drop(holder);
    house.close(&[&token, SECRET]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tk_13_one_credential_takes_no_room_for_proofs_from_others() {
    let (_alpha, house) = office("").await;
    let holder = Holder::new(&house).await;
    let token = machine(&holder).await;
    let mut answers = std::collections::BTreeMap::new();
    for _ in 0..5_000 {
        let reply = holder.lists(&token).await;
        *answers.entry(reply.status).or_insert(0) += 1;
        if reply.status == 429 {
            assert_eq!((reply.field("retry-after"), house.last_reason().as_str()), (Some("1"), "too_many_proofs"));
            break;
        }
    }
    assert!(answers.contains_key(&429), "{answers:?}");
    // The same at the token endpoint, where a refresh token may be repeated for a while.
    let mut browser = Browser::default();
    browser.sign_in(&house).await;
    let client = house.register("Client", &[CALLBACK]).await;
    let refresh = holder.connected(&mut browser, &client).await.refresh.expect("a refresh token");
    let fields = [("grant_type", "refresh_token"), ("client_id", client.as_str()), ("refresh_token", refresh.as_str())];
    let mut answers = std::collections::BTreeMap::new();
    for _ in 0..5_000 {
        let reply = holder.token(&fields).await;
        *answers.entry(reply.status).or_insert(0) += 1;
        if reply.status != 200 {
            break;
        }
    }
    assert!(answers.keys().copied().eq([200, 429]) && house.recorded("event", "too_many_proofs").len() == 1, "{answers:?}");
    let other = Holder::new(&house).await;
    let theirs = machine(&other).await;
    assert_eq!(other.lists(&theirs).await.status, 200, "another key goes on");
    drop((holder, other));
    house.close(&[SECRET]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tk_13_pages_of_clients_may_send_proofs_and_read_nonces() {
    let (_alpha, house) = office("").await;
    let preflight = |path: &str, origin: &str| {
        Ask::new("OPTIONS", path)
            .field("Origin", origin)
            .field("Access-Control-Request-Method", "POST")
            .field("Access-Control-Request-Headers", "dpop")
    };
    let own = format!("http://{}", house.address);
    for (path, origin) in [("/oauth/token", "https://app.example"), (PATH, own.as_str())] {
        let reply = house.ask(preflight(path, origin)).await;
        assert!(reply.field("access-control-allow-headers").is_some_and(|list| list.contains("dpop")), "{path}");
    }
    let reply = house.ask(token_ask(&[("grant_type", "client_credentials")]).field("Origin", "https://app.example")).await;
    assert!(
        reply.field("access-control-expose-headers").is_some_and(|list| list.contains("dpop-nonce") && list.contains("www-authenticate"))
    );
    house.close(&[]).await;
}
