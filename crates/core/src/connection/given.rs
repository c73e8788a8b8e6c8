//! What comes back from a token endpoint for a code or a refresh token (RFC 6749 sections 5.1 and 5.2), read strictly (attack OC-05).
//!
//! Nothing of an answer is repeated but an error code of plain letters. Its times count from when the question was asked. Must not
//! know how it came.

use super::scopes::{MOST_SCOPES, is_scope};
use crate::json::RawJson;
use crate::oidc::answer::code;
use crate::secret::Secret;
use crate::time::Timestamp;
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;

/// The tokens of one answer. Prints nothing of them.
#[derive(Debug)]
pub struct Given {
    pub(super) access: Arc<Secret<String>>,
    pub(super) refresh: Option<Arc<Secret<String>>>,
    /// When it was asked for.
    pub began: Timestamp,
    /// When the access token ends.
    pub expires: Timestamp,
    /// Whether the answer says so.
    pub term: Term,
    /// The scopes that were granted: those that were asked for where the answer says nothing.
    pub scopes: Vec<String>,
    /// Those of them that nobody asked for: the person is to be told.
    pub wider: Vec<String>,
    /// Those that were asked for and not granted.
    pub missing: Vec<String>,
}

/// Where an end comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Term {
    /// The answer says it.
    #[serde(rename = "s")]
    Said,
    /// It says nothing of it: [`ASSUMED_LIFE`] was assumed.
    #[serde(rename = "a")]
    Assumed,
}

/// Why an answer is of no use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadGiven {
    /// Not a JSON object, a key twice, or a member of another type.
    #[error("it is not a JSON object, or a member of it is not what it should be")]
    Form,
    /// An error of RFC 6749 section 5.2; empty where its code is none that could be repeated.
    #[error("the authorization server says: {0}")]
    Refused(String),
    /// Another `token_type` than `Bearer`.
    #[error("it has another token_type than Bearer")]
    Type,
    /// No access token, or one that no header can carry: empty, longer than 16 KiB, or with other characters than visible ASCII.
    #[error("it has no usable token")]
    Token,
    /// It has ended already.
    #[error("its token has expired already")]
    Expired,
}

/// What is assumed where an answer says nothing of its end.
pub const ASSUMED_LIFE: Duration = Duration::from_secs(3_600);
/// The longest life that is believed; then it is refreshed whatever was said.
pub const LONGEST_LIFE: Duration = Duration::from_secs(90 * 24 * 3_600);
const SHORTEST_LIFE: Duration = Duration::from_secs(1);
/// Longest token, in bytes.
pub const LONGEST_TOKEN: usize = 16 * 1024;
const DEPTH: usize = 16;

// === impl Given ===

impl Given {
    /// Reads an answer, whatever its status, to a request that was begun at `began` and asked for these scopes; for a refresh token
    /// those that it had.
    ///
    /// # Errors
    /// [`BadGiven`].
    pub fn parse(text: &Bytes, asked: &[String], began: Timestamp) -> Result<Self, BadGiven> {
        let whole = RawJson::parse(text, DEPTH).ok().filter(RawJson::is_object).ok_or(BadGiven::Form)?;
        if let Some(error) = whole.member("error") {
            return Err(BadGiven::Refused(error.as_text().map(|text| code(&text)).unwrap_or_default()));
        }
        // Compared without case (RFC 6749 section 5.1).
        if !whole.member("token_type").is_some_and(|kind| kind.as_text().is_some_and(|kind| kind.eq_ignore_ascii_case("bearer"))) {
            return Err(BadGiven::Type);
        }
        let access = whole.member("access_token").and_then(|value| token(&value)).ok_or(BadGiven::Token)?;
        let refresh = match whole.member("refresh_token").filter(|value| !value.is_null()) {
            None => None,
            Some(value) => Some(Arc::new(token(&value).ok_or(BadGiven::Token)?)),
        };
        let life = life(&whole)?;
        let scopes = granted(&whole, asked)?.unwrap_or_else(|| asked.to_vec());
        let apart = |these: &[String], those: &[String]| these.iter().filter(|one| !those.contains(one)).cloned().collect();
        // Where nothing was asked for, whatever comes is what the authorization server chose.
        let wider = if asked.is_empty() { Vec::new() } else { apart(&scopes, asked) };
        Ok(Self {
            access: Arc::new(access),
            refresh,
            began,
            expires: began.after(life.unwrap_or(ASSUMED_LIFE)),
            term: if life.is_some() { Term::Said } else { Term::Assumed },
            missing: apart(asked, &scopes),
            wider,
            scopes,
        })
    }

    /// Whether a refresh token came.
    #[must_use]
    pub const fn is_renewable(&self) -> bool {
        self.refresh.is_some()
    }
}

// === impl BadGiven ===

impl BadGiven {
    /// The grant is gone for good: nothing but the person's new consent helps, and nothing is to be tried again (attack OC-08).
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        // The second is GitHub's word for the same.
        self.is_refused_with(&["invalid_grant", "bad_refresh_token"])
    }

    /// The client is not what it was: for the administrator, not for the person (attack OC-08).
    #[must_use]
    pub fn is_client(&self) -> bool {
        self.is_refused_with(&["invalid_client", "unauthorized_client"])
    }

    fn is_refused_with(&self, codes: &[&str]) -> bool {
        matches!(self, Self::Refused(code) if codes.contains(&code.as_str()))
    }
}

/// What can stand in a header without doubt.
fn token(value: &RawJson) -> Option<Secret<String>> {
    let text = value.as_text()?;
    let good = (1..=LONGEST_TOKEN).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    good.then(|| Secret::new(text.into_owned()))
}

/// How long the access token lives; `None` where nothing is said. Some send the number as a text.
fn life(whole: &RawJson) -> Result<Option<Duration>, BadGiven> {
    let Some(value) = whole.member("expires_in").filter(|value| !value.is_null()) else { return Ok(None) };
    let text = value.as_text().unwrap_or_else(|| String::from_utf8_lossy(value.as_bytes()));
    // Neither `NaN` nor `inf`, which a number may be called in Rust.
    let is_number = text.len() <= 40 && text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
    let seconds: f64 = Some(text).filter(|_| is_number).and_then(|text| text.parse().ok()).ok_or(BadGiven::Form)?;
    if seconds <= 0.0 {
        return Err(BadGiven::Expired);
    }
    let seconds = seconds.clamp(SHORTEST_LIFE.as_secs_f64(), LONGEST_LIFE.as_secs_f64());
    Duration::try_from_secs_f64(seconds).map(Some).map_err(|_| BadGiven::Form)
}

/// `None` where nothing is said, which means all that was asked for (RFC 6749 section 5.1).
fn granted(whole: &RawJson, asked: &[String]) -> Result<Option<Vec<String>>, BadGiven> {
    let Some(value) = whole.member("scope").filter(|value| !value.is_null()) else { return Ok(None) };
    let text = value.as_text().ok_or(BadGiven::Form)?;
    // GitHub separates them by commas. Who asked for a scope with a comma in it gets the separator of the standard.
    let commas = !asked.iter().any(|scope| scope.contains(','));
    let mut found: Vec<String> = Vec::new();
    for scope in text.split(|letter| letter == ' ' || (commas && letter == ',')).filter(|scope| !scope.is_empty()) {
        if !is_scope(scope) || found.len() >= MOST_SCOPES {
            return Err(BadGiven::Form);
        }
        if !found.iter().any(|known| known == scope) {
            found.push(scope.to_owned());
        }
    }
    Ok(Some(found))
}
