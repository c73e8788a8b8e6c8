//! Installed packages (STD-08): a directory that holds a package with everything that it needs, named by the digest of what is in
//! it. The launcher reads all of it before it becomes the program, so that what runs is what was approved, and needs no network.
//!
//! The digest covers names, kinds, contents, which files may be executed, and where links lead. Owner, times and the other modes
//! are not part of it. A link leads to a place inside, anything else is refused. Knows neither servers nor registries.

use doorward_core::launch::Integrity;
use rustix::fs::OFlags;
use serde_json::Value;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Component, Path, PathBuf};

/// Name of the file in which a package says how it is started.
pub const MANIFEST: &str = "doorward-package.json";

/// Name of the directory of packages in the state directory.
pub const DIRECTORY: &str = "packages";

/// What the launcher says of one that is not what was approved.
pub const CHANGED: &str = "the installed package is not what was approved";

/// What it says of one that is not there.
pub const MISSING: &str = "the package is not installed";

/// Directories within directories.
const MAX_DEPTH: usize = 64;
/// Files, links and directories.
const MAX_ENTRIES: usize = 500_000;
/// Bytes of the manifest.
const MAX_MANIFEST: u64 = 64 * 1024;

/// What a package is, and how it is started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree {
    /// Of everything that is in it.
    pub integrity: Integrity,
    /// Program and first arguments, the program absolute.
    pub program: Vec<OsString>,
}

/// Where the packages of an installation lie.
#[must_use]
pub fn home(state: &Path) -> PathBuf {
    state.join(DIRECTORY)
}

/// Where the package with this integrity lies.
#[must_use]
pub fn place(packages: &Path, integrity: &Integrity) -> PathBuf {
    packages.join(integrity.hex())
}

/// The text of a manifest; what begins with `./` is inside the package.
#[must_use]
pub fn manifest(package: &str, program: &[&str]) -> String {
    format!("{}\n", serde_json::json!({"v": 1, "package": package, "program": program}))
}

/// Reads a whole package and says what it is. What the manifest says is taken from the bytes that were digested.
///
/// # Errors
/// Of reading; [`io::ErrorKind::InvalidData`] for what no package holds.
pub fn read(directory: &Path) -> io::Result<Tree> {
    let mut reader = Reader { sum: doorward_core::audit::export::Sum::new(), entries: 0, manifest: Vec::new() };
    if !fs::symlink_metadata(directory)?.is_dir() {
        return Err(bad("it is no directory"));
    }
    reader.directory(directory, Path::new(""), 0)?;
    let (digest, _) = reader.sum.end();
    let program = program(&reader.manifest, directory).ok_or_else(|| bad("it does not say how it is started"))?;
    Ok(Tree { integrity: Integrity::new(digest), program })
}

fn program(manifest: &[u8], directory: &Path) -> Option<Vec<OsString>> {
    let manifest: Value = serde_json::from_slice(manifest).ok()?;
    let words: Vec<&str> = manifest.get("program")?.as_array()?.iter().map(Value::as_str).collect::<Option<_>>()?;
    let word = |word: &&str| match word.strip_prefix("./") {
        Some(inside) => directory.join(inside).into_os_string(),
        None => OsString::from(word),
    };
    let program: Vec<OsString> = words.iter().map(word).collect();
    (manifest.get("v")?.as_u64() == Some(1) && program.first().is_some_and(|first| Path::new(first).is_absolute())).then_some(program)
}

/// Makes everything in a directory unwritable, and readable for its owner alone.
///
/// # Errors
/// Of the file system.
pub fn freeze(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            freeze(&entry.path())?;
        } else if kind.is_file() {
            let runs = entry.metadata()?.permissions().mode() & 0o100;
            fs::set_permissions(entry.path(), fs::Permissions::from_mode(0o400 | runs))?;
        }
    }
    fs::set_permissions(directory, fs::Permissions::from_mode(0o500))
}

/// Removes a directory that may be frozen.
///
/// # Errors
/// Of the file system; one that is not there is no error.
pub fn remove(directory: &Path) -> io::Result<()> {
    match fs::symlink_metadata(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
        Ok(found) if !found.is_dir() => return fs::remove_file(directory),
        Ok(_) => {}
    }
    thaw(directory)?;
    fs::remove_dir_all(directory)
}

fn thaw(directory: &Path) -> io::Result<()> {
    fs::set_permissions(directory, fs::Permissions::from_mode(0o700))?;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            thaw(&entry.path())?;
        }
    }
    Ok(())
}

struct Reader {
    sum: doorward_core::audit::export::Sum,
    entries: usize,
    manifest: Vec<u8>,
}

// === impl Reader ===

impl Reader {
    /// Everything in a directory, by name; `inside` is its path in the package.
    fn directory(&mut self, path: &Path, inside: &Path, depth: usize) -> io::Result<()> {
        if depth > MAX_DEPTH {
            return Err(bad("it is too deep"));
        }
        let mut names: Vec<OsString> = fs::read_dir(path)?.map(|entry| entry.map(|entry| entry.file_name())).collect::<io::Result<_>>()?;
        names.sort_unstable();
        self.entries = self.entries.saturating_add(names.len());
        if self.entries > MAX_ENTRIES {
            return Err(bad("it has too many files"));
        }
        for name in names {
            let (path, inside) = (path.join(&name), inside.join(&name));
            let found = fs::symlink_metadata(&path)?;
            if found.is_dir() {
                self.entry(b'd', &inside, &[]);
                self.directory(&path, &inside, depth + 1)?;
            } else if found.is_symlink() {
                let target = fs::read_link(&path)?;
                if !stays(&inside, &target) {
                    return Err(bad("a link leads out of it"));
                }
                self.entry(b'l', &inside, target.as_os_str().as_bytes());
            } else if found.is_file() {
                let kind = if found.permissions().mode() & 0o111 == 0 { b'f' } else { b'x' };
                let digest = self.file(&path, &inside)?;
                self.entry(kind, &inside, &digest);
            } else {
                return Err(bad("something in it is neither file nor directory nor link"));
            }
        }
        Ok(())
    }

    /// A kind, a path and what is there, each with its length before it.
    fn entry(&mut self, kind: u8, inside: &Path, what: &[u8]) {
        self.sum.add(&[kind]);
        for text in [inside.as_os_str().as_bytes(), what] {
            self.sum.add(&u64::try_from(text.len()).unwrap_or(u64::MAX).to_be_bytes());
            self.sum.add(text);
        }
    }

    fn file(&mut self, path: &Path, inside: &Path) -> io::Result<[u8; 32]> {
        #[expect(clippy::cast_possible_wrap, reason = "open flags are a C int")]
        let flags = OFlags::NOFOLLOW.bits() as i32;
        let mut file: File = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
        let (mut sum, mut piece) = (doorward_core::audit::export::Sum::new(), vec![0; 1 << 16]);
        let is_manifest = inside == Path::new(MANIFEST);
        loop {
            let read = file.read(&mut piece)?;
            let part = piece.get(..read).unwrap_or_default();
            if part.is_empty() {
                return Ok(sum.end().0);
            }
            sum.add(part);
            if is_manifest {
                self.manifest.extend_from_slice(part);
                if u64::try_from(self.manifest.len()).unwrap_or(u64::MAX) > MAX_MANIFEST {
                    return Err(bad("its manifest is too long"));
                }
            }
        }
    }
}

/// Whether a link at `inside` that leads to `target` stays in the package.
fn stays(inside: &Path, target: &Path) -> bool {
    let mut depth = inside.components().count().saturating_sub(1);
    for part in target.components() {
        match part {
            Component::Normal(_) => depth = depth.saturating_add(1),
            Component::CurDir => {}
            Component::ParentDir => match depth.checked_sub(1) {
                Some(up) => depth = up,
                None => return false,
            },
            Component::RootDir | Component::Prefix(_) => return false,
        }
    }
    true
}

fn bad(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;
    use std::sync::atomic::{AtomicU32, Ordering};

    type Change = fn(&Path);

    struct Room(PathBuf);

    impl Room {
        /// A package of a file in a directory, a link to it, and a manifest.
        fn new() -> Self {
            static NEXT: AtomicU32 = AtomicU32::new(0);
            let name = format!("doorward-package-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
            let room = Self(std::env::temp_dir().join(name));
            fs::create_dir_all(room.0.join("lib/deep")).expect("directories");
            fs::write(room.0.join("lib/deep/a.js"), "1").expect("a file");
            symlink("lib/deep/a.js", room.0.join("link")).expect("a link");
            fs::write(room.0.join(MANIFEST), manifest("npm:a@1.0.0", &["/usr/bin/node", "./lib/deep/a.js"])).expect("a manifest");
            room
        }
    }

    impl Drop for Room {
        fn drop(&mut self) {
            remove(&self.0).ok();
        }
    }

    #[test]
    fn std_08_any_change_of_a_package_is_another_package() {
        let whole = Room::new();
        let first = read(&whole.0).expect("a package");
        assert_eq!(first.program, ["/usr/bin/node".into(), whole.0.join("lib/deep/a.js").into_os_string()]);
        freeze(&whole.0).expect("frozen");
        assert_eq!(read(&whole.0).expect("a package"), first, "modes of writing are not part of it");
        assert_eq!(fs::metadata(whole.0.join("lib/deep/a.js")).expect("there").permissions().mode() & 0o777, 0o400);
        let changes: [(&str, Change); 9] = [
            ("a byte", |room| fs::write(room.join("lib/deep/a.js"), "2").expect("written")),
            ("a name", |room| fs::rename(room.join("lib/deep/a.js"), room.join("lib/deep/b.js")).expect("renamed")),
            ("a place", |room| fs::rename(room.join("lib/deep/a.js"), room.join("lib/a.js")).expect("renamed")),
            ("a file more", |room| fs::write(room.join("lib/.hidden"), "").expect("written")),
            ("a directory more", |room| fs::create_dir(room.join("lib/empty")).expect("made")),
            ("a file less", |room| fs::remove_file(room.join("lib/deep/a.js")).expect("removed")),
            ("another link", |room| {
                fs::remove_file(room.join("link")).expect("removed");
                symlink("lib/deep", room.join("link")).expect("a link");
            }),
            ("a file instead of a link", |room| {
                fs::remove_file(room.join("link")).expect("removed");
                fs::write(room.join("link"), "lib/deep/a.js").expect("written");
            }),
            ("a file that may be executed", |room| {
                fs::set_permissions(room.join("lib/deep/a.js"), fs::Permissions::from_mode(0o700)).expect("modes");
            }),
        ];
        for (what, change) in changes {
            let room = Room::new();
            assert_eq!(read(&room.0).expect("a package").integrity, first.integrity, "the same files are the same package");
            change(&room.0);
            assert_ne!(read(&room.0).expect("a package").integrity, first.integrity, "{what}");
        }
    }

    #[test]
    fn std_08_what_leads_out_or_is_no_file_is_no_package() {
        let refused = |change: Change| {
            let room = Room::new();
            change(&room.0);
            read(&room.0).expect_err("no package").kind()
        };
        let links: [Change; 3] = [
            |room| symlink("/etc/passwd", room.join("lib/out")).expect("a link"),
            |room| symlink("../../x", room.join("lib/out")).expect("a link"),
            |room| symlink("deep/../../../x", room.join("lib/out")).expect("a link"),
        ];
        for link in links {
            assert_eq!(refused(link), io::ErrorKind::InvalidData);
        }
        let socket = |room: &Path| drop(std::os::unix::net::UnixListener::bind(room.join("s")).expect("a socket"));
        assert_eq!(refused(socket), io::ErrorKind::InvalidData);
        for text in ["", "{}", "{\"v\":1,\"program\":[]}", "{\"v\":1,\"program\":[\"node\"]}", "{\"v\":2,\"program\":[\"/x\"]}"] {
            let room = Room::new();
            fs::write(room.0.join(MANIFEST), text).expect("written");
            assert!(read(&room.0).is_err(), "{text}");
        }
        assert_eq!(read(Path::new("/nowhere/at/all")).expect_err("nothing").kind(), io::ErrorKind::NotFound);
    }
}
