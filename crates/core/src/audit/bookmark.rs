//! Where a chain stood at one of its seals, signed by the key of that seal, kept beside the file: a start reads the file from
//! there and not from its beginning. What lies before it is proven afterwards ([`Bookmark::prove`]).
//!
//! A bookmark proves nothing that the seal does not; it saves reading. Who changes it gains nothing: a bad one is not used, and
//! an old one only makes the start read more.

use super::chain::{Chain, Digests, WriterId};
use super::checkpoint::{PublicKey, SealError, Signer};
use super::event::Head;
use super::purge::Twice;
use super::recovery::{Resumed, length, resumed, walk};
use super::verify::{FirstBad, Piece, Scan, Why, next};
use crate::id::CorrelationId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::BufRead;

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bookmark {
    v: u32,
    writer: String,
    /// Bytes of the file before the line of the seal.
    from: u64,
    /// The seal, as [`Head`] is written.
    head: String,
    /// The key that signs after the seal.
    key: String,
    /// Intents without an outcome at the seal.
    open: BTreeMap<u64, String>,
}

/// Part of every signed text, so that no signature of a record is one of a bookmark.
const PURPOSE: &[u8] = b"doorward audit bookmark v1\n";
const VERSION: u32 = 1;

// === impl Bookmark ===

impl Bookmark {
    /// Of a chain whose last record is a seal. That record's line begins at byte `from`.
    pub fn at(chain: &Chain, from: u64, open: &BTreeMap<u64, CorrelationId>) -> Self {
        Self {
            v: VERSION,
            writer: chain.writer().as_str().to_owned(),
            from,
            head: chain.head().to_string(),
            key: chain.key().to_string(),
            open: open.iter().map(|(seq, id)| (*seq, id.to_string())).collect(),
        }
    }

    /// The text of the file: a line with the signature, then what is signed.
    ///
    /// # Errors
    /// [`SealError::Signing`].
    pub fn sign(&self, signer: &Signer) -> Result<Vec<u8>, SealError> {
        let text = serde_json::to_vec(self).map_err(|_| SealError::Signing)?;
        let signature = signer.sign(&[PURPOSE, &text].concat())?;
        Ok([signature.as_bytes(), b"\n", &text].concat())
    }

    /// What one of `keys` has signed; anything else is no bookmark.
    #[must_use]
    pub fn read(file: &[u8], keys: &[PublicKey]) -> Option<Self> {
        let (signature, text) = file.split_at_checked(file.iter().position(|byte| *byte == b'\n')?)?;
        let (signature, text) = (std::str::from_utf8(signature).ok()?, text.get(1..)?);
        let signed = [PURPOSE, text].concat();
        if !keys.iter().any(|key| key.signed(&signed, signature)) {
            return None;
        }
        let bookmark: Self = serde_json::from_slice(text).ok()?;
        (bookmark.v == VERSION && bookmark.head().is_some() && bookmark.key.parse::<PublicKey>().is_ok()).then_some(bookmark)
    }

    /// Where to begin to read the file.
    #[must_use]
    pub const fn from(&self) -> u64 {
        self.from
    }

    /// The position of the seal.
    #[must_use]
    pub fn seq(&self) -> u64 {
        self.head().map_or(0, |head| head.seq)
    }

    /// Picks up the chain from a reader that stands at [`Bookmark::from`]. Every record from the seal on is checked.
    ///
    /// # Errors
    /// [`FirstBad`]: the file is not the one of the bookmark, or was damaged or altered behind it; it must not be continued.
    pub fn resume(&self, mut reader: impl BufRead, digests: Digests) -> Result<Resumed, FirstBad> {
        let mut line = Vec::new();
        let (Some(head), Ok(key)) = (self.head(), self.key.parse()) else { return Err(self.other(Why::OtherHead)) };
        match next(&mut reader, &mut line) {
            Ok(Piece::Line) => {}
            Ok(_) => return Err(self.other(Why::Short { expected: head.seq })),
            Err(error) => return Err(self.other(Why::Unreadable(error.to_string()))),
        }
        let writer = WriterId::new(&self.writer).map_err(|_| self.other(Why::OtherWriter))?;
        let scan = Scan::behind(&line, head, key, writer.as_str(), self.open.clone()).map_err(|why| self.other(why))?;
        let good = self.from.saturating_add(length(&line)).saturating_add(1);
        resumed(walk(reader, scan, good)?, digests)
    }

    /// Reads what lies before the bookmark, from the beginning of the file to the seal, and checks every record of it.
    /// Stops, without an answer, as soon as `go_on` says no; it is asked now and then.
    ///
    /// # Errors
    /// [`FirstBad`]: the file was altered before the bookmark, or is another one; also for a gap without a tombstone.
    pub fn prove(&self, mut reader: impl Twice, go_on: impl Fn() -> bool) -> Result<Option<()>, FirstBad> {
        let Some(head) = self.head() else { return Err(self.other(Why::OtherHead)) };
        let claims = reader.claims().map_err(|error| FirstBad::unreadable(&error))?;
        let (mut scan, mut line) = (Scan::with(None, Some(head), &claims), Vec::new());
        while scan.head().seq < head.seq {
            if scan.head().seq.is_multiple_of(256) && !go_on() {
                return Ok(None);
            }
            match next(&mut reader, &mut line) {
                Ok(Piece::Line) => scan.step(&line)?,
                Ok(Piece::TooLong) => return Err(scan.bad_next(Why::TooLong)),
                Ok(Piece::End | Piece::Torn) => return Err(scan.bad_next(Why::Short { expected: head.seq })),
                Err(error) => return Err(scan.bad_next(Why::Unreadable(error.to_string()))),
            }
        }
        if scan.into_open() == self.open { Ok(Some(())) } else { Err(self.other(Why::NoIntent)) }
    }

    fn head(&self) -> Option<Head> {
        self.head.parse().ok()
    }

    fn other(&self, why: Why) -> FirstBad {
        FirstBad { line: self.seq(), seq: Some(self.seq()), why, last_good: 0, last_sealed: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Writer, signer};
    use super::*;

    /// A chain with an open intent and records behind its last seal, and the bookmark of that seal.
    fn marked() -> (Writer, Bookmark, u64) {
        let mut writer = Writer::new(Digests::Plain);
        writer.call("a", 1);
        let open = writer.intend("b", 2);
        let from = u64::try_from(writer.file.len()).expect("small");
        writer.seal();
        let bookmark = Bookmark::at(&writer.chain, from, &BTreeMap::from([(open.seq(), open.id())]));
        writer.call("c", 3);
        (writer, bookmark, open.seq())
    }

    #[test]
    fn a_chain_goes_on_from_a_bookmark_as_from_its_beginning() {
        let (writer, bookmark, open) = marked();
        let signed = bookmark.sign(&writer.signer).expect("signed");
        let read = Bookmark::read(&signed, &[signer().public(), writer.signer.public()]).expect("signed by one of them");
        assert_eq!(read, bookmark);
        let whole = match Chain::resume(writer.file.as_slice(), Digests::Plain).expect("whole") {
            super::super::recovery::Found::Chain(found) => found,
            other => panic!("{other:?}"),
        };
        let from = usize::try_from(read.from()).expect("small");
        let found = read.resume(&writer.file[from..], Digests::Plain).expect("whole");
        assert_eq!((found.chain.tip(), found.good, found.torn), (whole.chain.tip(), whole.good, whole.torn));
        assert_eq!((found.open.as_slice(), found.open[0].seq()), (whole.open.as_slice(), open));
        assert_eq!(read.prove(writer.file.as_slice(), || true), Ok(Some(())));
        assert_eq!(read.prove(writer.file.as_slice(), || false), Ok(None), "given up, nothing said");
    }

    #[test]
    fn a_bookmark_is_of_our_key_and_unchanged_or_none() {
        let (writer, bookmark, _) = marked();
        let signed = bookmark.sign(&writer.signer).expect("signed");
        let keys = [writer.signer.public()];
        assert_eq!(Bookmark::read(&signed, &[signer().public()]), None);
        for at in 0..signed.len() {
            let mut altered = signed.clone();
            altered[at] ^= 1;
            assert_eq!(Bookmark::read(&altered, &keys), None, "byte {at}");
            assert_eq!(Bookmark::read(&signed[..at], &keys), None, "cut at {at}");
        }
        // The seals of the record are of the same key, and none of them is one of a bookmark.
        let lines = writer.file.split(|byte| *byte == b'\n');
        assert!(lines.into_iter().all(|line| Bookmark::read(line, &keys).is_none()));
    }

    #[test]
    fn aud_03_the_past_of_another_chain_or_with_other_intents_is_not_proven() {
        let (writer, bookmark, open) = marked();
        let (other, ..) = marked();
        assert!(bookmark.prove(other.file.as_slice(), || true).is_err(), "another chain");
        let from = usize::try_from(bookmark.from()).expect("small");
        assert!(bookmark.resume(&other.file[from..], Digests::Plain).is_err());
        assert!(bookmark.resume(&writer.file[from + 1..], Digests::Plain).is_err(), "another place");
        assert!(bookmark.resume([].as_slice(), Digests::Plain).is_err(), "nothing there");
        for open in [BTreeMap::new(), BTreeMap::from([(open, "another".to_owned())])] {
            let forged = Bookmark { open, ..bookmark.clone() };
            assert!(forged.prove(writer.file.as_slice(), || true).is_err(), "{forged:?}");
        }
        for at in (0..from).step_by(29) {
            let mut altered = writer.file.clone();
            altered[at] ^= 1;
            assert!(bookmark.prove(altered.as_slice(), || true).is_err(), "byte {at}");
        }
    }
}
