//! Why there is no credential for a call (credentials 6.8): whose side it is on, who can mend it, and how long whoever refused is left alone.

use super::google::mapping::NoGrant;
use super::google::trouble::{Again, Trouble, Why};
use crate::blame::{Blame, Refusal, Retry, Station, Wire};
use crate::mcp::error::INTERNAL;
use serde_json::json;
use std::time::Duration;

/// Why nothing is lent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoLease {
    /// There is no broker for this server, or nobody on whose behalf it could be asked.
    #[error("Doorward holds no credential for this server")]
    Missing,
    /// The person has no account there that Doorward knows.
    #[error("the person is not connected")]
    NotConnected,
    /// They had one, and it is over.
    #[error("the person has to connect again")]
    SignInNeeded,
    /// What is kept does not open in its place. It is never used.
    #[error("what is kept for the person is damaged")]
    Damaged,
    /// Whoever gives the credential did not answer, or not as it should; with a short stable word.
    #[error("the provider of the credential: {0}")]
    Unavailable(&'static str),
    /// Whoever gives the credential is asked too often, and says after how many seconds it may be asked again.
    #[error("the provider of the credential is asked too often")]
    Overloaded(u64),
    /// Whoever gives the credential refuses Doorward itself; with a short stable word.
    #[error("the provider of the credential refuses Doorward: {0}")]
    Refused(&'static str),
    /// No rule of the server says as whom this call would go, or one says that it may not; in a few words.
    #[error("there is no account for this call: {0}")]
    Unmapped(&'static str),
    /// What was given is expired already.
    #[error("what was given for the person is expired already")]
    Expired,
    /// Doorward's own records do not answer.
    #[error("the records do not answer")]
    Store,
}

/// After a refusal nobody asks again for so long, and not for longer whatever is asked.
const REFUSED: Duration = Duration::from_secs(30);
const LONGEST: Duration = Duration::from_secs(600);

// === impl NoLease ===

impl NoLease {
    /// Stable id for records, metrics and documentation.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Missing => "credential_missing",
            Self::NotConnected => "account_not_connected",
            Self::SignInNeeded => "account_sign_in_needed",
            Self::Damaged => "account_damaged",
            Self::Unavailable(_) | Self::Expired | Self::Overloaded(_) => "credential_unavailable",
            Self::Refused(_) => "credential_refused",
            Self::Unmapped(_) => "account_not_mapped",
            Self::Store => "store_unavailable",
        }
    }

    /// How long whoever refused is left alone.
    #[must_use]
    pub fn pause(&self) -> Duration {
        match self {
            Self::Overloaded(seconds) => Duration::from_secs(*seconds).clamp(REFUSED, LONGEST),
            _ if self.is_refusal() => REFUSED,
            _ => Duration::ZERO,
        }
    }

    /// Whether asking again soon would be of no use, and a burden to who refused.
    const fn is_refusal(&self) -> bool {
        matches!(self, Self::Refused(_) | Self::Expired | Self::Overloaded(_))
    }

    /// Whether the person can mend it by connecting.
    #[must_use]
    pub const fn needs_person(&self) -> bool {
        matches!(self, Self::NotConnected | Self::SignInNeeded | Self::Damaged)
    }

    const fn blame(&self) -> Blame {
        match self {
            Self::NotConnected | Self::SignInNeeded | Self::Unmapped(_) => Blame::Caller,
            Self::Unavailable(_) | Self::Expired | Self::Overloaded(_) | Self::Refused(_) => Blame::Upstream,
            Self::Missing | Self::Damaged | Self::Store => Blame::Us,
        }
    }

    /// For whoever asked in another way than by a call: a refusal without a link.
    #[must_use]
    pub fn refusal(&self, server: &str) -> Refusal {
        let public = match self {
            Self::Missing => "Doorward holds no credential for this server.".to_owned(),
            Self::NotConnected => format!("Your account at {server} is not connected."),
            Self::SignInNeeded => format!("Your account at {server} has to be connected again."),
            Self::Damaged => format!("What is kept of your account at {server} is damaged. Connect it again."),
            Self::Unavailable(_) | Self::Expired | Self::Overloaded(_) => {
                format!("The provider of your account at {server} does not answer as it should. Try again later; your other tools work.")
            }
            Self::Refused(_) => format!("The provider of {server} refuses Doorward. An administrator has to look at it."),
            Self::Unmapped(_) => format!("There is no account at {server} for what you called. An administrator has to add one."),
            Self::Store => "Doorward cannot reach its records at the moment. Try again later.".to_owned(),
        };
        let wire = match self {
            Self::Store => Wire::Http(503),
            _ => Wire::Rpc { status: 200, code: INTERNAL, data: Some(json!({"reason": self.reason(), "effect": "none"})) },
        };
        let retry = match self {
            Self::Unavailable(_) | Self::Store => Retry::After(Duration::from_secs(5)),
            Self::Overloaded(_) => Retry::After(self.pause()),
            _ => Retry::Never,
        };
        Refusal { retry, private: Some(self.to_string()), ..Refusal::new(Station::Credential, self.reason(), self.blame(), wire, public) }
    }
}

impl From<NoGrant> for NoLease {
    fn from(no: NoGrant) -> Self {
        match no {
            NoGrant::NoRow => Self::Unmapped("no row of the mapping fits"),
            NoGrant::Disabled(_) => Self::Unmapped("the row of the mapping that fits is switched off"),
        }
    }
}

impl From<&Trouble> for NoLease {
    /// A denial is one; an outage, nonsense and what is missing here may be over at once.
    fn from(trouble: &Trouble) -> Self {
        if trouble.is_denial() {
            return Self::Refused(match trouble.why() {
                Why::OwnAccount => "own account",
                _ => "denied",
            });
        }
        match (trouble.why(), trouble.again()) {
            (Why::Refused { status: 429, .. }, Again::After(after)) => return Self::Overloaded(after.as_secs()),
            (Why::Refused { status: 429, .. }, _) => return Self::Overloaded(0),
            (_, Again::After(after)) => return Self::Overloaded(after.as_secs()),
            _ => {}
        }
        match trouble.why() {
            Why::Expired => Self::Expired,
            Why::Here(_) => Self::Unavailable("not usable here"),
            Why::Unreachable(_) => Self::Unavailable("not reached"),
            Why::Refused { .. } => Self::Unavailable("failed"),
            Why::Redirects(_) => Self::Unavailable("redirects"),
            Why::Flavor => Self::Unavailable("not the metadata server"),
            Why::Unreadable | Why::MediaType | Why::Form(_) | Why::Token(_) | Why::OwnAccount => Self::Unavailable("malformed answer"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_its_word_its_side_and_its_patience_and_none_is_a_401() {
        let all = [
            (NoLease::Missing, "credential_missing", Blame::Us, false),
            (NoLease::NotConnected, "account_not_connected", Blame::Caller, true),
            (NoLease::SignInNeeded, "account_sign_in_needed", Blame::Caller, true),
            (NoLease::Damaged, "account_damaged", Blame::Us, true),
            (NoLease::Unavailable("x"), "credential_unavailable", Blame::Upstream, false),
            (NoLease::Overloaded(900), "credential_unavailable", Blame::Upstream, false),
            (NoLease::Refused("x"), "credential_refused", Blame::Upstream, false),
            (NoLease::Expired, "credential_unavailable", Blame::Upstream, false),
            (NoLease::Store, "store_unavailable", Blame::Us, false),
        ];
        for (why, reason, blame, person) in all {
            let refusal = why.refusal("linear");
            assert_eq!((refusal.reason, refusal.blame, why.needs_person()), (reason, blame, person), "{why:?}");
            let is_fit =
                matches!((&refusal.wire, &why), (Wire::Http(503), NoLease::Store) | (Wire::Rpc { status: 200, code: INTERNAL, .. }, _));
            assert!(is_fit, "{why:?}: {:?}", refusal.wire);
        }
        assert_eq!(NoLease::Overloaded(900).pause(), LONGEST, "not for ever, whatever is asked");
        assert_eq!(NoLease::Overloaded(1).pause(), REFUSED);
        assert_eq!(NoLease::Unavailable("x").pause(), Duration::ZERO);
    }
}
