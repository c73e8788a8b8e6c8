//! YAML, from the events of a parser: nothing is built that the budget does not allow, so aliases cannot explode.

use super::{Budget, Fault, MAX_DEPTH, Member, Node, Position, Value, Why};
use crate::raw::Raw;
use saphyr_parser::{Event, Marker, Parser, ScalarStyle};
use std::collections::BTreeMap;

/// A list or map that is not closed yet.
struct Open {
    value: Value,
    at: Position,
    anchor: usize,
    key: Option<(String, Position)>,
}

struct Builder {
    open: Vec<Open>,
    anchors: BTreeMap<usize, Node>,
    budget: Budget,
    done: Option<Node>,
}

pub(super) fn parse(text: &str) -> Result<Node, Fault> {
    let mut builder = Builder { open: Vec::new(), anchors: BTreeMap::new(), budget: Budget(0), done: None };
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| Fault { why: Why::Syntax, at: place(error.marker()) })?;
        let at = place(&span.start);
        match event {
            Event::Scalar(text, style, anchor, _) => {
                let value = if style == ScalarStyle::Plain { plain(&text) } else { Value::Text(Raw::new(text.into_owned())) };
                builder.add(Node { value, at }, anchor)?;
            }
            Event::Alias(anchor) => {
                let node = builder.anchors.get(&anchor).cloned().unwrap_or(Node { value: Value::Null, at });
                builder.count(&node)?;
                builder.add(Node { at, ..node }, 0)?;
            }
            Event::SequenceStart(anchor, _) => builder.begin(Value::List(Vec::new()), at, anchor)?,
            Event::MappingStart(anchor, _) => builder.begin(Value::Map(Vec::new()), at, anchor)?,
            Event::SequenceEnd | Event::MappingEnd => builder.end()?,
            // Configurations are one document; what stands behind it no client reads.
            Event::DocumentEnd if builder.done.is_some() => break,
            _ => {}
        }
    }
    Ok(builder.done.unwrap_or(Node { value: Value::Null, at: Position::START }))
}

fn place(marker: &Marker) -> Position {
    Position { line: marker.line().max(1), column: marker.col() + 1 }
}

fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        _ if text.parse::<f64>().is_ok() => Value::Number(Raw::new(text)),
        _ => Value::Text(Raw::new(text)),
    }
}

// === impl Builder ===

impl Builder {
    fn begin(&mut self, value: Value, at: Position, anchor: usize) -> Result<(), Fault> {
        if self.open.len() >= MAX_DEPTH {
            return Err(Fault { why: Why::TooDeep, at });
        }
        self.open.push(Open { value, at, anchor, key: None });
        Ok(())
    }

    fn end(&mut self) -> Result<(), Fault> {
        let Some(open) = self.open.pop() else { return Ok(()) };
        self.add(Node { value: open.value, at: open.at }, open.anchor)
    }

    /// Puts a finished value where it belongs.
    fn add(&mut self, node: Node, anchor: usize) -> Result<(), Fault> {
        self.budget.spend(node.at)?;
        if anchor > 0 {
            self.count(&node)?;
            self.anchors.insert(anchor, node.clone());
        }
        let Some(open) = self.open.last_mut() else {
            self.done.get_or_insert(node);
            return Ok(());
        };
        match (&mut open.value, open.key.take()) {
            (Value::List(items), _) => items.push(node),
            (Value::Map(members), Some((key, _))) if key == "<<" => merge(members, &node),
            (Value::Map(members), Some((key, at))) => members.push(Member::new(&key, at, node)),
            (_, _) => open.key = Some((name(&node), node.at)),
        }
        Ok(())
    }

    /// A copy costs what it holds.
    fn count(&mut self, node: &Node) -> Result<(), Fault> {
        self.budget.spend(node.at)?;
        node.items().iter().chain(node.members().iter().map(|member| &member.node)).try_for_each(|below| self.count(below))
    }
}

/// What `<<` brings, unless it stands there already.
fn merge(members: &mut Vec<Member>, node: &Node) {
    let brought: Vec<Member> = node.members().iter().filter(|new| members.iter().all(|old| old.key != new.key)).cloned().collect();
    members.extend(brought);
}

fn name(node: &Node) -> String {
    match &node.value {
        Value::Text(text) | Value::Number(text) => text.peek().to_owned(),
        Value::Bool(truth) => truth.to_string(),
        _ => String::new(),
    }
}
