//! What Google answered, read strictly: tokens with their end, or the reason why there are none (credentials 6.5, 6.6, 8.3; CLD-04).
//!
//! Times are worked out from the *start* of the request, so that a slow answer is not believed for longer than it counts. Nothing of a
//! body gets into an error but words of a known form.

use super::trouble::{Trouble, Why, word};
use super::{ASSUMED_LIFE, Account, LEAST_LEFT, LONGEST_LIFE};
use crate::json::RawJson;
use crate::oidc::jose;
use crate::secret::Secret;
use crate::time::Timestamp;
use bytes::Bytes;
use std::fmt;
use std::time::Duration;

/// An answer of any status, unread.
pub struct Answer {
    /// Who answered, for errors.
    pub host: String,
    /// The HTTP status.
    pub status: u16,
    /// What it declares to be.
    pub media: Media,
    /// Whether it has `Metadata-Flavor: Google`.
    pub flavor: Flavor,
    /// `Retry-After` in seconds.
    pub after: Option<Duration>,
    /// The body, of bounded size.
    pub body: Bytes,
}

/// What an answer declares to be (`Content-Type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Media {
    /// `application/json`.
    Json,
    /// `text/plain`, or `application/text` as the metadata server has it.
    Text,
    /// A page, or nothing of the kind.
    Other,
}

/// Whether an answer is of the metadata server of Google (CLD-03).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flavor {
    /// `Metadata-Flavor: Google`.
    Google,
    /// Without, or with another.
    None,
}

/// A token that counts for a while.
pub struct Token {
    /// The token.
    pub secret: Secret<String>,
    /// Its end.
    pub expires: Timestamp,
    /// Whether its end was told.
    pub life: Life,
    /// `scope` of the answer, where it says one.
    pub scopes: Option<Vec<String>>,
}

/// Where the end of a token is known from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// The answer says it.
    Told,
    /// The answer does not: an hour, as usual.
    Assumed,
}

/// When a request began and when its answer is read.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// The start of the request.
    pub started: Timestamp,
    /// Now.
    pub now: Timestamp,
}

/// Bytes of a token at most (credentials 8.3).
const LONGEST_TOKEN: usize = 16 * 1024;
const DEPTH: usize = 16;

// === impl Answer ===

impl Answer {
    /// An access token of a token endpoint, of STS or of the metadata server: `{access_token, expires_in, token_type, scope?}`.
    ///
    /// # Errors
    /// [`Trouble`].
    pub fn access_token(&self, times: Times) -> Result<Token, Trouble> {
        let whole = self.object()?;
        if !self.text(&whole, "token_type", "token_type is missing")?.eq_ignore_ascii_case("bearer") {
            return Err(self.trouble(Why::Token("token_type is not Bearer")));
        }
        let secret = self.token(self.text(&whole, "access_token", "access_token is missing")?)?;
        let (span, life) = match whole.member("expires_in").filter(|value| !value.is_null()) {
            None => (ASSUMED_LIFE, Life::Assumed),
            Some(value) => (seconds(&value).ok_or_else(|| self.trouble(Why::Form("expires_in is no number of seconds")))?, Life::Told),
        };
        let scopes = match whole.member("scope").filter(|value| !value.is_null()) {
            None => None,
            Some(value) => {
                let text = value.as_text().ok_or_else(|| self.trouble(Why::Form("scope is no text")))?;
                Some(text.split(' ').filter(|scope| !scope.is_empty()).map(str::to_owned).collect())
            }
        };
        let expires = self.alive(times.started.after(span.min(LONGEST_LIFE)), times.now)?;
        Ok(Token { secret, expires, life, scopes })
    }

    /// An access token of a metadata server, which has to show that it is one.
    ///
    /// # Errors
    /// [`Trouble`].
    pub fn metadata_token(&self, times: Times) -> Result<Token, Trouble> {
        self.flavored()?;
        self.access_token(times)
    }

    /// `{accessToken, expireTime}` of `generateAccessToken` (9.4).
    ///
    /// # Errors
    /// [`Trouble`].
    pub fn impersonated(&self, times: Times) -> Result<Token, Trouble> {
        let whole = self.object()?;
        let secret = self.token(self.text(&whole, "accessToken", "accessToken is missing")?)?;
        let text = self.text(&whole, "expireTime", "expireTime is missing")?;
        let at = text.parse::<jiff::Timestamp>().ok().and_then(|at| u64::try_from(at.as_millisecond()).ok());
        let at = at.map(Timestamp::from_millis).ok_or_else(|| self.trouble(Why::Form("expireTime is no time")))?;
        let expires = self.alive(at.min(times.started.after(LONGEST_LIFE)), times.now)?;
        Ok(Token { secret, expires, life: Life::Told, scopes: None })
    }

    /// An ID token in a member of an object: `id_token` of a token endpoint, `token` of `generateIdToken`.
    ///
    /// # Errors
    /// [`Trouble`].
    pub fn id_token(&self, member: &'static str, audience: &str, times: Times) -> Result<Token, Trouble> {
        let whole = self.object()?;
        self.identity(self.text(&whole, member, "the ID token is missing")?, audience, times)
    }

    /// An ID token of the metadata server, which stands alone.
    ///
    /// # Errors
    /// [`Trouble`].
    pub fn metadata_identity(&self, audience: &str, times: Times) -> Result<Token, Trouble> {
        self.identity(self.metadata_text()?, audience, times)
    }

    /// The account of the metadata server.
    ///
    /// # Errors
    /// [`Trouble`].
    pub fn metadata_email(&self) -> Result<Account, Trouble> {
        Account::new(self.metadata_text()?.trim()).map_err(|_| self.trouble(Why::Form("the account is none")))
    }

    /// `{keyId, signedJwt}` of `signJwt`: an assertion for a token endpoint.
    ///
    /// # Errors
    /// [`Trouble`].
    pub fn signed_jwt(&self) -> Result<Secret<String>, Trouble> {
        let whole = self.object()?;
        self.token(self.text(&whole, "signedJwt", "signedJwt is missing")?)
    }

    /// `refresh_token` beside an access token, where the provider changes it (9.2).
    ///
    /// # Errors
    /// [`Trouble`].
    pub fn next_refresh_token(&self) -> Result<Option<Secret<String>>, Trouble> {
        match self.object()?.member("refresh_token").filter(|value| !value.is_null()) {
            None => Ok(None),
            Some(value) => {
                let text = value.as_text().ok_or_else(|| self.trouble(Why::Form("refresh_token is no text")))?;
                self.token(text.into_owned()).map(Some)
            }
        }
    }

    /// The body of a success, whatever it declares to be: a subject token.
    ///
    /// # Errors
    /// [`Trouble`].
    pub fn bytes(&self) -> Result<&Bytes, Trouble> {
        self.succeeded().map(|()| &self.body)
    }

    /// Something that does not fit what was asked.
    #[must_use]
    pub fn trouble(&self, why: Why) -> Trouble {
        Trouble::new(self.host.clone(), why)
    }

    fn identity(&self, text: String, audience: &str, times: Times) -> Result<Token, Trouble> {
        let secret = self.token(text)?;
        let claims = secret.expose().split('.').nth(1).and_then(|part| jose::object(part).ok());
        let claims = claims.filter(|_| secret.expose().split('.').count() == 3);
        let claims = claims.ok_or_else(|| self.trouble(Why::Token("it is no JWT")))?;
        let is_for = claims.member("aud").is_some_and(|value| match value.elements() {
            Some(all) => all.len() == 1 && all.iter().all(|one| one.as_text().as_deref() == Some(audience)),
            None => value.as_text().as_deref() == Some(audience),
        });
        if !is_for {
            return Err(self.trouble(Why::Token("it is for somebody else")));
        }
        let exp = claims.member("exp").and_then(|value| jose::seconds(&value)).ok_or_else(|| self.trouble(Why::Token("it has no end")))?;
        let expires = Timestamp::from_millis(exp.saturating_mul(1_000)).min(times.started.after(LONGEST_LIFE));
        Ok(Token { expires: self.alive(expires, times.now)?, secret, life: Life::Told, scopes: None })
    }

    fn metadata_text(&self) -> Result<String, Trouble> {
        self.flavored()?;
        self.succeeded()?;
        let text = std::str::from_utf8(&self.body).map_err(|_| self.trouble(Why::Form("it is no text")))?;
        Ok(text.trim().to_owned())
    }

    fn flavored(&self) -> Result<(), Trouble> {
        if self.flavor == Flavor::Google { Ok(()) } else { Err(self.trouble(Why::Flavor)) }
    }

    /// The object of a success.
    fn object(&self) -> Result<RawJson, Trouble> {
        self.succeeded()?;
        if self.media != Media::Json {
            return Err(self.trouble(Why::MediaType));
        }
        let whole = RawJson::parse(&self.body, DEPTH).ok().filter(RawJson::is_object);
        let whole = whole.ok_or_else(|| self.trouble(Why::Form("it is not one JSON object, with each member once")))?;
        if whole.member("error").is_some() { Err(self.refused()) } else { Ok(whole) }
    }

    fn succeeded(&self) -> Result<(), Trouble> {
        match self.status {
            200 => Ok(()),
            status @ 300..=399 => Err(self.trouble(Why::Redirects(status))),
            _ => Err(self.refused()),
        }
    }

    /// A refusal, with the words of RFC 6749 section 5.2 or of a Google API.
    fn refused(&self) -> Trouble {
        let whole = RawJson::parse(&self.body, DEPTH).ok();
        let member =
            |of: &RawJson, name: &str| of.member(name).and_then(|value| value.as_text().map(|text| word(&text))).unwrap_or_default();
        let (code, reason) = match whole.as_ref().and_then(|whole| whole.member("error")) {
            Some(error) if error.is_object() => {
                let details = error.member("details").and_then(|details| details.elements()).unwrap_or_default();
                let reason = details.iter().map(|detail| member(detail, "reason")).find(|reason| !reason.is_empty());
                (member(&error, "status"), reason.unwrap_or_default())
            }
            Some(error) => {
                let code = error.as_text().map(|text| word(&text)).unwrap_or_default();
                (code, whole.as_ref().map(|whole| member(whole, "error_subtype")).unwrap_or_default())
            }
            None => (String::new(), String::new()),
        };
        self.trouble(Why::Refused { status: self.status, code, reason, after: self.after })
    }

    fn text(&self, whole: &RawJson, name: &str, missing: &'static str) -> Result<String, Trouble> {
        let text = whole.member(name).and_then(|value| value.as_text().map(std::borrow::Cow::into_owned));
        text.ok_or_else(|| self.trouble(Why::Form(missing)))
    }

    /// Visible ASCII without blanks, and not endless: what can be a header value (credentials 8.3).
    fn token(&self, text: String) -> Result<Secret<String>, Trouble> {
        let secret = Secret::new(text);
        let text = secret.expose();
        let fits = (1..=LONGEST_TOKEN).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        if fits { Ok(secret) } else { Err(self.trouble(Why::Token("it has characters that no token has, or is very long"))) }
    }

    fn alive(&self, expires: Timestamp, now: Timestamp) -> Result<Timestamp, Trouble> {
        if expires > now.after(LEAST_LEFT) { Ok(expires) } else { Err(self.trouble(Why::Expired)) }
    }
}

/// Seconds as a number or as a text of digits (6.5); parts of a second are dropped, absurdly many are very many.
fn seconds(value: &RawJson) -> Option<Duration> {
    let quoted = value.as_text();
    let text = match &quoted {
        Some(text) => text.as_ref(),
        None => std::str::from_utf8(value.as_bytes()).ok()?,
    };
    if text.strip_prefix('-').is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit())) {
        return Some(Duration::ZERO);
    }
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| (1..=400).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    (digits(whole) && digits(part)).then(|| Duration::from_secs(whole.parse().unwrap_or(u64::MAX)))
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").field("host", &self.host).field("status", &self.status).field("media", &self.media).finish_non_exhaustive()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("expires", &self.expires).field("life", &self.life).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
