//! Walking through Cedar expressions: what a condition reads. Knows Cedar's syntax tree, nothing of Doorward's requests.

use cedar_policy::pst::{BinaryOp, Clause, Expr, Var};

/// The attribute of the context that holds the arguments of a call.
pub(super) const ARGUMENTS: &str = "arguments";
/// The attribute that holds the time.
pub(super) const NOW: &str = "now";
/// The attribute that holds the address at the other end.
pub(super) const NETWORK: &str = "network";
/// The attribute that holds what the client was let see before.
pub(super) const SEEN: &str = "seen";

/// The expressions directly inside `expr`; `None` for a form that this code does not know.
pub(super) fn children(expr: &Expr) -> Option<Vec<&Expr>> {
    Some(match expr {
        Expr::Literal(_) | Expr::Var(_) => Vec::new(),
        Expr::UnaryOp { expr, .. } | Expr::GetAttr { expr, .. } | Expr::HasAttr { expr, .. } | Expr::Like { expr, .. } => vec![expr],
        Expr::Is { expr, in_expr, .. } => std::iter::once(expr.as_ref()).chain(in_expr.as_deref()).collect(),
        Expr::BinaryOp { left, right, .. } => vec![left, right],
        Expr::IfThenElse { cond, then_expr, else_expr } => vec![cond, then_expr, else_expr],
        Expr::Set(items) => items.iter().map(AsRef::as_ref).collect(),
        Expr::Record(members) => members.values().map(AsRef::as_ref).collect(),
        _ => return None,
    })
}

/// The expression of a clause.
pub(super) const fn body(clause: &Clause) -> &std::sync::Arc<Expr> {
    match clause {
        Clause::When(expr) | Clause::Unless(expr) => expr,
    }
}

/// True when `expr` may read this attribute of the context: directly, or through the bare context. An unknown form may.
pub(super) fn reads_context(expr: &Expr, name: &str) -> bool {
    match expr {
        Expr::Var(Var::Context) => true,
        Expr::GetAttr { expr: inner, attr } if is_context(inner) => attr == name,
        Expr::HasAttr { expr: inner, attrs } if is_context(inner) => attrs.head == name,
        _ => children(expr).is_none_or(|inner| inner.into_iter().any(|inner| reads_context(inner, name))),
    }
}

/// True when `expr` looks at the resource beyond the scope of the policy. An unknown form may.
pub(super) fn reads_resource(expr: &Expr) -> bool {
    matches!(expr, Expr::Var(Var::Resource)) || children(expr).is_none_or(|inner| inner.into_iter().any(reads_resource))
}

/// True for the variable `context`.
pub(super) const fn is_context(expr: &Expr) -> bool {
    matches!(expr, Expr::Var(Var::Context))
}

/// The operands of a chain of the same logical operator, from left to right.
pub(super) fn operands(expr: &std::sync::Arc<Expr>, chain: BinaryOp) -> Vec<std::sync::Arc<Expr>> {
    match expr.as_ref() {
        Expr::BinaryOp { op, left, right } if *op == chain => {
            let mut all = operands(left, chain);
            all.extend(operands(right, chain));
            all
        }
        _ => vec![std::sync::Arc::clone(expr)],
    }
}
