//! Why there is no credential for a call, and what its client is told: how to connect, in the way that it can show to a person
//! (product 2.7; protocol 16.7). Never our own 401, never a link with rights in it.

use crate::Gateway;
use crate::upstream::fault::Fault;
use doorward_core::blame::{Blame, Refusal, Retry, Station, Wire};
use doorward_core::id::ServerName;
use doorward_core::json::RawJson;
use doorward_core::mcp::call::{Call, Method};
use doorward_core::mcp::error::{INTERNAL, OWN_QUESTION, URL_ELICITATION_REQUIRED};
use doorward_core::mcp::version::{Era, Version};
use doorward_core::session::Bound;
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

/// What a client shows to its person.
struct Invitation {
    url: String,
    text: String,
}

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
    pub(super) fn pause(&self) -> Duration {
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
    pub(crate) const fn needs_person(&self) -> bool {
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
    pub(crate) fn refusal(&self, server: &str) -> Refusal {
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
            Self::Overloaded(_) => Retry::After(Duration::from_secs(30)),
            _ => Retry::Never,
        };
        Refusal { retry, private: Some(self.to_string()), ..Refusal::new(Station::Credential, self.reason(), self.blame(), wire, public) }
    }
}

impl Gateway {
    /// The refusal of a call for which something went wrong on its way.
    pub(crate) fn fault_at(&self, fault: &Fault, bound: &Bound, call: &Call) -> Refusal {
        let refusal = match fault {
            Fault::NoLease(why) => self.no_lease(why, bound, call),
            // What each person has for themselves no administrator can mend.
            Fault::Credential if self.shown_to(bound.server(), bound.caller().user()).is_some() => {
                self.no_lease(&NoLease::SignInNeeded, bound, call)
            }
            fault => fault.refusal(bound.server().as_str()),
        };
        refusal.knowing(bound.asked(call))
    }

    /// What a call without a credential is told.
    pub(crate) fn no_lease(&self, why: &NoLease, bound: &Bound, call: &Call) -> Refusal {
        let refusal = why.refusal(bound.server().as_str());
        if !why.needs_person() {
            // A model should see what it can repeat to a person.
            let wire = if call.method() == Method::ToolsCall && *why != NoLease::Store { Wire::ToolResult } else { refusal.wire.clone() };
            return Refusal { wire, ..refusal };
        }
        let invitation = self.invitation(why, bound.server());
        let wire = self.wire_of(&invitation, why, bound, call);
        Refusal { wire, public: invitation.text, ..refusal }
    }

    /// The address of a page of ours, without any right in it: whoever opens it connects their own account (product 5.4).
    fn invitation(&self, why: &NoLease, server: &ServerName) -> Invitation {
        let title = self.upstreams.find(server).map_or_else(|| server.to_string(), |upstream| upstream.config.title.clone());
        let url = format!("{}/connect/{server}", self.root());
        let what = if *why == NoLease::NotConnected { "is not connected" } else { "has to be connected again" };
        Invitation { text: format!("Your account at {title} {what}. Open {url} and try again."), url }
    }

    fn wire_of(&self, invitation: &Invitation, why: &NoLease, bound: &Bound, call: &Call) -> Wire {
        let Invitation { url, text } = invitation;
        let takes_input = matches!(call.method(), Method::ToolsCall | Method::PromptsGet | Method::ResourcesRead);
        match call.era() {
            Era::Modern if takes_input && call.capabilities().is_some_and(shows_urls) => Wire::InputRequired {
                requests: json!({OWN_QUESTION: {"method": "elicitation/create", "params": {"mode": "url", "url": url, "message": text}}}),
            },
            Era::Legacy(version) if version >= Version::V2025_11_25 && session_shows_urls(bound) => {
                // It names this question to this client; nothing is looked up by it.
                let id = self.env.bytes::<16>().map(|random| random.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
                let elicitation = json!({"mode": "url", "elicitationId": id.unwrap_or_default(), "url": url, "message": text});
                Wire::Rpc { status: 200, code: URL_ELICITATION_REQUIRED, data: Some(json!({"elicitations": [elicitation]})) }
            }
            _ if call.method() == Method::ToolsCall => Wire::ToolResult,
            _ => Wire::Rpc { status: 200, code: INTERNAL, data: Some(json!({"reason": why.reason(), "effect": "none", "url": url})) },
        }
    }
}

/// Whether a client has declared that it shows addresses to its person (`elicitation.url`).
fn shows_urls(capabilities: &RawJson) -> bool {
    capabilities.member("elicitation").is_some_and(|elicitation| elicitation.member("url").is_some_and(|url| url.is_object()))
}

fn session_shows_urls(bound: &Bound) -> bool {
    let declared = bound.session().map(|stored| bytes::Bytes::from(stored.capabilities.clone()));
    declared.and_then(|text| RawJson::parse(&text, 64).ok()).is_some_and(|capabilities| shows_urls(&capabilities))
}
