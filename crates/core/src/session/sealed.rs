//! Sealed blobs: `requestState` and cursors, bound to user, client, server and request (protocol 12.1; SES-10, RPC-09).
//!
//! A blob is `dws1.<key id>.<base64url(nonce || AES-256-GCM ciphertext)>`. Whatever is wrong with one, the answer is the same.

use crate::id::{ClientId, ServerName, UserId};
use crate::secret::{Secret, sha256};
use crate::time::Timestamp;
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What a blob is for; each purpose has a key of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// `requestState`: single use.
    State,
    /// A pagination cursor: of use until it expires.
    Cursor,
}

/// To whom and what a blob belongs. Every part is compared when it is opened.
#[derive(Debug, Clone, Copy)]
pub struct Binding<'a> {
    /// The user.
    pub user: &'a UserId,
    /// The client.
    pub client: &'a ClientId,
    /// The server.
    pub server: &'a ServerName,
    /// The MCP method.
    pub method: &'a str,
    /// Digest of the request, for states.
    pub digest: &'a [u8; 32],
}

/// Randomness for one blob.
#[derive(Debug, Clone, Copy)]
pub struct Fresh {
    /// Never used twice with one key.
    pub nonce: [u8; NONCE_LEN],
    /// Names the blob for single use.
    pub jti: [u8; 16],
}

/// The keys of an installation. Replicas share them.
pub struct SealingKeys {
    kid: String,
    state: LessSafeKey,
    cursor: LessSafeKey,
}

/// The content of a blob that opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// What was sealed.
    pub inner: String,
    /// Name for single use: SHA-256 of the blob's own id.
    pub once: [u8; 32],
    /// Until when its name must be remembered.
    pub expires: Timestamp,
}

/// Bad, foreign, expired or altered: one answer for all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the sealed value is not valid here")]
pub struct BadSeal;

/// No keys could be derived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no sealing keys could be derived")]
pub struct NoKeys;

#[derive(Serialize, Deserialize)]
struct Payload<'a> {
    i: &'a str,
    u: [&'a str; 2],
    c: &'a str,
    s: &'a str,
    m: &'a str,
    d: String,
    e: u64,
    j: String,
}

const PREFIX: &str = "dws1";
/// Longest blob that is looked at, in bytes.
const LONGEST: usize = 64 * 1024;

struct Aes256;

impl KeyType for Aes256 {
    fn len(&self) -> usize {
        32
    }
}

// === impl SealingKeys ===

impl SealingKeys {
    /// Derives the keys of both purposes from the installation's sealing key (HKDF-SHA-256, RFC 5869).
    ///
    /// # Errors
    /// [`NoKeys`].
    pub fn derive(master: &Secret<[u8; 32]>) -> Result<Self, NoKeys> {
        let prk = Salt::new(HKDF_SHA256, b"doorward sealed blobs v1").extract(master.expose());
        let key = |purpose: Purpose| {
            let info = [purpose.as_str().as_bytes()];
            let mut bytes = zeroize::Zeroizing::new([0u8; 32]);
            prk.expand(&info, Aes256).and_then(|okm| okm.fill(&mut *bytes)).map_err(|_| NoKeys)?;
            UnboundKey::new(&AES_256_GCM, &*bytes).map(LessSafeKey::new).map_err(|_| NoKeys)
        };
        let mut id = [0u8; 4];
        prk.expand(&[b"key id"], Short).and_then(|okm| okm.fill(&mut id)).map_err(|_| NoKeys)?;
        Ok(Self { kid: URL_SAFE_NO_PAD.encode(id), state: key(Purpose::State)?, cursor: key(Purpose::Cursor)? })
    }

    /// Seals `inner` for `binding` until `expires`.
    ///
    /// # Errors
    /// [`BadSeal`] only if the cipher fails.
    pub fn seal(&self, purpose: Purpose, binding: Binding<'_>, inner: &str, fresh: Fresh, expires: Timestamp) -> Result<String, BadSeal> {
        let payload = Payload {
            i: inner,
            u: [binding.user.issuer(), binding.user.subject()],
            c: binding.client.as_str(),
            s: binding.server.as_str(),
            m: binding.method,
            d: URL_SAFE_NO_PAD.encode(binding.digest),
            e: expires.as_millis(),
            j: URL_SAFE_NO_PAD.encode(fresh.jti),
        };
        let mut text = serde_json::to_vec(&payload).map_err(|_| BadSeal)?;
        let nonce = Nonce::assume_unique_for_key(fresh.nonce);
        self.key(purpose).seal_in_place_append_tag(nonce, self.aad(purpose), &mut text).map_err(|_| BadSeal)?;
        let mut whole = fresh.nonce.to_vec();
        whole.append(&mut text);
        Ok(format!("{PREFIX}.{}.{}", self.kid, URL_SAFE_NO_PAD.encode(whole)))
    }

    /// Opens a blob that must belong to `binding`.
    ///
    /// # Errors
    /// [`BadSeal`].
    pub fn open(&self, purpose: Purpose, binding: Binding<'_>, blob: &str, now: Timestamp) -> Result<Opened, BadSeal> {
        if blob.len() > LONGEST {
            return Err(BadSeal);
        }
        let body = blob.strip_prefix(PREFIX).and_then(|rest| rest.strip_prefix('.')).ok_or(BadSeal)?;
        let body = body.strip_prefix(self.kid.as_str()).and_then(|rest| rest.strip_prefix('.')).ok_or(BadSeal)?;
        let mut whole = URL_SAFE_NO_PAD.decode(body).map_err(|_| BadSeal)?;
        let (nonce, sealed) = whole.split_at_mut_checked(NONCE_LEN).ok_or(BadSeal)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| BadSeal)?;
        let text = self.key(purpose).open_in_place(nonce, self.aad(purpose), sealed).map_err(|_| BadSeal)?;
        let payload: Owned = serde_json::from_slice(text).map_err(|_| BadSeal)?;
        let theirs = payload.u == [binding.user.issuer(), binding.user.subject()]
            && payload.c == binding.client.as_str()
            && payload.s == binding.server.as_str()
            && payload.m == binding.method
            && payload.d == URL_SAFE_NO_PAD.encode(binding.digest);
        let expires = Timestamp::from_millis(payload.e);
        if !theirs || expires <= now {
            return Err(BadSeal);
        }
        Ok(Opened { inner: payload.i, once: sha256(payload.j.as_bytes()), expires })
    }

    const fn key(&self, purpose: Purpose) -> &LessSafeKey {
        match purpose {
            Purpose::State => &self.state,
            Purpose::Cursor => &self.cursor,
        }
    }

    fn aad(&self, purpose: Purpose) -> Aad<Vec<u8>> {
        Aad::from(format!("{PREFIX}.{}.{}", self.kid, purpose.as_str()).into_bytes())
    }
}

impl fmt::Debug for SealingKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealingKeys({})", self.kid)
    }
}

impl Purpose {
    const fn as_str(self) -> &'static str {
        match self {
            Self::State => "state",
            Self::Cursor => "cursor",
        }
    }
}

#[derive(Deserialize)]
struct Owned {
    i: String,
    u: [String; 2],
    c: String,
    s: String,
    m: String,
    d: String,
    e: u64,
    j: String,
}

struct Short;

impl KeyType for Short {
    fn len(&self) -> usize {
        4
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);
    const LIFE: Duration = Duration::from_secs(600);
    const FRESH: Fresh = Fresh { nonce: [3; NONCE_LEN], jti: [4; 16] };

    struct Parts {
        user: UserId,
        client: ClientId,
        server: ServerName,
    }

    fn parts() -> Parts {
        Parts {
            user: UserId::new("local", "alice").expect("id"),
            client: ClientId::new("key:1").expect("id"),
            server: ServerName::new("alpha").expect("name"),
        }
    }

    fn keys(byte: u8) -> SealingKeys {
        SealingKeys::derive(&Secret::new([byte; 32])).expect("keys")
    }

    fn binding<'a>(parts: &'a Parts, digest: &'a [u8; 32]) -> Binding<'a> {
        Binding { user: &parts.user, client: &parts.client, server: &parts.server, method: "tools/call", digest }
    }

    #[test]
    fn ses_10_a_state_opens_for_its_own_request_only() {
        let (mine, digest) = (parts(), [7; 32]);
        let keys = keys(1);
        let blob = keys.seal(Purpose::State, binding(&mine, &digest), "inner \"state\"", FRESH, NOW.after(LIFE)).expect("sealed");
        assert!(!blob.contains("inner") && !blob.contains("alice"));
        assert_eq!(keys.open(Purpose::State, binding(&mine, &digest), &blob, NOW).expect("own").inner, "inner \"state\"");
        let others = [
            Parts { user: UserId::new("local", "mallory").expect("id"), ..parts() },
            Parts { user: UserId::new("https://x", "alice").expect("id"), ..parts() },
            Parts { client: ClientId::new("key:2").expect("id"), ..parts() },
            Parts { server: ServerName::new("beta").expect("name"), ..parts() },
        ];
        for other in &others {
            assert_eq!(keys.open(Purpose::State, binding(other, &digest), &blob, NOW), Err(BadSeal));
        }
        assert_eq!(keys.open(Purpose::State, binding(&mine, &[8; 32]), &blob, NOW), Err(BadSeal), "other arguments");
        let method = Binding { method: "prompts/get", ..binding(&mine, &digest) };
        assert_eq!(keys.open(Purpose::State, method, &blob, NOW), Err(BadSeal));
        assert_eq!(keys.open(Purpose::Cursor, binding(&mine, &digest), &blob, NOW), Err(BadSeal), "purposes do not mix");
        assert_eq!(keys.open(Purpose::State, binding(&mine, &digest), &blob, NOW.after(LIFE)), Err(BadSeal), "expired");
        assert_eq!(self::keys(2).open(Purpose::State, binding(&mine, &digest), &blob, NOW), Err(BadSeal), "another installation");
    }

    #[test]
    fn ses_10_every_change_of_a_blob_is_noticed() {
        let (mine, digest) = (parts(), [7; 32]);
        let keys = keys(1);
        let blob = keys.seal(Purpose::State, binding(&mine, &digest), "state", FRESH, NOW.after(LIFE)).expect("sealed");
        for at in 0..blob.len() {
            let mut bytes = blob.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).expect("ascii");
            assert_eq!(keys.open(Purpose::State, binding(&mine, &digest), &changed, NOW), Err(BadSeal), "at {at}");
        }
        for changed in [
            format!("{blob}x"),
            format!("{blob} "),
            format!("{blob}="),
            blob.get(..blob.len() - 1).unwrap_or_default().to_owned(),
            String::new(),
        ] {
            assert_eq!(keys.open(Purpose::State, binding(&mine, &digest), &changed, NOW), Err(BadSeal), "{changed}");
        }
    }
}
