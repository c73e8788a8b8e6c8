//! Copies of the documents of well-known clients, for when their hosts do not answer a server (product 4.4).
//!
//! The data stand in `catalogue.toml`. An entry is used only where there is neither the document itself nor a copy of it made
//! here, so it never allows more than a document that was read.

use crate::oauth::client::{Client, DocumentSource};
use crate::oauth::document::{self, BadDocument, DocumentUrl};
use crate::oauth::redirect::Schemes;
use crate::time::Timestamp;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::sync::LazyLock;

/// One well-known client.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Its client id: the URL of its document.
    pub client_id: String,
    /// Who publishes it: the host of the document.
    pub publisher: String,
    /// Its name, as the document has it.
    pub client_name: String,
    /// Its redirect URIs, as the document has them.
    pub redirect_uris: Vec<String>,
    /// The ways to prove itself that the document names.
    pub auth_methods: Vec<String>,
    /// The URL of its keys.
    pub jwks_uri: Option<String>,
    /// The day on which the document was read, `2026-09-24`.
    pub copied: String,
    /// What is odd about it.
    #[serde(default)]
    pub quirks: Vec<Quirk>,
    /// Command by which a person makes it sign in.
    pub login_command: Option<String>,
}

/// What is odd about a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Quirk {
    /// Asks for every scope that the server lists.
    ListsScopesAll,
    /// Registers itself even where its document could be used.
    DcrOnly,
    /// Refuses an answer without `iss` (RFC 9207).
    NeedsIss,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Data {
    client: Vec<Entry>,
}

/// A document as an entry knows it.
#[derive(Serialize)]
struct Copy<'a> {
    client_id: &'a str,
    client_name: &'a str,
    redirect_uris: &'a [String],
    token_endpoint_auth_methods_supported: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    jwks_uri: Option<&'a str>,
}

// A file that cannot be read is found by its tests; a gateway with it would know no client by heart.
static DATA: LazyLock<Vec<Entry>> =
    LazyLock::new(|| toml::from_str::<Data>(include_str!("catalogue.toml")).map(|data| data.client).unwrap_or_default());

/// All entries.
#[must_use]
pub fn all() -> &'static [Entry] {
    &DATA
}

/// The entry of exactly this client id.
#[must_use]
pub fn find(id: &str) -> Option<&'static Entry> {
    DATA.iter().find(|entry| entry.client_id == id)
}

// === impl Entry ===

impl Entry {
    /// The client, as its document described it on the day of the copy: read by the same rules as the document itself.
    ///
    /// # Errors
    /// [`BadDocument`], where the rules of today refuse it.
    pub fn client(&self, schemes: &Schemes) -> Result<Client, BadDocument> {
        let url = DocumentUrl::new(&self.client_id).map_err(|_| BadDocument::OtherClient)?;
        let copy = Copy {
            client_id: &self.client_id,
            client_name: &self.client_name,
            redirect_uris: &self.redirect_uris,
            token_endpoint_auth_methods_supported: &self.auth_methods,
            jwks_uri: self.jwks_uri.as_deref(),
        };
        let body = serde_json::to_vec(&copy).map_err(|_| BadDocument::NotJson)?;
        document::parse(&url, &Bytes::from(body), DocumentSource::Catalogue, self.day(), schemes)
    }

    /// The beginning of the day of the copy, in UTC.
    #[must_use]
    pub fn day(&self) -> Timestamp {
        let start = self.copied.parse::<jiff::civil::Date>().and_then(|day| day.to_zoned(jiff::tz::TimeZone::UTC));
        let ms = start.ok().and_then(|start| u64::try_from(start.timestamp().as_millisecond()).ok());
        Timestamp::from_millis(ms.unwrap_or(0))
    }
}

#[cfg(test)]
mod tests;
