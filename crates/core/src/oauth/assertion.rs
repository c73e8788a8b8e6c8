//! Client assertions (RFC 7523 section 3, RFC 7521 section 4.2): a client shows that it holds the private key of its public one.
//!
//! For this authorization server alone, for minutes, and once: `jti` has to be there, and whoever believes an assertion uses it up
//! ([`OneUse`](super::token::OneUse)). Must not know where the keys came from.

use crate::id::ClientId;
use crate::json::RawJson;
use crate::oidc::jose::{self, Alg, BadToken};
use crate::oidc::keys::{KeySet, NoKey};
use crate::secret::sha256;
use crate::time::Timestamp;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use std::time::Duration;

/// `client_assertion_type` (RFC 7523 section 2.2).
pub const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// How far clocks may be apart.
pub const LEEWAY: Duration = Duration::from_secs(30);
/// How far ahead an assertion may end: what is good for long can be stolen for long.
pub const LONGEST_LIFE: Duration = Duration::from_secs(600);
/// The reason on record where no key fits.
pub(super) const UNKNOWN_KEY: &str = "assertion_key";
/// Longest `jti`, in bytes.
const LONGEST_ID: usize = 255;
const DEPTH: usize = 16;

/// What an assertion has to be of and for.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// Whose.
    pub client: &'a ClientId,
    /// The issuer, as the metadata says it.
    pub issuer: &'a str,
    /// The token endpoint, which older clients name instead (RFC 7523 section 3).
    pub endpoint: &'a str,
}

/// An assertion that its client signed, for us and now. Only [`check`] makes one. It counts once: see [`Asserted::name`].
#[derive(Debug)]
pub(super) struct Asserted {
    id: [u8; 32],
    expires: Timestamp,
}

/// Why an assertion shows nothing. Nothing of it is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BadAssertion {
    /// The token itself.
    Token(BadToken),
    /// `iss` and `sub` have to be the client id.
    Client,
    /// `aud` is missing, or it is not this server alone.
    Audience,
    /// `exp` is missing or no number, or another time is none.
    Times,
    /// It has ended.
    Expired,
    /// It was made, or counts, only in the future.
    Early,
    /// It would count for more than [`LONGEST_LIFE`].
    TooLong,
    /// `jti` is missing or longer than 255 bytes.
    Id,
}

/// Holds an assertion against the keys of its client.
///
/// # Errors
/// [`BadAssertion`].
pub(super) fn check(assertion: &str, keys: &KeySet, expected: &Expected<'_>, now: Timestamp) -> Result<Asserted, BadAssertion> {
    let signed = jose::verify(assertion, keys, &Alg::ALL).map_err(BadAssertion::Token)?;
    let claims = signed.payload();
    let is = |name: &str, wanted: &str| claims.member(name).is_some_and(|value| value.as_text().as_deref() == Some(wanted));
    if !is("iss", expected.client.as_str()) || !is("sub", expected.client.as_str()) {
        return Err(BadAssertion::Client);
    }
    if !is_for(claims, expected) {
        return Err(BadAssertion::Audience);
    }
    let second = |name: &str| claims.member(name).map(|value| jose::seconds(&value).ok_or(BadAssertion::Times)).transpose();
    let exp = second("exp")?.ok_or(BadAssertion::Times)?;
    let (leeway, at) = (LEEWAY.as_secs(), now.as_millis() / 1_000);
    if exp.saturating_add(leeway) <= at {
        return Err(BadAssertion::Expired);
    }
    if exp > at.saturating_add(LONGEST_LIFE.as_secs() + leeway) {
        return Err(BadAssertion::TooLong);
    }
    for name in ["iat", "nbf"] {
        if second(name)?.is_some_and(|time| time > at.saturating_add(leeway)) {
            return Err(BadAssertion::Early);
        }
    }
    let id = claims.member("jti").and_then(|id| id.as_text().map(std::borrow::Cow::into_owned)).ok_or(BadAssertion::Id)?;
    if id.is_empty() || id.len() > LONGEST_ID {
        return Err(BadAssertion::Id);
    }
    let client = expected.client.as_str();
    let name =
        [b"doorward client assertion v1".as_slice(), &(client.len() as u64).to_be_bytes(), client.as_bytes(), id.as_bytes()].concat();
    Ok(Asserted { id: sha256(&name), expires: Timestamp::from_millis(exp.saturating_mul(1_000)).after(LEEWAY) })
}

/// This server, and nobody besides: what another one was meant to believe, too, it could have brought here.
fn is_for(claims: &RawJson, expected: &Expected<'_>) -> bool {
    let is_ours = |value: &RawJson| value.as_text().is_some_and(|text| *text == *expected.issuer || *text == *expected.endpoint);
    claims.member("aud").is_some_and(|aud| match aud.elements() {
        None => is_ours(&aud),
        Some(all) => matches!(all.as_slice(), [one] if is_ours(one)),
    })
}

/// The client that an assertion says it is of, for a request that names none besides. Nothing is believed yet.
pub(super) fn claimed(assertion: &str) -> Option<String> {
    let body = assertion.split('.').nth(1).filter(|_| assertion.len() <= jose::LONGEST)?;
    let claims = RawJson::parse(&Bytes::from(URL_SAFE_NO_PAD.decode(body).ok()?), DEPTH).ok()?;
    claims.member("sub").and_then(|sub| sub.as_text().map(std::borrow::Cow::into_owned))
}

// === impl Asserted ===

impl Asserted {
    /// Names this assertion among all, and says until when that must be remembered.
    pub(super) const fn name(&self) -> (&[u8; 32], Timestamp) {
        (&self.id, self.expires)
    }
}

// === impl BadAssertion ===

impl BadAssertion {
    /// For its developers, and for the record.
    pub(super) const fn told(self) -> (&'static str, &'static str) {
        match self {
            Self::Token(BadToken::Form | BadToken::Extension | BadToken::Kind) => {
                ("the client assertion is no signed JWT that is understood here", "malformed_assertion")
            }
            Self::Token(BadToken::Algorithm) => ("the client assertion: its algorithm is not served", "assertion_algorithm"),
            Self::Token(BadToken::Key(NoKey::Unknown)) => ("the client assertion: the client has no such key", UNKNOWN_KEY),
            Self::Token(BadToken::Key(NoKey::Ambiguous)) => {
                ("the client assertion: several keys of the client could be meant; name one by kid", "assertion_key_ambiguous")
            }
            Self::Token(BadToken::Signature) => ("the client assertion: its signature is wrong", "assertion_signature"),
            Self::Client => ("the client assertion: iss and sub have to be the client id", "assertion_client"),
            Self::Audience => ("the client assertion: aud has to be this issuer alone", "assertion_audience"),
            Self::Times => ("the client assertion: exp is missing, or a time is no number", "assertion_times"),
            Self::Expired => ("the client assertion has ended", "assertion_expired"),
            Self::Early => ("the client assertion is of the future", "assertion_early"),
            Self::TooLong => ("the client assertion would count for more than ten minutes", "assertion_too_long"),
            Self::Id => ("the client assertion: jti is missing or too long", "assertion_id"),
        }
    }
}
