//! Taking away what is older than the retention, without losing the chain (AUD-06): which records may go, the tombstone that
//! says so inside the chain before they go, and how a walk gets over the gap afterwards.
//!
//! Whole stretches between seals go, from the oldest on, never anything behind the last seal. The seals of a stretch stay: each
//! of them is signed for itself, so the keys can still be followed and a seal that was kept elsewhere still be found. The
//! tombstone is a seal, too, and its signature is over what it says. Nothing here touches a file.

use super::chain::Chain;
use super::checkpoint::{SealError, Signer};
use super::event::{Kind, Line, Record, cap, hex, unhex};
use super::recovery::instant;
use super::verify::{FirstBad, Piece, Scan, Why, next};
use crate::time::Timestamp;
use aws_lc_rs::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};

/// What a tombstone says of the records that it stands for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tombstone {
    /// Position of the first record of the stretch: 1, or the one behind the stretch that went before.
    pub first: u64,
    /// Position of its last record, a seal.
    pub last: u64,
    /// How many records go; its seals are not among them.
    pub count: u64,
    /// How many bytes they have.
    pub bytes: u64,
    /// Hash of the first record, as it stands there.
    pub first_hash: String,
    /// Hash of the last record.
    pub last_hash: String,
    /// SHA-256 of the lines that go, with their newlines, in their order.
    pub removed: String,
    /// SHA-256 of the lines that stay.
    pub seals: String,
    /// When the newest record of the stretch was written.
    pub newest: String,
    /// Intents that had no outcome at its end.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub open: BTreeMap<u64, String>,
    /// Who took them away.
    pub by: String,
    /// Why.
    pub why: String,
}

/// What the tombstones of a file say, in their order. They are claims: a walk that uses them checks each of them, and ends in
/// an error where one is not what the chain holds.
#[derive(Debug, Clone, Default)]
pub struct Claims(Vec<Tombstone>);

/// A stretch that may go: whole, sealed and old enough. Only [`outlook`] makes one.
#[derive(Debug)]
pub struct Purgeable(Tombstone);

/// What a file holds for a purge.
#[derive(Debug)]
pub struct Outlook {
    /// The last position that a tombstone speaks of, 0 without one.
    pub buried: u64,
    /// Records that a tombstone speaks of and that are still there: an earlier purge was cut off.
    pub left_over: u64,
    /// What may go, if anything may.
    pub stretch: Option<Purgeable>,
}

/// No tombstone names more open intents: a stretch with more of them at its end goes later.
const MAX_OPEN: usize = 256;

/// Every record of this kind holds these bytes; texts of callers cannot, for their quotes are escaped.
const SIGN: &[u8] = b"\"kind\":\"purge\"";

/// Whether the line of a record stays when everything up to `buried` goes.
#[must_use]
pub const fn stays(record: &Record<'_>, buried: u64) -> bool {
    record.seq > buried || record.seal.is_some()
}

/// Walks along a whole file and finds what may go because its newest record is older than `before`.
///
/// # Errors
/// [`FirstBad`]: the file is not what was written, and nothing may go.
pub fn outlook(mut reader: impl BufRead, claims: &Claims, before: Timestamp) -> Result<Outlook, FirstBad> {
    let buried = claims.buried();
    let mut scan = Scan::with(None, None, claims);
    let (mut line, mut left_over) = (Vec::new(), 0_u64);
    let mut digger = Digger { is_done: false, tally: Tally::new(buried.saturating_add(1)), best: None };
    loop {
        match next(&mut reader, &mut line) {
            Ok(Piece::Line) => scan.step(&line)?,
            Ok(Piece::End | Piece::Torn) => break,
            Ok(Piece::TooLong) => return Err(scan.bad_next(Why::TooLong)),
            Err(error) => return Err(scan.bad_next(Why::Unreadable(error.to_string()))),
        }
        let Ok((record, hash)) = Record::read(&line) else { return Err(scan.bad_next(Why::NotARecord)) };
        if record.seq > buried {
            digger.look(&record, &hash, &line, &scan, before);
        } else if record.seal.is_none() {
            left_over = left_over.saturating_add(1);
        }
    }
    Ok(Outlook { buried, left_over, stretch: digger.best.map(Purgeable) })
}

/// Looks for the longest stretch that may go.
struct Digger {
    /// A record that is too young was met.
    is_done: bool,
    tally: Tally,
    best: Option<Tombstone>,
}

/// Sums over the lines of a stretch.
#[derive(Clone)]
pub(super) struct Tally {
    first: u64,
    count: u64,
    bytes: u64,
    first_hash: String,
    last_hash: String,
    newest: String,
    removed: Context,
    seals: Context,
}

// === impl Digger ===

impl Digger {
    fn look(&mut self, record: &Record<'_>, hash: &[u8; 32], line: &[u8], scan: &Scan, before: Timestamp) {
        // A clock that stepped back makes nothing older: the first record that is too young ends the stretch.
        self.is_done |= instant(&record.time) >= before;
        if self.is_done {
            return;
        }
        self.tally.take(record, hash, line);
        if record.seal.is_some() && self.tally.count > 0 && scan.open().len() <= MAX_OPEN {
            self.best = Some(self.tally.tombstone(record.seq, scan.open().clone()));
        }
    }
}

// === impl Tally ===

impl Tally {
    pub(super) fn new(first: u64) -> Self {
        let (removed, seals) = (Context::new(&SHA256), Context::new(&SHA256));
        let (first_hash, last_hash, newest) = (String::new(), String::new(), String::new());
        Self { first, count: 0, bytes: 0, first_hash, last_hash, newest, removed, seals }
    }

    /// Adds a line, which comes without its newline.
    pub(super) fn take(&mut self, record: &Record<'_>, hash: &[u8; 32], line: &[u8]) {
        if record.seq == self.first {
            self.first_hash = hex(hash);
        }
        self.last_hash = hex(hash);
        if *record.time > *self.newest {
            record.time.as_ref().clone_into(&mut self.newest);
        }
        let sum = if record.seal.is_some() {
            &mut self.seals
        } else {
            self.count = self.count.saturating_add(1);
            self.bytes = self.bytes.saturating_add(super::recovery::length(line)).saturating_add(1);
            &mut self.removed
        };
        sum.update(line);
        sum.update(b"\n");
    }

    fn tombstone(&self, last: u64, open: BTreeMap<u64, String>) -> Tombstone {
        let sum = |of: &Context| hex(of.clone().finish().as_ref());
        Tombstone {
            first: self.first,
            last,
            count: self.count,
            bytes: self.bytes,
            first_hash: self.first_hash.clone(),
            last_hash: self.last_hash.clone(),
            removed: sum(&self.removed),
            seals: sum(&self.seals),
            newest: self.newest.clone(),
            open,
            by: String::new(),
            why: String::new(),
        }
    }
}

// === impl Tombstone ===

impl Tombstone {
    /// What the signature of its record covers of it.
    pub(super) fn digest(&self) -> String {
        let text = serde_json::to_vec(self).unwrap_or_default();
        hex(&crate::secret::sha256(&text))
    }

    fn is_in_order(&self) -> bool {
        self.first <= self.last && unhex::<32>(&self.last_hash).is_some() && self.open.range(self.last..).next().is_none()
    }
}

// === impl Purgeable ===

impl Purgeable {
    /// What goes.
    #[must_use]
    pub const fn tombstone(&self) -> &Tombstone {
        &self.0
    }
}

// === impl Claims ===

impl Claims {
    /// The tombstones of a file. What is no whole record, or does not continue the tombstone before it, is none: a walk finds out.
    ///
    /// # Errors
    /// Of reading.
    pub fn read(mut reader: impl BufRead) -> io::Result<Self> {
        let (mut found, mut line) = (Self::default(), Vec::new());
        loop {
            match next(&mut reader, &mut line)? {
                Piece::Line => {}
                Piece::End | Piece::Torn => return Ok(found),
                // No record; the walk names it.
                Piece::TooLong => {
                    reader.skip_until(b'\n')?;
                    continue;
                }
            }
            if !line.windows(SIGN.len()).any(|piece| piece == SIGN) {
                continue;
            }
            if let Ok((Record { kind: Kind::Purge, purged: Some(tombstone), .. }, _)) = Record::read(&line)
                && tombstone.is_in_order()
                && tombstone.first == found.buried().saturating_add(1)
            {
                found.0.push(tombstone);
            }
        }
    }

    /// The last position that a tombstone speaks of, 0 without one.
    #[must_use]
    pub fn buried(&self) -> u64 {
        self.0.last().map_or(0, |tombstone| tombstone.last)
    }
}

/// What can be read twice: for its tombstones, then along its chain. So nobody walks along a file without them by mistake.
pub trait Twice: BufRead {
    /// The tombstones from here to the end; the reader stands here again afterwards.
    ///
    /// # Errors
    /// Of reading.
    fn claims(&mut self) -> io::Result<Claims>;
}

impl Twice for &[u8] {
    fn claims(&mut self) -> io::Result<Claims> {
        Claims::read(*self)
    }
}

impl<R: Read + Seek> Twice for BufReader<R> {
    fn claims(&mut self) -> io::Result<Claims> {
        let here = self.stream_position()?;
        let claims = Claims::read(&mut *self)?;
        self.seek(SeekFrom::Start(here)).map(|_| claims)
    }
}

/// The stretches of the tombstones of a file, as a walk along it finds them.
#[derive(Debug, Default)]
pub(super) struct Graves(Vec<Grave>);

#[derive(Debug)]
struct Grave {
    tombstone: Tombstone,
    tally: Tally,
    /// Something of the stretch is not there.
    is_empty: bool,
    /// The tombstone was met in the chain.
    is_marked: bool,
}

// === impl Graves ===

impl Graves {
    pub(super) fn new(claims: &Claims) -> Self {
        let grave = |tombstone: &Tombstone| Grave {
            tally: Tally::new(tombstone.first),
            tombstone: tombstone.clone(),
            is_empty: false,
            is_marked: false,
        };
        Self(claims.0.iter().map(grave).collect())
    }

    /// Whether a seal may stand at `seq` although `expected` comes next: a tombstone must speak of everything in between.
    pub(super) fn cover(&mut self, expected: u64, seq: u64) -> bool {
        let grave = self.0.iter_mut().find(|grave| grave.tombstone.first <= expected && seq <= grave.tombstone.last);
        grave.is_some_and(|grave| {
            grave.is_empty = true;
            expected < seq
        })
    }

    /// A record in its place, which may be in a stretch; `open` are the open intents behind it, as far as they were met. Gives
    /// those at the end of a stretch that is gone.
    pub(super) fn pass(
        &mut self,
        record: &Record<'_>,
        hash: &[u8; 32],
        line: &[u8],
        open: &BTreeMap<u64, String>,
    ) -> Result<Option<BTreeMap<u64, String>>, Why> {
        let grave = self.0.iter_mut().find(|grave| (grave.tombstone.first..=grave.tombstone.last).contains(&record.seq));
        let Some(grave) = grave else { return Ok(None) };
        grave.tally.take(record, hash, line);
        let stone = &grave.tombstone;
        if record.seq < stone.last {
            return Ok(None);
        }
        if grave.tally.last_hash != stone.last_hash || record.seal.is_none() {
            return Err(Why::Tombstone("another record stands at its end"));
        }
        if !grave.is_empty && *open != stone.open {
            return Err(Why::Tombstone("other calls were open at its end"));
        }
        Ok(grave.is_empty.then(|| stone.open.clone()))
    }

    /// A tombstone in its place, with a good signature.
    pub(super) fn mark(&mut self, tombstone: &Tombstone) -> Result<(), Why> {
        let Some(grave) = self.0.iter_mut().find(|grave| !grave.is_marked) else {
            return Err(Why::Tombstone("it does not continue the one before it"));
        };
        let (stone, there) = (&grave.tombstone, grave.tally.tombstone(grave.tombstone.last, grave.tombstone.open.clone()));
        if stone != tombstone {
            return Err(Why::Tombstone("it does not continue the one before it"));
        }
        if there.seals != stone.seals {
            return Err(Why::Tombstone("the seals of its stretch are not those that were left"));
        }
        let sums = |of: &Tombstone| (of.count, of.bytes, of.removed.clone(), of.first_hash.clone(), of.newest.clone());
        let is_whole = sums(&there) == sums(stone);
        if grave.is_empty && there.count > 0 {
            return Err(Why::Tombstone("some of the records that it stands for are there, and some are not"));
        }
        if !grave.is_empty && !is_whole {
            return Err(Why::Tombstone("the records that it stands for are others"));
        }
        grave.is_marked = true;
        Ok(())
    }

    /// Records that are gone, and the last position that a tombstone speaks of.
    pub(super) fn gone(&self) -> (u64, u64) {
        let gone = self.0.iter().filter(|grave| grave.is_empty);
        let count = gone.clone().map(|grave| grave.tombstone.count).fold(0, u64::saturating_add);
        (count, gone.map(|grave| grave.tombstone.last).max().unwrap_or(0))
    }

    /// Whether each tombstone was met.
    pub(super) fn are_marked(&self) -> bool {
        self.0.iter().all(|grave| grave.is_marked)
    }

    /// Whether the record at `seq` went, by a tombstone.
    pub(super) fn holds(&self, seq: u64) -> bool {
        self.0.iter().any(|grave| grave.is_empty && (grave.tombstone.first..grave.tombstone.last).contains(&seq))
    }
}

impl std::fmt::Debug for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tally({} from {})", self.count, self.first)
    }
}

// === impl Chain ===

impl Chain {
    /// Records, signed, that a stretch goes. It must reach the disk before anything is removed.
    ///
    /// # Errors
    /// [`SealError`]; the chain is unchanged then.
    pub fn bury(&mut self, stretch: Purgeable, by: &str, why: &str, signer: &Signer, now: Timestamp) -> Result<Line, SealError> {
        let mut record = Record::new(Kind::Purge);
        record.purged = Some(Tombstone { by: cap(by).into_owned(), why: cap(why).into_owned(), ..stretch.0 });
        self.seal(record, signer, None, now)
    }
}
