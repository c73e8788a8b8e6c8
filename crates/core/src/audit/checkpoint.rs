//! Signatures inside the chain. Owns the signing key in use and the bytes that are signed.
//!
//! A seal vouches for every record before it. Keys follow one another inside the chain, each named by the one before.

use super::event::{Record, Seal, hex, unhex};
use crate::secret::sha256;
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// An Ed25519 public key: all that an auditor needs beside the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PublicKey([u8; 32]);

/// The private half. Neither printable nor cloneable.
pub struct Signer {
    pair: Ed25519KeyPair,
    public: PublicKey,
}

/// A text or file is not an Ed25519 key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an Ed25519 key")]
pub struct BadKey;

/// Why no seal was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The chain goes on with another key.
    #[error("the record is continued by key {chain}, not by key {signer}")]
    OtherKey {
        /// The key that the chain names.
        chain: PublicKey,
        /// The key that was offered.
        signer: PublicKey,
    },
    /// The signature could not be made.
    #[error("the signature could not be made")]
    Signing,
}

// === impl PublicKey ===

impl PublicKey {
    /// The first 16 hex digits of SHA-256 of the key: how records name it.
    #[must_use]
    pub fn id(&self) -> String {
        let mut id = hex(&sha256(&self.0));
        id.truncate(16);
        id
    }

    /// Whether this key made the signature, in hex, of `text`.
    pub(super) fn signed(&self, text: &[u8], signature: &str) -> bool {
        unhex::<64>(signature).is_some_and(|signature| UnparsedPublicKey::new(&ED25519, &self.0).verify(text, &signature).is_ok())
    }

    /// Whether this key took over where `record` hands over to it.
    pub(super) fn accepted(&self, record: &Record<'_>) -> bool {
        let text = acceptance(&record.writer, record.seq, &record.prev, self);
        record.accept.as_deref().is_some_and(|signature| self.signed(&text, signature))
    }

    /// Whether this key made the seal of `record`.
    #[must_use]
    pub fn sealed(&self, record: &Record<'_>) -> bool {
        let Some(seal) = &record.seal else { return false };
        let Some(signature) = unhex::<64>(&seal.sig) else { return false };
        seal.key == self.id() && UnparsedPublicKey::new(&ED25519, &self.0).verify(&message(record, seal), &signature).is_ok()
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl FromStr for PublicKey {
    type Err = BadKey;

    fn from_str(text: &str) -> Result<Self, BadKey> {
        unhex(text.trim()).map(Self).ok_or(BadKey)
    }
}

// === impl Signer ===

impl Signer {
    /// The key of a PKCS#8 document.
    ///
    /// # Errors
    /// [`BadKey`] if it is something else.
    pub fn from_pkcs8(document: &[u8]) -> Result<Self, BadKey> {
        let pair = Ed25519KeyPair::from_pkcs8(document).map_err(|_| BadKey)?;
        let public = pair.public_key().as_ref().try_into().map_err(|_| BadKey)?;
        Ok(Self { pair, public: PublicKey(public) })
    }

    /// The public half.
    #[must_use]
    pub const fn public(&self) -> PublicKey {
        self.public
    }

    /// The signature of `text`, in hex.
    pub(super) fn sign(&self, text: &[u8]) -> Result<String, SealError> {
        self.pair.try_sign(text).map(|signature| hex(signature.as_ref())).map_err(|_| SealError::Signing)
    }

    /// Takes over a chain at this place.
    pub(super) fn accept(&self, writer: &str, seq: u64, prev: &str) -> Result<String, SealError> {
        self.sign(&acceptance(writer, seq, prev, &self.public))
    }

    /// Signs a stamped record in place; `next` makes it a key record.
    pub(super) fn seal(&self, record: &mut Record<'_>, next: Option<PublicKey>) -> Result<(), SealError> {
        let mut seal =
            Seal { key: Cow::Owned(self.public.id()), next: next.map(|key| Cow::Owned(key.to_string())), sig: Cow::Borrowed("") };
        let signature = self.pair.try_sign(&message(record, &seal)).map_err(|_| SealError::Signing)?;
        seal.sig = Cow::Owned(hex(signature.as_ref()));
        record.seal = Some(seal);
        Ok(())
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({})", self.public.id())
    }
}

/// What the next key signs to take over: `prev` vouches for everything before.
fn acceptance(writer: &str, seq: u64, prev: &str, next: &PublicKey) -> Vec<u8> {
    format!("doorward audit key accepted v1\n{writer}\n{seq}\n{prev}\n{next}\n").into_bytes()
}

/// What is signed: lines of text, none of which can hold a newline.
fn message(record: &Record<'_>, seal: &Seal<'_>) -> Vec<u8> {
    let purged = record.purged.as_ref().map(|tombstone| format!("{}\n", tombstone.digest())).unwrap_or_default();
    format!(
        "doorward audit seal v1\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{purged}",
        record.kind.as_str(),
        record.writer,
        record.seq,
        record.time,
        record.prev,
        seal.key,
        seal.next.as_deref().unwrap_or_default()
    )
    .into_bytes()
}
