//! The keys of the front office: tickets of authorization requests, tokens of forms, successors of refresh tokens, digests of user codes.
//!
//! Each has a key of its own, derived from the installation's key, which replicas share. Nothing here needs the store: who has
//! not signed in leaves nothing behind (REG-08), and a form that was shown is known again by its token.

use super::device::UserCode;
use super::request::Front;
use crate::secret::{PlainToken, Secret, TokenKind, sha256};
use crate::time::Timestamp;
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Prk, Salt};
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;
use zeroize::Zeroizing;

/// The keys. Prints nothing of them.
pub struct OfficeKeys {
    tickets: LessSafeKey,
    forms: hmac::Key,
    successors: hmac::Key,
    user_codes: hmac::Key,
}

/// An authorization request on its way through the pages: as it came, and bound to the browser that began it (I6).
#[derive(Debug, Clone)]
pub struct Ticket {
    /// Names the request; decided once.
    pub id: [u8; 16],
    /// Digest of the flow cookie.
    pub browser: [u8; 32],
    /// When it began.
    pub begun: Timestamp,
    /// Whether the browser came by itself or from a page of ours, by its own word, when it began.
    pub unled: bool,
    /// What was asked.
    pub front: Front,
}

/// Altered, foreign or too old: one answer for all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the request is not known here, or it is too old")]
pub struct BadTicket;

/// A form that was not shown to this browser for this, or too long ago.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the form is not one that was shown here")]
pub struct BadToken;

/// No keys could be derived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the keys of the front office could not be derived")]
pub struct NoKeys;

/// A request may stay undecided this long, and a form that was shown is taken this long (product A7).
pub const TICKET_LIFE: Duration = Duration::from_secs(600);
/// A page that stays open may be sent this long; tickets end sooner by themselves.
const FORM_LIFE: Duration = Duration::from_secs(12 * 3600);
/// Longest ticket that is looked at, in bytes.
const LONGEST: usize = 16 * 1024;
const TICKETS: &[u8] = b"doorward office ticket, AES-256-GCM, 1";

#[derive(Serialize, Deserialize)]
struct Payload {
    i: String,
    b: String,
    t: u64,
    u: bool,
    f: Front,
}

struct Length;

impl KeyType for Length {
    fn len(&self) -> usize {
        32
    }
}

// === impl OfficeKeys ===

impl OfficeKeys {
    /// Derives every key (HKDF-SHA-256, RFC 5869).
    ///
    /// # Errors
    /// [`NoKeys`] if the cryptographic library refuses, which it does not for 32 bytes.
    pub fn derive(master: &Secret<[u8; 32]>) -> Result<Self, NoKeys> {
        let prk = Salt::new(HKDF_SHA256, b"doorward front office v1").extract(master.expose());
        let tickets = UnboundKey::new(&AES_256_GCM, &*expanded(&prk, TICKETS)?).map_err(|_| NoKeys)?;
        Ok(Self {
            tickets: LessSafeKey::new(tickets),
            forms: hmac::Key::new(hmac::HMAC_SHA256, &*expanded(&prk, b"forms")?),
            successors: hmac::Key::new(hmac::HMAC_SHA256, &*expanded(&prk, b"successors")?),
            user_codes: hmac::Key::new(hmac::HMAC_SHA256, &*expanded(&prk, b"user codes")?),
        })
    }

    /// Seals a ticket. `nonce` is never used twice.
    ///
    /// # Errors
    /// [`BadTicket`] only if the cipher fails.
    pub fn seal(&self, ticket: &Ticket, nonce: [u8; NONCE_LEN]) -> Result<String, BadTicket> {
        let payload = Payload {
            i: URL_SAFE_NO_PAD.encode(ticket.id),
            b: URL_SAFE_NO_PAD.encode(ticket.browser),
            t: ticket.begun.as_millis(),
            u: ticket.unled,
            f: ticket.front.clone(),
        };
        let mut text = serde_json::to_vec(&payload).map_err(|_| BadTicket)?;
        let sealed = self.tickets.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(TICKETS), &mut text);
        sealed.map_err(|_| BadTicket)?;
        Ok(URL_SAFE_NO_PAD.encode([nonce.as_slice(), &text].concat()))
    }

    /// Opens a ticket that is not older than [`TICKET_LIFE`].
    ///
    /// # Errors
    /// [`BadTicket`].
    pub fn open(&self, sealed: &str, now: Timestamp) -> Result<Ticket, BadTicket> {
        let bytes = Some(sealed).filter(|sealed| sealed.len() <= LONGEST).and_then(|sealed| URL_SAFE_NO_PAD.decode(sealed).ok());
        let bytes = bytes.ok_or(BadTicket)?;
        let (nonce, text) = bytes.split_at_checked(NONCE_LEN).ok_or(BadTicket)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| BadTicket)?;
        let mut text = text.to_vec();
        let plain = self.tickets.open_in_place(nonce, Aad::from(TICKETS), &mut text).map_err(|_| BadTicket)?;
        let Payload { i, b, t, u, f } = serde_json::from_slice(plain).map_err(|_| BadTicket)?;
        let ticket = Ticket { id: bytes_of(&i)?, browser: bytes_of(&b)?, begun: Timestamp::from_millis(t), unled: u, front: f };
        if now.as_millis() > ticket.ends().as_millis() { Err(BadTicket) } else { Ok(ticket) }
    }

    /// The token of a form: for `page`, in the browser session with this digest, shown at `at`.
    #[must_use]
    pub fn form_token(&self, page: &str, session: &[u8; 32], at: Timestamp) -> String {
        let mac = hmac::sign(&self.forms, &form_text(page, session, at));
        format!("{}.{}", at.as_millis(), URL_SAFE_NO_PAD.encode(mac.as_ref()))
    }

    /// How long ago the form of `page` was shown in this browser session.
    ///
    /// # Errors
    /// [`BadToken`] for one of another page or session, an altered one, or one shown more than twelve hours ago.
    pub fn check_form(&self, token: &str, page: &str, session: &[u8; 32], now: Timestamp) -> Result<Duration, BadToken> {
        let (at, mac) = token.split_once('.').ok_or(BadToken)?;
        let shown: u64 = at.parse().map_err(|_| BadToken)?;
        let mac = URL_SAFE_NO_PAD.decode(mac).map_err(|_| BadToken)?;
        let at = Timestamp::from_millis(shown);
        // Compared in constant time by the library.
        hmac::verify(&self.forms, &form_text(page, session, at), &mac).map_err(|_| BadToken)?;
        let age = Duration::from_millis(now.as_millis().saturating_sub(shown));
        if age > FORM_LIFE { Err(BadToken) } else { Ok(age) }
    }

    /// What is kept of a user code. A plain digest of something so short could be turned back by trying them all.
    #[must_use]
    pub fn user_code(&self, code: &UserCode) -> [u8; 32] {
        let mut bytes = [0u8; 32];
        for (to, from) in bytes.iter_mut().zip(hmac::sign(&self.user_codes, code.as_bytes()).as_ref()) {
            *to = *from;
        }
        bytes
    }

    /// The one token that follows a refresh token: whoever presents the same one again within the replay window is given the
    /// same successor by any replica, though only digests are stored (product AS9). Without the key nobody can work it out.
    #[must_use]
    pub fn successor<K: TokenKind>(&self, presented: &str) -> PlainToken<K> {
        let text = [K::PREFIX.as_bytes(), b"\0", presented.as_bytes()].concat();
        let mac = hmac::sign(&self.successors, &text);
        let mut bytes = Zeroizing::new([0u8; 32]);
        for (to, from) in bytes.iter_mut().zip(mac.as_ref()) {
            *to = *from;
        }
        PlainToken::mint(&bytes)
    }
}

impl fmt::Debug for OfficeKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OfficeKeys(..)")
    }
}

// === impl Ticket ===

impl Ticket {
    /// When it ends.
    #[must_use]
    pub fn ends(&self) -> Timestamp {
        self.begun.after(TICKET_LIFE)
    }

    /// Its name in the store, where it is used up by the decision.
    #[must_use]
    pub fn once(&self) -> [u8; 32] {
        sha256(&[b"ticket".as_slice(), &self.id].concat())
    }

    /// The short name of its flow cookie.
    #[must_use]
    pub fn short(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.id.iter().copied().take(6).collect::<Vec<u8>>())
    }
}

/// Every part with its length: no page reads like another one.
fn form_text(page: &str, session: &[u8; 32], at: Timestamp) -> Vec<u8> {
    let mut text = Vec::with_capacity(page.len() + 48);
    text.extend_from_slice(&(page.len() as u64).to_be_bytes());
    text.extend_from_slice(page.as_bytes());
    text.extend_from_slice(session);
    text.extend_from_slice(&at.as_millis().to_be_bytes());
    text
}

fn expanded(prk: &Prk, info: &[u8]) -> Result<Zeroizing<[u8; 32]>, NoKeys> {
    let mut bytes = Zeroizing::new([0u8; 32]);
    prk.expand(&[info], Length).and_then(|okm| okm.fill(&mut *bytes)).map_err(|_| NoKeys)?;
    Ok(bytes)
}

fn bytes_of<const N: usize>(text: &str) -> Result<[u8; N], BadTicket> {
    URL_SAFE_NO_PAD.decode(text).ok().and_then(|bytes| bytes.try_into().ok()).ok_or(BadTicket)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oauth::form::Form;
    use crate::secret::{AccessToken, RefreshToken};

    fn keys(of: u8) -> OfficeKeys {
        OfficeKeys::derive(&Secret::new([of; 32])).expect("keys")
    }

    fn ticket() -> Ticket {
        let form = Form::parse("client_id=c&state=s%20t&response_type=code").expect("form");
        Ticket {
            id: [1; 16],
            browser: [2; 32],
            begun: Timestamp::from_millis(1_000_000),
            unled: false,
            front: Front::read(&form).expect("request"),
        }
    }

    #[test]
    fn az_03_a_ticket_opens_here_unaltered_and_for_ten_minutes() {
        let sealed = keys(1).seal(&ticket(), [9; NONCE_LEN]).expect("sealed");
        let at = |ms: u64| Timestamp::from_millis(1_000_000 + ms);
        let opened = keys(1).open(&sealed, at(600_000)).expect("opened");
        assert_eq!((opened.id, opened.browser, opened.front.client_id.as_str()), ([1; 16], [2; 32], "c"));
        assert_eq!(keys(1).open(&sealed, at(600_001)).err(), Some(BadTicket));
        assert_eq!(keys(2).open(&sealed, at(0)).err(), Some(BadTicket));
        for place in 0..sealed.len() {
            let mut bytes = sealed.clone().into_bytes();
            bytes[place] = if bytes[place] == b'A' { b'B' } else { b'A' };
            let altered = String::from_utf8(bytes).expect("ascii");
            assert!(altered == sealed || keys(1).open(&altered, at(0)).is_err(), "at {place}");
        }
    }

    #[test]
    fn az_04_a_form_is_of_its_page_and_session_only() {
        let (now, session) = (Timestamp::from_millis(5_000), [3; 32]);
        let token = keys(1).form_token("consent:1", &session, now);
        let later = Timestamp::from_millis(5_700);
        assert_eq!(keys(1).check_form(&token, "consent:1", &session, later), Ok(Duration::from_millis(700)));
        assert!(keys(1).check_form(&token, "consent:2", &session, later).is_err());
        assert!(keys(1).check_form(&token, "consent:1", &[4; 32], later).is_err());
        assert!(keys(2).check_form(&token, "consent:1", &session, later).is_err());
        let (_, mac) = token.split_once('.').expect("two parts");
        assert!(keys(1).check_form(&format!("4000.{mac}"), "consent:1", &session, later).is_err(), "an earlier time is another form");
        assert!(keys(1).check_form(&token, "consent:1", &session, Timestamp::from_millis(5_001 + 12 * 3_600_000)).is_err());
        for bad in ["", ".", "5000.", "5000", "x.y", "-1.AAAA"] {
            assert!(keys(1).check_form(bad, "consent:1", &session, later).is_err(), "{bad}");
        }
    }

    #[test]
    fn tk_06_a_successor_is_the_same_everywhere_and_nobody_elses() {
        let old = PlainToken::<RefreshToken>::mint(&[5; 32]);
        let next = keys(1).successor::<RefreshToken>(old.reveal());
        assert_eq!(next.reveal(), keys(1).successor::<RefreshToken>(old.reveal()).reveal());
        assert_ne!(next.reveal(), keys(2).successor::<RefreshToken>(old.reveal()).reveal());
        assert_ne!(next.reveal(), old.reveal());
        let access = keys(1).successor::<AccessToken>(old.reveal());
        assert_ne!(access.reveal().get(5..20), next.reveal().get(5..20), "kinds have nothing in common");
    }
}
