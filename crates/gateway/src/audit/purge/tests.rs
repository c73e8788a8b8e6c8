//! A purge on the disk, cut off at each step (AUD-06).

use super::super::key;
use super::super::recorder::{Durability, Options, Recorder};
use super::super::tests::Directory;
use super::*;
use doorward_core::audit::chain::WriterId;
use doorward_core::audit::outcome::Notice;
use doorward_core::audit::verify::{Summary, verify_with};
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

const NOW: Timestamp = Timestamp::from_millis(1_795_496_611_007);
const DAY: Duration = Duration::from_secs(86_400);

fn day(n: u32) -> Timestamp {
    NOW.after(DAY * n)
}

struct Room(Directory);

impl Room {
    /// A record of ten days, each a start with events and a seal at its end.
    async fn new() -> Self {
        let room = Self(Directory::new());
        for n in 0..10 {
            let recorder = room.open(day(n)).expect("opened");
            for _ in 0..5 {
                recorder.event(&Notice { reason: "tick", ..Notice::default() }, day(n)).await.expect("recorded");
            }
            recorder.checkpoint(day(n)).await.expect("sealed");
        }
        room
    }

    fn file(&self) -> PathBuf {
        self.0.0.join("audit.jsonl")
    }

    fn signers(&self) -> Vec<Signer> {
        key::load_all(&self.0.0).expect("keys")
    }

    fn open(&self, now: Timestamp) -> Result<Recorder, OpenError> {
        let writer = WriterId::new("node-1").expect("id");
        let options = Options { path: self.file(), durability: Durability::Write, seal_every: 100, writer, digests: Digests::Plain };
        Recorder::open_with(options, self.signers(), now)
    }

    fn purge(&self, before: Timestamp) -> Result<Purge, OpenError> {
        purge(&self.file(), self.signers(), &Order { before, why: "retention 5d", now: day(10) })
    }

    fn verify(&self) -> Summary {
        let file = fs::read(self.file()).expect("read");
        let claims = Claims::read(file.as_slice()).expect("read");
        verify_with(file.as_slice(), &claims, &self.signers()[0].public(), None).expect("whole")
    }
}

#[tokio::test]
async fn aud_06_what_is_old_goes_under_a_tombstone_and_the_record_goes_on() {
    let room = Room::new().await;
    let before = room.verify();
    let seen = preview(&room.file(), day(5)).expect("looked");
    let done = room.purge(day(5)).expect("purged");
    let (seen, stone) = (seen.stretch.expect("something"), done.stretch.expect("something"));
    assert_eq!((seen.first, seen.last, seen.count, seen.removed), (stone.first, stone.last, stone.count, stone.removed.clone()));
    assert!(stone.by.starts_with("uid ") && stone.why == "retention 5d", "{stone:?}");
    let after = room.verify();
    assert_eq!((after.purged, after.purged_to), (stone.count, stone.last));
    assert!(after.records < before.records && after.head.seq > before.head.seq);
    let mode = fs::metadata(room.file()).expect("there").permissions().mode() & 0o777;
    assert_eq!(mode, 0o600, "for its owner alone, as before");
    let names: Vec<_> = fs::read_dir(&room.0.0).expect("read").map(|entry| entry.expect("entry").file_name()).collect();
    assert!(!names.iter().any(|name| name.to_string_lossy().contains("purging")), "nothing of it is kept: {names:?}");
    // The next starts read it, from its beginning and from a bookmark, and prove its past.
    for n in 11..14 {
        let recorder = room.open(day(n)).expect("opened");
        recorder.event(&Notice { reason: "tick", ..Notice::default() }, day(n)).await.expect("recorded");
        recorder.checkpoint(day(n)).await.expect("sealed");
        drop(recorder);
        assert_eq!(room.verify().purged, stone.count);
    }
    assert_eq!(room.purge(day(5)).expect("nothing to do"), Purge { stretch: None, left_over: 0 });
    let again = room.purge(day(8)).expect("purged").stretch.expect("something");
    assert_eq!((again.first, room.verify().purged), (stone.last + 1, stone.count + again.count));
}

#[tokio::test]
async fn aud_06_a_purge_killed_at_any_step_leaves_a_whole_record_and_the_next_one_finishes() {
    let room = Room::new().await;
    // Killed behind the tombstone.
    let mut file = medium::open(&room.file()).expect("opened");
    let (claims, found) = look(&mut file, day(5)).expect("looked");
    let stone = bury(&mut file, &claims, found, room.signers(), &Order { before: day(5), why: "x", now: day(10) }).expect("buried");
    drop(file);
    let stone = stone.expect("something");
    assert_eq!(room.verify().purged, 0);
    // A gateway may start on it, and does.
    drop(room.open(day(10)).expect("opened"));
    assert_eq!(preview(&room.file(), day(5)).expect("looked"), Purge { stretch: None, left_over: stone.count });
    // Killed while the new file was written.
    fs::write(draft(&room.file()), b"half").expect("written");
    assert_eq!(room.purge(day(5)).expect("finished"), Purge { stretch: None, left_over: stone.count });
    assert_eq!(room.verify().purged, stone.count);
    assert_eq!(preview(&room.file(), day(5)).expect("looked"), Purge { stretch: None, left_over: 0 });
}

#[tokio::test]
async fn aud_06_a_record_that_is_in_use_altered_of_another_key_or_not_there_is_not_purged() {
    let room = Room::new().await;
    let recorder = room.open(day(10)).expect("opened");
    assert!(matches!(room.purge(day(5)), Err(OpenError::Locked)));
    preview(&room.file(), day(5)).expect("looking is allowed");
    drop(recorder);
    let whole = fs::read(room.file()).expect("read");
    let theirs = key::load_all(&Directory::new().0).expect("keys");
    let foreign = purge(&room.file(), theirs, &Order { before: day(5), why: "x", now: day(10) });
    assert!(matches!(foreign, Err(OpenError::Seal(_))), "{foreign:?}");
    let mut altered = whole.clone();
    altered[900] ^= 1;
    fs::write(room.file(), &altered).expect("written");
    assert!(matches!(room.purge(day(5)), Err(OpenError::Bad(_))));
    assert_eq!(fs::read(room.file()).expect("read"), altered, "evidence is left as it is");
    fs::remove_file(room.file()).expect("removed");
    assert!(room.purge(day(5)).is_err() && !room.file().exists());
}

#[tokio::test]
async fn aud_06_a_record_or_a_state_directory_of_another_user_is_refused_before_anything() {
    let room = Room::new().await;
    let whole = fs::read(room.file()).expect("read");
    let own = fs::metadata(room.file()).expect("there").uid();
    ours(&room.file(), &room.0.0, own).expect("ours");
    let others = Directory::new();
    for (path, state) in [(room.file(), room.0.0.clone()), (room.file(), room.0.0.join("none"))] {
        let found = ours(&path, &state, own.wrapping_add(1));
        assert!(matches!(found, Err(OpenError::NotOurs(uid)) if uid == own), "{found:?}");
    }
    assert!(ours(&room.file(), &others.0.join("none"), own).is_ok(), "nothing there, nobody's");
    // Root can do the rest: the file of somebody else, and the directory of somebody else.
    if own == 0 {
        for theirs in [&room.0.0, &room.file()] {
            std::os::unix::fs::chown(theirs, Some(65_534), None).expect("given away");
            assert!(matches!(ours(&room.file(), &room.0.0, own), Err(OpenError::NotOurs(65_534))), "{theirs:?}");
        }
        assert!(matches!(room.purge(day(5)), Err(OpenError::NotOurs(65_534))));
    }
    assert_eq!(fs::read(room.file()).expect("read"), whole);
}
