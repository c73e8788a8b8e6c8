//! What people and programs see of a change: a unified difference in which no value stands that must not be shown, what moves where,
//! and what is left with the reason.

use super::plan::{Left, Plan, Why, form, steps};
use super::restore;
use crate::console::{Console, Form, Sign, counted, inert};
use doorward_edit::{Patch, Piece, Step, literals};
use doorward_scan::{Nature, covered_line, covers, language};
use serde_json::{Value, json};
use similar::{ChangeTag, TextDiff};
use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path;

/// A text of a file with everything covered that must not be shown. `None` if it cannot be told what that is.
pub(super) fn covered(path: &Path, text: &str, more: &[Range<usize>]) -> Option<String> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let form = form(language(&name));
    let mut pieces: Vec<Piece> = more
        .iter()
        .map(|range| Piece { range: range.clone(), text: format!("...({})", text.get(range.clone()).unwrap_or_default().chars().count()) })
        .collect();
    let covers = covers(&name, text)?;
    let ways: Vec<Vec<Step>> = covers.iter().map(|cover| steps(&cover.steps)).collect();
    let ranges = literals(form, text, &ways.iter().map(Vec::as_slice).collect::<Vec<_>>()).ok()?;
    for (cover, range) in covers.into_iter().zip(ranges) {
        if !pieces.iter().any(|piece| piece.range.start < range.end && range.start < piece.range.end) {
            pieces.push(Piece { range, text: cover.shown });
        }
    }
    Patch::new(text, pieces).map(|patch| patch.apply(text))
}

/// The unified difference of two texts, with one line around what differs.
pub(super) fn difference(before: &str, after: &str) -> Vec<String> {
    let diff = TextDiff::from_lines(before, after);
    let mut lines = Vec::new();
    for group in diff.grouped_ops(1) {
        let (Some(first), Some(last)) = (group.first(), group.last()) else { continue };
        let span = |from: Range<usize>, to: Range<usize>| {
            let length = to.end - from.start;
            format!("{},{length}", if length == 0 { from.start } else { from.start + 1 })
        };
        lines.push(format!("@@ -{} +{} @@", span(first.old_range(), last.old_range()), span(first.new_range(), last.new_range())));
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            let sign = match change.tag() {
                ChangeTag::Delete => '-',
                ChangeTag::Insert => '+',
                ChangeTag::Equal => ' ',
            };
            let line = covered_line(change.value().trim_end_matches(['\n', '\r']));
            lines.push(format!("{sign}{}", inert(&line)).trim_end().to_owned());
        }
    }
    lines
}

/// Says what would change.
pub(super) fn plan(
    plan: &Plan,
    config: Option<(&str, Vec<String>)>,
    backup: &dyn Fn(&Path) -> String,
    keeping: &str,
    console: &mut Console,
) {
    for file in &plan.files {
        console.say(format_args!("{}  {}", inert(&file.found.shown), file.found.client.name));
        for line in lines(&file.found.path, file.found.text.expose(), &file.after, &[]) {
            console.say(format_args!("  {line}"));
        }
        console.say(format_args!("  A backup without what moves stays at {}", inert(&backup(&file.found.real))));
    }
    if let Some((shown, lines)) = config {
        console.say(format_args!("{}  the gateway", inert(shown)));
        for line in lines {
            console.say(format_args!("  {line}"));
        }
    }
    let mut told: BTreeSet<[u8; 32]> = BTreeSet::new();
    let mut moved = 0;
    let mut advice = Vec::new();
    for change in plan.files.iter().flat_map(|file| &file.changes) {
        for hole in &change.holes {
            if !told.insert(hole.text.fingerprint()) {
                continue;
            }
            moved += 1;
            if let Nature::Secret { title, revoke } = &hole.nature {
                let at = if revoke.is_empty() { "where it was issued".to_owned() } else { (*revoke).to_owned() };
                advice.push(format!("{title} {} of {}: {at}", inert(&hole.key), change.server));
            }
        }
    }
    if moved > 0 {
        let what = if moved == 1 { "1 value moves".to_owned() } else { format!("{moved} values move") };
        console.say(format_args!("{what} into Doorward's keeping: {}", inert(keeping)));
    }
    if !advice.is_empty() {
        console.say("They have been in a file: revoke them, and put new ones into Doorward's keeping");
        advice.iter().for_each(|line| console.say(format_args!("  {line}")));
    }
    left(&plan.left, console);
}

pub(super) fn lines(path: &Path, before: &str, after: &str, more: &[Range<usize>]) -> Vec<String> {
    match (covered(path, before, &[]), covered(path, after, more)) {
        (Some(before), Some(after)) => difference(&before, &after),
        _ => vec!["(not shown: it cannot be told what in it is a secret)".to_owned()],
    }
}

fn left(left: &[Left], console: &mut Console) {
    for one in left {
        let why = match &one.why {
            Why::Already => "goes through the gateway already".to_owned(),
            Why::Off => "is switched off, and stays as it is".to_owned(),
            Why::Cannot(why) => format!("stays as it is: {why}"),
        };
        let note = if matches!(one.why, Why::Cannot(_)) { console.sign(Sign::Note) } else { "-".to_owned() };
        console.say(format_args!("{note} {} ({}, {}:{}) {why}", inert(&one.entry), one.client, inert(&one.shown), one.line));
    }
}

/// Says what would be taken back.
pub(super) fn returns(plan: &restore::Plan, console: &mut Console) {
    for file in &plan.files {
        console.say(inert(&file.shown));
        for line in lines(&file.path, &file.before, &file.after, &file.covers) {
            console.say(format_args!("  {line}"));
        }
        if !file.stay.is_empty() {
            let count = counted(u64::try_from(file.stay.len()).unwrap_or(u64::MAX), "value");
            console.say(format_args!("  {count} in Doorward's keeping: the entry gets a placeholder; --with-secrets puts them back"));
            file.stay.iter().for_each(|path| console.say(format_args!("    {}", inert(&crate::state::tilde(path)))));
        }
    }
    let note = console.sign(Sign::Note);
    for (shown, entry, why) in &plan.left {
        console.say(format_args!("{note} {} ({}) stays as it is: {why}", inert(entry), inert(shown)));
    }
}

/// The plan as a document.
pub(super) fn document(plan: &Plan, config: Option<(&str, Vec<String>)>) -> Value {
    let files: Vec<Value> = plan
        .files
        .iter()
        .map(|file| {
            let servers: Vec<&str> = file.changes.iter().map(|change| change.server.as_str()).collect();
            let moved: Vec<Value> = file
                .changes
                .iter()
                .flat_map(|change| change.holes.iter().map(move |hole| (change, hole)))
                .map(|(change, hole)| {
                    let (title, revoke) = match &hole.nature {
                        Nature::Secret { title, revoke } => (Some(*title), Some(*revoke).filter(|at| !at.is_empty())),
                        _ => (None, None),
                    };
                    json!({"server": change.server.as_str(), "key": hole.key, "kind": title, "revoke": revoke})
                })
                .collect();
            let lines = lines(&file.found.path, file.found.text.expose(), &file.after, &[]);
            json!({"client": file.found.client.id, "file": file.found.shown, "servers": servers, "moves": moved, "difference": lines})
        })
        .collect();
    let left: Vec<Value> = plan
        .left
        .iter()
        .map(|one| {
            let (state, why) = match &one.why {
                Why::Already => ("already", None),
                Why::Off => ("off", None),
                Why::Cannot(why) => ("cannot", Some(why)),
            };
            json!({"client": one.client, "file": one.shown, "line": one.line, "entry": inert(&one.entry), "state": state, "why": why})
        })
        .collect();
    let config = config.map(|(shown, lines)| json!({"file": shown, "difference": lines}));
    let added: Vec<&str> = plan.servers.iter().map(|given| given.name.as_str()).collect();
    json!({"files": files, "left": left, "configuration": config, "added": added})
}

/// Whether somebody asked for JSON.
pub(super) fn is_json(console: &Console) -> bool {
    console.form() == Form::Json
}
