//! Whoever writes at the same time wins, links and strangers' files are left alone, and nothing stays behind.

use super::{Moment, Unwritten, read, replace, replace_with};
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

const DRAFT: &str = ".file.doorward-draft";

struct Folder(PathBuf);

impl Folder {
    fn new(text: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("doorward-exchange-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let folder = Self(fs::canonicalize(std::env::temp_dir()).expect("there").join(name));
        fs::create_dir(&folder.0).expect("new");
        fs::write(folder.file(), text).expect("written");
        folder
    }

    fn file(&self) -> PathBuf {
        self.0.join("file")
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(&self.0).expect("listed").flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    fn text(&self) -> String {
        fs::read_to_string(self.file()).expect("read")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::set_permissions(&self.0, fs::Permissions::from_mode(0o700)));
        drop(fs::remove_dir_all(&self.0));
    }
}

#[test]
fn a_file_is_replaced_with_its_mode_and_nothing_stays() {
    let folder = Folder::new("old");
    fs::set_permissions(folder.file(), fs::Permissions::from_mode(0o640)).expect("mode");
    replace(&folder.file(), Some("old"), "new", DRAFT).expect("replaced");
    assert_eq!((folder.text().as_str(), folder.names()), ("new", vec!["file".to_owned()]));
    assert_eq!(fs::metadata(folder.file()).expect("there").mode() & 0o7777, 0o640);
    let fresh = folder.0.join("fresh");
    replace(&fresh, None, "first", DRAFT).expect("made");
    assert_eq!(fs::metadata(&fresh).expect("there").mode() & 0o7777, 0o600);
    assert!(matches!(replace(&fresh, None, "again", DRAFT), Err(Unwritten::Changed)));
}

#[test]
fn whoever_writes_meanwhile_wins_in_every_moment() {
    for wanted in [Moment::Read, Moment::Drafted, Moment::Exchanged] {
        for way in ["written", "renamed", "removed"] {
            let folder = Folder::new("old");
            // Behind the exchange the old file is the one that comes out.
            let target = if wanted == Moment::Exchanged { folder.0.join(DRAFT) } else { folder.file() };
            let result = replace_with(&folder.file(), Some("old"), "new", DRAFT, &mut |moment| {
                if moment == wanted {
                    match way {
                        "written" => fs::write(&target, "theirs").expect("written"),
                        "renamed" => {
                            fs::write(folder.0.join("t"), "theirs").expect("written");
                            fs::rename(folder.0.join("t"), &target).expect("renamed");
                        }
                        _ => fs::remove_file(&target).expect("removed"),
                    }
                }
            });
            if way == "removed" {
                assert!(result.is_err(), "{wanted:?}");
                continue;
            }
            assert!(matches!(result, Err(Unwritten::Changed)), "{wanted:?} {way}: {result:?}");
            assert_eq!((folder.text().as_str(), folder.names()), ("theirs", vec!["file".to_owned()]), "{wanted:?} {way}");
        }
    }
}

#[test]
fn what_is_no_file_of_ones_own_is_left_alone() {
    let folder = Folder::new("old");
    symlink("file", folder.0.join("link")).expect("a link");
    assert!(matches!(replace(&folder.0.join("link"), Some("old"), "new", DRAFT), Err(Unwritten::NotAFile)));
    symlink(".", folder.0.join("way")).expect("a link");
    assert!(matches!(replace(&folder.0.join("way/file"), Some("old"), "new", DRAFT), Err(Unwritten::NotAFile)));
    fs::create_dir(folder.0.join("directory")).expect("made");
    assert!(matches!(read(&folder.0.join("directory")), Err(Unwritten::NotAFile)));
    fs::hard_link(folder.file(), folder.0.join("other")).expect("a second name");
    assert!(matches!(replace(&folder.file(), Some("old"), "new", DRAFT), Err(Unwritten::Names(2))));
    fs::remove_file(folder.0.join("other")).expect("removed");
    fs::set_permissions(folder.file(), fs::Permissions::from_mode(0o400)).expect("mode");
    assert!(matches!(replace(&folder.file(), Some("old"), "new", DRAFT), Err(Unwritten::ReadOnly(0o400))));
    fs::set_permissions(folder.file(), fs::Permissions::from_mode(0o600)).expect("mode");
    fs::write(folder.file(), b"\xff").expect("written");
    assert!(matches!(read(&folder.file()), Err(Unwritten::NotText)));
    fs::write(folder.file(), vec![b'x'; (5 << 20) + 1]).expect("written");
    assert!(matches!(read(&folder.file()), Err(Unwritten::TooLarge)));
    if rustix::process::geteuid().is_root() {
        fs::write(folder.file(), "old").expect("written");
        std::os::unix::fs::chown(folder.file(), Some(12345), None).expect("given away");
        assert!(matches!(replace(&folder.file(), Some("old"), "new", DRAFT), Err(Unwritten::Owner(12345))));
    }
    assert!(!folder.names().contains(&DRAFT.to_owned()));
}

#[test]
fn a_draft_that_is_there_already_is_not_written_over() {
    let folder = Folder::new("old");
    fs::write(folder.0.join(DRAFT), "somebody's").expect("written");
    assert!(replace(&folder.file(), Some("old"), "new", DRAFT).is_err());
    assert_eq!(folder.text(), "old");
}
