//! What an administrator orders through the store while this process serves: clients that are blocked, sessions that are over, and what of
//! it belongs on the record. Knows neither requests nor pages.

use crate::Gateway;
use arc_swap::ArcSwap;
use doorward_core::audit::outcome::Notice;
use doorward_core::id::ClientId;
use doorward_core::identity::attested::vouching;
use doorward_core::identity::caller::{Caller, Level, Record};
use doorward_core::secret::sha256;
use doorward_store::StoreError;
use quick_cache::sync::Cache;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Which clients are blocked and which sessions were ended, as it was read lately.
#[derive(Debug)]
pub struct Blocks {
    by_digest: Cache<[u8; 32], Read>,
    /// Digests of sessions that were ended from outside.
    ended: ArcSwap<HashSet<[u8; 32]>>,
}

#[derive(Debug, Clone, Copy)]
struct Read {
    blocked: bool,
    epoch: u64,
    at: Instant,
}

/// What was read is believed this long without asking the store, and under the present epoch only (I8).
const BELIEVED: Duration = Duration::from_secs(5);
/// What could not be recorded is tried again after this long.
const AGAIN: Duration = Duration::from_secs(60);

impl Blocks {
    /// Nothing read yet; at most `capacity` clients are kept.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self { by_digest: Cache::new(capacity), ended: ArcSwap::default() }
    }
}

impl Gateway {
    /// Whether the client that a caller comes through is blocked by the command line. Static keys have no client that could be; they are
    /// revoked.
    ///
    /// # Errors
    /// [`StoreError`]: nobody knows, so nobody comes in.
    pub(crate) async fn is_barred(&self, caller: &Caller) -> Result<bool, StoreError> {
        match caller.level() {
            Level::StaticKey => Ok(false),
            Level::OAuth | Level::Cloud | Level::Impersonation => self.is_any_blocked(caller.record()).await,
        }
    }

    /// Whether one of the clients through which a credential came is blocked by the command line.
    ///
    /// # Errors
    /// [`StoreError`]: nobody knows.
    pub(crate) async fn is_any_blocked(&self, record: &Record) -> Result<bool, StoreError> {
        for client in record.via().iter().chain([&record.client]) {
            // `idp:<name>` means every client that this issuer names.
            let vouching = vouching(client);
            if (vouching != *client && self.is_blocked(&vouching).await?) || self.is_blocked(client).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn is_blocked(&self, client: &ClientId) -> Result<bool, StoreError> {
        let (digest, epoch) = (sha256(client.as_str().as_bytes()), self.epoch.current());
        if let Some(read) = self.blocks.by_digest.get(&digest).filter(|read| read.epoch == epoch && read.at.elapsed() < BELIEVED) {
            return Ok(read.blocked);
        }
        let at = Instant::now();
        let blocked = self.store.is_client_blocked(client).await?;
        self.blocks.by_digest.insert(digest, Read { blocked, epoch, at });
        Ok(blocked)
    }

    /// Ends here what was ended through the store: at each new epoch, and again in each round of upkeep. Waits for nothing but the store.
    pub(crate) async fn follow_orders(&self) {
        match self.store.ended_sessions().await {
            // Their rows stay until the sweep: other replicas have yet to read them.
            Ok(ended) => {
                let ended = Arc::new(ended.into_iter().collect::<HashSet<_>>());
                self.blocks.ended.store(Arc::clone(&ended));
                ended.iter().filter(|digest| self.live.find(digest).is_some()).for_each(|digest| self.end_here(digest));
            }
            Err(error) => tracing::warn!(%error, "sessions that were ended could not be read"),
        }
    }

    /// Whether a session was ended through the store, as far as this process has heard: for a request that had read its record before.
    pub(crate) fn was_ended(&self, session: &[u8; 32]) -> bool {
        self.blocks.ended.load().contains(session)
    }

    /// Records what the command line did, also while no gateway ran. On its own: a disk that hangs must not keep anything from ending.
    pub(crate) async fn keep_deeds(self: Arc<Self>) {
        let mut epoch = self.epoch.subscribe();
        loop {
            self.record_deeds().await;
            tokio::select! {
                Ok(()) = epoch.changed() => {}
                () = tokio::time::sleep(AGAIN) => {}
                () = self.tasks.stopping() => return,
            }
        }
    }

    pub(crate) async fn record_deeds(&self) {
        let deeds = match self.store.deeds().await {
            Ok(deeds) => deeds,
            Err(error) => return tracing::warn!(%error, "what the command line did could not be read"),
        };
        for (epoch, deed) in deeds {
            let cause = format!("{}; by the command line at {}", deed.cause, deed.done);
            let (user, client) = (deed.user.as_ref(), deed.client.as_ref());
            let notice = Notice { reason: deed.reason, user, client, cause: Some(&cause), ..Notice::default() };
            // What the record does not take stays where it is for the next time.
            if self.audit.event(&notice, self.env.now()).await.is_err() {
                return;
            }
            if let Err(error) = self.store.deed_recorded(epoch).await {
                tracing::warn!(%error, "what was recorded is kept, and will be recorded again");
            }
        }
    }
}
