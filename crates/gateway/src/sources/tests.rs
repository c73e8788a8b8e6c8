//! References and what lies behind them: attack before defence.

use super::env::Variables;
use super::{BadReference, Cause, MAX_SECRET, Reference, Sources};
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

const CANARY: &str = "canary-7f3a";

struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("doorward-sources-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).expect("new folder");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).expect("mode");
        Self(path)
    }

    fn file(&self, name: &str, content: &[u8], mode: u32) -> Reference {
        let path = self.0.join(name);
        fs::write(&path, content).expect("write");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("mode");
        self.reference(name)
    }

    fn reference(&self, name: &str) -> Reference {
        Reference::parse(&format!("file:{}/{name}", self.0.display())).expect("reference")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _gone = fs::remove_dir_all(&self.0);
    }
}

fn sources(pairs: &[(&str, &[u8])]) -> Sources {
    Sources::new(Variables::new(pairs.iter().map(|(name, value)| (OsString::from(name), OsString::from_vec(value.to_vec())))))
}

fn cause(sources: &Sources, reference: &Reference) -> Cause {
    let error = sources.secret(reference).expect_err("refused");
    let shown = format!("{error} {error:?} {sources:?}");
    assert!(!shown.contains(CANARY), "{shown}");
    assert!(shown.contains(&reference.to_string()), "{shown}");
    error.cause().clone()
}

#[test]
fn references_have_one_grammar() {
    for (text, why) in [
        ("", BadReference::Kind),
        ("hunter2", BadReference::Kind),
        ("ENV:A", BadReference::Kind),
        ("vault:x", BadReference::Kind),
        ("env:", BadReference::Variable),
        ("env:1A", BadReference::Variable),
        ("env:A B", BadReference::Variable),
        ("env:A=B", BadReference::Variable),
        ("file:", BadReference::Path),
        ("file:relative", BadReference::Path),
        ("file:/a/../b", BadReference::Path),
        ("file:/a/./b", BadReference::Path),
        ("file:/a/", BadReference::Path),
        ("file:/a\nb", BadReference::Path),
        ("cred:", BadReference::Name),
        ("cred:../x", BadReference::Name),
        ("cred:a/b", BadReference::Name),
        ("cred:.hidden", BadReference::Name),
    ] {
        assert_eq!(Reference::parse(text), Err(why), "{text:?}");
    }
    for text in ["env:TOKEN_1", "file:/etc/doorward/key", "cred:upstream.key"] {
        assert_eq!(Reference::parse(text).expect(text).to_string(), text);
    }
}

#[test]
fn variables_come_from_the_snapshot_alone() {
    let sources = sources(&[("A", b"value\n"), ("EMPTY", b""), ("BAD", b"canary-7f3a\x00x"), ("RAW", b"canary-7f3a\xff")]);
    let env = |name: &str| Reference::parse(&format!("env:{name}")).expect("reference");
    assert_eq!(sources.secret(&env("A")).expect("set").expose(), "value");
    assert_eq!(cause(&sources, &env("PATH")), Cause::Missing);
    assert_eq!(cause(&sources, &env("EMPTY")), Cause::Empty);
    assert_eq!(cause(&sources, &env("BAD")), Cause::Control);
    assert_eq!(cause(&sources, &env("RAW")), Cause::NotText);
}

#[test]
fn only_one_final_newline_is_removed() {
    let (folder, sources) = (Folder::new(), sources(&[]));
    for (content, kept) in [("s", "s"), ("s\n", "s"), ("s\r\n", "s"), (" s \n", " s ")] {
        let reference = folder.file("k", content.as_bytes(), 0o600);
        assert_eq!(sources.secret(&reference).expect("read").expose(), kept, "{content:?}");
    }
    for content in ["s\n\n", "a\nb", "\u{9b}s", "a\tb"] {
        assert_eq!(cause(&sources, &folder.file("k", content.as_bytes(), 0o600)), Cause::Control, "{content:?}");
    }
    assert_eq!(cause(&sources, &folder.file("k", b"\n", 0o600)), Cause::Empty);
}

#[test]
fn files_that_others_may_touch_are_refused() {
    let (folder, sources) = (Folder::new(), sources(&[]));
    for mode in [0o604, 0o640, 0o660, 0o602, 0o644, 0o610] {
        assert_eq!(cause(&sources, &folder.file("open", CANARY.as_bytes(), mode)), Cause::Mode(mode), "{mode:o}");
    }
    for mode in [0o600, 0o400] {
        assert!(sources.secret(&folder.file(&format!("closed{mode}"), b"x", mode)).is_ok(), "{mode:o}");
    }
}

#[test]
fn sizes_and_kinds_of_files_are_bounded() {
    let (folder, sources) = (Folder::new(), sources(&[]));
    assert!(sources.secret(&folder.file("full", &vec![b'a'; MAX_SECRET], 0o600)).is_ok());
    assert_eq!(cause(&sources, &folder.file("over", &vec![b'a'; MAX_SECRET + 1], 0o600)), Cause::TooLarge);
    assert_eq!(cause(&sources, &folder.file("huge", &vec![b'a'; MAX_SECRET * 4], 0o600)), Cause::TooLarge);
    fs::create_dir(folder.0.join("directory")).expect("directory");
    assert_eq!(cause(&sources, &folder.reference("directory")), Cause::NotAFile);
    rustix::fs::mkfifoat(rustix::fs::CWD, folder.0.join("pipe"), rustix::fs::Mode::RUSR).expect("pipe");
    assert_eq!(cause(&sources, &folder.reference("pipe")), Cause::NotAFile);
    assert_eq!(cause(&sources, &folder.reference("none")), Cause::Missing);
    assert_eq!(cause(&sources, &Reference::parse("file:/dev/null").expect("reference")), Cause::NotAFile);
}

#[test]
fn a_link_is_followed_only_where_nobody_else_could_place_it() {
    let (folder, sources) = (Folder::new(), sources(&[]));
    folder.file("real", b"value", 0o600);
    symlink("real", folder.0.join("link")).expect("link");
    assert_eq!(sources.secret(&folder.reference("link")).expect("own link").expose(), "value");
    symlink("loop", folder.0.join("loop")).expect("link");
    assert_eq!(cause(&sources, &folder.reference("loop")), Cause::Link);
    fs::set_permissions(&folder.0, fs::Permissions::from_mode(0o777)).expect("mode");
    assert_eq!(cause(&sources, &folder.reference("link")), Cause::Link);
    assert_eq!(cause(&sources, &folder.reference("real")), Cause::Link);
}

#[test]
fn credentials_come_from_the_service_managers_directory() {
    let folder = Folder::new();
    folder.file("token", b"value", 0o440);
    let reference = Reference::parse("cred:token").expect("reference");
    assert_eq!(cause(&sources(&[]), &reference), Cause::NoCredentials);
    assert_eq!(cause(&sources(&[("CREDENTIALS_DIRECTORY", b"relative")]), &reference), Cause::NoCredentials);
    let text = folder.0.display().to_string();
    let sources = sources(&[("CREDENTIALS_DIRECTORY", text.as_bytes())]);
    assert_eq!(sources.secret(&reference).expect("credential").expose(), "value");
    folder.file("open", CANARY.as_bytes(), 0o444);
    assert_eq!(cause(&sources, &Reference::parse("cred:open").expect("reference")), Cause::Mode(0o444));
}
