//! As whom a call goes downstream. A [`Lease`] exists only for a recorded intent and is the only way to an upstream request.

use crate::audit::intent::Intent;
use crate::json::RawJson;
use crate::mcp::call::Call;
use crate::policy::permit::Permit;
use crate::secret::Secret;
use crate::session::Bound;
use crate::time::Timestamp;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// A downstream credential together with the only origin it may be sent to (I5). No conversion from a presented token exists.
#[derive(Debug)]
pub struct UpstreamSecret {
    header: String,
    value: Secret<String>,
    spellings: Secret<Vec<String>>,
    origin: Origin,
}

/// Scheme, host and port of a server, or the child process of a server; compared byte for byte.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin(String);

/// Whose downstream identity, in words fit for the audit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal(String);

/// The right to make one upstream request as `as_whom` until `until`.
#[derive(Debug)]
pub struct Lease<'intent> {
    intent: &'intent Intent,
    secret: Option<std::sync::Arc<UpstreamSecret>>,
    as_whom: Principal,
    until: Timestamp,
}

/// Everything an upstream request is built from. Made only by [`Lease::outgoing`].
#[derive(Debug)]
pub struct Outgoing<'intent> {
    intent: &'intent Intent,
    secret: Option<std::sync::Arc<UpstreamSecret>>,
}

// === impl Origin ===

impl Origin {
    /// From a checked configuration, in the one form that is used everywhere.
    #[must_use]
    pub const fn new(text: String) -> Self {
        Self(text)
    }
}

// === impl Principal ===

impl Principal {
    /// From the words of a broker.
    #[must_use]
    pub const fn new(words: String) -> Self {
        Self(words)
    }

    /// The words.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

// === impl UpstreamSecret ===

impl UpstreamSecret {
    /// A static header from a secret source, pinned to its origin.
    #[must_use]
    pub fn from_source(header: String, value: Secret<String>, origin: Origin) -> Self {
        let spellings = Secret::new(spellings(value.expose()));
        Self { header, value, spellings, origin }
    }

    /// Header name and value, if `origin` is the one it is pinned to.
    #[must_use]
    pub fn header_for(&self, origin: &Origin) -> Option<(&str, &str)> {
        (self.origin == *origin).then(|| (self.header.as_str(), self.value.expose().as_str()))
    }

    /// True when `bytes` contain the live value in any common spelling: an upstream must not reflect it to the client (PT-03).
    #[must_use]
    pub fn occurs_in(&self, bytes: &[u8]) -> bool {
        self.spellings.expose().iter().any(|spelling| memchr::memmem::find(bytes, spelling.as_bytes()).is_some())
    }
}

/// Shorter values would be found by chance.
const SHORTEST_SPELLING: usize = 8;

/// How a value may come back: as it is, with its scheme cut off, in JSON, base64 at each alignment and percent-encoded.
fn spellings(value: &str) -> Vec<String> {
    let bare = value.split_once(' ').map_or(value, |(_, token)| token);
    let mut found = vec![bare.to_owned()];
    found.push(String::from_utf8_lossy(RawJson::string(bare).as_bytes()).trim_matches('"').to_owned());
    found.push(bare.bytes().map(|byte| format!("%{byte:02X}")).collect());
    found.push(bare.bytes().map(|byte| format!("%{byte:02x}")).collect());
    found.push(url::form_urlencoded::byte_serialize(bare.as_bytes()).collect());
    for engine in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
        for shift in 0..3_usize {
            // Only the characters that the value alone decides: those that mix with its neighbours are cut off.
            let shifted: Vec<u8> = std::iter::repeat_n(0, shift).chain(bare.bytes()).collect();
            let whole = engine.encode(shifted);
            let first = if shift == 0 { 0 } else { shift + 1 };
            let last = (bare.len() + shift) / 3 * 4;
            found.push(whole.get(first..last).unwrap_or_default().to_owned());
        }
    }
    found.retain(|spelling| spelling.len() >= SHORTEST_SPELLING);
    found.sort_unstable();
    found.dedup();
    found
}

// === impl Lease ===

impl<'intent> Lease<'intent> {
    /// Grants the downstream identity for a recorded intent; `None` means that the server wants no credential.
    #[must_use]
    pub const fn grant(
        intent: &'intent Intent,
        secret: Option<std::sync::Arc<UpstreamSecret>>,
        as_whom: Principal,
        until: Timestamp,
    ) -> Self {
        Self { intent, secret, as_whom, until }
    }

    /// Whose identity.
    #[must_use]
    pub const fn as_whom(&self) -> &Principal {
        &self.as_whom
    }

    /// When it ends.
    #[must_use]
    pub const fn until(&self) -> Timestamp {
        self.until
    }

    /// The only constructor of an upstream request.
    #[must_use]
    pub fn outgoing(self) -> Outgoing<'intent> {
        Outgoing { intent: self.intent, secret: self.secret }
    }
}

// === impl Outgoing ===

impl Outgoing<'_> {
    /// The call to encode.
    #[must_use]
    pub const fn call(&self) -> &Call {
        self.intent.permit().call()
    }

    /// What was permitted: to be looked at again while the call runs (I8).
    #[must_use]
    pub const fn permit(&self) -> &Permit {
        self.intent.permit()
    }

    /// Whose session.
    #[must_use]
    pub const fn bound(&self) -> &Bound {
        self.intent.permit().bound()
    }

    /// The credential, shared with the streams that this call opens.
    #[must_use]
    pub fn secret(&self) -> Option<std::sync::Arc<UpstreamSecret>> {
        self.secret.clone()
    }
}
