//! What became of an intent, and other things worth a record. Facts only; the chain gives them their place.

use crate::blame::{Blame, Refusal};
use crate::credential::Principal;
use crate::flag::Flag;
use crate::id::{ClientId, CorrelationId, ServerName, UserId};
use std::time::Duration;

/// What became of a permitted call.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Class of the result.
    pub class: Class,
    /// As whom it really went downstream, if it went.
    pub principal: Option<Principal>,
    /// Whose side, when it was not a success.
    pub blame: Option<Blame>,
    /// Stable reason id, when it was not a success.
    pub reason: Option<&'static str>,
    /// What was seen in the result and let pass.
    pub flags: Vec<Flag>,
    /// For the record only. Never a secret.
    pub private: Option<String>,
    /// SHA-256 of the reply that is about to leave.
    pub reply_digest: Option<[u8; 32]>,
    /// From the arrival of the request.
    pub latency: Duration,
}

/// Class of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// A result.
    Completed,
    /// A tool result with `isError`.
    ToolError,
    /// A JSON-RPC error of the upstream.
    RpcError,
    /// The upstream did not answer as it should.
    UpstreamError,
    /// The deadline passed.
    TimedOut,
    /// The client cancelled.
    Cancelled,
    /// Completed, but the client was gone.
    NotDelivered,
    /// Screening kept the reply.
    Blocked,
    /// Refused by a station after the intent.
    Refused,
    /// Nobody knows: the writer ended, or could not write, between intent and outcome.
    Unknown,
}

/// Something that is not a call but belongs in the record.
#[derive(Debug, Clone, Copy, Default)]
pub struct Notice<'a> {
    /// Stable id, `snake_case`.
    pub reason: &'static str,
    /// The request it belongs to.
    pub id: Option<CorrelationId>,
    /// Whom it concerns.
    pub user: Option<&'a UserId>,
    /// Who did it, where that is somebody else: an administrator.
    pub by: Option<&'a UserId>,
    /// Which client.
    pub client: Option<&'a ClientId>,
    /// Which server.
    pub server: Option<&'a ServerName>,
    /// Free text. Never a secret.
    pub cause: Option<&'a str>,
}

// === impl Outcome ===

impl Outcome {
    /// An outcome of `class` after `latency`; fill in the rest as it is known.
    #[must_use]
    pub const fn new(class: Class, latency: Duration) -> Self {
        Self { class, principal: None, blame: None, reason: None, flags: Vec::new(), private: None, reply_digest: None, latency }
    }

    /// A call that a station refused after its intent.
    #[must_use]
    pub fn refused(refusal: &Refusal, principal: Option<Principal>, latency: Duration) -> Self {
        Self {
            class: if refusal.blame == Blame::Upstream { Class::UpstreamError } else { Class::Refused },
            principal,
            blame: Some(refusal.blame),
            reason: Some(refusal.reason),
            flags: Vec::new(),
            private: refusal.private.clone(),
            reply_digest: None,
            latency,
        }
    }
}

// === impl Class ===

impl Class {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Completed,
        Self::ToolError,
        Self::RpcError,
        Self::UpstreamError,
        Self::TimedOut,
        Self::Cancelled,
        Self::NotDelivered,
        Self::Blocked,
        Self::Refused,
        Self::Unknown,
    ];

    /// The class of this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.as_str() == name)
    }

    /// The name in records and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::ToolError => "tool_error",
            Self::RpcError => "rpc_error",
            Self::UpstreamError => "upstream_error",
            Self::TimedOut => "timed_out",
            Self::Cancelled => "cancelled",
            Self::NotDelivered => "not_delivered",
            Self::Blocked => "blocked",
            Self::Refused => "refused",
            Self::Unknown => "unknown",
        }
    }
}
