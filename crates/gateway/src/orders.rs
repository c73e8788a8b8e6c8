//! What an administrator orders through the store while this process serves: clients that are blocked, sessions that are over, and what of
//! it belongs on the record. Knows neither requests nor pages.

use crate::Gateway;
use doorward_core::audit::outcome::Notice;
use doorward_core::id::ClientId;
use doorward_core::identity::caller::{Caller, Level};
use doorward_core::secret::sha256;
use doorward_store::StoreError;
use quick_cache::sync::Cache;
use std::time::Duration;
use tokio::time::Instant;

/// Whether clients are blocked, as it was read lately.
#[derive(Debug)]
pub struct Blocks {
    by_digest: Cache<[u8; 32], Read>,
}

#[derive(Debug, Clone, Copy)]
struct Read {
    blocked: bool,
    epoch: u64,
    at: Instant,
}

/// What was read is believed this long without asking the store, and under the present epoch only (I8).
const BELIEVED: Duration = Duration::from_secs(5);

impl Blocks {
    /// Nothing read yet; at most `capacity` clients are kept.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self { by_digest: Cache::new(capacity) }
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
            Level::OAuth | Level::Cloud | Level::Impersonation => self.is_blocked(caller.client()).await,
        }
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

    /// Does what was ordered since the last time: at each new epoch, and again in each round of upkeep.
    pub(crate) async fn follow_orders(&self) {
        match self.store.ended_sessions().await {
            // Their rows stay until the sweep: other replicas have yet to read them.
            Ok(ended) => ended.iter().filter(|digest| self.live.find(digest).is_some()).for_each(|digest| self.end_here(digest)),
            Err(error) => tracing::warn!(%error, "sessions that were ended could not be read"),
        }
        match self.store.deeds().await {
            Ok(deeds) => {
                for (epoch, deed) in deeds {
                    let cause = format!("{}; by the command line at {}", deed.cause, deed.done);
                    let (user, client) = (deed.user.as_ref(), deed.client.as_ref());
                    let notice = Notice { reason: deed.reason, user, client, cause: Some(&cause), ..Notice::default() };
                    // What the record does not take stays where it is for the next round.
                    if self.audit.event(&notice, self.env.now()).await.is_err() {
                        return;
                    }
                    if let Err(error) = self.store.deed_recorded(epoch).await {
                        tracing::warn!(%error, "what was recorded is kept, and will be recorded again");
                    }
                }
            }
            Err(error) => tracing::warn!(%error, "what the command line did could not be read"),
        }
    }
}
