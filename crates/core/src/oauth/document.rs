//! Client id metadata documents: which URLs can be a client id, and what a document must say to be believed.
//!
//! draft-ietf-oauth-client-id-metadata-document, sections 3, 4.1 and 6; MCP 2026-07-28 client registration; REG-05, REG-06.

use crate::id::ClientId;
use crate::json::RawJson;
use crate::oauth::claims::{BadClaims, Claims, Unusable};
use crate::oauth::client::{Client, ClientAuth, DocumentSource, Identity, Keys, Parts};
use crate::oauth::redirect::{Schemes, has_dot_segment, has_only_uri_characters, host_and_port};
use crate::oidc::keys::KeySet;
use crate::time::Timestamp;
use bytes::Bytes;

/// A client id that is the URL of a document. No query, so that one file is one client.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DocumentUrl {
    id: ClientId,
    host: String,
}

/// The URL cannot be a client id; nothing is fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the URL of a client id metadata document: https, a host, a path without . and .., no query, no fragment, no user")]
pub struct BadDocumentUrl;

/// Why a document is not believed. What it says is not repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadDocument {
    /// Longer than [`MAX_DOCUMENT`].
    #[error("the document is longer than 5 KiB")]
    TooLong,
    /// Not a JSON object with one meaning.
    #[error("the document is not one JSON object without repeated members")]
    NotJson,
    /// It describes another client.
    #[error("the client_id in the document is not its URL, byte by byte")]
    OtherClient,
    /// It has, or asks for, a secret, which a public document cannot keep.
    #[error("the document has a client secret, or a method that needs one")]
    Secret,
    /// Its signed assertions cannot be checked: no keys, two sets of them, or one with secret keys.
    #[error("the document has no usable public keys")]
    Keys,
    /// Something else in it.
    #[error(transparent)]
    Claims(#[from] BadClaims),
}

/// Longest document (draft section 6.6).
pub const MAX_DOCUMENT: usize = 5 * 1024;

const MAX_DEPTH: usize = 16;

// === impl BadDocument ===

impl BadDocument {
    /// True when the document is the one of this client, and what it says is what cannot be accepted. Anything else may be an error
    /// page of its host.
    #[must_use]
    pub const fn is_its_own(&self) -> bool {
        matches!(self, Self::Secret | Self::Keys | Self::Claims(_))
    }
}

// === impl DocumentUrl ===

impl DocumentUrl {
    /// Whether a client id claims to be one of a document; it may be a bad one.
    #[must_use]
    pub fn is_meant(id: &str) -> bool {
        id.get(..8).is_some_and(|start| start.eq_ignore_ascii_case("https://"))
            || id.get(..7).is_some_and(|start| start.eq_ignore_ascii_case("http://"))
    }

    /// Checks a client id.
    ///
    /// # Errors
    /// [`BadDocumentUrl`].
    pub fn new(id: &str) -> Result<Self, BadDocumentUrl> {
        let client = ClientId::new(id).map_err(|_| BadDocumentUrl)?;
        let rest = id.strip_prefix("https://").filter(|_| has_only_uri_characters(id)).ok_or(BadDocumentUrl)?;
        let (authority, path) = rest.split_at_checked(rest.find(['/', '?']).ok_or(BadDocumentUrl)?).ok_or(BadDocumentUrl)?;
        let (host, _) = host_and_port(authority).map_err(|_| BadDocumentUrl)?;
        if authority.contains('@') || !path.starts_with('/') || path.len() < 2 || path.contains('?') || has_dot_segment(path) {
            return Err(BadDocumentUrl);
        }
        Ok(Self { host: host.to_owned(), id: client })
    }

    /// The client id.
    #[must_use]
    pub const fn id(&self) -> &ClientId {
        &self.id
    }

    /// The URL.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.id.as_str()
    }

    /// Whose document it is, in lower case and without the port.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }
}

/// Reads the document of `url`.
///
/// # Errors
/// [`BadDocument`].
pub fn parse(
    url: &DocumentUrl,
    body: &Bytes,
    source: DocumentSource,
    checked: Timestamp,
    schemes: &Schemes,
) -> Result<Client, BadDocument> {
    if body.len() > MAX_DOCUMENT {
        return Err(BadDocument::TooLong);
    }
    let json = RawJson::parse(body, MAX_DEPTH).map_err(|_| BadDocument::NotJson)?;
    let claims = Claims::of(&json).ok_or(BadDocument::NotJson)?;
    let id = claims.get("client_id").and_then(RawJson::as_text);
    if id.as_deref() != Some(url.as_str()) {
        return Err(BadDocument::OtherClient);
    }
    if claims.get("client_secret").is_some() || claims.get("client_secret_expires_at").is_some() {
        return Err(BadDocument::Secret);
    }
    let name = claims.name()?.filter(|name| !name.trim().is_empty()).ok_or(BadClaims::Name)?;
    let redirects = claims.redirects(schemes, Unusable::LeftOut)?;
    claims.check_links()?;
    let devices = claims.check_grants()?;
    let auth = auth(&claims)?;
    let identity = Identity::Published { host: url.host.clone(), source, checked };
    Ok(Client::new(Parts { id: url.id.clone(), name, identity, redirects, auth, devices }).binding(claims.binds()?))
}

/// Every way that both sides know, as its client chooses by our metadata; none named is none at all, since the secret of RFC 7591 is out
/// of the question.
fn auth(claims: &Claims) -> Result<ClientAuth, BadDocument> {
    let mut named = claims.auth_methods()?;
    if let Some(preferred) = claims.text("token_endpoint_auth_method").ok().flatten() {
        named.push(preferred.into_owned());
    }
    if named.iter().any(|method| method.starts_with("client_secret")) {
        return Err(BadDocument::Secret);
    }
    let choice = claims.auth_methods()?;
    let is_named = |method: &str| choice.iter().any(|one| one == method);
    let (without, with) = (choice.is_empty() || is_named("none"), is_named("private_key_jwt"));
    if !with {
        return if without { Ok(ClientAuth::None) } else { Err(BadClaims::AuthMethod.into()) };
    }
    let keys = match (claims.get("jwks"), claims.text("jwks_uri")?) {
        (Some(keys), None) if are_public(keys) => Keys::Inline(String::from_utf8_lossy(keys.as_bytes()).into_owned()),
        (None, Some(url)) if DocumentUrl::new(&url).is_ok() => Keys::At(url.into_owned()),
        (None, None) if without => return Ok(ClientAuth::None),
        _ => return Err(BadDocument::Keys),
    };
    Ok(if without { ClientAuth::EitherWay(keys) } else { ClientAuth::PrivateKeyJwt(keys) })
}

/// A JWK set (RFC 7517 section 5) of public keys, one of them usable: neither symmetric ones nor private parts.
fn are_public(keys: &RawJson) -> bool {
    let is_public = |key: &RawJson| {
        let kind = key.member("kty");
        let kind = kind.as_ref().and_then(RawJson::as_text);
        matches!(kind.as_deref(), Some("RSA" | "EC" | "OKP")) && key.member("d").is_none() && key.member("k").is_none()
    };
    let usable = KeySet::parse(&Bytes::copy_from_slice(keys.as_bytes())).is_ok();
    usable && keys.member("keys").and_then(|list| list.elements()).is_some_and(|list| list.iter().all(is_public))
}

#[cfg(test)]
mod tests;
