//! What was seen in a call or a result and let pass, because the configuration says so. Goes to the audit record.
//!
//! Owns the stable ids. A flag holds no value of a caller or a server: where something stands and of which kind it is.

use crate::contract::Fit;
use crate::identity::foreign::ForeignKind;

/// One thing that was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flag {
    seen: Seen,
    detail: String,
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
        Some(Self { seen, detail })
    }

    /// A credential of somebody else in an argument (PT-02).
    #[must_use]
    pub fn foreign_token(kind: ForeignKind) -> Self {
        Self { seen: Seen::ForeignToken, detail: format!("a token of {}", kind.as_str()) }
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
        }
    }

    /// Where it stands, or of which kind it is.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.detail
    }
}
