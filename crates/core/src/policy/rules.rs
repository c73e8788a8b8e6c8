//! Cedar policies, read and checked once. Must not know callers.
//!
//! A set that has one fault does not exist: [`Rules::load`] gives all faults instead. An empty set refuses everything.

use super::arguments::Shape;
use super::load;
use super::memory::Memory;
use super::permit::Obligation;
use super::request::Kinds;
use super::schema::BUILTIN;
use super::slices::{Action, Slices};
use crate::id::{RuleId, SeenLabel};
use cedar_policy::{Authorizer, Effect, EntityUid, Policy};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

/// One file of policies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// How messages call it: its path.
    pub name: String,
    /// Its content.
    pub text: String,
}

/// Why policies were not loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyError {
    /// The file, as [`Source::name`] has it.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

/// A checked set of rules.
pub struct Rules {
    pub(super) rules: Vec<Rule>,
    pub(super) by_id: HashMap<String, usize>,
    pub(super) slices: Slices,
    pub(super) kinds: Kinds,
    pub(super) authorizer: Authorizer,
    pub(super) memory: Memory,
    /// Some rule tells resources of a server apart.
    pub(super) tells_resources_apart: bool,
    /// Some rule asks what was seen before.
    pub(super) asks_what_was_seen: bool,
    pub(super) version: Arc<str>,
}

/// One rule.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) id: RuleId,
    pub(super) effect: Effect,
    pub(super) file: Arc<str>,
    pub(super) line: usize,
    pub(super) message: Option<String>,
    pub(super) obligations: Vec<Obligation>,
    /// As written.
    pub(super) policy: Policy,
    /// For lists, without what reads arguments or what was seen; `None` for a forbid that reads them.
    pub(super) listing: Option<Policy>,
    /// For what goes on with arguments of before: without what reads arguments.
    pub(super) later: Option<Policy>,
    /// What whoever it permits is let see: `@seen`.
    pub(super) shows: Vec<SeenLabel>,
    /// The arguments it reads, if any.
    pub(super) shape: Option<Shape>,
    pub(super) reads: Reads,
    pub(super) actions: Vec<Action>,
    /// The user or group that its scope names.
    pub(super) principal: Option<EntityUid>,
    /// The tool, resource, prompt, server or risk that its scope names.
    pub(super) resource: Option<EntityUid>,
}

/// What the conditions of a rule, or of several, may look at besides the caller and the arguments.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Reads {
    /// Attributes of the resource.
    pub(super) resource: bool,
    /// The time.
    pub(super) now: bool,
    /// The address.
    pub(super) network: bool,
    /// What was seen before.
    pub(super) seen: bool,
}

/// The built-in policy of laptop mode.
const LAPTOP: &str = include_str!("laptop.cedar");

// === impl Reads ===

impl Reads {
    /// What this or the other looks at.
    pub(super) const fn or(self, other: Self) -> Self {
        Self {
            resource: self.resource || other.resource,
            now: self.now || other.now,
            network: self.network || other.network,
            seen: self.seen || other.seen,
        }
    }
}

// === impl Rules ===

impl Rules {
    /// Reads and validates policies. `schema` is an administrator's own schema, which the policies must fit besides the
    /// built-in one (for example to enumerate the groups that exist).
    ///
    /// # Errors
    /// All faults of all files: syntax, types, a missing or repeated `@id`, unknown annotations, templates.
    pub fn load(sources: &[Source], schema: Option<&str>) -> Result<Self, Vec<PolicyError>> {
        load::load(sources, schema)
    }

    /// The built-in policy of laptop mode.
    ///
    /// # Errors
    /// None in a build whose tests passed.
    pub fn laptop() -> Result<Self, Vec<PolicyError>> {
        Self::load(&[Source { name: "laptop.cedar (built in)".to_owned(), text: LAPTOP.to_owned() }], None)
    }

    /// The text of the built-in policy, with its explanations.
    #[must_use]
    pub const fn laptop_text() -> &'static str {
        LAPTOP
    }

    /// The built-in schema in Cedar's notation.
    #[must_use]
    pub const fn schema_text() -> &'static str {
        BUILTIN
    }

    /// Short digest of all texts that decide: 16 hexadecimal digits. Belongs into the key of every cached decision, and
    /// into audit records.
    #[must_use]
    pub fn version(&self) -> Arc<str> {
        Arc::clone(&self.version)
    }

    /// How many rules there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// True when everything is refused.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The ids of all rules, in the order of the files.
    pub fn ids(&self) -> impl Iterator<Item = &RuleId> {
        self.rules.iter().map(|rule| &rule.id)
    }
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rules").field("version", &self.version).field("rules", &self.rules.len()).finish_non_exhaustive()
    }
}

// === impl PolicyError ===

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file, self.line, self.column, self.message)?;
        self.help.as_ref().map_or(Ok(()), |help| write!(f, "\n  help: {help}"))
    }
}

impl std::error::Error for PolicyError {}

#[cfg(test)]
mod tests;
