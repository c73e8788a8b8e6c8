//! Which files git tracks, read from `.git/index` itself: nothing is run (a repository can name programs that git would
//! start). Format: git documentation, gitformat-index, versions 2 to 4. History is not looked at.
//!
//! What a `.git` says is the text of a stranger as well: links lead no further than the repository, or the home around it, and a
//! `.git` that is a file leads only to where git keeps work trees and submodules, on this computer.

use crate::disk;
use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

/// Larger indexes are not read.
const MAX_INDEX: u64 = 64 << 20;
/// The part of an entry before its object name.
const STAT: usize = 40;

/// A repository, and the paths that its index holds.
#[derive(Debug)]
pub(crate) struct Repository {
    top: PathBuf,
    tracked: BTreeSet<Vec<u8>>,
}

/// The repository that `path` lies in, looked for upwards and not above `root`.
pub(crate) fn around(path: &Path, root: &Path) -> Option<PathBuf> {
    path.ancestors()
        .skip(1)
        .take_while(|above| above.starts_with(root))
        .find(|above| above.join(".git").symlink_metadata().is_ok())
        .map(Path::to_owned)
}

// === impl Repository ===

impl Repository {
    /// Reads the index of the repository at `top`. `None` if it has none that can be read.
    pub(crate) fn open(top: &Path, home: &Path) -> Option<Self> {
        let dot = top.join(".git");
        let within = if top.starts_with(home) { home } else { top };
        let real = disk::real(&dot, within).ok()??;
        let (directory, within) = if real.is_dir() { (dot, within.to_owned()) } else { linked(&dot, top, within)? };
        let bytes = disk::read_bytes(&directory.join("index"), &within, MAX_INDEX)?;
        let sha256 = [directory.join("config"), directory.join("../../config")].iter().any(|config| {
            disk::read_bytes(config, &within, 1 << 20).is_some_and(|bytes| {
                let text = String::from_utf8_lossy(&bytes).to_ascii_lowercase().replace(' ', "");
                text.contains("objectformat=sha256")
            })
        });
        let tracked = entries(&bytes, if sha256 { 32 } else { 20 })?;
        Some(Self { top: top.to_owned(), tracked })
    }

    pub(crate) fn tracks(&self, path: &Path) -> bool {
        path.strip_prefix(&self.top).is_ok_and(|inside| self.tracked.contains(inside.as_os_str().as_encoded_bytes()))
    }
}

/// Where the `.git` of a work tree or submodule leads that is a file, and what links must not leave there.
fn linked(dot: &Path, top: &Path, within: &Path) -> Option<(PathBuf, PathBuf)> {
    let bytes = disk::read_bytes(dot, within, 4096)?;
    let text = std::str::from_utf8(&bytes).ok()?;
    let directory = spelled_out(&top.join(text.strip_prefix("gitdir:")?.trim()))?;
    if directory.starts_with(within) {
        return Some((directory, within.to_owned()));
    }
    let names: Vec<&str> = directory.iter().map(|part| part.to_str().unwrap_or_default()).collect();
    let own = names.windows(3).any(|three| matches!(three, [".git", "worktrees" | "modules", _]));
    (own && disk::is_local(&directory)).then(|| (directory, PathBuf::from("/")))
}

/// A path without `..`, by its text alone.
fn spelled_out(path: &Path) -> Option<PathBuf> {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                if !out.pop() {
                    return None;
                }
            }
            Component::CurDir => {}
            other => out.push(other),
        }
    }
    Some(out)
}

fn entries(bytes: &[u8], object: usize) -> Option<BTreeSet<Vec<u8>>> {
    let mut rest = bytes.strip_prefix(b"DIRC")?;
    let version = number(&mut rest)?;
    let count = number(&mut rest)?;
    let mut tracked = BTreeSet::new();
    let mut name: Vec<u8> = Vec::new();
    for _ in 0..count {
        let entry = rest;
        take(&mut rest, STAT + object)?;
        let flags = take(&mut rest, 2)?;
        let mut fixed = STAT + object + 2;
        if version >= 3 && flags.first().is_some_and(|high| high & 0x40 != 0) {
            take(&mut rest, 2)?;
            fixed += 2;
        }
        if version == 4 {
            let cut = usize::try_from(varint(&mut rest)?).ok()?;
            name.truncate(name.len().checked_sub(cut)?);
            name.extend_from_slice(until_nul(&mut rest)?);
        } else {
            name = until_nul(&mut rest)?.to_vec();
            // An entry is padded to a multiple of eight with one to eight NULs, one of which is taken.
            let padded = (fixed + name.len() + 8) & !7;
            rest = entry.get(padded..)?;
        }
        tracked.insert(name.clone());
    }
    Some(tracked)
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (front, back) = rest.split_at_checked(length)?;
    *rest = back;
    Some(front)
}

fn number(rest: &mut &[u8]) -> Option<u32> {
    take(rest, 4).and_then(|four| four.try_into().ok()).map(u32::from_be_bytes)
}

fn until_nul<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let end = rest.iter().position(|byte| *byte == 0)?;
    let front = take(rest, end)?;
    take(rest, 1)?;
    Some(front)
}

/// The offset encoding of pack files.
fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value: u64 = 0;
    for at in 0..9 {
        let byte = *take(rest, 1)?.first()?;
        value = (value << 7) + u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            return Some(value);
        }
        if at < 8 {
            value += 1;
        }
    }
    None
}

/// An index of version 2 that tracks these paths; for tests.
#[cfg(test)]
pub(crate) fn index_of(paths: &[&str]) -> Vec<u8> {
    let mut bytes = b"DIRC\0\0\0\x02".to_vec();
    bytes.extend_from_slice(&u32::try_from(paths.len()).expect("few").to_be_bytes());
    for path in paths {
        let start = bytes.len();
        bytes.extend_from_slice(&[0; STAT + 20 + 2]);
        bytes.extend_from_slice(path.as_bytes());
        let pad = 8 - (bytes.len() - start) % 8;
        bytes.extend(std::iter::repeat_n(0, pad));
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_of_versions_2_and_4_are_read() {
        let two = index_of(&["a", ".mcp.json", "dir/with/eight123"]);
        assert_eq!(entries(&two, 20).expect("reads").len(), 3);
        let mut four = b"DIRC\0\0\0\x04\0\0\0\x02".to_vec();
        for (cut, name) in [(0u8, "conf/a.json"), (6, "b.json")] {
            four.extend_from_slice(&[0; STAT + 20 + 2]);
            four.push(cut);
            four.extend_from_slice(name.as_bytes());
            four.push(0);
        }
        let names = entries(&four, 20).expect("reads");
        assert!(names.contains(b"conf/a.json".as_slice()) && names.contains(b"conf/b.json".as_slice()));
    }

    #[test]
    fn scn_03_a_broken_index_is_no_index() {
        let good = index_of(&["a", "b"]);
        for end in 0..good.len() {
            let cut = entries(&good[..end], 20);
            assert!(cut.is_none() || end >= good.len() - 8, "cut at {end}");
        }
        assert!(entries(b"DIRC\0\0\0\x02\xff\xff\xff\xff", 20).is_none());
        assert!(entries(b"nothing", 20).is_none());
    }
}
