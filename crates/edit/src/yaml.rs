//! YAML, from the events of a parser: block mappings are a member a line, flow mappings stand between braces. Where an anchor, alias
//! or merge makes one text count in two places there is no edit.

use crate::braces::{self, Comments};
use crate::patch::Piece;
use crate::tree::{Map, Member, Node, Style, Value};
use crate::{Change, Fault, MAX_DEPTH, Patch, Put, Rewrite, Step, line_end, line_start, next_line, written};
use saphyr_parser::{Event, Parser, ScalarStyle, Span};
use std::ops::Range;

/// A list or map that is not closed yet.
struct Open {
    start: usize,
    style: Style,
    value: Value,
    key: Option<(String, Range<usize>)>,
    shared: bool,
}

struct Builder<'a> {
    text: &'a str,
    /// Where the characters begin.
    places: Vec<usize>,
    open: Vec<Open>,
    done: Option<Node>,
}

/// How YAML writes members of flow mappings.
const FLOW: braces::Syntax = braces::Syntax { comments: Comments::Hash, quoted_keys: false, between: ": " };

pub(super) fn rewrite(text: &str, path: &[Step], change: &Change<'_>) -> Result<Rewrite, Fault> {
    let root = parse(text)?;
    let entry = root.at(path)?;
    if entry.node.is_shared() {
        return Err(Fault::Shared);
    }
    let Value::Map(map) = &entry.node.value else { return Err(Fault::Form) };
    let pieces = match map.style {
        Style::Braces => braces::pieces(text, entry.node, change, &FLOW)?,
        Style::Lines => block(text, map, change)?,
    };
    let patch = Patch::new(text, pieces).ok_or(Fault::Form)?;
    let last = patch.pieces().iter().map(|piece| piece.range.end).max().unwrap_or_default();
    let first = patch.pieces().iter().map(|piece| piece.range.start).min().unwrap_or(entry.start);
    Ok(Rewrite { patch, hull: entry.start.min(first)..entry.node.span.end.max(last) })
}

pub(super) fn literals(text: &str, paths: &[&[Step]]) -> Result<Vec<Range<usize>>, Fault> {
    let root = parse(text)?;
    paths.iter().map(|path| root.literal(path)).collect()
}

fn block(text: &str, map: &Map, change: &Change<'_>) -> Result<Vec<Piece>, Fault> {
    map.is_plain()?;
    let anchor = map.anchor(change.anchors)?;
    let mut pieces = Vec::new();
    // The first member of an item stands behind its dash: the next one that stays moves up.
    let mut first: Option<usize> = None;
    for (at, member) in map.members.iter().enumerate() {
        let is_out = at != anchor && change.drop.contains(&member.name.as_str());
        let line = line_start(text, member.key.start);
        let has_line = text.get(line..member.key.start).is_some_and(|front| front.chars().all(|c| c == ' '));
        if is_out && first.is_none() && has_line {
            pieces.push(Piece { range: line..next_line(text, member.node.span.end.max(member.key.end)), text: String::new() });
        } else if is_out {
            first.get_or_insert(member.key.start);
        } else {
            if let Some(start) = first.take() {
                pieces.push(Piece { range: start..member.key.start, text: String::new() });
            }
            if at == anchor {
                pieces.extend(put(text, map, member, change));
            }
        }
    }
    if first.is_some() { Err(Fault::Form) } else { Ok(pieces) }
}

/// The new lines, in the place of one.
fn put(text: &str, map: &Map, anchor: &Member, change: &Change<'_>) -> Vec<Piece> {
    let end = anchor.node.span.end;
    // As far in as the members of the mapping: behind a dash that is further in than the line.
    let column = map.members.first().map_or(0, |first| {
        let start = line_start(text, first.key.start);
        text.get(start..first.key.start).map_or(0, |front| front.chars().count())
    });
    let indent = " ".repeat(column);
    let mut lines = change.put.iter().map(|(name, value): &(&str, Put)| format!("{name}: {}", written(value)));
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

pub(crate) fn parse(whole: &str) -> Result<Node, Fault> {
    // The parser gives characters, and none for a byte order mark.
    let mark = if whole.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
    let text = whole.get(mark..).unwrap_or_default();
    let places = text.char_indices().map(|(at, _)| at + mark).chain([whole.len()]).collect();
    let mut builder = Builder { text: whole, places, open: Vec::new(), done: None };
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|_| Fault::Broken)?;
        match event {
            Event::Scalar(value, style, anchor, tag) => builder.scalar(&value, style, &span, anchor > 0 || tag.is_some()),
            Event::Alias(_) => {
                let span = builder.range(&span);
                builder.add(Node { span, value: Value::Elsewhere }, "", true)?;
                Ok(())
            }
            Event::SequenceStart(anchor, tag) => builder.begin(&span, Value::List(Vec::new()), anchor > 0 || tag.is_some()),
            Event::MappingStart(anchor, tag) => {
                let map = Map { style: Style::Lines, members: Vec::new() };
                builder.begin(&span, Value::Map(map), anchor > 0 || tag.is_some())
            }
            Event::SequenceEnd | Event::MappingEnd => builder.end(&span),
            Event::DocumentEnd if builder.done.is_some() => break,
            _ => Ok(()),
        }?;
    }
    builder.done.ok_or(Fault::Missing)
}

// === impl Builder ===

impl Builder<'_> {
    fn place(&self, index: usize) -> usize {
        self.places.get(index).copied().unwrap_or(self.text.len())
    }

    fn range(&self, span: &Span) -> Range<usize> {
        let start = self.place(span.start.index());
        start..self.place(span.end.index()).max(start)
    }

    fn scalar(&mut self, name: &str, style: ScalarStyle, span: &Span, shared: bool) -> Result<(), Fault> {
        let mut range = self.range(span);
        if !matches!(style, ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted) {
            // A block of text ends for the parser where the next token begins.
            let raw = self.text.get(range.clone()).unwrap_or_default();
            range.end = range.start + raw.trim_end().len();
        }
        let inner = match style {
            ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted if range.len() >= 2 => range.start + 1..range.end - 1,
            _ => range.clone(),
        };
        self.add(Node { span: range, value: Value::Scalar(inner) }, name, shared)
    }

    fn begin(&mut self, span: &Span, value: Value, shared: bool) -> Result<(), Fault> {
        if self.open.len() >= MAX_DEPTH {
            return Err(Fault::Broken);
        }
        let start = self.place(span.start.index());
        let bracket = self.text.as_bytes().get(start);
        let style = if matches!(bracket, Some(b'{' | b'[')) && !span.is_empty() { Style::Braces } else { Style::Lines };
        self.open.push(Open { start, style, value, key: None, shared });
        Ok(())
    }

    fn end(&mut self, span: &Span) -> Result<(), Fault> {
        let Some(mut open) = self.open.pop() else { return Ok(()) };
        let last = match &open.value {
            Value::List(items) => items.last().map(|item| item.span.end),
            Value::Map(map) => map.members.last().map(|member| member.node.span.end.max(member.key.end)),
            _ => None,
        };
        let end = match open.style {
            Style::Braces => self.place(span.end.index()),
            Style::Lines => last.unwrap_or(open.start),
        };
        if let Value::Map(map) = &mut open.value {
            map.style = open.style;
        }
        self.add(Node { span: open.start..end.max(open.start), value: open.value }, "", open.shared)
    }

    fn add(&mut self, mut node: Node, name: &str, shared: bool) -> Result<(), Fault> {
        let Some(open) = self.open.last_mut() else {
            self.done.get_or_insert(node);
            return Ok(());
        };
        if shared {
            // What has an anchor is kept as a place that is not edited; its range is what it was.
            node.value = Value::Elsewhere;
        }
        match (&mut open.value, open.key.take()) {
            (Value::List(items), _) => items.push(node),
            (Value::Map(map), Some((key, range))) => {
                if key == "<<" {
                    node.value = Value::Elsewhere;
                }
                map.members.push(Member { name: key, key: range, node });
            }
            (Value::Map(_), None) if matches!(node.value, Value::Scalar(_)) => open.key = Some((name.to_owned(), node.span)),
            _ => return Err(Fault::Form),
        }
        Ok(())
    }
}
