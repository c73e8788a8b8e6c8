//! As whom a call goes downstream. A [`Lease`] exists only for a recorded intent and is the only way to an upstream request.

use crate::audit::intent::Intent;
use crate::mcp::call::Call;
use crate::secret::Secret;
use crate::session::Bound;
use crate::time::Timestamp;

/// A downstream credential together with the only origin it may be sent to (I5). No conversion from a presented token exists.
#[derive(Debug)]
pub struct UpstreamSecret {
    header: String,
    value: Secret<String>,
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
    pub const fn from_source(header: String, value: Secret<String>, origin: Origin) -> Self {
        Self { header, value, origin }
    }

    /// Header name and value, if `origin` is the one it is pinned to.
    #[must_use]
    pub fn header_for(&self, origin: &Origin) -> Option<(&str, &str)> {
        (self.origin == *origin).then(|| (self.header.as_str(), self.value.expose().as_str()))
    }

    /// True when `bytes` contain the live value: an upstream must not reflect it to the client (PT-03).
    #[must_use]
    pub fn occurs_in(&self, bytes: &[u8]) -> bool {
        let needle = self.value.expose().as_bytes();
        !needle.is_empty() && bytes.windows(needle.len()).any(|window| window == needle)
    }
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
