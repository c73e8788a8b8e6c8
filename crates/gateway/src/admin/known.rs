//! Every client that is known to an installation: of the configuration, built in, of the catalogue, read, or given something. Reads only.

use doorward_core::config::clients::Clients;
use doorward_core::id::ClientId;
use doorward_core::identity::attested;
use doorward_core::oauth::admission::Blocked;
use doorward_core::oauth::catalogue;
use doorward_core::oauth::device::COMMAND_LINE;
use doorward_core::oauth::document::DocumentUrl;
use doorward_core::oauth::registration::PREFIX;
use doorward_core::secret::sha256;
use doorward_core::time::Timestamp;
use doorward_store::{Block, KnownClient, Store, StoreError};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// A client as it is listed.
#[derive(Debug)]
pub struct Known {
    /// Its id; none for a digest that was blocked and belongs to nothing that is known.
    pub id: Option<ClientId>,
    /// SHA-256 of its id.
    pub digest: [u8; 32],
    /// As it was called last: by the configuration, the catalogue, or on the page of a consent.
    pub name: Option<String>,
    /// Where it is known from.
    pub kind: Kind,
    /// Who says who it is.
    pub identified: String,
    /// First consent or token that is still kept, or when its document was read.
    pub since: Option<Timestamp>,
    /// When a token of it was last fetched.
    pub used: Option<Timestamp>,
    /// Consents that count.
    pub consents: u64,
    /// What blocks it.
    pub blocked: Vec<By>,
}

/// Where it is known from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `[[clients.static]]`.
    Configuration,
    /// The command line of this program.
    BuiltIn,
    /// A client id metadata document.
    Document,
    /// One of those, built in as a copy.
    Catalogue,
    /// It registered by itself.
    Registration,
    /// An issuer of tokens names it.
    Issuer,
    /// Of an earlier configuration.
    Other,
}

/// What blocks a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum By {
    /// `clients.block`.
    Configuration,
    /// `doorward clients block`, or the page of administrators.
    Administrator {
        /// Since when.
        since: Timestamp,
        /// Why, as whoever did it wrote.
        reason: Option<String>,
    },
}

/// What the store knows.
struct Stored {
    given: Vec<KnownClient>,
    documents: Vec<(ClientId, Timestamp)>,
    blocks: Vec<Block>,
}

/// Reads all of them, by the digests of their ids.
///
/// # Errors
/// [`StoreError`].
pub async fn read(clients: &Clients, store: &Store, now: Timestamp) -> Result<BTreeMap<[u8; 32], Known>, StoreError> {
    let given = store.known_clients(now).await?;
    let (documents, blocks) = (store.read_documents().await?, store.list_blocks().await?);
    Ok(merged(clients, Stored { given, documents, blocks }))
}

fn merged(clients: &Clients, stored: Stored) -> BTreeMap<[u8; 32], Known> {
    let mut all = BTreeMap::new();
    let fixed = clients.fixed.iter().map(|client| (client.id.clone(), Some(client.name.clone())));
    let own = ClientId::new(COMMAND_LINE).ok().map(|id| (id, Some("Doorward command line".to_owned())));
    let copied = catalogue::all().iter();
    let copied = copied.filter_map(|entry| Some((ClientId::new(&entry.client_id).ok()?, Some(entry.client_name.clone()))));
    let allowed = clients.admission.allow.iter().map(|id| (id.clone(), None));
    for (id, name) in copied.chain(own).chain(allowed).chain(fixed) {
        let known = entry(&mut all, clients, &id);
        known.name = name.or(known.name.take());
    }
    for (id, checked) in stored.documents {
        let known = entry(&mut all, clients, &id);
        known.since = Some(checked);
        known.kind = Kind::Document;
    }
    for KnownClient { client, shown, since, used, consents } in stored.given {
        let known = entry(&mut all, clients, &client);
        known.name = known.name.take().or(shown.map(|(name, _)| name));
        known.since = Some(known.since.map_or(since, |read| read.min(since)));
        (known.used, known.consents) = (used, consents);
    }
    for Block { digest, client, reason, since } in stored.blocks {
        let by = By::Administrator { since, reason };
        let known = match &client {
            Some(id) => entry(&mut all, clients, id),
            None => all.entry(digest).or_insert_with(|| nameless(digest)),
        };
        known.blocked.push(by);
    }
    for blocked in &clients.admission.block {
        let known = match blocked {
            Blocked::Id(id) => entry(&mut all, clients, id),
            Blocked::Digest(digest) => all.entry(*digest).or_insert_with(|| nameless(*digest)),
        };
        known.blocked.push(By::Configuration);
    }
    all
}

fn entry<'a>(all: &'a mut BTreeMap<[u8; 32], Known>, clients: &Clients, id: &ClientId) -> &'a mut Known {
    let digest = sha256(id.as_str().as_bytes());
    all.entry(digest).or_insert_with(|| {
        let (kind, identified) = identified(clients, id);
        Known { id: Some(id.clone()), kind, identified, ..nameless(digest) }
    })
}

fn nameless(digest: [u8; 32]) -> Known {
    let identified = "never met here".to_owned();
    let (id, name, since, used) = (None, None, None, None);
    Known { id, digest, name, kind: Kind::Other, identified, since, used, consents: 0, blocked: Vec::new() }
}

/// Where a client is known from, and who says who it is.
fn identified(clients: &Clients, id: &ClientId) -> (Kind, String) {
    let text = id.as_str();
    let administrator = "named by the administrator".to_owned();
    if clients.fixed.iter().any(|client| client.id == *id) {
        return (Kind::Configuration, administrator);
    }
    let kind = match DocumentUrl::new(text) {
        Ok(url) if catalogue::find(url.as_str()).is_some() => Kind::Catalogue,
        Ok(_) => Kind::Document,
        Err(_) if text.starts_with(PREFIX) => Kind::Registration,
        Err(_) if text.starts_with(attested::PREFIX) => Kind::Issuer,
        Err(_) if text == COMMAND_LINE => Kind::BuiltIn,
        Err(_) => Kind::Other,
    };
    if clients.admission.allow.contains(id) {
        return (kind, administrator);
    }
    let identified = match kind {
        Kind::Catalogue | Kind::Document => {
            DocumentUrl::new(text).map_or_else(|_| String::new(), |url| format!("published by {}", url.host()))
        }
        Kind::Registration | Kind::BuiltIn => "says so itself".to_owned(),
        Kind::Issuer => format!("vouched for by {}", text.split('/').next().unwrap_or_default()),
        Kind::Configuration | Kind::Other => "not in the configuration any more".to_owned(),
    };
    (kind, identified)
}

// === impl Known ===

impl Known {
    /// Whether an administrator blocks it, whatever the configuration says.
    #[must_use]
    pub fn is_blocked_by_somebody(&self) -> bool {
        self.blocked.iter().any(|by| matches!(by, By::Administrator { .. }))
    }

    /// What stands for it wherever it can be blocked: `sha256:` and digits.
    #[must_use]
    pub fn digest_text(&self) -> String {
        Blocked::Digest(self.digest).to_string()
    }

    /// Where it stands in a list: what somebody allowed something first, then by id.
    #[must_use]
    pub fn place(&self) -> (bool, Option<&str>) {
        (self.consents == 0, self.id.as_ref().map(ClientId::as_str))
    }

    /// For programs: ids whole.
    #[must_use]
    pub fn as_json(&self) -> Value {
        let blocked: Vec<Value> = self.blocked.iter().map(By::as_json).collect();
        json!({"id": self.id.as_ref().map(ClientId::as_str), "digest": self.digest_text(), "name": self.name,
            "kind": self.kind.as_str(), "identified": self.identified, "since": self.since.map(|at| at.to_string()),
            "last_used": self.used.map(|at| at.to_string()), "consents": self.consents, "blocked": blocked})
    }
}

impl Kind {
    /// Its name on pages and for programs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Configuration => "configuration",
            Self::BuiltIn => "built in",
            Self::Document => "document",
            Self::Catalogue => "catalogue",
            Self::Registration => "registration",
            Self::Issuer => "issuer",
            Self::Other => "other",
        }
    }
}

impl By {
    fn as_json(&self) -> Value {
        match self {
            Self::Configuration => json!({"by": "configuration"}),
            Self::Administrator { since, reason } => json!({"by": "administrator", "since": since.to_string(), "reason": reason}),
        }
    }
}
