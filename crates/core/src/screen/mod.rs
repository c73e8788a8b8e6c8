//! What an upstream's content may not carry to a client: the live credential of the call (PT-03), secrets of others, what is
//! about a person, instructions to a model (POL-04), and more than was allowed.
//!
//! Owns the witness [`Screened`]; [`apply`] makes it from an upstream's content, [`own`] from Doorward's. A pure function: it
//! cannot be away, and what it cannot finish is kept back. The rules are in `rules`, the search in one text in `search`,
//! what becomes of a whole message in `message`, definitions of tools in `definition` (POL-03). Engines outside of the process
//! would join in [`apply`]'s callers, never here.

pub mod definition;
mod message;
pub mod modes;
mod own;
mod rules;
mod search;
mod tail;
mod views;

pub use message::Shape;
pub use modes::{Binary, Mode, Modes};
pub use rules::Subject;
pub use search::{BadRules, Searcher};
pub use tail::Tail;

use crate::contract::Measure;
use crate::credential::UpstreamSecret;
use crate::json::RawJson;
use rules::Rule;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

/// The rules, and what is done about what they find: of one server.
#[derive(Debug, Clone)]
pub struct Screen {
    searcher: Arc<Searcher>,
    modes: Modes,
}

/// What one message is screened with.
#[derive(Debug)]
pub struct Means<'a> {
    /// The rules of its server.
    pub screen: &'a Screen,
    /// The credential of its call, which must not come back.
    pub secret: Option<&'a UpstreamSecret>,
    /// Largest message, in bytes.
    pub limit: usize,
    /// What Doorward wrote into the message where a server could write, too: its own values pass, others at their places do not.
    pub ours: &'a [&'a str],
}

/// Content that passed the screen.
#[derive(Debug)]
pub struct Screened {
    content: RawJson,
    seen: Vec<Seen>,
}

/// What one rule found in a message, and what was done. Holds nothing of what was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seen {
    rule: &'static str,
    action: Action,
}

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// It is on the record.
    Flagged,
    /// Words stand in its place.
    Redacted,
    /// The message was kept back.
    Blocked,
}

/// A message that was kept back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct Blocked {
    why: Why,
    seen: Vec<Seen>,
}

/// Why content was kept back. What it was is not repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// It holds the credential with which Doorward made the call.
    OwnCredential,
    /// It is larger than `limits.result_bytes`.
    TooLarge,
    /// A rule says so, or it could not be covered where it stands.
    Content(Subject, &'static str),
    /// An image, audio or a blob that is no text, where the configuration lets none through.
    Binary,
    /// The screen itself failed.
    Failed,
}

/// Screens one message for a client: a whole JSON-RPC message. What was found and may be covered is covered; without a finding
/// the message stays as it is, byte for byte. `tail` is what this stream said before, where texts may be in parts.
///
/// # Errors
/// [`Blocked`].
pub fn apply(means: &Means<'_>, shape: Shape<'_>, tail: Option<&mut Tail>, content: RawJson) -> Result<Screened, Blocked> {
    if content.as_bytes().len() > means.limit {
        return Err(Blocked::because(Why::TooLarge));
    }
    // A panic would end the request, too; here its end has a name on the record.
    let screened = std::panic::catch_unwind(AssertUnwindSafe(|| {
        if means.secret.is_some_and(|secret| own::shows(secret, content.as_bytes())) {
            return Err(Blocked::because(Why::OwnCredential));
        }
        message::screened(means, shape, tail, content)
    }));
    screened.unwrap_or_else(|_| Err(Blocked::because(Why::Failed)))
}

/// Content of Doorward's own making: nothing of an upstream's words is in it but what was screened or approved before.
#[must_use]
pub const fn own(content: RawJson) -> Screened {
    Screened { content, seen: Vec::new() }
}

// === impl Screen ===

impl Screen {
    /// The rules as a server is configured.
    #[must_use]
    pub const fn new(searcher: Arc<Searcher>, modes: Modes) -> Self {
        Self { searcher, modes }
    }

    /// Credentials in something that a caller sends: each rule once, and what is done (POL-04). Pure, and bounded like the screen of
    /// replies by the size of what it is given, which is that of a request. `of_others` is done about tokens of other providers.
    #[must_use]
    pub fn arguments(&self, arguments: &RawJson, of_others: Measure) -> Vec<(&'static str, Action)> {
        let action = |rule: &str| match (rules::is_of_provider(rule), self.modes.arguments, of_others) {
            // What was not looked at may be anything.
            _ if rule == Why::Failed.rule() => Some(Action::Blocked),
            (true, _, Measure::Off) | (false, Mode::Off, _) => None,
            (true, _, Measure::Flag) | (false, Mode::Flag, _) => Some(Action::Flagged),
            (true, _, Measure::Refuse) | (false, Mode::Redact | Mode::Block, _) => Some(Action::Blocked),
        };
        if self.modes.arguments == Mode::Off && of_others == Measure::Off {
            return Vec::new();
        }
        // What cannot be read is no reason to let it pass.
        let found = std::panic::catch_unwind(AssertUnwindSafe(|| message::credentials(self, arguments)));
        found.unwrap_or_else(|_| vec![Why::Failed.rule()]).into_iter().filter_map(|rule| Some((rule, action(rule)?))).collect()
    }

    /// The same rules, asked for nothing: of what a person approved, the credential of the gateway alone is still kept back.
    #[must_use]
    pub fn for_approved(&self) -> Self {
        Self { searcher: Arc::clone(&self.searcher), modes: Modes::NONE }
    }
}

// === impl Screened ===

impl Screened {
    /// The content.
    #[must_use]
    pub fn into_content(self) -> RawJson {
        self.content
    }

    /// The content, to be digested.
    #[must_use]
    pub const fn content(&self) -> &RawJson {
        &self.content
    }

    /// What was found in it, for the record.
    #[must_use]
    pub fn seen(&self) -> &[Seen] {
        &self.seen
    }
}

// === impl Seen ===

impl Seen {
    fn new(rule: &Rule, action: Action) -> Self {
        Self { rule: rule.id, action }
    }

    /// Stable id of the rule.
    #[must_use]
    pub const fn rule(self) -> &'static str {
        self.rule
    }

    /// What was done.
    #[must_use]
    pub const fn action(self) -> Action {
        self.action
    }
}

// === impl Action ===

impl Action {
    /// The name in records and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Flagged => "flagged",
            Self::Redacted => "redacted",
            Self::Blocked => "blocked",
        }
    }
}

// === impl Blocked ===

impl Blocked {
    /// For what is no finding of a rule; on the record it is one all the same, also where the message is an event that nobody
    /// misses.
    fn because(why: Why) -> Self {
        Self { why, seen: vec![Seen { rule: why.rule(), action: Action::Blocked }] }
    }

    /// Nothing says how messages of this server are screened, so none passes.
    #[must_use]
    pub fn unscreened() -> Self {
        Self::because(Why::Failed)
    }

    /// Why.
    #[must_use]
    pub const fn why(&self) -> Why {
        self.why
    }

    /// What was found, for the record.
    #[must_use]
    pub fn seen(&self) -> &[Seen] {
        &self.seen
    }

    /// Stable id for records and metrics.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self.why {
            Why::OwnCredential => "own_credential_in_reply",
            Why::TooLarge => "reply_too_large",
            Why::Content(Subject::Credential, _) => "credential_in_reply",
            Why::Content(Subject::Personal, _) => "personal_data_in_reply",
            Why::Content(Subject::Injection, _) => "instructions_in_reply",
            Why::Binary => "binary_in_reply",
            Why::Failed => "screen_failed",
        }
    }
}

// === impl Why ===

impl Why {
    /// The name of the rule in records and metrics.
    const fn rule(self) -> &'static str {
        match self {
            Self::OwnCredential => "own-credential",
            Self::TooLarge => "too-large",
            Self::Content(_, rule) => rule,
            Self::Binary => "binary",
            Self::Failed => "screen-failed",
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OwnCredential => f.write_str("it contained the credential of this gateway"),
            Self::TooLarge => f.write_str("it was larger than allowed"),
            Self::Content(Subject::Credential, rule) => write!(f, "it contained a credential (rule {rule})"),
            Self::Content(Subject::Personal, rule) => write!(f, "it contained personal data (rule {rule})"),
            Self::Content(Subject::Injection, rule) => write!(f, "it contained instructions to the model (rule {rule})"),
            Self::Binary => f.write_str("it contained binary content"),
            Self::Failed => f.write_str("it could not be screened"),
        }
    }
}

#[cfg(test)]
mod evasions;
#[cfg(test)]
mod tests;
