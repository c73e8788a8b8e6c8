//! Why a request ended without its answer: whose side, which station, and what each listener is told.
//!
//! Every room's error becomes a [`Refusal`] at the edge. It has two voices: `public` for the client, which
//! reveals nothing it may not know, and `private` for the log and the audit record.

use crate::id::{AgentLabel, ClientId, CredentialId, ServerName, UserId};
use crate::identity::caller::Level;
use crate::mcp::version::Version;
use std::time::Duration;

/// A station of the corridor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Station {
    /// Bytes, TLS, Host, Origin, sizes.
    Listen,
    /// Who is calling.
    Identify,
    /// Which session or sealed state.
    Session,
    /// What is asked.
    Decode,
    /// Whether it is allowed.
    Policy,
    /// As whom downstream.
    Credential,
    /// The server behind the gateway.
    Upstream,
    /// What the content says.
    Screen,
    /// The record.
    Audit,
}

/// Whose fault it is; decides the status class, the metric and the audit field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Blame {
    /// The client sent what it should not have sent.
    Caller,
    /// The server behind the gateway misbehaved.
    Upstream,
    /// Doorward itself.
    Us,
}

/// When trying again makes sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// The same request will always be refused.
    Never,
    /// With a valid credential.
    AfterSignIn,
    /// Not before this much time has passed (`Retry-After`).
    After(Duration),
    /// At once.
    Now,
}

/// What the wire carries, apart from the text.
#[derive(Debug, Clone, PartialEq)]
pub enum Wire {
    /// An HTTP status with a plain error body and no JSON-RPC message.
    Http(u16),
    /// A JSON-RPC error under an HTTP status. `data` is canonical for the code.
    Rpc { status: u16, code: i32, data: Option<serde_json::Value> },
    /// A tool result with `isError: true`: the model should see it.
    ToolResult,
    /// A result that asks the client for something first (2026-07-28, `InputRequiredResult`): the requests by their names.
    InputRequired { requests: serde_json::Value },
    /// A tool result with `isError: true` under 403, whose `WWW-Authenticate` names the scope that was not granted: a client that can
    /// ask for more does so (RFC 6750 section 3.1; MCP 2026-07-28 authorization, scope challenges).
    InsufficientScope { scope: String },
    /// 401 with `WWW-Authenticate`. `presented` decides whether an `error` attribute is sent (RFC 6750 section 3.1).
    Challenge { presented: Presence },
    /// 401 with a challenge of the scheme `DPoP` (RFC 9449 section 7.1). Both are plain ASCII without quotes.
    BadProof { error: &'static str, description: &'static str },
    /// 405 with `Allow`.
    NotAllowed { allow: &'static str },
}

/// Whether a credential was presented at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// No credential in the request.
    Absent,
    /// One was there, and it was not good.
    Presented,
}

/// Everything that is known about an attempt that was refused. Goes to the audit like a success.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// Where it ended.
    pub station: Station,
    /// Stable id, `snake_case`, for audit records, metrics and documentation: `foreign_session`, `policy_denied`.
    pub reason: &'static str,
    /// Whose side.
    pub blame: Blame,
    /// Whether to try again.
    pub retry: Retry,
    /// The form on the wire.
    pub wire: Wire,
    /// For the client. Never an upstream body, a secret or another person's name.
    pub public: String,
    /// For the log and the audit record. Never a secret.
    pub private: Option<String>,
    /// What was known when it ended.
    pub known: Known,
}

/// The part of an attempt that had been established before it was refused.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// The user of the credential that was presented, whether or not it still counted.
    pub user: Option<UserId>,
    /// The client of that credential.
    pub client: Option<ClientId>,
    /// The clients through which the credential came to that one.
    pub via: Vec<ClientId>,
    /// The administrator's label for that client.
    pub agent: Option<AgentLabel>,
    /// The level of that credential.
    pub level: Option<Level>,
    /// That credential.
    pub credential: Option<CredentialId>,
    /// Digest of the id of the session that was found.
    pub session: Option<[u8; 32]>,
    /// The revision that the request was read in.
    pub era: Option<Version>,
    /// The server asked for.
    pub server: Option<ServerName>,
    /// The JSON-RPC method, as far as it was read (bounded, escaped by the sink).
    pub method: Option<String>,
    /// The tool, prompt or URI addressed.
    pub name: Option<String>,
    /// Digest of the arguments.
    pub digest: Option<[u8; 32]>,
    /// The rule that decided.
    pub rule: Option<String>,
    /// The JSON-RPC id of the client's request, as JSON text, to be echoed.
    pub rpc_id: Option<String>,
}

/// Why what was permitted may not go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Over {
    /// Stable id, as that of a refusal.
    pub reason: &'static str,
    /// Whose side: the caller's where a right was taken, ours where nobody can say whether it was.
    pub blame: Blame,
}

impl Over {
    /// The store cannot say whether the right is still there, and what cannot be looked up ends.
    pub const UNKNOWN: Self = Self { reason: "store_unavailable", blame: Blame::Us };

    /// The right was taken.
    #[must_use]
    pub const fn taken(reason: &'static str) -> Self {
        Self { reason, blame: Blame::Caller }
    }
}

impl Refusal {
    /// A refusal with no knowledge yet; add it with [`Refusal::knowing`].
    #[must_use]
    pub fn new(station: Station, reason: &'static str, blame: Blame, wire: Wire, public: impl Into<String>) -> Self {
        Self { station, reason, blame, retry: Retry::Never, wire, public: public.into(), private: None, known: Known::default() }
    }

    /// Adds the private cause.
    #[must_use]
    pub fn because(mut self, private: impl Into<String>) -> Self {
        self.private = Some(private.into());
        self
    }

    /// Says when trying again makes sense.
    #[must_use]
    pub const fn retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// Adds what had been established.
    #[must_use]
    pub fn knowing(mut self, known: Known) -> Self {
        self.known = known;
        self
    }

    /// Adds who called and which server, keeping what was known more exactly already.
    #[must_use]
    pub fn informed(mut self, known: &Known, server: &ServerName) -> Self {
        let own = &mut self.known;
        if own.credential.is_none() {
            own.user.clone_from(&known.user);
            own.client.clone_from(&known.client);
            own.via.clone_from(&known.via);
            own.agent.clone_from(&known.agent);
            own.level = known.level;
            own.credential.clone_from(&known.credential);
        }
        own.session = own.session.or(known.session);
        own.era = own.era.or(known.era);
        self.at(Some(server))
    }

    /// Adds which server, unless that is known.
    #[must_use]
    pub fn at(mut self, server: Option<&ServerName>) -> Self {
        self.known.server = self.known.server.or_else(|| server.cloned());
        self
    }

    /// True when we are broken rather than the client or the upstream wrong: for alerting.
    #[must_use]
    pub const fn is_ours(&self) -> bool {
        matches!(self.blame, Blame::Us)
    }
}

impl Station {
    /// The name in audit records and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Listen => "listen",
            Self::Identify => "identify",
            Self::Session => "session",
            Self::Decode => "decode",
            Self::Policy => "policy",
            Self::Credential => "credential",
            Self::Upstream => "upstream",
            Self::Screen => "screen",
            Self::Audit => "audit",
        }
    }
}

impl Blame {
    /// The name in audit records and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Caller => "caller",
            Self::Upstream => "upstream",
            Self::Us => "us",
        }
    }
}
