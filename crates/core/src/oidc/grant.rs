//! The Identity Assertion JWT Authorization Grant (ID-JAG, draft-ietf-oauth-identity-assertion-authz-grant; MCP enterprise-managed
//! authorization): an identity provider says that a person may be served here, through one client, at one resource.
//!
//! It counts once: `jti` has to be there, and whoever believes it uses it up. Must not know where keys came from, or what may be granted.

use super::jose::{Signed, seconds};
use super::token::{Unvouched, Vouched, email, groups, is_text};
use crate::id::{ClientId, UserId};
use crate::secret::sha256;
use crate::time::Timestamp;
use std::time::Duration;

/// What `typ` has to say, lower case.
pub const KIND: &str = "oauth-id-jag+jwt";
/// How long one may be good for: what is good for long can be stolen for long.
pub const LONGEST_LIFE: Duration = Duration::from_secs(600);
/// How long ago one may have been made: what it says of groups is written down, and must not be older than what a sign-in said since.
pub const OLDEST: Duration = Duration::from_secs(120);
/// Longest `jti`, in bytes.
const LONGEST_ID: usize = 255;

/// What one is held against.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// The issuer of the configuration.
    pub issuer: &'a str,
    /// Ourselves: the issuer of this authorization server.
    pub audience: &'a str,
    /// The client that shows it, which has proved itself.
    pub client: &'a ClientId,
    /// How far clocks may be apart.
    pub leeway: Duration,
    /// Where groups stand.
    pub groups_claim: &'a str,
    /// Where the e-mail address stands.
    pub email_claim: &'a str,
}

/// What an identity provider grants. Only [`grant`] makes one. It counts once: see [`Granted::name`].
#[derive(Debug)]
pub struct Granted {
    vouched: Vouched,
    resource: String,
    scope: Option<String>,
    id: [u8; 32],
    expires: Timestamp,
}

/// Why nothing is granted. Nothing of the token is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Ungranted {
    /// As for an ID token.
    #[error("{0}")]
    Claims(#[from] Unvouched),
    /// It is for another client than the one that shows it.
    #[error("assertion_client")]
    Client,
    /// `resource` is missing, or no text.
    #[error("no_resource")]
    Resource,
    /// `scope` is no text.
    #[error("missing_claim")]
    Scope,
    /// It would count for more than [`LONGEST_LIFE`].
    #[error("lifetime_too_long")]
    TooLong,
    /// It was made longer than [`OLDEST`] ago.
    #[error("too_old")]
    Old,
    /// `jti` is missing or longer than 255 bytes.
    #[error("assertion_id")]
    Id,
}

/// Holds a signed grant against what is expected.
///
/// # Errors
/// [`Ungranted`].
pub fn grant(signed: &Signed, expected: &Expected<'_>, now: Timestamp) -> Result<Granted, Ungranted> {
    let claims = signed.payload();
    let text = |name: &str| claims.member(name).and_then(|value| value.as_text().map(std::borrow::Cow::into_owned));
    if !is_text(claims, "iss", expected.issuer) {
        return Err(Unvouched::Issuer.into());
    }
    let aud = claims.member("aud").ok_or(Unvouched::Audience)?;
    // We, and nobody besides: another one that it is for could bring it here.
    let is_ours = match aud.elements() {
        None => aud.as_text().as_deref() == Some(expected.audience),
        Some(all) => matches!(all.as_slice(), [one] if one.as_text().as_deref() == Some(expected.audience)),
    };
    if !is_ours {
        return Err(Unvouched::Audience.into());
    }
    if text("client_id").as_deref() != Some(expected.client.as_str()) {
        return Err(Ungranted::Client);
    }
    let second = |name: &str| claims.member(name).map(|value| seconds(&value).ok_or(Unvouched::Times)).transpose();
    let (exp, iat) = (second("exp")?.ok_or(Unvouched::Times)?, second("iat")?.ok_or(Unvouched::Times)?);
    let (leeway, at) = (expected.leeway.as_secs(), now.as_millis() / 1_000);
    if exp.saturating_add(leeway) <= at {
        return Err(Unvouched::Expired.into());
    }
    if iat > at.saturating_add(leeway) || second("nbf")?.is_some_and(|nbf| nbf > at.saturating_add(leeway)) {
        return Err(Unvouched::Early.into());
    }
    if iat.saturating_add(OLDEST.as_secs()).saturating_add(leeway) < at {
        return Err(Ungranted::Old);
    }
    if exp.saturating_sub(iat) > LONGEST_LIFE.as_secs() {
        return Err(Ungranted::TooLong);
    }
    let user = UserId::new(expected.issuer, &text("sub").ok_or(Unvouched::Subject)?).map_err(|_| Unvouched::Subject)?;
    let resource = text("resource").ok_or(Ungranted::Resource)?;
    let scope = claims.member("scope").map(|scope| scope.as_text().map(std::borrow::Cow::into_owned).ok_or(Ungranted::Scope));
    let id = text("jti").filter(|id| (1..=LONGEST_ID).contains(&id.len())).ok_or(Ungranted::Id)?;
    let name = [b"doorward identity grant v1\0".as_slice(), expected.issuer.as_bytes(), b"\0", id.as_bytes()].concat();
    let vouched = Vouched::of(user, groups(claims, expected.groups_claim)?, email(claims, expected.email_claim), text("hd"));
    let expires = Timestamp::from_millis(exp.saturating_mul(1_000)).after(expected.leeway);
    Ok(Granted { vouched, resource, scope: scope.transpose()?, id: sha256(&name), expires })
}

// === impl Granted ===

impl Granted {
    /// Whom the provider vouches for.
    #[must_use]
    pub const fn vouched(&self) -> &Vouched {
        &self.vouched
    }

    /// The same, given away.
    #[must_use]
    pub fn into_vouched(self) -> Vouched {
        self.vouched
    }

    /// Where they may be served.
    #[must_use]
    pub fn resource(&self) -> &str {
        &self.resource
    }

    /// How far, where it says so.
    #[must_use]
    pub fn scope(&self) -> Option<&str> {
        self.scope.as_deref()
    }

    /// Names this grant among all of its issuer, and says until when that must be remembered.
    #[must_use]
    pub const fn name(&self) -> (&[u8; 32], Timestamp) {
        (&self.id, self.expires)
    }
}
