//! The metadata of a provider (OpenID Connect Discovery 1.0), read from the address that its issuer derives and believed only as far
//! as it goes (attack OC-04).
//!
//! Where its endpoints may be: on the issuer's own origin, or on another host by https. Whether such a host may be reached is for the
//! door out to say: only what stands on the issuer's origin counts as written by the administrator. Must not know sockets.

use super::jose::Alg;
use crate::json::RawJson;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use url::Url;

/// What a provider says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    /// Where the browser goes.
    pub authorization: String,
    /// Where a code becomes tokens.
    pub token: Endpoint,
    /// Where its keys are.
    pub keys: Endpoint,
    /// Where it says more of a person.
    pub userinfo: Option<Endpoint>,
    /// How we prove ourselves at the token endpoint.
    pub auth: ClientAuth,
    /// Whether it names itself in every answer (RFC 9207).
    pub naming: Naming,
}

/// Whether a provider promised its name in every answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Naming {
    /// It did: an answer without it is not its own.
    Promised,
    /// It did not; a name that comes nevertheless must be the right one.
    Open,
}

/// An address that the gateway itself asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// The address.
    pub url: String,
    /// Whose host it is.
    pub place: Place,
}

/// Whose host an endpoint is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Place {
    /// That of the issuer, which the administrator wrote.
    Issuer,
    /// Another one, which the provider named: https, and public.
    Elsewhere,
}

/// How a client sends its secret (RFC 6749 section 2.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientAuth {
    /// In an `Authorization` header.
    Basic,
    /// In the body.
    Post,
}

/// Why the metadata is of no use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadMetadata {
    /// Not a JSON object.
    #[error("it is not a JSON object, or a key stands in it twice")]
    Form,
    /// It is of another issuer: not the configured text, byte for byte.
    #[error("it names another issuer than the one that is configured")]
    Issuer,
    /// A member is missing or is not what it should be.
    #[error("{0} is missing or not usable")]
    Member(&'static str),
    /// It cannot do what is needed.
    #[error("it does not support {0}")]
    Unsupported(&'static str),
    /// It signs with none of the configured algorithms.
    #[error("it signs ID tokens with none of the configured algs")]
    Algorithms,
}

const DEPTH: usize = 32;

/// The address of the metadata of an issuer (Discovery section 4).
#[must_use]
pub fn address(issuer: &str) -> String {
    format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'))
}

/// Where the metadata of `issuer` says that its keys are, and nothing else of it: issuers of workloads sign nobody in.
///
/// # Errors
/// [`BadMetadata`].
pub fn keys_of(text: &Bytes, issuer: &str) -> Result<Endpoint, BadMetadata> {
    let whole = RawJson::parse(text, DEPTH).ok().filter(RawJson::is_object).ok_or(BadMetadata::Form)?;
    if whole.member("issuer").and_then(|value| value.as_text().map(|text| text == issuer)) != Some(true) {
        return Err(BadMetadata::Issuer);
    }
    let url = whole.member("jwks_uri").and_then(|value| value.as_text().map(std::borrow::Cow::into_owned));
    let url = url.ok_or(BadMetadata::Member("jwks_uri"))?;
    let place = place(&url, issuer).ok_or(BadMetadata::Member("jwks_uri"))?;
    Ok(Endpoint { url, place })
}

impl Metadata {
    /// Reads the metadata of `issuer`, of which ID tokens are wanted with one of `algs`.
    ///
    /// # Errors
    /// [`BadMetadata`].
    pub fn parse(text: &Bytes, issuer: &str, algs: &[Alg]) -> Result<Self, BadMetadata> {
        let whole = RawJson::parse(text, DEPTH).ok().filter(RawJson::is_object).ok_or(BadMetadata::Form)?;
        if whole.member("issuer").and_then(|value| value.as_text().map(|text| text == issuer)) != Some(true) {
            return Err(BadMetadata::Issuer);
        }
        let listed = |name: &'static str| list(&whole, name).map_err(|()| BadMetadata::Member(name));
        let endpoint = |name: &'static str| -> Result<Option<Endpoint>, BadMetadata> {
            let Some(value) = whole.member(name) else { return Ok(None) };
            let url = value.as_text().ok_or(BadMetadata::Member(name))?.into_owned();
            let place = place(&url, issuer).ok_or(BadMetadata::Member(name))?;
            Ok(Some(Endpoint { url, place }))
        };
        let wanted = |name: &'static str| endpoint(name)?.ok_or(BadMetadata::Member(name));
        if listed("response_types_supported")?.is_some_and(|types| !types.iter().any(|kind| kind == "code")) {
            return Err(BadMetadata::Unsupported("response_type=code"));
        }
        // Some say nothing of it and do it nevertheless; one that says it cannot would leave codes open to whoever sees them.
        if listed("code_challenge_methods_supported")?.is_some_and(|methods| !methods.iter().any(|method| method == "S256")) {
            return Err(BadMetadata::Unsupported("PKCE with S256"));
        }
        if listed("id_token_signing_alg_values_supported")?
            .is_some_and(|names| !algs.iter().any(|alg| names.iter().any(|name| name == alg.as_str())))
        {
            return Err(BadMetadata::Algorithms);
        }
        let auth = match listed("token_endpoint_auth_methods_supported")? {
            None => ClientAuth::Basic, // Discovery section 3
            Some(methods) if methods.iter().any(|method| method == "client_secret_basic") => ClientAuth::Basic,
            Some(methods) if methods.iter().any(|method| method == "client_secret_post") => ClientAuth::Post,
            Some(_) => return Err(BadMetadata::Unsupported("client_secret_basic or client_secret_post")),
        };
        let naming = match whole.member("authorization_response_iss_parameter_supported") {
            None => Naming::Open,
            Some(value) => match value.as_bytes() {
                b"true" => Naming::Promised,
                b"false" => Naming::Open,
                _ => return Err(BadMetadata::Member("authorization_response_iss_parameter_supported")),
            },
        };
        Ok(Self {
            authorization: wanted("authorization_endpoint")?.url,
            token: wanted("token_endpoint")?,
            keys: wanted("jwks_uri")?,
            userinfo: endpoint("userinfo_endpoint")?,
            auth,
            naming,
        })
    }
}

/// Texts of a list; `None` where there is none.
pub(crate) fn list(whole: &RawJson, name: &str) -> Result<Option<Vec<String>>, ()> {
    let Some(value) = whole.member(name) else { return Ok(None) };
    let items = value.elements().ok_or(())?;
    items.iter().map(|item| item.as_text().map(std::borrow::Cow::into_owned).ok_or(())).collect::<Result<_, _>>().map(Some)
}

/// Where an endpoint is, if it may be there: https without user, password and fragment; http only on the very origin of an issuer
/// that is http itself, which the configuration allows on this computer alone.
pub(crate) fn place(text: &str, issuer: &str) -> Option<Place> {
    let (url, issuer) = (Url::parse(text).ok()?, Url::parse(issuer).ok()?);
    let plain = text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\') && url.fragment().is_none();
    if !plain || !url.username().is_empty() || url.password().is_some() || url.host_str().is_none_or(str::is_empty) {
        return None;
    }
    match url.scheme() {
        "https" | "http" if url.origin() == issuer.origin() => Some(Place::Issuer),
        "https" => Some(Place::Elsewhere),
        _ => None,
    }
}
