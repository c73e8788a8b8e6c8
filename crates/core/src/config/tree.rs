//! Values with their places, read from TOML or JSON: everything that is wrong with a form is found here. Knows no key.

use super::problem::Problem;
use super::source::{Kind, Place, Source};
use crate::json::{Fault, RawJson};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use toml::de::{DeTable, DeValue};

/// A value and where it stands.
#[derive(Debug, Clone)]
pub struct Node {
    /// What it is.
    pub value: Value,
    /// Where it stands.
    pub place: Place,
}

/// A member of a table.
#[derive(Debug, Clone)]
pub struct Member {
    /// Where its key stands.
    pub key: Place,
    /// Its value.
    pub node: Node,
}

/// A value, in what TOML and JSON have in common and what they do not.
#[derive(Debug, Clone)]
pub enum Value {
    /// A text.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// A number with a fraction.
    Float(f64),
    /// Yes or no.
    Boolean(bool),
    /// TOML date or time; no key wants one.
    Date(String),
    /// JSON `null`; no key wants one.
    Null,
    /// An array.
    List(Vec<Node>),
    /// A table.
    Table(BTreeMap<String, Member>),
}

/// Nothing is configured in deeper levels.
pub(super) const MAX_DEPTH: usize = 32;

/// No configuration is larger, in bytes.
pub const MAX_TEXT: usize = 1 << 20;

/// Of one text at most so many faults of form are reported.
const MAX_FAULTS: usize = 20;

// === impl Value ===

impl Value {
    /// What it is, in words.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "a text",
            Self::Integer(_) => "a whole number",
            Self::Float(_) => "a fraction",
            Self::Boolean(_) => "true or false",
            Self::Date(_) => "a date or time",
            Self::Null => "null",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
        }
    }
}

// === impl Node ===

impl Node {
    /// The node at a path of keys and list positions.
    #[must_use]
    pub fn find(&self, path: &[String]) -> Option<&Self> {
        let Some((step, rest)) = path.split_first() else { return Some(self) };
        match &self.value {
            Value::Table(members) => members.get(step)?.node.find(rest),
            Value::List(items) => items.get(step.parse::<usize>().ok()?)?.find(rest),
            _ => None,
        }
    }

    /// The place of the key at a path; for list elements their own place.
    #[must_use]
    pub fn key(&self, path: &[String]) -> Option<&Place> {
        let (last, before) = path.split_last()?;
        match &self.find(before)?.value {
            Value::Table(members) => members.get(last).map(|member| &member.key),
            Value::List(_) => self.find(path).map(|node| &node.place),
            _ => None,
        }
    }

    /// True for `[]`.
    pub(super) const fn is_empty_list(&self) -> bool {
        matches!(&self.value, Value::List(items) if items.is_empty())
    }

    /// Takes away what stands at a path.
    pub(super) fn prune(&mut self, path: &[String]) {
        let Some((step, rest)) = path.split_first() else { return };
        match &mut self.value {
            Value::Table(members) if rest.is_empty() => drop(members.remove(step)),
            Value::Table(members) => {
                if let Some(member) = members.get_mut(step) {
                    member.node.prune(rest);
                }
            }
            Value::List(items) => {
                if let Some(item) = step.parse::<usize>().ok().and_then(|at| items.get_mut(at)) {
                    item.prune(rest);
                }
            }
            _ => {}
        }
    }

    /// The value alone. Dates and nulls have gone by then.
    pub(super) fn to_json(&self) -> serde_json::Value {
        use serde_json::Value as Json;
        match &self.value {
            Value::Text(text) | Value::Date(text) => Json::from(text.as_str()),
            Value::Integer(number) => Json::from(*number),
            Value::Float(number) => Json::from(*number),
            Value::Boolean(yes) => Json::from(*yes),
            Value::Null => Json::Null,
            Value::List(items) => items.iter().map(Self::to_json).collect(),
            Value::Table(members) => members.iter().map(|(key, member)| (key.clone(), member.node.to_json())).collect(),
        }
    }
}

/// Reads a whole text. On faults of form there is no tree.
///
/// # Errors
/// Every fault that was found.
pub fn parse(source: &Arc<Source>) -> Result<Node, Vec<Problem>> {
    match source.kind() {
        Kind::Json => json(source),
        Kind::Toml | Kind::Environment | Kind::Flag => toml_text(source),
    }
}

/// Reads a TOML value that stands in `source` from byte `from`; `None` if it is none.
pub(super) fn toml_value(source: &Arc<Source>, from: usize) -> Option<Node> {
    let text = source.text().get(from..)?;
    let value = DeValue::parse(text).ok()?;
    Some(from_toml(source, from, value.span(), value.get_ref()))
}

fn toml_text(source: &Arc<Source>) -> Result<Node, Vec<Problem>> {
    let (document, errors) = DeTable::parse_recoverable(source.text());
    if errors.is_empty() {
        let span = 0..source.text().len();
        return Ok(Node { value: table(source, 0, document.get_ref()), place: Place::new(source, span) });
    }
    let mut problems: Vec<Problem> = Vec::new();
    for error in errors.iter().take(MAX_FAULTS) {
        let span = error.span().unwrap_or(0..0);
        let place = Place::new(source, span);
        let line = place.line_column().0;
        // One slip makes the parser stumble several times over the same line.
        if problems.iter().any(|known| known.place.as_ref().is_some_and(|place| place.line_column().0 == line)) {
            continue;
        }
        let problem = if error.message().contains("duplicate key") {
            Problem::new("config.duplicate_key", "the same key stands twice in one table", "again", "keep one of the two")
        } else if error.message().contains("recursion") {
            too_deep()
        } else {
            let why = error.message().to_owned();
            let help = "TOML: key = \"text\", key = 5, key = [\"a\", \"b\"], tables as [name]; see https://toml.io";
            Problem::new("config.syntax", "this is not TOML", why, help)
        };
        problems.push(problem.at(Some(place)));
    }
    Err(problems)
}

fn too_deep() -> Problem {
    let help = "the deepest key of the format is five levels down: doorward config schema";
    Problem::new("config.too_deep", "the values are nested too deeply", "here", help)
}

fn from_toml(source: &Arc<Source>, from: usize, span: Range<usize>, value: &DeValue<'_>) -> Node {
    let place = Place::new(source, span.start.saturating_add(from)..span.end.saturating_add(from));
    let value = match value {
        DeValue::String(text) => Value::Text(text.clone().into_owned()),
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => Value::Integer(number),
            Err(_) => Value::Float(f64::INFINITY),
        },
        DeValue::Float(number) => Value::Float(number.as_str().parse().unwrap_or(f64::NAN)),
        DeValue::Boolean(yes) => Value::Boolean(*yes),
        DeValue::Datetime(date) => Value::Date(date.to_string()),
        DeValue::Array(items) => Value::List(items.iter().map(|item| from_toml(source, from, item.span(), item.get_ref())).collect()),
        DeValue::Table(members) => table(source, from, members),
    };
    Node { value, place }
}

fn table(source: &Arc<Source>, from: usize, members: &DeTable<'_>) -> Value {
    let member = |(key, value): (&toml::Spanned<std::borrow::Cow<'_, str>>, &toml::Spanned<DeValue<'_>>)| {
        let span = key.span();
        let place = Place::new(source, span.start.saturating_add(from)..span.end.saturating_add(from));
        (key.get_ref().clone().into_owned(), Member { key: place, node: from_toml(source, from, value.span(), value.get_ref()) })
    };
    Value::Table(members.iter().map(member).collect())
}

fn json(source: &Arc<Source>) -> Result<Node, Vec<Problem>> {
    let bytes = Bytes::copy_from_slice(source.text().as_bytes());
    if let Err(fault) = RawJson::parse(&bytes, MAX_DEPTH) {
        return Err(vec![json_fault(source, &fault)]);
    }
    let mut reader = Reader { source, at: 0 };
    let node = reader.value();
    node.ok_or_else(|| vec![json_fault(source, &Fault::Syntax(reader.at))])
}

fn json_fault(source: &Arc<Source>, fault: &Fault) -> Problem {
    let spot = |at: usize| Some(Place::new(source, at..at.saturating_add(1)));
    match fault {
        Fault::Syntax(at) => Problem::new(
            "config.syntax",
            "this is not JSON",
            "unexpected here",
            "JSON has no comments and no comma after the last member; for comments write TOML",
        )
        .at(spot(*at)),
        Fault::DuplicateKey(at) => {
            Problem::new("config.duplicate_key", "the same key stands twice in one object", "again", "keep one of the two").at(spot(*at))
        }
        Fault::NulInKey(at) | Fault::LoneSurrogate(at) => {
            Problem::new("config.syntax", "this text holds half a character", "here", "write the character itself").at(spot(*at))
        }
        Fault::TooDeep => too_deep().at(spot(0)),
        Fault::NotUtf8 => Problem::new("config.not_utf8", "the text is not UTF-8", "here", "save the file as UTF-8").at(spot(0)),
    }
}

/// Walks over text that [`RawJson`] has found to be strict JSON, and keeps the places.
struct Reader<'a> {
    source: &'a Arc<Source>,
    at: usize,
}

impl Reader<'_> {
    fn rest(&self) -> &str {
        self.source.text().get(self.at..).unwrap_or_default()
    }

    fn space(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start_matches([' ', '\t', '\n', '\r']).len();
    }

    fn take(&mut self, c: char) -> bool {
        self.space();
        let there = self.rest().starts_with(c);
        self.at += usize::from(there);
        there
    }

    fn value(&mut self) -> Option<Node> {
        self.space();
        let start = self.at;
        let value = match self.rest().chars().next()? {
            '{' => self.object()?,
            '[' => self.array()?,
            '"' => Value::Text(self.text()?),
            _ => {
                let end = self.rest().find([',', '}', ']', ' ', '\t', '\n', '\r']).unwrap_or(self.rest().len());
                let word = self.rest().get(..end)?.to_owned();
                self.at += end;
                match word.as_str() {
                    "true" => Value::Boolean(true),
                    "false" => Value::Boolean(false),
                    "null" => Value::Null,
                    number => number.parse().map(Value::Integer).or_else(|_| number.parse().map(Value::Float)).ok()?,
                }
            }
        };
        Some(Node { value, place: Place::new(self.source, start..self.at) })
    }

    fn object(&mut self) -> Option<Value> {
        let mut members = BTreeMap::new();
        self.take('{');
        while !self.take('}') {
            self.take(',');
            self.space();
            let start = self.at;
            let name = self.text()?;
            let key = Place::new(self.source, start..self.at);
            self.take(':');
            let node = self.value()?;
            members.insert(name, Member { key, node });
        }
        Some(Value::Table(members))
    }

    fn array(&mut self) -> Option<Value> {
        let mut items = Vec::new();
        self.take('[');
        while !self.take(']') {
            self.take(',');
            items.push(self.value()?);
        }
        Some(Value::List(items))
    }

    fn text(&mut self) -> Option<String> {
        let mut escaped = false;
        let end = self.rest().char_indices().skip(1).find_map(|(at, c)| {
            let ends = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            ends.then_some(at)
        })?;
        let raw = self.rest().get(..=end)?;
        let text = serde_json::from_str(raw).ok()?;
        self.at += end + 1;
        Some(text)
    }
}
