//! Reads in the record while it is written: the newest entries that somebody wants, and everything about one.
//!
//! The file is opened anew each time, read from its end, and no further than a bound: a page is no export. What is no record, or was
//! altered, is left out and counted; what that means says `doorward audit verify`. Whoever asks has shown before that they may.

use doorward_core::audit::event::{Head, Kind, MAX_LINE, Record};
use doorward_core::audit::outcome::Class;
use doorward_core::audit::wanted::Wanted;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Read at once, in bytes.
const PIECE: u64 = 128 * 1024;
/// Read for one answer at most, in bytes: some thousands of records.
const REACH: u64 = 4 * 1024 * 1024;
/// The same for a page that shows a little of it by the way.
const GLANCE: u64 = 1024 * 1024;
/// How many times that, where not one record was found.
const DAMAGED: u64 = 16;
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
    /// For pages that can do without: nobody waits for these, and they hold up nobody who needs the record.
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
#[derive(Debug, Clone)]
pub(crate) struct Part {
    /// What is wanted of it.
    pub(crate) entries: Vec<Entry>,
    /// What is older.
    pub(crate) rest: Rest,
    /// Lines in it that are no records.
    pub(crate) bad: u64,
}

/// What there is before a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rest {
    /// Nothing that could be wanted.
    Nothing,
    /// What stands before this position.
    Before(u64),
    /// A stretch without a single record, longer than what is read for one answer.
    Damaged,
}

/// How a call ended, as far as it is known here. Every class of outcome is one of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// It was answered, be it with an error of the tool or its server.
    Answered,
    /// A rule forbade it.
    Denied,
    /// Refused by anything else, before or after.
    Refused,
    /// The client cancelled, or was gone.
    GivenUp,
    /// It failed, or nobody knows.
    Failed,
    /// It goes on, or its end stands elsewhere.
    UnderWay,
    /// It is no call.
    Noted,
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

// === impl Entry ===

impl Entry {
    /// How it ended.
    pub(crate) fn ended(&self) -> Ended {
        match (self.record.kind, &self.outcome) {
            (Kind::Refused, _) if self.record.decision.as_deref() == Some("deny") => Ended::Denied,
            (Kind::Refused, _) => Ended::Refused,
            (Kind::Intent, None) => Ended::UnderWay,
            (Kind::Intent, Some(outcome)) if outcome.kind == Kind::Opened => Ended::UnderWay,
            (Kind::Intent, Some(outcome)) => match outcome.class.as_deref().and_then(Class::parse) {
                Some(Class::Completed | Class::ToolError | Class::RpcError) => Ended::Answered,
                Some(Class::Refused | Class::Blocked) => Ended::Refused,
                Some(Class::Cancelled | Class::NotDelivered) => Ended::GivenUp,
                Some(Class::UpstreamError | Class::TimedOut | Class::Unknown) | None => Ended::Failed,
            },
            _ => Ended::Noted,
        }
    }

    /// When, to the second, in UTC: `2026-11-24 10:02:11`.
    pub(crate) fn when(&self) -> String {
        self.record.time.get(..19).unwrap_or(&self.record.time).replace('T', " ")
    }

    /// The record that says how it ended, or else the entry itself.
    pub(crate) fn last(&self) -> &Record<'static> {
        self.outcome.as_ref().unwrap_or(&self.record)
    }
}

// === impl Reader ===

impl Reader {
    /// Reads what is written at `path`.
    #[must_use]
    pub(crate) fn of(path: PathBuf) -> Self {
        Self { path: Arc::new(path), turns: Arc::new(Semaphore::new(READERS)), glances: Arc::new(Semaphore::new(READERS)) }
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
        let turn = Arc::clone(&self.glances).try_acquire_owned().map_err(|_| Unread::Busy)?;
        self.on_thread(turn, move |file| newest(file, &wanted, None, (limit, GLANCE))).await
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
        self.on_thread(turn, read).await
    }

    async fn on_thread<T: Send + 'static>(
        &self,
        turn: OwnedSemaphorePermit,
        read: impl FnOnce(&mut File) -> io::Result<T> + Send + 'static,
    ) -> Result<T, Unread> {
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
    let is_behind = |record: &Record<'_>| {
        before.is_some_and(|before| record.seq >= before) || wanted.until.as_deref().is_some_and(|until| *record.time >= *until)
    };
    let edge = if before.is_some() || wanted.until.is_some() { offset_where(file, length, is_behind)? } else { length };
    let mut back = Backwards { at: (edge + BEHIND).min(length), carry: Vec::new(), is_unfinished: true };
    let reach = back.at.saturating_sub(edge) + reach;
    let (mut part, mut outcomes) = (Part { entries: Vec::new(), rest: Rest::Nothing, bad: 0 }, HashMap::<u64, Record<'static>>::new());
    let (mut read, mut lowest) = (0, None);
    while let Some((lines, taken)) = back.piece(file)? {
        read += taken;
        for (at, line) in lines.into_iter().rev().filter(|(_, line)| !line.is_empty()) {
            let Ok((record, _)) = Record::read(&line) else {
                // Behind the page it was counted before.
                part.bad += u64::from(at < edge);
                continue;
            };
            let is_behind = is_behind(&record);
            if !is_behind {
                lowest = Some(record.seq);
            }
            if let Some(intent) = record.intent {
                // Read backwards: the last one is seen first.
                outcomes.entry(intent).or_insert(record);
                continue;
            }
            if !is_behind && wanted.since.as_deref().is_some_and(|since| *record.time < *since) {
                return Ok(part);
            }
            let outcome = outcomes.remove(&record.seq);
            if is_behind || matches!(record.kind, Kind::Checkpoint | Kind::Key) || !wanted.fits(&record) {
                continue;
            }
            let seq = record.seq;
            part.entries.push(Entry { record, outcome });
            if part.entries.len() == limit {
                part.rest = if seq > 1 { Rest::Before(seq) } else { Rest::Nothing };
                return Ok(part);
            }
        }
        if read >= reach && back.at > 0 {
            match lowest {
                Some(lowest) => {
                    part.rest = Rest::Before(lowest);
                    return Ok(part);
                }
                // A stretch without any record: what stands before it is looked for, not for ever.
                None if read >= reach.saturating_mul(DAMAGED) => {
                    part.rest = Rest::Damaged;
                    return Ok(part);
                }
                None => {}
            }
        }
    }
    Ok(part)
}

fn whole(file: &mut File, seq: u64) -> io::Result<Option<Whole>> {
    let length = file.metadata()?.len();
    let at = offset_where(file, length, |record| record.seq >= seq)?;
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

/// Where the first record begins of which `is_behind` holds; then it holds for all that follow: positions only rise in the file, and so do
/// times, but for a clock that stepped back: what that hides is found by its position.
fn offset_where(file: &mut File, length: u64, is_behind: impl Fn(&Record<'_>) -> bool) -> io::Result<u64> {
    // At `low` a line begins that stands before; behind `high` none does.
    let (mut low, mut high, mut behind) = (0, length, length);
    while high - low > PIECE {
        let middle = low + (high - low) / 2;
        match first_behind(file, middle, high)? {
            Some((begin, record)) if begin > low && !is_behind(&record) => low = begin,
            Some((begin, record)) if is_behind(&record) => (high, behind) = (middle, begin),
            Some(_) | None => high = middle,
        }
    }
    file.seek(SeekFrom::Start(low))?;
    let mut bytes = Vec::new();
    file.by_ref().take(high - low + PIECE).read_to_end(&mut bytes)?;
    let mut at = low;
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        if Record::read(line.strip_suffix(b"\n").unwrap_or(line)).is_ok_and(|(record, _)| is_behind(&record)) {
            return Ok(at);
        }
        at += line.len() as u64;
    }
    Ok(behind)
}

/// The first whole record that begins behind `offset` and before `high`. What is none is passed over, however much it is.
fn first_behind(file: &mut File, offset: u64, high: u64) -> io::Result<Option<(u64, Record<'static>)>> {
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
            return Ok(Some((at, record)));
        }
        if read == 0 {
            break;
        }
        (at, is_whole) = (at + read as u64, text.is_some());
    }
    Ok(None)
}

/// Lines with their places, and how many bytes were read.
type Piece = (Vec<(u64, Vec<u8>)>, u64);

/// Whole lines of a file, backwards from a place within it.
struct Backwards {
    at: u64,
    /// The beginning of the line that the piece behind began within.
    carry: Vec<u8>,
    /// Until the end of a line was seen: what stands behind it is only a part of one.
    is_unfinished: bool,
}

impl Backwards {
    /// The lines that begin in the piece before and where, in the order of the file, and how many bytes were read. `None` at the beginning.
    fn piece(&mut self, file: &mut File) -> io::Result<Option<Piece>> {
        if self.at == 0 {
            return Ok(None);
        }
        let from = self.at.saturating_sub(PIECE);
        file.seek(SeekFrom::Start(from))?;
        let mut bytes = Vec::new();
        file.by_ref().take(self.at - from).read_to_end(&mut bytes)?;
        let read = self.at - from;
        self.at = from;
        if self.is_unfinished {
            match bytes.iter().rposition(|byte| *byte == b'\n') {
                Some(end) => bytes.truncate(end),
                None => return Ok(Some((Vec::new(), read))),
            }
            self.is_unfinished = false;
        }
        bytes.append(&mut self.carry);
        let mut at = from;
        let mut lines: Vec<(u64, Vec<u8>)> = Vec::new();
        for line in bytes.split(|byte| *byte == b'\n') {
            lines.push((at, line.to_vec()));
            at += line.len() as u64 + 1;
        }
        if from > 0 && !lines.is_empty() {
            self.carry = lines.remove(0).1;
            // Longer than any record: what it is the end of is none, and is not kept.
            self.carry.truncate(MAX_LINE);
        }
        Ok(Some((lines, read)))
    }
}

#[cfg(test)]
mod tests;
