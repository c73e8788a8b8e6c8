//! Which session or sealed state a request belongs to. Owns the witness [`Bound`] and the only function that makes one.
//!
//! There is no look-up by session id alone, and a foreign session looks exactly like an absent one (I7; protocol 3.3, 12).

pub mod era;
pub mod sealed;

use crate::blame::{Blame, Known, Refusal, Station, Wire};
use crate::id::{ClientId, CredentialId, ServerName, UserId};
use crate::identity::caller::Caller;
use crate::mcp::call::Call;
use crate::mcp::version::{Era, Version};
use crate::time::Timestamp;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// A caller bound to a server, an era and, in the legacy era, a session of their own.
#[derive(Debug)]
pub struct Bound {
    caller: Caller,
    server: ServerName,
    era: Era,
    session: Option<Arc<Stored>>,
}

/// What a request claims about its session, decided by [`era::decide`].
#[derive(Debug)]
pub enum Claim {
    /// 2026-07-28: no session.
    PerRequest,
    /// `initialize`: a new session will be made; a presented id is ignored (no fixation).
    New(Version),
    /// A session id was presented; this is what the store holds under (hash, user, client, server).
    Existing(Option<Arc<Stored>>),
}

/// A legacy session as the store holds it. A fact, not a proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// SHA-256 of the id that the client holds; the id itself is not kept.
    pub digest: [u8; 32],
    /// Owner.
    pub user: UserId,
    /// Owner's client.
    pub client: ClientId,
    /// The credential under which it was opened; another credential of the same user does not count (SES-02).
    pub credential: CredentialId,
    /// The server.
    pub server: ServerName,
    /// Negotiated with the client.
    pub version: Version,
    /// Client capabilities of `initialize`, JSON text.
    pub capabilities: String,
    /// The upstream's own session id, if it gave one. Never shown to a client.
    pub upstream_id: Option<UpstreamSessionId>,
    /// Negotiated with the upstream.
    pub upstream_version: Version,
    /// Log level set by the client, as MCP names it.
    pub log_level: Option<String>,
    /// Opened at.
    pub created: Timestamp,
    /// Last use, coarse.
    pub used: Timestamp,
}

/// A session id that an upstream gave. Whoever holds it can use the session, so it is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct UpstreamSessionId(Arc<str>);

/// How long sessions live.
#[derive(Debug, Clone, Copy)]
pub struct Lifetimes {
    /// Without use.
    pub idle: Duration,
    /// In all.
    pub absolute: Duration,
}

/// Unknown, ended, expired and foreign sessions: one answer for all (E13).
#[derive(Debug)]
pub struct UnknownSession {
    known: Known,
}

/// Binds a caller to a server and, where the era has them, to a session that is theirs.
///
/// # Errors
/// [`UnknownSession`] for a session that does not exist, has ended or belongs to another user, client, credential or server.
pub fn open(caller: Caller, server: &ServerName, claim: Claim, lifetimes: Lifetimes, now: Timestamp) -> Result<Bound, UnknownSession> {
    let server = server.clone();
    match claim {
        Claim::PerRequest => Ok(Bound { caller, server, era: Era::Modern, session: None }),
        Claim::New(version) => Ok(Bound { caller, server, era: Era::Legacy(version), session: None }),
        Claim::Existing(Some(stored)) if stored.is_of(&caller, &server) && stored.is_alive(lifetimes, now) => {
            Ok(Bound { caller, server, era: Era::Legacy(stored.version), session: Some(stored) })
        }
        Claim::Existing(_) => Err(UnknownSession { known: Known { server: Some(server), ..caller.known() } }),
    }
}

impl Stored {
    /// True for exactly the user, client, credential and server that opened it.
    #[must_use]
    pub fn is_of(&self, caller: &Caller, server: &ServerName) -> bool {
        self.user == *caller.user() && self.client == *caller.client() && self.credential == *caller.credential() && self.server == *server
    }

    /// True while neither limit has passed. What is not alive any more is to be ended, so that no step of the clock brings it
    /// back (FLT-07).
    #[must_use]
    pub fn is_alive(&self, lifetimes: Lifetimes, now: Timestamp) -> bool {
        now.since(self.used) < lifetimes.idle && now.since(self.created) < lifetimes.absolute
    }
}

// === impl Bound ===

impl Bound {
    /// The caller.
    #[must_use]
    pub const fn caller(&self) -> &Caller {
        &self.caller
    }

    /// The server.
    #[must_use]
    pub const fn server(&self) -> &ServerName {
        &self.server
    }

    /// The era in which the client speaks, with the negotiated version of an existing session.
    #[must_use]
    pub const fn era(&self) -> Era {
        self.era
    }

    /// The session, in the legacy era once it exists.
    #[must_use]
    pub fn session(&self) -> Option<&Stored> {
        self.session.as_deref()
    }

    /// The same to be kept, without a copy.
    #[must_use]
    pub fn session_shared(&self) -> Option<Arc<Stored>> {
        self.session.clone()
    }

    /// What is known of a call in it, for refusals that come later.
    #[must_use]
    pub fn asked(&self, call: &Call) -> Known {
        Known {
            method: Some(call.method().as_str().to_owned()),
            name: call.target().map(str::to_owned),
            digest: Some(*call.digest()),
            rpc_id: call.rpc_id(),
            ..self.known()
        }
    }

    /// For refusals that come later.
    #[must_use]
    pub fn known(&self) -> Known {
        Known {
            server: Some(self.server.clone()),
            session: self.session().map(|session| session.digest),
            era: Some(self.era.version()),
            ..self.caller.known()
        }
    }
}

// === impl UpstreamSessionId ===

impl UpstreamSessionId {
    /// As the upstream sent it: visible ASCII (MCP 2025-11-25, basic/transports), at most 1 KiB; `None` for anything else.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let fits = (1..=1024).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        fits.then(|| Self(Arc::from(text)))
    }

    /// For the header of an upstream request, and for the sealed column of the store.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for UpstreamSessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UpstreamSessionId(..)")
    }
}

// === impl UnknownSession ===

impl UnknownSession {
    /// 404 with one body for every cause.
    #[must_use]
    pub fn refusal(self) -> Refusal {
        let wire = Wire::Rpc { status: 404, code: -32600, data: None };
        Refusal::new(Station::Session, "unknown_session", Blame::Caller, wire, "Session not found. Initialize again.").knowing(self.known)
    }
}

#[cfg(test)]
mod tests;
