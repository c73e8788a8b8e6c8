//! Signed tokens: JWS in its compact form (RFC 7515), with the algorithms of the configuration and keys of the issuer only.
//!
//! What a token says of itself chooses nothing: its `alg` has to be one of the configured, its `kid` has to name one key of the right
//! type in the set that was read from the issuer, and `jku`, `jwk`, `x5u` and `x5c` are never looked at (RFC 8725 sections 3.1, 3.5 and
//! 3.10; attack RS-02). There is no way to write `none` or an HMAC here. Must not know claims.

use super::keys::{KeySet, NoKey};
use crate::json::RawJson;
use aws_lc_rs::digest::{self, SHA256, SHA384, SHA512};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use std::fmt;

/// A signature algorithm that can be configured. All are asymmetric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Alg {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// The same with SHA-384.
    Rs384,
    /// The same with SHA-512.
    Rs512,
    /// RSASSA-PSS with SHA-256.
    Ps256,
    /// The same with SHA-384.
    Ps384,
    /// The same with SHA-512.
    Ps512,
    /// ECDSA on P-256.
    Es256,
    /// ECDSA on P-384.
    Es384,
    /// ECDSA on P-521.
    Es512,
    /// Ed25519 (RFC 8037).
    EdDsa,
}

/// The payload of a token that a key of the issuer has signed. Only [`verify`] makes one.
#[derive(Debug)]
pub struct Signed {
    payload: RawJson,
    alg: Alg,
}

/// Why a token is not one of the issuer. Nothing of the token is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadToken {
    /// Longer than [`LONGEST`], or not three parts of base64url with a JSON object in the first two.
    #[error("it is no signed token")]
    Form,
    /// It uses something that is not understood and must be: `crit`, `b64`, encryption, compression, a token within.
    #[error("it uses extensions that are not understood")]
    Extension,
    /// `typ` says that it is another kind of token.
    #[error("it is another kind of token")]
    Kind,
    /// `alg` is not one of those that were configured.
    #[error("its algorithm is not one of those that are configured")]
    Algorithm,
    /// No key of the issuer fits, or more than one.
    #[error("no key: {0}")]
    Key(NoKey),
    /// The signature is not that of the key.
    #[error("its signature is wrong")]
    Signature,
}

/// Longest token that is looked at, in bytes.
pub const LONGEST: usize = 16 * 1024;
/// Nesting of headers and claims.
const DEPTH: usize = 16;
/// Members of a header that change what the token is, and that nothing here understands.
pub(crate) const EXTENSIONS: [&str; 5] = ["crit", "b64", "zip", "enc", "cty"];

/// Holds a token against the keys of its issuer.
///
/// # Errors
/// [`BadToken`].
pub fn verify(token: &str, keys: &KeySet, algs: &[Alg]) -> Result<Signed, BadToken> {
    verify_as(token, keys, algs, &[])
}

/// The same of a token of one of these kinds: what `typ` may say, lower case and without `application/`. Without any it says `JWT` or
/// nothing; with some it has to say one of them (RFC 8725 section 3.11).
///
/// # Errors
/// [`BadToken`].
pub fn verify_as(token: &str, keys: &KeySet, algs: &[Alg], kinds: &[&str]) -> Result<Signed, BadToken> {
    let mut parts = token.split('.');
    let (Some(head), Some(body), Some(signature), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return Err(BadToken::Form);
    };
    if token.len() > LONGEST {
        return Err(BadToken::Form);
    }
    let header = object(head)?;
    let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| BadToken::Form)?;
    let text = |name: &str| match header.member(name) {
        None => Ok(None),
        Some(value) => value.as_text().map(|text| Some(text.into_owned())).ok_or(BadToken::Form),
    };
    if EXTENSIONS.iter().any(|name| header.member(name).is_some()) {
        return Err(BadToken::Extension);
    }
    // `application/` may be left out, and case does not count (RFC 7515 section 4.1.9).
    let kind = text("typ")?.map(|kind| kind.to_ascii_lowercase());
    let kind = kind.as_deref().map(|kind| kind.strip_prefix("application/").unwrap_or(kind));
    let is_wanted = if kinds.is_empty() { kind.is_none_or(|kind| kind == "jwt") } else { kind.is_some_and(|kind| kinds.contains(&kind)) };
    if !is_wanted {
        return Err(BadToken::Kind);
    }
    let alg = text("alg")?.and_then(|name| Alg::named(&name)).filter(|alg| algs.contains(alg)).ok_or(BadToken::Algorithm)?;
    let key = keys.key(alg, text("kid")?.as_deref()).map_err(BadToken::Key)?;
    let message = token.get(..head.len() + 1 + body.len()).ok_or(BadToken::Form)?;
    if !key.verifies(alg, message.as_bytes(), &signature) {
        return Err(BadToken::Signature);
    }
    Ok(Signed { payload: object(body)?, alg })
}

/// What a token says that it is (`typ`), lower case and without `application/`: to choose who judges it, and for nothing else.
#[must_use]
pub fn claimed_kind(token: &str) -> Option<String> {
    let header = token.split('.').next().filter(|_| token.len() <= LONGEST).and_then(|head| object(head).ok())?;
    let kind = header.member("typ")?.as_text()?.to_ascii_lowercase();
    Some(kind.strip_prefix("application/").map(str::to_owned).unwrap_or(kind))
}

/// The JSON object in a part. Strict: no duplicate keys, one document.
pub(crate) fn object(part: &str) -> Result<RawJson, BadToken> {
    let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|_| BadToken::Form)?;
    RawJson::parse(&Bytes::from(bytes), DEPTH).ok().filter(RawJson::is_object).ok_or(BadToken::Form)
}

/// A `NumericDate` (RFC 7519 section 2) without sign and exponent, whole seconds of it.
pub(crate) fn seconds(value: &RawJson) -> Option<u64> {
    let text = std::str::from_utf8(value.as_bytes()).ok()?;
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str, most: usize| (1..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits(whole, 12) && digits(part, 12) { whole.parse().ok() } else { None }
}

// === impl Signed ===

impl Signed {
    /// The claims.
    #[must_use]
    pub const fn payload(&self) -> &RawJson {
        &self.payload
    }

    /// The algorithm that it was signed with.
    #[must_use]
    pub const fn alg(&self) -> Alg {
        self.alg
    }
}

// === impl Alg ===

impl Alg {
    /// Every algorithm.
    pub const ALL: [Self; 10] =
        [Self::Rs256, Self::Rs384, Self::Rs512, Self::Ps256, Self::Ps384, Self::Ps512, Self::Es256, Self::Es384, Self::Es512, Self::EdDsa];

    /// The algorithm of a name, byte for byte.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|alg| alg.as_str() == name)
    }

    /// Its name (RFC 7518 section 3.1).
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::Es512 => "ES512",
            Self::EdDsa => "EdDSA",
        }
    }

    /// The left half of the digest of `text` in base64url, as `at_hash` holds it (OpenID Connect Core section 3.1.3.6).
    #[must_use]
    pub fn half_digest(self, text: &str) -> String {
        let algorithm = match self {
            Self::Rs256 | Self::Ps256 | Self::Es256 => &SHA256,
            Self::Rs384 | Self::Ps384 | Self::Es384 => &SHA384,
            Self::Rs512 | Self::Ps512 | Self::Es512 | Self::EdDsa => &SHA512,
        };
        let whole = digest::digest(algorithm, text.as_bytes());
        let half = whole.as_ref().get(..whole.as_ref().len() / 2).unwrap_or_default();
        URL_SAFE_NO_PAD.encode(half)
    }
}

impl fmt::Display for Alg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
