//! What a rule says where a part of the context is not known. Must not know requests.
//!
//! A permit keeps the conjuncts that do not read that part; a forbid that reads it says nothing. Each change can only show
//! more, never less: what is callable with some arguments is listed.

use super::expr::{body, operands, reads_context};
use cedar_policy::pst::{BinaryOp, Clause, Effect, Expr, Template};

/// A rule without what reads the unknown.
#[derive(Debug)]
pub(super) enum Relaxed {
    /// The rule reads nothing of it.
    Same,
    /// These clauses remain of a permit.
    Clauses(Vec<Clause>),
    /// A forbid that reads it.
    Dropped,
}

/// The rule without what reads these attributes of the context.
pub(super) fn relax(rule: &Template, unknown: &[&str]) -> Relaxed {
    let reads = |expr: &Expr| unknown.iter().any(|name| reads_context(expr, name));
    if !rule.clauses().iter().any(|clause| reads(body(clause))) {
        return Relaxed::Same;
    }
    match rule.effect {
        Effect::Forbid => Relaxed::Dropped,
        Effect::Permit => Relaxed::Clauses(rule.clauses().iter().flat_map(|clause| without(clause, reads)).collect()),
    }
}

/// The clauses of a rule without the parts that read this attribute of the context: it then holds of more.
pub(super) fn narrowed(rule: &Template, unknown: &str) -> Vec<Clause> {
    rule.clauses().iter().flat_map(|clause| without(clause, |expr| reads_context(expr, unknown))).collect()
}

/// `when {a && b}` holds if both hold, `unless {a || b}` if neither does: each part can stand or go alone.
fn without(clause: &Clause, reads: impl Fn(&Expr) -> bool) -> Vec<Clause> {
    if !reads(body(clause)) {
        return vec![clause.clone()];
    }
    match clause {
        Clause::When(expr) => operands(expr, BinaryOp::And).into_iter().filter(|part| !reads(part)).map(Clause::When).collect(),
        Clause::Unless(expr) => operands(expr, BinaryOp::Or).into_iter().filter(|part| !reads(part)).map(Clause::Unless).collect(),
    }
}
