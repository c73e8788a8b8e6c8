//! Does what was planned, in an order in which each end leaves something that can be taken back: secrets into Doorward's keeping, the
//! step written down, backups, the configuration, keys, then one client's file after the other.

use super::journal::{self, Back, ChangeStep, Desk, FileStep, KeyNote, OWN, Part, Stage, State, Step, digest};
use super::plan::{Change, FilePlan, Hole, Plan};
use super::{KEYS, keep};
use crate::args::Global;
use crate::command::apikey::{CreateArguments, make};
use crate::command::server::file::Draft;
use crate::exchange;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::house::{self, House};
use crate::settings::reason;
use doorward_edit::{Patch, Piece};
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

/// What stands in the place of a value that moved.
pub(super) const PLACEHOLDER: &str = "kept-by-doorward";

/// What a step is made with.
pub(super) struct Order<'a> {
    pub(super) id: &'a str,
    pub(super) state: &'a Path,
    pub(super) global: &'a Global,
    pub(super) grant: &'a [String],
    pub(super) user: &'a str,
}

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Done {
    /// Files that were written, as people write them.
    pub(super) written: Vec<String>,
    /// Servers for which a key was made.
    pub(super) keys: Vec<String>,
}

/// Does it. `told` hears of each file that was written.
///
/// # Errors
/// [`Failure`], which says what was written and what was not.
pub(super) fn apply(plan: &Plan, config: Option<&Draft>, order: &Order<'_>, desk: &Desk) -> Result<Done, Failure> {
    let mut done = Done::default();
    for hole in plan.files.iter().flat_map(|file| &file.changes).flat_map(|change| &change.holes) {
        hold(hole, plan).map_err(|error| {
            let message = "the secrets cannot be kept, so nothing was changed";
            Failure::new(Exit::Unreachable, "connect.keep", message, "check the state directory").because(reason(&error))
        })?;
    }
    let mut step = Step::new(order.id.to_owned(), Vec::new());
    step.files.extend(config.map(|draft| own(draft, plan, order.id)));
    step.files.extend(plan.files.iter().map(|file| of(file, order.id)));
    desk.put(&step)?;
    let half = |done: &Done, what: String, why: String| {
        let written =
            if done.written.is_empty() { "no file was changed".to_owned() } else { format!("changed: {}", done.written.join(", ")) };
        let help = format!("{written}; the other files are as they were. Take it back: doorward connect --undo --all");
        Failure::new(Exit::Unreachable, "connect.half", what, help).because(why)
    };
    for file in &plan.files {
        backup(file, order.id)
            .map_err(|error| half(&done, unchanged(&file.found.shown), format!("no backup can be written: {}", reason(&error))))?;
    }
    if let (Some(draft), Some(own)) = (config, step.files.first()) {
        let parent = draft.path().parent().unwrap_or(Path::new("/"));
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(parent);
        made.map_err(|error| half(&done, unchanged(&own.shown), reason(&error)))?;
        exchange::replace(draft.path(), draft.before(), &draft.after(), &own.draft)
            .map_err(|error| half(&done, unchanged(&own.shown), error.to_string()))?;
        done.written.push(own.shown.clone());
    }
    if let Err(failure) = keys(plan, config, order, &mut step, &mut done) {
        return Err(half(&done, "the keys of the bridge were not made".to_owned(), failure.summary()));
    }
    desk.put(&step)?;
    for file in &plan.files {
        let draft = draft_name(&file.found.real, order.id);
        exchange::replace(&file.found.real, Some(file.found.text.expose()), &file.after, &draft)
            .map_err(|error| half(&done, unchanged(&file.found.shown), error.to_string()))?;
        done.written.push(file.found.shown.clone());
    }
    step.stage = Stage::Done;
    desk.put(&step)?;
    Ok(done)
}

fn unchanged(shown: &str) -> String {
    format!("{shown} was not changed")
}

fn hold(hole: &Hole, plan: &Plan) -> io::Result<()> {
    keep::directory(hole.kept.parent().unwrap_or(Path::new("/")))?;
    put(&hole.kept, hole.text.expose())?;
    let Some(written) = &hole.written else { return Ok(()) };
    let file = plan.files.iter().find(|file| file.changes.iter().flat_map(|change| &change.holes).any(|other| std::ptr::eq(other, hole)));
    let raw = file.and_then(|file| file.found.text.expose().get(hole.range.clone())).unwrap_or_default();
    put(written, raw)
}

/// Twice the same is once.
fn put(path: &Path, text: &str) -> io::Result<()> {
    match keep::write(path, text.as_bytes(), keep::Old::Refuse) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && fs::read(path).is_ok_and(|there| there == text.as_bytes()) => Ok(()),
        other => other,
    }
}

/// The name of a draft beside a file.
pub(super) fn draft_name(path: &Path, id: &str) -> String {
    format!(".{}.doorward-{id}", path.file_name().unwrap_or_default().to_string_lossy())
}

/// Where the backup of a file lies.
pub(super) fn backup_of(path: &Path, id: &str) -> PathBuf {
    let stamp = id.split('-').take(3).collect::<Vec<_>>().join("-");
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let first = path.with_file_name(format!("{name}.{stamp}.bak"));
    // Two in one second.
    if first.symlink_metadata().is_ok() { path.with_file_name(format!("{name}.{id}.bak")) } else { first }
}

/// The text before, but for what moved into Doorward's keeping: a copy of a secret would stay behind where nobody looks.
fn backup(file: &FilePlan, id: &str) -> io::Result<()> {
    let text = file.found.text.expose();
    let holes = file.changes.iter().flat_map(|change| &change.holes);
    let covers = holes.map(|hole| Piece { range: hole.range.clone(), text: PLACEHOLDER.to_owned() }).collect();
    let covered = Patch::new(text, covers).ok_or_else(|| io::Error::other("two values overlap"))?.apply(text);
    let mode = fs::metadata(&file.found.real)?.mode() & 0o777;
    let backup = backup_of(&file.found.real, id);
    // Under the name of the draft until it is whole: what a killed program leaves is known by it.
    let draft = file.found.real.with_file_name(draft_name(&file.found.real, id));
    keep::write_as(&backup, &draft, covered.as_bytes(), keep::Old::Refuse, mode)
}

/// A change of the configuration, written down like one of a client.
fn own(draft: &Draft, plan: &Plan, id: &str) -> FileStep {
    let before = draft.before().unwrap_or_default();
    let after = draft.after();
    let patch = Patch::between(before, &after);
    let back = patch.inverse(before);
    let piece = back.pieces().first().cloned();
    let range = piece.as_ref().map_or(0..0, |piece| piece.range.clone());
    let names: Vec<&str> = plan.servers.iter().map(|given| given.name.as_str()).collect();
    FileStep {
        client: OWN.to_owned(),
        path: draft.path().to_owned(),
        shown: crate::state::tilde(draft.path()),
        draft: draft_name(draft.path(), id),
        before: draft.before().map(digest),
        changes: vec![ChangeStep {
            entry: names.join(" "),
            server: String::new(),
            at: range.start,
            text: after.get(range.clone()).unwrap_or_default().to_owned(),
            back: vec![Back { start: 0, end: range.len(), parts: vec![Part::Text(piece.map(|piece| piece.text).unwrap_or_default())] }],
            state: State::Live,
        }],
    }
}

fn of(file: &FilePlan, id: &str) -> FileStep {
    FileStep {
        client: file.found.client.id.to_owned(),
        path: file.found.real.clone(),
        shown: file.found.shown.clone(),
        draft: draft_name(&file.found.real, id),
        before: Some(digest(file.found.text.expose())),
        changes: file.changes.iter().map(|change| one(file, change)).collect(),
    }
}

fn one(file: &FilePlan, change: &Change) -> ChangeStep {
    let before = file.found.text.expose();
    let hull = file.patch.moved(&change.rewrite.hull);
    let back = file.patch.inverse(before);
    let pairs = file.patch.pieces().iter().zip(back.pieces());
    let own = pairs.filter(|(piece, _)| change.rewrite.patch.pieces().contains(piece));
    ChangeStep {
        entry: file.found.entries.get(change.entry).map(|entry| entry.name.clone()).unwrap_or_default(),
        server: change.server.as_str().to_owned(),
        at: hull.start,
        text: file.after.get(hull.clone()).unwrap_or_default().to_owned(),
        back: own
            .map(|(piece, back)| Back {
                start: back.range.start - hull.start,
                end: back.range.end - hull.start,
                parts: parts(before, piece.range.start, piece.range.end, &change.holes),
            })
            .collect(),
        state: State::Live,
    }
}

/// A piece of the text before, with secrets as what keeps them.
fn parts(before: &str, start: usize, end: usize, holes: &[Hole]) -> Vec<Part> {
    let mut inside: Vec<&Hole> = holes.iter().filter(|hole| hole.range.start >= start && hole.range.end <= end).collect();
    inside.sort_by_key(|hole| hole.range.start);
    let mut parts = Vec::new();
    let mut at = start;
    for hole in inside {
        parts.push(Part::Text(before.get(at..hole.range.start).unwrap_or_default().to_owned()));
        parts.push(Part::Kept(hole.written.as_ref().unwrap_or(&hole.kept).clone()));
        at = hole.range.end;
    }
    parts.push(Part::Text(before.get(at..end).unwrap_or_default().to_owned()));
    parts
}

/// A key of the bridge for each server that has none.
fn keys(plan: &Plan, config: Option<&Draft>, order: &Order<'_>, step: &mut Step, done: &mut Done) -> Result<(), Failure> {
    let directory = order.state.join(KEYS);
    let servers: BTreeSet<&str> = plan.files.iter().flat_map(|file| &file.changes).map(|change| change.server.as_str()).collect();
    let missing: Vec<&str> = servers.into_iter().filter(|server| !directory.join(format!("{server}.key")).is_file()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let mut global = order.global.clone();
    if let Some(draft) = config {
        global.config = Some(draft.path().to_owned());
    }
    let house = House::open(&global)?;
    let unkept = |error: io::Error| {
        Failure::new(
            Exit::Unreachable,
            "connect.keep",
            "the key of the bridge cannot be kept",
            "check the state directory; then: doorward connect --undo --all",
        )
        .because(reason(&error))
    };
    keep::directory(&directory).map_err(unkept)?;
    house::runtime()?.block_on(async {
        let store = house.store().await?;
        for server in missing {
            let arguments = CreateArguments {
                label: label(server),
                user: order.user.to_owned(),
                groups: Vec::new(),
                agent: None,
                servers: vec![server.to_owned()],
                grant: order.grant.to_vec(),
                ttl: LIFE.to_owned(),
            };
            let (token, id) = make(house.config(), &house.env, &store, &arguments).await?;
            keep::write(&directory.join(format!("{server}.key")), token.reveal().as_bytes(), keep::Old::Replace).map_err(unkept)?;
            step.keys.push(KeyNote { server: server.to_owned(), id: id.as_str().to_owned() });
            done.keys.push(server.to_owned());
        }
        store.close().await;
        Ok(())
    })
}

/// How the key of a bridge is called in the list of keys.
pub(super) fn label(server: &str) -> String {
    format!("doorward connect: bridge to {server}")
}

/// How long a key of the bridge lives.
pub(super) const LIFE: &str = "365d";

/// Whether a step was begun and not ended: then it is taken back first.
pub(super) fn unfinished(steps: &[Step]) -> Option<&Step> {
    steps.iter().find(|step| step.stage == journal::Stage::Begun && step.is_live())
}
