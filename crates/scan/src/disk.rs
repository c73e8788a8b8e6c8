//! Reading files of strangers: regular files only, bounded, links not followed out of their root, nothing written, nothing
//! run. What cannot be read is a [`Trouble`] with its reason. Must not know what the files mean.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Larger files are reported and skipped.
const MAX_FILE: u64 = 5 << 20;
/// A directory with more entries is not searched further.
const MAX_ENTRIES: usize = 4096;
/// Directories below one another that a search with `**` enters.
const MAX_LEVELS: usize = 8;

/// `O_NONBLOCK`, so that opening a pipe that somebody put there does not wait.
#[cfg(target_os = "linux")]
const NONBLOCK: i32 = 0o4000;
#[cfg(not(target_os = "linux"))]
const NONBLOCK: i32 = 0x4;

/// A file that was read.
pub(crate) struct Content {
    pub(crate) text: Zeroizing<String>,
    pub(crate) rights: Rights,
}

/// Who may do what with a file or directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rights {
    pub(crate) mode: u32,
    pub(crate) owner: u32,
    pub(crate) group: u32,
    pub(crate) directory: Directory,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Directory {
    Yes,
    No,
}

/// Why a file was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// Larger than 5 MiB.
    TooLarge,
    /// Holds NUL bytes or is not UTF-8.
    Binary,
    /// A pipe, a device, a socket or a directory.
    NotAFile,
    /// A link that leads out of the home or project, or nowhere.
    LinkOut,
    /// The system refuses.
    Denied,
    /// Another fault of the system.
    Unreadable,
    /// A directory with more files than are searched.
    TooMany,
}

/// Reads a file below `root`. `None` if there is none.
pub(crate) fn read(path: &Path, root: &Path) -> Result<Option<Content>, Trouble> {
    let Some(real) = real(path, root)? else { return Ok(None) };
    let found = fs::metadata(&real).map_err(|error| trouble(&error))?;
    if !found.is_file() {
        return Err(Trouble::NotAFile);
    }
    let file = OpenOptions::new().read(true).custom_flags(NONBLOCK).open(&real).map_err(|error| trouble(&error))?;
    let opened = file.metadata().map_err(|error| trouble(&error))?;
    // What was looked at and what was opened are one and the same.
    if !opened.is_file() || (opened.dev(), opened.ino()) != (found.dev(), found.ino()) {
        return Err(Trouble::NotAFile);
    }
    let bytes = bounded(&file)?;
    let text = std::str::from_utf8(&bytes).ok().filter(|text| !text.contains('\0')).ok_or(Trouble::Binary)?;
    Ok(Some(Content { text: Zeroizing::new(text.to_owned()), rights: rights(&opened) }))
}

/// The bytes of a file below `root`, at most `most`. For files with a format of their own.
pub(crate) fn read_bytes(path: &Path, most: u64) -> Option<Vec<u8>> {
    let found = fs::metadata(path).ok().filter(Metadata::is_file)?;
    let file = OpenOptions::new().read(true).custom_flags(NONBLOCK).open(path).ok()?;
    if found.len() > most {
        return None;
    }
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

fn bounded(file: &File) -> Result<Zeroizing<Vec<u8>>, Trouble> {
    let mut bytes = Zeroizing::new(Vec::new());
    file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(|error| trouble(&error))?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > MAX_FILE { Err(Trouble::TooLarge) } else { Ok(bytes) }
}

/// Where a path really leads, if that is below `root`.
fn real(path: &Path, root: &Path) -> Result<Option<PathBuf>, Trouble> {
    match fs::symlink_metadata(path) {
        Ok(_) => {}
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => return Ok(None),
        Err(error) => return Err(trouble(&error)),
    }
    let real = fs::canonicalize(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Trouble::LinkOut,
        _ => trouble(&error),
    })?;
    let root = fs::canonicalize(root).map_err(|error| trouble(&error))?;
    if real.starts_with(root) { Ok(Some(real)) } else { Err(Trouble::LinkOut) }
}

/// Directories under which looking at a name can make the system ask the network for it.
const REMOTE: [&str; 6] = ["/net", "/afs", "/Network", "/Volumes", "/mnt", "/media"];

/// Whether looking at a path stays on this computer.
pub(crate) fn is_local(path: &Path) -> bool {
    let remote = REMOTE.iter().any(|root| path.starts_with(root));
    !remote && !path.as_os_str().as_encoded_bytes().starts_with(b"//") && !path.components().any(|part| part.as_os_str() == "..")
}

/// Who may do what, without reading. `None` if there is nothing.
pub(crate) fn look(path: &Path) -> Option<Rights> {
    fs::metadata(path).ok().map(|found| rights(&found))
}

fn rights(found: &Metadata) -> Rights {
    let directory = if found.is_dir() { Directory::Yes } else { Directory::No };
    Rights { mode: found.mode() & 0o7777, owner: found.uid(), group: found.gid(), directory }
}

fn trouble(error: &io::Error) -> Trouble {
    if error.kind() == io::ErrorKind::PermissionDenied { Trouble::Denied } else { Trouble::Unreadable }
}

/// The files that a pattern names: `*` stands for any part of one name, `**` for any directories. Sorted. Directories that
/// are links are not entered.
pub(crate) fn expand(pattern: &Path) -> (Vec<PathBuf>, Option<Trouble>) {
    let mut found = vec![PathBuf::new()];
    let mut trouble = None;
    for part in pattern.components() {
        let part = part.as_os_str();
        let text = part.to_str().filter(|text| text.contains('*'));
        found = match text {
            None => found.into_iter().map(|base| base.join(part)).collect(),
            Some("**") => {
                let mut all = Vec::new();
                for base in found {
                    below(&base, 0, &mut all, &mut trouble);
                }
                all
            }
            Some(text) => found
                .iter()
                .flat_map(|base| {
                    names(base, &mut trouble).into_iter().filter(|name| matches(text, name)).map(|name| base.join(name)).collect::<Vec<_>>()
                })
                .collect(),
        };
    }
    found.retain(|path| fs::symlink_metadata(path).is_ok());
    found.sort();
    (found, trouble)
}

fn below(base: &Path, level: usize, all: &mut Vec<PathBuf>, trouble: &mut Option<Trouble>) {
    if all.len() >= MAX_ENTRIES {
        *trouble = Some(Trouble::TooMany);
        return;
    }
    all.push(base.to_owned());
    if level == MAX_LEVELS {
        return;
    }
    for name in names(base, trouble) {
        let path = base.join(name);
        if fs::symlink_metadata(&path).is_ok_and(|found| found.is_dir()) {
            below(&path, level + 1, all, trouble);
        }
    }
}

fn names(base: &Path, trouble: &mut Option<Trouble>) -> Vec<String> {
    let Ok(listing) = fs::read_dir(base) else { return Vec::new() };
    let mut names: Vec<String> = Vec::new();
    for entry in listing.flatten() {
        if names.len() >= MAX_ENTRIES {
            *trouble = Some(Trouble::TooMany);
            break;
        }
        names.extend(entry.file_name().into_string().ok());
    }
    names.sort();
    names
}

/// `*` matches any part of a name.
fn matches(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| name.strip_prefix(first)) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        let Some((_, behind)) = rest.split_once(part) else { return false };
        rest = behind;
    }
    rest.ends_with(last)
}

// === impl Rights ===

impl Rights {
    /// Whether everybody, or a group that is not its owner's own, may read.
    pub(crate) const fn readable_by_others(self) -> bool {
        self.mode & 0o004 != 0 || (self.mode & 0o040 != 0 && self.shared_group())
    }

    /// Whether everybody, or a group that is not its owner's own, may write. In a directory with the sticky bit nobody can
    /// replace the files of others.
    pub(crate) const fn writable_by_others(self) -> bool {
        if matches!(self.directory, Directory::Yes) && self.mode & 0o1000 != 0 {
            return false;
        }
        self.mode & 0o002 != 0 || (self.mode & 0o020 != 0 && self.shared_group())
    }

    /// Most systems give each user a group of the same number.
    const fn shared_group(self) -> bool {
        self.owner != self.group
    }
}

// === impl Trouble ===

impl Trouble {
    /// Stable id for programs.
    pub(crate) const fn id(self) -> &'static str {
        match self {
            Self::TooLarge => "too-large",
            Self::Binary => "binary",
            Self::NotAFile => "not-a-file",
            Self::LinkOut => "link-out",
            Self::Denied => "denied",
            Self::Unreadable => "unreadable",
            Self::TooMany => "too-many",
        }
    }

    /// What it means.
    pub(crate) const fn meaning(self) -> &'static str {
        match self {
            Self::TooLarge => "larger than 5 MiB: skipped",
            Self::Binary => "not text: skipped",
            Self::NotAFile => "not a regular file: skipped",
            Self::LinkOut => "a link that leads out of the home or project, or nowhere: not followed",
            Self::Denied => "may not be read by this user",
            Self::Unreadable => "cannot be read",
            Self::TooMany => "holds more files than are searched: some were left out",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_match_parts_of_names() {
        assert!(matches("*.config.toml", "work.config.toml") && matches("a*c*e", "abcde") && matches("*", ""));
        assert!(!matches("*.json", "a.jsonc") && !matches("a*", "b"));
    }

    #[test]
    fn scn_03_names_that_ask_the_network_are_not_looked_at() {
        for path in ["/net/evil.test/x", "//evil.test/share/x", "/home/../net/evil.test/x", "/mnt/x"] {
            assert!(!is_local(Path::new(path)), "{path}");
        }
        assert!(is_local(Path::new("/home/me/net/x")) && is_local(Path::new("/netx")));
    }

    #[test]
    fn a_group_of_its_own_is_not_others() {
        let rights = |mode, group| Rights { mode, owner: 1000, group, directory: Directory::No };
        assert!(!rights(0o640, 1000).readable_by_others() && rights(0o640, 50).readable_by_others());
        assert!(rights(0o644, 1000).readable_by_others() && !rights(0o664, 1000).writable_by_others());
        assert!(rights(0o666, 1000).writable_by_others());
        let sticky = Rights { directory: Directory::Yes, ..rights(0o1777, 1000) };
        assert!(!sticky.writable_by_others());
    }
}
