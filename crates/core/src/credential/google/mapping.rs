//! Level 4: who becomes which service account for which tool (credentials 9.9; attacks CLD-01 and CLD-06).
//!
//! Rows are data: every condition of a row has to hold, a list means any of it, and the first row that fits decides. None fits: nobody
//! becomes anybody. A row that is switched off and fits is an error, never a reason to look at the next one. Nothing that a client says
//! of itself is a condition, and no account comes from anywhere but the configuration.

use super::{Account, Lifetime, Scopes};
use crate::glob::Glob;
use crate::id::{AgentLabel, ClientId, GroupName, ToolName, UserId};
use crate::policy::facts::RiskClass;

/// Rows, in their order. Never none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    rows: Vec<Row>,
}

/// One row: conditions, and what they lead to. A list without members is no condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Which tools.
    pub tools: Vec<Tools>,
    /// Which people.
    pub users: Vec<UserId>,
    /// People of which groups.
    pub groups: Vec<GroupName>,
    /// By which clients.
    pub clients: Vec<ClientId>,
    /// By clients with which labels of the administrator.
    pub agents: Vec<AgentLabel>,
    /// Whom they become.
    pub grant: Grant,
    /// Whether anybody does.
    pub state: State,
    /// Whether Doorward itself looks, as this account, what tools there are.
    pub looks: Looks,
}

/// Tools of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tools {
    /// All of a class, as it was approved.
    Class(RiskClass),
    /// Those whose names fit.
    Named(Glob),
}

/// Whether a row is also for what nobody asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Looks {
    /// Only calls go as it.
    No,
    /// The catalogue is read as it, too, whoever its calls are for: the administrator wrote so.
    Yes,
}

/// Whether a row may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It may.
    Enabled,
    /// Whoever fits it is refused.
    Disabled,
}

/// An account, and how much of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Grant {
    /// The account to become.
    pub account: Account,
    /// What its token may be used for.
    pub scopes: Scopes,
    /// For how long.
    pub lifetime: Lifetime,
}

/// Who calls what.
#[derive(Debug, Clone, Copy)]
pub struct Calling<'a> {
    /// The person; nobody where the gateway itself asks what tools there are.
    pub user: Option<&'a UserId>,
    /// Their groups.
    pub groups: &'a [GroupName],
    /// By which client.
    pub client: Option<&'a ClientId>,
    /// What the administrator calls it.
    pub agent: Option<&'a AgentLabel>,
    /// The tool with the class that was approved; none for whatever calls no tool, which reads.
    pub tool: Option<(&'a ToolName, RiskClass)>,
}

/// Why nobody becomes anybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoGrant {
    /// No row fits.
    #[error("no row of the mapping fits")]
    NoRow,
    /// The row that fits, counted from 1, is switched off.
    #[error("row {0} of the mapping fits and is switched off")]
    Disabled(usize),
}

// === impl Mapping ===

impl Mapping {
    /// Rows in their order; `None` for none.
    #[must_use]
    pub fn new(rows: Vec<Row>) -> Option<Self> {
        (!rows.is_empty()).then_some(Self { rows })
    }

    /// What the first row that fits grants.
    ///
    /// # Errors
    /// [`NoGrant`].
    pub fn grant(&self, calling: &Calling<'_>) -> Result<&Grant, NoGrant> {
        let (at, row) = self.rows.iter().enumerate().find(|(_, row)| row.fits(calling)).ok_or(NoGrant::NoRow)?;
        match row.state {
            State::Enabled => Ok(&row.grant),
            State::Disabled => Err(NoGrant::Disabled(at + 1)),
        }
    }

    /// As whom the gateway itself looks what tools there are, for nobody: what the row says that is written for it; without one, what a
    /// caller without person, group, client and agent would be granted. A row for some people gives nobody anything (CLD-06).
    ///
    /// # Errors
    /// [`NoGrant`].
    pub fn upkeep(&self) -> Result<&Grant, NoGrant> {
        let nobody = Calling { user: None, groups: &[], client: None, agent: None, tool: None };
        match self.rows.iter().position(|row| row.looks == Looks::Yes).and_then(|at| Some((at, self.rows.get(at)?))) {
            Some((_, Row { state: State::Enabled, grant, .. })) => Ok(grant),
            Some((at, _)) => Err(NoGrant::Disabled(at + 1)),
            None => self.grant(&nobody),
        }
    }

    /// The rows.
    #[must_use]
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Whether some row leads to this account: one's own is no narrower one (9.9).
    #[must_use]
    pub fn leads_to(&self, account: &Account) -> bool {
        self.rows.iter().any(|row| row.grant.account == *account)
    }
}

impl Row {
    /// A row without conditions.
    #[must_use]
    pub fn for_all(grant: Grant) -> Self {
        let (tools, users, groups, clients, agents) = (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self { tools, users, groups, clients, agents, grant, state: State::Enabled, looks: Looks::No }
    }

    /// Whether all its conditions hold.
    #[must_use]
    pub fn fits(&self, calling: &Calling<'_>) -> bool {
        let user = self.users.is_empty() || calling.user.is_some_and(|user| self.users.contains(user));
        let groups = self.groups.is_empty() || calling.groups.iter().any(|group| self.groups.contains(group));
        let client = self.clients.is_empty() || calling.client.is_some_and(|client| self.clients.contains(client));
        let agent = self.agents.is_empty() || calling.agent.is_some_and(|agent| self.agents.contains(agent));
        let tools = self.tools.is_empty() || self.tools.iter().any(|tools| tools.mean(calling.tool));
        user && groups && client && agent && tools
    }
}

impl Tools {
    fn mean(&self, tool: Option<(&ToolName, RiskClass)>) -> bool {
        match (self, tool) {
            (Self::Class(class), Some((_, of))) => *class == of,
            // Lists, sessions, prompts and resources change nothing.
            (Self::Class(class), None) => *class == RiskClass::Read,
            (Self::Named(glob), Some((name, _))) => glob.matches(name.as_str()),
            (Self::Named(_), None) => false,
        }
    }
}

#[cfg(test)]
mod tests;
