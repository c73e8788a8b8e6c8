//! Sealed columns: AES-256-GCM with the place of the value as associated data, so that a ciphertext opens only where it was put.
//!
//! Knows no table and no SQL. The envelope is `1 ‖ key id (8) ‖ nonce (12) ‖ ciphertext ‖ tag (16)`. Nonces are random, so
//! one key seals at most 2^32 values (NIST SP 800-38D, section 8.3); a token vault is some orders of magnitude below that.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use doorward_core::secret::Secret;
use std::fmt;
use std::sync::Arc;
use zeroize::{Zeroize as _, Zeroizing};

/// Unpredictable bytes, for nonces.
pub trait Random: Send + Sync {
    /// Fills `out` with unpredictable bytes.
    ///
    /// # Errors
    /// [`NoRandom`] when there are none: nothing is sealed then.
    fn fill(&self, out: &mut [u8]) -> Result<(), NoRandom>;
}

/// The random source gave nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no random bytes for a nonce")]
pub struct NoRandom;

/// Seals and opens columns under keys derived from one key-encryption key.
#[derive(Clone)]
pub struct Sealer {
    key: Arc<LessSafeKey>,
    id: [u8; KEY_ID],
    random: Arc<dyn Random>,
}

/// Where a sealed value lives; every part is authenticated with it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) table: &'static str,
    pub(crate) column: &'static str,
    /// Identity of the row and every plain column that decides where the value is used.
    pub(crate) row: &'a [&'a [u8]],
    /// Issuer and subject.
    pub(crate) owner: (&'a str, &'a str),
    pub(crate) version: i64,
}

/// A value did not open in this place under this key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unopened;

const FORMAT: u8 = 1;
const KEY_ID: usize = 8;
const HEAD: usize = 1 + KEY_ID + NONCE_LEN;

// === impl Sealer ===

impl Sealer {
    /// From a key-encryption key of 32 unpredictable bytes; the key itself is not kept.
    ///
    /// # Errors
    /// [`NoKey`] if the cryptographic library refuses, which it does not for 32 bytes.
    pub fn new(kek: &Secret<[u8; 32]>, random: Arc<dyn Random>) -> Result<Self, NoKey> {
        let mut key = Zeroizing::new([0u8; 32]);
        derive(kek, b"doorward store: sealed columns, AES-256-GCM, 1", &mut *key)?;
        let mut id = [0u8; KEY_ID];
        derive(kek, b"doorward store: key id, 1", &mut id)?;
        let key = UnboundKey::new(&AES_256_GCM, &*key).map_err(|_| NoKey)?;
        Ok(Self { key: Arc::new(LessSafeKey::new(key)), id, random })
    }

    pub(crate) fn seal(&self, place: &Place<'_>, plain: &[u8]) -> Result<Vec<u8>, NoRandom> {
        let mut nonce = [0u8; NONCE_LEN];
        self.random.fill(&mut nonce)?;
        let mut text = Zeroizing::new(plain.to_vec());
        let aad = Aad::from(place.bytes(&self.id));
        // AES-GCM fails only for texts of more than 64 GiB.
        let tag = self.key.seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), aad, &mut text).map_err(|_| NoRandom)?;
        let mut sealed = Vec::with_capacity(HEAD + text.len() + 16);
        sealed.push(FORMAT);
        sealed.extend_from_slice(&self.id);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(&text);
        sealed.extend_from_slice(tag.as_ref());
        Ok(sealed)
    }

    pub(crate) fn open(&self, place: &Place<'_>, sealed: &[u8]) -> Result<Secret<Vec<u8>>, Unopened> {
        let (head, text) = sealed.split_at_checked(HEAD).ok_or(Unopened)?;
        let (format, head) = head.split_at_checked(1).ok_or(Unopened)?;
        let (id, nonce) = head.split_at_checked(KEY_ID).ok_or(Unopened)?;
        if format != [FORMAT] || id != self.id {
            return Err(Unopened);
        }
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| Unopened)?;
        let mut text = text.to_vec();
        match self.key.open_in_place(nonce, Aad::from(place.bytes(&self.id)), &mut text) {
            Ok(plain) => {
                let length = plain.len();
                text.truncate(length);
                Ok(Secret::new(text))
            }
            Err(_) => {
                text.zeroize();
                Err(Unopened)
            }
        }
    }
}

/// Prints nothing of the key.
impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealer(..)")
    }
}

/// No sealing key could be derived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no sealing key could be derived")]
pub struct NoKey;

// === impl Place ===

impl Place<'_> {
    /// Every part with its length before it: no two places give the same bytes.
    fn bytes(&self, key: &[u8; KEY_ID]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(128);
        let mut part = |part: &[u8]| {
            bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
            bytes.extend_from_slice(part);
        };
        part(self.table.as_bytes());
        part(self.column.as_bytes());
        part(self.owner.0.as_bytes());
        part(self.owner.1.as_bytes());
        part(&self.version.to_be_bytes());
        part(key);
        for row in self.row {
            part(row);
        }
        bytes
    }
}

struct Length(usize);

impl aws_lc_rs::hkdf::KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

/// HKDF-SHA256 (RFC 5869) without salt: the input is already uniform.
fn derive(kek: &Secret<[u8; 32]>, info: &[u8], out: &mut [u8]) -> Result<(), NoKey> {
    let length = Length(out.len());
    Salt::new(HKDF_SHA256, &[]).extract(kek.expose()).expand(&[info], length).and_then(|okm| okm.fill(out)).map_err(|_| NoKey)
}

#[cfg(test)]
mod tests;
