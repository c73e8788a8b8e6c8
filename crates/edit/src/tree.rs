//! A text as a tree of ranges: what an edit needs to know of any of the three languages.

use crate::{Fault, MAX_MEMBERS, Step};
use std::ops::Range;

#[derive(Debug)]
pub(crate) struct Node {
    /// The whole value, quotes and brackets included.
    pub(crate) span: Range<usize>,
    pub(crate) value: Value,
}

#[derive(Debug)]
pub(crate) enum Value {
    /// Between the quotes, or the whole of it.
    Scalar(Range<usize>),
    List(Vec<Node>),
    Map(Map),
    /// An alias or a merge of YAML.
    Elsewhere,
}

#[derive(Debug)]
pub(crate) struct Map {
    pub(crate) style: Style,
    pub(crate) members: Vec<Member>,
}

#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) key: Range<usize>,
    pub(crate) node: Node,
}

/// How a map is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// Between braces.
    Braces,
    /// A member a line.
    Lines,
}

/// What an entry is, and from where it is written: its key where it has one.
#[derive(Debug)]
pub(crate) struct Entry<'a> {
    pub(crate) start: usize,
    pub(crate) node: &'a Node,
}

// === impl Node ===

impl Node {
    /// The value at the end of a path of keys and items.
    pub(crate) fn at(&self, path: &[Step]) -> Result<Entry<'_>, Fault> {
        let mut entry = Entry { start: self.span.start, node: self };
        for step in path {
            entry = match (&entry.node.value, step) {
                (Value::Map(map), Step::Key(name)) => {
                    let member = map.member(name)?.ok_or(Fault::Missing)?;
                    Entry { start: member.key.start, node: &member.node }
                }
                (Value::List(items), Step::At(at)) => {
                    let node = items.get(*at).ok_or(Fault::Missing)?;
                    Entry { start: node.span.start, node }
                }
                (Value::Elsewhere, _) => return Err(Fault::Shared),
                _ => return Err(Fault::Missing),
            };
        }
        Ok(entry)
    }

    /// Where a text is written.
    pub(crate) fn literal(&self, path: &[Step]) -> Result<Range<usize>, Fault> {
        match &self.at(path)?.node.value {
            Value::Scalar(inner) => Ok(inner.clone()),
            Value::Elsewhere => Err(Fault::Shared),
            Value::List(_) | Value::Map(_) => Err(Fault::Form),
        }
    }

    /// Whether something below is written elsewhere.
    pub(crate) fn is_shared(&self) -> bool {
        match &self.value {
            Value::Scalar(_) => false,
            Value::Elsewhere => true,
            Value::List(items) => items.iter().any(Self::is_shared),
            Value::Map(map) => map.members.iter().any(|member| member.node.is_shared()),
        }
    }
}

// === impl Map ===

impl Map {
    /// The member of this name, if there is exactly one.
    pub(crate) fn member(&self, name: &str) -> Result<Option<&Member>, Fault> {
        let mut found = self.members.iter().filter(|member| member.name == name);
        let first = found.next();
        if found.next().is_some() { Err(Fault::Twice) } else { Ok(first) }
    }

    /// No key twice.
    pub(crate) fn is_plain(&self) -> Result<(), Fault> {
        if self.members.len() > MAX_MEMBERS {
            return Err(Fault::Form);
        }
        self.members.iter().try_for_each(|member| self.member(&member.name).map(|_| ()))
    }

    /// The member in whose place new ones stand.
    pub(crate) fn anchor(&self, names: &[&str]) -> Result<usize, Fault> {
        let found = names.iter().find_map(|name| self.members.iter().position(|member| member.name == *name));
        found.ok_or(Fault::Form)
    }
}
