//! Texts with their names, and places in them. Shows a text to people only with its secrets covered.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

/// Where a text came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A TOML file.
    Toml,
    /// A JSON file.
    Json,
    /// One `DOORWARD_` variable.
    Environment,
    /// One option of the command line.
    Flag,
}

/// A text that values were read from.
pub struct Source {
    name: String,
    kind: Kind,
    text: String,
    base: PathBuf,
    shown: OnceLock<String>,
}

/// A piece of a text, in bytes.
#[derive(Debug, Clone)]
pub struct Place {
    source: Arc<Source>,
    span: Range<usize>,
}

/// Parts of key names that make a line of broken text unfit to be shown.
const SECRET_WORDS: [&str; 9] = ["password", "secret", "token", "key", "value", "credential", "authorization", "env", "plain:"];

// === impl Source ===

impl Source {
    /// A text, its name for people, and the directory that its relative paths start from.
    #[must_use]
    pub const fn new(name: String, kind: Kind, text: String, base: PathBuf) -> Self {
        Self { name, kind, text, base, shown: OnceLock::new() }
    }

    /// Says that the text holds no secrets, as rules do not: it is shown as it is.
    #[must_use]
    pub fn without_secrets(self) -> Self {
        self.shown.set(self.text.clone()).ok();
        self
    }

    /// Its name for people: a path, a variable, an option.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it came from.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// The directory that relative paths start from.
    #[must_use]
    pub fn base(&self) -> &Path {
        &self.base
    }

    /// The text with secrets covered, byte for byte as long as the text.
    #[must_use]
    pub fn shown(&self) -> &str {
        self.shown.get_or_init(|| cover_suspicious_lines(&self.text, self.kind))
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Fixes what is shown once it is known which pieces are secrets.
    pub(super) fn cover(&self, secrets: &[Range<usize>]) {
        let mut shown = String::with_capacity(self.text.len());
        for (at, c) in self.text.char_indices() {
            put(&mut shown, c, secrets.iter().any(|span| span.contains(&at)));
        }
        self.shown.set(shown).ok();
    }
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Source({:?})", self.name)
    }
}

// === impl Place ===

impl Place {
    /// A piece of `source`; a span beyond its end is drawn in.
    #[must_use]
    pub fn new(source: &Arc<Source>, span: Range<usize>) -> Self {
        let end = source.text.ceil_char_boundary(span.end.min(source.text.len()));
        Self { source: Arc::clone(source), span: source.text.floor_char_boundary(span.start.min(end))..end }
    }

    /// The text that it is a piece of.
    #[must_use]
    pub const fn source(&self) -> &Arc<Source> {
        &self.source
    }

    /// Where the piece is, in bytes.
    #[must_use]
    pub fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// Line and column, both from 1; columns count characters.
    #[must_use]
    pub fn line_column(&self) -> (usize, usize) {
        let before = self.source.text.get(..self.span.start).unwrap_or_default();
        let line = before.bytes().filter(|b| *b == b'\n').count();
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count();
        (line.saturating_add(1), column.saturating_add(1))
    }
}

/// `name:line:column` for files, the name alone for variables and options.
impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.source.name)?;
        if matches!(self.source.kind, Kind::Toml | Kind::Json) {
            let (line, column) = self.line_column();
            write!(f, ":{line}:{column}")?;
        }
        Ok(())
    }
}

/// Text that cannot be parsed: nobody knows which piece is a secret, so whole lines are covered that may hold one, and
/// whatever has the form of a key.
fn cover_suspicious_lines(text: &str, kind: Kind) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut inside_long_text = false;
    for line in text.split_inclusive('\n') {
        let lower = line.to_ascii_lowercase();
        let quotes = line.matches("\"\"\"").count() + line.matches("'''").count();
        let suspicious = inside_long_text || kind == Kind::Environment || SECRET_WORDS.iter().any(|word| lower.contains(word));
        let key = line.find(['=', ':']).filter(|_| suspicious && !inside_long_text);
        let keys = keylike(line);
        for (at, c) in line.char_indices() {
            let covered = suspicious && key.is_none_or(|key| at > key) && c.is_alphanumeric();
            put(&mut shown, c, covered || keys.iter().any(|piece| piece.contains(&at)));
        }
        inside_long_text ^= quotes % 2 == 1;
    }
    shown
}

/// A piece this long with letters and digits in it is no name that anybody typed.
const KEYLIKE: usize = 16;

fn keylike(line: &str) -> Vec<Range<usize>> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '+');
    let ends = line.match_indices(|c| !is_part(c)).map(|(at, between)| (at, at.saturating_add(between.len())));
    let mut found = Vec::new();
    let mut from = 0;
    for (end, next) in ends.chain([(line.len(), line.len())]) {
        let piece = line.get(from..end).unwrap_or_default();
        if piece.len() >= KEYLIKE && piece.bytes().any(|b| b.is_ascii_digit()) && piece.bytes().any(|b| b.is_ascii_alphabetic()) {
            found.push(from..end);
        }
        from = next;
    }
    found
}

fn put(shown: &mut String, c: char, covered: bool) {
    if covered && !c.is_whitespace() {
        shown.extend(std::iter::repeat_n('*', c.len_utf8()));
    } else {
        shown.push(c);
    }
}
