//! Proofs of possession (RFC 9449): a request shows that its sender holds the private key to which a token is bound.
//!
//! A proof is signed for one method and address, now, once, with a nonce of ours; at a server also for one token. The key that it brings
//! along proves nothing by itself: what counts is that it is the key of the token. Whoever believes a proof uses it up in the store
//! ([`Proven::once`]). Must not know the store, headers of answers, or what a token allows.

use super::token::Used;
use crate::json::RawJson;
use crate::oidc::jose::{self, Alg};
use crate::oidc::keys::{self, Key, Usage};
use crate::secret::{Secret, sha256};
use crate::session::sealed::NoKeys;
use crate::time::Timestamp;
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{HeaderMap, HeaderName};
use std::fmt;
use std::time::Duration;
use url::Url;

/// Whether tokens are bound to keys (`tokens.dpop`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Binding {
    /// Never: proofs are not looked at, and what was bound before counts for nothing.
    Off,
    /// For clients that prove a key.
    #[default]
    Optional,
    /// Always: a token that is bound to no key is of no use.
    Required,
}

/// The digest of a public key (RFC 7638): what a token is bound to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Thumbprint([u8; 32]);

/// What stood in the `DPoP` headers of a request, unread. Prints nothing of it.
#[derive(Default)]
pub enum Header {
    /// There is none.
    #[default]
    Absent,
    /// One, at most [`LONGEST`] bytes of visible ASCII.
    One(String),
    /// More than one (RFC 9449 section 4.3 check 1).
    Several,
    /// One that is longer, or no plain text.
    Unfit,
}

/// What a proof has to be for.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The method.
    pub method: &'a str,
    /// The address, under each name that it has, derived from the public root: never what `Host` says.
    pub urls: &'a [&'a str],
    /// The digest of the access token that comes with it; `None` at the token endpoint.
    pub token: Option<&'a [u8; 32]>,
}

/// A proof that is good for this request, if it comes for the first time. Only [`check`] makes one.
#[derive(Debug)]
pub struct Proven {
    key: Thumbprint,
    token: Option<[u8; 32]>,
    name: [u8; 32],
    until: Timestamp,
}

/// The sender of a request holds the key, for this token, and nobody else sent this proof. Only [`Proven::used_up`] makes one.
#[derive(Debug)]
pub struct Possession {
    key: Thumbprint,
    token: [u8; 32],
}

/// Keys of the nonces that proofs have to carry (RFC 9449 sections 8 and 9). Replicas share them, and nothing is stored: a nonce is the MAC
/// of five minutes, good in those and in the five after them.
pub struct Nonces(hmac::Key);

/// Why a proof shows nothing. Nothing of it is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadProof {
    /// It is needed, and there is none.
    Missing,
    /// More than one header.
    Several,
    /// Not three parts of base64url with JSON objects, or longer than [`LONGEST`].
    Form,
    /// It uses something that is not understood and must be: `crit`, `b64`, encryption, compression, a token within.
    Extension,
    /// `typ` is not `dpop+jwt`.
    Kind,
    /// `alg` is none of [`ALGS`].
    Algorithm,
    /// `jwk` is missing, of a type that is not known, or not for this algorithm.
    Key,
    /// `jwk` holds a private key: whoever saw the proof has it.
    Private,
    /// The signature is not that of the key.
    Signature,
    /// `htm` is another method.
    Method,
    /// `htu` is another address, or has a query or fragment.
    Address,
    /// `iat` is missing or no number.
    Time,
    /// It was made more than [`WINDOW`] ago, or will be.
    Stale,
    /// `jti` is missing or too long.
    Id,
    /// `ath` is not the digest of the token.
    Token,
    /// The token, the code or the refresh token is bound to another key.
    OtherKey,
    /// `nonce` is missing, too old or not ours.
    Nonce,
    /// It was used before.
    Replayed,
}

/// The `DPoP` header.
pub const HEADER: HeaderName = HeaderName::from_static("dpop");
/// The header that hands out the next nonce.
pub const NONCE_HEADER: HeaderName = HeaderName::from_static("dpop-nonce");
/// How proofs may be signed: what clients have, all asymmetric. RSA keys have 2,048 bits at least.
pub const ALGS: [Alg; 4] = [Alg::Es256, Alg::EdDsa, Alg::Ps256, Alg::Rs256];
/// The same in one text, for challenges and metadata.
pub const ALG_NAMES: &str = "ES256 EdDSA PS256 RS256";
/// How far `iat` may be from now, in both directions.
pub const WINDOW: Duration = Duration::from_secs(60);
/// Longest proof that is looked at, in bytes: twice what the longest RSA key needs.
pub const LONGEST: usize = 8 * 1024;
/// Under which kind used proofs stand in the store.
pub const ONCE: &str = "dpop proof";
/// How long a nonce is the present one.
pub const NONCE_LIFE: Duration = Duration::from_secs(300);
/// The nonce that is next counts so long before its time: a replica whose clock is ahead gave it out.
const AHEAD: Duration = Duration::from_secs(5);
/// Longest `jti`, in bytes.
const LONGEST_ID: usize = 255;
/// Longest `htu`, in bytes.
const LONGEST_URL: usize = 2_048;
const KIND: &str = "dpop+jwt";
const NONCE_BYTES: usize = 16;

struct Length;

impl KeyType for Length {
    fn len(&self) -> usize {
        32
    }
}

/// Holds a proof against the request that it came with (RFC 9449 section 4.3). The nonce comes last: whoever is told to use one has shown
/// everything else.
///
/// # Errors
/// [`BadProof`].
pub fn check(header: &Header, request: &Request<'_>, nonces: &Nonces, now: Timestamp) -> Result<Proven, BadProof> {
    let text = match header {
        Header::One(text) => text,
        Header::Absent => return Err(BadProof::Missing),
        Header::Several => return Err(BadProof::Several),
        Header::Unfit => return Err(BadProof::Form),
    };
    let (key, claims) = signed(text)?;
    let said = |name: &str| claims.member(name).and_then(|value| value.as_text().map(std::borrow::Cow::into_owned));
    if said("htm").as_deref() != Some(request.method) {
        return Err(BadProof::Method);
    }
    let address = said("htu").and_then(|text| address(&text)).ok_or(BadProof::Address)?;
    if !request.urls.iter().any(|url| Url::parse(url).is_ok_and(|url| url == address)) {
        return Err(BadProof::Address);
    }
    let made = claims.member("iat").and_then(|value| jose::seconds(&value)).ok_or(BadProof::Time)?;
    let (at, window) = (now.as_millis() / 1_000, WINDOW.as_secs());
    if made.abs_diff(at) > window {
        return Err(BadProof::Stale);
    }
    let id = said("jti").filter(|id| (1..=LONGEST_ID).contains(&id.len())).ok_or(BadProof::Id)?;
    if let Some(token) = request.token
        && said("ath").is_none_or(|ath| ath != URL_SAFE_NO_PAD.encode(token))
    {
        return Err(BadProof::Token);
    }
    if !said("nonce").is_some_and(|nonce| nonces.takes(&nonce, now)) {
        return Err(BadProof::Nonce);
    }
    // Ids are those of one key: nobody uses up what another client will send.
    let name = sha256(&[b"doorward dpop proof v1".as_slice(), &key.0, id.as_bytes()].concat());
    let until = Timestamp::from_millis(made.saturating_add(window + 1).saturating_mul(1_000));
    Ok(Proven { key, token: request.token.copied(), name, until })
}

/// The claims of a proof and the key that signed them: the one that it brings along, whatever else its header names.
fn signed(text: &str) -> Result<(Thumbprint, RawJson), BadProof> {
    let mut parts = text.split('.');
    let (Some(head), Some(body), Some(signature), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return Err(BadProof::Form);
    };
    let header = jose::object(head).map_err(|_| BadProof::Form)?;
    let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| BadProof::Form)?;
    if jose::EXTENSIONS.iter().any(|name| header.member(name).is_some()) {
        return Err(BadProof::Extension);
    }
    let said = |name: &str| header.member(name).and_then(|value| value.as_text().map(std::borrow::Cow::into_owned));
    if said("typ").as_deref() != Some(KIND) {
        return Err(BadProof::Kind);
    }
    let alg = said("alg").and_then(|name| Alg::named(&name)).filter(|alg| ALGS.contains(alg)).ok_or(BadProof::Algorithm)?;
    let jwk = header.member("jwk").filter(RawJson::is_object).ok_or(BadProof::Key)?;
    if keys::PRIVATE.iter().chain(&["k"]).any(|member| jwk.member(member).is_some()) {
        return Err(BadProof::Private);
    }
    let key = Key::read(&jwk, Usage::Signatures).filter(|key| key.fits(alg)).ok_or(BadProof::Key)?;
    let message = text.get(..head.len() + 1 + body.len()).ok_or(BadProof::Form)?;
    if !key.verifies(alg, message.as_bytes(), &signature) {
        return Err(BadProof::Signature);
    }
    Ok((Thumbprint(key.thumbprint()), jose::object(body).map_err(|_| BadProof::Form)?))
}

/// An `htu` without query and fragment, in its normal form (RFC 3986 sections 6.2.2 and 6.2.3). Nothing that parsers of URLs mend: what
/// reads in two ways is no address.
fn address(text: &str) -> Option<Url> {
    let plain = |byte: u8| byte.is_ascii_graphic() && !b"\\?#@\"<>^`{|}".contains(&byte);
    let (scheme, rest) = text.split_once("://")?;
    let is_web = scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("http");
    if text.len() > LONGEST_URL || !text.bytes().all(plain) || !is_web || rest.starts_with('/') {
        return None;
    }
    Url::parse(text).ok()
}

// === impl Header ===

impl Header {
    /// Takes every `DPoP` header out of `headers`.
    #[must_use]
    pub fn take(headers: &mut HeaderMap) -> Self {
        let found = Self::of(headers);
        headers.remove(HEADER);
        found
    }

    /// What stands in `headers`.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Self {
        let mut values = headers.get_all(HEADER).iter();
        match (values.next(), values.next()) {
            (None, _) => Self::Absent,
            (Some(_), Some(_)) => Self::Several,
            (Some(one), None) if one.len() > LONGEST => Self::Unfit,
            (Some(one), None) => one.to_str().map_or(Self::Unfit, |text| Self::One(text.to_owned())),
        }
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }
}

impl fmt::Debug for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Absent => "Absent",
            Self::One(_) => "One(..)",
            Self::Several => "Several",
            Self::Unfit => "Unfit",
        })
    }
}

// === impl Proven ===

impl Proven {
    /// The key that signed it.
    #[must_use]
    pub const fn key(&self) -> Thumbprint {
        self.key
    }

    /// Names the proof among all of all keys, and says until when it has to be remembered.
    #[must_use]
    pub const fn once(&self) -> (&[u8; 32], Timestamp) {
        (&self.name, self.until)
    }

    /// What the store's word makes of it, at a server.
    ///
    /// # Errors
    /// [`BadProof::Replayed`]; [`BadProof::Token`] for one that was held against no token.
    pub fn used_up(self, used: Used) -> Result<Possession, BadProof> {
        match (used, self.token) {
            (Used::Never, Some(token)) => Ok(Possession { key: self.key, token }),
            (Used::Never, None) => Err(BadProof::Token),
            (Used::Before, _) => Err(BadProof::Replayed),
        }
    }
}

// === impl Possession ===

impl Possession {
    /// Whether it is of this key, for the token of this digest.
    #[must_use]
    pub fn is_of(self, key: &Thumbprint, token: &[u8; 32]) -> bool {
        self.key == *key && self.token == *token
    }
}

// === impl Thumbprint ===

impl Thumbprint {
    /// Reads 43 characters of base64url (`dpop_jkt`, RFC 9449 section 10), in the one spelling that they have.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes: [u8; 32] = URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?;
        (URL_SAFE_NO_PAD.encode(bytes) == text).then_some(Self(bytes))
    }

    /// Of a column of the store.
    #[must_use]
    pub const fn from_stored(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// For a column of the store.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Thumbprint({self})")
    }
}

// === impl Nonces ===

impl Nonces {
    /// Derives the key from the installation's sealing key (HKDF-SHA-256, RFC 5869).
    ///
    /// # Errors
    /// [`NoKeys`].
    pub fn derive(master: &Secret<[u8; 32]>) -> Result<Self, NoKeys> {
        let prk = Salt::new(HKDF_SHA256, b"doorward dpop nonce v1").extract(master.expose());
        let mut bytes = zeroize::Zeroizing::new([0u8; 32]);
        prk.expand(&[b"nonce".as_slice()], Length).and_then(|okm| okm.fill(&mut *bytes)).map_err(|_| NoKeys)?;
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, &*bytes)))
    }

    /// The present nonce.
    #[must_use]
    pub fn current(&self, now: Timestamp) -> String {
        let window = now.as_millis() / u64::try_from(NONCE_LIFE.as_millis()).unwrap_or(u64::MAX);
        let mac = hmac::sign(&self.0, &window.to_be_bytes());
        URL_SAFE_NO_PAD.encode(mac.as_ref().get(..NONCE_BYTES).unwrap_or_default())
    }

    /// The present one, the one before, and shortly before its time the next.
    fn takes(&self, nonce: &str, now: Timestamp) -> bool {
        let is = |at: Timestamp| aws_lc_rs::constant_time::verify_slices_are_equal(self.current(at).as_bytes(), nonce.as_bytes()).is_ok();
        is(now) || is(now.before(NONCE_LIFE)) || is(now.after(AHEAD))
    }
}

impl fmt::Debug for Nonces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Nonces(..)")
    }
}

// === impl BadProof ===

impl BadProof {
    /// `error` of a challenge or of the token endpoint (RFC 9449 sections 5, 7.1, 8 and 9).
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Nonce => "use_dpop_nonce",
            Self::OtherKey => "invalid_token",
            _ => "invalid_dpop_proof",
        }
    }

    /// Stable id for the record and the documentation.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Missing => "dpop_missing",
            Self::Several => "dpop_several",
            Self::Form | Self::Extension | Self::Kind => "dpop_malformed",
            Self::Algorithm => "dpop_algorithm",
            Self::Key => "dpop_key",
            Self::Private => "dpop_private_key",
            Self::Signature => "dpop_signature",
            Self::Method => "dpop_method",
            Self::Address => "dpop_address",
            Self::Time | Self::Stale => "dpop_time",
            Self::Id => "dpop_id",
            Self::Token => "dpop_token",
            Self::OtherKey => "dpop_other_key",
            Self::Nonce => "dpop_nonce",
            Self::Replayed => "dpop_replayed",
        }
    }

    /// For developers: it is about a text that they made, and nothing in it is secret. Plain ASCII without quotes.
    #[must_use]
    pub const fn description(self) -> &'static str {
        match self {
            Self::Missing => "a DPoP proof is needed",
            Self::Several => "send one DPoP header",
            Self::Form => "the DPoP proof is no signed JWT in compact form",
            Self::Extension => "the DPoP proof uses extensions that are not understood here",
            Self::Kind => "the DPoP proof: typ has to be dpop+jwt",
            Self::Algorithm => "the DPoP proof: its algorithm is not served",
            Self::Key => "the DPoP proof: jwk is missing, or not a key for its algorithm",
            Self::Private => "the DPoP proof holds a private key; do not use that key any more",
            Self::Signature => "the DPoP proof: its signature is wrong",
            Self::Method => "the DPoP proof: htm is not the method of this request",
            Self::Address => "the DPoP proof: htu is not the public address of this request without query and fragment",
            Self::Time => "the DPoP proof: iat is missing or no number",
            Self::Stale => "the DPoP proof: iat is more than 60 seconds from now",
            Self::Id => "the DPoP proof: jti is missing or longer than 255 bytes",
            Self::Token => "the DPoP proof: ath is not the digest of the access token",
            Self::OtherKey => "the token is bound to another key",
            Self::Nonce => "send the proof again with the nonce of the DPoP-Nonce header",
            Self::Replayed => "the DPoP proof was used before",
        }
    }
}

// === impl Binding ===

impl Binding {
    /// Its name in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Optional => "optional",
            Self::Required => "required",
        }
    }
}

#[cfg(test)]
mod tests;
