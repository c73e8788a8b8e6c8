//! What an administrator orders through the store while this process serves: clients that are blocked, sessions that are over, and what of
//! it belongs on the record. Knows neither requests nor pages.

use crate::Gateway;
use arc_swap::ArcSwap;
use doorward_core::audit::outcome::Notice;
use doorward_core::id::ClientId;
use doorward_core::secret::sha256;
use doorward_store::{Deed, StoreError};
use quick_cache::sync::Cache;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// Which clients are blocked and which sessions were ended, as it was read lately.
#[derive(Debug)]
pub struct Blocks {
    by_digest: Cache<[u8; 32], Read>,
    /// Sessions that were ended from outside.
    ended: ArcSwap<EndedSessions>,
    /// The epoch under which they were read last.
    heard: watch::Sender<u64>,
}

/// Digests of sessions that were ended from outside.
#[derive(Debug, Default)]
struct EndedSessions(HashSet<[u8; 32]>);

#[derive(Debug, Clone, Copy)]
struct Read {
    says: bool,
    epoch: u64,
    at: Instant,
}

/// What was read is believed this long without asking the store, and under the present epoch only (I8).
const BELIEVED: Duration = Duration::from_secs(5);
/// What could not be recorded is tried again after this long.
const AGAIN: Duration = Duration::from_secs(60);
/// So long those wait that ask before it was read which sessions were ended; then they ask the store themselves.
const HEARD_WITHIN: Duration = Duration::from_secs(1);

impl Blocks {
    /// Nothing read yet; at most `capacity` clients are kept.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self { by_digest: Cache::new(capacity), ended: ArcSwap::default(), heard: watch::Sender::new(0) }
    }
}

impl Gateway {
    /// Whether the command line blocked exactly this client, as it was read lately.
    ///
    /// # Errors
    /// [`StoreError`]: nobody knows, so nobody comes in.
    pub(crate) async fn is_blocked(&self, client: &ClientId) -> Result<bool, StoreError> {
        self.believed(sha256(client.as_str().as_bytes()), self.store.is_client_blocked(client)).await
    }

    /// Whether an administrator disabled a client as somebody who acts for itself, as it was read lately.
    ///
    /// # Errors
    /// [`StoreError`]: nobody knows, so nobody comes in.
    pub(crate) async fn is_disabled(&self, client: &ClientId) -> Result<bool, StoreError> {
        let digest = sha256(format!("doorward disabled client v1\0{client}").as_bytes());
        self.believed(digest, self.store.is_client_disabled(client)).await
    }

    async fn believed(&self, digest: [u8; 32], asked: impl Future<Output = Result<bool, StoreError>>) -> Result<bool, StoreError> {
        let epoch = self.epoch.current();
        if let Some(read) = self.blocks.by_digest.get(&digest).filter(|read| read.epoch == epoch && read.at.elapsed() < BELIEVED) {
            return Ok(read.says);
        }
        let at = Instant::now();
        let says = asked.await?;
        self.blocks.by_digest.insert(digest, Read { says, epoch, at });
        Ok(says)
    }

    /// Ends here what was ended through the store: at each new epoch, and again in each round of upkeep. Waits for nothing but the store.
    /// False if it could not be read.
    pub(crate) async fn follow_orders(self: &Arc<Self>) -> bool {
        // Before it is read: what is raised meanwhile may not be in it.
        let epoch = self.epoch.current();
        match self.store.ended_sessions().await {
            // Their rows stay until the sweep: other replicas have yet to read them.
            Ok(ended) => {
                let ended = Arc::new(EndedSessions(ended.into_iter().collect()));
                self.blocks.ended.store(Arc::clone(&ended));
                self.blocks.heard.send_replace(epoch);
                ended.0.iter().filter(|digest| self.live.find(digest).is_some()).for_each(|digest| self.end_here(digest));
                true
            }
            Err(error) => {
                tracing::warn!(%error, "sessions that were ended could not be read");
                false
            }
        }
    }

    /// Whether it was read under the present epoch which sessions were ended; waits a second for it at most.
    pub(crate) async fn has_heard(&self) -> bool {
        let epoch = self.epoch.current();
        let mut heard = self.blocks.heard.subscribe();
        matches!(tokio::time::timeout(HEARD_WITHIN, heard.wait_for(|heard| *heard >= epoch)).await, Ok(Ok(_)))
    }

    /// Whether a session was ended through the store, as far as this process has heard: for a request that had read its record before.
    pub(crate) fn was_ended(&self, session: &[u8; 32]) -> bool {
        self.blocks.ended.load().0.contains(session)
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
        loop {
            match self.store.deeds().await {
                Ok(deeds) if deeds.is_empty() => return,
                Ok(deeds) if self.recorded(&deeds).await => {}
                Ok(_) => return,
                Err(error) => return tracing::warn!(%error, "what the command line did could not be read"),
            }
        }
    }

    /// False if the record or the store did not take one.
    async fn recorded(&self, deeds: &[(i64, Deed)]) -> bool {
        for (epoch, deed) in deeds {
            let cause = format!("{}; by the command line at {}", deed.cause, deed.done);
            let (user, client) = (deed.user.as_ref(), deed.client.as_ref());
            let notice = Notice { reason: deed.reason, user, client, cause: Some(&cause), ..Notice::default() };
            // What the record does not take stays where it is for the next time.
            if self.audit.event(&notice, self.env.now()).await.is_err() {
                return false;
            }
            if let Err(error) = self.store.deed_recorded(*epoch).await {
                tracing::warn!(%error, "what was recorded is kept, and will be recorded again");
                return false;
            }
        }
        true
    }
}
