//! Edits of the files in which MCP clients keep their servers: text in, text out. JSON with comments, TOML and YAML.
//!
//! An edit is a [`Patch`]: ranges of bytes and what stands there afterwards. Nothing is written anew, so whatever a patch does not
//! name stays byte for byte: comments, order, indentation, line ends, a byte order mark. The inverse of a patch is a patch. Where an
//! edit cannot be made so, there is a [`Fault`] and no edit. Must not know files, clients or secrets (ADR 11).

mod braces;
mod json;
mod patch;
mod toml;
mod tree;
mod yaml;

pub use patch::{Patch, Piece};

use std::ops::Range;

/// The languages of configurations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// JSON, with comments and trailing commas allowed.
    Json,
    /// TOML 1.1.
    Toml,
    /// YAML 1.2, the first document.
    Yaml,
}

/// A step of the way to a value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// The value of a key.
    Key(String),
    /// An item of a list, from 0.
    At(usize),
}

/// What a member becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Put {
    /// A text.
    Text(String),
    /// A list of texts.
    List(Vec<String>),
}

/// How an entry is rewritten.
#[derive(Debug, Clone, Copy)]
pub struct Change<'a> {
    /// The member in whose place the new ones stand: the first of these that the entry has.
    pub anchors: &'a [&'a str],
    /// Members that are taken out, with all below them.
    pub drop: &'a [&'a str],
    /// Members that are put in.
    pub put: &'a [(&'a str, Put)],
}

/// An edit of one entry.
#[derive(Debug, Clone)]
pub struct Rewrite {
    /// What changes.
    pub patch: Patch,
    /// Where the entry stands in the text before: no piece of the patch is outside.
    pub hull: Range<usize>,
}

/// Why an edit was not made. The text is not repeated: it may hold secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Not valid in its language, or nested too deep.
    #[error("it is not valid in its language")]
    Broken,
    /// Nothing stands there.
    #[error("there is no such entry")]
    Missing,
    /// A key on the way stands twice, and programs differ in which one counts.
    #[error("a key on the way to the entry, or in it, stands twice")]
    Twice,
    /// An anchor, alias or merge of YAML: a change here would change another place.
    #[error("it shares text with another place by an anchor, alias or merge")]
    Shared,
    /// Written in a way that is not edited here.
    #[error("it is written in a way that is not edited here")]
    Form,
}

/// More are not looked for in one text.
const MAX_LITERALS: usize = 2_000;
/// Entries with more members, and TOML with more lines, are not edited: nobody has written them.
const MAX_MEMBERS: usize = 1_000;
const MAX_LINES: usize = 20_000;
/// Deeper is refused.
const MAX_DEPTH: usize = 64;

/// Rewrites the entry at the end of `path`.
///
/// # Errors
/// [`Fault`]; then there is no edit.
pub fn rewrite(form: Form, text: &str, path: &[Step], change: &Change<'_>) -> Result<Rewrite, Fault> {
    match form {
        Form::Json => json::rewrite(text, path, change),
        Form::Toml => toml::rewrite(text, path, change),
        Form::Yaml => yaml::rewrite(text, path, change),
    }
}

/// Where the value at the end of `path` is written: between its quotes if it has some, and the whole value if it is none of text.
///
/// # Errors
/// [`Fault`].
pub fn literal(form: Form, text: &str, path: &[Step]) -> Result<Range<usize>, Fault> {
    literals(form, text, &[path])?.pop().ok_or(Fault::Missing)
}

/// The same for several, with one look at the text.
///
/// # Errors
/// [`Fault`], if one of them has none, or there are more than 2,000.
pub fn literals(form: Form, text: &str, paths: &[&[Step]]) -> Result<Vec<Range<usize>>, Fault> {
    if paths.len() > MAX_LITERALS {
        return Err(Fault::Form);
    }
    match form {
        Form::Json => json::literals(text, paths),
        Form::Toml => toml::literals(text, paths),
        Form::Yaml => yaml::literals(text, paths),
    }
}

/// A text in double quotes, as all three languages read it.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}') => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

pub(crate) fn written(put: &Put) -> String {
    match put {
        Put::Text(text) => quoted(text),
        Put::List(items) => format!("[{}]", items.iter().map(|item| quoted(item)).collect::<Vec<_>>().join(", ")),
    }
}

/// The line end that a text uses at a place: that of the line before, else the first one.
pub(crate) fn line_end(text: &str, at: usize) -> &'static str {
    let before = text.get(..at).unwrap_or(text);
    let seen = before.rfind('\n').or_else(|| text.find('\n'));
    match seen.and_then(|newline| newline.checked_sub(1)).and_then(|at| text.as_bytes().get(at)) {
        Some(b'\r') => "\r\n",
        _ => "\n",
    }
}

/// Where the line of a place begins.
pub(crate) fn line_start(text: &str, at: usize) -> usize {
    text.get(..at)
        .and_then(|before| before.rfind('\n'))
        .map_or_else(|| if text.starts_with('\u{feff}') { 3 } else { 0 }, |newline| newline + 1)
}

/// Where the next line begins, or the text ends.
pub(crate) fn next_line(text: &str, at: usize) -> usize {
    text.get(at..).and_then(|rest| rest.find('\n')).map_or(text.len(), |newline| at + newline + 1)
}

#[cfg(test)]
mod tests;
