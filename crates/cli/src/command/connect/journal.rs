//! What was changed, kept so that it can be taken back: one directory for each step, below `connect` of the state directory. A step is
//! written down before its first file is touched. Where a secret stood there is a [`Part::Kept`], which names the file that has it.

use super::keep;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::settings::reason;
use doorward_core::secret::sha256;
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// Below the state directory.
pub(super) const DIRECTORY: &str = "connect";
const FILE: &str = "step.json";
const VERSION: u32 = 1;
/// No step is larger.
const LARGEST: u64 = 64 << 20;
/// So many steps are looked through.
const MOST: usize = 10_000;

/// The right to change steps: one program at a time.
#[derive(Debug)]
pub(super) struct Desk {
    state: PathBuf,
    _lock: File,
}

/// One `connect`: every file that it changes.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Step {
    pub(super) v: u32,
    /// Its directory, and part of the names of its drafts and backups.
    pub(super) id: String,
    pub(super) stage: Stage,
    pub(super) files: Vec<FileStep>,
    /// Keys that were made for the bridge.
    pub(super) keys: Vec<KeyNote>,
}

/// How far a step came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Stage {
    /// It began; which files are changed is told by the files.
    Begun,
    /// Every file was changed.
    Done,
}

/// A file of a step.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FileStep {
    /// The client's id, or [`OWN`].
    pub(super) client: String,
    /// Where it is, without links.
    pub(super) path: PathBuf,
    /// The path as people write it.
    pub(super) shown: String,
    /// The name of its draft, which a killed program leaves behind.
    pub(super) draft: String,
    /// SHA-256 of the text before; `None` where there was no file.
    pub(super) before: Option<String>,
    pub(super) changes: Vec<ChangeStep>,
}

/// An entry of a file.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangeStep {
    /// Its name in the file.
    pub(super) entry: String,
    /// The server of the gateway that it leads to.
    pub(super) server: String,
    /// Where it stands in the text that was written.
    pub(super) at: usize,
    /// What it is there, whole.
    pub(super) text: String,
    /// What makes it what it was: places in `text`, and what stood there.
    pub(super) back: Vec<Back>,
    pub(super) state: State,
}

/// Whether a change still counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    /// It does.
    Live,
    /// It was taken back.
    Undone,
}

/// A range of an entry, and what stood there.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Back {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) parts: Vec<Part>,
}

/// A part of a text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Part {
    /// As it was.
    Text(String),
    /// A secret; the file that has it.
    Kept(PathBuf),
}

/// A key that a step made.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KeyNote {
    pub(super) server: String,
    /// Its id, by which it is revoked.
    pub(super) id: String,
}

/// The configuration of Doorward itself among the files of a step.
pub(super) const OWN: &str = "doorward";

/// SHA-256 in hexadecimal.
pub(super) fn digest(text: &str) -> String {
    sha256(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

// === impl Desk ===

impl Desk {
    /// Waits for nobody: while another program changes files there is no desk.
    pub(super) fn open(state: &Path) -> Result<Self, Failure> {
        let directory = state.join(DIRECTORY);
        keep::directory(&directory).map_err(|error| unkept(&directory, &error))?;
        let path = directory.join("lock");
        let lock = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
        let lock = lock.map_err(|error| unkept(&path, &error))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { state: state.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => {
                Err(Failure::new(Exit::Unreachable, "connect.busy", "another doorward connect is at work", "wait until it has ended"))
            }
            Err(TryLockError::Error(error)) => Err(unkept(&path, &error)),
        }
    }

    /// Writes a step down.
    pub(super) fn put(&self, step: &Step) -> Result<(), Failure> {
        let directory = self.state.join(DIRECTORY).join(&step.id);
        let text = serde_json::to_string_pretty(step).map_err(|error| {
            Failure::new(Exit::Internal, "connect.journal", "a step cannot be written down", "report this").because(error)
        })?;
        let written = keep::directory(&directory).and_then(|()| keep::write(&directory.join(FILE), text.as_bytes(), keep::Old::Replace));
        written.map_err(|error| unkept(&directory, &error))
    }

    /// Every step, the oldest first.
    pub(super) fn steps(&self) -> Result<Vec<Step>, Failure> {
        read(&self.state)
    }
}

/// Every step that was written down, the oldest first. Writes nothing.
pub(super) fn read(state: &Path) -> Result<Vec<Step>, Failure> {
    let directory = state.join(DIRECTORY);
    let listing = match fs::read_dir(&directory) {
        Ok(listing) => listing,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(unkept(&directory, &error)),
    };
    let mut names: Vec<PathBuf> = listing.take(MOST).flatten().map(|entry| entry.path().join(FILE)).filter(|path| path.is_file()).collect();
    names.sort();
    names.iter().map(|path| one(path)).collect()
}

fn one(path: &Path) -> Result<Step, Failure> {
    let bad = |why: String| {
        let help = "it is what takes changes back; the backups beside the changed files are still there";
        Failure::new(Exit::Integrity, "connect.journal", format!("{} is not what connect wrote", path.display()), help).because(why)
    };
    if fs::metadata(path).is_ok_and(|found| found.len() > LARGEST) {
        return Err(bad("it is too large".to_owned()));
    }
    let text = fs::read(path).map_err(|error| bad(reason(&error)))?;
    let step: Step = serde_json::from_slice(&text).map_err(|error| bad(error.to_string()))?;
    if step.v == VERSION { Ok(step) } else { Err(bad(format!("it is of version {}", step.v))) }
}

fn unkept(path: &Path, error: &io::Error) -> Failure {
    let message = format!("{} cannot be written", path.display());
    Failure::new(Exit::Unreachable, "connect.state", message, "check the state directory; nothing else was changed").because(reason(error))
}

// === impl Step ===

impl Step {
    /// One that begins.
    pub(super) const fn new(id: String, files: Vec<FileStep>) -> Self {
        Self { v: VERSION, id, stage: Stage::Begun, files, keys: Vec::new() }
    }

    /// Whether something of it still counts.
    pub(super) fn is_live(&self) -> bool {
        self.files.iter().flat_map(|file| &file.changes).any(|change| change.state == State::Live)
    }
}
