//! An identity provider (OpenID Connect) that is right in everything until a test tells it otherwise: [`Manners`] says what is wrong
//! with its metadata, keys, answers and tokens. Holds the gateway to the protocol besides: a code is redeemed once, by the client, with
//! its secret, redirect URI and verifier.
//!
//! Nobody signs in here: a test says who comes back from it. The client's secret is a word.

pub mod sign;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use doorward_core::oauth::form::Form;
use doorward_core::secret::sha256;
use http::{Method, StatusCode};
use hyper::body::Frame;
use serde_json::{Value, json};
use sign::Signer;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// What the gateway is called here.
pub const CLIENT: &str = "doorward";
/// What it proves itself with.
pub const SECRET: &str = "secret-of-the-gateway: 1%";

/// A provider that listens.
#[derive(Debug)]
pub struct Provider {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

/// What it does.
#[derive(Debug, Clone, Default)]
pub struct Manners {
    /// Members of the metadata that are others; null for none.
    pub metadata: Value,
    /// Claims of ID tokens that are others; null for none.
    pub claims: Value,
    /// Claims of the userinfo endpoint; null for a 404.
    pub userinfo: Value,
    /// How ID tokens are signed.
    pub signed: Signature,
    /// What stands where the keys should.
    pub keys: Keys,
    /// Instead of every answer this status.
    pub down: Option<u16>,
    /// Instead of every document a way to this address.
    pub elsewhere: Option<String>,
    /// Documents never end.
    pub endless: bool,
    /// Paths at which it takes questions, and answers none until this says something else.
    pub silent: &'static [&'static str],
    /// Instead of tokens this status and text.
    pub tokens: Option<(u16, String)>,
    /// Instead of what it says of a token this status, media type and text.
    pub tokeninfo: Option<(u16, &'static str, String)>,
    /// `iss` in the answer to the browser.
    pub iss: Option<String>,
    /// Seconds that its clock goes ahead.
    pub ahead: i64,
}

/// How ID tokens are signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Signature {
    /// By the key that is published.
    #[default]
    Right,
    /// Not at all, with `alg` none.
    None,
    /// By HMAC with the public key as the secret.
    PublicKeyAsSecret,
    /// By a key of somebody else, under the id of the right one.
    ForeignKey,
    /// By the right key, under the id of another one.
    ForeignId,
    /// By a key that the token brings along.
    OwnKey,
}

/// What stands where the keys should.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Keys {
    /// They.
    #[default]
    Right,
    /// Nothing: an empty set.
    None,
    /// A page.
    Page,
    /// Two with one id.
    TwoWithOneId,
    /// They, and one that shows the half that signs as well.
    WithPrivate,
}

#[derive(Debug)]
struct Shared {
    base: String,
    state: Mutex<Inside>,
    /// Told whenever its manners change.
    changed: Notify,
}

#[derive(Debug)]
struct Inside {
    manners: Manners,
    signer: Signer,
    number: u32,
    logouts: u32,
    codes: BTreeMap<String, Asked>,
    tokens: BTreeMap<String, String>,
    told: BTreeMap<String, Value>,
    asked: BTreeMap<String, usize>,
}

/// A sign-in that waits for its code to be redeemed.
#[derive(Debug, Clone)]
struct Asked {
    subject: String,
    redirect: String,
    challenge: String,
    nonce: String,
}

const LARGEST: usize = 64 * 1024;

impl Provider {
    /// Starts one on a free port of this computer.
    ///
    /// # Errors
    /// When no port is free, or no key can be made.
    pub async fn start() -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let signer = Signer::new("key-1")?;
        let inside = Inside {
            manners: Manners::default(),
            signer,
            number: 1,
            logouts: 0,
            codes: BTreeMap::new(),
            tokens: BTreeMap::new(),
            told: BTreeMap::new(),
            asked: BTreeMap::new(),
        };
        let shared = Arc::new(Shared { base: format!("http://{address}"), state: Mutex::new(inside), changed: Notify::new() });
        let router = Router::new().fallback(answer).with_state(Arc::clone(&shared));
        let task = tokio::spawn(async move {
            // It ends with the test.
            let _ended = axum::serve(listener, router).await;
        });
        Ok(Self { address, shared, task })
    }

    /// Its issuer.
    #[must_use]
    pub fn issuer(&self) -> String {
        self.shared.base.clone()
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes what it does.
    pub fn behave(&self, change: impl FnOnce(&mut Manners)) {
        change(&mut self.shared.inside().manners);
        self.shared.changed.notify_waiters();
    }

    /// Right in everything again.
    pub fn behave_well(&self) {
        self.behave(|manners| *manners = Manners::default());
    }

    /// A new key instead of the old one.
    ///
    /// # Errors
    /// When no key can be made.
    pub fn rotate(&self) -> std::io::Result<()> {
        let mut inside = self.shared.inside();
        inside.number += 1;
        inside.signer = Signer::new(&format!("key-{}", inside.number))?;
        Ok(())
    }

    /// A token with these claims, signed by the key that is published.
    #[must_use]
    pub fn signed(&self, claims: &Value) -> String {
        self.signed_as(Signature::Right, claims)
    }

    /// A token with these claims, signed in this way.
    #[must_use]
    pub fn signed_as(&self, how: Signature, claims: &Value) -> String {
        self.shared.inside().signer.sign(how, claims)
    }

    /// A token of this kind (`typ`) with these claims, signed by the key that is published.
    #[must_use]
    pub fn signed_kind(&self, kind: &str, claims: &Value) -> String {
        self.shared.inside().signer.sign_kind(kind, claims)
    }

    /// A logout token of somebody who signed out here just now, with claims that are others; null for none.
    #[must_use]
    pub fn logout_token(&self, changes: &Value) -> String {
        self.signed_kind("logout+jwt", &self.logout_claims(changes))
    }

    /// What stands in it.
    #[must_use]
    pub fn logout_claims(&self, changes: &Value) -> Value {
        let (id, now) = {
            let mut inside = self.shared.inside();
            inside.logouts += 1;
            (inside.logouts, now(&inside.manners))
        };
        let event = json!({"http://schemas.openid.net/event/backchannel-logout": {}});
        let claims =
            json!({"iss": self.shared.base, "aud": CLIENT, "iat": now, "exp": now + 120, "jti": format!("logout-{id}"), "events": event});
        changed(claims, changes)
    }

    /// The name of the key that is published.
    #[must_use]
    pub fn kid(&self) -> String {
        self.shared.inside().signer.id().to_owned()
    }

    /// What it says of a token at `/tokeninfo`, as Google does; null for nothing.
    pub fn tells(&self, token: &str, said: Value) {
        self.shared.inside().told.insert(token.to_owned(), said);
    }

    /// How often a path was asked for.
    #[must_use]
    pub fn asked(&self, path: &str) -> usize {
        self.shared.inside().asked.get(path).copied().unwrap_or_default()
    }

    /// What happens when a browser opens an authorization address and `subject` signs in: where it is sent back to.
    ///
    /// # Panics
    /// If the request is not one that this provider would take.
    #[must_use]
    pub fn sign_in(&self, address: &str, subject: &str) -> String {
        let (place, query) = address.split_once('?').unwrap_or((address, ""));
        let form = Form::parse(query).ok();
        let text = |name: &str| {
            let value = form.as_ref().and_then(|form| form.get(name)).map(str::to_owned);
            assert!(value.is_some(), "no {name} in {address}");
            value.unwrap_or_default()
        };
        assert!(place.ends_with("/authorize"), "{address}");
        assert_eq!(
            (text("response_type"), text("client_id"), text("code_challenge_method")),
            ("code".into(), CLIENT.into(), "S256".into())
        );
        assert!(text("scope").split(' ').any(|scope| scope == "openid"), "{address}");
        let mut inside = self.shared.inside();
        let code = format!("code {} & more", inside.codes.len());
        let asked =
            Asked { subject: subject.to_owned(), redirect: text("redirect_uri"), challenge: text("code_challenge"), nonce: text("nonce") };
        inside.codes.insert(code.clone(), asked);
        let iss = inside.manners.iss.as_ref().map(|iss| format!("&iss={}", doorward_core::oauth::form::encoded(iss))).unwrap_or_default();
        let encoded = doorward_core::oauth::form::encoded;
        format!("{}?code={}&state={}{iss}", text("redirect_uri"), encoded(&code), encoded(&text("state")))
    }

    /// A code for `subject` that another sign-in was begun for, as an attacker has one of their own.
    #[must_use]
    pub fn code_of(&self, callback: &str) -> String {
        let (_, query) = callback.split_once('?').unwrap_or_default();
        Form::parse(query).ok().and_then(|form| form.get("code").map(str::to_owned)).unwrap_or_default()
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its manners, once it says anything at this path.
    async fn spoken(&self, path: &str) -> Manners {
        loop {
            let mut told = std::pin::pin!(self.changed.notified());
            // Before the look: what changes after it is heard.
            told.as_mut().enable();
            let manners = self.inside().manners.clone();
            if !manners.silent.contains(&path) {
                return manners;
            }
            told.await;
        }
    }
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, LARGEST).await.unwrap_or_default();
    let path = parts.uri.path().to_owned();
    *shared.inside().asked.entry(path.clone()).or_default() += 1;
    let manners = shared.spoken(&path).await;
    if let Some(status) = manners.down {
        return text(status, "text/html", "<title>Out of order</title>");
    }
    let document = parts.method == Method::GET || path == "/tokeninfo";
    if document && let Some(place) = &manners.elsewhere {
        let mut response = text(302, "text/html", "");
        if let Ok(value) = place.parse() {
            response.headers_mut().insert("location", value);
        }
        return response;
    }
    if document && manners.endless {
        let mut response = Response::new(Body::new(Endless));
        response.headers_mut().insert("content-type", http::HeaderValue::from_static("application/json"));
        return response;
    }
    match path.as_str() {
        "/.well-known/openid-configuration" => json_of(200, &changed(metadata(&shared.base), &manners.metadata)),
        "/jwks" => keys(&shared, &manners),
        "/token" if parts.method == Method::POST => {
            let basic = parts.headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
            token(&shared, &manners, basic, &body)
        }
        // As Google does: a token in an address would be taken, too, and must not come there.
        "/tokeninfo" if parts.method == Method::POST && parts.uri.query().is_none() => {
            if let Some((status, kind, said)) = &manners.tokeninfo {
                return text(*status, kind, said);
            }
            let form = std::str::from_utf8(&body).ok().and_then(|body| Form::parse(body).ok());
            let token = form.as_ref().and_then(|form| form.get("access_token")).unwrap_or_default();
            match shared.inside().told.get(token) {
                Some(said) => json_of(200, said),
                None => json_of(400, &json!({"error": "invalid_token", "error_description": "Invalid Value"})),
            }
        }
        "/userinfo" => {
            let bearer = parts.headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
            let subject = bearer.strip_prefix("Bearer ").and_then(|token| shared.inside().tokens.get(token).cloned());
            match subject {
                None => text(401, "text/plain", "who?"),
                Some(_) if manners.userinfo.is_null() => text(404, "text/plain", "nothing"),
                Some(subject) => json_of(200, &changed(json!({"sub": subject}), &manners.userinfo)),
            }
        }
        _ => text(404, "text/plain", "nothing here"),
    }
}

/// Blanks without an end.
struct Endless;

impl hyper::body::Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[b' '; 8192])))))
    }
}

fn metadata(base: &str) -> Value {
    json!({
        "issuer": base,
        "authorization_endpoint": format!("{base}/authorize"),
        "token_endpoint": format!("{base}/token"),
        "jwks_uri": format!("{base}/jwks"),
        "userinfo_endpoint": format!("{base}/userinfo"),
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
    })
}

fn changed(mut whole: Value, changes: &Value) -> Value {
    for (name, value) in changes.as_object().into_iter().flatten() {
        if value.is_null() {
            whole.as_object_mut().map(|members| members.remove(name));
        } else if let Some(members) = whole.as_object_mut() {
            members.insert(name.clone(), value.clone());
        }
    }
    whole
}

fn keys(shared: &Shared, manners: &Manners) -> Response {
    let inside = shared.inside();
    let right = inside.signer.jwk();
    match manners.keys {
        Keys::Right => json_of(200, &json!({"keys": [{"kty": "oct", "kid": "x", "k": "AA"}, right]})),
        Keys::None => json_of(200, &json!({"keys": []})),
        Keys::Page => text(200, "text/html", "<title>Keys</title>"),
        Keys::WithPrivate => {
            let whole = changed(right.clone(), &json!({"d": "AQAB"}));
            json_of(200, &json!({"keys": [right, whole]}))
        }
        Keys::TwoWithOneId => {
            let second = Signer::new(inside.signer.id()).map_or(Value::Null, |signer| signer.jwk());
            json_of(200, &json!({"keys": [right, second]}))
        }
    }
}

fn token(shared: &Shared, manners: &Manners, basic: &str, body: &[u8]) -> Response {
    if let Some((status, text_of)) = &manners.tokens {
        return text(*status, "application/json", text_of);
    }
    let refuse = |code: &str| json_of(400, &json!({"error": code, "error_description": "canary-of-the-provider"}));
    let Some(form) = std::str::from_utf8(body).ok().and_then(|body| Form::parse(body).ok()) else { return refuse("invalid_request") };
    let encoded = doorward_core::oauth::form::encoded;
    let wanted = format!("Basic {}", STANDARD.encode(format!("{}:{}", encoded(CLIENT), encoded(SECRET))));
    let by_post = basic.is_empty() && form.get("client_id") == Some(CLIENT) && form.get("client_secret") == Some(SECRET);
    if basic != wanted && !by_post {
        return json_of(401, &json!({"error": "invalid_client"}));
    }
    let mut inside = shared.inside();
    let Some(asked) = form.get("code").and_then(|code| inside.codes.remove(code)) else { return refuse("invalid_grant") };
    let challenge = form.get("code_verifier").map(|verifier| URL_SAFE_NO_PAD.encode(sha256(verifier.as_bytes())));
    if form.get("redirect_uri") != Some(&asked.redirect) || challenge.as_deref() != Some(&asked.challenge) {
        return refuse("invalid_grant");
    }
    let access = format!("access-{}", inside.tokens.len());
    inside.tokens.insert(access.clone(), asked.subject.clone());
    let now = now(manners);
    let claims = json!({"iss": shared.base, "aud": CLIENT, "sub": asked.subject, "nonce": asked.nonce, "iat": now, "exp": now + 300,
        "groups": ["staff"], "email": format!("{}@acme.example", asked.subject), "email_verified": true});
    let id_token = inside.signer.sign(manners.signed, &changed(claims, &manners.claims));
    json_of(200, &json!({"access_token": access, "token_type": "Bearer", "expires_in": 300, "id_token": id_token}))
}

/// What its clock says.
fn now(manners: &Manners) -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()).saturating_add_signed(manners.ahead)
}

fn json_of(status: u16, content: &Value) -> Response {
    text(status, "application/json", &content.to_string())
}

fn text(status: u16, media: &'static str, content: &str) -> Response {
    let mut response = Response::new(Body::from(content.to_owned()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert("content-type", http::HeaderValue::from_static(media));
    response
}
