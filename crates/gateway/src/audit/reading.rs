//! Reads in the record while it is written: the newest entries that somebody wants, and everything about one.
//!
//! The file is opened anew each time, read from its end, and no further than a bound: a page is no export. What is no record, or was
//! altered, is left out and counted; what that means says `doorward audit verify`. Whoever asks has shown before that they may.

use doorward_core::audit::event::{Head, Kind, MAX_LINE, Record};
use doorward_core::audit::wanted::Wanted;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// Read at once, in bytes.
const PIECE: u64 = 128 * 1024;
/// Read for one answer at most, in bytes: some thousands of records.
const REACH: u64 = 4 * 1024 * 1024;
/// The same for a page that shows a little of it by the way.
const GLANCE: u64 = 1024 * 1024;
/// This many times as much, where no record was met before.
const PATIENCE: u64 = 16;
/// Read besides behind where a page begins: an outcome stands behind its intent, which is on the page.
const BEHIND: u64 = 512 * 1024;
/// Readers at a time, and as many who glance.
const READERS: usize = 2;
/// How long somebody waits for their turn.
const TURN: Duration = Duration::from_secs(5);
/// Records of one request that are shown at most.
const OF_ONE: usize = 200;

/// Reads in the record of this process. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Reader {
    path: Arc<PathBuf>,
    turns: Arc<Semaphore>,
    /// Of glances: members who look at their own pages keep nobody from the record.
    glances: Arc<Semaphore>,
}

/// A record, and what became of it where it is an intent and that was found.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// The intent, the refusal, the event.
    pub(crate) record: Record<'static>,
    /// The last record that belongs to the intent.
    pub(crate) outcome: Option<Record<'static>>,
}

/// A part of the record, newest first.
#[derive(Debug, Clone, Default)]
pub(crate) struct Part {
    /// What is wanted of it.
    pub(crate) entries: Vec<Entry>,
    /// Where older ones go on: before this position. `None` at the beginning of the record.
    pub(crate) before: Option<u64>,
    /// Lines that are no records.
    pub(crate) bad: u64,
}

/// Everything about one record.
#[derive(Debug, Clone)]
pub(crate) struct Whole {
    /// It, and what else belongs to its request, in the order of the record: at most 200.
    pub(crate) records: Vec<Record<'static>>,
    /// Position and hash of the record that was asked for.
    pub(crate) place: Head,
    /// The seal behind it, where that is near.
    pub(crate) sealed_by: Option<u64>,
}

/// Why nothing was read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unread {
    /// Too many read at the moment.
    #[error("too many read the record at the moment")]
    Busy,
    /// The file cannot be read.
    #[error("the record file: {0}")]
    Io(#[from] io::Error),
}

// === impl Reader ===

impl Reader {
    /// Reads what is written at `path`.
    #[must_use]
    pub(crate) fn of(path: PathBuf) -> Self {
        let turns = || Arc::new(Semaphore::new(READERS));
        Self { path: Arc::new(path), turns: turns(), glances: turns() }
    }

    /// The newest entries that are wanted, at most `limit`, before a position where one is given. Seals and keys are not among them.
    ///
    /// # Errors
    /// [`Unread`].
    pub(crate) async fn newest(&self, wanted: Wanted, before: Option<u64>, limit: usize) -> Result<Part, Unread> {
        self.read(&self.turns, move |file| newest(file, &wanted, before, (limit, REACH))).await
    }

    /// The newest that are wanted among the newest there are, for a page that shows them by the way.
    ///
    /// # Errors
    /// [`Unread`].
    pub(crate) async fn glance(&self, wanted: Wanted, limit: usize) -> Result<Part, Unread> {
        self.read(&self.glances, move |file| newest(file, &wanted, None, (limit, GLANCE))).await
    }

    /// Everything about the record at a position. `None` where there is none, or was none that can be read.
    ///
    /// # Errors
    /// [`Unread`].
    pub(crate) async fn whole(&self, seq: u64) -> Result<Option<Whole>, Unread> {
        self.read(&self.turns, move |file| whole(file, seq)).await
    }

    async fn read<T: Send + 'static>(
        &self,
        turns: &Arc<Semaphore>,
        read: impl FnOnce(&mut File) -> io::Result<T> + Send + 'static,
    ) -> Result<T, Unread> {
        let waited = tokio::time::timeout(TURN, Arc::clone(turns).acquire_owned()).await;
        let Ok(Ok(turn)) = waited else { return Err(Unread::Busy) };
        let path = Arc::clone(&self.path);
        let done = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            read(&mut File::open(&*path)?)
        });
        done.await.map_err(|_| Unread::Io(io::Error::other("the reader ended")))?.map_err(Unread::Io)
    }
}

fn newest(file: &mut File, wanted: &Wanted, before: Option<u64>, (limit, reach): (usize, u64)) -> io::Result<Part> {
    let length = file.metadata()?.len();
    let edge = match before {
        Some(seq) => offset_of(file, length, seq)?,
        None => length,
    };
    let mut back = Backwards { at: (edge + BEHIND).min(length), carry: Vec::new() };
    let reach = back.at.saturating_sub(edge) + reach;
    let (mut part, mut outcomes, mut read, mut lowest) = (Part::default(), HashMap::<u64, Record<'static>>::new(), 0, None);
    // What is no record does not hide what is behind it, as far as that is bearable.
    'pieces: while read < reach || (lowest.is_none() && read < PATIENCE * reach) {
        let Some((lines, taken)) = back.piece(file)? else {
            lowest = None;
            break;
        };
        read += taken;
        for line in lines.into_iter().rev().filter(|line| !line.is_empty()) {
            let Ok((record, _)) = Record::read(&line) else {
                part.bad += 1;
                continue;
            };
            let is_behind = before.is_some_and(|before| record.seq >= before);
            if !is_behind {
                lowest = Some(record.seq);
            }
            if let Some(intent) = record.intent {
                // Read backwards: the last one is seen first.
                outcomes.entry(intent).or_insert(record);
                continue;
            }
            let outcome = outcomes.remove(&record.seq);
            if is_behind || matches!(record.kind, Kind::Checkpoint | Kind::Key) {
                continue;
            }
            if !wanted.fits(&record) || !wanted.is_in_time(&record) {
                continue;
            }
            part.entries.push(Entry { record, outcome });
            if part.entries.len() == limit {
                break 'pieces;
            }
        }
    }
    part.before = lowest.filter(|lowest| *lowest > 1);
    Ok(part)
}

fn whole(file: &mut File, seq: u64) -> io::Result<Option<Whole>> {
    let length = file.metadata()?.len();
    let at = offset_of(file, length, seq)?;
    // What belongs to it may stand on both sides.
    let from = at.saturating_sub(BEHIND);
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.by_ref().take(at - from + REACH).read_to_end(&mut bytes)?;
    let skip = if from == 0 { 0 } else { bytes.iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |at| at + 1) };
    let near: Vec<(Record<'static>, [u8; 32])> =
        bytes.get(skip..).unwrap_or_default().split(|byte| *byte == b'\n').filter_map(|line| Record::read(line).ok()).collect();
    let Some((asked, hash)) = near.iter().find(|(record, _)| record.seq == seq) else { return Ok(None) };
    let place = Head { seq, hash: *hash };
    let sealed_by = near.iter().find(|(record, _)| record.seq >= seq && record.seal.is_some()).map(|(record, _)| record.seq);
    let is_of_it = |record: &Record<'_>| record.seq == seq || record.id.is_some() && record.id == asked.id;
    let records = near.iter().filter(|(record, _)| is_of_it(record)).map(|(record, _)| record.clone()).take(OF_ONE).collect();
    Ok(Some(Whole { records, place, sealed_by }))
}

/// Where the record at `seq` begins, or the first behind it: positions only rise in the file.
fn offset_of(file: &mut File, length: u64, seq: u64) -> io::Result<u64> {
    // At `low` a line begins that stands before; behind `high` none does.
    let (mut low, mut high, mut behind) = (0, length, length);
    while high - low > PIECE {
        let middle = low + (high - low) / 2;
        match first_behind(file, middle, high)? {
            Some((begin, found)) if found < seq && begin > low => low = begin,
            Some((begin, _)) => (high, behind) = (middle, begin),
            None => high = middle,
        }
    }
    file.seek(SeekFrom::Start(low))?;
    let mut bytes = Vec::new();
    file.by_ref().take(high - low + PIECE).read_to_end(&mut bytes)?;
    let mut at = low;
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let is_behind = Record::read(line.strip_suffix(b"\n").unwrap_or(line)).is_ok_and(|(record, _)| record.seq >= seq);
        if is_behind {
            return Ok(at);
        }
        at += line.len() as u64;
    }
    Ok(behind)
}

/// The first whole record that begins behind `offset` and before `high`. What is none is passed over, however much it is.
fn first_behind(file: &mut File, offset: u64, high: u64) -> io::Result<Option<(u64, u64)>> {
    file.seek(SeekFrom::Start(offset))?;
    let mut lines = BufReader::with_capacity(16 * 1024, file);
    // Within which line the first one begins, nobody knows.
    let (mut at, mut is_whole, mut line) = (offset, false, Vec::new());
    while at < high {
        line.clear();
        let read = lines.by_ref().take(MAX_LINE as u64 + 1).read_until(b'\n', &mut line)?;
        let text = line.strip_suffix(b"\n");
        if let (true, Some(text)) = (is_whole, text)
            && let Ok((record, _)) = Record::read(text)
        {
            return Ok(Some((at, record.seq)));
        }
        if read == 0 {
            break;
        }
        (at, is_whole) = (at + read as u64, text.is_some());
    }
    Ok(None)
}

/// Whole lines of a file, from its end on.
struct Backwards {
    at: u64,
    /// The beginning of the line that the piece behind began within.
    carry: Vec<u8>,
}

impl Backwards {
    /// The lines that end in the piece before, in the order of the file, and how many bytes were read. `None` at the beginning.
    fn piece(&mut self, file: &mut File) -> io::Result<Option<(Vec<Vec<u8>>, u64)>> {
        if self.at == 0 {
            return Ok(None);
        }
        let from = self.at.saturating_sub(PIECE);
        file.seek(SeekFrom::Start(from))?;
        let mut bytes = Vec::new();
        file.by_ref().take(self.at - from).read_to_end(&mut bytes)?;
        bytes.append(&mut self.carry);
        let mut lines: Vec<Vec<u8>> = bytes.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
        if from > 0 && !lines.is_empty() {
            self.carry = lines.remove(0);
            // Longer than any record: what it is the end of is none, and is not kept.
            self.carry.truncate(MAX_LINE);
        }
        let read = self.at - from;
        self.at = from;
        Ok(Some((lines, read)))
    }
}

#[cfg(test)]
mod tests {
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
            (before, pages) = (part.before, pages + 1);
            assert!(pages < 100);
            if before.is_none() {
                break;
            }
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
            before = part.before;
            if before.is_none() {
                break;
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
        assert!(part.bad >= 2, "{}", part.bad);
        assert!(reader.whole(head).await.expect("read").is_some());
    }
}
