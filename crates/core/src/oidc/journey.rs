//! A sign-in that is under way: it leaves this browser for one provider and comes back to the same (I6; attacks OC-02, OC-03, AZ-13).
//!
//! Sealed into a cookie of the browser that began it: state, nonce and verifier are random, for one sign-in, and leave the browser
//! only as far as the protocol needs. [`Journey::arrive`] is the one way from an answer of a browser to a code that may be redeemed.
//! Where the sign-in leads afterwards is not in any address: the journey knows the digest of the ticket that waits.

use super::callback::{Unanswered, code_of};
use super::envelope::Envelope;
use super::provider::Naming;
use crate::id::ProviderName;
use crate::oauth::form::Form;
use crate::secret::{Secret, sha256};
use crate::time::Timestamp;
use aws_lc_rs::aead::NONCE_LEN;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// Seals journeys. Prints nothing of its key.
pub struct JourneyKey(Envelope);

/// A sign-in on its way.
#[derive(Clone)]
pub struct Journey {
    state: String,
    nonce: String,
    verifier: String,
    provider: ProviderName,
    issuer: String,
    begun: Timestamp,
    waiting: Option<[u8; 32]>,
}

/// A code that came back to where it was sent from. Only [`Journey::arrive`] makes one.
#[derive(Debug)]
pub struct Arrived {
    journey: Journey,
    code: String,
}

/// Why an answer leads nowhere.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotArrived {
    /// It is not the answer to this journey: another `state`, provider or issuer.
    #[error("other_sign_in")]
    Other,
    /// `iss` is another one, or missing where the provider promised it (RFC 9207 section 2.4).
    #[error("mixed_up")]
    Issuer,
    /// The provider says no: its error code, empty where that cannot be repeated.
    #[error("provider_refused")]
    Refused(String),
    /// There is no code, or no usable one.
    #[error("no_code")]
    NoCode,
}

/// Altered, of another installation, or too old.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the sign-in is not known here, or it is too old")]
pub struct BadJourney;

/// A sign-in may take this long.
pub const JOURNEY_LIFE: Duration = Duration::from_secs(600);
/// Longest sealed journey that is looked at, in bytes.
const LONGEST: usize = 2_048;
const USE: &[u8] = b"doorward sign-in journey, AES-256-GCM, 1";

#[derive(Serialize, Deserialize)]
struct Payload {
    s: String,
    n: String,
    v: String,
    p: String,
    i: String,
    t: u64,
    w: Option<String>,
}

// === impl JourneyKey ===

impl JourneyKey {
    /// Derives the key from the installation's (HKDF-SHA-256, RFC 5869), which replicas share.
    ///
    /// # Errors
    /// [`BadJourney`] if the cryptographic library refuses, which it does not for 32 bytes.
    pub fn derive(master: &Secret<[u8; 32]>) -> Result<Self, BadJourney> {
        Envelope::derive(master, USE).map(Self).map_err(|_| BadJourney)
    }

    /// Seals a journey. `nonce` is never used twice.
    ///
    /// # Errors
    /// [`BadJourney`] only if the cipher fails.
    pub fn seal(&self, journey: &Journey, nonce: [u8; NONCE_LEN]) -> Result<String, BadJourney> {
        let payload = Payload {
            s: journey.state.clone(),
            n: journey.nonce.clone(),
            v: journey.verifier.clone(),
            p: journey.provider.as_str().to_owned(),
            i: journey.issuer.clone(),
            t: journey.begun.as_millis(),
            w: journey.waiting.map(|digest| URL_SAFE_NO_PAD.encode(digest)),
        };
        self.0.seal(&payload, nonce).map_err(|_| BadJourney)
    }

    /// Opens a journey that is not older than [`JOURNEY_LIFE`].
    ///
    /// # Errors
    /// [`BadJourney`].
    pub fn open(&self, sealed: &str, now: Timestamp) -> Result<Journey, BadJourney> {
        let Payload { s, n, v, p, i, t, w } = self.0.open(sealed, LONGEST).map_err(|_| BadJourney)?;
        let waiting = match w {
            None => None,
            Some(text) => {
                let digest = URL_SAFE_NO_PAD.decode(text).ok().and_then(|bytes| bytes.try_into().ok());
                Some(digest.ok_or(BadJourney)?)
            }
        };
        let provider = ProviderName::new(&p).map_err(|_| BadJourney)?;
        let journey = Journey { state: s, nonce: n, verifier: v, provider, issuer: i, begun: Timestamp::from_millis(t), waiting };
        if now.as_millis() > journey.ends().as_millis() { Err(BadJourney) } else { Ok(journey) }
    }
}

impl fmt::Debug for JourneyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JourneyKey(..)")
    }
}

// === impl Journey ===

impl Journey {
    /// A new sign-in at a provider. `random` is of this sign-in alone; `waiting` is the sealed ticket that goes on afterwards.
    #[must_use]
    pub fn begin(provider: ProviderName, issuer: String, random: &[[u8; 32]; 3], waiting: Option<&str>, now: Timestamp) -> Self {
        let [state, nonce, verifier] = random.map(|bytes| URL_SAFE_NO_PAD.encode(bytes));
        Self { state, nonce, verifier, provider, issuer, begun: now, waiting: waiting.map(|sealed| sha256(sealed.as_bytes())) }
    }

    /// The `state` of its request.
    #[must_use]
    pub fn state(&self) -> &str {
        &self.state
    }

    /// The `nonce` of its request, which the ID token repeats.
    #[must_use]
    pub fn nonce(&self) -> &str {
        &self.nonce
    }

    /// Whom it leads to.
    #[must_use]
    pub const fn provider(&self) -> &ProviderName {
        &self.provider
    }

    /// When it began.
    #[must_use]
    pub const fn begun(&self) -> Timestamp {
        self.begun
    }

    /// When it ends.
    #[must_use]
    pub fn ends(&self) -> Timestamp {
        self.begun.after(JOURNEY_LIFE)
    }

    /// The S256 challenge of its verifier (RFC 7636).
    #[must_use]
    pub fn challenge(&self) -> String {
        URL_SAFE_NO_PAD.encode(sha256(self.verifier.as_bytes()))
    }

    /// The short name of its cookie: some characters of a `state`. `None` for what is no `state` of ours.
    #[must_use]
    pub fn short(state: &str) -> Option<&str> {
        let is_ours = state.len() == 43 && state.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        state.get(..8).filter(|_| is_ours)
    }

    /// Takes the answer that came to the callback of `provider`, whose issuer is configured as `issuer`.
    ///
    /// Nothing that the answer says is looked at before it is certain whose answer it is.
    ///
    /// # Errors
    /// [`NotArrived`].
    pub fn arrive(self, provider: &ProviderName, issuer: &str, answer: &Form, naming: Naming) -> Result<Arrived, NotArrived> {
        let state = answer.get("state").unwrap_or_default();
        let same = verify_slices_are_equal(state.as_bytes(), self.state.as_bytes()).is_ok();
        if !same || *provider != self.provider || *issuer != *self.issuer {
            return Err(NotArrived::Other);
        }
        let code = code_of(answer, issuer, naming)?;
        Ok(Arrived { journey: self, code })
    }
}

impl fmt::Debug for Journey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Journey").field("provider", &self.provider).field("begun", &self.begun).finish_non_exhaustive()
    }
}

impl Drop for Journey {
    fn drop(&mut self) {
        use zeroize::Zeroize as _;
        self.verifier.zeroize();
    }
}

impl From<Unanswered> for NotArrived {
    fn from(why: Unanswered) -> Self {
        match why {
            Unanswered::Issuer => Self::Issuer,
            Unanswered::Refused(code) => Self::Refused(code),
            Unanswered::NoCode => Self::NoCode,
        }
    }
}

// === impl Arrived ===

impl Arrived {
    /// The code, to be redeemed once.
    #[must_use]
    pub fn code(&self) -> &str {
        &self.code
    }

    /// The verifier that belongs to it.
    #[must_use]
    pub fn verifier(&self) -> &str {
        &self.journey.verifier
    }

    /// Where it came from.
    #[must_use]
    pub const fn journey(&self) -> &Journey {
        &self.journey
    }

    /// Its name in the store, where it is used up before the code is redeemed (I3).
    #[must_use]
    pub fn once(&self) -> [u8; 32] {
        sha256(&[b"sign-in".as_slice(), self.journey.state.as_bytes()].concat())
    }

    /// Whether `sealed` is the ticket that this sign-in was begun for.
    #[must_use]
    pub fn leads_to(&self, sealed: &str) -> bool {
        self.journey.waiting == Some(sha256(sealed.as_bytes()))
    }
}
