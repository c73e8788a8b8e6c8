//! A client that proves a key (RFC 9449): its proofs, right until a test tells it otherwise.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

/// A key on P-256 whose proofs each have an id of their own.
#[derive(Debug)]
pub struct Prover {
    key: EcdsaKeyPair,
    shown: AtomicU64,
}

impl Prover {
    /// A new key.
    ///
    /// # Errors
    /// Without randomness.
    pub fn new() -> io::Result<Self> {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(|_| io::Error::other("no key"))?;
        Ok(Self { key, shown: AtomicU64::new(0) })
    }

    /// The public half (RFC 7517).
    #[must_use]
    pub fn jwk(&self) -> Value {
        let (x, y) = self.point();
        json!({"kty": "EC", "crv": "P-256", "x": x, "y": y})
    }

    fn point(&self) -> (String, String) {
        let point = self.key.public_key().as_ref();
        let half = |range| b64(point.get(range).unwrap_or_default());
        (half(1..33), half(33..65))
    }

    /// Its digest (RFC 7638).
    #[must_use]
    pub fn thumbprint(&self) -> String {
        let (x, y) = self.point();
        let text = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
        b64(digest(&SHA256, text.as_bytes()).as_ref())
    }

    /// The header of its proofs.
    #[must_use]
    pub fn header(&self) -> Value {
        json!({"typ": "dpop+jwt", "alg": "ES256", "jwk": self.jwk()})
    }

    /// What a proof claims for a request at this second.
    pub fn claims(&self, method: &str, url: &str, second: u64) -> Value {
        let id = format!("proof {}", self.shown.fetch_add(1, Ordering::Relaxed));
        json!({"jti": id, "htm": method, "htu": url, "iat": second})
    }

    /// What `ath` is of a token.
    #[must_use]
    pub fn digest_of(token: &str) -> String {
        b64(digest(&SHA256, token.as_bytes()).as_ref())
    }

    /// A proof with this header and these claims, signed by its key.
    #[must_use]
    pub fn sign(&self, header: &Value, claims: &Value) -> String {
        let message = format!("{}.{}", b64(header.to_string().as_bytes()), b64(claims.to_string().as_bytes()));
        let signature = self.key.sign(&SystemRandom::new(), message.as_bytes());
        format!("{message}.{}", b64(signature.as_ref().map(AsRef::as_ref).unwrap_or_default()))
    }
}

fn b64(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
