//! What was seen in a call or a result and let pass, because the configuration says so. Goes to the audit record.
//!
//! Owns the stable ids. A flag holds no value of a caller or a server: where something stands and of which kind it is.

use crate::contract::Fit;
use crate::identity::foreign::ForeignKind;

/// One thing that was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flag {
    id: &'static str,
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

// === impl Flag ===

impl Flag {
    /// What is to be said of a verdict; `None` where it fits.
    #[must_use]
    pub fn of(half: Half, fit: &Fit) -> Option<Self> {
        let (id, detail) = match (half, fit) {
            (_, Fit::Fits) => return None,
            (Half::Arguments, Fit::Misfit(misfit)) => ("arguments_misfit", misfit.to_string()),
            (Half::Arguments, Fit::Unchecked(why)) => ("arguments_unchecked", why.to_string()),
            (Half::Result, Fit::Misfit(misfit)) => ("result_misfit", misfit.to_string()),
            (Half::Result, Fit::Unchecked(why)) => ("result_unchecked", why.to_string()),
            (Half::Arguments, Fit::Unusable(why)) => ("schema_unusable", format!("inputSchema: {why}")),
            (Half::Result, Fit::Unusable(why)) => ("schema_unusable", format!("outputSchema: {why}")),
        };
        Some(Self { id, detail })
    }

    /// A credential of somebody else in an argument (PT-02).
    #[must_use]
    pub fn foreign_token(kind: ForeignKind) -> Self {
        Self { id: "foreign_token", detail: format!("a token of {}", kind.as_str()) }
    }

    /// Stable id for records and documentation, `snake_case`.
    #[must_use]
    pub const fn id(&self) -> &'static str {
        self.id
    }

    /// Where it stands, or of which kind it is.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.detail
    }
}
