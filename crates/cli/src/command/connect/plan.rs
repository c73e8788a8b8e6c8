//! What a connect would change, worked out before anything is: which entries lead to which servers, what is written into their place,
//! what of them moves into Doorward's keeping, and what is left as it is, with the reason. Reads, and writes nothing.

use super::keep::Shelf;
use super::server::{self, Asked, Given, Known, Naming};
use crate::exchange::{self, Unwritten};
use doorward_core::id::ServerName;
use doorward_edit::{Change as Edit, Form, Patch, Put, Rewrite, Step, literal, rewrite};
use doorward_scan::{ANCHORS, CONNECTION, Entry, Found, Keeper, Language, Nature, Reach, Survey, Text, Value, Words};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// What is wanted.
#[derive(Debug)]
pub(super) struct Wanted<'a> {
    /// The client's id; every client if it is not said.
    pub(super) client: Option<&'a str>,
    /// The one server of the gateway.
    pub(super) server: Option<&'a str>,
    pub(super) keeper: Keeper,
    /// The step.
    pub(super) id: &'a str,
    /// The state directory.
    pub(super) state: &'a Path,
    /// The program that entries start, and what follows the name of the server.
    pub(super) program: &'a str,
    pub(super) options: &'a [String],
    /// The directory of a project.
    pub(super) here: Option<&'a Path>,
}

/// Everything that changes.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) files: Vec<FilePlan>,
    pub(super) servers: Vec<Given>,
    pub(super) left: Vec<Left>,
}

/// A file that changes.
#[derive(Debug)]
pub(super) struct FilePlan {
    pub(super) found: Found,
    pub(super) changes: Vec<Change>,
    pub(super) patch: Patch,
    pub(super) after: String,
}

/// An entry that changes.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) entry: usize,
    pub(super) server: ServerName,
    pub(super) words: Vec<String>,
    pub(super) rewrite: Rewrite,
    pub(super) holes: Vec<Hole>,
}

/// A value that moves out of a file.
#[derive(Debug)]
pub(super) struct Hole {
    /// Where it is written.
    pub(super) range: Range<usize>,
    pub(super) key: String,
    pub(super) nature: Nature,
    /// The value, and the file that will have it.
    pub(super) text: Text,
    pub(super) kept: PathBuf,
    /// Where the value as it is written is kept, if that is something else: with escapes.
    pub(super) written: Option<PathBuf>,
}

/// An entry that is left as it is.
#[derive(Debug)]
pub(super) struct Left {
    pub(super) client: &'static str,
    pub(super) shown: String,
    pub(super) line: usize,
    pub(super) entry: String,
    pub(super) why: Why,
}

/// Why.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// There is nothing to do.
    Already,
    /// It is switched off.
    Off,
    /// Something is in the way.
    Cannot(String),
}

/// An entry with more values is not changed.
const MAX_VALUES: usize = 200;
/// A file with more servers is not changed.
const MAX_ENTRIES: usize = 200;

/// What is done with the files that were found.
pub(super) fn plan(survey: Survey, wanted: &Wanted<'_>, known: &mut Known<'_>) -> Plan {
    let mut plan = Plan { files: Vec::new(), servers: Vec::new(), left: Vec::new() };
    for found in survey.files {
        let is_meant = wanted.client.is_none_or(|client| client == found.client.id);
        let is_kept = found.keeper == wanted.keeper || wanted.keeper == Keeper::User && found.keeper != Keeper::Project;
        if is_meant && is_kept {
            file(found, wanted, known, &mut plan);
        }
    }
    plan.servers = known.take();
    plan
}

fn file(found: Found, wanted: &Wanted<'_>, known: &mut Known<'_>, plan: &mut Plan) {
    // What would not be written is said before anything is.
    let writable = match exchange::read(&found.real) {
        Ok(Some(text)) if text == found.text.expose() => Ok(()),
        Ok(_) => Err(Unwritten::Changed.to_string()),
        Err(error) => Err(error.to_string()),
    };
    let mut changes = Vec::new();
    let left = |entry: &Entry, why: Why| Left {
        client: found.client.name,
        shown: found.shown.clone(),
        line: entry.line,
        entry: entry.name.clone(),
        why,
    };
    for (number, entry) in found.entries.iter().enumerate() {
        let name = match &entry.reach {
            Reach::Doorward(name) => name.clone().unwrap_or_else(|| entry.name.clone()),
            _ => crate::command::server::import::short(&entry.name),
        };
        if wanted.server.is_some_and(|server| server != name) {
            continue;
        }
        let mark = known.mark();
        let change = match &entry.reach {
            Reach::Doorward(_) => Err(Why::Already),
            _ if !entry.enabled => Err(Why::Off),
            _ if found.entries.len() > MAX_ENTRIES => Err(Why::Cannot("the file has more servers than are changed at once".to_owned())),
            _ if writable.is_err() && matches!(found.keeper, Keeper::User | Keeper::Project) => {
                Err(Why::Cannot(writable.clone().err().unwrap_or_default()))
            }
            _ => change(&found, number, entry, &name, wanted, known),
        };
        match change {
            Ok(change) => changes.push(change),
            Err(why) => {
                known.back_to(mark);
                plan.left.push(left(entry, why));
            }
        }
    }
    if changes.is_empty() {
        return;
    }
    if super::show::covered(&found.path, found.text.expose(), &[]).is_none() {
        let why = "it cannot be told what in the file is a secret, so the change cannot be shown";
        let entries: Vec<&Entry> = changes.iter().filter_map(|change: &Change| found.entries.get(change.entry)).collect();
        plan.left.extend(entries.into_iter().map(|entry| left(entry, Why::Cannot(why.to_owned()))));
        return;
    }
    let text = found.text.expose();
    let patch = Patch::joined(text, changes.iter().map(|change: &Change| &change.rewrite.patch));
    let after = patch.as_ref().map(|patch| patch.apply(text)).unwrap_or_default();
    let back: Vec<(&Entry, &[String])> =
        changes.iter().filter_map(|change: &Change| Some((found.entries.get(change.entry)?, change.words.as_slice()))).collect();
    match (patch, found.reads_back(&after, &back)) {
        (Some(patch), Ok(())) => plan.files.push(FilePlan { found, changes, patch, after }),
        (_, result) => {
            let why = result.err().map_or_else(|| "two entries overlap".to_owned(), |unlike| unlike.to_string());
            for (entry, _) in &back {
                plan.left.push(left(entry, Why::Cannot(why.clone())));
            }
        }
    }
}

fn change(found: &Found, number: usize, entry: &Entry, name: &str, wanted: &Wanted<'_>, known: &mut Known<'_>) -> Result<Change, Why> {
    let cannot = |why: &str| Why::Cannot(why.to_owned());
    match found.keeper {
        Keeper::Managed => return Err(cannot("an administrator keeps this file: ask there")),
        Keeper::Plugin => return Err(cannot("a plug-in keeps this file and makes it anew: switch the plug-in's server off instead")),
        Keeper::User | Keeper::Project => {}
    }
    let server = ServerName::new(name).map_err(|_| cannot("its name gives none for the gateway: rename it to letters, digits and -"))?;
    let base = if found.keeper == Keeper::Project { wanted.here.map(Path::to_owned) } else { project_of(entry) };
    let covers = found.covers.iter().filter(|cover| cover.steps.starts_with(&entry.steps)).count();
    if entry.env.len() + entry.headers.len() + covers > MAX_VALUES {
        return Err(cannot("it has more values than are moved at once"));
    }
    let mut holes = Vec::new();
    for value in entry.env.iter().chain(&entry.headers).filter(|value| matches!(value.nature, Nature::Secret { .. } | Nature::Unclear)) {
        holes.push(hole(found, value, &server, wanted, &mut known.shelf)?);
    }
    holes.extend(besides(found, entry, &server, wanted, &holes, &mut known.shelf)?);
    let naming = if wanted.server.is_some() { Naming::Said } else { Naming::Found };
    known.resolve(&server, &Asked { entry, found, base: base.as_deref(), holes: &holes, naming }).map_err(Why::Cannot)?;
    let words: Vec<String> =
        [wanted.program, "bridge", server.as_str()].into_iter().map(str::to_owned).chain(wanted.options.iter().cloned()).collect();
    let put = put(entry, &words);
    let edit = Edit { anchors: ANCHORS, drop: CONNECTION, put: &put };
    let rewrite =
        rewrite(form(found.language), found.text.expose(), &steps(&entry.steps), &edit).map_err(|fault| Why::Cannot(fault.to_string()))?;
    Ok(Change { entry: number, server, words, rewrite, holes })
}

/// The members of the new entry, in the form of this client.
pub(super) fn put(entry: &Entry, words: &[String]) -> Vec<(&'static str, Put)> {
    let kind = entry.kind.map(|(key, value)| (key, Put::Text(value.to_owned())));
    let program = words.first().cloned().unwrap_or_default();
    let rest = words.get(1..).unwrap_or_default().to_vec();
    let how = match entry.words {
        Words::Apart(key) => vec![(key, Put::Text(program)), ("args", Put::List(rest))],
        Words::Together(key) => vec![(key, Put::List(words.to_vec()))],
    };
    kind.into_iter().chain(how).collect()
}

/// Claude Code keeps servers of one project under its path.
fn project_of(entry: &Entry) -> Option<PathBuf> {
    match entry.steps.as_slice() {
        [doorward_scan::Step::Key(first), doorward_scan::Step::Key(path), ..] if first == "projects" => Some(PathBuf::from(path)),
        _ => None,
    }
}

fn hole(found: &Found, value: &Value, server: &ServerName, wanted: &Wanted<'_>, shelf: &mut Shelf) -> Result<Hole, Why> {
    let text = value.text.expose();
    if text.is_empty() || text.len() > server::MAX_VALUE || text.chars().any(char::is_control) {
        return Err(Why::Cannot(format!("the value of {} has several lines or is too long to be kept", crate::console::inert(&value.key))));
    }
    let range = literal(form(found.language), found.text.expose(), &steps(&value.steps)).map_err(|fault| Why::Cannot(fault.to_string()))?;
    let kept = shelf.place(wanted.state, server.as_str(), &value.key, wanted.id, text);
    let raw = found.text.expose().get(range.clone()).unwrap_or_default();
    let written = (raw != text).then(|| kept.with_extension(format!("written-{}", wanted.id)));
    Ok(Hole { range, key: value.key.clone(), nature: value.nature.clone(), text: value.text.clone(), kept, written })
}

/// Secrets of an entry that stand elsewhere in it: in arguments, in an address. Where the gateway has the server already they only
/// leave the file; no reference leads to them.
fn besides(
    found: &Found,
    entry: &Entry,
    server: &ServerName,
    wanted: &Wanted<'_>,
    known: &[Hole],
    shelf: &mut Shelf,
) -> Result<Vec<Hole>, Why> {
    let mut holes = Vec::new();
    for cover in found.covers.iter().filter(|cover| cover.steps.starts_with(&entry.steps)) {
        let way = steps(&cover.steps);
        let range = literal(form(found.language), found.text.expose(), &way).map_err(|fault| Why::Cannot(fault.to_string()))?;
        if known.iter().any(|hole| hole.range == range) {
            continue;
        }
        let names = way.iter().skip(entry.steps.len()).map(|step| match step {
            Step::Key(key) => key.clone(),
            Step::At(at) => at.to_string(),
        });
        let key = names.collect::<Vec<_>>().join("-");
        let raw = found.text.expose().get(range.clone()).unwrap_or_default();
        let kept = shelf.place(wanted.state, server.as_str(), &key, wanted.id, raw);
        holes.push(Hole { range, key, nature: cover.nature.clone(), text: Text::of(raw), kept, written: None });
    }
    Ok(holes)
}

/// The language of a file, for the edits.
pub(super) const fn form(language: Language) -> Form {
    match language {
        Language::Json => Form::Json,
        Language::Toml => Form::Toml,
        Language::Yaml => Form::Yaml,
    }
}

/// A way, for the edits.
pub(super) fn steps(steps: &[doorward_scan::Step]) -> Vec<Step> {
    let step = |step: &doorward_scan::Step| match step {
        doorward_scan::Step::Key(key) => Step::Key(key.clone()),
        doorward_scan::Step::At(at) => Step::At(*at),
    };
    steps.iter().map(step).collect()
}
