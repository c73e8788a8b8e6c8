//! AUD-03: every kind of tampering with ten thousand records is found, and the first bad record is named.

use super::chain::Digests;
use super::event::{Head, Record};
use super::outcome::Notice;
use super::tests::{NOW, Writer, signer};
use super::verify::{FirstBad, Summary, Why, verify};
use proptest::prelude::*;

const RECORDS: u64 = 10_000;

struct Victim {
    lines: Vec<Vec<u8>>,
    writer: Writer,
}

/// 10,000 records: calls and events, a seal every 500 records, the last record is a seal.
fn victim() -> Victim {
    let mut writer = Writer::new(Digests::Plain);
    while writer.chain.head().seq < RECORDS {
        let seq = writer.chain.head().seq;
        if (seq + 1).is_multiple_of(500) {
            writer.seal();
        } else if seq < 200 && seq + 2 < 200 {
            writer.call("read_note", seq);
        } else {
            let line = writer.chain.event(&Notice { reason: "tick", ..Notice::default() }, NOW);
            writer.put(&line);
        }
    }
    let lines = writer.file.split_inclusive(|b| *b == b'\n').map(|line| line[..line.len() - 1].to_vec()).collect();
    Victim { lines, writer }
}

impl Victim {
    fn check(&self, lines: &[Vec<u8>], anchor: Option<&Head>) -> Result<Summary, FirstBad> {
        let file: Vec<u8> = lines.iter().flat_map(|line| line.iter().copied().chain([b'\n'])).collect();
        verify(file.as_slice(), &self.writer.signer.public(), anchor)
    }

    fn tampered(&self, change: impl FnOnce(&mut Vec<Vec<u8>>)) -> FirstBad {
        let mut lines = self.lines.clone();
        change(&mut lines);
        self.check(&lines, None).expect_err("tampered")
    }
}

/// What somebody without the key can do: make every hash fit again from line `from` on (counted from 0).
fn recompute(lines: &mut [Vec<u8>], from: usize, edit: impl Fn(&mut Record<'static>)) {
    let mut prev = if from == 0 { [0; 32] } else { Record::read(&lines[from - 1]).expect("record").1 };
    for (n, line) in lines.iter_mut().enumerate().skip(from) {
        let (mut record, _) = Record::read(line).expect("record");
        if n == from {
            edit(&mut record);
        }
        record.seq = n as u64 + 1;
        record.prev = super::event::hex(&prev).into();
        let (finished, hash) = record.finish(&prev);
        *line = finished.bytes().strip_suffix(b"\n").expect("line").to_vec();
        prev = hash;
    }
}

#[test]
fn aud_03_the_untouched_chain_is_whole() {
    let victim = victim();
    let head = victim.writer.chain.head();
    let summary = victim.check(&victim.lines, Some(&head)).expect("whole");
    assert_eq!((summary.records, summary.unsealed, summary.seals, summary.open), (RECORDS, 0, 21, 0));
    assert_eq!(summary.head, head);
}

#[test]
fn aud_03_edits_without_new_hashes_name_the_edited_record() {
    let victim = victim();
    for n in [0, 1, 150, 4_999, 9_999] {
        let bad = victim.tampered(|lines| {
            let at = lines[n].windows(9).position(|w| w == b"\"time\":\"2").expect("time") + 10;
            lines[n][at] ^= 1;
        });
        assert_eq!((bad.line, bad.why.clone(), bad.last_good), (n as u64 + 1, Why::Edited, n as u64), "{bad}");
    }
}

#[test]
fn aud_03_dropped_doubled_moved_and_inserted_records_are_named() {
    let victim = victim();
    let sequence = |bad: &FirstBad, line: u64| {
        assert_eq!((bad.line, &bad.why), (line, &Why::Sequence { expected: line }), "{bad}");
    };
    sequence(&victim.tampered(|lines| drop(lines.remove(700))), 701);
    sequence(&victim.tampered(|lines| drop(lines.drain(500..1_000))), 501);
    sequence(&victim.tampered(|lines| drop(lines.remove(0))), 1);
    sequence(&victim.tampered(|lines| lines.swap(800, 801)), 801);
    sequence(&victim.tampered(|lines| lines.insert(901, lines[900].clone())), 902);
    sequence(&victim.tampered(|lines| lines.insert(901, lines[20].clone())), 902);
    let bad = victim.tampered(|lines| lines.insert(900, b"{\"fake\":1}".to_vec()));
    assert_eq!((bad.line, bad.why), (901, Why::NotARecord));
    let bad = victim.tampered(|lines| lines.insert(900, vec![b'x'; 1 << 20]));
    assert_eq!((bad.line, bad.why), (901, Why::TooLong));
}

#[test]
fn aud_03_recomputed_hashes_end_at_the_next_seal() {
    let victim = victim();
    let edit = |record: &mut Record<'static>| record.reason = Some("tock".into());
    let bad = victim.tampered(|lines| recompute(lines, 700, edit));
    assert_eq!((bad.line, bad.why, bad.last_sealed), (1_000, Why::BadSeal, 500));
    let bad = victim.tampered(|lines| {
        lines.remove(700);
        recompute(lines, 700, |_| ());
    });
    assert_eq!((bad.why, bad.last_sealed), (Why::BadSeal, 500));
    let bad = victim.tampered(|lines| recompute(&mut lines[..701], 700, edit));
    assert_eq!((bad.line, bad.why), (702, Why::Unlinked), "one record rewritten, the next one not");
    let bad = victim.tampered(|lines| {
        lines.remove(11);
        recompute(lines, 11, |_| ());
    });
    assert_eq!((bad.line, bad.why, bad.last_sealed), (12, Why::NoIntent, 1), "outcomes name their intent");
}

#[test]
fn aud_03_a_recomputed_chain_under_another_key_is_not_ours() {
    let victim = victim();
    let other = self::victim();
    assert_eq!(victim.check(&other.lines, None).expect_err("foreign").why, Why::OtherKey);
    let bad = victim.tampered(|lines| lines.splice(500.., other.lines[500..].iter().cloned()).for_each(drop));
    assert_eq!((bad.line, bad.why), (501, Why::Unlinked));
    assert_eq!(victim.check(&[], None).expect_err("empty").why, Why::Empty);
}

#[test]
fn aud_03_a_cut_tail_shows_as_unsealed_or_against_a_head_kept_elsewhere() {
    let victim = victim();
    let head = victim.writer.chain.head();
    for (cut, unsealed) in [(1, 499), (499, 1), (500, 0), (9_000, 0)] {
        let lines = &victim.lines[..victim.lines.len() - cut];
        let summary = victim.check(lines, None).expect("a shorter chain");
        assert_eq!(summary.unsealed, unsealed, "cut {cut}");
        let bad = victim.check(lines, Some(&head)).expect_err("cut");
        assert_eq!((bad.line, bad.why), (lines.len() as u64 + 1, Why::Short { expected: RECORDS }));
    }
    let elsewhere = Head { seq: 600, hash: [1; 32] };
    let bad = victim.check(&victim.lines, Some(&elsewhere)).expect_err("another history");
    assert_eq!((bad.line, bad.why), (600, Why::OtherHead));
    let mut file = victim.writer.file.clone();
    file.pop();
    let bad = verify(file.as_slice(), &victim.writer.signer.public(), None).expect_err("torn");
    assert_eq!((bad.line, bad.why), (RECORDS, Why::Torn));
}

#[test]
fn aud_03_an_unsealed_tail_rewritten_by_somebody_else_is_at_least_reported_as_unsealed() {
    let victim = victim();
    let mut lines = victim.lines[..9_800].to_vec();
    recompute(&mut lines, 9_600, |record| record.reason = Some("tock".into()));
    assert_eq!(victim.check(&lines, None).expect("chained").unsealed, 300);
}

#[test]
fn aud_03_seals_and_keys_cannot_be_forged_moved_or_repeated() {
    let mut writer = Writer::new(Digests::Plain);
    let mallory = signer();
    writer.call("a", 1);
    let before = (writer.chain.tip(), writer.file.len());
    writer.seal();
    let sealed = Record::read(writer.file[before.1..].strip_suffix(b"\n").expect("line")).expect("record").0;
    let forge = |kind, seal: super::event::Seal<'static>| {
        let (mut file, (mut record, prev)) = (writer.file.clone(), (sealed.clone(), writer.chain.head().hash));
        record.kind = kind;
        record.seq += 1;
        record.prev = super::event::hex(&prev).into();
        record.seal = Some(seal);
        file.extend_from_slice(record.finish(&prev).0.bytes());
        verify(file.as_slice(), &writer.signer.public(), None).expect_err("forged").why
    };
    let seal = sealed.seal.clone().expect("seal");
    use super::event::Kind;
    assert_eq!(forge(Kind::Checkpoint, seal.clone()), Why::BadSeal, "an old seal again");
    let next = super::event::Seal { next: Some(mallory.public().to_string().into()), ..seal.clone() };
    assert_eq!(forge(Kind::Key, next.clone()), Why::BadSeal, "hand over to another key");
    let signed = super::event::Seal { key: mallory.public().id().into(), ..next };
    assert_eq!(forge(Kind::Key, signed), Why::BadSeal);
    assert_eq!(forge(Kind::Event, seal), Why::NotARecord, "a seal where none belongs");
}

#[test]
fn aud_03_outcomes_settle_one_open_intent_each() {
    let mut writer = Writer::new(Digests::Plain);
    let open = writer.intend("a", 1).open();
    let line = writer.chain.settle_unknown(&open, "test", NOW);
    writer.put(&line);
    writer.verify().expect("whole");
    let line = writer.chain.settle_unknown(&open, "test", NOW);
    writer.put(&line);
    let bad = writer.verify().expect_err("settled twice");
    assert_eq!((bad.line, bad.why), (4, Why::NoIntent));
}

fn small() -> Writer {
    let mut writer = Writer::new(Digests::Plain);
    writer.call("a", 1);
    writer.seal();
    writer
}

#[test]
fn aud_03_every_flipped_bit_is_found() {
    let mut writer = small();
    for at in 0..writer.file.len() {
        for bit in 0..8 {
            writer.file[at] ^= 1 << bit;
            assert!(writer.verify().is_err(), "bit {bit} of byte {at}");
            writer.file[at] ^= 1 << bit;
        }
    }
    writer.verify().expect("whole again");
}

proptest! {
    #[test]
    fn aud_03_verify_and_resume_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..2_000)) {
        let key = signer().public();
        prop_assert!(verify(bytes.as_slice(), &key, None).is_err());
        drop(super::chain::Chain::resume(bytes.as_slice(), Digests::Plain));
    }

    #[test]
    fn aud_03_a_mangled_chain_is_never_whole(from in 0_usize..3_000, length in 0_usize..40, with in proptest::collection::vec(any::<u8>(), 0..40)) {
        let mut writer = small();
        let from = from.min(writer.file.len());
        let to = (from + length).min(writer.file.len());
        let head = writer.chain.head();
        let same = writer.file[from..to] == with[..];
        writer.file.splice(from..to, with);
        let result = verify(writer.file.as_slice(), &writer.signer.public(), Some(&head));
        prop_assert_eq!(result.is_ok(), same);
    }
}
