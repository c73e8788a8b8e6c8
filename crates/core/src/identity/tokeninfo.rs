//! Opaque access tokens of Google, and what Google says of one (`credentials.md` 5.4). Nothing of such a token can be read here: its owner is
//! who Google's tokeninfo endpoint says, for a client of ours, with an address that Google has verified.
//!
//! The token is a live credential of its owner at Google. It leaves in one [`Question`], to the endpoint that the rule is for, and nowhere else.
//! Must not know how that is asked.

use super::foreign::{ForeignKind, recognise};
use super::issuer::{Carrier, IssuerKind, IssuerRule};
use super::presented::Presented;
use crate::json::RawJson;
use crate::oauth::form::encoded;
use crate::secret::{Secret, sha256};
use crate::time::Timestamp;
use bytes::Bytes;

/// The form in which Google is asked about one token.
#[derive(Debug)]
pub struct Question {
    form: Secret<String>,
    digest: [u8; 32],
}

/// What Google says of one token. Only [`Question::answered`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    digest: [u8; 32],
    /// The OAuth client that it was given to.
    pub(super) client: String,
    pub(super) subject: Option<String>,
    /// Verified, in small letters.
    pub(super) email: Option<String>,
    pub(super) domain: Option<String>,
    pub(super) expires: Timestamp,
}

/// Why an answer says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Untold {
    /// It is no JSON object, or says something twice.
    Unreadable,
    /// The token was given to a client that is not one of the rule.
    Client,
    /// It does not say until when the token is good.
    Times,
}

/// Such tokens are a few hundred bytes; Google promises at most 2,048.
const LONGEST: usize = 2_048;
const DEPTH: usize = 4;
/// Seconds have ten digits for a while.
const DIGITS: usize = 12;

/// Whether a token looks like one of these: only such are asked about.
pub(super) fn is_opaque(token: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    token.len() <= LONGEST && token.starts_with("ya29.") && recognise(token) == Some(ForeignKind::Google) && token.bytes().all(plain)
}

// === impl Question ===

impl Question {
    /// About the token of a request, where the rule is for such and it looks like one.
    #[must_use]
    pub fn about(presented: &Presented, rule: &IssuerRule) -> Option<Self> {
        let token = presented.token(Carrier::Authorization).filter(|_| rule.kind == IssuerKind::GoogleAccessToken)?;
        let form = Secret::new(format!("access_token={}", encoded(token)));
        is_opaque(token).then(|| Self { form, digest: sha256(token.as_bytes()) })
    }

    /// What is sent, as a form and never in an address.
    #[must_use]
    pub const fn form(&self) -> &Secret<String> {
        &self.form
    }

    /// By what its answer is known again.
    #[must_use]
    pub const fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// Reads the answer. Its values are texts, numbers and truth among them; what is anything else counts as missing.
    ///
    /// # Errors
    /// [`Untold`].
    pub fn answered(&self, body: &Bytes, rule: &IssuerRule) -> Result<Told, Untold> {
        let said = RawJson::parse(body, DEPTH).ok().filter(RawJson::is_object).ok_or(Untold::Unreadable)?;
        let text = |name: &str| said.member(name).and_then(|value| value.as_text().map(std::borrow::Cow::into_owned));
        let client = text("aud").filter(|client| rule.clients.contains(client)).ok_or(Untold::Client)?;
        // Whoever holds it, where that is somebody else.
        if said.member("azp").is_some() && !text("azp").is_some_and(|azp| rule.clients.contains(&azp)) {
            return Err(Untold::Client);
        }
        let digits = |text: &String| (1..=DIGITS).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        let exp: u64 = text("exp").filter(digits).and_then(|exp| exp.parse().ok()).ok_or(Untold::Times)?;
        let email = text("email").filter(|_| text("email_verified").as_deref() == Some("true")).map(|email| email.to_ascii_lowercase());
        let expires = Timestamp::from_millis(exp.saturating_mul(1_000));
        Ok(Told { digest: self.digest, client, subject: text("sub"), email, domain: text("hd"), expires })
    }
}

// === impl Told ===

impl Told {
    /// Whether it is about this token.
    pub(super) fn is_about(&self, presented: &Presented) -> bool {
        presented.digest(Carrier::Authorization) == Some(self.digest)
    }

    /// Whether the token is over.
    #[must_use]
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.expires <= now
    }
}
