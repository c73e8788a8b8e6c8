//! Which rules can concern a request at all, found by their scopes, so that the cost of a decision does not grow with the
//! number of rules. Must not know conditions.
//!
//! A rule stands in one bucket per action it applies to, under the principal and the resource that its scope names, or
//! under none. A request looks into the buckets of its principal and groups times those of its resource, server and risk;
//! Cedar then tests the scopes again, so a wrong bucket could only hide a rule, and the property test compares with all rules.

use super::rules::{Reads, Rule};
use cedar_policy::{EntityUid, PolicySet, PolicySetError};
use std::collections::HashMap;

/// What a request does, in the words of the schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Action {
    /// `tools/call`
    Call,
    /// Resources.
    Read,
    /// Prompts.
    Prompt,
    /// The server as such.
    Use,
}

/// Rules with the same scope.
#[derive(Debug)]
pub(super) struct Bucket {
    /// As written.
    pub(super) call: PolicySet,
    /// For lists, without what reads arguments or what was seen.
    pub(super) listing: PolicySet,
    /// For what goes on, without what reads arguments.
    pub(super) later: PolicySet,
    /// Positions in the list of rules.
    pub(super) members: Vec<usize>,
    /// Those that read arguments.
    pub(super) readers: Vec<usize>,
    /// What one of them looks at.
    pub(super) reads: Reads,
}

type ByResource = HashMap<Option<EntityUid>, Bucket>;

/// All buckets.
#[derive(Debug, Default)]
pub(super) struct Slices {
    call: HashMap<Option<EntityUid>, ByResource>,
    read: HashMap<Option<EntityUid>, ByResource>,
    prompt: HashMap<Option<EntityUid>, ByResource>,
    using: HashMap<Option<EntityUid>, ByResource>,
}

// === impl Slices ===

impl Slices {
    /// Sorts the rules into buckets.
    pub(super) fn new(rules: &[Rule]) -> Result<Self, PolicySetError> {
        let mut slices = Self::default();
        for (at, rule) in rules.iter().enumerate() {
            for action in &rule.actions {
                let by_resource = slices.table_mut(*action).entry(rule.principal.clone()).or_default();
                by_resource.entry(rule.resource.clone()).or_insert_with(Bucket::empty).add(at, rule)?;
            }
        }
        Ok(slices)
    }

    /// The buckets that can concern a request of one of `principals` (the user and their groups) on one of `resources`
    /// (the resource and what it is in). Each slice starts with `None`.
    pub(super) fn concerning<'a>(
        &'a self,
        action: Action,
        principals: &'a [Option<EntityUid>],
        resources: &'a [Option<EntityUid>],
    ) -> impl Iterator<Item = &'a Bucket> {
        let table = self.table(action);
        principals
            .iter()
            .filter_map(|principal| table.get(principal))
            .flat_map(|by_resource| resources.iter().filter_map(|resource| by_resource.get(resource)))
    }

    const fn table(&self, action: Action) -> &HashMap<Option<EntityUid>, ByResource> {
        match action {
            Action::Call => &self.call,
            Action::Read => &self.read,
            Action::Prompt => &self.prompt,
            Action::Use => &self.using,
        }
    }

    const fn table_mut(&mut self, action: Action) -> &mut HashMap<Option<EntityUid>, ByResource> {
        match action {
            Action::Call => &mut self.call,
            Action::Read => &mut self.read,
            Action::Prompt => &mut self.prompt,
            Action::Use => &mut self.using,
        }
    }
}

// === impl Bucket ===

impl Bucket {
    fn empty() -> Self {
        Self {
            call: PolicySet::new(),
            listing: PolicySet::new(),
            later: PolicySet::new(),
            members: Vec::new(),
            readers: Vec::new(),
            reads: Reads::default(),
        }
    }

    fn add(&mut self, at: usize, rule: &Rule) -> Result<(), PolicySetError> {
        self.call.add(rule.policy.clone())?;
        if let Some(listing) = rule.listing.as_ref() {
            self.listing.add(listing.clone())?;
        }
        if let Some(later) = rule.later.as_ref() {
            self.later.add(later.clone())?;
        }
        self.members.push(at);
        if rule.shape.is_some() {
            self.readers.push(at);
        }
        self.reads = self.reads.or(rule.reads);
        Ok(())
    }
}

// === impl Action ===

impl Action {
    /// Every action.
    pub(super) const ALL: [Self; 4] = [Self::Call, Self::Read, Self::Prompt, Self::Use];

    /// The name in policies.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Call => "call",
            Self::Read => "read",
            Self::Prompt => "prompt",
            Self::Use => "use",
        }
    }

    /// The action with exactly this name.
    pub(super) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.as_str() == text)
    }
}
