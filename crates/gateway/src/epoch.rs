//! The revocation epoch as this process knows it: whatever was cached under an older one counts no more (I8).

use crate::tasks::Tasks;
use doorward_store::Store;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// The epoch. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Epoch {
    current: Arc<watch::Sender<u64>>,
}

/// How often the store is asked. Streams and caches of this process hear of a revocation within this time, wherever it
/// was made.
const ASK: Duration = Duration::from_secs(1);

impl Epoch {
    /// Starts from what the store says now and keeps asking.
    #[must_use]
    pub fn watch(first: u64, store: Store, tasks: &Tasks) -> Self {
        let epoch = Self { current: Arc::new(watch::Sender::new(first)) };
        let (current, stopping) = (Arc::clone(&epoch.current), tasks.clone());
        tasks.spawn(async move {
            loop {
                tokio::select! {
                    () = tokio::time::sleep(ASK) => {}
                    () = stopping.stopping() => return,
                }
                // A store that does not answer is noticed where records are read; caches age out by themselves.
                if let Ok(now) = store.epoch().await {
                    current.send_if_modified(|known| {
                        let newer = now != *known;
                        *known = now;
                        newer
                    });
                }
            }
        });
        epoch
    }

    /// The epoch.
    #[must_use]
    pub fn current(&self) -> u64 {
        *self.current.borrow()
    }

    /// Hears of each change.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.current.subscribe()
    }
}
