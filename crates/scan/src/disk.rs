//! Reading files of strangers: regular files only, bounded, nothing written, nothing run. Links are walked one by one, and what lies
//! behind one that leads out of its root is not even looked at: below `/net` a look already asks another computer. What cannot be
//! read is a [`Trouble`] with its reason. Must not know what the files mean. Attack SCN-03.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Component, Path, PathBuf};
use zeroize::Zeroizing;

/// Larger files are reported and skipped.
const MAX_FILE: u64 = 5 << 20;
/// A directory with more entries is not searched further.
const MAX_ENTRIES: usize = 4096;
/// Directories below one another that a search with `**` enters.
const MAX_LEVELS: usize = 8;

/// Links on one way; a circle has more.
const MAX_LINKS: usize = 32;

/// `O_NONBLOCK`, so that opening a pipe that somebody put there does not wait, and `O_NOFOLLOW`, so that no link is put there meanwhile.
#[cfg(all(target_os = "linux", any(target_arch = "aarch64", target_arch = "arm", target_arch = "powerpc64")))]
const FLAGS: i32 = 0o104_000;
#[cfg(all(target_os = "linux", not(any(target_arch = "aarch64", target_arch = "arm", target_arch = "powerpc64"))))]
const FLAGS: i32 = 0o404_000;
#[cfg(not(target_os = "linux"))]
const FLAGS: i32 = 0x4 | 0x100;

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
    let (file, opened) = open(&real)?;
    let bytes = bounded(&file)?;
    let text = std::str::from_utf8(&bytes).ok().filter(|text| !text.contains('\0')).ok_or(Trouble::Binary)?;
    Ok(Some(Content { text: Zeroizing::new(text.to_owned()), rights: rights(&opened) }))
}

/// The bytes of a file below `root`, at most `most`. For files with a format of their own.
pub(crate) fn read_bytes(path: &Path, root: &Path, most: u64) -> Option<Vec<u8>> {
    let (file, opened) = open(&real(path, root).ok()??).ok()?;
    if opened.len() > most {
        return None;
    }
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

fn open(real: &Path) -> Result<(File, Metadata), Trouble> {
    let found = fs::symlink_metadata(real).map_err(|error| trouble(&error))?;
    if !found.is_file() {
        return Err(Trouble::NotAFile);
    }
    let file = OpenOptions::new().read(true).custom_flags(FLAGS).open(real).map_err(|error| trouble(&error))?;
    let opened = file.metadata().map_err(|error| trouble(&error))?;
    // What was looked at and what was opened are one and the same.
    if !opened.is_file() || (opened.dev(), opened.ino()) != (found.dev(), found.ino()) {
        return Err(Trouble::NotAFile);
    }
    Ok((file, opened))
}

fn bounded(file: &File) -> Result<Zeroizing<Vec<u8>>, Trouble> {
    let mut bytes = Zeroizing::new(Vec::new());
    file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(|error| trouble(&error))?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > MAX_FILE { Err(Trouble::TooLarge) } else { Ok(bytes) }
}

/// Where a path really leads, if that is below `root`; `None` if there is nothing.
///
/// # Errors
/// [`Trouble::LinkOut`] for a link out of the root, into a network, to nowhere or in a circle; another trouble if the system refuses.
pub(crate) fn real(path: &Path, root: &Path) -> Result<Option<PathBuf>, Trouble> {
    let top = fs::canonicalize(root).map_err(|error| trouble(&error))?;
    // A root in a network is one that was named; from a root on this computer no way leads into one.
    let stays = is_local(&top);
    let mut at = top.clone();
    let mut ahead = steps(path.strip_prefix(root).map_err(|_| Trouble::LinkOut)?);
    let mut links = 0;
    while let Some(step) = ahead.pop_front() {
        if step == ".." {
            at.pop();
            if !at.starts_with(&top) {
                return Err(Trouble::LinkOut);
            }
            continue;
        }
        let next = at.join(step);
        if stays && !is_local(&next) {
            return Err(Trouble::LinkOut);
        }
        let found = match fs::symlink_metadata(&next) {
            Ok(found) => found,
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return if links == 0 { Ok(None) } else { Err(Trouble::LinkOut) };
            }
            Err(error) => return Err(trouble(&error)),
        };
        if !found.is_symlink() {
            at = next;
            continue;
        }
        links += 1;
        let target = fs::read_link(&next).map_err(|error| trouble(&error))?;
        let target = if target.is_absolute() {
            at.clone_from(&top);
            let inside = [&top, root].into_iter().find_map(|top| target.strip_prefix(top).ok());
            inside.ok_or(Trouble::LinkOut)?.to_owned()
        } else {
            target
        };
        if links > MAX_LINKS {
            return Err(Trouble::LinkOut);
        }
        for step in steps(&target).into_iter().rev() {
            ahead.push_front(step);
        }
    }
    Ok(Some(at))
}

/// The names on a way; `..` is one of them.
fn steps(path: &Path) -> VecDeque<OsString> {
    let names = path.components().filter(|part| matches!(part, Component::Normal(_) | Component::ParentDir));
    names.map(|part| part.as_os_str().to_owned()).collect()
}

/// Directories under which looking at a name can make the system ask the network for it.
const REMOTE: [&str; 6] = ["/net", "/afs", "/Network", "/Volumes", "/mnt", "/media"];

/// Whether looking at a path stays on this computer.
pub(crate) fn is_local(path: &Path) -> bool {
    let remote = REMOTE.iter().any(|root| path.starts_with(root));
    !remote && !path.as_os_str().as_encoded_bytes().starts_with(b"//") && !path.components().any(|part| part.as_os_str() == "..")
}

/// Who may do what with a path that the user named, or one above a file that was read. `None` if there is nothing.
pub(crate) fn look(path: &Path) -> Option<Rights> {
    fs::metadata(path).ok().map(|found| rights(&found))
}

/// Who may do what with a path that a file named: anywhere on this computer, and no link leads from it into a network.
pub(crate) fn look_from_afar(path: &Path) -> Option<Rights> {
    fs::symlink_metadata(real(path, Path::new("/")).ok()??).ok().map(|found| rights(&found))
}

fn rights(found: &Metadata) -> Rights {
    let directory = if found.is_dir() { Directory::Yes } else { Directory::No };
    Rights { mode: found.mode() & 0o7777, owner: found.uid(), group: found.gid(), directory }
}

fn trouble(error: &io::Error) -> Trouble {
    if error.kind() == io::ErrorKind::PermissionDenied { Trouble::Denied } else { Trouble::Unreadable }
}

/// The files that a pattern names: `*` stands for any part of one name, `**` for any directories. Sorted. With `**`
/// directories that are links are not entered, otherwise only below `root`.
pub(crate) fn expand(pattern: &Path, root: &Path) -> (Vec<PathBuf>, Option<Trouble>) {
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
                    below(&base, root, 0, &mut all, &mut trouble);
                }
                all
            }
            Some(text) => found
                .iter()
                .flat_map(|base| {
                    names(base, root, &mut trouble)
                        .into_iter()
                        .filter(|name| matches(text, name))
                        .map(|name| base.join(name))
                        .collect::<Vec<_>>()
                })
                .collect(),
        };
    }
    // A link that leads out stays: it is named.
    found.retain(|path| !matches!(real(path, root), Ok(None)));
    found.sort();
    (found, trouble)
}

fn below(base: &Path, root: &Path, level: usize, all: &mut Vec<PathBuf>, trouble: &mut Option<Trouble>) {
    if all.len() >= MAX_ENTRIES {
        *trouble = Some(Trouble::TooMany);
        return;
    }
    all.push(base.to_owned());
    if level == MAX_LEVELS {
        return;
    }
    for name in names(base, root, trouble) {
        let path = base.join(name);
        if fs::symlink_metadata(&path).is_ok_and(|found| found.is_dir()) {
            below(&path, root, level + 1, all, trouble);
        }
    }
}

fn names(base: &Path, root: &Path, trouble: &mut Option<Trouble>) -> Vec<String> {
    let base = match real(base, root) {
        Ok(Some(base)) => base,
        Ok(None) => return Vec::new(),
        Err(out) => {
            *trouble = Some(out);
            return Vec::new();
        }
    };
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
