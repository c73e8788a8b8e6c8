//! What comes back from the token endpoint (OpenID Connect Core section 3.1.3.3), read strictly (attack OC-05).

use crate::json::RawJson;
use bytes::Bytes;
use std::fmt;

/// The tokens of one code. What else comes, a refresh token above all, is not kept.
pub struct Tokens {
    id_token: String,
    access_token: Option<String>,
}

/// Why an answer is of no use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadAnswer {
    /// Not a JSON object, or a key twice.
    #[error("it is not a JSON object")]
    Form,
    /// An error of RFC 6749 section 5.2; empty where its code is none that could be repeated.
    #[error("the provider says: {0}")]
    Refused(String),
    /// Another `token_type` than `Bearer`.
    #[error("it has another token_type than Bearer")]
    Type,
    /// No `id_token`, or no usable one.
    #[error("it has no id_token")]
    NoIdToken,
    /// An access token with characters that no header can carry, or a very long one.
    #[error("it has an unusable access_token")]
    AccessToken,
}

/// Longest access token.
const LONGEST: usize = 16 * 1024;
const DEPTH: usize = 16;

// === impl Tokens ===

impl Tokens {
    /// Reads an answer.
    ///
    /// # Errors
    /// [`BadAnswer`].
    pub fn parse(text: &Bytes) -> Result<Self, BadAnswer> {
        let whole = RawJson::parse(text, DEPTH).ok().filter(RawJson::is_object).ok_or(BadAnswer::Form)?;
        if let Some(error) = whole.member("error") {
            return Err(BadAnswer::Refused(error.as_text().map(|text| code(&text)).unwrap_or_default()));
        }
        let member = |name: &str| whole.member(name).and_then(|value| value.as_text().map(std::borrow::Cow::into_owned));
        // Compared without case (RFC 6749 section 5.1).
        if !member("token_type").is_some_and(|kind| kind.eq_ignore_ascii_case("bearer")) {
            return Err(BadAnswer::Type);
        }
        let visible = |token: &String| !token.is_empty() && token.len() <= LONGEST && token.bytes().all(|byte| byte.is_ascii_graphic());
        let id_token = member("id_token").filter(visible).ok_or(BadAnswer::NoIdToken)?;
        let access_token = match whole.member("access_token") {
            None => None,
            Some(_) => Some(member("access_token").filter(visible).ok_or(BadAnswer::AccessToken)?),
        };
        Ok(Self { id_token, access_token })
    }

    /// The ID token.
    #[must_use]
    pub fn id_token(&self) -> &str {
        &self.id_token
    }

    /// The access token, for the userinfo endpoint alone.
    #[must_use]
    pub fn access_token(&self) -> Option<&str> {
        self.access_token.as_deref()
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tokens(..)")
    }
}

impl Drop for Tokens {
    fn drop(&mut self) {
        use zeroize::Zeroize as _;
        self.id_token.zeroize();
        self.access_token.zeroize();
    }
}

/// An error code that may stand in a log: nothing of what a provider chose but lower-case letters and `_`.
#[must_use]
pub fn code(text: &str) -> String {
    let good = (1..=40).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    if good { text.to_owned() } else { String::new() }
}
