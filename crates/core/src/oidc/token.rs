//! The ID token: whether this provider vouches for this person, to us, in this sign-in (OpenID Connect Core sections 3.1.3.7 and 5.3).
//!
//! A person is issuer and subject. E-mail and groups are what the provider says of them at this moment: an address is for pages and
//! for the domains that may come in, never for who somebody is (I7). Groups that cannot be read are an error, not "none": a rule may
//! forbid something to a group. Must not know how the token came.

use super::jose::{Signed, seconds};
use super::logout::ProviderSession;
use crate::id::{GroupName, UserId};
use crate::json::RawJson;
use crate::time::Timestamp;
use bytes::Bytes;
use std::time::Duration;

/// What a token is held against.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// The issuer of the configuration.
    pub issuer: &'a str,
    /// What we are called there.
    pub client_id: &'a str,
    /// The nonce of this sign-in.
    pub nonce: &'a str,
    /// When it began.
    pub begun: Timestamp,
    /// The access token that came with it.
    pub access_token: Option<&'a str>,
    /// How far clocks may be apart.
    pub leeway: Duration,
    /// Where groups stand.
    pub groups_claim: &'a str,
    /// Where the e-mail address stands.
    pub email_claim: &'a str,
}

/// A person that the provider vouches for. Only [`vouch`] and [`super::grant::grant`] make one.
#[derive(Debug)]
pub struct Vouched {
    user: UserId,
    groups: Option<Vec<GroupName>>,
    email: Option<Email>,
    hosted: Option<String>,
    session: Option<ProviderSession>,
}

/// An e-mail address as the provider gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Email {
    address: String,
    is_verified: bool,
}

/// Why nobody is vouched for. Nothing of the token is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unvouched {
    /// `iss` is missing or another one.
    #[error("wrong_issuer")]
    Issuer,
    /// `aud` is missing, or it is not we alone; or `azp` is somebody else.
    #[error("wrong_audience")]
    Audience,
    /// `exp` or `iat` is missing or no number.
    #[error("missing_claim")]
    Times,
    /// It has ended.
    #[error("expired")]
    Expired,
    /// It was made, or counts, only in the future.
    #[error("not_yet_valid")]
    Early,
    /// It was made before this sign-in began.
    #[error("too_old")]
    Old,
    /// `nonce` is missing or of another sign-in.
    #[error("wrong_nonce")]
    Nonce,
    /// `sub` is missing, empty, too long, or no text.
    #[error("no_subject")]
    Subject,
    /// `at_hash` is of another access token.
    #[error("wrong_at_hash")]
    AccessToken,
    /// The userinfo answer is of somebody else, or cannot be read.
    #[error("wrong_userinfo")]
    UserInfo,
    /// Groups are not texts, or one of them is not usable.
    #[error("bad_groups")]
    Groups,
    /// More than [`GROUPS`], or so many that the provider left them out.
    #[error("too_many_groups")]
    TooManyGroups,
}

/// Groups of one person.
pub const GROUPS: usize = 1_000;
/// Longest address that is kept (RFC 5321 section 4.5.3.1).
const LONGEST_ADDRESS: usize = 254;
const DEPTH: usize = 16;

/// Holds a signed token against what is expected.
///
/// # Errors
/// [`Unvouched`].
pub fn vouch(signed: &Signed, expected: &Expected<'_>, now: Timestamp) -> Result<Vouched, Unvouched> {
    let claims = signed.payload();
    if !is_text(claims, "iss", expected.issuer) {
        return Err(Unvouched::Issuer);
    }
    audience(claims, expected.client_id)?;
    let second = |name: &str| claims.member(name).map(|value| seconds(&value).ok_or(Unvouched::Times)).transpose();
    let (exp, iat) = (second("exp")?.ok_or(Unvouched::Times)?, second("iat")?.ok_or(Unvouched::Times)?);
    let (leeway, now) = (expected.leeway.as_secs(), now.as_millis() / 1_000);
    if exp.saturating_add(leeway) <= now {
        return Err(Unvouched::Expired);
    }
    if iat > now.saturating_add(leeway) || second("nbf")?.is_some_and(|nbf| nbf > now.saturating_add(leeway)) {
        return Err(Unvouched::Early);
    }
    if iat.saturating_add(leeway) < expected.begun.as_millis() / 1_000 {
        return Err(Unvouched::Old);
    }
    if !is_text(claims, "nonce", expected.nonce) {
        return Err(Unvouched::Nonce);
    }
    if let Some(hash) = claims.member("at_hash") {
        let of = expected.access_token.map(|token| signed.alg().half_digest(token));
        if of.is_none() || hash.as_text().as_deref() != of.as_deref() {
            return Err(Unvouched::AccessToken);
        }
    }
    let subject = claims.member("sub").and_then(|sub| sub.as_text().map(std::borrow::Cow::into_owned)).ok_or(Unvouched::Subject)?;
    let user = UserId::new(expected.issuer, &subject).map_err(|_| Unvouched::Subject)?;
    let hosted = claims.member("hd").and_then(|hd| hd.as_text().map(std::borrow::Cow::into_owned));
    let sid = claims.member("sid").and_then(|sid| sid.as_text().map(std::borrow::Cow::into_owned));
    let session = sid.and_then(|sid| ProviderSession::of(expected.issuer, &sid));
    Ok(Vouched { user, groups: groups(claims, expected.groups_claim)?, email: email(claims, expected.email_claim), hosted, session })
}

/// We, and nobody besides: another audience could have been handed the same token (Core section 3.1.3.7, rules 3 to 5).
pub(super) fn audience(claims: &RawJson, client_id: &str) -> Result<(), Unvouched> {
    let aud = claims.member("aud").ok_or(Unvouched::Audience)?;
    let is_ours = match aud.elements() {
        None => aud.as_text().as_deref() == Some(client_id),
        Some(all) => matches!(all.as_slice(), [one] if one.as_text().as_deref() == Some(client_id)),
    };
    let by_us = claims.member("azp").is_none_or(|azp| azp.as_text().as_deref() == Some(client_id));
    if is_ours && by_us { Ok(()) } else { Err(Unvouched::Audience) }
}

pub(super) fn is_text(claims: &RawJson, name: &str, wanted: &str) -> bool {
    claims.member(name).is_some_and(|value| value.as_text().as_deref() == Some(wanted))
}

/// `None` where the provider says nothing of groups here.
pub(crate) fn groups(claims: &RawJson, name: &str) -> Result<Option<Vec<GroupName>>, Unvouched> {
    let Some(value) = claims.member(name).filter(|value| !value.is_null()) else {
        // Entra ID leaves out more than 200 and says that they would be elsewhere (Core section 5.6.2).
        let elsewhere = claims.member("_claim_names").is_some_and(|names| names.member(name).is_some());
        let left_out = claims.member("hasgroups").is_some_and(|has| has.as_bytes() != b"false");
        return if elsewhere || left_out { Err(Unvouched::TooManyGroups) } else { Ok(None) };
    };
    let group = |value: &RawJson| value.as_text().and_then(|text| GroupName::new(&text).ok()).ok_or(Unvouched::Groups);
    match value.elements() {
        // One text is one group, whatever stands in it: nothing is taken apart.
        None => group(&value).map(|one| Some(vec![one])),
        Some(all) if all.len() > GROUPS => Err(Unvouched::TooManyGroups),
        Some(all) => all.iter().map(group).collect::<Result<_, _>>().map(Some),
    }
}

/// The address, if it is one that can be shown.
pub(super) fn email(claims: &RawJson, name: &str) -> Option<Email> {
    let address = claims.member(name)?.as_text()?.into_owned();
    let shown = !address.is_empty() && address.len() <= LONGEST_ADDRESS && !address.contains(char::is_control);
    // Only the literal: "true" as a text is what no signed token of a provider holds. It speaks of the claim `email` and of no other
    // (OpenID Connect Core 5.1): another one is a name that people may be free to choose.
    let is_verified = name == "email" && claims.member("email_verified").is_some_and(|value| value.as_bytes() == b"true");
    shown.then_some(Email { address, is_verified })
}

// === impl Vouched ===

impl Vouched {
    pub(super) const fn of(user: UserId, groups: Option<Vec<GroupName>>, email: Option<Email>, hosted: Option<String>) -> Self {
        Self { user, groups, email, hosted, session: None }
    }

    /// The same, with the groups that are known of them where the provider says nothing of groups.
    #[must_use]
    pub fn knowing(mut self, known: Vec<GroupName>) -> Self {
        self.groups = self.groups.or(Some(known));
        self
    }

    /// Whether the provider names groups.
    #[must_use]
    pub const fn names_groups(&self) -> bool {
        self.groups.is_some()
    }

    /// Whether the userinfo endpoint is to be asked: the token says nothing of groups, or of an address.
    #[must_use]
    pub const fn lacks_something(&self) -> bool {
        self.groups.is_none() || self.email.is_none()
    }

    /// With what the userinfo endpoint says besides. What the token said stays.
    ///
    /// # Errors
    /// [`Unvouched::UserInfo`] for an answer about somebody else, which counts for nothing (Core section 5.3.2), or an unreadable one;
    /// [`Unvouched::Groups`], [`Unvouched::TooManyGroups`].
    pub fn completed(self, userinfo: &Bytes, expected: &Expected<'_>) -> Result<Self, Unvouched> {
        let claims = RawJson::parse(userinfo, DEPTH).ok().filter(RawJson::is_object).ok_or(Unvouched::UserInfo)?;
        if !is_text(&claims, "sub", self.user.subject()) {
            return Err(Unvouched::UserInfo);
        }
        let groups = match self.groups {
            Some(groups) => Some(groups),
            None => groups(&claims, expected.groups_claim)?,
        };
        let email = self.email.or_else(|| email(&claims, expected.email_claim));
        Ok(Self { groups, email, ..self })
    }

    /// Who.
    #[must_use]
    pub const fn user(&self) -> &UserId {
        &self.user
    }

    /// Their groups now; none where the provider says nothing of groups at all.
    #[must_use]
    pub fn groups(&self) -> &[GroupName] {
        self.groups.as_deref().unwrap_or_default()
    }

    /// Their address.
    #[must_use]
    pub const fn email(&self) -> Option<&Email> {
        self.email.as_ref()
    }

    /// The Google Workspace domain that the account belongs to.
    #[must_use]
    pub fn hosted(&self) -> Option<&str> {
        self.hosted.as_deref()
    }

    /// Their session at the provider, where it names one: what ends there can end here.
    #[must_use]
    pub const fn session(&self) -> Option<&ProviderSession> {
        self.session.as_ref()
    }
}

// === impl Email ===

impl Email {
    /// For pages. Never to know somebody again by.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The domain in lower case, if the provider says that the address is theirs and there is no doubt where its domain begins: ASCII
    /// alone, one `@`, no quotes, blanks or comments.
    #[must_use]
    pub fn verified_domain(&self) -> Option<String> {
        let (local, domain) = self.address.split_once('@').filter(|_| self.is_verified)?;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+/=?^_`{|}~.-".contains(&byte);
        let label = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.';
        let good = !local.is_empty()
            && local.bytes().all(plain)
            && domain.bytes().all(label)
            && !domain.starts_with('.')
            && !domain.ends_with('.');
        good.then(|| domain.to_ascii_lowercase())
    }
}
