//! Secrets in memory, and the gateway's own tokens in their one format.
//!
//! A token is `dw<kind>_` + 43 characters (base64url of 256 random bits) + 6 characters of checksum
//! (CRC-32 in base64url), so that a typo is refused without a look-up and secret scanners find a leak
//! exactly. Only the SHA-256 of the full text is ever stored.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::fmt;
use std::marker::PhantomData;
use zeroize::Zeroize;

/// A value that cannot be printed, cloned, compared or serialised, and is wiped when dropped.
pub struct Secret<T: Zeroize>(T);

/// A kind of gateway token. The kinds do not mix: each is a type of its own.
pub trait TokenKind {
    /// The prefix with its underscore.
    const PREFIX: &'static str;
}

/// `dwk_`: a static API key, for `/k/...` only.
#[derive(Debug)]
pub enum ApiKey {}
/// `dwat_`: an opaque OAuth access token, for `/s/...` and `/mcp`.
#[derive(Debug)]
pub enum AccessToken {}
/// `dwrt_`: a refresh token, for the token endpoint only; each is of use once.
#[derive(Debug)]
pub enum RefreshToken {}
/// `dwac_`: an authorization code, for the token endpoint only, once and within a minute.
#[derive(Debug)]
pub enum AuthorizationCode {}
/// `dwdc_`: a device code, for the token endpoint only: fetches what a person allows meanwhile, once.
#[derive(Debug)]
pub enum DeviceCode {}
/// `dwl_`: a one-time link with which somebody becomes signed in.
#[derive(Debug)]
pub enum LinkSecret {}
/// `dww_`: the value of a cookie: a browser that is signed in, or that began a request.
#[derive(Debug)]
pub enum BrowserSecret {}

/// `dwcs_`: the secret of a client that registered itself, for the token endpoint.
#[derive(Debug)]
pub enum ClientSecret {}

/// A token that was just minted: shown once, never stored.
pub struct PlainToken<K: TokenKind>(Secret<String>, PhantomData<K>);

/// SHA-256 of a token: what is stored and looked up.
pub struct TokenHash<K: TokenKind>([u8; 32], PhantomData<K>);

/// Why a text is not a token of the kind asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAToken {
    /// It does not begin with the prefix of this kind.
    #[error("another prefix")]
    OtherPrefix,
    /// Wrong length, alphabet or checksum: mistyped or truncated.
    #[error("malformed or mistyped")]
    Malformed,
}

// === impl Secret ===

impl<T: Zeroize> Secret<T> {
    /// Takes a value into keeping.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value. Call sites are listed in the tidy test (T4).
    pub const fn expose(&self) -> &T {
        &self.0
    }
}

impl Secret<String> {
    /// Whether it has so many bytes at least.
    #[must_use]
    pub const fn has_at_least(&self, bytes: usize) -> bool {
        self.0.len() >= bytes
    }
}

impl<T: Zeroize> Drop for Secret<T> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl<T: Zeroize> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

// === impl TokenKind ===

impl TokenKind for ApiKey {
    const PREFIX: &'static str = "dwk_";
}

impl TokenKind for AccessToken {
    const PREFIX: &'static str = "dwat_";
}

impl TokenKind for RefreshToken {
    const PREFIX: &'static str = "dwrt_";
}

impl TokenKind for AuthorizationCode {
    const PREFIX: &'static str = "dwac_";
}

impl TokenKind for DeviceCode {
    const PREFIX: &'static str = "dwdc_";
}

impl TokenKind for LinkSecret {
    const PREFIX: &'static str = "dwl_";
}

impl TokenKind for BrowserSecret {
    const PREFIX: &'static str = "dww_";
}

impl TokenKind for ClientSecret {
    const PREFIX: &'static str = "dwcs_";
}

// === impl PlainToken ===

impl<K: TokenKind> PlainToken<K> {
    /// A new token from 32 random bytes.
    #[must_use]
    pub fn mint(random: &[u8; 32]) -> Self {
        let body = URL_SAFE_NO_PAD.encode(random);
        let mut text = String::with_capacity(K::PREFIX.len() + 49);
        text.push_str(K::PREFIX);
        text.push_str(&body);
        let sum = checksum(text.as_bytes());
        text.push_str(&sum);
        Self(Secret::new(text), PhantomData)
    }

    /// The text, for the one place that shows it to its owner.
    #[must_use]
    pub fn reveal(&self) -> &str {
        self.0.expose()
    }

    /// What may be stored.
    #[must_use]
    pub fn hashed(&self) -> TokenHash<K> {
        TokenHash(sha256(self.0.expose().as_bytes()), PhantomData)
    }
}

impl<K: TokenKind> fmt::Debug for PlainToken<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..", K::PREFIX)
    }
}

// === impl TokenHash ===

impl<K: TokenKind> TokenHash<K> {
    /// Checks prefix, length, alphabet and checksum of a presented text, then digests it.
    ///
    /// # Errors
    /// [`NotAToken`] says whether it was another kind of thing or a mistyped token.
    pub fn of(text: &str) -> Result<Self, NotAToken> {
        let rest = text.strip_prefix(K::PREFIX).ok_or(NotAToken::OtherPrefix)?;
        if rest.len() != 49 {
            return Err(NotAToken::Malformed);
        }
        let (head, sum) = text.split_at_checked(text.len() - 6).ok_or(NotAToken::Malformed)?;
        let body = head.strip_prefix(K::PREFIX).ok_or(NotAToken::Malformed)?;
        URL_SAFE_NO_PAD.decode(body).map_err(|_| NotAToken::Malformed)?;
        if checksum(head.as_bytes()) != sum {
            return Err(NotAToken::Malformed);
        }
        Ok(Self(sha256(text.as_bytes()), PhantomData))
    }

    /// From 32 bytes read back out of the store.
    #[must_use]
    pub const fn from_stored(bytes: [u8; 32]) -> Self {
        Self(bytes, PhantomData)
    }

    /// The digest, for look-up and storage.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl<K: TokenKind> Clone for TokenHash<K> {
    fn clone(&self) -> Self {
        Self(self.0, PhantomData)
    }
}

impl<K: TokenKind> fmt::Debug for TokenHash<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenHash<{}>", K::PREFIX)
    }
}

/// Lower-case hexadecimal digits, two for each byte (RFC 4648 section 8).
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    // Without a branch or a look-up for each digit: every record holds some two hundred.
    let digit = |n: u8| b'0' + n + u8::from(n > 9) * (b'a' - b'9' - 1);
    let mut text = vec![0; bytes.len() * 2];
    for (pair, byte) in text.as_chunks_mut::<2>().0.iter_mut().zip(bytes) {
        *pair = [digit(byte >> 4), digit(byte & 15)];
    }
    String::from_utf8(text).unwrap_or_default()
}

/// SHA-256 (FIPS 180-4).
#[must_use]
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    let mut out = [0u8; 32];
    for (to, from) in out.iter_mut().zip(digest.as_ref()) {
        *to = *from;
    }
    out
}

/// Whether a text has the form of a token with this prefix, checksum and all.
pub(crate) fn is_whole(text: &str, prefix: &str) -> bool {
    let parts = text.strip_prefix(prefix).filter(|rest| rest.len() == 49).and_then(|_| text.split_at_checked(text.len() - 6));
    parts.is_some_and(|(head, sum)| checksum(head.as_bytes()) == sum)
}

/// CRC-32 (IEEE 802.3) as six base64url characters: catches typos, proves nothing.
fn checksum(bytes: &[u8]) -> String {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
        }
    }
    URL_SAFE_NO_PAD.encode((!crc).to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minted_token_is_recognised_and_its_hash_is_stable() {
        let token = PlainToken::<ApiKey>::mint(&[7; 32]);
        assert_eq!(token.reveal().len(), 4 + 49);
        let hash = TokenHash::<ApiKey>::of(token.reveal()).expect("own token");
        assert_eq!(hash.as_bytes(), token.hashed().as_bytes());
    }

    #[test]
    fn rs_09_every_single_character_change_is_noticed() {
        let token = PlainToken::<ApiKey>::mint(&[9; 32]);
        for at in 4..token.reveal().len() {
            let mut bytes = token.reveal().as_bytes().to_vec();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let text = String::from_utf8(bytes).expect("ascii");
            assert_eq!(TokenHash::<ApiKey>::of(&text).err(), Some(NotAToken::Malformed), "at {at}");
        }
    }

    #[test]
    fn rs_09_kinds_do_not_mix() {
        let key = PlainToken::<ApiKey>::mint(&[1; 32]);
        assert_eq!(TokenHash::<AccessToken>::of(key.reveal()).err(), Some(NotAToken::OtherPrefix));
    }

    #[test]
    fn debug_shows_nothing() {
        let token = PlainToken::<AccessToken>::mint(&[3; 32]);
        assert_eq!(format!("{token:?} {:?} {:?}", token.hashed(), Secret::new(String::from("x"))), "dwat_.. TokenHash<dwat_> Secret(..)");
    }
}
