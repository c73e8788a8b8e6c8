//! The decision itself, over plain facts. `decide`, `filter`, `explain` and the tests of policies share it.

use super::decide::Why;
use super::permit::Obligation;
use super::request::{Alike, Asker, Grants, Ruling, View, What};
use super::rules::Rule;
use super::traversal::{has_dot_segments, is_plain_path};
use crate::id::SeenLabel;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Whether the tool's definition is the approved one. Resources and prompts have no definition to approve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Approval {
    Stands,
    Lacking,
}

/// What came out.
#[derive(Debug)]
pub(super) struct Verdict {
    /// `None` if it is allowed.
    pub(super) why: Option<Why>,
    /// The ruling that decided.
    pub(super) ruling: Arc<Ruling>,
    /// The scope that the credential lacks.
    pub(super) missing: Option<String>,
    /// Whether the caller may know that the thing exists.
    pub(super) known: Knowledge,
}

/// Whether a caller may know that a thing exists: only if some arguments, or one more scope, would make it theirs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Knowledge {
    Open,
    Hidden,
}

/// Decides one call. `able` are the obligations that can be fulfilled.
pub(super) fn judge(asker: &Asker<'_>, what: What<'_>, view: View<'_>, approval: Approval, able: &[Obligation]) -> Verdict {
    let missing = if asker.who().holds(what) { None } else { asker.who().needed(what) };
    if let What::Resource { uri } = what
        && is_ambiguous(asker, uri)
    {
        return Verdict { why: Some(Why::AmbiguousUri), ruling: Arc::default(), missing, known: Knowledge::Hidden };
    }
    let ruling = asker.ask(what, view, Grants::Held);
    if ruling.allows() && missing.is_none() && approval == Approval::Stands {
        let why = unavailable(asker, &ruling, able);
        return Verdict { why, ruling, missing, known: Knowledge::Open };
    }
    // Denied. What may be said depends on whether the caller may know of the thing at all.
    let listed = asker.ask(what, View::List, if missing.is_some() { Grants::WithNeeded } else { Grants::Held });
    if !listed.faults.is_empty() {
        return Verdict { why: Some(Why::Fault), ruling: listed, missing, known: Knowledge::Hidden };
    }
    if !listed.allows() {
        return Verdict { why: Some(Why::Policy), ruling: listed, missing, known: Knowledge::Hidden };
    }
    let deciding = if ruling.forbids.is_empty() { &listed.permits } else { &ruling.forbids };
    let by_seen = || deciding.iter().filter_map(|at| asker.rules().rules.get(*at)).any(|rule| rule.reads.seen);
    let why = if missing.is_some() {
        Why::NotGranted
    } else if approval == Approval::Lacking {
        Why::Quarantined
    } else if !ruling.faults.is_empty() {
        Why::Fault
    } else if ruling.misfit.is_some() {
        Why::ArgumentType
    } else if by_seen() {
        Why::Seen
    } else {
        Why::Arguments
    };
    Verdict { why: Some(why), ruling, missing, known: Knowledge::Open }
}

/// Whether `what` belongs into the caller's list: callable with some arguments. `alike` is that of the list.
pub(super) fn is_listed(asker: &Asker<'_>, what: What<'_>, able: &[Obligation], alike: &mut Alike) -> bool {
    if !asker.who().holds(what) {
        return false;
    }
    if let What::Resource { uri } = what
        && is_ambiguous(asker, uri)
    {
        return false;
    }
    let ruling = asker.ask_among(what, alike);
    if !ruling.allows() {
        return false;
    }
    let permits: Vec<_> = ruling.permits.iter().filter_map(|at| asker.rules().rules.get(*at)).collect();
    let barred = |obligations: &[Obligation]| obligations.iter().any(|obligation| !able.contains(obligation));
    // A permit that reads arguments, or what was seen, may not hold for the call; one that reads neither does.
    let holds = |rule: &Rule| rule.shape.is_none() && !rule.reads.seen;
    !permits.iter().any(|rule| holds(rule) && barred(&rule.obligations)) && !permits.iter().all(|rule| barred(&rule.obligations))
}

/// Every obligation of the determining permits, each once.
pub(super) fn obligations(asker: &Asker<'_>, ruling: &Ruling) -> Vec<Obligation> {
    let mut all: Vec<Obligation> =
        ruling.permits.iter().filter_map(|at| asker.rules().rules.get(*at)).flat_map(|rule| rule.obligations.iter().copied()).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// What whoever is permitted is let see, each once.
pub(super) fn shown(asker: &Asker<'_>, ruling: &Ruling) -> BTreeSet<SeenLabel> {
    ruling.permits.iter().filter_map(|at| asker.rules().rules.get(*at)).flat_map(|rule| rule.shows.iter().cloned()).collect()
}

fn unavailable(asker: &Asker<'_>, ruling: &Ruling, able: &[Obligation]) -> Option<Why> {
    let lacking: Vec<Obligation> = obligations(asker, ruling).into_iter().filter(|obligation| !able.contains(obligation)).collect();
    match lacking.as_slice() {
        [] => None,
        all if all.contains(&Obligation::Approve) => Some(Why::ApprovalUnavailable),
        _ => Some(Why::ObligationUnavailable),
    }
}

/// Dot segments never; where rules tell resources apart, no other second spelling either.
fn is_ambiguous(asker: &Asker<'_>, uri: &str) -> bool {
    has_dot_segments(uri) || (asker.rules().tells_resources_apart && !is_plain_path(uri))
}
