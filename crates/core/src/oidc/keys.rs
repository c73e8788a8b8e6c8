//! The keys of an issuer: a JWK set (RFC 7517) as it was read from the address in its metadata.
//!
//! Keys that are of no use here (symmetric ones, those for encryption, unknown types) are left out, as RFC 7517 section 5 wants; a set
//! without one usable key is no set. A private key in it is a reason to believe none of it. Must not know tokens.

use super::jose::Alg;
use crate::json::RawJson;
use crate::secret::sha256;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512,
    RsaParameters, RsaPublicKeyComponents, VerificationAlgorithm,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use std::fmt;

/// The usable keys of an issuer, at least one.
#[derive(Debug)]
pub struct KeySet {
    keys: Vec<Key>,
}

/// One public key.
pub struct Key {
    kid: Option<String>,
    alg: Option<Alg>,
    material: Material,
}

enum Material {
    Rsa {
        modulus: Vec<u8>,
        exponent: Vec<u8>,
    },
    /// The curve by its algorithm, and the point, uncompressed.
    Curve(Alg, Vec<u8>),
}

/// What keys are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Usage {
    /// Signatures: `use` says `sig` or nothing (RFC 7517 section 4.2).
    Signatures,
    /// JWT-SVIDs in a SPIFFE bundle: `use` says `jwt-svid` (SPIFFE Trust Domain and Bundle section 4.2.2).
    JwtSvid,
}

/// Why a text is no set of keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadKeys {
    /// Not a JSON object with a list `keys`.
    #[error("it is not a set of keys")]
    Form,
    /// More than [`MOST`] keys.
    #[error("it holds too many keys")]
    TooMany,
    /// No key in it can verify anything.
    #[error("it holds no key that could be used")]
    Empty,
    /// A key in it is private: whoever can read the set can sign.
    #[error("it holds a private key")]
    Private,
}

/// Why there is no key for a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoKey {
    /// None has this id and type. The issuer may have a new one.
    #[error("none of the issuer's keys has this id")]
    Unknown,
    /// Several could be meant.
    #[error("several of the issuer's keys could be meant")]
    Ambiguous,
}

/// Keys in one set.
pub const MOST: usize = 100;
/// Longest `kid` that is looked at.
const LONGEST_KID: usize = 1024;
const DEPTH: usize = 16;
/// Members of private keys (RFC 7518 sections 6.2.2 and 6.3.2).
pub(crate) const PRIVATE: [&str; 7] = ["d", "p", "q", "dp", "dq", "qi", "oth"];

// === impl KeySet ===

impl KeySet {
    /// Reads a set.
    ///
    /// # Errors
    /// [`BadKeys`].
    pub fn parse(text: &Bytes) -> Result<Self, BadKeys> {
        Self::parse_of(text, Usage::Signatures)
    }

    /// Reads the keys of a set that are for this use.
    ///
    /// # Errors
    /// [`BadKeys`].
    pub fn parse_of(text: &Bytes, usage: Usage) -> Result<Self, BadKeys> {
        let whole = RawJson::parse(text, DEPTH).map_err(|_| BadKeys::Form)?;
        let listed = whole.member("keys").and_then(|keys| keys.elements()).ok_or(BadKeys::Form)?;
        if listed.len() > MOST {
            return Err(BadKeys::TooMany);
        }
        if listed.iter().any(|key| PRIVATE.iter().any(|member| key.member(member).is_some())) {
            return Err(BadKeys::Private);
        }
        let keys: Vec<Key> = listed.iter().filter_map(|key| Key::read(key, usage)).collect();
        if keys.is_empty() { Err(BadKeys::Empty) } else { Ok(Self { keys }) }
    }

    /// The one key for a token: of the type that `alg` needs, not meant for another algorithm, and with its `kid`. Without a `kid` only
    /// if there is one such key alone (OpenID Connect Core section 10.1).
    ///
    /// # Errors
    /// [`NoKey`].
    pub fn key(&self, alg: Alg, kid: Option<&str>) -> Result<&Key, NoKey> {
        let mut fitting = self.keys.iter().filter(|key| key.fits(alg) && (kid.is_none() || key.kid.as_deref() == kid));
        match (fitting.next(), fitting.next()) {
            (Some(key), None) => Ok(key),
            (Some(_), Some(_)) => Err(NoKey::Ambiguous),
            (None, _) => Err(NoKey::Unknown),
        }
    }

    /// How many keys can be used.
    #[must_use]
    pub fn count(&self) -> usize {
        self.keys.len()
    }
}

// === impl Key ===

impl Key {
    /// Reads one key for this use. Of what is of no use here there is none.
    pub(crate) fn read(jwk: &RawJson, of: Usage) -> Option<Self> {
        let text = |name: &str| jwk.member(name).and_then(|value| value.as_text().map(std::borrow::Cow::into_owned));
        let bytes = |name: &str| text(name).and_then(|text| URL_SAFE_NO_PAD.decode(text).ok()).filter(|bytes| !bytes.is_empty());
        // What is there in a form of its own is not what it seems to be: the key is left out.
        let said = |name: &str| match (jwk.member(name), text(name)) {
            (None, _) => Some(None),
            (Some(_), Some(text)) => Some(Some(text)),
            (Some(_), None) => None,
        };
        let is_for = match of {
            Usage::Signatures => said("use")?.is_none_or(|usage| usage == "sig"),
            Usage::JwtSvid => said("use")?.is_some_and(|usage| usage == "jwt-svid"),
        };
        if !is_for {
            return None;
        }
        if let Some(operations) = jwk.member("key_ops")
            && !operations.elements()?.iter().any(|operation| operation.as_text().as_deref() == Some("verify"))
        {
            return None;
        }
        let kid = said("kid")?;
        if kid.as_ref().is_some_and(|kid| kid.len() > LONGEST_KID) {
            return None;
        }
        let alg = match said("alg")? {
            None => None,
            Some(name) => Some(Alg::named(&name)?),
        };
        let material = match (text("kty")?.as_str(), text("crv").as_deref()) {
            ("RSA", None) => {
                let (modulus, exponent) = (bytes("n")?, bytes("e")?);
                let fits = (256..=1024).contains(&modulus.len())
                    && exponent.len() <= 8
                    && !modulus.starts_with(&[0])
                    && !exponent.starts_with(&[0]);
                fits.then_some(Material::Rsa { modulus, exponent })?
            }
            ("EC", Some("P-256")) => Material::Curve(Alg::Es256, point(&bytes("x")?, &bytes("y")?, 32)?),
            ("EC", Some("P-384")) => Material::Curve(Alg::Es384, point(&bytes("x")?, &bytes("y")?, 48)?),
            ("EC", Some("P-521")) => Material::Curve(Alg::Es512, point(&bytes("x")?, &bytes("y")?, 66)?),
            ("OKP", Some("Ed25519")) => Material::Curve(Alg::EdDsa, bytes("x").filter(|x| x.len() == 32)?),
            _ => return None,
        };
        let key = Self { kid, alg, material };
        // A key that names an algorithm which it cannot do is none.
        alg.is_none_or(|alg| key.can(alg)).then_some(key)
    }

    /// Whether it is a key for this algorithm, and not meant for another.
    pub(crate) fn fits(&self, alg: Alg) -> bool {
        self.can(alg) && self.alg.is_none_or(|own| own == alg)
    }

    fn can(&self, alg: Alg) -> bool {
        match &self.material {
            Material::Rsa { .. } => parameters(alg).is_some(),
            Material::Curve(own, _) => *own == alg,
        }
    }

    /// SHA-256 of the members that make the key, in order and without white space (RFC 7638 section 3): one for each key, however it was
    /// written.
    pub(crate) fn thumbprint(&self) -> [u8; 32] {
        let coded = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let text = match &self.material {
            Material::Rsa { modulus, exponent } => format!(r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#, coded(exponent), coded(modulus)),
            Material::Curve(Alg::EdDsa, x) => format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, coded(x)),
            Material::Curve(alg, point) => {
                let name = match alg {
                    Alg::Es384 => "P-384",
                    Alg::Es512 => "P-521",
                    _ => "P-256",
                };
                // Uncompressed: 4, then both coordinates at their full length.
                let (x, y) = point.get(1..).and_then(|both| both.split_at_checked(both.len() / 2)).unwrap_or_default();
                format!(r#"{{"crv":"{name}","kty":"EC","x":"{}","y":"{}"}}"#, coded(x), coded(y))
            }
        };
        sha256(text.as_bytes())
    }

    /// Whether `signature` over `message` is of this key.
    #[must_use]
    pub fn verifies(&self, alg: Alg, message: &[u8], signature: &[u8]) -> bool {
        if !self.fits(alg) {
            return false;
        }
        match &self.material {
            Material::Rsa { modulus, exponent } => {
                let key = RsaPublicKeyComponents { n: modulus, e: exponent };
                parameters(alg).is_some_and(|parameters| key.verify(parameters, message, signature).is_ok())
            }
            Material::Curve(_, point) => curve(alg)
                .and_then(|algorithm| ParsedPublicKey::new(algorithm, point).ok())
                .is_some_and(|key| key.verify_sig(message, signature).is_ok()),
        }
    }
}

/// The key alone: what it is for.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("kid", &self.kid).field("alg", &self.alg).finish_non_exhaustive()
    }
}

const fn parameters(alg: Alg) -> Option<&'static RsaParameters> {
    Some(match alg {
        Alg::Rs256 => &RSA_PKCS1_2048_8192_SHA256,
        Alg::Rs384 => &RSA_PKCS1_2048_8192_SHA384,
        Alg::Rs512 => &RSA_PKCS1_2048_8192_SHA512,
        Alg::Ps256 => &RSA_PSS_2048_8192_SHA256,
        Alg::Ps384 => &RSA_PSS_2048_8192_SHA384,
        Alg::Ps512 => &RSA_PSS_2048_8192_SHA512,
        Alg::Es256 | Alg::Es384 | Alg::Es512 | Alg::EdDsa => return None,
    })
}

fn curve(alg: Alg) -> Option<&'static dyn VerificationAlgorithm> {
    Some(match alg {
        Alg::Es256 => &ECDSA_P256_SHA256_FIXED,
        Alg::Es384 => &ECDSA_P384_SHA384_FIXED,
        Alg::Es512 => &ECDSA_P521_SHA512_FIXED,
        Alg::EdDsa => &ED25519,
        _ => return None,
    })
}

/// An uncompressed point (SEC 1 section 2.3.3). That it lies on its curve the library checks.
fn point(x: &[u8], y: &[u8], length: usize) -> Option<Vec<u8>> {
    (x.len() == length && y.len() == length).then(|| [&[4], x, y].concat())
}
