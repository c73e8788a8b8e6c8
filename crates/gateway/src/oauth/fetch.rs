//! Reads a client id metadata document, or the keys of a client: one guarded request to the public internet, bounded in everything (REG-07, REG-08).
//!
//! Owns how often whom may be asked. Must not know what a document says, nor who may be a client.

use crate::egress::ask::is_json;
use crate::egress::error::EgressError;
use crate::egress::pool::PoolKey;
use crate::egress::reply::ReplyLimits;
use crate::egress::target::{Reach, Target};
use crate::egress::{Egress, Outbound};
use bytes::Bytes;
use doorward_core::id::{ClientId, ServerName};
use doorward_core::oauth::document::{BadDocument, DocumentUrl};
use doorward_core::oidc::keys::BadKeys;
use doorward_core::time::Timestamp;
use http::header::{ACCEPT, CACHE_CONTROL, HeaderMap, HeaderValue, USER_AGENT};
use http::{Method, StatusCode};
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Reads documents.
#[derive(Debug)]
pub struct Fetcher {
    egress: Egress,
    reach: Reach,
    /// For everything from the name to the last byte.
    patience: Duration,
    asked: Mutex<Asked>,
}

/// A document, unread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// Its text.
    pub body: Bytes,
    /// How long it need not be read again.
    pub fresh: Duration,
}

/// Why a client could not be checked. The page says it (product R6); nothing of an answer is repeated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// The host was not reached, or not safely: name, address, connection, TLS, time.
    #[error("its host could not be reached: {0}")]
    Unreachable(EgressError),
    /// Another status than 200.
    #[error("its host answered with status {0} instead of its document")]
    Status(u16),
    /// Not declared as JSON.
    #[error("its host answered with something that is not declared as JSON")]
    MediaType,
    /// It took too long.
    #[error("its host took too long")]
    TimedOut,
    /// More than is read.
    #[error("what its host answered with is too long")]
    TooLong,
    /// Its keys stand elsewhere, and nobody who is signed in has read its document: whoever calls is nobody yet.
    #[error("its document has not been read yet")]
    Unread,
    /// Its keys cannot be used.
    #[error("its keys are of no use: {0}")]
    Keys(BadKeys),
    /// The document cannot be believed.
    #[error("its document is not valid: {0}")]
    Invalid(BadDocument),
    /// Its publisher has taken the document away.
    #[error("its publisher has taken its document away")]
    Withdrawn,
    /// The host, or all hosts together, were asked too often, or failed just now.
    #[error("its host was asked just now; try again in a minute")]
    TooOften,
}

/// Who was asked when. Every table is bounded; what finds no room is not asked.
#[derive(Debug, Default)]
struct Asked {
    hosts: HashMap<String, Window>,
    failed: HashMap<ClientId, Timestamp>,
    unreachable: HashMap<String, Timestamp>,
    all: Window,
}

/// Requests within the minute that began with the first of them.
#[derive(Debug, Clone, Copy)]
struct Window {
    begun: Timestamp,
    count: u32,
}

/// From the name to the last byte.
pub const PATIENCE: Duration = Duration::from_secs(5);
/// Documents read in a minute: of one host, of all.
const PER_HOST: u32 = 10;
const PER_MINUTE: u32 = 120;
const MINUTE: Duration = Duration::from_secs(60);
/// How long one that could not be read is not asked for again.
const REST: Duration = Duration::from_secs(15);
/// Hosts and documents that are remembered.
const REMEMBERED: usize = 1_000;
/// How long a document counts as fresh: where its host says nothing, and at least and at most.
const FRESH: Duration = Duration::from_secs(300);
const FRESH_LEAST: Duration = Duration::from_secs(60);
const FRESH_MOST: Duration = Duration::from_secs(3_600);

// === impl Fetcher ===

impl Fetcher {
    /// Through this door, to public addresses only. The door is for documents alone, and opens no private network.
    #[must_use]
    pub fn new(egress: Egress) -> Self {
        Self { egress, reach: Reach::Public, patience: PATIENCE, asked: Mutex::default() }
    }

    /// Through the same door, with counts of its own: what is read for the one takes nothing from the other.
    #[must_use]
    pub(super) fn beside(&self) -> Self {
        Self { egress: self.egress.clone(), reach: self.reach, patience: self.patience, asked: Mutex::default() }
    }

    /// For tests: another reach, another patience.
    #[cfg(test)]
    pub(super) fn to(egress: Egress, reach: Reach, patience: Duration) -> Self {
        Self { egress, reach, patience, asked: Mutex::default() }
    }

    /// Reads what is at `url`, at most so many bytes of it, if its host may be asked now.
    ///
    /// # Errors
    /// [`Why`]; also counted against the host.
    pub async fn fetch(&self, url: &DocumentUrl, most: usize, now: Timestamp) -> Result<Fetched, Why> {
        self.asked().admit(url, now)?;
        let read = match tokio::time::timeout(self.patience, self.read(url, most)).await {
            Ok(read) => read,
            Err(_) => Err(Why::TimedOut),
        };
        if let Err(why) = &read {
            self.failed(url, why, now);
        }
        read
    }

    /// Notes that what was read was of no use: it is not read again at once.
    pub fn failed(&self, url: &DocumentUrl, why: &Why, now: Timestamp) {
        self.asked().failed(url, why, now);
    }

    /// Entries in all tables.
    #[cfg(test)]
    pub(super) fn remembered(&self) -> usize {
        let asked = self.asked();
        asked.hosts.len() + asked.failed.len() + asked.unreachable.len()
    }

    async fn read(&self, url: &DocumentUrl, most: usize) -> Result<Fetched, Why> {
        let target = Target::new(url.as_str(), self.reach).map_err(|_| Why::Unreachable(EgressError::BadRequest("the address")))?;
        let server = ServerName::new("client-documents").map_err(|_| Why::Unreachable(EgressError::BadRequest("the name")))?;
        let pool = PoolKey { server, user: None, credential: None, version: 0 };
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(USER_AGENT, HeaderValue::from_static("Doorward"));
        let limits = ReplyLimits { headers: self.patience, whole: most as u64, stream: 0, idle: self.patience };
        let outbound = Outbound { method: Method::GET, headers, body: Bytes::new() };
        let reply = self.egress.send(&target, &pool, outbound, &limits).await.map_err(unread)?;
        let (head, body) = reply.into_parts();
        match head.status {
            StatusCode::OK => {}
            StatusCode::GONE => return Err(Why::Withdrawn),
            other => return Err(Why::Status(other.as_u16())),
        }
        if !is_json(&head.headers) {
            return Err(Why::MediaType);
        }
        let body = body.whole().await.map_err(unread)?;
        Ok(Fetched { body, fresh: fresh(&head.headers) })
    }

    fn asked(&self) -> MutexGuard<'_, Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn unread(error: EgressError) -> Why {
    match error {
        EgressError::TooLarge => Why::TooLong,
        other => Why::Unreachable(other),
    }
}

/// What `Cache-Control` says (RFC 9111), within bounds of our own: a document is neither read for each request nor believed for days.
fn fresh(headers: &HeaderMap) -> Duration {
    let mut least: Option<Duration> = None;
    for value in headers.get_all(CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok()) {
        for directive in value.split(',').map(|directive| directive.trim().to_ascii_lowercase()) {
            let span = match directive.split_once('=') {
                Some(("max-age", seconds)) => seconds.trim_matches('"').parse().ok().map(Duration::from_secs),
                None if matches!(directive.as_str(), "no-store" | "no-cache") => Some(Duration::ZERO),
                _ => None,
            };
            least = match (least, span) {
                (Some(least), Some(span)) => Some(least.min(span)),
                (least, span) => least.or(span),
            };
        }
    }
    least.unwrap_or(FRESH).clamp(FRESH_LEAST, FRESH_MOST)
}

// === impl Asked ===

impl Asked {
    fn admit(&mut self, url: &DocumentUrl, now: Timestamp) -> Result<(), Why> {
        let rests = |until: Option<&Timestamp>| until.is_some_and(|until| *until > now);
        if rests(self.failed.get(url.id())) || rests(self.unreachable.get(url.host())) {
            return Err(Why::TooOften);
        }
        make_room(&mut self.hosts, |window| !window.is_over(now));
        let has_room = self.hosts.len() < REMEMBERED || self.hosts.contains_key(url.host());
        if !has_room || !self.all.has(PER_MINUTE, now) {
            return Err(Why::TooOften);
        }
        let host = self.hosts.entry(url.host().to_owned()).or_default();
        if !host.has(PER_HOST, now) {
            return Err(Why::TooOften);
        }
        host.take(now);
        self.all.take(now);
        Ok(())
    }

    fn failed(&mut self, url: &DocumentUrl, why: &Why, now: Timestamp) {
        let until = now.after(REST);
        let (failed, unreachable) = (&mut self.failed, &mut self.unreachable);
        make_room(failed, |until| *until > now);
        make_room(unreachable, |until| *until > now);
        // Without room it is asked again, as often as its host may be asked at all.
        if failed.len() < REMEMBERED {
            failed.insert(url.id().clone(), until);
        }
        if why.is_of_the_host() && unreachable.len() < REMEMBERED {
            unreachable.insert(url.host().to_owned(), until);
        }
    }
}

/// Forgets what is over, once there is no room.
fn make_room<K: Eq + Hash, V>(table: &mut HashMap<K, V>, counts: impl Fn(&V) -> bool) {
    if table.len() >= REMEMBERED {
        table.retain(|_, value| counts(value));
    }
}

// === impl Window ===

impl Default for Window {
    fn default() -> Self {
        Self { begun: Timestamp::from_millis(0), count: 0 }
    }
}

impl Window {
    fn is_over(&self, now: Timestamp) -> bool {
        // A clock that stepped back far begins a new window, or a host would never be asked again.
        now.since(self.begun) >= MINUTE || self.begun.since(now) >= MINUTE
    }

    fn has(&self, most: u32, now: Timestamp) -> bool {
        self.is_over(now) || self.count < most
    }

    fn take(&mut self, now: Timestamp) {
        if self.is_over(now) {
            *self = Self { begun: now, count: 0 };
        }
        self.count += 1;
    }
}

impl Why {
    /// True when no document of this host could have been read either.
    const fn is_of_the_host(&self) -> bool {
        match self {
            Self::TimedOut => true,
            Self::Unreachable(error) => matches!(
                error,
                EgressError::Resolve
                    | EgressError::Forbidden(_)
                    | EgressError::Connect(_)
                    | EgressError::Tls(_)
                    | EgressError::Timeout { .. }
                    | EgressError::Broken { .. }
            ),
            Self::Status(_)
            | Self::MediaType
            | Self::TooLong
            | Self::Unread
            | Self::Keys(_)
            | Self::Invalid(_)
            | Self::Withdrawn
            | Self::TooOften => false,
        }
    }

    /// True when this is the publisher's own word: nothing stands in for it.
    #[must_use]
    pub const fn is_final(&self) -> bool {
        match self {
            Self::Invalid(document) => document.is_its_own(),
            Self::Withdrawn => true,
            Self::Unreachable(_)
            | Self::Status(_)
            | Self::MediaType
            | Self::TimedOut
            | Self::TooLong
            | Self::Unread
            | Self::Keys(_)
            | Self::TooOften => false,
        }
    }
}
