//! What a rule says about a list, where no arguments exist yet. Must not know requests.
//!
//! A permit keeps the conjuncts that do not read arguments; a forbid that reads arguments says nothing. Each change can
//! only show more, never less: what is callable with some arguments is listed.

use super::expr::{body, operands, reads_arguments};
use cedar_policy::pst::{BinaryOp, Clause, Effect, Template};

/// The list form of a rule.
#[derive(Debug)]
pub(super) enum Relaxed {
    /// The rule reads no arguments.
    Same,
    /// These clauses remain of a permit.
    Clauses(Vec<Clause>),
    /// A forbid on arguments.
    Dropped,
}

/// The list form of a rule.
pub(super) fn relax(rule: &Template) -> Relaxed {
    if !rule.clauses().iter().any(|clause| reads_arguments(body(clause))) {
        return Relaxed::Same;
    }
    match rule.effect {
        Effect::Forbid => Relaxed::Dropped,
        Effect::Permit => Relaxed::Clauses(rule.clauses().iter().flat_map(without_arguments).collect()),
    }
}

/// `when {a && b}` holds if both hold, `unless {a || b}` if neither does: each part can stand or go alone.
fn without_arguments(clause: &Clause) -> Vec<Clause> {
    if !reads_arguments(body(clause)) {
        return vec![clause.clone()];
    }
    match clause {
        Clause::When(expr) => operands(expr, BinaryOp::And).into_iter().filter(|part| !reads_arguments(part)).map(Clause::When).collect(),
        Clause::Unless(expr) => {
            operands(expr, BinaryOp::Or).into_iter().filter(|part| !reads_arguments(part)).map(Clause::Unless).collect()
        }
    }
}
