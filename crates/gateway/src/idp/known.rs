//! What is known of a provider, and for how long that counts (credentials 4.3; attacks FLT-08, FLT-12).
//!
//! Read when the first person signs in, not at start: a provider that is away keeps no gateway from starting. While it is away, what it
//! said last counts for a day. One at a time asks; whoever comes meanwhile goes on with what was said last, and waits only for what
//! nobody knows yet: a provider that is slow, or a token with an unknown key, holds up nobody else. Whatever comes in, it is asked at
//! most once in [`REST`] after a failure and once in [`COOL`] for a key that nobody has seen.

use super::Provider;
use super::ask::{Asked, Trouble};
use doorward_core::oidc::keys::{BadKeys, KeySet};
use doorward_core::oidc::provider::{Endpoint, Metadata, Place, address};
use doorward_core::time::Timestamp;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::sync::MutexGuard;

/// What a provider said.
#[derive(Debug, Default)]
pub(super) struct Known {
    metadata: Option<Read<Metadata>>,
    keys: Option<Read<KeySet>>,
    /// When asking for the one or the other failed last.
    metadata_failed: Option<Timestamp>,
    keys_failed: Option<Timestamp>,
}

#[derive(Debug)]
pub(super) struct Read<T> {
    pub(super) value: Arc<T>,
    pub(super) at: Timestamp,
    pub(super) fresh: Duration,
}

/// Whose turn to ask it is.
enum Whose<'a, T> {
    /// We do, and nobody else until this is dropped.
    Ours(MutexGuard<'a, ()>),
    /// Somebody else: what was said last.
    Theirs(Arc<T>),
}

/// Metadata is read anew after this long.
pub(super) const METADATA_FRESH: Duration = Duration::from_secs(3_600);
/// Keys are, after what the provider says, within these bounds.
pub(super) const KEYS_FRESH: Duration = Duration::from_secs(3_600);
pub(super) const KEYS_LEAST: Duration = Duration::from_secs(300);
pub(super) const DAY: Duration = Duration::from_secs(86_400);
/// After a failure nobody asks for this long.
pub(super) const REST: Duration = Duration::from_secs(10);
/// A key that nobody has seen makes the keys be read at most once in this time.
pub(super) const COOL: Duration = Duration::from_secs(30);

impl Provider {
    /// What it says of itself.
    ///
    /// # Errors
    /// [`Trouble`], where it cannot be asked and what it said last is older than a day.
    pub(crate) async fn metadata(&self, now: Timestamp) -> Result<Arc<Metadata>, Trouble> {
        if let Some(metadata) = self.look(|known| known.fresh_metadata(now)) {
            return Ok(metadata);
        }
        match self.turn_or(now, |known| known.metadata.as_ref()).await {
            Whose::Ours(_turn) => self.described(now).await,
            Whose::Theirs(metadata) => Ok(metadata),
        }
    }

    /// Its keys.
    ///
    /// # Errors
    /// As [`Provider::metadata`].
    pub(super) async fn keys(&self, now: Timestamp) -> Result<Arc<KeySet>, Trouble> {
        let fresh = || self.look(|known| known.keys.as_ref().filter(|read| read.is_fresh(now)).map(|read| Arc::clone(&read.value)));
        if let Some(keys) = fresh() {
            return Ok(keys);
        }
        match self.turn_or(now, |known| known.keys.as_ref()).await {
            Whose::Ours(_turn) => match fresh() {
                Some(keys) => Ok(keys),
                None => self.read_keys(now).await,
            },
            Whose::Theirs(keys) => Ok(keys),
        }
    }

    /// Its keys, not from before the last half minute. Whoever needs others than those that are known waits for their turn.
    ///
    /// # Errors
    /// As [`Provider::metadata`].
    pub(super) async fn newer_keys(&self, now: Timestamp) -> Result<Arc<KeySet>, Trouble> {
        let recent = || self.look(|known| known.keys.as_ref().filter(|read| read.age(now) < COOL).map(|read| Arc::clone(&read.value)));
        if let Some(keys) = recent() {
            return Ok(keys);
        }
        let _turn = self.turn.lock().await;
        match recent() {
            Some(keys) => Ok(keys),
            None => self.read_keys(now).await,
        }
    }

    /// The turn to ask, or, while somebody else has it, what was said last.
    async fn turn_or<T>(&self, now: Timestamp, of: impl FnOnce(&Known) -> Option<&Read<T>>) -> Whose<'_, T> {
        if let Ok(turn) = self.turn.try_lock() {
            return Whose::Ours(turn);
        }
        match self.look(|known| last_good(of(known), now)) {
            Some(value) => Whose::Theirs(value),
            None => Whose::Ours(self.turn.lock().await),
        }
    }

    fn look<T>(&self, look: impl FnOnce(&Known) -> T) -> T {
        look(&self.known.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn change(&self, change: impl FnOnce(&mut Known)) {
        change(&mut self.known.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Only under the turn.
    async fn described(&self, now: Timestamp) -> Result<Arc<Metadata>, Trouble> {
        if let Some(metadata) = self.look(|known| known.fresh_metadata(now)) {
            return Ok(metadata);
        }
        let last = || self.look(|known| last_good(known.metadata.as_ref(), now));
        if self.look(|known| rests(known.metadata_failed, now)) {
            return last().ok_or(Trouble::Resting);
        }
        let endpoint = Endpoint { url: address(&self.config.issuer), place: Place::Issuer };
        let read = self
            .asker
            .ask(&endpoint, Asked::Document)
            .await
            .and_then(|said| Metadata::parse(&said.body, &self.config.issuer, &self.config.algs).map_err(Trouble::Metadata));
        match read {
            Ok(metadata) => {
                let value = Arc::new(metadata);
                let read = Read { value: Arc::clone(&value), at: now, fresh: METADATA_FRESH };
                self.change(|known| (known.metadata, known.metadata_failed) = (Some(read), None));
                Ok(value)
            }
            Err(trouble) => {
                tracing::warn!(provider = %self.config.name, %trouble, "the metadata of an identity provider could not be read");
                self.change(|known| known.metadata_failed = Some(now));
                last().ok_or(trouble)
            }
        }
    }

    /// Only under the turn.
    async fn read_keys(&self, now: Timestamp) -> Result<Arc<KeySet>, Trouble> {
        let last = || self.look(|known| last_good(known.keys.as_ref(), now));
        if self.look(|known| rests(known.keys_failed, now)) {
            return last().ok_or(Trouble::Resting);
        }
        let metadata = self.described(now).await?;
        let read = self.asker.ask(&metadata.keys, Asked::Document).await;
        let read = read.and_then(|said| KeySet::parse(&said.body).map(|keys| (keys, said.fresh)).map_err(Trouble::Keys));
        match read {
            Ok((keys, fresh)) => {
                let value = Arc::new(keys);
                let fresh = fresh.unwrap_or(KEYS_FRESH).clamp(KEYS_LEAST, DAY);
                let read = Read { value: Arc::clone(&value), at: now, fresh };
                self.change(|known| (known.keys, known.keys_failed) = (Some(read), None));
                Ok(value)
            }
            Err(trouble) => {
                tracing::warn!(provider = %self.config.name, %trouble, "the keys of an identity provider could not be read");
                // A private key in it: whoever can read the set can sign. An empty one is no word: it wipes no good keys (FLT-08).
                let is_lost = matches!(trouble, Trouble::Keys(BadKeys::Private));
                self.change(|known| {
                    known.keys_failed = Some(now);
                    if is_lost {
                        known.keys = None;
                    }
                });
                last().ok_or(trouble)
            }
        }
    }
}

// === impl Known ===

impl Known {
    fn fresh_metadata(&self, now: Timestamp) -> Option<Arc<Metadata>> {
        self.metadata.as_ref().filter(|read| read.is_fresh(now)).map(|read| Arc::clone(&read.value))
    }
}

// === impl Read ===

impl<T> Read<T> {
    pub(super) fn is_fresh(&self, now: Timestamp) -> bool {
        self.age(now) < self.fresh
    }

    pub(super) fn age(&self, now: Timestamp) -> Duration {
        age(self.at, now)
    }
}

/// How long ago something was. A clock that stepped back far makes everything old: what was read then is read again.
pub(super) fn age(then: Timestamp, now: Timestamp) -> Duration {
    if now.as_millis() >= then.as_millis() { now.since(then) } else { then.since(now) }
}

pub(super) fn rests(failed: Option<Timestamp>, now: Timestamp) -> bool {
    failed.is_some_and(|failed| age(failed, now) < REST)
}

/// What was said last counts for a day.
pub(super) fn last_good<T>(read: Option<&Read<T>>, now: Timestamp) -> Option<Arc<T>> {
    read.filter(|read| read.age(now) < DAY).map(|read| Arc::clone(&read.value))
}
