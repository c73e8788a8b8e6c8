//! What is known about the thing addressed, apart from the call: the tool's class as approved and its definition's digest.
//!
//! Facts come from the administrator's approvals, never from what a server claims about itself (I9).

use super::permit::Obligation;
use crate::contract::{Measure, Promise};
use crate::id::{SeenLabel, ToolName};
use crate::screen::Screen;
use crate::time::Timestamp;
use std::collections::BTreeSet;
use std::net::IpAddr;

/// What `decide` needs to know besides caller and call.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The tool addressed, if the catalogue of this server has it. For a request about a task, the tool
    /// that the task runs. Ignored for everything else but `tools/call`.
    pub tool: Option<ToolFacts>,
    /// Whether the server's `visible_to` names this caller. A server that is not visible does not exist for them.
    pub visible: bool,
    /// Whether the client proved its identity by more than the credential (a checked client document, a key of its own).
    /// A static key never proves a client, whatever stands here.
    pub client_verified: bool,
    /// The address at the other end of the connection, after trusted proxies.
    pub peer: IpAddr,
    /// The obligations that this installation fulfils. A permit that carries another one is refused, never weakened.
    pub able: Vec<Obligation>,
    /// The time of the decision.
    pub now: Timestamp,
    /// What the caller was let see before. Looked up if a rule asks for it ([`super::decide::asks_what_was_seen`]).
    pub seen: BTreeSet<SeenLabel>,
    /// What the arguments are held against.
    pub checks: Checks,
}

/// What the arguments of one call are held against besides the rules, as its server is configured.
#[derive(Debug, Clone, Default)]
pub struct Checks {
    /// The approved definition of the tool that is called; absent where no tool is, and where nobody looks (RPC-12).
    pub schemas: Option<Promise>,
    /// When they hold a token of somebody else (PT-02).
    pub foreign_tokens: Measure,
    /// The rules of the screen, when they hold any credential (POL-04); absent where nobody looks.
    pub screen: Option<Screen>,
}

/// One tool of a server's catalogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolFacts {
    /// As its server names it.
    pub name: ToolName,
    /// The class that the administrator approved.
    pub class: RiskClass,
    /// True only if the definition that the server gives now is the approved one.
    pub approved: bool,
    /// [`canonical_digest`](crate::json::RawJson::canonical_digest) of the whole definition that the server gives now.
    pub digest: [u8; 32],
}

/// What a tool can do to the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RiskClass {
    /// Changes nothing.
    Read,
    /// Adds or changes.
    Write,
    /// May destroy.
    Destructive,
}

// === impl RiskClass ===

impl RiskClass {
    /// The name in policies and grants.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Destructive => "destructive",
        }
    }

    /// The class with exactly this name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Read, Self::Write, Self::Destructive].into_iter().find(|class| class.as_str() == text)
    }

    /// What a server claims in `annotations`: a suggestion to the administrator, never a fact.
    ///
    /// Absent hints have the defaults of MCP: not read-only, destructive.
    #[must_use]
    pub fn claimed(definition: &serde_json::Value) -> Self {
        let hint = |name| definition.get("annotations").and_then(|hints| hints.get(name)).and_then(serde_json::Value::as_bool);
        match (hint("readOnlyHint"), hint("destructiveHint")) {
            (Some(true), None | Some(false)) => Self::Read,
            (_, Some(false)) => Self::Write,
            _ => Self::Destructive,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn absent_and_contradicting_hints_count_as_destructive() {
        assert_eq!(RiskClass::claimed(&json!({})), RiskClass::Destructive);
        assert_eq!(RiskClass::claimed(&json!({"annotations": {"readOnlyHint": true}})), RiskClass::Read);
        assert_eq!(RiskClass::claimed(&json!({"annotations": {"destructiveHint": false}})), RiskClass::Write);
        let both = json!({"annotations": {"readOnlyHint": true, "destructiveHint": true}});
        assert_eq!(RiskClass::claimed(&both), RiskClass::Destructive);
        assert_eq!(RiskClass::parse("write"), Some(RiskClass::Write));
        assert_eq!(RiskClass::parse("Write"), None);
    }
}
