//! Takes from the record what is older than the retention (AUD-06). No gateway may be running: the file is locked.
//!
//! The tombstone reaches the disk first. Then what stays is written beside the file, read once more and put in its place. Whoever
//! is killed in between leaves either the old file or the new one, both whole, and the next purge removes what the tombstone
//! speaks of. What goes is gone: nothing of it is kept under another name.

use super::desk::continued;
use super::medium::{self, NO_FOLLOW};
use super::place;
use super::recorder::OpenError;
use doorward_core::audit::chain::{Chain, Digests};
use doorward_core::audit::checkpoint::Signer;
use doorward_core::audit::event::{Head, MAX_LINE, Record};
use doorward_core::audit::purge::{Claims, Outlook, Tombstone, outlook, stays};
use doorward_core::audit::recovery::Found;
use doorward_core::audit::verify::{FirstBad, Why};
use doorward_core::time::Timestamp;
use rustix::fs::{FlockOperation, flock};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, BufWriter, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// What a purge would do, or did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Purge {
    /// The stretch that goes, with who and why once it went; absent if nothing is old enough.
    pub stretch: Option<Tombstone>,
    /// Records of an earlier purge that was cut off.
    pub left_over: u64,
}

/// What goes, why and when. By whom is not for the caller to say.
#[derive(Debug)]
pub struct Order<'a> {
    /// Only what is older goes.
    pub before: Timestamp,
    /// Why, for the record. Never a secret.
    pub why: &'a str,
    /// The present time.
    pub now: Timestamp,
}

/// Looks at what a purge would remove. Changes nothing, and may be asked while a gateway writes the record.
///
/// # Errors
/// [`OpenError::Bad`] for a file that is not what was written, [`OpenError::Io`].
pub fn preview(path: &Path, before: Timestamp) -> Result<Purge, OpenError> {
    let mut file = OpenOptions::new().read(true).custom_flags(NO_FOLLOW).open(path)?;
    let (_, found) = look(&mut file, before)?;
    let stretch = found.stretch.map(|stretch| stretch.tombstone().clone());
    Ok(Purge { stretch, left_over: found.left_over })
}

/// Removes what is older than `order.before`, whole stretches between seals, and finishes a purge that was cut off.
///
/// # Errors
/// [`OpenError`]: [`OpenError::Locked`] while a gateway writes the record. After an error behind the tombstone the record is
/// whole, and another purge removes the rest.
pub fn purge(path: &Path, signers: Vec<Signer>, order: &Order<'_>) -> Result<Purge, OpenError> {
    path.symlink_metadata()?; // one that is not there is not made
    let mut file = medium::open(path).map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => OpenError::Locked,
        _ => OpenError::Io(error),
    })?;
    check_owner(&file.metadata()?, rustix::process::geteuid().as_raw())?;
    let (claims, found) = look(&mut file, order.before)?;
    if found.stretch.is_none() && found.left_over == 0 {
        return Ok(Purge { stretch: None, left_over: 0 });
    }
    // It speaks of places in the file that are about to move. Without one the next start reads everything.
    place::remove(&place::beside(path))?;
    sync_directory(path)?;
    let left_over = found.left_over;
    let stretch = bury(&mut file, &claims, found, signers, order)?;
    remove(path, &mut file)?;
    Ok(Purge { stretch, left_over })
}

/// Whether the record and the state directory belong to `own`, the user of this process. The record is written anew, and whoever
/// did that as somebody else (root may) would take it from the gateway, which could not start any more. Changes nothing.
///
/// # Errors
/// [`OpenError::NotOurs`], [`OpenError::Io`].
pub fn ours(path: &Path, state: &Path, own: u32) -> Result<(), OpenError> {
    check_owner(&path.symlink_metadata()?, own)?;
    match state.metadata() {
        Ok(found) => check_owner(&found, own),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(OpenError::Io(error)),
    }
}

fn check_owner(found: &fs::Metadata, own: u32) -> Result<(), OpenError> {
    if found.uid() == own { Ok(()) } else { Err(OpenError::NotOurs(found.uid())) }
}

/// The whole record, checked, and what may go.
fn look(file: &mut File, before: Timestamp) -> Result<(Claims, Outlook), OpenError> {
    file.rewind()?;
    let claims = Claims::read(BufReader::new(&mut *file))?;
    file.rewind()?;
    let found = outlook(BufReader::with_capacity(1 << 18, &mut *file), &claims, before)?;
    Ok((claims, found))
}

/// Writes the tombstone, where there is a stretch for one; it is on the disk afterwards.
fn bury(file: &mut File, claims: &Claims, found: Outlook, signers: Vec<Signer>, order: &Order<'_>) -> Result<Option<Tombstone>, OpenError> {
    let Some(stretch) = found.stretch else { return Ok(None) };
    file.rewind()?;
    let Found::Chain(resumed) = Chain::resume_with(BufReader::new(&mut *file), claims, Digests::None)? else {
        return Err(not_the_same(None));
    };
    let mut desk = continued(*resumed, signers, file.try_clone()?, u64::MAX, order.now)?;
    let by = format!("uid {}", rustix::process::getuid().as_raw());
    let mut stone = stretch.tombstone().clone();
    desk.bury(stretch, &by, order.why, order.now)?;
    file.sync_all()?;
    (stone.by, stone.why) = (by, order.why.to_owned());
    Ok(Some(stone))
}

/// Removes what the tombstones of the file speak of.
fn remove(path: &Path, file: &mut File) -> Result<(), OpenError> {
    file.rewind()?;
    let claims = Claims::read(BufReader::new(&mut *file))?;
    let draft_path = draft(path);
    place::remove(&draft_path)?;
    let open = OpenOptions::new().read(true).append(true).create_new(true).mode(0o600).custom_flags(NO_FOLLOW).open(&draft_path);
    let mut copy = open?;
    // Whoever opens the new file at its name finds it as locked as the old one.
    flock(&copy, FlockOperation::NonBlockingLockExclusive).map_err(io::Error::from)?;
    file.rewind()?;
    let head = carry_over(file, &mut copy, claims.buried())?;
    copy.sync_all()?;
    copy.rewind()?;
    match Chain::resume_with(BufReader::new(&mut copy), &claims, Digests::None)? {
        Found::Chain(resumed) if Some(resumed.chain.head()) == head => {}
        _ => return Err(not_the_same(head)),
    }
    fs::rename(&draft_path, path)?;
    sync_directory(path)?;
    Ok(())
}

/// Copies the lines that stay, byte for byte. Gives the last record.
fn carry_over(from: &mut File, to: &mut File, buried: u64) -> Result<Option<Head>, OpenError> {
    let mut reader = BufReader::with_capacity(1 << 18, from);
    let mut writer = BufWriter::with_capacity(1 << 18, to);
    let (mut line, mut head) = (Vec::new(), None);
    let limit = u64::try_from(MAX_LINE).unwrap_or(u64::MAX);
    loop {
        line.clear();
        if reader.by_ref().take(limit).read_until(b'\n', &mut line)? == 0 {
            break;
        }
        let Ok((record, hash)) = Record::read(line.strip_suffix(b"\n").unwrap_or(&line)) else { return Err(not_the_same(head)) };
        head = Some(Head { seq: record.seq, hash });
        if stays(&record, buried) {
            writer.write_all(&line)?;
        }
    }
    writer.flush()?;
    Ok(head)
}

fn not_the_same(head: Option<Head>) -> OpenError {
    let seq = head.map_or(0, |head| head.seq);
    OpenError::Bad(FirstBad { line: 0, seq: Some(seq), why: Why::NotARecord, last_good: seq, last_sealed: 0 })
}

/// Where the new file is written: in the same directory, so that it can take the name.
fn draft(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".purging");
    name.into()
}

fn sync_directory(path: &Path) -> io::Result<()> {
    let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests;
