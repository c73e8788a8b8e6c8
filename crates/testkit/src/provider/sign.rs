//! The key of a provider or of a client, and everything that can be wrong with a signature.

use super::Signature;
use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use std::io;

/// An RSA key with its id.
#[derive(Debug)]
pub struct Signer {
    key: KeyPair,
    id: String,
}

impl Signer {
    /// A new key under this id.
    ///
    /// # Errors
    /// Without randomness.
    pub fn new(id: &str) -> io::Result<Self> {
        let key = KeyPair::generate(KeySize::Rsa2048).map_err(|_| io::Error::other("no key"))?;
        Ok(Self { key, id: id.to_owned() })
    }

    /// Its `kid`.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The public half (RFC 7517).
    #[must_use]
    pub fn jwk(&self) -> Value {
        let (modulus, exponent) = self.components();
        json!({"kty": "RSA", "kid": self.id, "use": "sig", "alg": "RS256", "n": b64(&modulus), "e": b64(&exponent)})
    }

    /// A JWT with these claims.
    #[must_use]
    pub fn sign(&self, how: Signature, claims: &Value) -> String {
        let header = match how {
            Signature::Right | Signature::ForeignKey => json!({"alg": "RS256", "kid": self.id, "typ": "JWT"}),
            Signature::None => json!({"alg": "none", "kid": self.id}),
            Signature::PublicKeyAsSecret => json!({"alg": "HS256", "kid": self.id}),
            Signature::ForeignId => json!({"alg": "RS256", "kid": "another"}),
            Signature::OwnKey => json!({"alg": "RS256", "kid": self.id, "jwk": self.jwk()}),
        };
        let message = format!("{}.{}", b64(header.to_string().as_bytes()), b64(claims.to_string().as_bytes()));
        let signature = match how {
            Signature::Right | Signature::ForeignId => signature(&self.key, &message),
            Signature::None => Vec::new(),
            Signature::PublicKeyAsSecret => {
                let key = hmac::Key::new(hmac::HMAC_SHA256, self.jwk().to_string().as_bytes());
                hmac::sign(&key, message.as_bytes()).as_ref().to_vec()
            }
            Signature::ForeignKey | Signature::OwnKey => {
                KeyPair::generate(KeySize::Rsa2048).map_or_else(|_| Vec::new(), |foreign| signature(&foreign, &message))
            }
        };
        format!("{message}.{}", b64(&signature))
    }

    /// A JWT of this kind (`typ`) with these claims.
    #[must_use]
    pub fn sign_kind(&self, kind: &str, claims: &Value) -> String {
        let header = json!({"alg": "RS256", "kid": self.id, "typ": kind});
        let message = format!("{}.{}", b64(header.to_string().as_bytes()), b64(claims.to_string().as_bytes()));
        format!("{message}.{}", b64(&signature(&self.key, &message)))
    }

    /// Whether a JWT is signed by this key.
    #[must_use]
    pub fn verifies(&self, token: &str) -> bool {
        let Some((message, signature)) = token.rsplit_once('.') else { return false };
        let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, self.key.public_key().as_ref());
        URL_SAFE_NO_PAD.decode(signature).is_ok_and(|signature| key.verify(message.as_bytes(), &signature).is_ok())
    }

    /// The private half, as a credential file of Google has it: PKCS#8 in PEM.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn pem(&self) -> io::Result<String> {
        let der: Pkcs8V1Der<'_> = self.key.as_der().map_err(|_| io::Error::other("the key cannot be written"))?;
        let text = STANDARD.encode(der.as_ref());
        let mut lines: Vec<&str> = Vec::new();
        let mut rest = text.as_str();
        while let Some((line, more)) = rest.split_at_checked(64) {
            lines.push(line);
            rest = more;
        }
        lines.push(rest);
        Ok(format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n")))
    }

    /// Modulus and exponent out of the DER of `RSAPublicKey` (RFC 8017, appendix A.1.1).
    fn components(&self) -> (Vec<u8>, Vec<u8>) {
        let der = self.key.public_key().as_ref();
        let (modulus, rest) = integer(der.get(4..).unwrap_or_default());
        (modulus, integer(rest).0)
    }
}

fn signature(key: &KeyPair, message: &str) -> Vec<u8> {
    let mut signature = vec![0; key.public_modulus_len()];
    match key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message.as_bytes(), &mut signature) {
        Ok(()) => signature,
        Err(_) => Vec::new(),
    }
}

fn integer(der: &[u8]) -> (Vec<u8>, &[u8]) {
    let (length, at) = match der {
        [_, 0x82, high, low, ..] => (usize::from(*high) << 8 | usize::from(*low), 4),
        [_, short, ..] => (usize::from(*short), 2),
        _ => (0, 0),
    };
    let bytes = der.get(at..at + length).unwrap_or_default();
    (bytes.iter().copied().skip_while(|byte| *byte == 0).collect(), der.get(at + length..).unwrap_or_default())
}

fn b64(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
