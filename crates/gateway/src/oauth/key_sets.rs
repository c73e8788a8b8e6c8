//! The public keys of clients that sign assertions (RFC 7523): those of the registration, or those at the address that it names.
//!
//! Keys at an address are read when an assertion has to be held against them, as often as a document of that host may be read, and
//! anew for a key that nobody has seen. Only clients that are known already make this gateway ask: those of the configuration, and
//! those whose document somebody who was signed in has read (REG-08). While a host is away, what it said last counts for a day; what it
//! took away is gone.

use super::clients::Flights;
use super::fetch::{Fetcher, Why};
use bytes::Bytes;
use doorward_core::oauth::client::Keys;
use doorward_core::oauth::document::DocumentUrl;
use doorward_core::oidc::keys::{BadKeys, KeySet};
use doorward_core::time::Timestamp;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What was read, by address.
#[derive(Debug)]
pub(super) struct KeySets {
    fetcher: Fetcher,
    read: Mutex<HashMap<String, Read>>,
    flights: Flights,
}

#[derive(Debug, Clone)]
struct Read {
    keys: Arc<KeySet>,
    at: Timestamp,
    fresh: Duration,
}

/// What is wanted of keys at an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// What is known, while it is fresh.
    Known,
    /// What is there now: an assertion names a key that is not known.
    Newer,
}

/// Longest set that is read, in bytes.
const LONGEST: usize = 64 * 1024;
/// A key that nobody has seen makes a set be read at most once in this time.
const COOL: Duration = Duration::from_secs(30);
/// How long a set counts that cannot be read anew.
const LAST_GOOD: Duration = Duration::from_secs(86_400);
/// Sets that are remembered.
const REMEMBERED: usize = 1_000;

// === impl KeySets ===

impl KeySets {
    /// Keys that are read by this.
    pub(super) fn new(fetcher: Fetcher) -> Self {
        Self { fetcher, read: Mutex::default(), flights: Flights::default() }
    }

    /// The keys of a client.
    ///
    /// # Errors
    /// [`Why`]; nobody knows then whether an assertion is one of the client.
    pub(super) async fn of(&self, keys: &Keys, wanted: Wanted, now: Timestamp) -> Result<Arc<KeySet>, Why> {
        let url = match keys {
            // Checked where the client was read; it was good then.
            Keys::Inline(text) => return KeySet::parse(&Bytes::copy_from_slice(text.as_bytes())).map(Arc::new).map_err(Why::Keys),
            Keys::At(url) => url,
        };
        if let Some(keys) = self.known(url, wanted, now) {
            return Ok(keys);
        }
        let address = DocumentUrl::new(url).map_err(|_| Why::Keys(BadKeys::Form))?;
        let flight = self.flights.join(address.id());
        let _alone = flight.turn().await;
        // Whoever went before may have read them.
        if let Some(keys) = self.known(url, wanted, now) {
            return Ok(keys);
        }
        let read = self.fetcher.fetch(&address, LONGEST, now).await.and_then(|fetched| {
            let keys = KeySet::parse(&fetched.body).map_err(Why::Keys)?;
            Ok(Read { keys: Arc::new(keys), at: now, fresh: fetched.fresh })
        });
        match read {
            Ok(read) => {
                let keys = Arc::clone(&read.keys);
                self.keep(url, read, now);
                Ok(keys)
            }
            // Not asked at all: the rest that an address has after a failure must not begin anew with each who would ask.
            Err(Why::TooOften) => self.last_good(url, now).ok_or(Why::TooOften),
            Err(why) => {
                tracing::info!(address = url, %why, "the keys of a client were not read");
                match &why {
                    // The client's own word: what it took away must not count a day longer.
                    Why::Withdrawn | Why::Keys(BadKeys::Empty | BadKeys::Private | BadKeys::TooMany) => self.forget(url),
                    _ => {}
                }
                if matches!(why, Why::Keys(_)) {
                    self.fetcher.failed(&address, &why, now);
                }
                self.last_good(url, now).ok_or(why)
            }
        }
    }

    fn known(&self, url: &str, wanted: Wanted, now: Timestamp) -> Option<Arc<KeySet>> {
        let read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = |read: &&Read| match wanted {
            Wanted::Known => now.since(read.at) < read.fresh && read.at <= now,
            Wanted::Newer => now.since(read.at) < COOL && read.at <= now,
        };
        read.get(url).filter(counts).map(|read| Arc::clone(&read.keys))
    }

    fn forget(&self, url: &str) {
        self.read.lock().unwrap_or_else(PoisonError::into_inner).remove(url);
    }

    fn last_good(&self, url: &str, now: Timestamp) -> Option<Arc<KeySet>> {
        let read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        read.get(url).filter(|read| now.since(read.at) < LAST_GOOD).map(|read| Arc::clone(&read.keys))
    }

    fn keep(&self, url: &str, set: Read, now: Timestamp) {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if read.len() >= REMEMBERED {
            read.retain(|_, read| now.since(read.at) < read.fresh);
        }
        // Without room it is read again, as often as its host may be asked at all.
        if read.len() < REMEMBERED || read.contains_key(url) {
            read.insert(url.to_owned(), set);
        }
    }
}
