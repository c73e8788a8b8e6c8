//! The key of a service account, and the JWTs that it signs: RS256 alone (credentials 9.2).
//!
//! The key comes out of a file that anybody may have written, so it is read strictly: one PEM block of PKCS#8, of bounded size, an RSA
//! key of at least 2,048 bits.

use super::{Account, Scopes};
use crate::json::write::ObjectWriter;
use crate::secret::Secret;
use crate::time::Timestamp;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::RSA_PKCS1_SHA256;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use std::fmt;
use std::time::Duration;
use zeroize::Zeroize as _;

/// A private key that signs.
pub struct Key {
    pair: KeyPair,
    /// `private_key_id`, which becomes `kid`.
    id: Option<String>,
}

/// What an assertion is for.
#[derive(Debug, Clone, Copy)]
pub enum Purpose<'a> {
    /// To be exchanged at a token endpoint for an access token with these scopes.
    Access {
        /// The token endpoint.
        audience: &'a str,
        /// The scopes.
        scopes: &'a Scopes,
        /// The person of the domain to act as (domain-wide delegation, 9.5); absent for the account itself.
        subject: Option<&'a str>,
    },
    /// To be exchanged there for an ID token.
    Identity {
        /// The token endpoint.
        audience: &'a str,
        /// Who the ID token is for.
        target: &'a str,
    },
    /// To be sent to an API as it is, in place of an access token.
    Itself {
        /// The scopes.
        scopes: &'a Scopes,
    },
}

/// Why a key signs nothing. Nothing of it is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadKey {
    /// Not one PEM block `PRIVATE KEY`, or a very long one.
    #[error("the private key is not one PEM block of PKCS#8")]
    Pem,
    /// Not an RSA key of 2,048 to 8,192 bits.
    #[error("the private key is not an RSA key of 2,048 bits or more")]
    Rsa,
    /// The signature could not be made.
    #[error("the private key does not sign")]
    Signing,
}

/// An assertion counts for an hour, the most that is allowed, and from ten seconds ago: clocks differ.
const LIFE: Duration = Duration::from_secs(3_600);
const EARLIER: Duration = Duration::from_secs(10);
/// Bytes of PEM: a key of 8,192 bits has half of it.
const LONGEST_PEM: usize = 16 * 1024;

// === impl Key ===

impl Key {
    /// Reads a private key.
    ///
    /// # Errors
    /// [`BadKey`].
    pub fn from_pem(pem: &Secret<String>, id: Option<String>) -> Result<Self, BadKey> {
        let text = pem.expose().trim();
        if text.len() > LONGEST_PEM {
            return Err(BadKey::Pem);
        }
        let inner = text.strip_prefix("-----BEGIN PRIVATE KEY-----").and_then(|rest| rest.strip_suffix("-----END PRIVATE KEY-----"));
        let mut bare: String = inner.ok_or(BadKey::Pem)?.chars().filter(|c| !matches!(c, '\n' | '\r')).collect();
        let der = STANDARD.decode(bare.as_bytes()).map(Secret::new).map_err(|_| BadKey::Pem);
        bare.zeroize();
        let pair = KeyPair::from_pkcs8(der?.expose()).map_err(|_| BadKey::Rsa)?;
        Ok(Self { pair, id })
    }

    /// A signed assertion of `account`.
    ///
    /// # Errors
    /// [`BadKey::Signing`].
    pub fn assertion(&self, account: &Account, purpose: &Purpose<'_>, now: Timestamp) -> Result<Secret<String>, BadKey> {
        let seconds = |at: Timestamp| i64::try_from(at.as_millis() / 1_000).unwrap_or(i64::MAX);
        let begins = now.before(EARLIER);
        let mut claims = ObjectWriter::with_capacity(512);
        claims.text("iss", account.as_str());
        match purpose {
            Purpose::Access { audience, scopes, subject } => {
                claims.text("scope", &scopes.joined()).text("aud", audience);
                if let Some(subject) = subject {
                    claims.text("sub", subject);
                }
            }
            Purpose::Identity { audience, target } => {
                claims.text("aud", audience).text("target_audience", target);
            }
            Purpose::Itself { scopes } => {
                claims.text("sub", account.as_str()).text("scope", &scopes.joined());
            }
        }
        claims.integer("iat", seconds(begins)).integer("exp", seconds(begins.after(LIFE)));
        self.sign(claims.finish().as_bytes())
    }

    fn sign(&self, claims: &[u8]) -> Result<Secret<String>, BadKey> {
        let mut header = ObjectWriter::with_capacity(96);
        header.text("alg", "RS256").text("typ", "JWT");
        if let Some(id) = &self.id {
            header.text("kid", id);
        }
        let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header.finish().as_bytes()), URL_SAFE_NO_PAD.encode(claims));
        let mut signature = vec![0; self.pair.public_modulus_len()];
        // The scheme is deterministic (RFC 8017 section 8.2.1); the library asks for a source and draws nothing.
        let signed = self.pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message.as_bytes(), &mut signature);
        signed.map_err(|_| BadKey::Signing)?;
        Ok(Secret::new(format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("bits", &(self.pair.public_modulus_len() * 8)).finish_non_exhaustive()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::oidc::jose::{self, Alg};
    use crate::oidc::keys::KeySet;
    use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
    use aws_lc_rs::rsa::KeySize;
    use aws_lc_rs::signature::KeyPair as _;
    use bytes::Bytes;
    use std::sync::LazyLock;

    /// One key for all tests: making one takes long. Public key (DER) and PEM of the private one.
    pub(crate) static PAIR: LazyLock<(Vec<u8>, String)> = LazyLock::new(|| {
        let pair = KeyPair::generate(KeySize::Rsa2048).expect("a key");
        let der: Pkcs8V1Der<'_> = pair.as_der().expect("der");
        (pair.public_key().as_ref().to_vec(), pem(der.as_ref()))
    });

    fn pem(der: &[u8]) -> String {
        let body = STANDARD.encode(der);
        let lines: Vec<&str> = body.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).expect("ascii")).collect();
        format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n"))
    }

    fn key() -> Key {
        Key::from_pem(&Secret::new(PAIR.1.clone()), Some("k1".to_owned())).expect("a key")
    }

    /// Modulus and exponent of the public key as a key set.
    fn keys() -> KeySet {
        let der = &PAIR.0;
        let (modulus, exponent) = (&der[der.len() - 5 - 256..der.len() - 5], &der[der.len() - 3..]);
        let (n, e) = (URL_SAFE_NO_PAD.encode(modulus), URL_SAFE_NO_PAD.encode(exponent));
        let text = format!(r#"{{"keys":[{{"kty":"RSA","kid":"k1","alg":"RS256","n":"{n}","e":"{e}"}}]}}"#);
        KeySet::parse(&Bytes::from(text)).expect("keys")
    }

    #[test]
    fn what_is_signed_is_what_google_wants_and_verifies() {
        let account = Account::new("a@b.iam.gserviceaccount.com").expect("an account");
        let scopes = Scopes::new(["b", "a"]).expect("scopes");
        let now = Timestamp::from_millis(1_795_000_000_500);
        let audience = "https://oauth2.googleapis.com/token";
        let cases = [
            (
                Purpose::Access { audience, scopes: &scopes, subject: None },
                r#"{"iss":"a@b.iam.gserviceaccount.com","scope":"a b","aud":"https://oauth2.googleapis.com/token","iat":1794999990,"exp":1795003590}"#,
            ),
            (
                Purpose::Access { audience, scopes: &scopes, subject: Some("u@d.example") },
                r#"{"iss":"a@b.iam.gserviceaccount.com","scope":"a b","aud":"https://oauth2.googleapis.com/token","sub":"u@d.example","iat":1794999990,"exp":1795003590}"#,
            ),
            (
                Purpose::Identity { audience, target: "https://x.run.app" },
                r#"{"iss":"a@b.iam.gserviceaccount.com","aud":"https://oauth2.googleapis.com/token","target_audience":"https://x.run.app","iat":1794999990,"exp":1795003590}"#,
            ),
            (
                Purpose::Itself { scopes: &scopes },
                r#"{"iss":"a@b.iam.gserviceaccount.com","sub":"a@b.iam.gserviceaccount.com","scope":"a b","iat":1794999990,"exp":1795003590}"#,
            ),
        ];
        for (purpose, claims) in cases {
            let token = key().assertion(&account, &purpose, now).expect("signed");
            let signed = jose::verify(token.expose(), &keys(), &[Alg::Rs256]).expect("verified");
            assert_eq!(std::str::from_utf8(signed.payload().as_bytes()), Ok(claims));
        }
        assert_eq!(format!("{:?}", key()), "Key { bits: 2048, .. }");
    }

    #[test]
    fn cld_02_a_file_brings_one_key_or_none() {
        let read = |text: String| Key::from_pem(&Secret::new(text), None).map(|_| ());
        let good = PAIR.1.clone();
        assert_eq!(read(good.clone()), Ok(()));
        assert_eq!(read(good.replace('\n', "\r\n")), Ok(()));
        assert_eq!(read(good.repeat(2)), Err(BadKey::Pem), "two blocks");
        assert_eq!(read(good.repeat(10_000)), Err(BadKey::Pem), "a bomb");
        assert_eq!(read("A".repeat(1 << 20)), Err(BadKey::Pem));
        assert_eq!(read(good.replace("PRIVATE KEY", "RSA PRIVATE KEY")), Err(BadKey::Pem));
        assert_eq!(read(good.replace("PRIVATE KEY", "CERTIFICATE")), Err(BadKey::Pem));
        assert_eq!(read(String::new()), Err(BadKey::Pem));
        assert_eq!(read(pem(b"nothing of a key")), Err(BadKey::Rsa));
        let short = aws_lc_rs::signature::Ed25519KeyPair::generate().and_then(|pair| pair.to_pkcs8v1()).expect("a key");
        assert_eq!(read(pem(short.as_ref())), Err(BadKey::Rsa), "another kind of key");
    }
}
