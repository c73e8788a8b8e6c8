//! The witness that a call was allowed. It owns caller and call, so neither can be swapped afterwards.
//!
//! Only [`super::decide::decide`] makes one. It cannot be forged:
//!
//! ```compile_fail
//! use doorward_core::{mcp::call::Call, policy::permit::Permit, session::Bound};
//! use std::collections::BTreeSet;
//! fn forge(bound: Bound, call: Call) -> Permit {
//!     Permit { bound, call, rules: Vec::new(), obligations: Vec::new(), flags: Vec::new(), shows: BTreeSet::new(), tool: None }
//! }
//! ```
//!
//! It is made by deciding:
//!
//! ```
//! use doorward_core::{mcp::call::Call, policy::permit::Permit, session::Bound};
//! use doorward_core::policy::{decide::{decide, Denied}, facts::Facts, rules::Rules};
//! fn ask(rules: &Rules, facts: &Facts, bound: Bound, call: Call) -> Result<Permit, Denied> {
//!     decide(rules, facts, bound, call)
//! }
//! ```
//!
//! The call inside cannot be swapped:
//!
//! ```compile_fail
//! use doorward_core::{mcp::call::Call, policy::permit::Permit};
//! fn swap(mut permit: Permit, other: Call) -> Permit {
//!     permit.call = other;
//!     permit
//! }
//! ```
//!
//! It can be read:
//!
//! ```
//! use doorward_core::{mcp::call::Call, policy::permit::Permit};
//! fn read(permit: &Permit) -> &Call {
//!     let call = permit.call();
//!     call
//! }
//! ```
//!
//! What has been decided cannot be decided or used a second time:
//!
//! ```compile_fail
//! use doorward_core::{mcp::call::Call, session::Bound};
//! use doorward_core::policy::{decide::decide, facts::Facts, rules::Rules};
//! fn twice(rules: &Rules, facts: &Facts, bound: Bound, call: Call) -> [u8; 32] {
//!     let _permit = decide(rules, facts, bound, call);
//!     *call.digest()
//! }
//! ```
//!
//! Before the decision the call is still there:
//!
//! ```
//! use doorward_core::{mcp::call::Call, session::Bound};
//! use doorward_core::policy::{decide::decide, facts::Facts, rules::Rules};
//! fn once(rules: &Rules, facts: &Facts, bound: Bound, call: Call) -> [u8; 32] {
//!     let digest = *call.digest();
//!     let _permit = decide(rules, facts, bound, call);
//!     digest
//! }
//! ```

use super::facts::RiskClass;
use crate::flag::Flag;
use crate::id::{RuleId, SeenLabel, ToolName};
use crate::mcp::call::Call;
use crate::session::Bound;
use std::collections::BTreeSet;

/// This caller may make exactly this call now. Only `decide` in this room makes one.
#[derive(Debug)]
pub struct Permit {
    pub(super) bound: Bound,
    pub(super) call: Call,
    pub(super) rules: Vec<RuleId>,
    pub(super) obligations: Vec<Obligation>,
    pub(super) flags: Vec<Flag>,
    pub(super) shows: BTreeSet<SeenLabel>,
    pub(super) tool: Option<(ToolName, RiskClass)>,
}

/// What must happen besides, named by `@obligation` of a determining permit. Every determining permit's obligations count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Obligation {
    /// A person approves exactly this call.
    Approve,
    /// An external screen looks at it.
    Screen,
    /// Findings in the reply are redacted.
    Redact,
}

#[cfg(test)]
impl Permit {
    /// A permit that nobody decided.
    pub(crate) fn for_tests(bound: Bound, call: Call, rules: Vec<RuleId>) -> Self {
        Self { bound, call, rules, obligations: Vec::new(), flags: Vec::new(), shows: BTreeSet::new(), tool: None }
    }
}

impl Permit {
    /// Who, where.
    #[must_use]
    pub const fn bound(&self) -> &Bound {
        &self.bound
    }

    /// What.
    #[must_use]
    pub const fn call(&self) -> &Call {
        &self.call
    }

    /// The determining rules, in the order of the files. Never empty.
    #[must_use]
    pub fn rules(&self) -> &[RuleId] {
        &self.rules
    }

    /// What was seen in the arguments and may pass, as the server is configured. For the record.
    #[must_use]
    pub fn flags(&self) -> &[Flag] {
        &self.flags
    }

    /// What the caller is let see by this, in the words of the rules: to be remembered before anything is read (POL-05).
    #[must_use]
    pub const fn shows(&self) -> &BTreeSet<SeenLabel> {
        &self.shows
    }

    /// The tool that runs, with the class that was approved; of a request about a task that of the task. `None` for what runs no tool.
    #[must_use]
    pub fn tool(&self) -> Option<(&ToolName, RiskClass)> {
        self.tool.as_ref().map(|(name, class)| (name, *class))
    }

    /// What must happen besides; only obligations that [`super::facts::Facts::able`] names, each once.
    #[must_use]
    pub fn obligations(&self) -> &[Obligation] {
        &self.obligations
    }
}

// === impl Obligation ===

impl Obligation {
    /// Every obligation.
    pub const ALL: [Self; 3] = [Self::Approve, Self::Screen, Self::Redact];

    /// The name in `@obligation` and in audit records.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Screen => "screen",
            Self::Redact => "redact",
        }
    }

    /// The obligation with exactly this name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|obligation| obligation.as_str() == text)
    }
}
