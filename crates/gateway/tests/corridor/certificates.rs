//! Certificates of clients: a workload of the mesh comes in at `/k/...` by what its connection shows, and by nothing that it says (RS-10).

use super::house::{Directory, House, Key, LAPTOP, server, within};
use super::speak::{initialize, legacy, listen, modern, modern_call};
use super::wire::{Ask, Line, Reply};
use doorward_core::id::{CredentialId, UserId};
use doorward_core::secret::sha256;
use doorward_store::OnRecord;
use doorward_testkit::lax::Lax;
use doorward_testkit::lax::quirk::{Behaviour, Quirk};
use doorward_testkit::provider::Signature;
use doorward_testkit::provider::sign::Signer;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, SanType, date_time_ymd,
};
use rustls::client::Resumption;
use rustls::{ClientConfig, HandshakeKind, RootCertStore};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use serde_json::{Value, json};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

const HOST: &str = "mcp.acme.example";
const TD: &str = "spiffe://prod.acme.example";
const RUNNER: &str = "spiffe://prod.acme.example/ns/agents/sa/runner";
type Authority = CertifiedIssuer<'static, KeyPair>;

/// A house that ends TLS itself, and a mesh whose workloads it knows by their certificates and their tokens. Beside it a proxy says who calls.
struct Works {
    alpha: Lax,
    house: House,
    mesh: Authority,
    tokens: Signer,
    proxy: Signer,
    own: CertificateDer<'static>,
}

/// What a client shows.
struct Shown {
    chain: Vec<CertificateDer<'static>>,
    key: Vec<u8>,
}

fn authority() -> Authority {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority")
}

fn uri(text: &str) -> SanType {
    SanType::URI(text.try_into().expect("ASCII"))
}

fn key(text: &str, path: &'static str) -> Key {
    let (id, user) = (CredentialId::new("certificate").expect("id"), UserId::new("local", "nobody").expect("user"));
    Key { text: text.to_owned(), id, user, path }
}

/// Without a credential in it.
fn lists() -> Ask {
    modern(&key("x", "/k"), "alpha", 1, "tools/list", json!({})).without("Authorization")
}

async fn works() -> Works {
    let alpha = Lax::start(Behaviour::plain().with(Quirk::Modern)).await.unwrap();
    let (state, mesh) = (Directory::new(), authority());
    let own = rcgen::generate_simple_self_signed(vec![HOST.to_owned()]).expect("a certificate");
    let [tokens, proxy] = ["tokens", "proxy"].map(|id| Signer::new(id).expect("a key"));
    let mut bundle = tokens.jwk();
    bundle["use"] = json!("jwt-svid");
    bundle.as_object_mut().expect("a key").remove("alg");
    for (name, text) in [
        ("cert.pem", own.cert.pem()),
        ("key.pem", own.signing_key.serialize_pem()),
        ("mesh.pem", mesh.pem()),
        ("mesh.json", json!({"keys": [bundle]}).to_string()),
        ("proxy.json", json!({"keys": [proxy.jwk()]}).to_string()),
    ] {
        std::fs::write(state.path().join(name), text).expect("written");
    }
    let toml = format!(
        r#"
        public_url = "https://{HOST}"
        {}
        [idp.mesh]
        kind = "spiffe"
        issuer = "{TD}"
        svids = ["jwt", "x509"]
        jwks = "mesh.json"
        subject_pattern = ["{TD}/ns/agents/sa/*"]
        scopes = ["alpha:read", "alpha:write", "alpha:destructive"]
        [idp.proxy]
        kind = "gcp-iap"
        jwks = "proxy.json"
        algs = ["RS256"]
        audience = ["/projects/1/global/backendServices/2"]
        scopes = ["alpha:read"]
        "#,
        server("alpha", &alpha.url(), "")
    );
    let listen = r#"tls = { cert = "cert.pem", key = "file:key.pem", client_ca = "mesh.pem" }"#;
    let house = House::built(state, &toml, LAPTOP, (listen, doorward_gateway::setup::PROVIDER_PATIENCE)).await;
    house.approve().await;
    Works { alpha, house, mesh, tokens, proxy, own: own.cert.der().clone() }
}

impl Works {
    fn now(&self) -> u64 {
        self.house.env.now().as_millis() / 1_000
    }

    /// What the mesh writes for a workload, for ten minutes, with something changed.
    fn params(&self, id: &str, change: impl FnOnce(&mut CertificateParams)) -> CertificateParams {
        let at = |second: u64| date_time_ymd(1970, 1, 1) + Duration::from_secs(second);
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![uri(id)];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        (params.not_before, params.not_after) = (at(self.now() - 10), at(self.now() + 600));
        change(&mut params);
        params
    }

    fn made(&self, id: &str, change: impl FnOnce(&mut CertificateParams)) -> Shown {
        self.by(&self.mesh, id, change)
    }

    fn by(&self, authority: &Authority, id: &str, change: impl FnOnce(&mut CertificateParams)) -> Shown {
        let key = KeyPair::generate().expect("a key");
        let made = self.params(id, change).signed_by(&key, authority).expect("a certificate");
        Shown { chain: vec![made.der().clone()], key: key.serialize_der() }
    }

    fn client(&self, shown: Option<&Shown>, alpn: &[&[u8]]) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.own.clone()).expect("a root");
        let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots);
        let mut config = match shown {
            None => builder.with_no_client_auth(),
            Some(shown) => {
                let key = PrivateKeyDer::try_from(shown.key.clone()).expect("a key");
                builder.with_client_auth_cert(shown.chain.clone(), key).expect("a pair")
            }
        };
        config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
        config.resumption = Resumption::in_memory_sessions(8);
        config
    }

    async fn dial(&self, config: &Arc<ClientConfig>) -> io::Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(self.house.address).await.expect("the gateway listens");
        TlsConnector::from(Arc::clone(config)).connect(ServerName::try_from(HOST).expect("a name"), stream).await
    }

    async fn line(&self, shown: Option<&Shown>) -> Line {
        let config = Arc::new(self.client(shown, &[b"http/1.1"]));
        Line::over(self.dial(&config).await.expect("a handshake"), HOST)
    }

    /// One request on a connection of its own.
    async fn ask(&self, shown: Option<&Shown>, ask: &Ask) -> Reply {
        self.line(shown).await.ask(ask).await
    }

    /// Whether whoever shows this has no connection. In TLS 1.3 a client learns of it when it reads.
    async fn has_no_connection(&self, shown: &Shown) -> bool {
        let config = Arc::new(self.client(Some(shown), &[b"http/1.1"]));
        match self.dial(&config).await {
            Err(_) => true,
            Ok(stream) => {
                let mut line = Line::over(stream, HOST);
                line.write(&Ask::new("GET", "/healthz").bytes(HOST)).await;
                line.is_over().await
            }
        }
    }

    /// A token of the mesh for the same workload.
    fn token(&self, id: &str) -> String {
        let aud = format!("https://{HOST}/k/alpha/mcp");
        self.tokens.sign(Signature::Right, &json!({"sub": id, "aud": [aud], "exp": self.now() + 300}))
    }

    /// Of the last call that began.
    fn intent(&self) -> Value {
        self.house.records().into_iter().rfind(|record| record["kind"] == "intent").expect("an intent")
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rs_10_a_workload_is_who_its_certificate_says() {
    let works = works().await;
    let runner = works.made(RUNNER, |_| {});
    let mut line = works.line(Some(&runner)).await;
    let call = |id: u64| modern_call(&key("x", "/k"), "alpha", id, "echo", json!({"text": "from the mesh"})).without("Authorization");
    for id in 1..=3 {
        let called = line.ask(&call(id)).await;
        assert_eq!(called.status, 200, "{}", called.text());
    }
    let intent = works.intent();
    assert_eq!((&intent["user"], &intent["client"]), (&json!({"iss": TD, "sub": RUNNER}), &json!("idp:mesh")), "{intent}");
    let accepted = works.house.recorded("event", "identity_accepted");
    let print: String = sha256(&runner.chain[0]).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(accepted.len(), 1, "once for a certificate");
    assert_eq!(accepted[0]["cause"], format!("certificate sha256:{print} of idp:mesh"));
    // By a token of the same mesh it is the same, and what one of them did the other did.
    let token = works.token(RUNNER);
    let by_token = works.ask(None, &call(4).bearer(&token)).await;
    assert_eq!(by_token.status, 200, "{}", by_token.text());
    assert_eq!((&works.intent()["user"], &works.intent()["client"]), (&intent["user"], &intent["client"]));
    assert_eq!(works.alpha.seen_method("tools/call").len(), 4);
    // Without a certificate everything is as it was, on the same listener.
    let nobody = works.ask(None, &lists()).await;
    assert_eq!((nobody.status, nobody.field("www-authenticate")), (401, Some("Bearer realm=\"doorward\"")), "{}", nobody.text());
    let ann = works.house.full("ann").await;
    assert_eq!(works.ask(None, &lists().bearer(&ann.text)).await.status, 200);
    works.house.close(&[&token, &ann.text]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ses_06_a_session_goes_on_with_the_next_certificate_and_is_nobody_elses() {
    let works = works().await;
    let runner = works.made(RUNNER, |_| {});
    let opened = initialize(&key("x", "/k"), "alpha", "2025-11-25", json!({})).without("Authorization");
    let opened = works.ask(Some(&runner), &opened).await;
    let session = opened.field("mcp-session-id").expect("a session").to_owned();
    let listed = legacy(&key("x", "/k"), "alpha", &session, 1, "tools/list", json!({})).without("Authorization");
    assert_eq!(works.ask(Some(&runner), &listed).await.status, 200);
    let next = works.made(RUNNER, |_| {});
    assert_eq!(works.ask(Some(&next), &listed).await.status, 200, "with another key: the same workload");
    assert_eq!(works.ask(Some(&works.made(&format!("{TD}/ns/agents/sa/other"), |_| {})), &listed).await.status, 404);
    works.house.close(&[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rs_10_what_is_not_of_the_mesh_has_no_connection() {
    let works = works().await;
    let at = |second: u64| date_time_ymd(1970, 1, 1) + Duration::from_secs(second);
    let now = works.now();
    let foreign = authority();
    let alone = KeyPair::generate().expect("a key");
    let myself = works.params(RUNNER, |_| {}).self_signed(&alone).expect("a certificate");
    // A workload of the mesh that signs for another one.
    let runner = KeyPair::generate().expect("a key");
    let issuer = CertifiedIssuer::signed_by(works.params(RUNNER, |_| {}), runner, &works.mesh).expect("a certificate");
    let mut below = works.by(&issuer, &format!("{TD}/ns/agents/sa/admin"), |_| {});
    below.chain.push(issuer.der().clone());
    let right = works.made(RUNNER, |_| {});
    for (what, shown) in [
        ("of another authority", works.by(&foreign, RUNNER, |_| {})),
        ("of itself", Shown { chain: vec![myself.der().clone()], key: alone.serialize_der() }),
        ("of a workload", below),
        ("over", works.made(RUNNER, |params| params.not_after = at(now - 1))),
        ("of tomorrow", works.made(RUNNER, |params| params.not_before = at(now + 300))),
        ("of an authority", works.made(RUNNER, |params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained))),
        ("for servers", works.made(RUNNER, |params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth])),
        ("with another key", Shown { chain: right.chain.clone(), key: KeyPair::generate().expect("a key").serialize_der() }),
    ] {
        // rustls as a client does not let a key be shown with a certificate of another one.
        if what == "with another key" {
            let key = PrivateKeyDer::try_from(shown.key).expect("a key");
            let signing = rustls::crypto::aws_lc_rs::sign::any_supported_type(&key).expect("a key");
            let forged = rustls::sign::CertifiedKey::new(shown.chain, signing);
            let mut config = works.client(None, &[]);
            config.client_auth_cert_resolver = Arc::new(rustls::sign::SingleCertAndKey::from(forged));
            let stream = works.dial(&Arc::new(config)).await;
            let over = match stream {
                Err(_) => true,
                Ok(stream) => Line::over(stream, HOST).is_over().await,
            };
            assert!(over, "{what}");
            continue;
        }
        assert!(works.has_no_connection(&shown).await, "{what}");
    }
    assert!(!works.has_no_connection(&right).await, "and the right one is right");
    // Nobody is on record: there was no request.
    assert!(works.house.recorded("refused", "no_credential").is_empty());
    works.house.close(&[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rs_10_what_the_mesh_signed_and_is_no_workload_of_ours_is_nobody() {
    let works = works().await;
    let dns = |name: &str| SanType::DnsName(name.try_into().expect("ASCII"));
    let at = |second: u64| date_time_ymd(1970, 1, 1) + Duration::from_secs(second);
    let now = works.now();
    for (what, shown, reason) in [
        ("of two names", works.made(RUNNER, |params| params.subject_alt_names.push(uri(RUNNER))), "no_spiffe_id"),
        ("of a host", works.made(RUNNER, |params| params.subject_alt_names = vec![dns("runner.acme.example")]), "no_spiffe_id"),
        ("of no name", works.made(RUNNER, |params| params.subject_alt_names = Vec::new()), "no_spiffe_id"),
        ("of a page", works.made("https://prod.acme.example/ns/agents/sa/runner", |_| {}), "no_spiffe_id"),
        ("of a trust domain", works.made(TD, |_| {}), "no_spiffe_id"),
        ("with an escape", works.made(&format!("{TD}/ns/agents/sa/%72unner"), |_| {}), "no_spiffe_id"),
        ("of another trust domain", works.made("spiffe://prod.acme/ns/agents/sa/runner", |_| {}), "wrong_issuer"),
        ("of a longer trust domain", works.made(&format!("{TD}.evil.test/ns/agents/sa/runner"), |_| {}), "wrong_issuer"),
        ("of another namespace", works.made(&format!("{TD}/ns/other/sa/runner"), |_| {}), "subject_not_allowed"),
        ("for nothing", works.made(RUNNER, |params| params.key_usages = Vec::new()), "certificate_not_for_this"),
        ("for years", works.made(RUNNER, |params| params.not_after = at(now + 86_400)), "lifetime_too_long"),
    ] {
        let mut line = works.line(Some(&shown)).await;
        let reply = line.ask(&lists()).await;
        assert_eq!(reply.status, 401, "{what}: {}", reply.text());
        assert_eq!(works.house.last_reason(), reason, "{what}");
        assert!(!reply.contains("SPIFFE") && !reply.contains("spiffe"), "the caller is not told which");
        assert_eq!(line.ask(&Ask::new("GET", "/healthz")).await.status, 200, "and the rest is for everybody");
    }
    assert!(works.house.recorded("event", "identity_accepted").is_empty());
    works.house.close(&[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rs_10_no_header_is_a_certificate() {
    let works = works().await;
    let runner = works.made(RUNNER, |_| {});
    let pem = {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.encode(&runner.chain[0])
    };
    let xfcc = format!("By={TD}/doorward;Hash=00;Cert=\"{pem}\";URI={RUNNER}");
    let headers = [
        ("X-Forwarded-Client-Cert", xfcc.as_str()),
        ("X-Client-Cert", &pem),
        ("Client-Cert", &pem),
        ("Client-Cert-Chain", &pem),
        ("X-SSL-Client-Cert", &pem),
        ("X-SSL-Client-S-DN", "CN=runner"),
        ("X-SSL-Client-Verify", "SUCCESS"),
        ("SSL_CLIENT_CERT", &pem),
        ("Ssl-Client-Verify", "SUCCESS"),
        ("X-Amzn-Mtls-Clientcert-Leaf", &pem),
        ("X-ARR-ClientCert", &pem),
        ("X-Forwarded-Tls-Client-Cert", &pem),
        ("X-SPIFFE-ID", RUNNER),
    ];
    let all = headers.iter().fold(lists(), |ask, (name, value)| ask.field(name, value));
    for ask in headers.iter().map(|(name, value)| lists().field(name, value)).chain([all.clone()]) {
        let reply = works.ask(None, &ask).await;
        assert_eq!((reply.status, works.house.last_reason().as_str()), (401, "no_credential"), "{:?}", ask.fields);
    }
    // Beside a certificate they change nothing, and nothing of them goes on to a server.
    let other = works.made(&format!("{TD}/ns/agents/sa/other"), |_| {});
    let call = modern_call(&key("x", "/k"), "alpha", 1, "echo", json!({"text": "x"})).without("Authorization");
    let call = headers.iter().fold(call, |ask, (name, value)| ask.field(name, value));
    assert_eq!(works.ask(Some(&other), &call).await.status, 200);
    assert_eq!(works.intent()["user"]["sub"], format!("{TD}/ns/agents/sa/other"));
    let seen = format!("{:?}", works.alpha.seen_method("tools/call"));
    assert!(!seen.contains(&pem) && !seen.contains(RUNNER) && !seen.contains("CN=runner"), "{seen}");
    works.house.close(&[&pem]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rs_10_a_certificate_counts_on_its_own_and_at_its_door_alone() {
    let works = works().await;
    let runner = works.made(RUNNER, |_| {});
    let ann = works.house.full("ann").await;
    let (own, other) = (works.token(RUNNER), works.token(&format!("{TD}/ns/agents/sa/other")));
    let assertion = json!({
        "iss": "https://cloud.google.com/iap", "sub": "accounts.google.com:42", "aud": "/projects/1/global/backendServices/2",
        "email": "ann@acme.example", "iat": works.now(), "exp": works.now() + 600,
    });
    let assertion = works.proxy.sign(Signature::Right, &assertion);
    let bearer = |token: &str| lists().bearer(token);
    let iap = "X-Goog-Iap-Jwt-Assertion";
    for (beside, ask, reason) in [
        ("a key", bearer(&ann.text), "several_credentials"),
        ("a key that nobody has", bearer("dwk_x"), "several_credentials"),
        ("a token of its own", bearer(&own), "several_credentials"),
        ("a token of another", bearer(&other), "several_credentials"),
        ("a token of somebody else", bearer("ghp_012345678901234567890123456789012345"), "several_credentials"),
        ("the word of a proxy", lists().field(iap, &assertion), "several_credentials"),
        ("a key of another system", lists().field("X-Api-Key", "x"), "several_credentials"),
        ("a key in the address", Ask { target: "/k/alpha/mcp?api_key=x".to_owned(), ..lists() }, "credential_in_query"),
    ] {
        let reply = works.ask(Some(&runner), &ask).await;
        assert_eq!((reply.status, works.house.last_reason().as_str()), (400, reason), "{beside}: {}", reply.text());
    }
    for (beside, value) in [("a scheme that is none", "Basic YTpi"), ("an empty one", "Bearer ")] {
        assert_eq!(works.ask(Some(&runner), &lists().field("Authorization", value)).await.status, 401, "{beside}");
    }
    assert!(works.house.recorded("event", "identity_accepted").is_empty(), "nobody came in by it");
    assert_eq!(works.ask(None, &lists().field(iap, &assertion)).await.status, 200, "each on its own");
    // At the other door it is nobody, and in nobody's way.
    let there = modern(&key("x", "/s"), "alpha", 1, "tools/list", json!({})).without("Authorization");
    let reply = works.ask(Some(&runner), &there).await;
    assert_eq!((reply.status, works.house.last_reason().as_str()), (401, "no_credential"), "{}", reply.text());
    let challenge = reply.field("www-authenticate").expect("a challenge");
    assert!(
        challenge.contains("resource_metadata=\"https://mcp.acme.example/.well-known/oauth-protected-resource/s/alpha/mcp\""),
        "{challenge}"
    );
    let token = works.house.token("ann", "app", &["alpha"], &["alpha:read"], Duration::from_secs(600)).await;
    assert_eq!(works.ask(Some(&runner), &there.bearer(&token.text)).await.status, 200);
    works.house.close(&[&ann.text, &own, &other, &assertion, &token.text]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rs_10_it_ends_when_it_says_whatever_lives_on() {
    let works = works().await;
    let runner = works.made(RUNNER, |_| {});
    let mut line = works.line(Some(&runner)).await;
    assert_eq!(line.ask(&lists()).await.status, 200);
    let opened = line.ask(&initialize(&key("x", "/k"), "alpha", "2025-11-25", json!({})).without("Authorization")).await;
    let session = opened.field("mcp-session-id").expect("a session").to_owned();
    let mut stream = works.line(Some(&runner)).await.flows(&listen(&key("x", "/k"), "alpha", &session).without("Authorization")).await;
    assert_eq!(stream.status, 200);
    works.house.shift.by(500);
    assert_eq!(line.ask(&lists()).await.status, 200);
    works.house.shift.by(101);
    let reply = line.ask(&lists()).await;
    assert_eq!((reply.status, works.house.last_reason().as_str()), (401, "expired_credential"), "on the same connection");
    tokio::time::timeout(Duration::from_secs(30), stream.rest()).await.expect("no stream outlives it");
    assert!(works.has_no_connection(&runner).await, "nor does it open another one");
    works.house.close(&[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ses_06_a_stream_does_not_end_with_another_certificate_of_its_workload() {
    let works = works().await;
    let short = works.made(RUNNER, |params| params.not_after = date_time_ymd(1970, 1, 1) + Duration::from_secs(works.now() + 60));
    let long = works.made(RUNNER, |_| {});
    let opened = initialize(&key("x", "/k"), "alpha", "2025-11-25", json!({})).without("Authorization");
    let session = works.ask(Some(&long), &opened).await.field("mcp-session-id").expect("a session").to_owned();
    let steps = json!({"name": "slow", "arguments": {"count": 600, "ms": 100}, "_meta": {"progressToken": "p"}});
    let call = legacy(&key("x", "/k"), "alpha", &session, 1, "tools/call", steps).without("Authorization");
    let mut call = works.line(Some(&long)).await.flows(&call).await;
    assert_eq!(call.message().await.expect("progress")["method"], "notifications/progress");
    // Another certificate of the same workload comes in beside it, and a token of it. Both run out before this one does.
    let listed = legacy(&key("x", "/k"), "alpha", &session, 2, "tools/list", json!({}));
    for (number, (shown, seconds)) in [(Some(&short), 100), (None, 350)].into_iter().enumerate() {
        let ask = match shown {
            Some(_) => listed.clone().without("Authorization"),
            None => listed.clone().bearer(&works.token(RUNNER)),
        };
        assert_eq!(works.ask(shown, &ask).await.status, 200);
        works.house.shift.by(seconds);
        // Another epoch: everything that is open is looked at anew.
        let somebody = UserId::new("local", &format!("somebody-{number}")).expect("user");
        works.house.store.disable_user(&somebody, works.house.env.now()).await.expect("disabled");
        works.house.heard_of(works.house.store.epoch().await.expect("an epoch")).await;
        for _ in 0..30 {
            let message = call.message().await.unwrap_or_else(|| panic!("{number}: the call goes on"));
            assert_eq!(message["method"], "notifications/progress", "{message}");
        }
    }
    // Its own end is its end.
    works.house.shift.by(160);
    tokio::time::timeout(Duration::from_secs(30), call.rest()).await.expect("the call ends");
    works.house.close(&[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rs_08_a_workload_that_is_disabled_and_a_mesh_that_is_blocked_are_out_within_seconds() {
    let works = works().await;
    let [runner, other] = ["runner", "other"].map(|name| works.made(&format!("{TD}/ns/agents/sa/{name}"), |_| {}));
    let (mut line, mut beside) = (works.line(Some(&runner)).await, works.line(Some(&other)).await);
    assert_eq!((line.ask(&lists()).await.status, beside.ask(&lists()).await.status), (200, 200));
    works.house.store.disable_user(&UserId::new(TD, RUNNER).expect("user"), works.house.env.now()).await.expect("disabled");
    assert!(within(Duration::from_secs(5), async || line.ask(&lists()).await.status == 401).await);
    assert_eq!(works.house.last_reason(), "user_disabled");
    assert_eq!(beside.ask(&lists()).await.status, 200, "another workload");
    let block = doorward_store::Block { digest: sha256(b"idp:mesh"), client: None, reason: None, since: works.house.env.now() };
    assert!(works.house.store.block_client(&block, OnRecord::Later).await.expect("blocked"));
    assert!(within(Duration::from_secs(5), async || beside.ask(&lists()).await.status == 401).await);
    assert_eq!(works.house.last_reason(), "client_blocked");
    works.house.close(&[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rs_10_an_authority_that_is_taken_away_takes_its_connections_with_it() {
    let works = works().await;
    let (runner, next) = (works.made(RUNNER, |_| {}), authority());
    let config = Arc::new(works.client(Some(&runner), &[b"http/1.1"]));
    let mut line = Line::over(works.dial(&config).await.expect("a handshake"), HOST);
    let opened = line.ask(&initialize(&key("x", "/k"), "alpha", "2025-11-25", json!({})).without("Authorization")).await;
    let session = opened.field("mcp-session-id").expect("a session").to_owned();
    let mut stream = works.line(Some(&runner)).await.flows(&listen(&key("x", "/k"), "alpha", &session).without("Authorization")).await;
    assert_eq!(stream.status, 200);
    let ann = works.house.full("ann").await;
    let mut without = works.line(None).await;
    let (tls, file) = (works.house.tls.clone().expect("certificates"), works.house.state.path().join("mesh.pem"));
    // Half a file, or none in it: the authorities in use stay.
    for broken in ["-----BEGIN", "", "nothing"] {
        std::fs::write(&file, broken).expect("written");
        assert!(tls.reload().is_err(), "{broken}");
        assert_eq!(line.ask(&lists()).await.status, 200, "{broken}");
    }
    // One more: nobody notices.
    std::fs::write(&file, works.mesh.pem() + &next.pem()).expect("written");
    tls.reload().expect("read");
    assert_eq!(line.ask(&lists()).await.status, 200);
    // And one less, while the key of the gateway is half replaced: that one is kept, and the authority goes all the same.
    std::fs::write(&file, next.pem()).expect("written");
    let own = works.house.state.path().join("key.pem");
    let whole = std::fs::read(&own).expect("a key");
    std::fs::write(&own, "-----BEGIN").expect("written");
    assert!(tls.reload().is_err(), "and it is said");
    tokio::time::timeout(Duration::from_secs(5), stream.rest()).await.expect("its streams end");
    assert!(line.is_over().await, "and its connections");
    assert!(works.has_no_connection(&runner).await);
    // What the client remembers of the handshake before is of no use either.
    let again = match works.dial(&config).await {
        Err(_) => true,
        Ok(stream) => {
            assert_eq!(stream.get_ref().1.handshake_kind(), Some(HandshakeKind::Full));
            Line::over(stream, HOST).is_over().await
        }
    };
    assert!(again, "no session is resumed");
    assert_eq!(works.ask(Some(&works.by(&next, RUNNER, |_| {})), &lists()).await.status, 200, "the new authority");
    std::fs::write(&own, whole).expect("written");
    tls.reload().expect("read");
    assert_eq!(without.ask(&lists().bearer(&ann.text)).await.status, 200, "who showed none goes on");
    works.house.close(&[&ann.text]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rs_10_each_request_of_one_connection_is_of_its_certificate() {
    let works = works().await;
    let runner = works.made(RUNNER, |_| {});
    let config = Arc::new(works.client(Some(&runner), &[b"h2"]));
    let stream = works.dial(&config).await.expect("a handshake");
    let (send, connection) = h2::client::handshake(stream).await.expect("HTTP/2");
    let driven = tokio::spawn(connection);
    let asks = |ask: Ask| {
        let mut request = http::Request::post(format!("https://{HOST}{}", ask.target));
        for (name, value) in &ask.fields {
            request = request.header(name.to_ascii_lowercase(), value);
        }
        let (send, request, body) = (send.clone(), request.body(()).expect("a request"), bytes::Bytes::from(ask.body));
        async move {
            let mut send = send.ready().await.expect("open");
            let (answer, mut stream) = send.send_request(request, false).expect("sent");
            stream.send_data(body, true).expect("sent");
            answer.await.map(|answer| answer.status().as_u16())
        }
    };
    let there = modern(&key("x", "/s"), "alpha", 1, "tools/list", json!({})).without("Authorization");
    let all = tokio::join!(asks(lists()), asks(lists()), asks(lists().bearer("dwk_x")), asks(there), asks(lists()));
    let statuses = [all.0, all.1, all.2, all.3, all.4].map(|status| status.expect("an answer"));
    assert_eq!(statuses, [200, 200, 400, 401, 200]);
    std::fs::write(works.house.state.path().join("mesh.pem"), authority().pem()).expect("written");
    works.house.tls.as_ref().expect("certificates").reload().expect("read");
    let _ended = tokio::time::timeout(Duration::from_secs(5), driven).await.expect("the connection ends").expect("no panic");
    works.house.close(&[]).await;
}
