//! Token exchange (RFC 8693): a client that a token was handed to gets one of its own for the same user, with no more than that one has.
//!
//! Delegation, never impersonation: the client that acts is on every record beside those before it. Pure: what a token stands for is the
//! store's to say, and [`judge`] says what may come of it.

use super::client::OWN_ACCESS;
use super::dpop::Thumbprint;
use super::form::Form;
use super::scope::Scopes;
use super::token::{AuthenticatedClient, TokenError, exact};
use crate::id::{ClientId, CredentialId, ServerName};
use crate::identity::caller::{Audience, Delegation, Door, Record};
use crate::secret::{AccessToken, TokenHash, sha256};
use crate::time::Timestamp;
use std::collections::BTreeSet;
use std::time::Duration;

/// `grant_type` (RFC 8693 section 2.1).
pub const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
/// The only type of token that is taken, and given (RFC 8693 section 3).
pub const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
/// What the names of exchanged credentials begin with, where a person consented to what they came from.
pub const EXCHANGED: &str = "exc_";
/// Clients through which a token may have come to the one that has it.
pub const LONGEST_CHAIN: usize = 4;

/// What is presented.
#[derive(Debug)]
pub struct Exchange {
    /// The token that another client was given.
    pub subject: TokenHash<AccessToken>,
    /// A token of the client itself, where it shows one besides.
    pub actor: Option<TokenHash<AccessToken>>,
    /// Narrower scopes, where some are asked for.
    pub scopes: Option<Scopes>,
    /// For which server, where it is said again.
    pub resource: Option<String>,
}

/// What a client may be given for a token of another one. Made only by [`judge`].
#[derive(Debug)]
pub struct Delegated {
    record: Record,
    server: ServerName,
    parent: TokenHash<AccessToken>,
}

/// Why a token buys nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotDelegated {
    /// The token presented is no good, or not for this client to exchange.
    Subject(&'static str),
    /// The other token is not one of the client itself.
    Actor,
    /// For another server.
    Target,
    /// More than the token presented has.
    Scope,
}

/// The token that shows who acts.
#[derive(Debug, Clone, Copy)]
pub enum Actor<'a> {
    /// None was sent: who authenticates acts.
    NotShown,
    /// One that nobody knows.
    Unknown,
    /// What the store holds under it.
    Known(&'a Record),
}

/// What a client asks for, beside the token.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// Narrower scopes.
    pub scopes: Option<&'a Scopes>,
    /// The server.
    pub server: Option<&'a ServerName>,
    /// The key that the new token is bound to.
    pub bound: Option<Thumbprint>,
    /// How long a token lives at most.
    pub life: Duration,
    /// The time.
    pub now: Timestamp,
}

/// Reads what is presented (RFC 8693 section 2.1).
///
/// # Errors
/// [`TokenError`]: `invalid_request` for whatever is not an access token of this server.
pub fn read(form: &Form) -> Result<Exchange, TokenError> {
    let token = |name: &'static str, kind: &'static str| match (form.get(name), form.get(kind)) {
        (None, None) => Ok(None),
        (Some(token), Some(ACCESS_TOKEN)) => TokenHash::of(token).map(Some).map_err(|_| TokenError::not_exchanged("mistyped_credential")),
        (Some(_), Some(_)) => Err(TokenError::not_exchanged("unknown_token_type")),
        _ => Err(TokenError::request("each token comes with its type: subject_token and subject_token_type")),
    };
    let actor = token("actor_token", "actor_token_type")?;
    let subject = token("subject_token", "subject_token_type")?.ok_or(TokenError::request("subject_token is missing"))?;
    if form.get("requested_token_type").is_some_and(|kind| kind != ACCESS_TOKEN) {
        return Err(TokenError::request("requested_token_type is none that is issued here"));
    }
    // The logical name of a service is the address of its server: there is no other.
    let resource = match (form.get("resource"), form.get("audience")) {
        (Some(resource), Some(audience)) if resource != audience => return Err(TokenError::target()),
        (resource, audience) => resource.or(audience).map(str::to_owned),
    };
    Ok(Exchange { subject, actor, scopes: exact(form)?, resource })
}

/// What comes of a token: the same user and server, at most what it has, at most as long, and by way of its client.
///
/// `may` says whether the configuration lets the client exchange tokens of another one.
///
/// # Errors
/// [`NotDelegated`].
pub fn judge(
    client: &AuthenticatedClient,
    may: impl Fn(&ClientId) -> bool,
    (parent, subject): (TokenHash<AccessToken>, &Record),
    actor: Actor<'_>,
    asked: Asked<'_>,
) -> Result<Delegated, NotDelegated> {
    let now = asked.now;
    subject.counts(Door::OAuth, None, now).map_err(|why| NotDelegated::Subject(why.reason()))?;
    if !may(&subject.client) {
        return Err(NotDelegated::Subject("exchange_not_allowed"));
    }
    // Whoever holds it without its key has found it, or was given what is of no use to them (RFC 9449 section 1).
    if subject.bound.is_some() {
        return Err(NotDelegated::Subject("bound_token_as_bearer"));
    }
    if subject.via().len() >= LONGEST_CHAIN {
        return Err(NotDelegated::Subject("too_many_actors"));
    }
    // RFC 8693 section 4.1: who acts is who authenticates here; a token of somebody else makes nobody them.
    let is_own = |record: &Record| {
        record.client == *client.id() && record.user.issuer() == super::client::ISSUER && record.counts(Door::OAuth, None, now).is_ok()
    };
    match actor {
        Actor::NotShown => {}
        Actor::Known(record) if is_own(record) => {}
        Actor::Known(_) | Actor::Unknown => return Err(NotDelegated::Actor),
    }
    let Audience::Only(servers) = &subject.audience else { return Err(NotDelegated::Target) };
    let server = match (asked.server, servers.len(), servers.first()) {
        (Some(server), ..) if servers.contains(server) => server.clone(),
        (None, 1, Some(server)) => server.clone(),
        _ => return Err(NotDelegated::Target),
    };
    let granted: BTreeSet<String> = match asked.scopes {
        None => subject.granted.clone(),
        Some(scopes) => scopes.iter().map(ToString::to_string).collect(),
    };
    if granted.is_empty() || !granted.is_subset(&subject.granted) {
        return Err(NotDelegated::Scope);
    }
    let via: Vec<ClientId> = subject.via().iter().chain([&subject.client]).cloned().collect();
    let Some(credential) = name(&subject.credential, client.id(), (&granted, asked.bound)) else {
        return Err(NotDelegated::Subject("unknown_credential"));
    };
    let record = Record {
        credential,
        level: subject.level,
        user: subject.user.clone(),
        groups: subject.groups.clone(),
        client: client.id().clone(),
        agent: None,
        audience: Audience::Only(BTreeSet::from([server.clone()])),
        granted,
        expires: subject.expires.min(now.after(asked.life)),
        revoked: None,
        user_disabled: false,
        bound: asked.bound,
        delegation: Some(Delegation { parent: subject.credential.clone(), via }),
    };
    Ok(Delegated { record, server, parent })
}

/// One name for what one client has with one key of one credential, as far as it has the same: a session goes on when its token is renewed, and
/// narrower tokens beside each other are told apart.
fn name(parent: &CredentialId, client: &ClientId, (granted, bound): (&BTreeSet<String>, Option<Thumbprint>)) -> Option<CredentialId> {
    let key = bound.map_or_else(String::new, |key| key.to_string());
    let granted = granted.iter().map(String::as_str).collect::<Vec<_>>().join(" ");
    let digest = sha256(format!("doorward exchanged v1\0{parent}\0{key}\0{granted}\0{client}").as_bytes());
    let digits: String = digest.iter().take(12).map(|byte| format!("{byte:02x}")).collect();
    // What nobody consented to stays known as that.
    let prefix = if super::client::is_without_consent(parent) { OWN_ACCESS } else { EXCHANGED };
    CredentialId::new(&format!("{prefix}{digits}")).ok()
}

// === impl Delegated ===

impl Delegated {
    /// What is to be stored.
    #[must_use]
    pub const fn record(&self) -> &Record {
        &self.record
    }

    /// The only server that it is for.
    #[must_use]
    pub const fn server(&self) -> &ServerName {
        &self.server
    }

    /// The token that it is given for: it still has to count when this one is stored.
    #[must_use]
    pub const fn parent(&self) -> &TokenHash<AccessToken> {
        &self.parent
    }
}

// === impl NotDelegated ===

impl From<NotDelegated> for TokenError {
    fn from(why: NotDelegated) -> Self {
        match why {
            NotDelegated::Subject(reason) => Self::not_exchanged(reason),
            NotDelegated::Actor => Self::not_exchanged("other_actor"),
            NotDelegated::Target => Self::target(),
            NotDelegated::Scope => Self::scope(),
        }
    }
}

#[cfg(test)]
mod tests;
