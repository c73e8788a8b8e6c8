//! JSON with comments, trailing commas and a byte order mark, as the scanner reads it: here with the ranges of everything.

use crate::braces::{self, Comments};
use crate::tree::{Map, Member, Node, Style, Value};
use crate::{Change, Fault, MAX_DEPTH, Patch, Rewrite, Step};
use std::ops::Range;

struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

pub(super) fn rewrite(text: &str, path: &[Step], change: &Change<'_>) -> Result<Rewrite, Fault> {
    let root = parse(text)?;
    let entry = root.at(path)?;
    let pieces = braces::pieces(text, entry.node, change, &JSON)?;
    let patch = Patch::new(text, pieces).ok_or(Fault::Form)?;
    Ok(Rewrite { patch, hull: entry.start..entry.node.span.end })
}

pub(super) fn literals(text: &str, paths: &[&[Step]]) -> Result<Vec<Range<usize>>, Fault> {
    let root = parse(text)?;
    paths.iter().map(|path| root.literal(path)).collect()
}

/// How JSON writes members.
const JSON: braces::Syntax = braces::Syntax { comments: Comments::Slashes, quoted_keys: true, between: ": " };

pub(crate) fn parse(text: &str) -> Result<Node, Fault> {
    let at = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
    let mut reader = Reader { text, at, depth: 0 };
    reader.space()?;
    let node = reader.value()?;
    reader.space()?;
    if reader.at == text.len() { Ok(node) } else { Err(Fault::Broken) }
}

// === impl Reader ===

impl Reader<'_> {
    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn eat(&mut self, wanted: char) -> Result<(), Fault> {
        if self.peek() != Some(wanted) {
            return Err(Fault::Broken);
        }
        self.at += wanted.len_utf8();
        Ok(())
    }

    fn space(&mut self) -> Result<(), Fault> {
        self.at = braces::trivia(self.text, self.at, Comments::Slashes).ok_or(Fault::Broken)?;
        Ok(())
    }

    fn value(&mut self) -> Result<Node, Fault> {
        let start = self.at;
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Fault::Broken);
        }
        let value = match self.peek() {
            Some('{') => self.map()?,
            Some('[') => self.list()?,
            Some('"') => {
                let inner = self.string()?;
                Value::Scalar(inner)
            }
            _ => {
                let word =
                    self.rest().find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '+' | '.'))).unwrap_or(self.rest().len());
                if word == 0 {
                    return Err(Fault::Broken);
                }
                self.at += word;
                Value::Scalar(start..self.at)
            }
        };
        self.depth -= 1;
        Ok(Node { span: start..self.at, value })
    }

    /// The range between the quotes.
    fn string(&mut self) -> Result<Range<usize>, Fault> {
        self.eat('"')?;
        let start = self.at;
        loop {
            match self.peek().ok_or(Fault::Broken)? {
                '"' => {
                    let inner = start..self.at;
                    self.at += 1;
                    return Ok(inner);
                }
                '\\' => {
                    self.at += 1;
                    self.at += self.peek().ok_or(Fault::Broken)?.len_utf8();
                }
                c if c == '\t' || !c.is_control() => self.at += c.len_utf8(),
                _ => return Err(Fault::Broken),
            }
        }
    }

    fn map(&mut self) -> Result<Value, Fault> {
        self.eat('{')?;
        let mut members = Vec::new();
        loop {
            self.space()?;
            if self.peek() == Some('}') {
                self.at += 1;
                return Ok(Value::Map(Map { style: Style::Braces, members }));
            }
            let start = self.at;
            let inner = self.string()?;
            let key = start..self.at;
            let name = decoded(self.text.get(inner).unwrap_or_default()).ok_or(Fault::Broken)?;
            self.space()?;
            self.eat(':')?;
            self.space()?;
            let node = self.value()?;
            members.push(Member { name, key, node });
            self.space()?;
            match self.peek() {
                Some(',') => self.at += 1,
                Some('}') => {}
                _ => return Err(Fault::Broken),
            }
        }
    }

    fn list(&mut self) -> Result<Value, Fault> {
        self.eat('[')?;
        let mut items = Vec::new();
        loop {
            self.space()?;
            if self.peek() == Some(']') {
                self.at += 1;
                return Ok(Value::List(items));
            }
            items.push(self.value()?);
            self.space()?;
            match self.peek() {
                Some(',') => self.at += 1,
                Some(']') => {}
                _ => return Err(Fault::Broken),
            }
        }
    }
}

/// A key without its escapes.
fn decoded(raw: &str) -> Option<String> {
    let mut out = String::with_capacity(raw.len());
    let mut chars = raw.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next()? {
            'n' => out.push('\n'),
            't' => out.push('\t'),
            'r' => out.push('\r'),
            'b' => out.push('\u{8}'),
            'f' => out.push('\u{c}'),
            c @ ('"' | '\\' | '/') => out.push(c),
            'u' => {
                let unit = hex(&mut chars)?;
                let mut ahead = chars.clone();
                let low = ((0xd800..0xdc00).contains(&unit) && ahead.next() == Some('\\') && ahead.next() == Some('u'))
                    .then(|| hex(&mut ahead))
                    .flatten()
                    .filter(|low| (0xdc00..0xe000).contains(low));
                let code = match low {
                    Some(low) => {
                        chars = ahead;
                        0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00)
                    }
                    None => unit,
                };
                out.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            _ => return None,
        }
    }
    Some(out)
}

fn hex(chars: &mut std::str::Chars<'_>) -> Option<u32> {
    let mut unit = 0;
    for _ in 0..4 {
        unit = unit * 16 + chars.next()?.to_digit(16)?;
    }
    Some(unit)
}
