//! Takes changes back: `disconnect`, and `connect --undo`. An entry is found as it was written, wherever it stands by now; one that
//! somebody changed since is left as it is. Secrets return only when they are asked for.

use super::KEYS;
use super::apply::{PLACEHOLDER, label};
use super::journal::{ChangeStep, Desk, FileStep, OWN, Part, Stage, State, Step, digest};
use crate::args::Global;
use crate::command::apikey::unavailable;
use crate::command::server::add::withdraw;
use crate::exchange;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::house::{self, House};
use doorward_core::id::ServerName;
use doorward_edit::{Patch, Piece};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

// === impl Plan ===

impl Plan {
    /// Whether there is nothing to do.
    pub(super) fn is_empty(&self) -> bool {
        self.files.is_empty() && self.gone.is_empty()
    }
}

/// What is taken back.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted<'a> {
    /// The client's id; every client if it is not said.
    pub(super) client: Option<&'a str>,
    pub(super) server: Option<&'a str>,
    pub(super) secrets: Secrets,
    pub(super) config: Config,
}

/// Whether secrets go back into the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Secrets {
    Return,
    Stay,
}

/// Whether servers that a step gave the gateway are taken out of it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Config {
    TakeBack,
    Leave,
}

/// What will be done with one file.
#[derive(Debug)]
pub(super) struct Return {
    pub(super) path: PathBuf,
    pub(super) shown: String,
    pub(super) before: String,
    pub(super) after: String,
    /// Names of entries.
    pub(super) entries: Vec<String>,
    /// Secrets that stay in Doorward's keeping.
    pub(super) stay: Vec<PathBuf>,
    /// Ranges of `after` that hold secrets which return.
    pub(super) covers: Vec<std::ops::Range<usize>>,
    places: Vec<(usize, usize, usize)>,
    is_own: bool,
    /// There was no file before.
    is_new: bool,
    draft: String,
}

/// Everything that is taken back.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) files: Vec<Return>,
    /// Entries that are left, with the reason.
    pub(super) left: Vec<(String, String, String)>,
    /// Changes that were never made, or are gone already.
    gone: Vec<(usize, usize, usize)>,
    /// Drafts that a killed program left behind.
    drafts: Vec<PathBuf>,
}

/// Works out what is taken back of the chosen ones among all steps.
pub(super) fn plan(steps: &[Step], wanted: Wanted<'_>, chosen: &[Step]) -> Plan {
    let mut plan = Plan::default();
    let ids: Vec<&str> = chosen.iter().map(|step| step.id.as_str()).collect();
    let mut seen: BTreeSet<&Path> = BTreeSet::new();
    for file in chosen.iter().flat_map(|step| &step.files) {
        if seen.insert(&file.path) {
            one(steps, &ids, &file.path, wanted, &mut plan);
        }
    }
    in_use(steps, &mut plan);
    plan
}

/// A server to which entries of other steps lead stays with the gateway.
fn in_use(steps: &[Step], plan: &mut Plan) {
    let back: BTreeSet<(usize, usize, usize)> = plan.files.iter().flat_map(|file| &file.places).chain(&plan.gone).copied().collect();
    let mut stay: BTreeSet<&str> = BTreeSet::new();
    for (s, step) in steps.iter().enumerate() {
        for (f, file) in step.files.iter().enumerate().filter(|(_, file)| file.client != OWN) {
            let live = file.changes.iter().enumerate().filter(|(c, change)| change.state == State::Live && !back.contains(&(s, f, *c)));
            stay.extend(live.map(|(_, change)| change.server.as_str()));
        }
    }
    let is_needed = |file: &Return| file.is_own && file.entries.iter().flat_map(|names| names.split(' ')).any(|name| stay.contains(name));
    let (needed, files): (Vec<Return>, Vec<Return>) = std::mem::take(&mut plan.files).into_iter().partition(is_needed);
    plan.files = files;
    plan.left.extend(
        needed
            .into_iter()
            .map(|file| (file.shown, file.entries.join(" "), "other entries lead to it: doorward server remove takes it out".to_owned())),
    );
}

fn is_meant(file: &FileStep, change: &ChangeStep, wanted: Wanted<'_>) -> bool {
    if file.client == OWN {
        return wanted.config == Config::TakeBack && change.state == State::Live;
    }
    change.state == State::Live
        && wanted.client.is_none_or(|client| client == file.client)
        && wanted.server.is_none_or(|server| server == change.server)
}

fn one(steps: &[Step], chosen: &[&str], path: &Path, wanted: Wanted<'_>, plan: &mut Plan) {
    let mut meant: Vec<(usize, usize, usize, &FileStep, &ChangeStep)> = Vec::new();
    for (s, step) in steps.iter().enumerate().filter(|(_, step)| chosen.contains(&step.id.as_str())) {
        for (f, file) in step.files.iter().enumerate().filter(|(_, file)| file.path == path) {
            let changes = file.changes.iter().enumerate().filter(|(_, change)| is_meant(file, change, wanted));
            meant.extend(changes.map(|(c, change)| (s, f, c, file, change)));
        }
    }
    plan.drafts.extend(meant.iter().map(|(.., file, _)| path.with_file_name(&file.draft)));
    let Some((.., first, _)) = meant.first() else { return };
    let shown = first.shown.clone();
    let is_own = first.client == OWN;
    let before = match exchange::read(path) {
        Ok(Some(text)) => text,
        Ok(None) => {
            for (s, f, c, file, change) in meant {
                if file.before.is_none() {
                    plan.gone.push((s, f, c));
                } else {
                    plan.left.push((shown.clone(), change.entry.clone(), "the file is gone".to_owned()));
                }
            }
            return;
        }
        Err(error) => {
            // What would not be written now may never have been.
            let now = std::fs::read(path).ok().and_then(|bytes| String::from_utf8(bytes).ok()).map(|text| digest(&text));
            for (s, f, c, file, change) in meant {
                if now.is_some() && file.before == now {
                    plan.gone.push((s, f, c));
                } else {
                    plan.left.push((shown.clone(), change.entry.clone(), error.to_string()));
                }
            }
            return;
        }
    };
    let hash = digest(&before);
    let mut made = Return {
        path: path.to_owned(),
        shown,
        after: String::new(),
        entries: Vec::new(),
        stay: Vec::new(),
        covers: Vec::new(),
        places: Vec::new(),
        is_own,
        is_new: first.before.is_none(),
        draft: first.draft.clone(),
        before,
    };
    let mut pieces = Vec::new();
    let mut secrets: Vec<Piece> = Vec::new();
    let mut taken: Vec<std::ops::Range<usize>> = Vec::new();
    for (s, f, c, file, change) in meant {
        let Some(at) = place(&made.before, change, &taken) else {
            if file.before.as_ref() == Some(&hash) {
                plan.gone.push((s, f, c));
            } else {
                let why = "it was changed since, or is gone: change it by hand; the backup lies beside the file";
                plan.left.push((made.shown.clone(), change.entry.clone(), why.to_owned()));
            }
            continue;
        };
        match filled(change, at, wanted.secrets) {
            Ok(Filled { pieces: own, holds, stay }) => {
                taken.push(at..at + change.text.len());
                pieces.extend(own);
                secrets.extend(holds);
                made.stay.extend(stay);
                made.entries.push(change.entry.clone());
                made.places.push((s, f, c));
            }
            Err(path) => {
                let why = format!("its secret is gone from {}", path.display());
                plan.left.push((made.shown.clone(), change.entry.clone(), why));
            }
        }
    }
    if made.places.is_empty() {
        return;
    }
    let Some(patch) = Patch::new(&made.before, pieces) else {
        plan.left.extend(made.entries.iter().map(|entry| (made.shown.clone(), entry.clone(), "two entries overlap".to_owned())));
        return;
    };
    made.after = patch.apply(&made.before);
    made.covers = covers(&patch, &secrets);
    plan.files.push(made);
}

/// Where an entry stands: where it was written, else the one other place with the same text.
fn place(text: &str, change: &ChangeStep, taken: &[std::ops::Range<usize>]) -> Option<usize> {
    let is_free = |at: usize| !taken.iter().any(|other| other.start < at + change.text.len() && at < other.end);
    if text.get(change.at..).is_some_and(|rest| rest.starts_with(&change.text)) && is_free(change.at) {
        return Some(change.at);
    }
    if change.text.trim().is_empty() {
        return None;
    }
    let mut found = text.match_indices(&change.text).map(|(at, _)| at).filter(|at| is_free(*at));
    let first = found.next()?;
    if found.next().is_some() { None } else { Some(first) }
}

/// A change with its secrets, as it goes back.
struct Filled {
    pieces: Vec<Piece>,
    /// Secrets: their ranges within a piece, whose start stands as the text.
    holds: Vec<Piece>,
    /// What stays in Doorward's keeping.
    stay: Vec<PathBuf>,
}

/// The pieces that take a change back, those of its secrets among them, and what stays in Doorward's keeping.
fn filled(change: &ChangeStep, at: usize, secrets: Secrets) -> Result<Filled, PathBuf> {
    let (mut pieces, mut holds, mut stay) = (Vec::new(), Vec::new(), Vec::new());
    for back in &change.back {
        let range = at + back.start..at + back.end;
        let mut text = String::new();
        for part in &back.parts {
            match part {
                Part::Text(part) => text.push_str(part),
                Part::Kept(path) if secrets == Secrets::Return => {
                    let value = std::fs::read_to_string(path).map_err(|_| path.clone())?;
                    let start = text.len();
                    text.push_str(&value);
                    // Relative to the piece.
                    holds.push(Piece { range: start..text.len(), text: range.start.to_string() });
                }
                Part::Kept(path) => {
                    text.push_str(PLACEHOLDER);
                    stay.push(path.clone());
                }
            }
        }
        pieces.push(Piece { range, text });
    }
    Ok(Filled { pieces, holds, stay })
}

/// Where secrets that return stand in the text afterwards.
fn covers(patch: &Patch, holds: &[Piece]) -> Vec<std::ops::Range<usize>> {
    let inverse = patch.inverse("");
    let mut found = Vec::new();
    for (piece, back) in patch.pieces().iter().zip(inverse.pieces()) {
        let start = piece.range.start.to_string();
        let own = holds.iter().filter(|hold| hold.text == start && hold.range.end <= piece.text.len());
        found.extend(own.map(|hold| back.range.start + hold.range.start..back.range.start + hold.range.end));
    }
    found.sort_by_key(|range| range.start);
    found.dedup();
    found
}

/// Does it.
///
/// # Errors
/// [`Failure`], which says what was taken back and what was not.
pub(super) fn apply(plan: &Plan, steps: &mut [Step], global: &Global, state: &Path, desk: &Desk) -> Result<Vec<String>, Failure> {
    let mut done: Vec<String> = Vec::new();
    let mark = |steps: &mut [Step], places: &[(usize, usize, usize)]| -> Result<(), Failure> {
        for (s, f, c) in places {
            let change = steps.get_mut(*s).and_then(|step| step.files.get_mut(*f)).and_then(|file| file.changes.get_mut(*c));
            if let Some(change) = change {
                change.state = State::Undone;
            }
        }
        let touched: BTreeSet<usize> = places.iter().map(|(s, ..)| *s).collect();
        touched.into_iter().filter_map(|s| steps.get(s)).try_for_each(|step| desk.put(step))
    };
    for draft in &plan.drafts {
        // Its name is ours alone; what it holds is the old text or the new one.
        drop(std::fs::remove_file(draft));
    }
    // Clients first: an entry that leads nowhere is worse than a server that nobody uses.
    let (own, clients): (Vec<&Return>, Vec<&Return>) = plan.files.iter().partition(|file| file.is_own);
    for file in clients.into_iter().chain(own) {
        if file.is_own {
            let names = file.entries.iter().flat_map(|names| names.split(' ')).filter_map(|name| ServerName::new(name).ok());
            // Approvals first, as `server remove` does: whoever comes later under this name is looked at anew.
            names.into_iter().try_for_each(|name| withdraw(&name, global).map(|_| ()))?;
        }
        let written = if file.is_new && file.after.is_empty() {
            exchange::remove(&file.path, &file.before, &file.draft)
        } else {
            exchange::replace(&file.path, Some(&file.before), &file.after, &file.draft)
        };
        written.map_err(|error| {
            let written = if done.is_empty() { "no file was changed".to_owned() } else { format!("taken back: {}", done.join(", ")) };
            let help = format!("{written}; this file and those behind it are as they were. Say it again");
            Failure::new(Exit::Unreachable, "connect.half", format!("{} was not changed", file.shown), help).because(error)
        })?;
        mark(steps, &file.places)?;
        done.push(file.shown.clone());
    }
    mark(steps, &plan.gone)?;
    revoke(plan, steps, global, state, desk)?;
    forget(plan, steps, global);
    Ok(done)
}

/// Takes away kept values that are back in their files, where neither the configuration nor another entry needs them.
fn forget(plan: &Plan, steps: &[Step], global: &Global) {
    let Some(config) = crate::settings::place(global).ok().and_then(|path| exchange::read(&path).ok()) else { return };
    let config = config.unwrap_or_default();
    let live = steps.iter().flat_map(|step| &step.files).flat_map(|file| &file.changes).filter(|change| change.state == State::Live);
    let needed: BTreeSet<PathBuf> = live.flat_map(kept).collect();
    let back = plan.files.iter().filter(|file| file.stay.is_empty()).flat_map(|file| &file.places);
    let changes = back.filter_map(|(s, f, c)| steps.get(*s)?.files.get(*f)?.changes.get(*c));
    for path in changes.flat_map(kept).filter(|path| !needed.contains(path) && !config.contains(&*path.to_string_lossy())) {
        drop(std::fs::remove_file(path));
    }
}

fn kept(change: &ChangeStep) -> Vec<PathBuf> {
    let parts = change.back.iter().flat_map(|back| &back.parts);
    parts.filter_map(|part| if let Part::Kept(path) = part { Some(path.clone()) } else { None }).collect()
}

/// Ends keys of the bridge to which no entry leads any more: those that steps noted, and one that a killed program made and did not note.
fn revoke(plan: &Plan, steps: &mut [Step], global: &Global, state: &Path, desk: &Desk) -> Result<(), Failure> {
    let changes = |live: bool| -> BTreeSet<String> {
        let files = steps.iter().flat_map(|step| &step.files).filter(|file| file.client != OWN);
        let wanted = files.flat_map(|file| &file.changes).filter(|change| (change.state == State::Live) == live);
        wanted.map(|change| change.server.clone()).collect()
    };
    let (live, undone) = (changes(true), changes(false));
    let over: BTreeSet<&String> = undone.iter().filter(|server| !live.contains(*server)).collect();
    let path = |server: &str| state.join(KEYS).join(format!("{server}.key"));
    let noted = steps.iter().flat_map(|step| &step.keys).any(|key| over.contains(&key.server));
    // An interrupted step may have made a key that neither it nor a file knows of.
    let interrupted = steps.iter().any(|step| step.stage == Stage::Begun && !step.files.is_empty());
    if plan.is_empty() || !noted && !interrupted && !over.iter().any(|server| path(server).is_file()) {
        return Ok(());
    }
    let house = House::open(global)?;
    house::runtime()?.block_on(async {
        let store = house.store().await?;
        let now = house.env.now();
        let ids: BTreeSet<&str> =
            steps.iter().flat_map(|step| &step.keys).filter(|key| over.contains(&key.server)).map(|key| key.id.as_str()).collect();
        let labels: Vec<String> = over.iter().map(|server| label(server)).collect();
        for key in store.list_api_keys(None).await.map_err(|error| unavailable(&error))? {
            if key.revoked.is_none() && (ids.contains(key.id.as_str()) || labels.contains(&key.label)) {
                store.revoke_api_key(&key.id, now).await.map_err(|error| unavailable(&error))?;
            }
        }
        store.close().await;
        Ok::<_, Failure>(())
    })?;
    over.iter().for_each(|server| drop(std::fs::remove_file(path(server))));
    for step in steps.iter_mut().filter(|step| step.keys.iter().any(|key| over.contains(&key.server))) {
        step.keys.retain(|key| !over.contains(&key.server));
        desk.put(step)?;
    }
    Ok(())
}
