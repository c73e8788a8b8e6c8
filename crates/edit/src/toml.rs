//! TOML: the lines of a table may stand anywhere in the file, so an entry is every line whose whole key begins with its path. Inline
//! tables are maps between braces.

use crate::braces::{self, Comments};
use crate::patch::Piece;
use crate::tree::{Map, Member, Node, Style, Value};
use crate::{Change, Fault, MAX_DEPTH, MAX_LINES, Patch, Put, Rewrite, Step, line_end, line_start, next_line, written};
use std::ops::Range;
use toml_parser::parser::{Event, EventKind, RecursionGuard, parse_document};
use toml_parser::{ParseError, Source};

/// A line that is a header or a key with its value.
#[derive(Debug)]
struct Line {
    /// From the root.
    path: Vec<Step>,
    /// The key as written; the brackets and all between them of a header.
    key: Range<usize>,
    /// Where the parts of the key are.
    parts: Vec<Range<usize>>,
    /// `None` for headers.
    value: Option<Node>,
}

struct Reader<'a> {
    source: Source<'a>,
    events: Vec<Event>,
    at: usize,
}

/// How TOML writes members of inline tables.
const INLINE: braces::Syntax = braces::Syntax { comments: Comments::Hash, quoted_keys: false, between: " = " };

pub(super) fn rewrite(text: &str, path: &[Step], change: &Change<'_>) -> Result<Rewrite, Fault> {
    let lines = lines(text)?;
    if let Some((line, node)) = inline(&lines, path)? {
        let pieces = braces::pieces(text, node, change, &INLINE)?;
        let patch = Patch::new(text, pieces).ok_or(Fault::Form)?;
        let whole = line.path.len() == path.len();
        return Ok(Rewrite { patch, hull: if whole { line.key.start } else { node.span.start }..node.span.end });
    }
    let own: Vec<&Line> = lines.iter().filter(|line| line.path.starts_with(path)).collect();
    if own.is_empty() {
        return Err(Fault::Missing);
    }
    twice(&own)?;
    let is_member = |line: &Line, name: &str| line.path.get(path.len()) == Some(&Step::Key(name.to_owned()));
    let is_anchor = |line: &&&Line| line.value.is_some() && line.path.len() == path.len() + 1;
    let anchor = change.anchors.iter().find_map(|name| own.iter().find(|line| is_anchor(line) && is_member(line, name)));
    let anchor: &Line = anchor.ok_or(Fault::Form)?;
    let mut pieces = Vec::new();
    for line in &own {
        let end = line.value.as_ref().map_or(line.key.end, |node| node.span.end);
        if std::ptr::eq(*line, anchor) {
            pieces.extend(put(text, line, end, change));
        } else if change.drop.iter().any(|name| is_member(line, name)) {
            pieces.push(Piece { range: line_start(text, line.key.start)..next_line(text, end), text: String::new() });
        }
    }
    let patch = Patch::new(text, pieces).ok_or(Fault::Form)?;
    let start = own.iter().map(|line| line_start(text, line.key.start)).min().unwrap_or_default();
    let end = own.iter().map(|line| next_line(text, line.value.as_ref().map_or(line.key.end, |node| node.span.end))).max();
    Ok(Rewrite { patch, hull: start..end.unwrap_or(text.len()) })
}

pub(super) fn literals(text: &str, paths: &[&[Step]]) -> Result<Vec<Range<usize>>, Fault> {
    let lines = lines(text)?;
    paths.iter().map(|path| literal(&lines, path)).collect()
}

fn literal(lines: &[Line], path: &[Step]) -> Result<Range<usize>, Fault> {
    let mut found = None;
    for line in lines.iter().filter(|line| path.starts_with(&line.path)) {
        let (Some(node), Some(rest)) = (&line.value, path.get(line.path.len()..)) else { continue };
        if found.replace(node.literal(rest)?).is_some() {
            return Err(Fault::Twice);
        }
    }
    found.ok_or(Fault::Missing)
}

/// The inline table that the entry is, or is in.
fn inline<'a>(lines: &'a [Line], path: &[Step]) -> Result<Option<(&'a Line, &'a Node)>, Fault> {
    let mut around = lines.iter().filter(|line| line.value.is_some() && path.starts_with(&line.path));
    let Some(line) = around.next() else { return Ok(None) };
    if around.next().is_some() {
        return Err(Fault::Twice);
    }
    let (Some(node), Some(rest)) = (&line.value, path.get(line.path.len()..)) else { return Ok(None) };
    Ok(Some((line, node.at(rest)?.node)))
}

/// No key of an entry stands twice.
fn twice(lines: &[&Line]) -> Result<(), Fault> {
    let mut paths: Vec<(&[Step], bool)> = lines.iter().map(|line| (line.path.as_slice(), line.value.is_some())).collect();
    paths.sort();
    if paths.windows(2).any(|pair| matches!(pair, [a, b] if a == b)) { Err(Fault::Twice) } else { Ok(()) }
}

/// The new lines, in the place of one.
fn put(text: &str, anchor: &Line, end: usize, change: &Change<'_>) -> Vec<Piece> {
    let value = anchor.value.as_ref().map_or(end, |node| node.span.start);
    let between = text.get(anchor.key.end..value).unwrap_or(" = ");
    // `github.command = ..` below `[mcp_servers]`: what stands before the last part of the key stays.
    let last = anchor.parts.last().map_or(anchor.key.start, |part| part.start);
    let front = text.get(anchor.key.start..last).unwrap_or_default();
    let start = line_start(text, anchor.key.start);
    let indent = text.get(start..anchor.key.start).unwrap_or_default();
    let line = |(name, value): &(&str, Put)| format!("{front}{name}{between}{}", written(value));
    let mut lines = change.put.iter().map(line);
    let first = Piece { range: anchor.key.start..end, text: lines.next().unwrap_or_default() };
    let below = next_line(text, end);
    let newline = line_end(text, anchor.key.start);
    let is_open = text.get(..below).is_some_and(|before| !before.ends_with('\n'));
    let rest: String =
        lines.map(|line| if is_open { format!("{newline}{indent}{line}") } else { format!("{indent}{line}{newline}") }).collect();
    [first, Piece { range: below..below, text: rest }]
        .into_iter()
        .filter(|piece| !(piece.range.is_empty() && piece.text.is_empty()))
        .collect()
}

fn lines(text: &str) -> Result<Vec<Line>, Fault> {
    let source = Source::new(text);
    let tokens: Vec<_> = source.lex().collect();
    let mut events: Vec<Event> = Vec::new();
    let mut errors: Vec<ParseError> = Vec::new();
    let depth = u32::try_from(MAX_DEPTH).unwrap_or(u32::MAX);
    parse_document(&tokens, &mut RecursionGuard::new(&mut events, depth), &mut errors);
    if !errors.is_empty() {
        return Err(Fault::Broken);
    }
    let wanted = |event: &Event| !matches!(event.kind(), EventKind::Whitespace | EventKind::Comment | EventKind::Newline);
    Reader { source, events: events.into_iter().filter(wanted).collect(), at: 0 }.lines()
}

// === impl Reader ===

impl Reader<'_> {
    fn peek(&self) -> Option<&Event> {
        self.events.get(self.at)
    }

    fn lines(mut self) -> Result<Vec<Line>, Fault> {
        let mut found: Vec<Line> = Vec::new();
        let mut table: Vec<Step> = Vec::new();
        let mut lists: Vec<(Vec<Step>, usize)> = Vec::new();
        while let Some(event) = self.peek() {
            if found.len() > MAX_LINES {
                return Err(Fault::Form);
            }
            let (kind, start) = (event.kind(), event.span().start());
            match kind {
                EventKind::StdTableOpen | EventKind::ArrayTableOpen => {
                    self.at += 1;
                    let (names, parts) = self.key()?;
                    let close = self.peek().ok_or(Fault::Broken)?.span().end();
                    self.at += 1;
                    let is_list = kind == EventKind::ArrayTableOpen;
                    table = placed(&names, is_list, &mut lists);
                    found.push(Line { path: table.clone(), key: start..close, parts, value: None });
                }
                EventKind::SimpleKey => {
                    let (names, parts) = self.key()?;
                    let end = parts.last().map_or(start, |part| part.end);
                    if self.peek().map(Event::kind) != Some(EventKind::KeyValSep) {
                        return Err(Fault::Broken);
                    }
                    self.at += 1;
                    let value = self.value()?;
                    let path = table.iter().cloned().chain(names.into_iter().map(Step::Key)).collect();
                    found.push(Line { path, key: start..end, parts, value: Some(value) });
                }
                _ => return Err(Fault::Broken),
            }
        }
        Ok(found)
    }

    /// A key with its parts.
    fn key(&mut self) -> Result<(Vec<String>, Vec<Range<usize>>), Fault> {
        let (mut names, mut parts) = (Vec::new(), Vec::new());
        loop {
            let event = self.peek().filter(|event| event.kind() == EventKind::SimpleKey).ok_or(Fault::Broken)?;
            let span = event.span();
            let raw = self.source.get(event).ok_or(Fault::Broken)?;
            let mut name = std::borrow::Cow::Borrowed("");
            let mut errors: Vec<ParseError> = Vec::new();
            raw.decode_key(&mut name, &mut errors);
            if !errors.is_empty() {
                return Err(Fault::Broken);
            }
            names.push(name.into_owned());
            parts.push(span.start()..span.end());
            self.at += 1;
            if self.peek().map(Event::kind) != Some(EventKind::KeySep) {
                return Ok((names, parts));
            }
            self.at += 1;
        }
    }

    /// A value; the guard of the parser has bounded its depth.
    fn value(&mut self) -> Result<Node, Fault> {
        let event = self.peek().ok_or(Fault::Broken)?;
        let (kind, span) = (event.kind(), event.span().start()..event.span().end());
        self.at += 1;
        match kind {
            EventKind::Scalar => {
                let inner = unquoted(self.source.input(), &span);
                Ok(Node { span, value: Value::Scalar(inner) })
            }
            EventKind::ArrayOpen => {
                let mut items = Vec::new();
                loop {
                    let event = self.peek().ok_or(Fault::Broken)?;
                    let end = event.span().end();
                    match event.kind() {
                        EventKind::ArrayClose => {
                            self.at += 1;
                            return Ok(Node { span: span.start..end, value: Value::List(items) });
                        }
                        EventKind::ValueSep => self.at += 1,
                        _ => items.push(self.value()?),
                    }
                }
            }
            EventKind::InlineTableOpen => {
                let mut members = Vec::new();
                loop {
                    let event = self.peek().ok_or(Fault::Broken)?;
                    let (start, end) = (event.span().start(), event.span().end());
                    match event.kind() {
                        EventKind::InlineTableClose => {
                            self.at += 1;
                            return Ok(Node { span: span.start..end, value: Value::Map(Map { style: Style::Braces, members }) });
                        }
                        EventKind::ValueSep => self.at += 1,
                        _ => {
                            let (names, parts) = self.key()?;
                            self.at += 1;
                            let node = self.value()?;
                            // A key with dots is not taken apart.
                            let name = names.join("\u{0}");
                            members.push(Member { name, key: start..parts.last().map_or(start, |part| part.end), node });
                        }
                    }
                }
            }
            _ => Err(Fault::Broken),
        }
    }
}

/// The path of a header: `[[x]]` begins an item, and what is below `x` belongs to the last one.
fn placed(names: &[String], is_list: bool, lists: &mut Vec<(Vec<Step>, usize)>) -> Vec<Step> {
    let mut path: Vec<Step> = Vec::new();
    for (at, name) in names.iter().enumerate() {
        path.push(Step::Key(name.clone()));
        let is_last = at + 1 == names.len();
        let known = lists.iter_mut().find(|(list, _)| *list == path);
        match (known, is_list && is_last) {
            (Some((_, last)), true) => {
                *last += 1;
                let last = *last;
                path.push(Step::At(last));
            }
            (Some((_, last)), false) => {
                let last = *last;
                path.push(Step::At(last));
            }
            (None, true) => {
                lists.push((path.clone(), 0));
                path.push(Step::At(0));
            }
            (None, false) => {}
        }
    }
    path
}

/// Between the quotes.
fn unquoted(text: &str, span: &Range<usize>) -> Range<usize> {
    let raw = text.get(span.clone()).unwrap_or_default();
    let quotes = ["\"\"\"", "'''", "\"", "'"].into_iter().find(|quotes| raw.starts_with(*quotes) && raw.len() >= quotes.len() * 2);
    quotes.map_or(span.clone(), |quotes| span.start + quotes.len()..span.end - quotes.len())
}
