//! AUD-06: what is purged is named by a signed tombstone, and nothing else goes unnoticed.

use super::chain::{Chain, Digests};
use super::event::{Head, Kind, Record};
use super::outcome::{Class, Notice, Outcome};
use super::purge::{Claims, Tombstone, outlook, stays};
use super::recovery::Found;
use super::tests::{NOW, Writer, id, permit, signer};
use super::verify::{FirstBad, Summary, Why, along, verify, verify_with};
use crate::credential::Principal;
use crate::time::Timestamp;
use std::io::{BufReader, Cursor};
use std::ops::ControlFlow;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);

fn day(n: u32) -> Timestamp {
    NOW.after(DAY * n)
}

/// Lines, each with its newline.
fn lines(file: &[u8]) -> Vec<Vec<u8>> {
    file.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect()
}

fn read(line: &[u8]) -> Record<'static> {
    Record::read(line.strip_suffix(b"\n").unwrap_or(line)).expect("a record").0
}

/// Twenty days: on each a call, an event and a seal; on the tenth a call begins that is answered on the last.
fn house() -> Writer {
    let mut writer = Writer::new(Digests::Plain);
    let mut late = None;
    for n in 0..20 {
        let now = day(n);
        let (intent, line) = writer.chain.intend(permit("read_note"), &Principal::new("vault/alice".into()), id(n.into()), now);
        writer.put(&line);
        if n == 10 {
            late = Some(intent);
        } else {
            let (_, line) = writer.chain.settle(intent, &Outcome::new(Class::Completed, Duration::from_millis(3)), now);
            writer.put(&line);
        }
        let line = writer.chain.event(&Notice { reason: "tick", ..Notice::default() }, now);
        writer.put(&line);
        if n == 19 {
            let (_, line) = writer.chain.settle(late.take().expect("open"), &Outcome::new(Class::TimedOut, DAY), now);
            writer.put(&line);
        }
        let line = writer.chain.checkpoint(&writer.signer, now).expect("sealed");
        writer.put(&line);
    }
    writer
}

/// First half of a purge: the tombstone.
fn bury(writer: &mut Writer, before: Timestamp, now: Timestamp) -> Option<Tombstone> {
    let claims = Claims::read(writer.file.as_slice()).expect("read");
    let stretch = outlook(writer.file.as_slice(), &claims, before).expect("whole").stretch?;
    let tombstone = stretch.tombstone().clone();
    let line = writer.chain.bury(stretch, "uid 0", "retention 10d", &writer.signer, now).expect("sealed");
    writer.put(&line);
    Some(tombstone)
}

/// Second half: what is left.
fn left(file: &[u8]) -> Vec<u8> {
    let buried = Claims::read(file).expect("read").buried();
    lines(file).into_iter().filter(|line| stays(&read(line), buried)).flatten().collect()
}

fn purge(writer: &mut Writer, before: Timestamp, now: Timestamp) -> Tombstone {
    let tombstone = bury(writer, before, now).expect("something is old");
    writer.file = left(&writer.file);
    tombstone
}

fn check(writer: &Writer, file: &[u8], anchor: Option<&Head>) -> Result<Summary, FirstBad> {
    let claims = Claims::read(file).expect("read");
    let found = verify_with(file, &claims, &writer.signer.public(), anchor);
    // A start sees what verify sees, but for whose key it is.
    match (&found, Chain::resume_with(file, &claims, Digests::Plain)) {
        (Ok(summary), Ok(Found::Chain(resumed))) => {
            assert_eq!((resumed.chain.head(), resumed.open.len() as u64), (summary.head, summary.open));
        }
        (Ok(_), other) => panic!("whole, and cannot go on: {other:?}"),
        (Err(bad), Err(other)) => assert_eq!((bad.line, &bad.why), (other.line, &other.why)),
        (Err(FirstBad { why: Why::Short { .. } | Why::OtherHead | Why::OtherKey, .. }), Ok(_)) => {}
        (Err(bad), Ok(found)) => panic!("{bad}, and goes on: {found:?}"),
    }
    found
}

#[test]
fn aud_06_a_purged_record_is_whole_and_says_what_is_gone() {
    let mut writer = house();
    let old = lines(&writer.file);
    let middle = Head { seq: 9, hash: Record::read(old[8].strip_suffix(b"\n").expect("line")).expect("record").1 };
    assert_eq!(read(&old[8]).kind, Kind::Checkpoint);
    let before = check(&writer, &writer.file, None).expect("whole");
    let tombstone = purge(&mut writer, day(10), day(20));
    assert_eq!((tombstone.first, tombstone.last, tombstone.count), (1, 41, 30), "ten days of three records; eleven seals stay");
    assert_eq!(tombstone.newest, day(9).to_string());
    let summary = check(&writer, &writer.file, Some(&before.head)).expect("whole");
    assert_eq!((summary.purged, summary.purged_to, summary.anchor_is_gone), (30, 41, false));
    assert_eq!((summary.open, summary.seals, summary.unsealed), (0, before.seals + 1, 0));
    let kept = lines(&writer.file);
    assert_eq!(kept.len() as u64, summary.records);
    assert!(kept.iter().all(|line| *read(line).time >= *day(10).to_string() || read(line).seal.is_some()));
    assert!(kept[11..kept.len() - 1].iter().eq(&old[41..]), "what is young is there to the byte");
    // A seal that somebody kept is still proven; a record that is gone is not taken for one.
    assert!(!check(&writer, &writer.file, Some(&middle)).expect("whole").anchor_is_gone);
    let gone = Head { seq: 3, hash: [9; 32] };
    assert!(check(&writer, &writer.file, Some(&gone)).expect("whole").anchor_is_gone);
    assert_eq!(check(&writer, &writer.file, Some(&Head { hash: [9; 32], ..middle })).expect_err("another").why, Why::OtherHead);
    // Who did it, and why, stands in the record under a signature.
    let stone = read(kept.last().expect("last"));
    let stone = stone.purged.expect("a tombstone");
    assert_eq!((stone.by.as_str(), stone.why.as_str()), ("uid 0", "retention 10d"));
}

#[test]
fn aud_06_a_purge_that_was_cut_off_is_accepted_and_finished_by_the_next() {
    let mut writer = house();
    bury(&mut writer, day(10), day(20)).expect("something is old");
    let summary = check(&writer, &writer.file, None).expect("the tombstone stands, the records too");
    assert_eq!((summary.purged, summary.purged_to), (0, 0));
    let claims = Claims::read(writer.file.as_slice()).expect("read");
    let next = outlook(writer.file.as_slice(), &claims, day(10)).expect("whole");
    assert_eq!((next.buried, next.left_over), (41, 30), "still to be removed");
    assert!(next.stretch.is_none(), "and nothing more");
    writer.file = left(&writer.file);
    assert_eq!(check(&writer, &writer.file, None).expect("whole").purged, 30);
    let next = outlook(writer.file.as_slice(), &claims, day(10)).expect("whole");
    assert!(next.left_over == 0 && next.stretch.is_none());
}

#[test]
fn aud_06_a_second_purge_follows_the_first_also_over_open_calls_and_new_keys() {
    let mut writer = house();
    let first = purge(&mut writer, day(5), day(20));
    // Between the two the key changes, and the call of the tenth day is still open at the end of the second.
    let next = signer();
    let line = writer.chain.rotate(&writer.signer, &next, day(20)).expect("rotated");
    writer.put(&line);
    let old = std::mem::replace(&mut writer.signer, next);
    let second = purge(&mut writer, day(15), day(30));
    assert_eq!((first.first, second.first), (1, first.last + 1));
    assert_eq!(second.open.len(), 1, "{second:?}");
    let summary = check(&writer, &writer.file, None).expect("whole");
    assert_eq!((summary.purged, summary.purged_to, summary.open), (first.count + second.count, second.last, 0));
    // Whoever holds the first key only can follow it.
    let claims = Claims::read(writer.file.as_slice()).expect("read");
    assert_eq!(verify_with(writer.file.as_slice(), &claims, &old.public(), None).expect("followed").key, writer.signer.public());
    // A third purge takes everything up to the last seal before it, the tombstones excepted.
    let third = purge(&mut writer, day(40), day(40));
    assert!(third.first == second.last + 1);
    assert_eq!(check(&writer, &writer.file, None).expect("whole").purged_to, third.last);
    assert!(lines(&writer.file).iter().all(|line| read(line).seal.is_some()));
    let line = writer.chain.event(&Notice { reason: "tick", ..Notice::default() }, day(41));
    writer.put(&line);
    check(&writer, &writer.file, None).expect("and the chain goes on");
}

#[test]
fn aud_06_nothing_young_nothing_unsealed_and_nothing_behind_a_clock_that_stepped_back_goes() {
    let mut writer = house();
    let reach = |writer: &Writer, before| {
        let found = outlook(writer.file.as_slice(), &Claims::default(), before).expect("whole");
        found.stretch.map_or(0, |stretch| stretch.tombstone().last)
    };
    assert_eq!(reach(&writer, NOW), 0, "not older than its first record");
    let line = writer.chain.event(&Notice { reason: "unsealed", ..Notice::default() }, day(19));
    writer.put(&line);
    let sealed = writer.chain.head().seq - 1;
    assert_eq!(reach(&writer, day(400)), sealed, "up to the last seal");
    // The clock ran ahead for a day and was put right: what follows is not older than what it stands behind.
    let mut writer = Writer::new(Digests::Plain);
    for now in [day(0), day(300), day(1), day(2)] {
        let line = writer.chain.event(&Notice { reason: "tick", ..Notice::default() }, now);
        writer.put(&line);
        let line = writer.chain.checkpoint(&writer.signer, now).expect("sealed");
        writer.put(&line);
    }
    assert_eq!(reach(&writer, day(100)), 3);
    // A file that was altered is not purged.
    let mut altered = writer.file.clone();
    altered[700] ^= 1;
    assert!(outlook(altered.as_slice(), &Claims::default(), day(100)).is_err());
}

/// What somebody without the key can do to a line, with every hash made to fit.
fn forged(line: &[u8], edit: impl FnOnce(&mut Record<'static>)) -> Vec<u8> {
    let mut record = read(line);
    edit(&mut record);
    let prev = super::event::unhex(&record.prev).expect("hex");
    record.finish(&prev).0.bytes().to_vec()
}

#[test]
fn aud_06_records_that_went_without_a_tombstone_and_edited_tombstones_are_named() {
    let mut writer = house();
    let whole = lines(&writer.file);
    // Everything but the seals of two days, without a word.
    let silent: Vec<u8> = whole.iter().filter(|line| stays(&read(line), 9)).flatten().copied().collect();
    let bad = check(&writer, &silent, None).expect_err("a gap");
    assert_eq!((bad.line, bad.why, bad.last_good), (2, Why::Sequence { expected: 2 }, 1));
    purge(&mut writer, day(10), day(20));
    let kept = lines(&writer.file);
    let stone = kept.len() - 1;
    let tampered = |change: &dyn Fn(&mut Vec<Vec<u8>>)| {
        let mut lines = kept.clone();
        change(&mut lines);
        check(&writer, &lines.concat(), None).expect_err("tampered")
    };
    // A tombstone that says something else: its signature is over what it says.
    let edits: [fn(&mut Tombstone); 9] = [
        |stone| stone.last += 4,
        |stone| stone.count += 1,
        |stone| stone.bytes += 1,
        |stone| stone.removed = "0".repeat(64),
        |stone| stone.first_hash = "0".repeat(64),
        |stone| stone.by = "uid 1".to_owned(),
        |stone| stone.why = "because".to_owned(),
        |stone| stone.newest = "2026-01-01T00:00:00.000Z".to_owned(),
        |stone| drop(stone.open.insert(3, "x".to_owned())),
    ];
    for edit in edits {
        let bad = tampered(&|lines| lines[stone] = forged(&lines[stone], |record| edit(record.purged.as_mut().expect("a tombstone"))));
        assert!(matches!(bad.why, Why::BadSeal | Why::Tombstone(_) | Why::Sequence { .. }), "{bad}");
    }
    // No tombstone; another record made into one; more gone than it says; a seal gone that it left; a day brought back.
    let bad = tampered(&|lines| drop(lines.pop()));
    assert_eq!((bad.line, bad.why), (2, Why::Sequence { expected: 2 }));
    let other = read(&kept[stone]).purged;
    let bad = tampered(&|lines| {
        lines.pop();
        let last = lines.len() - 1;
        lines[last] = forged(&lines[last], |record| (record.kind, record.purged) = (Kind::Purge, other.clone()));
    });
    assert_eq!(bad.why, Why::BadSeal);
    let bad = tampered(&|lines| drop(lines.drain(11..14)));
    assert_eq!((bad.line, bad.why), (12, Why::Sequence { expected: 42 }), "{:?}", read(&kept[11]));
    let bad = tampered(&|lines| drop(lines.remove(5)));
    assert!(matches!(bad.why, Why::Tombstone(_)), "{bad}");
    let bad = tampered(&|lines| drop(lines.splice(1..1, whole[1..4].iter().cloned())));
    assert!(matches!(bad.why, Why::Tombstone(_)), "{bad}");
    let bad = tampered(&|lines| lines[4] = forged(&lines[4], |record| record.cause = Some("planted".into())));
    assert!(matches!(bad.why, Why::Tombstone(_)), "{bad}");
    let bad = tampered(&|lines| lines.push(lines[stone].clone()));
    assert!(matches!(bad.why, Why::Sequence { .. }), "{bad}");
    // Nobody has to look for the tombstones: who just verifies or goes on finds them. Without them there is a gap.
    let key = writer.signer.public();
    let summary = verify(writer.file.as_slice(), &key, None).expect("whole");
    assert_eq!(verify(BufReader::new(Cursor::new(&writer.file)), &key, None), Ok(summary));
    assert!(matches!(Chain::resume(writer.file.as_slice(), Digests::Plain), Ok(Found::Chain(_))));
    let bad = verify_with(writer.file.as_slice(), &Claims::default(), &key, None).expect_err("a gap");
    assert_eq!(bad.why, Why::Sequence { expected: 2 });
    for at in (0..writer.file.len()).step_by(61) {
        let mut altered = writer.file.clone();
        altered[at] ^= 1;
        assert!(check(&writer, &altered, None).is_err(), "byte {at}");
    }
}

#[test]
fn aud_06_a_tombstone_for_records_that_remain_must_be_of_those_records() {
    let mut writer = house();
    bury(&mut writer, day(10), day(20)).expect("something is old");
    let whole = lines(&writer.file);
    check(&writer, &whole.concat(), None).expect("cut off before the removal");
    // Half of what it speaks of is gone: that was no purge.
    for gone in [1..4, 33..36, 5..8] {
        let mut lines = whole.clone();
        lines.drain(gone);
        let bad = check(&writer, &lines.concat(), None).expect_err("half");
        assert!(matches!(bad.why, Why::Tombstone(_)), "{bad}");
    }
    // All of it is gone: that is what it says.
    assert_eq!(check(&writer, &left(&writer.file), None).expect("whole").purged, 30);
}

#[test]
fn aud_06_a_tombstone_of_our_own_key_must_say_the_right_size_age_and_open_calls_of_what_remains() {
    let edits: [fn(&mut Tombstone); 4] = [
        |_| {},
        |stone| drop(stone.open.insert(3, "x".to_owned())),
        |stone| stone.bytes += 1,
        |stone| stone.newest = "2026-01-01T00:00:00.000Z".to_owned(),
    ];
    for (n, edit) in edits.into_iter().enumerate() {
        let mut writer = house();
        let found = outlook(writer.file.as_slice(), &Claims::default(), day(10)).expect("whole");
        let mut stone = found.stretch.expect("something is old").tombstone().clone();
        edit(&mut stone);
        let mut record = Record::new(Kind::Purge);
        record.purged = Some(stone);
        let line = writer.chain.seal(record, &writer.signer, None, day(20)).expect("sealed");
        writer.put(&line);
        let found = check(&writer, &writer.file, None);
        match n {
            0 => assert!(found.is_ok(), "{found:?}"),
            1 => assert_eq!(found.expect_err("wrong").why, Why::Tombstone("other calls were open at its end")),
            _ => assert_eq!(found.expect_err("wrong").why, Why::Tombstone("the records that it stands for are others")),
        }
    }
}

#[test]
fn aud_06_what_is_handed_out_of_a_proven_record_ends_at_its_head_and_is_still_what_was_proven() {
    let mut writer = house();
    purge(&mut writer, day(10), day(20));
    let key = writer.signer.public();
    let proven = writer.file.clone();
    let claims = Claims::read(proven.as_slice()).expect("read");
    let head = verify(proven.as_slice(), &key, None).expect("whole").head;
    let handed = |file: &[u8]| {
        let mut out = Vec::new();
        let found = along(file, &claims, &key, &head, |_, line| {
            out.extend_from_slice(line);
            out.push(b'\n');
            ControlFlow::Continue(())
        });
        found.map(|()| out)
    };
    assert_eq!(handed(&proven).as_ref(), Ok(&proven));
    // A running gateway goes on writing, whole lines and half ones.
    let line = writer.chain.event(&Notice { reason: "late", ..Notice::default() }, day(21));
    writer.put(&line);
    writer.file.extend_from_slice(b"{\"v\":1,");
    assert_eq!(handed(&writer.file).as_ref(), Ok(&proven), "nothing behind the head");
    // Between proof and export: a line edited with its own hash made to fit, the last one replaced, a line less.
    let all = lines(&proven);
    let last = all.len() - 1;
    for at in [12, last - 1, last] {
        let mut altered = all.clone();
        altered[at] = forged(&altered[at], |record| record.cause = Some("planted".into()));
        assert!(handed(&altered.concat()).is_err(), "line {at}");
        let mut cut = all.clone();
        cut.remove(at);
        assert!(handed(&cut.concat()).is_err(), "without line {at}");
    }
    // Who has enough stops.
    assert_eq!(along(proven.as_slice(), &claims, &key, &head, |_, _| ControlFlow::Break(())), Ok(()));
}
