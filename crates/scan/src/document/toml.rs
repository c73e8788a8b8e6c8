//! TOML. The parser of the `toml` crate bounds the depth itself (80); the budget of values is ours.

use super::{Budget, Fault, Lines, MAX_DEPTH, Member, Node, Position, Value, Why};
use crate::raw::Raw;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

pub(super) fn parse(text: &str) -> Result<Node, Fault> {
    let lines = Lines::of(text);
    let table = DeTable::parse(text).map_err(|error| {
        let at = error.span().map_or(Position::START, |span| lines.position(span.start));
        Fault { why: Why::Syntax, at }
    })?;
    let mut budget = Budget(0);
    Ok(Node { value: map(table.get_ref(), &lines, 1, &mut budget)?, at: Position::START })
}

fn map(table: &DeTable<'_>, lines: &Lines<'_>, depth: usize, budget: &mut Budget) -> Result<Value, Fault> {
    let mut members = Vec::new();
    for (key, value) in table.iter() {
        let at = lines.position(key.span().start);
        members.push(Member::new(key.get_ref(), at, node(value, lines, depth, budget)?));
    }
    members.sort_by_key(|member| member.at);
    Ok(Value::Map(members))
}

fn node(value: &Spanned<DeValue<'_>>, lines: &Lines<'_>, depth: usize, budget: &mut Budget) -> Result<Node, Fault> {
    let at = lines.position(value.span().start);
    budget.spend(at)?;
    if depth > MAX_DEPTH {
        return Err(Fault { why: Why::TooDeep, at });
    }
    let value = match value.get_ref() {
        DeValue::String(text) => Value::Text(Raw::new(text.to_string())),
        DeValue::Integer(number) => Value::Number(Raw::new(number.as_str())),
        DeValue::Float(number) => Value::Number(Raw::new(number.as_str())),
        DeValue::Boolean(truth) => Value::Bool(*truth),
        DeValue::Datetime(time) => Value::Text(Raw::new(time.to_string())),
        DeValue::Array(items) => Value::List(items.iter().map(|item| node(item, lines, depth + 1, budget)).collect::<Result<Vec<_>, _>>()?),
        DeValue::Table(table) => map(table, lines, depth + 1, budget)?,
    };
    Ok(Node { value, at })
}
