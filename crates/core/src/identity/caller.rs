//! The witness that a credential was verified. Only [`verify`] and, for tokens that are bound to a key, [`verify_held`] make a [`Caller`];
//! there is no default identity (I7).

use super::attested::{Identity, Unattested};
use super::foreign::ForeignKind;
use super::presented::{Fault, Presented, Scheme};
use crate::blame::{Blame, Known, Presence, Refusal, Retry, Station, Wire};
use crate::id::{AgentLabel, ClientId, CredentialId, GroupName, ServerName, UserId};
use crate::oauth::dpop::{BadProof, Possession, Thumbprint};
use crate::secret::{AccessToken, ApiKey, NotAToken};
use crate::time::Timestamp;
use std::collections::BTreeSet;
use std::sync::Arc;

/// A verified caller: user, client and the credential that proved them.
#[derive(Debug)]
pub struct Caller {
    record: Arc<Record>,
}

/// What the store knows about a credential. Facts, not a proof: only [`verify`] and [`verify_held`] turn them into a [`Caller`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The record's own id.
    pub credential: CredentialId,
    /// Which of the four levels.
    pub level: Level,
    /// Whose it is.
    pub user: UserId,
    /// Groups of the user, as last read.
    pub groups: Vec<GroupName>,
    /// The client that may use it.
    pub client: ClientId,
    /// A label that the administrator gave to this client.
    pub agent: Option<AgentLabel>,
    /// Exact resource the token was issued for (RFC 8707): a server's name or every server. Never empty.
    pub audience: Audience,
    /// What was granted, as `<server>:<class>`; `*` in place of the server means each server of the audience.
    pub granted: BTreeSet<String>,
    /// The end of its life.
    pub expires: Timestamp,
    /// Set once it has been revoked.
    pub revoked: Option<Timestamp>,
    /// Set while the owner may not act.
    pub user_disabled: bool,
    /// The key whose holder alone may use it (RFC 9449); `None` for whoever has it.
    pub bound: Option<Thumbprint>,
    /// Where it came from, if its client got it for a token of another one (RFC 8693).
    pub delegation: Option<Delegation>,
}

/// Through whose hands the authority of a credential came to its client (RFC 8693 section 4.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delegation {
    /// The credential that it was exchanged for: it ends with that.
    pub parent: CredentialId,
    /// The clients before, the one that was allowed first. Never empty.
    pub via: Vec<ClientId>,
}

/// Level of authentication (house: four levels, inbound and outbound).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Level {
    /// Static key.
    StaticKey,
    /// OAuth 2.1.
    OAuth,
    /// Cloud identity.
    Cloud,
    /// Service account under impersonation.
    Impersonation,
}

/// Whether somebody who comes in may act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// They may.
    Good,
    /// An administrator took that from them.
    Disabled,
}

/// For which servers a credential counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Audience {
    /// Every server that policy allows. Spelled out by whoever made the credential, never a default.
    Every,
    /// These servers only.
    Only(BTreeSet<ServerName>),
}

/// Which family of routes was called; decides which kinds of credential count and what a 401 says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Door {
    /// `/s/...` and `/mcp`: OAuth access tokens; a 401 carries `resource_metadata`.
    OAuth,
    /// `/k/...`: static keys and configured token issuers; never advertises OAuth.
    Key,
}

/// What was found for a presented credential.
#[derive(Debug, Clone)]
pub enum Found {
    /// What the store holds under its hash.
    Stored(Arc<Record>),
    /// Whom a configured issuer vouches for in it.
    Attested(Arc<Identity>),
}

/// The three answers to "is this yours?" (after omicron's scheme results).
#[derive(Debug)]
pub enum Verdict {
    /// Nothing here that this scheme handles.
    NotMine,
    /// Verified.
    Verified(Caller),
    /// It is a credential of this scheme, or meant to be one, and it is no good; with whose it is, where one was found.
    Refused(Why, Box<Known>),
}

/// What was wrong with the credential. Each variant has a test that names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// Nothing was presented.
    Absent,
    /// The shape alone disqualifies it.
    Fault(Fault),
    /// Our prefix, but mistyped or truncated.
    Mistyped,
    /// One of ours, for the other door.
    WrongDoor,
    /// Looks like somebody else's credential: a passthrough attempt.
    Foreign(ForeignKind),
    /// Well-formed, unknown to us.
    Unknown,
    /// Its life has ended.
    Expired,
    /// It was revoked.
    Revoked,
    /// Its owner may not act.
    UserDisabled,
    /// An administrator blocked the client that it was given to.
    ClientBlocked,
    /// It is for another server.
    WrongAudience,
    /// A token of a configured issuer that shows nobody.
    Unattested(Unattested),
    /// It is bound to a key, and came as if whoever has it might use it (RFC 9449 section 7.2).
    Unproven,
    /// It is bound to no key, and came with the scheme of those that are.
    Unbound,
    /// It is bound to no key, and the configuration wants that it is.
    MustBeBound,
    /// The proof that came with it shows nothing.
    Proof(BadProof),
}

/// Judges a presented credential against the record found under its hash.
///
/// `found` is what was found for it: in the store under `presented.hash()` for the kinds that `door` accepts, or by an issuer.
/// `server` is the server of the route, if the route names one.
#[must_use]
pub fn verify(presented: &Presented, door: Door, server: Option<&ServerName>, found: Option<Found>, now: Timestamp) -> Verdict {
    let is_attested = matches!(found, Some(Found::Attested(_)));
    if presented.is_absent() && !is_attested {
        return Verdict::NotMine;
    }
    if let Some(fault) = presented.fault() {
        return Verdict::refused(Why::Fault(fault));
    }
    if door == Door::Key && presented.scheme() == Scheme::Dpop {
        return Verdict::refused(Why::Fault(Fault::OtherScheme));
    }
    let own = if is_attested { Ok(()) } else { own_kind(presented, door) };
    let record = match (own, found) {
        (Err(why), _) => return Verdict::refused(why),
        (Ok(()), None) => return Verdict::refused(Why::Unknown),
        (Ok(()), Some(Found::Stored(record))) => record,
        (Ok(()), Some(Found::Attested(identity))) => Arc::clone(identity.record()),
    };
    match record.counts(door, server, now).and_then(|()| unproven(&record, presented.scheme())) {
        Ok(()) => Verdict::Verified(Caller { record }),
        Err(why) => Verdict::Refused(why, Box::new(record.known())),
    }
}

/// Judges an access token that came with a proof of the key that it is bound to. `record` is what the store holds under its hash.
#[must_use]
pub fn verify_held(
    presented: &Presented,
    server: Option<&ServerName>,
    record: Arc<Record>,
    possession: Possession,
    now: Timestamp,
) -> Verdict {
    let token = presented.hash::<AccessToken>().and_then(Result::ok);
    let holds = |key: &Thumbprint| token.is_some_and(|token| possession.is_of(key, token.as_bytes()));
    let judged = match (presented.fault(), presented.scheme(), &record.bound) {
        (Some(fault), ..) => Err(Why::Fault(fault)),
        (None, Scheme::Bearer, _) => Err(Why::Unproven),
        (None, Scheme::Dpop, None) => Err(Why::Unbound),
        (None, Scheme::Dpop, Some(key)) if !holds(key) => Err(Why::Proof(BadProof::OtherKey)),
        (None, Scheme::Dpop, Some(_)) => record.counts(Door::OAuth, server, now),
    };
    match judged {
        Ok(()) => Verdict::Verified(Caller { record }),
        Err(why) => Verdict::Refused(why, Box::new(record.known())),
    }
}

/// Without a proof only what is bound to nothing, in the way of such.
fn unproven(record: &Record, scheme: Scheme) -> Result<(), Why> {
    match (&record.bound, scheme) {
        (None, Scheme::Bearer) => Ok(()),
        (None, Scheme::Dpop) => Err(Why::Unbound),
        (Some(_), Scheme::Bearer) => Err(Why::Unproven),
        (Some(_), Scheme::Dpop) => Err(Why::Proof(BadProof::Missing)),
    }
}

fn own_kind(presented: &Presented, door: Door) -> Result<(), Why> {
    let key = presented.hash::<ApiKey>();
    let token = presented.hash::<AccessToken>();
    match (door, key, token) {
        (Door::Key, Some(Ok(_)), _) | (Door::OAuth, _, Some(Ok(_))) => Ok(()),
        (Door::Key, Some(Err(NotAToken::Malformed)), _) | (Door::OAuth, _, Some(Err(NotAToken::Malformed))) => Err(Why::Mistyped),
        (Door::OAuth, Some(Ok(_) | Err(NotAToken::Malformed)), _) | (Door::Key, _, Some(Ok(_) | Err(NotAToken::Malformed))) => {
            Err(Why::WrongDoor)
        }
        _ => Err(presented.look_alike().map_or(Why::Unknown, Why::Foreign)),
    }
}

// === impl Record ===

impl Record {
    /// With what the administrator calls the agent that comes through its client; what the record brings along is not overwritten by nothing.
    #[must_use]
    pub fn called(self: Arc<Self>, agent: Option<&AgentLabel>) -> Arc<Self> {
        match agent {
            Some(label) if self.agent.as_ref() != Some(label) => Arc::new(Self { agent: Some(label.clone()), ..Self::clone(&self) }),
            _ => self,
        }
    }

    /// Whether the credential counts at this door, for this server where one is asked for.
    ///
    /// # Errors
    /// [`Why`] not; the first reason of several.
    pub fn counts(&self, door: Door, server: Option<&ServerName>, now: Timestamp) -> Result<(), Why> {
        let fits = match door {
            Door::Key => self.level != Level::OAuth,
            Door::OAuth => self.level == Level::OAuth,
        };
        if !fits {
            return Err(Why::WrongDoor);
        }
        if self.revoked.is_some() {
            return Err(Why::Revoked);
        }
        if self.user_disabled {
            return Err(Why::UserDisabled);
        }
        if self.expires <= now {
            return Err(Why::Expired);
        }
        match (&self.audience, server) {
            (Audience::Only(servers), Some(server)) if !servers.contains(server) => Err(Why::WrongAudience),
            _ => Ok(()),
        }
    }

    /// The clients through which it came to its own, the first first; none for most.
    #[must_use]
    pub fn via(&self) -> &[ClientId] {
        self.delegation.as_ref().map_or(&[], |delegation| &delegation.via)
    }

    /// The client that was given it by a person, by an issuer or by the configuration: its own one, but for what was exchanged.
    #[must_use]
    pub fn first_client(&self) -> &ClientId {
        self.via().first().unwrap_or(&self.client)
    }

    /// Whose it is, for what is told of a refusal.
    #[must_use]
    pub fn known(&self) -> Known {
        Known {
            user: Some(self.user.clone()),
            client: Some(self.client.clone()),
            via: self.via().to_vec(),
            agent: self.agent.clone(),
            level: Some(self.level),
            credential: Some(self.credential.clone()),
            ..Known::default()
        }
    }
}

// === impl Found ===

impl Found {
    /// The facts.
    #[must_use]
    pub fn record(&self) -> &Arc<Record> {
        match self {
            Self::Stored(record) => record,
            Self::Attested(identity) => identity.record(),
        }
    }
}

// === impl Verdict ===

impl Verdict {
    fn refused(why: Why) -> Self {
        Self::Refused(why, Box::default())
    }
}

// === impl Caller ===

impl Caller {
    /// The user.
    #[must_use]
    pub fn user(&self) -> &UserId {
        &self.record.user
    }

    /// The client.
    #[must_use]
    pub fn client(&self) -> &ClientId {
        &self.record.client
    }

    /// Groups of the user.
    #[must_use]
    pub fn groups(&self) -> &[GroupName] {
        &self.record.groups
    }

    /// The administrator's label for the client.
    #[must_use]
    pub fn agent(&self) -> Option<&AgentLabel> {
        self.record.agent.as_ref()
    }

    /// The level of authentication.
    #[must_use]
    pub fn level(&self) -> Level {
        self.record.level
    }

    /// The credential's record.
    #[must_use]
    pub fn credential(&self) -> &CredentialId {
        &self.record.credential
    }

    /// What was granted, as `<server>:<class>`.
    #[must_use]
    pub fn granted(&self) -> &BTreeSet<String> {
        &self.record.granted
    }

    /// The key that the credential is bound to, and that they showed.
    #[must_use]
    pub fn bound(&self) -> Option<&Thumbprint> {
        self.record.bound.as_ref()
    }

    /// The clients through which it came to this one, the first first; none for most.
    #[must_use]
    pub fn via(&self) -> &[ClientId] {
        self.record.via()
    }

    /// When the credential ends: no stream outlives it (I8).
    #[must_use]
    pub fn expires(&self) -> Timestamp {
        self.record.expires
    }

    /// What the store knows of the credential.
    #[must_use]
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// For refusals that come later.
    #[must_use]
    pub fn known(&self) -> Known {
        self.record.known()
    }
}

// === impl Why ===

impl Why {
    /// Stable id for audit, metrics and documentation.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Absent => "no_credential",
            Self::Fault(Fault::Several) => "several_credentials",
            Self::Fault(Fault::InQuery) => "credential_in_query",
            Self::Fault(Fault::OtherScheme) => "other_scheme",
            Self::Fault(Fault::Malformed) => "malformed_credential",
            Self::Mistyped => "mistyped_credential",
            Self::WrongDoor => "wrong_door",
            Self::Foreign(_) => "foreign_credential",
            Self::Unknown => "unknown_credential",
            Self::Expired => "expired_credential",
            Self::Revoked => "revoked_credential",
            Self::UserDisabled => "user_disabled",
            Self::ClientBlocked => "client_blocked",
            Self::WrongAudience => "wrong_audience",
            Self::Unattested(why) => why.reason(),
            Self::Unproven => "bound_token_as_bearer",
            Self::Unbound => "unbound_token_as_dpop",
            Self::MustBeBound => "token_not_bound",
            Self::Proof(bad) => bad.reason(),
        }
    }

    /// The refusal at the edge. Two credentials are 400 (SR-22), everything else is 401; the client is not told which.
    #[must_use]
    pub fn refusal(self) -> Refusal {
        let (wire, public) = match self {
            Self::Fault(Fault::Several) => (Wire::Http(400), "Send exactly one credential."),
            Self::Fault(Fault::InQuery) => {
                (Wire::Http(400), "Credentials are not accepted in the URL. Send them in the Authorization header.")
            }
            Self::Absent => (Wire::Challenge { presented: Presence::Absent }, "Sign in first."),
            Self::Proof(bad) => (Wire::BadProof { error: bad.code(), description: bad.description() }, bad.description()),
            Self::Unproven => {
                let description = "the token is bound to a key: send it with the scheme DPoP and a proof";
                (Wire::BadProof { error: "invalid_token", description }, description)
            }
            Self::Unbound => {
                let description = "the token is bound to no key: ask for one with a DPoP proof";
                (Wire::BadProof { error: "invalid_token", description }, description)
            }
            Self::MustBeBound => {
                let description = "tokens have to be bound to a key here: ask for one with a DPoP proof";
                (Wire::BadProof { error: "invalid_token", description }, description)
            }
            _ => (Wire::Challenge { presented: Presence::Presented }, "The credential is not valid here."),
        };
        let refusal = Refusal::new(Station::Identify, self.reason(), Blame::Caller, wire, public).retry(Retry::AfterSignIn);
        match self {
            Self::Foreign(kind) => refusal.because(format!("looks like a credential of {}", kind.as_str())),
            _ => refusal,
        }
    }
}

impl Level {
    /// The name in audit records and policy.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::StaticKey => "static-key",
            Self::OAuth => "oauth",
            Self::Cloud => "cloud",
            Self::Impersonation => "impersonation",
        }
    }
}

#[cfg(test)]
mod tests;
