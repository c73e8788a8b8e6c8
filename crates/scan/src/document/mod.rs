//! What a file says: one tree for JSON with comments, TOML and YAML, each value with its line and column.
//!
//! Parsers are bounded in depth and in the number of values. What they refuse is a [`Fault`] with a place, never the text
//! itself: the messages of foreign parsers may quote what they stumble over, so they are not passed on.

mod json;
mod toml;
mod yaml;

use crate::raw::Raw;

/// Longer keys are cut: no client has one, and paths are made of them.
const MAX_KEY: usize = 256;
/// A path of keys grows no longer.
const MAX_PATH: usize = 1024;
/// Nested deeper is refused.
const MAX_DEPTH: usize = 64;
/// More values are refused; aliases of YAML count each time.
const MAX_NODES: usize = 200_000;

/// The languages of configurations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// JSON, with comments and trailing commas allowed.
    Json,
    Toml,
    Yaml,
}

/// A place in a file, both counted from 1; columns are characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

/// A value and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) value: Value,
    pub(crate) at: Position,
}

#[derive(Debug, Clone)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    /// As written.
    Number(Raw),
    Text(Raw),
    List(Vec<Node>),
    /// In order; the same key twice stays twice, since clients differ in which one counts.
    Map(Vec<Member>),
}

#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) key: String,
    pub(crate) at: Position,
    pub(crate) node: Node,
}

/// Why a text could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) why: Why,
    pub(crate) at: Position,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    Syntax,
    TooDeep,
    TooMany,
}

/// Counts values while a tree is built.
struct Budget(usize);

/// Line starts of a text, for parsers that give byte offsets.
struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

/// Reads a text.
pub(crate) fn parse(form: Form, text: &str) -> Result<Node, Fault> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    match form {
        Form::Json => json::parse(text),
        Form::Toml => toml::parse(text),
        Form::Yaml => yaml::parse(text),
    }
}

// === impl Form ===

impl Form {
    /// By the ending of a file name; what has none of these is read as JSON.
    pub(crate) fn of(name: &str) -> Self {
        let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
        if ending.eq_ignore_ascii_case("toml") {
            Self::Toml
        } else if ending.eq_ignore_ascii_case("yaml") || ending.eq_ignore_ascii_case("yml") {
            Self::Yaml
        } else {
            Self::Json
        }
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Json => "JSON",
            Self::Toml => "TOML",
            Self::Yaml => "YAML",
        }
    }
}

// === impl Position ===

impl Position {
    pub(crate) const START: Self = Self { line: 1, column: 1 };
}

// === impl Member ===

impl Member {
    fn new(key: &str, at: Position, node: Node) -> Self {
        Self { key: key.chars().take(MAX_KEY).collect(), at, node }
    }
}

// === impl Node ===

impl Node {
    /// The members, if this is a map.
    pub(crate) fn members(&self) -> &[Member] {
        if let Value::Map(members) = &self.value { members } else { &[] }
    }

    /// The items, if this is a list.
    pub(crate) fn items(&self) -> &[Self] {
        if let Value::List(items) = &self.value { items } else { &[] }
    }

    /// The value of a key; the last one where it stands twice.
    pub(crate) fn child(&self, key: &str) -> Option<&Self> {
        self.members().iter().rev().find(|member| member.key == key).map(|member| &member.node)
    }

    /// The value at the end of a path of keys.
    pub(crate) fn path(&self, keys: &[&str]) -> Option<&Self> {
        keys.iter().try_fold(self, |node, key| node.child(key))
    }

    pub(crate) const fn text(&self) -> Option<&Raw> {
        if let Value::Text(text) = &self.value { Some(text) } else { None }
    }

    pub(crate) fn is_text(&self, text: &str) -> bool {
        self.text().is_some_and(|own| own.peek() == text)
    }

    pub(crate) const fn truth(&self) -> Option<bool> {
        if let Value::Bool(truth) = self.value { Some(truth) } else { None }
    }

    /// Every text, number and truth below this node, with its dotted path. Numbers and truths as they are written.
    pub(crate) fn leaves(&self, path: &str, see: &mut dyn FnMut(&str, &str, Raw, Position)) {
        let last = path.rsplit('.').next().unwrap_or_default();
        match &self.value {
            Value::Text(text) | Value::Number(text) => see(path, last, text.clone(), self.at),
            Value::Bool(truth) => see(path, last, Raw::new(truth.to_string()), self.at),
            Value::Null => {}
            Value::List(items) if path.len() > MAX_PATH => items.iter().for_each(|item| item.leaves(path, see)),
            Value::List(items) => items.iter().enumerate().for_each(|(at, item)| item.leaves(&format!("{path}[{at}]"), see)),
            Value::Map(members) => {
                for member in members {
                    if path.len() > MAX_PATH {
                        member.node.leaves(path, see);
                        continue;
                    }
                    let path = if path.is_empty() { member.key.clone() } else { format!("{path}.{}", member.key) };
                    member.node.leaves(&path, see);
                }
            }
        }
    }
}

// === impl Budget ===

impl Budget {
    const fn spend(&mut self, at: Position) -> Result<(), Fault> {
        self.0 += 1;
        if self.0 > MAX_NODES { Err(Fault { why: Why::TooMany, at }) } else { Ok(()) }
    }
}

// === impl Lines ===

impl<'a> Lines<'a> {
    /// Columns of longer lines count bytes: counting characters there again and again would take long.
    const LONG: usize = 4096;

    fn of(text: &'a str) -> Self {
        let starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { text, starts }
    }

    fn position(&self, offset: usize) -> Position {
        let line = self.starts.partition_point(|start| *start <= offset);
        let start = self.starts.get(line.saturating_sub(1)).copied().unwrap_or(0);
        let bytes = offset.saturating_sub(start);
        let before = if bytes > Self::LONG { None } else { self.text.get(start..offset) };
        Position { line, column: before.map_or(bytes, |before| before.chars().count()) + 1 }
    }
}

#[cfg(test)]
mod tests;
