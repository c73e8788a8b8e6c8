//! Idle connections, each for one origin, server, user, credential and version of it. Never shared between keys.
//!
//! Bounded in keys, in connections per key and in age. A lock is held for a look-up and a push or pop; closing a connection is a call of
//! the system, so what is to go is taken out first and closed when nobody waits.

use super::live::{Live, Shared};
use super::trust::Trust;
use crate::tasks::Tasks;
use doorward_core::credential::Origin;
use doorward_core::id::{CredentialId, ServerName, UserId};
use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// For whom connections are kept apart, besides the origin: what lacks the user or the credential does not compile.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PoolKey {
    /// The server of the configuration.
    pub server: ServerName,
    /// The user on whose behalf; `None` only for traffic that is nobody's, such as catalogues.
    pub user: Option<UserId>,
    /// The record of the downstream credential; `None` when the server wants none.
    pub credential: Option<CredentialId>,
    /// Its version: a changed credential never meets a connection of the old one.
    pub version: u64,
}

/// The whole key.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) origin: Origin,
    pub(super) trust: Option<Trust>,
    pub(super) pool: PoolKey,
}

/// How many connections are kept, and how long.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) keys: usize,
    pub(super) idle_per_key: usize,
    pub(super) idle_time: Duration,
}

#[derive(Debug)]
pub(super) struct Pool {
    shards: [Mutex<HashMap<Arc<Key>, Slot>>; SHARDS],
    hasher: RandomState,
    bounds: Bounds,
    tasks: Tasks,
    closed: AtomicBool,
}

#[derive(Debug)]
struct Slot {
    /// HTTP/1.1, last in first out, with the time each became idle.
    idle: Vec<(Live, Instant)>,
    /// HTTP/2: one connection for all requests of the key.
    shared: Option<Arc<Shared>>,
    used: Instant,
}

/// What the pool has for a request.
pub(super) enum Kept {
    Own(Live),
    Shared(Arc<Shared>),
}

type Shard<'pool> = MutexGuard<'pool, HashMap<Arc<Key>, Slot>>;

const SHARDS: usize = 16;

impl Pool {
    pub(super) fn new(bounds: Bounds, tasks: Tasks) -> Self {
        Self {
            shards: std::array::from_fn(|_| Mutex::new(HashMap::new())),
            hasher: RandomState::new(),
            bounds,
            tasks,
            closed: AtomicBool::new(false),
        }
    }

    fn shard(&self, key: &Key) -> Shard<'_> {
        let at = usize::try_from(self.hasher.hash_one(key) % SHARDS as u64).unwrap_or_default();
        locked(self.shards.get(at).unwrap_or(&self.shards[0]))
    }

    /// A kept connection that is not known to be closed.
    pub(super) fn take(&self, key: &Key) -> Option<Kept> {
        let now = Instant::now();
        let (mut gone, mut ended) = (Vec::new(), None);
        let mut shard = self.shard(key);
        let slot = shard.get_mut(key)?;
        if slot.shared.as_ref().is_some_and(|shared| shared.is_closed()) {
            ended = slot.shared.take();
        }
        let mut kept = None;
        if let Some(shared) = &slot.shared {
            slot.used = now;
            kept = Some(Kept::Shared(Arc::clone(shared)));
        }
        while kept.is_none()
            && let Some((live, since)) = slot.idle.pop()
        {
            if !live.is_closed() && now.duration_since(since) < self.bounds.idle_time {
                kept = Some(Kept::Own(live));
            } else {
                gone.push(live);
            }
        }
        drop(shard);
        drop((gone, ended));
        kept
    }

    /// Keeps an HTTP/1.1 connection whose last reply was read to its end; when the server has not taken the whole request yet, after
    /// it has.
    pub(super) fn put(self: &Arc<Self>, mut live: Live) {
        if live.rest() {
            return self.keep(live);
        }
        let (pool, patience) = (Arc::clone(self), self.bounds.idle_time);
        let tasks = self.tasks.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                () = live.finish() => pool.keep(live),
                () = tokio::time::sleep(patience) => {}
                () = tasks.stopping() => {}
            }
        });
    }

    fn keep(&self, live: Live) {
        if live.is_closed() {
            return;
        }
        let key = live.key();
        self.with_slot(&key, |slot, now| {
            let oldest = (slot.idle.len() >= self.bounds.idle_per_key).then(|| slot.idle.remove(0).0);
            slot.idle.push((live, now));
            (oldest, None)
        });
    }

    /// Keeps an HTTP/2 connection for further requests.
    pub(super) fn share(&self, key: &Arc<Key>, shared: &Arc<Shared>) {
        self.with_slot(key, |slot, _| (None, slot.shared.replace(Arc::clone(shared))));
    }

    /// Does `keep` with the slot of a key, and closes what it gives back.
    fn with_slot(&self, key: &Arc<Key>, keep: impl FnOnce(&mut Slot, Instant) -> (Option<Live>, Option<Arc<Shared>>)) {
        if self.bounds.idle_per_key == 0 || self.bounds.keys == 0 {
            return;
        }
        let now = Instant::now();
        let mut shard = self.shard(key);
        // Asked under the lock: what comes in after the last clearing would stay.
        if self.closed.load(Ordering::SeqCst) {
            return;
        }
        let mut forgotten = None;
        if !shard.contains_key(key) && shard.len() >= self.bounds.keys.div_ceil(SHARDS) {
            // The key that was used longest ago gives way.
            let oldest = shard.iter().min_by_key(|(_, slot)| slot.used).map(|(key, _)| Arc::clone(key));
            forgotten = oldest.and_then(|oldest| shard.remove(&oldest));
        }
        let slot = shard.entry(Arc::clone(key)).or_insert_with(|| Slot { idle: Vec::new(), shared: None, used: now });
        slot.used = now;
        let replaced = keep(slot, now);
        drop(shard);
        drop((forgotten, replaced));
    }

    /// Closes what was idle for too long or was closed by its server, and forgets empty keys.
    pub(super) fn sweep(&self) {
        let now = Instant::now();
        let old = |since: Instant| now.duration_since(since) >= self.bounds.idle_time;
        for shard in &self.shards {
            let (mut gone, mut ended) = (Vec::new(), Vec::new());
            locked(shard).retain(|_, slot| {
                // Nothing happens on a kept connection unless somebody looks.
                gone.extend(slot.idle.extract_if(.., |(live, since)| !live.rest() || live.is_closed() || old(*since)));
                if slot.shared.as_ref().is_some_and(|shared| shared.is_closed() || (old(slot.used) && Arc::strong_count(shared) == 1)) {
                    ended.extend(slot.shared.take());
                }
                !slot.idle.is_empty() || slot.shared.is_some()
            });
            drop((gone, ended));
        }
    }

    /// Closes everything that is idle.
    pub(super) fn clear(&self) {
        for shard in &self.shards {
            let all: Vec<Slot> = locked(shard).drain().map(|(_, slot)| slot).collect();
            drop(all);
        }
    }

    /// Closes everything that is idle and keeps nothing from now on.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        self.clear();
    }

    /// Kept connections and keys, for metrics and tests.
    pub(super) fn size(&self) -> (usize, usize) {
        let mut size = (0, 0);
        for shard in &self.shards {
            for slot in locked(shard).values() {
                size.0 += slot.idle.len() + usize::from(slot.shared.is_some());
                size.1 += 1;
            }
        }
        size
    }
}

fn locked(shard: &Mutex<HashMap<Arc<Key>, Slot>>) -> Shard<'_> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}
