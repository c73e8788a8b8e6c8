//! A dry run of the decision from plain inputs, for `doorward policy explain` and for tests of policies. Proves nothing and
//! makes no witness; it asks through the same code as [`super::decide`].

use super::decide::Why;
use super::facts::RiskClass;
use super::judge::{Approval, Verdict, judge, obligations, shown};
use super::permit::Obligation;
use super::request::{Asker, View, What, Who, user_id};
use super::rules::{Rule, Rules};
use crate::id::{AgentLabel, ClientId, GroupName, RuleId, SeenLabel, ServerName, UserId};
use crate::identity::caller::Level;
use crate::json::RawJson;
use crate::mcp::version::Era;
use crate::time::Timestamp;
use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

/// Who would ask what.
#[derive(Debug, Clone)]
pub struct Question {
    /// The user.
    pub user: UserId,
    /// Their groups.
    pub groups: Vec<GroupName>,
    /// The client.
    pub client: ClientId,
    /// The administrator's label for it.
    pub agent: Option<AgentLabel>,
    /// The clients through which it came to that one (RFC 8693).
    pub via: Vec<ClientId>,
    /// Whether the client proved its identity.
    pub client_verified: bool,
    /// How the caller would be authenticated.
    pub level: Level,
    /// What the credential was granted.
    pub granted: BTreeSet<String>,
    /// The server.
    pub server: ServerName,
    /// What is addressed.
    pub subject: Subject,
    /// The arguments; `None` asks as a call without arguments.
    pub arguments: Option<RawJson>,
    /// In which era the client speaks.
    pub era: Era,
    /// The address at the other end.
    pub peer: IpAddr,
    /// The time of the decision.
    pub now: Timestamp,
    /// What the caller was let see before.
    pub seen: BTreeSet<SeenLabel>,
    /// The obligations that this installation fulfils.
    pub able: Vec<Obligation>,
}

/// What a question is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// Calling a tool whose definition is approved.
    Tool { name: String, class: RiskClass },
    /// Calling a tool whose definition is not the approved one.
    QuarantinedTool { name: String, class: RiskClass },
    /// Reading a resource.
    Resource { uri: String },
    /// Getting a prompt.
    Prompt { name: String },
    /// Using the server at all.
    Server,
}

/// What `decide` would say, and why.
#[derive(Debug, Clone)]
pub struct Explanation {
    /// `None` if it would be allowed.
    pub denied: Option<Why>,
    /// The determining rules.
    pub rules: Vec<Cited>,
    /// Rules that would allow it if no forbid held. Empty unless a forbid decided.
    pub otherwise: Vec<Cited>,
    /// The scope that the credential lacks.
    pub missing: Option<String>,
    /// What must happen besides.
    pub obligations: Vec<Obligation>,
    /// What the caller is let see by it, and remembered to have seen.
    pub shows: BTreeSet<SeenLabel>,
    /// What went wrong: rules that could not be evaluated, an argument of the wrong type.
    pub faults: Vec<String>,
    /// The facts that were used, one line each.
    pub facts: Vec<String>,
    /// How many rules were looked at, of all.
    pub evaluated: usize,
}

/// A rule and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cited {
    /// `@id`.
    pub id: RuleId,
    /// The file.
    pub file: Arc<str>,
    /// The line on which it starts, from 1.
    pub line: usize,
    /// `@message`.
    pub message: Option<String>,
}

/// Answers a question without asking it in earnest.
#[must_use]
pub fn explain(rules: &Rules, question: &Question) -> Explanation {
    let asker = Asker::new(rules, question.who());
    let (what, approval) = question.subject.what();
    let view = View::Call(question.arguments.as_ref());
    let Verdict { why, ruling, missing, .. } = judge(&asker, what, view, approval, &question.able);
    let cite = |positions: &[usize]| positions.iter().filter_map(|at| rules.rules.get(*at)).map(Cited::from).collect::<Vec<_>>();
    let reader: Vec<usize> = ruling.misfit.iter().map(|(at, _)| *at).collect();
    let determining = match why {
        None | Some(Why::ApprovalUnavailable | Why::ObligationUnavailable | Why::NotGranted | Why::Quarantined) => &ruling.permits,
        Some(Why::ArgumentType) => &reader,
        Some(_) => &ruling.forbids,
    };
    let misfit = ruling.misfit.iter().map(|(_, misfit)| format!("the argument {} must be {}", misfit.path, misfit.expected));
    Explanation {
        denied: why,
        rules: cite(determining),
        otherwise: if ruling.forbids.is_empty() { Vec::new() } else { cite(&asker.otherwise(what, view)) },
        missing,
        obligations: obligations(&asker, &ruling),
        shows: if why.is_none() { shown(&asker, &ruling) } else { BTreeSet::new() },
        faults: ruling.faults.iter().cloned().chain(misfit).collect(),
        facts: question.facts(what),
        evaluated: ruling.evaluated,
    }
}

// === impl Question ===

impl Question {
    fn who(&self) -> Who<'_> {
        Who {
            user: &self.user,
            groups: &self.groups,
            client: self.client.as_str(),
            via: &self.via,
            agent: self.agent.as_ref().map(AgentLabel::as_str),
            level: self.level,
            granted: &self.granted,
            verified: self.client_verified,
            server: &self.server,
            era: self.era,
            peer: self.peer,
            now: self.now,
            seen: &self.seen,
        }
    }

    fn facts(&self, what: What<'_>) -> Vec<String> {
        let list = |items: Vec<&str>| if items.is_empty() { "none".to_owned() } else { items.join(", ") };
        let verified = self.client_verified && self.level != Level::StaticKey;
        let agent = self.agent.as_ref().map_or_else(String::new, |agent| format!(", agent {agent}"));
        let mut lines = vec![
            format!("principal User::\"{}\"", user_id(&self.user).escape_debug()),
            format!("groups {}", list(self.groups.iter().map(GroupName::as_str).collect())),
            format!("client {} ({}){agent}", self.client, if verified { "verified" } else { "not verified" }),
            format!("level {}", self.level.as_str()),
            format!("granted {}", list(self.granted.iter().map(String::as_str).collect())),
        ];
        if !self.via.is_empty() {
            lines.push(format!("via {}", list(self.via.iter().map(ClientId::as_str).collect())));
        }
        lines.extend(self.who().needed(what).map(|scope| format!("needs {scope}")));
        if !self.seen.is_empty() {
            lines.push(format!("seen {}", list(self.seen.iter().map(SeenLabel::as_str).collect())));
        }
        lines.push(format!("peer {} at {}", self.peer.to_canonical(), self.now));
        lines
    }
}

impl Subject {
    fn what(&self) -> (What<'_>, Approval) {
        match self {
            Self::Tool { name, class } => (What::Tool { name, class: *class }, Approval::Stands),
            Self::QuarantinedTool { name, class } => (What::Tool { name, class: *class }, Approval::Lacking),
            Self::Resource { uri } => (What::Resource { uri }, Approval::Stands),
            Self::Prompt { name } => (What::Prompt { name }, Approval::Stands),
            Self::Server => (What::Server, Approval::Stands),
        }
    }
}

// === impl Cited ===

impl From<&Rule> for Cited {
    fn from(rule: &Rule) -> Self {
        Self { id: rule.id.clone(), file: Arc::clone(&rule.file), line: rule.line, message: rule.message.clone() }
    }
}

impl fmt::Display for Cited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}  {}:{}", self.id, self.file, self.line)?;
        self.message.as_ref().map_or(Ok(()), |message| write!(f, "  {message:?}"))
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.denied.is_some() { "DENY" } else { "ALLOW" };
        match (self.rules.as_slice(), self.denied) {
            ([], Some(why)) => writeln!(f, "{word}   {}", why.reason())?,
            ([], None) => writeln!(f, "{word}")?,
            (rules, _) => rules.iter().try_for_each(|rule| writeln!(f, "{word}   {rule}"))?,
        }
        if let Some(why) = self.denied.filter(|_| !self.rules.is_empty()) {
            writeln!(f, "  because  {}", why.reason())?;
        }
        for rule in &self.otherwise {
            writeln!(f, "  would otherwise be allowed by  {} ({}:{})", rule.id, rule.file, rule.line)?;
        }
        if let Some(scope) = &self.missing {
            writeln!(f, "  the credential was not granted  {scope}")?;
        }
        if !self.obligations.is_empty() {
            let names: Vec<&str> = self.obligations.iter().map(|obligation| obligation.as_str()).collect();
            writeln!(f, "  obligations  {}", names.join(", "))?;
        }
        if !self.shows.is_empty() {
            let labels: Vec<&str> = self.shows.iter().map(SeenLabel::as_str).collect();
            writeln!(f, "  lets see  {}", labels.join(", "))?;
        }
        self.faults.iter().try_for_each(|fault| writeln!(f, "  fault  {fault}"))?;
        self.facts.iter().try_for_each(|line| writeln!(f, "  {line}"))
    }
}

#[cfg(test)]
mod tests;
