//! Why an upstream gave no answer, and what each listener is told. No body, URL or header of an upstream leaves with it.

use crate::Gateway;
use crate::egress::error::EgressError;
use doorward_core::blame::{Blame, Over, Presence, Refusal, Retry, Station, Wire};
use doorward_core::credential::NoLease;
use doorward_core::flag::Flag;
use doorward_core::mcp::call::Call;
use doorward_core::mcp::error::{INTERNAL, INVALID_REQUEST};
use doorward_core::mcp::reply::BadReply;
use doorward_core::mcp::version::Version;
use doorward_core::session::Bound;
use serde_json::json;
use std::time::Duration;

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The connection: never made, broken or timed out.
    Egress(EgressError),
    /// The child process could not be started, or ended.
    Child(&'static str),
    /// The launch of this command, with these arguments, was not approved (I9).
    NotApproved,
    /// The command fetches what it runs, and is not pinned (STD-08). Nothing was started.
    Unpinned,
    /// The installed package is not what was approved. Nothing was started.
    PackageChanged,
    /// The package was not installed here. Nothing was started.
    PackageMissing,
    /// The process that was to run the tool defines it in another way than it was permitted (I9).
    Changed,
    /// That process did not say how it defines its tools.
    Unproven,
    /// What came back is not MCP.
    Bad(BadReply),
    /// An event stream that cannot be read on, or a line that is too long.
    BadStream(&'static str),
    /// The stream ended before the answer.
    Incomplete,
    /// The upstream does not accept Doorward's credential. Never passed on: it is not the client's (product 2.7).
    Credential,
    /// The upstream knows Doorward's credential, and does not let it do this. Another one of the same account would be no better.
    Denied,
    /// There is no credential to go with. Nothing was sent.
    NoLease(NoLease),
    /// The upstream does not know its session any more; the request did not run.
    SessionLost,
    /// The upstream failed several times in a row and is left alone for so long. Nothing was sent.
    Resting(Duration),
    /// The upstream is overloaded, or who stands before it says so.
    Overloaded {
        /// For how many seconds, in its own words.
        seconds: Option<u64>,
        /// 429 is said before anything is done; a proxy may say 503 of a request that ran (RFC 9110 section 15.6.4).
        ran: Effect,
    },
    /// Doorward's own store or random source takes or gives nothing: no fault of the upstream.
    Store,
    /// The caller has as many sessions as they may.
    TooManySessions,
    /// Everybody together has as many sessions as there may be; the caller has not.
    SessionsFull,
    /// The caller has as many tasks running as they may; nothing was sent.
    TooManyTasks,
    /// The call ran and became a task, which could not be recorded: it cannot be asked for, and must not be run again unseen.
    TaskNotKept,
    /// As many open streams as a caller may have.
    TooManyStreams,
    /// The client went away or cancelled before there was an answer.
    Cancelled,
    /// The id is in use in this session, or too many calls are.
    IdInUse,
    /// The rights of the caller ended while the call ran (I8). With the reason.
    Withdrawn(&'static str),
    /// The store could not say whether they had ended.
    Unjudged,
    /// What cannot be, with what it was: a mistake of Doorward's.
    Internal(&'static str),
    /// A status without meaning here.
    Status(u16),
    /// Client and server share no era.
    NoEra(Vec<Version>),
    /// There was no room to read the answer within the time of the call: other answers were not read.
    NoRoom,
    /// No sign of life within the time limit of the server.
    Silent,
    /// The absolute limit of a call passed.
    TooLong,
    /// More messages than a client takes.
    Flood,
    /// The result is not what was approved.
    Broken(Flag),
}

/// Whether the upstream may have acted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Certainly not.
    None,
    /// Perhaps.
    Unknown,
}

/// The longest time to wait that is passed on from an upstream.
const LONGEST: Duration = Duration::from_secs(3600);

impl Fault {
    /// Stable id for records, metrics and documentation.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Egress(EgressError::Forbidden(_)) => "upstream_forbidden",
            Self::Egress(EgressError::Timeout { .. }) | Self::Silent | Self::TooLong => "upstream_timeout",
            Self::Egress(EgressError::Redirect(_)) => "upstream_redirect",
            Self::Egress(EgressError::TooLarge) | Self::BadStream(_) | Self::Flood => "upstream_too_much",
            Self::Overloaded { .. } | Self::Egress(EgressError::Busy) => "upstream_overloaded",
            Self::Egress(_) => "upstream_unreachable",
            Self::Child(_) => "child_ended",
            Self::NotApproved => "launch_not_approved",
            Self::Unpinned => "package_refused",
            Self::PackageChanged => "package_changed",
            Self::PackageMissing => "package_missing",
            Self::Changed => "definition_changed",
            Self::Unproven => "definition_unproven",
            Self::Bad(_) => "upstream_bad_reply",
            Self::Incomplete => "upstream_incomplete",
            Self::Credential => "upstream_credential",
            Self::Denied => "upstream_denied",
            Self::NoLease(why) => why.reason(),
            Self::SessionLost => "upstream_session_lost",
            Self::Resting(_) => "upstream_resting",
            Self::NoRoom => "no_room_for_answer",
            Self::Store | Self::Unjudged => "store_unavailable",
            Self::TooManySessions => "too_many_sessions",
            Self::SessionsFull => "sessions_full",
            Self::TooManyTasks => "too_many_tasks",
            Self::TaskNotKept => "task_not_kept",
            Self::TooManyStreams => "too_many_streams",
            Self::Cancelled => "cancelled",
            Self::IdInUse => "id_in_use",
            Self::Withdrawn(reason) => reason,
            Self::Internal(_) => "internal_error",
            Self::Status(_) => "upstream_status",
            Self::NoEra(_) => "no_common_era",
            Self::Broken(flag) => flag.reason(),
        }
    }

    /// The end of a call that may not go on.
    pub(crate) const fn of(over: Over) -> Self {
        match over.blame {
            Blame::Us => Self::Unjudged,
            _ => Self::Withdrawn(over.reason),
        }
    }

    /// Whether the upstream may have acted on the request.
    #[must_use]
    pub const fn effect(&self) -> Effect {
        match self {
            Self::Egress(error) if !error.may_have_been_sent() => Effect::None,
            Self::NotApproved
            | Self::Unpinned
            | Self::PackageChanged
            | Self::PackageMissing
            | Self::Changed
            | Self::Unproven
            | Self::SessionLost
            | Self::NoEra(_)
            | Self::Credential
            | Self::NoLease(_)
            | Self::Resting(_)
            | Self::Overloaded { ran: Effect::None, .. }
            | Self::Store
            | Self::TooManySessions
            | Self::SessionsFull
            | Self::TooManyTasks
            | Self::TooManyStreams
            | Self::IdInUse => Effect::None,
            _ => Effect::Unknown,
        }
    }

    /// The refusal at the edge: −32603 under 200 with `data.effect` (protocol 6.1, 16.5), except where protocol has an own word.
    #[must_use]
    pub fn refusal(&self, server: &str) -> Refusal {
        if let Self::NoLease(why) = self {
            return why.refusal(server);
        }
        let effect = match self.effect() {
            Effect::None => "none",
            Effect::Unknown => "unknown",
        };
        let public = match self {
            Self::Credential => {
                format!("{server} does not accept the credential that Doorward holds for it. An administrator has to look at it.")
            }
            Self::Denied => format!("{server} does not let the account that Doorward uses for you do this."),
            Self::NotApproved => format!("The command of {server} is not approved. An administrator has to look at it."),
            Self::Unpinned => {
                format!("The command of {server} fetches what it runs and is not pinned. An administrator has to look at it.")
            }
            Self::PackageChanged => format!("The package of {server} is not what was approved. An administrator has to look at it."),
            Self::PackageMissing => format!("The package of {server} is not installed. An administrator has to look at it."),
            Self::Changed => format!("{server} has changed this tool since it was approved. An administrator has to look at it."),
            Self::Unproven => format!("{server} did not say which tools it has, so none was run."),
            Self::NoEra(_) => format!("{server} does not speak this version of the protocol."),
            Self::Silent | Self::TooLong | Self::Egress(EgressError::Timeout { .. }) => {
                format!("{server} did not answer in time. Your other tools work.")
            }
            Self::Resting(_) => format!("{server} does not answer and is left alone for a moment. Your other tools work."),
            Self::Overloaded { ran: Effect::Unknown, .. } => format!("{server} is overloaded. See what the call did before you repeat it."),
            Self::Overloaded { .. } | Self::Egress(EgressError::Busy) => format!("{server} is overloaded. Try again later."),
            Self::Store => "Doorward cannot reach its records at the moment. Try again later.".to_owned(),
            Self::TooManySessions => "Too many open sessions. End one of them first.".to_owned(),
            Self::SessionsFull => "Doorward has no room for another session at the moment. Try again later.".to_owned(),
            Self::TooManyTasks => "Too many tasks of yours are running. Cancel one, or wait until one is over.".to_owned(),
            Self::TaskNotKept => {
                format!("The call ran on {server}, but its task could not be kept. See what it did before you run it again.")
            }
            Self::NoRoom => {
                "There was no room for the answer: too many others are not read. See what the call did before you repeat it.".to_owned()
            }
            Self::TooManyStreams => "Too many open streams.".to_owned(),
            Self::Cancelled => "Cancelled.".to_owned(),
            Self::IdInUse => "This request id is in use, or too many requests are open.".to_owned(),
            Self::Internal(_) => "Something went wrong here. See what the call did before you repeat it.".to_owned(),
            Self::Unjudged => "Doorward could not look up whether this call may go on. See what it did before you repeat it.".to_owned(),
            Self::Withdrawn(_) => "What allowed this call was taken back while it ran.".to_owned(),
            Self::Egress(EgressError::TooLarge) | Self::Flood | Self::BadStream(_) => format!("{server} sent more than is allowed."),
            Self::Broken(_) => format!("The result of {server} was kept back: it is not of the form that was approved."),
            _ => format!("{server} could not be reached or did not answer as it should. Your other tools work."),
        };
        let permanent = matches!(
            self,
            Self::NoEra(_) | Self::NotApproved | Self::Unpinned | Self::PackageChanged | Self::PackageMissing | Self::Changed
        );
        let wire = match self {
            Self::Store | Self::SessionsFull | Self::Resting(_) => Wire::Http(503),
            Self::TooManySessions | Self::TooManyTasks | Self::TooManyStreams => Wire::Http(429),
            Self::IdInUse => Wire::Rpc { status: 400, code: INVALID_REQUEST, data: None },
            // Only who has to authenticate again is asked to: a withdrawn rule or approval is no matter of the credential.
            Self::Withdrawn("revoked_credential" | "user_disabled" | "client_blocked" | "expired_credential" | "wrong_audience") => {
                Wire::Challenge { presented: Presence::Presented }
            }
            Self::NoEra(supported) => {
                let supported: Vec<&str> = supported.iter().map(|version| version.as_str()).collect();
                Wire::Rpc {
                    status: 400,
                    code: doorward_core::mcp::error::UNSUPPORTED_VERSION,
                    data: Some(json!({ "supported": supported })),
                }
            }
            _ => Wire::Rpc {
                status: 200,
                code: INTERNAL,
                data: Some(json!({ "reason": self.reason(), "permanent": permanent, "effect": effect })),
            },
        };
        Refusal::new(Station::Upstream, self.reason(), self.blame(), wire, public).retry(self.retry(permanent)).because(self.cause())
    }

    fn retry(&self, permanent: bool) -> Retry {
        match self {
            Self::Overloaded { ran: Effect::Unknown, .. } => Retry::Never,
            Self::Overloaded { seconds, .. } => Retry::After(Duration::from_secs(seconds.unwrap_or(5)).min(LONGEST)),
            Self::Resting(wait) => Retry::After(Duration::from_secs(wait.as_secs().saturating_add(1))),
            Self::Store => Retry::After(Duration::from_secs(5)),
            Self::TooManySessions | Self::TooManyTasks | Self::SessionsFull => Retry::After(Duration::from_secs(60)),
            Self::TaskNotKept | Self::NoRoom | Self::Unjudged | Self::Internal(_) => Retry::Never,
            Self::TooManyStreams => Retry::After(Duration::from_secs(5)),
            _ if permanent => Retry::Never,
            _ => Retry::Now,
        }
    }

    const fn blame(&self) -> Blame {
        match self {
            Self::NotApproved
            | Self::Unpinned
            | Self::PackageChanged
            | Self::PackageMissing
            | Self::Store
            | Self::SessionsFull
            | Self::NoRoom
            | Self::Unjudged
            | Self::Internal(_)
            | Self::TaskNotKept => Blame::Us,
            Self::NoEra(_)
            | Self::TooManySessions
            | Self::TooManyTasks
            | Self::TooManyStreams
            | Self::Cancelled
            | Self::IdInUse
            | Self::Withdrawn(_) => Blame::Caller,
            _ => Blame::Upstream,
        }
    }

    fn cause(&self) -> String {
        match self {
            Self::Egress(error) => error.to_string(),
            Self::Bad(bad) => bad.to_string(),
            Self::BadStream(text) | Self::Child(text) | Self::Internal(text) => (*text).to_owned(),
            Self::Status(status) => format!("status {status}"),
            Self::Broken(flag) => flag.detail().to_owned(),
            other => other.reason().to_owned(),
        }
    }
}

impl From<EgressError> for Fault {
    fn from(error: EgressError) -> Self {
        Self::Egress(error)
    }
}

impl From<BadReply> for Fault {
    fn from(bad: BadReply) -> Self {
        Self::Bad(bad)
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn std_08_a_package_that_does_not_start_is_no_matter_of_trying_again() {
        for (fault, reason) in
            [(Fault::Unpinned, "package_refused"), (Fault::PackageChanged, "package_changed"), (Fault::PackageMissing, "package_missing")]
        {
            assert_eq!((fault.reason(), fault.effect()), (reason, Effect::None));
            let refusal = format!("{:?}", fault.refusal("files"));
            assert!(refusal.contains("Never") && refusal.contains("\"permanent\": Bool(true)"), "{refusal}");
        }
    }
}
