//! The one place that writes into files which others write too: the configuration, and the files of clients. The old file stands
//! there, or the new one, never part of one; what somebody else wrote meanwhile is not lost.
//!
//! A draft beside the file is written, synchronised and exchanged with it in one step (renameat2(2), `RENAME_EXCHANGE`). What comes
//! out is then looked at: if it is not what was read before, the two are exchanged back. Everything happens relative to the opened
//! directory, and no link is followed.

use rustix::fs::{AtFlags, CWD, FileType, Gid, Mode, OFlags, RenameFlags, ResolveFlags, Stat, XattrFlags};
use rustix::io::Errno;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// Larger files are not changed.
pub const LARGEST: u64 = 5 << 20;

/// Why a file was not changed. It is as it was, unless it is said otherwise.
#[derive(Debug, thiserror::Error)]
pub enum Unwritten {
    /// Somebody else wrote it since it was read.
    #[error("it was changed meanwhile; it stays as it is")]
    Changed,
    /// A pipe, a device, a directory or a link.
    #[error("it is not a regular file")]
    NotAFile,
    /// Another user's.
    #[error("it belongs to user {0}")]
    Owner(u32),
    /// Another name leads to the same file, and would keep the old text.
    #[error("it has {0} names (hard links); a change would part them")]
    Names(u64),
    /// Its owner may not write it.
    #[error("it is read-only (mode {0:04o})")]
    ReadOnly(u32),
    /// Larger than 5 MiB.
    #[error("it is larger than 5 MiB")]
    TooLarge,
    /// Not UTF-8.
    #[error("it is not text")]
    NotText,
    /// Access rules or labels that cannot be given to the new file.
    #[error("it has an extended attribute that cannot be kept")]
    Attribute,
    /// The system refuses.
    #[error("{0}: {1}")]
    System(&'static str, std::io::Error),
    /// It was changed twice while it was changed back.
    #[error("it was changed while it was changed back: what was there is in {0}")]
    Tangled(String),
}

/// A moment of a change, for tests that do something in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// The file was read and found as it should be.
    Read,
    /// The draft is complete.
    Drafted,
    /// The draft stands in its place.
    Exchanged,
}

/// The file at a path without links, as it is now; `None` if there is none.
///
/// # Errors
/// [`Unwritten`] for what would not be changed either.
pub fn read(path: &Path) -> Result<Option<String>, Unwritten> {
    let (directory, name) = place(path)?;
    Ok(look(directory.as_fd(), name)?.map(|(text, _)| text))
}

/// Puts `after` where `before` is: `None` where there is no file yet. `draft` is the name of the draft beside it.
///
/// # Errors
/// [`Unwritten`].
pub fn replace(path: &Path, before: Option<&str>, after: &str, draft: &str) -> Result<(), Unwritten> {
    replace_with(path, before, after, draft, &mut |_| ())
}

/// The same, with something done in between.
///
/// # Errors
/// [`Unwritten`].
pub fn replace_with(path: &Path, before: Option<&str>, after: &str, draft: &str, between: &mut dyn FnMut(Moment)) -> Result<(), Unwritten> {
    let (directory, name) = place(path)?;
    let directory = directory.as_fd();
    let found = look(directory, name)?;
    let old = match (&found, before) {
        (Some((text, old)), Some(before)) if text == before => Some(old),
        (None, None) => None,
        _ => return Err(Unwritten::Changed),
    };
    between(Moment::Read);
    let own = make(directory, name, draft, old, after)?;
    between(Moment::Drafted);
    match old {
        None => {
            let flags = RenameFlags::NOREPLACE;
            if let Err(error) = rustix::fs::renameat_with(directory, draft, directory, name, flags) {
                let _ = rustix::fs::unlinkat(directory, draft, AtFlags::empty());
                return Err(if error == Errno::EXIST { Unwritten::Changed } else { system("rename")(error) });
            }
        }
        Some(old) => exchange(directory, name, draft, (before.unwrap_or_default(), old), &own, between)?,
    }
    rustix::fs::fsync(directory).map_err(system("directory"))
}

/// Takes a file away that is `before`. `draft` is the name that it has in between.
///
/// # Errors
/// [`Unwritten`].
pub fn remove(path: &Path, before: &str, draft: &str) -> Result<(), Unwritten> {
    let (directory, name) = place(path)?;
    let directory = directory.as_fd();
    let Some((text, old)) = look(directory, name)? else { return Err(Unwritten::Changed) };
    if text != before {
        return Err(Unwritten::Changed);
    }
    rustix::fs::renameat_with(directory, name, directory, draft, RenameFlags::NOREPLACE).map_err(system("rename"))?;
    if !is_as_read(directory, draft, before, &old) {
        rustix::fs::renameat_with(directory, draft, directory, name, RenameFlags::NOREPLACE)
            .map_err(|_| Unwritten::Tangled(draft.to_owned()))?;
        return Err(Unwritten::Changed);
    }
    rustix::fs::unlinkat(directory, draft, AtFlags::empty()).map_err(system("remove"))?;
    rustix::fs::fsync(directory).map_err(system("directory"))
}

fn place(path: &Path) -> Result<(OwnedFd, &std::ffi::OsStr), Unwritten> {
    let name = path.file_name().ok_or(Unwritten::NotAFile)?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let parent = path.parent().unwrap_or(Path::new("/"));
    // The path had no links when it was found; one that is there now was put there since.
    let opened = match rustix::fs::openat2(CWD, parent, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS) {
        // A system that has no openat2(2): at least the last step is no link.
        Err(Errno::NOSYS | Errno::PERM) => rustix::fs::open(parent, flags, Mode::empty()),
        other => other,
    };
    match opened {
        Ok(directory) => Ok((directory, name)),
        Err(Errno::LOOP | Errno::NOTDIR) => Err(Unwritten::NotAFile),
        Err(error) => Err(system("directory")(error)),
    }
}

/// What stands under a name, if it is something that is changed here.
fn look(directory: BorrowedFd<'_>, name: impl rustix::path::Arg) -> Result<Option<(String, Stat)>, Unwritten> {
    // NONBLOCK: a pipe in place of the file must not stop anything.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let opened = match rustix::fs::openat(directory, name, flags, Mode::empty()) {
        Ok(opened) => opened,
        Err(Errno::NOENT) => return Ok(None),
        Err(Errno::LOOP) => return Err(Unwritten::NotAFile),
        Err(error) => return Err(system("open")(error)),
    };
    let found = rustix::fs::fstat(&opened).map_err(system("open"))?;
    let mode = found.st_mode & 0o7777;
    if FileType::from_raw_mode(found.st_mode) != FileType::RegularFile {
        return Err(Unwritten::NotAFile);
    }
    if found.st_uid != rustix::process::geteuid().as_raw() {
        return Err(Unwritten::Owner(found.st_uid));
    }
    if found.st_nlink != 1 {
        #[expect(clippy::useless_conversion, reason = "the width differs between systems")]
        return Err(Unwritten::Names(u64::from(found.st_nlink)));
    }
    if mode & 0o200 == 0 {
        return Err(Unwritten::ReadOnly(mode));
    }
    let mut bytes = Vec::new();
    let most = LARGEST + 1;
    File::from(opened).take(most).read_to_end(&mut bytes).map_err(|error| Unwritten::System("read", error))?;
    if bytes.len() as u64 > LARGEST {
        return Err(Unwritten::TooLarge);
    }
    String::from_utf8(bytes).map(|text| Some((text, found))).map_err(|_| Unwritten::NotText)
}

/// The draft, with everything that the old file has, on the disk.
fn make(directory: BorrowedFd<'_>, name: &std::ffi::OsStr, draft: &str, old: Option<&Stat>, text: &str) -> Result<Stat, Unwritten> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let opened = rustix::fs::openat(directory, draft, flags, Mode::RUSR | Mode::WUSR).map_err(system("draft"))?;
    // From here on the draft is ours to take away; one that was there already is not.
    fill(File::from(opened), directory, name, old, text).inspect_err(|_| {
        let _ = rustix::fs::unlinkat(directory, draft, AtFlags::empty());
    })
}

fn fill(mut file: File, directory: BorrowedFd<'_>, name: &std::ffi::OsStr, old: Option<&Stat>, text: &str) -> Result<Stat, Unwritten> {
    file.write_all(text.as_bytes()).map_err(|error| Unwritten::System("write", error))?;
    if let Some(old) = old {
        let mine = rustix::fs::fstat(&file).map_err(system("draft"))?;
        if mine.st_gid != old.st_gid {
            rustix::fs::fchown(&file, None, Some(Gid::from_raw(old.st_gid))).map_err(system("group"))?;
        }
        attributes(directory, name, &file)?;
        rustix::fs::fchmod(&file, Mode::from_raw_mode(old.st_mode & 0o7777)).map_err(system("mode"))?;
    }
    file.sync_all().map_err(|error| Unwritten::System("sync", error))?;
    rustix::fs::fstat(&file).map_err(system("draft"))
}

/// Access rules and labels.
fn attributes(directory: BorrowedFd<'_>, name: &std::ffi::OsStr, to: &File) -> Result<(), Unwritten> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let from = rustix::fs::openat(directory, name, flags, Mode::empty()).map_err(system("open"))?;
    let mut names = vec![0; 64 << 10];
    let length = match rustix::fs::flistxattr(&from, &mut names) {
        Ok(length) => length,
        Err(Errno::NOTSUP) => return Ok(()),
        Err(_) => return Err(Unwritten::Attribute),
    };
    for attribute in names.get(..length).unwrap_or_default().split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        // Labels of the system are given by the system, to each new file.
        if attribute.starts_with(b"security.") {
            continue;
        }
        let mut value = vec![0; 64 << 10];
        let length = rustix::fs::fgetxattr(&from, attribute, &mut value).map_err(|_| Unwritten::Attribute)?;
        let value = value.get(..length).unwrap_or_default();
        rustix::fs::fsetxattr(to, attribute, value, XattrFlags::empty()).map_err(|_| Unwritten::Attribute)?;
    }
    Ok(())
}

fn exchange(
    directory: BorrowedFd<'_>,
    name: &std::ffi::OsStr,
    draft: &str,
    (before, old): (&str, &Stat),
    own: &Stat,
    between: &mut dyn FnMut(Moment),
) -> Result<(), Unwritten> {
    let swap = || rustix::fs::renameat_with(directory, draft, directory, name, RenameFlags::EXCHANGE);
    let away = || rustix::fs::unlinkat(directory, draft, AtFlags::empty());
    match swap() {
        Ok(()) => {}
        Err(Errno::NOENT) => {
            let _ = away();
            return Err(Unwritten::Changed);
        }
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
            // A file system that cannot exchange: looked at once more, and put in its place.
            if !is_as_read(directory, name, before, old) {
                let _ = away();
                return Err(Unwritten::Changed);
            }
            return rustix::fs::renameat(directory, draft, directory, name).map_err(|error| {
                let _ = away();
                system("rename")(error)
            });
        }
        Err(error) => {
            let _ = away();
            return Err(system("rename")(error));
        }
    }
    between(Moment::Exchanged);
    if is_as_read(directory, draft, before, old) {
        return away().map_err(system("old file"));
    }
    swap().map_err(system("rename back"))?;
    let out = rustix::fs::statat(directory, draft, AtFlags::SYMLINK_NOFOLLOW).map_err(system("rename back"))?;
    if (out.st_dev, out.st_ino) != (own.st_dev, own.st_ino) {
        return Err(Unwritten::Tangled(draft.to_owned()));
    }
    let _ = away();
    Err(Unwritten::Changed)
}

/// Whether a name leads to the file that was read, with the text that was read.
fn is_as_read(directory: BorrowedFd<'_>, name: impl rustix::path::Arg, before: &str, old: &Stat) -> bool {
    look(directory, name)
        .ok()
        .flatten()
        .is_some_and(|(text, found)| text == before && (found.st_dev, found.st_ino, found.st_mode) == (old.st_dev, old.st_ino, old.st_mode))
}

fn system(what: &'static str) -> impl Fn(Errno) -> Unwritten {
    move |error| Unwritten::System(what, error.into())
}

#[cfg(test)]
mod tests;
