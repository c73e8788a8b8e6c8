//! Credentials of Google: where they come from, what is asked for them, what the answers mean, and who may become which account.
//!
//! Everything here is a value or a pure function: requests are built as [`ask::Ask`], answers are read from [`answer::Answer`], and the
//! time is an argument. Must not know sockets, files, variables or clocks; `crates/gateway/src/credential/google` carries the requests.
//! Credentials 6 and 9; attacks CLD-01 to CLD-04 and CLD-06.

pub mod adc;
pub mod answer;
pub mod ask;
pub mod file;
pub mod mapping;
pub mod places;
pub mod sign;
pub mod subject;
pub mod trouble;

use std::fmt;
use std::time::Duration;

/// A service account: its e-mail address, or its numeric id. Lower case, so that two spellings of one account are one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Account(String);

/// What a token may be used for: RFC 6749 section 3.3, sorted, each once, never none.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Scopes(Vec<String>);

/// How long an impersonated token counts: 60 to 3,600 seconds (credentials 9.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Lifetime(u32);

/// A text is not what it should be. It is not repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not {0}")]
pub struct NotA(pub &'static str);

/// All of Google Cloud, as far as roles allow: the scope of a credential that becomes another one by IAM.
pub const SCOPE_CLOUD: &str = "https://www.googleapis.com/auth/cloud-platform";
/// IAM alone: the scope of what is exchanged for an impersonated token (credentials 9.6).
pub const SCOPE_IAM: &str = "https://www.googleapis.com/auth/iam";
/// A token with less left than this is not used (credentials 6.3 and 6.5).
pub const LEAST_LEFT: Duration = Duration::from_secs(10);
/// No answer is believed that a token counts for longer: twelve hours are the most that an organisation can allow (credentials 9.4).
pub const LONGEST_LIFE: Duration = Duration::from_secs(12 * 3_600);
/// What is assumed where an answer does not say how long a token counts (credentials 8.3).
pub const ASSUMED_LIFE: Duration = Duration::from_secs(3_600);
/// Most scopes of one token.
const MOST_SCOPES: usize = 32;

// === impl Account ===

impl Account {
    /// An e-mail address of a service account, or its numeric id.
    ///
    /// # Errors
    /// [`NotA`], for a text with other characters, without a host, or longer than 254 bytes.
    pub fn new(text: &str) -> Result<Self, NotA> {
        let lower = text.to_ascii_lowercase();
        let is_number = (6..=30).contains(&lower.len()) && lower.bytes().all(|byte| byte.is_ascii_digit());
        if is_number || is_email(&lower) { Ok(Self(lower)) } else { Err(NotA("a service account")) }
    }

    /// The same, by its e-mail address alone: so that it can be told from another one by its name.
    ///
    /// # Errors
    /// [`NotA`].
    pub fn named(text: &str) -> Result<Self, NotA> {
        Self::new(text).ok().filter(|account| account.0.contains('@')).ok_or(NotA("the e-mail address of a service account"))
    }

    /// Its e-mail address or number.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_email(text: &str) -> bool {
    let Some((name, host)) = text.split_once('@') else { return false };
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.' | b'_');
    let label = |label: &str| !label.is_empty() && !label.starts_with('-') && !label.ends_with('-');
    text.len() <= 254
        && !name.is_empty()
        && name.bytes().all(plain)
        && host.contains('.')
        && host.bytes().all(plain)
        && host.split('.').all(label)
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

// === impl Scopes ===

impl Scopes {
    /// From one or more texts without blanks, in any order.
    ///
    /// # Errors
    /// [`NotA`], for none, more than 32, or one with other characters.
    pub fn new<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Self, NotA> {
        let mut all: Vec<String> = texts.into_iter().map(str::to_owned).collect();
        all.sort_unstable();
        all.dedup();
        let fits = |text: &String| {
            (1..=256).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\')
        };
        if all.is_empty() || all.len() > MOST_SCOPES || !all.iter().all(fits) { Err(NotA("a list of scopes")) } else { Ok(Self(all)) }
    }

    /// [`SCOPE_CLOUD`].
    #[must_use]
    pub fn cloud() -> Self {
        Self(vec![SCOPE_CLOUD.to_owned()])
    }

    /// [`SCOPE_IAM`].
    #[must_use]
    pub fn iam() -> Self {
        Self(vec![SCOPE_IAM.to_owned()])
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// With a blank between two, as OAuth wants them.
    #[must_use]
    pub fn joined(&self) -> String {
        self.0.join(" ")
    }
}

// === impl Lifetime ===

impl Lifetime {
    /// Ten minutes: the least that does not make every other call wait for a new token (credentials 9.4).
    pub const DEFAULT: Self = Self(600);

    /// From 60 to 3,600 seconds.
    ///
    /// # Errors
    /// [`NotA`].
    pub fn new(span: Duration) -> Result<Self, NotA> {
        match u32::try_from(span.as_secs()) {
            Ok(seconds @ 60..=3_600) if span.subsec_nanos() == 0 => Ok(Self(seconds)),
            _ => Err(NotA("a lifetime of 1 minute to 1 hour")),
        }
    }

    /// As a span.
    #[must_use]
    pub fn span(self) -> Duration {
        Duration::from_secs(u64::from(self.0))
    }

    /// In seconds.
    #[must_use]
    pub const fn seconds(self) -> u32 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_have_one_spelling_and_no_others_are_accounts() {
        for good in
            ["bq-reader@corp-data.iam.gserviceaccount.com", "1234-compute@developer.gserviceaccount.com", "a@b.c", "118234567890123456789"]
        {
            assert_eq!(Account::new(good).map(|account| account.to_string()), Ok(good.to_owned()));
        }
        assert_eq!(Account::new("A@B.iam.gserviceaccount.com"), Account::new("a@b.iam.gserviceaccount.com"));
        let long = format!("a@{}.com", "b".repeat(254));
        for bad in [
            "",
            "a",
            "@b.c",
            "a@",
            "a@b",
            "a@b.c:generateAccessToken",
            "a@b.c/..",
            "a@b..c",
            "a@-b.c",
            "a b@c.d",
            "a@b@c.d",
            "12",
            "ä@b.c",
            &long,
        ] {
            assert_eq!(Account::new(bad), Err(NotA("a service account")), "{bad}");
        }
        assert!(Account::named("118234567890123456789").is_err(), "a number cannot be told from our own account");
    }

    #[test]
    fn scopes_are_a_set_and_lifetimes_have_bounds() {
        let scopes = Scopes::new(["b", "a", "b"]).expect("scopes");
        assert_eq!(scopes.joined(), "a b");
        for bad in [vec![], vec![""], vec!["a b"], vec!["a\"b"], vec!["a\nb"], vec!["ä"]] {
            assert!(Scopes::new(bad.clone()).is_err(), "{bad:?}");
        }
        assert!(Scopes::new((0..33).map(|n| ["a"; 40].get(..n + 1).map_or("", |_| "x")).collect::<Vec<_>>()).is_ok(), "one of them, often");
        for (seconds, fits) in [(59, false), (60, true), (3_600, true), (3_601, false), (0, false)] {
            assert_eq!(Lifetime::new(Duration::from_secs(seconds)).is_ok(), fits, "{seconds}");
        }
        assert!(Lifetime::new(Duration::from_millis(60_500)).is_err());
    }
}
