//! The witness that a call was allowed. It owns caller and call, so neither can be swapped afterwards.

use crate::id::RuleId;
use crate::mcp::call::Call;
use crate::session::Bound;

/// This caller may make exactly this call now. Only `decide` in this room makes one.
#[derive(Debug)]
pub struct Permit {
    pub(super) bound: Bound,
    pub(super) call: Call,
    pub(super) rules: Vec<RuleId>,
}

#[cfg(test)]
impl Permit {
    /// A permit that nobody decided.
    pub(crate) const fn for_tests(bound: Bound, call: Call, rules: Vec<RuleId>) -> Self {
        Self { bound, call, rules }
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

    /// The determining rules.
    #[must_use]
    pub fn rules(&self) -> &[RuleId] {
        &self.rules
    }
}
