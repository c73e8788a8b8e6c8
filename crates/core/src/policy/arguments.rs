//! The arguments that a rule reads, typed by how it uses them, and a call's arguments fitted to these types.
//!
//! The types found here need not be trusted: Cedar's strict validator checks each rule against a schema made from them, and
//! only values that fit them reach Cedar. A rule that passed therefore cannot meet a value of another type.

use super::expr::{ARGUMENTS, body, children, is_context};
use super::traversal::is_plain_path;
use crate::json::alike;
use cedar_policy::RestrictedExpression;
use cedar_policy::pst::{BinaryOp, Clause, Expr, Literal, PatternElem, UnaryOp, Var};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The type of one argument, or of all of them: the root is a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Shape {
    /// Only asked whether it is there.
    Present,
    /// `true` or `false`.
    Bool,
    /// A whole number of 64 bits. `1.0`, `1e3` and larger numbers are not.
    Long,
    /// A text.
    Text(Reading),
    /// An array whose elements all have this type.
    Set(Box<Self>),
    /// An object; all members are optional, others are not looked at.
    Record(BTreeMap<String, Self>),
}

/// How a rule reads a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    /// Against texts without a slash.
    Plain,
    /// Against a text or pattern with a slash: the value must not name a place in two ways.
    Path,
}

/// Why the arguments of a rule have no types.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Untyped {
    /// `context` or `context.arguments` as a whole.
    #[error("the rule uses `{0}` as a whole; name the arguments that it reads")]
    Whole(&'static str),
    /// Nothing shows the type.
    #[error("the type of argument `{0}` cannot be told from its use; compare it with a literal")]
    Unclear(String),
    /// Two uses that disagree.
    #[error("argument `{0}` is used as two different types")]
    Conflict(String),
    /// A form of expression newer than this code.
    #[error("the rule uses a form of expression that is not supported")]
    Form,
}

/// An argument of a call does not have the type that a rule in force uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Misfit {
    /// Dotted path of the argument.
    pub(super) path: String,
    /// What the rule needs.
    pub(super) expected: &'static str,
}

struct Finder {
    root: BTreeMap<String, Shape>,
}

/// The arguments that `clauses` read; `None` if they read none.
pub(super) fn shape_of_clauses(clauses: &[Clause]) -> Result<Option<Shape>, Untyped> {
    let mut finder = Finder { root: BTreeMap::new() };
    for clause in clauses {
        finder.visit(body(clause), Some(&Shape::Bool))?;
    }
    Ok((!finder.root.is_empty()).then_some(Shape::Record(finder.root)))
}

// === impl Finder ===

impl Finder {
    /// Notes every argument in `expr`; `wanted` is the type that the surrounding expression needs here.
    fn visit(&mut self, expr: &Expr, wanted: Option<&Shape>) -> Result<(), Untyped> {
        if let Some(path) = argument_path(expr) {
            return match (path.as_slice(), wanted) {
                ([], _) => Err(Untyped::Whole("context.arguments")),
                (path, Some(shape)) => self.note(path, shape.clone()),
                (path, None) => Err(Untyped::Unclear(path.join("."))),
            };
        }
        match expr {
            Expr::Var(Var::Context) => Err(Untyped::Whole("context")),
            Expr::GetAttr { expr: inner, .. } if is_context(inner) => Ok(()),
            Expr::HasAttr { expr: inner, attrs } => self.presence(inner, &attrs.iter().map(ToString::to_string).collect::<Vec<_>>()),
            Expr::UnaryOp { op, expr: inner } => {
                let wanted = match op {
                    UnaryOp::Not => Some(Shape::Bool),
                    UnaryOp::Neg => Some(Shape::Long),
                    UnaryOp::IsEmpty => Some(Shape::Set(Box::new(Shape::Present))),
                    _ => None,
                };
                self.visit(inner, wanted.as_ref())
            }
            Expr::BinaryOp { op, left, right } => self.binary(*op, left, right),
            Expr::Like { expr: inner, pattern } => {
                let slash = pattern.iter().any(|part| matches!(part, PatternElem::Char('/' | '\\')));
                self.visit(inner, Some(&Shape::Text(if slash { Reading::Path } else { Reading::Plain })))
            }
            Expr::IfThenElse { cond, then_expr, else_expr } => {
                self.visit(cond, Some(&Shape::Bool))?;
                self.visit(then_expr, wanted)?;
                self.visit(else_expr, wanted)
            }
            Expr::Set(items) => {
                let inner = match wanted {
                    Some(Shape::Set(inner)) => Some(inner.as_ref()),
                    _ => None,
                };
                items.iter().try_for_each(|item| self.visit(item, inner))
            }
            other => children(other).ok_or(Untyped::Form)?.into_iter().try_for_each(|inner| self.visit(inner, None)),
        }
    }

    fn presence(&mut self, inner: &Expr, attrs: &[String]) -> Result<(), Untyped> {
        let path = match argument_path(inner) {
            Some(path) => path.into_iter().chain(attrs.iter().cloned()).collect::<Vec<_>>(),
            None if is_context(inner) => match attrs {
                [first, rest @ ..] if first == ARGUMENTS => rest.to_vec(),
                _ => return Ok(()),
            },
            None => return self.visit(inner, None),
        };
        if path.is_empty() { Err(Untyped::Whole("context.arguments")) } else { self.note(&path, Shape::Present) }
    }

    fn binary(&mut self, op: BinaryOp, left: &Expr, right: &Expr) -> Result<(), Untyped> {
        let set_of = |shape: Option<Shape>| shape.map(|inner| Shape::Set(Box::new(inner)));
        let (for_left, for_right) = match op {
            BinaryOp::And | BinaryOp::Or => (Some(Shape::Bool), Some(Shape::Bool)),
            BinaryOp::Less | BinaryOp::LessEq | BinaryOp::Greater | BinaryOp::GreaterEq | BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul => {
                (Some(Shape::Long), Some(Shape::Long))
            }
            BinaryOp::Eq | BinaryOp::NotEq | BinaryOp::ContainsAll | BinaryOp::ContainsAny => (shown(right), shown(left)),
            BinaryOp::Contains => {
                let element = match shown(left) {
                    Some(Shape::Set(inner)) => Some(*inner),
                    _ => None,
                };
                (set_of(shown(right)), element)
            }
            _ => (None, None),
        };
        self.visit(left, for_left.as_ref())?;
        self.visit(right, for_right.as_ref())
    }

    fn note(&mut self, path: &[String], shape: Shape) -> Result<(), Untyped> {
        let nested = path.iter().rev().fold(shape, |inner, name| Shape::Record(BTreeMap::from([(name.clone(), inner)])));
        let Shape::Record(members) = nested else { return Err(Untyped::Whole("context.arguments")) };
        for (name, shape) in members {
            let merged = match self.root.remove(&name) {
                Some(before) => before.and(shape).ok_or_else(|| Untyped::Conflict(path.join(".")))?,
                None => shape,
            };
            self.root.insert(name, merged);
        }
        Ok(())
    }
}

/// `context.arguments.a.b` as `[a, b]`.
fn argument_path(expr: &Expr) -> Option<Vec<String>> {
    let Expr::GetAttr { expr: inner, attr } = expr else { return None };
    if is_context(inner) {
        return (attr == ARGUMENTS).then(Vec::new);
    }
    let mut path = argument_path(inner)?;
    path.push(attr.to_string());
    Some(path)
}

/// The type that an expression shows by itself. A wrong guess is found by the validator.
fn shown(expr: &Expr) -> Option<Shape> {
    match expr {
        Expr::Literal(Literal::Bool(_)) => Some(Shape::Bool),
        Expr::Literal(Literal::Long(_)) => Some(Shape::Long),
        Expr::Literal(Literal::String(text)) => Some(Shape::Text(if text.contains(['/', '\\']) { Reading::Path } else { Reading::Plain })),
        Expr::Set(items) => {
            let mut all = items.iter().map(|item| shown(item));
            let first = all.next()??;
            all.try_fold(first, |shape, next| shape.and(next?)).map(|shape| Shape::Set(Box::new(shape)))
        }
        Expr::UnaryOp { op: UnaryOp::Not, .. } | Expr::Like { .. } | Expr::HasAttr { .. } | Expr::Is { .. } => Some(Shape::Bool),
        Expr::UnaryOp { op: UnaryOp::Neg, .. } => Some(Shape::Long),
        Expr::BinaryOp { op: BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul, .. } => Some(Shape::Long),
        Expr::GetAttr { expr: inner, attr } => known_attribute(inner, attr),
        _ => None,
    }
}

/// Attributes of the built-in schema.
fn known_attribute(of: &Expr, attr: &str) -> Option<Shape> {
    match (of, attr) {
        (Expr::Var(Var::Context), "granted") => Some(Shape::Set(Box::new(Shape::Text(Reading::Plain)))),
        (Expr::Var(Var::Context), "level" | "needs") | (Expr::Var(Var::Resource), "name") => Some(Shape::Text(Reading::Plain)),
        (Expr::Var(Var::Principal), "subject" | "issuer") => Some(Shape::Text(Reading::Plain)),
        (Expr::GetAttr { expr, attr: part }, "id" | "agent") if is_context(expr) && part == "client" => Some(Shape::Text(Reading::Plain)),
        (Expr::GetAttr { expr, attr: part }, "via") if is_context(expr) && part == "client" => {
            Some(Shape::Set(Box::new(Shape::Text(Reading::Plain))))
        }
        (Expr::GetAttr { expr, attr: part }, "verified") if is_context(expr) && part == "client" => Some(Shape::Bool),
        (Expr::GetAttr { expr, attr: part }, "era") if is_context(expr) && part == "session" => Some(Shape::Text(Reading::Plain)),
        _ => None,
    }
}

// === impl Shape ===

impl Shape {
    /// The type that satisfies both uses, if there is one.
    pub(super) fn and(self, other: Self) -> Option<Self> {
        Some(match (self, other) {
            (Self::Present, shape) | (shape, Self::Present) => shape,
            (Self::Bool, Self::Bool) => Self::Bool,
            (Self::Long, Self::Long) => Self::Long,
            (Self::Text(a), Self::Text(b)) => Self::Text(if a == b { a } else { Reading::Path }),
            (Self::Set(a), Self::Set(b)) => Self::Set(Box::new(a.and(*b)?)),
            (Self::Record(mut a), Self::Record(b)) => {
                for (name, shape) in b {
                    let merged = match a.remove(&name) {
                        Some(before) => before.and(shape)?,
                        None => shape,
                    };
                    a.insert(name, merged);
                }
                Self::Record(a)
            }
            _ => return None,
        })
    }

    /// The type in Cedar's JSON schema. What is only asked for is a Bool: its value is never read.
    pub(super) fn to_schema(&self) -> Value {
        match self {
            Self::Present | Self::Bool => json!({"type": "Boolean"}),
            Self::Long => json!({"type": "Long"}),
            Self::Text(_) => json!({"type": "String"}),
            Self::Set(inner) => json!({"type": "Set", "element": inner.to_schema()}),
            Self::Record(members) => {
                let attributes: serde_json::Map<String, Value> = members
                    .iter()
                    .map(|(name, shape)| {
                        let mut schema = shape.to_schema();
                        if let Some(object) = schema.as_object_mut() {
                            object.insert("required".to_owned(), Value::Bool(false));
                        }
                        (name.clone(), schema)
                    })
                    .collect();
                json!({"type": "Record", "attributes": attributes})
            }
        }
    }

    /// The part of `value` that has this type, for Cedar. Members that no rule reads are left out.
    ///
    /// # Errors
    /// [`Misfit`] for a present argument of another type: null, a fraction, a number beyond 64 bits, an array of mixed
    /// elements, or a text that is read as a path and names a place in two ways; and for a member that only differs in
    /// case from one that is read, since a server that folds case would use what no rule has seen.
    pub(super) fn fit(&self, value: &Value, path: &mut Vec<String>) -> Result<RestrictedExpression, Misfit> {
        let misfit = |expected, path: &[String]| Misfit { path: path.join("."), expected };
        match (self, value) {
            (Self::Present, _) => Ok(RestrictedExpression::new_bool(true)),
            (Self::Bool, Value::Bool(truth)) => Ok(RestrictedExpression::new_bool(*truth)),
            (Self::Long, Value::Number(number)) => {
                number.as_i64().map(RestrictedExpression::new_long).ok_or_else(|| misfit("a whole number", path))
            }
            (Self::Text(Reading::Path), Value::String(text)) if !is_plain_path(text) => {
                Err(misfit("a path without dot segments, empty segments, encoded or look-alike separators", path))
            }
            (Self::Text(_), Value::String(text)) => Ok(RestrictedExpression::new_string(text.clone())),
            (Self::Set(inner), Value::Array(items)) => {
                let fitted: Result<Vec<_>, _> = items.iter().map(|item| inner.fit(item, path)).collect();
                Ok(RestrictedExpression::new_set(fitted?))
            }
            (Self::Record(members), Value::Object(object)) => {
                let read = |key: &str| members.keys().find(|name| alike(name, key));
                let unread = object.keys().filter(|key| !members.contains_key(*key));
                if let Some(name) = unread.filter_map(|key| read(key)).next() {
                    path.push(name.clone());
                    return Err(misfit("spelled exactly so", path));
                }
                let mut fitted = Vec::with_capacity(members.len());
                for (name, shape) in members {
                    if let Some(value) = object.get(name) {
                        path.push(name.clone());
                        fitted.push((name.clone(), shape.fit(value, path)?));
                        path.pop();
                    }
                }
                RestrictedExpression::new_record(fitted).map_err(|_| misfit("an object", path))
            }
            (Self::Bool, _) => Err(misfit("true or false", path)),
            (Self::Long, _) => Err(misfit("a whole number", path)),
            (Self::Text(_), _) => Err(misfit("a text", path)),
            (Self::Set(_), _) => Err(misfit("an array", path)),
            (Self::Record(_), _) => Err(misfit("an object", path)),
        }
    }
}
