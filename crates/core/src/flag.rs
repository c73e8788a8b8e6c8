//! What was seen in a call or a result and let pass, because the configuration says so. Goes to the audit record.
//!
//! Owns the stable ids. A flag holds no value of a caller or a server: where something stands and of which kind it is.

use crate::contract::Fit;
use crate::identity::foreign::ForeignKind;
use crate::screen::{Action, Seen as Screening};

/// One thing that was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flag {
    seen: Seen,
    detail: String,
    rule: Option<(&'static str, Action)>,
}

/// Which half of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Half {
    /// What the caller sent.
    Arguments,
    /// What the server gave.
    Result,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    Misfit(Half),
    Unchecked(Half),
    Unusable,
    ForeignToken,
    Content(Action),
    Secret,
}

// === impl Flag ===

impl Flag {
    /// What is to be said of a verdict; `None` where it fits.
    #[must_use]
    pub fn of(half: Half, fit: &Fit) -> Option<Self> {
        let (seen, detail) = match fit {
            Fit::Fits => return None,
            Fit::Misfit(misfit) => (Seen::Misfit(half), misfit.to_string()),
            Fit::Unchecked(why) => (Seen::Unchecked(half), why.to_string()),
            Fit::Unusable(why) => {
                let schema = if half == Half::Arguments { "inputSchema" } else { "outputSchema" };
                (Seen::Unusable, format!("{schema}: {why}"))
            }
        };
        Some(Self { seen, detail, rule: None })
    }

    /// A credential of somebody else in an argument (PT-02).
    #[must_use]
    pub fn foreign_token(kind: ForeignKind) -> Self {
        Self { seen: Seen::ForeignToken, detail: format!("a token of {}", kind.as_str()), rule: None }
    }

    /// A credential in an argument, by the rule that found it (POL-04).
    #[must_use]
    pub fn secret(rule: &'static str, action: Action) -> Self {
        Self { seen: Seen::Secret, detail: format!("a credential (rule {rule})"), rule: Some((rule, action)) }
    }

    /// What the screen found in a message of a server (POL-04).
    #[must_use]
    pub fn screened(seen: Screening) -> Self {
        let (rule, action) = (seen.rule(), seen.action());
        Self { seen: Seen::Content(action), detail: format!("{rule} {}", action.as_str()), rule: Some((rule, action)) }
    }

    /// The rule of the screen that it is about, and what was done.
    #[must_use]
    pub const fn rule(&self) -> Option<(&'static str, Action)> {
        self.rule
    }

    /// Stable id for records and documentation; the reason, where it is refused.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self.seen {
            Seen::Misfit(Half::Arguments) => "arguments_misfit",
            Seen::Misfit(Half::Result) => "result_misfit",
            Seen::Unchecked(Half::Arguments) => "arguments_unchecked",
            Seen::Unchecked(Half::Result) => "result_unchecked",
            Seen::Unusable => "schema_unusable",
            Seen::ForeignToken => "foreign_token",
            Seen::Content(Action::Flagged) => "content_flagged",
            Seen::Content(Action::Redacted) => "content_redacted",
            Seen::Content(Action::Blocked) => "content_blocked",
            Seen::Secret => "secret_in_arguments",
        }
    }

    /// Where it stands, or of which kind it is.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.detail
    }
}
