//! The one decision. Before Cedar is asked, and whatever it says, four things hold that no rule can lift: the server is
//! visible, the tool is known, its definition is the approved one, and the credential was granted its class.

use super::facts::Facts;
use super::inspect::inspect;
use super::judge::{Approval, Knowledge, Verdict, judge, obligations, shown};
use super::permit::Obligation;
use super::permit::Permit;
use super::request::{Asker, View, What, Who};
use super::rules::Rules;
use crate::blame::{Blame, Known, Refusal, Retry, Station, Wire};
use crate::flag::Flag;
use crate::id::{RuleId, SeenLabel};
use crate::mcp::call::{Call, Method, Reference};
use crate::mcp::error::INVALID_PARAMS;
use crate::mcp::version::Era;
use crate::session::Bound;
use std::collections::BTreeSet;

/// The call was denied. Caller and call are gone; what was known of them is in the refusal.
#[derive(Debug)]
pub struct Denied {
    why: Why,
    surface: Surface,
    rules: Vec<RuleId>,
    message: Option<String>,
    detail: Option<String>,
    missing: Option<String>,
    knowledge: Knowledge,
    server: String,
    known: Known,
}

/// Why a call is denied. Each variant has a test that names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// The server is not visible to the caller.
    Invisible,
    /// The server's catalogue has no such tool, or the request names nothing.
    Unknown,
    /// No arguments would make it allowed.
    Policy,
    /// The credential was not granted the class that this needs; the rules would allow it otherwise.
    NotGranted,
    /// The tool's definition is not the approved one.
    Quarantined,
    /// The rules allow it with other arguments.
    Arguments,
    /// The rules would allow it to a client that has not seen what this one has.
    Seen,
    /// An argument does not have the type that a rule in force uses.
    ArgumentType,
    /// The URI names its resource in more than one way.
    AmbiguousUri,
    /// A determining permit asks for an approval, which this installation cannot obtain.
    ApprovalUnavailable,
    /// A determining permit carries another obligation that this installation does not fulfil.
    ObligationUnavailable,
    /// The arguments do not fit the approved schema of the tool.
    Misfit,
    /// Whether they fit would cost too much to find out, or cannot be found out.
    Unchecked,
    /// A schema of the tool was approved that cannot be used.
    Unusable,
    /// The arguments hold a token of another provider.
    ForeignToken,
    /// A credential stands in the arguments, with `screening.arguments = "block"` (POL-04).
    Secret,
    /// A rule could not be evaluated.
    Fault,
}

/// In which form the protocol refuses.
#[derive(Debug, Clone)]
enum Surface {
    Tool(String),
    Prompt(String),
    Resource(String, Era),
    Task,
    Server,
}

/// What the rules say of a call that they allow.
struct Examined {
    rules: Vec<RuleId>,
    obligations: Vec<Obligation>,
    shows: BTreeSet<SeenLabel>,
}

/// What a call addresses.
enum Target<'a> {
    What(What<'a>, Approval),
    Unknown,
}

/// Which question a call is: about these arguments, or whatever the arguments are.
enum Asked {
    Call,
    Whatever,
}

/// Decides whether this caller may make exactly this call now. Consumes both, so neither can be swapped or decided twice.
///
/// # Errors
/// [`Denied`], with the reason, the rules that decided and the form that the client may see.
pub fn decide(rules: &Rules, facts: &Facts, bound: Bound, call: Call) -> Result<Permit, Denied> {
    let Examined { rules, obligations, shows } = examine(rules, facts, &bound, &call)?;
    let flags = inspect(&facts.checks, &call).map_err(|(why, flag)| Denied::new(why, surface(&call), &bound, &call).seen(&rules, &flag))?;
    let tool = match target(facts, &call) {
        (Target::What(What::Tool { class, .. }, _), _) => facts.tool.as_ref().map(|tool| (tool.name.clone(), class)),
        _ => None,
    };
    Ok(Permit { bound, call, rules, obligations, flags, shows, tool })
}

/// Whether a rule that can concern this call asks what its caller has seen before: [`Facts::seen`] has to be looked up then.
#[must_use]
pub fn asks_what_was_seen(rules: &Rules, facts: &Facts, bound: &Bound, call: &Call) -> bool {
    rules.asks_what_was_seen
        && match target(facts, call) {
            (Target::What(what, _), _) => Asker::new(rules, who(facts, bound)).asks_what_was_seen(what),
            (Target::Unknown, _) => false,
        }
}

/// Whether what was permitted would be permitted again now: for streams, which live longer than one decision (house 6).
#[must_use]
pub fn still(rules: &Rules, facts: &Facts, permit: &Permit) -> bool {
    examine(rules, facts, permit.bound(), permit.call()).is_ok()
}

fn examine(rules: &Rules, facts: &Facts, bound: &Bound, call: &Call) -> Result<Examined, Denied> {
    let surface = surface(call);
    if !facts.visible {
        return Err(Denied::new(Why::Invisible, surface, bound, call));
    }
    let (Target::What(what, approval), asked) = target(facts, call) else {
        return Err(Denied::new(Why::Unknown, surface, bound, call));
    };
    let view = match asked {
        Asked::Call => View::Call(call.arguments()),
        Asked::Whatever => View::Later,
    };
    let asker = Asker::new(rules, who(facts, bound));
    let verdict = judge(&asker, what, view, approval, &facts.able);
    if verdict.why.is_some() {
        let denied = Denied::new(Why::Policy, surface, bound, call);
        return Err(denied.by(rules, verdict));
    }
    let obligations = obligations(&asker, &verdict.ruling);
    let shows = shown(&asker, &verdict.ruling);
    let rules = verdict.ruling.permits.iter().filter_map(|at| rules.rules.get(*at)).map(|rule| rule.id.clone()).collect();
    Ok(Examined { rules, obligations, shows })
}

/// The plain facts of a verified caller.
pub(super) fn who<'a>(facts: &'a Facts, bound: &'a Bound) -> Who<'a> {
    let caller = bound.caller();
    Who {
        user: caller.user(),
        groups: caller.groups(),
        client: caller.client().as_str(),
        via: caller.via(),
        agent: caller.agent().map(crate::id::AgentLabel::as_str),
        level: caller.level(),
        granted: caller.granted(),
        verified: facts.client_verified,
        server: bound.server(),
        era: bound.era(),
        peer: facts.peer,
        now: facts.now,
        seen: &facts.seen,
    }
}

/// Every method has its question; a new method does not compile without one.
fn target<'a>(facts: &'a Facts, call: &'a Call) -> (Target<'a>, Asked) {
    let name = call.target().filter(|name| !name.is_empty());
    let of = |what| (Target::What(what, Approval::Stands), Asked::Call);
    let unknown = (Target::Unknown, Asked::Call);
    match call.method() {
        Method::ToolsCall => match (name, facts.tool.as_ref()) {
            (Some(name), Some(tool)) if tool.name.as_str() == name => {
                let approval = if tool.approved { Approval::Stands } else { Approval::Lacking };
                (Target::What(What::Tool { name, class: tool.class }, approval), Asked::Call)
            }
            _ => unknown,
        },
        Method::PromptsGet => name.map_or(unknown, |name| of(What::Prompt { name })),
        Method::ResourcesRead | Method::ResourcesSubscribe | Method::ResourcesUnsubscribe => {
            name.map_or(unknown, |uri| of(What::Resource { uri }))
        }
        Method::Complete => match (name, call.reference()) {
            (Some(name), Some(Reference::Prompt)) => (Target::What(What::Prompt { name }, Approval::Stands), Asked::Whatever),
            (Some(uri), Some(Reference::Template)) => (Target::What(What::Resource { uri }, Approval::Stands), Asked::Whatever),
            _ => unknown,
        },
        // A task is its tool going on: who may not call the tool any more gets nothing of it either.
        Method::TasksGet | Method::TasksUpdate | Method::TasksResult => facts.tool.as_ref().map_or(unknown, |tool| {
            let approval = if tool.approved { Approval::Stands } else { Approval::Lacking };
            (Target::What(What::Tool { name: tool.name.as_str(), class: tool.class }, approval), Asked::Whatever)
        }),
        Method::Initialize
        | Method::Discover
        | Method::Ping
        | Method::ToolsList
        | Method::PromptsList
        | Method::ResourcesList
        | Method::ResourceTemplatesList
        | Method::SetLevel
        | Method::Listen
        // To stop what is one's own takes no right.
        | Method::TasksCancel
        | Method::TasksList
        | Method::Initialized
        | Method::Cancelled
        | Method::ClientProgress
        | Method::RootsChanged
        | Method::OtherNotification
        | Method::Answer
        | Method::OpenStream
        | Method::EndSession => of(What::Server),
    }
}

fn surface(call: &Call) -> Surface {
    let name = || call.target().unwrap_or_default().to_owned();
    match call.method() {
        Method::ToolsCall => Surface::Tool(name()),
        Method::PromptsGet => Surface::Prompt(name()),
        Method::ResourcesRead | Method::ResourcesSubscribe | Method::ResourcesUnsubscribe => Surface::Resource(name(), call.era()),
        Method::Complete => match call.reference() {
            Some(Reference::Template) => Surface::Resource(name(), call.era()),
            _ => Surface::Prompt(name()),
        },
        Method::TasksGet | Method::TasksUpdate | Method::TasksResult => Surface::Task,
        _ => Surface::Server,
    }
}

// === impl Why ===

impl Why {
    /// Stable id for audit records, metrics and documentation.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Invisible => "server_not_visible",
            Self::Unknown => "unknown_target",
            Self::Policy => "policy_denied",
            Self::NotGranted => "not_granted",
            Self::Quarantined => "tool_quarantined",
            Self::Arguments => "policy_denied_arguments",
            Self::Seen => "policy_denied_seen",
            Self::ArgumentType => "argument_type",
            Self::AmbiguousUri => "ambiguous_uri",
            Self::ApprovalUnavailable => "approval_unavailable",
            Self::ObligationUnavailable => "obligation_unavailable",
            Self::Misfit => "arguments_misfit",
            Self::Unchecked => "arguments_unchecked",
            Self::Unusable => "schema_unusable",
            Self::ForeignToken => "foreign_token",
            Self::Secret => "secret_in_arguments",
            Self::Fault => "policy_fault",
        }
    }
}

// === impl Denied ===

impl Denied {
    fn new(why: Why, surface: Surface, bound: &Bound, call: &Call) -> Self {
        let known = bound.asked(call);
        let server = bound.server().to_string();
        Self { why, surface, rules: Vec::new(), message: None, detail: None, missing: None, knowledge: Knowledge::Hidden, server, known }
    }

    fn by(mut self, rules: &Rules, verdict: Verdict) -> Self {
        let Verdict { why, ruling, missing, known } = verdict;
        self.why = why.unwrap_or(Why::Fault);
        let deciding = match self.why {
            Why::ApprovalUnavailable | Why::ObligationUnavailable => ruling.permits.clone(),
            Why::ArgumentType => ruling.misfit.iter().map(|(at, _)| *at).collect(),
            _ => ruling.forbids.clone(),
        };
        let deciding: Vec<_> = deciding.into_iter().filter_map(|at| rules.rules.get(at)).collect();
        self.message = deciding.iter().find_map(|rule| rule.message.clone());
        self.rules = deciding.into_iter().map(|rule| rule.id.clone()).collect();
        self.detail = match self.why {
            Why::Fault => Some(ruling.faults.join("; ")),
            Why::ArgumentType => {
                ruling.misfit.as_ref().map(|(_, misfit)| format!("the argument {} must be {}", misfit.path, misfit.expected))
            }
            _ => None,
        };
        self.missing = missing;
        self.knowledge = known;
        self.known.rule = Some(self.decided_by().to_owned());
        self
    }

    /// Denied although these rules allow it: the caller may know of the thing, and what was seen.
    fn seen(mut self, rules: &[RuleId], flag: &Flag) -> Self {
        self.rules = rules.to_vec();
        self.known.rule = Some(self.decided_by().to_owned());
        self.detail = Some(flag.detail().to_owned());
        self.knowledge = Knowledge::Open;
        self
    }

    /// The reason.
    #[must_use]
    pub const fn why(&self) -> Why {
        self.why
    }

    /// The determining rules: forbids, or the permit whose obligation cannot be fulfilled. Empty if none permitted.
    #[must_use]
    pub fn rules(&self) -> &[RuleId] {
        &self.rules
    }

    /// The `@message` of the first determining rule that has one. May be told only if the refusal tells it.
    #[must_use]
    pub fn message(&self) -> Option<&str> {
        self.message.as_deref()
    }

    /// The scope that the credential lacks, `<server>:<class>`, if the rules would allow the call with it: what a door that
    /// can ask for more answers 403 `insufficient_scope` with. `None` where the caller may not know that the thing exists.
    #[must_use]
    pub fn missing(&self) -> Option<&str> {
        self.missing.as_deref().filter(|_| self.why == Why::NotGranted)
    }

    fn decided_by(&self) -> &str {
        match (self.rules.first(), &self.missing) {
            (Some(rule), _) => rule.as_str(),
            (None, Some(_)) => "not-granted",
            (None, None) => "no-rule",
        }
    }

    /// The refusal at the edge. What the caller may not know of looks exactly like what does not exist.
    #[must_use]
    pub fn refusal(self) -> Refusal {
        let blame = if matches!(self.why, Why::Fault | Why::Unusable) { Blame::Us } else { Blame::Caller };
        let (wire, public) = match self.why {
            Why::Invisible => (Wire::Http(404), "There is nothing here.".to_owned()),
            Why::Misfit | Why::Unchecked | Why::Unusable | Why::ForeignToken | Why::Secret => {
                (Wire::Rpc { status: 200, code: INVALID_PARAMS, data: None }, self.told_of_arguments())
            }
            _ => match (&self.surface, self.knowledge) {
                (Surface::Tool(name), Knowledge::Open) => (Wire::ToolResult, self.told(name)),
                _ => self.like_unknown(),
            },
        };
        let private = self.private();
        Refusal::new(Station::Policy, self.why.reason(), blame, wire, public).because(private).retry(Retry::Never).knowing(self.known)
    }

    fn like_unknown(&self) -> (Wire, String) {
        let rpc = |code, data| Wire::Rpc { status: 200, code, data };
        match &self.surface {
            Surface::Tool(name) => (rpc(-32602, None), format!("Unknown tool: {}", bounded(name))),
            Surface::Prompt(name) => (rpc(-32602, None), format!("Unknown prompt: {}", bounded(name))),
            Surface::Resource(uri, era) => {
                let code = if matches!(era, Era::Modern) { -32602 } else { -32002 };
                (rpc(code, Some(serde_json::json!({"uri": uri}))), "Resource not found.".to_owned())
            }
            Surface::Task => (rpc(-32602, None), "Unknown task.".to_owned()),
            Surface::Server => (Wire::Http(403), "Not allowed.".to_owned()),
        }
    }

    /// What, why, what next: an agent repeats it to a person.
    fn told(&self, tool: &str) -> String {
        let rule = self.decided_by();
        let and = |default: &str| self.message.clone().unwrap_or_else(|| default.to_owned());
        match self.why {
            Why::Quarantined => {
                format!("Tool {tool} of {} changed since it was approved. An administrator has to look at it.", self.server)
            }
            Why::NotGranted => {
                let scope = self.missing.as_deref().unwrap_or_default();
                format!("Not allowed: not-granted – This credential was not granted {scope}.")
            }
            Why::ArgumentType => format!("Not allowed: {rule} – {}.", capital(self.detail.as_deref().unwrap_or_default())),
            Why::ApprovalUnavailable => {
                format!("Not allowed: {rule} – {}", and("A person must approve this call, and approvals are not available here."))
            }
            Why::ObligationUnavailable => {
                format!("Not allowed: {rule} – {}", and("The rule asks for a check that is not available here."))
            }
            Why::Seen => format!("Not allowed: {rule} – {}", and("The rules do not allow this after what this client has seen.")),
            Why::Fault => "Not allowed: the rules could not be evaluated. An administrator has to look at it.".to_owned(),
            _ => format!("Not allowed: {rule} – {}", and("The rules do not allow this call with these arguments.")),
        }
    }

    /// Names a place or a kind, never a value.
    fn told_of_arguments(&self) -> String {
        let detail = self.detail.as_deref().unwrap_or_default();
        match self.why {
            Why::Misfit => format!("The arguments do not fit the approved schema of this tool: {detail}."),
            Why::Unchecked => format!("The arguments cannot be held against the approved schema of this tool: {detail}."),
            Why::ForeignToken => format!("The arguments hold what looks like {detail}. Credentials of others are not passed on here."),
            Why::Secret => format!("The arguments hold what looks like {detail}. Credentials are not passed on here."),
            _ => "The approved schema of this tool cannot be used. An administrator has to look at it.".to_owned(),
        }
    }

    fn private(&self) -> String {
        let rules: Vec<&str> = self.rules.iter().map(RuleId::as_str).collect();
        let mut text = format!("decided by {}", if rules.is_empty() { self.decided_by().to_owned() } else { rules.join(", ") });
        for part in self.detail.iter().chain(&self.message) {
            text.push_str("; ");
            text.push_str(part);
        }
        text
    }
}

/// A name as the client sent it, echoed up to 128 characters.
fn bounded(name: &str) -> String {
    name.chars().take(128).collect()
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

#[cfg(test)]
mod tests;
