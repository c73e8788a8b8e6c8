//! The signature beside an export: by the key of the record, over the digest of the file and what it holds (AUD-06).
//!
//! It proves that whoever held the key exported exactly these bytes. That nothing was left out between the first and the last
//! position only the record itself proves: an export is what somebody searched for.

use super::checkpoint::{PublicKey, SealError, Signer};
use super::event::{Head, hex};
use aws_lc_rs::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};

/// What is signed of an export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Export {
    v: u32,
    /// SHA-256 of the file.
    pub sha256: String,
    /// Its length.
    pub bytes: u64,
    /// `jsonl` or `csv`.
    pub format: String,
    /// How many records it holds.
    pub records: u64,
    /// Position of the first of them, 0 without any.
    pub first: u64,
    /// Position of the last of them.
    pub last: u64,
    /// The last record of the chain that was proven before the export, as [`Head`] is written.
    pub head: String,
    /// Id of the signing key.
    pub key: String,
    /// When it was made.
    pub made: String,
}

/// Part of every signed text, so that no signature of a record or bookmark is one of an export.
const PURPOSE: &[u8] = b"doorward audit export v1\n";
const VERSION: u32 = 1;

/// What an export holds.
#[derive(Debug, Clone, Copy)]
pub struct Contents<'a> {
    /// SHA-256 of the file.
    pub sha256: &'a [u8; 32],
    /// Its length.
    pub bytes: u64,
    /// `jsonl` or `csv`.
    pub format: &'a str,
    /// How many records it holds.
    pub records: u64,
    /// Positions of the first and the last of them, 0 without any.
    pub range: (u64, u64),
    /// The last record of the chain that was proven before.
    pub head: Head,
    /// When it was made.
    pub made: &'a str,
}

/// SHA-256 and length of a file that passes in pieces.
pub struct Sum {
    digest: Context,
    bytes: u64,
}

// === impl Sum ===

impl Sum {
    /// Of nothing yet.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "a sum is begun, not assumed")]
    pub fn new() -> Self {
        Self { digest: Context::new(&SHA256), bytes: 0 }
    }

    /// Adds a piece.
    pub fn add(&mut self, piece: &[u8]) {
        self.digest.update(piece);
        self.bytes = self.bytes.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
    }

    /// Digest and length of all pieces.
    #[must_use]
    pub fn end(self) -> ([u8; 32], u64) {
        (<[u8; 32]>::try_from(self.digest.finish().as_ref()).unwrap_or_default(), self.bytes)
    }
}

impl std::fmt::Debug for Sum {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sum({} bytes)", self.bytes)
    }
}

// === impl Export ===

impl Export {
    /// The text of the file beside an export: a line with the signature, then what is signed.
    ///
    /// # Errors
    /// [`SealError::Signing`].
    pub fn sign(of: &Contents<'_>, signer: &Signer) -> Result<Vec<u8>, SealError> {
        let export = Self {
            v: VERSION,
            sha256: hex(of.sha256),
            bytes: of.bytes,
            format: of.format.to_owned(),
            records: of.records,
            first: of.range.0,
            last: of.range.1,
            head: of.head.to_string(),
            key: signer.public().id(),
            made: of.made.to_owned(),
        };
        let text = serde_json::to_vec(&export).map_err(|_| SealError::Signing)?;
        let signature = signer.sign(&[PURPOSE, &text].concat())?;
        Ok([signature.as_bytes(), b"\n", &text, b"\n"].concat())
    }

    /// What `key` has signed; anything else is nothing.
    #[must_use]
    pub fn read(file: &[u8], key: &PublicKey) -> Option<Self> {
        let (signature, text) = file.split_at_checked(file.iter().position(|byte| *byte == b'\n')?)?;
        let (signature, text) = (std::str::from_utf8(signature).ok()?, text.get(1..)?.strip_suffix(b"\n")?);
        if !key.signed(&[PURPOSE, text].concat(), signature) {
            return None;
        }
        let export: Self = serde_json::from_slice(text).ok()?;
        (export.v == VERSION && export.key == key.id()).then_some(export)
    }

    /// Whether a file with this digest and length is what was signed.
    #[must_use]
    pub fn fits(&self, sha256: &[u8; 32], bytes: u64) -> bool {
        self.sha256 == hex(sha256) && self.bytes == bytes
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::signer;
    use super::*;
    use crate::secret::sha256;

    #[test]
    fn aud_06_an_export_is_what_our_key_signed_to_the_byte() {
        let (ours, theirs) = (signer(), signer());
        let file = b"{\"v\":1}\n";
        let head = Head { seq: 9, hash: [3; 32] };
        let contents = Contents {
            sha256: &sha256(file),
            bytes: 8,
            format: "jsonl",
            records: 1,
            range: (4, 4),
            head,
            made: "2026-11-24T05:03:31.007Z",
        };
        let signed = Export::sign(&contents, &ours).expect("signed");
        let read = Export::read(&signed, &ours.public()).expect("ours");
        assert!(read.fits(&sha256(file), 8) && !read.fits(&sha256(b"{\"v\":2}\n"), 8) && !read.fits(&sha256(file), 9));
        assert_eq!((read.records, read.first, read.last, read.head.parse()), (1, 4, 4, Ok(head)));
        assert_eq!(Export::read(&signed, &theirs.public()), None, "another key");
        for at in 0..signed.len() {
            let mut altered = signed.clone();
            altered[at] ^= 1;
            assert_eq!(Export::read(&altered, &ours.public()), None, "byte {at}");
            assert_eq!(Export::read(&signed[..at], &ours.public()), None, "cut at {at}");
        }
    }
}
