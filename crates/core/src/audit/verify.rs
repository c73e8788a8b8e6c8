//! Checks a record file with nothing but the public key. Names the first bad record; never panics on any bytes.
//!
//! What it can and cannot know: records up to the last seal of the key are as they were written. Records after it are
//! chained but unsealed. That the tail was cut shows only against a head that was kept elsewhere (security 2, A6).

use super::checkpoint::PublicKey;
use super::event::{Head, Kind, MAX_LINE, NotARecord, Record, VERSION};
use super::purge::{Claims, Graves, Twice};
use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, BufRead, Read as _};
use std::ops::ControlFlow;

/// A whole chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// How many records.
    pub records: u64,
    /// How many seals vouch for them.
    pub seals: u64,
    /// Records after the last seal: chained, not signed yet.
    pub unsealed: u64,
    /// Intents without an outcome.
    pub open: u64,
    /// How often the clock stepped back.
    pub backward_steps: u64,
    /// Records that are gone, each under a tombstone.
    pub purged: u64,
    /// The last position that such a tombstone speaks of, 0 without one.
    pub purged_to: u64,
    /// The record at the head that was kept elsewhere is one of those: it proves nothing any more.
    pub anchor_is_gone: bool,
    /// The last record; keep it elsewhere to notice a cut tail later.
    pub head: Head,
    /// The key that signs now.
    pub key: PublicKey,
}

/// The first record that is not what was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirstBad {
    /// Line in the file, from 1.
    pub line: u64,
    /// The position that the line claims, as far as it can be read.
    pub seq: Option<u64>,
    /// What is wrong.
    pub why: Why,
    /// Position of the last good record, 0 if there is none.
    pub last_good: u64,
    /// Position of the last record under a good seal; those after it are in doubt.
    pub last_sealed: u64,
}

/// What is wrong with a record. Each variant has a test that names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// The file could not be read.
    Unreadable(String),
    /// No record at all.
    Empty,
    /// Longer than any record.
    TooLong,
    /// The last line has no end: an interrupted write, or a cut.
    Torn,
    /// Not a line of this format.
    NotARecord,
    /// It does not hash to the hash it carries: it was edited.
    Edited,
    /// Another position than the next: records were dropped, moved, doubled or put in.
    Sequence {
        /// The next position.
        expected: u64,
    },
    /// It does not follow the record before it: that one or this one was replaced.
    Unlinked,
    /// Another writer's record.
    OtherWriter,
    /// The chain does not begin with the record that names its key.
    NoKey,
    /// The seal is not of the key that the chain names: something since the last seal was rewritten.
    BadSeal,
    /// No seal of the given key: the whole chain was made by somebody else.
    OtherKey,
    /// It settles an intent that is not open.
    NoIntent,
    /// The chain ends before the expected head: the tail was cut or an old copy put back.
    Short {
        /// The position of the expected head.
        expected: u64,
    },
    /// Another record stands at the expected head.
    OtherHead,
    /// A tombstone that is not what the chain holds, and how.
    Tombstone(&'static str),
}

/// Reads a chain from its beginning and checks every record.
///
/// `anchor` is a head that was kept elsewhere: the chain must contain it.
///
/// # Errors
/// [`FirstBad`].
pub fn verify(mut reader: impl Twice, key: &PublicKey, anchor: Option<&Head>) -> Result<Summary, FirstBad> {
    let claims = reader.claims().map_err(|error| FirstBad::unreadable(&error))?;
    verify_with(reader, &claims, key, anchor)
}

/// As [`verify`], for a reader that is read once: `claims` are the tombstones of the same file.
///
/// # Errors
/// [`FirstBad`], also for a gap without a tombstone.
pub fn verify_with(mut reader: impl BufRead, claims: &Claims, key: &PublicKey, anchor: Option<&Head>) -> Result<Summary, FirstBad> {
    let mut scan = Scan::with(Some(*key), anchor.copied(), claims);
    let mut line = Vec::new();
    loop {
        match next(&mut reader, &mut line) {
            Ok(Piece::Line) => scan.step(&line)?,
            Ok(Piece::End) => break,
            Ok(Piece::Torn) => return Err(scan.bad_next(Why::Torn)),
            Ok(Piece::TooLong) => return Err(scan.bad_next(Why::TooLong)),
            Err(error) => return Err(scan.bad_next(Why::Unreadable(error.to_string()))),
        }
    }
    scan.finish()
}

/// Goes along a chain that was proven up to `to`, checks each record once more and hands it with its line to `each`, up to that
/// head and no further, or until `each` has enough. `claims` are the tombstones of the same file.
///
/// # Errors
/// [`FirstBad`]: it is not what was proven any more. What was handed out before must not be trusted then.
pub fn along(
    mut reader: impl BufRead,
    claims: &Claims,
    key: &PublicKey,
    to: &Head,
    mut each: impl FnMut(Record<'static>, &[u8]) -> ControlFlow<()>,
) -> Result<(), FirstBad> {
    let mut scan = Scan::with(Some(*key), Some(*to), claims);
    let mut line = Vec::new();
    while scan.head.seq < to.seq {
        match next(&mut reader, &mut line) {
            Ok(Piece::Line) => scan.step(&line)?,
            Ok(Piece::End | Piece::Torn) => return Err(scan.bad_next(Why::Short { expected: to.seq })),
            Ok(Piece::TooLong) => return Err(scan.bad_next(Why::TooLong)),
            Err(error) => return Err(scan.bad_next(Why::Unreadable(error.to_string()))),
        }
        let Ok((record, _)) = Record::read(&line) else { return Err(scan.bad_next(Why::NotARecord)) };
        if each(record, &line).is_break() {
            return Ok(());
        }
    }
    scan.finish().map(drop)
}

/// A walk along a chain.
#[derive(Debug)]
pub(super) struct Scan {
    trusted: Option<PublicKey>,
    anchor: Option<Head>,
    line: u64,
    writer: String,
    head: Head,
    key: Option<PublicKey>,
    /// The present key is the trusted one or descends from it.
    lineage: bool,
    seals: u64,
    sealed: u64,
    backward_steps: u64,
    open: BTreeMap<u64, String>,
    time: String,
    graves: Graves,
    /// The anchor was met in its place.
    anchor_met: bool,
    /// It began behind a seal: tombstones behind that speak of what this walk does not see.
    is_partial: bool,
}

/// What came next in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Piece {
    /// A line; the newline is not in the buffer.
    Line,
    /// Bytes without an end.
    Torn,
    /// More bytes than a record has.
    TooLong,
    /// Nothing.
    End,
}

/// Reads one line into `buffer`, never more than a record may have.
pub(super) fn next(reader: &mut impl BufRead, buffer: &mut Vec<u8>) -> io::Result<Piece> {
    buffer.clear();
    let limit = u64::try_from(MAX_LINE).unwrap_or(u64::MAX);
    let read = reader.by_ref().take(limit).read_until(b'\n', buffer)?;
    Ok(match buffer.pop_if(|last| *last == b'\n') {
        Some(_) => Piece::Line,
        None if read == 0 => Piece::End,
        None if read >= MAX_LINE => Piece::TooLong,
        None => Piece::Torn,
    })
}

// === impl Scan ===

impl Scan {
    pub(super) fn with(trusted: Option<PublicKey>, anchor: Option<Head>, claims: &Claims) -> Self {
        Self {
            trusted,
            anchor,
            line: 0,
            writer: String::new(),
            head: Head { seq: 0, hash: [0; 32] },
            key: None,
            lineage: false,
            seals: 0,
            sealed: 0,
            backward_steps: 0,
            open: BTreeMap::new(),
            time: String::new(),
            graves: Graves::new(claims),
            anchor_met: false,
            is_partial: false,
        }
    }

    /// A walk that goes on behind a seal, whose line this is.
    pub(super) fn behind(line: &[u8], head: Head, key: PublicKey, writer: &str, open: BTreeMap<u64, String>) -> Result<Self, Why> {
        let (record, hash) = Record::read(line).map_err(|bad| match bad {
            NotARecord::Form => Why::NotARecord,
            NotARecord::Hash { .. } => Why::Edited,
        })?;
        if record.seq != head.seq || hash != head.hash || record.writer != writer || record.seal.is_none() {
            return Err(Why::OtherHead);
        }
        let scan = Self {
            line: head.seq,
            writer: writer.to_owned(),
            head,
            key: Some(key),
            sealed: head.seq,
            open,
            ..Self::with(None, None, &Claims::default())
        };
        Ok(Self { seals: 1, is_partial: true, time: record.time.into_owned(), ..scan })
    }

    pub(super) fn step(&mut self, line: &[u8]) -> Result<(), FirstBad> {
        self.line = self.line.saturating_add(1);
        let (record, hash) = match Record::read(line) {
            Ok(read) => read,
            Err(NotARecord::Form) => return Err(self.bad(None, Why::NotARecord)),
            Err(NotARecord::Hash { seq }) => return Err(self.bad(Some(seq), Why::Edited)),
        };
        self.follow(&record, hash, line).map_err(|why| self.bad(Some(record.seq), why))
    }

    fn follow(&mut self, record: &Record<'_>, hash: [u8; 32], line: &[u8]) -> Result<(), Why> {
        let expected = self.head.seq.saturating_add(1);
        if record.v != VERSION {
            return Err(Why::NotARecord);
        }
        // Over a gap the signature of the seal vouches for what was before it.
        let is_over_a_gap = record.seal.is_some() && record.seq > expected && self.graves.cover(expected, record.seq);
        if record.seq != expected && !is_over_a_gap {
            return Err(Why::Sequence { expected });
        }
        if !is_over_a_gap && record.prev != super::event::hex(&self.head.hash) {
            return Err(Why::Unlinked);
        }
        if self.line > 1 && record.writer != self.writer {
            return Err(Why::OtherWriter);
        }
        self.seal(record)?;
        self.settle(record)?;
        if let Some(open) = self.graves.pass(record, &hash, line, &self.open)? {
            self.open = open;
        }
        if self.anchor.is_some_and(|anchor| anchor.seq == record.seq && anchor.hash != hash) {
            return Err(Why::OtherHead);
        }
        self.anchor_met |= self.anchor.is_some_and(|anchor| anchor.seq == record.seq);
        if self.line == 1 {
            self.writer = record.writer.clone().into_owned();
        }
        self.backward_steps = self.backward_steps.saturating_add(u64::from(record.skew_ms.is_some()));
        self.head = Head { seq: record.seq, hash };
        record.time.as_ref().clone_into(&mut self.time);
        Ok(())
    }

    /// A seal is good if the key made it that the chain names; it counts if that key descends from the trusted one.
    fn seal(&mut self, record: &Record<'_>) -> Result<(), Why> {
        let named = record.seal.as_ref().and_then(|seal| seal.next.as_deref()).and_then(|next| next.parse().ok());
        let signer = match (record.kind, self.key) {
            (Kind::Key, Some(key)) if named.is_some() && record.purged.is_none() => key,
            (Kind::Checkpoint, Some(key)) if named.is_none() && record.purged.is_none() => key,
            (Kind::Purge, Some(key)) if named.is_none() && record.purged.is_some() => key,
            (Kind::Key, None) => named.ok_or(Why::NoKey)?,
            (_, None) => return Err(Why::NoKey),
            (Kind::Key | Kind::Checkpoint | Kind::Purge, Some(_)) => return Err(Why::BadSeal),
            (_, Some(_)) if record.seal.is_some() || record.purged.is_some() => return Err(Why::NotARecord),
            (_, Some(_)) => return Ok(()),
        };
        if !signer.sealed(record) {
            return Err(Why::BadSeal);
        }
        // Who hands over to a key that is not theirs has forged what stands before, or wants the key to vouch for it.
        if self.key.is_some() && named.is_some_and(|next: PublicKey| !next.accepted(record)) {
            return Err(Why::BadSeal);
        }
        if let Some(tombstone) = record.purged.as_ref().filter(|_| !self.is_partial) {
            self.graves.mark(tombstone)?;
        }
        self.lineage |= self.trusted == Some(signer);
        if self.lineage || self.trusted.is_none() {
            self.seals = self.seals.saturating_add(1);
            self.sealed = record.seq;
        }
        self.key = Some(named.unwrap_or(signer));
        Ok(())
    }

    fn settle(&mut self, record: &Record<'_>) -> Result<(), Why> {
        let done = match record.kind {
            Kind::Intent => self.open.insert(record.seq, record.id.clone().unwrap_or_default().into_owned()).is_none(),
            Kind::Outcome | Kind::Closed => record.intent.is_some_and(|seq| self.open.remove(&seq).is_some()),
            Kind::Opened => record.intent.is_some_and(|seq| self.open.contains_key(&seq)),
            Kind::Refused | Kind::Event | Kind::Checkpoint | Kind::Key | Kind::Purge => true,
        };
        if done { Ok(()) } else { Err(Why::NoIntent) }
    }

    fn finish(self) -> Result<Summary, FirstBad> {
        let Some(key) = self.key else { return Err(self.bad_next(Why::Empty)) };
        if self.seals == 0 {
            return Err(FirstBad { line: 1, seq: Some(1), why: Why::OtherKey, last_good: 0, last_sealed: 0 });
        }
        if let Some(anchor) = self.anchor.filter(|anchor| anchor.seq > self.head.seq) {
            return Err(self.bad_next(Why::Short { expected: anchor.seq }));
        }
        if self.anchor.is_some_and(|anchor| anchor.seq == 0) {
            return Err(self.bad_next(Why::OtherHead));
        }
        if !self.graves.are_marked() {
            return Err(self.bad_next(Why::Tombstone("it does not stand in the chain")));
        }
        let (purged, purged_to) = self.graves.gone();
        Ok(Summary {
            records: self.line,
            seals: self.seals,
            unsealed: self.head.seq.saturating_sub(self.sealed),
            open: u64::try_from(self.open.len()).unwrap_or(u64::MAX),
            backward_steps: self.backward_steps,
            purged,
            purged_to,
            anchor_is_gone: self.anchor.is_some_and(|anchor| self.graves.holds(anchor.seq)) && !self.anchor_met,
            head: self.head,
            key,
        })
    }

    fn bad(&self, seq: Option<u64>, why: Why) -> FirstBad {
        FirstBad { line: self.line, seq, why, last_good: self.head.seq, last_sealed: self.sealed }
    }

    /// Something is wrong with the line that would come next.
    pub(super) fn bad_next(&self, why: Why) -> FirstBad {
        FirstBad { line: self.line.saturating_add(1), ..self.bad(None, why) }
    }

    pub(super) const fn head(&self) -> Head {
        self.head
    }

    pub(super) const fn key(&self) -> Option<PublicKey> {
        self.key
    }

    pub(super) const fn unsealed(&self) -> u64 {
        self.head.seq.saturating_sub(self.sealed)
    }

    pub(super) fn writer(&self) -> &str {
        &self.writer
    }

    pub(super) fn time(&self) -> &str {
        &self.time
    }

    pub(super) const fn open(&self) -> &BTreeMap<u64, String> {
        &self.open
    }

    pub(super) fn into_open(self) -> BTreeMap<u64, String> {
        self.open
    }
}

// === impl FirstBad ===

impl FirstBad {
    /// The file cannot be read at all.
    pub(super) fn unreadable(error: &io::Error) -> Self {
        Self { line: 0, seq: None, why: Why::Unreadable(error.to_string()), last_good: 0, last_sealed: 0 }
    }
}

impl fmt::Display for FirstBad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.seq {
            Some(seq) => write!(f, "line {}, record {seq}: {}", self.line, self.why)?,
            None => write!(f, "line {}: {}", self.line, self.why)?,
        }
        write!(f, "; last good record {}, last sealed record {}", self.last_good, self.last_sealed)
    }
}

impl std::error::Error for FirstBad {}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(error) => write!(f, "cannot be read: {error}"),
            Self::Empty => f.write_str("there is no record"),
            Self::TooLong => f.write_str("longer than any record"),
            Self::Torn => f.write_str("the line has no end"),
            Self::NotARecord => f.write_str("not a record"),
            Self::Edited => f.write_str("does not hash to the hash it carries"),
            Self::Sequence { expected } => write!(f, "record {expected} should stand here"),
            Self::Unlinked => f.write_str("does not follow the record before it"),
            Self::OtherWriter => f.write_str("comes from another writer"),
            Self::NoKey => f.write_str("the chain does not begin by naming its key"),
            Self::BadSeal => f.write_str("the seal does not fit what it seals"),
            Self::OtherKey => f.write_str("no seal was made by the given key"),
            Self::NoIntent => f.write_str("settles an intent that is not open"),
            Self::Short { expected } => write!(f, "the chain ends before record {expected}, which is known to exist"),
            Self::OtherHead => f.write_str("another record is known to stand here"),
            Self::Tombstone(how) => write!(f, "a tombstone that does not fit: {how}"),
        }
    }
}
