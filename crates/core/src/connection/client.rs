//! As which client we ask: one that the administrator wrote down, one that registered itself for this connection (RFC 7591), or the
//! one whose document we publish.
//!
//! A client belongs to one issuer and one redirect URI (MCP, "Authorization Server Binding"; attack OC-03). Its secret prints nowhere.

use super::scopes::is_scope;
use super::server::{AuthorizationServer, Refreshing};
use crate::json::RawJson;
use crate::oidc::answer::code;
use crate::oidc::provider::list;
use crate::secret::Secret;
use crate::time::Timestamp;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::sync::Arc;
use zeroize::Zeroizing;

/// What we are called at an authorization server, and how we prove it. Clones share the secret.
#[derive(Debug, Clone)]
pub struct UpstreamClient {
    /// The client id.
    pub id: String,
    /// The secret, where it has one.
    pub secret: Option<Arc<Secret<String>>>,
    /// How it is sent.
    pub auth: Auth,
    /// Where the client comes from.
    pub how: How,
    /// When the secret ends; `None` for never.
    pub secret_expires: Option<Timestamp>,
}

/// How a client proves itself at the token endpoint (RFC 6749 section 2.3.1; RFC 7591 section 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Auth {
    /// In an `Authorization` header.
    #[serde(rename = "b")]
    Basic,
    /// In the body.
    #[serde(rename = "p")]
    Post,
    /// Not at all: it names itself, and PKCE binds the code to us.
    #[serde(rename = "n")]
    None,
}

/// Where a client comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum How {
    /// The administrator wrote it down: people share it, and our own page of consent protects them.
    #[serde(rename = "c")]
    Configured,
    /// It registered itself for one connection.
    #[serde(rename = "r")]
    Registered,
}

/// What a registration asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    redirect: String,
    auth: Auth,
    body: String,
}

/// Why a client is of no use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadClient {
    /// The id is not 1 to 2,048 characters of visible ASCII.
    #[error("the client id is missing or not usable")]
    Id,
    /// The secret is missing where one is needed, or is not 1 to 4,096 characters of ASCII.
    #[error("the client secret is missing or not usable")]
    Secret,
}

/// Why the answer to a registration is of no use. Nothing of it is repeated but an error code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadRegistration {
    /// Neither 200 nor 201, and no error code.
    #[error("the registration was answered with status {0}")]
    Status(u16),
    /// An error of RFC 7591 section 3.2.2.
    #[error("the registration was refused: {0}")]
    Refused(String),
    /// Not a JSON object, or a member of another type.
    #[error("it is not a JSON object, a key stands in it twice, or a member has the wrong type")]
    Form,
    /// Id or secret.
    #[error(transparent)]
    Client(#[from] BadClient),
    /// Our redirect URI is not among those of the client.
    #[error("the client that was registered has another redirect URI")]
    Redirect,
    /// The client would have to prove itself in a way that we cannot.
    #[error("the client that was registered has to prove itself in a way that is not supported")]
    Method,
    /// The secret has ended already.
    #[error("the client secret has expired already")]
    Expired,
}

/// What is kept of a client.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Kept<'a> {
    #[serde(rename = "i")]
    id: std::borrow::Cow<'a, str>,
    #[serde(rename = "s", default, skip_serializing_if = "Option::is_none")]
    secret: Option<std::borrow::Cow<'a, str>>,
    #[serde(rename = "a")]
    auth: Auth,
    #[serde(rename = "h")]
    how: How,
    #[serde(rename = "e", default, skip_serializing_if = "Option::is_none")]
    secret_expires: Option<Timestamp>,
}

/// Longest client id, in bytes.
pub const LONGEST_ID: usize = 2_048;
/// Longest client secret, in bytes.
const LONGEST_SECRET: usize = 4_096;
const DEPTH: usize = 16;

// === impl Auth ===

impl Auth {
    /// All, best first: a header is logged less often than a body.
    pub const ALL: [Self; 3] = [Self::Basic, Self::Post, Self::None];

    /// Its name in metadata and registrations.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Basic => "client_secret_basic",
            Self::Post => "client_secret_post",
            Self::None => "none",
        }
    }

    /// Whether there must be a secret.
    #[must_use]
    pub const fn needs_secret(self) -> bool {
        !matches!(self, Self::None)
    }
}

// === impl UpstreamClient ===

impl UpstreamClient {
    /// A client of the configuration: with a secret it proves itself as the server likes best of what we can.
    ///
    /// # Errors
    /// [`BadClient`].
    pub fn configured(id: &str, secret: Option<Secret<String>>, server: &AuthorizationServer) -> Result<Self, BadClient> {
        // One that lists no way with a secret takes the secret that it gave out all the same; what it does not need it must ignore.
        let auth = if secret.is_some() { server.with_secret().unwrap_or(Auth::Basic) } else { Auth::None };
        Self { id: id.to_owned(), secret: secret.map(Arc::new), auth, how: How::Configured, secret_expires: None }.checked()
    }

    /// Whether its secret has ended, so that it has to register anew.
    #[must_use]
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.secret_expires.is_some_and(|end| end <= now)
    }

    /// For the vault, until a connection is made with it; read back by [`UpstreamClient::from_bytes`].
    ///
    /// # Errors
    /// [`BadClient`] does not happen for a client that was made here.
    pub fn to_bytes(&self) -> Result<Zeroizing<Vec<u8>>, BadClient> {
        // Room for all of it from the start: a vector that grows leaves copies behind.
        let mut out = Zeroizing::new(Vec::with_capacity(2 * (LONGEST_ID + LONGEST_SECRET)));
        serde_json::to_writer(&mut *out, &self.kept()).map_err(|_| BadClient::Id)?;
        Ok(out)
    }

    /// What [`UpstreamClient::to_bytes`] wrote.
    ///
    /// # Errors
    /// [`BadClient`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BadClient> {
        serde_json::from_slice::<Kept<'_>>(bytes).map_err(|_| BadClient::Id)?.open()
    }

    pub(super) fn kept(&self) -> Kept<'_> {
        Kept {
            id: self.id.as_str().into(),
            secret: self.secret.as_ref().map(|secret| secret.expose().as_str().into()),
            auth: self.auth,
            how: self.how,
            secret_expires: self.secret_expires,
        }
    }

    fn checked(self) -> Result<Self, BadClient> {
        let visible = self.id.bytes().all(|byte| byte.is_ascii_graphic());
        if !visible || !(1..=LONGEST_ID).contains(&self.id.len()) {
            return Err(BadClient::Id);
        }
        let is_good = |secret: &Arc<Secret<String>>| {
            let text = secret.expose();
            (1..=LONGEST_SECRET).contains(&text.len()) && text.bytes().all(|byte| (0x20..0x7f).contains(&byte))
        };
        match &self.secret {
            Some(secret) if is_good(secret) => Ok(self),
            None if !self.auth.needs_secret() => Ok(self),
            _ => Err(BadClient::Secret),
        }
    }
}

impl Kept<'_> {
    pub(super) fn open(self) -> Result<UpstreamClient, BadClient> {
        let Self { id, secret, auth, how, secret_expires } = self;
        let secret = secret.map(|secret| Arc::new(Secret::new(secret.into_owned())));
        UpstreamClient { id: id.into_owned(), secret, auth, how, secret_expires }.checked()
    }
}

// === impl Registration ===

impl Registration {
    /// A registration of a client for one connection: `redirect` is its only redirect URI, `name` is what people see there.
    #[must_use]
    pub fn new(name: &str, redirect: &str, server: &AuthorizationServer, scopes: &[String]) -> Self {
        let auth = server.auth.first().copied().unwrap_or(Auth::Basic);
        let mut grants = vec!["authorization_code"];
        if server.refreshing != Refreshing::Unlisted {
            grants.push("refresh_token");
        }
        // MCP, client registration: it must be said. A web application cannot be on the person's own computer (OpenID Connect
        // Dynamic Client Registration section 2), a gateway for one person can.
        let application = if redirect.starts_with("https://") { "web" } else { "native" };
        let mut body = json!({
            "client_name": name,
            "redirect_uris": [redirect],
            "grant_types": grants,
            "response_types": ["code"],
            "token_endpoint_auth_method": auth.as_str(),
            "application_type": application,
        });
        let scopes: Vec<&str> = scopes.iter().map(String::as_str).filter(|scope| is_scope(scope)).collect();
        if let Some(members) = body.as_object_mut().filter(|_| !scopes.is_empty()) {
            members.insert("scope".to_owned(), json!(scopes.join(" ")));
        }
        Self { redirect: redirect.to_owned(), auth, body: body.to_string() }
    }

    /// The body of the request, JSON.
    #[must_use]
    pub fn body(&self) -> &str {
        &self.body
    }

    /// Reads the answer (RFC 7591 section 3.2). `now` is when it came.
    ///
    /// # Errors
    /// [`BadRegistration`].
    pub fn read(&self, status: u16, text: &Bytes, now: Timestamp) -> Result<UpstreamClient, BadRegistration> {
        let whole = RawJson::parse(text, DEPTH).ok().filter(RawJson::is_object);
        let error = whole.as_ref().and_then(|whole| whole.member("error"));
        if let Some(code) = error.and_then(|error| error.as_text().map(|text| code(&text))).filter(|code| !code.is_empty()) {
            return Err(BadRegistration::Refused(code));
        }
        if !matches!(status, 200 | 201) {
            return Err(BadRegistration::Status(status));
        }
        let whole = whole.filter(|whole| whole.member("error").is_none()).ok_or(BadRegistration::Form)?;
        let member = |name: &str| -> Result<Option<String>, BadRegistration> {
            let value = whole.member(name).filter(|value| !value.is_null());
            value.map(|value| value.as_text().map(std::borrow::Cow::into_owned).ok_or(BadRegistration::Form)).transpose()
        };
        let redirects = list(&whole, "redirect_uris").map_err(|()| BadRegistration::Form)?.unwrap_or_default();
        if !redirects.contains(&self.redirect) {
            return Err(BadRegistration::Redirect);
        }
        let auth = match member("token_endpoint_auth_method")? {
            None => self.auth,
            Some(name) => Auth::ALL.into_iter().find(|auth| auth.as_str() == name).ok_or(BadRegistration::Method)?,
        };
        let secret = member("client_secret")?.map(|secret| Arc::new(Secret::new(secret)));
        let secret_expires = match whole.member("client_secret_expires_at").filter(|value| !value.is_null()) {
            None => None,
            Some(value) => match value.as_integer().and_then(|seconds| u64::try_from(seconds).ok()).ok_or(BadRegistration::Form)? {
                0 => None,
                seconds => Some(Timestamp::from_millis(seconds.saturating_mul(1_000))),
            },
        };
        // A secret that is not sent does not have to be kept, and does not end.
        let (secret, secret_expires) = if auth.needs_secret() { (secret, secret_expires) } else { (None, None) };
        if secret_expires.is_some_and(|end| end <= now) {
            return Err(BadRegistration::Expired);
        }
        let id = member("client_id")?.ok_or(BadClient::Id)?;
        Ok(UpstreamClient { id, secret, auth, how: How::Registered, secret_expires }.checked()?)
    }
}
