//! Issuers whose tokens count at `/k/...` and as grants: what is expected of their tokens, as the configuration says it.
//!
//! One rule for all of them, after which every kind is data: Google, IAP, AWS, Entra, Kubernetes, GitHub Actions, SPIFFE
//! (`credentials.md` C1, section 4). Must not know tokens, keys or where keys are read.

use crate::glob::Glob;
use crate::id::{GroupName, ProviderName};
use crate::oauth::scope::Scope;
use crate::oidc::jose::Alg;
use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

/// What is expected of the tokens of one issuer. Everything that is configured must hold.
#[derive(Debug, Clone)]
pub struct IssuerRule {
    /// Its name in the configuration.
    pub name: ProviderName,
    /// Whose tokens these are.
    pub kind: IssuerKind,
    /// The values of `iss` that mean it, byte for byte; at least one. The first is the first half of whoever it vouches for. For
    /// [`IssuerKind::Spiffe`] it is the trust domain as `spiffe://td`.
    pub issuers: Vec<String>,
    /// How its tokens may be signed; at least one.
    pub algs: Vec<Alg>,
    /// What `typ` may say, lower case; empty for `JWT` or nothing.
    pub types: Vec<String>,
    /// The values of `aud`, of which one is needed; empty for the address that was called, derived from `public_url`.
    pub audience: Vec<String>,
    /// Where the token comes in a request.
    pub carrier: Carrier,
    /// What claims must say.
    pub require: Vec<Demand>,
    /// Subjects, of which one pattern must fit; empty for every subject.
    pub subjects: Vec<SubjectPattern>,
    /// Addresses of Google service accounts, of which one pattern must fit. Empty: no service account counts.
    pub service_accounts: Vec<SubjectPattern>,
    /// Of [`IssuerKind::GoogleAccessToken`]: the OAuth clients of Google whose tokens count; at least one.
    pub clients: Vec<String>,
    /// Google Workspace domains (`hd`) of people, of which one is needed. Empty: no person of Google counts, but for those of `subjects` with
    /// an access token.
    pub domains: Vec<String>,
    /// Where groups stand; without it the groups count that are known of the user here.
    pub groups_claim: Option<String>,
    /// How far its clock may be from ours.
    pub leeway: Duration,
    /// How long ago a token may have been made.
    pub max_age: Option<Duration>,
    /// From `iat` to `exp` at most.
    pub max_lifetime: Duration,
    /// In which form its word counts.
    pub forms: Forms,
    /// What its tokens may be used for; nothing besides.
    pub scopes: BTreeSet<Scope>,
}

/// In which form the word of an issuer counts. Only a SPIFFE trust domain has more than one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forms {
    /// As tokens.
    Tokens,
    /// As certificates of clients: X.509-SVIDs.
    Certificates,
    /// As either.
    Both,
}

/// Whose tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IssuerKind {
    /// ID tokens of Google: people of a Workspace domain, and service accounts, also under impersonation.
    GoogleIdToken,
    /// Opaque access tokens of Google, of which Google says whose they are.
    GoogleAccessToken,
    /// The assertion that Google's Identity-Aware Proxy puts beside a request.
    GcpIap,
    /// Tokens of `sts:GetWebIdentityToken` (AWS outbound identity federation).
    AwsWebIdentity,
    /// Projected service-account tokens of a Kubernetes cluster.
    Kubernetes,
    /// JWT-SVIDs and X.509-SVIDs of a SPIFFE trust domain.
    Spiffe,
    /// Any other issuer of JWTs: Entra ID, GitHub Actions, an identity provider of one's own.
    Jwt,
}

/// Where a token comes in a request. A closed list: each is taken out of every request, configured or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carrier {
    /// `Authorization: Bearer`.
    Authorization,
    /// `X-Goog-Iap-Jwt-Assertion`.
    GoogleIap,
    /// `Cf-Access-Jwt-Assertion` of Cloudflare Access.
    CloudflareAccess,
    /// `X-Pomerium-Jwt-Assertion`.
    Pomerium,
}

/// What one claim must say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Demand {
    /// Its name; where it begins with `/`, the way to it (RFC 6901).
    pub claim: String,
    /// What it must be.
    pub wanted: Wanted,
}

/// What a claim must be. A claim that is a list says everything that stands in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// One of these texts.
    OneOf(Vec<String>),
    /// This truth value.
    Is(Truth),
    /// A text that fits a pattern.
    Like(SubjectPattern),
}

/// `true` or `false` in a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Truth {
    /// `true`.
    True,
    /// `false`.
    False,
}

/// A pattern of subjects. `*` is any run of characters within one part, and parts end at `:`, `/` and `@`: `repo:acme/*:ref:refs/heads/main`
/// does not mean `repo:acme/x:pull_request:ref:refs/heads/main`, which anybody could choose. `**` as the last part is one part or more.
#[derive(Clone, PartialEq, Eq)]
pub struct SubjectPattern {
    text: String,
    parts: Vec<Glob>,
    ends: Vec<char>,
    is_open: bool,
}

const LONGEST: usize = 512;

// === impl IssuerRule ===

impl IssuerRule {
    /// The first half of whoever it vouches for.
    #[must_use]
    pub fn issuer(&self) -> &str {
        self.issuers.first().map(String::as_str).unwrap_or_default()
    }

    /// Whether its tokens may be grants: what comes in a form, and says whose it is by itself. An opaque token of Google counts where it is
    /// called, and buys nothing that would outlive it.
    #[must_use]
    pub fn may_grant(&self) -> bool {
        self.forms.has_tokens() && self.carrier == Carrier::Authorization && self.kind != IssuerKind::GoogleAccessToken
    }
}

// === impl Forms ===

impl Forms {
    /// Whether tokens count.
    #[must_use]
    pub const fn has_tokens(self) -> bool {
        matches!(self, Self::Tokens | Self::Both)
    }

    /// Whether certificates count.
    #[must_use]
    pub const fn has_certificates(self) -> bool {
        matches!(self, Self::Certificates | Self::Both)
    }
}

// === impl IssuerKind ===

impl IssuerKind {
    /// Every kind.
    pub const ALL: [Self; 7] =
        [Self::GoogleIdToken, Self::GoogleAccessToken, Self::GcpIap, Self::AwsWebIdentity, Self::Kubernetes, Self::Spiffe, Self::Jwt];

    /// Its name in the configuration and the record.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::GoogleIdToken => "google-id-token",
            Self::GoogleAccessToken => "google-access-token",
            Self::GcpIap => "gcp-iap",
            Self::AwsWebIdentity => "aws-web-identity",
            Self::Kubernetes => "kubernetes",
            Self::Spiffe => "spiffe",
            Self::Jwt => "jwt",
        }
    }

    /// Whether everybody's workloads and people have tokens of the same issuer, so that a rule has to say whose count.
    #[must_use]
    pub const fn is_shared(self) -> bool {
        matches!(self, Self::GoogleIdToken | Self::GoogleAccessToken | Self::AwsWebIdentity)
    }
}

// === impl Carrier ===

impl Carrier {
    /// Those that are headers of their own.
    pub const HEADERS: [Self; 3] = [Self::GoogleIap, Self::CloudflareAccess, Self::Pomerium];

    /// The header, lower case.
    #[must_use]
    pub const fn header(self) -> &'static str {
        match self {
            Self::Authorization => "authorization",
            Self::GoogleIap => "x-goog-iap-jwt-assertion",
            Self::CloudflareAccess => "cf-access-jwt-assertion",
            Self::Pomerium => "x-pomerium-jwt-assertion",
        }
    }

    /// By the name of its header, in whatever case.
    #[must_use]
    pub fn named(header: &str) -> Option<Self> {
        [Self::Authorization].into_iter().chain(Self::HEADERS).find(|carrier| carrier.header().eq_ignore_ascii_case(header))
    }
}

// === impl SubjectPattern ===

impl SubjectPattern {
    /// Reads a pattern: 1 to 512 bytes, at least one character besides stars and separators.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let says_something = text.chars().any(|c| c != '*' && !is_end(c));
        if text.len() > LONGEST || !says_something {
            return None;
        }
        let (mut parts, ends) = split(text);
        let is_open = parts.len() > 1 && parts.last() == Some(&"**");
        if is_open {
            parts.pop();
        }
        // An empty part, as between the slashes of `spiffe://`, means an empty part.
        let one = |part: &str| if part.is_empty() { Some(Glob::empty()) } else { Glob::parse(part).filter(|_| !part.contains("**")) };
        let parts: Option<Vec<Glob>> = parts.into_iter().map(one).collect();
        parts.map(|parts| Self { text: text.to_owned(), parts, ends, is_open })
    }

    /// Whether it means `subject`.
    #[must_use]
    pub fn matches(&self, subject: &str) -> bool {
        let (parts, ends) = split(subject);
        let counts = if self.is_open { parts.len() > self.parts.len() } else { parts.len() == self.parts.len() };
        counts
            && ends.get(..self.ends.len()) == Some(self.ends.as_slice())
            && self.parts.iter().zip(&parts).all(|(pattern, part)| pattern.matches(part))
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether its first `count` parts say exactly what they mean: whose it is where everybody has subjects of an issuer.
    #[must_use]
    pub fn names(&self, count: usize) -> bool {
        let open = self.is_open && self.parts.len() < count;
        !open && self.parts.iter().take(count).all(|part| !part.as_str().contains('*'))
    }

    /// The same of its last part: the domain of an address.
    #[must_use]
    pub fn names_end(&self) -> bool {
        !self.is_open && self.parts.last().is_some_and(|part| !part.as_str().contains('*'))
    }
}

impl fmt::Debug for SubjectPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SubjectPattern({:?})", self.text)
    }
}

impl fmt::Display for SubjectPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

const fn is_end(c: char) -> bool {
    matches!(c, ':' | '/' | '@')
}

/// The parts of a text, and what each but the last ends with.
fn split(text: &str) -> (Vec<&str>, Vec<char>) {
    (text.split(is_end).collect(), text.chars().filter(|c| is_end(*c)).collect())
}

/// A user's groups as far as a token is concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenGroups {
    /// The token says which.
    Named(Vec<GroupName>),
    /// It is not asked: those that are known here count.
    Known,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rs_03_a_star_never_leaves_its_part() {
        let cases = [
            ("repo:acme/app:ref:refs/heads/main", "repo:acme/app:ref:refs/heads/main", true),
            ("repo:acme/*:ref:refs/heads/main", "repo:acme/app:ref:refs/heads/main", true),
            ("repo:acme/*:ref:refs/heads/main", "repo:acme/app:environment:x:ref:refs/heads/main", false),
            ("repo:acme/*:ref:refs/heads/main", "repo:acme/a/b:ref:refs/heads/main", false),
            ("repo:acme/*:ref:refs/heads/main", "repo:acme/app:ref:refs/heads/main2", false),
            ("repo:acme/*", "repo:acme/app", true),
            ("repo:acme/*", "repo:acme/app:pull_request", false),
            ("repo:acme/app:**", "repo:acme/app:pull_request", true),
            ("repo:acme/app:**", "repo:acme/app:ref:refs/heads/x", true),
            ("repo:acme/app:**", "repo:acme/app", false),
            ("repo:acme/app:**", "repo:acme/app2:x", false),
            ("repo:acme/app:**", "repo:acme:app:x", false),
            ("system:serviceaccount:agents:*", "system:serviceaccount:agents:runner", true),
            ("system:serviceaccount:agents:*", "system:serviceaccount:agents:a:b", false),
            ("agent-*@prod.iam.gserviceaccount.com", "agent-7@prod.iam.gserviceaccount.com", true),
            ("agent-*@prod.iam.gserviceaccount.com", "agent-7@evil.iam.gserviceaccount.com", false),
            ("arn:aws:iam::123456789012:role/ci-*", "arn:aws:iam::123456789012:role/ci-build", true),
            ("arn:aws:iam::123456789012:role/ci-*", "arn:aws:iam::210987654321:role/ci-build", false),
            ("spiffe://prod.acme/ns/*/sa/agent", "spiffe://prod.acme/ns/a/sa/agent", true),
            ("spiffe://prod.acme/ns/*/sa/agent", "spiffe://prod.acme/ns/a:sa/sa/agent", false),
            ("a/b", "a:b", false),
        ];
        for (pattern, subject, expected) in cases {
            let parsed = SubjectPattern::parse(pattern).expect(pattern);
            assert_eq!(parsed.matches(subject), expected, "{pattern} for {subject}");
        }
    }

    #[test]
    fn rs_03_a_pattern_says_whose_it_is_or_not() {
        let names = |pattern: &str, count| SubjectPattern::parse(pattern).expect(pattern).names(count);
        assert!(names("repo:acme/app:ref:refs/heads/main", 2));
        assert!(names("repo:acme/**", 2));
        assert!(names("0123456789", 2), "one subject");
        for open in ["repo:**", "repo:*/app:ref:refs/heads/main", "repo:acme*/app:x", "*:acme/app"] {
            assert!(!names(open, 2), "{open}");
        }
        assert!(names("arn:aws:iam::123456789012:role/ci-*", 5));
        assert!(!names("arn:aws:iam::*:role/ci", 5));
        assert!(!names("arn:**", 5));
        let ends = |pattern: &str| SubjectPattern::parse(pattern).expect(pattern).names_end();
        assert!(ends("agent-*@prod.iam.gserviceaccount.com"));
        assert!(!ends("agent@*.iam.gserviceaccount.com"));
        assert!(!ends("agent@**"));
    }

    #[test]
    fn a_pattern_that_would_mean_everybody_is_none() {
        for text in ["", "*", "**", "*:*", "**:a", "a:**:b", "a**", "a:b**", "*/*:*", "a?b"] {
            assert!(SubjectPattern::parse(text).is_none(), "{text}");
        }
    }
}
