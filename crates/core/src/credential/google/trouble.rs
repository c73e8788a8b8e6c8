//! Why no token came, and what that means for the next attempt (credentials 6.4 and 6.6).
//!
//! Carries the host that was asked, the status, and the words of the provider that are of a known form. Never a body, never a header.

use std::time::Duration;

/// Why a server gave no token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{host}: {why}")]
pub struct Trouble {
    host: String,
    why: Why,
}

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// No answer: not resolved, not connected, broken off or too slow. In words of ours.
    #[error("{0}")]
    Unreachable(String),
    /// It led elsewhere. Redirects are never followed with a credential (credentials 6.7).
    #[error("it redirects with status {0}")]
    Redirects(u16),
    /// It answered with more than 64 KiB, or broke HTTP.
    #[error("its answer cannot be read")]
    Unreadable,
    /// It refused.
    #[error("it refuses with status {status}{}", words(.code, .reason))]
    Refused {
        /// The HTTP status; 200 where an error came as success.
        status: u16,
        /// `error` of RFC 6749, or `status` of a Google API; empty where there is none of a known form.
        code: String,
        /// `error_subtype`, or `reason` of a Google API; empty likewise.
        reason: String,
        /// `Retry-After`.
        after: Option<Duration>,
    },
    /// Not declared as what was asked for: a page, for example.
    #[error("its answer is not declared as what was asked for")]
    MediaType,
    /// Not strict JSON, or a member is missing or of another kind.
    #[error("its answer is malformed: {0}")]
    Form(&'static str),
    /// What it gave counts no longer, or not long enough to be used.
    #[error("what it gave has ended already")]
    Expired,
    /// What it gave is no token that a header can carry, or another kind of token.
    #[error("what it gave is no usable token: {0}")]
    Token(&'static str),
    /// `Metadata-Flavor: Google` is missing: somebody else answers in place of the metadata server (attack CLD-03).
    #[error("it is not the metadata server of Google")]
    Flavor,
    /// The account that would be impersonated is the gateway's own (credentials 9.9).
    #[error("the account to become is the gateway's own")]
    OwnAccount,
    /// Something on this computer that the credential needs: a file, a variable, a key.
    #[error("{0}")]
    Here(String),
}

/// Whether it is worth another try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Again {
    /// After a moment.
    Soon,
    /// As the server says.
    After(Duration),
    /// The same question has the same answer.
    Never,
}

/// A denied principal rests for so long (credentials 6.4).
pub const DENIED: Duration = Duration::from_secs(30);
/// After any other failure, so that an outage is no stampede.
const FAILED: Duration = Duration::from_secs(2);
/// `Retry-After` is believed up to here.
const LONGEST_REST: Duration = Duration::from_secs(60);

// === impl Trouble ===

impl Trouble {
    /// Something that `host` did.
    #[must_use]
    pub const fn new(host: String, why: Why) -> Self {
        Self { host, why }
    }

    /// Whose doing it was.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// What it was.
    #[must_use]
    pub const fn why(&self) -> &Why {
        &self.why
    }

    /// Whether to ask again within this attempt: connections, 408, 429, 5xx that pass, and the OAuth errors that say so.
    #[must_use]
    pub fn again(&self) -> Again {
        match &self.why {
            Why::Unreachable(_) => Again::Soon,
            Why::Refused { status, code, after, .. } => {
                let passes = matches!(status, 408 | 429 | 500 | 502 | 503 | 504)
                    || matches!(code.as_str(), "internal_failure" | "server_error" | "temporarily_unavailable");
                match (passes, after) {
                    (false, _) => Again::Never,
                    (true, Some(after)) => Again::After(*after),
                    (true, None) => Again::Soon,
                }
            }
            _ => Again::Never,
        }
    }

    /// For how long nobody asks again for the same. Never for good: what was denied may be allowed by then.
    #[must_use]
    pub fn rest(&self) -> Duration {
        match (&self.why, self.again()) {
            (_, Again::After(after)) => after.clamp(FAILED, LONGEST_REST),
            (Why::Refused { .. } | Why::OwnAccount, Again::Never) => DENIED,
            _ => FAILED,
        }
    }

    /// Whether the provider denied it, in distinction to an outage or nonsense.
    #[must_use]
    pub fn is_denial(&self) -> bool {
        matches!(self.why, Why::Refused { .. } | Why::OwnAccount) && self.again() == Again::Never
    }

    /// What an administrator can do, where that is known.
    #[must_use]
    pub fn help(&self) -> Option<&'static str> {
        let Why::Refused { status, code, reason, .. } = &self.why else { return None };
        match (*status, code.as_str(), reason.as_str()) {
            (_, "invalid_grant", "invalid_rapt" | "rapt_required") => Some("sign in again: gcloud auth application-default login"),
            (_, "invalid_grant", _) => Some("the refresh token or key counts no longer: replace the credential file"),
            (_, "invalid_client" | "unauthorized_client", _) => Some("the client of the credential file is not known: replace the file"),
            (403, "PERMISSION_DENIED", _) => Some(
                "grant the source roles/iam.serviceAccountTokenCreator on the account \
                (roles/iam.serviceAccountOpenIdTokenCreator for ID tokens)",
            ),
            (404, "NOT_FOUND", _) => Some("there is no such service account"),
            _ => None,
        }
    }
}

fn words(code: &str, reason: &str) -> String {
    let all: Vec<&str> = [code, reason].into_iter().filter(|word| !word.is_empty()).collect();
    if all.is_empty() { String::new() } else { format!(" ({})", all.join(", ")) }
}

/// A word of a provider that may stand in a log: nothing that it chose but letters, digits, `_` and `-`, 64 bytes at most.
#[must_use]
pub(super) fn word(text: &str) -> String {
    let good = (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    if good { text.to_owned() } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16, code: &str, after: Option<u64>) -> Trouble {
        let after = after.map(Duration::from_secs);
        Trouble::new("h".to_owned(), Why::Refused { status, code: code.to_owned(), reason: String::new(), after })
    }

    #[test]
    fn what_passes_is_asked_again_and_what_was_denied_rests() {
        for status in [408, 429, 500, 502, 503, 504] {
            assert_eq!(refused(status, "", None).again(), Again::Soon, "{status}");
        }
        for code in ["internal_failure", "server_error", "temporarily_unavailable"] {
            assert_eq!(refused(400, code, None).again(), Again::Soon, "{code}");
        }
        for (status, code) in [(400, "invalid_grant"), (401, ""), (403, "PERMISSION_DENIED"), (404, "NOT_FOUND"), (501, "")] {
            let trouble = refused(status, code, None);
            assert_eq!((trouble.again(), trouble.rest(), trouble.is_denial()), (Again::Never, DENIED, true), "{status}");
        }
        assert_eq!(refused(429, "", Some(7)).again(), Again::After(Duration::from_secs(7)));
        assert_eq!(refused(429, "", Some(100_000)).rest(), LONGEST_REST, "nobody is silenced for a day");
        assert_eq!(refused(403, "", Some(7)).again(), Again::Never, "a denial with a time is a denial");
        let unreachable = Trouble::new("h".to_owned(), Why::Unreachable("timed out".to_owned()));
        assert_eq!((unreachable.again(), unreachable.rest(), unreachable.is_denial()), (Again::Soon, FAILED, false));
        for why in [Why::Expired, Why::Flavor, Why::MediaType, Why::Form("x"), Why::Token("x"), Why::Unreadable, Why::Redirects(302)] {
            let trouble = Trouble::new("h".to_owned(), why);
            assert_eq!((trouble.again(), trouble.rest()), (Again::Never, FAILED), "{trouble}");
        }
    }

    #[test]
    fn words_of_a_provider_are_words() {
        for good in ["invalid_grant", "PERMISSION_DENIED", "a-b", "X9"] {
            assert_eq!(word(good), good);
        }
        for bad in ["", "a b", "ya29.secret", "a\n", "é", "<b>", &"a".repeat(65)] {
            assert_eq!(word(bad), "", "{bad:?}");
        }
        assert_eq!(refused(403, "PERMISSION_DENIED", None).to_string(), "h: it refuses with status 403 (PERMISSION_DENIED)");
        assert_eq!(refused(500, "", None).to_string(), "h: it refuses with status 500");
        assert!(refused(403, "PERMISSION_DENIED", None).help().is_some_and(|help| help.contains("serviceAccountTokenCreator")));
    }
}
