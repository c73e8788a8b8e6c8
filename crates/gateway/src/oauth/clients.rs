//! From a client id to the client: one of the configuration, one that registered itself, or one with a document.
//!
//! A document is read from its own URL first, only once somebody is signed in; when that fails, the last good copy stands in, then
//! the catalogue (product 4.4). Nothing stands in for what the publisher itself says: a document of its own that cannot be accepted lets
//! nobody in, and one that it took away ends the client. Grants that were given go on while a document is merely not acceptable.

use crate::oauth::fetch::{Fetcher, Why};
use crate::oauth::key_sets::{KeySets, Wanted};
use bytes::Bytes;
use doorward_core::id::ClientId;
use doorward_core::oauth::admission::Admission;
use doorward_core::oauth::catalogue;
use doorward_core::oauth::client::{Client, DocumentSource, Keys};
use doorward_core::oauth::document::{self, DocumentUrl, MAX_DOCUMENT};
use doorward_core::oauth::registration::{PREFIX, RegistrationKeys};
use doorward_core::oauth::scope::Scope;
use doorward_core::oidc::keys::KeySet;
use doorward_core::time::Timestamp;
use doorward_store::{ClientDocument, Store, StoreError};
use governor::clock::DefaultClock;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Every client that may ask.
pub struct Clients {
    admission: Admission,
    fixed: BTreeMap<ClientId, Client>,
    keys: RegistrationKeys,
    fetcher: Fetcher,
    store: Store,
    flights: Flights,
    key_sets: KeySets,
    /// Good assertions of each client: each is remembered until it ends, and there is room for so many of all.
    assertions: RateLimiter<ClientId, HashMapStateStore<ClientId>, DefaultClock>,
}

/// Why a client id is no client now. To the caller unknown, blocked and not allowed look the same (product R6).
#[derive(Debug, thiserror::Error)]
pub enum Unresolved {
    /// Nobody's: not registered here, and not the URL of a document.
    #[error("no such client")]
    Unknown,
    /// The administrator blocked it, in the configuration or by the command line.
    #[error("the client is blocked")]
    Blocked,
    /// Neither `clients.metadata_documents` nor `clients.dynamic_registration` lets it in.
    #[error("clients of this kind are not allowed here")]
    NotAllowed,
    /// Its document has to be read, and may not be: nobody is signed in yet.
    #[error("the document of the client has not been read yet")]
    NeedsFetch,
    /// Its document could not be read, and there is no copy.
    #[error("the client could not be checked: {0}")]
    Unchecked(Why),
    /// Copies cannot be looked up.
    #[error("the store: {0}")]
    Store(#[from] StoreError),
}

/// Whether a document may be read for a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// Yes: a person is signed in, and waits for it.
    Allowed,
    /// No: nobody else makes this gateway ask other hosts (REG-08).
    Withheld,
}

/// One request for each address at a time. Holds what is waited for, nothing else.
#[derive(Debug, Clone, Default)]
pub(super) struct Flights(Arc<Mutex<HashMap<ClientId, Arc<tokio::sync::Mutex<()>>>>>);

/// One that waits, or reads.
pub(super) struct Flight {
    flights: Flights,
    id: ClientId,
    lock: Option<Arc<tokio::sync::Mutex<()>>>,
}

/// Good assertions of one client: ten a second, and as many at once as a fleet that starts together.
const ASSERTIONS: Quota = Quota::per_second(NonZeroU32::new(10).unwrap()).allow_burst(NonZeroU32::new(500).unwrap());
/// Clients whose count is kept before those that rest are forgotten.
const ASSERTING: usize = 10_000;
/// How old a copy may be that stands in, where the catalogue does not know the client.
const LAST_GOOD: Duration = Duration::from_secs(30 * 24 * 3_600);

// === impl Clients ===

impl Clients {
    /// Of these parts.
    #[must_use]
    pub fn new(admission: Admission, fixed: Vec<Client>, keys: RegistrationKeys, fetcher: Fetcher, store: Store) -> Self {
        let fixed = fixed.into_iter().map(|client| (client.id().clone(), client)).collect();
        let key_sets = KeySets::new(fetcher.beside());
        Self { admission, fixed, keys, fetcher, store, flights: Flights::default(), key_sets, assertions: RateLimiter::hashmap(ASSERTIONS) }
    }

    /// Finds a client, and reads its document where that is [`Reading::Allowed`] and it is not fresh.
    ///
    /// # Errors
    /// [`Unresolved`].
    pub async fn resolve(&self, id: &str, reading: Reading, now: Timestamp) -> Result<Client, Unresolved> {
        self.found(id, reading, now).await.map(|client| self.admission.narrowed(client))
    }

    async fn found(&self, id: &str, reading: Reading, now: Timestamp) -> Result<Client, Unresolved> {
        let known = ClientId::new(id).map_err(|_| Unresolved::Unknown)?;
        if self.admission.blocks(&known) {
            return Err(Unresolved::Blocked);
        }
        if let Some(client) = self.fixed.get(&known) {
            return self.unless_blocked(&known, client.clone()).await;
        }
        // Only what could be somebody's is looked up: names that strangers make up cost no question.
        if id.starts_with(PREFIX) {
            let client = self.keys.open(id, &self.admission.schemes).map_err(|_| Unresolved::Unknown)?;
            return self.unless_blocked(&known, self.admission.admit(client).ok_or(Unresolved::NotAllowed)?).await;
        }
        let url = DocumentUrl::new(id).map_err(|_| Unresolved::Unknown)?;
        if !self.admission.reads(&url) {
            return Err(Unresolved::NotAllowed);
        }
        self.unless_blocked(&known, ()).await?;
        let client = self.published(&url, reading, now).await?;
        self.admission.admit(client).ok_or(Unresolved::NotAllowed)
    }

    /// Asked each time: a person waits, or a token is about to be given (I8).
    async fn unless_blocked<T>(&self, id: &ClientId, known: T) -> Result<T, Unresolved> {
        if self.store.is_client_blocked(id).await? { Err(Unresolved::Blocked) } else { Ok(known) }
    }

    /// The keys of a client that signs assertions; `None` for one that does not. Keys at an address are asked for only where the
    /// configuration names it, or a document that somebody who was signed in has read: not for a copy that came with this program (REG-08).
    ///
    /// # Errors
    /// [`Why`].
    pub(super) async fn keys_of(&self, client: &Client, wanted: Wanted, now: Timestamp) -> Result<Option<Arc<KeySet>>, Why> {
        let is_a_copy = client.document().is_some_and(|document| document.source == DocumentSource::Catalogue);
        match client.auth().keys() {
            Some(Keys::At(_)) if is_a_copy => Err(Why::Unread),
            Some(keys) => self.key_sets.of(keys, wanted, now).await.map(Some),
            None => Ok(None),
        }
    }

    /// What a client may have for itself, if anything.
    pub(super) fn own(&self, client: &ClientId) -> Option<&BTreeSet<Scope>> {
        self.fixed.get(client).map(Client::own).filter(|own| !own.is_empty())
    }

    /// Counts an assertion that is good. False for a client that shows more than it could need: one for each token, and for each question.
    pub(super) fn may_assert(&self, client: &ClientId) -> bool {
        if self.assertions.len() >= ASSERTING {
            self.assertions.retain_recent();
        }
        self.assertions.check_key(client).is_ok()
    }

    /// Whether a client still has for itself what its token carries, as the configuration says now.
    pub(crate) fn still_own(&self, client: &ClientId, granted: &BTreeSet<String>) -> bool {
        let Some(own) = self.fixed.get(client).map(Client::own) else { return false };
        granted.iter().all(|scope| Scope::parse(scope).is_some_and(|scope| own.contains(&scope)))
    }

    /// Whether any client may act for itself.
    pub(super) fn has_own(&self) -> bool {
        self.fixed.values().any(|client| !client.own().is_empty())
    }

    /// Whether a client may have tokens for those of another one.
    pub(crate) fn may_exchange(&self, client: &ClientId, from: &ClientId) -> bool {
        self.fixed.get(client).is_some_and(|client| client.exchanges().contains(from))
    }

    /// Names of those that can come to have tokens for those of a client, one after the other.
    pub(super) fn partners(&self, of: &ClientId) -> Vec<String> {
        let mut reached = BTreeSet::from([of.clone()]);
        while let Some(next) =
            self.fixed.values().find(|client| !reached.contains(client.id()) && !client.exchanges().is_disjoint(&reached))
        {
            reached.insert(next.id().clone());
        }
        let others = self.fixed.values().filter(|client| reached.contains(client.id()) && client.id() != of);
        let mut names: Vec<String> = others.map(|client| client.name().to_owned()).collect();
        names.sort_unstable();
        names
    }

    /// Whether a client may have tokens for those of anybody.
    pub(super) fn exchanges(&self, client: &ClientId) -> bool {
        self.fixed.get(client).is_some_and(|client| !client.exchanges().is_empty())
    }

    /// Whether any client may.
    pub(super) fn has_exchanges(&self) -> bool {
        self.fixed.values().any(|client| !client.exchanges().is_empty())
    }

    /// Whether a client of the configuration proves itself by assertions.
    pub(super) fn has_keys(&self) -> bool {
        self.fixed.values().any(|client| client.auth().keys().is_some())
    }

    pub(crate) const fn admission(&self) -> &Admission {
        &self.admission
    }

    pub(super) const fn keys(&self) -> &RegistrationKeys {
        &self.keys
    }

    async fn published(&self, url: &DocumentUrl, reading: Reading, now: Timestamp) -> Result<Client, Unresolved> {
        let copy = self.store.client_document(url.id()).await?;
        if let Some(client) = copy.as_ref().and_then(|copy| self.still_fresh(url, copy, now)) {
            return Ok(client);
        }
        if reading == Reading::Withheld {
            return self.stand_in(url, copy.as_ref(), now).ok_or(match copy {
                Some(ClientDocument { document: None, .. }) => Unresolved::Unchecked(Why::Withdrawn),
                _ => Unresolved::NeedsFetch,
            });
        }
        let flight = self.flights.join(url.id());
        let _alone = flight.turn().await;
        // Whoever went before may have read it.
        let copy = self.store.client_document(url.id()).await?;
        if let Some(client) = copy.as_ref().and_then(|copy| self.still_fresh(url, copy, now)) {
            return Ok(client);
        }
        match self.live(url, now).await? {
            Ok(client) => Ok(client),
            Err(why) => {
                tracing::info!(client = url.as_str(), %why, "the document of a client was not read");
                if why == Why::Withdrawn {
                    self.take_away(url, copy.is_some(), now).await?;
                }
                if why.is_final() {
                    return Err(Unresolved::Unchecked(why));
                }
                self.stand_in(url, copy.as_ref(), now).ok_or(Unresolved::Unchecked(why))
            }
        }
    }

    /// The document from its own URL, which is kept if it is good and never if it is not.
    async fn live(&self, url: &DocumentUrl, now: Timestamp) -> Result<Result<Client, Why>, Unresolved> {
        let fetched = match self.fetcher.fetch(url, MAX_DOCUMENT, now).await {
            Ok(fetched) => fetched,
            Err(why) => return Ok(Err(why)),
        };
        match document::parse(url, &fetched.body, DocumentSource::Live, now, &self.admission.schemes) {
            Ok(client) => {
                let copy = ClientDocument { document: Some(fetched.body.to_vec()), checked: now, fresh: now.after(fetched.fresh) };
                self.store.keep_client_document(url.id(), &copy).await?;
                Ok(Ok(client))
            }
            Err(error) => {
                let why = Why::Invalid(error);
                self.fetcher.failed(url, &why, now);
                Ok(Err(why))
            }
        }
    }

    /// Read so recently that it counts as read now.
    fn still_fresh(&self, url: &DocumentUrl, copy: &ClientDocument, now: Timestamp) -> Option<Client> {
        if copy.fresh <= now || copy.checked > now {
            return None;
        }
        self.parse(url, copy, DocumentSource::Live)
    }

    /// The last good copy, else the catalogue; neither where the publisher has taken its document away.
    fn stand_in(&self, url: &DocumentUrl, copy: Option<&ClientDocument>, now: Timestamp) -> Option<Client> {
        let entry = catalogue::find(url.as_str());
        match (copy, entry) {
            (Some(ClientDocument { document: None, .. }), _) => None,
            // The later word of the publisher counts. Where the catalogue would stand in for ever, so does what came after it.
            (Some(copy), Some(entry)) if entry.day() <= copy.checked => self.parse(url, copy, DocumentSource::LastGood),
            (_, Some(entry)) => entry.client(&self.admission.schemes).ok(),
            (Some(copy), None) if now.since(copy.checked) < LAST_GOOD => self.parse(url, copy, DocumentSource::LastGood),
            (Some(_) | None, None) => None,
        }
    }

    /// A copy by the rules of today.
    fn parse(&self, url: &DocumentUrl, copy: &ClientDocument, source: DocumentSource) -> Option<Client> {
        let body = Bytes::copy_from_slice(copy.document.as_deref()?);
        document::parse(url, &body, source, copy.checked, &self.admission.schemes).ok()
    }

    /// Notes that the publisher's word has gone, where a copy or the catalogue would still stand in for it.
    async fn take_away(&self, url: &DocumentUrl, has_copy: bool, now: Timestamp) -> Result<(), StoreError> {
        if !has_copy && catalogue::find(url.as_str()).is_none() {
            return Ok(());
        }
        self.store.keep_client_document(url.id(), &ClientDocument { document: None, checked: now, fresh: now }).await
    }
}

impl fmt::Debug for Clients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clients").field("fixed", &self.fixed.len()).field("fetcher", &self.fetcher).finish_non_exhaustive()
    }
}

// === impl Flights ===

impl Flights {
    pub(super) fn join(&self, id: &ClientId) -> Flight {
        let lock = Arc::clone(self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(id.clone()).or_default());
        Flight { flights: self.clone(), id: id.clone(), lock: Some(lock) }
    }
}

impl Flight {
    /// Waits until nobody else reads what is at this address.
    pub(super) async fn turn(&self) -> Option<tokio::sync::MutexGuard<'_, ()>> {
        match &self.lock {
            Some(lock) => Some(lock.lock().await),
            None => None,
        }
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        let mut flights = self.flights.0.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.lock.take());
        if flights.get(&self.id).is_some_and(|lock| Arc::strong_count(lock) == 1) {
            flights.remove(&self.id);
        }
    }
}

#[cfg(test)]
mod tests;
