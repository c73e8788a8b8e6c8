//! Tokens of other issuers: whom a configured issuer vouches for comes in at `/k/...`, and everybody else is nobody (RS-02, RS-03, FLT-08).

use super::desk::error_of;
use super::house::{Directory, House, Key, LAPTOP, server, within};
use super::speak::{legacy, listen, modern, modern_call};
use super::wire::Reply;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use doorward_core::id::{CredentialId, ServerName, UserId};
use doorward_core::secret::sha256;
use doorward_store::OnRecord;
use doorward_testkit::lax::Lax;
use doorward_testkit::lax::quirk::{Behaviour, Quirk};
use doorward_testkit::provider::sign::Signer;
use doorward_testkit::provider::{Keys, Provider, Signature};
use serde_json::{Value, json};
use std::time::Duration;

const BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// A house with two servers. Tokens of a cluster may read alpha, and its keys stand where its metadata says; those of Google, a mesh and a
/// proxy have their keys in files.
struct Works {
    alpha: Lax,
    house: House,
    cluster: Provider,
    google: Signer,
    mesh: Signer,
    proxy: Signer,
}

async fn works() -> Works {
    let alpha = Lax::start(Behaviour::plain().with(Quirk::Modern)).await.unwrap();
    let cluster = Provider::start().await.expect("a provider");
    let state = Directory::new();
    let [google, mesh, proxy] = ["google", "mesh", "proxy"].map(|id| Signer::new(id).expect("a key"));
    let mut bundle = mesh.jwk();
    bundle["use"] = json!("jwt-svid");
    bundle.as_object_mut().expect("a key").remove("alg");
    for (name, key) in [("google", google.jwk()), ("mesh", bundle), ("proxy", proxy.jwk())] {
        std::fs::write(state.path().join(name), json!({"keys": [key]}).to_string()).expect("written");
    }
    let issuers = format!(
        r#"
        [idp.cluster]
        kind = "kubernetes"
        issuer = "{}"
        subject_pattern = ["system:serviceaccount:agents:*"]
        require = {{ "/kubernetes.io/namespace" = "agents", roles = ["reader", "writer"] }}
        scopes = ["alpha:read"]
        [idp.google]
        kind = "google-id-token"
        jwks = "google"
        service_accounts = ["agent-*@prod.iam.gserviceaccount.com"]
        domains = ["acme.example"]
        scopes = ["alpha:read", "alpha:destructive", "beta:read"]
        [idp.mesh]
        kind = "spiffe"
        issuer = "spiffe://prod.acme.example"
        jwks = "mesh"
        scopes = ["alpha:read"]
        [idp.proxy]
        kind = "gcp-iap"
        jwks = "proxy"
        algs = ["RS256"]
        audience = ["/projects/1/global/backendServices/2"]
        scopes = ["alpha:read"]
        "#,
        cluster.issuer()
    );
    let toml = format!("{}{}{issuers}", server("alpha", &alpha.url(), ""), server("beta", &alpha.url(), ""));
    let house = House::over(state, &toml, LAPTOP).await;
    house.approve().await;
    Works { alpha, house, cluster, google, mesh, proxy }
}

impl Works {
    fn now(&self) -> u64 {
        self.house.env.now().as_millis() / 1_000
    }

    /// The address at which a server is called with such tokens.
    fn address(&self, server: &str) -> String {
        format!("http://{}/k/{server}/mcp", self.house.address)
    }

    /// What the cluster says of a runner, for alpha.
    fn runner(&self) -> Value {
        json!({
            "iss": self.cluster.issuer(), "sub": "system:serviceaccount:agents:runner", "aud": [self.address("alpha")],
            "iat": self.now(), "nbf": self.now(), "exp": self.now() + 600, "jti": "a-name",
            "kubernetes.io": {"namespace": "agents", "pod": {"name": "runner-1"}}, "roles": ["other", "reader"],
        })
    }

    /// What Google says of a service account, for alpha.
    fn account(&self, email: &str) -> Value {
        json!({
            "iss": "https://accounts.google.com", "sub": "112233", "azp": "112233", "aud": self.address("alpha"),
            "iat": self.now(), "exp": self.now() + 3_600, "email": email, "email_verified": true,
        })
    }

    async fn lists(&self, token: &str, server: &str) -> Reply {
        self.house.ask(modern(&key(token), server, 1, "tools/list", json!({}))).await
    }

    /// The reason of the last refusal on record.
    fn reason(&self) -> String {
        self.house.last_reason()
    }

    async fn close(self, tokens: &[&str]) {
        self.house.close(tokens).await;
    }
}

fn key(token: &str) -> Key {
    Key {
        text: token.to_owned(),
        id: CredentialId::new("attested").expect("id"),
        user: UserId::new("local", "nobody").expect("user"),
        path: "/k",
    }
}

fn but(mut claims: Value, name: &str, value: Value) -> Value {
    if value.is_null() {
        claims.as_object_mut().expect("claims").remove(name);
    } else {
        claims[name] = value;
    }
    claims
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whom_an_issuer_vouches_for_comes_in_as_themselves() {
    let works = works().await;
    let token = works.cluster.signed(&works.runner());
    let called = works.house.ask(modern_call(&key(&token), "alpha", 1, "echo", json!({"text": "from the cluster"}))).await;
    assert_eq!(called.status, 200, "{}", called.text());
    let records = works.house.records();
    let intent = records.iter().rfind(|record| record["kind"] == "intent").expect("an intent");
    assert_eq!(intent["user"], json!({"iss": works.cluster.issuer(), "sub": "system:serviceaccount:agents:runner"}), "{intent}");
    assert_eq!(intent["client"], "idp:cluster");
    let accepted = works.house.recorded("event", "identity_accepted");
    assert_eq!(accepted.len(), 1, "once for a token");
    let cause = accepted[0]["cause"].as_str().expect("a cause");
    assert!(cause.starts_with("token sha256:") && cause.ends_with("jti a-name of idp:cluster"), "{cause}");
    // What it was not given it has not, whatever it says.
    assert_eq!(works.lists(&token, "beta").await.status, 401, "one audience");
    let pins = works.house.store.pins(&ServerName::new("alpha").expect("name")).await.expect("pins");
    let tool = pins.iter().find(|pin| pin.class.as_str() == "destructive").expect("a tool that can delete").tool.to_string();
    let refused = works.house.ask(modern_call(&key(&token), "alpha", 1, &tool, json!({}))).await;
    assert!(refused.text().contains("not granted"), "{}", refused.text());
    // A service account of Google is a narrow machine account; a person of the domain is a person.
    let account = works.google.sign(Signature::Right, &works.account("agent-7@prod.iam.gserviceaccount.com"));
    assert_eq!(works.lists(&account, "alpha").await.status, 200);
    let mut person = works.account("ann@acme.example");
    person["hd"] = json!("acme.example");
    let person = works.google.sign(Signature::Right, &person);
    assert_eq!(works.lists(&person, "alpha").await.status, 200);
    // A workload of the mesh is of its trust domain, whatever `iss` says.
    let svid = json!({"sub": "spiffe://prod.acme.example/ns/agents/sa/runner", "aud": [works.address("alpha")], "exp": works.now() + 300});
    let svid = works.mesh.sign(Signature::Right, &svid);
    assert_eq!(works.lists(&svid, "alpha").await.status, 200);
    assert_eq!(works.alpha.seen_method("tools/call").len(), 1);
    works.close(&[&token, &account, &person, &svid]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rs_02_a_signature_that_is_not_the_issuers_shows_nobody() {
    let works = works().await;
    let asked = works.cluster.asked("/jwks");
    for (how, reason) in [
        (Signature::None, "bad_alg"),
        (Signature::PublicKeyAsSecret, "bad_alg"),
        (Signature::ForeignKey, "bad_signature"),
        (Signature::ForeignId, "bad_key"),
        (Signature::OwnKey, "bad_signature"),
    ] {
        let token = works.cluster.signed_as(how, &works.runner());
        let reply = works.lists(&token, "alpha").await;
        assert_eq!(reply.status, 401, "{how:?}: {}", reply.text());
        assert_eq!(works.reason(), reason, "{how:?}");
        assert!(!reply.text().contains("signature"), "the caller is not told which");
    }
    let good = works.cluster.signed(&works.runner());
    let (head, rest) = good.split_once('.').expect("a token");
    let (body, signature) = rest.split_once('.').expect("a body");
    let coded = |header: Value| URL_SAFE_NO_PAD.encode(header.to_string());
    let kid = works.cluster.kid();
    let headers = [
        json!({"alg": "RS256", "kid": kid, "crit": ["exp"], "exp": 1}),
        json!({"alg": "RS256", "kid": kid, "crit": ["b64"], "b64": false}),
        json!({"alg": "RS256", "kid": kid, "jku": "http://127.0.0.1:1/jwks"}),
        json!({"alg": "RS256", "kid": kid, "x5u": "http://127.0.0.1:1/cert"}),
        json!({"alg": "RS256", "kid": "../../dev/null"}),
        json!({"alg": "RS256", "kid": "http://127.0.0.1:1/"}),
        json!({"alg": "RS256", "kid": ["a"]}),
        json!({"alg": "ES256", "kid": kid}),
        json!({"alg": "rs256", "kid": kid}),
        json!({"alg": "RS256", "kid": kid, "typ": "at+jwt"}),
        json!({"alg": "RS256", "kid": kid, "typ": "oauth-id-jag+jwt"}),
        json!({"alg": "RS256", "kid": kid, "cty": "JWT"}),
        json!({"alg": "RS256", "kid": kid, "zip": "DEF"}),
        json!({"alg": "RS256"}),
    ];
    let mut attacks: Vec<String> = headers.into_iter().map(|header| format!("{}.{body}.{signature}", coded(header))).collect();
    attacks.push(format!("{}.{body}.{signature}", URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"none","alg":"RS256","kid":"{kid}"}}"#))));
    let twice = works.runner().to_string().replacen('{', r#"{"sub":"system:serviceaccount:agents:admin","#, 1);
    attacks.push(format!("{head}.{}.{signature}", URL_SAFE_NO_PAD.encode(twice)));
    attacks.push(format!("{head}.{body}."));
    attacks.push(format!("{head}.{body}.{}", signature.get(..signature.len() - 8).expect("ASCII")));
    attacks.push(format!("{head}.{body}.{}", URL_SAFE_NO_PAD.encode([0; 256])));
    attacks.push(format!("{head}.{body}.{signature}.{signature}.{signature}"));
    attacks.push(format!("{head}.{}.{signature}", URL_SAFE_NO_PAD.encode("x".repeat(12_000))));
    for attack in &attacks {
        let reply = works.lists(attack, "alpha").await;
        assert_eq!(reply.status, 401, "{}: {}", attack.get(..attack.len().min(120)).expect("ASCII"), reply.text());
    }
    assert_eq!(works.lists(&good, "alpha").await.status, 200, "and the right one is right");
    assert!(works.cluster.asked("/jwks") - asked <= 2, "once at first, and once for keys that nobody knows");
    let mut all: Vec<&str> = attacks.iter().map(String::as_str).collect();
    all.push(&good);
    works.close(&all).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rs_03_every_claim_has_to_say_what_is_expected() {
    let works = works().await;
    let (now, root) = (works.now(), format!("http://{}", works.house.address));
    let alpha = works.address("alpha");
    for (attack, name, value, reason) in [
        ("of nobody", "iss", Value::Null, "foreign_credential"),
        ("of another issuer", "iss", json!("https://evil.test"), "foreign_credential"),
        ("of the issuer with a slash", "iss", json!(format!("{}/", works.cluster.issuer())), "foreign_credential"),
        ("for nobody", "aud", Value::Null, "wrong_audience"),
        ("for nobody at all", "aud", json!([]), "wrong_audience"),
        ("for the root", "aud", json!(root), "wrong_audience"),
        ("for the other door", "aud", json!(format!("{root}/s/alpha/mcp")), "wrong_audience"),
        ("for the address with a slash", "aud", json!(format!("{alpha}/")), "wrong_audience"),
        ("for a part of the address", "aud", json!(alpha.trim_end_matches('p')), "wrong_audience"),
        ("for us and another", "aud", json!([alpha, "https://evil.test"]), "wrong_audience"),
        ("for a server that it is not for", "aud", json!(works.address("beta")), "wrong_audience"),
        ("for a number", "aud", json!([alpha, 1]), "wrong_audience"),
        ("without end", "exp", Value::Null, "missing_claim"),
        ("that has ended", "exp", json!(now - 31), "expired_credential"),
        ("with an end that is a text", "exp", json!((now + 60).to_string()), "missing_claim"),
        ("with an end far away", "exp", json!(1e30), "missing_claim"),
        ("with an end before all time", "exp", json!(-1), "missing_claim"),
        ("for longer than an hour", "exp", json!(now + 3_700), "lifetime_too_long"),
        ("of the future", "iat", json!(now + 120), "not_yet_valid"),
        ("that counts later", "nbf", json!(now + 120), "not_yet_valid"),
        ("about nobody", "sub", Value::Null, "subject_not_allowed"),
        ("about an empty name", "sub", json!(""), "subject_not_allowed"),
        ("about several", "sub", json!(["system:serviceaccount:agents:runner"]), "subject_not_allowed"),
        ("about another namespace", "sub", json!("system:serviceaccount:kube-system:runner"), "subject_not_allowed"),
        ("about a longer name", "sub", json!("system:serviceaccount:agents:runner:x"), "subject_not_allowed"),
        ("of another namespace", "kubernetes.io", json!({"namespace": "other"}), "predicate_failed"),
        ("of no namespace", "kubernetes.io", Value::Null, "predicate_failed"),
        ("of other roles", "roles", json!(["admin"]), "predicate_failed"),
        // A logout token need not say its type: it speaks of somebody, not for them.
        ("of an event", "events", json!({"http://schemas.openid.net/event/backchannel-logout": {}}), "missing_claim"),
    ] {
        let token = works.cluster.signed(&but(works.runner(), name, value));
        let reply = works.lists(&token, "alpha").await;
        assert_eq!(reply.status, 401, "{attack}: {}", reply.text());
        assert_eq!(works.reason(), reason, "{attack}");
    }
    for (attack, claims, reason) in [
        ("a service account of another project", works.account("agent-7@evil.iam.gserviceaccount.com"), "service_account_not_allowed"),
        ("another service account", works.account("owner@prod.iam.gserviceaccount.com"), "service_account_not_allowed"),
        (
            "an address that is not verified",
            but(works.account("agent-7@prod.iam.gserviceaccount.com"), "email_verified", json!("true")),
            "domain_not_allowed",
        ),
        ("a person of nowhere", works.account("ann@acme.example"), "domain_not_allowed"),
        ("a person of another domain", but(works.account("ann@acme.example"), "hd", json!("evil.test")), "domain_not_allowed"),
        (
            "a token for gcloud",
            but(works.account("agent-7@prod.iam.gserviceaccount.com"), "aud", json!("32555940559.apps.googleusercontent.com")),
            "wrong_audience",
        ),
    ] {
        let reply = works.lists(&works.google.sign(Signature::Right, &claims), "alpha").await;
        assert_eq!(reply.status, 401, "{attack}: {}", reply.text());
        assert_eq!(works.reason(), reason, "{attack}");
    }
    for id in
        ["spiffe://prod.acme.example", "spiffe://prod.acme.example/", "spiffe://prod.acme.example/a//b", "spiffe://prod.acme.example/../x"]
    {
        let svid = json!({"sub": id, "aud": [alpha], "exp": now + 300});
        let reply = works.lists(&works.mesh.sign(Signature::Right, &svid), "alpha").await;
        assert_eq!(reply.status, 401, "{id}: {}", reply.text());
    }
    // The keys of one issuer show nothing of another.
    let forged = works.google.sign(Signature::Right, &works.runner());
    assert_eq!(works.lists(&forged, "alpha").await.status, 401);
    works.close(&[&forged]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rs_04_tokens_of_others_count_at_their_door_and_in_their_header_alone() {
    let works = works().await;
    let token = works.cluster.signed(&works.runner());
    let at_the_other = Key { path: "/s", ..key(&token) };
    let reply = works.house.ask(modern(&at_the_other, "alpha", 1, "tools/list", json!({}))).await;
    assert_eq!(reply.status, 401, "{}", reply.text());
    let header = "X-Goog-Iap-Jwt-Assertion";
    let assertion = json!({
        "iss": "https://cloud.google.com/iap", "sub": "accounts.google.com:42", "aud": "/projects/1/global/backendServices/2",
        "email": "ann@acme.example", "iat": works.now(), "exp": works.now() + 600,
    });
    let good = works.proxy.sign(Signature::Right, &assertion);
    let bare = || modern(&key("x"), "alpha", 1, "tools/list", json!({})).without("Authorization");
    let reply = works.house.ask(bare().field(header, &good)).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(works.house.ask(bare().field(header, &works.proxy.sign(Signature::ForeignKey, &assertion))).await.status, 401);
    assert_eq!(works.house.ask(bare().field(header, &good).field(header, &good)).await.status, 401, "two are none");
    assert_eq!(works.house.ask(bare().field(header, &token)).await.status, 401, "a token of the cluster in the header of the proxy");
    assert_eq!(works.lists(&good, "alpha").await.status, 401, "and the other way round");
    assert_eq!(works.house.ask(bare().field("X-Goog-Authenticated-User-Email", "ann@acme.example")).await.status, 401, "no signature");
    // A token of another issuer beside it, good or not: nobody could tell who is meant.
    let both = modern(&key(&token), "alpha", 1, "tools/list", json!({})).field(header, &good);
    assert_eq!(works.house.ask(both).await.status, 400);
    let foreign = key("ghp_012345678901234567890123456789012345");
    let noted = works.house.recorded("event", "foreign_credential").len();
    assert_eq!(works.house.ask(modern(&foreign, "alpha", 1, "tools/list", json!({})).field(header, &good)).await.status, 200);
    assert_eq!(works.house.recorded("event", "foreign_credential").len(), noted + 1, "what somebody else's credential was, is on record");
    // One of our own beside it: nobody could tell who is meant.
    let own = works.house.full("ann").await;
    let reply = works.house.ask(modern(&own, "alpha", 1, "tools/list", json!({})).field(header, &good)).await;
    assert_eq!(reply.status, 400, "{}", reply.text());
    let opposite = modern(&Key { path: "/s", ..key("x") }, "alpha", 1, "tools/list", json!({})).without("Authorization");
    assert_eq!(works.house.ask(opposite.field(header, &good)).await.status, 401, "not at the other door");
    works.close(&[&token, &good]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rs_08_whom_an_administrator_disabled_is_nobody_within_seconds() {
    let works = works().await;
    let token = works.cluster.signed(&works.runner());
    assert_eq!(works.lists(&token, "alpha").await.status, 200);
    let user = UserId::new(&works.cluster.issuer(), "system:serviceaccount:agents:runner").expect("user");
    works.house.store.disable_user(&user, works.house.env.now()).await.expect("disabled");
    assert!(within(Duration::from_secs(5), async || works.lists(&token, "alpha").await.status == 401).await);
    assert_eq!(works.reason(), "user_disabled");
    let mut grant = works.runner();
    grant["aud"] = json!(format!("http://{}", works.house.address));
    let assertion = works.cluster.signed(&grant);
    let reply = works.house.token_request(&[("grant_type", BEARER), ("assertion", &assertion)]).await;
    assert_eq!(error_of(&reply), (400, "invalid_grant".to_owned()), "{}", reply.text());
    works.close(&[&token, &assertion]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rs_11_the_client_of_an_issuer_that_is_blocked_is_nobody_and_buys_nothing() {
    let works = works().await;
    let token = works.cluster.signed(&works.runner());
    assert_eq!(works.lists(&token, "alpha").await.status, 200);
    let mut grant = works.runner();
    grant["aud"] = json!(format!("http://{}", works.house.address));
    let assertion = works.cluster.signed(&grant);
    let buys = async || works.house.token_request(&[("grant_type", BEARER), ("assertion", &assertion)]).await;
    let bought = buys().await.json()["access_token"].as_str().expect("a token").to_owned();
    let own = Key { path: "/s", ..key(&bought) };
    let calls = async || works.house.ask(modern(&own, "alpha", 1, "tools/list", json!({}))).await.status;
    assert_eq!(calls().await, 200);
    let since = works.house.env.now();
    let block = doorward_store::Block { digest: sha256(b"idp:cluster"), client: None, reason: None, since };
    assert!(works.house.store.block_client(&block, OnRecord::Later).await.expect("blocked"));
    assert_eq!(error_of(&buys().await), (400, "invalid_grant".to_owned()));
    assert!(within(Duration::from_secs(5), async || works.lists(&token, "alpha").await.status == 401).await);
    assert_eq!(works.reason(), "client_blocked");
    assert!(within(Duration::from_secs(5), async || calls().await == 401).await, "what it bought before");
    let google = works.google.sign(Signature::Right, &works.account("agent-7@prod.iam.gserviceaccount.com"));
    assert_eq!(works.lists(&google, "alpha").await.status, 200, "another issuer");
    works.close(&[&token, &assertion, &bought]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flt_08_keys_change_and_go_away_and_nobody_else_comes_in() {
    let works = works().await;
    let first = works.cluster.signed(&works.runner());
    works.cluster.behave(|manners| manners.down = Some(503));
    let reply = works.lists(&first, "alpha").await;
    assert_eq!(reply.status, 503, "no keys yet: nobody knows whether it is good");
    assert!(reply.field("retry-after").is_some(), "{}", reply.text());
    works.cluster.behave_well();
    works.house.shift.by(11);
    let first = works.cluster.signed(&works.runner());
    assert_eq!(works.lists(&first, "alpha").await.status, 200, "without a restart");
    // New keys are read when one is named that nobody has seen.
    works.house.shift.by(31);
    works.cluster.rotate().expect("a new key");
    let second = works.cluster.signed(&works.runner());
    assert_eq!(works.lists(&second, "alpha").await.status, 200);
    // A flood of keys that nobody has is one question, and holds up nobody.
    let asked = works.cluster.asked("/jwks");
    for number in 0..40 {
        let token = Signer::new(&format!("flood-{number}")).expect("a key").sign(Signature::Right, &works.runner());
        assert_eq!(works.lists(&token, "alpha").await.status, 401);
    }
    assert_eq!(works.cluster.asked("/jwks") - asked, 0, "asked less than half a minute ago");
    // What was said last counts while the issuer is away.
    works.cluster.behave(|manners| manners.down = Some(500));
    works.house.shift.by(7_200);
    let third = works.cluster.signed(&works.runner());
    assert_eq!(works.lists(&third, "alpha").await.status, 200, "its keys are known");
    works.house.shift.by(90_000);
    let fourth = works.cluster.signed(&works.runner());
    assert_eq!(works.lists(&fourth, "alpha").await.status, 503, "for a day");
    // An empty set and a page wipe no good keys.
    works.cluster.behave_well();
    works.house.shift.by(11);
    let fifth = works.cluster.signed(&works.runner());
    assert_eq!(works.lists(&fifth, "alpha").await.status, 200);
    works.cluster.behave(|manners| manners.keys = Keys::None);
    works.house.shift.by(7_200);
    let sixth = works.cluster.signed(&works.runner());
    assert_eq!(works.lists(&sixth, "alpha").await.status, 200);
    works.cluster.behave(|manners| manners.keys = Keys::Page);
    works.house.shift.by(7_200);
    assert_eq!(works.lists(&works.cluster.signed(&works.runner()), "alpha").await.status, 200);
    works.close(&[&first, &second, &third, &fourth, &fifth, &sixth]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tk_12_a_token_of_an_issuer_buys_one_of_ours() {
    let works = works().await;
    let root = format!("http://{}", works.house.address);
    let mut claims = works.runner();
    claims["aud"] = json!(root);
    let assertion = works.cluster.signed(&claims);
    let fields = [("grant_type", BEARER), ("assertion", assertion.as_str())];
    let reply = works.house.token_request(&fields).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let json = reply.json();
    assert_eq!(json["scope"], "alpha:read");
    assert!(json.get("refresh_token").is_none(), "it has its platform");
    let access = json["access_token"].as_str().expect("a token").to_owned();
    let own = Key { path: "/s", ..key(&access) };
    assert_eq!(works.house.ask(modern(&own, "alpha", 1, "tools/list", json!({}))).await.status, 200);
    assert_eq!(works.house.ask(modern(&own, "beta", 1, "tools/list", json!({}))).await.status, 401);
    let issued = works.house.recorded("event", "own_token_issued");
    assert_eq!(issued[0]["client"], "idp:cluster", "{}", issued[0]);
    // What is for a call is for no grant, and the other way round.
    assert_eq!(works.lists(&assertion, "alpha").await.status, 401);
    let direct = works.cluster.signed(&works.runner());
    let grant = ("grant_type", BEARER);
    let invalid = (400, "invalid_grant".to_owned());
    assert_eq!(error_of(&works.house.token_request(&[grant, ("assertion", &direct)]).await), invalid);
    let foreign = works.google.sign(Signature::Right, &claims);
    assert_eq!(error_of(&works.house.token_request(&[grant, ("assertion", &foreign)]).await), invalid);
    for text in ["", "a", "a.b.c", &access, &"a".repeat(20_000)] {
        let reply = works.house.token_request(&[grant, ("assertion", text)]).await;
        assert!(matches!(reply.status, 400 | 413), "{}", reply.text());
    }
    assert_eq!(error_of(&works.house.token_request(&[grant]).await), (400, "invalid_request".to_owned()));
    let [alpha, beta] = ["alpha", "beta"].map(|name| works.house.resource(name));
    for (more, wanted) in [
        (("scope", "alpha:read alpha:write"), "invalid_scope"),
        (("scope", "everything"), "invalid_scope"),
        (("resource", beta.as_str()), "invalid_target"),
        (("resource", "https://evil.test/"), "invalid_target"),
        (("client_secret", "x"), "invalid_request"),
    ] {
        let reply = works.house.token_request(&[fields[0], fields[1], more]).await;
        assert_eq!(error_of(&reply), (400, wanted.to_owned()), "{more:?}: {}", reply.text());
    }
    let reply = works.house.token_request(&[fields[0], fields[1], ("resource", &alpha), ("client_id", "anybody")]).await;
    assert_eq!(reply.status, 200, "a name alone changes nothing: {}", reply.text());
    works.close(&[&assertion, &direct, &access]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ses_06_a_session_goes_on_with_the_next_token_and_is_nobody_elses() {
    let works = works().await;
    let first = works.cluster.signed(&works.runner());
    let session = works.house.session(&key(&first), "alpha").await;
    let listed = async |token: &str| works.house.ask(legacy(&key(token), "alpha", &session, 1, "tools/list", json!({}))).await.status;
    assert_eq!(listed(&first).await, 200);
    works.house.shift.by(590);
    let second = works.cluster.signed(&works.runner());
    works.house.shift.by(60);
    assert_eq!(listed(&first).await, 401, "over");
    assert_eq!(listed(&second).await, 200, "the next token of the same workload");
    let other = works.cluster.signed(&but(works.runner(), "sub", json!("system:serviceaccount:agents:other")));
    assert_eq!(listed(&other).await, 404, "another workload, as if there were no such session");
    works.close(&[&first, &second, &other]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rs_07_what_the_configuration_takes_away_is_gone() {
    let works = works().await;
    let mut claims = works.runner();
    claims["aud"] = json!(format!("http://{}", works.house.address));
    let assertion = works.cluster.signed(&claims);
    let reply = works.house.token_request(&[("grant_type", BEARER), ("assertion", &assertion)]).await;
    let access = reply.json()["access_token"].as_str().expect("a token").to_owned();
    let own = Key { path: "/s", ..key(&access) };
    let (issuer, alpha) = (works.cluster.issuer(), server("alpha", &works.alpha.url(), ""));
    let mut state = works.house.state.taken_over();
    works.house.close(&[]).await;
    let table =
        |more: &str| format!("{alpha}[idp.cluster]\nkind = \"kubernetes\"\nissuer = \"{issuer}\"\nscopes = [\"alpha:read\"]\n{more}");
    for (toml, status) in [
        (table(""), 200),
        (table("subject_pattern = [\"system:serviceaccount:other:*\"]\n"), 401),
        (format!("{}[clients]\nblock = [\"idp:cluster\"]\n", table("")), 401),
        (alpha.clone(), 401),
    ] {
        let house = House::over(state, &toml, LAPTOP).await;
        assert_eq!(house.ask(modern(&own, "alpha", 1, "tools/list", json!({}))).await.status, status, "{toml}");
        state = house.state.taken_over();
        house.close(&[&access]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ses_06_a_token_for_one_server_ends_nothing_at_another() {
    let slow = Lax::start(Behaviour::plain()).await.unwrap();
    let issuer = Provider::start().await.expect("an issuer");
    let servers = format!("{}{}", server("alpha", &slow.url(), ""), server("beta", &slow.url(), ""));
    let scopes = r#"scopes = ["alpha:read", "alpha:write", "alpha:destructive", "beta:read"]"#;
    let house = House::open(&format!("{servers}[idp.jobs]\nkind = \"jwt\"\nissuer = \"{}\"\n{scopes}\n", issuer.issuer())).await;
    house.approve().await;
    let now = house.env.now().as_millis() / 1_000;
    let of = |server: &str| {
        let aud = format!("http://{}/k/{server}/mcp", house.address);
        key(&issuer.signed(&json!({"iss": issuer.issuer(), "sub": "job", "aud": aud, "iat": now, "exp": now + 600})))
    };
    let (alpha, beta) = (of("alpha"), of("beta"));
    let session = house.session(&alpha, "alpha").await;
    let steps = json!({"name": "slow", "arguments": {"count": 600, "ms": 100}, "_meta": {"progressToken": "p"}});
    let mut call = house.flow(legacy(&alpha, "alpha", &session, 1, "tools/call", steps)).await;
    let get = house.flow(listen(&alpha, "alpha", &session)).await;
    assert_eq!((call.status, get.status), (200, 200));
    assert_eq!(call.message().await.expect("progress")["method"], "notifications/progress");
    assert_eq!(house.ask(legacy(&beta, "beta", &house.session(&beta, "beta").await, 1, "tools/list", json!({}))).await.status, 200);
    assert_eq!(house.ask(legacy(&beta, "alpha", &session, 2, "tools/list", json!({}))).await.status, 401, "not for this one");
    // Another epoch: everything that is open is looked at anew, and goes on.
    let somebody = UserId::new("local", "somebody").expect("user");
    house.store.disable_user(&somebody, house.env.now()).await.expect("disabled");
    house.heard_of(house.store.epoch().await.expect("an epoch")).await;
    for _ in 0..30 {
        let message = call.message().await.expect("the call goes on");
        assert_eq!(message["method"], "notifications/progress", "{message}");
    }
    // And this one ends with the one that it is of.
    let job = UserId::new(&issuer.issuer(), "job").expect("user");
    house.store.disable_user(&job, house.env.now()).await.expect("disabled");
    tokio::time::timeout(Duration::from_secs(5), call.rest()).await.expect("the call ends");
    house.close(&[&alpha.text, &beta.text]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rs_11_every_client_that_an_issuer_names_is_blocked_with_it() {
    let alpha = Lax::start(Behaviour::plain().with(Quirk::Modern)).await.unwrap();
    let issuer = Provider::start().await.expect("an issuer");
    let table = format!("[idp.jobs]\nkind = \"jwt\"\nissuer = \"{}\"\nscopes = [\"alpha:read\"]\n", issuer.issuer());
    let house = House::open(&format!("{}{table}", server("alpha", &alpha.url(), ""))).await;
    house.approve().await;
    let now = house.env.now().as_millis() / 1_000;
    let root = format!("http://{}", house.address);
    let claims = json!({"iss": issuer.issuer(), "sub": "bob", "azp": "app", "aud": root, "iat": now, "exp": now + 600});
    let assertion = issuer.signed(&claims);
    let buys = async || house.token_request(&[("grant_type", BEARER), ("assertion", &assertion)]).await;
    assert_eq!(buys().await.status, 200);
    let block = doorward_store::Block { digest: sha256(b"idp:jobs"), client: None, reason: None, since: house.env.now() };
    assert!(house.store.block_client(&block, OnRecord::Later).await.expect("blocked"));
    assert_eq!(error_of(&buys().await), (400, "invalid_grant".to_owned()), "nothing is given to what may not be used");
    house.close(&[&assertion]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rs_08_a_token_that_names_no_groups_does_not_take_them_away() {
    let alpha = Lax::start(Behaviour::plain().with(Quirk::Modern)).await.unwrap();
    let issuer = Provider::start().await.expect("an issuer");
    let rest = "groups_claim = \"groups\"\nscopes = [\"alpha:read\"]\n";
    let table = format!("[idp.jobs]\nkind = \"jwt\"\nissuer = \"{}\"\n{rest}", issuer.issuer());
    let house = House::open(&format!("{}{table}", server("alpha", &alpha.url(), ""))).await;
    house.approve().await;
    let now = house.env.now().as_millis() / 1_000;
    let root = format!("http://{}", house.address);
    let claims = |aud: &str, groups: Value| {
        let claims = json!({"iss": issuer.issuer(), "sub": "bob", "aud": aud, "iat": now, "exp": now + 600});
        issuer.signed(&but(claims, "groups", groups))
    };
    let grant = async |token: &str| house.token_request(&[("grant_type", BEARER), ("assertion", token)]).await;
    assert_eq!(grant(&claims(&root, json!(["contractors"]))).await.status, 200);
    let bob = UserId::new(&issuer.issuer(), "bob").expect("user");
    let groups = async || house.store.groups_of(&bob).await.expect("groups").iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(groups().await, ["contractors"]);
    let silent = claims(&root, Value::Null);
    assert_eq!(error_of(&grant(&silent).await), (400, "invalid_grant".to_owned()));
    assert_eq!(groups().await, ["contractors"], "unknown is not none");
    let direct = claims(&format!("{root}/k/alpha/mcp"), Value::Null);
    assert_eq!(house.ask(modern(&key(&direct), "alpha", 1, "tools/list", json!({}))).await.status, 401);
    assert_eq!(house.last_reason(), "bad_groups");
    house.close(&[&silent, &direct]).await;
}
