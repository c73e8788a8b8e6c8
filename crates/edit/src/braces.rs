//! Members between braces: maps of JSON, inline tables of TOML, flow mappings of YAML. Takes members out with their commas, and
//! puts others in the place of one of them. Comments stay.

use crate::patch::Piece;
use crate::tree::{Map, Member, Node, Style, Value};
use crate::{Change, Fault, line_end, line_start, quoted, written};

/// How members are written.
#[derive(Debug)]
pub(crate) struct Syntax {
    pub(crate) comments: Comments,
    pub(crate) quoted_keys: bool,
    /// Between a key and its value, where the anchor gives no example.
    pub(crate) between: &'static str,
}

/// How comments are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Comments {
    /// `//` and `/* */`.
    Slashes,
    /// `#`.
    Hash,
}

/// The pieces that rewrite a map between braces.
pub(crate) fn pieces(text: &str, node: &Node, change: &Change<'_>, syntax: &Syntax) -> Result<Vec<Piece>, Fault> {
    let Value::Map(map) = &node.value else { return Err(Fault::Form) };
    if map.style != Style::Braces {
        return Err(Fault::Form);
    }
    map.is_plain()?;
    if node.is_shared() {
        return Err(Fault::Shared);
    }
    let anchor = map.anchor(change.anchors)?;
    let is_out = |at: usize, member: &Member| at != anchor && change.drop.contains(&member.name.as_str());
    let mut pieces = Vec::new();
    let mut before = node.span.start + 1;
    let mut survivor: Option<usize> = None;
    for (at, member) in map.members.iter().enumerate() {
        let end = member.node.span.end;
        let comma = comma_after(text, end, syntax.comments);
        if at == anchor {
            pieces.push(Piece { range: member.key.start..end, text: put(text, member, change, syntax) });
        }
        if is_out(at, member) {
            let start = white_before(text, before, member.key.start, syntax.comments).ok_or(Fault::Form)?;
            let behind = comma.filter(|comma| text.get(end..*comma).is_some_and(|between| between.trim().is_empty()));
            match (comma, behind) {
                // A comment stands between the two: it stays.
                (Some(comma), None) => {
                    pieces.push(Piece { range: start..end, text: String::new() });
                    pieces.push(Piece { range: comma..comma + 1, text: String::new() });
                }
                _ => {
                    let end = end_of(text, start, behind.map_or(end, |comma| comma + 1));
                    pieces.push(Piece { range: start..end, text: String::new() });
                }
            }
            let is_last = at + 1 == map.members.len();
            if is_last && comma.is_none() {
                pieces.extend(stray_comma(text, map, survivor, syntax));
            }
        } else {
            survivor = Some(at);
        }
        let taken = pieces.last().map_or(0, |piece| piece.range.end);
        before = comma.map_or(end, |comma| comma + 1).max(taken);
    }
    Ok(pieces)
}

/// The comma behind the last member that stays, when what it stood before is gone.
fn stray_comma(text: &str, map: &Map, survivor: Option<usize>, syntax: &Syntax) -> Option<Piece> {
    let member = map.members.get(survivor?)?;
    let comma = comma_after(text, member.node.span.end, syntax.comments)?;
    Some(Piece { range: comma..comma + 1, text: String::new() })
}

/// The new members, in the form of the one in whose place they stand.
fn put(text: &str, anchor: &Member, change: &Change<'_>, syntax: &Syntax) -> String {
    let between = text.get(anchor.key.end..anchor.node.span.start).unwrap_or_default();
    let between =
        if between.chars().all(|c| matches!(c, ' ' | '\t' | ':' | '=')) && !between.is_empty() { between } else { syntax.between };
    let line = line_start(text, anchor.key.start);
    let front = text.get(line..anchor.key.start).unwrap_or_default();
    let alone = front.chars().all(|c| matches!(c, ' ' | '\t'));
    let apart = if alone { format!(",{}{front}", line_end(text, anchor.key.start)) } else { ", ".to_owned() };
    let members = change.put.iter().map(|(name, value)| {
        let key = if *name == anchor.name {
            text.get(anchor.key.clone()).unwrap_or_default().to_owned()
        } else if syntax.quoted_keys {
            quoted(name)
        } else {
            (*name).to_owned()
        };
        format!("{key}{between}{}", written(value))
    });
    members.collect::<Vec<_>>().join(&apart)
}

/// Where white space before a key begins, so that taking it away joins nothing to a comment: one of a line keeps the end of its line.
fn white_before(text: &str, from: usize, key: usize, comments: Comments) -> Option<usize> {
    let (mut start, mut at) = (from, from);
    while at < key {
        let rest = text.get(at..key)?;
        if let Some(comment) = comment(rest, comments) {
            at += comment.len();
            start = at;
        } else {
            let c = rest.chars().next().filter(|c| c.is_whitespace())?;
            at += c.len_utf8();
        }
    }
    Some(start)
}

/// What is taken out behind a member: its comma, and the rest of a line that it had for itself.
fn end_of(text: &str, start: usize, end: usize) -> usize {
    let rest = text.get(end..).unwrap_or_default();
    let blank = rest.find(|c| !matches!(c, ' ' | '\t' | '\r')).filter(|at| rest.as_bytes().get(*at) == Some(&b'\n'));
    match blank {
        Some(blank) if start > 0 && start == line_start(text, start) => end + blank + 1,
        _ => end,
    }
}

/// The comma behind a value, before anything but white space and comments.
fn comma_after(text: &str, from: usize, comments: Comments) -> Option<usize> {
    let at = trivia(text, from, comments)?;
    text.get(at..)?.starts_with(',').then_some(at)
}

/// Behind white space and comments. `None` if a comment does not end.
pub(crate) fn trivia(text: &str, from: usize, comments: Comments) -> Option<usize> {
    let mut at = from;
    loop {
        let rest = text.get(at..)?;
        match rest.chars().next() {
            Some(' ' | '\t' | '\r' | '\n') => at += 1,
            Some('/') if rest.starts_with("/*") && comments == Comments::Slashes && !rest.get(2..)?.contains("*/") => return None,
            Some('/' | '#') => match comment(rest, comments) {
                Some(comment) => at += comment.len(),
                None => return Some(at),
            },
            _ => return Some(at),
        }
    }
}

/// The comment with which a text begins; one of a line with the end of the line.
fn comment(rest: &str, comments: Comments) -> Option<&str> {
    let is_line = match comments {
        Comments::Slashes => rest.starts_with("//"),
        Comments::Hash => rest.starts_with('#'),
    };
    if is_line {
        let end = rest.find('\n').map_or(rest.len(), |newline| newline + 1);
        return rest.get(..end);
    }
    if comments == Comments::Slashes && rest.starts_with("/*") {
        let end = rest.get(2..)?.find("*/")? + 4;
        return rest.get(..end);
    }
    None
}
