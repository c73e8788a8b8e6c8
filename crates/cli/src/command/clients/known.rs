//! Every client that is known to an installation: of the configuration, built in, of the catalogue, read, or given something. Reads only.

use crate::command::apikey::unavailable;
use crate::console::{counted, inert};
use crate::failure::Failure;
use crate::house::House;
use doorward_core::config::Config;
use doorward_core::config::clients::StaticAuth;
use doorward_core::id::ClientId;
use doorward_core::identity::attested;
use doorward_core::oauth::admission::Blocked;
use doorward_core::oauth::catalogue;
use doorward_core::oauth::device::COMMAND_LINE;
use doorward_core::oauth::document::DocumentUrl;
use doorward_core::oauth::registration::PREFIX;
use doorward_core::secret::sha256;
use doorward_core::time::Timestamp;
use doorward_store::{Block, KnownClient, Store};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// A client as it is listed.
#[derive(Debug)]
pub(super) struct Known {
    /// Its id; none for a digest that was blocked and belongs to nothing that is known.
    pub(super) id: Option<ClientId>,
    digest: [u8; 32],
    name: Option<String>,
    kind: Kind,
    identified: String,
    since: Option<Timestamp>,
    used: Option<Timestamp>,
    consents: u64,
    /// What blocks it.
    pub(super) blocked: Vec<By>,
}

/// Where it is known from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Configuration,
    BuiltIn,
    Document,
    Catalogue,
    Registration,
    Issuer,
    Other,
}

/// What blocks a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum By {
    /// `clients.block`.
    Configuration,
    /// `doorward clients block`.
    Command { since: Timestamp, reason: Option<String> },
}

/// What the store knows.
pub(super) struct Stored {
    pub(super) given: Vec<KnownClient>,
    pub(super) documents: Vec<(ClientId, Timestamp)>,
    pub(super) blocks: Vec<Block>,
}

/// Longest id that is shown whole, and how much of a longer one.
const WHOLE: usize = 80;
const BEGINNING: usize = 24;

/// Reads all of them, by the digests of their ids.
///
/// # Errors
/// [`Failure`] of the store.
pub(super) async fn read(house: &House, store: &Store) -> Result<BTreeMap<[u8; 32], Known>, Failure> {
    let given = store.known_clients(house.env.now()).await.map_err(|error| unavailable(&error))?;
    let documents = store.read_documents().await.map_err(|error| unavailable(&error))?;
    let blocks = store.list_blocks().await.map_err(|error| unavailable(&error))?;
    Ok(merged(house.config(), Stored { given, documents, blocks }))
}

fn merged(config: &Config, stored: Stored) -> BTreeMap<[u8; 32], Known> {
    let mut all = BTreeMap::new();
    let fixed = config.clients.fixed.iter().map(|client| (client.id.clone(), Some(client.name.clone())));
    let own = ClientId::new(COMMAND_LINE).ok().map(|id| (id, Some("Doorward command line".to_owned())));
    let copied = catalogue::all().iter();
    let copied = copied.filter_map(|entry| Some((ClientId::new(&entry.client_id).ok()?, Some(entry.client_name.clone()))));
    let allowed = config.clients.admission.allow.iter().map(|id| (id.clone(), None));
    for (id, name) in copied.chain(own).chain(allowed).chain(fixed) {
        let known = entry(&mut all, config, &id);
        known.name = name.or(known.name.take());
    }
    for (id, checked) in stored.documents {
        let known = entry(&mut all, config, &id);
        known.since = Some(checked);
        known.kind = Kind::Document;
    }
    for KnownClient { client, shown, since, used, consents } in stored.given {
        let known = entry(&mut all, config, &client);
        known.name = known.name.take().or(shown.map(|(name, _)| name));
        known.since = Some(known.since.map_or(since, |read| read.min(since)));
        (known.used, known.consents) = (used, consents);
    }
    for Block { digest, client, reason, since } in stored.blocks {
        let by = By::Command { since, reason };
        let known = match &client {
            Some(id) => entry(&mut all, config, id),
            None => all.entry(digest).or_insert_with(|| nameless(digest)),
        };
        known.blocked.push(by);
    }
    for blocked in &config.clients.admission.block {
        let known = match blocked {
            Blocked::Id(id) => entry(&mut all, config, id),
            Blocked::Digest(digest) => all.entry(*digest).or_insert_with(|| nameless(*digest)),
        };
        known.blocked.push(By::Configuration);
    }
    all
}

fn entry<'a>(all: &'a mut BTreeMap<[u8; 32], Known>, config: &Config, id: &ClientId) -> &'a mut Known {
    let digest = sha256(id.as_str().as_bytes());
    all.entry(digest).or_insert_with(|| {
        let (kind, identified) = identified(config, id);
        Known { id: Some(id.clone()), kind, identified, ..nameless(digest) }
    })
}

fn nameless(digest: [u8; 32]) -> Known {
    let identified = "never met here".to_owned();
    let (id, name, since, used) = (None, None, None, None);
    Known { id, digest, name, kind: Kind::Other, identified, since, used, consents: 0, blocked: Vec::new() }
}

/// Where a client is known from, and who says who it is.
fn identified(config: &Config, id: &ClientId) -> (Kind, String) {
    let text = id.as_str();
    let clients = &config.clients;
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

/// How a client of the configuration proves itself, by the name in metadata.
pub(super) const fn method(auth: &StaticAuth) -> &'static str {
    match auth {
        StaticAuth::None => "none",
        StaticAuth::Basic(_) => "client_secret_basic",
        StaticAuth::Post(_) => "client_secret_post",
        StaticAuth::PrivateKeyJwt(_) => "private_key_jwt",
    }
}

/// An id as it fits into a line, inert.
pub(in crate::command) fn shortened(id: &str) -> String {
    if id.len() <= WHOLE {
        return inert(id);
    }
    let start: String = id.chars().take(BEGINNING).collect();
    format!("{}...", inert(&start))
}

// === impl Known ===

impl Known {
    /// Where it stands in a list: what somebody allowed something first, then by id.
    pub(super) fn place(&self) -> (bool, Option<&str>) {
        (self.consents == 0, self.id.as_ref().map(ClientId::as_str))
    }

    /// For people.
    pub(super) fn lines(&self) -> Vec<String> {
        let digest = Blocked::Digest(self.digest).to_string();
        let first = match &self.id {
            Some(id) => shortened(id.as_str()),
            None => digest.clone(),
        };
        let name = self.name.as_deref().map(|name| format!("  \"{}\"", inert(name))).unwrap_or_default();
        let mut lines = vec![format!("{first}{name}  {}, {}", self.kind.as_str(), inert(&self.identified))];
        let mut facts = Vec::new();
        facts.extend(self.id.as_ref().filter(|id| id.as_str().len() > WHOLE).map(|_| digest));
        facts.extend(self.since.map(|at| format!("since {at}")));
        facts.push(self.used.map_or_else(|| "never used".to_owned(), |at| format!("used {at}")));
        facts.push(counted(self.consents, "consent"));
        lines.push(format!("    {}", facts.join("  ")));
        lines.extend(self.blocked.iter().map(|by| format!("    {}", by.words())));
        lines
    }

    /// For programs: ids whole.
    pub(super) fn as_json(&self) -> Value {
        let blocked: Vec<Value> = self.blocked.iter().map(By::as_json).collect();
        json!({"id": self.id.as_ref().map(ClientId::as_str), "digest": Blocked::Digest(self.digest).to_string(), "name": self.name,
            "kind": self.kind.as_str(), "identified": self.identified, "since": self.since.map(|at| at.to_string()),
            "last_used": self.used.map(|at| at.to_string()), "consents": self.consents, "blocked": blocked})
    }
}

impl Kind {
    const fn as_str(self) -> &'static str {
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
    fn words(&self) -> String {
        match self {
            Self::Configuration => "blocked by clients.block".to_owned(),
            Self::Command { since, reason: None } => format!("blocked since {since}"),
            Self::Command { since, reason: Some(reason) } => format!("blocked since {since}: {}", inert(reason)),
        }
    }

    fn as_json(&self) -> Value {
        match self {
            Self::Configuration => json!({"by": "configuration"}),
            Self::Command { since, reason } => json!({"by": "command", "since": since.to_string(), "reason": reason}),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_chose_cannot_draw_and_long_ids_stand_for_themselves_by_their_digest() {
        let id = ClientId::new(&format!("dwc_{}", "A".repeat(300))).expect("id");
        let digest = sha256(id.as_str().as_bytes());
        let name = Some("Nice\u{1b}[2J\u{202e}".to_owned());
        let known = Known { id: Some(id), kind: Kind::Registration, name, ..nameless(digest) };
        let shown = known.lines().join("\n");
        assert!(shown.starts_with("dwc_AAAAAAAAAAAAAAAAAAAA...  \"Nice\\u{1b}[2J\\u{202e}\"  registration"), "{shown}");
        assert!(shown.contains(&Blocked::Digest(digest).to_string()), "what clients block takes: {shown}");
        assert!(known.as_json()["id"].as_str().is_some_and(|id| id.len() == 304), "whole for programs");
        let by = By::Command { since: Timestamp::from_millis(0), reason: Some("x\u{7}".to_owned()) };
        assert!(!by.words().contains('\u{7}'));
    }
}
