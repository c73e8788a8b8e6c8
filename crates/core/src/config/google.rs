//! `server.*.credential` of the kinds `gcp-...`: who Doorward is at Google, and what a call becomes there (credentials 9).

use super::reference::SecretRef;
use crate::credential::google::mapping::Mapping;
use crate::credential::google::{Account, Scopes};
use http::HeaderName;
use std::collections::BTreeSet;

/// A token of Google for one server.
#[derive(Debug, Clone)]
pub struct GoogleCredential {
    /// Who Doorward itself is. It has no default (I7).
    pub source: GoogleSource,
    /// What is made of it.
    pub yields: Yields,
    /// The project that calls are billed to, where the configuration says it.
    pub quota_project: Option<String>,
}

/// Who Doorward itself is at Google.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GoogleSource {
    /// Application default credentials, in their order (9.1).
    Adc,
    /// The account of this machine.
    Metadata,
    /// A credential file.
    File(SecretRef),
}

/// What a call has in the end.
#[derive(Debug, Clone)]
pub enum Yields {
    /// An access token of Doorward's own identity.
    Access(Scopes),
    /// An ID token for one audience.
    Identity(Identity),
    /// An access token of the account that a row says.
    Mapped {
        /// The rows.
        mapping: Mapping,
        /// Accounts between the source and that one.
        delegates: Vec<Account>,
    },
}

/// An ID token.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Who it is for.
    pub audience: String,
    /// Whose it is; without one, Doorward's own.
    pub account: Option<Account>,
    /// Accounts between the source and that one.
    pub delegates: Vec<Account>,
    /// Where it stands in a request.
    pub header: HeaderName,
}

/// Accounts that a page names of one server.
const SHOWN: usize = 3;

impl GoogleCredential {
    /// `kind`, as it is written.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self.yields {
            Yields::Access(_) => "gcp-access-token",
            Yields::Identity(_) => "gcp-id-token",
            Yields::Mapped { .. } => "gcp-impersonate",
        }
    }
}

impl GoogleCredential {
    /// The accounts that calls of the server can go as, each once, in the order of their rows; none where they go as Doorward itself.
    #[must_use]
    pub fn accounts(&self) -> Vec<&Account> {
        let mut all: Vec<&Account> = match &self.yields {
            Yields::Access(_) => Vec::new(),
            Yields::Identity(identity) => identity.account.iter().collect(),
            Yields::Mapped { mapping, .. } => mapping.rows().iter().map(|row| &row.grant.account).collect(),
        };
        let mut seen = BTreeSet::new();
        all.retain(|account| seen.insert(*account));
        all
    }

    /// As whom calls go, for people: the first of the accounts.
    #[must_use]
    pub fn shown(&self) -> String {
        let accounts = self.accounts();
        let names: Vec<&str> = accounts.iter().take(SHOWN).map(|account| account.as_str()).collect();
        match accounts.len() {
            0 => "Doorward's own identity at Google".to_owned(),
            1..=SHOWN => names.join(", "),
            _ => format!("{} and others", names.join(", ")),
        }
    }
}

impl std::fmt::Display for GoogleSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Adc => f.write_str("adc"),
            Self::Metadata => f.write_str("metadata"),
            Self::File(reference) => write!(f, "{reference}"),
        }
    }
}
