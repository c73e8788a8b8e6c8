//! What an authorization server says of itself (RFC 8414; OpenID Connect Discovery 1.0), believed only as far as it goes (attack OC-04).
//!
//! It is read at an address that its issuer derives, must name that issuer byte for byte, and is kept with what was connected there:
//! a token endpoint that changes later is read anew, never taken from a server's answer. Must not know sockets.

use super::client::Auth;
use super::resource::LONGEST_URL;
use super::scopes::{MOST_SCOPES, is_scope};
use super::trip::PARAMETERS;
use crate::json::RawJson;
use crate::oauth::form::Form;
use crate::oidc::provider::{Endpoint, Naming, list, place};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use url::Url;

/// What is needed of an authorization server. Its serialised form is short: it is kept with each connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuthorizationServer {
    /// Its issuer.
    #[serde(rename = "i")]
    pub issuer: String,
    /// Where the browser goes.
    #[serde(rename = "a")]
    pub authorization: Endpoint,
    /// Where a code or a refresh token becomes tokens.
    #[serde(rename = "t")]
    pub token: Endpoint,
    /// Where a client registers (RFC 7591).
    #[serde(rename = "r", default, skip_serializing_if = "Option::is_none")]
    pub registration: Option<Endpoint>,
    /// Where a token is revoked (RFC 7009).
    #[serde(rename = "v", default, skip_serializing_if = "Option::is_none")]
    pub revocation: Option<Endpoint>,
    /// How a client may prove itself at the token endpoint, of the ways that we know, best first. Never empty.
    #[serde(rename = "m")]
    pub auth: Vec<Auth>,
    /// Whether it names itself in every answer (RFC 9207).
    #[serde(rename = "n")]
    pub naming: Naming,
    /// Whether it gives refresh tokens.
    #[serde(rename = "f")]
    pub refreshing: Refreshing,
    /// The scopes that it knows; `None` where it says nothing of them.
    #[serde(rename = "s", default, skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Vec<String>>,
}

/// Whether a server lists the grant `refresh_token`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refreshing {
    /// It does.
    #[serde(rename = "y")]
    Listed,
    /// It lists grants, and not this one.
    #[serde(rename = "n")]
    Unlisted,
    /// It lists no grants: many do so and refresh nevertheless.
    #[serde(rename = "u")]
    Unsaid,
}

/// Whether a server must say that it can PKCE (RFC 7636) with S256.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pkce {
    /// It must (MCP, "Authorization Code Protection").
    Required,
    /// The administrator says that it can, or that codes need no protection there. A challenge is sent all the same.
    DangerOff,
}

/// Why the metadata is of no use. Nothing of it is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadServer {
    /// Not a JSON object.
    #[error("it is not a JSON object, or a key stands in it twice")]
    Form,
    /// It is of another issuer: not the expected text, byte for byte (RFC 8414 section 3.3).
    #[error("it names another issuer than the one that was asked")]
    Issuer,
    /// A member is missing or is not what it should be.
    #[error("{0} is missing or not usable")]
    Member(&'static str),
    /// It cannot do what is needed.
    #[error("it does not support {0}")]
    Unsupported(&'static str),
}

const DEPTH: usize = 32;

/// Where the metadata of an issuer may be, in the order in which it is looked for (MCP, "Authorization Server Metadata Discovery"):
/// RFC 8414 before the path, OpenID Connect before it, OpenID Connect after it. Empty for what is no issuer.
#[must_use]
pub fn addresses(issuer: &str) -> Vec<String> {
    let Ok(url) = Url::parse(issuer) else { return Vec::new() };
    if !url.has_host() || url.query().is_some() || url.fragment().is_some() {
        return Vec::new();
    }
    let (origin, path) = (url.origin().ascii_serialization(), url.path().trim_end_matches('/'));
    let oauth = format!("{origin}/.well-known/oauth-authorization-server{path}");
    let oidc = format!("{origin}/.well-known/openid-configuration{path}");
    if path.is_empty() {
        return vec![oauth, oidc];
    }
    vec![oauth, oidc, format!("{origin}{path}/.well-known/openid-configuration")]
}

// === impl AuthorizationServer ===

impl AuthorizationServer {
    /// Reads the metadata of `issuer`.
    ///
    /// # Errors
    /// [`BadServer`].
    pub fn parse(text: &Bytes, issuer: &str, pkce: Pkce) -> Result<Self, BadServer> {
        let whole = RawJson::parse(text, DEPTH).ok().filter(RawJson::is_object).ok_or(BadServer::Form)?;
        if whole.member("issuer").and_then(|value| value.as_text().map(|text| text == issuer)) != Some(true) {
            return Err(BadServer::Issuer);
        }
        let listed = |name: &'static str| list(&whole, name).map_err(|()| BadServer::Member(name));
        let wanted = |name: &'static str| endpoint(&whole, name, issuer)?.ok_or(BadServer::Member(name));
        if listed("response_types_supported")?.is_some_and(|types| !types.iter().any(|kind| kind == "code")) {
            return Err(BadServer::Unsupported("response_type=code"));
        }
        let methods = listed("code_challenge_methods_supported")?;
        if pkce == Pkce::Required && !methods.is_some_and(|methods| methods.iter().any(|method| method == "S256")) {
            return Err(BadServer::Unsupported("PKCE with S256"));
        }
        // What it demands of every request and we do not send.
        for (name, what) in [
            ("require_pushed_authorization_requests", "authorization requests that were not pushed"),
            ("require_signed_request_object", "authorization requests that are not signed"),
        ] {
            if flag(&whole, name)? {
                return Err(BadServer::Unsupported(what));
            }
        }
        // Nothing is decided by it yet; metadata that is not what it should be is of no use all the same.
        flag(&whole, "client_id_metadata_document_supported")?;
        let refreshing = match listed("grant_types_supported")? {
            None => Refreshing::Unsaid,
            Some(grants) if !grants.iter().any(|grant| grant == "authorization_code") => {
                return Err(BadServer::Unsupported("grant_type=authorization_code"));
            }
            Some(grants) if grants.iter().any(|grant| grant == "refresh_token") => Refreshing::Listed,
            Some(_) => Refreshing::Unlisted,
        };
        let scopes = listed("scopes_supported")?;
        if scopes.as_ref().is_some_and(|all| all.len() > MOST_SCOPES || !all.iter().all(|scope| is_scope(scope))) {
            return Err(BadServer::Member("scopes_supported"));
        }
        let authorization = wanted("authorization_endpoint")?;
        if !leaves_room(&authorization.url) {
            return Err(BadServer::Member("authorization_endpoint"));
        }
        Ok(Self {
            issuer: issuer.to_owned(),
            authorization,
            token: wanted("token_endpoint")?,
            registration: endpoint(&whole, "registration_endpoint", issuer)?,
            revocation: endpoint(&whole, "revocation_endpoint", issuer)?,
            auth: auth(listed("token_endpoint_auth_methods_supported")?)?,
            naming: if flag(&whole, "authorization_response_iss_parameter_supported")? { Naming::Promised } else { Naming::Open },
            refreshing,
            scopes,
        })
    }

    /// How a client that has a secret sends it: in a header before in a body. `None` where only public clients are served.
    #[must_use]
    pub fn with_secret(&self) -> Option<Auth> {
        self.auth.iter().copied().find(|auth| auth.needs_secret())
    }
}

fn endpoint(whole: &RawJson, name: &'static str, issuer: &str) -> Result<Option<Endpoint>, BadServer> {
    let Some(value) = whole.member(name) else { return Ok(None) };
    let url = value.as_text().filter(|url| url.len() <= LONGEST_URL).ok_or(BadServer::Member(name))?.into_owned();
    let place = place(&url, issuer).ok_or(BadServer::Member(name))?;
    Ok(Some(Endpoint { url, place }))
}

/// False where it is missing.
fn flag(whole: &RawJson, name: &'static str) -> Result<bool, BadServer> {
    match whole.member(name) {
        None => Ok(false),
        Some(value) => match value.as_bytes() {
            b"true" => Ok(true),
            b"false" => Ok(false),
            _ => Err(BadServer::Member(name)),
        },
    }
}

/// What it takes of what we can; by RFC 8414 section 2 a missing list means `client_secret_basic`.
fn auth(methods: Option<Vec<String>>) -> Result<Vec<Auth>, BadServer> {
    let Some(methods) = methods else { return Ok(vec![Auth::Basic]) };
    let found: Vec<Auth> = Auth::ALL.into_iter().filter(|auth| methods.iter().any(|method| method == auth.as_str())).collect();
    if found.is_empty() { Err(BadServer::Unsupported("client_secret_basic, client_secret_post or none")) } else { Ok(found) }
}

/// An address that brings a parameter of ours along would decide with us where the answer goes (attack OC-03).
fn leaves_room(url: &str) -> bool {
    let query = url.split_once('?').map_or("", |(_, query)| query);
    Form::parse_repeating(query, &[]).is_ok_and(|form| PARAMETERS.iter().all(|name| form.get(name).is_none()))
}
