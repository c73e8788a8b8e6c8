//! What is recorded and how, itself on the record (AUD-06): each start says it before anything is served, and a change is said
//! first where the record was kept until then.
//!
//! The note in the state directory only tells what was in force last; who alters it hides nothing, for each start says what is.

use super::key;
use super::medium::NO_FOLLOW;
use super::recorder::{Durability, OpenError, Options, Recorder, Unrecorded};
use doorward_core::audit::chain::{BadWriter, Digests, WriterId};
use doorward_core::audit::outcome::Notice;
use doorward_core::config::{AuditConfig, AuditDurability, KeptArguments, units};
use doorward_core::time::Timestamp;
use std::fs::{self, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// Name of the note in the state directory.
pub const NOTE: &str = "audit-settings";

/// Where the record of a configuration is kept.
#[must_use]
pub fn file(config: &AuditConfig, state: &Path) -> PathBuf {
    config.file.clone().unwrap_or_else(|| state.join("audit.jsonl"))
}

/// The settings that count, in words.
#[must_use]
pub fn described(config: &AuditConfig) -> String {
    let arguments = if config.arguments == KeptArguments::Hash { "hash" } else { "none" };
    let durability = if config.durability == AuditDurability::Fsync { "fsync" } else { "write" };
    format!("arguments={arguments} durability={durability} retention={}", units::written(config.retention))
}

/// What was in force before: the settings, and where the record was.
struct Before {
    settings: String,
    file: PathBuf,
}

/// Puts the settings on the record. Where they are others than those of the last start, that is said first, and where the
/// record moved, at the end of the one that was kept until now.
///
/// # Errors
/// [`OpenError`]: nothing may be served then.
pub async fn declare(recorder: &Recorder, config: &AuditConfig, state: &Path, now: Timestamp) -> Result<(), OpenError> {
    let (settings, file) = (described(config), file(config, state));
    let before = read(state)?;
    if let Some(before) = before.as_ref().filter(|before| before.settings != settings || before.file != file) {
        let change = format!("from {} {} to {settings} {}", before.settings, before.file.display(), file.display());
        if before.file != file && before.file.exists() {
            // Not ours to refuse if somebody took it away or writes it: the new record says so.
            match last_words(&before.file, state, ("audit_settings_changed", &change), now).await {
                Ok(()) => {}
                Err(error) => {
                    let cause = format!("{}: {error}", before.file.display());
                    event(recorder, "audit_record_left", &cause, now).await?;
                }
            }
        }
        event(recorder, "audit_settings_changed", &change, now).await?;
    }
    event(recorder, "audit_settings", &settings, now).await?;
    if before.is_none_or(|before| before.settings != settings || before.file != file) {
        write(state, &settings, &file)?;
    }
    Ok(())
}

/// Before a purge of the record at `path`: where other settings count than at the last start, that record says so first, under a
/// seal. The note is left alone, so the next start still tells what changed since the last one.
///
/// # Errors
/// [`OpenError`]: nothing may be purged then.
pub async fn announce(path: &Path, config: &AuditConfig, state: &Path, now: Timestamp) -> Result<(), OpenError> {
    let settings = described(config);
    match read(state)? {
        Some(before) if before.settings == settings => Ok(()),
        Some(before) => {
            let change = format!("from {} to {settings}, for a purge", before.settings);
            last_words(path, state, ("audit_settings_changed", &change), now).await
        }
        None => last_words(path, state, ("audit_settings", &settings), now).await,
    }
}

async fn event(recorder: &Recorder, reason: &'static str, cause: &str, now: Timestamp) -> Result<(), Unrecorded> {
    recorder.event(&Notice { reason, cause: Some(cause), ..Notice::default() }, now).await
}

/// Says something at the end of a record that nobody writes now, under a seal.
async fn last_words(path: &Path, state: &Path, (reason, cause): (&'static str, &str), now: Timestamp) -> Result<(), OpenError> {
    let signers = key::load_all(state).map_err(|error| OpenError::Io(io::Error::other(error)))?;
    let writer = WriterId::new("unused").map_err(|BadWriter| OpenError::NoKey)?;
    let options = Options { path: path.to_owned(), durability: Durability::Fsync, seal_every: u64::MAX, writer, digests: Digests::None };
    let recorder = Recorder::open_with(options, signers, now)?;
    event(&recorder, reason, cause, now).await?;
    recorder.checkpoint(now).await?;
    Ok(())
}

fn read(state: &Path) -> io::Result<Option<Before>> {
    let file = match OpenOptions::new().read(true).custom_flags(NO_FOLLOW).open(state.join(NOTE)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut text = String::new();
    file.take(8_192).read_to_string(&mut text)?;
    let mut lines = text.lines();
    let (settings, file) = (lines.next().unwrap_or_default().to_owned(), PathBuf::from(lines.next().unwrap_or_default()));
    Ok(Some(Before { settings, file }))
}

fn write(state: &Path, settings: &str, file: &Path) -> io::Result<()> {
    let draft = state.join(format!("{NOTE}.new"));
    super::place::remove(&draft)?;
    let mut note = OpenOptions::new().write(true).create_new(true).mode(0o600).custom_flags(NO_FOLLOW).open(&draft)?;
    writeln!(note, "{settings}\n{}", file.display())?;
    note.sync_all()?;
    fs::rename(&draft, state.join(NOTE))
}
