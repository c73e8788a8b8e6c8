//! Doorward's keeping, as long as there is no vault: files of mode 0600 in directories of mode 0700 below the state directory, which
//! `file:` references of the configuration name. Written whole or not at all.

use doorward_core::secret::sha256;
use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// Below the state directory: what clients had in their files.
pub(super) const SECRETS: &str = "secrets";

/// What is done about a file of the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::command) enum Old {
    /// It is replaced.
    Replace,
    /// It stays, and nothing is written.
    Refuse,
}

/// Makes a directory for this user alone.
pub(super) fn directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Writes a file of mode 0600.
pub(in crate::command) fn write(path: &Path, bytes: &[u8], old: Old) -> io::Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let draft = path.with_file_name(format!(".{name}.{}", std::process::id()));
    write_as(path, &draft, bytes, old, 0o600)
}

/// Writes a file with a mode, on the disk before it has its name; until then it is called `draft`.
pub(super) fn write_as(path: &Path, draft: &Path, bytes: &[u8], old: Old, mode: u32) -> io::Result<()> {
    let parent = path.parent().unwrap_or(Path::new("/"));
    drop(fs::remove_file(draft));
    let written = OpenOptions::new().write(true).create_new(true).mode(0o600).open(draft).and_then(|mut file| {
        file.write_all(bytes)?;
        file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(mode))?;
        file.sync_all()?;
        match old {
            Old::Replace => fs::rename(draft, path),
            // A second name can only be made where there is none.
            Old::Refuse => fs::hard_link(draft, path).and_then(|()| fs::remove_file(draft)),
        }?;
        File::open(parent)?.sync_all()
    });
    if written.is_err() {
        drop(fs::remove_file(draft));
    }
    written
}

/// Where values will be kept, so that no two different ones get one place.
#[derive(Debug, Default)]
pub(super) struct Shelf(BTreeMap<PathBuf, [u8; 32]>);

// === impl Shelf ===

impl Shelf {
    /// A place for a value of a server: the same value twice needs one.
    pub(super) fn place(&mut self, state: &Path, server: &str, key: &str, id: &str, value: &str) -> PathBuf {
        let own = sha256(value.as_bytes());
        let mut path = place(state, server, key, id, value);
        let first = path.clone();
        let mut number = 1_u32;
        while self.0.get(&path).is_some_and(|other| *other != own) {
            number += 1;
            path = first.with_file_name(format!("{}-{id}-{number}", first.file_name().unwrap_or_default().to_string_lossy()));
        }
        self.0.insert(path.clone(), own);
        path
    }
}

/// Where a value of a server is kept, if nothing else is kept there.
fn place(state: &Path, server: &str, key: &str, id: &str, value: &str) -> PathBuf {
    let plain: String = key.chars().map(|c| if c.is_ascii_alphanumeric() || matches!(c, '_' | '-') { c } else { '_' }).take(80).collect();
    let directory = state.join(SECRETS).join(server);
    let first = directory.join(&plain);
    match fs::read(&first) {
        Ok(bytes) if bytes == value.as_bytes() => first,
        Err(error) if error.kind() == io::ErrorKind::NotFound => first,
        _ => directory.join(format!("{plain}-{id}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt as _;

    #[test]
    fn what_is_kept_is_for_its_owner_alone_and_never_replaced_unasked() {
        let root = std::env::temp_dir().join(format!("doorward-keep-{}", std::process::id()));
        let path = place(&root, "github", "X/../Y", "1", "one");
        assert_eq!(path, root.join("secrets/github/X____Y"));
        directory(path.parent().expect("a parent")).expect("made");
        write(&path, b"one", Old::Refuse).expect("written");
        let mode = |path: &Path| fs::metadata(path).expect("there").mode() & 0o7777;
        assert_eq!((mode(&path), mode(path.parent().expect("a parent"))), (0o600, 0o700));
        assert!(write(&path, b"two", Old::Refuse).is_err());
        assert_eq!(place(&root, "github", "X/../Y", "1", "one"), path);
        assert_eq!(place(&root, "github", "X/../Y", "1", "two"), root.join("secrets/github/X____Y-1"));
        let mut shelf = Shelf::default();
        assert_eq!(shelf.place(&root, "a", "K", "1", "one"), root.join("secrets/a/K"));
        assert_eq!(shelf.place(&root, "a", "K", "1", "one"), root.join("secrets/a/K"));
        assert_eq!(shelf.place(&root, "a", "K", "1", "two"), root.join("secrets/a/K-1-2"));
        assert_eq!(fs::read(&path).expect("there"), b"one");
        assert_eq!(fs::read_dir(path.parent().expect("a parent")).expect("listed").count(), 1, "no draft stays");
        fs::remove_dir_all(&root).expect("removed");
    }
}
