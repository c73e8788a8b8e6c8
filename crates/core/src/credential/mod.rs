//! As whom a call goes downstream. A [`Lease`] exists only for a recorded intent and is the only way to an upstream request.

pub mod aws;
pub mod google;
mod minted;
mod no_lease;

pub use minted::{Age, Life, Minted, RENEW};
pub use no_lease::NoLease;

use crate::audit::intent::Intent;
use crate::id::CorrelationId;
use crate::json::RawJson;
use crate::mcp::call::Call;
use crate::policy::permit::Permit;
use crate::secret::Secret;
use crate::session::Bound;
use crate::time::Timestamp;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// A downstream credential together with the only origin it may be sent to (I5). No conversion from a presented token exists.
#[derive(Debug)]
pub struct UpstreamSecret {
    /// `None` for a child process, which was given its secrets when it was started.
    sent: Option<Sent>,
    spellings: Secret<Vec<String>>,
    /// Of what is kept for somebody; 0 for what is the same since the start.
    version: u64,
    /// Since when the account that it is of is connected: a renewal leaves it, another account has another.
    account: Option<Timestamp>,
}

/// A header that goes with each request.
#[derive(Debug)]
struct Sent {
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

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
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
        let spellings = Secret::new(spellings(&credentials(value.expose())));
        Self { sent: Some(Sent { header, value, origin }), spellings, version: 0, account: None }
    }

    /// The secrets in the environment of a child process: nothing of them is ever sent, and none may come back (PT-03).
    #[must_use]
    pub fn from_environment<'a>(values: impl IntoIterator<Item = &'a Secret<String>>) -> Self {
        let values: Vec<String> = values.into_iter().map(|value| value.expose().clone()).collect();
        Self { sent: None, spellings: Secret::new(spellings(&values)), version: 0, account: None }
    }

    /// The same, as this version of what is kept: connections of one version are not used with another.
    #[must_use]
    pub fn of_version(self, version: u64) -> Self {
        Self { version, ..self }
    }

    /// Its version.
    #[must_use]
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// The same, of the account that is connected since `since`.
    #[must_use]
    pub fn of_account(self, since: Timestamp) -> Self {
        Self { account: Some(since), ..self }
    }

    /// Since when its account is connected, where it is of one: what was begun with one account is not gone on with by another.
    #[must_use]
    pub const fn account(&self) -> Option<Timestamp> {
        self.account
    }

    /// Header name and value, if `origin` is the one it is pinned to.
    #[must_use]
    pub fn header_for(&self, origin: &Origin) -> Option<(&str, &str)> {
        let sent = self.sent.as_ref().filter(|sent| sent.origin == *origin)?;
        Some((sent.header.as_str(), sent.value.expose().as_str()))
    }

    /// True when `bytes` contain the live value in any common spelling: an upstream must not reflect it to the client (PT-03).
    #[must_use]
    pub fn occurs_in(&self, bytes: &[u8]) -> bool {
        self.spellings.expose().iter().any(|spelling| memchr::memmem::find(bytes, spelling.as_bytes()).is_some())
    }
}

/// Shorter values would be found by chance.
const SHORTEST_SPELLING: usize = 8;

/// What of a header is secret: all behind the scheme, and for `Basic` (RFC 7617) what its base64 holds.
fn credentials(value: &str) -> Vec<String> {
    let (scheme, bare) = value.split_once(' ').unwrap_or(("", value));
    let mut found = vec![bare.to_owned()];
    if scheme.eq_ignore_ascii_case("basic")
        && let Some(pair) = STANDARD.decode(bare.trim()).ok().and_then(|pair| String::from_utf8(pair).ok())
    {
        found.extend(pair.split_once(':').map(|(_, password)| password.to_owned()));
        found.push(pair);
    }
    found
}

/// How values may come back: as they are, in JSON, base64 at each alignment, hexadecimal and percent-encoded.
fn spellings(values: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    for bare in values {
        found.push(bare.clone());
        found.push(String::from_utf8_lossy(RawJson::string(bare).as_bytes()).trim_matches('"').to_owned());
        for hex in
            [bare.bytes().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>(), bare.bytes().map(|byte| format!("{byte:02x}")).collect()]
        {
            found.push(hex.concat());
            found.push(format!("%{}", hex.join("%")));
        }
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

    /// Since when its account is connected, where it is of one.
    #[must_use]
    pub fn account(&self) -> Option<Timestamp> {
        self.secret.as_ref().and_then(|secret| secret.account())
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

    /// The request, as the record names it.
    #[must_use]
    pub const fn id(&self) -> CorrelationId {
        self.intent.id()
    }

    /// The credential, shared with the streams that this call opens.
    #[must_use]
    pub fn secret(&self) -> Option<std::sync::Arc<UpstreamSecret>> {
        self.secret.clone()
    }
}
