//! `file:PATH` and `cred:NAME`: a whole file that nobody else may read.
//!
//! The file is opened once and every check is made on the open descriptor, so that nothing can be exchanged between check
//! and use. Links are followed (mounted secrets are links) only where their owner could have written the file itself.

use super::{Cause, MAX_SECRET, Openness};
use rustix::fs::{FileType, Mode, OFlags};
use std::io::Read as _;
use std::path::Path;
use zeroize::Zeroize as _;

/// Who made the file, and so how strict its mode must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keeper {
    /// The administrator: no bit for group or others.
    Anyone,
    /// The service manager: its directory is closed, its files are `0440` to a group of nobody else.
    ServiceManager,
}

/// Bytes of the file; the caller wipes them.
pub(super) fn read(path: &Path, keeper: Keeper) -> Result<Vec<u8>, Cause> {
    let closed = match keeper {
        Keeper::Anyone => 0o077,
        Keeper::ServiceManager => 0o037,
    };
    open(path, closed).map(|(bytes, _)| bytes)
}

/// Bytes of a file that others may read and must not write, and whether they may; the caller wipes them.
pub(crate) fn document(path: &Path) -> Result<(Vec<u8>, Openness), Cause> {
    let (bytes, mode) = open(path, 0o022)?;
    Ok((bytes, if mode & 0o077 == 0 { Openness::Closed } else { Openness::Open(mode) }))
}

/// Whether there is certainly nothing of this name.
pub(crate) fn is_absent(path: &Path) -> bool {
    matches!(rustix::fs::lstat(path), Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR))
}

/// Bytes and mode of a file that has none of the `closed` bits.
fn open(path: &Path, closed: u32) -> Result<(Vec<u8>, u32), Cause> {
    links_are_safe(path)?;
    // NONBLOCK: a pipe in place of the file must not stop the start.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
    let descriptor = rustix::fs::open(path, flags, Mode::empty()).map_err(cause)?;
    let facts = rustix::fs::fstat(&descriptor).map_err(cause)?;
    if FileType::from_raw_mode(facts.st_mode) != FileType::RegularFile {
        return Err(Cause::NotAFile);
    }
    let me = rustix::process::geteuid().as_raw();
    if facts.st_uid != me && facts.st_uid != 0 {
        return Err(Cause::Owner(facts.st_uid));
    }
    let mode = facts.st_mode & 0o7777;
    if mode & closed != 0 {
        return Err(Cause::Mode(mode));
    }
    let mut bytes = Vec::with_capacity(MAX_SECRET + 3);
    let got = std::fs::File::from(descriptor).take(MAX_SECRET as u64 + 3).read_to_end(&mut bytes);
    if let Err(error) = got {
        bytes.zeroize();
        return Err(Cause::Io(error.kind()));
    }
    Ok((bytes, mode))
}

/// Every link on the way must belong to root or to this process, in a directory that only these may write
/// (or a sticky one): otherwise another user chooses which of our own files is taken for the secret.
fn links_are_safe(path: &Path) -> Result<(), Cause> {
    let me = rustix::process::geteuid().as_raw();
    let ours = |uid: u32| uid == me || uid == 0;
    for step in path.ancestors() {
        let Ok(facts) = rustix::fs::lstat(step) else { continue };
        if FileType::from_raw_mode(facts.st_mode) == FileType::Symlink && !ours(facts.st_uid) {
            return Err(Cause::Link);
        }
    }
    let Some(parent) = path.parent() else { return Ok(()) };
    let facts = rustix::fs::stat(parent).map_err(cause)?;
    let (shared, sticky) = (facts.st_mode & 0o022 != 0, facts.st_mode & 0o1000 != 0);
    if !ours(facts.st_uid) || (shared && !sticky) { Err(Cause::Link) } else { Ok(()) }
}

fn cause(error: rustix::io::Errno) -> Cause {
    match error {
        rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR => Cause::Missing,
        rustix::io::Errno::LOOP => Cause::Link,
        other => Cause::Io(other.kind()),
    }
}
