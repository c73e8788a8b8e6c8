//! The token request (OAuth 2.1 section 3.2): what is presented, and by which client.
//!
//! Reads and judges; what a code or a refresh token stands for is the store's to say, in one guarded statement.

use super::assertion::{self, Asserted, BadAssertion, Expected};
use super::client::{Client, ClientAuth};
use super::device;
use super::dpop::BadProof;
use super::exchange::{self, Exchange};
use super::form::Form;
use super::pkce::Challenge;
use super::scope::Scopes;
use crate::id::ClientId;
use crate::oidc::keys::KeySet;
use crate::secret::{AuthorizationCode, DeviceCode, RefreshToken, Secret, TokenHash};
use crate::time::Timestamp;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// A grant that is served.
#[derive(Debug)]
pub enum Grant {
    /// A code.
    Code {
        /// Its digest.
        code: TokenHash<AuthorizationCode>,
        /// The redirect URI of its request.
        redirect_uri: Option<String>,
        /// What its verifier digests to.
        challenge: Challenge,
        /// The resource, where it is said again.
        resource: Option<String>,
    },
    /// A refresh token.
    Refresh {
        /// Itself: its successor is worked out from it.
        token: Secret<String>,
        /// Its digest.
        hash: TokenHash<RefreshToken>,
        /// Narrower scopes, where some are asked for.
        scopes: Option<Scopes>,
        /// The resource, where it is said again.
        resource: Option<String>,
    },
    /// A device code (RFC 8628 section 3.4).
    Device {
        /// Itself: the tokens are worked out from it, so that whoever asks again is given the same.
        code: Secret<String>,
        /// Its digest.
        hash: TokenHash<DeviceCode>,
        /// The resource, where it is said again.
        resource: Option<String>,
    },
    /// Nothing: a client acts for itself (OAuth 2.1 section 4.2).
    Own {
        /// Narrower scopes, where some are asked for.
        scopes: Option<Scopes>,
        /// For which server.
        resource: Option<String>,
    },
    /// A token that another client was given (RFC 8693).
    Exchange(Exchange),
    /// A token that somebody else signed (RFC 7523 section 2.1).
    Assertion {
        /// Itself.
        assertion: Secret<String>,
        /// Narrower scopes, where some are asked for.
        scopes: Option<Scopes>,
        /// For which server, where it is said.
        resource: Option<String>,
    },
}

/// `grant_type` of a token that somebody else signed (RFC 7523 section 2.1).
pub const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// A client as it shows itself at the token endpoint.
#[derive(Debug)]
pub struct Shown {
    id: String,
    how: How,
}

#[derive(Debug)]
enum How {
    /// By its name only.
    Nothing,
    /// HTTP Basic (RFC 6749 section 2.3.1).
    Basic(Secret<String>),
    /// `client_secret` in the body.
    Post(Secret<String>),
    /// A signed assertion (RFC 7523).
    Assertion(Secret<String>),
}

/// A client that has shown what it is registered with. Made only by [`authenticate`], and by [`OneUse::settled`].
#[derive(Debug)]
pub struct AuthenticatedClient {
    id: ClientId,
    is_confidential: bool,
    binds: bool,
}

/// What it takes for a client to be authenticated.
#[derive(Debug)]
pub enum Authentication {
    /// Nothing more.
    Done(AuthenticatedClient),
    /// That nobody showed the same assertion before.
    Once(OneUse),
}

/// What the store says of the name of an assertion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Used {
    /// It is used up now, by this request alone.
    Never,
    /// It was used up before.
    Before,
}

/// A client whose assertion is good, if it comes for the first time.
#[derive(Debug)]
pub struct OneUse {
    client: AuthenticatedClient,
    asserted: Asserted,
}

/// An error response of the token endpoint (OAuth 2.1 section 3.2.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenError {
    /// HTTP status.
    pub status: u16,
    /// `error`.
    pub code: &'static str,
    /// `error_description`, for developers.
    pub description: &'static str,
    /// For records and metrics.
    pub reason: &'static str,
}

impl TokenError {
    /// 400 `invalid_request`.
    #[must_use]
    pub const fn request(description: &'static str) -> Self {
        Self { status: 400, code: "invalid_request", description, reason: "malformed_token_request" }
    }

    /// 400 `invalid_grant`: dead, unknown and foreign look alike; the record knows more.
    #[must_use]
    pub const fn grant(reason: &'static str) -> Self {
        Self { status: 400, code: "invalid_grant", description: "the code or refresh token is not valid for this client", reason }
    }

    /// 400 `invalid_target` (RFC 8707 section 2).
    #[must_use]
    pub const fn target() -> Self {
        Self { status: 400, code: "invalid_target", description: "the resource is not the one that was granted", reason: "other_resource" }
    }

    /// 400 `invalid_scope`.
    #[must_use]
    pub const fn scope() -> Self {
        Self { status: 400, code: "invalid_scope", description: "the scope is wider than what was granted", reason: "wider_scope" }
    }

    /// 400 `unsupported_grant_type`: not one of those that the metadata names.
    #[must_use]
    pub const fn unsupported() -> Self {
        Self {
            status: 400,
            code: "unsupported_grant_type",
            description: "the grants that are served stand in the metadata of this server",
            reason: "unsupported_grant",
        }
    }

    /// 400 `unauthorized_client`: no such grant for this client (OAuth 2.1 section 3.2.4).
    #[must_use]
    pub const fn unauthorized() -> Self {
        Self {
            status: 400,
            code: "unauthorized_client",
            description: "the configuration lets this client do nothing for itself",
            reason: "no_own_access",
        }
    }

    /// 400 `unauthorized_client`: its registration does not name the device grant, or the administrator keeps that from it.
    #[must_use]
    pub const fn no_devices() -> Self {
        Self { description: "this client may not ask without a browser", reason: "no_device_grant", ..Self::unauthorized() }
    }

    /// 429: as many requests of devices wait for a person as there is room for.
    #[must_use]
    pub const fn too_many_devices() -> Self {
        Self { description: "too many requests wait for a person; try again later", reason: "too_many_devices", ..Self::too_many() }
    }

    /// 429: requests of devices come too often, from this address or in all.
    #[must_use]
    pub const fn devices_too_often() -> Self {
        Self { description: "too many requests; try again later", reason: "device_rate", ..Self::too_many() }
    }

    /// 400 `invalid_target`: a client with access of its own to several servers has to say which (RFC 8707 section 2).
    #[must_use]
    pub const fn which_target() -> Self {
        Self { description: "say with resource which server is meant", reason: "no_resource", ..Self::target() }
    }

    /// 400 `invalid_target`: `visible_to` of the server does not name this client.
    #[must_use]
    pub const fn not_visible() -> Self {
        Self { description: "the configuration does not show this server to this client", reason: "server_not_visible", ..Self::target() }
    }

    /// 503: the public keys of the client cannot be read, so nobody knows whether its assertion is good.
    #[must_use]
    pub const fn no_keys() -> Self {
        Self { description: "the keys of this client cannot be read at the moment", reason: "keys_unavailable", ..Self::unavailable() }
    }

    /// 429: more assertions than it could need.
    #[must_use]
    pub const fn too_many_assertions() -> Self {
        Self { description: "this client shows too many assertions; keep its tokens", reason: "too_many_assertions", ..Self::too_many() }
    }

    /// 400 `invalid_grant`: an administrator disabled the user that this client is.
    #[must_use]
    pub const fn disabled() -> Self {
        Self { description: "this client may not act any more", ..Self::grant("user_disabled") }
    }

    /// 400 `invalid_grant`: the assertion shows nobody who may come in (RFC 7523 section 3.1). The record has the reason.
    #[must_use]
    pub const fn not_attested(reason: &'static str) -> Self {
        Self { description: "the assertion is not valid here", ..Self::grant(reason) }
    }

    /// 400 `invalid_request`: a token that is presented for another one is no good, or not for this client (RFC 8693 section 2.2.2). The
    /// record has the reason.
    #[must_use]
    pub const fn not_exchanged(reason: &'static str) -> Self {
        Self { reason, ..Self::request("the token cannot be exchanged by this client") }
    }

    /// 400 `unauthorized_client`: the configuration lets it exchange nobody's tokens.
    #[must_use]
    pub const fn no_exchange() -> Self {
        Self { description: "this client may not exchange tokens", reason: "no_exchange", ..Self::unauthorized() }
    }

    /// 503: the public keys of the issuer cannot be read, so nobody knows whether the assertion is good.
    #[must_use]
    pub const fn no_issuer_keys() -> Self {
        Self { description: "the keys of this issuer cannot be read at the moment", ..Self::no_keys() }
    }

    /// 429: it has more tokens that count than it could need.
    #[must_use]
    pub const fn too_many_tokens() -> Self {
        Self { description: "this client has too many tokens that still count; use those", reason: "too_many_tokens", ..Self::too_many() }
    }

    /// 401 `invalid_client`.
    #[must_use]
    pub const fn client(reason: &'static str) -> Self {
        Self {
            status: 401,
            code: "invalid_client",
            description: "the client is not known here, or did not show what it is registered with",
            reason,
        }
    }

    /// Whether the client may have a key that is newer than the ones it was held against.
    #[must_use]
    pub fn is_of_unknown_key(&self) -> bool {
        self.reason == assertion::UNKNOWN_KEY
    }

    /// 400 `invalid_dpop_proof` or `use_dpop_nonce` (RFC 9449 sections 5 and 8): its developers are told why.
    #[must_use]
    pub const fn proof(why: BadProof) -> Self {
        Self { status: 400, code: why.code(), description: why.description(), reason: why.reason() }
    }

    /// 400 `invalid_grant`: what is presented is bound to another key (RFC 9449 sections 5 and 10).
    #[must_use]
    pub const fn other_key() -> Self {
        Self::grant(BadProof::OtherKey.reason())
    }

    /// 429: more proofs than it could need.
    #[must_use]
    pub const fn too_many_proofs() -> Self {
        Self { description: "this client shows too many proofs; keep its tokens", reason: "too_many_proofs", ..Self::too_many() }
    }

    /// 401: its assertion shows nothing. Developers are told why: it is about a text that they made, and no secret is in it.
    fn assertion(why: BadAssertion) -> Self {
        let (description, reason) = why.told();
        Self { description, ..Self::client(reason) }
    }

    /// 429: too many of one address failed.
    #[must_use]
    pub const fn too_many() -> Self {
        Self { status: 429, code: "temporarily_unavailable", description: "too many requests failed; wait", reason: "address_rate" }
    }

    /// 503, ours.
    #[must_use]
    pub const fn unavailable() -> Self {
        Self { status: 503, code: "temporarily_unavailable", description: "try again in a moment", reason: "store_unavailable" }
    }
}

/// Reads what is presented.
///
/// # Errors
/// [`TokenError`].
pub fn grant(form: &Form) -> Result<Grant, TokenError> {
    let resource = form.get("resource").map(str::to_owned);
    match form.get("grant_type") {
        Some("authorization_code") => {
            let code = form.get("code").ok_or(TokenError::request("code is missing"))?;
            let verifier = form.get("code_verifier").ok_or(TokenError::request("code_verifier is missing"))?;
            Ok(Grant::Code {
                code: TokenHash::of(code).map_err(|_| TokenError::grant("mistyped_code"))?,
                redirect_uri: form.get("redirect_uri").map(str::to_owned),
                challenge: Challenge::of_verifier(verifier).map_err(|_| TokenError::grant("malformed_verifier"))?,
                resource,
            })
        }
        Some("refresh_token") => {
            let token = form.get("refresh_token").ok_or(TokenError::request("refresh_token is missing"))?;
            Ok(Grant::Refresh {
                hash: TokenHash::of(token).map_err(|_| TokenError::grant("mistyped_refresh_token"))?,
                token: Secret::new(token.to_owned()),
                scopes: form.get("scope").map(|text| Scopes::parse(Some(text))),
                resource,
            })
        }
        Some(device::GRANT_TYPE) => {
            let code = form.get("device_code").ok_or(TokenError::request("device_code is missing"))?;
            let hash = TokenHash::of(code).map_err(|_| TokenError::grant("mistyped_device_code"))?;
            Ok(Grant::Device { hash, code: Secret::new(code.to_owned()), resource })
        }
        Some(exchange::GRANT_TYPE) => exchange::read(form).map(Grant::Exchange),
        Some("client_credentials") => Ok(Grant::Own { scopes: exact(form)?, resource }),
        Some(JWT_BEARER) => {
            let assertion = form.get("assertion").ok_or(TokenError::request("assertion is missing"))?;
            Ok(Grant::Assertion { assertion: Secret::new(assertion.to_owned()), scopes: exact(form)?, resource })
        }
        Some(_) => Err(TokenError::unsupported()),
        None => Err(TokenError::request("grant_type is missing")),
    }
}

/// The scopes that a machine asks for: it reads no page that would say what was left out.
pub(super) fn exact(form: &Form) -> Result<Option<Scopes>, TokenError> {
    let asked = form.get("scope").filter(|text| !text.is_empty());
    asked.map(|text| Scopes::exact(text).ok_or(TokenError::scope())).transpose()
}

/// Who sends it, as shown. Two ways at once are refused (OAuth 2.1 section 2.4).
///
/// # Errors
/// [`TokenError`].
pub fn shown(authorization: Option<&str>, form: &Form) -> Result<Shown, TokenError> {
    let named = form.get("client_id");
    let posted = form.get("client_secret");
    if let Some(shown) = asserted(authorization, form)? {
        return Ok(shown);
    }
    let Some(authorization) = authorization else {
        let id = named.ok_or(TokenError::client("no_client"))?.to_owned();
        let how = posted.map_or(How::Nothing, |secret| How::Post(Secret::new(secret.to_owned())));
        return Ok(Shown { id, how });
    };
    if posted.is_some() {
        return Err(TokenError::request("use one way to authenticate"));
    }
    let (id, secret) = basic(authorization).ok_or(TokenError::client("malformed_basic"))?;
    if named.is_some_and(|named| named != id) {
        return Err(TokenError::request("client_id is another one than the one that authenticates"));
    }
    Ok(Shown { id, how: How::Basic(secret) })
}

/// RFC 7521 section 4.2: the assertion names its client; where `client_id` stands besides, it is the same.
fn asserted(authorization: Option<&str>, form: &Form) -> Result<Option<Shown>, TokenError> {
    let (assertion, kind) = match (form.get("client_assertion"), form.get("client_assertion_type")) {
        (None, None) => return Ok(None),
        (Some(assertion), Some(kind)) => (assertion, kind),
        _ => return Err(TokenError::request("client_assertion and client_assertion_type belong together")),
    };
    if authorization.is_some() || form.get("client_secret").is_some() {
        return Err(TokenError::request("use one way to authenticate"));
    }
    if kind != assertion::TYPE {
        return Err(TokenError::client("unknown_assertion_type"));
    }
    let claimed = assertion::claimed(assertion).ok_or(TokenError::client("malformed_assertion"))?;
    if form.get("client_id").is_some_and(|named| named != claimed) {
        return Err(TokenError::request("client_id is another one than the one of the assertion"));
    }
    Ok(Some(Shown { id: claimed, how: How::Assertion(Secret::new(assertion.to_owned())) }))
}

/// RFC 6749 section 2.3.1: both halves are form-encoded.
fn basic(authorization: &str) -> Option<(String, Secret<String>)> {
    let (scheme, coded) = authorization.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = zeroize::Zeroizing::new(String::from_utf8(STANDARD.decode(coded).ok()?).ok()?);
    let (id, secret) = text.split_once(':')?;
    let read = |half: &str| Form::parse(&format!("v={half}")).ok().and_then(|form| form.get("v").map(str::to_owned));
    Some((read(id)?, Secret::new(read(secret)?)))
}

/// Checks that a client showed exactly what it is registered with: no more, no less, no other way (REG-04). `keys` are those of a
/// client that shows an assertion; `issuer` and `endpoint` are what it has to be for.
///
/// # Errors
/// [`TokenError`] 401.
pub fn authenticate(
    client: &Client,
    shown: &Shown,
    keys: Option<&KeySet>,
    (issuer, endpoint): (&str, &str),
    now: Timestamp,
) -> Result<Authentication, TokenError> {
    if client.id().as_str() != shown.id {
        return Err(TokenError::client("other_client"));
    }
    let (id, binds) = (client.id().clone(), client.binds());
    if let (Some(_), How::Assertion(assertion), Some(keys)) = (client.auth().keys(), &shown.how, keys) {
        let expected = Expected { client: client.id(), issuer, endpoint };
        let asserted = assertion::check(assertion.expose(), keys, &expected, now).map_err(TokenError::assertion)?;
        return Ok(Authentication::Once(OneUse { client: AuthenticatedClient { id, is_confidential: true, binds }, asserted }));
    }
    let fits = match (client.auth(), &shown.how) {
        (ClientAuth::None | ClientAuth::EitherWay(_), How::Nothing) => true,
        (ClientAuth::SecretBasic(digest), How::Basic(secret)) | (ClientAuth::SecretPost(digest), How::Post(secret)) => {
            digest.is_of(secret.expose())
        }
        _ => false,
    };
    if !fits {
        return Err(TokenError::client("other_authentication"));
    }
    let is_confidential = !matches!(shown.how, How::Nothing);
    Ok(Authentication::Done(AuthenticatedClient { id, is_confidential, binds }))
}

// === impl Shown ===

impl Shown {
    /// The id it gives itself.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Whether it takes the keys of the client to say whether this is it.
    #[must_use]
    pub const fn wants_keys(&self) -> bool {
        matches!(self.how, How::Assertion(_))
    }
}

// === impl OneUse ===

impl OneUse {
    /// Whose it would be.
    #[must_use]
    pub const fn client(&self) -> &ClientId {
        &self.client.id
    }

    /// Names the assertion among all, and says until when it has to be remembered.
    #[must_use]
    pub const fn name(&self) -> (&[u8; 32], Timestamp) {
        self.asserted.name()
    }

    /// The client, if nobody used the assertion before, which the store says of its name.
    ///
    /// # Errors
    /// [`TokenError`] 401.
    pub fn settled(self, used: Used) -> Result<AuthenticatedClient, TokenError> {
        if used == Used::Never {
            Ok(self.client)
        } else {
            Err(TokenError { description: "the client assertion: it was used before", ..TokenError::client("replayed_assertion") })
        }
    }
}

// === impl AuthenticatedClient ===

impl AuthenticatedClient {
    /// Who it is.
    #[must_use]
    pub const fn id(&self) -> &ClientId {
        &self.id
    }

    /// Whether it says of itself that it binds all of its tokens (RFC 9449 section 5.2).
    #[must_use]
    pub const fn binds(&self) -> bool {
        self.binds
    }

    /// Whether it showed something that only it can show.
    #[must_use]
    pub const fn is_confidential(&self) -> bool {
        self.is_confidential
    }
}
