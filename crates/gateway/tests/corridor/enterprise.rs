//! Enterprise-managed authorization (ID-JAG): an identity provider decides for people which clients may act for them (TK-12, REG-04).

use super::desk::{error_of, token_ask};
use super::house::{Directory, House, Key, LAPTOP, server};
use super::speak::{modern, modern_call};
use super::wire::Reply;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use doorward_core::id::{CredentialId, UserId};
use doorward_testkit::lax::Lax;
use doorward_testkit::lax::quirk::{Behaviour, Quirk};
use doorward_testkit::provider::{Provider, Signature};
use serde_json::{Value, json};

const SECRET: &str = "correct-horse-battery-staple-0123";
const GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

struct Works {
    alpha: Lax,
    house: House,
    provider: Provider,
}

async fn works() -> Works {
    let alpha = Lax::start(Behaviour::plain().with(Quirk::Modern)).await.unwrap();
    let provider = Provider::start().await.expect("a provider");
    let clients = format!(
        r#"
        [idp.okta]
        issuer = "{}"
        client_id = "doorward"
        client_secret = "plain:secret"
        [login]
        allowed_email_domains = ["acme.example"]
        allowed_groups = ["staff"]
        [clients.enterprise_managed]
        issuer = "okta"
        clients = ["agent"]
        scopes = ["alpha:read", "alpha:destructive"]
        [[clients.static]]
        id = "agent"
        auth = {{ kind = "secret", secret = "plain:{SECRET}" }}
        [[clients.static]]
        id = "other"
        auth = {{ kind = "secret", secret = "plain:{SECRET}" }}
        redirect_uris = ["https://other.example/callback"]
        "#,
        provider.issuer()
    );
    let toml = format!("{}{}{clients}", server("alpha", &alpha.url(), ""), server("beta", &alpha.url(), ""));
    let house = House::over(Directory::new(), &toml, LAPTOP).await;
    house.approve().await;
    Works { alpha, house, provider }
}

impl Works {
    /// What the provider grants `agent` for Ann at alpha.
    fn claims(&self, jti: &str) -> Value {
        let now = self.house.env.now().as_millis() / 1_000;
        json!({
            "iss": self.provider.issuer(), "sub": "ann", "aud": format!("http://{}", self.house.address), "client_id": "agent",
            "resource": self.house.resource("alpha"), "scope": "alpha:read", "iat": now, "exp": now + 300, "jti": jti,
            "email": "ann@acme.example", "email_verified": true, "groups": ["staff"],
        })
    }

    /// Signed by the provider, as the kind of token that it is.
    fn signed(&self, claims: &Value) -> String {
        self.provider.signed_kind("oauth-id-jag+jwt", claims)
    }

    async fn shown(&self, assertion: &str, more: &[(&str, &str)]) -> Reply {
        self.shown_by("agent", assertion, more).await
    }

    async fn shown_by(&self, client: &str, assertion: &str, more: &[(&str, &str)]) -> Reply {
        let mut all = vec![("grant_type", GRANT), ("assertion", assertion)];
        all.extend(more);
        let basic = format!("Basic {}", STANDARD.encode(format!("{client}:{SECRET}")));
        self.house.ask(token_ask(&all).field("Authorization", &basic)).await
    }

    fn key(&self, reply: &Reply) -> Key {
        assert_eq!(reply.status, 200, "{}", reply.text());
        let json = reply.json();
        assert!(json.get("refresh_token").is_none(), "the provider says it again");
        let text = json["access_token"].as_str().expect("a token").to_owned();
        let user = UserId::new(&self.provider.issuer(), "ann").expect("user");
        Key { text, id: CredentialId::new("own").expect("id"), user, path: "/s" }
    }

    fn reason(&self) -> String {
        self.house.records().last().expect("a record")["reason"].as_str().unwrap_or_default().to_owned()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_lets_a_client_act_for_a_person_who_may_come_in() {
    let works = works().await;
    let assertion = works.signed(&works.claims("first"));
    let key = works.key(&works.shown(&assertion, &[]).await);
    let called = works.house.ask(modern_call(&key, "alpha", 1, "echo", json!({"text": "for Ann"}))).await;
    assert_eq!(called.status, 200, "{}", called.text());
    let records = works.house.records();
    let intent = records.iter().rfind(|record| record["kind"] == "intent").expect("an intent");
    assert_eq!(intent["user"], json!({"iss": works.provider.issuer(), "sub": "ann"}), "{intent}");
    assert_eq!(intent["client"], "agent");
    assert_eq!(works.house.recorded("event", "enterprise_token_issued").len(), 1, "on record as what it is");
    assert_eq!(works.house.ask(modern(&key, "beta", 1, "tools/list", json!({}))).await.status, 401, "one audience");
    assert_eq!(works.alpha.seen_method("tools/call").len(), 1);
    // Once.
    assert_eq!(error_of(&works.shown(&assertion, &[]).await), (400, "invalid_grant".to_owned()));
    assert_eq!(works.reason(), "replayed_assertion");
    // Scopes only become less: what the provider grants, what the configuration lets it, what is asked for.
    let mut wide = works.claims("wide");
    wide["scope"] = json!("alpha:read alpha:write alpha:destructive");
    let reply = works.shown(&works.signed(&wide), &[]).await;
    assert_eq!(reply.json()["scope"], "alpha:destructive alpha:read", "{}", reply.text());
    let mut wide = works.claims("narrowed");
    wide["scope"] = json!("alpha:read alpha:destructive");
    let reply = works.shown(&works.signed(&wide), &[("scope", "alpha:read")]).await;
    assert_eq!(reply.json()["scope"], "alpha:read", "{}", reply.text());
    let more = works.shown(&works.signed(&works.claims("more")), &[("scope", "alpha:destructive")]).await;
    assert_eq!(error_of(&more).0, 400, "{}", more.text());
    let mut silent = works.claims("silent");
    silent.as_object_mut().expect("claims").remove("scope");
    assert_eq!(works.shown(&works.signed(&silent), &[]).await.json()["scope"], "alpha:read", "for reading");
    works.house.close(&[SECRET, &assertion, &key.text]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tk_12_a_grant_that_is_not_for_this_client_here_and_now_is_none() {
    let works = works().await;
    let invalid = (400, "invalid_grant".to_owned());
    let now = works.house.env.now().as_millis() / 1_000;
    let root = format!("http://{}", works.house.address);
    for (attack, name, value, reason) in [
        ("of another provider", "iss", json!("https://evil.test"), "wrong_issuer"),
        ("for another server", "aud", json!("https://evil.test"), "wrong_audience"),
        ("for us and another", "aud", json!([root, "https://evil.test"]), "wrong_audience"),
        ("for us with a slash", "aud", json!(format!("{root}/")), "wrong_audience"),
        ("for another client", "client_id", json!("other"), "assertion_client"),
        ("for no client", "client_id", Value::Null, "assertion_client"),
        ("without a resource", "resource", Value::Null, "no_resource"),
        ("without end", "exp", Value::Null, "missing_claim"),
        ("that has ended", "exp", json!(now - 31), "expired_credential"),
        ("made minutes ago", "iat", json!(now - 151), "too_old"),
        ("for an hour", "exp", json!(now + 3_600), "lifetime_too_long"),
        ("of the future", "iat", json!(now + 120), "not_yet_valid"),
        ("about nobody", "sub", Value::Null, "subject_not_allowed"),
        ("without a name", "jti", Value::Null, "assertion_id"),
        ("for somebody of another domain", "email", json!("ann@evil.test"), "sign_in_not_allowed"),
        ("for somebody whose address nobody checked", "email_verified", json!(false), "sign_in_not_allowed"),
        ("for somebody in no group", "groups", json!([]), "sign_in_not_allowed"),
        ("with groups that are none", "groups", json!({"staff": true}), "bad_groups"),
    ] {
        let mut claims = works.claims(attack);
        match value {
            Value::Null => drop(claims.as_object_mut().expect("claims").remove(name)),
            value => claims[name] = value,
        }
        let reply = works.shown(&works.signed(&claims), &[]).await;
        assert_eq!(error_of(&reply), invalid, "{attack}: {}", reply.text());
        assert_eq!(works.reason(), reason, "{attack}");
    }
    for (name, resource) in [("of nobody", "https://evil.test/s/alpha/mcp".to_owned()), ("of another", works.house.resource("beta"))] {
        let mut claims = works.claims(name);
        claims["resource"] = json!(resource);
        let reply = works.shown(&works.signed(&claims), &[]).await;
        assert_eq!(error_of(&reply), (400, "invalid_target".to_owned()), "{name}: {}", reply.text());
    }
    let beta = works.house.resource("beta");
    let reply = works.shown(&works.signed(&works.claims("elsewhere")), &[("resource", &beta)]).await;
    assert_eq!(error_of(&reply), (400, "invalid_target".to_owned()));
    // Signed wrongly, or as something else.
    for how in [Signature::None, Signature::PublicKeyAsSecret, Signature::ForeignKey, Signature::OwnKey] {
        let token = works.provider.signed_as(how, &works.claims(&format!("{how:?}")));
        let (_, rest) = token.split_once('.').expect("a token");
        let header = json!({"alg": "RS256", "kid": works.provider.kid(), "typ": "oauth-id-jag+jwt"}).to_string();
        for assertion in [format!("{}.{rest}", URL_SAFE_NO_PAD.encode(header)), token.clone()] {
            assert_eq!(works.shown(&assertion, &[]).await.status, 400, "{how:?}");
        }
    }
    let plain = works.provider.signed(&works.claims("an ID token"));
    assert_eq!(works.shown(&plain, &[]).await.status, 400, "an ID token is no grant");
    works.house.close(&[SECRET, &plain]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reg_04_only_a_named_client_that_proves_itself_brings_grants() {
    let works = works().await;
    let assertion = works.signed(&works.claims("first"));
    let fields = [("grant_type", GRANT), ("assertion", assertion.as_str())];
    assert_eq!(error_of(&works.house.token_request(&fields).await), (401, "invalid_client".to_owned()), "nobody");
    let named = [fields[0], fields[1], ("client_id", "agent")];
    assert_eq!(error_of(&works.house.token_request(&named).await), (401, "invalid_client".to_owned()), "a name alone");
    let wrong = format!("Basic {}", STANDARD.encode("agent:wrong"));
    assert_eq!(works.house.ask(token_ask(&fields).field("Authorization", &wrong)).await.status, 401);
    let mut claims = works.claims("for another");
    claims["client_id"] = json!("other");
    let other = works.shown_by("other", &works.signed(&claims), &[]).await;
    assert_eq!(error_of(&other), (400, "unauthorized_client".to_owned()), "a client that the configuration does not name");
    // None of that used it up. Whom an administrator disabled is nobody.
    let user = UserId::new(&works.provider.issuer(), "ann").expect("user");
    works.house.store.disable_user(&user, works.house.env.now()).await.expect("disabled");
    assert_eq!(error_of(&works.shown(&works.signed(&works.claims("disabled")), &[]).await), (400, "invalid_grant".to_owned()));
    works.house.store.enable_user(&user, works.house.env.now()).await.expect("enabled");
    assert_eq!(works.shown(&assertion, &[]).await.status, 200);
    works.house.close(&[SECRET, &assertion]).await;
}
