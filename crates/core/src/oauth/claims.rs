//! What clients say of themselves, in the members that a registration (RFC 7591 section 2) and a client id metadata document
//! have in common. Unknown members and grants are accepted and forgotten; what could become active content is refused.

use crate::json::RawJson;
use crate::oauth::client::{Binds, Devices};
use crate::oauth::device;
use crate::oauth::redirect::{BadUri, Registered};
use std::borrow::Cow;

/// Members of a document of a client, unescaped.
pub(super) struct Claims(Vec<(String, RawJson)>);

/// What is wrong with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadClaims {
    /// A redirect URI that cannot be registered.
    #[error("{0}")]
    Redirect(#[from] BadUri),
    /// `redirect_uris` is no list of texts, is too long, or has none that is allowed here.
    #[error("redirect_uris must be a list of 1 to 20 texts, and one of them allowed here")]
    Redirects,
    /// A web application cannot be on the person's computer.
    #[error("application_type is web, but a redirect URI leads to the computer of the person")]
    WebOnLoopback,
    /// `application_type` is neither `web` nor `native`.
    #[error("application_type must be web or native")]
    ApplicationType,
    /// A member for people that is no `http` or `https` URL: it would be a link one day.
    #[error("client_uri, logo_uri, tos_uri, policy_uri and other URLs must be http or https URLs")]
    Link,
    /// A member has another type than it must have.
    #[error("a member of the metadata has the wrong type")]
    Type,
    /// No name, or one longer than 200 characters.
    #[error("client_name must be a text of at most 200 characters")]
    Name,
    /// Grants without `authorization_code`, or responses without `code`.
    #[error("grant_types must include authorization_code, and response_types code")]
    Grants,
    /// No way to prove itself that is offered here.
    #[error("no token_endpoint_auth_method of the client is offered here")]
    AuthMethod,
}

/// What a redirect URI that cannot be registered here means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unusable {
    /// An error: whoever registers can ask for something else.
    Refused,
    /// The URI counts as not listed, and nothing is ever sent there: a document is written for all servers.
    LeftOut,
}

/// Redirect URIs of one client at most.
pub(super) const MAX_REDIRECTS: usize = 20;
/// Characters of a name at most. Pages show fewer.
const MAX_NAME: usize = 200;
/// Members with URLs, with the language tags that may follow (RFC 7591 section 2.2).
const LINKS: [&str; 7] = ["client_uri", "logo_uri", "tos_uri", "policy_uri", "jwks_uri", "sector_identifier_uri", "initiate_login_uri"];

// === impl Claims ===

impl Claims {
    /// Of an object; `None` for any other value.
    pub(super) fn of(json: &RawJson) -> Option<Self> {
        json.members().map(Self)
    }

    pub(super) fn get(&self, name: &str) -> Option<&RawJson> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value).filter(|value| !value.is_null())
    }

    /// A text; `None` if it is missing.
    pub(super) fn text(&self, name: &str) -> Result<Option<Cow<'_, str>>, BadClaims> {
        self.get(name).map(|value| value.as_text().ok_or(BadClaims::Type)).transpose()
    }

    /// Whether all of its tokens are to be bound to a key (RFC 9449 section 5.2).
    pub(super) fn binds(&self) -> Result<Option<Binds>, BadClaims> {
        match self.get("dpop_bound_access_tokens").map(RawJson::as_bytes) {
            None | Some(b"false") => Ok(None),
            Some(b"true") => Ok(Some(Binds)),
            Some(_) => Err(BadClaims::Type),
        }
    }

    /// A list of texts; `None` if it is missing.
    pub(super) fn texts(&self, name: &str) -> Result<Option<Vec<String>>, BadClaims> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let elements = value.elements().ok_or(BadClaims::Type)?;
        elements.iter().map(|element| element.as_text().map(Cow::into_owned).ok_or(BadClaims::Type)).collect::<Result<_, _>>().map(Some)
    }

    /// The name, raw.
    pub(super) fn name(&self) -> Result<Option<String>, BadClaims> {
        let name = self.text("client_name").map_err(|_| BadClaims::Name)?;
        let fits = |name: &str| name.chars().count() <= MAX_NAME;
        name.map(|name| if fits(&name) { Ok(name.into_owned()) } else { Err(BadClaims::Name) }).transpose()
    }

    /// The redirect URIs, each once and in their order.
    pub(super) fn redirects(&self, schemes: &crate::oauth::redirect::Schemes, unusable: Unusable) -> Result<Vec<Registered>, BadClaims> {
        let uris = self.texts("redirect_uris").map_err(|_| BadClaims::Redirects)?.unwrap_or_default();
        if uris.is_empty() || uris.len() > MAX_REDIRECTS {
            return Err(BadClaims::Redirects);
        }
        let mut found: Vec<Registered> = Vec::new();
        for uri in uris {
            match Registered::new(&uri, schemes) {
                Ok(redirect) if found.contains(&redirect) => {}
                Ok(redirect) => found.push(redirect),
                Err(_) if unusable == Unusable::LeftOut => {}
                Err(error) => return Err(error.into()),
            }
        }
        match self.text("application_type")?.as_deref() {
            Some("web") if found.iter().any(Registered::is_loopback) => Err(BadClaims::WebOnLoopback),
            None | Some("web" | "native") if !found.is_empty() => Ok(found),
            None | Some("web" | "native") => Err(BadClaims::Redirects),
            Some(_) => Err(BadClaims::ApplicationType),
        }
    }

    /// Every member that would be a link is one that does nothing but lead to a page.
    pub(super) fn check_links(&self) -> Result<(), BadClaims> {
        let is_link = |key: &str| LINKS.contains(&key.split('#').next().unwrap_or_default());
        let mut links = self.0.iter().filter(|(key, value)| is_link(key) && !value.is_null());
        if links.all(|(_, value)| value.as_text().is_some_and(|text| is_web(&text))) { Ok(()) } else { Err(BadClaims::Link) }
    }

    /// Unknown grants and responses are ignored; those that are used here must not be missing from a list.
    pub(super) fn check_grants(&self) -> Result<Devices, BadClaims> {
        let lacks = |list: &Option<Vec<String>>, wanted: &str| list.as_ref().is_some_and(|list| !list.iter().any(|one| one == wanted));
        let (grants, responses) = (self.texts("grant_types")?, self.texts("response_types")?);
        if lacks(&grants, "authorization_code") || lacks(&responses, "code") {
            return Err(BadClaims::Grants);
        }
        let is_named = grants.is_some() && !lacks(&grants, device::GRANT_TYPE);
        Ok(if is_named { Devices::Named } else { Devices::Unnamed })
    }

    /// The ways to prove itself that the client names: those of its list, else the one of the singular member, which says no
    /// more than a preference where there is a list.
    pub(super) fn auth_methods(&self) -> Result<Vec<String>, BadClaims> {
        let one = self.texts_or_text("token_endpoint_auth_method")?;
        Ok(self.texts_or_text("token_endpoint_auth_methods_supported")?.or(one).unwrap_or_default())
    }

    fn texts_or_text(&self, name: &str) -> Result<Option<Vec<String>>, BadClaims> {
        match self.text(name) {
            Ok(text) => Ok(text.map(|text| vec![text.into_owned()])),
            Err(_) => self.texts(name),
        }
    }
}

/// An `http` or `https` URL in plain characters, with a host.
fn is_web(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let shape = |rest: &str| rest.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric() || b == b'[');
    rest.is_some_and(shape) && text.len() <= 2048 && text.bytes().all(|b| b.is_ascii_graphic() && !b"\"<>\\`{|}^".contains(&b))
}
