//! The logout token: a provider says that somebody signed out there (OpenID Connect Back-Channel Logout 1.0 sections 2.4 and 2.6).
//!
//! Whoever likes can send one, so it has to be one and nothing else (attack UI-05; ASVS 10.5.5). An ID token is none: this one names its
//! event and has no nonce, that one has the nonce of its sign-in. It counts once: `jti` has to be there, and whoever believes it uses it
//! up. Must not know what ends.

use super::jose::{Signed, claimed_kind, seconds};
use super::token::{Unvouched, audience, is_text};
use crate::id::UserId;
use crate::json::RawJson;
use crate::secret::sha256;
use crate::time::Timestamp;
use std::time::Duration;

/// What `typ` has to say where it says anything, lower case.
pub const KIND: &str = "logout+jwt";
/// How long ago one may have been made: long enough for a provider that tries again, and no longer.
pub const OLDEST: Duration = Duration::from_secs(300);
/// The name of the event.
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";
/// Longest `jti`, in bytes.
const LONGEST_ID: usize = 255;
/// Longest `sid`, in bytes.
const LONGEST_SESSION: usize = 1_024;

/// How much of what a person has here ends with their session at the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Their sign-ins.
    SignIns,
    /// What they allowed applications, too, and every token of theirs.
    Consents,
}

/// Names a session at a provider among all of its issuer (`sid`). A digest: nobody needs the name itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProviderSession([u8; 32]);

/// What a token is held against.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// The issuer of the configuration.
    pub issuer: &'a str,
    /// What we are called there.
    pub client_id: &'a str,
    /// How far clocks may be apart.
    pub leeway: Duration,
}

/// Somebody who signed out at a provider: a person, one session of theirs, or both. Only [`log_out`] makes one. It counts once: see
/// [`LoggedOut::once`].
#[derive(Debug)]
pub struct LoggedOut {
    issuer: String,
    user: Option<UserId>,
    session: Option<ProviderSession>,
    id: [u8; 32],
    until: Timestamp,
}

/// Why nobody signed out. Nothing of the token is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotLoggedOut {
    /// As for an ID token.
    #[error("{0}")]
    Claims(#[from] Unvouched),
    /// `events` is not the one event of a logout, and that alone, with an object.
    #[error("no_logout_event")]
    Event,
    /// It has a `nonce`: it could be an answer to a sign-in.
    #[error("nonce_not_allowed")]
    Nonce,
    /// Neither `sub` nor `sid`.
    #[error("nobody_named")]
    Nobody,
    /// `sid` is empty, too long, or no text.
    #[error("bad_session")]
    Session,
    /// It was made longer than [`OLDEST`] ago.
    #[error("too_old")]
    Old,
    /// `jti` is missing or longer than 255 bytes.
    #[error("no_token_id")]
    Id,
}

/// What `typ` of this token may say, for [`super::jose::verify_as`]: nothing, or [`KIND`]. `JWT`, as ID tokens have it, is another kind
/// (RFC 8725 section 3.11).
#[must_use]
pub fn kinds(token: &str) -> &'static [&'static str] {
    if claimed_kind(token).is_none() { &[] } else { &[KIND] }
}

/// Holds a signed logout token against what is expected.
///
/// # Errors
/// [`NotLoggedOut`].
pub fn log_out(signed: &Signed, expected: &Expected<'_>, now: Timestamp) -> Result<LoggedOut, NotLoggedOut> {
    let claims = signed.payload();
    if !is_text(claims, "iss", expected.issuer) {
        return Err(Unvouched::Issuer.into());
    }
    audience(claims, expected.client_id)?;
    let second = |name: &str| claims.member(name).map(|value| seconds(&value).ok_or(Unvouched::Times)).transpose();
    let (exp, iat) = (second("exp")?.ok_or(Unvouched::Times)?, second("iat")?.ok_or(Unvouched::Times)?);
    let (leeway, at) = (expected.leeway.as_secs(), now.as_millis() / 1_000);
    if exp.saturating_add(leeway) <= at {
        return Err(Unvouched::Expired.into());
    }
    if iat > at.saturating_add(leeway) || second("nbf")?.is_some_and(|nbf| nbf > at.saturating_add(leeway)) {
        return Err(Unvouched::Early.into());
    }
    let oldest = iat.saturating_add(OLDEST.as_secs());
    if oldest.saturating_add(leeway) <= at {
        return Err(NotLoggedOut::Old);
    }
    if !is_logout(claims) {
        return Err(NotLoggedOut::Event);
    }
    // Whatever its value, null among them.
    if claims.member("nonce").is_some() {
        return Err(NotLoggedOut::Nonce);
    }
    let text = |name: &str| claims.member(name).map(|value| value.as_text().map(std::borrow::Cow::into_owned));
    let user = match text("sub") {
        None => None,
        Some(sub) => Some(sub.and_then(|sub| UserId::new(expected.issuer, &sub).ok()).ok_or(Unvouched::Subject)?),
    };
    let session = match text("sid") {
        None => None,
        Some(sid) => Some(sid.and_then(|sid| ProviderSession::of(expected.issuer, &sid)).ok_or(NotLoggedOut::Session)?),
    };
    if user.is_none() && session.is_none() {
        return Err(NotLoggedOut::Nobody);
    }
    let id = text("jti").flatten().filter(|id| (1..=LONGEST_ID).contains(&id.len())).ok_or(NotLoggedOut::Id)?;
    let name = [b"doorward logout token v1\0".as_slice(), expected.issuer.as_bytes(), b"\0", id.as_bytes()].concat();
    // As long as it would be believed, and no longer: an `exp` of next year keeps nothing for a year.
    let until = Timestamp::from_millis(exp.min(oldest).saturating_mul(1_000)).after(expected.leeway);
    Ok(LoggedOut { issuer: expected.issuer.to_owned(), user, session, id: sha256(&name), until })
}

/// The event, nothing besides, and an object as its value (section 2.4).
fn is_logout(claims: &RawJson) -> bool {
    let events = claims.member("events").and_then(|events| events.members());
    events.is_some_and(|events| matches!(events.as_slice(), [(name, value)] if name == EVENT && value.is_object()))
}

// === impl ProviderSession ===

impl ProviderSession {
    /// The session `sid` at `issuer`; `None` for what is empty or longer than 1,024 bytes.
    #[must_use]
    pub fn of(issuer: &str, sid: &str) -> Option<Self> {
        let fits = (1..=LONGEST_SESSION).contains(&sid.len());
        fits.then(|| Self(sha256(&[b"doorward provider session v1\0".as_slice(), issuer.as_bytes(), b"\0", sid.as_bytes()].concat())))
    }

    /// Its digest.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

// === impl LoggedOut ===

impl LoggedOut {
    /// At which issuer.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Who, where the provider says so.
    #[must_use]
    pub const fn user(&self) -> Option<&UserId> {
        self.user.as_ref()
    }

    /// Out of which session; of every one of theirs where the provider names none.
    #[must_use]
    pub const fn session(&self) -> Option<&ProviderSession> {
        self.session.as_ref()
    }

    /// Names this token among all of its issuer, and says until when that must be remembered.
    #[must_use]
    pub const fn once(&self) -> (&[u8; 32], Timestamp) {
        (&self.id, self.until)
    }
}
