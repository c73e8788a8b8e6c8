//! What a browser carries for us while it is away, sealed: AES-256-GCM under a key of one use alone.
//!
//! Knows no meaning. A use has a label: the key is derived from the installation's with it (HKDF-SHA-256, RFC 5869), and it is
//! authenticated with every text, so that what was sealed for one use opens in no other. Replicas share the keys.

use crate::secret::Secret;
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;
use zeroize::Zeroizing;

/// Seals and opens texts of one use. Prints nothing of its key.
pub(crate) struct Envelope {
    key: LessSafeKey,
    label: &'static [u8],
}

/// Altered, of another use or installation, or longer than it may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it was not sealed here for this use")]
pub(crate) struct BadEnvelope;

struct Length;

impl KeyType for Length {
    fn len(&self) -> usize {
        32
    }
}

// === impl Envelope ===

impl Envelope {
    /// The one of the use that `label` names.
    ///
    /// # Errors
    /// [`BadEnvelope`] if the cryptographic library refuses, which it does not for 32 bytes.
    pub(crate) fn derive(master: &Secret<[u8; 32]>, label: &'static [u8]) -> Result<Self, BadEnvelope> {
        let prk = Salt::new(HKDF_SHA256, b"doorward sign-in v1").extract(master.expose());
        let mut bytes = Zeroizing::new([0u8; 32]);
        prk.expand(&[label], Length).and_then(|okm| okm.fill(&mut *bytes)).map_err(|_| BadEnvelope)?;
        Ok(Self { key: LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &*bytes).map_err(|_| BadEnvelope)?), label })
    }

    /// Seals a content as base64url. `nonce` is never used twice.
    ///
    /// # Errors
    /// [`BadEnvelope`] only if the cipher fails.
    pub(crate) fn seal(&self, content: &impl Serialize, nonce: [u8; NONCE_LEN]) -> Result<String, BadEnvelope> {
        let mut text = serde_json::to_vec(content).map_err(|_| BadEnvelope)?;
        let sealed = self.key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(self.label), &mut text);
        sealed.map_err(|_| BadEnvelope)?;
        Ok(URL_SAFE_NO_PAD.encode([nonce.as_slice(), &text].concat()))
    }

    /// Opens what is not longer than `longest` bytes as it came.
    ///
    /// # Errors
    /// [`BadEnvelope`].
    pub(crate) fn open<T: DeserializeOwned>(&self, sealed: &str, longest: usize) -> Result<T, BadEnvelope> {
        let bytes = Some(sealed).filter(|sealed| sealed.len() <= longest).and_then(|sealed| URL_SAFE_NO_PAD.decode(sealed).ok());
        let bytes = bytes.ok_or(BadEnvelope)?;
        let (nonce, text) = bytes.split_at_checked(NONCE_LEN).ok_or(BadEnvelope)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| BadEnvelope)?;
        let mut text = Zeroizing::new(text.to_vec());
        let plain = self.key.open_in_place(nonce, Aad::from(self.label), &mut text).map_err(|_| BadEnvelope)?;
        serde_json::from_slice(plain).map_err(|_| BadEnvelope)
    }
}

impl fmt::Debug for Envelope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Envelope(..)")
    }
}
