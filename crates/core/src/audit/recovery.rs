//! Picking up a chain after its writer ended: the last good record, a torn last line, intents without an outcome.

use super::chain::{Chain, Digests, Tip, WriterId};
use super::event::Head;
use super::intent::OpenIntent;
use super::purge::{Claims, Twice};
use super::verify::{FirstBad, Piece, Scan, Why, next};
use crate::time::Timestamp;
use std::io::BufRead;

/// A chain that can go on.
#[derive(Debug)]
pub struct Resumed {
    /// The chain behind its last good record.
    pub chain: Chain,
    /// Length of the file up to and including the last good record: cut it to this before writing.
    pub good: u64,
    /// Bytes of a torn last line behind it.
    pub torn: u64,
    /// Intents without an outcome, oldest first: settle them as unknown.
    pub open: Vec<OpenIntent>,
}

/// What a file holds.
#[derive(Debug)]
pub enum Found {
    /// Nothing, or only a torn first line: begin a new chain in a file cut to zero.
    Nothing {
        /// Bytes of a torn first line.
        torn: u64,
        /// As they were handed in.
        digests: Digests,
    },
    /// A chain.
    Chain(Box<Resumed>),
}

impl Chain {
    /// Reads what an earlier run left behind. Every record is checked; only the last line may be torn.
    ///
    /// # Errors
    /// [`FirstBad`]: the file was damaged or altered and must not be continued.
    pub fn resume(mut reader: impl Twice, digests: Digests) -> Result<Found, FirstBad> {
        let claims = reader.claims().map_err(|error| FirstBad::unreadable(&error))?;
        Self::resume_with(reader, &claims, digests)
    }

    /// As [`Chain::resume`], for a reader that is read once: `claims` are the tombstones of the same file.
    ///
    /// # Errors
    /// [`FirstBad`], also for a gap without a tombstone.
    pub fn resume_with(reader: impl BufRead, claims: &Claims, digests: Digests) -> Result<Found, FirstBad> {
        let walked = walk(reader, Scan::with(None, None, claims), 0)?;
        if walked.scan.key().is_none() {
            return Ok(Found::Nothing { torn: walked.torn, digests });
        }
        resumed(walked, digests).map(|resumed| Found::Chain(Box::new(resumed)))
    }
}

/// The end of a file.
pub(super) struct Walked {
    scan: Scan,
    good: u64,
    torn: u64,
}

/// Reads to the end of a file, of which `good` bytes have been read.
pub(super) fn walk(mut reader: impl BufRead, mut scan: Scan, mut good: u64) -> Result<Walked, FirstBad> {
    let mut line = Vec::new();
    let torn = loop {
        match next(&mut reader, &mut line) {
            Ok(Piece::Line) => {
                scan.step(&line)?;
                good = good.saturating_add(length(&line)).saturating_add(1);
            }
            Ok(Piece::End) => break 0,
            Ok(Piece::Torn) => break length(&line),
            Ok(Piece::TooLong) => return Err(scan.bad_next(Why::TooLong)),
            Err(error) => return Err(scan.bad_next(Why::Unreadable(error.to_string()))),
        }
    };
    Ok(Walked { scan, good, torn })
}

/// The chain that ends there.
pub(super) fn resumed(Walked { scan, good, torn }: Walked, digests: Digests) -> Result<Resumed, FirstBad> {
    let key = scan.key().ok_or_else(|| scan.bad_next(Why::NoKey))?;
    let writer = WriterId::new(scan.writer()).map_err(|_| scan.bad_next(Why::OtherWriter))?;
    let Head { seq, hash } = scan.head();
    let tip = Tip { seq, hash, unsealed: scan.unsealed(), latest: instant(scan.time()), key };
    let open = scan.into_open().into_iter().map(|(seq, id)| OpenIntent { seq, id }).collect();
    Ok(Resumed { chain: Chain::at(writer, digests, tip), good, torn, open })
}

pub(super) fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

/// The time of a record; unreadable ones are as old as can be, so that no skew is claimed.
pub(super) fn instant(text: &str) -> Timestamp {
    let ms = text.parse::<jiff::Timestamp>().map_or(0, jiff::Timestamp::as_millisecond);
    Timestamp::from_millis(u64::try_from(ms).unwrap_or(0))
}
