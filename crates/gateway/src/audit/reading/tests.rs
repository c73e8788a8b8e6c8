//! The record, read while it is written and damaged.

use super::*;
use crate::audit::key;
use crate::audit::recorder::{Durability, Options, Recorder};
use crate::audit::tests::Directory;
use doorward_core::audit::chain::{Digests, WriterId};
use doorward_core::audit::outcome::Notice;
use doorward_core::id::{ServerName, UserId};
use doorward_core::time::Timestamp;
use std::io::Write as _;

fn at(n: u64) -> Timestamp {
    Timestamp::from_millis(1_795_496_611_000 + n)
}

fn server(name: &str) -> Wanted {
    Wanted { server: Some(name.to_owned()), ..Wanted::default() }
}

fn seqs(part: &Part) -> Vec<u64> {
    part.entries.iter().map(|entry| entry.record.seq).collect()
}

/// A record of `count` events, of which each tenth is about the server `b`, all with a text that makes lines long.
async fn record(count: u64) -> (Directory, Reader, Recorder) {
    let place = Directory::new();
    let path = place.0.join("audit.jsonl");
    let options = Options {
        path: path.clone(),
        durability: Durability::Write,
        seal_every: 100,
        writer: WriterId::new("node-1").expect("id"),
        digests: Digests::Plain,
    };
    let recorder = Recorder::open(options, key::load_or_create(&place.0).expect("key"), at(0)).expect("open");
    let (a, b) = (ServerName::new("a").expect("name"), ServerName::new("b").expect("name"));
    let user = UserId::new("https://idp.example", "ann").expect("user");
    for n in 0..count {
        let (server, cause) = (Some(if n % 10 == 0 { &b } else { &a }), "x".repeat(200));
        let notice = Notice { reason: "tested", user: Some(&user), server, cause: Some(&cause), ..Notice::default() };
        recorder.event(&notice, at(n)).await.expect("recorded");
    }
    (place, Reader::of(path), recorder)
}

#[tokio::test]
async fn pages_follow_one_another_without_a_gap_and_end() {
    let (_place, reader, recorder) = record(4_000).await;
    let (mut found, mut before, mut pages) = (Vec::new(), None, 0);
    loop {
        let part = reader.newest(server("b"), before, 50).await.expect("read");
        found.extend(seqs(&part));
        pages += 1;
        assert_eq!(part.bad, 0, "nothing is damaged");
        before = match part.rest {
            Rest::Before(seq) => Some(seq),
            Rest::Nothing => break,
            Rest::Damaged => panic!("nothing is damaged"),
        };
        assert!(pages < 100);
    }
    assert_eq!(found.len(), 400);
    assert!(found.is_sorted_by(|one, next| one > next), "newest first, none twice");
    let last = recorder.head().expect("head").seq;
    assert!(found[0] + 15 > last, "{} of {last}", found[0]);
    assert!(reader.newest(server("c"), None, 50).await.expect("read").entries.is_empty());
}

#[tokio::test]
async fn every_position_is_found_and_what_is_not_there_is_not() {
    let (_place, reader, recorder) = record(2_500).await;
    let last = recorder.head().expect("head").seq;
    for seq in (1..=last).step_by(97).chain([1, 2, last]) {
        let whole = reader.whole(seq).await.expect("read").unwrap_or_else(|| panic!("{seq}"));
        assert_eq!((whole.place.seq, whole.records.iter().filter(|record| record.seq == seq).count()), (seq, 1));
        assert!(whole.sealed_by.is_none_or(|seal| seal >= seq));
    }
    for gone in [0, last + 1, u64::MAX] {
        assert!(reader.whole(gone).await.expect("read").is_none(), "{gone}");
    }
}

#[tokio::test]
async fn aud_04_what_is_no_record_hides_none_that_is() {
    let (place, reader, recorder) = record(1_200).await;
    let last = recorder.head().expect("head").seq;
    drop(recorder);
    let path = place.0.join("audit.jsonl");
    let text = std::fs::read_to_string(&path).expect("text");
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let (early, late) = lines.split_at(500);
    // More than is read for one page, and without an end of line.
    let nothing = "\0".repeat(usize::try_from(REACH).expect("small") + 600_000);
    std::fs::write(&path, format!("{}{nothing}\n{}", early.concat(), late.concat())).expect("written");
    for seq in (1..=last).step_by(31).chain([1, 2, 499, 500, 501, 502, last]) {
        assert!(reader.whole(seq).await.expect("read").is_some(), "{seq}");
    }
    let (mut found, mut before) = (Vec::new(), None);
    loop {
        let part = reader.newest(server("b"), before, 20).await.expect("read");
        found.extend(seqs(&part));
        match part.rest {
            Rest::Before(seq) => before = Some(seq),
            Rest::Nothing => break,
            Rest::Damaged => panic!("it is not that long"),
        }
    }
    assert_eq!(found.len(), 120);
    assert!(found.is_sorted_by(|one, next| one > next), "newest first, none twice");
}

#[tokio::test(start_paused = true)]
async fn flt_06_whoever_glances_keeps_nobody_from_reading() {
    let (_place, reader, _recorder) = record(10).await;
    let _held = Arc::clone(&reader.glances).acquire_many_owned(2).await.expect("turns");
    assert!(matches!(reader.glance(server("b"), 5).await, Err(Unread::Busy)));
    assert_eq!(reader.newest(server("b"), None, 5).await.expect("read").entries.len(), 1);
}

#[tokio::test]
async fn aud_04_what_is_no_record_is_left_out_and_counted() {
    let (place, reader, recorder) = record(300).await;
    let head = recorder.head().expect("head").seq;
    drop(recorder);
    let mut file = std::fs::OpenOptions::new().append(true).open(place.0.join("audit.jsonl")).expect("open");
    // A line without form, a record that was altered, and one that nobody finished.
    let text = std::fs::read_to_string(place.0.join("audit.jsonl")).expect("text");
    let altered = text.lines().nth(5).expect("line").replace("tested", "forged");
    write!(file, "{}\n{altered}\n{{\"v\":1,", "\u{1b}[2J".repeat(50_000)).expect("written");
    let part = reader.newest(Wanted::default(), None, 10).await.expect("read");
    assert!(part.entries.iter().all(|entry| entry.record.reason.as_deref() != Some("forged")));
    assert_eq!(part.entries.len(), 10);
    assert_eq!(part.bad, 2, "what is not finished is no line yet");
    assert!(reader.whole(head).await.expect("read").is_some());
}

#[tokio::test]
async fn aud_04_a_damaged_stretch_hides_nothing_that_is_older() {
    let (place, reader, recorder) = record(1_000).await;
    drop(recorder);
    let path = place.0.join("audit.jsonl");
    let whole = std::fs::read_to_string(&path).expect("text");
    let middle = whole.match_indices('\n').nth(500).expect("a line").0 + 1;
    let (early, late) = whole.split_at(middle);
    let junk = format!("{}\n", "x".repeat(999)).repeat(12_000);
    std::fs::write(&path, format!("{}{junk}{}", early, late)).expect("written");
    let (mut before, mut found, mut bad) = (None, Vec::new(), 0);
    loop {
        let part = reader.newest(Wanted::default(), before, 200).await.expect("read");
        found.extend(seqs(&part));
        bad += part.bad;
        match part.rest {
            Rest::Before(seq) => before = Some(seq),
            Rest::Nothing => break,
            Rest::Damaged => panic!("it is not that long"),
        }
    }
    let missing: Vec<u64> = (1..=1_000).filter(|seq| !found.contains(seq)).collect();
    assert!(missing.iter().all(|seq| seq % 100 <= 20), "seals and keys alone: {missing:?}");
    assert!(bad >= 12_000, "each is seen by the pages around it: {bad}");
}

#[tokio::test]
async fn a_span_of_time_is_found_without_reading_what_is_newer() {
    let (_place, reader, _recorder) = record(4_000).await;
    let text = |n: u64| Some(at(n).to_string());
    let wanted = Wanted { since: text(1_000), until: text(1_010), ..Wanted::default() };
    let part = reader.newest(wanted, None, 50).await.expect("read");
    let times: Vec<&str> = part.entries.iter().map(|entry| &*entry.record.time).collect();
    assert_eq!((times.len(), part.rest), (10, Rest::Nothing), "{times:?}");
    assert!(times.iter().all(|time| **time >= *at(1_000).to_string() && **time < *at(1_010).to_string()));
}
