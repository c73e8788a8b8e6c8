//! What a server says of itself as a protected resource (RFC 9728): which text names it, and whose tokens it takes.
//!
//! Believed only for the server that was asked, or for a part of its origin above it (sections 3.3 and 7.3): another server's name
//! would make its tokens ours to send. Must not know sockets: addresses go out, a text comes in.

use super::scopes::{MOST_SCOPES, is_scope};
use crate::json::RawJson;
use crate::oidc::provider::{Endpoint, Place, list, place};
use bytes::Bytes;
use url::{Host, Url};

/// The metadata of a server, checked against its address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// Its name, byte for byte as it says it: this text goes into requests (RFC 8707).
    pub name: String,
    /// Issuers whose tokens it takes, in its order: 1 to 10. The place says whether one is on the server's own origin.
    pub servers: Vec<Endpoint>,
    /// The scopes that it knows; `None` where it says nothing of them.
    pub scopes: Option<Vec<String>>,
}

/// Why the metadata is of no use. Nothing of it is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadResource {
    /// Not a JSON object.
    #[error("it is not a JSON object, or a key stands in it twice")]
    Form,
    /// `resource` is neither the server's address nor one above it on the same origin.
    #[error("it is the metadata of another server")]
    Other,
    /// No issuer, more than ten, or one that may not be asked.
    #[error("authorization_servers must be 1 to 10 https URLs without query and fragment")]
    Servers,
    /// A member is not what it should be.
    #[error("{0} is not usable")]
    Member(&'static str),
    /// It takes tokens in no way that we can send them.
    #[error("it does not take {0}")]
    Unsupported(&'static str),
}

/// Authorization servers of one resource at most.
pub const MOST_SERVERS: usize = 10;
/// Longest name of a resource or issuer, in bytes.
pub(super) const LONGEST_URL: usize = 2_048;
const DEPTH: usize = 32;

/// Where the metadata of a server may be, in the order in which it is looked for (RFC 9728 section 3.1; MCP): under the path of the
/// server, then at the root of its origin. Empty for what is no URL.
#[must_use]
pub fn well_known(server_url: &str) -> Vec<String> {
    let Ok(url) = Url::parse(server_url) else { return Vec::new() };
    if !url.has_host() {
        return Vec::new();
    }
    let root = format!("{}/.well-known/oauth-protected-resource", url.origin().ascii_serialization());
    let path = if url.path() == "/" { "" } else { url.path() };
    let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
    let inserted = format!("{root}{path}{query}");
    if inserted == root { vec![root] } else { vec![inserted, root] }
}

// === impl Resource ===

impl Resource {
    /// Reads the metadata of the server at `server_url`.
    ///
    /// # Errors
    /// [`BadResource`].
    pub fn parse(text: &Bytes, server_url: &str) -> Result<Self, BadResource> {
        let whole = RawJson::parse(text, DEPTH).ok().filter(RawJson::is_object).ok_or(BadResource::Form)?;
        let server = Url::parse(server_url).map_err(|_| BadResource::Other)?;
        let name = whole.member("resource").and_then(|value| value.as_text().map(std::borrow::Cow::into_owned));
        let name = name.filter(|name| is_above(name, &server)).ok_or(BadResource::Other)?;
        let issuers = list(&whole, "authorization_servers").ok().flatten().ok_or(BadResource::Servers)?;
        if !(1..=MOST_SERVERS).contains(&issuers.len()) {
            return Err(BadResource::Servers);
        }
        let servers = issuers.into_iter().map(|issuer| placed(issuer, &server)).collect::<Option<_>>().ok_or(BadResource::Servers)?;
        let scopes = list(&whole, "scopes_supported").map_err(|()| BadResource::Member("scopes_supported"))?;
        if scopes.as_ref().is_some_and(|all| all.len() > MOST_SCOPES || !all.iter().all(|scope| is_scope(scope))) {
            return Err(BadResource::Member("scopes_supported"));
        }
        let methods = list(&whole, "bearer_methods_supported").map_err(|()| BadResource::Member("bearer_methods_supported"))?;
        if methods.is_some_and(|methods| !methods.iter().any(|method| method == "header")) {
            return Err(BadResource::Unsupported("tokens in a header"));
        }
        if whole.member("dpop_bound_access_tokens_required").is_some_and(|value| value.as_bytes() == b"true") {
            return Err(BadResource::Unsupported("tokens that are bound to no key"));
        }
        Ok(Self { name, servers, scopes })
    }

    /// Whether it takes tokens of this issuer, byte for byte.
    #[must_use]
    pub fn trusts(&self, issuer: &str) -> bool {
        self.servers.iter().any(|server| server.url == issuer)
    }
}

/// The server itself, or what stands above it on its origin, by whole segments of the path.
fn is_above(name: &str, server: &Url) -> bool {
    // Of one origin and well-formed, spelled without what a URL parser would repair.
    if name.len() > LONGEST_URL || place(name, server.as_str()) != Some(Place::Issuer) {
        return false;
    }
    let Ok(url) = Url::parse(name) else { return false };
    let parent = url.path().strip_suffix('/').unwrap_or(url.path());
    let within = server.path().strip_prefix(parent).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let same_query = url.query().is_none() || (url.query() == server.query() && url.path() == server.path());
    within && same_query
}

/// An issuer that may be asked (RFC 8414 section 2: https, neither query nor fragment). By http only a server on this computer may
/// name another one on this computer; whether such a one is reached is for the door out to say.
fn placed(issuer: String, server: &Url) -> Option<Endpoint> {
    let url = Url::parse(&issuer).ok().filter(|url| url.query().is_none() && issuer.len() <= LONGEST_URL)?;
    let allowed = url.scheme() == "https" || (is_local(&url) && is_local(server));
    // Against itself it says whether the text is well-formed.
    place(&issuer, &issuer).filter(|_| allowed)?;
    let place = if url.origin() == server.origin() { Place::Issuer } else { Place::Elsewhere };
    Some(Endpoint { url: issuer, place })
}

/// Plain http on this computer.
fn is_local(url: &Url) -> bool {
    let loopback = match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    };
    url.scheme() == "http" && loopback
}
