//! Proof Key for Code Exchange, S256 only (RFC 7636; OAuth 2.1 section 4.1.1): the code is of use only to whoever began.

use crate::secret::sha256;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// What a verifier must digest to: 32 bytes in base64url.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge(String);

/// Why a challenge or verifier is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadPkce {
    /// There is none: a code without one would be good for everybody who sees it.
    #[error("code_challenge is missing")]
    Missing,
    /// The method is not `S256`, spelled so; a missing one means `plain` (RFC 7636 section 4.3).
    #[error("code_challenge_method must be S256")]
    Method,
    /// It is not what S256 gives.
    #[error("code_challenge must be 43 characters of base64url")]
    Form,
    /// The verifier is not 43 to 128 unreserved characters.
    #[error("code_verifier is not well-formed")]
    Verifier,
}

// === impl Challenge ===

impl Challenge {
    /// Takes the challenge of an authorization request.
    ///
    /// # Errors
    /// [`BadPkce`].
    pub fn new(challenge: Option<&str>, method: Option<&str>) -> Result<Self, BadPkce> {
        let challenge = challenge.ok_or(BadPkce::Missing)?;
        if method != Some("S256") {
            return Err(BadPkce::Method);
        }
        // Exactly 32 bytes, in the one spelling that they have: what decodes leniently compares differently.
        match URL_SAFE_NO_PAD.decode(challenge) {
            Ok(bytes) if bytes.len() == 32 && URL_SAFE_NO_PAD.encode(&bytes) == challenge => Ok(Self(challenge.to_owned())),
            _ => Err(BadPkce::Form),
        }
    }

    /// What the verifier of a token request stands for.
    ///
    /// # Errors
    /// [`BadPkce::Verifier`] for what is no verifier (RFC 7636 section 4.1).
    pub fn of_verifier(verifier: &str) -> Result<Self, BadPkce> {
        let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        if !(43..=128).contains(&verifier.len()) || !verifier.bytes().all(unreserved) {
            return Err(BadPkce::Verifier);
        }
        Ok(Self(URL_SAFE_NO_PAD.encode(sha256(verifier.as_bytes()))))
    }

    /// The text, for storage and comparison. Not a secret.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn az_08_s256_or_nothing() {
        let good = URL_SAFE_NO_PAD.encode([7; 32]);
        assert_eq!(Challenge::new(Some(&good), Some("S256")).expect("a challenge").as_str(), good);
        assert_eq!(Challenge::new(None, Some("S256")), Err(BadPkce::Missing));
        for method in [None, Some("plain"), Some("S512"), Some("s256"), Some("S256 ")] {
            assert_eq!(Challenge::new(Some(&good), method), Err(BadPkce::Method), "{method:?}");
        }
        let short: String = good.chars().take(42).collect();
        // The last character carries two bits that must be zero.
        let loose = format!("{short}B");
        for bad in [short.clone(), format!("{good}A"), "A".repeat(128), format!("{good}="), format!("+/{}", "A".repeat(41)), loose] {
            assert_eq!(Challenge::new(Some(&bad), Some("S256")), Err(BadPkce::Form), "{bad}");
        }
    }

    #[test]
    fn tk_03_verifiers_have_a_form_and_only_their_own_challenge() {
        // RFC 7636 appendix B.
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        assert_eq!(Challenge::of_verifier(verifier).expect("verifier").as_str(), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
        for bad in ["", &"a".repeat(42), &"a".repeat(129), &format!("{}+", "a".repeat(43)), &format!("{} ", "a".repeat(43))] {
            assert_eq!(Challenge::of_verifier(bad), Err(BadPkce::Verifier), "{bad}");
        }
        let challenge = Challenge::of_verifier(verifier).expect("verifier");
        assert_ne!(Challenge::of_verifier(challenge.as_str()).expect("well-formed"), challenge, "the challenge is no verifier");
    }
}
